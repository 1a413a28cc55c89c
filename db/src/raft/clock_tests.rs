//! Tests of [`Clock`].

use super::*;
use proptest::prelude::*;

const SKEW: u64 = 1_000;
const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// The true time when the tests begin; the monotonic clock is at `BEGIN_MONO` then.
const BEGIN: u64 = 1_900_000_000_000;
const BEGIN_MONO: u64 = 50_000;

/// A leader, member 1, in a world whose true time is known.
struct World {
    clock: Clock,
    passed_ms: u64,
    /// By how much the clock of each voter is ahead of the true time; that of member 1 first.
    ahead: Vec<i64>,
}

fn shifted(time_ms: u64, by_ms: i64) -> u64 {
    time_ms.checked_add_signed(by_ms).expect("a time")
}

impl World {
    /// Voters whose clocks are ahead by so much. The time of the log was right until now.
    fn new(ahead: &[i64]) -> World {
        let mut clock = Clock::new(1, SKEW, Some(BEGIN), BEGIN_MONO);
        clock.set_role((1..=ahead.len() as u64).collect(), true);
        World { clock, passed_ms: 0, ahead: ahead.to_vec() }
    }

    fn truth(&self) -> u64 {
        BEGIN + self.passed_ms
    }

    fn now(&self) -> Reading {
        let wall_ms = shifted(self.truth(), self.ahead[0]);
        Reading { wall_ms, mono_ms: BEGIN_MONO + self.passed_ms }
    }

    /// Time passes, and then these voters answer a message at once.
    fn pass(&mut self, ms: u64, answering: &[u64]) {
        self.passed_ms += ms;
        let mono_ms = BEGIN_MONO + self.passed_ms;
        for id in answering {
            let wall_ms = shifted(self.truth(), self.ahead[*id as usize - 1]);
            self.clock.record(*id, wall_ms, mono_ms, mono_ms);
        }
    }

    /// By how much the time of the log is ahead of the true time.
    fn error(&mut self) -> i64 {
        let now = self.now();
        self.clock.time(now) as i64 - self.truth() as i64
    }
}

#[test]
fn a_stamp_follows_most_of_the_voters_and_never_one_wrong_clock() {
    for (what, ahead, answering, expected) in [
        ("a node alone believes itself", &[DAY][..], &[][..], DAY),
        ("clocks that agree are believed", &[100, 0, 200], &[2, 3], 100),
        ("the own clock may be ahead a little only", &[900, 0, 0], &[2, 3], 500),
        ("a leader a day ahead stays at the time that it had", &[DAY, 0, 0], &[2, 3], 0),
        ("a leader an hour behind as well", &[-HOUR, 0, 0], &[2, 3], 0),
        ("a follower a day ahead changes nothing", &[0, DAY, 0], &[2, 3], 0),
        ("nor one that is behind", &[0, 0, -DAY], &[2, 3], 0),
        ("nor two of five", &[0, DAY, DAY, 0, 0], &[2, 3, 4, 5], 0),
        ("two nodes that differ let the time flow on", &[DAY, 0], &[2], 0),
        ("whichever of them is wrong", &[0, DAY], &[2], 0),
        ("without a majority's clocks the time flows on", &[DAY, 0, 0], &[], 0),
        ("one that is missing leaves two, which agree", &[70, 0, 0], &[3], 70),
        ("or do not", &[DAY, 0, 0], &[3], 0),
        ("a clock at its end is a wrong one", &[0, i64::MAX - BEGIN as i64, 0], &[2, 3], 0),
    ] {
        let mut world = World::new(ahead);
        for _ in 0..20 {
            world.pass(100, answering);
            assert_eq!(world.error(), expected, "{what}");
        }
    }
}

#[test]
fn a_clock_that_jumps_while_it_leads_moves_no_stamp() {
    for jump in [DAY, -DAY, HOUR, -2_000] {
        let mut world = World::new(&[0, 0, 0]);
        world.pass(100, &[2, 3]);
        assert_eq!(world.error(), 0);
        world.ahead[0] = jump;
        world.pass(1, &[]);
        assert_eq!(world.error(), 0, "at once, by the samples from before");
        for _ in 0..100 {
            world.pass(100, &[2, 3]);
            assert_eq!(world.error(), 0, "{jump}");
        }
        assert_eq!(world.clock.wrong(world.now()), [(1, jump)].into());
        world.ahead[0] = 0;
        world.pass(100, &[2, 3]);
        assert_eq!(world.clock.wrong(world.now()), [].into());
    }
}

