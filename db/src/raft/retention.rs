//! How much of the log is kept: bounded by entries and bytes, and held for members that still need
//! it.
//!
//! openraft counts entries only, and purges up to a snapshot whatever a follower is about to
//! request. So its own policies are off, and a task of each group decides:
//!
//! * After `SnapshotEvery` entries or `SnapshotLogMb` of log, the applied state is made durable
//!   and recorded as a snapshot. Nothing after the last snapshot is ever purged.
//! * About as much log as that is kept before the end, so that a member that was away shortly
//!   needs no copy of the state.
//! * The leader keeps more for members that need it, within [`HELD_FACTOR`] times `SnapshotLogMb`
//!   or the size of the state, whichever is more: beyond that a new copy is cheaper than the
//!   log. For one that answers but lags that ends at twice `SnapshotEvery` entries too; for one
//!   that is sent a copy it does not, from the index of the copy on until the member has
//!   caught up. A disk that is nearly full ends these privileges.

use super::log_store::{LogExtent, LogStore};
use super::snapshot::CopySpace;
use super::state_machine::Raft;
use super::types::{Metrics, RaftId};
use crate::pulse;
use crate::storage::{Generations, free_disk_bytes};
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time between two checks of the log; one that grows fast is checked at once.
const LOOK_PAUSE: Duration = Duration::from_millis(1800);
/// Longest time to wait for a snapshot before the log is checked again.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(10);
/// How many times `SnapshotLogMb` are kept for members that need it.
pub const HELD_FACTOR: u64 = 8;
/// A member that has not answered for this long is not waited for.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest time that the log is held for a member that has received a copy and shows no progress.
const AFTER_COPY_MAX: Duration = Duration::from_secs(20);

/// The bounds of the log.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Entries between two snapshots, and entries that are kept.
    pub entries: u64,
    /// Bytes between two snapshots, and bytes that are kept.
    pub bytes: u64,
}

/// The copies of the state that this node is sending, and the log that their receivers will need.
#[derive(Debug, Clone, Default)]
pub struct SentCopies(Arc<Mutex<HashMap<RaftId, SentCopy>>>);

#[derive(Debug, Clone, Copy)]
struct SentCopy {
    index: Option<u64>,
    /// When it had arrived; none while it is being sent.
    arrived: Option<Instant>,
}

impl SentCopies {
    /// Holds the log after `index` for a copy that is sent to `to`, until the guard is dropped; if
    /// the copy has arrived by then, until the member has caught up from it.
    pub fn begin(&self, to: RaftId, index: Option<u64>) -> CopyGuard {
        self.0.lock().insert(to, SentCopy { index, arrived: None });
        CopyGuard { copies: self.clone(), to }
    }

    /// The indexes after which the log is needed, given the members' progress and the index up to
    /// which a member counts as lagging.
    fn holds(&self, matched: impl Fn(RaftId) -> Option<u64>, behind: u64) -> Vec<u64> {
        let mut copies = self.0.lock();
        copies.retain(|to, copy| {
            let Some(at) = copy.arrived else { return true };
            let reached = matched(*to);
            if reached > copy.index {
                (copy.index, copy.arrived) = (reached, Some(Instant::now()));
            }
            copy.index < Some(behind) && at.elapsed() < AFTER_COPY_MAX
        });
        copies.values().map(|copy| copy.index.unwrap_or(0)).collect()
    }
}

/// Holds the log for a copy that is being sent.
#[derive(Debug)]
pub struct CopyGuard {
    copies: SentCopies,
    to: RaftId,
}

impl CopyGuard {
    /// Records that the copy has arrived and is installed.
    pub fn arrived(self) {
        if let Some(copy) = self.copies.0.lock().get_mut(&self.to) {
            copy.arrived = Some(Instant::now());
        }
    }
}

impl Drop for CopyGuard {
    fn drop(&mut self) {
        let mut copies = self.copies.0.lock();
        if copies.get(&self.to).is_some_and(|copy| copy.arrived.is_none()) {
            copies.remove(&self.to);
        }
    }
}

/// What decides about the log at one moment.
#[derive(Debug, Clone, Default)]
struct LogUse {
    log: LogExtent,
    /// Index of the last entry that is applied.
    applied: Option<u64>,
    /// Index of the last entry that is durable in the state.
    snapshot: Option<u64>,
    /// Where the log ended when the last snapshot was requested.
    noted: u64,
    /// Indexes after which lagging members need the log.
    lagging: Vec<u64>,
    /// Indexes after which members need the log that are sent a copy.
    copied: Vec<u64>,
    /// Maximum bytes of log that are kept for them.
    held_bytes: u64,
}

impl LogUse {
    /// Whether it is time for a snapshot.
    fn wants_snapshot(&self, limits: LogLimits) -> bool {
        let entries = self.applied.map_or(0, |at| at + 1);
        let covered = self.snapshot.map_or(0, |at| at + 1);
        let behind = entries.saturating_sub(covered);
        let bytes = self.log.end.saturating_sub(self.noted);
        behind > 0 && (behind >= limits.entries || bytes >= limits.bytes)
    }

