//! Change feeds: changes of documents as they happen.

use crate::call::Call;
use crate::client::{Client, pause_between};
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::wire::{ChangeContent, ChangeEvent, ErrorBody, ProgressEvent};
use futures_util::{Stream, StreamExt};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};
use std::pin::Pin;
use std::time::Instant;

/// Which changes a feed has, and how much of each. The default is every change from now on, with
/// the document as it is afterwards.
///
/// ```
/// use jettra_driver::WatchOptions;
/// use jettra_driver::wire::ChangeContent;
///
/// let filter = serde_json::json!({"city": "Lima"});
/// let options = WatchOptions::new().filter(filter).content(ChangeContent::Both);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WatchOptions {
    filter: Option<Value>,
    content: ChangeContent,
    after: Option<String>,
}

impl WatchOptions {
    /// Every change from now on.
    pub fn new() -> WatchOptions {
        WatchOptions::default()
    }

    /// Only changes of documents that match a filter before or afterwards.
    pub fn filter(mut self, filter: Value) -> WatchOptions {
        self.filter = Some(filter);
        self
    }

    /// How much of a change an event has.
    pub fn content(mut self, content: ChangeContent) -> WatchOptions {
        self.content = content;
        self
    }

    /// Goes on after an event that was seen before, named by its [`ChangeEvent::token`] or
    /// [`ChangeFeed::token`]; another process may have seen it.
    pub fn after(mut self, token: impl Into<String>) -> WatchOptions {
        self.after = Some(token.into());
        self
    }
}

type Events = Pin<Box<dyn Stream<Item = std::result::Result<Sse, sse_stream::Error>> + Send>>;

/// The changes, one after the other; created by [`Collection::watch`] and
/// [`Client::watch_database`].
///
/// After a break it goes on by itself, at the same node or another, after the last event: none is
/// left out and none comes twice.
pub struct ChangeFeed {
    client: Client,
    path: Vec<String>,
    options: WatchOptions,
    token: Option<String>,
    events: Option<Events>,
    outage: Option<Outage>,
    ended: bool,
}

/// The time since which nothing was received, and the number of attempts since then.
struct Outage {
    since: Instant,
    attempts: u32,
}

/// One event of the stream.
enum FeedEvent {
    Change(Box<ChangeEvent>),
    Progress,
    End(Error),
}

