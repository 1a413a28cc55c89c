//! Random histories of commands: indexes, counters and determinism hold after every one of them.
//! The strategies serve the tests of query plans too.

use super::apply::{Applier, SideEffect};
use super::catalog::{self, Collection};
use super::command::{
    Command, CommandResult, Mutation, Operation, Outcome, Put, PutMode, Returning, Select, Write,
    WriteLimits,
};
use super::index::{Index, IndexEntry, IndexId, IndexSpec, IndexState, entry_value};
use super::query::context::Context;
use super::value::number::decimal;
use super::value::{Code, Decimal, Object, Value, parse_stored};
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::row::Row;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Store, Table, WriteTxn};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// This number of cases, or the one in the environment's `PROPTEST_CASES`.
pub(super) fn cases(count: u32) -> ProptestConfig {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: given.unwrap_or(count),
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..ProptestConfig::default()
    }
}

/// Works in a transaction that never commits: one store serves all cases of a thread.
pub(super) fn in_transaction<T>(work: impl FnOnce(&mut WriteTxn<'_>) -> T) -> T {
    thread_local! {
        static STORE: (tempfile::TempDir, Store) = {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), 1 << 26).unwrap();
            (dir, store)
        };
    }
    STORE.with(|(_, store)| work(&mut store.write().unwrap()))
}

pub(super) fn apply(
    applier: &mut Applier,
    txn: &mut WriteTxn<'_>,
    command: Command,
) -> CommandResult {
    let answer = applier.apply(txn, 1, command.into()).unwrap();
    applier.store_changes(txn).unwrap();
    answer.result
}

/// The `_id` with a number: values of all types in turn, and texts of which some begin others.
pub(super) fn id(number: i64) -> DocumentId {
    let value = match number % 13 {
        0 => Value::from(number - 6),
        1 | 10 => Value::from("k".repeat((number / 3 + 1) as usize)),
        2 => Value::from(format!("k{number}")),
        // Too long to stand behind a long value.
        3 => one("number", number),
        4 => Value::ObjectId([number as u8; 12]),
        5 => decimal(Decimal::parse(&format!("{number}.50")).unwrap()),
        6 => Value::Date(number * 1000),
        7 => Value::Binary(4, vec![number as u8; 16]),
        8 => Value::Timestamp(number as u32, 1),
        9 => Value::Double(number as f64 + 0.25),
        11 => Value::Long(number + (1 << 40)),
        _ => Value::Code(Box::new(Code { text: format!("k{number}"), scope: None })),
    };
    DocumentId::new(value).unwrap()
}

/// The documents of a collection as they are stored.
pub(super) fn documents(read: &impl Read, collection: CollectionId) -> Vec<(DocumentId, String)> {
    let (start, end) = (keys::collection_start(collection), keys::collection_end(collection));
    let rows = read.range(Table::Documents, &start, &end).unwrap().map(|row| {
        let (key, stored) = row.unwrap();
        let json = Row::decode(stored).unwrap().json;
        let id = crate::document::id_of(json).unwrap();
        assert_eq!(keys::document_key(collection, &id), key);
        (id, String::from_utf8(json.to_vec()).unwrap())
    });
    rows.collect()
}

pub(super) fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(fields.into_iter().collect())
}

pub(super) fn one(name: &str, value: impl Into<Value>) -> Value {
    object([(name.to_owned(), value.into())])
}

/// Texts of which some begin others.
pub(super) fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(&["", "a", "ab", "a\0", "a\u{1}", "b", "A"][..]).prop_map(Value::from)
}

/// Values of which many are equal, or equal across types.
pub(super) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        6 => (-1..4i32).prop_map(Value::Int),
        1 => (-1..3i64).prop_map(Value::Long),
        2 => prop::sample::select(&[0.5, 1.0, 2.0][..]).prop_map(Value::Double),
        1 => prop::sample::select(&[f64::NAN, -0.0, f64::INFINITY][..]).prop_map(Value::Double),
        1 => prop::sample::select(&["1.5", "2.0", "2", "-0", "NaN", "Infinity"][..])
            .prop_map(|text| decimal(Decimal::parse(text).unwrap())),
        1 => prop::sample::select(&[1 << 53, (1 << 53) + 1][..]).prop_map(Value::Long),
        3 => text(),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => prop::sample::select(&[0, 1000, 2000][..]).prop_map(Value::Date),
        1 => super::value::tests::bson_only(),
        1 => (600..602usize).prop_map(|length| Value::from("k".repeat(length))),
    ]
}

fn field(name: &'static str, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Object> {
    prop::option::weighted(0.75, value)
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)).into_iter().collect())
}

/// A value with nothing, one level or more of objects in it, and arrays where `arrays` says so.
fn value(arrays: u32) -> BoxedStrategy<Value> {
    let leaf = scalar().boxed();
    let names = || prop::sample::select(&["b", "x", "0"][..]).prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 3, move |inner| {
        let fields = prop::collection::vec((names(), inner.clone()), 0..3).prop_map(object);
        let items = prop::collection::vec(inner, 0..4).prop_map(Value::Array);
        match arrays {
            0 => fields.boxed(),
            _ => prop_oneof![fields, items].boxed(),
        }
    })
    .boxed()
}

