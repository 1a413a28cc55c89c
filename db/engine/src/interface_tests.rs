//! The engine's texts name no interface: a call is named by the door that it came through.

use std::fs;
use std::path::{Path, PathBuf};

/// What only a door may say; each in two parts, so that this file does not have it.
const OF_DOORS: [(&str, &str); 8] = [
    ("/a", "pi"),
    ("GE", "T "),
    ("POS", "T "),
    ("PU", "T "),
    ("PATC", "H "),
    ("head", "er"),
    ("cu", "rl"),
    ("Idempotency-", "Key"),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_text_names_a_call_of_an_interface() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let mut named = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("// ").next().unwrap_or_default();
            let is_text = !code.trim_start().starts_with("//") && code.contains('"');
            let of_door = |(one, other): &(&str, &str)| code.contains(&format!("{one}{other}"));
            if is_text && OF_DOORS.iter().any(of_door) {
                named.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}
