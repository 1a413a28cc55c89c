//! The content of commands that write documents.

use crate::cbor;
use crate::document::Revision;
use crate::id::DocumentId;
use crate::namespace::Namespace;
use minicbor::{CborLen, Decode, Encode};

/// The content of [`Command::Write`](super::Command::Write).
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Write {
    /// The collection; created when missing and something is inserted.
    #[n(0)]
    pub namespace: Namespace,
    /// Create the database too when it is missing.
    #[n(1)]
    pub create_database: bool,
    /// What is to be done, one after the other.
    #[n(2)]
    pub operations: Vec<Operation>,
    /// End at the first operation that fails; those before it stay.
    #[n(3)]
    pub ordered: bool,
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    #[n(4)]
    pub time_ms: u64,
    /// Bounds that the proposer sets, so that every replica has the same.
    #[n(5)]
    pub limits: WriteLimits,
}

/// Bounds of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct WriteLimits {
    /// Documents that one operation may change.
    #[n(0)]
    pub documents_max: u64,
    /// Bytes of a document's text.
    #[n(1)]
    pub document_bytes_max: u64,
    /// Deepest nesting of a document.
    #[n(2)]
    pub depth_max: u32,
    /// Bytes that one operation may keep in memory.
    #[n(3)]
    pub memory_max: u64,
    /// Steps of work that all operations together may take: nothing else is applied meanwhile.
    #[n(4)]
    pub steps_max: u64,
    /// Bytes of rows that all operations together may change: fewer while the disk is nearly full.
    #[n(5)]
    pub written_max: u64,
}

/// One operation of a [`Write`]. Filters, updates and documents are JSON text, checked before
/// the proposal.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Operation {
    /// Inserts a document that must not exist.
    #[n(0)]
    Insert {
        /// Its `_id`.
        #[n(0)]
        id: DocumentId,
        /// The document without `_id`.
        #[n(1)]
        body: String,
    },
    /// Changes documents.
    #[n(1)]
    Modify {
        /// Which.
        #[n(0)]
        select: Select,
        /// How.
        #[n(1)]
        mutation: Mutation,
        /// All that match, not only the first.
        #[n(2)]
        multi: bool,
        /// The `_id` for a new document when none matches; none: nothing is inserted.
        #[n(3)]
        upsert: Option<DocumentId>,
        /// Which form of the document is wanted back.
        #[n(4)]
        returning: Returning,
    },
    /// Deletes documents.
    #[n(2)]
    Delete {
        /// Which.
        #[n(0)]
        select: Select,
        /// All that match, not only the first.
        #[n(1)]
        multi: bool,
        /// Whether the deleted document is wanted back.
        #[n(2)]
        returning: Returning,
    },
}

impl Operation {
    /// Its size in the log, in bytes.
    pub fn bytes(&self) -> usize {
        cbor::len(self)
    }

    /// Whether it may change any number of documents.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self, Operation::Modify { multi, .. } | Operation::Delete { multi, .. } if *multi)
    }
}

/// Which documents an operation is for.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Select {
    /// One document by its `_id`; it must exist.
    #[n(0)]
    Id {
        /// Which.
        #[n(0)]
        target: Target,
        /// Only if it has this revision.
        #[n(1)]
        if_match: Option<u64>,
    },
    /// Those that match.
    #[n(1)]
    Filter {
        /// The filter.
        #[n(0)]
        filter: String,
        /// Which comes first; the smallest `_id` when there is no sort.
        #[n(1)]
        sort: Option<String>,
        /// The index to use.
        #[n(2)]
        hint: Option<String>,
    },
}

/// How a document is changed.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Mutation {
    /// By update operators or a pipeline.
    #[n(0)]
    Update {
        /// The update.
        #[n(0)]
        update: String,
        /// An array of filters for `$[name]`.
        #[n(1)]
        array_filters: Option<String>,
    },
    /// By JSON Merge Patch (RFC 7396).
    #[n(1)]
    Merge(#[n(0)] String),
    /// By another document, given without `_id`.
    #[n(2)]
    Replace(#[n(0)] String),
}

/// Which form of a document is wanted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum Returning {
    /// None.
    #[n(0)]
    Nothing,
    /// As it was.
    #[n(1)]
    Before,
    /// As it is now.
    #[n(2)]
    After,
}

/// Which document is meant. An address such as `/documents/42` may mean the number or the
/// text; then the one that exists is taken, and `id` when neither does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Target {
    /// The first choice.
    #[n(0)]
    pub id: DocumentId,
    /// The second choice.
    #[n(1)]
    pub or: Option<DocumentId>,
}

impl From<DocumentId> for Target {
    fn from(id: DocumentId) -> Self {
        Target { id, or: None }
    }
}

/// The content of [`Command::Put`](super::Command::Put).
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Put {
    /// The collection; created when missing.
    #[n(0)]
    pub namespace: Namespace,
    /// Which document.
    #[n(1)]
    pub target: Target,
    /// The document without its `_id`, as compact JSON text.
    #[n(2)]
    pub body: String,
    /// What to do when it exists, or does not.
    #[n(3)]
    pub mode: PutMode,
    /// Write only if the document has this revision.
    #[n(4)]
    pub if_match: Option<Revision>,
    /// Create the database too when it is missing.
    #[n(5)]
    pub create_database: bool,
}

/// What a [`Put`] does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum PutMode {
    /// The document must not exist.
    #[n(0)]
    Insert,
    /// The document is written either way.
    #[n(1)]
    Upsert,
}
