//! The texts that the fuzz targets begin with, and those they found: none makes a parser fail,
//! nor do pieces of them put together.

use crate as engine;
use crate::history_tests::cases;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

#[path = "../../../../tests/fuzz/checks.rs"]
mod checks;

/// The texts of one target, sorted by the names of their files.
fn texts(target: &str) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = manifest.join("../../tests/fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts: Vec<_> = paths
        .iter()
        .filter_map(|path| String::from_utf8(std::fs::read(path).unwrap()).ok())
        .collect();
    assert!(texts.len() >= 30, "{} texts in {}", texts.len(), directory.display());
    texts
}

type Check = fn(&str);

const TARGETS: [(&str, Check); 4] = [
    ("filter_json", checks::filter_json),
    ("jql", checks::jql),
    ("sql", checks::sql),
    ("mongo", checks::mongo),
];

static TEXTS: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| TARGETS.iter().map(|(target, _)| texts(target)).collect());

#[test]
fn the_corpus_passes() {
    for ((target, check), texts) in TARGETS.iter().zip(TEXTS.iter()) {
        for text in texts {
            println!("{target}: {text}"); // shown when the check fails
            check(text);
        }
    }
}

/// A text with a piece of another one, or something else, in the place of a piece of it.
fn spliced() -> impl Strategy<Value = (usize, String)> {
    let places = any::<[prop::sample::Index; 4]>();
    let token = prop_oneof![
        4 => Just(None),
        1 => "[\\[\\](){}'\"`.,:;=<>$/*%_ \\\\-]{1,3}".prop_map(Some),
        1 => "(NULL|NOT|AND|OR|IN|LIKE|null|NaN|-0|1e999|9223372036854775808|\\$not|\\$in|é)".prop_map(Some),
    ];
    let texts = any::<[prop::sample::Index; 2]>();
    (0..TARGETS.len(), texts, places, token).prop_map(|(target, texts, places, token)| {
        let of = |at: usize| -> Vec<char> {
            TEXTS[target][texts[at].index(TEXTS[target].len())].chars().collect()
        };
        let piece = |text: &[char], at: usize| {
            let (one, other) =
                (places[at].index(text.len() + 1), places[at + 1].index(text.len() + 1));
            one.min(other)..one.max(other)
        };
        let (mut text, other) = (of(0), of(1));
        let inserted = match token {
            Some(token) => token.chars().collect(),
            None => other[piece(&other, 0)].to_vec(),
        };
        text.splice(piece(&text, 2), inserted);
        (target, text.into_iter().collect())
    })
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn pieces_of_the_corpus_pass((target, text) in spliced()) {
        TARGETS[target].1(&text);
    }
}
