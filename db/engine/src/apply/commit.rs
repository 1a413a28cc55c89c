//! Applying the commit of a transaction: backward validation of what it has read, then its writes.

use crate::apply::Applier;
use crate::apply::result::{ApplyError, ApplyResult};
use crate::apply::stored::{Stored, find};
use crate::budget;
use crate::catalog::{self, Collection};
use crate::command::{COLLECTION_GONE, Commit, Outcome, unreadable};
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::index::{Entry, IndexEntry};
use crate::namespace::Namespace;
use crate::storage::keys::{self, CollectionId};
use crate::storage::overlay::stamp;
use crate::storage::{Read, Result, Table, WriteTxn};
use crate::transactions::{collection_of, names};
use serde_json::json;

/// Bytes that a transaction or batch may overwrite: they are kept in memory until all of it has
/// succeeded.
const OVERWRITTEN_MAX: usize = 64 << 20;

const BEGIN_AGAIN: &str = "nothing was written; begin the transaction again";

/// What has changed since a transaction has read it.
enum Conflict {
    Row(Table, Vec<u8>),
    Collection(CollectionId),
}

impl Applier {
    /// [`Command::Commit`]
    pub(super) fn commit(&mut self, txn: &mut WriteTxn<'_>, commit: Commit) -> ApplyResult {
        self.context(0).work(commit.reads.len() as u64 * budget::LOOK_UP)?;
        let changed = match self.first_change(txn, &commit)? {
            None => self.new_index(txn, &commit)?,
            changed => changed,
        };
        if let Some(changed) = changed {
            return Err(conflict(txn, changed)?.into());
        }
        // Rules and schemas were checked at each call, and what they were checked against is
        // unchanged. Now the documents come in another order.
        self.checked = true;
        let step = self.few_or_nothing(txn, |this, txn| this.write_final(txn, &commit));
        self.checked = false;
        step.map_err(|error| match error {
            ApplyError::Refused(error) => {
                let message = format!("what the transaction wrote is not possible now: {error}");
                let conflict = Error::new(Kind::TransactionConflict, message);
                conflict.hint(BEGIN_AGAIN).details(json!({})).into()
            }
            failed => failed,
        })
    }

    fn write_final(&mut self, txn: &mut WriteTxn<'_>, commit: &Commit) -> ApplyResult {
        let named = |number: u32| {
            let namespace = commit.namespaces.get(number as usize);
            let namespace = namespace.ok_or_else(|| unreadable("a place of the transaction"))?;
            ApplyResult::Ok(namespace.borrowed())
        };
        // A unique value may go from one document of the transaction to another: none of them
        // has one until all are written.
        for (number, write) in &commit.writes {
            if let Some(collection) = self.collection(txn, named(*number)?)?
                && collection.indexes.iter().any(|index| index.entry.spec.unique)
                && let Some(old) = find(txn, collection.id, &write.id)?
            {
                self.unindex(txn, &collection, &old)?;
            }
        }
        // A collection that the transaction has created stays, even when nothing is left in it.
        for Namespace { database, collection } in &commit.namespaces {
            self.ensure_database(txn, database)?;
            self.ensure_collection(txn, database, collection)?;
        }
        for (number, write) in &commit.writes {
            let namespace = named(*number)?;
            let collection =
                self.ensure_collection(txn, namespace.database, namespace.collection)?;
            let unindexed = collection.indexes.iter().any(|index| index.entry.spec.unique);
            let old = find(txn, collection.id, &write.id)?;
            let old = old.map(|old| Stored { indexed: !unindexed, ..old });
            match (&write.body, old) {
                (Some(body), old) => {
                    self.store(txn, namespace, &collection, &write.id, old.as_ref(), body.clone())?;
                }
                (None, Some(old)) => self.remove(txn, namespace, &collection, &old)?,
                (None, None) => {}
            }
            if is_too_much(txn) {
                return Err(too_much().into());
            }
        }
        Ok(Outcome::Committed(commit.writes.len() as u64))
    }

    /// A collection with an index that came since the transaction has written to it.
    fn new_index(&mut self, txn: &WriteTxn<'_>, commit: &Commit) -> Result<Option<Conflict>> {
        for namespace in &commit.namespaces {
            let Some(collection) = self.collection(txn, namespace.borrowed())? else { continue };
            let newest = collection.indexes.iter().map(|index| index.entry.id).max();
            if newest.is_some_and(|newest| u64::from(newest) > commit.last_index) {
                return Ok(Some(Conflict::Collection(collection.id)));
            }
        }
        Ok(None)
    }

