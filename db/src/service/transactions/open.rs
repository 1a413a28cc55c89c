//! The open transactions of a node.

use super::TransactionEntry;
use crate::config::Config;
use crate::engine::command::Commit;
use crate::engine::command::RetryKey;
use crate::engine::error::key_reused;
use crate::engine::transactions::Transaction;
use crate::engine::{Proposal, ProposalResult};
use crate::error::{Error, Kind, Result};
use crate::pulse;
use crate::raft::Group;
use crate::raft::groups::AppliedCommand;
use crate::raft::memory_budget::{MemoryBudget, MemoryPermit};
use crate::raft::types::{GroupId, SYSTEM_GROUP};
use crate::service::bounds::pooled;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time between two looks for transactions that nobody uses any more.
const SWEEP: Duration = Duration::from_millis(600);
/// Transactions of the largest size that there is memory for.
const LARGE_MAX: usize = 16;
/// The open transactions of this node.
pub struct Transactions {
    open: Mutex<HashMap<String, Arc<OpenTransaction>>>,
    max: usize,
    bytes_max: usize,
    /// The memory budget for what all of them write.
    pub memory: MemoryBudget,
    idle_max: Duration,
    age_max: Duration,
}

/// An open transaction.
pub struct OpenTransaction {
    id: String,
    user: String,
    /// Its group. When this node closes its replica, the transaction ends: it would keep the files open that
    /// the next replica of the group needs.
    group: Weak<Group>,
    /// The key of the request that began it: a repetition of that request gets this transaction.
    key: Option<RetryKey>,
    begun: Instant,
    used: Mutex<Instant>,
    /// One request after the other: those that wait take no thread meanwhile.
    turn: Arc<Semaphore>,
    /// The memory budget that its writes take.
    permit: Mutex<MemoryPermit>,
    state: Mutex<State>,
}

/// How far a transaction is.
enum State {
    /// It can be read and written.
    Active(Box<Transaction>),
    /// Its commit was proposed and its outcome is not known: it can only be committed.
    Committing(Box<Transaction>),
    /// It had nothing to write and was committed, at this log index.
    Committed(u64),
    /// It has ended.
    Ended,
}

/// An id that names the group, as positions in its log do.
fn new_id(group: GroupId) -> String {
    let id = uuid::Uuid::new_v4();
    match group {
        SYSTEM_GROUP => id.to_string(),
        group => format!("{id}@{group}"),
    }
}

/// Refuses a transaction of another group than that of the request, by its id: the node that holds the one
/// does not hold the other.
///
/// # Errors
/// `cross_group_transaction`.
pub fn check_group(id: &str, group: GroupId) -> Result<()> {
    let named = id.rsplit_once('@').and_then(|(_, group)| group.parse().ok());
    let own = named.unwrap_or(SYSTEM_GROUP);
    if own == group {
        return Ok(());
    }
    let message =
        format!("the transaction began in group {own}, and this document is in group {group}");
    Err(Error::new(Kind::CrossGroup, message).hint(
        "groups decide independently, so nothing is atomic across them: use one transaction for each, \
         or keep what belongs together in one database",
    ))
}

pub(super) fn lost(id: &str) -> Error {
    Error::new(Kind::TransactionLost, format!("there is no open transaction {id}"))
        .hint("it has ended, was idle for too long, or the leader that held it is gone: begin anew")
}

pub(super) fn committing(id: &str) -> Error {
    let message = format!("the transaction {id} is being committed, or was committed");
    Error::new(Kind::NotPossibleNow, message).hint("repeat the commit to learn its outcome")
}

fn foreign() -> Error {
    Error::new(Kind::Forbidden, "this transaction belongs to another user")
        .hint("use a transaction of your own")
}

