//! `doctor`: says what is wrong with the cluster, and what to do next.

use super::report;
use crate::command::{Action, Command, action};
use crate::doctor::{Answer, Examined, Finding, Probed, Severity, findings, lags, nobody, outside};
use crate::failure::{Failure, exit};
use crate::print::{Format, Output, printable};
use crate::session::{Connection, Session, StatementResult};
use jettra_driver::Client;
use jettra_driver::wire::{ClusterReply, GroupReply, NodeInfo};
use serde::Serialize;
use std::time::Duration;

/// Longest time for the answer of one node.
const PROBE_MAX: Duration = Duration::from_secs(3);
/// Time after which a replica that lags is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) static COMMAND: Command = Command {
    names: &["doctor"],
    help: "Examine the cluster: what is wrong, and what to do next",
    driver: &["cluster_status", "diagnostics", "health", "ready", "list_groups"],
    parse: |_| action(Doctor),
    ..Command::READ
};

#[derive(Debug)]
struct Doctor;

/// All findings.
#[derive(Debug, Serialize)]
struct DoctorReply {
    /// The most serious of them.
    status: Severity,
    findings: Vec<Finding>,
}

impl Action for Doctor {
    async fn run(self, session: &mut Session) -> StatementResult {
        let format = session.format();
        let cluster = match session.client.cluster_status().await {
            Ok(cluster) => cluster,
            Err(error) => return unanswered(error.into(), format),
        };
        let probes = probe(&session.connection, &cluster).await;
        let diagnostics = match session.client.diagnostics().await {
            Ok(found) => Ok(found),
            Err(error) if matches!(error.status(), Some(401 | 403)) => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        let later = match &diagnostics {
            Ok(found) => again(&session.client, &found.replication).await,
            Err(_) => None,
        };
        let found = findings(&Examined { cluster, diagnostics, probes, later });
        Ok(output(found, exit::STATEMENT, format))
    }
}

/// What follows when the first question has no answer.
fn unanswered(failure: Failure, format: Format) -> StatementResult {
    let code = match &failure {
        Failure::Driver(error) => error.code(),
        _ => None,
    };
    match (failure.exit_code(), code) {
        (exit::CONNECT, _) => Ok(output(vec![nobody(&failure.to_string())], exit::CONNECT, format)),
        (_, Some("not_registered" | "starting")) => {
            Ok(output(vec![outside(&failure.to_string())], exit::STATEMENT, format))
        }
        _ => Err(failure),
    }
}

/// Asks all members at the same time.
async fn probe(connection: &Connection, cluster: &ClusterReply) -> Vec<Probed> {
    let ask = |node: &NodeInfo| {
        let (node, url) = (node.key.clone(), node.url.clone());
        let client = connection.only(&url, PROBE_MAX).client();
        tokio::spawn(async move {
            let answer = match client {
                Ok(client) => ask(&client).await,
                Err(failure) => Err(failure.to_string()),
            };
            Probed { node, url, answer }
        })
    };
    let asked: Vec<_> = cluster.nodes.iter().map(ask).collect();
    let mut probes = Vec::new();
    for answer in asked {
        probes.extend(answer.await);
    }
    probes
}

async fn ask(client: &Client) -> Result<Answer, String> {
    let health = client.health().await.map_err(|error| reason(&error))?;
    // A node of an older version does not have it.
    let ready = client.ready().await.ok();
    Ok(Answer { name: health.node_id.0, ready })
}

/// Why a node has not answered, without its address, which stands beside it.
fn reason(error: &jettra_driver::Error) -> String {
    match error {
        jettra_driver::Error::Unreachable { reason, .. }
        | jettra_driver::Error::Unavailable { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}

/// The groups a moment later, if one of their replicas lags far behind.
async fn again(client: &Client, groups: &[GroupReply]) -> Option<Vec<GroupReply>> {
    if lags(groups).is_empty() {
        return None;
    }
    tokio::time::sleep(LOOK_AGAIN).await;
    client.list_groups().await.ok()
}

/// The findings, and an exit code when one of them is an error.
fn output(findings: Vec<Finding>, code: u8, format: Format) -> Output {
    let status = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    let reply = DoctorReply { status, findings };
    let shown = report(&reply, format, || lines(&reply.findings), || compact(&reply));
    match status {
        Severity::Error => Output::WithCode { output: Box::new(shown), code },
        _ => shown,
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| line(finding) + "\n").collect()
}

/// A finding in one line, with the next step.
fn line(finding: &Finding) -> String {
    let Finding { severity, check, message, next_step } = finding;
    let next = next_step.as_ref().map(|next| format!(". Next: {next}")).unwrap_or_default();
    printable(&format!("{severity:<7} {check:<9} {message}{next}"))
}

/// One line for each finding that is not `OK`.
fn compact(reply: &DoctorReply) -> String {
    let wrong = reply.findings.iter().filter(|finding| finding.severity > Severity::Ok);
    let wrong =
        wrong.map(|finding| format!("{} | {}\n", finding.severity, printable(&finding.message)));
    let wrong: String = wrong.collect();
    match wrong.as_str() {
        "" => format!("OK | {} checks\n", reply.findings.len()),
        _ => wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};
    use jettra_driver::Error;

    #[test]
    fn nobody_and_a_node_outside_are_findings_with_advice() {
        let silent = Error::Unreachable { nodes: "http://n1".into(), reason: "refused".into() };
        let shown = unanswered(silent.into(), Format::plain(Mode::Table)).unwrap();
        assert!(matches!(shown, Output::WithCode { code: exit::CONNECT, .. }));
        let text = rendered(&shown);
        assert!(
            text.starts_with("ERROR   nodes     no connection to http://n1: refused. Next: "),
            "{text}"
        );
        assert!(text.contains("firewall") && text.lines().count() == 1, "{text}");
        let refused = Failure::Refused("no".into());
        assert!(unanswered(refused, Format::plain(Mode::Table)).is_err());
    }

    #[test]
    fn warnings_do_not_make_it_fail() {
        let mut finding = nobody("slow");
        finding.severity = Severity::Warning;
        let fine = Finding { severity: Severity::Ok, next_step: None, ..finding.clone() };
        let shown = output(vec![fine.clone(), finding.clone()], 1, Format::plain(Mode::Compact));
        assert_eq!(rendered(&shown), "WARNING | slow\n");
        let shown = output(vec![fine], 1, Format::plain(Mode::Compact));
        assert_eq!(rendered(&shown), "OK | 1 checks\n");
        finding.severity = Severity::Error;
        let shown = output(vec![finding], 1, Format::plain(Mode::Json));
        assert!(matches!(&shown, Output::WithCode { code: 1, .. }));
    }
}
