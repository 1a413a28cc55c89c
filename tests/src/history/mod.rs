//! Histories of transactions on lists, and a checker of strict serializability after Elle (Kingsbury
//! and Alvaro, VLDB 2020).
//!
//! Transactions append numbers to lists, each number once in the whole history, and read lists. A
//! read reveals the order of all appends that it saw, so the order of dependent transactions can be
//! inferred. A cycle in it proves that the history is not serializable; a cycle in it together
//! with the real-time order, that it is not strictly serializable.

mod graph;
mod observe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a list.
pub type Key = u64;
/// A number, appended once to one list.
pub type Number = u64;

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A number was put at the end of a list.
    Append(Key, Number),
    /// A list was read.
    Read(Key, Vec<Number>),
}

/// How a transaction ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was committed.
    Committed,
    /// It was not committed and never will be.
    Aborted,
    /// It may have been committed, or may be committed later.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Value of the logical clock before its first call.
    pub began: u64,
    /// Value of the logical clock after its last response.
    pub ended: u64,
    /// The steps that succeeded, in their order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Records the transactions of concurrent clients with their real-time order.
#[derive(Default)]
pub struct Recorder {
    clock: AtomicU64,
    transactions: Mutex<Vec<Transaction>>,
}

impl Recorder {
    /// The value of the logical clock; to be called before the first call of a transaction.
    pub fn begin(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Records a transaction that has ended now.
    pub fn end(&self, began: u64, steps: Vec<Step>, outcome: Outcome) {
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        let transaction = Transaction { began, ended, steps, outcome };
        self.transactions.lock().expect("nobody panics with it").push(transaction);
    }

    /// The transactions recorded so far.
    pub fn history(&self) -> History {
        History(self.transactions.lock().expect("nobody panics with it").clone())
    }
}

/// Transactions, identified by their index.
#[derive(Debug, Clone, Default)]
pub struct History(pub Vec<Transaction>);

/// A violation of strict serializability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Its name: Adya's (`G0`, `G1a`, …) where there is one.
    pub name: &'static str,
    /// The transactions and values that show it.
    pub description: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.description)
    }
}

impl History {
    /// The number of transactions with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|transaction| transaction.outcome == outcome).count()
    }

    /// All anomalies of single reads, and the shortest cycle of the worst kind.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        let (orders, mut anomalies) = observe::observe(self);
        anomalies.extend(graph::cycle(self, &orders));
        anomalies
    }

    /// Checks that there is no anomaly.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn check(&self) {
        let anomalies = self.anomalies();
        let lines: Vec<_> = anomalies.iter().map(Anomaly::to_string).collect();
        assert!(anomalies.is_empty(), "{} anomalies:\n{}", lines.len(), lines.join("\n"));
    }
}

/// The order of appends that the reads reveal, and the transactions known to be committed.
struct Orders {
    /// The longest state of each list that was read.
    lists: BTreeMap<Key, Vec<Number>>,
    /// The transaction that appended each number.
    writers: BTreeMap<(Key, Number), usize>,
    /// Whether each transaction is committed: its client knows it, or a committed one has read it.
    committed: Vec<bool>,
}

impl Transaction {
    /// The appends to a list, in their order.
    fn appends(&self, key: Key) -> impl Iterator<Item = Number> {
        self.steps.iter().filter_map(move |step| match step {
            Step::Append(list, number) if *list == key => Some(*number),
            _ => None,
        })
    }

    /// All appends.
    fn all_appends(&self) -> impl Iterator<Item = (Key, Number)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Append(key, number) => Some((*key, *number)),
            Step::Read(..) => None,
        })
    }

    /// The reads, each without the transaction's own appends at its end.
    fn outer_reads(&self) -> impl Iterator<Item = (Key, &[Number])> {
        self.steps.iter().filter_map(|step| match step {
            Step::Read(key, list) => {
                let own = |number: &Number| self.appends(*key).any(|mine| mine == *number);
                let end = list.iter().rposition(|number| !own(number)).map_or(0, |last| last + 1);
                Some((*key, &list[..end]))
            }
            Step::Append(..) => None,
        })
    }
}
