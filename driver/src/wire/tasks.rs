//! Tasks: work of the cluster that takes long or comes again.

use serde::{Deserialize, Serialize};

/// The kinds of tasks, with which their ids begin.
pub const TASK_KINDS: [&str; 11] = [
    "index-build",
    "expiry",
    "trim-versions",
    "drop-leftover",
    "clear-dropped",
    "trim-changes",
    "trim-audit",
    "forget-calls",
    "remove-tokens",
    "set-versions-default",
    "place-replicas",
];

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
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

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Waiting => "waiting",
            TaskState::Running => "running",
            TaskState::Done => "done",
            TaskState::Failed => "failed",
            TaskState::Cancelled => "cancelled",
        }
    }

    /// Whether it changes no more.
    pub fn is_ended(self) -> bool {
        matches!(self, TaskState::Done | TaskState::Failed | TaskState::Cancelled)
    }
}

/// Answer of `GET /api/v1/tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TasksReply {
    /// The tasks that the caller may see, by their kind, and then those that have ended, the last one
    /// first.
    pub tasks: Vec<TaskInfo>,
    /// How many there are; `limit` may have left some out.
    pub total: u64,
    /// The groups whose leaders did not answer: their tasks are not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_groups: Vec<u32>,
}

/// Answer of `GET /api/v1/tasks/{task}`, and an event of its stream: a task at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskInfo {
    /// Its id, such as `index-build-17`, or `index-build-17@3` in group 3; the same under every leader.
    pub id: String,
    /// The group whose leader carries it out, or whose replicas it moves.
    #[serde(default)]
    pub group: u64,
    /// Its kind, one of [`TASK_KINDS`].
    pub kind: String,
    /// Its state.
    pub state: TaskState,
    /// The database that it is about; none when it is about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The name of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Documents or rows that were processed; in this run, if it comes again.
    pub done: u64,
    /// How many there are, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Bytes of the documents that it goes through, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Milliseconds until its end, judged by what was done so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// When it is looked at next, in milliseconds since 1970; none when an event begins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Why it failed, or why it does not get on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it can be cancelled.
    pub cancellable: bool,
}
