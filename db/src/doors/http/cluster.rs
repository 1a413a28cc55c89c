//! The cluster's members over HTTP, with JettraDBVM's shapes.

use super::call::Call;
use super::describe::{CLUSTER, NODE_ERRORS, describe};
use super::endpoint::Endpoint;
use super::groups::waits;
use super::reply::Reply;
use crate::cluster::admin::{Drain, Force};
use crate::cluster::health::Health;
use crate::cluster::report::{ClusterReport, GroupReport, MemberReport, ReportSource};
use crate::engine::system::{NodeRole, Program};
use crate::error::{Error, Kind, Result};
use crate::service::cluster;
use crate::wire::IntoWire;
use jettra_driver::wire::{
    ClusterReply, ClusterView, GroupInfo, HealthReply, NodeId, NodeInfo, ProgramInfo, StatusReply,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::rc::Rc;

/// Body of `POST /api/cluster/register`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Registration {
    /// Where the node is reached.
    url: String,
    /// Free text about it.
    #[serde(default)]
    description: Option<String>,
}

/// A node in a body: by name or address, under any of the names that the documents use.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NodeName {
    /// Its `NodeID` or URL; `url`, `id` and `nodeId` are other names for this.
    #[serde(default, alias = "url", alias = "id", alias = "nodeId")]
    node: Option<String>,
    /// Do it even when the cluster loses its quorum by it.
    #[serde(default)]
    force: bool,
    /// For a removal: false refuses it while the node holds replicas of groups; else they go to other
    /// nodes first.
    #[serde(default)]
    drain: Option<bool>,
}

impl NodeName {
    fn required(&self) -> Result<&str> {
        self.node.as_deref().ok_or_else(|| {
            Error::new(Kind::InvalidBody, "\"node\" is missing")
                .hint("send {\"node\": \"<NodeID or URL>\"}")
        })
    }

    fn force(&self) -> Force {
        if self.force { Force::Yes } else { Force::No }
    }
}

/// Body of `PUT /api/v1/cluster/feature-level`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MaxFeatureLevel {
    /// The feature level that is not exceeded, at least the one in force; null: the newest that all
    /// members support.
    #[serde(deserialize_with = "Option::deserialize")]
    max: Option<u32>,
}

/// JettraDBVM answers some calls in plain text; a caller that asks for JSON gets that.
fn said(call: &Call, text: &str) -> Reply {
    if call.wants_json() { Reply::status(text) } else { Reply::text(text) }
}

/// The role of a replica, in the words of openraft.
pub(super) fn state_of(role: Option<NodeRole>) -> &'static str {
    match role {
        Some(NodeRole::Leader) => "Leader",
        Some(NodeRole::Follower) => "Follower",
        Some(NodeRole::Candidate) => "Candidate",
        Some(NodeRole::Learner) => "Learner",
        None => "Shutdown",
    }
}

impl IntoWire for Health {
    type Wire = HealthReply;
    fn into_wire(self) -> HealthReply {
        HealthReply {
            status: self.status.into(),
            reason: self.reason,
            node_id: NodeId(self.node_id),
            raft_id: self.raft_id,
            is_leader: self.is_leader,
            current_leader: self.leader_name.map(NodeId),
            leader_raft_id: self.leader,
            current_term: self.term,
            state: state_of(self.role).into(),
            warnings: self.warnings,
        }
    }
}

impl IntoWire for ClusterReport {
    type Wire = ClusterReply;
    fn into_wire(self) -> ClusterReply {
        ClusterReply {
            enabled: self.enabled,
            node_id: self.node_id,
            state: self.role.into_wire(),
            leader_id: self.leader_id,
            term: self.term,
            cluster_id: self.cluster_id,
            applied_index: self.applied_index,
            quorum: self.quorum,
            health: self.health,
            groups: self.groups.into_iter().map(IntoWire::into_wire).collect(),
            max_feature_level: self.max_feature_level,
            nodes: self.nodes.into_iter().map(IntoWire::into_wire).collect(),
            view: self.source.map(IntoWire::into_wire),
        }
    }
}

