//! Counting what an execution finds: by the entries of an index, or by several threads.

use super::bounds;
use super::context::{Context, Fields};
use super::exec::{Execution, FoundDocument, Stream, look};
use super::filter::Filter;
use super::parallel;
use super::plan::{AccessPath, Delivery, Plan, Scan};
use crate::budget;
use crate::error::Result;
use crate::index::{Entry, encode};
use crate::storage::{Read, SealedEntries, SealedEntry, Table};

/// Estimated documents from which on a scan is worth more threads.
const PARALLEL_MIN: f64 = 2_000.0;

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
        if let (Some(rows), None) = (self.parallel_rows(plan)?, self.after) {
            let (parsed, filter) = (self.parsed(), self.wanted.filter);
            let each = |row, ctx: &Context<'_>| {
                Ok(look_at(row, &parsed, filter, ctx)?.map(|_: FoundDocument<'_>| ()))
            };
            return self.in_parallel(rows, &each, number);
        }
        number(self.run(plan)?)
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

    /// The rows of a scan that several threads can share: one that reads all of the collection, or
    /// a long range of it, and makes no choice that depends on the order of the work.
    fn parallel_rows(&self, plan: &Plan) -> Result<Option<SealedEntries<'t>>> {
        let ends_early = self.wanted.limit.is_some() && !plan.sort;
        let (AccessPath::Collection { ranges }, Delivery::ById { reverse: false }) =
            (&plan.access, plan.delivery)
        else {
            return Ok(None);
        };
        let long = plan.reads >= PARALLEL_MIN && self.ctx.helpers() > 0;
        if !long || ends_early || self.wanted.filter.has_expressions() {
            return Ok(None);
        }
        match self.document_ranges(ranges.as_deref(), plan.sort, false).as_slice() {
            [(start, end)] => Ok(self.read.sealed_range(Table::Documents, start, end)?),
            _ => Ok(None),
        }
    }

    fn in_parallel<T: Send, U>(
        &self,
        rows: SealedEntries<'t>,
        each: &(impl Fn(SealedEntry<'t>, &Context<'_>) -> Result<Option<T>> + Sync),
        work: impl FnOnce(Stream<'_, T>) -> Result<U>,
    ) -> Result<U> {
        let counters = self.counters;
        let read = |rows| counters.documents.set(counters.documents.get() + rows);
        self.ctx
            .with_helpers(|helpers| parallel::in_order(rows, helpers, self.ctx, each, &read, work))
    }
}

fn look_at<'t>(
    row: SealedEntry<'t>,
    parsed: &Fields,
    filter: &Filter,
    ctx: &Context<'_>,
) -> Result<Option<FoundDocument<'t>>> {
    look(row.open()?, parsed, filter, ctx)
}

fn number<T>(mut found: Stream<'_, T>) -> Result<u64> {
    found.try_fold(0, |count, found| found.map(|_| count + 1))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
