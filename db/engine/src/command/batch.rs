//! The content of a batch: operations on several collections that are carried out together or not
//! at all, in one of two branches that conditions choose. One log entry, so nothing comes between; the idea
//! is etcd's transaction.

use crate::command::{Operation, WriteLimits};
use crate::id::DocumentId;
use crate::namespace::Namespace;
use minicbor::{CborLen, Decode, Encode};

/// The content of [`Command::Batch`](super::Command::Batch).
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Batch {
    /// What must hold; all of it.
    #[n(0)]
    pub conditions: Vec<(Namespace, BatchCondition)>,
    /// Carried out when it does.
    #[n(1)]
    pub then: Vec<(Namespace, BatchStep)>,
    /// Carried out when it does not.
    #[n(2)]
    pub otherwise: Vec<(Namespace, BatchStep)>,
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    #[n(3)]
    pub time_ms: u64,
    /// Bounds that the proposer sets, so that every replica has the same.
    #[n(4)]
    pub limits: WriteLimits,
}

/// One condition of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct BatchCondition {
    /// The document; none: any that matches.
    #[n(0)]
    pub id: Option<DocumentId>,
    /// The revision it must have.
    #[n(1)]
    pub revision: Option<u64>,
    /// What it must match, as JSON text.
    #[n(2)]
    pub filter: Option<String>,
    /// Whether there must be such a document, or must not.
    #[n(3)]
    pub exists: bool,
}

/// One step of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum BatchStep {
    /// As in a [`Write`](super::Write).
    #[n(0)]
    Operation(#[n(0)] Operation),
    /// Writes a document, whether or not there was one.
    #[n(1)]
    Save {
        /// Its `_id`.
        #[n(0)]
        id: DocumentId,
        /// The document without `_id`.
        #[n(1)]
        body: String,
    },
    /// Reads a document.
    #[n(2)]
    Get(#[n(0)] DocumentId),
}

impl Batch {
    /// The operations of both branches.
    pub fn operations(&self) -> impl Iterator<Item = (&Namespace, &Operation)> {
        self.then.iter().chain(&self.otherwise).filter_map(|(namespace, step)| match step {
            BatchStep::Operation(operation) => Some((namespace, operation)),
            _ => None,
        })
    }

    /// Names of databases and collections that a step may create.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        let places = self.then.iter().chain(&self.otherwise).map(|(namespace, _)| namespace);
        places.flat_map(|namespace| [&namespace.database, &namespace.collection])
    }
}
