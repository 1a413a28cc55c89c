//! The cluster secret, the join token and the first password: where they are configured or kept.

use super::identity::{Identity, failed, write_private};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::hex;
use std::path::{Path, PathBuf};

const PASSWORD_FILE: &str = "admin-password";

/// The cluster secret: from the configuration, from a join token, or from the file of this user,
/// which is created at the first start. Nodes of one user on one machine share it without
/// configuration. None if a join token is still to provide it.
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

/// Stores the secret that a join token has provided.
pub fn keep_secret(config: &Config, secret: &str) -> Result<()> {
    write_private(&config.kept_secret(), secret)
}

/// The join token.
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

/// Where a person finds the admin password of a cluster created by this node.
pub fn admin_password_place(config: &Config) -> String {
    match (&config.admin_password, &config.admin_password_file) {
        (Some(_), _) => "as configured (AdminPassword)".into(),
        (_, Some(path)) => path.display().to_string(),
        _ => config.data_dir.join(PASSWORD_FILE).display().to_string(),
    }
}

/// The password of the first user; created and written to a file unless it is configured.
pub(super) fn admin_password(config: &Config) -> Result<String> {
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
