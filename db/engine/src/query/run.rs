//! Other ways to run an execution than to give the documents.

use super::bounds;
use super::exec::Execution;
use super::plan::{AccessPath, Plan, Scan};
use crate::budget;
use crate::error::Result;
use crate::index::{Entry, encode};
use crate::storage::{Read, Table};

impl<'t, R: Read> Execution<'t, R> {
    /// The number of matching documents. Where the ranges of an index hold exactly these, its
    /// entries are counted, and neither values nor documents are parsed.
    ///
    /// # Errors
    /// Those of [`Execution::run`].
    pub fn count(self, plan: &'t Plan) -> Result<u64> {
        if let AccessPath::Index(scan) = &plan.access
            && self.after.is_none()
        {
            let index = &self.collection.indexes[scan.index];
            if let Some(without_nan) =
                bounds::exact_but_for_nan(index, &scan.bounds, self.wanted.filter)
            {
                return self.count_entries(scan, &without_nan);
            }
        }
        self.run(plan)?.try_fold(0, |count, found| found.map(|_| count + 1))
    }

    /// The number of entries in the ranges of a scan, without those that have NaN in one of some
    /// fields.
    fn count_entries(&self, scan: &Scan, without_nan: &[usize]) -> Result<u64> {
        let index = &self.collection.indexes[scan.index];
        let (mut read, mut count) = (0, 0);
        for (start, end) in &scan.bounds.ranges {
            for entry in self.read.range(Table::Indexes, start, end)? {
                let (key, value) = entry?;
                self.ctx.work(budget::ROW)?;
                read += 1;
                let entry = Entry::new(key, value);
                let nan = |at: &usize| {
                    let value = key.get(entry.prefix_end(*at)..).unwrap_or_default();
                    encode::begins_with_nan(value, index.descending[*at])
                };
                count += u64::from(!without_nan.iter().any(nan));
            }
        }
        self.counters.keys.set(self.counters.keys.get() + read);
        Ok(count)
    }
}
