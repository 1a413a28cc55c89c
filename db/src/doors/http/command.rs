//! Statements as text: JQL, SQL and Mongo's shell language, on the same functions as the REST
//! interface.

use super::aggregate::{self, Aggregate};
use super::call::Call;
use super::confirm::{self, Action};
use super::explain::Explained;
use super::paging::{Answered, Paging};
use super::query::{self, Find};
use super::reply::Reply;
use super::{aggregate_page, index, update};
use crate::auth::Permission;
use crate::engine::command::Command;
use crate::engine::query::text::{self, Modification, Statement};
use crate::engine::system;
use crate::error::{Error, Kind, Result};
use jettra_driver::wire::{
    AggregateBody, CountBody, DeleteBody, DistinctBody, ExplainLevel, FindAndModifyBody, FindBody,
    IndexBody, ReplaceBody, ReturnForm, StatementBody, UpdateBody,
};
use serde_json::{Value, json};
use std::rc::Rc;

/// Whether the statement must run on the leader.
pub fn writes(call: &Call) -> Result<bool> {
    statement_writes(&statement(call, &call.json()?)?)
}

/// The statement of a call, no deeper than JSON may be.
fn statement(call: &Call, body: &StatementBody) -> Result<Statement> {
    let statement = text::parse(&body.command)?;
    statement.check_depth(call.cluster().config.depth_max)?;
    Ok(statement)
}

fn statement_writes(statement: &Statement) -> Result<bool> {
    Ok(match statement {
        Statement::Find { .. }
        | Statement::Count { .. }
        | Statement::Distinct { .. }
        | Statement::ShowIndexes { .. }
        | Statement::ShowCollections
        | Statement::ShowDatabases
        | Statement::Explain { .. } => false,
        Statement::Aggregate { pipeline, .. } => {
            let body = AggregateBody { pipeline: json!(pipeline), hint: None, explain: None };
            Aggregate::parse(body)?.output().is_some()
        }
        _ => true,
    })
}

/// Whether a statement gives a list of documents.
fn gives_list(statement: &Statement) -> Result<bool> {
    match statement {
        Statement::Find { one, .. } => Ok(!one),
        Statement::Aggregate { .. } => Ok(!statement_writes(statement)?),
        _ => Ok(false),
    }
}

/// `POST /api/command`
pub async fn run(call: Rc<Call>) -> Result<Reply> {
    let body: StatementBody = call.json()?;
    let paging = Paging::of(&body, call.cluster().config.page_max as u64)?;
    let statement = statement(&call, &body)?;
    if !gives_list(&statement)? {
        paging.check_no_cursor()?;
    }
    if statement_writes(&statement)? {
        call.authorize(Permission::Write, call.required(&["db", "database"])?)?;
        if call.parameter(&["at", "asOf", "as_of"]).is_some() {
            return Err(Error::new(Kind::InvalidParameter, "the past cannot be changed")
                .hint("leave at and asOf out; they are for reading documents"));
        }
    }
    let call = match collection_of(&statement) {
        Some(collection) => call.with_collection(collection),
        None => (*call).clone(),
    };
    Ok(paging.reply(execute(&call, statement, None, &paging).await?))
}

/// The collection that a statement is about.
fn collection_of(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::Find { collection, .. }
        | Statement::Aggregate { collection, .. }
        | Statement::Count { collection, .. }
        | Statement::Distinct { collection, .. }
        | Statement::Insert { collection, .. }
        | Statement::Update { collection, .. }
        | Statement::Replace { collection, .. }
        | Statement::FindAndModify { collection, .. }
        | Statement::Delete { collection, .. }
        | Statement::CreateIndex { collection, .. }
        | Statement::DropIndex { collection, .. }
        | Statement::ShowIndexes { collection }
        | Statement::CreateCollection { collection }
        | Statement::DropCollection { collection }
        | Statement::RenameCollection { collection, .. } => Some(collection),
        Statement::Explain { statement, .. } => collection_of(statement),
        Statement::ShowCollections | Statement::ShowDatabases => None,
    }
}

/// A sentence for an answer, with the values that belong to it.
fn message(text: String, values: Value) -> Reply {
    let mut answer = json!({"message": text});
    if let (Some(answer), Value::Object(values)) = (answer.as_object_mut(), values) {
        answer.extend(values);
    }
    Reply::json(&answer)
}

