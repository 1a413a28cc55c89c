//! From many concurrent commands to few log entries.
//!
//! Commands that arrive while a proposal is in flight are joined into the next one, so one
//! flush serves many writers (group commit). The queue is bounded; past it the caller is
//! told to come back.

use super::room::{Room, Share};
use super::types::{Payload, Raft, TypeConfig};
use crate::engine::{Answer, Command, Outcome, Proposal};
use crate::error::{Error, Kind, Result};
use crate::storage::{StorageError, Store, free_disk_bytes};
use openraft::errors::{ClientWriteError, ForwardReason, RaftError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A command that took effect: where in the log, and what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Log index of the entry that carried it.
    pub index: u64,
    /// What it did.
    pub outcome: Outcome,
    /// Whether it was done before, for an earlier call with the same key.
    pub repeated: bool,
}

/// Bounds of the queue and of a batch.
#[derive(Debug, Clone)]
pub struct ProposerLimits {
    /// Commands that may wait.
    pub queue_max: usize,
    /// Room for the documents in them.
    pub room: Room,
    /// Commands in one log entry.
    pub batch_max: usize,
    /// Bytes of documents after which a batch takes no more commands.
    pub batch_bytes_max: usize,
    /// Free bytes of disk and address space below which writes are refused.
    pub reserve_bytes: u64,
}

/// Time to wait for a leader's lease to be confirmed after an election.
const LEASE_WAIT: Duration = Duration::from_secs(1);
const LEASE_PAUSE: Duration = Duration::from_millis(5);

struct Waiting {
    proposal: Proposal,
    reply: Reply,
}

/// Who waits for a command, and the room that it takes until its outcome is known.
struct Reply {
    to: oneshot::Sender<Result<Applied>>,
    _share: Share,
}

/// Handle of a group's proposing task.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Waiting>,
    room: Room,
}

impl Proposer {
    /// Starts the proposing task of a group.
    pub fn start(raft: Raft, store: Arc<Store>, dir: PathBuf, limits: ProposerLimits) -> Self {
        let (queue, receiver) = mpsc::channel(limits.queue_max);
        let room = limits.room.clone();
        let task = Task { raft, store, dir, limits, next: None };
        tokio::spawn(task.run(receiver));
        Proposer { queue, room }
    }

