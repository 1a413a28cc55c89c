//! The content of commands about users, and of entries of the audit log.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of [`Command::UpdateUser`](super::Command::UpdateUser): what is given is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUpdate {
    /// Its name.
    pub name: String,
    /// The new hash of the password.
    pub password_hash: Option<String>,
    /// Only if the hash is still this one: the caller has proved that it knows the password.
    pub proved_hash: Option<String>,
    /// The new role.
    pub role: Option<String>,
    /// The new list of databases.
    pub allowed_dbs: Option<Vec<String>>,
    /// The new grants.
    pub grants: Option<BTreeMap<String, String>>,
    /// Whether it may not log in.
    pub disabled: Option<bool>,
}

/// The content of [`Command::Audit`](super::Command::Audit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// What was done or tried.
    pub action: String,
    /// The name of what it was done to.
    pub target: String,
    /// `ok`, or the code of an error.
    pub outcome: String,
}
