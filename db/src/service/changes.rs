//! Changes of documents, as they happen.
//!
//! A feed keeps no more than the changes that its reader takes: it reads the replicated history
//! after its token when the reader takes more. So a slow reader costs no memory, and a feed goes
//! on at another node after the token that was returned last.

use super::bounds::{Interrupt, pooled};
use super::{Response, Session};
use crate::auth::Permission;
use crate::engine::Namespace;
use crate::engine::catalog;
use crate::engine::changes::{FeedChange, Interest, ResumeToken, changes_behind};
use crate::engine::query::context::{At, Context};
use crate::engine::query::filter::Filter;
use crate::engine::system;
use crate::engine::value::Value;
use crate::error::database_not_found;
use crate::error::{Error, Kind, Result};
use crate::raft::{Group, ReadLevel};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Longest silence of a feed.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Shortest time between two looks at the history: many feeds must not wake for every commit.
const LOOK_PAUSE: Duration = Duration::from_millis(15);
/// Bytes of changes that a feed takes at once, and a row more.
const FEED_BYTES: usize = 1 << 20;

/// A request for a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// The database.
    pub database: String,
    /// The collection; none: all of the database.
    pub collection: Option<String>,
    /// What a document must match, before or after its change.
    pub filter: Option<Value>,
    /// The token after which the feed begins; none: now.
    pub after: Option<ResumeToken>,
}

/// A feed that a reader takes changes from.
pub struct Feed {
    session: Session,
    group: Arc<Group>,
    interest: Arc<Interest>,
    token: ResumeToken,
    /// Whether the reader has taken the first step.
    begun: bool,
    /// When the last progress of the feed was sent to the reader.
    progress_at: Instant,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

/// One step of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedStep {
    /// The changes.
    pub changes: Vec<FeedChange>,
    /// How far the feed is after them, when its reader should know: changes of no interest move
    /// it too.
    pub progress: Option<ResumeToken>,
}

/// Begins a feed.
///
/// # Errors
/// `database_not_found`, `forbidden`, `invalid_query`, `overloaded`, and those of waiting for the
/// state of the token.
pub async fn watch(session: &Session, request: Watch) -> Result<Response<Feed>> {
    let Watch { database, collection, filter, after } = request;
    check_readable(session, &database, collection.as_deref())?;
    let filter = filter.map(|filter| Filter::parse(&filter, At::root("filter"))).transpose()?;
    let group = session.group()?;
    let token = match after {
        None => ResumeToken::behind(group.visible_index()),
        Some(token) => {
            group.wait_for_level(ReadLevel::Session(token.index)).await?;
            token
        }
    };
    if catalog::database(&group.read()?, &database)?.is_none() {
        return Err(database_not_found(&database));
    }
    let permit = session.service().feeds.clone().try_acquire_owned().map_err(|_| {
        Error::new(Kind::Overloaded, "too many change feeds are open on this node")
            .hint("use another node, or end some")
    })?;
    let index = group.visible_index();
    let feed = Feed {
        session: session.clone(),
        group,
        interest: Arc::new(Interest { database, collection, filter }),
        token,
        begun: false,
        progress_at: Instant::now(),
        ended: false,
        _permit: permit,
    };
    Ok(Response::at(feed, index))
}

fn check_readable(session: &Session, database: &str, collection: Option<&str>) -> Result<()> {
    match collection {
        Some(collection) => session.check_readable(&Namespace {
            database: database.to_owned(),
            collection: collection.to_owned(),
        }),
        None => {
            session.authorize(Permission::Read, database)?;
            match database == system::DATABASE {
                true => Err(super::session::secret(database, "*")),
                false => Ok(()),
            }
        }
    }
}

impl Feed {
    /// How far it is: a feed that begins after this token goes on where this one is.
    pub fn token(&self) -> ResumeToken {
        self.token
    }

    /// The next step: the first one at once, each later one when something has changed, or after
    /// ten seconds. None when the feed has ended because this node has stopped serving; its reader goes
    /// on at another node, or here later.
    ///
    /// # Errors
    /// `too_old`, `user_changed`, `time_limit`; with the first error the feed has ended.
    pub async fn next(&mut self) -> Result<Option<FeedStep>> {
        if self.ended {
            return Ok(None);
        }
        if !self.begun {
            self.begun = true;
            let changes = self.changes().await.inspect_err(|_| self.ended = true)?;
            return Ok(Some(FeedStep { changes, progress: Some(self.token) }));
        }
        let step = self.later_step().await;
        let service = self.session.service();
        if service.cluster.is_ending() || service.check_serving().is_err() {
            self.ended = true;
            return Ok(None);
        }
        self.ended = step.is_err();
        step.map(Some)
    }

    async fn later_step(&mut self) -> Result<FeedStep> {
        loop {
            let waiting = self.group.wait_beyond(self.token.index);
            // Time without a change is no error.
            if let Ok(gone) = tokio::time::timeout(SILENCE_MAX, waiting).await {
                gone?;
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            let changes = self.changes().await?;
            if !changes.is_empty() {
                self.session.confirm_rights().await?;
            }
            let mut progress = None;
            if self.progress_at.elapsed() >= SILENCE_MAX {
                self.session.confirm_rights().await?;
                self.progress_at = Instant::now();
                progress = Some(self.token);
            }
            if !changes.is_empty() || progress.is_some() {
                return Ok(FeedStep { changes, progress });
            }
        }
    }

    /// The next changes, perhaps none; moves the token past them.
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
        let (changes, token) = read.await?;
        self.token = token;
        Ok(changes)
    }
}
