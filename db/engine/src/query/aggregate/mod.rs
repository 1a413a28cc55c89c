//! MongoDB's aggregation pipelines: documents pass through one stage after the other.
//!
//! A stage takes a stream of documents and returns one. Stages that can work document by document
//! do; the others (`$group`, `$sort`, …) read all of their input when the first document is
//! requested, and charge what they keep to the [`Context`].

mod accumulator;
mod bind;
mod bucket;
mod count;
mod facet;
mod foreign;
mod group;
mod limit;
mod lookup;
mod matching;
mod memory;
mod output;
mod project;
mod read;
mod replace_root;
mod sample;
mod sorting;
mod stage;
pub(in crate::query) mod total;
mod union_with;
mod unwind;

pub use output::{Output, WhenMatched, WhenNotMatched};

use super::context::{At, Context, Fields};
use super::filter::Filter;
use super::sort::Sort;
use crate::error::Result;
use crate::value::Value;
use stage::{Role, SharedStage};
use std::cell::Cell;

/// Maximum number of stages of a pipeline, including nested pipelines. Every stage is a call on the
/// stack while documents pass, of up to 5 kB without optimization.
const STAGES_MAX: usize = 200;
/// Maximum nesting of pipelines.
const NESTING_MAX: usize = 20;

/// A stream of documents.
pub type Documents<'a> = Box<dyn Iterator<Item = Result<Value>> + 'a>;

/// Where `$lookup` and `$unionWith` read other collections.
pub trait DocumentSource {
    /// The whole documents of a collection that match.
    ///
    /// # Errors
    /// When the collection does not exist, or may not be read.
    fn find<'s>(
        &'s self,
        collection: &str,
        filter: Filter,
        ctx: &'s Context<'s>,
    ) -> Result<Documents<'s>>;
}

/// A parsed pipeline.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    stages: Vec<SharedStage>,
    output: Option<Output>,
}

/// The part of a pipeline that a query does: filter, then sort, skip and limit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pushdown {
    /// The filter.
    pub filter: Option<Filter>,
    /// The order.
    pub sort: Option<Sort>,
    /// The number of documents to skip.
    pub skip: u64,
    /// The maximum number of documents.
    pub limit: Option<u64>,
}

/// The position of a pipeline during parsing.
#[derive(Clone, Copy)]
struct Nesting<'n> {
    depth: usize,
    /// Stages parsed so far, in all pipelines.
    stages: &'n Cell<usize>,
    in_facet: bool,
}

