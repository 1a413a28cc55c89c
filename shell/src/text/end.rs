//! Where a statement ends: with its line, with a bracket, or with a semicolon.

use super::outline::Outline;
use super::{begins_mongo, statement};
use crate::words::{self, Brackets};

/// An input that arrives line by line. Each line is read once, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Input {
    text: String,
    /// The open brackets of a command.
    brackets: Brackets,
    /// Where a statement of a query language begins, once it is known to be one.
    begin: Option<usize>,
    outline: Outline,
    /// Bytes of the text that the outline has.
    outlined: usize,
}

impl Input {
    /// Adds the next line.
    pub(crate) fn push(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
            self.brackets.push("\n");
        }
        self.text += line;
        self.brackets.push(line);
        if self.begin.is_none() {
            self.begin = statement(&self.text).map(|begun| self.text.len() - begun.len());
            self.outlined = self.begin.unwrap_or(0);
        }
        if self.begin.is_some() {
            self.outline.push(&self.text[self.outlined..]);
            self.outlined = self.text.len();
        }
    }

    /// The lines so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it needs no further line.
    ///
    /// A statement of a query language ends with its line, unless a bracket is open or the line
    /// cannot be the whole: then it ends with a semicolon, or with the bracket that closes it. A
    /// change of all documents must end with a semicolon, since its condition could stand in the
    /// next line.
    pub(crate) fn is_complete(&self) -> bool {
        match self.begin {
            Some(begin) => ends(&self.text[begin..], &self.outline),
            None => self.brackets.are_closed() && !begins_update(&self.text),
        }
    }
}

/// As [`Input::is_complete`], of a text that is all there.
pub(crate) fn is_complete(text: &str) -> bool {
    let mut input = Input::default();
    input.push(text);
    input.is_complete()
}

/// Whether the input is a statement that only a semicolon ends.
pub(crate) fn waits_for_semicolon(text: &str) -> bool {
    let open = statement(text).is_some_and(|statement| Outline::of(statement).depth > 0);
    !open && words::is_complete(text) && !is_complete(text)
}

/// `UPDATE users`, in capitals and with nothing after it: `SET` follows in the next line.
fn begins_update(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next() == Some("UPDATE") && words.next().is_some() && words.next().is_none()
}

fn ends(statement: &str, outline: &Outline) -> bool {
    let depth = outline.depth;
    let outline = outline.text.trim();
    if statement.trim_end().ends_with(';') || outline.ends_with(';') {
        return true;
    }
    if depth > 0 {
        return false;
    }
    let explained = without_explain(outline);
    if begins_mongo(explained) {
        return explained.contains('(');
    }
    let first = explained.lines().next().unwrap_or_default().trim();
    !is_unfinished(first) || (explained.contains('\n') && explained.ends_with(['}', ']']))
}

fn without_explain(text: &str) -> &str {
    let mut rest = text;
    for word in ["EXPLAIN", "ANALYZE"] {
        let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if first.eq_ignore_ascii_case(word) {
            rest = after.trim_start();
        }
    }
    rest
}

/// Words after which a statement must go on.
const UNFINISHED: [&str; 26] = [
    "ALTER", "AND", "AS", "BETWEEN", "BY", "CREATE", "DELETE", "DISTINCT", "DOC", "EXPLAIN",
    "FROM", "IN", "INDEX", "INTO", "JOIN", "LIKE", "LIMIT", "NOT", "ON", "OR", "PIPELINE",
    "SELECT", "SET", "TO", "VALUES", "WHERE",
];

