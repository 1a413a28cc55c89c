//! An hour of histories of all groups while replicas move and nodes fail.

use crate::seed;
use jettra_tests::groups::{Field, GROUPS, NODES, adjust};
use jettra_tests::{Cluster, Fault, Links, Random, long, setting};
use std::time::{Duration, Instant};

/// How long the histories take, unless a variable says otherwise.
const SECONDS: u64 = 3600;
/// After this time the histories so far are checked, and new ones begin.
const PART: Duration = Duration::from_secs(150);
/// The fault that pauses a node.
const PAUSE: u64 = 0;

/// Replicas move at random, each time while a node is killed, cut off or paused.
#[tokio::test(flavor = "multi_thread")]
async fn long_histories_of_all_groups_are_strictly_serializable_for_an_hour() {
    if !long() {
        return;
    }
    let time = Duration::from_secs(setting("JETTRA_GROUPS_SECONDS").unwrap_or(SECONDS));
    let (mut random, mut faults, started) = (seed(), 0, Instant::now());
    let mut slowest = Duration::ZERO;
    let (cluster, links) = Cluster::start_with_links("groups-hour", NODES, adjust).await;
    let mut field = Field::create(cluster).await;
    while started.elapsed() < time {
        field.start_clients().await;
        let part = Instant::now();
        while part.elapsed() < PART && started.elapsed() < time {
            slowest = slowest.max(disturb(&mut field, &links, &mut random).await);
            faults += 1;
        }
        field.check().await;
        // Nobody takes a directory away, so one that is missing was removed by mistake; another replica
        // would make up for it.
        for node in &field.cluster.nodes {
            assert!(!node.log().contains("has lost its directory"), "{}", node.name);
        }
        let memory = field.cluster.nodes.iter().map(|node| node.memory_mb()).max();
        println!(
            "after {} s: {faults} faults during moves, the others served again after {slowest:.1?} at most, \
             nodes have up to {} MB",
            started.elapsed().as_secs(),
            memory.unwrap_or_default()
        );
    }
}

/// Moves one replica while one node fails in one way; returns the time until the other nodes served all
/// groups again.
async fn disturb(field: &mut Field, links: &Links, random: &mut Random) -> Duration {
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
    let failed = Instant::now();
    field.wait_leaders_beside(victim).await;
    // Clients that wait for a node that is paused go on only after that.
    if fault != PAUSE {
        field.wait_progress().await;
    }
    let served = failed.elapsed();
    links.heal();
    if field.cluster.nodes[victim].is_started() {
        field.cluster.nodes[victim].signal("CONT");
    } else {
        field.cluster.nodes[victim].start();
    }
    field.cluster.wait_active(NODES).await;
    field.wait_settled(id, &members).await;
    served
}
