//! What a person can ask of the shell, after it was understood.

use crate::print::Mode;
use jettra_driver::wire::{
    AggregateBody, BatchBody, BulkBody, CountBody, DeleteBody, ExplainLevel, FindAndModifyBody,
    ReplaceBody, SchemaBody, UpdateBody, ValidateBody, VersionsBody,
};
use jettra_driver::{AuditQuery, DocumentId, Find, IndexOptions, ReadLevel, WatchOptions};
use serde_json::Value;
use std::collections::BTreeMap;

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    /// Talk to another cluster, or with `stay` to one node only.
    Connect { url: String, stay: bool },
    /// Take another user; asks for the password when there is none.
    Login { user: String, password: Option<String> },
    /// Forget the user.
    Logout,
    /// Change one's own password from the first to the second; asks when there are none.
    Password(Option<(String, String)>),
    /// Who am I.
    Session,
    /// The health of the node that answers.
    Health,
    /// The description of the interface for programs.
    OpenApi,
    /// Something about users, tokens and who did what.
    Access(AccessAction),
    /// Something about databases and collections.
    Catalog(CatalogAction),
    /// Something about the documents of one collection, as it is or as it was.
    Documents { collection: String, moment: Option<Moment>, action: DocumentAction },
    /// Something about the indexes or the schema of one collection.
    Structure { collection: String, action: StructureAction },
    /// Something about the versions of documents of one collection.
    Versions { collection: String, action: VersionAction },
    /// Print changes as they happen.
    Watch(WatchAction),
    /// Something about transactions.
    Transaction(TransactionAction),
    /// Operations that are carried out together.
    Batch(BatchBody),
    /// A statement of a query language, for the cluster as it is.
    Text(String),
    /// The next page of what was listed last, or all that is left.
    More { all: bool },
    /// Something about the members of the cluster.
    Cluster(ClusterAction),
    /// Something the shell does by itself.
    Shell(ShellAction),
}

impl Statement {
    /// Whether it is known to change nothing.
    pub(crate) fn only_reads(&self) -> bool {
        use DocumentAction::{Count, Distinct, Find, Get};
        use StructureAction::{Indexes, Schema, Stats, Validate};
        use VersionAction::{Diff, History, Settings, Show};
        match self {
            Statement::Session | Statement::Health | Statement::OpenApi => true,
            Statement::Shell(_) | Statement::More { .. } | Statement::Watch(_) => true,
            Statement::Access(action) => matches!(
                action,
                AccessAction::ShowUsers
                    | AccessAction::ShowUser(_)
                    | AccessAction::ShowTokens
                    | AccessAction::Audit(_)
            ),
            Statement::Catalog(action) => matches!(
                action,
                CatalogAction::Use(_)
                    | CatalogAction::ShowDatabases
                    | CatalogAction::ShowCollections
                    | CatalogAction::Hash(_)
            ),
            Statement::Documents { action: DocumentAction::Aggregate(body), .. } => !body.writes(),
            Statement::Documents { action, .. } => {
                matches!(action, Get(_) | Count(_) | Find(_) | Distinct { .. })
            }
            Statement::Structure { action, .. } => {
                matches!(action, Indexes | Schema | Stats | Validate(_))
            }
            Statement::Versions { action, .. } => {
                matches!(action, History(_) | Show { .. } | Diff { .. } | Settings)
            }
            Statement::Cluster(action) => matches!(
                action,
                ClusterAction::Show
                    | ClusterAction::Status
                    | ClusterAction::Nodes
                    | ClusterAction::Leader
            ),
            Statement::Transaction(action) => matches!(action, TransactionAction::Show),
            Statement::Text(text) => jettra_driver::only_reads(text),
            _ => false,
        }
    }
}

/// What to do with users, their tokens and the audit log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AccessAction {
    /// List the users.
    ShowUsers,
    /// Show one.
    ShowUser(String),
    /// Make one; asks for what is not given.
    CreateUser { name: Option<String>, rights: Rights, password: Option<NewPassword> },
    /// Change one.
    AlterUser {
        name: String,
        rights: Rights,
        password: Option<NewPassword>,
        disabled: Option<bool>,
    },
    /// Delete one.
    DropUser(String),
    /// List sessions and API keys.
    ShowTokens,
    /// Make an API key of one's own, which ends after so many days.
    CreateKey {
        name: String,
        role: Option<String>,
        databases: Option<Vec<String>>,
        days: Option<u64>,
    },
    /// End a session, an API key or a join token.
    RevokeToken(String),
    /// Show who did what.
    Audit(AuditQuery),
}

/// What a user may do, as far as a statement says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rights {
    /// The role.
    pub(crate) role: Option<String>,
    /// The databases that it holds for.
    pub(crate) databases: Option<Vec<String>>,
    /// Roles in single databases; `None` takes that of a database away.
    pub(crate) grants: BTreeMap<String, Option<String>>,
}

/// Where a new password comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NewPassword {
    /// The person types it, twice.
    Ask,
    /// The first line of this file.
    File(String),
}

