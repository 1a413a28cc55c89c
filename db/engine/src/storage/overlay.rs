//! Changes laid over a view, and what was read of the view below: an open transaction.
//!
//! A reader of an [`Overlay`] sees its changes on top of the view. What was read of the view
//! itself is noted, so that a commit can find out whether anything of it has changed: single
//! keys, and ranges with the rows that were in them, so that a row that appears in a range is
//! noticed as well. (The idea is that of PostgreSQL's predicate locks and of FoundationDB's
//! read conflict ranges.)

use super::env::ReadTxn;
use super::error::Result;
use super::keys::successor;
use super::read::{Entries, Read};
use super::table::{TABLES_LEN, Table};
use minicbor::bytes::ByteVec;
use minicbor::{CborLen, Decode, Encode};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use xxhash_rust::xxh3::xxh3_64;

/// What a value is compared by: its hash.
pub type Stamp = u64;
/// The first four bytes of the keys of one collection or index.
pub type Space = [u8; 4];

/// What a key is made: none when it is left as it is, an inner none when it is removed.
type Change = Option<Option<Vec<u8>>>;

/// A view with changes laid over it.
pub struct Overlay {
    base: ReadTxn<'static>,
    changes: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; TABLES_LEN],
    bytes: [usize; TABLES_LEN],
    /// What each change has covered, to take it back.
    journal: Vec<(Table, Vec<u8>, Change)>,
    reads: RefCell<Reads>,
}

/// What was read of the view below an overlay.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode, CborLen)]
pub struct Reads {
    /// Single keys with the stamp of their value; none when there was none.
    #[n(0)]
    pub points: BTreeMap<(Table, ByteVec), Option<Stamp>>,
    /// Ranges with what was in them.
    #[n(1)]
    pub ranges: BTreeMap<(Table, Space), Vec<RangeRead>>,
    /// Collections and indexes of which too much was read to note the rows.
    #[n(2)]
    pub whole: BTreeSet<(Table, Space)>,
    /// What is noted of each collection or index: keys, ranges and their rows.
    #[cbor(skip)]
    rows: BTreeMap<(Table, Space), usize>,
    /// Rows of one collection or index that are noted one by one.
    #[cbor(skip)]
    rows_max: usize,
}

/// A range that was read as far as `start` to `end`.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct RangeRead {
    /// First key, included.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub start: Vec<u8>,
    /// Last key, excluded.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub end: Vec<u8>,
    /// Keys and stamps of the rows in it, in the order of the keys.
    #[n(2)]
    pub rows: Vec<(ByteVec, Stamp)>,
}

/// The stamp of a value.
pub fn stamp(value: &[u8]) -> Stamp {
    xxh3_64(value)
}

fn space(key: &[u8]) -> Space {
    key.first_chunk().copied().unwrap_or_default()
}

impl Reads {
    /// Rows and keys that are noted.
    pub fn len(&self) -> usize {
        self.rows.values().sum()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty() && self.whole.is_empty()
    }

    /// Counters and statistics are not noted: they change with every write, and no answer
    /// depends on them.
    fn notes(&self, table: Table, key: &[u8]) -> bool {
        let rows = matches!(table, Table::Documents | Table::Indexes);
        rows && !self.whole.contains(&(table, space(key)))
    }

    fn point(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let catalog = table == Table::Catalog;
        if catalog || self.notes(table, key) && self.count((table, space(key))) {
            self.points.insert((table, key.to_vec().into()), value.map(stamp));
        }
    }

    /// Counts a row of a collection or index; from one too many on they are no longer noted.
    fn count(&mut self, space: (Table, Space)) -> bool {
        let rows = self.rows.entry(space).or_default();
        *rows += 1;
        if *rows <= self.rows_max {
            return true;
        }
        self.rows.remove(&space);
        self.ranges.remove(&space);
        self.points.retain(|(table, key), _| (*table, self::space(key)) != space);
        self.whole.insert(space);
        false
    }

    /// Begins a range; none when it need not be noted.
    fn begin(&mut self, table: Table, start: &[u8], end: &[u8], back: bool) -> Option<usize> {
        let space = (table, space(start));
        if !self.notes(table, start) || !self.count(space) {
            return None;
        }
        let ranges = self.ranges.entry(space).or_default();
        let edge = if back { end } else { start };
        ranges.push(RangeRead { start: edge.to_vec(), end: edge.to_vec(), rows: Vec::new() });
        Some(ranges.len() - 1)
    }

