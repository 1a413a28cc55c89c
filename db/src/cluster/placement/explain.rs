//! Why the replicas of a group are on the nodes where they are: what
//! [`decide`](super::decide) sees of each node. Pure.

use super::decide::{Sites, zone_of};
use crate::engine::placement::GroupDocument;
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::raft::RaftId;
use std::collections::BTreeSet;

/// What a node is for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReason {
    /// Its Raft id.
    pub node: RaftId,
    /// Whether it is to hold a replica.
    pub holds: bool,
    /// The zone that it is in.
    pub zone: Option<String>,
    /// Replicas of other groups that it is to hold.
    pub others: usize,
    /// Its place in the order in which nodes would be taken now; none if it can hold no replica.
    pub order: Option<usize>,
    /// Why it is to hold a replica, or none.
    pub reason: String,
}

/// Explains the placement of a group among the members of the cluster, in the order in which nodes would be
/// taken for its replicas now.
pub fn explain(
    group: &GroupDocument,
    groups: &[&GroupDocument],
    nodes: &[NodeDocument],
) -> Vec<NodeReason> {
    let others: Vec<_> =
        groups.iter().filter(|other| other.group != group.group).copied().collect();
    let sites = Sites::new(nodes, &BTreeSet::new(), &others);
    let order = sites.choose(group.group, nodes.len(), &[]);
    let count = group.replication_factor as usize + group.observers.len();
    let held: Vec<RaftId> = group.nodes().collect();
    let mut reasons: Vec<_> = nodes
        .iter()
        .map(|node| {
            let id = node.raft_id;
            let at = order.iter().position(|other| *other == id);
            let near = sites.neighbours(id, &held);
            let reason = match (at, group.wants(id)) {
                (None, _) => cannot_hold(node),
                (Some(_), true) if group.observers.contains(&id) => "it was named as an observer".into(),
                (Some(at), true) if at < count => "it would be chosen again".into(),
                (Some(_), true) => {
                    "it was chosen before; another node would be now, but a replica does not move for that \
                     until the numbers on two nodes differ by two".into()
                }
                (Some(_), false) if near > 0 => format!("{near} of its replicas are in the same zone"),
                (Some(at), false) if at >= count => {
                    "enough nodes come first: in fewer zones with a replica, with fewer replicas, or in the \
                     order of this group".into()
                }
                (Some(_), false) => "others were chosen before, or named".into(),
            };
            NodeReason {
                node: id,
                holds: group.wants(id),
                zone: zone_of(node).map(str::to_owned),
                others: sites.load(id),
                order: at.map(|at| at + 1),
                reason,
            }
        })
        .collect();
    reasons.sort_by_key(|reason| (reason.order.is_none(), reason.order, reason.node));
    reasons
}

fn cannot_hold(node: &NodeDocument) -> String {
    match node.status {
        NodeStatus::Leaving => "it is leaving the cluster".into(),
        _ => "it is not a full member yet".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, zoned};
    use super::*;

    #[test]
    fn each_node_gets_a_reason() {
        let nodes = [
            zoned(1, NodeStatus::Active, "a"),
            zoned(2, NodeStatus::Active, "a"),
            zoned(3, NodeStatus::Active, "b"),
            zoned(4, NodeStatus::Leaving, "c"),
        ];
        let group = GroupDocument { replication_factor: 2, ..samples::group(3, &[1, 3]) };
        let other = GroupDocument { group: 4, voters: vec![2], ..group.clone() };
        let reasons = explain(&group, &[&group, &other], &nodes);
        let of = |node| reasons.iter().find(|reason| reason.node == node).unwrap();
        assert!([1, 3].iter().all(|id| of(*id).holds && of(*id).reason.contains("chosen again")));
        assert_eq!((of(2).others, of(2).order), (1, Some(3)));
        assert_eq!(of(2).reason, "1 of its replicas are in the same zone");
        assert_eq!((of(4).order, of(4).reason.as_str()), (None, "it is leaving the cluster"));
        assert_eq!(reasons[3].node, 4, "it comes last");
    }
}
