//! Settings of a node: every key, limit and default in one table.
//!
//! A value comes from a flag, else from the environment (`JETTRA_…`), else from the file,
//! else from the default. Keys keep the spelling of JettraDBVM's `config.json`; a key that
//! begins with `//` is a comment.

mod old_keys;

use crate::error::{Error, Kind, Result};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use url::Url;

/// Documents in an answer when the caller names no limit, as in the ancestor.
pub const PAGE_DEFAULT: u64 = 100;
/// Documents up to which a call with `confirm=ask` changes or deletes without asking.
pub const CONFIRM_DOCUMENTS: u64 = 5;
/// Documents of the collection that one page of a pipeline reads, when few of them become results.
pub const PAGE_READ_MAX: u64 = 10_000;
/// Longest cursor that is given in a header.
pub const CURSOR_HEADER_BYTES_MAX: usize = 4096;
/// Bytes after which a page ends, with a cursor for the rest.
pub const PAGE_BYTES: usize = 4 << 20;
/// Bytes past which an answer is refused that must be whole, because no cursor leads on.
pub const WHOLE_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a log entry, and so of one command: the largest transaction fits. All that
/// carries an entry has limits made from this one.
pub const ENTRY_BYTES_MAX: usize = 40 << 20;
/// Bytes of a command after which a call that may make several of them begins the next one.
pub const COMMAND_BYTES_AIM: usize = 4 << 20;
/// Conditions and operations of one batch.
pub const BATCH_PARTS_MAX: usize = 1000;
pub use crate::engine::limits::{DOCUMENT_BYTES_MOST, Limits, NAME_BYTES_MAX};
/// Deepest nesting that can be configured. Binary data is written two levels deeper, and what
/// changes a document may hold it a level or two inside; the readers take some more.
pub const DEPTH_MOST: usize = 100;

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts; in flags and environment separated by commas.
    List,
}

/// One key of the configuration.
pub struct Key {
    /// Its spelling in the file.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Type,
    /// Its default, as JSON; `null` when it has none.
    pub default: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
}

const fn key(name: &'static str, kind: Type, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, help }
}

