//! Whether the members answer, and how they are.

use super::{Examined, Finding, Probed, list, or_ok};
use jettra_driver::wire::{
    ClusterReply, Diagnostics, NodeCondition, NodeHealthReply, NodeInfo, NodeRole, ProgramInfo,
};
use std::collections::BTreeSet;

/// Whether each member answers this program and the node that has collected the diagnostics, and whether it
/// is the one that the cluster takes it for.
pub(super) fn answers(seen: &Examined) -> Vec<Finding> {
    let mut found: Vec<_> =
        seen.probes.iter().filter_map(|probe| answer(probe, heard(seen, &probe.node))).collect();
    let stuck = seen.cluster.nodes.iter().filter_map(|node| {
        let problem = node.problem.as_ref()?;
        Some(Finding::error(
            "nodes",
            format!("{} does not get the log: {problem}", node.key),
            format!(
                "see what the leader has logged (jettra diagnostics), and the log of {}",
                node.key
            ),
        ))
    });
    found.extend(stuck);
    let count = seen.probes.len();
    or_ok(found, "nodes", || format!("{count} of {count} nodes answer"))
}

/// Whether the node that has collected the diagnostics has heard a member, by whom and why not.
struct Heard<'a> {
    by: &'a str,
    reachable: bool,
    reason: &'a str,
}

fn heard<'a>(seen: &'a Examined, node: &str) -> Option<Heard<'a>> {
    let diagnostics = seen.diagnostics.as_ref().ok()?;
    let health = diagnostics.nodes.iter().find(|health| health.node_id == node)?;
    let reason = health.reason.as_deref().unwrap_or("it does not answer");
    Some(Heard { by: &diagnostics.collected_by, reachable: health.reachable, reason })
}

fn answer(probe: &Probed, heard: Option<Heard<'_>>) -> Option<Finding> {
    let Probed { node, url, answer } = probe;
    let port = url.rsplit(':').next().unwrap_or_default().trim_end_matches('/');
    match (answer, heard) {
        (Ok(answer), _) if answer.name != *node => Some(Finding::error(
            "nodes",
            format!("at {url} answers {} instead of {node}", answer.name),
            format!(
                "correct Host, Port and AdvertiseUrl of both (jettradb --check-config shows them), or remove \
                 {node} and add it at its address"
            ),
        )),
        (Ok(_), Some(heard)) if !heard.reachable => Some(Finding::error(
            "nodes",
            format!("{node} answers here, but not {}: {}", heard.by, heard.reason),
            format!(
                "check network and firewall between the nodes (PeerAddress too), the cluster secret and the \
                 certificates of {node}: jettra cluster peers"
            ),
        )),
        (Ok(_), _) => None,
        (Err(reason), Some(heard)) if heard.reachable => Some(Finding::warning(
            "nodes",
            format!("{node} answers {}, but not here at {url}: {reason}", heard.by),
            format!("a firewall or a route between here and port {port}: curl {url}/health"),
        )),
        (Err(reason), _) => Some(Finding::error(
            "nodes",
            format!("{node} does not answer at {url}: {reason}"),
            format!(
                "on its machine: does jettradb run, and does it listen (lsof -i :{port})? If not, start it \
                 (jettradb --check-config examines its settings) and read its log; if it does, a firewall \
                 blocks port {port}: curl {url}/health. If it is gone for good: jettra remove-node --node-id \
                 {node}"
            ),
        )),
    }
}

/// How the members are that answer.
pub(super) fn conditions(found: &Diagnostics) -> Vec<Finding> {
    let states = found.nodes.iter().filter_map(condition).collect();
    or_ok(states, "states", || "no node that answers has a problem".to_owned())
}

