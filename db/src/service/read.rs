//! What a request reads: the present state, a collection as it was, or what a transaction sees.

use super::Session;
use super::bounds::{Interrupt, query_permit, within};
use super::transactions::OpenTransaction;
use crate::engine::Namespace;
use crate::engine::catalog::Collection;
use crate::engine::query::context::Context;
use crate::engine::query::source::open;
use crate::engine::versions::{Moment, Past};
use crate::error::{Error, Kind, Result};
use crate::raft::clock::wall_ms;
use crate::storage::{
    Entries, Overlay, Read, ReadTxn, Result as StorageResult, SealedEntries, Table,
};
use std::sync::Arc;

/// A state that is read.
pub enum View<'v> {
    /// The present one.
    Now(ReadTxn<'v>),
    /// One collection as it was.
    Past(Past<'v, ReadTxn<'v>>),
    /// What a transaction sees.
    Transaction(&'v Overlay),
}

macro_rules! each_view {
    ($view:ident, $read:ident => $read_it:expr) => {
        match $view {
            View::Now($read) => $read_it,
            View::Past($read) => $read_it,
            View::Transaction($read) => $read_it,
        }
    };
}

impl Read for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> StorageResult<Option<&[u8]>> {
        each_view!(self, read => read.get(table, key))
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> StorageResult<Entries<'t>> {
        each_view!(self, read => read.range(table, start, end))
    }

    fn range_back<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> StorageResult<Entries<'t>> {
        each_view!(self, read => read.range_back(table, start, end))
    }

    fn sealed_range<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> StorageResult<Option<SealedEntries<'t>>> {
        each_view!(self, read => read.sealed_range(table, start, end))
    }
}

/// Which state a request reads.
pub enum State {
    /// The present one.
    Now,
    /// One collection as it was.
    Past(Moment),
    /// What a transaction sees.
    Transaction(Arc<OpenTransaction>),
}

impl State {
    /// The state that a session asks for.
    ///
    /// # Errors
    /// `transaction_lost`; `invalid_parameter` for a moment that has not come.
    pub fn of(session: &Session) -> Result<State> {
        match (session.open_transaction()?, session.moment) {
            (None, None) => Ok(State::Now),
            (None, Some(moment)) => has_come(session, moment).map(|()| State::Past(moment)),
            (Some(open), None) => Ok(State::Transaction(open)),
            (Some(_), Some(_)) => Err(Error::new(
                Kind::InvalidParameter,
                "a transaction reads the state of its beginning, not that of another moment",
            )
            .hint("leave out either the transaction or the moment")),
        }
    }

    /// Whether it is the present one.
    pub fn is_now(&self) -> bool {
        matches!(self, State::Now)
    }
}

/// Refuses a moment that has not come yet.
fn has_come(session: &Session, moment: Moment) -> Result<()> {
    let group = session.group()?;
    let early = |what: String| {
        Err(Error::new(Kind::InvalidParameter, format!("{what} has not come yet"))
            .hint("read the state of an earlier moment, or the present one"))
    };
    match moment {
        Moment::Index(index) if index > group.visible_index() => {
            early(format!("log index {index}"))
        }
        // The time that this node knows of the log is a moment old.
        Moment::Time(time_ms) if time_ms > group.time_ms().max(wall_ms()) => {
            early(format!("the time {time_ms} ms"))
        }
        _ => Ok(()),
    }
}

/// Hands a collection, and the view to read it with, to `work`, within the bounds of a query and
/// on a thread for blocking work. Returns the log index that was read too.
///
/// # Errors
/// `forbidden`, `overloaded`, `time_limit`, `query_too_large`; those of opening the collection, and
/// of `work`.
pub async fn reading<T: Send + 'static>(
    session: &Session,
    namespace: &Namespace,
    work: impl FnOnce(&View<'_>, &Collection, &Context<'_>) -> Result<T> + Send + 'static,
) -> Result<(T, u64)> {
    session.check_readable(namespace)?;
    let Namespace { database, collection } = namespace.clone();
    let state = State::of(session)?;
    let memory = session.config().query_memory_mb << 20;
    let turn = match &state {
        State::Transaction(open) => open.turn().await,
        _ => None,
    };
    let permit = query_permit(session).await?;
    let helper = session.service().helpers.clone().try_acquire_owned().ok();
    let helpers = usize::from(helper.is_some());
    let group = session.group()?;
    let (interrupt, _waiting) = Interrupt::new(session);
    within(interrupt.limit(), (permit, helper, turn), move || {
        let check = || interrupt.check();
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let ctx =
            Context::new(group.time_ms() as i64, memory, &check).seeded(seed).helped_by(helpers);
        match state {
            State::Now => {
                let (read, index) = group.read_with_index()?;
                let view = View::Now(read);
                let collection = open(&view, &database, &collection)?;
                work(&view, &collection, &ctx).map(|done| (done, index))
            }
            State::Past(moment) => {
                let (read, index) = group.read_with_index()?;
                let collection = open(&read, &database, &collection)?;
                let (past, collection) = Past::open(&read, &collection, moment)?;
                work(&View::Past(past), &collection, &ctx).map(|done| (done, index))
            }
            State::Transaction(transaction) => transaction.with(|transaction| {
                let view = View::Transaction(transaction.view());
                let collection = open(&view, &database, &collection)?;
                work(&view, &collection, &ctx).map(|done| (done, transaction.index()))
            }),
        }
    })
    .await
}
