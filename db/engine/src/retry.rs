//! Calls that are made exactly once: a repeated one gets the answer of the first.
//!
//! The answers are part of the state, so they survive leader changes, restarts and snapshots.
//! For each log entry a row lists the keys that it has used; the oldest rows are removed with
//! their keys when the leader proposes it. A key that carries its own time (UUIDv7) and is older
//! than what was removed is refused: nobody knows any more whether its call was carried out. Of
//! other keys a hash stays for [`HASHES_KEPT_MS`], which refuses them as well.
//!
//! An answer holds no documents: it points to the history of changes, or to the document itself
//! as long as it is the same. What a user's answers take is counted, and bounded.

use crate::catalog;
use crate::cbor::{self, DecodeOwned};
use crate::changes::{self, ResumeToken};
use crate::command::{CommandResult, OperationResult, Outcome, Part, ProposalResult, RetryKey};
use crate::error::{Error, Kind, key_reused};
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::row::Row;
use crate::storage::{Read, Result, Table, keys};
use minicbor::bytes::ByteVec;
use minicbor::{CborLen, Decode, Encode};
use serde_json::json;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HORIZON_KEY: &[u8] = b"retries_before";

const ANSWER: u8 = b'a';

pub(crate) const ENTRY: u8 = b'e';

/// Hashes of forgotten keys, each with the log index of its call.
pub(crate) const HASH: u8 = b'h';

/// The hashes of one log entry's calls.
pub(crate) const HASHES: u8 = b'f';

/// What a user's answers take.
pub(crate) const USED: u8 = b'u';

/// Time for which the hash of a forgotten key stays, from its call on, in milliseconds.
pub const HASHES_KEPT_MS: u64 = 24 * 3_600_000;

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub(crate) struct StoredAnswer {
    #[n(0)]
    pub(crate) fingerprint: u64,
    #[n(1)]
    pub(crate) index: u64,
    #[n(2)]
    pub(crate) result: CommandResult,
    /// The documents that belong into the result.
    #[n(3)]
    pub(crate) documents: Vec<Reference>,
    /// How far a call of several commands is.
    #[n(4)]
    pub(crate) progress: Option<Progress>,
}

/// How far a call of several commands is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub(crate) struct Progress {
    #[n(0)]
    pub(crate) run: u64,
    #[n(1)]
    pub(crate) next: u32,
    #[n(2)]
    pub(crate) written: u64,
    #[n(3)]
    pub(crate) total: u64,
    #[n(4)]
    pub(crate) done: bool,
}

/// Where a document of an answer is found.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub(crate) struct Reference {
    /// Number of its part in the result.
    #[n(0)]
    pub(crate) result: u32,
    #[n(1)]
    pub(crate) namespace: Namespace,
    #[n(2)]
    pub(crate) id: DocumentId,
    /// Number of the change in its log entry; none when the document was only read.
    #[n(3)]
    pub(crate) change: Option<u32>,
    /// Hash of the document's text, by which it is recognised.
    #[n(4)]
    pub(crate) hash: u64,
}

/// The calls of one log entry. Its time is not before that of a key.
#[derive(Debug, PartialEq, Encode, Decode, CborLen)]
pub(crate) struct Calls {
    #[n(0)]
    pub(crate) time_ms: u64,
    #[n(1)]
    pub(crate) keys: Vec<ByteVec>,
}

/// The hashes of forgotten keys of one log entry, by user.
#[derive(Debug, PartialEq, Encode, Decode, CborLen)]
pub(crate) struct Hashes {
    #[n(0)]
    pub(crate) time_ms: u64,
    #[n(1)]
    pub(crate) of: BTreeMap<String, Vec<u64>>,
}

/// Bytes that are kept for the calls of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub(super) struct RetryUsage {
    /// By answers.
    #[n(0)]
    pub(crate) answers: u64,
    /// By hashes of forgotten keys.
    #[n(1)]
    pub(crate) hashes: u64,
}

/// A user's key in the table. Users do not see each other's.
pub(crate) fn answer_key(user: Option<&str>, key: &str) -> Vec<u8> {
    [&[ANSWER], user.unwrap_or_default().as_bytes(), &[0], key.as_bytes()].concat()
}

/// User and key of an [`answer_key`].
pub(crate) fn parts(answer: &[u8]) -> (String, &str) {
    let text = std::str::from_utf8(answer.get(1..).unwrap_or_default()).unwrap_or_default();
    let (user, key) = text.split_once('\0').unwrap_or_default();
    (user.to_owned(), key)
}

pub(crate) fn numbered(kind: u8, number: u64) -> Vec<u8> {
    [&[kind][..], &number.to_be_bytes()].concat()
}

pub(crate) fn hash_of(answer: &[u8]) -> u64 {
    xxh3_64(answer)
}

/// When a key was made, in milliseconds since 1970, if it contains that.
pub(crate) fn made_ms(key: &str) -> Option<u64> {
    // A key may have more after the UUID: one call can have several steps.
    let id = uuid::Uuid::parse_str(key.get(..36)?).ok()?;
    let (seconds, nanos) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    Some(seconds * 1000 + u64::from(nanos / 1_000_000))
}

