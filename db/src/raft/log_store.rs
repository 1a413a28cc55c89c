//! The Raft log on disk: an adaptor of the `raft-log` crate to openraft's storage traits.
//!
//! raft-log keeps checksummed chunks and one writing thread, but gives each flush request its own
//! fdatasync. So at most one flush is outstanding here; appends that arrive meanwhile share the
//! next one.
//!
//! Handing anything to the writing thread may block until that thread has written what it holds. So
//! its callback only notifies the waiting appends, and a task on the thread of the group, which is woken
//! for them anyway, asks for the next flush: the writing thread never waits for itself, nor for a lock
//! whose holder waits for it.

use super::append_stream::{MESSAGE_BYTES_MAX, REPLICATION_BYTES_MAX};
use super::types::{Entry, EntryPayload, LogId, TypeConfig, Vote};
use super::wire::{self, Wire};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::codeq::{Decode, Encode};
use raft_log::{Config, RaftLog, Types};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Most bytes of entries kept in memory beside the open chunk, and their part of a chunk: small chunks
/// are those of one group among many.
const CACHE_BYTES: usize = 8 << 20;
const CACHE_PART: usize = 4;
/// Size of a chunk from which on the cache is as large as it may be.
const LARGE_CHUNK_BYTES: usize = 8 << 20;
/// Bytes that may wait for the writing thread; beyond that an append blocks until some are written.
/// One message of the append stream fits.
const UNWRITTEN_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// Bytes of entries after which a waiter of [`LogStore::grown`] is woken.
const GROWN_BYTES: u64 = 1 << 20;
/// Largest buffer for replaying a chunk at start.
const REPLAY_BYTES: usize = 1 << 20;

/// A value in its numbered form after its length, as raft-log writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Coded<T>(T);

impl<T: Wire> Encode for Coded<T> {
    fn encode<W: Write>(&self, writer: W) -> io::Result<usize> {
        wire::write_counted(&self.0, writer)
    }
}

impl<T: Wire> Decode for Coded<T> {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        reader.read_exact(&mut bytes)?;
        wire::decode(&bytes).map(Coded).map_err(io::Error::other)
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct LogTypes;

impl Types for LogTypes {
    type LogId = Coded<LogId>;
    type LogPayload = Coded<EntryPayload>;
    type Vote = Coded<Vote>;
    type Callback = Flushed;
    type UserData = Coded<()>;

    fn log_index(log_id: &Self::LogId) -> u64 {
        log_id.0.index
    }

    fn payload_size(payload: &Self::LogPayload) -> u64 {
        payload_bytes(&payload.0) as u64
    }
}

/// Bytes of an entry's content, roughly.
pub(super) fn payload_bytes(payload: &EntryPayload) -> usize {
    match payload {
        openraft::EntryPayload::Normal(payload) => payload.0.len(),
        _ => 64,
    }
}

/// What is notified by a flush.
enum Flushed {
    Appends(AppendsFlushed),
    Vote(oneshot::Sender<io::Result<()>>),
}

impl raft_log::Callback for Flushed {
    fn send(self, result: io::Result<()>) {
        match self {
            Flushed::Appends(mut appends) => appends.end(result),
            Flushed::Vote(waiting) => drop(waiting.send(result)),
        }
    }
}

/// Ends the outstanding flush, once; with an error if it is dropped unsent, because the writing
/// thread has ended.
struct AppendsFlushed(Option<Arc<Flushes>>);

impl AppendsFlushed {
    fn end(&mut self, result: io::Result<()>) {
        if let Some(flushes) = self.0.take() {
            flushes.end(result);
        }
    }
}

impl Drop for AppendsFlushed {
    fn drop(&mut self) {
        self.end(Err(io::Error::other("the log is not written any more")));
    }
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn copy_result(result: &io::Result<()>) -> io::Result<()> {
    result.as_ref().copied().map_err(copy)
}

/// The log of one group. Clones share it.
#[derive(Clone)]
pub struct LogStore {
    log: Arc<Mutex<RaftLog<LogTypes>>>,
    flushes: Arc<Flushes>,
    growth: Arc<Growth>,
}

/// Bytes appended since the last notification.
#[derive(Default)]
struct Growth {
    bytes: AtomicU64,
    grown: Notify,
}

/// How far the log reaches, in entries and in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogExtent {
    /// The files that are full, from the oldest to the newest.
    pub files: Vec<FullFile>,
    /// Where the log ends, counted in all bytes that were ever written to it.
    pub end: u64,
    /// Index of the last entry.
    pub last: Option<u64>,
    /// Index of the last entry that was purged.
    pub purged: Option<u64>,
}

/// A file of the log that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullFile {
    /// Index of the last entry in it or before it.
    pub last: Option<u64>,
    /// Where it ends, counted in all bytes that were ever written to the log.
    pub end: u64,
}

impl Growth {
    fn add(&self, bytes: u64) {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= GROWN_BYTES {
            self.bytes.store(0, Ordering::Relaxed);
            self.grown.notify_one();
        }
    }
}

