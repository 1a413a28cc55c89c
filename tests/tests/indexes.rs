//! Indexes over HTTP: building in the background and through crashes, expiry, sequential numbers,
//! clearing of dropped data.

use jettra_tests::documents::stages;
use jettra_tests::{Cluster, Documents, wait_until};
use serde_json::{Value, json};

/// Number of documents that one command cannot index.
const MANY: usize = 5_000;

async fn three(name: &str) -> (Cluster, Documents) {
    let cluster = Cluster::start(name, 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let http = cluster.nodes[cluster.follower().await].http();
    (cluster, Documents::new(http, "shop", "c"))
}

fn numbered(number: usize) -> Value {
    json!({"_id": number, "k": number % 1_000, "u": number})
}

/// Waits until an index is ready in the node's own copy, and returns its description.
async fn wait_ready(documents: &Documents, name: &str) -> Value {
    wait_until(&format!("the index {name} is ready"), async || {
        let answer = documents.get("indexes?level=local").await.json();
        let indexes = answer["indexes"].as_array().cloned().unwrap_or_default();
        match indexes.into_iter().find(|index| index["name"] == name) {
            Some(index) if index["state"] == "ready" => Ok(index),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// Checks on every node that the index finds the same documents as a scan of the collection.
async fn check_complete(cluster: &Cluster, documents: &Documents, field: &str, filter: Value) {
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        wait_ready(&there, &format!("{field}_1")).await;
        let hinted = |hint: Value| json!({"filter": filter, "hint": hint});
        let indexed = there.ask("count", hinted(json!({field: 1}))).await;
        let scanned = there.ask("count", hinted(json!("$natural"))).await;
        assert_eq!(indexed, scanned, "{filter} on {}", node.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_while_writes_continue() {
    let (cluster, documents) = three("build").await;
    documents.insert_all((0..MANY).map(numbered)).await;
    let made = documents.ask("indexes", json!({"keys": {"k": 1}, "wait": false})).await;
    assert!(["building", "ready"].contains(&made["state"].as_str().expect("a state")), "{made}");
    for number in 0..50 {
        documents.insert_all([json!({"_id": MANY + number, "k": number, "u": -1})]).await;
        let change = json!({"filter": {"_id": number * 90}, "update": {"$set": {"k": 7}}});
        documents.ask("update", change).await;
        documents.ask("delete", json!({"filter": {"_id": number * 90 + 1}})).await;
    }
    for filter in [json!({"k": 7}), json!({"k": {"$lt": 50}}), json!({"k": {"$gte": 0}})] {
        check_complete(&cluster, &documents, "k", filter).await;
    }
    let plan = documents.explain(json!({"filter": {"k": 7}})).await;
    assert_eq!(stages(&plan), ["FETCH", "IXSCAN"], "{plan}");
    assert_eq!(documents.count(json!({})).await, MANY as u64);
    let index = documents.index_info("k_1").await;
    assert_eq!(index["entries"], MANY, "{index}");
    let made = documents.ask("indexes", json!({"keys": {"u": 1}, "wait": true})).await;
    assert_eq!((&made["state"], &made["entries"]), (&json!("ready"), &json!(MANY)), "{made}");
    let again = documents.post("indexes", json!({"keys": {"u": 1}})).await;
    assert_eq!(again.status, 200, "{}", again.text);
    let other = json!({"keys": {"u": 1}, "unique": true});
    documents.post("indexes", other).await.refused(409, "index_conflict");
}

/// Symptom: building an index on 2,001 documents with 3,000 numbers each blocked all writes and
/// linearizable reads on all nodes for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn other_calls_are_served_while_an_index_with_many_keys_is_built() {
    let (cluster, documents) = three("build-keys").await;
    let numbers = |n: u64| (0..1_500).map(|k| n * 1_500 + k).collect::<Vec<_>>();
    documents.insert_all((0..40).map(|n| json!({"_id": n, "n": numbers(n)}))).await;
    documents.ask("indexes", json!({"keys": {"n": 1}, "wait": false})).await;
    let mut served = 0;
    let liveness = std::time::Duration::from_secs(10);
    while documents.index_info("n_1").await["state"] != "ready" {
        let write = documents.insert_all([json!({"_id": format!("meanwhile-{served}")})]);
        tokio::time::timeout(liveness, write).await.expect("a write meanwhile");
        for node in &cluster.nodes {
            let http = node.http();
            let health = tokio::time::timeout(liveness, http.get("/health")).await;
            health.expect("an answer").ok();
        }
        served += 1;
    }
    assert!(served > 0, "the index was built at once");
    check_complete(&cluster, &documents, "n", json!({"n": {"$lt": 3_000}})).await;
    assert_eq!(documents.count(json!({})).await, 40 + served);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_continues_after_a_crash_and_under_another_leader() {
    let (mut cluster, documents) = three("build-crash").await;
    documents.insert_all((0..6 * MANY).map(numbered)).await;
    documents.ask("indexes", json!({"keys": {"k": 1}, "wait": false})).await;
    let leader = cluster.leader().await;
    cluster.crash_and_restart(leader);
    cluster.wait_active(3).await;
    let documents = documents.through(cluster.nodes[leader].http());
    check_complete(&cluster, &documents, "k", json!({"k": {"$lt": 10}})).await;
    documents.ask("indexes", json!({"keys": {"u": 1}, "wait": false})).await;
    let follower = cluster.follower().await;
    cluster.lead_with(follower).await;
    check_complete(&cluster, &documents, "u", json!({"u": {"$gte": 20_000}})).await;
    documents
        .ask("indexes", json!({"keys": {"k": 1, "u": -1}, "name": "both", "wait": false}))
        .await;
    let follower = cluster.follower().await;
    cluster.crash_and_restart(follower);
    cluster.wait_active(3).await;
    for node in &cluster.nodes {
        let index = wait_ready(&documents.through(node.http()), "both").await;
        assert_eq!(index["entries"], 6 * MANY, "on {}", node.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_over_equal_values_is_refused_and_leaves_nothing() {
    let (cluster, documents) = three("build-unique").await;
    documents.insert_all([json!({"_id": 1, "a": 5}), json!({"_id": 2, "a": 5})]).await;
    let unique = json!({"keys": {"a": 1}, "unique": true});
    let answer = documents.post("indexes", unique.clone()).await;
    answer.refused(409, "unique_violation");
    assert_eq!(answer.json()["error"]["details"]["index"], "a_1", "{}", answer.text);
    assert_eq!(documents.get("indexes").await.ok().json(), json!({"indexes": []}));
    // One that is built in the background fails too, however late it reaches the second value.
    let large = Documents::new(cluster.nodes[0].http(), "shop", "large");
    large.insert_all((0..MANY).map(numbered)).await;
    large.insert_all([json!({"_id": MANY, "u": 4_321})]).await;
    let answer = large.post("indexes", json!({"keys": {"u": 1}, "unique": true})).await;
    answer.refused(409, "unique_violation");
    assert_eq!(answer.json()["error"]["details"]["value"], json!({"u": 4_321}), "{}", answer.text);
    assert_eq!(large.get("indexes").await.ok().json(), json!({"indexes": []}));
    large.insert_all([json!({"_id": "more", "u": 4_321})]).await;
    // It is then listed as failed, with the reason, until it is dropped.
    large.ask("indexes", json!({"keys": {"u": 1}, "unique": true, "wait": false})).await;
    wait_until("the index has failed", async || {
        let index = large.index_info("u_1").await;
        if index["state"] == "failed" && index["error"].is_string() {
            Ok(())
        } else {
            Err(index.to_string())
        }
    })
    .await;
    large.ask("find", json!({"filter": {"u": 4_321}})).await;
    large.insert_all([json!({"_id": "yet more", "u": 4_321})]).await;
    large.call("DELETE", "indexes/u_1", json!(null)).await.ok();
    for node in &cluster.nodes {
        let there = large.through(node.http());
        assert_eq!(there.index_info("u_1").await, json!(null));
        assert_eq!(there.count(json!({"u": 4_321})).await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_never_holds_a_value_twice_although_writes_race_with_its_build() {
    let (cluster, documents) = three("build-race").await;
    documents.insert_all((0..4 * MANY).map(numbered)).await;
    for round in 0..3 {
        let unique = json!({"keys": {"u": 1}, "unique": true, "wait": false});
        documents.ask("indexes", unique).await;
        // Each is equal to one far before or far after the position of the build.
        let mut inserted = 0;
        for number in [4 * MANY - 1, 0, 2 * MANY] {
            let twin = json!({"_id": format!("{round}-{number}"), "u": number});
            let answer = documents.call("POST", "documents", twin).await;
            if answer.status == 201 {
                inserted += 1;
            } else {
                answer.refused(409, "unique_violation");
            }
        }
        let state = wait_until("the build ends", async || {
            let index = documents.index_info("u_1").await;
            let state = index["state"].as_str().unwrap_or("none").to_owned();
            if state == "building" { Err(index.to_string()) } else { Ok(state) }
        })
        .await;
        let twins = json!({"_id": {"$type": "string"}});
        for node in &cluster.nodes {
            let there = documents.through(node.http());
            assert_eq!(there.count(twins.clone()).await, inserted, "on {}", node.name);
        }
        assert_eq!(state == "ready", inserted == 0, "round {round}: {inserted} twins, {state}");
        documents.call("DELETE", "indexes/u_1", json!(null)).await.ok();
        documents.ask("delete", json!({"filter": twins, "multi": true})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_dropped_by_name_or_by_fields() {
    let (cluster, documents) = three("drop-index").await;
    documents.insert_all((0..10).map(numbered)).await;
    documents.index(json!({"k": 1, "u": -1}), json!({"name": "both"})).await;
    documents.index(json!({"u": 1}), json!({})).await;
    let drop =
        async |name: &str| documents.call("DELETE", &format!("indexes/{name}"), json!(null)).await;
    drop("nothing").await.refused(404, "index_not_found");
    assert_eq!(drop("both").await.status, 204);
    assert_eq!(drop("u").await.status, 204);
    drop("both").await.refused(404, "index_not_found");
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        assert_eq!(there.get("indexes").await.ok().json(), json!({"indexes": []}));
        assert_eq!(stages(&there.explain(json!({"filter": {"u": 3}})).await), ["COLLSCAN"]);
        assert_eq!(there.ids(json!({"filter": {"u": 3}})).await, json!([3]));
    }
    documents.index(json!({"k": 1, "u": -1}), json!({"name": "both"})).await;
    assert_eq!(documents.index_info("both").await["entries"], 10);
}

/// The date `hours` from now.
fn hours_from_now(hours: i64) -> Value {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let time = now.as_millis() as i64 + hours * 3_600_000;
    json!({"$date": {"$numberLong": time.to_string()}})
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_documents_are_deleted_on_all_nodes_and_others_stay() {
    let (cluster, documents) = three("ttl").await;
    let with = |id: String, at: Value| json!({"_id": id, "at": at});
    documents
        .insert_all((0..1_500).map(|number| with(format!("old{number}"), hours_from_now(-2))))
        .await;
    documents
        .insert_all((0..20).map(|number| with(format!("new{number}"), hours_from_now(2))))
        .await;
    documents
        .insert_all([
            with("just inside".into(), hours_from_now(0)),
            with("no date".into(), json!("2001-01-01")),
            with("number".into(), json!(0)),
            with("null".into(), json!(null)),
            json!({"_id": "nothing"}),
            with("one of a list is old".into(), json!([hours_from_now(5), hours_from_now(-5)])),
            with("empty list".into(), json!([])),
        ])
        .await;
    documents.index(json!({"at": 1}), json!({"expireAfterSeconds": 3_600})).await;
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        wait_until(&format!("the old documents are gone from {}", node.name), async || {
            let answer = there.get("count?level=local").await.json();
            if answer["count"] == 26 { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
        let gone = json!({"filter": {"_id": {"$in": ["old0", "old1499", "one of a list is old"]}}});
        assert_eq!(there.ids(gone).await, json!([]));
    }
    documents
        .ask(
            "update",
            json!({"filter": {"_id": "number"}, "update": {"$set": {"at": hours_from_now(-3)}}}),
        )
        .await;
    documents.insert_all([with("late".into(), hours_from_now(-9))]).await;
    wait_until("what is old from the beginning is deleted too", async || {
        let count = documents.count(json!({})).await;
        if count == 25 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    assert_eq!(documents.count(json!({"_id": {"$regex": "^new"}})).await, 20);
    let wrong = json!({"keys": {"a": 1, "b": 1}, "expireAfterSeconds": 1});
    documents.post("indexes", wrong).await.refused(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequential_index_numbers_documents_without_gaps_in_order() {
    let (mut cluster, documents) = three("sequential").await;
    documents.insert_all([json!({"_id": "old", "number": 41})]).await;
    documents.index(json!({"number": 1}), json!({"sequential": true})).await;
    documents.insert_all((0..20).map(|at| json!({"_id": format!("d{at:02}")}))).await;
    documents.insert_all([json!({"_id": "given", "number": 100}), json!({"_id": "next"})]).await;
    documents
        .ask(
            "update",
            json!({"filter": {"_id": "up"}, "update": {"$set": {"a": 1}}, "upsert": true}),
        )
        .await;
    let leader = cluster.leader().await;
    cluster.crash_and_restart(leader);
    cluster.wait_active(3).await;
    let documents = documents.through(cluster.nodes[leader].http());
    documents.call("POST", "documents", json!({"_id": "last"})).await.ok();
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        for (id, number) in [
            ("old", 41),
            ("d00", 42),
            ("d19", 61),
            ("given", 100),
            ("next", 101),
            ("up", 102),
            ("last", 103),
        ] {
            assert_eq!(there.one(json!(id)).await["number"], number, "{id} on {}", node.name);
        }
    }
    // A refused document takes no number.
    documents.index(json!({"u": 1}), json!({"unique": true, "sparse": true})).await;
    documents.insert_all([json!({"_id": "u1", "u": 1})]).await;
    documents
        .call("POST", "documents", json!({"_id": "u2", "u": 1}))
        .await
        .refused(409, "unique_violation");
    documents.insert_all([json!({"_id": "u3"})]).await;
    assert_eq!(documents.one(json!("u1")).await["number"], 104);
    assert_eq!(documents.one(json!("u3")).await["number"], 105, "a refused document took a number");
}

#[tokio::test(flavor = "multi_thread")]
async fn sparse_partial_and_multikey_indexes_hold_the_right_documents() {
    let (cluster, documents) = three("kinds").await;
    documents
        .insert_all((0..100).map(|number| match number % 4 {
            0 => json!({"_id": number, "a": number}),
            1 => json!({"_id": number, "a": null, "l": [number, number + 1, number]}),
            2 => json!({"_id": number, "l": []}),
            _ => json!({"_id": number, "l": [{"x": number}, {"x": [1, 2]}]}),
        }))
        .await;
    documents.index(json!({"a": 1}), json!({"sparse": true, "name": "sparse"})).await;
    documents
        .index(
            json!({"a": -1}),
            json!({"partialFilterExpression": {"a": {"$gt": 50}}, "name": "partial"}),
        )
        .await;
    documents.index(json!({"l": 1}), json!({"name": "list"})).await;
    documents.index(json!({"l.x": 1}), json!({"name": "inside"})).await;
    for (name, entries, multikey) in
        [("sparse", 50, false), ("partial", 12, false), ("list", 150, true)]
    {
        let info = documents.index_info(name).await;
        assert_eq!(
            (&info["entries"], &info["multikey"]),
            (&json!(entries), &json!(multikey)),
            "{info}"
        );
    }
    for filter in [
        json!({"a": null}),
        json!({"a": {"$exists": false}}),
        json!({"a": {"$gt": 80}}),
        json!({"a": {"$gt": 40}}),
        json!({"a": {"$ne": 4}}),
        json!({"l": 5}),
        json!({"l": []}),
        json!({"l": null}),
        json!({"l": {"$gt": 10, "$lt": 12}}),
        json!({"l": {"$elemMatch": {"$gt": 10, "$lt": 12}}}),
        json!({"l.x": 7}),
        json!({"l.x": 1}),
        json!({"l.x": [1, 2]}),
        json!({"l": {"$size": 2}}),
        json!({"l": {"$all": [9, 10]}}),
    ] {
        let natural = documents.ids(json!({"filter": filter, "hint": "$natural"})).await;
        for node in &cluster.nodes {
            let found = documents.through(node.http()).ids(json!({"filter": filter})).await;
            assert_eq!(found, natural, "{filter}");
        }
    }
    // A query with a hint returns only the documents in the index.
    for (filter, name, held) in [
        (json!({}), "sparse", json!({"a": {"$exists": true}})),
        (json!({"a": null}), "sparse", json!({"$and": [{"a": null}, {"a": {"$exists": true}}]})),
        (json!({"a": {"$lt": 60}}), "sparse", json!({"a": {"$lt": 60}})),
        (json!({}), "partial", json!({"a": {"$gt": 50}})),
        (json!({"a": {"$lt": 60}}), "partial", json!({"a": {"$gt": 50, "$lt": 60}})),
    ] {
        let hinted = documents.ids(json!({"filter": filter, "hint": name})).await;
        let natural = documents.ids(json!({"filter": held, "hint": "$natural"})).await;
        assert_eq!(hinted, natural, "{filter} by {name}");
    }
    let sorted = documents.ids(json!({"sort": {"a": 1}})).await;
    assert_eq!(
        sorted.as_array().map(Vec::len),
        Some(100),
        "a sparse index must not sort everything"
    );
    documents.ask("update", json!({"filter": {"_id": 80}, "update": {"$set": {"a": 1}}})).await;
    assert_eq!(documents.index_info("partial").await["entries"], 11);
    documents.ask("update", json!({"filter": {"_id": 0}, "update": {"$set": {"a": 99}}})).await;
    assert_eq!(documents.ids(json!({"filter": {"a": 99}, "hint": "partial"})).await, json!([0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_dropped_collection_is_free_at_once_and_its_data_is_cleared() {
    let (cluster, documents) = three("clear").await;
    documents.insert_all((0..4 * MANY).map(numbered)).await;
    documents.index(json!({"k": 1}), json!({})).await;
    let http = cluster.nodes[0].http();
    let target = "/api/cols?db=shop&col=c";
    http.curl("DELETE", target, "").await.ok();
    documents.insert_all([json!({"_id": "new", "k": 1})]).await;
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        assert_eq!(there.find(json!({})).await, [json!({"_id": "new", "k": 1})]);
        let stats = there.get("stats").await.ok().json();
        assert_eq!((&stats["documents"], &stats["indexes"]), (&json!(1), &json!([])), "{stats}");
    }
    documents.index(json!({"k": 1}), json!({})).await;
    assert_eq!(documents.index_info("k_1").await["entries"], 1);
    // The same for a database.
    documents.insert_all((0..2 * MANY).map(numbered)).await;
    http.curl("DELETE", "/api/dbs?name=shop", "").await.ok();
    cluster.client().create_database("shop").await.expect("made again");
    documents.insert_all([json!({"_id": "newer"})]).await;
    assert_eq!(documents.find(json!({})).await, [json!({"_id": "newer"})]);
    assert_eq!(documents.get("indexes").await.ok().json(), json!({"indexes": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_collection_keeps_its_indexes_and_its_schema() {
    let (cluster, documents) = three("rename").await;
    documents.insert_all((0..3_000).map(numbered)).await;
    documents.index(json!({"k": 1}), json!({})).await;
    documents.index(json!({"u": 1}), json!({"unique": true})).await;
    let schema = json!({"definition": {"u": "int"}});
    documents.call("PUT", "schema", schema).await.ok();
    let http = cluster.nodes[1].http();
    http.post("/api/cols/rename", &json!({"database": "shop", "oldName": "c", "newName": "d"}))
        .await
        .ok();
    http.post("/api/dbs/rename", &json!({"oldName": "shop", "newName": "store"})).await.ok();
    for node in &cluster.nodes {
        let there = Documents::new(node.http(), "store", "d");
        assert_eq!(stages(&there.explain(json!({"filter": {"k": 7}})).await), ["FETCH", "IXSCAN"]);
        assert_eq!(there.count(json!({"k": 7})).await, 3);
        there.call("POST", "documents", json!({"u": 7})).await.refused(409, "unique_violation");
        there.call("POST", "documents", json!({"u": "x"})).await.refused(422, "validation_failed");
    }
    documents.post("find", json!({})).await.refused(404, "database_not_found");
}
