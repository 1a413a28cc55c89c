//! The connection to a cluster: its settings, the known leader, and what the calls of one handle
//! have in common.

mod builder;
mod retry;

pub use builder::ClientBuilder;
pub(crate) use retry::pause_between;

use crate::call::{OpenTransaction, Scope};
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::wire::{FORGOTTEN_HEADER, Position, Positions};
use parking_lot::Mutex;
use reqwest::header;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
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
    /// The latest positions in answers so far.
    seen: Mutex<Positions>,
    /// Milliseconds that this machine's clock is behind the cluster's, when that matters.
    clock_behind: AtomicI64,
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

    /// Whether it repeats an earlier answer whose document is no longer kept.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.headers.contains_key(FORGOTTEN_HEADER)
    }

    /// The revision in the `ETag`.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.headers.get(header::ETAG)?.to_str().ok()?.trim_matches('"').parse().ok()
    }
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

    /// The same client with this idempotency key for its next write, instead of one that the client
    /// generates for each. With it a write can be repeated even by another process: it is carried
    /// out once, and each call with the same key gets the same answer.
    ///
    /// Inside a transaction it has no effect, since a commit happens once anyway.
    ///
    /// A key is for one write: another one with it is refused as `idempotency_key_reused` (422).
    /// It is 1 to 200 visible ASCII characters, and remembered for minutes
    /// (`IdempotencyMinutes` of the nodes).
    pub fn with_idempotency_key(mut self, key: &str) -> Client {
        self.scope.key = Some(key.to_owned());
        self
    }

    /// The same client, whose calls are refused with `needs_confirmation` (409) and the number of
    /// documents (`details.documents`) before they write anything, if they would change or delete
    /// all documents of a collection, or more than a handful. So a person can be asked; without
    /// this, the same call is carried out.
    pub fn with_confirmation(&self) -> Client {
        let mut client = self.clone();
        client.scope.confirm = true;
        client
    }

    /// The same client, which gets documents in canonical Extended JSON: every number says its type,
    /// as `{"$numberInt": "5"}` does. Without this they come in relaxed form, in which a 64-bit
    /// integer cannot be distinguished from one of 32 bits that has the same value.
    pub fn with_canonical_json(&self) -> Client {
        let mut client = self.clone();
        client.scope.canonical = true;
        client
    }

    /// The same client, its calls about documents belonging to a transaction.
    pub(crate) fn in_transaction(&self, id: &str) -> (Client, Arc<OpenTransaction>) {
        let open = Arc::new(OpenTransaction::new(id));
        let canonical = self.scope.canonical;
        let scope = Scope { transaction: Some(open.clone()), canonical, ..Scope::default() };
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

    /// The highest log index of group 0 in an answer to this client or a clone of it; 0 before the
    /// first. Another client that reads with [`Session`](crate::ReadLevel::Session) of this number
    /// sees what this one has written there; [`Client::seen`] has all groups.
    pub fn last_index(&self) -> u64 {
        self.inner.seen.lock().index(0)
    }

    /// The latest position in each group that an answer to this client or a clone of it named. A
    /// read with [`Session`](crate::ReadLevel::Session) sees at least these.
    pub fn seen(&self) -> Positions {
        self.inner.seen.lock().clone()
    }

    /// Lets reads with [`Session`](crate::ReadLevel::Session) see at least this position, which
    /// another client has [seen](Client::seen).
    pub fn has_seen(&self, position: Position) {
        self.inner.seen.lock().advance(position);
    }

    fn current_target(&self) -> Url {
        self.inner.target.lock().clone()
    }

    fn set_target(&self, url: Url) {
        *self.inner.target.lock() = url;
    }
}

#[cfg(test)]
mod tests;
