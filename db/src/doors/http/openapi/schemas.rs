//! The JSON Schemas of the document.

use crate::error::Kind;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

/// Schemas of bodies and of answers: a field may be left out of the one and not of the other.
pub(super) struct Schemas {
    pub(super) bodies: SchemaGenerator,
    pub(super) answers: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Schemas {
            bodies: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    /// All that the others refer to.
    pub(super) fn take(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.extend(self.bodies.take_definitions(true));
        all.values_mut().for_each(tidy);
        all["ErrorDetail"]["properties"]["code"] =
            json!({"$ref": "#/components/schemas/ErrorCode"});
        all.insert("ErrorCode".into(), error_code());
        all
    }
}

/// Every code of an error, with what it means.
fn error_code() -> Value {
    let one = |kind: &Kind| json!({"const": kind.code(), "description": kind.meaning()});
    let text = "Stable, for programs.";
    json!({"description": text, "type": "string", "oneOf": Kind::ALL.iter().map(one).collect::<Vec<_>>()})
}

/// Bounds that the name of a format implies, and no links that only Rust's docs can follow.
pub(super) fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let most = match fields.get("format").and_then(Value::as_str) {
                Some("uint64" | "uint") => Some(u64::MAX),
                Some("uint32") => Some(u32::MAX.into()),
                _ => None,
            };
            if let Some(most) = most {
                fields.insert("maximum".into(), most.into());
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
