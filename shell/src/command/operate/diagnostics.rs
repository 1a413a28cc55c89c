//! `diagnostics`: shows everything that helps to find out what is wrong.

use super::{metrics, node_health, report, shards, status, titled};
use crate::command::{Action, Command, action};
use crate::print::{Format, boxed, time};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{DiagnosticError, Diagnostics, GroupReply, ReplicaInfo};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["diagnostics"],
    help: "Show all that helps to find out what is wrong",
    driver: &["diagnostics"],
    parse: |_| action(ShowDiagnostics),
    ..Command::READ
};

#[derive(Debug)]
struct ShowDiagnostics;

impl Action for ShowDiagnostics {
    async fn run(self, session: &mut Session) -> StatementResult {
        let seen = session.client.diagnostics().await?;
        let format = session.format();
        Ok(report(&seen, format, || table(&seen, format), || compact(&seen)))
    }
}

fn table(seen: &Diagnostics, format: Format) -> String {
    let mut parts = vec![status::table(&seen.topology)];
    parts.extend(
        seen.nodes
            .iter()
            .map(|node| titled(&format!("Node {}", node.node_id), &node_health::fields(node))),
    );
    parts.push(titled("Shards", &[]) + &shards::table(&seen.shards, format));
    let replicas: Vec<_> = seen.replication.iter().flat_map(replicas).collect();
    parts.push(titled("Replication", &[]) + &boxed(&replicas, format));
    parts.push(metrics::table(&seen.performance, format));
    let errors = match seen.errors.as_slice() {
        [] => "none\n".to_owned(),
        errors => errors.iter().map(|error| line(error) + "\n").collect(),
    };
    parts.push(titled("Errors", &[]) + &errors);
    let ended = parts.iter().map(|part| part.trim_end().to_owned() + "\n");
    ended.collect::<Vec<_>>().join("\n")
}

/// The replicas of a group, one row each.
fn replicas(group: &GroupReply) -> impl Iterator<Item = Value> {
    let number = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
    let row = move |replica: &ReplicaInfo| {
        let leads = group.leader.as_ref() == Some(&replica.node);
        json!({
            "Group": group.id, "Node ID": replica.node, "Leads": if leads { "yes" } else { "no" },
            "Votes": if replica.voter { "yes" } else { "no" }, "Lag": number(replica.lag),
            "Silent": replica.silent_ms.map_or("no".to_owned(), |ms| format!("{ms} ms")),
        })
    };
    group.replicas.iter().map(row)
}

/// An error in one line.
fn line(error: &DiagnosticError) -> String {
    match (&error.node_id, error.time_ms) {
        (Some(node), Some(at)) => {
            format!("{} {node} {}: {}", time(at), error.severity, error.message)
        }
        _ => format!("now: {}", error.message),
    }
}

fn compact(seen: &Diagnostics) -> String {
    let now = seen.errors.iter().filter(|error| error.time_ms.is_none());
    let now: Vec<_> = now.map(|error| error.message.as_str()).collect();
    match now.as_slice() {
        [] => format!("{} | no errors", seen.topology.status),
        now => format!("{} | {}", seen.topology.status, now.join(" | ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_now_stands_without_a_time() {
        let now = DiagnosticError {
            message: "n3 does not answer".into(),
            severity: "error".into(),
            node_id: None,
            time_ms: None,
        };
        assert_eq!(line(&now), "now: n3 does not answer");
        let logged =
            DiagnosticError { node_id: Some("n2".into()), time_ms: Some(0), ..now.clone() };
        let text = line(&logged);
        assert!(text.ends_with(" n2 error: n3 does not answer"), "{text}");
    }
}
