//! The reconciler: the collection of members is the desired state, openraft's membership the actual
//! one; a task on the leader takes the next safe step from one to the other, which
//! [`reconcile`](super::reconcile) decides on.

use super::identity::Identity;
use super::reconcile::{ClusterState, Step, next_step, successor};
use super::{Cluster, Exit};
use crate::engine::Command;
use crate::engine::system::NodeDocument;
use crate::error::{Error, Kind, Result};
use crate::pulse;
use crate::raft::{Group, GroupStatus, RaftId};
use openraft::{BasicNode, ChangeMembers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time between two looks, and between those that follow a step: a learner catches up.
const INTERVAL: Duration = Duration::from_millis(300);
const INTERVAL_AFTER_STEP: Duration = Duration::from_millis(150);
/// How long a step is followed by closer looks.
const STEP_FOLLOWED: Duration = Duration::from_secs(5);
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a leader with a wrong clock has tried to transfer leadership, before it tries again.
const GIVE_WAY_PAUSE: Duration = Duration::from_secs(30);

impl<'a> ClusterState<'a> {
    /// The current state, for a node that has just become the leader.
    fn of(
        cluster: &Cluster,
        group: &Group,
        documents: &'a [NodeDocument],
        status: &'a GroupStatus,
    ) -> Self {
        ClusterState {
            me: group.raft_id(),
            documents,
            status,
            leading_for: Duration::ZERO,
            max_voters: cluster.config.max_voters,
            inactive_after: Duration::from_millis(cluster.config.inactive_after_ms),
            wrong_clocks: group.clock.wrong().into_keys().collect(),
            better_leaders: BTreeSet::new(),
            holding: cluster.placements.view().holding(),
        }
    }
}

/// Runs the reconciler on this node; it acts only while the node leads.
pub async fn run(cluster: Arc<Cluster>) {
    let mut leading_since: Option<Instant> = None;
    let mut gave_way: Option<Instant> = None;
    let mut stepped: Option<Instant> = None;
    while !cluster.is_ending() {
        let Ok(group) = cluster.groups.system() else { return };
        let status = group.status();
        if let Some(failure) = status.failure {
            return cluster.end(Exit::Failed(failure));
        }
        if !status.is_leader() {
            leading_since = None;
            pulse::pause(INTERVAL).await;
            continue;
        }
        let since = *leading_since.get_or_insert_with(Instant::now);
        match reconcile_once(&cluster, since, &mut gave_way).await {
            Ok(true) => {
                stepped = Some(Instant::now());
                continue;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "a membership step did not succeed yet");
                pulse::pause(INTERVAL_AFTER_STEP).await;
                continue;
            }
        }
        let soon = stepped.is_some_and(|at| at.elapsed() < STEP_FOLLOWED);
        let pause = if soon { INTERVAL_AFTER_STEP } else { INTERVAL };
        let _ = tokio::time::timeout_at(pulse::next(pause), cluster.nodes.changed()).await;
    }
}

/// Takes one step; returns whether there was one.
async fn reconcile_once(
    cluster: &Arc<Cluster>,
    leading_since: Instant,
    gave_way: &mut Option<Instant>,
) -> Result<bool> {
    let group = cluster.groups.system()?;
    let just_gave_way = gave_way.is_some_and(|at| at.elapsed() < GIVE_WAY_PAUSE);
    let better_leaders = || match just_gave_way {
        true => BTreeSet::new(),
        false => group.clock.better_leaders(),
    };
    let next = |documents: &[NodeDocument]| {
        let status = group.status();
        let view = ClusterState {
            leading_for: leading_since.elapsed(),
            better_leaders: better_leaders(),
            ..ClusterState::of(cluster, group, documents, &status)
        };
        next_step(&view).filter(|_| status.is_leader())
    };
    // Mostly there is nothing to do, which is seen without asking a majority.
    if next(&cluster.nodes.all()).is_none() {
        return Ok(false);
    }
    // A new leader may not have applied all that its predecessor committed.
    group.wait_linearizable().await?;
    cluster.nodes.refresh(group)?;
    let documents = cluster.nodes.all();
    let Some(step) = next(&documents) else {
        return Ok(false);
    };
    if matches!(step, Step::HandOver(_)) && !better_leaders().is_empty() {
        *gave_way = Some(Instant::now());
        tracing::warn!(
            "this leader's clock is wrong; it hands over to a node whose clock is right"
        );
    }
    tracing::debug!(?step, "membership");
    let taken = take(cluster, group, &documents, &step).await;
    crash_point_after(&step, taken)?;
    Ok(true)
}

