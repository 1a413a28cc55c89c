//! The connection to a cluster: seeds, leader, deadline and retries.
//!
//! This is the one place that decides what is tried again. A call that cannot have reached the
//! log (no connection, or an answer that says so: `503`, `429`) always is. One that was
//! interrupted is repeated as [`Repeat`] tells: a write of documents, of the catalog or of users carries
//! an idempotency key, the same in all its attempts, so that it happens once. What remains in
//! doubt at the deadline comes back as [`Error::Unknown`].

use crate::call::{Call, Open, Repeat, Scope};
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::tls;
use crate::wire::{
    CLIENT_HEADER, ErrorBody, ErrorDetail, FORGOTTEN_HEADER, IDEMPOTENCY_HEADER, INDEX_HEADER,
    LEADER_HEADER,
};
use base64::Engine;
use reqwest::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

/// A client of one cluster. Cheap to clone; clones share connections and the known leader.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    scope: Scope,
}

struct Inner {
    http: reqwest::Client,
    /// For change feeds, whose answers have no end.
    feeds: reqwest::Client,
    seeds: Vec<Url>,
    authorization: Option<String>,
    deadline: Duration,
    attempt: Duration,
    follow_leader: bool,
    end_when_unreachable: bool,
    /// Where the next call goes: the leader once it is known, else a seed.
    target: Mutex<Url>,
    /// Highest log index that an answer has named.
    last_index: AtomicU64,
    /// Milliseconds that this machine's clock is behind the cluster's, when that matters.
    clock_behind: AtomicI64,
}

/// Collects the settings of a [`Client`].
#[derive(Default)]
pub struct ClientBuilder {
    seeds: Vec<String>,
    authorization: Option<String>,
    deadline: Option<Duration>,
    attempt: Option<Duration>,
    stay: bool,
    end_when_unreachable: bool,
    authority: Option<Vec<u8>>,
}

/// First pause between two attempts; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(400);
const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);
const ATTEMPT_DEFAULT: Duration = Duration::from_secs(5);
/// The answer to logins after too many wrong passwords.
const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Longest silence of a change feed; a node sends a comment every 10 s.
const FEED_SILENCE_MAX: Duration = Duration::from_secs(60);

impl ClientBuilder {
    /// Nodes to begin with, as `http://host:port` or `https://host:port`; the port alone is no
    /// address.
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// User name and password, sent as HTTP Basic. They replace an API key.
    pub fn credentials(mut self, username: &str, password: &str) -> Self {
        self.authorization = Some(basic(username, password));
        self
    }

    /// An API key, sent as HTTP Bearer: what [`Client::create_api_key`] told, `jettra_…`. It
    /// replaces user name and password.
    pub fn api_key(mut self, key: &str) -> Self {
        self.authorization = Some(format!("Bearer {key}"));
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

    /// Ends a call with [`Error::Unreachable`] as soon as no seed takes a connection, instead of
    /// trying again until the deadline. For programs that people wait for; others better wait
    /// for a node that starts again.
    pub fn end_when_unreachable(mut self) -> Self {
        self.end_when_unreachable = true;
        self
    }

    /// The authority that has signed the certificates of the nodes, in PEM; only it is trusted
    /// then. Without it, those of the system are.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// Makes the client. It connects with the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a seed, when one is not an address, when the authority cannot
    /// be read, or when there is none to trust and a seed is `https://`.
    pub fn build(self) -> Result<Client> {
        let seeds = self.seeds.iter().map(|seed| parse_seed(seed)).collect::<Result<Vec<_>>>()?;
        let first = seeds
            .first()
            .cloned()
            .ok_or_else(|| Error::Invalid("give at least one seed node".into()))?;
        let attempt = self.attempt.unwrap_or(ATTEMPT_DEFAULT);
        let build = |http: reqwest::ClientBuilder| {
            http.build().map_err(|error| Error::Invalid(error.to_string()))
        };
        let tls = tls::config(&seeds, self.authority.as_deref())?;
        let http = || http().tls_backend_preconfigured(tls.clone());
        Ok(Client {
            scope: Scope::default(),
            inner: Arc::new(Inner {
                http: build(http().timeout(attempt))?,
                feeds: build(http().read_timeout(FEED_SILENCE_MAX))?,
                seeds,
                authorization: self.authorization,
                deadline: self.deadline.unwrap_or(DEADLINE_DEFAULT),
                attempt,
                follow_leader: !self.stay,
                end_when_unreachable: self.end_when_unreachable,
                target: Mutex::new(first),
                last_index: AtomicU64::new(0),
                clock_behind: AtomicI64::new(0),
            }),
        })
    }
}

fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
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
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Error::Invalid(format!(
            "{seed:?} is not the address of a node; write http://host:port or https://host:port"
        ))),
    }
}

