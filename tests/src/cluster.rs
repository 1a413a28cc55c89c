//! A cluster of nodes.

use crate::bed::Bed;
use crate::certs::Certs;
use crate::http::{Answer, try_send};
use crate::node::{Node, Role, Settings};
use crate::proxy::Links;
use crate::wait::wait_until;
use crate::{ADMIN, PASSWORD};
use jettra_driver::{Client, ClientBuilder};
use serde_json::{Value, json};
use std::time::Duration;

const NODES: &str = "/api/v1/databases/_system/collections/_clusternodes/documents?level=local";

/// A cluster. The node at index `n` is called `node<n+1>`; the first one creates the cluster.
pub struct Cluster {
    /// The nodes, running or not.
    pub nodes: Vec<Node>,
    /// The test bed with their files; dropped after them.
    pub bed: Bed,
}

impl Cluster {
    /// Starts `size` nodes and waits until all are active.
    pub async fn start(name: &str, size: usize) -> Cluster {
        Cluster::start_with(name, size, |settings| settings).await
    }

    /// The same, with settings changed by `adjust`.
    pub async fn start_with(
        name: &str,
        size: usize,
        adjust: impl Fn(Settings) -> Settings,
    ) -> Cluster {
        let mut cluster = Cluster::prepare(name, size, adjust).await;
        cluster.form().await;
        cluster
    }

    /// The same over TLS, with certificates of one authority.
    pub async fn start_with_tls(name: &str, size: usize) -> (Cluster, Certs) {
        let bed = Bed::new(name).await;
        let certs = Certs::make(bed.dir().join("certs"), &[]);
        let adjust = |settings| certs.settings(settings);
        let mut cluster = Cluster::prepare_on(bed, size, adjust);
        cluster.form().await;
        (cluster, certs)
    }

    /// The same with a proxy in front of each node, so that the test can break the links between them;
    /// see [`Links`].
    pub async fn start_with_links(
        name: &str,
        size: usize,
        adjust: impl Fn(Settings) -> Settings,
    ) -> (Cluster, Links) {
        let mut cluster = Cluster::prepare(name, size, adjust).await;
        let links = Links::start(&mut cluster.nodes).await;
        cluster.form().await;
        (cluster, links)
    }

    /// A cluster of nodes that do not run yet.
    async fn prepare(name: &str, size: usize, adjust: impl Fn(Settings) -> Settings) -> Cluster {
        Cluster::prepare_on(Bed::new(name).await, size, adjust)
    }

    fn prepare_on(bed: Bed, size: usize, adjust: impl Fn(Settings) -> Settings) -> Cluster {
        let first = adjust(Settings::new(Role::First));
        let mut nodes = vec![bed.node("node1", first)];
        for number in 2..=size {
            let settings = adjust(Settings::new(Role::Waiting));
            nodes.push(bed.node(&format!("node{number}"), settings));
        }
        Cluster { nodes, bed }
    }

    /// Starts all nodes and registers them.
    pub async fn form(&mut self) {
        self.nodes.iter_mut().for_each(Node::start);
        self.wait_health(0, "ok").await;
        for index in 1..self.nodes.len() {
            self.wait_health(index, "waiting").await;
            self.register(index).await;
        }
        self.wait_active(self.nodes.len()).await;
    }

    /// Starts an additional node that waits to be registered, and returns its index.
    pub async fn add_waiting(&mut self, name: &str) -> usize {
        let node = self.bed.node(name, Settings::new(Role::Waiting));
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        self.nodes[index].start();
        self.wait_health(index, "waiting").await;
        index
    }

    /// Registers a node through the first one.
    pub async fn register(&self, index: usize) {
        let body = json!({"url": self.nodes[index].advertised_url()});
        self.nodes[0].http().post("/api/cluster/register", &body).await.ok();
    }