/// An array of objects with the same fields.
fn objects() -> impl Strategy<Value = Value> {
    let item = (field("b", scalar()), field("x", prop_oneof![3 => scalar(), 1 => value(1)]));
    let item = item.prop_map(|(b, x)| object(b.into_iter().chain(x)));
    prop::collection::vec(item, 1..4).prop_map(Value::Array)
}

/// A document without `_id`: no arrays (0), arrays in `tags` and few elsewhere (1), anywhere (2).
pub(super) fn document(arrays: u32) -> BoxedStrategy<Value> {
    let regex = super::value::tests::regex;
    let plain = || prop_oneof![16 => scalar(), 4 => value(0), 1 => regex()].boxed();
    let items = prop_oneof![2 => scalar(), 1 => value(arrays)];
    let list = prop::collection::vec(items, 0..4).prop_map(Value::Array).boxed();
    let mixed = || match arrays {
        0 => plain(),
        1 => prop_oneof![12 => plain(), 1 => value(1)].boxed(),
        _ => prop_oneof![1 => scalar(), 2 => value(2), 2 => objects()].boxed(),
    };
    let tags = if arrays == 0 { plain() } else { list };
    let o = prop_oneof![3 => mixed().prop_map(|inner| one("x", inner)), 1 => mixed()];
    let fields = (
        field("a", mixed()),
        field("b", mixed()),
        field("c", plain()),
        field("tags", tags),
        field("o", o),
    );
    fields.prop_map(|(a, b, c, tags, o)| object([a, b, c, tags, o].into_iter().flatten())).boxed()
}

/// A document of texts, some in arrays.
pub(super) fn text_document() -> BoxedStrategy<Value> {
    let list = prop::collection::vec(text(), 0..3).prop_map(Value::Array);
    let some = || prop_oneof![12 => text(), 1 => scalar()];
    let inner = some().prop_map(|it| one("b", it));
    let a = prop_oneof![3 => some().boxed(), 1 => inner.boxed()];
    (field("a", a), field("b", some()), field("c", some()), field("tags", list))
        .prop_map(|(a, b, c, tags)| object([a, b, c, tags].into_iter().flatten()))
        .boxed()
}

/// A filter for texts.
pub(super) fn text_filter(paths: Vec<&'static str>) -> BoxedStrategy<Value> {
    let compare = prop::sample::select(&["$gt", "$gte", "$lt", "$lte", "$eq"][..]);
    let test = prop_oneof![
        3 => pattern(),
        2 => (compare, text()).prop_map(|(name, bound)| one(name, bound)),
        1 => prop::collection::vec(prop_oneof![pattern(), text()], 0..4)
            .prop_map(|all| one("$in", Value::Array(all))),
    ];
    let single = (prop::sample::select(paths), prop::collection::vec(test, 1..3));
    let single = single.prop_map(|(path, tests)| {
        let tests = tests.iter().flat_map(|it| it.as_object().cloned().unwrap_or_default());
        one(path, object(tests))
    });
    prop::collection::vec(single, 1..4).prop_map(|all| one("$and", Value::Array(all))).boxed()
}

/// What in a filter is no value to compare with.
const FIXED: [&str; 7] = ["_id", "$size", "$exists", "$type", "$mod", "$regex", "$expr"];

/// Puts one of a few values in the place of each, so that documents and filters have them in
/// common.
pub(super) fn paint(value: &mut Value, palette: &[Value]) {
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(name, _)| !FIXED.contains(&name.as_str()))
            .for_each(|(_, value)| paint(value, palette)),
        Value::Array(items) => items.iter_mut().for_each(|item| paint(item, palette)),
        scalar if !palette.is_empty() => {
            let hash = xxhash_rust::xxh3::xxh3_64(scalar.to_json().as_bytes());
            *scalar = palette[hash as usize % palette.len()].clone();
        }
        _ => {}
    }
}

/// Paths that an index or a filter may have.
const PATHS: [&str; 13] =
    ["a", "b", "c", "a.b", "tags", "o.x", "_id", "a.0", "a.x", "tags.b", "a.x.b", "a.0.b", "a.1"];

/// A few of the paths, so that filters, sorts and indexes of one case meet.
pub(super) fn some_paths() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => prop::sample::subsequence(&PATHS[..], 1..4),
        1 => Just(PATHS.to_vec()),
        1 => Just(vec!["a", "b", "c"]),
        1 => Just(vec!["a", "a.b", "a.x"]),
        1 => Just(vec!["a.b", "a.x"]),
        1 => Just(vec!["a", "a.0", "a.1", "a.0.b"]),
    ]
}

/// Conditions for partial indexes, found in filters too.
fn simple_condition() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(&["a", "b", "a.b", "tags"][..]);
    let bound = prop_oneof![(0..3i32).prop_map(Value::Int), Just(Value::from("a"))];
    let operator = prop::sample::select(&["$gt", "$gte", "$lt", "$lte", "$eq"][..]);
    let test = prop_oneof![
        4 => (operator, bound).prop_map(|(name, bound)| one(name, bound)),
        1 => Just(one("$exists", Value::Bool(true))),
        1 => Just(one("$in", Value::Array(vec![1.into(), 2.into()]))),
        1 => Just(one("$type", "number")),
    ];
    (path, test).prop_map(|(path, test)| one(path, test))
}

