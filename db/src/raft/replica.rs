//! The directory of a replica: whose it is and in which format stands in `replica.json`, which is
//! read before anything else of the directory is opened.

use super::snapshot::Owner;
use crate::error::{Error, Kind, Result};
use crate::format::REPLICA;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;

const REPLICA_FILE: &str = "replica.json";
/// The log in the directory.
pub(super) const LOG: &str = "log";

#[derive(Deserialize)]
struct Numbered {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct ReplicaFile {
    format: u32,
    #[serde(flatten)]
    owner: Owner,
}

/// The replica that a directory belongs to; none if it is new.
///
/// # Errors
/// `stale_node` if it has a format that this program does not read; when the file cannot be read.
pub fn owner_of(dir: &Path) -> Result<Option<Owner>> {
    let path = dir.join(REPLICA_FILE);
    let place = path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::new(Kind::StaleNode, format!("{place} cannot be read: {error}"))
            .hint("restore it from a copy of the data directory")
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Written before there were numbers.
            return match dir.join(LOG).exists() {
                true => REPLICA.check(0, &place).map(|()| None),
                false => Ok(None),
            };
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let Numbered { format } = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    REPLICA.check(format, &place)?;
    let file: ReplicaFile = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    Ok(Some(file.owner))
}

/// Makes a new directory that of `owner`, so that it survives a power cut; returns whose an
/// existing one is.
///
/// # Errors
/// Those of [`owner_of`]; when it cannot be written.
pub(super) fn claim(dir: &Path, owner: &Owner) -> Result<Owner> {
    if let Some(found) = owner_of(dir)? {
        return Ok(found);
    }
    let file = ReplicaFile { format: REPLICA.number(), owner: owner.clone() };
    let write = || {
        std::fs::create_dir_all(dir)?;
        let temporary = dir.join("replica.new");
        let mut to = std::fs::File::create(&temporary)?;
        to.write_all(&serde_json::to_vec_pretty(&file)?)?;
        to.write_all(b"\n")?;
        to.sync_all()?;
        std::fs::rename(&temporary, dir.join(REPLICA_FILE))?;
        std::fs::File::open(dir)?.sync_all()
    };
    let failed = |error: std::io::Error| {
        Error::new(Kind::Internal, format!("{}: {error}", dir.join(REPLICA_FILE).display()))
    };
    write().map_err(failed)?;
    Ok(owner.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_format_is_refused_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner { cluster_id: "c".into(), group: 3, raft_id: 17 };
        assert_eq!(owner_of(dir.path()), Ok(None));
        assert_eq!(claim(dir.path(), &owner), Ok(owner.clone()));
        assert_eq!(owner_of(dir.path()), Ok(Some(owner.clone())));
        let other = Owner { raft_id: 18, ..owner.clone() };
        assert_eq!(claim(dir.path(), &other), Ok(owner));

        let path = dir.path().join(REPLICA_FILE);
        std::fs::write(&path, r#"{"format": 9, "new": true}"#).unwrap();
        let error = claim(dir.path(), &other).unwrap_err();
        assert!(error.message.contains("format 9") && error.message.ends_with('1'), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(dir.path().join(LOG)).unwrap();
        let error = claim(dir.path(), &other).unwrap_err();
        assert!(error.message.contains("format 0"), "{error}");
        assert!(!path.exists());
    }
}
