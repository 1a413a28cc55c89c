use super::*;
use crate::command::{
    Batch, BatchStep, CommandResult, Mutation, Operation, OperationResult, Outcome, PutMode,
    RetryKey, Returning, Select, WriteLimits,
};
use crate::history_tests::{
    self, RULES, body, cases, catalog_command, difference, documents, dump, filter, place, put,
    some_id, some_paths, spec, verify, write,
};
use crate::id::DocumentId;
use crate::index::IndexSpec;
use crate::query::context::{At, Context, Fields};
use crate::query::filter::Filter;
use crate::query::plan::QuerySpec;
use crate::query::sort::Sort;
use crate::query::source::{ScanRequest, open, scan};
use crate::storage::Store;
use crate::value::{Object, Value, parse_stored};
use crate::{Command, Namespace};
use proptest::prelude::*;

/// A store in which each command is a log entry and a commit of its own.
struct World {
    _dir: tempfile::TempDir,
    store: Store,
    index: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        let mut world = World { _dir: dir, store, index: 0 };
        for collection in ["e", "c"] {
            let namespace = place(collection);
            world.run(Command::CreateCollection { namespace }).unwrap();
        }
        world
    }

    fn run(&mut self, command: Command) -> CommandResult {
        self.index += 1;
        let mut txn = self.store.write().unwrap();
        let mut applier = Applier::default();
        applier.begin(&txn).unwrap();
        let answer = applier.apply(&mut txn, self.index, command.into()).unwrap();
        applier.end_entry(&mut txn).unwrap();
        applier.flush(&mut txn).unwrap();
        verify(&txn);
        txn.commit().unwrap();
        answer.result
    }

    fn put(&mut self, collection: &str, id: i64, body: &str) {
        self.run(save(collection, id, body)).unwrap();
    }

    fn index(&mut self, keys: &str, option: &str) {
        let options: Object = [(option.to_owned(), Value::Bool(true))].into();
        let options = if option.is_empty() { Object::new() } else { options };
        let spec = IndexSpec::parse(&Value::from(keys), &options).unwrap();
        self.run(Command::CreateIndex { namespace: place("c"), spec }).unwrap();
    }

    fn begin(&self) -> Transaction {
        self.begin_with(ROWS_MAX)
    }

    fn begin_with(&self, rows_max: usize) -> Transaction {
        let base = self.store.snapshot("a test").unwrap();
        let mut open = Transaction::begin(base, self.index, 1 << 20).unwrap();
        open.overlay = Overlay::new(self.store.snapshot("a test").unwrap(), rows_max);
        open
    }

    fn commit(&mut self, open: &Transaction) -> CommandResult {
        match open.commit().unwrap() {
            Some(commit) => self.run(Command::Commit(Box::new(commit))),
            None => Ok(Outcome::Done),
        }
    }

    /// What every collection has, by its name; empty ones left out.
    fn content(&self) -> Vec<(String, Vec<(DocumentId, String)>)> {
        let read = self.store.read().unwrap();
        let all = catalog::collections(&read, "d").unwrap().into_iter();
        let all = all.map(|(name, id)| (name, documents(&read, id)));
        all.filter(|(_, documents)| !documents.is_empty()).collect()
    }
}

fn save(collection: &str, id: i64, body: &str) -> Command {
    put(collection, id.into(), body.to_owned(), PutMode::Upsert, None)
}

fn delete(collection: &str, id: i64) -> Command {
    Command::Delete {
        namespace: place(collection),
        target: DocumentId::from(id).into(),
        if_match: None,
    }
}

fn execute(open: &mut Transaction, command: Command) -> CommandResult {
    open.execute(command.into()).unwrap().result
}

fn find(read: &impl Read, call: &Find) -> std::result::Result<Vec<String>, Kind> {
    let json = |text: &str| parse_stored(text.as_bytes()).unwrap();
    let filter = Filter::parse(&json(&call.filter), At::root("filter")).unwrap();
    let sort = call.sort.map(|sort| Sort::parse(&json(sort), At::root("sort")).unwrap());
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt);
    let collection = match open(read, "d", call.collection) {
        Ok(found) => found,
        Err(_) => return Ok(Vec::new()),
    };
    let wanted = QuerySpec {
        sort: sort.as_ref(),
        limit: Some(call.limit as u64),
        ..QuerySpec::all(&filter)
    };
    let request = ScanRequest { wanted, fields: Fields::All, hint: None };
    let found = scan(read, &collection, request, &ctx, |found, _| {
        found.take(call.limit).map(|found| found.map(|found| found.fields.to_json())).collect()
    });
    found.map_err(|error| error.kind)
}

