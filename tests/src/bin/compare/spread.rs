//! The same clients and documents in one group of replicas, and spread over several.

use crate::charts::{Chart, Line};
use crate::groups;
use crate::jettra::{Jettra, request};
use crate::process::metered;
use crate::report::{cell, median, number};
use crate::system::System;
use crate::workload::{DATABASE, Plan, SEQUENCE_FIRST, Sample, Work};
use crate::wrk::{self, Target};
use jettra_tests::measure::Failure;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const GROUPS: [u64; 3] = [1, 4, 16];
const WORKS: [Work; 3] = [Work::Insert(200), Work::Get, Work::LocalGet];
const CLIENTS: usize = 64;
/// Threads of the generator, which take turns among the groups: as many for each number of them.
const THREADS: usize = 16;
const NODES: u16 = 3;

const TITLE: &str = "64 clients, one database in each group";
const METHOD: &str = "
Three clusters of three nodes ran at the same time and took turns in each round: with one, four and sixteen groups of
three replicas beside the system group, and one database in each. The nodes lead the groups in turn, and each call goes to
the leader of its group. The same clients and documents are spread evenly over the databases.

A cell: operations per second, latency at the median / 99th percentile, processor time of all nodes for each operation.
";

/// How it is measured.
pub(crate) struct Spread {
    /// Rounds, of which the table shows the median.
    pub(crate) rounds: usize,
    /// Seconds for one measurement.
    pub(crate) seconds: u64,
    /// Documents of 200 B in all databases together.
    pub(crate) documents: u64,
    /// The programs of Jettra.
    pub(crate) programs: PathBuf,
    /// A directory for data.
    pub(crate) dir: PathBuf,
}

/// The figures: for each operation those of each number of groups.
pub(crate) struct Figures([[Vec<Sample>; GROUPS.len()]; WORKS.len()]);

impl Spread {
    /// Starts the clusters and carries out all rounds.
    pub(crate) fn measure(&self) -> Result<Figures, Failure> {
        let clusters = GROUPS.map(|count| self.start(count));
        let clusters: Vec<Cluster> = clusters.into_iter().collect::<Result<_, _>>()?;
        let mut figures = Figures(Default::default());
        let mut sequence = SEQUENCE_FIRST;
        for round in 0..self.rounds {
            for (work, row) in WORKS.iter().zip(&mut figures.0) {
                // Each round begins with another one, so that none always follows the same.
                for at in (0..GROUPS.len()).map(|at| (at + round) % GROUPS.len()) {
                    let sample = self.one(&clusters[at], *work, sequence)?;
                    sequence += 1_000_000_000;
                    let (name, groups) = (work.name(), GROUPS[at]);
                    eprintln!("{}: {name}, {groups} groups: {}", round + 1, cell(Some(sample)));
                    row[at].push(sample);
                }
            }
        }
        Ok(figures)
    }

    fn start(&self, count: u64) -> Result<Cluster, Failure> {
        let dir = self.dir.join(format!("groups{count}"));
        let jettra = Jettra::start("Jettra", &self.programs, &dir, NODES)?;
        groups::create(&jettra, count)?;
        groups::create_databases(&jettra, count)?;
        groups::spread_leaders(&jettra, usize::from(NODES))?;
        for group in 1..=count {
            jettra.add_to(&groups::database(group), 0..self.documents / count)?;
            let inserts = json!({"database": groups::database(group), "collection": "inserts"});
            jettra.post("/api/cols", &inserts)?;
        }
        Ok(Cluster { jettra, count })
    }

    /// One measurement; checked by the number of documents that were added.
    fn one(&self, cluster: &Cluster, work: Work, sequence: u64) -> Result<Sample, Failure> {
        let plan = Plan {
            clients: CLIENTS,
            seconds: self.seconds,
            documents: self.documents / cluster.count,
            large: 0,
            sequence,
            dir: self.dir.clone(),
        };
        let Some(request) = request(work, DATABASE) else { return Err("no request".into()) };
        let targets = cluster.targets()?;
        let before = if work.inserts() { cluster.inserted()? } else { 0 };
        let sample = metered(&cluster.jettra.pids(), || {
            wrk::measure_each(&targets, THREADS, &request, &plan)
        })?;
        if work.inserts() {
            let (added, operations) = (cluster.inserted()? - before, sample.operations);
            // The calls under way at the end are not counted by the generator.
            if added < operations || added > operations + 2 * CLIENTS as u64 {
                return Err(format!("{operations} inserts added {added} documents").into());
            }
        }
        Ok(sample)
    }
}

