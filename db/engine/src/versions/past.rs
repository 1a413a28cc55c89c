//! Collections as they were: a view that merges what is there now with what later changes have
//! replaced.

use super::{Version, VersionRecord, decode, last_key, oldest, record_key, versions_of};
use crate::catalog::{self, Collection};
use crate::error::{Error, Kind};
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Entries, MergedRows, Read, Result, Table};

/// A moment in the past. The times of log entries never go back, so both kinds cut the history
/// between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Behind the entry with this log index.
    Index(u64),
    /// After the last entry that is not later than this, in milliseconds since 1970.
    Time(u64),
}

impl Moment {
    /// Whether a change came after this moment.
    fn is_before(self, record: &VersionRecord<'_>) -> bool {
        match self {
            Moment::Index(index) => record.version.index > index,
            Moment::Time(time_ms) => record.head.time_ms > time_ms,
        }
    }
}

/// Key of a document, and what it was; none when there was none.
type Former<'t> = (&'t [u8], Option<&'t [u8]>);

/// A view of everything, with one collection as it was at an earlier moment.
///
/// Its indexes are those of today: [`Past::open`] gives a collection without any.
pub struct Past<'r, R> {
    read: &'r R,
    collection: CollectionId,
    space: CollectionId,
    at: Moment,
}

impl<'r, R: Read> Past<'r, R> {
    /// A collection as of a moment, and the view to read it with.
    ///
    /// # Errors
    /// `versions_off`, `too_old`.
    pub fn open(
        read: &'r R,
        collection: &Collection,
        at: Moment,
    ) -> crate::error::Result<(Self, Collection)> {
        let versions = versions_of(collection)?;
        let (index, time_ms) = oldest(versions, &catalog::totals(read, collection.id)?);
        let too_old = match at {
            Moment::Index(at) => at < index,
            Moment::Time(at) => at < time_ms,
        };
        if too_old {
            let message = format!("the collection can be read as of log index {index} or later");
            return Err(Error::new(Kind::TooOld, message)
                .hint("ask for a later state, or keep versions for longer")
                .details(serde_json::json!({"oldest_index": index, "oldest_ms": time_ms})));
        }
        let then = Collection { indexes: Vec::new(), ..collection.clone() };
        Ok((Past { read, collection: collection.id, space: versions.space, at }, then))
    }

    fn is_here(&self, table: Table, key: &[u8]) -> bool {
        table == Table::Documents && key.starts_with(&self.collection.to_be_bytes())
    }

    /// What the documents between two keys were that have changed since.
    fn changed<'t>(
        &'t self,
        start: &[u8],
        end: &[u8],
        back: bool,
    ) -> Result<impl Iterator<Item = Result<Former<'t>>> + use<'t, R>> {
        let here = keys::collection_end(self.collection);
        let start = keys::version_bound(self.space, start);
        let end = match *end < here[..] {
            true => keys::version_bound(self.space, end),
            false => keys::collection_end(self.space),
        };
        let rows = match back {
            false => self.read.range(Table::Versions, &start, &end)?,
            true => self.read.range_back(Table::Versions, &start, &end)?,
        };
        let at = self.at;
        let later = rows.map(|row| row.and_then(|(key, value)| decode(key, value)));
        let mut later = later
            .filter(move |record| !matches!(record, Ok(record) if !at.is_before(record)))
            .peekable();
        // Of each document the first record after the index has what it was.
        Ok(std::iter::from_fn(move || {
            let mut first = match later.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            while let Some(Ok(next)) = later
                .next_if(|next| matches!(next, Ok(next) if next.document_key == first.document_key))
            {
                if back {
                    first = next;
                }
            }
            Some(Ok((first.document_key, first.before)))
        }))
    }
}

impl<R: Read> Read for Past<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        if !self.is_here(table, key) {
            return self.read.get(table, key);
        }
        let prefix = keys::version_prefix(self.space, key);
        let from = match self.at {
            Moment::Index(index) => index.saturating_add(1),
            Moment::Time(_) => 0,
        };
        let from = record_key(&prefix, Version { index: from, step: 0 });
        for row in self.read.range(Table::Versions, &from, &last_key(&prefix))? {
            let (key, value) = row?;
            let record = decode(key, value)?;
            if self.at.is_before(&record) {
                return Ok(record.before);
            }
        }
        self.read.get(table, key)
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        let rows = self.read.range(table, start, end)?;
        if !self.is_here(table, start) || start >= end {
            return Ok(rows);
        }
        Ok(Box::new(MergedRows::new(rows, self.changed(start, end, false)?, false)))
    }

    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        let rows = self.read.range_back(table, start, end)?;
        if !self.is_here(table, start) || start >= end {
            return Ok(rows);
        }
        Ok(Box::new(MergedRows::new(rows, self.changed(start, end, true)?, true)))
    }
}
