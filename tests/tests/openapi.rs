//! The description of the interface against the interface: Schemathesis makes thousands of calls
//! out of the OpenAPI document, and no answer may be other than the document says.
//!
//! It is installed by `tests/python/environment.sh`; `tests/python/meaning.py` gives its calls
//! data that exists.

use jettra_tests::source::root;
use jettra_tests::{ADMIN, Bed, Node, PASSWORD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the run must not call: the end of the server under test, feeds that do not end, and the
/// password that the run itself logs in with (which has a run of its own, the last).
const LEFT_OUT: [&str; 6] = [
    "/api/cluster/stop",
    "/api/cluster/restart",
    "/api/cluster/deregister",
    "/api/v1/databases/{db}/watch",
    "/api/v1/databases/{db}/collections/{col}/watch",
    PASSWORD_PATH,
];
const PASSWORD_PATH: &str = "/api/change-password";

/// Every check but those about what the document cannot say: which filter has a meaning, and when
/// somebody who guesses passwords is told to wait. `login.rs` walks the routes as nobody.
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

/// Longest time of one run.
const RUN_MAX: Duration = Duration::from_secs(600);

/// The folder of Schemathesis.
fn programs() -> PathBuf {
    let script = root().join("tests/python/environment.sh");
    let made = Command::new("bash").arg(script).stderr(Stdio::inherit()).output();
    let made = made.expect("bash runs");
    assert!(made.status.success(), "the environment of Python could not be made");
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// A node with a little data, which `meaning.py` knows.
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

/// Runs Schemathesis with further arguments, and gives the number of answers by their status.
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
async fn no_answer_is_other_than_the_document_says() {
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
    // Nobody was left without credentials on the way.
    assert!(number(401, 402) < number(200, 300), "{statuses:?}");
    run(&programs, bed.dir(), &node, &["--include-path", "/api/login"]).await;
    run(&programs, bed.dir(), &node, &["--include-path", PASSWORD_PATH]).await;
    assert!(node.is_running());
    let log = node.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_can_read_the_document_and_the_driver_gives_it() {
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
async fn a_method_that_is_not_possible_is_told_the_others() {
    let bed = Bed::new("allow").await;
    let node = prepared(&bed).await;
    let answer = node.http().json("TRACE", "/api/dbs", &json!({})).await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST, DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_values_is_no_body() {
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
