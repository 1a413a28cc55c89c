//! Bodies and answers about users, tokens and the audit log.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every role, the one that may do most first.
pub const ROLES: [&str; 4] = ["admin", "owner", "writereader", "reader"];
/// In a list of databases: all of them.
pub const ALL_DATABASES: &str = "*";

/// What the audit log tells of, in the order of the alphabet.
pub const AUDIT_ACTIONS: [&str; 25] = [
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
    "join_failed",
    "join_token_use",
    "login",
    "login_failed",
    "password_change",
    "rename_collection",
    "rename_database",
    "replace_collection",
    "set_schema",
    "token_create",
    "token_revoke",
    "user_create",
    "user_delete",
    "user_update",
];

/// A user, as administrators see it. Passwords and their hashes are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserInfo {
    /// The name again, as JettraDBVM has it.
    #[serde(rename = "_id")]
    pub id: String,
    /// The name.
    pub username: String,
    /// `admin`, `owner`, `writereader` or `reader`: what the user may do in `allowed_dbs`. An
    /// `admin` may do everything everywhere.
    pub role: String,
    /// Databases that the role holds for; `*` stands for all.
    pub allowed_dbs: Vec<String>,
    /// Further roles, each for one database: `owner`, `writereader` or `reader`.
    #[serde(default)]
    pub grants: BTreeMap<String, String>,
    /// Whether the user is kept out.
    #[serde(default)]
    pub disabled: bool,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was changed last, in milliseconds since 1970.
    pub changed_ms: u64,
}

/// Body of `POST /api/v1/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name: 1 to 64 ASCII letters, digits, `_`, `-`, `.` and `@`.
    pub username: String,
    /// The first password.
    pub password: String,
    /// `admin`, `owner`, `writereader` or `reader`.
    pub role: String,
    /// Databases that the role holds for; `*` stands for all. May be left out for an `admin`,
    /// or when there are grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_dbs: Option<Vec<String>>,
    /// Further roles, each for one database.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<String, String>,
    /// Whether the user is kept out.
    #[serde(default)]
    pub disabled: bool,
}

/// Body of `PATCH /api/v1/users/{user}`: what is given is changed, the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The new password; all sessions of the user end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The new role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The databases that the role holds for from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_dbs: Option<Vec<String>>,
    /// All grants from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<BTreeMap<String, String>>,
    /// Whether the user is kept out from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A login on the page, carried by its cookie.
    Session,
    /// A program's own credential, sent as `Authorization: Bearer …`.
    ApiKey,
    /// Lets one new node in, once.
    Join,
}

/// A token, without what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenInfo {
    /// Its public name, with which it is revoked.
    pub id: String,
    /// What it is for.
    pub kind: TokenKind,
    /// On whose behalf it acts; for [`TokenKind::Join`], who made it.
    pub user: String,
    /// What its maker calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The most that it may do; none: as much as its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The databases that it may use, of those that its user may; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<String>>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends by itself, in milliseconds since 1970; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// Answer of `GET /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokensReply {
    /// The tokens that the caller may see, the oldest first.
    pub tokens: Vec<TokenInfo>,
}

/// Body of `POST /api/v1/tokens`: makes an API key of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called: 1 to 100 bytes.
    pub name: String,
    /// The most that it may do; none: as much as the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The databases that it may use, of those that the caller may; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<String>>,
    /// Milliseconds after which it ends; none: it holds until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// Body of `POST /api/v1/cluster/tokens`: makes a join token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// Milliseconds after which it ends; one hour when it is left out, a week at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// Answer of the calls that make a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenReply {
    /// The secret itself. It is told this once and stored nowhere.
    pub token: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub info: TokenInfo,
}

/// Answer of `GET /api/v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditReply {
    /// What was done, the latest first.
    pub entries: Vec<AuditEntry>,
    /// Pass it as `before=` to get the ones before; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One thing that somebody did, or tried to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number; later ones are larger.
    #[serde(rename = "_id")]
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// Who: a user; none when the database did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From which address the call came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What, for example `login`, `user_create` or `drop_database`.
    pub action: String,
    /// To what: a user, a node, a database.
    pub target: String,
    /// `ok`, or the code of the error with which it was refused.
    pub outcome: String,
}
