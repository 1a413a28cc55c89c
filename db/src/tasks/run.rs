//! Carrying tasks out: what a leader does while it leads.

use super::registry::Registry;
use super::work::{
    Bounds, CollectionTasks, Found, INTERVAL_MS, LookMemory, collection_tasks, look, namespaces,
};
use super::{Subject, Task, TaskId, TaskKind};
use crate::engine::Namespace;
use crate::engine::command::{Command, Outcome};
use crate::engine::index::IndexId;
use crate::error::{Error, Kind, Result};
use crate::pulse;
use crate::raft::{AppliedCommand, Group, GroupId};
use crate::storage::Read;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Longest time without a look whether this node leads.
const INTERVAL: Duration = Duration::from_millis(INTERVAL_MS);
/// Longest pause between two steps of the same task.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Tasks that are looked at in one round.
const LOOKS_MAX: usize = 1_000;
/// Collections that are remembered to have changed; if there are more, all are read.
const CHANGED_MAX: usize = 10_000;

/// The tasks of a group: those that this node carries out while it leads.
#[derive(Default)]
pub struct Tasks {
    held: Mutex<Held>,
    wake: Notify,
}

#[derive(Default)]
struct Held {
    registry: Registry,
    /// What has changed since the registry was brought up to date; none while it is not in use.
    changes: Option<Changes>,
    /// Log index up to which the state was visible at the last look.
    seen: Option<u64>,
    /// Log index of the last step of work that goes on.
    last_step: Option<u64>,
    /// Whether others wrote between the last two steps of such work.
    busy: bool,
}

/// What has changed in the catalog.
#[derive(Default)]
struct Changes {
    collections: HashSet<Namespace>,
    expiry: HashSet<IndexId>,
    dropped: bool,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.expiry.is_empty() && !self.dropped
    }

    fn are_too_many(&self) -> bool {
        self.collections.len() > CHANGED_MAX || self.expiry.len() > CHANGED_MAX
    }
}

impl Tasks {
    /// A collection has come, gone or changed.
    pub fn collection_changed(&self, namespace: Namespace) {
        self.note(true, |changes| changes.collections.extend([namespace]));
    }

    /// A TTL index has new entries. It is looked at in the next round.
    pub fn expiry_changed(&self, index: IndexId) {
        self.note(false, |changes| changes.expiry.extend([index]));
    }

    /// Something was dropped.
    pub fn dropped(&self) {
        self.note(true, |changes| changes.dropped = true);
    }

    fn note(&self, at_once: bool, change: impl FnOnce(&mut Changes)) {
        let mut held = self.held.lock();
        let Some(changes) = held.changes.as_mut().filter(|changes| !changes.are_too_many()) else {
            return;
        };
        change(changes);
        if at_once {
            self.wake.notify_one();
        }
    }

    /// Takes over the decisions about replicas, see [`Registry::set_placing`]. For the leader of the
    /// system group.
    pub fn set_placing(&self, groups: &BTreeMap<GroupId, (u64, bool)>, now_ms: u64) {
        let mut held = self.held.lock();
        // What comes before the first look is cleared by it.
        if held.changes.is_some() {
            held.registry.set_placing(groups, now_ms);
        }
    }

    /// A task, by its id; none when this node does not lead, or knows of none.
    pub fn get(&self, id: TaskId, now_ms: u64) -> Option<Task> {
        self.held.lock().registry.get(id, now_ms)
    }

    /// All tasks.
    pub fn all(&self, now_ms: u64) -> Vec<Task> {
        self.held.lock().registry.all(now_ms)
    }

    /// Begins to note changes, and fills the registry from a state that is read afterwards.
    fn restart<R: Read>(&self, read: impl FnOnce() -> Result<R>, now_ms: u64) -> Result<()> {
        {
            let mut held = self.held.lock();
            held.changes = Some(Changes::default());
            held.registry.restart(now_ms);
        }
        let read = read()?;
        let found = read_collections(&read, namespaces(&read)?);
        self.held.lock().registry.set_collections(found, now_ms);
        Ok(())
    }

