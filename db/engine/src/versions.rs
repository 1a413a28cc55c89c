//! Former documents: kept by apply, listed, restored, and read as a whole as of a log index.
//!
//! A collection that keeps versions has an undo log: each change of a document adds a record
//! with what was there before it. Its key is `space ++ document ++ log index ++ step`, so the
//! records of a document lie together, the oldest first. A version is named by the change that
//! made it; what it was is in the record behind, or is what the document is now. A collection as
//! of an earlier log index is what is there now, with the documents changed since replaced by
//! what the first later record has of them.

mod past;

pub use past::{Moment, Past};

use crate::catalog::{self, Collection, CollectionTotals, Versions};
use crate::cbor;
use crate::changes::ChangeKind;
use crate::document::Revision;
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::query::context::Context;
use crate::row::Row;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Result, StorageError, Table};
use minicbor::bytes::ByteVec;
use minicbor::{CborLen, Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// The number of a version: the change that made it. The oldest one may have the number 0: it
/// was there before versions were kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, CborLen,
)]
pub struct Version {
    /// Log index of the change.
    #[n(0)]
    pub index: u64,
    /// How many changes of the same document in the same log entry came before it.
    #[n(1)]
    pub step: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            0 => self.index.fmt(f),
            step => write!(f, "{}.{step}", self.index),
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> std::result::Result<Self, Error> {
        let (index, step) = text.split_once('.').unwrap_or((text, "0"));
        match (index.parse(), step.parse()) {
            (Ok(index), Ok(step)) => Ok(Version { index, step }),
            _ => Err(Error::new(Kind::InvalidParameter, format!("{text:?} is not a version"))
                .hint("use a number from the list of the document's versions")),
        }
    }
}

/// What a record tells of its change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct VersionHead {
    /// Number of the change among those of the document.
    #[n(0)]
    pub(crate) sequence: u64,
    /// The version that it has ended.
    #[n(1)]
    pub ended: Version,
    /// When, in milliseconds since 1970.
    #[n(2)]
    pub time_ms: u64,
    /// By whom; none when the database did it itself.
    #[n(3)]
    pub user: Option<String>,
    /// What was done.
    #[n(4)]
    pub kind: ChangeKind,
}

/// One change of a document, with what was there before.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRecord<'t> {
    /// The version that it has made.
    pub version: Version,
    /// Facts about the change.
    pub head: VersionHead,
    /// Key of the document among the documents.
    document_key: &'t [u8],
    /// What was there before it, as it was stored; none when there was nothing.
    pub before: Option<&'t [u8]>,
}

const VERSION_BYTES: usize = 12;

pub(crate) fn record_key(prefix: &[u8], version: Version) -> Vec<u8> {
    [prefix, &version.index.to_be_bytes(), &version.step.to_be_bytes()].concat()
}

pub(crate) fn encode(
    head: &VersionHead,
    document_key: &[u8],
    before: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let mut value = cbor::encode(head)?;
    value.extend_from_slice(&(document_key.len() as u16).to_be_bytes());
    value.extend_from_slice(document_key);
    value.extend_from_slice(before.unwrap_or_default());
    Ok(value)
}

pub(crate) fn unreadable() -> StorageError {
    StorageError::Failed("a stored version cannot be read".into())
}

pub(crate) fn decode<'t>(key: &[u8], value: &'t [u8]) -> Result<VersionRecord<'t>> {
    let parsed = (|| {
        let version = key.get(key.len().checked_sub(VERSION_BYTES)?..)?;
        let (index, step) = version.split_first_chunk::<8>()?;
        let version = Version {
            index: u64::from_be_bytes(*index),
            step: u32::from_be_bytes(step.try_into().ok()?),
        };
        let (head, rest) = cbor::take(value).ok()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (document_key, before) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let before = Some(before).filter(|before| !before.is_empty());
        Some(VersionRecord { version, head, document_key, before })
    })();
    parsed.ok_or_else(unreadable)
}

pub(crate) fn last_key(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xff; VERSION_BYTES + 1]].concat()
}

/// The records of a document from a version on, the oldest first.
fn records_from<'t, R: Read>(
    read: &'t R,
    versions: &Versions,
    document_key: &[u8],
    from: Version,
) -> Result<impl Iterator<Item = Result<VersionRecord<'t>>> + use<'t, R>> {
    let prefix = keys::version_prefix(versions.space, document_key);
    let rows = read.range(Table::Versions, &record_key(&prefix, from), &last_key(&prefix))?;
    Ok(rows.map(|row| row.and_then(|(key, value)| decode(key, value))))
}

/// One version of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionEntry {
    /// Its number.
    pub version: Version,
    /// What made it; none for the oldest when that is not kept.
    pub made: Option<VersionHead>,
    /// Revision and bytes of the document in it; none when it was deleted.
    pub document: Option<(Revision, u64)>,
}

