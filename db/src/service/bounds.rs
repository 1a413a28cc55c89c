//! Bounds for work that may take long: threads, permits, time.

use super::Session;
use crate::engine::query::context::Context;
use crate::error::{Error, Kind, Result};
use crate::storage::ReadTxn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Longest time that a query waits for a permit: callers that come in faster than queries end learn
/// it while they still can go elsewhere.
const PERMIT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Time past its limit after which a query that has not looked at it is no longer waited for.
const OVERTIME_MAX: Duration = Duration::from_millis(500);

/// Runs work that may take long on a thread for blocking work.
///
/// # Errors
/// Those of `work`.
pub async fn pooled<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(Kind::Internal, error.to_string()))?
}

/// Ends a query when its time is up or its caller has gone.
#[derive(Debug)]
pub struct Interrupt {
    gone: Arc<AtomicBool>,
    deadline: Instant,
    limit: Duration,
}

/// Ends a running query when it is dropped, because its caller no longer waits.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Interrupt {
    /// For a query of a session that begins now, and the guard that says that its caller waits.
    pub fn new(session: &Session) -> (Interrupt, Waiting) {
        let limit = session.time_limit;
        let gone = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt { gone: gone.clone(), deadline: Instant::now() + limit, limit };
        (interrupt, Waiting(gone))
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    /// `time_limit`.
    pub fn check(&self) -> Result<()> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::TimeLimit, "the caller has gone"));
        }
        match Instant::now() > self.deadline {
            true => Err(took_too_long(self.limit)),
            false => Ok(()),
        }
    }

    /// How long the query may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

fn took_too_long(limit: Duration) -> Error {
    Error::new(Kind::TimeLimit, format!("the query took longer than {} ms", limit.as_millis()))
        .hint("add an index or a narrower filter; explain shows what is read")
}

/// A permit for a longer query; waits for one, but not without limit.
///
/// # Errors
/// `overloaded`.
pub async fn query_permit(session: &Session) -> Result<OwnedSemaphorePermit> {
    let waiting = session.service().queries.clone().acquire_owned();
    let permit = tokio::time::timeout(session.time_limit.min(PERMIT_WAIT_MAX), waiting).await;
    permit.ok().and_then(std::result::Result::ok).ok_or_else(|| {
        Error::new(Kind::Overloaded, "too many queries are running on this node")
            .hint("try again after a pause, on another node, or with fewer at once")
    })
}

/// Runs a query on a thread for blocking work, and waits for it little longer than it may take. It
/// holds `permit` until its thread has ended, whether somebody waits for it or not.
///
/// # Errors
/// `time_limit`, and those of `work`.
pub async fn within<T: Send + 'static>(
    limit: Duration,
    permit: impl Send + 'static,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let working = pooled(move || {
        let _permit = permit;
        work()
    });
    let done = tokio::time::timeout(limit + OVERTIME_MAX, working).await;
    done.unwrap_or_else(|_| Err(took_too_long(limit)))
}

/// Runs `work` within the bounds of a query, on the present state; returns the log index of that
/// state too.
///
/// # Errors
/// `time_limit`, `query_too_large`, `overloaded`, and those of `work`.
pub async fn in_background<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce(&ReadTxn<'_>, &Context<'_>) -> Result<T> + Send + 'static,
) -> Result<(T, u64)> {
    let memory = session.config().query_memory_mb << 20;
    let permit = query_permit(session).await?;
    let group = session.group()?;
    let (interrupt, _waiting) = Interrupt::new(session);
    within(interrupt.limit(), permit, move || {
        let (read, index) = group.read_with_index()?;
        let check = || interrupt.check();
        let ctx = Context::new(group.time_ms() as i64, memory, &check);
        work(&read, &ctx).map(|done| (done, index))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    /// Symptom: the time-out had no effect, and each such query left one thread more running.
    #[tokio::test]
    async fn a_query_that_does_not_look_at_its_time_is_answered_and_keeps_its_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let (release, stuck) = std::sync::mpsc::channel::<()>();
        let permit = permits.clone().acquire_owned().await.unwrap();
        let work = move || {
            let _ = stuck.recv();
            Ok(())
        };
        let answer = within(Duration::from_millis(1), permit, work).await;
        assert_eq!(answer.map_err(|error| error.kind), Err(Kind::TimeLimit));
        assert_eq!(permits.available_permits(), 0);
        release.send(()).unwrap();
        assert!(permits.acquire().await.is_ok());
    }
}
