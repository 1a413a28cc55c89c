//! The keys of the configuration: their spelling, types, defaults and meaning.

use super::wrong;
use crate::error::{Error, Result};
use serde_json::{Value, json};

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts; separated by commas in flags and variables.
    List,
}

/// One key of the configuration.
pub struct Key {
    /// Its spelling in the file.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Type,
    /// Its default, as JSON; `null` when it has none.
    pub default: &'static str,
    /// Its meaning, in one line.
    pub help: &'static str,
}

const fn key(name: &'static str, kind: Type, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, help }
}

/// All keys.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("Host", Type::Text, "\"127.0.0.1\"", "address to listen on, or a name that leads to it; other than loopback needs a cluster secret and AdvertiseUrl"),
    key("Port", Type::Number, "8080", "port for clients and other nodes"),
    key("AdvertiseUrl", Type::Text, "null", "where other nodes and clients reach this node; default http://Host:Port, with TlsCert https; never 0.0.0.0"),
    key("PeerAddress", Type::Text, "null", "where this node listens for other nodes, as host:port; then Host and Port serve clients only; set it when all nodes run a version that knows it, and change it on one node after the other; default: Host and Port serve both"),
    key("TlsCert", Type::Text, "null", "file with this node's certificate and those between it and its authority (PEM); with it and TlsKey the node serves https; read again when it changes, and on SIGHUP"),
    key("TlsKey", Type::Text, "null", "file with the private key of that certificate (PEM)"),
    key("TlsCa", Type::Text, "null", "file with the authority that signs the certificates of all nodes (PEM); with it nodes must show such a certificate to each other; default: the system's authorities, and no certificates between nodes"),
    key("DataDir", Type::Text, "\"data\"", "directory of everything this node keeps"),
    key("distributed", Type::Bool, "false", "true: member of a cluster; false: a node of its own, which can become distributed later"),
    key("NodeID", Type::Text, "null", "unique name of this node; default: made at the first start and kept"),
    key("Bootstrap", Type::Bool, "false", "true on the first node of a new cluster only: it makes the cluster"),
    key("BootstrapLowest", Type::Bool, "false", "true: of the nodes without data the one with the lowest NodeID makes the cluster, once one of Peers answers that it belongs to none and none is a member; the others join"),
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
    key("ReplaceAfterMs", Type::Number, "600000", "silence after which other nodes take the replicas that a node holds of groups; not while more than one node, or more than a third, is silent"),
    key("AutoRebalance", Type::Bool, "true", "move replicas of groups by itself when a node holds two more than another; false: only when asked"),
    key("MoveMbPerSecond", Type::Number, "64", "megabytes per second that this node may send to replicas that are new on other nodes; 0: as fast as possible"),
    key("Zone", Type::Text, "null", "what this node may fail together with, such as a rack or a data center: replicas of a group are spread over zones; any name"),
    key("SnapshotEvery", Type::Number, "20000", "log entries between two snapshots; older entries are removed from the log"),
    key("SnapshotLogMb", Type::Number, "64", "bytes of log between two snapshots; about twice as much is kept, and up to 8 times (or the size of the state) while a member needs it"),
    key("LogChunkMb", Type::Number, "8", "size of a log file; the newest one is kept in memory too"),
    key("MapSizeGb", Type::Number, "64", "largest size of the stored state; only address space until it is used"),
    key("CommitMs", Type::Number, "10", "time after which applied writes become visible at the level local; other readers do not wait for it"),
    key("DiskReserveMb", Type::Number, "64", "free disk space below which writes are refused with 507"),
    key("HttpWorkers", Type::Number, "2", "threads that read requests and write answers, and serve the other nodes; twice as many carry out the calls of clients"),
    key("RefuseEntry", Type::List, "[]", "log entries that are refused as a whole, as INDEX:HASH (INDEX@GROUP:HASH in another group than 0) from the message of a node that could not apply one; the same on all nodes, until it is in the state"),
    key("OpenFilesMax", Type::Number, "null", "files and connections that this process may have open; default: as many as the system allows"),
    key("RequestTimeoutMs", Type::Number, "8000", "longest time a call waits for the cluster"),
    key("QueueMax", Type::Number, "4096", "writes that may wait on the leader before it answers 429"),
    key("CallsPerUserMax", Type::Number, "1024", "calls of one user that a node carries out at once; further ones get 429"),
    key("CorsOrigins", Type::List, "[]", "web pages of other origins that may call this node, as https://host:port; none unless listed"),
    key("BodyMemoryMb", Type::Number, "256", "memory for bodies of calls and writes that wait, all together, before callers get 429"),
    key("BodyTimeoutMs", Type::Number, "30000", "longest time that the body of a call may take to arrive"),
    key("BatchMax", Type::Number, "512", "writes in one log entry"),
    key("DocumentBytesMax", Type::Number, "16777216", "largest document in bytes"),
    key("DepthMax", Type::Number, "64", "deepest nesting of a document"),
    key("IdBytesMax", Type::Number, "480", "longest _id in bytes, as it stands in keys, at most 480"),
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
    key("OpenOnLoopback", Type::Bool, "false", "true: callers on this machine without credentials are the user admin; only where Host is loopback"),
    key("StartNodesIn", Type::Text, "null", "folder in which this node may start further ones on this machine (POST /cluster/add-node), with their data in nodes, logs in logs, and configurations to choose from in config; only where Host is loopback; default: it starts none"),
    key("SessionHours", Type::Number, "12", "time after which a login on the page ends"),
    key("LogFormat", Type::Text, "\"text\"", "form of the log: text, or json with one object for each line"),
    key("SlowMs", Type::Number, "1000", "time after which a call is logged as slow; 0: none is"),
    key("MetricsDefault", Type::Text, "\"text\"", "what GET /metrics gives a caller that accepts anything: text for Prometheus, or json about the consensus"),
    key("KvCollection", Type::Text, "\"kv.entries\"", "database and collection of the calls under /api/kv, with a dot between them; the same on all nodes"),
    key("KvAtRoot", Type::Bool, "false", "true: serve these calls at /get, /set and /delete too; the same on all nodes"),
    key("LogLevel", Type::Text, "\"info\"", "what is logged: error, warn, info, debug, or a tracing filter such as jettra_db=debug"),
];

impl Key {
    /// Whether its value is a secret, which is not shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.name, "ClusterSecret" | "JoinToken" | "AdminPassword")
    }

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
    pub(super) fn parse_text(&self, text: &str, origin: &str) -> Result<Value> {
        let value = match self.kind {
            Type::Text => Some(json!(text)),
            Type::Number => text.parse::<u64>().ok().map(Value::from),
            Type::Bool => text.parse::<bool>().ok().map(Value::from),
            Type::List => Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).collect()),
        };
        value.ok_or_else(|| self.wrong_type(text, origin))
    }

    pub(super) fn check_type(&self, value: &Value, origin: &str) -> Result<()> {
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

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The error for a key that does not exist.
pub(super) fn unknown_key(name: &str) -> Error {
    let distance =
        |key: &&Key| strsim::damerau_levenshtein(&key.name.to_lowercase(), &name.to_lowercase());
    let nearest = KEYS.iter().min_by_key(distance).map_or("", |key| key.name);
    wrong(
        format!("the configuration has an unknown key {name:?}"),
        format!("did you mean {nearest:?}?"),
    )
}
