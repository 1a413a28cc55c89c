//! Queries and updates over HTTP, on three nodes through a follower.

use jettra_driver::wire::StatementReply;
use jettra_tests::documents::{insert, stages};
use jettra_tests::{Answer, Bed, Cluster, Documents, Node, Role, Settings, send};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// A cluster of three nodes, and the collection `shop.c` through a follower.
async fn three(name: &str) -> (Cluster, Documents) {
    let cluster = Cluster::start(name, 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let http = cluster.nodes[cluster.follower().await].http();
    (cluster, Documents::new(http, "shop", "c"))
}

/// A node that runs alone, and its collection `shop.c`.
async fn alone(name: &str) -> (Bed, Node, Documents) {
    let bed = Bed::new(name).await;
    let mut node = bed.node("alone", Settings::new(Role::Alone));
    node.start();
    jettra_tests::wait_until("the node is well", async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == "ok" { Ok(()) } else { Err(health.text) }
    })
    .await;
    node.http().post("/api/dbs", &json!({"name": "shop"})).await.ok();
    let documents = Documents::new(node.http(), "shop", "c");
    (bed, node, documents)
}

fn people() -> Vec<Value> {
    vec![
        json!({"_id": 1, "name": "Ada", "age": 36, "city": "London", "tags": ["math", "code"]}),
        json!({"_id": 2, "name": "Bob", "age": 25, "city": "Paris", "tags": ["code"]}),
        json!({"_id": 3, "name": "Cyd", "age": 25.5, "city": "Lima", "home": {"zip": "01", "n": [1, 2]}}),
        json!({"_id": 4, "name": "Dan", "age": null, "tags": []}),
        json!({"_id": 5, "name": "eve", "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 9}]}),
        json!({"_id": "6", "name": "Fay", "age": 36, "born": {"$date": "1990-05-17T00:00:00Z"}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn find_filters_sorts_projects_skips_and_limits() {
    let (cluster, documents) = three("find").await;
    documents.insert_all(people()).await;
    for (filter, expected) in [
        (json!({}), json!([1, 2, 3, 4, 5, "6"])),
        (json!({"age": 36}), json!([1, "6"])),
        (json!({"age": {"$gte": 25, "$lt": 26}}), json!([2, 3])),
        (json!({"age": null}), json!([4, 5])),
        (json!({"age": {"$exists": false}}), json!([5])),
        (json!({"age": {"$type": "number", "$ne": 36}}), json!([2, 3])),
        (json!({"_id": {"$in": [5, 2, 2, "6", "7"]}}), json!([2, 5, "6"])),
        (json!({"_id": {"$nin": [1, 2, 3]}}), json!([4, 5, "6"])),
        (json!({"tags": "code"}), json!([1, 2])),
        (json!({"tags": {"$all": ["code", "math"]}}), json!([1])),
        (json!({"tags": {"$size": 0}}), json!([4])),
        (json!({"home.n": 2}), json!([3])),
        (json!({"home.zip": {"$regex": "^0"}}), json!([3])),
        (json!({"name": {"$regex": "^E", "$options": "i"}}), json!([5])),
        (json!({"items": {"$elemMatch": {"sku": "a", "qty": {"$gt": 5}}}}), json!([])),
        (json!({"items.sku": "a", "items.qty": {"$gt": 5}}), json!([5])),
        (json!({"$or": [{"city": "Lima"}, {"city": "Paris"}]}), json!([2, 3])),
        (json!({"$nor": [{"age": 36}, {"tags": {"$exists": true}}]}), json!([3, 5])),
        (json!({"age": {"$not": {"$gt": 30}}}), json!([2, 3, 4, 5])),
        (json!({"age": {"$mod": [5, 0]}}), json!([2, 3])),
        (json!({"$expr": {"$gt": [{"$size": {"$ifNull": ["$tags", []]}}, 1]}}), json!([1])),
        (json!({"born": {"$lt": {"$date": "1991-01-01T00:00:00Z"}}}), json!(["6"])),
    ] {
        for node in &cluster.nodes {
            let found = documents.through(node.http()).ids(json!({"filter": filter})).await;
            assert_eq!(found, expected, "{filter} on {}", node.name);
        }
    }
    for (query, expected) in [
        (json!({"sort": {"age": 1}}), json!([4, 5, 2, 3, 1, "6"])),
        (json!({"sort": {"age": -1}}), json!([1, "6", 3, 2, 4, 5])),
        (json!({"sort": {"age": -1, "_id": -1}}), json!(["6", 1, 3, 2, 5, 4])),
        (json!({"sort": "-age,name"}), json!([1, "6", 3, 2, 4, 5])),
        (json!({"sort": {"_id": -1}}), json!(["6", 5, 4, 3, 2, 1])),
        (json!({"sort": {"_id": -1}, "skip": 1, "limit": 2}), json!([5, 4])),
        (json!({"skip": 4}), json!([5, "6"])),
        (json!({"skip": 10}), json!([])),
        (json!({"limit": 0}), json!([])),
    ] {
        assert_eq!(documents.ids(query.clone()).await, expected, "{query}");
    }
    for (projection, expected) in [
        (json!({"name": 1}), json!({"_id": 3, "name": "Cyd"})),
        (json!({"name": 1, "_id": 0}), json!({"name": "Cyd"})),
        (json!("name,-_id"), json!({"name": "Cyd"})),
        (json!({"home.zip": 1}), json!({"_id": 3, "home": {"zip": "01"}})),
        (json!({"home": 0, "age": 0, "city": 0}), json!({"_id": 3, "name": "Cyd"})),
        (
            json!({"home.n": {"$slice": -1}, "home.zip": 1}),
            json!({"_id": 3, "home": {"zip": "01", "n": [2]}}),
        ),
        (json!({"_id": 0, "older": {"$add": ["$age", 1]}}), json!({"older": 26.5})),
    ] {
        let query = json!({"filter": {"_id": 3}, "projection": projection});
        assert_eq!(documents.find(query).await, [expected], "{projection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_string_and_body_express_the_same_query() {
    let (_cluster, documents) = three("address").await;
    documents.insert_all(people()).await;
    let filter = "filter=%7B%22age%22%3A%7B%22%24gt%22%3A25%7D%7D";
    for tail in [
        format!("documents?{filter}&sort=-age&fields=name,-_id&limit=2"),
        format!(
            "documents?{filter}&sort=%7B%22age%22:-1%7D&projection=%7B%22name%22:1,%22_id%22:0%7D&limit=2"
        ),
    ] {
        let page = documents.get(&tail).await.ok().json();
        assert_eq!(page["documents"], json!([{"name": "Ada"}, {"name": "Fay"}]), "{tail}");
        let rest = format!("{tail}&cursor={}", page["cursor"].as_str().expect("a cursor"));
        let page = documents.get(&rest).await.ok().json();
        assert_eq!(page, json!({"documents": [{"name": "Cyd"}]}), "{rest}");
    }
    let count = documents.get(&format!("count?{filter}")).await.ok().json();
    assert_eq!(count, json!({"count": 3}));
    let plan = documents.get("documents?explain=queryPlanner").await.ok().json();
    assert_eq!(stages(&plan["explain"]), ["COLLSCAN"]);
}

/// Symptom: a statement without `LIMIT` silently returned 100 documents only, and `LIMIT 10000` was
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_returns_everything_or_reports_that_there_is_more() {
    const ALL: u64 = 1205;
    let (cluster, documents) = three("statements").await;
    documents.insert_all((0..ALL).map(|id| json!({"_id": id, "g": id % 3}))).await;
    let http = cluster.nodes[cluster.follower().await].http();
    let run = async |statement: &str| {
        http.post("/api/command?db=shop", &json!({"command": statement})).await.ok()
    };
    let length = |answer: &Answer| answer.json().as_array().expect("a list").len() as u64;
    for statement in ["SELECT * FROM c", "FIND IN c", "db.c.find()"] {
        let first = run(statement).await;
        assert_eq!((length(&first), first.header("x-jettra-more")), (100, "true"), "{statement}");
        let cursor = first.header("x-jettra-cursor");
        let next = json!({"command": statement, "cursor": cursor});
        let next = http.post("/api/command?db=shop", &next).await.ok().json();
        assert_eq!(next["documents"][0]["_id"], 100, "{statement}");
    }
    for (statement, expected) in [
        ("SELECT * FROM c LIMIT 10000", ALL),
        ("SELECT * FROM c LIMIT 1200", 1200),
        ("FIND IN c LIMIT 100", 100),
        ("SELECT _id FROM c WHERE g = 1 LIMIT 401", 401),
    ] {
        let answer = run(statement).await;
        assert_eq!(
            (length(&answer), answer.header("x-jettra-more")),
            (expected, ""),
            "{statement}"
        );
    }
    let client = cluster.client();
    for (statement, size, expected) in [
        ("SELECT * FROM c", 500, ALL),
        ("db.c.find().sort({g: -1})", 333, ALL),
        ("SELECT _id + 1 AS next FROM c", 1000, ALL),
        ("SELECT _id + 1 AS next FROM c LIMIT 1100", 1000, 1100),
        ("SELECT a._id, b._id AS same FROM c AS a JOIN c AS b ON a._id = b._id", 700, ALL),
        ("SELECT * FROM c LIMIT 7", 5, 7),
    ] {
        let mut pages = client.statement_pages("shop", statement).page(size);
        let mut given = 0;
        while let Some(reply) = pages.next().await.expect("a page") {
            let StatementReply::Documents { documents, .. } = reply else {
                panic!("{statement} gave no list");
            };
            assert!(documents.len() as u64 <= size, "{statement}");
            given += documents.len() as u64;
        }
        assert_eq!((given, pages.is_done()), (expected, true), "{statement}");
    }
}

/// Documents of the cursor test; `k` never changes, and ten of them have the same.
const STAYING: usize = 500;

fn staying(number: usize) -> Value {
    json!({"_id": format!("{number:03}"), "k": number * 7 % 50, "v": 0})
}

/// Inserts, updates and deletes other documents until `stop`; each turn sends a message when it is
/// done and waits until that is received.
async fn noise(documents: Documents, first: usize, stop: Arc<AtomicBool>, turns: mpsc::Sender<()>) {
    for turn in first.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let at = |step: usize| (turn * 131 + step * 37) % STAYING;
        let new = |step: usize| format!("{:03}-{turn}-{step}", at(step));
        let operations = json!([
            insert(&json!({"_id": new(1), "k": turn % 50, "v": 0})),
            insert(&json!({"_id": new(2), "k": (turn + 25) % 50, "v": 0})),
            {"updateMany": {"filter": {"k": turn % 50}, "update": {"$inc": {"v": 1}}}},
            {"updateOne": {"filter": {"_id": format!("{:03}", at(3))}, "update": {"$set": {"pad": "x".repeat(turn % 90)}}}},
            {"updateOne": {"filter": {"_id": new(2)}, "update": {"$set": {"k": (turn + 3) % 50}}}},
            {"deleteOne": {"filter": {"_id": {"$regex": "-"}, "v": {"$gt": 0}}}},
        ]);
        documents.ask("bulk", json!({"operations": operations})).await;
        if turns.send(()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_contain_each_unchanged_document_exactly_once_while_others_change() {
    let (_cluster, documents) = three("cursor").await;
    documents.insert_all((0..STAYING).map(staying)).await;
    let mut faults = Vec::new();
    let mut first = 0;
    for indexed in [false, true] {
        if indexed {
            documents.index(json!({"k": 1}), json!({})).await;
        }
        let queries = match indexed {
            false => [
                json!({}),
                json!({"sort": {"_id": -1}}),
                json!({"sort": {"k": 1}}),
                json!({"sort": {"k": -1}}),
            ],
            true => [
                json!({"sort": {"k": 1}}),
                json!({"sort": {"k": -1}}),
                json!({"sort": {"k": -1, "_id": 1}, "filter": {"k": {"$lt": 40}}}),
                json!({"sort": {"k": 1}, "projection": {"_id": 1}}),
            ],
        };
        for query in queries {
            let stop = Arc::new(AtomicBool::new(false));
            first += 10_000;
            let (sender, mut turns) = mpsc::channel(1);
            let noise = tokio::spawn(noise(documents.clone(), first, stop.clone(), sender));
            let page = async || turns.recv().await.expect("the noise goes on");
            let found = documents.pages(&query, 7, page).await;
            stop.store(true, Ordering::Release);
            drop(turns);
            noise.await.expect("the noise ends well");
            faults.extend(
                fault(&found, &query).map(|fault| format!("{query}, index {indexed}: {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn fault(found: &[Value], query: &Value) -> Option<String> {
    let mut times = BTreeMap::<&str, usize>::new();
    for document in found {
        *times.entry(document["_id"].as_str().expect("a text")).or_default() += 1;
    }
    let below = query["filter"]["k"]["$lt"].as_u64().unwrap_or(u64::MAX);
    let due = (0..STAYING).map(staying).filter(|one| one["k"].as_u64() < Some(below));
    let wrong: Vec<_> = due
        .map(|one| one["_id"].as_str().expect("a text").to_owned())
        .map(|id| (times.get(&*id).copied().unwrap_or(0), id))
        .filter(|(times, _)| *times != 1)
        .collect();
    let first = wrong.first()?;
    Some(format!("{} documents are not there once, such as {first:?}", wrong.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_describes_what_is_read() {
    let (_bed, _node, documents) = alone("explain").await;
    let all =
        (0..2_000).map(|number| json!({"_id": number, "k": number * 7 % 2_000, "g": number % 4}));
    documents.insert_all(all).await;
    let sorted = json!({"sort": {"k": 1}, "limit": 20});
    let plan = documents.explain(sorted.clone()).await;
    assert_eq!(stages(&plan), ["SORT", "COLLSCAN"], "{plan}");
    assert_eq!(plan["executionStats"]["totalDocsExamined"], 2_000, "{plan}");
    documents.index(json!({"k": 1}), json!({})).await;
    documents.index(json!({"g": 1, "k": -1}), json!({"name": "grouped"})).await;
    let plan = documents.explain(sorted.clone()).await;
    assert_eq!(stages(&plan), ["FETCH", "IXSCAN"], "{plan}");
    let counts = &plan["executionStats"];
    assert_eq!(
        (&counts["totalDocsExamined"], &counts["nReturned"]),
        (&json!(20), &json!(20)),
        "{plan}"
    );
    let backwards = documents.explain(json!({"sort": {"k": -1}, "limit": 20})).await;
    let stage = &backwards["queryPlanner"]["winningPlan"]["inputStage"];
    assert_eq!((&stage["stage"], &stage["direction"]), (&json!("IXSCAN"), &json!("backward")));
    let range = documents.explain(json!({"filter": {"k": {"$gte": 10, "$lt": 15}}})).await;
    assert_eq!(range["executionStats"]["totalKeysExamined"], 5, "{range}");
    assert_eq!(range["executionStats"]["nReturned"], 5, "{range}");
    let projection = json!({"k": 1, "_id": 0});
    let covered = json!({"filter": {"k": {"$lt": 50}}, "sort": {"k": 1}, "projection": projection});
    let plan = documents.explain(covered.clone()).await;
    assert_eq!(plan["executionStats"]["totalDocsExamined"], 0, "{plan}");
    assert_eq!(plan["executionStats"]["nReturned"], 50, "{plan}");
    assert_eq!(plan["queryPlanner"]["winningPlan"]["covered"], true, "{plan}");
    assert_eq!(documents.find(covered).await.len(), 50);
    let by_id = documents.explain(json!({"filter": {"_id": 7}})).await;
    assert_eq!(by_id["executionStats"]["totalDocsExamined"], 1, "{by_id}");
    assert_eq!(by_id["queryPlanner"]["winningPlan"]["inputStage"]["indexName"], "_id_");
    let group = json!({"filter": {"g": 2}, "sort": {"k": -1}, "limit": 3});
    let plan = documents.explain(group.clone()).await;
    assert_eq!(plan["queryPlanner"]["winningPlan"]["inputStage"]["indexName"], "grouped", "{plan}");
    assert_eq!(plan["executionStats"]["totalDocsExamined"], 3, "{plan}");
    let or =
        documents.explain(json!({"filter": {"$or": [{"k": 1}, {"k": 5}, {"g": 3, "k": 9}]}})).await;
    assert!(!stages(&or).contains(&"COLLSCAN".to_owned()), "{or}");
    let mut sampled = Vec::new();
    for _ in 0..5 {
        let one = documents.ask("aggregate", json!({"pipeline": [{"$sample": {"size": 9}}]})).await;
        sampled.push(one.to_string());
    }
    sampled.dedup();
    assert!(sampled.len() > 1, "a sample is always the same: {sampled:?}");
    let beginning = documents.explain(json!({"filter": {"_id": {"$regex": "^a"}}})).await;
    assert_eq!(beginning["executionStats"]["totalDocsExamined"], 0, "{beginning}");
    // Counts and writes are explained without being carried out.
    let explained = async |call: &str, mut body: Value| {
        body["explain"] = json!("executionStats");
        documents.ask(call, body).await["explain"].take()
    };
    let set = json!({"$set": {"seen": true}});
    for (call, body, expected, found, read) in [
        ("count", json!({}), "RECORD_STORE_FAST_COUNT", 2_000, 0),
        ("count", json!({"filter": {"k": {"$lt": 50}}}), "COUNT IXSCAN", 50, 0),
        ("distinct", json!({"field": "g", "filter": {"k": 3}}), "FETCH IXSCAN", 1, 1),
        ("update", json!({"filter": {"k": 3}, "update": set}), "UPDATE FETCH IXSCAN", 1, 1),
        ("update", json!({"filter": {"_id": 3}, "update": set}), "UPDATE FETCH IXSCAN", 1, 1),
        (
            "update",
            json!({"filter": {"g": 1}, "update": set, "multi": true, "hint": "$natural"}),
            "UPDATE COLLSCAN",
            500,
            2_000,
        ),
        (
            "delete",
            json!({"filter": {"k": {"$lt": 9}}, "multi": true}),
            "DELETE FETCH IXSCAN",
            9,
            9,
        ),
    ] {
        let plan = explained(call, body).await;
        assert_eq!(stages(&plan).join(" "), expected, "{call} {plan}");
        let counts = &plan["executionStats"];
        assert_eq!(
            (&counts["nReturned"], &counts["totalDocsExamined"]),
            (&json!(found), &json!(read)),
            "{call} {plan}"
        );
    }
    let wrong = json!({"filter": {}, "update": {"$sett": {"a": 1}}, "explain": "queryPlanner"});
    documents.post("update", wrong).await.refused(400, "invalid_query");
    let inside = json!([{"deleteMany": {"filter": {}, "explain": "queryPlanner"}}]);
    documents.post("bulk", json!({"operations": inside})).await.refused(400, "invalid_query");
    assert_eq!(documents.count(json!({"seen": null})).await, 2_000);
    let only_planned = documents.ask("find", json!({"explain": "queryPlanner"})).await;
    assert!(only_planned["explain"]["executionStats"].is_null(), "{only_planned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_is_followed_and_a_wrong_one_refused() {
    let (_bed, _node, documents) = alone("hint").await;
    documents
        .insert_all((0..100).map(|number| json!({"_id": number, "a": number, "b": -number})))
        .await;
    documents.index(json!({"a": 1}), json!({})).await;
    documents.index(json!({"b": 1}), json!({"sparse": true})).await;
    let filter = json!({"a": {"$gte": 90}, "b": {"$lte": 0}});
    for (hint, expected) in [
        (json!("$natural"), "COLLSCAN"),
        (json!({"$natural": 1}), "COLLSCAN"),
        (json!("a_1"), "a_1"),
        (json!({"b": 1}), "b_1"),
    ] {
        let query = json!({"filter": filter, "hint": hint});
        let plan = documents.explain(query.clone()).await.to_string();
        assert!(plan.split("rejectedPlans").next().expect("a part").contains(expected), "{plan}");
        assert_eq!(documents.find(query).await.len(), 10, "{hint}");
        let count = documents.ask("count", json!({"filter": filter, "hint": hint})).await;
        assert_eq!(count, json!({"count": 10}), "{hint}");
    }
    for hint in [json!("c_1"), json!({"a": -1, "b": 1}), json!(7)] {
        let query = json!({"filter": filter, "hint": hint});
        documents.post("find", query.clone()).await.refused(400, "invalid_query");
        documents.post("count", query.clone()).await.refused(400, "invalid_query");
        let update =
            json!({"filter": {}, "update": {"$set": {"x": 1}}, "hint": hint, "multi": true});
        documents.post("update", update).await.refused(400, "invalid_query");
        documents.post("delete", query).await.refused(400, "invalid_query");
    }
    assert_eq!(documents.count(json!({"x": 1})).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn count_and_distinct() {
    let (_cluster, documents) = three("count").await;
    documents.insert_all(people()).await;
    for indexed in [false, true] {
        for (filter, expected) in [
            (json!({}), 6),
            (json!({"age": 36}), 2),
            (json!({"age": null}), 2),
            (json!({"tags": {"$in": ["math", "code"]}}), 2),
            (json!({"age": {"$gt": 100}}), 0),
        ] {
            assert_eq!(documents.count(filter.clone()).await, expected, "{filter}");
        }
        for (request, expected) in [
            (json!({"field": "age"}), json!([null, 25, 25.5, 36])),
            (json!({"field": "tags"}), json!(["code", "math"])),
            (json!({"field": "items.sku"}), json!(["a", "b"])),
            (json!({"field": "city", "filter": {"age": {"$lt": 30}}}), json!(["Lima", "Paris"])),
            (json!({"field": "nowhere"}), json!([])),
        ] {
            let found = documents.ask("distinct", request.clone()).await;
            assert_eq!(found, json!({"values": expected}), "{request}");
        }
        if !indexed {
            documents.index(json!({"age": 1}), json!({})).await;
            documents.index(json!({"tags": 1}), json!({})).await;
        }
    }
}

/// A document, an update with its options, and the resulting document.
fn updates() -> Vec<(Value, Value, Value)> {
    let each = json!({"$each": [5, 1], "$sort": 1, "$slice": 3});
    vec![
        (json!({"a": 1}), json!({"$set": {"b.c": [1]}}), json!({"a": 1, "b": {"c": [1]}})),
        (json!({"a": 1, "b": 2}), json!({"$unset": {"a": ""}}), json!({"b": 2})),
        (json!({"a": 1}), json!({"$inc": {"a": 2, "n": 1.5}}), json!({"a": 3, "n": 1.5})),
        (json!({"a": 3}), json!({"$mul": {"a": 2, "n": 7}}), json!({"a": 6, "n": 0})),
        (
            json!({"a": 3, "b": 3}),
            json!({"$min": {"a": 2}, "$max": {"b": 9}}),
            json!({"a": 2, "b": 9}),
        ),
        (json!({"a": 1}), json!({"$rename": {"a": "b"}}), json!({"b": 1})),
        (json!({"a": 1}), json!({"$setOnInsert": {"b": 1}}), json!({"a": 1})),
        (json!({"l": [3, 4]}), json!({"$push": {"l": 1}}), json!({"l": [3, 4, 1]})),
        (json!({"l": [3, 4]}), json!({"$push": {"l": each}}), json!({"l": [1, 3, 4]})),
        (json!({"l": [1]}), json!({"$addToSet": {"l": {"$each": [1, 2]}}}), json!({"l": [1, 2]})),
        (json!({"l": [1, 2, 3]}), json!({"$pop": {"l": -1}}), json!({"l": [2, 3]})),
        (json!({"l": [1, 5, 9]}), json!({"$pull": {"l": {"$gte": 5}}}), json!({"l": [1]})),
        (json!({"l": [1, 2, 1]}), json!({"$pullAll": {"l": [1]}}), json!({"l": [2]})),
        (json!({"a": 13}), json!({"$bit": {"a": {"and": 10}}}), json!({"a": 8})),
        (json!({"l": [1, 2]}), json!({"$inc": {"l.$[]": 10}}), json!({"l": [11, 12]})),
        (
            json!({"l": [{"x": 1}, {"x": 2}]}),
            json!({"$set": {"l.1.x": 9}}),
            json!({"l": [{"x": 1}, {"x": 9}]}),
        ),
        (
            json!({"a": 2, "b": 3}),
            json!([{"$set": {"sum": {"$add": ["$a", "$b"]}}}, {"$unset": "a"}]),
            json!({"b": 3, "sum": 5}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_of_update_operators() {
    let (cluster, documents) = three("update").await;
    for (number, (mut before, update, mut after)) in updates().into_iter().enumerate() {
        (before["_id"], after["_id"]) = (json!(number), json!(number));
        documents.insert_all([before.clone()]).await;
        let reply =
            documents.ask("update", json!({"filter": {"_id": number}, "update": update})).await;
        let modified = u8::from(before != after);
        assert_eq!(reply, json!({"matched": 1, "modified": modified}), "{update}");
        for node in &cluster.nodes {
            let found = documents.through(node.http()).one(json!(number)).await;
            assert_eq!(found, after, "{update} on {}", node.name);
        }
    }
    documents.insert_all([json!({"_id": "p", "l": [{"k": 1, "n": 0}, {"k": 2, "n": 0}]})]).await;
    let positional = json!({"filter": {"_id": "p", "l.k": 2}, "update": {"$inc": {"l.$.n": 1}}});
    documents.ask("update", positional).await;
    let filtered = json!({
        "filter": {"_id": "p"}, "update": {"$inc": {"l.$[low].n": 5}}, "arrayFilters": [{"low.k": {"$lt": 2}}],
    });
    documents.ask("update", filtered).await;
    assert_eq!(documents.one(json!("p")).await["l"], json!([{"k": 1, "n": 5}, {"k": 2, "n": 1}]));
    documents
        .ask("update", json!({"filter": {"_id": "p"}, "update": {"$currentDate": {"at": true}}}))
        .await;
    let mut times = Vec::new();
    for node in &cluster.nodes {
        times.push(documents.through(node.http()).one(json!("p")).await["at"].clone());
    }
    assert!(
        times[0]["$date"].is_string() && times.iter().all(|time| *time == times[0]),
        "{times:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_deletes_of_one_and_of_many() {
    let (_cluster, documents) = three("many").await;
    documents.insert_all((0..100).map(|number| json!({"_id": number, "k": number % 10}))).await;
    let set = |multi: bool| json!({"filter": {"k": 3}, "update": {"$set": {"x": 1}}, "multi": multi, "sort": {"_id": -1}});
    assert_eq!(documents.ask("update", set(false)).await, json!({"matched": 1, "modified": 1}));
    assert_eq!(documents.ids(json!({"filter": {"x": 1}})).await, json!([93]));
    assert_eq!(documents.ask("update", set(true)).await, json!({"matched": 10, "modified": 9}));
    let replace = json!({"filter": {"k": 3}, "replacement": {"y": 2}, "sort": {"_id": -1}});
    assert_eq!(documents.ask("replace", replace).await, json!({"matched": 1, "modified": 1}));
    assert_eq!(documents.one(json!(93)).await, json!({"_id": 93, "y": 2}));
    let delete = |multi: bool| json!({"filter": {"k": 4}, "multi": multi, "sort": {"_id": 1}});
    assert_eq!(documents.ask("delete", delete(false)).await, json!({"deleted": 1}));
    assert_eq!(documents.one(json!(4)).await, json!(null));
    assert_eq!(documents.ask("delete", delete(true)).await, json!({"deleted": 9}));
    assert_eq!(documents.count(json!({})).await, 90);
    let all_or_none = json!({"filter": {}, "update": {"$inc": {"k": 1}}, "multi": true});
    documents
        .ask("update", json!({"filter": {"_id": 50}, "update": {"$set": {"k": "text"}}}))
        .await;
    documents.post("update", all_or_none).await.refused(422, "not_applicable");
    assert_eq!(documents.count(json!({"k": 9})).await, 10, "a part of the update was done");
    assert_eq!(documents.count(json!({"k": 10})).await, 0, "a part of the update was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn find_and_modify_returns_the_document_before_or_after() {
    let (_cluster, documents) = three("modify").await;
    documents.insert_all((1..=3).map(|number| json!({"_id": number, "n": number}))).await;
    for (request, expected) in [
        (
            json!({"filter": {}, "sort": {"n": -1}, "update": {"$inc": {"n": 10}}}),
            json!({"document": {"_id": 3, "n": 3}}),
        ),
        (
            json!({"filter": {"_id": 3}, "update": {"$inc": {"n": 10}}, "return": "after"}),
            json!({"document": {"_id": 3, "n": 23}}),
        ),
        (
            json!({"filter": {"_id": 1}, "replacement": {"m": 1}, "return": "after", "projection": {"_id": 0}}),
            json!({"document": {"m": 1}}),
        ),
        (json!({"filter": {"_id": 2}, "remove": true}), json!({"document": {"_id": 2, "n": 2}})),
        (json!({"filter": {"_id": 2}, "remove": true}), json!({"document": null})),
        (json!({"filter": {"_id": 2}, "update": {"$set": {"n": 1}}}), json!({"document": null})),
        (
            json!({"filter": {"_id": 8}, "update": {"$set": {"n": 1}}, "upsert": true}),
            json!({"document": null, "upsertedId": 8}),
        ),
        (
            json!({"filter": {"_id": 9}, "update": {"$set": {"n": 1}}, "upsert": true, "return": "after"}),
            json!({"document": {"_id": 9, "n": 1}, "upsertedId": 9}),
        ),
    ] {
        assert_eq!(documents.ask("find-and-modify", request.clone()).await, expected, "{request}");
    }
    for request in
        [json!({"filter": {}}), json!({"filter": {}, "remove": true, "update": {"$set": {"a": 1}}})]
    {
        documents.post("find-and-modify", request).await.refused(400, "invalid_body");
    }
    assert_eq!(documents.ids(json!({})).await, json!([1, 3, 8, 9]));
}

/// The log index in the header of a response.
fn log_index(answer: &Answer) -> u64 {
    answer.header("x-jettra-index").parse().expect("X-Jettra-Index")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_write_is_one_log_entry() {
    let (cluster, documents) = three("bulk").await;
    let mut operations: Vec<_> =
        (0..100).map(|number| insert(&json!({"_id": number, "k": 0}))).collect();
    operations.extend([
        json!({"updateOne": {"filter": {"_id": 5}, "update": {"$set": {"k": 1}}}}),
        json!({"updateMany": {"filter": {"_id": {"$gte": 90}}, "update": {"$inc": {"k": 2}}}}),
        json!({"updateOne": {"filter": {"_id": "new"}, "update": {"$set": {"k": 9}}, "upsert": true}}),
        json!({"replaceOne": {"filter": {"_id": 6}, "replacement": {"r": true}}}),
        json!({"deleteOne": {"filter": {"_id": 0}}}),
        json!({"deleteMany": {"filter": {"_id": {"$in": [1, 2, 1000]}}}}),
        insert(&json!({"no": "id"})),
    ]);
    let before = documents
        .post("bulk", json!({"operations": [insert(&json!({"_id": "first"}))]}))
        .await
        .ok();
    let answer = documents.post("bulk", json!({"operations": operations})).await.ok();
    let entries = log_index(&answer) - log_index(&before);
    assert!((1..20).contains(&entries), "{} operations in {entries} entries", operations.len());
    let reply = answer.json();
    let counts = ["inserted", "matched", "modified", "deleted"].map(|name| reply[name].as_u64());
    assert_eq!(counts, [Some(101), Some(12), Some(12), Some(3)], "{reply}");
    assert_eq!(reply["upsertedIds"], json!({"102": "new"}));
    assert_eq!(reply["insertedIds"]["7"], 7);
    assert!(reply["insertedIds"]["106"].is_string(), "{reply}");
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        assert_eq!(there.count(json!({})).await, 100, "on {}", node.name);
        assert_eq!(there.one(json!(6)).await, json!({"_id": 6, "r": true}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_write_ends_at_the_first_failure_or_tries_all() {
    let (_cluster, documents) = three("bulk-fails").await;
    documents.insert_all([json!({"_id": 1, "u": 1}), json!({"_id": 2, "u": 2})]).await;
    documents.index(json!({"u": 1}), json!({"unique": true, "sparse": true})).await;
    let operations = |first: i64| {
        json!([
            insert(&json!({"_id": first})),
            insert(&json!({"_id": 1})),
            insert(&json!({"_id": first + 1})),
            {"updateOne": {"filter": {"_id": 2}, "update": {"$set": {"u": 1}}}},
            {"deleteOne": {"filter": {"_id": first}}},
        ])
    };
    let answer = documents.post("bulk", json!({"operations": operations(10)})).await;
    let before = log_index(&answer);
    answer.refused(409, "duplicate_id");
    let details = &answer.json()["error"]["details"];
    assert_eq!(details["operation"], 1, "{details}");
    assert_eq!(details["result"]["inserted"], 1, "{details}");
    assert_eq!(details["result"]["errors"]["1"]["code"], "duplicate_id", "{details}");
    assert_eq!(documents.ids(json!({})).await, json!([1, 2, 10]));
    let answer =
        documents.post("bulk", json!({"operations": operations(20), "ordered": false})).await;
    answer.refused(409, "duplicate_id");
    assert!(log_index(&answer) > before, "a bulk write that did something names its log entry");
    let result = &answer.json()["error"]["details"]["result"];
    assert_eq!((&result["inserted"], &result["deleted"]), (&json!(2), &json!(1)), "{result}");
    let errors = result["errors"].as_object().expect("errors");
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["1", "3"], "{result}");
    assert_eq!(errors["3"]["code"], "unique_violation", "{result}");
    assert_eq!(errors["3"]["details"]["value"], json!({"u": 1}), "{result}");
    assert_eq!(documents.ids(json!({})).await, json!([1, 2, 10, 21]));
    // An invalid operation fails like any other.
    let wrong = json!([insert(&json!({"_id": 30})), {"updateOne": {"filter": {"a": {"$gtt": 1}}, "update": {"$set": {"a": 1}}}}]);
    let answer = documents.post("bulk", json!({"operations": wrong, "ordered": false})).await;
    answer.refused(400, "invalid_query");
    assert!(answer.text.contains("operation 1: filter.a"), "{}", answer.text);
    let result = &answer.json()["error"]["details"]["result"];
    assert_eq!((&result["inserted"], &result["insertedIds"]), (&json!(1), &json!({"0": 30})));
    assert_eq!(result["errors"]["1"]["code"], "invalid_query", "{result}");
    assert_eq!(documents.one(json!(30)).await, json!({"_id": 30}));
    let wrong = json!([wrong[1], insert(&json!({"_id": 31}))]);
    let answer = documents.post("bulk", json!({"operations": wrong})).await;
    answer.refused(400, "invalid_query");
    assert!(answer.text.contains("operations[0]"), "{}", answer.text);
    assert_eq!(documents.one(json!(31)).await, json!(null));
    let wrong = json!([wrong[0], wrong[1]]);
    let answer = documents.post("bulk", json!({"operations": wrong, "ordered": false})).await;
    answer.refused(400, "invalid_query");
    let result = &answer.json()["error"]["details"]["result"];
    assert_eq!(result["insertedIds"], json!({"1": 31}), "the place is that in the call");
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_take_values_from_the_filter() {
    let (_cluster, documents) = three("upsert").await;
    let request = json!({
        "filter": {"_id": 7, "a": {"$eq": 1}, "b.c": 2, "d": {"$gt": 5}, "$and": [{"e": 3}]},
        "update": {"$set": {"f": 4}, "$setOnInsert": {"g": 5}, "$inc": {"h": 1}},
        "upsert": true,
    });
    let reply = documents.ask("update", request.clone()).await;
    assert_eq!(reply, json!({"matched": 0, "modified": 0, "upsertedId": 7}));
    let found = documents.one(json!(7)).await;
    assert_eq!(found, json!({"_id": 7, "a": 1, "b": {"c": 2}, "e": 3, "f": 4, "g": 5, "h": 1}));
    let made = json!({"filter": {"k": "new"}, "update": {"$set": {"x": 1}}, "upsert": true, "multi": true});
    let reply = documents.ask("update", made.clone()).await;
    let id = reply["upsertedId"].as_str().expect("an _id was made").to_owned();
    assert_eq!(documents.one(json!(id)).await, json!({"_id": id, "k": "new", "x": 1}));
    assert_eq!(documents.ask("update", made).await, json!({"matched": 1, "modified": 0}));
    let replace = json!({"filter": {"_id": 8}, "replacement": {"z": 1}, "upsert": true});
    assert_eq!(documents.ask("replace", replace.clone()).await["upsertedId"], 8);
    assert_eq!(documents.ask("replace", replace).await, json!({"matched": 1, "modified": 0}));
    documents.post("update", request).await.refused(409, "duplicate_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_merges_or_has_operators() {
    let (cluster, documents) = three("patch").await;
    documents.insert_all([json!({"_id": "p", "a": 1, "b": {"c": 1, "d": 2}})]).await;
    let first = documents.get("documents/p").await.ok();
    let revision = first.header("etag").to_owned();
    let patch = async |body: Value, if_match: &str| {
        let http = cluster.nodes[cluster.follower().await].http();
        let request = http.request("PATCH", &documents.target("documents/p")).json(&body);
        send(if if_match.is_empty() { request } else { request.header("if-match", if_match) }).await
    };
    let merged = patch(json!({"a": null, "b": {"c": 5}, "e": [1]}), &revision).await.ok();
    assert_eq!(merged.json(), json!({"_id": "p", "b": {"c": 5, "d": 2}, "e": [1]}));
    let second = merged.header("etag").to_owned();
    assert!(!second.is_empty() && second != revision);
    let operated = patch(json!({"$inc": {"b.c": 1}, "$push": {"e": 2}}), &second).await.ok();
    assert_eq!(operated.json(), json!({"_id": "p", "b": {"c": 6, "d": 2}, "e": [1, 2]}));
    patch(json!({"x": 1}), &second).await.refused(412, "revision_mismatch");
    patch(json!({"_id": "q"}), "").await.refused(400, "invalid_id");
    patch(json!({"$inc": {"e": 1}}), "").await.refused(422, "not_applicable");
    patch(json!({"$set": {"x": 1}, "y": 1}), "").await.refused(400, "invalid_query");
    patch(json!([1]), "").await.refused(400, "invalid_body");
    let nothing = patch(json!({}), "").await.ok();
    assert_eq!(nothing.header("etag"), operated.header("etag"), "nothing changed");
    assert_eq!(documents.one(json!("p")).await, operated.json());
    let missing = documents.call("PATCH", "documents/nobody", json!({"a": 1})).await;
    missing.refused(404, "document_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violation_of_a_unique_index_names_the_index_and_the_value() {
    let (_cluster, documents) = three("unique").await;
    documents
        .insert_all([
            json!({"_id": 1, "mail": "a@x", "n": 1}),
            json!({"_id": 2, "mail": "b@x", "n": 2}),
        ])
        .await;
    documents.index(json!({"mail": 1}), json!({"unique": true})).await;
    let taken = [
        documents.call("POST", "documents", json!({"_id": 3, "mail": "a@x"})).await,
        documents.call("PUT", "documents/2", json!({"mail": "a@x"})).await,
        documents.call("PATCH", "documents/2", json!({"mail": "a@x"})).await,
        documents
            .post("update", json!({"filter": {"_id": 2}, "update": {"$set": {"mail": "a@x"}}}))
            .await,
        documents
            .post(
                "update",
                json!({"filter": {"_id": 3}, "update": {"$set": {"mail": "a@x"}}, "upsert": true}),
            )
            .await,
        documents
            .post("replace", json!({"filter": {"_id": 2}, "replacement": {"mail": "a@x"}}))
            .await,
        documents
            .post(
                "find-and-modify",
                json!({"filter": {"_id": 2}, "update": {"$set": {"mail": "a@x"}}}),
            )
            .await,
        documents
            .post(
                "update",
                json!({"filter": {}, "update": {"$set": {"mail": "c@x"}}, "multi": true}),
            )
            .await,
    ];
    for answer in &taken[..7] {
        answer.refused(409, "unique_violation");
        let details = &answer.json()["error"]["details"];
        assert_eq!(details, &json!({"index": "mail_1", "value": {"mail": "a@x"}, "document": 1}));
    }
    taken[7].refused(409, "unique_violation");
    assert_eq!(documents.ids(json!({"sort": {"mail": 1}})).await, json!([1, 2]));
    // Every step must keep the index unique, not only the final state.
    documents.ask("delete", json!({"filter": {"_id": 1}})).await;
    documents
        .ask("update", json!({"filter": {"_id": 2}, "update": {"$set": {"mail": "a@x"}}}))
        .await;
    assert_eq!(documents.one(json!(2)).await["mail"], "a@x");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_group_join_and_write() {
    let (cluster, documents) = three("aggregate").await;
    documents
        .insert_all((0..60).map(|number| json!({"_id": number, "g": number % 3, "n": number})))
        .await;
    let groups = documents.through(cluster.nodes[0].http());
    let names = Documents::new(cluster.nodes[0].http(), "shop", "names");
    names
        .insert_all((0..3).map(|number| json!({"_id": number, "name": format!("g{number}")})))
        .await;
    let pipeline = json!([
        {"$match": {"n": {"$lt": 30}}},
        {"$group": {"_id": "$g", "sum": {"$sum": "$n"}, "count": {"$sum": 1}}},
        {"$lookup": {"from": "names", "localField": "_id", "foreignField": "_id", "as": "name"}},
        {"$set": {"name": {"$first": "$name.name"}}},
        {"$sort": {"sum": -1}},
        {"$limit": 2},
    ]);
    let expected = json!([
        {"_id": 2, "sum": 155, "count": 10, "name": "g2"},
        {"_id": 1, "sum": 145, "count": 10, "name": "g1"},
    ]);
    assert_eq!(
        groups.ask("aggregate", json!({"pipeline": pipeline})).await,
        json!({"documents": expected})
    );
    let out =
        |stage: Value| json!({"pipeline": [{"$group": {"_id": "$g", "n": {"$max": "$n"}}}, stage]});
    let written = documents.ask("aggregate", out(json!({"$out": "result"}))).await;
    assert_eq!(written, json!({"documents": [], "written": 3}));
    let result = Documents::new(cluster.nodes[2].http(), "shop", "result");
    assert_eq!(
        result.find(json!({})).await,
        [json!({"_id": 0, "n": 57}), json!({"_id": 1, "n": 58}), json!({"_id": 2, "n": 59})]
    );
    result
        .ask("update", json!({"filter": {}, "update": {"$set": {"kept": true}}, "multi": true}))
        .await;
    result.ask("delete", json!({"filter": {"_id": 0}})).await;
    documents.ask("update", json!({"filter": {"_id": 59}, "update": {"$set": {"n": 100}}})).await;
    documents.ask("aggregate", out(json!({"$merge": {"into": "result"}}))).await;
    let expected = [
        json!({"_id": 0, "n": 57}),
        json!({"_id": 1, "n": 58, "kept": true}),
        json!({"_id": 2, "n": 100, "kept": true}),
    ];
    assert_eq!(result.find(json!({})).await, expected);
    documents.ask("aggregate", out(json!({"$out": "result"}))).await;
    assert_eq!(result.count(json!({"kept": true})).await, 0);
    // A document that cannot be merged does not prevent others from being merged.
    result.ask("delete", json!({"filter": {"_id": {"$ne": 1}}, "multi": true})).await;
    let fail = json!({"$merge": {"into": "result", "whenMatched": "fail"}});
    let answer = documents.post("aggregate", out(fail)).await;
    answer.refused(409, "duplicate_id");
    assert_eq!(answer.json()["error"]["details"]["written"], 2, "{}", answer.text);
    assert_eq!(result.ids(json!({})).await, json!([0, 1, 2]));
}

/// Values of every type, and pairs that are equal although their types differ.
fn mixed() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(0),
        json!(-0.0),
        json!(7),
        json!(7.0),
        json!({"$numberDecimal": "7.00"}),
        json!(7.5),
        json!(-3),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!({"$numberDouble": "NaN"}),
        json!({"$numberDouble": "-Infinity"}),
        json!({"$numberDecimal": "1e400"}),
        json!(""),
        json!("a"),
        json!("a\u{0}b"),
        json!("ä"),
        json!("z".repeat(300)),
        json!(true),
        json!(false),
        json!({"$date": "1969-12-31T23:59:59.999Z"}),
        json!({"$date": "2026-01-31T00:00:00Z"}),
        json!({"$oid": "0123456789abcdef01234567"}),
        json!({"$binary": {"base64": "AAEC", "subType": "00"}}),
        json!({"x": 1}),
        json!({"x": 1, "y": 2}),
        json!({}),
    ];
    let lists =
        [json!([]), json!([3, 9]), json!([null]), json!([[1, 2]]), json!(["a", 1, {"x": 0}])];
    values.extend(lists);
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn page_boundaries_between_values_of_every_type_are_right() {
    let (_bed, _node, documents) = alone("cursor-types").await;
    let twice = mixed().into_iter().chain(mixed()).enumerate();
    let all =
        twice.map(|(id, value)| json!({"_id": id, "k": value, "n": id % 3, "l": [{"q": value}]}));
    documents.insert_all(all).await;
    documents
        .insert_all([json!({"_id": "missing"}), json!({"_id": "again missing", "n": 1})])
        .await;
    let count = documents.count(json!({})).await as usize;
    let queries = [
        json!({"sort": {"k": 1}}),
        json!({"sort": {"k": -1}}),
        json!({"sort": {"k": 1, "n": -1}}),
        json!({"sort": {"n": 1, "k": -1, "_id": 1}}),
        json!({"sort": {"l.q": 1}}),
        json!({"sort": {"k": 1}, "filter": {"k": {"$gte": 0}}}),
        json!({"sort": {"k": -1}, "filter": {"$or": [{"k": {"$type": "string"}}, {"k": 7}, {"n": 2}]}}),
    ];
    let mut expected = Vec::new();
    for query in &queries {
        let whole = documents.find(json!({"sort": query["sort"], "filter": query.get("filter").cloned().unwrap_or(json!({})), "limit": 1000, "hint": "$natural"})).await;
        assert!(whole.len() == count || query.get("filter").is_some(), "{query}");
        expected.push(whole);
    }
    for keys in [
        json!(null),
        json!({"k": 1}),
        json!({"k": 1, "n": -1}),
        json!({"n": 1, "k": -1}),
        json!({"l.q": 1}),
    ] {
        if !keys.is_null() {
            documents.index(keys.clone(), json!({})).await;
        }
        for (query, expected) in queries.iter().zip(&expected) {
            for limit in [1, 4] {
                let found = documents.pages(query, limit, async || ()).await;
                let ids = |documents: &[Value]| {
                    documents.iter().map(|one| one["_id"].to_string()).collect::<Vec<_>>()
                };
                assert_eq!(ids(&found), ids(expected), "{query}, pages of {limit}, index {keys}");
            }
        }
    }
}
