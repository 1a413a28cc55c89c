//! Indexes of a collection over HTTP, and what the collection holds.

use super::call::Call;
use super::describe::{NAME_ERRORS, NAMESPACE_ERRORS, STRUCTURE, describe};
use super::endpoint::Endpoint;
use super::find::value;
use super::reply::Reply;
use crate::engine::index::IndexState;
use crate::error::{Kind, Result};
use crate::service::indexes::{
    self, CreatedIndex, IndexEntry, NewIndex, Statistics, checked_options,
};
use jettra_driver::wire::{IndexBody, IndexInfo, IndexStateName, IndexesReply, StatsReply};
use serde_json::{Value, json};
use std::rc::Rc;

/// An index as the interface represents it.
pub fn index_info(entry: IndexEntry) -> IndexInfo {
    let (state, done, error) = match &entry.state {
        IndexState::Building { done, .. } => (IndexStateName::Building, Some(*done), None),
        IndexState::Ready => (IndexStateName::Ready, None, None),
        IndexState::Failed(error) => (IndexStateName::Failed, None, Some(error.to_string())),
    };
    let keys = entry.keys.into_iter();
    IndexInfo {
        name: entry.name,
        keys: keys
            .map(|(name, descending)| (name, json!(if descending { -1 } else { 1 })))
            .collect(),
        unique: entry.unique,
        sparse: entry.sparse,
        sequential: entry.sequential,
        partial_filter_expression: entry.partial.and_then(|text| serde_json::from_str(&text).ok()),
        expire_after_seconds: entry.expire_after,
        state,
        done,
        total: entry.total,
        error,
        entries: entry.entries,
        multikey: entry.multikey,
    }
}

/// The fields of an index with commas between them, as JettraDBVM names them.
pub fn field_list(info: &IndexInfo) -> String {
    info.keys.keys().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// `GET …/indexes`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(STRUCTURE, "List the indexes of a collection")
            .gives::<IndexesReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let indexes = indexes::list(&call.session, &call.namespace()?).await?;
    Ok(Reply::of(indexes.map(|indexes| {
        let indexes: Vec<_> = indexes.into_iter().map(index_info).collect();
        Reply::json(&json!({"indexes": indexes}))
    })))
}

/// `POST …/indexes`
pub const CREATE: Endpoint = Endpoint::new(
    |call| Box::pin(create(call)),
    || {
        describe(STRUCTURE, "Create an index: 200 when there is the same one")
            .body::<IndexBody>()
            .gives::<IndexInfo>(201)
            .gives::<IndexInfo>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[
                Kind::CollectionNotFound,
                Kind::InvalidQuery,
                Kind::IndexConflict,
                Kind::IndexNotFound,
                Kind::UniqueViolation,
                Kind::NotIndexable,
                Kind::TooLarge,
            ])
    },
);

async fn create(call: Rc<Call>) -> Result<Reply> {
    let IndexBody { keys, wait, options } = call.json()?;
    let keys = value(keys, "keys")?;
    let options = checked_options(value(Value::Object(options), "options")?)?;
    let (session, namespace) = (&call.session, call.namespace()?);
    let made = indexes::create(session, &namespace, NewIndex { keys, options, wait }).await?;
    let CreatedIndex { name, created } = &made.value;
    let entry = indexes::get(session, &namespace, name, made.index.unwrap_or_default()).await?;
    let status = if *created { 201 } else { 200 };
    let reply = Reply::json(&entry.map(index_info)).with_status(status);
    Ok(Reply::of(made.map(|_| reply)))
}

/// `DELETE …/indexes/{name}`
pub const DROP_INDEX: Endpoint = Endpoint::new(
    |call| Box::pin(drop_index(call)),
    || {
        describe(STRUCTURE, "Drop an index, by its name or its fields")
            .gives_nothing()
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
            .fails(&[Kind::IndexNotFound, Kind::IndexConflict])
    },
);

async fn drop_index(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["name"])?;
    let dropped = indexes::drop_index(&call.session, &call.namespace()?, name).await?;
    Ok(Reply::of(dropped.map(|()| Reply::empty())))
}

/// `GET …/stats`
pub const STATS: Endpoint = Endpoint::new(
    |call| Box::pin(stats(call)),
    || {
        describe(STRUCTURE, "Tell what a collection holds")
            .gives::<StatsReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
    },
);

async fn stats(call: Rc<Call>) -> Result<Reply> {
    let statistics = indexes::statistics(&call.session, &call.namespace()?).await?;
    Ok(Reply::of(statistics.map(|Statistics { documents, bytes, indexes, schema }| {
        let indexes = indexes.into_iter().map(index_info).collect();
        let average_bytes = bytes.checked_div(documents).unwrap_or(0);
        Reply::json(&StatsReply { documents, bytes, average_bytes, indexes, schema })
    })))
}
