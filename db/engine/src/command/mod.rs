//! The content of log entries, and the outcomes of applying them.
//!
//! This is the log's format, not a wire type: see [`cbor`](mod@crate::cbor) for how it may change.

mod audit;
mod batch;
mod check;
pub mod describe;
mod documents;
pub mod entry;
mod outcome;
mod placement;
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
pub use placement::{GroupCommand, Placement};
pub use proposal::{CredentialRevisions, Part, Proposal, ProposalResult, RetryKey};
pub use transactions::{COLLECTION_GONE, Commit, FinalWrite, IndexRead};
pub use users::{AuditEvent, UserUpdate};

use crate::budget::WRITTEN_MAX;
use crate::catalog::{self, Retention};
use crate::cbor;
use crate::command::describe::Scope;
use crate::index::{IndexId, IndexSpec};
use crate::namespace::Namespace;
use crate::storage::{Read, StorageError};
use crate::system::{NodeRole, NodeStatus, Program, TokenDocument, UserDocument};
use crate::versions::Version;
use minicbor::bytes::ByteVec;
use minicbor::{CborLen, Decode, Encode};

/// One change to the replicated state.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum Command {
    /// First entry of a cluster: its identity, its first node, its first user.
    #[n(1)]
    InitCluster {
        /// Random identity of the cluster.
        #[n(0)]
        cluster_id: String,
        /// Name of the first node.
        #[n(1)]
        node: String,
        /// Where the first node is reached.
        #[n(2)]
        url: String,
        /// Argon2id hash of the admin password, in PHC form.
        #[n(3)]
        admin_hash: String,
        /// Wall-clock time of the proposal, in milliseconds since 1970.
        #[n(4)]
        time_ms: u64,
    },
    /// Creates a database; succeeds if it exists.
    #[n(2)]
    CreateDatabase {
        /// Its name.
        #[n(0)]
        name: String,
        /// Engine name, kept for clients of JettraDBVM.
        #[n(1)]
        engine: String,
    },
    /// Drops a database with all it holds; succeeds if it does not exist.
    #[n(3)]
    DropDatabase {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// Gives a database another name.
    #[n(4)]
    RenameDatabase {
        /// Its name.
        #[n(0)]
        from: String,
        /// Its name afterwards.
        #[n(1)]
        to: String,
    },
    /// Creates a collection, and its database; succeeds if it exists.
    #[n(5)]
    CreateCollection {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
    },
    /// Drops a collection with its documents; succeeds if it does not exist.
    #[n(6)]
    DropCollection {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
    },
    /// Gives a collection another name.
    #[n(7)]
    RenameCollection {
        /// The database.
        #[n(0)]
        database: String,
        /// Its name.
        #[n(1)]
        from: String,
        /// Its name afterwards.
        #[n(2)]
        to: String,
    },
    /// Writes one document.
    #[n(8)]
    Put(#[n(0)] Put),
    /// Deletes one document.
    #[n(9)]
    Delete {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Which document.
        #[n(1)]
        target: Target,
        /// Delete only if the document has this revision.
        #[n(2)]
        if_match: Option<u64>,
    },
    /// Admits a node: it gets a document with status `JOINING` and the log index of this
    /// entry as its Raft id. The proposer gives it an entry of its own for that reason.
    #[n(10)]
    ClusterRegister {
        /// Name of the node.
        #[n(0)]
        node: String,
        /// Where it is reached.
        #[n(1)]
        url: String,
        /// Free text.
        #[n(2)]
        description: Option<String>,
        /// What it runs.
        #[n(3)]
        program: Option<Program>,
    },
    /// Changes what is known of a node. Nothing happens unless the Raft id fits.
    #[n(11)]
    ClusterUpdate {
        /// Name of the node.
        #[n(0)]
        node: String,
        /// Its Raft id.
        #[n(1)]
        raft_id: u64,
        /// Its role now.
        #[n(2)]
        role: Option<NodeRole>,
        /// Its status now.
        #[n(3)]
        status: Option<NodeStatus>,
        /// Its address now; only a cluster of one changes it.
        #[n(4)]
        url: Option<String>,
    },
    /// Marks a node `INACTIVE`, unless it is leaving, and ends the process that runs it.
    #[n(12)]
    ClusterStop {
        /// Name of the node.
        #[n(0)]
        node: String,
        /// Its Raft id.
        #[n(1)]
        raft_id: u64,
        /// Identity of the process that is to end, so that a later one does not.
        #[n(2)]
        boot: Option<String>,
        /// Start again afterwards.
        #[n(3)]
        restart: bool,
    },
    /// Removes the document of a node that is neither a voter nor a learner.
    #[n(13)]
    ClusterDeregister {
        /// Name of the node.
        #[n(0)]
        node: String,
        /// Its Raft id.
        #[n(1)]
        raft_id: u64,
    },
    /// Writes documents of one collection: what `insertMany`, `updateMany`, `bulkWrite` and
    /// their like are made of.
    #[n(14)]
    Write(#[n(0)] Box<Write>),
    /// Creates an index; succeeds if the same exists.
    #[n(15)]
    CreateIndex {
        /// The collection; created when missing.
        #[n(0)]
        namespace: Namespace,
        /// What is asked for.
        #[n(1)]
        spec: IndexSpec,
    },
    /// Drops an index by its name, or by its fields when no name fits.
    #[n(16)]
    DropIndex {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Its name, or its fields with commas between them.
        #[n(1)]
        name: String,
    },
    /// Adds the next documents to an index that is being built.
    #[n(17)]
    BuildIndex {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Number of the index.
        #[n(1)]
        index: IndexId,
        /// How many documents.
        #[n(2)]
        documents: u32,
    },
    /// Deletes documents whose time in a TTL index has passed.
    #[n(18)]
    Expire {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Number of the index.
        #[n(1)]
        index: IndexId,
        /// Wall-clock time of the proposal, in milliseconds since 1970.
        #[n(2)]
        time_ms: u64,
        /// How many documents at most.
        #[n(3)]
        documents: u32,
    },
    /// Removes rows of what was dropped.
    #[n(19)]
    ClearGarbage {
        /// How many rows at most.
        #[n(0)]
        rows: u32,
    },
    /// Sets the JSON Schema of a collection, or removes it.
    #[n(20)]
    SetSchema {
        /// The collection; created when missing.
        #[n(0)]
        namespace: Namespace,
        /// The schema as JSON text.
        #[n(1)]
        schema: Option<String>,
        /// Whether documents that break it are accepted with a warning.
        #[n(2)]
        warns: bool,
    },
    /// Gives a collection the name of another, which is dropped.
    #[n(21)]
    ReplaceCollection {
        /// The database.
        #[n(0)]
        database: String,
        /// The collection that is to have the name.
        #[n(1)]
        from: String,
        /// The name.
        #[n(2)]
        to: String,
    },
    /// Changes the status of a node that still has the one it is believed to have, so that a
    /// decision made on an older view does not undo what was ordered meanwhile.
    #[n(22)]
    ClusterMark {
        /// Name of the node.
        #[n(0)]
        node: String,
        /// Its Raft id.
        #[n(1)]
        raft_id: u64,
        /// Its role now.
        #[n(2)]
        role: Option<NodeRole>,
        /// Its status before.
        #[n(3)]
        from: NodeStatus,
        /// Its status now.
        #[n(4)]
        to: NodeStatus,
    },
    /// Commits a transaction of a client: carried out when nothing of what it has read has
    /// changed.
    #[n(23)]
    Commit(#[n(0)] Box<Commit>),
    /// Carries out operations together or not at all.
    #[n(24)]
    Batch(#[n(0)] Box<Batch>),
    /// Keeps former documents of a collection from now on, or no longer.
    #[n(25)]
    SetVersions {
        /// The collection; created when missing.
        #[n(0)]
        namespace: Namespace,
        /// For how long they are kept; none: those that are there are removed.
        #[n(1)]
        keep: Option<Retention>,
    },
    /// Says whether new collections keep their former documents.
    #[n(39)]
    SetVersionsDefault {
        /// Whether they do.
        #[n(0)]
        on: bool,
    },
    /// Restores a former document.
    #[n(26)]
    Restore {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Which document.
        #[n(1)]
        target: Target,
        /// Which version; none: the last one of a document that is deleted.
        #[n(2)]
        version: Option<Version>,
    },
    /// Removes former documents that are kept for long enough.
    #[n(27)]
    TrimVersions {
        /// The collection.
        #[n(0)]
        namespace: Namespace,
        /// Their keys in the table.
        #[n(1)]
        keys: Vec<ByteVec>,
    },
    /// Removes the oldest changes from the history that feeds are served from.
    #[n(28)]
    TrimChanges {
        /// Bytes that stay at most.
        #[n(0)]
        bytes_max: u64,
        /// Rows that are removed at most.
        #[n(1)]
        rows: u32,
    },
    /// Forgets the answers to calls that were made long ago.
    #[n(29)]
    ForgetRetries {
        /// Calls before this time, in milliseconds since 1970.
        #[n(0)]
        before_ms: u64,
        /// Keys after which no further log entry's calls are forgotten.
        #[n(1)]
        rows: u32,
    },
    /// Creates a user.
    #[n(30)]
    CreateUser(#[n(0)] Box<UserDocument>),
    /// Changes a user.
    #[n(31)]
    UpdateUser(#[n(0)] Box<UserUpdate>),
    /// Deletes a user and its tokens; succeeds if it does not exist.
    #[n(32)]
    DeleteUser {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// Creates a session, an API key or a join token.
    #[n(33)]
    CreateToken(#[n(0)] Box<TokenDocument>),
    /// Ends a token.
    #[n(34)]
    RevokeToken {
        /// Its public name.
        #[n(0)]
        id: String,
        /// Only if it is this user's.
        #[n(1)]
        user: Option<String>,
    },
    /// Uses a join token, which must exist and not have ended, and removes it.
    #[n(35)]
    UseJoinToken {
        /// Its public name.
        #[n(0)]
        id: String,
        /// The name of the node that joins with it.
        #[n(1)]
        node: String,
    },
    /// Removes tokens that have ended.
    #[n(36)]
    RemoveEndedTokens {
        /// Those that ended before this time, in milliseconds since 1970.
        #[n(0)]
        before_ms: u64,
        /// How many at most.
        #[n(1)]
        rows: u32,
    },
    /// Notes in the audit log what changed nothing in the state.
    #[n(37)]
    Audit(#[n(0)] Box<AuditEvent>),
    /// Removes the oldest entries of the audit log.
    #[n(38)]
    TrimAudit {
        /// How many stay at most.
        #[n(0)]
        entries_max: u64,
        /// How many are removed at most.
        #[n(1)]
        rows: u32,
    },
    /// Raises the feature level: what it brings may be proposed from here on, and is applied
    /// alike by all members. Proposed when all of them support it; a member that does not stops.
    #[n(40)]
    SetFeatureLevel {
        /// The level; never lower than the one in force.
        #[n(0)]
        level: u32,
    },
    /// Records what a member runs, which it announces at its start.
    #[n(41)]
    ClusterAnnounce {
        /// Raft id of the node.
        #[n(0)]
        raft_id: u64,
        /// What it runs.
        #[n(1)]
        program: Program,
    },
    /// Holds the feature level back, or lets it rise again.
    #[n(42)]
    SetMaxFeatureLevel {
        /// The level that is not exceeded, at least the one in force; none: the newest that all
        /// members support.
        #[n(0)]
        max: Option<u32>,
    },
    /// Says, in the system group, which groups there are, where their replicas are, and which
    /// databases they hold.
    #[n(43)]
    Placement(#[n(0)] Box<Placement>),
    /// Tells another group what the system group has decided.
    #[n(44)]
    InGroup(#[n(0)] Box<GroupCommand>),
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
        cbor::len(self)
    }
}
