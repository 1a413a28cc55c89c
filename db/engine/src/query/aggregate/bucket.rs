//! `$bucket` and `$bucketAuto`: groups by ranges of a value.

use super::super::context::{At, Context, Fields};
use super::super::expr::{Expr, Vars};
use super::group::{Accumulators, Groups};
use super::memory::{StageMemory, later};
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents, read};
use crate::error::{Error, Kind, Result};
use crate::value::{Object, Value};
use std::borrow::Cow;

/// A parsed `$bucket` or `$bucketAuto`.
#[derive(Debug)]
pub(super) struct Bucket {
    group_by: Expr,
    ranges: Ranges,
    output: Accumulators,
}

#[derive(Debug)]
enum Ranges {
    /// Each begins at a boundary and ends before the next; values outside have the other key.
    Given(Vec<Value>, Option<Value>),
    /// A number of buckets with about as many documents each.
    Even(usize),
}

impl Bucket {
    /// Parses `{"groupBy", "boundaries", "default", "output"}`.
    ///
    /// # Errors
    /// `invalid_query` for boundaries that do not ascend or differ in type, a default inside
    /// them, and a wrong shape.
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Bucket> {
        let fields = read::object(value, &["groupBy", "boundaries", "default", "output"], at)?;
        let edges_at = at.key("boundaries");
        let edges = constant(read::required(fields, "boundaries", at)?, edges_at)?;
        let Value::Array(edges) = edges else {
            return Err(edges_at.invalid("must be an array of values"));
        };
        let (Some(first), Some(last), true) = (edges.first(), edges.last(), edges.len() > 1) else {
            return Err(edges_at.invalid("must have at least two values"));
        };
        for (index, pair) in edges.windows(2).enumerate() {
            if let [low, high] = pair
                && (low >= high || low.class() != high.class())
            {
                return Err(edges_at
                    .index(index + 1)
                    .invalid("must be more than the value before it, and of the same type"));
            }
        }
        let other = fields.get("default").map(|value| constant(value, at.key("default")));
        let other = other.transpose()?;
        if other.as_ref().is_some_and(|other| (first..last).contains(&other)) {
            return Err(at.key("default").invalid("must be outside the boundaries"));
        }
        let ranges = Ranges::Given(edges, other);
        Bucket::with(fields, ranges, at)
    }

    /// Parses `{"groupBy", "buckets", "output"}`.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape.
    pub(super) fn parse_auto(value: &Value, at: At<'_>) -> Result<Bucket> {
        let fields = read::object(value, &["groupBy", "buckets", "output"], at)?;
        let buckets = read::whole(read::required(fields, "buckets", at)?, 1, at.key("buckets"))?;
        let ranges = Ranges::Even(usize::try_from(buckets).unwrap_or(usize::MAX));
        Bucket::with(fields, ranges, at)
    }

    fn with(fields: &Object, ranges: Ranges, at: At<'_>) -> Result<Bucket> {
        let group_by = read::computed(read::required(fields, "groupBy", at)?, at.key("groupBy"))?;
        let output_at = at.key("output");
        let output = match fields.get("output") {
            None => Accumulators::count(output_at)?,
            Some(Value::Object(output)) => Accumulators::parse(output.iter(), output_at)?,
            Some(_) => return Err(output_at.invalid("must be an object of accumulators")),
        };
        Ok(Bucket { group_by, ranges, output })
    }

    fn given<'a>(
        &'a self,
        input: Documents<'a>,
        edges: &[Value],
        other: Option<&Value>,
        ctx: &'a Context<'a>,
    ) -> Result<Documents<'a>> {
        let mut groups = Groups::new("$bucket", &self.output, ctx);
        for document in input {
            let document = document?;
            ctx.step()?;
            let vars = Vars::root(&document);
            let value = self.group_by.eval_ref(&vars, ctx)?.unwrap_or(Cow::Owned(Value::Null));
            // The number of boundaries that are not above the value: none or all if it is outside.
            let below = edges.partition_point(|edge| edge <= &*value);
            let inside = if below < edges.len() { below.checked_sub(1) } else { None };
            let Some(key) = inside.and_then(|index| edges.get(index)).or(other) else {
                let message =
                    format!("$bucket has no bucket for a value of type {}", value.type_name());
                return Err(Error::new(Kind::NotApplicable, message)
                    .hint("give it a \"default\", the bucket of values outside the boundaries"));
            };
            groups.add(Cow::Borrowed(key), &vars)?;
        }
        groups.into_sorted_documents()
    }

    fn even<'a>(
        &'a self,
        input: Documents<'a>,
        buckets: usize,
        ctx: &'a Context<'a>,
    ) -> Result<Documents<'a>> {
        let mut kept = StageMemory::new("$bucketAuto", ctx);
        let mut ranked = Vec::new();
        for document in kept.collect(input)? {
            let value = self.group_by.eval(&Vars::root(&document), ctx)?.unwrap_or_default();
            kept.add(value.bytes())?;
            ranked.push((value, document));
        }
        ctx.sorting(ranked.len(), ranked.iter().map(|(value, _)| value.bytes()).sum())?;
        ranked.sort_by(|a, b| a.0.cmp(&b.0));
        let size = (ranked.len() + buckets / 2).checked_div(buckets).unwrap_or(0).max(1);
        let mut groups = Groups::new("$bucketAuto", &self.output, ctx);
        let mut rest = ranked.as_slice();
        let mut number = 1;
        while let (Some((min, _)), Some((max, _))) = (rest.first(), rest.last()) {
            // Equal values stay together, and the last bucket takes what is left.
            let last = if number < buckets { rest.get(size - 1) } else { None };
            let end = last
                .map_or(rest.len(), |(last, _)| rest.partition_point(|(value, _)| value <= last));
            let (bucket, behind) = rest.split_at(end);
            let max = behind.first().map_or(max, |(next, _)| next);
            let key = [("min".to_owned(), min.clone()), ("max".to_owned(), max.clone())];
            let key = Value::Object(key.into());
            for (_, document) in bucket {
                ctx.step()?;
                groups.add(Cow::Borrowed(&key), &Vars::root(document))?;
            }
            rest = behind;
            number += 1;
        }
        Ok(groups.into_documents())
    }
}

impl Stage for Bucket {
    fn read(&self, fields: &mut Fields) -> bool {
        self.group_by.fields(fields);
        self.output.fields(fields);
        true
    }

    /// The buckets that have documents, in ascending order.
    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        later(move || match &self.ranges {
            Ranges::Given(edges, other) => self.given(input, edges, other.as_ref(), ctx),
            Ranges::Even(buckets) => self.even(input, *buckets, ctx),
        })
    }
}

/// A value that does not depend on a document.
fn constant(value: &Value, at: At<'_>) -> Result<Value> {
    let expr = Expr::parse(value, at)?;
    expr.as_literal().cloned().ok_or_else(|| at.invalid("must be a constant"))
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
