//! Transactions of several calls: optimistic, with snapshot reads.
//!
//! An open transaction is a view with changes laid over it, on which the engine runs as it does
//! in apply; nobody else sees them. To commit, one log entry carries what the transaction has
//! read of the view and what it makes of each document. Apply carries it out when nothing of
//! what was read has changed, as if all its calls were made at that point of the log (strict
//! serializability), and refuses it otherwise. (Kung and Robinson, *On optimistic methods for
//! concurrency control*, 1981: backward validation.)

use super::apply::{Applier, ApplyError, ApplyResult, COLLECTION_KEY, INDEX_KEY};
use super::budget;
use super::catalog::{self, Collection};
use super::check::unreadable;
use super::command::{Outcome, Proposal, ProposalResult};
use super::document;
use super::index::{Entry, IndexEntry, IndexId};
use super::write::find;
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::overlay::stamp;
use crate::storage::{Overlay, Read, ReadTxn, Reads, StorageError, Table, WriteTxn};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};

/// Rows of one collection or index that a transaction notes one by one; beyond that the whole
/// collection must not change.
const ROWS_MAX: usize = 2_000;

/// Bytes of what is there that a transaction or batch may overwrite: they are kept in memory
/// until it is known that all of it is possible.
const OVERWRITTEN_MAX: usize = 64 << 20;

/// The error for what would overwrite more than [`OVERWRITTEN_MAX`].
pub(super) fn too_much() -> Error {
    let message = format!("this would overwrite more than {} MiB at once", OVERWRITTEN_MAX >> 20);
    Error::new(Kind::TransactionTooLarge, message).hint("do it in smaller parts")
}

/// Whether a transaction or batch has overwritten more than it may.
pub(super) fn is_too_much(txn: &WriteTxn<'_>) -> bool {
    txn.marked_bytes() > OVERWRITTEN_MAX
}

const BEGIN_AGAIN: &str = "nothing was written; begin the transaction again";

/// The content of [`Command::Commit`](super::Command::Commit).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// What was read, and must still be the same.
    pub reads: Reads,
    /// Collections that must not have changed at all since this log index.
    pub unchanged: Vec<(CollectionId, u64)>,
    /// Indexes that were read.
    pub indexes: Vec<IndexRead>,
    /// Where was written: database and collection.
    pub places: Vec<(String, String)>,
    /// The newest index that was there: one that came since could have refused a document that
    /// the transaction had for a while, or what it was told about it.
    pub last_index: u64,
    /// What is written, each with the number of its place; deletions first.
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

/// What a transaction makes of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalWrite {
    /// Its `_id`.
    pub id: DocumentId,
    /// The document without `_id`; none when it is deleted.
    pub body: Option<String>,
}

/// An open transaction.
pub struct Transaction {
    overlay: Overlay,
    applier: Applier,
    index: u64,
    bytes_max: usize,
}

impl Transaction {
    /// Begins a transaction that reads `base`, the state at a log index, and may write
    /// documents of `bytes_max` altogether.
    pub fn begin(base: ReadTxn<'static>, index: u64, bytes_max: usize) -> Result<Self> {
        let mut applier = Applier::provisional();
        applier.begin(&base)?;
        Ok(Transaction { overlay: Overlay::new(base, ROWS_MAX), applier, index, bytes_max })
    }

    /// What its calls see.
    pub fn view(&self) -> &Overlay {
        &self.overlay
    }

    /// Log index of the state that it reads.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Rows that must not change before it commits.
    pub fn reads(&self) -> usize {
        self.overlay.reads_len()
    }

    /// Bytes of what it writes.
    pub fn bytes(&self) -> usize {
        self.overlay.bytes(Table::Documents)
    }

    /// Documents that it writes or deletes, and their bytes.
    pub fn writes(&self) -> (u64, u64) {
        let documents = self.overlay.changes(Table::Documents);
        documents.fold((0, 0), |(count, bytes), (key, value)| {
            (count + 1, bytes + (key.len() + value.map_or(0, <[u8]>::len)) as u64)
        })
    }

