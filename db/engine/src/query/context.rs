//! What every part of a query needs: its location for error messages, its budget, and which fields
//! it reads.

use crate::budget::{Cost, WRITTEN_MAX, steps_of};
use crate::error::{Error, Kind, Result};
use crate::value::{Value, compare_counted};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

/// The location of a part of a query, for error messages: `filter.$and[0].age`.
#[derive(Clone, Copy)]
pub struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The location of the whole: `filter`, `update`, `pipeline`.
    pub fn root(name: &'a str) -> At<'a> {
        At { parent: None, step: Step::Key(name) }
    }

    /// The location of a field.
    pub fn key<'b>(&'b self, name: &'b str) -> At<'b> {
        At { parent: Some(self), step: Step::Key(name) }
    }

    /// The location of an item.
    pub fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), step: Step::Index(index) }
    }

    /// The name of the whole that this is a part of.
    pub fn outermost(&self) -> &'a str {
        match (self.parent, self.step) {
            (Some(parent), _) => parent.outermost(),
            (None, Step::Key(name)) => name,
            (None, Step::Index(_)) => "",
        }
    }

    /// An error at this location; the message continues after it: `at.invalid("must be a number")`.
    pub fn invalid(&self, message: impl fmt::Display) -> Error {
        self.error(Kind::InvalidQuery, message)
    }

    /// An error of another kind at this location.
    pub fn error(&self, kind: Kind, message: impl fmt::Display) -> Error {
        let place = self.to_string();
        Error::new(kind, format!("{place} {message}")).details(serde_json::json!({"path": place}))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent) {
            (Step::Key(name), None) => f.write_str(name),
            (Step::Key(name), Some(_)) => write!(f, ".{name}"),
            (Step::Index(index), _) => write!(f, "[{index}]"),
        }
    }
}

/// The budget of an execution, and what it has used: steps, bytes kept in memory, bytes written.
/// Shared by the contexts of one command.
#[derive(Debug)]
pub struct Budget {
    steps_max: u64,
    memory_max: usize,
    written_max: u64,
    // Atomic only so that it may move to another thread: one thread at a time counts.
    steps: AtomicU64,
    memory: AtomicUsize,
    written: AtomicU64,
}

impl Budget {
    /// A budget with these bounds.
    pub fn new(steps_max: u64, memory_max: usize, written_max: u64) -> Budget {
        let (steps, memory, written) = Default::default();
        Budget { steps_max, memory_max, written_max, steps, memory, written }
    }
}

impl From<Cost> for Budget {
    fn from(cost: Cost) -> Budget {
        let memory = usize::try_from(cost.memory_max).unwrap_or(usize::MAX);
        Budget::new(cost.steps_max, memory, cost.written_max.min(WRITTEN_MAX))
    }
}

impl Default for Budget {
    /// Without bounds.
    fn default() -> Budget {
        Budget::new(u64::MAX, usize::MAX, u64::MAX)
    }
}

/// The budget of an execution, and when it must end.
pub struct Context<'a> {
    /// The current time of the query, in milliseconds since 1970.
    pub now_ms: i64,
    seed: Cell<u64>,
    budget: Arc<Budget>,
    interrupt: &'a dyn Fn() -> Result<()>,
    helpers: Cell<usize>,
}

/// Steps between two checks of the interrupt.
const STEPS: u64 = 256;

impl<'a> Context<'a> {
    /// Creates a context with a memory bound; `interrupt` is called now and then, and its error
    /// ends the query.
    pub fn new(now_ms: i64, memory_max: usize, interrupt: &'a dyn Fn() -> Result<()>) -> Self {
        let budget = Arc::new(Budget::new(u64::MAX, memory_max, u64::MAX));
        Context { now_ms, seed: Cell::new(0), budget, interrupt, helpers: Cell::new(0) }
    }

    /// With a seed for random choices: the engine has no randomness of its own, so it comes with
    /// the request.
    pub fn seeded(self, seed: u64) -> Self {
        Context { seed: Cell::new(seed), ..self }
    }

    /// With this many threads that may help with a long scan. What is applied from the log has
    /// none.
    pub fn helped_by(self, helpers: usize) -> Self {
        Context { helpers: Cell::new(helpers), ..self }
    }

    /// How many threads may help.
    pub fn helpers(&self) -> usize {
        self.helpers.get()
    }

    /// Hands the helpers to `work`; nothing else has them meanwhile.
    pub fn with_helpers<T>(&self, work: impl FnOnce(usize) -> T) -> T {
        let helpers = self.helpers.take();
        let done = work(helpers);
        self.helpers.set(helpers);
        done
    }

    /// A seed that no other part of this execution has.
    pub fn draw_seed(&self) -> u64 {
        self.seed.replace(self.seed.get().wrapping_add(1))
    }

    /// With a bound on its steps: where the clock must not decide, as when a command is applied.
    pub fn steps_max(self, steps_max: u64) -> Self {
        let Budget { memory_max, written_max, .. } = *self.budget;
        Context { budget: Arc::new(Budget::new(steps_max, memory_max, written_max)), ..self }
    }

    /// The steps that were counted.
    pub fn steps(&self) -> u64 {
        self.budget.steps.load(Relaxed)
    }

    /// Whether it has used up its steps.
    pub fn is_worn_out(&self) -> bool {
        self.steps() > self.budget.steps_max
    }

    /// Counts one step of work: a document read, a test of a filter, an operator of an expression,
    /// an item of an array.
    ///
    /// # Errors
    /// When the time is up, the caller has gone, or the steps are used up.
    pub fn step(&self) -> Result<()> {
        self.work(1)
    }

