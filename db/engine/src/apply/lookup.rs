//! Looking for values in other collections, as references need it.

use crate::apply::select::matching;
use crate::apply::stored::find;
use crate::catalog::{self, Collection};
use crate::error::violation::Violation;
use crate::id::DocumentId;
use crate::index::Index;
use crate::query::context::Context;
use crate::query::filter::{Filter, Test};
use crate::query::path::Path;
use crate::query::plan::Hint;
use crate::rules::{Reference, References, Rules};
use crate::storage::{Read, Result};
use crate::value::Value;
use crate::{budget, error};
use std::collections::HashMap;
use std::sync::Arc;

/// Looks for values in other collections, by index.
pub(super) struct Lookup<'t, R> {
    pub(super) read: &'t R,
    /// Those of the references' collections that exist.
    pub(super) collections: HashMap<String, Arc<Collection>>,
    pub(super) ctx: &'t Context<'t>,
}

impl<R: Read> Lookup<'_, R> {
    /// Whether a document of the collection, other than `except`, has the value in the field.
    pub(super) fn has(
        &self,
        collection: &str,
        field: &Path,
        value: &Value,
        except: Option<&DocumentId>,
    ) -> error::Result<bool> {
        let Some(collection) = self.collections.get(collection) else { return Ok(false) };
        self.ctx.work(budget::LOOK_UP)?;
        if field.as_str() == "_id" {
            let Some(id) = DocumentId::new(value.clone()).filter(|id| Some(id) != except) else {
                return Ok(false);
            };
            return Ok(find(self.read, collection.id, &id)?.is_some());
        }
        let Some(index) = finds(collection, field) else { return Ok(false) };
        self.ctx.work(budget::PLAN)?;
        // Named, so that no statistics decide how it is found and how many steps that takes.
        let hint = Hint::Name(index.entry.spec.name.clone());
        let filter = Filter::Field(field.clone(), Test::Eq(value.clone()));
        let kept = self.ctx.memory_used();
        let found = matching(self.read, collection, &filter, None, Some(&hint), 2, self.ctx)?;
        self.ctx.release(self.ctx.memory_used().saturating_sub(kept));
        Ok(found.iter().any(|id| Some(id) != except))
    }
}

impl<R: Read> References for Lookup<'_, R> {
    fn exists(&self, collection: &str, field: &Path, value: &Value) -> error::Result<bool> {
        self.has(collection, field, value, None)
    }

    fn in_force(&self, reference: &Reference) -> bool {
        reference.sides().into_iter().all(|(collection, field)| {
            let known = self.collections.get(collection);
            known.is_none_or(|known| field.as_str() == "_id" || finds(known, field).is_some())
        })
    }
}

/// The index that finds the documents with a value in a field, every one of them.
pub(crate) fn finds<'c>(collection: &'c Collection, field: &Path) -> Option<&'c Arc<Index>> {
    collection.indexes.iter().find(|index| {
        index.is_ready() && index.entry.spec.partial.is_none() && index.paths == [field.clone()]
    })
}

/// Returns what documents violate, without storing them: for a dry run.
///
/// # Errors
/// Storage errors; the check itself fails as look-ups do.
pub fn dry_run<'t>(
    read: &'t impl Read,
    database: &str,
    collection: &'t str,
    rules: &'t Rules,
    ctx: &'t Context<'t>,
) -> Result<impl Fn(&Value) -> error::Result<Vec<Violation>> + 't> {
    let collections = sides(read, database, collection, rules)?;
    let lookup = Lookup { read, collections, ctx };
    Ok(move |document: &Value| rules.check(collection, document, &lookup))
}

/// The references of a collection, as `people.team`, that are not in force because an index of
/// theirs is not ready.
pub fn waiting_references(
    read: &impl Read,
    database: &str,
    collection: &str,
    rules: &Rules,
) -> Result<Vec<String>> {
    let collections = sides(read, database, collection, rules)?;
    let ctx = Context::of(Default::default(), 0);
    let lookup = Lookup { read, collections, ctx: &ctx };
    let waiting = rules.references_of(collection).filter(|reference| !lookup.in_force(reference));
    let named = waiting.map(|reference| format!("{collection}.{}", reference.field.as_str()));
    Ok(named.collect())
}

/// The collections on both sides of a collection's references, as far as they exist.
pub(super) fn sides(
    read: &impl Read,
    database: &str,
    collection: &str,
    rules: &Rules,
) -> Result<HashMap<String, Arc<Collection>>> {
    let mut collections = HashMap::new();
    for (name, _) in rules.references_of(collection).flat_map(|reference| reference.sides()) {
        if !collections.contains_key(name)
            && let Some(id) = catalog::collection(read, database, name)?
        {
            collections.insert(name.to_owned(), Arc::new(Collection::load(read, id)?));
        }
    }
    Ok(collections)
}
