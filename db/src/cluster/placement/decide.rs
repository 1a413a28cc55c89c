//! What the leader of the system group decides: which nodes are to hold the replicas of each group.
//!
//! [`decide`] is pure. A decision is stored and stands until something makes it impossible (a node that
//! leaves, or is gone for long), two replicas of a group are in one zone although another zone has none, or
//! a node holds two replicas more than another: so few replicas move. Among the nodes with the fewest replicas the one is taken that comes first by rendezvous hashing
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
fn loads(groups: &[&GroupDocument]) -> BTreeMap<RaftId, usize> {
    let mut loads = BTreeMap::new();
    for group in groups.iter().filter(|group| group.state != GroupState::Removing) {
        for node in group.nodes() {
            *loads.entry(node).or_default() += 1;
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

/// The nodes that may hold replicas, and what decides among them.
pub struct Sites<'a> {
    /// Their Raft ids. One that is silent for a while keeps what it has.
    pub usable: Vec<RaftId>,
    zones: BTreeMap<RaftId, &'a str>,
    loads: BTreeMap<RaftId, usize>,
}

impl<'a> Sites<'a> {
    /// Those among the members of the cluster, of which some are gone, with the replicas of these groups.
    pub fn new(
        nodes: &'a [NodeDocument],
        gone: &BTreeSet<RaftId>,
        groups: &[&GroupDocument],
    ) -> Self {
        let fit = |node: &&NodeDocument| {
            let status = node.status;
            matches!(status, NodeStatus::Active | NodeStatus::Inactive | NodeStatus::Paused)
                && !gone.contains(&node.raft_id)
        };
        let zone = |node: &'a NodeDocument| Some((node.raft_id, zone_of(node)?));
        Sites {
            usable: nodes.iter().filter(fit).map(|node| node.raft_id).collect(),
            zones: nodes.iter().filter_map(zone).collect(),
            loads: loads(groups),
        }
    }

    /// How many replicas a node is to hold.
    pub fn load(&self, node: RaftId) -> usize {
        self.loads.get(&node).copied().unwrap_or(0)
    }

    /// How many of these nodes are in the zone of a node, but for the node itself; none if it is in no zone.
    pub fn neighbours(&self, node: RaftId, among: &[RaftId]) -> usize {
        let Some(zone) = self.zones.get(&node) else { return 0 };
        let near = |other: &&RaftId| **other != node && self.zones.get(other) == Some(zone);
        among.iter().filter(near).count()
    }

    /// The nodes for `count` more replicas of a group, as far as there are any: those in zones with
    /// the fewest replicas of the group first, then those with the fewest replicas of all groups.
    pub fn choose(&self, group: GroupId, count: usize, taken: &[RaftId]) -> Vec<RaftId> {
        let mut holding = taken.to_vec();
        for _ in 0..count {
            let free = self.usable.iter().filter(|node| !holding.contains(node));
            let Some(next) = free.min_by_key(|node| self.order(group, **node, &holding)) else {
                break;
            };
            holding.push(*next);
        }
        holding.split_off(taken.len())
    }

    /// Where a node stands among those for one more replica of a group, beside these nodes: the
    /// smallest comes first.
    pub fn order(&self, group: GroupId, node: RaftId, holding: &[RaftId]) -> impl Ord + use<> {
        (self.neighbours(node, holding), self.load(node), rank(group, node), node)
    }

    /// How a group stands with one replica on another node: the number of pairs of nodes of one zone
    /// that are gained, and that are lost.
    fn exchanged(&self, group: &GroupDocument, from: RaftId, to: RaftId) -> (usize, usize) {
        let nodes = group.nodes();
        let rest: Vec<RaftId> = nodes.filter(|node| *node != from).collect();
        (self.neighbours(to, &rest), self.neighbours(from, &rest))
    }
}

/// The zone of a node, if it is in one.
pub fn zone_of(node: &NodeDocument) -> Option<&str> {
    node.program.as_ref()?.zone.as_deref()
}

/// The next decision, or none if all is decided.
pub fn decide(state: &PlacementState<'_>) -> Option<Decision> {
    let sites = Sites::new(state.nodes, state.gone, state.groups);
    let each = |next: &dyn Fn(&GroupDocument) -> Option<Decision>| {
        state.groups.iter().find_map(|group| next(group))
    };
    each(&|group| forget(state, group))
        .or_else(|| each(&|group| replace(group, &sites)))
        .or_else(|| each(&place))
        .or_else(|| even_out(state, &sites))
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
fn replace(group: &GroupDocument, sites: &Sites<'_>) -> Option<Decision> {
    if group.state == GroupState::Removing {
        return None;
    }
    let keep = |nodes: &[RaftId]| -> Vec<RaftId> {
        nodes.iter().filter(|node| sites.usable.contains(node)).copied().collect()
    };
    let (mut voters, observers) = (keep(&group.voters), keep(&group.observers));
    let missing = (group.replication_factor as usize).saturating_sub(voters.len());
    let taken = [voters.as_slice(), &observers].concat();
    voters.extend(sites.choose(group.group, missing, &taken));
    if voters.is_empty() || (&voters, &observers) == (&group.voters, &group.observers) {
        return None;
    }
    Some(Decision::SetNodes { group: group.group, epoch: group.epoch, voters, observers })
}

fn place(group: &GroupDocument) -> Option<Decision> {
    if group.state == GroupState::Removing {
        return None;
    }
    let missing = group.nodes().find(|node| group.on(*node).is_none())?;
    Some(Decision::Place(group.group, missing))
}

/// Whether the replicas of a group are on the nodes that are to hold them, and nowhere else.
pub fn is_settled(group: &GroupDocument) -> bool {
    let wanted = group.nodes().count();
    let active = |replica: &&crate::engine::placement::ReplicaDocument| {
        replica.state == ReplicaState::Active && group.wants(replica.node)
    };
    group.state == GroupState::Active
        && group.replicas.len() == wanted
        && group.replicas.iter().filter(active).count() == wanted
}

/// Moves one voter, while no other replica moves: out of a zone with two more replicas of its group than
/// another one has, else from the node with the most replicas to the one with the fewest.
fn even_out(state: &PlacementState<'_>, sites: &Sites<'_>) -> Option<Decision> {
    if !state.even_out || !state.groups.iter().all(|group| is_settled(group)) {
        return None;
    }
    let active = |node: &RaftId| {
        let known = state.nodes.iter().find(|known| known.raft_id == *node);
        known.is_some_and(|node| node.status == NodeStatus::Active)
    };
    let mut to: Vec<RaftId> = sites.usable.iter().copied().filter(active).collect();
    to.sort_by_key(|node| (sites.load(*node), *node));
    let mut from = sites.usable.clone();
    from.sort_by_key(|node| (Reverse(sites.load(*node)), *node));
    let pairs = || from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
    let movable = |(from, to): (RaftId, RaftId), fits: &dyn Fn(usize, usize) -> bool| {
        let groups = state.groups.iter().filter(|group| {
            let (gained, lost) = sites.exchanged(group, from, to);
            group.voters.contains(&from) && !group.wants(to) && fits(gained, lost)
        });
        let group = groups.min_by_key(|group| rank(group.group, to))?;
        let voters = group.voters.iter().map(|node| if *node == from { to } else { *node });
        let (voters, observers) = (voters.collect(), group.observers.clone());
        Some(Decision::SetNodes { group: group.group, epoch: group.epoch, voters, observers })
    };
    let uneven = |(from, to): &(RaftId, RaftId)| sites.load(*from) > sites.load(*to) + 1;
    // Neither brings back what the other one mends.
    pairs().find_map(|pair| movable(pair, &|gained, lost| gained < lost)).or_else(|| {
        pairs().filter(uneven).find_map(|pair| movable(pair, &|gained, lost| gained <= lost))
    })
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
