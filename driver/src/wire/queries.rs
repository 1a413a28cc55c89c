//! Bodies and answers of queries.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much `explain` reports.
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

/// Answer of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CountReply {
    /// Number of documents in the collection.
    pub count: u64,
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

/// Answer of a paged listing through the REST interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListReply {
    /// The documents of this page, in `_id` order (integers before strings).
    pub documents: Vec<Value>,
    /// Pass it back as `cursor=` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
