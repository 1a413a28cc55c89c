//! Batches concurrent commands into few log entries.
//!
//! Commands that arrive while a proposal is in flight are joined into the next one, so one flush
//! serves many writers (group commit). The queue is bounded; when it is full the caller is refused
//! (backpressure).

use super::gather;
use super::memory_budget::{MemoryBudget, MemoryPermit};
use super::space::{Purpose, Space, SpaceNeed};
use super::state_machine::Raft;
use super::types::{Callback, Payload, TypeConfig};
use crate::config::ENTRY_BYTES_MAX;
use crate::engine::command::entry::{self, FrameEncoder};
use crate::engine::{Outcome, Proposal, ProposalResult, format};
use crate::error::{Error, Kind, Result};
use crate::format::GroupFormats;
use crate::storage::Generations;
use openraft::errors::{ClientWriteError, ForwardReason};
use openraft::raft::ClientWriteResult;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A command that took effect: its log index and its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedCommand {
    /// Log index of the entry that carried it.
    pub index: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether it took effect before, for an earlier request with the same key.
    pub repeated: bool,
}

/// Bounds of the queue and of a batch.
#[derive(Debug, Clone)]
pub struct ProposerLimits {
    /// Commands that may wait.
    pub queue_max: usize,
    /// Memory for them.
    pub memory: MemoryBudget,
    /// Commands in one log entry.
    pub batch_max: usize,
    /// Free bytes of disk and address space below which writes are refused.
    pub reserve_bytes: u64,
}

/// Bytes of an entry with several commands; a larger command has an entry of its own.
const BATCH_BYTES_MAX: usize = 1 << 20;
const _: () = assert!(BATCH_BYTES_MAX <= ENTRY_BYTES_MAX);
/// Time to wait for a leader's lease to be confirmed after an election.
const LEASE_WAIT: Duration = Duration::from_secs(1);
const LEASE_PAUSE: Duration = Duration::from_millis(5);

struct QueuedProposal {
    frame: Vec<u8>,
    /// Whether it needs an entry of its own.
    alone: bool,
    need: SpaceNeed,
    reply: Reply,
}

/// The caller waiting for a command, and the memory that the command takes until its outcome is
/// known.
struct Reply {
    to: oneshot::Sender<Result<AppliedCommand>>,
    _permit: MemoryPermit,
}

/// Handle of a group's proposing task.
#[derive(Clone)]
pub struct Proposer {
    queue: gather::Sender<QueuedProposal>,
    memory: MemoryBudget,
    state: Arc<Generations>,
    dir: PathBuf,
    reserve_bytes: u64,
}

impl Proposer {
    /// Starts the proposing task of a group.
    pub fn start(
        raft: Raft,
        state: Arc<Generations>,
        dir: PathBuf,
        limits: ProposerLimits,
        formats: GroupFormats,
    ) -> Self {
        let (queue, receiver) = gather::channel(limits.queue_max);
        let memory = limits.memory.clone();
        let (space, reserve_bytes) = (Space::default(), limits.reserve_bytes);
        let (shared, place) = (state.clone(), dir.clone());
        let task = Task { raft, state: shared, dir: place, limits, formats, space, next: None };
        tokio::spawn(task.run(receiver));
        Proposer { queue, memory, state, dir, reserve_bytes }
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.queue.length()
    }

    /// Proposes a command and waits for its outcome.
    ///
    /// A caller that goes away before its command is proposed withdraws it.
    ///
    /// # Errors
    /// The refusal of the command itself; `too_large`; `no_leader` when nothing was proposed
    /// because this node does not lead; `overloaded`; `storage_full`; `outcome_unknown`.
    pub async fn propose(&self, mut proposal: Proposal) -> Result<AppliedCommand> {
        self.bound_deletions(&mut proposal)?;
        let (to, answer) = oneshot::channel();
        let framed = FrameEncoder::new(&proposal)?;
        check_size(framed.length())?;
        let reply = Reply { to, _permit: self.memory.take(framed.length())? };
        let frame = framed.encode()?;
        // Content that apply cannot read must not get into the log.
        entry::read_frame(&frame)?.check()?;
        let need = self.need(&proposal, frame.len())?;
        let alone = proposal.command.alone();
        drop(proposal);
        let waiting = QueuedProposal { frame, alone, need, reply };
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::new(Kind::Overloaded, "too many writes are waiting on this node")
                    .hint("try again after a pause, and with fewer writers at once")
            }
            TrySendError::Closed(_) => stopping(),
        })?;
        // The task may have ended with the command in flight.
        answer.await.map_err(|_| outcome_unknown())?
    }
}

