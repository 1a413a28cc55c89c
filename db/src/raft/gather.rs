//! A bounded queue for callers that are answered together: one log entry for many commands, one
//! confirmation for many reads.
//!
//! The receiver carries out one batch at a time and takes what has come meanwhile. Before it does
//! so it may wait a moment for the callers that it has just answered, because a program that works
//! all the time sends its next call at once. Without that, two groups of callers would take turns,
//! each with half a batch, and every batch costs all nodes alike. (PostgreSQL's `commit_delay` has
//! the same purpose.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Callers that are expected together, from which on they are waited for.
const MANY: usize = 2;
/// Longest time for which callers are waited for.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// The callers' end. Clones share the queue.
pub struct Sender<T> {
    queue: mpsc::Sender<T>,
    awaited: Arc<Awaited>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { queue: self.queue.clone(), awaited: self.awaited.clone() }
    }
}

/// The end of the task that answers them.
pub struct Receiver<T> {
    queue: mpsc::Receiver<T>,
    awaited: Arc<Awaited>,
    /// Does not keep the queue open.
    sender: mpsc::WeakSender<T>,
    /// How many are likely to be in the next batch.
    expected: usize,
}

/// How long the queue is to be before the receiver goes on.
struct Awaited {
    /// A length that is never reached while nothing is awaited.
    length: AtomicUsize,
    reached: Notify,
}

const NEVER: usize = usize::MAX;

/// Creates a queue for `max` callers.
pub fn channel<T>(max: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(max);
    let awaited = Arc::new(Awaited { length: AtomicUsize::new(NEVER), reached: Notify::new() });
    let weak = sender.downgrade();
    (
        Sender { queue: sender, awaited: awaited.clone() },
        Receiver { queue: receiver, awaited, sender: weak, expected: 0 },
    )
}

fn length<T>(queue: &mpsc::Sender<T>) -> usize {
    queue.max_capacity() - queue.capacity()
}

impl<T> Sender<T> {
    /// Adds a caller.
    ///
    /// # Errors
    /// When the queue is full, or its receiver has ended.
    pub fn try_send(&self, caller: T) -> Result<(), TrySendError<T>> {
        self.queue.try_send(caller)?;
        if self.length() >= self.awaited.length.load(Ordering::Acquire) {
            self.awaited.reached.notify_one();
        }
        Ok(())
    }

    /// How many are waiting.
    pub fn length(&self) -> usize {
        length(&self.queue)
    }
}

impl<T> Receiver<T> {
    /// The first caller of the next batch; none when nobody can come any more. It is not taken from
    /// the queue before those that are expected with it have come, or a moment has passed.
    pub async fn first(&mut self, batch_max: usize) -> Option<T> {
        let first = self.queue.recv().await?;
        let expected = self.expected.min(batch_max);
        // Some may have gone. One is taken from the queue already.
        let enough = expected - expected / 8;
        if expected >= MANY {
            self.awaited.length.store(enough - 1, Ordering::Release);
            if self.queue.len() + 1 < enough {
                let _ = tokio::time::timeout(WAIT_MAX, self.awaited.reached.notified()).await;
            }
            self.awaited.length.store(NEVER, Ordering::Release);
        }
        Some(first)
    }

    /// Another caller of the batch, if one is waiting.
    pub fn take(&mut self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// A function that counts the callers in the queue, for another thread.
    pub fn counter(&self) -> impl Fn() -> usize + Clone + Send + use<T>
    where
        T: Send + 'static,
    {
        let sender = self.sender.clone();
        move || sender.upgrade().map_or(0, |queue| length(&queue))
    }

    /// Notes how many callers were answered or are waiting. They are counted before the answers:
    /// after them the first may be in the queue again.
    pub fn expect(&mut self, count: usize) {
        self.expected = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the next batch holds.
    async fn batch(receiver: &mut Receiver<u32>) -> Vec<u32> {
        let mut batch = vec![receiver.first(100).await.unwrap()];
        batch.extend(std::iter::from_fn(|| receiver.take()));
        receiver.expect(batch.len());
        batch
    }

    #[tokio::test]
    async fn callers_that_were_answered_are_waited_for_and_come_together() {
        let (sender, mut receiver) = channel(10);
        for caller in 0..4 {
            sender.try_send(caller).unwrap();
        }
        assert_eq!(batch(&mut receiver).await, [0, 1, 2, 3]);
        let again = tokio::spawn(async move {
            for caller in 0..4 {
                sender.try_send(caller).unwrap();
                tokio::task::yield_now().await;
            }
            sender
        });
        assert_eq!(batch(&mut receiver).await, [0, 1, 2, 3]);
        let sender = again.await.unwrap();
        // The others have gone: it is waited for them once, and only for a moment.
        sender.try_send(7).unwrap();
        assert_eq!(batch(&mut receiver).await, [7]);
        assert_eq!(receiver.expected, 1);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_queue_without_senders_ends() {
        let (sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
        drop(sender.clone());
        drop(sender);
        assert_eq!(receiver.first(1).await, Some(1));
        assert_eq!(receiver.first(1).await, None);
    }
}
