//! The time of the log: the time stamp of a leader's proposals.
//!
//! Sessions, API keys and documents with a TTL expire by this time, so no single clock may decide
//! it. The responses on the append stream carry the followers' clocks; each is kept as a reading at
//! a moment of this node's *monotonic* clock, which setting the time does not change. The leader
//! uses its own clock while that agrees with the median of the voters', and lets the time advance
//! by its monotonic clock while it cannot tell. Every message to a follower carries the time, so
//! that all nodes use the same time whatever their own clocks are.

use super::types::{LogId, RaftId};
use minicbor::{CborLen, Decode, Encode};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How far a stamp may be ahead of the median of the voters' clocks, in milliseconds.
const AHEAD_MS_MAX: u64 = 500;
/// Age after which a follower's clock counts as unknown: the follower is silent.
const SAMPLE_MS_MAX: u64 = 10_000;
/// Age after which a sample is replaced by one with a longer round trip, in milliseconds.
const BETTER_MS: u64 = 1_000;
/// How long a leader's own clock must be wrong before the leader transfers leadership, in
/// milliseconds.
const WRONG_MS: u64 = 1_000;
/// Longest time between the two readings of the monotonic clock around a reading of the wall clock.
/// A process that is suspended in between would read a wall clock that has jumped.
const LOOK_MAX: Duration = Duration::from_millis(5);

/// Both clocks of this node at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The monotonic clock, in milliseconds since some moment.
    pub mono_ms: u64,
}

/// The times in a leader's message on the append stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Times {
    /// The time of the log.
    #[n(0)]
    pub time_ms: u64,
    /// By how much each known clock is ahead of it, in milliseconds.
    #[n(1)]
    pub ahead_ms: BTreeMap<RaftId, i64>,
}

/// A reading of another member's clock, at a moment of this node's monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Reading,
    /// Its error: half the round trip.
    error_ms: u64,
}

/// Decides the time of the log from the clocks of the voters. Pure: readings come in.
#[derive(Debug)]
pub struct Clock {
    me: RaftId,
    skew_ms_max: u64,
    voters: BTreeSet<RaftId>,
    leading: bool,
    samples: BTreeMap<RaftId, Sample>,
    /// The latest time of the log, and when it was read.
    last: Option<Reading>,
    /// The leader's times, on other nodes.
    leader_ahead_ms: BTreeMap<RaftId, i64>,
    /// Since when this node's clock is wrong, by the monotonic clock.
    wrong_since_ms: Option<u64>,
}

/// What the voters' clocks say together.
enum Verdict {
    /// Most voters agree with each other; their median.
    Agreed(u64),
    /// Most clocks are known, but they do not agree; the earliest of them.
    Apart(u64),
    /// Fewer than a majority are known.
    Unknown,
}

impl Clock {
    /// The clock of member `me`, where `last_ms` is the time of the log in its state.
    pub fn new(me: RaftId, skew_ms_max: u64, last_ms: Option<u64>, mono_ms: u64) -> Self {
        Clock {
            me,
            skew_ms_max,
            voters: BTreeSet::new(),
            leading: false,
            samples: BTreeMap::new(),
            last: last_ms.map(|wall_ms| Reading { wall_ms, mono_ms }),
            leader_ahead_ms: BTreeMap::new(),
            wrong_since_ms: None,
        }
    }

    /// Sets the voters, and whether this member leads.
    pub fn set_role(&mut self, voters: BTreeSet<RaftId>, leading: bool) {
        if leading != self.leading {
            self.leader_ahead_ms.clear();
            self.wrong_since_ms = None;
        }
        (self.voters, self.leading) = (voters, leading);
    }

    /// Records a member's clock from the response to a message sent at `sent_ms` and received at
    /// `received_ms`, both by the monotonic clock.
    pub fn record(&mut self, member: RaftId, wall_ms: u64, sent_ms: u64, received_ms: u64) {
        let error_ms = received_ms.saturating_sub(sent_ms) / 2;
        // After such a long round trip a right clock cannot be distinguished from a wrong one.
        if error_ms > self.skew_ms_max / 2 {
            return;
        }
        let at = Reading { wall_ms, mono_ms: sent_ms + error_ms };
        let better = self.samples.get(&member).is_none_or(|old| {
            error_ms <= old.error_ms || at.mono_ms.saturating_sub(old.at.mono_ms) > BETTER_MS
        });
        if better {
            self.samples.insert(member, Sample { at, error_ms });
        }
    }

