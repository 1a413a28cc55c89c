//! What `explain` says of queries, counts and writes.

use super::alone;
use jettra_tests::Documents;
use jettra_tests::documents::stages;
use serde_json::{Value, json};

fn numbered() -> impl Iterator<Item = Value> {
    (0..2_000).map(|number| json!({"_id": number, "k": number * 7 % 2_000, "g": number % 4}))
}

async fn index_numbered(documents: &Documents) {
    documents.index(json!({"k": 1}), json!({})).await;
    documents.index(json!({"g": 1, "k": -1}), json!({"name": "grouped"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_describes_what_is_read() {
    let (_bed, _node, documents) = alone("explain").await;
    documents.insert_all(numbered()).await;
    let sorted = json!({"sort": {"k": 1}, "limit": 20});
    let plan = documents.explain(sorted.clone()).await;
    assert_eq!(stages(&plan), ["SORT", "COLLSCAN"], "{plan}");
    assert_eq!(plan["executionStats"]["totalDocsExamined"], 2_000, "{plan}");
    index_numbered(&documents).await;
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
    let beginning = documents.explain(json!({"filter": {"_id": {"$regex": "^a"}}})).await;
    assert_eq!(beginning["executionStats"]["totalDocsExamined"], 0, "{beginning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_writes_are_explained_without_being_carried_out() {
    let (_bed, _node, documents) = alone("explain-writes").await;
    documents.insert_all(numbered()).await;
    index_numbered(&documents).await;
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
