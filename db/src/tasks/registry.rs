//! The tasks of a leader, in the order of their due times. Pure: times come in.

use super::work::{CollectionTask, CollectionTasks};
use super::{Subject, Task, TaskId, TaskKind, TaskState};
use crate::engine::Namespace;
use crate::engine::index::IndexId;
use crate::error::Error;
use crate::raft::GroupId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Longest pause before a task that keeps being refused is tried again, in milliseconds.
const REFUSED_MS_MAX: u64 = 60_000;
/// Tasks that have ended and are remembered.
const ENDED_MAX: usize = 1_000;
/// Time for which they are, in milliseconds.
const ENDED_MS_MAX: u64 = 3_600_000;

/// The tasks of a leader.
#[derive(Debug, Default)]
pub struct Registry {
    entries: HashMap<TaskId, Entry>,
    /// Due times, each with its task.
    queue: BTreeSet<(u64, TaskId)>,
    /// The tasks about each collection that has any.
    of: HashMap<Namespace, Vec<TaskId>>,
    /// Those that have ended, the last one at the end.
    ended: VecDeque<Task>,
}

/// A task that goes on.
#[derive(Debug, Default)]
struct Entry {
    subject: Option<Subject>,
    placing: Option<GroupId>,
    due_ms: Option<u64>,
    run: Option<Run>,
    done: u64,
    total: Option<u64>,
    bytes: Option<u64>,
    /// How often it was refused since it last got on.
    refused: u32,
    reason: Option<String>,
}

/// Since when a task is being carried out, and what was done of it before.
#[derive(Debug, Clone, Copy)]
struct Run {
    since_ms: u64,
    done_before: u64,
}

impl Registry {
    /// Forgets all but those that have ended.
    pub fn clear(&mut self) {
        *self = Registry { ended: std::mem::take(&mut self.ended), ..Registry::default() };
    }

    /// Begins with the tasks that there is one of, due now, beside those that have ended.
    pub fn restart(&mut self, now_ms: u64) {
        self.clear();
        for kind in TaskKind::ALL.into_iter().filter(|kind| kind.is_single()) {
            self.entries.insert(TaskId::single(kind), Entry::default());
            self.set_due(TaskId::single(kind), Some(now_ms));
        }
    }

    /// Takes over what the catalog says about some collections. A task of a collection that is gone or
    /// has another name ends only when no other one of these has it.
    pub fn set_collections(&mut self, found: Vec<(Namespace, CollectionTasks)>, now_ms: u64) {
        let mut built: HashSet<IndexId> = HashSet::new();
        let mut before = Vec::new();
        for (namespace, collection) in found {
            let known = self.of.remove(&namespace).unwrap_or_default();
            before.extend(known);
            built.extend(collection.built);
            for task in collection.tasks {
                self.of.entry(namespace.clone()).or_default().push(task.id);
                self.set_task(task);
            }
            for (index, subject, error) in collection.failed {
                self.fail(TaskId::new(TaskKind::IndexBuild, index), subject, &error, now_ms);
            }
        }
        for id in before {
            let subject = self.entries.get(&id).and_then(|entry| entry.subject.as_ref());
            let of = subject.and_then(|subject| self.of.get(&subject.namespace));
            if !of.is_some_and(|ids| ids.contains(&id)) {
                let is_built = built.contains(&id.in_catalog());
                let state = if is_built { TaskState::Done } else { TaskState::Cancelled };
                self.end(id, state, None, now_ms);
            }
        }
    }

    fn set_task(&mut self, task: CollectionTask) {
        let CollectionTask { id, subject, due_ms, done, total, bytes } = task;
        self.ended.retain(|ended| ended.id != id);
        let entry = self.entries.entry(id).or_default();
        entry.subject = Some(subject);
        (entry.done, entry.total, entry.bytes) = (entry.done.max(done), total, bytes);
        // A task that waits after a refusal waits on.
        if entry.refused == 0 {
            self.set_due(id, Some(due_ms));
        }
    }

