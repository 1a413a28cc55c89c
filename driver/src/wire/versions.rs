//! Bodies and answers of versions.

use super::{ChangeKind, DocumentId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Body of `PUT …/collections/{col}/versions`: former documents are kept from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VersionsBody {
    /// Changes that are kept of each document; all when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
    /// Seconds for which a change is kept; without limit when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
}

/// Answer of `GET` and `PUT …/collections/{col}/versions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionsReply {
    /// Whether former documents are kept.
    pub enabled: bool,
    /// Changes that are kept of each document; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
    /// Seconds for which a change is kept; without limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
    /// Log index back to which the collection can be read as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_index: Option<u64>,
    /// Changes that are kept now.
    #[serde(default)]
    pub changes: u64,
    /// Bytes of them.
    #[serde(default)]
    pub bytes: u64,
}

/// Answer of `GET …/documents/{id}/versions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryReply {
    /// The versions of the document, the newest first.
    pub versions: Vec<VersionInfo>,
}

/// One version of a document: what it was from one change to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionInfo {
    /// Its number: the log index of the change that created it; followed by `.1`, `.2` when that
    /// log entry changed the document more than once.
    pub version: String,
    /// The kind of the change; absent for the oldest version when the change is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<ChangeKind>,
    /// The time of the change, as ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The user; absent for changes by the database itself, such as expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Revision of the document in this version; absent when it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Bytes of its JSON text.
    #[serde(default)]
    pub bytes: u64,
    /// Whether this is what the document is now.
    #[serde(default)]
    pub current: bool,
}

/// The difference between two forms of a document, in the shape of MongoDB's change streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delta {
    /// Fields with another value, by their dotted path. Arrays are replaced as a whole.
    #[serde(default)]
    pub updated: Map<String, Value>,
    /// Fields that are no longer there.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// Answer of `GET …/documents/{id}/versions/{version}/diff`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffReply {
    /// The version that is compared.
    pub from: String,
    /// The version that it is compared with.
    pub to: String,
    /// What leads from the one to the other.
    pub delta: Delta,
}

/// Body of JettraDBVM's `POST /api/restore-version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoreVersionBody {
    /// The database.
    #[serde(alias = "database")]
    pub db: String,
    /// The collection.
    #[serde(alias = "collection")]
    pub col: String,
    /// The document.
    pub id: DocumentId,
    /// The version; a number or a text.
    pub version: Value,
}