/// Whether a first line cannot be all of its statement.
fn is_unfinished(line: &str) -> bool {
    let upper = line.to_uppercase();
    let words: Vec<&str> =
        upper.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    let goes_on = match words.first() {
        Some(&"SELECT") => !has("FROM") && is_list(&upper),
        Some(&"WITH") => !has("SELECT"),
        Some(&("UPDATE" | "DELETE")) => !has("WHERE") && !has("DONDE"),
        Some(&"INSERT") => !line.contains(['{', '[']) && !has("VALUES") && !has("SELECT"),
        Some(&("CREATE" | "DROP")) if has("INDEX") => !has("ON"),
        _ => false,
    };
    let last = upper.rsplit(char::is_whitespace).next().unwrap_or_default();
    goes_on
        || upper.is_empty()
        || line.ends_with([',', '=', '<', '>'])
        || UNFINISHED.contains(&last)
}

/// Whether a line is `SELECT` with a list of columns, and not one with `FROM` misspelt in it.
fn is_list(upper: &str) -> bool {
    upper.trim_start_matches("SELECT").split(',').all(|item| {
        let words: Vec<&str> = item.split_whitespace().collect();
        words.len() < 3 || words.contains(&"AS")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_statement_ends() {
        let complete = [
            "SELECT * FROM users",
            "SELECT * FROM users WHERE a IN (1, 2)",
            "SELECT name FROM users WHERE a = 'x (' -- (",
            "SELECT\n  name\nFROM users\nWHERE a = 1;",
            "SELECT (;",
            "SELECT * FRM users",
            "FIND IN users WHERE name = O'Brien",
            "DELETE FROM users WHERE a = 1",
            "DELETE FROM users;",
            "DELETE FROM users; -- all",
            "INSERT INTO users DOC {\n\"a\": 1\n}",
            "INSERT INTO users DOC\n{\"a\": 1}",
            "INSERT INTO users (a) VALUES (1)",
            "AGGREGATE IN users PIPELINE\n[\n{\"$match\": {}}\n]",
            "db.users.find({\n  a: 1\n})",
            "sql SELECT * FROM users",
            "UPDATE users\nSET a = 1\nWHERE b = 2;",
            "EXPLAIN db.users.find()",
            "CREATE INDEX ON users (a)",
            "update users",
        ];
        for text in complete {
            assert!(is_complete(text), "{text}");
        }
        let open = [
            "SELECT *",
            "SELECT name,",
            "SELECT DISTINCT city",
            "SELECT a, b + 1 AS c",
            "SELECT\nname\nFROM users",
            "SELECT * FROM users WHERE",
            "SELECT * FROM users WHERE a IN (1,",
            "DELETE FROM users",
            "UPDATE users SET a = 1",
            "EXPLAIN ANALYZE DELETE FROM users",
            "DELETE FROM users\nWHERE a = 1",
            "INSERT INTO users",
            "INSERT INTO users (a) VALUES",
            "INSERT INTO users (a) VALUES (1),",
            "db.users",
            "db.users.find({",
            "sql SELECT *",
            "UPDATE users",
            "AGGREGATE IN users PIPELINE [",
        ];
        for text in open {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn a_line_more_is_read_without_reading_those_before_it() {
        let lines = 40_000;
        for (first, line, last) in [
            ("insert u [", "  {\"a\": \"x\"},", "]"),
            ("INSERT INTO u (a) VALUES", "  ('x'),", "  ('y');"),
            ("db.u.insertMany([", "  {a: 'x'},", "])"),
        ] {
            let mut input = Input::default();
            input.push(first);
            for _ in 0..lines {
                assert!(!input.is_complete());
                input.push(line);
            }
            // All bytes once, and not once a line.
            assert_eq!(input.outlined, if input.begin.is_some() { input.text.len() } else { 0 });
            input.push(last);
            assert!(input.is_complete(), "{first}");
        }
    }

    #[test]
    fn a_missing_semicolon_is_noticed() {
        for text in ["DELETE FROM users\n", "SELECT *\nFROM users\n", "UPDATE users\n"] {
            assert!(waits_for_semicolon(text), "{text}");
        }
        for text in ["insert users {\n", "db.users.find({\n", "SELECT * FROM users", "SELECT (\n"] {
            assert!(!waits_for_semicolon(text), "{text}");
        }
    }
}
