//! The cluster's members: what they are and how they are; admitted, removed, stopped, paused and
//! promoted.

use super::{Response, Service, Session};
use crate::auth::Permission;
use crate::cluster::admin::{Drain, Force};
use crate::cluster::audit;
use crate::cluster::health::Health;
use crate::cluster::nodes::same_address;
use crate::cluster::report::ClusterReport;
use crate::config::check_url;
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::error::{Error, Kind, Result};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks at what is waited for.
const LOOK_PAUSE: Duration = Duration::from_millis(30);

/// Whether this node serves calls, and why not.
pub fn health(service: &Service) -> Health {
    service.cluster.health()
}

/// The state of the cluster, as its leader knows it; while no leader answers, as this node does.
///
/// # Errors
/// `not_authenticated`.
pub async fn report(session: &Session) -> Result<Response<ClusterReport>> {
    session.require(Permission::Login)?;
    Ok(Response::new(session.service().cluster.shared_report().await))
}

/// Admits the node at a URL; returns its name. It becomes a voter by itself.
///
/// # Errors
/// Those of [`Cluster::register`](crate::cluster::Cluster::register); `forbidden`.
pub async fn register(
    session: &Session,
    url: &str,
    description: Option<String>,
) -> Result<Response<String>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.register(url, description, None, &session.caller()).await.map(Response::new)
}

/// An address with its scheme, which is that of this node unless the address has one.
fn full_address(address: &str, tls: bool) -> String {
    match address.contains("://") {
        true => address.to_owned(),
        false => format!("{}://{address}", if tls { "https" } else { "http" }),
    }
}

/// Admits the node at an address, with a scheme or without, under the name that it is expected to have, if
/// one is given; with `wait` it returns once the node is connected.
///
/// # Errors
/// Those of [`register`]; `node_conflict` if a member has that name and another address, or the node there
/// has another name; `timeout`.
pub async fn add_node(
    session: &Session,
    name: Option<&str>,
    url: &str,
    wait: bool,
) -> Result<Response<NodeDocument>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let url = full_address(url, session.config().serves_tls());
    cluster.confirmed_placement().await?;
    if let Some(name) = name
        && let Some(known) = cluster.nodes.all().iter().find(|node| node.id == name)
        && !same_address(&known.url, &check_url(&url)?)
    {
        let message = format!(
            "node already exist but host/port is not same: {name:?} is at {}, not at {url}",
            known.url
        );
        return Err(Error::new(Kind::NodeConflict, message)
            .hint("remove that node first, or give the new one another name")
            .details(json!({"registered": known.url, "requested": url})));
    }
    let added = cluster.register(&url, None, name, &session.caller()).await?;
    let deadline = Instant::now() + Duration::from_millis(session.config().request_timeout_ms);
    loop {
        cluster.confirmed_placement().await?;
        let found = cluster.nodes.all().iter().find(|node| node.id == added).cloned();
        match found {
            Some(node) if !wait || node.status == NodeStatus::Active => {
                return Ok(Response::at(node, session.system()?.visible_index()));
            }
            _ if Instant::now() >= deadline => {
                let message = format!("node {added:?} is admitted, but is not connected yet");
                return Err(Error::new(Kind::Timeout, message).hint("it goes on by itself"));
            }
            _ => tokio::time::sleep(LOOK_PAUSE).await,
        }
    }
}

/// Removes a node, and waits until it is out; succeeds if there is no such node. Its replicas of groups
/// go to other nodes first.
///
/// # Errors
/// `would_lose_quorum`, `not_possible_now`, `timeout`, `forbidden`; without draining `node_in_use`.
pub async fn deregister(
    session: &Session,
    node: &str,
    force: Force,
    drain: Drain,
) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.deregister(node, force, drain, &session.caller()).await.map(Response::new)
}

/// Ends the process of a node.
///
/// # Errors
/// `node_not_found`, `would_lose_quorum`, `not_possible_now`, `forbidden`.
pub async fn stop(session: &Session, node: &str, force: Force) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.stop(node, false, force, &session.caller()).await.map(Response::new)
}

/// Ends the process of a node and starts it again.
///
/// # Errors
/// `node_not_found`, `not_possible_now`, `forbidden`.
pub async fn restart(session: &Session, node: &str) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.stop(node, true, Force::No, &session.caller()).await.map(Response::new)
}

/// Takes client calls and leadership away from a node; it goes on voting.
///
/// # Errors
/// `node_not_found`, `not_possible_now`, `forbidden`.
pub async fn pause(session: &Session, node: &str) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.pause(node, &session.caller()).await.map(Response::new)
}

/// Ends what [`pause`] began.
///
/// # Errors
/// `node_not_found`, `not_possible_now`, `forbidden`.
pub async fn resume(session: &Session, node: &str) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.resume(node, &session.caller()).await.map(Response::new)
}

/// Hands leadership to a node.
///
/// # Errors
/// `node_not_found`, `not_possible_now`, `forbidden`.
pub async fn promote(session: &Session, node: &str) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.promote(node).await?;
    // The next leader has it in its log.
    audit::record(cluster, session.caller(), "cluster_promote", node, "ok");
    Ok(Response::new(()))
}

/// Sets the feature level that is not exceeded; none: the newest that all members support.
///
/// # Errors
/// `invalid_parameter` if it is less than the level in force; `forbidden`.
pub async fn set_max_feature_level(session: &Session, max: Option<u32>) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.set_max_feature_level(max, &session.caller()).await.map(Response::new)
}
