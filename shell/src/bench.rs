//! `jettra bench`: measures a cluster through the driver, as programs use it.

mod report;

use crate::failure::{Failure, exit};
use crate::options::duration;
use crate::print::say;
use crate::session::Connection;
use clap::{Args, ValueEnum};
use jettra_driver::{Client, Collection, DocumentId, Error, ReadLevel};
use report::{Measurement, Report};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The database of the measurement.
const DATABASE: &str = "jettra_bench";
const COLLECTION: &str = "documents";
/// Pause of a client after an error, so that errors do not become a load of their own.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Options of `jettra bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// The calls of the clients; mixed is one get for each update
    #[arg(long, value_enum, default_value = "insert")]
    workload: Workload,
    /// Clients that work at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Size of a document in bytes of JSON
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// How long to measure, for example 10s
    #[arg(long, value_parser = duration, default_value = "10s")]
    duration: Duration,
    /// Documents that get, update and mixed choose from
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    documents: u32,
    /// Connect each client to another node, instead of all to the leader
    #[arg(long)]
    spread: bool,
    /// Keep the database jettra_bench for the next run
    #[arg(long)]
    keep: bool,
    /// Form of the result
    #[arg(long, value_enum, default_value = "text")]
    output: Form,
}

/// The calls of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Add new documents.
    Insert,
    /// Read documents by their `_id` and check them.
    Get,
    /// Write existing documents anew.
    Update,
    /// One get for each update.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Measures and prints the result; the exit code is 0 if everything was right.
pub(crate) async fn run(
    options: &BenchOptions,
    connection: &Connection,
    level: ReadLevel,
) -> Result<u8, Failure> {
    let admin = connection.client()?;
    admin.session().await?;
    admin.create_collection(DATABASE, COLLECTION).await?;
    let measured = measure(options, connection, level, &admin).await;
    if !options.keep {
        admin.drop_database(DATABASE).await?;
    }
    let report = Report::new(options, level, measured?);
    say(&match options.output {
        Form::Text => report.text(),
        Form::Json => format!("{:#}\n", report.json()),
    });
    let right = report.is_right();
    Ok(if right { exit::OK } else { exit::STATEMENT })
}

async fn measure(
    options: &BenchOptions,
    connection: &Connection,
    level: ReadLevel,
    admin: &Client,
) -> Result<Measurement, Failure> {
    let collection = |client: &Client| client.collection(DATABASE, COLLECTION).with_level(level);
    let clients = clients(options, connection, admin).await?;
    let collections: Vec<Collection<Value>> = clients.iter().map(collection).collect();
    if options.workload != Workload::Insert {
        preload(options, &collections[0]).await?;
    }
    let all = admin.collection::<Value>(DATABASE, COLLECTION);
    let before = all.count().await?;
    let mut measured = work(options, &collections).await?;
    if options.workload == Workload::Insert {
        let after = all.count().await?;
        measured.lost = (before + measured.latencies_us.len() as u64).saturating_sub(after);
    }
    Ok(measured)
}

/// One client for all, or with `--spread` one for each node.
async fn clients(
    options: &BenchOptions,
    connection: &Connection,
    admin: &Client,
) -> Result<Vec<Client>, Failure> {
    if !options.spread {
        return Ok(vec![connection.client()?]);
    }
    let mut seeds = connection.seeds.clone();
    if seeds.len() == 1 {
        let nodes = admin.cluster_nodes().await?;
        seeds = nodes.into_iter().map(|node| node.url).collect();
    }
    let stay = |seed: String| Connection { seeds: vec![seed], stay: true, ..connection.clone() };
    seeds.into_iter().map(|seed| stay(seed).client()).collect()
}

