//! The documents of the `_system` database: members, users, sessions, the cluster itself.

use crate::error::{Error, Kind, Result};
use crate::placement::MOVES_LEVEL;
use minicbor::{CborLen, Decode, Encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// The name that stands for all databases in a user's rights.
pub const ALL_DATABASES: &str = "*";

/// What a member does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[serde(rename_all = "UPPERCASE")]
#[cbor(index_only)]
pub enum NodeRole {
    /// Orders the log.
    #[n(0)]
    Leader,
    /// Votes and follows.
    #[n(1)]
    Follower,
    /// Asks for votes; seen only while there is no leader.
    #[n(2)]
    Candidate,
    /// Receives the log, does not vote.
    #[n(3)]
    Learner,
}

/// The state of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[serde(rename_all = "UPPERCASE")]
#[cbor(index_only)]
pub enum NodeStatus {
    /// Admitted, still receiving the snapshot or the log.
    #[n(0)]
    Joining,
    /// Answers the leader.
    #[n(1)]
    Active,
    /// Was stopped, or has not answered the leader for a while.
    #[n(2)]
    Inactive,
    /// Takes no client calls and no leadership until resumed; it still votes.
    #[n(3)]
    Paused,
    /// Being removed.
    #[n(4)]
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

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum TokenKind {
    /// A login, kept by a browser in a cookie.
    #[n(0)]
    Session,
    /// The credential of a program.
    #[n(1)]
    ApiKey,
    /// Admits one new node, once.
    #[n(2)]
    Join,
}

/// The database that holds what the cluster knows about itself.
pub const DATABASE: &str = "_system";
/// Members of the cluster; the peer list of every node comes from here.
pub const NODES: &str = "_clusternodes";
/// Users and their password hashes.
pub const USERS: &str = "_users";
/// Sessions, API keys and join tokens, with hashes of their secrets.
pub const TOKENS: &str = "_tokens";
/// Actions with their users.
pub const AUDIT: &str = "_audit";
/// The groups beside the system group: where their replicas are.
pub const GROUPS: &str = "_groups";
/// The databases that are not in the system group.
pub const DATABASES: &str = "_databases";
/// In every database: its rules, as JettraDBVM has them.
pub const RULES: &str = "_rules";
/// What the names of collections begin with that are filled to take another one's place. A
/// UUID, a dot and the other one's name follow.
pub const ASIDE: &str = "_out.";

/// The name that a collection has, or is to have when it takes another one's place.
pub fn final_name(collection: &str) -> &str {
    let aside = collection.strip_prefix(ASIDE).and_then(|rest| rest.split_once('.'));
    aside.map_or(collection, |(_, name)| name)
}

/// Collections of a database that users may write although their names are the system's.
pub const USER_WRITABLE: [&str; 3] = [RULES, "_info", "_engine"];

/// Whether a system collection proves identities and so is never read as documents.
pub fn is_secret(collection: &str) -> bool {
    collection == USERS || collection == TOKENS
}

/// One document: the identity of the cluster.
pub const CLUSTER: &str = "_cluster";

/// What a member runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct Program {
    /// Its version.
    #[n(0)]
    pub version: String,
    /// The oldest feature level that it supports.
    #[n(1)]
    pub oldest_level: u32,
    /// The newest feature level that it supports.
    #[n(2)]
    pub newest_level: u32,
    /// Where it is reached besides its address; none so far.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Addresses>,
    /// The zone that it is in: what fails together, such as a rack. From level
    /// [`MOVES_LEVEL`] on.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Further addresses of a member. A second protocol for clients is to be another field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct Addresses {
    /// Where other nodes reach it, if not where clients do.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_url: Option<String>,
}

impl Program {
    /// The feature levels that a program supports; one that says nothing supports the first.
    pub fn levels(program: Option<&Program>) -> RangeInclusive<u32> {
        program.map_or(1..=1, |program| program.oldest_level..=program.newest_level)
    }

    /// Where other nodes reach it, if not where clients do.
    pub fn peer_url(&self) -> Option<&str> {
        self.addresses.as_ref()?.peer_url.as_deref()
    }

    /// What members remember of it at a feature level.
    pub fn at_level(self, level: u32) -> Program {
        Program { zone: self.zone.filter(|_| level >= MOVES_LEVEL), ..self }
    }
}

/// A document of [`NODES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDocument {
    /// The node's name (`NodeID`).
    #[serde(rename = "_id")]
    pub id: String,
    /// The log index of the entry that admitted it; never used twice.
    pub raft_id: u64,
    /// Where other nodes and clients reach it.
    pub url: String,
    /// What it does.
    pub role: NodeRole,
    /// How it is.
    pub status: NodeStatus,
    /// Free text given at registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it runs, as it has announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
}