impl OpenTransaction {
    /// Waits until no other request works with the transaction.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turn.clone().acquire_owned().await.ok()
    }

    /// Works with the transaction while nobody else does.
    ///
    /// # Errors
    /// `transaction_lost` when it has ended; `not_possible_now` when its commit is under way;
    /// those of `work`.
    pub fn with<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        let done = match &mut *state {
            State::Active(transaction) => work(transaction),
            State::Committing(_) | State::Committed(_) => Err(committing(&self.id)),
            State::Ended => Err(lost(&self.id)),
        };
        *self.used.lock() = Instant::now();
        done
    }

    /// Carries a command out inside. When the memory budget does not hold what it writes, the
    /// transaction ends.
    ///
    /// # Errors
    /// Those of [`OpenTransaction::with`] and of the command; `overloaded`.
    pub async fn execute(
        self: Arc<Self>,
        proposal: Proposal,
        memory: MemoryBudget,
    ) -> Result<AppliedCommand> {
        let turn = self.turn().await;
        pooled(move || {
            let _turn = turn;
            let mut full = false;
            let done = self.with(|transaction| {
                let ProposalResult { result, repeats } = transaction.execute(proposal)?;
                let mut permit = self.permit.lock();
                let more = transaction.bytes().saturating_sub(permit.bytes());
                memory.take(more).map(|taken| permit.join(taken)).inspect_err(|_| full = true)?;
                let (index, repeated) = (transaction.index(), repeats.is_some());
                Ok(result.map(|outcome| AppliedCommand { index, outcome, repeated }))
            });
            if full {
                self.end();
            }
            done?
        })
        .await
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether its commit is under way or done. A request that works with it at the moment may take
    /// long, and is not waited for.
    pub(super) fn is_committing(&self) -> bool {
        let state = self.state.try_lock();
        matches!(state.as_deref(), Some(State::Committing(_) | State::Committed(_)))
    }

    /// Whether a request of this user with this key has begun it, and it is still open.
    fn is_begun_by(&self, user: &str, key: &RetryKey) -> bool {
        let same = self.key.as_ref().is_some_and(|known| known.key == key.key);
        same && self.user == user && !matches!(self.state.try_lock().as_deref(), Some(State::Ended))
    }

    fn end(&self) {
        *self.state.lock() = State::Ended;
        drop(std::mem::take(&mut *self.permit.lock()));
    }

    /// What is to be proposed for a commit; else the log index, when there is nothing to propose.
    /// Afterwards it can only be committed.
    pub(super) fn prepare_commit(&self) -> Result<std::result::Result<Commit, u64>> {
        let mut state = self.state.lock();
        let transaction = match std::mem::replace(&mut *state, State::Ended) {
            State::Active(transaction) | State::Committing(transaction) => transaction,
            State::Committed(index) => {
                *state = State::Committed(index);
                return Ok(Err(index));
            }
            State::Ended => return Err(lost(&self.id)),
        };
        let commit = transaction.commit()?;
        *state = match commit {
            Some(_) => State::Committing(transaction),
            None => State::Committed(transaction.index()),
        };
        match (commit, &*state) {
            (None, State::Committed(index)) => Ok(Err(*index)),
            (commit, _) => commit.map(Ok).ok_or_else(|| lost(&self.id)),
        }
    }

    /// How it is listed; none when it has nothing to commit any more.
    pub(super) fn entry(&self) -> Option<TransactionEntry> {
        let state = self.state.lock();
        let (State::Active(transaction) | State::Committing(transaction)) = &*state else {
            return None;
        };
        let (writes, bytes) = transaction.writes();
        Some(TransactionEntry {
            id: self.id.clone(),
            user: self.user.clone(),
            index: transaction.index(),
            age_ms: self.begun.elapsed().as_millis() as u64,
            idle_ms: self.used.lock().elapsed().as_millis() as u64,
            reads: transaction.reads() as u64,
            writes,
            bytes,
        })
    }
}

impl Transactions {
    /// None yet, within the bounds of the configuration.
    pub fn new(config: &Config) -> Self {
        Transactions {
            open: Mutex::default(),
            max: config.transactions_max,
            bytes_max: config.transaction_mb << 20,
            memory: MemoryBudget::new((config.transaction_mb << 20) * LARGE_MAX),
            idle_max: Duration::from_millis(config.transaction_idle_ms),
            age_max: Duration::from_millis(config.transaction_max_ms),
        }
    }

