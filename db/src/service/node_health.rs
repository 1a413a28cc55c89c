//! What the nodes say of themselves: the health of one, what all of them use, and everything that helps to
//! find out what is wrong. Each node is asked; one that does not answer has no figures.

use super::groups::raft_ids;
use super::overview::{ClusterOverview, ClusterParts, NodeCondition, NodeOverview};
use super::{Response, Session};
use crate::auth::Permission;
use crate::cluster::node_state::{NodeState, StateAnswer};
use crate::cluster::placement::report::GroupReport;
use crate::engine::system::NodeDocument;
use crate::error::Result;
use crate::host::{HostUsage, rounded};
use crate::raft::clock::wall_ms;
use crate::recent::LoggedProblem;
use std::cmp::Reverse;

/// The health of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeHealth {
    /// What the cluster knows of it, with what it has said.
    pub node: NodeOverview,
    /// What it says of itself; none when it does not answer.
    pub state: Option<NodeState>,
}

/// What one node uses.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeMetrics {
    /// Its name.
    pub node: String,
    /// What it uses; else why that is not known.
    pub usage: std::result::Result<HostUsage, String>,
    /// Whether it has answered.
    pub reachable: bool,
}

/// What the cluster holds and uses.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterMetrics {
    /// How many documents the databases hold.
    pub documents: u64,
    /// Bytes of the states of all groups, one replica of each.
    pub bytes: u64,
    /// The figures of each node.
    pub nodes: Vec<NodeMetrics>,
    /// What the figures lack, in sentences.
    pub missing: Vec<String>,
}

/// Something that a node has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProblem {
    /// The name of the node.
    pub node: String,
    /// What it has logged.
    pub logged: LoggedProblem,
}

/// Everything that helps to find out what is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// The name of the node that has collected it.
    pub collected_by: String,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// The cluster.
    pub overview: ClusterOverview,
    /// Each node.
    pub nodes: Vec<NodeHealth>,
    /// The groups, the system group first.
    pub groups: Vec<GroupReport>,
    /// What the nodes use.
    pub metrics: ClusterMetrics,
    /// What is wrong now, in sentences.
    pub wrong: Vec<String>,
    /// What the nodes have logged last, the newest first.
    pub problems: Vec<NodeProblem>,
}

/// The health of one node, given by name or address.
///
/// # Errors
/// `node_not_found`, `forbidden`; `not_registered`, `starting`.
pub async fn node_health(session: &Session, name: &str) -> Result<Response<NodeHealth>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let name = match cluster.nodes.named(name) {
        Some(node) => node.id,
        None => name.to_owned(),
    };
    let id = raft_ids(&cluster.nodes.all(), &[name])?[0];
    let parts = ClusterParts::read(session).await?;
    let node = parts.node_with(id)?;
    let answer = cluster.state_of(&node.member.id, node.member.peer_url()).await;
    Ok(Response::new(health(node, answer)))
}

/// What the cluster holds and what its nodes use.
///
/// # Errors
/// `forbidden`; `not_registered`, `starting`.
pub async fn metrics(session: &Session) -> Result<Response<ClusterMetrics>> {
    session.require(Permission::Admin)?;
    let (parts, answers) = collect(session).await?;
    Ok(Response::new(figures(&parts.groups, &answers)))
}

/// Everything that helps to find out what is wrong: no documents, and no secrets.
///
/// # Errors
/// `forbidden`; `not_registered`, `starting`.
pub async fn diagnostics(session: &Session) -> Result<Response<Diagnostics>> {
    session.require(Permission::Admin)?;
    let (parts, answers) = collect(session).await?;
    let overview = parts.overview();
    let metrics = figures(&parts.groups, &answers);
    let said = |node: &NodeOverview| {
        let answer = answers.iter().find(|(name, _)| *name == node.member.id);
        let unasked = || Err(format!("{} has just been admitted", node.member.id));
        answer.map_or_else(unasked, |(_, answer)| answer.clone())
    };
    let with_answer = |node: NodeOverview| {
        let answer = said(&node);
        health(node, answer)
    };
    let nodes: Vec<_> = parts.nodes().into_iter().map(with_answer).collect();
    Ok(Response::new(Diagnostics {
        collected_by: session.service().cluster.node_id().to_owned(),
        time_ms: wall_ms(),
        wrong: complaints(&overview, &nodes),
        problems: problems(&answers),
        overview,
        nodes,
        groups: parts.groups,
        metrics,
    }))
}

