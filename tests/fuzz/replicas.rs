//! Two replicas that apply the same log. The first begins anew behind each entry, as after a
//! restart; the second cuts its transactions elsewhere. Whatever the entries hold, each proposal is
//! carried out or refused, alike on both, and both hold the same rows afterwards.
//!
//! The fuzz target `apply` runs it on the choices that a fuzzer makes,
//! `db/engine/src/hostile_tests.rs` on those of a few seeds.
#![allow(dead_code, unreachable_pub)] // as in `checks.rs`

use super::engine::Namespace;
use super::engine::catalog::Retention;
use super::engine::command::{Batch, BatchCondition, BatchStep, GroupCommand, Placement};
use super::engine::command::{
    Mutation, Operation, Put, Returning, Select, Target, Write, WriteLimits,
};
use super::engine::document::parse_document;
use super::engine::index::IndexSpec;
use super::engine::limits::Limits;
use super::engine::query::context::At;
use super::engine::query::text::{Statement, parse};
use super::engine::storage::{Read, Store, Table};
use super::engine::transactions::Transaction;
use super::engine::value::{Object, Value, from_json};
use super::engine::versions::Version;
use super::engine::{Applier, Command, DocumentId, Proposal, ProposalResult, PutMode};
use super::hostile::{Act, COLLECTIONS, Hostile, Update};
use std::time::{Duration, Instant};

const DATABASE: &str = "d";
const MAP_BYTES: usize = 1 << 30;
/// Bytes that a transaction may write.
const TRANSACTION_BYTES_MAX: usize = 16 << 20;
/// Longest time for one proposal; only what never ends takes as long.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// Bytes of stack for the parser of statements.
const PARSER_STACK: usize = 64 << 20;
/// The newest feature level that the replicas support.
const LEVEL_MAX: u32 = 4;
/// Entries that the second replica applies in one transaction.
const CUT: usize = 7;
const TABLES: [Table; 7] = [
    Table::Meta,
    Table::Catalog,
    Table::Documents,
    Table::Indexes,
    Table::Versions,
    Table::Changes,
    Table::Retries,
];

/// Applies acts made of `choose`, until there are `acts` of them or `is_over` says so.
///
/// # Panics
/// When one is neither carried out nor refused, or the replicas differ.
pub fn check(choose: &mut dyn FnMut(u64) -> u64, acts: usize, is_over: impl Fn() -> bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let [first, second] = ["a", "b"].map(|name| {
        let dir = dir.path().join(name);
        std::fs::create_dir(&dir).expect("a folder");
        Store::open(&dir, MAP_BYTES).expect("a store")
    });
    let mut entries = Vec::new();
    let mut answers = Vec::new();
    let mut hostile = Hostile::new(Vec::new(), choose);
    for turn in 0..acts {
        if is_over() {
            break;
        }
        let act = hostile.act();
        let commands = match &act {
            Act::Transaction(acts) => transaction(&first, entries.len() as u64, acts),
            act => commands(act),
        };
        for command in commands.into_iter().chain(upkeep(turn)) {
            let proposal = Proposal { time_ms: turn as u64 * 1000, ..command.into() };
            let entry = vec![proposal];
            answers.push(apply(
                &first,
                entries.len() as u64 + 1,
                std::slice::from_ref(&entry),
                &act,
            ));
            entries.push(entry);
        }
    }
    let mut others = Vec::new();
    for (turn, part) in entries.chunks(CUT).enumerate() {
        let act = Act::Transaction(Vec::new());
        others.push(apply(&second, (turn * CUT) as u64 + 1, part, &act));
    }
    assert!(answers.concat() == others.concat(), "the replicas answer differently");
    for table in TABLES {
        let [one, other] = [&first, &second].map(|store| rows(store, table));
        assert!(one == other, "the replicas differ in {table:?}");
    }
}

