//! The settings of a node: every key, limit and default in one place.
//!
//! A value comes from a flag, else from the environment (`JETTRA_…`), else from the file,
//! else from the default. Keys keep the spelling of JettraDBVM's `config.json`; a key that
//! begins with `//` is a comment.

mod address;
mod keys;
mod machine;
mod old_keys;
mod origin;
mod rockraft;
mod validate;

use crate::error::{Error, Kind, Result};
use address::resolve_host;
use ipnet::IpNet;
use jettra_driver::wire::Position;
use keys::{find, unknown_key};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

pub use address::{check_url, host_of};
pub use keys::{KEYS, Key, Type};
pub use origin::{Origin, Setting, Settings};
pub use rockraft::Rockraft;
pub use validate::check_node_id;

/// Longest time for which a call may ask to wait, in milliseconds.
pub const WAIT_MS_MAX: u64 = 600_000;
/// Voters of a group that is created without a number of them.
pub const REPLICATION_FACTOR: u32 = 3;
/// Documents in a response when the caller names no limit, as in JettraDBVM.
pub const PAGE_DEFAULT: u64 = 100;
/// Documents up to which a request with `confirm=ask` changes or deletes without asking.
pub const CONFIRM_DOCUMENTS: u64 = 5;
/// Documents of the collection that one page of a pipeline reads, if few of them become results.
pub const PAGE_READ_MAX: u64 = 10_000;
/// Longest cursor in a header.
pub const CURSOR_HEADER_BYTES_MAX: usize = 4096;
/// Bytes after which a page ends, with a cursor for the rest.
pub const PAGE_BYTES: usize = 4 << 20;
/// Size beyond which a response that cannot be continued with a cursor is refused.
pub const WHOLE_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a log entry, and so of one command: the largest transaction fits. Everything that
/// carries entries derives its limits from this one.
pub const ENTRY_BYTES_MAX: usize = 40 << 20;
/// Bytes of a command after which a request that may make several of them begins the next one.
pub const COMMAND_BYTES_AIM: usize = 4 << 20;
/// Most conditions and operations of one batch.
pub const BATCH_PARTS_MAX: usize = 1000;
pub use crate::engine::limits::{DOCUMENT_BYTES_MOST, Limits, NAME_BYTES_MAX};
/// Deepest nesting that can be configured. Binary data is written two levels deeper, and an update
/// may hold a document a level or two inside; the parsers accept some more.
pub const DEPTH_MOST: usize = 100;

