//! Change feeds as server-sent events.
//!
//! A feed keeps no more than the changes it is sending: it reads the replicated history behind
//! its token when the client takes more. So a slow client costs no memory, and a feed goes on
//! at another node behind the token that it was told last.

use super::call::Call;
use super::find::json_parameter;
use super::reply::{Events, Reply};
use crate::auth::Permission;
use crate::engine::Namespace;
use crate::engine::catalog;
use crate::engine::changes::{Change, FeedChange, Interest, ResumeToken, changes_behind, delta};
use crate::engine::query::context::Context;
use crate::engine::system;
use crate::engine::value::{Value, iso_date, parse_stored};
use crate::error::{Error, Kind, Result};
use crate::raft::{Group, ReadLevel};
use crate::service::Session;
use crate::service::bounds::{Interrupt, pooled};
use crate::service::find::parse_filter;
use crate::service::session::secret;
use crate::wire::IntoWire;
use bytes::Bytes;
use jettra_driver::wire::{ChangeContent, ChangeEvent, LAST_EVENT_HEADER, ProgressEvent};
use serde::Serialize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Longest silence of a feed.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Shortest time between two looks at the history: many feeds must not wake for every commit.
const LOOK_PAUSE: Duration = Duration::from_millis(15);
/// Bytes of changes that a feed takes at once, and a row more.
const FEED_BYTES: usize = 1 << 20;

/// `GET …/collections/{col}/watch`
pub async fn collection(call: Rc<Call>) -> Result<Reply> {
    let namespace = call.namespace()?;
    call.session.check_readable(&namespace)?;
    let Namespace { database, collection } = namespace;
    watch(&call, database, Some(collection)).await
}

/// `GET /api/v1/databases/{db}/watch`
pub async fn database(call: Rc<Call>) -> Result<Reply> {
    let database = call.required(&["db"])?.to_owned();
    call.session.authorize(Permission::Read, &database)?;
    if database == system::DATABASE {
        return Err(secret(&database, "*"));
    }
    watch(&call, database, None).await
}

async fn watch(call: &Call, database: String, collection: Option<String>) -> Result<Reply> {
    let filter = json_parameter(call, "filter", false)?;
    let filter = filter.map(|filter| parse_filter(Some(&filter))).transpose()?;
    let content = match call.parameter(&["content"]) {
        None => ChangeContent::default(),
        Some(text) => serde_json::from_value(text.into()).map_err(|_| {
            Error::new(Kind::InvalidParameter, format!("content={text} is unknown"))
                .hint("use document, delta or both")
        })?,
    };
    // A browser that connects again repeats the address, and tells in the header how far it came.
    let header = call.headers().get(LAST_EVENT_HEADER).and_then(|value| value.to_str().ok());
    let after: Option<ResumeToken> = match header.or(call.parameter(&["after"])) {
        None => None,
        Some(text) => Some(text.parse()?),
    };
    let group = call.group()?.clone();
    let token = match after {
        None => ResumeToken::behind(group.visible_index()),
        Some(token) => {
            group.wait_for_level(ReadLevel::Session(token.index)).await?;
            token
        }
    };
    if catalog::database(&group.read()?, &database)?.is_none() {
        return Err(crate::engine::apply::database_not_found(&database));
    }
    let permit = call.app.service.feeds.clone().try_acquire_owned().map_err(|_| {
        Error::new(Kind::Overloaded, "too many change feeds are open on this node")
            .hint("use another node, or end some")
    })?;
    let interest = Arc::new(Interest { database, collection, filter });
    let (session, index) = (call.session.clone(), group.visible_index());
    let (told_at, ended) = (Instant::now(), false);
    let mut feed =
        Feed { session, group, interest, content, token, told_at, ended, _permit: permit };
    // Where it begins comes first; what is wrong with the token is told as the answer.
    let mut first = Vec::new();
    push_progress(&mut first, token);
    let told = feed.changes().await?;
    feed.push_changes(&mut first, &told)?;
    push_progress(&mut first, feed.token);
    let first = Bytes::from(first);
    let (taken, events) = mpsc::channel(1);
    tokio::task::spawn_local(feed.run(first, taken));
    let events = Some(Events(events));
    let reply = Reply { events, media: "text/event-stream", ..Reply::default() };
    Ok(reply.header("cache-control", "no-store").at(index))
}

