//! The rules of a database while commands are applied, and the indexes that references need.

use crate::apply::Applier;
use crate::apply::lookup::finds;
use crate::apply::result::{ApplyError, ApplyResult, settle};
use crate::error::{Error, Kind};
use crate::index::IndexSpec;
use crate::namespace::NamespaceRef;
use crate::query::path::Path;
use crate::rules::{Rules, RulesState, stored_rules};
use crate::storage::{Result, WriteTxn};
use crate::value::{Value, parse_stored};
use crate::{budget, system};
use serde_json::json;
use std::sync::Arc;

impl Applier {
    /// The rules of a database.
    pub(super) fn rules(&mut self, txn: &WriteTxn<'_>, database: &str) -> Result<Arc<Rules>> {
        if let Some(rules) = self.rules.get(database) {
            return Ok(rules.clone());
        }
        let namespace = NamespaceRef { database, collection: system::RULES };
        let rules = match self.collection(txn, namespace)?.map(|known| known.id) {
            None => Arc::new(Rules::default()),
            Some(collection) => {
                let totals = *self.totals(txn, collection)?;
                // As if they were compiled now: which replica has them compiled must not count.
                // What is too much is refused by what comes next.
                let _ = self.context(0).work(totals.bytes);
                let state = RulesState { collection, changed: totals.changed, bytes: totals.bytes };
                match self.compiled.get(database, state) {
                    Some(rules) => rules,
                    None => {
                        let rules = Arc::new(stored_rules(txn, database)?);
                        self.compiled.insert(database, state, rules.clone());
                        rules
                    }
                }
            }
        };
        self.rules.insert(database.to_owned(), rules.clone());
        Ok(rules)
    }

    /// Forgets rules that were changed.
    pub(super) fn forget_rules(&mut self, database: &str) {
        self.rules.remove(database);
        self.compiled.remove(database);
    }

    /// Gives both sides of every reference in a changed document of `_rules` an index: each write
    /// to either side looks the other one up. Returns those that are not in force yet.
    pub(super) fn rules_changed(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        document: &[u8],
    ) -> ApplyResult<Vec<String>> {
        self.forget_rules(database);
        let document = parse_stored(document).unwrap_or_default();
        let mut warnings = Vec::new();
        for reference in Rules::stored([&document]).referenced() {
            let mut waits = Vec::new();
            for (collection, field) in reference.sides() {
                if let Some(reason) = self.index_side(txn, database, collection, field)? {
                    waits.push(reason);
                }
            }
            if !waits.is_empty() {
                let (collection, field) = (&reference.collection, reference.field.as_str());
                let message = format!("not in force until {}", waits.join(" and "));
                let (rule, path) = ("referenced", format!("{collection}.{field}"));
                warnings.push(json!({"path": path, "rule": rule, "message": message}).to_string());
            }
        }
        Ok(warnings)
    }

    /// Gives a field that a reference needs an index. Returns what is to be waited for.
    fn index_side(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        collection: &str,
        field: &Path,
    ) -> ApplyResult<Option<String>> {
        if field.as_str() == "_id" || system::check_name("", collection, usize::MAX).is_err() {
            return Ok(None);
        }
        let namespace = NamespaceRef { database, collection };
        self.context(0).work(budget::LOOK_UP)?;
        let known = self.collection(txn, namespace)?;
        if known.is_some_and(|known| finds(&known, field).is_some()) {
            return Ok(None);
        }
        let name = format!("{collection}.{}", field.as_str());
        let spec = IndexSpec::parse(&Value::from(field.as_str()), &Default::default())?;
        match settle(self.create_index(txn, namespace, spec))? {
            // One that exists with these fields and is complete serves as well.
            Err(error) if error.kind == Kind::IndexConflict => {
                let known = self.collection(txn, namespace)?;
                let index = known.and_then(|known| {
                    known.indexes.iter().find(|index| index.paths == [field.clone()]).cloned()
                });
                return Ok(Some(match index {
                    Some(index) if index.entry.spec.partial.is_none() => {
                        format!("the index on {name} is built")
                    }
                    _ => format!("{name} has an index of every document ({error})"),
                }));
            }
            Err(error) => {
                let message = format!("a reference needs an index on {name}: {}", error.message);
                return Err(ApplyError::Refused(Error { message, ..error }));
            }
            Ok(_) => {}
        }
        let known = self.collection(txn, namespace)?;
        let ready = known.is_some_and(|known| finds(&known, field).is_some());
        Ok((!ready).then(|| format!("the index on {name} is built")))
    }

    /// Gives a collection that has just come to its name the indexes that references need.
    pub(super) fn index_references(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<()> {
        if namespace.collection.starts_with('_') {
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        let references = rules
            .references_of(namespace.collection)
            .chain(rules.referencing(namespace.collection));
        for (collection, field) in references.flat_map(|reference| reference.sides()) {
            if collection == namespace.collection {
                // Without one the reference is not in force, which is all that can be said here.
                let _ = settle(self.index_side(txn, namespace.database, collection, field))?;
            }
        }
        Ok(())
    }
}
