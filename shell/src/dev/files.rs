//! The folder of a development cluster: configurations, secrets and where things are.

use super::certs;
use crate::failure::Failure;
use crate::options::read_password;
use jettra_driver::{Client, ClientBuilder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// File that marks a folder as one of `jettra dev`, and lists the nodes.
const MARKER: &str = "jettra-dev.json";
const SECRET: &str = "cluster-secret";
/// File with the password of `admin`.
pub(crate) const PASSWORD: &str = "admin-password";
/// Folder with the logs and process numbers of the nodes.
const LOGS: &str = "logs";
/// Folder with the test authority and certificates.
pub(crate) const CERTIFICATES: &str = "certs";

/// A development cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Its folder, as an absolute path.
    pub(crate) root: PathBuf,
    /// Its nodes; the first one bootstraps the cluster.
    pub(crate) nodes: Vec<Node>,
    /// The folder as the person wrote it.
    shown: PathBuf,
}

/// One node of a development cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// Its name here, and its `NodeID` unless it has a file that says otherwise.
    pub(crate) name: String,
    /// Its port on the loopback.
    pub(crate) port: u16,
    /// Whether it serves https.
    #[serde(default)]
    pub(crate) tls: bool,
    /// Its configuration file, if that was not created with the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) conf: Option<ConfFile>,
}

/// A configuration file of rockraft's example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The `NodeID` in it.
    pub(crate) node_id: String,
}

impl Node {
    /// Its `NodeID`.
    pub(crate) fn id(&self) -> &str {
        self.conf.as_ref().map_or(&self.name, |conf| &conf.node_id)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    nodes: Vec<Node>,
}

impl Cluster {
    /// The cluster of a folder; `None` if `dev up` has not created one there.
    pub(crate) fn open(dir: &Path) -> Result<Option<Cluster>, Failure> {
        let path = dir.join(MARKER);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        let marker: Marker =
            serde_json::from_str(&text).map_err(|error| failed(&path, error.into()))?;
        if marker.nodes.is_empty() {
            return Err(failed(&path, io::Error::other("it lists no node")));
        }
        Cluster::at(dir, marker.nodes).map(Some)
    }

    /// Creates the folder of a new cluster, with its marker only.
    pub(crate) fn create(dir: &Path, count: u16, port: u16, tls: bool) -> Result<Cluster, Failure> {
        let last = port.checked_add(count - 1).filter(|_| port > 0);
        let last = last.ok_or_else(|| Failure::Usage(format!("port {port} is out of range")))?;
        let nodes = (port..=last).zip(1..).map(|(port, number)| Node {
            name: format!("node{number}"),
            port,
            tls,
            conf: None,
        });
        Cluster::create_of(dir, nodes.collect())
    }

    /// Creates the folder of a new cluster of these nodes, with its marker only.
    pub(crate) fn create_of(dir: &Path, nodes: Vec<Node>) -> Result<Cluster, Failure> {
        let marker = Marker { nodes };
        fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
        let is_empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        if !is_empty {
            let dir = dir.display();
            let text = format!("{dir} has files that are not of jettra dev; name another --dir");
            return Err(Failure::Usage(text));
        }
        write_new(&dir.join(MARKER), &format!("{:#}\n", json!(marker)), 0o644)?;
        Cluster::at(dir, marker.nodes)
    }

    fn at(dir: &Path, nodes: Vec<Node>) -> Result<Cluster, Failure> {
        let root = fs::canonicalize(dir).map_err(|error| failed(dir, error))?;
        let cluster = Cluster { root, nodes, shown: dir.to_owned() };
        cluster.create_logs()?;
        Ok(cluster)
    }

    /// Creates the folder of the logs, and moves those there that an earlier version has left beside it. A
    /// process keeps its file.
    fn create_logs(&self) -> Result<(), Failure> {
        let logs = self.root.join(LOGS);
        if logs.exists() {
            return Ok(());
        }
        fs::create_dir_all(&logs).map_err(|error| failed(&logs, error))?;
        for node in &self.nodes {
            for new in [self.log(node), self.pid(node)] {
                let old = self.root.join(new.file_name().unwrap_or_default());
                removed(fs::rename(&old, &new), &old)?;
            }
        }
        Ok(())
    }

