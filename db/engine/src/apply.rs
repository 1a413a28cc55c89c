//! Applying commands: the one place that changes the tables. Databases and collections are
//! here, documents in `write`, indexes and upkeep in `upkeep`, members in `members`.
//!
//! Every command checks first and writes afterwards, so a refused one leaves no trace. The
//! counters (documents per collection, last revision) are kept in memory while the writing
//! transaction is open and stored by [`Applier::flush`] before it commits.

use super::accounts;
use super::budget::{self, Cost};
use super::catalog::{self, Collection, CollectionTotals, DatabaseEntry, ENGINE_DEFAULT, Garbage};
use super::changes;
use super::command::{AuditEvent, Command, Outcome, Proposal, ProposalResult};
use super::document::Revision;
use super::index::IndexId;
use super::index::stats::IndexStats;
use super::query::context::{Budget, Context};
use super::retry;
use super::rules::{CompiledRules, Rules};
use super::write::Schemas;
use crate::changes::ChangeKind;
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::keys::CollectionId;
use crate::storage::{Read, StorageError, Table, WriteTxn};
use crate::system::NodeStatus;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

const REVISION_KEY: &[u8] = b"revision";
const TIME_KEY: &[u8] = b"time";
pub(super) const COLLECTION_KEY: &[u8] = b"last_collection";
pub(super) const INDEX_KEY: &[u8] = b"last_index";

/// What must happen on this node because a command was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideEffect {
    /// The collection of members changed.
    NodesChanged,
    /// There is an index to build or something dropped to clear away.
    Upkeep,
    /// The process with this identity is to end.
    Stop {
        /// Identity of the process.
        boot: String,
        /// Start again afterwards.
        restart: bool,
    },
    /// The audit log has a new entry.
    Audited {
        /// Who.
        user: Option<String>,
        /// From where.
        from: Option<String>,
        /// What, to what, and what came of it.
        event: AuditEvent,
    },
}

/// Carries the counters and what was read of the catalog over an open transaction.
#[derive(Default)]
pub struct Applier {
    pub(super) numbers: Numbers,
    pub(super) now: Now,
    pub(super) changes: changes::Pending,
    pub(super) calls: retry::CallsSoFar,
    /// Whether nothing of it is applied: no history is written.
    pub(super) provisional: bool,
    /// Whether what is written was checked against rules and schemas before.
    pub(super) checked: bool,
    /// Sequential indexes that have given a number.
    pub(super) numbered: BTreeSet<IndexId>,
    /// What the present command may use and has used.
    budget: Arc<Budget>,
    /// What the present log entry has used.
    entry: EntryUse,
    /// Bytes of rows that were counted as written in the open transaction.
    written: u64,
    collections: HashMap<String, HashMap<String, Arc<Collection>>>,
    /// Rules that the present command has asked for, by database.
    pub(super) rules: HashMap<String, Arc<Rules>>,
    /// Rules as they were compiled last, by database.
    pub(super) compiled: CompiledRules,
    pub(super) schemas: Schemas,
    pub(super) effects: Vec<SideEffect>,
}

/// What the commands of one log entry have used together.
#[derive(Default)]
struct EntryUse {
    index: u64,
    steps: u64,
    written: u64,
}

impl EntryUse {
    fn is_spent(&self) -> bool {
        self.steps > budget::STEPS_MAX || self.written > budget::WRITTEN_MAX
    }
}

/// Which proposal is being applied.
#[derive(Default)]
pub(super) struct Now {
    pub(super) index: u64,
    /// Number of its first change in the log entry.
    pub(super) first_change: u32,
    pub(super) user: Option<String>,
    pub(super) from: Option<String>,
}

/// Counters that are stored when the transaction commits.
#[derive(Clone, Default)]
pub(super) struct Numbers {
    pub(super) revision: Revision,
    /// Time of the log: that of its latest proposal, in milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) changes: changes::HistoryTotals,
    pub(super) calls: HashMap<String, retry::Used>,
    last_collection: u64,
    pub(super) last_index: u64,
    pub(super) totals: HashMap<CollectionId, CollectionTotals>,
    pub(super) stats: HashMap<IndexId, IndexStats>,
}

