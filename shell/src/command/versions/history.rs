//! `history`: lists the versions of a document.

use super::{operation, versioned};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;
use jettra_driver::wire::VersionInfo;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["history"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("id"))],
    help: "List the versions of a document",
    driver: &["history"],
    parse: |words| {
        let collection = arguments::collection(words)?;
        action(History { collection, id: words.id()? })
    },
    ..Command::READ
};

#[derive(Debug)]
struct History {
    collection: String,
    id: DocumentId,
}

impl Action for History {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = versioned(session, &self.collection, self.id).await?;
        Ok(report(&collection.history(&id).await?, session.format()))
    }
}

fn report(versions: &[VersionInfo], format: Format) -> Output {
    let text = match versions {
        [] => "There are no versions.\n".to_owned(),
        versions => rows(&versions.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(versions) }
}

fn row(one: &VersionInfo) -> Value {
    json!({
        "version": one.version, "operation": one.operation.map_or("", operation),
        "time": one.time.as_deref().unwrap_or_default(),
        "user": one.user.as_deref().unwrap_or_default(),
        "bytes": one.bytes, "now": if one.current { "yes" } else { "" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, render, rendered};

    #[test]
    fn a_history_is_a_table_for_people_and_whole_for_programs() {
        let versions: Vec<VersionInfo> = serde_json::from_value(json!([
            {"version": "9.1", "operation": "delete", "time": "12:00", "user": "ada"},
            {"version": "8", "bytes": 20, "revision": 8},
        ]))
        .unwrap();
        let text = rendered(&report(&versions, Format::plain(Mode::Line)));
        assert!(text.starts_with("version   = 9.1\noperation = delete\n"), "{text}");
        let lines = Format::plain(Mode::Ndjson);
        let lines = render(&report(&versions, lines), lines);
        let read: Vec<VersionInfo> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, versions);
    }
}
