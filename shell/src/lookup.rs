//! Finds commands by name, and the nearest one to a name that does not exist.

use crate::command::{Command, commands};

/// Finds the command that a text begins with, and the text after its name.
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

/// Letters of a word that are compared with others.
const WORD_MAX: usize = 40;

/// Words that occur only inside a statement of a query language.
const CLAUSES: [&str; 12] = [
    "and", "from", "group", "having", "join", "limit", "offset", "or", "order", "set", "values",
    "where",
];

/// Words that a statement of a query language begins with.
const STATEMENTS: [&str; 13] = [
    "AGGREGATE",
    "ALTER",
    "COUNT",
    "CREATE",
    "DELETE",
    "DROP",
    "EXPLAIN",
    "FIND",
    "INSERT",
    "RENAME",
    "SELECT",
    "UPDATE",
    "WITH",
];

/// The reason why a text is no command, with the command that was probably meant.
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
        (false, Some(word)) => match nearest(&word, second.iter().copied()) {
            Some(meant) => format!("{first} {word}: did you mean {first} {meant}?"),
            None => format!("{first} {word}: use {first} with {}", second.join(", ")),
        },
        (false, None) => format!("{first} needs one word more: {}", second.join(", ")),
        (true, _) => {
            let commands = all_names().map(|name| name.split(' ').next().unwrap_or(name));
            match nearest(&first, commands.chain(STATEMENTS)) {
                Some(meant) => format!("{first:?} is not a command; did you mean {meant}?"),
                None => format!("{first:?} is not a command; type help for the list"),
            }
        }
    }
}

/// `; did you mean …?`, or nothing.
pub(crate) fn suggestion<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest(word, known).map_or(String::new(), |meant| format!("; did you mean {meant}?"))
}

/// The known word that was probably meant: one with the same beginning, or with few different
/// letters.
pub(crate) fn nearest<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word: String = word.to_lowercase().chars().take(WORD_MAX).collect();
    // A word that was begun is nearer than one with another letter.
    let distance = |known: &str| {
        let known = known.to_lowercase();
        let begins = known.starts_with(&word) || word.starts_with(&known);
        match begins && word.len() > 2 && known.len() > 2 && known != word {
            true => (1, false),
            false => (strsim::damerau_levenshtein(&word, &known), true),
        }
    };
    let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
    let allowed = (letters / 3).max(1);
    known
        .into_iter()
        .filter(|known| letters > 2 && known.chars().any(char::is_alphabetic))
        .map(|known| (distance(known), known))
        .filter(|((letters, _), _)| (1..=allowed).contains(letters))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
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
    fn what_was_probably_meant_is_named() {
        let table = [
            ("fnid people", "\"fnid\" is not a command; did you mean find?"),
            ("SELEC * FROM people", "\"selec\" is not a command; did you mean SELECT?"),
            ("shwo dbs", "did you mean show?"),
            ("show collection", "show collection: did you mean show collections?"),
            ("show frobs", "show frobs: use show with "),
            ("?? x", "\"??\" is not a command; type help"),
            ("ls", "\"ls\" is not a command; type help"),
            ("xyzzy", "\"xyzzy\" is not a command; type help"),
        ];
        for (text, expected) in table {
            assert!(unknown(text).contains(expected), "{}", unknown(text));
        }
        assert_eq!(nearest("poeple", ["orders", "people"]), Some("people"));
        assert_eq!(nearest("people", ["people"]), None);
        assert_eq!(nearest("--limt", ["--sort", "--limit"]), Some("--limit"));
    }
}
