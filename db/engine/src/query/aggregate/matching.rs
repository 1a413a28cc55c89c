//! `$match`: the documents that a filter matches.

use super::super::context::{At, Context, Fields};
use super::super::filter::Filter;
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, each};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$match`.
#[derive(Debug)]
pub(super) struct Match(Filter);

impl Match {
    /// Parses a filter.
    ///
    /// # Errors
    /// Those of [`Filter::parse`].
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Match> {
        Filter::parse(spec, at).map(Match)
    }
}

impl Stage for Match {
    fn read(&self, fields: &mut Fields) -> bool {
        self.0.fields(fields);
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        each(input, ctx, |document| Ok(self.0.matches(&document, ctx)?.then_some(document)))
    }

    fn role(&self) -> Role<'_> {
        Role::Match(&self.0)
    }
}
