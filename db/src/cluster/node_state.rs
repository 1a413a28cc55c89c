//! What each node says of itself: whether it works, what it uses, which replicas it holds.

use super::Cluster;
use crate::engine::system::{NodeDocument, NodeRole};
use crate::error::Result;
use crate::host::HostUsage;
use crate::raft::node_key::SignedHead;
use crate::raft::peer_client::PeerRequest;
use crate::raft::{Group, GroupId};
use crate::recent::{self, LoggedProblem};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Path of the question.
const STATE_PATH: &str = "/raft/rpc/node-state";
/// Longest time for the answer.
const ASK_MAX: Duration = Duration::from_secs(1);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// `ok` when it serves calls, else one word for why not.
    pub health: String,
    /// Why it does not, in one sentence.
    pub reason: Option<String>,
    /// The version of its program.
    pub version: String,
    /// The feature level in force in the system group.
    pub feature_level: Option<u32>,
    /// What it and its machine use; none when its system does not say.
    pub usage: Option<HostUsage>,
    /// The replicas that it holds.
    pub replicas: Vec<HeldReplica>,
    /// Nodes whose clocks are wrong.
    pub warnings: Vec<String>,
    /// The warnings and errors that it has logged last.
    pub problems: Vec<LoggedProblem>,
}

/// A replica that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldReplica {
    /// Its group.
    pub group: GroupId,
    /// Its role; none when it has stopped.
    pub role: Option<NodeRole>,
    /// Its term.
    pub term: u64,
    /// Log index of its last entry.
    pub last_log: u64,
    /// Log index up to which readers see its state.
    pub applied: u64,
    /// Bytes of its state.
    pub bytes: u64,
    /// Why it has stopped, if it has.
    pub failure: Option<String>,
}

/// What a node has answered; else why it has not, in words.
pub type StateAnswer = std::result::Result<NodeState, String>;

impl HeldReplica {
    fn of(group: &Arc<Group>) -> HeldReplica {
        let status = group.status();
        HeldReplica {
            group: group.number(),
            role: status.role,
            term: status.term,
            last_log: status.last_log,
            applied: group.visible_index(),
            bytes: group.generations().current().used_bytes() as u64,
            failure: status.failure,
        }
    }
}

impl Cluster {
    /// What this node says of itself.
    pub async fn node_state(&self) -> NodeState {
        let usage = self.host.usage().await;
        if let Err(error) = &usage {
            tracing::debug!(%error, "no figures of this node");
        }
        let health = self.health();
        NodeState {
            health: health.status.to_owned(),
            reason: health.reason,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_level: self.groups.system().and_then(|group| group.feature_level()).ok(),
            usage: usage.ok(),
            replicas: self.groups.all().iter().map(HeldReplica::of).collect(),
            warnings: health.warnings,
            problems: recent::problems(),
        }
    }

    /// What nodes say of themselves: each is asked, all at the same time, for a second at most.
    pub async fn states_of(&self, nodes: &[NodeDocument]) -> Vec<StateAnswer> {
        join_all(nodes.iter().map(|node| self.state_of(&node.id, node.peer_url()))).await
    }

    /// What a node says of itself.
    pub async fn state_of(&self, node: &str, url: &str) -> StateAnswer {
        if node == self.node_id() {
            return Ok(self.node_state().await);
        }
        self.ask_state(url).await.map_err(|error| {
            format!("{node} does not answer {}: {}", self.node_id(), error.message)
        })
    }

    async fn ask_state(&self, url: &str) -> Result<NodeState> {
        let head = SignedHead { method: "GET", target: STATE_PATH, ..SignedHead::default() };
        let question = PeerRequest { head, timeout: ASK_MAX, ..PeerRequest::default() };
        super::forward::ask_node(self, url, question, |error| error.into_error(url)).await
    }
}
