//! Which nodes answer, shown while an answer is awaited and when none came.

use super::{Connection, Session};
use jettra_driver::Client;
use jettra_driver::wire::HealthReply;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Longest time that one node may take to answer.
const PROBE_MAX: Duration = Duration::from_millis(700);
/// After this time a notice says what the shell waits for; it is renewed each time.
const NOTICE: Duration = Duration::from_secs(1);
const CLEAR_LINE: &str = "\r\x1b[K";

/// Finds out which nodes answer, in parallel with the call that waits.
#[derive(Clone)]
pub(crate) struct Probe {
    connection: Connection,
    nodes: Vec<String>,
    /// Results are being printed, so that a notice would stand among them.
    printing: Arc<AtomicBool>,
}

impl Session {
    /// A probe of the nodes that are known now.
    pub(crate) fn probe(&self) -> Probe {
        self.printing.store(false, Ordering::Relaxed);
        Probe {
            connection: self.connection.clone(),
            nodes: self.members.clone(),
            printing: self.printing.clone(),
        }
    }
}

impl Probe {
    /// Shows each second what the shell waits for; never ends. Sets `shown` once a notice is on the
    /// screen.
    pub(crate) async fn show(self, shown: &AtomicBool) {
        loop {
            tokio::time::sleep(NOTICE).await;
            let reachability = self.reachability().await;
            if !self.printing.load(Ordering::Relaxed) {
                shown.store(true, Ordering::Relaxed);
                eprint!("{CLEAR_LINE}{}", waiting(&reachability));
            }
        }
    }

    /// Removes the notice of [`Probe::show`].
    pub(crate) fn clear() {
        eprint!("{CLEAR_LINE}");
    }

    /// The nodes that answer now.
    pub(crate) async fn reachability(&self) -> Reachability {
        let mut nodes = self.nodes.clone();
        let mut asked = self.ask(&nodes).await;
        // A node that answers knows the others.
        if let Some(members) = self.members(&asked).await {
            nodes = members;
            asked = self.ask(&nodes).await;
        }
        let answers: Vec<&HealthReply> = asked.iter().map(|(_, health)| health).collect();
        let leads = answers.iter().find(|health| health.is_leader && health.status == "ok");
        Reachability {
            nodes,
            answers: answers.len(),
            leader: leads.map(|health| health.node_id.0.clone()),
        }
    }

    /// The nodes that answer, with their health.
    async fn ask(&self, nodes: &[String]) -> Vec<(String, HealthReply)> {
        let mut asking = JoinSet::new();
        for node in nodes {
            let client = self.client(node);
            let node = node.clone();
            asking.spawn(async move {
                let health = tokio::time::timeout(PROBE_MAX, client?.health()).await;
                Some((node, health.ok()?.ok()?))
            });
        }
        asking.join_all().await.into_iter().flatten().collect()
    }

    /// The addresses of all members, from the first node that lists them.
    async fn members(&self, answering: &[(String, HealthReply)]) -> Option<Vec<String>> {
        for (node, _) in answering {
            let Some(client) = self.client(node) else { continue };
            let asked = tokio::time::timeout(PROBE_MAX, client.cluster_status()).await;
            if let Ok(Ok(reply)) = asked
                && !reply.nodes.is_empty()
            {
                return Some(reply.nodes.into_iter().map(|node| node.url).collect());
            }
        }
        None
    }

    fn client(&self, node: &str) -> Option<Client> {
        let mut connection = self.connection.clone();
        (connection.seeds, connection.stay) = (vec![node.to_owned()], true);
        connection.deadline = PROBE_MAX;
        connection.client().ok()
    }
}

/// Which nodes answer, and the one that leads.
#[derive(Debug, PartialEq)]
pub(crate) struct Reachability {
    nodes: Vec<String>,
    answers: usize,
    leader: Option<String>,
}

impl std::fmt::Display for Reachability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = if self.answers == 1 { "answers" } else { "answer" };
        match (&self.leader, self.answers, self.nodes.as_slice()) {
            (_, 0, [only]) => return write!(f, "{only} does not answer"),
            (_, 0, nodes) => return write!(f, "none of {} nodes answers", nodes.len()),
            (Some(leader), ..) => write!(f, "{leader} leads")?,
            (None, ..) => f.write_str("no leader")?,
        }
        write!(f, "; {} of {} {verb}", self.answers, self.nodes.len())
    }
}

fn waiting(known: &Reachability) -> String {
    let for_what = match (known.answers, &known.leader) {
        (0, _) => "a node",
        (_, None) => "a leader",
        _ => "the answer",
    };
    format!("Waiting for {for_what}: {known}. Ctrl-C ends it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_said_with_what_is_known() {
        let known = |nodes: usize, answers, leader: Option<&str>| Reachability {
            nodes: (1..=nodes).map(|node| format!("http://node{node}")).collect(),
            answers,
            leader: leader.map(str::to_owned),
        };
        let table = [
            (known(3, 1, None), "a leader: no leader; 1 of 3 answers"),
            (known(3, 2, Some("node2")), "the answer: node2 leads; 2 of 3 answer"),
            (known(3, 0, None), "a node: none of 3 nodes answers"),
            (known(1, 0, None), "a node: http://node1 does not answer"),
        ];
        for (known, expected) in table {
            let expected = format!("Waiting for {expected}. Ctrl-C ends it.");
            assert_eq!(waiting(&known), expected);
        }
    }
}
