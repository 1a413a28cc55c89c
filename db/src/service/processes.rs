//! Nodes as processes of one machine: started and stopped by a node, and how a node's peers answer it.

use super::shards::{self, NodeShare};
use super::{Response, Session};
use crate::auth::Permission;
use crate::cluster::audit;
use crate::cluster::nodes::same_address;
use crate::cluster::processes::{Process, WantedProcess};
use crate::cluster::report::{ClusterReport, MemberReport};
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::error::{Error, Kind, Result};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Longest time for the answer of a peer.
const PEER_MAX: Duration = Duration::from_secs(2);

/// Starts a node on this machine, and waits until it is a member.
///
/// # Errors
/// Those of [`Cluster::start_process`](crate::cluster::Cluster::start_process); `forbidden`.
pub async fn start(session: &Session, wanted: &WantedProcess) -> Result<Response<Process>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let started = cluster.start_process(wanted).await;
    let (name, outcome) = match &started {
        Ok(process) => (process.node.as_str(), "ok"),
        Err(error) => (wanted.node.as_deref().unwrap_or_default(), error.kind.code()),
    };
    audit::record(cluster, session.caller(), "node_start", name, outcome);
    started.map(Response::new)
}

/// The member at an address.
///
/// # Errors
/// `invalid_parameter` if there is none, `forbidden`.
pub fn member_at(session: &Session, url: &str) -> Result<NodeDocument> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    cluster.nodes.refresh(session.system()?)?;
    let members = cluster.nodes.all();
    members.iter().find(|node| same_address(&node.url, url)).cloned().ok_or_else(|| {
        let known: Vec<_> = members.iter().map(|node| node.url.as_str()).collect();
        Error::new(Kind::InvalidParameter, format!("no member has the address {url}"))
            .hint(format!("the members are at {}", known.join(", ")))
    })
}

/// Ends the process of a node that was removed; returns whether it ran.
///
/// # Errors
/// `forbidden`.
pub async fn end(session: &Session, node: &NodeDocument) -> Result<bool> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let ended = cluster.end_process(node).await;
    let outcome = if ended { "ok" } else { "not_running" };
    audit::record(cluster, session.caller(), "node_end", &node.id, outcome);
    Ok(ended)
}

/// How a peer answers this node.
#[derive(Debug)]
pub struct Peer {
    /// What is known of it.
    pub member: MemberReport,
    /// The time until it answered, or why it did not.
    pub answer: std::result::Result<Duration, String>,
}

/// The state of the cluster as the clients of the Python cluster manager see it.
#[derive(Debug)]
pub struct Peers {
    /// The members.
    pub report: ClusterReport,
    /// How the others answer this node.
    pub peers: Vec<Peer>,
    /// Whether all groups are placed and serve.
    pub placed: bool,
    /// Voters of the system group.
    pub voters: usize,
    /// What each node is to hold.
    pub shares: Vec<NodeShare>,
}

/// Asks every other member for a sign of life, all at once.
///
/// # Errors
/// `not_authenticated`; those of reading the placement.
pub async fn peers(session: &Session) -> Result<Response<Peers>> {
    session.require(Permission::Login)?;
    let cluster = &session.service().cluster;
    let report = cluster.shared_report().await;
    let others = report.nodes.iter().filter(|node| node.id != report.node_id);
    let asked = join_all(others.map(async |member| {
        let began = Instant::now();
        let answer = match tokio::time::timeout(PEER_MAX, cluster.probe(member.peer_url())).await {
            Ok(Ok(there)) if there.identity.node_id == member.id => Ok(began.elapsed()),
            Ok(Ok(there)) => Err(format!("node {:?} answers there", there.identity.node_id)),
            Ok(Err(error)) => Err(error.message),
            Err(_) => Err("Connection timeout".to_owned()),
        };
        Peer { member: member.clone(), answer }
    }));
    let (peers, groups) = tokio::join!(asked, cluster.placed_groups());
    let placed = groups?.iter().all(|group| group.is_ready());
    let voters = session.system()?.status().voters().len();
    let shares = shards::ring(session).await?;
    Ok(shares.map(|shares| Peers { report, peers, placed, voters, shares }))
}

/// Whether the report says how a node is: while no leader answers, only a node knows itself.
pub fn is_known(report: &ClusterReport, member: &MemberReport) -> bool {
    let led = report.source.as_ref().is_some_and(|source| source.leader);
    led || member.id == report.node_id || member.status != NodeStatus::Active
}
