//! Where a request is carried out, and what is waited for before.

use super::{Service, Session};
use crate::cluster::forward::{self, Destination, destination};
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::error::{Error, Kind, Result};
use crate::raft::proposer::not_leader;
use crate::raft::types::SYSTEM_GROUP;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before a request is attempted again while there is no leader.
const PAUSE: Duration = Duration::from_millis(25);
/// Time between two looks whether the leader that is asked about a caller is still heard.
const HEARD_PAUSE: Duration = Duration::from_millis(100);
/// Leaders that are asked about a caller while one follows the other.
const LEADERS_MAX: usize = 4;

/// Where a request is carried out, and what is waited for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the node that received it; in a transaction, on the leader, which holds it.
    Here(Wait),
    /// On the leader.
    Leader(Wait),
}

/// What a node waits for before it carries a request out. Users change while requests are under
/// way, and nodes learn of it one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: the response is for everybody, or for nodes.
    Nothing,
    /// Until its state is as fresh as the session's read level asks for; then the caller must
    /// still be the one that was admitted.
    Level,
    /// Until the leader has confirmed the caller's rights. When no leader answers, what this
    /// node knows must do: the response is about the cluster, and is wanted most then.
    Rights,
    /// Until it sees, as the leader, what its predecessors have acknowledged; then the caller
    /// must still be the one that was admitted. What it proposes is compared again by apply.
    Ready,
}

/// From where a request came to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From a client, or from a member on its own behalf.
    Caller,
    /// From a member that has forwarded it. It is not forwarded again: that member tries again.
    Forwarded,
}

impl Place {
    /// Whether a read level is waited for.
    pub fn reads(self) -> bool {
        matches!(self, Place::Here(Wait::Level) | Place::Leader(Wait::Level))
    }

    /// Whether it is carried out on the node that received it, outside of a transaction.
    pub fn is_here(self) -> bool {
        matches!(self, Place::Here(_))
    }
}

