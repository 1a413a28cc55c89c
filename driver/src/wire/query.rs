//! Bodies and answers of queries, updates, indexes and schemas.

use super::{DocumentId, ErrorDetail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How much `explain` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ExplainLevel {
    /// The plan; nothing is read.
    QueryPlanner,
    /// The query is carried out and counted too.
    ExecutionStats,
}

/// Body of `POST …/find`. Every part may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindBody {
    /// MongoDB filter; everything matches without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// `{"age": -1}`, or the short form `"-age,name"`. Without one the order of `_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// `{"name": 1}`, or the short form `"name,-_id"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Value>,
    /// Documents to leave out first; 0 with a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// Documents at most; 100 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Name or fields of the index to use, or `"$natural"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// Asks for the plan instead of the documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Body of `POST …/aggregate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AggregateBody {
    /// MongoDB pipeline: an array of stages.
    pub pipeline: Value,
    /// As in [`FindBody::hint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// As in [`FindBody::explain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Answer of `POST …/aggregate`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AggregateReply {
    /// The result; empty when it was written.
    pub documents: Vec<Value>,
    /// Documents that `$out` or `$merge` wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
}

/// Body of `POST …/count`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CountBody {
    /// As in [`FindBody::filter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// As in [`FindBody::hint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// As in [`FindBody::explain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Body of `POST …/distinct`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DistinctBody {
    /// Path of the field.
    pub field: String,
    /// As in [`FindBody::filter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// As in [`FindBody::explain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Answer of `POST …/distinct`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DistinctReply {
    /// The different values, in their order.
    pub values: Vec<Value>,
}

/// Answer of a query that asked for its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainReply {
    /// `queryPlanner`, and `executionStats` when asked for, as MongoDB names them.
    pub explain: Value,
}

fn no(truth: &bool) -> bool {
    !truth
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
    #[serde(default, skip_serializing_if = "no")]
    pub multi: bool,
    /// Insert a document when none matches.
    #[serde(default, skip_serializing_if = "no")]
    pub upsert: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// As in [`FindBody::hint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// As in [`FindBody::explain`]; nothing is changed.
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
    #[serde(default, skip_serializing_if = "no")]
    pub upsert: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// As in [`FindBody::hint`].
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
    #[serde(default, skip_serializing_if = "no")]
    pub multi: bool,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// As in [`FindBody::hint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Value>,
    /// As in [`FindBody::explain`]; nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainLevel>,
}

/// Which form of a document is wanted back.
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

/// Body of `POST …/find-and-modify`: changes one document and gives it back. Exactly one of
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
    #[serde(default, skip_serializing_if = "no")]
    pub remove: bool,
    /// Filters for `$[name]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_filters: Option<Value>,
    /// Which one is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// What of the document is wanted back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Value>,
    /// Insert a document when none matches.
    #[serde(default, skip_serializing_if = "no")]
    pub upsert: bool,
    /// Which form of it is wanted back.
    #[serde(default, rename = "return")]
    pub returning: ReturnForm,
    /// As in [`FindBody::hint`].
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
    /// Whether this repeats an earlier answer whose document is kept no longer.
    #[serde(rename = "document_forgotten", default, skip_serializing_if = "std::ops::Not::not")]
    pub document_forgotten: bool,
}

/// Answer of a repeated `PATCH …/documents/{id}` when the document that it gave is kept no longer.
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

fn yes() -> bool {
    true
}

/// Body of `POST …/bulk`: many writes in one log entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// What is to be done.
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
    /// Whether this repeats an earlier answer of which `_id`s, errors and warnings are kept no
    /// longer, because there were very many.
    #[serde(rename = "details_forgotten", default, skip_serializing_if = "std::ops::Not::not")]
    pub details_forgotten: bool,
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

/// How far an index is.
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
    #[serde(default, skip_serializing_if = "no")]
    pub unique: bool,
    /// Documents without any of the fields are left out.
    #[serde(default, skip_serializing_if = "no")]
    pub sparse: bool,
    /// A document without the field gets the next number.
    #[serde(default, skip_serializing_if = "no")]
    pub sequential: bool,
    /// Only documents that match this are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_filter_expression: Option<Value>,
    /// Documents are deleted so many seconds after the date in the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after_seconds: Option<u64>,
    /// How far it is.
    pub state: IndexStateName,
    /// Documents that were looked at while it is being built.
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
    /// Documents that were looked at.
    pub checked: u64,
    /// Those that break something; the first hundred.
    pub invalid: Vec<InvalidDocument>,
    /// How many there are.
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
    /// What it breaks: path, rule, expected, found.
    pub violations: Vec<Value>,
}

/// Answer of `GET …/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatsReply {
    /// Documents.
    pub documents: u64,
    /// Bytes of their JSON text.
    pub bytes: u64,
    /// Bytes of one on average.
    pub average_bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
    /// Whether it has a schema.
    pub schema: bool,
}

/// Answer of `GET …/hash`: equal on all nodes at the same log index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HashReply {
    /// Log index of the state that was hashed.
    pub index: u64,
    /// For each collection the hash of its documents and of its index entries.
    pub collections: BTreeMap<String, CollectionHash>,
}

/// Hashes of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionHash {
    /// XXH3 of its documents with revisions, in hexadecimal.
    pub documents: String,
    /// XXH3 of the entries of its indexes, in hexadecimal.
    pub indexes: String,
    /// XXH3 of its versions, in hexadecimal, when it keeps some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
}

/// Header of a statement's answer that says that there are more documents than it gives.
pub const MORE_HEADER: &str = "x-jettra-more";
/// Header of the same answer with [`CommandBody::cursor`] for what follows, unless it is too long
/// for a header.
pub const CURSOR_HEADER: &str = "x-jettra-cursor";

/// Body of `POST /api/command`. With `page` or `cursor` the answer is a [`StatementReply`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandBody {
    /// A text in JQL, SQL or Mongo's shell language.
    pub command: String,
    /// Documents of one page at most. The statement's `LIMIT` bounds all pages together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of `POST /api/command` to a call that wants pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum StatementReply {
    /// A list of documents.
    Documents {
        /// Those of this page; there may be more even when it has none.
        documents: Vec<Value>,
        /// Pass it back for the next page; absent on the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    },
    /// Anything else: one document or null, `{"count": n}`, `{"explain": …}`, a list of values,
    /// `{"message": "…", …}`.
    Answer {
        /// What a call that wants no pages is answered.
        answer: Value,
    },
}
