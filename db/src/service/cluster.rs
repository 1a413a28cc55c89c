//! The cluster's members: what they are and how they are; admitted, removed, stopped, paused and
//! promoted.

use super::{Response, Service, Session};
use crate::auth::Permission;
use crate::cluster::admin::Force;
use crate::cluster::audit;
use crate::cluster::health::Health;
use crate::cluster::report::ClusterReport;
use crate::error::Result;

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
    cluster.register(url, description, &session.caller()).await.map(Response::new)
}

/// Removes a node, and waits until it is out; succeeds if there is no such node.
///
/// # Errors
/// `would_lose_quorum`, `not_possible_now`, `timeout`, `forbidden`.
pub async fn deregister(session: &Session, node: &str, force: Force) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.deregister(node, force, &session.caller()).await.map(Response::new)
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
