//! `schema set`: sets the JSON Schema of a collection.

use crate::command::Argument::{Flag, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action, arguments};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{SchemaBody, SchemaMode};

pub(super) static COMMAND: Command = Command {
    names: &["schema set"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("json")),
        Flag("--warn"),
        Flag("--definition"),
    ],
    help: "Set the JSON Schema that documents must meet",
    examples: &[
        r#"schema set users {"type": "object", "required": ["name"]} --warn"#,
        r#"schema set users {"name": "string", "age": "int"} --definition"#,
    ],
    driver: &["set_schema"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct SetSchema {
    collection: String,
    body: SchemaBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = arguments::collection(words)?;
    let schema = words.object("the schema, such as {\"required\": [\"name\"]},")?;
    let (mut mode, mut short) = (SchemaMode::Error, false);
    words.flags(|name, _| {
        match name {
            "--warn" => mode = SchemaMode::Warn,
            "--definition" => short = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (schema, definition) = if short { (None, Some(schema)) } else { (Some(schema), None) };
    action(SetSchema { collection, body: SchemaBody { schema, definition, mode } })
}

impl Action for SetSchema {
    async fn run(self, session: &mut Session) -> StatementResult {
        let name = &self.collection;
        session.collection_outside(name).await?.set_schema(&self.body).await?;
        let next = "Stored documents were not checked; see: validate";
        done(format!("Set the schema of {name}. {next} {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use serde_json::json;

    #[test]
    fn a_short_form_and_the_warn_mode_are_flags() {
        let body = |schema, definition, mode| SchemaBody { schema, definition, mode };
        let table = [
            ("schema set u {} --warn", body(Some(json!({})), None, SchemaMode::Warn)),
            (
                r#"schema set u {"a": "int"} --definition"#,
                body(None, Some(json!({"a": "int"})), SchemaMode::Error),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parsed::<SetSchema>(text).body, expected, "{text}");
        }
    }
}