#[test]
fn a_leader_with_a_wrong_clock_hands_over_to_right_ones_only() {
    let better = |ahead: &[i64], answering: &[u64], ms: u64| {
        let mut world = World::new(ahead);
        for _ in 0..=ms / 100 {
            world.pass(100, answering);
            world.error();
        }
        world.clock.better_leaders(world.now()).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(better(&[DAY, 0, 0], &[2, 3], 2_000), [2, 3]);
    assert_eq!(better(&[DAY, 0, 0], &[2, 3], 500), [0; 0], "not at once");
    assert_eq!(better(&[900, 0, 0], &[2, 3], 2_000), [0; 0], "nor for a little");
    assert_eq!(better(&[-DAY, 0, DAY, 0, 0], &[2, 3, 4, 5], 2_000), [2, 4, 5]);
    assert_eq!(better(&[DAY, 0], &[2], 2_000), [0; 0], "nobody knows which of two is right");
    assert_eq!(better(&[DAY, 0, 0], &[2], 2_000), [0; 0], "nor of two out of three");
    assert_eq!(better(&[DAY], &[], 2_000), [0; 0]);
    assert_eq!(better(&[0, DAY, 0], &[2, 3], 2_000), [0; 0], "the leader's own is right");
}

#[test]
fn a_silent_voter_and_a_slow_answer_say_nothing() {
    let mut world = World::new(&[0, -HOUR, 0]);
    world.pass(0, &[2, 3]);
    world.pass(SAMPLE_MS_MAX, &[]);
    assert_eq!(world.clock.ahead(world.now()), [(1, 0), (2, -HOUR), (3, 0)].into());
    world.pass(1, &[]);
    assert_eq!(world.clock.ahead(world.now()), [(1, 0)].into());

    // An answer that was on its way for 1 s says what its clock was half a second ago.
    let mono_ms = world.now().mono_ms;
    world.clock.record(2, world.truth() - 500, mono_ms - 1_000, mono_ms);
    assert_eq!(world.clock.ahead(world.now()).get(&2), Some(&0));
    world.clock.record(3, world.truth(), mono_ms - 1_100, mono_ms);
    assert_eq!(world.clock.ahead(world.now()).get(&3), None, "too long to tell");
    // A shorter way is better, a longer one only when the sample is old.
    world.clock.record(2, world.truth() - 3, mono_ms - 2, mono_ms);
    world.clock.record(2, world.truth() - 400, mono_ms - 400, mono_ms);
    assert_eq!(world.clock.ahead(world.now()).get(&2), Some(&-2));
    world.pass(2_000, &[]);
    let mono_ms = world.now().mono_ms;
    world.clock.record(2, world.truth() - 400, mono_ms - 400, mono_ms);
    assert_eq!(world.clock.ahead(world.now()).get(&2), Some(&-200));
}

#[test]
fn a_follower_judges_by_the_leaders_time_and_a_new_leader_goes_on_from_it() {
    // Its own clock is 90 s ahead; its state knows a time of long ago.
    let wall = |mono_ms: u64| Reading { wall_ms: BEGIN + 90_000 + mono_ms, mono_ms };
    let mut clock = Clock::new(1, SKEW, Some(BEGIN - 5_000), 0);
    clock.set_role([1, 2, 3].into(), false);
    assert_eq!(clock.time(wall(200)), BEGIN - 4_800, "before it hears of a leader");
    let times = Times { time_ms: BEGIN + 300, ahead_ms: [(1, 90_000), (2, 0)].into() };
    clock.record_leader(times, 300);
    assert_eq!(clock.time(wall(350)), BEGIN + 350);
    assert_eq!(clock.wrong(wall(350)), [(1, 90_000)].into());
    clock.set_role([1, 2, 3].into(), true);
    assert_eq!(clock.time(wall(400)), BEGIN + 400);
    clock.record_leader(Times { time_ms: 7, ahead_ms: [].into() }, 450);
    assert_eq!(clock.time(wall(500)), BEGIN + 500, "a message of a leader before it comes late");
    // A node that knows nothing has only its own.
    assert_eq!(Clock::new(1, SKEW, None, 0).time(wall(10)), BEGIN + 90_010);
}

#[test]
fn a_cluster_that_was_down_goes_on_at_the_present_time() {
    for (ahead, answering, expected) in [
        (&[0, 100, 50][..], &[2, 3][..], 0),
        (&[DAY, 0, 0], &[2, 3], 0),
        (&[DAY, 0], &[2], 0),
        (&[0, DAY], &[2], 0),
    ] {
        let mut world = World::new(ahead);
        let old = Some(BEGIN - 3 * DAY as u64);
        world.clock = Clock::new(1, SKEW, old, BEGIN_MONO);
        world.clock.set_role((1..=ahead.len() as u64).collect(), true);
        assert!(world.error() <= 0);
        world.pass(100, answering);
        assert_eq!(world.error(), expected, "{ahead:?}");
    }
}

proptest! {
    /// Whatever a minority's clocks do, and whichever nodes answer: the time of the log is never ahead of
    /// all right clocks by more than the bounds, it goes on while a majority answers, and while all
    /// answer it is right.
    #[test]
    fn a_minority_of_wrong_clocks_never_leads_the_time_astray(
        right in proptest::collection::vec(-200_i64..200, 1..6),
        wrong in proptest::collection::vec(-3 * DAY..3 * DAY, 0..5),
        leader_is_wrong in any::<bool>(),
        steps in proptest::collection::vec((0..3_000_u64, any::<u16>(), -DAY..DAY), 1..60),
    ) {
        let wrong = &wrong[..wrong.len().min(right.len() - 1)];
        let mut ahead: Vec<i64> = right.iter().chain(wrong).copied().collect();
        if leader_is_wrong { ahead.reverse() }
        let is_right: Vec<bool> = ahead.iter().map(|ms| ms.abs() <= 200).collect();
        let mut world = World::new(&ahead);
        let everybody: Vec<u64> = (2..=ahead.len() as u64).collect();
        for (ms, who, jump) in steps {
            let jumping = who as usize % ahead.len();
            if !is_right[jumping] {
                world.ahead[jumping] = jump;
            }
            let answering = everybody.iter().copied().filter(|id| who & (1 << id) != 0);
            let answering: Vec<u64> = answering.collect();
            world.pass(ms, &answering);
            let error = world.error();
            let bound = 200 + (SKEW + AHEAD_MS_MAX) as i64;
            prop_assert!(error <= bound, "{error} ms ahead");
            prop_assert!(error >= -bound, "{error} ms");
            // Then all answer, and the newest samples of all are at hand.
            world.pass(BETTER_MS + 1, &everybody);
            let error = world.error();
            prop_assert!(error.abs() <= bound, "{error} ms");
        }
    }
}