    /// Writes the secrets and configurations that do not exist yet.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        write_new(&self.root.join(SECRET), &random_text(32)?, 0o600)?;
        write_new(&self.root.join(PASSWORD), &random_text(12)?, 0o600)?;
        let certificates = self.certificates();
        if self.serves_tls() && !certificates.join(certs::CERTIFICATE).exists() {
            certs::create(&certificates, &[])?;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if node.conf.is_some() {
                continue;
            }
            let data = self.data(node);
            fs::create_dir_all(&data).map_err(|error| failed(&data, error))?;
            let config = format!("{:#}\n", self.configuration(node, index == 0));
            write_new(&self.config(node), &config, 0o600)?;
        }
        Ok(())
    }

    fn configuration(&self, node: &Node, bootstrap: bool) -> serde_json::Value {
        let mut config = json!({
            "Host": "127.0.0.1",
            "Port": node.port,
            "DataDir": self.data(node),
            "distributed": true,
            "NodeID": node.name,
            "Bootstrap": bootstrap,
            "Peers": [],
            "AdvertiseUrl": node.url(),
            "ClusterSecretFile": self.root.join(SECRET),
        });
        if node.tls {
            let certificates = self.certificates();
            for (key, file) in [
                ("TlsCert", certs::CERTIFICATE),
                ("TlsKey", certs::KEY),
                ("TlsCa", certs::AUTHORITY),
            ] {
                config[key] = json!(certificates.join(file));
            }
        }
        if bootstrap {
            config["AdminPasswordFile"] = json!(self.root.join(PASSWORD));
        }
        config
    }

    /// A client of the whole cluster, as `admin`.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let builder = self.builder()?.seeds(self.nodes.iter().map(Node::url));
        Ok(builder.credentials("admin", &self.password()?).build()?)
    }

    /// The settings of a client that trusts the nodes' certificates.
    pub(crate) fn builder(&self) -> Result<ClientBuilder, Failure> {
        if !self.serves_tls() {
            return Ok(Client::builder());
        }
        let path = self.certificates().join(certs::AUTHORITY);
        let authority = fs::read(&path).map_err(|error| failed(&path, error))?;
        Ok(Client::builder().ca_certificate(authority))
    }

    /// Whether the nodes serve https.
    pub(crate) fn serves_tls(&self) -> bool {
        self.nodes.iter().any(|node| node.tls)
    }

    fn certificates(&self) -> PathBuf {
        self.root.join(CERTIFICATES)
    }

    /// The password of `admin`.
    pub(crate) fn password(&self) -> Result<String, Failure> {
        read_password(&self.root.join(PASSWORD))
    }

    /// A file of the folder as a person in the current directory names it.
    pub(crate) fn shown(&self, file: &str) -> String {
        let path = match file {
            "" => self.shown.clone(),
            file => self.shown.join(file),
        };
        path.display().to_string()
    }

    fn data(&self, node: &Node) -> PathBuf {
        self.root.join(&node.name).join("data")
    }

    /// The node's configuration file.
    pub(crate) fn config(&self, node: &Node) -> PathBuf {
        let own = || self.root.join(&node.name).join("config.json");
        node.conf.as_ref().map(|conf| conf.path.clone()).unwrap_or_else(own)
    }

    /// Variables for a node whose file cannot say where the secrets of the cluster are.
    pub(crate) fn variables(&self, node: &Node) -> Vec<(&'static str, PathBuf)> {
        match node.conf {
            None => Vec::new(),
            Some(_) => vec![
                ("JETTRA_CLUSTER_SECRET_FILE", self.root.join(SECRET)),
                ("JETTRA_ADMIN_PASSWORD_FILE", self.root.join(PASSWORD)),
            ],
        }
    }

    /// The node's log file.
    pub(crate) fn log(&self, node: &Node) -> PathBuf {
        self.root.join(LOGS).join(format!("{}.log", node.name))
    }

    /// Empties the log of a node.
    pub(crate) fn empty_log(&self, node: &Node) -> Result<(), Failure> {
        let path = self.log(node);
        let emptied = OpenOptions::new().write(true).truncate(true).open(&path);
        removed(emptied.map(drop), &path)
    }

    /// Removes the log of a node; returns whether there was one.
    pub(crate) fn remove_log(&self, node: &Node) -> Result<bool, Failure> {
        let path = self.log(node);
        let exists = path.exists();
        removed(fs::remove_file(&path), &path)?;
        Ok(exists)
    }

    /// The file with the number of the node's process.
    pub(crate) fn pid(&self, node: &Node) -> PathBuf {
        self.root.join(LOGS).join(format!("{}.pid", node.name))
    }

    /// Removes the process numbers of stopped nodes.
    pub(crate) fn forget_pids(&self) {
        for node in &self.nodes {
            // A stale number is harmless: it is verified before each use.
            let _ = fs::remove_file(self.pid(node));
        }
    }

    /// Removes the files of `dev up`, and nothing else.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        for node in &self.nodes {
            removed(fs::remove_dir_all(self.root.join(&node.name)), &self.root)?;
            removed(fs::remove_file(self.log(node)), &self.log(node))?;
            removed(fs::remove_file(self.pid(node)), &self.pid(node))?;
        }
        let logs = self.root.join(LOGS);
        removed(fs::remove_dir(&logs), &logs)?;
        removed(fs::remove_dir_all(self.certificates()), &self.certificates())?;
        for file in [SECRET, PASSWORD, MARKER] {
            let path = self.root.join(file);
            removed(fs::remove_file(&path), &path)?;
        }
        fs::remove_dir(&self.root).map_err(|error| failed(&self.root, error))
    }
}

