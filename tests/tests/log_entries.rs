//! Log entries: their maximum size, the space that they need, and entries that are refused.

use jettra_tests::disk::free_mb;
use jettra_tests::{Answer, Cluster, Http, wait_until};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

fn target(id: usize) -> String {
    format!("/api/v1/databases/shop/collections/stock/documents/{id}")
}

async fn create_collection(http: &Http) {
    let names = json!({"database": "shop", "collection": "stock"});
    http.post("/api/cols", &names).await.ok();
}

async fn put(http: &Http, id: usize, bytes: usize) -> Answer {
    http.json("PUT", &target(id), &json!({"text": "x".repeat(bytes)})).await
}

/// Symptom: 50 KB of SQL became a log entry of 100 MB that never reached the followers: all writes
/// were blocked until the leader was killed, and the status reported one missing entry.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_with_a_huge_command_is_refused_and_writes_continue() {
    let cluster = Cluster::start("entries-huge", 3).await;
    let http = cluster.nodes[cluster.leader().await].http();
    create_collection(&http).await;
    let rows = vec!["(1)"; 500].join(",");
    let sql = format!("INSERT INTO stock (\"{}\") VALUES {rows}", "c".repeat(100_000));
    let answer = http.post("/api/command?db=shop", &json!({"command": sql})).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    put(&http, 1, 10).await.ok();
    cluster.wait_equal("shop", "a refused statement").await;
}

/// Two members of which only one refuses an entry would have different states.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_refuse_different_entries_do_not_serve_together() {
    let mut cluster = Cluster::start("entries-refused", 3).await;
    let follower = cluster.follower().await;
    let name = cluster.nodes[follower].name.clone();
    let entry = json!(["99999999:0123456789abcdef"]);
    cluster.nodes[follower].settings.config.insert("RefuseEntry".into(), entry);
    cluster.crash_and_restart(follower);
    let leader = cluster.leader().await;
    let http = cluster.nodes[leader].http();
    create_collection(&http).await;
    put(&http, 1, 10).await.ok();
    wait_until("the leader says what is wrong", async || {
        let report = http.try_get("/api/cluster").await?;
        let nodes = report.json()["nodes"].clone();
        let node = nodes.as_array().and_then(|all| all.iter().find(|node| node["id"] == *name));
        let problem = node.map_or(Value::Null, |node| node["problem"].clone());
        match problem.as_str() {
            Some(text) if text.contains("--refuse-entry") => Ok(()),
            _ => Err(report.text),
        }
    })
    .await;
    assert!(cluster.nodes[leader].log().contains("log entries cannot be delivered"));
    cluster.nodes[follower].settings.config.remove("RefuseEntry");
    cluster.crash_and_restart(follower);
    cluster.wait_equal("shop", "the same entries are refused").await;
    wait_until("nothing is wrong any more", async || {
        let report = http.try_get("/api/cluster").await?;
        if report.text.contains("problem") { Err(report.text) } else { Ok(()) }
    })
    .await;
}

/// Symptom: once the disk was full, writes were refused forever, including deletions.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_recovers_by_deleting() {
    let mut cluster = Cluster::start("entries-disk", 1).await;
    let http = cluster.nodes[0].http();
    create_collection(&http).await;
    for id in 0..20 {
        put(&http, id, MIB / 2).await.ok();
    }
    // Three quarters of the reserve are free, so the node regards the disk as full.
    let reserve = free_mb(&cluster.nodes[0].data_dir()) / 3 * 4;
    cluster.nodes[0].settings.config.insert("DiskReserveMb".into(), reserve.into());
    cluster.crash_and_restart(0);
    cluster.wait_caught_up().await;
    let mut id = 100;
    // Pages that were free before are used first.
    while put(&http, id, MIB / 2).await.status != 507 {
        id += 1;
        assert!(id < 200, "the disk is never full");
    }
    http.json("DELETE", &target(0), &Value::Null).await.ok();
    http.json("DELETE", "/api/cols?db=shop&col=stock", &Value::Null).await.ok();
    wait_until("what was dropped makes room", async || {
        let answer = put(&http, 1, MIB / 2).await;
        if answer.status < 300 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}
