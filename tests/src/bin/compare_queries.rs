//! Compares Jettra's queries with PostgreSQL's jsonb: one node each, the same documents, alternating.
//!
//! `cargo run --release -p jettra-tests --bin compare_queries [seconds] [rounds]` after
//! `cargo build --release --workspace`, as root with Debian's `postgresql` and
//! `postgresql-contrib` installed. The client of Jettra is reqwest over HTTP, that of PostgreSQL is
//! pgbench with prepared statements, which needs far less processor time. Prints the medians of the
//! rounds. Only ratios within one run are meaningful.

use reqwest::Client;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 19380;
const POSTGRES_PORT: u16 = 19381;
const DOCUMENTS: u64 = 100_000;
const BATCH: u64 = 500;
const PASSWORD: &str = "compare-queries";
const FULL_SCAN: &str = "full scan, filter on age";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A document of about 1 KB.
fn document(number: u64) -> Value {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    json!({
        "_id": number,
        "email": format!("user{number}@example.org"),
        "city": format!("city{}", mixed % 100),
        "age": mixed % 90,
        "price": (mixed % 100_000) as f64 / 100.0,
        "active": mixed.is_multiple_of(2),
        "tags": [format!("t{}", mixed % 7), format!("t{}", mixed % 11)],
        "address": {"street": format!("Street {}", mixed % 1000), "zip": format!("{:05}", mixed % 99_999)},
        "text": "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(13),
    })
}

struct Jettra {
    http: Client,
    base: String,
    _process: Stopped,
}

