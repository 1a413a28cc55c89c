//! Finding and counting documents: filters, sorts, projections, statements, hints.

use super::{alone, three};
use jettra_driver::wire::StatementReply;
use jettra_tests::Answer;
use jettra_tests::documents::stages;
use serde_json::{Value, json};

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
