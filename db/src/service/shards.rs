//! Where the replicas of the groups are, and moving them.

use super::groups::{propose, raft_ids};
use super::{Response, Session};
use crate::auth::Permission;
use crate::cluster::groups::group_not_found;
use crate::cluster::placement::decide::{Decision, PlacementState, decide};
use crate::cluster::placement::explain::{NodeReason, explain};
use crate::cluster::placement::report::GroupReport;
use crate::engine::command::Placement;
use crate::engine::placement::{
    GroupDocument, GroupState, MoveStrategy, ReplicaDocument, ReplicaState,
};
use crate::error::{Error, Kind, Result};
use crate::raft::{GroupId, RaftId};
use std::collections::BTreeSet;

/// Most moves of one plan; a cluster has far fewer.
const MOVES_MAX: usize = 10_000;

/// What a node is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeShare {
    /// Its name.
    pub node: String,
    /// The groups that it is to hold a replica of.
    pub groups: Vec<GroupId>,
}

/// A replica that is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The group.
    pub group: GroupId,
    /// The name of the node that gives its replica up.
    pub from: String,
    /// The name of the node that gets it.
    pub to: String,
}

/// Moves a replica of a group from one node to another, both given by name. It gets the data as the
/// strategy says; none: as it suits the log.
///
/// # Errors
/// `group_not_found`, `node_not_found`, `forbidden`; `not_possible_now` if the one holds no voter, or
/// the other one has a replica.
pub async fn migrate(
    session: &Session,
    group: GroupId,
    from: &str,
    to: &str,
    strategy: Option<MoveStrategy>,
) -> Result<Response<GroupReport>> {
    session.require(Permission::Admin)?;
    let cluster = session.service().cluster.clone();
    let view = cluster.confirmed_placement().await?;
    let document = view.groups.get(&group).ok_or_else(|| {
        Error::new(Kind::GroupNotFound, format!("there is no group {group} with replicas to move"))
    })?;
    let ids = raft_ids(&cluster.nodes.all(), &[from.to_owned(), to.to_owned()])?;
    let (from_id, to_id) = (ids[0], ids[1]);
    let refuse = |message: String, hint: &str| {
        Err(Error::new(Kind::NotPossibleNow, message).hint(hint.to_owned()))
    };
    if !document.voters.contains(&from_id) {
        return refuse(
            format!("node {from:?} holds no voter of group {group}"),
            "look at the nodes of the group",
        );
    }
    if document.wants(to_id) {
        return refuse(
            format!("node {to:?} holds a replica of group {group} already"),
            "choose another node",
        );
    }
    let replaced = |node: &RaftId| if *node == from_id { to_id } else { *node };
    let voters = document.voters.iter().map(replaced).collect();
    let (epoch, observers) = (document.epoch, document.observers.clone());
    let moved = Placement::SetNodes { group, epoch, voters, observers, strategy };
    let index = propose(session, moved).await?;
    Ok(Response::at(cluster.report_group(group).await?, index))
}

/// Lets replicas that move stay where they were, as long as those are there still and the new ones have no
/// vote.
///
/// # Errors
/// `not_possible_now` with the reason, `forbidden`.
pub(super) async fn call_off(
    session: &Session,
    group: GroupId,
    epoch: u64,
) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let view = session.service().cluster.confirmed_placement().await?;
    let document = view.groups.get(&group).filter(|group| group.epoch == epoch);
    let voters = document.and_then(former_voters).ok_or_else(|| {
        let message = format!("the replicas of group {group} cannot stay where they were");
        Error::new(Kind::NotPossibleNow, message)
            .hint("they have moved already, or their nodes are gone; move them again instead")
    })?;
    let observers = document.map(|document| document.observers.clone()).unwrap_or_default();
    let stay = Placement::SetNodes { group, epoch, voters, observers, strategy: None };
    Ok(Response::at((), propose(session, stay).await?))
}

/// The nodes that were to hold voters before a decision that is still being carried out.
fn former_voters(group: &GroupDocument) -> Option<Vec<RaftId>> {
    let active =
        |node: RaftId| group.on(node).is_some_and(|replica| replica.state == ReplicaState::Active);
    let (mut stay, come): (Vec<RaftId>, Vec<RaftId>) =
        group.voters.iter().partition(|node| active(**node));
    let leave = group.replicas.iter().map(|replica| replica.node);
    stay.extend(leave.filter(|node| active(*node) && !group.wants(*node)).take(come.len()));
    (group.state == GroupState::Active && !come.is_empty() && stay.len() == group.voters.len())
        .then_some(stay)
}

