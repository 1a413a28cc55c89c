//! Replicas stay equal: random histories of every kind of write, with nodes that fall behind and
//! catch up by the log or by a snapshot. Equal means the same hash at the same log index.
//!
//! `HISTORY_SEED` is added to the seeds, for other histories than the fixed ones.

use jettra_tests::documents::insert;
use jettra_tests::{Cluster, DEADLINE, Documents, Random, wait_until};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The collections of the histories.
const COLLECTIONS: [&str; 3] = ["a", "b", "c"];
/// Number of different ids, small enough that writes meet existing documents.
const IDS: u64 = 60;
const STEPS: usize = 120;

/// The random parts of a history.
trait Choice {
    fn value(&mut self) -> Value;
    fn document(&mut self) -> Value;
    fn filter(&mut self) -> Value;
    fn update(&mut self) -> Value;
}

impl Choice for Random {
    /// A value of any type, including those that some indexes refuse.
    fn value(&mut self) -> Value {
        let number = self.below(20) as i64 - 5;
        match self.below(9) {
            0 => json!(null),
            1 => json!(number as f64 / 4.0),
            2 => json!(format!("t{number}")),
            3 => json!([number, number + 1, "x"]),
            4 => json!({"x": number, "y": [1]}),
            5 => json!({"$numberDecimal": format!("{number}.50")}),
            6 => json!({"$date": {"$numberLong": (number * 86_400_000).to_string()}}),
            _ => json!(number),
        }
    }

    fn document(&mut self) -> Value {
        let mut document = json!({"_id": self.below(IDS), "k": self.value(), "n": self.below(9)});
        if self.below(3) == 0 {
            document["l"] = json!([{"q": self.below(9)}, {"q": self.value()}]);
        }
        if self.below(6) == 0 {
            document["at"] = json!({"$date": {"$numberLong": (now_ms() - 3_600_000).to_string()}});
        }
        document
    }

    fn filter(&mut self) -> Value {
        match self.below(5) {
            0 => json!({"_id": self.below(IDS)}),
            1 => json!({"n": {"$gte": self.below(9)}}),
            2 => json!({"k": self.value()}),
            3 => json!({"l.q": {"$lt": 5}}),
            _ => json!({"k": {"$exists": false}}),
        }
    }

