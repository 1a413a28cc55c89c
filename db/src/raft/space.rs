//! Whether there is space for a write: on the disk, and in the map of the state.
//!
//! A log entry that cannot be flushed, or not applied because the map is full, ends the node. So
//! commands that grow the state are refused while a reserve is left, which only deletions, clearing
//! away and membership may use: they are what ends a full disk or map. Freed pages count as free as
//! far as they can be reused; they need no disk either.

use crate::engine::budget::WRITTEN_MAX;
use crate::error::{Error, Kind, Result};
use crate::storage::{FreePages, Store, free_disk_bytes};
use std::path::Path;
use std::time::{Duration, Instant};

/// The minimum reserve of the map in bytes; and the reserve as a part of the map.
const MAP_RESERVE_BYTES: u64 = 64 << 20;
const MAP_RESERVE_PART: u64 = 20;
/// The part of the disk's reserve that deletions leave to clearing away.
const DELETION_PART: u64 = 2;
/// The part of the disk's reserve that nothing may use: beyond it the node would end.
const LAST_PART: u64 = 8;
/// Time for which a measurement of the free pages is used, and the same as a multiple of its
/// duration.
const BELIEVED: Duration = Duration::from_millis(50);
const BELIEVED_TIMES: u32 = 20;

const DISK: &str = "the disk of this node is nearly full";
const MAP: &str = "the storage map (MapSizeGb) of this node";

/// The space that a proposal needs.
#[derive(Debug, Clone, Copy)]
pub struct SpaceNeed {
    /// Bytes in the log.
    pub log: u64,
    /// Bytes that applying it may write before pages become free.
    pub state: u64,
    /// Its effect on the space.
    pub purpose: Purpose,
}

/// The effect of a proposal on the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It grows the state.
    Growth,
    /// It deletes documents, whose former forms may be kept.
    Deletion,
    /// It drops something, clears away, or changes the members.
    Clearing,
}

/// The space of a group, as it was measured.
#[derive(Default)]
pub struct Space {
    disk: u64,
    unallocated: u64,
    headroom: u64,
    map: u64,
    reserve: u64,
    free: Option<FreeSpace>,
    /// What was granted since disk and map were measured.
    granted: Grants,
}

#[derive(Default)]
struct Grants {
    log: u64,
    state: u64,
}

struct FreeSpace {
    pages: FreePages,
    /// When it is to be measured again.
    until: Instant,
    /// Bytes that were granted since.
    granted: u64,
}

/// The bytes of a map that are reserved.
fn map_reserve(map_bytes: u64) -> u64 {
    // Maps so small that the half is less are for tests.
    (map_bytes / MAP_RESERVE_PART).max(MAP_RESERVE_BYTES).min(map_bytes / 2)
}

impl Space {
    /// Measures disk and map before a batch is decided.
    pub fn measure(&mut self, store: &Store, dir: &Path, reserve_bytes: u64) {
        self.disk = free_disk_bytes(dir);
        self.unallocated = store.unallocated_bytes();
        self.headroom = store.headroom_bytes();
        self.map = store.map_bytes() as u64;
        self.reserve = reserve_bytes;
        self.granted = Grants::default();
    }

    /// Grants the space that a proposal needs, or refuses it.
    ///
    /// # Errors
    /// `storage_full`, which names what is full and what holds it.
    pub fn grant(&mut self, need: SpaceNeed, store: &Store) -> Result<()> {
        let checked = self.check(need, store);
        if checked.is_err() && self.free.as_ref().is_some_and(|free| free.granted > 0) {
            // What was granted may have taken less, or freed something.
            self.free = None;
            self.check(need, store)?;
        } else {
            checked?;
        }
        self.granted.log += need.log;
        self.granted.state += need.state;
        if let Some(free) = &mut self.free {
            free.granted += need.state;
        }
        Ok(())
    }

    fn check(&mut self, need: SpaceNeed, store: &Store) -> Result<()> {
        match need.purpose {
            Purpose::Growth => self.check_growth(need.log, need.state, store),
            Purpose::Deletion => {
                self.check_deletion(need, store)?;
                self.check_last(need.log, store)
            }
            Purpose::Clearing => self.check_last(need.log, store),
        }
    }

    /// For deletions: clearing away, which gives the space back, must be possible afterwards.
    fn check_deletion(&mut self, need: SpaceNeed, store: &Store) -> Result<()> {
        if self.deletable(store)? < need.log + need.state {
            return Err(full(DISK, "drop something, or free space on it; reading still works"));
        }
        Ok(())
    }

    /// Bytes that deletions may write to the log and, before pages become free, to the state.
    pub fn deletable(&mut self, store: &Store) -> Result<u64> {
        let granted = self.granted.log + self.granted.state;
        let disk = self.disk.saturating_sub(self.reserve / DELETION_PART);
        if disk >= granted.saturating_add(WRITTEN_MAX) {
            return Ok(disk - granted);
        }
        Ok((disk + self.usable(1, store)?).saturating_sub(granted))
    }

    /// For what grows nothing: the node must not end by it.
    fn check_last(&mut self, log: u64, store: &Store) -> Result<()> {
        if self.disk < self.granted.log + log + self.reserve / LAST_PART {
            return Err(full(DISK, "free space on it; reading still works"));
        }
        // It has the address space beyond the map, and gives it back.
        let last = map_reserve(self.map);
        if self.headroom < last && self.usable(1, store)? < last {
            return Err(self.full_map(1, store));
        }
        Ok(())
    }

