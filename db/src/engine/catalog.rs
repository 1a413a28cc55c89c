//! Databases and collections: what exists, under which number, with how many documents.
//!
//! Keys of the catalog table: `d/<database>` and `c/<database>/<collection>`. Names hold no
//! slash, so the two cannot be confused. Counts lie in the meta table under `n<collection id>`,
//! so that counting does not rewrite the catalog.

use crate::storage::env::Result;
use crate::storage::keys::CollectionId;
use crate::storage::{Read, StorageError, Table};
use serde::{Deserialize, Serialize};

/// A database, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// Engine name, kept for clients of the ancestor.
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

/// From the first to behind the last key that begins with `prefix`, which ends in a slash.
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
    let Some(bytes) = read.get(Table::Catalog, &database_key(name))? else {
        return Ok(None);
    };
    postcard::from_bytes(bytes).map(Some).map_err(|error| StorageError::Failed(error.to_string()))
}

/// The number of a collection.
pub fn collection(
    read: &impl Read,
    database: &str,
    collection: &str,
) -> Result<Option<CollectionId>> {
    let key = collection_key(database, collection);
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
        let entry =
            postcard::from_bytes(value).map_err(|error| StorageError::Failed(error.to_string()))?;
        found.push((String::from_utf8_lossy(&key[start.len()..]).into_owned(), entry));
    }
    Ok(found)
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

/// Number of documents in a collection.
pub fn count(read: &impl Read, collection: CollectionId) -> Result<u64> {
    match read.get(Table::Meta, &count_key(collection))? {
        Some(bytes) => Ok(u64::from_be_bytes(number(bytes)?)),
        None => Ok(0),
    }
}

/// A counter of the meta table; 0 when it was never written.
pub(super) fn counter(read: &impl Read, key: &[u8]) -> Result<u64> {
    match read.get(Table::Meta, key)? {
        Some(bytes) => Ok(u64::from_be_bytes(number(bytes)?)),
        None => Ok(0),
    }
}
