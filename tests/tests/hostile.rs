//! Statements, documents and queries that once crashed every node, again at each restart, or made
//! one unresponsive: each gets a response, and the nodes continue.

use jettra_tests::{Answer, Cluster, Http, try_send};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for a response on a busy machine; some of these calls once had none.
const LIMIT: Duration = Duration::from_secs(60);
const STOCK: &str = "/api/v1/databases/shop/collections/stock";

/// A value nested in arrays.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn decimal(text: &str) -> Value {
    json!({"$numberDecimal": text})
}

/// A call by its name, target and body.
type Call = (&'static str, String, Value);

fn command(name: &'static str, text: String) -> Call {
    (name, "/api/command?db=shop".to_owned(), json!({"command": text}))
}

fn call(name: &'static str, action: &str, body: Value) -> Call {
    (name, format!("{STOCK}/{action}"), body)
}

/// Calls that must be refused because of their content.
fn refused() -> Vec<Call> {
    let nots = "NOT ".repeat(70);
    let cases =
        (0..45).fold("1".to_owned(), |inner, n| format!("CASE WHEN a = {n} THEN {inner} END"));
    let chain = (0..90).map(|n| format!(" - {n}")).collect::<String>();
    let wrap = |count: usize, last: Value| {
        let mut stages = vec![json!({"$match": {"_id": 1}})];
        stages.extend((0..count).map(|_| json!({"$replaceWith": {"_id": 1, "a": "$$ROOT"}})));
        stages.push(last);
        json!({"pipeline": stages})
    };
    let lower = format!("{}t{}", "LOWER(".repeat(45), ")".repeat(45));
    vec![
        command("NOT in a delete", format!("DELETE IN stock WHERE {nots}a = 1")),
        command("NOT in an update", format!("UPDATE IN stock SET b = 1 WHERE {nots}a = 1")),
        command("CASE in an update", format!("UPDATE stock SET b = {cases}")),
        command("CASE in a delete", format!("DELETE FROM stock WHERE {cases} = 1")),
        command("a chain of operators", format!("UPDATE stock SET b = a{chain}")),
        command("a partial index", format!("CREATE INDEX x ON stock (a) WHERE {nots}a = 1")),
        command(
            "a deep insert",
            format!("INSERT INTO stock {{\"_id\": 9, \"a\": {}}}", nested(97)),
        ),
        command("a deep insert of the shell", format!("db.stock.insertOne({{a: {}}})", nested(90))),
        command("functions that double", format!("SELECT {lower} AS x FROM stock")),
        command(
            "names that multiply",
            format!(
                "INSERT INTO stock ({}) VALUES {}",
                "n".repeat(10_000),
                vec!["(1)"; 10_000].join(",")
            ),
        ),
        call("a deep merge", "aggregate", wrap(80, json!({"$merge": {"into": "x"}}))),
        call("a deeper merge", "aggregate", wrap(126, json!({"$merge": {"into": "x"}}))),
        call(
            "a deep merge of new documents",
            "aggregate",
            wrap(80, json!({"$merge": {"into": "x", "whenMatched": "fail"}})),
        ),
        call("a deep out", "aggregate", wrap(80, json!({"$out": "x"}))),
        call("a deeper out", "aggregate", wrap(126, json!({"$out": "stock"}))),
        call(
            "a deep update",
            "update",
            json!({"filter": {"_id": 1}, "update": vec![json!({"$set": {"a": "$$ROOT"}}); 80]}),
        ),
        call(
            "padding",
            "update",
            json!({"filter": {"_id": "empty"}, "update": {"$set": {"a.$[].100000": 1}}}),
        ),
        call(
            "pushing",
            "update",
            json!({"filter": {"_id": "empty"},
                "update": {"$push": {"a.$[]": {"$each": vec!["0123456789"; 5000]}}}}),
        ),
        call("a literal out of range", "find", json!({"filter": {"n": decimal("1e-999999999")}})),
        call("a path of numbers", "find", json!({"filter": {"a.0.0.0.0.0.0.0.0.0.0": 1}})),
    ]
}

/// Calls that must get a response, a success or an error.
fn answered() -> Vec<Call> {
    let pow = json!({"$pow": [{"$subtract": ["$n", "$n"]}, 1_000_000]});
    let many: Vec<i64> = (0..20_000).collect();
    vec![
        call(
            "a zero with an exponent",
            "find",
            json!({"filter": {"n": {"$gt": decimal("0e-999999999")}}}),
        ),
        call(
            "a power of zero",
            "update",
            json!({"filter": {"_id": "tiny"}, "update": [{"$set": {"n": pow}}]}),
        ),
        call("a product of large ones", "update", {
            let product = json!({"$multiply": vec![decimal("9E6144"); 100]});
            json!({"filter": {"_id": 1}, "update": [{"$set": {"p": product}}]})
        }),
        call("a remainder", "aggregate", {
            let rest = json!({"$mod": [decimal("7E6111"), decimal("3E-6176")]});
            json!({"pipeline": [{"$set": {"m": rest}}]})
        }),
        call("two long lists", "find", {
            json!({"filter": {"$and": [{"k": {"$in": many}}, {"k": {"$in": many}}]}})
        }),
        call(
            "a search on a long text",
            "find",
            json!({"filter": {"t": {"$regex": "[ab]*a[ab]{300}c"}}}),
        ),
        call("an array doubled repeatedly", "aggregate", {
            let twice = json!({"$concatArrays": ["$$value", "$$value"]});
            let reduced = json!({"$reduce": {"input": {"$range": [0, 60]}, "initialValue": [1], "in": twice}});
            json!({"pipeline": [{"$set": {"m": reduced}}]})
        }),
        call("a document in a thousand fields", "aggregate", {
            let fields: serde_json::Map<_, _> =
                (0..1000).map(|n| (format!("f{n}"), json!("$$ROOT"))).collect();
            json!({"pipeline": [{"$project": fields}]})
        }),
    ]
}

async fn send(http: &Http, (name, target, body): &Call) -> Answer {
    let sent = try_send(http.request("POST", target).json(body));
    match tokio::time::timeout(LIMIT, sent).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{name}: {error}"),
        Err(_) => panic!("{name}: no answer within {LIMIT:?}"),
    }
}

