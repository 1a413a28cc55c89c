//! Remembering the answers to calls, and forgetting them.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::catalog;
use crate::cbor;
use crate::command::{
    Batch, BatchStep, Command, CommandResult, Operation, OperationResult, Outcome, Part,
    ProposalResult, RetryKey, Returning, WriteTotals,
};
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::retry::{
    Calls, ENTRY, HASH, HASHES, HASHES_KEPT_MS, HORIZON_KEY, Hashes, Progress, Reference,
    RetryUsage, StoredAnswer, USED, answer_key, hash_of, leaves_hash, made_ms, numbered, oldest,
    partly, parts, repeated, stored,
};
use crate::storage::{Read, Result, Table, WriteTxn, keys};
use minicbor::bytes::ByteVec;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use xxhash_rust::xxh3::xxh3_64;

/// Where the documents of a command's result come from.
pub(super) enum Origins {
    /// It has none.
    None,
    /// One operation.
    One(Namespace),
    /// The steps of a batch, either way.
    Batch { then: Vec<Namespace>, otherwise: Vec<Namespace> },
}

/// The calls of the log entry that is being applied.
#[derive(Default)]
pub(super) struct PendingCalls {
    keys: Vec<ByteVec>,
    /// When the newest of their keys was made.
    made_ms: u64,
}

/// How far the clock of a client may be ahead, in milliseconds: its keys are remembered for that
/// much longer. A key that says it was made later than that would outlive its answer.
const AHEAD_MS_MAX: u64 = 10 * 60_000;

/// Bytes of an answer from which on it is remembered without warnings, and then as totals.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Bytes of an error's message that are remembered of an answer that is too large.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// What the storage takes for a row beside its key and value, roughly.
pub(super) const ROW_BYTES: u64 = 40;

/// What the storage takes for the hash of a key.
const HASH_BYTES: u64 = 2 * ROW_BYTES;

impl Applier {
    /// The answer to a call that was made before, or why it is not carried out.
    pub(super) fn repeated(
        &mut self,
        txn: &mut WriteTxn<'_>,
        user: Option<&str>,
        retry: &RetryKey,
    ) -> Result<Option<ProposalResult>> {
        let key = answer_key(user, &retry.key);
        if key.len() > keys::KEY_BYTES_MAX {
            let error = Error::new(Kind::InvalidParameter, "the idempotency key is too long")
                .hint("use a shorter one, such as a UUID");
            return refuse(error);
        }
        if txn.get(Table::Retries, &key)?.is_some() {
            // Changes of this log entry may not be in the table yet.
            self.store_changes(txn)?;
            return repeated(txn, user, retry);
        }
        let now_ms = self.counters.time_ms;
        let expired = |message: &str| {
            Error::new(Kind::IdempotencyKeyExpired, message)
                .hint("look whether the write happened, and repeat it with a new key if not; a UUIDv7 contains the time, so the client's clock must be right")
                .details(json!({"now_ms": now_ms}))
        };
        if retry.part.as_ref().is_some_and(|part| part.number > 0) {
            return refuse(expired("the beginning of this call is forgotten"));
        }
        match made_ms(&retry.key) {
            Some(made) if made <= catalog::counter(txn, HORIZON_KEY)? => {
                return refuse(expired(
                    "this idempotency key is so old that its call may be forgotten",
                ));
            }
            Some(made) if made > now_ms.saturating_add(AHEAD_MS_MAX) => {
                return refuse(expired("this idempotency key says that it was made in the future"));
            }
            None if txn.get(Table::Retries, &numbered(HASH, hash_of(&key)))?.is_some() => {
                return refuse(expired(
                    "this idempotency key was used for a call whose answer is forgotten",
                ));
            }
            _ => {}
        }
        if self.provisional {
            return Ok(None);
        }
        let RetryUsage { answers, hashes } = *self.used(txn, user.unwrap_or_default())?;
        let used = if leaves_hash(&retry.key) { answers + hashes } else { answers };
        if used < retry.bytes_max {
            return Ok(None);
        }
        let message = format!(
            "the answers that are remembered for your calls with an idempotency key take {} MB",
            used >> 20
        );
        let hint = match answers >= retry.bytes_max {
            true => {
                "make calls more slowly, or fewer of them with a key: an answer is kept for IdempotencyMinutes, and IdempotencyMb sets the bound"
            }
            false => "use UUIDv7 as keys: of others a trace stays for a day",
        };
        refuse(Error::new(Kind::IdempotencyFull, message).hint(hint))
    }

