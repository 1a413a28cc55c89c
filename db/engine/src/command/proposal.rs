//! What a log entry holds of a command: the command, and what its proposer knew.

use crate::command::{Command, CommandResult};
use minicbor::{CborLen, Decode, Encode};
use serde::{Deserialize, Serialize};

/// A command as it stands in the log, with what its proposer knew.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Proposal {
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    #[n(0)]
    pub time_ms: u64,
    /// On whose behalf; none when the database itself proposes it.
    #[n(1)]
    pub user: Option<String>,
    /// The address from which the call came.
    #[n(2)]
    pub from: Option<String>,
    /// What has let the user in. When it is no longer valid, the command is refused.
    #[n(3)]
    pub credentials: Option<CredentialRevisions>,
    /// The idempotency key of the call.
    #[n(4)]
    pub retry: Option<RetryKey>,
    /// The command.
    #[n(5)]
    pub command: Command,
    /// The rights epoch under which the rights of the user were checked. A data group, which does not
    /// hold the users, refuses the command under an older one than its own.
    #[n(6)]
    pub rights: Option<u64>,
}

impl From<Command> for Proposal {
    /// A command of the database itself, without a time of its own.
    fn from(command: Command) -> Self {
        let (user, from, credentials, retry) = (None, None, None, None);
        Proposal { time_ms: 0, user, from, credentials, retry, command, rights: None }
    }
}

/// Revisions of the documents that a caller was admitted by. Every change gives a new one, so
/// comparing them shows whether the caller may still do what it was admitted for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct CredentialRevisions {
    /// Revision of the user's document.
    #[n(0)]
    pub user: u64,
    /// The session or API key, with the revision of its document.
    #[n(1)]
    pub token: Option<(String, u64)>,
}

/// An idempotency key, by which a repeated call is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct RetryKey {
    /// The key that the client chose.
    #[n(0)]
    pub key: String,
    /// Hash of the call, which must be the same.
    #[n(1)]
    pub fingerprint: u64,
    /// Which part of the call it is, when the call is carried out by several commands.
    #[n(2)]
    pub part: Option<Part>,
    /// Bytes that the stored responses to its user's calls may take before the next one is refused.
    #[n(3)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Part {
    /// Random number of the run.
    #[n(0)]
    pub run: u64,
    /// Number of the part, from 0 on.
    #[n(1)]
    pub number: u32,
    /// Documents that the call has written when this part is done.
    #[n(2)]
    pub written: u64,
    /// Documents that the call writes.
    #[n(3)]
    pub total: u64,
    /// Whether it is the last part.
    #[n(4)]
    pub last: bool,
}

/// The result of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct ProposalResult {
    /// What its command did, or why it was refused.
    #[n(0)]
    pub result: CommandResult,
    /// Log index of the proposal that was carried out, when this one repeats it.
    #[n(1)]
    pub repeats: Option<u64>,
}
