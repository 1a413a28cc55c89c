//! The table: medians of the rounds, ratios, and whether the goals are met.

use crate::workload::{Goal, Row, Sample};
use std::fmt::Write;

/// The figures of all systems in all rows.
pub(crate) struct Table {
    systems: Vec<String>,
    rows: Vec<(&'static Row, Vec<Vec<Sample>>)>,
}

/// The column of the system that has goals.
pub(crate) const JETTRA: &str = "Jettra";
/// The column of another build of it.
pub(crate) const BEFORE: &str = "Jettra before";
/// The largest p99 at [`TAIL_CLIENTS`] clients, as a multiple of the median.
const TAIL_MAX: f64 = 3.0;
const TAIL_CLIENTS: usize = 64;

impl Table {
    /// An empty table.
    pub(crate) fn new(systems: Vec<String>, rows: Vec<&'static Row>) -> Table {
        let empty = || vec![Vec::new(); systems.len()];
        let rows = rows.into_iter().map(|row| (row, empty())).collect();
        Table { systems, rows }
    }

    /// Adds the figures of a round.
    pub(crate) fn add(&mut self, row: usize, system: usize, sample: Sample) {
        self.rows[row].1[system].push(sample);
    }

    fn median(&self, row: usize, system: &str) -> Option<Sample> {
        let column = self.systems.iter().position(|name| name == system)?;
        median(&self.rows[row].1[column])
    }

    /// The verdicts on a row: ratios, each with its goal.
    fn verdicts(&self, at: usize) -> Vec<String> {
        let (row, _) = self.rows[at];
        let Some(own) = self.median(at, JETTRA) else { return Vec::new() };
        let mut verdicts: Vec<String> = self
            .median(at, BEFORE)
            .map(|before| format!("{:.2} × before", own.per_second() / before.per_second()))
            .into_iter()
            .collect();
        for goal in row.goals {
            let (name, wanted, other) = match *goal {
                Goal::Peer(peer, wanted) => (peer.to_owned(), wanted, self.median(at, peer)),
                Goal::Row(work, wanted) => {
                    let same =
                        |(other, _): &(&Row, _)| other.work == work && other.clients == row.clients;
                    let other = self.rows.iter().position(same);
                    (work.name(), wanted, other.and_then(|other| self.median(other, JETTRA)))
                }
            };
            if let Some(other) = other {
                let ratio = own.per_second() / other.per_second();
                verdicts
                    .push(format!("{ratio:.2} × {name} ({})", met(ratio >= wanted, "≥", wanted)));
            }
        }
        if row.clients == TAIL_CLIENTS {
            let ratio = own.p99_ms / own.p50_ms;
            verdicts
                .push(format!("p99 {ratio:.1} × p50 ({})", met(ratio <= TAIL_MAX, "≤", TAIL_MAX)));
        }
        verdicts
    }

    /// The table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "| operation | clients | {} | goals |\n|---|---|{}---|\n",
            self.systems.join(" | "),
            "---|".repeat(self.systems.len())
        );
        for (at, (row, cells)) in self.rows.iter().enumerate() {
            let cells: Vec<_> = cells.iter().map(|samples| cell(median(samples))).collect();
            let verdicts = self.verdicts(at).join("; ");
            let (name, clients) = (row.work.name(), row.clients);
            let _ = writeln!(text, "| {name} | {clients} | {} | {verdicts} |", cells.join(" | "));
        }
        text
    }
}

fn met(met: bool, relation: &str, wanted: f64) -> String {
    let word = if met { "met" } else { "**not met**" };
    format!("goal {relation} {wanted}: {word}")
}

/// The sample with the median of the operations per second.
pub(crate) fn median(samples: &[Sample]) -> Option<Sample> {
    let mut samples = samples.to_vec();
    samples.sort_by(|a, b| a.per_second().total_cmp(&b.per_second()));
    samples.get(samples.len() / 2).copied()
}

/// Operations per second, latencies and processor time as text.
pub(crate) fn cell(sample: Option<Sample>) -> String {
    let Some(sample) = sample else { return "–".to_owned() };
    let Sample { p50_ms, p99_ms, cpu_us, .. } = sample;
    let rate = number(sample.per_second());
    format!("{rate}/s, {} / {} ms, {} µs", number(p50_ms), number(p99_ms), number(cpu_us))
}

/// A number with three significant digits at least, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::ROWS;

    fn sample(operations: u64) -> Sample {
        Sample { operations, seconds: 1.0, p50_ms: 1.0, p99_ms: 2.0, cpu_us: 10.0 }
    }

    #[test]
    fn numbers_have_three_digits_at_least() {
        let texts = [0.5, 12.34, 123.4, 1234567.0].map(number);
        assert_eq!(texts, ["0.50", "12.3", "123", "1,234,567"]);
    }

    #[test]
    fn the_median_of_the_rounds_is_compared_with_the_goals() {
        let systems = [JETTRA, crate::workload::POSTGRES].map(str::to_owned).to_vec();
        let mut table = Table::new(systems, vec![&ROWS[0]]);
        [90, 100, 500].into_iter().for_each(|rate| table.add(0, 0, sample(rate)));
        table.add(0, 1, sample(200));
        assert_eq!(table.verdicts(0), ["0.50 × PostgreSQL (goal ≥ 1: **not met**)"]);
    }
}