impl Proposer {
    fn need(&self, proposal: &Proposal, bytes: usize) -> Result<SpaceNeed> {
        let read = self.state.read()?;
        proposal.command.describe().check_level(format::feature_level(&read)?)?;
        let state = proposal.command.space_needed(&read)?;
        let class = proposal.command.describe().class;
        let purpose = match (class.grows, class.in_transaction) {
            (true, _) => Purpose::Growth,
            (false, true) => Purpose::Deletion,
            (false, false) => Purpose::Clearing,
        };
        Ok(SpaceNeed { log: bytes as u64, state, purpose })
    }

    /// The bytes that deletions of many documents write are not known before they are applied, so
    /// they get half of the disk space available to them.
    fn bound_deletions(&self, proposal: &mut Proposal) -> Result<()> {
        let Some(limits) = proposal.command.many_deletions() else { return Ok(()) };
        let (store, mut space) = (self.state.current(), Space::default());
        space.measure(&store, &self.dir, self.reserve_bytes);
        limits.written_max = limits.written_max.min(space.deletable(&store)? / 2);
        Ok(())
    }
}

/// Refuses a command for which the largest entry is too small.
fn check_size(bytes: usize) -> Result<()> {
    let max = ENTRY_BYTES_MAX - entry::HEAD_BYTES;
    if bytes <= max {
        return Ok(());
    }
    let message = format!("the command has {bytes} bytes, {max} are allowed");
    Err(Error::new(Kind::TooLarge, message).hint("divide it into several calls"))
}

/// The error for work that a stopping node does not begin any more.
pub fn stopping() -> Error {
    Error::new(Kind::Stopping, "this node is stopping").hint("use another node")
}

struct Task {
    raft: Raft,
    state: Arc<Generations>,
    dir: PathBuf,
    limits: ProposerLimits,
    formats: GroupFormats,
    space: Space,
    /// A command that did not fit into the batch before.
    next: Option<QueuedProposal>,
}

impl Task {
    async fn run(mut self, mut queue: gather::Receiver<QueuedProposal>) {
        loop {
            let first = match self.next.take() {
                Some(waiting) => waiting,
                None => match queue.first(self.limits.batch_max).await {
                    Some(waiting) => waiting,
                    None => return,
                },
            };
            let (frames, replies) = self.gather(first, &mut queue);
            if frames.is_empty() {
                continue;
            }
            let expected = self.write(&frames, replies, queue.counter()).await;
            queue.expect(expected);
        }
    }

    /// Gathers waiting commands into a batch. Commands without space are refused, and only those.
    fn gather(
        &mut self,
        first: QueuedProposal,
        queue: &mut gather::Receiver<QueuedProposal>,
    ) -> (Vec<Vec<u8>>, Vec<Reply>) {
        let store = self.state.current();
        self.space.measure(&store, &self.dir, self.limits.reserve_bytes);
        let (mut frames, mut replies) = (Vec::new(), Vec::new());
        let mut bytes = entry::HEAD_BYTES;
        let mut waiting = Some(first);
        while let Some(next) = waiting.take() {
            let fits = !next.alone && bytes + next.frame.len() <= BATCH_BYTES_MAX;
            if !fits && !frames.is_empty() {
                self.next = Some(next);
                break;
            }
            let QueuedProposal { frame, alone, need, reply } = next;
            if !reply.to.is_closed() {
                match self.space.grant(need, &store) {
                    Ok(()) => {
                        bytes += frame.len();
                        frames.push(frame);
                        replies.push(reply);
                    }
                    Err(error) => drop(reply.to.send(Err(error))),
                }
            }
            if !frames.is_empty() && (alone || frames.len() >= self.limits.batch_max) {
                break;
            }
            waiting = queue.take();
        }
        (frames, replies)
    }

