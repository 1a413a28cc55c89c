//! Bodies and answers of indexes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

fn yes() -> bool {
    true
}

/// Body of `POST …/indexes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IndexBody {
    /// `{"city": 1, "age": -1}`.
    pub keys: Value,
    /// Answer only when it is built (the default), or at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// `name`, `unique`, `sparse`, `partialFilterExpression`, `expireAfterSeconds`,
    /// `sequential`.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

/// Answer of `GET …/indexes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexesReply {
    /// The indexes, beside the one on `_id`.
    pub indexes: Vec<IndexInfo>,
}

/// The state of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum IndexStateName {
    /// Documents are still being added to it; queries do not use it yet.
    Building,
    /// It holds every document.
    Ready,
    /// It could not be built; `error` says why. Drop it.
    Failed,
}

/// An index of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Its fields, each with 1 or -1.
    pub keys: Map<String, Value>,
    /// No two documents may have the same values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Documents without any of the fields are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// A document without the field gets the next number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sequential: bool,
    /// Only documents that match this are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_filter_expression: Option<Value>,
    /// Documents are deleted this number of seconds after the date in the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after_seconds: Option<u64>,
    /// Its state.
    pub state: IndexStateName,
    /// Documents that were indexed so far, while it is being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// Documents of the collection, while it is being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Why it could not be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Entries in it.
    pub entries: u64,
    /// Whether an array was ever met in its fields.
    pub multikey: bool,
}
