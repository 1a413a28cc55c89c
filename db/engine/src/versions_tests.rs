use super::*;
use crate::Command;
use crate::apply::Applier;
use crate::catalog::{Garbage, Retention};
use crate::changes::{Change, FeedChange, Interest, ResumeToken, changes_behind};
use crate::command::Proposal;
use crate::history_tests::{
    cases, difference, document_command, documents, dump, filter, in_transaction, place, put, rows,
    some_id, some_paths, spec,
};
use crate::query::context::{At, Context, Fields};
use crate::query::filter::Filter;
use crate::query::plan::QuerySpec;
use crate::query::sort::Sort;
use crate::query::source::{ScanRequest, scan};
use crate::row::Row;
use crate::storage::{Entries, WriteTxn};
use crate::value::{Value, parse_stored};
use past::{Moment, Past};
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: u64 = 1_000;

/// A log entry: how much later it is than the one before, and its commands.
type LogEntry = (u64, Vec<Command>);

fn entries() -> impl Strategy<Value = Vec<LogEntry>> {
    let create = spec().prop_map(|spec| Command::CreateIndex { namespace: place("c"), spec });
    let restore = (some_id(), prop::option::of(1..14u64)).prop_map(|(id, index)| {
        let namespace = place("c");
        let version = index.map(|index| Version { index, step: 0 });
        Command::Restore { namespace, target: id.into(), version }
    });
    let command = prop_oneof![12 => document_command(), 1 => create, 3 => restore];
    prop::collection::vec((0..3u64, prop::collection::vec(command, 1..4)), 1..14)
}

fn set_versions(keep: Option<Retention>) -> Command {
    Command::SetVersions { namespace: place("c"), keep }
}

type State = BTreeMap<DocumentId, String>;

struct World<'t, 's> {
    txn: &'t mut WriteTxn<'s>,
    applier: Applier,
    index: u64,
    time_ms: u64,
    results: Vec<crate::command::CommandResult>,
    /// What the collection was behind each log entry, and when.
    states: Vec<(u64, u64, State)>,
}

impl<'t, 's> World<'t, 's> {
    /// With versions from the second log entry on; each entry that `cut` names begins anew.
    fn play(
        txn: &'t mut WriteTxn<'s>,
        retention: Retention,
        entries: &[LogEntry],
        cut: &dyn Fn(u64) -> bool,
    ) -> Self {
        let mut applier = Applier::default();
        applier.begin(txn).unwrap();
        let (states, results) = (Vec::new(), Vec::new());
        let mut world = World { txn, applier, index: 0, time_ms: START, results, states };
        world.entry(vec![put("c", 9.into(), "{\"a\":1}".into(), crate::PutMode::Insert, None)]);
        world.entry(vec![set_versions(Some(retention))]);
        for (later, commands) in entries {
            world.time_ms += later;
            world.entry(commands.clone());
            if cut(world.index) {
                world.applier.flush(world.txn).unwrap();
                world.applier = Applier::default();
                world.applier.begin(world.txn).unwrap();
            }
        }
        world.applier.flush(world.txn).unwrap();
        world
    }

    fn entry(&mut self, commands: Vec<Command>) {
        self.index += 1;
        for command in commands {
            let proposal = Proposal { time_ms: self.time_ms, ..command.into() };
            let answer = self.applier.apply(self.txn, self.index, proposal).unwrap();
            self.results.push(answer.result);
        }
        self.applier.end_entry(self.txn).unwrap();
        let state = documents(self.txn, self.collection().id).into_iter().collect();
        self.states.push((self.index, self.time_ms, state));
    }

    fn collection(&self) -> Collection {
        let id = catalog::collection(self.txn, "d", "c").unwrap().unwrap();
        Collection::load(self.txn, id).unwrap()
    }

    /// The changes of each document since versions are kept, the oldest first.
    fn changes(&self) -> BTreeMap<DocumentId, Vec<(Version, Change)>> {
        let interest =
            Interest { database: "d".into(), collection: Some("c".into()), filter: None };
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let all =
            changes_behind(self.txn, ResumeToken::behind(2), 1000, &interest, usize::MAX, &ctx);
        let mut changes: BTreeMap<DocumentId, Vec<(Version, Change)>> = BTreeMap::new();
        for FeedChange { change, .. } in all.unwrap().0 {
            let known = changes.entry(change.id.clone().unwrap()).or_default();
            let index = change.token.index;
            let step = known.iter().filter(|(version, _)| version.index == index).count() as u32;
            known.push((Version { index, step }, change));
        }
        changes
    }
}

