//! Shards, which are groups of replicas as JadeVectorDB's clients see them, and how replicas are spread.

use super::ShardHealth;
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
    /// The same in one word, with a look at its replicas.
    pub health: ShardHealth,
    /// Log entries that the replica that is to come lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_left: Option<u64>,
    /// Bytes that it lacks, of a copy of the state or about that many of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_left: Option<u64>,
    /// Milliseconds until it has them, judged by what it was sent so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// What the migration waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// Answer of `GET /api/v1/cluster/shards/{shard}/explain`: why its replicas are where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardExplanation {
    /// Its name.
    pub shard_id: String,
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: u32,
    /// Log index of the decision, in the system group.
    pub epoch: u64,
    /// The nodes, in the order in which they would be taken now.
    pub nodes: Vec<ShardNode>,
}

/// What a node is for a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardNode {
    /// Its name.
    pub node: String,
    /// Whether it is to hold a replica.
    pub holds: bool,
    /// The zone that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Replicas of other shards that it is to hold.
    pub other_replicas: u64,
    /// Its place in the order; absent if it can hold no replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Why it is to hold a replica, or none, in words.
    pub reason: String,
}

/// How a replica gets to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MigrationStrategy {
    /// The new replica receives the log, or the state where the log does not go back far enough, catches
    /// up, and takes over the vote; then the old one goes.
    LiveCopy,
    /// The new replica receives a copy of the state at first, then the log from there on.
    Snapshot,
    /// As `LIVE_COPY`, in rounds, each of which brings what was written during the one before: it takes
    /// over the vote after a round of less than a second.
    Incremental,
}

impl MigrationStrategy {
    /// All of them, with their names.
    pub const ALL: [(&str, MigrationStrategy); 3] = [
        ("LIVE_COPY", MigrationStrategy::LiveCopy),
        ("SNAPSHOT", MigrationStrategy::Snapshot),
        ("INCREMENTAL", MigrationStrategy::Incremental),
    ];
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
    /// How it gets there; default: `LIVE_COPY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<MigrationStrategy>,
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
