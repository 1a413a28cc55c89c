//! The trait of stages, and the table of stages. To add a stage, write a file that implements
//! [`Stage`], and a line in the table.

use super::super::context::{At, Context, Fields};
use super::super::filter::Filter;
use super::super::sort::Sort;
use super::bucket::Bucket;
use super::count::Count;
use super::facet::Facet;
use super::group::Group;
use super::limit::{Limit, Skip};
use super::lookup::Lookup;
use super::matching::Match;
use super::project::{AddFields, Project, Unset};
use super::replace_root::ReplaceRoot;
use super::sample::Sample;
use super::sorting::{SortBy, sort_by_count};
use super::union_with::UnionWith;
use super::unwind::Unwind;
use super::{DocumentSource, Documents, Nesting};
use crate::error::{Error, Result};
use crate::value::Value;
use std::fmt::Debug;
use std::sync::Arc;

/// One stage of a pipeline, with its parsed specification.
pub(super) trait Stage: Debug + Send + Sync {
    /// Adds the fields that it reads of its input; true if nothing else of the input is passed on
    /// to the next stage.
    fn read(&self, fields: &mut Fields) -> bool;

    /// Sends documents through the stage; `following` are the stages after it.
    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        following: &[SharedStage],
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a>;

    /// What the pipeline may rely on when it moves the stage or splits its input into pages.
    fn role(&self) -> Role<'_> {
        Role::Collective
    }
}

/// A stage, shared by copies of the pipeline.
pub(super) type SharedStage = Arc<dyn Stage>;

/// How the output of a stage depends on its input.
pub(super) enum Role<'s> {
    /// It passes the documents that match.
    Match(&'s Filter),
    /// It puts the documents into an order.
    Sort(&'s Sort),
    /// It leaves out the first documents.
    Skip(u64),
    /// It passes the first documents only.
    Limit(u64),
    /// It returns one document for each, whatever the others are.
    OneToOne,
    /// It returns any number of documents for each, whatever the others are.
    OneToMany,
    /// Its output depends on all documents.
    Collective,
}

type Parse = fn(&Value, At<'_>, Nesting<'_>) -> Result<Vec<SharedStage>>;

/// The stages by name, with the parser of their specification. `$out` and `$merge` are not among
/// them: they end a pipeline.
const STAGES: &[(&str, Parse)] = &[
    ("$match", |spec, at, _| one(Match::parse(spec, at)?)),
    ("$project", |spec, at, _| one(Project::parse(spec, at)?)),
    ("$addFields", |spec, at, _| one(AddFields::parse(spec, at)?)),
    ("$set", |spec, at, _| one(AddFields::parse(spec, at)?)),
    ("$unset", |spec, at, _| one(Unset::parse(spec, at)?)),
    ("$group", |spec, at, _| one(Group::parse(spec, at)?)),
    ("$sort", |spec, at, _| one(SortBy::parse(spec, at)?)),
    ("$limit", |spec, at, _| one(Limit::parse(spec, at)?)),
    ("$skip", |spec, at, _| one(Skip::parse(spec, at)?)),
    ("$unwind", |spec, at, _| one(Unwind::parse(spec, at)?)),
    ("$lookup", |spec, at, nesting| one(Lookup::parse(spec, at, nesting)?)),
    ("$count", |spec, at, _| one(Count::parse(spec, at)?)),
    ("$sortByCount", |spec, at, _| sort_by_count(spec, at)),
    ("$facet", |spec, at, nesting| one(Facet::parse(spec, at, nesting)?)),
    ("$bucket", |spec, at, _| one(Bucket::parse(spec, at)?)),
    ("$bucketAuto", |spec, at, _| one(Bucket::parse_auto(spec, at)?)),
    ("$sample", |spec, at, _| one(Sample::parse(spec, at)?)),
    ("$replaceRoot", |spec, at, _| one(ReplaceRoot::parse(spec, at)?)),
    ("$replaceWith", |spec, at, _| one(ReplaceRoot::parse_with(spec, at)?)),
    ("$unionWith", |spec, at, nesting| one(UnionWith::parse(spec, at, nesting)?)),
];

fn one(stage: impl Stage + 'static) -> Result<Vec<SharedStage>> {
    Ok(vec![Arc::new(stage)])
}

/// Parses the stage `name`; a shorthand consists of several.
///
/// # Errors
/// `invalid_query` for an unknown name and for what its parts refuse.
pub(super) fn parse(
    name: &str,
    spec: &Value,
    at: At<'_>,
    nesting: Nesting<'_>,
) -> Result<Vec<SharedStage>> {
    match STAGES.iter().find(|(known, _)| *known == name) {
        Some((_, parse)) => parse(spec, at, nesting),
        None => Err(unknown(name, at)),
    }
}

/// The error for a stage that does not exist; most often the `$` is missing.
fn unknown(name: &str, at: At<'_>) -> Error {
    let names = STAGES.iter().map(|(name, _)| *name).chain(["$out", "$merge"]);
    let names: Vec<&str> = names.collect();
    let meant = format!("${name}");
    let hint = match names.contains(&meant.as_str()) {
        true => format!("write \"{meant}\": the name of a stage begins with $"),
        false => format!("known are {}", names.join(", ")),
    };
    at.invalid("is not a known stage").hint(hint)
}
