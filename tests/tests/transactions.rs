//! Transactions: each sees one snapshot and its own writes, and takes effect completely or not at
//! all; of two that are not serializable, one is refused. The names of the anomalies are those of
//! Adya and of Berenson et al.

use jettra_tests::{Answer, Cluster, Documents, Http, OpenTransaction, Settings, wait_until};
use serde_json::{Value, json};

/// Documents of a collection that is read completely.
const READ_ROWS: usize = 6_000;
const TRANSACTIONS: &str = "/api/v1/transactions";

/// A cluster of one node, and a collection in it.
async fn start(name: &str) -> (Cluster, Documents) {
    let cluster = Cluster::start(&format!("transactions-{name}"), 1).await;
    let documents = prepare(&cluster).await;
    (cluster, documents)
}

async fn prepare(cluster: &Cluster) -> Documents {
    cluster.client().create_collection("shop", "stock").await.expect("a collection");
    Documents::new(cluster.nodes[0].http(), "shop", "stock")
}

/// A transaction, and the collection as seen by it.
async fn begin(http: &Http, documents: &Documents) -> (OpenTransaction, Documents) {
    let transaction = OpenTransaction::begin(http).await;
    let inside = transaction.see(documents);
    (transaction, inside)
}

fn set(id: impl Into<Value>, field: &str, value: impl Into<Value>) -> Value {
    json!({"filter": {"_id": id.into()}, "update": {"$set": {field: value.into()}}})
}

#[track_caller]
fn is_committed(answer: Answer) {
    let answer = answer.ok();
    assert_eq!(answer.json()["status"], "committed", "{}", answer.text);
}

