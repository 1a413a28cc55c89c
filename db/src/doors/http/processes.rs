//! The calls of the Python cluster manager: nodes as processes of one machine. Errors are texts.

use super::call::Call;
use super::describe::{CLUSTER, NODE_ERRORS, describe};
use super::dispatch;
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::shards::ring_reply;
use crate::cluster::admin::{Drain, Force};
use crate::cluster::processes::WantedProcess;
use crate::cluster::report::{ClusterReport, MemberReport};
use crate::engine::system::{NodeDocument, NodeStatus};
use crate::error::{Error, Kind, Result};
use crate::service::processes::{self, Peer};
use crate::service::{Session, cluster};
use jettra_driver::wire::{
    EndNode, EndedNode, ListedNode, ListedNodes, NewProcess, PeerHealth, PeersReply, StartedNode,
    StatusReply,
};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// `POST /cluster/add-node`
pub const START: Endpoint = Endpoint::new(
    |call| Box::pin(start(call)),
    || {
        describe(CLUSTER, "Start a node on this machine, which joins the cluster")
            .optional_body::<NewProcess>()
            .gives::<StartedNode>(200)
            .fails(&[
                Kind::NotEnabled,
                Kind::NotDistributed,
                Kind::InvalidParameter,
                Kind::InvalidBody,
                Kind::NodeConflict,
                Kind::PortInUse,
                Kind::ProcessFailed,
                Kind::JoinFailed,
            ])
    },
);

async fn start(call: Rc<Call>) -> Result<Reply> {
    let NewProcess { node_id, port, host, config_file } = call.json_or_empty()?;
    let host = match host.as_deref() {
        None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.parse().map_err(|_| {
            Error::new(Kind::InvalidParameter, format!("host: {text:?} is not an address"))
                .hint("leave it out, or use 127.0.0.1")
        })?,
    };
    let wanted = WantedProcess { node: node_id, host, port, config: config_file };
    let started = processes::start(&call.session, &wanted).await?;
    let cluster_size = call.cluster().nodes.all().len();
    Ok(Reply::of(started.map(|process| {
        Reply::json(&StartedNode {
            success: true,
            message: format!("Node {} started and joined cluster successfully", process.node),
            node_id: process.node.clone(),
            node_address: format!("{host}:{}", process.port),
            port: process.port,
            process_info: process.info(),
            cluster_size,
        })
    })))
}

/// `POST /cluster/remove-node`
pub const END: Endpoint = Endpoint::new(
    |call| Box::pin(end(call)),
    || {
        describe(
            CLUSTER,
            "Remove a node, after its replicas have gone to others, and stop its process",
        )
        .body::<EndNode>()
        .gives::<EndedNode>(200)
        .proposes()
        .fails(NODE_ERRORS)
        .fails(&[Kind::WouldLoseQuorum, Kind::NodeInUse, Kind::InvalidParameter])
    },
);

async fn end(call: Rc<Call>) -> Result<Reply> {
    let EndNode { node_address, stop_process } = call.json()?;
    let session = &call.session;
    let failed = |error: Error| {
        let reason = error.to_string();
        let message = format!("Failed to remove node {node_address} from cluster");
        Error { message, ..error.clone() }.details(json!({"details": reason}))
    };
    let node = processes::member_at(session, &with_scheme(&node_address)).map_err(failed)?;
    let body = json!({"node": node.id});
    let here = async |session: &Session| {
        cluster::deregister(session, &node.id, Force::No, Drain::Yes).await?;
        Ok(StatusReply { status: "deregistered".into() })
    };
    let target = "/api/cluster/deregister";
    dispatch::order_leader(session, target, &body, here).await.map_err(failed)?;
    let process_stopped = stop_process && processes::end(session, &node).await?;
    let others = |other: &&NodeDocument| other.raft_id != node.raft_id;
    let cluster_size = call.cluster().nodes.all().iter().filter(others).count();
    Ok(Reply::json(&EndedNode {
        success: true,
        message: format!("Node {node_address} removed from cluster"),
        node_address,
        process_stopped,
        cluster_size,
    }))
}

/// `GET /cluster/list-nodes`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || describe(CLUSTER, "List the members by their addresses").gives::<ListedNodes>(200),
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let report = cluster::report(&call.session).await?;
    Ok(Reply::of(report.map(|report| {
        let listed = |member: &MemberReport| ListedNode {
            node_address: without_scheme(&member.url).to_owned(),
            node_id: member.id.clone(),
            is_current: member.id == report.node_id,
            status: status(&report, member).into(),
        };
        Reply::json(&ListedNodes {
            cluster_size: report.nodes.len(),
            nodes: report.nodes.iter().map(listed).collect(),
            current_node: without_scheme(&call.cluster().config.url()).to_owned(),
        })
    })))
}

/// The state of a member in the words of the Python cluster manager.
fn status(report: &ClusterReport, member: &MemberReport) -> &'static str {
    if !processes::is_known(report, member) {
        return "unknown";
    }
    match member.status {
        NodeStatus::Active => "running",
        NodeStatus::Joining => "joining",
        NodeStatus::Paused => "paused",
        NodeStatus::Leaving => "leaving",
        NodeStatus::Inactive => "not_responding",
    }
}

/// `GET /cluster/status`
pub const STATUS: Endpoint = Endpoint::new(
    |call| Box::pin(peers(call)),
    || describe(CLUSTER, "Tell how the other nodes answer this one").gives::<PeersReply>(200),
);

async fn peers(call: Rc<Call>) -> Result<Reply> {
    let found = processes::peers(&call.session).await.map_err(|error| {
        let reason = error.to_string();
        let message = "Failed to get cluster status".to_owned();
        Error { message, ..error }.details(json!({"details": reason}))
    })?;
    Ok(Reply::of(found.map(|found| {
        let address = |peer: &Peer| without_scheme(&peer.member.url).to_owned();
        Reply::json(&PeersReply {
            cluster_size: found.report.nodes.len(),
            current_node: without_scheme(&call.cluster().config.url()).to_owned(),
            peers: found.peers.iter().map(address).collect(),
            hash_ring_initialized: found.placed,
            hash_ring: ring_reply(found.shares),
            replication_factor: found.voters,
            peer_health: found.peers.iter().map(|peer| (address(peer), health(peer))).collect(),
        })
    })))
}

fn health(peer: &Peer) -> PeerHealth {
    let status = match (&peer.answer, peer.member.status) {
        (Err(_), _) => "unhealthy",
        (Ok(_), NodeStatus::Active) => "healthy",
        (Ok(_), NodeStatus::Joining) => "joining",
        (Ok(_), NodeStatus::Paused) => "paused",
        (Ok(_), NodeStatus::Leaving) => "leaving",
        (Ok(_), NodeStatus::Inactive) => "inactive",
    };
    PeerHealth {
        status: status.into(),
        response_time: peer.answer.as_ref().ok().map(|time| time.as_secs_f64()),
        error: peer.answer.as_ref().err().cloned(),
    }
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}
