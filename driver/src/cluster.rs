//! The cluster's members, and what a node reports of itself.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{
    ClusterMetrics, ClusterOverview, ClusterReply, Diagnostics, EndNode, EndedNode, HealthReply,
    ListedNodes, MetricsReply, NewProcess, NodeAddition, NodeHealthReply, NodeInfo, NodeOverview,
    PeersReply, ReadyReply, StartedNode,
};
use reqwest::Method;
use serde_json::{Value, json};

/// Path of the nodes as JadeVectorDB has them.
const NODES: [&str; 4] = ["api", "v1", "cluster", "nodes"];

impl Client {
    /// Members, roles and states as the answering node knows them.
    pub async fn cluster_status(&self) -> Result<ClusterReply> {
        self.send(Call::plain(Method::GET, &["api", "cluster"])).await?.json()
    }

    /// The members only.
    pub async fn cluster_nodes(&self) -> Result<Vec<NodeInfo>> {
        self.send(Call::plain(Method::GET, &["raft", "rpc", "status"])).await?.json()
    }

    /// The health of a node: whether it serves calls, and if not, why; needs no credentials.
    pub async fn health(&self) -> Result<HealthReply> {
        self.send(Call::plain(Method::GET, &["health"]).tells_health()).await?.json()
    }

    /// Whether the process of a node runs; needs no credentials.
    pub async fn live(&self) -> Result<()> {
        self.send(Call::plain(Method::GET, &["livez"])).await.map(drop)
    }

    /// Whether a node serves calls and a majority answers it, check by check; needs no credentials.
    pub async fn ready(&self) -> Result<ReadyReply> {
        self.send(Call::plain(Method::GET, &["readyz"]).tells_health()).await?.json()
    }

    /// The consensus on the node that answers, as rockraft shows it. Prometheus reads the same address as
    /// text.
    pub async fn metrics(&self) -> Result<MetricsReply> {
        self.send(Call::plain(Method::GET, &["metrics"])).await?.json()
    }

    /// The description of the interface, an OpenAPI 3.1 document; needs no credentials.
    pub async fn openapi(&self) -> Result<Value> {
        self.send(Call::plain(Method::GET, &["openapi.json"])).await?.json()
    }

