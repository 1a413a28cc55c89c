//! What a task has to do: reading what is due, without changing anything.

use super::{Subject, Task, TaskId, TaskKind, TaskState};
use crate::config::Config;
use crate::engine::Namespace;
use crate::engine::accounts::all;
use crate::engine::catalog::{self, Collection, CollectionTotals};
use crate::engine::command::Command;
use crate::engine::expiry::first_expiry;
use crate::engine::index::{Index, IndexId, IndexState};
use crate::engine::system::{self, TokenDocument};
use crate::engine::versions::{is_default, older_than};
use crate::engine::{audit, changes, retry};
use crate::error::{Error, Result};
use crate::storage::Read;
use crate::storage::keys::CollectionId;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Interval at which a task that is due repeatedly is looked at: what has expired is gone a
/// second later.
pub const INTERVAL_MS: u64 = 750;
/// Time for which a look that has found nothing holds while the state does not change, in milliseconds:
/// calls and tokens are to be forgotten some time after they have ended.
const UNCHANGED_MS: u64 = 10_000;
/// Pause before the next thing that was dropped is looked for: the last step becomes visible.
const CLEAR_PAUSE_MS: u64 = 50;
/// Time after which a collection that was to replace another one is given up.
const ASIDE_MAX: Duration = Duration::from_secs(3600);
/// Documents that one command adds to an index; fewer if they are large or have many keys. The
/// pages of the index that change are written once for each command, so large steps are cheaper.
pub(super) const BUILD_STEP: u32 = 20_000;
/// The same while others write, who wait for each command.
pub(super) const BUILD_STEP_BUSY: u32 = 2_000;
/// Expired documents that one command deletes.
const EXPIRE_STEP: u32 = 1_000;
/// Rows that one command clears away.
const CLEAR_STEP: u32 = 10_000;
/// Rows of the history of changes that one command removes.
const TRIM_STEP: u32 = 256;
/// Idempotency keys that one command forgets.
const FORGET_STEP: u32 = 4_096;
/// Former documents whose age is checked at once.
const AGE_STEP: usize = 20_000;

/// What a task is bounded by.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Time for which the answers of calls are kept, in milliseconds.
    pub kept_ms: u64,
    /// Bytes of the history of changes.
    pub changes_bytes_max: u64,
    /// Entries of the audit log.
    pub audit_entries_max: u64,
    /// Whether new collections keep versions.
    pub versions: bool,
}

impl From<&Config> for Bounds {
    fn from(config: &Config) -> Self {
        Bounds {
            // The outcome of a commit can be asked for as long as the transaction could be open.
            kept_ms: (config.idempotency_minutes * 60_000).max(config.transaction_max_ms * 2),
            changes_bytes_max: config.changes_mb << 20,
            audit_entries_max: config.audit_max,
            versions: config.versions,
        }
    }
}

/// What earlier looks have found, so that later ones need not find it again.
#[derive(Debug, Default)]
pub struct LookMemory {
    /// How far the search for old versions is, by the number of their history.
    sweeps: HashMap<CollectionId, Sweep>,
    /// Log index of the last change of a token, and when the first of them ends.
    tokens: Option<(u64, Option<u64>)>,
    /// Whether others wrote between the last two steps.
    pub(super) busy: bool,
}

/// How far a search for old versions is.
#[derive(Debug, Default)]
struct Sweep {
    /// Where to go on.
    next: Option<Vec<u8>>,
    /// When the oldest of those was made that stay, in milliseconds since 1970.
    oldest_ms: Option<u64>,
}

/// What a look at a task has found.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A command that is due.
    Step {
        /// The command.
        command: Box<Command>,
        /// Documents or rows that it processes. If it has processed as many, there are more.
        size: u32,
        /// When to look again after the last such step, in milliseconds since 1970; none when the
        /// catalog changes then.
        again_ms: Option<u64>,
    },
    /// Nothing until this time, in milliseconds since 1970; none when an event makes it due.
    Nothing(Option<u64>),
}

