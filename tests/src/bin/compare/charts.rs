//! How throughput and latency grow: charts as SVG.

use crate::Installed;
use crate::jettra::Jettra;
use crate::report::JETTRA;
use crate::system::System;
use crate::workload::{ACTIX, Plan, SEQUENCE_FIRST, Work};
use jettra_tests::measure::Failure;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// A line: what it stands for, and its points.
pub(crate) type Line = (String, Vec<(f64, f64)>);

/// A chart with logarithmic axes.
pub(crate) struct Chart {
    /// The name of the file, without its ending.
    pub(crate) file: &'static str,
    /// What stands above it.
    pub(crate) title: String,
    /// The axis to the right.
    pub(crate) across: &'static str,
    /// The axis upwards.
    pub(crate) up: &'static str,
    /// Its lines.
    pub(crate) lines: Vec<Line>,
}

const SIZE: (u32, u32) = (760, 420);
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
];

impl Chart {
    /// The line of Markdown that shows it.
    pub(crate) fn shown(&self) -> String {
        format!("![{}](performance/{}.svg)\n", self.title, self.file)
    }

    /// Draws it into a directory.
    pub(crate) fn draw(&self, dir: &Path) -> Result<(), Failure> {
        let points = || self.lines.iter().flat_map(|(_, points)| points.iter().copied());
        let smallest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN, f64::max);
        let across = smallest(&mut points().map(|point| point.0))
            ..largest(&mut points().map(|point| point.0));
        let decade = |value: f64| 10f64.powf(value);
        let up = decade(smallest(&mut points().map(|point| point.1.log10().floor())))
            ..decade(largest(&mut points().map(|point| point.1.log10().ceil())));
        let path = dir.join(format!("{}.svg", self.file));
        let area = SVGBackend::new(&path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .margin_right(40)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(across.log_scale(), up.log_scale())?;
        let shown = |value: &f64| value.to_string();
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .x_label_formatter(&shown)
            .y_label_formatter(&shown)
            .light_line_style(WHITE)
            .draw()?;
        for ((name, points), colour) in self.lines.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)).point_size(3))?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(area.present()?)
    }
}

/// What is measured for the charts.
pub(crate) struct Growth {
    /// Seconds for one point.
    pub(crate) seconds: u64,
    /// Documents that are stored, where their number does not grow.
    pub(crate) documents: u64,
    /// Numbers of documents, in ascending order.
    pub(crate) counts: Vec<u64>,
    /// Numbers of collections, in ascending order.
    pub(crate) collections: Vec<u64>,
    /// The programs of Jettra.
    pub(crate) programs: PathBuf,
    /// A directory for data.
    pub(crate) dir: PathBuf,
    /// The next number of a document.
    pub(crate) sequence: u64,
}

const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];
const BYTES: [usize; 5] = [200, 1000, 4000, 16_000, 64_000];
const NODES: [u16; 3] = [1, 3, 5];
/// Clients where their number does not grow.
const MANY: usize = 64;

impl Growth {
    /// Measures and draws all charts into a directory; the text that shows them.
    pub(crate) fn draw(&mut self, installed: &[Installed], to: &Path) -> Result<String, Failure> {
        std::fs::create_dir_all(to)?;
        let mut charts = self.over_clients_and_bytes(installed)?;
        charts.push(self.over_documents()?);
        charts.push(self.over_nodes()?);
        charts.extend(self.over_collections()?);
        let mut text = "\n## Growth\n\n".to_owned();
        for chart in charts {
            chart.draw(to)?;
            text += &chart.shown();
        }
        Ok(text)
    }

    fn plan(&mut self, clients: usize, documents: u64) -> Plan {
        self.sequence += 1_000_000_000;
        eprintln!("chart: {clients} clients, {documents} documents or collections");
        Plan {
            clients,
            seconds: self.seconds,
            documents,
            large: 0,
            sequence: SEQUENCE_FIRST + self.sequence,
            dir: self.dir.clone(),
        }
    }

    /// Throughput and median latency of inserts and linearizable gets of all systems.
    fn over_clients_and_bytes(&mut self, installed: &[Installed]) -> Result<Vec<Chart>, Failure> {
        let compared = installed.iter().filter(|one| one.name != ACTIX);
        let mut systems = crate::start(compared, self.documents, &self.dir.join("clients"))?;
        let mut charts = Vec::new();
        for (work, files) in [
            (Work::Insert(200), ["insert-clients", "insert-latency-clients"]),
            (Work::Get, ["get-clients", "get-latency-clients"]),
        ] {
            let (mut rates, mut latencies) = (Vec::new(), Vec::new());
            for system in &mut systems {
                let (mut rate, mut latency) = (Vec::new(), Vec::new());
                for clients in CLIENTS {
                    let plan = self.plan(clients, self.documents);
                    if let Some(sample) = system.measure(work, &plan)? {
                        rate.push((clients as f64, sample.per_second()));
                        latency.push((clients as f64, sample.p50_ms));
                    }
                }
                rates.push((system.name(), rate));
                latencies.push((system.name(), latency));
            }
            let [throughput, latency] = files;
            let title = work.name();
            let chart = |file, up, lines| Chart {
                file,
                title: title.clone(),
                across: "clients",
                up,
                lines,
            };
            charts.push(chart(throughput, "operations/s", rates));
            charts.push(chart(latency, "median, ms", latencies));
        }
        let mut lines = Vec::new();
        for system in &mut systems {
            let mut line = Vec::new();
            for bytes in BYTES {
                let plan = self.plan(MANY, self.documents);
                if let Some(sample) = system.measure(Work::Insert(bytes), &plan)? {
                    line.push((bytes as f64, sample.per_second()));
                }
            }
            lines.push((system.name(), line));
        }
        let title = format!("insert, {MANY} clients");
        let across = "bytes of a document";
        charts.push(Chart { file: "insert-bytes", title, across, up: "operations/s", lines });
        Ok(charts)
    }

