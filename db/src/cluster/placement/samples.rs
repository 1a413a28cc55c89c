//! Nodes and groups for the tests of the placement.

use crate::engine::placement::{GroupDocument, GroupState, ReplicaDocument, ReplicaState};
use crate::engine::system::{NodeDocument, NodeRole, NodeStatus, Program};
use crate::raft::{GroupId, RaftId};

/// A member in no zone.
pub(crate) fn node(raft_id: RaftId, status: NodeStatus) -> NodeDocument {
    NodeDocument {
        id: format!("n{raft_id}"),
        raft_id,
        url: String::new(),
        role: NodeRole::Follower,
        status,
        description: None,
        program: None,
    }
}

/// A member in a zone.
pub(crate) fn zoned(raft_id: RaftId, status: NodeStatus, zone: &str) -> NodeDocument {
    let program = Program {
        version: "1.0.0".into(),
        oldest_level: 1,
        newest_level: 3,
        addresses: None,
        zone: Some(zone.into()),
    };
    NodeDocument { program: Some(program), ..node(raft_id, status) }
}

/// A group with an active replica on each of its nodes; a replica has the number of its node.
pub(crate) fn group(number: GroupId, voters: &[RaftId]) -> GroupDocument {
    let replica =
        |node: &RaftId| ReplicaDocument { id: *node, node: *node, state: ReplicaState::Active };
    GroupDocument {
        id: number.to_string(),
        group: number,
        state: GroupState::Active,
        epoch: 7,
        replication_factor: 3,
        voters: voters.to_vec(),
        observers: Vec::new(),
        replicas: voters.iter().map(replica).collect(),
        databases: 0,
        leader: None,
        strategy: None,
        keep_state: false,
    }
}
