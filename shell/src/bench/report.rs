//! The result of a measurement.

use super::{BenchOptions, Workload};
use clap::ValueEnum;
use jettra_driver::ReadLevel;
use serde_json::{Value, json};
use std::time::Duration;

/// The counts and times of one client, or of all together.
#[derive(Debug, Default)]
pub(crate) struct Measurement {
    /// Time of each successful call, in microseconds; in order once all are together.
    pub(crate) latencies_us: Vec<u32>,
    /// Calls that failed.
    pub(crate) errors: u64,
    /// The first of the failures.
    pub(crate) first_error: Option<String>,
    /// Reads that found another document than was written, or none.
    pub(crate) misses: u64,
    /// Documents whose insert was acknowledged and that did not exist at the end.
    pub(crate) lost: u64,
    /// From the first call to the last answer.
    pub(crate) elapsed: Duration,
}

impl Measurement {
    /// Adds the measurement of another client.
    pub(crate) fn add(&mut self, other: Measurement) {
        self.latencies_us.extend(other.latencies_us);
        self.errors += other.errors;
        self.misses += other.misses;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }

    /// The time within which this part of the calls was answered, in milliseconds
    /// (nearest rank).
    fn latency_ms(&self, part: f64) -> f64 {
        let count = self.latencies_us.len();
        let rank = (part * count as f64).ceil().max(1.0) as usize;
        match self.latencies_us.get(rank.min(count).wrapping_sub(1)) {
            Some(latency_us) => f64::from(*latency_us) / 1e3,
            None => 0.0,
        }
    }
}

/// The result as it is printed.
pub(crate) struct Report {
    workload: String,
    clients: u32,
    size: usize,
    spread: bool,
    level: &'static str,
    reads: bool,
    measured: Measurement,
}

impl Report {
    /// The report of a measurement with these options.
    pub(crate) fn new(options: &BenchOptions, level: ReadLevel, measured: Measurement) -> Report {
        let name = options.workload.to_possible_value();
        Report {
            workload: name.map_or(String::new(), |name| name.get_name().to_owned()),
            clients: options.clients,
            size: options.size,
            spread: options.spread,
            level: level.name(),
            reads: matches!(options.workload, Workload::Get | Workload::Mixed),
            measured,
        }
    }

    /// Whether no call failed, no read missed and no document was lost.
    pub(crate) fn is_right(&self) -> bool {
        let Measurement { errors, misses, lost, .. } = self.measured;
        (errors, misses, lost) == (0, 0, 0)
    }

    fn per_second(&self) -> f64 {
        let seconds = self.measured.elapsed.as_secs_f64();
        rounded(self.measured.latencies_us.len() as f64 / seconds.max(1e-9))
    }

    /// The result for programs.
    pub(crate) fn json(&self) -> Value {
        let measured = &self.measured;
        json!({
            "workload": self.workload,
            "clients": self.clients,
            "size_bytes": self.size,
            "level": self.reads.then_some(self.level),
            "spread": self.spread,
            "duration_s": rounded(measured.elapsed.as_secs_f64()),
            "operations": measured.latencies_us.len(),
            "throughput_per_s": self.per_second(),
            "latency_ms": {
                "p50": measured.latency_ms(0.5),
                "p99": measured.latency_ms(0.99),
                "p99.9": measured.latency_ms(0.999),
                "max": measured.latency_ms(1.0),
            },
            "errors": measured.errors,
            "first_error": measured.first_error,
            "misses": measured.misses,
            "lost": measured.lost,
        })
    }

    /// The result for people.
    pub(crate) fn text(&self) -> String {
        let measured = &self.measured;
        let level = match self.reads {
            true => format!(", {} reads", self.level),
            false => String::new(),
        };
        let place = if self.spread { "spread over the nodes" } else { "on the leader" };
        let mut text = format!(
            "{}: {} clients {place}, documents of {} bytes{level}\n\
             throughput  {:.1} operations/s ({} in {:.1} s)\n\
             latency     p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms\n\
             errors      {}, misses {}, lost {}\n",
            self.workload,
            self.clients,
            self.size,
            self.per_second(),
            measured.latencies_us.len(),
            measured.elapsed.as_secs_f64(),
            measured.latency_ms(0.5),
            measured.latency_ms(0.99),
            measured.latency_ms(0.999),
            measured.latency_ms(1.0),
            measured.errors,
            measured.misses,
            measured.lost,
        );
        if let Some(error) = &measured.first_error {
            text += &format!("first error {error}\n");
        }
        text
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(measured: Measurement) -> Report {
        Report {
            workload: "get".into(),
            clients: 2,
            size: 200,
            spread: false,
            level: "local",
            reads: true,
            measured,
        }
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let measured = Measurement {
            latencies_us: (1..=1_000).map(|ms| ms * 1_000).collect(),
            ..Measurement::default()
        };
        for (part, ms) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            assert_eq!(measured.latency_ms(part), ms, "{part}");
        }
        let single = Measurement { latencies_us: vec![1_500], ..Measurement::default() };
        assert_eq!(single.latency_ms(0.5), 1.5);
        assert_eq!(Measurement::default().latency_ms(0.99), 0.0);
    }

    #[test]
    fn the_result_counts_all_clients() {
        let mut all = Measurement::default();
        for first_error in [None, Some("no leader".to_owned())] {
            all.add(Measurement {
                latencies_us: vec![1_000, 2_000],
                errors: u64::from(first_error.is_some()),
                first_error,
                ..Measurement::default()
            });
        }
        all.elapsed = Duration::from_secs(2);
        let report = report(all);
        assert_eq!(report.json()["throughput_per_s"], 2.0);
        assert_eq!(report.json()["operations"], 4);
        assert!(report.text().contains("first error no leader"));
        assert!(!report.is_right());
    }

    #[test]
    fn a_miss_or_a_loss_is_not_right() {
        assert!(report(Measurement::default()).is_right());
        for (misses, lost) in [(1, 0), (0, 1)] {
            let measured = Measurement { misses, lost, ..Measurement::default() };
            assert!(!report(measured).is_right());
        }
    }
}
