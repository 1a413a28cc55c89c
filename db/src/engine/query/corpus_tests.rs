//! The texts that the fuzz targets begin with, and those they found: none makes a parser fail.

use crate::engine;
use std::path::Path;

#[path = "../../../../tests/fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&str)) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = manifest.join("../tests/fuzz/corpus").join(target);
    let mut texts = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Ok(text) = String::from_utf8(bytes) {
            println!("{}", path.display()); // shown when the check fails
            check(&text);
            texts += 1;
        }
    }
    assert!(texts >= 30, "{texts} texts in {}", directory.display());
}

#[test]
fn filters_of_the_corpus() {
    replay("filter_json", checks::filter_json);
}

#[test]
fn jql_of_the_corpus() {
    replay("jql", checks::jql);
}

#[test]
fn sql_of_the_corpus() {
    replay("sql", checks::sql);
}

#[test]
fn mongodb_of_the_corpus() {
    replay("mongo", checks::mongo);
}
