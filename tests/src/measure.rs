//! What the benchmarks share: concurrent clients, a cluster of release builds, and medians of
//! rounds. Only figures of the same run are comparable.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Why a benchmark failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Figures of one round.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Operations completed.
    pub per_second: f64,
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the latency in milliseconds.
    pub p99_ms: f64,
}

/// Runs `work` in concurrent clients for some seconds. Each call is passed the next number of
/// `next`.
///
/// # Errors
/// The first error that `work` returns.
pub async fn measure<F: Future<Output = Result<(), Failure>> + Send>(
    clients: usize,
    seconds: u64,
    next: &Arc<AtomicU64>,
    work: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<Figures, Failure> {
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (work, next) = (work.clone(), next.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let begun = Instant::now();
                    work(next.fetch_add(1, Ordering::Relaxed)).await?;
                    latencies.push(begun.elapsed());
                }
                Ok::<_, Failure>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len().saturating_sub(1) as f64 * part) as usize;
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    Ok(Figures { per_second: latencies.len() as f64 / elapsed, p50_ms: at(0.5), p99_ms: at(0.99) })
}

/// The median of the rounds.
pub fn median(mut figures: Vec<Figures>) -> Figures {
    figures.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    figures[figures.len() / 2]
}

/// Prints one line of figures.
pub fn print(what: &str, figures: Figures) {
    let Figures { per_second, p50_ms, p99_ms } = figures;
    println!("{what:<48} {per_second:>9.0}/s  p50 {p50_ms:>6.2} ms  p99 {p99_ms:>7.2} ms");
}

/// Three nodes of the release build, run by `jettra dev`. Dropping it stops them.
pub struct Three {
    shell: PathBuf,
    dir: PathBuf,
    /// The addresses of the nodes; the first one leads.
    pub urls: Vec<String>,
    /// The password of the user `admin`.
    pub password: String,
}

impl Three {
    /// Starts them at consecutive ports beginning with `port`, and creates the database `bench`.
    ///
    /// # Errors
    /// If there is no release build, or a port is in use.
    pub async fn start(dir: &Path, port: u16) -> Result<Three, Failure> {
        let shell = std::env::current_exe()?.with_file_name("jettra");
        let dir = dir.join("jettra");
        let up = dev(&shell, &dir, &["up", "3", "--port", &port.to_string()]).status()?;
        if !up.success() {
            return Err("jettra dev up failed; run cargo build --release --workspace first".into());
        }
        let password = std::fs::read_to_string(dir.join("admin-password"))?.trim().to_owned();
        let urls = (0..3).map(|n| format!("http://127.0.0.1:{}", port + n)).collect();
        let three = Three { shell, dir, urls, password };
        let http = crate::certs::http_client(None, None).build()?;
        let created = http.post(format!("{}/api/dbs", three.urls[0]));
        let created = created.basic_auth("admin", Some(&three.password));
        created.json(&serde_json::json!({"name": "bench"})).send().await?.error_for_status()?;
        Ok(three)
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        let _ = dev(&self.shell, &self.dir, &["down"]).status();
    }
}

fn dev(shell: &Path, dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(shell);
    command.arg("dev").args(words).arg("--dir").arg(dir).stdout(Stdio::null());
    command
}