async fn take(
    cluster: &Arc<Cluster>,
    group: &Arc<Group>,
    documents: &[NodeDocument],
    step: &Step,
) -> Result<()> {
    let document = |id: &RaftId| {
        let found = documents.iter().find(|node| node.raft_id == *id);
        found.ok_or_else(|| Error::new(Kind::NodeNotFound, format!("member {id} has no document")))
    };
    match step {
        Step::FinishJoint(voters) => set_voters(group, voters.clone()).await,
        Step::AddLearner(id) => add_learner(cluster, group, document(id)?).await,
        Step::AddVoter(id) => add_voter(group, *id).await,
        Step::RemoveVoter(id) => remove_voter(group, *id).await,
        Step::RemoveLearner(id) => remove_member(group, *id).await,
        Step::Deregister(id) => {
            let node = document(id)?.id.clone();
            group.propose(Command::ClusterDeregister { node, raft_id: *id }).await.map(drop)
        }
        Step::HandOver(id) => hand_over(cluster, Some(*id)).await,
        Step::Update(id, role, status) => {
            let document = document(id)?;
            let mark = Command::ClusterMark {
                node: document.id.clone(),
                raft_id: *id,
                role: Some(*role),
                from: document.status,
                to: *status,
            };
            group.propose(mark).await.map(drop)
        }
    }
}

/// Lets a replica receive the log of a group.
///
/// # Errors
/// `not_possible_now`.
pub(super) async fn add_member(group: &Group, id: RaftId, url: &str) -> Result<()> {
    change(group, ChangeMembers::AddNodes(BTreeMap::from([(id, BasicNode::new(url))]))).await
}

/// Lets a member vote.
///
/// # Errors
/// `not_possible_now`.
pub(super) async fn add_voter(group: &Group, id: RaftId) -> Result<()> {
    change(group, ChangeMembers::AddVoterIds([id].into())).await
}

/// Takes the vote from a member.
///
/// # Errors
/// `not_possible_now`.
pub(super) async fn remove_voter(group: &Group, id: RaftId) -> Result<()> {
    change(group, ChangeMembers::RemoveVoters([id].into())).await
}

/// Stops sending the log to a member without a vote.
///
/// # Errors
/// `not_possible_now`.
pub(super) async fn remove_member(group: &Group, id: RaftId) -> Result<()> {
    change(group, ChangeMembers::RemoveNodes([id].into())).await
}

/// Makes these members the voters.
///
/// # Errors
/// `not_possible_now`.
pub(super) async fn set_voters(group: &Group, voters: BTreeSet<RaftId>) -> Result<()> {
    change(group, ChangeMembers::ReplaceAllVoters(voters)).await
}

async fn add_learner(cluster: &Cluster, group: &Group, node: &NodeDocument) -> Result<()> {
    let identity = Identity {
        node_id: node.id.clone(),
        cluster_id: cluster.identity().cluster_id,
        raft_id: Some(node.raft_id),
        formed: false,
    };
    cluster.invite(node.peer_url(), &identity).await?;
    add_member(group, node.raft_id, node.peer_url()).await
}

/// Changes the membership and checks the outcome, which openraft's response alone does not prove
/// when changes overlap.
async fn change(group: &Group, change: ChangeMembers<RaftId, BasicNode>) -> Result<()> {
    let failed = |error: String| Error::new(Kind::NotPossibleNow, format!("membership: {error}"));
    // Removed voters stay as learners until the step that removes them.
    let changing = group.raft.change_membership(change, true);
    match tokio::time::timeout(CHANGE_TIMEOUT, changing).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no majority agreed in time".into())),
    }
}

