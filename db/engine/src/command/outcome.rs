//! What a command did.

use crate::error::Error;
use crate::id::DocumentId;
use serde::{Deserialize, Serialize};

/// The outcome of one command, or why it was refused. A refused command changed nothing.
pub type CommandResult = Result<Outcome, Error>;

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was carried out, or there was nothing to do.
    Done,
    /// A document was written.
    Written {
        /// Its `_id`.
        id: DocumentId,
        /// Its revision.
        revision: u64,
        /// Whether it is new.
        created: bool,
    },
    /// A document was deleted.
    Deleted,
    /// A node was admitted, or was a member already.
    Registered {
        /// Its Raft id.
        raft_id: u64,
    },
    /// The result of each operation of a [`Write`](super::Write) that was tried.
    OperationResults(Vec<crate::error::Result<OperationResult>>),
    /// An index exists now.
    Index {
        /// Its name.
        name: String,
        /// Whether it is new.
        created: bool,
    },
    /// How many documents or rows a step of upkeep has processed.
    Worked(u64),
    /// A transaction was committed, with this number of documents written or deleted.
    Committed(u64),
    /// Whether the conditions of a [`Batch`](super::Batch) held, and what each step did.
    Batched {
        /// Whether they held.
        succeeded: bool,
        /// What each step did.
        results: Vec<OperationResult>,
    },
    /// A call of several commands was carried out, and has written documents.
    Output {
        /// How many.
        written: u64,
    },
    /// As [`Outcome::OperationResults`], remembered in short.
    WriteTotals(Box<WriteTotals>),
    /// It was carried out, with warnings of a schema that only warns, each as JSON text.
    Warned {
        /// What was done.
        outcome: Box<Outcome>,
        /// The warnings.
        warnings: Vec<String>,
    },
    /// As [`Outcome::Worked`], where the step ended before its number of documents or rows,
    /// because they were large: there is more.
    Paused(u64),
}

impl Outcome {
    /// Adds the warnings of a schema that only warns.
    pub(crate) fn with_warnings(self, warnings: Vec<String>) -> Outcome {
        match warnings.is_empty() {
            true => self,
            false => Outcome::Warned { outcome: Box::new(self), warnings },
        }
    }

    /// The outcome itself, and the warnings.
    pub fn without_warnings(self) -> (Outcome, Vec<String>) {
        match self {
            Outcome::Warned { outcome, warnings } => (*outcome, warnings),
            outcome => (outcome, Vec::new()),
        }
    }
}

/// What one operation did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationResult {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// The `_id` of the document that was inserted.
    pub inserted: Option<DocumentId>,
    /// Whether the inserted document is an upsert.
    pub upserted: bool,
    /// Revision of the last document that was written.
    pub revision: Option<u64>,
    /// The document that was wanted back, as JSON text.
    pub document: Option<String>,
    /// What a schema that only warns found, as JSON text.
    pub warnings: Vec<String>,
    /// The `_id` of the document that the first answer to the call had, and that is kept no longer.
    pub forgotten: Option<DocumentId>,
}

/// What the operations of a [`Write`](super::Write) did together, when what each of them did is kept no longer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WriteTotals {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// Documents that were inserted by operations that insert.
    pub inserted: u64,
    /// The first operation that was refused, by its number.
    pub failed: Option<(u64, Error)>,
}
