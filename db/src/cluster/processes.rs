//! Processes of further nodes that this one starts on its machine and stops again.
//!
//! Nothing that a caller sends becomes a path or an argument by itself: the program is this one, the
//! data directory follows from the node's name, and a configuration is a file of one folder. A process
//! is known again after a restart of this node by its number, the boot of the machine and its command
//! line.

use super::identity::{failed, write_private};
use super::{Cluster, Exit, forward};
use crate::config::check_node_id;
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::error::{Error, Kind, Result};
use jettra_driver::wire::ProcessInfo;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// The configuration that every node may be started with: the defaults.
const BUILT_IN: &str = "config-local";
/// The record of a process, in the directory of its node.
const RECORD: &str = "process.json";
/// Time that a process has to end in good order.
const TERM_MAX: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(50);
/// Bytes from the end of a log that an error shows.
const TAIL_BYTES: usize = 4096;
/// How the names of nodes begin that get none from the caller.
const NAME_START: &str = "db-node-";
/// Free ports that are named when another one is taken.
const PORTS_SHOWN: usize = 3;
/// Longest time until a node that was started is a member.
const JOIN_MAX: Duration = Duration::from_secs(30);
/// Ports that are tried, at most.
const PORTS_TRIED: usize = 1000;

/// The processes that this node has started.
pub struct Processes {
    root: PathBuf,
    children: Mutex<HashMap<u32, Child>>,
    /// Held while one is started, so that two never get the same port or name.
    pub starting: tokio::sync::Mutex<()>,
}

/// A node that is to be started.
#[derive(Debug)]
pub struct NewProcess<'n> {
    /// Its name.
    pub node: &'n str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The name of its configuration.
    pub config: Option<&'n str>,
    /// The member that it asks for admission.
    pub peer: String,
    /// The cluster secret.
    pub secret: &'n str,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A process that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Program and arguments.
    pub command: String,
    /// The node that it runs.
    pub node: String,
    /// Its port.
    pub port: u16,
    /// The boot of the machine in which the number counts.
    boot: String,
    /// The directory of the node, as it stands in the command.
    dir: String,
    /// The file that it prints to.
    pub log: PathBuf,
}

