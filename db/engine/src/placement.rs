//! Where the data is: which groups there are, on which nodes their replicas are to be and are, and
//! which database each of them holds. Documents of the system group, changed only by
//! [`Placement`](crate::command::Placement).
//!
//! A group's document is an intent, as a member's is: nodes that are to hold a replica, beside the
//! replicas that there are. What is missing between the two is done step by step, by the leaders.

use crate::accounts::{all, stored};
use crate::catalog;
use crate::error::{Error, Kind};
use crate::storage::{Read, Result};
use crate::system::{DATABASES, GROUPS};
use minicbor::{CborLen, Decode, Encode};
use serde::{Deserialize, Serialize};

/// The feature level from which on there are groups beside the system group.
pub const GROUPS_LEVEL: u32 = 2;
/// The feature level from which on a group remembers how its replicas move and whether its state is kept,
/// and a member says in which zone it is.
pub const MOVES_LEVEL: u32 = 3;
/// Groups that there may be beside the system group.
pub const GROUPS_MAX: usize = 1000;
/// Voters, and observers, that a group may have.
pub const REPLICAS_MAX: usize = 9;
/// Key of a data group's number, in [`Table::Meta`](crate::storage::Table::Meta). The system group has none.
pub(crate) const GROUP_KEY: &[u8] = b"group";
/// Key of the log index, in the system group, of the last change of a database that a data group has
/// carried out.
pub(crate) const CHANGED_KEY: &[u8] = b"placement";
/// Key of the rights epoch, see [`rights_epoch`].
pub(crate) const RIGHTS_KEY: &[u8] = b"rights";

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum GroupState {
    /// Not all of its voters are in yet: it holds no database.
    Creating,
    /// It may hold databases.
    Active,
    /// Its replicas are being closed.
    Removing,
}

/// The state of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReplicaState {
    /// It has never had a vote, so it may begin with an empty directory.
    Joining,
    /// It may have voted, so it must not go on without its log and its state.
    Active,
}

/// How a replica that is to come gets the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cbor(index_only)]
pub enum MoveStrategy {
    /// Through the log, or by a copy of the state where the log does not go back far enough.
    #[n(0)]
    LiveCopy,
    /// By a copy of the state at first, then through the log.
    #[n(1)]
    Snapshot,
    /// As [`LiveCopy`](Self::LiveCopy), in rounds: it may vote after a round of less than a second.
    #[n(2)]
    Incremental,
}

/// A replica that is placed on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaDocument {
    /// With which it votes: the log index of the entry that placed it, in the system group. Never used
    /// twice in any group.
    pub id: u64,
    /// The Raft id of its node.
    pub node: u64,
    /// How far it is.
    pub state: ReplicaState,
}

/// A document of [`GROUPS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDocument {
    /// The group's number as text.
    #[serde(rename = "_id")]
    pub id: String,
    /// The group's number.
    pub group: u32,
    /// How far it is.
    pub state: GroupState,
    /// Log index of the last change of what is intended.
    pub epoch: u64,
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: u32,
    /// Raft ids of the nodes that are to hold a voter.
    pub voters: Vec<u64>,
    /// Raft ids of the nodes that are to hold a replica without a vote.
    pub observers: Vec<u64>,
    /// The replicas that there are, in the order in which they were placed.
    pub replicas: Vec<ReplicaDocument>,
    /// How many databases it holds.
    pub databases: u64,
    /// Raft id of the node that is to lead it; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<u64>,
    /// How replicas that are to come get the data; none: as it suits the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<MoveStrategy>,
    /// Whether each node keeps a copy of the state when the group is removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_state: bool,
}

impl GroupDocument {
    /// The nodes that are to hold a replica.
    pub fn nodes(&self) -> impl Iterator<Item = u64> {
        self.voters.iter().chain(&self.observers).copied()
    }

    /// Whether a node is to hold a replica.
    pub fn wants(&self, node: u64) -> bool {
        self.nodes().any(|wanted| wanted == node)
    }

    /// The replica on a node.
    pub fn on(&self, node: u64) -> Option<&ReplicaDocument> {
        self.replicas.iter().find(|replica| replica.node == node)
    }

    /// The replica with this id.
    pub fn replica(&self, id: u64) -> Option<&ReplicaDocument> {
        self.replicas.iter().find(|replica| replica.id == id)
    }

