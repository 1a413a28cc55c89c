use super::*;
use crate::namespace::Namespace;
use crate::retry::answer;

use crate::Command;
use crate::command::{Mutation, Proposal, Select, Write, WriteLimits};
use crate::history_tests::{cases, difference, document_command, dump, in_transaction};
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
    ) -> ProposalResult {
        self.keyed(user, RetryKey::new(key.to_owned(), fingerprint), time_ms, command)
    }

    fn keyed(
        &mut self,
        user: &str,
        retry: RetryKey,
        time_ms: u64,
        command: Command,
    ) -> ProposalResult {
        self.index += 1;
        let (user, retry) = (Some(user.to_owned()), Some(retry));
        let proposal = Proposal { time_ms, user, retry, ..command.into() };
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

    fn run(&mut self, command: Command) {
        self.index += 1;
        let answer = self.applier.apply(self.txn, self.index, command.into()).unwrap();
        answer.result.unwrap();
        self.applier.end_entry(self.txn).unwrap();
    }

    fn patch(&mut self, key: &str, patch: &str, returning: Returning) -> ProposalResult {
        let select = Select::Id { target: DocumentId::from(1).into(), if_match: None };
        let mutation = Mutation::Merge(patch.to_owned());
        let operation =
            Operation::Modify { select, mutation, multi: false, upsert: None, returning };
        let command = Command::Write(Box::new(write(vec![operation])));
        self.call("u", key, 1, 1_000, command)
    }

    /// Bytes of the table of answers.
    fn bytes(&mut self) -> usize {
        self.applier.flush(self.txn).unwrap();
        let rows = self.txn.range(Table::Retries, &[0], &[0xff]).unwrap();
        rows.map(|row| row.map(|(key, value)| key.len() + value.len()).unwrap()).sum()
    }
}

fn write(operations: Vec<Operation>) -> Write {
    Write {
        namespace: Namespace::new("d", "c"),
        create_database: true,
        operations,
        ordered: true,
        time_ms: 0,
        limits: WriteLimits {
            documents_max: 1_000,
            document_bytes_max: 1 << 24,
            depth_max: 64,
            memory_max: 1 << 26,
            steps_max: 1_000_000,
            written_max: 1 << 30,
        },
    }
}

fn insert(id: i64, body: String) -> Operation {
    Operation::Insert { id: DocumentId::from(id), body }
}

/// Whether a repeated result is the first one, but for documents that were only read and are others
/// by now.
fn is_same(again: &CommandResult, first: &CommandResult) -> bool {
    let (Ok(Outcome::OperationResults(again)), Ok(Outcome::OperationResults(first))) =
        (again, first)
    else {
        return again == first;
    };
    let same = |(again, first): (
        &error::Result<OperationResult>,
        &error::Result<OperationResult>,
    )| match (again, first) {
        (Ok(again), Ok(first)) if again.forgotten.is_some() => {
            let forgotten = again.forgotten.clone();
            let bare = OperationResult { document: None, forgotten, ..first.clone() };
            first.document.is_some() && first.modified == 0 && *again == bare
        }
        (again, first) => again == first,
    };
    again.len() == first.len() && again.iter().zip(first).all(same)
}

fn only(answer: &ProposalResult) -> OperationResult {
    match &answer.result {
        Ok(Outcome::OperationResults(results)) => results[0].clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Symptom: 948 keyed patches of 14 bytes on a document of 1 MB took 1.4 GB.
#[test]
fn a_remembered_answer_holds_no_document() {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
        world.run(Command::Write(Box::new(write(vec![insert(1, body)]))));
        let returning = [Returning::After, Returning::Before];
        let key = |at: usize| format!("patch-{at}");
        let patch = |at: usize| format!("{{\"n\":{}}}", at / 3);
        let mut first = Vec::new();
        for at in 0..30 {
            // Each third one changes something.
            first.push(world.patch(&key(at), &patch(at), returning[at % 2]));
        }
        let bytes = world.bytes();
        assert!(bytes < 30 * 400, "{bytes}");
        for (at, first) in first.iter().enumerate() {
            if at % 7 == 0 {
                world.cut();
            }
            let again = world.patch(&key(at), &patch(at), returning[at % 2]);
            assert!(again.repeats.is_some());
            let (first, again) = (only(first), only(&again));
            // What was only read is known as long as it is the same, and the rest by the history.
            if first.modified > 0 || at >= 28 {
                assert_eq!(again, first, "{at}");
            } else {
                assert_eq!(again.forgotten, Some(DocumentId::from(1)), "{at}");
                assert_eq!((again.document, again.revision), (None, first.revision), "{at}");
            }
        }
        world.run(Command::TrimChanges { bytes_max: 0, rows: 1_000 });
        for (at, first) in first.iter().enumerate() {
            let again = only(&world.patch(&key(at), &patch(at), returning[at % 2]));
            let first = only(first);
            assert_eq!(again.revision, first.revision);
            match again.document {
                // The document as it is now.
                Some(text) => assert_eq!(Some(text), first.document, "{at}"),
                None => assert_eq!(again.forgotten, Some(DocumentId::from(1)), "{at}"),
            }
        }
        let last = only(&world.patch(&key(29), &patch(29), returning[1]));
        assert!(last.document.is_some(), "it is the same still");
    });
}