    pub(super) fn used(&mut self, read: &impl Read, user: &str) -> Result<&mut RetryUsage> {
        if !self.counters.calls.contains_key(user) {
            let used = catalog::stored(read, Table::Retries, &used_key(user))?;
            self.counters.calls.insert(user.to_owned(), used.unwrap_or_default());
        }
        Ok(self.counters.calls.entry(user.to_owned()).or_default())
    }

    /// Remembers the answer to a call.
    pub(super) fn remember_answer(
        &mut self,
        txn: &mut WriteTxn<'_>,
        retry: RetryKey,
        result: &CommandResult,
        origins: Origins,
    ) -> Result<()> {
        let user = self.current.user.clone().unwrap_or_default();
        let key = answer_key(Some(&user), &retry.key);
        let before = stored(txn, &key)?;
        let (fingerprint, index) = (retry.fingerprint, self.current.index);
        let mut answer = StoredAnswer {
            fingerprint,
            index,
            result: Ok(Outcome::Done),
            documents: Vec::new(),
            progress: None,
        };
        if let Some(part) = &retry.part {
            let written = before.as_ref().and_then(|before| before.progress);
            let written = written.map_or(0, |progress| progress.written);
            let (result, progress) = part_result(part, written, result);
            answer = StoredAnswer { result, progress: Some(progress), ..answer };
        } else {
            answer.result = result.clone();
            // Tentative changes are in no history.
            if !self.provisional {
                answer.documents =
                    take_documents(&mut answer.result, origins, self.current.first_change);
            }
        }
        let mut value = cbor::encode(&answer)?;
        if value.len() > ANSWER_BYTES_MAX && !self.provisional {
            answer.result = shortened(answer.result);
            value = cbor::encode(&answer)?;
        }
        txn.put(Table::Retries, &key, &value)?;
        if self.provisional {
            return Ok(());
        }
        let freed = before.map_or(Ok(0), |before| bytes_of(&key, &before))?;
        let taken = bytes_of(&key, &answer)?;
        let used = self.used(txn, &user)?;
        used.answers = (used.answers + taken).saturating_sub(freed);
        let made = made_ms(&retry.key).unwrap_or_default();
        self.calls.made_ms = self.calls.made_ms.max(made);
        self.calls.keys.push(key.into());
        Ok(())
    }

    /// Ends the calls of one log entry.
    pub(super) fn end_calls(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        let PendingCalls { keys, made_ms } = std::mem::take(&mut self.calls);
        if keys.is_empty() {
            return Ok(());
        }
        let calls = Calls { time_ms: self.counters.time_ms.max(made_ms), keys };
        txn.put(Table::Retries, &numbered(ENTRY, self.current.index), &cbor::encode(&calls)?)
    }

    /// [`Command::ForgetRetries`](super::Command::ForgetRetries): whole log entries, until a number
    /// of keys is forgotten, and then hashes that were kept for long enough.
    pub(super) fn forget_retries(
        &mut self,
        txn: &mut WriteTxn<'_>,
        before_ms: u64,
        keys_max: usize,
    ) -> ApplyResult {
        let mut worked = 0;
        while worked < keys_max {
            let Some((row, calls)) = oldest::<Calls>(txn, ENTRY)? else { break };
            if calls.time_ms >= before_ms {
                break;
            }
            worked += calls.keys.len().max(1);
            txn.delete(Table::Retries, &row)?;
            let horizon = catalog::counter(txn, HORIZON_KEY)?.max(calls.time_ms);
            txn.put(Table::Meta, HORIZON_KEY, &horizon.to_be_bytes())?;
            self.forget_calls(txn, &row, calls)?;
        }
        let hashes_before = self.counters.time_ms.saturating_sub(HASHES_KEPT_MS);
        while worked < keys_max {
            let Some((row, hashes)) = oldest::<Hashes>(txn, HASHES)? else { break };
            if hashes.time_ms >= hashes_before {
                break;
            }
            txn.delete(Table::Retries, &row)?;
            for (user, of_user) in hashes.of {
                worked += of_user.len();
                let used = self.used(txn, &user)?;
                used.hashes = used.hashes.saturating_sub(of_user.len() as u64 * HASH_BYTES);
                for hash in of_user {
                    let key = numbered(HASH, hash);
                    // Two keys of one hash: the younger keeps it.
                    if txn.get(Table::Retries, &key)? == Some(&row[1..]) {
                        txn.delete(Table::Retries, &key)?;
                    }
                }
            }
        }
        Ok(Outcome::Worked(worked as u64))
    }

