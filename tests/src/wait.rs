//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Time after which a condition counts as never becoming true; far longer than it takes.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How many times longer the tests of `tests/check.sh long` wait, which keep a machine busy with many nodes.
const LONG_FACTOR: u32 = 4;
const POLL: Duration = Duration::from_millis(40);

/// Polls `condition` until it returns a value, and returns that.
///
/// # Panics
/// After [`DEADLINE`], or four times that in `tests/check.sh long`, with `what` and the last reason that
/// `condition` returned.
pub async fn wait_until<T>(what: &str, condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let long = std::env::var_os("JETTRA_LONG").is_some();
    let deadline = if long { LONG_FACTOR * DEADLINE } else { DEADLINE };
    wait_within(deadline, what, condition).await
}

/// The same with a deadline of its own, for what takes minutes.
///
/// # Panics
/// After the deadline, with `what` and the last reason that `condition` returned.
pub async fn wait_within<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(reason) if started.elapsed() > deadline => {
                panic!("{what}: not within {deadline:?}: {reason}")
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
