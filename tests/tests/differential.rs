//! Random queries, pipelines and updates, compared with the results of mingo, an independent
//! implementation; `differential/README.md` describes the comparison.
//!
//! `DIFFERENTIAL_SEED` and `DIFFERENTIAL_CASES` replace the fixed seed and number of cases.

use jettra_tests::{Bed, Documents, Http, Role, Settings, source, wait_until};
use serde_json::{Map, Number, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const SEED: &str = "1";
const CASES: &str = "1500";
const DOCUMENTS: &str = "600";
/// Cases that are carried out concurrently, so that several writes share one log entry.
const PARALLEL: usize = 8;
/// Maximum number of differences shown by a failure.
const SHOWN_MAX: usize = 25;
/// Relative difference up to which two numbers are equal: the last digits may differ.
const TOLERANCE: f64 = 1e-9;
/// Integral floats up to this are represented exactly in JavaScript.
const WHOLE_MAX: f64 = 9e15;
/// More than the number of documents in any collection.
const LIMIT: u64 = 1_000;
/// Indexes of the second pass: plain, descending, compound, multikey and inside arrays.
const INDEXES: [&str; 8] = [
    r#"{"a": 1}"#,
    r#"{"name": -1, "a": 1}"#,
    r#"{"c": 1, "nested.x": -1}"#,
    r#"{"d": -1}"#,
    r#"{"tags": 1}"#,
    r#"{"nums": -1}"#,
    r#"{"items.sku": 1, "flag": 1}"#,
    r#"{"nested.y.z": 1}"#,
];

/// The output of the generator: documents first, then cases.
fn generate() -> Vec<Value> {
    let dir = source::root().join("tests/differential");
    if !dir.join("node_modules").is_dir() {
        output(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]), &dir);
    }
    let setting = |name: &str, fixed: &str| std::env::var(name).unwrap_or_else(|_| fixed.into());
    let seed = setting("DIFFERENTIAL_SEED", SEED);
    let cases = setting("DIFFERENTIAL_CASES", CASES);
    let text = output(
        Command::new("node").args([
            "generate.mjs",
            "--seed",
            &seed,
            "--cases",
            &cases,
            "--documents",
            DOCUMENTS,
        ]),
        &dir,
    );
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    lines.expect("the generator prints JSON")
}

fn output(command: &mut Command, dir: &Path) -> String {
    let program = command.get_program().to_owned();
    let output = command.current_dir(dir).output();
    let output = output.unwrap_or_else(|error| panic!("{program:?}: {error}; see check.sh"));
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn results_equal_those_of_an_independent_implementation() {
    let lines = generate();
    let bed = Bed::new("differential").await;
    let mut node = bed.node("alone", Settings::new(Role::Alone));
    node.start();
    wait_until("the node is well", async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == "ok" { Ok(()) } else { Err(health.text) }
    })
    .await;
    let http = node.http();
    http.post("/api/dbs", &json!({"name": "d"})).await.ok();
    let mut cases = Vec::new();
    let mut collections = Vec::new();
    for line in lines {
        if line["kind"] == "documents" {
            let collection = collection(&http, &line);
            let documents = line["documents"].as_array().expect("documents").clone();
            collection.insert_all(documents).await;
            collections.push(collection);
        } else {
            cases.push(Arc::new(line));
        }
    }
    assert!(collections.len() > 1 && cases.len() > 10, "the generator printed too little");
    let mut differences = run(&http, &cases, "without indexes").await;
    for collection in &collections {
        for keys in INDEXES {
            collection.index(serde_json::from_str(keys).expect("JSON"), json!({})).await;
        }
    }
    let reads: Vec<_> = cases.iter().filter(|case| case["kind"] != "update").cloned().collect();
    differences.extend(run(&http, &reads, "with indexes").await);
    let count = differences.len();
    differences.truncate(SHOWN_MAX);
    assert_eq!(count, 0, "{count} differences:\n{}", differences.join("\n"));
}

fn collection(http: &Http, case: &Value) -> Documents {
    Documents::new(http.clone(), "d", case["collection"].as_str().expect("a collection"))
}

/// Carries out the cases and returns the differences in their order.
async fn run(http: &Http, cases: &[Arc<Value>], how: &'static str) -> Vec<String> {
    let places = Arc::new(Semaphore::new(PARALLEL));
    let mut running = JoinSet::new();
    for (number, case) in cases.iter().cloned().enumerate() {
        let (http, places) = (http.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire().await;
            let found = check(&http, &case).await;
            (number, found.err().map(|difference| format!("{how}: {difference}\n  {case}")))
        });
    }
    let mut all = running.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().filter_map(|(_, difference)| difference).collect()
}

async fn check(http: &Http, case: &Value) -> Result<(), String> {
    match case["kind"].as_str() {
        Some("find") => {
            let mut body = pick(case, &["filter", "sort", "projection", "skip", "limit"]);
            body.as_object_mut().expect("a body").entry("limit").or_insert(json!(LIMIT));
            read(http, case, "find", body, "documents").await
        }
        Some("aggregate") => {
            read(http, case, "aggregate", pick(case, &["pipeline"]), "documents").await
        }
        Some("distinct") => {
            read(http, case, "distinct", pick(case, &["field", "filter"]), "values").await
        }
        Some("count") => read(http, case, "count", pick(case, &["filter"]), "count").await,
        Some("update") => update(http, case).await,
        kind => Err(format!("unknown kind {kind:?}")),
    }
}

