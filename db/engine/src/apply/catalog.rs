//! Applying commands about databases and collections.

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, refuse};
use crate::budget;
use crate::catalog::{self, Collection, DatabaseEntry, ENGINE_DEFAULT, Garbage};
use crate::cbor;
use crate::changes::ChangeKind;
use crate::command::Outcome;
use crate::error::{Kind, collection_not_found, database_not_found};
use crate::namespace::{Namespace, NamespaceRef};
use crate::placement;
use crate::storage::keys::CollectionId;
use crate::storage::{Read, Result, Table, WriteTxn};
use std::sync::Arc;

impl Applier {
    pub(super) fn create_database(
        &mut self,
        txn: &mut WriteTxn<'_>,
        name: &str,
        engine: &str,
    ) -> ApplyResult {
        if catalog::database(txn, name)?.is_none() {
            put_database(txn, name, engine)?;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn ensure_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> Result<()> {
        if self.collections.contains_key(name) || catalog::database(txn, name)?.is_some() {
            return Ok(());
        }
        put_database(txn, name, ENGINE_DEFAULT)
    }

    pub(super) fn drop_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> ApplyResult {
        let collections = catalog::collections(txn, name)?;
        self.charge_collections(txn, &collections, "drop its collections first")?;
        for (collection, _) in collections {
            self.drop_collection(txn, name, &collection)?;
        }
        txn.delete(Table::Catalog, &catalog::database_key(name))?;
        self.forget();
        Ok(Outcome::Done)
    }

    /// Counts the work of dropping or renaming collections; refuses more than one command may do.
    fn charge_collections(
        &self,
        txn: &WriteTxn<'_>,
        collections: &[(String, CollectionId)],
        hint: &str,
    ) -> ApplyResult<()> {
        let ctx = self.context(0);
        for (_, id) in collections {
            let (start, end) = catalog::index_range(*id);
            let indexes = txn.range(Table::Catalog, &start, &end)?.count() as u64;
            if ctx.work((1 + indexes) * budget::CATALOG).is_err() {
                let message = "this database has too many collections and indexes for one command";
                return refuse(Kind::QueryTooLarge, message, hint);
            }
        }
        Ok(())
    }

    pub(super) fn rename_database(
        &mut self,
        txn: &mut WriteTxn<'_>,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let Some(entry) = catalog::database(txn, from)? else {
            return Err(database_not_found(from).into());
        };
        if catalog::database(txn, to)?.is_some() || placement::database(txn, to)?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a database {to:?} exists"),
                "choose another name or drop it first",
            );
        }
        let collections = catalog::collections(txn, from)?;
        self.charge_collections(txn, &collections, "drop what is not needed first")?;
        for (name, id) in collections {
            // Feeds of the old name end for them.
            let namespace = NamespaceRef { database: from, collection: &name };
            self.note_collection(txn, namespace, ChangeKind::Drop, None)?;
            txn.delete(Table::Catalog, &catalog::collection_key(from, &name))?;
            txn.put(Table::Catalog, &catalog::collection_key(to, &name), &id.to_be_bytes())?;
            self.note_renamed(namespace, NamespaceRef { database: to, collection: &name });
        }
        txn.delete(Table::Catalog, &catalog::database_key(from))?;
        put_database(txn, to, &entry.engine)?;
        self.forget();
        Ok(Outcome::Done)
    }

    pub(super) fn collection(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<Option<Arc<Collection>>> {
        let known =
            self.collections.get(namespace.database).and_then(|all| all.get(namespace.collection));
        if let Some(known) = known {
            return Ok(Some(known.clone()));
        }
        let Some(id) = catalog::collection(txn, namespace.database, namespace.collection)? else {
            return Ok(None);
        };
        let found = Arc::new(Collection::load(txn, id)?);
        self.remember(namespace, found.clone());
        Ok(Some(found))
    }

    fn remember(&mut self, namespace: NamespaceRef<'_>, collection: Arc<Collection>) {
        self.collections
            .entry(namespace.database.to_owned())
            .or_default()
            .insert(namespace.collection.to_owned(), collection);
    }

    pub(super) fn create_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
    ) -> ApplyResult {
        self.ensure_database(txn, &namespace.database)?;
        self.ensure_collection(txn, &namespace.database, &namespace.collection)?;
        Ok(Outcome::Done)
    }

    pub(super) fn ensure_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        collection: &str,
    ) -> Result<Arc<Collection>> {
        let namespace = NamespaceRef { database, collection };
        if let Some(found) = self.collection(txn, namespace)? {
            return Ok(found);
        }
        let id = self.next_collection();
        let key = catalog::collection_key(database, collection);
        txn.put(Table::Catalog, &key, &id.to_be_bytes())?;
        let made = Arc::new(Collection::load(txn, id)?);
        self.remember(namespace, made.clone());
        self.note_collection_changed(namespace);
        self.index_references(txn, namespace)?;
        self.keep_by_default(txn, namespace)?;
        Ok(self.collection(txn, namespace)?.unwrap_or(made))
    }

    /// A number that no collection and no history has.
    pub(super) fn next_collection(&mut self) -> CollectionId {
        self.counters.last_collection += 1;
        self.counters.last_collection as CollectionId
    }

    /// Drops a collection, unless documents of others refer to its documents.
    pub(super) fn drop_unreferenced(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
    ) -> ApplyResult {
        self.check_replaced(txn, namespace.borrowed(), None)?;
        self.drop_collection(txn, &namespace.database, &namespace.collection)?;
        Ok(Outcome::Done)
    }

    /// Takes the collection out of the catalog. Its rows are cleared away later, a few at a
    /// time: a large one must not keep every other write waiting.
    pub(super) fn drop_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        name: &str,
    ) -> Result<()> {
        let namespace = NamespaceRef { database, collection: name };
        let Some(found) = self.collection(txn, namespace)? else {
            return Ok(());
        };
        self.discard_versions(txn, &found)?;
        self.note_collection(txn, namespace, ChangeKind::Drop, None)?;
        txn.delete(Table::Catalog, &catalog::collection_key(database, name))?;
        txn.delete(Table::Catalog, &catalog::options_key(found.id))?;
        txn.delete(Table::Meta, &catalog::count_key(found.id))?;
        self.counters.totals.remove(&found.id);
        for index in &found.indexes {
            self.discard_index(txn, found.id, index.entry.id)?;
        }
        self.discard(txn, Garbage::Collection(found.id))?;
        self.note_collection_changed(namespace);
        self.forget();
        Ok(())
    }

    /// Renames a collection, and refers to it by its new name in the rules of its database.
    pub(super) fn rename_with_rules(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        if !self.rules(txn, database)?.name(from) {
            return self.rename_collection(txn, database, from, to);
        }
        self.all_or_nothing(txn, true, |this, txn| {
            let renamed = this.rename_collection(txn, database, from, to)?;
            this.rename_in_rules(txn, database, from, to)?;
            Ok(renamed)
        })
    }

    fn rename_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let Some(found) = self.collection(txn, NamespaceRef { database, collection: from })? else {
            return Err(collection_not_found(database, from).into());
        };
        if self.collection(txn, NamespaceRef { database, collection: to })?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a collection {to:?} exists in {database:?}"),
                "choose another name or drop it first",
            );
        }
        txn.delete(Table::Catalog, &catalog::collection_key(database, from))?;
        txn.put(Table::Catalog, &catalog::collection_key(database, to), &found.id.to_be_bytes())?;
        let namespace = NamespaceRef { database, collection: from };
        self.note_collection(txn, namespace, ChangeKind::Rename, Some(to))?;
        self.forget();
        let renamed = NamespaceRef { database, collection: to };
        self.note_renamed(namespace, renamed);
        self.index_references(txn, renamed)?;
        Ok(Outcome::Done)
    }

    /// Gives a collection the name of another, which is dropped with its former documents; whether
    /// those are kept stays set.
    pub(super) fn replace_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let old = self.collection(txn, NamespaceRef { database, collection: to })?;
        let new = self.collection(txn, NamespaceRef { database, collection: from })?;
        if from != to
            && let Some(new) = &new
        {
            let namespace = NamespaceRef { database, collection: to };
            self.check_replaced(txn, namespace, Some(new))?;
            self.drop_collection(txn, database, to)?;
        }
        let renamed = self.rename_collection(txn, database, from, to)?;
        let is_new = old.is_none();
        let kept = old.and_then(|old| old.options.versions).map(|versions| versions.retention);
        match new {
            Some(new) if kept.is_some() && new.options.versions.is_none() => {
                self.set_versions(txn, NamespaceRef { database, collection: to }, kept)
            }
            _ if is_new => {
                self.keep_by_default(txn, NamespaceRef { database, collection: to })?;
                Ok(renamed)
            }
            _ => Ok(renamed),
        }
    }
}

fn put_database(txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Result<()> {
    let entry = DatabaseEntry { engine: engine.to_owned() };
    txn.put(Table::Catalog, &catalog::database_key(name), &cbor::encode(&entry)?)
}