    fn update(&mut self) -> Value {
        match self.below(8) {
            0 => json!({"$set": {"k": self.value()}}),
            1 => json!({"$inc": {"n": 1}, "$currentDate": {"seen": true}}),
            2 => json!({"$push": {"l": {"q": self.below(5)}}}),
            3 => json!({"$unset": {"k": ""}}),
            4 => json!([{"$set": {"sum": {"$add": ["$n", 1]}, "now": "$$NOW"}}]),
            5 => json!({"$mul": {"n": 1.5}}),
            6 => json!([{"$set": {"random": {"$rand": {}}}}]),
            _ => json!({"$rename": {"sum": "was"}}),
        }
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

/// Carries out one write and returns the status. It may be refused: what matters is that all nodes
/// do the same.
async fn step(random: &mut Random, cluster: &Cluster, through: usize) -> u16 {
    let http = cluster.nodes[through].http();
    let collection = random.pick(&COLLECTIONS);
    let documents = Documents::new(http.clone(), "shop", collection);
    let choice = random.below(40);
    let answer = match choice {
        0..=7 => documents.post("documents", random.document()).await,
        8..=15 => {
            let (filter, update) = (random.filter(), random.update());
            let multi = random.below(2) == 0;
            let upsert = random.below(3) == 0;
            let body =
                json!({"filter": filter, "update": update, "multi": multi, "upsert": upsert});
            documents.post("update", body).await
        }
        16..=19 => {
            let body = json!({"filter": random.filter(), "multi": random.below(6) == 0});
            documents.post("delete", body).await
        }
        20..=26 => documents.post("bulk", bulk(random)).await,
        27 => {
            let mut document = random.document();
            document.as_object_mut().expect("an object").remove("_id");
            let body = json!({"filter": random.filter(), "replacement": document, "upsert": true});
            documents.post("replace", body).await
        }
        28..=31 => documents.post("indexes", index(random)).await,
        32 => {
            let name = random.pick(&["k_1", "l.q_1", "n_-1", "at_1", "number_1"]);
            documents.call("DELETE", &format!("indexes/{name}"), json!(null)).await
        }
        33 => {
            let schema = json!({"properties": {"n": {"maximum": random.below(12)}}});
            let mode = random.pick(&["error", "warn"]);
            documents.call("PUT", "schema", json!({"schema": schema, "mode": mode})).await
        }
        34 => documents.call("DELETE", "schema", json!(null)).await,
        35 => {
            let rule = json!({"n": {"type": "max_value", "value": 5 + random.below(5)}});
            let reference = json!({"parent": {"type": "referenced", "collectionreferenced": random.pick(&COLLECTIONS), "externalfield": "n"}});
            let rules = json!({"_id": random.below(2), collection: [rule, reference]});
            http.post("/api/doc?db=shop&col=_rules", &rules).await
        }
        36 => {
            let target = format!("/api/doc?db=shop&col=_rules&id={}", random.below(2));
            http.curl("DELETE", &target, "").await
        }
        37 => {
            let stage = match random.below(2) {
                0 => json!({"$out": random.pick(&COLLECTIONS)}),
                _ => json!({"$merge": {"into": random.pick(&COLLECTIONS)}}),
            };
            let pipeline =
                json!([{"$match": random.filter()}, {"$set": {"from": collection}}, stage]);
            documents.post("aggregate", json!({"pipeline": pipeline})).await
        }
        38 if random.below(3) == 0 => {
            http.curl("DELETE", &format!("/api/cols?db=shop&col={collection}"), "").await
        }
        _ => {
            let body = json!({"k": random.value(), "n": null});
            documents.call("PATCH", &format!("documents/{}", random.below(IDS)), body).await
        }
    };
    assert!(answer.status < 500, "{choice} on {collection}: {} {}", answer.status, answer.text);
    answer.status
}

fn bulk(random: &mut Random) -> Value {
    let count = 1 + random.below(20);
    let operations = (0..count).map(|_| match random.below(4) {
        0 | 1 => insert(&random.document()),
        2 => json!({"updateMany": {"filter": random.filter(), "update": random.update()}}),
        _ => json!({"deleteOne": {"filter": random.filter()}}),
    });
    let operations: Vec<_> = operations.collect();
    json!({"operations": operations, "ordered": random.below(2) == 0})
}

fn index(random: &mut Random) -> Value {
    match random.below(7) {
        0 => json!({"keys": {"k": 1}}),
        1 => json!({"keys": {"l.q": 1}}),
        2 => json!({"keys": {"n": -1}, "partialFilterExpression": {"n": {"$gt": 3}}}),
        3 => json!({"keys": {"at": 1}, "expireAfterSeconds": 60}),
        4 => json!({"keys": {"number": 1}, "sequential": true}),
        5 => json!({"keys": {"k": 1, "n": -1}, "sparse": true, "wait": false}),
        _ => json!({"keys": {"random": 1}, "unique": true, "sparse": true}),
    }
}

/// Carries out a history on three nodes, with a follower that misses a part of it.
async fn history(name: &str, seed: u64, snapshot_every: u64, crash: bool) {
    // Nodes that play the next version raise the feature level while they run.
    let adjust = |settings: jettra_tests::Settings| {
        settings.key("SnapshotEvery", snapshot_every).env("JETTRA_NEXT_VERSION", "true")
    };
    let mut cluster = Cluster::start_with(name, 3, adjust).await;
    cluster.client().create_database("shop").await.expect("a database");
    let other = std::env::var("HISTORY_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = seed + other.unwrap_or(0);
    let mut random = Random(seed);
    let mut successes = 0;
    for round in 0..3 {
        let away = cluster.follower().await;
        if round > 0 {
            if crash {
                cluster.nodes[away].kill();
            } else {
                cluster.nodes[away].signal("STOP");
            }
        }
        for number in 0..STEPS {
            let through = (away + 1 + number % 2) % 3;
            successes += usize::from(step(&mut random, &cluster, through).await < 300);
        }
        if round > 0 {
            match crash {
                true => cluster.nodes[away].start(),
                false => cluster.nodes[away].signal("CONT"),
            }
            cluster.wait_active(3).await;
        }
        let hash = cluster.wait_equal("shop", &format!("seed {seed}, round {round}")).await;
        assert!(!hash["collections"].as_object().expect("hashes").is_empty(), "{hash}");
    }
    assert!(successes > STEPS, "too many steps were refused: {successes}");
    end_expiry(&cluster).await;
    cluster.wait_equal("shop", "after the end of expiry").await;
    for index in 0..3 {
        check_indexes(&cluster, index).await;
    }
    let before = cluster.wait_equal("shop", "before the restart").await;
    for index in 0..3 {
        cluster.crash_and_restart(index);
    }
    cluster.wait_active(3).await;
    let after = cluster.wait_equal("shop", "after a restart of all").await;
    assert_eq!(after["collections"], before["collections"], "a restart changed something");
}

/// Replaces the TTL indexes by others that expire nothing for years. Until then documents are deleted
/// between any two calls, and a comparison of their results would prove nothing.
async fn end_expiry(cluster: &Cluster) {
    for collection in COLLECTIONS {
        let documents = Documents::new(cluster.nodes[0].http(), "shop", collection);
        if documents.get("stats").await.status == 404 {
            continue;
        }
        documents.call("DELETE", "indexes/at_1", json!(null)).await;
        documents.index(json!({"at": 1}), json!({"expireAfterSeconds": 1_000_000_000})).await;
    }
}

/// Checks that each ready index finds the same documents as a scan of the collection.
async fn check_indexes(cluster: &Cluster, node: usize) {
    for collection in COLLECTIONS {
        let documents = Documents::new(cluster.nodes[node].http(), "shop", collection);
        let answer = documents.get("stats").await;
        if answer.status == 404 {
            continue;
        }
        let stats = answer.json();
        let natural = json!({"filter": {"n": {"$gte": 0}}, "hint": "$natural"});
        let counted = documents
            .ask("count", json!({"filter": {"_id": {"$exists": true}}, "hint": "$natural"}))
            .await;
        assert_eq!(counted["count"], stats["documents"], "{collection}: {stats}");
        for name in ["k", "l.q"] {
            let there = stats["indexes"].as_array().expect("a list").iter().any(|index| {
                index["keys"] == json!({name: 1})
                    && index["state"] == "ready"
                    && index["sparse"].is_null()
            });
            for value in
                [json!(3), json!("t3"), json!(null), json!({"$gt": 0}), json!({"$lt": "u"})]
            {
                let counts = |hint: Value| json!({"filter": {name: value}, "hint": hint});
                if there {
                    let indexed = documents.ask("count", counts(json!({name: 1}))).await;
                    let scanned = documents.ask("count", counts(json!("$natural"))).await;
                    assert_eq!(indexed, scanned, "{collection} {name} {value}");
                }
            }
        }
        documents.ask("count", natural).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_equal_after_one_has_caught_up_by_the_log() {
    history("replicas-log", 1, 20_000, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_equal_after_one_has_caught_up_by_a_snapshot() {
    history("replicas-snapshot", 2, 40, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_equal_after_one_was_stopped_and_resumed() {
    history("replicas-sleep", 3, 60, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_expire_while_a_node_is_down_are_deleted_there_too() {
    let mut cluster = Cluster::start("replicas-ttl", 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let away = cluster.follower().await;
    let documents = Documents::new(cluster.nodes[(away + 1) % 3].http(), "shop", "a");
    documents.index(json!({"at": 1}), json!({"expireAfterSeconds": 1})).await;
    cluster.nodes[away].kill();
    let soon = now_ms() + Duration::from_millis(500).as_millis();
    let date = json!({"$date": {"$numberLong": soon.to_string()}});
    documents.insert_all((0..200).map(|id| json!({"_id": id, "at": date}))).await;
    documents.insert_all([json!({"_id": "stays"})]).await;
    wait_until("the documents expire", async || {
        let count = documents.count(json!({})).await;
        if count == 1 { Ok(()) } else { Err(format!("{count} after {DEADLINE:?}")) }
    })
    .await;
    cluster.nodes[away].start();
    cluster.wait_active(3).await;
    cluster.wait_equal("shop", "after expiry").await;
    let there = documents.through(cluster.nodes[away].http());
    assert_eq!(there.ids(json!({})).await, json!(["stays"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_taken_during_an_index_build_contains_the_build() {
    let settings = |settings: jettra_tests::Settings| settings.key("SnapshotEvery", 10);
    let mut cluster = Cluster::start_with("replicas-build", 3, settings).await;
    cluster.client().create_database("shop").await.expect("a database");
    let away = cluster.follower().await;
    let documents = Documents::new(cluster.nodes[(away + 1) % 3].http(), "shop", "a");
    cluster.nodes[away].kill();
    let all = (0..10_000).map(|id| json!({"_id": id, "k": id * 7 % 100, "l": [id % 3, id % 5]}));
    documents.insert_all(all).await;
    for keys in [json!({"k": 1}), json!({"l": 1, "k": -1})] {
        documents.ask("indexes", json!({"keys": keys, "wait": false})).await;
    }
    cluster.nodes[away].start();
    for number in 0..30 {
        let change = json!({"filter": {"_id": number * 300}, "update": {"$set": {"k": -1}}});
        documents.ask("update", change).await;
    }
    cluster.wait_active(3).await;
    let there = documents.through(cluster.nodes[away].http());
    for name in ["k_1", "l_1_k_-1"] {
        wait_until(&format!("{name} is ready"), async || {
            let index = there.index_info(name).await;
            if index["state"] == "ready" { Ok(()) } else { Err(index.to_string()) }
        })
        .await;
    }
    cluster.wait_equal("shop", "after the build").await;
    let changed = json!({"filter": {"k": -1}, "hint": "k_1"});
    assert_eq!(there.ask("count", changed).await, json!({"count": 30}));
}
