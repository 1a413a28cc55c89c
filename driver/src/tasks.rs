//! Tasks: work of the cluster that takes long or comes again.

use crate::call::Call;
use crate::client::{Client, pause_between};
use crate::error::{Error, Result};
use crate::wire::{ErrorBody, TaskInfo, TaskState, TasksReply};
use futures_util::{Stream, StreamExt};
use reqwest::Method;
use sse_stream::{Sse, SseByteStream};
use std::pin::Pin;
use std::time::Instant;

const PATH: [&str; 3] = ["api", "v1", "tasks"];

/// Which tasks are returned; see [`Client::list_tasks`]. A field without a value does not narrow the
/// query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// Only those of this kind, one of [`TASK_KINDS`](crate::wire::TASK_KINDS).
    pub kind: Option<String>,
    /// Only those about this database.
    pub database: Option<String>,
    /// Only those that the leader of this group carries out.
    pub group: Option<u64>,
    /// The number of tasks at most; the cluster has a default and a bound of its own.
    pub limit: Option<u64>,
}

type Events = Pin<Box<dyn Stream<Item = std::result::Result<Sse, sse_stream::Error>> + Send>>;

/// The states of a task, one after the other, to its end; created by [`Client::task_events`].
///
/// After a break it goes on by itself, at the same node or another: a task keeps its id.
pub struct TaskEvents {
    client: Client,
    id: String,
    events: Option<Events>,
    /// Since when no event was received, and the number of attempts since then.
    outage: Option<(Instant, u32)>,
    ended: bool,
}

impl Client {
    /// The tasks that the caller may see: those of the databases that it may read, for administrators
    /// all. Those that have ended are kept for a time.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_tasks(&self, query: &TaskQuery) -> Result<TasksReply> {
        let mut call = Call::plain(Method::GET, &PATH);
        let state = query.state.map(|state| state.name().to_owned());
        let group = query.group.map(|group| group.to_string());
        let limit = query.limit.map(|limit| limit.to_string());
        for (name, value) in [
            ("state", &state),
            ("kind", &query.kind),
            ("database", &query.database),
            ("group", &group),
            ("limit", &limit),
        ] {
            if let Some(value) = value {
                call = call.query(name, value);
            }
        }
        self.send(call).await?.json()
    }

    /// A task, by its id.
    ///
    /// # Errors
    /// `task_not_found` (404).
    pub async fn task(&self, id: &str) -> Result<TaskInfo> {
        self.send(Call::plain(Method::GET, &[&PATH[..], &[id]].concat())).await?.json()
    }

    /// Cancels a task: an index that is being built is dropped, replicas that move stay where they were.
    /// Succeeds if it was cancelled before.
    ///
    /// # Errors
    /// `not_possible_now` (409) when it has ended, or is none that can be cancelled.
    pub async fn cancel_task(&self, id: &str) -> Result<TaskInfo> {
        let path = [&PATH[..], &[id, "cancel"]].concat();
        self.send(Call::plain(Method::POST, &path).safe_to_repeat()).await?.json()
    }

    /// The states of a task from now on: the present one first, then each that is different, up to
    /// and including its end.
    ///
    /// # Errors
    /// `task_not_found` (404).
    pub async fn task_events(&self, id: &str) -> Result<TaskEvents> {
        let mut events = TaskEvents {
            client: self.clone(),
            id: id.to_owned(),
            events: None,
            outage: None,
            ended: false,
        };
        events.connect().await?;
        Ok(events)
    }

    /// Waits until a task has ended; returns how.
    ///
    /// # Errors
    /// Those of [`TaskEvents::next`].
    pub async fn wait_for_task(&self, id: &str) -> Result<TaskInfo> {
        let mut events = self.task_events(id).await?;
        let mut last = None;
        while let Some(task) = events.next().await {
            last = Some(task?);
        }
        last.ok_or_else(|| Error::Decode("the events of the task ended without one".into()))
    }
}

impl TaskEvents {
    /// The next state; `None` after the end of the task or an error.
    ///
    /// # Errors
    /// `task_not_found`, when the cluster knows no more of the task; [`Error::Unavailable`] when no node
    /// answered until the deadline of the client.
    pub async fn next(&mut self) -> Option<Result<TaskInfo>> {
        if self.ended {
            return None;
        }
        let next = self.next_event().await;
        self.ended = next.as_ref().map_or(true, |task| task.state.is_ended());
        Some(next)
    }

