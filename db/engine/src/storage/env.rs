//! One LMDB environment with a few tables of checked values.
//!
//! The only file that names heed. Every value is stored behind an XXH3 checksum of its key
//! and bytes, verified on each read, because LMDB itself does not notice a damaged page.
//! The environment is opened with `NO_META_SYNC`: a commit is one flush, and a power cut can
//! undo at most the last commit, which the Raft log replays.

use super::free::{self, FreePages};
use super::overlay::{Overlay, Savepoint};
use super::readers::{Readers, Registered};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::Xxh3;

/// The tables of a group's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Table {
    /// Single values: applied log id, counters.
    Meta,
    /// Databases and collections.
    Catalog,
    /// Documents of all collections.
    Documents,
    /// Entries of all secondary indexes.
    Indexes,
    /// Former documents.
    Versions,
    /// Changes of documents, in the order of the log.
    Changes,
    /// Answers to calls that may be repeated.
    Retries,
}

/// How many tables there are.
pub(super) const TABLES_LEN: usize = 7;
const TABLES: [(Table, &str); TABLES_LEN] = [
    (Table::Meta, "meta"),
    (Table::Catalog, "catalog"),
    (Table::Documents, "documents"),
    (Table::Indexes, "indexes"),
    (Table::Versions, "versions"),
    (Table::Changes, "changes"),
    (Table::Retries, "retries"),
];
const CHECKSUM_BYTES: usize = 8;
/// Read transactions at once: one for each thread that reads, and one for each open
/// transaction of a client.
const READERS_MAX: u32 = 2048;

/// Address space that LMDB gets beyond a map of this many bytes.
fn headroom(map_bytes: usize) -> usize {
    (map_bytes / 4).max(1 << 30)
}

/// What can go wrong with bytes on disk.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A stored value does not match its checksum.
    #[error("a value of table {table:?} is damaged (key {key})")]
    Corrupt {
        /// The table.
        table: Table,
        /// The key, in hexadecimal.
        key: String,
    },
    /// The environment's address space or the disk is full.
    #[error("the storage is full: {0}")]
    Full(String),
    /// Anything else that LMDB or the file system reports.
    #[error("storage failed: {0}")]
    Failed(String),
}

impl From<heed::Error> for StorageError {
    fn from(error: heed::Error) -> Self {
        match &error {
            heed::Error::Mdb(heed::MdbError::MapFull) => StorageError::Full(error.to_string()),
            heed::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => {
                StorageError::Full(error.to_string())
            }
            _ => StorageError::Failed(error.to_string()),
        }
    }
}

impl From<StorageError> for std::io::Error {
    fn from(error: StorageError) -> Self {
        std::io::Error::other(error)
    }
}

/// Result of a storage call.
pub type Result<T> = std::result::Result<T, StorageError>;

