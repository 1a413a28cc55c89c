//! Plain technical English: phrases that the sources, the documentation, the page and the help must
//! not contain, with what to write instead.

use jettra_tests::source::root;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A phrase and its replacement. `/` separates alternatives of a word. Case, line breaks, comment
/// marks, quotes and underscores do not matter, so names of functions are searched too.
type Phrase = (&'static str, &'static str);

const PHRASES: [Phrase; 23] = [
    ("behind the last/first/newest", "after the last"),
    ("ancestor", "JettraDBVM"),
    ("ancestor's", "JettraDBVM's"),
    ("make/makes/made/making a/an database/document/index/collection/user/transaction", "create"),
    ("who calls/asks/checks", "the caller, the client"),
    ("whoever", "any client"),
    ("a success as well", "succeeds if it does not exist"),
    ("tells how many", "returns the number of"),
    ("tells it/what/whether/when/which/where", "returns, shows, contains"),
    ("is/are/be/was/were told", "receives, learns, is asked to"),
    ("for ever", "forever, without limit"),
    ("so many", "this many, a number of"),
    ("who knows/is/did/reads/writes/does/has/wants", "the user, the client, the node"),
    ("for/of who", "for a client that, of a user that"),
    ("worked off", "processed, enforced"),
    ("hold/holds no more", "is no longer valid"),
    ("needed no more", "no longer needed"),
    ("room for/of/in", "budget, permit, space"),
    ("share of memory", "budget, permit"),
    ("in the midst", "within, during"),
    ("from the midst", "an intermediate state"),
    ("again and again", "repeatedly"),
    ("struct/enum/type noted/wrote/seen/told/ran", "a noun: AuditEntry, WriteResult"),
];

/// Endings of the names of files that are read.
const ENDINGS: [&str; 11] =
    ["rs", "md", "html", "js", "mjs", "css", "sh", "py", "toml", "example", "txt"];
/// Directories that hold nothing written by us.
const LEFT_OUT: [&str; 6] = ["target", "node_modules", "data", "dev-cluster", "corpus", "vendor"];

/// A word with its line; an empty one stands for the end of a sentence.
type Word = (usize, String);

/// The words of a text in lower case.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let is_letter = |letter: char| letter.is_alphanumeric() || letter == '\'';
        for part in content.split_inclusive(|letter: char| !is_letter(letter)) {
            let word = part.trim_end_matches(|letter: char| !is_letter(letter));
            if !word.is_empty() {
                words.push((line + 1, word.to_lowercase()));
            }
            if part.ends_with(['.', ';', '!', '?', '|']) {
                words.push((line + 1, String::new()));
            }
        }
    }
    words
}

/// Whether the words begin with a phrase.
fn begins(words: &[Word], phrase: &str) -> bool {
    let parts = phrase.split(' ');
    parts.clone().count() <= words.len()
        && parts.zip(words).all(|(part, (_, word))| part.split('/').any(|one| one == word))
}

/// The phrases by each of the words that they may begin with.
fn by_first_word() -> HashMap<&'static str, Vec<&'static Phrase>> {
    let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
    for phrase in &PHRASES {
        for first in phrase.0.split(' ').next().unwrap_or_default().split('/') {
            phrases.entry(first).or_default().push(phrase);
        }
    }
    phrases
}

/// The phrases in a text, each with its line.
fn find(text: &str) -> Vec<(usize, &'static Phrase)> {
    let (words, phrases, mut found) = (words(text), by_first_word(), Vec::new());
    for (at, (line, word)) in words.iter().enumerate() {
        for phrase in phrases.get(word.as_str()).into_iter().flatten() {
            if begins(&words[at..], phrase.0) {
                found.push((*line, *phrase));
            }
        }
    }
    found
}

/// All files of the project that people read.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !LEFT_OUT.contains(&name) && !name.starts_with('.') {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one)) {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_tree_is_written_in_plain_technical_english() {
    let (root, mut wrong) = (root(), Vec::new());
    let mut count = 0;
    for path in files(&root) {
        if path.ends_with("tests/tests/wording.rs") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).expect("a text file");
        let path = path.strip_prefix(&root).expect("below it").display().to_string();
        for (line, (phrase, instead)) in find(&text) {
            wrong.push(format!("{path}:{line}: \"{phrase}\"; write: {instead}"));
        }
    }
    assert!(count > 200, "the files were not found: {count}");
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_bad_sentence_is_found_across_lines_and_in_names() {
    let lines = |text| find(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert_eq!(lines("/// From the first to behind\n    /// the last key."), [1]);
    assert_eq!(lines("fn who_calls_it() {}\n\nstruct Told {"), [1, 3]);
    assert_eq!(lines("// It Makes an Index."), [1]);
    assert_eq!(lines("<p>as the ancestor did</p>"), [1]);
}

#[test]
fn other_uses_of_the_words_are_allowed() {
    for text in [
        "The one behind. The last one.",
        "path.ancestors().nth(1)",
        "frame-ancestors 'none'",
        "one that makes sense; a database",
    ] {
        assert!(find(text).is_empty(), "{text}");
    }
}
