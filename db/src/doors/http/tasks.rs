//! The tasks of the cluster over HTTP.

use super::call::Call;
use super::describe::{CLUSTER, describe};
use super::dispatch::{ask_groups, ask_leader};
use super::endpoint::Endpoint;
use super::reply::{Events, Form, Reply};
use crate::config::PAGE_DEFAULT;
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::service::Session;
use crate::service::tasks::{self, TaskPage, TaskQuery};
use crate::tasks::{Task, TaskId, TaskKind, TaskState};
use bytes::Bytes;
use jettra_driver::wire::{self, TaskInfo, TasksReply, in_group, split_group};
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pause between two looks at a task that is followed.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// Longest silence of the events: one that has not changed is sent again.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// `GET /api/v1/tasks`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(CLUSTER, "List the tasks of the cluster that the caller may see")
            .query("state kind database group limit")
            .gives::<TasksReply>(200)
            .reads()
            .fails(&[Kind::InvalidParameter, Kind::GroupNotFound])
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let page_max = call.session.config().page_max as u64;
    let query = TaskQuery {
        state: named(&call, "state", TaskState::ALL, |state| state_name(state).name())?,
        kind: named(&call, "kind", TaskKind::ALL, TaskKind::name)?,
        database: call.parameter(&["database"]).map(str::to_owned),
        limit: call.number("limit", PAGE_DEFAULT.min(page_max), page_max)? as usize,
    };
    let here = async |session: &Session| {
        let TaskPage { tasks, total } = tasks::list(session, query.clone()).await?.value;
        let group = session.group_number();
        let tasks = tasks.into_iter().map(|task| info(task, group)).collect();
        Ok(TasksReply { tasks, total, missing_groups: Vec::new() })
    };
    if call.session.database.is_some() || call.session.named_group.is_some() {
        return Ok(Reply::json(&here(&call.session).await?));
    }
    let (parts, missing) = ask_groups(&call, here).await?;
    Ok(Reply::json(&merge(parts, missing, query.limit)))
}

/// The tasks of all groups: those that go on by group, then those that have ended, the last one first.
fn merge(parts: Vec<TasksReply>, missing: Vec<GroupId>, limit: usize) -> TasksReply {
    let total = parts.iter().map(|part| part.total).sum();
    let tasks = parts.into_iter().flat_map(|part| part.tasks);
    let (mut ended, mut tasks): (Vec<_>, Vec<_>) = tasks.partition(|task| task.state.is_ended());
    ended.sort_by_key(|task| Reverse(task.ended_ms));
    tasks.extend(ended);
    tasks.truncate(limit);
    TasksReply { tasks, total, missing_groups: missing }
}

/// The one of `all` that a parameter names.
fn named<T: Copy, const N: usize>(
    call: &Call,
    parameter: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>> {
    let Some(text) = call.parameter(&[parameter]) else { return Ok(None) };
    let found = all.into_iter().find(|one| name(*one) == text);
    found.map(Some).ok_or_else(|| {
        let names = all.map(&name).join(", ");
        Error::new(Kind::InvalidParameter, format!("{parameter}={text} is unknown"))
            .hint(format!("use one of {names}"))
    })
}

fn id(call: &Call) -> Result<TaskId> {
    let text = call.required(&["task"])?;
    split_group(text).map_or(text, |(id, _)| id).parse()
}

fn reply(call: &Call, task: Task) -> Reply {
    Reply::json(&info(task, call.session.group_number()))
}

fn state_name(state: TaskState) -> wire::TaskState {
    match state {
        TaskState::Waiting => wire::TaskState::Waiting,
        TaskState::Running => wire::TaskState::Running,
        TaskState::Done => wire::TaskState::Done,
        TaskState::Failed => wire::TaskState::Failed,
        TaskState::Cancelled => wire::TaskState::Cancelled,
    }
}

fn info(task: Task, group: GroupId) -> TaskInfo {
    let cancellable = task.is_cancellable();
    let Task { id, state, subject, placing, done, total, bytes, left_ms, due_ms, ended_ms, reason } =
        task;
    let (namespace, index) = subject.map(|subject| (subject.namespace, subject.index)).unzip();
    let (database, collection) =
        namespace.map(|namespace| (namespace.database, namespace.collection)).unzip();
    TaskInfo {
        id: in_group(id, group),
        group: placing.unwrap_or(group).into(),
        kind: id.kind.name().to_owned(),
        state: state_name(state),
        database,
        collection,
        index: index.flatten(),
        done,
        total,
        bytes,
        left_ms,
        due_ms,
        ended_ms,
        reason,
        cancellable,
    }
}

/// `GET /api/v1/tasks/{task}`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(CLUSTER, "A task")
            .gives::<TaskInfo>(200)
            .reads()
            .fails(&[Kind::TaskNotFound, Kind::InvalidParameter])
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::of(tasks::get(&call.session, id(&call)?).await?.map(|task| reply(&call, task))))
}

