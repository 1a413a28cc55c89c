//! The keys of documents against what filters and sorts see of the same documents.

use super::*;
use crate::history_tests as history;
use crate::index::{Entry, Index, IndexEntry, IndexSpec, IndexState, entry_value};
use crate::query::context::At;
use crate::query::context::Context;
use crate::storage::keys as storage;
use crate::value::tests::any_value;
use crate::value::{Object, compare};
use proptest::prelude::*;
use std::collections::BTreeSet;

const PATHS: [&str; 9] = ["a", "b", "tags", "a.b", "a.0", "tags.0", "a.x.b", "o.x", "tags.0.b"];

fn path(text: &str) -> Path {
    Path::parse(text, At::root("keys")).unwrap()
}

fn unbounded() -> Context<'static> {
    Context::of(Default::default(), 0)
}

fn keys_of(document: &Value, paths: &[Path], descending: &[bool], sparse: bool) -> DocumentKeys {
    document_keys(document, paths, descending, sparse, &unbounded()).unwrap()
}

/// The one key of a document without arrays.
fn only_key(document: &Value, paths: &[Path], descending: &[bool]) -> Vec<u8> {
    let keys = keys_of(document, paths, descending, false);
    assert!(!keys.multikey && keys.entries.len() == 1, "{keys:?}");
    keys.entries.into_keys().next().unwrap()
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    encode::encode(value, &mut key);
    key
}

fn without_arrays() -> impl Strategy<Value = Value> {
    any_value().prop_filter("an array", |value| !matches!(value, Value::Array(_)))
}

/// Everything a filter on the path sees: values, items of arrays, what is missing.
fn seen<'v>(document: &'v Value, path: &Path) -> Vec<Option<&'v Value>> {
    let mut all = Vec::new();
    path.any(document, |value| {
        all.push(value);
        if let Some(Value::Array(items)) = value {
            all.extend(items.iter().map(Some));
        }
        false
    });
    all
}

fn any_document() -> impl Strategy<Value = Value> {
    prop_oneof![1 => history::document(1), 2 => history::document(2)].prop_map(short)
}

/// A value without texts that are too long for a key.
fn short(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > 100 => Value::from("k"),
        Value::Array(items) => Value::Array(items.into_iter().map(short).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, short(value))).collect())
        }
        other => other,
    }
}

/// The parts of the keys that stand for one field.
fn field_parts(keys: &DocumentKeys, field: usize) -> BTreeSet<Vec<u8>> {
    let part = |(key, info): (&Vec<u8>, &EntryInfo)| {
        let start = field.checked_sub(1).map_or(0, |before| usize::from(info.ends[before]));
        key[start..usize::from(info.ends[field])].to_vec()
    };
    keys.entries.iter().map(part).collect()
}

