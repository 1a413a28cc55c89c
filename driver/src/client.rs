//! The connection to a cluster: seeds, leader, deadline and retries.
//!
//! This is the one place that decides what is tried again. A call is repeated when it only
//! reads, when it is marked safe to repeat, or when it cannot have reached the log: no
//! connection, or an answer that says so (`503`, `429`). Everything else that is
//! interrupted comes back as [`Error::Unknown`].

use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::wire::{CLIENT_HEADER, ErrorBody, ErrorDetail, INDEX_HEADER, LEADER_HEADER, ReadLevel};
use base64::Engine;
use reqwest::{Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

/// A client of one cluster. Cheap to clone; clones share connections and the known leader.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    seeds: Vec<Url>,
    authorization: Option<String>,
    deadline: Duration,
    attempt: Duration,
    follow_leader: bool,
    /// Where the next call goes: the leader once it is known, else a seed.
    target: Mutex<Url>,
    /// Highest log index that an answer has named.
    last_index: AtomicU64,
}

/// Collects the settings of a [`Client`].
#[derive(Default)]
pub struct ClientBuilder {
    seeds: Vec<String>,
    credentials: Option<(String, String)>,
    deadline: Option<Duration>,
    attempt: Option<Duration>,
    stay: bool,
}

/// First pause between two attempts; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(400);
const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);
const ATTEMPT_DEFAULT: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_secs(1);

impl ClientBuilder {
    /// Nodes to begin with, as `http://host:port`; the port alone is no address.
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// User name and password, sent as HTTP Basic.
    pub fn credentials(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Longest time a call may take with all its retries. Default 15 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Longest time one attempt may take. Default 5 s. Calls that may look at many documents
    /// (queries, changes by filter, indexes) get two thirds of the deadline if that is more.
    pub fn attempt_timeout(mut self, attempt: Duration) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sends every call to the first seed that answers instead of going to the leader.
    pub fn stay_on_seed(mut self) -> Self {
        self.stay = true;
        self
    }

    /// Makes the client. It connects with the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a seed, or when one is not an `http://` address.
    pub fn build(self) -> Result<Client> {
        let seeds = self.seeds.iter().map(|seed| parse_seed(seed)).collect::<Result<Vec<_>>>()?;
        let first = seeds
            .first()
            .cloned()
            .ok_or_else(|| Error::Invalid("give at least one seed node".into()))?;
        let attempt = self.attempt.unwrap_or(ATTEMPT_DEFAULT);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(attempt)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let authorization = self.credentials.map(|(user, password)| basic(&user, &password));
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                seeds,
                authorization,
                deadline: self.deadline.unwrap_or(DEADLINE_DEFAULT),
                attempt,
                follow_leader: !self.stay,
                target: Mutex::new(first),
                last_index: AtomicU64::new(0),
            }),
        })
    }
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

fn parse_seed(seed: &str) -> Result<Url> {
    let text = if seed.contains("://") { seed.to_owned() } else { format!("http://{seed}") };
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
        _ => Err(Error::Invalid(format!(
            "{seed:?} is not the address of a node; write http://host:port"
        ))),
    }
}

impl Inner {
    /// Longest time of an attempt that may need long; what is left lets another node answer.
    fn attempt_long(&self) -> Duration {
        self.attempt.max(self.deadline * 2 / 3)
    }
}

/// One call to the HTTP interface, before it is sent.
pub(crate) struct Call {
    method: Method,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    level: Option<ReadLevel>,
    body: Option<Result<Vec<u8>>>,
    if_match: Option<u64>,
    repeatable: bool,
    reads: bool,
    long: bool,
}

