//! The state of the cluster as the leader knows it, and how old that knowledge is. Only the leader
//! hears the members, so another node knows less by itself.

use super::health::milliseconds;
use super::{Cluster, clocks};
use crate::engine::system::{NodeRole, NodeStatus, Program};
use crate::raft::node_key::SignedHead;
use crate::raft::peer_client::PeerRequest;
use crate::raft::{GroupId, RaftId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Path of the request for the leader's report.
const VIEW_PATH: &str = "/raft/rpc/view";
/// Longest time to wait for the leader: its silence must become visible soon.
const ASK_MAX: Duration = Duration::from_millis(300);
/// Age up to which a report of the leader is reused.
const FRESH: Duration = Duration::from_millis(200);

/// The state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterReport {
    /// Whether the node was started with `distributed: true`.
    pub enabled: bool,
    /// Name of the reporting node.
    pub node_id: String,
    /// Its role.
    pub role: NodeRole,
    /// Name of the leader, if there is one.
    pub leader_id: Option<String>,
    /// The reporting node's term.
    pub term: u64,
    /// The cluster's identity; none while the node waits to be registered.
    pub cluster_id: Option<String>,
    /// Log index up to which the reporting node's state is visible to readers.
    pub applied_index: u64,
    /// Voters that must answer for a write to succeed.
    pub quorum: usize,
    /// One sentence on the cluster's health.
    pub health: String,
    /// The groups of the reporting node.
    #[serde(default)]
    pub groups: Vec<GroupReport>,
    /// The feature level that is not exceeded; none: the newest that all members support.
    #[serde(default)]
    pub max_feature_level: Option<u32>,
    /// The members.
    pub nodes: Vec<MemberReport>,
    /// Whose knowledge leader, quorum, health and members are; none: the reporting node's.
    pub source: Option<ReportSource>,
}

/// The state of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Its number.
    pub id: GroupId,
    /// The feature level in force in it.
    pub feature_level: u32,
}

/// The state of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its name (`NodeID`).
    pub id: String,
    /// Its number in Raft: the log index of the entry that admitted it.
    pub raft_id: u64,
    /// Where other nodes and clients reach it.
    pub url: String,
    /// Its role now, as far as the reporting node knows.
    pub role: NodeRole,
    /// Its state.
    pub status: NodeStatus,
    /// Free text given at registration.
    pub description: Option<String>,
    /// Log entries that it still lacks; known on the leader only.
    pub lag: Option<u64>,
    /// Why it does not get the log entries that it lacks; known on the leader only.
    pub problem: Option<String>,
    /// Milliseconds since it last answered the leader; known on the leader only.
    pub last_seen_ms: Option<u64>,
    /// The same once it is longer than an answer takes: the member is silent. None while it
    /// answers.
    pub silent_ms: Option<u64>,
    /// Milliseconds by which its clock is ahead of the cluster's time, less than 0 when it is
    /// behind; none while it is not known.
    pub clock_ms_ahead: Option<i64>,
    /// What it runs, as it has announced.
    #[serde(default)]
    pub program: Option<Program>,
}

impl MemberReport {
    /// Where other nodes reach it.
    pub fn peer_url(&self) -> &str {
        self.program.as_ref().and_then(Program::peer_url).unwrap_or(&self.url)
    }
}

/// Whose knowledge a report is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSource {
    /// Name of the node that knows it.
    pub from: String,
    /// Whether that node leads now.
    pub leader: bool,
    /// How old the knowledge is, in milliseconds.
    pub age_ms: u64,
    /// Why it is not what a leader knows now, in one sentence; none when it is.
    pub note: Option<String>,
}

/// A leader's report about the cluster.
#[derive(Debug, Clone)]
pub struct LeaderReport {
    report: ClusterReport,
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
    /// The state of the cluster, the same on every node: what the leader knows. While the leader does
    /// not answer, its last report, corrected by what this node observes.
    pub async fn shared_report(&self) -> ClusterReport {
        let Ok(group) = self.groups.system() else { return alone(self.report(), false) };
        let leader = group.leader();
        if leader == Some(group.raft_id()) {
            return alone(self.report(), true);
        }
        let report = match leader.and_then(|id| self.nodes.by_raft_id(id)) {
            Some(node) => self.leader_report(&node.id, node.peer_url()).await,
            None => Err(NoReport::Late),
        };
        match report {
            Ok(known) => passed_on(self.report(), known),
            Err(why) => {
                // What was known before the request may have changed during it.
                let status = group.status();
                let limit =
                    if why == NoReport::Gone { Duration::ZERO } else { self.silent_after() };
                let silent = status.heard.filter(|(_, silence)| *silence > limit);
                let lead = LeaderState { leader: status.leader, silent };
                let known = self.known_view();
                let nodes = with_last_report(self.report_nodes(), known.as_ref(), lead);
                with_source(self.report_of(nodes), known, lead)
            }
        }
    }