    fn cluster(&self, name: &str, nodes: u16) -> Result<Jettra, Failure> {
        Jettra::start(JETTRA, &self.programs, &self.dir.join(name), nodes)
    }

    /// One line for each operation, with the rates of `measured` added to it.
    fn measure_all(
        &mut self,
        system: &mut Jettra,
        at: f64,
        documents: u64,
        lines: &mut [(Work, Line)],
    ) -> Result<(), Failure> {
        for (work, (_, line)) in lines {
            let plan = self.plan(MANY, documents);
            if let Some(sample) = system.measure(*work, &plan)? {
                line.push((at, sample.per_second()));
            }
        }
        Ok(())
    }

    fn over_documents(&mut self) -> Result<Chart, Failure> {
        let mut system = self.cluster("documents", 3)?;
        let mut lines = empty(&[Work::Update, Work::Get, Work::LocalGet, Work::Find]);
        system.create()?;
        let mut stored = 0;
        for count in self.counts.clone() {
            system.add(stored..count)?;
            stored = count;
            self.measure_all(&mut system, count as f64, count, &mut lines)?;
        }
        let title = format!("{JETTRA}, documents stored, {MANY} clients");
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        Ok(Chart { file: "documents", title, across: "documents", up: "operations/s", lines })
    }

    fn over_nodes(&mut self) -> Result<Chart, Failure> {
        let mut lines = empty(&[Work::Insert(200), Work::Get, Work::LocalGet]);
        for nodes in NODES {
            let mut system = self.cluster(&format!("nodes{nodes}"), nodes)?;
            system.fill(self.documents)?;
            self.measure_all(&mut system, f64::from(nodes), self.documents, &mut lines)?;
        }
        let title = format!("{JETTRA}, nodes, {MANY} clients, all calls to the leader");
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        Ok(Chart { file: "nodes", title, across: "nodes", up: "operations/s", lines })
    }

    /// Inserts into one of many collections, all in one database or each in one of its own.
    fn over_collections(&mut self) -> Result<Vec<Chart>, Failure> {
        let (mut rates, mut latencies) = (Vec::new(), Vec::new());
        for (name, own_database) in [("collections", false), ("databases", true)] {
            let system = self.cluster(name, 3)?;
            let (mut rate, mut latency) = (Vec::new(), Vec::new());
            let mut created = 0;
            for count in self.collections.clone() {
                system.create_collections(created..count, own_database)?;
                created = count;
                let plan = self.plan(MANY, count);
                let sample = system.insert_into_collections(own_database, &plan)?;
                rate.push((count as f64, sample.per_second()));
                latency.push((count as f64, sample.p99_ms));
            }
            rates.push((name.to_owned(), rate));
            latencies.push((name.to_owned(), latency));
        }
        let title = format!("{JETTRA}, insert 200 B into one of many, {MANY} clients");
        let chart = |file, up, lines| Chart {
            file,
            title: title.clone(),
            across: "collections or databases",
            up,
            lines,
        };
        Ok(vec![
            chart("collections", "operations/s", rates),
            chart("collections-latency", "99th percentile, ms", latencies),
        ])
    }
}

fn empty(works: &[Work]) -> Vec<(Work, Line)> {
    works.iter().map(|work| (*work, (work.name(), Vec::new()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_its_lines() {
        let dir = tempfile::tempdir().expect("a directory");
        let line = |name: &str, factor: f64| {
            let points = CLIENTS.map(|clients| (clients as f64, clients as f64 * factor));
            (name.to_owned(), points.to_vec())
        };
        let lines = vec![line("first", 150.0), line("second", 12.5)];
        let (title, across, up) = ("inserts".to_owned(), "clients", "operations/s");
        let chart = Chart { file: "chart", title, across, up, lines };
        chart.draw(dir.path()).expect("it is drawn");
        let svg = std::fs::read_to_string(dir.path().join("chart.svg")).expect("the chart");
        for text in ["inserts", "clients", "operations/s", "first", "second"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