/// Keys and options of an index that refuses no document for its values.
pub(super) fn index_definition(paths: Vec<&'static str>) -> impl Strategy<Value = (Value, Value)> {
    let key = (prop::sample::select(paths), prop::sample::select(&[1i64, -1][..]));
    let keys = prop::collection::vec(key, 1..4).prop_map(|mut keys| {
        if keys.iter().all(|(name, _)| *name == "_id") {
            keys = vec![("a", 1)]; // it needs no index of its own
        }
        keys
    });
    let partial = prop::option::weighted(0.2, simple_condition());
    (keys, prop::bool::weighted(0.2), partial).prop_map(|(keys, sparse, partial)| {
        let keys: Object = keys.into_iter().map(|(name, one)| (name.into(), one.into())).collect();
        let mut options = Object::new();
        if sparse {
            options.insert("sparse".into(), Value::Bool(true));
        }
        options.extend(partial.map(|filter| ("partialFilterExpression".into(), filter)));
        (Value::Object(keys), Value::Object(options))
    })
}

/// A value to compare with.
fn operand() -> impl Strategy<Value = Value> {
    prop_oneof![8 => scalar(), 1 => value(1)]
}

fn pattern() -> impl Strategy<Value = Value> {
    prop::sample::select(&["^a", "^ab", "^", "^a\\.", "b$", "^(a|b)", "^a?b", "^a\u{1}"][..])
        .prop_map(|source| one("$regex", source))
}

