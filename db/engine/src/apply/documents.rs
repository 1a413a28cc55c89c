//! Applying commands that write one document.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::apply::stored::find_target;
use crate::catalog::{self, Collection};
use crate::command::texts::check_key;
use crate::command::{Outcome, Put, PutMode, Target};
use crate::document::{self, Revision};
use crate::error::{
    self, Error, Kind, collection_not_found, database_not_found, document_not_found, duplicate,
};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::{Read, Result, WriteTxn};
use serde_json::json;
use std::sync::Arc;

impl Applier {
    /// [`Command::Put`](super::Command::Put)
    pub(super) fn put(&mut self, txn: &mut WriteTxn<'_>, put: Put) -> ApplyResult {
        let Put { namespace, target, body, mode, if_match, create_database } = put;
        let namespace = namespace.borrowed();
        let known = self.collection(txn, namespace)?;
        if known.is_none()
            && !create_database
            && catalog::database(txn, namespace.database)?.is_none()
        {
            return Err(database_not_found(namespace.database).into());
        }
        let (id, current) = match &known {
            Some(collection) => find_target(txn, collection.id, target)?,
            None => (target.id, None),
        };
        if mode == PutMode::Insert && current.is_some() {
            return Err(duplicate(&id).into());
        }
        check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
        check_key(&id)?;
        let collection = match known {
            Some(collection) => collection,
            None => self.create_for_write(txn, namespace, &id, &body)?,
        };
        let created = current.is_none();
        let (revision, warnings) =
            self.store(txn, namespace, &collection, &id, current.as_ref(), body)?;
        Ok(Outcome::Written { id, revision, created }.with_warnings(warnings))
    }

    /// Creates the collection of a first document, unless the document breaks its rules.
    pub(super) fn create_for_write(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: &DocumentId,
        body: &str,
    ) -> ApplyResult<Arc<Collection>> {
        // A collection that does not exist has no indexes and no schema, only rules.
        let document = document::with_id(id, body);
        self.check_rules(txn, namespace, document.as_bytes())?;
        self.ensure_database(txn, namespace.database)?;
        Ok(self.ensure_collection(txn, namespace.database, namespace.collection)?)
    }

    /// [`Command::Delete`](super::Command::Delete)
    pub(super) fn delete(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        target: Target,
        if_match: Option<Revision>,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Err(missing_place(txn, namespace)?.into());
        };
        let (id, current) = find_target(txn, collection.id, target)?;
        check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
        let Some(current) = current else {
            return Err(document_not_found(&id).into());
        };
        self.remove(txn, namespace, &collection, &current)?;
        Ok(Outcome::Deleted)
    }
}

pub(super) fn check_revision(
    id: &DocumentId,
    wanted: Option<Revision>,
    current: Option<Revision>,
) -> error::Result<()> {
    if wanted.is_none() || wanted == current {
        return Ok(());
    }
    let message = match current {
        Some(revision) => format!("document {id} has revision {revision}"),
        None => format!("there is no document {id}"),
    };
    Err(Error::new(Kind::RevisionMismatch, message)
        .hint("read the document again and repeat the change on what it holds now")
        .details(json!({"wanted": wanted, "current": current})))
}

fn missing_place(read: &impl Read, namespace: NamespaceRef<'_>) -> Result<Error> {
    Ok(match catalog::database(read, namespace.database)? {
        None => database_not_found(namespace.database),
        Some(_) => collection_not_found(namespace.database, namespace.collection),
    })
}