impl Client {
    /// The changes in all collections of a database, also those that are created later.
    ///
    /// # Errors
    /// Those of [`Collection::watch`].
    pub async fn watch_database(
        &self,
        database: &str,
        options: WatchOptions,
    ) -> Result<ChangeFeed> {
        ChangeFeed::begin(self, &["api", "v1", "databases", database, "watch"], options).await
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// The changes of the documents, from when this returns or after [`WatchOptions::after`].
    ///
    /// ```no_run
    /// # async fn example(people: jettra_driver::Collection<serde_json::Value>)
    /// # -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::WatchOptions;
    ///
    /// let mut changes = people.watch(WatchOptions::new()).await?;
    /// while let Some(change) = changes.next().await {
    ///     let change = change?;
    ///     println!("{:?} of {:?}: {:?}", change.operation, change.id, change.document);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `invalid_query` for the filter; `too_old` (410) when what follows the token is no longer
    /// kept: read the collection and watch from now; `overloaded` (429) when too many watch.
    pub async fn watch(&self, options: WatchOptions) -> Result<ChangeFeed> {
        let (database, name) = self.place();
        let path = ["api", "v1", "databases", database, "collections", name, "watch"];
        ChangeFeed::begin(self.client(), &path, options).await
    }
}

impl ChangeFeed {
    async fn begin(client: &Client, path: &[&str], options: WatchOptions) -> Result<ChangeFeed> {
        let mut changes = ChangeFeed {
            client: client.clone(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            token: options.after.clone(),
            options,
            events: None,
            outage: None,
            ended: false,
        };
        changes.connect().await?;
        if changes.token.is_some() {
            return Ok(changes);
        }
        // A node sends the position of the feed at once: from there on nothing is missed.
        match changes.next_event().await? {
            FeedEvent::Progress => Ok(changes),
            FeedEvent::End(error) => Err(error),
            FeedEvent::Change(_) => {
                Err(Error::Decode("the feed did not say where it begins".into()))
            }
        }
    }

    /// Where the feed goes on: after the last event that [`ChangeFeed::next`] returned, or later
    /// when nothing that matches has happened since.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The next change. It waits as long as it takes; it may be dropped while it waits, and
    /// called again.
    ///
    /// `None` after the end, which is always an error.
    ///
    /// # Errors
    /// [`Error::Unavailable`], or `no_leader` and `overloaded`, when no node served the feed
    /// until the deadline of the client: the next call tries to go on after the last event.
    /// Every other error is the end, such as `too_old` (410) after a long break.
    pub async fn next(&mut self) -> Option<Result<ChangeEvent>> {
        while !self.ended {
            match self.next_event().await {
                Ok(FeedEvent::Change(change)) => return Some(Ok(*change)),
                Ok(FeedEvent::Progress) => {}
                Ok(FeedEvent::End(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Err(error) => {
                    self.ended = !error.may_pass();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// The next event of the stream, after as many connections as it takes.
    async fn next_event(&mut self) -> Result<FeedEvent> {
        loop {
            let Some(events) = &mut self.events else {
                self.connect_again().await?;
                continue;
            };
            let reason = match events.next().await {
                Some(Ok(event)) => match decode_event(&event)? {
                    None => continue,
                    // This node cannot go on; another may, or this one later.
                    Some((FeedEvent::End(error), _)) if !is_final(&error) => error.to_string(),
                    Some((event, token)) => {
                        self.outage = None;
                        self.token = token.or(self.token.take());
                        return Ok(event);
                    }
                },
                Some(Err(error)) => error.to_string(),
                None => "the node ended the feed".into(),
            };
            self.events = None;
            let now = Outage { since: Instant::now(), attempts: 0 };
            let since = self.outage.get_or_insert(now).since;
            if since.elapsed() >= self.client.deadline() {
                self.outage = None;
                return Err(self.client.unavailable(&self.client.target(), reason));
            }
        }
    }

    async fn connect_again(&mut self) -> Result<()> {
        if let Some(outage) = &mut self.outage {
            let pause = pause_between(outage.attempts);
            outage.attempts += 1;
            tokio::time::sleep(pause).await;
        }
        self.connect().await
    }

    async fn connect(&mut self) -> Result<()> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let content = match self.options.content {
            ChangeContent::Document => "document",
            ChangeContent::Delta => "delta",
            ChangeContent::Both => "both",
        };
        let mut call = Call::plain(Method::GET, &path).query("content", content);
        if let Some(filter) = &self.options.filter {
            call = call.query("filter", &filter.to_string());
        }
        if let Some(token) = &self.token {
            call = call.query("after", token);
        }
        let answer = self.client.open(&call).await?;
        self.events = Some(Box::pin(SseByteStream::new(answer.bytes_stream())));
        Ok(())
    }
}

/// Whether another attempt would fail in the same way.
fn is_final(error: &Error) -> bool {
    const FINAL: [&str; 4] = ["too_old", "forbidden", "not_authenticated", "database_not_found"];
    error.code().is_some_and(|code| FINAL.contains(&code) || code.starts_with("invalid"))
}

/// An event and the position of the feed after it; `None` for a kind that is not known here.
fn decode_event(event: &Sse) -> Result<Option<(FeedEvent, Option<String>)>> {
    fn read<T: DeserializeOwned>(event: &Sse) -> Result<T> {
        serde_json::from_str(event.data.as_deref().unwrap_or_default())
            .map_err(|error| Error::Decode(error.to_string()))
    }
    Ok(match event.event.as_deref() {
        Some("change") => {
            let change: ChangeEvent = read(event)?;
            let token = change.token.clone();
            Some((FeedEvent::Change(Box::new(change)), Some(token)))
        }
        Some("progress") => Some((FeedEvent::Progress, Some(read::<ProgressEvent>(event)?.token))),
        Some("error") => {
            let detail = Box::new(read::<ErrorBody>(event)?.error);
            // The answer had begun with success; the code implies the status that it would have
            // had.
            let status = if detail.code == "too_old" { 410 } else { 500 };
            Some((FeedEvent::End(Error::Api { status, detail }), None))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Answer, node};
    use serde_json::json;

    fn change(token: &str) -> String {
        let data = json!({
            "token": token, "index": 5, "operation": "insert", "database": "d",
            "collection": "c", "id": token, "time": "2026-03-01T12:00:00Z",
            "document": {"name": "Zoë\n"},
        });
        format!("event: change\nid: {token}\ndata: {data}\n\n")
    }

    fn progress(token: &str) -> String {
        format!("event: progress\nid: {token}\ndata: {{\"token\": \"{token}\"}}\n\n")
    }

    fn too_old() -> String {
        let body = json!({"error": {"code": "too_old", "message": "too old"}});
        format!("event: error\ndata: {body}\n\n")
    }

    async fn tokens(changes: &mut ChangeFeed, count: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        for _ in 0..count {
            tokens.push(changes.next().await.unwrap().unwrap().token);
        }
        tokens
    }

    #[tokio::test]
    async fn events_are_read_wherever_the_bytes_are_cut() {
        let head = String::from(": hello\r\nevent: later\ndata: x\n\n") + &progress("a");
        let text = head + &change("b") + ":\n" + &change("c").replace('\n', "\r\n") + &too_old();
        let bytes = text.as_bytes();
        for cut in (1..bytes.len()).step_by(7) {
            let (first, rest) = bytes.split_at(cut);
            let (second, third) = rest.split_at(rest.len() / 3);
            let parts = [first, second, third].map(<[u8]>::to_vec).to_vec();
            let (client, _) = node(vec![Answer::Stream(parts)]);
            let mut changes = client.watch_database("d", WatchOptions::new()).await.unwrap();
            assert_eq!(changes.token(), "a", "cut at {cut}");
            let first = changes.next().await.unwrap().unwrap();
            assert_eq!(first.document, Some(json!({"name": "Zoë\n"})), "cut at {cut}");
            assert_eq!(tokens(&mut changes, 1).await, ["c"], "cut at {cut}");
            let error = changes.next().await.unwrap().unwrap_err();
            assert_eq!((error.status(), error.code()), (Some(410), Some("too_old")));
            assert!(changes.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn after_a_break_it_goes_on_after_the_last_event() {
        let part = |text: String| Answer::Stream(vec![text.into_bytes()]);
        let half = change("f");
        let (client, requests) = node(vec![
            part(progress("a") + &change("b")),
            Answer::Break,
            Answer::error(503, "no_leader"),
            part(progress("c")),
            // An event that is cut off was not seen.
            part(change("d") + &half[..half.len() - 2]),
            Answer::StreamOpen(vec![change("f").into_bytes()]),
        ]);
        let people = client.collection::<Value>("d", "c");
        let watch = WatchOptions::new().filter(json!({"a": 1})).content(ChangeContent::Delta);
        let mut changes = people.watch(watch).await.unwrap();
        assert_eq!(tokens(&mut changes, 3).await, ["b", "d", "f"]);
        let requests = requests.lock().unwrap();
        let after: Vec<Option<&str>> = requests
            .iter()
            .map(|call| Some(call.line.split_once("after=")?.1.trim_end_matches(" HTTP/1.1")))
            .collect();
        assert_eq!(after, [None, Some("b"), Some("b"), Some("b"), Some("c"), Some("d")]);
        let place = "GET /api/v1/databases/d/collections/c/watch?content=delta&filter=";
        assert!(requests.iter().all(|call| call.line.starts_with(place)), "{requests:?}");
    }

    #[tokio::test]
    async fn a_feed_outlives_the_timeout_of_an_attempt() {
        let events = vec![progress("a").into_bytes()];
        let (client, requests) = node(vec![Answer::StreamOpen(events)]);
        let mut changes = client.watch_database("d", WatchOptions::new()).await.unwrap();
        let longer = std::time::Duration::from_millis(1500);
        assert!(tokio::time::timeout(longer, changes.next()).await.is_err());
        assert_eq!(requests.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_refusal_ends_it_and_silence_does_so_at_the_deadline() {
        let (client, _) = node(vec![Answer::error(410, "too_old")]);
        let refused = client.watch_database("d", WatchOptions::new().after("x")).await;
        assert_eq!(refused.err().and_then(|error| error.status()), Some(410));
        let begin = Answer::Stream(vec![progress("a").into_bytes()]);
        for answer in [Answer::Break, Answer::Stream(Vec::new())] {
            let (client, _) = node(vec![begin.clone(), answer]);
            let mut changes = client.watch_database("d", WatchOptions::new()).await.unwrap();
            let error = changes.next().await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
            assert_eq!(changes.token(), "a");
        }
        for (status, code, ended) in [(503, "no_leader", false), (410, "too_old", true)] {
            let (client, _) = node(vec![begin.clone(), Answer::error(status, code)]);
            let mut changes = client.watch_database("d", WatchOptions::new()).await.unwrap();
            assert_eq!(changes.next().await.unwrap().unwrap_err().code(), Some(code));
            assert_eq!(changes.ended, ended, "{code}");
        }
    }
}
