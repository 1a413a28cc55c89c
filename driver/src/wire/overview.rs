//! The cluster at one glance, as JadeVectorDB's operators see it: how it is, what its nodes are and use,
//! what is wrong.

use super::{GroupReply, NodeRole, ShardInfo};
use serde::{Deserialize, Serialize};

/// How the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ClusterHealth {
    /// All groups serve, with all their replicas.
    Healthy,
    /// All groups serve, but a node does not answer or replicas are missing.
    Degraded,
    /// There is no leader, or a group has no quorum.
    Unhealthy,
}

/// What a node is for the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeRank {
    /// It leads the system group.
    Master,
    /// Any other node.
    Worker,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
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

upper_case_display!(ClusterHealth, NodeRank, NodeCondition, ShardHealth);

/// Answer of `GET /api/v1/cluster/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterOverview {
    /// The node that leads the system group; null while there is none.
    pub master_node: Option<String>,
    /// How many members there are.
    pub total_nodes: u64,
    /// How many of them answer and take calls.
    pub active_nodes: u64,
    /// How many shards there are: the groups but the system group.
    pub total_shards: u64,
    /// How the cluster is.
    pub status: ClusterHealth,
    /// Replicas that each shard is to have, of different factors the lowest; without shards those of the
    /// system group, which holds all databases then.
    pub replication_factor: u64,
    /// Names of the members that do not answer, or of which nobody knows.
    pub unavailable_nodes: Vec<String>,
    /// Names of the shards with fewer live replicas than they are to have.
    pub under_replicated_shards: Vec<String>,
    /// What is wrong, in sentences; empty while nothing is.
    pub reasons: Vec<String>,
}

/// One member in `GET /api/v1/cluster/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeOverview {
    /// Its name (`NodeID`).
    pub node_id: String,
    /// What it is for the cluster.
    pub role: NodeRank,
    /// Where it is reached: host and port.
    pub address: String,
    /// How it is.
    pub status: NodeCondition,
    /// Replicas of shards that it holds.
    pub shards: u64,
    /// Milliseconds since it last answered the leader; absent while nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_ms: Option<u64>,
    /// Log entries of the system group that it lacks; absent while nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// The version of the program that it runs, as it has announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The zone that it is in, such as a rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Why it is not healthy, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Body of `POST /api/v1/cluster/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodeAddition {
    /// The name that the node has (`NodeID`).
    pub node_id: String,
    /// Where it is reached: `host:port`, or with `http://` or `https://` before it.
    pub address: String,
}

/// What a node and its machine use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeUsage {
    /// Use of the machine's processors by all programs in the last moments, in percent of all of them.
    pub cpu_usage: f64,
    /// Use of the machine's processors by the node, in percent of all of them.
    pub process_cpu_usage: f64,
    /// How many processors the machine has.
    pub processors: u64,
    /// Use of the machine's memory by all programs, in percent.
    pub memory_usage: f64,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// What of it is available to programs.
    pub memory_available_bytes: u64,
    /// Memory of the node's process that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Use of the disk with the data directory by all programs, in percent.
    pub disk_usage: f64,
    /// Size of that disk, in bytes.
    pub disk_bytes: u64,
    /// What of it is free for the node.
    pub disk_free_bytes: u64,
    /// Space that the data directory takes on it.
    pub data_bytes: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// Files and connections that the node has open; absent on one of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// How many it may have open; absent for as many as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files_max: Option<u64>,
}

/// A replica that a node holds, as the node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldReplica {
    /// The number of its group; 0 is the system group.
    pub group: u64,
    /// Its role; absent when it has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<NodeRole>,
    /// Its term.
    pub term: u64,
    /// Log index of its last entry.
    pub last_log_index: u64,
    /// Log index up to which readers see its state.
    pub applied_index: u64,
    /// Bytes of its state.
    pub bytes: u64,
    /// Why it has stopped, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Answer of `GET /api/v1/cluster/nodes/{node}/health`: what the leader knows of a node, and what the node
/// says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeHealthReply {
    /// Its name (`NodeID`).
    pub node_id: String,
    /// What it is for the cluster.
    pub role: NodeRank,
    /// Where it is reached: host and port.
    pub address: String,
    /// How it is.
    pub status: NodeCondition,
    /// Whether it has answered the node that was called. If not, all that it would say of itself is absent.
    pub reachable: bool,
    /// Why it is not healthy, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Replicas of shards that it holds.
    pub shards: u64,
    /// Its number in Raft: the log index of the entry that admitted it.
    pub raft_id: u64,
    /// Milliseconds since it last answered the leader; absent while nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_ms: Option<u64>,
    /// Log entries of the system group that it lacks; absent while nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// The version of the program that it runs, as it says or has announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The feature level in force in the system group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_level: Option<u32>,
    /// What it and its machine use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<NodeUsage>,
    /// The replicas that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<HeldReplica>,
    /// What an operator should look at though it serves calls: nodes whose clocks are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What one node uses, in [`ClusterMetrics`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeMetrics {
    /// Its name (`NodeID`).
    pub node_id: String,
    /// Whether it has answered; if not, there are no figures of it.
    pub reachable: bool,
    /// Why there are none, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it and its machine use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<NodeUsage>,
}

/// Answer of `GET /api/v1/cluster/metrics`. What is said of the cluster is made of the figures of the nodes
/// that have answered; nodes on one machine count its processors, memory and disk each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterMetrics {
    /// Use of the machines' processors, in percent: the average of the nodes. Null when no node has said.
    pub cpu_usage: Option<f64>,
    /// Use of the machines' memory, in percent.
    pub memory_usage: Option<f64>,
    /// Use of the disks, in percent.
    pub disk_usage: Option<f64>,
    /// Memory of the machines, in bytes.
    pub memory_bytes: u64,
    /// Memory of the nodes' processes that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Size of the disks, in bytes.
    pub disk_bytes: u64,
    /// What of it is free.
    pub disk_free_bytes: u64,
    /// Space that the data directories take.
    pub data_bytes: u64,
    /// How many documents the databases hold, each counted once.
    pub documents: u64,
    /// Bytes of the states of all groups, one replica of each.
    pub bytes: u64,
    /// How many nodes have answered.
    pub reporting_nodes: u64,
    /// How many members there are.
    pub total_nodes: u64,
    /// What the figures lack, in sentences: nodes that did not answer, groups without a leader.
    pub missing: Vec<String>,
    /// The figures of each node.
    pub nodes: Vec<NodeMetrics>,
}

/// Something that is or was wrong, in [`Diagnostics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiagnosticError {
    /// What is wrong, in one sentence.
    pub message: String,
    /// `error`, or `warning` for what may be worth a look.
    pub severity: String,
    /// The node that has logged it; absent for what is wrong now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// When it was logged, in milliseconds since 1970; absent for what is wrong now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

/// Answer of `GET /api/v1/cluster/diagnostics`: all of the above at one moment. It holds no documents and
/// no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnostics {
    /// The node that has collected it.
    pub collected_by: String,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// The cluster.
    pub topology: ClusterOverview,
    /// Each node.
    pub nodes: Vec<NodeHealthReply>,
    /// The shards, and where they are.
    pub shards: Vec<ShardInfo>,
    /// All groups, the system group first, with how far each replica is.
    pub replication: Vec<GroupReply>,
    /// What the nodes use.
    pub performance: ClusterMetrics,
    /// What is wrong now, then the warnings and errors that the nodes have logged last, the newest first.
    pub errors: Vec<DiagnosticError>,
}
