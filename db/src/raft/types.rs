//! The type parameters of openraft, and the names that the rest of the node uses for them.

use crate::engine::ProposalResult;
use bytes::Bytes;
use openraft::impls;
use openraft::raft::responder::Responder;
use openraft::vote::RaftLeaderId;
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

/// What is called with the outcome of a log entry, on the thread that has applied it.
pub struct Callback<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Callback<T> {
    /// Calls `function` once. It must be quick: the thread goes on applying after it.
    pub fn new(function: impl FnOnce(T) + Send + 'static) -> Self {
        Callback(Box::new(function))
    }
}

impl<T: Send + 'static> Responder<TypeConfig, T> for Callback<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// The type configuration of Jettra's groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

// The macro for it has no place for a responder, which is generic.
impl openraft::RaftTypeConfig for TypeConfig {
    type D = Payload;
    type R = Vec<ProposalResult>;
    type NodeId = RaftId;
    type Node = impls::BasicNode;
    type Term = u64;
    type LeaderId = impls::leader_id_adv::LeaderId<u64, RaftId>;
    type Vote = impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Self::D, RaftId, Self::Node>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type Responder<T: Send + 'static> = Callback<T>;
    type Batch<T: Send + 'static> = impls::InlineBatch<T>;
    type AsyncRuntime = impls::TokioRuntime;
    type ErrorSource = impls::BoxedErrorSource;
}

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