/// Every key there is.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("Host", Type::Text, "\"127.0.0.1\"", "address to listen on, or a name that leads to it; other than loopback needs a cluster secret and AdvertiseUrl"),
    key("Port", Type::Number, "8080", "port for clients and other nodes"),
    key("AdvertiseUrl", Type::Text, "null", "where other nodes and clients reach this node; default http://Host:Port, with TlsCert https; never 0.0.0.0"),
    key("TlsCert", Type::Text, "null", "file with this node's certificate and those between it and its authority (PEM); with it and TlsKey the node serves https; read again when it changes, and on SIGHUP"),
    key("TlsKey", Type::Text, "null", "file with the private key of that certificate (PEM)"),
    key("TlsCa", Type::Text, "null", "file with the authority that signs the certificates of all nodes (PEM); with it nodes must show such a certificate to each other; default: the system's authorities, and no certificates between nodes"),
    key("DataDir", Type::Text, "\"data\"", "directory of everything this node keeps"),
    key("distributed", Type::Bool, "false", "true: member of a cluster; false: a node of its own, which can become distributed later"),
    key("NodeID", Type::Text, "null", "unique name of this node; default: made at the first start and kept"),
    key("Bootstrap", Type::Bool, "false", "true on the first node of a new cluster only: it makes the cluster"),
    key("Peers", Type::List, "[]", "nodes to ask for admission, as http://host:port; used until this node is a member"),
    key("NodeNetworks", Type::List, "[]", "networks in which other nodes may be, such as 10.1.0.0/16; default: all but link-local, multicast and metadata addresses, which never may be"),
    key("ClusterSecret", Type::Text, "null", "secret shared by the nodes of a cluster; better in the environment or in a file"),
    key("ClusterSecretFile", Type::Text, "null", "file with the cluster secret; default ~/.jettra/cluster-secret, made at the first start"),
    key("JoinToken", Type::Text, "null", "token that lets this new node in at Peers instead of a cluster secret (jettra cluster token); used once, then the secret is in DataDir/cluster-secret; better in the environment or in a file"),
    key("JoinTokenFile", Type::Text, "null", "file with that token"),
    key("AdminPassword", Type::Text, "null", "password of the user admin when the cluster is made; better in the environment or in a file"),
    key("AdminPasswordFile", Type::Text, "null", "file with that password; default: a random one, written to DataDir/admin-password"),
    key("MaxVoters", Type::Number, "5", "nodes that vote; further ones only receive the log (odd numbers make sense)"),
    key("HeartbeatMs", Type::Number, "100", "interval of the leader's heartbeats"),
    key("ElectionMinMs", Type::Number, "400", "shortest silence after which a node stands for election; at least three heartbeats"),
    key("ElectionMaxMs", Type::Number, "600", "longest such silence"),
    key("ClockSkewMaxMs", Type::Number, "1000", "how far a node's clock may be off most of the others before it is named in status and health; a leader that is so far off hands over"),
    key("InactiveAfterMs", Type::Number, "2000", "silence after which the leader marks a node INACTIVE"),
    key("SnapshotEvery", Type::Number, "20000", "log entries between two snapshots; older entries are removed from the log"),
    key("SnapshotLogMb", Type::Number, "64", "bytes of log between two snapshots; about twice as much is kept, and up to 8 times (or the size of the state) while a member needs it"),
    key("LogChunkMb", Type::Number, "8", "size of a log file; the newest one is kept in memory too"),
    key("MapSizeGb", Type::Number, "64", "largest size of the stored state; only address space until it is used"),
    key("CommitMs", Type::Number, "5", "time after which applied writes become visible to level=local; other readers do not wait for it"),
    key("DiskReserveMb", Type::Number, "64", "free disk space below which writes are refused with 507"),
    key("HttpWorkers", Type::Number, "2", "threads that read requests and write answers, and serve the other nodes; twice as many carry out the calls of clients"),
    key("RefuseEntry", Type::List, "[]", "log entries that are refused as a whole, as INDEX:HASH from the message of a node that could not apply one; the same on all nodes, until it is in the state"),
    key("RequestTimeoutMs", Type::Number, "8000", "longest time a call waits for the cluster"),
    key("QueueMax", Type::Number, "4096", "writes that may wait on the leader before it answers 429"),
    key("CallsPerUserMax", Type::Number, "1024", "calls of one user that a node carries out at once; further ones get 429"),
    key("CorsOrigins", Type::List, "[]", "web pages of other origins that may call this node, as https://host:port; none unless listed"),
    key("BodyMemoryMb", Type::Number, "256", "memory for bodies of calls and writes that wait, all together, before callers get 429"),
    key("BodyTimeoutMs", Type::Number, "30000", "longest time that the body of a call may take to arrive"),
    key("BatchMax", Type::Number, "512", "writes in one log entry"),
    key("DocumentBytesMax", Type::Number, "16777216", "largest document in bytes"),
    key("DepthMax", Type::Number, "64", "deepest nesting of a document"),
    key("IdBytesMax", Type::Number, "480", "longest _id in bytes, at most 490"),
    key("NameBytesMax", Type::Number, "100", "longest name of a database or collection in bytes, at most 200"),
    key("PageMax", Type::Number, "1000", "most documents in one page of a listing"),
    key("QueryMemoryMb", Type::Number, "64", "memory that one query may keep, for sorting, grouping and its result"),
    key("QueryTimeoutMs", Type::Number, "30000", "longest time a query may run on a node"),
    key("QueriesMax", Type::Number, "16", "longer queries that run at once; further ones wait for 2 s, and then get 429"),
    key("WriteDocumentsMax", Type::Number, "100000", "most documents that one update or delete by filter may change"),
    key("WriteStepsMax", Type::Number, "16000000", "steps of work that one write may take, about 25 ns each: all nodes wait for it"),
    key("TransactionsMax", Type::Number, "256", "transactions that may be open on the leader"),
    key("TransactionMb", Type::Number, "16", "documents that one transaction may write"),
    key("TransactionIdleMs", Type::Number, "60000", "time without a call after which a transaction is rolled back"),
    key("TransactionMaxMs", Type::Number, "120000", "time after which a transaction is rolled back in any case"),
    key("IdempotencyMinutes", Type::Number, "10", "time for which answers to calls with an Idempotency-Key are remembered"),
    key("IdempotencyMb", Type::Number, "256", "space that these answers may take for one user; then its calls with new keys get 429"),
    key("ChangesMb", Type::Number, "128", "history of changes that feeds can go back in"),
    key("FeedsMax", Type::Number, "256", "change feeds that one node serves at once"),
    key("AuditMax", Type::Number, "100000", "entries of the audit log that are kept"),
    key("Versions", Type::Bool, "false", "true: new collections keep the former versions of their documents, as in JettraDBVM; the same on all nodes"),
    key("SessionHours", Type::Number, "12", "time after which a login on the page ends"),
    key("LogLevel", Type::Text, "\"info\"", "what is logged: error, warn, info, debug, or a tracing filter such as jettra_db=debug"),
];

