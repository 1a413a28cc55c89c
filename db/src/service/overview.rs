//! The cluster at one glance: how it is, how each node and each shard is, and why.

use super::{Response, Session};
use crate::auth::Permission;
use crate::cluster::clocks;
use crate::cluster::placement::report::{GroupReport, ReplicaReport};
use crate::cluster::report::{ClusterReport, MemberReport};
use crate::engine::placement::{GroupState, ReplicaState};
use crate::engine::system::{NodeRole, NodeStatus};
use crate::error::{Error, Kind, Result};
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{GroupId, RaftId};

/// How the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterHealth {
    /// All groups serve, with all their replicas.
    Healthy,
    /// All groups serve, but a node does not answer or replicas are missing.
    Degraded,
    /// There is no leader, or a group has no quorum.
    Unhealthy,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeCondition {
    /// It answers and does its work.
    Healthy,
    /// It answers, but something is wrong with it.
    Degraded,
    /// It answers, but cannot work.
    Unhealthy,
    /// It does not answer.
    Unreachable,
    /// Nobody knows: there is no leader that hears it.
    Unknown,
    /// Admitted, and receiving what it lacks.
    Joining,
    /// It answers, and takes no calls of clients until it is resumed.
    Paused,
    /// Being removed.
    Leaving,
}

/// How a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardHealth {
    /// It serves, with all its replicas.
    Healthy,
    /// It serves, but a replica is missing or does not answer.
    Degraded,
    /// It serves, and its replicas are moving.
    Migrating,
    /// It has no leader, or no quorum.
    Unhealthy,
    /// Not all its voters are in yet.
    Creating,
    /// Its replicas are being closed.
    Removing,
}

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterOverview {
    /// The name of the node that leads the system group.
    pub master: Option<String>,
    /// How many members there are.
    pub nodes: usize,
    /// How many of them answer and take calls.
    pub active: usize,
    /// How many groups there are but the system group.
    pub shards: usize,
    /// How it is.
    pub health: ClusterHealth,
    /// The lowest replication factor.
    pub replication_factor: usize,
    /// Names of the members that do not answer, or of which nobody knows.
    pub unavailable: Vec<String>,
    /// Names of the shards that lack replicas.
    pub under_replicated: Vec<String>,
    /// What is wrong, in sentences.
    pub reasons: Vec<String>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOverview {
    /// What is known of it.
    pub member: MemberReport,
    /// How it is.
    pub condition: NodeCondition,
    /// Why it is not healthy, in one sentence.
    pub reason: Option<String>,
    /// Replicas of shards that it holds.
    pub shards: usize,
}

/// What the cluster is made of, at one moment.
#[derive(Debug, Clone)]
pub struct ClusterParts {
    /// The members.
    pub report: ClusterReport,
    /// The groups, the system group first.
    pub groups: Vec<GroupReport>,
}

/// Tells how the cluster is.
///
/// # Errors
/// `not_authenticated`; `not_registered`, `starting`.
pub async fn status(session: &Session) -> Result<Response<ClusterOverview>> {
    session.require(Permission::Login)?;
    Ok(Response::new(ClusterParts::read(session).await?.overview()))
}

/// Lists the members, by name.
///
/// # Errors
/// Those of [`status`].
pub async fn nodes(session: &Session) -> Result<Response<Vec<NodeOverview>>> {
    session.require(Permission::Login)?;
    Ok(Response::new(ClusterParts::read(session).await?.nodes()))
}

/// One member.
///
/// # Errors
/// `node_not_found`; those of [`status`].
pub async fn node(session: &Session, id: RaftId) -> Result<Response<NodeOverview>> {
    session.require(Permission::Login)?;
    let node = ClusterParts::read(session).await?.node_with(id)?;
    Ok(Response::at(node, session.system()?.visible_index()))
}

/// The name of a shard.
pub fn shard_name(group: GroupId) -> String {
    format!("shard-{group:02}")
}

impl ReplicaReport {
    /// Whether it is a voter that is in and answers.
    fn is_live(&self) -> bool {
        let placed = matches!(self.placed, Some((_, ReplicaState::Active)));
        placed && self.wanted && self.voter && self.silent_ms.is_none()
    }
}

impl GroupReport {
    /// How many of its voters are in and answer.
    pub fn live_voters(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.is_live()).count()
    }

    /// How the shard is that it is.
    pub fn health(&self) -> ShardHealth {
        match self.state {
            GroupState::Creating => ShardHealth::Creating,
            GroupState::Removing => ShardHealth::Removing,
            GroupState::Active if !self.is_ready() => ShardHealth::Unhealthy,
            GroupState::Active if self.waits_for().is_some() => ShardHealth::Migrating,
            GroupState::Active if self.live_voters() < self.members.len() => ShardHealth::Degraded,
            GroupState::Active => ShardHealth::Healthy,
        }
    }

    /// What is wrong with it, in one sentence.
    fn complaint(&self) -> Option<String> {
        let name = match self.group {
            SYSTEM_GROUP => "the system group".to_owned(),
            group => shard_name(group),
        };
        match self.health() {
            ShardHealth::Unhealthy if self.status.is_none() => {
                Some(format!("{name} has no leader; a majority of its voters must run"))
            }
            ShardHealth::Unhealthy => {
                Some(format!("{name} has no quorum; its leader hears too few voters"))
            }
            ShardHealth::Degraded => Some(format!(
                "{name} has {} of {} replicas",
                self.live_voters(),
                self.members.len()
            )),
            _ => None,
        }
    }
}

