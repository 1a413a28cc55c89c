//! Groups of replicas over HTTP.

use super::call::Call;
use super::describe::{CLUSTER, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::cluster::placement::report::{GroupReport, ReplicaReport};
use crate::config::WAIT_MS_MAX;
use crate::engine::placement;
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::service::groups::{self, NewGroup, Removal};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    self, GroupReply, GroupState, LeaderPin, ReplicaInfo, ReplicaState, StatusReply,
};
use std::rc::Rc;
use std::time::Duration;

impl IntoWire for ReplicaReport {
    type Wire = ReplicaInfo;
    fn into_wire(self) -> ReplicaInfo {
        let ReplicaReport { node, placed, wanted, voter, lag, silent_ms, progress, problem: _ } =
            self;
        let (copied, copy_total) = progress.and_then(|joins| joins.copied).unzip();
        let left = progress.map(|joins| (joins.bytes_left, joins.left_ms));
        let (bytes_left, left_ms) = left.unwrap_or_default();
        let state = placed.map(|(_, state)| match state {
            placement::ReplicaState::Joining => ReplicaState::Joining,
            placement::ReplicaState::Active => ReplicaState::Active,
        });
        let replica = placed.map(|(id, _)| id);
        ReplicaInfo {
            node,
            replica,
            state,
            wanted,
            voter,
            lag,
            silent_ms,
            copied,
            copy_total,
            bytes_left,
            left_ms,
        }
    }
}

impl IntoWire for GroupReport {
    type Wire = GroupReply;
    fn into_wire(self) -> GroupReply {
        let ready = self.is_ready();
        let founded = |replica: &ReplicaReport| {
            matches!(replica.placed, Some((_, placement::ReplicaState::Active)))
        };
        let status = self.status.as_ref();
        GroupReply {
            waits_for: self.waits_for(),
            id: self.group.into(),
            state: match self.state {
                placement::GroupState::Creating => GroupState::Creating,
                placement::GroupState::Active => GroupState::Active,
                placement::GroupState::Removing => GroupState::Removing,
            },
            ready,
            initialized: self.replicas.iter().any(founded),
            leader: self.leader,
            pinned_leader: self.pinned,
            term: status.map(|status| status.term),
            last_log_index: status.map(|status| status.last_log),
            first_log_index: status.map(|status| status.first_log),
            applied_index: status.map(|status| status.applied),
            replication_factor: self.replication_factor,
            members: self.members,
            observers: self.observers,
            replicas: self.replicas.into_iter().map(IntoWire::into_wire).collect(),
            databases: self.databases,
        }
    }
}

/// The number of the group that a call is about.
fn number(call: &Call) -> Result<GroupId> {
    let text = call.required(&["group"])?;
    text.parse().map_err(|_| bad_number(text))
}

fn bad_number(text: &str) -> Error {
    Error::new(Kind::InvalidParameter, format!("{text:?} is not the number of a group"))
        .hint("use a whole number; list the groups to see theirs")
}

/// Whether a call waits for something, which `wait=` names.
pub(super) fn waits(call: &Call, what: &str) -> Result<bool> {
    match call.parameter(&["wait"]) {
        None => Ok(false),
        Some(given) if given == what => Ok(true),
        Some(other) => Err(Error::new(Kind::InvalidParameter, format!("wait={other} is unknown"))
            .hint(format!("use wait={what}, or leave it out"))),
    }
}

/// A parameter that is true or false; false if it is not given.
pub(super) fn flag(call: &Call, name: &str) -> Result<bool> {
    match call.parameter(&[name]) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            Err(Error::new(Kind::InvalidParameter, format!("{name}={other} is unknown"))
                .hint("use true or false, or leave it out"))
        }
    }
}

/// `GET /api/v1/groups`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || describe(CLUSTER, "List the groups of replicas").gives::<Vec<GroupReply>>(200).reads(),
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let groups = groups::list(&call.session).await?;
    Ok(Reply::of(groups.map(|groups| {
        Reply::json(&groups.into_iter().map(IntoWire::into_wire).collect::<Vec<_>>())
    })))
}

/// `GET /api/v1/groups/{group}`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(CLUSTER, "Tell the state of a group")
            .gives::<GroupReply>(200)
            .reads()
            .fails(&[Kind::GroupNotFound])
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let group = groups::get(&call.session, number(&call)?).await?;
    Ok(Reply::of(group.map(|group| Reply::json(&group.into_wire()))))
}

/// `POST /api/v1/groups`
pub const CREATE: Endpoint = Endpoint::new(
    |call| Box::pin(create(call)),
    || {
        describe(CLUSTER, "Create a group of replicas; wait=ready waits until it serves")
            .query("wait")
            .body::<wire::NewGroup>()
            .gives::<GroupReply>(201)
            .writes()
            .fails(&[
                Kind::GroupExists,
                Kind::NodeNotFound,
                Kind::InvalidParameter,
                Kind::NotPossibleNow,
            ])
    },
);

async fn create(call: Rc<Call>) -> Result<Reply> {
    let wire::NewGroup { id, members, replication_factor, observers } = call.json()?;
    let group = GroupId::try_from(id).map_err(|_| bad_number(&id.to_string()))?;
    let new = NewGroup { group, members, replication_factor, observers };
    let created = groups::create(&call.session, new, waits(&call, "ready")?).await?;
    Ok(Reply::of(created.map(|group| Reply::json(&group.into_wire()).with_status(201))))
}

/// `DELETE /api/v1/groups/{group}`
pub const REMOVE: Endpoint = Endpoint::new(
    |call| Box::pin(remove(call)),
    || {
        describe(
            CLUSTER,
            "Remove a group that holds no database; succeeds if it does not exist; wait=stopped \
             waits until all replicas are closed, for timeout_ms at most; snapshot=true keeps the \
             directory of each replica",
        )
        .query("wait timeout_ms snapshot")
        .gives::<StatusReply>(200)
        .writes()
        .fails(&[Kind::GroupInUse, Kind::InvalidParameter])
    },
);

async fn remove(call: Rc<Call>) -> Result<Reply> {
    let removal = Removal {
        wait: waits(&call, "stopped")?,
        timeout: match call.number("timeout_ms", 0, WAIT_MS_MAX)? {
            0 => None,
            given => Some(Duration::from_millis(given)),
        },
        keep_state: flag(&call, "snapshot")?,
    };
    let removed = groups::remove(&call.session, number(&call)?, removal).await?;
    Ok(Reply::of(removed.map(|()| Reply::status("removed"))))
}

/// `PUT /api/v1/groups/{group}/leader`
pub const PIN_LEADER: Endpoint = Endpoint::new(
    |call| Box::pin(pin_leader(call)),
    || {
        describe(CLUSTER, "Say which node is to lead a group, or let any lead it")
            .body::<LeaderPin>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(&[Kind::GroupNotFound, Kind::NodeNotFound, Kind::NotPossibleNow])
    },
);

async fn pin_leader(call: Rc<Call>) -> Result<Reply> {
    let LeaderPin { node } = call.json()?;
    let pinned = groups::pin_leader(&call.session, number(&call)?, node).await?;
    Ok(Reply::of(pinned.map(|()| Reply::status("set"))))
}
