//! The tasks that decide where replicas are, that change the membership of groups, and that carry
//! decisions about databases to their groups; and the calls between nodes that they need.

use super::super::membership::{self, hand_over_group};
use super::super::{Cluster, forward, groups};
use super::decide::{Decision, PlacementState, decide, is_settled};
use super::steps::{GroupView, Step, next_step};
use super::{Follower, PlacementView, leaders};
use crate::engine::cbor;
use crate::engine::command::{GroupCommand, Placement};
use crate::engine::placement::{GroupDocument, ReplicaState, data_group, rights_epoch};
use crate::engine::system::NodeStatus;
use crate::engine::{Command, format};
use crate::error::{ErrorClass, Kind, Result};
use crate::pulse;
use crate::raft::peers::PeerUrls;
use crate::raft::proposer::not_leader;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, RaftId};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(300);
/// The same while all replicas are where they are to be: only who leads may be wrong then.
const SETTLED_INTERVAL: Duration = Duration::from_millis(900);
/// How long a group is led before its leader hands over to the node that is to lead it.
const PINNED_AFTER: Duration = Duration::from_secs(1);
/// The same when nobody has named that node: leaders are spread evenly after a while.
const SPREAD_AFTER: Duration = Duration::from_secs(30);
/// Longest time for the transfer of a leadership when a node ends.
const HAND_OVER_MAX: Duration = Duration::from_secs(2);
/// Path of the call by which a node has something recorded in the placement.
pub const PLACEMENT_PATH: &str = "/raft/rpc/placement";
/// Path of the call for what the system group has decided about another group.
pub const IN_GROUP_PATH: &str = "/raft/rpc/in-group";

/// Takes the steps of the groups that this node leads.
pub async fn run_steps(cluster: Arc<Cluster>) {
    while !cluster.is_ending() {
        let led = cluster.groups.all().into_iter();
        let led = led.filter(|group| group.number() != SYSTEM_GROUP && group.is_leader());
        let stepping = led.map(|group| {
            let cluster = cluster.clone();
            async move {
                let stepped = step_group(&cluster, &group).await;
                stepped.unwrap_or_else(|error| {
                    tracing::debug!(group = group.number(), %error, "a step did not succeed yet");
                    false
                })
            }
        });
        // Steps of one group must not wait for those of another, which may have no quorum.
        let stepped = join_all(stepping).await;
        if !stepped.contains(&true) {
            let changed = cluster.placements.changed(Follower::Steps);
            let settled = cluster.placements.view().groups.values().all(is_settled);
            let pause = if settled { SETTLED_INTERVAL } else { INTERVAL };
            let _ = tokio::time::timeout_at(pulse::next(pause), changed).await;
        }
    }
}

/// Takes one step; returns whether there was one.
async fn step_group(cluster: &Arc<Cluster>, group: &Arc<Group>) -> Result<bool> {
    if begin(cluster, group).await? {
        return Ok(true);
    }
    if decided(cluster, group, &cluster.placements.view()).is_none() {
        return Ok(false);
    }
    // What was decided meanwhile may forbid it.
    let view = cluster.confirmed_placement().await?;
    let Some((document, step)) = decided(cluster, group, &view) else { return Ok(false) };
    tracing::debug!(group = group.number(), ?step, "membership");
    let taken = take(cluster, group, document, &step).await;
    membership::crash_point_after(&step, taken)?;
    Ok(true)
}

/// Writes the first entries of a group, and those that follow from the system group: its feature level
/// and the rights epoch.
async fn begin(cluster: &Arc<Cluster>, group: &Arc<Group>) -> Result<bool> {
    let system = rights_epoch(&cluster.groups.system()?.read()?)?;
    let (level, number, rights) = {
        let read = group.read()?;
        (format::feature_level(&read)?, data_group(&read)?, rights_epoch(&read)?)
    };
    let command = if level < cluster.groups.system()?.feature_level()? {
        Command::SetFeatureLevel { level: level + 1 }
    } else if number.is_none() {
        Command::InGroup(Box::new(GroupCommand::Init { group: group.number() }))
    } else if rights < system {
        Command::InGroup(Box::new(GroupCommand::Rights { epoch: system }))
    } else {
        return Ok(false);
    };
    group.wait_ready().await?;
    let applied = group.propose(command).await?;
    group.wait_visible(applied.index).await?;
    Ok(true)
}

