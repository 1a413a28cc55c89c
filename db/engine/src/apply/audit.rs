//! Writing the audit log.

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, settle};
use crate::command::{AuditEvent, Outcome, Put, PutMode};
use crate::id::DocumentId;
use crate::namespace::{Namespace, NamespaceRef};
use crate::storage::{Read, Result, Table, WriteTxn, keys};
use crate::{catalog, system};

impl Applier {
    /// Adds an entry about what the present proposal has done.
    pub(super) fn note(&mut self, txn: &mut WriteTxn<'_>, event: &AuditEvent) -> Result<()> {
        let entry = serde_json::json!({
            "time_ms": self.counters.time_ms,
            "user": self.current.user,
            "from": self.current.from,
            "action": event.action,
            "target": event.target,
            "outcome": event.outcome,
        });
        let put = Put {
            namespace: Namespace::new(system::DATABASE, system::AUDIT),
            // Revisions grow with every document that is written.
            target: DocumentId::from(self.counters.revision as i64 + 1).into(),
            body: entry.to_string(),
            mode: PutMode::Insert,
            if_match: None,
            create_database: true,
        };
        // Whatever could refuse it does so on every replica; the node's log has the entry too.
        let _ = settle(self.put(txn, put))?;
        Ok(())
    }

    /// [`Command::TrimAudit`](super::Command::TrimAudit)
    pub(super) fn trim_audit(
        &mut self,
        txn: &mut WriteTxn<'_>,
        entries_max: u64,
        rows: u32,
    ) -> ApplyResult {
        let Some(id) = catalog::collection(txn, system::DATABASE, system::AUDIT)? else {
            return Ok(Outcome::Worked(0));
        };
        let documents = match self.counters.totals.get(&id) {
            Some(totals) => totals.documents,
            None => catalog::totals(txn, id)?.documents,
        };
        let surplus = documents.saturating_sub(entries_max).min(u64::from(rows)) as usize;
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