impl ClusterParts {
    /// What this node and the leaders of the groups know now.
    ///
    /// # Errors
    /// `not_registered`, `starting`.
    pub(super) async fn read(session: &Session) -> Result<ClusterParts> {
        let cluster = &session.service().cluster;
        cluster.placements.refresh(session.system()?)?;
        let (report, groups) = tokio::join!(cluster.shared_report(), cluster.placed_groups());
        Ok(ClusterParts { report, groups: groups? })
    }

    /// The groups but the system group.
    pub fn shards(&self) -> impl Iterator<Item = &GroupReport> {
        self.groups.iter().filter(|group| group.group != SYSTEM_GROUP)
    }

    /// Whether a leader has said how the members are.
    fn is_known(&self) -> bool {
        self.report.source.as_ref().is_some_and(|source| source.leader)
    }

    /// The members, by name.
    pub fn nodes(&self) -> Vec<NodeOverview> {
        let mut nodes: Vec<_> =
            self.report.nodes.iter().map(|member| self.node(member.clone())).collect();
        nodes.sort_by(|a, b| a.member.id.cmp(&b.member.id));
        nodes
    }

    /// One member.
    ///
    /// # Errors
    /// `node_not_found`.
    pub(super) fn node_with(&self, id: RaftId) -> Result<NodeOverview> {
        let found = self.report.nodes.iter().find(|member| member.raft_id == id);
        let gone = || Error::new(Kind::NodeNotFound, format!("the node with raft_id {id} is gone"));
        Ok(self.node(found.ok_or_else(gone)?.clone()))
    }

    fn node(&self, member: MemberReport) -> NodeOverview {
        let heard = self.is_known() || member.id == self.report.node_id;
        let (condition, reason) = condition(&member, heard);
        let holds = |group: &&GroupReport| {
            let on =
                |replica: &ReplicaReport| replica.node == member.id && replica.placed.is_some();
            group.replicas.iter().any(on)
        };
        let shards = self.shards().filter(holds).count();
        NodeOverview { member, condition, reason, shards }
    }

    /// The cluster.
    pub fn overview(&self) -> ClusterOverview {
        let nodes = self.nodes();
        let gone = |node: &&NodeOverview| {
            matches!(node.condition, NodeCondition::Unreachable | NodeCondition::Unknown)
        };
        let active = |node: &&NodeOverview| {
            matches!(node.condition, NodeCondition::Healthy | NodeCondition::Degraded)
        };
        let lacking = |group: &&GroupReport| {
            group.state == GroupState::Active && group.live_voters() < group.members.len()
        };
        let factor = self.shards().map(|group| group.replication_factor as usize).min();
        let system = self.groups.first().map_or(0, |system| system.members.len());
        let master = self.report.leader_id.clone();
        let mut reasons: Vec<String> = Vec::new();
        if !self.is_known() {
            let note = self.report.source.as_ref().and_then(|source| source.note.clone());
            reasons.push(note.unwrap_or_else(|| self.report.health.clone()));
        }
        let served = self.is_known() && reasons.is_empty();
        reasons.extend(self.groups.iter().filter_map(GroupReport::complaint));
        reasons.extend(nodes.iter().filter_map(|node| match node.condition {
            NodeCondition::Paused | NodeCondition::Joining | NodeCondition::Leaving => None,
            _ => node.reason.clone(),
        }));
        let quorums = self.groups.iter().all(|group| group.health() != ShardHealth::Unhealthy);
        let health = match (served && quorums, reasons.is_empty()) {
            (false, _) => ClusterHealth::Unhealthy,
            (true, false) => ClusterHealth::Degraded,
            (true, true) => ClusterHealth::Healthy,
        };
        ClusterOverview {
            master,
            nodes: nodes.len(),
            active: nodes.iter().filter(active).count(),
            shards: self.shards().count(),
            health,
            replication_factor: factor.unwrap_or(system),
            unavailable: nodes.iter().filter(gone).map(|node| node.member.id.clone()).collect(),
            under_replicated: self
                .shards()
                .filter(lacking)
                .map(|group| shard_name(group.group))
                .collect(),
            reasons,
        }
    }
}

/// How a member is, and why it is not healthy. A silent one is never shown as one that works, whatever was
/// decided about it; nobody says of one that is not heard how it is.
pub(super) fn condition(member: &MemberReport, heard: bool) -> (NodeCondition, Option<String>) {
    let name = &member.id;
    if let Some(silent) = member.silent_ms {
        let reason = format!("{name} does not answer, silent for {}", clocks::length(silent));
        return (NodeCondition::Unreachable, Some(reason));
    }
    match (member.status, &member.problem) {
        (NodeStatus::Inactive, _) => {
            (NodeCondition::Unreachable, Some(format!("{name} does not answer")))
        }
        (_, _) if !heard => {
            let reason = format!("nobody knows how {name} is: no leader hears it");
            (NodeCondition::Unknown, Some(reason))
        }
        (NodeStatus::Joining, _) => {
            (NodeCondition::Joining, Some(format!("{name} receives what it lacks")))
        }
        (NodeStatus::Leaving, _) => {
            (NodeCondition::Leaving, Some(format!("{name} is being removed")))
        }
        (NodeStatus::Paused, _) => {
            (NodeCondition::Paused, Some(format!("{name} is paused until somebody resumes it")))
        }
        (NodeStatus::Active, Some(problem)) => {
            let reason = format!("{name} gets no log entries: {problem}");
            (NodeCondition::Degraded, Some(reason))
        }
        (NodeStatus::Active, None) => (NodeCondition::Healthy, None),
    }
}

impl MemberReport {
    /// Whether it leads the system group.
    pub fn is_master(&self) -> bool {
        self.role == NodeRole::Leader
    }

    /// Where it is reached: host and port.
    pub fn address(&self) -> String {
        let address = self.url.split_once("://").map_or(self.url.as_str(), |(_, address)| address);
        address.trim_end_matches('/').to_owned()
    }
}
