//! The first start: identity, secret and password files, and making a cluster of one.

use super::Cluster;
use super::nodes::same_address;
use crate::auth::password;
use crate::config::Config;
use crate::engine::members::FIRST_RAFT_ID;
use crate::engine::{Command, catalog, system};
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::hex;
use crate::raft::types::RaftId;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const IDENTITY_FILE: &str = "identity.json";
/// Directory of the groups' logs and states in the data directory.
pub const GROUPS: &str = "groups";
const RESTORE: &str = "restore it from a copy of the data directory, or remove this node from its \
                       cluster, give it an empty DataDir and register it again";
const PASSWORD_FILE: &str = "admin-password";

/// Who a node is; kept in `DataDir/identity.json`, apart from the state it could lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub node_id: String,
    /// The cluster it belongs to, once it does.
    pub cluster_id: Option<String>,
    /// Its number in Raft, once it has one.
    pub raft_id: Option<RaftId>,
    /// Whether it holds a part of the cluster's state; without that it must not vote.
    #[serde(default)]
    pub formed: bool,
}

impl Identity {
    /// Reads the identity of the data directory, or makes a new one.
    ///
    /// # Errors
    /// When the configured `NodeID` is not the one the data belongs to, when the identity cannot
    /// be read, or is missing although there is data.
    pub fn load(config: &Config) -> Result<Self> {
        let path = config.data_dir.join(IDENTITY_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Identity::make(config);
            }
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                return Err(Error::new(Kind::Internal, message).hint(RESTORE));
            }
        };
        let identity: Identity = serde_json::from_str(&text).map_err(|error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Error::new(Kind::Internal, message).hint(RESTORE)
        })?;
        match &config.node_id {
            Some(wanted) if *wanted != identity.node_id => {
                let message = format!(
                    "NodeID: the data in {} belongs to node {:?}, not {wanted:?}",
                    config.data_dir.display(),
                    identity.node_id
                );
                Err(Error::new(Kind::InvalidParameter, message)
                    .hint("use the old NodeID, or another DataDir for a new node"))
            }
            _ => Ok(identity),
        }
    }

    /// Makes the identity of a new node.
    fn make(config: &Config) -> Result<Self> {
        if config.data_dir.join(GROUPS).exists() {
            let dir = config.data_dir.display();
            let message = format!("{dir} holds the state of a member, but no {IDENTITY_FILE}");
            return Err(Error::new(Kind::StaleNode, message).hint(RESTORE));
        }
        let node_id = config.node_id.clone().map_or_else(random_name, Ok)?;
        let identity = Identity { node_id, cluster_id: None, raft_id: None, formed: false };
        identity.save(&config.data_dir)?;
        Ok(identity)
    }

    /// Stores the identity so that it survives a power cut.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(failed)?;
        write_private(&dir.join(IDENTITY_FILE), &text)
    }

    /// Whether both are the same member of the same cluster.
    pub fn names_same(&self, other: &Identity) -> bool {
        let names = |identity: &Identity| {
            (identity.node_id.clone(), identity.cluster_id.clone(), identity.raft_id)
        };
        names(self) == names(other)
    }

    /// Checks that an invitation fits what this node is already.
    pub fn check_same(&self, other: &Identity) -> Result<()> {
        if self.names_same(other) {
            return Ok(());
        }
        let message = format!(
            "node {:?} belongs to cluster {} as member {}",
            self.node_id,
            self.cluster_id.as_deref().unwrap_or("none"),
            self.raft_id.unwrap_or(0)
        );
        Err(Error::new(Kind::ForeignCluster, message)
            .hint("stop it and give it an empty DataDir before it joins another cluster"))
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("node-{}", hex(&bytes)))
}

/// Writes a file that only this user can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let temporary = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error: std::io::Error| failed(format!("{}: {error}", path.display())))
}

/// Takes the data directory for this process alone.
///
/// # Errors
/// When it cannot be made, or another process holds it.
pub fn lock_data_dir(dir: &Path) -> Result<std::fs::File> {
    std::fs::create_dir_all(dir).map_err(|error| failed(format!("{}: {error}", dir.display())))?;
    let path = dir.join("lock");
    let file = std::fs::File::create(&path).map_err(failed)?;
    file.try_lock().map_err(|_| {
        Error::new(
            Kind::InvalidParameter,
            format!("DataDir: {} is used by another node", dir.display()),
        )
        .hint("stop that node, or give this one another DataDir")
    })?;
    Ok(file)
}

