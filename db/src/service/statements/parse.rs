//! From the text of a statement to the request that it stands for.

use super::{Request, Statement};
use crate::engine::query::text::{self, Modification as TextModification, Statement as Text};
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use crate::service::count::{Count, Distinct};
use crate::service::explain::{Explain, Explained};
use crate::service::find::Find;
use crate::service::indexes::NewIndex;
use crate::service::pipelines::Pipeline;
use crate::service::writes::{Delete, FindAndModify, Modification, Replace, Selection, Update};

/// Reads a statement, no part of it nested deeper than `depth_max` levels.
///
/// # Errors
/// `syntax_error`, `too_deep`; `invalid_query` for a pipeline with a stage that cannot be.
pub fn parse(text: &str, depth_max: usize) -> Result<Statement> {
    let parsed = text::parse(text)?;
    parsed.check_depth(depth_max)?;
    Statement::of(parsed)
}

impl Statement {
    fn of(text: Text) -> Result<Statement> {
        let (collection, request) = match text {
            Text::Find { collection, filter, projection, sort, skip, limit, hint, one } => {
                let find = Find {
                    filter: Some(filter),
                    sort,
                    projection,
                    skip,
                    total: limit,
                    hint,
                    ..Find::default()
                };
                (collection, Request::Find { find, one })
            }
            Text::Aggregate { collection, pipeline } => {
                (collection, Request::Aggregate(Pipeline::parse(&pipeline, None, None)?))
            }
            Text::Count { collection, filter } => {
                (collection, Request::Count(Count { filter: Some(filter), hint: None }))
            }
            Text::Distinct { collection, field, filter } => {
                (collection, Request::Distinct(Distinct { field, filter: Some(filter) }))
            }
            Text::Insert { collection, documents, many } => {
                (collection, insertion(documents, many)?)
            }
            Text::Update { collection, filter, update, multi, upsert, array_filters } => {
                let selection = Selection { filter, ..Selection::default() };
                let update = Update { selection, update, array_filters, multi, upsert };
                (collection, Request::Update(update))
            }
            Text::Replace { collection, filter, replacement, upsert } => {
                let selection = Selection { filter, ..Selection::default() };
                (collection, Request::Replace(Replace { selection, replacement, upsert }))
            }
            modify @ Text::FindAndModify { .. } => return find_and_modify(modify),
            Text::Delete { collection, filter, multi } => {
                let selection = Selection { filter, ..Selection::default() };
                (collection, Request::Delete(Delete { selection, multi }))
            }
            Text::CreateIndex { collection, keys, options } => {
                (collection, Request::CreateIndex(NewIndex { keys, options, wait: true }))
            }
            Text::DropIndex { collection, name_or_keys } => {
                (collection, Request::DropIndex(index_name(name_or_keys)?))
            }
            Text::ShowIndexes { collection } => (collection, Request::ShowIndexes),
            Text::CreateCollection { collection } => (collection, Request::CreateCollection),
            Text::DropCollection { collection } => (collection, Request::DropCollection),
            Text::RenameCollection { collection, to } => {
                (collection, Request::RenameCollection(to))
            }
            Text::ShowCollections => return Ok(Statement::about_all(Request::ShowCollections)),
            Text::ShowDatabases => return Ok(Statement::about_all(Request::ShowDatabases)),
            Text::Explain { statement, execute } => {
                let explain = if execute { Explain::Execution } else { Explain::Plan };
                return Statement::of(*statement)?.explained(explain);
            }
        };
        Ok(Statement { collection: Some(collection), request })
    }

    fn about_all(request: Request) -> Statement {
        Statement { collection: None, request }
    }

    /// The statement that explains this one.
    fn explained(self, explain: Explain) -> Result<Statement> {
        let request = match self.request {
            Request::Find { find, one } => {
                Request::Find { find: Find { explain: Some(explain), ..find }, one }
            }
            Request::Aggregate(pipeline) => Request::Aggregate(pipeline.explained(explain)),
            Request::Count(count) => Request::Explain(Explained::Count(count), explain),
            Request::Distinct(distinct) => Request::Explain(Explained::Distinct(distinct), explain),
            Request::Update(Update { selection, multi, .. }) => {
                Request::Explain(Explained::Update { selection, multi }, explain)
            }
            Request::Replace(Replace { selection, .. }) => {
                Request::Explain(Explained::Update { selection, multi: false }, explain)
            }
            Request::FindAndModify(FindAndModify { selection, change, .. }) => {
                let explained = match change {
                    Modification::Delete => Explained::Delete(Delete { selection, multi: false }),
                    _ => Explained::Update { selection, multi: false },
                };
                Request::Explain(explained, explain)
            }
            Request::Delete(delete) => Request::Explain(Explained::Delete(delete), explain),
            _ => {
                return Err(Error::new(
                    Kind::InvalidQuery,
                    "this statement has no plan to explain",
                )
                .hint("explain a query, an update or a delete"));
            }
        };
        Ok(Statement { request, ..self })
    }
}

/// The statement that changes or deletes a document and returns it.
fn find_and_modify(text: Text) -> Result<Statement> {
    let Text::FindAndModify {
        collection,
        filter,
        change,
        sort,
        projection,
        return_new,
        upsert,
        array_filters,
    } = text
    else {
        return Err(Error::new(Kind::Internal, "another statement was expected"));
    };
    let request = FindAndModify {
        selection: Selection { filter, sort, hint: None },
        change: match change {
            TextModification::Update(update) => Modification::Update(update),
            TextModification::Replace(replacement) => Modification::Replace(replacement),
            TextModification::Delete => Modification::Delete,
        },
        array_filters,
        projection,
        upsert,
        return_after: return_new,
    };
    Ok(Statement { collection: Some(collection), request: Request::FindAndModify(request) })
}

fn insertion(mut documents: Vec<Value>, many: bool) -> Result<Request> {
    if many {
        return Ok(Request::InsertMany(documents));
    }
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(Request::InsertOne(document)),
        _ => Err(Error::new(Kind::InvalidQuery, "one document must be given")),
    }
}

/// The name of an index, or its fields with commas between them.
fn index_name(name_or_keys: Value) -> Result<String> {
    match name_or_keys {
        Value::String(name) => Ok(name),
        Value::Object(keys) => Ok(keys.keys().cloned().collect::<Vec<_>>().join(",")),
        _ => Err(Error::new(Kind::InvalidQuery, "an index is named by a text or its fields")),
    }
}
