//! Applying the options of a collection: its JSON Schema, and how it keeps versions.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::catalog;
use crate::cbor;
use crate::command::Outcome;
use crate::error::{Error, Kind, database_not_found};
use crate::namespace::Namespace;
use crate::schema::Schema;
use crate::storage::keys::CollectionId;
use crate::storage::{Result, Table, WriteTxn};

impl Applier {
    pub(super) fn set_schema(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
        schema: Option<String>,
        warns: bool,
    ) -> ApplyResult {
        if catalog::database(txn, &namespace.database)?.is_none() {
            return Err(database_not_found(&namespace.database).into());
        }
        if let Some(text) = &schema {
            let schema = serde_json::from_str(text)
                .map_err(|error| Error::new(Kind::InvalidJson, error.to_string()))?;
            Schema::compile(&schema)?;
        }
        let collection = self.ensure_collection(txn, &namespace.database, &namespace.collection)?;
        let versions = collection.options.versions;
        let options = catalog::Options { schema, schema_warns: warns, versions };
        self.put_options(txn, collection.id, &options)?;
        Ok(Outcome::Done)
    }

    pub(super) fn put_options(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        options: &catalog::Options,
    ) -> Result<()> {
        txn.put(Table::Catalog, &catalog::options_key(collection), &cbor::encode(options)?)?;
        self.forget();
        Ok(())
    }
}