/// A child process that is killed when dropped.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Jettra {
    async fn start(dir: &Path) -> Result<Jettra, Failure> {
        let program = std::env::current_exe()?.with_file_name("jettradb");
        let process = Command::new(program)
            .args(["--port", &PORT.to_string(), "--log-level", "warn", "--data-dir"])
            .arg(dir)
            .env("JETTRA_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::null())
            .spawn()?;
        let url = format!("http://127.0.0.1:{PORT}");
        let http = jettra_tests::certs::http_client(None, None).tcp_nodelay(true).build()?;
        let jettra = Jettra {
            http,
            base: format!("{url}/api/v1/databases/bench/collections/c"),
            _process: Stopped(process),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let create =
                jettra.http.post(format!("{url}/api/dbs")).basic_auth("admin", Some(PASSWORD));
            match create.json(&json!({"name": "bench"})).send().await {
                Ok(reply) if reply.status().is_success() => return Ok(jettra),
                _ if Instant::now() > deadline => return Err("jettradb does not start".into()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let call =
            self.http.post(format!("{}{path}", self.base)).basic_auth("admin", Some(PASSWORD));
        let reply = call.json(body).send().await?;
        let status = reply.status();
        let body: Value = reply.json().await?;
        if status.is_success() { Ok(body) } else { Err(format!("{path}: {body}").into()) }
    }

    /// Calls per second with 16 clients.
    async fn rate(
        self: &Arc<Self>,
        seconds: u64,
        request: fn(&Jettra, u64) -> reqwest::RequestBuilder,
    ) -> Result<f64, Failure> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let next = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (jettra, next) = (self.clone(), next.clone());
                tokio::spawn(async move {
                    let mut done = 0u64;
                    while Instant::now() < end {
                        let number = next.fetch_add(7919, Ordering::Relaxed) % DOCUMENTS;
                        let call = request(&jettra, number).basic_auth("admin", Some(PASSWORD));
                        let reply = call.send().await?.error_for_status()?;
                        reply.bytes().await?;
                        done += 1;
                    }
                    Ok::<_, Failure>(done)
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    async fn seconds(&self, path: &str, body: &Value) -> Result<f64, Failure> {
        let started = Instant::now();
        self.post(path, body).await?;
        Ok(started.elapsed().as_secs_f64())
    }
}

struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
}

impl Postgres {
    fn start(dir: &Path) -> Result<Postgres, Failure> {
        let programs = std::fs::read_dir("/usr/lib/postgresql")?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .max()
            .ok_or("PostgreSQL is not installed")?;
        std::fs::create_dir_all(dir)?;
        run(Command::new("chown").arg("postgres").arg(dir))?;
        let postgres = Postgres { programs, dir: dir.join("db") };
        let data = postgres.dir.display().to_string();
        postgres.run("initdb", &["-A", "trust", "-D", &data])?;
        let options = format!(
            "-p {POSTGRES_PORT} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
             -c shared_buffers=1GB -c max_wal_size=4GB -c jit=off"
        );
        let log = format!("{data}.log");
        postgres.run("pg_ctl", &["-w", "-D", &data, "-l", &log, "-o", &options, "start"])?;
        Ok(postgres)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(self.programs.join(program)).args(arguments);
        run(&mut command)
    }

    fn sql(&self, text: &str) -> Result<f64, Failure> {
        let port = POSTGRES_PORT.to_string();
        let started = Instant::now();
        self.run(
            "psql",
            &["-h", "127.0.0.1", "-p", &port, "-v", "ON_ERROR_STOP=1", "-qc", text, "postgres"],
        )?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Runs a script with pgbench and returns the transactions per second.
    fn bench(&self, script: &str, clients: &str, seconds: u64) -> Result<f64, Failure> {
        let file = self.dir.with_file_name("script.sql");
        std::fs::write(&file, script)?;
        let port = POSTGRES_PORT.to_string();
        let (file, seconds) = (file.display().to_string(), seconds.to_string());
        let output = self.run(
            "pgbench",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-n",
                "-M",
                "prepared",
                "-c",
                clients,
                "-T",
                &seconds,
                "-f",
                &file,
                "postgres",
            ],
        )?;
        let line = output.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or("no tps")?;
        Ok(line.split(' ').next().unwrap_or_default().parse()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.dir.display().to_string();
        let _ = self.run("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
    }
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn get(jettra: &Jettra, number: u64) -> reqwest::RequestBuilder {
    jettra.http.get(format!("{}/documents/{number}?id_type=int", jettra.base))
}

fn by_email(jettra: &Jettra, number: u64) -> reqwest::RequestBuilder {
    let filter = json!({"email": format!("user{number}@example.org")});
    jettra.http.post(format!("{}/find", jettra.base)).json(&json!({"filter": filter}))
}

fn cheapest(jettra: &Jettra, _: u64) -> reqwest::RequestBuilder {
    let query = json!({"sort": {"price": 1}, "limit": 20});
    jettra.http.post(format!("{}/find", jettra.base)).json(&query)
}

fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Loads the same documents into both, and returns their size in bytes.
async fn load(jettra: &Jettra, postgres: &Postgres, dir: &Path) -> Result<usize, Failure> {
    let mut bytes = 0;
    let copy = dir.join("documents.tsv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&copy)?);
    for start in (0..DOCUMENTS).step_by(BATCH as usize) {
        let documents: Vec<_> = (start..start + BATCH).map(document).collect();
        for document in &documents {
            let text = document.to_string();
            bytes += text.len();
            writeln!(file, "{}\t{}", document["_id"], text.replace('\\', "\\\\"))?;
        }
        let operations: Vec<_> = documents
            .into_iter()
            .map(|document| json!({"insertOne": {"document": document}}))
            .collect();
        jettra.post("/bulk", &json!({"operations": operations})).await?;
    }
    file.flush()?;
    postgres.sql("CREATE TABLE c (id bigint PRIMARY KEY, doc jsonb)")?;
    run(Command::new("chmod").arg("644").arg(&copy))?;
    postgres.sql(&format!("COPY c FROM '{}'", copy.display()))?;
    postgres.sql("VACUUM ANALYZE c")?;
    println!("{DOCUMENTS} documents, {:.0} bytes each on average", bytes as f64 / DOCUMENTS as f64);
    Ok(bytes)
}

/// Builds the same indexes in both, and prints how fast that was.
async fn build_indexes(jettra: &Jettra, postgres: &Postgres) -> Result<(), Failure> {
    let built = jettra.seconds("/indexes", &json!({"keys": {"email": 1}, "unique": true})).await?;
    let postgres_built = postgres.sql("CREATE UNIQUE INDEX ON c ((doc->>'email'))")?;
    jettra.post("/indexes", &json!({"keys": {"price": 1}})).await?;
    postgres.sql("CREATE INDEX ON c (((doc->>'price')::numeric))")?;
    postgres.sql("ANALYZE c")?;
    println!(
        "index build: jettra {:.0} documents/s, PostgreSQL {:.0}/s",
        DOCUMENTS as f64 / built,
        DOCUMENTS as f64 / postgres_built
    );
    let sorted = json!({"sort": {"price": 1}, "limit": 20, "explain": "executionStats"});
    let explained = jettra.post("/find", &sorted).await?;
    println!(
        "sort+limit 20 examines {} documents",
        explained["explain"]["executionStats"]["totalDocsExamined"]
    );
    Ok(())
}

/// What is compared: calls per second, or seconds of one call.
struct Comparison {
    name: &'static str,
    /// The script for pgbench.
    script: &'static str,
    call: Call,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// The call of a comparison.
enum Call {
    /// Made by many clients.
    Rate(fn(&Jettra, u64) -> reqwest::RequestBuilder),
    /// Made by one client: path and body.
    Seconds(&'static str, Value),
}

fn comparisons() -> [Comparison; 5] {
    let scan = json!({"filter": {"age": {"$gt": 200}}});
    let group = json!({"pipeline": [{"$group": {"_id": "$city", "n": {"$sum": 1}, "avg": {"$avg": "$price"}}}]});
    [
        ("get by _id", "\\set id random(0, 99999)\nSELECT doc FROM c WHERE id = :id;\n", Call::Rate(get)),
        (
            "find by indexed email",
            "\\set id random(0, 99999)\nSELECT doc FROM c WHERE doc->>'email' = 'user' || :id::text || '@example.org';\n",
            Call::Rate(by_email),
        ),
        (
            "sort by price, limit 20",
            "SELECT doc FROM c ORDER BY (doc->>'price')::numeric LIMIT 20;\n",
            Call::Rate(cheapest),
        ),
        (
            FULL_SCAN,
            "SELECT count(*) FROM c WHERE (doc->>'age')::int > 200;\n",
            Call::Seconds("/count", scan),
        ),
        (
            "group by city",
            "SELECT doc->>'city', count(*), avg((doc->>'price')::numeric) FROM c GROUP BY 1;\n",
            Call::Seconds("/aggregate", group),
        ),
    ]
    .map(|(name, script, call)| Comparison { name, script, call, ours: vec![], theirs: vec![] })
}

impl Comparison {
    /// Measures both once.
    async fn measure(
        &mut self,
        jettra: &Arc<Jettra>,
        postgres: &Postgres,
        seconds: u64,
    ) -> Result<(), Failure> {
        match &self.call {
            Call::Rate(request) => {
                self.ours.push(jettra.rate(seconds, *request).await?);
                self.theirs.push(postgres.bench(self.script, "16", seconds)?);
            }
            Call::Seconds(path, body) => {
                self.ours.push(jettra.seconds(path, body).await?);
                self.theirs.push(1.0 / postgres.bench(self.script, "1", seconds)?);
            }
        }
        Ok(())
    }

    fn print(&self) {
        let (name, unit, digits) = match self.call {
            Call::Rate(_) => (self.name, "/s", 0),
            Call::Seconds(..) => (self.name, "s", 3),
        };
        let (ours, theirs) = (median(&self.ours), median(&self.theirs));
        println!("{name:<28} {ours:>11.digits$}{unit} {theirs:>11.digits$}{unit}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    run(Command::new("chmod").arg("755").arg(dir.path()))?;
    let jettra = Arc::new(Jettra::start(&dir.path().join("jettra")).await?);
    let postgres = Postgres::start(&dir.path().join("postgres"))?;
    let bytes = load(&jettra, &postgres, dir.path()).await?;
    build_indexes(&jettra, &postgres).await?;
    let mut comparisons = comparisons();
    for _ in 0..rounds {
        for comparison in &mut comparisons {
            comparison.measure(&jettra, &postgres, seconds).await?;
        }
    }
    println!("{:<28} {:>12} {:>12}", "", "jettra", "PostgreSQL");
    for comparison in &comparisons {
        comparison.print();
    }
    if let Some(scan) = comparisons.iter().find(|one| one.name == FULL_SCAN) {
        println!("the scan reads {:.0} MB/s", bytes as f64 / median(&scan.ours) / 1e6);
    }
    Ok(())
}