impl Call {
    /// A call to the path made of `segments`, each escaped as one path part.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        Call {
            repeatable: method == Method::GET,
            reads: method == Method::GET,
            long: false,
            method,
            segments: segments.iter().map(|segment| (*segment).to_owned()).collect(),
            query: Vec::new(),
            level: None,
            body: None,
            if_match: None,
        }
    }

    pub(crate) fn query(mut self, key: &'static str, value: &str) -> Self {
        self.query.push((key, value.to_owned()));
        self
    }

    /// Says how fresh the answer must be.
    pub(crate) fn level(mut self, level: ReadLevel) -> Self {
        self.level = Some(level);
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body =
            Some(serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string())));
        self
    }

    pub(crate) fn if_match(mut self, revision: u64) -> Self {
        self.if_match = Some(revision);
        self
    }

    /// Says that a second arrival of the same call changes nothing more.
    pub(crate) fn safe_to_repeat(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Says that the call changes nothing, whatever its method is.
    pub(crate) fn reads(mut self) -> Self {
        (self.reads, self.repeatable) = (true, true);
        self
    }

    /// Says that the node may need long for the answer, since the call looks at many documents.
    pub(crate) fn long(mut self) -> Self {
        self.long = true;
        self
    }
}

/// A successful answer.
pub(crate) struct Reply {
    headers: header::HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Decode(error.to_string()))
    }

    /// The revision in the `ETag`.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.headers.get(header::ETAG)?.to_str().ok()?.trim_matches('"').parse().ok()
    }
}

/// How one attempt ended when it did not succeed.
enum Failure {
    /// The call changed nothing and may be sent again.
    Refused(Error),
    /// The connection broke or the time was up after the call was sent.
    Interrupted(String),
    /// Trying again would give the same answer.
    Final(Error),
}

impl Client {
    /// Starts the settings of a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The documents of one collection as `T`.
    pub fn collection<T: Serialize + DeserializeOwned>(
        &self,
        database: &str,
        name: &str,
    ) -> Collection<T> {
        Collection::new(self.clone(), database, name)
    }

    /// The node that the next call goes to.
    pub fn target(&self) -> String {
        self.current_target().to_string()
    }

    /// The highest log index that an answer to this client or a clone of it has named; 0 before
    /// the first. Another client that reads with [`ReadLevel::Session`] of this number sees what
    /// this one has written.
    pub fn last_index(&self) -> u64 {
        self.inner.last_index.load(Ordering::Relaxed)
    }