/// The first call and its repetition may travel in one log entry.
#[test]
fn a_repetition_in_the_same_log_entry_has_the_document_too() {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        world.run(Command::Write(Box::new(write(vec![insert(1, "{}".into())]))));
        let select = Select::Id { target: DocumentId::from(1).into(), if_match: None };
        let mutation = Mutation::Merge("{\"a\":1}".into());
        let returning = Returning::Before;
        let operation =
            Operation::Modify { select, mutation, multi: false, upsert: None, returning };
        let command = Command::Write(Box::new(write(vec![operation])));
        let retry = Some(RetryKey::new("k".into(), 1));
        let proposal = Proposal { retry, ..command.into() };
        let first = world.applier.apply(world.txn, 9, proposal.clone()).unwrap();
        let second = world.applier.apply(world.txn, 9, proposal).unwrap();
        world.applier.end_entry(world.txn).unwrap();
        assert_eq!((second.repeats, only(&second)), (Some(9), only(&first)));
        assert_eq!(only(&first).document.as_deref(), Some("{\"_id\":1}"));
    });
}

/// Symptom: an answer with very many `_id`s or warnings took as many bytes as the call.
#[test]
fn an_answer_about_very_many_documents_is_remembered_in_short() {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let id = |at: usize| DocumentId::from(format!("{at:0400}"));
        let mut operations: Vec<_> =
            (0..1_000).map(|at| Operation::Insert { id: id(at), body: "{}".into() }).collect();
        operations.push(Operation::Insert { id: id(0), body: "{}".into() });
        let command = Command::Write(Box::new(write(operations)));
        let first = world.call("u", "k", 1, 1_000, command.clone());
        assert!(
            matches!(first.result, Ok(Outcome::OperationResults(results)) if results.len() == 1_001)
        );
        assert!(world.bytes() < 1_000, "{}", world.bytes());
        let again = world.call("u", "k", 1, 1_000, command);
        let Ok(Outcome::WriteTotals(totals)) = again.result else { panic!("{again:?}") };
        assert_eq!((totals.inserted, again.repeats), (1_000, Some(1)));
        let (at, error) = totals.failed.unwrap();
        assert_eq!((at, error.kind), (1_000, Kind::DuplicateId));
    });
}

#[test]
fn a_user_whose_answers_take_too_much_waits_and_nothing_is_forgotten_early() {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let retry = |key: &str| RetryKey { bytes_max: 5_000, ..RetryKey::new(key.into(), 1) };
        let mut made = Vec::new();
        let refused = loop {
            let key = key_of(2_000_000 + made.len() as u64);
            match world.keyed("u", retry(&key), 2_000_000, make("x")).result {
                Ok(_) => made.push(key),
                Err(error) => break error,
            }
            world.cut();
        };
        assert_eq!(refused.kind, Kind::IdempotencyFull);
        assert!((10..60).contains(&made.len()), "{}", made.len());
        for key in &made {
            let again = world.keyed("u", retry(key), 2_000_000, make("x"));
            assert!(again.repeats.is_some(), "{key}");
        }
        assert!(world.keyed("v", retry("other"), 2_000_000, make("x")).result.is_ok());
        let unkeyed = Proposal { user: Some("u".into()), ..make("y").into() };
        assert!(world.applier.apply(world.txn, 1_000, unkeyed).unwrap().result.is_ok());
        world.forget(3_000_000);
        let fresh = world.keyed("u", retry(&key_of(3_000_000)), 3_000_000, make("x"));
        assert_eq!((fresh.result, fresh.repeats), (Ok(Outcome::Done), None));
    });
}