/// Why a command, or a part of it, ended: a refusal, or a storage failure that stops the node.
pub(super) enum ApplyError {
    Refused(Error),
    Failed(StorageError),
}

/// What applying a command, or a part of it, came to.
pub(super) type ApplyResult<T = Outcome> = std::result::Result<T, ApplyError>;

impl From<StorageError> for ApplyError {
    fn from(error: StorageError) -> Self {
        ApplyError::Failed(error)
    }
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        match error.kind {
            // Queries report what the storage says as these two; other replicas may be well.
            Kind::Internal | Kind::StorageFull => {
                ApplyError::Failed(StorageError::Failed(error.to_string()))
            }
            _ => ApplyError::Refused(error),
        }
    }
}

/// Tells a refusal, which is an outcome on every replica alike, from a failure of the storage.
pub(super) fn settle<T>(result: ApplyResult<T>) -> Result<error::Result<T>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(ApplyError::Refused(error)) => Ok(Err(error)),
        Err(ApplyError::Failed(error)) => Err(error),
    }
}

/// Ends a command with a refusal.
pub(super) fn refuse<T>(kind: Kind, message: impl Into<String>, hint: &str) -> ApplyResult<T> {
    Err(Error::new(kind, message).hint(hint).into())
}

/// The time of the log in a state, if any entry had one.
pub fn log_time_ms(read: &impl Read) -> Result<Option<u64>> {
    Ok(Some(catalog::counter(read, TIME_KEY)?).filter(|time_ms| *time_ms > 0))
}

impl Applier {
    /// One that only tries out: for a transaction that is not committed yet.
    pub fn provisional() -> Self {
        Applier { provisional: true, ..Applier::default() }
    }

    /// Begins a transaction: reads the counters as they are stored, and forgets what it knows
    /// of the catalog.
    pub fn begin(&mut self, read: &impl Read) -> Result<()> {
        self.numbers = Numbers {
            revision: catalog::counter(read, REVISION_KEY)?,
            time_ms: catalog::counter(read, TIME_KEY)?,
            changes: changes::totals(read)?,
            last_collection: catalog::counter(read, COLLECTION_KEY)?,
            last_index: catalog::counter(read, INDEX_KEY)?,
            ..Numbers::default()
        };
        self.written = 0;
        self.forget();
        Ok(())
    }

    /// Bytes of rows written since the transaction began: they are in memory until it commits.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Forgets what was read of the catalog.
    pub(super) fn forget(&mut self) {
        self.collections.clear();
        self.rules.clear();
    }

    /// Forgets what was read of the catalog since changes that were taken back.
    pub(super) fn forget_all(&mut self) {
        self.forget();
        self.compiled.forget_since(self.now.index);
    }

    /// Stores the counters; to be called before the transaction commits.
    pub fn flush(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        let numbers = &mut self.numbers;
        txn.put(Table::Meta, REVISION_KEY, &numbers.revision.to_be_bytes())?;
        txn.put(Table::Meta, TIME_KEY, &numbers.time_ms.to_be_bytes())?;
        changes::save(txn, &numbers.changes)?;
        retry::save(txn, &mut numbers.calls)?;
        txn.put(Table::Meta, COLLECTION_KEY, &numbers.last_collection.to_be_bytes())?;
        txn.put(Table::Meta, INDEX_KEY, &numbers.last_index.to_be_bytes())?;
        for (collection, totals) in numbers.totals.drain() {
            txn.put(Table::Meta, &catalog::count_key(collection), &catalog::encode(&totals)?)?;
        }
        for (index, stats) in numbers.stats.drain() {
            txn.put(Table::Meta, &catalog::stats_key(index), &catalog::encode(&stats)?)?;
        }
        Ok(())
    }

    /// Takes the effects of the commands applied since the last call.
    pub fn take_effects(&mut self) -> Vec<SideEffect> {
        std::mem::take(&mut self.effects)
    }

