//! Counting documents, and the different values of a field.

use super::documents::find_collection;
use super::find::{parse_filter, parse_hint};
use super::read::{State, View, reading};
use super::{Response, Session};
use crate::engine::Namespace;
use crate::engine::catalog::{self, Collection};
use crate::engine::query::context::{At, Context, Fields};
use crate::engine::query::filter::Filter;
use crate::engine::query::path::Path;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::source::{self, ScanRequest, scan};
use crate::engine::value::Value;
use crate::error::Result;
use std::collections::BTreeSet;

/// A request to count documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Count {
    /// Which; all of them without it.
    pub filter: Option<Value>,
    /// The index to use, by its name or its fields.
    pub hint: Option<Value>,
}

/// A request for the different values of a field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distinct {
    /// The path of the field.
    pub field: String,
    /// In which documents; in all of them without it.
    pub filter: Option<Value>,
}

/// Counts the documents that match.
///
/// # Errors
/// `invalid_query`, and those of reading.
pub async fn count(
    session: &Session,
    namespace: &Namespace,
    request: Count,
) -> Result<Response<u64>> {
    let filter = parse_filter(request.filter.as_ref())?;
    let hint = parse_hint(request.hint.as_ref())?;
    count_matching(session, namespace, filter, hint).await
}

/// Counts the documents that match a filter.
pub(super) async fn count_matching(
    session: &Session,
    namespace: &Namespace,
    filter: Filter,
    hint: Option<Hint>,
) -> Result<Response<u64>> {
    let everything = filter.always() && matches!(hint, None | Some(Hint::Natural | Hint::Id));
    if everything && State::of(session)?.is_now() {
        session.check_readable(namespace)?;
        let group = session.group()?;
        let (read, index) = group.read_with_index()?;
        let id = find_collection(&read, namespace)?;
        return Ok(Response::at(catalog::totals(&read, id)?.documents, index));
    }
    let reading = reading(session, namespace, move |read, collection, ctx| {
        source::count(read, collection, &filter, hint.as_ref(), ctx)
    });
    reading.await.map(|(count, index)| Response::at(count, index))
}

/// The different values of a field, those inside arrays one by one, in their order.
///
/// # Errors
/// `invalid_query`, and those of reading.
pub async fn distinct(
    session: &Session,
    namespace: &Namespace,
    request: Distinct,
) -> Result<Response<Vec<Value>>> {
    let filter = parse_filter(request.filter.as_ref())?;
    let path = Path::parse(&request.field, At::root("field"))?;
    let reading = reading(session, namespace, move |read, collection, ctx| {
        values_of(&path, &filter, read, collection, ctx)
    });
    reading.await.map(|(values, index)| Response::at(values, index))
}

fn values_of(
    path: &Path,
    filter: &Filter,
    read: &View<'_>,
    collection: &Collection,
    ctx: &Context<'_>,
) -> Result<Vec<Value>> {
    let mut fields = Fields::default();
    fields.add(path.as_str());
    let request = ScanRequest { wanted: QuerySpec::all(filter), fields, hint: None };
    let mut values = BTreeSet::new();
    scan(read, collection, request, ctx, |found, _| {
        for found in found {
            let document = found?.fields;
            let mut found = Vec::new();
            path.any(&document, |value| {
                match value {
                    Some(Value::Array(items)) => found.extend(items),
                    Some(value) => found.push(value),
                    None => {}
                }
                false
            });
            for value in found {
                if !values.contains(value) {
                    ctx.charge(value.bytes(), "the set of different values")?;
                    values.insert(value.clone());
                }
            }
        }
        Ok(())
    })?;
    Ok(values.into_iter().collect())
}