/// A feed that a client takes from.
struct Feed {
    session: Session,
    group: Arc<Group>,
    interest: Arc<Interest>,
    content: ChangeContent,
    token: ResumeToken,
    /// When the client was told last where it stands.
    told_at: Instant,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// The next changes, perhaps none; moves the token behind them.
    async fn changes(&mut self) -> Result<Vec<FeedChange>> {
        let (group, interest, token) = (self.group.clone(), self.interest.clone(), self.token);
        let (interrupt, _waiting) = Interrupt::new(&self.session);
        let memory = self.session.config().query_memory_mb << 20;
        let read = pooled(move || {
            let check = || interrupt.check();
            let ctx = Context::new(group.time_ms() as i64, memory, &check);
            let (read, upto) = group.read_with_index()?;
            changes_behind(&read, token, upto, &interest, FEED_BYTES, &ctx)
        });
        let (told, token) = read.await?;
        self.token = token;
        Ok(told)
    }

    /// Makes one piece after the other, each when the one before was taken, until nobody takes
    /// any more.
    async fn run(mut self, first: Bytes, taken: mpsc::Sender<Bytes>) {
        let mut next = Some(first);
        while let Some(piece) = next {
            if taken.send(piece).await.is_err() {
                return;
            }
            let Ok(_place) = taken.reserve().await else { return };
            next = tokio::select! {
                next = self.next() => next,
                () = taken.closed() => return,
            };
        }
    }

    /// The next piece of the answer; none when the feed has ended.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let next = async {
            loop {
                let waiting = self.group.wait_beyond(self.token.index);
                // Time without a change is no error.
                if let Ok(gone) = tokio::time::timeout(SILENCE_MAX, waiting).await {
                    gone?;
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                let told = self.changes().await?;
                if !told.is_empty() {
                    self.session.confirm_user()?;
                }
                let mut text = Vec::new();
                self.push_changes(&mut text, &told)?;
                // Changes of no interest move the token too.
                if self.told_at.elapsed() >= SILENCE_MAX {
                    self.session.confirm_user()?;
                    self.told_at = Instant::now();
                    push_progress(&mut text, self.token);
                }
                if !text.is_empty() {
                    return Ok(Bytes::from(text));
                }
            }
        };
        let next = next.await;
        let service = self.session.service();
        // The client goes on at another node, or here when this one is back.
        if service.cluster.is_ending() || service.check_serving().is_err() {
            return None;
        }
        match next {
            Ok(text) => Some(text),
            Err(error) => {
                self.ended = true;
                let body = Reply::error(&error, "").body;
                Some(Bytes::from([&b"event: error\ndata: "[..], &body, b"\n\n"].concat()))
            }
        }
    }

    fn push_changes(&self, text: &mut Vec<u8>, told: &[FeedChange]) -> Result<()> {
        for FeedChange { change, matches } in told {
            let event = self.event(change, *matches)?;
            push(text, "change", &event.token, &event);
        }
        Ok(())
    }

    fn event(&self, change: &Change, matches: Option<bool>) -> Result<ChangeEvent> {
        let parsed = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => serde_json::from_str(text).map(Some).map_err(unreadable),
        };
        let content = self.content;
        let document = match content {
            ChangeContent::Delta => None,
            _ => parsed(if change.after.is_some() { &change.after } else { &change.before })?,
        };
        let delta = match (content, &change.before, &change.after) {
            (ChangeContent::Document, ..) | (_, _, None) => None,
            (_, before, Some(after)) => {
                let value =
                    |text: &str| parse_stored(text.as_bytes()).ok_or_else(|| unreadable(""));
                let empty = || Ok(Value::Object(Default::default()));
                let before = before.as_deref().map_or_else(empty, value)?;
                Some(delta(&before, &value(after)?))
            }
        };
        Ok(ChangeEvent {
            token: change.token.to_string(),
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
            matches,
            renamed_to: change.renamed_to.clone(),
        })
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("a stored change cannot be read {error}"))
}

/// Appends where a feed stands.
fn push_progress(text: &mut Vec<u8>, token: ResumeToken) {
    let token = token.to_string();
    push(text, "progress", &token.clone(), &ProgressEvent { token });
}

/// Appends an event as the HTML standard has it.
fn push(text: &mut Vec<u8>, name: &str, token: &str, data: &impl Serialize) {
    // JSON has no line breaks of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    text.extend_from_slice(format!("event: {name}\nid: {token}\ndata: {data}\n\n").as_bytes());
}
