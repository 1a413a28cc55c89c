//! Bodies and answers of schemas and validation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `PUT …/schema`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SchemaBody {
    /// JSON Schema (draft 2020-12), or `{"$jsonSchema": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Instead of a schema: `{"name": "string", "age": "int"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
    /// Whether a document that breaks it is refused.
    #[serde(default)]
    pub mode: SchemaMode,
}

/// What happens to a document that breaks the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// It is refused.
    #[default]
    Error,
    /// It is accepted, with warnings in the answer.
    Warn,
}

/// Answer of `GET …/schema`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SchemaReply {
    /// The schema; `null` when there is none.
    pub schema: Option<Value>,
    /// What happens to a document that breaks it.
    pub mode: SchemaMode,
}

/// Body of `POST …/validate`: a dry run of rules and schema.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ValidateBody {
    /// Documents to be checked; the stored ones when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Vec<Value>>,
    /// A schema to try instead of the collection's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// Answer of `POST …/validate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ValidateReply {
    /// Documents that were checked.
    pub checked: u64,
    /// Invalid documents; the first hundred.
    pub invalid: Vec<InvalidDocument>,
    /// Number of invalid documents.
    pub invalid_count: u64,
    /// References of the collection that are not checked yet, because an index they need is being
    /// built: `people.team`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_in_force: Vec<String>,
}

/// A document that breaks rules or schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InvalidDocument {
    /// Its `_id`, or its place in the list that was sent.
    pub document: Value,
    /// Its violations: path, rule, expected, found.
    pub violations: Vec<Value>,
}