    /// Begins a transaction; or returns the open one that the same request has begun, and that it
    /// did.
    pub(super) fn begin(
        &self,
        group: &Arc<Group>,
        user: &str,
        key: Option<RetryKey>,
    ) -> Result<(Arc<OpenTransaction>, bool)> {
        let mut all = self.open.lock();
        if let Some(key) = &key
            && let Some(open) = all.values().find(|open| open.is_begun_by(user, key))
        {
            return match open.key.as_ref().map(|known| known.fingerprint) == Some(key.fingerprint) {
                true => Ok((open.clone(), true)),
                false => Err(key_reused()),
            };
        }
        if all.len() >= self.max {
            return Err(Error::new(Kind::Overloaded, "too many transactions are open")
                .hint("end some, or try again after a pause"));
        }
        let (base, index) = group.snapshot(format!("an open transaction of {user:?}"))?;
        let state = Transaction::begin(base, index, self.bytes_max)?;
        let open = Arc::new(OpenTransaction {
            id: new_id(group.number()),
            user: user.to_owned(),
            group: Arc::downgrade(group),
            key,
            begun: Instant::now(),
            used: Mutex::new(Instant::now()),
            turn: Arc::new(Semaphore::new(1)),
            permit: Mutex::default(),
            state: Mutex::new(State::Active(Box::new(state))),
        });
        all.insert(open.id.clone(), open.clone());
        Ok((open, false))
    }

    /// The open transaction with an id, for its user.
    ///
    /// # Errors
    /// `transaction_lost`; `forbidden` for that of another user.
    pub fn get(&self, id: &str, user: &str) -> Result<Arc<OpenTransaction>> {
        let open = self.open.lock().get(id).cloned().ok_or_else(|| lost(id))?;
        if open.user != user {
            return Err(foreign());
        }
        Ok(open)
    }

    pub(super) fn end(&self, id: &str) {
        if let Some(open) = self.open.lock().remove(id) {
            // A request that is still working with it ends first.
            tokio::task::spawn_blocking(move || open.end());
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().len()
    }

    /// Those of a user, or of all, in a group; the oldest first.
    pub(super) fn of(&self, user: Option<&str>, group: GroupId) -> Vec<Arc<OpenTransaction>> {
        let mut open: Vec<_> = self.open.lock().values().cloned().collect();
        open.retain(|open| {
            user.is_none_or(|user| open.user == user)
                && open.group.upgrade().is_some_and(|of| of.number() == group)
        });
        open.sort_by_key(|open| open.begun);
        open
    }

    /// Ends transactions that nobody uses any more, as long as somebody holds this.
    pub async fn sweep(this: Weak<Self>) {
        loop {
            pulse::pause(SWEEP).await;
            let Some(this) = this.upgrade() else { return };
            let over = |open: &Arc<OpenTransaction>| {
                if open.group.upgrade().is_none_or(|group| group.is_closed()) {
                    return true;
                }
                let age = open.begun.elapsed();
                match open.state.try_lock().as_deref() {
                    Some(State::Ended) => true,
                    // Somebody may still ask for its outcome.
                    Some(State::Committing(_) | State::Committed(_)) => age >= this.age_max * 2,
                    Some(State::Active(_)) if open.used.lock().elapsed() >= this.idle_max => true,
                    _ => age >= this.age_max,
                }
            };
            let ended: Vec<String> =
                this.open.lock().values().filter(|open| over(open)).map(|o| o.id.clone()).collect();
            for id in ended {
                tracing::debug!(id, "a transaction was not used any more and is rolled back");
                this.end(&id);
            }
        }
    }

    /// Ends all of them; called when the node stops.
    pub fn end_all(&self) {
        self.open.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_stays_in_its_group() {
        for group in [0, 3] {
            let id = new_id(group);
            assert_eq!(check_group(&id, group), Ok(()));
            let refused = check_group(&id, 7).unwrap_err();
            assert_eq!(refused.kind, Kind::CrossGroup);
            assert!(refused.message.contains("group 7"), "{refused}");
        }
    }
}