    /// Admits the node at `url`; succeeds if it is a member.
    ///
    /// Returns when the node is admitted; it becomes `ACTIVE` once it has caught up.
    pub async fn cluster_register(&self, url: &str, description: Option<&str>) -> Result<()> {
        let body = json!({"url": url, "description": description});
        let call = Call::plain(Method::POST, &["api", "cluster", "register"]).body(&body);
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// Removes a node, named by `NodeID` or URL; succeeds if it is no member.
    ///
    /// `force` removes it even when the remaining voters would have no live quorum.
    pub async fn cluster_deregister(&self, node: &str, force: bool) -> Result<()> {
        let body = json!({"node": node, "force": force});
        let call = Call::plain(Method::POST, &["api", "cluster", "deregister"]).body(&body);
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// Adds the node at `url`, which is expected to have this name if one is given; succeeds if it is there.
    /// With `wait` it returns once the node is connected.
    ///
    /// # Errors
    /// `node_conflict` if a node of that name has another address.
    pub async fn add_node(&self, name: Option<&str>, url: &str, wait: bool) -> Result<NodeInfo> {
        let mut body = json!({"url": url});
        if let Some(name) = name {
            body["id"] = name.into();
        }
        let mut call = Call::plain(Method::POST, &["api", "v1", "nodes"]).body(&body);
        if wait {
            call = call.query("wait", "connected");
        }
        self.send(call.safe_to_repeat()).await?.json()
    }

    /// Removes a node, named by `NodeID` or URL; succeeds if it is no member. Its replicas of groups go to
    /// other nodes first; without `drain` a node that holds any is not removed.
    ///
    /// # Errors
    /// `would_lose_quorum`; `node_in_use` without `drain`.
    pub async fn remove_node(&self, node: &str, drain: bool) -> Result<()> {
        let mut call = Call::plain(Method::DELETE, &["api", "v1", "nodes", node]);
        if !drain {
            call = call.query("drain", "false");
        }
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// The name that dongting's clients have for [`Client::add_node`].
    ///
    /// # Errors
    /// Those of [`Client::add_node`].
    pub async fn server_add_node(&self, name: &str, url: &str) -> Result<NodeInfo> {
        self.add_node(Some(name), url, false).await
    }

    /// The name that dongting's clients have for [`Client::remove_node`]; it never drains.
    ///
    /// # Errors
    /// Those of [`Client::remove_node`].
    pub async fn server_remove_node(&self, node: &str) -> Result<()> {
        self.remove_node(node, false).await
    }

    /// How the cluster is, in a few figures and one word.
    pub async fn cluster_overview(&self) -> Result<ClusterOverview> {
        self.send(Call::plain(Method::GET, &["api", "v1", "cluster", "status"])).await?.json()
    }

    /// The members, and how each is.
    pub async fn list_nodes(&self) -> Result<Vec<NodeOverview>> {
        self.send(Call::plain(Method::GET, &NODES)).await?.json()
    }

    /// Adds the node of this name at this address, `host:port` with `http://` before it or without; succeeds if
    /// it is there.
    ///
    /// # Errors
    /// `node_conflict` if a node of that name has another address, or the node there has another name.
    pub async fn cluster_add_node(&self, node_id: &str, address: &str) -> Result<NodeOverview> {
        let body = NodeAddition { node_id: node_id.into(), address: address.into() };
        let call = Call::plain(Method::POST, &NODES).body(&body);
        self.send(call.safe_to_repeat()).await?.json()
    }

    /// The name that JadeVectorDB's clients have for [`Client::remove_node`].
    ///
    /// # Errors
    /// Those of [`Client::remove_node`].
    pub async fn cluster_remove_node(&self, node_id: &str, drain: bool) -> Result<()> {
        let [api, v1, cluster, nodes] = NODES;
        let mut call = Call::plain(Method::DELETE, &[api, v1, cluster, nodes, node_id]);
        if !drain {
            call = call.query("drain", "false");
        }
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// How a node is, as it says itself. One that does not answer has `reachable: false` and the reason.
    ///
    /// # Errors
    /// `node_not_found`.
    pub async fn node_health(&self, node_id: &str) -> Result<NodeHealthReply> {
        let [api, v1, cluster, nodes] = NODES;
        let path = [api, v1, cluster, nodes, node_id, "health"];
        self.send(Call::plain(Method::GET, &path)).await?.json()
    }

    /// What the nodes use: processors, memory, disk.
    pub async fn cluster_metrics(&self) -> Result<ClusterMetrics> {
        self.send(Call::plain(Method::GET, &["api", "v1", "cluster", "metrics"])).await?.json()
    }

    /// All that helps to find out what is wrong.
    pub async fn diagnostics(&self) -> Result<Diagnostics> {
        self.send(Call::plain(Method::GET, &["api", "v1", "cluster", "diagnostics"])).await?.json()
    }

    /// Stops the process of a node and marks it `INACTIVE`.
    ///
    /// `force` stops it even when the cluster loses its quorum.
    pub async fn cluster_stop(&self, node: &str, force: bool) -> Result<()> {
        self.cluster_action("stop", json!({"node": node, "force": force})).await
    }

    /// Pauses a node: it serves no client and does not lead, but goes on voting.
    pub async fn cluster_pause(&self, node: &str) -> Result<()> {
        self.cluster_action("pause", json!({"node": node})).await
    }

    /// Ends [`Client::cluster_pause`].
    pub async fn cluster_resume(&self, node: &str) -> Result<()> {
        self.cluster_action("resume", json!({"node": node})).await
    }

    /// Hands leadership to a node, or to the one that answers.
    pub async fn cluster_promote(&self, node: Option<&str>) -> Result<()> {
        self.cluster_action("promote", json!({"node": node})).await
    }

    /// Restarts the process of a node, or of the one that answers.
    pub async fn cluster_restart(&self, node: Option<&str>) -> Result<()> {
        self.cluster_action("restart", json!({"node": node})).await
    }

    /// Sets the feature level that is not exceeded, so that a rolling upgrade can still be taken
    /// back; none: the newest that all members support.
    ///
    /// The level in force is never lowered, so a maximum below it is refused.
    pub async fn set_max_feature_level(&self, max: Option<u32>) -> Result<()> {
        let path = ["api", "v1", "cluster", "feature-level"];
        let call = Call::plain(Method::PUT, &path).body(&json!({"max": max}));
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// Starts a node as a process on the machine of the node that answers, which must allow that
    /// (`StartNodesIn`), and waits until it is a member.
    ///
    /// # Errors
    /// `not_enabled`, `port_in_use` with free ports in its details, `process_failed`, `join_failed`.
    pub async fn start_node(&self, new: &NewProcess) -> Result<StartedNode> {
        let call = Call::plain(Method::POST, &["cluster", "add-node"]).body(&json!(new));
        self.send(call.long()).await?.json()
    }

    /// Removes the node at an address, after its replicas have gone to other nodes; with `stop_process`
    /// its process is stopped.
    ///
    /// # Errors
    /// `invalid_parameter` if no member has the address; `would_lose_quorum`.
    pub async fn end_node(&self, address: &str, stop_process: bool) -> Result<EndedNode> {
        let body = json!(EndNode { node_address: address.to_owned(), stop_process });
        let call = Call::plain(Method::POST, &["cluster", "remove-node"]).body(&body);
        self.send(call.long()).await?.json()
    }

    /// The members by their addresses, and whether they run.
    pub async fn node_list(&self) -> Result<ListedNodes> {
        self.send(Call::plain(Method::GET, &["cluster", "list-nodes"])).await?.json()
    }

    /// How the other nodes answer the one that is asked.
    pub async fn peer_health(&self) -> Result<PeersReply> {
        self.send(Call::plain(Method::GET, &["cluster", "status"])).await?.json()
    }

    async fn cluster_action(&self, action: &str, body: Value) -> Result<()> {
        self.send(Call::plain(Method::POST, &["api", "cluster", action]).body(&body))
            .await
            .map(drop)
    }
}
