//! The JSON Schema of a collection, and dry runs of schema and rules.

use super::call::Call;
use super::find::value;
use super::reply::Reply;
use crate::engine::Namespace;
use crate::engine::command::Command;
use crate::engine::document::decode;
use crate::engine::query::source::open;
use crate::engine::schema::{Schema, definition_to_schema};
use crate::engine::upkeep::stored_rules;
use crate::engine::write::{dry_run, waiting_references};
use crate::error::{Error, Kind, Result};
use crate::service::bounds::in_background;
use crate::storage::{Read, Table, keys};
use jettra_driver::wire::{
    InvalidDocument, SchemaBody, SchemaMode, SchemaReply, ValidateBody, ValidateReply,
};
use serde_json::{Value, json};
use std::rc::Rc;

/// Documents with violations that an answer lists.
const INVALID_MAX: usize = 100;

/// `GET …/schema`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let namespace = call.namespace()?;
    call.session.check_readable(&namespace)?;
    let (read, index) = call.group()?.read_with_index()?;
    let options = open(&read, &namespace.database, &namespace.collection)?.options;
    let schema = options.schema.and_then(|text| serde_json::from_str(&text).ok());
    let mode = if options.schema_warns { SchemaMode::Warn } else { SchemaMode::Error };
    Ok(Reply::json(&SchemaReply { schema, mode }).at(index))
}

/// `PUT …/schema`
pub async fn put(call: Rc<Call>) -> Result<Reply> {
    let body: SchemaBody = call.json()?;
    let schema = match (body.schema, body.definition) {
        (Some(schema), None) => schema,
        (None, Some(definition)) => definition_to_schema(&value(definition, "definition")?)?,
        _ => {
            return Err(Error::new(Kind::InvalidBody, "either schema or definition must be given")
                .hint("{\"schema\": {…}} is JSON Schema, {\"definition\": {\"age\": \"int\"}} its short form"));
        }
    };
    Schema::compile(&schema)?;
    set(&call, Some(schema.to_string()), body.mode == SchemaMode::Warn).await
}

/// `DELETE …/schema`
pub async fn remove(call: Rc<Call>) -> Result<Reply> {
    set(&call, None, false).await
}

async fn set(call: &Call, schema: Option<String>, warns: bool) -> Result<Reply> {
    let namespace = call.namespace()?;
    call.session.check_writable(&namespace)?;
    let Namespace { database, collection } = namespace;
    let command = Command::SetSchema { database, collection, schema, warns };
    let applied = call.propose(command).await?;
    Ok(Reply::empty().at(applied.index))
}

/// `POST …/validate`
pub async fn validate(call: Rc<Call>) -> Result<Reply> {
    let body: ValidateBody = call.json_or_empty()?;
    let namespace = call.namespace()?;
    call.session.check_readable(&namespace)?;
    let Namespace { database, collection: name } = namespace;
    let trial = body.schema.map(|schema| Schema::compile(&schema)).transpose()?;
    let (reply, index) = in_background(&call.session, move |read, ctx| {
        let collection = open(read, &database, &name)?;
        let schema = match (trial, &collection.options.schema) {
            (Some(trial), _) => Some(trial),
            (None, Some(text)) => {
                let schema = serde_json::from_str(text)
                    .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
                Some(Schema::compile(&schema)?)
            }
            (None, None) => None,
        };
        let rules = stored_rules(read, &database)?;
        let broken = dry_run(read, &database, &name, &rules, ctx)?;
        let not_in_force = waiting_references(read, &database, &name, &rules)?;
        let (checked, invalid, invalid_count) = (0, Vec::new(), 0);
        let mut reply = ValidateReply { checked, invalid, invalid_count, not_in_force };
        let mut check = |place: Value, document: Value| -> Result<()> {
            ctx.step()?;
            let parsed = value(document.clone(), "document")?;
            let mut violations = broken(&parsed)?;
            violations.extend(schema.iter().flat_map(|schema| schema.check(&document)));
            reply.checked += 1;
            if violations.is_empty() {
                return Ok(());
            }
            reply.invalid_count += 1;
            if reply.invalid.len() < INVALID_MAX {
                let violations = violations.iter().map(|violation| json!(violation)).collect();
                reply.invalid.push(InvalidDocument { document: place, violations });
            }
            Ok(())
        };
        match body.documents {
            Some(documents) => {
                for (at, document) in documents.into_iter().enumerate() {
                    check(json!(at), document)?;
                }
            }
            None => {
                let (start, end) =
                    (keys::collection_start(collection.id), keys::collection_end(collection.id));
                for row in read.range(Table::Documents, &start, &end)? {
                    let (_, stored) = row?;
                    let json = decode(stored).map(|(_, json)| json).unwrap_or_default();
                    let document: Value = serde_json::from_slice(json)
                        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
                    check(document.get("_id").cloned().unwrap_or_default(), document)?;
                }
            }
        }
        Ok(reply)
    })
    .await?;
    Ok(Reply::json(&reply).at(index))
}
