//! When tasks wake that look at something now and then.

use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// When the process first asked.
fn begin() -> Instant {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    *BEGIN.get_or_init(Instant::now)
}

/// The next multiple of `interval` since the process first asked. Tasks with the same interval, or a
/// multiple of it, wake together: an idle node is woken once for all of them.
pub fn next(interval: Duration) -> Instant {
    multiple(begin(), Instant::now(), interval)
}

/// The first multiple of `step` after `pause`, so that tasks with pauses of any length wake together.
pub fn after(pause: Duration, step: Duration) -> Instant {
    multiple(begin(), Instant::now() + pause, step)
}

fn multiple(begin: Instant, now: Instant, interval: Duration) -> Instant {
    let interval = interval.as_nanos().max(1);
    let over = now.saturating_duration_since(begin).as_nanos() % interval;
    now + Duration::from_nanos((interval - over) as u64)
}

/// Waits until [`next`].
pub async fn pause(interval: Duration) {
    tokio::time::sleep_until(next(interval)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_an_interval_meet() {
        let begin = Instant::now();
        let ms = Duration::from_millis;
        let next = |now, interval| multiple(begin, begin + ms(now), ms(interval)) - begin;
        assert_eq!(next(0, 150), ms(150));
        assert_eq!(next(149, 150), ms(150));
        assert_eq!(next(150, 150), ms(300));
        assert_eq!(next(200, 150), next(50, 300));
    }
}
