//! The layers of `db/` use only what lies below them.

use jettra_driver::wire::VALUE_CALLS;
use jettra_tests::source::{root, rust_files};
use std::collections::BTreeSet;
use std::path::Path;

/// The layers, from the top: each may use those that come later. `auth` and `cluster` lie side
/// by side. The engine with its storage is a crate of its own.
const LAYERS: [(&str, u8); 8] = [
    ("main", 0),
    ("node", 1),
    ("doors", 2),
    ("service", 3),
    ("auth", 4),
    ("cluster", 4),
    ("tasks", 5),
    ("raft", 6),
];
/// What every layer may use, and what uses no layer.
const COMMON: [&str; 13] = [
    "allocator",
    "config",
    "dial",
    "engine",
    "error",
    "format",
    "host",
    "pulse",
    "recent",
    "status",
    "storage",
    "tls",
    "wire",
];

/// A source file, by its path below the directory that is read, without its tests and comments.
struct File {
    path: String,
    code: String,
    texts: Vec<String>,
}

impl File {
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    fn names(&self, word: &str) -> bool {
        let edge = |letter: Option<char>| letter.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        self.code.match_indices(word).any(|(at, _)| {
            edge(self.code[..at].chars().next_back())
                && edge(self.code[at + word.len()..].chars().next())
        })
    }

    /// The modules of this crate that the file names, as `crate::…` or `jettra_db::…`.
    fn used(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for start in ["crate::", "jettra_db::"] {
            for part in self.code.split(start).skip(1) {
                used.extend(first_names(part));
            }
        }
        used
    }
}

/// `a::b` gives `a`; `{a::b, c}` gives `a` and `c`.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(list) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut depth = 0;
    let inner: String = list
        .chars()
        .take_while(|letter| {
            depth += i32::from(*letter == '{') - i32::from(*letter == '}');
            depth >= 0
        })
        .collect();
    let mut depth = 0;
    let parts = inner.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    parts.map(word).filter(|name| !name.is_empty()).collect()
}

/// The code of a file without its tests, comments and texts, and the texts: what is in quotes.
fn code_and_texts(text: &str) -> (String, Vec<String>) {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut bare, mut texts, mut open, mut before) =
        (String::new(), Vec::new(), None::<String>, ' ');
    for line in code.lines() {
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match (letter, &mut open) {
                ('\\', Some(text)) => text.extend(letters.next()),
                ('"', Some(_)) => texts.extend(open.take()),
                ('"', None) if before != '\'' => open = Some(String::new()),
                ('/', None) if letters.peek() == Some(&'/') => break,
                (_, Some(text)) => text.push(letter),
                (_, None) => bare.push(letter),
            }
            before = letter;
        }
        bare.push('\n');
    }
    (bare, texts)
}

/// The sources without the files that hold tests only.
fn files() -> Vec<File> {
    files_of("db/src")
}

fn files_of(directory: &str) -> Vec<File> {
    let source = root().join(directory);
    let relative =
        |path: &Path| path.strip_prefix(&source).expect("below it").display().to_string();
    let files = rust_files(&source);
    assert!(files.len() > 30, "the sources were not found");
    let file = |(path, text): (std::path::PathBuf, String)| {
        let (code, texts) = code_and_texts(&text);
        File { path: relative(&path), code, texts }
    };
    let is_code = |file: &File| file.path != "lib.rs" && !file.path.ends_with("_tests.rs");
    files.into_iter().map(file).filter(is_code).collect()
}

fn depth(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, depth)| *depth)
}

/// The layers that `file` names and must not.
fn forbidden(file: &File) -> Vec<String> {
    let mine = depth(file.module());
    let allowed = |used: &String| match (mine, depth(used)) {
        _ if used == file.module() || COMMON.contains(&used.as_str()) => true,
        (Some(mine), Some(theirs)) => theirs >= mine,
        (_, None) => !LAYERS.iter().any(|(name, _)| name == used),
        (None, Some(_)) => false,
    };
    file.used().into_iter().filter(|used| !allowed(used)).collect()
}

#[test]
fn each_layer_uses_only_what_lies_below_it() {
    let wrong: Vec<_> = files()
        .iter()
        .map(|file| (file.path.clone(), forbidden(file)))
        .filter(|(_, forbidden)| !forbidden.is_empty())
        .collect();
    assert!(wrong.is_empty(), "files and what they must not use: {wrong:#?}");
}

#[test]
fn every_module_has_its_place_in_the_table() {
    for file in files() {
        let module = file.module();
        let known = depth(module).is_some() || COMMON.contains(&module);
        assert!(known, "{} belongs to no layer", file.path);
    }
}

/// Files that name `word` though only `allowed` may.
fn strangers(word: &str, allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let files = files();
    assert!(files.iter().any(|file| file.names(word)), "nobody names {word} any more");
    let named = files.iter().filter(|file| file.names(word) && !allowed(&file.path));
    named.map(|file| file.path.clone()).collect()
}

#[test]
fn each_large_dependency_stays_behind_its_layer() {
    let engine = files_of("db/engine/src");
    for file in engine.iter().filter(|file| file.module() != "storage") {
        assert!(!file.names("heed"), "heed is for storage/: {}", file.path);
    }
    let openraft = strangers("openraft", |path| {
        path.starts_with("raft/")
            || path.starts_with("doors/peer/")
            || path == "cluster/membership.rs"
    });
    assert!(openraft.is_empty(), "openraft is for raft/: {openraft:?}");
    for word in ["actix_web", "actix_http"] {
        let actix = strangers(word, |path| path.starts_with("doors/") || path == "node.rs");
        assert!(actix.is_empty(), "{word} is for doors/ and node.rs: {actix:?}");
    }
}

