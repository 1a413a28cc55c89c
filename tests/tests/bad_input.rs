//! Wrong input is refused with a status, a stable code, a message and a next step, by every
//! node alike, and changes nothing.

use jettra_tests::{Answer, Cluster, Http, send};
use serde_json::{Value, json};

const DOCUMENTS: &str = "/api/v1/databases/shop/collections/stock/documents";

/// Everything that a client can see of the data: catalog, counts and documents.
async fn contents(cluster: &Cluster) -> Vec<Value> {
    let client = cluster.client();
    let mut contents = Vec::new();
    for database in client.list_databases().await.expect("the databases") {
        let collections = client.list_collections(&database.name).await.expect("the collections");
        for name in collections {
            let documents = client.collection::<Value>(&database.name, &name);
            let page = documents.list(1000, None).await.expect("a page");
            contents.push(json!([database.name, name, page.documents]));
        }
        contents.push(json!([database.name]));
    }
    contents
}

async fn prepared(name: &str) -> Cluster {
    let cluster = Cluster::start(name, 3).await;
    let client = cluster.client();
    client.create_collection("shop", "stock").await.expect("a collection");
    let documents = client.collection::<Value>("shop", "stock");
    documents.insert(&json!({"_id": "apples", "number": 3})).await.expect("written");
    cluster
}

/// One call and the error it must give.
struct Case {
    method: &'static str,
    target: String,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    status: u16,
    code: &'static str,
}

fn case(method: &'static str, target: &str, body: &str, status: u16, code: &'static str) -> Case {
    let (target, body) = (target.to_owned(), body.to_owned());
    Case { method, target, headers: &[], body, status, code }
}

impl Case {
    fn header(mut self, headers: &'static [(&'static str, &'static str)]) -> Case {
        self.headers = headers;
        self
    }

    async fn send(&self, http: &Http) -> Answer {
        let mut request = http.request(self.method, &self.target).body(self.body.clone());
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }
}

