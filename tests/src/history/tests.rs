use super::{Anomaly, History, Key, Number, Outcome, Step, Transaction};
use crate::Random;
use std::collections::BTreeMap;

/// A transaction concurrent with all others, so that real time orders nothing.
fn concurrent(outcome: Outcome, steps: &[Step]) -> Transaction {
    Transaction { began: 0, ended: 1000, steps: steps.to_vec(), outcome }
}

fn committed(steps: &[Step]) -> Transaction {
    concurrent(Outcome::Committed, steps)
}

/// A committed transaction between two values of the logical clock.
fn within(began: u64, ended: u64, steps: &[Step]) -> Transaction {
    Transaction { began, ended, ..committed(steps) }
}

fn append(key: Key, number: Number) -> Step {
    Step::Append(key, number)
}

fn read(key: Key, list: &[Number]) -> Step {
    Step::Read(key, list.to_vec())
}

fn names(history: Vec<Transaction>) -> Vec<&'static str> {
    let anomalies = History(history).anomalies();
    anomalies.iter().map(|anomaly| anomaly.name).collect()
}

#[test]
fn an_empty_history_has_no_anomaly() {
    assert_eq!(names(Vec::new()), Vec::<&str>::new());
}

#[test]
fn a_strictly_serializable_history_has_no_anomaly() {
    let history = vec![
        within(0, 2, &[append(1, 1), append(2, 1)]),
        within(1, 4, &[read(1, &[1]), append(1, 2), read(1, &[1, 2])]),
        within(3, 6, &[read(1, &[1]), read(2, &[1])]),
        within(5, 7, &[append(2, 2)]),
        Transaction { outcome: Outcome::Aborted, ..within(6, 8, &[read(2, &[]), append(2, 9)]) },
        Transaction { outcome: Outcome::Unknown, ..within(6, 8, &[append(2, 3)]) },
        Transaction { outcome: Outcome::Unknown, ..within(6, 8, &[append(2, 4)]) },
        within(9, 10, &[read(1, &[1, 2]), read(2, &[1, 2, 3])]),
    ];
    assert_eq!(names(history), Vec::<&str>::new());
}

#[test]
fn two_transactions_that_overwrite_each_other_are_g0() {
    let history = vec![
        committed(&[append(1, 1), append(2, 1)]),
        committed(&[append(1, 2), append(2, 2)]),
        committed(&[read(1, &[1, 2])]),
        committed(&[read(2, &[2, 1])]),
    ];
    assert_eq!(names(history), ["G0"]);
}

#[test]
fn g1a_a_read_sees_what_was_aborted() {
    let history = vec![concurrent(Outcome::Aborted, &[append(1, 1)]), committed(&[read(1, &[1])])];
    assert_eq!(names(history), ["G1a"]);
}

#[test]
fn g1b_a_read_sees_the_midst_of_a_transaction() {
    let history = vec![committed(&[append(1, 1), append(1, 2)]), committed(&[read(1, &[1])])];
    assert_eq!(names(history)[0], "G1b");
}

#[test]
fn g1c_two_transactions_see_each_other() {
    let history =
        vec![committed(&[append(1, 1), read(2, &[2])]), committed(&[append(2, 2), read(1, &[1])])];
    assert_eq!(names(history), ["G1c"]);
}

#[test]
fn read_skew_is_g_single() {
    let history =
        vec![committed(&[append(1, 1), append(2, 1)]), committed(&[read(1, &[]), read(2, &[1])])];
    assert_eq!(names(history), ["G-single"]);
}

#[test]
fn a_lost_update_is_g_single() {
    let history = vec![
        committed(&[read(1, &[]), append(1, 1)]),
        committed(&[read(1, &[]), append(1, 2)]),
        committed(&[read(1, &[1, 2])]),
    ];
    assert_eq!(names(history), ["G-single"]);
}

#[test]
fn write_skew_is_g2() {
    let history = vec![
        committed(&[read(1, &[]), append(2, 1)]),
        committed(&[read(2, &[]), append(1, 1)]),
        committed(&[read(1, &[1]), read(2, &[1])]),
    ];
    assert_eq!(names(history), ["G2"]);
}

/// It is found although no transaction reads the appends.
#[test]
fn write_skew_that_was_never_read_is_g2() {
    let history =
        vec![committed(&[read(1, &[]), append(2, 1)]), committed(&[read(2, &[]), append(1, 1)])];
    assert_eq!(names(history), ["G2"]);
}

#[test]
fn a_stale_read_is_an_anomaly_of_real_time() {
    let history = vec![
        within(0, 1, &[append(1, 1)]),
        within(2, 3, &[read(1, &[])]),
        within(4, 5, &[read(1, &[1])]),
    ];
    assert_eq!(names(history), ["G-single-realtime"]);
}

#[test]
fn a_write_into_the_past_is_an_anomaly_of_real_time() {
    let history = vec![
        within(0, 1, &[append(1, 1)]),
        within(2, 3, &[append(1, 2)]),
        within(4, 5, &[read(1, &[2, 1])]),
    ];
    assert_eq!(names(history), ["G0-realtime"]);
}

#[test]
fn an_acknowledged_append_that_is_never_read_is_lost() {
    let history = vec![
        within(0, 1, &[append(1, 1)]),
        within(2, 3, &[append(1, 2)]),
        within(4, 5, &[read(1, &[2])]),
    ];
    assert_eq!(names(history)[0], "lost append");
}

