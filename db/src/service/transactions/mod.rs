//! Open transactions: beginning, using and ending them.
//!
//! A transaction lives on the leader that began it, in memory, with a view of the state as it
//! was then. Nothing of it is replicated before it is committed, so when that node dies or
//! another one leads, the client gets `transaction_lost` and begins anew; nothing is half
//! applied. A commit is proposed under a key made from the transaction's id, so repeating it is
//! safe, also at another leader.

mod open;

pub use open::{OpenTransaction, Transactions, check_group};

use super::bounds::pooled;
use super::{Response, Session, Step, Steps};
use crate::auth::policy;
use crate::engine::command::{COLLECTION_GONE, Commit, RetryKey};
use crate::engine::{Command, Outcome, ProposalResult, retry};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use open::{committing, lost};
use tokio::sync::OwnedSemaphorePermit;

/// A transaction that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunTransaction {
    /// Its id, which names it in later requests.
    pub id: String,
    /// Time without a request after which it ends, in milliseconds.
    pub idle_ms: u64,
    /// Longest time that it may be open, in milliseconds.
    pub max_ms: u64,
}

/// An open transaction as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionEntry {
    /// Its id.
    pub id: String,
    /// The user that began it.
    pub user: String,
    /// The log index of the state that it sees.
    pub index: u64,
    /// Time since it began, in milliseconds.
    pub age_ms: u64,
    /// Time since it was used last, in milliseconds.
    pub idle_ms: u64,
    /// Keys and ranges that it has read.
    pub reads: u64,
    /// Documents that it has written.
    pub writes: u64,
    /// Bytes that it has written.
    pub bytes: u64,
}

/// Begins a transaction.
///
/// # Errors
/// `overloaded`; those of a linearizable read; `idempotency_key_reused`.
pub async fn begin(session: &Session) -> Result<Response<BegunTransaction>> {
    // It must see everything that was acknowledged before.
    let group = session.group()?;
    group.wait_linearizable().await?;
    let key = Steps::new(session).first_key()?;
    let (open, repeated) =
        session.service().transactions.begin(&group, &session.user()?.name, key)?;
    let index = open.with(|transaction| Ok(transaction.index()))?;
    let config = session.config();
    let begun = BegunTransaction {
        id: open.id().to_owned(),
        idle_ms: config.transaction_idle_ms,
        max_ms: config.transaction_max_ms,
    };
    Ok(Response { repeated, ..Response::at(begun, index) })
}

/// Commits a transaction; returns the number of documents that it has written.
///
/// # Errors
/// `transaction_conflict`, `transaction_lost`, `forbidden`, and those of its writes.
pub async fn commit(session: &Session, id: &str) -> Result<Response<u64>> {
    let mut steps = Steps::new(session);
    let committed = commit_once(&mut steps, id).await;
    steps.finish(committed)
}

async fn commit_once(steps: &mut Steps<'_>, id: &str) -> Result<Response<u64>> {
    let session = steps.session();
    let (transactions, user) = (&session.service().transactions, &session.user()?.name);
    let (group, key) = (session.group()?, commit_key(id));
    let (commit, _turn) = match prepare(transactions, id, user).await {
        Ok((Ok(commit), turn)) => (Command::Commit(Box::new(commit)), turn),
        Ok((Err(index), _)) => return Ok(Response::at(0, index)),
        Err(error) if error.kind == Kind::TransactionLost => {
            return decide(steps, &group, &key).await?.ok_or(error);
        }
        Err(error) => return Err(error),
    };
    // Rights may have been taken away since the transaction was used.
    for (permission, database) in policy::needs(&commit).unwrap_or_default() {
        session.authorize(permission, database)?;
    }
    let done = steps.propose_system(Step::Own(RetryKey::new(key, 0)), commit).await;
    let done = done.map(|applied| Response::at(written(&applied.outcome), applied.index));
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
        transactions.end(id);
    }
    done.map_err(|error| if error.repeated && is_never(&error) { lost(id) } else { error })
}

/// What is to be proposed for a commit, or the log index when that is nothing, once no other request works
/// with the transaction; that may have been a commit too, with which the transaction has ended.
async fn prepare(
    transactions: &Transactions,
    id: &str,
    user: &str,
) -> Result<(std::result::Result<Commit, u64>, Option<OwnedSemaphorePermit>)> {
    let open = transactions.get(id, user)?;
    let turn = open.turn().await;
    Ok((pooled(move || open.prepare_commit()).await?, turn))
}

/// Whether a commit was refused because it was called lost before.
fn is_never(error: &Error) -> bool {
    error.kind == Kind::TransactionConflict && error.message == COLLECTION_GONE
}

/// The idempotency key of a transaction's commit. No client's key has a space.
fn commit_key(id: &str) -> String {
    format!("tx {id}")
}

fn written(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Committed(writes) => *writes,
        _ => 0,
    }
}

/// What the commit of a transaction came to that this node does not hold. If it has come to nothing, it is
/// decided that it never will: a commit may be on its way in the log, or the transaction may be held by
/// another node that leads again later.
async fn decide(steps: &mut Steps<'_>, group: &Group, key: &str) -> Result<Option<Response<u64>>> {
    group.wait_linearizable().await?;
    let user = steps.session().user()?.name.as_str();
    let known = match retry::answer(&group.read()?, Some(user), key)? {
        Some(ProposalResult { result, repeats }) => {
            result.map(|outcome| Response::at(written(&outcome), repeats.unwrap_or_default()))
        }
        None => {
            let (step, never) = (Step::Own(RetryKey::new(key.to_owned(), 0)), Commit::never());
            let decided = steps.propose_system(step, Command::Commit(Box::new(never))).await;
            decided.map(|applied| Response::at(written(&applied.outcome), applied.index))
        }
    };
    match known {
        Ok(committed) => Ok(Some(committed)),
        Err(error) if is_never(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Rolls a transaction back; succeeds if it does not exist.
///
/// # Errors
/// `not_possible_now` when its commit is under way; `forbidden` for that of another user.
pub async fn end(session: &Session, id: &str) -> Result<Response<()>> {
    let (transactions, user) = (&session.service().transactions, session.user()?);
    match transactions.get(id, &user.name) {
        Ok(open) if open.is_committing() => return Err(committing(id)),
        Ok(_) => {}
        Err(error) if error.kind == Kind::Forbidden => {
            if !user.rights.is_admin() {
                return Err(error);
            }
        }
        Err(_) => {
            let (group, mut steps) = (session.group()?, Steps::new(session));
            match decide(&mut steps, &group, &commit_key(id)).await {
                Ok(Some(_)) => return Err(committing(id)),
                Ok(None) => {}
                Err(error) if error.kind == Kind::TransactionConflict => {}
                Err(error) => return Err(error),
            }
        }
    }
    transactions.end(id);
    Ok(Response::new(()))
}

/// Lists the open transactions of a group, the oldest first: the caller's own, for administrators all.
///
/// # Errors
/// `not_authenticated`.
pub async fn list(session: &Session) -> Result<Response<Vec<TransactionEntry>>> {
    let user = session.user()?;
    let whose = (!user.rights.is_admin()).then_some(user.name.as_str());
    let open = session.service().transactions.of(whose, session.group_number());
    let entries = pooled(move || Ok(open.iter().filter_map(|open| open.entry()).collect()));
    entries.await.map(Response::new)
}
