//! The threads that all groups of a node share: those of their consensus, and those of their writers.
//!
//! Each is a runtime with one thread, and a group stays with its threads: openraft, the append streams
//! and the queues in front of them hand over to each other several times for each entry, and to wake
//! another thread for it costs more than the work itself. Writers have threads of their own, because
//! they evaluate what clients write and wait for the disk.

use super::types::GroupId;
use futures_util::future::LocalBoxFuture;
use std::io;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

/// Threads of writers for each thread of the consensus: while one waits for the disk, others go on.
const WRITERS_EACH: usize = 2;
/// Bytes of stack of a writer's thread: the functions that evaluate nested values are recursive,
/// and those of a build without optimisation use much stack.
const WRITER_STACK_BYTES: usize = 16 << 20;

/// Threads for groups. Those of the consensus end when this is dropped, and what runs on them with
/// them; those of the writers when the last of their groups is closed.
pub struct RaftThreads {
    runtimes: Vec<Handle>,
    writers: Vec<WriterThread>,
    _end: watch::Sender<()>,
}

impl RaftThreads {
    /// Starts `count` threads for the consensus, and those of the writers.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(count: usize) -> io::Result<Self> {
        let (end, ended) = watch::channel(());
        let start = |number| start_thread(number, ended.clone());
        let writers = (0..count.max(1) * WRITERS_EACH).map(WriterThread::start);
        Ok(RaftThreads {
            runtimes: (0..count.max(1)).map(start).collect::<io::Result<_>>()?,
            writers: writers.collect::<io::Result<_>>()?,
            _end: end,
        })
    }

    /// The thread of a group's writer.
    pub fn writer(&self, group: GroupId) -> &WriterThread {
        &self.writers[group as usize % self.writers.len()]
    }

    /// The runtime of a group.
    pub fn of(&self, group: GroupId) -> &Handle {
        self.lane(self.lane_of(group))
    }

    /// The number of a group's thread.
    pub fn lane_of(&self, group: GroupId) -> usize {
        group as usize % self.runtimes.len()
    }

    /// The runtime of the thread with a number, which may be that of a node with more threads.
    pub fn lane(&self, number: usize) -> &Handle {
        &self.runtimes[number % self.runtimes.len()]
    }
}

fn start_thread(number: usize, mut ended: watch::Receiver<()>) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || {
        // Nothing is ever sent: this ends when the sender is gone.
        let _ = runtime.block_on(ended.changed());
    };
    std::thread::Builder::new().name(format!("raft-{number}")).spawn(run)?;
    Ok(handle)
}

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A thread for the writers of some groups. It ends when the last handle is dropped and its writers
/// have ended.
#[derive(Clone)]
pub struct WriterThread(mpsc::UnboundedSender<Job>);

impl WriterThread {
    /// Starts a thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(number: usize) -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        // The clock for "commit after" needs a runtime.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name(format!("writer-{number}"));
        thread.stack_size(WRITER_STACK_BYTES).spawn(move || {
            let writers = LocalSet::new();
            writers.block_on(&runtime, async {
                while let Some(begin) = queue.recv().await {
                    tokio::task::spawn_local(begin());
                }
            });
            runtime.block_on(writers);
        })?;
        Ok(WriterThread(jobs))
    }

    /// Runs a writer on the thread. It is created there, because an open transaction may not change
    /// threads.
    pub fn run<F: Future<Output = ()> + 'static>(
        &self,
        begin: impl FnOnce() -> F + Send + 'static,
    ) {
        // The queue lives as long as this handle.
        let _ = self.0.send(Box::new(move || Box::pin(begin())));
    }
}
