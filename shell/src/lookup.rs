//! Finds commands by name, and the nearest one when there is none.

use crate::parse::{Command, commands};

/// Finds the command that a text begins with, and what follows its name.
pub(crate) fn lookup(text: &str) -> Option<(&'static Command, &str)> {
    let text = text.trim();
    let first_end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (first, after_first) = text.split_at(first_end);
    let after_first = after_first.trim_start();
    let second_end = after_first.find(char::is_whitespace).unwrap_or(after_first.len());
    let (second, after_second) = after_first.split_at(second_end);
    let two = format!("{} {}", first.to_lowercase(), second.to_lowercase());
    by_name(&two)
        .map(|command| (command, after_second))
        .or_else(|| by_name(&first.to_lowercase()).map(|command| (command, after_first)))
}

fn by_name(name: &str) -> Option<&'static Command> {
    commands().find(|command| command.names.contains(&name))
}

/// Words that only stand inside a statement of a query language.
const CLAUSES: [&str; 12] = [
    "and", "from", "group", "having", "join", "limit", "offset", "or", "order", "set", "values",
    "where",
];

/// Says why a text is no command, and what it could have been.
pub(crate) fn unknown(text: &str) -> String {
    let mut words = text.split_whitespace().map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    let second: Vec<&str> = second_words(&first).collect();
    if CLAUSES.contains(&first.as_str()) {
        return format!(
            "{first:?} begins no statement; when it belongs to the line before, end that \
             statement with a semicolon and write all of it again"
        );
    }
    match (second.is_empty(), words.next()) {
        (false, Some(word)) => format!("{first} {word}: use {first} with {}", second.join(", ")),
        (false, None) => format!("{first} needs one word more: {}", second.join(", ")),
        (true, _) => format!("{first:?} is not a command{}", advice(&first)),
    }
}

/// The second words of the commands that begin with `first`.
pub(crate) fn second_words(first: &str) -> impl Iterator<Item = &'static str> {
    all_names()
        .filter_map(|name| name.split_once(' '))
        .filter(move |(word, _)| *word == first)
        .map(|(_, second)| second)
}

/// Every spelling of every command.
pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
    commands().flat_map(|command| command.names.iter().copied())
}

fn advice(word: &str) -> String {
    let nearest = all_names()
        .map(|name| name.split(' ').next().unwrap_or(name))
        .map(|name| (distance(word, name), name))
        .min();
    match nearest {
        Some((1..=2, name)) => format!("; did you mean {name}? Type help for the list"),
        _ => "; type help for the list".to_owned(),
    }
}

/// Letters to change, add or leave out to make `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut costs: Vec<usize> = (0..=b.len()).collect();
    for (row, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], row + 1);
        for (column, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = costs[column + 1];
            costs[column + 1] = change.min(diagonal + 1).min(costs[column] + 1);
        }
    }
    costs[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_spelling_belongs_to_one_command() {
        let mut seen = HashSet::new();
        for name in all_names() {
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.split(' ').count() <= 2, "{name} has too many words");
        }
    }

    #[test]
    fn the_longer_name_wins() {
        let found = |text| lookup(text).map(|(command, rest)| (command.names[0], rest.trim()));
        assert_eq!(found("connect node x"), Some(("connect node", "x")));
        assert_eq!(found("connect nodes x"), Some(("connect", "nodes x")));
        assert_eq!(found("STATUS"), Some(("status", "")));
        assert_eq!(found("cluster"), None);
    }

    #[test]
    fn distance_counts_single_letters() {
        let table = [("", "", 0), ("a", "", 1), ("find", "fnid", 2), ("get", "set", 1)];
        for (a, b, expected) in table {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