/// Symptom: a key that is no UUIDv7 was carried out a second time once it was forgotten.
#[test]
fn a_forgotten_key_without_a_time_is_refused_for_a_day() {
    const HOUR: u64 = 3_600_000;
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let now = 1_800_000_000_000;
        world.call("u", "mine", 1, now, make("x"));
        for hours in [1, 2, 23] {
            world.call("", "clock", hours, now + hours * HOUR, make("x"));
            world.forget(now + (hours - 1) * HOUR + 1);
            world.cut();
            let again = world.call("u", "mine", 1, now + hours * HOUR, make("x"));
            let error = again.result.unwrap_err();
            assert_eq!(error.kind, Kind::IdempotencyKeyExpired, "after {hours} h");
            // Another user's key is another.
            let other = world.call("v", "mine", hours, now + hours * HOUR, make("x"));
            assert!(
                !matches!(&other.result, Err(error) if error.kind == Kind::IdempotencyKeyExpired)
                    || hours > 1
            );
        }
        world.call("", "clock-2", 1, now + 25 * HOUR, make("x"));
        world.forget(now + 24 * HOUR);
        let late = world.call("u", "mine", 1, now + 25 * HOUR, make("x"));
        assert_eq!((late.result, late.repeats), (Ok(Outcome::Done), None));
        // In the end nothing is left.
        for days in 2..5 {
            world.run(Command::CreateDatabase { name: "t".into(), engine: "e".into() });
            let time_ms = now + days * 24 * HOUR;
            let proposal = Proposal { time_ms, ..make("t").into() };
            world.applier.apply(world.txn, world.index, proposal).unwrap();
            world.forget(time_ms - HOUR);
        }
        assert_eq!(world.bytes(), 0);
    });
}

/// Symptom: `$merge` into the collection that it reads counted twice for some documents, when the
/// call was repeated with its key.
#[test]
fn a_call_of_several_commands_goes_on_in_its_own_run_only() {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let part = |run, number, last| {
            let written = u64::from(number + 1) * 2;
            let part = Some(Part { run, number, written, total: 6, last });
            RetryKey { part, ..RetryKey::new("k".into(), 1) }
        };
        let two = |from: i64| {
            let operations = vec![insert(from, "{}".into()), insert(from + 1, "{}".into())];
            Command::Write(Box::new(write(operations)))
        };
        assert!(world.keyed("u", part(7, 0, false), 1, two(1)).result.is_ok());
        assert!(world.keyed("u", part(7, 1, false), 1, two(3)).result.is_ok());
        for other in [part(8, 0, false), part(8, 2, false), part(7, 0, false), part(7, 3, false)] {
            let refused = world.keyed("u", other, 1, two(9));
            let error = refused.result.unwrap_err();
            assert_eq!((error.kind, refused.repeats), (Kind::OutcomeUnknown, Some(2)));
            assert_eq!(error.details.unwrap()["written"], 4);
        }
        world.cut();
        // Its answer is that of its last command, also when the first one is long ago.
        world.call("u", "other", 1, 50, make("x"));
        let last = world.keyed("u", part(7, 2, true), 90, two(5));
        let index = world.index;
        assert!(matches!(last.result, Ok(Outcome::OperationResults(_))), "{last:?}");
        world.forget(60);
        let again = world.keyed("u", part(8, 0, false), 90, two(9));
        assert_eq!(
            again,
            ProposalResult { result: Ok(Outcome::Output { written: 6 }), repeats: Some(index) }
        );
        let wrong = world.keyed("u", RetryKey { fingerprint: 2, ..part(8, 0, false) }, 1, two(9));
        assert_eq!(wrong.result.unwrap_err().kind, Kind::IdempotencyKeyReused);
        world.forget(100);
        let late = world.keyed("u", part(7, 3, false), 90, two(9));
        assert_eq!(late.result.unwrap_err().kind, Kind::IdempotencyKeyExpired);
        // One that was refused half way is answered so from then on.
        let retry = |number| RetryKey { key: "half".into(), ..part(9, number, false) };
        assert!(world.keyed("u", retry(0), 90, two(11)).result.is_ok());
        assert!(
            world.keyed("u", retry(1), 90, two(12)).result.is_ok(),
            "one of its results is not"
        );
        let error = world.keyed("u", retry(0), 90, two(13)).result.unwrap_err();
        assert_eq!(
            (error.kind, &error.details.unwrap()["written"]),
            (Kind::DuplicateId, &json!(2))
        );
    });
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
                prop_assert!(is_same(&again.result, &answer.result), "{:?} {:?}", again, answer);
                prop_assert_eq!(again.repeats, Some(*index));
                let known = self::answer(world.txn, Some("u"), &key(at)).unwrap();
                prop_assert_eq!(known, Some(again));
                let other = world.call("u", &key(at), 99, 1000, commands[at].clone());
                prop_assert_eq!(other.result.unwrap_err().kind, Kind::IdempotencyKeyReused);
                world.applier.flush(world.txn).unwrap();
                prop_assert_eq!(difference(&before, &dump(world.txn)), "");
                let foreign = world.call(&format!("v{}", world.index), &key(at), 7, 1000, make("x"));
                prop_assert_eq!(foreign, ProposalResult { result: Ok(Outcome::Done), repeats: None });
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
    let mut open = crate::transactions::Transaction::begin(base, 1, 1 << 20).unwrap();
    let command =
        crate::history_tests::put("c", 1.into(), "{}".into(), crate::PutMode::Insert, None);
    let retry = Some(RetryKey::new("k".into(), 1));
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
