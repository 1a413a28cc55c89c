//! Aggregation pipelines whose result goes to the caller.

use super::cursor::{cursor_text, parse_cursor};
use super::explain::{Explain, explained};
use super::find::{Documents, Page, parse_hint};
use super::read::{View, reading};
use super::{Response, Session};
use crate::config::{PAGE_BYTES, PAGE_DEFAULT, PAGE_READ_MAX};
use crate::engine::Namespace;
use crate::engine::catalog::Collection;
use crate::engine::query::aggregate::{Output, Pipeline as Stages, Pushdown};
use crate::engine::query::context::{At, Context};
use crate::engine::query::exec::{FoundDocument, Stream};
use crate::engine::query::filter::Filter;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::position::{Position, position};
use crate::engine::query::source::{Collections, ScanRequest, scan, scan_after};
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use std::cell::{Cell, RefCell};
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// A pipeline that was checked.
#[derive(Debug, Clone)]
pub struct Pipeline {
    stages: Stages,
    hint: Option<Hint>,
    explain: Option<Explain>,
    /// What a cursor is bound to: the stages.
    fingerprint: u64,
}

/// How much of a result one page holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Documents at most; the default of a query without it.
    pub size: Option<u64>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
}

impl Pipeline {
    /// Checks a pipeline.
    ///
    /// # Errors
    /// `invalid_query` naming the stage and what is wrong with it.
    pub fn parse(
        stages: &Value,
        hint: Option<&Value>,
        explain: Option<Explain>,
    ) -> Result<Pipeline> {
        let fingerprint = xxh3_64(stages.to_json().as_bytes());
        let stages = Stages::parse(stages, At::root("pipeline"))?;
        Ok(Pipeline { stages, hint: parse_hint(hint)?, explain, fingerprint })
    }

    /// The same, with its plan instead of its result.
    pub fn explained(self, explain: Explain) -> Pipeline {
        Pipeline { explain: Some(explain), ..self }
    }

    /// Where its result is written; none when it goes to the caller.
    pub fn output(&self) -> Option<&Output> {
        self.stages.output().filter(|_| self.explain.is_none())
    }

    /// Whether its result goes to the caller, documents and not their plan.
    pub fn is_read(&self) -> bool {
        self.explain.is_none() && self.stages.output().is_none()
    }

    /// Carries the pipeline out; `each` gets every document of the result. Returns the plan when
    /// it was asked for.
    pub(super) fn run(
        mut self,
        read: &View<'_>,
        database: &str,
        collection: &Collection,
        ctx: &Context<'_>,
        mut each: impl FnMut(Value) -> Result<()>,
    ) -> Result<Option<serde_json::Value>> {
        let started = Instant::now();
        let source = source(read, database);
        let pushdown = self.stages.pushdown();
        let filter = pushdown.filter.unwrap_or(Filter::And(Vec::new()));
        let wanted = QuerySpec {
            sort: pushdown.sort.as_ref(),
            limit: pushdown.limit.map(|limit| limit.saturating_add(pushdown.skip)),
            ..QuerySpec::all(&filter)
        };
        let (fields, hint) = (self.stages.fields(), self.hint.as_ref());
        let request = ScanRequest { wanted, fields, hint };
        let explain = self.explain;
        scan(read, collection, request, ctx, |found, planned| {
            let skip = usize::try_from(pushdown.skip).unwrap_or(usize::MAX);
            let limit =
                pushdown.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
            let documents = found.map(|found| found.map(|found| found.fields));
            let input = Box::new(documents.skip(skip).take(limit));
            let mut returned = 0;
            if explain != Some(Explain::Plan) {
                for document in self.stages.run(input, &source, ctx) {
                    let document = document?;
                    returned += 1;
                    if explain.is_none() {
                        each(document)?;
                    }
                }
            }
            Ok(explain
                .map(|explain| explained(&filter, planned, collection, explain, returned, started)))
        })
    }
}

/// The other collections that a pipeline may read.
fn source<'v>(read: &'v View<'_>, database: &'v str) -> Collections<'v, View<'v>> {
    match read {
        View::Past(_) => Collections::none(read, database),
        _ => Collections::new(read, database),
    }
}

/// Carries out a pipeline whose result goes to the caller, all of it in one page.
///
/// # Errors
/// Those of its stages and of reading.
pub async fn aggregate(
    session: &Session,
    namespace: &Namespace,
    pipeline: Pipeline,
) -> Result<Response<Page>> {
    let database = namespace.database.clone();
    let reading = reading(session, namespace, move |read, collection, ctx| {
        let mut documents = Documents::default();
        let explained = pipeline.run(read, &database, collection, ctx, |document| {
            let text = document.to_json();
            ctx.charge(text.len(), "the result")?;
            documents.push(text.as_bytes());
            Ok(())
        })?;
        Ok(Page { documents, cursor: None, explained })
    });
    reading.await.map(|(page, index)| Response::at(page, index))
}