impl Inner {
    /// Longest time of an attempt that may need long; what is left lets another node answer.
    fn attempt_long(&self) -> Duration {
        self.attempt.max(self.deadline * 2 / 3)
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

    /// Whether it repeats an earlier answer whose document is kept no longer.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.headers.contains_key(FORGOTTEN_HEADER)
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
    /// There is no connection: it is refused, or the name has no address.
    Unreachable(String),
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

    /// The same client with this idempotency key for its next write, instead of one that it makes
    /// by itself for each. With it a write can be repeated even by another process: it is
    /// carried out once, and each call with the same key gets the same answer.
    ///
    /// Inside a transaction it says nothing, since its commit happens once anyway.
    ///
    /// A key is for one write: another one with it is refused as `idempotency_key_reused` (422).
    /// It is 1 to 200 visible ASCII characters, and remembered for minutes
    /// (`IdempotencyMinutes` of the nodes).
    pub fn with_idempotency_key(mut self, key: &str) -> Client {
        self.scope.key = Some(key.to_owned());
        self
    }

    /// The same client, its calls that would change or delete all documents of a collection, or more
    /// than a handful, being refused with `needs_confirmation` (409) and their number
    /// (`details.documents`) before they write anything. So a person can be asked; without this, the
    /// same call is carried out.
    pub fn asking(&self) -> Client {
        let mut client = self.clone();
        client.scope.confirm = true;
        client
    }

    /// The same client, its calls about documents belonging to a transaction.
    pub(crate) fn in_transaction(&self, id: &str) -> (Client, Arc<Open>) {
        let open = Arc::new(Open::new(id));
        let scope = Scope { transaction: Some(open.clone()), ..Scope::default() };
        (Client { inner: self.inner.clone(), scope }, open)
    }

    /// The same client, reading at the moment that `parameter` names.
    pub(crate) fn at_moment(mut self, parameter: &'static str, moment: String) -> Client {
        self.scope.moment = Some((parameter, moment));
        self
    }

    /// Longest time that a call may take with all its retries.
    pub(crate) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// The node that the next call goes to.
    pub fn target(&self) -> String {
        self.current_target().to_string()
    }

    /// The highest log index that an answer to this client or a clone of it has named; 0 before
    /// the first. Another client that reads with [`Session`](crate::ReadLevel::Session) of this number sees what
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
        let body = call.prepare(&self.scope)?;
        let reply = self.send_prepared(&call, &body).await;
        match reply.as_ref().err().and_then(|error| self.learn_clock(error)) {
            // Nothing was changed: to the cluster a new key looked like an old one.
            Some(()) if self.scope.key.is_none() => self.send_prepared(&call, &body).await,
            _ => reply,
        }
    }

    /// Takes over the cluster's clock when it has refused a key as too old.
    fn learn_clock(&self, error: &Error) -> Option<()> {
        let Error::Api { detail, .. } = error else { return None };
        let expired = detail.code == "idempotency_key_expired";
        let cluster = detail.details.as_ref().filter(|_| expired)?.get("now_ms")?.as_i64()?;
        self.inner.clock_behind.store(cluster - now_ms(), Ordering::Relaxed);
        Some(())
    }

    /// A new idempotency key: it tells the node when it was made.
    fn new_key(&self) -> String {
        let now = now_ms() + self.inner.clock_behind.load(Ordering::Relaxed);
        let now = Duration::from_millis(now.max(0) as u64);
        let time = uuid::Timestamp::from_unix(uuid::NoContext, now.as_secs(), now.subsec_nanos());
        uuid::Uuid::new_v7(time).to_string()
    }

