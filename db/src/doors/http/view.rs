//! What a call reads: the state now, a collection as it was, or what a transaction sees.

use super::call::Call;
use super::document::readable_place;
use super::query::{Watch, permit, within};
use super::transaction::Open;
use crate::engine::catalog::Collection;
use crate::engine::query::context::Context;
use crate::engine::query::source::open;
use crate::engine::value::parse_date;
use crate::engine::version::{Moment, Past};
use crate::error::{Error, Kind, Result};
use crate::raft::clock::wall_ms;
use crate::storage::{Entries, Overlay, Read, ReadTxn, Table, env};
use std::sync::Arc;

/// What a call reads.
pub enum View<'v> {
    /// The state now.
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
    fn get(&self, table: Table, key: &[u8]) -> env::Result<Option<&[u8]>> {
        each_view!(self, read => read.get(table, key))
    }

    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> env::Result<Entries<'t>> {
        each_view!(self, read => read.range(table, start, end))
    }

    fn range_back<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> env::Result<Entries<'t>> {
        each_view!(self, read => read.range_back(table, start, end))
    }
}

/// Which state a call wants to read.
pub enum Source {
    /// The state now.
    Now,
    /// One collection as it was.
    Past(Moment),
    /// What a transaction sees.
    Transaction(Arc<Open>),
}

impl Source {
    /// Which state a call names: `tx=`, `at=`, `asOf=`, or none of them.
    ///
    /// # Errors
    /// `transaction_lost`; `invalid_parameter` for a moment that is none or has not come.
    pub fn of(call: &Call) -> Result<Source> {
        let transaction = call.transaction()?;
        let moment = moment(call)?;
        match (transaction, moment) {
            (None, None) => Ok(Source::Now),
            (None, Some(moment)) => Ok(Source::Past(moment)),
            (Some(open), None) => Ok(Source::Transaction(open)),
            (Some(_), Some(_)) => Err(Error::new(
                Kind::InvalidParameter,
                "a transaction reads the state of its beginning, not that of at or asOf",
            )
            .hint("leave out tx, or at and asOf")),
        }
    }
}

/// The log index that a call wants to read the state of.
///
/// # Errors
/// `invalid_parameter` when it is none.
pub(super) fn index_asked(call: &Call) -> Result<Option<u64>> {
    let Some(text) = call.parameter(&["at"]) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| wrong("at", text, "use the log index of an earlier answer"))
}

fn wrong(name: &str, text: &str, hint: &str) -> Error {
    Error::new(Kind::InvalidParameter, format!("{name}={text} cannot be read")).hint(hint)
}

/// The moment in the past that a call wants to read.
fn moment(call: &Call) -> Result<Option<Moment>> {
    match (index_asked(call)?, call.parameter(&["asOf", "as_of"])) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Error::new(Kind::InvalidParameter, "at and asOf are both given").hint("give one"))
        }
        (Some(index), None) if index <= call.group()?.visible_index() => {
            Ok(Some(Moment::Index(index)))
        }
        (Some(index), None) => {
            Err(wrong("at", &index.to_string(), "that log index has not been reached yet"))
        }
        (None, Some(text)) => {
            let time_ms = text
                .parse()
                .ok()
                .or_else(|| parse_date(text).and_then(|time_ms| u64::try_from(time_ms).ok()));
            // The time that this node knows of the log is a moment old.
            let now_ms = call.group()?.time_ms().max(wall_ms());
            match time_ms {
                Some(time_ms) if time_ms <= now_ms => Ok(Some(Moment::Time(time_ms))),
                Some(_) => Err(wrong("asOf", text, "that time has not come yet")),
                None => Err(wrong("asOf", text, "use a time such as 2026-01-31T12:00:00Z")),
            }
        }
    }
}

/// Hands the collection that a call names, and the view to read it with, to `work`, on the pool
/// for longer reads and within the bounds of a query. Gives the log index that was read too.
///
/// # Errors
/// `time_limit`, `query_too_large`; those of opening the collection, and of `work`.
pub async fn reading<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&View<'_>, &Collection, &Context<'_>) -> Result<T> + Send + 'static,
) -> Result<(T, u64)> {
    let (database, collection) = readable_place(call)?;
    let (database, collection) = (database.to_owned(), collection.to_owned());
    let source = Source::of(call)?;
    let memory = call.cluster().config.query_memory_mb << 20;
    let turn = match &source {
        Source::Transaction(open) => open.turn().await,
        _ => None,
    };
    let permit = permit(call).await?;
    let group = call.group()?.clone();
    let (watch, _caller) = Watch::new(call);
    within(watch.limit(), (permit, turn), move || {
        let interrupt = || watch.check();
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let ctx = Context::new(group.time_ms() as i64, memory, &interrupt).seeded(seed);
        match source {
            Source::Now => {
                let (read, index) = group.read_with_index()?;
                let view = View::Now(read);
                let collection = open(&view, &database, &collection)?;
                work(&view, &collection, &ctx).map(|done| (done, index))
            }
            Source::Past(moment) => {
                let (read, index) = group.read_with_index()?;
                let collection = open(&read, &database, &collection)?;
                let (past, collection) = Past::open(&read, &collection, moment)?;
                work(&View::Past(past), &collection, &ctx).map(|done| (done, index))
            }
            Source::Transaction(open_one) => open_one.with(|transaction| {
                let view = View::Transaction(transaction.view());
                let collection = open(&view, &database, &collection)?;
                work(&view, &collection, &ctx).map(|done| (done, transaction.index()))
            }),
        }
    })
    .await
}
