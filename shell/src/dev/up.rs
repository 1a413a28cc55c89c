//! `dev up`: starts the processes, and waits until every node serves.

use super::files::{self, Cluster, Node};
use super::{POLL, certs, health, process, show};
use crate::failure::{Failure, exit};
use crate::print::say;
use jettra_driver::Error;
use jettra_driver::wire::{ClusterReply, HealthReply, NodeStatus};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Longest time from the start of the processes until every node is active.
const UP_MAX: Duration = Duration::from_secs(60);

/// Starts the stopped nodes of a cluster; the exit code.
pub(super) fn up(cluster: &Cluster, server: &Path, runtime: &Runtime) -> Result<u8, Failure> {
    cluster.prepare()?;
    let is_stopped = |node: &&Node| process::running(cluster, node).is_none();
    let stopped: Vec<&Node> = cluster.nodes.iter().filter(is_stopped).collect();
    // All before the first starts, so that none is left over when another cannot start.
    stopped.iter().try_for_each(|node| process::check_port(&node.name, node.port))?;
    for node in stopped {
        process::start(server, cluster, node)?;
    }
    runtime.block_on(async {
        let deadline = Instant::now() + UP_MAX;
        wait_for_answers(cluster, deadline).await?;
        register_waiting(cluster).await?;
        wait_until_active(cluster, deadline).await?;
        show(cluster).await
    })?;
    say(&next_steps(cluster));
    Ok(exit::OK)
}

fn next_steps(cluster: &Cluster) -> String {
    let urls: Vec<String> = cluster.nodes.iter().map(Node::url).collect();
    let password = process::quoted(&cluster.shown(files::PASSWORD));
    let dir = process::quoted(&cluster.shown(""));
    let authority = Path::new(files::CERTIFICATES).join(certs::AUTHORITY);
    let authority = process::quoted(&cluster.shown(&authority.display().to_string()));
    let trust = match cluster.serves_tls() {
        true => format!(" --ca-file {authority}"),
        false => String::new(),
    };
    format!(
        "Page:  {}/\nLogin: admin, with the password in {password}\n\
         Shell: jettra --url {} --password-file {password}{trust}\nStop:  jettra dev down --dir {dir}\n",
        urls[0],
        urls.join(",")
    )
}

/// Waits until every process listens.
async fn wait_for_answers(cluster: &Cluster, deadline: Instant) -> Result<(), Failure> {
    for node in &cluster.nodes {
        while health(cluster, node).await.is_none() {
            if process::running(cluster, node).is_none() {
                return Err(ended(cluster, node));
            }
            pause(deadline, || format!("{} does not answer", node.name)).await?;
        }
    }
    Ok(())
}

fn ended(cluster: &Cluster, node: &Node) -> Failure {
    let log = cluster.log(node);
    let tail = process::tail(&log, 10).unwrap_or_default();
    Failure::Refused(format!(
        "{} ended after its start; the last lines of {}:\n{tail}",
        node.name,
        log.display()
    ))
}

/// Registers the nodes that belong to no cluster yet.
async fn register_waiting(cluster: &Cluster) -> Result<(), Failure> {
    let client = cluster.client()?;
    for node in &cluster.nodes {
        if matches!(health(cluster, node).await, Some(health) if health.status == "waiting") {
            client.cluster_register(&node.url(), None).await?;
        }
    }
    Ok(())
}

async fn wait_until_active(cluster: &Cluster, deadline: Instant) -> Result<(), Failure> {
    let client = cluster.client()?;
    loop {
        let laggard = match client.cluster_status().await {
            Ok(reply) => not_active(cluster, &reply).await,
            Err(error @ Error::Api { status: 401, .. }) => return Err(error.into()),
            Err(error) => Some(error.to_string()),
        };
        match laggard {
            Some(reason) => pause(deadline, || reason).await?,
            None => return Ok(()),
        }
    }
}

/// The first node that does not serve yet, with the reason.
///
/// A node that was removed from the cluster, or paused, does not count.
async fn not_active(cluster: &Cluster, reply: &ClusterReply) -> Option<String> {
    for node in &cluster.nodes {
        let health = health(cluster, node).await;
        let word = health.as_ref().map(|health| health.status.as_str());
        let member = reply.nodes.iter().find(|member| member.key == node.id());
        let serves = match (word, member.map(|member| member.status)) {
            (Some("ok"), Some(status)) => status == NodeStatus::Active,
            (Some("paused" | "removed"), _) => true,
            _ => false,
        };
        if !serves {
            let said = |health: HealthReply| health.reason.unwrap_or(health.status);
            let health = health.map_or("no answer".into(), said);
            let status = member.map_or("no member".into(), |member| member.status.to_string());
            return Some(format!("{} is {status}, its health is: {health}", node.name));
        }
    }
    None
}

async fn pause(deadline: Instant, reason: impl FnOnce() -> String) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        return Err(Failure::Refused(format!(
            "the cluster is not ready after {} s: {}; see: jettra dev logs",
            UP_MAX.as_secs(),
            reason()
        )));
    }
    tokio::time::sleep(POLL).await;
    Ok(())
}
