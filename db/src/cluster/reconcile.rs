//! What the reconciler decides: the next safe step from the membership as it is to the members as
//! desired.
//!
//! [`next_step`] is pure and idempotent: it decides on one step by documents, membership and
//! progress. A leader that dies in the middle of any step leaves a state from which the next leader
//! goes on.

use crate::engine::system::{NodeDocument, NodeRole, NodeStatus};
use crate::raft::{GroupStatus, RaftId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Entries a learner may lack when it becomes a voter.
const CAUGHT_UP: u64 = 100;

/// What the decision is based on.
pub struct ClusterState<'a> {
    /// This node, the leader.
    pub me: RaftId,
    /// The members as desired.
    pub documents: &'a [NodeDocument],
    /// Membership and progress as they are.
    pub status: &'a GroupStatus,
    /// How long this node has led.
    pub leading_for: Duration,
    /// Maximum number of voters.
    pub max_voters: usize,
    /// Silence after which a node is inactive.
    pub inactive_after: Duration,
    /// Members whose clocks are wrong.
    pub wrong_clocks: BTreeSet<RaftId>,
    /// The voters that should lead instead of this node, because its own clock is wrong.
    pub better_leaders: BTreeSet<RaftId>,
    /// Nodes that hold replicas of other groups, which must go before they do.
    pub holding: BTreeSet<RaftId>,
}

/// One change that brings the cluster closer to its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Completes a change of the voters that a former leader left unfinished.
    FinishJoint(BTreeSet<RaftId>),
    /// Invites a registered node and lets it receive the log.
    AddLearner(RaftId),
    /// Lets a node vote that has caught up.
    AddVoter(RaftId),
    /// Takes the vote from a node.
    RemoveVoter(RaftId),
    /// Stops sending the log to a node.
    RemoveLearner(RaftId),
    /// Removes the document of a node that is not a member any more.
    Deregister(RaftId),
    /// Transfers leadership to another node, before this one leaves or pauses, or because its clock
    /// is wrong.
    HandOver(RaftId),
    /// Corrects a document.
    Update(RaftId, NodeRole, NodeStatus),
}

/// The next step, or none if everything is as desired.
pub fn next_step(view: &ClusterState<'_>) -> Option<Step> {
    finish_joint(view.status)
        .map(Step::FinishJoint)
        .or_else(|| remove_strangers(view))
        .or_else(|| give_way(view))
        .or_else(|| view.documents.iter().find_map(|node| step_for(view, node)))
}

/// The voters with which an unfinished change of the membership is completed.
pub(super) fn finish_joint(status: &GroupStatus) -> Option<BTreeSet<RaftId>> {
    match status.configs.as_slice() {
        [_, .., last] => Some(last.clone()),
        _ => None,
    }
}

/// Members of the Raft group without a document are left over from a removal.
fn remove_strangers(view: &ClusterState<'_>) -> Option<Step> {
    let known = |id: &RaftId| view.documents.iter().any(|node| node.raft_id == *id);
    if view.documents.is_empty() {
        return None;
    }
    let stranger = *view.status.members.iter().find(|id| !known(id))?;
    Some(removal(view, stranger))
}

fn removal(view: &ClusterState<'_>, id: RaftId) -> Step {
    if view.status.voters().contains(&id) {
        Step::RemoveVoter(id)
    } else if view.status.members.contains(&id) {
        Step::RemoveLearner(id)
    } else {
        Step::Deregister(id)
    }
}

fn step_for(view: &ClusterState<'_>, node: &NodeDocument) -> Option<Step> {
    let id = node.raft_id;
    let mine = id == view.me;
    match node.status {
        NodeStatus::Leaving | NodeStatus::Paused if mine => {
            successor(view).map(Step::HandOver).or_else(|| correct(view, node))
        }
        NodeStatus::Leaving if view.holding.contains(&id) => None,
        NodeStatus::Leaving => Some(removal(view, id)),
        NodeStatus::Joining if !view.status.members.contains(&id) => Some(Step::AddLearner(id)),
        _ if may_vote(view, node) => Some(Step::AddVoter(id)),
        NodeStatus::Joining => {
            let admitted =
                view.status.voters().contains(&id) || (full(view) && caught_up(view.status, id));
            admitted.then(|| Step::Update(id, true_role(view, id), NodeStatus::Active))
        }
        _ => correct(view, node),
    }
}

fn full(view: &ClusterState<'_>) -> bool {
    view.status.voters().len() >= view.max_voters
}

fn may_vote(view: &ClusterState<'_>, node: &NodeDocument) -> bool {
    let id = node.raft_id;
    let learner = view.status.members.contains(&id) && !view.status.voters().contains(&id);
    let wanted = matches!(node.status, NodeStatus::Joining | NodeStatus::Active);
    wanted && learner && !full(view) && caught_up(view.status, id)
}

/// Whether a member has nearly all of the log.
pub(super) fn caught_up(status: &GroupStatus, id: RaftId) -> bool {
    let matched = status.matched.get(&id).copied().unwrap_or(0);
    matched > 0 && matched + CAUGHT_UP >= status.last_log
}