impl NodeDocument {
    /// Where other nodes reach it.
    pub fn peer_url(&self) -> &str {
        self.program.as_ref().and_then(Program::peer_url).unwrap_or(&self.url)
    }
}

/// A document of [`USERS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct UserDocument {
    /// The user's name.
    #[serde(rename = "_id")]
    #[n(0)]
    pub name: String,
    /// Argon2id hash in PHC form.
    #[n(1)]
    pub password_hash: String,
    /// `admin`, `owner`, `writereader` or `reader`.
    #[n(2)]
    pub role: String,
    /// Databases that the role holds for; `*` stands for all.
    #[n(3)]
    pub allowed_dbs: Vec<String>,
    /// Further roles, each for one database.
    #[n(4)]
    pub grants: BTreeMap<String, String>,
    /// Whether the user is kept out.
    #[n(5)]
    pub disabled: bool,
    /// When it was created, in milliseconds since 1970.
    #[n(6)]
    pub created_ms: u64,
    /// When it was changed last, in milliseconds since 1970.
    #[n(7)]
    pub changed_ms: u64,
    /// What SCRAM-SHA-256 logins are checked against; none: such logins are refused.
    #[n(8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram_sha_256: Option<ScramKeys>,
}

/// What a server keeps of a password for SCRAM (RFC 5802, section 3), the bytes in Base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct ScramKeys {
    /// Random bytes that the password was hashed with.
    #[n(0)]
    pub salt: String,
    /// How often it was hashed.
    #[n(1)]
    pub iterations: u32,
    /// The hash of the key that a client proves to have.
    #[n(2)]
    pub stored_key: String,
    /// The key by which the server proves that it knows the user.
    #[n(3)]
    pub server_key: String,
}

/// A document of [`TOKENS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct TokenDocument {
    /// Its public name, the first part of its text.
    #[serde(rename = "_id")]
    #[n(0)]
    pub id: String,
    /// What it is for.
    #[n(1)]
    pub kind: TokenKind,
    /// On whose behalf it acts; for a join token, who made it.
    #[n(2)]
    pub user: String,
    /// What its maker calls it.
    #[n(3)]
    pub name: Option<String>,
    /// The most that it may do; none: as much as its user.
    #[n(4)]
    pub role: Option<String>,
    /// The databases that it may use; none: those of its user.
    #[n(5)]
    pub databases: Option<Vec<String>>,
    /// SHA-256 of its secret, in hexadecimal.
    #[n(6)]
    pub token_hash: String,
    /// When it was made, in milliseconds since 1970.
    #[n(7)]
    pub created_ms: u64,
    /// When it ends, in milliseconds since 1970; none: never.
    #[n(8)]
    pub expires_ms: Option<u64>,
}

/// The one document of [`CLUSTER`], with `_id` `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDocument {
    /// Always `cluster`.
    #[serde(rename = "_id")]
    pub id: String,
    /// Random identity of the cluster.
    pub cluster_id: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The feature level that is not exceeded; none: the newest that all members support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_feature_level: Option<u32>,
}

/// Reads a system document from its JSON text.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

/// Checks the name of a database or collection that a client gives.
///
/// # Errors
/// `invalid_name`, saying which rule it breaks.
pub fn check_name(field: &str, name: &str, bytes_max: usize) -> Result<()> {
    let rule = if name.is_empty() {
        "it is empty"
    } else if name.len() > bytes_max {
        "it is too long"
    } else if name.starts_with('_') {
        "names with a leading underscore belong to the system"
    } else if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ')) {
        "only letters, digits, '_', '-', '.' and spaces are allowed"
    } else if name.trim() != name {
        "it begins or ends with a space"
    } else if name.starts_with('.') {
        "it starts with a dot"
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::InvalidName, format!("{field} {name:?} cannot be used: {rule}")).hint(
        format!("use 1 to {bytes_max} bytes of letters, digits, '_', '-', '.' and spaces inside"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["shop", "a", "Größe", "a.b-c_9", "名前", "a b"] {
            assert!(check_name("collection", good, 64).is_ok(), "{good}");
        }
        for bad in ["", "_users", "a/b", "..", " a", "a ", "a\tb", "a\0b", "a\"b", &"x".repeat(65)]
        {
            assert!(check_name("collection", bad, 64).is_err(), "{bad:?}");
        }
    }
}