/// The settings of a node, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)] // KEYS describes each of them.
pub struct Config {
    pub host: IpAddr,
    /// The name that was given for it, if it was one.
    #[serde(skip)]
    host_name: Option<String>,
    /// What an operator should know of the file.
    #[serde(skip)]
    pub notes: Vec<String>,
    pub port: u16,
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
    pub snapshot_every: u64,
    pub snapshot_log_mb: u64,
    pub log_chunk_mb: usize,
    pub map_size_gb: usize,
    pub commit_ms: u64,
    pub disk_reserve_mb: u64,
    pub refuse_entry: Vec<String>,
    pub http_workers: usize,
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
    pub session_hours: u64,
    pub versions: bool,
    pub log_level: String,
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidParameter, message).hint(hint)
}

impl Key {
    /// The name of the environment variable.
    pub fn variable(&self) -> String {
        format!("JETTRA_{}", self.words("_").to_uppercase())
    }

    /// The name of the flag, without dashes in front.
    pub fn flag(&self) -> String {
        self.words("-")
    }

    /// `AdvertiseUrl` as `advertise-url`, `NodeID` as `node-id`.
    fn words(&self, separator: &str) -> String {
        let mut words = String::new();
        let mut lower_before = false;
        for letter in self.name.chars() {
            if letter.is_uppercase() && lower_before {
                words.push_str(separator);
            }
            lower_before = letter.is_lowercase();
            words.extend(letter.to_lowercase());
        }
        words
    }

