//! What the leader of a group does to bring its membership into line with its document.
//!
//! [`next_step`] is pure and idempotent, like that of the system group ([`reconcile`](super::super::reconcile)).
//! A replica that is to go keeps its vote until all that are to stay have theirs.

use super::super::reconcile::{caught_up, finish_joint};
use crate::engine::placement::{
    GroupDocument, GroupState, MoveStrategy, ReplicaDocument, ReplicaState,
};
use crate::raft::{GroupStatus, RaftId};
use std::collections::BTreeSet;

/// What the decision is based on.
pub struct GroupView<'a> {
    /// The replica of this node, which leads.
    pub me: RaftId,
    /// What is intended, and the replicas that there are.
    pub document: &'a GroupDocument,
    /// Membership and progress as they are.
    pub status: &'a GroupStatus,
    /// Replicas on nodes that serve: those that leadership may go to.
    pub serving: BTreeSet<RaftId>,
    /// The replica that is to lead instead of this one.
    pub preferred: Option<RaftId>,
    /// Replicas at which a copy of the state has arrived.
    pub copied: BTreeSet<RaftId>,
    /// Members that have caught up in a short round.
    pub short_rounds: BTreeSet<RaftId>,
}

/// One change that brings the group closer to its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Completes a change of the voters that a former leader left unfinished.
    FinishJoint(BTreeSet<RaftId>),
    /// Sends a replica a copy of the state, before it receives the log.
    SendState(RaftId),
    /// Lets a replica receive the log.
    AddLearner(RaftId),
    /// Records that a replica may vote from now on.
    Activate(RaftId),
    /// Lets a replica vote.
    AddVoter(RaftId),
    /// Takes the vote from a replica.
    RemoveVoter(RaftId),
    /// Stops sending the log to a replica.
    RemoveLearner(RaftId),
    /// Removes the record of a replica that is not a member any more.
    RemoveReplica(RaftId),
    /// Transfers leadership.
    HandOver(RaftId),
    /// Records that all voters are in.
    ActivateGroup,
}

/// The next step, or none if everything is as intended.
pub fn next_step(view: &GroupView<'_>) -> Option<Step> {
    if view.document.state == GroupState::Removing {
        return None;
    }
    finish_joint(view.status)
        .map(Step::FinishJoint)
        .or_else(|| remove_strangers(view))
        .or_else(|| view.document.replicas.iter().find_map(|replica| admit(view, replica)))
        .or_else(|| view.document.replicas.iter().find_map(|replica| dismiss(view, replica)))
        .or_else(|| activate_group(view))
        .or_else(|| prefer(view))
}

/// Members without a record are left over from a removal.
fn remove_strangers(view: &GroupView<'_>) -> Option<Step> {
    let unknown = |id: &&RaftId| view.document.replica(**id).is_none();
    let stranger = *view.status.members.iter().find(unknown)?;
    match view.status.voters().contains(&stranger) {
        true => Some(Step::RemoveVoter(stranger)),
        false => Some(Step::RemoveLearner(stranger)),
    }
}

fn admit(view: &GroupView<'_>, replica: &ReplicaDocument) -> Option<Step> {
    let ReplicaDocument { id, node, state } = *replica;
    if !view.document.wants(node) {
        return None;
    }
    let strategy = view.document.strategy.filter(|_| state == ReplicaState::Joining);
    if !view.status.members.contains(&id) {
        let first = strategy == Some(MoveStrategy::Snapshot) && !view.copied.contains(&id);
        return Some(if first { Step::SendState(id) } else { Step::AddLearner(id) });
    }
    let fast = strategy != Some(MoveStrategy::Incremental) || view.short_rounds.contains(&id);
    let ready = id == view.me || caught_up(view.status, id) && fast;
    match state {
        ReplicaState::Joining if ready => Some(Step::Activate(id)),
        ReplicaState::Active
            if ready
                && view.document.voters.contains(&node)
                && !view.status.voters().contains(&id) =>
        {
            Some(Step::AddVoter(id))
        }
        _ => None,
    }
}

