//! MongoDB's names of types as JSON Schema.

use super::extent::keyword;
use crate::error::{Error, Result};
use crate::query::context::At;
use crate::value;
use serde_json::{Map, Value, json};

/// Names of types, their JSON Schema types, and the field of Extended JSON that marks types without
/// one.
const TYPES: &[(&str, &str, Option<&str>)] = &[
    ("string", "string", None),
    ("object", "object", None),
    ("array", "array", None),
    ("bool", "boolean", None),
    ("boolean", "boolean", None),
    ("null", "null", None),
    ("int", "integer", None),
    ("long", "integer", None),
    ("integer", "integer", None),
    ("double", "number", None),
    ("number", "number", None),
    ("date", "object", Some("$date")),
    ("decimal", "object", Some("$numberDecimal")),
    ("objectId", "object", Some("$oid")),
    ("binData", "object", Some("$binary")),
    ("timestamp", "object", Some("$timestamp")),
    ("regex", "object", Some("$regularExpression")),
    ("javascript", "object", Some("$code")),
    ("minKey", "object", Some("$minKey")),
    ("maxKey", "object", Some("$maxKey")),
];

/// The schema of a type's values.
fn type_schema(name: &Value, at: At<'_>) -> Result<Value> {
    match TYPES.iter().find(|(known, ..)| Some(*known) == name.as_str()) {
        Some((_, json_type, None)) => Ok(json!({"type": json_type})),
        Some((_, json_type, Some(mark))) => Ok(json!({"type": json_type, "required": [mark]})),
        None => Err(unknown_type(&name.to_string(), at)),
    }
}

fn unknown_type(name: &str, at: At<'_>) -> Error {
    let names: Vec<_> = TYPES.iter().map(|(name, ..)| *name).collect();
    at.invalid(format!("must be one of {}, not {name}", names.join(", ")))
}

/// The schema with every `bsonType` replaced by keywords of JSON Schema.
///
/// # Errors
/// `invalid_query` for an unknown type.
pub(super) fn without_bson_types(mut schema: Value, at: At<'_>) -> Result<Value> {
    convert(&mut schema, at)?;
    Ok(schema)
}

fn convert(schema: &mut Value, at: At<'_>) -> Result<()> {
    let Value::Object(fields) = schema else { return Ok(()) };
    for (name, value) in fields.iter_mut() {
        let Some((named, _)) = keyword(name) else { continue };
        let at = at.key(name);
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    convert(item, at.index(index))?;
                }
            }
            Value::Object(inner) if named => {
                for (name, inner) in inner {
                    convert(inner, at.key(name))?;
                }
            }
            inner => convert(inner, at)?,
        }
    }
    match fields.remove("bsonType") {
        Some(types) => add_types(fields, types, at.key("bsonType")),
        None => Ok(()),
    }
}

fn add_types(schema: &mut Map<String, Value>, types: Value, at: At<'_>) -> Result<()> {
    let types = match types {
        Value::Array(types) => types,
        name => vec![name],
    };
    let schemas = types.iter().map(|name| type_schema(name, at)).collect::<Result<Vec<_>>>()?;
    let name = |schema: &Value| schema.get("required").is_none().then(|| schema["type"].clone());
    let names: Option<Vec<Value>> = schemas.iter().map(name).collect();
    match names.as_deref() {
        Some([]) => return Err(at.invalid("must name a type")),
        Some([name]) if !schema.contains_key("type") => {
            schema.insert("type".to_owned(), name.clone());
        }
        _ => match schema.entry("allOf").or_insert_with(|| json!([])) {
            Value::Array(all) => all.push(json!({"anyOf": schemas})),
            _ => return Err(at.invalid("stands beside an allOf that is no list")),
        },
    }
    Ok(())
}

/// The schema for an object that gives each field a type: `{"name": "string", "born": "date",
/// "address": {"city": "string"}}`. A field may be missing; if present, it has the type. Other
/// fields are free, and names that begin with `_` are ignored.
///
/// # Errors
/// `invalid_query` for an unknown type.
pub fn definition_to_schema(definition: &value::Value) -> Result<Value> {
    object_schema(definition, At::root("definition"), 0)
}

fn object_schema(definition: &value::Value, at: At<'_>, depth: usize) -> Result<Value> {
    let fields = definition.as_object().filter(|_| depth < 50);
    let fields = fields.ok_or_else(|| {
        at.invalid("must be an object such as {\"name\": \"string\"}, at most 50 levels deep")
    })?;
    let mut properties = Map::new();
    for (name, kind) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        let at = at.key(name);
        let schema = match kind {
            value::Value::String(name) => type_schema(&Value::from(name.as_str()), at)?,
            value::Value::Object(_) => object_schema(kind, at, depth + 1)?,
            other => return Err(unknown_type(&other.to_json(), at)),
        };
        properties.insert(name.clone(), schema);
    }
    Ok(json!({"type": "object", "properties": properties}))
}
