//! Tests of the descriptions of all commands, and of statements as texts.

use super::*;
use std::collections::HashSet;

#[test]
fn every_command_is_described_once() {
    let texts: HashSet<&str> = commands().map(|command| command.help).collect();
    assert_eq!(texts.len(), commands().count());
    for command in commands() {
        assert!(!command.names.is_empty() && !command.help.is_empty(), "{command:?}");
    }
}

/// A command that no group lists would be dead code, which the compiler sees; one that lies in a
/// file of another command it does not.
#[test]
fn every_command_is_one_file() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command");
    let mut files = 0;
    for group in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        for file in group.is_dir().then(|| std::fs::read_dir(&group).unwrap()).into_iter().flatten()
        {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let described = text.matches("static COMMAND: Command").count();
            assert!(described <= 1, "{}", path.display());
            files += described;
        }
    }
    assert_eq!(files, commands().count());
}

#[test]
fn examples_are_statements_of_their_commands() {
    for command in commands() {
        for example in command.examples {
            let statement = parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
            assert_eq!(statement.command.names, command.names, "{example}");
        }
    }
}

#[test]
fn what_changes_the_catalog_does_not_belong_to_a_transaction() {
    let inside = [
        "insert u {}",
        "SELECT * FROM u",
        "find u",
        "commit",
        "show dbs",
        "indexes u",
        "history u 7",
        "versions u",
        "watch u",
        "status",
        "health",
        "use d",
        ".timer on",
    ];
    let outside = [
        "create index u a",
        "drop db d",
        "create col c",
        "schema drop u",
        "versions on u",
        "versions off u",
        "revert u 7 1",
        "undelete u 7",
        "batch {}",
        "login ada",
        "logout",
        "show users",
        "create key k",
        "connect http://h:1",
    ];
    let table = inside.map(|text| (text, true));
    for (text, expected) in table.into_iter().chain(outside.map(|text| (text, false))) {
        assert_eq!(parse(text).unwrap().may_run_in_transaction(), expected, "{text}");
    }
}

#[test]
fn only_what_is_known_to_change_nothing_counts_as_reading() {
    let reading =
        ["find u", "count u", "SELECT 1", "show dbs", "history u 7", "status", "show users"];
    let writing =
        ["insert u {}", "DELETE FROM u;", "drop db d", "commit", "cluster stop n", "login a"];
    let table = reading.map(|text| (text, true));
    for (text, expected) in table.into_iter().chain(writing.map(|text| (text, false))) {
        assert_eq!(parse(text).unwrap().only_reads(), expected, "{text}");
    }
}

#[test]
fn words_of_a_command_line_are_one_statement() {
    let table: [(&[&str], &str); 7] = [
        (&["show", "dbs"], "show dbs"),
        (&["SELECT * FROM people"], "SELECT * FROM people"),
        (&["SELECT", "*", "FROM", "people"], "SELECT * FROM people"),
        (&["find", "people", "{\"a\": 1}", "--limit", "3"], "find people {\"a\": 1} --limit 3"),
        (&["get", "people", "Ada King"], "get people \"Ada King\""),
        (&["sql", "SELECT * FROM people"], "sql SELECT * FROM people"),
        (&["login", "ada", ""], "login ada \"\""),
    ];
    for (words, expected) in table {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(statement_of(&words), expected);
    }
}

#[test]
fn errors_name_the_next_step() {
    let table = [
        ("isnert users {}", "did you mean insert?"),
        ("frobnicate", "type help"),
        ("cluster", "needs one word more"),
        ("cluster explode", "use cluster with"),
        ("show collection", "did you mean show collections?"),
        ("count", "the collection is missing; write: count <collection>"),
        ("find u --limti 3", "--limti is unknown here, perhaps --limit is meant; write: find"),
        ("where a = 1", "begins no statement"),
        ("count users now", "nothing more is expected at \"now\""),
        ("find users {age: {$gt: 90}", "expected \",\" or \"}\" at the end"),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