#[derive(Debug, Clone)]
struct Find {
    collection: &'static str,
    filter: String,
    sort: Option<&'static str>,
    limit: usize,
}

#[derive(Debug, Clone)]
enum Call {
    Find(Find),
    Do(Command),
}

/// What a call came to, without what is provisional.
#[derive(Debug, Clone, PartialEq)]
enum CommitResult {
    Found(std::result::Result<Vec<String>, Kind>),
    Wrote(std::result::Result<Vec<std::result::Result<OperationResult, Kind>>, Kind>),
}

fn told(result: CommandResult) -> CommitResult {
    let kind = |error: Error| match error.kind {
        // A collection of which nothing is left may be there or not.
        Kind::CollectionNotFound => Kind::DocumentNotFound,
        kind => kind,
    };
    let plain = |wrote: OperationResult| OperationResult { revision: None, ..wrote };
    CommitResult::Wrote(match result {
        Err(error) => Err(kind(error)),
        Ok(outcome) => Ok(match outcome.without_warnings().0 {
            Outcome::OperationResults(all) => {
                all.into_iter().map(|one| one.map(plain).map_err(kind)).collect()
            }
            Outcome::Written { id, created, .. } => {
                vec![Ok(OperationResult {
                    inserted: Some(id),
                    upserted: created,
                    ..OperationResult::default()
                })]
            }
            Outcome::Batched { results, .. } => results.into_iter().map(plain).map(Ok).collect(),
            _ => Vec::new(),
        }),
    })
}

fn find_call() -> impl Strategy<Value = Find> {
    let sort =
        prop::sample::select(&["{\"a\":1}", "{\"a\":-1}", "{\"b\":1,\"a\":1}", "{\"_id\":-1}"][..]);
    let collection = prop_oneof![4 => Just("c"), 1 => Just("e")];
    let filter = prop_oneof![
        2 => some_paths().prop_flat_map(filter).prop_map(|filter| filter.to_json()),
        1 => Just("{}".to_owned()),
    ];
    let limit = prop_oneof![Just(1usize), Just(3), Just(1000)];
    (collection, filter, prop::option::of(sort), limit)
        .prop_map(|(collection, filter, sort, limit)| Find { collection, filter, sort, limit })
}

fn write_call() -> impl Strategy<Value = Command> {
    let filter = || some_paths().prop_flat_map(filter).prop_map(|filter| filter.to_json());
    let select = || filter().prop_map(|filter| Select::Filter { filter, sort: None, hint: None });
    let set = (prop::sample::select(&["a", "b", "c", "a.b"][..]), 0..4i64);
    let set = set.prop_map(|(path, value)| format!("{{\"$set\":{{\"{path}\":{value}}}}}"));
    let changed = (select(), set, any::<bool>(), prop::option::weighted(0.2, some_id())).prop_map(
        |(select, update, multi, upsert)| {
            let mutation = Mutation::Update { update, array_filters: None };
            Operation::Modify { select, mutation, multi, upsert, returning: Returning::After }
        },
    );
    let operation = prop_oneof![
        2 => (some_id(), body()).prop_map(|(id, body)| Operation::Insert { id, body }),
        3 => changed,
        1 => (select(), any::<bool>()).prop_map(|(select, multi)| {
            Operation::Delete { select, multi, returning: Returning::Before }
        }),
    ];
    let collection = prop_oneof![4 => Just("c"), 1 => Just("e")];
    let mode = prop::sample::select(&[PutMode::Insert, PutMode::Upsert][..]);
    prop_oneof![
        4 => (collection.clone(), some_id(), body(), mode)
            .prop_map(|(collection, id, body, mode)| put(collection, id, body, mode, None)),
        2 => (collection, some_id()).prop_map(|(collection, id)| {
            Command::Delete { namespace: place(collection), target: id.into(), if_match: None }
        }),
        4 => prop::collection::vec(operation, 1..3)
            .prop_map(|operations| Command::Write(Box::new(write(operations, true, 0)))),
        1 => (0..3i64, prop::sample::select(&RULES[..])).prop_map(|(number, rule)| save("_rules", number, rule)),
    ]
}

