//! Measures the cost of guarantees: transactions compared with single writes, linearizable reads
//! with local ones, versions and idempotency keys with none. Three nodes, the same HTTP client,
//! alternating.
//!
//! `cargo run --release -p jettra-tests --bin compare_guarantees [seconds] [rounds] [title]` after
//! `cargo build --release --workspace`. Prints the medians of the rounds of all comparisons whose
//! title begins with `title`. Only ratios within one run are meaningful.

use jettra_tests::measure::{Failure, Figures, Three, measure, median, print};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const PORT: u16 = 19380;
const DOCUMENTS: u64 = 5000;

/// The cluster and a client for it.
#[derive(Clone)]
struct Target {
    http: Client,
    urls: Vec<String>,
    password: String,
}

impl Target {
    async fn call(
        &self,
        node: u64,
        method: Method,
        path: &str,
        key: Option<String>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.urls[node as usize % self.urls.len()]);
        let mut call = self.http.request(method, url).basic_auth("admin", Some(&self.password));
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.send().await?;
        let (status, bytes) = (answer.status(), answer.bytes().await?);
        if !status.is_success() {
            return Err(format!("{path} answered {status}: {bytes:?}").into());
        }
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.call(0, Method::POST, path, None, Some(body)).await
    }
}

fn collection(name: &str, tail: &str) -> String {
    format!("/api/v1/databases/bench/collections/{name}{tail}")
}

fn document(number: u64) -> Value {
    json!({"_id": format!("k{number:012}"), "v": "x".repeat(180)})
}

type Done = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
/// One kind of operation, carried out once for each number.
type Work = fn(Target, u64) -> Done;

fn insert(target: Target, number: u64) -> Done {
    Box::pin(async move {
        target.post(&collection("single", "/documents"), document(number)).await.map(drop)
    })
}

fn insert_with_key(target: Target, number: u64) -> Done {
    Box::pin(async move {
        let (path, key) = (collection("keyed", "/documents"), format!("write-{number}"));
        let body = Some(document(number));
        target.call(0, Method::POST, &path, Some(key), body).await.map(drop)
    })
}

fn ten(number: u64) -> impl Iterator<Item = Value> {
    (0..10).map(move |one| document(number * 10 + one))
}

fn batch_of_ten(target: Target, number: u64) -> Done {
    Box::pin(async move {
        let insert = |document| json!({"insert": {"database": "bench", "collection": "batch", "document": document}});
        let then: Vec<Value> = ten(number).map(insert).collect();
        target.post("/api/v1/batch", json!({"then": then})).await.map(drop)
    })
}

async fn in_transaction<F: Future<Output = Result<(), Failure>>>(
    target: &Target,
    work: impl FnOnce(String) -> F,
) -> Result<(), Failure> {
    let begun = target.call(0, Method::POST, "/api/v1/transactions", None, None).await?;
    let id = begun["id"].as_str().unwrap_or_default().to_owned();
    work(id.clone()).await?;
    let path = format!("/api/v1/transactions/{id}/commit");
    target.call(0, Method::POST, &path, None, None).await.map(drop)
}

fn transaction_of_one_call(target: Target, number: u64) -> Done {
    Box::pin(async move {
        in_transaction(&target, |id| {
            let target = target.clone();
            async move {
                let insert = |document| json!({"insertOne": {"document": document}});
                let operations: Vec<Value> = ten(number).map(insert).collect();
                let path = collection("bulk", &format!("/bulk?tx={id}"));
                target.post(&path, json!({"operations": operations})).await.map(drop)
            }
        })
        .await
    })
}

fn transaction_of_ten_calls(target: Target, number: u64) -> Done {
    Box::pin(async move {
        in_transaction(&target, |id| {
            let target = target.clone();
            async move {
                let path = collection("calls", &format!("/documents?tx={id}"));
                for document in ten(number) {
                    target.post(&path, document).await?;
                }
                Ok(())
            }
        })
        .await
    })
}

