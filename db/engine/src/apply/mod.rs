//! Applying commands: the one place that changes the tables. `dispatch` names the function that
//! carries out each command, in the file of its feature.
//!
//! Every command checks first and writes afterwards, so a refused one leaves no trace. The
//! counters (documents per collection, last revision) are kept in memory while the writing
//! transaction is open and stored by [`Applier::flush`] before it commits.

mod atomic;
mod audit;
mod batch;
mod catalog;
mod changes;
mod commit;
mod constraints;
mod dispatch;
mod documents;
mod entries;
mod features;
mod indexes;
mod lookup;
mod members;
mod operations;
mod placement;
mod references;
mod result;
mod retries;
mod rules;
mod schema;
mod schemas;
mod select;
mod store;
mod stored;
mod system;
mod tokens;
mod upkeep;
mod users;
mod versions;

pub use lookup::{dry_run, waiting_references};

use crate::apply::result::settle;
use crate::apply::schemas::Schemas;
use crate::budget::{self, Cost};
use crate::catalog::{Collection, CollectionTotals};
use crate::command::{AuditEvent, CredentialRevisions, Proposal, ProposalResult};
use crate::document::Revision;
use crate::error::{Error, Kind};
use crate::index::IndexId;
use crate::index::stats::IndexStats;
use crate::namespace::{Namespace, NamespaceRef};
use crate::query::context::{Budget, Context};
use crate::retry;
use crate::rules::{CompiledRules, Rules};
use crate::storage::keys::CollectionId;
use crate::storage::{Read, Result, Table, WriteTxn};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

const REVISION_KEY: &[u8] = b"revision";

const TIME_KEY: &[u8] = b"time";

pub(super) const COLLECTION_KEY: &[u8] = b"last_collection";

pub(super) const INDEX_KEY: &[u8] = b"last_index";

/// Effects that a new one is compared with.
const EFFECTS_COMPARED: usize = 8;

/// What must happen on this node because a command was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideEffect {
    /// The collection of members changed.
    NodesChanged,
    /// The groups, their replicas, or the databases in them have changed.
    PlacementChanged,
    /// A right was taken away: the other groups are to hear of it.
    RightsTaken,
    /// A user or a token has changed: callers are to be authenticated again.
    AccountsChanged,
    /// Something was dropped, and its rows are to be cleared away.
    Dropped,
    /// A collection has come, gone or got another name, or its indexes or its versions are others:
    /// what is to be done for it may be something else.
    CollectionChanged(Namespace),
    /// An index by which documents expire has new entries.
    ExpiryChanged(IndexId),
    /// The process with this identity is to end.
    Stop {
        /// Identity of the process.
        boot: String,
        /// Start again afterwards.
        restart: bool,
    },
    /// The audit log has a new entry.
    Audited {
        /// The caller; none for the database itself.
        user: Option<String>,
        /// The address from which the call came.
        from: Option<String>,
        /// What was done, to what, and with which outcome.
        event: AuditEvent,
    },
}

/// Applies commands within an open transaction, with its counters and what it has read of the
/// catalog.
#[derive(Default)]
pub struct Applier {
    pub(super) counters: StateCounters,
    pub(super) current: CurrentProposal,
    pub(super) changes: changes::PendingChanges,
    calls: retries::PendingCalls,
    /// The newest feature level that is supported.
    level_max: features::LevelMax,
    /// Whether the changes are tentative: no history is written.
    pub(super) provisional: bool,
    /// Whether what is written was checked against rules and schemas before.
    pub(super) checked: bool,
    /// Sequential indexes that have given a number.
    pub(super) numbered: BTreeSet<IndexId>,
    /// What the present command may use and has used.
    budget: Arc<Budget>,
    /// What the present log entry has used.
    entry: EntryUsage,
    /// Bytes of rows that were counted as written in the open transaction.
    written: u64,
    /// The last user whose credentials were found valid, until a user or token changes.
    admitted: Option<(String, CredentialRevisions)>,
    collections: HashMap<String, HashMap<String, Arc<Collection>>>,
    /// Rules that the present command has asked for, by database.
    pub(super) rules: HashMap<String, Arc<Rules>>,
    /// Rules as they were compiled last, by database.
    pub(super) compiled: CompiledRules,
    schemas: Schemas,
    pub(super) effects: Vec<SideEffect>,
}

