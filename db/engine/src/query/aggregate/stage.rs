//! The stages: how each is parsed, what it reads, and how it runs.

use super::super::context::{At, Context, Fields};
use super::super::expr::{Expr, Vars};
use super::super::filter::Filter;
use super::super::project::Projection;
use super::super::sort::{Sort, sort_documents};
use super::bucket::Bucket;
use super::group::Group;
use super::lookup::{Foreign, Lookup};
use super::memory::{StageMemory, later, shallow};
use super::sample::Sample;
use super::unwind::Unwind;
use super::{DocumentSource, Documents, Nesting, Pipeline, each, read};
use crate::error::{Error, Kind, Result};
use crate::value::{Object, Value};

/// One stage.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Match(Filter),
    Project(Projection),
    /// With the fields that it reads.
    AddFields(Projection, Fields),
    Unset(Projection),
    Group(Group),
    Sort(Sort),
    Limit(u64),
    Skip(u64),
    Unwind(Unwind),
    Lookup(Box<Lookup>),
    Count(String),
    Facet(Vec<(String, Pipeline)>),
    Bucket(Box<Bucket>),
    Sample(Sample),
    ReplaceRoot(Expr),
    UnionWith(Box<Foreign>),
}

const NAMES: &str = "$match, $project, $addFields, $set, $unset, $group, $sort, $limit, $skip, \
                     $unwind, $lookup, $count, $sortByCount, $facet, $bucket, $bucketAuto, $sample, \
                     $replaceRoot, $replaceWith, $unionWith, $out, $merge";

impl Stage {
    /// Parses the stage `name` and appends what it consists of.
    ///
    /// # Errors
    /// `invalid_query` for an unknown name and for what its parts refuse.
    pub(super) fn parse(
        name: &str,
        spec: &Value,
        at: At<'_>,
        nesting: Nesting<'_>,
        stages: &mut Vec<Stage>,
    ) -> Result<()> {
        let stage = match name {
            "$match" => Stage::Match(Filter::parse(spec, at)?),
            "$project" => Stage::Project(Projection::parse_stage(spec, at)?),
            "$addFields" | "$set" => {
                Stage::AddFields(Projection::parse_add_fields(spec, at)?, computed_fields(spec, at))
            }
            "$unset" => Stage::Unset(unset(spec, at)?),
            "$group" => Stage::Group(Group::parse(spec, at)?),
            "$sort" => match spec {
                Value::Object(keys) if !keys.is_empty() => Stage::Sort(Sort::parse(spec, at)?),
                _ => return Err(at.invalid("must be an object of paths, such as {\"age\": -1}")),
            },
            "$limit" => Stage::Limit(read::whole(spec, 1, at)?),
            "$skip" => Stage::Skip(read::whole(spec, 0, at)?),
            "$unwind" => Stage::Unwind(Unwind::parse(spec, at)?),
            "$lookup" => Stage::Lookup(Box::new(Lookup::parse(spec, at, nesting)?)),
            "$count" => {
                let name = read::text(spec, at)?;
                read::field_name(name, at)?;
                if name == "_id" {
                    return Err(at.invalid("must not be \"_id\", which stands for a group"));
                }
                Stage::Count(name.to_owned())
            }
            "$sortByCount" => {
                stages.push(Stage::Group(Group::counted(read::computed(spec, at)?, at)?));
                let descending = Object::from_iter([("count".to_owned(), Value::Int(-1))]);
                Stage::Sort(Sort::parse(&Value::Object(descending), at)?)
            }
            "$facet" => Stage::Facet(facets(spec, at, nesting)?),
            "$bucket" => Stage::Bucket(Box::new(Bucket::parse(spec, at)?)),
            "$bucketAuto" => Stage::Bucket(Box::new(Bucket::parse_auto(spec, at)?)),
            "$sample" => Stage::Sample(Sample::parse(spec, at)?),
            "$replaceRoot" => {
                let fields = read::object(spec, &["newRoot"], at)?;
                let root = read::required(fields, "newRoot", at)?;
                Stage::ReplaceRoot(Expr::parse(root, at.key("newRoot"))?)
            }
            "$replaceWith" => Stage::ReplaceRoot(Expr::parse(spec, at)?),
            "$unionWith" => Stage::UnionWith(Box::new(Foreign::parse_union(spec, at, nesting)?)),
            _ => return Err(unknown(name, at)),
        };
        stages.push(stage);
        Ok(())
    }