/// Checks that a commit was refused because of a document.
#[track_caller]
fn is_conflict(answer: &Answer) {
    answer.refused(409, "transaction_conflict");
    let details = &answer.json()["error"]["details"];
    let place = json!([details["database"], details["collection"]]);
    assert_eq!(place, json!(["shop", "stock"]), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost() {
    let (cluster, documents) = start("lost-update").await;
    let http = cluster.nodes[0].http();
    documents.insert_all([json!({"_id": "apples", "n": 1})]).await;
    let (one, seen_by_one) = begin(&http, &documents).await;
    let (other, seen_by_other) = begin(&http, &documents).await;
    for inside in [&seen_by_one, &seen_by_other] {
        let n = inside.one(json!("apples")).await["n"].as_i64().expect("a number");
        inside.ask("update", set("apples", "n", n + 1)).await;
    }
    is_committed(one.commit().await);
    let refused = other.commit().await;
    is_conflict(&refused);
    assert_eq!(refused.json()["error"]["details"]["id"], "apples", "{}", refused.text);
    assert_eq!(documents.one(json!("apples")).await["n"], 2);
    // It has ended, and its outcome stays the same.
    assert_eq!(other.commit().await.code(), "transaction_conflict");
    seen_by_other.post("find", json!({})).await.refused(409, "transaction_lost");
}

/// An update that reads only by its filter and operators conflicts too.
#[tokio::test(flavor = "multi_thread")]
async fn no_increment_is_lost_to_a_write_outside() {
    let (cluster, documents) = start("increment").await;
    documents.insert_all([json!({"_id": 1, "n": 1})]).await;
    let (transaction, inside) = begin(&cluster.nodes[0].http(), &documents).await;
    let add = json!({"filter": {"_id": 1}, "update": {"$inc": {"n": 1}}});
    inside.ask("update", add.clone()).await;
    documents.ask("update", add.clone()).await;
    is_conflict(&transaction.commit().await);
    assert_eq!(documents.one(json!(1)).await["n"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn write_skew_between_two_documents_is_refused() {
    let (cluster, documents) = start("write-skew").await;
    let http = cluster.nodes[0].http();
    documents.insert_all(["ada", "bob"].map(|id| json!({"_id": id, "on_call": true}))).await;
    let (one, seen_by_one) = begin(&http, &documents).await;
    let (other, seen_by_other) = begin(&http, &documents).await;
    for (inside, me, colleague) in [(&seen_by_one, "ada", "bob"), (&seen_by_other, "bob", "ada")] {
        assert_eq!(inside.get(&format!("documents/{colleague}")).await.json()["on_call"], true);
        inside.ask("update", set(me, "on_call", false)).await;
    }
    is_committed(other.commit().await);
    is_conflict(&one.commit().await);
    assert_eq!(documents.count(json!({"on_call": true})).await, 1);
}

/// The same with a count, whose read set has no ids; with an index and without.
#[tokio::test(flavor = "multi_thread")]
async fn write_skew_by_a_count_is_refused() {
    let (cluster, documents) = start("count-skew").await;
    let http = cluster.nodes[0].http();
    for indexed in [false, true] {
        if indexed {
            documents.index(json!({"on_call": 1}), json!({})).await;
        }
        documents.ask("delete", json!({"filter": {}, "multi": true})).await;
        let staff = ["ada", "bob", "eve"];
        documents.insert_all(staff.map(|id| json!({"_id": id, "on_call": id != "eve"}))).await;
        let (one, seen_by_one) = begin(&http, &documents).await;
        let (other, seen_by_other) = begin(&http, &documents).await;
        for (inside, me) in [(&seen_by_one, "ada"), (&seen_by_other, "bob")] {
            assert_eq!(inside.count(json!({"on_call": true})).await, 2);
            inside.ask("update", set(me, "on_call", false)).await;
        }
        is_committed(one.commit().await);
        is_conflict(&other.commit().await);
        assert_eq!(documents.count(json!({"on_call": true})).await, 1, "indexed: {indexed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phantom_in_a_range_is_refused() {
    let (cluster, documents) = start("phantom").await;
    let http = cluster.nodes[0].http();
    let range = json!({"filter": {"n": {"$gte": 10, "$lt": 20}}});
    for (round, indexed) in [false, true].into_iter().enumerate() {
        if indexed {
            documents.index(json!({"n": 1}), json!({})).await;
        }
        documents.ask("delete", json!({"filter": {}, "multi": true})).await;
        documents.insert_all((0..30).map(|n| json!({"_id": n, "n": n * 3}))).await;
        // Inserted into the range, moved into it, removed from it.
        let changes = [
            ("update", json!({"filter": {"_id": 0}, "update": {"$set": {"n": 11}}})),
            ("delete", json!({"filter": {"_id": 4}})),
            ("documents", json!({"_id": format!("new{round}"), "n": 14})),
        ];
        for (action, change) in changes {
            let (transaction, inside) = begin(&http, &documents).await;
            let found = inside.find(range.clone()).await;
            assert!(found.len() >= 3, "{found:?}");
            inside.ask("documents", json!({"found": found.len()})).await;
            documents.ask(action, change).await;
            let seen = inside.find(range.clone()).await;
            assert_eq!(seen, found, "{action}: the same query, another answer");
            is_conflict(&transaction.commit().await);
        }
        assert_eq!(documents.count(json!({"found": {"$exists": true}})).await, 0);
    }
}

/// More rows are read than the transaction records individually.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_large_collection_that_was_read_is_refused() {
    let (cluster, documents) = start("large-read").await;
    let http = cluster.nodes[0].http();
    let results = Documents::new(http.clone(), "shop", "results");
    documents.index(json!({"n": 1}), json!({})).await;
    documents.insert_all((0..READ_ROWS).map(|n| json!({"_id": n, "n": n}))).await;
    let drop = "/api/cols?db=shop&col=stock";
    for (round, hint) in ["$natural", "n_1", "$natural"].into_iter().enumerate() {
        let all = json!({"filter": {"n": {"$gte": 0}}, "hint": hint});
        let (transaction, inside) = begin(&http, &documents).await;
        let before = inside.ask("count", all.clone()).await;
        let seen_results = transaction.see(&results);
        seen_results.ask("documents", before.clone()).await;
        match round {
            2 => http.curl("DELETE", drop, "").await.ok(),
            _ => documents.post("documents", json!({"n": READ_ROWS + round})).await.ok(),
        };
        assert_eq!(inside.ask("count", all).await, before, "{hint}");
        transaction.commit().await.refused(409, "transaction_conflict");
        assert_eq!(results.get("count").await.json()["count"].as_u64().unwrap_or(0), 0, "{hint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_see_one_snapshot_and_never_conflict() {
    let (cluster, documents) = start("read-skew").await;
    documents.index(json!({"n": 1}), json!({})).await;
    documents.insert_all(["a", "b"].map(|id| json!({"_id": id, "n": 50}))).await;
    let (transaction, inside) = begin(&cluster.nodes[0].http(), &documents).await;
    assert_eq!(inside.one(json!("a")).await["n"], 50);
    documents.ask("update", set("a", "n", 0)).await;
    documents.ask("update", set("b", "n", 100)).await;
    documents.insert_all([json!({"_id": "c", "n": 50})]).await;
    documents.ask("delete", json!({"filter": {"_id": "a"}})).await;
    assert_eq!(inside.get("documents/b").await.ok().json()["n"], 50);
    assert_eq!(inside.ids(json!({"filter": {"n": 50}})).await, json!(["a", "b"]));
    assert_eq!(inside.count(json!({"n": {"$gt": 60}})).await, 0);
    let sum = json!({"pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$n"}}}]});
    assert_eq!(inside.ask("aggregate", sum).await["documents"][0]["sum"], 100);
    assert_eq!(inside.ask("distinct", json!({"field": "n"})).await["values"], json!([50]));
    assert_eq!(inside.get("documents/c").await.status, 404);
    is_committed(transaction.commit().await);
}

/// The snapshot is that of the begin, even if the first read comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_wrote_after_stale_reads_is_refused() {
    let (cluster, documents) = start("stale-read").await;
    documents.insert_all(["a", "b"].map(|id| json!({"_id": id, "n": 1}))).await;
    let (transaction, inside) = begin(&cluster.nodes[0].http(), &documents).await;
    documents.ask("update", set("a", "n", 2)).await;
    assert_eq!(inside.one(json!("a")).await["n"], 1, "the state of the beginning");
    inside.ask("update", set("b", "n", 3)).await;
    is_conflict(&transaction.commit().await);
    assert_eq!(documents.one(json!("b")).await["n"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_without_overlap_are_both_committed() {
    let (cluster, documents) = start("apart").await;
    let http = cluster.nodes[0].http();
    documents.insert_all(["a", "b"].map(|id| json!({"_id": id, "n": 1}))).await;
    let (one, seen_by_one) = begin(&http, &documents).await;
    let (other, seen_by_other) = begin(&http, &documents).await;
    seen_by_one.ask("update", set("a", "n", 2)).await;
    seen_by_other.ask("update", set("b", "n", 3)).await;
    is_committed(one.commit().await);
    let committed = other.commit().await.ok();
    assert_eq!(committed.json()["writes"], 1, "{}", committed.text);
    assert_eq!(documents.one(json!("a")).await["n"], 2);
    assert_eq!(documents.one(json!("b")).await["n"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_inserts_of_one_id_or_unique_value_one_is_refused() {
    let (cluster, documents) = start("unique").await;
    let http = cluster.nodes[0].http();
    documents.index(json!({"mail": 1}), json!({"unique": true, "sparse": true})).await;
    let pairs = [
        [json!({"_id": 1, "by": "one"}), json!({"_id": 1, "by": "other"})],
        [
            json!({"_id": 2, "mail": "m", "by": "one"}),
            json!({"_id": 3, "mail": "m", "by": "other"}),
        ],
    ];
    for [first, second] in pairs {
        let (one, seen_by_one) = begin(&http, &documents).await;
        let (other, seen_by_other) = begin(&http, &documents).await;
        seen_by_one.ask("documents", first).await;
        seen_by_other.ask("documents", second).await;
        is_committed(one.commit().await);
        let refused = other.commit().await;
        assert_eq!(refused.status, 409, "{} {}", refused.status, refused.text);
        let kept = documents.count(json!({"by": "other"})).await;
        assert_eq!(kept, 0, "both were inserted");
    }
    let (transaction, inside) = begin(&http, &documents).await;
    let known = inside.post("documents", json!({"_id": 1})).await;
    known.refused(409, "duplicate_id");
    let known = inside.post("documents", json!({"_id": 9, "mail": "m"})).await;
    known.refused(409, "unique_violation");
    transaction.roll_back().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_visible_inside_and_only_after_the_commit_outside() {
    let (cluster, documents) = start("own-writes").await;
    documents.index(json!({"n": 1}), json!({})).await;
    documents.insert_all((1..=5).map(|n| json!({"_id": n, "n": n * 10}))).await;
    let (transaction, inside) = begin(&cluster.nodes[0].http(), &documents).await;
    inside.ask("documents", json!({"_id": 6, "n": 15})).await;
    inside.call("PUT", "documents/7", json!({"n": 45})).await.ok();
    inside.call("PATCH", "documents/1", json!({"n": 35})).await.ok();
    inside.ask("delete", json!({"filter": {"_id": 3}})).await;
    inside.call("DELETE", "documents/5", Value::Null).await.ok();
    let before = documents.find(json!({})).await;
    assert_eq!(before.len(), 5, "something is seen outside: {before:?}");

    assert_eq!(inside.get("documents/6").await.ok().json()["n"], 15);
    assert_eq!(inside.get("documents/3").await.status, 404);
    let sorted = json!({"filter": {"n": {"$gt": 10}}, "sort": {"n": 1}});
    let expected = json!([6, 2, 1, 4, 7]);
    assert_eq!(inside.ids(sorted.clone()).await, expected);
    for hint in [json!("n_1"), json!("$natural")] {
        let hinted = json!({"filter": {"n": {"$gt": 10}}, "sort": {"n": 1}, "hint": hint});
        assert_eq!(inside.ids(hinted).await, expected, "{hint}");
    }
    let down = json!({"filter": {"n": {"$lt": 40}}, "sort": {"n": -1}, "limit": 2});
    assert_eq!(inside.ids(down).await, json!([1, 2]));
    let mut paged = inside.pages(&sorted, 2, async || {}).await;
    assert_eq!(paged.iter_mut().map(|one| one["_id"].take()).collect::<Value>(), expected);
    assert_eq!(inside.ids(json!({})).await, json!([1, 2, 4, 6, 7]));
    assert_eq!(inside.count(json!({"n": {"$gt": 10}})).await, 5);
    assert_eq!(inside.count(json!({})).await, 5);
    let sum = json!({"pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$n"}}}]});
    assert_eq!(inside.ask("aggregate", sum).await["documents"][0]["sum"], 155);
    let distinct = inside.ask("distinct", json!({"field": "n"})).await;
    assert_eq!(distinct["values"], json!([15, 20, 35, 40, 45]));

    let add = json!({"filter": {"n": {"$lte": 20}}, "update": {"$inc": {"n": 1}}, "multi": true});
    assert_eq!(inside.ask("update", add).await["modified"], 2, "of 15 and 20");
    let upsert = json!({"filter": {"_id": 8}, "update": {"$inc": {"n": 1}}, "upsert": true});
    for _ in 0..2 {
        inside.ask("update", upsert.clone()).await;
    }
    let deleted = inside.ask("delete", json!({"filter": {"n": {"$gt": 39}}, "multi": true})).await;
    assert_eq!(deleted["deleted"], 2, "{deleted}");
    let modify = json!({"filter": {"n": 35}, "update": {"$set": {"n": 36}}, "return": "after"});
    inside.ask("find-and-modify", modify).await;
    let bulk = json!({"operations": [
        {"insertOne": {"document": {"_id": 9, "n": 0}}},
        {"updateOne": {"filter": {"_id": 9}, "update": {"$inc": {"n": 5}}}},
    ]});
    inside.ask("bulk", bulk).await;
    is_committed(transaction.commit().await);
    let after = documents.find(json!({"sort": {"_id": 1}, "projection": {"n": 1}})).await;
    let expected = [(1, 36), (2, 21), (6, 16), (8, 2), (9, 5)];
    assert_eq!(after, expected.map(|(id, n)| json!({"_id": id, "n": n})));
    let indexed = json!({"filter": {"n": {"$gte": 0}}, "hint": "n_1"});
    assert_eq!(documents.ids(indexed).await.as_array().map(Vec::len), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leaves_nothing() {
    let (cluster, documents) = start("rollback").await;
    let http = cluster.nodes[0].http();
    documents.insert_all([json!({"_id": 1, "n": 1})]).await;
    let (transaction, inside) = begin(&http, &documents).await;
    inside.ask("update", set(1, "n", 2)).await;
    inside.ask("documents", json!({"_id": 2})).await;
    let elsewhere = transaction.see(&Documents::new(http.clone(), "shop", "new"));
    elsewhere.ask("documents", json!({"_id": 3})).await;
    assert_eq!(transaction.roll_back().await.status, 204);
    assert_eq!(documents.find(json!({})).await, [json!({"_id": 1, "n": 1})]);
    let collections = http.get("/api/dbs/shop/cols").await.ok();
    assert!(!collections.text.contains("new"), "{}", collections.text);
    transaction.commit().await.refused(409, "transaction_lost");
    inside.post("documents", json!({"_id": 4})).await.refused(409, "transaction_lost");
    assert_eq!(transaction.roll_back().await.status, 204, "twice is fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_leaves_nothing_also_in_other_collections() {
    let (cluster, documents) = start("conflict").await;
    let http = cluster.nodes[0].http();
    documents.insert_all([json!({"_id": 1, "n": 1})]).await;
    let (transaction, inside) = begin(&http, &documents).await;
    let elsewhere = Documents::new(http.clone(), "shop", "orders");
    let orders = transaction.see(&elsewhere);
    inside.ask("update", set(1, "n", 2)).await;
    orders.ask("documents", json!({"_id": "order"})).await;
    documents.ask("update", set(1, "n", 9)).await;
    is_conflict(&transaction.commit().await);
    assert_eq!(documents.one(json!(1)).await["n"], 9);
    assert_eq!(elsewhere.get("documents/order").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_commit_returns_the_first_outcome() {
    let (mut cluster, documents) = start("repeated").await;
    let http = cluster.nodes[0].http();
    documents.insert_all([json!({"_id": 1, "n": 1})]).await;
    let (transaction, inside) = begin(&http, &documents).await;
    let add = json!({"filter": {"_id": 1}, "update": {"$inc": {"n": 1}}});
    inside.ask("update", add).await;
    let first = transaction.commit().await.ok();
    for round in 0..3 {
        if round == 2 {
            cluster.crash_and_restart(0);
            cluster.wait_health(0, "ok").await;
        }
        let again = transaction.commit().await.ok();
        assert_eq!(again.json(), first.json(), "round {round}");
        assert_eq!(documents.one(json!(1)).await["n"], 2, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_transactions_are_listed_and_can_be_ended() {
    let (cluster, documents) = start("list").await;
    let http = cluster.nodes[0].http();
    let (transaction, inside) = begin(&http, &documents).await;
    assert_eq!(transaction.info().await["writes"], 0);
    inside.ask("documents", json!({"_id": 1, "text": "x".repeat(1000)})).await;
    let info = transaction.info().await;
    assert_eq!((&info["user"], &info["writes"]), (&json!("admin"), &json!(1)), "{info}");
    assert!(info["bytes"].as_u64() >= Some(1000), "{info}");
    transaction.roll_back().await.ok();
    assert_eq!(transaction.info().await, Value::Null);
    let unknown = format!("{TRANSACTIONS}/0198c0de-0000-7000-8000-000000000000");
    assert_eq!(http.curl("DELETE", &unknown, "").await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_not_allowed_in_a_transaction_are_refused_and_it_stays_open() {
    let (cluster, documents) = start("not-inside").await;
    let http = cluster.nodes[0].http();
    let (transaction, inside) = begin(&http, &documents).await;
    inside.ask("documents", json!({"_id": 1})).await;
    let tx = format!("tx={}", transaction.id);
    let index = inside.post("indexes", json!({"keys": {"n": 1}})).await;
    index.refused(422, "not_in_transaction");
    let schema = inside.call("PUT", "schema", json!({"schema": {}})).await;
    schema.refused(422, "not_in_transaction");
    let drop = http.curl("DELETE", &format!("/api/cols?db=shop&col=stock&{tx}"), "").await;
    drop.refused(422, "not_in_transaction");
    let create = format!("/api/dbs?{tx}");
    http.post(&create, &json!({"name": "other"})).await.refused(422, "not_in_transaction");
    is_committed(transaction.commit().await);
    assert_eq!(documents.count(json!({})).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_or_forgotten_transaction_is_lost() {
    let adjust = |settings: Settings| settings.key("TransactionIdleMs", 300);
    let cluster = Cluster::start_with("transactions-idle", 1, adjust).await;
    let documents = prepare(&cluster).await;
    let http = cluster.nodes[0].http();
    let unknown = documents.with("tx=0198c0de-0000-7000-8000-000000000000");
    unknown.post("documents", json!({"_id": 1})).await.refused(409, "transaction_lost");
    unknown.get("documents/1").await.refused(409, "transaction_lost");
    let (transaction, inside) = begin(&http, &documents).await;
    inside.ask("documents", json!({"_id": 1})).await;
    wait_until("the transaction ends by itself", async || match transaction.info().await {
        Value::Null => Ok(()),
        info => Err(info.to_string()),
    })
    .await;
    inside.post("documents", json!({"_id": 2})).await.refused(409, "transaction_lost");
    transaction.commit().await.refused(409, "transaction_lost");
    assert_eq!(documents.count(json!({})).await, 0, "an idle transaction was carried out");
}

/// Symptom: a commit that waited for the first one was answered that the transaction is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_sent_twice_at_once_is_answered_alike() {
    let cluster = Cluster::start("transactions-twice", 3).await;
    let documents = prepare(&cluster).await;
    for number in 0..30 {
        let http = cluster.nodes[number % 3].http();
        let (transaction, inside) = begin(&http, &documents).await;
        inside.ask("documents", json!({"_id": number})).await;
        let again = transaction.through(cluster.nodes[(number + 1) % 3].http());
        let (one, two) = tokio::join!(transaction.commit(), again.commit());
        is_committed(one);
        is_committed(two);
    }
    assert_eq!(documents.count(json!({})).await, 30);
}

/// Symptom: a leader that had lost the leadership and got it back committed a transaction that its
/// successor had called lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_called_lost_is_never_committed() {
    let cluster = Cluster::start("transactions-never", 3).await;
    let documents = prepare(&cluster).await;
    let first = cluster.leader().await;
    let other = (first + 1) % 3;
    let (one, inside) = begin(&cluster.nodes[first].http(), &documents).await;
    inside.ask("documents", json!({"_id": "one"})).await;
    let (two, inside) = begin(&cluster.nodes[first].http(), &documents).await;
    inside.ask("documents", json!({"_id": "two"})).await;
    cluster.lead_with(other).await;
    let elsewhere = cluster.nodes[other].http();
    one.through(elsewhere.clone()).commit().await.refused(409, "transaction_lost");
    assert_eq!(two.through(elsewhere).roll_back().await.status, 204);
    cluster.lead_with(first).await;
    for transaction in [one, two] {
        transaction.commit().await.refused(409, "transaction_lost");
        transaction.commit().await.refused(409, "transaction_lost");
    }
    assert_eq!(documents.count(json!({})).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_grows_too_large_is_refused() {
    let adjust = |settings: Settings| settings.key("TransactionMb", 1);
    let cluster = Cluster::start_with("transactions-large", 1, adjust).await;
    let documents = prepare(&cluster).await;
    let (transaction, inside) = begin(&cluster.nodes[0].http(), &documents).await;
    let half = "x".repeat(600 << 10);
    inside.ask("documents", json!({"_id": 1, "text": half})).await;
    let refused = inside.post("documents", json!({"_id": 2, "text": half})).await;
    refused.refused(413, "transaction_too_large");
    transaction.roll_back().await.ok();
    assert_eq!(documents.count(json!({})).await, 0);
}

/// The calls of JettraDBVM: `/api/tx/*`, and `txID=` on its document calls.
#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_jettradbvm_run_transactions() {
    let cluster = Cluster::start("transactions-jettradbvm", 3).await;
    let documents = prepare(&cluster).await;
    let call = async |node: usize, method: &str, target: String, body: &str| {
        cluster.nodes[node].http().curl(method, &target, body).await
    };
    for (round, parameter) in ["tx", "txID"].into_iter().enumerate() {
        let begun = call(round, "POST", "/api/tx/begin".into(), "").await.ok().json();
        let id = begun["txID"].as_str().expect("an id").to_owned();
        let at = |rest: &str| format!("/api/doc?db=shop&col=stock{rest}&{parameter}={id}");
        for node in 0..3 {
            call(node, "POST", at(""), &format!("{{\"_id\": \"d{node}\"}}")).await.ok();
        }
        call(1, "DELETE", at("&id=d1"), "").await.ok();
        call(2, "PUT", at("&id=d2"), r#"{"n": 1}"#).await.ok();
        assert_eq!(call(0, "GET", at("&id=d2"), "").await.ok().json()["n"], 1);
        let count = format!("/api/count?db=shop&col=stock&{parameter}={id}");
        assert_eq!(call(2, "GET", count, "").await.ok().json()["count"], 2);
        let query = format!("/api/query?db=shop&col=stock&{parameter}={id}");
        let found = call(1, "GET", query, "").await.ok().json();
        assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
        assert_eq!(documents.count(json!({})).await, 0);
        let (end, word, left) = match round {
            0 => ("rollback", "rolledback", 0),
            _ => ("commit", "committed", 2),
        };
        for node in 0..2 {
            let ended = call(node, "POST", format!("/api/tx/{end}?txID={id}"), "").await.ok();
            assert_eq!(ended.json()["status"], word, "{}", ended.text);
        }
        assert_eq!(documents.count(json!({})).await, left);
    }
    let lost = call(0, "POST", "/api/tx/commit?txID=nonsense".into(), "").await;
    assert_eq!(lost.status / 100, 4, "{} {}", lost.status, lost.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_usable_through_every_node_and_ends_with_its_leader() {
    let mut cluster = Cluster::start("transactions-leader", 3).await;
    let documents = prepare(&cluster).await;
    documents.insert_all([json!({"_id": "a", "n": 1}), json!({"_id": "b", "n": 1})]).await;
    let https: Vec<_> = cluster.nodes.iter().map(|node| node.http()).collect();
    let transaction = OpenTransaction::begin(&https[1]).await;
    for (node, id) in [(0, "a"), (1, "b")] {
        let inside = transaction.through(https[node].clone()).see(&documents);
        inside.ask("update", set(id, "n", 2)).await;
    }
    let inside = transaction.through(https[2].clone()).see(&documents);
    assert_eq!(inside.count(json!({"n": 2})).await, 2);
    is_committed(transaction.through(https[2].clone()).commit().await);
    assert_eq!(documents.count(json!({"n": 2})).await, 2);

    let open = OpenTransaction::begin(&https[0]).await;
    open.see(&documents).ask("update", set("a", "n", 3)).await;
    open.see(&documents).ask("delete", json!({"filter": {"_id": "b"}})).await;
    let leader = cluster.leader().await;
    let left = cluster.follower().await;
    cluster.nodes[leader].kill();
    cluster.leader().await;
    let through = open.through(https[left].clone());
    let inside = through.see(&documents);
    inside.post("update", set("a", "n", 4)).await.refused(409, "transaction_lost");
    through.commit().await.refused(409, "transaction_lost");
    // The new leader also knows the outcome of earlier commits.
    is_committed(transaction.through(https[left].clone()).commit().await);
    let outside = documents.through(https[left].clone());
    assert_eq!(outside.count(json!({"n": 2})).await, 2, "half of it was carried out");
}
