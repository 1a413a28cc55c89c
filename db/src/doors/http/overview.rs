//! The cluster at one glance over HTTP, with JadeVectorDB's shapes: how it is, its nodes, what they use,
//! what is wrong.

use super::call::Call;
use super::cluster::ADMISSION_ERRORS;
use super::describe::{CLUSTER, NODE_ERRORS, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::shards;
use crate::cluster::node_state;
use crate::error::{Kind, Result};
use crate::host::HostUsage;
use crate::raft::types::SYSTEM_GROUP;
use crate::service::node_health::{self, NodeProblem, percent};
use crate::service::{cluster, overview};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    ClusterHealth, ClusterMetrics, ClusterOverview, DiagnosticError, Diagnostics, HeldReplica,
    NodeAddition, NodeCondition, NodeHealthReply, NodeMetrics, NodeOverview, NodeRank, NodeUsage,
    ShardHealth,
};
use std::rc::Rc;

macro_rules! same_words {
    ($($name:ident: $($variant:ident)*;)*) => {$(
        impl IntoWire for overview::$name {
            type Wire = $name;
            fn into_wire(self) -> $name {
                match self { $(overview::$name::$variant => $name::$variant,)* }
            }
        }
    )*};
}
same_words! {
    ClusterHealth: Healthy Degraded Unhealthy;
    NodeCondition: Healthy Degraded Unhealthy Unreachable Unknown Joining Paused Leaving;
    ShardHealth: Healthy Degraded Migrating Unhealthy Creating Removing;
}

fn rank(is_master: bool) -> NodeRank {
    if is_master { NodeRank::Master } else { NodeRank::Worker }
}

impl IntoWire for overview::ClusterOverview {
    type Wire = ClusterOverview;
    fn into_wire(self) -> ClusterOverview {
        ClusterOverview {
            master_node: self.master,
            total_nodes: self.nodes as u64,
            active_nodes: self.active as u64,
            total_shards: self.shards as u64,
            status: self.health.into_wire(),
            replication_factor: self.replication_factor as u64,
            unavailable_nodes: self.unavailable,
            under_replicated_shards: self.under_replicated,
            reasons: self.reasons,
        }
    }
}

impl IntoWire for overview::NodeOverview {
    type Wire = NodeOverview;
    fn into_wire(self) -> NodeOverview {
        let (role, address) = (rank(self.member.is_master()), self.member.address());
        let program = self.member.program;
        NodeOverview {
            node_id: self.member.id,
            role,
            address,
            status: self.condition.into_wire(),
            shards: self.shards as u64,
            last_seen_ms: self.member.last_seen_ms,
            lag: self.member.lag,
            version: program.as_ref().map(|program| program.version.clone()),
            zone: program.and_then(|program| program.zone),
            reason: self.reason,
        }
    }
}

impl IntoWire for HostUsage {
    type Wire = NodeUsage;
    fn into_wire(self) -> NodeUsage {
        NodeUsage {
            cpu_usage: self.cpu_percent,
            process_cpu_usage: self.process_cpu_percent,
            processors: self.processors,
            memory_usage: self.memory_percent(),
            memory_bytes: self.memory_bytes,
            memory_available_bytes: self.memory_available_bytes,
            resident_bytes: self.resident_bytes,
            disk_usage: self.disk_percent(),
            disk_bytes: self.disk_bytes,
            disk_free_bytes: self.disk_free_bytes,
            data_bytes: self.data_bytes,
            uptime_ms: self.uptime_ms,
            open_files: self.open_files,
            open_files_max: self.open_files_max,
        }
    }
}

impl IntoWire for node_state::HeldReplica {
    type Wire = HeldReplica;
    fn into_wire(self) -> HeldReplica {
        HeldReplica {
            group: self.group.into(),
            role: self.role.map(IntoWire::into_wire),
            term: self.term,
            last_log_index: self.last_log,
            applied_index: self.applied,
            bytes: self.bytes,
            failure: self.failure,
        }
    }
}

