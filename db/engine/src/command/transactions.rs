//! The content of the command that commits a transaction of several calls.

use crate::id::DocumentId;
use crate::index::IndexId;
use crate::namespace::Namespace;
use crate::storage::Reads;
use crate::storage::keys::CollectionId;
use minicbor::{CborLen, Decode, Encode};

/// The message when something that a transaction has used is gone as a whole; [`Commit::never`] gets it.
pub const COLLECTION_GONE: &str = "a collection that the transaction has used is gone or another";

/// The content of [`Command::Commit`](super::Command::Commit).
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Commit {
    /// What was read, and must still be the same.
    #[n(0)]
    pub reads: Reads,
    /// Collections that must not have changed at all since this log index.
    #[n(1)]
    pub unchanged: Vec<(CollectionId, u64)>,
    /// Indexes that were read.
    #[n(2)]
    pub indexes: Vec<IndexRead>,
    /// The collections that were written.
    #[n(3)]
    pub namespaces: Vec<Namespace>,
    /// The newest index that was there: one that came since could have refused a document that
    /// the transaction had for a while, or what was answered about it.
    #[n(4)]
    pub last_index: u64,
    /// What is written, each with the number of its collection in `namespaces`; deletions first.
    #[n(5)]
    pub writes: Vec<(u32, FinalWrite)>,
}

impl Commit {
    /// A commit that is always refused. Under the key of a transaction it decides that the transaction is
    /// never committed, unless it was before.
    pub fn never() -> Commit {
        let (collection, index) = (CollectionId::MAX, IndexId::MAX);
        Commit {
            reads: Reads::default(),
            unchanged: Vec::new(),
            // There is no such index, and there never will be.
            indexes: vec![IndexRead { collection, index, single: false, last_number: None }],
            namespaces: Vec::new(),
            last_index: 0,
            writes: Vec::new(),
        }
    }
}

/// What a transaction relies on of an index: that it is there, and so has every document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct IndexRead {
    /// Its collection.
    #[n(0)]
    pub collection: CollectionId,
    /// Its number.
    #[n(1)]
    pub index: IndexId,
    /// Whether every document had one entry at most, and must still: the ranges that answer a
    /// filter are wider when some have several.
    #[n(2)]
    pub single: bool,
    /// The number that it gave last, when the transaction was given those behind it.
    #[n(3)]
    pub last_number: Option<i64>,
}

/// The final form of one document of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct FinalWrite {
    /// Its `_id`.
    #[n(0)]
    pub id: DocumentId,
    /// The document without `_id`; none when it is deleted.
    #[n(1)]
    pub body: Option<String>,
}
