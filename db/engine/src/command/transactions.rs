//! The content of the command that commits a transaction of several calls.

use crate::id::DocumentId;
use crate::index::IndexId;
use crate::namespace::Namespace;
use crate::storage::Reads;
use crate::storage::keys::CollectionId;
use serde::{Deserialize, Serialize};

/// The content of [`Command::Commit`](super::Command::Commit).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// What was read, and must still be the same.
    pub reads: Reads,
    /// Collections that must not have changed at all since this log index.
    pub unchanged: Vec<(CollectionId, u64)>,
    /// Indexes that were read.
    pub indexes: Vec<IndexRead>,
    /// The collections that were written.
    pub namespaces: Vec<Namespace>,
    /// The newest index that was there: one that came since could have refused a document that
    /// the transaction had for a while, or what was answered about it.
    pub last_index: u64,
    /// What is written, each with the number of its collection in `namespaces`; deletions first.
    pub writes: Vec<(u32, FinalWrite)>,
}

/// What a transaction relies on of an index: that it is there, and so has every document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRead {
    /// Its collection.
    pub collection: CollectionId,
    /// Its number.
    pub index: IndexId,
    /// Whether every document had one entry at most, and must still: the ranges that answer a
    /// filter are wider when some have several.
    pub single: bool,
    /// The number that it gave last, when the transaction was given those behind it.
    pub last_number: Option<i64>,
}

/// The final form of one document of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalWrite {
    /// Its `_id`.
    pub id: DocumentId,
    /// The document without `_id`; none when it is deleted.
    pub body: Option<String>,
}
