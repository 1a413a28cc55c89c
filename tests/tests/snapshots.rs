//! The log is bounded, and a member that lacks purged entries installs a snapshot.

use jettra_tests::load::{DATABASE, INSERTS, Load};
use jettra_tests::{Cluster, Documents, Node, Settings, wait_until};
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SIGABRT: i32 = 6;
const MB: usize = 1 << 20;

/// Bytes of all files in a directory.
fn bytes_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn log_bytes(node: &Node) -> u64 {
    bytes_in(&node.data_dir().join("groups/0/log"))
}

/// The files beside the log and `replica.json`: the pointer and, if nothing is left over, one generation.
fn generations(node: &Node) -> Vec<String> {
    let entries = std::fs::read_dir(node.data_dir().join("groups/0")).expect("the group");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| name != "log" && name != "replica.json").collect();
    names.sort_unstable();
    names
}

/// Saves a document of the given size in MB.
async fn save(documents: &Documents, id: usize, megabytes: usize) {
    let text = "x".repeat(megabytes * MB - 1000);
    let answer = documents.call("PUT", &format!("documents/{id}"), json!({"text": text})).await;
    assert_eq!(answer.status / 100, 2, "{id}: {} {}", answer.status, answer.text);
}

/// Symptom: 60 writes of 15 MB left 859 MB of log. Cause: snapshots and purges depended on the
/// number of entries only.
#[tokio::test(flavor = "multi_thread")]
async fn large_writes_leave_a_bounded_log() {
    let adjust = |settings: Settings| settings.key("SnapshotLogMb", 16).key("LogChunkMb", 1);
    let mut cluster = Cluster::start_with("snapshots-log", 1, adjust).await;
    cluster.client().create_database("shop").await.expect("a database");
    let documents = Documents::new(cluster.nodes[0].http(), "shop", "a");
    for id in 0..8 {
        save(&documents, id, 15).await;
    }
    // 16 MB are kept, another 16 MB accumulate until the next snapshot, and one entry.
    wait_until("the log is purged", async || {
        let bytes = log_bytes(&cluster.nodes[0]);
        if bytes < 50 << 20 { Ok(()) } else { Err(format!("{bytes} bytes")) }
    })
    .await;
    cluster.crash_and_restart(0);
    cluster.wait_health(0, "ok").await;
    assert_eq!(documents.count(json!({})).await, 8);
}

