//! What a read waits for at each level, and how the leader determines the read index.

use super::super::peers::Peers;
use super::super::proposer;
use super::super::read_index::Proof;
use super::super::state_machine::Raft;
use super::{Group, internal};
use crate::error::{Error, Kind, Result};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{LinearizerOption, ReadPolicy, ServerState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longest pause after a request for a read index that was not answered.
const PAUSE: Duration = Duration::from_millis(20);

/// How fresh the state must be that a read sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadLevel {
    /// It holds all that was acknowledged before the read began; a majority confirms that.
    #[default]
    Linearizable,
    /// The same, by the lease of the leader.
    Leader,
    /// It holds this log index.
    Session(u64),
    /// It holds all that was acknowledged longer ago than this.
    Bounded(Duration),
    /// It is what this node has.
    Local,
    /// As `Local` on a node without a vote, else as `Leader`.
    Auto,
}

/// The lease of a leader: after a majority has answered a message, no other node is elected for
/// this long, counted from when the message was sent.
///
/// openraft's own lease is the longest election time: for that long, a follower that has heard the
/// leader grants no vote. But a follower that restarts has forgotten what it heard. It grants no
/// vote for the shortest election time ([`Group::wait_out_lease`]), nor does it stand for election
/// before. So the shorter time is the one that all members keep, and with the longer one the
/// followers' clocks may be faster than the leader's.
pub(super) struct Lease {
    /// Its duration.
    pub(super) length: Duration,
    /// Until when a leader may rely on a promise of this member before its restart.
    pub(super) given_until: Instant,
}

impl Group {
    /// Waits until this node's state is as fresh as the level asks for.
    ///
    /// # Errors
    /// `no_leader`, `timeout`, `overloaded`.
    pub async fn wait_for_level(&self, level: ReadLevel) -> Result<()> {
        match level {
            ReadLevel::Linearizable => self.wait_linearizable().await.map(drop),
            ReadLevel::Auto if self.is_learner() => Ok(()),
            ReadLevel::Leader | ReadLevel::Auto => {
                self.wait_visible(self.read_index(Proof::Lease).await?).await
            }
            ReadLevel::Session(index) => self.wait_reached(index).await,
            ReadLevel::Bounded(freshness) => match self.confirmed.known(freshness) {
                Some(index) => self.wait_visible(index).await,
                None => self.wait_linearizable().await.map(drop),
            },
            ReadLevel::Local => Ok(()),
        }
    }

    /// Waits until this node sees everything acknowledged before now; returns the log index.
    pub async fn wait_linearizable(&self) -> Result<u64> {
        let index = self.read_index(Proof::Quorum).await?;
        self.wait_visible(index).await?;
        Ok(index)
    }

    /// The log index that a read beginning now must see.
    pub async fn read_index(&self, proof: Proof) -> Result<u64> {
        match proof {
            Proof::Quorum => self.confirmed.get().await,
            Proof::Lease => self.leased.get().await,
        }
    }

    /// Waits until readers on this node see the log index.
    pub async fn wait_visible(&self, index: u64) -> Result<()> {
        match timeout(self.request_timeout, self.writer.wait_visible(index)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(internal(error)),
            Err(_) => Err(Error::new(Kind::Timeout, "this node is too far behind the leader")
                .hint("try again, read from another node, or read at the level local")),
        }
    }

    /// As [`Group::wait_visible`], for an index that a client names: there may be no entry with it
    /// yet, so the writer is asked to commit only once there is one.
    async fn wait_reached(&self, index: u64) -> Result<()> {
        if self.visible_index() >= index {
            return Ok(());
        }
        let mut metrics = self.raft.metrics();
        let reached = async {
            while metrics.borrow_and_update().last_log_index < Some(index) {
                metrics.changed().await.map_err(internal)?;
            }
            self.writer.wait_visible(index).await.map_err(internal)
        };
        timeout(self.request_timeout, reached).await.unwrap_or_else(|_| {
            let message = format!("log index {index} has not come to this node in time");
            Err(Error::new(Kind::Timeout, message)
                .hint("try again, read from another node, or read at the level local"))
        })
    }

    /// Waits, once in a term, until this leader sees everything that its predecessors have
    /// acknowledged: a decision by the state must not be based on an older one.
    ///
    /// # Errors
    /// `no_leader`, `timeout`.
    pub async fn wait_ready(&self) -> Result<()> {
        let term = self.raft.metrics().borrow_watched().current_term;
        if self.ready_term.load(Ordering::Acquire) != term {
            let index = self.read_index(Proof::Lease).await?;
            self.wait_visible(index).await?;
            self.ready_term.store(term, Ordering::Release);
        }
        Ok(())
    }

    /// Log index up to which readers on this node see the state.
    pub fn visible_index(&self) -> u64 {
        self.writer.visible_index()
    }

    fn is_learner(&self) -> bool {
        self.raft.metrics().borrow_watched().state == ServerState::Learner
    }

    /// Waits until no leader relies on a promise of this member before its restart; until then it
    /// must not vote.
    pub async fn wait_out_lease(&self) {
        tokio::time::sleep_until(self.lease.given_until).await;
    }
}

/// Asks once for the read index: a leader proves by `proof` that it leads, a follower asks the
/// leader.
pub(super) async fn ask(
    raft: Raft,
    peers: Peers,
    proof: Proof,
    lease: Duration,
    within: Duration,
) -> Result<u64> {
    let mut metrics = raft.metrics();
    let leader = metrics.borrow_and_update().current_leader;
    let asked = match leader {
        Some(id) if id == peers.from => as_leader(&raft, proof, lease, within).await,
        Some(id) => peers.read_index(id, proof, within).await.map_err(|error| unanswered(&error)),
        None => Err(proposer::not_leader()),
    };
    if asked.is_err() {
        // Whatever the cause, a new leader or a confirmed lease resolves it.
        let _ = timeout(PAUSE, metrics.changed()).await;
    }
    asked
}

async fn as_leader(raft: &Raft, proof: Proof, lease: Duration, within: Duration) -> Result<u64> {
    let how = match proof {
        Proof::Quorum => ReadPolicy::ReadIndex.into(),
        // Without a lease, as right after an election, it waits for a majority's response. It gives
        // none once it has begun to transfer leadership.
        Proof::Lease => LinearizerOption::new(Some(lease), true),
    };
    match timeout(within, raft.get_read_linearizer(how)).await {
        Ok(Ok(linearizer)) => Ok(linearizer.read_log_id().index()),
        Ok(Err(_)) => Err(proposer::not_leader()),
        Err(_) => Err(no_quorum()),
    }
}

/// Whatever error the request to the leader ended with, the read was not at fault.
fn unanswered(error: &Error) -> Error {
    let message = format!("the leader gave no read index: {}", error.message);
    Error { message, ..proposer::not_leader() }
}

fn no_quorum() -> Error {
    Error::new(Kind::Timeout, "no majority of the nodes confirmed the read in time")
        .hint("check that a majority runs, or read at the level local")
}