fn index_spec() -> impl Strategy<Value = IndexSpec> {
    spec().prop_filter("counts", |spec| !spec.sequential)
}

/// What somebody does: those with a number in a transaction of their own, until they commit.
#[derive(Debug, Clone)]
enum Event {
    Call(usize, Call),
    Commit(usize),
    Plain(Command),
}

fn event() -> impl Strategy<Value = Event> {
    let create = index_spec().prop_map(|spec| Command::CreateIndex { namespace: place("c"), spec });
    let names = prop::sample::select(&["a_1", "b_1", "a,b", "a"][..]);
    let drop_index =
        names.prop_map(|name| Command::DropIndex { namespace: place("c"), name: name.to_owned() });
    prop_oneof![
        6 => (0..3usize, find_call()).prop_map(|(who, find)| Event::Call(who, Call::Find(find))),
        8 => (0..3usize, write_call()).prop_map(|(who, command)| Event::Call(who, Call::Do(command))),
        5 => (0..3usize).prop_map(Event::Commit),
        4 => write_call().prop_map(Event::Plain),
        1 => create.prop_map(Event::Plain),
        1 => drop_index.prop_map(Event::Plain),
        1 => catalog_command()
            .prop_filter("drops the database", |it| !matches!(it, Command::DropDatabase { .. }))
            .prop_map(Event::Plain),
    ]
}

type Calls = Vec<(Call, CommitResult)>;

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn transactions_are_as_if_one_came_after_the_other(
        indexes in prop::collection::vec(index_spec(), 0..4),
        bodies in prop::collection::vec(body(), 0..8),
        events in prop::collection::vec(event(), 1..40),
        rows_max in prop::sample::select(&[3, ROWS_MAX][..]),
    ) {
        let mut world = World::new();
        let created =
            indexes.into_iter().map(|spec| Command::CreateIndex { namespace: place("c"), spec });
        let first = (0..).zip(bodies).map(|(number, body)| {
            put("c", history_tests::id(number), body, PutMode::Insert, None)
        });
        // What took effect, and at which place: a transaction that only reads, where it began.
        let mut serial: Vec<(usize, bool, Calls)> = Vec::new();
        let mut open: HashMap<usize, (Transaction, usize, Calls)> = HashMap::new();
        let mut at = 0;
        for event in created.chain(first).map(Event::Plain).chain(events).chain((0..3).map(Event::Commit)) {
            match event {
                Event::Plain(command) => {
                    at += 1;
                    let result = told(world.run(command.clone()));
                    serial.push((at, true, vec![(Call::Do(command), result)]));
                }
                Event::Call(who, call) => {
                    let (open, _, calls) = open
                        .entry(who)
                        .or_insert_with(|| (world.begin_with(rows_max), at, Vec::new()));
                    let result = match &call {
                        Call::Find(call) => CommitResult::Found(find(open.view(), call)),
                        Call::Do(command) => told(execute(open, command.clone())),
                    };
                    calls.push((call, result));
                }
                Event::Commit(who) => {
                    let Some((open, begun, calls)) = open.remove(&who) else { continue };
                    let before = dump(&world.store.read().unwrap());
                    match world.commit(&open) {
                        Ok(Outcome::Done) => serial.push((begun, false, calls)),
                        Ok(_) => {
                            at += 1;
                            serial.push((at, true, calls));
                        }
                        Err(error) => {
                            prop_assert_eq!(error.kind, Kind::TransactionConflict, "{}", error);
                            prop_assert!(begun < at, "alone, and yet {error}");
                            let after = dump(&world.store.read().unwrap());
                            prop_assert_eq!(difference(&before, &after), "");
                        }
                    }
                }
            }
        }
        serial.sort_by_key(|(at, writes, _)| (*at, !*writes));
        let mut again = World::new();
        for (call, result) in serial.into_iter().flat_map(|(_, _, calls)| calls) {
            let other = match &call {
                Call::Find(call) => CommitResult::Found(find(&again.store.read().unwrap(), call)),
                Call::Do(command) => told(again.run(command.clone())),
            };
            prop_assert_eq!(other, result, "{:?}", call);
        }
        prop_assert_eq!(world.content(), again.content());
    }
}