/// Applies entries from a log index on in one transaction.
fn apply(store: &Store, index: u64, entries: &[Vec<Proposal>], act: &Act) -> Vec<ProposalResult> {
    let mut txn = store.write().expect("a transaction");
    let mut applier = Applier::supporting(LEVEL_MAX);
    applier.begin(&txn).expect("the counters");
    let mut answers = Vec::new();
    for (entry, index) in entries.iter().zip(index..) {
        for proposal in entry {
            let began = Instant::now();
            let readable = proposal.check().is_ok();
            let answer = applier.apply(&mut txn, index, proposal.clone());
            let answer = answer.unwrap_or_else(|error| {
                panic!("{error} (checked: {readable})\n{proposal:?}\n{act:?}")
            });
            assert!(began.elapsed() < APPLY_MAX, "{:?} for {act:?}", began.elapsed());
            answers.push(answer);
        }
        applier.end_entry(&mut txn).expect("the entry can be ended");
    }
    applier.flush(&mut txn).expect("the counters");
    txn.commit().expect("a commit");
    answers
}

fn rows(store: &Store, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let read = store.read().expect("a view");
    let rows = read.range(table, &[0], &[0xff; 600]).expect("rows");
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).expect("a row")).collect()
}

/// What the leader proposes by itself from time to time.
fn upkeep(turn: usize) -> Vec<Command> {
    if turn % 3 != 2 {
        return Vec::new();
    }
    let namespace = place(COLLECTIONS[turn / 3 % COLLECTIONS.len()]);
    let index = (turn / 6) as _;
    vec![
        Command::BuildIndex { namespace: namespace.clone(), index, documents: 100 },
        Command::Expire { namespace, index, time_ms: 1 << 41, documents: 100 },
        Command::ClearGarbage { rows: 100 },
        Command::TrimChanges { bytes_max: 1 << 20, rows: 10 },
        Command::SetFeatureLevel { level: turn as u32 % (LEVEL_MAX + 1) },
        Command::SetMaxFeatureLevel { max: Some(turn as u32) },
        Command::Placement(Box::new(placement(turn))),
        Command::InGroup(Box::new(GroupCommand::Rights { epoch: turn as u64 })),
    ]
}

/// What is decided about groups, in an order that makes some of it possible.
fn placement(turn: usize) -> Placement {
    let (group, node, name) = (1 + turn as u32 / 36, 1, || DATABASE.to_owned());
    let replica = turn as u64;
    match turn / 3 % 12 {
        0 => Placement::CreateGroup {
            group,
            replication_factor: 1,
            voters: vec![node],
            observers: Vec::new(),
        },
        1 => Placement::PlaceReplica { group, node },
        2 => Placement::ActivateReplica { group, replica },
        3 => Placement::ActivateGroup { group },
        4 => Placement::CreateDatabase { name: "e".into(), engine: "x".into(), group },
        5 => Placement::EndDatabaseChange { name: "e".into(), epoch: replica, problem: None },
        6 => Placement::RenameDatabase { from: "e".into(), to: name() },
        7 => Placement::DropDatabase { name: "e".into() },
        8 => Placement::PinLeader { group, node: Some(node) },
        9 => Placement::SetNodes {
            group,
            epoch: replica,
            voters: vec![2],
            observers: vec![node],
            strategy: None,
        },
        10 => Placement::RemoveReplica { group, replica, joining: false },
        _ => Placement::RemoveGroup { group, keep_state: Some(replica.is_multiple_of(2)) },
    }
}

fn place(collection: &str) -> Namespace {
    Namespace::new(DATABASE, collection)
}

fn limits() -> WriteLimits {
    WriteLimits {
        documents_max: 1_000,
        document_bytes_max: 1 << 22,
        depth_max: 64,
        memory_max: 1 << 26,
        steps_max: 200_000,
        written_max: 1 << 27,
    }
}

/// A document as the door takes it.
fn document(text: &str) -> Option<(DocumentId, String)> {
    let limits = Limits { document_bytes_max: 1 << 22, depth_max: 64, id_bytes_max: 480 };
    let new = parse_document(text.as_bytes(), &limits).ok()?;
    Some((new.id.unwrap_or(DocumentId::from(text.len() as i64)), new.body))
}

fn id(text: &str) -> Option<DocumentId> {
    document(&format!("{{\"_id\":{text}}}")).map(|(id, _)| id)
}