/// An object of operators.
fn operators() -> BoxedStrategy<Value> {
    let compare = prop::sample::select(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"][..]);
    let lists = prop::sample::select(&["$in", "$nin", "$all"][..]);
    let list = || prop::collection::vec(operand(), 0..4).prop_map(Value::Array);
    let mixed = (list(), pattern()).prop_map(|(list, pattern)| match list {
        Value::Array(mut items) => {
            items.push(pattern);
            Value::Array(items)
        }
        other => other,
    });
    let test = prop_oneof![
        8 => (compare, operand()).prop_map(|(name, value)| one(name, value)),
        2 => (lists, list()).prop_map(|(name, list)| one(name, list)),
        1 => mixed.prop_map(|list| one("$in", list)),
        2 => any::<bool>().prop_map(|wanted| one("$exists", Value::Bool(wanted))),
        1 => prop::sample::select(&["number", "string", "array", "null"][..])
            .prop_map(|name| one("$type", name)),
        2 => pattern(),
        1 => (0..3i64).prop_map(|size| one("$size", size)),
        1 => (0..2i64).prop_map(|rest| one("$mod", Value::Array(vec![2.into(), rest.into()]))),
    ];
    let merged = prop::collection::vec(test, 1..3).prop_map(|tests| {
        object(tests.iter().flat_map(|it| it.as_object().cloned().unwrap_or_default()))
    });
    merged
        .prop_recursive(2, 4, 2, |inner| {
            let names = || prop::sample::select(&["b", "x", "0", "1", "x.b", "0.b"][..]);
            let fields = prop::collection::vec((names(), inner.clone()), 1..3);
            let fields = fields.prop_map(|fields| {
                object(fields.into_iter().map(|(name, test)| (name.to_owned(), test)))
            });
            prop_oneof![
                inner.clone().prop_map(|inner| one("$not", inner)),
                inner.prop_map(|inner| one("$elemMatch", inner)),
                fields.clone().prop_map(|fields| one("$elemMatch", fields)),
                fields.prop_map(|fields| {
                    one("$all", Value::Array(vec![one("$elemMatch", fields)]))
                }),
            ]
        })
        .boxed()
}

/// Any filter; expressions in it never fail.
pub(super) fn filter(paths: Vec<&'static str>) -> BoxedStrategy<Value> {
    let condition = prop_oneof![1 => operand(), 3 => operators()];
    let ids = prop_oneof![
        (0..12i64).prop_map(id_value),
        prop::collection::vec((0..12i64).prop_map(id_value), 0..4)
            .prop_map(|ids| one("$in", Value::Array(ids))),
        (prop::sample::select(&["$gt", "$lte", "$lt"][..]), (0..12i64).prop_map(id_value))
            .prop_map(|(name, id)| one(name, id)),
    ];
    let single = prop_oneof![
        12 => (prop::sample::select(paths), condition).prop_map(|(path, test)| one(path, test)),
        2 => simple_condition(),
        1 => ids.prop_map(|test| one("_id", test)),
        1 => Just(one("$expr", one("$gt", Value::Array(vec!["$a".into(), 1.into()])))),
    ];
    let all = |filters: Vec<Value>| match filters.len() {
        1 => filters.into_iter().next().unwrap_or_default(),
        0 => Value::Object(Object::new()),
        _ => one("$and", Value::Array(filters)),
    };
    prop::collection::vec(single, 0..4)
        .prop_map(all)
        .prop_recursive(2, 10, 3, move |inner| {
            let name = prop_oneof![4 => Just("$or"), 1 => Just("$nor")];
            (inner.clone(), name, prop::collection::vec(inner, 1..4)).prop_map(
                move |(inner, name, branches)| all(vec![inner, one(name, Value::Array(branches))]),
            )
        })
        .boxed()
}

fn id_value(number: i64) -> Value {
    match id(number).value() {
        // The same `_id` in another type.
        Value::Int(number) if number % 2 == 0 => Value::Double(f64::from(*number)),
        value => value.clone(),
    }
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Do(Command),
    /// An index whose build is left to [`Command::BuildIndex`], as of a large collection.
    Begin(IndexSpec),
}

pub(super) fn spec() -> impl Strategy<Value = IndexSpec> {
    let more = prop_oneof![
        6 => Just(None),
        3 => Just(Some(("unique", Value::Bool(true)))),
        1 => Just(Some(("sequential", Value::Bool(true)))),
        2 => Just(Some(("expireAfterSeconds", Value::Int(1)))),
    ];
    (some_paths().prop_flat_map(index_definition), more).prop_filter_map(
        "not an index",
        |((keys, options), more)| {
            let mut options = options.as_object()?.clone();
            options.extend(more.map(|(name, value)| (name.to_owned(), value)));
            IndexSpec::parse(&keys, &options).ok()
        },
    )
}

pub(super) fn some_id() -> impl Strategy<Value = DocumentId> {
    (0..8i64).prop_map(id)
}

pub(super) fn body() -> impl Strategy<Value = String> {
    prop_oneof![5 => document(0), 3 => document(1), 1 => document(2)].prop_map(|it| it.to_json())
}

/// A filter of a write. Some fail for certain documents.
fn write_filter() -> impl Strategy<Value = String> {
    let failing = (0..3i64, any::<bool>()).prop_map(|(bound, first)| {
        let divided = one("$divide", Value::Array(vec![1.into(), "$a".into()]));
        let condition = ("b".to_owned(), one("$gte", bound));
        let expr = ("$expr".to_owned(), one("$gt", Value::Array(vec![divided, 0.into()])));
        // Where the expression comes first, it depends on the plan what it is asked about.
        if first { object([expr, condition]) } else { object([condition, expr]) }
    });
    prop_oneof![
        1 => Just(Value::Object(Object::new())),
        4 => simple_condition(),
        3 => some_paths().prop_flat_map(filter),
        2 => failing,
        1 => (0..8i64).prop_map(|it| one("_id", id_value(it))),
    ]
    .prop_map(|it| it.to_json())
}

fn select() -> impl Strategy<Value = Select> {
    let sort = prop::sample::select(&["{\"a\":1}", "{\"b\":-1,\"a\":1}", "{\"_id\":-1}"][..]);
    let hint = prop::sample::select(&["\"$natural\"", "\"a_1\"", "{\"b\":1}"][..]);
    prop_oneof![
        1 => (some_id(), prop::option::weighted(0.1, 0..20u64))
            .prop_map(|(id, if_match)| Select::Id { target: id.into(), if_match }),
        5 => (
            write_filter(),
            prop::option::weighted(0.3, sort.prop_map(str::to_owned)),
            prop::option::weighted(0.1, hint.prop_map(str::to_owned)),
        )
            .prop_map(|(filter, sort, hint)| Select::Filter { filter, sort, hint }),
    ]
}

pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    let path = || prop::sample::select(&["a", "b", "c", "a.b", "tags", "o.x", "a.0"][..]);
    let by_value = prop::sample::select(
        &["$set", "$push", "$addToSet", "$pull", "$min", "$max", "$setOnInsert"][..],
    );
    let update = prop_oneof![
        6 => (by_value, path(), operand()).prop_map(|(name, path, it)| one(name, one(path, it))),
        2 => (prop::sample::select(&["$inc", "$mul"][..]), path(), 0..3i64)
            .prop_map(|(name, path, by)| one(name, one(path, by))),
        2 => path().prop_map(|path| one("$unset", one(path, 1))),
        1 => path().prop_map(|path| one("$rename", one(path, "c"))),
        1 => path().prop_map(|path| one("$pop", one(path, 1))),
        1 => (0..8i64).prop_map(|it| one("$set", one("_id", id_value(it)))),
        1 => Just(one("$set", one("a.$[].b", 1))),
        1 => path().prop_map(|path| {
            let sum = one("$add", Value::Array(vec![format!("${path}").into(), 1.into()]));
            Value::Array(vec![one("$set", one("b", sum))])
        }),
    ];
    prop_oneof![
        6 => update
            .prop_map(|it| Mutation::Update { update: it.to_json(), array_filters: None }),
        1 => Just(Mutation::Update {
            update: "{\"$set\":{\"tags.$[t]\":5}}".into(),
            array_filters: Some("[{\"t\":{\"$gt\":1}}]".into()),
        }),
        1 => body().prop_map(Mutation::Merge),
        1 => body().prop_map(Mutation::Replace),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let returning =
        || prop::sample::select(&[Returning::Nothing, Returning::Before, Returning::After][..]);
    let changed = (
        select(),
        mutation(),
        prop::bool::weighted(0.6),
        prop::option::weighted(0.3, some_id()),
        returning(),
    );
    prop_oneof![
        3 => (some_id(), body()).prop_map(|(id, body)| Operation::Insert { id, body }),
        5 => changed.prop_map(|(select, mutation, multi, upsert, returning)| {
            // Only an operation on one document gives it back.
            let multi = multi && returning == Returning::Nothing;
            Operation::Modify { select, mutation, multi, upsert, returning }
        }),
        1 => (select(), any::<bool>(), returning())
            .prop_map(|(select, multi, returning)| {
                let multi = multi && returning == Returning::Nothing;
                Operation::Delete { select, multi, returning }
            }),
    ]
}

pub(super) fn place(collection: &str) -> Namespace {
    Namespace::new("d", collection)
}

pub(super) fn write(operations: Vec<Operation>, ordered: bool, tight: u32) -> Write {
    let namespace = place("c");
    let tight = |bit: u32, small: u64, large: u64| if tight == bit { small } else { large };
    let limits = WriteLimits {
        documents_max: tight(1, 2, 1000),
        document_bytes_max: tight(2, 60, 10_000),
        depth_max: tight(3, 3, 20) as u32,
        memory_max: tight(4, 200, 1 << 30),
        steps_max: tight(5, 3, 1 << 40),
        written_max: 1 << 40,
    };
    let create_database = true;
    Write { namespace, create_database, operations, ordered, time_ms: 5000, limits }
}

pub(super) fn any_write() -> impl Strategy<Value = Write> {
    let operations = prop::collection::vec(operation(), 1..4);
    // Limits are tight in some writes, one kind at a time.
    (operations, any::<bool>(), 0..12u32)
        .prop_map(|(operations, ordered, tight)| write(operations, ordered, tight))
}

pub(super) const RULES: [&str; 4] = [
    r#"{"c":[{"a":{"type":"non_negative"}}]}"#,
    r#"{"c":[{"b":{"type":"referenced","collectionreferenced":"e","externalfield":"_id"}}]}"#,
    r#"{"c":[{"b":{"type":"referenced","collectionreferenced":"c","externalfield":"a"}}]}"#,
    r#"{"e":[{"a":{"type":"not_null"}}]}"#,
];

pub(super) fn put(
    collection: &str,
    id: DocumentId,
    body: String,
    mode: PutMode,
    if_match: Option<u64>,
) -> Command {
    let namespace = place(collection);
    let create_database = true;
    Command::Put(Put { namespace, target: id.into(), body, mode, if_match, create_database })
}

pub(super) fn document_command() -> impl Strategy<Value = Command> {
    let collection = || prop_oneof![9 => Just("c"), 1 => Just("e")];
    let mode = prop::sample::select(&[PutMode::Insert, PutMode::Upsert][..]);
    let if_match = || prop::option::weighted(0.1, 0..20u64);
    prop_oneof![
        5 => (collection(), some_id(), body(), mode, if_match())
            .prop_map(|(collection, id, body, mode, if_match)| put(collection, id, body, mode, if_match)),
        1 => (collection(), some_id(), if_match()).prop_map(|(collection, id, if_match)| {
            Command::Delete { namespace: place(collection), target: id.into(), if_match }
        }),
        5 => any_write().prop_map(|write| Command::Write(Box::new(write))),
    ]
}

pub(super) fn upkeep_command() -> impl Strategy<Value = Command> {
    let here = || place("c");
    let names = prop::sample::select(&["a_1", "b_1", "a,b", "tags", "o.x", "c"][..]);
    let schema = prop::sample::select(&["{\"properties\":{\"a\":{\"type\":\"number\"}}}"][..]);
    prop_oneof![
        6 => spec().prop_map(move |spec| {
            Command::CreateIndex { namespace: here(), spec }
        }),
        5 => (1..6u32, 1..5u32).prop_map(move |(index, documents)| {
            Command::BuildIndex { namespace: here(), index, documents }
        }),
        2 => (1..6u32, 0..4000u64, 1..4u32).prop_map(move |(index, time_ms, documents)| {
            Command::Expire { namespace: here(), index, time_ms, documents }
        }),
        1 => names.prop_map(move |name| {
            Command::DropIndex { namespace: here(), name: name.to_owned() }
        }),
        2 => (1..6u32).prop_map(|rows| Command::ClearGarbage { rows }),
        1 => (prop::option::of(schema), any::<bool>()).prop_map(move |(schema, warns)| {
            let schema = schema.map(str::to_owned);
            Command::SetSchema { namespace: here(), schema, warns }
        }),
    ]
}

pub(super) fn catalog_command() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(&["c", "e", "f"][..]).prop_map(str::to_owned);
    prop_oneof![
        4 => (0..3i64, prop::sample::select(&RULES[..]))
            .prop_map(|(number, rule)| put("_rules", id(number), rule.to_owned(), PutMode::Upsert, None)),
        1 => name().prop_map(|collection| Command::DropCollection { namespace: place(&collection) }),
        1 => (name(), name())
            .prop_map(|(from, to)| Command::RenameCollection { database: "d".into(), from, to }),
        1 => (name(), name())
            .prop_filter("itself", |(from, to)| from != to)
            .prop_map(|(from, to)| Command::ReplaceCollection { database: "d".into(), from, to }),
        1 => Just(Command::DropDatabase { name: "d".into() }),
    ]
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        24 => document_command().prop_map(Step::Do),
        8 => upkeep_command().prop_map(Step::Do),
        3 => spec().prop_map(Step::Begin),
        1 => catalog_command().prop_map(Step::Do),
    ];
    prop::collection::vec(step, 1..40)
}