    /// Another node leads: what this one knew of its tasks is out of date.
    fn stop(&self) {
        let mut held = self.held.lock();
        held.changes = None;
        held.registry.clear();
    }

    /// Brings the registry up to date with what has changed.
    fn take_changes(&self, read: &impl Read, changes: Changes, now_ms: u64) {
        let found = read_collections(read, changes.collections);
        let mut held = self.held.lock();
        held.registry.set_collections(found, now_ms);
        for index in changes.expiry {
            held.registry.wake(TaskId::new(TaskKind::Expiry, index), now_ms);
        }
        if changes.dropped {
            held.registry.wake(TaskId::single(TaskKind::ClearDropped), now_ms);
        }
    }

    /// Whether there is anything to look at, in the state that is visible up to a log index.
    fn are_due(&self, index: u64, now_ms: u64) -> bool {
        let mut held = self.held.lock();
        if held.seen.replace(index) != Some(index) {
            held.registry.state_changed(now_ms);
        }
        let quiet = held.changes.as_ref().is_some_and(Changes::is_empty);
        !quiet || held.registry.next_due_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Time until there may be something to look at.
    fn pause(&self, now_ms: u64) -> Duration {
        let due_ms = self.held.lock().registry.next_due_ms();
        let wait_ms = due_ms.map_or(INTERVAL_MS, |due_ms| due_ms.saturating_sub(now_ms));
        INTERVAL.min(Duration::from_millis(wait_ms))
    }

    /// What the tasks that are due have to do. A failure of one hides no other.
    fn look(
        &self,
        read: &impl Read,
        bounds: &Bounds,
        memory: &mut LookMemory,
        now_ms: u64,
    ) -> Vec<DueStep> {
        let due = {
            let held = self.held.lock();
            memory.busy = held.busy;
            held.registry.due(now_ms, LOOKS_MAX)
        };
        let looked = due.into_iter().map(|(id, subject): (_, Option<Subject>)| {
            (id, look(read, bounds, memory, now_ms, (id, subject.as_ref())))
        });
        let looked: Vec<_> = looked.collect();
        let mut held = self.held.lock();
        let mut steps = Vec::new();
        for (id, found) in looked {
            match found {
                Ok(Found::Step { command, size, again_ms }) => {
                    steps.push(DueStep { id, command: *command, size, again_ms });
                }
                Ok(Found::Nothing(due_ms)) => held.registry.rest(id, due_ms),
                Err(error) => held.registry.refuse(id, &error, now_ms),
            }
        }
        steps
    }
}

/// A command that is due.
#[derive(Debug)]
struct DueStep {
    id: TaskId,
    command: Command,
    size: u32,
    again_ms: Option<u64>,
}

/// What the catalog says about some collections. One that cannot be read hides no other.
fn read_collections(
    read: &impl Read,
    names: impl IntoIterator<Item = Namespace>,
) -> Vec<(Namespace, CollectionTasks)> {
    let found = names.into_iter().filter_map(|name| match collection_tasks(read, &name) {
        Ok(found) => Some((name, found)),
        Err(error) => {
            tracing::error!(%error, "the tasks of {name} cannot be read");
            None
        }
    });
    found.collect()
}

/// Carries out the tasks of a group while this node leads it, until the node ends.
pub async fn run(
    tasks: Arc<Tasks>,
    group: Arc<Group>,
    bounds: Bounds,
    is_ending: impl Fn() -> bool,
) {
    let memory = Arc::new(Mutex::new(LookMemory::default()));
    // The vote by which this node led when the registry was filled: while another led, it may
    // have received a copy of the state.
    let mut filled = None;
    let mut pause = INTERVAL;
    while !is_ending() {
        if !pause.is_zero() {
            // The tasks of all groups wake together.
            let _ = tokio::time::timeout_at(pulse::next(pause), tasks.wake.notified()).await;
        }
        pause = INTERVAL;
        if !group.is_leader() {
            continue;
        }
        let vote = Some(group.vote());
        let fill = filled != vote;
        // A look takes another thread and a read of the state, for each group of the node.
        if !tasks.are_due(group.visible_index(), group.time_ms()) && !fill {
            pause = tasks.pause(group.time_ms());
            continue;
        }
        match round(&tasks, &group, &bounds, &memory, fill).await {
            Ok(next) => {
                (filled, pause) = (vote, next);
            }
            // Another leader goes on, or this one a little later.
            Err(error) => tracing::debug!(%error, "tasks are interrupted"),
        }
        if !group.is_leader() {
            tasks.stop();
            filled = None;
        }
    }
}

/// Does what is due now, a step of each task; returns the time until the next one is due.
async fn round(
    tasks: &Arc<Tasks>,
    group: &Arc<Group>,
    bounds: &Bounds,
    memory: &Arc<Mutex<LookMemory>>,
    fill: bool,
) -> Result<Duration> {
    let looking = {
        let (tasks, group, bounds, memory) =
            (tasks.clone(), group.clone(), bounds.clone(), memory.clone());
        move || {
            look_up(&tasks, || group.read(), &bounds, &mut memory.lock(), (group.time_ms(), fill))
        }
    };
    let looked = tokio::task::spawn_blocking(looking).await;
    let steps = looked.map_err(|error| Error::new(Kind::Internal, error.to_string()))??;
    let propose = |command| {
        let group = group.clone();
        async move { group.propose(command).await }
    };
    work_off(tasks, steps, || group.time_ms(), propose).await?;
    Ok(tasks.pause(group.time_ms()))
}

/// Brings the registry up to date, and finds what is due.
fn look_up<R: Read>(
    tasks: &Tasks,
    read: impl Fn() -> Result<R>,
    bounds: &Bounds,
    memory: &mut LookMemory,
    (now_ms, fill): (u64, bool),
) -> Result<Vec<DueStep>> {
    let changes = {
        let mut held = tasks.held.lock();
        held.changes.as_mut().map(std::mem::take)
    };
    match changes.filter(|changes| !fill && !changes.are_too_many()) {
        Some(changes) => {
            let read = read()?;
            tasks.take_changes(&read, changes, now_ms);
            Ok(tasks.look(&read, bounds, memory, now_ms))
        }
        None => {
            *memory = LookMemory::default();
            tasks.restart(&read, now_ms)?;
            Ok(tasks.look(&read()?, bounds, memory, now_ms))
        }
    }
}

/// Proposes the steps one after the other. A refused one does not end the round.
///
/// # Errors
/// When this node does not lead any more.
async fn work_off<F: Future<Output = Result<AppliedCommand>>>(
    tasks: &Tasks,
    steps: Vec<DueStep>,
    time_ms: impl Fn() -> u64,
    propose: impl Fn(Command) -> F,
) -> Result<()> {
    for DueStep { id, command, size, again_ms } in steps {
        let began = Instant::now();
        tasks.held.lock().registry.begin_step(id, time_ms());
        match propose(command).await {
            Ok(applied) => {
                let took = began.elapsed();
                let (worked, more) = match applied.outcome {
                    Outcome::Worked(worked) => (worked, worked >= u64::from(size)),
                    Outcome::Paused(worked) => (worked, true),
                    _ => (0, false),
                };
                let times = (time_ms(), again_ms);
                let others_write = {
                    let mut held = tasks.held.lock();
                    held.registry.end_step(id, worked, more, times);
                    let last = held.last_step.take();
                    held.busy = more && last.is_some_and(|last| applied.index != last + 1);
                    held.last_step = more.then_some(applied.index);
                    held.busy
                };
                if others_write {
                    // All nodes work on it: the pause leaves as much time for other writes.
                    tokio::time::sleep(took.min(PAUSE_MAX)).await;
                }
            }
            Err(error) => match error.kind {
                Kind::NoLeader | Kind::OutcomeUnknown | Kind::Stopping => return Err(error),
                Kind::Overloaded => {
                    tracing::debug!(%error, "task {id} waits");
                    tasks.held.lock().registry.postpone(id, time_ms() + INTERVAL_MS);
                }
                _ => tasks.held.lock().registry.refuse(id, &error, time_ms()),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
