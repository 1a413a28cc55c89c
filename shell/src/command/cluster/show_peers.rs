//! `cluster peers`: how the other nodes answer the one that is asked.

use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::PeersReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["cluster peers", "federated peers"],
    help: "Show how the other nodes answer this one, and how fast",
    driver: &["peer_health"],
    parse: |_| action(ShowPeers),
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowPeers;

impl Action for ShowPeers {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.peer_health().await?, session.format()))
    }
}

fn report(reply: &PeersReply, format: Format) -> Output {
    let groups = match reply.hash_ring_initialized {
        true => "All groups are placed and serve",
        false => "Not all groups are placed and serve",
    };
    let mut text = format!("{} asked {} peers. {groups}.\n", reply.current_node, reply.peers.len());
    let row = |(address, health): (&String, &jettra_driver::wire::PeerHealth)| {
        let time = health.response_time.map(|seconds| format!("{:.1} ms", seconds * 1000.0));
        json!({
            "peer": address, "status": health.status,
            "answered in": time.or(health.error.clone()),
        })
    };
    text += &rows(&reply.peer_health.iter().map(row).collect::<Vec<_>>(), format);
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};

    #[test]
    fn a_peer_that_does_not_answer_says_why() {
        let reply = json!({
            "cluster_size": 2, "current_node": "h:1", "peers": ["h:2"], "replication_factor": 2,
            "hash_ring_initialized": true, "hash_ring": {"nodes": [], "virtual_nodes": 0},
            "peer_health": {"h:2": {"status": "unhealthy", "error": "Connection timeout"}},
        });
        let text =
            rendered(&report(&serde_json::from_value(reply).unwrap(), Format::plain(Mode::Line)));
        assert!(text.contains("unhealthy") && text.contains("Connection timeout"), "{text}");
    }
}
