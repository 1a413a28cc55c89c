//! `$project`, `$addFields` (also named `$set`) and `$unset`: each document in another shape.

use super::super::context::{At, Context, Fields};
use super::super::expr::Expr;
use super::super::project::Projection;
use super::memory::shallow;
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, each, read};
use crate::error::Result;
use crate::value::{Object, Value};

/// A parsed `$project`.
#[derive(Debug)]
pub(super) struct Project(Projection);

/// A parsed `$addFields`.
#[derive(Debug)]
pub(super) struct AddFields {
    projection: Projection,
    /// The fields that it reads or writes into.
    fields: Fields,
}

/// A parsed `$unset`.
#[derive(Debug)]
pub(super) struct Unset(Projection);

fn apply<'a>(
    projection: &'a Projection,
    input: Documents<'a>,
    ctx: &'a Context<'a>,
) -> Documents<'a> {
    each(input, ctx, |document| shallow(projection.apply(&document, ctx)?).map(Some))
}

impl Project {
    /// Parses fields to keep, to leave out or to compute.
    ///
    /// # Errors
    /// Those of [`Projection::parse_stage`].
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Project> {
        Projection::parse_stage(spec, at).map(Project)
    }
}

impl Stage for Project {
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
        apply(&self.0, input, ctx)
    }

    fn role(&self) -> Role<'_> {
        Role::OneToOne
    }
}

impl AddFields {
    /// Parses fields with their expressions.
    ///
    /// # Errors
    /// Those of [`Projection::parse_add_fields`].
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<AddFields> {
        let projection = Projection::parse_add_fields(spec, at)?;
        Ok(AddFields { projection, fields: computed_fields(spec, at) })
    }
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

impl Stage for AddFields {
    fn read(&self, fields: &mut Fields) -> bool {
        match &self.fields {
            Fields::All => fields.add_all(),
            Fields::Some(names) => names.iter().for_each(|name| fields.add(name)),
        }
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        apply(&self.projection, input, ctx)
    }

    fn role(&self) -> Role<'_> {
        Role::OneToOne
    }
}

impl Unset {
    /// Parses the path of a field, or an array of paths.
    ///
    /// # Errors
    /// `invalid_query` for an empty list or a wrong path.
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Unset> {
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
        Projection::parse_stage(&Value::Object(excluded), at).map(Unset)
    }
}

impl Stage for Unset {
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
        apply(&self.0, input, ctx)
    }

    fn role(&self) -> Role<'_> {
        Role::OneToOne
    }
}
