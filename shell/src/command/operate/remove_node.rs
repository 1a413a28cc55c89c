//! `remove-node`: removes a node, after its replicas have gone to others.

use super::named;
use crate::command::Argument::Valued;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["remove-node"],
    arguments: &[Valued("--node-id", "name", Kind::Node)],
    help: "Remove a node; its shards go to the other nodes first",
    examples: &["remove-node --node-id node-worker-003"],
    driver: &["cluster_remove_node"],
    parse: |words| {
        let [node_id] = named(words, ["--node-id"], 0)?;
        action(RemoveNode { node_id })
    },
    ..Command::WRITE
};

#[derive(Debug)]
struct RemoveNode {
    node_id: String,
}

impl Action for RemoveNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let node = &self.node_id;
        // A script has said it with the flag, and nothing is lost: the replicas go to other nodes.
        if session.settings.interactive {
            session.confirm_name(&format!("Removes {node} from the cluster."), node)?;
        }
        session.client.cluster_remove_node(node, true).await?;
        let text = format!("Removed {node}; its shards are on the other nodes.");
        Ok(Output::Changed { text, answer: json!({"status": "removed", "node_id": node}) })
    }
}