    /// The index up to which the log is to be purged now, if it is.
    fn purge_upto(&self, limits: LogLimits) -> Option<u64> {
        let last = self.log.last?;
        let beyond = |bytes: u64| {
            let files = self.log.files.iter();
            files.filter(|file| self.log.end - file.end >= bytes).filter_map(|file| file.last).max()
        };
        let kept = last - self.log.purged.unwrap_or(0).min(last);
        // Not with each entry: a purge is a record of its own.
        let by_entries = (kept >= 2 * limits.entries).then(|| last - limits.entries);
        let mut upto = beyond(limits.bytes).max(by_entries)?;
        let too_far = beyond(self.held_bytes).unwrap_or(0);
        if let Some(hold) = self.lagging.iter().min() {
            let entries = last.saturating_sub(2 * limits.entries);
            upto = upto.min((*hold).max(too_far).max(entries));
        }
        if let Some(hold) = self.copied.iter().min() {
            upto = upto.min((*hold).max(too_far));
        }
        let upto = upto.min(self.snapshot?);
        (Some(upto) > self.log.purged).then_some(upto)
    }
}

/// The task that bounds the log of one group.
pub struct Retention {
    /// The consensus.
    pub raft: Raft,
    /// The log.
    pub log: LogStore,
    /// The state.
    pub state: Arc<Generations>,
    /// The disk, and the space that must stay free on it.
    pub space: CopySpace,
    /// The copies that are being sent.
    pub copies: SentCopies,
    /// The bounds.
    pub limits: LogLimits,
}

impl Retention {
    /// Bounds the log until the consensus ends.
    pub async fn run(self) {
        let (mut noted, mut end) = (0, 0);
        loop {
            // A full file shows in the extent; small entries are counted now and then.
            let _ = tokio::time::timeout_at(pulse::next(LOOK_PAUSE), self.log.grown()).await;
            let mut view = self.view(noted);
            if std::mem::replace(&mut end, view.log.end) == view.log.end {
                // Nothing is written, and members have had the time to catch up.
                self.log.drop_cache();
            }
            if view.wants_snapshot(self.limits) {
                noted = view.log.end;
                if self.note_snapshot(view.snapshot).await.is_err() {
                    return;
                }
                view = self.view(noted);
            }
            let purged = match view.purge_upto(self.limits) {
                Some(upto) => self.raft.trigger().purge_log(upto).await,
                None => Ok(()),
            };
            if purged.is_err() || self.metrics(|metrics| metrics.running_state.is_err()) {
                return;
            }
        }
    }

    /// Requests a snapshot, and waits until there is a newer one than at `before`.
    async fn note_snapshot(&self, before: Option<u64>) -> Result<(), ()> {
        self.raft.trigger().snapshot().await.map_err(drop)?;
        let newer = |metrics: &Metrics| metrics.snapshot.map(|id| id.index) > before;
        // Whether it came in time shows in the next check.
        let _ = self.raft.wait(Some(SNAPSHOT_WAIT)).metrics(newer, "a snapshot").await;
        Ok(())
    }

    fn metrics<T>(&self, read: impl FnOnce(&Metrics) -> T) -> T {
        read(&self.raft.metrics().borrow_watched())
    }

    fn view(&self, noted: u64) -> LogUse {
        let log = self.log.extent();
        let (applied, snapshot, matched) = self.metrics(|metrics| {
            let applied = metrics.last_applied.map(|id| id.index);
            (applied, metrics.snapshot.map(|id| id.index), matched(metrics))
        });
        let behind = log.last.unwrap_or(0).saturating_sub(self.limits.entries);
        let mut copied = self.copies.holds(|id| matched.get(&id).copied().flatten(), behind);
        let mut lagging: Vec<u64> = matched.into_values().flatten().collect();
        let needs = self.space.reserve_bytes.saturating_mul(2);
        let held = !copied.is_empty() || !lagging.is_empty();
        if held && free_disk_bytes(&self.space.dir) < needs {
            copied.clear();
            lagging.clear();
        }
        let state = self.state.current().used_bytes() as u64;
        let held_bytes = (HELD_FACTOR * self.limits.bytes).max(state);
        LogUse { log, applied, snapshot, noted, lagging, copied, held_bytes }
    }
}