fn value(text: &str) -> Option<Value> {
    from_json(serde_json::from_str(text).ok()?, At::root("it")).ok()
}

fn filter(filter: &str) -> Select {
    Select::Filter { filter: filter.to_owned(), sort: None, hint: None }
}

fn modify(select: Select, mutation: Mutation, multi: bool, upsert: bool) -> Operation {
    let upsert = upsert.then_some(DocumentId::from(7));
    Operation::Modify { select, mutation, multi, upsert, returning: Returning::After }
}

fn update(given: &Update) -> Operation {
    let filters = &given.array_filters;
    let array_filters = (!filters.is_empty()).then(|| format!("[{}]", filters.join(",")));
    let how = Mutation::Update { update: given.update.clone(), array_filters };
    modify(filter(&given.filter), how, given.multi, given.upsert)
}

fn operations(act: &Act) -> Vec<Operation> {
    match act {
        Act::Insert { documents, .. } => documents
            .iter()
            .filter_map(|text| document(text))
            .map(|(id, body)| Operation::Insert { id, body })
            .collect(),
        Act::Update(given) => vec![update(given)],
        Act::Delete { filter: which, multi, .. } => {
            let (select, returning) = (filter(which), Returning::Nothing);
            vec![Operation::Delete { select, multi: *multi, returning }]
        }
        Act::Replace { filter: which, document: text, upsert, .. } => {
            let body = document(text).map(|(_, body)| Mutation::Replace(body));
            body.map(|how| modify(filter(which), how, false, *upsert)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn collection(act: &Act) -> &str {
    match act {
        Act::Insert { collection, .. }
        | Act::Delete { collection, .. }
        | Act::Replace { collection, .. }
        | Act::Update(Update { collection, .. }) => collection,
        _ => COLLECTIONS[0],
    }
}

fn write(name: &str, operations: Vec<Operation>, ordered: bool) -> Vec<Command> {
    let namespace = place(name);
    vec![Command::Write(Box::new(Write {
        namespace,
        create_database: true,
        operations,
        ordered,
        time_ms: 1,
        limits: limits(),
    }))]
}

/// The commands that the doors make of an act. What only reads makes none.
fn commands(act: &Act) -> Vec<Command> {
    match act {
        Act::Insert { .. } | Act::Update(_) | Act::Delete { .. } | Act::Replace { .. } => {
            write(collection(act), operations(act), true)
        }
        Act::Bulk { collection, acts, ordered } => {
            write(collection, acts.iter().flat_map(operations).collect(), *ordered)
        }
        Act::Put { collection, id: which, document: text } => {
            let (Some(which), Some((_, body))) = (id(which), document(text)) else {
                return Vec::new();
            };
            let namespace = place(collection);
            let (target, mode) = (Target::from(which), PutMode::Upsert);
            let (if_match, create_database) = (None, true);
            vec![Command::Put(Put { namespace, target, body, mode, if_match, create_database })]
        }
        Act::Patch { collection, id: which, patch } => {
            let Some(which) = id(which) else { return Vec::new() };
            let select = Select::Id { target: which.into(), if_match: None };
            let how = match patch.starts_with("{\"$") {
                true => Mutation::Update { update: patch.clone(), array_filters: None },
                false => Mutation::Merge(patch.clone()),
            };
            write(collection, vec![modify(select, how, false, false)], true)
        }
        Act::Batch { condition, acts } => vec![batch(condition.as_ref(), acts)],
        Act::Index { collection, keys, options } => {
            let options =
                options.iter().map(|(name, text)| Some(((*name).to_owned(), value(text)?)));
            let options = options.collect::<Option<Object>>();
            index(collection, value(keys), options)
        }
        Act::DropIndex { collection, name } => {
            vec![Command::DropIndex { namespace: place(collection), name: name.clone() }]
        }
        Act::Schema { collection, schema, warns } => {
            let namespace = place(collection);
            let (schema, warns) = (Some(schema.clone()), *warns);
            vec![Command::SetSchema { namespace, schema, warns }]
        }
        Act::Rules { document: text } => {
            let operations = document(text).map(|(id, body)| Operation::Insert { id, body });
            write("_rules", operations.into_iter().collect(), true)
        }
        Act::Versions { collection, keep } => {
            let namespace = place(collection);
            let keep = keep.map(|changes| Retention { changes: Some(changes), ms: None });
            vec![Command::SetVersions { namespace, keep }]
        }
        Act::Restore { collection, id: which, version } => {
            let Some(which) = id(which) else { return Vec::new() };
            let namespace = place(collection);
            let version = Some(Version { index: *version, step: 0 });
            vec![Command::Restore { namespace, target: which.into(), version }]
        }
        Act::Statement(text) => parsed(text).map(statement).unwrap_or_default(),
        Act::DropCollection(name) => {
            let namespace = place(name);
            vec![Command::DropCollection { namespace }]
        }
        Act::RenameCollection { from, to } => {
            let Namespace { database, collection: from } = place(from);
            vec![Command::RenameCollection { database, from, to: to.clone() }]
        }
        Act::Find { .. } | Act::Distinct { .. } | Act::Aggregate { .. } | Act::Transaction(_) => {
            Vec::new()
        }
    }
}

fn index(collection: &str, keys: Option<Value>, options: Option<Object>) -> Vec<Command> {
    let (Some(keys), Some(options)) = (keys, options) else { return Vec::new() };
    let Ok(spec) = IndexSpec::parse(&keys, &options) else { return Vec::new() };
    vec![Command::CreateIndex { namespace: place(collection), spec }]
}

fn batch(condition: Option<&(String, String)>, acts: &[Act]) -> Command {
    let condition = condition.map(|(collection, filter)| {
        let (filter, exists) = (Some(filter.clone()), true);
        (place(collection), BatchCondition { id: None, revision: None, filter, exists })
    });
    let steps = acts.iter().flat_map(|act| {
        let all = operations(act).into_iter();
        all.map(move |operation| (place(collection(act)), BatchStep::Operation(operation)))
    });
    Command::Batch(Box::new(Batch {
        conditions: condition.into_iter().collect(),
        then: steps.collect(),
        otherwise: Vec::new(),
        time_ms: 1,
        limits: limits(),
    }))
}

/// Parses a statement, with a stack large enough for a parser without optimisation.
fn parsed(text: &str) -> Option<Statement> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK);
        let parsing = thread.spawn_scoped(scope, || parse(text).ok()).expect("a thread");
        parsing.join().expect("no parser panics")
    })
}