/// A task of a collection, as the catalog has it.
#[derive(Debug, PartialEq)]
pub struct CollectionTask {
    /// Its id.
    pub id: TaskId,
    /// What it is about.
    pub subject: Subject,
    /// When to look at it, in milliseconds since 1970.
    pub due_ms: u64,
    /// Documents that were processed.
    pub done: u64,
    /// Documents that there are.
    pub total: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

/// What the catalog says about the tasks of a collection.
#[derive(Debug, Default)]
pub struct CollectionTasks {
    /// Those that go on.
    pub tasks: Vec<CollectionTask>,
    /// Indexes that are built.
    pub built: HashSet<IndexId>,
    /// Indexes that could not be built, and why.
    pub failed: Vec<(IndexId, Subject, Error)>,
}

/// What the catalog says about the tasks of a collection; nothing when it does not exist.
///
/// # Errors
/// Those of reading.
pub fn collection_tasks(read: &impl Read, namespace: &Namespace) -> Result<CollectionTasks> {
    let Namespace { database, collection } = namespace;
    let mut found = CollectionTasks::default();
    let Some(id) = catalog::collection(read, database, collection)? else { return Ok(found) };
    let subject = |index: Option<&Index>| Subject {
        collection: id,
        namespace: namespace.clone(),
        index: index.map(|index| index.entry.spec.name.clone()),
    };
    let task = |kind, number, index| CollectionTask {
        id: TaskId::new(kind, number),
        subject: subject(index),
        due_ms: 0,
        done: 0,
        total: None,
        bytes: None,
    };
    if let Some(due_ms) = left_behind_ms(collection) {
        found.tasks.push(CollectionTask { due_ms, ..task(TaskKind::DropLeftover, id, None) });
    }
    let loaded = Collection::load(read, id)?;
    if let Some(versions) = loaded.options.versions
        && versions.retention.ms.is_some()
    {
        found.tasks.push(task(TaskKind::TrimVersions, versions.space, None));
    }
    for index in &loaded.indexes {
        let number = index.entry.id;
        match &index.entry.state {
            IndexState::Building { done, .. } => {
                let totals = catalog::totals(read, id)?;
                found.tasks.push(CollectionTask {
                    done: *done,
                    total: Some(totals.documents),
                    bytes: Some(totals.bytes),
                    ..task(TaskKind::IndexBuild, number, Some(index))
                });
            }
            IndexState::Ready => {
                found.built.insert(number);
                if index.entry.spec.expire_after.is_some() {
                    found.tasks.push(task(TaskKind::Expiry, number, Some(index)));
                }
            }
            IndexState::Failed(error) => {
                found.failed.push((number, subject(Some(index)), (**error).clone()));
            }
        }
    }
    Ok(found)
}

/// The task of building an index, as the catalog has it; none for another kind, or when there is no such
/// index.
///
/// # Errors
/// Those of reading.
pub fn index_build(read: &impl Read, id: TaskId) -> Result<Option<Task>> {
    if id.kind != TaskKind::IndexBuild {
        return Ok(None);
    }
    let Some(collection) = catalog::collection_of_index(read, id.in_catalog())? else {
        return Ok(None);
    };
    for namespace in namespaces(read)? {
        let Namespace { database, collection: name } = &namespace;
        if catalog::collection(read, database, name)? == Some(collection) {
            let loaded = Collection::load(read, collection)?;
            let totals = catalog::totals(read, collection)?;
            let index = loaded.indexes.iter().find(|index| index.entry.id == id.in_catalog());
            return Ok(index.map(|index| {
                let name = Some(index.entry.spec.name.clone());
                build_of(id, index, Subject { collection, namespace, index: name }, totals)
            }));
        }
    }
    Ok(None)
}

fn build_of(id: TaskId, index: &Index, subject: Subject, totals: CollectionTotals) -> Task {
    let (state, done) = match &index.entry.state {
        IndexState::Building { done, .. } => (TaskState::Waiting, *done),
        IndexState::Ready => (TaskState::Done, totals.documents),
        IndexState::Failed(_) => (TaskState::Failed, 0),
    };
    Task {
        id,
        state,
        subject: Some(subject),
        placing: None,
        done,
        total: Some(totals.documents),
        bytes: Some(totals.bytes),
        left_ms: None,
        due_ms: None,
        ended_ms: None,
        reason: index.entry.state.error().map(ToString::to_string),
    }
}

/// The collections of all databases, by their names.
///
/// # Errors
/// Those of reading.
pub fn namespaces(read: &impl Read) -> Result<Vec<Namespace>> {
    let mut found = Vec::new();
    for (database, _) in catalog::databases(read)? {
        let collections = catalog::collections(read, &database)?;
        found.extend(collections.into_iter().map(|(name, _)| Namespace::new(&database, name)));
    }
    Ok(found)
}

/// When a collection that was to replace another one is given up, in milliseconds since 1970.
fn left_behind_ms(collection: &str) -> Option<u64> {
    let (id, _) = collection.strip_prefix(system::ASIDE)?.split_once('.')?;
    let (seconds, _) = uuid::Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    Some(seconds.saturating_add(ASIDE_MAX.as_secs()).saturating_mul(1000))
}

/// What a task that is due has to do.
///
/// # Errors
/// Those of reading.
pub fn look(
    read: &impl Read,
    bounds: &Bounds,
    memory: &mut LookMemory,
    now_ms: u64,
    (id, subject): (TaskId, Option<&Subject>),
) -> Result<Found> {
    let again_ms = Some(now_ms + INTERVAL_MS);
    let step = |command, size| Found::Step { command: Box::new(command), size, again_ms };
    let rows = TRIM_STEP;
    let due = match (id.kind, subject) {
        (TaskKind::IndexBuild, Some(subject)) => {
            let (namespace, index) = (subject.namespace.clone(), id.in_catalog());
            let size = if memory.busy { BUILD_STEP_BUSY } else { BUILD_STEP };
            let command = Command::BuildIndex { namespace, index, documents: size };
            return Ok(Found::Step { command: Box::new(command), size, again_ms: None });
        }
        (TaskKind::DropLeftover, Some(subject)) => {
            let command = Command::DropCollection { namespace: subject.namespace.clone() };
            return Ok(Found::Step { command: Box::new(command), size: u32::MAX, again_ms: None });
        }
        (TaskKind::Expiry, Some(subject)) => {
            return look_expired(read, now_ms, id.in_catalog(), subject);
        }
        (TaskKind::TrimVersions, Some(subject)) => {
            let sweep = memory.sweeps.entry(id.in_catalog()).or_default();
            return look_versions(read, now_ms, id.in_catalog(), subject, sweep);
        }
        (TaskKind::ClearDropped, _) => {
            if catalog::garbage(read)?.is_none() {
                return Ok(Found::Nothing(None));
            }
            let (command, size) =
                (Box::new(Command::ClearGarbage { rows: CLEAR_STEP }), CLEAR_STEP);
            return Ok(Found::Step { command, size, again_ms: Some(now_ms + CLEAR_PAUSE_MS) });
        }
        (TaskKind::RemoveTokens, _) => {
            let ended = first_ended(read, memory)?.is_some_and(|end| end <= now_ms);
            ended.then(|| step(Command::RemoveEndedTokens { before_ms: now_ms, rows }, rows))
        }
        (TaskKind::ForgetCalls, _) => {
            let before_ms = now_ms.saturating_sub(bounds.kept_ms);
            let rows = FORGET_STEP;
            retry::is_due(read, before_ms, now_ms)?
                .then(|| step(Command::ForgetRetries { before_ms, rows }, rows))
        }
        (TaskKind::TrimChanges, _) => {
            let bytes_max = bounds.changes_bytes_max;
            (changes::totals(read)?.bytes > bytes_max)
                .then(|| step(Command::TrimChanges { bytes_max, rows }, rows))
        }
        (TaskKind::TrimAudit, _) => {
            let entries_max = bounds.audit_entries_max;
            (audit::count(read)? > entries_max)
                .then(|| step(Command::TrimAudit { entries_max, rows }, rows))
        }
        (TaskKind::SetVersionsDefault, _) => {
            let on = bounds.versions;
            (is_default(read)? != on).then(|| step(Command::SetVersionsDefault { on }, u32::MAX))
        }
        _ => return Ok(Found::Nothing(None)),
    };
    Ok(due.unwrap_or(Found::Nothing(Some(now_ms + UNCHANGED_MS))))
}

fn look_expired(read: &impl Read, now_ms: u64, index: IndexId, subject: &Subject) -> Result<Found> {
    let loaded = Collection::load(read, subject.collection)?;
    let Some(found) = loaded.indexes.iter().find(|found| found.entry.id == index) else {
        return Ok(Found::Nothing(None));
    };
    Ok(match first_expiry(read, found)? {
        Some(due) if due <= now_ms as i64 => {
            let (time_ms, documents) = (now_ms, EXPIRE_STEP);
            let namespace = subject.namespace.clone();
            Found::Step {
                command: Box::new(Command::Expire { namespace, index, time_ms, documents }),
                size: EXPIRE_STEP,
                again_ms: Some(now_ms + INTERVAL_MS),
            }
        }
        due => Found::Nothing(due.map(|due| due as u64)),
    })
}

/// Looks for versions that are too old, a part of them at once: they lie in the order of their
/// documents. When all were seen, none is due until the oldest that stays is.
fn look_versions(
    read: &impl Read,
    now_ms: u64,
    space: CollectionId,
    subject: &Subject,
    sweep: &mut Sweep,
) -> Result<Found> {
    let loaded = Collection::load(read, subject.collection)?;
    let versions = loaded.options.versions.filter(|versions| versions.space == space);
    let Some((versions, ms)) = versions.and_then(|known| Some((known, known.retention.ms?))) else {
        return Ok(Found::Nothing(None));
    };
    let before_ms = now_ms.saturating_sub(ms);
    let found = older_than(read, &versions, before_ms, sweep.next.take(), AGE_STEP)?;
    sweep.oldest_ms = sweep.oldest_ms.into_iter().chain(found.oldest_ms).min();
    sweep.next = found.next;
    let soon_ms = now_ms + INTERVAL_MS;
    let again_ms = match sweep.next {
        Some(_) => soon_ms,
        None => {
            let oldest_ms = sweep.oldest_ms.take().unwrap_or(now_ms);
            soon_ms.max(oldest_ms.saturating_add(ms).saturating_add(1))
        }
    };
    if found.keys.is_empty() {
        return Ok(Found::Nothing(Some(again_ms)));
    }
    let namespace = subject.namespace.clone();
    let command = Box::new(Command::TrimVersions { namespace, keys: found.keys });
    Ok(Found::Step { command, size: u32::MAX, again_ms: Some(again_ms) })
}

/// When the first token ends, in milliseconds since 1970. All are read only when one of them has
/// changed.
fn first_ended(read: &impl Read, memory: &mut LookMemory) -> Result<Option<u64>> {
    let changed = match catalog::collection(read, system::DATABASE, system::TOKENS)? {
        Some(id) => catalog::totals(read, id)?.changed,
        None => 0,
    };
    if let Some((known, first)) = memory.tokens
        && known == changed
    {
        return Ok(first);
    }
    let tokens = all::<TokenDocument>(read, system::TOKENS)?;
    let first = tokens.iter().filter_map(|token| token.expires_ms).min();
    memory.tokens = Some((changed, first));
    Ok(first)
}
