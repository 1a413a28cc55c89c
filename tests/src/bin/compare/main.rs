//! Compares Jettra with the peers that are installed: etcd, PostgreSQL with two synchronous standbys,
//! and a bare handler of actix-web. All run on this machine, three nodes each where they are
//! distributed, and carry out the same work in alternation.
//!
//! `cargo run --release -p jettra-tests --bin compare` after `cargo build --release --workspace`;
//! `--help` lists the options. The generators are `wrk` for HTTP and `pgbench` for PostgreSQL. Each
//! answer is checked: a call that fails ends the comparison. Only ratios within one run are
//! meaningful.

mod actix;
mod etcd;
mod http;
mod jettra;
mod postgres;
mod process;
mod report;
mod system;
mod workload;
mod wrk;

use actix::Actix;
use clap::Parser;
use etcd::Etcd;
use jettra::Jettra;
use jettra_tests::measure::Failure;
use postgres::Postgres;
use report::{BEFORE, JETTRA, Table};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use system::System;
use workload::{ACTIX, ETCD, POSTGRES, Plan, ROWS, Row, SEQUENCE_FIRST};

/// Compares Jettra with other systems on this machine
#[derive(Parser)]
struct Options {
    /// Rounds, of which the table shows the median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for one measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Documents of 200 B that are read and updated
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
    /// Documents of about 900 B that are loaded and queried in each round
    #[arg(long, default_value_t = 100_000)]
    large: u64,
    /// Everything small, in about a minute: to try it, not to measure
    #[arg(long)]
    quick: bool,
    /// Only operations whose names contain this; of those on large documents, their load as well
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Leave out systems whose names contain one of these, such as etcd
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    without: Vec<String>,
    /// Where the programs of Jettra are; default: beside this one
    #[arg(long, value_name = "DIR")]
    jettra: Option<PathBuf>,
    /// Where those of another build are, which becomes a column of its own
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// Serve as the bare handler at this port
    #[arg(long, hide = true)]
    serve_bare: Option<u16>,
}

impl Options {
    fn rows(&self) -> Vec<&'static Row> {
        let wanted = |row: &&Row| match &self.only {
            Some(only) => row.work.name().contains(only) || row.work.is_needed_for(only),
            None => true,
        };
        ROWS.iter().filter(wanted).collect()
    }

    fn includes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        !self.without.iter().any(|part| name.contains(&part.to_lowercase()))
    }
}

/// Whether a program can be found.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Starts all systems that are installed, with data in `dir`.
fn start(options: &Options, dir: &Path) -> Result<Vec<Box<dyn System>>, Failure> {
    let own = std::env::current_exe()?;
    let beside = own.parent().unwrap_or(Path::new(".")).to_owned();
    let programs = options.jettra.clone().unwrap_or(beside);
    let mut systems: Vec<Box<dyn System>> =
        vec![Box::new(Jettra::start(JETTRA, &programs, &dir.join("jettra"), 3)?)];
    if let Some(baseline) = &options.baseline {
        systems.push(Box::new(Jettra::start(BEFORE, baseline, &dir.join("before"), 3)?));
    }
    if options.includes(ETCD) {
        match installed("etcd") {
            true => systems.push(Box::new(Etcd::start(&dir.join("etcd"))?)),
            false => eprintln!("etcd is left out: apt-get install etcd-server"),
        }
    }
    if options.includes(POSTGRES) {
        match postgres::programs() {
            Some(programs) => {
                systems.push(Box::new(Postgres::start(programs, &dir.join("postgres"))?));
            }
            None => eprintln!("PostgreSQL is left out: apt-get install postgresql"),
        }
    }
    if options.includes(ACTIX) {
        systems.push(Box::new(Actix::start(dir)?));
    }
    Ok(systems)
}

/// One measurement of one system in one row; checked by the number of documents that were added.
fn measure(
    system: &mut dyn System,
    row: &Row,
    plan: &Plan,
) -> Result<Option<workload::Sample>, Failure> {
    let before = if row.work.inserts() { system.inserted()? } else { 0 };
    let Some(sample) = system.measure(row.work, plan)? else { return Ok(None) };
    if row.work.inserts() {
        let added = system.inserted()? - before;
        // The calls under way at the end are not counted by the generator.
        if added < sample.operations || added > sample.operations + 2 * row.clients as u64 {
            let operations = sample.operations;
            return Err(format!("{operations} inserts added {added} documents").into());
        }
    }
    Ok(Some(sample))
}

/// All rounds; each measures every row on one system after the other.
fn compare(
    options: &Options,
    systems: &mut [Box<dyn System>],
    dir: &Path,
) -> Result<Table, Failure> {
    let rows = options.rows();
    let names = systems.iter().map(|system| system.name()).collect();
    let mut table = Table::new(names, rows.clone());
    let mut sequence = SEQUENCE_FIRST;
    for round in 0..options.rounds {
        for (at, row) in rows.iter().enumerate() {
            let count = systems.len();
            // Each round begins with another system, so that none always follows the same.
            for column in (0..count).map(|column| (column + round) % count) {
                let system = &mut systems[column];
                let plan = Plan {
                    clients: row.clients,
                    seconds: options.seconds,
                    documents: options.documents,
                    large: options.large,
                    sequence,
                    dir: dir.to_owned(),
                };
                sequence += 1_000_000_000;
                let name = system.name();
                let failed = |error| format!("{name}, {}: {error}", row.work.name());
                let sample = measure(system.as_mut(), row, &plan).map_err(failed)?;
                if let Some(sample) = sample {
                    let (work, clients) = (row.work.name(), row.clients);
                    let figures = report::cell(Some(sample));
                    eprintln!("{}: {work}, {clients} clients, {name}: {figures}", round + 1);
                    table.add(at, column, sample);
                }
            }
        }
        for system in systems.iter() {
            system.verify(options.documents)?;
        }
    }
    Ok(table)
}

fn main() -> Result<(), Failure> {
    let mut options = Options::parse();
    if let Some(port) = options.serve_bare {
        return actix::serve(port);
    }
    if options.quick {
        options.rounds = 1;
        options.seconds = 2;
        options.documents = 5000;
        options.large = 5000;
    }
    for program in ["wrk", "pgbench"] {
        if !installed(program) {
            return Err(format!("{program} is missing: apt-get install wrk postgresql").into());
        }
    }
    let dir = tempfile::Builder::new().prefix("jettra-compare-").tempdir()?;
    // PostgreSQL runs as another user.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    let mut systems = start(&options, dir.path())?;
    for system in &mut systems {
        system.fill(options.documents)?;
        system.verify(options.documents)?;
    }
    let table = compare(&options, &mut systems, dir.path())?;
    println!("{}", table.markdown());
    Ok(())
}
