//! Compares Jettra with etcd's HTTP gateway: three nodes each, the same HTTP client, alternating.
//!
//! `cargo run --release -p jettra-tests --bin compare_etcd [seconds] [rounds]` after
//! `cargo build --release --workspace`, with Debian's `etcd-server` installed. Prints the
//! medians of the rounds. Only ratios within one run are meaningful.

use jettra_tests::measure::{Failure, Three, measure, median, print};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

const JETTRA_PORT: u16 = 19180;
const ETCD_PORT: u16 = 19280;
const DOCUMENTS: u64 = 5000;

/// A system under test: how to write and read the value of a number.
#[derive(Clone)]
enum System {
    Jettra { url: String, password: String },
    Etcd { url: String },
}

impl System {
    fn name(&self) -> &'static str {
        match self {
            System::Jettra { .. } => "jettra",
            System::Etcd { .. } => "etcd HTTP",
        }
    }

    fn put(&self, http: &Client, key: u64) -> RequestBuilder {
        let text = "x".repeat(180);
        match self {
            System::Jettra { url, password } => http
                .post(format!("{url}/api/v1/databases/bench/collections/c/documents"))
                .basic_auth("admin", Some(password))
                .json(&json!({"_id": format!("k{key:012}"), "v": text})),
            System::Etcd { url } => http
                .post(format!("{url}/v3/kv/put"))
                .json(&json!({"key": base64(&format!("k{key:012}")), "value": base64(&text)})),
        }
    }

    /// A linearizable read, the default of both systems.
    fn get(&self, http: &Client, key: u64) -> RequestBuilder {
        match self {
            System::Jettra { url, password } => http
                .get(format!("{url}/api/v1/databases/bench/collections/c/documents/k{key:012}"))
                .basic_auth("admin", Some(password)),
            System::Etcd { url } => http
                .post(format!("{url}/v3/kv/range"))
                .json(&json!({"key": base64(&format!("k{key:012}"))})),
        }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Put,
    Get,
}

async fn carry_out(system: System, work: Work, http: Client, number: u64) -> Result<(), Failure> {
    let request = match work {
        Work::Put => system.put(&http, number),
        Work::Get => system.get(&http, number % DOCUMENTS),
    };
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    let hit = matches!(work, Work::Put) || body.contains("xxxx") || body.contains("eHh4");
    if !status.is_success() || !hit {
        return Err(format!("{} answered {status}: {body}", system.name()).into());
    }
    Ok(())
}

/// Stops the processes of etcd when dropped.
struct Etcd(Vec<Child>);

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start_etcd(dir: &Path) -> Result<Vec<Child>, Failure> {
    let peer = |n: u16| format!("http://127.0.0.1:{}", ETCD_PORT + 10 + n);
    let cluster: Vec<_> = (0..3).map(|n| format!("n{n}={}", peer(n))).collect();
    let start = |n: u16| {
        let client = format!("http://127.0.0.1:{}", ETCD_PORT + n);
        Command::new("etcd")
            .args(["--name", &format!("n{n}"), "--data-dir"])
            .arg(dir.join(format!("etcd{n}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer(n), "--initial-advertise-peer-urls", &peer(n)])
            .args(["--initial-cluster", &cluster.join(","), "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    (0..3)
        .map(|n| start(n).map_err(|error| format!("etcd (etcd-server): {error}").into()))
        .collect()
}

/// Waits until etcd responds, and returns the address of its leader.
async fn etcd_leader(http: &Client) -> Result<String, Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        for n in 0..3 {
            let url = format!("http://127.0.0.1:{}", ETCD_PORT + n);
            let request = http.post(format!("{url}/v3/maintenance/status")).json(&json!({}));
            let Ok(answer) = request.send().await else { continue };
            let status: Value = answer.json().await.unwrap_or_default();
            if status["leader"] == status["header"]["member_id"] && status["leader"].is_string() {
                return Ok(url);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("etcd found no leader".into())
}

async fn start(dir: &Path) -> Result<(Three, Etcd, [System; 2]), Failure> {
    let three = Three::start(dir, JETTRA_PORT).await?;
    let processes = Etcd(start_etcd(dir)?);
    let http = jettra_tests::certs::http_client(None, None).build()?;
    let etcd = System::Etcd { url: etcd_leader(&http).await? };
    let (url, password) = (three.urls[0].clone(), three.password.clone());
    Ok((three, processes, [System::Jettra { url, password }, etcd]))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seconds, rounds) = (number(1, 5), number(2, 3));
    let dir = tempfile::tempdir()?;
    let (_jettra, _etcd, systems) = start(dir.path()).await?;
    let http = jettra_tests::certs::http_client(None, None).tcp_nodelay(true).build()?;
    let next = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    for (work, clients) in
        [(Work::Put, 64), (Work::Get, 64), (Work::Put, 1), (Work::Get, 1), (Work::Put, 256)]
    {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (at, system) in systems.iter().enumerate() {
                let (system, http) = (system.clone(), http.clone());
                let each = move |number| carry_out(system.clone(), work, http.clone(), number);
                figures[at].push(measure(clients, seconds, &next[at], each).await?);
            }
        }
        let figures = figures.map(median);
        for (system, figures) in systems.iter().zip(figures) {
            print(&format!("{work:?} {clients:>3} clients  {}", system.name()), figures);
        }
        println!("    ratio {:.2}", figures[0].per_second / figures[1].per_second);
    }
    Ok(())
}
