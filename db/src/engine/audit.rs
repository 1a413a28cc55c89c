//! The audit log: who did what, from where, and what came of it. An entry stands in the same
//! log entry as what it tells of, so the one is not there without the other.

use super::apply::{Applied, Applier, Place};
use super::catalog;
use super::command::{Command, Noted, Outcome, PutMode, UserUpdate};
use super::document;
use super::system;
use crate::storage::env::Result;
use crate::storage::{Read, StorageError, Table, WriteTxn, keys};
use jettra_driver::DocumentId;
use jettra_driver::wire::{AuditEntry, NodeStatus, TokenKind};

/// What a command is called in the audit log, and what it is done to; none for those that are
/// not noted.
pub(super) fn noted(command: &Command) -> Option<Noted> {
    let place = |database: &str, collection: &str| format!("{database}.{collection}");
    let (action, target) = match command {
        Command::CreateUser(user) => ("user_create", format!("{} ({})", user.name, user.role)),
        Command::UpdateUser(update) => match update.proved_hash {
            Some(_) => ("password_change", update.name.clone()),
            None => ("user_update", changes(update)),
        },
        Command::DeleteUser { name } => ("user_delete", name.clone()),
        Command::CreateToken(token) => match token.kind {
            TokenKind::Session => ("login", token.user.clone()),
            TokenKind::ApiKey => {
                ("token_create", format!("{} {}", token.id, token.name.as_deref().unwrap_or("")))
            }
            TokenKind::Join => ("token_create", format!("{} for a new node", token.id)),
        },
        Command::RevokeToken { id, .. } => ("token_revoke", id.clone()),
        Command::UseJoinToken { id, node } => ("join_token_use", format!("{id} {node}")),
        Command::DropDatabase { name } => ("drop_database", name.clone()),
        Command::RenameDatabase { from, to } => ("rename_database", format!("{from} to {to}")),
        Command::DropCollection { database, collection } => {
            ("drop_collection", place(database, collection))
        }
        Command::DropIndex { database, collection, name } => {
            ("drop_index", format!("{} {name}", place(database, collection)))
        }
        Command::ReplaceCollection { database, to, .. } => {
            ("replace_collection", place(database, to))
        }
        Command::SetSchema { database, collection, .. } => {
            ("set_schema", place(database, collection))
        }
        Command::RenameCollection { database, from, to } => {
            ("rename_collection", format!("{} to {to}", place(database, from)))
        }
        Command::SetVersions { database, collection, keep: None } => {
            ("drop_versions", place(database, collection))
        }
        Command::ClusterRegister { node, url, .. } => ("cluster_register", format!("{node} {url}")),
        Command::ClusterUpdate { node, status: Some(NodeStatus::Leaving), .. } => {
            ("cluster_deregister", node.clone())
        }
        Command::ClusterStop { node, restart, .. } => {
            (if *restart { "cluster_restart" } else { "cluster_stop" }, node.clone())
        }
        Command::ClusterMark { node, to: NodeStatus::Paused, .. } => {
            ("cluster_pause", node.clone())
        }
        Command::ClusterMark { node, to: NodeStatus::Active, .. } => {
            ("cluster_resume", node.clone())
        }
        Command::Audit(noted) => return Some((**noted).clone()),
        _ => return None,
    };
    Some(Noted { action: action.into(), target, outcome: "ok".into() })
}

/// What is changed of a user, without secrets.
fn changes(update: &UserUpdate) -> String {
    let mut parts = vec![update.name.clone()];
    parts.extend(update.password_hash.as_ref().map(|_| "password".to_owned()));
    parts.extend(update.role.as_ref().map(|role| format!("role={role}")));
    parts.extend(update.allowed_dbs.as_ref().map(|all| format!("databases={}", all.join(","))));
    parts.extend(update.grants.as_ref().map(|grants| {
        let grants = grants.iter().map(|(database, role)| format!("{database}:{role}"));
        format!("grants={}", grants.collect::<Vec<_>>().join(","))
    }));
    parts.extend(update.disabled.map(|disabled| format!("disabled={disabled}")));
    parts.join(" ")
}

impl Applier {
    /// Adds an entry about what the present proposal has done.
    pub(super) fn note(&mut self, txn: &mut WriteTxn<'_>, noted: &Noted) -> Result<()> {
        let entry = serde_json::json!({
            "time_ms": self.numbers.time_ms,
            "user": self.now.user,
            "from": self.now.from,
            "action": noted.action,
            "target": noted.target,
            "outcome": noted.outcome,
        });
        let place = Place { database: system::DATABASE, collection: system::AUDIT };
        // Revisions grow with every document that is written.
        let id = DocumentId::Int(self.numbers.revision as i64 + 1);
        match self.put(txn, place, id.into(), &entry.to_string(), PutMode::Insert, None, true)? {
            Ok(_) => Ok(()),
            Err(error) => Err(StorageError::Failed(error.to_string())),
        }
    }

    /// [`Command::TrimAudit`]
    pub(super) fn trim_audit(
        &mut self,
        txn: &mut WriteTxn<'_>,
        entries_max: u64,
        rows: usize,
    ) -> Applied {
        let Some(id) = catalog::collection(txn, system::DATABASE, system::AUDIT)? else {
            return Ok(Ok(Outcome::Worked(0)));
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
        let place = Place { database: system::DATABASE, collection: system::AUDIT };
        for id in ids {
            let _ = self.delete(txn, place, id.into(), None)?;
        }
        Ok(Ok(Outcome::Worked(worked)))
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
