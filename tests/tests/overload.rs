//! Calls of any caller use bounded memory and time.

use jettra_tests::{
    Answer, Bed, Cluster, Crowd, Http, Node, Role, Settings, raw, try_send, wait_until,
};
use serde_json::{Value, json};

const TARGET: &str = "/api/v1/databases/shop/collections/stock/documents/apples";
const MIB: usize = 1 << 20;
const THINGS: &str = "/api/v1/databases/shop/collections/things";
/// Clients of each node, more than its threads and query permits.
const CLIENTS: usize = 16;

async fn start(bed: &Bed, settings: Settings) -> Node {
    let mut node = bed.node("alone", settings);
    node.start();
    wait_until("it is ok", async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == "ok" { Ok(()) } else { Err(health.text) }
    })
    .await;
    node
}

async fn create_collection(http: &Http) {
    let names = json!({"database": "shop", "collection": "stock"});
    http.post("/api/cols", &names).await.ok();
}

async fn put(http: &Http, bytes: usize) -> Answer {
    http.json("PUT", TARGET, &json!({"text": "x".repeat(bytes)})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_credentials_is_refused_before_its_body_arrives() {
    let bed = Bed::new("overload-anonymous").await;
    let node = start(&bed, Settings::new(Role::Alone)).await;
    for (call, status) in [(format!("PUT {TARGET}"), 401), ("POST /raft/rpc/vote".into(), 401)] {
        let queued = raw::begin(&node, "none", &call, 10 * MIB, b"{").await;
        let answer = queued.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{call}: {}", answer.text);
    }
    let large = json!({"username": "x".repeat(MIB), "password": "x"});
    node.http().post("/api/login", &large).await.refused(413, "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let bed = Bed::new("overload-slow").await;
    let node = start(&bed, Settings::new(Role::Alone).key("BodyTimeoutMs", 100)).await;
    let token = raw::token(&node).await;
    let queued = raw::begin(&node, &token, &format!("PUT {TARGET}"), 100, b"{").await;
    let answer = queued.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_body"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bodies_together_keep_within_the_memory_bound() {
    let bed = Bed::new("overload-memory").await;
    let settings = Settings::new(Role::Alone).key("BodyMemoryMb", 64).key("BodyTimeoutMs", 600_000);
    let node = start(&bed, settings).await;
    let (http, token) = (node.http(), raw::token(&node).await);
    create_collection(&http).await;
    put(&http, 1).await.ok();
    let (begun, part) = (format!("PUT {TARGET}"), vec![b' '; 15 * MIB]);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(raw::begin(&node, &token, &begun, 16 * MIB, &part).await);
    }
    wait_until("a large body is refused", async || {
        let answer = put(&http, 8 * MIB).await;
        answer.fault(429, "overloaded").map_or(Ok(()), Err)
    })
    .await;
    put(&http, 2).await.ok();
    assert_eq!(http.get(TARGET).await.ok().json()["text"], "xx");
    drop(held);
    wait_until("there is room again", async || {
        let answer = put(&http, 8 * MIB).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_documents_ends_early_and_its_cursor_continues() {
    let bed = Bed::new("overload-page").await;
    let node = start(&bed, Settings::new(Role::Alone)).await;
    let http = node.http();
    create_collection(&http).await;
    let documents = "/api/v1/databases/shop/collections/stock/documents";
    for id in 0..6 {
        http.post(documents, &json!({"_id": id, "text": "x".repeat(MIB)})).await.ok();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("{documents}?limit=100{cursor}")).await.ok();
        assert!(page.text.len() < 6 * MIB, "a page of {} bytes", page.text.len());
        let page = page.json();
        let ids = page["documents"].as_array().expect("a list").iter();
        seen.extend(ids.map(|document| document["_id"].as_i64().expect("a number")));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    // A result that fits in the page has no cursor.
    for target in ["/api/query?db=shop&col=stock", &format!("{documents}?limit=100&offset=0")] {
        assert!(http.get(target).await.ok().text.len() > 6 * MIB, "{target}");
    }
}

/// A query with a cheap plan and an expensive expression.
fn heavy() -> Value {
    let range = json!({"$range": [0, 20_000]});
    let sum = json!({"$add": ["$$value", {"$size": range}]});
    let reduce = json!({"$reduce": {"input": range, "initialValue": 0, "in": sum}});
    json!({"filter": {"_id": 1, "$expr": {"$gt": [reduce, -1]}}})
}

/// Clients that repeat the same call.
fn crowd(http: &Http, target: &str, body: &Value) -> Crowd {
    let (http, target, body) = (http.clone(), target.to_owned(), body.clone());
    Crowd::start(CLIENTS, move |_, _| {
        let request = http.request("POST", &target).json(&body);
        async move { try_send(request).await.is_ok() }
    })
}

/// Symptom: a reader's queries made a node unresponsive for good, including `/health` and SIGTERM.
/// Cause: they ran on the threads that serve Raft and `/health`, and a query without a permit waited
/// for as long as a query may run.
#[tokio::test(flavor = "multi_thread")]
async fn raft_health_and_signals_are_served_while_queries_use_every_thread() {
    let long = |settings: Settings| {
        let settings = settings.key("QueriesMax", 2).key("QueryTimeoutMs", 600_000);
        settings.key("WriteStepsMax", 50_000)
    };
    let mut cluster = Cluster::start_with("overload-threads", 3, long).await;
    let leader = cluster.leader().await;
    let http = cluster.nodes[leader].http();
    http.post("/api/cols", &json!({"database": "shop", "collection": "things"})).await.ok();
    http.post(&format!("{THINGS}/documents"), &json!({"_id": 1, "n": 0})).await.ok();
    let before = http.get("/health").await.ok().json();
    let update = json!({"filter": heavy()["filter"], "update": {"$inc": {"n": 1}}});
    let mut crowds = Vec::new();
    for node in &cluster.nodes {
        crowds.push(crowd(&node.http(), &format!("{THINGS}/find"), &heavy()));
    }
    crowds.push(crowd(&http, &format!("{THINGS}/update"), &update));
    for node in &cluster.nodes {
        let http = node.http();
        wait_until("a query gets no permit, and is refused", async || {
            let request = http.request("POST", &format!("{THINGS}/find")).json(&heavy());
            let answer = try_send(request).await?;
            answer.fault(429, "overloaded").map_or(Ok(()), Err)
        })
        .await;
    }
    for round in 0..10 {
        for node in &cluster.nodes {
            node.http().get("/health").await.ok();
        }
        let target = format!("{THINGS}/documents/{round}-put");
        http.json("PUT", &target, &json!({"round": round})).await.ok();
        assert_eq!(http.get(&target).await.ok().json()["round"], round);
    }
    let after = http.get("/health").await.ok().json();
    assert_eq!(after["current_term"], before["current_term"], "the leader was deposed");
    cluster.nodes[leader].signal("TERM");
    let ended = cluster.nodes[leader].wait_exit().await;
    assert_eq!(ended.code(), Some(0), "{}", cluster.nodes[leader].log());
}
