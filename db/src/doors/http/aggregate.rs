//! Pipelines over HTTP.

use super::call::Call;
use super::document::readable_place;
use super::query::{Page, explained, value};
use super::reply::Reply;
use super::view::{View, reading};
use crate::engine::catalog::Collection;
use crate::engine::query::aggregate::{Output, Pipeline};
use crate::engine::query::context::{At, Context};
use crate::engine::query::filter::Filter;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::source::{Collections, ScanRequest, scan};
use crate::engine::value::Value;
use crate::error::Result;
use jettra_driver::wire::{AggregateBody, ExplainLevel};
use std::rc::Rc;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// A pipeline that was checked.
pub struct Aggregate {
    pub(super) pipeline: Pipeline,
    pub(super) hint: Option<Hint>,
    pub(super) explain: Option<ExplainLevel>,
    /// What a cursor is bound to: the pipeline.
    pub(super) fingerprint: u64,
}

impl Aggregate {
    /// Checks a pipeline.
    ///
    /// # Errors
    /// `invalid_query` naming the stage and what is wrong with it.
    pub fn parse(body: AggregateBody) -> Result<Aggregate> {
        let stages = value(body.pipeline, "pipeline")?;
        let fingerprint = xxh3_64(stages.to_json().as_bytes());
        let pipeline = Pipeline::parse(&stages, At::root("pipeline"))?;
        let hint = body.hint.map(|json| Hint::parse(&value(json, "hint")?, At::root("hint")));
        Ok(Aggregate { pipeline, hint: hint.transpose()?, explain: body.explain, fingerprint })
    }

    /// Where the result is written, when it is.
    pub fn output(&self) -> Option<&Output> {
        self.pipeline.output()
    }

    /// Carries the pipeline out; `each` gets every document of the result. Gives the plan when
    /// it was asked for.
    fn run(
        mut self,
        read: &View<'_>,
        database: &str,
        collection: &Collection,
        ctx: &Context<'_>,
        mut each: impl FnMut(Value) -> Result<()>,
    ) -> Result<Option<serde_json::Value>> {
        let started = Instant::now();
        let source = source(read, database);
        let pushdown = self.pipeline.pushdown();
        let filter = pushdown.filter.unwrap_or(Filter::And(Vec::new()));
        let wanted = QuerySpec {
            sort: pushdown.sort.as_ref(),
            limit: pushdown.limit.map(|limit| limit.saturating_add(pushdown.skip)),
            ..QuerySpec::all(&filter)
        };
        let (fields, hint) = (self.pipeline.fields(), self.hint.as_ref());
        let request = ScanRequest { wanted, fields, hint };
        let explain = self.explain;
        scan(read, collection, request, ctx, |found, planned| {
            let skip = usize::try_from(pushdown.skip).unwrap_or(usize::MAX);
            let limit =
                pushdown.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
            let documents = found.map(|found| found.map(|found| found.fields));
            let input = Box::new(documents.skip(skip).take(limit));
            let mut returned = 0;
            if explain != Some(ExplainLevel::QueryPlanner) {
                for document in self.pipeline.run(input, &source, ctx) {
                    let document = document?;
                    returned += 1;
                    if explain.is_none() {
                        each(document)?;
                    }
                }
            }
            Ok(explain
                .map(|level| explained(&filter, planned, collection, level, returned, started)))
        })
    }
}

/// The other collections that a pipeline may read.
pub(super) fn source<'v>(read: &'v View<'_>, database: &'v str) -> Collections<'v, View<'v>> {
    match read {
        View::Past(_) => Collections::none(read, database),
        _ => Collections::new(read, database),
    }
}

/// Carries out a pipeline whose result goes to the caller.
pub async fn aggregate_page(call: &Call, aggregate: Aggregate) -> Result<(Page, u64)> {
    let (database, _) = readable_place(call)?;
    let database = database.to_owned();
    reading(call, move |read, collection, ctx| {
        let mut documents = vec![b'['];
        let explained = aggregate.run(read, &database, collection, ctx, |document| {
            let text = document.to_json();
            ctx.charge(text.len(), "the result")?;
            if documents.len() > 1 {
                documents.push(b',');
            }
            documents.extend_from_slice(text.as_bytes());
            Ok(())
        })?;
        documents.push(b']');
        Ok(Page { documents, cursor: None, explained })
    })
    .await
}

/// The documents that a pipeline gives, for writing them.
pub async fn aggregate_documents(call: &Call, aggregate: Aggregate) -> Result<Vec<Value>> {
    let (database, _) = readable_place(call)?;
    let database = database.to_owned();
    let (documents, _) = reading(call, move |read, collection, ctx| {
        let mut documents = Vec::new();
        aggregate.run(read, &database, collection, ctx, |document| {
            ctx.charge(document.bytes(), "the result")?;
            documents.push(document);
            Ok(())
        })?;
        Ok(documents)
    })
    .await?;
    Ok(documents)
}

/// Whether a pipeline writes its result, so that it must run on the leader.
pub fn pipeline_writes(call: &Call) -> Result<bool> {
    let aggregate = Aggregate::parse(call.json()?)?;
    Ok(aggregate.output().is_some() && aggregate.explain.is_none())
}

/// `POST …/aggregate`
pub async fn aggregate(call: Rc<Call>) -> Result<Reply> {
    let aggregate = Aggregate::parse(call.json()?)?;
    if aggregate.output().is_some() && aggregate.explain.is_none() {
        return super::update::write_output(&call, aggregate).await;
    }
    let (page, index) = aggregate_page(&call, aggregate).await?;
    Ok(page.reply().at(index))
}