type TableHandle<'t> = Database<'t, Bytes, Bytes>;
type Tables = [TableHandle<'static>; TABLES_LEN];

/// One environment. Cheap to share; safe to read from many threads.
pub struct Store {
    /// Without thread-local readers, so that a view can move from thread to thread.
    env: Env<WithoutTls>,
    tables: Tables,
    map_bytes: usize,
    closed: AtomicBool,
    readers: Readers,
}

impl Store {
    /// Name of the file in the directory of an environment.
    pub const FILE: &str = "data.mdb";

    /// Opens or creates the environment in `dir`, which may grow to `map_bytes`. LMDB gets more
    /// address space than that: writers look at the bytes that are left before, but deletions
    /// take space before they give some back, and a full map would end the node.
    pub fn open(dir: &Path, map_bytes: usize) -> Result<Self> {
        Store::open_exact(dir, map_bytes, map_bytes.saturating_add(headroom(map_bytes)))
    }

    #[allow(unsafe_code)]
    fn open_exact(dir: &Path, map_bytes: usize, address_bytes: usize) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|error| StorageError::Failed(error.to_string()))?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(address_bytes).max_dbs(TABLES.len() as u32).max_readers(READERS_MAX);
        // SAFETY: the directory belongs to this process alone (the node holds a lock on its
        // data directory), and NO_META_SYNC keeps the environment consistent.
        let env = unsafe { options.flags(EnvFlags::NO_META_SYNC).open(dir) }?;
        env.clear_stale_readers()?;
        let tables = create_tables(&env)?;
        let (closed, readers) = (AtomicBool::new(false), Readers::default());
        Ok(Store { env, tables, map_bytes, closed, readers })
    }

    /// Begins reading; the view does not change until it is dropped.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        self.check_open()?;
        let txn = self.env.read_txn()?;
        let registered = self.readers.register(txn.id() as u64, "a query");
        Ok(ReadTxn { txn, tables: self.tables, _registered: registered })
    }

    /// As [`Store::read`], for a view that is kept for longer by `reader`. While it lives, the
    /// pages that it sees are not used again and the environment grows.
    pub fn snapshot(&self, reader: impl Into<Cow<'static, str>>) -> Result<ReadTxn<'static>> {
        self.check_open()?;
        let txn = self.env.clone().static_read_txn()?;
        let registered = self.readers.register(txn.id() as u64, reader);
        Ok(ReadTxn { txn, tables: self.tables, _registered: registered })
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(StorageError::Failed("the node is stopping".into())),
            false => Ok(()),
        }
    }

    /// Begins writing. There is one writer at a time; a second one waits.
    pub fn write(&self) -> Result<WriteTxn<'_>> {
        let (txn, journal) = (self.env.write_txn()?, Journal::default());
        Ok(WriteTxn { target: Target::Stored { txn, store: self, journal } })
    }

    /// Makes the last commit survive a power cut as well.
    pub fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    /// Writes a consistent copy of the whole environment to the new file `to`.
    pub fn copy_to(&self, to: &Path) -> Result<std::fs::File> {
        let txn = self.env.info().last_txn_id as u64;
        let _registered = self.readers.register(txn, "a copy for another node");
        Ok(self.env.copy_to_path(to, heed::CompactionOption::Disabled)?)
    }

    /// Checks the bytes of every row; calls `progress` behind each.
    ///
    /// # Errors
    /// `Corrupt` at the first one that is damaged.
    pub fn verify(&self, mut progress: impl FnMut()) -> Result<()> {
        let txn = self.env.read_txn()?;
        for (table, _) in TABLES {
            for entry in self.table(table).iter(&txn)? {
                checked_entry(table, entry)?;
                progress();
            }
        }
        Ok(())
    }

    /// Bytes that the largest copy of an environment may have that can be opened here.
    pub fn address_bytes(&self) -> u64 {
        (self.map_bytes + headroom(self.map_bytes)) as u64
    }

    /// Bytes that the environment may grow to.
    pub fn map_bytes(&self) -> usize {
        self.map_bytes
    }

    /// Bytes that the environment may still grow by.
    pub fn unallocated_bytes(&self) -> u64 {
        self.map_bytes.saturating_sub(self.used_bytes()) as u64
    }

    /// Bytes of address space beyond those that are still free.
    pub fn headroom_bytes(&self) -> u64 {
        let beyond = self.used_bytes().saturating_sub(self.map_bytes);
        headroom(self.map_bytes).saturating_sub(beyond) as u64
    }

    /// The pages that were freed and can be used again. Reads all lists of them: takes
    /// milliseconds when gigabytes are free.
    pub fn free_pages(&self) -> Result<FreePages> {
        const TRIES: usize = 100;
        let file = self.env.try_clone_inner_file()?;
        let page_bytes = self.env.unnamed_database_stat().page_size as usize;
        for _ in 0..TRIES {
            // Keeps the pages of the list from being overwritten meanwhile.
            let txn = self.env.read_txn()?;
            let id = txn.id() as u64;
            // What the last transaction has freed can be used by the one after the next.
            let oldest = self.readers.oldest_txn().unwrap_or(id + 1).min(id + 1);
            // Two commits later the meta page of this transaction is overwritten.
            if let Some(free) = free::read(&file, page_bytes, id, oldest)? {
                return Ok(free);
            }
        }
        Err(StorageError::Failed("the free pages change too fast".into()))
    }

    /// The reader that keeps the most pages from being used again, and for how long it has.
    pub fn oldest_reader(&self) -> Option<(String, Duration)> {
        self.readers.oldest()
    }

    /// Bytes that the environment has taken so far; as many as a copy of it takes.
    pub fn used_bytes(&self) -> usize {
        (self.env.info().last_page_number + 1) * self.env.unnamed_database_stat().page_size as usize
    }

    /// Refuses reads from now on; called when the node stops.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn table(&self, table: Table) -> TableHandle<'static> {
        self.tables[table as usize]
    }

    /// Bytes of the pages that hold something, as LMDB counts them.
    #[cfg(test)]
    pub(super) fn counted_bytes(&self) -> u64 {
        let txn = self.env.read_txn().unwrap();
        let tables = self.tables.iter().map(|table| table.stat(&txn).unwrap());
        let all = tables.chain([self.env.unnamed_database_stat()]);
        all.map(|stat| stat.non_free_page_size() as u64).sum()
    }
}

