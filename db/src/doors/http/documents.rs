//! Single documents over HTTP.

use super::call::{Call, number};
use super::describe::{AnyDocument, CHANGE_ERRORS, DOCUMENT_ERRORS, DOCUMENTS, describe};
use super::endpoint::Endpoint;
use super::positions::without_group;
use super::reply::{IDS, Reply, warnings};
use crate::engine::DocumentId;
use crate::engine::command::PutMode;
use crate::engine::document::parse_document;
use crate::engine::document::{Revision, parse_json};
use crate::engine::query::context::At;
use crate::engine::value::{Value, from_json};
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::service::Response;
use crate::service::documents::{self, Document, Patched, Written};
use crate::service::precondition::{Precondition, Revisions};
use crate::wire::IntoWire;
use actix_web::http::header::{self, HeaderName};
use jettra_driver::wire::{self, ForgottenReply, WriteReply};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::rc::Rc;

/// `GET …/documents/{id}`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(DOCUMENTS, "Read a document")
            .query("id_type")
            .gives::<AnyDocument>(200)
            .gives_known()
            .reads()
            .fails(DOCUMENT_ERRORS)
    },
);

/// `GET …/documents/{id}`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let condition = condition(&call)?;
    let found = documents::get(&call.session, &namespace, target).await?;
    Ok(Reply::of(found.map(|Document { revision, json }| {
        let reply = match condition.is_known(revision) {
            true => Reply::empty().with_status(304),
            false => Reply::value(json),
        };
        reply.etag(revision)
    })))
}

/// `POST …/documents`
pub const INSERT: Endpoint = Endpoint::new(
    |call| Box::pin(insert(call)),
    || {
        describe(DOCUMENTS, "Insert a document; creates the collection if need be")
            .body::<AnyDocument>()
            .gives::<WriteReply>(201)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(&[Kind::DuplicateId])
    },
);

async fn insert(call: Rc<Call>) -> Result<Reply> {
    let new = parse_document(&call.body, &call.session.limits())?;
    let namespace = call.namespace()?;
    let place = format!(
        "/api/v1/databases/{}/collections/{}/documents/",
        segment(&namespace.database),
        segment(&namespace.collection)
    );
    let inserted = documents::insert(&call.session, namespace, new, PutMode::Insert, false).await?;
    Ok(Reply::of(inserted.map(|written| {
        let place = place + &in_address(&written.id);
        let revision = written.revision;
        let reply = written_reply(written).with_status(201);
        reply.etag(revision).header("location", place)
    })))
}

/// Puts a document at the address's `_id`, which its body may name too.
async fn replace(call: &Call) -> Result<Response<Written>> {
    let target = call.target_document()?;
    let mut new = parse_document(&call.body, &call.session.limits())?;
    let named = [Some(&target.id), target.or.as_ref()];
    if let Some(id) = new.id.take()
        && !named.contains(&Some(&id))
    {
        let message = format!("the body has _id {id}, the address names {}", target.id);
        return Err(
            Error::new(Kind::InvalidId, message).hint("an _id cannot be changed; leave it out")
        );
    }
    let (namespace, condition) = (call.namespace()?, condition(call)?);
    documents::put(&call.session, &namespace, &target, &new.body, &condition, false).await
}

/// `PUT …/documents/{id}`
pub const PUT: Endpoint = Endpoint::new(
    |call| Box::pin(put(call)),
    || {
        describe(DOCUMENTS, "Put a document at an `_id`: 201 when there was none")
            .query("id_type")
            .body::<AnyDocument>()
            .gives::<WriteReply>(200)
            .gives::<WriteReply>(201)
            .writes()
            .if_match()
            .fails(CHANGE_ERRORS)
    },
);

async fn put(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::of(replace(&call).await?.map(|written| {
        let (status, revision) = (if written.created { 201 } else { 200 }, written.revision);
        written_reply(written).with_status(status).etag(revision)
    })))
}

/// A change of a document.
struct Patch;

impl JsonSchema for Patch {
    fn schema_name() -> Cow<'static, str> {
        "Patch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The fields to change, where `null` removes one (JSON Merge Patch); or \
                update operators such as `{\"$inc\": {\"n\": 1}}`.",
            "type": "object",
        })
    }
}

/// `PATCH …/documents/{id}`: JSON Merge Patch, or update operators when the body has them.
pub const PATCH: Endpoint = Endpoint::new(
    |call| Box::pin(patch(call)),
    || {
        describe(DOCUMENTS, "Change fields of a document, and give it as it is then")
            .query("id_type")
            .body::<Patch>()
            .gives::<AnyDocument>(200)
            .gives::<ForgottenReply>(200)
            .writes()
            .if_match()
            .fails(CHANGE_ERRORS)
            .fails(DOCUMENT_ERRORS)
            .fails(&[Kind::QueryTooLarge])
    },
);

