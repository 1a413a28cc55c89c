use super::super::samples::{self, group, node};
use super::*;
use crate::engine::placement::ReplicaDocument;
use proptest::prelude::*;
use std::slice::from_ref;

fn nodes(ids: impl IntoIterator<Item = RaftId>) -> Vec<NodeDocument> {
    ids.into_iter().map(|id| node(id, NodeStatus::Active)).collect()
}

fn decided(groups: &[GroupDocument], nodes: &[NodeDocument], gone: &[RaftId]) -> Option<Decision> {
    let (groups, gone) = (groups.iter().collect::<Vec<_>>(), gone.iter().copied().collect());
    decide(&PlacementState { groups: &groups, nodes, gone: &gone, even_out: true })
}

fn set(number: GroupId, voters: &[RaftId]) -> Option<Decision> {
    let (voters, observers) = (voters.to_vec(), Vec::new());
    Some(Decision::SetNodes { group: number, epoch: 7, voters, observers })
}

#[test]
fn what_is_intended_is_placed_one_after_the_other() {
    let mut new = GroupDocument { replicas: Vec::new(), ..group(3, &[1, 2, 3]) };
    new.state = GroupState::Creating;
    let nodes = nodes(1..=3);
    for node in 1..=3 {
        assert_eq!(decided(&[new.clone()], &nodes, &[]), Some(Decision::Place(3, node)));
        new.replicas.push(ReplicaDocument { id: node, node, state: ReplicaState::Joining });
    }
    assert_eq!(decided(&[new], &nodes, &[]), None);
}

#[test]
fn a_node_that_leaves_or_is_gone_is_replaced_and_one_that_is_silent_is_not() {
    let held = [group(3, &[1, 2, 3])];
    let mut members = nodes(1..=4);
    assert_eq!(decided(&held, &members, &[]), None);
    assert_eq!(decided(&held, &members, &[2]), set(3, &[1, 3, 4]));
    members[1].status = NodeStatus::Inactive;
    assert_eq!(decided(&held, &members, &[]), None);
    members[1].status = NodeStatus::Leaving;
    assert_eq!(decided(&held, &members, &[]), set(3, &[1, 3, 4]));
    // Without another node the group gets smaller, and grows again when one comes.
    assert_eq!(decided(&held, &members[..3], &[]), set(3, &[1, 3]));
    assert_eq!(decided(&[group(3, &[1, 3])], &nodes([1, 3, 5]), &[]), set(3, &[1, 3, 5]));
    let last = [NodeStatus::Leaving].map(|status| node(1, status));
    assert_eq!(decided(&[group(3, &[1])], &last, &[]), None, "it keeps its last voter");
}

#[test]
fn records_of_replicas_that_never_began_or_are_lost_are_removed() {
    let joining = |node| ReplicaDocument { id: node, node, state: ReplicaState::Joining };
    let mut unfounded = GroupDocument { state: GroupState::Creating, ..group(3, &[2]) };
    unfounded.replicas = vec![joining(1)];
    assert_eq!(decided(&[unfounded], &nodes(1..=2), &[]), Some(Decision::Remove(3, 1)));
    let removing = GroupDocument { state: GroupState::Removing, ..group(3, &[1, 2]) };
    assert_eq!(decided(from_ref(&removing), &nodes(1..=2), &[]), None, "their nodes close them");
    assert_eq!(decided(from_ref(&removing), &nodes(1..=2), &[2]), Some(Decision::Remove(3, 2)));
    assert_eq!(decided(&[removing], &nodes(1..=1), &[]), Some(Decision::Remove(3, 2)));
}

#[test]
fn a_replica_moves_when_a_node_holds_two_more_than_another_and_nothing_else_moves() {
    let groups = [group(3, &[1, 2, 3]), group(4, &[1, 2, 3])];
    let members = nodes(1..=4);
    let Some(Decision::SetNodes { voters, .. }) = decided(&groups, &members, &[]) else {
        panic!("nothing moves to the new node");
    };
    assert!(voters.contains(&4) && voters.len() == 3);
    let mut moving = groups.clone();
    moving[0].replicas[0].state = ReplicaState::Joining;
    assert_eq!(decided(&moving, &members, &[]), None);
    assert_eq!(decided(&groups[..1], &members, &[]), None, "the difference is 1");
}

