//! Why a statement or the program failed, and the exit code for it.

use crate::hints;
use crate::lookup::nearest;
use crate::print::{bulk_summary, printable, text_width, violation};
use crate::text::KEYWORDS;
use jettra_driver::Error;
use jettra_driver::wire::{BulkReply, ErrorDetail};
use serde_json::{Value, json};
use std::fmt;

/// Exit codes of the program.
pub(crate) mod exit {
    /// Everything succeeded.
    pub(crate) const OK: u8 = 0;
    /// A statement failed.
    pub(crate) const STATEMENT: u8 = 1;
    /// The command line cannot be understood, or a file it names cannot be read.
    pub(crate) const USAGE: u8 = 2;
    /// No node answered.
    pub(crate) const CONNECT: u8 = 3;
    /// The user or the password is wrong or missing.
    pub(crate) const AUTHENTICATION: u8 = 4;
    /// The cluster has no leader.
    pub(crate) const NO_LEADER: u8 = 5;
}

/// Why something failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The cluster refused, or did not answer.
    Driver(Error),
    /// The shell refused; a sentence for the person.
    Refused(String),
    /// The command line is at fault; a sentence for the person.
    Usage(String),
    /// The person pressed Ctrl-C; what only reads has changed nothing.
    Cancelled {
        /// Whether the statement only reads.
        reads: bool,
    },
}

impl Failure {
    /// Whether no node answered for a time, or there was no leader.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Failure::Driver(Error::Unavailable { .. } | Error::Unknown { .. }) => true,
            Failure::Driver(error) => error.code() == Some("no_leader"),
            _ => false,
        }
    }

    /// Whether a collection is missing, and not its database.
    pub(crate) fn is_about_a_collection(&self) -> bool {
        matches!(self, Failure::Driver(error) if error.code() == Some("collection_not_found"))
    }

    /// The database or the collection that does not exist.
    pub(crate) fn unknown_name(&self) -> Option<&str> {
        let Failure::Driver(Error::Api { detail, .. }) = self else {
            return None;
        };
        let code = detail.code.as_str();
        let names = matches!(code, "collection_not_found" | "database_not_found");
        hints::quoted_name(detail).filter(|_| names)
    }

    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Driver(error) => driver_exit_code(error),
            Failure::Usage(_) => exit::USAGE,
            Failure::Refused(_) | Failure::Cancelled { .. } => exit::STATEMENT,
        }
    }
}

impl Failure {
    /// The failure for programs: a text, and a word that stays the same.
    pub(crate) fn to_json(&self) -> Value {
        let known = match self {
            Failure::Driver(error) => error.code(),
            _ => None,
        };
        let code = known.unwrap_or(match self.exit_code() {
            exit::CONNECT => "unreachable",
            exit::AUTHENTICATION => "not_authenticated",
            exit::NO_LEADER => "no_leader",
            exit::USAGE => "usage",
            _ => "failed",
        });
        json!({"error": self.to_string(), "code": code})
    }
}

fn driver_exit_code(error: &Error) -> u8 {
    match (error, error.status(), error.code()) {
        (Error::Unavailable { .. } | Error::Unreachable { .. }, ..) => exit::CONNECT,
        (_, Some(401), _) | (_, _, Some("user_disabled" | "too_many_attempts")) => {
            exit::AUTHENTICATION
        }
        (_, _, Some("no_leader")) => exit::NO_LEADER,
        _ => exit::STATEMENT,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Driver(Error::Api { detail, .. }) if detail.code == "syntax_error" => {
                f.write_str(&detail.message)?;
                f.write_str(&source_line(detail))
            }
            Failure::Driver(error) => {
                match error {
                    Error::Api { detail, .. } => f.write_str(&answer_text(detail))?,
                    error => error.fmt(f)?,
                }
                f.write_str(&other_violations(error))?;
                f.write_str(&other_operations(error))?;
                hints::next_step(error).map_or(Ok(()), |hint| write!(f, "\n{hint}"))
            }
            Failure::Refused(text) | Failure::Usage(text) => f.write_str(text),
            Failure::Cancelled { reads: true } => f.write_str("cancelled"),
            Failure::Cancelled { reads: false } => {
                f.write_str("cancelled; the change may have been made all the same, so look first")
            }
        }
    }
}

