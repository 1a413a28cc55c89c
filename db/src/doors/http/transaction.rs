//! Open transactions, and the calls that begin and end them.
//!
//! A transaction lives on the leader that began it, in memory, with a view of the state as it
//! was then. Nothing of it is replicated before it is committed, so when that node dies or
//! another one leads, the client is told that it is lost and begins anew; nothing is half
//! applied. A commit is proposed under a key made from the transaction's id, so repeating it is
//! safe, also at another leader.

use super::call::{Call, pooled};
use super::confirm::{self, Action};
use super::reply::Reply;
use super::update;
use crate::auth::policy::{self, Permission};
use crate::config::{BATCH_PARTS_MAX, Config};
use crate::engine::batch::{Batch, BatchCondition, BatchStep, Namespace};
use crate::engine::command::RetryKey;
use crate::engine::transaction::{Commit, Transaction};
use crate::engine::{Answer, Command, Outcome, Proposal, retry};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::groups::AppliedCommand;
use crate::raft::memory_budget::{MemoryBudget, MemoryPermit};
use crate::raft::types::GroupId;
use crate::wire::{IntoEngine, IntoWire};
use jettra_driver::wire::{
    BatchBody, BatchOperation, BatchReply, BatchResult, CommitReply, Condition, TransactionInfo,
    TransactionReply, TransactionsReply,
};
use serde_json::json;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time between two looks for transactions that nobody uses any more.
const SWEEP: Duration = Duration::from_millis(500);
/// Transactions of the largest size that there is memory for.
const LARGE_MAX: usize = 16;

/// The open transactions of this node.
pub struct Transactions {
    open: Mutex<HashMap<String, Arc<Open>>>,
    max: usize,
    bytes_max: usize,
    /// Memory for what all of them write.
    pub room: MemoryBudget,
    idle_max: Duration,
    age_max: Duration,
}

/// An open transaction.
pub struct Open {
    id: String,
    user: String,
    /// The key of the call that began it: a repetition of that call gets this transaction.
    key: Option<RetryKey>,
    group: GroupId,
    begun: Instant,
    used: Mutex<Instant>,
    /// One call after the other: those that wait take no thread meanwhile.
    turn: Arc<Semaphore>,
    /// The memory that its writes take.
    share: Mutex<MemoryPermit>,
    state: Mutex<State>,
}

/// How far a transaction is.
enum State {
    /// It can be read and written.
    Active(Box<Transaction>),
    /// Its commit was proposed and what came of it is not known: it can only be committed.
    Committing(Box<Transaction>),
    /// It had nothing to write and was committed, at this log index.
    Committed(u64),
    /// It is over.
    Ended,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn lost(id: &str) -> Error {
    Error::new(Kind::TransactionLost, format!("there is no open transaction {id}"))
        .hint("it has ended, was idle for too long, or the leader that held it is gone: begin anew")
}

fn is_committing(id: &str) -> Error {
    let message = format!("the transaction {id} is being committed, or was committed");
    Error::new(Kind::NotPossibleNow, message).hint("repeat the commit to learn its outcome")
}

impl Open {
    /// Waits until no other call works with the transaction.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turn.clone().acquire_owned().await.ok()
    }

