use super::*;
use crate::command::{Command, CommandResult, PutMode};
use crate::error::Kind;
use crate::history_tests::{apply, in_transaction, one, place, put, rows};
use crate::index::IndexSpec;
use crate::index::encode::encode;
use crate::value::Object;
use xxhash_rust::xxh3::xxh3_128;

/// Two values with the same hash. XXH3 multiplies the lower half of each lane, mixed with a
/// constant, by the upper half: where the lower half is the constant, the product is zero, and only
/// the sum of the lanes is left of two stripes. `constants` are those of the 64 bytes from
/// `stripe` on and of the next 64.
fn colliding(length: usize, stripe: usize, constants: [[u8; 4]; 2]) -> [Value; 2] {
    let with_halves = |first: u8, second: u8| {
        let mut bytes = vec![b'x'; length];
        for (at, constant, half) in [(0, constants[0], first), (64, constants[1], second)] {
            // In the encoding the bytes stand behind 6 others.
            let at = stripe - 6 + at;
            bytes[at..at + 4].copy_from_slice(&constant);
            bytes[at + 4..at + 8].copy_from_slice(&[half, 0, 0, 0]);
        }
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

fn index(unique: bool, descending: bool) -> Command {
    let keys = one("a", if descending { -1 } else { 1 });
    let options = Object::from([("unique".to_owned(), Value::Bool(unique))]);
    let spec = IndexSpec::parse(&keys, &options).unwrap();
    Command::CreateIndex { namespace: place("c"), spec }
}

fn save(id: &str, value: &Value, mode: PutMode) -> Command {
    put("c", id.into(), one("a", value.clone()).to_json(), mode, None)
}

/// Symptom: a document was refused because another one had a long value with the same hash.
#[test]
fn two_long_values_with_one_hash_may_both_be_in_a_unique_index() {
    // The values begin alike as far as keys have them as they are.
    let [a, b] = colliding(700, 512, [[0x3c, 0x28, 0x52, 0xbb], [0x88, 0xd0, 0x65, 0x8b]]);
    let kind = |result: CommandResult| result.map_err(|error| error.kind).err();
    for (descending, index_first) in [(false, true), (true, true), (false, false)] {
        in_transaction(|txn| {
            let mut applier = Applier::default();
            applier.begin(txn).unwrap();
            let mut run = |command| kind(apply(&mut applier, txn, command));
            assert_eq!(run(save("0", &Value::Null, PutMode::Insert)), None);
            if index_first {
                assert_eq!(run(index(true, descending)), None);
            }
            assert_eq!(run(save("1", &a, PutMode::Insert)), None);
            assert_eq!(run(save("2", &b, PutMode::Insert)), None);
            if !index_first {
                assert_eq!(run(index(true, descending)), None);
            }
            let taken = Some(Kind::UniqueViolation);
            assert_eq!(run(save("3", &a, PutMode::Insert)), taken);
            assert_eq!(run(save("3", &b, PutMode::Insert)), taken);
            // The key stays the same, what it stands for does not.
            assert_eq!(run(save("1", &b, PutMode::Upsert)), taken);
            assert_eq!(run(save("1", &a, PutMode::Upsert)), None);
            let both = Value::Array(vec![b.clone(), "other".into()]);
            assert_eq!(run(save("3", &both, PutMode::Insert)), taken);
            assert_eq!(run(save("2", &"free".into(), PutMode::Upsert)), None);
            assert_eq!(run(save("1", &b, PutMode::Upsert)), None);
            assert_eq!(run(save("3", &a, PutMode::Insert)), None);
        });
    }
}

/// Symptom: a query by index did not find a document, because another one with a long `_id` that
/// has the same hash had taken the place of its entry.
#[test]
fn two_long_ids_with_one_hash_have_an_entry_each() {
    let constants = [[0x7c, 0x01, 0x81, 0x2c], [0xde, 0xd4, 0x6d, 0xe9]];
    in_transaction(|txn| {
        let mut applier = Applier::default();
        applier.begin(txn).unwrap();
        for id in colliding(470, 64, constants) {
            let id = DocumentId::new(id).unwrap();
            let body = one("a", "k".repeat(100)).to_json();
            apply(&mut applier, txn, put("c", id, body, PutMode::Insert, None)).unwrap();
        }
        apply(&mut applier, txn, index(false, false)).unwrap();
        assert_eq!(rows(txn, Table::Indexes, &[0], &[0xff]).count(), 2);
    });
}
