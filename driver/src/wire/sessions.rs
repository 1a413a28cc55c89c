//! Answers about the caller.

use serde::{Deserialize, Serialize};

/// Answer of `POST /api/login`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoginReply {
    /// The value for the `Authorization` header of later calls.
    pub token: String,
    /// The user's role.
    pub role: Option<String>,
}

/// Answer of `GET /api/v1/session`: the caller.
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
