//! The memory budget shared by request bodies and pending writes.
//!
//! Counting requests or commands says little when one of them holds 16 MiB. Code that keeps bytes
//! for a caller takes a permit first; when the budget is exhausted, the caller retries later.

use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that may be held at the same time. Clones share the budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Semaphore>);

/// Bytes taken from a budget; dropping the permit returns them.
#[derive(Debug, Default)]
pub struct MemoryPermit(Option<OwnedSemaphorePermit>);

impl MemoryBudget {
    /// Creates a budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        MemoryBudget(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Returns the bytes that are left.
    pub fn left(&self) -> usize {
        self.0.available_permits()
    }

    /// Takes a permit for `bytes`.
    ///
    /// # Errors
    /// `overloaded` when less than that is left.
    pub fn take(&self, bytes: usize) -> Result<MemoryPermit> {
        let taken = u32::try_from(bytes).ok();
        let taken = taken.and_then(|bytes| self.0.clone().try_acquire_many_owned(bytes).ok());
        taken.map(|permit| MemoryPermit(Some(permit))).ok_or_else(|| {
            Error::new(Kind::Overloaded, "the calls on this node hold too many bytes at once")
                .hint("try again after a pause, and with fewer or smaller writes at once")
        })
    }
}

impl MemoryPermit {
    /// Returns the number of bytes.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Adds the bytes of another permit to this one.
    pub fn join(&mut self, other: MemoryPermit) {
        match (&mut self.0, other.0) {
            (Some(mine), Some(other)) => mine.merge(other),
            (mine @ None, other) => *mine = other,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_reduces_the_budget_until_it_is_dropped() {
        let budget = MemoryBudget::new(10);
        let mut permit = MemoryPermit::default();
        permit.join(budget.take(4).unwrap());
        permit.join(budget.take(4).unwrap());
        assert_eq!(budget.take(3).unwrap_err().kind, Kind::Overloaded);
        drop(permit);
        assert!(budget.take(10).is_ok());
        assert_eq!(budget.take(usize::MAX).unwrap_err().kind, Kind::Overloaded);
    }
}
