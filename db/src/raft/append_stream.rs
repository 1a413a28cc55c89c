//! The messages of the append stream: what they hold, how large they are and how long they may take.

use super::clock::Times;
use super::peers::RpcResult;
use super::types::TypeConfig;
use crate::config::ENTRY_BYTES_MAX;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use std::time::Duration;

/// Most bytes of entries sent to a follower in one message, which has at least one entry.
pub const REPLICATION_BYTES_MAX: usize = 2 << 20;
/// Upper bound for the bytes of a message of the append stream beside its entries.
const MESSAGE_FRAME_BYTES: usize = 1 << 20;
/// Largest message of the append stream: the largest entry, or as many as are sent together.
pub const MESSAGE_BYTES_MAX: usize = MESSAGE_FRAME_BYTES
    + if ENTRY_BYTES_MAX > REPLICATION_BYTES_MAX { ENTRY_BYTES_MAX } else { REPLICATION_BYTES_MAX };
/// Longest time for a small message with entries; a larger one has more.
const ENTRIES_TIMEOUT: Duration = Duration::from_secs(5);
/// Slowest connection over which entries of every size are replicated: about 1 MiB/s.
const SLOWEST_BYTES_PER_MS: u64 = 1024;

/// A message of the append stream: openraft's request after the leader's times.
#[derive(Debug, Clone)]
pub struct AppendMessage {
    /// The time of the log, and the clocks that the leader knows.
    pub times: Times,
    /// openraft's request.
    pub append: AppendEntriesRequest<TypeConfig>,
}

/// The response to an [`AppendMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendAnswer {
    /// The follower's wall clock at the response.
    pub wall_ms: u64,
    /// openraft's response.
    pub result: RpcResult<AppendEntriesResponse<TypeConfig>>,
}

/// Refuses a message that is too large, for which the receiver would only close the connection.
/// Proposed entries fit by construction.
pub(super) fn check_bytes(bytes: usize) -> Result<(), String> {
    if bytes <= MESSAGE_BYTES_MAX {
        return Ok(());
    }
    Err(format!("entries of {bytes} bytes, {MESSAGE_BYTES_MAX} fit into a message"))
}

/// How long a member may take for a message with entries, which its disk may delay; a large one
/// that never arrived in time would block the log forever.
pub(super) fn time_limit(bytes: usize) -> Duration {
    ENTRIES_TIMEOUT + Duration::from_millis(bytes as u64 / SLOWEST_BYTES_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use crate::raft::types::{Entry, LogId, Payload, Vote};
    use openraft::entry::RaftEntry;
    use openraft::vote::RaftLeaderId;

    #[test]
    fn the_largest_entry_fits_into_a_message() {
        let content = Payload(vec![7; ENTRY_BYTES_MAX].into());
        let leader = openraft::alias::LeaderIdOf::<TypeConfig>::new(u64::MAX, u64::MAX);
        let log_id = LogId::new(leader.to_committed(), u64::MAX);
        let entry = Entry::new(log_id, openraft::EntryPayload::Normal(content));
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new(u64::MAX, u64::MAX),
            prev_log_id: Some(log_id),
            entries: vec![entry],
            leader_commit: Some(log_id),
        };
        let message = AppendMessage { times: Times::default(), append: request };
        assert!(check_bytes(wire::encode(&message).unwrap().len()).is_ok());
    }

    #[test]
    fn a_large_message_gets_the_time_that_a_slow_connection_takes() {
        assert_eq!(time_limit(100), ENTRIES_TIMEOUT);
        assert_eq!(time_limit(16 << 20), ENTRIES_TIMEOUT + Duration::from_millis(16 << 10));
    }
}