/// What carries a history out, inside a transaction.
struct World<'t, 's> {
    txn: &'t mut WriteTxn<'s>,
    applier: Applier,
}

/// All rows of all tables.
pub(super) type Dump = Vec<(Table, Vec<u8>, Vec<u8>)>;

impl<'t, 's> World<'t, 's> {
    fn new(txn: &'t mut WriteTxn<'s>) -> Self {
        let mut applier = Applier::default();
        applier.begin(txn).unwrap();
        World { txn, applier }
    }

    /// As a commit, and the beginning of the next transaction.
    fn cut(&mut self) {
        self.applier.flush(self.txn).unwrap();
        // The log entry goes on, and its changes are numbered on.
        let changes = std::mem::take(&mut self.applier.changes);
        self.applier = Applier::default();
        self.applier.changes = changes;
        self.applier.begin(self.txn).unwrap();
    }

    fn run(&mut self, command: Command) -> CommandResult {
        apply(&mut self.applier, self.txn, command)
    }

    fn step(&mut self, step: Step) -> Option<CommandResult> {
        match step {
            Step::Do(command) => Some(self.run(command)),
            Step::Begin(spec) => {
                self.begin_build(spec);
                None
            }
        }
    }

    /// What [`Command::CreateIndex`] does in a collection too large to be indexed at once.
    fn begin_build(&mut self, spec: IndexSpec) {
        let Some(id) = catalog::collection(self.txn, "d", "c").unwrap() else { return };
        let collection = Collection::load(self.txn, id).unwrap();
        let clash = |index: &Index| {
            index.entry.spec.name == spec.name || index.entry.spec.fields == spec.fields
        };
        if collection.indexes.iter().any(|index| clash(index)) {
            return;
        }
        self.applier.counters.last_index += 1;
        let entry = IndexEntry {
            id: self.applier.counters.last_index as IndexId,
            spec,
            state: IndexState::Building { after: None, done: 0 },
            multikey: false,
        };
        let key = catalog::index_key(id, entry.id);
        self.txn.put(Table::Catalog, &key, &crate::cbor::encode(&entry).unwrap()).unwrap();
        self.applier.forget();
    }

