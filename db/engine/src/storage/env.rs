//! One LMDB environment with a few tables of checked values.
//!
//! Only this file and `write` call heed. Every value is stored behind an XXH3 checksum of its key
//! and bytes, verified on each read, because LMDB itself does not notice a damaged page.
//! The environment is opened with `NO_META_SYNC`: a commit is one flush, and a power cut can
//! undo at most the last commit, which the Raft log replays.

use super::error::{Result, StorageError};
use super::free::{self, FreePages};
use super::read::{Entries, Read, SealedEntries, SealedEntry};
use super::readers::{Readers, Registration};
use super::table::{TABLES, TABLES_LEN, Table};
use crate::format;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Write;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const CHECKSUM_BYTES: usize = 8;
/// Read transactions at once: one for each thread that reads, and one for each open
/// transaction of a client.
const READERS_MAX: u32 = 2048;

/// Address space that LMDB gets beyond a map of this many bytes.
fn headroom(map_bytes: usize) -> usize {
    (map_bytes / 4).max(1 << 30)
}

pub(super) type TableHandle<'t> = Database<'t, Bytes, Bytes>;
pub(super) type Tables = [TableHandle<'static>; TABLES_LEN];

/// One environment. Cheap to share; safe to read from many threads.
pub struct Store {
    /// Without thread-local readers, so that a view can move from thread to thread.
    pub(super) env: Env<WithoutTls>,
    pub(super) tables: Tables,
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

    /// Checks the bytes of every row; calls `progress` after each.
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

    pub(super) fn table(&self, table: Table) -> TableHandle<'static> {
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
        let (_, meta) = TABLES[Table::Meta as usize];
        if let Some(meta) = opener.open_database(txn, Some(meta))? {
            check_format(&meta, txn)?;
        }
        let mut tables = Vec::with_capacity(TABLES_LEN);
        for (_, name) in TABLES {
            tables.push(opener.create_database(txn, Some(name))?);
        }
        let tables: std::result::Result<[TableHandle<'_>; TABLES_LEN], _> = tables.try_into();
        let tables = tables.map_err(|_| StorageError::Failed("tables".into()))?;
        let meta = tables[Table::Meta as usize];
        if meta.is_empty(txn)? {
            let number = format::STATE.newest.to_be_bytes();
            put_sealed(&meta, txn, format::STATE_KEY, &number)?;
        }
        Ok::<_, StorageError>(CommitOrAbort::<_, Infallible>::Commit(tables))
    })?;
    match created {
        CommitOrAbort::Commit(tables) => Ok(tables),
        CommitOrAbort::Abort(never) => match never {},
    }
}

/// Refuses a state of another format before anything of it is touched.
fn check_format(meta: &TableHandle<'_>, txn: &RoTxn<'_>) -> Result<()> {
    let stored = match meta.get(txn, format::STATE_KEY)? {
        Some(stored) => stored,
        None if meta.is_empty(txn)? => return Ok(()),
        // Of before formats had numbers.
        None => return Ok(format::STATE.check(0)?),
    };
    // The number comes first: another format may have another checksum.
    let number = stored.last_chunk().copied().map(u32::from_be_bytes);
    format::STATE.check(number.unwrap_or_default())?;
    checked(Table::Meta, format::STATE_KEY, stored).map(drop)
}

/// Stores a value after its checksum.
fn put_sealed(
    table: &TableHandle<'_>,
    txn: &mut RwTxn<'_>,
    key: &[u8],
    value: &[u8],
) -> heed::Result<()> {
    table.put_reserved(txn, key, CHECKSUM_BYTES + value.len(), |stored| {
        stored.write_all(&checksum(key, value).to_be_bytes())?;
        stored.write_all(value)
    })
}

/// A consistent view for reading. It must not be held across an `.await`.
pub struct ReadTxn<'e> {
    txn: RoTxn<'e, WithoutTls>,
    tables: Tables,
    _registered: Registration,
}

pub(super) fn get<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    table: Table,
    key: &[u8],
) -> Result<Option<&'t [u8]>> {
    let stored = tables[table as usize].get(txn, key)?;
    stored.map(|stored| checked(table, key, stored)).transpose()
}

pub(super) fn put(
    store: &Store,
    txn: &mut RwTxn<'_>,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    Ok(put_sealed(&store.table(table), txn, key, value)?)
}

pub(super) fn range<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    table: Table,
    bounds: (&[u8], &[u8]),
) -> Result<Entries<'t>> {
    let bounds = (Bound::Included(bounds.0), Bound::Excluded(bounds.1));
    let entries = tables[table as usize].range(txn, &bounds)?;
    Ok(Box::new(entries.map(move |entry| checked_entry(table, entry))))
}

pub(super) fn range_back<'t>(
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

    fn sealed_range<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> Result<Option<SealedEntries<'t>>> {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        let entries = self.tables[table as usize].range(&self.txn, &bounds)?;
        Ok(Some(Box::new(entries.map(move |entry| {
            let (key, stored) = entry?;
            Ok(SealedEntry { table, key, stored })
        }))))
    }
}

/// Free bytes of the disk that `dir` lies on; `u64::MAX` if they cannot be determined.
pub fn free_disk_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// The hash of a value, with that of its key as the seed. Both in one stream would be copied into
/// a buffer first, which takes several times as long.
fn checksum(key: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key))
}

pub(super) fn checked<'t>(table: Table, key: &[u8], stored: &'t [u8]) -> Result<&'t [u8]> {
    let damaged = || StorageError::Corrupt {
        table,
        key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let (sum, value) = stored.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
    (u64::from_be_bytes(*sum) == checksum(key, value)).then_some(value).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::super::write::Target;
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
    fn a_state_of_another_format_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        for number in [0, format::STATE.newest + 1] {
            let store = Store::open_exact(dir.path(), 1 << 20, 1 << 20).unwrap();
            let mut txn = store.write().unwrap();
            txn.put(Table::Meta, format::STATE_KEY, &u32::to_be_bytes(number)).unwrap();
            txn.commit().unwrap();
            drop(store);
            let error = Store::open_exact(dir.path(), 1 << 20, 1 << 20).err().unwrap().to_string();
            assert!(error.contains(&format!("has format {number}")), "{error}");
            std::fs::remove_file(dir.path().join(Store::FILE)).unwrap();
        }
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
        // Beside these rows there is the number of the format.
        let mut rows = 0;
        store.verify(|| rows += 1).unwrap();
        assert_eq!(rows, 102);
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