/// The message of an answer, with the cluster's hint if the shell has none of its own.
fn answer_text(detail: &ErrorDetail) -> String {
    match hints::of_cluster(detail) {
        Some(hint) => format!("{} ({hint})", detail.message),
        None => detail.message.clone(),
    }
}

/// The line of a statement that is wrong, and below it a caret under the place.
///
/// The hint has them with the caret after as many spaces as there are characters before the
/// place; on a terminal some of those are two columns wide.
fn source_line(detail: &ErrorDetail) -> String {
    let hint = detail.hint.as_deref().unwrap_or_default();
    let Some((source, caret)) = hint.split_once('\n') else {
        return String::new();
    };
    let source = printable(source);
    let spaces = caret.chars().take_while(|next| *next == ' ').count();
    let before: String = source.chars().take(spaces).collect();
    // Past the end, where something is missing, the spaces count for themselves.
    let past = spaces.saturating_sub(source.chars().count());
    let meant = meant(&source, spaces);
    format!("\n  {source}\n  {:1$}^{meant}", "", text_width(&before) + past)
}

/// The keyword that was probably meant by the word at a position of a statement, or the one before.
fn meant(source: &str, place: usize) -> String {
    let is_word = |next: char| next.is_alphanumeric() || next == '_';
    let (before, after): (Vec<char>, Vec<char>) = {
        let characters: Vec<char> = source.chars().collect();
        let (before, after) = characters.split_at(place.min(characters.len()));
        (before.to_vec(), after.to_vec())
    };
    let at: String = after.into_iter().take_while(|next| is_word(*next)).collect();
    let before: String = before.into_iter().collect();
    let last = before.trim_end().rsplit(|next| !is_word(next)).next().unwrap_or_default();
    let meant = [at.as_str(), last].into_iter().find_map(|word| {
        let known = KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word));
        nearest(word, KEYWORDS.iter().copied()).filter(|_| !known)
    });
    meant.map_or(String::new(), |meant| format!("\nDid you mean {meant}?"))
}

/// The violations of a document after the one in the message.
fn other_violations(error: &Error) -> String {
    let Error::Api { detail, .. } = error else {
        return String::new();
    };
    let mut details = detail.details.as_ref();
    // In a bulk write they are those of the operation.
    if let Some(inner) = details.and_then(|details| details.get("details")) {
        details = Some(inner);
    }
    let violations = details.and_then(|details| details.get("violations")?.as_array());
    let others = violations.into_iter().flatten().skip(1);
    others.map(|other| format!("\nAlso {}", violation(other))).collect()
}

