//! The nodes of a folder with configuration files of rockraft's cluster example (TOML).

use super::files::{ConfFile, Node, failed};
use crate::failure::Failure;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// File in the data directory of a node that was started before.
const IDENTITY: &str = "identity.json";

/// A node for each `.toml` file of a folder, called as the file is.
pub(crate) fn nodes(dir: &Path) -> Result<Vec<Node>, Failure> {
    let dir = fs::canonicalize(dir).map_err(|error| failed(dir, error))?;
    let entries = fs::read_dir(&dir).map_err(|error| failed(&dir, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    if files.is_empty() {
        return Err(Failure::Usage(format!("{} holds no file such as node1.toml", dir.display())));
    }
    files.into_iter().map(node).collect()
}

fn node(path: PathBuf) -> Result<Node, Failure> {
    let address = value(&path, "http_addr")?;
    let wrong = || {
        let path = path.display();
        Failure::Usage(format!("{path}: http_addr {address:?} is no address on this machine"))
    };
    let found = address.to_socket_addrs().map_err(|_| wrong())?;
    let local = found.into_iter().find(|found: &SocketAddr| found.ip().is_loopback());
    let port = local.ok_or_else(wrong)?.port();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let node_id = table(&path)?.get("node_id").map(ToString::to_string).unwrap_or_default();
    Ok(Node { name, port, tls: false, conf: Some(ConfFile { path, node_id }) })
}

/// Refuses nodes that have data: their cluster has another secret and password than a new one.
pub(crate) fn check_new(nodes: &[Node]) -> Result<(), Failure> {
    for ConfFile { path, .. } in nodes.iter().filter_map(|node| node.conf.as_ref()) {
        let data = PathBuf::from(value(path, "data_path")?);
        if data.join(IDENTITY).exists() {
            return Err(Failure::Usage(format!(
                "{} holds the data of an earlier cluster; remove it first, or start its nodes with: \
                 jettradb --conf {}",
                data.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

/// A text in a file.
fn value(path: &Path, key: &str) -> Result<String, Failure> {
    let value = table(path)?.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    value.ok_or_else(|| Failure::Usage(format!("{}: {key} is missing", path.display())))
}

fn table(path: &Path) -> Result<toml::Table, Failure> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, error))?;
    toml::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{}: {}", path.display(), error.message())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_example_is_a_node() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rockraft/conf");
        let nodes = nodes(dir.as_ref()).unwrap();
        let shown: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.port)).collect();
        assert_eq!(shown, [("node1", 8001), ("node2", 8002), ("node3", 8003)]);
    }

    #[test]
    fn a_folder_without_nodes_is_named() {
        let dir = new_folder();
        assert!(nodes(&dir).unwrap_err().to_string().contains("holds no file"));
        fs::write(dir.join("a.toml"), "http_addr = \"192.0.2.1:80\"").unwrap();
        assert!(nodes(&dir).unwrap_err().to_string().contains("http_addr"));
        fs::remove_dir_all(dir).unwrap();
    }

    fn new_folder() -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jettra-conf-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }
}