/// The cluster secret: from the configuration, what a join token has brought, or from the file
/// of this user, which is made at the first start. Nodes of one user on one machine share it
/// without being told. None when a join token is still to bring it.
pub fn cluster_secret(config: &Config, identity: &Identity) -> Result<Option<String>> {
    if let Some(secret) = &config.cluster_secret {
        return Ok(Some(secret.clone()));
    }
    if let Some(path) = &config.cluster_secret_file {
        return read_secret("ClusterSecretFile", path).map(Some);
    }
    let kept = config.kept_secret();
    if kept.exists() {
        return read_secret("DataDir", &kept).map(Some);
    }
    if config.has_join_token() && identity.cluster_id.is_none() {
        return Ok(None);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).ok_or_else(|| {
        Error::new(Kind::InvalidParameter, "there is no home directory for the cluster secret")
            .hint("set ClusterSecretFile, or JETTRA_CLUSTER_SECRET")
    })?;
    let path = home.join(".jettra").join("cluster-secret");
    if !path.exists() {
        std::fs::create_dir_all(home.join(".jettra")).map_err(failed)?;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(failed)?;
        create_once(&path, &hex(&bytes))?;
    }
    read_secret("ClusterSecretFile", &path).map(Some)
}

/// Keeps the secret that a join token has brought.
pub fn keep_secret(config: &Config, secret: &str) -> Result<()> {
    write_private(&config.kept_secret(), secret)
}

/// The token for joining.
pub fn join_token(config: &Config) -> Result<String> {
    match (&config.join_token, &config.join_token_file) {
        (_, Some(path)) => read_secret("JoinTokenFile", path),
        (token, None) => Ok(token.as_deref().unwrap_or_default().trim().to_owned()),
    }
}

/// Creates a file with this text unless it exists; two nodes may start at the same moment.
fn create_once(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    write_private(&temporary, text)?;
    let linked = std::fs::hard_link(&temporary, path);
    let _ = std::fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

fn read_secret(key: &str, path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            Kind::InvalidParameter,
            format!("{key}: {} cannot be read: {error}", path.display()),
        )
    })?;
    let secret = text.trim().to_owned();
    if secret.len() < 16 {
        let message = format!("{key}: {} holds fewer than 16 characters", path.display());
        return Err(
            Error::new(Kind::InvalidParameter, message).hint("make one with: openssl rand -hex 32")
        );
    }
    Ok(secret)
}

/// Where a person finds the admin password of a cluster made by this node.
pub fn admin_password_place(config: &Config) -> String {
    match (&config.admin_password, &config.admin_password_file) {
        (Some(_), _) => "as configured (AdminPassword)".into(),
        (_, Some(path)) => path.display().to_string(),
        _ => config.data_dir.join(PASSWORD_FILE).display().to_string(),
    }
}

fn admin_password(config: &Config) -> Result<String> {
    if let Some(password) = &config.admin_password {
        return Ok(password.clone());
    }
    if let Some(path) = &config.admin_password_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("AdminPasswordFile: {} cannot be read: {error}", path.display());
            Error::new(Kind::InvalidParameter, message)
        })?;
        return Ok(text.trim().to_owned());
    }
    let path = config.data_dir.join(PASSWORD_FILE);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(failed)?;
    let password = hex(&bytes);
    write_private(&path, &password)?;
    Ok(password)
}

/// Whether this node makes a cluster when it belongs to none.
pub fn makes_cluster(config: &Config) -> bool {
    config.bootstrap || !config.distributed
}

/// Opens the group this node belongs to, or makes a new cluster of one if it is to. A crash
/// in the middle is finished by the next start.
pub async fn start(cluster: &Arc<Cluster>) -> Result<()> {
    let mut identity = cluster.identity();
    if identity.cluster_id.is_none() {
        if !makes_cluster(&cluster.config) {
            tokio::spawn(super::announce::ask_peers(cluster.clone()));
            return Ok(());
        }
        identity.cluster_id = Some(uuid::Uuid::now_v7().to_string());
        identity.raft_id = Some(FIRST_RAFT_ID);
    }
    cluster.open(identity.clone()).await?;
    if identity.raft_id == Some(FIRST_RAFT_ID) {
        make_cluster(cluster, identity).await?;
    }
    check_url(cluster).await
}

async fn make_cluster(cluster: &Arc<Cluster>, identity: Identity) -> Result<()> {
    let group = cluster.group()?;
    let made = catalog::database(&group.read()?, system::DATABASE)?.is_some();
    if made {
        return Ok(());
    }
    let password = admin_password(&cluster.config)?;
    password::check_password("admin", &password)?;
    group.initialize(&cluster.config.url()).await?;
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
    let applied = group.propose(command).await?;
    group.wait_visible(applied.index).await
}

/// Compares the address in the members' collection with the configured one. A cluster of one
/// takes the new address over; a member of a larger one must be removed and added.
async fn check_url(cluster: &Arc<Cluster>) -> Result<()> {
    let url = cluster.config.url();
    let Some(node) = cluster.nodes.by_raft_id(cluster.group()?.raft_id()) else {
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
    super::membership::move_alone(cluster, &node, url).await
}
