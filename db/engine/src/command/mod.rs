//! The content of log entries, and the outcomes of applying them.
//!
//! This is the log's format, not a wire type: it is written with postcard, so variants and
//! fields are only ever added at the end.

mod audit;
mod batch;
mod check;
pub mod describe;
mod documents;
pub mod entry;
mod outcome;
mod proposal;
pub(crate) mod texts;
mod transactions;
mod users;

pub use batch::{Batch, BatchCondition, BatchStep};
pub(crate) use check::{check_spec, unreadable};
pub use documents::{
    Mutation, Operation, Put, PutMode, Returning, Select, Target, Write, WriteLimits,
};
pub use outcome::{CommandResult, OperationResult, Outcome, WriteTotals};
pub use proposal::{CredentialRevisions, Part, Proposal, ProposalResult, RetryKey};
pub use transactions::{Commit, FinalWrite, IndexRead};
pub use users::{AuditEvent, UserUpdate};

use crate::budget::WRITTEN_MAX;
use crate::catalog::{self, Retention};
use crate::command::describe::Scope;
use crate::index::{IndexId, IndexSpec};
use crate::namespace::Namespace;
use crate::storage::{Read, StorageError};
use crate::system::{NodeRole, NodeStatus, TokenDocument, UserDocument};
use crate::versions::Version;
use postcard::ser_flavors::Size;
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
    /// Creates a database; succeeds if it exists.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Engine name, kept for clients of JettraDBVM.
        engine: String,
    },
    /// Drops a database with all it holds; succeeds if it does not exist.
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
    /// Creates a collection, and its database; succeeds if it exists.
    CreateCollection {
        /// The collection.
        namespace: Namespace,
    },
    /// Drops a collection with its documents; succeeds if it does not exist.
    DropCollection {
        /// The collection.
        namespace: Namespace,
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
    Put(Put),
    /// Deletes one document.
    Delete {
        /// The collection.
        namespace: Namespace,
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
    /// Removes the document of a node that is neither a voter nor a learner.
    ClusterDeregister {
        /// Name of the node.
        node: String,
        /// Its Raft id.
        raft_id: u64,
    },
    /// Writes documents of one collection: what `insertMany`, `updateMany`, `bulkWrite` and
    /// their like are made of.
    Write(Box<Write>),
    /// Creates an index; succeeds if the same exists.
    CreateIndex {
        /// The collection; created when missing.
        namespace: Namespace,
        /// What is asked for.
        spec: IndexSpec,
    },
    /// Drops an index by its name, or by its fields when no name fits.
    DropIndex {
        /// The collection.
        namespace: Namespace,
        /// Its name, or its fields with commas between them.
        name: String,
    },
    /// Adds the next documents to an index that is being built.
    BuildIndex {
        /// The collection.
        namespace: Namespace,
        /// Number of the index.
        index: IndexId,
        /// How many documents.
        documents: u32,
    },
    /// Deletes documents whose time in a TTL index has passed.
    Expire {
        /// The collection.
        namespace: Namespace,
        /// Number of the index.
        index: IndexId,
        /// Wall-clock time of the proposal, in milliseconds since 1970.
        time_ms: u64,
        /// How many documents at most.
        documents: u32,
    },
    /// Removes rows of what was dropped.
    ClearGarbage {
        /// How many rows at most.
        rows: u32,
    },
    /// Sets the JSON Schema of a collection, or removes it.
    SetSchema {
        /// The collection; created when missing.
        namespace: Namespace,
        /// The schema as JSON text.
        schema: Option<String>,
        /// Whether documents that break it are accepted with a warning.
        warns: bool,
    },
    /// Gives a collection the name of another, which is dropped.
    ReplaceCollection {
        /// The database.
        database: String,
        /// The collection that is to have the name.
        from: String,
        /// The name.
        to: String,
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
    /// Commits a transaction of a client: carried out when nothing of what it has read has
    /// changed.
    Commit(Box<Commit>),
    /// Carries out operations together or not at all.
    Batch(Box<Batch>),
    /// Keeps former documents of a collection from now on, or no longer.
    SetVersions {
        /// The collection; created when missing.
        namespace: Namespace,
        /// For how long they are kept; none: those that are there are removed.
        keep: Option<Retention>,
    },
    /// Says whether new collections keep their former documents.
    SetVersionsDefault {
        /// Whether they do.
        on: bool,
    },
    /// Restores a former document.
    Restore {
        /// The collection.
        namespace: Namespace,
        /// Which document.
        target: Target,
        /// Which version; none: the last one of a document that is deleted.
        version: Option<Version>,
    },
    /// Removes former documents that are kept for long enough.
    TrimVersions {
        /// The collection.
        namespace: Namespace,
        /// Their keys in the table.
        keys: Vec<Vec<u8>>,
    },
    /// Removes the oldest changes from the history that feeds are served from.
    TrimChanges {
        /// Bytes that stay at most.
        bytes_max: u64,
        /// Rows that are removed at most.
        rows: u32,
    },
    /// Forgets the answers to calls that were made long ago.
    ForgetRetries {
        /// Calls before this time, in milliseconds since 1970.
        before_ms: u64,
        /// Keys after which no further log entry's calls are forgotten.
        rows: u32,
    },
    /// Creates a user.
    CreateUser(Box<UserDocument>),
    /// Changes a user.
    UpdateUser(Box<UserUpdate>),
    /// Deletes a user and its tokens; succeeds if it does not exist.
    DeleteUser {
        /// Its name.
        name: String,
    },
    /// Creates a session, an API key or a join token.
    CreateToken(Box<TokenDocument>),
    /// Ends a token.
    RevokeToken {
        /// Its public name.
        id: String,
        /// Only if it is this user's.
        user: Option<String>,
    },
    /// Uses a join token, which must exist and not have ended, and removes it.
    UseJoinToken {
        /// Its public name.
        id: String,
        /// The name of the node that joins with it.
        node: String,
    },
    /// Removes tokens that have ended.
    RemoveEndedTokens {
        /// Those that ended before this time, in milliseconds since 1970.
        before_ms: u64,
        /// How many at most.
        rows: u32,
    },
    /// Notes in the audit log what changed nothing in the state.
    Audit(Box<AuditEvent>),
    /// Removes the oldest entries of the audit log.
    TrimAudit {
        /// How many stay at most.
        entries_max: u64,
        /// How many are removed at most.
        rows: u32,
    },
}

impl Command {
    /// Whether the command needs a log entry of its own.
    pub fn alone(&self) -> bool {
        self.describe().class.alone
    }

    /// Whether applying it may need more space on the disk.
    pub fn grows(&self) -> bool {
        self.describe().class.grows
    }

    /// Bytes of free space that applying it may need at once. What rewrites many documents
    /// writes their pages anew before the old ones become free; what deletes writes the
    /// documents' former forms, if the collection keeps them.
    ///
    /// Of deletions of many documents only a bound is known, which the proposer sets: see
    /// [`Command::many_deletions`].
    pub fn space_needed(&self, read: &impl Read) -> Result<u64, StorageError> {
        // Beside the documents themselves their former forms are written, twice at most.
        const COPIES: u64 = 5;
        let known = self.describe();
        if !known.class.grows {
            return match (known.class.in_transaction && !known.class.alone, &*known.touches) {
                (true, [Scope { database, collection: Some(collection), .. }]) => {
                    catalog::mean_bytes(read, database, collection)
                }
                _ => Ok(0),
            };
        }
        let mut bytes = self.bytes() as u64;
        if known.class.alone && known.class.in_transaction {
            for touched in &known.touches {
                if let Some(collection) = touched.collection {
                    bytes += catalog::bytes_of(read, touched.database, collection)?;
                }
            }
        }
        Ok(bytes.min(WRITTEN_MAX) * COPIES)
    }

    /// The bounds of a write that only deletes, and may delete any number of documents.
    pub fn many_deletions(&mut self) -> Option<&mut WriteLimits> {
        let class = self.describe().class;
        match self {
            Command::Write(write) if class.alone && !class.grows => Some(&mut write.limits),
            _ => None,
        }
    }

    /// Its size in the log, in bytes.
    pub fn bytes(&self) -> usize {
        // Counting bytes cannot fail.
        postcard::serialize_with_flavor(self, Size::default()).unwrap_or(usize::MAX)
    }
}