/// The nodes by name, with what they have answered.
type Answers = Vec<(String, StateAnswer)>;

async fn collect(session: &Session) -> Result<(ClusterParts, Answers)> {
    let cluster = &session.service().cluster;
    let nodes = cluster.nodes.all();
    let (parts, states) = tokio::join!(ClusterParts::read(session), cluster.states_of(&nodes));
    let names = nodes.iter().map(|node: &NodeDocument| node.id.clone());
    let mut answers: Answers = names.zip(states).collect();
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((parts?, answers))
}

/// What the cluster knows of a node, corrected by what it has answered or that it has not.
fn health(mut node: NodeOverview, answer: StateAnswer) -> NodeHealth {
    let state = match answer {
        Ok(state) => state,
        Err(reason) => {
            // The leader's word on it stays; this node could not ask.
            node.condition = NodeCondition::Unreachable;
            node.reason = Some(match node.reason {
                Some(known) => format!("{known}; {reason}"),
                None => reason,
            });
            return NodeHealth { node, state: None };
        }
    };
    let found = match state.health.as_str() {
        "ok" => None,
        "paused" => Some(NodeCondition::Paused),
        "waiting" | "starting" => Some(NodeCondition::Joining),
        "removed" | "stopping" => Some(NodeCondition::Leaving),
        "failed" => Some(NodeCondition::Unhealthy),
        _ => Some(NodeCondition::Degraded),
    };
    if let Some(found) = found {
        (node.condition, node.reason) = (found, state.reason.clone());
    } else if node.condition == NodeCondition::Unknown {
        (node.condition, node.reason) = (NodeCondition::Healthy, None);
    }
    if let Some(failed) = state.replicas.iter().find(|replica| replica.failure.is_some()) {
        let why = failed.failure.clone().unwrap_or_default();
        node.condition = NodeCondition::Unhealthy;
        node.reason = Some(format!("its replica of group {} has stopped: {why}", failed.group));
    }
    NodeHealth { node, state: Some(state) }
}

fn figures(groups: &[GroupReport], answers: &Answers) -> ClusterMetrics {
    let led = groups.iter().filter_map(|group| group.status.as_ref());
    let (documents, bytes) = led.fold((0, 0), |(documents, bytes), status| {
        (documents + status.documents, bytes + status.bytes)
    });
    let nodes: Vec<_> = answers
        .iter()
        .map(|(name, answer)| NodeMetrics {
            node: name.clone(),
            reachable: answer.is_ok(),
            usage: match answer {
                Ok(state) => state
                    .usage
                    .ok_or_else(|| format!("{name} answers, but its system does not say")),
                Err(reason) => Err(reason.clone()),
            },
        })
        .collect();
    let silent = nodes.iter().filter_map(|node| node.usage.clone().err());
    let leaderless = groups.iter().filter(|group| group.status.is_none());
    let leaderless = leaderless
        .map(|group| format!("group {} has no leader: its documents are not counted", group.group));
    let missing = silent.chain(leaderless).collect();
    ClusterMetrics { documents, bytes, nodes, missing }
}

impl ClusterMetrics {
    /// What the nodes use that have said so.
    pub fn known(&self) -> impl Iterator<Item = &HostUsage> {
        self.nodes.iter().filter_map(|node| node.usage.as_ref().ok())
    }

    /// A figure of all nodes together.
    pub fn sum(&self, figure: impl Fn(&HostUsage) -> u64) -> u64 {
        self.known().map(figure).sum()
    }

    /// The average use of the processors of the machines, in percent; none if no node has said.
    pub fn cpu_percent(&self) -> Option<f64> {
        let count = self.known().count();
        let sum: f64 = self.known().map(|usage| usage.cpu_percent).sum();
        (count > 0).then(|| rounded(sum / count as f64))
    }
}

impl HostUsage {
    /// The use of the machine's memory, in percent.
    pub fn memory_percent(&self) -> f64 {
        percent(self.memory_bytes.saturating_sub(self.memory_available_bytes), self.memory_bytes)
            .unwrap_or_default()
    }

    /// The use of the disk, in percent.
    pub fn disk_percent(&self) -> f64 {
        percent(self.disk_bytes.saturating_sub(self.disk_free_bytes), self.disk_bytes)
            .unwrap_or_default()
    }
}

/// A part in percent of the whole, if there is one.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64 * 100.0))
}

