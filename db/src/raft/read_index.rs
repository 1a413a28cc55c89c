//! Linearizable reads: which log index a read must wait for.
//!
//! Raft's read index (§6.4 of Ongaro's thesis): the leader confirms with a quorum that it
//! still leads, and a read that waits for the commit index of that moment sees everything
//! that was acknowledged before it began. Reads that arrive while a round runs share the
//! next one. A follower asks the leader for the index and then reads its own state.

use crate::error::{Error, Kind, Result};
use std::future::Future;
use tokio::sync::{mpsc, oneshot};

/// Reads that may wait for a round.
const QUEUE: usize = 16 * 1024;

type Reply = oneshot::Sender<Result<u64>>;

/// Handle of a group's task that runs the rounds.
#[derive(Clone)]
pub struct ReadIndex {
    queue: mpsc::Sender<Reply>,
}

impl ReadIndex {
    /// Starts the task; `round` asks a quorum once and gives the index.
    pub fn start<F, R>(round: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<u64>> + Send + 'static,
    {
        let (queue, mut receiver) = mpsc::channel::<Reply>(QUEUE);
        tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                let mut waiting = vec![first];
                while let Ok(reply) = receiver.try_recv() {
                    waiting.push(reply);
                }
                let index = round().await;
                for reply in waiting {
                    let _ = reply.send(index.clone());
                }
            }
        });
        ReadIndex { queue }
    }

    /// The index that a read beginning now must see.
    ///
    /// # Errors
    /// `no_leader`, `timeout`; `overloaded` when too many reads wait.
    pub async fn get(&self) -> Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(reply).map_err(|_| {
            Error::new(Kind::Overloaded, "too many reads are waiting on this node")
                .hint("try again after a pause, or read with level=local")
        })?;
        answer.await.map_err(|_| Error::new(Kind::Stopping, "this node is stopping"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A round that began before a read must not serve it.
    #[tokio::test]
    async fn a_read_never_takes_the_answer_of_a_round_that_began_before_it() {
        let rounds = Arc::new(AtomicU64::new(0));
        let (begun, mut begins) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let counter = rounds.clone();
        let reads = ReadIndex::start(move || {
            let (counter, begun) = (counter.clone(), begun.clone());
            async move {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let (go, wait) = oneshot::channel();
                begun.send(go).unwrap();
                wait.await.unwrap();
                Ok(number)
            }
        });
        let first = tokio::spawn({
            let reads = reads.clone();
            async move { reads.get().await }
        });
        let go_first = begins.recv().await.unwrap();
        let late: Vec<_> = (0..3)
            .map(|_| {
                let reads = reads.clone();
                tokio::spawn(async move { reads.get().await })
            })
            .collect();
        while reads.queue.capacity() > QUEUE - 3 {
            tokio::task::yield_now().await;
        }
        go_first.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(0));
        begins.recv().await.unwrap().send(()).unwrap();
        for read in late {
            assert_eq!(read.await.unwrap(), Ok(1), "late reads share the next round");
        }
    }
}