async fn check(name: &str, cases: Vec<Case>) {
    let cluster = prepared(name).await;
    let before = contents(&cluster).await;
    let mut faults = Vec::new();
    for case in cases {
        for node in &cluster.nodes {
            let answer = case.send(&node.http()).await;
            let body = case.body.get(..60).unwrap_or(&case.body);
            let fault = answer.fault(case.status, case.code);
            let call = format!("{} {} {:?} {body}", case.method, case.target, case.headers);
            faults.extend(fault.map(|fault| format!("{call} on {}: {fault}", node.name)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(contents(&cluster).await, before);
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_cannot_be_stored() {
    let long_id = format!("{{\"_id\":\"{}\"}}", "x".repeat(600));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(17 << 20));
    let bodies = [
        ("", 400, "invalid_json"),
        ("{", 400, "invalid_json"),
        ("{\"a\":1} {}", 400, "invalid_json"),
        ("{'a':1}", 400, "invalid_json"),
        ("{\"a\":NaN}", 400, "invalid_json"),
        ("[1,2]", 400, "invalid_body"),
        ("\"text\"", 400, "invalid_body"),
        ("null", 400, "invalid_body"),
        ("{\"a\":1,\"a\":2}", 400, "duplicate_key"),
        ("{\"b\":{\"a\":1,\"a\":2}}", 400, "duplicate_key"),
        ("{\"_id\":\"x\",\"_id\":\"y\"}", 400, "duplicate_key"),
        (&nested(65), 400, "too_deep"),
        (&nested(10_000), 400, "too_deep"),
        ("{\"_id\":1.5}", 400, "invalid_id"),
        ("{\"_id\":null}", 400, "invalid_id"),
        ("{\"_id\":{}}", 400, "invalid_id"),
        ("{\"_id\":9223372036854775808}", 400, "invalid_id"),
        (&long_id, 400, "invalid_id"),
        (&large, 413, "too_large"),
    ];
    let both = |(body, status, code)| {
        let old = case("POST", "/api/doc?db=shop&col=stock", body, status, code);
        [old, case("POST", DOCUMENTS, body, status, code)]
    };
    check("bad-documents", bodies.into_iter().flat_map(both).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_that_mean_nothing() {
    let long = format!("{DOCUMENTS}/{}", "x".repeat(600));
    let rest = |database: &str, collection: &str| {
        format!("/api/v1/databases/{database}/collections/{collection}/documents")
    };
    check(
        "bad-names",
        vec![
            case("POST", &rest("shop", "a%2Fb"), "{}", 400, "invalid_name"),
            case("POST", &rest("shop", "_hidden"), "{}", 400, "invalid_name"),
            case("POST", &rest("_system", "_clusternodes"), "{}", 400, "invalid_name"),
            case("POST", &rest("shop", "a%20b"), "{}", 400, "invalid_name"),
            case("POST", &rest("nowhere", "stock"), "{}", 404, "database_not_found"),
            case("GET", &rest("nowhere", "stock"), "", 404, "database_not_found"),
            case("GET", &rest("shop", "nothing"), "", 404, "collection_not_found"),
            case("GET", &format!("{DOCUMENTS}/pears"), "", 404, "document_not_found"),
            case("DELETE", &format!("{DOCUMENTS}/pears"), "", 404, "document_not_found"),
            case("GET", &long, "", 400, "invalid_id"),
            case("POST", "/api/doc?db=shop", "{}", 400, "invalid_parameter"),
            case("POST", "/api/doc?col=stock", "{}", 400, "invalid_parameter"),
            case("GET", "/api/doc?db=shop&col=stock", "", 400, "invalid_parameter"),
            case("DELETE", "/api/dbs", "", 400, "invalid_parameter"),
            case("DELETE", "/api/cols?database=shop", "", 400, "invalid_parameter"),
            case("DELETE", "/api/cols?database=_system&collection=_users", "", 400, "invalid_name"),
            case("GET", "/api/nothing", "", 404, "route_not_found"),
            case("POST", "/", "", 404, "route_not_found"),
            case("GET", "/../../etc/passwd", "", 404, "route_not_found"),
            case("PATCH", DOCUMENTS, "{}", 405, "method_not_allowed"),
            case("DELETE", "/api/cluster", "", 405, "method_not_allowed"),
            case("GET", "/api/login", "", 405, "method_not_allowed"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_headers_with_wrong_values() {
    let apples = format!("{DOCUMENTS}/apples");
    let mut cases = Vec::new();
    for query in [
        "level=quick",
        "limit=-1",
        "limit=x",
        "limit=1001",
        "limit=1.5",
        "offset=-1",
        "offset=x",
        "cursor=x",
        "cursor=%22",
        "limit=",
    ] {
        cases.push(case("GET", &format!("{DOCUMENTS}?{query}"), "", 400, "invalid_parameter"));
        let old = format!("/api/query?db=shop&col=stock&{query}");
        cases.push(case("GET", &old, "", 400, "invalid_parameter"));
    }
    cases.push(case("GET", &format!("{apples}?level=x"), "", 400, "invalid_parameter"));
    cases.push(case("GET", &format!("{apples}?id_type=x"), "", 400, "invalid_parameter"));
    cases.push(case("GET", &format!("{apples}?id_type=int"), "", 400, "invalid_parameter"));
    for value in ["x", "\"x\"", "-1", "\"1\", \"2\""] {
        let headers: &'static [_] = Box::leak(Box::new([("if-match", value)]));
        cases.push(case("PUT", &apples, "{}", 400, "invalid_parameter").header(headers));
        cases.push(case("DELETE", &apples, "", 400, "invalid_parameter").header(headers));
    }
    let stale = &[("if-match", "\"999999\"")];
    cases.push(case("PUT", &apples, "{}", 412, "revision_mismatch").header(stale));
    cases.push(case("DELETE", &apples, "", 412, "revision_mismatch").header(stale));
    cases.push(case("PUT", &apples, "{\"_id\":\"pears\"}", 400, "invalid_id"));
    check("bad-parameters", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_administration_with_wrong_shapes() {
    let mut cases = Vec::new();
    for target in [
        "/api/dbs",
        "/api/dbs/rename",
        "/api/cols",
        "/api/cols/rename",
        "/api/login",
        "/api/change-password",
        "/api/cluster/register",
    ] {
        for body in ["{}", "[]", "7", "null"] {
            cases.push(case("POST", target, body, 400, "invalid_body"));
        }
        cases.push(case("POST", target, "", 400, "invalid_json"));
        cases.push(case("POST", target, "url=x", 400, "invalid_json"));
    }
    for target in
        ["deregister", "stop", "pause", "resume"].map(|action| format!("/api/cluster/{action}"))
    {
        for body in ["{}", "{\"node\":7}", "{\"node\":\"node1\",\"force\":\"yes\"}", "[]"] {
            cases.push(case("POST", &target, body, 400, "invalid_body"));
        }
    }
    for action in ["stop", "pause", "resume", "promote", "restart"] {
        let target = format!("/api/cluster/{action}");
        cases.push(case("POST", &target, "{\"node\":\"node9\"}", 404, "node_not_found"));
    }
    cases.push(case("POST", "/api/dbs", "{\"name\":7}", 400, "invalid_body"));
    cases.push(case("POST", "/api/dbs", "{\"name\":\"\"}", 400, "invalid_name"));
    cases.push(case("POST", "/api/dbs", "{\"name\":\"_mine\"}", 400, "invalid_name"));
    cases.push(case("POST", "/api/dbs", "{\"name\":\"a\",\"name\":\"b\"}", 400, "duplicate_key"));
    cases.push(case("POST", "/api/cluster/register", "{\"url\":7}", 400, "invalid_body"));
    check("bad-bodies", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_at_the_limits_is_stored() {
    let cluster = prepared("bad-limits").await;
    let id = "i".repeat(480);
    let http = cluster.nodes[1].http();
    let body = format!("{{\"_id\":\"{id}\",\"deep\":{}}}", nested(63));
    let deep = http.curl("POST", DOCUMENTS, &body).await;
    assert_eq!(deep.status, 201, "{}", deep.text);
    let text = "x".repeat((16 << 20) - 100);
    let large = http.json("PUT", &format!("{DOCUMENTS}/large"), &json!({"text": text})).await;
    assert_eq!(large.status, 201, "{}", large.text);
    for node in &cluster.nodes {
        let found = node.http().get(&format!("{DOCUMENTS}/large")).await.ok();
        assert_eq!(found.json()["text"].as_str().map(str::len), Some(text.len()));
        node.http().get(&format!("{DOCUMENTS}/{id}")).await.ok();
    }
}
