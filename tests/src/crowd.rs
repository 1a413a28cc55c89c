//! Clients that repeat an action while a test injects faults.

use crate::wait::wait_until;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// Running clients.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Starts `count` clients. Each calls `act` with its own number and the number of its calls so
    /// far, until [`Crowd::finish`]; `act` returns whether it succeeded.
    pub fn start<F>(count: usize, act: impl Fn(usize, usize) -> F + Clone + Send + 'static) -> Crowd
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let (stop, successes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..count).map(|client| {
            let (stop, successes, act) = (stop.clone(), successes.clone(), act.clone());
            tokio::spawn(async move {
                for turn in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let success = act(client, turn).await;
                    successes.fetch_add(usize::from(success), Ordering::AcqRel);
                }
            })
        });
        let tasks = tasks.collect();
        Crowd { stop, successes, tasks }
    }

    /// Waits until `more` further calls have succeeded.
    ///
    /// # Panics
    /// After [`DEADLINE`](crate::DEADLINE), or if a client has panicked.
    pub async fn wait_successes(&self, more: usize) {
        self.wait_successes_in("all", more).await;
    }

    /// The same, with a name that says whose successes they are.
    ///
    /// # Panics
    /// After [`DEADLINE`](crate::DEADLINE), or if a client has panicked.
    pub async fn wait_successes_in(&self, place: &str, more: usize) {
        let goal = self.successes.load(Ordering::Acquire) + more;
        wait_until(&format!("{more} more successes in {place}"), async || {
            let reached = self.successes.load(Ordering::Acquire);
            let ended = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client has panicked");
            if reached >= goal { Ok(()) } else { Err(format!("{reached} of {goal}")) }
        })
        .await;
    }

    /// Ends the clients and returns how many calls have succeeded.
    ///
    /// # Panics
    /// If a client has panicked.
    pub async fn finish(self) -> usize {
        self.stop.store(true, Ordering::Release);
        for task in self.tasks {
            task.await.expect("a client does not panic");
        }
        self.successes.load(Ordering::Acquire)
    }
}
