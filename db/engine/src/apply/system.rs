//! Writing the documents of the `_system` database.

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, settle};
use crate::command::{Outcome, Put, PutMode};
use crate::id::DocumentId;
use crate::namespace::{Namespace, NamespaceRef};
use crate::storage::{Result, StorageError, WriteTxn};
use crate::system;
use serde::Serialize;

impl Applier {
    pub(super) fn put_system(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &str,
        id: &str,
        document: &impl Serialize,
    ) -> Result<()> {
        let failed = |error: serde_json::Error| StorageError::Failed(error.to_string());
        let mut value = serde_json::to_value(document).map_err(failed)?;
        if let Some(object) = value.as_object_mut() {
            object.shift_remove("_id");
        }
        let body = value.to_string();
        let put = Put {
            namespace: Namespace::new(system::DATABASE, collection),
            target: DocumentId::from(id).into(),
            body,
            mode: PutMode::Upsert,
            if_match: None,
            create_database: true,
        };
        match settle(self.put(txn, put))? {
            Ok(_) => Ok(()),
            Err(error) => Err(StorageError::Failed(error.to_string())),
        }
    }

    pub(super) fn remove_system(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &str,
        id: &str,
    ) -> ApplyResult {
        let namespace = NamespaceRef { database: system::DATABASE, collection };
        self.delete(txn, namespace, DocumentId::from(id).into(), None)?;
        Ok(Outcome::Done)
    }
}
