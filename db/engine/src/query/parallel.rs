//! Long scans by several threads.
//!
//! The thread of the query walks along the rows and gives them out in batches, without having read
//! their bytes; helpers and itself check, parse and filter them. What comes of them is delivered in
//! the order of the rows, so the result is that of one thread.

use super::context::Context;
use super::exec::Stream;
use crate::error::{Error, Kind, Result};
use crate::storage::{SealedEntries, SealedEntry};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rows of a batch, and bytes beyond which it gets no further row.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 256 << 10;
/// Batches under way for each thread, and bytes of all of them beyond which none is begun.
const BATCHES_EACH: usize = 2;
const AHEAD_BYTES: usize = 1 << 20;
/// How often a thread that waits for another one looks whether the query may go on.
const WAIT: Duration = Duration::from_millis(10);
/// Bytes of stack, as other threads have that read and evaluate what is deeply nested.
const STACK_BYTES: usize = 16 << 20;

/// Passes what `look` makes of the rows, none of those that do not match, to `work`, in the order
/// of the rows. At most `helpers` threads help. `read` receives the number of rows that were read.
///
/// # Errors
/// Those of `work`, which gets those of the rows and of `look`.
pub(super) fn in_order<'t, T: Send, U>(
    rows: SealedEntries<'t>,
    helpers: usize,
    ctx: &Context<'_>,
    look: &(impl Fn(SealedEntry<'t>, &Context<'_>) -> Result<Option<T>> + Sync),
    read: &dyn Fn(u64),
    work: impl FnOnce(Stream<'_, T>) -> Result<U>,
) -> Result<U> {
    let shared = Shared::default();
    let now_ms = ctx.now_ms;
    std::thread::scope(|scope| {
        // The scope waits for the helpers, also when `work` panics.
        let _ending = Ending(&shared);
        for number in 0..helpers {
            let helper = std::thread::Builder::new().name(format!("scan-{number}"));
            // Without threads to be had the scan only takes longer.
            let _ = helper.stack_size(STACK_BYTES).spawn_scoped(scope, || {
                help(&shared, |batch, ctx| look_at(batch, look, ctx), now_ms)
            });
        }
        let mut batches = Ordered {
            rows,
            batches_max: BATCHES_EACH * (helpers + 1),
            shared: &shared,
            begun: 0,
            taken: 0,
            bytes: VecDeque::new(),
        };
        let mut found = Vec::new().into_iter();
        let mut failed = None;
        work(Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(next) = found.next() {
                    return Some(Ok(next));
                }
                if let Some(error) = failed.take() {
                    return Some(Err(error));
                }
                match batches.next(ctx, |batch| look_at(batch, look, ctx)) {
                    Ok(Some(done)) => {
                        read(done.rows);
                        (found, failed) = (done.found.into_iter(), done.error);
                    }
                    Ok(None) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
        })))
    })
}

/// Rows that are looked at together, and the error behind them, if there was one.
type Batch<'t> = (Vec<SealedEntry<'t>>, Option<Error>);

/// What came of a batch: up to the first error, if there was one.
struct Done<T> {
    found: Vec<T>,
    rows: u64,
    steps: u64,
    error: Option<Error>,
}

/// What the threads of a scan share.
struct Shared<'t, T> {
    batches: Mutex<Batches<'t, T>>,
    changed: Condvar,
    ended: AtomicBool,
}

struct Batches<'t, T> {
    /// Those that no thread works on, by their numbers.
    waiting: VecDeque<(u64, Batch<'t>)>,
    done: BTreeMap<u64, Done<T>>,
}

impl<T> Default for Shared<'_, T> {
    fn default() -> Self {
        let batches = Batches { waiting: VecDeque::new(), done: BTreeMap::new() };
        let (changed, ended) = (Condvar::new(), AtomicBool::new(false));
        Shared { batches: Mutex::new(batches), changed, ended }
    }
}

/// Ends the helpers when it is dropped.
struct Ending<'s, 't, T>(&'s Shared<'t, T>);