async fn execute(
    call: &Call,
    statement: Statement,
    explain: Option<ExplainLevel>,
    paging: &Paging,
) -> Result<Answered> {
    match statement {
        Statement::Find { filter, projection, sort, skip, limit, hint, one, .. } => {
            let body = FindBody {
                filter: Some(json!(filter)),
                sort: sort.map(|sort| json!(sort)),
                projection: projection.map(|projection| json!(projection)),
                skip: Some(skip),
                limit: paging.limit(limit),
                cursor: paging.cursor(),
                hint: hint.map(|hint| json!(hint)),
                explain,
            };
            let find = paging.bound(Find::parse(body, u64::MAX)?, limit);
            let (page, index) = query::find_page(call, find).await?;
            if !one || page.explained.is_some() {
                return Ok(Answered::List(page, index));
            }
            // The one document without the brackets of the list; null when there is none.
            let inside = page.documents.get(1..page.documents.len().saturating_sub(1));
            let document = inside.filter(|text| !text.is_empty()).unwrap_or(b"null");
            Ok(Answered::Other(Reply::bytes(document.to_vec()).at(index)))
        }
        Statement::Aggregate { pipeline, .. } => {
            let body = AggregateBody { pipeline: json!(pipeline), hint: None, explain };
            let pipeline = Aggregate::parse(body)?;
            if pipeline.output().is_some() && explain.is_none() {
                return update::write_output(call, pipeline).await.map(Answered::Other);
            }
            let (page, index) = match paging {
                Paging::Plain => aggregate::aggregate_page(call, pipeline).await?,
                Paging::Pages { size, cursor } => {
                    aggregate_page::page(call, pipeline, *size, cursor.as_deref()).await?
                }
            };
            Ok(Answered::List(page, index))
        }
        Statement::Explain { statement, execute: run } => {
            let level = if run { ExplainLevel::ExecutionStats } else { ExplainLevel::QueryPlanner };
            match *statement {
                query @ (Statement::Find { .. } | Statement::Aggregate { .. }) => {
                    Box::pin(execute(call, query, Some(level), paging)).await
                }
                other => {
                    let reply = query::explain(call, explained(call, other)?, level).await?;
                    Ok(Answered::Other(reply))
                }
            }
        }
        other => carry_out(call, other).await.map(Answered::Other),
    }
}

/// Carries out a statement that gives no list of documents.
async fn carry_out(call: &Call, statement: Statement) -> Result<Reply> {
    match statement {
        Statement::Count { filter, .. } => {
            let filter = query::filter(Some(json!(filter)))?;
            let (count, index) = query::count_matching(call, filter, None).await?;
            Ok(Reply::json(&json!({"count": count})).at(index))
        }
        Statement::Distinct { field, filter, .. } => {
            let filter = query::filter(Some(json!(filter)))?;
            let (values, index) = query::distinct_values(call, field, filter).await?;
            Ok(Reply::json(&values).at(index))
        }
        Statement::Insert { documents, many, .. } => insert(call, documents, many).await,
        Statement::Update { filter, update, multi, upsert, array_filters, .. } => {
            let body = UpdateBody {
                filter: json!(filter),
                update: json!(update),
                array_filters: array_filters.map(|filters| json!(filters)),
                multi,
                upsert,
                ..UpdateBody::default()
            };
            let (reply, index) = update::run_update(call, body).await?;
            let text = format!("{} matched, {} changed", reply.matched, reply.modified);
            Ok(message(text, json!(reply)).at(index))
        }
        Statement::Replace { filter, replacement, upsert, .. } => {
            let (filter, replacement) = (json!(filter), json!(replacement));
            let body = ReplaceBody { filter, replacement, upsert, ..ReplaceBody::default() };
            let (reply, index) = update::run_replace(call, body).await?;
            let text = format!("{} matched, {} changed", reply.matched, reply.modified);
            Ok(message(text, json!(reply)).at(index))
        }
        Statement::FindAndModify {
            filter,
            change,
            sort,
            projection,
            return_new,
            upsert,
            array_filters,
            ..
        } => {
            let mut body = FindAndModifyBody {
                filter: json!(filter),
                array_filters: array_filters.map(|filters| json!(filters)),
                sort: sort.map(|sort| json!(sort)),
                projection: projection.map(|projection| json!(projection)),
                upsert,
                returning: if return_new { ReturnForm::After } else { ReturnForm::Before },
                ..FindAndModifyBody::default()
            };
            match change {
                Modification::Update(update) => body.update = Some(json!(update)),
                Modification::Replace(replacement) => body.replacement = Some(json!(replacement)),
                Modification::Delete => body.remove = true,
            }
            let (reply, index) = update::run_find_and_modify(call, body).await?;
            Ok(Reply::json(&reply.document).at(index))
        }
        Statement::Delete { filter, multi, .. } => {
            let body = DeleteBody { filter: json!(filter), multi, ..DeleteBody::default() };
            let (reply, index) = update::run_delete(call, body).await?;
            Ok(message(format!("{} deleted", reply.deleted), json!(reply)).at(index))
        }
        Statement::CreateIndex { keys, options, .. } => {
            let Value::Object(options) = json!(options) else {
                return Err(Error::new(Kind::InvalidQuery, "the options must be an object"));
            };
            let body = IndexBody { keys: json!(keys), wait: true, options };
            let (name, created, index) = index::run_create(call, body).await?;
            let text = match created {
                true => format!("index {name} created"),
                false => format!("index {name} exists"),
            };
            Ok(message(text, json!({"name": name})).at(index))
        }
        Statement::DropIndex { name_or_keys, .. } => {
            let name = match json!(name_or_keys) {
                Value::String(name) => name,
                Value::Object(keys) => keys.keys().cloned().collect::<Vec<_>>().join(","),
                _ => {
                    return Err(Error::new(
                        Kind::InvalidQuery,
                        "an index is named by a text or its fields",
                    ));
                }
            };
            let index = index::run_drop(call, &name).await?;
            Ok(message(format!("index {name} dropped"), json!({})).at(index))
        }
        Statement::ShowIndexes { .. } => {
            let (indexes, index) = index::indexes(call).await?;
            Ok(Reply::json(&indexes).at(index))
        }
        Statement::ShowCollections => super::catalog::collections(Rc::new(call.clone())).await,
        Statement::ShowDatabases => super::catalog::databases(Rc::new(call.clone())).await,
        Statement::CreateCollection { .. } => {
            let (database, collection) = place(call)?;
            call.check_creates(&database).await?;
            change(call, Command::CreateCollection { database, collection }, "created").await
        }
        Statement::DropCollection { .. } => {
            let (database, collection) = place(call)?;
            confirm::check(call, Action::Drop, json!({})).await?;
            change(call, Command::DropCollection { database, collection }, "dropped").await
        }
        Statement::RenameCollection { to, .. } => {
            let (database, from) = place(call)?;
            system::check_name("collection", &to, call.cluster().config.name_bytes_max)?;
            change(call, Command::RenameCollection { database, from, to }, "renamed").await
        }
        Statement::Find { .. } | Statement::Aggregate { .. } | Statement::Explain { .. } => {
            Err(Error::new(Kind::Internal, "a list of documents is carried out by itself"))
        }
    }
}