/// Opens the tables, and creates those that do not exist yet.
fn create_tables(env: &Env<WithoutTls>) -> Result<Tables> {
    let created = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
        let mut tables = Vec::with_capacity(TABLES_LEN);
        for (_, name) in TABLES {
            tables.push(opener.create_database(txn, Some(name))?);
        }
        let tables: std::result::Result<[TableHandle<'_>; TABLES_LEN], _> = tables.try_into();
        let tables = tables.map_err(|_| StorageError::Failed("tables".into()))?;
        Ok::<_, StorageError>(CommitOrAbort::<_, Infallible>::Commit(tables))
    })?;
    match created {
        CommitOrAbort::Commit(tables) => Ok(tables),
        CommitOrAbort::Abort(never) => match never {},
    }
}

/// Keys and values in key order.
pub type Entries<'t> = Box<dyn Iterator<Item = Result<(&'t [u8], &'t [u8])>> + 't>;

/// What can be read in a transaction of either kind.
pub trait Read {
    /// The value of `key`, checked.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>>;

    /// The entries from `start` (inclusive) to `end` (exclusive), in key order, checked.
    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;

    /// As [`Read::range`], from the last to the first.
    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;
}

/// A consistent view for reading. Not for holding across an `.await`.
pub struct ReadTxn<'e> {
    txn: RoTxn<'e, WithoutTls>,
    tables: Tables,
    _registered: Registered,
}

/// A transaction that writes: the one writing transaction of the environment, of which nothing
/// is visible to readers until it commits, or changes laid over a view.
pub struct WriteTxn<'e> {
    target: Target<'e>,
}

enum Target<'e> {
    Stored { txn: RwTxn<'e>, store: &'e Store, journal: Journal },
    Overlaid(Savepoint<'e>),
}

/// What was there before the changes since a mark.
#[derive(Default)]
struct Journal {
    open: bool,
    bytes: usize,
    before: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

/// A place among the changes of a transaction, to come back to.
#[derive(Clone, Copy)]
pub struct Mark {
    at: usize,
    outermost: bool,
}

fn get<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    table: Table,
    key: &[u8],
) -> Result<Option<&'t [u8]>> {
    let stored = tables[table as usize].get(txn, key)?;
    stored.map(|stored| checked(table, key, stored)).transpose()
}

fn put(store: &Store, txn: &mut RwTxn<'_>, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
    let mut stored = Vec::with_capacity(CHECKSUM_BYTES + value.len());
    stored.extend_from_slice(&checksum(key, value).to_be_bytes());
    stored.extend_from_slice(value);
    Ok(store.table(table).put(txn, key, &stored)?)
}

fn range<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    table: Table,
    bounds: (&[u8], &[u8]),
) -> Result<Entries<'t>> {
    let bounds = (Bound::Included(bounds.0), Bound::Excluded(bounds.1));
    let entries = tables[table as usize].range(txn, &bounds)?;
    Ok(Box::new(entries.map(move |entry| checked_entry(table, entry))))
}