/// The step that is due by a view of the placement.
fn decided<'v>(
    cluster: &Cluster,
    group: &Group,
    view: &'v PlacementView,
) -> Option<(&'v GroupDocument, Step)> {
    let document = view.groups.get(&group.number())?;
    let status = group.status();
    let nodes = cluster.nodes.all();
    let serves = |node: &RaftId| {
        let known = nodes.iter().find(|known| known.raft_id == *node);
        known.is_some_and(|known| known.status == NodeStatus::Active)
    };
    let serving = document.replicas.iter().filter(|replica| serves(&replica.node));
    let after = if document.leader.is_some() { PINNED_AFTER } else { SPREAD_AFTER };
    // One that is paused or about to leave makes way at once.
    let leads = document.replica(group.raft_id()).is_some_and(|replica| serves(&replica.node));
    let settled = !leads || status.led.is_some_and(|led| led > after);
    let preferred = || {
        let system = cluster.groups.system().ok()?.leader();
        let node =
            *leaders::preferred(view.groups.values(), &nodes, system).get(&document.group)?;
        document.on(node).map(|replica| replica.id)
    };
    let copied = document.replicas.iter().map(|replica| replica.id);
    let copied = copied.filter(|id| group.joining().has_copy(*id)).collect();
    let short_rounds = cluster.rounds.lock().look(group.number(), &status, Instant::now());
    let step = next_step(&GroupView {
        copied,
        short_rounds,
        me: group.raft_id(),
        document,
        status: &status,
        serving: serving.map(|replica| replica.id).collect(),
        preferred: settled.then(preferred).flatten(),
    })?;
    status.is_leader().then_some((document, step))
}

async fn take(
    cluster: &Arc<Cluster>,
    group: &Arc<Group>,
    document: &GroupDocument,
    step: &Step,
) -> Result<()> {
    let number = document.group;
    match step {
        Step::FinishJoint(voters) => membership::set_voters(group, voters.clone()).await,
        Step::SendState(id) => {
            group.send_state(*id, &group.url(*id).unwrap_or_default());
            Ok(())
        }
        Step::AddLearner(id) => {
            membership::add_member(group, *id, &group.url(*id).unwrap_or_default()).await
        }
        Step::AddVoter(id) => membership::add_voter(group, *id).await,
        Step::RemoveVoter(id) => membership::remove_voter(group, *id).await,
        Step::RemoveLearner(id) => membership::remove_member(group, *id).await,
        Step::HandOver(id) => hand_over_group(group, *id).await,
        Step::Activate(replica) => {
            let replica = *replica;
            cluster.propose_placement(Placement::ActivateReplica { group: number, replica }).await
        }
        Step::RemoveReplica(replica) => {
            let (replica, joining) = (*replica, false);
            let removed = Placement::RemoveReplica { group: number, replica, joining };
            cluster.propose_placement(removed).await
        }
        Step::ActivateGroup => {
            cluster.propose_placement(Placement::ActivateGroup { group: number }).await
        }
    }
}

/// Decides where replicas are to be, and carries changes of databases to their groups, while this node
/// leads the system group.
pub async fn run_decisions(cluster: Arc<Cluster>) {
    while !cluster.is_ending() {
        let Ok(system) = cluster.groups.system() else { return };
        let stepped = match system.is_leader() {
            true => decide_once(&cluster, system).await,
            false => Ok(false),
        };
        if let Err(error) = &stepped {
            tracing::debug!(%error, "a decision about groups was not made yet");
        }
        if !stepped.unwrap_or(false) {
            let changed = cluster.placements.changed(Follower::Decisions);
            let _ = tokio::time::timeout_at(pulse::next(INTERVAL), changed).await;
        }
    }
}

