//! The audit log: who did what, from where, and what came of it. An entry stands in the same
//! log entry as what it tells of, so the one is not there without the other.

use super::apply::{Applier, ApplyResult, settle};
use super::catalog;
use super::command::{AuditEvent, Outcome, PutMode};
use super::document;
use super::system;
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::{Read, Table, WriteTxn, keys};
use serde::Deserialize;

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuditEntry {
    /// Its number; later ones are larger.
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

impl Applier {
    /// Adds an entry about what the present proposal has done.
    pub(super) fn note(&mut self, txn: &mut WriteTxn<'_>, event: &AuditEvent) -> Result<()> {
        let entry = serde_json::json!({
            "time_ms": self.numbers.time_ms,
            "user": self.now.user,
            "from": self.now.from,
            "action": event.action,
            "target": event.target,
            "outcome": event.outcome,
        });
        let namespace = NamespaceRef { database: system::DATABASE, collection: system::AUDIT };
        // Revisions grow with every document that is written.
        let id = DocumentId::Int(self.numbers.revision as i64 + 1);
        // Whatever could refuse it does so on every replica; the node's log has the entry too.
        let _ = settle(self.put(
            txn,
            namespace,
            id.into(),
            &entry.to_string(),
            PutMode::Insert,
            None,
            true,
        ))?;
        Ok(())
    }

    /// [`Command::TrimAudit`](super::Command::TrimAudit)
    pub(super) fn trim_audit(
        &mut self,
        txn: &mut WriteTxn<'_>,
        entries_max: u64,
        rows: usize,
    ) -> ApplyResult {
        let Some(id) = catalog::collection(txn, system::DATABASE, system::AUDIT)? else {
            return Ok(Outcome::Worked(0));
        };
        let documents = match self.numbers.totals.get(&id) {
            Some(totals) => totals.documents,
            None => catalog::totals(txn, id)?.documents,
        };
        let surplus = documents.saturating_sub(entries_max).min(rows as u64) as usize;
        let (start, end) = (keys::collection_start(id), keys::collection_end(id));
        let oldest = txn.range(Table::Documents, &start, &end)?.take(surplus);
        let ids = oldest.map(|row| Ok(keys::document_id(row?.0)));
        let ids: Vec<_> = ids.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let worked = ids.len() as u64;
        let namespace = NamespaceRef { database: system::DATABASE, collection: system::AUDIT };
        for id in ids {
            let _ = settle(self.delete(txn, namespace, id.into(), None))?;
        }
        Ok(Outcome::Worked(worked))
    }
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
        Some(before) => keys::document_key(collection, &DocumentId::Int(before as i64)),
        None => keys::collection_end(collection),
    };
    let mut found = Vec::new();
    for row in read.range_back(Table::Documents, &start, &end)? {
        let entry = document::decode(row?.1).and_then(|(_, json)| system::parse(json));
        found.extend(entry.filter(&wanted));
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}
