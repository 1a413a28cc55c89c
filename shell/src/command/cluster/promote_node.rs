//! `cluster promote`: hands leadership to a node.

use super::named;
use crate::command::Argument::Optional;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster promote", "move-leader", "federated promote"],
    arguments: &[Optional(Kind::Node)],
    help: "Hand leadership to a node",
    driver: &["cluster_promote"],
    parse: |words| action(PromoteNode { node: words.optional()? }),
    ..Command::WRITE
};

#[derive(Debug)]
struct PromoteNode {
    /// The node that answers when it is left out.
    node: Option<String>,
}

impl Action for PromoteNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let node = self.node.as_deref();
        session.client.cluster_promote(node).await?;
        done(format!("Promoted {}.", named(node)))
    }
}
