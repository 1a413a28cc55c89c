//! `show ready`: shows what the node needs to serve calls, and what of it is missing.

use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{ReadyCheck, ReadyReply};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["show ready"],
    help: "Show whether the node serves, and a majority answers it",
    driver: &["ready"],
    parse: |_| action(Ready),
    ..Command::READ
};

#[derive(Debug)]
struct Ready;

impl Action for Ready {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.ready().await?, session.format()))
    }
}

fn report(reply: &ReadyReply, format: Format) -> Output {
    let row = |check: &ReadyCheck| {
        let state = match (check.ok, check.needed) {
            (true, _) => "ok",
            (false, true) => "FAILED",
            (false, false) => "attention",
        };
        json!({"check": check.name, "state": state, "reason": check.reason})
    };
    let head = if reply.ready { "The node is ready.\n" } else { "The node is not ready.\n" };
    let text = head.to_owned() + &rows(&reply.checks.iter().map(row).collect::<Vec<_>>(), format);
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};

    #[test]
    fn a_check_that_failed_says_why() {
        let checks = json!([
            {"name": "serving", "ok": true, "needed": true},
            {"name": "quorum", "ok": false, "needed": true, "reason": "nobody answers"},
        ]);
        let reply = json!({"ready": false, "checks": checks});
        let text =
            rendered(&report(&serde_json::from_value(reply).unwrap(), Format::plain(Mode::Line)));
        assert!(text.starts_with("The node is not ready."), "{text}");
        assert!(text.contains("FAILED") && text.contains("nobody answers"), "{text}");
    }
}