    /// Takes over the last decision about the replicas of each group: its log index, and whether it is carried
    /// out. One that was being carried out is done then, or when the group is gone; else another decision
    /// has replaced it.
    pub fn set_placing(&mut self, groups: &BTreeMap<GroupId, (u64, bool)>, now_ms: u64) {
        let known = self.entries.iter().filter_map(|(id, entry)| Some((*id, entry.placing?)));
        for (id, group) in known.collect::<Vec<_>>() {
            let state = match groups.get(&group) {
                Some((index, false)) if *index == id.number => continue,
                Some((index, _)) if *index != id.number => TaskState::Cancelled,
                _ => TaskState::Done,
            };
            self.end(id, state, None, now_ms);
        }
        for (group, (index, _)) in groups.iter().filter(|(_, (_, settled))| !settled) {
            let id = TaskId::new(TaskKind::PlaceReplicas, *index);
            self.ended.retain(|ended| ended.id != id);
            let entry = self.entries.entry(id).or_default();
            entry.placing = Some(*group);
            entry.run.get_or_insert(Run { since_ms: now_ms, done_before: 0 });
        }
    }

    /// Notes an index that could not be built.
    fn fail(&mut self, id: TaskId, subject: Subject, error: &Error, now_ms: u64) {
        if self.ended.iter().any(|ended| ended.id == id) {
            return;
        }
        self.entries.entry(id).or_default().subject = Some(subject);
        self.end(id, TaskState::Failed, Some(error.to_string()), now_ms);
    }

    /// Takes out a task that has ended. A build is remembered, what keeps data within its bounds is not.
    fn end(&mut self, id: TaskId, state: TaskState, reason: Option<String>, now_ms: u64) {
        self.set_due(id, None);
        let Some(entry) = self.entries.remove(&id) else { return };
        if !matches!(id.kind, TaskKind::IndexBuild | TaskKind::PlaceReplicas) {
            return;
        }
        let mut task = entry.task(id, now_ms);
        if state == TaskState::Done {
            task.done = task.total.unwrap_or(task.done);
        }
        (task.left_ms, task.due_ms) = (None, None);
        (task.state, task.reason, task.ended_ms) = (state, reason, Some(now_ms));
        self.ended.push_back(task);
        let too_old = |task: &Task| task.ended_ms.is_some_and(|at| at + ENDED_MS_MAX < now_ms);
        while self.ended.len() > ENDED_MAX || self.ended.front().is_some_and(too_old) {
            self.ended.pop_front();
        }
    }

    fn set_due(&mut self, id: TaskId, due_ms: Option<u64>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(before) = entry.due_ms {
            self.queue.remove(&(before, id));
        }
        entry.due_ms = due_ms;
        self.queue.extend(due_ms.map(|due_ms| (due_ms, id)));
    }

    /// Makes a task due at once, unless it waits after a refusal.
    pub fn wake(&mut self, id: TaskId, now_ms: u64) {
        if self.entries.get(&id).is_some_and(|entry| entry.refused == 0) {
            self.set_due(id, Some(now_ms));
        }
    }

    /// The state has changed: what depends on all of it is due at once.
    pub fn state_changed(&mut self, now_ms: u64) {
        let by_event = |kind: &TaskKind| *kind == TaskKind::ClearDropped;
        for kind in TaskKind::ALL.into_iter().filter(|kind| kind.is_single() && !by_event(kind)) {
            self.wake(TaskId::single(kind), now_ms);
        }
    }