    fn row(&mut self, range: &RecordedRange, key: &[u8], value: &[u8]) {
        let ranges = self.ranges.get_mut(&range.space);
        let Some(seen) = ranges.and_then(|all| all.get_mut(range.number)) else { return };
        match range.back {
            false => seen.end = successor(key.to_vec()),
            true => seen.start = key.to_vec(),
        }
        seen.rows.push((key.to_vec().into(), stamp(value)));
        self.count(range.space);
    }

    fn finish(&mut self, range: &RecordedRange) {
        let seen = self.ranges.get_mut(&range.space).and_then(|all| all.get_mut(range.number));
        if let Some(seen) = seen {
            match range.back {
                false => seen.end.clone_from(&range.edge),
                true => seen.start.clone_from(&range.edge),
            }
        }
    }

    /// Brings what was read into the form that is compared.
    fn settled(mut self) -> Reads {
        for ranges in self.ranges.values_mut() {
            ranges.retain(|seen| seen.start < seen.end);
            ranges.iter_mut().for_each(|seen| seen.rows.sort());
            ranges.sort_by(|a, b| (&a.start, &a.end).cmp(&(&b.start, &b.end)));
            ranges.dedup();
        }
        self.ranges.retain(|_, ranges| !ranges.is_empty());
        self
    }
}

/// Which range of [`Reads`] an iterator notes its rows in.
struct RecordedRange {
    space: (Table, Space),
    number: usize,
    back: bool,
    /// Where the range ends when it is read to its end.
    edge: Vec<u8>,
}

/// Rows of the view below, each noted when it is returned.
struct RecordedRows<'t> {
    rows: Entries<'t>,
    range: RecordedRange,
    reads: &'t RefCell<Reads>,
}

impl<'t> Iterator for RecordedRows<'t> {
    type Item = Result<(&'t [u8], &'t [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.rows.next();
        let mut reads = self.reads.borrow_mut();
        match &next {
            Some(Ok((key, value))) => reads.row(&self.range, key, value),
            Some(Err(_)) => {}
            None => reads.finish(&self.range),
        }
        next
    }
}

impl Overlay {
    /// Nothing laid over a view yet. Of a collection or index of which more than `rows_max`
    /// rows are read, the rows are not noted one by one.
    pub fn new(base: ReadTxn<'static>, rows_max: usize) -> Self {
        Overlay {
            base,
            changes: std::array::from_fn(|_| BTreeMap::new()),
            bytes: [0; TABLES_LEN],
            journal: Vec::new(),
            reads: RefCell::new(Reads { rows_max, ..Reads::default() }),
        }
    }

    /// Begins changes; those before can no longer be taken back.
    pub(super) fn begin(&mut self) -> Savepoint<'_> {
        self.journal.clear();
        Savepoint::new(self)
    }

    /// The view below, without noting what is read.
    pub fn base(&self) -> &ReadTxn<'static> {
        &self.base
    }

    /// The changes of a table in the order of their keys; none where a key is removed.
    pub fn changes(&self, table: Table) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes[table as usize].iter().map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// Bytes of keys and values of a table's changes.
    pub fn bytes(&self, table: Table) -> usize {
        self.bytes[table as usize]
    }

    /// Puts a change in its place; returns what it covers.
    fn set(&mut self, table: Table, key: Vec<u8>, value: Change) -> Change {
        let size = |value: &Change| {
            value.as_ref().map_or(0, |value| key.len() + value.as_ref().map_or(0, Vec::len))
        };
        let new = size(&value);
        let changes = &mut self.changes[table as usize];
        let covered = match value {
            Some(value) => changes.insert(key.clone(), value),
            None => changes.remove(&key),
        };
        let bytes = &mut self.bytes[table as usize];
        *bytes = *bytes + new - size(&covered);
        covered
    }

    /// Rows and keys of the view below that were noted so far.
    pub fn reads_len(&self) -> usize {
        self.reads.borrow().len()
    }

    /// What was read of the view below.
    pub fn reads(&self) -> Reads {
        self.reads.borrow().clone().settled()
    }

    fn laid_over<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
        back: bool,
    ) -> Result<Entries<'t>> {
        let rows = match back {
            false => self.base.range(table, start, end)?,
            true => self.base.range_back(table, start, end)?,
        };
        let number = self.reads.borrow_mut().begin(table, start, end, back);
        let rows: Entries<'t> = match number {
            None => rows,
            Some(number) => {
                let edge = if back { start } else { end }.to_vec();
                let range = RecordedRange { space: (table, space(start)), number, back, edge };
                Box::new(RecordedRows { rows, range, reads: &self.reads })
            }
        };
        let changes = &self.changes[table as usize];
        if changes.is_empty() || start >= end {
            return Ok(rows);
        }
        let changed = changes.range(start.to_vec()..end.to_vec());
        let changed = changed.map(|(key, value)| Ok((&key[..], value.as_deref())));
        Ok(match back {
            false => Box::new(MergedRows::new(rows, changed, back)),
            true => Box::new(MergedRows::new(rows, changed.rev(), back)),
        })
    }
}

