//! What a node does for its callers, whatever protocol they speak.
//!
//! A door authenticates its caller, makes a [`Session`], turns what came into a typed request,
//! calls one function of this layer, and turns the typed [`Response`] into what its protocol
//! says. Nothing here knows of a protocol. Every operation checks by itself what its caller may
//! do, so a door cannot forget it.

pub mod audit;
pub mod batch;
pub mod bounds;
pub mod bulk;
pub mod catalog;
pub mod changes;
pub mod cluster;
pub mod confirm;
pub mod count;
mod cursor;
pub mod documents;
pub mod explain;
pub mod find;
pub mod groups;
pub mod indexes;
pub mod metrics;
pub mod node_health;
pub mod output;
pub mod overview;
#[cfg(test)]
mod overview_tests;
pub mod permits;
pub mod pipelines;
pub mod place;
pub mod precondition;
pub mod processes;
pub mod read;
pub mod schema;
pub mod session;
pub mod sessions;
pub mod shards;
pub mod statements;
pub mod steps;
pub mod tasks;
pub mod tokens;
pub mod transactions;
pub mod users;
pub mod versions;
pub mod writes;

pub use session::Session;
pub use steps::{Step, Steps};

use crate::auth::admitted::Admitted;
use crate::auth::password::Passwords;
use crate::cluster::Cluster;
use crate::config::{Config, Limits};
use crate::error::Result;
use crate::raft::GroupId;
use metrics::CallMetrics;
use permits::RunningCalls;
use std::sync::Arc;
use tokio::sync::Semaphore;
use transactions::Transactions;

/// What all sessions of a node share.
pub struct Service {
    /// This node as a member of its cluster.
    pub cluster: Arc<Cluster>,
    /// The callers that were authenticated a moment ago.
    pub admitted: Admitted,
    /// Verifies passwords.
    pub passwords: Passwords,
    /// Permits for longer queries: each may keep as much memory as one query may.
    pub queries: Arc<Semaphore>,
    /// Permits for threads that help queries: there are as many as cores beyond the first.
    pub helpers: Arc<Semaphore>,
    /// Permits for change feeds.
    pub feeds: Arc<Semaphore>,
    /// The open transactions.
    pub transactions: Arc<Transactions>,
    /// The running calls of each user.
    pub running: RunningCalls,
    /// The calls that were answered.
    pub calls: CallMetrics,
}

impl Service {
    /// The service of a node; it may be made before the node is a member.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(cluster: Arc<Cluster>) -> Result<Arc<Service>> {
        let config = &cluster.config;
        let transactions = Arc::new(Transactions::new(config));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        tokio::spawn(Transactions::sweep(Arc::downgrade(&transactions)));
        Ok(Arc::new(Service {
            admitted: Admitted::new()?,
            passwords: Passwords::new()?,
            queries: Arc::new(Semaphore::new(config.queries_max)),
            helpers: Arc::new(Semaphore::new(cores - 1)),
            feeds: Arc::new(Semaphore::new(config.feeds_max)),
            calls: CallMetrics::new()?,
            running: RunningCalls::new(config.calls_per_user_max),
            transactions,
            cluster,
        }))
    }

    /// The settings of this node.
    pub fn config(&self) -> &Config {
        &self.cluster.config
    }

    /// Bounds for what a client may store.
    pub fn limits(&self) -> Limits {
        self.cluster.config.limits()
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<T> {
    /// The result itself.
    pub value: T,
    /// The log index that it reflects; none when it reflects no state of the log.
    pub index: Option<u64>,
    /// Whether it was given before, to an earlier request with the same idempotency key.
    pub repeated: bool,
    /// Whether a document that belongs to it is not kept any more.
    pub forgotten: bool,
    /// Groups that have not heard of it yet: they had no quorum.
    pub pending: Vec<GroupId>,
}

impl<T> Response<T> {
    /// A result that reflects no state of the log.
    pub fn new(value: T) -> Self {
        Response { value, index: None, repeated: false, forgotten: false, pending: Vec::new() }
    }

    /// A result that reflects the state at a log index.
    pub fn at(value: T, index: u64) -> Self {
        Response { index: Some(index), ..Response::new(value) }
    }

    /// The same with another form of the result.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Response<U> {
        let Response { value, index, repeated, forgotten, pending } = self;
        Response { value: form(value), index, repeated, forgotten, pending }
    }
}
