//! A system that is measured.

use crate::workload::{Plan, Sample, Work};
use jettra_tests::measure::Failure;

/// A system under test, running.
pub(crate) trait System {
    /// What the table calls it.
    fn name(&self) -> String;

    /// Its processes; those that they have started belong to it too.
    fn pids(&self) -> Vec<u32>;

    /// Stores the small documents.
    fn fill(&mut self, documents: u64) -> Result<(), Failure>;

    /// Carries out an operation as often as the plan says; nothing if the system does not have it.
    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure>;

    /// The number of documents that [`Work::Insert`] has added.
    fn inserted(&self) -> Result<u64, Failure>;

    /// Reads a document and a group by other means than the generator does, and compares them.
    fn verify(&self, documents: u64) -> Result<(), Failure>;
}
