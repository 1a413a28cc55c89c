//! The content of commands about groups: in the system group, where they are and what they hold; in
//! any other group, what the system group has decided.

use crate::placement::{DatabaseChange, MoveStrategy};
use minicbor::{CborLen, Decode, Encode};

/// The content of [`Command::Placement`](super::Command::Placement).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Placement {
    /// Creates a group.
    #[n(1)]
    CreateGroup {
        /// Its number, not 0.
        #[n(0)]
        group: u32,
        /// Voters that it is to have while there are nodes for them.
        #[n(1)]
        replication_factor: u32,
        /// Raft ids of the nodes that are to hold a voter.
        #[n(2)]
        voters: Vec<u64>,
        /// Raft ids of the nodes that are to hold a replica without a vote.
        #[n(3)]
        observers: Vec<u64>,
    },
    /// Removes a group that holds no database; succeeds if it does not exist.
    #[n(2)]
    RemoveGroup {
        /// Its number.
        #[n(0)]
        group: u32,
        /// Whether each node keeps a copy of its state.
        #[n(1)]
        keep_state: Option<bool>,
    },
    /// Changes the nodes that are to hold replicas.
    #[n(3)]
    SetNodes {
        /// The group.
        #[n(0)]
        group: u32,
        /// Only if the last change of what is intended is still this one.
        #[n(1)]
        epoch: u64,
        /// Raft ids of the nodes that are to hold a voter.
        #[n(2)]
        voters: Vec<u64>,
        /// Raft ids of the nodes that are to hold a replica without a vote.
        #[n(3)]
        observers: Vec<u64>,
        /// How replicas that are to come get the data.
        #[n(4)]
        strategy: Option<MoveStrategy>,
    },
    /// Places a replica on a node that is to hold one. Its id is the log index of this entry.
    #[n(4)]
    PlaceReplica {
        /// The group.
        #[n(0)]
        group: u32,
        /// Raft id of the node.
        #[n(1)]
        node: u64,
    },
    /// Says that a replica may have voted from now on.
    #[n(5)]
    ActivateReplica {
        /// The group.
        #[n(0)]
        group: u32,
        /// The replica.
        #[n(1)]
        replica: u64,
    },
    /// Removes a replica that is no member of its group any more, or never was one.
    #[n(6)]
    RemoveReplica {
        /// The group.
        #[n(0)]
        group: u32,
        /// The replica.
        #[n(1)]
        replica: u64,
        /// Only if it has never had a vote.
        #[n(2)]
        joining: bool,
    },
    /// Says that all voters of a group are in.
    #[n(7)]
    ActivateGroup {
        /// The group.
        #[n(0)]
        group: u32,
    },
    /// Says which node is to lead a group.
    #[n(8)]
    PinLeader {
        /// The group.
        #[n(0)]
        group: u32,
        /// Raft id of the node, which holds a voter; none: any.
        #[n(1)]
        node: Option<u64>,
    },
    /// Creates a database in a group; succeeds if it is there.
    #[n(9)]
    CreateDatabase {
        /// Its name.
        #[n(0)]
        name: String,
        /// Engine name, kept for clients of JettraDBVM.
        #[n(1)]
        engine: String,
        /// The group.
        #[n(2)]
        group: u32,
    },
    /// Drops a database that is in a group other than the system group; succeeds if it does not exist.
    #[n(10)]
    DropDatabase {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// Gives a database that is in a group other than the system group another name.
    #[n(11)]
    RenameDatabase {
        /// Its name.
        #[n(0)]
        from: String,
        /// Its name afterwards.
        #[n(1)]
        to: String,
    },
    /// Ends the change of a database: its group has carried it out, or has refused it.
    #[n(12)]
    EndDatabaseChange {
        /// Its name before the change.
        #[n(0)]
        name: String,
        /// Log index of the change.
        #[n(1)]
        epoch: u64,
        /// Why it was refused.
        #[n(2)]
        problem: Option<String>,
    },
}

/// The content of [`Command::InGroup`](super::Command::InGroup).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum GroupCommand {
    /// The first entry of a group.
    #[n(1)]
    Init {
        /// Its number.
        #[n(0)]
        group: u32,
    },
    /// Changes a database as the system group has decided.
    #[n(2)]
    ChangeDatabase {
        /// Log index of the decision. An older one than the last is refused: its sender is late.
        #[n(0)]
        epoch: u64,
        /// The change.
        #[n(1)]
        change: DatabaseChange,
    },
    /// Says that a right was taken away in the system group.
    #[n(3)]
    Rights {
        /// Log index of that change there.
        #[n(0)]
        epoch: u64,
    },
}
