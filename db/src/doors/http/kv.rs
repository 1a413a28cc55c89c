//! Keys and values over HTTP, in the shapes of rockraft's cluster example: the documents of the
//! collection that `KvCollection` names, each with its key as `_id` and its value in the field `value`.

use super::call::Call;
use super::describe::{CHANGE_ERRORS, KV, describe};
use super::endpoint::Endpoint;
use super::jettradbvm::documents::is_absent;
use super::reply::{Reply, Values};
use crate::engine::DocumentId;
use crate::engine::command::Target;
use crate::engine::document::{check_id_size, parse_document};
use crate::error::{Error, Kind, Result};
use crate::service::documents::{self, Document};
use crate::service::precondition::Precondition;
use jettra_driver::wire::{KvEntry, KvKey, KvReply};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::rc::Rc;

/// A stored document; one that was not written here may have no value.
#[derive(Deserialize)]
struct Stored<'d> {
    #[serde(borrow)]
    value: Option<&'d RawValue>,
}

/// `GET /api/kv/get`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(KV, "Read a key; its value is null if it does not exist")
            .query("key!")
            .gives::<KvEntry>(200)
            .reads()
            .fails(&[Kind::IdTooLong])
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let key = call.required(&["key"])?;
    let found = documents::get(&call.session, &call.namespace()?, target(&call, key)?).await;
    match found {
        Ok(found) => {
            let index = found.index;
            let reply = entry(key, Some(&found.value))?;
            Ok(Reply { index, ..reply })
        }
        Err(error) if is_absent(&error) => entry(key, None),
        Err(error) => Err(error),
    }
}

/// A key with the value of its document, as it is stored.
fn entry(key: &str, document: Option<&Document>) -> Result<Reply> {
    let damaged = |error| Error::new(Kind::Internal, format!("the value of {key:?}: {error}"));
    let stored: Option<Stored<'_>> = document
        .map(|document| serde_json::from_slice(&document.json))
        .transpose()
        .map_err(damaged)?;
    let value = stored.and_then(|stored| stored.value).map_or_else(null, RawValue::to_owned);
    let entry = KvEntry { key: key.to_owned(), value };
    Ok(Reply::json(&entry).values(Values::In(&["value"])))
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// `POST /api/kv/set`
pub const SET: Endpoint = Endpoint::new(
    |call| Box::pin(set(call)),
    || {
        describe(KV, "Set a key to any JSON; creates database and collection if need be")
            .body::<KvEntry>()
            .gives::<KvReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
    },
);

async fn set(call: Rc<Call>) -> Result<Reply> {
    // Strictly first; a tree of values would not keep the types of numbers.
    call.json::<KvEntry>()?;
    let unreadable = |error: serde_json::Error| Error::new(Kind::InvalidBody, error.to_string());
    let KvEntry { key, value } = serde_json::from_slice(&call.body).map_err(unreadable)?;
    let text = format!("{{\"value\":{value}}}");
    let new = parse_document(text.as_bytes(), &call.session.limits())?;
    let (target, namespace) = (target(&call, &key)?, call.namespace()?);
    let creates = call.session.may_create(&namespace.database)?;
    let always = Precondition::default();
    let put = documents::put(&call.session, &namespace, &target, &new.body, &always, creates);
    Ok(Reply::of(put.await?.map(|_| done(&key, "set"))))
}

/// `POST /api/kv/delete`
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(KV, "Delete a key; succeeds if it does not exist")
            .body::<KvKey>()
            .gives::<KvReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let KvKey { key } = call.json()?;
    let (target, namespace) = (target(&call, &key)?, call.namespace()?);
    let always = Precondition::default();
    match documents::delete(&call.session, &namespace, &target, &always).await {
        Ok(deleted) => Ok(Reply::of(deleted.map(|()| done(&key, "deleted")))),
        Err(error) if is_absent(&error) => Ok(done(&key, "deleted")),
        Err(error) => Err(error),
    }
}

/// The document of a key.
fn target(call: &Call, key: &str) -> Result<Target> {
    let id = DocumentId::from(key);
    check_id_size(&id, &call.session.limits())?;
    Ok(id.into())
}

fn done(key: &str, what: &str) -> Reply {
    Reply::json(&KvReply { success: true, message: format!("Key '{key}' {what} successfully") })
}
