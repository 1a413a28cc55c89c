//! Updates, deletions, bulk writes, upserts and patches.

use super::three;
use jettra_tests::documents::insert;
use jettra_tests::{Answer, send};
use serde_json::{Value, json};

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
