//! Measures how much the most expensive calls delay others: three nodes of the release build, a few
//! writers and a prober of `/health` for each node, while one call after the other uses all that
//! its limits allow.
//!
//! `cargo run --release -p jettra-tests --bin worst_case [words]` after
//! `cargo build --release --workspace`; with words, only the cases whose names contain one of them.
//! Prints for each case the response and its latency, the latencies of the other writes, the slowest
//! `/health`, and the peak memory of a node without the files that it maps. The targets: p99 of the
//! other writes at most 1 s, `/health` at most 100 ms, 256 MB for one command.

use jettra_tests::{Cluster, Http, memory_mb, try_send};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DATABASE: &str = "worst";
const WRITERS: usize = 4;
/// Time between two calls of a node's `/health`.
const PROBE: Duration = Duration::from_millis(10);
/// Time for which the other calls are measured after a call has ended: upkeep may go on.
const AFTER: Duration = Duration::from_secs(2);
const CALL_MAX: Duration = Duration::from_secs(300);
const SHOWN: usize = 100;

/// A call with a JSON body; the target is relative to the database's collections unless it begins
/// with `/`.
#[derive(Clone)]
struct Call(&'static str, String, Value);

/// A case: the documents inserted before, and the calls to measure, all sent at once.
struct Case {
    name: &'static str,
    before: Vec<Call>,
    calls: Vec<Call>,
}

fn post(target: &str, body: Value) -> Call {
    Call("POST", target.to_owned(), body)
}

fn statement(text: String) -> Call {
    post(&format!("/api/command?db={DATABASE}"), json!({"command": text}))
}

/// Inserts documents in batches.
fn inserts(collection: &str, count: u64, each: u64, document: impl Fn(u64) -> Value) -> Vec<Call> {
    let call = |begin: u64| {
        let numbers = begin..count.min(begin + each);
        let all = numbers.map(|number| json!({"insertOne": {"document": document(number)}}));
        post(&format!("{collection}/bulk"), json!({"operations": all.collect::<Vec<_>>()}))
    };
    (0..count).step_by(each as usize).map(call).collect()
}

fn small(number: u64) -> Value {
    json!({"_id": number, "n": number, "city": format!("city{}", number % 100), "a": [1, 2, 3]})
}

fn update(collection: &str, filter: Value, update: Value) -> Call {
    let body = json!({"filter": filter, "update": update, "multi": true});
    post(&format!("{collection}/update"), body)
}

fn index(collection: &str, body: Value) -> Call {
    post(&format!("{collection}/indexes"), body)
}

fn case(name: &'static str, before: Vec<Call>, calls: Vec<Call>) -> Case {
    Case { name, before, calls }
}

/// A pipeline of about 900,000 steps for each document.
fn heavy() -> Value {
    json!({"pipeline": [{"$project": {"x": {"$sum": {"$map": {
        "input": {"$range": [0, 3000]},
        "in": {"$size": {"$filter": {"input": {"$range": [0, 300]}, "cond": {"$gt": ["$$this", 5]}}}}}}}}}]})
}

fn index_builds() -> Vec<Case> {
    let numbers = |number: u64| json!({"_id": number, "a": (0..3_000u64).map(|n| n * 7 + number).collect::<Vec<_>>()});
    vec![
        case(
            "index of 2,001 documents with 3,000 numbers each",
            inserts("multikey", 2_001, 50, numbers),
            vec![index("multikey", json!({"keys": {"a": 1}, "wait": true}))],
        ),
        case(
            "index of 100,000 documents",
            inserts("small", 100_000, 500, small),
            vec![index("small", json!({"keys": {"city": 1, "n": -1}, "wait": true}))],
        ),
    ]
}

fn updates() -> Vec<Case> {
    let all = json!({});
    let many = json!({"updateMany": {"filter": {}, "update": {"$inc": {"n": 1}}}});
    let doubling = |operator: &str, start: Value| {
        json!([{"$set": {"x": {"$reduce": {
            "input": {"$range": [0, 40]}, "initialValue": start,
            "in": {operator: ["$$value", "$$value"]}}}}}])
    };
    vec![
        case(
            "updateMany {} of 100,000 documents with an index",
            vec![],
            vec![update("small", all.clone(), json!({"$inc": {"n": 1}}))],
        ),
        case(
            "bulk of 30 updateMany {} over 100,000 documents",
            vec![],
            vec![post("small/bulk", json!({"operations": vec![many; 30]}))],
        ),
        case(
            "pipeline update of 100,000 documents",
            vec![],
            vec![update("small", all.clone(), json!([{"$set": {"copy": "$$ROOT"}}]))],
        ),
        case(
            "padding of 2,000 arrays to 100,000 items",
            vec![post("padded/documents", json!({"_id": 1, "a": vec![json!([]); 2_000]}))],
            vec![update("padded", all.clone(), json!({"$set": {"a.$[].100000": 1}}))],
        ),
        case(
            "a text and an array doubled 40 times in an update",
            vec![],
            vec![
                update("padded", all.clone(), doubling("$concat", json!("xxxxxxxx"))),
                update("padded", all.clone(), doubling("$concatArrays", json!([1]))),
            ],
        ),
        case(
            "expressions of 900,000 steps for each of 100,000 documents in an update",
            vec![],
            vec![update(
                "small",
                all.clone(),
                json!([{"$set": {"x": heavy()["pipeline"][0]["$project"]["x"].clone()}}]),
            )],
        ),
        case(
            "a decimal to the power of a million",
            vec![post("decimals/documents", json!({"_id": 1, "n": {"$numberDecimal": "3E-6000"}}))],
            vec![update(
                "decimals",
                all.clone(),
                json!([{"$set": {"n": {"$pow": [{"$subtract": ["$n", "$n"]}, 1_000_000]}}}]),
            )],
        ),
    ]
}

/// Statements and pipelines that read or write many or large documents.
fn statements_and_pipelines() -> Vec<Case> {
    vec![
        case(
            "INSERT of 10,000 rows with a column name of 10 KB",
            vec![],
            vec![statement(format!(
                "INSERT INTO named ({}) VALUES {}",
                "k".repeat(10_000),
                vec!["(1)"; 10_000].join(",")
            ))],
        ),
        case(
            "$merge of 100,000 documents into another collection",
            vec![],
            vec![post("small/aggregate", json!({"pipeline": [{"$merge": {"into": "merged"}}]}))],
        ),
        case(
            "$out of 60 documents of 8 MB",
            vec![post("seed/documents", json!({"_id": 1, "text": "x".repeat(8 << 20)}))],
            vec![post(
                "seed/aggregate",
                json!({"pipeline": [
                    {"$set": {"n": {"$range": [0, 60]}}}, {"$unwind": "$n"},
                    {"$set": {"_id": "$n"}}, {"$out": "large"}]}),
            )],
        ),
        case("16 heavy reads at once", vec![], vec![post("small/aggregate", heavy()); 16]),
    ]
}

fn inserts_under_rules() -> Vec<Case> {
    let rules = |document: u64| {
        let rules: Vec<_> = (0..1_000)
            .map(|n| json!({format!("f{document}_{n}"): {"type": "non_negative"}}))
            .collect();
        Call("PUT", format!("_rules/documents/r{document}"), json!({"small": rules}))
    };
    let referenced = json!({"orders": [{"customer": {
        "type": "referenced", "collectionreferenced": "customers", "externalfield": "number"}}]});
    let orders: Vec<_> =
        (0..400).map(|n| json!({"insertOne": {"document": {"customer": n}}})).collect();
    vec![
        case(
            "400 inserts under a rule `referenced` whose index builds",
            [
                inserts("customers", 50_000, 500, |n| json!({"_id": n, "number": n})),
                vec![Call("PUT", "_rules/documents/reference".into(), referenced)],
            ]
            .concat(),
            vec![post("orders/bulk", json!({"operations": orders, "ordered": false}))],
        ),
        case("20,000 rules", vec![], (0..20).map(rules).collect()),
        case(
            "500 inserts under those rules",
            vec![],
            inserts("small", 100_500, 500, small).split_off(200),
        ),
    ]
}

fn removals() -> Vec<Case> {
    vec![
        case(
            "deleteMany {} of 100,000 documents with an index",
            vec![],
            vec![post("small/delete", json!({"filter": {}, "multi": true}))],
        ),
        case(
            "dropping the database, and what is cleared afterwards",
            vec![],
            vec![Call("DELETE", format!("/api/dbs?name={DATABASE}"), Value::Null)],
        ),
    ]
}

/// All cases, in the order in which they run: later ones use what earlier ones have inserted.
fn cases() -> Vec<Case> {
    [index_builds(), updates(), statements_and_pipelines(), inserts_under_rules(), removals()]
        .into_iter()
        .flatten()
        .collect()
}

async fn send(http: &Http, Call(method, target, body): &Call) -> (String, Duration) {
    let target = match target.starts_with('/') {
        true => target.clone(),
        false => format!("/api/v1/databases/{DATABASE}/collections/{target}"),
    };
    let began = Instant::now();
    let answer = try_send(http.request(method, &target).timeout(CALL_MAX).json(body)).await;
    let shown = match answer {
        Ok(answer) if answer.status < 300 => answer.status.to_string(),
        Ok(answer) => format!("{} {}", answer.status, answer.text),
        Err(error) => error,
    };
    (shown.chars().take(SHOWN).collect(), began.elapsed())
}

/// What the other calls experienced.
#[derive(Default)]
struct Observations {
    writes: Vec<Duration>,
    refused: usize,
    health: Duration,
    unwell: usize,
    memory_mb: u64,
}

impl Observations {
    fn record_write(&mut self, took: Duration, done: bool) {
        self.writes.push(took);
        self.refused += usize::from(!done);
    }

    fn probed(&mut self, took: Duration, well: bool, pid: u32) {
        self.health = self.health.max(took);
        self.unwell += usize::from(!well);
        self.memory_mb = self.memory_mb.max(memory_mb(pid));
    }
}

/// Measures the other calls until `stop` is set.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Observations>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Watch {
    fn start(cluster: &Cluster) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Observations::default()));
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let node = &cluster.nodes[writer % cluster.nodes.len()];
            let (http, stop, seen) = (node.http(), stop.clone(), seen.clone());
            tasks.push(tokio::spawn(async move {
                for turn in 0.. {
                    let target = format!(
                        "/api/v1/databases/others/collections/c{writer}/documents/{}",
                        turn % 1_000
                    );
                    let began = Instant::now();
                    let request = http.request("PUT", &target).timeout(CALL_MAX);
                    let answer = try_send(request.json(&json!({"n": turn}))).await;
                    let done = answer.is_ok_and(|answer| answer.status < 300);
                    seen.lock().expect("nobody panics with it").record_write(began.elapsed(), done);
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                }
            }));
        }
        for node in &cluster.nodes {
            let (http, pid) = (node.http(), node.pid());
            let (stop, seen) = (stop.clone(), seen.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let began = Instant::now();
                    let answer = http.try_get("/health").await;
                    let well = answer.is_ok_and(|answer| answer.status == 200);
                    seen.lock().expect("nobody panics with it").probed(began.elapsed(), well, pid);
                    tokio::time::sleep(PROBE).await;
                }
            }));
        }
        Watch { stop, seen, tasks }
    }

    async fn finish(self) -> Observations {
        self.stop.store(true, Ordering::Release);
        for task in self.tasks {
            task.await.expect("a watcher does not panic");
        }
        std::mem::take(&mut self.seen.lock().expect("nobody panics with it"))
    }
}