/// Whether a key is known by nothing but a hash once it is forgotten. What the server makes up has
/// a space in it; nobody can send it again.
pub(crate) fn leaves_hash(key: &str) -> bool {
    made_ms(key).is_none() && !key.contains(' ')
}

pub(crate) fn stored(read: &impl Read, key: &[u8]) -> Result<Option<StoredAnswer>> {
    catalog::stored(read, Table::Retries, key)
}

/// The answer that a call got, if it was made.
///
/// # Errors
/// Those of reading.
pub fn answer(read: &impl Read, user: Option<&str>, key: &str) -> Result<Option<ProposalResult>> {
    let found = stored(read, &answer_key(user, key))?;
    found.map(|stored| with_documents(read, stored)).transpose()
}

/// What a repeated call is answered with, if it is one.
///
/// # Errors
/// Those of reading.
pub fn repeated(
    read: &impl Read,
    user: Option<&str>,
    retry: &RetryKey,
) -> Result<Option<ProposalResult>> {
    let Some(stored) = stored(read, &answer_key(user, &retry.key))? else { return Ok(None) };
    if stored.fingerprint != retry.fingerprint {
        return Ok(Some(ProposalResult { result: Err(key_reused()), repeats: None }));
    }
    let Some(progress) = stored.progress.filter(|progress| !progress.done) else {
        return with_documents(read, stored).map(Some);
    };
    let is_next = |part: &Part| (part.run, part.number) == (progress.run, progress.next);
    if retry.part.as_ref().is_some_and(is_next) {
        return Ok(None);
    }
    let result = Err(unfinished(progress.written, progress.total));
    Ok(Some(ProposalResult { result, repeats: Some(stored.index) }))
}

/// The error for the repetition of a call of several commands that has not come to its end. What
/// it would write now is made of what it has written before, so it is not carried out again.
fn unfinished(written: u64, total: u64) -> Error {
    let message = format!(
        "the call with this idempotency key was begun before, and has written {written} of {total} documents"
    );
    Error::new(Kind::OutcomeUnknown, message)
        .hint("it is not begun again, but may be under way still: look at what is written, and write the rest with a new key")
        .details(json!({"written": written, "documents": total}))
}

/// An error that has ended a call of several commands, with what it had written before.
pub fn partly(error: Error, written: u64, total: u64) -> Error {
    if written == 0 {
        return error;
    }
    let message = format!("after {written} of {total} documents: {}", error.message);
    let details = json!({"written": written, "documents": total, "details": error.details});
    Error { message, ..error }.details(details)
}

/// The answer of a call that was carried out, with its documents as far as they are kept.
fn with_documents(read: &impl Read, stored: StoredAnswer) -> Result<ProposalResult> {
    let StoredAnswer { index, mut result, documents, .. } = stored;
    for reference in documents {
        let found = find(read, index, &reference)?;
        if let Some(wrote) = part_of(&mut result, reference.result) {
            match found {
                Some(text) => wrote.document = Some(text),
                None => wrote.forgotten = Some(reference.id),
            }
        }
    }
    Ok(ProposalResult { result, repeats: Some(index) })
}

fn part_of(result: &mut CommandResult, at: u32) -> Option<&mut OperationResult> {
    match result {
        Ok(Outcome::OperationResults(results)) => results.get_mut(at as usize)?.as_mut().ok(),
        Ok(Outcome::Batched { results, .. }) => results.get_mut(at as usize),
        _ => None,
    }
}

/// The text of a document that was in an answer, if it is kept.
pub(crate) fn find(read: &impl Read, index: u64, reference: &Reference) -> Result<Option<String>> {
    let fits = |text: &String| xxh3_64(text.as_bytes()) == reference.hash;
    if let Some(number) = reference.change
        && let Some(change) = changes::find(read, ResumeToken { index, number })?
        && let Some(text) = [change.after, change.before].into_iter().flatten().find(fits)
    {
        return Ok(Some(text));
    }
    let Namespace { database, collection } = &reference.namespace;
    let Some(collection) = catalog::collection(read, database, collection)? else {
        return Ok(None);
    };
    let row = read.get(Table::Documents, &keys::document_key(collection, &reference.id))?;
    let json = row.and_then(Row::decode).map(|row| row.json);
    let text = json.and_then(|json| std::str::from_utf8(json).ok()).map(str::to_owned);
    Ok(text.filter(fits))
}

/// The oldest row of a kind.
pub(crate) fn oldest<T: DecodeOwned>(read: &impl Read, kind: u8) -> Result<Option<(Vec<u8>, T)>> {
    let mut rows = read.range(Table::Retries, &[kind], &[kind + 1])?;
    let Some(row) = rows.next() else { return Ok(None) };
    let (key, value) = row?;
    Ok(Some((key.to_vec(), cbor::decode(value)?)))
}

/// Whether there are calls of before this time to forget, or hashes that were kept for long
/// enough.
///
/// # Errors
/// Those of reading.
pub fn is_due(read: &impl Read, before_ms: u64, now_ms: u64) -> Result<bool> {
    let calls = oldest::<Calls>(read, ENTRY)?;
    let hashes = oldest::<Hashes>(read, HASHES)?;
    Ok(calls.is_some_and(|(_, calls)| calls.time_ms < before_ms)
        || hashes.is_some_and(|(_, hashes)| hashes.time_ms < now_ms.saturating_sub(HASHES_KEPT_MS)))
}