/// What the commands of one log entry have used together.
#[derive(Default)]
struct EntryUsage {
    index: u64,
    steps: u64,
    written: u64,
}

impl EntryUsage {
    fn is_spent(&self) -> bool {
        self.steps > budget::STEPS_MAX || self.written > budget::WRITTEN_MAX
    }
}

/// Which proposal is being applied.
#[derive(Default)]
pub(super) struct CurrentProposal {
    pub(super) index: u64,
    /// Number of its first change in the log entry.
    pub(super) first_change: u32,
    pub(super) user: Option<String>,
    pub(super) from: Option<String>,
}

/// Counters that are stored when the transaction commits.
#[derive(Clone, Default)]
pub(super) struct StateCounters {
    pub(super) revision: Revision,
    /// The feature level in force.
    pub(super) level: u32,
    /// The number of the data group; none in the system group.
    pub(super) group: Option<u32>,
    /// See [`rights_epoch`](crate::placement::rights_epoch).
    pub(super) rights: u64,
    /// Time of the log: that of its latest proposal, in milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) changes: crate::changes::HistoryTotals,
    pub(super) calls: HashMap<String, retry::RetryUsage>,
    last_collection: u64,
    pub(super) last_index: u64,
    pub(super) totals: HashMap<CollectionId, CollectionTotals>,
    pub(super) stats: HashMap<IndexId, IndexStats>,
}

/// The time of the log in a state, if any entry had one.
pub fn log_time_ms(read: &impl Read) -> Result<Option<u64>> {
    Ok(Some(crate::catalog::counter(read, TIME_KEY)?).filter(|time_ms| *time_ms > 0))
}

/// The error for a command when those before it have used up the budget of their log entry.
fn entry_spent() -> Error {
    Error::new(Kind::Overloaded, "writes that came at the same moment took all that fits together")
        .hint("nothing was done; send it again")
}

impl Applier {
    /// Creates an applier whose changes are tentative: those of an open transaction of a client.
    pub fn provisional() -> Self {
        Applier { provisional: true, ..Applier::default() }
    }