/// Transfers leadership to a member, or to the best one, and waits until it leads.
///
/// # Errors
/// `not_possible_now` if no member can take over, or it did not happen in time.
pub async fn hand_over(cluster: &Cluster, to: Option<RaftId>) -> Result<()> {
    let group = cluster.groups.system()?;
    let (documents, status) = (cluster.nodes.all(), group.status());
    let view = ClusterState::of(cluster, group, &documents, &status);
    let to = to.or_else(|| successor(&view)).ok_or_else(nobody)?;
    hand_over_group(group, to).await
}

/// Transfers the leadership of a group to a member, and waits until it leads.
///
/// # Errors
/// `not_possible_now` if it did not happen in time.
pub(super) async fn hand_over_group(group: &Group, to: RaftId) -> Result<()> {
    let failed = |error: String| Error::new(Kind::NotPossibleNow, format!("leadership: {error}"));
    group.raft.trigger().transfer_leader(to).await.map_err(|error| failed(error.to_string()))?;
    let leads = |status: &GroupStatus| status.leader == Some(to);
    if group.wait_until(Duration::from_secs(5), leads).await {
        Ok(())
    } else {
        Err(failed(format!("member {to} did not take over in time")))
    }
}

fn nobody() -> Error {
    Error::new(Kind::NotPossibleNow, "no other active voter could take over leadership")
        .hint("wait until another node is ACTIVE, or add one")
}

/// Transfers leadership before this node ends. The other members may be ending as well: one that is
/// gone is not waited for.
///
/// # Errors
/// `not_possible_now`.
pub async fn hand_over_to_any(cluster: &Cluster) -> Result<()> {
    let group = cluster.groups.system()?;
    let mut left: Vec<NodeDocument> = cluster.nodes.all().to_vec();
    loop {
        let status = group.status();
        let view = ClusterState::of(cluster, group, &left, &status);
        let to = successor(&view).ok_or_else(nobody)?;
        let successor = left.iter().find(|node| node.raft_id == to);
        let url = successor.map(|node| node.peer_url().to_owned());
        tokio::select! {
            handed = hand_over(cluster, Some(to)) => return handed,
            () = cluster.wait_gone(url.as_deref().unwrap_or_default()) => {
                left.retain(|node| node.raft_id != to);
            }
        }
    }
}

/// Changes the address of this node when it is the only member: no other member has to agree.
pub async fn move_alone(cluster: &Arc<Cluster>, node: &NodeDocument, url: String) -> Result<()> {
    let group = cluster.groups.system()?;
    group.wait_until(Duration::from_secs(10), GroupStatus::is_leader).await;
    let peer_url = cluster.config.peer_url();
    let nodes = BTreeMap::from([(node.raft_id, BasicNode::new(&peer_url))]);
    change(group, ChangeMembers::SetNodes(nodes)).await?;
    let update = Command::ClusterUpdate {
        node: node.id.clone(),
        raft_id: node.raft_id,
        role: None,
        status: None,
        url: Some(url),
    };
    let applied = group.propose(update).await?;
    group.wait_visible(applied.index).await
}

/// Lets a test end the process right after a step (`JETTRA_CRASH_AFTER=AddVoter`), to check that
/// the next leader completes the change. Only in builds with debug assertions.
pub(super) fn crash_point(step: &impl std::fmt::Debug) {
    if cfg!(debug_assertions)
        && let Ok(name) = std::env::var("JETTRA_CRASH_AFTER")
        && format!("{step:?}").starts_with(&name)
    {
        std::process::abort();
    }
}

/// The same after a step that may have been done though its answer was lost: then it is not taken again.
pub(super) fn crash_point_after<T>(step: &impl std::fmt::Debug, done: Result<T>) -> Result<T> {
    let undone = |error: &Error| !matches!(error.kind, Kind::OutcomeUnknown | Kind::Timeout);
    if !done.as_ref().is_err_and(undone) {
        crash_point(step);
    }
    done
}