fn conflicts(world: &mut World, open: &Transaction) {
    let error = world.commit(open).unwrap_err();
    assert_eq!(error.kind, Kind::TransactionConflict, "{error}");
}

fn find_in_c(open: &Transaction, filter: &str) -> usize {
    let call = Find { collection: "c", filter: filter.to_owned(), sort: None, limit: 9 };
    find(open.view(), &call).unwrap().len()
}

/// Symptom: a transaction that writes both sides of a reference cannot be committed. Cause: the
/// reference was checked again while only one side was written.
#[test]
fn both_sides_of_a_reference_come_and_go_in_one_transaction() {
    let mut world = World::new();
    world.put("_rules", 1, RULES[1]);
    // Whichever of the two has the smaller number, one order fails.
    let other =
        r#"{"e":[{"b":{"type":"referenced","collectionreferenced":"c","externalfield":"a"}}]}"#;
    world.put("_rules", 2, other);
    let mut open = world.begin();
    for command in
        [save("e", 1, "{}"), save("c", 1, "{\"b\":1,\"a\":7}"), save("e", 2, "{\"b\":7}")]
    {
        execute(&mut open, command).unwrap();
    }
    assert!(world.commit(&open).is_ok());
    let mut open = world.begin();
    for command in [delete("e", 2), delete("c", 1), delete("e", 1)] {
        execute(&mut open, command).unwrap();
    }
    assert!(world.commit(&open).is_ok());
    assert_eq!(world.content().len(), 1, "only the rules are left");
}

/// Symptom: a transaction commits although a document that it should have found was added.
/// Cause: the index that it had read was dropped, and the document was not put into it; or the
/// index was the first time given several entries of a document, of which none lay in the range.
#[test]
fn an_index_that_was_read_is_the_same_at_the_commit() {
    let drop_index = || Command::DropIndex { namespace: place("c"), name: "a_1".into() };
    let cases: [(&str, Vec<Command>); 2] = [
        ("{\"a\":5}", vec![drop_index(), save("c", 100, "{\"a\":5}")]),
        ("{\"a\":{\"$gt\":1,\"$lt\":5}}", vec![save("c", 100, "{\"a\":[0,10]}")]),
    ];
    for (filter, meanwhile) in cases {
        let mut world = World::new();
        world.index("a", "");
        (50..70).for_each(|number| world.put("c", number, &format!("{{\"a\":{number}}}")));
        let mut open = world.begin();
        assert_eq!(find_in_c(&open, filter), 0);
        execute(&mut open, save("c", 200, "{}")).unwrap();
        meanwhile.into_iter().for_each(|command| drop(world.run(command).unwrap()));
        conflicts(&mut world, &open);
    }
}

/// Symptom: two documents with the same number. Cause: what a sequential index had given last
/// was not among what a transaction has read.
#[test]
fn numbers_are_given_once() {
    let mut world = World::new();
    world.index("n", "sequential");
    let (mut one, mut other) = (world.begin(), world.begin());
    execute(&mut one, save("c", 1, "{}")).unwrap();
    execute(&mut other, save("c", 2, "{}")).unwrap();
    assert!(world.commit(&one).is_ok());
    conflicts(&mut world, &other);
}

#[test]
fn unique_values_change_places() {
    let mut world = World::new();
    world.index("a", "unique");
    world.put("c", 1, "{\"a\":1}");
    world.put("c", 2, "{\"a\":2}");
    let mut open = world.begin();
    for (id, value) in [(1, 3), (2, 1), (1, 2)] {
        execute(&mut open, save("c", id, &format!("{{\"a\":{value}}}"))).unwrap();
    }
    assert!(world.commit(&open).is_ok());
    let read = world.store.read().unwrap();
    let id = catalog::collection(&read, "d", "c").unwrap().unwrap();
    let texts: Vec<_> = documents(&read, id).into_iter().map(|(_, json)| json).collect();
    assert_eq!(texts, ["{\"_id\":1,\"a\":2}", "{\"_id\":2,\"a\":1}"]);
}

