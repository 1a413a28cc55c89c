//! `$replaceRoot` and `$replaceWith`: an expression in the place of each document.

use super::super::context::{At, Context, Fields};
use super::super::expr::{Expr, Vars};
use super::memory::{StageMemory, shallow};
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, each, read};
use crate::error::{Error, Kind, Result};
use crate::value::Value;

/// A parsed `$replaceRoot` or `$replaceWith`.
#[derive(Debug)]
pub(super) struct ReplaceRoot(Expr);

impl ReplaceRoot {
    /// Parses `{"newRoot": expression}`.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape, and those of the expression.
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<ReplaceRoot> {
        let fields = read::object(spec, &["newRoot"], at)?;
        ReplaceRoot::parse_with(read::required(fields, "newRoot", at)?, at.key("newRoot"))
    }

    /// Parses the expression itself.
    ///
    /// # Errors
    /// Those of the expression.
    pub(super) fn parse_with(spec: &Value, at: At<'_>) -> Result<ReplaceRoot> {
        Expr::parse(spec, at).map(ReplaceRoot)
    }

    fn replace(&self, document: &Value, ctx: &Context<'_>) -> Result<Value> {
        match self.0.eval_ref(&Vars::root(document), ctx)? {
            Some(root) if root.as_object().is_some() => {
                StageMemory::new("$replaceRoot", ctx).add(root.bytes())?;
                shallow(root.into_owned())
            }
            other => {
                let is = other.as_ref().map_or("missing", |other| other.type_name());
                let message = format!("the new root must be an object, not of type {is}");
                Err(Error::new(Kind::NotApplicable, message))
            }
        }
    }
}

impl Stage for ReplaceRoot {
    fn read(&self, fields: &mut Fields) -> bool {
        self.0.fields(fields);
        true
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        each(input, ctx, |document| self.replace(&document, ctx).map(Some))
    }

    fn role(&self) -> Role<'_> {
        Role::OneToOne
    }
}