    fn current_target(&self) -> Url {
        self.inner.target.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn set_target(&self, url: Url) {
        *self.inner.target.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = url;
    }

    /// Sends a call, again and elsewhere where that is safe, until the deadline.
    pub(crate) async fn send(&self, mut call: Call) -> Result<Reply> {
        let body = call.body.take().transpose()?;
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut turn = 0;
        // What is said in the end: that a write may have happened, else what a node answered,
        // else why none could be reached.
        let (mut doubt, mut answered) = (None, None);
        loop {
            let target = self.current_target();
            let left = self.inner.deadline.saturating_sub(started.elapsed());
            let attempt = tokio::time::timeout(left, self.attempt(&target, &call, body.clone()));
            let failure = match attempt.await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Interrupted("the deadline has passed".into()),
            };
            let mut last = None;
            match failure {
                Failure::Final(error) => return Err(error),
                Failure::Refused(error) if error.code().is_some() => answered = Some(error),
                Failure::Refused(error) => last = Some(error),
                Failure::Interrupted(reason) if call.reads => {
                    last = Some(self.unavailable(&self.seed_list(), reason));
                }
                Failure::Interrupted(reason) => doubt = Some(Error::Unknown { reason }),
            }
            self.next_seed(&target, &mut turn);
            let repeat = doubt.is_none() || call.repeatable;
            if !repeat || started.elapsed() + pause >= self.inner.deadline {
                let error = doubt.or(answered).or(last);
                return Err(error.unwrap_or_else(|| {
                    self.unavailable(&self.seed_list(), "the deadline has passed".into())
                }));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn seed_list(&self) -> String {
        self.inner.seeds.iter().map(Url::as_str).collect::<Vec<_>>().join(", ")
    }

    fn unavailable(&self, nodes: &str, reason: String) -> Error {
        Error::Unavailable { nodes: nodes.to_owned(), deadline: self.inner.deadline, reason }
    }

    /// Turns to another seed, unless another call has already found a better target.
    fn next_seed(&self, failed: &Url, turn: &mut usize) {
        if self.current_target() == *failed {
            let others: Vec<&Url> =
                self.inner.seeds.iter().filter(|seed| *seed != failed).collect();
            if let Some(seed) = others.get(*turn % others.len().max(1)) {
                self.set_target((*seed).clone());
            }
            *turn += 1;
        }
    }

    async fn attempt(
        &self,
        target: &Url,
        call: &Call,
        body: Option<Vec<u8>>,
    ) -> std::result::Result<Reply, Failure> {
        let mut url = target.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&call.segments);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        if let Some(level) = call.level {
            url.query_pairs_mut().extend_pairs(level.parameters(self.last_index()));
        }
        let mut request =
            self.inner.http.request(call.method.clone(), url).header(CLIENT_HEADER, "driver");
        if call.long {
            request = request.timeout(self.inner.attempt_long());
        }
        if let Some(authorization) = &self.inner.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(revision) = call.if_match {
            request = request.header(header::IF_MATCH, format!("\"{revision}\""));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| {
            if error.is_connect() {
                Failure::Refused(self.unavailable(target.as_str(), innermost(&error)))
            } else if error.is_builder() {
                Failure::Final(Error::Invalid(innermost(&error)))
            } else {
                Failure::Interrupted(innermost(&error))
            }
        })?;
        self.note_leader(&answer);
        self.note_index(&answer);
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body =
            answer.bytes().await.map_err(|error| Failure::Interrupted(innermost(&error)))?.to_vec();
        if status.is_success() {
            return Ok(Reply { headers, body });
        }
        let detail = serde_json::from_slice::<ErrorBody>(&body)
            .map(|body| body.error)
            .unwrap_or_else(|_| ErrorDetail {
                code: "unexpected_answer".into(),
                message: format!("{target} answered {status}: {}", String::from_utf8_lossy(&body)),
                hint: None,
                details: None,
                request_id: String::new(),
            });
        Err(match status {
            _ if detail.code == "outcome_unknown" => Failure::Interrupted(detail.message),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Failure::Refused(Error::Api { status: status.as_u16(), detail: Box::new(detail) })
            }
            _ => Failure::Final(Error::Api { status: status.as_u16(), detail: Box::new(detail) }),
        })
    }

    fn note_leader(&self, answer: &reqwest::Response) {
        if !self.inner.follow_leader {
            return;
        }
        let leader = answer.headers().get(LEADER_HEADER).and_then(|value| value.to_str().ok());
        if let Some(url) = leader.and_then(|leader| Url::parse(leader).ok())
            && self.current_target() != url
        {
            self.set_target(url);
        }
    }

    fn note_index(&self, answer: &reqwest::Response) {
        let index = answer.headers().get(INDEX_HEADER).and_then(|value| value.to_str().ok());
        if let Some(index) = index.and_then(|index| index.parse().ok()) {
            self.inner.last_index.fetch_max(index, Ordering::Relaxed);
        }
    }
}

/// The cause at the end of the chain, which says more than `error sending request`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_needs_a_host() {
        assert!(parse_seed("http://127.0.0.1:8080").is_ok());
        assert_eq!(parse_seed("127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        for bad in ["", "ftp://host", "http://"] {
            assert!(parse_seed(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_call_without_nodes_ends_at_its_deadline() {
        let client = Client::builder()
            .seeds(["http://127.0.0.1:1"])
            .deadline(Duration::from_millis(100))
            .build()
            .unwrap();
        assert!(matches!(client.health().await, Err(Error::Unavailable { .. })));
    }
}
