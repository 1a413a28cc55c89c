//! What the leader of the system group decides: which nodes are to hold the replicas of each group.
//!
//! [`decide`] is pure. A decision is stored and stands until something makes it impossible (a node that
//! leaves, or is gone for long) or a node holds two replicas more than another: so few replicas move.
//! Among the nodes with the fewest replicas the one is taken that comes first by rendezvous hashing
//! (Thaler and Ravishankar, 1998) of group and node, so that the replicas of different groups meet on
//! different nodes.

use crate::engine::placement::{GroupDocument, GroupState, ReplicaState};
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::raft::{GroupId, RaftId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// What the decision is based on.
pub struct PlacementState<'a> {
    /// The groups.
    pub groups: &'a [&'a GroupDocument],
    /// The members of the cluster.
    pub nodes: &'a [NodeDocument],
    /// Members that are gone for so long that others take their replicas.
    pub gone: &'a BTreeSet<RaftId>,
    /// Whether replicas move to even out the numbers on the nodes.
    pub even_out: bool,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Changes the nodes that are to hold replicas of a group.
    SetNodes {
        /// The group.
        group: GroupId,
        /// The last change of what is intended, which this one is based on.
        epoch: u64,
        /// Nodes that are to hold a voter.
        voters: Vec<RaftId>,
        /// Nodes that are to hold a replica without a vote.
        observers: Vec<RaftId>,
    },
    /// Places a replica on a node that is to hold one.
    Place(GroupId, RaftId),
    /// Removes the record of a replica that has never voted, or whose node is gone while its group is
    /// being removed.
    Remove(GroupId, RaftId),
}

/// The number of replicas that each node is to hold.
pub fn loads(groups: &[&GroupDocument]) -> BTreeMap<RaftId, usize> {
    let mut loads = BTreeMap::new();
    for group in groups.iter().filter(|group| group.state != GroupState::Removing) {
        for node in group.voters.iter().chain(&group.observers) {
            *loads.entry(*node).or_default() += 1;
        }
    }
    loads
}

/// Where a node stands in the order of a group: the smallest comes first.
fn rank(group: GroupId, node: RaftId) -> u64 {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&node.to_be_bytes());
    xxh3_64(&key)
}

/// The nodes for `count` more replicas of a group, as far as there are any.
pub fn choose(
    group: GroupId,
    count: usize,
    usable: &[RaftId],
    taken: &[RaftId],
    loads: &BTreeMap<RaftId, usize>,
) -> Vec<RaftId> {
    let load = |node: &RaftId| loads.get(node).copied().unwrap_or(0);
    let mut free: Vec<RaftId> =
        usable.iter().filter(|node| !taken.contains(node)).copied().collect();
    free.sort_by_key(|node| (load(node), rank(group, *node), *node));
    free.truncate(count);
    free
}

/// The nodes that may hold replicas. One that is silent for a while keeps what it has.
pub fn usable(nodes: &[NodeDocument], gone: &BTreeSet<RaftId>) -> Vec<RaftId> {
    let fit = |node: &&NodeDocument| {
        let status =
            matches!(node.status, NodeStatus::Active | NodeStatus::Inactive | NodeStatus::Paused);
        status && !gone.contains(&node.raft_id)
    };
    nodes.iter().filter(fit).map(|node| node.raft_id).collect()
}

/// The next decision, or none if all is decided.
pub fn decide(state: &PlacementState<'_>) -> Option<Decision> {
    let usable = usable(state.nodes, state.gone);
    let each = |next: &dyn Fn(&GroupDocument) -> Option<Decision>| {
        state.groups.iter().find_map(|group| next(group))
    };
    each(&|group| forget(state, group))
        .or_else(|| each(&|group| replace(state, group, &usable)))
        .or_else(|| each(&place))
        .or_else(|| even_out(state, &usable))
}

/// Replicas whose records nobody else can remove.
fn forget(state: &PlacementState<'_>, group: &GroupDocument) -> Option<Decision> {
    let member = |node: RaftId| state.nodes.iter().any(|known| known.raft_id == node);
    let founded = group.replicas.iter().any(|replica| replica.state == ReplicaState::Active);
    let lost = |node| !member(node) || state.gone.contains(&node);
    let found = group.replicas.iter().find(|replica| match group.state {
        GroupState::Removing => lost(replica.node),
        _ => !founded && !group.wants(replica.node),
    })?;
    Some(Decision::Remove(group.group, found.id))
}

/// Takes nodes that cannot hold replicas any more out, and adds others as far as there are any. A
/// group keeps at least one voter.
fn replace(
    state: &PlacementState<'_>,
    group: &GroupDocument,
    usable: &[RaftId],
) -> Option<Decision> {
    if group.state == GroupState::Removing {
        return None;
    }
    let keep = |nodes: &[RaftId]| -> Vec<RaftId> {
        nodes.iter().filter(|node| usable.contains(node)).copied().collect()
    };
    let (mut voters, observers) = (keep(&group.voters), keep(&group.observers));
    let missing = (group.replication_factor as usize).saturating_sub(voters.len());
    let taken = [voters.as_slice(), &observers].concat();
    voters.extend(choose(group.group, missing, usable, &taken, &loads(state.groups)));
    if voters.is_empty() || (&voters, &observers) == (&group.voters, &group.observers) {
        return None;
    }
    Some(Decision::SetNodes { group: group.group, epoch: group.epoch, voters, observers })
}

fn place(group: &GroupDocument) -> Option<Decision> {
    if group.state == GroupState::Removing {
        return None;
    }
    let mut wanted = group.voters.iter().chain(&group.observers);
    let missing = wanted.find(|node| group.on(**node).is_none())?;
    Some(Decision::Place(group.group, *missing))
}

/// Whether the replicas of a group are on the nodes that are to hold them, and nowhere else.
pub fn is_settled(group: &GroupDocument) -> bool {
    let wanted = group.voters.len() + group.observers.len();
    let active = |replica: &&crate::engine::placement::ReplicaDocument| {
        replica.state == ReplicaState::Active && group.wants(replica.node)
    };
    group.state == GroupState::Active
        && group.replicas.len() == wanted
        && group.replicas.iter().filter(active).count() == wanted
}

/// Moves one voter from the node with the most replicas to the one with the fewest, while no other
/// replica moves.
fn even_out(state: &PlacementState<'_>, usable: &[RaftId]) -> Option<Decision> {
    if !state.even_out || !state.groups.iter().all(|group| is_settled(group)) {
        return None;
    }
    let active = |node: &&RaftId| {
        let known = state.nodes.iter().find(|known| known.raft_id == **node);
        known.is_some_and(|node| node.status == NodeStatus::Active)
    };
    let loads = loads(state.groups);
    let load = |node: RaftId| loads.get(&node).copied().unwrap_or(0);
    let to = *usable.iter().filter(active).min_by_key(|node| (load(**node), **node))?;
    let mut from: Vec<RaftId> = usable.to_vec();
    from.sort_by_key(|node| (Reverse(load(*node)), *node));
    for from in from.into_iter().filter(|from| load(*from) > load(to) + 1) {
        let movable = |group: &&&GroupDocument| group.voters.contains(&from) && !group.wants(to);
        let movable = state.groups.iter().filter(movable);
        if let Some(group) = movable.min_by_key(|group| rank(group.group, to)) {
            let voters = group.voters.iter().map(|node| if *node == from { to } else { *node });
            let (voters, observers) = (voters.collect(), group.observers.clone());
            return Some(Decision::SetNodes {
                group: group.group,
                epoch: group.epoch,
                voters,
                observers,
            });
        }
    }
    None
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
