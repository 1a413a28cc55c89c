//! The status of a group at one moment.

use super::super::types::{LogId, Metrics, RaftId};
use crate::engine::system::NodeRole;
use openraft::{Instant, ServerState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The status of a group at one moment, in plain values.
#[derive(Debug, Clone, Default)]
pub struct GroupStatus {
    /// The role of this node.
    pub role: Option<NodeRole>,
    /// The leader, as far as this node knows.
    pub leader: Option<RaftId>,
    /// This node's term.
    pub term: u64,
    /// The voters; two sets while the membership changes.
    pub configs: Vec<BTreeSet<RaftId>>,
    /// The members that receive the log: voters and learners.
    pub members: BTreeSet<RaftId>,
    /// Index of the last entry in this node's log.
    pub last_log: u64,
    /// Index of the first entry in this node's log; those before it are purged.
    pub first_log: u64,
    /// Index up to which each member has the log; on the leader only.
    pub matched: BTreeMap<RaftId, u64>,
    /// Time since each member answered; on the leader only.
    pub silent: BTreeMap<RaftId, Option<Duration>>,
    /// How long this node has led; on the leader only.
    pub led: Option<Duration>,
    /// The leader that this node heard last, and the time since then.
    pub heard: Option<(RaftId, Duration)>,
    /// Why members do not receive the entries that they lack; on the leader only.
    pub undelivered: BTreeMap<RaftId, String>,
    /// Why the group has stopped working, if it has.
    pub failure: Option<String>,
}

impl GroupStatus {
    pub(super) fn from_metrics(metrics: &Metrics) -> Self {
        let membership = metrics.membership_config.membership();
        let configs = membership.get_joint_config().clone();
        let voter = configs.iter().any(|config| config.contains(&metrics.id));
        let role = match metrics.state {
            ServerState::Leader => Some(NodeRole::Leader),
            ServerState::Candidate => Some(NodeRole::Candidate),
            ServerState::Learner => Some(NodeRole::Learner),
            // A follower without a leader is requesting votes, or about to.
            ServerState::Follower if voter && metrics.current_leader.is_none() => {
                Some(NodeRole::Candidate)
            }
            ServerState::Follower => Some(NodeRole::Follower),
            ServerState::Shutdown => None,
        };
        let index = |id: &Option<LogId>| id.map_or(0, |id| id.index);
        GroupStatus {
            role,
            leader: metrics.current_leader,
            term: metrics.current_term,
            configs,
            members: membership.nodes().map(|(id, _)| *id).collect(),
            last_log: metrics.last_log_index.unwrap_or(0),
            first_log: metrics.purged.map_or(0, |id| id.index + 1),
            matched: metrics
                .replication
                .iter()
                .flatten()
                .map(|(id, at)| (*id, index(at)))
                .collect(),
            silent: metrics
                .heartbeat
                .iter()
                .flatten()
                .map(|(id, at)| (*id, at.as_ref().map(|at| at.elapsed())))
                .collect(),
            led: None,
            heard: None,
            undelivered: BTreeMap::new(),
            failure: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.role == Some(NodeRole::Leader)
    }

    /// Time since a member was heard; on the leader only. A member that has not answered this
    /// leader yet may have been heard as the previous leader.
    pub fn silence(&self, member: RaftId) -> Option<Duration> {
        let answered = *self.silent.get(&member)?;
        let before = || self.heard.filter(|(leader, _)| *leader == member).map(|(_, ago)| ago);
        answered.or_else(before).or(self.led)
    }

    /// All voters, in either set.
    pub fn voters(&self) -> BTreeSet<RaftId> {
        self.configs.iter().flatten().copied().collect()
    }
}
