//! Transactions of several calls: optimistic, with snapshot reads.
//!
//! An open transaction is a view with changes laid over it, on which the engine runs as it does
//! in apply; nobody else sees them. To commit, one log entry carries what the transaction has
//! read of the view and what it makes of each document. Apply carries it out when nothing of
//! what was read has changed, as if all its calls were made at that point of the log (strict
//! serializability), and refuses it otherwise. (Kung and Robinson, *On optimistic methods for
//! concurrency control*, 1981: backward validation.)

use crate::apply::{Applier, COLLECTION_KEY, INDEX_KEY};
use crate::catalog::{self, Collection};
use crate::command::{Commit, FinalWrite, IndexRead, Proposal, ProposalResult};
use crate::document;
use crate::error::{Error, Kind};
use crate::index::IndexId;
use crate::namespace::Namespace;
use crate::row::Row;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Overlay, Read, ReadTxn, Reads, Result, StorageError, Table};
use std::collections::{BTreeSet, HashMap};

/// Rows of one collection or index that a transaction notes one by one; beyond that the whole
/// collection must not change.
const ROWS_MAX: usize = 2_000;

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
        let counters = self.applier.counters.clone();
        let mut txn = self.overlay.write();
        let answer = self.applier.apply(&mut txn, self.index, proposal)?;
        self.applier.flush(&mut txn)?;
        let tables = [Table::Documents, Table::Indexes, Table::Retries];
        let written = tables.map(|table| txn.overlaid(table)).iter().sum::<usize>();
        if written > self.bytes_max {
            drop(txn);
            self.applier.counters = counters;
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
        let (mut namespaces, mut numbers) = (Vec::new(), HashMap::new());
        let mut writes = Vec::new();
        for (key, stored) in self.overlay.changes(Table::Documents) {
            let collection = collection_of(key);
            let (Some(mut id), Some(namespace)) = (keys::document_id(key), names.get(&collection))
            else {
                return Err(StorageError::Failed("a written document has no collection".into()));
            };
            let number = *numbers.entry(collection).or_insert_with(|| {
                namespaces.push(namespace.clone());
                namespaces.len() as u32 - 1
            });
            if stored.is_none() && base.get(Table::Documents, key)?.is_none() {
                continue;
            }
            let body = match stored {
                None => None,
                Some(stored) => {
                    let json = Row::decode(stored).map(|row| row.json);
                    let lost = || StorageError::Failed("a written document is damaged".into());
                    let (given, body) = json.and_then(document::without_id).ok_or_else(lost)?;
                    id = given;
                    Some(body)
                }
            };
            writes.push((number, FinalWrite { id, body }));
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
        Ok(Some(Commit { reads, unchanged, indexes, namespaces, last_index, writes }))
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

pub(crate) fn collection_of(key: &[u8]) -> CollectionId {
    key.first_chunk().map_or(0, |number| u32::from_be_bytes(*number))
}

/// The names of every collection.
pub(crate) fn names(read: &impl Read) -> Result<HashMap<CollectionId, Namespace>> {
    let mut names = HashMap::new();
    for (database, _) in catalog::databases(read)? {
        for (collection, id) in catalog::collections(read, &database)? {
            names.insert(id, Namespace { database: database.clone(), collection });
        }
    }
    Ok(names)
}

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
