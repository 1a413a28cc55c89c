//! What a hundred groups of replicas cost each node: processor time when idle, memory, threads, file
//! handles, and the time until all serve again after a node was killed.

use crate::groups;
use crate::jettra::Jettra;
use crate::process::{Usage, check_interrupt, cpu_seconds, usage, wait_for};
use crate::report::number;
use crate::system::System;
use crate::workload::{Large, small};
use jettra_tests::measure::Failure;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Documents in one call of those that write to all groups.
const BATCH: u64 = 100;
/// Calls at the same time.
const WRITERS: usize = 4;
/// Time after which the work that follows the creation of groups, or writes, should have ended.
const SETTLE: Duration = Duration::from_secs(10);
/// Time after which a client without an answer calls another node, and that for all groups.
const ANSWER_MAX: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const NODES: usize = 3;

/// Goals: of the processor time of an idle node, and of the memory beyond that with one group.
const IDLE_PERCENT_MAX: f64 = 5.0;
const MEMORY_MB_MAX: f64 = 60.0;

/// How it is measured.
pub(crate) struct ManyGroups {
    /// Groups beside the system group.
    pub(crate) count: u64,
    /// Documents of about 900 B that are written into each.
    pub(crate) documents: u64,
    /// Time for which an idle cluster is watched.
    pub(crate) idle: Duration,
    /// The programs of Jettra.
    pub(crate) programs: PathBuf,
    /// A directory for data.
    pub(crate) dir: PathBuf,
}

/// What each node uses at one moment of the measurement.
struct Moment {
    name: String,
    /// Processor time when idle, in percent of a core.
    idle: [f64; NODES],
    usage: [Usage; NODES],
}

/// The times, in seconds.
#[derive(Debug, Default)]
struct Times {
    created: f64,
    databases: f64,
    written: f64,
    /// Groups that the killed node led.
    led: usize,
    failover: f64,
    served: f64,
    caught_up: f64,
}

/// The figures.
pub(crate) struct Figures {
    moments: Vec<Moment>,
    times: Times,
}