/// The versions of a document, the newest first, and whether the first is what the document is
/// now. Empty when there never was such a document.
///
/// # Errors
/// `query_too_large`, `time_limit`.
pub fn history(
    read: &impl Read,
    collection: &Collection,
    id: &DocumentId,
    ctx: &Context<'_>,
) -> crate::error::Result<Vec<VersionEntry>> {
    let key = keys::document_key(collection.id, id);
    let mut entries: Vec<VersionEntry> = Vec::new();
    let size = |stored: &[u8]| Row::decode(stored).map(|row| (row.revision, row.json.len() as u64));
    let mut last: Option<(Version, VersionHead)> = None;
    if let Some(versions) = &collection.options.versions {
        for record in records_from(read, versions, &key, Version::default())? {
            let VersionRecord { version, head, before, .. } = record?;
            ctx.step()?;
            ctx.charge(std::mem::size_of::<VersionEntry>(), "the list of versions")?;
            let known = last.is_some();
            if known || before.is_some() {
                entries.push(VersionEntry {
                    version: head.ended,
                    made: last.take().map(|(_, head)| head),
                    document: before.and_then(size),
                });
            }
            last = Some((version, head));
        }
    }
    let current = read.get(Table::Documents, &key)?.and_then(size);
    if current.is_some() || last.is_some() {
        let (version, made) = match last {
            Some((version, head)) => (version, Some(head)),
            None => (Version::default(), None),
        };
        entries.push(VersionEntry { version, made, document: current });
    }
    entries.reverse();
    Ok(entries)
}

/// Revision and JSON text of a document in one of its versions.
///
/// # Errors
/// `version_not_found`.
pub fn find_version(
    read: &impl Read,
    collection: &Collection,
    id: &DocumentId,
    version: Version,
) -> crate::error::Result<(Revision, Vec<u8>)> {
    let key = keys::document_key(collection.id, id);
    let ended = match &collection.options.versions {
        None => None,
        Some(versions) => {
            let behind = Version { step: version.step.saturating_add(1), ..version };
            records_from(read, versions, &key, behind)?.next().transpose()?
        }
    };
    let stored = match ended {
        Some(record) => record.before.filter(|_| record.head.ended == version),
        None if newest(read, collection, &key)? == version => read.get(Table::Documents, &key)?,
        None => None,
    };
    stored.and_then(Row::decode).map(|row| (row.revision, row.json.to_vec())).ok_or_else(|| {
        Error::new(Kind::VersionNotFound, format!("the document {id} has no version {version}"))
            .hint("list its versions; a deleted document has none at that point")
    })
}

/// The version that a document is in now.
pub(crate) fn newest(
    read: &impl Read,
    collection: &Collection,
    document_key: &[u8],
) -> Result<Version> {
    let Some(versions) = &collection.options.versions else { return Ok(Version::default()) };
    let last = last_record(read, versions, document_key)?;
    Ok(last.map_or(Version::default(), |record| record.version))
}

pub(crate) fn last_record<'t>(
    read: &'t impl Read,
    versions: &Versions,
    document_key: &[u8],
) -> Result<Option<VersionRecord<'t>>> {
    let prefix = keys::version_prefix(versions.space, document_key);
    let mut rows = read.range_back(Table::Versions, &prefix, &last_key(&prefix))?;
    rows.next().map(|row| row.and_then(|(key, value)| decode(key, value))).transpose()
}

/// The earliest moment as of which a collection can be read: log index, and time in
/// milliseconds since 1970.
pub fn oldest(versions: &Versions, totals: &CollectionTotals) -> (u64, u64) {
    (versions.since.max(totals.forgotten), versions.since_ms.max(totals.forgotten_ms))
}

pub(crate) fn versions_of(collection: &Collection) -> crate::error::Result<&Versions> {
    collection
        .options
        .versions
        .as_ref()
        .ok_or_else(|| Error::new(Kind::VersionsOff, "this collection keeps no versions"))
}

fn space_range(space: CollectionId) -> (Vec<u8>, Vec<u8>) {
    (keys::collection_start(space), keys::collection_end(space))
}

/// Key of a record.
pub type Key = Vec<u8>;

/// Records that one command removes, and their bytes.
const FORGET_KEYS: usize = 2_000;

const FORGET_BYTES: usize = 16 << 20;

/// What a part of a search for old records has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OldVersions {
    /// Keys of records that are old.
    pub keys: Vec<ByteVec>,
    /// Where to go on; none at the end.
    pub next: Option<Key>,
    /// When the oldest of the others was made, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// The keys of records that were made before a time, up to a number of them and a number of
/// bytes, and where to go on: the leader looks for them, and proposes that they are removed.
pub fn older_than(
    read: &impl Read,
    versions: &Versions,
    time_ms: u64,
    from: Option<Vec<u8>>,
    rows: usize,
) -> Result<OldVersions> {
    let (start, end) = space_range(versions.space);
    let (mut old, mut bytes) = (OldVersions::default(), 0);
    let found = read.range(Table::Versions, &from.unwrap_or(start), &end)?;
    for (seen, row) in found.enumerate() {
        let (key, value) = row?;
        if seen == rows || old.keys.len() == FORGET_KEYS || bytes > FORGET_BYTES {
            old.next = Some(key.to_vec());
            break;
        }
        let made_ms = decode(key, value)?.head.time_ms;
        if made_ms < time_ms {
            bytes += value.len();
            old.keys.push(key.to_vec().into());
        } else {
            old.oldest_ms = Some(old.oldest_ms.map_or(made_ms, |oldest| oldest.min(made_ms)));
        }
    }
    Ok(old)
}

/// Where it is kept whether new collections keep their former documents: 1 when they do.
pub(crate) const DEFAULT_KEY: &[u8] = b"versions_default";

/// Whether new collections keep their former documents, as JettraDBVM's do.
pub fn is_default(read: &impl Read) -> Result<bool> {
    Ok(catalog::counter(read, DEFAULT_KEY)? == 1)
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
