//! The bodies of requests: read within their limits, or thrown away when the call is refused.

use crate::error::{Error, Kind, Result};
use crate::raft::memory_budget::{MemoryBudget, MemoryPermit};
use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::time::{Duration, Instant};

/// Bytes of a refused body that are still read, and thrown away.
const DRAIN_BYTES_MAX: usize = 64 << 20;
/// Longest time for that.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Pause of the client after which nothing more of it is read.
const DRAIN_PAUSE_MAX: Duration = Duration::from_millis(200);

/// Reads a body of at most `max` bytes, taking memory permits for it as it arrives.
pub(super) async fn read(
    http: &HttpRequest,
    payload: &mut Payload,
    max: usize,
    budget: Option<&MemoryBudget>,
) -> Result<(Bytes, MemoryPermit)> {
    let mut permit = MemoryPermit::default();
    let mut body = BytesMut::new();
    let said = said_length(http);
    if said > max {
        return Err(crate::engine::document::too_large(said, max));
    }
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Error::new(
                Kind::InvalidBody,
                format!("the body of {} was cut off: {error}", http.path()),
            )
        })?;
        let size = body.len() + chunk.len();
        if size > max {
            return Err(crate::engine::document::too_large(said.max(size), max));
        }
        if let Some(budget) = budget {
            permit.join(budget.take(chunk.len())?);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), permit))
}

/// How long the body is, as the client says.
fn said_length(http: &HttpRequest) -> usize {
    let length = http.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// Reads what is still coming of a refused call, so that the client gets the answer instead
/// of a broken connection.
pub(super) async fn drain(payload: &mut Payload) {
    let deadline = Instant::now() + DRAIN_MAX;
    let mut size = 0;
    while size <= DRAIN_BYTES_MAX && Instant::now() < deadline {
        match tokio::time::timeout(DRAIN_PAUSE_MAX, payload.next()).await {
            Ok(Some(Ok(chunk))) => size += chunk.len(),
            _ => return,
        }
    }
}

/// The error for a body that is not complete within `limit`.
pub(super) fn too_slow(http: &HttpRequest, limit: Duration) -> Error {
    let message = format!("the body of {} did not arrive within {limit:?}", http.path());
    Error::new(Kind::InvalidBody, message).hint("send it faster, or in smaller parts")
}