async fn decide_once(cluster: &Arc<Cluster>, system: &Arc<Group>) -> Result<bool> {
    let due = |view: &PlacementView| {
        let gone = cluster.gone(system);
        let groups: Vec<_> = view.groups.values().collect();
        let nodes = cluster.nodes.all();
        let even_out = cluster.config.auto_rebalance || cluster.is_rebalancing();
        decide(&PlacementState { groups: &groups, nodes: &nodes, gone: &gone, even_out })
    };
    let view = cluster.placements.view();
    cluster.note_placing(system, &view);
    let changing = view.databases.values().any(|database| database.change().is_some());
    if due(&view).is_none() && !changing {
        if view.groups.values().all(is_settled) {
            cluster.rebalancing.store(false, Ordering::Release);
        }
        return Ok(false);
    }
    let view = cluster.confirmed_placement().await?;
    if let Some(decision) = due(&view) {
        tracing::debug!(?decision, "placement");
        let placed = cluster.propose_placement(decision.clone().into()).await;
        membership::crash_point_after(&decision, placed)?;
        return Ok(true);
    }
    cluster.change_databases(&view).await
}

impl From<Decision> for Placement {
    fn from(decision: Decision) -> Placement {
        match decision {
            Decision::SetNodes { group, epoch, voters, observers } => {
                Placement::SetNodes { group, epoch, voters, observers, strategy: None }
            }
            Decision::Place(group, node) => Placement::PlaceReplica { group, node },
            Decision::Remove(group, replica) => {
                Placement::RemoveReplica { group, replica, joining: false }
            }
        }
    }
}

impl Cluster {
    /// The placement as a majority has just confirmed it.
    ///
    /// # Errors
    /// Those of a linearizable read.
    pub async fn confirmed_placement(&self) -> Result<Arc<PlacementView>> {
        let system = self.groups.system()?;
        system.wait_linearizable().await?;
        self.nodes.refresh(system)?;
        self.placements.refresh(system)?;
        Ok(self.placements.view())
    }

    /// Lets replicas move until no node holds two more than another, while this node leads the system
    /// group.
    pub fn rebalance(&self) {
        self.rebalancing.store(true, Ordering::Release);
        self.placements.wake();
    }

    /// Lets the tasks show which decisions are being carried out.
    fn note_placing(&self, system: &Group, view: &PlacementView) {
        let decisions = view.groups.iter();
        let decisions =
            decisions.map(|(number, group)| (*number, (group.epoch, is_settled(group))));
        self.tasks(SYSTEM_GROUP).set_placing(&decisions.collect(), system.time_ms());
    }

    fn is_rebalancing(&self) -> bool {
        self.rebalancing.load(Ordering::Acquire)
    }

    /// Members that are silent for so long that others take their replicas; none while more than one
    /// member, or more than a third of them, is silent: then it is rather the network.
    fn gone(&self, system: &Group) -> BTreeSet<RaftId> {
        let status = system.status();
        let replace_after = Duration::from_millis(self.config.replace_after_ms);
        let inactive_after = Duration::from_millis(self.config.inactive_after_ms);
        let silent_for = |limit: Duration| -> BTreeSet<RaftId> {
            let members = status.members.iter().copied().filter(|id| *id != system.raft_id());
            members
                .filter(|id| status.silence(*id).is_some_and(|silence| silence > limit))
                .collect()
        };
        let silent = silent_for(inactive_after).len();
        match silent > 1.max(status.members.len() / 3) {
            true => BTreeSet::new(),
            false => silent_for(replace_after),
        }
    }

    /// Records something in the placement, on the leader of the system group; returns its log index.
    ///
    /// # Errors
    /// That of the command; `no_leader`.
    pub async fn record_placement(&self, placement: Placement) -> Result<u64> {
        self.lead(SYSTEM_GROUP, Command::Placement(Box::new(placement))).await
    }

    /// Carries out what the system group has decided about a group, on its leader; returns the log index.
    ///
    /// # Errors
    /// That of the command; `no_leader`; `misdirected` if this node has no replica of it.
    pub async fn carry_out(&self, group: GroupId, command: GroupCommand) -> Result<u64> {
        self.lead(group, Command::InGroup(Box::new(command))).await
    }

