//! `docs/performance.md` and `docs/performance-groups.md`: the tables with the machine, the versions, the
//! date and the commit.

use crate::postgres;
use crate::process::run;
use jettra_tests::measure::Failure;
use jettra_tests::source::root;
use std::path::Path;
use std::process::Command;

const HEAD: &str = "# Performance

Written by `cargo run --release -p jettra-tests --bin compare -- --docs docs --charts`; see
CONTRIBUTING. Absolute figures drift from run to run: only ratios within one run are meaningful. Groups of replicas have
[a page of their own](performance-groups.md).
";
const GROUPS_HEAD: &str = "# Performance of groups

Written by `cargo run --release -p jettra-tests --bin compare -- --docs docs --charts`, or alone with `--only groups`; see
CONTRIBUTING. Absolute figures drift from run to run: only ratios within one run are meaningful. The generators run on the
same cores. Settings are the defaults.
";
const METHOD: &str = "
All systems ran at the same time on this machine, three nodes each on loopback, and took turns in each round.
PostgreSQL: a primary and two standbys, one of which must confirm each commit; it reads at the primary alone. Bare
actix: one process whose handler returns 200 bytes. A write is acknowledged when it is on disk on two of three nodes.
Settings are the defaults, but for `shared_buffers = 1GB`, `max_wal_size = 4GB`, `max_connections = 300` and `jit = off`
of PostgreSQL, and a larger quota of etcd. The generators run on the same cores: `wrk` for HTTP, `pgbench` with prepared
statements for PostgreSQL, one of our own for gRPC. Calls go to the leader or primary unless the row says otherwise.
Each call is checked, and documents are counted or read again afterwards.

A cell: operations per second, latency at the median / 99th percentile, processor time of all nodes for each operation
(PostgreSQL's includes the opening of its connections).
";

/// Writes the page about groups with these parts into a directory.
pub(crate) fn write_groups(dir: &Path, parts: &[&str]) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let text = format!("{GROUPS_HEAD}\n{}\n{}", environment(&[])?, parts.join("\n"));
    Ok(std::fs::write(dir.join("performance-groups.md"), text)?)
}

/// Writes the document with these parts into a directory.
pub(crate) fn write(dir: &Path, parts: &[&str]) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let postgres = postgres::programs().unwrap_or_default().join("postgres");
    let peers = [
        line(Command::new("etcd").arg("--version")),
        line(Command::new(postgres).arg("--version")),
    ];
    let text = format!("{HEAD}\n{}{METHOD}{}", environment(&peers)?, parts.join("\n"));
    Ok(std::fs::write(dir.join("performance.md"), text)?)
}

/// The machine, the versions, the date and the commit, as a list.
fn environment(peers: &[String]) -> Result<String, Failure> {
    let cpu = field("/proc/cpuinfo", "model name");
    let memory: u64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse()?;
    let cores = std::thread::available_parallelism()?;
    let kernel = line(Command::new("uname").arg("-r"));
    let peers = match peers {
        [] => String::new(),
        peers => format!("- Peers: {}\n", peers.join(", ")),
    };
    let commit =
        line(Command::new("git").args(["log", "-1", "--format=%h of %cs"]).current_dir(root()));
    let date = line(Command::new("date").args(["-u", "+%F"]));
    Ok(format!(
        "- Machine: {cores} cores, {cpu}, {:.0} GiB, Linux {kernel}\n{peers}- Jettra: commit {commit}\n- Date: {date}\n",
        memory as f64 / 1024.0 / 1024.0,
    ))
}

/// The value of a field of a file in `/proc`.
fn field(path: impl AsRef<Path>, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// The first line that a program prints.
fn line(command: &mut Command) -> String {
    let output = run(command).unwrap_or_else(|_| "not installed".to_owned());
    output.lines().next().unwrap_or_default().to_owned()
}
