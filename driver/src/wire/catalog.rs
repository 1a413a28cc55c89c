//! Answers about databases and collections.

use super::IndexInfo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One database in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseInfo {
    /// Name of the database.
    pub name: String,
    /// The engine name that it was created with; kept for clients of JettraDBVM.
    pub engine: String,
    /// The group of replicas that holds it; left out for the system group, 0.
    #[serde(default, skip_serializing_if = "is_system")]
    pub group: u64,
}

fn is_system(group: &u64) -> bool {
    *group == 0
}

/// Answer of `GET …/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatsReply {
    /// Documents.
    pub documents: u64,
    /// Bytes of their JSON text.
    pub bytes: u64,
    /// Bytes of one on average.
    pub average_bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
    /// Whether it has a schema.
    pub schema: bool,
}

/// Answer of `GET …/hash`: equal on all nodes at the same log index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HashReply {
    /// Log index of the state that was hashed.
    pub index: u64,
    /// For each collection the hash of its documents and of its index entries.
    pub collections: BTreeMap<String, CollectionHash>,
}

/// Hashes of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionHash {
    /// XXH3 of its documents with revisions, in hexadecimal.
    pub documents: String,
    /// XXH3 of the entries of its indexes, in hexadecimal.
    pub indexes: String,
    /// XXH3 of its versions, in hexadecimal, when it keeps some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
}