/// Checks that every node responds to a linearizable read.
async fn check_alive(cluster: &mut Cluster, after: &str) {
    for node in &mut cluster.nodes {
        assert!(node.is_running(), "{after}: {} has ended:\n{}", node.name, node.log());
        let read = node.http();
        let read = read.try_get("/api/v1/databases/shop/collections/stock/documents/1");
        let answer = tokio::time::timeout(LIMIT, read).await;
        match answer {
            Ok(Ok(answer)) if answer.status == 200 => {}
            other => panic!("{after}: {} answers {other:?}", node.name),
        }
    }
}

#[tokio::test]
async fn no_call_crashes_a_node_or_makes_it_unresponsive() {
    let mut cluster = Cluster::start("hostile", 3).await;
    let http = cluster.nodes[cluster.follower().await].http();
    cluster.client().create_database("shop").await.expect("a database");
    let empty: Vec<Value> = vec![json!([]); 2000];
    let documents = [
        json!({"_id": 1, "a": 1, "k": 1, "t": "ab".repeat(500_000)}),
        json!({"_id": "tiny", "n": decimal("3E-6000")}),
        json!({"_id": "empty", "a": empty}),
    ];
    for document in &documents {
        http.post(&format!("{STOCK}/documents"), document).await.ok();
    }
    http.post(&format!("{STOCK}/indexes"), &json!({"keys": {"k": 1}})).await.ok();
    for call in refused() {
        let answer = send(&http, &call).await;
        let name = call.0;
        assert!(
            (400..500).contains(&answer.status),
            "{name}: {} {:.300}",
            answer.status,
            answer.text
        );
        check_alive(&mut cluster, name).await;
    }
    for call in answered() {
        let answer = send(&http, &call).await;
        let name = call.0;
        assert!(answer.status < 500, "{name}: {} {:.300}", answer.status, answer.text);
        check_alive(&mut cluster, name).await;
    }
    cluster.wait_equal("shop", "the documents").await;
    // The entries are applied again from the log.
    for index in 0..cluster.nodes.len() {
        cluster.crash_and_restart(index);
    }
    cluster.wait_active(3).await;
    check_alive(&mut cluster, "a restart").await;
    cluster.wait_equal("shop", "the documents after a restart").await;
}
