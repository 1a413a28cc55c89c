//! Groups of replicas: what they are made of and what they hold.

use serde::{Deserialize, Serialize};

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum GroupState {
    /// Not all of its voters are in yet: it holds no database.
    Creating,
    /// It may hold databases.
    Active,
    /// Its replicas are being closed.
    Removing,
}

/// The state of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ReplicaState {
    /// Receiving the state or the log for the first time.
    Joining,
    /// Up to date, or catching up.
    Active,
}

/// One replica of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReplicaInfo {
    /// The name of its node.
    pub node: String,
    /// Its number: the log index of the entry that placed it. Absent while it is not placed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u64>,
    /// How far it is. Absent while it is not placed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ReplicaState>,
    /// Whether the group is to have it here; if not, it goes once the others are in.
    pub wanted: bool,
    /// Whether it is to vote.
    pub voter: bool,
    /// Log entries that it lacks; absent when nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Milliseconds since it answered the leader, if it is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// Bytes of a copy of the state that it was sent, while it is sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<u64>,
    /// Bytes of that copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_total: Option<u64>,
    /// Bytes that it lacks while it is joining, of the copy or about that many of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_left: Option<u64>,
    /// Milliseconds until it has them, judged by what it was sent so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// How a group is removed, see `DELETE /api/v1/groups/{group}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Whether to wait until all replicas are closed.
    pub wait: bool,
    /// Longest time to wait for that, in milliseconds; none: that of any call.
    pub timeout_ms: Option<u64>,
    /// Whether each node keeps the directory of its replica.
    pub snapshot: bool,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupReply {
    /// Its number; 0 is the system group, which is on every node.
    pub id: u64,
    /// How far it is.
    pub state: GroupState,
    /// Whether it serves: it has a leader, which a majority answers.
    pub ready: bool,
    /// Whether it has begun: its first voter is in.
    pub initialized: bool,
    /// The node that leads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The node that is to lead it; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_leader: Option<String>,
    /// The leader's term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Log index of the last entry on the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_log_index: Option<u64>,
    /// Log index of the first entry that the leader keeps. A replica that lacks earlier ones is sent a
    /// copy of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_log_index: Option<u64>,
    /// Log index up to which the leader's state is visible to readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_index: Option<u64>,
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: u32,
    /// Names of the nodes that are to hold a voter.
    pub members: Vec<String>,
    /// Names of the nodes that are to hold a replica without a vote.
    pub observers: Vec<String>,
    /// Its replicas, those that are to come too.
    pub replicas: Vec<ReplicaInfo>,
    /// What the change of its replicas that is under way waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The databases that it holds.
    pub databases: Vec<String>,
}

/// Body of `POST /api/v1/groups`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Its number, not 0.
    pub id: u64,
    /// Names of the nodes that are to hold a voter; default: those with the fewest replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
    /// Voters that it is to have while there are nodes for them; default: as many as `members`, else 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u32>,
    /// Names of the nodes that are to hold a replica without a vote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observers: Vec<String>,
}

/// Body of `PUT /api/v1/groups/{group}/leader`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeaderPin {
    /// The name of a node that holds a voter of the group; null: any.
    pub node: Option<String>,
}
