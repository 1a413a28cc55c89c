//! Types and names that travel between a node and its clients.
//!
//! A node serialises these, the driver reads them; nobody else defines a wire shape.

mod history;
mod level;
mod query;
mod transaction;
mod users;

pub use history::*;
pub use level::*;
pub use query::*;
pub use transaction::*;
pub use users::*;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Header with the log index that an answer reflects (its write, or the state it read).
pub const INDEX_HEADER: &str = "x-jettra-index";
/// Header with the advertised URL of the leader, as far as the answering node knows it.
pub const LEADER_HEADER: &str = "x-jettra-leader";
/// Header with the name (`NodeID`) of the node that served the call.
pub const NODE_HEADER: &str = "x-jettra-node";
/// Header that a request authenticated by cookie must carry when it changes something.
///
/// Browsers send it only from a page of the same origin, so a foreign page cannot act
/// for a logged-in user.
pub const CLIENT_HEADER: &str = "x-jettra-client";

/// The identity of a document inside its collection: the value of `_id`.
///
/// In an address it is written as plain text; `id_type=int` or `id_type=string` says which
/// one is meant where the text could be either.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentId {
    /// An integer `_id`.
    Int(i64),
    /// A string `_id`.
    String(String),
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentId::Int(number) => number.fmt(f),
            DocumentId::String(text) => text.fmt(f),
        }
    }
}

/// Written to JSON as the bare number or string; to a binary form with its variant.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bare {
    Int(i64),
    String(String),
}

#[derive(Serialize, Deserialize)]
enum Tagged {
    Int(i64),
    String(String),
}

impl Serialize for DocumentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            DocumentId::Int(number) if serializer.is_human_readable() => {
                serializer.serialize_i64(number)
            }
            DocumentId::String(text) if serializer.is_human_readable() => {
                serializer.serialize_str(&text)
            }
            DocumentId::Int(number) => Tagged::Int(number).serialize(serializer),
            DocumentId::String(text) => Tagged::String(text).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Bare::deserialize(deserializer).map(|bare| match bare {
                Bare::Int(number) => DocumentId::Int(number),
                Bare::String(text) => DocumentId::String(text),
            });
        }
        Tagged::deserialize(deserializer).map(|tagged| match tagged {
            Tagged::Int(number) => DocumentId::Int(number),
            Tagged::String(text) => DocumentId::String(text),
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DocumentId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DocumentId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The value of `_id`.",
            "anyOf": [
                {"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
                {"type": "string"},
            ],
        })
    }
}

impl From<&str> for DocumentId {
    fn from(text: &str) -> Self {
        DocumentId::String(text.to_owned())
    }
}

impl From<String> for DocumentId {
    fn from(text: String) -> Self {
        DocumentId::String(text)
    }
}

impl From<i64> for DocumentId {
    fn from(number: i64) -> Self {
        DocumentId::Int(number)
    }
}

/// The body of every error answer: `{"error": {…}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The error itself.
    pub error: ErrorDetail,
}

/// What went wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// Stable, machine-readable code, for example `document_not_found`.
    pub code: String,
    /// One sentence that names the value that was wrong.
    pub message: String,
    /// The next step for the person who reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Values that belong to the code, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Names this call in the node's log.
    #[serde(default)]
    pub request_id: String,
}

/// Answer of `POST /api/login`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoginReply {
    /// The value for the `Authorization` header of later calls.
    pub token: String,
    /// The user's role.
    pub role: Option<String>,
}

/// Answer of `GET /api/v1/session`: who is calling.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionReply {
    /// The user's name.
    pub username: String,
    /// The user's role, or that of the API key when it may do less.
    pub role: Option<String>,
    /// Databases that the role holds for; `*` stands for all.
    #[serde(default)]
    pub allowed_dbs: Vec<String>,
    /// Further roles, each for one database.
    #[serde(default)]
    pub grants: std::collections::BTreeMap<String, String>,
}

/// One database in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseInfo {
    /// Name of the database.
    pub name: String,
    /// The engine name it was created with; kept for clients of the ancestor.
    pub engine: String,
}

/// Answer of a write to one document through the REST interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WriteReply {
    /// The document's `_id`.
    pub id: DocumentId,
    /// The revision that the write made; also the `ETag`.
    pub revision: u64,
    /// What a schema in warn mode found: path, rule, expected, found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
}

/// Answer of a paged listing through the REST interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListReply {
    /// The documents of this page, in `_id` order (integers before strings).
    pub documents: Vec<Value>,
    /// Pass it back as `cursor=` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CountReply {
    /// Number of documents in the collection.
    pub count: u64,
}

/// What a member does in the cluster, as `_system._clusternodes` records it.
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

/// How a member is, as `_system._clusternodes` records it.
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

macro_rules! upper_case_display {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{self:?}").to_uppercase())
            }
        }
    )*};
}
upper_case_display!(NodeRole, NodeStatus);

/// One member in `GET /api/cluster` and `GET /raft/rpc/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeInfo {
    /// The node's name (`NodeID`).
    #[serde(rename = "_id")]
    pub key: String,
    /// The same name, as the ancestor repeats it.
    pub id: String,
    /// Number of the node in Raft: the log index of the entry that admitted it.
    pub raft_id: u64,
    /// Where other nodes and clients reach it.
    pub url: String,
    /// What it does now, as far as the answering node knows.
    pub role: NodeRole,
    /// How it is.
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
    /// Milliseconds by which its clock is ahead of the cluster's time, less than 0 when it is behind;
    /// absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ms_ahead: Option<i64>,
}

/// Answer of `GET /api/cluster`, in the ancestor's shape with a few fields more.
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
    /// The members.
    pub nodes: Vec<NodeInfo>,
    /// Whose knowledge leader, quorum, health and members are; absent from older nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewInfo>,
}

/// Whose knowledge of the cluster an answer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ViewInfo {
    /// Name of the node that knows it.
    pub from: String,
    /// Whether that node leads now.
    pub leader: bool,
    /// How old the knowledge is, in milliseconds.
    pub age_ms: u64,
    /// Why it is not what a leader knows now, in one sentence; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Answer of `GET /health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthReply {
    /// `ok` when calls are served, else what is the matter: `waiting` (not registered yet),
    /// `starting`, `no_leader`, `paused`, `removed`, `failed`, `stopping`.
    pub status: String,
    /// Why no calls are served, in one sentence; none when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The node's name.
    pub node_id: String,
    /// Whether this node leads.
    pub is_leader: bool,
    /// Raft number of the leader.
    pub current_leader: Option<u64>,
    /// The node's term.
    pub current_term: u64,
    /// `Leader`, `Follower`, `Candidate`, `Learner` or `Shutdown`.
    pub state: String,
    /// What an operator should look at though calls are served: nodes whose clocks are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `{"status": "…"}`, the ancestor's answer to most changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusReply {
    /// What happened, for example `created`.
    pub status: String,
}