fn read(target: Target, number: u64, node: u64, level: &'static str) -> Done {
    Box::pin(async move {
        let id = format!("/documents/k{:012}?level={level}", number * 7919 % DOCUMENTS);
        let found = target.call(node, Method::GET, &collection("read", &id), None, None).await?;
        if found["v"].is_string() { Ok(()) } else { Err("a document is missing".into()) }
    })
}

fn update(target: Target, number: u64, name: &'static str) -> Done {
    Box::pin(async move {
        let number = number * 7919 % DOCUMENTS;
        let path = collection(name, &format!("/documents/k{number:012}"));
        target.call(0, Method::PUT, &path, None, Some(document(number))).await.map(drop)
    })
}

/// A comparison: a title, the number of clients, and the operations, the first of which is the
/// baseline.
type Comparison = (&'static str, usize, &'static [(&'static str, Work)]);

const COMPARISONS: &[Comparison] = &[
    (
        "writes",
        16,
        &[
            ("one document", insert),
            ("one document, Idempotency-Key", insert_with_key),
            ("transaction of ten, one call", batch_of_ten),
            ("transaction of ten: begin, bulk, commit", transaction_of_one_call),
            ("transaction of ten: begin, ten calls, commit", transaction_of_ten_calls),
        ],
    ),
    (
        "reads at the leader",
        64,
        &[
            ("local", |target, number| read(target, number, 0, "local")),
            ("leader", |target, number| read(target, number, 0, "leader")),
            ("linearizable", |target, number| read(target, number, 0, "linearizable")),
        ],
    ),
    (
        "reads at all nodes",
        64,
        &[
            ("local", |target, number| read(target, number, number, "local")),
            ("linearizable", |target, number| read(target, number, number, "linearizable")),
        ],
    ),
    (
        "updates",
        64,
        &[
            ("no versions", |target, number| update(target, number, "plain")),
            ("versions, all kept", |target, number| update(target, number, "versions")),
            ("versions, ten kept", |target, number| update(target, number, "few")),
        ],
    ),
];

async fn prepare(target: &Target) -> Result<(), Failure> {
    for name in ["read", "plain", "versions", "few", "single", "keyed", "batch", "bulk", "calls"] {
        let (database, collection) = ("bench", name);
        target.post("/api/cols", json!({"database": database, "collection": collection})).await?;
    }
    for (name, keep) in [("versions", json!({})), ("few", json!({"keep": 10}))] {
        let path = collection(name, "/versions");
        target.call(0, Method::PUT, &path, None, Some(keep)).await?;
    }
    for name in ["read", "plain", "versions", "few"] {
        for start in (0..DOCUMENTS).step_by(500) {
            let insert = |number| json!({"insertOne": {"document": document(number)}});
            let operations: Vec<Value> = (start..start + 500).map(insert).collect();
            target.post(&collection(name, "/bulk"), json!({"operations": operations})).await?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seconds, rounds) = (number(1, 4), number(2, 3));
    let dir = tempfile::tempdir()?;
    let three = Three::start(dir.path(), PORT).await?;
    let http = jettra_tests::certs::http_client(None, None).tcp_nodelay(true).build()?;
    let (urls, password) = (three.urls.clone(), three.password.clone());
    let target = Target { http, urls, password };
    prepare(&target).await?;
    let next = Arc::new(AtomicU64::new(0));
    let wanted = std::env::args().nth(3).unwrap_or_default();
    for (title, clients, works) in COMPARISONS.iter().filter(|row| row.0.starts_with(&wanted)) {
        let mut rows: Vec<Vec<Figures>> = vec![Vec::new(); works.len()];
        for _ in 0..rounds {
            for ((_, work), row) in works.iter().zip(&mut rows) {
                let (target, work) = (target.clone(), *work);
                let work = move |number| work(target.clone(), number);
                row.push(measure(*clients, seconds, &next, work).await?);
            }
        }
        println!("{title}, {clients} clients");
        let medians: Vec<Figures> = rows.into_iter().map(median).collect();
        for ((name, _), figures) in works.iter().zip(&medians) {
            print(&format!("  {name}"), *figures);
            println!("    {:.2} of the first", figures.per_second / medians[0].per_second);
        }
    }
    Ok(())
}