/// `POST /api/v1/tasks/{task}/cancel`
pub const CANCEL: Endpoint = Endpoint::new(
    |call| Box::pin(cancel(call)),
    || {
        describe(CLUSTER, "Cancel a task: an index that is being built is dropped, replicas that move stay where they were")
            .gives::<TaskInfo>(200)
            .proposes()
            .fails(&[
                Kind::TaskNotFound,
                Kind::InvalidParameter,
                Kind::NotPossibleNow,
                Kind::IndexConflict,
            ])
    },
);

async fn cancel(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::of(tasks::cancel(&call.session, id(&call)?).await?.map(|task| reply(&call, task))))
}

/// `GET /api/v1/tasks/{task}/events`
pub const EVENTS: Endpoint = Endpoint::new(
    |call| Box::pin(events(call)),
    || {
        describe(CLUSTER, "Follow a task to its end: its state now, and each that is different")
            .sends::<TaskInfo>()
            .reads()
            .fails(&[Kind::TaskNotFound, Kind::InvalidParameter])
    },
);

async fn events(call: Rc<Call>) -> Result<Reply> {
    let feeds = call.app.service.feeds.clone();
    let permit = feeds.try_acquire_owned().map_err(|_| {
        Error::new(Kind::Overloaded, "too many feeds are open on this node")
            .hint("use another node, or end some")
    })?;
    // What is wrong with the id is an error of the call.
    let id = id(&call)?;
    let first = task(&call, id).await?;
    let (pieces, events) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        let _permit = permit;
        follow(&call, id, first, pieces).await;
    });
    let reply =
        Reply { events: Some(Events(events)), media: "text/event-stream", ..Reply::default() };
    Ok(reply.header("cache-control", "no-store"))
}

/// The task as the leader knows it.
async fn task(call: &Call, id: TaskId) -> Result<TaskInfo> {
    let group = call.session.group_number();
    let here = async || Ok(info(tasks::get(&call.session, id).await?.value, group));
    ask_leader(&call.session, &format!("/api/v1/tasks/{}", in_group(id, group)), here).await
}

/// Sends the states of a task until it has ended, or nobody takes them any more.
async fn follow(call: &Call, id: TaskId, first: TaskInfo, pieces: mpsc::Sender<Bytes>) {
    let mut sent = first.clone();
    let mut sent_at = Instant::now();
    if pieces.send(event("task", &sent)).await.is_err() {
        return;
    }
    while !sent.state.is_ended() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            () = pieces.closed() => return,
        }
        let service = call.session.service();
        if service.cluster.is_ending() || service.check_serving().is_err() {
            return;
        }
        match task(call, id).await {
            Ok(task) if task != sent || sent_at.elapsed() >= SILENCE_MAX => {
                (sent, sent_at) = (task, Instant::now());
                if pieces.send(event("task", &sent)).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                let body = Reply::error(&error, "", Form::Relaxed).body;
                let piece = [&b"event: error\ndata: "[..], &body, b"\n\n"].concat();
                let _ = pieces.send(piece.into()).await;
                return;
            }
        }
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Bytes {
    // JSON has no line breaks of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}
