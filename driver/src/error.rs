//! What can go wrong in a call.

use crate::hints;
use crate::wire::ErrorDetail;
use std::time::Duration;

/// Result of a driver call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed. The variant determines whether a write may have happened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster answered with an error; nothing was changed.
    #[error("{}", answer_text(detail))]
    Api {
        /// HTTP status, 400 to 599.
        status: u16,
        /// The stable code, message and hint of the answer.
        detail: Box<ErrorDetail>,
    },
    /// A write was sent and its outcome is not known: it may or may not have happened.
    #[error("the outcome is unknown: {reason}; read the document before you try again")]
    Unknown {
        /// What interrupted the call.
        reason: String,
    },
    /// A write was carried out, and the answer to an attempt of it was lost. The document of that
    /// answer is no longer kept.
    #[error("the write was carried out, but the document of its answer is no longer kept; read it")]
    Forgotten {
        /// Revision of the document after the write.
        revision: Option<u64>,
    },
    /// No node answered before the deadline; nothing was changed.
    #[error("no answer from {nodes} within {deadline:?}: {reason}")]
    Unavailable {
        /// The nodes that were tried.
        nodes: String,
        /// The deadline of the call.
        deadline: Duration,
        /// The last failure.
        reason: String,
    },
    /// No node takes a connection, and the client does not wait for one
    /// ([`end_when_unreachable`](crate::ClientBuilder::end_when_unreachable)); nothing was changed.
    #[error("no connection to {nodes}: {reason}")]
    Unreachable {
        /// The nodes that were tried.
        nodes: String,
        /// The last failure.
        reason: String,
    },
    /// An answer did not have the shape that was due.
    #[error("could not read the answer: {0}")]
    Decode(String),
    /// A value given to the driver cannot be used.
    #[error("{0}")]
    Invalid(String),
}

/// The message of an answer, and the next step.
fn answer_text(detail: &ErrorDetail) -> String {
    match hints::hint(detail) {
        Some(hint) => format!("{} ({hint})", detail.message),
        None => detail.message.clone(),
    }
}

impl Error {
    /// The stable error code of the answer, if there was one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Api { detail, .. } => Some(&detail.code),
            _ => None,
        }
    }

    /// The next step in the words of the driver, if there is one: methods in the place of HTTP
    /// routes.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Api { detail, .. } => hints::hint(detail),
            _ => None,
        }
    }

    /// Whether a transaction has ended without effect and may succeed when it is begun again:
    /// another one changed what it read (`transaction_conflict`), or the leader that held it is
    /// gone or waited too long (`transaction_lost`).
    pub fn wants_new_transaction(&self) -> bool {
        matches!(self.code(), Some("transaction_conflict" | "transaction_lost"))
    }

    /// Whether nothing was carried out only because no node could do it just now.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Error::Unavailable { .. }
                | Error::Unreachable { .. }
                | Error::Api { status: 429 | 503, .. }
        )
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Api { status, .. } => Some(*status),
            _ => None,
        }
    }
}
