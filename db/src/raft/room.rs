//! The memory that the bodies of calls and the writes that wait may take together.
//!
//! Counts of calls and of commands say little when one of them holds 16 MiB. Who keeps bytes
//! for a caller takes room for them first; when there is none, the caller comes back later.

use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Room that is taken; dropping it gives it back.
#[derive(Debug, Default)]
pub struct Share(Option<OwnedSemaphorePermit>);

impl Room {
    /// Room for `bytes`.
    pub fn new(bytes: usize) -> Self {
        Room(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for `bytes`.
    ///
    /// # Errors
    /// `overloaded` when there is not so much.
    pub fn take(&self, bytes: usize) -> Result<Share> {
        let taken = u32::try_from(bytes).ok();
        let taken = taken.and_then(|bytes| self.0.clone().try_acquire_many_owned(bytes).ok());
        taken.map(|permit| Share(Some(permit))).ok_or_else(|| {
            Error::new(Kind::Overloaded, "the calls on this node hold too many bytes at once")
                .hint("try again after a pause, and with fewer or smaller writes at once")
        })
    }
}

impl Share {
    /// How many bytes it is.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Makes one share of two.
    pub fn join(&mut self, other: Share) {
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
    fn what_is_taken_is_missing_until_it_is_given_back() {
        let room = Room::new(10);
        let mut share = Share::default();
        share.join(room.take(4).unwrap());
        share.join(room.take(4).unwrap());
        assert_eq!(room.take(3).unwrap_err().kind, Kind::Overloaded);
        drop(share);
        assert!(room.take(10).is_ok());
        assert_eq!(room.take(usize::MAX).unwrap_err().kind, Kind::Overloaded);
    }
}
