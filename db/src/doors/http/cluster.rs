//! The cluster's members, with JettraDBVM's shapes.

use super::call::Call;
use super::reply::Reply;
use crate::cluster::admin::Force;
use crate::error::{Error, Kind, Result};
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

/// The ancestor answers some calls in plain text; who asks for JSON gets that.
fn said(call: &Call, text: &str) -> Reply {
    if call.wants_json() { Reply::status(text) } else { Reply::text(text) }
}

/// `GET /health`
pub async fn health(call: Rc<Call>) -> Result<Reply> {
    let health = call.cluster().health();
    let reply = Reply::json(&health);
    Ok(match health.reason {
        None => reply,
        Some(_) => reply.with_status(503).header("retry-after", "1"),
    })
}

/// `GET /api/cluster`
pub async fn status(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&call.cluster().shared_report().await))
}

/// `GET /raft/rpc/status`
pub async fn nodes(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&call.cluster().shared_report().await.nodes))
}

/// `GET /raft/rpc/view`: what this node knows of the cluster by itself.
pub async fn view(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&call.cluster().report()))
}

/// `POST /api/cluster/register`, and `POST /raft/rpc/join` of a node with `Peers`.
pub async fn register(call: Rc<Call>) -> Result<Reply> {
    let given: Registration = call.json()?;
    let node =
        call.cluster().register(&given.url, given.description, &call.session.caller()).await?;
    tracing::info!(node, url = given.url, "registered");
    Ok(said(&call, "Node registered"))
}

/// `POST /api/cluster/deregister`
pub async fn deregister(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    call.cluster().deregister(given.required()?, given.force(), &call.session.caller()).await?;
    Ok(Reply::status("deregistered"))
}

/// `POST /api/cluster/stop`
pub async fn stop(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    call.cluster().stop(given.required()?, false, given.force(), &call.session.caller()).await?;
    Ok(Reply::status("stop_sent"))
}

/// `POST /api/cluster/restart`: the node that is named, else the one that was called.
pub async fn restart(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json_or_empty()?;
    let node = called_node(&call, given.node);
    call.cluster().stop(&node, true, Force::No, &call.session.caller()).await?;
    Ok(Reply::status("restarting"))
}

/// `POST /api/cluster/pause`
pub async fn pause(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    call.cluster().pause(given.required()?, &call.session.caller()).await?;
    Ok(said(&call, "Node paused"))
}

/// `POST /api/cluster/resume`
pub async fn resume(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json()?;
    call.cluster().resume(given.required()?, &call.session.caller()).await?;
    Ok(said(&call, "Node resumed"))
}

/// `POST /api/cluster/promote`: the node that is named, else the one that was called.
pub async fn promote(call: Rc<Call>) -> Result<Reply> {
    let given: NodeName = call.json_or_empty()?;
    let node = called_node(&call, given.node);
    call.cluster().promote(&node).await?;
    // Whoever leads now has it in its log.
    super::audit::note(&call, call.session.caller(), "cluster_promote", &node, "ok");
    Ok(said(&call, "Promoted to Leader"))
}

/// The node that is meant when none is named: the one that the caller has called, which a
/// forwarded call names in a parameter.
fn called_node(call: &Call, named: Option<String>) -> String {
    let forwarded = call.parameter(&["called_node"]).map(str::to_owned);
    named.or(forwarded).unwrap_or_else(|| call.cluster().node_id().to_owned())
}
