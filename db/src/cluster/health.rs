//! The true state of the cluster as this node knows it: the collection of members, corrected by
//! what Raft knows at this moment.

use super::report::{ClusterReport, GroupReport, MemberReport};
use super::{Cluster, clocks};
use crate::engine::system::{NodeDocument, NodeRole, NodeStatus};
use crate::raft::{Group, GroupStatus, RaftId};
use std::sync::Arc;
use std::time::Duration;

/// Silence of a member, in milliseconds, after which it is shown to be silent.
const SILENT_AFTER_MS: u64 = 900;
/// The same as a number of heartbeats, if these are slow.
const SILENT_HEARTBEATS: u64 = 5;

/// Whether a node serves calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `ok` when it does, else one word for why not.
    pub status: &'static str,
    /// Why it does not, in one sentence; none when it does.
    pub reason: Option<String>,
    /// The node's name.
    pub node_id: String,
    /// Whether it leads.
    pub is_leader: bool,
    /// Its number in Raft; none while it belongs to no cluster.
    pub raft_id: Option<RaftId>,
    /// Raft number of the leader.
    pub leader: Option<RaftId>,
    /// The name of the leader.
    pub leader_name: Option<String>,
    /// The node's term.
    pub term: u64,
    /// Its role in Raft; none when Raft has stopped.
    pub role: Option<NodeRole>,
    /// What an operator should look at though calls are served: nodes whose clocks are wrong.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// What this node knows of the cluster by itself.
    pub fn report(&self) -> ClusterReport {
        self.report_of(self.report_nodes())
    }

    /// As [`Cluster::report`], for members of which more is known.
    pub(super) fn report_of(&self, nodes: Vec<MemberReport>) -> ClusterReport {
        let identity = self.identity();
        let status = self.groups.system().map(|group| group.status()).unwrap_or_default();
        let leader = status.leader.and_then(|id| self.nodes.by_raft_id(id)).map(|node| node.id);
        let quorum = status.configs.iter().map(|config| config.len() / 2 + 1).max().unwrap_or(0);
        ClusterReport {
            enabled: self.config.distributed,
            node_id: identity.node_id,
            role: status.role.unwrap_or(NodeRole::Learner),
            health: with_clocks(
                health_sentence(
                    self.groups.system().is_ok(),
                    self.is_removed(),
                    leader.as_deref(),
                    &nodes,
                    &status,
                ),
                &self.wrong_clocks(),
            ),
            leader_id: leader,
            term: status.term,
            cluster_id: identity.cluster_id,
            applied_index: self.groups.system().map_or(0, |group| group.visible_index()),
            quorum,
            groups: self.report_groups(),
            max_feature_level: self.max_feature_level(),
            nodes,
            source: None,
        }
    }

    /// The groups of this node.
    fn report_groups(&self) -> Vec<GroupReport> {
        let report = |group: &Arc<Group>| {
            let feature_level = group.feature_level().ok()?;
            Some(GroupReport { id: group.number(), feature_level })
        };
        self.groups.all().iter().filter_map(report).collect()
    }

    /// Silence of a member after which it is shown to be silent.
    pub(super) fn silent_after(&self) -> Duration {
        let answers_missed = SILENT_HEARTBEATS * self.config.heartbeat_ms;
        let limit = answers_missed.max(SILENT_AFTER_MS).min(self.config.inactive_after_ms);
        Duration::from_millis(limit)
    }

    /// The members with their current roles and statuses.
    pub fn report_nodes(&self) -> Vec<MemberReport> {
        let Ok(group) = self.groups.system() else {
            return Vec::new();
        };
        let (status, me) = (group.status(), group.raft_id());
        let limit = self.silent_after();
        let contacts = self.contacts();
        let gone =
            |node: &NodeDocument| node.raft_id != me && contacts.is_gone(node.raft_id, limit);
        let (nodes, ahead) = (self.nodes.all(), group.clock.ahead());
        let describe = |node: &NodeDocument| MemberReport {
            clock_ms_ahead: ahead.get(&node.raft_id).copied(),
            ..describe(node, &status, me, limit, gone(node))
        };
        nodes.iter().map(describe).collect()
    }

    /// Whether this node serves calls, and why not.
    pub fn health(&self) -> Health {
        let status = self.groups.system().map(|group| group.status()).unwrap_or_default();
        let me = self.groups.system().map(|group| group.raft_id()).ok();
        let paused = me
            .and_then(|me| self.nodes.by_raft_id(me))
            .is_some_and(|node| node.status == NodeStatus::Paused);
        let state = ServingState {
            ending: self.is_ending(),
            removed: self.is_removed(),
            registered: self.identity().cluster_id.is_some(),
            failure: status.failure.as_deref(),
            started: self.check_started().is_ok(),
            led: status.leader.is_some(),
            paused,
        };
        let (word, reason) = state.describe();
        Health {
            status: word,
            reason,
            node_id: self.node_id().to_owned(),
            raft_id: me,
            is_leader: status.is_leader(),
            leader: status.leader,
            leader_name: status.leader.map(|leader| self.name_of(leader)),
            term: status.term,
            role: if me.is_none() { Some(NodeRole::Learner) } else { status.role },
            warnings: self.wrong_clocks(),
        }
    }
}