impl Processes {
    /// The processes that are kept in a folder.
    pub fn new(root: &Path) -> Processes {
        Processes {
            // A process keeps its directory when this node starts again elsewhere.
            root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()),
            children: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// Starts a node.
    ///
    /// # Errors
    /// `invalid_parameter` if there is no such configuration; `process_failed`.
    pub fn start(&self, new: &NewProcess<'_>) -> Result<Process> {
        let config = self.config_file(new.config.unwrap_or(BUILT_IN))?;
        let (dir, logs) = (self.fresh_dir(new.node), self.root.join("logs"));
        let data = dir.join("data");
        fs::create_dir_all(&data).and_then(|()| fs::create_dir_all(&logs)).map_err(failed)?;
        // Where a node keeps the secret that a join token has brought.
        write_private(&data.join("cluster-secret"), new.secret)?;
        let port = new.address.port();
        let log = logs.join(format!("node-{port}.log"));
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let data = data.display().to_string();
        let mut arguments: Vec<String> = config
            .map(|path| vec!["--config".to_owned(), path.display().to_string()])
            .unwrap_or_default();
        let host = new.address.ip().to_string();
        for (flag, value) in [
            ("--node-id", new.node),
            ("--host", &host),
            ("--port", &port.to_string()),
            ("--data-dir", &data),
            ("--peers", &new.peer),
            ("--distributed", "true"),
        ] {
            arguments.extend([flag.to_owned(), value.to_owned()]);
        }
        arguments.extend(new.arguments.iter().cloned());
        let mut command = Command::new(&program);
        // In a group of its own, so that it outlives this node and its terminal.
        command.args(&arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("JETTRA_")) {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|error| not_started(&error.to_string(), "", None))?;
        let process = Process {
            pid: child.id(),
            command: format!("{} {}", program.display(), arguments.join(" ")),
            node: new.node.to_owned(),
            port,
            boot: boot(),
            dir: data,
            log,
        };
        self.children.lock().insert(process.pid, child);
        let record = serde_json::to_string(&process).map_err(failed)?;
        write_private(&dir.join(RECORD), &record)?;
        Ok(process)
    }

    /// The error of a process that has ended; none while it runs.
    pub fn failure(&self, process: &Process) -> Option<Error> {
        if self.is_running(process) {
            return None;
        }
        let code = self
            .children
            .lock()
            .get_mut(&process.pid)
            .and_then(|child| child.try_wait().ok().flatten().and_then(|status| status.code()));
        let printed = fs::read(&process.log).unwrap_or_default();
        let tail = &printed[printed.len().saturating_sub(TAIL_BYTES)..];
        Some(not_started("Process failed to start", &String::from_utf8_lossy(tail), code))
    }

    /// Stops the process of a node, if this node has started it and it runs; returns whether it did.
    pub async fn stop(&self, node: &str, port: u16) -> bool {
        let Some(process) = self.running(node, port) else { return false };
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        for signal in [Signal::TERM, Signal::KILL] {
            // One that has just ended needs no signal.
            let _ = kill_process(pid, signal);
            let deadline = Instant::now() + TERM_MAX;
            while Instant::now() < deadline {
                if !self.is_running(&process) {
                    self.children.lock().remove(&process.pid);
                    return true;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        }
        false
    }

    /// The process of a node, if this node has started it and it runs.
    fn running(&self, node: &str, port: u16) -> Option<Process> {
        let folders = fs::read_dir(self.root.join("nodes")).ok()?.flatten();
        let read = |path: PathBuf| serde_json::from_slice(&fs::read(path.join(RECORD)).ok()?).ok();
        folders
            .filter_map(|entry| read(entry.path()))
            .find(|one: &Process| one.node == node && one.port == port && self.is_running(one))
    }

    fn is_running(&self, process: &Process) -> bool {
        if let Some(child) = self.children.lock().get_mut(&process.pid) {
            return matches!(child.try_wait(), Ok(None));
        }
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        process.boot == boot() && words.any(|word| word == process.dir.as_bytes())
    }

    /// The file of a configuration; none of the one that is built in.
    fn config_file(&self, name: &str) -> Result<Option<PathBuf>> {
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        let folder = self.root.join("config");
        let path = folder.join(format!("{stem}.json"));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !stem.is_empty() && stem.chars().all(plain) && path.is_file() {
            return Ok(Some(path));
        }
        if stem == BUILT_IN {
            return Ok(None);
        }
        let message = format!("config_file: there is no configuration {name:?}");
        let hint = format!("put {stem}.json into {}, or use {BUILT_IN}", folder.display());
        Err(Error::new(Kind::InvalidParameter, message).hint(hint))
    }

    /// A directory for a node that has never been used: what an earlier node of that name has left stays.
    fn fresh_dir(&self, node: &str) -> PathBuf {
        let nodes = self.root.join("nodes");
        let named = (2..).map(|number| nodes.join(format!("{node}-{number}")));
        let mut all = std::iter::once(nodes.join(node)).chain(named);
        all.find(|path| !path.exists()).unwrap_or_else(|| nodes.join(node))
    }
}

impl Cluster {
    /// The processes that this node has started and may start.
    ///
    /// # Errors
    /// `not_enabled` without `StartNodesIn`.
    pub fn processes(&self) -> Result<&Processes> {
        self.processes.as_ref().ok_or_else(|| {
            Error::new(Kind::NotEnabled, "this node starts no further nodes").hint(
                "set StartNodesIn to a folder for them and start it again, or start them by hand",
            )
        })
    }

    /// Starts a node on this machine, and waits until it is a member.
    ///
    /// # Errors
    /// `not_enabled`, `not_distributed`, `invalid_parameter`, `node_conflict`, `port_in_use`,
    /// `process_failed`, `join_failed`.
    pub async fn start_process(&self, wanted: &WantedProcess) -> Result<Process> {
        let processes = self.processes()?;
        if !self.config.distributed {
            return Err(Error::new(
                Kind::NotDistributed,
                "this node runs alone (distributed: false)",
            )
            .hint("set distributed to true on it and restart; its data stays"));
        }
        let _one = processes.starting.lock().await;
        let node = match &wanted.node {
            Some(name) => name.clone(),
            None => self.next_name(),
        };
        check_node_id(&node)?;
        // Its directory has this name.
        if node.starts_with('.') {
            let message = format!("node_id: {node:?} begins with a dot");
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint("begin it with a letter or a digit"));
        }
        if let Some(known) = self.nodes.named(&node) {
            let message = format!("node_id: {node:?} is a member already, at {}", known.url);
            return Err(Error::new(Kind::NodeConflict, message).hint("give it another name"));
        }
        let address = self.free_address(wanted)?;
        let new = NewProcess {
            node: &node,
            address,
            config: wanted.config.as_deref(),
            peer: self.config.peer_url(),
            secret: &self.secret,
            arguments: self.shared_arguments(),
        };
        let process = processes.start(&new)?;
        self.wait_joined(&process, address).await?;
        Ok(process)
    }

    /// Waits until a process that was started is a member.
    async fn wait_joined(&self, process: &Process, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + JOIN_MAX;
        loop {
            if let Ok(group) = self.groups.system() {
                self.nodes.refresh(group)?;
            }
            let joined = self.nodes.named(&process.node);
            if joined.is_some_and(|node| node.status == NodeStatus::Active) {
                return Ok(());
            }
            if let Some(error) = self.processes()?.failure(process) {
                return Err(error);
            }
            if Instant::now() > deadline {
                let url = format!("http://{address}");
                return Err(Error::new(
                    Kind::JoinFailed,
                    "Node started but failed to join cluster",
                )
                .hint(format!(
                    "its log is {}; it goes on asking, or add it by hand: jettra cluster add {url}",
                    process.log.display()
                ))
                .details(
                    json!({"node_address": address.to_string(), "process_info": process.info()}),
                ));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// `db-node-` with a number after those of all members.
    fn next_name(&self) -> String {
        let members = self.nodes.all();
        let numbers =
            members.iter().filter_map(|node| node.id.strip_prefix(NAME_START)?.parse().ok());
        let last = numbers.chain([members.len() as u64]).max().unwrap_or_default();
        format!("{NAME_START}{}", last.saturating_add(1))
    }

    /// The address that is wanted, if it is free; else the first free one after those of the members.
    fn free_address(&self, wanted: &WantedProcess) -> Result<SocketAddr> {
        let host = wanted.host;
        if !host.is_loopback() {
            let message = format!("host: {host} is not on this machine alone");
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint("leave it out, or use 127.0.0.1; start nodes of other machines there"));
        }
        let Some(port) = wanted.port else {
            let members = self.nodes.all();
            let ports = members.iter().filter_map(|node| Url::parse(&node.url).ok()?.port());
            let last = ports.chain([self.config.port]).max().unwrap_or_default();
            let free = free_ports(host, last.saturating_add(1), 1);
            return match free.first() {
                Some(port) => Ok(SocketAddr::new(host, *port)),
                None => {
                    Err(Error::new(Kind::PortInUse, format!("port: none after {last} is free"))
                        .hint("name one"))
                }
            };
        };
        if port != 0 && free_ports(host, port, 1) == [port] {
            return Ok(SocketAddr::new(host, port));
        }
        let others = free_ports(host, port.saturating_add(1), PORTS_SHOWN);
        Err(Error::new(Kind::PortInUse, format!("Port {port} is not available"))
            .hint("use one of available_ports, or leave port out")
            .details(json!({"available_ports": others})))
    }

    /// What a node on this machine shares with this one.
    fn shared_arguments(&self) -> Vec<String> {
        let config = &self.config;
        let files = [
            ("--tls-cert", &config.tls_cert),
            ("--tls-key", &config.tls_key),
            ("--tls-ca", &config.tls_ca),
        ];
        let given = files.into_iter().filter_map(|(flag, path)| {
            let path = std::path::absolute(path.as_ref()?).ok()?;
            Some([flag.to_owned(), path.display().to_string()])
        });
        let mut arguments: Vec<_> = given.flatten().collect();
        if config.open_on_loopback {
            arguments.extend(["--open-on-loopback".to_owned(), "true".to_owned()]);
        }
        arguments
    }

    /// Ends the process of a node that was removed: one that this node has started by a signal, another
    /// one by a call. Returns whether it ran.
    pub async fn end_process(&self, node: &NodeDocument) -> bool {
        let port = Url::parse(&node.url).ok().and_then(|url| url.port_or_known_default());
        if node.id == self.node_id() {
            self.end(Exit::Stop);
            return true;
        }
        if let (Some(processes), Some(port)) = (&self.processes, port)
            && processes.stop(&node.id, port).await
        {
            return true;
        }
        let deadline = Instant::now() + TERM_MAX;
        loop {
            match forward::end_removed(self, node.peer_url()).await {
                Ok(()) => return true,
                Err(error) if error.kind == Kind::NotPossibleNow && Instant::now() < deadline => {
                    // It has not heard yet that it was removed.
                    tokio::time::sleep(INTERVAL).await;
                }
                Err(error) => {
                    tracing::info!(node = node.id, %error, "no process of a removed node was stopped");
                    return false;
                }
            }
        }
    }
}

/// A node that is to be started, as a caller wants it.
#[derive(Debug, Clone)]
pub struct WantedProcess {
    /// Its name; none: the next one.
    pub node: Option<String>,
    /// Its address.
    pub host: IpAddr,
    /// Its port; none: the next free one.
    pub port: Option<u16>,
    /// The name of its configuration.
    pub config: Option<String>,
}

impl Process {
    /// What a caller sees of it.
    pub fn info(&self) -> ProcessInfo {
        ProcessInfo {
            pid: self.pid,
            command: self.command.clone(),
            node_id: self.node.clone(),
            port: self.port,
        }
    }
}

/// The first ports from `first` on that no program uses at `host`, at most `count`.
pub fn free_ports(host: IpAddr, first: u16, count: usize) -> Vec<u16> {
    let tried = (first..=u16::MAX).take(PORTS_TRIED);
    tried.filter(|port| TcpListener::bind((host, *port)).is_ok()).take(count).collect()
}

/// The error of a process that does not run, with what it has printed.
fn not_started(reason: &str, printed: &str, code: Option<i32>) -> Error {
    let details = json!({
        "error": reason, "stdout": "", "stderr": printed, "return_code": code,
    });
    Error::new(Kind::ProcessFailed, "Failed to start node process")
        .hint("its output tells why; check its configuration and the rights on StartNodesIn")
        .details(json!({"details": details}))
}

/// The identity of this boot of the machine: numbers of processes count in it only.
fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_file_of_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let processes = Processes::new(dir.path());
        let folder = dir.path().join("config");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("small.json"), "{}").unwrap();
        fs::write(dir.path().join("secret.json"), "{}").unwrap();
        let found = |name| processes.config_file(name).map_err(|error| error.kind);
        assert_eq!(found("config/config-local.yaml"), Ok(None));
        assert_eq!(found("small"), Ok(Some(folder.join("small.json"))));
        assert_eq!(found("config/small.yaml"), Ok(Some(folder.join("small.json"))));
        for bad in ["../secret", "secret", "", "..", "small\0", "/etc/passwd", "a b"] {
            assert_eq!(found(bad), Err(Kind::InvalidParameter), "{bad:?}");
        }
    }

    #[test]
    fn a_directory_is_never_used_twice() {
        let dir = tempfile::tempdir().unwrap();
        let processes = Processes::new(dir.path());
        for name in ["n", "n-2", "n-3"] {
            let fresh = processes.fresh_dir("n");
            assert_eq!(fresh, dir.path().join("nodes").join(name));
            fs::create_dir_all(fresh).unwrap();
        }
    }

    #[test]
    fn a_process_of_another_boot_or_of_another_program_is_not_taken_for_one_of_these() {
        let dir = tempfile::tempdir().unwrap();
        let processes = Processes::new(dir.path());
        let own = fs::read("/proc/self/cmdline").unwrap();
        let word = own.split(|byte| *byte == 0).next().unwrap();
        let process = Process {
            pid: std::process::id(),
            command: String::new(),
            node: "n".into(),
            port: 1,
            boot: boot(),
            dir: String::from_utf8(word.to_vec()).unwrap(),
            log: PathBuf::new(),
        };
        assert!(processes.is_running(&process));
        let other = Process { boot: "another".into(), ..process.clone() };
        assert!(!processes.is_running(&other));
        assert!(!processes.is_running(&Process { dir: "/elsewhere".into(), ..process }));
    }
}
