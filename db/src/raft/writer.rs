//! Applying committed entries: one writer per group, which commits after the response.
//!
//! The state machine passes committed entries to the writer, which stays on one of the threads that
//! the writers of all groups share. The writer executes them in an
//! open LMDB transaction, responds to each waiting client as soon as its outcome is known (the log
//! is flushed on a majority, so the outcome is durable), and commits the transaction later: after a
//! few milliseconds, a few thousand commands, or at once when a reader asks. The *visible index* is
//! the log index up to which transactions are committed.

use super::refused::RefusedEntries;
use super::snapshot::{AppliedState, ReceivedState};
use super::threads::WriterThread;
use super::types::{Entry, EntryPayload, TypeConfig};
use crate::engine::command::entry;
use crate::engine::format::feature_level;
use crate::engine::{Applier, ProposalResult, SideEffect};
use crate::error::{Error, Kind};
use crate::format::GroupFormats;
use crate::storage::{Generations, StorageError, Store, SwitchStep, WriteTxn};
use bytes::Bytes;
use futures_util::FutureExt;
use openraft::storage::ApplyResponder;
use std::any::Any;
use std::fmt::Display;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Commands after which the open transaction is committed in any case.
const COMMIT_COMMANDS: usize = 2048;
/// Batches of committed entries that may wait for the writer.
const QUEUE: usize = 256;

/// When the open transaction is committed.
#[derive(Debug, Clone, Copy)]
pub struct CommitLimits {
    /// Time after its first entry.
    pub after: Duration,
    /// Bytes of changed rows: they are in memory until then, and LMDB keeps the pages of the largest
    /// transaction for the next ones.
    pub bytes: u64,
}

/// The events of the state machine for the rest of the node.
#[derive(Debug)]
pub struct StateEvents {
    /// Log index up to which readers see the state.
    pub visible: watch::Receiver<u64>,
    /// The side effects of entries that became visible.
    pub effects: mpsc::UnboundedReceiver<SideEffect>,
}

/// Committed entries in the order of the log, each with the callers that wait for its outcome.
pub type Batch = Vec<(Entry, Option<ApplyResponder<TypeConfig>>)>;

enum Job {
    Apply(Batch, Option<OwnedSemaphorePermit>),
    Commit,
    MakeDurable(oneshot::Sender<AppliedState>),
    Install(Arc<ReceivedState>, oneshot::Sender<AppliedState>),
}

/// Handle of the writer, which ends when the last handle is dropped.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    wanted: Arc<AtomicU64>,
    visible: watch::Receiver<u64>,
    accounts: Arc<AtomicU64>,
    /// Why the writer has ended, if it had to.
    failure: Arc<OnceLock<String>>,
    /// Runs as long as there is a handle.
    _thread: WriterThread,
}

impl Writer {
    /// Starts the writer of the group with this state on `thread`.
    ///
    /// # Errors
    /// When the state cannot be read, or has a feature level that this program does not support.
    pub fn start(
        state: Arc<Generations>,
        commit: CommitLimits,
        refused: RefusedEntries,
        formats: GroupFormats,
        thread: &WriterThread,
    ) -> Result<(Writer, StateEvents), StorageError> {
        let store = state.current();
        let applied = {
            let read = store.read()?;
            formats.features.check(feature_level(&read)?)?;
            let applied = AppliedState::load(&read)?;
            refused.take_over(&read, applied.index())?;
            applied
        };
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (visible_sender, visible) = watch::channel(applied.index());
        let (effects, effects_receiver) = mpsc::unbounded_channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let accounts = Arc::new(AtomicU64::new(applied.index()));
        let mut worker = WriterWork {
            state,
            store,
            queue,
            visible: visible_sender,
            effects,
            wanted: wanted.clone(),
            accounts: accounts.clone(),
            applied,
            applier: Applier::supporting(formats.features.newest),
            commit,
            rest: Vec::new(),
            rest_permit: None,
            refused,
            formats,
            applying: None,
        };
        let failure = Arc::new(OnceLock::new());
        let reason = failure.clone();
        thread.run(move || async move {
            if let Some(error) = worker.run_to_the_end().await {
                tracing::error!("{error}; the node stops");
                // Before the waiting callers learn that the writer has ended.
                let _ = reason.set(error);
            }
        });
        let events = StateEvents { visible: visible.clone(), effects: effects_receiver };
        let _thread = thread.clone();
        Ok((Writer { jobs, wanted, visible, accounts, failure, _thread }, events))
    }