/// What decides whether a node serves requests.
#[derive(Debug, Clone, Copy)]
struct ServingState<'s> {
    ending: bool,
    removed: bool,
    registered: bool,
    failure: Option<&'s str>,
    started: bool,
    led: bool,
    paused: bool,
}

impl ServingState<'_> {
    /// One word for the state, and why no requests are served if they are not.
    fn describe(self) -> (&'static str, Option<String>) {
        let (word, reason) = if self.removed {
            ("removed", "this node was removed from its cluster")
        } else if let Some(failure) = self.failure {
            return ("failed", Some(format!("this node cannot go on: {failure}")));
        } else if self.ending {
            ("stopping", "this node is stopping")
        } else if !self.registered {
            ("waiting", "this node waits to be registered by a member of a cluster")
        } else if !self.started {
            ("starting", "this node has no copy of the cluster's state at hand yet")
        } else if !self.led {
            ("no_leader", "there is no leader; check that a majority of the nodes runs")
        } else if self.paused {
            ("paused", "this node is paused until somebody resumes it")
        } else {
            return ("ok", None);
        };
        (word, Some(reason.into()))
    }
}

/// One member: its document, corrected by what this node observes.
fn describe(
    node: &NodeDocument,
    status: &GroupStatus,
    me: RaftId,
    limit: Duration,
    gone: bool,
) -> MemberReport {
    let leading = status.is_leader();
    let role = match status.leader {
        Some(leader) if leader == node.raft_id => NodeRole::Leader,
        _ if node.raft_id == me => status.role.unwrap_or(node.role),
        _ if status.voters().contains(&node.raft_id) => NodeRole::Follower,
        _ => NodeRole::Learner,
    };
    let silence = match (leading, node.raft_id == me) {
        (true, true) => Some(Duration::ZERO),
        (true, false) => status.silence(node.raft_id),
        _ => None,
    };
    let silent = gone || silence.is_some_and(|silence| silence > limit);
    let state = if node.status == NodeStatus::Active && silent {
        NodeStatus::Inactive
    } else {
        node.status
    };
    let matched = status.matched.get(&node.raft_id).copied();
    let lag = match (leading, node.raft_id == me) {
        (true, true) => Some(0),
        (true, false) => matched.map(|at| status.last_log.saturating_sub(at)),
        _ => None,
    };
    // A failure to send to a member that lacks nothing does not matter.
    let problem = status.undelivered.get(&node.raft_id).filter(|_| lag != Some(0)).cloned();
    MemberReport {
        id: node.id.clone(),
        raft_id: node.raft_id,
        url: node.url.clone(),
        role,
        status: state,
        description: node.description.clone(),
        program: node.program.clone(),
        lag,
        problem,
        clock_ms_ahead: None,
        last_seen_ms: silence.map(milliseconds),
        silent_ms: silence.filter(|silence| *silence > limit).map(milliseconds),
    }
}

/// A duration in whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Appends the members whose clocks are wrong.
fn with_clocks(mut health: String, wrong: &[String]) -> String {
    if !wrong.is_empty() {
        health.truncate(health.trim_end_matches('.').len());
        health = format!("{health}; {}.", wrong.join("; "));
    }
    health
}

