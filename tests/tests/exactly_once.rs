//! Idempotency keys: a write with a key is carried out once, however often and to whichever node it
//! is sent, and the response is the same each time.

use jettra_tests::{
    Answer, Cluster, Crowd, DEADLINE, Documents, Fault, Http, Random, Settings, send, try_send,
    wait_until,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DATABASE: &str = "shop";
const BASE: &str = "/api/v1/databases/shop/collections/stock";
const CLIENTS: usize = 5;
/// Calls that must succeed before and during each fault.
const PROGRESS: usize = 20;
/// Pause before a call is sent again.
const PAUSE: Duration = Duration::from_millis(30);
const SLOW: Duration = Duration::from_millis(50);

/// A write with an idempotency key.
#[derive(Debug, Clone)]
struct Keyed {
    method: &'static str,
    target: String,
    body: Value,
    key: String,
}

fn keyed(method: &'static str, target: &str, body: Value, key: &str) -> Keyed {
    Keyed { method, target: target.to_owned(), body, key: key.to_owned() }
}

impl Keyed {
    fn request(&self, http: &Http) -> reqwest::RequestBuilder {
        let request = http.request(self.method, &self.target).header("idempotency-key", &self.key);
        if self.body.is_null() { request } else { request.json(&self.body) }
    }

    async fn send(&self, http: &Http) -> Answer {
        send(self.request(http)).await
    }

    /// Sends it to one node after the other until one returns its response.
    async fn insist(&self, https: &[Http], first: usize) -> Answer {
        let started = Instant::now();
        for turn in first.. {
            let answer = try_send(self.request(&https[turn % https.len()])).await;
            let known = |answer: &Answer| answer.status < 500 && answer.status != 429;
            match answer {
                Ok(answer) if known(&answer) => return answer,
                other => {
                    assert!(started.elapsed() < DEADLINE, "{} is not answered: {other:?}", self.key)
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("turns do not run out")
    }
}

/// The parts of a response that must be the same each time.
fn essence(answer: &Answer) -> (u16, String, Value) {
    let mut body = answer.json();
    without_request_ids(&mut body);
    (answer.status, answer.header("etag").to_owned(), body)
}

fn without_request_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("request_id");
            fields.values_mut().for_each(without_request_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_request_ids),
        _ => {}
    }
}

#[track_caller]
fn is_replay(again: &Answer, first: &Answer) {
    assert_eq!(essence(again), essence(first));
    assert_eq!(again.header("idempotent-replayed"), "true", "{again:?}");
}

async fn start(name: &str, adjust: impl Fn(Settings) -> Settings) -> (Cluster, Documents) {
    let cluster = Cluster::start_with(&format!("once-{name}"), 3, adjust).await;
    cluster.client().create_collection(DATABASE, "stock").await.expect("a collection");
    let documents = Documents::new(cluster.nodes[0].http(), DATABASE, "stock");
    documents.insert_all([json!({"_id": "n", "n": 0}), json!({"_id": "gone"})]).await;
    (cluster, documents)
}

/// Writes of every kind. Carried out twice, each changes the data again or is refused.
fn writes() -> Vec<Keyed> {
    let at = |tail: &str| format!("{BASE}/{tail}");
    let add = || json!({"$inc": {"n": 1}});
    let update = || json!({"filter": {"_id": "n"}, "update": add()});
    let doc = "/api/doc?db=shop&col=stock";
    vec![
        keyed("POST", &at("documents"), json!({"made": "by the server"}), "insert"),
        keyed("POST", &at("documents"), json!({"_id": "mine"}), "insert-id"),
        keyed("PUT", &at("documents/put"), json!({"a": 1}), "put"),
        keyed("PATCH", &at("documents/put"), json!({"b": 1}), "patch"),
        keyed("DELETE", &at("documents/gone"), Value::Null, "delete"),
        keyed("POST", &at("update"), update(), "update"),
        keyed("POST", &at("find-and-modify"), update(), "find-and-modify"),
        keyed(
            "POST",
            &at("bulk"),
            json!({"operations": [
                {"updateOne": update()},
                {"insertOne": {"document": {"made": "by bulk"}}},
            ]}),
            "bulk",
        ),
        keyed("POST", &at("delete"), json!({"filter": {"_id": "mine"}}), "delete-many"),
        keyed("POST", doc, json!({"made": "as by JettraDBVM"}), "doc"),
        keyed(
            "POST",
            "/api/v1/batch",
            json!({"then": [
                {"update": {"database": "shop", "collection": "stock", "filter": {"_id": "n"}, "update": add()}},
                {"insert": {"database": "shop", "collection": "stock", "document": {"made": "by a batch"}}},
            ]}),
            "batch",
        ),
        // Errors are responses too, even if a part of the call was carried out.
        keyed("POST", &at("documents"), json!({"_id": "n"}), "refused-id"),
        keyed(
            "POST",
            &at("bulk"),
            json!({"operations": [
                {"updateOne": update()},
                {"insertOne": {"document": {"_id": "n"}}},
            ]}),
            "refused-bulk",
        ),
        keyed(
            "POST",
            &at("update"),
            json!({"filter": {"_id": "put"}, "update": {"$inc": {"text.x": 1, "a.b": 1}}}),
            "refused-update",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_write_gets_its_first_response_on_every_node_and_after_restarts() {
    let (mut cluster, documents) = start("kinds", |settings| settings).await;
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    let mut first = Vec::new();
    for (turn, write) in writes().into_iter().enumerate() {
        let answer = write.send(&https[turn % 3]).await;
        assert_eq!(answer.header("idempotent-replayed"), "", "{write:?}: {answer:?}");
        let refusal = write.key.starts_with("refused");
        assert_eq!(answer.status / 100, if refusal { 4 } else { 2 }, "{write:?}: {answer:?}");
        first.push((write, answer));
    }
    let state = documents.find(json!({})).await;
    assert_eq!(
        documents.one(json!("n")).await["n"],
        5,
        "update, find-and-modify, bulk, batch, bulk"
    );
    for round in ["again", "a new leader", "a restart of all"] {
        match round {
            "again" => {}
            "a new leader" => {
                let leader = cluster.leader().await;
                cluster.lead_with((leader + 1) % 3).await;
            }
            _ => {
                cluster.nodes.iter_mut().for_each(|node| node.kill());
                cluster.nodes.iter_mut().for_each(|node| node.start());
                cluster.wait_active(3).await;
            }
        }
        for (turn, (write, answer)) in first.iter().enumerate() {
            let again = write.send(&https[(turn + 1) % 3]).await;
            assert_eq!(essence(&again), essence(answer), "{round}: {write:?}");
            is_replay(&again, answer);
        }
        assert_eq!(documents.find(json!({})).await, state, "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_call() {
    let (cluster, documents) = start("reuse", |settings| settings).await;
    let http = cluster.nodes[1].http();
    let update = |n: u64| json!({"filter": {"_id": "n"}, "update": {"$inc": {"n": n}}});
    let target = format!("{BASE}/update");
    let first = keyed("POST", &target, update(1), "k").send(&http).await.ok();
    let others = [
        keyed("POST", &target, update(2), "k"),
        keyed("POST", &format!("{BASE}/find-and-modify"), update(1), "k"),
        keyed("POST", &target.replace("stock", "other"), update(1), "k"),
        keyed("POST", &format!("{target}?fields=n"), update(1), "k"),
        keyed("DELETE", &format!("{BASE}/documents/n"), Value::Null, "k"),
        keyed("PUT", &format!("{BASE}/documents/n"), update(1), "k"),
    ];
    for other in others {
        other.send(&http).await.refused(422, "idempotency_key_reused");
    }
    is_replay(&keyed("POST", &target, update(1), "k").send(&http).await, &first);
    assert_eq!(documents.one(json!("n")).await["n"], 1);
    for bad in ["", &"k".repeat(201), "two words"] {
        let answer = keyed("POST", &target, update(1), bad).send(&http).await;
        assert_eq!(answer.status, 400, "{bad:?}: {}", answer.text);
    }
    keyed("POST", &target, update(1), &"k".repeat(200)).send(&http).await.ok();
    assert_eq!(documents.one(json!("n")).await["n"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_sent_twice_at_once_happens_once() {
    let (cluster, documents) = start("twice", |settings| settings).await;
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    for round in 0..20 {
        let body = json!({"filter": {"_id": "n"}, "update": {"$inc": {"n": 1}}});
        let call = keyed("POST", &format!("{BASE}/update"), body, &format!("round-{round}"));
        let (a, b, c) = tokio::join!(
            call.insist(&https, round),
            call.insist(&https, round + 1),
            call.insist(&https, round)
        );
        assert_eq!(a.status, 200, "{}", a.text);
        assert_eq!(essence(&a), essence(&b));
        assert_eq!(essence(&a), essence(&c));
    }
    assert_eq!(documents.one(json!("n")).await["n"], 20);
}

/// Stored responses are part of the state, so a snapshot contains them.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_installed_a_snapshot_has_the_stored_responses() {
    let adjust = |settings: Settings| settings.key("SnapshotEvery", 10);
    let (mut cluster, documents) = start("snapshot", adjust).await;
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    let away = cluster.follower().await;
    let through = (away + 1) % 3;
    cluster.nodes[away].kill();
    let mut first = Vec::new();
    for write in writes() {
        let answer = write.insist(&https, through).await;
        first.push((write, answer));
    }
    let client = cluster.client();
    let lacks = client.group(0).await.expect("the group").last_log_index;
    wait_until("the log of the keyed writes is purged", async || {
        documents.through(https[through].clone()).ask("documents", json!({"filler": 1})).await;
        let group = client.group(0).await.map_err(|error| error.to_string())?;
        if group.first_log_index > lacks { Ok(()) } else { Err(format!("{group:?}")) }
    })
    .await;
    cluster.nodes[away].start();
    cluster.wait_active(3).await;
    cluster.wait_caught_up().await;
    let log = cluster.nodes[away].log();
    assert!(log.contains("installed a snapshot"), "it came back without a snapshot");
    cluster.lead_with(away).await;
    for (write, answer) in &first {
        is_replay(&write.send(&https[away]).await, answer);
    }
    cluster.wait_equal(DATABASE, "after the snapshot").await;
}

/// The response to each key.
type Said = BTreeMap<String, (Keyed, Answer)>;

/// Sends a call until it gets a response, and sometimes repeats an old one.
async fn count_up(https: &[Http], said: &Mutex<Said>, key: String, random: &mut Random) {
    let update = json!({"$inc": {"n": 1}});
    let body = json!({"filter": {"_id": "n"}, "update": update, "return": "after"});
    let call = keyed("POST", &format!("{BASE}/find-and-modify"), body, &key);
    let answer = call.insist(https, random.below(3) as usize).await;
    assert_eq!(answer.status, 200, "{key}: {}", answer.text);
    let old = {
        let mut said = said.lock().expect("nobody panics with it");
        said.insert(key, (call, answer));
        let old = random.below(said.len() as u64 * 3) as usize;
        said.values().nth(old).cloned()
    };
    if let Some((call, answer)) = old {
        let again = call.insist(https, random.below(3) as usize).await;
        assert_eq!(essence(&again), essence(&answer), "{}", call.key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_counts_once_while_leaders_die_and_links_break() {
    let adjust =
        |settings: Settings| settings.key("RequestTimeoutMs", 1500).key("SnapshotEvery", 100);
    let (mut cluster, links) = Cluster::start_with_links("once-faults", 3, adjust).await;
    cluster.client().create_collection(DATABASE, "stock").await.expect("a collection");
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    let documents = Documents::new(https[0].clone(), DATABASE, "stock");
    documents.insert_all([json!({"_id": "n", "n": 0})]).await;
    let said = Arc::new(Mutex::new(Said::new()));
    let crowd = {
        let (https, said) = (https.clone(), said.clone());
        Crowd::start(CLIENTS, move |client, turn| {
            let (https, said) = (https.clone(), said.clone());
            async move {
                let mut random = Random((client << 32 | turn) as u64);
                count_up(&https, &said, format!("c{client}-{turn}"), &mut random).await;
                true
            }
        })
    };
    for round in 0..6 {
        crowd.wait_successes(PROGRESS).await;
        let leader = cluster.leader().await;
        let others = [(leader + 1) % 3, (leader + 2) % 3];
        match round {
            0 => cluster.nodes[leader].kill(),
            1 => links.isolate(leader, Fault::Blackhole),
            2 => others.into_iter().for_each(|other| links.blackhole(leader, other)),
            3 => links.isolate(leader, Fault::Delay(SLOW)),
            4 => links.isolate(leader, Fault::CutAfter(2_000)),
            _ => {
                cluster.nodes.iter_mut().for_each(|node| node.kill());
                cluster.nodes.iter_mut().for_each(|node| node.start());
            }
        }
        crowd.wait_successes(PROGRESS).await;
        links.heal();
        if !cluster.nodes[leader].is_started() {
            cluster.nodes[leader].start();
        }
        cluster.wait_active(3).await;
    }
    assert!(links.hits() > 0, "no broken link met anything");
    crowd.finish().await;
    let said = said.lock().expect("nobody panics with it").clone();
    let keys = said.len() as u64;
    assert!(keys >= 12 * PROGRESS as u64, "only {keys} keys");
    assert_eq!(documents.one(json!("n")).await["n"], keys, "a key counted not at all, or twice");
    let counted = said.values().map(|(_, answer)| answer.json()["document"]["n"].as_u64());
    let mut counted: Vec<_> = counted.map(|n| n.expect("a number")).collect();
    counted.sort_unstable();
    assert_eq!(counted, (1..=keys).collect::<Vec<_>>(), "each key has a number of its own");
    cluster.nodes.iter_mut().for_each(|node| node.kill());
    cluster.nodes.iter_mut().for_each(|node| node.start());
    cluster.wait_active(3).await;
    for (turn, (call, answer)) in said.values().enumerate().step_by(7) {
        is_replay(&call.insist(&https, turn).await, answer);
    }
    assert_eq!(documents.one(json!("n")).await["n"], keys, "late repetitions counted");
    cluster.wait_equal(DATABASE, "after all repetitions").await;
}

const COUNTED: usize = 6_000;
/// Number of rounds; in at least one of them the fault should meet a call.
const ROUNDS_MAX: usize = 12;

/// A collection whose documents count how often they were merged.
async fn counters(cluster: &Cluster, name: &str) -> Documents {
    let documents = Documents::new(cluster.nodes[0].http(), DATABASE, name);
    documents.insert_all((0..COUNTED).map(|id| json!({"_id": id, "n": 0}))).await;
    documents
}

fn merge_into(name: &str) -> (String, Value) {
    let add = json!({"$set": {"n": {"$add": ["$n", 1]}}});
    let pipeline = json!([add, {"$merge": {"into": name}}]);
    let target = format!("/api/v1/databases/{DATABASE}/collections/{name}/aggregate");
    (target, json!({"pipeline": pipeline}))
}

async fn wait_begun(documents: &Documents, done: &tokio::task::JoinHandle<Answer>) {
    jettra_tests::wait_until("something is merged", async || {
        let some = documents.with("level=local").count(json!({"n": 1})).await > 0;
        if some || done.is_finished() { Ok(()) } else { Err("nothing is".into()) }
    })
    .await;
}

/// Symptom: leadership was transferred while `$merge` wrote to the collection that it read. The
/// called node started it again, and a call that returned 200 had merged thousands of documents
/// twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_whose_leader_changes_merges_no_document_twice() {
    let (cluster, _) = start("merge", |settings| settings).await;
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    let mut interrupted = [false; 2];
    for round in 0..ROUNDS_MAX {
        if interrupted == [true; 2] {
            break;
        }
        let with_key = round % 2;
        let name = format!("c{round}");
        let documents = counters(&cluster, &name).await;
        let leader = cluster.leader().await;
        let (target, body) = merge_into(&name);
        let call = keyed("POST", &target, body.clone(), &format!("merge-{round}"));
        let through = https[(leader + 1) % 3].clone();
        let request = match with_key {
            1 => call.request(&through),
            _ => through.request("POST", &target).json(&body),
        };
        let merging = tokio::spawn(send(request));
        wait_begun(&documents.through(https[leader].clone()), &merging).await;
        cluster.lead_with((leader + 2) % 3).await;
        let answer = merging.await.expect("no panic");
        let twice = documents.count(json!({"n": {"$gt": 1}})).await;
        let once = documents.count(json!({"n": 1})).await;
        assert_eq!(twice, 0, "{} {}", answer.status, answer.text);
        let written = &answer.json()["error"]["details"]["written"];
        match answer.status {
            200 => assert_eq!(once, COUNTED as u64, "{}", answer.text),
            504 => {
                assert_eq!(answer.code(), "outcome_unknown");
                assert!(once >= written.as_u64().unwrap_or(0), "{once} {}", answer.text);
                interrupted[with_key] = true;
            }
            _ => panic!("{} {}", answer.status, answer.text),
        }
        if with_key == 0 {
            continue;
        }
        // A client that repeats the call with its key merges nothing twice either.
        let again = call.send(&https[leader]).await;
        assert_eq!(again.header("idempotent-replayed"), "true", "{again:?}");
        if answer.status == 200 {
            assert_eq!(essence(&again), essence(&answer));
        } else {
            again.refused(504, "outcome_unknown");
            let known = &again.json()["error"]["details"]["written"];
            assert_eq!(*known, once, "{}", again.text);
        }
        assert_eq!(documents.count(json!({"n": {"$gt": 1}})).await, 0, "{}", again.text);
        assert_eq!(documents.count(json!({"n": 1})).await, once, "{}", again.text);
    }
    assert_eq!(interrupted, [true; 2], "no call was interrupted");
}

/// Symptom: a long call continued to write after the right to do so was revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_right_ends_a_long_call_at_its_next_write() {
    let (cluster, _) = start("rights", |settings| settings).await;
    let admin = cluster.nodes[cluster.leader().await].http();
    for round in 0..ROUNDS_MAX {
        let name = format!("c{round}");
        let documents = counters(&cluster, &name).await;
        let (user, word) = (format!("u{round}"), "a password for tests");
        let new = json!({"username": user, "password": word, "role": "writereader", "allowed_dbs": [DATABASE]});
        admin.post("/api/v1/users", &new).await.ok();
        let (target, body) = merge_into(&name);
        let writer = Http::new(&cluster.nodes[round % 3].url()).login(&user, word);
        let merging = tokio::spawn(send(writer.request("POST", &target).json(&body)));
        wait_begun(&documents, &merging).await;
        let change = json!({"role": "reader"});
        admin.json("PATCH", &format!("/api/v1/users/{user}"), &change).await.ok();
        let once = documents.count(json!({"n": 1})).await;
        let answer = merging.await.expect("no panic");
        assert_eq!(documents.count(json!({"n": 1})).await, once, "{}", answer.text);
        if answer.status == 504 {
            let details = &answer.json()["error"]["details"];
            assert_eq!(
                (&details["cause"], &details["written"]),
                (&json!("user_changed"), &json!(once))
            );
            return;
        }
        assert_eq!(once, COUNTED as u64, "{} {}", answer.status, answer.text);
    }
    panic!("no call was under way");
}

/// Symptom: stored responses contained whole documents: 948 patches with keys took 1.4 GB.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_response_says_that_its_document_was_forgotten() {
    let (cluster, documents) = start("forgotten", |settings| settings.key("ChangesMb", 1)).await;
    let http = cluster.nodes[1].http();
    // Three changes of it, each with the document before and after, are kept.
    let large = "x".repeat(100_000);
    documents.insert_all([json!({"_id": "large", "text": large})]).await;
    let target = format!("{BASE}/documents/large");
    let patch = keyed("PATCH", &target, json!({"n": 1}), "patch");
    let body = json!({"filter": {"_id": "large"}, "update": {"$set": {"n": 2}}, "return": "after"});
    let modify = keyed("POST", &format!("{BASE}/find-and-modify"), body, "modify");
    let client = cluster.client();
    let by_driver = client.collection::<Value>(DATABASE, "stock").with_idempotency_key("driver");
    let patched = patch.send(&http).await.ok();
    let modified = modify.send(&http).await.ok();
    by_driver.patch(&"large".into(), &json!({"n": 3}), None).await.expect("a document");
    is_replay(&patch.send(&http).await, &patched);
    is_replay(&modify.send(&http).await, &modified);
    let document = by_driver.patch(&"large".into(), &json!({"n": 3}), None).await;
    let revision = document.expect("the document of the first answer").revision;
    let mut n = 3;
    jettra_tests::wait_until("the history is cut", async || {
        n += 1;
        documents.call("PATCH", "documents/large", json!({"n": n})).await;
        // The most recent of the three changes is forgotten last.
        match by_driver.patch(&"large".into(), &json!({"n": 3}), None).await {
            Err(jettra_driver::Error::Forgotten { .. }) => Ok(()),
            _ => Err(format!("{n} changes")),
        }
    })
    .await;
    let again = patch.send(&http).await.ok();
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("etag"), patched.header("etag"));
    let told = again.json();
    assert_eq!((&told["id"], &told["document_forgotten"]), (&json!("large"), &json!(true)));
    assert_eq!(format!("\"{}\"", told["revision"]), patched.header("etag"));
    let again = modify.send(&http).await.ok();
    assert_eq!(again.json(), json!({"document": null, "document_forgotten": true}));
    assert_eq!(again.header("document-forgotten"), "true");
    let document = by_driver.patch(&"large".into(), &json!({"n": 3}), None).await;
    match document.map(|document| document.revision) {
        Err(jettra_driver::Error::Forgotten { revision: Some(told) }) => assert_eq!(told, revision),
        other => panic!("{other:?}"),
    }
    assert_eq!(documents.one(json!("large")).await["n"], n, "nothing was done again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_too_many_stored_responses_can_still_write_without_keys() {
    let (cluster, documents) = start("full", |settings| settings.key("IdempotencyMb", 1)).await;
    let http = cluster.nodes[0].http();
    let bulk = |round: usize| {
        let id = |at: usize| format!("{round}-{at}-{}", "x".repeat(400));
        let insert = |at: usize| json!({"insertOne": {"document": {"_id": id(at)}}});
        let operations: Vec<_> = (0..500).map(insert).collect();
        let key = format!("bulk-{round}");
        keyed("POST", &format!("{BASE}/bulk"), json!({"operations": operations}), &key)
    };
    let mut made = Vec::new();
    for round in 0..10 {
        let answer = bulk(round).send(&http).await;
        if answer.status != 200 {
            let refused = answer.refused(429, "idempotency_full");
            assert!(refused.text.contains("IdempotencyMb"), "{}", refused.text);
            break;
        }
        made.push(answer);
    }
    assert!((4..8).contains(&made.len()), "{}", made.len());
    for (round, answer) in made.iter().enumerate() {
        is_replay(&bulk(round).send(&http).await, answer);
    }
    assert_eq!(documents.count(json!({})).await, made.len() as u64 * 500 + 2);
    documents.insert_all([json!({"_id": "without a key"})]).await;
}