async fn run(cluster: &Cluster, case: Case) {
    let http = cluster.nodes[0].http();
    for call in &case.before {
        let (answer, _) = send(&http, call).await;
        if !answer.starts_with('2') {
            println!("  before: {answer}");
        }
    }
    let memory = cluster.nodes.iter().map(|node| node.memory_mb()).max().unwrap_or_default();
    let watch = Watch::start(cluster);
    let tasks: Vec<_> = case
        .calls
        .into_iter()
        .map(|call| {
            let http = http.clone();
            tokio::spawn(async move { send(&http, &call).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a call does not panic"));
    }
    tokio::time::sleep(AFTER).await;
    let Observations { mut writes, refused, health, unwell, memory_mb } = watch.finish().await;
    writes.sort_unstable();
    let at = |part: usize| writes[(writes.len() - 1) * part / 100].as_millis();
    let longest = answers.iter().map(|(_, took)| took.as_millis()).max().unwrap_or_default();
    println!(
        "{:<72} {longest:>7} ms | {:>6} writes p50 {:>4} p99 {:>5} max {:>6} ms, {refused} refused | \
         health max {:>5} ms, {unwell} not 200 | memory {memory} -> {memory_mb} MB",
        case.name,
        writes.len(),
        at(50),
        at(99),
        at(100),
        health.as_millis(),
    );
    answers.dedup_by(|one, other| one.0 == other.0);
    answers.iter().take(3).for_each(|(answer, _)| println!("    {answer}"));
}

#[tokio::main]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let cluster = Cluster::start("worst-case", 3).await;
    let http = cluster.nodes[0].http();
    for name in [DATABASE, "others"] {
        http.post("/api/dbs", &json!({"name": name})).await.ok();
    }
    for case in cases() {
        let chosen = words.is_empty() || words.iter().any(|word| case.name.contains(word));
        if chosen {
            run(&cluster, case).await;
        }
    }
}