    /// Why nothing can be applied any more, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    fn gone(&self) -> io::Error {
        let reason = self.failure().unwrap_or("the writer has stopped");
        io::Error::other(reason.to_owned())
    }

    /// Log index up to which readers see the state.
    pub fn visible_index(&self) -> u64 {
        *self.visible.borrow()
    }

    /// A log index that is another one as soon as users or tokens have changed in a state that is
    /// visible. What is read of them after this index was taken is valid as long as it stays.
    pub fn accounts_index(&self) -> u64 {
        self.accounts.load(Ordering::Acquire)
    }

    /// Waits until readers see the state at `index` or later.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn wait_visible(&self, index: u64) -> io::Result<()> {
        if self.visible_index() >= index {
            return Ok(());
        }
        let mut visible = self.visible.clone();
        // Readers that wait for the same index need one commit; the first of them has asked for it.
        if self.wanted.fetch_max(index, Ordering::AcqRel) != index {
            // A full queue holds an apply, after which the writer checks `wanted` anyway.
            let _ = self.jobs.try_send(Job::Commit);
        }
        visible.wait_for(|visible| *visible >= index).await.map(drop).map_err(|_| self.gone())
    }

    /// Waits until readers see more than `index`, however long that takes.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn wait_beyond(&self, index: u64) -> io::Result<()> {
        let mut visible = self.visible.clone();
        visible.wait_for(|visible| *visible > index).await.map(drop).map_err(|_| self.gone())
    }

    /// Commits and flushes what is applied; returns how far that goes.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn make_durable(&self) -> io::Result<AppliedState> {
        self.ask(Job::MakeDurable).await
    }

    /// Applies entries after those that were passed before; `permit` is the memory that they take.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn apply(&self, batch: Batch, permit: OwnedSemaphorePermit) -> io::Result<()> {
        self.jobs.send(Job::Apply(batch, Some(permit))).await.map_err(|_| self.gone())
    }

    /// Makes a received state the current one; returns how far it goes.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn install(&self, received: Arc<ReceivedState>) -> io::Result<AppliedState> {
        self.ask(|reply| Job::Install(received, reply)).await
    }

    async fn ask(
        &self,
        job: impl FnOnce(oneshot::Sender<AppliedState>) -> Job,
    ) -> io::Result<AppliedState> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())
    }
}

struct WriterWork {
    state: Arc<Generations>,
    /// Its current generation.
    store: Arc<Store>,
    queue: mpsc::Receiver<Job>,
    visible: watch::Sender<u64>,
    effects: mpsc::UnboundedSender<SideEffect>,
    wanted: Arc<AtomicU64>,
    accounts: Arc<AtomicU64>,
    applied: AppliedState,
    applier: Applier,
    commit: CommitLimits,
    /// Entries that did not fit into the transaction before.
    rest: Batch,
    /// The memory that they take.
    rest_permit: Option<OwnedSemaphorePermit>,
    refused: RefusedEntries,
    formats: GroupFormats,
    /// The entry that is being applied.
    applying: Option<(u64, Bytes)>,
}

/// How the work on one transaction ended.
enum Next {
    /// Commit, then go on.
    Committed,
    /// Commit, report what is durable.
    Durable(oneshot::Sender<AppliedState>),
    /// Continue with a received state.
    Install(Arc<ReceivedState>, oneshot::Sender<AppliedState>),
    /// Commit and end.
    End,
}

