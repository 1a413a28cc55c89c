//! `$unwind`, and writing to a path of a document.

use super::super::context::{At, Context, Fields};
use super::super::path::{Path, PathStep};
use super::stage::{Role, SharedStage, Stage};
use super::{DocumentSource, Documents, read};
use crate::budget::steps_of;
use crate::error::Result;
use crate::value::{Object, Value};

/// A parsed `$unwind`.
#[derive(Debug)]
pub(super) struct Unwind {
    path: Path,
    index: Option<Path>,
    /// Whether documents without items are kept.
    preserve: bool,
}

impl Unwind {
    /// Parses `"$items"` or `{"path": "$items", "includeArrayIndex": …, …}`.
    ///
    /// # Errors
    /// `invalid_query` for an unknown option or a path without `$`.
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Unwind> {
        if value.as_str().is_some() {
            let path = Path::parse(read::field_path(value, at)?, at)?;
            return Ok(Unwind { path, index: None, preserve: false });
        }
        let fields =
            read::object(value, &["path", "includeArrayIndex", "preserveNullAndEmptyArrays"], at)?;
        let path_at = at.key("path");
        let index_at = at.key("includeArrayIndex");
        let index = fields.get("includeArrayIndex");
        let index = index.map(|name| Path::parse(read::text(name, index_at)?, index_at));
        Ok(Unwind {
            path: Path::parse(
                read::field_path(read::required(fields, "path", at)?, path_at)?,
                path_at,
            )?,
            index: index.transpose()?,
            preserve: read::flag(fields, "preserveNullAndEmptyArrays", at)?,
        })
    }

    fn documents<'a>(
        &'a self,
        mut document: Value,
        ctx: &'a Context<'a>,
    ) -> impl Iterator<Item = Result<Value>> + use<'a> {
        let mut items = Vec::new();
        let mut alone = false;
        match get_mut(&mut document, self.path.steps()) {
            Some(Value::Array(array)) if !array.is_empty() => items = std::mem::take(array),
            Some(Value::Array(_)) if self.preserve => {
                remove(&mut document, self.path.steps());
                alone = true;
            }
            Some(Value::Array(_)) => {}
            None | Some(Value::Null) => alone = self.preserve,
            Some(_) => alone = true,
        }
        if alone && let Some(index) = &self.index {
            set(&mut document, index.steps(), Value::Null);
        }
        let single = alone.then(|| Ok(document.clone()));
        // The rest of the document is copied for every item.
        let each = 1 + steps_of(if items.is_empty() { 0 } else { document.bytes() });
        let unwound = items.into_iter().enumerate().map(move |(number, item)| {
            ctx.work(each)?;
            let mut document = document.clone();
            set(&mut document, self.path.steps(), item);
            if let Some(index) = &self.index {
                set(
                    &mut document,
                    index.steps(),
                    Value::Long(i64::try_from(number).unwrap_or(i64::MAX)),
                );
            }
            Ok(document)
        });
        single.into_iter().chain(unwound)
    }
}

impl Stage for Unwind {
    fn read(&self, fields: &mut Fields) -> bool {
        fields.add(self.path.as_str());
        // An object that it may write into.
        self.index.iter().for_each(|index| fields.add(index.as_str()));
        false
    }

    /// Returns a document for each item of the array. A value that is not an array counts as its
    /// only item.
    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        Box::new(input.flat_map(move |document| {
            let unwound = document.and_then(|document| {
                ctx.step()?;
                Ok(self.documents(document, ctx))
            });
            let (documents, error) = match unwound {
                Ok(documents) => (Some(documents), None),
                Err(error) => (None, Some(Err(error))),
            };
            error.into_iter().chain(documents.into_iter().flatten())
        }))
    }

    fn role(&self) -> Role<'_> {
        Role::OneToMany
    }
}

/// The value at a path through objects only.
fn get_mut<'v>(value: &'v mut Value, steps: &[PathStep]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get_mut(&step.name),
        _ => None,
    })
}

fn remove(value: &mut Value, steps: &[PathStep]) {
    if let Some((last, above)) = steps.split_last()
        && let Some(Value::Object(fields)) = get_mut(value, above)
    {
        fields.shift_remove(&last.name);
    }
}

/// The number of times that [`set`] writes the value.
pub(super) fn places(target: &Value, steps: &[PathStep]) -> usize {
    match (steps.split_first(), target) {
        (Some(_), Value::Array(items)) => items.iter().map(|item| places(item, steps)).sum(),
        (Some((step, rest)), Value::Object(fields)) => {
            fields.get(&step.name).map_or(1, |inner| places(inner, rest))
        }
        _ => 1,
    }
}

/// Writes a value to a path: into every item of an array on the way, and with new objects in place
/// of values that cannot have fields.
pub(super) fn set(target: &mut Value, steps: &[PathStep], new: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *target = new;
        return;
    };
    match target {
        Value::Array(items) => items.iter_mut().for_each(|item| set(item, steps, new.clone())),
        Value::Object(fields) => set(fields.entry(step.name.clone()).or_default(), rest, new),
        other => {
            let mut inner = Value::Null;
            set(&mut inner, rest, new);
            *other = Value::Object(Object::from_iter([(step.name.clone(), inner)]));
        }
    }
}