/// How a statement finds its documents.
fn explained(call: &Call, statement: Statement) -> Result<Explained> {
    let update = |filter, sort: Option<_>, multi| {
        let sort = sort.map(|sort| json!(sort));
        let body = UpdateBody { filter: json!(filter), sort, multi, ..UpdateBody::default() };
        Explained::update(call, body)
    };
    let delete = |filter, sort: Option<_>, multi| {
        let sort = sort.map(|sort| json!(sort));
        let body = DeleteBody { filter: json!(filter), sort, multi, ..DeleteBody::default() };
        Explained::delete(call, body)
    };
    match statement {
        Statement::Count { filter, .. } => {
            Explained::count(CountBody { filter: Some(json!(filter)), ..CountBody::default() })
        }
        Statement::Distinct { field, filter, .. } => {
            Explained::distinct(DistinctBody { field, filter: Some(json!(filter)), explain: None })
        }
        Statement::Update { filter, multi, .. } => update(filter, None, multi),
        Statement::Replace { filter, .. } => update(filter, None, false),
        Statement::FindAndModify { filter, change: Modification::Delete, sort, .. } => {
            delete(filter, sort, false)
        }
        Statement::FindAndModify { filter, sort, .. } => update(filter, sort, false),
        Statement::Delete { filter, multi, .. } => delete(filter, None, multi),
        _ => Err(Error::new(Kind::InvalidQuery, "this statement has no plan to explain")
            .hint("explain a query, an update or a delete")),
    }
}

fn place(call: &Call) -> Result<(String, String)> {
    let (database, collection) = super::document::writable_place(call)?;
    Ok((database.to_owned(), collection.to_owned()))
}

async fn change(call: &Call, command: Command, what: &str) -> Result<Reply> {
    let (_, collection) = call.place()?;
    let applied = call.propose(command).await?;
    Ok(message(format!("collection {collection} {what}"), json!({})).at(applied.index))
}

async fn insert(
    call: &Call,
    documents: Vec<crate::engine::value::Value>,
    many: bool,
) -> Result<Reply> {
    let operations =
        documents.iter().map(|document| update::insert_operation(call, json!(document)));
    let operations = operations.collect::<Result<Vec<_>>>()?;
    if many {
        let operations = operations.into_iter().map(Ok).collect();
        let (reply, index) = update::run_bulk(call, operations, true).await?;
        let ids: Vec<_> = reply.inserted_ids.values().collect();
        return Ok(message(format!("{} inserted", reply.inserted), json!({"ids": ids})).at(index));
    }
    let [operation] = <[_; 1]>::try_from(operations)
        .map_err(|_| Error::new(Kind::InvalidQuery, "one document must be given"))?;
    let (wrote, index) = update::write_one(call, operation).await?;
    let id = wrote.inserted.map(|id| json!(id)).unwrap_or_default();
    // The ancestor answers with the new _id as the message.
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let warnings = update::warnings(wrote.warnings);
    let more = if warnings.is_empty() {
        json!({"id": id})
    } else {
        json!({"id": id, "warnings": warnings})
    };
    Ok(message(text, more).at(index))
}