impl ManyGroups {
    /// Starts a cluster and measures it.
    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let dir = self.dir.join("many-groups");
        let mut jettra = Jettra::start("Jettra", &self.programs, &dir, NODES as u16)?;
        let (mut moments, mut times) = (Vec::new(), Times::default());
        let (count, megabytes) = (self.count, self.megabytes());
        moments.push(self.moment(&jettra, "one group".into())?);
        self.write(&jettra, "b")?;
        moments.push(self.moment(&jettra, format!("one group with {megabytes} MB"))?);
        let began = Instant::now();
        groups::create(&jettra, count)?;
        times.created = began.elapsed().as_secs_f64();
        groups::create_databases(&jettra, count)?;
        times.databases = began.elapsed().as_secs_f64();
        groups::spread_leaders(&jettra, NODES)?;
        moments.push(self.moment(&jettra, format!("{count} more, empty"))?);
        let began = Instant::now();
        self.write_all(&jettra)?;
        times.written = began.elapsed().as_secs_f64();
        moments.push(self.moment(&jettra, format!("{count} more with {megabytes} MB each"))?);
        self.kill(&mut jettra, &mut times)?;
        Ok(Figures { moments, times })
    }

    fn megabytes(&self) -> String {
        let bytes = self.documents * Large::new(0).text().len() as u64;
        number(bytes as f64 / 1e6)
    }

    fn moment(&self, jettra: &Jettra, name: String) -> Result<Moment, Failure> {
        check_interrupt()?;
        std::thread::sleep(SETTLE.min(self.idle));
        let pids: [u32; NODES] = jettra.pids().try_into().map_err(|_| "a node has ended")?;
        let before = pids.map(|pid| cpu_seconds(&[pid]));
        std::thread::sleep(self.idle);
        let after = pids.map(|pid| cpu_seconds(&[pid]));
        let percent = |node: usize| (after[node] - before[node]) / self.idle.as_secs_f64() * 100.0;
        let moment = Moment { name, idle: std::array::from_fn(percent), usage: pids.map(usage) };
        let (idle, memory) = (each(moment.idle), each(moment.usage.map(|usage| usage.private_mb)));
        eprintln!("{}: idle {idle} % of a core, {memory} MB", moment.name);
        Ok(moment)
    }

    fn write(&self, jettra: &Jettra, database: &str) -> Result<(), Failure> {
        let documents = (0..self.documents, BATCH);
        jettra.bulk((database, "docs"), documents, |number| Large::new(number).text())
    }

    fn write_all(&self, jettra: &Jettra) -> Result<(), Failure> {
        let next = AtomicU64::new(1);
        let write = || {
            loop {
                let group = next.fetch_add(1, Ordering::Relaxed);
                if group > self.count {
                    return Ok(());
                }
                check_interrupt()?;
                self.write(jettra, &groups::database(group))?;
            }
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            let ended = |writer: std::thread::ScopedJoinHandle<'_, Result<(), Failure>>| {
                writer.join().map_err(|_| "a writer has panicked")?
            };
            writers.into_iter().try_for_each(ended)
        })
    }

    /// Kills the last node, which leads about a third of the groups, and starts it again.
    fn kill(&self, jettra: &mut Jettra, times: &mut Times) -> Result<(), Failure> {
        let node = NODES - 1;
        let led = |group: &&Value| groups::leader(group) == Some(node);
        times.led = groups::list(jettra)?.iter().filter(led).count();
        let calls: Vec<Vec<String>> = (1..=self.count)
            .map(|group| {
                let database = groups::database(group);
                let path = format!("/api/v1/databases/{database}/collections/after/documents");
                let url = |node| format!("http://{}{path}", jettra.address(node));
                (0..node).map(url).collect()
            })
            .collect();
        jettra.node(node).end("KILL")?;
        let killed = Instant::now();
        jettra.http().post_until_done(&calls, &small("1", "1", 200), ANSWER_MAX)?;
        times.failover = killed.elapsed().as_secs_f64();
        let started = Instant::now();
        jettra.node(node).restart()?;
        let health = format!("http://{}/health", jettra.address(node));
        wait_for("the node that was killed", || jettra.http().get(&health))?;
        times.served = started.elapsed().as_secs_f64();
        wait_for("its replicas", || {
            let groups = groups::list(jettra)?;
            match groups.iter().all(|group| has_caught_up(group, node)) {
                true => Ok(()),
                false => Err("not all of them have caught up".into()),
            }
        })?;
        times.caught_up = started.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Whether the replica on a node lacks nothing that the leader has.
fn has_caught_up(group: &Value, node: usize) -> bool {
    let replicas = group["replicas"].as_array().into_iter().flatten();
    let mut here = replicas.filter(|replica| replica["node"] == format!("n{node}"));
    here.all(|replica| replica["lag"] == 0 && replica["silent_ms"].is_null())
}

/// The values of all nodes.
fn each(values: [f64; NODES]) -> String {
    values.map(number).join(" / ")
}

/// A row: what it shows of a node.
type Shown = (&'static str, fn(&Moment, usize) -> String);

const ROWS: [Shown; 7] = [
    ("idle, % of a core", |moment, node| number(moment.idle[node])),
    ("private memory, MB", |moment, node| number(moment.usage[node].private_mb)),
    ("of it heap", |moment, node| number(moment.usage[node].heap_mb)),
    ("of it mapped without a file", |moment, node| number(moment.usage[node].mapped_mb)),
    ("of it pages of files", |moment, node| number(moment.usage[node].files_mb)),
    ("threads", |moment, node| moment.usage[node].threads.to_string()),
    ("file handles", |moment, node| moment.usage[node].handles.to_string()),
];

impl Figures {
    /// The section.
    pub(crate) fn markdown(&self, plan: &ManyGroups) -> String {
        let ManyGroups { count, documents, idle, .. } = plan;
        let Times { created, databases, written, led, failover, served, caught_up } = &self.times;
        let seconds = |value: &f64| number(*value);
        let names: Vec<_> = self.moments.iter().map(|moment| moment.name.as_str()).collect();
        let mut text = format!(
            "## {count} groups\n\nOne cluster of three nodes; a database in each group, into which {WRITERS} clients write \
             {documents} documents\nof about 900 B, {BATCH} with each call. The values are those of the three nodes; idle over \
             {} s. What glibc's\nallocator has mapped for other threads than the first counts as mapped without a file.\n\n| | \
             {} |\n|---|{}\n",
            idle.as_secs(),
            names.join(" | "),
            "---|".repeat(names.len()),
        );
        for (name, shown) in ROWS {
            let cell = |moment: &Moment| {
                let values: [String; NODES] = std::array::from_fn(|node| shown(moment, node));
                values.join(" / ")
            };
            let cells: Vec<_> = self.moments.iter().map(cell).collect();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        let _ = write!(
            text,
            "\n{}- Created and ready after {} s, with a database each after {} s; written to in {} s.\n- After kill -9 of a \
             node that led {led} of them all were written to again within {} s. The node served {} s\n  after its start, and \
             its replicas lacked nothing after {} s.\n",
            self.goals(),
            seconds(created),
            seconds(databases),
            seconds(written),
            seconds(failover),
            seconds(served),
            seconds(caught_up),
        );
        text
    }

    /// Whether the goals are met, by the node that uses the most.
    fn goals(&self) -> String {
        let [_, one, _, all] = self.moments.as_slice() else { return String::new() };
        let largest = |values: [f64; NODES]| values.into_iter().fold(f64::MIN, f64::max);
        let idle = largest(all.idle);
        let private = |moment: &Moment, node: usize| moment.usage[node].private_mb;
        let more = |node| private(all, node) - private(one, node);
        let memory = largest(std::array::from_fn(more));
        let word = |met: bool| if met { "met" } else { "**not met**" };
        format!(
            "- Idle with all groups: {} % of a core (goal ≤ {IDLE_PERCENT_MAX}: {}).\n- Private memory beyond that with one \
             group: {} MB (goal ≤ {MEMORY_MB_MAX}: {}).\n",
            number(idle),
            word(idle <= IDLE_PERCENT_MAX),
            number(memory),
            word(memory <= MEMORY_MB_MAX),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn moment(idle: f64, private_mb: f64) -> Moment {
        let usage = Usage { private_mb, ..Usage::default() };
        Moment { name: "some".into(), idle: [idle, 1.0, 1.0], usage: [usage; NODES] }
    }

    #[test]
    fn goals_are_compared_with_the_node_that_uses_the_most() {
        let moments =
            vec![moment(1.0, 10.0), moment(1.0, 50.0), moment(5.5, 90.0), moment(5.5, 100.0)];
        let goals = Figures { moments, times: Times::default() }.goals();
        assert!(goals.contains("5.50 % of a core (goal ≤ 5: **not met**)"), "{goals}");
        assert!(goals.contains("50.0 MB (goal ≤ 60: met)"), "{goals}");
    }

    #[test]
    fn a_replica_has_caught_up_when_it_answers_and_lacks_nothing() {
        let group = |replica: Value| json!({"replicas": [{"node": "n0", "lag": 9}, replica]});
        assert!(has_caught_up(&group(json!({"node": "n2", "lag": 0})), 2));
        assert!(!has_caught_up(&group(json!({"node": "n2", "lag": 1})), 2));
        assert!(!has_caught_up(&group(json!({"node": "n2"})), 2), "nobody knows");
        assert!(!has_caught_up(&group(json!({"node": "n2", "lag": 0, "silent_ms": 900})), 2));
    }
}
