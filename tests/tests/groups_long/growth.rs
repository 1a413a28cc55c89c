//! A cluster that grows and shrinks again under load, by nodes that join, leave, or die.

use crate::{PATIENCE, seed, text};
use jettra_driver::Client;
use jettra_driver::wire::{GroupReply, NewGroup};
use jettra_tests::groups::{is_settled, name};
use jettra_tests::load::{INSERTS, Load, tokens};
use jettra_tests::{Cluster, Random, Role, Settings, long, wait_until, wait_within};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Members at the beginning and at the end.
const SMALL: usize = 4;
/// Members in between.
const LARGE: usize = 20;
/// Groups beside the system group.
const GROUPS: u64 = 10;
/// While the cluster grows, a member dies each time this many nodes have joined. While it shrinks, one of
/// this many that go dies.
const DEATHS: u64 = 5;
/// Writes that must succeed in each database after each step.
const PROGRESS: usize = 3;

fn adjust(settings: Settings) -> Settings {
    settings.key("ReplaceAfterMs", 5000)
}

fn database(group: u64) -> String {
    format!("db{group}")
}

/// A cluster whose members change, and the writers of a database in each of its groups.
struct Growing {
    cluster: Cluster,
    /// The members that run.
    members: Vec<usize>,
    /// A client of those members, which each write asks for.
    client: Arc<Mutex<Client>>,
    loads: Vec<Load>,
    random: Random,
}

impl Growing {
    async fn create() -> Growing {
        let random = seed();
        let cluster = Cluster::start_with("groups-growth", SMALL, adjust).await;
        let members: Vec<_> = (0..SMALL).collect();
        let client = Arc::new(Mutex::new(cluster.client()));
        let mut growing = Growing { cluster, members, client, loads: Vec::new(), random };
        let client = growing.client();
        for id in 1..=GROUPS {
            client.create_group(&NewGroup { id, ..NewGroup::default() }, true).await.expect("made");
            client.create_database_in(&database(id), id).await.expect("a database");
            client.create_collection(&database(id), INSERTS).await.expect("a collection");
            let current = growing.client.clone();
            let client = move || current.lock().expect("nobody panics with it").clone();
            growing.loads.push(Load::inserts_in(client, &database(id), 1));
        }
        growing.wait_even().await;
        growing
    }

    fn client(&self) -> Client {
        self.client.lock().expect("nobody panics with it").clone()
    }

    /// Lets all calls go to those that are members now.
    fn renew_client(&self) {
        let client = self.cluster.client_among(&self.members);
        *self.client.lock().expect("nobody panics with it") = client;
    }

    async fn wait_progress(&self) {
        let writing = self.loads.iter().map(|load| load.wait_successes(PROGRESS));
        futures_util::future::join_all(writing).await;
    }

    /// A new node joins.
    async fn join(&mut self) {
        let node = self.cluster.nodes.len();
        let name = name(node);
        self.cluster.nodes.push(self.cluster.bed.node(&name, adjust(Settings::new(Role::Waiting))));
        self.cluster.nodes[node].start();
        self.cluster.wait_health(node, "waiting").await;
        let (client, url) = (self.client(), self.cluster.nodes[node].url());
        wait_within(PATIENCE, &format!("{name} joins"), async || {
            client.add_node(Some(&name), &url, true).await.map_err(text)
        })
        .await;
        self.members.push(node);
        self.renew_client();
    }

    /// A member leaves, after its replicas have gone to others.
    async fn leave(&mut self, node: usize) {
        println!("{} leaves", name(node));
        self.members.retain(|member| *member != node);
        self.renew_client();
        self.remove(node, true).await;
        self.cluster.wait_health(node, "removed").await;
        self.cluster.nodes[node].kill();
    }

