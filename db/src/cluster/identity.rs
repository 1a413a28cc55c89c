//! The identity of this node, and the files of its data directory that hold it.

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::format::IDENTITY;
use crate::raft::node_key::hex;
use crate::raft::types::RaftId;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const IDENTITY_FILE: &str = "identity.json";
/// Directory of the groups' logs and states in the data directory.
pub const GROUPS: &str = "groups";
const RESTORE: &str = "restore it from a copy of the data directory, or remove this node from its \
                       cluster, give it an empty DataDir and register it again";

/// The identity of a node; kept in `DataDir/identity.json`, apart from the state that it could
/// lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub node_id: String,
    /// The cluster it belongs to, if any.
    pub cluster_id: Option<String>,
    /// Its number in Raft, if it has one.
    pub raft_id: Option<RaftId>,
    /// Whether it holds a part of the cluster's state; without that it must not vote.
    #[serde(default)]
    pub formed: bool,
}

/// The number in the file; 0 in one that was written before there were numbers.
#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    format: u32,
}

#[derive(Serialize)]
struct IdentityFile<'i> {
    format: u32,
    #[serde(flatten)]
    identity: &'i Identity,
}

impl Identity {
    /// Reads the identity of the data directory, or creates one.
    ///
    /// # Errors
    /// When the configured `NodeID` is not that of the data, or when the identity cannot be read or
    /// is missing although there is data.
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
        let unreadable = |error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Error::new(Kind::Internal, message).hint(RESTORE)
        };
        let Numbered { format } = serde_json::from_str(&text).map_err(unreadable)?;
        IDENTITY.check(format, &path.display().to_string())?;
        let identity: Identity = serde_json::from_str(&text).map_err(unreadable)?;
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

    /// Creates the identity of a new node.
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
        let file = IdentityFile { format: IDENTITY.number(), identity: self };
        let text = serde_json::to_string_pretty(&file).map_err(failed)?;
        write_private(&dir.join(IDENTITY_FILE), &text)
    }

    /// Whether both are the same member of the same cluster.
    pub fn names_same(&self, other: &Identity) -> bool {
        let names = |identity: &Identity| {
            (identity.node_id.clone(), identity.cluster_id.clone(), identity.raft_id)
        };
        names(self) == names(other)
    }

    /// Checks that an invitation matches this node's identity.
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

pub(super) fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("node-{}", hex(&bytes)))
}

/// Writes a file that only this user can read, atomically.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
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

/// Locks the data directory for this process.
///
/// # Errors
/// When it cannot be created, or another process holds it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_identity_of_another_format_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let flags = BTreeMap::from([("DataDir", dir.path().display().to_string())]);
        let config = Config::load(None, |_| None, &flags).unwrap();
        let identity = Identity::load(&config).unwrap();
        assert_eq!(Identity::load(&config), Ok(identity));
        let path = dir.path().join(IDENTITY_FILE);
        for (text, number) in [(r#"{"format": 7, "name": "a"}"#, 7), (r#"{"node_id": "a"}"#, 0)] {
            std::fs::write(&path, text).unwrap();
            let error = Identity::load(&config).unwrap_err();
            let expected =
                format!("format {number} of the identity of a node, and this node reads 1");
            assert!(error.message.ends_with(&expected), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
