//! Keys and values, in the shapes of rockraft's cluster example.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A key with its value: the answer of `GET /api/kv/get`, and the body of `POST /api/kv/set`. The
/// numbers of the value keep their types, as in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KvEntry {
    /// The key; its limits are those of an `_id`.
    pub key: String,
    /// Any JSON; `null` when there is no such key.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub value: Box<RawValue>,
}

/// The body of `POST /api/kv/delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KvKey {
    /// The key.
    pub key: String,
}

/// The answer of a call that has changed a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KvReply {
    /// Always true.
    pub success: bool,
    /// What was done, in a sentence.
    pub message: String,
}
