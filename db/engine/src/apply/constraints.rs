//! Rules, schema and references that a document is checked against before it is written.

use crate::apply::Applier;
use crate::apply::lookup::Lookup;
use crate::apply::result::ApplyResult;
use crate::apply::stored::{Stored, fields, new_fields, unreadable};
use crate::catalog::Collection;
use crate::error::violation::violation_error;
use crate::error::{Error, Kind};
use crate::namespace::NamespaceRef;
use crate::query::context::{At, Context, Fields};
use crate::rules::{RULES_BYTES_MAX, RULES_MAX, Reference, References, Rules, referenced_error};
use crate::storage::{Result, WriteTxn};
use crate::value::{Value, parse_stored, relaxed};
use crate::{budget, system};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

impl Applier {
    /// Checks a document against rules and schema; returns the warnings.
    pub(super) fn check_document(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Collection,
        json: &[u8],
    ) -> ApplyResult<Vec<String>> {
        self.check_rules(txn, namespace, json)?;
        let Some(schema) = collection.options.schema.as_ref().filter(|_| !self.checked) else {
            return Ok(Vec::new());
        };
        let ctx = self.context(0);
        if self.schemas.is_first(schema) {
            // Compiling takes far longer than reading; whether this replica has it must not count.
            ctx.work(10 * schema.len() as u64)?;
        }
        ctx.work((schema.len() + json.len()) as u64 / 8)?;
        // For a schema an integer is one, whatever its bits.
        let json = serde_json::from_slice(&relaxed(json)).map_err(|_| unreadable())?;
        let found = self.schemas.get(schema)?.check(&json);
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if !collection.options.schema_warns {
            return Err(violation_error(found).into());
        }
        let texts = found.iter().map(|violation| json!(violation).to_string());
        Ok(texts.collect())
    }

    pub(super) fn check_rules(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        json: &[u8],
    ) -> ApplyResult<()> {
        if self.checked {
            return Ok(());
        }
        if namespace.collection == system::RULES {
            let document = parse_stored(json).ok_or_else(unreadable)?;
            Rules::parse(&document, At::root(system::RULES))?;
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        let collection = system::final_name(namespace.collection);
        let mut fields = Fields::default();
        rules.fields(collection).for_each(|path| fields.add(path.as_str()));
        let to_itself = rules.references_of(collection);
        let to_itself = to_itself.filter(|reference| reference.target == collection);
        to_itself.for_each(|reference| fields.add(reference.target_field.as_str()));
        if fields == Fields::default() {
            return Ok(());
        }
        let ctx = self.context(0);
        ctx.work(rules.len_of(collection) as u64 * budget::RULE)?;
        let document = new_fields(json, &fields)?;
        let lookup = self.lookup(txn, namespace.database, rules.references_of(collection), &ctx)?;
        let violations = rules.check(collection, &document, &lookup)?;
        match violations.is_empty() {
            true => Ok(()),
            false => Err(violation_error(violations).into()),
        }
    }

    /// Refuses to take away a value that other documents refer to.
    pub(super) fn check_still_referenced(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        old: &Stored,
        new: Option<&[u8]>,
    ) -> ApplyResult<()> {
        if self.checked {
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        if rules.referencing(namespace.collection).next().is_none() {
            return Ok(());
        }
        let ctx = self.context(0);
        let references = rules.referencing(namespace.collection);
        let lookup = self.lookup(txn, namespace.database, references, &ctx)?;
        for reference in rules.referencing(namespace.collection) {
            ctx.work(budget::RULE)?;
            if !lookup.in_force(reference) {
                continue;
            }
            let mut wanted = Fields::default();
            wanted.add(reference.target_field.as_str());
            let value = |fields: Value| reference.target_field.get(&fields).cloned();
            // Nothing refers to null.
            let lost = value(fields(&old.json, &wanted)?).filter(|lost| *lost != Value::Null);
            let Some(lost) = lost else { continue };
            if let Some(new) = new
                && value(new_fields(new, &wanted)?).as_ref() == Some(&lost)
            {
                continue;
            }
            // A document that refers to itself may go, and another one may have the value too.
            let own =
                |collection: &str| Some(&old.id).filter(|_| collection == namespace.collection);
            let (from, to) = (&reference.collection, &reference.target);
            let mut referred = false;
            for field in [&reference.field, &reference.inner_field] {
                referred |= lookup.has(from, field, &lost, own(from))?;
            }
            if referred && !lookup.has(to, &reference.target_field, &lost, own(to))? {
                return Err(referenced_error(reference, &lost).into());
            }
        }
        Ok(())
    }

    /// Prepares to look up values on both sides of references.
    pub(super) fn lookup<'t, 'x>(
        &mut self,
        txn: &'t WriteTxn<'x>,
        database: &str,
        references: impl Iterator<Item = &'t Arc<Reference>>,
        ctx: &'t Context<'static>,
    ) -> Result<Lookup<'t, WriteTxn<'x>>> {
        let mut collections = HashMap::new();
        for (collection, _) in references.flat_map(|reference| reference.sides()) {
            if !collections.contains_key(collection)
                && let Some(known) = self.collection(txn, NamespaceRef { database, collection })?
            {
                collections.insert(collection.to_owned(), known);
            }
        }
        Ok(Lookup { read: txn, collections, ctx })
    }

    /// Refuses rules that are too many or too large together with those that are there.
    pub(super) fn check_rules_fit(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Collection,
        old: Option<&Stored>,
        body: &str,
    ) -> ApplyResult<()> {
        let bytes = self.totals(txn, collection.id)?.bytes;
        // All of them are compiled again.
        self.context(0).work(2 * (bytes + body.len() as u64))?;
        let former = old.map_or(0, |old| old.json.len() as u64);
        let bytes = bytes.saturating_sub(former) + body.len() as u64;
        if bytes > RULES_BYTES_MAX {
            let message = format!(
                "the rules of {:?} would have {bytes} bytes, {RULES_BYTES_MAX} are allowed",
                namespace.database
            );
            return Err(Error::new(Kind::TooLarge, message).hint("delete rules first").into());
        }
        let count = |json: &[u8]| match parse_stored(json) {
            Some(document) => Rules::stored([&document]).len(),
            None => 0,
        };
        let known = self.rules(txn, namespace.database)?.len();
        let known = known.saturating_sub(old.map_or(0, |old| count(&old.json)));
        let rules = known + count(body.as_bytes());
        if rules > RULES_MAX {
            let message = format!(
                "{:?} would have {rules} rules, {RULES_MAX} are allowed",
                namespace.database
            );
            return Err(Error::new(Kind::TooLarge, message).hint("delete rules first").into());
        }
        Ok(())
    }
}