fn check_past(
    world: &World<'_, '_>,
    at: Moment,
    state: &State,
    wanted: &Value,
) -> std::result::Result<(), TestCaseError> {
    let collection = world.collection();
    let (past, then) = Past::open(world.txn, &collection, at).unwrap();
    let expected: Vec<_> = state.iter().map(|(id, json)| (id.clone(), json.clone())).collect();
    prop_assert_eq!(&documents(&past, then.id), &expected);
    let keys: Vec<(Vec<u8>, &String)> =
        state.iter().map(|(id, json)| (keys::document_key(then.id, id), json)).collect();
    for (key, json) in &keys {
        let found = past.get(Table::Documents, key).unwrap().and_then(Row::decode).unwrap().json;
        prop_assert_eq!(found, json.as_bytes());
    }
    // Bounds beside, behind and between the keys of documents.
    let whole = keys::collection_start(then.id);
    let mut bounds =
        vec![whole.clone(), keys::collection_end(then.id), [&whole[..], &[0x20]].concat()];
    for number in 0..8 {
        let key = keys::document_key(then.id, &crate::history_tests::id(number));
        bounds.extend([keys::successor(key.clone()), [&key[..], &[0xff]].concat(), key]);
    }
    for start in &bounds {
        for end in &bounds {
            let expected =
                keys.iter().map(|(key, _)| key).filter(|key| *key >= start && *key < end);
            let mut expected: Vec<_> = expected.cloned().collect();
            let of =
                |rows: Entries<'_>| rows.map(|row| row.unwrap().0.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(&of(past.range(Table::Documents, start, end).unwrap()), &expected);
            expected.reverse();
            prop_assert_eq!(&of(past.range_back(Table::Documents, start, end).unwrap()), &expected);
        }
    }
    let filter = Filter::parse(wanted, At::root("filter")).unwrap();
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt);
    let matching = state
        .iter()
        .filter(|(_, json)| filter.matches(&parse_stored(json.as_bytes()).unwrap(), &ctx).unwrap());
    let mut matching: Vec<_> = matching.map(|(id, _)| id.clone()).collect();
    for sort in ["{\"_id\":1}", "{\"_id\":-1}"] {
        let sort = Sort::parse(&parse_stored(sort.as_bytes()).unwrap(), At::root("sort")).unwrap();
        let wanted = QuerySpec { sort: Some(&sort), ..QuerySpec::all(&filter) };
        let request = ScanRequest { wanted, fields: Fields::default(), hint: None };
        let found = scan(&past, &then, request, &ctx, |found, _| {
            found
                .map(|found| found.map(|found| found.id().unwrap()))
                .collect::<error::Result<Vec<_>>>()
        });
        prop_assert_eq!(&found.unwrap(), &matching);
        matching.reverse();
    }
    Ok(())
}

use crate::error;