    async fn next_event(&mut self) -> Result<TaskInfo> {
        loop {
            let Some(events) = &mut self.events else {
                self.connect_again().await?;
                continue;
            };
            let reason = match events.next().await {
                Some(Ok(event)) => match decode_event(&event)? {
                    None => continue,
                    Some(Ok(task)) => {
                        self.outage = None;
                        return Ok(task);
                    }
                    Some(Err(error)) if error.code() == Some("task_not_found") => {
                        return Err(error);
                    }
                    // This node cannot go on; another may, or this one later.
                    Some(Err(error)) => error.to_string(),
                },
                Some(Err(error)) => error.to_string(),
                None => "the node ended the events".into(),
            };
            self.events = None;
            let (since, _) = *self.outage.get_or_insert((Instant::now(), 0));
            if since.elapsed() >= self.client.deadline() {
                return Err(self.client.unavailable(&self.client.target(), reason));
            }
        }
    }

    async fn connect_again(&mut self) -> Result<()> {
        if let Some((_, attempts)) = &mut self.outage {
            let pause = pause_between(*attempts);
            *attempts += 1;
            tokio::time::sleep(pause).await;
        }
        self.connect().await
    }

    async fn connect(&mut self) -> Result<()> {
        let path = [&PATH[..], &[&self.id, "events"]].concat();
        let answer = self.client.open(&Call::plain(Method::GET, &path)).await?;
        self.events = Some(Box::pin(SseByteStream::new(answer.bytes_stream())));
        Ok(())
    }
}

/// What an event says; `None` for a kind that is not known here.
fn decode_event(event: &Sse) -> Result<Option<Result<TaskInfo>>> {
    let data = event.data.as_deref().unwrap_or_default();
    let unreadable = |error: serde_json::Error| Error::Decode(error.to_string());
    Ok(match event.event.as_deref() {
        Some("task") => Some(Ok(serde_json::from_str(data).map_err(unreadable)?)),
        Some("error") => {
            let ErrorBody { error } = serde_json::from_str(data).map_err(unreadable)?;
            let status = if error.code == "task_not_found" { 404 } else { 500 };
            Some(Err(Error::Api { status, detail: Box::new(error) }))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Answer, node};
    use serde_json::json;

    fn task(state: &str) -> String {
        let task = json!({
            "id": "index-build-17", "kind": "index-build", "state": state, "done": 5,
            "cancellable": state == "running",
        });
        task.to_string()
    }

    fn events(states: &[&str]) -> Answer {
        let event = |state: &&str| format!("event: task\ndata: {}\n\n", task(state));
        Answer::Stream(vec![states.iter().map(event).collect::<String>().into_bytes()])
    }

    #[tokio::test]
    async fn a_task_is_followed_over_breaks_to_its_end() {
        let answers = vec![
            events(&["waiting", "running"]),
            Answer::error(503, "no_leader"),
            events(&["running", "done"]),
        ];
        let (client, requests) = node(answers);
        let mut events = client.task_events("index-build-17").await.unwrap();
        let mut states = Vec::new();
        while let Some(task) = events.next().await {
            states.push(task.unwrap().state.name());
        }
        assert_eq!(states, ["waiting", "running", "running", "done"]);
        let requests = requests.lock().unwrap();
        let line = "GET /api/v1/tasks/index-build-17/events HTTP/1.1";
        assert!(requests.iter().all(|call| call.line == line), "{requests:?}");
    }

    #[tokio::test]
    async fn waiting_ends_with_the_task_or_when_nobody_knows_it() {
        let (client, _) = node(vec![events(&["running", "cancelled"])]);
        let ended = client.wait_for_task("index-build-17").await.unwrap();
        assert_eq!(ended.state, TaskState::Cancelled);
        let body = json!({"error": {"code": "task_not_found", "message": "gone"}});
        let gone = format!("event: error\ndata: {body}\n\n");
        let (client, _) = node(vec![Answer::Stream(vec![gone.into_bytes()])]);
        let error = client.wait_for_task("index-build-17").await.unwrap_err();
        assert_eq!(error.status(), Some(404));
    }

    #[tokio::test]
    async fn only_what_is_given_narrows_the_list() {
        let list = || Answer::With(200, r#"{"tasks": [], "total": 0}"#.into());
        let (client, requests) = node(vec![list(), list(), Answer::With(200, task("cancelled"))]);
        let query = TaskQuery {
            state: Some(TaskState::Running),
            kind: Some("index-build".into()),
            database: Some("shop".into()),
            group: Some(0),
            limit: Some(5),
        };
        client.list_tasks(&query).await.unwrap();
        client.list_tasks(&TaskQuery::default()).await.unwrap();
        client.cancel_task("index-build-17").await.unwrap();
        let requests = requests.lock().unwrap();
        let lines: Vec<&str> = requests.iter().map(|call| call.line.as_str()).collect();
        let expected = [
            "GET /api/v1/tasks?state=running&kind=index-build&database=shop&group=0&limit=5 HTTP/1.1",
            "GET /api/v1/tasks HTTP/1.1",
            "POST /api/v1/tasks/index-build-17/cancel HTTP/1.1",
        ];
        assert_eq!(lines, expected);
    }
}