fn removed(result: io::Result<()>, path: &Path) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

/// Writes a file unless it exists.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    match opened {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(|error| failed(path, error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

/// `bytes` of the system's random numbers in hexadecimal, and a line break.
fn random_text(bytes: usize) -> Result<String, Failure> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::Refused(format!("no random numbers: {error}")))?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digits + "\n")
}

/// The failure of an operation on a path.
pub(crate) fn failed(path: &Path, error: io::Error) -> Failure {
    Failure::Refused(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("jettra-files-{name}-{}", std::process::id()))
    }

    #[test]
    fn only_the_first_node_bootstraps() {
        let dir = folder("configs");
        let cluster = Cluster::create(&dir, 3, 18_080, false).unwrap();
        cluster.prepare().unwrap();
        let config = |index: usize| -> serde_json::Value {
            let text = fs::read_to_string(cluster.config(&cluster.nodes[index])).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(config(0)["Bootstrap"], true);
        assert_eq!(config(2)["Bootstrap"], false);
        assert_eq!(config(2)["Port"], 18_082);
        assert!(config(2).get("AdminPasswordFile").is_none());
        cluster.remove().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn secrets_are_private_and_stay_the_same() {
        let dir = folder("secrets");
        let cluster = Cluster::create(&dir, 1, 18_080, false).unwrap();
        cluster.prepare().unwrap();
        let password = cluster.password().unwrap();
        cluster.prepare().unwrap();
        assert_eq!(cluster.password().unwrap(), password);
        assert_eq!(password.len(), 24);
        for file in [SECRET, PASSWORD] {
            let mode = fs::metadata(dir.join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        cluster.remove().unwrap();
    }

    #[test]
    fn a_foreign_folder_is_left_alone() {
        let dir = folder("foreign");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("thesis.txt"), "years of work").unwrap();
        assert!(Cluster::open(&dir).unwrap().is_none());
        assert!(Cluster::create(&dir, 3, 18_080, false).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_beside_the_cluster_survives_its_removal() {
        let dir = folder("beside");
        let cluster = Cluster::create(&dir, 1, 18_080, false).unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        assert!(cluster.remove().is_err());
        assert_eq!(fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
        fs::remove_dir_all(dir).unwrap();
    }
}
