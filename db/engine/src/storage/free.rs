//! Which pages of an environment can be used again.
//!
//! LMDB keeps the pages that each transaction has freed in a tree of its own, and uses those
//! again that were freed before the oldest reader began. heed gives no access to that tree, so
//! it is read from the file, under a read transaction that keeps its pages as they are. The
//! layout is that of data version 1 of LMDB (`mdb.c`: `MDB_meta`, `MDB_page`, `MDB_node`); a
//! test compares what is found with the numbers that LMDB reports for all its trees.

use super::error::{Result, StorageError};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// Place of the description of the free tree in a meta page, of its last page number, and of
/// its transaction.
const META_TREE: usize = PAGE_HEAD + 24;
const META_LAST_PAGE: usize = META_TREE + 2 * TREE_BYTES;
const META_TXN: usize = META_LAST_PAGE + 8;
const TREE_BYTES: usize = 48;
const TREE_ROOT: usize = 40;
const NO_PAGE: u64 = u64::MAX;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
/// Flag of a node whose value lies on pages of its own.
const BIG: u16 = 1;
/// Deeper than any tree of LMDB.
const DEPTH_MAX: usize = 32;
/// Bytes of a list of pages that are read at once.
const CHUNK: usize = 64 << 10;

/// The free pages of an environment at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreePages {
    page_bytes: u64,
    /// The number of runs of this many consecutive pages.
    runs: BTreeMap<u64, u64>,
    /// Pages that are not used before the oldest reader has ended.
    held: u64,
}

impl FreePages {
    /// Bytes that can be used for values that take up to `contiguous` bytes each: a value larger
    /// than a page takes pages that lie one after the other.
    pub fn usable(&self, contiguous: u64) -> u64 {
        let pages = (contiguous + PAGE_HEAD as u64).div_ceil(self.page_bytes.max(1)).max(1);
        let runs = self.runs.range(pages..);
        runs.map(|(length, count)| length / pages * pages * count).sum::<u64>() * self.page_bytes
    }

    /// Runs by their lengths in pages, each with how many there are.
    pub fn of(page_bytes: u64, runs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        FreePages { page_bytes, runs: runs.into_iter().collect(), held: 0 }
    }

    /// Bytes that become usable when the oldest reader ends.
    pub fn held(&self) -> u64 {
        self.held * self.page_bytes
    }
}

fn wrong(what: &str) -> StorageError {
    StorageError::Failed(format!("the list of free pages cannot be read: {what}"))
}

/// Reads the free pages as the transaction `txn` sees them, of which those are usable that were
/// freed before `oldest`. None when the file does not hold that transaction's meta page any more.
pub(super) fn read(
    file: &File,
    page_bytes: usize,
    txn: u64,
    oldest: u64,
) -> Result<Option<FreePages>> {
    let pages = Pages { file, page_bytes };
    for number in 0..2 {
        let meta = pages.page(number)?;
        if meta.u32(PAGE_HEAD)? != MAGIC || meta.u32(PAGE_HEAD + 4)? != VERSION {
            return Err(wrong("the file has another format"));
        }
        if meta.u64(META_TXN)? == txn {
            let last = meta.u64(META_LAST_PAGE)?;
            let mut found = UsablePages { free: vec![0; last as usize / 64 + 1], held: 0, oldest };
            let root = meta.u64(META_TREE + TREE_ROOT)?;
            if root != NO_PAGE {
                pages.walk(root, 0, &mut found)?;
            }
            let (runs, held) = (found.runs(), found.held);
            return Ok(Some(FreePages { page_bytes: page_bytes as u64, runs, held }));
        }
    }
    Ok(None)
}

struct UsablePages {
    /// A bit for each usable page.
    free: Vec<u64>,
    held: u64,
    oldest: u64,
}

impl UsablePages {
    fn runs(&self) -> BTreeMap<u64, u64> {
        let (mut runs, mut length) = (BTreeMap::new(), 0);
        // A word of zeros at the end closes the last run.
        for word in self.free.iter().chain([&0]) {
            if *word == u64::MAX {
                length += 64;
                continue;
            }
            for bit in 0..64 {
                if word >> bit & 1 == 1 {
                    length += 1;
                } else if length > 0 {
                    *runs.entry(std::mem::take(&mut length)).or_default() += 1;
                }
            }
        }
        runs
    }
}

struct Pages<'f> {
    file: &'f File,
    page_bytes: usize,
}

