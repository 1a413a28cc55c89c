//! References between collections when a collection is dropped, replaced or renamed as a whole.

use crate::apply::Applier;
use crate::apply::lookup::{Lookup, finds};
use crate::apply::result::ApplyResult;
use crate::apply::stored::{damaged, fields, find};
use crate::budget::{self, steps_of};
use crate::catalog::Collection;
use crate::error::{Error, Kind};
use crate::index::{Entry, Index, encode};
use crate::namespace::NamespaceRef;
use crate::query::context::{Context, Fields};
use crate::rules::{self, Reference, References, referenced_error};
use crate::storage::{Read, Table, WriteTxn, keys};
use crate::system;
use crate::value::{Class, Value, parse_stored};
use std::collections::HashMap;
use std::sync::Arc;

impl Applier {
    /// Refuses to drop a collection, or to put another in its place, when that takes away a value
    /// that documents of other collections refer to.
    pub(super) fn check_replaced(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        new: Option<&Arc<Collection>>,
    ) -> ApplyResult<()> {
        let rules = self.rules(txn, namespace.database)?;
        let ctx = self.context(0);
        let old =
            self.lookup(txn, namespace.database, rules.referencing(namespace.collection), &ctx)?;
        let collections = new.map(|new| (namespace.collection.to_owned(), new.clone()));
        let new = Lookup { read: txn, collections: HashMap::from_iter(collections), ctx: &ctx };
        for reference in rules.referencing(namespace.collection) {
            // References within the collection go with it.
            let within = reference.collection == namespace.collection;
            ctx.work(budget::RULE)?;
            if within || !old.in_force(reference) || !new.in_force(reference) {
                continue;
            }
            if let Some(lost) = lost_value(reference, &old, &new, &ctx)? {
                return Err(referenced_error(reference, &lost).into());
            }
        }
        Ok(())
    }

    /// Replaces the name of a collection in the rules of its database.
    pub(super) fn rename_in_rules(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> ApplyResult<()> {
        let namespace = NamespaceRef { database, collection: system::RULES };
        let Some(collection) = self.collection(txn, namespace)? else { return Ok(()) };
        let (start, end) =
            (keys::collection_start(collection.id), keys::collection_end(collection.id));
        let rows = txn.range(Table::Documents, &start, &end)?;
        let ids = rows.map(|row| Ok(keys::document_id(row?.0))).collect::<ApplyResult<Vec<_>>>()?;
        for id in ids.into_iter().flatten() {
            let stored = find(txn, collection.id, &id)?.ok_or_else(damaged)?;
            self.context(0).work(budget::LOOK_UP + steps_of(stored.json.len()))?;
            let document = parse_stored(&stored.json).ok_or_else(damaged)?;
            let Value::Object(mut document) = document else { continue };
            if rules::rename(&mut document, from, to) {
                document.shift_remove("_id");
                let body = Value::Object(document).to_json();
                self.store(txn, namespace, &collection, &stored.id, Some(&stored), body)?;
            }
        }
        Ok(())
    }
}

/// A value that documents refer to, which the old target has and the new one does not.
fn lost_value<R: Read>(
    reference: &Reference,
    old: &Lookup<'_, R>,
    new: &Lookup<'_, R>,
    ctx: &Context<'_>,
) -> ApplyResult<Option<Value>> {
    let Some(referring) = old.collections.get(&reference.collection) else { return Ok(None) };
    let Some(index) = finds(referring, &reference.field) else { return Ok(None) };
    let mut wanted = Fields::default();
    wanted.add(reference.field.as_str());
    let (mut start, end) = without_nulls(index);
    loop {
        let Some(row) = old.read.range(Table::Indexes, &start, &end)?.next() else {
            return Ok(None);
        };
        let (key, value) = row?;
        let entry = Entry::new(key, value);
        // One document for each value in the index.
        start = [entry.prefix(1), &[0xff]].concat();
        let id = keys::document_id(&entry.document_key(referring.id, index.id_descending()));
        let id = id.ok_or_else(damaged)?;
        let stored = find(old.read, referring.id, &id)?.ok_or_else(damaged)?;
        let steps = budget::ROW + budget::LOOK_UP + steps_of(stored.json.len());
        ctx.work(steps).map_err(|error| too_many(reference, error))?;
        for value in reference.values(&fields(&stored.json, &wanted)?) {
            let has = |lookup: &Lookup<'_, R>| {
                lookup
                    .exists(&reference.target, &reference.target_field, value)
                    .map_err(|error| too_many(reference, error))
            };
            if has(old)? && !has(new)? {
                return Ok(Some(value.clone()));
            }
        }
    }
}

/// The part of an index of one field that holds other values than null.
fn without_nulls(index: &Index) -> (Vec<u8>, Vec<u8>) {
    let mut edge = vec![Class::Null as u8 + 1];
    match index.id_descending() {
        false => ([&index.start()[..], &edge].concat(), index.end()),
        true => {
            encode::reverse(&mut edge);
            // In descending order the values above null end where those of null begin.
            edge[0] += 1;
            (index.start(), [&index.start()[..], &edge].concat())
        }
    }
}

fn too_many(reference: &Reference, error: Error) -> Error {
    if error.kind != Kind::QueryTooLarge {
        return error;
    }
    let Reference { collection, field, target, .. } = reference;
    let message = format!(
        "too many documents of {collection} refer to {target} by {} to be checked in one step",
        field.as_str()
    );
    Error::new(Kind::QueryTooLarge, message).hint("delete the rule, and store it again afterwards")
}