/// Carries decisions out until there are none; returns how many replicas were placed.
fn settle(groups: &mut [GroupDocument], nodes: &[NodeDocument]) -> usize {
    let mut placed = 0;
    for _ in 0..1000 {
        let Some(decision) = decided(groups, nodes, &[]) else { return placed };
        match decision {
            Decision::SetNodes { group, epoch: _, voters, observers } => {
                let group = groups.iter_mut().find(|known| known.group == group).unwrap();
                group.replicas.retain(|replica| voters.contains(&replica.node));
                (group.voters, group.observers) = (voters, observers);
            }
            Decision::Place(number, node) => {
                let group = groups.iter_mut().find(|known| known.group == number).unwrap();
                group.replicas.push(ReplicaDocument {
                    id: node,
                    node,
                    state: ReplicaState::Active,
                });
                group.state = GroupState::Active;
                placed += 1;
            }
            Decision::Remove(..) => panic!("nothing is lost"),
        }
    }
    panic!("the decisions do not end: {groups:?}");
}

fn spread(groups: &[GroupDocument], nodes: &[NodeDocument]) -> (usize, usize) {
    let loads = loads(&groups.iter().collect::<Vec<_>>());
    let all = nodes.iter().map(|node| loads.get(&node.raft_id).copied().unwrap_or(0));
    (all.clone().min().unwrap(), all.max().unwrap())
}

fn zoned(raft_id: RaftId, zone: u64) -> NodeDocument {
    samples::zoned(raft_id, NodeStatus::Active, &format!("z{zone}"))
}

#[test]
fn replicas_of_a_group_are_in_different_zones() {
    let members = [zoned(1, 1), zoned(2, 1), zoned(3, 2), zoned(4, 3), zoned(5, 3)];
    let crowded = group(3, &[1, 2, 3]);
    let Some(Decision::SetNodes { voters, .. }) = decided(from_ref(&crowded), &members, &[]) else {
        panic!("it stays in two zones");
    };
    assert_eq!(voters, [4, 2, 3], "from the first of the zone to the first of the empty one");
    assert_eq!(decided(&[group(3, &[1, 3, 4])], &members, &[]), None);
    assert_eq!(decided(&[crowded], &members[..3], &[]), None, "there are two zones only");
    let busy = [group(3, &[1, 3, 5]), group(4, &[1, 3, 5]), group(5, &[1, 3, 5])];
    let Some(Decision::SetNodes { voters, .. }) = decided(&busy, &members, &[]) else {
        panic!("two nodes have nothing to do");
    };
    assert!(voters == [2, 3, 5] || voters == [1, 3, 4], "it stays in its zone: {voters:?}");
}

proptest! {
    /// Without zones, and where the replication factor is at most the number of nodes, the numbers
    /// of replicas differ by one at most; when a node comes or goes, at most one replica more moves
    /// than must.
    #[test]
    fn replicas_are_spread_evenly_and_few_of_them_move(
        count in 3_u64..8,
        number in 1_u32..9,
        leaves in any::<bool>(),
        which in any::<prop::sample::Index>(),
    ) {
        let members = nodes(1..=count);
        let mut groups = Vec::new();
        for number in 1..=number {
            // As they are created: one after the other.
            let all: Vec<_> = groups.iter().collect();
            let voters = Sites::new(&members, &BTreeSet::new(), &all).choose(number, 3, &[]);
            groups.push(GroupDocument {
                replicas: Vec::new(),
                voters,
                ..group(number, &[])
            });
            settle(&mut groups, &members);
        }
        let (least, most) = spread(&groups, &members);
        prop_assert!(most - least <= 1, "{least} to {most}");

        let mut changed = members.clone();
        let must = match leaves && count > 3 {
            true => {
                let gone = changed.remove(which.index(changed.len())).raft_id;
                groups.iter().filter(|group| group.wants(gone)).count()
            }
            false => {
                changed.push(node(count + 1, NodeStatus::Active));
                groups.len() * 3 / changed.len()
            }
        };
        let moved = settle(&mut groups, &changed);
        let (least, most) = spread(&groups, &changed);
        prop_assert!(most - least <= 1, "{least} to {most}");
        prop_assert!(moved <= must + 1, "{moved} moved, {must} must");
    }

    /// Whatever the zones are, the moves end, and the replicas of a group are in as many zones as can be.
    #[test]
    fn groups_are_spread_over_zones(
        zones in proptest::collection::vec(0_u64..4, 3..9),
        number in 1_u32..7,
    ) {
        let members: Vec<_> = (1..).zip(&zones).map(|(id, zone)| zoned(id, *zone)).collect();
        let mut groups: Vec<_> = (1..=number).map(|number| group(number, &[1, 2, 3])).collect();
        settle(&mut groups, &members);
        let distinct: BTreeSet<_> = zones.iter().collect();
        for group in &groups {
            let zone = |node: &RaftId| zones[*node as usize - 1];
            let over: BTreeSet<_> = group.voters.iter().map(zone).collect();
            prop_assert_eq!(over.len(), distinct.len().min(3), "{:?} of {:?}", group.voters, zones);
        }
    }
}