impl Pipeline {
    /// Parses an array of stages: `[{"$match": {…}}, {"$count": "n"}]`.
    ///
    /// # Errors
    /// `invalid_query` at the location of the wrong stage, below `at`: `pipeline[2].$foo`.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Pipeline> {
        let nesting = Nesting { depth: 0, stages: &Cell::new(0), in_facet: false };
        Pipeline::parse_at(value, at, nesting)
    }

    /// Parses a pipeline inside another one.
    fn parse_inner(value: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<Pipeline> {
        if nesting.depth >= NESTING_MAX {
            return Err(at.invalid(format!("is nested in more than {NESTING_MAX} pipelines")));
        }
        Pipeline::parse_at(value, at, Nesting { depth: nesting.depth + 1, ..nesting })
    }

    fn parse_at(value: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<Pipeline> {
        let Value::Array(items) = value else {
            return Err(
                at.invalid("must be an array of stages, such as [{\"$match\": {\"a\": 1}}]")
            );
        };
        nesting.stages.set(nesting.stages.get().saturating_add(items.len()));
        if nesting.stages.get() > STAGES_MAX {
            return Err(
                at.invalid(format!("has more than {STAGES_MAX} stages, inner ones included"))
            );
        }
        let mut pipeline = Pipeline::default();
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            let one = item
                .as_object()
                .filter(|fields| fields.len() == 1)
                .and_then(|fields| fields.first());
            let Some((name, spec)) = one else {
                return Err(
                    at.invalid("must be an object with one stage, such as {\"$limit\": 10}")
                );
            };
            let at = at.key(name);
            match name.as_str() {
                "$out" | "$merge" if nesting.depth > 0 => {
                    return Err(at.invalid("cannot stand in a pipeline inside another one"));
                }
                "$out" | "$merge" if index + 1 < items.len() => {
                    return Err(at.invalid("must be the last stage"));
                }
                "$out" => pipeline.output = Some(Output::parse_out(spec, at)?),
                "$merge" => pipeline.output = Some(Output::parse_merge(spec, at)?),
                _ => pipeline.stages.extend(stage::parse(name, spec, at, nesting)?),
            }
        }
        Ok(pipeline)
    }

    /// Takes from the front of the pipeline what a planner can do with indexes: every `$match` and
    /// one `$sort` in any order, then `$skip` and `$limit`, these also from after stages that
    /// return one document for each. The result is the same if they are done first.
    pub fn pushdown(&mut self) -> Pushdown {
        let mut down = Pushdown::default();
        let mut filters = Vec::new();
        let mut windowed = false;
        let mut kept = Vec::new();
        let mut taken = 0;
        for stage in &self.stages {
            let first = !windowed && kept.is_empty();
            match stage.role() {
                Role::Match(filter) if first => filters.push(filter.clone()),
                Role::Sort(sort) if first && down.sort.is_none() => down.sort = Some(sort.clone()),
                Role::Skip(count) => {
                    windowed = true;
                    down.skip = down.skip.saturating_add(count);
                    down.limit = down.limit.map(|limit| limit.saturating_sub(count));
                }
                Role::Limit(count) => {
                    windowed = true;
                    down.limit = Some(down.limit.map_or(count, |limit| limit.min(count)));
                }
                Role::OneToOne => kept.push(stage.clone()),
                _ => break,
            }
            taken += 1;
        }
        self.stages.splice(..taken, kept);
        down.filter = (!filters.is_empty()).then(|| Filter::all(filters));
        down
    }

    /// Whether every stage works on each document by itself, so that the results of some documents
    /// do not depend on the others.
    pub fn is_per_document(&self) -> bool {
        self.output.is_none()
            && self.stages.iter().all(|stage| {
                matches!(stage.role(), Role::OneToOne | Role::OneToMany | Role::Match(_))
            })
    }

    /// Whether every stage returns one document for each of its input.
    pub fn is_one_to_one(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.role(), Role::OneToOne))
    }

    /// Takes every `$match` from the front.
    fn take_filter(&mut self) -> Option<Filter> {
        let matches = self.stages.iter().map_while(|stage| match stage.role() {
            Role::Match(filter) => Some(filter.clone()),
            _ => None,
        });
        let filters: Vec<_> = matches.collect();
        self.stages.drain(..filters.len());
        (!filters.is_empty()).then(|| Filter::all(filters))
    }

    /// The outermost fields that the stages read of their input.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        if !self.read(&mut fields) {
            fields.add_all();
        }
        fields
    }

    /// Adds the fields that the stages read; false if whole documents are returned at the end.
    fn read(&self, fields: &mut Fields) -> bool {
        self.stages.iter().any(|stage| stage.read(fields))
    }

    /// Sends documents through the stages. Writing to [`Pipeline::output`] is left to the caller.
    ///
    /// # Errors
    /// The stream returns those of its input, of expressions that cannot be evaluated
    /// (`not_applicable`), of the memory that the stages keep (`query_too_large`), of the interrupt
    /// of `ctx`, and of `source`.
    pub fn run<'a>(
        &'a self,
        input: Documents<'a>,
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        let stages = self.stages.iter().enumerate();
        stages.fold(input, |input, (index, stage)| {
            let following = self.stages.get(index + 1..).unwrap_or_default();
            stage.run(input, following, source, ctx)
        })
    }

    /// Where the result is written, if the pipeline ends with `$out` or `$merge`.
    pub fn output(&self) -> Option<&Output> {
        self.output.as_ref()
    }

    /// Whether documents pass unchanged and are not written.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.output.is_none()
    }
}

/// A stream of the results of `change` for each document, if any.
fn each<'a>(
    input: Documents<'a>,
    ctx: &'a Context<'a>,
    mut change: impl FnMut(Value) -> Result<Option<Value>> + 'a,
) -> Documents<'a> {
    Box::new(input.filter_map(move |document| {
        let changed = document.and_then(|document| {
            ctx.step()?;
            change(document)
        });
        changed.transpose()
    }))
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
