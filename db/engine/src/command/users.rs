//! The content of commands about users, and of entries of the audit log.

use crate::system::ScramKeys;
use minicbor::{CborLen, Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of [`Command::UpdateUser`](super::Command::UpdateUser): what is given is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct UserUpdate {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// The new hash of the password.
    #[n(1)]
    pub password_hash: Option<String>,
    /// Only if the hash is still this one: the caller has proved that it knows the password.
    #[n(2)]
    pub proved_hash: Option<String>,
    /// The new role.
    #[n(3)]
    pub role: Option<String>,
    /// The new list of databases.
    #[n(4)]
    pub allowed_dbs: Option<Vec<String>>,
    /// The new grants.
    #[n(5)]
    pub grants: Option<BTreeMap<String, String>>,
    /// Whether it may not log in.
    #[n(6)]
    pub disabled: Option<bool>,
    /// The SCRAM-SHA-256 keys of the new password. Those of the former one go with it.
    #[n(7)]
    pub scram_sha_256: Option<ScramKeys>,
}

/// The content of [`Command::Audit`](super::Command::Audit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct AuditEvent {
    /// What was done or tried.
    #[n(0)]
    pub action: String,
    /// The name of what it was done to.
    #[n(1)]
    pub target: String,
    /// `ok`, or the code of an error.
    #[n(2)]
    pub outcome: String,
}
