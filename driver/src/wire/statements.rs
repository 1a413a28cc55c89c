//! Bodies and answers of statements of the query languages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Header of a statement's answer when there are more documents than the answer has.
pub const MORE_HEADER: &str = "x-jettra-more";
/// Header of the same answer with [`StatementBody::cursor`] for what follows, unless it is too long
/// for a header.
pub const CURSOR_HEADER: &str = "x-jettra-cursor";

/// Body of `POST /api/command`. With `page` or `cursor` the answer is a [`StatementReply`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatementBody {
    /// A text in JQL, SQL or MongoDB's shell language.
    pub command: String,
    /// Documents of one page at most. The statement's `LIMIT` bounds all pages together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of `POST /api/command` to a call for pages.
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
        /// The answer to the same call without pages.
        answer: Value,
    },
}