fn health_sentence(
    member: bool,
    removed: bool,
    leader: Option<&str>,
    nodes: &[MemberReport],
    status: &GroupStatus,
) -> String {
    if removed {
        return "This node was removed from its cluster.".into();
    }
    if !member {
        return "This node waits to be registered by a member of a cluster.".into();
    }
    if leader.is_none() {
        return "There is no leader, so nothing can be written. Check that a majority of the nodes runs.".into();
    }
    let voters = status.voters();
    let live =
        |node: &&MemberReport| matches!(node.status, NodeStatus::Active | NodeStatus::Paused);
    let live_voters =
        nodes.iter().filter(live).filter(|node| voters.contains(&node.raft_id)).count();
    let away: Vec<_> = nodes
        .iter()
        .filter_map(|node| match &node.problem {
            _ if node.status != NodeStatus::Active => Some(member_status(node)),
            Some(problem) => Some(format!("{} gets no log entries ({problem})", node.id)),
            None => None,
        })
        .collect();
    let state = match nodes.len() {
        1 => "The one node is active".to_owned(),
        n if away.is_empty() => format!("All {n} nodes are active"),
        _ => away.join(", "),
    };
    let needed = voters.len() / 2 + 1;
    let tolerance = match live_voters.checked_sub(needed) {
        None => format!(
            "only {live_voters} of the {needed} needed voters are live, so nothing can be written"
        ),
        Some(0) if voters.len() == 1 => "it has no replica".to_owned(),
        Some(0) => "the failure of one more voter would stop writes".to_owned(),
        Some(1) => "the cluster tolerates 1 failure".to_owned(),
        Some(spare) => format!("the cluster tolerates {spare} failures"),
    };
    format!("{state}; {tolerance}.")
}

/// The status of a member that is not active.
fn member_status(node: &MemberReport) -> String {
    let silence = node.silent_ms.map(|ms| format!(", silent for {}", clocks::length(ms)));
    format!("{} is {}{}", node.id, node.status, silence.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, role: NodeRole, status: NodeStatus) -> NodeDocument {
        NodeDocument {
            id: format!("n{id}"),
            raft_id: id,
            url: String::new(),
            role,
            status,
            description: None,
            program: None,
        }
    }

    #[test]
    fn a_node_that_serves_no_calls_says_why() {
        let serving = ServingState {
            ending: false,
            removed: false,
            registered: true,
            failure: None,
            started: true,
            led: true,
            paused: false,
        };
        assert_eq!(serving.describe(), ("ok", None));
        for (state, expected) in [
            (ServingState { ending: true, led: false, ..serving }, "stopping"),
            (ServingState { removed: true, paused: true, ..serving }, "removed"),
            (ServingState { registered: false, started: false, led: false, ..serving }, "waiting"),
            (ServingState { failure: Some("disk"), led: false, ..serving }, "failed"),
            (ServingState { failure: Some("disk"), ending: true, ..serving }, "failed"),
            (ServingState { started: false, led: false, ..serving }, "starting"),
            (ServingState { led: false, paused: true, ..serving }, "no_leader"),
            (ServingState { paused: true, ..serving }, "paused"),
        ] {
            let (word, reason) = state.describe();
            assert_eq!(word, expected, "{state:?}");
            assert!(reason.is_some_and(|reason| !reason.is_empty()), "{state:?}");
        }
    }

    #[test]
    fn roles_come_from_raft_and_a_silent_node_is_not_called_active() {
        let status = GroupStatus {
            role: Some(NodeRole::Leader),
            leader: Some(1),
            configs: vec![[1, 2].into()],
            last_log: 10,
            matched: [(2, 7)].into(),
            silent: [(2, Some(Duration::from_secs(9)))].into(),
            undelivered: [(2, "too large".into())].into(),
            ..GroupStatus::default()
        };
        let limit = Duration::from_secs(2);
        let old_leader = node(2, NodeRole::Leader, NodeStatus::Active);
        let shown = describe(&old_leader, &status, 1, limit, false);
        assert_eq!((shown.role, shown.status), (NodeRole::Follower, NodeStatus::Inactive));
        assert_eq!((shown.lag, shown.last_seen_ms), (Some(3), Some(9000)));
        assert_eq!(member_status(&shown), "n2 is INACTIVE, silent for 9 s");
        assert_eq!(shown.problem.as_deref(), Some("too large"));
        let me =
            describe(&node(1, NodeRole::Follower, NodeStatus::Active), &status, 1, limit, false);
        assert_eq!((me.role, me.status, me.lag), (NodeRole::Leader, NodeStatus::Active, Some(0)));
    }
}
