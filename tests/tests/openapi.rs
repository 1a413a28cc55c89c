//! The OpenAPI document against the interface: Schemathesis generates thousands of calls from the
//! document, and every response must be one that the document describes.
//!
//! It is installed by `tests/python/environment.sh`; `tests/python/meaning.py` fills its calls with
//! data that exists.

use jettra_tests::source::root;
use jettra_tests::{ADMIN, Bed, Node, PASSWORD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Routes that the run must not call: those that end the server under test, feeds, which do not end,
/// and the change of the password that the run itself uses (which has its own run, the last one).
const LEFT_OUT: [&str; 7] = [
    "/api/cluster/stop",
    "/api/cluster/restart",
    "/api/cluster/deregister",
    "/api/v1/databases/{db}/watch",
    "/api/v1/databases/{db}/collections/{col}/watch",
    "/api/v1/tasks/{task}/events",
    PASSWORD_PATH,
];
const PASSWORD_PATH: &str = "/api/change-password";

/// All checks except those for what the document cannot express: which filters are valid, and when
/// failed logins are limited. `login.rs` calls all routes without credentials.
const CHECKS: [&str; 10] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "missing_required_header",
];

/// Time limit of one run.
const RUN_MAX: Duration = Duration::from_secs(600);

/// The directory of Schemathesis.
fn programs() -> PathBuf {
    let script = root().join("tests/python/environment.sh");
    let made = Command::new("bash").arg(script).stderr(Stdio::inherit()).output();
    let made = made.expect("bash runs");
    assert!(made.status.success(), "the environment of Python could not be made");
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// A node with the data that `meaning.py` uses.
async fn prepared(bed: &Bed) -> Node {
    let node = bed.serving_node().await;
    let http = node.http();
    http.post("/api/cols", &json!({"database": "shop", "collection": "stock"})).await.ok();
    let stock = "/api/v1/databases/shop/collections/stock";
    http.json("PUT", &format!("{stock}/versions"), &json!({})).await.ok();
    for round in ["a", "b"] {
        for n in 1..=3 {
            let document = json!({"_id": n, "n": n, "name": format!("{round}{n}")});
            http.post("/api/doc?db=shop&col=stock", &document).await.ok();
        }
    }
    node
}

/// Runs Schemathesis with additional arguments and returns the number of responses by status.
async fn run(programs: &Path, dir: &Path, node: &Node, more: &[&str]) -> BTreeMap<u64, usize> {
    let python = root().join("tests/python");
    let archive = dir.join("answers.har");
    let mut command = tokio::process::Command::new(programs.join("schemathesis"));
    command.current_dir(dir).env("PYTHONPATH", &python).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg("--config-file").arg(python.join("schemathesis.toml"));
    command.arg("run").arg(format!("{}/openapi.json", node.url()));
    command.arg("--auth").arg(format!("{ADMIN}:{PASSWORD}"));
    command.args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "12"]);
    command.args(["--seed", "1", "--generation-database", "none", "--checks", &CHECKS.join(",")]);
    command.args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color"]);
    command.args(["--warnings", "off", "--report", "har", "--report-har-path"]).arg(&archive);
    command.args(more).kill_on_drop(true);
    let done = tokio::time::timeout(RUN_MAX, command.output()).await;
    let done = done.expect("Schemathesis comes to its end").expect("Schemathesis runs");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
    let answers = std::fs::read_to_string(&archive).expect("the answers");
    let answers: Value = serde_json::from_str(&answers).expect("a HAR file");
    let mut statuses = BTreeMap::new();
    for entry in answers["log"]["entries"].as_array().expect("answers") {
        *statuses.entry(entry["response"]["status"].as_u64().unwrap_or(0)).or_default() += 1;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_is_described_by_the_document() {
    let programs = programs();
    let bed = Bed::new("openapi").await;
    let mut node = prepared(&bed).await;
    let mut left_out = vec!["--exclude-path", "/api/login"];
    left_out.extend(LEFT_OUT.iter().flat_map(|path| ["--exclude-path", path]));
    let statuses = run(&programs, bed.dir(), &node, &left_out).await;
    println!("answers: {statuses:?}");
    let number = |from, to| statuses.range(from..to).map(|(_, number)| number).sum::<usize>();
    assert!(number(200, 300) > 300, "few calls had a meaning: {statuses:?}");
    assert!(number(400, 500) > 1000, "few calls were wrong: {statuses:?}");
    // The run did not lose its credentials.
    assert!(number(401, 402) < number(200, 300), "{statuses:?}");
    run(&programs, bed.dir(), &node, &["--include-path", "/api/login"]).await;
    run(&programs, bed.dir(), &node, &["--include-path", PASSWORD_PATH]).await;
    assert!(node.is_running());
    let log = node.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_readable_without_credentials_and_through_the_driver() {
    let bed = Bed::new("openapi-open").await;
    let node = prepared(&bed).await;
    let nobody = jettra_tests::Http::new(&node.url());
    let document = nobody.get("/openapi.json").await.ok();
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json()["openapi"], "3.1.0");
    for path in LEFT_OUT {
        assert!(document.json()["paths"][path].is_object(), "{path} is left out in vain");
    }
    let client = jettra_driver::Client::builder().seeds([node.url()]).build().expect("a client");
    assert_eq!(client.openapi().await.expect("the document"), document.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_allowed_gets_the_list_of_those_that_are() {
    let bed = Bed::new("allow").await;
    let node = prepared(&bed).await;
    let answer = node.http().json("TRACE", "/api/dbs", &json!({})).await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST, DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_an_array_is_refused() {
    let bed = Bed::new("list-as-body").await;
    let node = prepared(&bed).await;
    let count = "/api/v1/databases/shop/collections/stock/count";
    for body in [json!([]), json!([{"n": 1}])] {
        node.http().post(count, &body).await.refused(400, "invalid_body");
    }
    node.http()
        .json("PATCH", "/api/v1/databases/shop/collections/stock/documents/1", &json!([]))
        .await
        .refused(400, "invalid_body");
}