    /// Proposes an entry and answers its callers; returns how many they and those `waiting` were
    /// right before the answers.
    async fn write(
        &self,
        frames: &[Vec<u8>],
        mut replies: Vec<Reply>,
        waiting: impl Fn() -> usize + Send + Clone + 'static,
    ) -> usize {
        let level = self.state.read().and_then(|read| format::feature_level(&read));
        let level = match level {
            Ok(level) => level,
            Err(error) => return refuse(error.into(), replies),
        };
        let payload = Payload(entry::join(frames, self.formats.log_entry_at(level)).into());
        let started = Instant::now();
        loop {
            let (ending, ended) = oneshot::channel();
            let waiting = waiting.clone();
            // Called by the thread that has applied the entry: every thread in between would take
            // as long as the rest of the work.
            let callback = Callback::new(move |result| {
                let _ = ending.send(answer(result, replies, waiting));
            });
            if let Err(error) = self.raft.client_write_ff(payload.clone(), Some(callback)).await {
                // The callers learn that the outcome is unknown when the callback is dropped: the
                // entry may be in the log of others already.
                tracing::error!(%error, "a proposal ended with a fatal error");
                return 0;
            }
            match ended.await {
                Ok(Ok(expected)) => return expected,
                Ok(Err((error, back)))
                    if lease_expired(&error) && started.elapsed() < LEASE_WAIT =>
                {
                    replies = back;
                    tokio::time::sleep(LEASE_PAUSE).await;
                }
                Ok(Err((error, back))) => return refuse(refused(error), back),
                Err(_) => return 0,
            }
        }
    }
}

/// Answers the callers of a batch that was applied, and returns how many they and those `waiting`
/// were before; returns the callers of one that was not.
fn answer(
    result: ClientWriteResult<TypeConfig>,
    replies: Vec<Reply>,
    waiting: impl Fn() -> usize,
) -> std::result::Result<usize, (WriteError, Vec<Reply>)> {
    let response = match result {
        Ok(response) => response,
        Err(error) => return Err((error, replies)),
    };
    let expected = replies.len() + waiting();
    let at = response.log_id.index;
    for (reply, ProposalResult { result, repeats }) in replies.into_iter().zip(response.data) {
        let (index, repeated) = (repeats.unwrap_or(at), repeats.is_some());
        let applied = result.map(|outcome| AppliedCommand { index, outcome, repeated });
        let _ = reply.to.send(applied.map_err(|error| Error { repeated, ..error }));
    }
    Ok(expected)
}

/// Answers the callers of a batch with an error; returns that none of them is expected again.
fn refuse(error: Error, replies: Vec<Reply>) -> usize {
    for reply in replies {
        let _ = reply.to.send(Err(error.clone()));
    }
    0
}

type WriteError = ClientWriteError<TypeConfig>;

/// Right after an election the leader refuses for a moment, until a quorum has answered.
fn lease_expired(error: &WriteError) -> bool {
    matches!(error, ClientWriteError::ForwardToLeader(forward)
        if forward.reason == ForwardReason::LeaseExpired)
}

/// The error for a write that this node cannot order.
pub fn not_leader() -> Error {
    Error::new(Kind::NoLeader, "the cluster has no leader at the moment")
        .hint("an election takes about a second; if it lasts, check that a majority of nodes runs")
}

fn refused(error: WriteError) -> Error {
    match error {
        ClientWriteError::ForwardToLeader(_) => not_leader(),
        ClientWriteError::LogEntryDiscarded(_) => outcome_unknown(),
        error => Error::new(Kind::Internal, error.to_string()),
    }
}

/// The error for a write whose outcome is not known.
pub fn outcome_unknown() -> Error {
    Error::new(Kind::OutcomeUnknown, "the write was sent to the log, its outcome is not known")
        .hint("read the document to see whether it happened before you try again")
}
