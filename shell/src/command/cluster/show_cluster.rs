//! `cluster show`: shows the health, the leader and the members.

use super::show_nodes::row;
use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ClusterReply;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["cluster show", "show cluster", "federated show"],
    help: "Show the health, the leader and the members",
    driver: &["cluster_status"],
    parse: |_| action(ShowCluster),
    ..Command::READ
};

#[derive(Debug)]
struct ShowCluster;

impl Action for ShowCluster {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.cluster_status().await?, session.format()))
    }
}

fn report(reply: &ClusterReply, format: Format) -> Output {
    let leader = reply.leader_id.as_deref().unwrap_or("none");
    let nodes: Vec<Value> = reply.nodes.iter().map(row).collect();
    let text = format!(
        "{}\nLeader: {leader}, term {}, as {}\n{}",
        reply.health,
        reply.term,
        source(reply),
        rows(&nodes, format)
    );
    Output::Report { text, answer: json!(reply) }
}

/// Which node knows what an answer about the cluster says, and how old that is.
fn source(reply: &ClusterReply) -> String {
    let Some(view) = &reply.view else {
        return format!("{} knows it", reply.node_id);
    };
    let source = match view.age_ms {
        0 => format!("{} knows it", view.from),
        age_ms => format!("{} knew it {} ago", view.from, seconds(age_ms)),
    };
    match &view.note {
        Some(note) => format!("{source}. {note}"),
        None => source,
    }
}

fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::reply;
    use crate::command::{commands, parse};
    use crate::print::{Mode, rendered};
    use jettra_driver::wire::ClusterView;

    #[test]
    fn the_source_and_its_age_are_shown() {
        let view = |age_ms, note: Option<&str>| {
            let note = note.map(str::to_owned);
            Some(ClusterView { from: "node1".into(), leader: note.is_none(), age_ms, note })
        };
        let table = [
            (None, "node3 knows it"),
            (view(0, None), "node1 knows it"),
            (view(40, None), "node1 knew it 40 ms ago"),
            (view(2400, Some("No leader.")), "node1 knew it 2.4 s ago. No leader."),
        ];
        for (view, expected) in table {
            let reply = ClusterReply { view, ..reply() };
            let text = rendered(&report(&reply, Format::plain(Mode::Line)));
            let expected = format!("Two of three.\nLeader: node1, term 4, as {expected}\nnode");
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn federated_is_another_word_for_cluster() {
        let outcome = |text: &str| match parse(text) {
            Ok(statement) => format!("{statement:?}"),
            Err(reason) => reason,
        };
        let names = commands().flat_map(|command| command.names);
        for name in names.filter_map(|name| name.strip_prefix("cluster ")) {
            let [cluster, federated] =
                ["cluster", "federated"].map(|first| outcome(&format!("{first} {name} node1")));
            assert_eq!(cluster, federated, "{name}");
        }
    }
}