fn pick(case: &Value, names: &[&str]) -> Value {
    let fields =
        names.iter().filter_map(|name| Some(((*name).to_owned(), case.get(name)?.clone())));
    Value::Object(fields.collect())
}

/// Compares the result of a read.
async fn read(
    http: &Http,
    case: &Value,
    action: &str,
    body: Value,
    field: &str,
) -> Result<(), String> {
    let answer = collection(http, case).try_post(action, body).await?;
    if case["error"] == true {
        return refused(answer.status, &answer.text);
    }
    if answer.status != 200 {
        return Err(format!("{} {}", answer.status, answer.text));
    }
    let answer = answer.json();
    if !answer["cursor"].is_null() && case.get("limit").is_none() {
        return Err("the answer has a second page".into());
    }
    compare(case, &case["expect"], &answer[field])
}

fn refused(status: u16, text: &str) -> Result<(), String> {
    match status {
        400 | 413 | 422 => Ok(()),
        _ => Err(format!("to be refused, but: {status} {text}")),
    }
}

/// Carries out an update of the only document of a new collection.
async fn update(http: &Http, case: &Value) -> Result<(), String> {
    let place = Documents::new(http.clone(), "d", &format!("update-{}", case["case"]));
    place.insert_all([case["document"].clone()]).await;
    let answer = place.post("update", pick(case, &["filter", "update", "arrayFilters"])).await;
    let expected = match case["error"] == true {
        true => {
            refused(answer.status, &answer.text)?;
            &case["document"]
        }
        false if answer.status != 200 => return Err(format!("{} {}", answer.status, answer.text)),
        false => &case["expect"],
    };
    compare(case, expected, &place.one(case["document"]["_id"].clone()).await)
}

fn compare(case: &Value, expected: &Value, found: &Value) -> Result<(), String> {
    let unordered: Vec<_> = case["unorderedFields"].as_array().into_iter().flatten().collect();
    let unordered: Vec<_> = unordered.into_iter().filter_map(Value::as_str).collect();
    let ordered = !found.is_array() || case["ordered"] == true;
    let [expected, found] = [expected, found].map(|value| {
        let mut value = value.clone();
        for row in value.as_array_mut().into_iter().flatten() {
            for name in &unordered {
                row.get_mut(*name).into_iter().for_each(sort);
            }
        }
        if !ordered {
            sort(&mut value);
        }
        value
    });
    if same(&expected, &found) {
        return Ok(());
    }
    if let (Value::Array(expected), Value::Array(found)) = (&expected, &found) {
        let differs = expected.iter().zip(found).find(|(expected, found)| !same(expected, found));
        let (lengths, first) = ((expected.len(), found.len()), differs);
        return Err(format!("{lengths:?} rows; expected, found: {}", shown(first)));
    }
    Err(format!("expected {expected}\n  found    {found}"))
}

fn shown(difference: Option<(&Value, &Value)>) -> String {
    match difference {
        None => "the shorter is the beginning of the longer".to_owned(),
        Some((expected, found)) => format!("\n  {expected}\n  {found}"),
    }
}

/// A value with sorted keys and normalized numbers: integral ones as integers, others with twelve
/// digits.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(canonical_number(number)),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), canonical(value)));
            let sorted: BTreeMap<_, _> = fields.collect();
            Value::Object(Map::from_iter(sorted))
        }
        other => other.clone(),
    }
}

fn canonical_number(number: &Number) -> Number {
    let Some(float) = number.as_f64().filter(|_| !number.is_i64()) else { return number.clone() };
    let rounded: f64 = format!("{float:.11e}").parse().unwrap_or(float);
    let whole = rounded.fract() == 0.0 && rounded.abs() < WHOLE_MAX;
    if whole { (rounded as i64).into() } else { Number::from_f64(rounded).expect("finite") }
}

/// Whether two values are equal, comparing fractional numbers within [`TOLERANCE`].
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let there = |(name, a)| b.get(name).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(there)
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return false };
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ if x.fract() == 0.0 && y.fract() == 0.0 => x == y,
        _ => (x - y).abs() <= TOLERANCE * x.abs().max(y.abs()),
    }
}

fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.sort_by_cached_key(|item| canonical(item).to_string());
    }
}

#[test]
fn results_are_compared_by_value() {
    let case = json!({"ordered": false, "unorderedFields": ["s"]});
    let passes = |a, b| compare(&case, &a, &b).is_ok();
    assert!(passes(
        json!([1, 2.0, {"b": 1, "a": 0.1}]),
        json!([{"a": 0.100_000_000_000_01, "b": 1}, 2, 1])
    ));
    assert!(passes(json!([{"s": [1, 2]}]), json!([{"s": [2, 1]}])));
    assert!(!passes(json!([{"t": [1, 2]}]), json!([{"t": [2, 1]}])));
    assert!(!passes(json!([1]), json!([1, 1])));
    assert!(!passes(json!([9_007_199_254_740_993_i64]), json!([9_007_199_254_740_992_i64])));
    assert!(!passes(json!(["1"]), json!([1])));
    assert!(compare(&json!({"ordered": true}), &json!([1, 2]), &json!([2, 1])).is_err());
}
