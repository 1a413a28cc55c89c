//! A cluster on this machine for development: real `jettradb` processes that outlive the shell.

mod certs;
mod check;
mod conf;
mod files;
mod process;
mod up;

use crate::failure::{Failure, exit};
use crate::print::{Format, Mode, Output, render, say};
use clap::{Args, Subcommand};
use files::{Cluster, Node};
use jettra_driver::wire::{HealthReply, NodeStatus};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use up::up;

const NODES_DEFAULT: u16 = 3;
const PORT_DEFAULT: u16 = 8080;
const NODES_MAX: i64 = 9;
const LINES_DEFAULT: usize = 100;
/// Longest time that nodes may take to end.
const DOWN_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// Longest time that one node may take to answer.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// Options of `jettra dev`. It needs `/proc` to recognise its processes, so Linux.
#[derive(Debug, Args)]
pub(crate) struct DevOptions {
    /// The cluster's folder
    #[arg(long, default_value = "dev-cluster", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a cluster, or the nodes of an existing one
    #[command(visible_alias = "start")]
    Up {
        /// Number of nodes of a new cluster [default: 3]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=NODES_MAX))]
        nodes: Option<u16>,
        /// Port of the first node of a new cluster; the others take the next ones
        /// [default: 8080]
        #[arg(long)]
        port: Option<u16>,
        /// Serve https, and let the nodes of a new cluster show each other certificates
        #[arg(long)]
        tls: bool,
        /// Folder with a configuration file of rockraft's example (TOML) for each node of a new cluster
        #[arg(long, value_name = "DIR", conflicts_with_all = ["nodes", "port", "tls"])]
        conf: Option<PathBuf>,
        /// The jettradb program [default: beside jettra, else in PATH]
        #[arg(long, value_name = "FILE")]
        server: Option<PathBuf>,
    },
    /// Create a test authority, and a certificate for nodes on this machine and the hosts given
    Certs {
        /// Names and addresses of further hosts
        #[arg(long, value_delimiter = ',', value_name = "HOST")]
        host: Vec<String>,
        /// The folder; an existing authority in it signs the new certificate
        #[arg(long, value_name = "DIR", default_value = "dev-certs")]
        out: PathBuf,
    },
    /// Show the nodes: which of them run, with role and health
    #[command(visible_alias = "status")]
    Ps,
    /// Show the end of a node's log, and follow it as it grows
    Logs {
        /// The node, for example node1
        node: String,
        /// Follow the log although --lines is given
        #[arg(short, long, conflicts_with = "no_follow")]
        follow: bool,
        /// Show the end of the log only
        #[arg(long)]
        no_follow: bool,
        /// Show this number of lines from the end of the log, and no more [default: 100, and follow]
        #[arg(short = 'n', long)]
        lines: Option<usize>,
    },
    /// Stop all nodes
    #[command(visible_alias = "stop")]
    Down,
    /// Stop all nodes and start them again
    Restart {
        /// The jettradb program [default: beside jettra, else in PATH]
        #[arg(long, value_name = "FILE")]
        server: Option<PathBuf>,
    },
    /// Write through each node, read from all, and check their health
    Test,
    /// Remove the log files; that of a running node is emptied
    Clean,
    /// Remove the folder of a stopped cluster, with its data
    Destroy,
}

/// Runs one action; the exit code.
pub(crate) fn run(options: &DevOptions, runtime: &Runtime) -> Result<u8, Failure> {
    let dir = &options.dir;
    match &options.action {
        Action::Up { nodes, port, tls, conf, server } => {
            let server = process::find_server(server.as_deref())?;
            let cluster = match conf {
                Some(conf) => open_or_create_of(dir, conf)?,
                None => open_or_create(dir, *nodes, *port, *tls)?,
            };
            up(&cluster, &server, runtime)
        }
        Action::Certs { host, out } => {
            certs::create(out, host)?;
            say(&certs::next_steps(out));
            Ok(exit::OK)
        }
        Action::Ps => runtime.block_on(show(&need(dir)?)),
        Action::Logs { node, follow, no_follow, lines } => {
            let follow = *follow || (!no_follow && lines.is_none());
            logs(&need(dir)?, node, lines.unwrap_or(LINES_DEFAULT), follow)
        }
        Action::Down => down(&need(dir)?),
        Action::Restart { server } => {
            let server = process::find_server(server.as_deref())?;
            let cluster = need(dir)?;
            down(&cluster)?;
            up(&cluster, &server, runtime)
        }
        Action::Test => runtime.block_on(check::run(&need(dir)?)),
        Action::Clean => clean(&need(dir)?),
        Action::Destroy => destroy(&need(dir)?),
    }
}