impl Pages<'_> {
    fn bytes(&self, page: u64, at: usize, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        let place = page.checked_mul(self.page_bytes as u64).map(|start| start + at as u64);
        let place = place.ok_or_else(|| wrong("a page number"))?;
        self.file.read_exact_at(&mut bytes, place).map_err(|error| wrong(&error.to_string()))?;
        Ok(Bytes(bytes))
    }

    fn page(&self, number: u64) -> Result<Bytes> {
        self.bytes(number, 0, self.page_bytes)
    }

    fn walk(&self, number: u64, depth: usize, found: &mut UsablePages) -> Result<()> {
        let page = self.page(number)?;
        let (flags, end) = (page.u16(10)?, page.u16(12)? as usize);
        if depth > DEPTH_MAX || end < PAGE_HEAD {
            return Err(wrong("the shape of the tree"));
        }
        for pointer in (PAGE_HEAD..end).step_by(2) {
            let node = page.u16(pointer)? as usize;
            let (low, high, third) = (page.u16(node)?, page.u16(node + 2)?, page.u16(node + 4)?);
            let number = u64::from(low) | u64::from(high) << 16;
            if flags & BRANCH != 0 {
                self.walk(number | u64::from(third) << 32, depth + 1, found)?;
            } else if flags & LEAF != 0 {
                let key = node + NODE_HEAD;
                let value = key + page.u16(node + 6)? as usize;
                let txn = page.u64(key)?;
                match third & BIG {
                    0 => found_list(&page, value, txn, found)?,
                    _ => self.big_list(page.u64(value)?, txn, found)?,
                }
            } else {
                return Err(wrong("the kind of a page"));
            }
        }
        Ok(())
    }

    fn big_list(&self, first: u64, txn: u64, found: &mut UsablePages) -> Result<()> {
        let count = self.bytes(first, PAGE_HEAD, 8)?.u64(0)? as usize;
        if txn >= found.oldest {
            found.held += count as u64;
            return Ok(());
        }
        let mut at = 0;
        while at < count {
            let length = (count - at).min(CHUNK / 8);
            let ids = self.bytes(first, PAGE_HEAD + 8 + at * 8, length * 8)?;
            (0..length).try_for_each(|number| note(ids.u64(number * 8)?, found))?;
            at += length;
        }
        Ok(())
    }
}

fn found_list(page: &Bytes, at: usize, txn: u64, found: &mut UsablePages) -> Result<()> {
    let count = page.u64(at)?;
    if txn >= found.oldest {
        found.held += count;
        return Ok(());
    }
    (1..=count as usize).try_for_each(|number| note(page.u64(at + number * 8)?, found))
}

fn note(page: u64, found: &mut UsablePages) -> Result<()> {
    let word = found.free.get_mut(page as usize / 64).ok_or_else(|| wrong("a page number"))?;
    *word |= 1 << (page % 64);
    Ok(())
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk::<N>());
        bytes.copied().ok_or_else(|| wrong("a page is cut off"))
    }

    fn u16(&self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_ne_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> Result<u64> {
        self.array(at).map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Store, Table};

    const MAP: usize = 1 << 28;

    fn fill(store: &Store, keys: std::ops::Range<u32>, bytes: usize) {
        for start in keys.clone().step_by(100) {
            let mut txn = store.write().unwrap();
            for key in start..keys.end.min(start + 100) {
                txn.put(Table::Documents, &key.to_be_bytes(), &vec![7; bytes]).unwrap();
            }
            txn.commit().unwrap();
        }
    }

    fn delete(store: &Store, keys: impl Iterator<Item = u32>) {
        let mut txn = store.write().unwrap();
        for key in keys {
            txn.delete(Table::Documents, &key.to_be_bytes()).unwrap();
        }
        txn.commit().unwrap();
    }

    fn touch(store: &Store) {
        fill(store, 0..1, 10);
    }

    #[test]
    fn all_pages_are_accounted_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), MAP).unwrap();
        for round in 1..6 {
            fill(&store, 0..2000, 500 * round);
            delete(&store, (0..2000).filter(|key| key % 3 > 0));
            touch(&store);
            let free = store.free_pages().unwrap();
            let counted = store.counted_bytes() + free.usable(1) + free.held();
            let metas = 2 * free.page_bytes;
            // The tree of free pages itself is in neither number.
            let own = store.used_bytes() as u64 - metas - counted;
            assert!(own <= 64 * free.page_bytes, "{own} bytes are nowhere");
            assert!(free.usable(1) > 100_000, "{free:?}");
        }
    }

    #[test]
    fn what_a_reader_still_sees_is_held_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), MAP).unwrap();
        fill(&store, 0..2000, 1000);
        touch(&store);
        let before = store.free_pages().unwrap();
        let reader = store.snapshot("a test").unwrap();
        delete(&store, 0..2000);
        touch(&store);
        let during = store.free_pages().unwrap();
        assert!(during.held() > 2_000_000, "{during:?}");
        assert!(during.usable(1) <= before.usable(1) + before.held());
        assert_eq!(store.oldest_reader().unwrap().0, "a test");
        drop(reader);
        assert_eq!(store.oldest_reader(), None);
        let after = store.free_pages().unwrap();
        assert!(after.usable(1) > 2_000_000, "{after:?}");
        // All that was freed can be taken again without a page more.
        let used = store.used_bytes();
        fill(&store, 0..1900, 1000);
        assert!(store.used_bytes() <= used + (1 << 20));
    }

    #[test]
    fn a_large_value_needs_pages_one_behind_the_other() {
        let free =
            FreePages { page_bytes: 4096, runs: [(1, 100), (3, 2), (10, 1)].into(), held: 0 };
        assert_eq!(free.usable(0), 116 * 4096);
        assert_eq!(free.usable(4000), 116 * 4096);
        assert_eq!(free.usable(4096), (2 * 2 + 10) * 4096);
        assert_eq!(free.usable(3 * 4096), 8 * 4096);
        assert_eq!(free.usable(1 << 20), 0);
    }
}
