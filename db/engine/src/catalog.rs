//! Databases and collections: what exists, under which number, with how many documents.
//!
//! Keys of the catalog table: `d/<database>` and `c/<database>/<collection>`. Names hold no
//! slash, so the two cannot be confused. Behind a collection's number lie its indexes (`i/`)
//! and its options (`o/`); `g/` lists what was dropped and is not cleared away yet. Counters
//! lie in the meta table under `n<collection id>` and `x<index id>`, so that counting does not
//! rewrite the catalog.

use super::index::stats::IndexStats;
use super::index::{Index, IndexEntry, IndexId};
use crate::cbor::{self, DecodeOwned};
use crate::storage::keys::{CollectionId, KEY_BYTES_MAX};
use crate::storage::{Read, Result, StorageError, Table};
use minicbor::{CborLen, Decode, Encode};
use std::sync::Arc;

/// A database, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct DatabaseEntry {
    /// Engine name, kept for clients of JettraDBVM.
    #[n(0)]
    pub engine: String,
}

/// The engine name of a database that was created without one.
pub const ENGINE_DEFAULT: &str = "JettraBasicStore";

pub(super) fn database_key(database: &str) -> Vec<u8> {
    format!("d/{database}").into_bytes()
}

pub(super) fn collection_key(database: &str, collection: &str) -> Vec<u8> {
    format!("c/{database}/{collection}").into_bytes()
}

/// The range of all keys that begin with `prefix`, which ends in a slash; its end is exclusive.
fn prefix_range(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let start = prefix.as_bytes().to_vec();
    let mut end = start.clone();
    end.pop();
    end.push(b'/' + 1);
    (start, end)
}

pub(super) fn count_key(collection: CollectionId) -> [u8; 5] {
    let [a, b, c, d] = collection.to_be_bytes();
    [b'n', a, b, c, d]
}

fn number<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| StorageError::Failed("a stored number has a wrong size".into()))
}

/// The entry of a database.
pub fn database(read: &impl Read, name: &str) -> Result<Option<DatabaseEntry>> {
    let key = database_key(name);
    if key.len() > KEY_BYTES_MAX { Ok(None) } else { stored(read, Table::Catalog, &key) }
}

/// The number of a collection.
pub fn collection(
    read: &impl Read,
    database: &str,
    collection: &str,
) -> Result<Option<CollectionId>> {
    let key = collection_key(database, collection);
    if key.len() > KEY_BYTES_MAX {
        return Ok(None);
    }
    let Some(bytes) = read.get(Table::Catalog, &key)? else {
        return Ok(None);
    };
    Ok(Some(CollectionId::from_be_bytes(number(bytes)?)))
}

/// All databases, in the order of their names.
pub fn databases(read: &impl Read) -> Result<Vec<(String, DatabaseEntry)>> {
    let (start, end) = prefix_range("d/");
    let mut found = Vec::new();
    for entry in read.range(Table::Catalog, &start, &end)? {
        let (key, value) = entry?;
        found.push((
            String::from_utf8_lossy(&key[start.len()..]).into_owned(),
            cbor::decode(value)?,
        ));
    }
    Ok(found)
}

/// The collection that an index belongs to.
pub fn collection_of_index(read: &impl Read, index: IndexId) -> Result<Option<CollectionId>> {
    let (start, end) = prefix_range("i/");
    for entry in read.range(Table::Catalog, &start, &end)? {
        let (key, _) = entry?;
        if let Some((kind, numbers)) = key.split_first_chunk::<2>()
            && kind == b"i/"
            && let Some((collection, number)) = numbers.split_first_chunk::<4>()
            && number == index.to_be_bytes()
        {
            return Ok(Some(CollectionId::from_be_bytes(*collection)));
        }
    }
    Ok(None)
}

/// The collections of a database, in the order of their names.
pub fn collections(read: &impl Read, database: &str) -> Result<Vec<(String, CollectionId)>> {
    let (start, end) = prefix_range(&format!("c/{database}/"));
    let mut found = Vec::new();
    for entry in read.range(Table::Catalog, &start, &end)? {
        let (key, value) = entry?;
        let name = String::from_utf8_lossy(&key[start.len()..]).into_owned();
        found.push((name, CollectionId::from_be_bytes(number(value)?)));
    }
    Ok(found)
}

/// How much a collection holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct CollectionTotals {
    /// Documents.
    #[n(0)]
    pub documents: u64,
    /// Bytes of their JSON text.
    #[n(1)]
    pub bytes: u64,
    /// Log index of the last change of a document.
    #[n(2)]
    pub changed: u64,
    /// Changes of documents that are kept as versions.
    #[n(3)]
    pub versions: u64,
    /// Bytes of them.
    #[n(4)]
    pub version_bytes: u64,
    /// Log index of the newest of those that are kept no longer.
    #[n(5)]
    pub forgotten: u64,
    /// Its time, in milliseconds since 1970.
    #[n(6)]
    pub forgotten_ms: u64,
}

/// How much a collection holds.
pub fn totals(read: &impl Read, collection: CollectionId) -> Result<CollectionTotals> {
    stored(read, Table::Meta, &count_key(collection)).map(Option::unwrap_or_default)
}

/// What is set for a collection beside its indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Options {
    /// JSON Schema of its documents, as JSON text.
    #[n(0)]
    pub schema: Option<String>,
    /// Whether a document that breaks the schema is accepted with a warning.
    #[n(1)]
    pub schema_warns: bool,
    /// How former documents are kept, when they are.
    #[n(2)]
    pub versions: Option<Versions>,
}

