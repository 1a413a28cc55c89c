//! When openraft's clock of a group runs.
//!
//! It ticks about five times in each heartbeat interval, to see whether a heartbeat or an election is
//! due. On an idle node that was most of the work. So it rests while nothing depends on it: a leader
//! sends its heartbeats from here, and a follower that has just heard its leader needs no election.

use super::{Group, update_role};
use crate::pulse;
use crate::raft::types::{RaftId, TypeConfig};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What a group needs of openraft's clock at one moment.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// The clock decides about an election.
    Ticks,
    /// Nothing, for this long.
    Nothing(Duration),
    /// A heartbeat now, and no ticks.
    Heartbeat,
}

/// How long a follower may have heard nothing before the clock runs: with the first tick after that
/// still before the shortest election timeout.
fn silence_max(election_min_ms: u64) -> Duration {
    Duration::from_millis(election_min_ms * 3 / 4)
}

/// Decides by the role, by whether there is another member, by the leader that was heard last, and
/// how long ago. Pure.
fn need(
    (state, alone): (ServerState, bool),
    leader: Option<RaftId>,
    heard: (Option<RaftId>, Duration),
    silence_max: Duration,
) -> Need {
    match state {
        ServerState::Leader if alone => Need::Nothing(silence_max),
        ServerState::Leader => Need::Heartbeat,
        ServerState::Follower | ServerState::Learner
            if leader.is_some() && leader == heard.0 && heard.1 < silence_max =>
        {
            Need::Nothing(silence_max - heard.1)
        }
        _ => Need::Ticks,
    }
}

/// Starts the task that passes the role to the clock of the log whenever it changes, and runs
/// openraft's clock while it is needed.
pub(super) fn start(group: Group, heartbeat_ms: u64, election_min_ms: u64) -> Arc<Group> {
    let group = Arc::new(group);
    let intervals = (Duration::from_millis(heartbeat_ms), silence_max(election_min_ms));
    tokio::spawn(run(Arc::downgrade(&group), group.raft.server_metrics(), intervals));
    group
}

async fn run(
    group: Weak<Group>,
    mut metrics: openraft::alias::WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
    (heartbeat, silence_max): (Duration, Duration),
) {
    loop {
        // All groups of a node wake together.
        let wakes = {
            let Some(group) = group.upgrade() else { return };
            let (role, leader) = {
                let metrics = metrics.borrow_and_update();
                update_role(&metrics, &group.clock);
                let alone = metrics.membership_config.nodes().count() == 1;
                ((metrics.state, alone), metrics.current_leader)
            };
            let heard = group.heard();
            let need = need(role, leader, (heard.leader, heard.at.elapsed()), silence_max);
            group.raft.runtime_config().tick(need == Need::Ticks);
            let after = |pause| pulse::after(pause, heartbeat / 4);
            match need {
                Need::Ticks => after(silence_max),
                Need::Nothing(pause) => after(pause),
                Need::Heartbeat => match group.raft.trigger().heartbeat().await {
                    Ok(()) => pulse::next(heartbeat),
                    Err(_) => return,
                },
            }
        };
        let changed = tokio::time::timeout_at(wakes, metrics.changed()).await;
        if changed.is_ok_and(|changed| changed.is_err()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_rests_on_a_leader_and_on_a_follower_that_hears_it() {
        let ms = Duration::from_millis;
        let limit = silence_max(400);
        let need = |state, leader, heard: Option<u64>, ago| {
            need((state, false), leader, (heard, ms(ago)), limit)
        };
        use ServerState::{Candidate, Follower, Leader, Learner};
        assert_eq!(need(Leader, Some(1), None, 5_000), Need::Heartbeat);
        let alone = super::need((Leader, true), Some(1), (None, ms(0)), limit);
        assert_eq!(alone, Need::Nothing(limit), "nobody is to hear it");
        assert_eq!(need(Follower, Some(2), Some(2), 100), Need::Nothing(ms(200)));
        assert_eq!(need(Learner, Some(2), Some(2), 100), Need::Nothing(ms(200)));
        assert_eq!(need(Follower, Some(2), Some(2), 300), Need::Ticks, "it is silent");
        assert_eq!(need(Follower, Some(3), Some(2), 0), Need::Ticks, "another one leads");
        assert_eq!(need(Follower, None, Some(2), 0), Need::Ticks, "none leads");
        assert_eq!(need(Follower, None, None, 0), Need::Ticks, "none was heard");
        assert_eq!(need(Candidate, None, None, 0), Need::Ticks);
    }
}
