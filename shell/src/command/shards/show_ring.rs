//! `cluster ring`: shows how the replicas are spread over the nodes.

use crate::command::{Action, BoxedAction, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::RingReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["cluster ring", "federated ring"],
    help: "Show how the replicas of the groups are spread over the nodes",
    driver: &["ring"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowRing;

fn read(_: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ShowRing)
}

impl Action for ShowRing {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.ring().await?, session.format()))
    }
}

fn report(ring: &RingReply, format: Format) -> Output {
    let row = |node: &jettra_driver::wire::RingNode| {
        let groups: Vec<_> = node.groups.iter().map(ToString::to_string).collect();
        json!({
            "node": node.node, "replicas": node.virtual_nodes,
            "share": format!("{:.0} %", node.share * 100.0), "groups": groups.join(" "),
        })
    };
    let text = rows(&ring.nodes.iter().map(row).collect::<Vec<_>>(), format);
    Output::Report { text, answer: json!(ring) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};
    use jettra_driver::wire::RingNode;

    #[test]
    fn shares_are_percentages() {
        let node = RingNode { node: "n1".into(), virtual_nodes: 1, share: 0.25, groups: vec![3] };
        let ring = RingReply { nodes: vec![node], virtual_nodes: 4 };
        let text = rendered(&report(&ring, Format::plain(Mode::Line)));
        assert!(text.contains("25 %"), "{text}");
    }
}
