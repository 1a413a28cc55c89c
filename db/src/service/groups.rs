//! Groups of replicas: listed, created, removed; which node leads them.

use super::{Response, Session, Step, Steps};
use crate::auth::Permission;
use crate::cluster::placement::decide::Sites;
use crate::cluster::placement::report::GroupReport;
use crate::config::REPLICATION_FACTOR;
use crate::engine::command::{Command, Placement};
use crate::engine::placement::{DatabaseState, GROUPS_LEVEL, GroupState, REPLICAS_MAX};
use crate::engine::system::NodeDocument;
use crate::error::{Error, Kind, Result};
use crate::raft::{GroupId, RaftId};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks at what is waited for.
const LOOK_PAUSE: Duration = Duration::from_millis(30);

/// A group that is to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewGroup {
    /// Its number.
    pub group: GroupId,
    /// Names of the nodes that are to hold a voter; none: those with the fewest replicas.
    pub members: Option<Vec<String>>,
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: Option<u32>,
    /// Names of the nodes that are to hold a replica without a vote.
    pub observers: Vec<String>,
}

/// Lists the groups, the system group first.
///
/// # Errors
/// `forbidden`.
pub async fn list(session: &Session) -> Result<Response<Vec<GroupReport>>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let index = session.system()?.visible_index();
    cluster.placements.refresh(session.system()?)?;
    Ok(Response::at(cluster.placed_groups().await?, index))
}

/// Reads one group.
///
/// # Errors
/// `group_not_found`, `forbidden`.
pub async fn get(session: &Session, group: GroupId) -> Result<Response<GroupReport>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let index = session.system()?.visible_index();
    cluster.placements.refresh(session.system()?)?;
    Ok(Response::at(cluster.report_group(group).await?, index))
}

/// Creates a group; with `wait` it returns once the group is ready.
///
/// # Errors
/// `group_exists`, `node_not_found`, `invalid_parameter`, `not_possible_now`, `timeout`, `forbidden`.
pub async fn create(session: &Session, new: NewGroup, wait: bool) -> Result<Response<GroupReport>> {
    session.require(Permission::Admin)?;
    let deadline = deadline(session);
    wait_for_level(session, deadline).await?;
    let cluster = session.service().cluster.clone();
    let view = cluster.confirmed_placement().await?;
    let nodes = cluster.nodes.all();
    let observers = raft_ids(&nodes, &new.observers)?;
    let given = new.members.as_ref().map(|members| raft_ids(&nodes, members)).transpose()?;
    let count = given.as_ref().map_or(REPLICATION_FACTOR, |members| members.len() as u32);
    let replication_factor = new.replication_factor.unwrap_or(count);
    if !(1..=REPLICAS_MAX as u32).contains(&replication_factor) {
        let message = format!("replication_factor={replication_factor} is out of range");
        return Err(
            Error::new(Kind::InvalidParameter, message).hint(format!("use 1 to {REPLICAS_MAX}"))
        );
    }
    let voters = given.unwrap_or_else(|| {
        let groups: Vec<_> = view.groups.values().collect();
        let sites = Sites::new(&nodes, &BTreeSet::new(), &groups);
        sites.choose(new.group, replication_factor as usize, &observers)
    });
    let group = new.group;
    let create = Placement::CreateGroup { group, replication_factor, voters, observers };
    let index = propose(session, create).await?;
    if wait {
        let ready = async || Ok(cluster.report_group(group).await?.is_ready());
        wait_until(deadline, &format!("group {group} is created, but is not ready yet"), ready)
            .await?;
    }
    Ok(Response::at(cluster.report_group(group).await?, index))
}

/// How a group is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Whether it returns only once all replicas are closed.
    pub wait: bool,
    /// Longest time to wait for that; none: that of any call.
    pub timeout: Option<Duration>,
    /// Whether each node keeps the directory of its replica, in `removed-groups`.
    pub keep_state: bool,
}