    /// Works with the transaction while nobody else does.
    ///
    /// # Errors
    /// `transaction_lost` when it has ended; `not_possible_now` when its commit is under way;
    /// those of `work`.
    pub fn with<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        let mut state = lock(&self.state);
        let done = match &mut *state {
            State::Active(transaction) => work(transaction),
            State::Committing(_) | State::Committed(_) => Err(is_committing(&self.id)),
            State::Ended => Err(lost(&self.id)),
        };
        *lock(&self.used) = Instant::now();
        done
    }

    /// Carries a command out inside. When there is no room for what it writes, the transaction
    /// is over.
    pub async fn execute(
        self: Arc<Self>,
        proposal: Proposal,
        room: MemoryBudget,
    ) -> Result<AppliedCommand> {
        let turn = self.turn().await;
        pooled(move || {
            let _turn = turn;
            let mut full = false;
            let done = self.with(|transaction| {
                let Answer { result, repeats } = transaction.execute(proposal)?;
                let mut share = lock(&self.share);
                let more = transaction.bytes().saturating_sub(share.bytes());
                room.take(more).map(|taken| share.join(taken)).inspect_err(|_| full = true)?;
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

    /// Whether a call of this user with this key has begun it, and it is open still.
    fn is_begun_by(&self, user: &str, key: &RetryKey) -> bool {
        let same = self.key.as_ref().is_some_and(|known| known.key == key.key);
        same && self.user == user && !matches!(self.state.try_lock().as_deref(), Ok(State::Ended))
    }

    fn end(&self) {
        *lock(&self.state) = State::Ended;
        drop(std::mem::take(&mut *lock(&self.share)));
    }

    /// What is to be proposed for a commit; else the log index, when there is nothing to propose.
    /// Afterwards it can only be committed.
    fn prepare_commit(&self) -> Result<std::result::Result<Commit, u64>> {
        let mut state = lock(&self.state);
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

    /// Refuses what belongs to another group of nodes.
    pub fn check_group(&self, group: GroupId) -> Result<()> {
        if self.group == group {
            return Ok(());
        }
        let message = format!(
            "the transaction began in group {}, and this document is in group {group}",
            self.group
        );
        Err(Error::new(Kind::CrossGroup, message).hint(
            "groups decide independently, so nothing is atomic across them: use one transaction \
             for each, or keep what belongs together in one database",
        ))
    }
}

impl Transactions {
    /// None yet, within the bounds of the configuration.
    pub fn new(config: &Config) -> Self {
        Transactions {
            open: Mutex::default(),
            max: config.transactions_max,
            bytes_max: config.transaction_mb << 20,
            room: MemoryBudget::new((config.transaction_mb << 20) * LARGE_MAX),
            idle_max: Duration::from_millis(config.transaction_idle_ms),
            age_max: Duration::from_millis(config.transaction_max_ms),
        }
    }

    /// Begins a transaction; or gives the open one that the same call has begun, and says so.
    fn begin(&self, group: &Group, user: &str, key: Option<RetryKey>) -> Result<(Arc<Open>, bool)> {
        let mut all = lock(&self.open);
        if let Some(key) = &key
            && let Some(open) = all.values().find(|open| open.is_begun_by(user, key))
        {
            return match open.key.as_ref().map(|known| known.fingerprint) == Some(key.fingerprint) {
                true => Ok((open.clone(), true)),
                false => Err(retry::key_reused()),
            };
        }
        if all.len() >= self.max {
            return Err(Error::new(Kind::Overloaded, "too many transactions are open")
                .hint("end some, or try again after a pause"));
        }
        let (base, index) = group.snapshot(format!("an open transaction of {user:?}"))?;
        let state = Transaction::begin(base, index, self.bytes_max)?;
        let open = Arc::new(Open {
            id: uuid::Uuid::new_v4().to_string(),
            user: user.to_owned(),
            key,
            group: group.number(),
            begun: Instant::now(),
            used: Mutex::new(Instant::now()),
            turn: Arc::new(Semaphore::new(1)),
            share: Mutex::default(),
            state: Mutex::new(State::Active(Box::new(state))),
        });
        all.insert(open.id.clone(), open.clone());
        Ok((open, false))
    }

    /// The open transaction with an id, for its user.
    ///
    /// # Errors
    /// `transaction_lost`; `forbidden` for that of another user.
    pub fn get(&self, id: &str, user: &str) -> Result<Arc<Open>> {
        let open = lock(&self.open).get(id).cloned().ok_or_else(|| lost(id))?;
        if open.user != user {
            return Err(foreign());
        }
        Ok(open)
    }

    fn end(&self, id: &str) {
        if let Some(open) = lock(&self.open).remove(id) {
            // A call that is still working with it ends first.
            actix_web::rt::task::spawn_blocking(move || open.end());
        }
    }

    /// Ends transactions that nobody uses any more, as long as somebody holds this.
    pub async fn sweep(this: std::sync::Weak<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(this) = this.upgrade() else { return };
            let over = |open: &Arc<Open>| {
                let age = open.begun.elapsed();
                match open.state.try_lock().as_deref() {
                    Ok(State::Ended) => true,
                    // Somebody may still ask what came of it.
                    Ok(State::Committing(_) | State::Committed(_)) => age >= this.age_max * 2,
                    Ok(State::Active(_)) if lock(&open.used).elapsed() >= this.idle_max => true,
                    _ => age >= this.age_max,
                }
            };
            let ended: Vec<String> =
                lock(&this.open).values().filter(|open| over(open)).map(|o| o.id.clone()).collect();
            for id in ended {
                tracing::debug!(id, "a transaction was not used any more and is rolled back");
                this.end(&id);
            }
        }
    }

    /// Ends all of them; called when the node stops.
    pub fn end_all(&self) {
        lock(&self.open).clear();
    }
}

fn foreign() -> Error {
    Error::new(Kind::Forbidden, "this transaction belongs to another user")
        .hint("use a transaction of your own")
}

fn id(call: &Call) -> Result<&str> {
    call.required(&["tx", "txID"])
}

async fn begin_one(call: &Call) -> Result<Arc<Open>> {
    // It must see everything that was acknowledged before.
    call.group()?.wait_linearizable().await?;
    let (group, user) = (call.group()?, &call.user()?.name);
    let (open, repeated) = call.app.transactions.begin(group, user, call.retry_key()?)?;
    call.proposed.repeated.set(repeated);
    Ok(open)
}

/// `POST /api/v1/transactions`
pub async fn begin(call: Rc<Call>) -> Result<Reply> {
    let open = begin_one(&call).await?;
    let config = &call.cluster().config;
    let index = open.with(|transaction| Ok(transaction.index()))?;
    let reply = TransactionReply {
        id: open.id.clone(),
        index,
        idle_ms: config.transaction_idle_ms,
        max_ms: config.transaction_max_ms,
    };
    Ok(Reply::json(&reply).with_status(201).at(index))
}

/// `POST /api/tx/begin`
pub async fn begin_ancestor(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&json!({"txID": begin_one(&call).await?.id})))
}

/// Commits; gives how many documents were written and the log index.
async fn commit_one(call: &Call) -> Result<(u64, u64)> {
    let (id, user) = (id(call)?, &call.user()?.name);
    let group = call.group()?;
    let key = format!("tx {id}");
    let open = match call.app.transactions.get(id, user) {
        Ok(open) => open,
        Err(error) if error.kind == Kind::TransactionLost => {
            return committed_before(group, user, &key).await?.ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let _turn = open.turn().await;
    let working = open.clone();
    let commit = match pooled(move || working.prepare_commit()).await? {
        Err(index) => return Ok((0, index)),
        Ok(commit) => Command::Commit(Box::new(commit)),
    };
    // Rights may have been taken away since the calls were made.
    for (permission, database) in policy::needs(&commit).unwrap_or_default() {
        call.authorize(permission, database)?;
    }
    let retry = Some(RetryKey::new(key, 0));
    let proposal = Proposal { retry, ..call.caller().proposes(commit) };
    let done = call.send(proposal).await;
    let done = done.map(|applied| (written(&applied.outcome), applied.index));
    // Whatever was not decided can be tried again, under the same key.
    let undecided = |kind| {
        matches!(
            kind,
            Kind::OutcomeUnknown
                | Kind::NoLeader
                | Kind::Overloaded
                | Kind::StorageFull
                | Kind::Stopping
        )
    };
    if !matches!(&done, Err(error) if undecided(error.kind)) {
        call.app.transactions.end(&open.id);
    }
    done
}

fn written(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Committed(writes) => *writes,
        _ => 0,
    }
}

/// What became of a transaction that was to be committed before.
async fn committed_before(group: &Group, user: &str, key: &str) -> Result<Option<(u64, u64)>> {
    group.wait_linearizable().await?;
    let Some(Answer { result, repeats }) = retry::answer(&group.read()?, Some(user), key)? else {
        return Ok(None);
    };
    Ok(Some((written(&result?), repeats.unwrap_or_default())))
}

/// `POST /api/v1/transactions/{tx}/commit`
pub async fn commit(call: Rc<Call>) -> Result<Reply> {
    let (writes, index) = commit_one(&call).await?;
    Ok(Reply::json(&CommitReply { status: "committed".into(), writes }).at(index))
}

/// `POST /api/tx/commit`
pub async fn commit_ancestor(call: Rc<Call>) -> Result<Reply> {
    let (_, index) = commit_one(&call).await?;
    Ok(Reply::status("committed").at(index))
}

async fn roll_back(call: &Call) -> Result<()> {
    let (id, user) = (id(call)?, call.user()?);
    match call.app.transactions.get(id, &user.name) {
        // A call that works with it at the moment may take long.
        Ok(open) => {
            let state = open.state.try_lock();
            if let Ok(State::Committing(_) | State::Committed(_)) = state.as_deref() {
                return Err(is_committing(id));
            }
        }
        Err(error) if error.kind == Kind::Forbidden => {
            if !user.rights.is_admin() {
                return Err(error);
            }
        }
        Err(_) => {
            let before = committed_before(call.group()?, &user.name, &format!("tx {id}")).await;
            if matches!(before, Ok(Some(_))) {
                return Err(is_committing(id));
            }
        }
    }
    call.app.transactions.end(id);
    Ok(())
}

/// `DELETE /api/v1/transactions/{tx}`: a success as well when there is no such transaction.
pub async fn end(call: Rc<Call>) -> Result<Reply> {
    roll_back(&call).await?;
    Ok(Reply::empty())
}

/// `POST /api/tx/rollback`
pub async fn rollback_ancestor(call: Rc<Call>) -> Result<Reply> {
    roll_back(&call).await?;
    Ok(Reply::status("rolledback"))
}

/// `GET /api/v1/transactions`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let user = call.user()?;
    let all = user.rights.is_admin();
    let mut open: Vec<Arc<Open>> = lock(&call.app.transactions.open).values().cloned().collect();
    open.retain(|open| all || open.user == user.name);
    open.sort_by_key(|open| open.begun);
    let transactions = pooled(move || {
        let infos = open.iter().filter_map(|open| {
            let state = lock(&open.state);
            let (State::Active(transaction) | State::Committing(transaction)) = &*state else {
                return None;
            };
            let (writes, bytes) = transaction.writes();
            Some(TransactionInfo {
                id: open.id.clone(),
                user: open.user.clone(),
                index: transaction.index(),
                age_ms: open.begun.elapsed().as_millis() as u64,
                idle_ms: lock(&open.used).elapsed().as_millis() as u64,
                reads: transaction.reads() as u64,
                writes,
                bytes,
            })
        });
        Ok(infos.collect())
    })
    .await?;
    Ok(Reply::json(&TransactionsReply { transactions }))
}

/// A place that a batch names, checked for writing.
fn place(call: &Call, database: String, collection: String) -> Result<Namespace> {
    let bytes_max = call.cluster().config.name_bytes_max;
    crate::engine::system::check_name("database", &database, bytes_max)?;
    super::document::check_collection(call, &collection)?;
    Ok(Namespace { database, collection })
}

fn condition(call: &Call, condition: Condition) -> Result<(Namespace, BatchCondition)> {
    let Condition { database, collection, id, revision, filter, exists } = condition;
    let bad = |message: &str| Error::new(Kind::InvalidBody, message.to_owned());
    if id.is_none() && filter.is_none() {
        return Err(bad("a condition needs id or filter")
            .hint("id names one document, filter those that match"));
    }
    if id.is_none() && revision.is_some() {
        return Err(
            bad("a condition with revision needs id").hint("a revision belongs to one document")
        );
    }
    let filter = filter.map(update::checked_filter).transpose()?;
    let exists = exists.unwrap_or(true);
    let place = place(call, database, collection)?;
    let id = id.map(IntoEngine::into_engine);
    Ok((place, BatchCondition { id, revision, filter, exists }))
}

fn step(call: &Call, operation: BatchOperation) -> Result<(Namespace, BatchStep)> {
    Ok(match operation {
        BatchOperation::Insert { database, collection, document } => {
            let operation = update::insert_operation(call, document)?;
            (place(call, database, collection)?, BatchStep::Operation(operation))
        }
        BatchOperation::Save { database, collection, document } => {
            let (id, body) = update::new_document(call, document)?;
            (place(call, database, collection)?, BatchStep::Save { id, body })
        }
        BatchOperation::Update { database, collection, body } => {
            let multi = body.multi;
            let operation = update::update_operation(body, multi)?;
            (place(call, database, collection)?, BatchStep::Operation(operation))
        }
        BatchOperation::Delete { database, collection, filter, multi } => {
            let body = jettra_driver::wire::DeleteBody { filter, multi, ..Default::default() };
            let operation = update::delete_operation(body, multi)?;
            (place(call, database, collection)?, BatchStep::Operation(operation))
        }
        BatchOperation::Get { database, collection, id } => {
            (place(call, database, collection)?, BatchStep::Get(id.into_engine()))
        }
    })
}

/// The parts of a batch, each checked and named when it is wrong.
fn checked<T, U>(part: &str, all: Vec<T>, check: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    let named = |at: usize, error: Error| Error {
        message: format!("{part}[{at}]: {}", error.message),
        ..error
    };
    let all = all.into_iter().enumerate();
    all.map(|(at, one)| check(one).map_err(|error| named(at, error))).collect()
}

/// Refuses a batch with `confirm=ask` that would change or delete many documents.
async fn check_confirmed(
    call: &Call,
    operations: impl Iterator<Item = &BatchOperation>,
) -> Result<()> {
    for operation in operations {
        let (database, collection, action, filter) = match operation {
            BatchOperation::Update { database, collection, body } if body.multi => {
                (database, collection, Action::Update, &body.filter)
            }
            BatchOperation::Delete { database, collection, filter, multi: true } => {
                (database, collection, Action::Delete, filter)
            }
            _ => continue,
        };
        // The refusal tells how many documents there are.
        call.authorize(Permission::Write, database)?;
        confirm::check(&call.with_place(database, collection), action, filter.clone()).await?;
    }
    Ok(())
}

/// `POST /api/v1/batch`
pub async fn batch(call: Rc<Call>) -> Result<Reply> {
    let body: BatchBody = call.json()?;
    if body.then.is_empty() && body.otherwise.is_empty() {
        return Err(Error::new(Kind::InvalidBody, "then and else are both empty")
            .hint("list the operations in then"));
    }
    let parts = body.conditions.len() + body.then.len() + body.otherwise.len();
    if parts > BATCH_PARTS_MAX {
        let message = format!("the batch has {parts} parts, {BATCH_PARTS_MAX} are allowed");
        return Err(Error::new(Kind::InvalidBody, message).hint("send it in several batches"));
    }
    check_confirmed(&call, body.then.iter().chain(&body.otherwise)).await?;
    let batch = Batch {
        conditions: checked("if", body.conditions, |one| condition(&call, one))?,
        then: checked("then", body.then, |one| step(&call, one))?,
        otherwise: checked("else", body.otherwise, |one| step(&call, one))?,
        time_ms: call.group()?.time_ms(),
        limits: update::write_limits(&call),
    };
    let applied = call.propose(Command::Batch(Box::new(batch))).await?;
    let Outcome::Batched { succeeded, results } = applied.outcome else {
        return Err(Error::new(Kind::Internal, "unexpected outcome"));
    };
    call.note_forgotten(results.iter().any(|wrote| wrote.forgotten.is_some()));
    let result = |wrote: crate::engine::command::Wrote| BatchResult {
        matched: wrote.matched,
        modified: wrote.modified,
        deleted: wrote.deleted,
        inserted_id: wrote.inserted.map(IntoWire::into_wire),
        revision: wrote.revision,
        document: wrote.document.and_then(|text| serde_json::from_str(&text).ok()),
        document_forgotten: wrote.forgotten.is_some(),
    };
    let results = results.into_iter().map(result).collect();
    Ok(Reply::json(&BatchReply { succeeded, results }).at(applied.index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_stays_in_its_group() {
        let open = Open {
            id: "t".into(),
            key: None,
            user: "u".into(),
            group: 0,
            begun: Instant::now(),
            used: Mutex::new(Instant::now()),
            turn: Arc::new(Semaphore::new(1)),
            share: Mutex::default(),
            state: Mutex::new(State::Ended),
        };
        assert!(open.check_group(0).is_ok());
        let refused = open.check_group(3).unwrap_err();
        assert_eq!(refused.kind, Kind::CrossGroup);
        assert!(refused.message.contains("group 3"), "{refused}");
    }
}