/// One page of the result of a pipeline. A pipeline of stages that work on each document by itself
/// goes on after the document that the page before ended with; one with a stage that needs all
/// documents, such as `$group`, gives all in one page.
///
/// # Errors
/// Those of its stages and of reading; `invalid_parameter` for the cursor of another one.
pub async fn aggregate_page(
    session: &Session,
    namespace: &Namespace,
    pipeline: Pipeline,
    page: PageRequest,
) -> Result<Response<Page>> {
    let fingerprint = pipeline.fingerprint;
    let begin = page.cursor.map(|text| parse_cursor(&text, fingerprint)).transpose()?;
    // What is left of the stages once their beginning is a query.
    let mut stages = pipeline.stages.clone();
    let down = stages.pushdown();
    if !stages.is_per_document() || pipeline.explain.is_some() {
        if begin.is_some() {
            return Err(Error::new(Kind::InvalidParameter, "this pipeline gives all in one page")
                .hint("leave the cursor out"));
        }
        return aggregate(session, namespace, pipeline).await;
    }
    let hint = pipeline.hint;
    let (after, left) = match begin {
        None => (None, down.limit),
        Some((after, left)) => (Some(after), left),
    };
    let size = page.size.unwrap_or(PAGE_DEFAULT.min(session.config().page_max as u64));
    let wanted = WantedPage { stages, hint, down, fingerprint, size, after, left };
    let database = namespace.database.clone();
    let reading = reading(session, namespace, move |read, collection, ctx| {
        wanted.read(read, &database, collection, ctx)
    });
    reading.await.map(|(page, index)| Response::at(page, index))
}

/// A page that was checked.
struct WantedPage {
    stages: Stages,
    hint: Option<Hint>,
    down: Pushdown,
    fingerprint: u64,
    /// Documents at most.
    size: u64,
    /// The position that the page before ended with.
    after: Option<Position>,
    /// Documents of the collection that this page and those after it take at most.
    left: Option<u64>,
}

impl WantedPage {
    fn read(
        &self,
        read: &View<'_>,
        database: &str,
        collection: &Collection,
        ctx: &Context<'_>,
    ) -> Result<Page> {
        let everything = Filter::And(Vec::new());
        let (skip, looked_at_max) = (self.skip(), self.looked_at_max());
        let wanted = QuerySpec {
            sort: self.down.sort.as_ref(),
            ordered: true,
            limit: Some(skip.saturating_add(looked_at_max).saturating_add(1)),
            ..QuerySpec::all(self.down.filter.as_ref().unwrap_or(&everything))
        };
        let request =
            ScanRequest { wanted, fields: self.stages.fields(), hint: self.hint.as_ref() };
        scan_after(read, collection, request, self.after.as_ref(), ctx, |found, _| {
            self.fill(found, read, database, ctx)
        })
    }

    /// How many documents the page passes first.
    fn skip(&self) -> u64 {
        if self.after.is_some() { 0 } else { self.down.skip }
    }

    /// How many documents of the collection the page takes at most.
    fn looked_at_max(&self) -> u64 {
        let most = match self.stages.is_one_to_one() {
            true => self.size,
            false => self.size.max(PAGE_READ_MAX),
        };
        self.left.map_or(most, |left| left.min(most))
    }

    /// Makes the page of what was found. A document that is begun with is ended with, so the page
    /// may have more documents than its size when one becomes many.
    fn fill(
        &self,
        found: Stream<'_, FoundDocument<'_>>,
        read: &View<'_>,
        database: &str,
        ctx: &Context<'_>,
    ) -> Result<Page> {
        let (taken, full, more) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let last = RefCell::new(None);
        let source = source(read, database);
        let mut found = found.skip(usize::try_from(self.skip()).unwrap_or(usize::MAX));
        let input = std::iter::from_fn(|| {
            let next = found.next()?;
            if full.get() || taken.get() == self.looked_at_max() {
                more.set(true);
                return None;
            }
            taken.set(taken.get() + 1);
            Some(next.map(|found| {
                last.replace(position(&found, self.down.sort.as_ref()));
                found.fields
            }))
        });
        let mut documents = Documents::default();
        for document in self.stages.run(Box::new(input.fuse()), &source, ctx) {
            let text = document?.to_json();
            ctx.charge(text.len(), "the result")?;
            documents.push(text.as_bytes());
            full.set(documents.len() as u64 >= self.size || documents.bytes() >= PAGE_BYTES);
        }
        let left = self.left.map(|left| left.saturating_sub(taken.get()));
        let cursor = match (more.get() && left != Some(0), last.into_inner()) {
            (true, Some(after)) => cursor_text(self.fingerprint, after, left),
            _ => None,
        };
        Ok(Page { documents, cursor, explained: None })
    }
}
