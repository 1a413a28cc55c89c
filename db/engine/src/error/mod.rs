//! The one error type of a node: a stable code, a message and the next step.
//!
//! Errors made in `engine/` are deterministic: every replica makes the same one for the same
//! log entry. Errors that are not (storage, network) never come out of `engine::apply`.

mod missing;
mod stored;
pub mod violation;

pub use missing::{
    collection_not_found, database_not_found, document_not_found, duplicate, key_reused,
    unique_violation,
};

use crate::storage::StorageError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Result of anything that may fail with an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What errors have in common for a caller, whatever protocol it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The request cannot be understood.
    Invalid,
    /// The caller has not proven who it is.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// Something that is named does not exist.
    NotFound,
    /// It exists, and does not take such a request.
    NotSupported,
    /// The present state does not allow it.
    Conflict,
    /// It existed, and is kept no longer.
    Gone,
    /// A condition of the request does not hold.
    Precondition,
    /// The request, or what it needs, is larger than allowed.
    TooLarge,
    /// The request is for somebody else.
    Misdirected,
    /// The request is understood, but cannot be carried out on what there is.
    Unprocessable,
    /// Nothing was done: too much at once; it may be tried again.
    Busy,
    /// The node failed.
    Failed,
    /// Nothing was done: the node cannot serve now; it may be tried again.
    Unavailable,
    /// The outcome is not known.
    Unknown,
    /// Nothing was done: there is no space left.
    Full,
}

impl ErrorClass {
    /// Whether nothing was done, and the same request may succeed later.
    pub fn may_be_repeated(self) -> bool {
        matches!(self, ErrorClass::Busy | ErrorClass::Unavailable | ErrorClass::Full)
    }
}

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident $code:literal $class:ident;)*) => {
        /// Every error a node can answer with. The codes are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind { $($(#[doc = $doc])* $kind,)* }

        impl Kind {
            /// The stable, machine-readable code.
            pub fn code(self) -> &'static str {
                match self { $(Kind::$kind => $code,)* }
            }

            /// What all errors like it have in common.
            pub fn class(self) -> ErrorClass {
                match self { $(Kind::$kind => ErrorClass::$class,)* }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Kind::$kind => concat!($($doc),*).trim_ascii(),)* }
            }

            /// All kinds, for the documentation and its test.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];
        }
    };
}

