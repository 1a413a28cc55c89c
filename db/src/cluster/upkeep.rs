//! Work that grows with the data: building indexes, deleting what has expired, clearing away
//! what was dropped. The leader proposes it in small steps; where it stands is replicated, so
//! the next leader goes on from there.

use super::Cluster;
use crate::config::Config;
use crate::engine::accounts::{all, has_ended};
use crate::engine::catalog::{self, Collection};
use crate::engine::command::{Command, Outcome};
use crate::engine::index::IndexState;
use crate::engine::system::TokenDocument;
use crate::engine::upkeep::expired;
use crate::engine::version::older_than;
use crate::engine::{audit, change, retry, system};
use crate::error::{Kind, Result};
use crate::raft::Group;
use crate::storage::keys::CollectionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks for documents that have expired.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest pause between two steps of the same work.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Time after which a collection that was to take another one's place is given up.
const ASIDE_MAX: Duration = Duration::from_secs(3600);
/// Documents that one command adds to an index; fewer when they are large or have many keys.
const BUILD_STEP: u32 = 2_000;
/// Documents that one command deletes because they have expired.
const EXPIRE_STEP: u32 = 1_000;
/// Rows that one command clears away.
const CLEAR_STEP: u32 = 10_000;

/// Rows of the history of changes that one command removes.
const TRIM_STEP: u32 = 256;
/// Former documents that are looked at for their age in one round.
const AGE_STEP: usize = 20_000;

/// How far the look for former documents that are old has come, by their number.
type Sweep = HashMap<CollectionId, Option<Vec<u8>>>;

/// Runs until the node ends.
pub async fn run(cluster: Arc<Cluster>) {
    let sweep = Arc::new(Mutex::new(Sweep::new()));
    while !cluster.is_ending() {
        let _ = tokio::time::timeout(INTERVAL, cluster.upkeep.notified()).await;
        let Ok(group) = cluster.group() else { return };
        if !group.is_leader() {
            continue;
        }
        if let Err(error) = round(&cluster, group, &sweep).await {
            match error.kind {
                // Another leader goes on, or this one a little later.
                Kind::NoLeader | Kind::Overloaded | Kind::OutcomeUnknown | Kind::Stopping => {
                    tracing::debug!(%error, "upkeep is interrupted");
                }
                _ => tracing::warn!(%error, "upkeep cannot go on"),
            }
        }
    }
}

/// Does what is to be done now, each thing a step at a time in turn.
async fn round(
    cluster: &Arc<Cluster>,
    group: &Arc<Group>,
    sweep: &Arc<Mutex<Sweep>>,
) -> Result<()> {
    let (config, reader, sweep) = (cluster.clone(), group.clone(), sweep.clone());
    let due = tokio::task::spawn_blocking(move || {
        let mut sweep = sweep.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        due(&reader, &config.config, &mut sweep)
    });
    let mut due = match due.await {
        Ok(due) => due?,
        Err(_) => return Ok(()),
    };
    let began = Instant::now();
    while !due.is_empty() {
        if began.elapsed() > INTERVAL {
            // Something else may be due by now.
            cluster.upkeep.notify_one();
            return Ok(());
        }
        let mut unfinished = Vec::new();
        for (command, step) in due {
            let started = Instant::now();
            let applied = group.propose(command.clone()).await?;
            let took = started.elapsed();
            let more = match applied.outcome {
                Outcome::Worked(worked) => worked >= u64::from(step),
                Outcome::Paused(_) => true,
                _ => false,
            };
            if more {
                // All nodes work on it: that leaves as much time for others.
                tokio::time::sleep(took.min(PAUSE_MAX)).await;
                unfinished.push((command, step));
            }
        }
        due = unfinished;
    }
    Ok(())
}

/// The commands that are due, each with the number of documents or rows it works off.
fn due(group: &Group, config: &Config, sweep: &mut Sweep) -> Result<Vec<(Command, u32)>> {
    let read = group.read()?;
    let mut due = Vec::new();
    let now = group.time_ms();
    // What became of a commit can be asked for as long as the transaction could be open.
    let kept_ms = (config.idempotency_minutes * 60_000).max(config.transaction_max_ms * 2);
    let before_ms = now.saturating_sub(kept_ms);
    if retry::oldest_ms(&read)?.is_some_and(|oldest| oldest < before_ms) {
        due.push((Command::ForgetRetries { before_ms, rows: TRIM_STEP }, TRIM_STEP));
    }
    let bytes_max = config.changes_mb << 20;
    if change::totals(&read)?.bytes > bytes_max {
        due.push((Command::TrimChanges { bytes_max, rows: TRIM_STEP }, TRIM_STEP));
    }
    if audit::count(&read)? > config.audit_max {
        let entries_max = config.audit_max;
        due.push((Command::TrimAudit { entries_max, rows: TRIM_STEP }, TRIM_STEP));
    }
    let tokens: Vec<TokenDocument> = all(&read, system::TOKENS)?;
    if tokens.iter().any(|token| has_ended(token, now)) {
        due.push((Command::RemoveEndedTokens { before_ms: now, rows: TRIM_STEP }, TRIM_STEP));
    }
    if catalog::garbage(&read)?.is_some() {
        due.push((Command::ClearGarbage { rows: CLEAR_STEP }, CLEAR_STEP));
    }
    for (database, _) in catalog::databases(&read)? {
        for (collection, id) in catalog::collections(&read, &database)? {
            if is_left_behind(&collection, now) {
                let (database, collection) = (database.clone(), collection.clone());
                due.push((Command::DropCollection { database, collection }, u32::MAX));
                continue;
            }
            let loaded = Collection::load(&read, id)?;
            if let Some(versions) = loaded.options.versions
                && let Some(ms) = versions.retention.ms
            {
                let from = sweep.remove(&versions.space).flatten();
                let before_ms = now.saturating_sub(ms);
                let (keys, next) = older_than(&read, &versions, before_ms, from, AGE_STEP)?;
                sweep.insert(versions.space, next);
                if !keys.is_empty() {
                    let (database, collection) = (database.clone(), collection.clone());
                    due.push((Command::TrimVersions { database, collection, keys }, u32::MAX));
                }
            }
            for index in loaded.indexes {
                let (database, collection) = (database.clone(), collection.clone());
                let (time_ms, number) = (now, index.entry.id);
                match index.entry.state {
                    IndexState::Building { .. } => {
                        let build = Command::BuildIndex {
                            database,
                            collection,
                            index: number,
                            documents: BUILD_STEP,
                        };
                        due.push((build, BUILD_STEP));
                    }
                    IndexState::Ready
                        if !expired(&read, id, &index, time_ms as i64, 1)?.is_empty() =>
                    {
                        let expire = Command::Expire {
                            database,
                            collection,
                            index: number,
                            time_ms,
                            documents: EXPIRE_STEP,
                        };
                        due.push((expire, EXPIRE_STEP));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(due)
}

/// Whether a collection was to take another one's place and its caller has gone long ago.
fn is_left_behind(collection: &str, now: u64) -> bool {
    let made = collection
        .strip_prefix(system::ASIDE)
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(id, _)| uuid::Uuid::parse_str(id).ok()?.get_timestamp())
        .map(|made| made.to_unix().0);
    made.is_some_and(|made| made + ASIDE_MAX.as_secs() < now / 1000)
}
