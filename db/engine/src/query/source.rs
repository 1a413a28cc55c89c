//! The collections of a database as pipelines read them, with the joins of `$lookup`.

use super::aggregate::{DocumentSource, Documents};
use super::context::{Context, Fields};
use super::exec::{Counters, Execution, FoundDocument, Stream};
use super::filter::{Filter, Test};
use super::path::Path;
use super::plan::{self, Hint, Plan, QuerySpec};
use super::position::Position;
use crate::budget::steps_of;
use crate::catalog::{self, Collection};
use crate::error::{Error, Kind, Result};
use crate::error::{collection_not_found, database_not_found};
use crate::storage::Read;
use crate::storage::keys::CollectionId;
use crate::system;
use crate::value::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A collection with its indexes.
///
/// # Errors
/// `database_not_found`, `collection_not_found`; `forbidden` for collections of secrets.
pub fn open(read: &impl Read, database: &str, collection: &str) -> Result<Collection> {
    Ok(Collection::load(read, find(read, database, collection)?)?)
}

/// As [`open`], if the definitions of the collection and its indexes have no more than `bytes_max`
/// bytes.
///
/// # Errors
/// Those of [`open`].
pub fn open_small(
    read: &impl Read,
    database: &str,
    collection: &str,
    bytes_max: usize,
) -> Result<Option<Collection>> {
    Ok(Collection::load_small(read, find(read, database, collection)?, bytes_max)?)
}

/// The number of a collection that may be read.
fn find(read: &impl Read, database: &str, collection: &str) -> Result<CollectionId> {
    if database == system::DATABASE && system::is_secret(collection) {
        let message = format!("{database}.{collection} cannot be read as documents");
        return Err(Error::new(Kind::Forbidden, message).hint("it has calls of its own"));
    }
    match catalog::collection(read, database, collection)? {
        Some(id) => Ok(id),
        None if catalog::database(read, database)?.is_none() => Err(database_not_found(database)),
        None => Err(collection_not_found(database, collection)),
    }
}

/// The request of a [`scan`].
pub struct ScanRequest<'q> {
    /// The query. The plan takes the limit into account; applying it is left to the caller.
    pub wanted: QuerySpec<'q>,
    /// The outermost fields that are parsed, beside those of filter and sort.
    pub fields: Fields,
    /// The index to use.
    pub hint: Option<&'q Hint>,
}

/// The plan of a scan and its progress, for `explain`.
pub struct ScanReport<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// The rejected plans.
    pub rejected: &'p [Plan],
    /// What has been read so far.
    pub counters: &'p Counters,
}

