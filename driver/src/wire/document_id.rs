//! The identity of a document.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// The identity of a document inside its collection: the value of `_id`, which is anything but null,
/// an array and a regular expression. Equal numbers are one `_id`, whatever their types.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentId {
    /// An integer `_id`.
    Int(i64),
    /// A string `_id`.
    String(String),
    /// Any other, as compact Extended JSON: `{"$oid":"65a000000000000000000001"}`.
    Json(String),
}

impl DocumentId {
    /// The `_id` that a value of JSON is.
    pub fn from_value(value: Value) -> DocumentId {
        match value {
            Value::String(text) => DocumentId::String(text),
            Value::Number(number) if number.is_i64() => {
                DocumentId::Int(number.as_i64().unwrap_or_default())
            }
            other => DocumentId::Json(other.to_string()),
        }
    }

    /// An ObjectId of MongoDB, from its 24 hexadecimal digits.
    pub fn object_id(digits: &str) -> DocumentId {
        DocumentId::from_value(json!({"$oid": digits}))
    }

    /// The `_id` as a value of JSON; null for what is not JSON.
    pub fn to_value(&self) -> Value {
        match self {
            DocumentId::Int(number) => Value::from(*number),
            DocumentId::String(text) => Value::from(text.as_str()),
            DocumentId::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }

    /// How an address names it: the text, and the parameter `id_type` that says what the text means.
    pub fn in_address(&self) -> (String, &'static str) {
        match self {
            DocumentId::Int(number) => (number.to_string(), "int"),
            // No address has such a part.
            DocumentId::String(text) if matches!(text.as_str(), "" | "." | "..") => {
                (json!(text).to_string(), "json")
            }
            DocumentId::String(text) => (text.clone(), "string"),
            DocumentId::Json(text) => (text.clone(), "json"),
        }
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentId::Int(number) => number.fmt(f),
            DocumentId::String(text) | DocumentId::Json(text) => text.fmt(f),
        }
    }
}

impl Serialize for DocumentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(DocumentId::from_value)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DocumentId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DocumentId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The value of `_id`: anything but null, an array and a regular expression; in relaxed \
                Extended JSON.",
            "type": ["integer", "number", "string", "boolean", "object"],
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
