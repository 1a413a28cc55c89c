//! Bodies and answers of users.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every role, the one with the most rights first.
pub const ROLES: [&str; 4] = ["admin", "owner", "writereader", "reader"];
/// In a list of databases: all of them.
pub const ALL_DATABASES: &str = "*";

/// A user, as administrators see it. It never has the password or its hash.
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
    /// Whether the user is disabled.
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
    /// Whether the user is disabled.
    #[serde(default)]
    pub disabled: bool,
}

/// Body of `PATCH /api/v1/users/{user}`: fields with a value change, the others stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserUpdateBody {
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
    /// Whether the user is disabled from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}