async fn patch(call: Rc<Call>) -> Result<Reply> {
    let json = parse_json(&call.body, &call.session.limits())?;
    let Some(fields) = json.as_object() else {
        return Err(Error::new(Kind::InvalidBody, "a patch must be a JSON object").hint(
            "send the fields to change, or update operators such as {\"$inc\": {\"n\": 1}}",
        ));
    };
    let name = match fields.keys().any(|name| name.starts_with('$')) {
        true => "update",
        false => "patch",
    };
    let patch = from_json(json, At::root(name))?;
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let condition = condition(&call)?;
    let patched = documents::patch(&call.session, &namespace, &target, patch, &condition).await?;
    Ok(Reply::of(patched.map(|Patched { revision, document }| {
        let reply = match document {
            Ok(text) => Reply::value(text),
            Err(id) => Reply::json(&ForgottenReply {
                id: id.into_wire(),
                revision,
                document_forgotten: true,
            })
            .values(IDS),
        };
        reply.etag(revision)
    })))
}

/// `DELETE …/documents/{id}`
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(DOCUMENTS, "Delete a document")
            .query("id_type")
            .gives_nothing()
            .writes()
            .if_match()
            .fails(DOCUMENT_ERRORS)
            .fails(&[Kind::InvalidName, Kind::Referenced, Kind::ValidationFailed])
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let condition = condition(&call)?;
    let deleted = documents::delete(&call.session, &namespace, &target, &condition).await?;
    Ok(Reply::of(deleted.map(|()| Reply::empty())))
}

/// What was written, as the interface represents it.
pub fn written_reply(written: Written) -> Reply {
    let Written { id, revision, warnings: texts, .. } = written;
    let reply = WriteReply { id: id.into_wire(), revision, warnings: warnings(texts) };
    Reply::json(&reply).values(IDS)
}

/// The precondition in the head of a call.
///
/// # Errors
/// `invalid_parameter` for what is no entity tag of this interface.
pub fn condition(call: &Call) -> Result<Precondition> {
    Ok(Precondition {
        matches: tags_of(call, header::IF_MATCH, "If-Match")?,
        none_of: tags_of(call, header::IF_NONE_MATCH, "If-None-Match")?,
    })
}

fn tags_of(call: &Call, name: HeaderName, shown: &str) -> Result<Option<Revisions>> {
    let Some(value) = call.headers().get(name) else { return Ok(None) };
    parse_tags(shown, value.to_str().unwrap_or_default(), call.session.group_number()).map(Some)
}

/// Reads `*` or a list of entity tags of a group. A proxy may have made a tag weak, and a person may
/// have left the quotes out.
fn parse_tags(name: &str, text: &str, group: GroupId) -> Result<Revisions> {
    if text.trim() == "*" {
        return Ok(Revisions::Any);
    }
    let wrong = |_| {
        Error::new(Kind::InvalidParameter, format!("{name}: {text} is not a revision"))
            .hint(format!("send the ETag of an earlier answer, for example {name}: \"17\", or *"))
    };
    let tags = text.split(',').map(|tag| {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        without_group(name, tag, group)?.parse().map_err(wrong)
    });
    tags.collect::<Result<Vec<Revision>>>().map(Revisions::Some)
}

/// What stands for an `_id` at the end of an address.
fn in_address(id: &DocumentId) -> String {
    let id = match id.value() {
        // Equal numbers are one `_id`.
        Value::Long(number) => wire::DocumentId::Int(*number),
        _ => id.clone().into_wire(),
    };
    match id.in_address() {
        // Alone a text that could be a number would mean the number first.
        (text, "string") if number(&text).is_some() => format!("{text}?id_type=string"),
        (text, "json") => format!("{}?id_type=json", segment(&text)),
        (text, _) => segment(&text),
    }
}

/// A text as one part of a path.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_read_or_refused() {
        for (text, expected) in [
            ("*", Some(Revisions::Any)),
            ("\"17\"", Some(Revisions::Some(vec![17]))),
            ("17", Some(Revisions::Some(vec![17]))),
            (" W/\"17\", \"3\"", Some(Revisions::Some(vec![17, 3]))),
            ("", None),
            ("\"x\"", None),
            ("\"1\",", None),
            ("*, \"1\"", None),
            ("\"17@0\"", Some(Revisions::Some(vec![17]))),
            ("\"17@3\"", None),
        ] {
            assert_eq!(parse_tags("If-Match", text, 0).ok(), expected, "{text}");
        }
    }
}
