//! `diff`: compares two versions of a document.

use super::{VERSION, version, versioned};
use crate::command::Argument::{Optional, Required};
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::{Output, cell, printable};
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;
use jettra_driver::wire::DiffReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["diff"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id")),
        Required(VERSION),
        Optional(VERSION),
    ],
    help: "Compare a version with another, or with the document now",
    examples: &["diff users 7 1042", "diff users 7 1042 1050.1"],
    driver: &["diff"],
    parse: |words| {
        let (collection, id) = (arguments::collection(words)?, words.id()?);
        let from = version(words)?;
        action(Diff { collection, id, from, to: words.optional()? })
    },
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Diff {
    collection: String,
    id: DocumentId,
    from: String,
    /// The document as it is when it is left out.
    to: Option<String>,
}

impl Action for Diff {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Diff { collection, id, from, to } = self;
        let (collection, id) = versioned(session, &collection, id).await?;
        Ok(report(&collection.diff(&id, &from, to.as_deref()).await?))
    }
}

/// A line for each field that differs.
fn report(reply: &DiffReply) -> Output {
    let (from, to) = (printable(&reply.from), printable(&reply.to));
    let updated = reply.delta.updated.iter();
    let updated = updated.map(|(path, value)| format!("~ {} = {}\n", printable(path), cell(value)));
    let removed = reply.delta.removed.iter().map(|path| format!("- {}\n", printable(path)));
    let lines: String = updated.chain(removed).collect();
    let text = match lines.as_str() {
        "" => format!("Nothing differs between {from} and {to}.\n"),
        lines => format!("From {from} to {to}:\n{lines}"),
    };
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::rendered;
    use serde_json::Value;

    #[test]
    fn the_second_version_may_be_left_out() {
        let diff = |to: Option<&str>| Diff {
            collection: "u".into(),
            id: 7.into(),
            from: "42".into(),
            to: to.map(str::to_owned),
        };
        assert_eq!(parsed::<Diff>("diff u 7 42"), diff(None));
        assert_eq!(parsed::<Diff>("diff u 7 42 50"), diff(Some("50")));
    }

    #[test]
    fn a_difference_names_the_fields() {
        let shown = |delta: Value| {
            let reply = json!({"from": "8", "to": "9", "delta": delta});
            rendered(&report(&serde_json::from_value(reply).unwrap()))
        };
        let delta = json!({"updated": {"a.b": "x"}, "removed": ["c"]});
        assert_eq!(shown(delta), "From 8 to 9:\n~ a.b = x\n- c\n");
        assert_eq!(shown(json!({})), "Nothing differs between 8 and 9.\n");
    }
}
