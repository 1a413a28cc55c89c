//! Reads that see what was acknowledged before they began: which log index they must wait for.
//!
//! Raft's read index (§6.4 of Ongaro's thesis): the leader makes sure that it still leads, and a
//! read that waits for the commit index of that moment sees everything that was acknowledged
//! before it began. A follower asks the leader for the index and then reads its own state. One
//! question is under way at a time, and reads that arrive meanwhile share the next: the busier
//! the node, the more reads share one.

use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Reads that may wait for an answer.
const QUEUE: usize = 16 * 1024;
/// Longest time that one question may take before it is asked again.
const QUESTION_MAX: Duration = Duration::from_secs(1);
/// Reads that share an answer from which on questions keep their distance.
const MANY: usize = 8;

/// How the leader makes sure that it still leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// It asks a majority.
    Quorum,
    /// It asks nobody while its lease holds.
    Lease,
}

/// Handle of the task that asks.
#[derive(Clone)]
pub struct ReadIndex {
    queue: mpsc::Sender<QueuedRead>,
    last: Arc<Mutex<Option<ConfirmedIndex>>>,
}

/// A read that waits for an answer.
struct QueuedRead {
    since: Instant,
    reply: oneshot::Sender<Result<u64>>,
}

/// An answer: what was acknowledged before `asked` is in the log up to `index`.
#[derive(Debug, Clone, Copy)]
struct ConfirmedIndex {
    asked: Instant,
    index: u64,
}

impl ConfirmedIndex {
    /// Whether a read at `now` that waits for this index misses only what is younger than
    /// `freshness`. Both times are of this node's monotonic clock, and the earlier one was taken
    /// before the leader was asked; so no clock of another node matters, and setting the time
    /// of day changes nothing.
    fn is_fresh(&self, now: Instant, freshness: Duration) -> bool {
        now.saturating_duration_since(self.asked) <= freshness
    }
}

impl ReadIndex {
    /// Starts the task. `ask` asks once, for at most the time that it is given, and pauses before
    /// it gives an error. A read is asked for again until `limit` has passed. Between two
    /// questions for many reads lies `distance`.
    pub fn start<F, R>(limit: Duration, distance: Duration, ask: F) -> Self
    where
        F: Fn(Duration) -> R + Send + Sync + 'static,
        R: Future<Output = Result<u64>> + Send + 'static,
    {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let last = Arc::default();
        tokio::spawn(run(receiver, Arc::clone(&last), limit, distance, ask));
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
                .hint("try again after a pause, or read with level=local")
        })?;
        answer.await.map_err(|_| Error::new(Kind::Stopping, "this node is stopping"))?
    }

    /// The index of the last answer, when that is not older than `freshness`.
    pub fn known(&self, freshness: Duration) -> Option<u64> {
        let last = *self.last.lock();
        last.filter(|known| known.is_fresh(Instant::now(), freshness)).map(|known| known.index)
    }
}

async fn run<F, R>(
    mut queue: mpsc::Receiver<QueuedRead>,
    last: Arc<Mutex<Option<ConfirmedIndex>>>,
    limit: Duration,
    distance: Duration,
    ask: F,
) where
    F: Fn(Duration) -> R,
    R: Future<Output = Result<u64>>,
{
    let mut waiting: Vec<QueuedRead> = Vec::new();
    let (mut shared, mut last_asked) = (0, Instant::now());
    loop {
        if waiting.is_empty() {
            let Some(first) = queue.recv().await else { return };
            waiting.push(first);
        }
        // Where many read, a question costs all nodes more than the moment that reads wait.
        if shared >= MANY {
            tokio::time::sleep_until(last_asked + distance).await;
        }
        while let Ok(next) = queue.try_recv() {
            waiting.push(next);
        }
        shared = waiting.len();
        let asked = Instant::now();
        last_asked = asked;
        let left = waiting.first().map_or(limit, |oldest| limit.saturating_sub(age(oldest, asked)));
        match ask(left.min(QUESTION_MAX)).await {
            Ok(index) => {
                *last.lock() = Some(ConfirmedIndex { asked, index });
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

/// Answers the reads whose time is up; gives those that are asked for again.
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
