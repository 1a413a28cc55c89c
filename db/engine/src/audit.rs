//! The audit log: actions with their user, address and outcome. An entry is written by the same
//! log entry as the action, so that neither exists without the other.

use crate::id::DocumentId;
use crate::row::Row;
use crate::storage::{Read, Result, Table, keys};
use crate::{catalog, system};
use serde::{Deserialize, Serialize};

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number; later ones of its group are larger.
    #[serde(rename = "_id")]
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// The user that did it; none when the database did it by itself.
    #[serde(default)]
    pub user: Option<String>,
    /// The address that the call came from.
    #[serde(default)]
    pub from: Option<String>,
    /// What was done, for example `login`, `user_create` or `drop_database`.
    pub action: String,
    /// What it was done to: a user, a node, a database.
    pub target: String,
    /// `ok`, or the code of the error with which it was refused.
    pub outcome: String,
}

/// How many entries there are.
pub fn count(read: &impl Read) -> Result<u64> {
    match catalog::collection(read, system::DATABASE, system::AUDIT)? {
        Some(id) => Ok(catalog::totals(read, id)?.documents),
        None => Ok(0),
    }
}

/// The entries before a number, the latest first, that `wanted` accepts.
pub fn entries(
    read: &impl Read,
    before: Option<u64>,
    limit: usize,
    wanted: impl Fn(&AuditEntry) -> bool,
) -> Result<Vec<AuditEntry>> {
    let Some(collection) = catalog::collection(read, system::DATABASE, system::AUDIT)? else {
        return Ok(Vec::new());
    };
    let start = keys::collection_start(collection);
    let end = match before {
        Some(before) => keys::document_key(collection, &DocumentId::from(before as i64)),
        None => keys::collection_end(collection),
    };
    let mut found = Vec::new();
    for row in read.range_back(Table::Documents, &start, &end)? {
        let entry = Row::decode(row?.1).and_then(|row| system::parse(row.json));
        found.extend(entry.filter(&wanted));
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}