    /// Whether it gives one document for each that it is given, whatever the others are.
    pub(super) fn is_one_to_one(&self) -> bool {
        matches!(
            self,
            Stage::Project(_)
                | Stage::AddFields(..)
                | Stage::Unset(_)
                | Stage::ReplaceRoot(_)
                | Stage::Lookup(_)
        )
    }

    /// Adds the fields that it reads of its input; true when nothing else of the input goes on
    /// to the next stage.
    pub(super) fn read(&self, fields: &mut Fields) -> bool {
        match self {
            Stage::Match(filter) => filter.fields(fields),
            Stage::AddFields(_, Fields::All) => fields.add_all(),
            Stage::AddFields(_, Fields::Some(names)) => {
                names.iter().for_each(|name| fields.add(name))
            }
            Stage::Sort(sort) => sort.fields(fields),
            Stage::Unwind(unwind) => unwind.fields(fields),
            Stage::Lookup(lookup) => lookup.fields(fields),
            Stage::Unset(_)
            | Stage::Limit(_)
            | Stage::Skip(_)
            | Stage::Sample(_)
            | Stage::UnionWith(_) => {}
            Stage::Project(projection) => {
                projection.fields(fields);
                return true;
            }
            Stage::Group(group) => {
                group.fields(fields);
                return true;
            }
            Stage::Bucket(bucket) => {
                bucket.fields(fields);
                return true;
            }
            Stage::ReplaceRoot(root) => {
                root.fields(fields);
                return true;
            }
            Stage::Count(_) => return true,
            Stage::Facet(facets) => {
                for (_, pipeline) in facets {
                    // One that passes documents on puts all of their fields into its list.
                    if !pipeline.read(fields) {
                        fields.add_all();
                    }
                }
                return true;
            }
        }
        false
    }

    /// Sends documents through the stage; `behind` are the stages that follow.
    pub(super) fn run<'a>(
        &'a self,
        input: Documents<'a>,
        behind: &[Stage],
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        match self {
            Stage::Match(filter) => {
                each(input, ctx, |document| Ok(filter.matches(&document, ctx)?.then_some(document)))
            }
            Stage::Project(projection)
            | Stage::AddFields(projection, _)
            | Stage::Unset(projection) => {
                each(input, ctx, |document| shallow(projection.apply(&document, ctx)?).map(Some))
            }
            Stage::Group(group) => group.run(input, ctx),
            Stage::Sort(sort) => sorted(sort, limit_of(behind), input, ctx),
            Stage::Limit(count) => {
                Box::new(input.take(usize::try_from(*count).unwrap_or(usize::MAX)))
            }
            Stage::Skip(count) => {
                let mut left = *count;
                each(input, ctx, move |document| {
                    let skipped = left > 0;
                    left -= u64::from(skipped);
                    Ok((!skipped).then_some(document))
                })
            }
            Stage::Unwind(unwind) => unwind.run(input, ctx),
            Stage::Lookup(lookup) => lookup.run(input, source, ctx),
            Stage::Count(name) => later(move || {
                let mut count = 0;
                for document in input {
                    document?;
                    ctx.step()?;
                    count += 1;
                }
                let counted = || Ok(Value::Object([(name.clone(), Value::Int(count))].into()));
                Ok(Box::new((count > 0).then(counted).into_iter()))
            }),
            Stage::Facet(facets) => later(move || {
                let document = run_facets(facets, input, source, ctx).and_then(shallow);
                Ok(Box::new(std::iter::once(document)))
            }),
            Stage::Bucket(bucket) => bucket.run(input, ctx),
            Stage::Sample(sample) => sample.run(input, ctx),
            Stage::ReplaceRoot(root) => {
                each(input, ctx, |document| match root.eval_ref(&Vars::root(&document), ctx)? {
                    Some(root) if root.as_object().is_some() => {
                        StageMemory::new("$replaceRoot", ctx).add(root.bytes())?;
                        shallow(root.into_owned()).map(Some)
                    }
                    other => {
                        let is = other.as_ref().map_or("missing", |other| other.type_name());
                        let message = format!("the new root must be an object, not of type {is}");
                        Err(Error::new(Kind::NotApplicable, message))
                    }
                })
            }
            Stage::UnionWith(foreign) => foreign.union(input, source, ctx),
        }
    }
}