/// Whether every node that is to hold a voter does.
fn is_complete(view: &GroupView<'_>) -> bool {
    let voters = view.status.voters();
    let votes =
        |node: &u64| view.document.on(*node).is_some_and(|replica| voters.contains(&replica.id));
    view.document.voters.iter().all(votes)
}

fn dismiss(view: &GroupView<'_>, replica: &ReplicaDocument) -> Option<Step> {
    let ReplicaDocument { id, node, .. } = *replica;
    let votes = view.status.voters().contains(&id);
    if view.document.voters.contains(&node) || view.document.wants(node) && !votes {
        return None;
    }
    match votes {
        true if !is_complete(view) => None,
        true if id == view.me => successor(view).map(Step::HandOver),
        true => Some(Step::RemoveVoter(id)),
        false if view.status.members.contains(&id) => Some(Step::RemoveLearner(id)),
        false => Some(Step::RemoveReplica(id)),
    }
}

/// The voter that is to stay, serves, and has the longest log.
fn successor(view: &GroupView<'_>) -> Option<RaftId> {
    let voters = view.status.voters();
    let staying = view.document.voters.iter().filter_map(|node| view.document.on(*node));
    let fit = staying
        .map(|replica| replica.id)
        .filter(|id| *id != view.me && voters.contains(id) && view.serving.contains(id));
    fit.max_by_key(|id| view.status.matched.get(id).copied())
}

fn activate_group(view: &GroupView<'_>) -> Option<Step> {
    let creating = view.document.state == GroupState::Creating;
    (creating && is_complete(view)).then_some(Step::ActivateGroup)
}

