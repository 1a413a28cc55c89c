//! The first start: opening the group this node is a member of, or creating a cluster of one.

use super::identity::{Identity, failed};
use super::nodes::same_address;
use super::secrets::admin_password;
use super::{Cluster, Exit, announce, founding, membership};
use crate::auth::password;
use crate::config::Config;
use crate::engine::members::FIRST_RAFT_ID;
use crate::engine::{Command, catalog, system};
use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use std::time::Duration;

/// Whether this node creates a cluster if it belongs to none.
pub fn makes_cluster(config: &Config) -> bool {
    config.bootstrap || !config.distributed
}

/// Opens the group this node belongs to, or creates a new cluster of one if configured. A crash in
/// the middle is completed by the next start.
pub async fn start(cluster: &Arc<Cluster>) -> Result<()> {
    let identity = cluster.identity();
    if identity.cluster_id.is_none() {
        if makes_cluster(&cluster.config) {
            return found(cluster).await;
        }
        match cluster.config.bootstrap_lowest {
            true => drop(tokio::spawn(found_or_join(cluster.clone()))),
            false => drop(tokio::spawn(announce::ask_peers(cluster.clone()))),
        }
        return Ok(());
    }
    cluster.open(identity.clone()).await?;
    if identity.raft_id == Some(FIRST_RAFT_ID) {
        make_cluster(cluster, identity).await?;
    }
    check_url(cluster).await
}

/// Creates a new cluster of this node.
///
/// # Errors
/// When it cannot be stored; for a password that is too short.
pub async fn found(cluster: &Arc<Cluster>) -> Result<()> {
    let mut identity = cluster.identity();
    identity.cluster_id = Some(uuid::Uuid::now_v7().to_string());
    identity.raft_id = Some(FIRST_RAFT_ID);
    cluster.open(identity.clone()).await?;
    make_cluster(cluster, identity).await
}

/// Without a cluster the process cannot go on.
async fn found_or_join(cluster: Arc<Cluster>) {
    if let Err(error) = founding::run(cluster.clone()).await {
        cluster.end(Exit::Failed(error.to_string()));
    }
}

async fn make_cluster(cluster: &Arc<Cluster>, identity: Identity) -> Result<()> {
    let group = cluster.groups.system()?;
    let made = catalog::database(&group.read()?, system::DATABASE)?.is_some();
    if made {
        return Ok(());
    }
    let password = admin_password(&cluster.config)?;
    password::check_password("admin", &password)?;
    group.initialize(&cluster.config.peer_url()).await?;
    let admin_hash = tokio::task::spawn_blocking(move || password::hash(&password));
    let admin_hash = admin_hash.await.map_err(failed)??;
    group.wait_until(Duration::from_secs(10), |status| status.is_leader()).await;
    let command = Command::InitCluster {
        cluster_id: identity.cluster_id.unwrap_or_default(),
        node: identity.node_id,
        url: cluster.config.url(),
        admin_hash,
        time_ms: group.time_ms(),
    };
    group.propose(command).await?;
    let (raft_id, program) = (FIRST_RAFT_ID, cluster.program());
    let applied = group.propose(Command::ClusterAnnounce { raft_id, program }).await?;
    group.wait_visible(applied.index).await
}

/// Compares the address in the members' collection with the configured one. A cluster of one adopts
/// the new address; a member of a larger one must be removed and added.
async fn check_url(cluster: &Arc<Cluster>) -> Result<()> {
    let url = cluster.config.url();
    let Some(node) = cluster.nodes.by_raft_id(cluster.groups.system()?.raft_id()) else {
        return Ok(());
    };
    if same_address(&node.url, &url) {
        return Ok(());
    }
    if cluster.nodes.all().len() > 1 {
        let message =
            format!("AdvertiseUrl: the cluster knows this node at {}, not {url}", node.url);
        return Err(Error::new(Kind::InvalidParameter, message).hint(
            "start it at the old address, or remove it and add it again with an empty DataDir",
        ));
    }
    membership::move_alone(cluster, &node, url).await
}
