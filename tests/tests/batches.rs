//! Batches: conditions and operations in one log entry, all carried out or none.

use jettra_tests::{Answer, Cluster, Documents, Http, send};
use serde_json::{Value, json};

const BATCH: &str = "/api/v1/batch";

async fn start(name: &str, size: usize) -> (Cluster, Documents) {
    let cluster = Cluster::start(&format!("batches-{name}"), size).await;
    cluster.client().create_collection("shop", "stock").await.expect("a collection");
    let documents = Documents::new(cluster.nodes[0].http(), "shop", "stock");
    documents.insert_all([json!({"_id": "a", "n": 1}), json!({"_id": "b", "n": 2})]).await;
    (cluster, documents)
}

/// Adds the collection that all conditions and operations name.
fn on(mut body: Value) -> Value {
    body["database"] = json!("shop");
    body["collection"] = json!("stock");
    body
}

fn set(id: &str, n: u64) -> Value {
    json!({"update": on(json!({"filter": {"_id": id}, "update": {"$set": {"n": n}}}))})
}

fn insert(document: Value) -> Value {
    json!({"insert": on(json!({"document": document}))})
}

fn get(id: &str) -> Value {
    json!({"get": on(json!({"id": id}))})
}

async fn batch(http: &Http, body: Value) -> Answer {
    http.post(BATCH, &body).await
}