/// A group and why its replicas are where they are, with the names of the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: u32,
    /// Log index of the decision, in the system group.
    pub epoch: u64,
    /// The nodes, in the order in which they would be taken now.
    pub nodes: Vec<(String, NodeReason)>,
}

/// Explains where the replicas of a group are.
///
/// # Errors
/// `group_not_found`, `forbidden`.
pub async fn explain_placement(session: &Session, group: GroupId) -> Result<Response<Explanation>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let index = session.system()?.visible_index();
    cluster.placements.refresh(session.system()?)?;
    let view = cluster.placements.view();
    let document = view.groups.get(&group).ok_or_else(|| group_not_found(group))?;
    let groups: Vec<_> = view.groups.values().collect();
    let nodes = explain(document, &groups, &cluster.nodes.all()).into_iter();
    let explanation = Explanation {
        replication_factor: document.replication_factor,
        epoch: document.epoch,
        nodes: nodes.map(|reason| (cluster.name_of(reason.node), reason)).collect(),
    };
    Ok(Response::at(explanation, index))
}

/// How the replicas are spread over the nodes, by their names.
///
/// # Errors
/// `forbidden`.
pub async fn ring(session: &Session) -> Result<Response<Vec<NodeShare>>> {
    session.require(Permission::Login)?;
    let cluster = &session.service().cluster;
    let index = session.system()?.visible_index();
    cluster.placements.refresh(session.system()?)?;
    let view = cluster.placements.view();
    let nodes = cluster.nodes.all();
    let mut shares: Vec<_> = nodes
        .iter()
        .map(|node| {
            let held = view.groups.values().filter(|group| group.wants(node.raft_id));
            NodeShare { node: node.id.clone(), groups: held.map(|group| group.group).collect() }
        })
        .collect();
    shares.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(Response::at(shares, index))
}

/// Moves replicas until no node holds two more than another, one after the other; with `dry_run` it only
/// says which would move.
///
/// # Errors
/// `forbidden`.
pub async fn rebalance(session: &Session, dry_run: bool) -> Result<Response<Vec<Move>>> {
    session.require(Permission::Admin)?;
    let cluster = session.service().cluster.clone();
    let view = cluster.confirmed_placement().await?;
    let nodes = cluster.nodes.all();
    // As they will be when what is under way is done.
    let mut groups: Vec<GroupDocument> = view.groups.values().map(settled).collect();
    let mut moves = Vec::new();
    while moves.len() < MOVES_MAX {
        let gone = BTreeSet::new();
        let all: Vec<_> = groups.iter().collect();
        let state = PlacementState { groups: &all, nodes: &nodes, gone: &gone, even_out: true };
        let Some(Decision::SetNodes { group, voters, .. }) = decide(&state) else { break };
        let Some(document) = groups.iter_mut().find(|known| known.group == group) else { break };
        let name = |node: Option<&RaftId>| node.map(|id| cluster.name_of(*id)).unwrap_or_default();
        let from = name(document.voters.iter().find(|node| !voters.contains(node)));
        let to = name(voters.iter().find(|node| !document.voters.contains(node)));
        moves.push(Move { group, from, to });
        document.voters = voters;
        *document = settled(document);
    }
    if !dry_run && !moves.is_empty() {
        cluster.rebalance();
    }
    Ok(Response::at(moves, session.system()?.visible_index()))
}

/// A group whose replicas are where they are to be.
fn settled(group: &GroupDocument) -> GroupDocument {
    let placed = group.voters.iter().chain(&group.observers);
    let replica =
        |node: &RaftId| ReplicaDocument { id: *node, node: *node, state: ReplicaState::Active };
    let state = match group.state {
        GroupState::Creating => GroupState::Active,
        state => state,
    };
    GroupDocument { state, replicas: placed.map(replica).collect(), ..group.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::placement::samples;

    #[test]
    fn a_move_can_be_called_off_until_the_new_replica_is_in() {
        let replicas = |state| {
            [(1, ReplicaState::Active), (2, ReplicaState::Active), (4, state)]
                .map(|(node, state)| ReplicaDocument { id: node * 10, node, state })
        };
        let moving = |state| GroupDocument {
            replicas: replicas(state).to_vec(),
            ..samples::group(3, &[1, 4])
        };
        assert_eq!(former_voters(&moving(ReplicaState::Joining)), Some(vec![1, 2]));
        assert_eq!(former_voters(&moving(ReplicaState::Active)), None, "it may vote");
        let mut gone = moving(ReplicaState::Joining);
        gone.replicas.remove(1);
        assert_eq!(former_voters(&gone), None, "there is nowhere to stay");
        gone.state = GroupState::Creating;
        assert_eq!(former_voters(&gone), None);
    }
}
