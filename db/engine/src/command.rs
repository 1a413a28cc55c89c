//! The content of log entries, and what applying one gives.
//!
//! This is the log's format, not a wire type: it is written with postcard, so variants and
//! fields are only ever added at the end.

use super::batch::Batch;
use super::budget::WRITTEN_MAX;
use super::catalog;
use super::describe::Scope;
use super::index::{IndexId, IndexSpec};
use super::system::{TokenDocument, UserDocument};
use super::transactions::Commit;
use super::versions::{Retention, Version};
use crate::error::Error;
use crate::id::DocumentId;
use crate::storage::{Read, StorageError};
use crate::system::{NodeRole, NodeStatus};
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command as it stands in the log, with what its proposer knew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Wall-clock time of the proposal, in milliseconds since 1970.
    pub time_ms: u64,
    /// On whose behalf; none when the database itself proposes it.
    pub user: Option<String>,
    /// The address from which the call came.
    pub from: Option<String>,
    /// What has let the user in. When it holds no more, the command is refused.
    pub credentials: Option<CredentialRevisions>,
    /// With what a repeated call is recognised.
    pub retry: Option<RetryKey>,
    /// The command.
    pub command: Command,
}

/// Revisions of the documents that have let a caller in. Every change gives a new one, so
/// comparing them tells whether the caller may still do what it was admitted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRevisions {
    /// Revision of the user's document.
    pub user: u64,
    /// The session or API key, with the revision of its document.
    pub token: Option<(String, u64)>,
}

/// With what a repeated call is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryKey {
    /// The key that the client chose.
    pub key: String,
    /// Hash of the call, which must be the same.
    pub fingerprint: u64,
    /// Which part of the call it is, when the call is carried out by several commands.
    pub part: Option<Part>,
    /// Bytes that the answers to its user's calls may take before there is no room for another.
    pub bytes_max: u64,
}

impl RetryKey {
    /// A key of a call of one command, without a bound for what is remembered.
    pub fn new(key: String, fingerprint: u64) -> Self {
        RetryKey { key, fingerprint, part: None, bytes_max: u64::MAX }
    }
}

/// A part of a call that is carried out by several commands, such as `$merge`. A repetition of
/// the call would make them of other documents, so it is another run and carries none of them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Random number of the run.
    pub run: u64,
    /// Number of the part, from 0 on.
    pub number: u32,
    /// Documents that the call has written when this part is done.
    pub written: u64,
    /// Documents that the call writes.
    pub total: u64,
    /// Whether the call is done with it.
    pub last: bool,
}