    /// Records the leader's times in a message that was received at `mono_ms`.
    pub fn record_leader(&mut self, times: Times, mono_ms: u64) {
        if !self.leading {
            self.last = Some(Reading { wall_ms: times.time_ms, mono_ms });
            self.leader_ahead_ms = times.ahead_ms;
        }
    }

    /// The time of the log; on the leader, the stamp of a proposal made now.
    pub fn time(&mut self, now: Reading) -> u64 {
        let time_ms = self.decide(now);
        self.last = Some(Reading { wall_ms: time_ms, mono_ms: now.mono_ms });
        time_ms
    }

    fn decide(&mut self, now: Reading) -> u64 {
        let flowed = self.last.map(|last| later(last, now.mono_ms));
        if !self.leading {
            return flowed.unwrap_or(now.wall_ms);
        }
        if self.is_alone() {
            return now.wall_ms;
        }
        let verdict = self.verdict(now);
        let mut wrong = false;
        let time_ms = match verdict {
            Verdict::Agreed(median) if now.wall_ms.abs_diff(median) <= self.skew_ms_max => {
                now.wall_ms.min(median.saturating_add(AHEAD_MS_MAX))
            }
            Verdict::Agreed(median) => {
                wrong = true;
                flowed.unwrap_or(median).clamp(median, median.saturating_add(AHEAD_MS_MAX))
            }
            // It is not known which of them is right, and deleting too late does no harm.
            Verdict::Apart(earliest) => flowed.unwrap_or(0).max(earliest),
            Verdict::Unknown => flowed.unwrap_or(now.wall_ms),
        };
        self.wrong_since_ms = wrong.then(|| self.wrong_since_ms.unwrap_or(now.mono_ms));
        time_ms
    }

    /// Whether there is no clock to compare with: then the own clock is used.
    fn is_alone(&self) -> bool {
        self.voters.is_empty() || (self.voters.len() == 1 && self.voters.contains(&self.me))
    }

    fn clock_of(&self, member: RaftId, now: Reading) -> Option<u64> {
        if member == self.me {
            return Some(now.wall_ms);
        }
        let Sample { at, .. } = self.samples.get(&member)?;
        (now.mono_ms.saturating_sub(at.mono_ms) <= SAMPLE_MS_MAX).then(|| later(*at, now.mono_ms))
    }

    fn verdict(&self, now: Reading) -> Verdict {
        let clocks = self.voters.iter().filter_map(|id| self.clock_of(*id, now));
        let mut clocks: Vec<u64> = clocks.collect();
        clocks.sort_unstable();
        let majority = self.voters.len() / 2 + 1;
        if clocks.len() < majority {
            return Verdict::Unknown;
        }
        // Of two in the middle, the earlier one.
        let median = clocks[(clocks.len() - 1) / 2];
        let agrees = |clock: &&u64| clock.abs_diff(median) <= self.skew_ms_max;
        match clocks.iter().filter(agrees).count() >= majority {
            true => Verdict::Agreed(median),
            false => Verdict::Apart(clocks[0]),
        }
    }

    /// The times for a message of the append stream.
    pub fn times(&mut self, now: Reading) -> Times {
        let time_ms = self.time(now);
        Times { time_ms, ahead_ms: self.ahead(now) }
    }

    /// By how much the clock of each member is ahead of the time of the log, in milliseconds, if
    /// known.
    pub fn ahead(&mut self, now: Reading) -> BTreeMap<RaftId, i64> {
        if !self.leading {
            return self.leader_ahead_ms.clone();
        }
        let time_ms = self.time(now) as i64;
        let members = self.samples.keys().copied().chain([self.me]);
        let ahead = |id| Some((id, (self.clock_of(id, now)? as i64).saturating_sub(time_ms)));
        members.filter_map(ahead).collect()
    }