    /// Carries a command out inside.
    ///
    /// # Errors
    /// The command's refusal; `not_in_transaction` for what is not about documents;
    /// `transaction_too_large`. Then nothing of it stays.
    pub fn execute(&mut self, proposal: Proposal) -> Result<ProposalResult> {
        let refused = |error| Ok(ProposalResult { result: Err(error), repeats: None });
        if !proposal.command.describe().class.in_transaction {
            let error = Error::new(Kind::NotInTransaction, "this is not possible in a transaction")
                .hint("only documents can be read and written in it; do the rest outside");
            return refused(error);
        }
        let numbers = self.applier.numbers.clone();
        let mut txn = self.overlay.write();
        let answer = self.applier.apply(&mut txn, self.index, proposal)?;
        self.applier.flush(&mut txn)?;
        let tables = [Table::Documents, Table::Indexes, Table::Retries];
        let written = tables.map(|table| txn.overlaid(table)).iter().sum::<usize>();
        if written > self.bytes_max {
            drop(txn);
            self.applier.numbers = numbers;
            self.applier.forget_all();
            let message = format!(
                "the transaction would hold {written} bytes, {} are allowed",
                self.bytes_max
            );
            let error = Error::new(Kind::TransactionTooLarge, message);
            return refused(error.hint("commit in smaller parts"));
        }
        txn.commit()?;
        Ok(answer)
    }

    /// What is to be proposed to commit it; none when it has written nothing, since what it has
    /// read was all there at the moment it began.
    pub fn commit(&self) -> Result<Option<Commit>> {
        if self.overlay.changes(Table::Documents).next().is_none() {
            return Ok(None);
        }
        let base = self.overlay.base();
        let names = names(&self.overlay)?;
        let (mut places, mut numbers) = (Vec::new(), HashMap::new());
        let mut writes = Vec::new();
        for (key, stored) in self.overlay.changes(Table::Documents) {
            let collection = collection_of(key);
            let (Some(id), Some(name)) = (keys::document_id(key), names.get(&collection)) else {
                return Err(StorageError::Failed("a written document has no place".into()));
            };
            let place = *numbers.entry(collection).or_insert_with(|| {
                places.push(name.clone());
                places.len() as u32 - 1
            });
            if stored.is_none() && base.get(Table::Documents, key)?.is_none() {
                continue;
            }
            let body = match stored {
                None => None,
                Some(stored) => {
                    let json = document::decode(stored).map(|(_, json)| json);
                    let body = json.and_then(|json| document::without_id(json, &id));
                    let lost = || StorageError::Failed("a written document is damaged".into());
                    Some(body.ok_or_else(lost)?)
                }
            };
            writes.push((place, FinalWrite { id, body }));
        }
        writes.sort_by_key(|(_, write)| write.body.is_some());
        let reads = self.reads_of_others()?;
        let mut unchanged = Vec::new();
        for (table, space) in &reads.whole {
            let number = u32::from_be_bytes(*space);
            let collection = match table {
                Table::Indexes => catalog::collection_of_index(base, number)?,
                _ => Some(number),
            };
            if let Some(collection) = collection {
                unchanged.push((collection, catalog::totals(base, collection)?.changed));
            }
        }
        unchanged.sort_unstable();
        unchanged.dedup();
        let indexes = self.indexes(&reads)?;
        let last_index = catalog::counter(base, INDEX_KEY)?;
        Ok(Some(Commit { reads, unchanged, indexes, places, last_index, writes }))
    }

    /// What was read, without the collections and indexes that the transaction itself has made:
    /// their numbers may have gone to others since.
    fn reads_of_others(&self) -> Result<Reads> {
        let base = self.overlay.base();
        let collections = catalog::counter(base, COLLECTION_KEY)?;
        let indexes = catalog::counter(base, INDEX_KEY)?;
        let known = |table: Table, key: &[u8]| match table {
            Table::Documents => u64::from(collection_of(key)) <= collections,
            Table::Indexes => u64::from(collection_of(key)) <= indexes,
            _ => true,
        };
        let mut reads = self.overlay.reads();
        reads.points.retain(|(table, key), _| known(*table, key));
        reads.ranges.retain(|(table, space), _| known(*table, space));
        reads.whole.retain(|(table, space)| known(*table, space));
        Ok(reads)
    }