    /// The first thing that a transaction has read and that has changed since.
    fn first_change(&self, txn: &WriteTxn<'_>, commit: &Commit) -> Result<Option<Conflict>> {
        for ((table, key), seen) in &commit.reads.points {
            let now = txn.get(*table, key)?.map(stamp);
            if now != *seen {
                return Ok(Some(Conflict::Row(*table, key.to_vec())));
            }
        }
        for ((table, _), ranges) in &commit.reads.ranges {
            for range in ranges {
                let mut seen = range.rows.iter();
                let rows = txn.range(*table, &range.start, &range.end)?;
                for row in rows.map(Some).chain([None]) {
                    let now = row.transpose()?.map(|(key, value)| (key, stamp(value)));
                    let seen = seen.next();
                    let seen = seen.map(|(key, stamp)| (&key[..], *stamp));
                    if now == seen {
                        continue;
                    }
                    // Of two rows the one that comes first is missing on the other side.
                    let key = [now, seen].into_iter().flatten().map(|(key, _)| key).min();
                    let key = key.unwrap_or_default().to_vec();
                    return Ok(Some(Conflict::Row(*table, key)));
                }
            }
        }
        for seen in &commit.indexes {
            let key = catalog::index_key(seen.collection, seen.index);
            let entry: Option<IndexEntry> = catalog::stored(txn, Table::Catalog, &key)?;
            let gone = entry.is_none_or(|entry| seen.single && entry.multikey);
            let number = match self.counters.stats.get(&seen.index) {
                Some(stats) => stats.last_number,
                None => catalog::index_stats(txn, seen.index)?.last_number,
            };
            if gone || seen.last_number.is_some_and(|last| last != number) {
                return Ok(Some(Conflict::Collection(seen.collection)));
            }
        }
        for (collection, index) in &commit.unchanged {
            let totals = match self.counters.totals.get(collection) {
                Some(totals) => *totals,
                None => catalog::totals(txn, *collection)?,
            };
            if totals.changed > *index {
                return Ok(Some(Conflict::Collection(*collection)));
            }
        }
        Ok(None)
    }
}

/// The error for what would overwrite more than [`OVERWRITTEN_MAX`].
pub(super) fn too_much() -> Error {
    let message = format!("this would overwrite more than {} MiB at once", OVERWRITTEN_MAX >> 20);
    Error::new(Kind::TransactionTooLarge, message).hint("do it in smaller parts")
}

/// Whether a transaction or batch has overwritten more than it may.
pub(super) fn is_too_much(txn: &WriteTxn<'_>) -> bool {
    txn.marked_bytes() > OVERWRITTEN_MAX
}

/// The error of a transaction that cannot be committed.
fn conflict(read: &impl Read, changed: Conflict) -> Result<Error> {
    let (collection, id) = match changed {
        Conflict::Collection(collection) => (Some(collection), None),
        Conflict::Row(Table::Documents, key) => {
            (Some(collection_of(&key)), keys::document_id(&key))
        }
        Conflict::Row(Table::Indexes, key) => {
            let collection = catalog::collection_of_index(read, collection_of(&key))?;
            (collection, collection.map_or(Ok(None), |id| document_of_entry(read, id, &key))?)
        }
        Conflict::Row(..) => (None, None),
    };
    let name = match collection {
        Some(collection) => names(read)?.remove(&collection),
        None => None,
    };
    let (message, details) = match (name, id) {
        (Some(Namespace { database, collection }), Some(id)) => (
            format!("the document {id} of {database}.{collection} was changed by another call"),
            json!({"database": database, "collection": collection, "id": id}),
        ),
        (Some(Namespace { database, collection }), None) => (
            format!("{database}.{collection} was changed by another call"),
            json!({"database": database, "collection": collection}),
        ),
        (None, _) => (COLLECTION_GONE.into(), json!({})),
    };
    Ok(Error::new(Kind::TransactionConflict, message).hint(BEGIN_AGAIN).details(details))
}

/// The document that an index entry stands for.
fn document_of_entry(
    read: &impl Read,
    collection: CollectionId,
    key: &[u8],
) -> Result<Option<DocumentId>> {
    let number = collection_of(key);
    let known = Collection::load(read, collection)?;
    let Some(index) = known.indexes.iter().find(|index| index.entry.id == number) else {
        return Ok(None);
    };
    let Some(value) = read.get(Table::Indexes, key)? else { return Ok(None) };
    let entry = Entry::new(key, value);
    Ok(keys::document_id(&entry.document_key(collection, index.id_descending())))
}