    /// A call to `/api/cluster/<action>` of the node at `index`.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn act(&self, index: usize, action: &str, body: Value) -> Answer {
        let answer = self.try_act(index, action, body).await;
        answer.unwrap_or_else(|error| panic!("{action} on {}: {error}", self.nodes[index].name))
    }

    /// The same for a node that may not be running.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_act(&self, index: usize, action: &str, body: Value) -> Result<Answer, String> {
        let request = self.nodes[index].http().request("POST", &format!("/api/cluster/{action}"));
        try_send(request.json(&body)).await
    }

    /// A client that knows all nodes and follows the leader.
    pub fn client(&self) -> Client {
        self.client_among(&(0..self.nodes.len()).collect::<Vec<_>>())
    }

    /// A client that knows these nodes only, and follows the leader.
    pub fn client_among(&self, nodes: &[usize]) -> Client {
        let builder = self.builder().seeds(nodes.iter().map(|node| self.nodes[*node].url()));
        let builder = builder.credentials(ADMIN, PASSWORD).deadline(Duration::from_secs(20));
        builder.build().expect("a client")
    }

    /// A client that calls one node only.
    pub fn client_of(&self, index: usize) -> Client {
        let builder = self.builder().seeds([self.nodes[index].url()]).stay_on_seed();
        let builder = builder.credentials(ADMIN, PASSWORD).deadline(Duration::from_secs(20));
        builder.build().expect("a client")
    }

    fn builder(&self) -> ClientBuilder {
        match self.nodes.first().and_then(Node::authority) {
            Some(path) => Client::builder()
                .ca_certificate(std::fs::read(path).expect("the authority of the nodes")),
            None => Client::builder(),
        }
    }

    /// The index of the node with this name.
    pub fn index_of(&self, name: &str) -> usize {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// The indexes of the nodes whose process was started.
    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].is_started()).collect()
    }

    /// Those of `nodes` whose status in `/health` is one of `words`.
    ///
    /// # Errors
    /// If a node is still starting, or does not respond.
    async fn with_health(&self, nodes: &[usize], words: &[&str]) -> Result<Vec<usize>, String> {
        let mut found = Vec::new();
        for index in nodes.iter().copied() {
            let health = self.nodes[index].http().try_get("/health").await?.json();
            let word = health["status"].as_str().unwrap_or_default().to_owned();
            let early = word == "waiting" && self.nodes[index].has_joined();
            match word.as_str() {
                "starting" | "failed" | "" => {
                    return Err(format!("{}: {health}", self.nodes[index].name));
                }
                _ if early => {
                    return Err(format!("{} has not opened its data", self.nodes[index].name));
                }
                word if words.contains(&word) => found.push(index),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Waits until the status in a node's `/health` is `status`.
    pub async fn wait_health(&self, index: usize, status: &str) {
        let node = &self.nodes[index];
        wait_until(&format!("health of {}: {status}", node.name), async || {
            let found = node.http().try_get("/health").await?;
            let health = found.json();
            if health["status"] != status {
                return Err(found.text);
            }
            let serves = (found.status == 200, health["reason"].is_null());
            assert_eq!(serves, (status == "ok", status == "ok"), "{} {health}", found.status);
            Ok(())
        })
        .await;
    }

    /// The members in the node's own copy of the collection `_clusternodes`.
    pub async fn members(&self, index: usize) -> Result<Vec<Value>, String> {
        let answer = self.nodes[index].http().try_get(NODES).await?;
        let documents = answer.json()["documents"].as_array().cloned();
        documents.ok_or_else(|| format!("{}: {}", self.nodes[index].name, answer.text))
    }

    /// Waits until the member lists of all running nodes are equal and satisfy `condition`. A paused
    /// node is left out, because it refuses the read.
    pub async fn wait_members(
        &self,
        what: &str,
        condition: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        wait_until(what, async || {
            let mut first = None;
            for index in self.with_health(&self.running(), &["ok", "no_leader"]).await? {
                let copy = self.members(index).await?;
                let expected = first.get_or_insert_with(|| copy.clone());
                if copy != *expected || !condition(&copy) {
                    return Err(format!("{} has {copy:?}", self.nodes[index].name));
                }
            }
            first.ok_or_else(|| "no node shows its copy".into())
        })
        .await
    }

    /// Waits until every running node serves calls and lists `count` active members, one of them the
    /// leader.
    pub async fn wait_active(&self, count: usize) {
        self.wait_members(&format!("{count} active members"), |members| {
            members.len() == count && all_active(members) && leaders(members) == 1
        })
        .await;
        self.leader().await;
    }

    /// Waits until the member lists show a member with this status.
    pub async fn wait_status(&self, name: &str, status: &str) {
        self.wait_members(&format!("{name} is {status}"), |members| {
            members.iter().any(|node| node["_id"] == name && node["status"] == status)
        })
        .await;
    }

    /// Waits until all running members agree on a leader, and returns its index.
    pub async fn leader(&self) -> usize {
        self.leader_among(&self.running()).await
    }

    /// The same among some of the nodes, which may be cut off from the others.
    pub async fn leader_among(&self, nodes: &[usize]) -> usize {
        wait_until(&format!("one leader that the nodes {nodes:?} know"), async || {
            let mut leading = Vec::new();
            let mut named = Vec::new();
            for index in self.with_health(nodes, &["ok", "paused", "no_leader"]).await? {
                let health = self.nodes[index].http().try_get("/health").await?.json();
                if health["is_leader"] == true {
                    leading.push(index);
                }
                named.push(health["leader_raft_id"].as_u64());
            }
            let agreed = named.iter().all(|leader| leader.is_some() && *leader == named[0]);
            match leading.as_slice() {
                [leader] if agreed => Ok(*leader),
                _ => Err(format!("leading: {leading:?}, named: {named:?}")),
            }
        })
        .await
    }

    /// The index of a running follower.
    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        let other = self.running().into_iter().find(|index| *index != leader);
        other.expect("a second node runs")
    }

    /// Waits until every running node has applied all writes that were acknowledged before this call,
    /// so that reads with `level=local` see them: a read with the default level waits for that.
    pub async fn wait_caught_up(&self) {
        for index in self.running() {
            let node = &self.nodes[index];
            wait_until(&format!("{} has caught up", node.name), async || {
                let answer = node.http().try_get("/api/dbs").await?;
                if answer.status == 200 { Ok(()) } else { Err(answer.text) }
            })
            .await;
        }
    }

    /// Waits until all running nodes have applied the same log index, checks that their copies of a
    /// database are equal there, and returns the response of the route `hash`.
    pub async fn wait_equal(&self, database: &str, what: &str) -> Value {
        let target = format!("/api/v1/databases/{database}/hash?level=local");
        wait_until(&format!("{what}: all nodes at one log index"), async || {
            let mut hashes = Vec::new();
            for index in self.running() {
                hashes.push(self.nodes[index].http().try_get(&target).await?.json());
            }
            let first = hashes[0]["index"].clone();
            if first.is_null() || hashes.iter().any(|hash| hash["index"] != first) {
                return Err(format!("{hashes:?}"));
            }
            assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{what}: {hashes:#?}");
            Ok(hashes.swap_remove(0))
        })
        .await
    }

    /// Transfers leadership to a node and waits until it leads.
    pub async fn lead_with(&self, index: usize) {
        let name = self.nodes[index].name.clone();
        wait_until(&format!("{name} leads"), async || {
            let body = json!({"node": name});
            let answer = self.act(index, "promote", body).await;
            match self.leader().await {
                leader if leader == index => Ok(()),
                _ => Err(answer.text),
            }
        })
        .await;
        self.wait_members(&format!("{name} is shown as leader"), |members| {
            leaders(members) == 1
                && members.iter().any(|node| node["_id"] == *name && node["role"] == "LEADER")
        })
        .await;
    }

    /// Kills a node and starts it again.
    pub fn crash_and_restart(&mut self, index: usize) {
        self.nodes[index].kill();
        self.nodes[index].start();
    }
}

fn all_active(members: &[Value]) -> bool {
    members.iter().all(|node| node["status"] == "ACTIVE")
}

fn leaders(members: &[Value]) -> usize {
    members.iter().filter(|node| node["role"] == "LEADER").count()
}