fn listed(read: &impl Read, collection: &Collection, id: &DocumentId) -> Vec<VersionEntry> {
    let interrupt = || Ok(());
    history(read, collection, id, &Context::new(0, usize::MAX, &interrupt)).unwrap()
}

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn the_past_is_as_it_was(
        entries in entries(),
        changes_max in prop::option::weighted(0.6, 1..4u64),
        filter in some_paths().prop_flat_map(filter),
        age in prop::option::weighted(0.3, 0..20u64),
        cuts in any::<u16>(),
    ) {
        let retention = Retention { changes: changes_max, ms: None };
        let once = in_transaction(|txn| {
            let world = World::play(txn, retention, &entries, &|_| false);
            (world.results.clone(), dump(world.txn))
        });
        in_transaction(|txn| {
            let mut world = World::play(txn, retention, &entries, &|index| cuts >> (index % 16) & 1 == 1);
            prop_assert_eq!(&world.results, &once.0);
            prop_assert_eq!(difference(&once.1, &dump(world.txn)), "");
            // What is kept: the last changes of each document, those not too old.
            let mut changes = world.changes();
            let mut forgotten = (2, START);
            if let Some(age) = age {
                let versions = world.collection().options.versions.unwrap();
                let keys = older_than(world.txn, &versions, START + age, None, 1000).unwrap().keys;
                world.entry(vec![Command::TrimVersions { namespace: place("c"), keys }]);
                world.applier.flush(world.txn).unwrap();
            }
            let (mut count, mut bytes) = (0, 0);
            for known in changes.values_mut() {
                let surplus = changes_max.map_or(0, |max| known.len().saturating_sub(max as usize));
                let old = known.iter().filter(|(_, change)| age.is_some_and(|age| change.time_ms < START + age));
                for (version, change) in known.drain(..surplus.max(old.count())) {
                    forgotten = (forgotten.0.max(version.index), forgotten.1.max(change.time_ms));
                }
                count += known.len() as u64;
            }
            let collection = world.collection();
            let versions = collection.options.versions.unwrap();
            let totals = catalog::totals(world.txn, collection.id).unwrap();
            for (_, row) in rows(world.txn, Table::Versions, &[0], &[0xff]) {
                bytes += row.len() as u64;
            }
            prop_assert_eq!((totals.versions, totals.version_bytes), (count, bytes));
            prop_assert_eq!(oldest(&versions, &totals), forgotten);
            for (at, (index, time_ms, state)) in world.states.iter().enumerate() {
                let last_of_time = world.states.get(at + 1).is_none_or(|next| next.1 > *time_ms);
                let moments = [(Moment::Index(*index), *index < forgotten.0, true), (Moment::Time(*time_ms), *time_ms < forgotten.1, last_of_time)];
                for (moment, too_old, exact) in moments {
                    match Past::open(world.txn, &collection, moment) {
                        Err(error) => {
                            prop_assert_eq!(error.kind, Kind::TooOld);
                            prop_assert!(too_old);
                        }
                        Ok(_) => {
                            prop_assert!(!too_old);
                            if exact {
                                check_past(&world, moment, state, &filter)?;
                            }
                        }
                    }
                }
            }
            // The list of versions, and each of them.
            let json = |text: &Option<String>| text.as_ref().map(|text| text.len() as u64);
            for (id, known) in &changes {
                let mut expected: Vec<(Version, Option<u64>)> = Vec::new();
                if let Some((_, first)) = known.first().filter(|(_, first)| first.before.is_some()) {
                    let made = listed(world.txn, &collection, id).last().unwrap().version;
                    expected.push((made, json(&first.before)));
                    let (_, text) = find_version(world.txn, &collection, id, made).unwrap();
                    prop_assert_eq!(Some(&String::from_utf8(text).unwrap()), first.before.as_ref());
                }
                for (version, change) in known {
                    expected.push((*version, json(&change.after)));
                    let found = find_version(world.txn, &collection, id, *version);
                    let found = found.ok().map(|(_, text)| String::from_utf8(text).unwrap());
                    prop_assert_eq!(&found, &change.after, "{} {}", id, version);
                    prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), *version);
                }
                expected.reverse();
                let listed = listed(world.txn, &collection, id);
                let listed: Vec<_> = listed.iter().map(|entry| (entry.version, entry.document.map(|(_, size)| size))).collect();
                if !known.is_empty() {
                    prop_assert_eq!(listed, expected);
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

fn restore(id: i64, version: Option<u64>) -> Command {
    let namespace = place("c");
    let version = version.map(|index| Version { index, step: 0 });
    Command::Restore { namespace, target: DocumentId::from(id).into(), version }
}

#[test]
fn a_former_form_is_put_back() {
    let save = |text: &str| put("c", 1.into(), text.to_owned(), crate::PutMode::Upsert, None);
    let delete = Command::Delete {
        namespace: place("c"),
        target: DocumentId::from(1).into(),
        if_match: None,
    };
    let commands = [
        save("{\"a\":1}"),
        save("{\"a\":2}"),
        restore(1, Some(3)),
        delete,
        restore(1, None),
        restore(1, None),
        restore(1, Some(4)),
        restore(1, Some(6)),
    ];
    let entries: Vec<LogEntry> = commands.into_iter().map(|command| (1, vec![command])).collect();
    in_transaction(|txn| {
        let world = World::play(txn, Retention::default(), &entries, &|_| false);
        let of = |state: &State| state.get(&1.into()).cloned().unwrap_or_default();
        let states: Vec<_> = world.states[2..].iter().map(|(_, _, state)| of(state)).collect();
        let form = |number: u64| format!("{{\"_id\":1,\"a\":{number}}}");
        assert_eq!(
            states,
            [form(1), form(2), form(1), String::new(), form(1), form(1), form(2), form(2)]
        );
        let kinds: Vec<_> =
            world.results[2..].iter().map(|it| it.as_ref().err().map(|error| error.kind)).collect();
        let (twice, gone) = (Some(Kind::DuplicateId), Some(Kind::VersionNotFound));
        assert_eq!(kinds, [None, None, None, None, None, twice, None, gone]);
    });
}

/// Symptom: versions of a document are lost. Cause: changes of a document in one log entry were
/// counted with 16 bits.
#[test]
fn a_document_changes_more_often_than_a_small_number_counts() {
    in_transaction(|txn| {
        let mut world = World::play(txn, Retention { changes: Some(2), ms: None }, &[], &|_| false);
        let collection = std::sync::Arc::new(world.collection());
        let step = u32::from(u16::MAX);
        let key = keys::document_key(collection.id, &1.into());
        let prefix = keys::version_prefix(collection.options.versions.unwrap().space, &key);
        let ended = Version::default();
        let head =
            VersionHead { sequence: 1, ended, time_ms: 0, user: None, kind: ChangeKind::Insert };
        let version = Version { index: world.index + 1, step };
        world
            .txn
            .put(
                Table::Versions,
                &record_key(&prefix, version),
                &encode(&head, &key, None).unwrap(),
            )
            .unwrap();
        world.entry(vec![put("c", 1.into(), "{}".into(), crate::PutMode::Upsert, None)]);
        assert_eq!(
            newest(world.txn, &collection, &key).unwrap(),
            Version { step: step + 1, ..version }
        );
    });
}

/// Symptom: a collection keeps no versions any more after the result of a pipeline was put in
/// its place.
#[test]
fn a_replaced_collection_goes_on_keeping_versions() {
    in_transaction(|txn| {
        let retention = Retention { changes: Some(3), ms: None };
        let mut world = World::play(txn, retention, &[], &|_| false);
        let save =
            |collection: &str| put(collection, 1.into(), "{}".into(), crate::PutMode::Upsert, None);
        let before = world.collection().options.versions.unwrap();
        let replace =
            Command::ReplaceCollection { database: "d".into(), from: "new".into(), to: "c".into() };
        world.entry(vec![save("new"), save("c"), replace]);
        let after = world.collection().options.versions.unwrap();
        assert_eq!(after.retention, retention);
        assert_ne!(after.space, before.space);
        assert_eq!(after.since, world.index);
        let garbage = catalog::garbage_key(Garbage::Versions(before.space));
        assert!(world.txn.get(Table::Catalog, &garbage).unwrap().is_some());
    });
}

#[test]
fn new_collections_keep_versions_once_that_is_the_default() {
    let keeps = |txn: &WriteTxn<'_>, name: &str| {
        let id = catalog::collection(txn, "d", name).unwrap().unwrap();
        Collection::load(txn, id).unwrap().options.versions.is_some()
    };
    let insert = |name: &str| put(name, 1.into(), "{}".into(), crate::PutMode::Insert, None);
    in_transaction(|txn| {
        let mut applier = Applier::default();
        applier.begin(txn).unwrap();
        let commands = [
            insert("before"),
            Command::SetVersionsDefault { on: true },
            insert("since"),
            Command::ReplaceCollection {
                database: "d".into(),
                from: "nothing".into(),
                to: "before".into(),
            },
            Command::SetVersionsDefault { on: false },
            insert("after"),
        ];
        for (index, command) in (1..).zip(commands) {
            let _ = applier.apply(txn, index, command.into()).unwrap();
        }
        applier.flush(txn).unwrap();
        let kept = ["before", "since", "after"].map(|name| keeps(txn, name));
        assert_eq!(kept, [false, true, false]);
    });
}