/// Writes the documents that the clients choose from.
async fn preload(options: &BenchOptions, collection: &Collection<Value>) -> Result<(), Failure> {
    let mut tasks = Vec::new();
    for first in 0..options.clients.min(options.documents) {
        let collection = collection.clone();
        let (size, step) = (options.size, options.clients as usize);
        let numbers = (first..options.documents).step_by(step);
        tasks.push(tokio::spawn(async move {
            for number in numbers.map(i64::from) {
                collection.save(&DocumentId::Int(number), &document(number, size)).await?;
            }
            Ok::<(), Error>(())
        }));
    }
    for task in tasks {
        task.await.map_err(broken)??;
    }
    Ok(())
}

async fn work(
    options: &BenchOptions,
    collections: &[Collection<Value>],
) -> Result<Measurement, Failure> {
    let started = Instant::now();
    let deadline = started + options.duration;
    let worker = |number: u32| Worker {
        collection: collections[number as usize % collections.len()].clone(),
        workload: options.workload,
        documents: i64::from(options.documents),
        size: options.size,
        random: Random::new(number),
        measured: Measurement::default(),
    };
    let tasks: Vec<_> =
        (0..options.clients).map(|number| tokio::spawn(worker(number).run(deadline))).collect();
    let mut measured = Measurement::default();
    for task in tasks {
        measured.add(task.await.map_err(broken)?);
    }
    measured.latencies_us.sort_unstable();
    measured.elapsed = started.elapsed();
    Ok(measured)
}

fn broken(error: tokio::task::JoinError) -> Failure {
    Failure::Refused(format!("a client of the measurement broke: {error}"))
}

/// One client.
struct Worker {
    collection: Collection<Value>,
    workload: Workload,
    documents: i64,
    size: usize,
    random: Random,
    measured: Measurement,
}

impl Worker {
    async fn run(mut self, deadline: Instant) -> Measurement {
        while Instant::now() < deadline {
            let number = (self.random.next() % self.documents.unsigned_abs()) as i64;
            let reads = match self.workload {
                Workload::Get => true,
                Workload::Insert | Workload::Update => false,
                Workload::Mixed => self.random.next().is_multiple_of(2),
            };
            let body = document(number, self.size);
            let started = Instant::now();
            let ended = self.call(number, reads, &body).await;
            self.note(ended, started.elapsed()).await;
        }
        self.measured
    }

    /// One call; whether its answer was right.
    async fn call(&self, number: i64, reads: bool, body: &Value) -> Result<bool, Error> {
        let id = DocumentId::Int(number);
        if reads {
            let found = self.collection.get(&id).await?;
            return Ok(found.is_some_and(|found| found.value["number"] == number));
        }
        match self.workload {
            Workload::Insert => self.collection.insert(body).await?,
            _ => self.collection.save(&id, body).await?,
        };
        Ok(true)
    }

    async fn note(&mut self, ended: Result<bool, Error>, took: Duration) {
        match ended {
            Ok(right) => {
                let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                self.measured.latencies_us.push(took_us);
                self.measured.misses += u64::from(!right);
            }
            Err(error) => {
                self.measured.errors += 1;
                self.measured.first_error.get_or_insert(error.to_string());
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// A document of about `size` bytes that can be recognised by its number.
fn document(number: i64, size: usize) -> Value {
    let bare = json!({"number": number, "padding": ""}).to_string().len();
    json!({"number": number, "padding": "x".repeat(size.saturating_sub(bare))})
}

/// Numbers that need only be spread well (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u32) -> Self {
        Random((u64::from(seed) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_size_asked_for() {
        for size in [100, 200, 5_000] {
            assert_eq!(document(123, size).to_string().len(), size);
        }
        assert_eq!(document(7, 0)["number"], 7);
    }

    #[test]
    fn every_client_has_other_numbers_and_all_documents_are_chosen() {
        let mut seen = [false; 50];
        for seed in 0..64 {
            let mut random = Random::new(seed);
            for _ in 0..20 {
                seen[(random.next() % 50) as usize] = true;
            }
        }
        assert!(seen.iter().all(|chosen| *chosen));
        assert_ne!(Random::new(1).next(), Random::new(2).next());
    }
}