impl IntoWire for MemberReport {
    type Wire = NodeInfo;
    fn into_wire(self) -> NodeInfo {
        NodeInfo {
            key: self.id.clone(),
            id: self.id,
            raft_id: self.raft_id,
            url: self.url,
            role: self.role.into_wire(),
            status: self.status.into_wire(),
            description: self.description,
            lag: self.lag,
            problem: self.problem,
            last_seen_ms: self.last_seen_ms,
            silent_ms: self.silent_ms,
            clock_ms_ahead: self.clock_ms_ahead,
            peer_url: self.program.as_ref().and_then(Program::peer_url).map(str::to_owned),
            program: self.program.map(IntoWire::into_wire),
        }
    }
}

impl IntoWire for Program {
    type Wire = ProgramInfo;
    fn into_wire(self) -> ProgramInfo {
        let Program { version, oldest_level, newest_level, addresses: _, zone } = self;
        ProgramInfo { version, oldest_level, newest_level, zone }
    }
}

impl IntoWire for GroupReport {
    type Wire = GroupInfo;
    fn into_wire(self) -> GroupInfo {
        let GroupReport { id, feature_level } = self;
        GroupInfo { id: id.into(), feature_level }
    }
}

impl IntoWire for ReportSource {
    type Wire = ClusterView;
    fn into_wire(self) -> ClusterView {
        let ReportSource { from, leader, age_ms, note } = self;
        ClusterView { from, leader, age_ms, note }
    }
}

/// `GET /health`
pub const HEALTH: Endpoint = Endpoint::new(
    |call| Box::pin(health(call)),
    || {
        describe(
            CLUSTER,
            "Tell whether this node serves calls: 503 with the reason when it does not",
        )
        .gives::<HealthReply>(200)
        .gives::<HealthReply>(503)
    },
);

async fn health(call: Rc<Call>) -> Result<Reply> {
    let health = cluster::health(&call.app.service).into_wire();
    let reply = Reply::json(&health);
    Ok(match health.reason {
        None => reply,
        Some(_) => reply.with_status(503).header("retry-after", "1"),
    })
}

/// `GET /api/cluster`
pub const STATUS: Endpoint = Endpoint::new(
    |call| Box::pin(status(call)),
    || describe(CLUSTER, "Tell members, roles and states").gives::<ClusterReply>(200),
);

async fn status(call: Rc<Call>) -> Result<Reply> {
    let report = cluster::report(&call.session).await?;
    Ok(Reply::of(report.map(|report| Reply::json(&report.into_wire()))))
}

/// `GET /raft/rpc/status`
pub const NODES: Endpoint = Endpoint::new(
    |call| Box::pin(nodes(call)),
    || describe(CLUSTER, "List the members").gives::<Vec<NodeInfo>>(200),
);

async fn nodes(call: Rc<Call>) -> Result<Reply> {
    let report = cluster::report(&call.session).await?;
    Ok(Reply::of(report.map(|report| Reply::json(&report.into_wire().nodes))))
}

/// Why a node is not admitted.
pub(super) const ADMISSION_ERRORS: &[Kind] = &[
    Kind::InvalidUrl,
    Kind::NodeConflict,
    Kind::ForeignCluster,
    Kind::StaleNode,
    Kind::UnsupportedLevel,
    Kind::NotANode,
    Kind::SecretMismatch,
    Kind::AddressRefused,
];

/// `POST /api/cluster/register`
pub const REGISTER: Endpoint = Endpoint::new(
    |call| Box::pin(register(call)),
    || {
        describe(CLUSTER, "Admit a node; succeeds if it is a member already")
            .body::<Registration>()
            .says()
            .proposes()
            .fails(NODE_ERRORS)
            .fails(ADMISSION_ERRORS)
    },
);