/// What to do with databases and collections.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CatalogAction {
    /// Make a database the current one.
    Use(String),
    /// List databases.
    ShowDatabases,
    /// List the collections of the current database.
    ShowCollections,
    /// Create a database; the storage engine that JettraDBVM's users name is not chosen.
    CreateDatabase { name: String, engine: Option<String> },
    /// Create a collection.
    CreateCollection(String),
    /// Drop a database.
    DropDatabase(String),
    /// Drop a collection.
    DropCollection(String),
    /// Rename a database.
    RenameDatabase { from: String, to: String },
    /// Rename a collection.
    RenameCollection { from: String, to: String },
    /// The hashes of a database, or of the current one.
    Hash(Option<String>),
}

/// What to do with documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DocumentAction {
    /// Add one.
    Insert(Value),
    /// Add many in one step.
    InsertMany(Vec<Value>),
    /// List those that match, or show how that is done.
    Find(Box<Find>),
    /// Read one.
    Get(DocumentId),
    /// Count those that match.
    Count(CountBody),
    /// List the different values of a field.
    Distinct { field: String, filter: Option<Value>, explain: Option<ExplainLevel> },
    /// Run a pipeline, or show how that is done.
    Aggregate(AggregateBody),
    /// Replace one that exists, if it still has the revision given.
    ReplaceOne { id: DocumentId, document: Value, revision: Option<u64> },
    /// Update one; the filter of the body is not used.
    UpdateOne { id: DocumentId, body: Box<UpdateBody> },
    /// Update all that match, or the first.
    UpdateMatching(Box<UpdateBody>),
    /// Replace the first that matches.
    Replace(Box<ReplaceBody>),
    /// Write one, whether or not it exists.
    Save { id: DocumentId, document: Value },
    /// Change fields of one, if it still has the revision given.
    Patch { id: DocumentId, patch: Value, revision: Option<u64> },
    /// Change the first that matches and show it.
    Modify(Box<FindAndModifyBody>),
    /// Delete one, if it still has the revision given.
    Delete { id: DocumentId, revision: Option<u64> },
    /// Delete all that match, or the first.
    DeleteMatching(Box<DeleteBody>),
    /// Many changes in one step.
    Bulk(BulkBody),
}

/// When a collection was what is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Moment {
    /// After this log index.
    Index(u64),
    /// At this time.
    Time(String),
}

/// What to do with transactions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TransactionAction {
    /// Begin one.
    Begin,
    /// Make its writes take effect.
    Commit,
    /// Give its writes up.
    Rollback,
    /// List those that are open.
    Show,
    /// Roll back that with this id.
    End(String),
}

/// What to do with versions of documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VersionAction {
    /// List those of a document.
    History(DocumentId),
    /// Show a document as it was.
    Show { id: DocumentId, version: String },
    /// Compare a version with another, or with the document as it is.
    Diff { id: DocumentId, from: String, to: Option<String> },
    /// Make a document what it was.
    Revert { id: DocumentId, version: String },
    /// Put a deleted document back.
    Undelete(DocumentId),
    /// Show whether versions are kept.
    Settings,
    /// Keep versions from now on.
    Keep(VersionsBody),
    /// Drop them and keep none; without `force` the person is asked.
    Forget { force: bool },
}

/// Which changes to print.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WatchAction {
    /// Those of this collection, or of the whole database.
    pub(crate) collection: Option<String>,
    /// Which of them, and how much of each.
    pub(crate) watch: WatchOptions,
    /// So many; without end when not given.
    pub(crate) count: Option<u64>,
}

/// What to do with indexes and schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StructureAction {
    /// List the indexes.
    Indexes,
    /// Create an index.
    CreateIndex { keys: Value, options: Box<IndexOptions> },
    /// Drop an index.
    DropIndex(String),
    /// Show the schema.
    Schema,
    /// Set the schema.
    SetSchema(SchemaBody),
    /// Take the schema away.
    DropSchema,
    /// Check documents.
    Validate(ValidateBody),
    /// Number and size of documents and indexes.
    Stats,
}

/// What to do with the members.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClusterAction {
    /// Health, leader and members.
    Show,
    /// The answering node's view in figures.
    Status,
    /// The members.
    Nodes,
    /// The leader.
    Leader,
    /// Make a token with which a node can join, for so many hours.
    Token { hours: Option<u64> },
    /// Admit a node.
    Register { url: String, description: Option<String> },
    /// Remove a node.
    Deregister { node: String, force: bool },
    /// Stop a node's process.
    Stop { node: String, force: bool },
    /// Take client calls and leadership from a node.
    Pause(String),
    /// End a pause.
    Resume(String),
    /// Hand leadership over.
    Promote(Option<String>),
    /// Restart a node's process.
    Restart(Option<String>),
}

/// What the shell does by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ShellAction {
    /// Explain all commands, or those that begin with these words.
    Help(Option<String>),
    /// Clear the screen.
    Clear,
    /// Leave.
    Exit,
    /// Choose the form of the output.
    Mode(Mode),
    /// Show or hide the time a statement took.
    Timer(bool),
    /// Choose how fresh reads are.
    Level(ReadLevel),
    /// Run the statements of a file.
    Read(String),
}
