//! Change feeds as server-sent events.

use super::call::Call;
use super::describe::{VERSIONS, describe};
use super::endpoint::Endpoint;
use super::find::json_parameter;
use super::positions::part_of_group;
use super::reply::{Events, Form, Reply, Values};
use crate::engine::changes::{FeedChange, ResumeToken, delta};
use crate::engine::value::{Value, iso_date, parse_stored};
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::service::Response;
use crate::service::changes::{self, Feed, FeedStep, Watch};
use crate::wire::IntoWire;
use bytes::Bytes;
use jettra_driver::wire::{ChangeContent, ChangeEvent, LAST_EVENT_HEADER, ProgressEvent, in_group};
use serde::Serialize;
use std::rc::Rc;
use tokio::sync::mpsc;

/// `GET …/collections/{col}/watch`
pub const COLLECTION: Endpoint = Endpoint::new(
    |call| Box::pin(collection(call)),
    || {
        describe(VERSIONS, "Follow the changes of a collection")
            .query("filter content after")
            .sends::<ChangeEvent>()
            .reads()
            .fails(&[Kind::DatabaseNotFound, Kind::InvalidQuery, Kind::TooOld])
    },
);

async fn collection(call: Rc<Call>) -> Result<Reply> {
    let namespace = call.namespace()?;
    watch(&call, namespace.database, Some(namespace.collection)).await
}

/// `GET /api/v1/databases/{db}/watch`
pub const DATABASE: Endpoint = Endpoint::new(
    |call| Box::pin(database(call)),
    || {
        describe(VERSIONS, "Follow the changes of a database")
            .query("filter content after")
            .sends::<ChangeEvent>()
            .reads()
            .fails(&[Kind::DatabaseNotFound, Kind::InvalidQuery, Kind::TooOld])
    },
);

async fn database(call: Rc<Call>) -> Result<Reply> {
    watch(&call, call.required(&["db"])?.to_owned(), None).await
}

async fn watch(call: &Call, database: String, collection: Option<String>) -> Result<Reply> {
    let filter = json_parameter(call, "filter", false)?;
    let form = call.form()?;
    let content = match call.parameter(&["content"]) {
        None => ChangeContent::default(),
        Some(text) => serde_json::from_value(text.into()).map_err(|_| {
            Error::new(Kind::InvalidParameter, format!("content={text} is unknown"))
                .hint("use document, delta or both")
        })?,
    };
    let group = call.session.group_number();
    // A browser that connects again repeats the address, and says in the header how far it came.
    let header = call.headers().get(LAST_EVENT_HEADER).and_then(|value| value.to_str().ok());
    let after = match header.or(call.parameter(&["after"])) {
        None => None,
        Some(text) => Some(part_of_group("after", text, group)?.parse()?),
    };
    let watch = Watch { database, collection, filter, after };
    let Response { value: mut feed, index, .. } = changes::watch(&call.session, watch).await?;
    // Where it begins comes first; what is wrong with the token is an error of the call.
    let mut first = Vec::new();
    push_progress(&mut first, feed.token(), group);
    if let Some(step) = feed.next().await? {
        push_step(&mut first, &step, content, group, form)?;
    }
    let (pieces, events) = mpsc::channel(1);
    let stream = EventStream { feed, content, group, form, ended: false };
    tokio::task::spawn_local(stream.run(first.into(), pieces));
    let events = Some(Events(events));
    let reply = Reply { events, media: "text/event-stream", index, ..Reply::default() };
    Ok(reply.header("cache-control", "no-store"))
}

/// A feed as the pieces of an answer.
struct EventStream {
    feed: Feed,
    content: ChangeContent,
    group: GroupId,
    form: Form,
    ended: bool,
}

impl EventStream {
    /// Creates one piece after the other, each when the one before was taken, until nobody takes
    /// any more.
    async fn run(mut self, first: Bytes, pieces: mpsc::Sender<Bytes>) {
        let mut next = Some(first);
        while let Some(piece) = next {
            if pieces.send(piece).await.is_err() {
                return;
            }
            let Ok(_permit) = pieces.reserve().await else { return };
            next = tokio::select! {
                next = self.next() => next,
                () = pieces.closed() => return,
            };
        }
    }

    /// The next piece of the answer; none when the feed has ended.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        match self.next_events().await {
            Ok(piece) => piece,
            Err(error) => {
                self.ended = true;
                let body = Reply::error(&error, "", self.form).body;
                Some(Bytes::from([&b"event: error\ndata: "[..], &body, b"\n\n"].concat()))
            }
        }
    }

    async fn next_events(&mut self) -> Result<Option<Bytes>> {
        let Some(step) = self.feed.next().await? else { return Ok(None) };
        let mut text = Vec::new();
        push_step(&mut text, &step, self.content, self.group, self.form)?;
        Ok(Some(text.into()))
    }
}

fn push_step(
    text: &mut Vec<u8>,
    step: &FeedStep,
    content: ChangeContent,
    group: GroupId,
    form: Form,
) -> Result<()> {
    for change in &step.changes {
        let event = change_event(change, content, group)?;
        push(text, "change", &event.token, &event, form);
    }
    if let Some(token) = step.progress {
        push_progress(text, token, group);
    }
    Ok(())
}

fn change_event(
    change: &FeedChange,
    content: ChangeContent,
    group: GroupId,
) -> Result<ChangeEvent> {
    let FeedChange { change, matches } = change;
    let parsed = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => serde_json::from_str(text).map(Some).map_err(unreadable),
    };
    let document = match content {
        ChangeContent::Delta => None,
        _ => parsed(if change.after.is_some() { &change.after } else { &change.before })?,
    };
    let delta = match (content, &change.before, &change.after) {
        (ChangeContent::Document, ..) | (_, _, None) => None,
        (_, before, Some(after)) => {
            let value = |text: &str| parse_stored(text.as_bytes()).ok_or_else(|| unreadable(""));
            let empty = || Ok(Value::Object(Default::default()));
            let before = before.as_deref().map_or_else(empty, value)?;
            Some(delta(&before, &value(after)?))
        }
    };
    Ok(ChangeEvent {
        token: in_group(change.token, group),
        index: change.token.index,
        operation: change.kind.into_wire(),
        database: change.database.clone(),
        collection: change.collection.clone(),
        id: change.id.clone().map(IntoWire::into_wire),
        revision: change.revision,
        time: iso_date(change.time_ms as i64).unwrap_or_default(),
        user: change.user.clone(),
        document,
        delta: delta.map(IntoWire::into_wire),
        matches: *matches,
        renamed_to: change.renamed_to.clone(),
    })
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("a stored change cannot be read {error}"))
}

/// Appends how far a feed is.
fn push_progress(text: &mut Vec<u8>, token: ResumeToken, group: GroupId) {
    let token = in_group(token, group);
    push(text, "progress", &token.clone(), &ProgressEvent { token }, Form::Relaxed);
}

/// Appends an event in the form of the HTML standard.
fn push(text: &mut Vec<u8>, name: &str, token: &str, data: &impl Serialize, form: Form) {
    // JSON has no line breaks of its own.
    let data = serde_json::to_vec(data).unwrap_or_default();
    let data = form.of(&data, Values::In(&["id", "document", "updated"]));
    text.extend_from_slice(format!("event: {name}\nid: {token}\ndata: ").as_bytes());
    text.extend_from_slice(&data);
    text.extend_from_slice(b"\n\n");
}
