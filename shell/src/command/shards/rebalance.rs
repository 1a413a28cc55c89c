//! `rebalance`: moves replicas until they are spread evenly.

use crate::command::Argument::Flag;
use crate::command::{Action, BoxedAction, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::RebalanceReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["rebalance"],
    arguments: &[Flag("--dry-run")],
    help: "Move replicas until no node holds two more than another",
    examples: &["rebalance --dry-run"],
    driver: &["rebalance"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct Rebalance {
    dry_run: bool,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(Rebalance { dry_run: words.flag("--dry-run") })
}

impl Action for Rebalance {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.rebalance(self.dry_run).await?, session.format()))
    }
}

fn report(reply: &RebalanceReply, format: Format) -> Output {
    let row = |planned: &jettra_driver::wire::PlannedMove| json!({"group": planned.group, "from": planned.from_node, "to": planned.to_node});
    let text = match (reply.moves.as_slice(), reply.dry_run) {
        ([], _) => "The replicas are spread evenly.\n".to_owned(),
        (moves, dry_run) => {
            let what = if dry_run { "would move" } else { "move, one after the other" };
            let list = rows(&moves.iter().map(row).collect::<Vec<_>>(), format);
            format!("These replicas {what}:\n{list}")
        }
    };
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::{Mode, rendered};

    #[test]
    fn it_says_what_would_move() {
        assert_eq!(parsed::<Rebalance>("rebalance --dry-run"), Rebalance { dry_run: true });
        let text = |reply: &RebalanceReply| rendered(&report(reply, Format::plain(Mode::Line)));
        let mut reply = RebalanceReply { moves: Vec::new(), dry_run: true };
        assert_eq!(text(&reply), "The replicas are spread evenly.\n");
        let (from_node, to_node) = ("n1".into(), "n4".into());
        reply.moves.push(jettra_driver::wire::PlannedMove { group: 3, from_node, to_node });
        assert!(text(&reply).starts_with("These replicas would move:\n"));
    }
}
