//! The threads that client calls are carried out on.
//!
//! The threads of the HTTP server also serve the calls between nodes and `/health`: a vote, an
//! append or a probe that waits there behind somebody's query costs a leader or the node. So
//! they read requests and write answers, and carry out only what is bounded by one small
//! document. Whatever a client can make long (parsing a large body, planning, expressions,
//! writing a large answer) runs here. A call that does not end holds up clients only.

use crate::error::{Error, Kind, Result};
use futures_util::future::LocalBoxFuture;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Threads for blocking work beside each thread, above those for queries: feeds and transactions
/// go on while queries hold all their places.
const BLOCKING_SPARE: usize = 8;
/// How much the threads for blocking work give way: at 5 a thread gets a third of the time of
/// one at 0 while both want to run. On busy cores heartbeats and applying come first.
#[cfg(target_os = "linux")]
const BLOCKING_NICE: i32 = 5;

/// Bytes of stack of each thread: what is nested as deep as it may be is read and evaluated by
/// functions that call themselves, and those of a build that is not optimised take much more.
const STACK_BYTES: usize = 16 << 20;

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// The threads; they end with this.
pub struct Threads(Vec<Thread>);

struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
    running: Arc<AtomicUsize>,
}

/// A call that runs on a thread.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    /// Starts `count` threads. `queries_max` queries run at once.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(count: usize, queries_max: usize) -> Result<Self> {
        let threads = (0..count.max(1)).map(|number| Thread::start(number, queries_max));
        let threads = threads.collect::<std::io::Result<_>>();
        threads.map(Threads).map_err(|error| {
            Error::new(Kind::Internal, format!("threads cannot be started: {error}"))
        })
    }

    /// Carries `work` out on the thread with the fewest calls. It is dropped when the caller no
    /// longer waits.
    ///
    /// # Errors
    /// `internal` when `work` panics.
    pub async fn run<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let ended = || Error::new(Kind::Internal, "the call ended without an answer");
        let idlest = self.0.iter().min_by_key(|thread| thread.running.load(Ordering::Relaxed));
        let thread = idlest.ok_or_else(ended)?;
        thread.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(thread.running.clone());
        let (mut reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            Box::pin(async move {
                let running = running;
                let done = tokio::select! {
                    done = work() => done,
                    () = reply.closed() => return,
                };
                // Before the caller goes on: its next call must not find this one still counted.
                drop(running);
                let _ = reply.send(done);
            })
        });
        thread.jobs.send(job).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}

impl Thread {
    fn start(number: usize, queries_max: usize) -> std::io::Result<Thread> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("clients-work")
            .max_blocking_threads(queries_max + BLOCKING_SPARE)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(give_way)
            .build()?;
        let thread = std::thread::Builder::new().name(format!("clients-{number}"));
        let thread = thread.stack_size(STACK_BYTES);
        thread.spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, carry_out(queue));
            // Work that does not look whether it is still wanted keeps nobody from going on.
            runtime.shutdown_background();
        })?;
        Ok(Thread { jobs, running: Arc::default() })
    }
}

async fn carry_out(mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = queue.recv().await {
        tokio::task::spawn_local(job());
    }
}

/// Lowers the priority of the calling thread, where the system has priorities of threads.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BLOCKING_NICE) {
        tracing::debug!(%error, "the priority of a thread stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_call_that_blocks_its_thread_does_not_hold_up_the_next() {
        let threads = Arc::new(Threads::start(2, 1).unwrap());
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let blocking = tokio::spawn({
            let threads = threads.clone();
            async move {
                threads
                    .run(move || async move {
                        let _ = begun.send(name());
                        blocked.recv()
                    })
                    .await
            }
        });
        let stuck = begins.await.unwrap();
        for _ in 0..8 {
            let ran = threads.run(|| async { name() }).await.unwrap();
            assert_ne!(ran, stuck);
        }
        release.send(()).unwrap();
        assert_eq!(blocking.await.unwrap(), Ok(Ok(())));
    }

    #[tokio::test]
    async fn a_call_whose_caller_has_gone_is_dropped() {
        let threads = Threads::start(1, 1).unwrap();
        let (alive, dropped) = oneshot::channel::<()>();
        let endless = threads.run(move || async move {
            let _alive = alive;
            std::future::pending::<()>().await
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
        assert!(dropped.await.is_err(), "nothing is sent");
    }

    #[tokio::test]
    async fn a_call_that_panics_ends_itself_only() {
        let threads = Threads::start(1, 1).unwrap();
        let failed = threads.run(|| async { panic!("on purpose") }).await;
        assert_eq!(failed.map_err(|error| error.kind), Err::<(), _>(Kind::Internal));
        assert_eq!(threads.run(|| async { 7 }).await, Ok(7));
    }
}
