//! The identity of a document.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The identity of a document inside its collection: the value of `_id`.
///
/// In an address it is written as plain text; `id_type=int` or `id_type=string` selects one where
/// the text could be either.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentId {
    /// An integer `_id`.
    Int(i64),
    /// A string `_id`.
    String(String),
}

/// Written to JSON as the bare number or string; to a binary form with its variant.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bare {
    Int(i64),
    String(String),
}

#[derive(Serialize, Deserialize)]
enum Tagged {
    Int(i64),
    String(String),
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentId::Int(number) => number.fmt(f),
            DocumentId::String(text) => text.fmt(f),
        }
    }
}

impl Serialize for DocumentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            DocumentId::Int(number) if serializer.is_human_readable() => {
                serializer.serialize_i64(number)
            }
            DocumentId::String(text) if serializer.is_human_readable() => {
                serializer.serialize_str(&text)
            }
            DocumentId::Int(number) => Tagged::Int(number).serialize(serializer),
            DocumentId::String(text) => Tagged::String(text).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Bare::deserialize(deserializer).map(|bare| match bare {
                Bare::Int(number) => DocumentId::Int(number),
                Bare::String(text) => DocumentId::String(text),
            });
        }
        Tagged::deserialize(deserializer).map(|tagged| match tagged {
            Tagged::Int(number) => DocumentId::Int(number),
            Tagged::String(text) => DocumentId::String(text),
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DocumentId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DocumentId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The value of `_id`.",
            "anyOf": [
                {"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
                {"type": "string"},
                {"type": "object", "description": "In canonical Extended JSON."},
            ],
        })
    }
}

impl From<&str> for DocumentId {
    fn from(text: &str) -> Self {
        DocumentId::String(text.to_owned())
    }
}

impl From<String> for DocumentId {
    fn from(text: String) -> Self {
        DocumentId::String(text)
    }
}

impl From<i64> for DocumentId {
    fn from(number: i64) -> Self {
        DocumentId::Int(number)
    }
}