/// A request, a parameter or a header is named by the door that it came through. The path of a
/// call between nodes is no text for a caller.
#[test]
fn no_text_below_the_doors_names_a_call_of_an_interface() {
    let of_doors = [
        "/api",
        "GET ",
        "POST ",
        "PUT ",
        "PATCH ",
        "HTTP",
        "header",
        "curl",
        "Idempotency-Key",
        "X-Jettra",
        "level=",
        "confirm=",
        "\"force\"",
    ];
    let below = ["service", "auth", "cluster", "raft"];
    let files = files().into_iter().filter(|file| below.contains(&file.module()));
    let mut named = Vec::new();
    for File { path, texts, .. } in files.chain(files_of("db/engine/src")) {
        let is_named = |text: &String| of_doors.iter().any(|word| text.contains(word));
        let called = |text: &String| path == "cluster/forward.rs" && text == "/api/v1/session";
        let wrong = texts.into_iter().filter(|text| is_named(text) && !called(text));
        named.extend(wrong.map(|text| format!("{path}: {text:?}")));
    }
    assert!(named.is_empty(), "texts for a door only: {named:#?}");
}

#[test]
fn the_service_knows_no_protocol() {
    let words = [
        "actix_web",
        "actix_http",
        "jettra_driver",
        "wire",
        "HttpStatus",
        "HeaderMap",
        "header",
        "Rc",
    ];
    let files = files();
    let service: Vec<_> = files.iter().filter(|file| file.module() == "service").collect();
    assert!(service.len() > 20, "the service was not found");
    for file in service {
        for word in words {
            assert!(!file.names(word), "{} names {word}", file.path);
        }
    }
}

#[test]
fn commands_of_callers_are_proposed_by_steps_only() {
    let may = ["service/steps.rs", "cluster/", "tasks/", "raft/"];
    for file in files() {
        let proposes = file.code.contains(".propose(");
        let by_group = ["group.propose(", "group()?.propose(", "raft.client_write("];
        let past = proposes && by_group.iter().any(|call| file.code.contains(call));
        let allowed = may.iter().any(|place| file.path.starts_with(place));
        assert!(!past || allowed, "{} proposes past its steps", file.path);
    }
}

#[test]
fn the_engine_is_deterministic_and_touches_no_outer_world() {
    let words = [
        "tokio",
        "SystemTime",
        "Instant::now",
        "getrandom",
        "rand",
        "now_v7",
        "new_v4",
        "async",
        "await",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        // Threads that help with a scan are given to queries of clients only, by the service.
        "helped_by",
    ];
    let may = [("query/parallel.rs", "std::thread"), ("query/context.rs", "helped_by")];
    for file in files_of("db/engine/src").iter().filter(|file| file.module() != "storage") {
        for word in words {
            let allowed = may.contains(&(&file.path, word));
            assert!(allowed || !file.names(word), "{} names {word}", file.path);
        }
    }
}

#[test]
fn the_engine_depends_on_no_runtime_and_no_protocol() {
    let manifest = root().join("db/engine/Cargo.toml");
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    for name in ["tokio", "actix", "reqwest", "hyper", "jettra-driver", "jettra-db", "openraft"] {
        assert!(!text.contains(name), "the engine depends on {name}");
    }
}

#[test]
fn the_shell_and_the_tests_know_the_server_from_outside_only() {
    for name in ["shell", "tests", "driver"] {
        let manifest = root().join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(manifest).expect("a manifest");
        assert!(!text.contains("jettra-db"), "{name} depends on the server");
    }
}

/// The pairs of the list `CALLS` in a source.
fn value_calls(path: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join(path)).expect("a source");
    let list = text.split("const CALLS").nth(1).expect("the list");
    let end = ["];\n", "};\n"].iter().filter_map(|end| list.find(end)).min();
    let words = list[..end.expect("its end")].split(|c: char| !c.is_alphanumeric() && c != '$');
    // Not the words of the list's type.
    let words: Vec<&str> =
        words.filter(|word| word.starts_with(|c: char| c == '$' || c.is_uppercase())).collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

/// The shell takes the driver's list. The engine may not, and the page cannot; the page has
/// `BinData` beside its list, because it takes two values.
#[test]
fn the_engine_and_the_page_know_the_value_calls_of_the_driver() {
    let mut expected = VALUE_CALLS.map(|(name, key)| (name.to_owned(), key.to_owned())).to_vec();
    assert_eq!(value_calls("db/engine/src/query/text/literal.rs"), expected);
    expected.retain(|(name, _)| name != "BinData");
    assert_eq!(value_calls("web/values/notation.js"), expected);
}

#[test]
fn a_list_in_a_use_names_each_of_its_modules() {
    assert_eq!(first_names("raft::{Group, a::b}"), ["raft"]);
    assert_eq!(
        first_names("{raft::{Group, types}, error::Kind, engine}"),
        ["raft", "error", "engine"]
    );
}

#[test]
fn texts_and_comments_are_no_code() {
    let text =
        "let a = \"openraft=error \\\" x\"; // heed\nlet b = '\"'; heed();\n#[cfg(test)] tokio";
    let (code, texts) = code_and_texts(text);
    assert_eq!(code, "let a = ; \nlet b = '\"'; heed();\n");
    assert_eq!(texts, ["openraft=error \" x"]);
}
