//! What one command may use: counted steps and bytes, no clock.

use super::*;
use crate::apply::Applier;
use crate::catalog::{self, Collection, Retention};
use crate::command::{
    Command, CommandResult, Mutation, Operation, Outcome, Put, PutMode, Returning, Select, Write,
    WriteLimits,
};
use crate::error::Kind;
use crate::id::DocumentId;
use crate::index::{IndexSpec, IndexState};
use crate::namespace::Namespace;
use crate::rules::RULES_MAX;
use crate::storage::{Read, Store, Table};
use crate::value::{Object, Value};
use std::sync::Arc;

const LIMITS: WriteLimits = WriteLimits {
    documents_max: 100_000,
    document_bytes_max: 16 << 20,
    depth_max: 64,
    memory_max: MEMORY_MAX,
    steps_max: STEPS_MAX,
    written_max: crate::budget::WRITTEN_MAX,
};

/// A store in which each command is a log entry and a commit of its own.
struct World {
    _dir: tempfile::TempDir,
    store: Store,
    applier: Applier,
    index: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 30).unwrap();
        let mut world = World { _dir: dir, store, applier: Applier::default(), index: 0 };
        let name = "d".to_owned();
        world.run(Command::CreateDatabase { name, engine: "x".into() }).unwrap();
        world
    }

    fn run(&mut self, command: Command) -> CommandResult {
        self.entry(vec![command]).remove(0)
    }

    /// Commands of one log entry.
    fn entry(&mut self, commands: Vec<Command>) -> Vec<CommandResult> {
        self.index += 1;
        let mut txn = self.store.write().unwrap();
        self.applier.begin(&txn).unwrap();
        let mut results = Vec::new();
        for command in commands {
            let answer = self.applier.apply(&mut txn, self.index, command.into()).unwrap();
            results.push(answer.result);
        }
        self.applier.end_entry(&mut txn).unwrap();
        self.applier.flush(&mut txn).unwrap();
        txn.commit().unwrap();
        results
    }

    fn put(&mut self, collection: &str, id: &str, body: String) -> CommandResult {
        self.run(Command::Put(Put {
            namespace: Namespace::new("d", collection),
            target: DocumentId::from(id).into(),
            body,
            mode: PutMode::Upsert,
            if_match: None,
            create_database: false,
        }))
    }

    fn delete(&mut self, collection: &str, id: &str) -> CommandResult {
        let namespace = Namespace::new("d", collection);
        let target = DocumentId::from(id).into();
        self.run(Command::Delete { namespace, target, if_match: None })
    }

    /// Inserts documents, many with each command.
    fn insert(&mut self, collection: &str, bodies: impl Iterator<Item = String>) {
        let operations =
            bodies.enumerate().map(|(id, body)| Operation::Insert { id: (id as i64).into(), body });
        for operations in operations.collect::<Vec<_>>().chunks(500) {
            let Ok(Outcome::OperationResults(wrote)) =
                self.run(write(collection, operations.to_vec()))
            else {
                panic!("not written");
            };
            assert!(wrote.iter().all(Result::is_ok));
        }
    }

    fn index(&mut self, collection: &str, keys: &str) -> CommandResult {
        let spec = IndexSpec::parse(&Value::from(keys), &Object::new()).unwrap();
        self.run(Command::CreateIndex { namespace: Namespace::new("d", collection), spec })
    }

    fn collection(&self, name: &str) -> (Collection, catalog::CollectionTotals) {
        let read = self.store.read().unwrap();
        let id = catalog::collection(&read, "d", name).unwrap().unwrap();
        (Collection::load(&read, id).unwrap(), catalog::totals(&read, id).unwrap())
    }

    fn entries(&self, collection: &Collection, at: usize) -> u64 {
        let read = self.store.read().unwrap();
        collection.stats(&read, collection.indexes[at].entry.id).unwrap().entries
    }

    /// Takes a step of every index that is being built; whether there was one.
    fn build(&mut self, name: &str) -> bool {
        let (collection, _) = self.collection(name);
        let mut building = collection.indexes.iter().filter(|index| !index.is_ready());
        let Some(index) = building.next() else { return false };
        let namespace = Namespace::new("d", name);
        let (index, documents) = (index.entry.id, 2_000);
        self.run(Command::BuildIndex { namespace, index, documents }).unwrap();
        true
    }
}

