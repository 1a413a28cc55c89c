//! `cluster remove`: removes a node.

use super::forced_node;
use crate::command::Argument::Required;
use crate::command::arguments::FORCE;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use jettra_driver::wire::{NodeInfo, NodeRole, NodeStatus};

pub(super) static COMMAND: Command = Command {
    names: &[
        "cluster remove",
        "cluster deregister",
        "member remove",
        "federated remove",
        "federated deregister",
    ],
    arguments: &[Required(Kind::Node), FORCE],
    help: "Remove a node",
    driver: &["cluster_deregister"],
    parse: |words| {
        let (node, force) = forced_node(words)?;
        action(RemoveNode { node, force })
    },
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct RemoveNode {
    node: String,
    /// Even when the cluster loses its quorum by it.
    force: bool,
}

impl Action for RemoveNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let node = &self.node;
        let effect = effect_on_quorum(session, node).await;
        let warning = format!("Removes {node} from the cluster.{effect}");
        session.confirm_name(&warning, node)?;
        session.client.cluster_deregister(node, self.force).await?;
        done(format!("Removed {node}."))
    }
}

/// What the removal would do to the quorum; nothing when the cluster cannot say, or when nobody is
/// asked.
async fn effect_on_quorum(session: &Session, node: &str) -> String {
    if session.settings.yes || !session.settings.interactive {
        return String::new();
    }
    match session.client.cluster_status().await {
        Ok(reply) => quorum_without(&reply.nodes, node),
        Err(_) => String::new(),
    }
}

fn quorum_without(nodes: &[NodeInfo], removed: &str) -> String {
    let is_voter = |node: &&NodeInfo| {
        node.role != NodeRole::Learner && node.key != removed && node.url != removed
    };
    let voters: Vec<&NodeInfo> = nodes.iter().filter(is_voter).collect();
    if voters.len() == nodes.len() || voters.is_empty() {
        return String::new();
    }
    let up = |node: &&&NodeInfo| matches!(node.status, NodeStatus::Active | NodeStatus::Paused);
    format!(
        "\n{} of {} members stay as voters; a write then needs {} of them, and {} answer now.",
        voters.len(),
        nodes.len(),
        voters.len() / 2 + 1,
        voters.iter().filter(up).count()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::reply;
    use crate::command::parsed;

    #[test]
    fn force_may_stand_on_either_side_of_the_node() {
        let remove = |force| RemoveNode { node: "node3".into(), force };
        let table = [
            ("cluster remove node3 --force", true),
            ("cluster deregister --force node3", true),
            ("cluster remove node3", false),
        ];
        for (text, force) in table {
            assert_eq!(parsed::<RemoveNode>(text), remove(force), "{text}");
        }
    }

    #[test]
    fn a_removal_shows_what_is_left_of_the_quorum() {
        let nodes = reply().nodes;
        for name in ["node3", "http://node3:8080"] {
            let text = quorum_without(&nodes, name);
            assert!(text.contains("needs 2 of them, and 1 answer"), "{text}");
        }
        assert_eq!(quorum_without(&nodes, "unknown"), "");
    }
}