impl WriterWork {
    /// Runs until it is asked to end, or cannot go on; returns why.
    async fn run_to_the_end(&mut self) -> Option<String> {
        let ended = AssertUnwindSafe(self.run()).catch_unwind().await;
        let error = match ended {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("the writer has panicked: {}", panic_text(&*panic)),
        };
        let entry = self.applying.take().map(|(index, content)| {
            let name = self.refused.name(index, entry::hash(&content));
            format!(
                "log entry {name} cannot be applied: {error} (if it is neither the disk nor the \
                 version of this node, all nodes started with --refuse-entry {name} go on without it)"
            )
        });
        Some(entry.unwrap_or_else(|| format!("the state cannot be written: {error}")))
    }

    async fn run(&mut self) -> Result<(), StorageError> {
        loop {
            let first = match self.rest.is_empty() {
                true => self.queue.recv().await,
                false => Some(Job::Apply(std::mem::take(&mut self.rest), self.rest_permit.take())),
            };
            let Some(first) = first else { return Ok(()) };
            match self.one_transaction(first).await? {
                Next::Committed => {}
                Next::Durable(reply) => {
                    self.store.sync()?;
                    let _ = reply.send(self.applied.clone());
                }
                Next::Install(received, reply) => {
                    self.install(&received)?;
                    let _ = reply.send(self.applied.clone());
                }
                Next::End => return Ok(()),
            }
        }
    }

    async fn one_transaction(&mut self, first: Job) -> Result<Next, StorageError> {
        let store = self.store.clone();
        let mut txn = store.write()?;
        self.applier.begin(&txn)?;
        let mut commands = 0;
        let deadline = Instant::now() + self.commit.after;
        let mut job = Some(first);
        let next = loop {
            match job {
                Some(Job::Apply(entries, permit)) => {
                    commands += self.apply(&mut txn, entries)?;
                    self.rest_permit = permit.filter(|_| !self.rest.is_empty());
                    let wanted = self.wanted.load(Ordering::Acquire);
                    let reader_waits =
                        *self.visible.borrow() < wanted && wanted <= self.applied.index();
                    let full = commands >= COMMIT_COMMANDS || self.is_full();
                    if full || reader_waits || !self.rest.is_empty() {
                        break Next::Committed;
                    }
                }
                Some(Job::Commit) => break Next::Committed,
                Some(Job::MakeDurable(reply)) => break Next::Durable(reply),
                Some(Job::Install(received, reply)) => break Next::Install(received, reply),
                None => break Next::End,
            }
            match tokio::time::timeout_at(deadline, self.queue.recv()).await {
                Ok(received) => job = received,
                Err(_) => break Next::Committed,
            }
        };
        if self.applied.index() > *self.visible.borrow() {
            self.applier.flush(&mut txn)?;
            self.applied.save(&mut txn)?;
            txn.commit()?;
            let effects = self.applier.take_effects();
            self.announce(effects);
        }
        Ok(next)
    }

    fn announce(&mut self, effects: Vec<SideEffect>) {
        // After the commit: what is read by the index before may be older. Before the state counts
        // as visible: then nobody may rely on what was read before.
        if effects.contains(&SideEffect::AccountsChanged) {
            self.accounts.store(self.applied.index(), Ordering::Release);
        }
        self.visible.send_replace(self.applied.index());
        for effect in effects {
            let _ = self.effects.send(effect);
        }
    }

    /// Executes entries, as far as they fit into the transaction, and responds to the callers that
    /// wait for them; returns the number of commands.
    fn apply(&mut self, txn: &mut WriteTxn<'_>, entries: Batch) -> Result<usize, StorageError> {
        let mut commands = 0;
        let mut entries = entries.into_iter();
        while !self.is_full()
            && let Some((entry, responder)) = entries.next()
        {
            let results = self.apply_entry(txn, entry)?;
            commands += results.len();
            if let Some(responder) = responder {
                responder.send(results);
            }
        }
        self.rest = entries.collect();
        Ok(commands)
    }

