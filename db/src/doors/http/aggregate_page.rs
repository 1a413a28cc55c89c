//! Pipelines page by page: those that work on each document by itself go on after the document
//! that the page before ended with.

use super::aggregate::{Aggregate, aggregate_page, source};
use super::call::Call;
use super::document::readable_place;
use super::query::{Page, cursor_text, parse_cursor};
use super::view::{View, reading};
use crate::config::{PAGE_BYTES, PAGE_DEFAULT, PAGE_READ_MAX};
use crate::engine::catalog::Collection;
use crate::engine::query::aggregate::{Pipeline, Pushdown};
use crate::engine::query::context::Context;
use crate::engine::query::exec::{FoundDocument, Position, Stream, position};
use crate::engine::query::filter::Filter;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::source::{ScanRequest, scan_after};
use crate::error::{Error, Kind, Result};
use std::cell::{Cell, RefCell};

/// A page that was checked.
struct Wants {
    pipeline: Pipeline,
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

/// One page of what a pipeline gives, of `size` documents. A pipeline with a stage that needs all
/// documents, such as `$group`, gives all in one.
///
/// # Errors
/// Those of the pipeline; `invalid_parameter` for the cursor of another one.
pub async fn page(
    call: &Call,
    aggregate: Aggregate,
    size: Option<u64>,
    cursor: Option<&str>,
) -> Result<(Page, u64)> {
    let fingerprint = aggregate.fingerprint;
    let begin = cursor.map(|text| parse_cursor(text, fingerprint)).transpose()?;
    let mut pipeline = aggregate.pipeline.clone();
    let down = pipeline.pushdown();
    if !pipeline.is_per_document() || aggregate.explain.is_some() {
        if begin.is_some() {
            return Err(Error::new(Kind::InvalidParameter, "this pipeline gives all in one page")
                .hint("leave the cursor out"));
        }
        return aggregate_page(call, aggregate).await;
    }
    let (after, left) = match begin {
        None => (None, down.limit),
        Some((after, left)) => (Some(after), left),
    };
    let size = size.unwrap_or(PAGE_DEFAULT.min(call.cluster().config.page_max as u64));
    let wants = Wants { pipeline, hint: aggregate.hint, down, fingerprint, size, after, left };
    let database = readable_place(call)?.0.to_owned();
    reading(call, move |read, collection, ctx| wants.read(read, &database, collection, ctx)).await
}

impl Wants {
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
            ScanRequest { wanted, fields: self.pipeline.fields(), hint: self.hint.as_ref() };
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
        let most = match self.pipeline.is_one_to_one() {
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
        let mut documents = vec![b'['];
        let mut returned = 0;
        for document in self.pipeline.run(Box::new(input.fuse()), &source, ctx) {
            let text = document?.to_json();
            ctx.charge(text.len(), "the result")?;
            if returned > 0 {
                documents.push(b',');
            }
            documents.extend_from_slice(text.as_bytes());
            returned += 1;
            full.set(returned >= self.size || documents.len() >= PAGE_BYTES);
        }
        documents.push(b']');
        let left = self.left.map(|left| left.saturating_sub(taken.get()));
        let cursor = match (more.get() && left != Some(0), last.into_inner()) {
            (true, Some(after)) => cursor_text(self.fingerprint, after, left),
            _ => None,
        };
        Ok(Page { documents, cursor, explained: None })
    }
}
