//! `sql`: runs a statement of a query language, which the cluster understands itself.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::failure::Failure;
use crate::print::{Format, Output, indexes, plan, printable, with_warnings, written_output};
use crate::session::{Results, Session, StatementResult, sentence};
use jettra_driver::Client;
use jettra_driver::wire::{IndexInfo, StatementReply};
use serde_json::{Value, json};

/// Words that may stand before a statement.
pub(crate) const NAMES: [&str; 3] = ["sql", "jql", "mongo"];

pub(in crate::command) static COMMAND: Command = Command {
    names: &NAMES,
    arguments: &[Required(Kind::Statement)],
    help: "Run a statement of a query language; the first word may be left out",
    examples: &[
        "SELECT city, COUNT(*) AS n FROM users WHERE age > 30 GROUP BY city ORDER BY n DESC",
        "UPDATE users SET city = 'Lima' WHERE _id = 7",
        "FIND IN users WHERE age > 30 ORDER BY name LIMIT 5",
        "db.users.find({age: {$gt: 30}}).sort({name: 1}).limit(5)",
        "sql SELECT * FROM users",
    ],
    driver: &["statement_pages"],
    parse: |words| action(RunText { text: words.take_rest().ok_or("the statement is missing")? }),
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct RunText {
    text: String,
}

impl Action for RunText {
    fn only_reads(&self, _usually: bool) -> bool {
        jettra_driver::only_reads(&self.text)
    }

    async fn run(self, session: &mut Session) -> StatementResult {
        let (database, text) = database_of(session, &self.text)?;
        let (level, rows) = (session.settings.level, session.rows_of_call() as u64);
        let begin = async |client: Client| {
            let mut pages = client.statement_pages(&database, &text).level(level).page(rows);
            let first = pages.next().await?;
            Ok((pages, first))
        };
        let (pages, first) = session.change(begin).await?;
        match first {
            Some(StatementReply::Answer { answer }) => Ok(report(answer, session.format())),
            Some(StatementReply::Documents { documents, .. }) => {
                session.list(Results::of_statement(pages, documents)).await
            }
            None => Ok(Output::Nothing),
        }
    }
}

/// The database that a statement is for, and the statement as it is written there: without one in
/// use, the database may stand before the collections.
fn database_of(session: &Session, text: &str) -> Result<(String, String), Failure> {
    match (session.need_database(), named_database(text)) {
        (Ok(database), _) => Ok((database.to_owned(), text.to_owned())),
        (Err(_), Some(named)) => Ok(named),
        (Err(missing), None) => Err(missing),
    }
}

/// Words of SQL and JQL that a collection follows.
const BEFORE_COLLECTION: [&str; 5] = ["FROM", "IN", "INTO", "UPDATE", "JOIN"];

/// The database of `… FROM shop.people`, and the text without it.
fn named_database(text: &str) -> Option<(String, String)> {
    let mut found: Option<&str> = None;
    let (mut out, mut last) = (String::with_capacity(text.len()), "");
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let names = BEFORE_COLLECTION.iter().any(|before| last.eq_ignore_ascii_case(before));
        let split = word.split_once('.').filter(|(database, rest)| {
            let plain = |next: char| next.is_alphanumeric() || matches!(next, '_' | '-');
            names && !database.is_empty() && database.chars().all(plain) && !rest.is_empty()
        });
        match split {
            Some((database, _)) if found.is_none_or(|known| known == database) => {
                found = Some(database);
                out += &part[database.len() + 1..];
            }
            _ => out += part,
        }
        if !word.is_empty() {
            last = word;
        }
    }
    found.map(|database| (database.to_owned(), out))
}

/// What an answer is, by its shape.
fn report(answer: Value, format: Format) -> Output {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use crate::print::{Mode, render};

    fn shown(answer: Value) -> String {
        let format = Format::plain(Mode::Line);
        render(&report(answer, format), format)
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
        let format = Format::plain(Mode::Ndjson);
        for answer in [
            json!({"message": "2 deleted", "deleted": 2}),
            json!({"count": 3}),
            json!({"_id": 1}),
            Value::Null,
        ] {
            assert_eq!(render(&report(answer.clone(), format), format), format!("{answer}\n"));
        }
    }

    #[test]
    fn a_statement_may_name_the_database_of_its_collections() {
        let named = |text: &str| named_database(text);
        let found = |text: &str| Some(("shop".to_owned(), text.to_owned()));
        assert_eq!(
            named("SELECT p.n FROM shop.people p JOIN shop.orders o ON p.x = o.x"),
            found("SELECT p.n FROM people p JOIN orders o ON p.x = o.x")
        );
        assert_eq!(named("FIND IN shop.people\nWHERE a = 1"), found("FIND IN people\nWHERE a = 1"));
        for text in
            ["SELECT * FROM people WHERE a.b IN (1)", "db.people.find()", "SELECT 'FROM x.y'"]
        {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn statements_are_passed_on_as_they_are() {
        let table = [
            ("select * from a;", "select * from a"),
            (" db.a.find({a: 1}) ; ", "db.a.find({a: 1})"),
            ("find in a where b = 'x;'", "find in a where b = 'x;'"),
            ("sql SELECT 1", "SELECT 1"),
            ("Jql whatever it is", "whatever it is"),
            ("mongo show dbs", "show dbs"),
        ];
        for (text, expected) in table {
            assert_eq!(parsed::<RunText>(text).text, expected, "{text}");
        }
        assert!(parse("sql").unwrap_err().contains("the statement is missing"));
    }
}
