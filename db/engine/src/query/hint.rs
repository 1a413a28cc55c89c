//! The index that a caller demands.

use super::context::At;
use crate::catalog::Collection;
use crate::error::Result;
use crate::index::{ID_INDEX, Index};
use crate::value::Value;
use std::fmt;
use std::sync::Arc;

/// The index that a caller demands. A sparse or partial one returns the documents that it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// None: the collection itself.
    Natural,
    /// The collection by `_id`.
    Id,
    /// The index with this name.
    Name(String),
    /// The index with these fields.
    Keys(Vec<(String, bool)>),
}

impl Hint {
    /// Reads a hint: a name, `"$natural"`, or the fields of an index.
    ///
    /// # Errors
    /// `invalid_query`.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Hint> {
        match value {
            Value::String(name) if name == "$natural" => Ok(Hint::Natural),
            Value::String(name) if name == ID_INDEX => Ok(Hint::Id),
            Value::String(name) => Ok(Hint::Name(name.clone())),
            Value::Object(fields) if fields.contains_key("$natural") => Ok(Hint::Natural),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(n, d)| (n.clone(), d.as_int() == Some(-1)));
                let fields: Vec<_> = fields.collect();
                Ok(if fields == [("_id".to_owned(), false)] {
                    Hint::Id
                } else {
                    Hint::Keys(fields)
                })
            }
            _ => Err(at.invalid("must be the name of an index or its fields")),
        }
    }

    /// The position of the index in the collection's list; `None` for the collection itself.
    ///
    /// # Errors
    /// `invalid_query` if the hint fits no ready index, or several.
    pub fn find(&self, collection: &Collection) -> Result<Option<usize>> {
        let meant = |index: &Index| match self {
            Hint::Natural | Hint::Id => false,
            Hint::Name(name) => index.entry.spec.name == *name,
            Hint::Keys(keys) => index.entry.spec.fields == *keys,
        };
        if matches!(self, Hint::Natural | Hint::Id) {
            return Ok(None);
        }
        let found = collection.indexes.iter().enumerate();
        let mut found =
            found.filter(|(_, index): &(usize, &Arc<Index>)| index.is_ready() && meant(index));
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(Some(position)),
            (None, _) => Err(At::root("hint")
                .invalid(format!(
                    "names {self}, which is no index of this collection that is ready"
                ))
                .hint("list the indexes, or leave the hint out")),
            (Some((_, one)), Some((_, other))) => {
                let (one, other) = (&one.entry.spec.name, &other.entry.spec.name);
                Err(At::root("hint")
                    .invalid(format!("names {self}, the fields of several indexes"))
                    .hint(format!("give the name of one, such as {one:?} or {other:?}")))
            }
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::Natural => f.write_str("$natural"),
            Hint::Id => f.write_str(ID_INDEX),
            Hint::Name(name) => f.write_str(name),
            Hint::Keys(keys) => {
                let fields = keys.iter().map(|(name, descending)| {
                    (name.clone(), Value::Int(if *descending { -1 } else { 1 }))
                });
                f.write_str(&Value::Object(fields.collect()).to_json())
            }
        }
    }
}
