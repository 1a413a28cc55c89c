//! `modify`: changes or removes the first document that matches, and shows it.

use crate::command::Argument::{Flag, Optional, Required, Valued};
use crate::command::arguments::{
    A_FILTER, AN_UPDATE, ARRAY_FILTERS, FIELDS, HINT, SORT, UPSERT, collection, is_document,
    projection, sort,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{FindAndModifyBody, ReturnForm};
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["modify"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("filter")),
        Optional(Kind::Other("json|update")),
        Valued("--return", "before|after", Kind::Word(&["before", "after"])),
        Flag("--remove"),
        UPSERT,
        SORT,
        FIELDS,
        HINT,
        ARRAY_FILTERS,
    ],
    help: "Change or remove the first document that matches, and show it",
    examples: &[
        r#"modify counters {"_id": "orders"} {"$inc": {"n": 1}} --upsert --return after"#,
        r#"modify jobs {"state": "new"} --remove --sort created"#,
    ],
    driver: &["find_and_modify"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct Modify {
    collection: String,
    body: Box<FindAndModifyBody>,
}

/// `<filter> <update|document>`, or `<filter> --remove`.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let mut body = FindAndModifyBody { filter: words.object(A_FILTER)?, ..Default::default() };
    flags(words, &mut body)?;
    if !words.rest().is_empty() {
        let change = words.json(AN_UPDATE)?;
        match is_document(&change) {
            true => body.replacement = Some(change),
            false => body.update = Some(change),
        }
        flags(words, &mut body)?;
    }
    match (body.update.is_some() || body.replacement.is_some(), body.remove) {
        (false, false) => Err("the update, or --remove, is missing".into()),
        (true, true) => Err("an update and --remove exclude each other".into()),
        _ => action(Modify { collection, body: Box::new(body) }),
    }
}

fn flags(words: &mut Words<'_>, body: &mut FindAndModifyBody) -> ParseResult<()> {
    words.flags(|name, words| {
        match name {
            "--remove" => body.remove = true,
            "--upsert" => body.upsert = true,
            "--return" => {
                body.returning = match words.required("before or after")?.as_str() {
                    "before" => ReturnForm::Before,
                    "after" => ReturnForm::After,
                    other => return Err(format!("{other:?} is not one of before, after")),
                };
            }
            "--sort" => body.sort = Some(sort(words)?),
            "--fields" => body.projection = Some(projection(words)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            "--array-filters" => body.array_filters = Some(words.array(name)?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

impl Action for Modify {
    /// Shows the document; the answer to programs is the document or `null`.
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection(&self.collection).await?;
        let reply = collection.find_and_modify(&self.body).await?;
        let text = match (&reply.document, &reply.upserted_id) {
            (Some(_), _) => return Ok(Output::Record(reply.document.unwrap_or_default())),
            (None, Some(id)) => format!("Inserted {id}."),
            (None, None) => "No document matched.".to_owned(),
        };
        Ok(Output::Changed { text, answer: Value::Null })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use serde_json::json;

    #[test]
    fn modify_takes_an_update_a_document_or_remove() {
        let body = || FindAndModifyBody { filter: json!({"a": 1}), ..Default::default() };
        let table = [
            (
                r#"{"$inc": {"b": 1}} --return after --fields b,-_id"#,
                FindAndModifyBody {
                    update: Some(json!({"$inc": {"b": 1}})),
                    returning: ReturnForm::After,
                    projection: Some(json!({"b": 1, "_id": 0})),
                    ..body()
                },
            ),
            (r#"{"b": 1}"#, FindAndModifyBody { replacement: Some(json!({"b": 1})), ..body() }),
            (
                "--remove --sort b",
                FindAndModifyBody { remove: true, sort: Some(json!({"b": 1})), ..body() },
            ),
        ];
        for (rest, expected) in table {
            let text = format!(r#"modify u {{"a": 1}} {rest}"#);
            assert_eq!(*parsed::<Modify>(&text).body, expected, "{text}");
        }
        for bad in ["modify u {}", "modify u {} {} --remove", "modify u {} {} --return never"] {
            assert!(parse(bad).unwrap_err().contains("write: modify"), "{bad}");
        }
    }
}
