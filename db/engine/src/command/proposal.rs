//! What a log entry holds of a command: the command, and what its proposer knew.

use crate::command::{Command, CommandResult};
use serde::{Deserialize, Serialize};

/// A command as it stands in the log, with what its proposer knew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    pub time_ms: u64,
    /// On whose behalf; none when the database itself proposes it.
    pub user: Option<String>,
    /// The address from which the call came.
    pub from: Option<String>,
    /// What has let the user in. When it is no longer valid, the command is refused.
    pub credentials: Option<CredentialRevisions>,
    /// The idempotency key of the call.
    pub retry: Option<RetryKey>,
    /// The command.
    pub command: Command,
}

impl From<Command> for Proposal {
    /// A command of the database itself, without a time of its own.
    fn from(command: Command) -> Self {
        let (user, from, credentials, retry) = (None, None, None, None);
        Proposal { time_ms: 0, user, from, credentials, retry, command }
    }
}

/// Revisions of the documents that a caller was admitted by. Every change gives a new one, so
/// comparing them shows whether the caller may still do what it was admitted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRevisions {
    /// Revision of the user's document.
    pub user: u64,
    /// The session or API key, with the revision of its document.
    pub token: Option<(String, u64)>,
}

/// An idempotency key, by which a repeated call is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryKey {
    /// The key that the client chose.
    pub key: String,
    /// Hash of the call, which must be the same.
    pub fingerprint: u64,
    /// Which part of the call it is, when the call is carried out by several commands.
    pub part: Option<Part>,
    /// Bytes that the stored responses to its user's calls may take before the next one is refused.
    pub bytes_max: u64,
}

impl RetryKey {
    /// A key of a call of one command, without a bound for what is remembered.
    pub fn new(key: String, fingerprint: u64) -> Self {
        RetryKey { key, fingerprint, part: None, bytes_max: u64::MAX }
    }
}

/// A part of a call that is carried out by several commands, such as `$merge`. A repetition of
/// the call would make them of other documents, so it is another run and carries none of them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Random number of the run.
    pub run: u64,
    /// Number of the part, from 0 on.
    pub number: u32,
    /// Documents that the call has written when this part is done.
    pub written: u64,
    /// Documents that the call writes.
    pub total: u64,
    /// Whether it is the last part.
    pub last: bool,
}

/// The result of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposalResult {
    /// What its command did, or why it was refused.
    pub result: CommandResult,
    /// Log index of the proposal that was carried out, when this one repeats it.
    pub repeats: Option<u64>,
}
