//! Shards, which are groups of replicas as JadeVectorDB's clients see them, and how replicas are spread.

use serde::{Deserialize, Serialize};

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardInfo {
    /// Its name, made of the number of its group: `shard-03`.
    pub shard_id: String,
    /// The node that leads it; empty while there is no leader.
    pub primary_node: String,
    /// How many replicas it has.
    pub replicas: u64,
    /// The nodes that they are on.
    pub nodes: Vec<String>,
    /// How many documents it holds, under the name that JadeVectorDB has for it.
    pub vector_count: u64,
    /// How many documents it holds.
    pub documents: u64,
    /// Bytes of its state on the leader.
    pub bytes: u64,
    /// `active`, `migrating`, `creating`, `removing`, or `unavailable` without a leader.
    pub status: String,
    /// Log entries that the replica that is to come lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_left: Option<u64>,
    /// What the migration waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// How a replica gets to another node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MigrationStrategy {
    /// The new replica receives the log, or the state where the log does not go back far enough, catches
    /// up, and takes over the vote; then the old one goes.
    #[default]
    LiveCopy,
}

/// Body of `POST /api/v1/cluster/shards/{shard}/migrate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// The node that is to give its replica up.
    pub from_node: String,
    /// The node that is to have it.
    pub to_node: String,
    /// How it gets there.
    #[serde(default)]
    pub strategy: MigrationStrategy,
}

/// What a node has of the groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RingNode {
    /// Its name.
    pub node: String,
    /// Places that it has on the ring: the replicas that it is to hold.
    pub virtual_nodes: u64,
    /// Its share of all replicas, from 0 to 1.
    pub share: f64,
    /// The groups that it is to hold a replica of.
    pub groups: Vec<u64>,
}

/// Answer of `GET /api/v1/cluster/ring`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RingReply {
    /// The nodes, by name.
    pub nodes: Vec<RingNode>,
    /// Replicas of all groups but the system group.
    pub virtual_nodes: u64,
}

/// A replica that is to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedMove {
    /// The group.
    pub group: u64,
    /// The node that gives its replica up.
    pub from_node: String,
    /// The node that gets it.
    pub to_node: String,
}

/// Answer of `POST /api/v1/cluster/rebalance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebalanceReply {
    /// What moves, one after the other.
    pub moves: Vec<PlannedMove>,
    /// Whether it was only asked what would move.
    pub dry_run: bool,
}
