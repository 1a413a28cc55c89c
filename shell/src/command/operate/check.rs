//! `check`: writes a document through each node, and reads all of them through each node.

use super::report;
use crate::check::{self, CALL_MAX, COLLECTION, NodeCheck, Target};
use crate::command::{Action, Command, action};
use crate::failure::{Failure, exit};
use crate::print::{Format, Output, boxed, printable};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::NodeInfo;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["check"],
    help: "Write a document through each node, and read all of them through each",
    driver: &["cluster_nodes", "create_collection", "drop_database"],
    parse: |_| action(Check),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct Check;

/// The outcome.
#[derive(Debug, Serialize)]
struct CheckReply {
    /// Whether all nodes have done everything.
    ok: bool,
    nodes: Vec<NodeCheck>,
    /// The database of the check, when it could not be dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_over: Option<String>,
}

impl Action for Check {
    async fn run(self, session: &mut Session) -> StatementResult {
        let members = session.client.cluster_nodes().await?;
        let targets = targets(session, &members)?;
        let database = scratch_name()?;
        let client = &session.client;
        let reply = match client.create_collection(&database, COLLECTION).await {
            Ok(()) => {
                let nodes = check::run(targets, &database).await;
                let dropped = client.drop_database(&database).await;
                reply(nodes, dropped.is_err().then_some(database))
            }
            Err(error) if matches!(error.status(), Some(401 | 403)) => return Err(error.into()),
            Err(error) => {
                let why = format!("the collection of the check cannot be created: {error}");
                let failed = |target| NodeCheck::failed(target, why.clone());
                reply(targets.iter().map(failed).collect(), None)
            }
        };
        Ok(output(&reply, session.format()))
    }
}

fn targets(session: &Session, members: &[NodeInfo]) -> Result<Vec<Target>, Failure> {
    let target = |node: &NodeInfo| {
        let client = session.connection.only(&node.url, CALL_MAX).client()?;
        Ok(Target { name: node.key.clone(), url: node.url.clone(), client })
    };
    members.iter().map(target).collect()
}

/// A database that no other check has, so that several may run at the same time.
fn scratch_name() -> Result<String, Failure> {
    let mut random = [0; 6];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::Refused(format!("no random numbers: {error}")))?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("jettra_check_{digits}"))
}

fn reply(nodes: Vec<NodeCheck>, left_over: Option<String>) -> CheckReply {
    let ok = left_over.is_none() && nodes.iter().all(|node| node.ok);
    CheckReply { ok, nodes, left_over }
}

/// The nodes, and an exit code that says whether all is well.
fn output(reply: &CheckReply, format: Format) -> Output {
    let shown = report(reply, format, || table(reply, format), || compact(reply));
    match reply.ok {
        true => shown,
        false => {
            let silent = reply.nodes.iter().all(|node| !node.answers);
            let code = if silent { exit::CONNECT } else { exit::STATEMENT };
            Output::WithCode { output: Box::new(shown), code }
        }
    }
}

fn table(reply: &CheckReply, format: Format) -> String {
    let row = |node: &NodeCheck| -> Value {
        json!({
            "Node ID": node.node_id, "Address": node.address, "Result": word(node),
            "Write": node.write_ms.map_or("-".to_owned(), |ms| format!("{ms} ms")),
            "Shows": format!("{} of {}", node.shows.len(), written(reply)),
        })
    };
    let mut text = boxed(&reply.nodes.iter().map(row).collect::<Vec<_>>(), format);
    text.push('\n');
    for node in &reply.nodes {
        for failure in &node.failures {
            text += &format!("{}: {}\n", node.node_id, printable(failure));
        }
    }
    text + &left_over(reply)
}

fn compact(reply: &CheckReply) -> String {
    let line = |node: &NodeCheck| {
        let mut parts = vec![node.node_id.clone(), word(node).to_owned()];
        parts.extend(node.failures.iter().map(|failure| printable(failure)));
        parts.join(" | ") + "\n"
    };
    reply.nodes.iter().map(line).collect::<String>() + &left_over(reply)
}

fn word(node: &NodeCheck) -> &'static str {
    if node.ok { "ok" } else { "FAILED" }
}

/// How many documents were written.
fn written(reply: &CheckReply) -> usize {
    reply.nodes.iter().filter(|node| node.write_ms.is_some()).count()
}

fn left_over(reply: &CheckReply) -> String {
    let text = |name: &String| format!("The database {name} is left; drop it: drop db {name}\n");
    reply.left_over.as_ref().map(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};

    fn node(name: &str, answers: bool, failures: &[&str]) -> NodeCheck {
        NodeCheck {
            node_id: name.into(),
            address: format!("http://{name}:8080"),
            ok: failures.is_empty(),
            answers,
            write_ms: failures.is_empty().then_some(1.5),
            shows: vec!["n1".into()],
            failures: failures.iter().map(|failure| (*failure).to_owned()).collect(),
        }
    }

    fn code(output: &Output) -> u8 {
        match output {
            Output::WithCode { code, .. } => *code,
            _ => exit::OK,
        }
    }

    #[test]
    fn the_exit_code_says_whether_all_nodes_some_or_none_have_done_it() {
        let shown = |nodes: Vec<NodeCheck>| output(&reply(nodes, None), Format::plain(Mode::Json));
        assert_eq!(code(&shown(vec![node("n1", true, &[])])), exit::OK);
        let silent = || node("n2", false, &["write: no connection"]);
        assert_eq!(code(&shown(vec![node("n1", true, &[]), silent()])), exit::STATEMENT);
        assert_eq!(code(&shown(vec![silent()])), exit::CONNECT);
        let left = reply(vec![node("n1", true, &[])], Some("jettra_check_1".into()));
        let left = output(&left, Format::plain(Mode::Table));
        assert_eq!(code(&left), exit::STATEMENT);
        assert!(rendered(&left).contains("drop db jettra_check_1"));
    }

    #[test]
    fn what_has_failed_stands_below_the_nodes() {
        let reply =
            reply(vec![node("n1", true, &[]), node("n2", false, &["write: no connection"])], None);
        let text = table(&reply, Format::plain(Mode::Table));
        assert!(text.contains("│ n2      │ http://n2:8080 │ FAILED │ -      │ 1 of 1 │"), "{text}");
        assert!(text.ends_with("┘\nn2: write: no connection\n"), "{text}");
        assert_eq!(compact(&reply), "n1 | ok\nn2 | FAILED | write: no connection\n");
    }
}
