//! `cluster stop`: stops the process of a node.

use super::forced_node;
use crate::command::Argument::Required;
use crate::command::arguments::FORCE;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster stop", "federated stop"],
    arguments: &[Required(Kind::Node), FORCE],
    help: "Stop the process of a node",
    driver: &["cluster_stop"],
    parse: |words| {
        let (node, force) = forced_node(words)?;
        action(StopNode { node, force })
    },
    ..Command::WRITE
};

#[derive(Debug)]
struct StopNode {
    node: String,
    /// Even when the cluster loses its quorum by it.
    force: bool,
}

impl Action for StopNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let node = &self.node;
        session.confirm_yes(&format!("Stops the process of {node}."))?;
        session.client.cluster_stop(node, self.force).await?;
        done(format!("Stopped {node}."))
    }
}