    /// Counts several steps at once.
    ///
    /// # Errors
    /// As [`Context::step`].
    pub fn work(&self, count: u64) -> Result<()> {
        let before = self.steps();
        let steps = before.saturating_add(count);
        self.budget.steps.store(steps, Relaxed);
        if self.is_worn_out() {
            let message = "this takes more steps of work than one write may (WriteStepsMax)";
            return Err(Error::new(Kind::QueryTooLarge, message).hint(
                "let the filter find fewer documents by an index, or do it in smaller parts",
            ));
        }
        if before / STEPS != steps / STEPS { (self.interrupt)() } else { Ok(()) }
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// When the time is up, or the caller has gone.
    pub fn check(&self) -> Result<()> {
        (self.interrupt)()
    }

    /// Compares two values, and counts the work.
    ///
    /// # Errors
    /// As [`Context::step`].
    pub fn compare(&self, a: &Value, b: &Value) -> Result<Ordering> {
        let mut seen = 0;
        let order = compare_counted(a, b, &mut seen);
        self.work(seen)?;
        Ok(order)
    }

    /// Counts the work of sorting this many items of this many bytes, before it begins: a sort
    /// cannot be interrupted.
    ///
    /// # Errors
    /// As [`Context::step`].
    pub fn sorting(&self, items: usize, bytes: usize) -> Result<()> {
        let rounds = u64::from(usize::BITS - items.leading_zeros());
        self.work((items as u64).saturating_add(steps_of(bytes)).saturating_mul(rounds))
    }

    /// Counts `bytes` that are kept until [`Context::release`]; `what` is named in errors.
    ///
    /// # Errors
    /// `query_too_large` if the bound is exceeded.
    pub fn charge(&self, bytes: usize, what: &str) -> Result<()> {
        let used = self.memory_used().saturating_add(bytes);
        let most = self.budget.memory_max;
        if used > most {
            let message = format!("{what} needs more than {most} bytes of memory");
            return Err(Error::new(Kind::QueryTooLarge, message)
                .hint("let the query keep less: filter earlier, set a limit, or add an index"));
        }
        self.budget.memory.store(used, Relaxed);
        Ok(())
    }

    /// Bytes that are counted as kept.
    pub fn memory_used(&self) -> usize {
        self.budget.memory.load(Relaxed)
    }

    /// Releases counted bytes.
    pub fn release(&self, bytes: usize) {
        self.budget.memory.store(self.memory_used().saturating_sub(bytes), Relaxed);
    }

    /// Counts bytes of rows that are about to be written: they are in memory until the
    /// transaction commits, so they are never given back.
    ///
    /// # Errors
    /// `query_too_large` if the bound is exceeded.
    pub fn write(&self, bytes: u64) -> Result<()> {
        let written = self.written().saturating_add(bytes);
        self.budget.written.store(written, Relaxed);
        if written > self.budget.written_max {
            let most = self.budget.written_max >> 20;
            let message = format!("this would change more than {most} MiB of rows at once");
            return Err(Error::new(Kind::QueryTooLarge, message)
                .hint("do it in parts, with narrower filters or fewer operations in one call"));
        }
        Ok(())
    }

    /// Bytes of rows that were counted as written.
    pub fn written(&self) -> u64 {
        self.budget.written.load(Relaxed)
    }
}

impl Context<'static> {
    /// A context on a shared budget, which is never interrupted.
    pub fn of(budget: Arc<Budget>, now_ms: i64) -> Self {
        Context { now_ms, seed: Cell::new(0), budget, interrupt: &never, helpers: Cell::new(0) }
    }
}

fn never() -> Result<()> {
    Ok(())
}

/// Memory counted against the budget until this is dropped.
pub struct MemoryCharge<'c> {
    ctx: &'c Context<'c>,
    what: &'static str,
    bytes: Cell<usize>,
}

impl<'c> MemoryCharge<'c> {
    /// Creates a charge of no bytes; `what` is named in errors.
    pub fn new(ctx: &'c Context<'c>, what: &'static str) -> MemoryCharge<'c> {
        MemoryCharge { ctx, what, bytes: Cell::new(0) }
    }

    /// Counts memory that is about to be allocated, and the work of filling it.
    ///
    /// # Errors
    /// Those of [`Context::charge`] and [`Context::work`].
    pub fn add(&self, bytes: usize) -> Result<()> {
        self.ctx.charge(bytes, self.what)?;
        self.bytes.set(self.bytes.get() + bytes);
        self.ctx.work(steps_of(bytes))
    }

    /// Releases everything and counts `bytes` instead.
    ///
    /// # Errors
    /// As [`MemoryCharge::add`].
    pub fn replace(&self, bytes: usize) -> Result<()> {
        self.ctx.release(self.bytes.take());
        self.add(bytes)
    }
}

impl Drop for MemoryCharge<'_> {
    fn drop(&mut self) {
        self.ctx.release(self.bytes.get());
    }
}

/// The outermost fields that a query reads; the others need not be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// Whole documents.
    All,
    /// These only.
    Some(BTreeSet<String>),
}

impl Default for Fields {
    fn default() -> Self {
        Fields::Some(BTreeSet::new())
    }
}

impl Fields {
    /// Adds the outermost field of a path such as `a.b`.
    pub fn add(&mut self, path: &str) {
        if let Fields::Some(names) = self {
            let first = path.split('.').next().unwrap_or(path);
            if !names.contains(first) {
                names.insert(first.to_owned());
            }
        }
    }

    /// Adds every field.
    pub fn add_all(&mut self) {
        *self = Fields::All;
    }

    /// The names, if not all fields are read.
    pub fn names(self) -> Option<Vec<String>> {
        match self {
            Fields::All => None,
            Fields::Some(names) => Some(names.into_iter().collect()),
        }
    }

    /// Whether the field is read.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Fields::All => true,
            Fields::Some(names) => names.contains(name),
        }
    }
}
