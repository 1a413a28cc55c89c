//! `$lookup`: each document with those of another collection that belong to it.

use super::super::context::{At, Context, Fields, MemoryCharge};
use super::super::expr::{Expr, Vars};
use super::super::filter::{Filter, Test};
use super::super::path::Path;
use super::foreign::ForeignDocuments;
use super::memory::{StageMemory, shallow};
use super::stage::{Role, SharedStage, Stage};
use super::unwind::{places, set};
use super::{DocumentSource, Documents, Nesting, Pipeline, bind, each, read};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$lookup`.
#[derive(Debug)]
pub(super) struct Lookup {
    foreign: ForeignDocuments,
    /// `localField` and `foreignField`.
    keys: Option<(Path, Path)>,
    /// The variables of `let`, and the pipeline that they are substituted into.
    bound: Option<(Vec<(String, Expr)>, Value)>,
    into: Path,
}

impl Lookup {
    /// Parses `{"from", "localField", "foreignField", "let", "pipeline", "as"}`; the fields or
    /// the pipeline or all.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape and for errors of the pipeline.
    pub(super) fn parse(value: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<Lookup> {
        let known = ["from", "localField", "foreignField", "let", "pipeline", "as"];
        let fields = read::object(value, &known, at)?;
        let text = |name: &str| read::text(read::required(fields, name, at)?, at.key(name));
        let path = |name: &str| Path::parse(text(name)?, at.key(name));
        let keys = match fields.contains_key("localField") || fields.contains_key("foreignField") {
            true => Some((path("localField")?, path("foreignField")?)),
            false => None,
        };
        let stages = fields.get("pipeline");
        if keys.is_none() && stages.is_none() {
            return Err(
                at.invalid("must have \"localField\" and \"foreignField\", or a \"pipeline\"")
            );
        }
        let variables = match fields.get("let") {
            Some(variables) => variables_of(variables, at.key("let"))?,
            None => Vec::new(),
        };
        let empty = Value::Array(Vec::new());
        let stages = stages.unwrap_or(&empty);
        // Null takes the place of every value while the form is checked.
        let names = variables.iter().map(|(name, _)| (name.as_str(), Some(&Value::Null)));
        let checked = bind::pipeline(stages, &names.collect());
        let pipeline = Pipeline::parse_inner(&checked, at.key("pipeline"), nesting)?;
        let foreign = ForeignDocuments::new(text("from")?, pipeline);
        let bound = (!variables.is_empty()).then(|| (variables, stages.clone()));
        Ok(Lookup { foreign, keys, bound, into: path("as")? })
    }

    fn found(
        &self,
        document: &Value,
        kept: &mut StageMemory<'_>,
        source: &dyn DocumentSource,
        ctx: &Context<'_>,
    ) -> Result<Vec<Value>> {
        let keys = self.keys.as_ref().map(|(local, foreign)| {
            let mut values = local_values(document, local);
            let test = match values.pop() {
                Some(only) if values.is_empty() => Test::Eq(only),
                last => {
                    Test::In(values.into_iter().chain(last).collect::<Vec<_>>().into(), Vec::new())
                }
            };
            Filter::Field(foreign.clone(), test)
        });
        let Some((variables, stages)) = &self.bound else {
            return kept.collect(self.foreign.find(keys, source, ctx)?);
        };
        let vars = Vars::root(document);
        let values = variables.iter().map(|(name, expr)| Ok((name, expr.eval(&vars, ctx)?)));
        let values = values.collect::<Result<Vec<_>>>()?;
        // The pipeline is written and parsed again for every document, with the values in it.
        let held = MemoryCharge::new(ctx, "$lookup");
        held.add(4 * stages.bytes())?;
        for (name, value) in &values {
            let copies = 1 + 3 * bind::uses(stages, name);
            held.add(copies.saturating_mul(value.as_ref().map_or(0, Value::bytes)))?;
        }
        let bindings = values.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        let stages = bind::pipeline(stages, &bindings.collect());
        let foreign = ForeignDocuments::new(
            &self.foreign.collection,
            Pipeline::parse(&stages, At::root("pipeline"))?,
        );
        kept.collect(foreign.find(keys, source, ctx)?)
    }
}

impl Stage for Lookup {
    fn read(&self, fields: &mut Fields) -> bool {
        if let Some((local, _)) = &self.keys {
            fields.add(local.as_str());
        }
        for (_, expr) in self.bound.iter().flat_map(|(variables, _)| variables) {
            expr.fields(fields);
        }
        // An object that it may write into.
        fields.add(self.into.as_str());
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        // What does not depend on a document is read once.
        let mut same: Option<(Vec<Value>, usize, StageMemory<'a>)> = None;
        each(input, ctx, move |mut document| {
            let mut kept = StageMemory::new("$lookup", ctx);
            let found = match (&self.keys, &self.bound, &same) {
                (None, None, Some((found, bytes, _))) => {
                    MemoryCharge::new(ctx, "$lookup").add(*bytes)?;
                    found.clone()
                }
                (None, None, None) => {
                    let found = kept.collect(self.foreign.find(None, source, ctx)?)?;
                    let bytes = found.iter().map(Value::bytes).sum();
                    MemoryCharge::new(ctx, "$lookup").add(bytes)?;
                    same = Some((found.clone(), bytes, kept));
                    found
                }
                _ => self.found(&document, &mut kept, source, ctx)?,
            };
            let (found, held) = (Value::Array(found), MemoryCharge::new(ctx, "$lookup"));
            let copies = places(&document, self.into.steps());
            if copies > 1 {
                // Into every item of an array on the way.
                held.add(copies.saturating_mul(found.bytes()))?;
            }
            set(&mut document, self.into.steps(), found);
            shallow(document).map(Some)
        })
    }

    fn role(&self) -> Role<'_> {
        Role::OneToOne
    }
}

fn variables_of(value: &Value, at: At<'_>) -> Result<Vec<(String, Expr)>> {
    let Value::Object(fields) = value else {
        return Err(at.invalid("must be an object of variables, such as {\"id\": \"$_id\"}"));
    };
    let parse = |(name, value): (&String, &Value)| {
        let plain = name.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
        if !plain || !name.starts_with(|first: char| first.is_lowercase()) {
            return Err(at
                .invalid(format!("has {name:?}, which cannot name a variable"))
                .hint("use letters, digits and '_', and begin with a small letter"));
        }
        Ok((name.clone(), Expr::parse(value, at.key(name))?))
    };
    fields.iter().map(parse).collect()
}

/// The values to look up: those at the path, of arrays their items, null if there is none.
fn local_values(document: &Value, path: &Path) -> Vec<Value> {
    let mut values = Vec::new();
    path.any(document, |value| {
        match value {
            Some(Value::Array(items)) => values.extend(items.iter().cloned()),
            other => values.extend(other.cloned()),
        }
        false
    });
    if values.is_empty() {
        values.push(Value::Null);
    }
    values
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
