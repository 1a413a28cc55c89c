//! Rules in `_rules` and JSON Schemas over HTTP: which documents they refuse, and the errors.

use jettra_tests::documents::insert;
use jettra_tests::{Answer, Cluster, Documents};
use serde_json::{Value, json};

/// A cluster of three nodes with rules for the collection `shop.c`, used through a follower.
async fn three(name: &str, rules: Value) -> (Cluster, Documents) {
    let cluster = Cluster::start(name, 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let http = cluster.nodes[cluster.follower().await].http();
    http.post("/api/doc?db=shop&col=_rules", &rules).await.ok();
    (cluster, Documents::new(http, "shop", "c"))
}

/// Checks that a response refuses a document because of this rule.
#[track_caller]
fn breaks(answer: &Answer, path: &str, rule: &str, expected: &str) {
    answer.refused(422, "validation_failed");
    let violations = answer.json()["error"]["details"]["violations"].clone();
    let mut all = violations.as_array().expect("violations").iter();
    let found =
        all.any(|it| it["path"] == path && it["rule"] == rule && it["expected"] == expected);
    assert!(found, "{path} {rule} {expected}: {violations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_rule_refuses_what_breaks_it() {
    let rules = json!({"_id": "r", "c": [
        {"name": {"type": "validation", "value": "notnull"}},
        {"tags": {"type": "not_empty"}},
        {"age": {"type": "non_negative"}},
        {"low": {"type": "min_value", "value": 2.5}},
        {"high": {"type": "max_value", "value": "7"}},
        {"between": {"type": "range", "value": "1, 9.5"}},
        {"lines.price": {"type": "range", "value": [0, 100]}},
    ]});
    let (cluster, documents) = three("rules", rules).await;
    let good = json!({
        "name": "", "tags": ["x"], "age": 0, "low": 2.5, "high": 7, "between": 9.5,
        "lines": [{"price": 0}, {"price": 100}],
    });
    let insert = async |document: Value| documents.call("POST", "documents", document).await;
    insert(good.clone()).await.ok();
    insert(json!({"name": 0, "tags": 0, "low": "text", "lines": []})).await.ok();
    for (path, value, rule, expected) in [
        ("name", json!(null), "not_null", "present and not null"),
        ("tags", json!([]), "not_empty", "present and not empty"),
        ("tags", json!(""), "not_empty", "present and not empty"),
        ("age", json!(-1), "non_negative", "at least 0"),
        ("low", json!(2), "min_value", "at least 2.5"),
        ("high", json!(7.5), "max_value", "at most 7"),
        ("between", json!(0), "range", "from 1 to 9.5"),
    ] {
        let mut wrong = good.clone();
        wrong[path] = value;
        breaks(&insert(wrong).await, path, rule, expected);
    }
    let mut lines = good.clone();
    lines["lines"][1]["price"] = json!(101);
    breaks(&insert(lines).await, "lines.price", "range", "from 0 to 100");
    let two = insert(json!({"age": -5})).await;
    breaks(&two, "name", "not_null", "present and not null");
    breaks(&two, "tags", "not_empty", "present and not empty");
    breaks(&two, "age", "non_negative", "at least 0");
    assert_eq!(documents.count(json!({})).await, 2);
    // In whichever way a document is written.
    documents.call("PUT", "documents/p", good.clone()).await.ok();
    let set = json!({"$set": {"age": -1}});
    let one = json!({"_id": "p"});
    let ways = [
        documents.call("PUT", "documents/p", json!({"name": "x", "tags": [1], "age": -1})).await,
        documents.call("PATCH", "documents/p", json!({"age": -1})).await,
        documents.call("PATCH", "documents/p", set.clone()).await,
        documents.post("update", json!({"filter": one, "update": set})).await,
        documents.post("update", json!({"filter": {}, "update": {"$inc": {"age": -1}}, "multi": true})).await,
        documents.post("update", json!({"filter": {"_id": "q", "name": 1, "tags": 1}, "update": set, "upsert": true})).await,
        documents.post("find-and-modify", json!({"filter": one, "update": set})).await,
        documents.post("replace", json!({"filter": one, "replacement": {"name": 1, "tags": 1, "age": -1}})).await,
        documents.post("bulk", json!({"operations": [{"updateOne": {"filter": one, "update": set}}]})).await,
    ];
    for (number, way) in ways.iter().enumerate() {
        way.refused(422, "validation_failed");
        assert!(way.text.contains("non_negative"), "{number}: {}", way.text);
    }
    let old = cluster.nodes[0].http().post("/api/doc?db=shop&col=c", &json!({"age": -1})).await;
    breaks(&old, "age", "non_negative", "at least 0");
    for node in &cluster.nodes {
        let there = documents.through(node.http());
        assert_eq!(there.count(json!({"age": 0})).await, 2, "on {}", node.name);
        assert_eq!(there.count(json!({})).await, 3, "on {}", node.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_invalid_rules_name_their_place() {
    let (cluster, documents) = three("rules-bad", json!({"_id": "r"})).await;
    let http = cluster.nodes[1].http();
    let save = async |rules: Value| http.post("/api/doc?db=shop&col=_rules", &rules).await;
    for (rules, path) in [
        (json!({"c": {"age": {"type": "not_null"}}}), "_rules.c"),
        (json!({"c": [7]}), "_rules.c[0]"),
        (json!({"c": [{"age": "not_null"}]}), "_rules.c[0].age"),
        (json!({"c": [{"age": {"type": "nul"}}]}), "_rules.c[0].age.type"),
        (json!({"c": [{"age": {"type": "validation", "value": "x"}}]}), "_rules.c[0].age.value"),
        (json!({"c": [{"age": {"type": "min_value", "value": "x"}}]}), "_rules.c[0].age.value"),
        (json!({"c": [{"age": {"type": "range", "value": "9,1"}}]}), "_rules.c[0].age.value"),
        (json!({"c": [{"age": {"type": "referenced"}}]}), "_rules.c[0].age.collectionreferenced"),
    ] {
        let answer = save(rules.clone()).await;
        answer.refused(400, "invalid_query");
        assert_eq!(answer.json()["error"]["details"]["path"], path, "{rules}: {}", answer.text);
    }
    documents.call("POST", "documents", json!({"age": null})).await.ok();
    // Rules apply from when they are written until they are deleted; existing documents may stay.
    save(json!({"_id": "late", "c": [{"age": {"type": "not_null"}}]})).await.ok();
    breaks(
        &documents.call("POST", "documents", json!({})).await,
        "age",
        "not_null",
        "present and not null",
    );
    http.curl("DELETE", "/api/doc?db=shop&col=_rules&id=late", "").await.ok();
    documents.call("POST", "documents", json!({})).await.ok();
    assert_eq!(documents.count(json!({})).await, 2);
}

/// A cluster in which documents of `shop.c` refer to each other and to those of `shop.teams`: the
/// cluster, `c` and `teams`.
async fn with_references(name: &str) -> (Cluster, Documents, Documents) {
    let reference = |target: &str, field: &str| json!({"type": "referenced", "collectionreferenced": target, "externalfield": field});
    let rules = json!({"_id": "r", "c": [
        {"team": reference("teams", "_id")},
        {"codes": reference("teams", "code")},
        {"boss": reference("c", "_id")},
    ]});
    let (cluster, documents) = three(name, rules).await;
    let http = cluster.nodes[cluster.follower().await].http();
    let teams = Documents::new(http, "shop", "teams");
    (cluster, documents, teams)
}

#[tokio::test(flavor = "multi_thread")]
async fn references_hold_in_both_directions() {
    let (_cluster, documents, teams) = with_references("references").await;
    let dangling = documents.call("POST", "documents", json!({"team": 1})).await;
    breaks(&dangling, "team", "referenced", "the _id of a document in teams");
    teams
        .insert_all([
            json!({"_id": 1, "code": "a"}),
            json!({"_id": 2, "code": "b"}),
            json!({"_id": 3, "code": "c"}),
        ])
        .await;
    documents
        .insert_all([
            json!({"_id": "ada", "team": 1, "codes": ["a", "b"], "boss": "ada"}),
            json!({"_id": "bob", "team": {"_id": 2, "name": "x"}, "boss": "ada"}),
            json!({"_id": "cyd", "team": null}),
        ])
        .await;
    let dangling = documents.call("PATCH", "documents/bob", json!({"team": 9})).await;
    breaks(&dangling, "team", "referenced", "the _id of a document in teams");
    let dangling = documents.call("PATCH", "documents/cyd", json!({"codes": ["a", "z"]})).await;
    breaks(&dangling, "codes", "referenced", "the code of a document in teams");
    for refused in [
        teams.call("DELETE", "documents/1", json!(null)).await,
        teams.call("DELETE", "documents/2", json!(null)).await,
        teams.call("PATCH", "documents/2", json!({"code": "z"})).await,
        teams.call("PUT", "documents/1", json!({})).await,
        teams.post("delete", json!({"filter": {}, "multi": true})).await,
        teams
            .post("update", json!({"filter": {"_id": 1}, "update": {"$unset": {"code": ""}}}))
            .await,
        documents.call("DELETE", "documents/ada", json!(null)).await,
    ] {
        refused.refused(422, "referenced");
        assert!(
            refused.json()["error"]["details"]["referencedBy"]["collection"] == "c",
            "{}",
            refused.text
        );
    }
    assert_eq!(teams.count(json!({})).await, 3, "a refused delete of many deleted some");
    teams.call("DELETE", "documents/3", json!(null)).await.ok();
    teams.call("PATCH", "documents/1", json!({"name": "first"})).await.ok();
    documents.call("PATCH", "documents/bob", json!({"boss": null, "team": 1})).await.ok();
    teams.call("PATCH", "documents/2", json!({"name": "second"})).await.ok();
    documents.call("PATCH", "documents/ada", json!({"codes": ["a"], "boss": null})).await.ok();
    teams.call("DELETE", "documents/2", json!(null)).await.ok();
    documents.call("DELETE", "documents/ada", json!(null)).await.ok();
    teams.call("DELETE", "documents/1", json!(null)).await.refused(422, "referenced");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_hold_when_collections_are_replaced_dropped_and_renamed() {
    let (cluster, documents, teams) = with_references("references-whole").await;
    let http = cluster.nodes[cluster.follower().await].http();
    teams.insert_all([json!({"_id": 1, "code": "a"}), json!({"_id": 5, "code": "e"})]).await;
    documents.insert_all([json!({"_id": "bob", "team": 1})]).await;
    let empty = json!({"pipeline": [{"$match": {"_id": -1}}, {"$out": "teams"}]});
    let fewer = json!({"pipeline": [{"$match": {"_id": 5}}, {"$out": "teams"}]});
    for refused in [
        teams.post("aggregate", empty).await,
        teams.post("aggregate", fewer).await,
        http.curl("DELETE", "/api/cols?db=shop&col=teams", "").await,
    ] {
        refused.refused(422, "referenced");
        assert_eq!(refused.json()["error"]["details"]["value"], 1, "{}", refused.text);
        assert_eq!(teams.ids(json!({})).await, json!([1, 5]));
    }
    let enough = json!({"pipeline": [{"$match": {"_id": 1}}, {"$out": "teams"}]});
    teams.post("aggregate", enough).await.ok();
    assert_eq!(teams.ids(json!({})).await, json!([1]));
    let rename = async |from: &str, to: &str| {
        let body = json!({"database": "shop", "oldName": from, "newName": to});
        http.post("/api/cols/rename", &body).await.ok();
    };
    rename("teams", "groups").await;
    rename("c", "members").await;
    let groups = Documents::new(http.clone(), "shop", "groups");
    let members = Documents::new(http.clone(), "shop", "members");
    members.call("PATCH", "documents/bob", json!({"age": 5})).await.ok();
    let dangling = members.call("PATCH", "documents/bob", json!({"team": 9})).await;
    breaks(&dangling, "team", "referenced", "the _id of a document in groups");
    groups.call("DELETE", "documents/1", json!(null)).await.refused(422, "referenced");
    rename("members", "c").await;
    rename("groups", "teams").await;
    // Each side of a reference has an index, because each write to the other side looks it up.
    for node in &cluster.nodes {
        let names = |there: Documents| async move {
            let indexes = there.get("indexes").await.ok().json()["indexes"].clone();
            let mut names: Vec<_> = indexes
                .as_array()
                .expect("a list")
                .iter()
                .map(|index| index["name"].to_string())
                .collect();
            names.sort();
            names.join(" ").replace('"', "")
        };
        assert_eq!(names(teams.through(node.http())).await, "code_1");
        let own = names(documents.through(node.http())).await;
        assert_eq!(own, "boss._id_1 boss_1 codes.code_1 codes_1 team._id_1 team_1");
    }
}

/// A schema for documents with a name and lines that have prices.
fn schema_of_names() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "lines": {"type": "array", "items": {"properties": {"price": {"type": "number", "minimum": 0}}}},
        },
    })
}

/// A cluster with a rule for the field `n` of `shop.c`.
async fn with_a_rule(name: &str) -> (Cluster, Documents) {
    three(name, json!({"_id": "r", "c": [{"n": {"type": "max_value", "value": 10}}]})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_refuses_what_breaks_it() {
    let (cluster, documents) = with_a_rule("schema").await;
    documents.insert_all([json!({"_id": "old", "name": 5})]).await;
    let schema = schema_of_names();
    documents.call("PUT", "schema", json!({"schema": schema})).await.ok();
    for node in &cluster.nodes {
        let stored = documents.through(node.http()).get("schema").await.ok().json();
        assert_eq!(stored, json!({"schema": schema, "mode": "error"}));
    }
    let insert_one = async |document: Value| documents.call("POST", "documents", document).await;
    insert_one(json!({"_id": "good", "name": "Ada", "lines": [{"price": 1}]})).await.ok();
    for (document, path, rule) in [
        (json!({"name": "A"}), "name", "minLength"),
        (json!({"name": 5}), "name", "type"),
        (json!({}), "", "required"),
        (
            json!({"name": "Ada", "lines": [{"price": 1}, {"price": -1}]}),
            "lines.1.price",
            "minimum",
        ),
    ] {
        let answer = insert_one(document.clone()).await;
        answer.refused(422, "validation_failed");
        let violation = &answer.json()["error"]["details"]["violations"][0];
        let named = violation["path"].as_str().expect("a path");
        assert!(named == path || rule == "required" && named == "name", "{document}: {violation}");
        assert_eq!(violation["rule"], rule, "{document}: {violation}");
        assert!(violation["expected"].is_string() && violation["found"].is_string(), "{violation}");
    }
    let dry = documents.ask("validate", json!({})).await;
    assert_eq!((&dry["checked"], &dry["invalidCount"]), (&json!(2), &json!(1)), "{dry}");
    assert_eq!(dry["invalid"][0]["document"], "old", "{dry}");
    let dry = documents
        .ask(
            "validate",
            json!({"documents": [{"name": "Bob"}, {"name": "B", "n": 11}], "schema": schema}),
        )
        .await;
    assert_eq!((&dry["checked"], &dry["invalidCount"]), (&json!(2), &json!(1)), "{dry}");
    let rules: Vec<_> = dry["invalid"][0]["violations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["rule"])
        .collect();
    assert_eq!(
        (rules, &dry["invalid"][0]["document"]),
        (vec![&json!("max_value"), &json!("minLength")], &json!(1)),
        "{dry}"
    );
    assert_eq!(documents.count(json!({})).await, 2, "a dry run wrote something");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_warn_mode_a_schema_stores_and_warns() {
    let (_cluster, documents) = with_a_rule("schema-warns").await;
    documents.insert_all([json!({"_id": "good", "name": "Ada"})]).await;
    let insert_one = async |document: Value| documents.call("POST", "documents", document).await;
    documents
        .call("PUT", "schema", json!({"schema": schema_of_names(), "mode": "warn"}))
        .await
        .ok();
    let warned = [
        insert_one(json!({"_id": "w1", "name": "A"})).await.ok(),
        documents
            .post("update", json!({"filter": {"_id": "good"}, "update": {"$set": {"name": 1}}}))
            .await
            .ok(),
        documents
            .post("bulk", json!({"operations": [insert(&json!({"_id": "w2", "name": ""}))]}))
            .await
            .ok(),
    ];
    for answer in warned {
        let warning = &answer.json()["warnings"][0];
        assert_eq!(warning["path"], "name", "{}", answer.text);
    }
    insert_one(json!({"_id": "w3", "name": "Cyd", "n": 11}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(documents.ids(json!({})).await, json!(["good", "w1", "w2"]));
    documents.call("DELETE", "schema", json!(null)).await.ok();
    assert_eq!(documents.get("schema").await.ok().json()["schema"], json!(null));
    assert_eq!(insert_one(json!({"name": 1})).await.ok().json()["warnings"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_definition_is_a_schema_and_bad_schemas_are_refused() {
    let (_cluster, documents) = three("schema-bad", json!({"_id": "r"})).await;
    let put = async |body: Value| documents.call("PUT", "schema", body).await;
    for (body, code) in [
        (json!({}), "invalid_body"),
        (json!({"schema": {}, "definition": {}}), "invalid_body"),
        (json!({"schema": {"type": "strin"}}), "invalid_query"),
        (json!({"schema": 7}), "invalid_query"),
        (json!({"schema": {"properties": {"a": {"pattern": "("}}}}), "invalid_query"),
        (json!({"schema": {"$ref": "http://127.0.0.1:1/x.json"}}), "invalid_query"),
        (json!({"schema": {"$ref": "file:///etc/passwd"}}), "invalid_query"),
        (json!({"definition": {"a": "strin"}}), "invalid_query"),
        (json!({"schema": {}, "mode": "loud"}), "invalid_body"),
    ] {
        let answer = put(body.clone()).await;
        assert!(answer.fault(400, code).is_none(), "{body}: {:?}", answer.fault(400, code));
    }
    let none = documents.get("schema").await;
    none.refused(404, "collection_not_found");
    put(json!({"definition": {"name": "string", "age": "int"}})).await.ok();
    documents.call("POST", "documents", json!({"name": "Ada", "age": 36})).await.ok();
    for wrong in [json!({"name": 1, "age": 1}), json!({"name": "x", "age": 1.5})] {
        documents.call("POST", "documents", wrong).await.refused(422, "validation_failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_pipeline_obeys_rules_and_schema() {
    let rules = json!({"_id": "r", "c": [{"n": {"type": "non_negative"}}]});
    let (cluster, documents) = three("rules-out", rules).await;
    let source = Documents::new(cluster.nodes[0].http(), "shop", "source");
    source
        .insert_all([json!({"_id": 1, "n": -5, "m": 1}), json!({"_id": 2, "n": 5, "m": -1})])
        .await;
    documents.insert_all([json!({"_id": "there", "n": 1, "m": 1})]).await;
    let schema = json!({"schema": {"properties": {"m": {"minimum": 0}}}});
    documents.call("PUT", "schema", schema.clone()).await.ok();
    for (filter, stage) in [
        (json!({"_id": 1}), json!({"$out": "c"})),
        (json!({"_id": 2}), json!({"$out": "c"})),
        (json!({"_id": 1}), json!({"$merge": {"into": "c"}})),
        (json!({"_id": 2}), json!({"$merge": {"into": "c"}})),
    ] {
        let body = json!({"pipeline": [{"$match": filter}, stage]});
        let answer = source.post("aggregate", body).await;
        assert!(
            answer.fault(422, "validation_failed").is_none(),
            "{filter} {stage}: {} {}",
            answer.status,
            answer.text
        );
        assert_eq!(documents.ids(json!({})).await, json!(["there"]), "{filter} {stage}");
    }
    let body = json!({"pipeline": [{"$set": {"n": 1, "m": 1}}, {"$out": "c"}]});
    source.post("aggregate", body).await.ok();
    assert_eq!(documents.ids(json!({})).await, json!([1, 2]));
    assert_eq!(
        documents.get("schema").await.ok().json()["schema"],
        schema["schema"],
        "$out removed the schema"
    );
    let none = Documents::new(cluster.nodes[0].http(), "shop", "_rules");
    let rules = none.get("documents").await.ok().json();
    let body = json!({"pipeline": [{"$out": "_rules"}]});
    let answer = source.post("aggregate", body).await;
    assert_eq!(answer.status / 100, 4, "{}", answer.text);
    assert_eq!(none.get("documents").await.ok().json(), rules);
}