impl Read for Overlay {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        if let Some(changed) = self.changes[table as usize].get(key) {
            return Ok(changed.as_deref());
        }
        let value = self.base.get(table, key)?;
        self.reads.borrow_mut().point(table, key, value);
        Ok(value)
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        self.laid_over(table, start, end, false)
    }

    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        self.laid_over(table, start, end, true)
    }
}

/// Part of the changes of an overlay: dropped, they are taken back.
pub struct Savepoint<'o> {
    overlay: &'o mut Overlay,
    mark: usize,
    kept: bool,
}

impl<'o> Savepoint<'o> {
    fn new(overlay: &'o mut Overlay) -> Self {
        Savepoint { mark: overlay.journal.len(), overlay, kept: false }
    }

    pub(super) fn overlay(&self) -> &Overlay {
        self.overlay
    }

    pub(super) fn change(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let covered = self.overlay.set(table, key.to_vec(), Some(value.map(<[u8]>::to_vec)));
        self.overlay.journal.push((table, key.to_vec(), covered));
    }

    pub(super) fn nested(&mut self) -> Savepoint<'_> {
        Savepoint::new(self.overlay)
    }

    pub(super) fn mark(&self) -> usize {
        self.overlay.journal.len()
    }

    /// Takes back the changes since a mark.
    pub(super) fn roll_back(&mut self, mark: usize) {
        for (table, key, covered) in self.overlay.journal.split_off(mark).into_iter().rev() {
            self.overlay.set(table, key, covered);
        }
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.roll_back(self.mark);
        }
    }
}

/// Rows with others in their place: those that `changed` gives replace rows of the same key,
/// are added where there is none, and remove the row when they have no value. Both sides come
/// in the order of their keys, or both from the last to the first.
pub struct MergedRows<'t, C: Iterator<Item = Result<(&'t [u8], Option<&'t [u8]>)>>> {
    rows: Peekable<Entries<'t>>,
    changed: Peekable<C>,
    back: bool,
}

impl<'t, C: Iterator<Item = Result<(&'t [u8], Option<&'t [u8]>)>>> MergedRows<'t, C> {
    /// Merges two sides; `back` says that they come from the last to the first.
    pub fn new(rows: Entries<'t>, changed: C, back: bool) -> Self {
        MergedRows { rows: rows.peekable(), changed: changed.peekable(), back }
    }
}

