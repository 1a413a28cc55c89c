//! Statements about the members of the cluster.

use super::{Ran, Session, done};
use crate::failure::Failure;
use crate::print::{Output, node_rows, status_record};
use crate::statement::ClusterAction;
use jettra_driver::wire::{ClusterReply, NodeInfo, NodeRole, NodeStatus};
use serde_json::json;

impl Session {
    pub(super) async fn cluster(&self, action: ClusterAction) -> Ran {
        match action {
            ClusterAction::Show => {
                let reply = self.client.cluster_status().await?;
                Ok(Output::Cluster(Box::new(reply)))
            }
            ClusterAction::Status => {
                let reply = self.client.cluster_status().await?;
                Ok(Output::Record(status_record(&reply)))
            }
            ClusterAction::Nodes => {
                let nodes = self.client.cluster_nodes().await?;
                Ok(Output::Rows(node_rows(&nodes)))
            }
            ClusterAction::Leader => leader(&self.client.cluster_status().await?),
            ClusterAction::Token { hours } => self.join_token(hours).await,
            ClusterAction::Register { url, description } => {
                self.register(&url, description.as_deref()).await
            }
            ClusterAction::Deregister { node, force } => self.deregister(&node, force).await,
            ClusterAction::Stop { node, force } => self.stop(&node, force).await,
            ClusterAction::Pause(node) => {
                self.client.cluster_pause(&node).await?;
                done(format!("Paused {node}."))
            }
            ClusterAction::Resume(node) => {
                self.client.cluster_resume(&node).await?;
                done(format!("Resumed {node}."))
            }
            ClusterAction::Promote(node) => {
                self.client.cluster_promote(node.as_deref()).await?;
                done(format!("Promoted {}.", named(node.as_deref())))
            }
            ClusterAction::Restart(node) => self.restart(node.as_deref()).await,
        }
    }

    async fn register(&self, url: &str, description: Option<&str>) -> Ran {
        self.client.cluster_register(url, description).await?;
        let next = "It is ACTIVE once it has caught up; see: cluster nodes";
        done(format!("Registered {url}. {next}"))
    }

    async fn deregister(&self, node: &str, force: bool) -> Ran {
        let warning = format!("Removes {node} from the cluster.{}", self.preview(node).await);
        self.confirm_name(&warning, node)?;
        self.client.cluster_deregister(node, force).await?;
        done(format!("Removed {node}."))
    }

    async fn stop(&self, node: &str, force: bool) -> Ran {
        self.confirm_yes(&format!("Stops the process of {node}."))?;
        self.client.cluster_stop(node, force).await?;
        done(format!("Stopped {node}."))
    }

    async fn restart(&self, node: Option<&str>) -> Ran {
        let name = named(node);
        self.confirm_yes(&format!("Restarts the process of {name}."))?;
        self.client.cluster_restart(node).await?;
        done(format!("Restarting {name}."))
    }

    /// What a removal would do to the quorum; nothing when the cluster cannot tell.
    async fn preview(&self, node: &str) -> String {
        if self.settings.yes || !self.settings.interactive {
            return String::new();
        }
        match self.client.cluster_status().await {
            Ok(reply) => removal_preview(&reply.nodes, node),
            Err(_) => String::new(),
        }
    }
}

fn named(node: Option<&str>) -> &str {
    node.unwrap_or("the node that answers")
}

fn leader(reply: &ClusterReply) -> Ran {
    let id = reply.leader_id.as_deref();
    let node = reply.nodes.iter().find(|node| Some(node.key.as_str()) == id);
    let node = node.ok_or_else(|| {
        let text = format!("{} knows of no leader in term {}", reply.node_id, reply.term);
        Failure::Refused(format!("{text}. {}", reply.health))
    })?;
    Ok(Output::Record(json!({
        "leader": node.key, "url": node.url, "status": node.status, "term": reply.term,
    })))
}

fn removal_preview(nodes: &[NodeInfo], removed: &str) -> String {
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

    fn node(name: &str, role: NodeRole, status: NodeStatus) -> NodeInfo {
        NodeInfo {
            key: name.into(),
            id: name.into(),
            raft_id: 1,
            url: format!("http://{name}:8080"),
            role,
            status,
            description: None,
            lag: None,
            problem: None,
            last_seen_ms: None,
            silent_ms: None,
            clock_ms_ahead: None,
        }
    }

    fn three() -> Vec<NodeInfo> {
        vec![
            node("node1", NodeRole::Leader, NodeStatus::Active),
            node("node2", NodeRole::Follower, NodeStatus::Inactive),
            node("node3", NodeRole::Follower, NodeStatus::Active),
        ]
    }

    #[test]
    fn a_removal_shows_what_is_left_of_the_quorum() {
        for name in ["node3", "http://node3:8080"] {
            let text = removal_preview(&three(), name);
            assert!(text.contains("needs 2 of them, and 1 answer"), "{text}");
        }
        assert_eq!(removal_preview(&three(), "unknown"), "");
    }

    #[test]
    fn the_leader_is_named_or_missed() {
        let mut reply = ClusterReply {
            enabled: true,
            node_id: "node3".into(),
            state: NodeRole::Follower,
            leader_id: Some("node1".into()),
            term: 4,
            cluster_id: None,
            applied_index: 9,
            quorum: 2,
            health: "Two of three.".into(),
            nodes: three(),
            view: None,
        };
        let Ok(Output::Record(record)) = leader(&reply) else {
            panic!("no record");
        };
        assert_eq!(record["url"], "http://node1:8080");
        reply.leader_id = None;
        assert!(leader(&reply).unwrap_err().to_string().contains("Two of three."));
    }
}
