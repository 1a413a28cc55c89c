//! A value of any type comes out of the log and of the state as it went in, and is found there.

use crate::Applier;
use crate::catalog::{self, Collection, Retention};
use crate::command::entry::{self, FrameEncoder};
use crate::command::{Command, PutMode, Target};
use crate::document::with_id;
use crate::history_tests::{apply, cases, documents, in_transaction, one, place, put, verify};
use crate::id::DocumentId;
use crate::index::IndexSpec;
use crate::storage::WriteTxn;
use crate::value::tests::any_value;
use crate::value::{Object, Value};
use proptest::prelude::*;

fn stored(txn: &WriteTxn<'_>) -> Option<(DocumentId, String)> {
    let collection = catalog::collection(txn, "d", "c").unwrap().unwrap();
    documents(txn, collection).pop()
}

/// The command as it is read from the log.
fn logged(command: Command) -> Command {
    let frame = FrameEncoder::new(&command.into()).unwrap().encode().unwrap();
    entry::read_frame(&frame).unwrap().command
}

proptest! {
    #![proptest_config(cases(256))]
    #[test]
    fn a_value_comes_through_the_log_the_state_and_its_versions(
        value in any_value(),
        other in any_value(),
        id in any_value().prop_filter_map("no _id", DocumentId::new),
        descending: bool,
    ) {
        in_transaction(|txn| {
            let mut applier = Applier::default();
            applier.begin(txn).unwrap();
            let mut run = |txn: &mut WriteTxn<'_>, command| {
                apply(&mut applier, txn, logged(command)).map(drop)
            };
            let save = |value: &Value| {
                put("c", id.clone(), one("a", value.clone()).to_json(), PutMode::Upsert, None)
            };
            let expected = |value: &Value| with_id(&id, &one("a", value.clone()).to_json());
            run(txn, save(&Value::Null)).unwrap();
            let keys = one("a", if descending { -1 } else { 1 });
            let spec = IndexSpec::parse(&keys, &Object::new()).unwrap();
            run(txn, Command::CreateIndex { namespace: place("c"), spec }).unwrap();
            let keep = Some(Retention { changes: Some(9), ms: None });
            run(txn, Command::SetVersions { namespace: place("c"), keep }).unwrap();
            for value in [&value, &other] {
                run(txn, save(value)).unwrap();
                let (found, json) = stored(txn).unwrap();
                assert_eq!(found.to_json(), id.to_json());
                assert_eq!(json, expected(value));
            }
            let target = Target::from(id.clone());
            run(txn, Command::Delete { namespace: place("c"), target, if_match: None }).unwrap();
            assert_eq!(stored(txn), None);
            let target = Target::from(id.clone());
            let restore = Command::Restore { namespace: place("c"), target, version: None };
            run(txn, restore).unwrap();
            assert_eq!(stored(txn).unwrap().1, expected(&other));
            applier.flush(txn).unwrap();
            let collection = catalog::collection(txn, "d", "c").unwrap().unwrap();
            assert!(Collection::load(txn, collection).unwrap().indexes[0].is_ready());
            verify(txn);
        });
    }
}
