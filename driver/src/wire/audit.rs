//! The audit log.

use super::Positions;
use serde::{Deserialize, Serialize};

/// The actions in the audit log, in alphabetical order.
pub const AUDIT_ACTIONS: [&str; 30] = [
    "cluster_deregister",
    "cluster_pause",
    "cluster_promote",
    "cluster_register",
    "cluster_restart",
    "cluster_resume",
    "cluster_stop",
    "drop_collection",
    "drop_database",
    "drop_index",
    "drop_versions",
    "group_create",
    "group_move",
    "group_pin_leader",
    "group_remove",
    "join_failed",
    "join_token_use",
    "login",
    "login_failed",
    "password_change",
    "rename_collection",
    "rename_database",
    "replace_collection",
    "set_max_feature_level",
    "set_schema",
    "token_create",
    "token_revoke",
    "user_create",
    "user_delete",
    "user_update",
];

/// Answer of `GET /api/v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditReply {
    /// The entries of all groups, the latest first.
    pub entries: Vec<AuditEntry>,
    /// Pass it as `before=` for the entries before; none at the end. The number of the last entry in
    /// each group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Positions>,
    /// The groups that did not answer; their entries are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_groups: Vec<u32>,
}

/// One entry of the audit log: an action that was carried out or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number; later ones of its group are larger.
    #[serde(rename = "_id")]
    pub id: u64,
    /// The group that it lies in, that of the database; 0 is the system group.
    #[serde(default, skip_serializing_if = "is_system")]
    pub group: u32,
    /// The time, in milliseconds since 1970.
    pub time_ms: u64,
    /// The user; none for actions of the database itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The action, for example `login`, `user_create` or `drop_database`.
    pub action: String,
    /// Its target: a user, a node, a database.
    pub target: String,
    /// `ok`, or the code of the error with which it was refused.
    pub outcome: String,
}

fn is_system(group: &u32) -> bool {
    *group == 0
}
