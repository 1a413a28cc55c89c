//! Compares Jettra with the peers that are installed: etcd, PostgreSQL with two synchronous standbys,
//! and a bare handler of actix-web. All run on this machine, three nodes each where they are
//! distributed, and carry out the same work in alternation.
//!
//! `cargo run --release -p jettra-tests --bin compare` after `cargo build --release --workspace`;
//! `--help` lists the options. The generators are `wrk` for HTTP and `pgbench` for PostgreSQL. Each
//! answer is checked: a call that fails ends the comparison. Only ratios within one run are
//! meaningful.

mod actix;
mod charts;
mod document;
mod etcd;
mod groups;
mod grpc;
mod http;
mod jettra;
mod many_groups;
mod postgres;
mod process;
mod report;
mod spread;
mod stored;
mod system;
mod workload;
mod wrk;

use actix::Actix;
use charts::Growth;
use clap::Parser;
use etcd::{Etcd, Protocol};
use jettra::Jettra;
use jettra_tests::measure::Failure;
use many_groups::ManyGroups;
use postgres::Postgres;
use report::{BEFORE, JETTRA, Table};
use spread::Spread;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stored::Stored;
use system::System;
use workload::{ACTIX, ETCD, ETCD_GRPC, POSTGRES, Plan, ROWS, Row, SEQUENCE_FIRST};

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
    /// Documents of 200 B of the systems whose memory, disk and starts are measured
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// The most documents of 200 B in the charts
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    grow_to: u64,
    /// Everything small, in a few minutes: to try it, not to measure
    #[arg(long)]
    quick: bool,
    /// Only operations whose names contain this, and what they need; "stored documents" stands for
    /// memory, disk, starts and the time without a leader, "groups" for one and several groups of
    /// replicas, and "many-groups" for a hundred of them
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
    /// Write performance.md into this directory
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// Draw charts as well, which takes long, into DIR/performance
    #[arg(long, requires = "docs")]
    charts: bool,
    /// Serve as the bare handler at this port
    #[arg(long, hide = true)]
    serve_bare: Option<u16>,
}

impl Options {
    /// Whether what has this name is measured.
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    fn rows(&self) -> Vec<&'static Row> {
        let needed =
            |row: &Row| self.only.as_ref().is_some_and(|only| row.work.is_needed_for(only));
        let wanted = |row: &&Row| self.wants(&row.work.name()) || needed(row);
        let clients_max = if self.quick { 64 } else { usize::MAX };
        ROWS.iter().filter(wanted).filter(|row| row.clients <= clients_max).collect()
    }

    /// The directory of Jettra's programs.
    fn programs(&self) -> Result<PathBuf, Failure> {
        let own = std::env::current_exe()?;
        let beside = own.parent().unwrap_or(Path::new("."));
        Ok(self.jettra.clone().unwrap_or_else(|| beside.to_owned()))
    }

    /// What the tables do not say.
    fn sizes(&self) -> String {
        let Options { rounds, seconds, .. } = self;
        let count = |documents: u64| report::number(documents as f64);
        let [documents, large, stored] = [self.documents, self.large, self.stored].map(count);
        format!(
            "\nMedians of {rounds} rounds of {seconds} s for each cell; {documents} documents of 200 B, {large} of about \
             900 B. The second table: each system alone, with {stored} documents of 200 B.\n"
        )
    }

    fn includes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        !self.without.iter().any(|part| name.contains(&part.to_lowercase()))
    }
}

/// What the second table is about.
const STORED: &str = "stored documents";

/// One group of replicas beside several.
const GROUPS: &str = "groups";
/// A hundred groups; `--only groups` means them as well.
const MANY_GROUPS: &str = "many-groups";

/// Whether a program can be found.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// A system that runs, or why it does not.
type Started = Result<Box<dyn System>, Failure>;

/// A system that is installed: its column, and how to start it with data in an empty directory.
struct Installed {
    name: &'static str,
    start: Box<dyn Fn(&Path) -> Started>,
}

impl Installed {
    fn new<S: System + 'static>(
        name: &'static str,
        start: impl Fn(&Path) -> Result<S, Failure> + 'static,
    ) -> Installed {
        Installed { name, start: Box::new(move |dir| Ok(Box::new(start(dir)?))) }
    }
}

/// The systems that are installed and wanted, Jettra first.
fn installed_systems(options: &Options) -> Result<Vec<Installed>, Failure> {
    let programs = options.programs()?;
    let mut systems =
        vec![Installed::new(JETTRA, move |dir| Jettra::start(JETTRA, &programs, dir, 3))];
    if let Some(programs) = options.baseline.clone() {
        systems.push(Installed::new(BEFORE, move |dir| Jettra::start(BEFORE, &programs, dir, 3)));
    }
    match installed("etcd") {
        true => systems.extend([
            Installed::new(ETCD, |dir| Etcd::start(dir, Protocol::Http)),
            Installed::new(ETCD_GRPC, |dir| Etcd::start(dir, Protocol::Grpc)),
        ]),
        false => eprintln!("etcd is left out: apt-get install etcd-server"),
    }
    match postgres::programs() {
        Some(programs) => systems
            .push(Installed::new(POSTGRES, move |dir| Postgres::start(programs.clone(), dir))),
        None => eprintln!("PostgreSQL is left out: apt-get install postgresql"),
    }
    systems.push(Installed::new(ACTIX, Actix::start));
    systems.retain(|system| options.includes(system.name));
    Ok(systems)
}

