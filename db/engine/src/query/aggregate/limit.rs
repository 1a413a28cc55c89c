//! `$limit` and `$skip`.

use super::super::context::{At, Context, Fields};
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, each, read};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$limit`.
#[derive(Debug)]
pub(super) struct Limit(u64);

/// A parsed `$skip`.
#[derive(Debug)]
pub(super) struct Skip(u64);

impl Limit {
    /// Parses a number, at least 1.
    ///
    /// # Errors
    /// `invalid_query` for anything else.
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Limit> {
        read::whole(spec, 1, at).map(Limit)
    }
}

impl Stage for Limit {
    fn read(&self, _: &mut Fields) -> bool {
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        _ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        Box::new(input.take(usize::try_from(self.0).unwrap_or(usize::MAX)))
    }

    fn role(&self) -> Role<'_> {
        Role::Limit(self.0)
    }
}

impl Skip {
    /// Parses a number, at least 0.
    ///
    /// # Errors
    /// `invalid_query` for anything else.
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Skip> {
        read::whole(spec, 0, at).map(Skip)
    }
}

impl Stage for Skip {
    fn read(&self, _: &mut Fields) -> bool {
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        let mut left = self.0;
        each(input, ctx, move |document| {
            let skipped = left > 0;
            left -= u64::from(skipped);
            Ok((!skipped).then_some(document))
        })
    }

    fn role(&self) -> Role<'_> {
        Role::Skip(self.0)
    }
}
