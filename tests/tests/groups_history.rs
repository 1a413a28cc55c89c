//! Histories of transactions in eight groups on seven nodes, while replicas move, nodes crash after each
//! step of that, disks are lost, and a node is drained: the history of every database is strictly
//! serializable, nothing acknowledged is lost, and all replicas are equal.

use jettra_driver::wire::{GroupReply, GroupState, Migration, NewGroup};
use jettra_driver::wire::{ReplicaInfo, ReplicaState};
use jettra_tests::history::Outcome;
use jettra_tests::lists::Lists;
use jettra_tests::{Cluster, Crowd, Fault, Links, Node, Random, Settings, long, wait_until};
use serde_json::json;
use std::collections::{BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: usize = 7;
/// Groups beside the system group.
const GROUPS: u64 = 7;
/// Clients of each database.
const CLIENTS: usize = 2;
/// Transactions that must succeed in each database before, during and after each fault.
const PROGRESS: usize = 3;
const SIGABRT: i32 = 6;
const CRASH_AFTER: &str = "JETTRA_CRASH_AFTER";
/// How long the long test goes on injecting faults.
const LONG: Duration = Duration::from_secs(300);

/// The migrations of each round, and the step after which the leader of the group crashes. A node that
/// takes over the leadership of one of these groups crashes after none of the steps that are left: those
/// that are to crash there have done so in an earlier round, or hold no replica of the group.
const ROUNDS: [&[(u64, &str)]; 4] = [
    &[(1, "RemoveReplica"), (2, "RemoveLearner")],
    &[(7, "HandOver"), (6, "RemoveVoter")],
    &[(3, "AddVoter"), (4, "Activate(")],
    &[(5, "AddLearner")],
];
/// The node that crashes later as the leader of the system group, in which it votes; it leads group 5.
const DECIDER: usize = 4;
/// The node that is drained; it leads group 4.
const LEAVING: usize = 3;

/// A number of a node, wrapped around.
fn nth(node: u64) -> usize {
    (node % NODES as u64) as usize
}

/// The nodes that hold a group at first, of which the first leads it. Each two groups have one in common.
fn first_members(group: u64) -> [usize; 3] {
    [nth(group + 6), nth(group), nth(group + 2)]
}

fn name(node: usize) -> String {
    format!("node{}", node + 1)
}

/// The clients of one database.
struct Traffic {
    database: String,
    lists: Arc<Lists>,
    crowd: Crowd,
}

/// A cluster with groups and clients of all of them.
struct Field {
    cluster: Cluster,
    traffic: Vec<Traffic>,
    /// The steps after which each node is to crash, the next one first.
    due: Vec<VecDeque<&'static str>>,
    /// The steps after which a node has crashed.
    crashes: Vec<&'static str>,
}

/// Settings of all nodes: short time-outs, frequent snapshots, and no moves but those of the test.
fn adjust(settings: Settings) -> Settings {
    let settings = settings.key("RequestTimeoutMs", 1500).key("SnapshotEvery", 200);
    settings.key("AutoRebalance", false)
}

impl Field {
    /// Creates the groups and their databases on a new cluster.
    async fn create(cluster: Cluster) -> Field {
        let client = cluster.client();
        let members = |group| Some(first_members(group).map(name).to_vec());
        for id in 1..=GROUPS {
            let group = NewGroup { id, members: members(id), ..NewGroup::default() };
            client.create_group(&group, false).await.expect("a group");
        }
        let due = vec![VecDeque::new(); NODES];
        let mut field = Field { cluster, traffic: Vec::new(), due, crashes: Vec::new() };
        for group in 1..=GROUPS {
            field.wait_settled(group, &first_members(group)).await;
        }
        for group in 0..=GROUPS {
            let database = format!("db{group}");
            client.create_database_in(&database, group).await.expect("a database");
            client.create_collection(&database, "docs").await.expect("a collection");
        }
        field
    }

    /// Starts clients of all databases that use all nodes.
    fn start_clients(&mut self) {
        let https: Vec<_> = self.cluster.nodes.iter().map(Node::http).collect();
        for group in 0..=GROUPS {
            let database = format!("db{group}");
            let lists = Arc::new(Lists::new(&database, https.clone()));
            let crowd = lists.start(CLIENTS);
            self.traffic.push(Traffic { database, lists, crowd });
        }
    }

    /// Waits until some more transactions have succeeded in every database.
    async fn wait_progress(&self) {
        futures_util::future::join_all(
            self.traffic.iter().map(|traffic| traffic.crowd.wait_successes(PROGRESS)),
        )
        .await;
    }

    /// Starts the nodes that have crashed again, each with the next step after which it is to crash.
    async fn revive(&mut self) {
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

    async fn group(&self, id: u64) -> Result<GroupReply, String> {
        self.cluster.client().group(id).await.map_err(|error| error.to_string())
    }

    /// Waits until a group serves with voters on exactly these nodes, and revives what crashes meanwhile.
    async fn wait_settled(&mut self, id: u64, members: &[usize]) -> GroupReply {
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
    async fn members(&self, id: u64) -> Vec<usize> {
        let group = wait_until("the group", async || self.group(id).await).await;
        group.members.iter().map(|name| self.cluster.index_of(name)).collect()
    }

    /// Names the leader of a group, and waits until it leads.
    async fn lead(&mut self, id: u64, node: usize) {
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
    async fn wait_leaders_beside(&self, node: usize) {
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
    async fn migrate(&mut self, id: u64, from: usize, to: usize) -> Vec<usize> {
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

    /// Moves one replica of each group, whose leader crashes after the step. If another node leads by then,
    /// it takes the step, so the replica moves again.
    async fn migrate_with_crashes(&mut self, round: &[(u64, &'static str)]) {
        for (attempt, back) in [false, true, false].into_iter().enumerate() {
            let mut moves = Vec::new();
            for (id, step) in round.iter().copied() {
                if attempt > 0 && self.crashes.contains(&step) {
                    continue;
                }
                let [leader, other, _] = first_members(id);
                if self.members(id).await.contains(&leader) {
                    self.lead(id, leader).await;
                }
                let term = self.group(id).await.ok().and_then(|group| group.term);
                let (from, to) = (if step == "HandOver" { leader } else { other }, nth(id + 1));
                let (from, to) = if back { (to, from) } else { (from, to) };
                moves.push((id, step, term, self.migrate(id, from, to).await));
            }
            for (id, step, term, members) in moves {
                wait_until(&format!("a crash after {step}"), async || {
                    let group = self.wait_settled(id, &members).await;
                    let over = self.crashes.contains(&step) || group.term != term;
                    if over { Ok(()) } else { Err(format!("{group:?}")) }
                })
                .await;
            }
        }
        let crashed = round.iter().all(|(_, step)| self.crashes.contains(step));
        assert!(crashed, "{round:?}: {:?}", self.crashes);
    }

    /// Checks everything once nothing is broken any more.
    async fn finish(mut self) {
        self.wait_progress().await;
        let mut finished = Vec::new();
        for traffic in std::mem::take(&mut self.traffic) {
            finished.push((traffic.database, traffic.lists, traffic.crowd.finish().await));
        }
        for id in 1..=GROUPS {
            let members = self.members(id).await;
            self.wait_settled(id, &members).await;
        }
        let running = self.cluster.running();
        let https: Vec<_> = running.iter().map(|node| self.cluster.nodes[*node].http()).collect();
        for (group, (database, lists, successes)) in (0..).zip(finished) {
            let existing = lists.check_all(&https).await as u64;
            let history = lists.history();
            eprintln!(
                "{database}: {successes} succeeded, {} aborted, {} unknown, {existing} lists",
                history.count(Outcome::Aborted),
                history.count(Outcome::Unknown)
            );
            history.check();
            self.cluster.wait_equal(&database, "after the history").await;
            if group > 0 {
                self.check_count(group, existing).await;
            }
        }
        for node in &self.cluster.nodes {
            assert!(!node.log().contains("panicked at"), "{} has panicked", node.name);
        }
    }

    /// Waits until a group counts as many documents as were found.
    async fn check_count(&self, id: u64, existing: u64) {
        wait_until(&format!("{existing} documents in group {id}"), async || {
            let found = self.cluster.client().shard(&shard(id)).await;
            let found = found.map_err(|error| error.to_string())?;
            if found.documents == existing { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

fn shard(id: u64) -> String {
    format!("shard-{id:02}")
}

/// Sets the step after which the next process of a node crashes.
fn arm(node: &mut Node, due: &VecDeque<&'static str>) {
    node.settings.env =
        due.front().map(|step| (CRASH_AFTER.into(), (*step).into())).into_iter().collect();
}

/// Whether a group serves and its replicas are where they are to be.
fn is_settled(group: &GroupReply) -> bool {
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

/// The number of the replica on a node.
fn replica_on(group: &GroupReply, node: usize) -> Option<u64> {
    group.replicas.iter().find(|replica| replica.node == name(node))?.replica
}

fn replica_ids(group: &GroupReply) -> BTreeSet<Option<u64>> {
    group.replicas.iter().map(|replica| replica.replica).collect()
}

/// Sets for each node the steps after which it crashes, and restarts all of them.
async fn arm_all(field: &mut Field) {
    for (id, step) in ROUNDS.concat() {
        let leader = first_members(id)[0];
        // The leader of the system group at the end of the drain crashes then.
        field.due[leader] = match (leader, step) {
            (DECIDER, _) => [step, "Place", "SetNodes", "Deregister"].into(),
            // It is set later: after the restart, leaders hand over to those that are named.
            (_, "HandOver") => ["Deregister"].into(),
            _ => [step, "Deregister"].into(),
        };
    }
    field.cluster.nodes.iter_mut().for_each(Node::kill);
    for (node, due) in field.cluster.nodes.iter_mut().zip(&field.due) {
        arm(node, due);
        node.start();
    }
    field.cluster.wait_active(NODES).await;
    for id in 1..=GROUPS {
        field.lead(id, first_members(id)[0]).await;
    }
    // Those that take over later keep it, because none of them is to crash after handing over.
    for id in 1..=GROUPS {
        wait_until("nobody is named", async || {
            let named = field.cluster.client().set_group_leader(id, None).await;
            named.map_err(|error| error.to_string())
        })
        .await;
    }
}

/// The leader of a group is killed, and started again with a step after which it is to crash.
async fn kill_a_leader(field: &mut Field, id: u64, step: &'static str) {
    let node = first_members(id)[0];
    field.cluster.nodes[node].kill();
    field.wait_progress().await;
    field.due[node].push_front(step);
    arm(&mut field.cluster.nodes[node], &field.due[node]);
    field.cluster.nodes[node].start();
}

/// The leader of a group is killed and its replica moves to another node meanwhile, while the leader of the
/// system group crashes. The replica that returns is no member any more, and its directory goes.
async fn return_a_replica(field: &mut Field, id: u64) {
    field.cluster.lead_with(DECIDER).await;
    let members = field.members(id).await;
    let leader = field.group(id).await.expect("the group").leader.expect("a leader");
    let gone = field.cluster.index_of(&leader);
    let to = (0..NODES).find(|node| !members.contains(node) && ![DECIDER, LEAVING].contains(node));
    let directory = field.cluster.nodes[gone].data_dir().join(format!("groups/{id}"));
    field.cluster.nodes[gone].kill();
    let members = field.migrate(id, gone, to.expect("a node without a replica")).await;
    let before = field.wait_settled(id, &members).await;
    assert!(field.crashes.contains(&"Place"), "{:?}", field.crashes);
    assert!(directory.exists());
    field.wait_progress().await;
    field.cluster.nodes[gone].start();
    wait_until("its directory goes", async || {
        if directory.exists() { Err("it is there".to_owned()) } else { Ok(()) }
    })
    .await;
    let after = field.wait_settled(id, &members).await;
    assert_eq!(replica_ids(&after), replica_ids(&before));
}

/// The leader of a group is killed and loses its directory: another replica takes the place of its own,
/// which never votes again.
async fn wipe_a_replica(field: &mut Field, id: u64) {
    let members = field.members(id).await;
    let before = field.wait_settled(id, &members).await;
    let wiped = field.cluster.index_of(before.leader.as_ref().expect("a leader"));
    let directory = field.cluster.nodes[wiped].data_dir().join(format!("groups/{id}"));
    field.cluster.nodes[wiped].kill();
    std::fs::remove_dir_all(directory).expect("it was there");
    field.cluster.nodes[wiped].start();
    wait_until("another replica", async || {
        let group = field.wait_settled(id, &members).await;
        match replica_on(&group, wiped) != replica_on(&before, wiped) {
            true => Ok(()),
            false => Err(format!("{group:?}")),
        }
    })
    .await;
}

/// A node that leads a group and holds replicas of others is drained, while the leader of the system group
/// crashes after the first and the last step of that.
async fn drain_a_node(field: &mut Field) {
    field.cluster.wait_active(NODES).await;
    field.cluster.lead_with(DECIDER).await;
    let body = json!({"node": name(LEAVING)});
    // The answer depends on how far it comes before the crash.
    drop(field.cluster.try_act(0, "deregister", body).await);
    wait_until("the node is drained", async || {
        field.revive().await;
        let crashed = ["SetNodes", "Deregister"].iter().all(|step| field.crashes.contains(step));
        let health = field.cluster.nodes[LEAVING].http().try_get("/health").await?;
        match crashed && health.json()["status"] == "removed" {
            true => Ok(()),
            false => Err(format!("{} {:?}", health.text, field.crashes)),
        }
    })
    .await;
    field.wait_progress().await;
    field.cluster.nodes[LEAVING].kill();
    field.cluster.wait_active(NODES - 1).await;
    for id in 1..=GROUPS {
        let members = field.members(id).await;
        assert!(!members.contains(&LEAVING), "group {id} on {members:?}");
        field.wait_settled(id, &members).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_of_all_groups_are_strictly_serializable_while_replicas_move_and_nodes_crash() {
    let mut field = Field::create(Cluster::start_with("groups-history", NODES, adjust).await).await;
    arm_all(&mut field).await;
    field.start_clients();
    field.wait_progress().await;
    kill_a_leader(&mut field, 7, "HandOver").await;
    for round in ROUNDS {
        field.migrate_with_crashes(round).await;
        field.wait_progress().await;
    }
    return_a_replica(&mut field, 2).await;
    wipe_a_replica(&mut field, 3).await;
    drain_a_node(&mut field).await;
    field.finish().await;
}

/// Replicas move at random, each time while a node is killed, cut off or paused.
#[tokio::test(flavor = "multi_thread")]
async fn long_histories_of_all_groups_are_strictly_serializable_for_minutes() {
    if !long() {
        return;
    }
    let (cluster, links) = Cluster::start_with_links("groups-history-long", NODES, adjust).await;
    let mut field = Field::create(cluster).await;
    field.start_clients();
    let (started, mut random) = (Instant::now(), Random(1));
    while started.elapsed() < LONG {
        disturb(&mut field, &links, &mut random).await;
    }
    field.finish().await;
}

/// The fault that pauses a node.
const PAUSE: u64 = 0;

/// Moves one replica while one node fails in one way.
async fn disturb(field: &mut Field, links: &Links, random: &mut Random) {
    let id = 1 + random.below(GROUPS);
    let members = field.members(id).await;
    let others: Vec<_> = (0..NODES).filter(|node| !members.contains(node)).collect();
    let (from, to) = (random.pick(&members), random.pick(&others));
    let members = field.migrate(id, from, to).await;
    let victim = random.below(NODES as u64) as usize;
    let fault = random.below(4);
    match fault {
        PAUSE => field.cluster.nodes[victim].signal("STOP"),
        1 => field.cluster.nodes[victim].kill(),
        2 => links.isolate(victim, Fault::Cut),
        _ => links.isolate(victim, Fault::Blackhole),
    }
    field.wait_leaders_beside(victim).await;
    // Clients that wait for a node that is paused go on only after that.
    if fault != PAUSE {
        field.wait_progress().await;
    }
    links.heal();
    if field.cluster.nodes[victim].is_started() {
        field.cluster.nodes[victim].signal("CONT");
    } else {
        field.cluster.nodes[victim].start();
    }
    field.cluster.wait_active(NODES).await;
    field.wait_settled(id, &members).await;
}