/// A cluster with this number of groups beside the system group.
struct Cluster {
    jettra: Jettra,
    count: u64,
}

impl Cluster {
    /// The databases, each at the leader of its group.
    fn targets(&self) -> Result<Vec<Target>, Failure> {
        let target = |group: &Value| {
            let node = groups::leader(group).ok_or_else(|| format!("no leader: {group}"))?;
            let database = groups::database(group["id"].as_u64().unwrap_or_default());
            Ok(Target { address: self.jettra.address(node), database })
        };
        groups::list(&self.jettra)?.iter().map(target).collect()
    }

    /// The number of documents that were inserted into all databases.
    fn inserted(&self) -> Result<u64, Failure> {
        let count = |group| {
            let database = groups::database(group);
            let path = format!("/api/v1/databases/{database}/collections/inserts/count");
            let reply = self.jettra.post(&path, &json!({}))?;
            reply["count"].as_u64().ok_or_else(|| format!("count: {reply}").into())
        };
        (1..=self.count).map(count).sum()
    }
}

impl Figures {
    /// The section with the table.
    pub(crate) fn markdown(&self, spread: &Spread) -> String {
        let Spread { rounds, seconds, documents, .. } = spread;
        let mut text = format!(
            "## One group and several\n{METHOD}\nMedians of {rounds} rounds of {seconds} s for each cell; {CLIENTS} \
             clients, {} documents of 200 B.\n\n| operation | {} | rates beside one |\n|---|{}---|\n",
            number(*documents as f64),
            GROUPS.map(named).join(" | "),
            "---|".repeat(GROUPS.len()),
        );
        for (work, row) in WORKS.iter().zip(&self.0) {
            let medians = row.each_ref().map(|samples| median(samples));
            let rate = |at: usize| medians[at].map_or(f64::NAN, |sample| sample.per_second());
            let ratios: Vec<_> =
                (1..GROUPS.len()).map(|at| format!("{:.2}", rate(at) / rate(0))).collect();
            let cells = medians.map(cell).join(" | ");
            let _ = writeln!(text, "| {} | {cells} | {} |", work.name(), ratios.join(", "));
        }
        text
    }

    /// Draws the rates over the number of groups into a directory; the text that shows the chart.
    pub(crate) fn draw(&self, to: &Path) -> Result<String, Failure> {
        std::fs::create_dir_all(to)?;
        let line = |(work, row): (&Work, &[Vec<Sample>; GROUPS.len()])| -> Line {
            let points = GROUPS.iter().zip(row).filter_map(|(groups, samples)| {
                Some((*groups as f64, median(samples)?.per_second()))
            });
            (work.name(), points.collect())
        };
        let lines = WORKS.iter().zip(&self.0).map(line).collect();
        let title = TITLE.to_owned();
        let chart = Chart { file: "groups", title, across: "groups", up: "operations/s", lines };
        chart.draw(to)?;
        Ok(chart.shown())
    }
}

fn named(count: u64) -> String {
    format!("{count} group{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_compared_with_those_of_one_group() {
        let sample = |operations| Sample {
            operations,
            seconds: 1.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
            cpu_us: 10.0,
        };
        let row = || [vec![sample(100)], vec![sample(150)], vec![sample(90), sample(300)]];
        let figures = Figures([row(), row(), row()]);
        let (programs, dir) = (PathBuf::new(), PathBuf::new());
        let text =
            figures.markdown(&Spread { rounds: 1, seconds: 1, documents: 10, programs, dir });
        assert!(text.contains("| operation | 1 group | 4 groups | 16 groups |"), "{text}");
        assert!(text.contains("| 1.50, 3.00 |"), "{text}");
    }
}
