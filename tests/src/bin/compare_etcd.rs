//! Jettra beside etcd's HTTP gateway: three nodes each, the same HTTP client, in turns.
//!
//! `cargo run --release -p jettra-tests --bin compare_etcd [seconds] [rounds]` after
//! `cargo build --release --workspace`, with Debian's `etcd-server` installed. Prints the
//! median of the rounds. Only ratios within one run count.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const JETTRA_PORT: u16 = 19180;
const ETCD_PORT: u16 = 19280;
const DOCUMENTS: u64 = 5000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A system under comparison: how to write and read the value of a number.
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

    /// A linearizable read, the default of both.
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

/// Figures of one run.
#[derive(Clone, Copy)]
struct Figures {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

async fn measure(
    system: &System,
    work: Work,
    clients: usize,
    seconds: u64,
    next: &Arc<AtomicU64>,
) -> Result<Figures, Failure> {
    let http = Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(system.clone(), work, http.clone(), next.clone(), end)))
        .collect();
    let started = Instant::now();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() - 1) as f64 * part) as usize;
        latencies[index].as_secs_f64() * 1000.0
    };
    Ok(Figures { per_second: latencies.len() as f64 / elapsed, p50_ms: at(0.5), p99_ms: at(0.99) })
}

async fn client(
    system: System,
    work: Work,
    http: Client,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let request = match work {
            Work::Put => system.put(&http, number),
            Work::Get => system.get(&http, number % DOCUMENTS),
        };
        let started = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        let hit = matches!(work, Work::Put) || body.contains("xxxx") || body.contains("eHh4");
        if !status.is_success() || !hit {
            return Err(format!("{} answered {status}: {body}", system.name()).into());
        }
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// Ends the processes of a comparison.
struct Running {
    etcd: Vec<Child>,
    shell: PathBuf,
    dir: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.etcd {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = dev(&self.shell, &self.dir, &["down"]).status();
    }
}

fn dev(shell: &Path, dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(shell);
    command.arg("dev").args(words).arg("--dir").arg(dir.join("jettra")).stdout(Stdio::null());
    command
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

/// The address of etcd's leader, once it answers.
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

async fn start(dir: &Path) -> Result<(Running, [System; 2]), Failure> {
    let shell = std::env::current_exe()?.with_file_name("jettra");
    let up = dev(&shell, dir, &["up", "3", "--port", &JETTRA_PORT.to_string()]).status()?;
    if !up.success() {
        return Err("jettra dev up failed; run cargo build --release --workspace first".into());
    }
    let running = Running { etcd: start_etcd(dir)?, shell, dir: dir.to_owned() };
    let password = std::fs::read_to_string(dir.join("jettra/admin-password"))?.trim().to_owned();
    let http = Client::builder().no_proxy().build()?;
    let url = format!("http://127.0.0.1:{JETTRA_PORT}");
    let created = http.post(format!("{url}/api/dbs")).basic_auth("admin", Some(&password));
    created.json(&json!({"name": "bench"})).send().await?.error_for_status()?;
    let etcd = System::Etcd { url: etcd_leader(&http).await? };
    Ok((running, [System::Jettra { url, password }, etcd]))
}

fn median(mut figures: Vec<Figures>) -> Figures {
    figures.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    figures[figures.len() / 2]
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seconds, rounds) = (number(1, 5), number(2, 3));
    let dir = tempfile::tempdir()?;
    let (_running, systems) = start(dir.path()).await?;
    let next = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    for (work, clients) in
        [(Work::Put, 64), (Work::Get, 64), (Work::Put, 1), (Work::Get, 1), (Work::Put, 256)]
    {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (at, system) in systems.iter().enumerate() {
                figures[at].push(measure(system, work, clients, seconds, &next[at]).await?);
            }
        }
        let figures = figures.map(median);
        for (system, figures) in systems.iter().zip(figures) {
            let Figures { per_second, p50_ms, p99_ms } = figures;
            let name = system.name();
            println!(
                "{work:?} {clients:>3} clients  {name:<10} {per_second:>9.0}/s  p50 {p50_ms:.2} ms  p99 {p99_ms:.2} ms"
            );
        }
        println!("    ratio {:.2}", figures[0].per_second / figures[1].per_second);
    }
    Ok(())
}