fn need(dir: &Path) -> Result<Cluster, Failure> {
    Cluster::open(dir)?.ok_or_else(|| {
        let dir = dir.display();
        Failure::Usage(format!(
            "there is no cluster in {dir}; start one with: jettra dev up 3 --dir {dir}"
        ))
    })
}

/// Opens a cluster, which keeps its size and its ports, or creates one.
fn open_or_create(
    dir: &Path,
    nodes: Option<u16>,
    port: Option<u16>,
    tls: bool,
) -> Result<Cluster, Failure> {
    let Some(cluster) = Cluster::open(dir)? else {
        let (nodes, port) = (nodes.unwrap_or(NODES_DEFAULT), port.unwrap_or(PORT_DEFAULT));
        // Before the folder is created, so that the next attempt may name another port.
        (1..=nodes)
            .zip(port..)
            .try_for_each(|(number, port)| process::check_port(&format!("node{number}"), port))?;
        return Cluster::create(dir, nodes, port, tls);
    };
    let (count, first) = (cluster.nodes.len(), cluster.nodes[0].port);
    let fits = nodes.is_none_or(|nodes| usize::from(nodes) == count)
        && port.is_none_or(|port| port == first)
        && (!tls || cluster.serves_tls());
    if fits {
        return Ok(cluster);
    }
    Err(Failure::Usage(format!(
        "the cluster in {} has {count} nodes{} from port {first} on; start it with: jettra dev up, \
         or name another folder with --dir",
        dir.display(),
        if cluster.serves_tls() { " with https" } else { "" },
    )))
}

/// Opens the cluster of a folder with configuration files, or creates it.
fn open_or_create_of(dir: &Path, conf: &Path) -> Result<Cluster, Failure> {
    let nodes = conf::nodes(conf)?;
    match Cluster::open(dir)? {
        None => {
            nodes.iter().try_for_each(|node| process::check_port(&node.name, node.port))?;
            conf::check_new(&nodes)?;
            Cluster::create_of(dir, nodes)
        }
        Some(cluster) if cluster.nodes == nodes => Ok(cluster),
        Some(_) => Err(Failure::Usage(format!(
            "the cluster in {} has not the nodes of {}; name another folder with --dir",
            dir.display(),
            conf.display()
        ))),
    }
}

/// The health of one node, if it answers.
async fn health(cluster: &Cluster, node: &Node) -> Option<HealthReply> {
    let client = cluster
        .builder()
        .ok()?
        .seeds([node.url()])
        .stay_on_seed()
        .attempt_timeout(PROBE_MAX)
        .deadline(PROBE_MAX)
        .build()
        .ok()?;
    tokio::time::timeout(PROBE_MAX, client.health()).await.ok()?.ok()
}

async fn show(cluster: &Cluster) -> Result<u8, Failure> {
    let asked = tokio::time::timeout(PROBE_MAX, cluster.client()?.cluster_status()).await;
    let members = asked.ok().and_then(Result::ok).map(|reply| reply.nodes);
    let mut rows = Vec::new();
    for node in &cluster.nodes {
        let pid = process::running(cluster, node);
        let health = match pid {
            Some(_) => health(cluster, node).await,
            None => None,
        };
        let member = members.iter().flatten().find(|member| member.key == node.id());
        rows.push(row(node, pid, health, member.map(|member| member.status)));
    }
    let format = Format::plain(Mode::Table);
    say(&render(&Output::Rows(rows), format));
    Ok(exit::OK)
}