    /// Looks at the tables as they would be committed, and leaves no trace.
    fn committed<T>(&mut self, look: impl FnOnce(&WriteTxn<'_>) -> T) -> T {
        let mut nested = self.txn.nested().unwrap();
        let mut shadow = Applier::default();
        shadow.counters = self.applier.counters.clone();
        shadow.flush(&mut nested).unwrap();
        look(&nested)
    }

    fn dump(&mut self) -> Dump {
        self.committed(|txn| {
            let mut all = dump(txn);
            all.retain(|(table, ..)| *table <= Table::Indexes);
            all
        })
    }

    /// Works off what is left of builds and of what was dropped.
    fn finish(&mut self) {
        for index in 1..=self.applier.counters.last_index as IndexId {
            let build = Command::BuildIndex { namespace: place("c"), index, documents: 3 };
            while let Ok(Outcome::Worked(3)) = self.run(build.clone()) {}
        }
        while catalog::garbage(self.txn).unwrap().is_some() {
            self.run(Command::ClearGarbage { rows: 3 }).unwrap();
        }
    }
}

/// All rows of all tables.
pub(super) fn dump(read: &impl Read) -> Dump {
    let tables = [
        Table::Meta,
        Table::Catalog,
        Table::Documents,
        Table::Indexes,
        Table::Versions,
        Table::Changes,
        Table::Retries,
    ];
    let of =
        |table| rows(read, table, &[0], &[0xff; 16]).map(move |(key, value)| (table, key, value));
    tables.into_iter().flat_map(of).collect()
}

pub(super) fn rows<'r>(
    read: &'r impl Read,
    table: Table,
    start: &[u8],
    end: &[u8],
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + 'r {
    read.range(table, start, end).unwrap().map(|row| {
        let (key, value) = row.unwrap();
        (key.to_vec(), value.to_vec())
    })
}

/// Whether all that a command tried was refused.
pub(super) fn refused(result: &CommandResult) -> bool {
    match result {
        Err(_) => true,
        Ok(Outcome::OperationResults(results)) => results.iter().all(Result::is_err),
        Ok(_) => false,
    }
}

/// Rows that differ, shown so that a person can read them.
pub(super) fn difference(before: &Dump, after: &Dump) -> String {
    let show = |sign: &str, (table, key, value): &(Table, Vec<u8>, Vec<u8>)| {
        format!("{sign} {table:?} {} = {}\n", key.escape_ascii(), value.escape_ascii())
    };
    let gone = before.iter().filter(|row| !after.contains(row)).map(|row| show("-", row));
    let come = after.iter().filter(|row| !before.contains(row)).map(|row| show("+", row));
    gone.chain(come).collect()
}