/// What the other operations of a bulk write did when one failed.
fn other_operations(error: &Error) -> String {
    let Error::Api { detail, .. } = error else {
        return String::new();
    };
    let result = detail.details.as_ref().and_then(|details| details.get("result")).cloned();
    let Some(reply) = result.and_then(|it| serde_json::from_value::<BulkReply>(it).ok()) else {
        return String::new();
    };
    let failed = reply
        .errors
        .iter()
        .skip(1)
        .map(|(at, error)| format!("\nAlso operation {at}: {}", printable(&error.message)));
    let failed: String = failed.collect();
    match bulk_summary(&reply) {
        nothing if reply == BulkReply { errors: reply.errors.clone(), ..BulkReply::default() } => {
            format!("{failed}\n{nothing}")
        }
        summary => format!("{failed}\nThe other operations: {summary}"),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Driver(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::ErrorDetail;
    use std::time::Duration;

    fn answer(status: u16, code: &str) -> Failure {
        Failure::Driver(Error::Api {
            status,
            detail: Box::new(ErrorDetail {
                code: code.into(),
                message: "no".into(),
                hint: Some("try this".into()),
                details: None,
                request_id: String::new(),
            }),
        })
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let silent = Failure::Driver(Error::Unavailable {
            nodes: "http://h".into(),
            deadline: Duration::from_secs(1),
            reason: "refused".into(),
        });
        let table = [
            (silent, exit::CONNECT),
            (answer(401, "not_authenticated"), exit::AUTHENTICATION),
            (answer(401, "bad_credentials"), exit::AUTHENTICATION),
            (answer(403, "user_disabled"), exit::AUTHENTICATION),
            (answer(429, "too_many_attempts"), exit::AUTHENTICATION),
            (answer(403, "forbidden"), exit::STATEMENT),
            (answer(503, "no_leader"), exit::NO_LEADER),
            (answer(404, "database_not_found"), exit::STATEMENT),
            (Failure::Usage("x".into()), exit::USAGE),
            (Failure::Cancelled { reads: true }, exit::STATEMENT),
        ];
        for (failure, code) in table {
            assert_eq!(failure.exit_code(), code, "{failure}");
        }
    }

    fn syntax_error(hint: &str) -> String {
        let Failure::Driver(Error::Api { status, mut detail }) = answer(400, "syntax_error") else {
            unreachable!();
        };
        detail.hint = Some(hint.into());
        Failure::Driver(Error::Api { status, detail }).to_string()
    }

    #[test]
    fn the_caret_stands_under_its_column() {
        let table = [
            (
                "SELECT * FORM a\n         ^",
                "no\n  SELECT * FORM a\n           ^\nDid you mean FROM?",
            ),
            (
                "SELECT * FROM a WHER b = 1\n                     ^",
                "no\n  SELECT * FROM a WHER b = 1\n                       ^\nDid you mean WHERE?",
            ),
            ("SELECT *\n        ^", "no\n  SELECT *\n          ^"),
            ("\n^", "no\n  \n  ^"),
            // Two characters that are two columns wide each.
            ("'日本' x\n     ^", "no\n  '日本' x\n         ^"),
        ];
        for (hint, expected) in table {
            assert_eq!(syntax_error(hint), expected);
        }
        assert_eq!(syntax_error("no two lines"), "no");
    }

    #[test]
    fn every_violation_of_a_document_is_named() {
        let Failure::Driver(Error::Api { status, mut detail }) = answer(422, "validation_failed")
        else {
            unreachable!();
        };
        let found = |path: &str| serde_json::json!({"path": path, "expected": "set", "found": "1"});
        let details = serde_json::json!({"violations": [found("a"), found("b"), found("")]});
        for details in [details.clone(), serde_json::json!({"details": details})] {
            detail.details = Some(details);
            let text = Failure::Driver(Error::Api { status, detail: detail.clone() }).to_string();
            let others = "\nAlso b must be set, found 1\nAlso the document must be set, found 1";
            assert_eq!(text, format!("no (try this){others}"));
        }
    }

    #[test]
    fn a_bulk_write_names_what_the_other_operations_did() {
        let Failure::Driver(Error::Api { status, mut detail }) = answer(409, "duplicate_id") else {
            unreachable!();
        };
        detail.details = Some(serde_json::json!({"operation": 1, "result": {
            "inserted": 2, "matched": 0, "modified": 0, "deleted": 0,
            "insertedIds": {"0": 1, "2": 3}, "upsertedIds": {},
            "errors": {"1": {"code": "c", "message": "m"}, "3": {"code": "c", "message": "n"}},
        }}));
        let text = Failure::Driver(Error::Api { status, detail }).to_string();
        let expected = "no (try this)\nAlso operation 3: n\nThe other operations: 2 inserted.";
        assert_eq!(text, expected);
    }

    #[test]
    fn hints_about_http_are_left_out() {
        let hint = |code: &str, hint: &str| {
            let Failure::Driver(Error::Api { status, mut detail }) = answer(404, code) else {
                unreachable!();
            };
            detail.hint = Some(hint.into());
            Failure::Driver(Error::Api { status, detail }).to_string()
        };
        let text = hint("collection_not_found", "or with POST /api/cols");
        assert!(!text.contains("POST") && text.contains("show collections"), "{text}");
        assert!(hint("document_not_found", "id_type=string").contains("two ids"));
        assert_eq!(hint("other", "give one"), "no (give one)");
    }

    #[test]
    fn errors_name_the_next_step() {
        let text = answer(401, "not_authenticated").to_string();
        assert!(text.contains("login <user>"), "{text}");
        let text = answer(409, "transaction_conflict").to_string();
        assert!(text.ends_with("Type begin, and do it again."), "{text}");
    }
}
