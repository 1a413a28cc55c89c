//! The tasks of the cluster, as callers see them. Runs on the leader, which carries them out.

use super::{Response, Session, Step, Steps, shards};
use crate::auth::Permission;
use crate::cluster::Cluster;
use crate::engine::Namespace;
use crate::engine::command::Command;
use crate::error::{Error, Kind, Result};
use crate::tasks::{Task, TaskId, TaskKind, TaskState, work};
use futures_util::future::join_all;

/// A request for tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// Only those of this kind.
    pub kind: Option<TaskKind>,
    /// Only those about this database.
    pub database: Option<String>,
    /// The largest number of tasks.
    pub limit: usize,
}

/// Some tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many there are.
    pub total: u64,
}

/// Lists the tasks that the caller may see: those of databases that it may read, and for
/// administrators those that are about all.
///
/// # Errors
/// `not_authenticated`.
pub async fn list(session: &Session, query: TaskQuery) -> Result<Response<TaskPage>> {
    let TaskQuery { state, kind, database, limit } = query;
    let group = session.group()?;
    let cluster = &session.service().cluster;
    let mut tasks = cluster.tasks(group.number()).all(group.time_ms());
    let mut total = 0;
    let mut failed = None;
    tasks.retain(|task| {
        let wanted = state.is_none_or(|state| task.state == state)
            && kind.is_none_or(|kind| task.id.kind == kind)
            && database.as_deref().is_none_or(|database| about(task) == Some(database));
        let seen = wanted
            && may(session, Permission::Read, task).unwrap_or_else(|error| {
                failed = Some(error);
                false
            });
        total += u64::from(seen);
        seen && total <= limit as u64
    });
    if let Some(error) = failed {
        return Err(error);
    }
    join_all(tasks.iter_mut().map(|task| complete(cluster, task))).await;
    Ok(Response::new(TaskPage { tasks, total }))
}

/// Adds to a task how far the replicas are that it brings to other nodes, as their leader knows.
async fn complete(cluster: &Cluster, task: &mut Task) {
    let Some(group) = task.placing.filter(|_| !task.state.is_ended()) else { return };
    let Ok(report) = cluster.report_group(group).await else { return };
    task.reason = report.waits_for().map(|what| format!("waits for {what}"));
    let Some(status) = &report.status else { return };
    let joining = report.replicas.iter().find(|replica| replica.is_joining());
    (task.bytes, task.total) = (Some(status.bytes), Some(status.last_log));
    task.done = status
        .last_log
        .saturating_sub(joining.map_or(0, |replica| replica.lag.unwrap_or(status.last_log)));
    task.left_ms = joining.and_then(|replica| replica.progress?.left_ms);
}

/// A task, by its id.
///
/// # Errors
/// `task_not_found`, also when the caller may not see it.
pub async fn get(session: &Session, id: TaskId) -> Result<Response<Task>> {
    let mut task = find(session, id)?;
    complete(&session.service().cluster, &mut task).await;
    Ok(Response::new(task))
}

/// Cancels a task: an index that is being built is dropped, replicas that move stay where they were.
/// Succeeds if it was cancelled before. A build that comes to its end at this very moment is dropped all
/// the same.
///
/// # Errors
/// `task_not_found`, `not_possible_now`, `forbidden`.
pub async fn cancel(session: &Session, id: TaskId) -> Result<Response<Task>> {
    let mut task = find(session, id)?;
    if let Some(database) = about(&task) {
        session.authorize(Permission::Own, database)?;
    }
    if let Some(group) = task.placing.filter(|_| task.is_cancellable()) {
        let called_off = shards::call_off(session, group, id.number).await?;
        task.state = TaskState::Cancelled;
        return Ok(called_off.map(|()| task));
    }
    let index = task
        .subject
        .as_ref()
        .and_then(|subject| Some((subject.namespace.clone(), subject.index.clone()?)));
    match index.filter(|_| task.is_cancellable()) {
        Some((namespace, name)) => {
            let mut steps = Steps::new(session);
            let drop_index = Command::DropIndex { namespace, name };
            let dropped = steps.propose(Step::Unkeyed, drop_index).await;
            (task.state, task.left_ms, task.due_ms) = (TaskState::Cancelled, None, None);
            steps.finish(match dropped {
                Ok(applied) => Ok(Response::at(task, applied.index)),
                // Somebody else has dropped it a moment ago.
                Err(error) if is_gone(&error) => Ok(Response::new(task)),
                Err(error) => Err(error),
            })
        }
        None if task.state == TaskState::Cancelled => Ok(Response::new(task)),
        None => Err(not_cancellable(&task)),
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind, Kind::IndexNotFound | Kind::CollectionNotFound | Kind::DatabaseNotFound)
}

fn not_cancellable(task: &Task) -> Error {
    match task.state.is_ended() {
        true => Error::new(Kind::NotPossibleNow, format!("task {} has ended", task.id))
            .hint("drop the index if it is not wanted"),
        false => {
            Error::new(Kind::NotPossibleNow, format!("task {} cannot be cancelled", task.id))
                .hint("it keeps the data within its bounds; change what it follows instead, such as the index")
        }
    }
}

/// The task as this leader knows it; what it does not know the catalog may.
fn find(session: &Session, id: TaskId) -> Result<Task> {
    let group = session.group()?;
    let tasks = session.service().cluster.tasks(group.number());
    let task = match tasks.get(id, group.time_ms()) {
        Some(task) => Some(task),
        None => work::index_build(&group.read()?, id)?,
    };
    match task {
        Some(task) if may(session, Permission::Read, &task)? => Ok(task),
        _ => Err(Error::new(Kind::TaskNotFound, format!("there is no task {id}")).hint(
            "list the tasks; what has ended is forgotten after a time, and by the next leader",
        )),
    }
}

fn about(task: &Task) -> Option<&str> {
    task.subject.as_ref().map(|subject| {
        let Namespace { database, .. } = &subject.namespace;
        database.as_str()
    })
}

fn may(session: &Session, permission: Permission, task: &Task) -> Result<bool> {
    let rights = &session.user()?.rights;
    Ok(match about(task) {
        Some(database) => rights.may(permission, database),
        None => rights.is_admin(),
    })
}
