//! What is wrong with a cluster, and what to do next: findings made of what the nodes say.
//!
//! The checks are those of Kudu's `ksck` and the ones that operators do by hand when a node does not answer,
//! a write fails or a migration does not end.

mod groups;
mod machines;
mod nodes;
#[cfg(test)]
mod tests;

use jettra_driver::wire::{ClusterReply, Diagnostics, GroupReply, ReadyReply};
use serde::Serialize;
use std::fmt;

pub(crate) use groups::lags;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    /// All is well.
    Ok,
    /// The cluster works; an operator should look at it.
    Warning,
    /// Something is wrong.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Ok => "OK",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How serious it is.
    pub(crate) severity: Severity,
    /// What was checked, in a word that stays the same.
    pub(crate) check: &'static str,
    /// What was found, in one sentence.
    pub(crate) message: String,
    /// What an operator does next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_step: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Ok, check, message: message.into(), next_step: None }
    }

    fn warning(
        check: &'static str,
        message: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Finding {
        let severity = Severity::Warning;
        Finding { severity, next_step: Some(next_step.into()), ..Finding::ok(check, message) }
    }

    fn error(
        check: &'static str,
        message: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Finding {
        let severity = Severity::Error;
        Finding { severity, next_step: Some(next_step.into()), ..Finding::ok(check, message) }
    }
}

/// What a node has answered to this program.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The name of the node that has answered.
    pub(crate) name: String,
    /// Whether it is ready, check by check; none if it does not say.
    pub(crate) ready: Option<ReadyReply>,
}

/// A member, asked by this program.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    /// Its name.
    pub(crate) node: String,
    /// Its address for clients.
    pub(crate) url: String,
    /// Its answer; else why there was none.
    pub(crate) answer: Result<Answer, String>,
}

/// What was seen of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Examined {
    /// The members.
    pub(crate) cluster: ClusterReply,
    /// What the nodes say of themselves; else why that is not known.
    pub(crate) diagnostics: Result<Diagnostics, String>,
    /// Each member, asked by this program.
    pub(crate) probes: Vec<Probed>,
    /// The groups a moment later, if a replica lagged far behind.
    pub(crate) later: Option<Vec<GroupReply>>,
}

/// The findings, in the order of the checks; a check that has found nothing has one that is `OK`.
pub(crate) fn findings(seen: &Examined) -> Vec<Finding> {
    let mut all = nodes::answers(seen);
    all.extend(nodes::quorum(&seen.cluster));
    match &seen.diagnostics {
        Ok(found) => {
            all.extend(nodes::conditions(found));
            all.extend(groups::leaders(found));
            all.extend(groups::replicas(seen, found));
            all.extend(groups::placement(found));
            all.extend(machines::clocks(found));
            all.extend(machines::disks(seen, found));
            all.extend(machines::memory(found));
            all.extend(machines::open_files(found));
            all.extend(machines::logs(found));
        }
        Err(reason) => all.push(Finding::error(
            "diagnostics",
            format!("the nodes were not asked: {reason}"),
            "do again what this program asks for: jettra diagnostics",
        )),
    }
    all.extend(nodes::features(&seen.cluster));
    all
}

/// The finding when no node answers at all.
pub(crate) fn nobody(reason: &str) -> Finding {
    Finding::error(
        "nodes",
        reason.lines().next().unwrap_or_default(),
        "is the address right (--url, or --host and --port)? On the node's machine: does jettradb run, and does \
         it listen (ss -ltnp, or lsof -i :8080)? If not, start it and read its log; if it does, a firewall \
         blocks the port: curl <address>/health, ping <host>",
    )
}

/// The finding when the node that was asked does not know the cluster.
pub(crate) fn outside(reason: &str) -> Finding {
    Finding::error(
        "nodes",
        reason.lines().next().unwrap_or_default(),
        "let it in on a member: jettra add-node --node-id <name> --address <host:port>; if it is to ask by itself, \
         check its Peers (join) and that these nodes run and can be reached from it; the first node of a new \
         cluster starts with --bootstrap",
    )
}

/// The findings of one check, or that all is well.
fn or_ok(found: Vec<Finding>, check: &'static str, fine: impl FnOnce() -> String) -> Vec<Finding> {
    match found.is_empty() {
        true => vec![Finding::ok(check, fine())],
        false => found,
    }
}

/// Names with commas between them.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
