//! `validate`: validates documents without writing.

use crate::command::Argument::{Optional, Required, Valued};
use crate::command::arguments::{self, A_DOCUMENT};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ValidateBody, ValidateReply};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["validate"],
    arguments: &[
        Required(Kind::Collection),
        Optional(Kind::Other("documents")),
        Valued("--schema", "json", Kind::Other("json")),
    ],
    help: "Validate documents, or the stored ones, without writing",
    examples: &["validate users", r#"validate users [{"name": 1}]"#],
    driver: &["validate"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Validate {
    collection: String,
    body: ValidateBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = arguments::collection(words)?;
    let mut body = ValidateBody::default();
    if words.at_object() {
        body.documents = Some(vec![words.object(A_DOCUMENT)?]);
    } else if words.rest().starts_with('[') {
        body.documents = Some(words.array("the documents")?);
    }
    words.flags(|name, words| {
        let known = name == "--schema";
        if known {
            body.schema = Some(words.object("the schema")?);
        }
        Ok(known)
    })?;
    action(Validate { collection, body })
}

impl Action for Validate {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection_outside(&self.collection).await?;
        Ok(report(&collection.validate(&self.body).await?, session.format()))
    }
}

/// Which documents break a rule, and which rule.
fn report(reply: &ValidateReply, format: Format) -> Output {
    let mut text = format!("{} checked, {} invalid.\n", reply.checked, reply.invalid_count);
    let violations: Vec<Value> = reply
        .invalid
        .iter()
        .flat_map(|invalid| invalid.violations.iter().map(move |one| (&invalid.document, one)))
        .map(|(document, violation)| {
            json!({
                "document": document, "path": violation["path"],
                "must be": violation["expected"], "found": violation["found"],
                "rule": violation["rule"],
            })
        })
        .collect();
    text += &rows(&violations, format);
    if (reply.invalid.len() as u64) < reply.invalid_count {
        text += &format!("\nThe first {} invalid documents are shown.\n", reply.invalid.len());
    }
    for reference in &reply.not_in_force {
        text += &format!("\nThe rule of {reference} waits for its indexes to be built.\n");
    }
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::{Mode, rendered};

    #[test]
    fn documents_and_a_schema_may_be_given() {
        let body = |documents, schema| ValidateBody { documents, schema };
        let table = [
            ("validate u", body(None, None)),
            ("validate u [{}]", body(Some(vec![json!({})]), None)),
            ("validate u --schema {}", body(None, Some(json!({})))),
        ];
        for (text, expected) in table {
            assert_eq!(parsed::<Validate>(text).body, expected, "{text}");
        }
    }

    #[test]
    fn violations_are_rows() {
        let reply: ValidateReply = serde_json::from_value(json!({
            "checked": 2, "invalidCount": 1,
            "invalid": [{"document": 0, "violations": [
                {"path": "age", "rule": "type", "expected": "of type integer", "found": "\"x\""},
            ]}],
        }))
        .unwrap();
        let text = rendered(&report(&reply, Format::plain(Mode::Line)));
        assert!(text.starts_with("2 checked, 1 invalid.\ndocument = 0\n"), "{text}");
        assert!(text.contains("must be  = of type integer\n"), "{text}");
    }
}