    fn indexes(&self, reads: &Reads) -> Result<Vec<IndexRead>> {
        let base = self.overlay.base();
        let spaces = reads.ranges.keys().chain(&reads.whole);
        let read = spaces.filter(|(table, _)| *table == Table::Indexes);
        let mut numbers: BTreeSet<IndexId> =
            read.map(|(_, space)| u32::from_be_bytes(*space)).collect();
        numbers.extend(&self.applier.numbered);
        let mut indexes = Vec::new();
        for index in numbers {
            let Some(collection) = catalog::collection_of_index(base, index)? else { continue };
            let known = Collection::load(base, collection)?;
            let Some(entry) = known.indexes.iter().find(|known| known.entry.id == index) else {
                continue;
            };
            let last_number = match self.applier.numbered.contains(&index) {
                true => Some(known.stats(base, index)?.last_number),
                false => None,
            };
            let single = entry.is_ready() && !entry.entry.multikey;
            indexes.push(IndexRead { collection, index, single, last_number });
        }
        Ok(indexes)
    }
}

fn collection_of(key: &[u8]) -> CollectionId {
    key.first_chunk().map_or(0, |number| u32::from_be_bytes(*number))
}

/// Database and name of every collection.
fn names(read: &impl Read) -> Result<HashMap<CollectionId, (String, String)>> {
    let mut names = HashMap::new();
    for (database, _) in catalog::databases(read)? {
        for (collection, id) in catalog::collections(read, &database)? {
            names.insert(id, (database.clone(), collection));
        }
    }
    Ok(names)
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
        let place = |number: u32| {
            let place = commit.places.get(number as usize);
            let (database, collection) =
                place.ok_or_else(|| unreadable("a place of the transaction"))?;
            ApplyResult::Ok(NamespaceRef { database, collection })
        };
        // A unique value may go from one document of the transaction to another: none of them
        // has one until all are written.
        for (number, write) in &commit.writes {
            if let Some(collection) = self.collection(txn, place(*number)?)?
                && collection.indexes.iter().any(|index| index.entry.spec.unique)
                && let Some(old) = find(txn, collection.id, &write.id)?
            {
                self.unindex(txn, &collection, &old)?;
            }
        }
        // A collection that the transaction has made stays, even when nothing is left in it.
        for (database, collection) in &commit.places {
            self.ensure_database(txn, database)?;
            self.ensure_collection(txn, database, collection)?;
        }
        for (number, write) in &commit.writes {
            let place = place(*number)?;
            let collection = self.ensure_collection(txn, place.database, place.collection)?;
            let unindexed = collection.indexes.iter().any(|index| index.entry.spec.unique);
            let old = find(txn, collection.id, &write.id)?;
            let old = old.map(|old| super::write::Stored { indexed: !unindexed, ..old });
            match (&write.body, old) {
                (Some(body), old) => {
                    self.store(txn, place, &collection, &write.id, old.as_ref(), body.clone())?;
                }
                (None, Some(old)) => self.remove(txn, place, &collection, &old)?,
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
        for (database, collection) in &commit.places {
            let place = NamespaceRef { database, collection };
            let Some(collection) = self.collection(txn, place)? else { continue };
            let newest = collection.indexes.iter().map(|index| index.entry.id).max();
            if newest.is_some_and(|newest| u64::from(newest) > commit.last_index) {
                return Ok(Some(Conflict::Collection(collection.id)));
            }
        }
        Ok(None)
    }

    /// The first of what a transaction has read that is another now.
    fn first_change(&self, txn: &WriteTxn<'_>, commit: &Commit) -> Result<Option<Conflict>> {
        for ((table, key), seen) in &commit.reads.points {
            let now = txn.get(*table, key)?.map(stamp);
            if now != *seen {
                return Ok(Some(Conflict::Row(*table, key.clone())));
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
            let number = match self.numbers.stats.get(&seen.index) {
                Some(stats) => stats.last_number,
                None => catalog::index_stats(txn, seen.index)?.last_number,
            };
            if gone || seen.last_number.is_some_and(|last| last != number) {
                return Ok(Some(Conflict::Collection(seen.collection)));
            }
        }
        for (collection, index) in &commit.unchanged {
            let totals = match self.numbers.totals.get(collection) {
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

/// What has changed since a transaction has read it.
enum Conflict {
    Row(Table, Vec<u8>),
    Collection(CollectionId),
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
        (Some((database, collection)), Some(id)) => (
            format!("the document {id} of {database}.{collection} was changed by another call"),
            json!({"database": database, "collection": collection, "id": id}),
        ),
        (Some((database, collection)), None) => (
            format!("{database}.{collection} was changed by another call"),
            json!({"database": database, "collection": collection}),
        ),
        (None, _) => {
            ("a collection that the transaction has used is gone or another".into(), json!({}))
        }
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

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