/// What a proposal came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposalResult {
    /// What its command did, or why it was refused.
    pub result: CommandResult,
    /// Log index of the proposal that was carried out, when this one repeats it.
    pub repeats: Option<u64>,
}

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
    /// Writes documents of one collection: what `insertMany`, `updateMany`, `bulkWrite` and
    /// their like are made of.
    Write(Box<Write>),
    /// Creates an index; nothing happens when the same exists.
    CreateIndex {
        /// The database.
        database: String,
        /// The collection; created when missing.
        collection: String,
        /// What is asked for.
        spec: IndexSpec,
    },
    /// Drops an index by its name, or by its fields when no name fits.
    DropIndex {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Its name, or its fields with commas between them.
        name: String,
    },
    /// Adds the next documents to an index that is being built.
    BuildIndex {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Number of the index.
        index: IndexId,
        /// How many documents.
        documents: u32,
    },
    /// Deletes documents whose time in a TTL index has passed.
    Expire {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
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
    /// Sets the JSON Schema of a collection, or takes it away.
    SetSchema {
        /// The database.
        database: String,
        /// The collection; created when missing.
        collection: String,
        /// The schema as JSON text.
        schema: Option<String>,
        /// Whether documents that break it are accepted with a warning.
        warns: bool,
    },
    /// Puts a collection in the place of another, which is dropped.
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
        /// The database.
        database: String,
        /// The collection; created when missing.
        collection: String,
        /// For how long they are kept; none: those that are there are removed.
        keep: Option<Retention>,
    },
    /// Says whether new collections keep their former documents.
    SetVersionsDefault {
        /// Whether they do.
        on: bool,
    },
    /// Puts a former document in its place again.
    Restore {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Which document.
        target: Target,
        /// Which version; none: the last one of a document that is deleted.
        version: Option<Version>,
    },
    /// Removes former documents that are kept for long enough.
    TrimVersions {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
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
        /// Those of before this time, in milliseconds since 1970.
        before_ms: u64,
        /// Keys after which no further log entry's calls are forgotten.
        rows: u32,
    },
    /// Creates a user.
    CreateUser(Box<UserDocument>),
    /// Changes a user.
    UpdateUser(Box<UserUpdate>),
    /// Deletes a user and its tokens; nothing happens when there is none.
    DeleteUser {
        /// Its name.
        name: String,
    },
    /// Makes a session, an API key or a join token.
    CreateToken(Box<TokenDocument>),
    /// Ends a token.
    RevokeToken {
        /// Its public name.
        id: String,
        /// Only if it is this user's.
        user: Option<String>,
    },
    /// Uses a join token up: it is there and has not ended, and is gone afterwards.
    UseJoinToken {
        /// Its public name.
        id: String,
        /// The name of the node that comes with it.
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

/// The content of [`Command::UpdateUser`]: what is given is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUpdate {
    /// Its name.
    pub name: String,
    /// The new hash of the password.
    pub password_hash: Option<String>,
    /// Only if the hash is still this one: somebody has proved to know the password.
    pub proved_hash: Option<String>,
    /// The new role.
    pub role: Option<String>,
    /// The new list of databases.
    pub allowed_dbs: Option<Vec<String>>,
    /// The new grants.
    pub grants: Option<BTreeMap<String, String>>,
    /// Whether it is kept out.
    pub disabled: Option<bool>,
}

/// The content of [`Command::Audit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// What was done or tried.
    pub action: String,
    /// To what.
    pub target: String,
    /// `ok`, or the code of an error.
    pub outcome: String,
}

/// The content of [`Command::Write`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The database.
    pub database: String,
    /// The collection; created when missing and something is inserted.
    pub collection: String,
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

/// What the operations of a [`Write`] did together, when what each of them did is kept no longer.
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

impl Operation {
    /// Its size in the log, in bytes.
    pub fn bytes(&self) -> usize {
        postcard::serialize_with_flavor(self, Size::default()).unwrap_or(usize::MAX)
    }

    /// Whether it may change any number of documents.
    pub(super) fn is_many(&self) -> bool {
        matches!(self, Operation::Modify { multi, .. } | Operation::Delete { multi, .. } if *multi)
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
    /// Each operation of a [`Write`] that was tried, and what came of it.
    OperationResults(Vec<crate::error::Result<OperationResult>>),
    /// An index exists now.
    Index {
        /// Its name.
        name: String,
        /// Whether it is new.
        created: bool,
    },
    /// How many documents or rows a step of upkeep worked off.
    Worked(u64),
    /// A transaction was committed, with so many documents written or deleted.
    Committed(u64),
    /// Whether the conditions of a [`Batch`] held, and what each step did.
    Batched {
        /// Whether they held.
        succeeded: bool,
        /// What each step did.
        results: Vec<OperationResult>,
    },
    /// A call of several commands was carried out, and has written so many documents.
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
    /// With what a schema that only warns has found.
    pub(super) fn with_warnings(self, warnings: Vec<String>) -> Outcome {
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

impl From<Command> for Proposal {
    /// A command of the database itself, without a time of its own.
    fn from(command: Command) -> Self {
        let (user, from, credentials, retry) = (None, None, None, None);
        Proposal { time_ms: 0, user, from, credentials, retry, command }
    }
}

/// The outcome of one command, or why it was refused. A refused command changed nothing.
pub type CommandResult = Result<Outcome, Error>;