    /// Proposes a command and waits for its outcome.
    ///
    /// A caller that goes away before its command is proposed takes it back.
    ///
    /// # Errors
    /// The refusal of the command itself; `no_leader` when nothing was proposed because this
    /// node does not lead; `overloaded`; `storage_full`; `outcome_unknown`.
    pub async fn propose(&self, proposal: Proposal) -> Result<Applied> {
        let (to, answer) = oneshot::channel();
        let share = match &proposal.command {
            Command::Put { body, .. } => self.room.take(body.len())?,
            _ => Share::default(),
        };
        let reply = Reply { to, _share: share };
        self.queue.try_send(Waiting { proposal, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::new(Kind::Overloaded, "too many writes are waiting on this node")
                    .hint("try again after a pause, and with fewer writers at once")
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        // The task may have ended with the command in flight.
        answer.await.map_err(|_| outcome_unknown())?
    }
}

/// The error for what a node does not begin any more.
pub fn stopping() -> Error {
    Error::new(Kind::Stopping, "this node is stopping").hint("use another node")
}

struct Task {
    raft: Raft,
    store: Arc<Store>,
    dir: PathBuf,
    limits: ProposerLimits,
    /// A command that did not fit into the batch before.
    next: Option<Waiting>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        loop {
            let first = match self.next.take() {
                Some(waiting) => waiting,
                None => match queue.recv().await {
                    Some(waiting) => waiting,
                    None => return,
                },
            };
            let (proposals, replies) = self.gather(first, &mut queue);
            if !proposals.is_empty() {
                self.propose(proposals, replies).await;
            }
        }
    }

    fn gather(
        &mut self,
        first: Waiting,
        queue: &mut mpsc::Receiver<Waiting>,
    ) -> (Vec<Proposal>, Vec<Reply>) {
        let (mut proposals, mut replies) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut waiting = Some(first);
        while let Some(Waiting { proposal, reply }) = waiting.take() {
            let alone = proposal.command.alone();
            if alone && !proposals.is_empty() {
                self.next = Some(Waiting { proposal, reply });
                break;
            }
            if !reply.to.is_closed() {
                bytes += proposal.command.bytes();
                proposals.push(proposal);
                replies.push(reply);
            }
            let full =
                proposals.len() >= self.limits.batch_max || bytes >= self.limits.batch_bytes_max;
            if alone || full {
                break;
            }
            waiting = queue.try_recv().ok();
        }
        (proposals, replies)
    }

    async fn propose(&self, proposals: Vec<Proposal>, replies: Vec<Reply>) {
        let outcome = match self.check_space(&proposals) {
            Ok(()) => self.write(&proposals).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok((at, answers)) => {
                for (reply, Answer { result, repeats }) in replies.into_iter().zip(answers) {
                    let (index, repeated) = (repeats.unwrap_or(at), repeats.is_some());
                    let applied = result.map(|outcome| Applied { index, outcome, repeated });
                    let _ = reply.to.send(applied.map_err(|error| Error { repeated, ..error }));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.to.send(Err(error.clone()));
                }
            }
        }
    }

    /// Refuses to propose what could fill the disk; membership and deletion go through.
    fn check_space(&self, proposals: &[Proposal]) -> Result<()> {
        let commands = || proposals.iter().map(|proposal| &proposal.command);
        if !commands().any(Command::grows) {
            return Ok(());
        }
        let needed: u64 = {
            let read = self.store.read()?;
            let each = commands().map(|command| command.space_needed(&read));
            each.sum::<std::result::Result<u64, StorageError>>()?
        };
        let disk = free_disk_bytes(&self.dir);
        let map = self.store.free_map_bytes() as u64;
        if disk.min(map) >= self.limits.reserve_bytes.saturating_add(needed) {
            return Ok(());
        }
        let what = if disk < map { "disk" } else { "storage map (MapSizeGb)" };
        Err(Error::new(Kind::StorageFull, format!("the {what} of this node is nearly full"))
            .hint("free space or enlarge it; reading and deleting still work"))
    }

    async fn write(&self, proposals: &[Proposal]) -> Result<(u64, Vec<Answer>)> {
        let bytes = postcard::to_stdvec(proposals)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        let payload = Payload(bytes.into());
        let started = Instant::now();
        loop {
            match self.raft.client_write(payload.clone()).await {
                Ok(response) => return Ok((response.log_id.index, response.data)),
                Err(error) if lease_expired(&error) && started.elapsed() < LEASE_WAIT => {
                    tokio::time::sleep(LEASE_PAUSE).await;
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }
}

type WriteError = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

/// Right after an election the leader refuses for a moment, until a quorum has answered.
fn lease_expired(error: &WriteError) -> bool {
    matches!(error, RaftError::APIError(ClientWriteError::ForwardToLeader(forward))
        if forward.reason == ForwardReason::LeaseExpired)
}

/// The error for a write that this node cannot order.
pub fn not_leader() -> Error {
    Error::new(Kind::NoLeader, "the cluster has no leader at the moment")
        .hint("an election takes about a second; if it lasts, check that a majority of nodes runs")
}

fn refused(error: WriteError) -> Error {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => not_leader(),
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => outcome_unknown(),
        RaftError::APIError(error) => Error::new(Kind::Internal, error.to_string()),
        RaftError::Fatal(error) => {
            // The entry may be in the log of others already.
            tracing::error!(%error, "a proposal ended with a fatal error");
            outcome_unknown()
        }
    }
}

/// The error for a write of which nobody knows whether it happened.
pub fn outcome_unknown() -> Error {
    Error::new(Kind::OutcomeUnknown, "the write was sent to the log, its outcome is not known")
        .hint("read the document to see whether it happened before you try again")
}