fn statement(statement: Statement) -> Vec<Command> {
    match statement {
        Statement::Insert { collection, documents, .. } => {
            let texts = documents.iter().filter_map(|value| document(&value.to_json()));
            let inserts = texts.zip(0..).map(|((_, body), id)| {
                let id = DocumentId::from(id);
                Operation::Insert { id, body }
            });
            write(&collection, inserts.collect(), true)
        }
        Statement::Update { collection, filter: which, update, multi, upsert, .. } => {
            let how = Mutation::Update { update: update.to_json(), array_filters: None };
            let operation = modify(filter(&which.to_json()), how, multi, upsert);
            write(&collection, vec![operation], true)
        }
        Statement::Delete { collection, filter: which, multi } => {
            let (select, returning) = (filter(&which.to_json()), Returning::Nothing);
            write(&collection, vec![Operation::Delete { select, multi, returning }], true)
        }
        Statement::CreateIndex { collection, keys, options } => {
            index(&collection, Some(keys), Some(options))
        }
        _ => Vec::new(),
    }
}

/// What a transaction on the first replica commits.
fn transaction(store: &Store, index: u64, acts: &[Act]) -> Vec<Command> {
    let base = store.snapshot("a test").expect("a view");
    let begun = Transaction::begin(base, index, TRANSACTION_BYTES_MAX);
    let mut transaction = begun.expect("a transaction");
    for command in acts.iter().flat_map(commands) {
        let done = transaction.execute(command.into());
        done.unwrap_or_else(|error| panic!("{error}\n{acts:?}"));
    }
    let commit = transaction.commit().expect("what is to be committed");
    commit.map(|commit| Command::Commit(Box::new(commit))).into_iter().collect()
}
