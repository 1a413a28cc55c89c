//! `cluster restart`: restarts the process of a node.

use super::named;
use crate::command::Argument::Optional;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster restart", "federated restart"],
    arguments: &[Optional(Kind::Node)],
    help: "Restart the process of a node",
    driver: &["cluster_restart"],
    parse: |words| action(RestartNode { node: words.optional()? }),
    ..Command::WRITE
};

#[derive(Debug)]
struct RestartNode {
    /// The node that answers when it is left out.
    node: Option<String>,
}

impl Action for RestartNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let node = self.node.as_deref();
        let name = named(node);
        session.confirm_yes(&format!("Restarts the process of {name}."))?;
        session.client.cluster_restart(node).await?;
        done(format!("Restarting {name}."))
    }
}
