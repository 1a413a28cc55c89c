//! Transactions that write.

use super::env::{CHECKSUM_BYTES, Store, get, put, range, range_back};
use super::error::Result;
use super::overlay::{Overlay, Savepoint};
use super::read::{Entries, Read};
use super::table::Table;
use heed::RwTxn;
use std::ops::Bound;

/// A transaction that writes: the one writing transaction of the environment, of which nothing
/// is visible to readers until it commits, or changes laid over a view.
pub struct WriteTxn<'e> {
    pub(super) target: Target<'e>,
}

pub(super) enum Target<'e> {
    Stored { txn: RwTxn<'e>, store: &'e Store, journal: Journal },
    Overlaid(Savepoint<'e>),
}

/// What was there before the changes since a mark.
#[derive(Default)]
pub(super) struct Journal {
    open: bool,
    bytes: usize,
    before: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

/// A place among the changes of a transaction, to return to.
#[derive(Clone, Copy)]
pub struct Mark {
    at: usize,
    outermost: bool,
}

impl Store {
    /// Begins writing. There is one writer at a time; a second one waits.
    pub fn write(&self) -> Result<WriteTxn<'_>> {
        let (txn, journal) = (self.env.write_txn()?, Journal::default());
        Ok(WriteTxn { target: Target::Stored { txn, store: self, journal } })
    }
}

impl Overlay {
    /// Begins writing into the overlay.
    pub fn write(&mut self) -> WriteTxn<'_> {
        WriteTxn { target: Target::Overlaid(self.begin()) }
    }
}

impl Read for WriteTxn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        match &self.target {
            Target::Stored { txn, store, .. } => get(&store.tables, txn, table, key),
            Target::Overlaid(over) => over.overlay().get(table, key),
        }
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        match &self.target {
            Target::Stored { txn, store, .. } => range(&store.tables, txn, table, (start, end)),
            Target::Overlaid(over) => over.overlay().range(table, start, end),
        }
    }

    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        match &self.target {
            Target::Stored { txn, store, .. } => {
                range_back(&store.tables, txn, table, (start, end))
            }
            Target::Overlaid(over) => over.overlay().range_back(table, start, end),
        }
    }
}

impl<'e> WriteTxn<'e> {
    /// Notes what is there under a key, while there is a mark.
    fn note(&mut self, table: Table, key: &[u8]) -> Result<()> {
        if let Target::Stored { txn, store, journal } = &mut self.target
            && journal.open
        {
            let before = get(&store.tables, txn, table, key)?.map(<[u8]>::to_vec);
            journal.bytes += key.len() + before.as_ref().map_or(0, Vec::len);
            journal.before.push((table, key.to_vec(), before));
        }
        Ok(())
    }

    /// A mark to return to with [`WriteTxn::roll_back`]. For few changes this is much
    /// cheaper than [`WriteTxn::nested`], for which LMDB allocates megabytes.
    pub fn mark(&mut self) -> Mark {
        match &mut self.target {
            Target::Stored { journal, .. } => {
                let outermost = !std::mem::replace(&mut journal.open, true);
                Mark { at: journal.before.len(), outermost }
            }
            Target::Overlaid(over) => Mark { at: over.mark(), outermost: false },
        }
    }

    /// Whether there is a mark.
    pub fn is_marked(&self) -> bool {
        matches!(&self.target, Target::Stored { journal: Journal { open: true, .. }, .. })
    }

    /// Bytes that are kept to return to a mark.
    pub fn marked_bytes(&self) -> usize {
        match &self.target {
            Target::Stored { journal, .. } => journal.bytes,
            Target::Overlaid(_) => 0,
        }
    }

    /// Takes back what was changed since a mark.
    pub fn roll_back(&mut self, mark: Mark) -> Result<()> {
        match &mut self.target {
            Target::Overlaid(over) => over.roll_back(mark.at),
            Target::Stored { txn, store, journal } => {
                for (table, key, before) in journal.before.split_off(mark.at).into_iter().rev() {
                    match before {
                        Some(value) => put(store, txn, table, &key, &value)?,
                        None => drop(store.table(table).delete(txn, &key)?),
                    }
                }
            }
        }
        self.release(mark);
        Ok(())
    }

