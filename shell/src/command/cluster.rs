//! Commands about the cluster and its members.

mod add_node;
mod create_join_token;
mod drain_node;
mod end_process;
mod endpoint_status;
mod list_nodes;
mod member_promote;
mod node_add;
mod pause_node;
mod promote_node;
mod remove_node;
mod restart_node;
mod resume_node;
mod set_max_level;
mod show_cluster;
mod show_leader;
mod show_nodes;
mod show_peers;
mod show_status;
mod start_process;
mod stop_node;

use super::Group;
use crate::words::{ParseResult, Words};

pub(super) static GROUP: Group = Group {
    title: "Cluster",
    commands: &[
        &show_status::COMMAND,
        &show_cluster::COMMAND,
        &show_nodes::COMMAND,
        &show_leader::COMMAND,
        &show_peers::COMMAND,
        &list_nodes::COMMAND,
        &start_process::COMMAND,
        &end_process::COMMAND,
        &create_join_token::COMMAND,
        &add_node::COMMAND,
        &node_add::COMMAND,
        &remove_node::COMMAND,
        &drain_node::COMMAND,
        &stop_node::COMMAND,
        &pause_node::COMMAND,
        &resume_node::COMMAND,
        &promote_node::COMMAND,
        &member_promote::COMMAND,
        &endpoint_status::COMMAND,
        &restart_node::COMMAND,
        &set_max_level::COMMAND,
    ],
};

/// Takes the name of a node.
fn node(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the node")
}

/// Takes the name of a node, with `--force` on either side of it or without.
fn forced_node(words: &mut Words<'_>) -> ParseResult<(String, bool)> {
    let before = words.flag("--force");
    let node = node(words)?;
    Ok((node, before || words.flag("--force")))
}

/// A node by its name, or the one that answers.
fn named(node: Option<&str>) -> &str {
    node.unwrap_or("the node that answers")
}

#[cfg(test)]
fn reply() -> jettra_driver::wire::ClusterReply {
    let node = |name: &str, role: &str, status: &str| {
        serde_json::json!({
            "_id": name, "id": name, "raft_id": 1, "url": format!("http://{name}:8080"),
            "role": role, "status": status,
            "program": {"version": "1.2.3", "oldest_level": 1, "newest_level": 2},
        })
    };
    let reply = serde_json::json!({
        "enabled": true, "nodeId": "node3", "state": "FOLLOWER", "leaderId": "node1", "term": 4,
        "clusterId": null, "appliedIndex": 9, "quorum": 2, "health": "Two of three.",
        "groups": [{"id": 0, "feature_level": 1}], "maxFeatureLevel": 1,
        "nodes": [
            node("node1", "LEADER", "ACTIVE"),
            node("node2", "FOLLOWER", "INACTIVE"),
            node("node3", "FOLLOWER", "ACTIVE"),
        ],
    });
    serde_json::from_value(reply).unwrap()
}