type WaitingAppends = Vec<IOFlushed<TypeConfig>>;

/// The outstanding flush, and what waits for the next one.
struct Flushes {
    state: Mutex<FlushState>,
    /// Wakes the task that asks for the next flush.
    next: Arc<Notify>,
}

impl Drop for Flushes {
    fn drop(&mut self) {
        // The task ends.
        self.next.notify_one();
    }
}

#[derive(Default)]
struct FlushState {
    outstanding: Option<WaitingAppends>,
    waiting: WaitingAppends,
    /// Why nothing can be flushed any more.
    failure: Option<io::Error>,
}

impl Flushes {
    /// Adds `flushed` to the waiting appends; returns whether a flush must be requested.
    fn wait(&self, flushed: IOFlushed<TypeConfig>) -> io::Result<bool> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(copy(failure));
        }
        state.waiting.push(flushed);
        Ok(state.outstanding.is_none() && state.begin())
    }

    /// Notifies the appends of the outstanding flush; after a failure, all of them. Called on the
    /// writing thread: takes no other lock, and asks that thread for nothing.
    fn end(&self, result: io::Result<()>) {
        let mut state = self.state.lock();
        let mut waited = state.outstanding.take().unwrap_or_default();
        if let Err(error) = &result {
            tracing::error!(%error, "the log could not be flushed");
            state.failure = Some(copy(error));
            waited.append(&mut state.waiting);
        }
        let next = state.begin();
        drop(state);
        for flushed in waited {
            flushed.io_completed(copy_result(&result));
        }
        if next {
            self.next.notify_one();
        }
    }
}

impl FlushState {
    /// Makes the waiting appends those of the outstanding flush; returns whether there are any.
    fn begin(&mut self) -> bool {
        if !self.waiting.is_empty() {
            self.outstanding = Some(std::mem::take(&mut self.waiting));
        }
        self.outstanding.is_some()
    }
}

/// Asks the writing thread for a flush. May block until that thread has written something.
fn flush(log: &Mutex<RaftLog<LogTypes>>, flushes: &Arc<Flushes>) -> io::Result<()> {
    let callback = Flushed::Appends(AppendsFlushed(Some(flushes.clone())));
    log.lock().flush(true, Some(callback))
}

/// Requests one flush after the other, until the log is closed.
async fn run_flushes(
    next: Arc<Notify>,
    log: Weak<Mutex<RaftLog<LogTypes>>>,
    flushes: Weak<Flushes>,
) {
    loop {
        next.notified().await;
        let (Some(log), Some(flushes)) = (log.upgrade(), flushes.upgrade()) else {
            return;
        };
        if let Err(error) = flush(&log, &flushes) {
            // The waiting appends got the error when the callback was dropped.
            tracing::error!(%error, "the log cannot be flushed");
        }
    }
}

impl LogStore {
    /// Opens or creates the log in `dir`; its files hold about `chunk_bytes` each. Flushes are asked for
    /// on the runtime of the caller.
    ///
    /// # Errors
    /// When the directory cannot be used, or a chunk other than the last one is damaged.
    pub fn open(dir: &Path, chunk_bytes: usize) -> io::Result<Self> {
        LogStore::open_with(dir, chunk_bytes, UNWRITTEN_BYTES_MAX)
    }

    fn open_with(dir: &Path, chunk_bytes: usize, unwritten_max: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut config = Config::new(dir.display());
        config.wal.chunk_max_size = Some(chunk_bytes);
        config.wal.read_buffer_size = Some(REPLAY_BYTES.min(chunk_bytes));
        config.wal.flush_batch_wait = Some(Duration::ZERO);
        config.wal.flush_queue_max_bytes = Some(unwritten_max);
        config.log_cache_capacity = Some(match chunk_bytes < LARGE_CHUNK_BYTES {
            true => chunk_bytes / CACHE_PART,
            false => CACHE_BYTES,
        });
        let log = Arc::new(Mutex::new(RaftLog::open(Arc::new(config))?));
        let next = Arc::new(Notify::new());
        let flushes = Arc::new(Flushes { state: Mutex::default(), next: next.clone() });
        tokio::spawn(run_flushes(next, Arc::downgrade(&log), Arc::downgrade(&flushes)));
        Ok(LogStore { log, flushes, growth: Arc::default() })
    }

    /// Waits until the log has grown by about a MiB since the last time.
    pub async fn grown(&self) {
        self.growth.grown.notified().await;
    }

    /// Forgets the entries that are kept in memory for members that lag a little. They are read from the
    /// files from then on.
    pub fn drop_cache(&self) {
        self.log.lock().drain_cache_evictable();
    }

