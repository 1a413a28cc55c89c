//! Statements in the query languages that the cluster understands itself: SQL, JQL and MongoDB's
//! shell language. This module only decides which lines are such statements and where they end;
//! they go to the cluster as they are.

mod end;
mod outline;

pub(crate) use end::{Input, is_complete, waits_for_semicolon};

use crate::command::STATEMENT_NAMES;
use crate::words;
use outline::Outline;

/// Words inside statements of SQL and JQL.
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
    let first = text[..end].to_lowercase();
    STATEMENT_NAMES.contains(&first.as_str()).then(|| text[end..].trim_start())
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

/// Splits a text with several statements and semicolons between them after the first one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_differ_from_commands() {
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
    fn comments_before_a_statement_are_skipped() {
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
}