    /// Applies a proposal of the log entry at `index`, unless it was applied before.
    pub fn apply(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        proposal: Proposal,
    ) -> Result<ProposalResult> {
        let Proposal { time_ms, user, from, credentials, retry, command } = proposal;
        self.numbers.time_ms = self.numbers.time_ms.max(time_ms);
        // A transaction sees the users of its beginning; its commit is compared with those of now.
        if let (Some(user), Some(credentials), false) = (&user, &credentials, self.provisional)
            && !accounts::holds(txn, user, credentials)?
        {
            return Ok(ProposalResult { result: Err(accounts::user_changed(user)), repeats: None });
        }
        if let Some(retry) = &retry
            && let Some(answer) = self.repeated(txn, user.as_deref(), retry)?
        {
            return Ok(answer);
        }
        let by_somebody = user.is_some() || from.is_some();
        self.now = Now { index, first_change: self.changes.next(), user, from };
        let origins = retry.as_ref().map(|_| retry::origins(&command));
        let known = command.describe();
        if self.entry.index != index || self.provisional {
            self.entry = EntryUse { index, ..EntryUse::default() };
        }
        if known.class.by_client && self.entry.is_spent() {
            // Not remembered for a repetition, which is welcome.
            return Ok(ProposalResult { result: Err(entry_spent()), repeats: None });
        }
        let refused = known.too_long();
        let event = known.audited.clone().filter(|_| by_somebody);
        self.begin_command(known.cost);
        let result = match refused {
            Some(error) => Err(error),
            None => settle(self.carry_out(txn, index, command))?,
        };
        let used = self.context(0);
        self.entry.steps += used.steps();
        self.entry.written += used.written();
        self.written += used.written();
        if let Some(mut event) = event {
            if let Err(error) = &result {
                event.outcome = error.kind.code().into();
            }
            self.begin_command(Cost::DEFAULT);
            self.note(txn, &event)?;
            let Now { user, from, .. } = &self.now;
            let (user, from) = (user.clone(), from.clone());
            self.effects.push(SideEffect::Audited { user, from, event });
        }
        if let (Some(retry), Some(origins)) = (retry, origins) {
            self.remember_answer(txn, retry, &result, origins)?;
        }
        Ok(ProposalResult { result, repeats: None })
    }

    fn begin_command(&mut self, cost: Cost) {
        self.budget = cost.budget();
        self.rules.clear();
        self.schemas.begin_command();
    }

