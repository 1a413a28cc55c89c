//! Aggregation pipelines that read and write.

use super::{alone, three};
use jettra_tests::Documents;
use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_not_always_the_same() {
    let (_bed, _node, documents) = alone("sample").await;
    documents.insert_all((0..2_000).map(|number| json!({"_id": number}))).await;
    let mut samples = Vec::new();
    for _ in 0..5 {
        let one = documents.ask("aggregate", json!({"pipeline": [{"$sample": {"size": 9}}]})).await;
        samples.push(one.to_string());
    }
    samples.dedup();
    assert!(samples.len() > 1, "{samples:?}");
}