/// Symptom: the error of a unique index at the commit, which says nothing of a transaction.
#[test]
fn what_became_impossible_meanwhile_is_a_conflict() {
    let mut world = World::new();
    let mut open = world.begin();
    execute(&mut open, save("c", 1, "{\"a\":1}")).unwrap();
    execute(&mut open, save("c", 2, "{\"a\":1}")).unwrap();
    world.index("a", "unique");
    conflicts(&mut world, &open);
}

/// Symptom: a conflict with a collection that the transaction never named: both were new, and
/// had the same number.
#[test]
fn two_new_collections_are_two() {
    let mut world = World::new();
    let mut open = world.begin();
    for id in [1, 2] {
        execute(&mut open, save("new", id, "{}")).unwrap();
    }
    (1..3).for_each(|id| world.put("newer", id, "{}"));
    assert!(world.commit(&open).is_ok());
    assert_eq!(world.content().len(), 2);
}

/// Symptom: an open transaction takes any amount of memory. Cause: only documents were counted,
/// not the answers that are remembered for calls with a key.
#[test]
fn remembered_answers_count_as_well() {
    let mut world = World::new();
    world.put("c", 1, &format!("{{\"a\":\"{}\"}}", "x".repeat(8_000)));
    let mut open = world.begin();
    open.bytes_max = 100_000;
    let change = |number: u64| {
        let select = Select::Id { target: DocumentId::from(1).into(), if_match: None };
        let mutation = Mutation::Merge(format!("{{\"b\":{number}}}"));
        let returning = Returning::After;
        let operation =
            Operation::Modify { select, mutation, multi: false, upsert: None, returning };
        let command = Command::Write(Box::new(write(vec![operation], true, 0)));
        let retry = Some(RetryKey::new(format!("k{number}"), 1));
        Proposal { retry, ..command.into() }
    };
    let first = (0..20).find_map(|number| open.execute(change(number)).unwrap().result.err());
    assert_eq!(first.map(|error| error.kind), Some(Kind::TransactionTooLarge));
}

/// Symptom: every node ends. Cause: a batch can name what makes a key that is too long.
#[test]
fn a_batch_with_overlong_names_is_refused() {
    let mut world = World::new();
    let batch = |collection: String, id: DocumentId| {
        let place = Namespace { database: "d".into(), collection };
        let then = vec![(place, BatchStep::Save { id, body: "{}".into() })];
        let limits = WriteLimits {
            documents_max: 9,
            document_bytes_max: 99,
            depth_max: 9,
            memory_max: 99,
            steps_max: 999,
            written_max: 998,
        };
        let (conditions, otherwise) = (Vec::new(), Vec::new());
        Command::Batch(Box::new(Batch { conditions, then, otherwise, time_ms: 0, limits }))
    };
    let cases = [
        (batch("x".repeat(600), 1.into()), Kind::InvalidName),
        (batch("c".into(), DocumentId::from("x".repeat(600))), Kind::IdTooLong),
        // As a key among the versions a zero takes two bytes.
        (batch("c".into(), DocumentId::from("\0".repeat(300))), Kind::IdTooLong),
    ];
    for (command, kind) in cases {
        assert_eq!(world.run(command).unwrap_err().kind, kind);
    }
}

/// Symptom: a transaction commits what it read of a document that could not have been there
/// for a while. Cause: a unique index that came meanwhile saw only what was left at the commit.
#[test]
fn an_index_that_came_meanwhile_is_a_conflict() {
    for first in [true, false] {
        let mut world = World::new();
        world.put("c", 1, "{\"a\":1}");
        if first {
            world.put("c", 2, "{\"a\":2}");
        }
        let mut open = world.begin();
        execute(&mut open, save("c", 2, "{\"a\":1}")).unwrap();
        execute(&mut open, delete("c", 2)).unwrap();
        world.index("a", "unique");
        conflicts(&mut world, &open);
    }
}

#[test]
fn a_collection_that_was_made_stays_when_nothing_is_left_in_it() {
    let mut world = World::new();
    let mut open = world.begin();
    execute(&mut open, save("fresh", 1, "{}")).unwrap();
    execute(&mut open, delete("fresh", 1)).unwrap();
    assert!(world.commit(&open).is_ok());
    let read = world.store.read().unwrap();
    assert!(catalog::collection(&read, "d", "fresh").unwrap().is_some());
}