async fn register(call: Rc<Call>) -> Result<Reply> {
    let Registration { url, description } = call.json()?;
    let node = cluster::register(&call.session, &url, description).await?.value;
    tracing::info!(node, url, "registered");
    Ok(said(&call, "Node registered"))
}

/// `POST /raft/rpc/join`: a node with `Peers` registers itself.
pub async fn join(call: Rc<Call>) -> Result<Reply> {
    let Registration { url, description } = call.json()?;
    let node = call.cluster().register(&url, description, None, &call.session.caller()).await?;
    tracing::info!(node, url, "registered");
    Ok(Reply::status("Node registered"))
}

/// `POST /api/cluster/deregister`
pub const DEREGISTER: Endpoint = Endpoint::new(
    |call| Box::pin(deregister(call)),
    || {
        describe(CLUSTER, "Remove a node; succeeds if it is unknown")
            .body::<NodeName>()
            .gives::<StatusReply>(200)
            .proposes()
            .fails(NODE_ERRORS)
            .fails(&[Kind::WouldLoseQuorum, Kind::NodeInUse])
    },
);

async fn deregister(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    let drain = drain(given.drain);
    cluster::deregister(&call.session, given.required()?, given.force(), drain).await?;
    Ok(Reply::status("deregistered"))
}

fn drain(given: Option<bool>) -> Drain {
    if given == Some(false) { Drain::No } else { Drain::Yes }
}

/// A node that is to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNode {
    /// The name that it has (`NodeID`), if the caller knows it.
    #[serde(default)]
    id: Option<String>,
    /// Where it is reached.
    url: String,
}

/// `POST /api/v1/nodes`
pub const ADD_NODE: Endpoint = Endpoint::new(
    |call| Box::pin(add_node(call)),
    || {
        describe(
            CLUSTER,
            "Add a node; succeeds if it is there at the same address; wait=connected waits until it is \
             connected",
        )
        .query("wait")
        .body::<NewNode>()
        .gives::<NodeInfo>(201)
        .proposes()
        .fails(NODE_ERRORS)
        .fails(ADMISSION_ERRORS).fails(&[Kind::InvalidParameter])
    },
);

async fn add_node(call: Rc<Call>) -> Result<Reply> {
    let NewNode { id, url } = call.json()?;
    let wait = waits(&call, "connected")?;
    let added = cluster::add_node(&call.session, id.as_deref(), &url, wait).await?;
    Ok(Reply::of(added.map(|node| {
        let member = MemberReport {
            id: node.id,
            raft_id: node.raft_id,
            url: node.url,
            role: node.role,
            status: node.status,
            description: node.description,
            lag: None,
            problem: None,
            last_seen_ms: None,
            silent_ms: None,
            clock_ms_ahead: None,
            program: node.program,
        };
        Reply::json(&member.into_wire()).with_status(201)
    })))
}

/// `DELETE /api/v1/nodes/{node}`
pub const REMOVE_NODE: Endpoint = Endpoint::new(
    |call| Box::pin(remove_node(call)),
    || {
        describe(
            CLUSTER,
            "Remove a node, after its replicas have gone to others; drain=false refuses that while it \
             holds any; succeeds if it is unknown",
        )
        .query("drain")
        .gives::<StatusReply>(200)
        .proposes()
        .fails(NODE_ERRORS)
        .fails(&[Kind::WouldLoseQuorum, Kind::NodeInUse, Kind::InvalidParameter])
    },
);

async fn remove_node(call: Rc<Call>) -> Result<Reply> {
    let drained = match call.parameter(&["drain"]) {
        None | Some("true") => Drain::Yes,
        Some("false") => Drain::No,
        Some(other) => {
            return Err(Error::new(Kind::InvalidParameter, format!("drain={other} is unknown"))
                .hint("use true or false, or leave it out"));
        }
    };
    let node = call.required(&["node"])?;
    cluster::deregister(&call.session, node, Force::No, drained).await?;
    Ok(Reply::status("removed"))
}

