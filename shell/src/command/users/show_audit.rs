//! `show audit`: shows the audit log.

use crate::command::Argument::Valued;
use crate::command::groups::missing;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows, time};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{AUDIT_ACTIONS, AuditEntry, AuditReply, NotAPosition};
use jettra_driver::{AuditQuery, Position, Positions};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["show audit"],
    arguments: &[
        Valued("--limit", "N", Kind::Other("N")),
        Valued("--before", "position", Kind::Other("position")),
        Valued("--user", "user", Kind::User),
        Valued("--action", "action", Kind::Word(&AUDIT_ACTIONS)),
    ],
    help: "Show the audit log, the latest entry first",
    examples: &["show audit --limit 20", "show audit --user ada --action login_failed"],
    driver: &["audit"],
    in_transaction: false,
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowAudit {
    query: AuditQuery,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut query = AuditQuery::default();
    words.flags(|flag, words| {
        match flag {
            "--limit" => query.limit = Some(words.number(flag)?),
            "--before" => {
                let text = words.required("the position")?;
                let wrong = |error: NotAPosition| format!("{text:?} after --before: {error}");
                query.before = Some(text.parse::<Positions>().map_err(wrong)?);
            }
            "--user" => query.user = Some(words.required("the user")?),
            "--action" => query.action = Some(words.required("the action")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(ShowAudit { query })
}

impl Action for ShowAudit {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.audit(&self.query).await?, session.format()))
    }
}

fn report(reply: &AuditReply, format: Format) -> Output {
    let mut text = match reply.entries.as_slice() {
        [] => "There is no such entry.\n".to_owned(),
        entries => rows(&entries.iter().map(row).collect::<Vec<_>>(), format),
    };
    text += &missing(&reply.missing_groups);
    if let Some(next) = &reply.next {
        let break_before = if text.ends_with('\n') { "" } else { "\n" };
        text += &format!("{break_before}Older ones: show audit --before {next}\n");
    }
    Output::Report { text, answer: json!(reply.entries) }
}

fn row(entry: &AuditEntry) -> Value {
    let user = entry.user.as_deref().unwrap_or(match entry.from {
        Some(_) => "not logged in", // a caller whose login fails has proved no name
        None => "the database",
    });
    json!({
        "id": Position { group: entry.group, index: entry.id }.to_string(), "time": time(entry.time_ms), "user": user,
        "from": entry.from.as_deref().unwrap_or_default(), "action": entry.action,
        "target": entry.target, "outcome": entry.outcome.replace('_', " "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::{Mode, rendered};

    #[test]
    fn flags_narrow_the_log() {
        let query = AuditQuery {
            limit: Some(5),
            before: Some("9,4@3".parse().unwrap()),
            user: Some("ada".into()),
            action: Some("login".into()),
        };
        let text = "show audit --action login --limit 5 --user ada --before 9,4@3";
        assert_eq!(parsed::<ShowAudit>(text), ShowAudit { query });
        assert_eq!(parsed::<ShowAudit>("show audit").query, AuditQuery::default());
    }

    #[test]
    fn the_statement_for_older_entries_is_named() {
        let entry = json!({
            "_id": 9, "time_ms": 0, "user": "ada", "from": "127.0.0.1", "action": "login",
            "target": "ada", "outcome": "ok",
        });
        let reply = serde_json::from_value(json!({"entries": [entry], "next": 9})).unwrap();
        let text = rendered(&report(&reply, Format::plain(Mode::Compact)));
        assert!(text.contains("login") && text.ends_with("--before 9\n"), "{text}");
    }
}
