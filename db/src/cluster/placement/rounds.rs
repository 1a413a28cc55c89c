//! How fast replicas catch up, in rounds: a round ends when a replica has what its group's log had when
//! the round began (Ongaro's thesis, 4.2.1). After a short one the rest takes no longer.

use crate::raft::{GroupId, GroupStatus, RaftId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A round that took less than this is the last one.
const SHORT: Duration = Duration::from_secs(1);

/// The rounds of the replicas that this node's groups let in.
#[derive(Debug, Default)]
pub struct Rounds(BTreeMap<(GroupId, RaftId), Round>);

#[derive(Debug, Clone, Copy)]
struct Round {
    began: Instant,
    /// Log index that ends it.
    target: u64,
    /// Whether the round before was short.
    short: bool,
}

impl Rounds {
    /// Looks at the members of a group that do not vote yet; returns those whose last round was short.
    pub fn look(&mut self, group: GroupId, status: &GroupStatus, now: Instant) -> BTreeSet<RaftId> {
        let voters = status.voters();
        let learns = |id: RaftId| status.members.contains(&id) && !voters.contains(&id);
        self.0.retain(|(of, id), _| *of != group || learns(*id));
        let learners = status.members.iter().copied().filter(|id| learns(*id));
        let short = learners.filter(|id| {
            let begin = Round { began: now, target: status.last_log, short: false };
            let round = self.0.entry((group, *id)).or_insert(begin);
            if status.matched.get(id).is_some_and(|matched| *matched >= round.target) {
                *round = Round { short: now - round.began < SHORT, ..begin };
            }
            round.short
        });
        short.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_fast_enough_after_a_short_round() {
        let status = |matched, last_log| GroupStatus {
            configs: vec![BTreeSet::from([1])],
            members: BTreeSet::from([1, 2]),
            matched: BTreeMap::from([(1, last_log), (2, matched)]),
            last_log,
            ..GroupStatus::default()
        };
        let (mut rounds, began) = (Rounds::default(), Instant::now());
        let mut look = |at_ms, status: &GroupStatus| {
            rounds.look(3, status, began + Duration::from_millis(at_ms)).contains(&2)
        };
        assert!(!look(0, &status(0, 100)));
        assert!(!look(500, &status(50, 200)));
        assert!(!look(1500, &status(100, 300)), "the first round took 1.5 s");
        assert!(!look(2000, &status(299, 400)));
        assert!(look(2400, &status(300, 500)), "the second one took 0.9 s");
        assert!(!look(2500, &GroupStatus::default()), "it is no member");
        assert!(!look(2600, &status(0, 100)), "it begins anew");
    }
}
