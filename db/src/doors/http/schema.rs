//! The JSON Schema of a collection over HTTP, and dry runs of schema and rules.

use super::call::Call;
use super::describe::{NAME_ERRORS, NAMESPACE_ERRORS, QUERY_ERRORS, STRUCTURE, describe};
use super::endpoint::Endpoint;
use super::find::value;
use super::reply::Reply;
use crate::engine::schema::{Mode, definition_to_schema};
use crate::error::{Error, Kind, Result};
use crate::service::schema::{self, CollectionSchema, Validation, ValidationResult};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    InvalidDocument, SchemaBody, SchemaMode, SchemaReply, ValidateBody, ValidateReply,
};
use serde_json::json;
use std::rc::Rc;

/// `GET …/schema`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(STRUCTURE, "Read the JSON Schema of a collection")
            .gives::<SchemaReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let found = schema::get(&call.session, &call.namespace()?).await?;
    Ok(Reply::of(found.map(|CollectionSchema { schema, mode }| {
        Reply::json(&SchemaReply { schema, mode: mode.into_wire() })
    })))
}

/// `PUT …/schema`
pub const PUT: Endpoint = Endpoint::new(
    |call| Box::pin(put(call)),
    || {
        describe(STRUCTURE, "Give a collection a JSON Schema")
            .body::<SchemaBody>()
            .gives_nothing()
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
            .fails(&[Kind::InvalidQuery, Kind::InvalidBody])
    },
);

async fn put(call: Rc<Call>) -> Result<Reply> {
    let body: SchemaBody = call.json()?;
    let schema = match (body.schema, body.definition) {
        (Some(schema), None) => schema,
        (None, Some(definition)) => definition_to_schema(&value(definition, "definition")?)?,
        _ => {
            return Err(Error::new(Kind::InvalidBody, "either schema or definition must be given")
                .hint("{\"schema\": {…}} is JSON Schema, {\"definition\": {\"age\": \"int\"}} its short form"));
        }
    };
    let mode = match body.mode {
        SchemaMode::Error => Mode::Error,
        SchemaMode::Warn => Mode::Warn,
    };
    let set = schema::set(&call.session, call.namespace()?, &schema, mode).await?;
    Ok(Reply::of(set.map(|()| Reply::empty())))
}

/// `DELETE …/schema`
pub const REMOVE: Endpoint = Endpoint::new(
    |call| Box::pin(remove(call)),
    || {
        describe(STRUCTURE, "Take the JSON Schema away")
            .gives_nothing()
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
    },
);

async fn remove(call: Rc<Call>) -> Result<Reply> {
    let removed = schema::remove(&call.session, call.namespace()?).await?;
    Ok(Reply::of(removed.map(|()| Reply::empty())))
}

/// `POST …/validate`
pub const VALIDATE: Endpoint = Endpoint::new(
    |call| Box::pin(validate(call)),
    || {
        describe(STRUCTURE, "Check documents against rules and schema, without writing")
            .optional_body::<ValidateBody>()
            .gives::<ValidateReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn validate(call: Rc<Call>) -> Result<Reply> {
    let ValidateBody { documents, schema } = call.json_or_empty()?;
    let request = Validation { documents, schema };
    let result = schema::validate(&call.session, &call.namespace()?, request).await?;
    Ok(Reply::of(result.map(|result| Reply::json(&validate_reply(result)))))
}

fn validate_reply(result: ValidationResult) -> ValidateReply {
    let ValidationResult { checked, invalid, invalid_count, not_in_force } = result;
    let invalid = invalid.into_iter().map(|found| InvalidDocument {
        document: found.document,
        violations: found.violations.iter().map(|violation| json!(violation)).collect(),
    });
    ValidateReply { checked, invalid: invalid.collect(), invalid_count, not_in_force }
}