    /// When the next task is due, in milliseconds since 1970.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.queue.first().map(|(due_ms, _)| *due_ms)
    }

    /// The tasks that are due, those first that have been for longest.
    pub fn due(&self, now_ms: u64, most: usize) -> Vec<(TaskId, Option<Subject>)> {
        let due = self.queue.iter().take_while(|(due_ms, _)| *due_ms <= now_ms).take(most);
        let subject = |id| self.entries.get(id).and_then(|entry| entry.subject.clone());
        due.map(|(_, id)| (*id, subject(id))).collect()
    }

    /// Records that a task has nothing to do until a time, or until an event.
    pub fn rest(&mut self, id: TaskId, due_ms: Option<u64>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.run, entry.reason, entry.refused) = (None, None, 0);
        }
        self.set_due(id, due_ms);
    }

    /// Records that a step of a task begins.
    pub fn begin_step(&mut self, id: TaskId, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.run.is_none()
        {
            if id.kind != TaskKind::IndexBuild {
                entry.done = 0;
            }
            entry.run = Some(Run { since_ms: now_ms, done_before: entry.done });
        }
    }

    /// Records that a step of a task has processed as many documents or rows. After the last one it is
    /// looked at again at `again_ms`; none: the catalog says how it has ended.
    pub fn end_step(
        &mut self,
        id: TaskId,
        worked: u64,
        more: bool,
        (now_ms, again_ms): (u64, Option<u64>),
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if std::mem::take(&mut entry.refused) > 0 {
            tracing::info!("task {id} goes on");
        }
        entry.reason = None;
        entry.done += worked;
        if more {
            return self.set_due(id, Some(now_ms));
        }
        if again_ms.is_some() {
            entry.run = None;
        }
        self.set_due(id, again_ms);
    }

    /// Records that a task was refused. It is tried again after a pause that grows, so that one that
    /// cannot succeed neither fills the log nor keeps the others from being done.
    pub fn refuse(&mut self, id: TaskId, error: &Error, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let pause_ms = (1_000 << entry.refused.min(6)).min(REFUSED_MS_MAX);
        entry.refused += 1;
        entry.reason = Some(error.to_string());
        let times = entry.refused;
        tracing::warn!(%error, times, "task {id} is refused; it is tried again in {pause_ms} ms");
        self.set_due(id, Some(now_ms + pause_ms));
    }

    /// Lets a task wait until a time, for want of space in the queue.
    pub fn postpone(&mut self, id: TaskId, due_ms: u64) {
        self.set_due(id, Some(due_ms));
    }

    /// A task, by its id.
    pub fn get(&self, id: TaskId, now_ms: u64) -> Option<Task> {
        let ended = || self.ended.iter().rfind(|ended| ended.id == id).cloned();
        self.entries.get(&id).map(|entry| entry.task(id, now_ms)).or_else(ended)
    }

    /// All tasks in the order of their ids, and then those that have ended, the last one first.
    pub fn all(&self, now_ms: u64) -> Vec<Task> {
        let mut tasks: Vec<_> =
            self.entries.iter().map(|(id, entry)| entry.task(*id, now_ms)).collect();
        tasks.sort_unstable_by_key(|task| task.id);
        tasks.extend(self.ended.iter().rev().cloned());
        tasks
    }
}

impl Entry {
    fn task(&self, id: TaskId, now_ms: u64) -> Task {
        Task {
            id,
            state: if self.run.is_some() { TaskState::Running } else { TaskState::Waiting },
            subject: self.subject.clone(),
            placing: self.placing,
            done: self.done,
            total: self.total,
            bytes: self.bytes,
            left_ms: self.left_ms(now_ms),
            due_ms: self.due_ms.filter(|due_ms| self.run.is_none() && *due_ms > now_ms),
            ended_ms: None,
            reason: self.reason.clone(),
        }
    }

    fn left_ms(&self, now_ms: u64) -> Option<u64> {
        let run = self.run?;
        let left = u128::from(self.total?.saturating_sub(self.done));
        let took_ms = u128::from(now_ms.saturating_sub(run.since_ms));
        let done = u128::from(self.done.saturating_sub(run.done_before));
        (left * took_ms).checked_div(done).map(|left_ms| left_ms as u64)
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