/// The settings of a node, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)] // KEYS describes each of them.
pub struct Config {
    pub host: IpAddr,
    /// The name in `Host`, if it was not an address.
    #[serde(skip)]
    host_name: Option<String>,
    /// Notes about the file for the operator.
    #[serde(skip)]
    pub notes: Vec<String>,
    pub port: u16,
    /// The file of rockraft's example that the settings were read from.
    #[serde(skip)]
    pub rockraft: Option<Rockraft>,
    pub peer_address: Option<String>,
    pub advertise_url: Option<String>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub tls_ca: Option<PathBuf>,
    pub data_dir: PathBuf,
    #[serde(rename = "distributed")]
    pub distributed: bool,
    #[serde(rename = "NodeID")]
    pub node_id: Option<String>,
    pub bootstrap: bool,
    pub bootstrap_lowest: bool,
    pub peers: Vec<String>,
    pub node_networks: Vec<String>,
    pub cluster_secret: Option<String>,
    pub cluster_secret_file: Option<PathBuf>,
    pub join_token: Option<String>,
    pub join_token_file: Option<PathBuf>,
    pub admin_password: Option<String>,
    pub admin_password_file: Option<PathBuf>,
    pub max_voters: usize,
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    pub clock_skew_max_ms: u64,
    pub inactive_after_ms: u64,
    pub replace_after_ms: u64,
    pub auto_rebalance: bool,
    pub move_mb_per_second: u64,
    pub zone: Option<String>,
    pub snapshot_every: u64,
    pub snapshot_log_mb: u64,
    pub log_chunk_mb: usize,
    pub map_size_gb: usize,
    pub commit_ms: u64,
    pub disk_reserve_mb: u64,
    pub refuse_entry: Vec<String>,
    pub http_workers: usize,
    pub open_files_max: Option<u64>,
    pub request_timeout_ms: u64,
    pub queue_max: usize,
    pub calls_per_user_max: usize,
    pub cors_origins: Vec<String>,
    pub body_memory_mb: usize,
    pub body_timeout_ms: u64,
    pub batch_max: usize,
    pub document_bytes_max: usize,
    pub depth_max: usize,
    pub id_bytes_max: usize,
    pub name_bytes_max: usize,
    pub page_max: usize,
    pub query_memory_mb: usize,
    pub query_timeout_ms: u64,
    pub queries_max: usize,
    pub write_documents_max: u64,
    pub write_steps_max: u64,
    pub transactions_max: usize,
    pub transaction_mb: usize,
    pub transaction_idle_ms: u64,
    pub transaction_max_ms: u64,
    pub idempotency_minutes: u64,
    pub idempotency_mb: u64,
    pub changes_mb: u64,
    pub feeds_max: usize,
    pub audit_max: u64,
    pub open_on_loopback: bool,
    pub start_nodes_in: Option<PathBuf>,
    pub session_hours: u64,
    pub versions: bool,
    pub log_format: String,
    pub slow_ms: u64,
    pub metrics_default: String,
    kv_collection: String,
    pub kv_at_root: bool,
    pub log_level: String,
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidParameter, message).hint(hint)
}