    /// Begins a transaction: reads the counters as they are stored, and forgets what it knows
    /// of the catalog.
    pub fn begin(&mut self, read: &impl Read) -> Result<()> {
        self.counters = StateCounters {
            revision: crate::catalog::counter(read, REVISION_KEY)?,
            level: self.supported_level(read)?,
            group: crate::placement::data_group(read)?,
            rights: crate::placement::rights_epoch(read)?,
            time_ms: crate::catalog::counter(read, TIME_KEY)?,
            changes: crate::changes::totals(read)?,
            last_collection: crate::catalog::counter(read, COLLECTION_KEY)?,
            last_index: crate::catalog::counter(read, INDEX_KEY)?,
            ..StateCounters::default()
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
        self.admitted = None;
        self.collections.clear();
        self.rules.clear();
    }

    /// Forgets what was read of the catalog since changes that were taken back.
    pub(super) fn forget_all(&mut self) {
        self.forget();
        self.compiled.forget_since(self.current.index);
    }

    /// Stores the counters; to be called before the transaction commits.
    pub fn flush(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        let counters = &mut self.counters;
        txn.put(Table::Meta, REVISION_KEY, &counters.revision.to_be_bytes())?;
        txn.put(Table::Meta, TIME_KEY, &counters.time_ms.to_be_bytes())?;
        changes::save(txn, &counters.changes)?;
        retries::save(txn, &mut counters.calls)?;
        txn.put(Table::Meta, COLLECTION_KEY, &counters.last_collection.to_be_bytes())?;
        txn.put(Table::Meta, INDEX_KEY, &counters.last_index.to_be_bytes())?;
        for (collection, totals) in counters.totals.drain() {
            txn.put(
                Table::Meta,
                &crate::catalog::count_key(collection),
                &crate::cbor::encode(&totals)?,
            )?;
        }
        for (index, stats) in counters.stats.drain() {
            txn.put(Table::Meta, &crate::catalog::stats_key(index), &crate::cbor::encode(&stats)?)?;
        }
        Ok(())
    }

    /// Notes an effect, unless it is among the latest: many documents have the same.
    pub(super) fn note_effect(&mut self, effect: SideEffect) {
        if !self.effects.iter().rev().take(EFFECTS_COMPARED).any(|noted| *noted == effect) {
            self.effects.push(effect);
        }
    }

    pub(super) fn note_collection_changed(&mut self, namespace: NamespaceRef<'_>) {
        let NamespaceRef { database, collection } = namespace;
        self.note_effect(SideEffect::CollectionChanged(Namespace::new(database, collection)));
    }

    /// The new name comes first, so that a reader of one after the other never finds the collection
    /// gone.
    pub(super) fn note_renamed(&mut self, from: NamespaceRef<'_>, to: NamespaceRef<'_>) {
        self.note_collection_changed(to);
        self.note_collection_changed(from);
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
        let Proposal { time_ms, user, from, credentials, retry, command, rights } = proposal;
        self.counters.time_ms = self.counters.time_ms.max(time_ms);
        // A transaction sees the users of its beginning; its commit is compared with those of now.
        if let (Some(user), false) = (&user, self.provisional)
            && !self.is_admitted(txn, user, credentials.as_ref(), rights)?
        {
            return Ok(ProposalResult {
                result: Err(crate::accounts::user_changed(user)),
                repeats: None,
            });
        }
        if let Some(retry) = &retry
            && let Some(answer) = self.repeated(txn, user.as_deref(), retry)?
        {
            return Ok(answer);
        }
        let by_somebody = user.is_some() || from.is_some();
        self.current = CurrentProposal { index, first_change: self.changes.next(), user, from };
        let origins = retry.as_ref().map(|_| retries::origins(&command));
        let known = command.describe();
        if self.entry.index != index || self.provisional {
            self.entry = EntryUsage { index, ..EntryUsage::default() };
        }
        if known.class.by_client && self.entry.is_spent() {
            // Not remembered under its key: the caller may repeat it.
            return Ok(ProposalResult { result: Err(entry_spent()), repeats: None });
        }
        if let Err(error) = settle(self.check_placed(txn, &command, &known))? {
            // Not remembered either: the same call may be right here in a moment.
            return Ok(ProposalResult { result: Err(error), repeats: None });
        }
        let refused = known.check_level(self.counters.level).err().or_else(|| known.too_long());
        let event = by_somebody.then(|| command.audit_event()).flatten();
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
            let CurrentProposal { user, from, .. } = &self.current;
            let (user, from) = (user.clone(), from.clone());
            self.effects.push(SideEffect::Audited { user, from, event });
        }
        if let (Some(retry), Some(origins)) = (retry, origins) {
            self.remember_answer(txn, retry, &result, origins)?;
        }
        Ok(ProposalResult { result, repeats: None })
    }

    /// Whether what has let a user in still holds. A data group knows only whether a right was taken
    /// away since it was checked.
    fn is_admitted(
        &mut self,
        read: &impl Read,
        user: &str,
        credentials: Option<&CredentialRevisions>,
        rights: Option<u64>,
    ) -> Result<bool> {
        if self.counters.group.is_some() {
            return Ok(rights.unwrap_or_default() >= self.counters.rights);
        }
        let Some(credentials) = credentials else { return Ok(true) };
        let known = self.admitted.as_ref();
        if known.is_some_and(|(name, revisions)| name == user && revisions == credentials) {
            return Ok(true);
        }
        let holds = crate::accounts::holds(read, user, credentials)?;
        self.admitted = holds.then(|| (user.to_owned(), credentials.clone()));
        Ok(holds)
    }

    pub(super) fn begin_command(&mut self, cost: Cost) {
        self.budget = Arc::new(cost.into());
        self.rules.clear();
        self.schemas.begin_command();
    }

    /// A context that counts into the budget of the present command.
    pub(super) fn context(&self, now_ms: u64) -> Context<'static> {
        Context::of(self.budget.clone(), now_ms as i64)
    }

    /// Ends a log entry; to be called after its last proposal.
    pub fn end_entry(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        self.end_changes(txn)?;
        self.end_calls(txn)
    }

    pub(super) fn totals(
        &mut self,
        txn: &WriteTxn<'_>,
        collection: CollectionId,
    ) -> Result<&mut CollectionTotals> {
        use std::collections::hash_map::Entry;
        Ok(match self.counters.totals.entry(collection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(crate::catalog::totals(txn, collection)?),
        })
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