    /// The extent of the log.
    pub fn extent(&self) -> LogExtent {
        let log = self.log.lock();
        let (stat, state) = (log.stat(), log.log_state());
        let index = |id: Option<&Coded<LogId>>| id.map(|id| id.0.index);
        let files = stat.closed_chunks.iter();
        let files =
            files.map(|file| FullFile { last: index(file.log_state.last()), end: file.global_end });
        LogExtent {
            files: files.collect(),
            end: stat.open_chunk.global_end,
            last: index(state.last()),
            purged: index(state.purged()),
        }
    }

    /// Makes everything written durable, removals of entries too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn sync(&self) -> io::Result<()> {
        let (flushed, waiting) = oneshot::channel();
        self.log.lock().flush(true, Some(Flushed::Vote(flushed)))?;
        waiting.await.map_err(io::Error::other)?
    }

    /// Waits for the writing thread; nothing is written afterwards.
    pub fn wait_idle(&self) -> io::Result<()> {
        self.log.lock().wait_worker_idle()
    }

    /// Whether nothing was ever written: no vote, no entry.
    pub fn is_empty(&self) -> bool {
        let log = self.log.lock();
        let state = log.log_state();
        state.vote().is_none() && state.last().is_none() && state.purged().is_none()
    }

    fn read_range(&self, range: impl RangeBounds<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let log = self.log.lock();
        let mut bytes = 0;
        let mut entries = Vec::new();
        for found in log.read(start, end) {
            let (log_id, payload) = found?;
            bytes += payload_bytes(&payload.0);
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(Entry::new(log_id.0, payload.0));
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.read_range(range, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read_range(start..end, REPLICATION_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.log.lock().log_state().vote().map(|vote| vote.0))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.log.lock();
        let state = log.log_state();
        let purged = state.purged().map(|id| id.0);
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: state.last().map(|id| id.0).or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (flushed, waiting) = oneshot::channel();
        {
            let mut log = self.log.lock();
            log.save_vote(Coded(*vote))?;
            log.flush(true, Some(Flushed::Vote(flushed)))?;
        }
        waiting.await.map_err(io::Error::other)?
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut bytes = 0;
        let entries = entries.into_iter().map(|entry| {
            bytes += payload_bytes(&entry.payload) as u64;
            (Coded(entry.log_id), Coded(entry.payload))
        });
        self.log.lock().append(entries)?;
        self.growth.add(bytes);
        match self.flushes.wait(flushed)? {
            true => flush(&self.log, &self.flushes),
            false => Ok(()),
        }
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        let mut log = self.log.lock();
        // raft-log refuses a truncation beyond the end; openraft expects it to do nothing.
        match log.log_state().last() {
            Some(end) if from <= end.0.index => log.truncate(from).map(drop),
            _ => Ok(()),
        }
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut log = self.log.lock();
        log.purge(Coded(upto))?;
        // Only a flush removes a file, and the next append may be long in coming.
        log.flush(true, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::type_config::TypeConfigExt;
    use openraft::vote::RaftLeaderId;

    const LIMIT: Duration = Duration::from_secs(60);

    fn entry(index: u64, bytes: usize) -> Entry {
        let leader = openraft::alias::LeaderIdOf::<TypeConfig>::new(1, 1);
        let log_id = LogId::new(leader.to_committed(), index);
        let payload = crate::raft::types::Payload(vec![0; bytes].into());
        Entry::new(log_id, openraft::EntryPayload::Normal(payload))
    }

    /// Symptom: the node stops answering. Cause: the writing thread's callback asked
    /// for the next flush, and so waited for a lock whose holder waited for that thread.
    #[test]
    fn appends_end_when_they_come_faster_than_the_disk_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _entered = runtime.enter();
            let mut log = LogStore::open_with(&path, 4096, 1).unwrap();
            let mut waiting = Vec::new();
            for index in 0..400 {
                let (flushed, wait) = TypeConfig::oneshot();
                let append = log.append([entry(index, 1000)], IOFlushed::signal(flushed));
                runtime.block_on(append).unwrap();
                waiting.push(wait);
            }
            for wait in waiting {
                runtime.block_on(wait).unwrap().unwrap();
            }
            done.send(log).unwrap();
        });
        let log = ended.recv_timeout(LIMIT).expect("the appends wait forever");
        assert_eq!(log.read_range(0..400, usize::MAX).unwrap().len(), 400);
    }

    #[test]
    fn after_a_failed_flush_those_who_wait_and_all_later_appends_get_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let mut log = LogStore::open(dir.path(), 1 << 20).unwrap();
        let (first, first_told) = TypeConfig::oneshot();
        let (second, second_told) = TypeConfig::oneshot();
        assert!(log.flushes.wait(IOFlushed::signal(first)).unwrap());
        assert!(!log.flushes.wait(IOFlushed::signal(second)).unwrap());
        drop(AppendsFlushed(Some(log.flushes.clone())));
        assert!(runtime.block_on(first_told).unwrap().is_err());
        assert!(runtime.block_on(second_told).unwrap().is_err());
        assert!(runtime.block_on(log.append([entry(0, 1)], IOFlushed::noop())).is_err());
    }
}