fn true_role(view: &ClusterState<'_>, id: RaftId) -> NodeRole {
    if id == view.me {
        NodeRole::Leader
    } else if view.status.voters().contains(&id) {
        NodeRole::Follower
    } else {
        NodeRole::Learner
    }
}

/// Corrects role and status. Only an active node is found to be silent here; a node that is back
/// announces itself (`cluster/announce.rs`), except this one, which leads.
fn correct(view: &ClusterState<'_>, node: &NodeDocument) -> Option<Step> {
    let id = node.raft_id;
    let role = true_role(view, id);
    let status = match node.status {
        NodeStatus::Inactive if id == view.me => NodeStatus::Active,
        NodeStatus::Active if id != view.me && is_silent(view, id) => NodeStatus::Inactive,
        other => other,
    };
    (role != node.role || status != node.status).then_some(Step::Update(id, role, status))
}

fn is_silent(view: &ClusterState<'_>, id: RaftId) -> bool {
    match view.status.silent.get(&id).copied().flatten() {
        Some(silence) => silence > view.inactive_after,
        None => view.leading_for > view.inactive_after,
    }
}

/// A leader whose clock is wrong makes way for one whose clock is right.
fn give_way(view: &ClusterState<'_>) -> Option<Step> {
    let better = successor(view).filter(|id| view.better_leaders.contains(id));
    better.map(Step::HandOver)
}

