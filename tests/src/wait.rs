//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Time after which a condition counts as never becoming true; far longer than it takes.
pub const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(40);

/// Polls `condition` until it returns a value, and returns that.
///
/// # Panics
/// After [`DEADLINE`], with `what` and the last reason that `condition` returned.
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