/// Whether the conditions held: each branch marks the document `a`.
async fn holds(http: &Http, conditions: Value) -> bool {
    let body = json!({"if": conditions, "then": [set("a", 10)], "else": [set("a", 20)]});
    let answer = batch(http, body).await.ok().json();
    let documents = Documents::new(http.clone(), "shop", "stock");
    let n = documents.one(json!("a")).await["n"].as_u64().expect("a number");
    let succeeded = answer["succeeded"].as_bool().expect("succeeded");
    assert_eq!(n, if succeeded { 10 } else { 20 }, "the wrong branch: {answer}");
    documents.ask("update", json!({"filter": {"_id": "a"}, "update": {"$set": {"n": 1}}})).await;
    succeeded
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_choose_the_branch() {
    let (cluster, documents) = start("conditions", 1).await;
    let http = cluster.nodes[0].http();
    let b = documents.get("documents/b").await.ok();
    let revision: u64 = b.header("etag").trim_matches('"').parse().expect("a revision");
    let cases = [
        (json!([]), true),
        (json!([{"id": "a"}]), true),
        (json!([{"id": "none"}]), false),
        (json!([{"id": "a", "exists": true}]), true),
        (json!([{"id": "a", "exists": false}]), false),
        (json!([{"id": "none", "exists": false}]), true),
        (json!([{"id": "b", "revision": revision}]), true),
        (json!([{"id": "b", "revision": revision + 1}]), false),
        (json!([{"id": "none", "revision": revision}]), false),
        (json!([{"id": "a", "filter": {"n": 1}}]), true),
        (json!([{"id": "a", "filter": {"n": 2}}]), false),
        (json!([{"filter": {"n": {"$gt": 1}}}]), true),
        (json!([{"filter": {"n": {"$gt": 2}}}]), false),
        (json!([{"filter": {"n": {"$gt": 2}}, "exists": false}]), true),
        (json!([{"filter": {"n": {"$gt": 1}}, "exists": false}]), false),
        (json!([{"id": "a"}, {"id": "b", "revision": revision}]), true),
        (json!([{"id": "a"}, {"id": "none"}]), false),
    ];
    for (conditions, expected) in cases {
        let list = conditions.as_array().expect("a list").iter().cloned().map(on).collect();
        assert_eq!(holds(&http, list).await, expected, "{conditions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_see_earlier_ones_and_return_their_results() {
    let (cluster, documents) = start("operations", 3).await;
    for (turn, node) in cluster.nodes.iter().enumerate() {
        let new = format!("new{turn}");
        let remove = json!({"delete": on(json!({"filter": {"_id": new}}))});
        let save = json!({"save": on(json!({"document": {"_id": "saved", "turn": turn}}))});
        let all = json!({"update": on(json!({
            "filter": {"n": {"$exists": true}}, "update": {"$inc": {"n": 1}}, "multi": true
        }))});
        let body = json!({"then": [
            get(&new), insert(json!({"_id": new, "n": 5})), get(&new), all, get(&new), remove,
            get(&new), save,
        ]});
        let answer = batch(&node.http(), body).await.ok().json();
        let results = answer["results"].as_array().expect("results");
        assert_eq!(results.len(), 8, "{answer}");
        assert_eq!(results[0]["document"], Value::Null);
        assert_eq!(results[1]["inserted_id"], *new, "{answer}");
        assert_eq!(results[2]["document"]["n"], 5);
        assert_eq!((&results[3]["matched"], &results[3]["modified"]), (&json!(3), &json!(3)));
        assert_eq!(results[4]["document"]["n"], 6);
        assert_eq!(results[5]["deleted"], 1);
        assert_eq!(results[6]["document"], Value::Null);
        let saved = documents.get("documents/saved").await.ok();
        assert_eq!(saved.json()["turn"], turn);
        assert_eq!(saved.header("etag").trim_matches('"'), results[7]["revision"].to_string());
    }
    assert_eq!(documents.one(json!("a")).await["n"], 4);
    cluster.wait_equal("shop", "after the batches").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_that_fails_undoes_all() {
    let (cluster, documents) = start("failing", 1).await;
    let http = cluster.nodes[0].http();
    documents.index(json!({"code": 1}), json!({"unique": true, "sparse": true})).await;
    documents.insert_all([json!({"_id": "c", "code": 1})]).await;
    let before = documents.find(json!({})).await;
    let failing = [
        (insert(json!({"_id": "a"})), 409, "duplicate_id"),
        (insert(json!({"_id": "d", "code": 1})), 409, "unique_violation"),
    ];
    for (operation, status, code) in failing {
        let body =
            json!({"then": [set("a", 7), insert(json!({"_id": "x"})), operation, set("b", 7)]});
        let refused = batch(&http, body).await;
        refused.refused(status, code);
        let message = refused.json()["error"]["message"].as_str().expect("a text").to_owned();
        assert!(message.starts_with("then[2]: "), "{message}");
        assert_eq!(documents.find(json!({})).await, before, "{code}");
    }
    let none = on(json!({"id": "none"}));
    let body = json!({"if": [none], "else": [set("a", 7), insert(json!({"_id": "a"}))]});
    let refused = batch(&http, body).await;
    assert!(refused.text.contains("else[1]: "), "{}", refused.text);
    assert_eq!(documents.find(json!({})).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_batch_is_refused() {
    let (cluster, documents) = start("wrong", 1).await;
    let http = cluster.nodes[0].http();
    let wrong = [
        json!({"then": [{"explode": {}}]}),
        json!({"then": [{"insert": {"collection": "stock", "document": {}}}]}),
        json!({"then": [insert(json!("text"))]}),
        json!({"if": [on(json!({"id": "a", "revizion": 1}))]}),
        json!({"when": []}),
        json!([]),
    ];
    for body in wrong {
        let refused = batch(&http, body.clone()).await;
        assert!(matches!(refused.status, 400 | 422), "{body}: {} {}", refused.status, refused.text);
        assert!(!refused.code().is_empty(), "{}", refused.text);
    }
    let anonymous = Http::new(&cluster.nodes[0].url());
    let body = json!({"then": [set("a", 9)]});
    assert_eq!(send(anonymous.request("POST", BATCH).json(&body)).await.status, 401);
    assert_eq!(documents.one(json!("a")).await["n"], 1);
}

/// Compare-and-set of two documents by concurrent clients.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_batches_on_one_revision_one_succeeds() {
    let (cluster, documents) = start("race", 3).await;
    for round in 10..15 {
        let a = documents.get("documents/a").await.ok();
        let revision: u64 = a.header("etag").trim_matches('"').parse().expect("a revision");
        let body = json!({
            "if": [on(json!({"id": "a", "revision": revision}))],
            "then": [set("a", round), set("b", round)],
        });
        let calls = (0..9).map(|number| {
            let (http, body) = (cluster.nodes[number % 3].http(), body.clone());
            tokio::spawn(async move { batch(&http, body).await.ok().json()["succeeded"] == true })
        });
        let calls: Vec<_> = calls.collect();
        let mut succeeded = 0;
        for call in calls {
            succeeded += usize::from(call.await.expect("no panic"));
        }
        assert_eq!(succeeded, 1, "round {round}");
        assert_eq!(documents.one(json!("b")).await["n"], round);
    }
}