impl IntoWire for node_health::NodeHealth {
    type Wire = NodeHealthReply;
    fn into_wire(self) -> NodeHealthReply {
        let (raft_id, reachable) = (self.node.member.raft_id, self.state.is_some());
        let known = self.node.into_wire();
        let (version, feature_level, usage, replicas, warnings) = match self.state {
            Some(state) => (
                Some(state.version),
                state.feature_level,
                state.usage,
                state.replicas,
                state.warnings,
            ),
            None => (known.version, None, None, Vec::new(), Vec::new()),
        };
        NodeHealthReply {
            node_id: known.node_id,
            role: known.role,
            address: known.address,
            status: known.status,
            reachable,
            reason: known.reason,
            shards: known.shards,
            raft_id,
            last_seen_ms: known.last_seen_ms,
            lag: known.lag,
            version,
            feature_level,
            usage: usage.map(IntoWire::into_wire),
            groups: replicas.into_iter().map(IntoWire::into_wire).collect(),
            warnings,
        }
    }
}

impl IntoWire for node_health::NodeMetrics {
    type Wire = NodeMetrics;
    fn into_wire(self) -> NodeMetrics {
        let (usage, reason) = match self.usage {
            Ok(usage) => (Some(usage.into_wire()), None),
            Err(reason) => (None, Some(reason)),
        };
        NodeMetrics { node_id: self.node, reachable: self.reachable, reason, usage }
    }
}

impl IntoWire for node_health::ClusterMetrics {
    type Wire = ClusterMetrics;
    fn into_wire(self) -> ClusterMetrics {
        let memory_bytes = self.sum(|usage| usage.memory_bytes);
        let memory_free = self.sum(|usage| usage.memory_available_bytes);
        let disk_bytes = self.sum(|usage| usage.disk_bytes);
        let disk_free_bytes = self.sum(|usage| usage.disk_free_bytes);
        ClusterMetrics {
            cpu_usage: self.cpu_percent(),
            memory_usage: percent(memory_bytes.saturating_sub(memory_free), memory_bytes),
            disk_usage: percent(disk_bytes.saturating_sub(disk_free_bytes), disk_bytes),
            memory_bytes,
            resident_bytes: self.sum(|usage| usage.resident_bytes),
            disk_bytes,
            disk_free_bytes,
            data_bytes: self.sum(|usage| usage.data_bytes),
            documents: self.documents,
            bytes: self.bytes,
            reporting_nodes: self.known().count() as u64,
            total_nodes: self.nodes.len() as u64,
            missing: self.missing,
            nodes: self.nodes.into_iter().map(IntoWire::into_wire).collect(),
        }
    }
}

impl IntoWire for NodeProblem {
    type Wire = DiagnosticError;
    fn into_wire(self) -> DiagnosticError {
        DiagnosticError {
            message: self.logged.text,
            severity: if self.logged.error { "error" } else { "warning" }.into(),
            node_id: Some(self.node),
            time_ms: Some(self.logged.at_ms),
        }
    }
}

impl IntoWire for node_health::Diagnostics {
    type Wire = Diagnostics;
    fn into_wire(self) -> Diagnostics {
        let now = |message| DiagnosticError {
            message,
            severity: "error".into(),
            node_id: None,
            time_ms: None,
        };
        let errors = self.wrong.into_iter().map(now);
        let data = self.groups.iter().filter(|group| group.group != SYSTEM_GROUP);
        Diagnostics {
            collected_by: self.collected_by,
            time_ms: self.time_ms,
            topology: self.overview.into_wire(),
            nodes: self.nodes.into_iter().map(IntoWire::into_wire).collect(),
            shards: data.cloned().map(shards::info).collect(),
            replication: self.groups.into_iter().map(IntoWire::into_wire).collect(),
            performance: self.metrics.into_wire(),
            errors: errors.chain(self.problems.into_iter().map(IntoWire::into_wire)).collect(),
        }
    }
}