    /// Gives up a mark; the changes stay.
    pub fn release(&mut self, mark: Mark) {
        if let Target::Stored { journal, .. } = &mut self.target
            && mark.outermost
        {
            *journal = Journal::default();
        }
    }

    /// Stores `value` under `key`, over what was there.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.note(table, key)?;
        match &mut self.target {
            Target::Stored { txn, store, .. } => put(store, txn, table, key, value),
            Target::Overlaid(over) => {
                over.change(table, key, Some(value));
                Ok(())
            }
        }
    }

    /// Removes `key`; returns whether it was there.
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool> {
        self.note(table, key)?;
        match &mut self.target {
            Target::Stored { txn, store, .. } => Ok(store.table(table).delete(txn, key)?),
            Target::Overlaid(over) => {
                let there = over.overlay().get(table, key)?.is_some();
                over.change(table, key, None);
                Ok(there)
            }
        }
    }

    /// Removes the keys from `start` (inclusive) to `end` (exclusive); returns their number.
    pub fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<usize> {
        if self.is_marked() {
            let rows = self.range(table, start, end)?.map(|row| row.map(|(key, _)| key.to_vec()));
            let keys = rows.collect::<Result<Vec<_>>>()?;
            keys.iter().try_for_each(|key| self.note(table, key))?;
        }
        match &mut self.target {
            Target::Stored { txn, store, .. } => {
                let bounds = (Bound::Included(start), Bound::Excluded(end));
                Ok(store.table(table).delete_range(txn, &bounds)?)
            }
            Target::Overlaid(over) => {
                let rows = over.overlay().range(table, start, end)?;
                let keys = rows.map(|row| row.map(|(key, _)| key.to_vec()));
                let keys = keys.collect::<Result<Vec<_>>>()?;
                keys.iter().for_each(|key| over.change(table, key, None));
                Ok(keys.len())
            }
        }
    }

    /// The first key from `start` (inclusive) to `end` (exclusive), with the bytes of its value. The
    /// value is neither read nor checked.
    pub fn first(
        &self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> Result<Option<(Vec<u8>, usize)>> {
        let first = match &self.target {
            Target::Stored { txn, store, .. } => {
                let bounds = (Bound::Included(start), Bound::Excluded(end));
                let first = store.table(table).range(txn, &bounds)?.next().transpose()?;
                first.map(|(key, stored)| (key, stored.len().saturating_sub(CHECKSUM_BYTES)))
            }
            Target::Overlaid(over) => {
                let first = over.overlay().range(table, start, end)?.next().transpose()?;
                first.map(|(key, value)| (key, value.len()))
            }
        };
        Ok(first.map(|(key, bytes)| (key.to_vec(), bytes)))
    }

    /// Begins a transaction inside this one: dropped, it leaves no trace; committed, its
    /// changes become part of this one.
    pub fn nested(&mut self) -> Result<WriteTxn<'_>> {
        let target = match &mut self.target {
            Target::Stored { txn, store, .. } => {
                let (txn, journal) = (store.env.nested_write_txn(txn)?, Journal::default());
                Target::Stored { txn, store, journal }
            }
            Target::Overlaid(over) => Target::Overlaid(over.nested()),
        };
        Ok(WriteTxn { target })
    }

    /// Bytes that an overlay holds of a table in its changes, at most; 0 without an overlay.
    pub fn overlaid(&self, table: Table) -> usize {
        match &self.target {
            Target::Stored { .. } => 0,
            Target::Overlaid(over) => over.overlay().bytes(table),
        }
    }

    /// Makes the changes visible and durable; those of an overlay stay in it.
    pub fn commit(self) -> Result<()> {
        match self.target {
            Target::Stored { txn, .. } => Ok(txn.commit()?),
            Target::Overlaid(over) => {
                over.keep();
                Ok(())
            }
        }
    }
}