    /// Forgets the answers of one log entry, whose row begins with its number.
    fn forget_calls(&mut self, txn: &mut WriteTxn<'_>, row: &[u8], calls: Calls) -> Result<()> {
        let mut hashes = Hashes { time_ms: calls.time_ms, of: BTreeMap::new() };
        for key in calls.keys {
            // A call of several commands is in the row of each; the last one counts.
            let Some(answer) = stored(txn, &key)? else { continue };
            if answer.index.to_be_bytes() != row[1..] {
                continue;
            }
            txn.delete(Table::Retries, &key)?;
            let (user, name) = parts(&key);
            let leaves_hash = leaves_hash(name);
            let freed = bytes_of(&key, &answer)?;
            let used = self.used(txn, &user)?;
            used.answers = used.answers.saturating_sub(freed);
            if leaves_hash {
                used.hashes += HASH_BYTES;
                let hash = hash_of(&key);
                txn.put(Table::Retries, &numbered(HASH, hash), &row[1..])?;
                hashes.of.entry(user).or_default().push(hash);
            }
        }
        if hashes.of.is_empty() {
            return Ok(());
        }
        let key = [&[HASHES], &row[1..]].concat();
        txn.put(Table::Retries, &key, &cbor::encode(&hashes)?)
    }
}

/// Where the documents of a command's result come from.
pub(super) fn origins(command: &Command) -> Origins {
    match command {
        Command::Write(write) => match write.operations.as_slice() {
            [Operation::Modify { returning, .. } | Operation::Delete { returning, .. }]
                if *returning != Returning::Nothing =>
            {
                Origins::One(write.namespace.clone())
            }
            _ => Origins::None,
        },
        Command::Batch(batch) => {
            let Batch { then, otherwise, .. } = &**batch;
            let gets = |(_, step): &(Namespace, BatchStep)| matches!(step, BatchStep::Get(_));
            if !then.iter().chain(otherwise).any(gets) {
                return Origins::None;
            }
            let names = |steps: &[(Namespace, BatchStep)]| {
                steps.iter().map(|(namespace, _)| namespace.clone()).collect()
            };
            Origins::Batch { then: names(then), otherwise: names(otherwise) }
        }
        _ => Origins::None,
    }
}

/// Takes the documents out of a result, and returns where they are found.
fn take_documents(result: &mut CommandResult, origins: Origins, change: u32) -> Vec<Reference> {
    let (results, namespaces): (Vec<&mut OperationResult>, Vec<Namespace>) = match (result, origins)
    {
        (Ok(Outcome::OperationResults(results)), Origins::One(namespace)) => {
            (results.iter_mut().filter_map(|one| one.as_mut().ok()).collect(), vec![namespace])
        }
        (Ok(Outcome::Batched { succeeded, results }), Origins::Batch { then, otherwise }) => {
            (results.iter_mut().collect(), if *succeeded { then } else { otherwise })
        }
        _ => return Vec::new(),
    };
    let mut references = Vec::new();
    for (at, (wrote, namespace)) in results.into_iter().zip(namespaces).enumerate() {
        let Some(text) = &wrote.document else { continue };
        let Some(id) = id_of(text) else { continue };
        let changes = wrote.modified + wrote.deleted > 0 || wrote.inserted.is_some();
        references.push(Reference {
            result: at as u32,
            namespace,
            id,
            change: changes.then_some(change),
            hash: xxh3_64(text.as_bytes()),
        });
        wrote.document = None;
    }
    references
}

