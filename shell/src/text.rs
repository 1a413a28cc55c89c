//! Statements in the query languages that the cluster understands itself: SQL, JQL and Mongo's
//! shell language. Here is only decided which lines are such statements and where they end;
//! they go to the cluster as they are.

mod outline;

use crate::words::{self, Brackets};
use outline::Outline;

/// Words that stand inside statements of SQL and JQL.
#[rustfmt::skip]
pub(crate) const KEYWORDS: &[&str] = &[
    "AND", "AS", "ASC", "AVG", "BETWEEN", "BY", "CASE", "COUNT", "DESC", "DISTINCT", "DOC", "ELSE",
    "END", "EXISTS", "FALSE", "FROM", "GROUP", "HAVING", "IN", "INDEX", "INNER", "INTO", "IS",
    "JOIN", "LEFT", "LIKE", "LIMIT", "MAX", "MIN", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER",
    "PIPELINE", "SELECT", "SET", "SKIP", "SUM", "THEN", "TRUE", "UNION", "UNIQUE", "VALUES", "WHEN",
    "WHERE",
];

/// Whether a line is a statement of a query language rather than a command of the shell.
pub(crate) fn is_statement(text: &str) -> bool {
    if begins_mongo(text) {
        return true;
    }
    let first = first_words(text);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    match first.as_slice() {
        ["SELECT" | "WITH" | "EXPLAIN", ..]
        | ["INSERT", "INTO", ..]
        | ["FIND" | "COUNT" | "AGGREGATE" | "UPDATE" | "DELETE", "IN", ..]
        | ["DELETE", "FROM", ..]
        | ["UPDATE", _, "SET", ..]
        | ["UPDATE", _, _, "SET", ..]
        | ["UPDATE", _, _, _, "SET", ..]
        | ["CREATE", "UNIQUE", ..]
        | ["CREATE" | "DROP", "INDEX", "ON", ..]
        | ["SHOW", "INDEXES", ..]
        | ["RENAME", "TABLE", ..]
        | ["RENAME", "COLLECTION", _, "TO", _, ..] => true,
        // `alter user` is a command, also while it is being typed.
        ["ALTER", what, ..] => !"USER".starts_with(what),
        ["ALTER"] => true,
        ["CREATE" | "DROP", "INDEX", _, "ON", collection, ..] => !collection.starts_with("--"),
        _ => false,
    }
}

fn begins_mongo(text: &str) -> bool {
    let rest = text.trim_start().strip_prefix("db");
    rest.is_some_and(|rest| rest.trim_start().starts_with(['.', '[']))
}

/// The first words in capitals, up to the first bracket or sign.
fn first_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for token in text.split_whitespace().take(6) {
        let end = token.find(['(', '{', '[', '=', ';', ',', '*']);
        match end {
            Some(0) => break,
            Some(end) => {
                words.push(token[..end].to_uppercase());
                break;
            }
            None => words.push(token.to_uppercase()),
        }
    }
    words
}

/// The statement in a line, when it is one: the line itself, or what follows `sql`, `jql` or
/// `mongo`.
pub(crate) fn statement(text: &str) -> Option<&str> {
    let text = without_comments(text)?;
    if is_statement(text) {
        return Some(text);
    }
    let end = text.find(char::is_whitespace)?;
    let named = matches!(text[..end].to_lowercase().as_str(), "sql" | "jql" | "mongo");
    named.then(|| text[end..].trim_start())
}

/// A text without the comments that it begins with; `None` while one of them is open.
pub(crate) fn without_comments(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        let comment = if rest.starts_with("/*") {
            rest.find("*/")? + 2
        } else if ["--", "//", "#"].iter().any(|sign| rest.starts_with(sign)) {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            return Some(rest);
        };
        rest = rest[comment..].trim_start();
    }
}

/// The first of the statements that stand in a text with semicolons between them, and the others.
pub(crate) fn split_first(text: &str) -> (&str, &str) {
    let end = match statement(text) {
        Some(begun) => Outline::end(begun).map(|end| text.len() - begun.len() + end),
        None => words::end(text),
    };
    match end {
        Some(end) => text.split_at(end + 1),
        None => (text, ""),
    }
}

/// An input that comes line by line. Each line is looked at once, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Input {
    text: String,
    /// What a command has open.
    brackets: Brackets,
    /// Where a statement of a query language begins, once it is known to be one.
    begin: Option<usize>,
    outline: Outline,
    /// Bytes of the text that the outline has.
    outlined: usize,
}