    async fn send_prepared(&self, call: &Call, body: &Option<Vec<u8>>) -> Result<Reply> {
        let keyed = call.repeat == Repeat::Keyed;
        let key = keyed.then(|| self.scope.key.clone().unwrap_or_else(|| self.new_key()));
        let attempt = async |target: Url| {
            let request = self.request(&self.inner.http, &target, call, key.as_deref(), body);
            let answer = self.attempt(&target, request, call.tells_health).await?;
            let headers = answer.headers().clone();
            let body = answer.bytes().await;
            let body = body.map_err(|error| Failure::Interrupted(innermost(&error)))?.to_vec();
            Ok(Reply { headers, body })
        };
        let reply = self.repeat(call.repeat, attempt).await;
        if let (true, Some(open), Err(error)) = (call.scoped, &self.scope.transaction, &reply)
            && (error.wants_new_transaction() || matches!(error, Error::Unknown { .. }))
        {
            open.set_broken();
        }
        reply
    }

    /// Sends a call whose answer is a stream of events. It has no body.
    pub(crate) async fn open(&self, call: &Call) -> Result<reqwest::Response> {
        let attempt = async |target: Url| {
            let request = self.request(&self.inner.feeds, &target, call, None, &None);
            let late = |_| Failure::Interrupted("the node did not answer in time".into());
            let attempt = self.attempt(&target, request, false);
            tokio::time::timeout(self.inner.attempt, attempt).await.map_err(late)?
        };
        self.repeat(Repeat::Reads, attempt).await
    }

