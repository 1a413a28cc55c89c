//! Bodies and answers of batches.

use super::{DocumentId, UpdateBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `POST /api/v1/batch`: operations that are carried out together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// The conditions for `then`, which must all hold. Without conditions `then` is carried out.
    #[serde(rename = "if", default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Carried out when the conditions hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<BatchOperation>,
    /// Carried out when a condition does not hold.
    #[serde(rename = "else", default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<BatchOperation>,
}

/// One condition of a batch, on the document with an `_id` or on those that match a filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The database.
    pub database: String,
    /// The collection.
    pub collection: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DocumentId>,
    /// With `id`: the revision it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What the document must match; without `id`, what some document must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// `false`: there must be no such document. Default `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// One operation of a batch. Each names its database and collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a batch has few operations")]
pub enum BatchOperation {
    /// Inserts a document that must not exist.
    Insert {
        /// The database.
        database: String,
        /// The collection; created when it is missing.
        collection: String,
        /// The document; gets an `_id` when it has none.
        document: Value,
    },
    /// Writes a document at its `_id`, whether or not there was one.
    Save {
        /// The database.
        database: String,
        /// The collection; created when it is missing.
        collection: String,
        /// The document with its `_id`.
        document: Value,
    },
    /// Updates documents: `filter`, `update` and the rest as in `POST …/update`.
    Update {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// The rest.
        #[serde(flatten)]
        body: UpdateBody,
    },
    /// Deletes documents.
    Delete {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Which.
        filter: Value,
        /// All that match, not only the first.
        #[serde(default)]
        multi: bool,
    },
    /// Reads a document as the operations before this one have left it.
    Get {
        /// The database.
        database: String,
        /// The collection.
        collection: String,
        /// Which.
        id: DocumentId,
    },
}

/// Answer of `POST /api/v1/batch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchReply {
    /// Whether the conditions held, so that `then` was carried out, not `else`.
    pub succeeded: bool,
    /// What each operation did.
    pub results: Vec<BatchResult>,
}

/// What one operation of a batch did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchResult {
    /// Documents that matched.
    #[serde(default)]
    pub matched: u64,
    /// Documents that were changed.
    #[serde(default)]
    pub modified: u64,
    /// Documents that were deleted.
    #[serde(default)]
    pub deleted: u64,
    /// The `_id` of the document that was inserted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inserted_id: Option<DocumentId>,
    /// Revision of the last document that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The document that was read; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// Whether this repeats an earlier answer whose document is no longer kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub document_forgotten: bool,
}