    /// The members whose clocks are more than `ClockSkewMaxMs` off.
    pub fn wrong(&mut self, now: Reading) -> BTreeMap<RaftId, i64> {
        let skew_ms_max = self.skew_ms_max;
        let mut ahead = self.ahead(now);
        ahead.retain(|_, ms| ms.unsigned_abs() > skew_ms_max);
        ahead
    }

    /// The voters that agree with the median, if this leader has not agreed for a while: one of
    /// them should lead instead.
    pub fn better_leaders(&mut self, now: Reading) -> BTreeSet<RaftId> {
        self.time(now);
        let long = self.wrong_since_ms.is_some_and(|since| now.mono_ms >= since + WRONG_MS);
        let (true, Verdict::Agreed(median)) = (long, self.verdict(now)) else {
            return BTreeSet::new();
        };
        let right = |id: &RaftId| {
            let clock = self.clock_of(*id, now);
            clock.is_some_and(|clock| clock.abs_diff(median) <= self.skew_ms_max)
        };
        self.voters.iter().copied().filter(right).collect()
    }
}

/// The clock's value later, if it runs as the monotonic clock does.
fn later(then: Reading, mono_ms: u64) -> u64 {
    then.wall_ms.saturating_add(mono_ms.saturating_sub(then.mono_ms))
}

/// The clock of a group's member, shared by the tasks that propose, send and read.
pub struct SharedClock {
    clock: Mutex<Clock>,
    role: Mutex<Option<Role>>,
    started: Instant,
}

/// Which membership is in force, by its entry, and whether this member leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// The entry of the membership.
    pub membership: Option<LogId>,
    /// Whether this member leads.
    pub leading: bool,
}

impl SharedClock {
    /// As [`Clock::new`].
    pub fn new(me: RaftId, skew_ms_max: u64, last_ms: Option<u64>) -> Self {
        let clock = Mutex::new(Clock::new(me, skew_ms_max, last_ms, 0));
        SharedClock { clock, role: Mutex::default(), started: Instant::now() }
    }

    /// The monotonic clock.
    pub fn mono_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn reading(&self) -> Reading {
        loop {
            let before = self.started.elapsed();
            let wall_ms = wall_ms();
            let after = self.started.elapsed();
            if after - before <= LOOK_MAX {
                return Reading { wall_ms, mono_ms: after.as_millis() as u64 };
            }
        }
    }

    /// As [`Clock::set_role`], if the role is another one.
    pub fn set_role(&self, role: Role, voters: impl FnOnce() -> BTreeSet<RaftId>) {
        let mut known = self.role.lock();
        if *known != Some(role) {
            *known = Some(role);
            self.clock.lock().set_role(voters(), role.leading);
        }
    }

    /// As [`Clock::record`], for a response received now.
    pub fn record(&self, member: RaftId, wall_ms: u64, sent_ms: u64) {
        let received_ms = self.mono_ms();
        self.clock.lock().record(member, wall_ms, sent_ms, received_ms);
    }

    /// As [`Clock::record_leader`].
    pub fn record_leader(&self, times: Times, mono_ms: u64) {
        self.clock.lock().record_leader(times, mono_ms);
    }

    /// As [`Clock::time`].
    pub fn time_ms(&self) -> u64 {
        let now = self.reading();
        self.clock.lock().time(now)
    }

    /// As [`Clock::times`].
    pub fn times(&self) -> Times {
        let now = self.reading();
        self.clock.lock().times(now)
    }

    /// As [`Clock::ahead`].
    pub fn ahead(&self) -> BTreeMap<RaftId, i64> {
        let now = self.reading();
        self.clock.lock().ahead(now)
    }

    /// As [`Clock::wrong`].
    pub fn wrong(&self) -> BTreeMap<RaftId, i64> {
        let now = self.reading();
        self.clock.lock().wrong(now)
    }

    /// As [`Clock::better_leaders`].
    pub fn better_leaders(&self) -> BTreeSet<RaftId> {
        let now = self.reading();
        self.clock.lock().better_leaders(now)
    }
}

/// This node's wall clock, in milliseconds since 1970. Replicated data, and decisions by replicated
/// data, use the time of the log instead.
pub fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