fn prefer(view: &GroupView<'_>) -> Option<Step> {
    let preferred = view.preferred.filter(|id| *id != view.me)?;
    let fit = view.status.voters().contains(&preferred)
        && view.serving.contains(&preferred)
        && caught_up(view.status, preferred);
    fit.then_some(Step::HandOver(preferred))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::engine::system::NodeRole;
    use ReplicaState::{Active, Joining};
    use proptest::prelude::*;
    use std::time::Duration;

    /// Replicas have ten times the number of their node.
    fn document(
        state: GroupState,
        voters: &[u64],
        replicas: &[(u64, ReplicaState)],
    ) -> GroupDocument {
        let replicas = replicas.iter();
        let replicas = replicas
            .map(|(node, state)| ReplicaDocument { id: node * 10, node: *node, state: *state })
            .collect();
        GroupDocument { state, observers: vec![9], replicas, ..samples::group(3, voters) }
    }

    fn status(voters: &[u64], learners: &[u64]) -> GroupStatus {
        let members: BTreeSet<u64> = voters.iter().chain(learners).copied().collect();
        GroupStatus {
            role: Some(NodeRole::Leader),
            leader: Some(10),
            configs: vec![voters.iter().copied().collect()],
            last_log: 1000,
            matched: members.iter().map(|id| (*id, 1000)).collect(),
            silent: members.iter().map(|id| (*id, Some(Duration::ZERO))).collect(),
            members,
            ..GroupStatus::default()
        }
    }

    fn view<'a>(document: &'a GroupDocument, status: &'a GroupStatus) -> GroupView<'a> {
        let (serving, copied) = (status.members.clone(), BTreeSet::new());
        let short_rounds = BTreeSet::new();
        GroupView { me: 10, document, status, serving, preferred: None, copied, short_rounds }
    }

    fn step(document: &GroupDocument, status: &GroupStatus) -> Option<Step> {
        next_step(&view(document, status))
    }

    #[test]
    fn a_founder_is_recorded_before_it_admits_the_others() {
        let creating = |replicas: &[_]| document(GroupState::Creating, &[1, 2], replicas);
        let both = [(1, Joining), (2, Joining)];
        assert_eq!(step(&creating(&both), &status(&[10], &[])), Some(Step::Activate(10)));
        let both = [(1, Active), (2, Joining)];
        assert_eq!(step(&creating(&both), &status(&[10], &[])), Some(Step::AddLearner(20)));
        let mut behind = status(&[10], &[20]);
        behind.matched.insert(20, 100);
        assert_eq!(
            step(&creating(&both), &behind),
            None,
            "it waits until the learner has caught up"
        );
        assert_eq!(step(&creating(&both), &status(&[10], &[20])), Some(Step::Activate(20)));
        let both = [(1, Active), (2, Active)];
        assert_eq!(step(&creating(&both), &status(&[10], &[20])), Some(Step::AddVoter(20)));
        let voting = status(&[10, 20], &[]);
        assert_eq!(step(&creating(&both), &voting), Some(Step::ActivateGroup));
        assert_eq!(step(&document(GroupState::Active, &[1, 2], &both), &voting), None);
        assert_eq!(step(&document(GroupState::Removing, &[3], &both), &voting), None);
    }

    #[test]
    fn a_replica_moves_without_a_moment_of_fewer_voters() {
        let moving = |state| {
            document(
                GroupState::Active,
                &[1, 2, 4],
                &[(1, Active), (2, Active), (3, Active), (4, state)],
            )
        };
        let three = status(&[10, 20, 30], &[]);
        assert_eq!(step(&moving(Joining), &three), Some(Step::AddLearner(40)));
        let learning = status(&[10, 20, 30], &[40]);
        assert_eq!(step(&moving(Joining), &learning), Some(Step::Activate(40)));
        assert_eq!(step(&moving(Active), &learning), Some(Step::AddVoter(40)));
        let four = status(&[10, 20, 30, 40], &[]);
        assert_eq!(step(&moving(Active), &four), Some(Step::RemoveVoter(30)));
        let left = status(&[10, 20, 40], &[30]);
        assert_eq!(step(&moving(Active), &left), Some(Step::RemoveLearner(30)));
        assert_eq!(
            step(&moving(Active), &status(&[10, 20, 40], &[])),
            Some(Step::RemoveReplica(30))
        );
    }

    #[test]
    fn a_strategy_decides_how_a_replica_catches_up() {
        let moving = |strategy| GroupDocument {
            strategy: Some(strategy),
            ..document(GroupState::Active, &[1, 4], &[(1, Active), (4, Joining)])
        };
        let (alone, both) = (status(&[10], &[]), status(&[10], &[40]));
        let by_copy = moving(MoveStrategy::Snapshot);
        assert_eq!(step(&by_copy, &alone), Some(Step::SendState(40)));
        let copied = GroupView { copied: [40].into(), ..view(&by_copy, &alone) };
        assert_eq!(next_step(&copied), Some(Step::AddLearner(40)));
        assert_eq!(step(&by_copy, &both), Some(Step::Activate(40)));

        let in_rounds = moving(MoveStrategy::Incremental);
        assert_eq!(step(&in_rounds, &alone), Some(Step::AddLearner(40)));
        assert_eq!(step(&in_rounds, &both), None, "no round was short yet");
        let fast = GroupView { short_rounds: [40].into(), ..view(&in_rounds, &both) };
        assert_eq!(next_step(&fast), Some(Step::Activate(40)));
        assert_eq!(step(&moving(MoveStrategy::LiveCopy), &alone), Some(Step::AddLearner(40)));
    }

    #[test]
    fn a_leader_that_is_to_go_hands_over_once_the_others_are_in() {
        let leaving =
            document(GroupState::Active, &[2, 4], &[(1, Active), (2, Active), (4, Joining)]);
        let mut behind = status(&[10, 20], &[40]);
        behind.matched.insert(40, 1);
        assert_eq!(step(&leaving, &behind), None);
        let leaving =
            document(GroupState::Active, &[2, 4], &[(1, Active), (2, Active), (4, Active)]);
        let mut all = status(&[10, 20, 40], &[]);
        all.matched.insert(20, 999);
        assert_eq!(step(&leaving, &all), Some(Step::HandOver(40)));
        let mut view = view(&leaving, &all);
        view.serving.remove(&40);
        assert_eq!(next_step(&view), Some(Step::HandOver(20)), "the other one does not serve");
    }

    #[test]
    fn an_observer_gets_the_log_and_no_vote() {
        let with = |state| document(GroupState::Active, &[1], &[(1, Active), (9, state)]);
        assert_eq!(step(&with(Joining), &status(&[10], &[90])), Some(Step::Activate(90)));
        assert_eq!(step(&with(Active), &status(&[10], &[90])), None);
        assert_eq!(step(&with(Active), &status(&[10, 90], &[])), Some(Step::RemoveVoter(90)));
    }

    #[test]
    fn leadership_goes_to_the_preferred_voter_when_all_is_done() {
        let settled = document(GroupState::Active, &[1, 2], &[(1, Active), (2, Active)]);
        let status = status(&[10, 20], &[]);
        let with = |preferred| next_step(&GroupView { preferred, ..view(&settled, &status) });
        assert_eq!(with(Some(20)), Some(Step::HandOver(20)));
        assert_eq!(with(Some(10)), None);
        assert_eq!(with(Some(30)), None, "it has no vote");
    }

    proptest! {
        /// Carrying out the steps always ends with exactly what is intended, and a group never has
        /// fewer voters than before while some of those that are to stay are missing.
        #[test]
        fn the_steps_come_to_rest(
            wanted in proptest::collection::btree_set(1_u64..6, 1..4),
            placed in proptest::collection::btree_map(1_u64..6, any::<(bool, bool, bool)>(), 0..5),
        ) {
            let mut replicas = vec![(1, Active)];
            let (mut voters, mut members) = (BTreeSet::from([10]), BTreeSet::from([10]));
            for (node, (active, member, voter)) in placed {
                if node == 1 { continue; }
                replicas.push((node, if active { Active } else { Joining }));
                if member { members.insert(node * 10); }
                if member && voter && active { voters.insert(node * 10); }
            }
            for node in &wanted {
                if !replicas.iter().any(|(known, _)| known == node) { replicas.push((*node, Joining)); }
            }
            let wanted: Vec<u64> = wanted.into_iter().collect();
            let mut document = document(GroupState::Creating, &wanted, &replicas);
            let mut me = 10;
            for _ in 0..100 {
                let learners: Vec<_> = members.difference(&voters).copied().collect();
                let status = status(&voters.iter().copied().collect::<Vec<_>>(), &learners);
                let next = next_step(&GroupView { me, ..view(&document, &status) });
                let Some(step) = next else {
                    let end: Vec<u64> = wanted.iter().map(|node| node * 10).collect();
                    prop_assert_eq!(voters.into_iter().collect::<Vec<_>>(), end.clone());
                    let mut left: Vec<u64> =
                        document.replicas.iter().map(|replica| replica.id).collect();
                    left.sort_unstable();
                    prop_assert_eq!(left, end);
                    prop_assert_eq!(document.state, GroupState::Active);
                    return Ok(());
                };
                match step {
                    Step::AddLearner(id) => { members.insert(id); }
                    Step::Activate(id) => for replica in &mut document.replicas {
                        if replica.id == id { replica.state = Active; }
                    },
                    Step::AddVoter(id) => {
                        prop_assert_eq!(document.replica(id).unwrap().state, Active);
                        voters.insert(id);
                    }
                    Step::RemoveVoter(id) => {
                        prop_assert_ne!(id, me);
                        prop_assert!(wanted.iter().all(|node| voters.contains(&(node * 10))));
                        voters.remove(&id);
                    }
                    Step::RemoveLearner(id) => {
                        prop_assert!(!voters.contains(&id));
                        members.remove(&id);
                    }
                    Step::RemoveReplica(id) => {
                        prop_assert!(!members.contains(&id));
                        document.replicas.retain(|replica| replica.id != id);
                    }
                    Step::HandOver(id) => { prop_assert!(voters.contains(&id)); me = id; }
                    Step::ActivateGroup => document.state = GroupState::Active,
                    Step::FinishJoint(_) | Step::SendState(_) => prop_assert!(false),
                }
            }
            prop_assert!(false, "the steps do not end");
        }
    }
}
