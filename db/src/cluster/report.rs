//! The state of the cluster as the leader knows it, and how old that knowledge is. Only the leader
//! hears the members, so another node knows less by itself.

use super::health::milliseconds;
use super::{Cluster, clocks};
use crate::raft::RaftId;
use crate::raft::node_key::SignedHead;
use crate::raft::peer_client::PeerRequest;
use jettra_driver::wire::{ClusterReply, ClusterView, NodeInfo, NodeStatus};
use std::time::{Duration, Instant};

/// Path of the request for the leader's report.
const VIEW_PATH: &str = "/raft/rpc/view";
/// Longest time to wait for the leader: its silence must become visible soon.
const ASK_MAX: Duration = Duration::from_millis(300);
/// Age up to which a report of the leader is reused.
const FRESH: Duration = Duration::from_millis(200);

/// A leader's report about the cluster.
#[derive(Debug, Clone)]
pub struct LeaderReport {
    report: ClusterReply,
    /// When it was requested.
    at: Instant,
}

/// Why there is no report of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoReport {
    /// Nothing listens at its address.
    Gone,
    /// There was no response in time.
    Late,
}

/// What this node knows of its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LeaderState {
    /// The leader that does not answer; none when there is no leader.
    leader: Option<RaftId>,
    /// The leader that was heard last and is silent now, and for how long.
    silent: Option<(RaftId, Duration)>,
}

impl Cluster {
    /// `GET /api/cluster`, the same on every node: what the leader knows. While the leader does not
    /// answer, its last report, corrected by what this node observes.
    pub async fn shared_report(&self) -> ClusterReply {
        let Ok(group) = self.group() else { return alone(self.report(), false) };
        let leader = group.leader();
        if leader == Some(group.raft_id()) {
            return alone(self.report(), true);
        }
        let told = match leader.and_then(|id| self.nodes.by_raft_id(id)) {
            Some(node) => self.told_by(&node.id, &node.url).await,
            None => Err(NoReport::Late),
        };
        match told {
            Ok(known) => passed_on(self.report(), known),
            Err(why) => {
                // What was known before the request may have changed during it.
                let status = group.status();
                let limit =
                    if why == NoReport::Gone { Duration::ZERO } else { self.silent_after() };
                let silent = status.heard.filter(|(_, silence)| *silence > limit);
                let lead = LeaderState { leader: status.leader, silent };
                let known = self.known_view();
                let nodes = remembered(self.report_nodes(), known.as_ref(), lead);
                noted(self.report_of(nodes), known, lead)
            }
        }
    }

    /// Requests the leader's report.
    async fn told_by(
        &self,
        leader: &str,
        url: &str,
    ) -> std::result::Result<LeaderReport, NoReport> {
        let fresh = |known: &LeaderReport| known.at.elapsed() < FRESH && known.is_of(leader);
        if let Some(known) = self.known_view().filter(fresh) {
            return Ok(known);
        }
        let at = Instant::now();
        let head = SignedHead { method: "GET", target: VIEW_PATH, ..SignedHead::default() };
        let question = PeerRequest { head, timeout: ASK_MAX, ..PeerRequest::default() };
        let answer = self.forwarding.send(url, question).await;
        let answer = answer.map_err(|error| match error.is_late() {
            true => NoReport::Late,
            false => NoReport::Gone,
        })?;
        let report = answer.json().await.map_err(|_| NoReport::Late)?;
        let known = LeaderReport { report, at };
        if !known.is_of(leader) {
            return Err(NoReport::Late);
        }
        *self.leader_view.lock() = Some(known.clone());
        Ok(known)
    }

    /// Drops the report of another leader: this node leads, and knows better.
    pub(super) fn forget_view(&self) {
        *self.leader_view.lock() = None;
    }

    fn known_view(&self) -> Option<LeaderReport> {
        self.leader_view.lock().clone()
    }
}

impl LeaderReport {
    /// Whether this node gave the report as the leader.
    fn is_of(&self, leader: &str) -> bool {
        self.report.node_id == leader && self.report.leader_id.as_deref() == Some(leader)
    }

    fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

/// What a node knows by itself, as the leader or because it is not a member.
fn alone(own: ClusterReply, leader: bool) -> ClusterReply {
    let view = ClusterView { from: own.node_id.clone(), leader, age_ms: 0, note: None };
    ClusterReply { view: Some(view), ..own }
}

/// The leader's report, passed on by another node.
fn passed_on(own: ClusterReply, known: LeaderReport) -> ClusterReply {
    let age_ms = milliseconds(known.age());
    let ClusterReply { node_id, leader_id, quorum, health, nodes, .. } = known.report;
    let view = ClusterView { from: node_id, leader: true, age_ms, note: None };
    ClusterReply { leader_id, quorum, health, nodes, view: Some(view), ..own }
}

/// The members as this node observes them, completed by the leader's last report. A silent leader
/// is shown as silent.
fn remembered(
    own: Vec<NodeInfo>,
    known: Option<&LeaderReport>,
    lead: LeaderState,
) -> Vec<NodeInfo> {
    let age_ms = known.map_or(0, |known| milliseconds(known.age()));
    let older = |ms: Option<u64>| ms.map(|ms| ms.saturating_add(age_ms));
    let earlier = |node: &NodeInfo| {
        let nodes = known.map(|known| known.report.nodes.as_slice()).unwrap_or_default();
        nodes.iter().find(|earlier| earlier.raft_id == node.raft_id).cloned()
    };
    let remember = |mut node: NodeInfo| {
        if let Some(earlier) = earlier(&node) {
            node.lag = earlier.lag;
            node.problem = earlier.problem;
            node.last_seen_ms = older(earlier.last_seen_ms);
            node.silent_ms = older(earlier.silent_ms);
        }
        if let Some((_, silence)) = lead.silent.filter(|(leader, _)| *leader == node.raft_id) {
            node.last_seen_ms = Some(milliseconds(silence));
            node.silent_ms = node.last_seen_ms;
        }
        if node.silent_ms.is_some() && node.status == NodeStatus::Active {
            node.status = NodeStatus::Inactive;
        }
        node
    };
    own.into_iter().map(remember).collect()
}

/// Adds whose knowledge it is while there is no report of the leader.
fn noted(own: ClusterReply, known: Option<LeaderReport>, lead: LeaderState) -> ClusterReply {
    let (missing, health) = match (lead.leader, own.leader_id.as_deref()) {
        (Some(_), Some(leader)) => {
            let missing = format!("The leader {leader} does not answer");
            (missing.clone(), format!("{missing}."))
        }
        _ => ("There is no leader".to_owned(), own.health.clone()),
    };
    let (from, age) = match known {
        Some(known) => (known.report.node_id.clone(), known.age()),
        None => (own.node_id.clone(), Duration::ZERO),
    };
    let age_ms = milliseconds(age);
    let what = match from == own.node_id {
        true => format!("this is what {from} knows by itself"),
        false => format!("this is what {from} knew {} ago", clocks::length(age_ms)),
    };
    let note = Some(format!("{missing}; {what}."));
    ClusterReply { health, view: Some(ClusterView { from, leader: false, age_ms, note }), ..own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::NodeRole;

    fn node(id: u64, role: NodeRole) -> NodeInfo {
        NodeInfo {
            key: format!("n{id}"),
            id: format!("n{id}"),
            raft_id: id,
            url: String::new(),
            role,
            status: NodeStatus::Active,
            description: None,
            lag: None,
            problem: None,
            last_seen_ms: None,
            silent_ms: None,
            clock_ms_ahead: None,
        }
    }

    fn report(of: &str, leader: Option<&str>, nodes: Vec<NodeInfo>) -> ClusterReply {
        ClusterReply {
            enabled: true,
            node_id: of.into(),
            state: NodeRole::Follower,
            leader_id: leader.map(str::to_owned),
            term: 3,
            cluster_id: Some("c".into()),
            applied_index: 9,
            quorum: 2,
            health: format!("as {of} sees it"),
            nodes,
            view: None,
        }
    }

    fn known(ago: Duration) -> LeaderReport {
        let mut nodes = vec![node(1, NodeRole::Leader), node(2, NodeRole::Follower)];
        (nodes[0].lag, nodes[1].lag, nodes[1].last_seen_ms) = (Some(0), Some(4), Some(20));
        let at = Instant::now().checked_sub(ago).unwrap();
        LeaderReport { report: report("n1", Some("n1"), nodes), at }
    }

    fn own() -> ClusterReply {
        report("n2", Some("n1"), vec![node(1, NodeRole::Leader), node(2, NodeRole::Follower)])
    }

    #[test]
    fn a_follower_says_what_the_leader_knows_and_of_itself_what_it_is() {
        let shown = passed_on(own(), known(Duration::ZERO));
        assert_eq!((shown.node_id.as_str(), shown.state), ("n2", NodeRole::Follower));
        assert_eq!((shown.health.as_str(), shown.nodes[1].lag), ("as n1 sees it", Some(4)));
        let view = shown.view.unwrap();
        assert_eq!((view.from.as_str(), view.leader, view.note), ("n1", true, None));
    }

    /// Symptom: for seconds after its end the leader was "Active, last seen never".
    #[test]
    fn a_leader_that_is_gone_is_silent_at_once_and_the_rest_is_as_old_as_it_is() {
        let lead = LeaderState { leader: Some(1), silent: Some((1, Duration::from_millis(70))) };
        let known = known(Duration::from_secs(5));
        let nodes = remembered(own().nodes, Some(&known), lead);
        assert_eq!((nodes[0].status, nodes[0].silent_ms), (NodeStatus::Inactive, Some(70)));
        assert_eq!((nodes[1].status, nodes[1].lag), (NodeStatus::Active, Some(4)));
        assert!(nodes[1].last_seen_ms.is_some_and(|ms| ms >= 5020), "{:?}", nodes[1].last_seen_ms);
        let view = noted(own(), Some(known), lead).view.unwrap();
        let note = "The leader n1 does not answer; this is what n1 knew 5 s ago.";
        assert_eq!((view.from.as_str(), view.leader), ("n1", false));
        assert_eq!(view.note.as_deref(), Some(note));
    }

    #[test]
    fn without_a_leader_a_node_says_that_it_speaks_for_itself() {
        let lead = LeaderState { leader: None, silent: None };
        let own = report("n2", None, Vec::new());
        let view = noted(own, None, lead).view.unwrap();
        let note = "There is no leader; this is what n2 knows by itself.";
        assert_eq!((view.from.as_str(), view.leader, view.age_ms), ("n2", false, 0));
        assert_eq!(view.note.as_deref(), Some(note));
    }

    #[test]
    fn only_a_leader_is_believed() {
        assert!(known(Duration::ZERO).is_of("n1"));
        assert!(!LeaderReport { report: own(), at: Instant::now() }.is_of("n2"));
        assert!(!known(Duration::ZERO).is_of("n2"));
    }
}
