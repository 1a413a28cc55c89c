//! A second group on three nodes of one process, which reach each other over real connections.

use crate::cluster::groups::Replica;
use crate::cluster::identity::Identity;
use crate::cluster::{Cluster, bootstrap};
use crate::config::Config;
use crate::doors::http::call::App;
use crate::doors::http::threads::Threads;
use crate::engine::command::{PutMode, Target};
use crate::engine::{Command, DocumentId, Namespace, Put, catalog};
use crate::error::Kind;
use crate::format::GroupFormats;
use crate::node;
use crate::raft::peers::PeerUrls;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, RaftId};
use crate::service::Service;
use crate::storage::{Read, Table, keys};
use actix_web::web::Data;
use openraft::BasicNode;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const GROUP: GroupId = 3;

/// A running node.
struct Node {
    cluster: Arc<Cluster>,
    url: String,
    _dir: TempDir,
}

/// Starts a node that makes a cluster, or asks `peer` for admission.
async fn start(peer: Option<&str>) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let admission = match peer {
        Some(url) => ("Peers", url.to_owned()),
        None => ("Bootstrap", "true".into()),
    };
    let flags = BTreeMap::from([
        ("DataDir", dir.path().display().to_string()),
        ("Port", address.port().to_string()),
        ("distributed", "true".into()),
        ("AdminPassword", "an administrator's password".into()),
        ("HttpWorkers", "1".into()),
        ("MapSizeGb", "1".into()),
        admission,
    ]);
    let config = Config::load(None, |_| None, &flags).unwrap();
    let identity = Identity::load(&config).unwrap();
    let formats = GroupFormats::NEXT;
    let cluster = Cluster::new(config, "0123456789abcdef", identity, None, formats).unwrap();
    let app = Data::new(App {
        service: Service::new(cluster.clone()).unwrap(),
        threads: Threads::start(1, 1).unwrap(),
    });
    drop(listener);
    tokio::spawn(node::listen(&cluster, app).unwrap());
    bootstrap::start(&cluster).await.unwrap();
    Node { cluster, url: format!("http://{address}"), _dir: dir }
}

impl Node {
    fn group(&self) -> Arc<Group> {
        self.cluster.groups.get(GROUP).unwrap()
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The addresses of the second group's replicas.
struct Urls(BTreeMap<RaftId, String>);

impl PeerUrls for Urls {
    fn url(&self, id: RaftId) -> Option<String> {
        self.0.get(&id).cloned()
    }
}

fn put(id: i64) -> Command {
    Command::Put(Put {
        namespace: Namespace::new("d", "c"),
        target: Target::from(DocumentId::from(id)),
        body: "{}".into(),
        mode: PutMode::Upsert,
        if_match: None,
        create_database: true,
    })
}

/// Whether a linearizable read of a group finds a document.
async fn holds(group: &Group, id: i64) -> bool {
    group.wait_linearizable().await.unwrap();
    let read = group.read().unwrap();
    let collection = catalog::collection(&read, "d", "c").unwrap().unwrap();
    let key = keys::document_key(collection, &DocumentId::from(id));
    read.get(Table::Documents, &key).unwrap().is_some()
}

/// Proposes at the leader among these, whichever it is; returns its position.
async fn write(groups: &[Arc<Group>], id: i64) -> usize {
    let mut wrote = None;
    until("a leader takes a write", async || {
        let Some(leader) = groups.iter().position(|group| group.is_leader()) else { return false };
        let written = groups[leader].propose(put(id)).await.is_ok();
        wrote = written.then_some(leader);
        written
    })
    .await;
    wrote.unwrap()
}

/// A `kill -9` of a whole node is what the tests with processes do; here one replica goes away, and
/// the node stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_group_goes_on_without_its_leader_and_leaves_the_system_group_alone() {
    let first = start(None).await;
    let others = [start(Some(&first.url)).await, start(Some(&first.url)).await];
    let [second, third] = others;
    let nodes = [first, second, third];
    let system = |node: &Node| node.cluster.groups.system().cloned();
    until("three nodes vote", async || {
        let votes = |node| system(node).is_ok_and(|group| group.status().voters().len() == 3);
        nodes.iter().all(votes)
    })
    .await;

    let ids = [101, 102, 103];
    let named = ids.into_iter().zip(nodes.iter().map(|node| node.url.clone()));
    let urls: Arc<dyn PeerUrls> = Arc::new(Urls(named.clone().collect()));
    let replica = |id, formed| Replica { group: GROUP, id, formed, urls: urls.clone() };
    let unknown = nodes[0].cluster.groups.get(GROUP).err().unwrap();
    assert_eq!(unknown.kind, Kind::Misdirected, "{unknown}");
    for (node, id) in nodes.iter().zip(ids) {
        node.cluster.open_replica(replica(id, false)).await.unwrap();
    }
    let members: BTreeMap<_, _> = named.map(|(id, url)| (id, BasicNode::new(url))).collect();
    nodes[0].group().raft.initialize(members).await.unwrap();
    let groups: Vec<_> = nodes.iter().map(Node::group).collect();
    let leader = write(&groups, 1).await;
    for group in &groups {
        assert!(holds(group, 1).await, "replica {}", group.raft_id());
    }
    // All of them play the next version, so its level is reached everywhere.
    let newest = GroupFormats::NEXT.features.newest;
    until("every replica of both groups has the next level", async || {
        let replicas = nodes.iter().flat_map(|node| node.cluster.groups.all());
        replicas.map(|group| group.feature_level()).all(|level| level == Ok(newest))
    })
    .await;

    drop(groups);
    nodes[leader].cluster.close_replica(GROUP).await.unwrap();
    assert!(nodes[leader].cluster.groups.get(GROUP).is_err());
    let left = nodes.iter().enumerate().filter(|(place, _)| *place != leader);
    let left: Vec<_> = left.map(|(_, node)| node.group()).collect();
    write(&left, 2).await;
    for group in &left {
        assert!(holds(group, 1).await && holds(group, 2).await, "replica {}", group.raft_id());
    }

    // The node that has lost its replica still has the system group, which knows of none of this.
    let groups: Vec<_> = nodes.iter().map(|node| system(node).unwrap()).collect();
    assert!(groups.iter().all(|group| group.number() == SYSTEM_GROUP));
    groups[leader].wait_linearizable().await.unwrap();
    assert_eq!(catalog::database(&groups[leader].read().unwrap(), "d").unwrap(), None);
    write(&groups, 3).await;
    assert!(holds(&groups[leader], 3).await && !holds(&groups[leader], 2).await);

    // Everything that belonged to the replica has ended, so it can be opened again.
    until("the replica is back", async || {
        nodes[leader].cluster.open_replica(replica(ids[leader], true)).await.is_ok()
    })
    .await;
    assert!(holds(&nodes[leader].group(), 2).await);

    // A replica that was removed and comes back is another one; what it had is not opened.
    let groups = nodes[leader].cluster.config.data_dir.join("groups");
    nodes[leader].cluster.close_replica(GROUP).await.unwrap();
    until("another replica is open", async || {
        nodes[leader].cluster.open_replica(replica(104, false)).await.is_ok()
    })
    .await;
    assert!(groups.join("3.aside-1").is_dir());
    assert_eq!(nodes[leader].group().visible_index(), 0);
    for node in &nodes {
        node.cluster.shutdown().await;
    }
}