    async fn lead(&self, group: GroupId, command: Command) -> Result<u64> {
        let group = self.groups.get(group)?;
        match group.is_leader() {
            true => Ok(group.propose(command).await?.index),
            false => Err(not_leader()),
        }
    }

    /// Has something recorded in the placement, and waits until this node sees it.
    ///
    /// # Errors
    /// That of the command; `no_leader`, `outcome_unknown`.
    pub async fn propose_placement(&self, placement: Placement) -> Result<()> {
        let system = self.groups.system()?;
        let index = if system.is_leader() {
            self.record_placement(placement).await?
        } else {
            let leader = system.leader().and_then(|id| system.url(id)).ok_or_else(not_leader)?;
            let body = cbor::encode(&placement)?;
            forward::call_node(self, &leader, PLACEMENT_PATH, body).await?
        };
        system.wait_visible(index).await?;
        self.placements.refresh(system)
    }

    /// Has the leader of a group carry out what the system group has decided.
    ///
    /// # Errors
    /// That of the command; `no_leader`, `outcome_unknown`.
    pub async fn propose_in_group(&self, group: GroupId, command: GroupCommand) -> Result<()> {
        if self.groups.get(group).is_ok_and(|here| here.is_leader()) {
            return self.carry_out(group, command).await.map(drop);
        }
        let leader = self.leader_of(group).await?;
        let path = format!("{IN_GROUP_PATH}?group={group}");
        let called = forward::call_node(self, &leader, &path, cbor::encode(&command)?).await;
        if called.is_err() {
            self.forget_leader(group);
        }
        called.map(drop)
    }

    /// Carries the changes of databases to their groups; returns whether one has ended.
    async fn change_databases(&self, view: &PlacementView) -> Result<bool> {
        let mut due: Vec<_> = view
            .databases
            .values()
            .filter_map(|database| Some((database, database.change()?)))
            .collect();
        // Each group carries them out in the order in which they were decided.
        due.sort_by_key(|(database, _)| database.epoch);
        let mut waiting: BTreeSet<GroupId> = BTreeSet::new();
        let mut ended = false;
        for (database, change) in due {
            if waiting.contains(&database.group) {
                continue;
            }
            let (group, epoch) = (database.group, database.epoch);
            let done =
                self.propose_in_group(group, GroupCommand::ChangeDatabase { epoch, change }).await;
            let problem = match done {
                Ok(()) => None,
                Err(error) if is_refusal(error.kind) => Some(error.to_string()),
                Err(error) => {
                    tracing::debug!(group, %error, "a database was not changed yet");
                    waiting.insert(group);
                    continue;
                }
            };
            let name = database.name.clone();
            membership::crash_point(&"DatabaseChanged");
            self.propose_placement(Placement::EndDatabaseChange { name, epoch, problem }).await?;
            ended = true;
        }
        Ok(ended)
    }

    /// Lets every other group know that a right was taken away; returns those that have not confirmed
    /// it in time. Their leaders go on trying.
    pub async fn spread_rights(&self, epoch: u64) -> Vec<GroupId> {
        let view = self.placements.view();
        let spreading = view.live().map(|group| async move {
            let told = self.propose_in_group(group, GroupCommand::Rights { epoch });
            let limit = Duration::from_millis(self.config.request_timeout_ms) / 2;
            match tokio::time::timeout(limit, told).await {
                Ok(Ok(())) => None,
                _ => Some(group),
            }
        });
        join_all(spreading).await.into_iter().flatten().collect()
    }

