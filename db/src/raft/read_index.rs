//! Linearizable reads: the log index that they must wait for.
//!
//! Raft's read index (§6.4 of Ongaro's thesis): the leader confirms its leadership, and a read that
//! waits for the commit index of that moment sees everything that was acknowledged before it began.
//! A follower asks the leader for the index and then reads its own state. One request is under way
//! at a time, and reads that arrive meanwhile share the next: the busier the node, the more reads
//! share one.

use super::gather;
use crate::error::{Error, Kind, Result};
use minicbor::{CborLen, Decode, Encode};
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Reads that may wait for an index.
const QUEUE: usize = 16 * 1024;
/// Longest time that one request may take before it is repeated.
const QUESTION_MAX: Duration = Duration::from_secs(1);

/// How the leader confirms its leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum Proof {
    /// By the answers of a majority.
    #[n(0)]
    Quorum,
    /// By its lease, without a message, while that holds.
    #[n(1)]
    Lease,
}

/// Handle of the requesting task.
#[derive(Clone)]
pub struct ReadIndex {
    queue: gather::Sender<QueuedRead>,
    last: Arc<Mutex<Option<ConfirmedIndex>>>,
}

/// A read that waits for an index.
struct QueuedRead {
    since: Instant,
    reply: oneshot::Sender<Result<u64>>,
}

/// A confirmed index: what was acknowledged before `asked` is in the log up to `index`.
#[derive(Debug, Clone, Copy)]
struct ConfirmedIndex {
    asked: Instant,
    index: u64,
}

impl ConfirmedIndex {
    /// Whether a read at `now` that waits for this index misses only writes younger than
    /// `freshness`. Both times are of this node's monotonic clock, and the earlier one was taken
    /// before the leader was asked; so no clock of another node matters, and setting the time of
    /// day changes nothing.
    fn is_fresh(&self, now: Instant, freshness: Duration) -> bool {
        now.saturating_duration_since(self.asked) <= freshness
    }
}

impl ReadIndex {
    /// Starts the task. `ask` requests an index once, within the given time, and pauses before it
    /// returns an error. Requests are repeated for a read until `limit` has passed. Reads
    /// wait a moment for each other if they are to be `gathered`.
    pub fn start<F, R>(limit: Duration, gathered: bool, ask: F) -> Self
    where
        F: Fn(Duration) -> R + Send + Sync + 'static,
        R: Future<Output = Result<u64>> + Send + 'static,
    {
        let (queue, receiver) = gather::channel(QUEUE);
        let last = Arc::default();
        tokio::spawn(run(receiver, Arc::clone(&last), limit, gathered, ask));
        ReadIndex { queue, last }
    }

    /// The index that a read beginning now must see.
    ///
    /// # Errors
    /// `no_leader`, `timeout`; `overloaded` when too many reads wait.
    pub async fn get(&self) -> Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(QueuedRead { since: Instant::now(), reply }).map_err(|_| {
            Error::new(Kind::Overloaded, "too many reads are waiting on this node")
                .hint("try again after a pause, or read at the level local")
        })?;
        answer.await.map_err(|_| Error::new(Kind::Stopping, "this node is stopping"))?
    }

    /// The last confirmed index, if it is not older than `freshness`.
    pub fn known(&self, freshness: Duration) -> Option<u64> {
        let last = *self.last.lock();
        last.filter(|known| known.is_fresh(Instant::now(), freshness)).map(|known| known.index)
    }
}

async fn run<F, R>(
    mut queue: gather::Receiver<QueuedRead>,
    last: Arc<Mutex<Option<ConfirmedIndex>>>,
    limit: Duration,
    gathered: bool,
    ask: F,
) where
    F: Fn(Duration) -> R,
    R: Future<Output = Result<u64>>,
{
    let mut waiting: Vec<QueuedRead> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = queue.first(QUEUE).await else { return };
            waiting.push(first);
        }
        waiting.extend(std::iter::from_fn(|| queue.take()));
        let asked = Instant::now();
        let left = waiting.first().map_or(limit, |oldest| limit.saturating_sub(age(oldest, asked)));
        match ask(left.min(QUESTION_MAX)).await {
            Ok(index) => {
                *last.lock() = Some(ConfirmedIndex { asked, index });
                if gathered {
                    queue.expect(waiting.len() + queue.counter()());
                }
                for read in waiting.drain(..) {
                    let _ = read.reply.send(Ok(index));
                }
            }
            Err(error) => waiting = refuse_late(waiting, limit, &error),
        }
    }
}

fn age(read: &QueuedRead, now: Instant) -> Duration {
    now.saturating_duration_since(read.since)
}

/// Fails the reads whose time is up; returns those that are asked for again.
fn refuse_late(waiting: Vec<QueuedRead>, limit: Duration, error: &Error) -> Vec<QueuedRead> {
    let now = Instant::now();
    let (late, early): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|read| age(read, now) >= limit);
    for read in late {
        let _ = read.reply.send(Err(error.clone()));
    }
    early.into_iter().filter(|read| !read.reply.is_closed()).collect()
}

#[cfg(test)]
#[path = "read_index_tests.rs"]
mod tests;