    /// A context that counts into the budget of the present command.
    pub(super) fn context(&self, now_ms: u64) -> Context<'static> {
        Context::of(self.budget.clone(), now_ms as i64)
    }

    /// Ends a log entry; to be called behind its last proposal.
    pub fn end_entry(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        self.end_changes(txn)?;
        self.end_calls(txn)
    }

    fn carry_out(&mut self, txn: &mut WriteTxn<'_>, index: u64, command: Command) -> ApplyResult {
        match command {
            Command::InitCluster { cluster_id, node, url, admin_hash, time_ms } => {
                self.init_cluster(txn, cluster_id, node, url, admin_hash, time_ms)
            }
            Command::CreateDatabase { name, engine } => self.create_database(txn, &name, &engine),
            Command::DropDatabase { name } => self.drop_database(txn, &name),
            Command::RenameDatabase { from, to } => self.rename_database(txn, &from, &to),
            Command::CreateCollection { database, collection } => {
                self.ensure_database(txn, &database)?;
                self.ensure_collection(txn, &database, &collection)?;
                Ok(Outcome::Done)
            }
            Command::DropCollection { database, collection } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.check_replaced(txn, namespace, None)?;
                self.drop_collection(txn, &database, &collection)?;
                Ok(Outcome::Done)
            }
            Command::RenameCollection { database, from, to } => {
                if !self.rules(txn, &database)?.name(&from) {
                    return self.rename_collection(txn, &database, &from, &to);
                }
                self.all_or_nothing(txn, true, |this, txn| {
                    let renamed = this.rename_collection(txn, &database, &from, &to)?;
                    this.rename_in_rules(txn, &database, &from, &to)?;
                    Ok(renamed)
                })
            }
            Command::Put {
                database,
                collection,
                target,
                body,
                mode,
                if_match,
                create_database,
            } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.put(txn, namespace, target, &body, mode, if_match, create_database)
            }
            Command::Delete { database, collection, target, if_match } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.delete(txn, namespace, target, if_match)
            }
            Command::ClusterRegister { node, url, description } => {
                self.register(txn, index, node, url, description)
            }
            Command::ClusterUpdate { node, raft_id, role, status, url } => {
                self.change_node(txn, &node, raft_id, None, |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = status.unwrap_or(document.status);
                    document.url = url.unwrap_or_else(|| std::mem::take(&mut document.url));
                })
            }
            Command::ClusterStop { node, raft_id, boot, restart } => {
                if let Some(boot) = boot {
                    self.effects.push(SideEffect::Stop { boot, restart });
                }
                self.change_node(txn, &node, raft_id, None, |document| {
                    if document.status != NodeStatus::Leaving {
                        document.status = NodeStatus::Inactive;
                    }
                })
            }
            Command::ClusterDeregister { node, raft_id } => self.deregister(txn, &node, raft_id),
            Command::Write(write) => self.write_many(txn, *write),
            Command::CreateIndex { database, collection, spec } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.create_index(txn, namespace, spec)
            }
            Command::DropIndex { database, collection, name } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.drop_index(txn, namespace, &name)
            }
            Command::BuildIndex { database, collection, index, documents } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.build_index(txn, namespace, index, documents as usize)
            }
            Command::Expire { database, collection, index, time_ms, documents } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.expire(txn, namespace, index, time_ms as i64, documents as usize)
            }
            Command::ClearGarbage { rows } => self.clear_garbage(txn, rows as usize),
            Command::SetSchema { database, collection, schema, warns } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.set_schema(txn, namespace, schema, warns)
            }
            Command::ReplaceCollection { database, from, to } => {
                self.replace_collection(txn, &database, &from, &to)
            }
            Command::ClusterMark { node, raft_id, role, from, to } => {
                self.change_node(txn, &node, raft_id, Some(from), |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = to;
                })
            }
            Command::Commit(commit) => self.commit(txn, *commit),
            Command::Batch(batch) => self.batch(txn, *batch),
            Command::SetVersions { database, collection, keep } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.set_versions(txn, namespace, keep)
            }
            Command::SetVersionsDefault { on } => self.set_versions_default(txn, on),
            Command::Restore { database, collection, target, version } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.restore(txn, namespace, target, version)
            }
            Command::TrimVersions { database, collection, keys } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.trim_versions(txn, namespace, keys)
            }
            Command::TrimChanges { bytes_max, rows } => {
                self.trim_changes(txn, bytes_max, rows as usize)
            }
            Command::ForgetRetries { before_ms, rows } => {
                self.forget_retries(txn, before_ms, rows as usize)
            }
            Command::CreateUser(user) => self.create_user(txn, &user),
            Command::UpdateUser(update) => self.update_user(txn, *update),
            Command::DeleteUser { name } => self.delete_user(txn, &name),
            Command::CreateToken(token) => self.create_token(txn, &token),
            Command::RevokeToken { id, user } => self.revoke_token(txn, &id, user.as_deref()),
            Command::UseJoinToken { id, .. } => self.use_join_token(txn, &id),
            Command::RemoveEndedTokens { before_ms, rows } => {
                self.remove_ended_tokens(txn, before_ms, rows as usize)
            }
            Command::Audit(_) => Ok(Outcome::Done),
            Command::TrimAudit { entries_max, rows } => {
                self.trim_audit(txn, entries_max, rows as usize)
            }
        }
    }

    fn create_database(&mut self, txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> ApplyResult {
        if catalog::database(txn, name)?.is_none() {
            put_database(txn, name, engine)?;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn ensure_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> Result<()> {
        if self.collections.contains_key(name) || catalog::database(txn, name)?.is_some() {
            return Ok(());
        }
        put_database(txn, name, ENGINE_DEFAULT)
    }

    fn drop_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> ApplyResult {
        let collections = catalog::collections(txn, name)?;
        self.charge_collections(txn, &collections, "drop its collections first")?;
        for (collection, _) in collections {
            self.drop_collection(txn, name, &collection)?;
        }
        txn.delete(Table::Catalog, &catalog::database_key(name))?;
        self.forget();
        Ok(Outcome::Done)
    }

    /// Counts the work of dropping or renaming collections; refuses more than one command may do.
    fn charge_collections(
        &self,
        txn: &WriteTxn<'_>,
        collections: &[(String, CollectionId)],
        hint: &str,
    ) -> ApplyResult<()> {
        let ctx = self.context(0);
        for (_, id) in collections {
            let (start, end) = catalog::index_range(*id);
            let indexes = txn.range(Table::Catalog, &start, &end)?.count() as u64;
            if ctx.work((1 + indexes) * budget::CATALOG).is_err() {
                let message = "this database has too many collections and indexes for one command";
                return refuse(Kind::QueryTooLarge, message, hint);
            }
        }
        Ok(())
    }

    fn rename_database(&mut self, txn: &mut WriteTxn<'_>, from: &str, to: &str) -> ApplyResult {
        let Some(entry) = catalog::database(txn, from)? else {
            return Err(database_not_found(from).into());
        };
        if catalog::database(txn, to)?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a database {to:?} exists"),
                "choose another name or drop it first",
            );
        }
        let collections = catalog::collections(txn, from)?;
        self.charge_collections(txn, &collections, "drop what is not needed first")?;
        for (name, id) in collections {
            // Who watches the database sees nothing of them any more.
            let namespace = NamespaceRef { database: from, collection: &name };
            self.note_collection(txn, namespace, ChangeKind::Drop, None)?;
            txn.delete(Table::Catalog, &catalog::collection_key(from, &name))?;
            txn.put(Table::Catalog, &catalog::collection_key(to, &name), &id.to_be_bytes())?;
        }
        txn.delete(Table::Catalog, &catalog::database_key(from))?;
        put_database(txn, to, &entry.engine)?;
        self.forget();
        Ok(Outcome::Done)
    }

    pub(super) fn collection(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<Option<Arc<Collection>>> {
        let known =
            self.collections.get(namespace.database).and_then(|all| all.get(namespace.collection));
        if let Some(known) = known {
            return Ok(Some(known.clone()));
        }
        let Some(id) = catalog::collection(txn, namespace.database, namespace.collection)? else {
            return Ok(None);
        };
        let found = Arc::new(Collection::load(txn, id)?);
        self.remember(namespace, found.clone());
        Ok(Some(found))
    }

    fn remember(&mut self, namespace: NamespaceRef<'_>, collection: Arc<Collection>) {
        self.collections
            .entry(namespace.database.to_owned())
            .or_default()
            .insert(namespace.collection.to_owned(), collection);
    }

    pub(super) fn ensure_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        collection: &str,
    ) -> Result<Arc<Collection>> {
        let namespace = NamespaceRef { database, collection };
        if let Some(found) = self.collection(txn, namespace)? {
            return Ok(found);
        }
        let id = self.next_collection();
        let key = catalog::collection_key(database, collection);
        txn.put(Table::Catalog, &key, &id.to_be_bytes())?;
        let made = Arc::new(Collection::load(txn, id)?);
        self.remember(namespace, made.clone());
        self.index_references(txn, namespace)?;
        self.keep_by_default(txn, namespace)?;
        Ok(self.collection(txn, namespace)?.unwrap_or(made))
    }

    /// A number that no collection and no history has.
    pub(super) fn next_collection(&mut self) -> CollectionId {
        self.numbers.last_collection += 1;
        self.numbers.last_collection as CollectionId
    }

    /// Takes the collection out of the catalog. Its rows are cleared away later, a few at a
    /// time: a large one must not keep every other write waiting.
    fn drop_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        name: &str,
    ) -> Result<()> {
        let namespace = NamespaceRef { database, collection: name };
        let Some(found) = self.collection(txn, namespace)? else {
            return Ok(());
        };
        self.discard_versions(txn, &found)?;
        self.note_collection(txn, namespace, ChangeKind::Drop, None)?;
        txn.delete(Table::Catalog, &catalog::collection_key(database, name))?;
        txn.delete(Table::Catalog, &catalog::options_key(found.id))?;
        txn.delete(Table::Meta, &catalog::count_key(found.id))?;
        self.numbers.totals.remove(&found.id);
        for index in &found.indexes {
            self.discard_index(txn, found.id, index.entry.id)?;
        }
        self.discard(txn, Garbage::Collection(found.id))?;
        self.forget();
        Ok(())
    }

    fn rename_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let Some(found) = self.collection(txn, NamespaceRef { database, collection: from })? else {
            return Err(collection_not_found(database, from).into());
        };
        if self.collection(txn, NamespaceRef { database, collection: to })?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a collection {to:?} exists in {database:?}"),
                "choose another name or drop it first",
            );
        }
        txn.delete(Table::Catalog, &catalog::collection_key(database, from))?;
        txn.put(Table::Catalog, &catalog::collection_key(database, to), &found.id.to_be_bytes())?;
        let namespace = NamespaceRef { database, collection: from };
        self.note_collection(txn, namespace, ChangeKind::Rename, Some(to))?;
        self.forget();
        self.index_references(txn, NamespaceRef { database, collection: to })?;
        Ok(Outcome::Done)
    }

    /// Puts a collection in the place of another, whose former documents are given up; the
    /// setting that they are kept stays.
    fn replace_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let old = self.collection(txn, NamespaceRef { database, collection: to })?;
        let new = self.collection(txn, NamespaceRef { database, collection: from })?;
        if from != to
            && let Some(new) = &new
        {
            let namespace = NamespaceRef { database, collection: to };
            self.check_replaced(txn, namespace, Some(new))?;
            self.drop_collection(txn, database, to)?;
        }
        let renamed = self.rename_collection(txn, database, from, to)?;
        let is_new = old.is_none();
        let kept = old.and_then(|old| old.options.versions).map(|versions| versions.retention);
        match new {
            Some(new) if kept.is_some() && new.options.versions.is_none() => {
                self.set_versions(txn, NamespaceRef { database, collection: to }, kept)
            }
            _ if is_new => {
                self.keep_by_default(txn, NamespaceRef { database, collection: to })?;
                Ok(renamed)
            }
            _ => Ok(renamed),
        }
    }

    pub(super) fn totals(
        &mut self,
        txn: &WriteTxn<'_>,
        collection: CollectionId,
    ) -> Result<&mut CollectionTotals> {
        use std::collections::hash_map::Entry;
        Ok(match self.numbers.totals.entry(collection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(catalog::totals(txn, collection)?),
        })
    }
}

/// The error for a command whose neighbours in the log entry have used up what one may take.
fn entry_spent() -> Error {
    Error::new(Kind::Overloaded, "writes that came at the same moment took all that fits together")
        .hint("nothing was done; send it again")
}

fn put_database(txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Result<()> {
    let entry = DatabaseEntry { engine: engine.to_owned() };
    txn.put(Table::Catalog, &catalog::database_key(name), &catalog::encode(&entry)?)
}

/// The error for an unknown database.
pub fn database_not_found(name: &str) -> Error {
    Error::new(Kind::DatabaseNotFound, format!("there is no database {name:?}"))
}

/// The error for an unknown collection.
pub fn collection_not_found(database: &str, collection: &str) -> Error {
    let message = format!("there is no collection {collection:?} in database {database:?}");
    Error::new(Kind::CollectionNotFound, message)
}

/// The error for an unknown document.
pub fn document_not_found(id: &DocumentId) -> Error {
    Error::new(Kind::DocumentNotFound, format!("there is no document {id}"))
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