/// The `_id` of a document's text.
fn id_of(text: &str) -> Option<DocumentId> {
    #[derive(Deserialize)]
    struct Head {
        _id: DocumentId,
    }
    serde_json::from_str::<Head>(text).ok().map(|head| head._id)
}

/// A result that takes fewer bytes: without warnings, then without what each operation did.
fn shortened(result: CommandResult) -> CommandResult {
    let bare = |mut wrote: OperationResult| {
        wrote.warnings.clear();
        wrote
    };
    Ok(match result.map_err(short)? {
        Outcome::OperationResults(results) => {
            let results = results.into_iter().map(|one| one.map(bare).map_err(short));
            let results: Vec<_> = results.collect();
            let bytes = cbor::len(&results);
            match results.len() > 1 && bytes > ANSWER_BYTES_MAX {
                true => Outcome::WriteTotals(Box::new(totals(results))),
                false => Outcome::OperationResults(results),
            }
        }
        Outcome::Batched { succeeded, results } => {
            Outcome::Batched { succeeded, results: results.into_iter().map(bare).collect() }
        }
        Outcome::Warned { outcome, .. } => *outcome,
        other => other,
    })
}

fn short(error: Error) -> Error {
    let mut end = error.message.len().min(MESSAGE_BYTES_MAX);
    while !error.message.is_char_boundary(end) {
        end -= 1;
    }
    Error { message: error.message[..end].to_owned(), details: None, ..error }
}

pub(super) fn totals(results: Vec<error::Result<OperationResult>>) -> WriteTotals {
    let mut totals = WriteTotals::default();
    for (at, result) in results.into_iter().enumerate() {
        match result {
            Ok(wrote) => {
                totals.matched += wrote.matched;
                totals.modified += wrote.modified;
                totals.deleted += wrote.deleted;
                totals.inserted += u64::from(wrote.inserted.is_some() && !wrote.upserted);
            }
            Err(error) => {
                totals.failed.get_or_insert((at as u64, error));
            }
        }
    }
    totals
}

/// What is remembered of a part of a call: how far it is, or why it has ended.
fn part_result(part: &Part, before: u64, result: &CommandResult) -> (CommandResult, Progress) {
    let (done, error) = match result {
        Err(error) => (0, Some(error)),
        Ok(Outcome::OperationResults(results)) => {
            let done = results.iter().filter(|one| one.is_ok()).count() as u64;
            (done, results.iter().find_map(|one| one.as_ref().err()))
        }
        Ok(_) => (0, None),
    };
    let Part { run, number, written, total, last } = *part;
    let written = if error.is_some() { before + done } else { written };
    let done = last || error.is_some();
    let progress = Progress { run, next: number + 1, written, total, done };
    match error {
        None => (Ok(Outcome::Output { written }), progress),
        Some(error) => (Err(partly(error.clone(), written, total)), progress),
    }
}

pub(super) fn refuse(error: Error) -> Result<Option<ProposalResult>> {
    Ok(Some(ProposalResult { result: Err(error), repeats: None }))
}

/// Bytes that an answer takes: its row, and its key in that of its log entry.
pub(super) fn bytes_of(key: &[u8], answer: &StoredAnswer) -> Result<u64> {
    let value = cbor::encode(answer)?.len() as u64;
    Ok(value + 2 * key.len() as u64 + ROW_BYTES)
}

fn used_key(user: &str) -> Vec<u8> {
    [&[USED], user.as_bytes()].concat()
}

/// Stores how many bytes the calls of each user take.
pub(super) fn save(txn: &mut WriteTxn<'_>, calls: &mut HashMap<String, RetryUsage>) -> Result<()> {
    for (user, used) in calls.drain() {
        match used == RetryUsage::default() {
            true => txn.delete(Table::Retries, &used_key(&user)).map(drop)?,
            false => txn.put(Table::Retries, &used_key(&user), &cbor::encode(&used)?)?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "retries_tests.rs"]
mod tests;