    /// Whether the open transaction has too many changed pages to stay open.
    fn is_full(&self) -> bool {
        self.applier.written() > self.commit.bytes
    }

    fn apply_entry(
        &mut self,
        txn: &mut WriteTxn<'_>,
        entry: Entry,
    ) -> Result<Vec<ProposalResult>, StorageError> {
        let log_id = entry.log_id;
        if log_id.index <= self.applied.index() && self.applied.log_id.is_some() {
            // A received snapshot may go further than openraft knows.
            return Ok(Vec::new());
        }
        let mut answers = Vec::new();
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(payload) => {
                self.applying = Some((log_id.index, payload.0.clone()));
                answers = self.apply_content(txn, log_id.index, &payload.0)?;
                self.applying = None;
            }
            EntryPayload::Membership(membership) => {
                self.applied.membership = openraft::StoredMembership::new(Some(log_id), membership);
            }
        }
        self.applied.log_id = Some(log_id);
        Ok(answers)
    }

    fn apply_content(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        content: &[u8],
    ) -> Result<Vec<ProposalResult>, StorageError> {
        if let Some(wanted) = self.refused.hash_at(index) {
            return self.refuse_content(txn, index, content, wanted);
        }
        let stopped = |error: &dyn Display| StorageError::Failed(error.to_string());
        let mut answers = Vec::new();
        let proposals = entry::read(content, self.formats.log_entry);
        for proposal in proposals.map_err(|unknown| stopped(&unknown))? {
            answers.push(match proposal {
                Ok(proposal) => self.applier.apply(txn, index, proposal)?,
                Err(error) => {
                    tracing::error!(index, %error, "a proposal of a log entry is refused");
                    ProposalResult { result: Err(error), repeats: None }
                }
            });
        }
        self.applier.end_entry(txn)?;
        Ok(answers)
    }

    /// Gives every proposal of an entry the same outcome: refused by an operator.
    fn refuse_content(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        content: &[u8],
        wanted: u64,
    ) -> Result<Vec<ProposalResult>, StorageError> {
        let hash = entry::hash(content);
        let name = self.refused.name(index, hash);
        if hash != wanted {
            let wanted = self.refused.name(index, wanted);
            return Err(StorageError::Failed(format!(
                "RefuseEntry names {wanted}, but this entry is {name}; compare with the message of \
                 the node that stopped"
            )));
        }
        self.refused.record(txn, index, hash)?;
        tracing::warn!(entry = name, "a log entry is refused, as RefuseEntry says");
        let error = Error::new(Kind::EntryRefused, format!("the log entry {name} was refused"))
            .hint("nothing of it was done; it could not be applied, see RefuseEntry");
        Ok(vec![ProposalResult { result: Err(error), repeats: None }; entry::count(content)])
    }

    fn install(&mut self, received: &ReceivedState) -> Result<(), StorageError> {
        // Before it takes the place of a state that this program can go on with.
        self.formats.features.check(feature_level(&received.store.read()?)?)?;
        crash_point("SnapshotChecked");
        self.state.switch(&received.incoming, received.store.clone(), &|step| match step {
            SwitchStep::PointerWritten => crash_point("SnapshotPointerWritten"),
            SwitchStep::PointerRenamed => crash_point("SnapshotPointerRenamed"),
            SwitchStep::Switched => crash_point("SnapshotSwitched"),
        })?;
        self.store = received.store.clone();
        self.applied = received.applied.clone();
        self.refused.take_over(&self.store.read()?, self.applied.index())?;
        self.announce(vec![
            SideEffect::AccountsChanged,
            SideEffect::NodesChanged,
            SideEffect::PlacementChanged,
        ]);
        Ok(())
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("no reason given")
}

/// Lets a test end the process after a step of an installation
/// (`JETTRA_CRASH_AFTER=SnapshotChecked`). Only in builds with debug assertions.
pub fn crash_point(step: &str) {
    if cfg!(debug_assertions) && std::env::var("JETTRA_CRASH_AFTER").is_ok_and(|at| at == step) {
        std::process::abort();
    }
}