    /// Makes attempts until one succeeds, another would not help, or the deadline has passed.
    async fn repeat<R, F: Future<Output = std::result::Result<R, Failure>>>(
        &self,
        repeat: Repeat,
        attempt: impl Fn(Url) -> F,
    ) -> Result<R> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut turn = 0;
        // What is said in the end: that a write may have happened, else what a node answered,
        // else why none could be reached.
        let (mut doubt, mut answered) = (None, None);
        // The nodes that took no connection, as long as nothing else has happened.
        let mut unreachable = Some(Vec::new());
        loop {
            let target = self.current_target();
            let left = self.inner.deadline.saturating_sub(started.elapsed());
            let failure = match tokio::time::timeout(left, attempt(target.clone())).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Interrupted("the deadline has passed".into()),
            };
            let mut last = None;
            match (&failure, &mut unreachable) {
                (Failure::Unreachable(_), Some(nodes)) => nodes.push(target.clone()),
                _ => unreachable = None,
            }
            match failure {
                Failure::Unreachable(reason) => {
                    if unreachable.as_ref().is_some_and(|nodes| self.gives_up(nodes)) {
                        return Err(Error::Unreachable { nodes: self.seed_list(), reason });
                    }
                    last = Some(self.unavailable(target.as_str(), reason));
                }
                Failure::Final(error) if says_nothing_of_others(&error) => {
                    return Err(doubt.unwrap_or(error));
                }
                Failure::Final(error) => return Err(error),
                Failure::Refused(error) if error.code().is_some() => answered = Some(error),
                Failure::Refused(error) => last = Some(error),
                Failure::Interrupted(reason) if repeat == Repeat::Reads => {
                    last = Some(self.unavailable(&self.seed_list(), reason));
                }
                Failure::Interrupted(reason) => doubt = Some(Error::Unknown { reason }),
            }
            self.next_seed(&target, &mut turn);
            let again = doubt.is_none() || repeat != Repeat::Counts;
            if !again || started.elapsed() + pause >= self.inner.deadline {
                let error = doubt.or(answered).or(last);
                return Err(error.unwrap_or_else(|| {
                    self.unavailable(&self.seed_list(), "the deadline has passed".into())
                }));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether a call ends after these nodes took no connection.
    fn gives_up(&self, unreachable: &[Url]) -> bool {
        self.inner.end_when_unreachable
            && self.inner.seeds.iter().all(|seed| unreachable.contains(seed))
    }

    fn seed_list(&self) -> String {
        let seeds = self.inner.seeds.iter().map(|seed| seed.as_str().trim_end_matches('/'));
        seeds.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn unavailable(&self, nodes: &str, reason: String) -> Error {
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

    fn request(
        &self,
        http: &reqwest::Client,
        target: &Url,
        call: &Call,
        key: Option<&str>,
        body: &Option<Vec<u8>>,
    ) -> reqwest::RequestBuilder {
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
        let mut request = http.request(call.method.clone(), url).header(CLIENT_HEADER, "driver");
        if call.long {
            request = request.timeout(self.inner.attempt_long());
        }
        if let Some(authorization) = &self.inner.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_HEADER, key);
        }
        if let Some(revision) = call.if_match {
            request = request.header(header::IF_MATCH, format!("\"{revision}\""));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        request
    }

    /// One attempt, up to the headers of a successful answer.
    async fn attempt(
        &self,
        target: &Url,
        request: reqwest::RequestBuilder,
        tells_health: bool,
    ) -> std::result::Result<reqwest::Response, Failure> {
        let answer = request.send().await.map_err(|error| {
            if error.is_connect() && !error.is_timeout() {
                Failure::Unreachable(innermost(&error))
            } else if error.is_connect() {
                Failure::Refused(self.unavailable(target.as_str(), innermost(&error)))
            } else if error.is_builder() {
                Failure::Final(Error::Invalid(innermost(&error)))
            } else {
                Failure::Interrupted(innermost(&error))
            }
        })?;
        self.note_leader(&answer);
        self.note_index(&answer);
        let status = answer.status();
        if status.is_success() || tells_health && status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(|error| Failure::Interrupted(innermost(&error)))?;
        Err(refusal(target, status, &body))
    }

    fn note_leader(&self, answer: &reqwest::Response) {
        if !self.inner.follow_leader {
            return;
        }
        let leader = answer.headers().get(LEADER_HEADER).and_then(|value| value.to_str().ok());
        // Who began over TLS sends no password in the clear, whatever an answer says.
        let secured = self.inner.seeds.iter().any(|seed| seed.scheme() == "https");
        if let Some(url) = leader.and_then(|leader| Url::parse(leader).ok())
            && self.current_target() != url
            && (url.scheme() == "https" || !secured)
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

/// Whether this end of an attempt leaves open what became of one before it, that was
/// interrupted: its key is forgotten, or the call did not get as far as to be compared with it.
fn says_nothing_of_others(error: &Error) -> bool {
    matches!(error.code(), Some("idempotency_key_expired" | TOO_MANY_ATTEMPTS))
        || error.status().is_some_and(|status| matches!(status, 401 | 403 | 500..))
}

/// The pause before something is tried again for the `attempt`-th time, the first being 0. It
/// grows, and differs from that of others who try the same.
pub(crate) fn pause_between(attempt: u32) -> Duration {
    let longest = (PAUSE_MIN * 2_u32.pow(attempt.min(8))).min(PAUSE_MAX);
    let random = uuid::Uuid::now_v7().as_u64_pair().1 as u32;
    longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What an answer that tells an error means for the call.
fn refusal(target: &Url, status: StatusCode, body: &[u8]) -> Failure {
    let detail = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
    let detail = detail.unwrap_or_else(|_| ErrorDetail {
        code: "unexpected_answer".into(),
        message: format!("{target} answered {status}: {}", String::from_utf8_lossy(body)),
        hint: None,
        details: None,
        request_id: String::new(),
    });
    match status {
        // How far it came is known, and no attempt begins it again.
        _ if detail.code == "outcome_unknown" && tells_how_far(&detail) => {
            Failure::Final(Error::Unknown { reason: detail.message })
        }
        _ if detail.code == "outcome_unknown" => Failure::Interrupted(detail.message),
        // To try on would keep the user locked out.
        _ if detail.code == TOO_MANY_ATTEMPTS => {
            Failure::Final(Error::Api { status: status.as_u16(), detail: Box::new(detail) })
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Failure::Refused(Error::Api { status: status.as_u16(), detail: Box::new(detail) })
        }
        _ => Failure::Final(Error::Api { status: status.as_u16(), detail: Box::new(detail) }),
    }
}

/// Whether an error tells how much of a call was carried out.
fn tells_how_far(detail: &ErrorDetail) -> bool {
    detail.details.as_ref().is_some_and(|details| details.get("written").is_some())
}

/// This machine's clock, in milliseconds since 1970.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
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
#[path = "client_tests.rs"]
mod tests;