/// What is wrong now: what the cluster knows, and what asking the nodes has shown beside it.
fn complaints(overview: &ClusterOverview, nodes: &[NodeHealth]) -> Vec<String> {
    let mut all = overview.reasons.clone();
    let warnings = nodes.iter().filter_map(|node| node.state.as_ref());
    let warnings = warnings.flat_map(|state| state.warnings.iter().cloned());
    let shown = nodes.iter().filter(|health| match health.node.condition {
        NodeCondition::Degraded | NodeCondition::Unhealthy => true,
        NodeCondition::Unreachable => !overview.unavailable.contains(&health.node.member.id),
        _ => false,
    });
    for wrong in shown.filter_map(|health| health.node.reason.clone()).chain(warnings) {
        if !all.contains(&wrong) {
            all.push(wrong);
        }
    }
    all
}

/// What all nodes have logged last, the newest first.
fn problems(answers: &Answers) -> Vec<NodeProblem> {
    let mut all: Vec<NodeProblem> = answers
        .iter()
        .filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?)))
        .flat_map(|(name, state)| {
            let logged = state.problems.iter().cloned();
            logged.map(|logged| NodeProblem { node: name.clone(), logged })
        })
        .collect();
    all.sort_by_key(|problem| Reverse(problem.logged.at_ms));
    all
}

#[cfg(test)]
mod tests {
    use super::super::overview_tests::parts;
    use super::*;

    fn state(health: &str, cpu_percent: f64) -> NodeState {
        let usage = HostUsage {
            cpu_percent,
            process_cpu_percent: 1.0,
            processors: 4,
            resident_bytes: 10,
            memory_bytes: 400,
            memory_available_bytes: 100,
            disk_bytes: 1000,
            disk_free_bytes: 900,
            data_bytes: 7,
            uptime_ms: 5,
            open_files: Some(7),
            open_files_max: None,
        };
        NodeState {
            health: health.into(),
            reason: (health != "ok").then(|| format!("this node is {health}")),
            version: "1.2.3".into(),
            feature_level: Some(1),
            usage: Some(usage),
            replicas: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_node_without_an_answer_has_no_figures() {
        let late = Err("n3 does not answer n2: no answer in time".to_owned());
        let answers = vec![
            ("n1".to_owned(), Ok(state("ok", 30.0))),
            ("n2".to_owned(), Ok(state("ok", 91.5))),
            ("n3".to_owned(), late.clone()),
        ];
        let groups = parts(None).groups;
        let seen = figures(&groups, &answers);
        assert_eq!((seen.cpu_percent(), seen.sum(|usage| usage.memory_bytes)), (Some(60.8), 800));
        assert_eq!((seen.documents, seen.bytes), (210, 3 * 4096));
        assert_eq!(seen.missing, ["n3 does not answer n2: no answer in time"]);
        let usage = seen.nodes[0].usage.clone().unwrap();
        assert_eq!((usage.memory_percent(), usage.disk_percent()), (75.0, 10.0));
        assert!(!seen.nodes[2].reachable && seen.nodes[2].usage.is_err());
        let nobody = figures(&groups, &vec![("n3".to_owned(), late)]);
        assert_eq!(nobody.cpu_percent(), None);
    }

    #[test]
    fn what_a_node_says_of_itself_counts_more_than_what_is_thought_of_it() {
        let node = parts(None).nodes().remove(1);
        let seen = |answer| {
            let NodeHealth { node, state } = health(node.clone(), answer);
            (node.condition, node.reason, state.is_some())
        };
        assert_eq!(seen(Ok(state("ok", 0.0))), (NodeCondition::Healthy, None, true));
        let reason = Some("this node is paused".to_owned());
        assert_eq!(seen(Ok(state("paused", 0.0))), (NodeCondition::Paused, reason, true));
        let reason = Some("no answer".to_owned());
        assert_eq!(seen(Err("no answer".into())), (NodeCondition::Unreachable, reason, false));
    }

    #[test]
    fn problems_of_all_nodes_are_in_one_order() {
        let logged = |at_ms| LoggedProblem { at_ms, error: true, text: at_ms.to_string() };
        let with = |times: &[u64]| NodeState {
            problems: times.iter().copied().map(logged).collect(),
            ..state("ok", 0.0)
        };
        let answers =
            vec![("n1".to_owned(), Ok(with(&[1, 5]))), ("n2".to_owned(), Ok(with(&[2, 3])))];
        let all: Vec<_> = problems(&answers).iter().map(|found| found.logged.at_ms).collect();
        assert_eq!(all, [5, 3, 2, 1]);
    }
}
