//! The one error type of a node: a stable code, a status, a message and the next step.
//!
//! Errors made in `engine/` are deterministic: every replica makes the same one for the same
//! log entry. Errors that are not (storage, network) never come out of `engine::apply`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Result of anything that may fail with an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident $code:literal $status:literal;)*) => {
        /// Every error a node can answer with. The code and status are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind { $($(#[doc = $doc])* $kind,)* }

        impl Kind {
            /// The stable, machine-readable code.
            pub fn code(self) -> &'static str {
                match self { $(Kind::$kind => $code,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Kind::$kind => $status,)* }
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
    InvalidJson "invalid_json" 400;
    /// An object has the same key twice.
    DuplicateKey "duplicate_key" 400;
    /// The document or body has the wrong shape.
    InvalidBody "invalid_body" 400;
    /// The document is nested too deep.
    TooDeep "too_deep" 400;
    /// The `_id` cannot be used.
    InvalidId "invalid_id" 400;
    /// The name of a database or collection cannot be used.
    InvalidName "invalid_name" 400;
    /// A filter, update, pipeline, index or schema has a part that cannot be.
    InvalidQuery "invalid_query" 400;
    /// A text in one of the query languages does not parse.
    SyntaxError "syntax_error" 400;
    /// A query parameter is missing or has a wrong value.
    InvalidParameter "invalid_parameter" 400;
    /// The address of a node cannot be used.
    InvalidUrl "invalid_url" 400;
    /// No credentials, or an ended session.
    NotAuthenticated "not_authenticated" 401;
    /// Wrong user name or password.
    BadCredentials "bad_credentials" 401;
    /// The calling node does not know this cluster's secret.
    BadClusterSecret "bad_cluster_secret" 401;
    /// The token of a new node is unknown, used or expired.
    BadJoinToken "bad_join_token" 401;
    /// A call between nodes came a second time.
    Replayed "replayed_call" 401;
    /// The calling node has not shown a certificate of the nodes' authority for its host.
    BadCertificate "bad_certificate" 403;
    /// The user may not do this.
    Forbidden "forbidden" 403;
    /// The user is disabled.
    UserDisabled "user_disabled" 403;
    /// A change authenticated by cookie without the header that a foreign page cannot send.
    CrossSite "cross_site_request" 403;
    /// Nothing at this path.
    RouteNotFound "route_not_found" 404;
    /// The path exists, the method does not.
    MethodNotAllowed "method_not_allowed" 405;
    /// No such database.
    DatabaseNotFound "database_not_found" 404;
    /// No such collection.
    CollectionNotFound "collection_not_found" 404;
    /// No such document.
    DocumentNotFound "document_not_found" 404;
    /// No such version of the document.
    VersionNotFound "version_not_found" 404;
    /// No such index.
    IndexNotFound "index_not_found" 404;
    /// No such user.
    UserNotFound "user_not_found" 404;
    /// No such session, API key or join token.
    TokenNotFound "token_not_found" 404;
    /// No such node.
    NodeNotFound "node_not_found" 404;
    /// The `_id` is taken.
    DuplicateId "duplicate_id" 409;
    /// Another document has the same value in a unique index.
    UniqueViolation "unique_violation" 409;
    /// An index of this name or with these fields exists and is defined otherwise.
    IndexConflict "index_conflict" 409;
    /// A user of this name exists.
    UserExists "user_exists" 409;
    /// Nobody could administer the cluster any more.
    LastAdmin "last_admin" 409;
    /// A database or collection of this name exists.
    NameTaken "name_taken" 409;
    /// The node id or URL is registered otherwise.
    NodeConflict "node_conflict" 409;
    /// The node belongs to another cluster.
    ForeignCluster "foreign_cluster" 409;
    /// The node was removed, or its disk was emptied.
    StaleNode "stale_node" 409;
    /// The operation would leave the cluster without a quorum.
    WouldLoseQuorum "would_lose_quorum" 409;
    /// The cluster is not in a state that allows the operation.
    NotPossibleNow "not_possible_now" 409;
    /// This node runs alone (`distributed: false`).
    NotDistributed "not_distributed" 409;
    /// Something that the transaction has read was changed by somebody else.
    TransactionConflict "transaction_conflict" 409;
    /// No such open transaction: it has ended, or the leader that held it is gone.
    TransactionLost "transaction_lost" 409;
    /// The key of a repeated call is so old that its call may be forgotten.
    IdempotencyKeyExpired "idempotency_key_expired" 409;
    /// The call changes or deletes many documents, and asked to be refused then.
    NeedsConfirmation "needs_confirmation" 409;
    /// The collection keeps no versions.
    VersionsOff "versions_off" 409;
    /// What is asked for was kept once and is kept no longer.
    TooOld "too_old" 410;
    /// The document has another revision.
    RevisionMismatch "revision_mismatch" 412;
    /// The body is too large.
    TooLarge "too_large" 413;
    /// The query would keep more in memory than it may, or write more than one command may.
    QueryTooLarge "query_too_large" 413;
    /// The transaction writes more than it may.
    TransactionTooLarge "transaction_too_large" 413;
    /// The request cannot be served here; it names another node, group or cluster.
    Misdirected "misdirected" 421;
    /// A call between nodes was made for another process than this.
    WrongProcess "wrong_process" 421;
    /// A document breaks a rule or the schema of its collection.
    ValidationFailed "validation_failed" 422;
    /// A document is referenced by others.
    Referenced "referenced" 422;
    /// An update or expression cannot be carried out on this document.
    NotApplicable "not_applicable" 422;
    /// A value is too long for an index, or two arrays meet in one compound index.
    NotIndexable "not_indexable" 422;
    /// The key of a repeated call was used for another one.
    IdempotencyKeyReused "idempotency_key_reused" 422;
    /// The call cannot be made inside a transaction.
    NotInTransaction "not_in_transaction" 422;
    /// A transaction would span groups of nodes that decide independently.
    CrossGroup "cross_group_transaction" 422;
    /// The query took longer than it may.
    TimeLimit "time_limit" 422;
    /// The probed address does not answer as a node.
    NotANode "not_a_node" 422;
    /// The probed address cannot be reached.
    NodeUnreachable "node_unreachable" 422;
    /// No node may be at the probed address.
    AddressRefused "address_refused" 422;
    /// The probed node has another cluster secret.
    SecretMismatch "secret_mismatch" 422;
    /// Too many wrong passwords.
    TooManyAttempts "too_many_attempts" 429;
    /// Too many calls at once.
    Overloaded "overloaded" 429;
    /// The answers that are remembered for the user's calls take as much as they may.
    IdempotencyFull "idempotency_full" 429;
    /// A stored value is damaged, or the node failed.
    Internal "internal" 500;
    /// The caller, or what it may do, was changed at this moment.
    UserChanged "user_changed" 503;
    /// No leader at the moment.
    NoLeader "no_leader" 503;
    /// This node is not part of a cluster yet.
    NotRegistered "not_registered" 503;
    /// This node has no copy of the cluster's state yet.
    Starting "starting" 503;
    /// This node was removed from its cluster.
    Removed "removed" 503;
    /// This node is paused.
    Paused "paused" 503;
    /// The node is stopping.
    Stopping "stopping" 503;
    /// The write was proposed and its outcome is not known.
    OutcomeUnknown "outcome_unknown" 504;
    /// No confirmation from a quorum in time.
    Timeout "timeout" 503;
    /// The write stood in a log entry that could not be applied and was refused by an operator.
    EntryRefused "entry_refused" 500;
    /// The disk or the storage's address space is full.
    StorageFull "storage_full" 507;
}

