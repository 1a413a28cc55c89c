//! Attempts of a call: which node they go to, and whether another one follows.
//!
//! This is the one place that decides what is tried again. A call that cannot have reached the
//! log (no connection, or an answer that says so: `503`, `429`) always is. One that was
//! interrupted is repeated as [`Repeat`] allows: a write of documents, of the catalog or of users
//! carries an idempotency key, the same in all its attempts, so that it happens once. What remains
//! in doubt at the deadline is returned as [`Error::Unknown`].

use super::{Client, Inner, Reply};
use crate::call::{Call, Repeat};
use crate::error::{Error, Result};
use crate::wire::{
    CLIENT_HEADER, ErrorBody, ErrorDetail, IDEMPOTENCY_HEADER, INDEX_HEADER, LEADER_HEADER,
    Positions,
};
use reqwest::{StatusCode, header};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use url::Url;

/// First pause between two attempts; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// The answer to logins after too many wrong passwords.
const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";

impl Inner {
    /// Longest time of an attempt that may take long; the rest of the deadline lets another node
    /// answer.
    fn attempt_long(&self) -> Duration {
        self.attempt.max(self.deadline * 2 / 3)
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
    /// Another attempt would get the same answer.
    Final(Error),
}

impl Client {
    /// Sends a call, again and elsewhere where that is safe, until the deadline.
    pub(crate) async fn send(&self, mut call: Call) -> Result<Reply> {
        let body = call.prepare(&self.scope)?;
        let reply = self.send_prepared(&call, &body).await;
        match reply.as_ref().err().and_then(|error| self.learn_clock(error)) {
            // Nothing was changed: the cluster took the new key for an old one.
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

    /// A new idempotency key, which contains the time of its creation.
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
        // The error in the end: that a write may have happened, else what a node answered, else why
        // none could be reached.
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
                Failure::Final(error) if leaves_doubt(&error) => {
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
            url.query_pairs_mut().extend_pairs(level.parameters(self.seen()));
        }
        let mut request = http.request(call.method.clone(), url).header(CLIENT_HEADER, "driver");
        // Some calls answer in text to those that do not ask for JSON.
        request = request.header(header::ACCEPT, "application/json");
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
        // A client that began over TLS sends no password in the clear, whatever an answer says.
        let secured = self.inner.seeds.iter().any(|seed| seed.scheme() == "https");
        if let Some(url) = leader.and_then(|leader| Url::parse(leader).ok())
            && self.current_target() != url
            && (url.scheme() == "https" || !secured)
        {
            self.set_target(url);
        }
    }

    fn note_index(&self, answer: &reqwest::Response) {
        let seen = answer.headers().get(INDEX_HEADER).and_then(|value| value.to_str().ok());
        if let Some(seen) = seen.and_then(|seen| seen.parse::<Positions>().ok()) {
            seen.iter().for_each(|position| self.has_seen(position));
        }
    }
}

/// Whether the outcome of an earlier, interrupted attempt stays open after this error: its key is
/// forgotten, or the call was refused before it was compared with it.
fn leaves_doubt(error: &Error) -> bool {
    matches!(error.code(), Some("idempotency_key_expired" | TOO_MANY_ATTEMPTS))
        || error.status().is_some_and(|status| matches!(status, 401 | 403 | 500..))
}

/// The pause before the `attempt`-th repetition, the first being 0. It grows, and is randomised so
/// that clients do not repeat in step.
pub(crate) fn pause_between(attempt: u32) -> Duration {
    let longest = (PAUSE_MIN * 2_u32.pow(attempt.min(8))).min(PAUSE_MAX);
    let random = uuid::Uuid::now_v7().as_u64_pair().1 as u32;
    longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What an error answer means for the call.
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
        // Its progress is known, and no attempt begins it again.
        _ if detail.code == "outcome_unknown" && reports_progress(&detail) => {
            Failure::Final(Error::Unknown { reason: detail.message })
        }
        _ if detail.code == "outcome_unknown" => Failure::Interrupted(detail.message),
        // Further attempts would keep the user locked out.
        _ if detail.code == TOO_MANY_ATTEMPTS => {
            Failure::Final(Error::Api { status: status.as_u16(), detail: Box::new(detail) })
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Failure::Refused(Error::Api { status: status.as_u16(), detail: Box::new(detail) })
        }
        _ => Failure::Final(Error::Api { status: status.as_u16(), detail: Box::new(detail) }),
    }
}

/// Whether an error reports how much of a call was carried out.
fn reports_progress(detail: &ErrorDetail) -> bool {
    detail.details.as_ref().is_some_and(|details| details.get("written").is_some())
}

/// This machine's clock, in milliseconds since 1970.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

/// The cause at the end of the chain, more specific than `error sending request`.
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
    fn pauses_grow_and_differ() {
        for attempt in [0, 3, 40] {
            let longest = (PAUSE_MIN * 2_u32.pow(attempt.min(8))).min(PAUSE_MAX);
            let pause = pause_between(attempt);
            assert!(pause >= longest / 2 && pause <= longest, "{attempt}: {pause:?}");
        }
        assert_ne!(pause_between(9), pause_between(9));
    }
}