/// Starts these systems and stores the small documents.
fn start<'a>(
    systems: impl Iterator<Item = &'a Installed>,
    documents: u64,
    dir: &Path,
) -> Result<Vec<Box<dyn System>>, Failure> {
    let mut started = Vec::new();
    for (at, installed) in systems.enumerate() {
        let mut system = (installed.start)(&dir.join(at.to_string()))?;
        system.fill(documents)?;
        system.verify(documents)?;
        started.push(system);
    }
    Ok(started)
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
        options.seconds = 1;
        options.documents = 5000;
        options.large = 5000;
    }
    if !installed("wrk") {
        return Err("wrk is missing: apt-get install wrk".into());
    }
    process::catch_interrupt()?;
    let dir = tempfile::Builder::new().prefix("jettra-compare-").tempdir()?;
    // PostgreSQL runs as another user.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    let installed = installed_systems(&options)?;
    let table = match options.rows().is_empty() {
        true => String::new(),
        false => {
            let mut systems = start(installed.iter(), options.documents, dir.path())?;
            compare(&options, &mut systems, dir.path())?.markdown()
        }
    };
    println!("{table}");
    let stored = match options.wants(STORED) {
        true => stored(&options, &installed, dir.path())?,
        false => String::new(),
    };
    println!("{stored}");
    if let Some(docs) = options.docs.as_ref().filter(|_| !table.is_empty() || !stored.is_empty()) {
        let charts = match options.charts {
            true => growth(&options, dir.path())?.draw(&installed, &docs.join("performance"))?,
            false => String::new(),
        };
        document::write(docs, &[&options.sizes(), &table, &stored, &charts])?;
    }
    measure_groups(&options, dir.path())
}

/// What groups of replicas bring and cost. Their page is written when both are measured.
fn measure_groups(options: &Options, dir: &Path) -> Result<(), Failure> {
    let (programs, dir) = (options.programs()?, dir.to_owned());
    let Options { rounds, seconds, documents, quick, .. } = *options;
    let mut spread = String::new();
    if options.wants(GROUPS) {
        let plan =
            Spread { rounds, seconds, documents, programs: programs.clone(), dir: dir.clone() };
        let figures = plan.measure()?;
        spread = figures.markdown(&plan);
        println!("{spread}");
        if let Some(docs) = options.docs.as_ref().filter(|_| options.charts) {
            spread += &format!("\n{}", figures.draw(&docs.join("performance"))?);
        }
    }
    if options.wants(MANY_GROUPS) {
        let (count, documents, idle) = if quick { (6, 200, 1) } else { (100, 8800, 30) };
        let idle = Duration::from_secs(idle);
        let plan = ManyGroups { count, documents, idle, programs, dir };
        let many = plan.measure()?.markdown(&plan);
        println!("{many}");
        if let Some(docs) = options.docs.as_ref().filter(|_| !spread.is_empty()) {
            document::write_groups(docs, &[&spread, &many])?;
        }
    }
    Ok(())
}

/// What the charts show.
fn growth(options: &Options, dir: &Path) -> Result<Growth, Failure> {
    let (counts, collections) = match options.quick {
        true => (vec![1000, 2000], vec![10, 20]),
        false => {
            let counts = (4..9).map(|digits| 10u64.pow(digits));
            (
                counts.filter(|count| *count <= options.grow_to).collect(),
                vec![10, 100, 1000, 10_000],
            )
        }
    };
    let Options { seconds, documents, .. } = *options;
    let (programs, dir) = (options.programs()?, dir.to_owned());
    Ok(Growth { seconds, documents, counts, collections, programs, dir, sequence: 0 })
}

/// What stored documents cost in each system, one after the other.
fn stored(options: &Options, systems: &[Installed], dir: &Path) -> Result<String, Failure> {
    let plan = match options.quick {
        true => Stored { documents: 5000, idle: Duration::from_secs(1), kills: 2 },
        false => Stored { documents: options.stored, idle: Duration::from_secs(20), kills: 10 },
    };
    let mut all = Vec::new();
    for installed in systems.iter().filter(|one| ![ACTIX, ETCD_GRPC].contains(&one.name)) {
        eprintln!("{} with {} documents", installed.name, plan.documents);
        let dir = dir.join("stored");
        all.push(plan.measure((installed.start)(&dir)?.as_mut())?);
        std::fs::remove_dir_all(dir)?;
    }
    Ok(stored::markdown(&all))
}
