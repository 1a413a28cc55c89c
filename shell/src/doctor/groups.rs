//! Whether every group serves, with as many replicas as it is to have, and whether these keep up.

use super::{Examined, Finding, list, or_ok};
use jettra_driver::wire::{Diagnostics, GroupReply, GroupState, ReplicaInfo, ReplicaState};

/// Log entries from which on a replica is looked at twice.
const LAG_MANY: u64 = 1000;

fn name(group: &GroupReply) -> String {
    match group.id {
        0 => "the system group".to_owned(),
        id => format!("group {id}"),
    }
}

/// Whether every group has a leader that a majority answers.
pub(super) fn leaders(found: &Diagnostics) -> Vec<Finding> {
    let wrong = found.replication.iter().filter_map(leader).collect();
    let groups = found.replication.len();
    or_ok(wrong, "groups", || {
        let master = found.topology.master_node.as_deref().unwrap_or("no node");
        format!(
            "groups with a leader and a quorum: {groups} of {groups}; {master} leads the system group, and every \
             node takes writes"
        )
    })
}

fn leader(group: &GroupReply) -> Option<Finding> {
    let name = name(group);
    let wanted = list(group.members.iter().map(String::as_str));
    let majority = group.members.len() / 2 + 1;
    let start = format!(
        "{majority} of its nodes must run and reach each other: {wanted}; start those that do not answer"
    );
    match (group.state, &group.leader) {
        (GroupState::Creating, _) => Some(Finding::warning(
            "groups",
            format!("{name} is being created: not all of its voters are in"),
            format!("jettra group show {}", group.id),
        )),
        (GroupState::Removing, _) => Some(Finding::warning(
            "groups",
            format!("{name} is being removed: not all of its replicas are closed"),
            format!("the nodes of it must run ({wanted}); jettra group show {}", group.id),
        )),
        (GroupState::Active, _) if group.ready => None,
        (GroupState::Active, None) => Some(Finding::error(
            "groups",
            format!("{name} has no leader: it takes no writes"),
            start,
        )),
        (GroupState::Active, Some(leader)) => {
            let message = format!("{name} has no quorum: its leader {leader} hears too few voters");
            Some(Finding::error("groups", message, start))
        }
    }
}

/// Replicas that lag far behind, as group and node.
pub(crate) fn lags(groups: &[GroupReply]) -> Vec<(u64, String)> {
    let far = |replica: &&ReplicaInfo| replica.lag.is_some_and(|lag| lag > LAG_MANY);
    let of = |group: &GroupReply| {
        let far: Vec<_> = group.replicas.iter().filter(far).map(|r| r.node.clone()).collect();
        far.into_iter().map(|node| (group.id, node)).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of).collect()
}

fn lag(groups: &[GroupReply], group: u64, node: &str) -> Option<u64> {
    let group = groups.iter().find(|candidate| candidate.id == group)?;
    group.replicas.iter().find(|replica| replica.node == node)?.lag
}

/// Whether the replicas keep up with their leaders.
pub(super) fn replicas(seen: &Examined, found: &Diagnostics) -> Vec<Finding> {
    let groups = &found.replication;
    let mut wrong = Vec::new();
    for (group, node) in lags(groups) {
        let before = lag(groups, group, &node).unwrap_or_default();
        let now = seen.later.as_ref().and_then(|later| lag(later, group, &node));
        wrong.push(match now {
            Some(now) if now < before => Finding::warning(
                "replicas",
                format!("the replica of group {group} on {node} catches up: it lacks {now} entries"),
                "look again in a while",
            ),
            _ => Finding::error(
                "replicas",
                format!(
                    "the replica of group {group} on {node} does not catch up: it lacks {before} entries"
                ),
                format!(
                    "is its disk or its network too slow? jettra node-health --node-id {node}; jettra group \
                     show {group}"
                ),
            ),
        });
    }
    let joining = groups.iter().flat_map(|group| {
        let joins = |replica: &&ReplicaInfo| replica.state == Some(ReplicaState::Joining);
        let copy = |replica: &ReplicaInfo| {
            let left = replica.bytes_left.map(|left| format!(", {left} bytes to go"));
            Finding::warning(
                "replicas",
                format!(
                    "{} is copied to {}{}",
                    name(group),
                    replica.node,
                    left.unwrap_or_default()
                ),
                "MoveMbPerSecond limits how fast; jettra task list shows how far it is",
            )
        };
        group.replicas.iter().filter(joins).map(copy).collect::<Vec<_>>()
    });
    wrong.extend(joining);
    let count: usize = groups.iter().map(|group| group.replicas.len()).sum();
    or_ok(wrong, "replicas", || format!("replicas that keep up: {count} of {count}"))
}

/// Whether the groups have the replicas that they are to have, where they are to be.
pub(super) fn placement(found: &Diagnostics) -> Vec<Finding> {
    let wrong: Vec<Finding> = found.replication.iter().flat_map(misplaced).collect();
    or_ok(wrong, "placement", || "every group has its replicas, and none of them moves".to_owned())
}

fn misplaced(group: &GroupReply) -> Vec<Finding> {
    let mut found = Vec::new();
    if group.state != GroupState::Active {
        return found;
    }
    let (name, wanted) = (name(group), group.members.len());
    // The system group is on every node, however many there are.
    let factor = usize::try_from(group.replication_factor).unwrap_or(usize::MAX);
    if group.id != 0 && wanted < factor {
        found.push(Finding::warning(
            "placement",
            format!("{name} is under-replicated: it is to have {factor} voters, and there are nodes for {wanted}"),
            "add a node: jettra cluster token prints how to start it",
        ));
    }
    let silent =
        |replica: &&ReplicaInfo| replica.wanted && replica.voter && replica.silent_ms.is_some();
    let silent: Vec<&str> =
        group.replicas.iter().filter(silent).map(|replica| replica.node.as_str()).collect();
    if !silent.is_empty() {
        found.push(Finding::warning(
            "placement",
            format!(
                "{name} is under-replicated: {} of {wanted} voters answer, not {}",
                wanted.saturating_sub(silent.len()),
                list(silent)
            ),
            "start these nodes again, or remove them; groups move to other nodes after ReplaceAfterMs",
        ));
    }
    if let Some(waits) = &group.waits_for {
        let shard = group.id;
        found.push(Finding::warning(
            "placement",
            format!("a replica of {name} moves, and waits for {waits}"),
            format!(
                "jettra shard-status --shard-id shard-{shard:02}; jettra shard explain {shard}; jettra task list"
            ),
        ));
    }
    found
}