    /// The replica that begins the group: the first one, until it has done so.
    pub fn founder(&self) -> Option<&ReplicaDocument> {
        let first = self.replicas.iter().min_by_key(|replica| replica.id)?;
        (first.state == ReplicaState::Joining && self.state == GroupState::Creating)
            .then_some(first)
    }
}

/// The state of a database in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DatabaseState {
    /// Being created in its group.
    Creating,
    /// It is there.
    Active,
    /// Being dropped.
    Dropping,
    /// Being renamed to this.
    Renaming(String),
    /// The name that a database of the group is about to get.
    Reserved,
}

/// A document of [`DATABASES`]: a database that is not in the system group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDocument {
    /// Its name.
    #[serde(rename = "_id")]
    pub name: String,
    /// The group that holds it.
    pub group: u32,
    /// Engine name, kept for clients of JettraDBVM.
    pub engine: String,
    /// How far it is.
    pub state: DatabaseState,
    /// Log index of its last change.
    pub epoch: u64,
    /// Why the last change was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is to happen to a database in its group.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum DatabaseChange {
    /// It is created; succeeds if it exists.
    #[n(0)]
    Create {
        /// Its name.
        #[n(0)]
        name: String,
        /// Engine name.
        #[n(1)]
        engine: String,
    },
    /// It is dropped; succeeds if it does not exist.
    #[n(1)]
    Drop {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// It gets another name; succeeds if it has that name.
    #[n(2)]
    Rename {
        /// Its name.
        #[n(0)]
        from: String,
        /// Its name afterwards.
        #[n(1)]
        to: String,
    },
}

impl DatabaseDocument {
    /// What its group is still to do.
    pub fn change(&self) -> Option<DatabaseChange> {
        let name = || self.name.clone();
        match &self.state {
            DatabaseState::Creating => {
                Some(DatabaseChange::Create { name: name(), engine: self.engine.clone() })
            }
            DatabaseState::Dropping => Some(DatabaseChange::Drop { name: name() }),
            DatabaseState::Renaming(to) => {
                Some(DatabaseChange::Rename { from: name(), to: to.clone() })
            }
            DatabaseState::Active | DatabaseState::Reserved => None,
        }
    }
}

/// All groups beside the system group.
pub fn groups(read: &impl Read) -> Result<Vec<GroupDocument>> {
    all(read, GROUPS)
}

/// A group beside the system group.
pub fn group(read: &impl Read, number: u32) -> Result<Option<GroupDocument>> {
    Ok(stored(read, GROUPS, &number.to_string())?.map(|(_, group)| group))
}

/// All databases that are not in the system group.
pub fn databases(read: &impl Read) -> Result<Vec<DatabaseDocument>> {
    all(read, DATABASES)
}

/// A database that is not in the system group.
pub fn database(read: &impl Read, name: &str) -> Result<Option<DatabaseDocument>> {
    Ok(stored(read, DATABASES, name)?.map(|(_, database)| database))
}

/// Whether a group holds a database, as far as its state says. A name that nothing has is the system
/// group's, which creates it.
///
/// # Errors
/// `placement_changed` when another group holds it, or is about to.
pub fn check_placed(read: &impl Read, name: &str) -> crate::error::Result<()> {
    let elsewhere = catalog::database(read, name)?.is_none()
        && (data_group(read)?.is_some() || database(read, name)?.is_some());
    if elsewhere { Err(placement_changed(name)) } else { Ok(()) }
}

/// The number of the data group whose state it is; none for the system group.
pub fn data_group(read: &impl Read) -> Result<Option<u32>> {
    let number = catalog::counter(read, GROUP_KEY)?;
    Ok(u32::try_from(number).ok().filter(|number| *number > 0))
}

/// The log index, in the system group, of the last change that took a right away: in the system group
/// itself that of its state, in a data group the last one that it has heard of. A command of a user is
/// carried out, and a read is answered, only for a caller whose rights were checked after it.
pub fn rights_epoch(read: &impl Read) -> Result<u64> {
    catalog::counter(read, RIGHTS_KEY)
}

/// The error for a database that is in another group than the one that was asked.
pub fn placement_changed(name: &str) -> Error {
    Error::new(Kind::PlacementChanged, format!("the group of database {name:?} has changed"))
        .hint("send the call again")
}