/// Passes the matching documents to `work`, in order, with the report of the scan.
///
/// # Errors
/// Those of the plan, of the execution and of `work`.
pub fn scan<T>(
    read: &impl Read,
    collection: &Collection,
    request: ScanRequest<'_>,
    ctx: &Context<'_>,
    work: impl FnOnce(Stream<'_, FoundDocument<'_>>, &ScanReport<'_>) -> Result<T>,
) -> Result<T> {
    scan_after(read, collection, request, None, ctx, work)
}

/// As [`scan`], after a position.
///
/// # Errors
/// Those of [`scan`].
pub fn scan_after<T>(
    read: &impl Read,
    collection: &Collection,
    request: ScanRequest<'_>,
    after: Option<&Position>,
    ctx: &Context<'_>,
    work: impl FnOnce(Stream<'_, FoundDocument<'_>>, &ScanReport<'_>) -> Result<T>,
) -> Result<T> {
    let ScanRequest { wanted, fields, hint } = request;
    let (plan, rejected) = plan::choose(read, collection, wanted, hint)?;
    ctx.work(rejected.iter().chain([&plan]).map(Plan::steps).sum())?;
    let counters = Counters::default();
    let execution =
        Execution { read, collection, wanted, fields: &fields, after, ctx, counters: &counters };
    let report = ScanReport { plan: &plan, rejected: &rejected, counters: &counters };
    work(execution.run(&plan)?, &report)
}

/// The number of documents that match.
///
/// # Errors
/// Those of the plan and of the execution.
pub fn count(
    read: &impl Read,
    collection: &Collection,
    filter: &Filter,
    hint: Option<&Hint>,
    ctx: &Context<'_>,
) -> Result<u64> {
    let mut fields = Fields::default();
    filter.fields(&mut fields);
    let names = fields.names();
    let wanted = QuerySpec { ordered: false, fields: names.as_deref(), ..QuerySpec::all(filter) };
    let (plan, rejected) = plan::choose(read, collection, wanted, hint)?;
    ctx.work(rejected.iter().chain([&plan]).map(Plan::steps).sum())?;
    let (fields, counters) = (Fields::default(), Counters::default());
    let (fields, counters) = (&fields, &counters);
    Execution { read, collection, wanted, fields, after: None, ctx, counters }.count(&plan)
}

/// The collections of one database in one transaction.
pub struct Collections<'t, R> {
    read: &'t R,
    database: &'t str,
    /// Whether a pipeline may read collections other than its own.
    others: bool,
    opened: RefCell<HashMap<String, Rc<OpenCollection>>>,
}

/// A collection that a pipeline reads, and hash tables for fields that are looked up repeatedly
/// without an index.
struct OpenCollection {
    collection: Collection,
    asked: RefCell<HashMap<String, FieldUse>>,
}

enum FieldUse {
    /// Once; a second time makes a table worth it.
    Once,
    /// The table; none if it does not fit into the query's memory.
    Often(Option<Rc<HashTable>>),
}

/// The documents of a collection by the values of one field: the inner side of a hash join.
struct HashTable {
    documents: Vec<Value>,
    places: HashMap<Value, Vec<usize>>,
}

impl<'t, R: Read> Collections<'t, R> {
    /// The collections of `database` as `read` sees them.
    pub fn new(read: &'t R, database: &'t str) -> Self {
        Collections { read, database, others: true, opened: RefCell::default() }
    }

    /// For a pipeline that reads one collection as of an earlier time: others would be current.
    pub fn none(read: &'t R, database: &'t str) -> Self {
        Collections { others: false, ..Collections::new(read, database) }
    }

    fn open(&self, name: &str) -> Result<Rc<OpenCollection>> {
        if let Some(known) = self.opened.borrow().get(name) {
            return Ok(known.clone());
        }
        let collection = open(self.read, self.database, name)?;
        let opened = Rc::new(OpenCollection { collection, asked: RefCell::default() });
        self.opened.borrow_mut().insert(name.to_owned(), opened.clone());
        Ok(opened)
    }

    fn all(
        &self,
        opened: &OpenCollection,
        filter: &Filter,
        ctx: &Context<'_>,
    ) -> Result<Vec<Value>> {
        let request =
            ScanRequest { wanted: QuerySpec::all(filter), fields: Fields::All, hint: None };
        let mut kept = Vec::new();
        let mut charged = 0;
        let read = scan(self.read, &opened.collection, request, ctx, |found, _| {
            for found in found {
                let document = found?.fields;
                let bytes = document.bytes();
                ctx.charge(bytes, "reading another collection")?;
                charged += bytes;
                kept.push(document);
            }
            Ok(())
        });
        if let Err(error) = read {
            ctx.release(charged);
            return Err(error);
        }
        Ok(kept)
    }

    /// The table for a field that is looked up repeatedly and has no index.
    fn table(
        &self,
        opened: &OpenCollection,
        path: &Path,
        ctx: &Context<'_>,
    ) -> Result<Option<Rc<HashTable>>> {
        let leads = |path: &Path| {
            let mut ready = opened.collection.indexes.iter().filter(|index| index.is_ready());
            path.as_str() == "_id" || ready.any(|index| index.paths.first() == Some(path))
        };
        if leads(path) {
            return Ok(None);
        }
        match opened.asked.borrow_mut().entry(path.as_str().to_owned()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(FieldUse::Once);
                return Ok(None);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                if let FieldUse::Often(table) = entry.get() {
                    return Ok(table.clone());
                }
            }
        }
        let table = match self.all(opened, &Filter::And(Vec::new()), ctx) {
            Ok(documents) => HashTable::new(documents, path, ctx)?.map(Rc::new),
            Err(error) if error.kind == Kind::QueryTooLarge => None,
            Err(error) => return Err(error),
        };
        let asked = FieldUse::Often(table.clone());
        opened.asked.borrow_mut().insert(path.as_str().to_owned(), asked);
        Ok(table)
    }
}