impl Input {
    /// Takes the next line.
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
    fn statements_are_told_from_commands() {
        let statements = [
            "db.users.find()",
            "db . users.find()",
            "db['my users'].find()",
            "SELECT * FROM users",
            "select*from users",
            "explain find in users",
            "Insert Into users DOC {\"a\": 1}",
            "insert into users (a) values (1)",
            "find in users where a = 1",
            "count in users",
            "aggregate in users pipeline []",
            "update in users set a = 1",
            "UPDATE users SET a = 1",
            "update users u set a = 1",
            "update users as u set a = 1",
            "update \"my users\" set a = 1",
            "delete from users where a = 1",
            "DELETE IN users",
            "create index on users (a)",
            "create index by_a on users(a)",
            "create unique index by_a on users (a)",
            "drop index on users (a)",
            "drop index by_a on users",
            "show indexes on users",
            "rename table a to b",
            "rename collection a to b",
            "alter table a rename to b",
        ];
        for text in statements {
            assert!(is_statement(text), "{text}");
        }
        let commands = [
            "",
            "db",
            "dbs.find()",
            "insert users {\"into\": 1}",
            "find users",
            "find users {\"in\": 1}",
            "find indexes",
            "count users {\"a\": 1}",
            "aggregate users []",
            "update users 7 {\"set\": 1}",
            "update users \"set\" {}",
            "update users {\"a\": 1} {\"$set\": {\"b\": 1}}",
            "delete users from",
            "create index users a,b --unique",
            "create index users on",
            "create index users on --unique",
            "drop index users by_a",
            "drop index users on",
            "show dbs",
            "alter user ada --disable",
            "alter us",
            "rename collection a to",
            "sql SELECT 1",
        ];
        for text in commands {
            assert!(!is_statement(text), "{text}");
        }
    }

    #[test]
    fn a_statement_may_be_named() {
        assert_eq!(statement("sql  SELECT a FROM b"), Some("SELECT a FROM b"));
        assert_eq!(statement("Mongo db.a.find()"), Some("db.a.find()"));
        assert_eq!(statement(" find in a"), Some("find in a"));
        assert_eq!(statement("find a"), None);
    }

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
    fn comments_before_a_statement_are_passed_over() {
        let table = [
            ("/* c */ SELECT 1", Some("SELECT 1")),
            ("// x", Some("")),
            ("-- x\n # y\n/* a\nb */ find c", Some("find c")),
            ("/* open", None),
            ("find c", Some("find c")),
        ];
        for (text, rest) in table {
            assert_eq!(without_comments(text), rest, "{text}");
        }
        assert!(is_complete("/* c */ SELECT * FROM a") && !is_complete("/* c */ SELECT *"));
    }

    #[test]
    fn statements_may_stand_in_one_line() {
        let all = |text: &str| {
            let (mut rest, mut all) = (text, Vec::new());
            while !rest.is_empty() {
                let (first, others) = split_first(rest);
                all.push(first.to_owned());
                rest = others.trim_start();
            }
            all
        };
        let table: [(&str, &[&str]); 6] = [
            ("use shop; find u --limit 3; count u", &["use shop;", "find u --limit 3;", "count u"]),
            ("connect http://h:1; status", &["connect http://h:1;", "status"]),
            ("SELECT '; ' FROM a; SELECT 1;", &["SELECT '; ' FROM a;", "SELECT 1;"]),
            ("insert u {\"a\": \"; \"}", &["insert u {\"a\": \"; \"}"]),
            ("get u 'a; b'; get u it's; x", &["get u 'a; b';", "get u it's;", "x"]),
            ("login ada pa;ss", &["login ada pa;ss"]),
        ];
        for (text, expected) in table {
            assert_eq!(all(text), expected, "{text}");
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
    fn a_person_is_told_that_a_semicolon_is_missing() {
        for text in ["DELETE FROM users\n", "SELECT *\nFROM users\n", "UPDATE users\n"] {
            assert!(waits_for_semicolon(text), "{text}");
        }
        for text in ["insert users {\n", "db.users.find({\n", "SELECT * FROM users", "SELECT (\n"] {
            assert!(!waits_for_semicolon(text), "{text}");
        }
    }
}