/// Carries a request out where it belongs: by `here` on this node, or by `there` on the leader, of
/// which it gets the URL. While there is no leader it waits for one, as long as the request has
/// surely not been proposed.
///
/// # Errors
/// Those of waiting, of `here` and of `there`, which says `no_leader` when the request was not
/// carried out because that node does not lead either.
pub async fn carry_out<T>(
    session: &Session,
    place: Place,
    origin: Origin,
    here: impl AsyncFn() -> Result<T>,
    there: impl AsyncFn(&str) -> Result<T>,
) -> Result<T> {
    let wait = match place {
        Place::Here(Wait::Nothing) => return here().await,
        Place::Here(Wait::Rights) if session.transaction.is_none() => {
            confirm_rights(session, origin).await?;
            return here().await;
        }
        Place::Here(_) => Wait::Level,
        Place::Leader(wait) => wait,
    };
    let on_replica = matches!(place, Place::Here(_)) && session.transaction.is_none();
    let deadline = Instant::now() + Duration::from_millis(session.config().request_timeout_ms);
    loop {
        let done = match on_replica && is_readable_here(session) {
            true => on_this_replica(session, &here).await,
            false if on_replica && origin == Origin::Caller => {
                on_some_replica(session, &there).await
            }
            false => on_leader(session, wait, origin, &here, &there).await,
        };
        let error = match done {
            Err(error) if matches!(error.kind, Kind::NoLeader | Kind::PlacementChanged) => error,
            done => return done,
        };
        if origin == Origin::Forwarded || Instant::now() + PAUSE >= deadline {
            return Err(error);
        }
        match error.kind {
            Kind::PlacementChanged => session.service().look_again(deadline).await,
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether this node has a replica of the request's group that is up to date, or about to be.
fn is_readable_here(session: &Session) -> bool {
    let cluster = &session.service().cluster;
    let number = session.group_number();
    number == SYSTEM_GROUP || cluster.groups.get(number).is_ok() && cluster.has_active(number)
}

async fn on_this_replica<T>(session: &Session, here: &impl AsyncFn() -> Result<T>) -> Result<T> {
    // Nothing more comes to a node that is removed, so it would wait in vain.
    session.service().check_member()?;
    session.wait_for_level().await?;
    let known = session.group_rights()?;
    let answer = here().await?;
    // What was read may be newer than what the rights were compared with.
    if session.group_rights()? != known {
        session.confirm_rights().await?;
    }
    Ok(answer)
}

/// Has a read of a group of which this node has no replica carried out by one that has: the leader, or
/// while there is none any other.
async fn on_some_replica<T>(
    session: &Session,
    there: &impl AsyncFn(&str) -> Result<T>,
) -> Result<T> {
    let cluster = &session.service().cluster;
    let number = session.group_number();
    let url = match cluster.leader_of(number).await {
        Ok(url) => url,
        Err(error) if error.kind == Kind::NoLeader => {
            cluster.some_replica(number).ok_or_else(not_leader)?
        }
        Err(error) => return Err(error),
    };
    let answer = there(&url).await;
    if answer.is_err() {
        cluster.forget_leader(number);
    }
    answer
}

async fn on_leader<T>(
    session: &Session,
    wait: Wait,
    origin: Origin,
    here: &impl AsyncFn() -> Result<T>,
    there: &impl AsyncFn(&str) -> Result<T>,
) -> Result<T> {
    let cluster = &session.service().cluster;
    let number = session.group_number();
    if number != SYSTEM_GROUP && cluster.groups.get(number).is_err() {
        if origin == Origin::Forwarded {
            return Err(not_leader());
        }
        let answer = there(&cluster.leader_of(number).await?).await;
        // One that does not answer may have been replaced.
        if answer.is_err() {
            cluster.forget_leader(number);
        }
        return answer;
    }
    let group = session.group()?;
    match destination(group.is_leader(), group.leader(), group.raft_id()) {
        Destination::Here => {
            if let Some(user) = session.known_user() {
                match wait {
                    Wait::Level => session.wait_for_level().await?,
                    _ => {
                        group.wait_ready().await?;
                        user.confirm(session.system()?)?;
                    }
                }
            }
            here().await
        }
        Destination::There(leader) if origin == Origin::Caller => {
            there(&group.url(leader).ok_or_else(not_leader)?).await
        }
        _ => Err(not_leader()),
    }
}

/// Waits until the leader has confirmed the caller's rights, as long as this node hears a leader.
async fn confirm_rights(session: &Session, origin: Origin) -> Result<()> {
    let group = session.system()?;
    for _ in 0..LEADERS_MAX {
        let leader = group.leader();
        let asking = async {
            match destination(group.is_leader(), leader, group.raft_id()) {
                Destination::Here => group.wait_linearizable().await.map(drop),
                Destination::There(leader) if origin == Origin::Caller => {
                    let cluster = &session.service().cluster;
                    let url = group.url(leader).ok_or_else(not_leader)?;
                    let from = session.from.as_deref();
                    forward::confirm_user(cluster, &url, session.user()?, from).await
                }
                _ => Ok(()),
            }
        };
        let replaced = async {
            while group.leader() == leader {
                tokio::time::sleep(HEARD_PAUSE).await;
            }
        };
        let asked = tokio::select! {
            asked = asking => asked,
            () = replaced => Ok(()),
        };
        match asked {
            Err(error) if error.kind == Kind::UserChanged => return Err(error),
            // Its successor knows what it had acknowledged.
            _ if group.leader().is_some() && group.leader() != leader => {}
            _ => break,
        }
    }
    session.confirm_user()
}

/// Whether a request may begin again, from the admission of its caller on: the caller was changed
/// meanwhile, and nothing was done yet, else the error would be another. A request that was
/// forwarded begins again where it came in.
pub fn begins_again(error: &Error, origin: Origin) -> bool {
    error.kind == Kind::UserChanged && origin == Origin::Caller
}

impl Service {
    /// Waits until this node knows where databases are as well as any other does now, or for a moment
    /// while no majority says so.
    async fn look_again(&self, deadline: Instant) {
        let looked = tokio::time::timeout_at(deadline, self.cluster.confirmed_placement()).await;
        if let Ok(Err(error)) = looked {
            tracing::debug!(%error, "the placement could not be confirmed");
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// Waits until this node knows of users and tokens as much as any other does now.
    ///
    /// # Errors
    /// `no_leader`, `timeout`.
    pub async fn catch_up(&self) -> Result<()> {
        self.cluster.groups.system()?.wait_linearizable().await.map(drop)
    }

    /// Refuses to serve on a node that is removed.
    ///
    /// # Errors
    /// `removed`.
    pub fn check_member(&self) -> Result<()> {
        match self.cluster.is_removed() {
            true => Err(Error::new(Kind::Removed, "this node was removed from its cluster")
                .hint("use another node")),
            false => Ok(()),
        }
    }

    /// Refuses to serve on a node that is paused or removed.
    ///
    /// # Errors
    /// `removed`, `paused`.
    pub fn check_serving(&self) -> Result<()> {
        self.check_member()?;
        let me = self.cluster.groups.system()?.raft_id();
        let paused = |node: &NodeDocument| node.raft_id == me && node.status == NodeStatus::Paused;
        if self.cluster.nodes.all().iter().any(paused) {
            return Err(Error::new(Kind::Paused, "this node is paused")
                .hint("use another node, or resume this one"));
        }
        Ok(())
    }
}
