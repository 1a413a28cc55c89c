use super::*;
use crate::engine::Command;
use crate::engine::command::Proposal;
use crate::engine::history_tests::{cases, difference, document_command, dump, in_transaction};
use proptest::prelude::*;

/// A UUIDv7 made at a time.
fn key_of(time_ms: u64) -> String {
    let time = uuid::Timestamp::from_unix(
        uuid::NoContext,
        time_ms / 1000,
        (time_ms % 1000 * 1_000_000) as u32,
    );
    uuid::Uuid::new_v7(time).to_string()
}

struct World<'t, 's> {
    txn: &'t mut WriteTxn<'s>,
    applier: Applier,
    index: u64,
}

impl<'t, 's> World<'t, 's> {
    fn new(txn: &'t mut WriteTxn<'s>) -> Self {
        let mut world = World { txn, applier: Applier::default(), index: 0 };
        world.cut();
        world
    }

    /// As a commit, a restart, and the beginning of the next transaction.
    fn cut(&mut self) {
        if self.index > 0 {
            self.applier.flush(self.txn).unwrap();
        }
        self.applier = Applier::default();
        self.applier.begin(self.txn).unwrap();
    }

    fn call(
        &mut self,
        user: &str,
        key: &str,
        fingerprint: u64,
        time_ms: u64,
        command: Command,
    ) -> Answer {
        self.index += 1;
        let retry = Some(RetryKey { key: key.to_owned(), fingerprint });
        let proposal =
            Proposal { time_ms, user: Some(user.to_owned()), retry, ..command.into() };
        let answer = self.applier.apply(self.txn, self.index, proposal).unwrap();
        self.applier.end_entry(self.txn).unwrap();
        answer
    }

    fn forget(&mut self, before_ms: u64) {
        self.index += 1;
        let command = Command::ForgetRetries { before_ms, rows: 100 };
        self.applier.apply(self.txn, self.index, command.into()).unwrap();
        self.applier.end_entry(self.txn).unwrap();
    }
}

fn make(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), engine: "e".to_owned() }
}

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn a_repeated_call_gets_the_first_answer_and_changes_nothing(
        commands in prop::collection::vec(document_command(), 1..12),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..8),
    ) {
        in_transaction(|txn| {
            let mut world = World::new(txn);
            let key = |at: usize| format!("call-{at}#1");
            let first: Vec<_> = commands.iter().enumerate().map(|(at, command)| {
                let answer = world.call("u", &key(at), at as u64, 1000, command.clone());
                (world.index, answer)
            }).collect();
            for (at, cut) in repeats {
                if cut {
                    world.cut();
                } else {
                    world.applier.flush(world.txn).unwrap();
                }
                let at = at.index(commands.len());
                let before = dump(world.txn);
                let (index, answer) = &first[at];
                prop_assert!(answer.repeats.is_none());
                let again = world.call("u", &key(at), at as u64, 1000, commands[at].clone());
                prop_assert_eq!(&again.result, &answer.result);
                prop_assert_eq!(again.repeats, Some(*index));
                let known = self::answer(world.txn, Some("u"), &key(at)).unwrap();
                prop_assert_eq!(known, Some(again));
                let other = world.call("u", &key(at), 99, 1000, commands[at].clone());
                prop_assert_eq!(other.result.unwrap_err().kind, Kind::IdempotencyKeyReused);
                world.applier.flush(world.txn).unwrap();
                prop_assert_eq!(difference(&before, &dump(world.txn)), "");
                let foreign = world.call(&format!("v{}", world.index), &key(at), 7, 1000, make("x"));
                prop_assert_eq!(foreign, Answer { result: Ok(Outcome::Done), repeats: None });
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

#[test]
fn what_is_forgotten_is_an_error_and_never_a_second_run() {
    const MINUTE: u64 = 60_000;
    let now = 1_800_000_000_000;
    in_transaction(|txn| {
        let mut world = World::new(txn);
        // Clocks of clients that are behind, right, and ahead.
        let made = [now - MINUTE, now, now + MINUTE, now + 5 * MINUTE];
        let keys: Vec<String> = made.iter().map(|made| key_of(*made)).collect();
        for key in &keys {
            assert_eq!(world.call("u", key, 1, now, make("x")).repeats, None);
        }
        for later in (0..20 * MINUTE).step_by(MINUTE as usize) {
            world.forget(now + later);
            world.cut();
            for key in &keys {
                let again = world.call("u", key, 1, now + later, make("x"));
                let expired = matches!(&again.result, Err(error) if error.kind == Kind::IdempotencyKeyExpired);
                assert!(again.repeats.is_some() || expired, "{key} after {later}: {again:?}");
            }
        }
        let mut left = world.txn.range(Table::Retries, &[0], &[0xff]).unwrap();
        assert!(left.next().is_none(), "nothing is left");
        drop(left);
        let fresh = world.call("u", &key_of(now + 30 * MINUTE), 1, now + 30 * MINUTE, make("y"));
        assert_eq!(fresh.result, Ok(Outcome::Done));
        let long = world.call("u", &"k".repeat(600), 1, now, make("z"));
        assert_eq!(long.result.unwrap_err().kind, Kind::InvalidParameter);
    });
}

/// Symptom: a call that was made in a transaction cannot be made outside it any more.
#[test]
fn a_key_used_in_a_transaction_stays_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::storage::Store::open(dir.path(), 1 << 24).unwrap();
    let base = store.snapshot("a test").unwrap();
    let mut open = crate::engine::transaction::Transaction::begin(base, 1, 1 << 20).unwrap();
    let command = crate::engine::history_tests::put(
        "c",
        1.into(),
        "{}".into(),
        crate::engine::PutMode::Insert,
        None,
    );
    let retry = Some(RetryKey { key: "k".into(), fingerprint: 1 });
    let proposal = Proposal { retry, ..command.into() };
    let first = open.execute(proposal.clone()).unwrap();
    assert!(first.result.is_ok());
    let second = open.execute(proposal).unwrap();
    assert_eq!((second.result, second.repeats), (first.result, Some(1)));
    let mut txn = store.write().unwrap();
    let mut applier = Applier::default();
    applier.begin(&txn).unwrap();
    let commit = Command::Commit(Box::new(open.commit().unwrap().unwrap()));
    applier.apply(&mut txn, 2, commit.into()).unwrap().result.unwrap();
    applier.end_entry(&mut txn).unwrap();
    assert_eq!(answer(&txn, None, "k").unwrap(), None);
}