/// The text of a configuration file.
#[derive(Debug, Clone, Copy)]
pub enum File<'t> {
    /// JSON with the keys of [`KEYS`].
    Json(&'t str),
    /// TOML with the keys of rockraft's cluster example.
    Rockraft(&'t str),
}

impl Config {
    /// Merges defaults, file, environment and flags, and validates the result.
    ///
    /// `environment` looks a variable up, `flags` holds the command line's values by key.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key and what would be right.
    pub fn load(
        file: Option<File<'_>>,
        environment: impl Fn(&str) -> Option<String>,
        flags: &BTreeMap<&'static str, String>,
    ) -> Result<Config> {
        Settings::collect(file, environment, flags)?.check()
    }

    /// Checks settings, and reads what they stand for.
    fn from_settings(settings: &Settings) -> Result<Config> {
        let values = settings.all.iter().map(|it| (it.key.name.to_owned(), it.value.clone()));
        let mut values: Map<String, Value> = values.collect();
        let host_name = resolve_host(&mut values)?;
        let config: Config = serde_json::from_value(Value::Object(values)).map_err(|error| {
            wrong(
                format!("the configuration cannot be used: {error}"),
                "Port is a number of at most 65535",
            )
        })?;
        let (notes, rockraft) = (settings.notes.clone(), settings.rockraft.clone());
        let config = Config { host_name, notes, rockraft, ..config };
        config.validate()?;
        Ok(config)
    }

    /// Whether a join token is configured.
    pub fn has_join_token(&self) -> bool {
        self.join_token.is_some() || self.join_token_file.is_some()
    }

    /// The file for the cluster secret that a join token has provided.
    pub fn kept_secret(&self) -> PathBuf {
        self.data_dir.join("cluster-secret")
    }

    /// Whether this node serves https.
    pub fn serves_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// The networks in which other nodes may be; empty for all.
    ///
    /// # Errors
    /// `invalid_parameter` if one is not valid.
    pub fn networks(&self) -> Result<Vec<IpNet>> {
        let parse = |text: &String| {
            text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                wrong(
                    format!("NodeNetworks: {text:?} is not a network"),
                    "write an address and the length of its prefix, as 10.1.0.0/16",
                )
            })
        };
        self.node_networks.iter().map(parse).collect()
    }

    /// The refused log entries: the hash of each by its position.
    ///
    /// # Errors
    /// `invalid_parameter` if one is not valid, or is named twice.
    pub fn refused_entries(&self) -> Result<BTreeMap<Position, u64>> {
        let mut entries = BTreeMap::new();
        for text in &self.refuse_entry {
            let parts = text.split_once(':').and_then(|(at, hash)| {
                let hash = (hash.len() == 16).then(|| u64::from_str_radix(hash, 16).ok())??;
                Some((at.parse().ok()?, hash))
            });
            let fresh = parts.is_some_and(|(at, hash)| entries.insert(at, hash).is_none());
            if !fresh {
                return Err(wrong(
                    format!("RefuseEntry: {text:?} is not one entry of the log"),
                    "write INDEX:HASH, or INDEX@GROUP:HASH, as the node has printed it that could not apply the entry",
                ));
            }
        }
        Ok(entries)
    }

    /// The address for other nodes and clients, without a slash at the end.
    pub fn url(&self) -> String {
        match &self.advertise_url {
            Some(url) => check_url(url).unwrap_or_else(|_| url.clone()),
            None => {
                let scheme = if self.serves_tls() { "https" } else { "http" };
                match &self.host_name {
                    Some(name) => format!("{scheme}://{name}:{}", self.port),
                    None => format!("{scheme}://{}", SocketAddr::new(self.host, self.port)),
                }
            }
        }
    }

    /// The host of [`Config::url`], without the brackets of an IPv6 address.
    pub fn advertise_host(&self) -> Option<String> {
        host_of(&check_url(&self.url()).ok()?)
    }

    /// Where other nodes reach this one, without a slash at the end.
    pub fn peer_url(&self) -> String {
        let Some(address) = &self.peer_address else { return self.url() };
        let scheme = if self.serves_tls() { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        match address.parse::<SocketAddr>() {
            Ok(listen) if listen.ip().is_unspecified() => {
                // Every address of this machine, of which the other nodes know this one.
                let host = self.advertise_host().unwrap_or_default();
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                format!("{scheme}://{host}:{}", listen.port())
            }
            _ => check_url(&url).unwrap_or(url),
        }
    }

    /// Where this node listens for other nodes only; none if that is where it listens for clients.
    ///
    /// # Errors
    /// `invalid_parameter` if it is no address of this machine.
    pub fn peer_listener(&self) -> Result<Option<SocketAddr>> {
        let address = self.peer_address.as_ref();
        address.map(|address| address::resolve("PeerAddress", address)).transpose()
    }

    /// Database and collection of keys and values.
    pub fn kv_collection(&self) -> (&str, &str) {
        self.kv_collection.split_once('.').unwrap_or((&self.kv_collection, ""))
    }

    /// Limits for what clients may store.
    pub fn limits(&self) -> Limits {
        Limits {
            document_bytes_max: self.document_bytes_max,
            depth_max: self.depth_max,
            id_bytes_max: self.id_bytes_max,
        }
    }
}

/// The values of a file, and notes about them.
fn parse_file(text: &str) -> Result<(Map<String, Value>, Vec<String>)> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        wrong(format!("the configuration file is not JSON: {error}"), "see config.json.example")
    })?;
    let Value::Object(mut object) = value else {
        return Err(wrong(
            "the configuration file must hold one JSON object",
            "see config.json.example",
        ));
    };
    object.retain(|name, _| !name.starts_with("//"));
    let notes: Vec<String> = object.keys().filter_map(|name| old_keys::note(name)).collect();
    object.retain(|name, _| old_keys::note(name).is_none());
    for (name, value) in &object {
        find(name).ok_or_else(|| unknown_key(name))?.check_type(value, "file")?;
    }
    Ok((object, notes))
}

#[cfg(test)]
#[path = "config/config_tests.rs"]
mod tests;
