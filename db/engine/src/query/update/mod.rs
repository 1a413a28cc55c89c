//! MongoDB's updates: operators such as `{"$set": {"a.b": 1}, "$push": {"tags": "new"}}`, or a
//! pipeline such as `[{"$set": {"total": {"$add": ["$net", "$tax"]}}}]`.

mod arrays;
mod changes;
mod operators;
mod pipeline;
mod place;
mod upsert;

pub use upsert::upsert_base;

use self::changes::Changes;
use self::pipeline::Pipeline;
use super::context::{At, Context, Fields};
use super::filter::Filter;
use crate::error::{Error, Kind, Result};
use crate::value::Value;

const ID: &str = "_id";
/// The location of array filters, for error messages.
const ARRAY_FILTERS: &str = "arrayFilters";

/// A parsed update.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    source: Value,
    array_filters: Option<Value>,
    form: Form,
    touches_id: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Operators(Changes),
    Pipeline(Pipeline),
}

impl Update {
    /// Parses an object of operators or an array of stages. The operators' paths may name array
    /// filters as `$[name]`, an array of objects such as `{"name.price": {"$gt": 5}}`.
    ///
    /// # Errors
    /// `invalid_query` at the location of the wrong part, at `at` or in `arrayFilters`.
    pub fn parse(update: &Value, array_filters: Option<&Value>, at: At<'_>) -> Result<Update> {
        let form = match update {
            Value::Object(operators) if !operators.is_empty() => {
                Form::Operators(Changes::parse(operators, array_filters, at)?)
            }
            Value::Array(_) if array_filters.is_some() => {
                let message = "cannot go with a pipeline: its stages have no $[name]";
                return Err(At::root(ARRAY_FILTERS).invalid(message).hint("use $map or $filter"));
            }
            Value::Array(stages) => Form::Pipeline(Pipeline::parse(stages, at)?),
            _ => {
                return Err(at
                    .invalid("must be an object of operators or an array of stages")
                    .hint("such as {\"$set\": {\"a\": 1}}"));
            }
        };
        let (source, array_filters) = (update.clone(), array_filters.cloned());
        let touches_id = form.touches().contains(ID);
        Ok(Update { source, array_filters, form, touches_id })
    }

    /// Changes a document in place; returns whether it is different afterwards. `filter` is the
    /// filter that selected the document, for `$`; `inserting` is true for the new document of an
    /// upsert, which may still get its `_id`. Checking size and depth is left to the caller. If
    /// this fails, the document is damaged and must not be used.
    ///
    /// # Errors
    /// `not_applicable` if the document does not allow a change, `invalid_id` if the `_id` would
    /// change; of a pipeline also `too_deep`, `query_too_large` and those of its expressions.
    pub fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> Result<bool> {
        if !self.touches_id {
            return self.form.apply(document, filter, inserting, ctx);
        }
        let before = id_of(document).cloned();
        let changed = self.form.apply(document, filter, inserting, ctx)?;
        let after = id_of(document);
        let kept = match &before {
            Some(before) => after.is_some_and(|after| identical(before, after)),
            None => inserting || after.is_none(),
        };
        match kept {
            true => Ok(changed),
            false => Err(id_changed(before.as_ref())),
        }
    }

    /// The steps of work of parsing it beyond reading its text: its regular expressions.
    pub fn parse_steps(&self) -> u64 {
        match &self.form {
            Form::Operators(changes) => changes.parse_steps(),
            Form::Pipeline(pipeline) => pipeline.parse_steps(),
        }
    }

    /// The outermost fields that it may change.
    pub fn touches(&self) -> Fields {
        self.form.touches()
    }

    /// The update as it was written, without its array filters.
    pub fn to_value(&self) -> Value {
        self.source.clone()
    }

    /// The array filters as they were written.
    pub fn array_filters(&self) -> Option<&Value> {
        self.array_filters.as_ref()
    }
}

impl Form {
    fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> Result<bool> {
        match self {
            Form::Operators(changes) => changes.apply(document, filter, inserting, ctx),
            Form::Pipeline(pipeline) => pipeline.apply(document, ctx),
        }
    }

    fn touches(&self) -> Fields {
        match self {
            Form::Operators(changes) => changes.touches(),
            Form::Pipeline(pipeline) => pipeline.touches(),
        }
    }
}

fn id_of(document: &Value) -> Option<&Value> {
    document.as_object()?.get(ID)
}

/// The error for a change of the `_id`.
pub(super) fn id_changed(before: Option<&Value>) -> Error {
    let id = before.map_or("(none)".to_owned(), Value::to_json);
    Error::new(Kind::InvalidId, format!("the _id {id} of a document cannot change"))
        .hint("insert a document with the new _id and delete this one")
}

/// Whether two values are identical. Values that are merely equal, such as `5` and `5.0`, are not:
/// replacing one by the other is a change.
pub(super) fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // The bits of NaN differ from machine to machine.
        (Value::Double(a), Value::Double(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Value::Decimal(a), Value::Decimal(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => {
            let same = |(a, b): ((&String, _), (&String, _))| a.0 == b.0 && identical(a.1, b.1);
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        (Value::Array(a), Value::Array(b)) => identical_lists(a, b),
        _ => std::mem::discriminant(a) == std::mem::discriminant(b) && a == b,
    }
}

/// As [`identical`], for the items of two arrays.
fn identical_lists(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| identical(a, b))
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
