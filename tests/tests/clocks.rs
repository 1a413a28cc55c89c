//! Nodes whose clocks are wrong or jump while they lead: the time of the log stays correct, the nodes
//! are named, and calls continue.

use jettra_tests::clocks::Clocks;
use jettra_tests::{Cluster, Documents, Http, Settings, send, wait_until};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn date(ms: i64) -> Value {
    json!({"$date": {"$numberLong": ms.to_string()}})
}

async fn start(name: &str, size: usize, clocks: &Clocks) -> Cluster {
    Cluster::start_with(name, size, |settings: Settings| clocks.settings(settings)).await
}

/// Waits until all other nodes name this node's clock in `/health` and in the status.
async fn wait_named(cluster: &Cluster, wrong: usize, how: &str) {
    let sentence = format!("the clock of {} is {how}", cluster.nodes[wrong].name);
    wait_until(&format!("the others say that {sentence}"), async || {
        for index in cluster.running().into_iter().filter(|index| *index != wrong) {
            let http = cluster.nodes[index].http();
            let health = http.try_get("/health").await?.json();
            let status = http.try_get("/api/cluster").await?.json();
            let said = status["health"].as_str().unwrap_or_default().to_owned();
            if health["warnings"] != json!([sentence]) || !said.contains(&sentence) {
                return Err(format!("{health} {status}"));
            }
            assert!(!said.contains("majority"), "{said}");
        }
        Ok(())
    })
    .await;
}

/// Waits until no node reports a wrong clock.
async fn wait_right(cluster: &Cluster) {
    wait_until("all clocks are right", async || {
        for index in cluster.running() {
            let health = cluster.nodes[index].http().try_get("/health").await?.json();
            if health["status"] != "ok" || !health["warnings"].is_null() {
                return Err(health.to_string());
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_jumps_a_day_ahead_deletes_nothing_early_and_hands_over() {
    let clocks = Clocks::new();
    let cluster = start("clocks-jump", 3, &clocks).await;
    cluster.client().create_database("shop").await.expect("a database");
    let leader = cluster.leader().await;
    let documents = Documents::new(cluster.nodes[(leader + 1) % 3].http(), "shop", "a");
    documents.index(json!({"at": 1}), json!({"expireAfterSeconds": 3600})).await;
    let ends = date(now_ms() - 3_600_000 + 6_000);
    documents.insert_all([json!({"_id": "stays", "at": date(now_ms())})]).await;
    documents.insert_all([json!({"_id": "ends", "at": ends})]).await;

    clocks.set(leader, DAY);
    wait_until("another node leads", async || {
        let health = cluster.nodes[(leader + 1) % 3].http().try_get("/health").await?.json();
        match cluster.leader().await != leader && health["status"] == "ok" {
            true => Ok(()),
            false => Err(health.to_string()),
        }
    })
    .await;
    wait_named(&cluster, leader, "24 h ahead").await;

    // Due documents still expire, and the time of writes is correct.
    wait_until("the due document is gone", async || {
        let ids = documents.ids(json!({})).await;
        if ids == json!(["stays"]) { Ok(()) } else { Err(ids.to_string()) }
    })
    .await;
    let through_it = documents.through(cluster.nodes[leader].http());
    let stamp = json!({"filter": {"_id": "stays"}, "update": {"$currentDate": {"seen": true}}});
    through_it.ask("update", stamp).await;
    let seen = documents.get("documents/stays").await.ok().json()["seen"].clone();
    let minute_ago = date(now_ms() - 60_000);
    let minute_later = date(now_ms() + 60_000);
    let recent = json!({"seen": {"$gt": minute_ago, "$lt": minute_later}});
    assert_eq!(documents.count(recent).await, 1, "{seen}");

    // It cannot become leader again before its clock is correct.
    let name = cluster.nodes[leader].name.clone();
    let answer = cluster.act((leader + 1) % 3, "promote", json!({"node": name})).await;
    answer.refused(409, "not_possible_now");
    assert!(answer.text.contains("24 h ahead"), "{answer:?}");
    clocks.set(leader, 0);
    wait_right(&cluster).await;
    cluster.lead_with(leader).await;
    assert_eq!(documents.ids(json!({})).await, json!(["stays"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wrong_clock_takes_part_and_is_named() {
    let clocks = Clocks::new();
    clocks.set(2, 90);
    let cluster = start("clocks-wrong", 3, &clocks).await;
    cluster.client().create_database("shop").await.expect("a database");
    if cluster.leader().await == 2 {
        cluster.lead_with(0).await;
    }
    wait_named(&cluster, 2, "90 s ahead").await;

    // An API key is valid for its whole lifetime on every node.
    let read = async |node: usize, key: &str| {
        let http = Http::new(&cluster.nodes[node].url());
        send(http.request("GET", "/api/dbs").bearer_auth(key)).await
    };
    let make = async |ms: u64| {
        let new = json!({"name": "short", "expires_in_ms": ms});
        let made = cluster.nodes[0].http().post("/api/v1/tokens", &new).await.ok().json();
        made["token"].as_str().expect("a key").to_owned()
    };
    let key = make(60_000).await;
    for node in 0..3 {
        read(node, &key).await.ok();
    }
    let short = make(2_000).await;
    for node in 0..3 {
        wait_until("the key has ended", async || match read(node, &short).await {
            answer if answer.status == 401 => Ok(()),
            answer => Err(answer.text),
        })
        .await;
    }

    // Calls through this node are forwarded and succeed, however wrong its clock is.
    for (seconds, how) in [(3_600, "1 h ahead"), (-3_600, "1 h behind")] {
        clocks.set(2, seconds);
        wait_named(&cluster, 2, how).await;
        let documents = Documents::new(cluster.nodes[2].http(), "shop", "a");
        documents.insert_all([json!({"_id": seconds})]).await;
        documents.get(&format!("documents/{seconds}")).await.ok();
        read(2, &key).await.ok();
    }
    let log = cluster.nodes[0].log();
    assert!(log.contains("the clock of node3 is"), "{log}");
    clocks.set(2, 0);
    wait_right(&cluster).await;
}