/// The error for a stage that does not exist; the one that was meant lacks its `$` most often.
fn unknown(name: &str, at: At<'_>) -> Error {
    let meant = format!("${name}");
    let hint = match NAMES.split(", ").any(|known| known.trim() == meant) {
        true => format!("write \"{meant}\": the name of a stage begins with $"),
        false => format!("known are {NAMES}"),
    };
    at.invalid("is not a known stage").hint(hint)
}

/// The fields that `$addFields` reads or writes into.
fn computed_fields(spec: &Value, at: At<'_>) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in spec.as_object().into_iter().flatten() {
        fields.add(name);
        match Expr::parse(value, at) {
            Ok(expr) => expr.fields(&mut fields),
            // Paths with dots in an object of fields.
            Err(_) => fields.add_all(),
        }
    }
    fields
}

fn unset(spec: &Value, at: At<'_>) -> Result<Projection> {
    let paths = match spec {
        Value::Array(paths) => paths.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut excluded = Object::new();
    for path in paths {
        excluded.insert(read::text(path, at)?.to_owned(), Value::Int(0));
    }
    if excluded.is_empty() {
        return Err(at.invalid("must name at least one field"));
    }
    Projection::parse_stage(&Value::Object(excluded), at)
}

fn facets(spec: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<Vec<(String, Pipeline)>> {
    if nesting.in_facet {
        return Err(at.invalid("cannot stand inside another $facet"));
    }
    let nesting = Nesting { in_facet: true, ..nesting };
    let Some(fields) = spec.as_object().filter(|fields| !fields.is_empty()) else {
        return Err(
            at.invalid("must be an object of pipelines, such as {\"all\": [{\"$count\": \"n\"}]}")
        );
    };
    let parse = |(name, stages): (&String, &Value)| {
        read::field_name(name, at)?;
        Ok((name.clone(), Pipeline::parse_inner(stages, at.key(name), nesting)?))
    };
    fields.iter().map(parse).collect()
}

fn run_facets(
    facets: &[(String, Pipeline)],
    input: Documents<'_>,
    source: &dyn DocumentSource,
    ctx: &Context<'_>,
) -> Result<Value> {
    let mut kept = StageMemory::new("$facet", ctx);
    let documents = kept.collect(input)?;
    let mut result = Object::with_capacity(facets.len());
    for (name, pipeline) in facets {
        let copies = Box::new(documents.iter().cloned().map(Ok));
        let output = kept.collect(pipeline.run(copies, source, ctx))?;
        result.insert(name.clone(), Value::Array(output));
    }
    Ok(Value::Object(result))
}

/// How many documents the stages behind a `$sort` want of it.
fn limit_of(behind: &[Stage]) -> Option<usize> {
    let mut skipped: u64 = 0;
    for stage in behind {
        match stage {
            Stage::Skip(count) => skipped = skipped.saturating_add(*count),
            Stage::Limit(count) => return usize::try_from(skipped.saturating_add(*count)).ok(),
            _ => return None,
        }
    }
    None
}

fn sorted<'a>(
    sort: &'a Sort,
    limit: Option<usize>,
    input: Documents<'a>,
    ctx: &'a Context<'a>,
) -> Documents<'a> {
    later(move || {
        let documents = sort_documents(input, sort, limit, ctx)?;
        let bytes = documents.iter().map(Value::bytes).sum();
        let kept = StageMemory::charged("$sort", bytes, ctx);
        Ok(Box::new(documents.into_iter().map(move |document| {
            let _ = &kept;
            Ok(document)
        })))
    })
}
