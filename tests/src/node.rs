//! One node: a `jettradb` process, its configuration, data and log.

use crate::bed::program;
use crate::certs::http_client;
use crate::guard::Guard;
use crate::http::Http;
use crate::{PASSWORD, SECRET};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Lines of the log that a failed test prints.
const LOG_TAIL: usize = 40;
/// Environment variable that sets the `LogLevel` of all nodes, for debugging.
const LOG_VARIABLE: &str = "TEST_LOG_LEVEL";
const EXIT_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// How a node starts for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It creates the cluster (`Bootstrap: true`).
    First,
    /// It waits to be registered.
    Waiting,
    /// It runs alone (`distributed: false`).
    Alone,
}

/// How a node is configured, besides its directory and port.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How it starts for the first time.
    pub role: Role,
    /// Additional keys of its configuration file.
    pub config: Map<String, Value>,
    /// Additional environment variables.
    pub env: Vec<(String, String)>,
    /// The cluster secret.
    pub secret: String,
}

impl Settings {
    /// The settings of a node with this role.
    pub fn new(role: Role) -> Settings {
        let secret = SECRET.to_owned();
        Settings { role, config: Map::new(), env: Vec::new(), secret }
    }

    /// Adds a key to the configuration file.
    pub fn key(mut self, name: &str, value: impl Into<Value>) -> Settings {
        self.config.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Settings {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// One node. Dropping it kills its process.
pub struct Node {
    /// Its `NodeID`.
    pub name: String,
    /// Its port on the loopback.
    pub port: u16,
    /// The settings that the next start uses.
    pub settings: Settings,
    dir: PathBuf,
    child: Option<Child>,
    /// Kills the process if this one ends without dropping the node.
    guard: Option<Guard>,
    process: Arc<AtomicU32>,
}

impl Node {
    /// A node with its files in `bed/name`; it does not run yet.
    pub(crate) fn new(bed: &Path, name: &str, port: u16, settings: Settings) -> Node {
        let dir = bed.join(name);
        std::fs::create_dir_all(&dir).expect("the folder of a node");
        let (name, process) = (name.to_owned(), Arc::default());
        Node { name, port, settings, dir, child: None, guard: None, process }
    }

    /// The URL at which it listens.
    pub fn url(&self) -> String {
        let tls = self.settings.config.contains_key("TlsCert");
        format!("{}://127.0.0.1:{}", if tls { "https" } else { "http" }, self.port)
    }

    /// The URL for the other nodes: its `AdvertiseUrl`, which may be that of a proxy.
    pub fn advertised_url(&self) -> String {
        let advertised = self.settings.config.get("AdvertiseUrl").and_then(Value::as_str);
        advertised.map_or_else(|| self.url(), str::to_owned)
    }

    /// A client for this node, with the administrator's credentials.
    pub fn http(&self) -> Http {
        let connections = http_client(self.authority().as_deref(), None);
        Http::over(connections, &self.url()).login(crate::ADMIN, PASSWORD)
    }

    /// The file with the certificate authority of the node.
    pub fn authority(&self) -> Option<PathBuf> {
        self.settings.config.get("TlsCa").and_then(Value::as_str).map(PathBuf::from)
    }

    /// Its `DataDir`.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Writes the configuration file and starts the process.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let command = self.command();
        self.spawn(command);
    }

    /// Writes the configuration file and returns the command that starts the node.
    pub fn command(&self) -> Command {
        let path = self.dir.join("config.json");
        std::fs::write(&path, format!("{:#}", self.configuration())).expect("config.json");
        let mut command = Command::new(program("jettradb"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("JETTRA_") {
                command.env_remove(name);
            }
        }
        command.arg(path).current_dir(&self.dir).env("HOME", &self.dir).stdin(Stdio::null());
        command.env("JETTRA_CLUSTER_SECRET", &self.settings.secret);
        command.env("JETTRA_ADMIN_PASSWORD", PASSWORD);
        command.envs(self.settings.env.iter().cloned());
        if let Ok(level) = std::env::var(LOG_VARIABLE) {
            command.env("JETTRA_LOG_LEVEL", level);
        }
        command
    }

    /// Starts a command as this node's process; its output is appended to the log.
    pub fn spawn(&mut self, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("the log of a node");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child = command.spawn().expect("jettradb can be started");
        self.process.store(child.id(), Ordering::Release);
        self.guard = Some(Guard::of(child.id()));
        self.child = Some(child);
    }

    fn configuration(&self) -> Value {
        let mut config = json!({
            "Host": "127.0.0.1",
            "Port": self.port,
            "DataDir": self.data_dir(),
            "distributed": self.settings.role != Role::Alone,
            "Bootstrap": self.settings.role == Role::First,
            "NodeID": self.name,
            "Peers": [],
        });
        for (key, value) in &self.settings.config {
            config[key] = value.clone();
        }
        config
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The log of the node since its first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Whether the node belongs to a cluster, according to its files.
    pub fn has_joined(&self) -> bool {
        let text = std::fs::read_to_string(self.data_dir().join("identity.json"));
        let identity = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        identity.is_some_and(|identity| identity["cluster_id"].is_string())
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().expect("the state of a child process").is_none())
    }

    /// Whether the test has started the process and not ended it since.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    /// Memory of the process without the files that it maps, in MB.
    pub fn memory_mb(&self) -> u64 {
        memory_mb(self.pid())
    }

    /// The process id, updated at each restart; 0 while no process runs.
    pub(crate) fn process(&self) -> Arc<AtomicU32> {
        self.process.clone()
    }

    /// Kills the process with `SIGKILL`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.process.store(0, Ordering::Release);
            self.guard = None;
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
        }
    }

    /// Sends a signal, such as `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, name: &str) {
        let number = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &number]).status().expect("kill runs");
        assert!(sent.success(), "SIG{name} to {}", self.name);
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the node runs");
        self.process.store(0, Ordering::Release);
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("the state of a child process") {
                self.guard = None;
                return status;
            }
            if started.elapsed() > EXIT_MAX {
                self.process.store(child.id(), Ordering::Release);
                self.child = Some(child);
                panic!("{} has not ended after {EXIT_MAX:?}", self.name);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Removes all files that the node has stored, as the loss of its disk would.
    pub fn wipe(&mut self) {
        assert!(self.child.is_none(), "{} still runs", self.name);
        std::fs::remove_dir_all(self.data_dir()).expect("the data of a node");
    }
}

/// Memory of a process without the files that it maps, in MB; 0 if there is no such process.
pub fn memory_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default() >> 10
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
            eprintln!("--- the end of the log of {} ({}):\n{tail}", self.name, self.url());
        }
    }
}
