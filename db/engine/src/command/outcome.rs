//! What a command did.

use crate::error::Error;
use crate::id::DocumentId;
use minicbor::{CborLen, Decode, Encode};
use serde::{Deserialize, Serialize};

/// The outcome of one command, or why it was refused. A refused command changed nothing.
pub type CommandResult = Result<Outcome, Error>;

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Outcome {
    /// It was carried out, or there was nothing to do.
    #[n(0)]
    Done,
    /// A document was written.
    #[n(1)]
    Written {
        /// Its `_id`.
        #[n(0)]
        id: DocumentId,
        /// Its revision.
        #[n(1)]
        revision: u64,
        /// Whether it is new.
        #[n(2)]
        created: bool,
    },
    /// A document was deleted.
    #[n(2)]
    Deleted,
    /// A node was admitted, or was a member already.
    #[n(3)]
    Registered {
        /// Its Raft id.
        #[n(0)]
        raft_id: u64,
    },
    /// The result of each operation of a [`Write`](super::Write) that was tried.
    #[n(4)]
    OperationResults(#[n(0)] Vec<crate::error::Result<OperationResult>>),
    /// An index exists now.
    #[n(5)]
    Index {
        /// Its name.
        #[n(0)]
        name: String,
        /// Whether it is new.
        #[n(1)]
        created: bool,
    },
    /// How many documents or rows a step of upkeep has processed.
    #[n(6)]
    Worked(#[n(0)] u64),
    /// A transaction was committed, with this number of documents written or deleted.
    #[n(7)]
    Committed(#[n(0)] u64),
    /// Whether the conditions of a [`Batch`](super::Batch) held, and what each step did.
    #[n(8)]
    Batched {
        /// Whether they held.
        #[n(0)]
        succeeded: bool,
        /// What each step did.
        #[n(1)]
        results: Vec<OperationResult>,
    },
    /// A call of several commands was carried out, and has written documents.
    #[n(9)]
    Output {
        /// How many.
        #[n(0)]
        written: u64,
    },
    /// As [`Outcome::OperationResults`], remembered in short.
    #[n(10)]
    WriteTotals(#[n(0)] Box<WriteTotals>),
    /// It was carried out, with warnings of a schema that only warns, each as JSON text.
    #[n(11)]
    Warned {
        /// What was done.
        #[n(0)]
        outcome: Box<Outcome>,
        /// The warnings.
        #[n(1)]
        warnings: Vec<String>,
    },
    /// As [`Outcome::Worked`], where the step ended before its number of documents or rows,
    /// because they were large: there is more.
    #[n(12)]
    Paused(#[n(0)] u64),
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct OperationResult {
    /// Documents that matched.
    #[n(0)]
    pub matched: u64,
    /// Documents that were changed.
    #[n(1)]
    pub modified: u64,
    /// Documents that were deleted.
    #[n(2)]
    pub deleted: u64,
    /// The `_id` of the document that was inserted.
    #[n(3)]
    pub inserted: Option<DocumentId>,
    /// Whether the inserted document is an upsert.
    #[n(4)]
    pub upserted: bool,
    /// Revision of the last document that was written.
    #[n(5)]
    pub revision: Option<u64>,
    /// The document that was wanted back, as JSON text.
    #[n(6)]
    pub document: Option<String>,
    /// What a schema that only warns found, as JSON text.
    #[n(7)]
    pub warnings: Vec<String>,
    /// The `_id` of the document that the first answer to the call had, and that is kept no longer.
    #[n(8)]
    pub forgotten: Option<DocumentId>,
}

/// What the operations of a [`Write`](super::Write) did together, when what each of them did is kept no longer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Encode, Decode, CborLen)]
pub struct WriteTotals {
    /// Documents that matched.
    #[n(0)]
    pub matched: u64,
    /// Documents that were changed.
    #[n(1)]
    pub modified: u64,
    /// Documents that were deleted.
    #[n(2)]
    pub deleted: u64,
    /// Documents that were inserted by operations that insert.
    #[n(3)]
    pub inserted: u64,
    /// The first operation that was refused, by its number.
    #[n(4)]
    pub failed: Option<(u64, Error)>,
}