/// The log index of each member that has answered lately; on the leader only.
fn matched(metrics: &Metrics) -> HashMap<RaftId, Option<u64>> {
    let heard = |id: &RaftId| {
        let at = metrics.heartbeat.as_ref()?.get(id)?.as_ref()?;
        Some(openraft::Instant::elapsed(&**at))
    };
    let others = metrics.replication.iter().flatten().filter(|(id, _)| **id != metrics.id);
    let alive = others.filter(|(id, _)| heard(id).is_some_and(|silence| silence < SILENCE_MAX));
    alive.map(|(id, at)| (*id, at.map(|at| at.index))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::log_store::FullFile;
    use super::*;

    const LIMITS: LogLimits = LogLimits { entries: 1000, bytes: 100 };

    /// A log of files of 50 bytes with 10 entries each, all of it durable in the state.
    fn view(files: u64, lagging: &[u64]) -> LogUse {
        let full = (1..=files).map(|n| FullFile { last: Some(n * 10), end: n * 50 });
        let last = Some(files * 10 + 5);
        LogUse {
            log: LogExtent { files: full.collect(), end: files * 50 + 25, last, purged: None },
            applied: last,
            snapshot: last,
            noted: files * 50 + 25,
            lagging: lagging.to_vec(),
            copied: Vec::new(),
            held_bytes: 400,
        }
    }

    #[test]
    fn a_snapshot_is_due_by_entries_and_by_bytes_when_something_is_applied() {
        let due = |change: fn(&mut LogUse)| {
            let mut view = view(4, &[]);
            change(&mut view);
            view.wants_snapshot(LIMITS)
        };
        assert!(!due(|_| {}));
        assert!(!due(|view| view.noted -= 100), "nothing is applied that it does not cover");
        assert!(due(|view| (view.noted, view.snapshot) = (view.noted - 100, Some(44))));
        assert!(!due(|view| (view.noted, view.snapshot) = (view.noted - 99, Some(44))));
        assert!(due(|view| (view.applied, view.snapshot) = (Some(999), None)));
        assert!(!due(|view| (view.applied, view.snapshot) = (Some(998), None)));
        assert!(due(|view| (view.applied, view.snapshot) = (Some(1044), Some(44))));
    }

    /// Symptom: 60 writes of 15 MB left 859 MB of log. Cause: only entries were counted.
    #[test]
    fn few_large_entries_are_purged_by_their_bytes() {
        assert_eq!(view(1, &[]).purge_upto(LIMITS), None);
        assert_eq!(view(2, &[]).purge_upto(LIMITS), None);
        // 75 bytes after the first of three files would be too few, 125 are enough.
        assert_eq!(view(3, &[]).purge_upto(LIMITS), Some(10));
        assert_eq!(view(20, &[]).purge_upto(LIMITS), Some(180));
        let mut purged = view(20, &[]);
        purged.log.purged = Some(180);
        assert_eq!(purged.purge_upto(LIMITS), None);
    }

    #[test]
    fn many_small_entries_are_purged_by_their_number() {
        let mut view = view(0, &[]);
        for (last, purged, upto) in
            [(1999, None, None), (2000, None, Some(1000)), (3999, Some(2000), None)]
        {
            (view.log.last, view.log.purged, view.snapshot) = (Some(last), purged, Some(last));
            assert_eq!(view.purge_upto(LIMITS), upto, "{last} {purged:?}");
        }
    }

    #[test]
    fn what_is_not_durable_is_never_purged() {
        let mut view = view(20, &[]);
        view.snapshot = Some(33);
        assert_eq!(view.purge_upto(LIMITS), Some(33));
        view.snapshot = None;
        assert_eq!(view.purge_upto(LIMITS), None);
    }

    /// Symptom: a slow follower got one copy after the other and never caught up. Cause: the
    /// log after the copy was gone when the copy had arrived.
    #[test]
    fn the_log_is_held_for_members_that_need_it_within_a_bound() {
        assert_eq!(view(9, &[40, 95]).purge_upto(LIMITS), Some(40));
        assert_eq!(view(9, &[95]).purge_upto(LIMITS), Some(70));
        // 425 bytes after the end of the third file: as much is not held.
        assert_eq!(view(11, &[5]).purge_upto(LIMITS), Some(30));
        assert_eq!(view(9, &[0]).purge_upto(LIMITS), Some(10));
        // Entries count for those that lag, not after a copy.
        let few = LogLimits { entries: 15, ..LIMITS };
        assert_eq!(view(9, &[40]).purge_upto(few), Some(65));
        let copied = LogUse { copied: vec![40], ..view(9, &[95]) };
        assert_eq!(copied.purge_upto(few), Some(40));
        let copied = LogUse { copied: vec![5], ..view(11, &[]) };
        assert_eq!(copied.purge_upto(few), Some(30));
    }

    #[test]
    fn a_copy_holds_the_log_until_its_receiver_has_caught_up_or_it_failed() {
        let copies = SentCopies::default();
        let failed = copies.begin(2, Some(10));
        let arrived = copies.begin(3, Some(20));
        let mut holds = copies.holds(|_| None, 0);
        holds.sort_unstable();
        assert_eq!(holds, [10, 20]);
        drop(failed);
        arrived.arrived();
        assert_eq!(copies.holds(|_| None, 100), [20]);
        assert_eq!(copies.holds(|_| Some(50), 100), [50]);
        assert_eq!(copies.holds(|_| Some(99), 100), [99]);
        assert!(copies.holds(|_| Some(100), 100).is_empty());
        assert!(copies.holds(|_| None, 100).is_empty());
    }
}
