//! `batch`: carries out operations in one step, if conditions hold.

use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{BatchBody, BatchOperation, BatchReply, BatchResult};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["batch"],
    arguments: &[Required(Kind::Other("json"))],
    help: "Carry out operations in one step, if conditions hold",
    examples: &[
        r#"batch {"if": [{"database": "shop", "collection": "users", "id": 7, "revision": 12}], "then": [{"update": {"database": "shop", "collection": "users", "filter": {"_id": 7}, "update": {"$inc": {"age": 1}}}}, {"get": {"database": "shop", "collection": "users", "id": 7}}]}"#,
    ],
    driver: &["batch"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct Batch {
    body: BatchBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let batch = words.object("the batch, such as {\"then\": […]},")?;
    let body = serde_json::from_value(batch).map_err(|error| {
        format!(
            "the batch cannot be understood: {error}; an operation is, for example, \
             {{\"get\": {{\"database\": \"shop\", \"collection\": \"users\", \"id\": 7}}}}"
        )
    })?;
    action(Batch { body })
}

impl Action for Batch {
    async fn run(self, session: &mut Session) -> StatementResult {
        let body = self.body;
        let reply = session.change(async |client| client.batch(&body).await).await?;
        Ok(report(&body, &reply, session.format()))
    }
}

/// Which part was carried out, and what each of its operations did.
fn report(batch: &BatchBody, reply: &BatchReply, format: Format) -> Output {
    let (part, operations) = match reply.succeeded {
        true => ("then", &batch.then),
        false => ("else", &batch.otherwise),
    };
    let mut text = match (reply.succeeded, batch.conditions.is_empty()) {
        (true, true) => String::new(),
        (true, false) => "The conditions hold.\n".to_owned(),
        (false, _) => "A condition does not hold.\n".to_owned(),
    };
    let results = operations.iter().zip(&reply.results).enumerate();
    let results: Vec<Value> = results
        .map(|(at, (operation, result))| row(&format!("{part}[{at}]"), operation, result))
        .collect();
    match results.is_empty() {
        true => text += "Nothing was to be done.\n",
        false => text += &rows(&results, format),
    }
    Output::Report { text, answer: json!(reply) }
}

fn row(position: &str, operation: &BatchOperation, result: &BatchResult) -> Value {
    let (name, outcome) = match operation {
        BatchOperation::Insert { .. } => ("insert", "inserted".to_owned()),
        BatchOperation::Save { .. } => ("save", "saved".to_owned()),
        BatchOperation::Update { .. } => {
            ("update", format!("{} matched, {} changed", result.matched, result.modified))
        }
        BatchOperation::Delete { .. } => ("delete", format!("{} deleted", result.deleted)),
        BatchOperation::Get { .. } => {
            ("get", result.document.as_ref().map_or("no document".to_owned(), Value::to_string))
        }
    };
    let mut row = json!({"operation": format!("{position} {name}"), "result": outcome});
    if let Some(id) = &result.inserted_id {
        row["_id"] = json!(id);
    }
    if let Some(revision) = result.revision {
        row["revision"] = revision.into();
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use crate::print::{Mode, rendered};
    use jettra_driver::wire::Condition;

    #[test]
    fn a_batch_is_one_object() {
        let text = r#"batch {"if": [{"database": "d", "collection": "c", "id": 7, "exists": false}],
            "then": [{"delete": {"database": "d", "collection": "c", "filter": {}, "multi": true}}]}"#;
        let body = BatchBody::default()
            .when(Condition::absent("d", "c", 7))
            .then(BatchOperation::delete("d", "c", json!({}), true));
        assert_eq!(parsed::<Batch>(text), Batch { body });
        let error = parse(r#"batch {"then": [{"explode": {}}]}"#).unwrap_err();
        assert!(error.contains("explode") && error.contains("for example"), "{error}");
    }

    #[test]
    fn the_outcome_of_each_operation_is_shown() {
        let body = BatchBody::default()
            .when(Condition::exists("d", "c", 7))
            .then(BatchOperation::delete("d", "c", json!({}), true))
            .otherwise(BatchOperation::get("d", "c", 7))
            .otherwise(BatchOperation::insert("d", "c", json!({})));
        let format = Format::plain(Mode::Line);
        let held = BatchReply {
            succeeded: true,
            results: vec![BatchResult { deleted: 2, ..BatchResult::default() }],
        };
        let text = rendered(&report(&body, &held, format));
        let expected = "The conditions hold.\noperation = then[0] delete\nresult    = 2 deleted\n";
        assert_eq!(text, expected);
        let failed = BatchReply {
            succeeded: false,
            results: vec![
                BatchResult::default(),
                BatchResult { inserted_id: Some(7.into()), ..BatchResult::default() },
            ],
        };
        let text = rendered(&report(&body, &failed, format));
        let expected = "A condition does not hold.\noperation = else[0] get\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("no document") && text.ends_with("_id       = 7\n"), "{text}");
    }
}
