//! Bodies and answers of writes: update, replace, delete, find-and-modify and bulk.

use super::{DocumentId, ErrorDetail, ExplainLevel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

fn yes() -> bool {
    true
}

/// Answer of a write to one document through the REST interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WriteReply {
    /// The document's `_id`.
    pub id: DocumentId,
    /// The revision after the write; also the `ETag`.
    pub revision: u64,
    /// What a schema in warn mode found: path, rule, expected, found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
}

/// Body of `POST …/update`: changes the first document that matches, or all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpdateBody {
    /// Which documents.
    pub filter: Value,
    /// Update operators, or a pipeline.
    pub update: Value,
    /// Filters for `$[name]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_filters: Option<Value>,
    /// All that match, not only the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// Insert a document when none matches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upsert: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// Name or fields of the index to use, or `"$natural"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// Asks for the plan; nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Body of `POST …/replace`: puts a document in the place of the first that matches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReplaceBody {
    /// Which document.
    pub filter: Value,
    /// The new document; its `_id`, if it has one, must be that of the old one.
    pub replacement: Value,
    /// Insert it when none matches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upsert: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// Name or fields of the index to use, or `"$natural"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
}

/// Body of `POST …/delete`: deletes the first document that matches, or all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeleteBody {
    /// Which documents.
    pub filter: Value,
    /// All that match, not only the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// Name or fields of the index to use, or `"$natural"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// Asks for the plan; nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Which form of a document is returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReturnForm {
    /// As it was before.
    #[default]
    Before,
    /// As it is afterwards.
    After,
}

/// Body of `POST …/find-and-modify`: changes one document and returns it. Exactly one of
/// `update`, `replacement` and `remove` says how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FindAndModifyBody {
    /// Which document.
    pub filter: Value,
    /// Update operators, or a pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Value>,
    /// A document for its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Value>,
    /// Delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
    /// Filters for `$[name]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_filters: Option<Value>,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// The fields of the document that are returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Value>,
    /// Insert a document when none matches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upsert: bool,
    /// Which form of it is returned.
    #[serde(default, rename = "return")]
    pub returning: ReturnForm,
    /// Name or fields of the index to use, or `"$natural"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
}

/// Answer of `POST …/update` and `POST …/replace`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateReply {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that are different now.
    pub modified: u64,
    /// The `_id` of the document that was inserted because none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upserted_id: Option<DocumentId>,
    /// What a schema in warn mode found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
}

/// Answer of `POST …/delete`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteReply {
    /// Documents that were deleted.
    pub deleted: u64,
}

/// Answer of `POST …/find-and-modify`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindAndModifyReply {
    /// The document; `null` when none matched, and before an upsert.
    pub document: Option<Value>,
    /// The `_id` of the document that was inserted because none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upserted_id: Option<DocumentId>,
    /// Whether this repeats an earlier answer whose document is no longer kept.
    #[serde(rename = "document_forgotten", default, skip_serializing_if = "std::ops::Not::not")]
    pub document_forgotten: bool,
}

/// Answer of a repeated `PATCH …/documents/{id}` when the document of the first answer is no longer
/// kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForgottenReply {
    /// The document's `_id`.
    pub id: DocumentId,
    /// Its revision after the change.
    pub revision: u64,
    /// `true`.
    pub document_forgotten: bool,
}

/// One operation of a bulk write, with MongoDB's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum BulkOperation {
    /// Inserts a document.
    InsertOne {
        /// The document.
        document: Value,
    },
    /// Updates the first document that matches.
    UpdateOne(UpdateBody),
    /// Updates all documents that match.
    UpdateMany(UpdateBody),
    /// Replaces the first document that matches.
    ReplaceOne(ReplaceBody),
    /// Deletes the first document that matches.
    DeleteOne(DeleteBody),
    /// Deletes all documents that match.
    DeleteMany(DeleteBody),
}

/// Body of `POST …/bulk`: many writes in one log entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// The operations.
    pub operations: Vec<BulkOperation>,
    /// End at the first that fails (the default), or try all.
    #[serde(default = "yes")]
    pub ordered: bool,
}

/// Answer of `POST …/bulk`. When an operation fails, the answer is its error, and this stands
/// in the error's `details` under `result`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BulkReply {
    /// Documents that were inserted by `insertOne`.
    pub inserted: u64,
    /// Documents that matched.
    pub matched: u64,
    /// Documents that are different now.
    pub modified: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// The `_id`s of inserted documents, by the number of their operation.
    pub inserted_ids: BTreeMap<usize, DocumentId>,
    /// The `_id`s of upserted documents, by the number of their operation.
    pub upserted_ids: BTreeMap<usize, DocumentId>,
    /// What failed, by the number of the operation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<usize, ErrorDetail>,
    /// What a schema in warn mode found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Value>,
    /// Whether this repeats an earlier answer whose `_id`s, errors and warnings are no longer kept,
    /// because there were very many.
    #[serde(rename = "details_forgotten", default, skip_serializing_if = "std::ops::Not::not")]
    pub details_forgotten: bool,
}
