//! Tasks: work that takes long or is due repeatedly, each with a name, a state and a due time.
//!
//! The leader carries them out, by commands of bounded size. What must survive it is in the replicated
//! catalog (how far an index is built, what was dropped), so a task goes on under the next leader. Its id is
//! derived from the number of what it is about, as in `index-build-17`: every leader gives it the same id
//! without a word in the log, and an id is never used for anything else, since such numbers are not.
//!
//! [`registry`] holds the tasks of a leader in the order of their due times. It is filled from the catalog
//! when the node becomes leader, and a change of the catalog brings its collection up to date ([`run()`]). So
//! nothing is read while nothing is due, whatever the number of collections. [`work`] looks whether a task
//! that is due has something to do.

pub mod registry;
pub mod run;
pub mod work;

pub use run::{Tasks, run};
pub use work::Bounds;

use crate::engine::Namespace;
use crate::error::{Error, Kind};
use crate::raft::GroupId;
use crate::storage::keys::CollectionId;
use std::fmt;
use std::str::FromStr;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    /// Builds an index; its number is that of the index.
    IndexBuild,
    /// Deletes documents that have expired; its number is that of the index.
    Expiry,
    /// Removes versions that are too old; its number is that of the history.
    TrimVersions,
    /// Drops a collection that was to replace another one, after its caller has gone; its number is
    /// that of the collection.
    DropLeftover,
    /// Clears away the rows of what was dropped.
    ClearDropped,
    /// Keeps the history of changes within its bounds.
    TrimChanges,
    /// Keeps the audit log within its bounds.
    TrimAudit,
    /// Forgets the idempotency keys of old calls.
    ForgetCalls,
    /// Removes sessions and keys that have ended.
    RemoveTokens,
    /// Sets whether new collections keep versions, as this node is configured.
    SetVersionsDefault,
    /// Brings the replicas of a group to the nodes that are to hold them; its number is the log index
    /// of that decision.
    PlaceReplicas,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [TaskKind; 11] = [
        TaskKind::IndexBuild,
        TaskKind::Expiry,
        TaskKind::TrimVersions,
        TaskKind::DropLeftover,
        TaskKind::ClearDropped,
        TaskKind::TrimChanges,
        TaskKind::TrimAudit,
        TaskKind::ForgetCalls,
        TaskKind::RemoveTokens,
        TaskKind::SetVersionsDefault,
        TaskKind::PlaceReplicas,
    ];

    /// Its name, which the ids of its tasks begin with.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::IndexBuild => "index-build",
            TaskKind::Expiry => "expiry",
            TaskKind::TrimVersions => "trim-versions",
            TaskKind::DropLeftover => "drop-leftover",
            TaskKind::ClearDropped => "clear-dropped",
            TaskKind::TrimChanges => "trim-changes",
            TaskKind::TrimAudit => "trim-audit",
            TaskKind::ForgetCalls => "forget-calls",
            TaskKind::RemoveTokens => "remove-tokens",
            TaskKind::SetVersionsDefault => "set-versions-default",
            TaskKind::PlaceReplicas => "place-replicas",
        }
    }

    /// Whether there is one such task for the whole group.
    fn is_single(self) -> bool {
        !matches!(
            self,
            TaskKind::IndexBuild
                | TaskKind::Expiry
                | TaskKind::TrimVersions
                | TaskKind::DropLeftover
                | TaskKind::PlaceReplicas
        )
    }
}

/// The id of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// What it does.
    pub kind: TaskKind,
    /// The number of what it is about; 0 when there is one such task.
    pub number: u64,
}

impl TaskId {
    /// A task about what has this number.
    pub fn new(kind: TaskKind, number: impl Into<u64>) -> TaskId {
        TaskId { kind, number: number.into() }
    }

    /// The number of the index, history or collection that it is about.
    pub fn in_catalog(self) -> u32 {
        self.number.try_into().unwrap_or(u32::MAX)
    }

    /// The one task of its kind.
    pub fn single(kind: TaskKind) -> TaskId {
        TaskId { kind, number: 0 }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.is_single() {
            true => f.write_str(self.kind.name()),
            false => write!(f, "{}-{}", self.kind.name(), self.number),
        }
    }
}

impl FromStr for TaskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = TaskKind::ALL.into_iter().find_map(|kind| {
            let rest = text.strip_prefix(kind.name())?;
            match kind.is_single() {
                true => rest.is_empty().then(|| TaskId::single(kind)),
                false => Some(TaskId { kind, number: rest.strip_prefix('-')?.parse().ok()? }),
            }
        });
        parsed.filter(|id| id.to_string() == text).ok_or_else(|| {
            Error::new(Kind::InvalidParameter, format!("{text:?} is not the id of a task"))
                .hint("use an id from the list of tasks, such as index-build-17")
        })
    }
}

/// The collection, and perhaps the index, that a task is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The collection's number.
    pub collection: CollectionId,
    /// Its names.
    pub namespace: Namespace,
    /// The name of the index.
    pub index: Option<String>,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It is not due, or has not begun.
    Waiting,
    /// It is being carried out.
    Running,
    /// It has come to its end.
    Done,
    /// It could not be carried out.
    Failed,
    /// What it is about was dropped.
    Cancelled,
}

impl TaskState {
    /// All states.
    pub const ALL: [TaskState; 5] = [
        TaskState::Waiting,
        TaskState::Running,
        TaskState::Done,
        TaskState::Failed,
        TaskState::Cancelled,
    ];

    /// Whether it changes no more.
    pub fn is_ended(self) -> bool {
        matches!(self, TaskState::Done | TaskState::Failed | TaskState::Cancelled)
    }
}

/// A task at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its state.
    pub state: TaskState,
    /// What it is about; none when it is about the whole group.
    pub subject: Option<Subject>,
    /// The group whose replicas it brings to other nodes.
    pub placing: Option<GroupId>,
    /// Documents or rows that it has processed, in this run if it comes again.
    pub done: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
    /// Bytes of the documents that it goes through, where that is known.
    pub bytes: Option<u64>,
    /// Milliseconds until its end, judged by what this leader has done of it.
    pub left_ms: Option<u64>,
    /// When it is looked at next, in milliseconds since 1970; none when it waits for an event.
    pub due_ms: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<u64>,
    /// Why it failed, or why it does not get on.
    pub reason: Option<String>,
}

impl Task {
    /// Whether it can be cancelled: an index that is being built, which is dropped then, and replicas
    /// that move, which stay then. What keeps the data within its bounds cannot.
    pub fn is_cancellable(&self) -> bool {
        matches!(self.id.kind, TaskKind::IndexBuild | TaskKind::PlaceReplicas)
            && !self.state.is_ended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_text_and_nothing_else_is() {
        for kind in TaskKind::ALL {
            let id = if kind.is_single() { TaskId::single(kind) } else { TaskId::new(kind, 17u32) };
            assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
        }
        assert_eq!(TaskId::new(TaskKind::IndexBuild, 17u32).to_string(), "index-build-17");
        for bad in ["", "index-build", "index-build-", "index-build-017", "trim-audit-0", "x-1"] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }
}
