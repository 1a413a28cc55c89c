//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Longest time that anything in a test may take; far longer than it does.
pub const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(40);

/// Asks `condition` until it gives a value, and returns that.
///
/// # Panics
/// After [`DEADLINE`], with `what` and the reason that `condition` gave last.
pub async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(reason) if started.elapsed() > DEADLINE => {
                panic!("{what}: not within {DEADLINE:?}: {reason}")
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
