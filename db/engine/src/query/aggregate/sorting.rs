//! `$sort` and `$sortByCount`.

use super::super::context::{At, Context, Fields};
use super::super::sort::{Sort, sort_documents};
use super::group::Group;
use super::memory::{StageMemory, later};
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, read};
use crate::error::Result;
use crate::value::{Object, Value};
use std::sync::Arc;

/// A parsed `$sort`.
#[derive(Debug)]
pub(super) struct SortBy(Sort);

impl SortBy {
    /// Parses an object of paths and directions.
    ///
    /// # Errors
    /// `invalid_query` for an empty one, and those of [`Sort::parse`].
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<SortBy> {
        match spec {
            Value::Object(keys) if !keys.is_empty() => Sort::parse(spec, at).map(SortBy),
            _ => Err(at.invalid("must be an object of paths, such as {\"age\": -1}")),
        }
    }
}

/// Parses `$sortByCount`: a `$group` by an expression and a `$sort` by its `count`.
///
/// # Errors
/// `invalid_query` for a constant, and those of the expression.
pub(super) fn sort_by_count(spec: &Value, at: At<'_>) -> Result<Vec<SharedStage>> {
    let group = Group::counted(read::computed(spec, at)?, at)?;
    let descending = Object::from_iter([("count".to_owned(), Value::Int(-1))]);
    let sort = SortBy(Sort::parse(&Value::Object(descending), at)?);
    Ok(vec![Arc::new(group), Arc::new(sort)])
}

/// The number of documents that the stages after a `$sort` take of it.
fn limit_of(following: &[SharedStage]) -> Option<usize> {
    let mut skipped: u64 = 0;
    for stage in following {
        match stage.role() {
            Role::Skip(count) => skipped = skipped.saturating_add(count),
            Role::Limit(count) => return usize::try_from(skipped.saturating_add(count)).ok(),
            _ => return None,
        }
    }
    None
}

impl Stage for SortBy {
    fn read(&self, fields: &mut Fields) -> bool {
        self.0.fields(fields);
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        let limit = limit_of(following);
        later(move || {
            let documents = sort_documents(input, &self.0, limit, ctx)?;
            let bytes = documents.iter().map(Value::bytes).sum();
            let kept = StageMemory::charged("$sort", bytes, ctx);
            Ok(Box::new(documents.into_iter().map(move |document| {
                let _ = &kept;
                Ok(document)
            })))
        })
    }

    fn role(&self) -> Role<'_> {
        Role::Sort(&self.0)
    }
}