/// Removes a group that holds no database; succeeds if it does not exist.
///
/// # Errors
/// `group_in_use`, `timeout`, `forbidden`.
pub async fn remove(session: &Session, group: GroupId, removal: Removal) -> Result<Response<()>> {
    let Removal { wait, timeout, keep_state } = removal;
    session.require(Permission::Admin)?;
    let cluster = session.service().cluster.clone();
    let deadline = timeout.map_or_else(|| deadline(session), |timeout| Instant::now() + timeout);
    let keep_state = keep_state.then_some(true);
    let removed = propose(session, Placement::RemoveGroup { group, keep_state }).await;
    let index = removed.map_err(|error| match error.kind {
        Kind::GroupInUse => {
            let view = cluster.placements.view();
            let held = view.databases.values().filter(|database| {
                database.group == group && database.state != DatabaseState::Reserved
            });
            let held: Vec<_> = held.map(|database| database.name.clone()).collect();
            error.details(json!({"databases": held}))
        }
        _ => error,
    })?;
    if wait {
        let gone = async || {
            cluster.confirmed_placement().await.map(|view| !view.groups.contains_key(&group))
        };
        let message =
            format!("group {group} is being removed, but not all replicas are closed yet");
        wait_until(deadline, &message, gone).await?;
    }
    Ok(Response::at((), index))
}

/// Says which node is to lead a group; none: any.
///
/// # Errors
/// `group_not_found`, `node_not_found`, `not_possible_now`, `forbidden`.
pub async fn pin_leader(
    session: &Session,
    group: GroupId,
    node: Option<String>,
) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let nodes = session.service().cluster.nodes.all();
    let node = node.map(|name| raft_ids(&nodes, &[name]).map(|ids| ids[0])).transpose()?;
    let index = propose(session, Placement::PinLeader { group, node }).await?;
    Ok(Response::at((), index))
}

/// Waits until a database is as it was asked to be: its group has carried the change out.
///
/// # Errors
/// `not_possible_now` when the group has refused it; `timeout`.
pub(super) async fn wait_for_database(session: &Session, name: &str, epoch: u64) -> Result<()> {
    let cluster = session.service().cluster.clone();
    let done = async || {
        let view = cluster.placements.view();
        match view.databases.get(name) {
            Some(known) if known.epoch != epoch => Ok(true),
            Some(known) if known.change().is_some() => Ok(false),
            Some(known) => match &known.problem {
                Some(problem) => Err(Error::new(Kind::NotPossibleNow, problem.clone())),
                None => Ok(true),
            },
            None => Ok(true),
        }
    };
    let message = format!("the change of database {name:?} is decided, but not done yet");
    wait_until(deadline(session), &message, done).await
}

/// Carries a command about groups out, and waits until it is visible on this node.
pub(super) async fn propose(session: &Session, placement: Placement) -> Result<u64> {
    let mut steps = Steps::new(session);
    let command = Command::Placement(Box::new(placement));
    let done = steps.propose_system(Step::Keyed, command).await;
    let index = steps.finish(done.map(|applied| Response::at((), applied.index)))?.index;
    let (system, index) = (session.system()?, index.unwrap_or_default());
    system.wait_visible(index).await?;
    session.service().cluster.placements.refresh(system)?;
    Ok(index)
}

fn deadline(session: &Session) -> Instant {
    Instant::now() + Duration::from_millis(session.config().request_timeout_ms)
}

async fn wait_until(
    deadline: Instant,
    message: &str,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    while !holds().await? {
        if Instant::now() >= deadline {
            return Err(Error::new(Kind::Timeout, message).hint("it goes on by itself"));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(())
}

/// The feature level rises a moment after a cluster is created, or its last node upgraded.
async fn wait_for_level(session: &Session, deadline: Instant) -> Result<()> {
    let system = session.system()?;
    let newest = session.service().cluster.formats.features.newest;
    while system.feature_level()? < GROUPS_LEVEL.min(newest) && Instant::now() < deadline {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(())
}

pub(super) fn raft_ids(nodes: &[NodeDocument], names: &[String]) -> Result<Vec<RaftId>> {
    let known = |name: &String| {
        let found = nodes.iter().find(|node| node.id == *name || node.url == *name);
        found.map(|node| node.raft_id).ok_or_else(|| {
            let all: Vec<_> = nodes.iter().map(|node| node.id.as_str()).collect();
            Error::new(Kind::NodeNotFound, format!("there is no node {name:?}"))
                .hint(format!("the members are: {}", all.join(", ")))
        })
    };
    names.iter().map(known).collect()
}

impl GroupReport {
    /// Whether all of its voters are in and a majority answers its leader.
    pub fn is_ready(&self) -> bool {
        self.state == GroupState::Active && self.status.as_ref().is_some_and(|status| status.ready)
    }
}
