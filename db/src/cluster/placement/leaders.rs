//! Which node is to lead which group, so that each node leads about as many as any other. Pure, and the
//! same on every node: each leader sees by itself whether it is to hand over.

use crate::engine::placement::{GroupDocument, GroupState};
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::raft::{GroupId, RaftId};
use std::collections::BTreeMap;

/// The node that is to lead each group: the one that its document names, else the voter that is to lead
/// the fewest of the groups before it. The leader of the system group counts as leading one.
pub fn preferred<'g>(
    groups: impl Iterator<Item = &'g GroupDocument>,
    nodes: &[NodeDocument],
    system_leader: Option<RaftId>,
) -> BTreeMap<GroupId, RaftId> {
    let serves = |id: &RaftId| {
        let known = nodes.iter().find(|node| node.raft_id == *id);
        known.is_some_and(|node| node.status == NodeStatus::Active)
    };
    let mut led: BTreeMap<RaftId, usize> =
        system_leader.into_iter().map(|node| (node, 1)).collect();
    let mut preferred = BTreeMap::new();
    for group in groups.filter(|group| group.state == GroupState::Active) {
        let pinned = group.leader.filter(serves);
        let fewest = || {
            let voters = group.voters.iter().copied().filter(serves);
            voters.min_by_key(|node| (led.get(node).copied().unwrap_or(0), *node))
        };
        if let Some(node) = pinned.or_else(fewest) {
            *led.entry(node).or_default() += 1;
            preferred.insert(group.group, node);
        }
    }
    preferred
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, node};
    use super::*;

    fn group(number: GroupId, leader: Option<RaftId>) -> GroupDocument {
        GroupDocument { leader, ..samples::group(number, &[1, 2, 3]) }
    }

    #[test]
    fn each_node_leads_about_as_many_as_any_other() {
        let nodes: Vec<_> = (1..=3).map(|id| node(id, NodeStatus::Active)).collect();
        let groups: Vec<_> = (1..=8).map(|number| group(number, None)).collect();
        let led = preferred(groups.iter(), &nodes, Some(2));
        let count = |id| led.values().filter(|node| **node == id).count();
        assert_eq!((count(1), count(2), count(3)), (3, 2, 3), "2 leads the system group");
    }

    #[test]
    fn a_pinned_leader_leads_as_long_as_it_serves() {
        let mut nodes: Vec<_> = (1..=3).map(|id| node(id, NodeStatus::Active)).collect();
        let groups = [group(1, Some(3)), group(2, None)];
        let led = preferred(groups.iter(), &nodes, None);
        assert_eq!((led[&1], led[&2]), (3, 1));
        nodes[2].status = NodeStatus::Paused;
        let led = preferred(groups.iter(), &nodes, None);
        assert_eq!((led[&1], led[&2]), (1, 2));
    }
}