fn row(
    node: &Node,
    pid: Option<u32>,
    health: Option<HealthReply>,
    status: Option<NodeStatus>,
) -> Value {
    let (role, health) = match health {
        Some(health) => (health.state.to_uppercase(), health.status),
        None => ("-".into(), "-".into()),
    };
    json!({
        "node": node.name,
        "state": if pid.is_some() { "running" } else { "stopped" },
        "pid": pid.map_or("-".into(), |pid| pid.to_string()),
        "url": node.url(),
        "role": role,
        "health": health,
        "status": status.map_or("unknown".into(), |status| status.to_string()),
    })
}

fn logs(cluster: &Cluster, name: &str, lines: usize, follow: bool) -> Result<u8, Failure> {
    let node = cluster.nodes.iter().find(|node| node.name == name);
    let node = node.ok_or_else(|| {
        let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        Failure::Usage(format!("there is no node {name}; choose {}", names.join(", ")))
    })?;
    process::print_log(&cluster.log(node), lines, follow)?;
    Ok(exit::OK)
}

fn down(cluster: &Cluster) -> Result<u8, Failure> {
    let running = || {
        let find = |node| process::running(cluster, node).map(|pid| (node, pid));
        cluster.nodes.iter().filter_map(find).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + DOWN_MAX;
    for (node, pid) in running() {
        process::terminate(pid)?;
        say(&format!("Stopping {} (pid {pid})\n", node.name));
    }
    while let Some((node, pid)) = running().first() {
        if Instant::now() >= deadline {
            return Err(Failure::Refused(format!(
                "{} (pid {pid}) has not ended after {} s; see its log, then: kill -9 {pid}",
                node.name,
                DOWN_MAX.as_secs()
            )));
        }
        std::thread::sleep(POLL);
    }
    cluster.forget_pids();
    say("All nodes are stopped.\n");
    Ok(exit::OK)
}

/// Removes the logs. The process of a running node goes on with its file, so that one is emptied.
fn clean(cluster: &Cluster) -> Result<u8, Failure> {
    for node in &cluster.nodes {
        let log = cluster.shown(&format!("logs/{}.log", node.name));
        if process::running(cluster, node).is_some() {
            cluster.empty_log(node)?;
            say(&format!("Emptied {log}; {} is running.\n", node.name));
        } else if cluster.remove_log(node)? {
            say(&format!("Removed {log}.\n"));
        }
    }
    Ok(exit::OK)
}

fn destroy(cluster: &Cluster) -> Result<u8, Failure> {
    if let Some(node) = cluster.nodes.iter().find(|node| process::running(cluster, node).is_some())
    {
        return Err(Failure::Refused(format!(
            "{} is running; stop the cluster first with: jettra dev down",
            node.name
        )));
    }
    cluster.remove()?;
    say(&format!("Removed {}.\n", cluster.root.display()));
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_node_has_no_role() {
        let node = Node { name: "node2".into(), port: 8081, tls: false, conf: None };
        let row = row(&node, None, None, Some(NodeStatus::Inactive));
        assert_eq!(row["state"], "stopped");
        assert_eq!(row["role"], "-");
        assert_eq!(row["status"], "INACTIVE");
    }

    #[test]
    fn an_existing_cluster_keeps_its_size() {
        let dir = std::env::temp_dir().join(format!("jettra-dev-{}", std::process::id()));
        open_or_create(&dir, Some(2), Some(18_080), false).unwrap();
        let opened = open_or_create(&dir, None, None, false).unwrap();
        assert_eq!(opened.nodes[1].port, 18_081);
        assert!(open_or_create(&dir, Some(3), None, false).is_err());
        assert!(open_or_create(&dir, Some(2), Some(9_000), false).is_err());
        assert!(open_or_create(&dir, None, None, true).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_taken_port_leaves_no_cluster_behind() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let dir = std::env::temp_dir().join(format!("jettra-dev-taken-{}", std::process::id()));
        let refused = open_or_create(&dir, Some(1), Some(port), false).err().unwrap();
        assert!(refused.to_string().contains(&format!("cannot have port {port}")), "{refused}");
        assert!(!dir.exists());
    }
}
