//! Histories of transactions on lists, and a judge of them after Elle (Kingsbury and Alvaro,
//! VLDB 2020).
//!
//! Transactions append numbers to lists, each number once in the whole history, and read
//! lists. A read tells the order of all appends that it saw; so the order of transactions that
//! depend on each other can be inferred, and a cycle in it is proof that the history is not
//! serializable, and with the order of real time, not strictly serializable.

mod graph;
mod observe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A list.
pub type Key = u64;
/// A number that one append puts at the end of one list.
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
    /// It was not, and never will be.
    Aborted,
    /// It may have been, or may yet be.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Tick of the clock before its first call.
    pub began: u64,
    /// Tick after its last answer.
    pub ended: u64,
    /// The steps that were answered, in their order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Collects the transactions of many clients, in real time.
#[derive(Default)]
pub struct Recorder {
    clock: AtomicU64,
    transactions: Mutex<Vec<Transaction>>,
}

impl Recorder {
    /// A tick of the clock, to be taken before the first call of a transaction.
    pub fn begin(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes a transaction that has ended now.
    pub fn end(&self, began: u64, steps: Vec<Step>, outcome: Outcome) {
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        let transaction = Transaction { began, ended, steps, outcome };
        self.transactions.lock().expect("nobody panics with it").push(transaction);
    }

    /// What has been noted so far.
    pub fn history(&self) -> History {
        History(self.transactions.lock().expect("nobody panics with it").clone())
    }
}

/// Transactions, named by their place.
#[derive(Debug, Clone, Default)]
pub struct History(pub Vec<Transaction>);

/// What no strictly serializable database would have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is called: a name of Adya's (`G0`, `G1a`, …) where there is one.
    pub name: &'static str,
    /// Who saw what.
    pub story: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.story)
    }
}

impl History {
    /// How many transactions ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|transaction| transaction.outcome == outcome).count()
    }

    /// Everything that is wrong with the history; of cycles the shortest of the worst kind.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        let (orders, mut anomalies) = observe::observe(self);
        anomalies.extend(graph::cycle(self, &orders));
        anomalies
    }

    /// Checks that nothing is wrong.
    ///
    /// # Panics
    /// With what is.
    #[track_caller]
    pub fn check(&self) {
        let anomalies = self.anomalies();
        let stories: Vec<_> = anomalies.iter().map(Anomaly::to_string).collect();
        assert!(anomalies.is_empty(), "{} anomalies:\n{}", stories.len(), stories.join("\n"));
    }
}

/// The orders of appends that the reads tell of, and who is known to be committed.
struct Orders {
    /// The longest state of each list that was read.
    lists: BTreeMap<Key, Vec<Number>>,
    /// Who appended which number.
    writers: BTreeMap<(Key, Number), usize>,
    /// Whether each transaction is committed: it says so, or a committed one has seen it.
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

    /// The reads, each without what the transaction itself had appended before.
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