impl<'t, C: Iterator<Item = Result<(&'t [u8], Option<&'t [u8]>)>>> Iterator for MergedRows<'t, C> {
    type Item = Result<(&'t [u8], &'t [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.rows.peek(), self.changed.peek()) {
                (None, None) => return None,
                (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
                (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
                (Some(Ok((row, _))), Some(Ok((changed, _)))) => match self.back {
                    false => row.cmp(changed),
                    true => changed.cmp(row),
                },
            };
            match order {
                Ordering::Less => return self.rows.next(),
                Ordering::Equal => drop(self.rows.next()),
                Ordering::Greater => {}
            }
            match self.changed.next()? {
                Ok((key, Some(value))) => return Some(Ok((key, value))),
                Ok((_, None)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, WriteTxn};
    use super::*;
    use proptest::prelude::*;

    fn rows(read: &impl Read, back: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = match back {
            false => read.range(Table::Documents, b"\0", b"\xff"),
            true => read.range_back(Table::Documents, b"\0", b"\xff"),
        };
        rows.unwrap().map(|row| row.unwrap()).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, u8),
        Delete(u8),
        DeleteRange(u8, u8),
        Nested(Vec<(u8, Option<u8>)>, bool),
        Marked(Vec<(u8, Option<u8>)>, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let changes = proptest::collection::vec((0..12u8, any::<Option<u8>>()), 0..5);
        prop_oneof![
            (0..12u8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
            (0..12u8).prop_map(Step::Delete),
            (0..12u8, 0..12u8).prop_map(|(a, b)| Step::DeleteRange(a, b)),
            (changes.clone(), any::<bool>())
                .prop_map(|(changes, keep)| Step::Nested(changes, keep)),
            (changes, any::<bool>()).prop_map(|(changes, keep)| Step::Marked(changes, keep)),
        ]
    }

    fn carry_out(txn: &mut WriteTxn<'_>, step: &Step) {
        let change = |txn: &mut WriteTxn<'_>, key: u8, value: Option<u8>| match value {
            Some(value) => txn.put(Table::Documents, &[key], &[value]).unwrap(),
            None => drop(txn.delete(Table::Documents, &[key]).unwrap()),
        };
        match step {
            Step::Put(key, value) => change(txn, *key, Some(*value)),
            Step::Delete(key) => change(txn, *key, None),
            Step::DeleteRange(a, b) => {
                txn.delete_range(Table::Documents, &[*a], &[*b.max(a)]).unwrap();
            }
            Step::Marked(changes, keep) => {
                let mark = txn.mark();
                changes.iter().for_each(|(key, value)| change(txn, *key, *value));
                let inner = txn.mark();
                txn.delete_range(Table::Documents, &[2], &[9]).unwrap();
                txn.roll_back(inner).unwrap();
                match keep {
                    true => txn.release(mark),
                    false => txn.roll_back(mark).unwrap(),
                }
                assert!(!txn.is_marked());
            }
            Step::Nested(changes, keep) => {
                let mut nested = txn.nested().unwrap();
                changes.iter().for_each(|(key, value)| change(&mut nested, *key, *value));
                if *keep {
                    nested.commit().unwrap();
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_overlay_reads_as_if_it_were_written(
            before in proptest::collection::vec((0..12u8, any::<u8>()), 0..8),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), 1 << 24).unwrap();
            let mut txn = store.write().unwrap();
            before.iter().for_each(|(k, v)| txn.put(Table::Documents, &[*k], &[*v]).unwrap());
            txn.commit().unwrap();
            let mut overlay = Overlay::new(store.snapshot("a test").unwrap(), 100);
            let mut written = store.write().unwrap();
            for step in &steps {
                carry_out(&mut written, step);
                let mut txn = overlay.write();
                carry_out(&mut txn, step);
                txn.commit().unwrap();
                for back in [false, true] {
                    prop_assert_eq!(rows(&overlay, back), rows(&written, back));
                }
            }
            for key in 0..12u8 {
                let of = |read: &dyn Fn(&[u8]) -> Option<Vec<u8>>| read(&[key]);
                let a = of(&|key| overlay.get(Table::Documents, key).unwrap().map(<[u8]>::to_vec));
                let b = of(&|key| written.get(Table::Documents, key).unwrap().map(<[u8]>::to_vec));
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn what_is_read_of_the_view_is_noted_as_far_as_it_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 24).unwrap();
        let mut txn = store.write().unwrap();
        for key in [b"aaaa1", b"aaaa2", b"aaaa3", b"bbbb1"] {
            txn.put(Table::Documents, key, key).unwrap();
        }
        txn.commit().unwrap();
        let overlay = Overlay::new(store.snapshot("a test").unwrap(), 4);
        overlay.get(Table::Documents, b"aaaa9").unwrap();
        overlay.get(Table::Meta, b"counter").unwrap();
        let first = overlay.range(Table::Documents, b"aaaa", b"aaab").unwrap().next();
        assert!(first.is_some());
        let last = overlay.range_back(Table::Documents, b"bbbb", b"bbbc").unwrap();
        assert_eq!(last.count(), 1);
        let reads = overlay.reads();
        assert_eq!(reads.points, [((Table::Documents, b"aaaa9".to_vec().into()), None)].into());
        let seen = |start: &[u8], end: &[u8], key: &[u8]| RangeRead {
            start: start.to_vec(),
            end: end.to_vec(),
            rows: vec![(key.to_vec().into(), stamp(key))],
        };
        assert_eq!(
            reads.ranges[&(Table::Documents, *b"aaaa")],
            [seen(b"aaaa", b"aaaa1\0", b"aaaa1")]
        );
        assert_eq!(reads.ranges[&(Table::Documents, *b"bbbb")], [seen(b"bbbb", b"bbbc", b"bbbb1")]);
        overlay.range(Table::Documents, b"aaaa", b"aaab").unwrap().for_each(drop);
        let reads = overlay.reads();
        assert_eq!(reads.whole, [(Table::Documents, *b"aaaa")].into());
        assert!(!reads.ranges.contains_key(&(Table::Documents, *b"aaaa")));
    }
}
