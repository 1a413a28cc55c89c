//! The type parameters of openraft, and the names that the rest of the node uses for them.

use crate::engine::ProposalResult;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of a Raft group. Group 0, `system`, is on every node.
pub type GroupId = u32;
/// Number of a node in Raft: the log index of the entry that admitted it. Never used twice.
pub type RaftId = u64;
/// The group that holds `_system` and every database not placed elsewhere.
pub const SYSTEM_GROUP: GroupId = 0;

/// The content of a normal log entry: a batch of commands in the encoding of the engine. Opaque to openraft,
/// which clones entries for every follower; a clone of [`Bytes`] costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload(pub Bytes);

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

openraft::declare_raft_types!(
    /// The type configuration of Jettra's groups.
    pub TypeConfig:
        D = Payload,
        R = Vec<ProposalResult>,
);

/// Term and index of a log entry.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// A vote, as it is stored.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// A log entry.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// The content of a log entry.
pub type EntryPayload = openraft::alias::PayloadOf<TypeConfig>;
/// A membership with the log id of its entry.
pub type Membership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// openraft's metrics of a group.
pub type Metrics = openraft::RaftMetrics<TypeConfig>;