#[test]
fn an_append_that_no_later_transaction_read_is_not_lost() {
    let history = vec![within(0, 3, &[append(1, 1)]), within(2, 4, &[read(1, &[])])];
    assert_eq!(names(history), Vec::<&str>::new());
}

#[test]
fn an_append_of_unknown_outcome_is_not_lost_and_may_come_late() {
    let unknown =
        |number| Transaction { outcome: Outcome::Unknown, ..within(0, 1, &[append(1, number)]) };
    let history =
        vec![unknown(1), unknown(2), within(2, 3, &[read(1, &[])]), within(4, 5, &[read(1, &[1])])];
    assert_eq!(names(history), Vec::<&str>::new());
}

/// Its own reads are then checked as well.
#[test]
fn a_transaction_whose_append_was_read_is_committed() {
    let history = vec![
        concurrent(Outcome::Unknown, &[read(1, &[]), append(1, 1)]),
        committed(&[read(1, &[]), append(1, 2)]),
        committed(&[read(1, &[1, 2])]),
    ];
    assert_eq!(names(history), ["G-single"]);
}

#[test]
fn an_append_that_took_effect_twice_is_found() {
    let history = vec![committed(&[append(1, 1)]), committed(&[read(1, &[1, 1])])];
    assert_eq!(names(history)[0], "duplicate append");
}

#[test]
fn an_append_without_a_writer_is_found() {
    assert_eq!(names(vec![committed(&[read(1, &[7])])]), ["invented"]);
}

#[test]
fn reads_that_contradict_each_other_are_found() {
    let history = vec![
        committed(&[append(1, 1)]),
        committed(&[append(1, 2)]),
        committed(&[read(1, &[1, 2])]),
        committed(&[read(1, &[2])]),
    ];
    assert_eq!(names(history)[0], "incompatible order");
}

#[test]
fn a_transaction_that_does_not_see_its_own_append_is_found() {
    assert_eq!(names(vec![committed(&[append(1, 1), read(1, &[])])])[0], "internal");
}

#[test]
fn a_transaction_whose_reads_differ_is_found() {
    let history = vec![committed(&[append(1, 1)]), committed(&[read(1, &[]), read(1, &[1])])];
    assert_eq!(names(history)[0], "internal");
}

#[test]
fn a_cycle_is_described() {
    let history = History(vec![
        committed(&[read(1, &[]), append(2, 1)]),
        committed(&[read(2, &[]), append(1, 1)]),
    ]);
    let [Anomaly { description, .. }] = &history.anomalies()[..] else { panic!("one anomaly") };
    assert!(description.contains("T0 did not see 1 of T1 in list 1"), "{description}");
    assert!(description.contains("T1 did not see 1 of T0 in list 2"), "{description}");
}

/// What a small database checks before a commit.
#[derive(Clone, Copy, PartialEq)]
enum Checks {
    /// That nothing it has read has changed: serializable.
    Reads,
    /// That nothing it writes has changed: snapshot isolation.
    Writes,
    /// Nothing.
    Nothing,
}

/// A history of four clients of a small database with snapshots.
fn simulate(seed: u64, checks: Checks) -> History {
    let (mut random, mut clock) = (Random(seed), 0);
    let mut lists: BTreeMap<Key, Vec<Number>> = BTreeMap::new();
    let mut running: Vec<(Transaction, BTreeMap<Key, Vec<Number>>)> = Vec::new();
    let (mut history, mut number) = (History::default(), 0);
    for _ in 0..400 {
        clock += 1;
        if running.len() < 4 {
            running.push((within(clock, 0, &[]), lists.clone()));
            continue;
        }
        let turn = random.below(4) as usize;
        let (transaction, view) = &mut running[turn];
        let key = random.below(3);
        match random.below(5) {
            0 | 1 => {
                let list = view.entry(key).or_default();
                transaction.steps.push(Step::Read(key, list.clone()));
            }
            2 | 3 => {
                number += 1;
                view.entry(key).or_default().push(number);
                transaction.steps.push(append(key, number));
            }
            _ => {
                let (mut transaction, _) = running.swap_remove(turn);
                transaction.ended = clock;
                transaction.outcome = commit(&transaction, &mut lists, checks);
                history.0.push(transaction);
            }
        }
    }
    history
}

fn commit(
    transaction: &Transaction,
    lists: &mut BTreeMap<Key, Vec<Number>>,
    checks: Checks,
) -> Outcome {
    let now = |key: Key| lists.get(&key).cloned().unwrap_or_default();
    let changed = transaction.outer_reads().any(|(key, list)| match checks {
        Checks::Reads => now(key) != list,
        Checks::Writes => transaction.appends(key).next().is_some() && now(key) != list,
        Checks::Nothing => false,
    });
    if changed {
        return Outcome::Aborted;
    }
    for (key, number) in transaction.all_appends() {
        lists.entry(key).or_default().push(number);
    }
    Outcome::Committed
}

#[test]
fn histories_of_a_serializable_database_pass() {
    for seed in 0..100 {
        let history = simulate(seed, Checks::Reads);
        assert!(history.count(Outcome::Committed) > 20);
        history.check();
    }
}

#[test]
fn histories_of_weaker_databases_are_found_out() {
    for (checks, at_least) in [(Checks::Writes, 27), (Checks::Nothing, 29)] {
        let found = |seed: &u64| !simulate(*seed, checks).anomalies().is_empty();
        let found = (0..30).filter(found).count();
        assert!(found >= at_least, "{found} of 30 were found");
    }
}