/// How former documents of a collection are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Versions {
    /// What their keys begin with: a number from the same counter as those of collections, so
    /// that a history that was given up is never mixed with a later one.
    #[n(0)]
    pub space: CollectionId,
    /// For how long.
    #[n(1)]
    pub retention: Retention,
    /// Log index from which on they are kept.
    #[n(2)]
    pub since: u64,
    /// Its time, in milliseconds since 1970.
    #[n(3)]
    pub since_ms: u64,
}

/// For how long former documents are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Retention {
    /// Changes of each document; all when none.
    #[n(0)]
    pub changes: Option<u64>,
    /// Milliseconds; without limit when none.
    #[n(1)]
    pub ms: Option<u64>,
}

/// Bytes of the documents of a collection; 0 when there is none.
pub fn bytes_of(read: &impl Read, database: &str, name: &str) -> Result<u64> {
    match collection(read, database, name)? {
        Some(id) => Ok(totals(read, id)?.bytes),
        None => Ok(0),
    }
}

/// Mean size of the documents of a collection, in bytes; 0 when it does not exist.
pub fn mean_bytes(read: &impl Read, database: &str, name: &str) -> Result<u64> {
    let Some(id) = collection(read, database, name)? else { return Ok(0) };
    let totals = totals(read, id)?;
    Ok(totals.bytes / totals.documents.max(1))
}

/// A collection with all that a query or a write needs to know of it.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its number.
    pub id: CollectionId,
    /// Its indexes, in the order in which they were created; those that are being built too.
    pub indexes: Vec<Arc<Index>>,
    /// What is set for it.
    pub options: Options,
}

impl Collection {
    /// Reads what the catalog has of a collection.
    pub fn load(read: &impl Read, id: CollectionId) -> Result<Collection> {
        let options = stored(read, Table::Catalog, &options_key(id))?.unwrap_or_default();
        let (start, end) = index_range(id);
        let mut indexes = Vec::new();
        for row in read.range(Table::Catalog, &start, &end)? {
            let entry: IndexEntry = cbor::decode(row?.1)?;
            let index =
                Index::new(entry).map_err(|error| StorageError::Failed(error.to_string()))?;
            indexes.push(Arc::new(index));
        }
        Ok(Collection { id, indexes, options })
    }

    /// Loads what is stored under a number if its definitions have no more than `bytes_max` bytes.
    pub fn load_small(
        read: &impl Read,
        id: CollectionId,
        bytes_max: usize,
    ) -> Result<Option<Collection>> {
        let (start, end) = index_range(id);
        let mut bytes = read.get(Table::Catalog, &options_key(id))?.map_or(0, <[u8]>::len);
        for row in read.range(Table::Catalog, &start, &end)? {
            bytes += row?.1.len();
            if bytes > bytes_max {
                return Ok(None);
            }
        }
        Collection::load(read, id).map(Some)
    }

    /// How many documents it has.
    pub fn documents(&self, read: &impl Read) -> Result<u64> {
        Ok(totals(read, self.id)?.documents)
    }

    /// Statistics of one of its indexes.
    pub fn stats(&self, read: &impl Read, index: IndexId) -> Result<IndexStats> {
        index_stats(read, index)
    }

    /// The index of this name.
    pub fn index(&self, name: &str) -> Option<&Arc<Index>> {
        self.indexes.iter().find(|index| index.entry.spec.name == name)
    }
}

/// Statistics of an index.
pub(super) fn index_stats(read: &impl Read, index: IndexId) -> Result<IndexStats> {
    stored(read, Table::Meta, &stats_key(index)).map(Option::unwrap_or_default)
}

/// What is dropped and still has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    /// Documents of this collection.
    Collection(CollectionId),
    /// Entries of this index.
    Index(IndexId),
    /// Former documents under this number.
    Versions(CollectionId),
}

/// The first of what is dropped and still has rows.
pub fn garbage(read: &impl Read) -> Result<Option<Garbage>> {
    let (start, end) = prefix_range("g/");
    let Some(row) = read.range(Table::Catalog, &start, &end)?.next() else {
        return Ok(None);
    };
    let (key, _) = row?;
    let (kind, id) = key.split_last_chunk::<4>().unwrap_or((&[], &[0; 4]));
    let id = u32::from_be_bytes(*id);
    Ok(Some(match kind {
        b"g/d" => Garbage::Collection(id),
        b"g/v" => Garbage::Versions(id),
        _ => Garbage::Index(id),
    }))
}

pub(super) fn garbage_key(garbage: Garbage) -> Vec<u8> {
    let (kind, id) = match garbage {
        Garbage::Collection(id) => (b"g/d", id),
        Garbage::Index(id) => (b"g/i", id),
        Garbage::Versions(id) => (b"g/v", id),
    };
    [&kind[..], &id.to_be_bytes()].concat()
}

pub(super) fn index_key(collection: CollectionId, index: IndexId) -> Vec<u8> {
    [b"i/", &collection.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

pub(super) fn index_range(collection: CollectionId) -> (Vec<u8>, Vec<u8>) {
    (index_key(collection, 0), index_key(collection + 1, 0))
}

pub(super) fn options_key(collection: CollectionId) -> Vec<u8> {
    [b"o/", &collection.to_be_bytes()[..]].concat()
}

pub(super) fn stats_key(index: IndexId) -> Vec<u8> {
    [b"x", &index.to_be_bytes()[..]].concat()
}

/// The entry under a key.
pub(super) fn stored<T: DecodeOwned>(
    read: &impl Read,
    table: Table,
    key: &[u8],
) -> Result<Option<T>> {
    read.get(table, key)?.map(cbor::decode).transpose()
}

/// A counter of the meta table; 0 when it was never written.
pub(super) fn counter(read: &impl Read, key: &[u8]) -> Result<u64> {
    match read.get(Table::Meta, key)? {
        Some(bytes) => Ok(u64::from_be_bytes(number(bytes)?)),
        None => Ok(0),
    }
}