/// `POST /api/cluster/stop`
pub const STOP: Endpoint = Endpoint::new(
    |call| Box::pin(stop(call)),
    || {
        describe(CLUSTER, "Stop the process of a node")
            .body::<NodeName>()
            .gives::<StatusReply>(200)
            .proposes()
            .fails(NODE_ERRORS)
            .fails(&[Kind::WouldLoseQuorum])
    },
);

async fn stop(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    cluster::stop(&call.session, given.required()?, given.force()).await?;
    Ok(Reply::status("stop_sent"))
}

/// `POST /api/cluster/restart`: the node that is named, else the one that was called.
pub const RESTART: Endpoint = Endpoint::new(
    |call| Box::pin(restart(call)),
    || {
        describe(CLUSTER, "Restart the process of a node, or of the one that is called")
            .optional_body::<NodeName>()
            .gives::<StatusReply>(200)
            .proposes()
            .fails(NODE_ERRORS)
            .fails(&[Kind::WouldLoseQuorum])
    },
);

async fn restart(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json_or_empty()?;
    cluster::restart(&call.session, &called_node(&call, given.node)).await?;
    Ok(Reply::status("restarting"))
}

/// `POST /api/cluster/pause`
pub const PAUSE: Endpoint = Endpoint::new(
    |call| Box::pin(pause(call)),
    || {
        describe(CLUSTER, "Take client calls and leadership away from a node")
            .body::<NodeName>()
            .says()
            .proposes()
            .fails(NODE_ERRORS)
            .fails(&[Kind::WouldLoseQuorum])
    },
);

async fn pause(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    cluster::pause(&call.session, given.required()?).await?;
    Ok(said(&call, "Node paused"))
}

/// `POST /api/cluster/resume`
pub const RESUME: Endpoint = Endpoint::new(
    |call| Box::pin(resume(call)),
    || {
        describe(CLUSTER, "Give a paused node its work back")
            .body::<NodeName>()
            .says()
            .proposes()
            .fails(NODE_ERRORS)
    },
);

async fn resume(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    cluster::resume(&call.session, given.required()?).await?;
    Ok(said(&call, "Node resumed"))
}

/// `POST /api/cluster/promote`: the node that is named, else the one that was called.
pub const PROMOTE: Endpoint = Endpoint::new(
    |call| Box::pin(promote(call)),
    || {
        describe(CLUSTER, "Hand leadership to a node, or to the one that is called")
            .optional_body::<NodeName>()
            .says()
            .proposes()
            .fails(NODE_ERRORS)
    },
);

async fn promote(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json_or_empty()?;
    cluster::promote(&call.session, &called_node(&call, given.node)).await?;
    Ok(said(&call, "Promoted to Leader"))
}

/// `PUT /api/v1/cluster/feature-level`
pub const SET_MAX_FEATURE_LEVEL: Endpoint = Endpoint::new(
    |call| Box::pin(set_max_feature_level(call)),
    || {
        describe(CLUSTER, "Hold the feature level at a maximum, or let it rise with the members")
            .body::<MaxFeatureLevel>()
            .gives::<StatusReply>(200)
            .proposes()
            .fails(&[Kind::InvalidParameter])
    },
);

async fn set_max_feature_level(call: Rc<Call>) -> Result<Reply> {
    let MaxFeatureLevel { max } = call.json()?;
    cluster::set_max_feature_level(&call.session, max).await?;
    Ok(Reply::status("set"))
}

/// The node that is meant when none is named: the one that the caller has called, which a
/// forwarded call names in a parameter.
fn called_node(call: &Call, named: Option<String>) -> String {
    let forwarded = call.parameter(&["called_node"]).map(str::to_owned);
    named.or(forwarded).unwrap_or_else(|| call.cluster().node_id().to_owned())
}