impl Kind {
    /// The next step where an error names none of its own: for errors that already say what is
    /// wrong, where, and what would be right.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Kind::InvalidQuery => {
                Some("correct the part of the query that is named, and send it again")
            }
            Kind::NotApplicable => {
                Some("change the update or expression, or leave such documents out with the filter")
            }
            Kind::ValidationFailed => {
                Some("correct the fields that are named, and send the document again")
            }
            _ => None,
        }
    }
}

/// What went wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Which error it is.
    pub kind: Kind,
    /// One sentence that names the value that was wrong.
    pub message: String,
    /// The next step for the person who reads it.
    pub hint: Option<String>,
    /// Values that belong to the code, for programs.
    #[serde(with = "as_text")]
    pub details: Option<Box<Value>>,
    /// Log index of what was done all the same, when something was.
    #[serde(skip)]
    pub index: Option<u64>,
    /// Whether it was the answer before, to an earlier call with the same key.
    #[serde(skip)]
    pub repeated: bool,
}

/// Free JSON as text: binary forms that do not say what comes next cannot hold it otherwise.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Box<Value>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Box<Value>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let parse = |text: String| serde_json::from_str(&text).map_err(serde::de::Error::custom);
        text.map(parse).transpose()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_details_in_a_binary_form() {
        let error = Error::new(Kind::DuplicateId, "m").details(serde_json::json!({"id": [1, "a"]}));
        let bytes = postcard::to_stdvec(&error).unwrap();
        assert_eq!(postcard::from_bytes::<Error>(&bytes).unwrap(), error);
    }

    #[test]
    fn every_code_is_used_once_and_every_status_is_an_error() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| (400..600).contains(&kind.status())));
    }
}