    fn check_growth(&mut self, own: u64, state: u64, store: &Store) -> Result<()> {
        let (log, wanted) = (self.granted.log + own, self.granted.state + state);
        let tail = self.unallocated.saturating_sub(map_reserve(self.map));
        let easy = self.disk >= wanted.saturating_add(log + self.reserve) && tail >= wanted;
        if easy {
            return Ok(());
        }
        // A value lies on consecutive pages; it is as long as its proposal at most.
        let usable = self.usable(own, store)?;
        if tail.saturating_add(usable) < wanted {
            return Err(self.full_map(own, store));
        }
        let grows = wanted.saturating_sub(usable);
        // What fits on freed pages needs disk for the log alone.
        let reserve = if grows == 0 { self.reserve / 2 } else { self.reserve };
        if self.disk < grows.saturating_add(log + reserve) {
            return Err(full(
                DISK,
                "delete or drop something, or free space on it; reading and deleting still work",
            ));
        }
        Ok(())
    }

    /// Bytes of freed pages that can be used for values of this length.
    fn usable(&mut self, contiguous: u64, store: &Store) -> Result<u64> {
        let now = Instant::now();
        if self.free.as_ref().is_none_or(|free| free.until <= now) {
            let pages = store.free_pages()?;
            let until = now + BELIEVED.max(now.elapsed() * BELIEVED_TIMES);
            // What was granted in this batch is not in the state yet.
            self.free = Some(FreeSpace { pages, until, granted: 0 });
        }
        let Some(free) = &self.free else { return Ok(0) };
        let before = free.granted.saturating_sub(self.granted.state);
        Ok(free.pages.usable(contiguous).saturating_sub(before))
    }

    fn full_map(&self, contiguous: u64, store: &Store) -> Error {
        let pages = self.free.as_ref().map(|free| &free.pages);
        let held = pages.map_or(0, FreePages::held);
        let free = self.unallocated + pages.map_or(0, |pages| pages.usable(contiguous));
        let numbers = format!(
            "{} MB of {} MB can be used, {} MB of them by deletions only",
            free >> 20,
            self.map >> 20,
            map_reserve(self.map) >> 20
        );
        match store.oldest_reader() {
            Some((reader, age)) if held > contiguous => {
                let (held, age) = (held >> 20, age.as_secs());
                full(
                    &format!(
                        "{MAP} is nearly full: {numbers}; {held} MB more are free, but held by {reader} \
                         that began {age} s ago"
                    ),
                    "end it or wait until it ends; reading and deleting still work",
                )
            }
            _ => full(
                &format!("{MAP} is nearly full: {numbers}"),
                "delete or drop something, or enlarge it; reading and deleting still work",
            ),
        }
    }
}

fn full(message: &str, hint: &str) -> Error {
    Error::new(Kind::StorageFull, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn space(disk: u64, unallocated: u64, free: FreePages) -> Space {
        let until = Instant::now() + Duration::from_secs(3600);
        Space {
            disk: disk * MB,
            unallocated: unallocated * MB,
            headroom: 1024 * MB,
            map: 1024 * MB,
            reserve: 64 * MB,
            free: Some(FreeSpace { pages: free, until, granted: 0 }),
            granted: Grants::default(),
        }
    }

    #[test]
    fn what_grows_is_refused_at_the_reserves_and_what_does_not_grow_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        let none = FreePages::default;
        let some = || FreePages::of(4096, [(1, 100_000)]);
        let runs = || FreePages::of(4096, [(300, 300)]);
        let (growth, deletion, clearing) =
            ((5, Purpose::Growth), (5, Purpose::Deletion), (0, Purpose::Clearing));
        for (disk, unallocated, free, log, (state, purpose), refused) in [
            (1000, 1000, none(), 1, growth, None),
            // The map is full but for its reserve of 64 MB; pages that were freed count.
            (1000, 66, none(), 1, growth, Some("map")),
            (1000, 66, none(), 1, deletion, None),
            (1000, 0, some(), 0, growth, None),
            (1000, 0, some(), 1, growth, Some("map")),
            (1000, 0, runs(), 1, growth, None),
            // The same with the disk, where the log needs half of its reserve in any case.
            (65, 1000, none(), 1, growth, Some("disk")),
            (60, 1000, runs(), 1, growth, None),
            (30, 1000, runs(), 1, growth, Some("disk")),
            // Deleted documents may be kept as versions, so a part stays for clearing away.
            (65, 1000, none(), 1, deletion, None),
            (37, 1000, none(), 1, deletion, Some("disk")),
            (30, 1000, runs(), 1, deletion, None),
            (30, 1000, none(), 1, clearing, None),
            (8, 1000, none(), 1, clearing, Some("disk")),
        ] {
            let mut space = space(disk, unallocated, free);
            let need = SpaceNeed { log: log * MB, state: state * MB, purpose };
            let granted = space.grant(need, &store);
            let case = format!("{disk} {unallocated} {log} {state} {purpose:?}: {granted:?}");
            match (granted, refused) {
                (Err(error), Some(what)) => assert!(error.message.contains(what), "{case}"),
                (granted, refused) => assert_eq!(granted.is_ok(), refused.is_none(), "{case}"),
            }
        }
    }

    #[test]
    fn what_was_granted_is_not_granted_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        let mut space = space(1000, 64 + 10, FreePages::default());
        let need = SpaceNeed { log: MB, state: 4 * MB, purpose: Purpose::Growth };
        assert!(space.grant(need, &store).is_ok() && space.grant(need, &store).is_ok());
        assert_eq!(space.grant(need, &store).unwrap_err().kind, Kind::StorageFull);
        assert!(space.grant(SpaceNeed { purpose: Purpose::Deletion, ..need }, &store).is_ok());
    }
}
