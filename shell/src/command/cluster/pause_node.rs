//! `cluster pause`: pauses a node.

use super::node;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster pause", "federated pause"],
    arguments: &[Required(Kind::Node)],
    help: "Pause a node: it serves no client and does not lead",
    driver: &["cluster_pause"],
    parse: |words| action(PauseNode { node: node(words)? }),
    ..Command::WRITE
};

#[derive(Debug)]
struct PauseNode {
    node: String,
}

impl Action for PauseNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.cluster_pause(&self.node).await?;
        done(format!("Paused {}.", self.node))
    }
}
