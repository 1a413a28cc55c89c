//! Bodies and answers of transactions.

use serde::{Deserialize, Serialize};

/// Header with which a write takes effect exactly once: a second call with the same key gets the
/// answer of the first. 1 to 200 visible ASCII characters.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Header of an answer that repeats the answer to an earlier call with the same key.
pub const REPLAYED_HEADER: &str = "idempotent-replayed";

/// Header of such an answer when a document in it is no longer kept: answers are stored without
/// their documents, which are read from the history of changes.
pub const FORGOTTEN_HEADER: &str = "document-forgotten";

/// Answer of `POST /api/v1/transactions`: an open transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransactionReply {
    /// Pass it as `tx=` to the calls that belong to the transaction.
    pub id: String,
    /// Log index of the state that it reads.
    pub index: u64,
    /// Milliseconds without a call after which it ends by itself.
    pub idle_ms: u64,
    /// Milliseconds after which it ends in any case.
    pub max_ms: u64,
}

/// Answer of `POST /api/v1/transactions/{tx}/commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommitReply {
    /// `committed`.
    pub status: String,
    /// Documents that were written or deleted.
    pub writes: u64,
}

/// Answer of `GET /api/v1/transactions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransactionsReply {
    /// The open transactions that the caller may see, the oldest first.
    pub transactions: Vec<TransactionInfo>,
    /// The groups whose leaders did not answer: their transactions are not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_groups: Vec<u32>,
}

/// One open transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransactionInfo {
    /// Its id.
    pub id: String,
    /// The user that began it.
    pub user: String,
    /// Log index of the state that it reads.
    pub index: u64,
    /// Milliseconds since it was begun.
    pub age_ms: u64,
    /// Milliseconds since its last call.
    pub idle_ms: u64,
    /// Rows that it has read and that must not change before it commits.
    pub reads: u64,
    /// Documents that it will write or delete.
    pub writes: u64,
    /// Bytes of those.
    pub bytes: u64,
}