/// Checks everything that is derived against the documents.
pub(super) fn verify(txn: &WriteTxn<'_>) {
    let (mut collections, mut indexes) = garbage(txn);
    let mut revisions = BTreeSet::new();
    let mut counted = BTreeSet::new();
    for (database, _) in catalog::databases(txn).unwrap() {
        for (_, id) in catalog::collections(txn, &database).unwrap() {
            let collection = Collection::load(txn, id).unwrap();
            let found = documents(txn, id);
            let totals = catalog::totals(txn, id).unwrap();
            let bytes = found.iter().map(|(_, json)| json.len() as u64).sum::<u64>();
            assert_eq!((totals.documents, totals.bytes), (found.len() as u64, bytes), "totals");
            for (key, stored) in
                rows(txn, Table::Documents, &keys::collection_start(id), &keys::collection_end(id))
            {
                let revision = Row::decode(&stored).unwrap().revision;
                assert!(revisions.insert(revision), "revision {revision} twice: {key:?}");
            }
            collections.insert(id);
            counted.insert([b"n", &id.to_be_bytes()[..]].concat());
            for index in &collection.indexes {
                verify_index(txn, &collection, index, &found);
                indexes.insert(index.entry.id);
                counted.insert([b"x", &index.entry.id.to_be_bytes()[..]].concat());
            }
        }
    }
    let last = catalog::counter(txn, b"revision").unwrap();
    assert!(revisions.last().is_none_or(|revision| *revision <= last), "revision {last}");
    for (table, known) in [(Table::Documents, &collections), (Table::Indexes, &indexes)] {
        for (key, _) in rows(txn, table, &[0], &[0xff; 16]) {
            let id = u32::from_be_bytes(key[..4].try_into().unwrap());
            assert!(known.contains(&id), "a row of {table:?} {id}, which is not known");
        }
    }
    for (key, _) in rows(txn, Table::Meta, &[0], &[0xff; 16]).filter(|(key, _)| key.len() == 5) {
        assert!(counted.contains(&key), "a counter of what is gone: {}", key.escape_ascii());
    }
    for prefix in [*b"i/", *b"o/"] {
        for (key, _) in rows(txn, Table::Catalog, &prefix, &[prefix[0], prefix[1] + 1]) {
            let id = u32::from_be_bytes(key[2..6].try_into().unwrap());
            assert!(collections.contains(&id), "a row {} of what is gone", key.escape_ascii());
        }
    }
}

/// Numbers of the collections and indexes that were dropped and still have rows.
fn garbage(txn: &WriteTxn<'_>) -> (BTreeSet<CollectionId>, BTreeSet<IndexId>) {
    let (mut collections, mut indexes) = (BTreeSet::new(), BTreeSet::new());
    for (key, _) in rows(txn, Table::Catalog, b"g/", b"g0") {
        let id = u32::from_be_bytes(key[3..].try_into().unwrap());
        if key[2] == b'd' {
            collections.insert(id)
        } else {
            indexes.insert(id)
        };
    }
    (collections, indexes)
}

fn verify_index(
    txn: &WriteTxn<'_>,
    collection: &Collection,
    index: &Index,
    found: &[(DocumentId, String)],
) {
    let name = &index.entry.spec.name;
    let stored: BTreeMap<_, _> = rows(txn, Table::Indexes, &index.start(), &index.end()).collect();
    let stats = collection.stats(txn, index.entry.id).unwrap();
    assert_eq!(stats.entries, stored.len() as u64, "entries of {name} as counted");
    if matches!(index.entry.state, IndexState::Failed(_)) {
        return;
    }
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt);
    let mut expected = BTreeMap::new();
    let mut owners: BTreeMap<Vec<u8>, &DocumentId> = BTreeMap::new();
    for (id, json) in found.iter().filter(|(id, _)| index.holds(id)) {
        let document = parse_stored(json.as_bytes()).unwrap();
        let keys = index.document_keys(&document, &ctx).unwrap();
        let numbered = index.entry.spec.sequential && !keys.entries.is_empty();
        assert!(!keys.multikey || index.entry.multikey, "{name} is multikey");
        for (key, info) in keys.entries {
            let value = entry_value(&info, id, index.hashes_id(&key, id));
            expected.insert(index.entry_key(&key, id), value);
            let owner = owners.insert(key, id).filter(|_| index.entry.spec.unique);
            assert!(owner.is_none(), "{name} is unique, but {id} and {owner:?}");
        }
        let field = document.as_object().and_then(|it| it.get(index.paths[0].as_str()));
        if let Some(number @ (Value::Int(_) | Value::Double(_))) = field.filter(|_| numbered) {
            let number = number.as_int().unwrap_or(0);
            assert!(stats.last_number >= number, "{name} goes on behind {number}");
        }
    }
    assert!(stored == expected, "entries of {name}:\n{stored:?}\n{expected:?}");
}

