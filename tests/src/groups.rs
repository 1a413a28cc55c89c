//! A cluster of seven nodes with seven groups beside the system group, and clients of a database in each,
//! whose transactions are recorded and checked while a test moves replicas and breaks nodes.

use crate::cluster::Cluster;
use crate::crowd::Crowd;
use crate::history::Outcome;
use crate::http::Http;
use crate::lists::Lists;
use crate::node::{Node, Settings};
use crate::wait::wait_until;
use jettra_driver::wire::{GroupReply, GroupState, Migration, NewGroup, ReplicaInfo, ReplicaState};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

/// The nodes of a [`Field`].
pub const NODES: usize = 7;
/// Its groups beside the system group.
pub const GROUPS: u64 = 7;
/// Clients of each database.
const CLIENTS: usize = 2;
/// Transactions that must succeed in each database before, during and after each fault.
const PROGRESS: usize = 3;
const SIGABRT: i32 = 6;
const CRASH_AFTER: &str = "JETTRA_CRASH_AFTER";

/// A number of a node, wrapped around.
pub fn nth(node: u64) -> usize {
    (node % NODES as u64) as usize
}

/// The nodes that hold a group at first, of which the first leads it. Each two groups have one in common.
pub fn first_members(group: u64) -> [usize; 3] {
    [nth(group + 6), nth(group), nth(group + 2)]
}

/// The name of the node with this index.
pub fn name(node: usize) -> String {
    format!("node{}", node + 1)
}

/// The name of the shard that is this group.
pub fn shard(id: u64) -> String {
    format!("shard-{id:02}")
}

/// The clients of one database.
struct Traffic {
    database: String,
    lists: Arc<Lists>,
    crowd: Crowd,
}

/// What the clients of a database have left behind whose histories were checked.
#[derive(Default)]
struct Past {
    /// The hashes of their collections.
    collections: Map<String, Value>,
    documents: u64,
}

/// A cluster with groups and clients of all of them.
pub struct Field {
    /// The nodes.
    pub cluster: Cluster,
    /// The steps after which each node is to crash, the next one first.
    pub due: Vec<VecDeque<&'static str>>,
    /// The steps after which a node has crashed.
    pub crashes: Vec<&'static str>,
    traffic: Vec<Traffic>,
    /// By group.
    past: Vec<Past>,
    /// How often clients were started.
    starts: u64,
}

/// Settings of all nodes: short time-outs, frequent snapshots, and no moves but those of the test.
pub fn adjust(settings: Settings) -> Settings {
    let settings = settings.key("RequestTimeoutMs", 1500).key("SnapshotEvery", 200);
    settings.key("AutoRebalance", false)
}

impl Field {
    /// Creates the groups and their databases on a new cluster.
    pub async fn create(cluster: Cluster) -> Field {
        let client = cluster.client();
        let members = |group| Some(first_members(group).map(name).to_vec());
        for id in 1..=GROUPS {
            let group = NewGroup { id, members: members(id), ..NewGroup::default() };
            client.create_group(&group, false).await.expect("a group");
        }
        let due = vec![VecDeque::new(); NODES];
        let past = (0..=GROUPS).map(|_| Past::default()).collect();
        let (traffic, crashes, starts) = (Vec::new(), Vec::new(), 0);
        let mut field = Field { cluster, due, crashes, traffic, past, starts };
        for group in 1..=GROUPS {
            field.wait_settled(group, &first_members(group)).await;
        }
        for group in 0..=GROUPS {
            client.create_database_in(&database(group), group).await.expect("a database");
        }
        field
    }

    /// Starts clients of all databases that use all nodes, each time in collections of their own.
    pub async fn start_clients(&mut self) {
        let (client, https) = (self.cluster.client(), self.https());
        self.starts += 1;
        let collection = format!("docs{}", self.starts);
        for group in 0..=GROUPS {
            let database = database(group);
            client.create_collection(&database, &collection).await.expect("a collection");
            let lists = Arc::new(Lists::new(&database, &collection, https.clone()));
            let crowd = lists.start(CLIENTS);
            self.traffic.push(Traffic { database, lists, crowd });
        }
    }

    /// Calls to the nodes that run.
    fn https(&self) -> Vec<Http> {
        self.cluster.running().into_iter().map(|node| self.cluster.nodes[node].http()).collect()
    }

    /// Waits until some more transactions have succeeded in every database.
    ///
    /// # Panics
    /// If they do not, or a client has panicked.
    pub async fn wait_progress(&self) {
        futures_util::future::join_all(
            self.traffic
                .iter()
                .map(|traffic| traffic.crowd.wait_successes_in(&traffic.database, PROGRESS)),
        )
        .await;
    }

    /// Starts the nodes that have crashed again, each with the next step after which it is to crash.
    ///
    /// # Panics
    /// If a node has ended that is not to crash.
    pub async fn revive(&mut self) {
        for (node, due) in self.cluster.nodes.iter_mut().zip(&mut self.due) {
            if !node.is_started() || node.is_running() {
                continue;
            }
            let exit = node.wait_exit().await;
            let step = due.pop_front().unwrap_or_else(|| panic!("{} ended: {exit}", node.name));
            assert_eq!(exit.signal(), Some(SIGABRT), "{} after {step:?}: {exit}", node.name);
            eprintln!("{} crashed after {step}", node.name);
            self.crashes.push(step);
            arm(node, due);
            node.start();
        }
    }

    /// A group.
    ///
    /// # Errors
    /// If no node answers; the reason as text.
    pub async fn group(&self, id: u64) -> Result<GroupReply, String> {
        self.cluster.client().group(id).await.map_err(|error| error.to_string())
    }

