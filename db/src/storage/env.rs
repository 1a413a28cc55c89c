//! One LMDB environment with a few tables of checked values.
//!
//! The only file that names heed. Every value is stored behind an XXH3 checksum of its key
//! and bytes, verified on each read, because LMDB itself does not notice a damaged page.
//! The environment is opened with `NO_META_SYNC`: a commit is one flush, and a power cut can
//! undo at most the last commit, which the Raft log replays.

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithTls};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::Xxh3;

/// The tables of a group's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Single values: applied log id, counters.
    Meta,
    /// Databases and collections.
    Catalog,
    /// Documents of all collections.
    Documents,
    /// Entries of all secondary indexes.
    Indexes,
}

const TABLES: [(Table, &str); 4] = [
    (Table::Meta, "meta"),
    (Table::Catalog, "catalog"),
    (Table::Documents, "documents"),
    (Table::Indexes, "indexes"),
];
const CHECKSUM_BYTES: usize = 8;
/// Read transactions at once; above the number of threads that ever read.
const READERS_MAX: u32 = 512;

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

/// One environment. Cheap to share; safe to read from many threads.
pub struct Store {
    env: Env,
    tables: [Database<Bytes, Bytes>; TABLES.len()],
    map_bytes: usize,
    closed: AtomicBool,
}

impl Store {
    /// Opens or creates the environment in `dir` with `map_bytes` of address space.
    #[allow(unsafe_code)]
    pub fn open(dir: &Path, map_bytes: usize) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|error| StorageError::Failed(error.to_string()))?;
        let mut options = EnvOpenOptions::new();
        options.map_size(map_bytes).max_dbs(TABLES.len() as u32).max_readers(READERS_MAX);
        // SAFETY: the directory belongs to this process alone (the node holds a lock on its
        // data directory), and NO_META_SYNC keeps the environment consistent.
        let env = unsafe { options.flags(EnvFlags::NO_META_SYNC).open(dir) }?;
        env.clear_stale_readers()?;
        let mut txn = env.write_txn()?;
        let mut tables = Vec::with_capacity(TABLES.len());
        for (_, name) in TABLES {
            tables.push(env.create_database(&mut txn, Some(name))?);
        }
        txn.commit()?;
        let tables = tables.try_into().map_err(|_| StorageError::Failed("tables".into()))?;
        Ok(Store { env, tables, map_bytes, closed: AtomicBool::new(false) })
    }

    /// Begins reading; the view does not change until it is dropped.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Failed("the node is stopping".into()));
        }
        Ok(ReadTxn { txn: self.env.read_txn()?, store: self })
    }

    /// Begins writing. There is one writer at a time; a second one waits.
    pub fn write(&self) -> Result<WriteTxn<'_>> {
        Ok(WriteTxn { txn: self.env.write_txn()?, store: self })
    }

    /// Makes the last commit survive a power cut as well.
    pub fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    /// Writes a consistent copy of the whole environment to the new file `to`.
    pub fn copy_to(&self, to: &Path) -> Result<std::fs::File> {
        Ok(self.env.copy_to_path(to, heed::CompactionOption::Disabled)?)
    }

    /// Bytes of address space the environment was opened with.
    pub fn map_bytes(&self) -> usize {
        self.map_bytes
    }

    /// Bytes of address space that are still free.
    pub fn free_map_bytes(&self) -> usize {
        // The last page number counts pages that were freed too, so this errs on the safe side
        // only after large deletions; the free list is used before the file grows.
        self.map_bytes.saturating_sub(self.used_bytes())
    }

    /// Bytes that the environment has taken so far; as many as a copy of it takes.
    pub fn used_bytes(&self) -> usize {
        (self.env.info().last_page_number + 1) * self.env.stat().page_size as usize
    }

    /// Refuses reads from now on; called when the node stops.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn table(&self, table: Table) -> Database<Bytes, Bytes> {
        self.tables[table as usize]
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
    txn: RoTxn<'e, WithTls>,
    store: &'e Store,
}

/// The one writing transaction; nothing is visible to readers until it commits.
pub struct WriteTxn<'e> {
    txn: RwTxn<'e>,
    store: &'e Store,
}

