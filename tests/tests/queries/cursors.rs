//! Pages of a query: each document once, whatever changes meanwhile and whatever the sort compares.

use super::{alone, three};
use jettra_tests::Documents;
use jettra_tests::documents::insert;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

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
