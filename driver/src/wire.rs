//! Types and names that travel between a node and its clients.
//!
//! A node serialises these types and the driver reads them; no other crate defines a wire shape.

/// Words that are shown as they are sent: in upper case.
macro_rules! upper_case_display {
    ($($name:ty),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&format!("{self:?}").to_uppercase())
            }
        }
    )*};
}

mod audit;
mod batch;
mod catalog;
mod changes;
mod cluster;
mod document_id;
mod extended_json;
mod groups;
mod indexes;
mod kv;
mod overview;
mod plain_error;
mod position;
mod processes;
mod queries;
mod read_level;
mod schema;
mod sessions;
mod shards;
mod statements;
mod tasks;
mod tokens;
mod transactions;
mod users;
mod versions;
mod writes;

pub use audit::*;
pub use batch::*;
pub use catalog::*;
pub use changes::*;
pub use cluster::*;
pub use document_id::*;
pub use extended_json::*;
pub use groups::*;
pub use indexes::*;
pub use kv::*;
pub use overview::*;
pub use plain_error::*;
pub use position::*;
pub use processes::*;
pub use queries::*;
pub use read_level::*;
pub use schema::*;
pub use sessions::*;
pub use shards::*;
pub use statements::*;
pub use tasks::*;
pub use tokens::*;
pub use transactions::*;
pub use users::*;
pub use versions::*;
pub use writes::*;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Header with the log index that an answer reflects (its write, or the state it read).
pub const INDEX_HEADER: &str = "x-jettra-index";
/// Header with a name for the call, by which the logs can be searched; a caller may choose it.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Header with the advertised URL of the leader, as far as the answering node knows it.
pub const LEADER_HEADER: &str = "x-jettra-leader";
/// Header with the numbers of groups that have not heard yet that a right was taken away, because they
/// have no quorum. They hear of it before they take or answer another call.
pub const PENDING_HEADER: &str = "x-jettra-pending-groups";
/// Header with the name (`NodeID`) of the node that served the call.
pub const NODE_HEADER: &str = "x-jettra-node";
/// Header that a request authenticated by cookie must carry when it changes something.
///
/// Browsers send it only from a page of the same origin, so a foreign page cannot act
/// for a logged-in user.
pub const CLIENT_HEADER: &str = "x-jettra-client";

/// The body of an error answer: `{"error": {…}}`. [`PlainErrorBody`] is read as well.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The error itself.
    pub error: ErrorDetail,
}

/// What went wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// Stable, machine-readable code, for example `document_not_found`.
    pub code: String,
    /// One sentence that names the value that was wrong.
    pub message: String,
    /// The next step for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Values that belong to the code, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Names this call in the node's log.
    #[serde(default)]
    pub request_id: String,
}

/// `{"status": "…"}`, JettraDBVM's answer to most changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusReply {
    /// What happened, for example `created`.
    pub status: String,
}
