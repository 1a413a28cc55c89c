//! Storing one document, with all that depends on it.

use crate::apply::Applier;
use crate::apply::changes::ChangeDetails;
use crate::apply::result::{ApplyError, ApplyResult};
use crate::apply::stored::{Stored, find, unreadable};
use crate::budget::{self, steps_of};
use crate::catalog::Collection;
use crate::changes::ChangeKind;
use crate::document::{self, Revision};
use crate::id::DocumentId;
use crate::index::Index;
use crate::namespace::NamespaceRef;
use crate::row;
use crate::storage::{Table, WriteTxn, keys};
use crate::system;
use crate::value::parse_fields;
use serde_json::json;
use std::sync::Arc;

/// Sequential indexes with the last number of each.
type Numbered = Vec<(Arc<Index>, i64)>;

impl Applier {
    /// Writes a document over what is there, with all that depends on it.
    pub(super) fn store(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&Stored>,
        body: String,
    ) -> ApplyResult<(Revision, Vec<String>)> {
        if namespace.collection != system::RULES {
            return self.store_document(txn, namespace, collection, id, old, body);
        }
        // References in rules create indexes, which may be refused.
        self.few_or_nothing(txn, |this, txn| {
            this.check_rules_fit(txn, namespace, collection, old, &body)?;
            let (revision, mut warnings) =
                this.store_document(txn, namespace, collection, id, old, body.clone())?;
            let document = document::with_id(id, &body);
            warnings.extend(this.rules_changed(txn, namespace.database, document.as_bytes())?);
            Ok((revision, warnings))
        })
    }

    /// Counts the work of writing or deleting one document, before any of it is done.
    fn charge_work(&self, steps: u64, old: usize, new: usize) -> ApplyResult<()> {
        Ok(self.context(0).work(steps + steps_of(2 * (old + new)))?)
    }

    /// Counts the bytes of the rows that one document changes: its own with its new text, both its
    /// texts in the changes, and the former row as a version.
    fn charge_rows(
        &self,
        collection: &Collection,
        old: Option<&Stored>,
        row: usize,
        new: usize,
    ) -> ApplyResult<()> {
        let kept = collection.options.versions.is_some();
        let former = old.map_or(0, |old| old.json.len() + if kept { old.row_bytes } else { 0 });
        Ok(self.context(0).write(budget::ROW_BYTES + (row + new + former) as u64)?)
    }

    fn store_document(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&Stored>,
        body: String,
    ) -> ApplyResult<(Revision, Vec<String>)> {
        document::check_body(&body)?;
        // Equal numbers are one `_id`, and it keeps the type that it was first given with.
        let id = old.map_or(id, |old| &old.id);
        let former = old.map_or(0, |old| old.json.len());
        self.charge_work(budget::STORE, former, body.len())?;
        let (body, numbers) = self.number_document(txn, collection, body, old.is_none())?;
        let revision = self.counters.revision + 1;
        let document = document::with_id(id, &body);
        let json = document.as_bytes();
        let row = row::encode(revision, json);
        self.charge_rows(collection, old, row.len(), json.len())?;
        let warnings = self.check_document(txn, namespace, collection, json)?;
        if let Some(old) = old {
            self.check_still_referenced(txn, namespace, old, Some(json))?;
        }
        self.change_indexes(txn, collection, id, old.and_then(Stored::in_indexes), Some(json))?;
        let kind = if old.is_none() { ChangeKind::Insert } else { ChangeKind::Update };
        self.keep_version(txn, collection, id, old, kind)?;
        txn.put(Table::Documents, &keys::document_key(collection.id, id), &row)?;
        let (before, after) = (old.map(|old| &old.json[..]), Some(json));
        let changed = ChangeDetails {
            kind,
            id: Some(id),
            revision: Some(revision),
            before,
            after,
            renamed_to: None,
        };
        self.note_change(txn, namespace, changed)?;
        for (index, number) in numbers {
            self.stats(txn, collection, &index)?.last_number = number;
        }
        self.counters.revision = revision;
        let index = self.current.index;
        let totals = self.totals(txn, collection.id)?;
        totals.changed = index;
        totals.documents += u64::from(old.is_none());
        totals.bytes += json.len() as u64;
        totals.bytes = totals.bytes.saturating_sub(old.map_or(0, |old| old.json.len() as u64));
        Ok((revision, warnings))
    }

    /// Deletes a document with all that depends on it.
    pub(super) fn remove(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> ApplyResult<()> {
        self.charge_work(budget::REMOVE, old.json.len(), 0)?;
        self.charge_rows(collection, Some(old), 0, 0)?;
        self.check_still_referenced(txn, namespace, old, None)?;
        self.change_indexes(txn, collection, &old.id, old.in_indexes(), None)?;
        let kind = ChangeKind::Delete;
        self.keep_version(txn, collection, &old.id, Some(old), kind)?;
        txn.delete(Table::Documents, &keys::document_key(collection.id, &old.id))?;
        let before = Some(&old.json[..]);
        let changed = ChangeDetails {
            kind,
            id: Some(&old.id),
            revision: None,
            before,
            after: None,
            renamed_to: None,
        };
        self.note_change(txn, namespace, changed)?;
        let index = self.current.index;
        let totals = self.totals(txn, collection.id)?;
        totals.changed = index;
        totals.documents = totals.documents.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(old.json.len() as u64);
        if namespace.collection == system::RULES {
            self.forget_rules(namespace.database);
        }
        Ok(())
    }

    /// Deletes a document whose time has passed; one that is still referenced stays.
    pub(super) fn expire_document(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
    ) -> ApplyResult<bool> {
        let Some(stored) = find(txn, collection.id, id)? else { return Ok(false) };
        match self.remove(txn, namespace, collection, &stored) {
            Ok(()) => Ok(true),
            Err(ApplyError::Refused(_)) => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// Gives a new document the next number of each sequential index whose field it lacks.
    /// Returns the last number of each, which holds once the document is stored.
    fn number_document(
        &mut self,
        txn: &WriteTxn<'_>,
        collection: &Collection,
        mut body: String,
        new: bool,
    ) -> ApplyResult<(String, Numbered)> {
        let mut numbers = Vec::new();
        for index in collection.indexes.iter().filter(|index| index.entry.spec.sequential) {
            let field = index.paths[0].as_str();
            let known = parse_fields(body.as_bytes(), |name| name == field);
            let known = known.ok_or_else(unreadable)?;
            let given = known.as_object().and_then(|fields| fields.get(field));
            // Not yet among the numbers to be stored: the document may be refused.
            let last = match self.counters.stats.get(&index.entry.id) {
                Some(stats) => stats.last_number,
                None => collection.stats(txn, index.entry.id)?.last_number,
            };
            let number = match given {
                Some(value) => value.as_int().unwrap_or(last).max(last),
                None if !new => continue,
                None => {
                    let next = last.saturating_add(1);
                    self.numbered.insert(index.entry.id);
                    let comma = if body.len() > 2 { "," } else { "" };
                    body.truncate(body.len().saturating_sub(1));
                    body.push_str(&format!("{comma}{}:{next}}}", json!(field)));
                    next
                }
            };
            numbers.push((index.clone(), number));
        }
        Ok((body, numbers))
    }
}