/// The voter to transfer leadership to: active, answering, preferably with a right clock, and of
/// those the one with the longest log.
pub(super) fn successor(view: &ClusterState<'_>) -> Option<RaftId> {
    let fit = |node: &&NodeDocument| {
        node.raft_id != view.me
            && node.status == NodeStatus::Active
            && view.status.voters().contains(&node.raft_id)
            && !is_silent(view, node.raft_id)
    };
    let best = |node: &&NodeDocument| {
        let right = !view.wrong_clocks.contains(&node.raft_id);
        (right, view.status.matched.get(&node.raft_id).copied())
    };
    view.documents.iter().filter(fit).max_by_key(best).map(|node| node.raft_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(id: u64, role: NodeRole, status: NodeStatus) -> NodeDocument {
        NodeDocument {
            id: format!("n{id}"),
            raft_id: id,
            url: format!("http://n{id}"),
            role,
            status,
            description: None,
            program: None,
        }
    }

    fn status(voters: &[u64], members: &[u64]) -> GroupStatus {
        GroupStatus {
            role: Some(NodeRole::Leader),
            leader: Some(1),
            configs: vec![voters.iter().copied().collect()],
            members: members.iter().copied().collect(),
            last_log: 1000,
            matched: members.iter().map(|id| (*id, 1000)).collect(),
            silent: members.iter().map(|id| (*id, Some(Duration::ZERO))).collect(),
            ..GroupStatus::default()
        }
    }

    fn step(documents: &[NodeDocument], status: &GroupStatus) -> Option<Step> {
        next_step(&ClusterState {
            me: 1,
            documents,
            status,
            leading_for: Duration::from_secs(60),
            max_voters: 3,
            inactive_after: Duration::from_secs(2),
            wrong_clocks: BTreeSet::new(),
            better_leaders: BTreeSet::new(),
            holding: BTreeSet::new(),
        })
    }

    #[test]
    fn a_leader_with_a_wrong_clock_gives_way_to_a_right_one_only() {
        let nodes = [node(1, Leader, Active), node(5, Follower, Active), node(6, Follower, Active)];
        let mut status = status(&[1, 5, 6], &[1, 5, 6]);
        status.matched.insert(5, 999);
        let step = |wrong: &[u64], better: &[u64]| {
            next_step(&ClusterState {
                me: 1,
                documents: &nodes,
                status: &status,
                leading_for: Duration::from_secs(60),
                max_voters: 3,
                inactive_after: Duration::from_secs(2),
                wrong_clocks: wrong.iter().copied().collect(),
                better_leaders: better.iter().copied().collect(),
                holding: BTreeSet::new(),
            })
        };
        assert_eq!(step(&[1], &[5, 6]), Some(Step::HandOver(6)), "the longer log");
        assert_eq!(step(&[1, 6], &[5]), Some(Step::HandOver(5)), "but not a wrong clock");
        assert_eq!(step(&[1, 5, 6], &[]), None, "there is nobody better");
    }

    use NodeRole::{Follower, Leader, Learner};
    use NodeStatus::{Active, Inactive, Joining, Leaving, Paused};

    #[test]
    fn a_node_joins_step_by_step() {
        let me = node(1, Leader, Active);
        let joining = [me.clone(), node(5, Learner, Joining)];
        assert_eq!(step(&joining, &status(&[1], &[1])), Some(Step::AddLearner(5)));
        let mut behind = status(&[1], &[1, 5]);
        behind.matched.insert(5, 100);
        assert_eq!(step(&joining, &behind), None, "it waits until the learner has caught up");
        assert_eq!(step(&joining, &status(&[1], &[1, 5])), Some(Step::AddVoter(5)));
        let voting = status(&[1, 5], &[1, 5]);
        assert_eq!(step(&joining, &voting), Some(Step::Update(5, Follower, Active)));
        assert_eq!(step(&[me, node(5, Follower, Active)], &voting), None);
    }

    #[test]
    fn a_node_leaves_step_by_step_and_the_leader_hands_over_first() {
        let leaving = [node(1, Leader, Active), node(5, Follower, Leaving)];
        assert_eq!(step(&leaving, &status(&[1, 5], &[1, 5])), Some(Step::RemoveVoter(5)));
        assert_eq!(step(&leaving, &status(&[1], &[1, 5])), Some(Step::RemoveLearner(5)));
        assert_eq!(step(&leaving, &status(&[1], &[1])), Some(Step::Deregister(5)));
        let myself = [node(1, Leader, Leaving), node(5, Follower, Active)];
        assert_eq!(step(&myself, &status(&[1, 5], &[1, 5])), Some(Step::HandOver(5)));
        let paused = [node(1, Leader, Paused), node(5, Follower, Active)];
        assert_eq!(step(&paused, &status(&[1, 5], &[1, 5])), Some(Step::HandOver(5)));
        let alone = [node(1, Leader, Paused), node(5, Follower, Inactive)];
        assert_eq!(step(&alone, &status(&[1, 5], &[1, 5])), None);
    }

    #[test]
    fn what_a_crashed_leader_left_is_finished() {
        let nodes = [node(1, Leader, Active), node(5, Learner, Joining)];
        let mut joint = status(&[1], &[1, 5]);
        joint.configs.push([1, 5].into());
        assert_eq!(step(&nodes, &joint), Some(Step::FinishJoint([1, 5].into())));
        let leftover = status(&[1], &[1, 9]);
        assert_eq!(step(&[node(1, Leader, Active)], &leftover), Some(Step::RemoveLearner(9)));
    }

    #[test]
    fn no_more_voters_than_allowed_and_a_learner_moves_up() {
        let mut nodes: Vec<_> = (1..=3).map(|id| node(id, Follower, Active)).collect();
        nodes[0].role = Leader;
        nodes.push(node(4, Learner, Joining));
        let full = status(&[1, 2, 3], &[1, 2, 3, 4]);
        assert_eq!(step(&nodes, &full), Some(Step::Update(4, Learner, Active)));
        nodes[3].status = Active;
        assert_eq!(step(&nodes, &full), None);
        nodes.remove(2);
        let room = status(&[1, 2], &[1, 2, 4]);
        assert_eq!(step(&nodes, &room), Some(Step::AddVoter(4)));
    }

    #[test]
    fn a_silent_node_becomes_inactive_and_roles_are_corrected() {
        let nodes = [node(1, Follower, Inactive), node(5, Leader, Active)];
        let mut after = status(&[1, 5], &[1, 5]);
        assert_eq!(step(&nodes, &after), Some(Step::Update(1, Leader, Active)));
        let nodes = [node(1, Leader, Active), node(5, Leader, Active)];
        after.silent.insert(5, None);
        assert_eq!(step(&nodes, &after), Some(Step::Update(5, Follower, Inactive)));
    }

    fn any_status() -> impl Strategy<Value = NodeStatus> {
        prop_oneof![Just(Active), Just(Inactive), Just(Joining), Just(Leaving), Just(Paused)]
    }

    proptest! {
        /// Carrying out the decided steps one after the other always terminates, and in between at
        /// least a majority of voters remains.
        #[test]
        fn the_steps_come_to_rest(
            states in proptest::collection::vec((any_status(), any::<bool>(), any::<bool>()), 1..6),
        ) {
            let mut nodes = vec![node(1, Leader, Active)];
            let (mut voters, mut members) = (BTreeSet::from([1]), BTreeSet::from([1]));
            for (at, (state, member, voter)) in states.into_iter().enumerate() {
                let id = at as u64 + 2;
                nodes.push(node(id, Follower, state));
                if member { members.insert(id); }
                if member && voter { voters.insert(id); }
            }
            for _ in 0..100 {
                let group = status(
                    &voters.iter().copied().collect::<Vec<_>>(),
                    &members.iter().copied().collect::<Vec<_>>(),
                );
                let Some(step) = step(&nodes, &group) else { return Ok(()) };
                match step {
                    Step::AddLearner(id) => { members.insert(id); }
                    Step::AddVoter(id) => { prop_assert!(members.contains(&id)); voters.insert(id); }
                    Step::RemoveVoter(id) => { prop_assert_ne!(id, 1); voters.remove(&id); }
                    Step::RemoveLearner(id) => { prop_assert!(!voters.contains(&id)); members.remove(&id); }
                    Step::Deregister(id) => {
                        prop_assert!(!members.contains(&id));
                        nodes.retain(|node| node.raft_id != id);
                    }
                    Step::Update(id, role, state) => for node in &mut nodes {
                        if node.raft_id == id { (node.role, node.status) = (role, state); }
                    },
                    Step::FinishJoint(_) | Step::HandOver(_) => prop_assert!(false, "{step:?}"),
                }
            }
            prop_assert!(false, "the steps do not end: {nodes:?}");
        }
    }
}