fn write(collection: &str, operations: Vec<Operation>) -> Command {
    let namespace = Namespace::new("d", collection);
    let (create_database, ordered, time_ms, limits) = (false, false, 0, LIMITS);
    let write = Write { namespace, create_database, operations, ordered, time_ms, limits };
    Command::Write(Box::new(write))
}

fn increment() -> Operation {
    let select = Select::Filter { filter: "{}".into(), sort: None, hint: None };
    let update = r#"{"$inc":{"n":1}}"#.into();
    let mutation = Mutation::Update { update, array_filters: None };
    let (multi, upsert, returning) = (true, None, Returning::Nothing);
    Operation::Modify { select, mutation, multi, upsert, returning }
}

/// Symptom: 30 updates of every document in one call take 5 GB on every node. Cause: each
/// operation had bounds of its own, and what it wrote was in none.
#[test]
fn the_operations_of_a_bulk_are_bounded_together() {
    let mut world = World::new();
    let text = "x".repeat(16 << 10);
    world.insert("c", (0..500).map(|_| format!(r#"{{"n":0,"text":"{text}"}}"#)));
    let Ok(Outcome::OperationResults(wrote)) = world.run(write("c", vec![increment(); 30])) else {
        panic!("not written");
    };
    let done = wrote.iter().take_while(|one| one.is_ok()).count();
    // Each writes the document, and its former and new form into the history.
    let bytes = done as u64 * 500 * 3 * (16 << 10);
    assert!(done > 0 && bytes <= WRITTEN_MAX, "{done}");
    let refused = wrote.iter().skip(done).map(|one| one.as_ref().unwrap_err().kind);
    assert_eq!(refused.collect::<Vec<_>>(), vec![Kind::QueryTooLarge; 30 - done]);
    let read = world.store.read().unwrap();
    let (collection, _) = world.collection("c");
    let expected = format!("\"n\":{done},");
    let (start, end) = (collection.id.to_be_bytes(), (collection.id + 1).to_be_bytes());
    for row in read.range(Table::Documents, &start, &end).unwrap() {
        let row = String::from_utf8_lossy(row.unwrap().1).into_owned();
        assert!(row.contains(&expected), "a refused operation left a trace");
    }
}

/// Symptom: of a document with many small fields, whose row is nearly twice its text, less was
/// counted than was written.
#[test]
fn the_places_of_fields_count_among_the_bytes_that_change() {
    let mut world = World::new();
    let keep = Some(Retention { changes: Some(10), ms: None });
    let namespace = Namespace::new("d", "c");
    world.run(Command::SetVersions { namespace, keep }).unwrap();
    let fields = (100..1_000).map(|n| format!(r#""{n}":0"#)).collect::<Vec<_>>();
    let body = format!("{{{}}}", fields.join(","));
    let text = r#"{"_id":"a",}"#.len() + body.len() - 2;
    let row = 10 + 4 * 901 + text;
    for former in [0, text + row] {
        world.put("c", "a", body.clone()).unwrap();
        let written = ROW_BYTES + (row + text + former) as u64;
        assert_eq!(world.applier.context(0).written(), written);
    }
    world.delete("c", "a").unwrap();
    assert_eq!(world.applier.context(0).written(), ROW_BYTES + (text + row) as u64);
}

/// Symptom: commands that came at the same moment are applied in one transaction, each within its
/// bounds, together without.
#[test]
fn the_commands_of_a_log_entry_are_bounded_together() {
    let mut world = World::new();
    let large = "x".repeat(8 << 20);
    let body = |n: u32| format!(r#"{{"n":{n},"text":"{large}"}}"#);
    let save = |n: u32| {
        Command::Put(Put {
            namespace: Namespace::new("d", "c"),
            target: DocumentId::from("a").into(),
            body: body(n),
            mode: PutMode::Upsert,
            if_match: None,
            create_database: false,
        })
    };
    let results = world.entry((0..12).map(save).collect());
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty() && refused.len() < 10, "{}", refused.len());
    assert!(refused.iter().all(|error| error.kind == Kind::Overloaded));
    // The next entry begins anew.
    assert!(world.run(save(99)).is_ok());
}

/// Symptom: an index on 2,001 documents with 3,000 numbers each stops all writes for a minute.
/// Cause: a step was a number of documents, whatever they hold.
#[test]
fn a_step_of_a_build_ends_at_a_number_of_keys() {
    let mut world = World::new();
    let numbers = |n: u32| (0..3_000).map(|k| (n * 3_000 + k).to_string()).collect::<Vec<_>>();
    world.insert("c", (0..20).map(|n| format!(r#"{{"n":[{}]}}"#, numbers(n).join(","))));
    world.index("c", "n").unwrap();
    let most = UPKEEP_STEPS / ENTRY + 3_000;
    let (mut before, mut steps) = (0, 0);
    loop {
        let entries = world.entries(&world.collection("c").0, 0);
        assert!(entries - before <= most, "{}", entries - before);
        before = entries;
        if !world.build("c") {
            break;
        }
        steps += 1;
    }
    assert!(before == 60_000 && steps >= 3, "{before} {steps}");
}

/// Symptom: a few large documents keep every node reading for a step of a build.
#[test]
fn a_step_of_a_build_ends_at_a_number_of_bytes() {
    let mut world = World::new();
    let text = "x".repeat(5 << 20);
    for id in ["a", "b", "c", "d", "e", "f", "g"] {
        world.put("c", id, format!(r#"{{"n":1,"text":"{text}"}}"#)).unwrap();
    }
    world.index("c", "n").unwrap();
    assert!(world.build("c"));
    let (collection, _) = world.collection("c");
    let IndexState::Building { done, .. } = collection.indexes[0].entry.state else {
        panic!("built at once");
    };
    assert!((1..7).contains(&done), "{done}");
    while world.build("c") {}
    assert_eq!(world.entries(&world.collection("c").0, 0), 7);
}

/// Symptom: trimming the history of a few large changes takes gigabytes of freed pages at once.
#[test]
fn a_step_of_trimming_ends_at_a_number_of_bytes() {
    let mut world = World::new();
    let text = "x".repeat(9 << 20);
    for id in ["a", "b", "c", "d"] {
        world.put("c", id, format!(r#"{{"text":"{text}"}}"#)).unwrap();
    }
    let trim = Command::TrimChanges { bytes_max: 0, rows: 256 };
    assert!(matches!(world.run(trim.clone()), Ok(Outcome::Paused(1..=3))));
    while matches!(world.run(trim.clone()), Ok(Outcome::Paused(_))) {}
    assert_eq!(world.run(trim), Ok(Outcome::Worked(0)));
}

/// Symptom: apply never ends. Cause: a path of numbers goes two ways at each array.
#[test]
fn the_ways_of_a_path_through_arrays_are_few() {
    let mut world = World::new();
    let many = Value::from(["0"; 60].join("."));
    let many = IndexSpec::parse(&many, &Object::new()).unwrap_err();
    assert_eq!(many.kind, Kind::InvalidQuery);
    world.index("c", &["0"; 8].join(".")).unwrap();
    let body = format!("{}{}", r#"{"0":["#.repeat(40), "]}".repeat(40));
    let limits = WriteLimits { steps_max: 100_000, ..LIMITS };
    let Command::Write(insert) = write("c", vec![Operation::Insert { id: 1.into(), body }]) else {
        return;
    };
    let Ok(Outcome::OperationResults(wrote)) =
        world.run(Command::Write(Box::new(Write { limits, ..*insert })))
    else {
        panic!("not written");
    };
    assert!(wrote[0].is_ok(), "{wrote:?}");
}

/// Symptom: gigabytes for one document. Cause: each key of a compound index held all values.
#[test]
fn many_keys_of_a_long_value_take_little_memory_and_count_steps() {
    let mut world = World::new();
    world.index("c", "a,b").unwrap();
    let (numbers, text) = ((0..9_000).map(|n| n.to_string()), "x".repeat(1 << 20));
    let numbers = numbers.collect::<Vec<_>>().join(",");
    let refused = world.put("c", "a", format!(r#"{{"a":"{text}","b":[{numbers}]}}"#));
    assert_eq!(refused.unwrap_err().kind, Kind::QueryTooLarge);
}

/// Symptom: every node ends at the next write. Cause: the number of versions that are kept was
/// added to one more.
#[test]
fn any_number_of_versions_can_be_kept() {
    let mut world = World::new();
    world.put("c", "a", "{}".into()).unwrap();
    for (changes, left) in [(u64::MAX, 300), (500, 500), (1, 1)] {
        let keep = Some(Retention { changes: Some(changes), ms: None });
        let namespace = Namespace::new("d", "c");
        world.run(Command::SetVersions { namespace, keep }).unwrap();
        for n in 0..300 {
            world.put("c", "a", format!("{{\"n\":{n}}}")).unwrap();
        }
        assert_eq!(world.collection("c").1.versions, left);
    }
}

fn reference() -> String {
    let rule = r#"{"type":"referenced","collectionreferenced":"teams","externalfield":"name"}"#;
    format!(r#"{{"people":[{{"team":{rule}}}]}}"#)
}

/// Symptom: inserts stop all writes for a minute while the index of a rule is built. Cause: each
/// of them looked through the whole collection.
#[test]
fn a_reference_is_in_force_when_its_indexes_are_ready() {
    let mut world = World::new();
    world.insert("teams", (0..3_000).map(|n| format!(r#"{{"name":"t{n}"}}"#)));
    let Ok(Outcome::Warned { warnings, .. }) = world.put("_rules", "r", reference()) else {
        panic!("no warning");
    };
    assert!(warnings[0].contains("not in force until"), "{warnings:?}");
    world.put("people", "early", r#"{"team":"none"}"#.into()).unwrap();
    assert!(world.applier.context(0).steps() < 10_000);
    while world.build("teams") {}
    let refused = world.put("people", "late", r#"{"team":"none"}"#.into());
    assert_eq!(refused.unwrap_err().kind, Kind::ValidationFailed);
    world.put("people", "good", r#"{"team":"t7"}"#.into()).unwrap();
    // Without its index it would not be checked any more.
    let drop = Command::DropIndex { namespace: Namespace::new("d", "teams"), name: "name".into() };
    assert_eq!(world.run(drop.clone()).unwrap_err().kind, Kind::IndexConflict);
    assert_eq!(world.delete("teams", "x").unwrap_err().kind, Kind::DocumentNotFound);
    // Where both sides are small it is in force at once.
    let mut world = World::new();
    let Ok(Outcome::Written { .. }) = world.put("_rules", "r", reference()) else {
        panic!("a warning");
    };
    let refused = world.put("people", "a", r#"{"team":"none"}"#.into());
    assert_eq!(refused.unwrap_err().kind, Kind::ValidationFailed);
}

/// Symptom: a rule is not checked any more after a collection was dropped and came again.
#[test]
fn a_collection_that_comes_again_has_the_indexes_of_its_rules() {
    let mut world = World::new();
    world.put("_rules", "r", reference()).unwrap();
    for collection in ["people", "teams"] {
        let namespace = Namespace::new("d", collection);
        world.run(Command::DropCollection { namespace }).unwrap();
    }
    world.put("teams", "a", r#"{"name":"t"}"#.into()).unwrap();
    world.put("people", "a", r#"{"team":"t"}"#.into()).unwrap();
    let refused = world.put("people", "b", r#"{"team":"none"}"#.into());
    assert_eq!(refused.unwrap_err().kind, Kind::ValidationFailed);
    assert_eq!(world.run(delete_teams()).map(drop).unwrap(), ());
    assert_eq!(world.collection("teams").1.documents, 1);
}

fn delete_teams() -> Command {
    let select = Select::Filter { filter: "{}".into(), sort: None, hint: None };
    write("teams", vec![Operation::Delete { select, multi: true, returning: Returning::Nothing }])
}

/// Symptom: 20,000 rules make each write take a second, and 120,000 cannot be deleted any more.
#[test]
fn the_rules_of_a_database_are_bounded_and_can_be_deleted() {
    let mut world = World::new();
    let rules = |from: usize, count: usize| {
        let rules = (from..from + count).map(|n| format!(r#"{{"f{n}":{{"type":"not_null"}}}}"#));
        format!(r#"{{"c":[{}]}}"#, rules.collect::<Vec<_>>().join(","))
    };
    world.put("_rules", "a", rules(0, RULES_MAX - 1)).unwrap();
    world.put("_rules", "b", rules(RULES_MAX, 1)).unwrap();
    assert_eq!(world.put("_rules", "c", rules(5_000, 1)).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(world.put("_rules", "b", rules(5_000, 2)).unwrap_err().kind, Kind::TooLarge);
    world.put("_rules", "b", rules(5_000, 1)).unwrap();
    let large =
        format!(r#"{{"c":[{{"f":{{"type":"not_null","note":"{}"}}}}]}}"#, "x".repeat(300_000));
    assert_eq!(world.put("_rules", "d", large).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(world.put("c", "a", "{}".into()).unwrap_err().kind, Kind::ValidationFailed);
    world.delete("_rules", "a").unwrap();
    world.delete("_rules", "b").unwrap();
    world.put("c", "a", "{}".into()).unwrap();
}

/// Symptom: each open transaction, and each commit, reads all rules again.
#[test]
fn rules_are_compiled_once_per_change() {
    let mut world = World::new();
    world.put("_rules", "a", r#"{"c":[{"f":{"type":"not_null"}}]}"#.into()).unwrap();
    world.put("c", "a", r#"{"f":1}"#.into()).unwrap();
    let before = world.applier.rules["d"].clone();
    world.put("c", "b", r#"{"f":1}"#.into()).unwrap();
    assert!(Arc::ptr_eq(&before, &world.applier.rules["d"]));
    world.put("_rules", "b", r#"{"c":[{"g":{"type":"not_null"}}]}"#.into()).unwrap();
    assert_eq!(world.put("c", "c", r#"{"f":1}"#.into()).unwrap_err().kind, Kind::ValidationFailed);
    assert!(!Arc::ptr_eq(&before, &world.applier.rules["d"]));
}

/// Symptom: a database with very many collections and indexes stops all writes when it is dropped.
#[test]
fn a_database_that_is_too_large_for_one_command_is_not_dropped() {
    let mut world = World::new();
    let collections = |world: &mut World, from: usize, count: usize| {
        let create = |n: usize| Command::CreateCollection {
            namespace: Namespace::new("d", format!("c{n}")),
        };
        for from in (from..from + count).step_by(1_000) {
            world.entry((from..from + 1_000).map(create).collect());
        }
    };
    let most = (STEPS_MAX / CATALOG) as usize;
    collections(&mut world, 0, most + 1_000);
    let drop_all = Command::DropDatabase { name: "d".into() };
    let refused = world.run(drop_all.clone()).unwrap_err();
    assert_eq!(refused.kind, Kind::QueryTooLarge);
    let drop_one = |n: usize| {
        let namespace = Namespace::new("d", format!("c{n}"));
        Command::DropCollection { namespace }
    };
    world.entry((0..1_500).map(drop_one).collect());
    world.run(drop_all).unwrap();
}
