//! The events of a change feed.

use super::{Delta, DocumentId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Header of a call that resumes a change feed: the last token that was received.
pub const LAST_EVENT_HEADER: &str = "last-event-id";

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The document was inserted.
    Insert,
    /// The document was updated or replaced.
    Update,
    /// The document was deleted.
    Delete,
    /// Its collection was dropped; the event names no document.
    Drop,
    /// Its collection has another name now; the event names no document.
    Rename,
}

/// How much of a change an event of a feed has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeContent {
    /// The document as it is after the change.
    #[default]
    Document,
    /// What the change did to it.
    Delta,
    /// Both.
    Both,
}

/// One event of a change feed (`event: change`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeEvent {
    /// Where the feed goes on after this event; also the `id` of the server-sent event.
    pub token: String,
    /// Log index of the change.
    pub index: u64,
    /// The kind of the change.
    pub operation: ChangeKind,
    /// The database.
    pub database: String,
    /// The collection.
    pub collection: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DocumentId>,
    /// Its revision after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The time of the change, as ISO 8601.
    pub time: String,
    /// The user; absent for changes by the database itself, such as expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The document after the change; a deleted one as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// What the change did to the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
    /// With a filter: whether the document matches it after the change. An update by which a
    /// document ceases to match is an event too, with `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
    /// The name that the collection has now, after it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_to: Option<String>,
}

/// An event that only has the position of the feed (`event: progress`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProgressEvent {
    /// Where the feed goes on.
    pub token: String,
}
