//! Work that grows with the data: building indexes, deleting expired documents, clearing away what
//! was dropped. The leader proposes it in small steps; the progress is replicated, so the next
//! leader goes on from there.

use super::Cluster;
use crate::config::Config;
use crate::engine::Namespace;
use crate::engine::accounts::{all, has_ended};
use crate::engine::catalog::{self, Collection};
use crate::engine::command::{Command, Outcome};
use crate::engine::expiry::expired;
use crate::engine::index::IndexState;
use crate::engine::system::TokenDocument;
use crate::engine::versions::{is_default, older_than};
use crate::engine::{audit, changes, retry, system};
use crate::error::{Error, Kind, Result};
use crate::raft::{AppliedCommand, Group};
use crate::storage::Read;
use crate::storage::keys::CollectionId;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Interval at which expired things are looked for: they are gone a second after they expire.
const INTERVAL: Duration = Duration::from_millis(750);
/// Longest pause between two steps of the same work.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Longest pause before a chore that keeps being refused is tried again.
const REFUSED_MAX: Duration = Duration::from_secs(60);
/// Time after which a collection that was to replace another one is given up.
const ASIDE_MAX: Duration = Duration::from_secs(3600);
/// Documents that one command adds to an index; fewer if they are large or have many keys.
const BUILD_STEP: u32 = 2_000;
/// Expired documents that one command deletes.
const EXPIRE_STEP: u32 = 1_000;
/// Rows that one command clears away.
const CLEAR_STEP: u32 = 10_000;

/// Rows of the history of changes that one command removes.
const TRIM_STEP: u32 = 256;
/// Idempotency keys that one command forgets.
const FORGET_STEP: u32 = 4_096;
/// Former documents whose age is checked in one round.
const AGE_STEP: usize = 20_000;

/// How far the check for old versions has come, by their number.
type Sweep = HashMap<CollectionId, Option<Vec<u8>>>;

/// A command that is due.
#[derive(Debug)]
struct Chore {
    /// What it does, in words; unique among the chores that are due.
    name: String,
    command: Command,
    /// Documents or rows that it processes. If it has processed as many, there are more.
    step: u32,
}

/// What one check has found.
#[derive(Default)]
struct DueWork {
    due: Vec<Chore>,
    /// Checks that have failed.
    failed: Vec<(String, Error)>,
}

impl DueWork {
    fn add(&mut self, name: impl Into<String>, step: u32, command: Command) {
        self.due.push(Chore { name: name.into(), command, step });
    }

    /// A failure of one check hides no other.
    fn record(&mut self, name: &str, looked: Result<()>) {
        if let Err(error) = looked {
            self.failed.push((name.to_owned(), error));
        }
    }
}

/// The chores that were refused: each is tried again after a pause that grows, so that one that
/// cannot succeed neither fills the log nor keeps the others from being done.
#[derive(Default)]
struct Refusals(HashMap<String, Refusal>);

struct Refusal {
    times: u32,
    until: Instant,
}

impl Refusals {
    fn waits(&self, name: &str, now: Instant) -> bool {
        self.0.get(name).is_some_and(|refusal| now < refusal.until)
    }

    fn record(&mut self, name: &str, error: &Error, now: Instant) {
        let refusal = self.0.entry(name.to_owned()).or_insert(Refusal { times: 0, until: now });
        let pause = Duration::from_secs(1 << refusal.times.min(6)).min(REFUSED_MAX);
        refusal.times += 1;
        refusal.until = now + pause;
        tracing::warn!(%error, times = refusal.times, "upkeep: {name} is refused; it is tried again in {pause:?}");
    }

    fn done(&mut self, name: &str) {
        if self.0.remove(name).is_some() {
            tracing::info!("upkeep: {name} goes on");
        }
    }

    /// Forgets what is not due any more.
    fn keep(&mut self, look: &DueWork) {
        let names = look.due.iter().map(|chore| &chore.name);
        let names: HashSet<_> = names.chain(look.failed.iter().map(|(name, _)| name)).collect();
        self.0.retain(|name, _| names.contains(name));
    }
}

/// Runs for a group until it is closed or the node ends. `due` is notified when there is an index
/// to build or something dropped to clear away.
pub async fn run(cluster: Arc<Cluster>, group: Arc<Group>, due: Arc<Notify>) {
    let sweep = Arc::new(Mutex::new(Sweep::new()));
    let mut refused = Refusals::default();
    let mut unfinished = false;
    while !cluster.is_ending() && !group.is_closed() {
        if !unfinished {
            let _ = tokio::time::timeout(INTERVAL, due.notified()).await;
        }
        unfinished = false;
        if !group.is_leader() {
            continue;
        }
        match round(&cluster, &group, &sweep, &mut refused).await {
            Ok(more) => unfinished = more,
            // Another leader goes on, or this one a little later.
            Err(error) => tracing::debug!(%error, "upkeep is interrupted"),
        }
    }
}