impl HashTable {
    /// Creates the table; none if it does not fit into the query's memory.
    fn new(documents: Vec<Value>, path: &Path, ctx: &Context<'_>) -> Result<Option<HashTable>> {
        let mut bytes = 0;
        for document in &documents {
            path.any(document, |value| {
                bytes += 64 + value.map_or(0, |value| 2 * value.bytes());
                false
            });
        }
        ctx.work(documents.len() as u64 + steps_of(bytes))?;
        if ctx.charge(bytes, "reading another collection").is_err() {
            ctx.release(documents.iter().map(Value::bytes).sum());
            return Ok(None);
        }
        let mut places: HashMap<Value, Vec<usize>> = HashMap::new();
        for (place, document) in documents.iter().enumerate() {
            let mut add = |value: Value| {
                let places = places.entry(value).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            };
            path.any(document, |value| {
                if let Some(Value::Array(items)) = value {
                    items.iter().cloned().for_each(&mut add);
                }
                add(value.cloned().unwrap_or_default());
                false
            });
        }
        Ok(Some(HashTable { documents, places }))
    }

    /// The documents that may have one of the values, in order.
    fn find<'s>(&'s self, values: &[Value]) -> impl Iterator<Item = &'s Value> {
        let mut found: Vec<usize> =
            values.iter().filter_map(|value| self.places.get(value)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|place| self.documents.get(place))
    }
}

/// The field that a filter compares for equality, and the values.
fn equality(filter: &Filter) -> Option<(&Path, &[Value])> {
    match filter {
        Filter::Field(path, Test::Eq(value)) => Some((path, std::slice::from_ref(value))),
        Filter::Field(path, Test::In(values, patterns)) if patterns.is_empty() => {
            Some((path, values))
        }
        Filter::And(parts) => parts.iter().find_map(equality),
        _ => None,
    }
}

impl<R: Read> DocumentSource for Collections<'_, R> {
    fn find<'s>(
        &'s self,
        collection: &str,
        filter: Filter,
        ctx: &'s Context<'s>,
    ) -> Result<Documents<'s>> {
        if !self.others {
            let message = format!("{collection} cannot be read as it was together with another");
            return Err(Error::new(Kind::NotApplicable, message)
                .hint("read each collection for itself with at or asOf"));
        }
        let opened = match self.open(collection) {
            Ok(opened) => opened,
            // As in MongoDB, a collection that does not exist is empty here.
            Err(error) if matches!(error.kind, Kind::CollectionNotFound) => {
                return Ok(Box::new(std::iter::empty()));
            }
            Err(error) => return Err(error),
        };
        let joined = match equality(&filter) {
            Some((path, values)) => self.table(&opened, path, ctx)?.map(|table| (table, values)),
            None => None,
        };
        let found = match joined {
            None => self.all(&opened, &filter, ctx)?,
            Some((table, values)) => {
                let mut found = Vec::new();
                for document in table.find(values) {
                    ctx.step()?;
                    if filter.matches(document, ctx)? {
                        ctx.charge(document.bytes(), "reading another collection")?;
                        found.push(document.clone());
                    }
                }
                found
            }
        };
        Ok(Box::new(found.into_iter().map(move |document| {
            ctx.release(document.bytes());
            Ok(document)
        })))
    }
}
