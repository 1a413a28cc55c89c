//! Calls that are made exactly once: a repeated one gets the answer of the first.
//!
//! The answers are part of the state, so they survive leader changes, restarts and snapshots.
//! For each log entry a row lists the keys that it has used; the oldest rows are removed with
//! their keys when the leader proposes it. A key that carries its own time (UUIDv7) and is older
//! than what was removed is refused: nobody knows any more whether its call was carried out.

use super::apply::{Applied, Applier};
use super::catalog;
use super::command::{Answer, CommandResult, Outcome, RetryKey};
use crate::error::{Error, Kind};
use crate::storage::env::Result;
use crate::storage::{Read, Table, WriteTxn};
use serde::{Deserialize, Serialize};

const HORIZON_KEY: &[u8] = b"retries_before";
const ANSWER: u8 = b'a';
/// How far the clock of a client may be ahead, in milliseconds: its keys are remembered for that
/// much longer. A key that says it was made later than that would outlive its answer.
const AHEAD_MS_MAX: u64 = 10 * 60_000;
const ENTRY: u8 = b'e';

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    fingerprint: u64,
    index: u64,
    result: CommandResult,
}

/// The calls of the log entry that is being applied.
#[derive(Default)]
pub(super) struct CallsSoFar {
    keys: Vec<Vec<u8>>,
    /// When the newest of their keys was made.
    made_ms: u64,
}

/// The calls of one log entry. Its time is not before that of a key.
#[derive(Serialize, Deserialize)]
struct Calls {
    time_ms: u64,
    keys: Vec<Vec<u8>>,
}

/// A user's key in the table. Users do not see each other's.
fn answer_key(user: Option<&str>, key: &str) -> Vec<u8> {
    [&[ANSWER], user.unwrap_or_default().as_bytes(), &[0], key.as_bytes()].concat()
}

fn entry_key(index: u64) -> Vec<u8> {
    [&[ENTRY][..], &index.to_be_bytes()].concat()
}

/// When a key was made, in milliseconds since 1970, if it tells.
fn made_ms(key: &str) -> Option<u64> {
    // A key may have more behind the UUID: one call can have several steps.
    let id = uuid::Uuid::parse_str(key.get(..36)?).ok()?;
    let (seconds, nanos) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    Some(seconds * 1000 + u64::from(nanos / 1_000_000))
}

/// The answer that a call got, if it was made.
pub fn answer(read: &impl Read, user: Option<&str>, key: &str) -> Result<Option<Answer>> {
    let stored: Option<Stored> = catalog::stored(read, Table::Retries, &answer_key(user, key))?;
    Ok(stored.map(|stored| Answer { result: stored.result, repeats: Some(stored.index) }))
}

/// Time of the oldest calls that are remembered.
pub fn oldest_ms(read: &impl Read) -> Result<Option<u64>> {
    let mut rows = read.range(Table::Retries, &[ENTRY], &[ENTRY + 1])?;
    let Some(row) = rows.next() else { return Ok(None) };
    Ok(Some(catalog::decode::<Calls>(row?.1)?.time_ms))
}

impl Applier {
    /// The answer to a call that was made before, or why it cannot be told.
    pub(super) fn repeated(
        &mut self,
        txn: &WriteTxn<'_>,
        user: Option<&str>,
        retry: &RetryKey,
    ) -> Result<Option<Answer>> {
        let key = answer_key(user, &retry.key);
        if key.len() > crate::storage::keys::KEY_BYTES_MAX {
            let error = Error::new(Kind::InvalidParameter, "the Idempotency-Key is too long")
                .hint("use a shorter one, such as a UUID");
            return Ok(Some(Answer { result: Err(error), repeats: None }));
        }
        if let Some(stored) = catalog::stored::<Stored>(txn, Table::Retries, &key)? {
            if stored.fingerprint != retry.fingerprint {
                let message = "this Idempotency-Key was used for another call";
                let error = Error::new(Kind::IdempotencyKeyReused, message)
                    .hint("use a new key for every call, and the same only to repeat one");
                return Ok(Some(Answer { result: Err(error), repeats: None }));
            }
            return Ok(Some(Answer { result: stored.result, repeats: Some(stored.index) }));
        }
        let Some(made) = made_ms(&retry.key) else { return Ok(None) };
        let forgotten = catalog::counter(txn, HORIZON_KEY)?;
        let old = made <= forgotten;
        if old || made > self.numbers.time_ms.saturating_add(AHEAD_MS_MAX) {
            let message = match old {
                true => "this Idempotency-Key is so old that its call may be forgotten",
                false => "this Idempotency-Key says that it was made in the future",
            };
            let error = Error::new(Kind::IdempotencyKeyExpired, message)
                .hint("look whether the write happened, and repeat it with a new key if not; a UUIDv7 tells the time, so the client's clock must be right")
                .details(serde_json::json!({"now_ms": self.numbers.time_ms}));
            return Ok(Some(Answer { result: Err(error), repeats: None }));
        }
        Ok(None)
    }

    /// Remembers the answer to a call.
    pub(super) fn remember_answer(
        &mut self,
        txn: &mut WriteTxn<'_>,
        retry: RetryKey,
        result: &CommandResult,
    ) -> Result<()> {
        let key = answer_key(self.now.user.as_deref(), &retry.key);
        let made = made_ms(&retry.key).unwrap_or_default();
        self.calls.made_ms = self.calls.made_ms.max(made);
        let (fingerprint, index) = (retry.fingerprint, self.now.index);
        let stored = Stored { fingerprint, index, result: result.clone() };
        txn.put(Table::Retries, &key, &catalog::encode(&stored)?)?;
        if !self.provisional {
            self.calls.keys.push(key);
        }
        Ok(())
    }

    /// Ends the calls of one log entry.
    pub(super) fn end_calls(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        let CallsSoFar { keys, made_ms } = std::mem::take(&mut self.calls);
        if keys.is_empty() {
            return Ok(());
        }
        let calls = Calls { time_ms: self.numbers.time_ms.max(made_ms), keys };
        txn.put(Table::Retries, &entry_key(self.now.index), &catalog::encode(&calls)?)
    }

    /// [`Command::ForgetRetries`](super::Command::ForgetRetries)
    pub(super) fn forget_retries(
        &mut self,
        txn: &mut WriteTxn<'_>,
        before_ms: u64,
        rows: usize,
    ) -> Applied {
        let mut old = Vec::new();
        for row in txn.range(Table::Retries, &[ENTRY], &[ENTRY + 1])?.take(rows) {
            let (key, value) = row?;
            let calls: Calls = catalog::decode(value)?;
            if calls.time_ms >= before_ms {
                break;
            }
            old.push((key.to_vec(), calls));
        }
        let worked = old.len() as u64;
        for (key, calls) in old {
            for answer in calls.keys {
                txn.delete(Table::Retries, &answer)?;
            }
            txn.delete(Table::Retries, &key)?;
            let horizon = catalog::counter(txn, HORIZON_KEY)?.max(calls.time_ms);
            txn.put(Table::Meta, HORIZON_KEY, &horizon.to_be_bytes())?;
        }
        Ok(Ok(Outcome::Worked(worked)))
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
