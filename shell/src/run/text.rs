//! Statements of the query languages, which the cluster understands itself.

use super::documents::written_output;
use super::{Ran, Session};
use crate::print::{Format, Output, indexes, plan, printable, with_warnings};
use jettra_driver::wire::IndexInfo;
use serde_json::{Value, json};

/// Documents that the cluster gives when a statement names no limit.
const ROWS_DEFAULT: usize = 100;

impl Session {
    pub(super) async fn text(&self, text: &str) -> Ran {
        let database = self.need_database()?;
        let client = self.inside();
        let answer = match self.settings.level {
            level if level == Default::default() => client.command(database, text).await?,
            level => client.command_at_level(database, text, level).await?,
        };
        if self.settings.interactive && is_cut(&answer, text) {
            eprintln!("A statement without a limit gives {ROWS_DEFAULT} documents at most.");
        }
        Ok(output(answer, self.format()))
    }
}

/// Whether there may be more documents than the answer has.
fn is_cut(answer: &Value, text: &str) -> bool {
    answer.as_array().is_some_and(|rows| rows.len() == ROWS_DEFAULT)
        && !text.to_lowercase().contains("limit")
}

/// What an answer is, by its shape.
fn output(answer: Value, format: Format) -> Output {
    let mut object = match answer {
        Value::Object(object) => object,
        Value::Array(rows) => return list(rows, format),
        other => return Output::Record(other),
    };
    // What a document could be is shown as one.
    if object.contains_key("_id") {
        return Output::Record(Value::Object(object));
    }
    if object.len() == 1 {
        if let Some(explained) = object.get_mut("explain").filter(|value| value.is_object()) {
            return plan(explained.take());
        }
        if let Some(count) = object.get("count").and_then(Value::as_u64) {
            return Output::Count(count);
        }
    }
    if let Some(written) = object.get("written").and_then(Value::as_u64) {
        return written_output(written);
    }
    let Some(message) = object.get("message").and_then(Value::as_str) else {
        return Output::Record(Value::Object(object));
    };
    let text = match (object.get("id"), object.get("upsertedId")) {
        (Some(id), _) => inserted(id),
        (None, Some(id)) => format!("{} {}", sentence(message), inserted(id)),
        (None, None) => sentence(message),
    };
    let warnings = object.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    Output::Changed { text: with_warnings(text, &warnings), answer: Value::Object(object) }
}

fn list(rows: Vec<Value>, format: Format) -> Output {
    let is_document = rows.iter().any(|row| row.get("_id").is_some());
    if !rows.is_empty() && !is_document {
        let read = serde_json::from_value::<Vec<IndexInfo>>(json!(rows));
        if let Ok(list) = read {
            return indexes(&list, format);
        }
    }
    Output::Rows(rows)
}

fn inserted(id: &Value) -> String {
    format!("Inserted {}.", printable(id.as_str().unwrap_or(&id.to_string())))
}

/// With a capital letter and a full stop.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    printable(&format!("{}{}.", first.unwrap_or_default(), characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, render};

    fn shown(answer: Value) -> String {
        let format = Format { mode: Mode::Line, width: None, quiet: false };
        render(&output(answer, format), format)
    }

    #[test]
    fn answers_are_shown_by_their_shape() {
        let table = [
            (json!([{"_id": 1, "a": 2}]), "_id = 1\na   = 2\n"),
            (json!(["Lima", 5]), "value = Lima\n\nvalue = 5\n"),
            (json!([]), ""),
            (json!({"_id": 1, "message": "m"}), "_id     = 1\nmessage = m\n"),
            (Value::Null, "null\n"),
            (json!({"count": 3}), "Count: 3\n"),
            (json!({"count": 3, "city": "Lima"}), "count = 3\ncity  = Lima\n"),
            (json!({"message": "7", "id": 7}), "Inserted 7.\n"),
            (json!({"message": "2 deleted", "deleted": 2}), "2 deleted.\n"),
            (json!({"message": "index a created", "name": "a"}), "Index a created.\n"),
            (json!({"message": "0 matched", "upsertedId": 7}), "0 matched. Inserted 7.\n"),
            (json!({"documents": [], "written": 4}), "4 written.\n"),
        ];
        for (answer, expected) in table {
            assert_eq!(shown(answer.clone()), expected, "{answer}");
        }
        let plan = shown(json!({"explain": {"queryPlanner": {"winningPlan": {"stage": "EOF"}}}}));
        assert_eq!(plan, "Plan\n  EOF\n");
    }

    #[test]
    fn programs_get_the_answer_as_it_came() {
        let format = Format { mode: Mode::Ndjson, width: None, quiet: false };
        for answer in [
            json!({"message": "2 deleted", "deleted": 2}),
            json!({"count": 3}),
            json!({"_id": 1}),
            Value::Null,
        ] {
            assert_eq!(render(&output(answer.clone(), format), format), format!("{answer}\n"));
        }
    }

    #[test]
    fn a_full_answer_without_a_limit_may_be_cut() {
        let full = json!(vec![1; ROWS_DEFAULT]);
        assert!(is_cut(&full, "SELECT * FROM a"));
        assert!(!is_cut(&full, "SELECT * FROM a Limit 100"));
        assert!(!is_cut(&json!([1]), "SELECT * FROM a"));
    }
}
