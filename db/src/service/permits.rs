//! How many calls one user may have running on a node.

use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The running calls of each user.
#[derive(Debug)]
pub struct RunningCalls {
    max: usize,
    counts: Mutex<HashMap<String, usize>>,
}

/// One of a user's running calls; it ends when this is dropped.
#[derive(Debug)]
pub struct RunningCall<'a> {
    all: &'a RunningCalls,
    user: String,
}

impl RunningCalls {
    /// None yet; each user may have `max` of them.
    pub fn new(max: usize) -> Self {
        RunningCalls { max, counts: Mutex::default() }
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.counts.lock().values().sum()
    }

    /// Begins a call of a user.
    ///
    /// # Errors
    /// `overloaded` when the user has as many as it may.
    pub fn begin(&self, user: &str) -> Result<RunningCall<'_>> {
        let mut counts = self.counts.lock();
        let count = counts.entry(user.to_owned()).or_default();
        if *count >= self.max {
            let message = format!("user {user:?} has {} calls running on this node", self.max);
            return Err(Error::new(Kind::Overloaded, message)
                .hint("wait for some of them; CallsPerUserMax sets the bound"));
        }
        *count += 1;
        Ok(RunningCall { all: self, user: user.to_owned() })
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock();
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_may_have_the_same_number_of_calls() {
        let calls = RunningCalls::new(2);
        let first = calls.begin("ada").unwrap();
        let _second = calls.begin("ada").unwrap();
        assert_eq!(calls.begin("ada").unwrap_err().kind, Kind::Overloaded);
        assert!(calls.begin("bob").is_ok());
        drop(first);
        assert!(calls.begin("ada").is_ok());
    }
}
