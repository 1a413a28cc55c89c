//! The content of log entries, and what applying one gives.
//!
//! This is the log's format, not a wire type: it is written with postcard, so variants and
//! fields are only ever added at the end.

use crate::error::Error;
use jettra_driver::DocumentId;
use jettra_driver::wire::{NodeRole, NodeStatus};
use serde::{Deserialize, Serialize};

/// One change to the replicated state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// First entry of a cluster: its identity, its first node, its first user.
    InitCluster {
        /// Random identity of the cluster.
        cluster_id: String,
        /// Name of the first node.
        node: String,
        /// Where the first node is reached.
        url: String,
        /// Argon2id hash of the admin password, in PHC form.
        admin_hash: String,
        /// Wall-clock time of the proposal, in milliseconds since 1970.
        time_ms: u64,
    },
    /// Creates a database; nothing happens when it exists.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Engine name, kept for clients of the ancestor.
        engine: String,
    },
    /// Drops a database with all it holds; nothing happens when there is none.
    DropDatabase {
        /// Its name.
        name: String,
    },
    /// Gives a database another name.
    RenameDatabase {
        /// Its name.
        from: String,
        /// Its name afterwards.
        to: String,
    },
    /// Creates a collection, and its database; nothing happens when it exists.
    CreateCollection {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
    },
    /// Drops a collection with its documents; nothing happens when there is none.
    DropCollection {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
    },
    /// Gives a collection another name.
    RenameCollection {
        /// The database.
        database: String,
        /// Its name.
        from: String,
        /// Its name afterwards.
        to: String,
    },
    /// Writes one document.
    Put {
        /// The database.
        database: String,
        /// The collection; created when missing.
        collection: String,
        /// Which document.
        target: Target,
        /// The document without its `_id`, as compact JSON text.
        body: String,
        /// What to do when it exists, or does not.
        mode: PutMode,
        /// Write only if the document has this revision.
        if_match: Option<u64>,
        /// Create the database too when it is missing.
        create_database: bool,
    },
    /// Deletes one document.
    Delete {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Which document.
        target: Target,
        /// Delete only if the document has this revision.
        if_match: Option<u64>,
    },
    /// Admits a node: it gets a document with status `JOINING` and the log index of this
    /// entry as its Raft id. The proposer gives it an entry of its own for that reason.
    ClusterRegister {
        /// Name of the node.
        node: String,
        /// Where it is reached.
        url: String,
        /// Free text.
        description: Option<String>,
    },
    /// Changes what is known of a node. Nothing happens unless the Raft id fits.
    ClusterUpdate {
        /// Name of the node.
        node: String,
        /// Its Raft id.
        raft_id: u64,
        /// Its role now.
        role: Option<NodeRole>,
        /// Its status now.
        status: Option<NodeStatus>,
        /// Its address now; only a cluster of one changes it.
        url: Option<String>,
    },
    /// Marks a node `INACTIVE`, unless it is leaving, and ends the process that runs it.
    ClusterStop {
        /// Name of the node.
        node: String,
        /// Its Raft id.
        raft_id: u64,
        /// Identity of the process that is to end, so that a later one does not.
        boot: Option<String>,
        /// Start again afterwards.
        restart: bool,
    },
    /// Removes the document of a node that votes and learns no more.
    ClusterDeregister {
        /// Name of the node.
        node: String,
        /// Its Raft id.
        raft_id: u64,
    },
    /// Changes the status of a node that still has the one it is believed to have, so that a
    /// decision made on an older view does not undo what was ordered meanwhile.
    ClusterMark {
        /// Name of the node.
        node: String,
        /// Its Raft id.
        raft_id: u64,
        /// Its role now.
        role: Option<NodeRole>,
        /// Its status before.
        from: NodeStatus,
        /// Its status now.
        to: NodeStatus,
    },
}

impl Command {
    /// Whether the command needs a log entry of its own.
    pub fn alone(&self) -> bool {
        matches!(self, Command::ClusterRegister { .. } | Command::InitCluster { .. })
    }
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

/// What a [`Command::Put`] does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutMode {
    /// The document must not exist.
    Insert,
    /// The document is written either way.
    Upsert,
}

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
}

/// The outcome of one command, or why it was refused. A refused command changed nothing.
pub type CommandResult = Result<Outcome, Error>;
