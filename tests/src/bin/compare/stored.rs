//! What stored documents cost: memory, disk, an idle node, a start, and the time without a leader.

use crate::process::{check_interrupt, cpu_seconds, disk_mb, private_mb};
use crate::report::number;
use crate::system::System;
use jettra_tests::measure::Failure;
use std::time::Duration;

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// Documents of 200 bytes.
    pub(crate) documents: u64,
    /// Time for which an idle cluster is watched.
    pub(crate) idle: Duration,
    /// How often the leader is killed.
    pub(crate) kills: usize,
}

/// Time after which the work that follows a load should have ended.
const SETTLE: Duration = Duration::from_secs(10);

/// The figures of one system: those of a node are the mean of all nodes.
pub(crate) struct Figures {
    name: String,
    private_mb: f64,
    disk_mb: f64,
    idle_percent: f64,
    start_seconds: Option<f64>,
    /// From the kill of the leader to the next acknowledged write, in ascending order.
    kill_seconds: Vec<f64>,
}

impl Stored {
    /// Measures a system that has been started and holds no documents.
    pub(crate) fn measure(&self, system: &mut dyn System) -> Result<Figures, Failure> {
        system.fill(self.documents)?;
        check_interrupt()?;
        std::thread::sleep(SETTLE.min(self.idle));
        let pids = system.pids();
        let nodes = pids.len() as f64;
        let private_mb = private_mb(&pids) / nodes;
        let disk_mb = disk_mb(system.dir()) / nodes;
        let before = cpu_seconds(&pids);
        std::thread::sleep(self.idle);
        let idle = (cpu_seconds(&pids) - before) / nodes / self.idle.as_secs_f64();
        let start_seconds = system.restart_node()?;
        let mut kill_seconds = Vec::new();
        for _ in 0..self.kills {
            kill_seconds.extend(system.kill_leader()?);
        }
        kill_seconds.sort_by(f64::total_cmp);
        system.verify(self.documents)?;
        let (name, idle_percent) = (system.name(), idle * 100.0);
        Ok(Figures { name, private_mb, disk_mb, idle_percent, start_seconds, kill_seconds })
    }
}

impl Figures {
    fn kill(&self, part: f64) -> Option<f64> {
        let index = (self.kill_seconds.len().saturating_sub(1) as f64 * part).ceil() as usize;
        self.kill_seconds.get(index).copied()
    }
}

/// A row: what it shows of a system.
type Shown = (&'static str, fn(&Figures) -> Option<f64>);

const ROWS: [Shown; 6] = [
    ("private memory of a node, MB", |one| Some(one.private_mb)),
    ("disk of a node, MB", |one| Some(one.disk_mb)),
    ("idle node, % of a core", |one| Some(one.idle_percent)),
    ("start of a follower until it serves, s", |one| one.start_seconds),
    ("kill -9 of the leader to the next write, median, s", |one| one.kill(0.5)),
    ("the same, 99th percentile, s", |one| one.kill(0.99)),
];

/// The table in Markdown. The first column is that of Jettra.
pub(crate) fn markdown(all: &[Figures]) -> String {
    let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
    let rule = "---|".repeat(all.len());
    let mut text = format!("| | {} | goals |\n|---|{rule}---|\n", names.join(" | "));
    for (name, shown) in ROWS {
        let values: Vec<Option<f64>> = all.iter().map(shown).collect();
        let cells: Vec<_> = values.iter().map(|value| value.map_or("–".into(), number)).collect();
        let goal = goal(name, &values, &names).unwrap_or_default();
        text += &format!("| {name} | {} | {goal} |\n", cells.join(" | "));
    }
    text
}

/// Whether the goal of a row is met; nothing if it has none.
fn goal(row: &str, values: &[Option<f64>], names: &[&str]) -> Option<String> {
    let own = (*values.first()?)?;
    let etcd = names.iter().position(|name| *name == crate::workload::ETCD);
    let (limit, text) = match row {
        "private memory of a node, MB" => (values[etcd?]? / 2.0, "half of etcd's".to_owned()),
        "idle node, % of a core" => (0.5, "0.5 %".to_owned()),
        "start of a follower until it serves, s" => (2.0, "2 s".to_owned()),
        "the same, 99th percentile, s" => (1.3, "1.3 s".to_owned()),
        _ => return None,
    };
    let word = if own <= limit { "met" } else { "**not met**" };
    Some(format!("at most {text}: {word}"))
}