impl<T> Drop for Ending<'_, '_, T> {
    fn drop(&mut self) {
        let _batches = self.0.batches.lock();
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

/// Works on batches until the scan ends.
fn help<'t, T>(
    shared: &Shared<'t, T>,
    look_at: impl Fn(Batch<'t>, &Context<'_>) -> Done<T>,
    now_ms: i64,
) {
    let interrupt = || match shared.ended.load(Ordering::Relaxed) {
        true => Err(Error::new(Kind::TimeLimit, "the scan has ended")),
        false => Ok(()),
    };
    loop {
        let mut batches = shared.batches.lock();
        let (number, batch) = loop {
            if shared.ended.load(Ordering::Relaxed) {
                return;
            }
            match batches.waiting.pop_front() {
                Some(next) => break next,
                None => shared.changed.wait(&mut batches),
            }
        };
        drop(batches);
        let ctx = Context::new(now_ms, usize::MAX, &interrupt);
        let done = look_at(batch, &ctx);
        let done = Done { steps: ctx.steps(), ..done };
        shared.batches.lock().done.insert(number, done);
        shared.changed.notify_all();
    }
}

fn look_at<'t, T>(
    (rows, failed): Batch<'t>,
    look: impl Fn(SealedEntry<'t>, &Context<'_>) -> Result<Option<T>>,
    ctx: &Context<'_>,
) -> Done<T> {
    let mut done = Done { found: Vec::new(), rows: 0, steps: 0, error: failed };
    for row in rows {
        done.rows += 1;
        match look(row, ctx) {
            Ok(one) => done.found.extend(one),
            Err(error) => return Done { error: Some(error), ..done },
        }
    }
    done
}

/// The batches of a scan, in order.
struct Ordered<'s, 't, T> {
    rows: SealedEntries<'t>,
    batches_max: usize,
    shared: &'s Shared<'t, T>,
    /// Batches that were begun, and taken.
    begun: u64,
    taken: u64,
    /// The bytes of those between.
    bytes: VecDeque<usize>,
}

impl<'t, T> Ordered<'_, 't, T> {
    /// What came of the next batch; none after the last one.
    fn next(
        &mut self,
        ctx: &Context<'_>,
        look_at: impl Fn(Batch<'t>) -> Done<T>,
    ) -> Result<Option<Done<T>>> {
        self.begin_batches();
        if self.taken == self.begun {
            return Ok(None);
        }
        loop {
            let mut batches = self.shared.batches.lock();
            if let Some(done) = batches.done.remove(&self.taken) {
                drop(batches);
                self.taken += 1;
                self.bytes.pop_front();
                ctx.work(done.steps)?;
                return Ok(Some(done));
            }
            match batches.waiting.pop_front() {
                Some((number, batch)) => {
                    drop(batches);
                    let done = look_at(batch);
                    self.shared.batches.lock().done.insert(number, done);
                }
                None => {
                    self.shared.changed.wait_for(&mut batches, WAIT);
                    drop(batches);
                    ctx.check()?;
                }
            }
        }
    }

    /// Begins as many batches as there may be.
    fn begin_batches(&mut self) {
        while self.bytes.len() < self.batches_max
            && (self.bytes.is_empty() || self.bytes.iter().sum::<usize>() < AHEAD_BYTES)
        {
            let (mut rows, mut bytes, mut failed) = (Vec::with_capacity(BATCH_ROWS), 0, None);
            while rows.len() < BATCH_ROWS && bytes < BATCH_BYTES && failed.is_none() {
                match self.rows.next() {
                    Some(Ok(row)) => {
                        bytes += row.bytes();
                        rows.push(row);
                    }
                    Some(Err(error)) => failed = Some(error.into()),
                    None => break,
                }
            }
            if rows.is_empty() && failed.is_none() {
                return;
            }
            self.bytes.push_back(bytes);
            self.shared.batches.lock().waiting.push_back((self.begun, (rows, failed)));
            self.shared.changed.notify_one();
            self.begun += 1;
        }
    }
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