/// Kills a follower and writes until entries that it lacks are purged.
async fn leave_behind(cluster: &mut Cluster, documents: &Documents) -> usize {
    let away = cluster.follower().await;
    cluster.nodes[away].kill();
    let leader = cluster.leader().await;
    let documents = documents.through(cluster.nodes[leader].http());
    for _ in 0..2 {
        let rows = (0..30).map(|number| json!({"number": number}));
        for row in rows {
            documents.insert_all([row]).await;
        }
        // Larger than a file of the log, so that purging is visible.
        save(&documents, 1, 2).await;
        save(&documents, 2, 2).await;
        wait_until("the log is purged", async || {
            let bytes = log_bytes(&cluster.nodes[leader]);
            if bytes < 6 << 20 { Ok(()) } else { Err(format!("{bytes} bytes")) }
        })
        .await;
    }
    away
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_recovers_from_a_crash_after_any_step_of_an_installation() {
    let adjust = |settings: Settings| {
        settings.key("SnapshotEvery", 10).key("SnapshotLogMb", 1).key("LogChunkMb", 1)
    };
    let mut cluster = Cluster::start_with("snapshots-crash", 3, adjust).await;
    cluster.client().create_database("shop").await.expect("a database");
    let documents = Documents::new(cluster.nodes[0].http(), "shop", "a");
    for step in [
        "SnapshotReceived",
        "SnapshotChecked",
        "SnapshotPointerWritten",
        "SnapshotPointerRenamed",
        "SnapshotSwitched",
    ] {
        let away = leave_behind(&mut cluster, &documents).await;
        let node = &mut cluster.nodes[away];
        node.settings.env = vec![("JETTRA_CRASH_AFTER".into(), step.into())];
        node.start();
        let exit = node.wait_exit().await;
        assert_eq!(exit.signal(), Some(SIGABRT), "no crash after {step}: {exit}");
        node.settings.env.clear();
        node.start();
        cluster.wait_active(3).await;
        cluster.wait_equal("shop", step).await;
        let left = generations(&cluster.nodes[away]);
        assert_eq!(left.len(), 2, "{step}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_fit_is_refused_before_it_is_sent() {
    let adjust = |settings: Settings| {
        settings.key("SnapshotEvery", 10).key("SnapshotLogMb", 1).key("LogChunkMb", 1)
    };
    let mut cluster = Cluster::start_with("snapshots-refused", 3, adjust).await;
    cluster.client().create_database("shop").await.expect("a database");
    let documents = Documents::new(cluster.nodes[0].http(), "shop", "a");
    let away = leave_behind(&mut cluster, &documents).await;
    let node = &mut cluster.nodes[away];
    let before = node.settings.clone();
    node.settings = before.clone().key("DiskReserveMb", 1 << 30);
    node.start();
    let leader = cluster.leader().await;
    wait_until("the leader says why", async || {
        let log = cluster.nodes[leader].log();
        let said = log.lines().any(|line| {
            line.contains("a snapshot was not sent") && line.contains("too few for a snapshot")
        });
        if said { Ok(()) } else { Err("not yet".into()) }
    })
    .await;
    assert_eq!(generations(&cluster.nodes[away]).len(), 2);
    let copies = generations(&cluster.nodes[leader]);
    assert!(!copies.iter().any(|name| name.starts_with("outgoing")), "{copies:?}");
    let node = &mut cluster.nodes[away];
    node.kill();
    node.settings = before;
    node.start();
    cluster.wait_active(3).await;
    cluster.wait_equal("shop", "after the restart").await;
}

/// The load, and how long the follower is down.
struct Absence {
    megabytes: usize,
    time: Duration,
    adjust: fn(Settings) -> Settings,
}

/// The peak resident memory of a process in MB: in total and without mapped files.
fn memory(node: &Node) -> (u64, u64) {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) >> 10
    };
    (of("VmHWM:"), of("RssAnon:"))
}

/// A follower is down under load, and must catch up while the load continues.
async fn catch_up(name: &str, absence: Absence) {
    let mut cluster = Cluster::start_with(name, 3, absence.adjust).await;
    cluster.client().create_database("shop").await.expect("a database");
    cluster.client().create_collection(DATABASE, INSERTS).await.expect("a collection");
    let away = cluster.follower().await;
    let leader = cluster.leader().await;
    cluster.nodes[away].kill();
    let began = Instant::now();
    let documents = Documents::new(cluster.nodes[leader].http(), "shop", "a");
    let load = Load::inserts(&cluster.client(), 4);
    for id in 0..absence.megabytes / 2 {
        save(&documents, id, 2).await;
    }
    while began.elapsed() < absence.time {
        load.wait_successes(10).await;
    }
    let back = Instant::now();
    cluster.nodes[away].start();
    let mut anonymous = 0;
    wait_until("the follower is as far as the leader was", async || {
        anonymous = memory(&cluster.nodes[leader]).1.max(anonymous);
        let index = async |node: usize| {
            let target = format!(
                "/api/v1/databases/{DATABASE}/collections/{INSERTS}/documents?limit=1&level=local"
            );
            let answer = cluster.nodes[node].http().try_get(&target).await?;
            answer.header("x-jettra-index").parse::<u64>().map_err(|_| answer.text)
        };
        let goal = index(leader).await?;
        let reached = index(away).await?;
        if reached + 500 > goal { Ok(()) } else { Err(format!("{reached} of {goal}")) }
    })
    .await;
    let caught_up = back.elapsed();
    load.wait_successes(10).await;
    let outcomes = load.finish().await;
    cluster.wait_equal(DATABASE, "after the load").await;
    cluster.wait_equal("shop", "after the load").await;
    let copies = cluster.nodes[away].log().matches("installed a snapshot").count();
    let (peak, _) = memory(&cluster.nodes[leader]);
    println!(
        "{} MB of state, {} writes: caught up after {caught_up:?} by {copies} copies; leader: \
         {peak} MB at most ({anonymous} MB of them no files), {} MB of log; follower: {} MB",
        absence.megabytes,
        outcomes.acknowledged.len(),
        log_bytes(&cluster.nodes[leader]) >> 20,
        memory(&cluster.nodes[away]).0,
    );
    assert!((1..=2).contains(&copies), "{copies} copies");
}

/// Symptom: with 736 MB of state and 100 writes/s, 18 snapshots were sent in 180 s and the follower
/// never caught up. Cause: the entries after a snapshot were purged before the snapshot had arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_down_under_load_catches_up_with_one_snapshot() {
    let adjust = |settings: Settings| {
        settings.key("SnapshotEvery", 50).key("SnapshotLogMb", 4).key("LogChunkMb", 1)
    };
    let time = Duration::from_secs(8);
    catch_up("snapshots-away", Absence { megabytes: 60, time, adjust }).await;
}

/// The same with a state of more than half of the address space, for minutes.
#[tokio::test(flavor = "multi_thread")]
async fn long_a_follower_that_was_down_for_minutes_with_a_large_state_catches_up() {
    if !jettra_tests::long() {
        return;
    }
    let adjust = |settings: Settings| settings.key("MapSizeGb", 1);
    let time = Duration::from_secs(180);
    catch_up("snapshots-long", Absence { megabytes: 600, time, adjust }).await;
}