    /// Requests the leader's report.
    async fn leader_report(
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
fn alone(own: ClusterReport, leader: bool) -> ClusterReport {
    let source = ReportSource { from: own.node_id.clone(), leader, age_ms: 0, note: None };
    ClusterReport { source: Some(source), ..own }
}

/// The leader's report, passed on by another node.
fn passed_on(own: ClusterReport, known: LeaderReport) -> ClusterReport {
    let age_ms = milliseconds(known.age());
    let ClusterReport { node_id, leader_id, quorum, health, nodes, .. } = known.report;
    let source = ReportSource { from: node_id, leader: true, age_ms, note: None };
    ClusterReport { leader_id, quorum, health, nodes, source: Some(source), ..own }
}

/// The members as this node observes them, completed by the leader's last report. A silent leader
/// is shown as silent.
fn with_last_report(
    own: Vec<MemberReport>,
    known: Option<&LeaderReport>,
    lead: LeaderState,
) -> Vec<MemberReport> {
    let age_ms = known.map_or(0, |known| milliseconds(known.age()));
    let older = |ms: Option<u64>| ms.map(|ms| ms.saturating_add(age_ms));
    let earlier = |node: &MemberReport| {
        let nodes = known.map(|known| known.report.nodes.as_slice()).unwrap_or_default();
        nodes.iter().find(|earlier| earlier.raft_id == node.raft_id).cloned()
    };
    let complete = |mut node: MemberReport| {
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
    own.into_iter().map(complete).collect()
}

/// Adds whose knowledge it is while there is no report of the leader.
fn with_source(
    own: ClusterReport,
    known: Option<LeaderReport>,
    lead: LeaderState,
) -> ClusterReport {
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
    ClusterReport {
        health,
        source: Some(ReportSource { from, leader: false, age_ms, note }),
        ..own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, role: NodeRole) -> MemberReport {
        MemberReport {
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
            program: None,
        }
    }

    fn report(of: &str, leader: Option<&str>, nodes: Vec<MemberReport>) -> ClusterReport {
        ClusterReport {
            enabled: true,
            node_id: of.into(),
            role: NodeRole::Follower,
            leader_id: leader.map(str::to_owned),
            term: 3,
            cluster_id: Some("c".into()),
            applied_index: 9,
            quorum: 2,
            health: format!("as {of} sees it"),
            groups: Vec::new(),
            max_feature_level: None,
            nodes,
            source: None,
        }
    }

    fn known(ago: Duration) -> LeaderReport {
        let mut nodes = vec![node(1, NodeRole::Leader), node(2, NodeRole::Follower)];
        (nodes[0].lag, nodes[1].lag, nodes[1].last_seen_ms) = (Some(0), Some(4), Some(20));
        let at = Instant::now().checked_sub(ago).unwrap();
        LeaderReport { report: report("n1", Some("n1"), nodes), at }
    }

    fn own() -> ClusterReport {
        report("n2", Some("n1"), vec![node(1, NodeRole::Leader), node(2, NodeRole::Follower)])
    }

    #[test]
    fn a_follower_says_what_the_leader_knows_and_of_itself_what_it_is() {
        let shown = passed_on(own(), known(Duration::ZERO));
        assert_eq!((shown.node_id.as_str(), shown.role), ("n2", NodeRole::Follower));
        assert_eq!((shown.health.as_str(), shown.nodes[1].lag), ("as n1 sees it", Some(4)));
        let source = shown.source.unwrap();
        assert_eq!((source.from.as_str(), source.leader, source.note), ("n1", true, None));
    }

    /// Symptom: for seconds after its end the leader was "Active, last seen never".
    #[test]
    fn a_leader_that_is_gone_is_silent_at_once_and_the_rest_is_as_old_as_it_is() {
        let lead = LeaderState { leader: Some(1), silent: Some((1, Duration::from_millis(70))) };
        let known = known(Duration::from_secs(5));
        let nodes = with_last_report(own().nodes, Some(&known), lead);
        assert_eq!((nodes[0].status, nodes[0].silent_ms), (NodeStatus::Inactive, Some(70)));
        assert_eq!((nodes[1].status, nodes[1].lag), (NodeStatus::Active, Some(4)));
        assert!(nodes[1].last_seen_ms.is_some_and(|ms| ms >= 5020), "{:?}", nodes[1].last_seen_ms);
        let source = with_source(own(), Some(known), lead).source.unwrap();
        let note = "The leader n1 does not answer; this is what n1 knew 5 s ago.";
        assert_eq!((source.from.as_str(), source.leader), ("n1", false));
        assert_eq!(source.note.as_deref(), Some(note));
    }

    #[test]
    fn without_a_leader_a_node_says_that_it_speaks_for_itself() {
        let lead = LeaderState { leader: None, silent: None };
        let own = report("n2", None, Vec::new());
        let source = with_source(own, None, lead).source.unwrap();
        let note = "There is no leader; this is what n2 knows by itself.";
        assert_eq!((source.from.as_str(), source.leader, source.age_ms), ("n2", false, 0));
        assert_eq!(source.note.as_deref(), Some(note));
    }

    #[test]
    fn only_a_leader_is_believed() {
        assert!(known(Duration::ZERO).is_of("n1"));
        assert!(!LeaderReport { report: own(), at: Instant::now() }.is_of("n2"));
        assert!(!known(Duration::ZERO).is_of("n2"));
    }
}