/// Carries out a history, cut into transactions of this many commands.
fn replay(steps: &[Step], each: usize) -> (Vec<Option<CommandResult>>, Dump) {
    in_transaction(|txn| {
        let mut world = World::new(txn);
        let mut results = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            if at.is_multiple_of(each) {
                world.cut();
            }
            results.push(world.step(step.clone()));
        }
        (results, world.dump())
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_is_derived_follows_the_documents_and_a_refusal_leaves_no_trace(steps in history()) {
        in_transaction(|txn| {
            let mut world = World::new(txn);
            let mut before = world.dump();
            for step in steps {
                let shown = format!("{step:?}");
                let result = world.step(step);
                let effects = world.applier.take_effects();
                world.committed(verify);
                let after = world.dump();
                if result.as_ref().is_some_and(refused) {
                    let changed = difference(&before, &after);
                    prop_assert_eq!(changed, "", "{} {:?}", shown, result);
                    prop_assert_eq!(effects, Vec::<SideEffect>::new(), "{} {:?}", shown, result);
                }
                before = after;
            }
            world.finish();
            world.committed(verify);
            Ok::<(), TestCaseError>(())
        })?;
    }

    #[test]
    fn where_transactions_are_cut_makes_no_difference(steps in history()) {
        let (results, dump) = replay(&steps, 1);
        for each in [3, usize::MAX] {
            let (other_results, other) = replay(&steps, each);
            for (at, (one, other)) in results.iter().zip(&other_results).enumerate() {
                prop_assert_eq!(one, other, "{:?}", &steps[at]);
            }
            prop_assert_eq!(difference(&dump, &other), "");
        }
    }

    #[test]
    fn a_list_of_operations_is_one_after_the_other(
        steps in prop::collection::vec(document_command(), 0..12),
        spec in spec(),
        write in any_write(),
    ) {
        // Steps and results are counted over the whole list.
        let limits = WriteLimits { steps_max: u64::MAX, memory_max: u64::MAX, ..write.limits };
        let write = Write { limits, ..write };
        let create = Command::CreateIndex { namespace: place("c"), spec };
        let begin = |txn: &mut WriteTxn<'_>| -> Applier {
            let mut world = World::new(txn);
            let first: Vec<_> = steps.to_vec();
            for command in [Command::CreateDatabase { name: "d".into(), engine: "x".into() }, create.clone()].into_iter().chain(first) {
                let _ = world.run(command);
            }
            world.applier
        };
        let whole = in_transaction(|txn| {
            let applier = begin(txn);
            let mut world = World { txn, applier };
            let Ok(Outcome::OperationResults(results)) = world.run(Command::Write(Box::new(write.clone()))) else {
                panic!("no results");
            };
            (results, world.dump())
        });
        let single = in_transaction(|txn| {
            let applier = begin(txn);
            let mut world = World { txn, applier };
            let mut results = Vec::new();
            for operation in &write.operations {
                let single = Write { operations: vec![operation.clone()], ..write.clone() };
                let Ok(Outcome::OperationResults(mut one)) = world.run(Command::Write(Box::new(single))) else {
                    panic!("no result");
                };
                let failed = one[0].is_err();
                results.append(&mut one);
                if failed && write.ordered {
                    break;
                }
            }
            (results, world.dump())
        });
        prop_assert_eq!(&whole.0, &single.0);
        prop_assert_eq!(difference(&whole.1, &single.1), "");
    }
}

/// Documents beyond which an index is built step by step, and some more.
const MANY: i64 = 1_100;

#[test]
fn a_build_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let many = |number: i64| format!("{{\"a\":{},\"b\":[{number},\"x\"]}}", number % 7);
    let spec = |keys: &str| IndexSpec::parse(&Value::from(keys), &Object::new()).unwrap();
    let session = |work: &mut dyn FnMut(&mut World<'_, '_>)| {
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        let mut txn = store.write().unwrap();
        let mut world = World::new(&mut txn);
        work(&mut world);
        world.committed(verify);
        world.cut();
        txn.commit().unwrap();
    };
    let build = |index, documents| Command::BuildIndex { namespace: place("c"), index, documents };
    session(&mut |world| {
        for number in 0..MANY {
            let command = put("c", number.into(), many(number), PutMode::Insert, None);
            world.run(command).unwrap();
        }
        for keys in ["a", "b,a"] {
            let namespace = place("c");
            world.run(Command::CreateIndex { namespace, spec: spec(keys) }).unwrap();
        }
        let changed = SideEffect::CollectionChanged(place("c"));
        assert_eq!(world.applier.take_effects(), [changed], "there is something to build");
        assert_eq!(world.run(build(1, 400)), Ok(Outcome::Worked(400)));
    });
    // Writes on both sides of where the build stands.
    session(&mut |world| {
        for number in [0, 399, 400, 1_000] {
            let body = "{\"a\":-1,\"b\":\"new\"}".to_owned();
            world.run(put("c", number.into(), body, PutMode::Upsert, None)).unwrap();
        }
        for target in [5, 900] {
            let namespace = place("c");
            let target = DocumentId::from(target).into();
            world.run(Command::Delete { namespace, target, if_match: None }).unwrap();
        }
        assert_eq!(world.run(build(1, 400)), Ok(Outcome::Worked(400)));
        assert_eq!(world.run(build(2, 1_000)), Ok(Outcome::Worked(1_000)));
    });
    session(&mut |world| world.finish());
    session(&mut |world| {
        let id = catalog::collection(world.txn, "d", "c").unwrap().unwrap();
        let collection = Collection::load(world.txn, id).unwrap();
        assert!(collection.indexes.iter().all(|index| index.is_ready()));
        assert_eq!(collection.documents(world.txn).unwrap(), MANY as u64 - 2);
    });
}
