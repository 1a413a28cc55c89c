//! Answers about the cluster and its members.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// The role of a member in the cluster, as `_system._clusternodes` records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeRole {
    /// Orders the log.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes; seen only while there is no leader.
    Candidate,
    /// Receives the log, does not vote.
    Learner,
}

/// The state of a member, as `_system._clusternodes` records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeStatus {
    /// Admitted, still receiving the snapshot or the log.
    Joining,
    /// Answers the leader.
    Active,
    /// Was stopped, or has not answered the leader for a while.
    Inactive,
    /// Takes no client calls and no leadership until resumed; it still votes.
    Paused,
    /// Being removed.
    Leaving,
}

upper_case_display!(NodeRole, NodeStatus);

/// One member in `GET /api/cluster` and `GET /raft/rpc/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeInfo {
    /// The node's name (`NodeID`).
    #[serde(rename = "_id")]
    pub key: String,
    /// The same name, for clients of JettraDBVM.
    pub id: String,
    /// Number of the node in Raft: the log index of the entry that admitted it.
    pub raft_id: u64,
    /// Where clients reach it, and other nodes unless it has a `peer_url`.
    pub url: String,
    /// Its role now, as far as the answering node knows.
    pub role: NodeRole,
    /// Its state.
    pub status: NodeStatus,
    /// Free text given at registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Log entries it still lacks; known on the leader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Why it does not get the log entries that it lacks; known on the leader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Milliseconds since it last answered the leader; known on the leader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_ms: Option<u64>,
    /// The same once it is longer than an answer takes: the member is silent. Absent while it
    /// answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// Milliseconds by which its clock is ahead of the cluster's time, less than 0 when it is
    /// behind; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ms_ahead: Option<i64>,
    /// Where other nodes reach it, if not where clients do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_url: Option<String>,
    /// The program that it runs, as it has announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramInfo>,
}

/// The program that a member runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProgramInfo {
    /// Its version.
    pub version: String,
    /// The oldest feature level that it supports.
    pub oldest_level: u32,
    /// The newest feature level that it supports.
    pub newest_level: u32,
    /// The zone that it is in, such as a rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// One group in `GET /api/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupInfo {
    /// Its number; 0 is the system group.
    pub id: u64,
    /// The feature level in force in it: which commands there are, and how they are applied.
    pub feature_level: u32,
}

/// Answer of `GET /api/cluster`, in JettraDBVM's shape with a few more fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterReply {
    /// True when the node was started with `distributed: true`.
    pub enabled: bool,
    /// Name of the answering node.
    pub node_id: String,
    /// Role of the answering node.
    pub state: NodeRole,
    /// Name of the leader, if there is one.
    pub leader_id: Option<String>,
    /// The answering node's term.
    pub term: u64,
    /// The cluster's identity; absent while the node waits to be registered.
    pub cluster_id: Option<String>,
    /// Log index up to which the answering node's state is visible to readers.
    pub applied_index: u64,
    /// Voters that must answer for a write to succeed.
    pub quorum: usize,
    /// One sentence on the cluster's health.
    pub health: String,
    /// The groups of the answering node.
    #[serde(default)]
    pub groups: Vec<GroupInfo>,
    /// The feature level that is not exceeded; absent: the newest that all members support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_feature_level: Option<u32>,
    /// The members.
    pub nodes: Vec<NodeInfo>,
    /// The node that knows leader, quorum, health and members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<ClusterView>,
}

impl ClusterReply {
    /// The feature level in force in the system group, which the other groups follow.
    pub fn feature_level(&self) -> Option<u32> {
        self.groups.iter().find(|group| group.id == 0).map(|group| group.feature_level)
    }
}

/// The node whose knowledge of the cluster an answer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterView {
    /// Name of the node that knows it.
    pub from: String,
    /// Whether that node leads now.
    pub leader: bool,
    /// How old the knowledge is, in milliseconds.
    pub age_ms: u64,
    /// Why it is not the present knowledge of a leader, in one sentence; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The largest number that every reader of JSON takes exactly.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// The name of a node (`NodeID`) where rockraft's example has a number: it is written as a number if it
/// is one, else as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeId(pub String);

impl NodeId {
    fn number(&self) -> Option<u64> {
        let number: u64 = self.0.parse().ok().filter(|number| *number <= EXACT_MAX)?;
        // A name such as 007 is another one than 7.
        (number.to_string() == self.0).then_some(number)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.number() {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Number(number) => NodeId(number.to_string()),
            Either::Text(text) => NodeId(text),
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for NodeId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NodeId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The name of a node, as a number if it is one.",
            "type": ["string", "integer"],
        })
    }
}

/// Answer of `GET /health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthReply {
    /// `ok` when calls are served, else the reason: `waiting` (not registered yet),
    /// `starting`, `no_leader`, `paused`, `removed`, `failed`, `stopping`.
    pub status: String,
    /// Why no calls are served, in one sentence; none when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The node's name.
    pub node_id: NodeId,
    /// Number of the node in Raft; absent while it belongs to no cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raft_id: Option<u64>,
    /// Whether this node leads.
    pub is_leader: bool,
    /// The name of the leader.
    pub current_leader: Option<NodeId>,
    /// Number of the leader in Raft; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_raft_id: Option<u64>,
    /// The node's term.
    pub current_term: u64,
    /// `Leader`, `Follower`, `Candidate`, `Learner` or `Shutdown`.
    pub state: String,
    /// Problems that an operator should solve although calls are served: nodes whose clocks are
    /// wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Answer of `GET /metrics` as JSON: the consensus on the answering node, as rockraft shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetricsReply {
    /// The node's name, a number when it is a whole one.
    pub node_id: NodeId,
    /// The name of the leader, likewise; null without one.
    pub current_leader: Option<NodeId>,
    /// The node's term.
    pub current_term: u64,
    /// The last log entry that is applied.
    pub last_applied: Value,
    /// Log index of the last entry.
    pub last_log_index: u64,
    /// `Leader`, `Follower`, `Candidate`, `Learner` or `Shutdown`.
    pub state: String,
    /// The members that Raft knows, by their Raft numbers.
    pub membership: Value,
}

/// One line of `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadyCheck {
    /// `serving`, `quorum`, `disk`, or a group.
    pub name: String,
    /// Whether it is there.
    pub ok: bool,
    /// Whether the node is not ready without it.
    pub needed: bool,
    /// Why it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `GET /readyz` as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadyReply {
    /// Whether the node serves calls.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<ReadyCheck>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_is_a_number_is_written_as_one() {
        let large = EXACT_MAX + 1;
        for (name, written) in [
            ("1", json!(1)),
            ("0", json!(0)),
            ("node1", json!("node1")),
            ("007", json!("007")),
            ("-1", json!("-1")),
            (large.to_string().as_str(), json!(large.to_string())),
        ] {
            let name = NodeId(name.into());
            assert_eq!(json!(name), written);
            assert_eq!(serde_json::from_value::<NodeId>(written).unwrap(), name);
        }
    }
}
