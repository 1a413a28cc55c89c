//! The threads on which the consensus of groups runs.
//!
//! Each is a runtime with one thread, and a group stays with its thread: openraft, the append streams
//! and the queues in front of them hand over to each other several times for each entry, and to wake
//! another thread for it costs more than the work itself.

use super::types::GroupId;
use std::io;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// Threads for groups. They end when this is dropped, and what runs on them with them.
pub struct RaftThreads {
    runtimes: Vec<Handle>,
    _end: watch::Sender<()>,
}

impl RaftThreads {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(count: usize) -> io::Result<Self> {
        let (end, ended) = watch::channel(());
        let start = |number| start_thread(number, ended.clone());
        Ok(RaftThreads {
            runtimes: (0..count.max(1)).map(start).collect::<io::Result<_>>()?,
            _end: end,
        })
    }

    /// The runtime of a group.
    pub fn of(&self, group: GroupId) -> &Handle {
        &self.runtimes[group as usize % self.runtimes.len()]
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
