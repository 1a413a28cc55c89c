//! The Raft log on disk: an adaptor of the `raft-log` crate to openraft's storage trait.
//!
//! raft-log keeps checksummed chunks and one flushing thread, but gives each flush request
//! its own fdatasync. So at most one flush is outstanding here; appends that come meanwhile
//! wait together for the next one.

use super::types::{Entry, EntryPayload, LogId, TypeConfig, Vote};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::codeq::{Decode, Encode};
use raft_log::{Config, RaftLog, Types};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// Most bytes of entries sent to a follower in one message.
const REPLICATION_BYTES_MAX: usize = 2 << 20;
/// Bytes of entries kept in memory beside the open chunk.
const CACHE_BYTES: usize = 8 << 20;
/// Buffer for replaying a chunk at start.
const REPLAY_BYTES: usize = 1 << 20;

/// A value in postcard behind its length, as raft-log wants to write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Coded<T>(T);

impl<T: Serialize> Encode for Coded<T> {
    fn encode<W: Write>(&self, mut writer: W) -> io::Result<usize> {
        let bytes = postcard::to_stdvec(&self.0).map_err(io::Error::other)?;
        writer.write_all(&(bytes.len() as u32).to_be_bytes())?;
        writer.write_all(&bytes)?;
        Ok(4 + bytes.len())
    }
}

impl<T: DeserializeOwned> Decode for Coded<T> {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        reader.read_exact(&mut bytes)?;
        postcard::from_bytes(&bytes).map(Coded).map_err(io::Error::other)
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

fn payload_bytes(payload: &EntryPayload) -> usize {
    match payload {
        openraft::EntryPayload::Normal(payload) => payload.0.len(),
        _ => 64,
    }
}

/// Who waits for a flush.
enum Flushed {
    Appends { store: LogStore, waiting: Vec<IOFlushed<TypeConfig>> },
    Vote(oneshot::Sender<io::Result<()>>),
}

impl raft_log::Callback for Flushed {
    fn send(self, result: io::Result<()>) {
        match self {
            Flushed::Appends { store, waiting } => {
                for flushed in waiting {
                    flushed.io_completed(copy_result(&result));
                }
                store.flush_next();
            }
            Flushed::Vote(waiting) => drop(waiting.send(result)),
        }
    }
}

fn copy_result(result: &io::Result<()>) -> io::Result<()> {
    result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// The log of one group. Clones share it.
#[derive(Clone)]
pub struct LogStore {
    log: Arc<Mutex<RaftLog<LogTypes>>>,
    flush: Arc<Mutex<FlushState>>,
}

#[derive(Default)]
struct FlushState {
    outstanding: bool,
    waiting: Vec<IOFlushed<TypeConfig>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl LogStore {
    /// Opens or creates the log in `dir`; its files hold about `chunk_bytes` each.
    ///
    /// # Errors
    /// When the directory cannot be used, or a chunk other than the last one is damaged.
    pub fn open(dir: &Path, chunk_bytes: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut config = Config::new(dir.display());
        config.wal.chunk_max_size = Some(chunk_bytes);
        config.wal.read_buffer_size = Some(REPLAY_BYTES);
        config.wal.flush_batch_wait = Some(Duration::ZERO);
        config.log_cache_capacity = Some(CACHE_BYTES);
        let log = RaftLog::open(Arc::new(config))?;
        Ok(LogStore { log: Arc::new(Mutex::new(log)), flush: Arc::default() })
    }

    /// Waits for the flushing thread; nothing is written afterwards.
    pub fn wait_idle(&self) -> io::Result<()> {
        lock(&self.log).wait_worker_idle()
    }

    /// Begins a flush for `flushed`, or lets it wait for the next one.
    fn flush_for(&self, flushed: IOFlushed<TypeConfig>) -> io::Result<()> {
        let mut state = lock(&self.flush);
        state.waiting.push(flushed);
        if state.outstanding {
            return Ok(());
        }
        state.outstanding = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.flush(waiting)
    }

    fn flush(&self, waiting: Vec<IOFlushed<TypeConfig>>) -> io::Result<()> {
        let callback = Flushed::Appends { store: self.clone(), waiting };
        lock(&self.log).flush(true, Some(callback))
    }

    /// Called when a flush has ended: begins the next one if appends came meanwhile.
    fn flush_next(&self) {
        let mut state = lock(&self.flush);
        let waiting = std::mem::take(&mut state.waiting);
        state.outstanding = !waiting.is_empty();
        drop(state);
        if !waiting.is_empty()
            && let Err(error) = self.flush(waiting)
        {
            // The waiting callbacks were dropped with the request; openraft notices the
            // missing confirmation, and the next append reports the error itself.
            tracing::error!(%error, "the log could not be flushed");
        }
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
        let log = lock(&self.log);
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
        Ok(lock(&self.log).log_state().vote().map(|vote| vote.0))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = lock(&self.log);
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
            let mut log = lock(&self.log);
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
        let entries = entries.into_iter().map(|entry| (Coded(entry.log_id), Coded(entry.payload)));
        lock(&self.log).append(entries)?;
        self.flush_for(flushed)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        let mut log = lock(&self.log);
        // raft-log refuses a truncation beyond the end, openraft expects it to do nothing.
        match log.log_state().last() {
            Some(end) if from <= end.0.index => log.truncate(from).map(drop),
            _ => Ok(()),
        }
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        lock(&self.log).purge(Coded(upto)).map(drop)
    }
}