fn condition(node: &NodeHealthReply) -> Option<Finding> {
    let name = &node.node_id;
    let reason = node.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let message = format!("{name} is {}{reason}", node.status);
    let groups: Vec<String> = node.groups.iter().map(|held| held.group.to_string()).collect();
    Some(match node.status {
        // The first check names these.
        NodeCondition::Healthy | NodeCondition::Unreachable => return None,
        NodeCondition::Paused => {
            Finding::warning("states", message, format!("jettra cluster resume {name}"))
        }
        NodeCondition::Joining => Finding::warning(
            "states",
            message,
            "it is receiving what it lacks; jettra wait --healthy",
        ),
        NodeCondition::Leaving => Finding::warning(
            "states",
            format!("{message}; it holds replicas of groups {}", groups.join(", ")),
            "they go to other nodes first: jettra task list, jettra group list",
        ),
        NodeCondition::Unknown => Finding::warning(
            "states",
            message,
            "only a leader knows; start the nodes that do not answer",
        ),
        NodeCondition::Degraded | NodeCondition::Unhealthy => Finding::error(
            "states",
            message,
            format!(
                "read its log, and jettra node-health --node-id {name}; if its data is damaged: remove it, and \
                 let it join again with an empty DataDir"
            ),
        ),
    })
}

/// How many members may fail.
pub(super) fn quorum(cluster: &ClusterReply) -> Vec<Finding> {
    let votes = |node: &&NodeInfo| node.role != NodeRole::Learner;
    let voters = cluster.nodes.iter().filter(votes).count();
    let may_fail = voters.saturating_sub(1) / 2;
    let add = "add a node: jettra cluster token prints how to start it";
    vec![match voters {
        0 | 1 => Finding::warning(
            "quorum",
            "there is one node: what is on its disk is nowhere else",
            format!("{add}; three nodes survive the failure of one"),
        ),
        2 => Finding::warning(
            "quorum",
            "there are two nodes: when one of them fails, the other can write nothing",
            format!("{add}; three nodes survive the failure of one"),
        ),
        even if even % 2 == 0 => Finding::warning(
            "quorum",
            format!("{even} nodes vote: no more of them may fail than of {}: {may_fail}", even - 1),
            add,
        ),
        odd => Finding::ok("quorum", format!("{odd} nodes vote: {may_fail} of them may fail")),
    }]
}

/// Whether a member holds the feature level back.
pub(super) fn features(cluster: &ClusterReply) -> Vec<Finding> {
    let known: Vec<(&str, &ProgramInfo)> = cluster
        .nodes
        .iter()
        .filter_map(|node| Some((node.key.as_str(), node.program.as_ref()?)))
        .collect();
    let levels = || known.iter().map(|(_, program)| program.newest_level);
    let (Some(level), Some(lowest), Some(newest)) =
        (cluster.feature_level(), levels().min(), levels().max())
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if lowest < newest {
        let old = known.iter().filter(|(_, program)| program.newest_level < newest);
        let old: Vec<String> =
            old.map(|(name, program)| format!("{name} ({})", program.version)).collect();
        found.push(Finding::warning(
            "features",
            format!(
                "the feature level is {level}, though there are nodes that support {newest}: {} cannot",
                old.join(", ")
            ),
            "install the newer version on these nodes, one after the other",
        ));
    } else if cluster.max_feature_level.is_some_and(|max| max < newest) {
        found.push(Finding::warning(
            "features",
            format!("the feature level is held at {level}, though all nodes support {newest}"),
            "when all is well with the new version: jettra cluster max-level none",
        ));
    }
    let versions: BTreeSet<&str> =
        known.iter().map(|(_, program)| program.version.as_str()).collect();
    if versions.len() > 1 && found.is_empty() {
        found.push(Finding::warning(
            "features",
            format!("the nodes run different versions: {}", list(versions)),
            "install the newest on all of them: jettra cluster nodes shows which node has which",
        ));
    }
    or_ok(found, "features", || match level < newest {
        true => format!("feature level {level}; it rises to {newest} in a moment"),
        false => format!("feature level {level}, the newest that the nodes support"),
    })
}
