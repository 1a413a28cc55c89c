//! The content of commands that write documents.

use crate::document::Revision;
use crate::id::DocumentId;
use crate::namespace::Namespace;
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};

/// The content of [`Command::Write`](super::Command::Write).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The collection; created when missing and something is inserted.
    pub namespace: Namespace,
    /// Create the database too when it is missing.
    pub create_database: bool,
    /// What is to be done, one after the other.
    pub operations: Vec<Operation>,
    /// End at the first operation that fails; those before it stay.
    pub ordered: bool,
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    pub time_ms: u64,
    /// Bounds that the proposer sets, so that every replica has the same.
    pub limits: WriteLimits,
}

/// Bounds of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteLimits {
    /// Documents that one operation may change.
    pub documents_max: u64,
    /// Bytes of a document's text.
    pub document_bytes_max: u64,
    /// Deepest nesting of a document.
    pub depth_max: u32,
    /// Bytes that one operation may keep in memory.
    pub memory_max: u64,
    /// Steps of work that all operations together may take: nothing else is applied meanwhile.
    pub steps_max: u64,
    /// Bytes of rows that all operations together may change: fewer while the disk is nearly full.
    pub written_max: u64,
}

/// One operation of a [`Write`]. Filters, updates and documents are JSON text, checked before
/// the proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Inserts a document that must not exist.
    Insert {
        /// Its `_id`.
        id: DocumentId,
        /// The document without `_id`.
        body: String,
    },
    /// Changes documents.
    Modify {
        /// Which.
        select: Select,
        /// How.
        mutation: Mutation,
        /// All that match, not only the first.
        multi: bool,
        /// The `_id` for a new document when none matches; none: nothing is inserted.
        upsert: Option<DocumentId>,
        /// Which form of the document is wanted back.
        returning: Returning,
    },
    /// Deletes documents.
    Delete {
        /// Which.
        select: Select,
        /// All that match, not only the first.
        multi: bool,
        /// Whether the deleted document is wanted back.
        returning: Returning,
    },
}

impl Operation {
    /// Its size in the log, in bytes.
    pub fn bytes(&self) -> usize {
        postcard::serialize_with_flavor(self, Size::default()).unwrap_or(usize::MAX)
    }

    /// Whether it may change any number of documents.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self, Operation::Modify { multi, .. } | Operation::Delete { multi, .. } if *multi)
    }
}

/// Which documents an operation is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Select {
    /// One document by its `_id`; it must exist.
    Id {
        /// Which.
        target: Target,
        /// Only if it has this revision.
        if_match: Option<u64>,
    },
    /// Those that match.
    Filter {
        /// The filter.
        filter: String,
        /// Which comes first; the smallest `_id` when there is no sort.
        sort: Option<String>,
        /// The index to use.
        hint: Option<String>,
    },
}

/// How a document is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Mutation {
    /// By update operators or a pipeline.
    Update {
        /// The update.
        update: String,
        /// An array of filters for `$[name]`.
        array_filters: Option<String>,
    },
    /// By JSON Merge Patch (RFC 7396).
    Merge(String),
    /// By another document, given without `_id`.
    Replace(String),
}

/// Which form of a document is wanted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returning {
    /// None.
    Nothing,
    /// As it was.
    Before,
    /// As it is now.
    After,
}

/// Which document is meant. An address such as `/documents/42` may mean the number or the
/// text; then the one that exists is taken, and `id` when neither does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The first choice.
    pub id: DocumentId,
    /// The second choice.
    pub or: Option<DocumentId>,
}

impl From<DocumentId> for Target {
    fn from(id: DocumentId) -> Self {
        Target { id, or: None }
    }
}

/// The content of [`Command::Put`](super::Command::Put).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// The collection; created when missing.
    pub namespace: Namespace,
    /// Which document.
    pub target: Target,
    /// The document without its `_id`, as compact JSON text.
    pub body: String,
    /// What to do when it exists, or does not.
    pub mode: PutMode,
    /// Write only if the document has this revision.
    pub if_match: Option<Revision>,
    /// Create the database too when it is missing.
    pub create_database: bool,
}

/// What a [`Put`] does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutMode {
    /// The document must not exist.
    Insert,
    /// The document is written either way.
    Upsert,
}