/// `GET /api/v1/cluster/status`
pub const STATUS: Endpoint = Endpoint::new(
    |call| Box::pin(status(call)),
    || {
        describe(CLUSTER, "Tell how the cluster is, in a few figures and one word")
            .gives::<ClusterOverview>(200)
    },
);

async fn status(call: Rc<Call>) -> Result<Reply> {
    let seen = overview::status(&call.session).await?;
    Ok(Reply::of(seen.map(|seen| Reply::json(&seen.into_wire()))))
}

/// `GET /api/v1/cluster/nodes`
pub const NODES: Endpoint = Endpoint::new(
    |call| Box::pin(nodes(call)),
    || describe(CLUSTER, "List the nodes, and how each is").gives::<Vec<NodeOverview>>(200),
);

async fn nodes(call: Rc<Call>) -> Result<Reply> {
    let nodes = overview::nodes(&call.session).await?;
    Ok(Reply::of(
        nodes.map(|nodes| {
            Reply::json(&nodes.into_iter().map(IntoWire::into_wire).collect::<Vec<_>>())
        }),
    ))
}

/// `POST /api/v1/cluster/nodes`
pub const ADD_NODE: Endpoint = Endpoint::new(
    |call| Box::pin(add_node(call)),
    || {
        describe(
            CLUSTER,
            "Add the node of this name at this address; succeeds if it is there already",
        )
        .body::<NodeAddition>()
        .gives::<NodeOverview>(201)
        .proposes()
        .fails(NODE_ERRORS)
        .fails(ADMISSION_ERRORS)
    },
);

async fn add_node(call: Rc<Call>) -> Result<Reply> {
    let NodeAddition { node_id, address } = call.json()?;
    let added = cluster::add_node(&call.session, Some(&node_id), &address, false).await?.value;
    let node = overview::node(&call.session, added.raft_id).await?;
    Ok(Reply::of(node.map(|node| Reply::json(&node.into_wire()).with_status(201))))
}

/// `GET /api/v1/cluster/nodes/{node}/health`
pub const NODE_HEALTH: Endpoint = Endpoint::new(
    |call| Box::pin(node_health(call)),
    || {
        describe(
            CLUSTER,
            "Ask a node how it is; one that does not answer has reachable: false and the reason",
        )
        .gives::<NodeHealthReply>(200)
        .fails(&[Kind::NodeNotFound])
    },
);

async fn node_health(call: Rc<Call>) -> Result<Reply> {
    let seen = node_health::node_health(&call.session, call.required(&["node"])?).await?;
    Ok(Reply::of(seen.map(|seen| Reply::json(&seen.into_wire()))))
}

/// `GET /api/v1/cluster/metrics`
pub const METRICS: Endpoint = Endpoint::new(
    |call| Box::pin(metrics(call)),
    || {
        describe(CLUSTER, "Tell what the nodes use: processors, memory, disk")
            .gives::<ClusterMetrics>(200)
    },
);

async fn metrics(call: Rc<Call>) -> Result<Reply> {
    let seen = node_health::metrics(&call.session).await?;
    Ok(Reply::of(seen.map(|seen| Reply::json(&seen.into_wire()))))
}

/// `GET /api/v1/cluster/diagnostics`
pub const DIAGNOSTICS: Endpoint = Endpoint::new(
    |call| Box::pin(diagnostics(call)),
    || {
        describe(CLUSTER, "Tell all that helps to find out what is wrong, without documents")
            .gives::<Diagnostics>(200)
    },
);

async fn diagnostics(call: Rc<Call>) -> Result<Reply> {
    let seen = node_health::diagnostics(&call.session).await?;
    Ok(Reply::of(seen.map(|seen| Reply::json(&seen.into_wire()))))
}
