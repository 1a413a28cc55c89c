//! Nodes as processes on one machine, and the state of a node's peers, in the shapes of the Python
//! cluster manager.

use super::RingReply;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Body of `POST /cluster/add-node`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProcess {
    /// Its name (`NodeID`); default: `db-node-` and the next number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Its port; default: the next free one after those of the members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its address, on loopback; default: 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of a file in the folder `config` of `StartNodesIn`; its folder and extension do not
    /// matter. Default: `config-local`, which is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
}

/// The process of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// Program and arguments.
    pub command: String,
    /// The node that it runs.
    pub node_id: String,
    /// Its port.
    pub port: u16,
}

/// Answer of `POST /cluster/add-node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StartedNode {
    /// True.
    pub success: bool,
    /// What was done, in a sentence.
    pub message: String,
    /// The name of the node.
    pub node_id: String,
    /// Its address, without a scheme.
    pub node_address: String,
    /// Its port.
    pub port: u16,
    /// Its process.
    pub process_info: ProcessInfo,
    /// Members of the cluster, with it.
    pub cluster_size: usize,
}

/// Body of `POST /cluster/remove-node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EndNode {
    /// The address of the node, with or without a scheme.
    pub node_address: String,
    /// Whether its process is stopped too; default: true.
    #[serde(default = "yes")]
    pub stop_process: bool,
}

fn yes() -> bool {
    true
}

/// Answer of `POST /cluster/remove-node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndedNode {
    /// True.
    pub success: bool,
    /// What was done, in a sentence.
    pub message: String,
    /// The address of the node.
    pub node_address: String,
    /// Whether its process was stopped; false if it was not asked for, or there was none any more.
    pub process_stopped: bool,
    /// Members of the cluster, without it.
    pub cluster_size: usize,
}

/// One node in `GET /cluster/list-nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListedNode {
    /// Its address, without a scheme.
    pub node_address: String,
    /// Its name.
    pub node_id: String,
    /// Whether it is the one that answers.
    pub is_current: bool,
    /// `running`, `joining`, `paused`, `leaving`; `not_responding` when it is silent, `unknown` while
    /// there is no leader that could know.
    pub status: String,
}

/// Answer of `GET /cluster/list-nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListedNodes {
    /// Members of the cluster.
    pub cluster_size: usize,
    /// The members.
    pub nodes: Vec<ListedNode>,
    /// The address of the node that answers.
    pub current_node: String,
}

/// How a peer is, in `GET /cluster/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeerHealth {
    /// `healthy`; `unhealthy` when it does not answer this node; `joining`, `paused`, `leaving`, and
    /// `inactive` when it answers this node and not the leader.
    pub status: String,
    /// Seconds until it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time: Option<f64>,
    /// Why it is unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of `GET /cluster/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeersReply {
    /// Members of the cluster.
    pub cluster_size: usize,
    /// The address of the node that answers.
    pub current_node: String,
    /// The addresses of the others.
    pub peers: Vec<String>,
    /// Whether all groups are placed and serve.
    pub hash_ring_initialized: bool,
    /// How the replicas are spread over the nodes.
    pub hash_ring: RingReply,
    /// Voters of the system group.
    pub replication_factor: usize,
    /// How the other nodes answer this one, by address.
    pub peer_health: BTreeMap<String, PeerHealth>,
}
