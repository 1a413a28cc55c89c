//! The configuration file of rockraft's cluster example (TOML), in the settings of this node.

use super::{address, wrong};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Keys of the file.
const KEYS: [&str; 7] =
    ["node_id", "raft_addr", "http_addr", "single", "join", "data_path", "max_open_files"];

/// A file of rockraft's example.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rockraft {
    /// The node's number, which is its `NodeID`.
    pub node_id: u64,
    /// Where it listens for other nodes.
    pub raft_addr: String,
    /// Where it listens for clients.
    pub http_addr: String,
    /// Whether it runs alone.
    #[serde(default)]
    pub single: bool,
    /// Where other nodes listen for it.
    #[serde(default)]
    pub join: Vec<String>,
    /// Directory of its data.
    pub data_path: String,
    /// Files and connections that it may have open.
    #[serde(default)]
    pub max_open_files: Option<u64>,
}

impl Rockraft {
    /// Reads a file.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key.
    pub(super) fn parse(text: &str) -> Result<Rockraft> {
        let hint = "see packaging/rockraft/conf/node1.toml";
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            wrong(format!("the configuration file is not TOML: {}", error.message()), hint)
        })?;
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let distance = |key: &&&str| strsim::damerau_levenshtein(key, unknown);
            let nearest = KEYS.iter().min_by_key(distance).copied().unwrap_or_default();
            return Err(wrong(
                format!("the configuration has an unknown key {unknown:?}"),
                format!("did you mean {nearest:?}?"),
            ));
        }
        // One key at a time, since the error for a wrong type does not always name the key.
        for (name, value) in &table {
            check_type(name, value)?;
        }
        table
            .try_into()
            .map_err(|error| wrong(format!("the configuration file: {}", error.message()), hint))
    }

    /// The same as settings of [`KEYS`](super::KEYS); with `tls` the nodes serve https.
    ///
    /// # Errors
    /// `invalid_parameter` for an address that is none.
    pub(super) fn settings(&self, tls: bool) -> Result<Map<String, Value>> {
        let (host, port) = self.http_addr.rsplit_once(':').unwrap_or_default();
        let port: u16 = port.parse().unwrap_or_default();
        if host.is_empty() || port == 0 {
            return Err(wrong(
                format!("http_addr: {:?} is no address to listen on", self.http_addr),
                "write host:port, such as 127.0.0.1:8001",
            ));
        }
        address::resolve("raft_addr", &self.raft_addr)?;
        let scheme = if tls { "https" } else { "http" };
        let mut peers = Vec::new();
        for peer in self.join.iter().filter(|_| !self.single) {
            let peer = format!("{scheme}://{peer}");
            super::check_url(&peer).map_err(|error| {
                wrong(format!("join: {error}"), "write host:port, such as 127.0.0.1:7001")
            })?;
            peers.push(peer);
        }
        let settings = json!({
            "NodeID": self.node_id.to_string(),
            "Host": host.trim_matches(['[', ']']),
            "Port": port,
            "PeerAddress": self.raft_addr,
            "distributed": !self.single,
            "BootstrapLowest": !peers.is_empty(),
            "Peers": peers,
            "DataDir": self.data_path,
            "OpenFilesMax": self.max_open_files,
            "KvAtRoot": true,
            "MetricsDefault": "json",
        });
        match settings {
            Value::Object(settings) => Ok(settings),
            _ => Ok(Map::new()),
        }
    }

    /// The settings as the example prints them at its start.
    pub fn banner(&self) -> String {
        let join: Vec<String> = self.join.iter().map(|peer| format!("{peer:?}")).collect();
        format!(
            "Configuration loaded:\n  node_id: {}\n  raft_addr: {}\n  http_addr: {}\n  data_path: {}\n  \
             single: {}\n  join: [{}]\n",
            self.node_id,
            self.raft_addr,
            self.http_addr,
            self.data_path,
            self.single,
            join.join(", ")
        )
    }
}

fn check_type(name: &str, value: &toml::Value) -> Result<()> {
    let (fits, wanted) = match name {
        "node_id" | "max_open_files" => {
            (value.as_integer().is_some_and(|number| number >= 0), "a whole number")
        }
        "single" => (value.is_bool(), "true or false"),
        "join" => {
            let texts = |items: &Vec<toml::Value>| items.iter().all(toml::Value::is_str);
            (value.as_array().is_some_and(texts), "a list of texts")
        }
        _ => (value.is_str(), "a text"),
    };
    match fits {
        true => Ok(()),
        false => Err(wrong(
            format!("{name}: {value} is not {wanted}"),
            "see packaging/rockraft/conf/node1.toml",
        )),
    }
}