error_kinds! {
    /// The body is not JSON.
    InvalidJson "invalid_json" Invalid;
    /// An object has the same key twice.
    DuplicateKey "duplicate_key" Invalid;
    /// The document or body has the wrong shape.
    InvalidBody "invalid_body" Invalid;
    /// The document is nested too deep.
    TooDeep "too_deep" Invalid;
    /// The `_id` cannot be used.
    InvalidId "invalid_id" Invalid;
    /// The name of a database or collection cannot be used.
    InvalidName "invalid_name" Invalid;
    /// A filter, update, pipeline, index or schema has a part that cannot be.
    InvalidQuery "invalid_query" Invalid;
    /// A text in one of the query languages does not parse.
    SyntaxError "syntax_error" Invalid;
    /// A parameter is missing or has a wrong value.
    InvalidParameter "invalid_parameter" Invalid;
    /// The address of a node cannot be used.
    InvalidUrl "invalid_url" Invalid;
    /// No credentials, or an ended session.
    NotAuthenticated "not_authenticated" Unauthenticated;
    /// Wrong user name or password.
    BadCredentials "bad_credentials" Unauthenticated;
    /// The calling node does not know this cluster's secret.
    BadClusterSecret "bad_cluster_secret" Unauthenticated;
    /// The token of a new node is unknown, used or expired.
    BadJoinToken "bad_join_token" Unauthenticated;
    /// A call between nodes came a second time.
    Replayed "replayed_call" Unauthenticated;
    /// The calling node has not shown a certificate of the nodes' authority for its host.
    BadCertificate "bad_certificate" Forbidden;
    /// The user may not do this.
    Forbidden "forbidden" Forbidden;
    /// The user is disabled.
    UserDisabled "user_disabled" Forbidden;
    /// A change that a page of another site may have sent in the name of a logged-in user.
    CrossSite "cross_site_request" Forbidden;
    /// Nothing at this path.
    RouteNotFound "route_not_found" NotFound;
    /// The path exists, the method does not.
    MethodNotAllowed "method_not_allowed" NotSupported;
    /// No such database.
    DatabaseNotFound "database_not_found" NotFound;
    /// No such collection.
    CollectionNotFound "collection_not_found" NotFound;
    /// No such document.
    DocumentNotFound "document_not_found" NotFound;
    /// No such version of the document.
    VersionNotFound "version_not_found" NotFound;
    /// No such index.
    IndexNotFound "index_not_found" NotFound;
    /// No such user.
    UserNotFound "user_not_found" NotFound;
    /// No such session, API key or join token.
    TokenNotFound "token_not_found" NotFound;
    /// No such node.
    NodeNotFound "node_not_found" NotFound;
    /// No such group.
    GroupNotFound "group_not_found" NotFound;
    /// No such task, or one that has been forgotten after its end.
    TaskNotFound "task_not_found" NotFound;
    /// The `_id` is taken.
    DuplicateId "duplicate_id" Conflict;
    /// Another document has the same value in a unique index.
    UniqueViolation "unique_violation" Conflict;
    /// An index of this name or with these fields exists and is defined otherwise.
    IndexConflict "index_conflict" Conflict;
    /// A user of this name exists.
    UserExists "user_exists" Conflict;
    /// Nobody could administer the cluster any more.
    LastAdmin "last_admin" Conflict;
    /// A database or collection of this name exists.
    NameTaken "name_taken" Conflict;
    /// The node id or URL is registered otherwise.
    NodeConflict "node_conflict" Conflict;
    /// A group with this number exists.
    GroupExists "group_exists" Conflict;
    /// The group holds databases.
    GroupInUse "group_in_use" Conflict;
    /// The node holds replicas of groups.
    NodeInUse "node_in_use" Conflict;
    /// The node belongs to another cluster.
    ForeignCluster "foreign_cluster" Conflict;
    /// The node was removed, or its disk was emptied.
    StaleNode "stale_node" Conflict;
    /// The node does not support the feature level of the cluster.
    UnsupportedLevel "unsupported_feature_level" Conflict;
    /// The operation would leave the cluster without a quorum.
    WouldLoseQuorum "would_lose_quorum" Conflict;
    /// The cluster is not in a state that allows the operation.
    NotPossibleNow "not_possible_now" Conflict;
    /// This node runs alone (`distributed: false`).
    NotDistributed "not_distributed" Conflict;
    /// Something that the transaction has read was changed by somebody else.
    TransactionConflict "transaction_conflict" Conflict;
    /// No such open transaction: it has ended, or the leader that held it is gone.
    TransactionLost "transaction_lost" Conflict;
    /// The key of a repeated call is so old that its call may be forgotten.
    IdempotencyKeyExpired "idempotency_key_expired" Conflict;
    /// The call changes or deletes many documents, and asked to be refused then.
    NeedsConfirmation "needs_confirmation" Conflict;
    /// The collection keeps no versions.
    VersionsOff "versions_off" Conflict;
    /// What is asked for was kept once and is kept no longer.
    TooOld "too_old" Gone;
    /// The document has another revision.
    RevisionMismatch "revision_mismatch" Precondition;
    /// The body is too large.
    TooLarge "too_large" TooLarge;
    /// The query would keep more in memory than it may, or write more than one command may.
    QueryTooLarge "query_too_large" TooLarge;
    /// The transaction writes more than it may.
    TransactionTooLarge "transaction_too_large" TooLarge;
    /// The request cannot be served here; it names another node, group or cluster.
    Misdirected "misdirected" Misdirected;
    /// A call between nodes was made for another process than this.
    WrongProcess "wrong_process" Misdirected;
    /// A document breaks a rule or the schema of its collection.
    ValidationFailed "validation_failed" Unprocessable;
    /// A document is referenced by others.
    Referenced "referenced" Unprocessable;
    /// An update or expression cannot be carried out on this document.
    NotApplicable "not_applicable" Unprocessable;
    /// A value is too long for an index, or two arrays meet in one compound index.
    NotIndexable "not_indexable" Unprocessable;
    /// The key of a repeated call was used for another one.
    IdempotencyKeyReused "idempotency_key_reused" Unprocessable;
    /// The call cannot be made inside a transaction.
    NotInTransaction "not_in_transaction" Unprocessable;
    /// A transaction would span groups of nodes that decide independently.
    CrossGroup "cross_group_transaction" Unprocessable;
    /// The query took longer than it may.
    TimeLimit "time_limit" Unprocessable;
    /// The probed address does not answer as a node.
    NotANode "not_a_node" Unprocessable;
    /// The probed address cannot be reached.
    NodeUnreachable "node_unreachable" Unprocessable;
    /// No node may be at the probed address.
    AddressRefused "address_refused" Unprocessable;
    /// The probed node has another cluster secret.
    SecretMismatch "secret_mismatch" Unprocessable;
    /// Too many wrong passwords.
    TooManyAttempts "too_many_attempts" Busy;
    /// Too many calls at once.
    Overloaded "overloaded" Busy;
    /// The answers that are remembered for the user's calls take as much as they may.
    IdempotencyFull "idempotency_full" Busy;
    /// A stored value is damaged, or the node failed.
    Internal "internal" Failed;
    /// The caller, or what it may do, was changed at this moment.
    UserChanged "user_changed" Unavailable;
    /// The database is in another group than the one that was asked: it was created, renamed or dropped
    /// at this moment.
    PlacementChanged "placement_changed" Unavailable;
    /// The node that was called does not lead, and the call is not to be forwarded.
    NotLeader "not_leader" Unavailable;
    /// No leader at the moment.
    NoLeader "no_leader" Unavailable;
    /// This node is not part of a cluster yet.
    NotRegistered "not_registered" Unavailable;
    /// This node has no copy of the cluster's state yet.
    Starting "starting" Unavailable;
    /// This node was removed from its cluster.
    Removed "removed" Unavailable;
    /// This node is paused.
    Paused "paused" Unavailable;
    /// The node is stopping.
    Stopping "stopping" Unavailable;
    /// The write was proposed and its outcome is not known.
    OutcomeUnknown "outcome_unknown" Unknown;
    /// No confirmation from a quorum in time.
    Timeout "timeout" Unavailable;
    /// The write stood in a log entry that could not be applied and was refused by an operator.
    EntryRefused "entry_refused" Failed;
    /// The disk or the storage's address space is full.
    StorageFull "storage_full" Full;
    /// The `_id` is too long.
    IdTooLong "id_too_long" Invalid;
    /// This node is not set up for such calls.
    NotEnabled "not_enabled" Conflict;
    /// Another program uses the port.
    PortInUse "port_in_use" Invalid;
    /// The process of a node did not start.
    ProcessFailed "process_failed" Failed;
    /// A node was started, but has not become a member.
    JoinFailed "join_failed" Failed;
}

/// What went wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Which error it is.
    pub kind: Kind,
    /// One sentence that names the value that was wrong.
    pub message: String,
    /// The next step for the reader; none if it is a call, which each door names by
    /// its own means.
    pub hint: Option<String>,
    /// Values that belong to the code, for programs.
    pub details: Option<Box<Value>>,
    /// Log index of what was done all the same, when something was.
    #[serde(skip)]
    pub index: Option<u64>,
    /// Whether it was the answer before, to an earlier call with the same key.
    #[serde(skip)]
    pub repeated: bool,
}

impl Error {
    /// An error without hint and details.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            hint: None,
            details: None,
            index: None,
            repeated: false,
        }
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds values for programs.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::Full(_) => Kind::StorageFull,
            _ => Kind::Internal,
        };
        Error::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_used_once() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
    }
}