    /// Reads a value from the text of a flag or variable.
    fn parse_text(&self, text: &str, origin: &str) -> Result<Value> {
        let value = match self.kind {
            Type::Text => Some(json!(text)),
            Type::Number => text.parse::<u64>().ok().map(Value::from),
            Type::Bool => text.parse::<bool>().ok().map(Value::from),
            Type::List => Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).collect()),
        };
        value.ok_or_else(|| self.wrong_type(text, origin))
    }

    fn check_type(&self, value: &Value, origin: &str) -> Result<()> {
        let fits = match self.kind {
            _ if value.is_null() => self.default == "null",
            Type::Text => value.is_string(),
            Type::Number => value.is_u64(),
            Type::Bool => value.is_boolean(),
            Type::List => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        };
        if fits { Ok(()) } else { Err(self.wrong_type(&value.to_string(), origin)) }
    }

    fn wrong_type(&self, value: &str, origin: &str) -> Error {
        let wanted = match self.kind {
            Type::Text => "a text",
            Type::Number => "a whole number",
            Type::Bool => "true or false",
            Type::List => "a list of texts",
        };
        let message = format!("{}: {value} ({origin}) is not {wanted}", self.name);
        wrong(message, format!("the default is {}", self.default))
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn unknown_key(name: &str) -> Error {
    let distance =
        |key: &&Key| strsim::damerau_levenshtein(&key.name.to_lowercase(), &name.to_lowercase());
    let nearest = KEYS.iter().min_by_key(distance).map_or("", |key| key.name);
    wrong(
        format!("the configuration has an unknown key {name:?}"),
        format!("did you mean {nearest:?}?"),
    )
}

impl Config {
    /// Joins defaults, file, environment and flags, and checks the result.
    ///
    /// `file` is the text of the configuration file, `environment` looks a variable up,
    /// `flags` holds what the command line gave, by key name.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key and what would be right.
    pub fn load(
        file: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
        flags: &BTreeMap<&'static str, String>,
    ) -> Result<Config> {
        let mut values = Map::new();
        let (from_file, notes) = file.map(parse_file).transpose()?.unwrap_or_default();
        for key in KEYS {
            let flag = flags.get(key.name).map(|text| key.parse_text(text, "flag")).transpose()?;
            let variable = environment(&key.variable());
            let variable = variable.map(|text| key.parse_text(&text, "environment")).transpose()?;
            let default = serde_json::from_str(key.default).unwrap_or(Value::Null);
            let value = flag.or(variable).or_else(|| from_file.get(key.name).cloned());
            values.insert(key.name.to_owned(), value.unwrap_or(default));
        }
        let host_name = resolve_host(&mut values)?;
        let config: Config = serde_json::from_value(Value::Object(values)).map_err(|error| {
            wrong(
                format!("the configuration cannot be used: {error}"),
                "Port is a number of at most 65535",
            )
        })?;
        let config = Config { host_name, notes, ..config };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        if self
            .advertise_host()
            .is_none_or(|host| host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()))
        {
            return Err(wrong(
                format!("AdvertiseUrl: {} is not an address that others can reach", self.url()),
                "set AdvertiseUrl to http://<name or address of this machine>:<port>",
            ));
        }
        if !self.host.is_loopback()
            && self.cluster_secret.is_none()
            && self.cluster_secret_file.is_none()
            && !self.has_join_token()
            && !self.kept_secret().exists()
        {
            return Err(wrong(
                format!(
                    "Host: {} can be reached from other machines, but there is no cluster secret",
                    self.host
                ),
                "set ClusterSecretFile (or JETTRA_CLUSTER_SECRET), join with a JoinToken, or listen on \
                 127.0.0.1",
            ));
        }
        if !self.distributed && !self.peers.is_empty() {
            return Err(wrong(
                "Peers is set, but distributed is false",
                "set distributed to true, or leave Peers empty",
            ));
        }
        if self.bootstrap && !self.peers.is_empty() {
            return Err(wrong(
                "Bootstrap and Peers contradict each other: a node makes a cluster or joins one",
                "leave Peers empty on the first node, and Bootstrap false on the others",
            ));
        }
        if self.cluster_secret.is_some() && self.cluster_secret_file.is_some() {
            return Err(wrong(
                "ClusterSecret and ClusterSecretFile are both set",
                "give one of them",
            ));
        }
        if self.admin_password.is_some() && self.admin_password_file.is_some() {
            return Err(wrong(
                "AdminPassword and AdminPasswordFile are both set",
                "give one of them",
            ));
        }
        if self.cluster_secret.as_ref().is_some_and(|secret| secret.len() < 16) {
            return Err(wrong(
                "ClusterSecret is shorter than 16 characters",
                "make one with: openssl rand -hex 32",
            ));
        }
        for peer in &self.peers {
            check_url(peer)
                .map_err(|error| wrong(format!("Peers: {error}"), "write http://host:port"))?;
        }
        self.validate_join_token()?;
        self.validate_tls()?;
        self.networks()?;
        self.refused_entries()?;
        if let Some(name) = &self.node_id {
            check_node_id(name)?;
        }
        for origin in &self.cors_origins {
            // A browser sends scheme, host and port only.
            let exact = Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.origin().ascii_serialization() == *origin
            });
            if !exact {
                return Err(wrong(
                    format!("CorsOrigins: {origin:?} is not the origin of a page"),
                    "write https://host or https://host:port, nothing after it",
                ));
            }
        }
        self.validate_numbers()
    }

    fn validate_join_token(&self) -> Result<()> {
        if self.join_token.is_some() && self.join_token_file.is_some() {
            return Err(wrong("JoinToken and JoinTokenFile are both set", "give one of them"));
        }
        if !self.has_join_token() {
            return Ok(());
        }
        if self.peers.is_empty() {
            return Err(wrong(
                "JoinToken is set, but Peers is empty",
                "name members of the cluster in Peers: they take the token",
            ));
        }
        if self.cluster_secret.is_some() || self.cluster_secret_file.is_some() {
            return Err(wrong(
                "JoinToken and ClusterSecret contradict each other: the token brings the secret",
                "leave one of them out",
            ));
        }
        Ok(())
    }

    /// Whether a token for joining is configured.
    pub fn has_join_token(&self) -> bool {
        self.join_token.is_some() || self.join_token_file.is_some()
    }

    /// Where the cluster secret is kept that a join token has brought.
    pub fn kept_secret(&self) -> PathBuf {
        self.data_dir.join("cluster-secret")
    }

    fn validate_tls(&self) -> Result<()> {
        let files = "give TlsCert and TlsKey, or none of them";
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(_), None, _) => return Err(wrong("TlsCert is set, but TlsKey is not", files)),
            (None, Some(_), _) => return Err(wrong("TlsKey is set, but TlsCert is not", files)),
            (None, None, Some(_)) => {
                return Err(wrong(
                    "TlsCa is set, but this node has no certificate to show to the others",
                    "give TlsCert and TlsKey too; jettra dev certs makes some for trying it",
                ));
            }
            _ => {}
        }
        let wanted = if self.serves_tls() { "https" } else { "http" };
        if self.url().split("://").next() == Some(wanted) {
            return Ok(());
        }
        let reason = match self.serves_tls() {
            true => "but with TlsCert this node serves https only",
            false => "but without TlsCert this node serves http only",
        };
        Err(wrong(
            format!("AdvertiseUrl is {}, {reason}", self.url()),
            format!("write {wanted}:// in AdvertiseUrl, or correct TlsCert and TlsKey"),
        ))
    }

    /// Whether this node serves https.
    pub fn serves_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// The networks in which other nodes may be; empty for all.
    ///
    /// # Errors
    /// `invalid_parameter` when one cannot be read.
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

    /// The log entries that are refused: the hash of each by its index.
    ///
    /// # Errors
    /// `invalid_parameter` when one cannot be read, or is named twice.
    pub fn refused_entries(&self) -> Result<BTreeMap<u64, u64>> {
        let mut entries = BTreeMap::new();
        for text in &self.refuse_entry {
            let parts = text.split_once(':').and_then(|(index, hash)| {
                let hash = (hash.len() == 16).then(|| u64::from_str_radix(hash, 16).ok())??;
                Some((index.parse().ok()?, hash))
            });
            let fresh = parts.is_some_and(|(index, hash)| entries.insert(index, hash).is_none());
            if !fresh {
                return Err(wrong(
                    format!("RefuseEntry: {text:?} is not one entry of the log"),
                    "write INDEX:HASH as the node has printed it that could not apply the entry",
                ));
            }
        }
        Ok(entries)
    }

    fn validate_numbers(&self) -> Result<()> {
        let bounds: [(&str, u64, u64, u64); 38] = [
            ("Port", self.port.into(), 1, 65535),
            ("MaxVoters", self.max_voters as u64, 1, 9),
            ("HeartbeatMs", self.heartbeat_ms, 10, 10_000),
            ("ElectionMinMs", self.election_min_ms, self.heartbeat_ms * 3, 60_000),
            ("ElectionMaxMs", self.election_max_ms, self.election_min_ms + 1, 120_000),
            ("ClockSkewMaxMs", self.clock_skew_max_ms, 100, 60_000),
            ("InactiveAfterMs", self.inactive_after_ms, self.heartbeat_ms * 5, 600_000),
            ("SnapshotEvery", self.snapshot_every, 10, 10_000_000),
            ("SnapshotLogMb", self.snapshot_log_mb, 1, 1024 * 1024),
            ("LogChunkMb", self.log_chunk_mb as u64, 1, 1024),
            ("MapSizeGb", self.map_size_gb as u64, 1, 64 * 1024),
            ("HttpWorkers", self.http_workers as u64, 1, 64),
            ("RequestTimeoutMs", self.request_timeout_ms, 100, 600_000),
            ("QueueMax", self.queue_max as u64, 1, 1_000_000),
            ("BodyMemoryMb", self.body_memory_mb as u64, 64, 1024 * 1024),
            ("BodyTimeoutMs", self.body_timeout_ms, 100, 600_000),
            ("BatchMax", self.batch_max as u64, 1, 4096),
            ("DocumentBytesMax", self.document_bytes_max as u64, 1024, DOCUMENT_BYTES_MOST as u64),
            ("DepthMax", self.depth_max as u64, 1, DEPTH_MOST as u64),
            ("IdBytesMax", self.id_bytes_max as u64, 36, 490),
            ("NameBytesMax", self.name_bytes_max as u64, 1, NAME_BYTES_MAX as u64),
            ("PageMax", self.page_max as u64, 1, 10_000),
            ("QueryMemoryMb", self.query_memory_mb as u64, 1, 16 * 1024),
            ("QueryTimeoutMs", self.query_timeout_ms, 10, 86_400_000),
            ("QueriesMax", self.queries_max as u64, 1, 256),
            ("WriteDocumentsMax", self.write_documents_max, 1, 10_000_000),
            ("WriteStepsMax", self.write_steps_max, 10_000, 1_000_000_000_000),
            ("TransactionsMax", self.transactions_max as u64, 1, 1024),
            ("TransactionMb", self.transaction_mb as u64, 1, 32),
            ("TransactionIdleMs", self.transaction_idle_ms, 100, 3_600_000),
            ("TransactionMaxMs", self.transaction_max_ms, 100, 3_600_000),
            ("IdempotencyMinutes", self.idempotency_minutes, 1, 10_080),
            ("IdempotencyMb", self.idempotency_mb, 1, 64 * 1024),
            ("ChangesMb", self.changes_mb, 1, 1024 * 1024),
            ("FeedsMax", self.feeds_max as u64, 1, 100_000),
            ("CallsPerUserMax", self.calls_per_user_max as u64, 1, 1_000_000),
            ("AuditMax", self.audit_max, 100, 100_000_000),
            ("SessionHours", self.session_hours, 1, 8_760),
        ];
        for (name, value, min, max) in bounds {
            if value < min || value > max {
                return Err(wrong(
                    format!("{name}: {value} is out of range"),
                    format!(
                        "use {min} to {max}; the default is {}",
                        find(name).map_or("", |key| key.default)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Where other nodes and clients reach this node, without a slash at the end.
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

    /// Bounds for what clients may store.
    pub fn limits(&self) -> Limits {
        Limits {
            document_bytes_max: self.document_bytes_max,
            depth_max: self.depth_max,
            id_bytes_max: self.id_bytes_max,
        }
    }
}

/// Puts an address in the place of a name in `Host`, and gives the name.
fn resolve_host(values: &mut Map<String, Value>) -> Result<Option<String>> {
    let Some(name) = values["Host"].as_str().map(str::to_owned) else { return Ok(None) };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let found = (name.as_str(), 0).to_socket_addrs();
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let address = address.ok_or_else(|| {
        wrong(
            format!("Host: {name:?} leads to no address"),
            "write an IP address of this machine, or a name of it such as localhost",
        )
    })?;
    values["Host"] = json!(address.ip().to_string());
    Ok(Some(name))
}

/// The values of a file, and what is to be said of it.
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

/// Brings the address of a node into one form: scheme, host and port, no slash at the end.
///
/// # Errors
/// `invalid_url` with the reason.
pub fn check_url(text: &str) -> Result<String> {
    let bad = |why: &str| {
        Error::new(Kind::InvalidUrl, format!("{text:?} is not the address of a node: {why}"))
            .hint("write http://host:port")
    };
    let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http:// and https:// are supported"));
    }
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user name or password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it holds more than host and port"));
    }
    let port = url.port_or_known_default().unwrap_or(80);
    Ok(format!("{}://{host}:{port}", url.scheme()))
}

/// The host of an address, without the brackets of an IPv6 address.
pub fn host_of(url: &str) -> Option<String> {
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    Some(host.trim_matches(['[', ']']).to_owned())
}

/// Checks the name of a node.
///
/// # Errors
/// `invalid_parameter` with the rule.
pub fn check_node_id(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err(wrong(
            format!("NodeID: {name:?} cannot be used"),
            "use 1 to 64 ASCII letters, digits, '-', '_' and '.'",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Config> {
        Config::load(Some(file), |_| None, &BTreeMap::new())
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = r#"{"Port": 1000, "HeartbeatMs": 60, "MaxVoters": 3}"#;
        let environment = |name: &str| match name {
            "JETTRA_PORT" => Some("2000".to_owned()),
            "JETTRA_HEARTBEAT_MS" => Some("70".to_owned()),
            _ => None,
        };
        let flags = BTreeMap::from([("Port", "3000".to_owned())]);
        let config = Config::load(Some(file), environment, &flags).unwrap();
        assert_eq!(
            (config.port, config.heartbeat_ms, config.max_voters, config.page_max),
            (3000, 70, 3, 1000)
        );
    }

    #[test]
    fn a_wrong_setting_names_the_key_and_what_would_be_right() {
        for (file, message, hint) in [
            (r#"{"port": 1}"#, "\"port\"", "\"Port\""),
            (r#"{"Advertiseurl": ""}"#, "Advertiseurl", "\"AdvertiseUrl\""),
            (r#"{"Port": "x"}"#, "Port", "8080"),
            (r#"{"Port": 70000}"#, "cannot be used", "Port"),
            (r#"{"Peers": "http://a"}"#, "Peers", "[]"),
            (r#"{"Host": "0.0.0.0"}"#, "AdvertiseUrl", "http://"),
            (r#"{"AdvertiseUrl": "http://0.0.0.0:1"}"#, "AdvertiseUrl", "http://"),
            (r#"{"Host": "0.0.0.0", "AdvertiseUrl": "http://a:1"}"#, "secret", "ClusterSecretFile"),
            (r#"{"Peers": ["http://a:1"]}"#, "distributed", "true"),
            (
                r#"{"distributed": true, "Bootstrap": true, "Peers": ["http://a:1"]}"#,
                "Bootstrap",
                "Peers",
            ),
            (r#"{"distributed": true, "Peers": ["a:1"]}"#, "Peers", "http://"),
            (r#"{"ElectionMinMs": 50}"#, "ElectionMinMs", "300"),
            (r#"{"NameBytesMax": 201}"#, "NameBytesMax", "200"),
            (r#"{"NodeID": "a b"}"#, "NodeID", "ASCII"),
            (r#"{"JoinToken": "t"}"#, "JoinToken", "Peers"),
            (
                r#"{"distributed": true, "Peers": ["http://a:1"], "JoinToken": "t", "ClusterSecret": "0123456789abcdef"}"#,
                "JoinToken",
                "one of them",
            ),
            (r#"{"TlsCert": "c"}"#, "TlsKey", "TlsCert"),
            (r#"{"TlsKey": "k"}"#, "TlsCert", "TlsKey"),
            (r#"{"TlsCa": "a"}"#, "TlsCa", "TlsCert"),
            (
                r#"{"TlsCert": "c", "TlsKey": "k", "AdvertiseUrl": "http://a:1"}"#,
                "AdvertiseUrl",
                "https://",
            ),
            (r#"{"AdvertiseUrl": "https://a:1"}"#, "AdvertiseUrl", "http://"),
            (r#"{"NodeNetworks": ["10.0.0.0/33"]}"#, "NodeNetworks", "prefix"),
            (r#"{"RefuseEntry": ["7"]}"#, "RefuseEntry", "INDEX:HASH"),
            (r#"{"RefuseEntry": ["7:12"]}"#, "RefuseEntry", "INDEX:HASH"),
            (r#"[]"#, "object", "config.json.example"),
            (r#"{"#, "JSON", "config.json.example"),
        ] {
            let error = load(file).unwrap_err();
            assert!(error.message.contains(message), "{file}: {error}");
            assert!(error.hint.as_deref().unwrap_or("").contains(hint), "{file}: {error}");
        }
    }

    #[test]
    fn a_file_of_jettradbvm_is_read_and_says_what_became_of_its_keys() {
        let file = r#"{"Host": "localhost", "Port": 6585, "DataDir": "data", "Mode": "standalone",
            "Role": "leader", "SessionTimeout": 30, "ClusterID": "c", "FederatedServers": [],
            "adminUser": "admin", "system_username": "admin", "system_password": "secret"}"#;
        let config = load(file).unwrap();
        assert!(config.host.is_loopback());
        assert_eq!(config.url(), "http://localhost:6585");
        assert_eq!(config.notes.len(), 8, "{:?}", config.notes);
        for (name, note) in ["Mode", "Role", "SessionTimeout"].into_iter().zip(&config.notes) {
            assert!(note.starts_with(&format!("{name} is a key of JettraDBVM")), "{note}");
        }
        assert!(!config.notes.iter().any(|note| note.contains("secret\"")), "{:?}", config.notes);
        let typo = load(r#"{"Modes": "x"}"#).unwrap_err();
        assert!(typo.message.contains("unknown key \"Modes\""), "{typo}");
        let lost = load(r#"{"Host": "no such host"}"#).unwrap_err();
        assert!(lost.message.contains("leads to no address"), "{lost}");
    }

    #[test]
    fn the_example_documents_every_key_with_its_default() {
        let text = include_str!("../../config.json.example");
        let example: Map<String, Value> = serde_json::from_str(text).unwrap();
        for key in KEYS {
            let default: Value = serde_json::from_str(key.default).unwrap();
            assert_eq!(example.get(key.name), Some(&default), "{}", key.name);
            let comment = example.get(&format!("//{}", key.name));
            assert_eq!(comment, Some(&json!(key.help)), "{}", key.name);
        }
        assert_eq!(example.len(), KEYS.len() * 2);
        load(text).unwrap();
    }

    #[test]
    fn flags_and_variables_have_the_usual_spelling() {
        let spelled = |name: &str| find(name).map(|key| (key.flag(), key.variable())).unwrap();
        assert_eq!(spelled("NodeID"), ("node-id".into(), "JETTRA_NODE_ID".into()));
        assert_eq!(spelled("AdvertiseUrl").0, "advertise-url");
        assert_eq!(spelled("distributed").1, "JETTRA_DISTRIBUTED");
    }

    #[test]
    fn a_node_with_a_certificate_advertises_https() {
        let config = load(r#"{"TlsCert": "c", "TlsKey": "k", "Port": 1, "Host": "::1"}"#).unwrap();
        assert_eq!(config.url(), "https://[::1]:1");
        assert_eq!(config.advertise_host().as_deref(), Some("::1"));
    }

    #[test]
    fn addresses_are_brought_into_one_form() {
        assert_eq!(check_url("http://Host:80/").unwrap(), "http://host:80");
        assert_eq!(check_url("http://127.0.0.1:8081").unwrap(), "http://127.0.0.1:8081");
        assert_eq!(check_url("https://a").unwrap(), "https://a:443");
        for bad in
            ["x", "ftp://a", "file:///a", "http://", "http://u:p@a", "http://a/b", "http://a?x"]
        {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