fn range_back<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    table: Table,
    bounds: (&[u8], &[u8]),
) -> Result<Entries<'t>> {
    let bounds = (Bound::Included(bounds.0), Bound::Excluded(bounds.1));
    let entries = tables[table as usize].rev_range(txn, &bounds)?;
    Ok(Box::new(entries.map(move |entry| checked_entry(table, entry))))
}

fn checked_entry<'t>(
    table: Table,
    entry: heed::Result<(&'t [u8], &'t [u8])>,
) -> Result<(&'t [u8], &'t [u8])> {
    let (key, stored) = entry?;
    Ok((key, checked(table, key, stored)?))
}

impl Read for ReadTxn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        get(&self.tables, &self.txn, table, key)
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        range(&self.tables, &self.txn, table, (start, end))
    }

    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
        range_back(&self.tables, &self.txn, table, (start, end))
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
    /// Writes into an overlay instead of the environment.
    pub fn over(overlay: &'e mut Overlay) -> Self {
        WriteTxn { target: Target::Overlaid(Savepoint::new(overlay)) }
    }

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

    /// A place to come back to with [`WriteTxn::roll_back`]. For few changes this is much
    /// cheaper than [`WriteTxn::nested`], for which LMDB takes megabytes and gives them back.
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

    /// Bytes that are kept to come back to a mark.
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

/// Free bytes of the disk that `dir` lies on; as many as there can be when nobody knows.
pub fn free_disk_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key);
    hash.update(value);
    hash.digest()
}

fn checked<'t>(table: Table, key: &[u8], stored: &'t [u8]) -> Result<&'t [u8]> {
    let damaged = || StorageError::Corrupt {
        table,
        key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let (sum, value) = stored.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
    (u64::from_be_bytes(*sum) == checksum(key, value)).then_some(value).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: usize = 1 << 26;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), MAP).unwrap();
        (dir, store)
    }

    #[test]
    fn what_is_written_is_read_after_the_commit_only() {
        let (_dir, store) = store();
        let mut txn = store.write().unwrap();
        txn.put(Table::Documents, b"k", b"v").unwrap();
        assert_eq!(store.read().unwrap().get(Table::Documents, b"k").unwrap(), None);
        txn.commit().unwrap();
        assert_eq!(store.read().unwrap().get(Table::Documents, b"k").unwrap(), Some(&b"v"[..]));
    }

    #[test]
    fn a_damaged_value_is_reported_not_served() {
        let (_dir, store) = store();
        let mut txn = store.write().unwrap();
        let Target::Stored { txn: raw, .. } = &mut txn.target else { unreachable!() };
        store.table(Table::Documents).put(raw, b"k", b"12345678value").unwrap();
        txn.commit().unwrap();
        let found = store.read().unwrap().get(Table::Documents, b"k").map(|_| ());
        assert!(matches!(found, Err(StorageError::Corrupt { .. })), "{found:?}");
    }

    #[test]
    fn a_copy_is_verified_row_by_row() {
        let (_dir, store) = store();
        let mut txn = store.write().unwrap();
        for n in 0..100u8 {
            txn.put(Table::Documents, &[n], &[n; 100]).unwrap();
        }
        txn.put(Table::Catalog, b"k", b"v").unwrap();
        txn.commit().unwrap();
        let mut rows = 0;
        store.verify(|| rows += 1).unwrap();
        assert_eq!(rows, 101);
        let mut txn = store.write().unwrap();
        let Target::Stored { txn: raw, .. } = &mut txn.target else { unreachable!() };
        store.table(Table::Retries).put(raw, b"k", b"12345678value").unwrap();
        txn.commit().unwrap();
        let error = store.verify(|| ()).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { table: Table::Retries, .. }), "{error}");
    }

    #[test]
    fn a_full_map_is_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_exact(dir.path(), 1 << 17, 1 << 17).unwrap();
        let mut txn = store.write().unwrap();
        let result =
            (0..1000u32).try_for_each(|n| txn.put(Table::Documents, &n.to_be_bytes(), &[0; 1000]));
        assert!(matches!(result, Err(StorageError::Full(_))), "{result:?}");
    }
}