/// Does what is due now; returns whether something is left.
async fn round(
    cluster: &Arc<Cluster>,
    group: &Arc<Group>,
    sweep: &Arc<Mutex<Sweep>>,
    refused: &mut Refusals,
) -> Result<bool> {
    let (config, reader, sweep) = (cluster.clone(), group.clone(), sweep.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let mut sweep = sweep.lock();
        look(&reader, &config.config, &mut sweep)
    });
    let Ok(look) = looking.await else { return Ok(false) };
    let propose = |command| {
        let group = group.clone();
        async move { group.propose(command).await }
    };
    work_off(look?, refused, propose).await
}

/// Runs the chores step by step in turn, until all are done or it is time for the next check;
/// returns whether some are left. A refused chore is left out and does not end the round.
///
/// # Errors
/// When this node does not lead any more.
async fn work_off<F: Future<Output = Result<AppliedCommand>>>(
    look: DueWork,
    refused: &mut Refusals,
    propose: impl Fn(Command) -> F,
) -> Result<bool> {
    let started = Instant::now();
    refused.keep(&look);
    for (name, error) in &look.failed {
        if !refused.waits(name, started) {
            refused.record(name, error, started);
        }
    }
    let mut due = look.due;
    due.retain(|chore| !refused.waits(&chore.name, started));
    while !due.is_empty() && started.elapsed() < INTERVAL {
        let mut unfinished = Vec::new();
        for chore in due {
            let began = Instant::now();
            match propose(chore.command.clone()).await {
                Ok(applied) => {
                    let took = began.elapsed();
                    refused.done(&chore.name);
                    let more = match applied.outcome {
                        Outcome::Worked(worked) => worked >= u64::from(chore.step),
                        Outcome::Paused(_) => true,
                        _ => false,
                    };
                    if more {
                        // All nodes work on it: the pause leaves as much time for other work.
                        tokio::time::sleep(took.min(PAUSE_MAX)).await;
                        unfinished.push(chore);
                    }
                }
                Err(error) => match error.kind {
                    Kind::NoLeader | Kind::OutcomeUnknown | Kind::Stopping => return Err(error),
                    Kind::Overloaded => tracing::debug!(%error, "upkeep: {} waits", chore.name),
                    _ => refused.record(&chore.name, &error, Instant::now()),
                },
            }
        }
        due = unfinished;
    }
    Ok(!due.is_empty())
}

/// The commands that are due.
fn look(group: &Group, config: &Config, sweep: &mut Sweep) -> Result<DueWork> {
    let read = group.read()?;
    let mut look = DueWork::default();
    let now = group.time_ms();
    let rows = TRIM_STEP;
    // The outcome of a commit can be asked for as long as the transaction could be open.
    let kept_ms = (config.idempotency_minutes * 60_000).max(config.transaction_max_ms * 2);
    let before_ms = now.saturating_sub(kept_ms);
    let name = "forgetting old calls";
    match retry::is_due(&read, before_ms, now) {
        Ok(true) => {
            look.add(name, FORGET_STEP, Command::ForgetRetries { before_ms, rows: FORGET_STEP });
        }
        due => look.record(name, due.map(drop).map_err(Error::from)),
    }
    let (name, bytes_max) = ("trimming the history of changes", config.changes_mb << 20);
    match changes::totals(&read) {
        Ok(totals) if totals.bytes > bytes_max => {
            look.add(name, rows, Command::TrimChanges { bytes_max, rows });
        }
        totals => look.record(name, totals.map(drop).map_err(Error::from)),
    }
    let (name, entries_max) = ("trimming the audit log", config.audit_max);
    match audit::count(&read) {
        Ok(count) if count > entries_max => {
            look.add(name, rows, Command::TrimAudit { entries_max, rows });
        }
        count => look.record(name, count.map(drop).map_err(Error::from)),
    }
    let name = "removing ended sessions and keys";
    match all::<TokenDocument>(&read, system::TOKENS) {
        Ok(tokens) if tokens.iter().any(|token| has_ended(token, now)) => {
            look.add(name, rows, Command::RemoveEndedTokens { before_ms: now, rows });
        }
        tokens => look.record(name, tokens.map(drop).map_err(Error::from)),
    }
    let name = "setting whether new collections keep versions";
    match is_default(&read) {
        Ok(on) if on != config.versions => {
            look.add(name, u32::MAX, Command::SetVersionsDefault { on: config.versions });
        }
        on => look.record(name, on.map(drop).map_err(Error::from)),
    }
    let name = "clearing away what was dropped";
    match catalog::garbage(&read) {
        Ok(Some(_)) => look.add(name, CLEAR_STEP, Command::ClearGarbage { rows: CLEAR_STEP }),
        garbage => look.record(name, garbage.map(drop).map_err(Error::from)),
    }
    for (database, _) in catalog::databases(&read)? {
        for (collection, id) in catalog::collections(&read, &database)? {
            let looked = look_at(&read, (&database, &collection, id), now, sweep, &mut look);
            look.record(&format!("looking at {database}.{collection}"), looked);
        }
    }
    Ok(look)
}

