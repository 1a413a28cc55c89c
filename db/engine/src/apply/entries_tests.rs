use super::*;
use crate::command::{Command, CommandResult, Put, PutMode};
use crate::error::Kind;
use crate::history_tests::{apply, in_transaction, one, place};
use crate::index::IndexSpec;
use crate::index::encode::encode;
use crate::value::Object;
use xxhash_rust::xxh3::xxh3_128;

/// Two values with the same beginning and the same hash. XXH3 multiplies the lower half of each
/// lane, mixed with a constant, by the upper half: where the lower half is the constant, the
/// product is zero, and only the sum of the lanes is left of two stripes.
fn colliding() -> [Value; 2] {
    let with_halves = |first: u8, second: u8| {
        // In the encoding the bytes stand behind 6 others.
        let mut bytes = vec![b'x'; 700];
        bytes[506..514].copy_from_slice(&[0x3c, 0x28, 0x52, 0xbb, first, 0, 0, 0]);
        bytes[570..578].copy_from_slice(&[0x88, 0xd0, 0x65, 0x8b, second, 0, 0, 0]);
        Value::Binary(0, bytes)
    };
    let values = [with_halves(1, 2), with_halves(2, 1)];
    let hashes = values.each_ref().map(|value| {
        let mut encoded = Vec::new();
        encode(value, &mut encoded);
        xxh3_128(&encoded)
    });
    assert_eq!(hashes[0], hashes[1]);
    values
}

fn unique_index(descending: bool) -> Command {
    let keys = one("a", if descending { -1 } else { 1 });
    let options = Object::from([("unique".to_owned(), Value::Bool(true))]);
    let spec = IndexSpec::parse(&keys, &options).unwrap();
    Command::CreateIndex { namespace: place("c"), spec }
}

fn put(id: &str, value: &Value, mode: PutMode) -> Command {
    Command::Put(Put {
        namespace: place("c"),
        target: DocumentId::from(id).into(),
        body: one("a", value.clone()).to_json(),
        mode,
        if_match: None,
        create_database: true,
    })
}

/// Symptom: a document was refused because another one had a long value with the same hash.
#[test]
fn two_long_values_with_one_hash_may_both_be_in_a_unique_index() {
    let [a, b] = colliding();
    let kind = |result: CommandResult| result.map_err(|error| error.kind).err();
    for (descending, index_first) in [(false, true), (true, true), (false, false)] {
        in_transaction(|txn| {
            let mut applier = Applier::default();
            applier.begin(txn).unwrap();
            let mut run = |command| kind(apply(&mut applier, txn, command));
            assert_eq!(run(put("0", &Value::Null, PutMode::Insert)), None);
            if index_first {
                assert_eq!(run(unique_index(descending)), None);
            }
            assert_eq!(run(put("1", &a, PutMode::Insert)), None);
            assert_eq!(run(put("2", &b, PutMode::Insert)), None);
            if !index_first {
                assert_eq!(run(unique_index(descending)), None);
            }
            let taken = Some(Kind::UniqueViolation);
            assert_eq!(run(put("3", &a, PutMode::Insert)), taken);
            assert_eq!(run(put("3", &b, PutMode::Insert)), taken);
            // The key stays the same, what it stands for does not.
            assert_eq!(run(put("1", &b, PutMode::Upsert)), taken);
            assert_eq!(run(put("1", &a, PutMode::Upsert)), None);
            let both = Value::Array(vec![b.clone(), "other".into()]);
            assert_eq!(run(put("3", &both, PutMode::Insert)), taken);
            assert_eq!(run(put("2", &"free".into(), PutMode::Upsert)), None);
            assert_eq!(run(put("1", &b, PutMode::Upsert)), None);
            assert_eq!(run(put("3", &a, PutMode::Insert)), None);
        });
    }
}
