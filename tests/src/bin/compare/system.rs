//! A system that is measured.

use crate::workload::{Plan, Sample, Work};
use jettra_tests::measure::Failure;
use std::path::Path;

/// A system under test, running.
pub(crate) trait System {
    /// What the table calls it.
    fn name(&self) -> String;

    /// Its processes; those that they have started belong to it too.
    fn pids(&self) -> Vec<u32>;

    /// The directory of its data.
    fn dir(&self) -> &Path;

    /// Stores the small documents.
    fn fill(&mut self, documents: u64) -> Result<(), Failure>;

    /// Carries out an operation as often as the plan says; nothing if the system does not have it.
    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure>;

    /// The number of documents that [`Work::Insert`] has added.
    fn inserted(&self) -> Result<u64, Failure>;

    /// Reads a document and a group by other means than the generator does, and compares them.
    fn verify(&self, documents: u64) -> Result<(), Failure>;

    /// Stops a node that does not lead and starts it again; the seconds from its start to its first
    /// read, nothing if the system has one node only.
    fn restart_node(&mut self) -> Result<Option<f64>, Failure>;

    /// Kills the leader; the seconds from there to the next acknowledged write. Then starts the node
    /// again. Nothing if the system does not choose another leader by itself.
    fn kill_leader(&mut self) -> Result<Option<f64>, Failure>;
}