/// The commands that are due for a collection.
fn look_at(
    read: &impl Read,
    (database, collection, id): (&str, &str, CollectionId),
    now: u64,
    sweep: &mut Sweep,
    look: &mut DueWork,
) -> Result<()> {
    let namespace = || Namespace::new(database, collection);
    if is_left_behind(collection, now) {
        let name = format!("dropping {database}.{collection}");
        look.add(name, u32::MAX, Command::DropCollection { namespace: namespace() });
        return Ok(());
    }
    let loaded = Collection::load(read, id)?;
    if let Some(versions) = loaded.options.versions
        && let Some(ms) = versions.retention.ms
    {
        let from = sweep.remove(&versions.space).flatten();
        let before_ms = now.saturating_sub(ms);
        let (keys, next) = older_than(read, &versions, before_ms, from, AGE_STEP)?;
        sweep.insert(versions.space, next);
        if !keys.is_empty() {
            let name = format!("trimming the versions of {database}.{collection}");
            look.add(name, u32::MAX, Command::TrimVersions { namespace: namespace(), keys });
        }
    }
    for entry in loaded.indexes {
        let index = entry.entry.id;
        match entry.entry.state {
            IndexState::Building { .. } => {
                let name = format!("building index {index} of {database}.{collection}");
                let documents = BUILD_STEP;
                let build = Command::BuildIndex { namespace: namespace(), index, documents };
                look.add(name, BUILD_STEP, build);
            }
            IndexState::Ready if !expired(read, id, &entry, now as i64, 1)?.is_empty() => {
                let name = format!("deleting by index {index} of {database}.{collection}");
                let (time_ms, documents) = (now, EXPIRE_STEP);
                let expire = Command::Expire { namespace: namespace(), index, time_ms, documents };
                look.add(name, EXPIRE_STEP, expire);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a collection was to replace another one and its caller has gone long ago.
fn is_left_behind(collection: &str, now: u64) -> bool {
    let made = collection
        .strip_prefix(system::ASIDE)
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(id, _)| uuid::Uuid::parse_str(id).ok()?.get_timestamp())
        .map(|made| made.to_unix().0);
    made.is_some_and(|made| made + ASIDE_MAX.as_secs() < now / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A check that has found a chore of each name, clearing as many rows as its position says.
    fn found(names: &[&str]) -> DueWork {
        let mut look = DueWork::default();
        for (rows, name) in (0..).zip(names) {
            look.add(*name, 100, Command::ClearGarbage { rows });
        }
        look
    }

    /// Works off the chores where the one with this number is refused; returns the numbers of those
    /// that were proposed.
    async fn proposed(look: DueWork, refused: &mut Refusals, refuse: (u32, Kind)) -> Vec<u32> {
        let asked = RefCell::new(Vec::new());
        let propose = |command| {
            let Command::ClearGarbage { rows } = command else { panic!("{command:?}") };
            asked.borrow_mut().push(rows);
            std::future::ready(match rows == refuse.0 {
                true => Err(Error::new(refuse.1, "no")),
                false => {
                    Ok(AppliedCommand { index: 1, outcome: Outcome::Worked(1), repeated: false })
                }
            })
        };
        let _ = work_off(look, refused, propose).await;
        asked.into_inner()
    }

    #[tokio::test]
    async fn a_refused_chore_does_not_end_the_round_of_the_others() {
        let names = ["a", "b", "c"];
        for kind in [Kind::StorageFull, Kind::TooLarge, Kind::Internal, Kind::Overloaded] {
            let mut refused = Refusals::default();
            assert_eq!(
                proposed(found(&names), &mut refused, (1, kind)).await,
                [0, 1, 2],
                "{kind:?}"
            );
        }
        let mut refused = Refusals::default();
        let none = proposed(found(&names), &mut refused, (1, Kind::NoLeader)).await;
        assert_eq!(none, [0, 1], "another node leads: it does them");

        // The refused chore waits; the others do not wait for it.
        let full = (1, Kind::StorageFull);
        assert_eq!(proposed(found(&names), &mut refused, full).await, [0, 1, 2]);
        assert_eq!(proposed(found(&names), &mut refused, full).await, [0, 2]);
        // Once it has not been due for a round, it is like new.
        assert_eq!(proposed(found(&["a"]), &mut refused, full).await, [0]);
        assert_eq!(proposed(found(&names), &mut refused, full).await, [0, 1, 2]);
    }

    #[test]
    fn the_pause_after_a_refusal_grows_to_a_minute_and_ends() {
        let (mut refused, mut now) = (Refusals::default(), Instant::now());
        let error = Error::new(Kind::StorageFull, "full");
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            refused.record("a", &error, now);
            now += Duration::from_secs(seconds);
            assert!(refused.waits("a", now - Duration::from_millis(1)), "{seconds}");
            assert!(!refused.waits("a", now) && !refused.waits("b", now), "{seconds}");
        }
        refused.done("a");
        assert!(!refused.waits("a", now));
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_hides_nothing_else() {
        let mut look = found(&["a"]);
        look.record("b", Err(Error::new(Kind::Internal, "a damaged row")));
        assert_eq!(proposed(look, &mut Refusals::default(), (9, Kind::Internal)).await, [0]);
    }
}