    /// Waits until a group serves with voters on exactly these nodes, and revives what crashes meanwhile.
    pub async fn wait_settled(&mut self, id: u64, members: &[usize]) -> GroupReply {
        let expected: BTreeSet<String> = members.iter().copied().map(name).collect();
        wait_until(&format!("group {id} on {expected:?}"), async || {
            self.revive().await;
            let group = self.group(id).await?;
            let found: BTreeSet<String> = group.members.iter().cloned().collect();
            if is_settled(&group) && found == expected {
                Ok(group)
            } else {
                Err(format!("{group:?}"))
            }
        })
        .await
    }

    /// The nodes that are to hold a group.
    pub async fn members(&self, id: u64) -> Vec<usize> {
        let group = wait_until("the group", async || self.group(id).await).await;
        group.members.iter().map(|name| self.cluster.index_of(name)).collect()
    }

    /// Names the leader of a group, and waits until it leads.
    pub async fn lead(&mut self, id: u64, node: usize) {
        let name = name(node);
        wait_until(&format!("{name} leads group {id}"), async || {
            self.revive().await;
            let group = self.group(id).await?;
            if group.ready && group.leader.as_ref() == Some(&name) {
                return Ok(());
            }
            let named = self.cluster.client().set_group_leader(id, Some(&name)).await;
            Err(format!("{named:?} {group:?}"))
        })
        .await;
    }

    /// Waits until other nodes than this one lead all groups.
    pub async fn wait_leaders_beside(&self, node: usize) {
        let (victim, other) = (name(node), self.cluster.client_of(nth(node as u64 + 1)));
        wait_until(&format!("leaders beside {victim}"), async || {
            let groups = other.list_groups().await.map_err(|error| error.to_string())?;
            match groups.iter().find(|group| !group.ready || group.leader.as_ref() == Some(&victim))
            {
                Some(group) => Err(format!("{group:?}")),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Decides that a replica moves from a node to another one, and returns the nodes of the group then.
    pub async fn migrate(&mut self, id: u64, from: usize, to: usize) -> Vec<usize> {
        let migration = Migration { from_node: name(from), to_node: name(to), strategy: None };
        eprintln!("group {id} from {} to {}", migration.from_node, migration.to_node);
        wait_until("the migration is decided", async || {
            self.revive().await;
            let moved = self.cluster.client().migrate_shard(&shard(id), &migration).await;
            // A repetition of one that was decided is refused.
            let members = self.members(id).await;
            match members.contains(&to) && !members.contains(&from) {
                true => Ok(members),
                false => Err(format!("{moved:?}")),
            }
        })
        .await
    }

    /// Ends the clients and checks everything that they have done and that earlier ones have left behind,
    /// while nothing is broken. The histories are forgotten then, so a test that goes on for long needs no
    /// more memory and no more time for each check.
    ///
    /// # Panics
    /// If anything is not as it must be.
    pub async fn check(&mut self) {
        self.wait_progress().await;
        let mut finished = Vec::new();
        for traffic in std::mem::take(&mut self.traffic) {
            finished.push((traffic.database, traffic.lists, traffic.crowd.finish().await));
        }
        for id in 1..=GROUPS {
            let members = self.members(id).await;
            self.wait_settled(id, &members).await;
        }
        let https = self.https();
        for (group, (database, lists, successes)) in (0..).zip(finished) {
            let existing = lists.check_all(&https).await as u64;
            let history = lists.history();
            eprintln!(
                "{database}: {successes} succeeded, {} aborted, {} unknown, {existing} lists",
                history.count(Outcome::Aborted),
                history.count(Outcome::Unknown)
            );
            history.check();
            let hashes = self.cluster.wait_equal(&database, "after the history").await;
            self.check_past(group, existing, &hashes);
            if group > 0 {
                self.check_count(group).await;
            }
        }
        for node in &self.cluster.nodes {
            assert!(!node.log().contains("panicked at"), "{} has panicked", node.name);
        }
    }

    /// Checks that nothing of earlier clients has changed, and remembers what those that have ended leave
    /// behind.
    fn check_past(&mut self, group: u64, existing: u64, hashes: &Value) {
        let past = &mut self.past[group as usize];
        let now = hashes["collections"].as_object().expect("the hashes of the collections");
        for (collection, before) in &past.collections {
            let found = now.get(collection);
            assert_eq!(found, Some(before), "{collection} of group {group} has changed");
        }
        past.collections = now.clone();
        past.documents += existing;
    }

    /// Waits until a group counts as many documents as were found.
    async fn check_count(&self, id: u64) {
        let existing = self.past[id as usize].documents;
        wait_until(&format!("{existing} documents in group {id}"), async || {
            let found = self.cluster.client().shard(&shard(id)).await;
            let found = found.map_err(|error| error.to_string())?;
            if found.documents == existing { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

fn database(group: u64) -> String {
    format!("db{group}")
}

/// Sets the step after which the next process of a node crashes.
pub fn arm(node: &mut Node, due: &VecDeque<&'static str>) {
    node.settings.env =
        due.front().map(|step| (CRASH_AFTER.into(), (*step).into())).into_iter().collect();
}

/// Whether a group serves and its replicas are where they are to be.
pub fn is_settled(group: &GroupReply) -> bool {
    let wanted: BTreeSet<&str> = group.members.iter().map(String::as_str).collect();
    let placed: BTreeSet<&str> =
        group.replicas.iter().map(|replica| replica.node.as_str()).collect();
    let done =
        |replica: &ReplicaInfo| replica.state == Some(ReplicaState::Active) && replica.wanted;
    group.ready
        && group.state == GroupState::Active
        && wanted == placed
        && group.replicas.len() == 3
        && group.replicas.iter().all(done)
}
