//! What a document violates: a rule or the schema of its collection.

use super::{Error, Kind};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Characters of a value that a violation shows.
const SHOWN_MAX: usize = 120;

/// One part of a document that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Path of the part, `lines.0.price`; empty for the whole document.
    pub path: String,
    /// Type of the rule, or keyword of the schema, that it breaks.
    pub rule: String,
    /// What goes on after "must be": `at least 0`.
    pub expected: String,
    /// What is there, as JSON, shortened; `nothing` where it is missing.
    pub found: String,
}

impl Violation {
    /// A violation; `found` is JSON, `None` where something is missing.
    pub fn new(path: &str, rule: &str, expected: String, found: Option<String>) -> Violation {
        let found = found.map_or_else(|| "nothing".to_owned(), shortened);
        Violation { path: path.to_owned(), rule: rule.to_owned(), expected, found }
    }
}

/// The text, cut where it is too long to be read.
pub(crate) fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The error for a document with violations: `validation_failed`, which names the first and has
/// all of them in its details.
pub fn violation_error(violations: Vec<Violation>) -> Error {
    let message = match violations.first() {
        Some(Violation { path, expected, found, .. }) => {
            let path = if path.is_empty() { "the document" } else { path };
            format!("{path} must be {expected}, found {found}")
        }
        None => "the document breaks a rule of its collection".to_owned(),
    };
    Error::new(Kind::ValidationFailed, message).details(json!({"violations": violations}))
}