    /// A member dies for good: others take its replicas, and then it is removed.
    async fn die(&mut self, node: usize) {
        println!("{} dies", name(node));
        self.cluster.nodes[node].kill();
        self.members.retain(|member| *member != node);
        self.renew_client();
        let (client, name) = (self.client(), name(node));
        wait_within(PATIENCE, &format!("others hold what {name} held"), async || {
            let groups = client.list_groups().await.map_err(text)?;
            let holds = |group: &&GroupReply| {
                group.id > 0 && group.replicas.iter().any(|replica| replica.node == name)
            };
            groups.iter().find(holds).map_or(Ok(()), |group| Err(format!("{group:?}")))
        })
        .await;
        self.remove(node, false).await;
    }

    async fn remove(&self, node: usize, drain: bool) {
        let (client, name) = (self.client(), name(node));
        wait_within(PATIENCE, &format!("{name} is removed"), async || {
            client.remove_node(&name, drain).await.map_err(text)
        })
        .await;
    }

    /// Waits until every group has all its replicas on members, and no member holds two more than another.
    async fn wait_even(&self) {
        let (client, started) = (self.client(), Instant::now());
        let names: Vec<_> = self.members.iter().copied().map(name).collect();
        let held = wait_within(PATIENCE, "an even placement", async || {
            even(&names, &client.list_groups().await.map_err(text)?)
        })
        .await;
        println!("even after {:.1?}: {held:?}", started.elapsed());
    }

    /// Ends the writers and checks that nothing is lost and that all replicas are equal.
    async fn finish(self) {
        let client = self.client();
        assert_eq!(self.cluster.running().len(), self.members.len());
        for (id, load) in (1..).zip(self.loads) {
            let outcomes = load.finish().await;
            let documents = client.collection::<Value>(&database(id), INSERTS);
            let found = wait_until("the tokens", async || tokens(&documents).await).await;
            let (acknowledged, unknown) = (outcomes.acknowledged.len(), outcomes.unknown.len());
            println!("{}: {acknowledged} writes, {unknown} of unknown outcome", database(id));
            outcomes.check(&found, &database(id));
            self.cluster.wait_equal(&database(id), "after the load").await;
        }
    }
}

/// How many replicas each member holds, if the placement is even and every group is complete.
fn even<'n>(
    members: &'n [String],
    groups: &[GroupReply],
) -> Result<BTreeMap<&'n str, usize>, String> {
    let mut held: BTreeMap<_, _> = members.iter().map(|name| (name.as_str(), 0)).collect();
    let placed: Vec<_> = groups.iter().filter(|group| group.id > 0).collect();
    assert_eq!(placed.len() as u64, GROUPS);
    for group in placed {
        if !is_settled(group) {
            return Err(format!("{group:?}"));
        }
        for replica in &group.replicas {
            let count = held.get_mut(replica.node.as_str());
            *count.ok_or_else(|| format!("on no member: {group:?}"))? += 1;
        }
    }
    let (fewest, most) = (held.values().min(), held.values().max());
    match fewest.zip(most) {
        Some((fewest, most)) if most - fewest <= 1 => Ok(held),
        _ => Err(format!("{held:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_a_cluster_grows_to_twenty_nodes_and_shrinks_again_under_load() {
    if !long() {
        return;
    }
    let (mut growing, started) = (Growing::create().await, Instant::now());
    let mut joined = 0;
    while growing.members.len() < LARGE {
        growing.join().await;
        joined += 1;
        if joined % DEATHS == 0 {
            let node = growing.random.pick(&growing.members);
            growing.die(node).await;
        }
        growing.wait_progress().await;
    }
    growing.wait_even().await;
    println!("{LARGE} members after {:.1?}, {joined} have joined", started.elapsed());
    let started = Instant::now();
    while growing.members.len() > SMALL {
        let node = growing.random.pick(&growing.members);
        match growing.random.below(DEATHS) {
            0 => growing.die(node).await,
            _ => growing.leave(node).await,
        }
        growing.wait_progress().await;
    }
    growing.wait_even().await;
    println!("{SMALL} members after {:.1?}", started.elapsed());
    growing.finish().await;
}