proptest! {
    #![proptest_config(history::cases(1_000))]

    #[test]
    fn keys_have_the_order_of_the_values(
        first in prop::collection::vec((without_arrays(), history::scalar().prop_map(short)), 2),
        descending in any::<[bool; 2]>(),
        equal in any::<bool>(),
    ) {
        let paths = [path("a"), path("b.x")];
        let (a, mut b) = (first[0].clone(), first[1].clone());
        if equal {
            b.0 = a.0.clone(); // so that the second field decides
        }
        let document = |(one, two): &(Value, Value)| {
            let inner = Value::Object(Object::from([("x".to_owned(), two.clone())]));
            Value::Object(Object::from([("a".to_owned(), one.clone()), ("b".to_owned(), inner)]))
        };
        let turned = |order: std::cmp::Ordering, turn: bool| if turn { order.reverse() } else { order };
        let expected = turned(compare(&a.0, &b.0), descending[0])
            .then(turned(compare(&a.1, &b.1), descending[1]));
        let key = |pair| only_key(&document(pair), &paths, &descending);
        prop_assert_eq!(key(&a).cmp(&key(&b)), expected);
    }

    #[test]
    fn what_a_filter_sees_is_under_its_value(document in any_document()) {
        for text in PATHS {
            let path = path(text);
            let keys = keys_of(&document, std::slice::from_ref(&path), &[false], false);
            let seen = seen(&document, &path);
            let found = |key: &[u8]| keys.entries.contains_key(key);
            prop_assert!(!keys.entries.is_empty(), "{} {}", text, document.to_json());
            for value in &seen {
                let expected = match value {
                    // Filters reach arrays through their items; an empty one has a key of its own.
                    Some(Value::Array(items)) if !items.is_empty() => continue,
                    Some(Value::Array(_)) => found(&[EMPTY_ARRAY]) || found(&encoded(&value.cloned().unwrap())),
                    other => found(&encoded(other.unwrap_or(&Value::Null))),
                };
                prop_assert!(expected, "{} {} {:?} {:?}", text, document.to_json(), value, keys);
            }
            if !seen.iter().any(Option::is_some) {
                prop_assert!(found(&encoded(&Value::Null)), "{} {}", text, document.to_json());
            }
            let sparse = keys_of(&document, std::slice::from_ref(&path), &[false], true);
            let left_out = seen.iter().all(Option::is_none);
            prop_assert_eq!(sparse.entries.is_empty(), left_out, "{} {}", text, document.to_json());
        }
    }

    #[test]
    fn one_value_is_all_that_an_index_without_arrays_holds(document in any_document()) {
        for text in PATHS {
            let path = path(text);
            let keys = keys_of(&document, std::slice::from_ref(&path), &[false], false);
            if !keys.multikey {
                let value = path.get(&document).unwrap_or(&Value::Null);
                prop_assert_eq!(keys.entries.len(), 1);
                prop_assert!(keys.entries.contains_key(&encoded(value)), "{} {:?}", text, keys);
            }
        }
    }

    #[test]
    fn a_compound_key_holds_what_each_field_alone_has(
        document in any_document(),
        texts in prop::sample::subsequence(&PATHS[..], 2..4),
        descending in any::<[bool; 3]>(),
    ) {
        let paths: Vec<_> = texts.iter().map(|text| path(text)).collect();
        let descending = &descending[..paths.len()];
        match document_keys(&document, &paths, descending, false, &unbounded()) {
            Ok(keys) => {
                for (field, path) in paths.iter().enumerate() {
                    let (path, turn) = (std::slice::from_ref(path), &descending[field..=field]);
                    let alone = field_parts(&keys_of(&document, path, turn, false), 0);
                    let parts = field_parts(&keys, field);
                    prop_assert!(alone.is_subset(&parts), "{:?} {} {:?}", texts, document.to_json(), keys);
                }
            }
            Err(error) => {
                prop_assert_eq!(error.kind, Kind::NotIndexable);
                let arrays = paths.iter().filter(|path| {
                    keys_of(&document, std::slice::from_ref(path), &[false], false).multikey
                });
                prop_assert!(arrays.count() >= 2, "{}", error);
            }
        }
    }

    #[test]
    fn turned_keys_mirror_the_others(document in any_document()) {
        for text in PATHS {
            let path = path(text);
            let up = keys_of(&document, std::slice::from_ref(&path), &[false], false);
            let down = keys_of(&document, std::slice::from_ref(&path), &[true], false);
            let turned = up.entries.into_iter().rev().map(|(mut key, info)| {
                encode::reverse(&mut key);
                (key, info)
            });
            prop_assert!(turned.eq(down.entries), "{} {}", text, document.to_json());
        }
    }

    #[test]
    fn an_entry_tells_its_document_and_values(
        document in history::document(0),
        id in 0..12i64,
        descending in any::<[bool; 2]>(),
    ) {
        let direction = |turn| Value::Int(if turn { -1 } else { 1 });
        let keys = Object::from([
            ("a".to_owned(), direction(descending[0])),
            ("b".to_owned(), direction(descending[1])),
        ]);
        let spec = IndexSpec::parse(&Value::Object(keys), &Object::new()).unwrap();
        let state = IndexState::Ready;
        let index = Index::new(IndexEntry { id: 7, spec, state, multikey: false }).unwrap();
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let id = history::id(id);
        for (values, info) in index.document_keys(&document, &ctx).unwrap().entries {
            let (key, value) = (
                index.entry_key(&values, &id),
                entry_value(&info, &id, index.hashes_id(&values, &id)),
            );
            let entry = Entry::new(&key, &value);
            let row = entry.document_key(3, index.id_descending());
            prop_assert_eq!(storage::document_id(&row), Some(id.clone()));
            for (at, name) in ["a", "b"].iter().enumerate() {
                let held = document.as_object().and_then(|fields| fields.get(*name));
                if let Some(known) = entry.field(at, descending[at]) {
                    let json = |value: Option<&Value>| value.map(Value::to_json);
                    prop_assert_eq!(json(known.as_ref()), json(held));
                }
            }
        }
    }
}