    /// Where the leader of a group is, of which this node may have no replica.
    ///
    /// # Errors
    /// `no_leader`, `group_not_found`.
    pub async fn leader_of(&self, group: GroupId) -> Result<String> {
        if let Ok(here) = self.groups.get(group) {
            return here.leader().and_then(|id| here.url(id)).ok_or_else(not_leader);
        }
        if let Some(known) = self.group_leaders.lock().get(&group) {
            return Ok(known.clone());
        }
        let view = self.placements.view();
        let document = view.groups.get(&group).ok_or_else(|| groups::group_not_found(group))?;
        let asking = document.replicas.iter().filter_map(|replica| {
            let url = self.nodes.url(replica.node)?;
            Some(async move { forward::ask_leader_of(self, &url, group).await.ok().flatten() })
        });
        let named = join_all(asking).await.into_iter().flatten();
        let nodes = named.filter_map(|id| document.replica(id).map(|replica| replica.node));
        let url = nodes.into_iter().find_map(|node| self.nodes.url(node));
        let url = url.ok_or_else(not_leader)?;
        self.group_leaders.lock().insert(group, url.clone());
        Ok(url)
    }

    /// Whether the replica that is placed on this node may have voted, so that it is up to date or soon
    /// will be.
    pub fn has_active(&self, group: GroupId) -> bool {
        let Ok(me) = self.groups.system().map(|system| system.raft_id()) else { return false };
        let view = self.placements.view();
        let replica = view.groups.get(&group).and_then(|group| group.on(me));
        replica.is_some_and(|replica| replica.state == ReplicaState::Active)
    }

    /// Where some replica of a group is, on a node that serves.
    pub fn some_replica(&self, group: GroupId) -> Option<String> {
        let view = self.placements.view();
        let active = view
            .groups
            .get(&group)?
            .replicas
            .iter()
            .filter(|replica| replica.state == ReplicaState::Active);
        let mut nodes = active.filter_map(|replica| self.nodes.by_raft_id(replica.node));
        let active = nodes.find(|node| node.status == NodeStatus::Active)?;
        Some(active.peer_url().to_owned())
    }

    /// Transfers the leadership of the groups that this node leads, before it ends.
    pub(in crate::cluster) async fn hand_over_groups(&self) {
        let view = self.placements.view();
        let led = self.groups.all().into_iter();
        let led = led.filter(|group| group.number() != SYSTEM_GROUP && group.is_leader());
        let handing = led.map(|group| {
            let (view, nodes) = (view.clone(), self.nodes.all());
            async move {
                let status = group.status();
                let document = view.groups.get(&group.number())?;
                let serves = |id: &RaftId| {
                    let replica = document.replica(*id);
                    nodes.iter().any(|node| {
                        replica.is_some_and(|replica| replica.node == node.raft_id)
                            && node.status == NodeStatus::Active
                    })
                };
                let others = status.voters().into_iter().filter(|id| *id != group.raft_id());
                let to = others
                    .filter(|id| serves(id))
                    .max_by_key(|id| status.matched.get(id).copied())?;
                // One that is ending as well does not answer.
                tokio::time::timeout(HAND_OVER_MAX, hand_over_group(&group, to)).await.ok()
            }
        });
        join_all(handing).await;
    }

    /// Waits for what one group has of a list over all of them, not so long that the whole list
    /// comes too late.
    ///
    /// # Errors
    /// Its own; `no_leader` if it takes too long.
    pub async fn part_of_all<T>(
        &self,
        group: GroupId,
        part: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = Duration::from_millis(self.config.request_timeout_ms);
        let limit = if group == SYSTEM_GROUP { limit } else { limit / 2 };
        tokio::time::timeout(limit, part).await.unwrap_or_else(|_| Err(not_leader()))
    }

    /// Forgets where the leader of a group was: it is asked for anew.
    pub fn forget_leader(&self, group: GroupId) {
        self.group_leaders.lock().remove(&group);
    }
}

/// Whether an error is an outcome of the command, alike on every replica, and not one of the way there.
fn is_refusal(kind: Kind) -> bool {
    let class = kind.class();
    kind != Kind::NotPossibleNow
        && !class.may_be_repeated()
        && !matches!(
            class,
            ErrorClass::Unknown
                | ErrorClass::Failed
                | ErrorClass::Misdirected
                | ErrorClass::Unauthenticated
        )
        && kind != Kind::NodeUnreachable
        && kind != Kind::GroupNotFound
}