macro_rules! implement_read {
    ($kind:ident) => {
        impl Read for $kind<'_> {
            fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
                let stored = self.store.table(table).get(&self.txn, key)?;
                stored.map(|stored| checked(table, key, stored)).transpose()
            }

            fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>> {
                let bounds = (Bound::Included(start), Bound::Excluded(end));
                let entries = self.store.table(table).range(&self.txn, &bounds)?;
                Ok(Box::new(entries.map(move |entry| {
                    let (key, stored) = entry?;
                    Ok((key, checked(table, key, stored)?))
                })))
            }

            fn range_back<'t>(
                &'t self,
                table: Table,
                start: &[u8],
                end: &[u8],
            ) -> Result<Entries<'t>> {
                let bounds = (Bound::Included(start), Bound::Excluded(end));
                let entries = self.store.table(table).rev_range(&self.txn, &bounds)?;
                Ok(Box::new(entries.map(move |entry| {
                    let (key, stored) = entry?;
                    Ok((key, checked(table, key, stored)?))
                })))
            }
        }
    };
}
implement_read!(ReadTxn);
implement_read!(WriteTxn);

impl WriteTxn<'_> {
    /// Stores `value` under `key`, over what was there.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        let mut stored = Vec::with_capacity(CHECKSUM_BYTES + value.len());
        stored.extend_from_slice(&checksum(key, value).to_be_bytes());
        stored.extend_from_slice(value);
        Ok(self.store.table(table).put(&mut self.txn, key, &stored)?)
    }

    /// Removes `key`; tells whether it was there.
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool> {
        Ok(self.store.table(table).delete(&mut self.txn, key)?)
    }

    /// Removes the keys from `start` (inclusive) to `end` (exclusive); tells how many.
    pub fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<usize> {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        Ok(self.store.table(table).delete_range(&mut self.txn, &bounds)?)
    }

    /// Replaces the content of every table by that of `other`, in this transaction.
    pub fn replace_all(&mut self, other: &Store) -> Result<()> {
        let from = other.env.read_txn()?;
        for (table, _) in TABLES {
            self.store.table(table).clear(&mut self.txn)?;
            for entry in other.table(table).iter(&from)? {
                let (key, stored) = entry?;
                checked(table, key, stored)?;
                let append = heed::PutFlags::APPEND;
                self.store.table(table).put_with_flags(&mut self.txn, append, key, stored)?;
            }
        }
        Ok(())
    }

    /// Begins a transaction inside this one: dropped, it leaves no trace; committed, its
    /// changes become part of this one.
    pub fn nested(&mut self) -> Result<WriteTxn<'_>> {
        let txn = self.store.env.nested_write_txn(&mut self.txn)?;
        Ok(WriteTxn { txn, store: self.store })
    }

    /// Makes the changes visible and durable.
    pub fn commit(self) -> Result<()> {
        Ok(self.txn.commit()?)
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
        store.table(Table::Documents).put(&mut txn.txn, b"k", b"12345678value").unwrap();
        txn.commit().unwrap();
        let found = store.read().unwrap().get(Table::Documents, b"k").map(|_| ());
        assert!(matches!(found, Err(StorageError::Corrupt { .. })), "{found:?}");
    }

    #[test]
    fn replace_all_takes_the_other_content_and_nothing_else() {
        let (_a, ours) = store();
        let (_b, theirs) = store();
        for (store, key) in [(&ours, b"old"), (&theirs, b"new")] {
            let mut txn = store.write().unwrap();
            txn.put(Table::Catalog, key, key).unwrap();
            txn.commit().unwrap();
        }
        let mut txn = ours.write().unwrap();
        txn.replace_all(&theirs).unwrap();
        txn.commit().unwrap();
        let read = ours.read().unwrap();
        assert_eq!(read.get(Table::Catalog, b"old").unwrap(), None);
        assert_eq!(read.get(Table::Catalog, b"new").unwrap(), Some(&b"new"[..]));
    }

    #[test]
    fn a_full_map_is_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 17).unwrap();
        let mut txn = store.write().unwrap();
        let result =
            (0..1000u32).try_for_each(|n| txn.put(Table::Documents, &n.to_be_bytes(), &[0; 1000]));
        assert!(matches!(result, Err(StorageError::Full(_))), "{result:?}");
    }
}
