use super::*;
use crate::Command;
use crate::catalog;
use crate::changes::{Change, FeedChange, Interest, changes_behind, delta, totals};
use crate::command::{Batch, BatchStep, WriteLimits};
use crate::error::{self, Kind};
use crate::history_tests::{
    body, cases, catalog_command, document, document_command, documents, filter, in_transaction,
    paint, place, put, rows, some_id, some_paths, spec, upkeep_command,
};
use crate::query::context::{At, Context};
use crate::query::filter::Filter;
use crate::storage::Read;
use crate::value::{Value, parse_stored};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn batch() -> impl Strategy<Value = Command> {
    let step = prop_oneof![
        3 => (some_id(), body()).prop_map(|(id, body)| BatchStep::Save { id, body }),
        3 => document_command().prop_filter_map("an operation", |command| match command {
            Command::Write(mut write) => write.operations.pop().map(BatchStep::Operation),
            _ => None,
        }),
    ];
    prop::collection::vec(step, 1..4).prop_map(|steps| {
        let then = steps.into_iter().map(|step| (place("c"), step)).collect();
        let limits = WriteLimits {
            documents_max: 99,
            document_bytes_max: 9999,
            depth_max: 20,
            memory_max: 1 << 30,
            steps_max: 1 << 40,
            written_max: 1 << 40,
        };
        let (conditions, otherwise) = (Vec::new(), Vec::new());
        Command::Batch(Box::new(Batch { conditions, then, otherwise, time_ms: 0, limits }))
    })
}

fn command() -> impl Strategy<Value = Command> {
    let create = spec().prop_map(|spec| Command::CreateIndex { namespace: place("c"), spec });
    prop_oneof![
        10 => document_command(),
        3 => batch(),
        2 => create,
        1 => upkeep_command(),
        2 => catalog_command(),
    ]
}

type Content = BTreeMap<String, BTreeMap<DocumentId, String>>;

fn content(read: &impl Read) -> Content {
    let all = catalog::collections(read, "d").unwrap().into_iter();
    all.map(|(name, id)| (name, documents(read, id).into_iter().collect::<BTreeMap<_, _>>()))
        .filter(|(_, documents)| !documents.is_empty())
        .collect()
}

/// Carries one change out on a model.
fn follow(content: &mut Content, change: &Change) {
    match (&change.id, change.kind) {
        (Some(id), _) => {
            let documents = content.entry(change.collection.clone()).or_default();
            let before = match &change.after {
                Some(after) => documents.insert(id.clone(), after.clone()),
                None => documents.remove(id),
            };
            assert_eq!(before, change.before, "{change:?}");
        }
        (None, ChangeKind::Drop) => drop(content.remove(&change.collection)),
        (None, _) => {
            let moved = content.remove(&change.collection).unwrap_or_default();
            content.insert(change.renamed_to.clone().unwrap(), moved);
        }
    }
    content.retain(|_, documents| !documents.is_empty());
}

fn all() -> Interest {
    Interest { database: "d".into(), collection: None, filter: None }
}

fn behind(
    read: &impl Read,
    token: ResumeToken,
    interest: &Interest,
    bytes: usize,
) -> error::Result<(Vec<FeedChange>, ResumeToken)> {
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt);
    changes_behind(read, token, 1000, interest, bytes, &ctx)
}

/// Applies log entries of some commands each.
fn carry_out(txn: &mut WriteTxn<'_>, entries: &[Vec<Command>]) -> Applier {
    let mut applier = Applier::default();
    applier.begin(txn).unwrap();
    for (at, commands) in entries.iter().enumerate() {
        for command in commands {
            let _ = applier.apply(txn, at as u64 + 1, command.clone().into()).unwrap();
        }
        applier.end_entry(txn).unwrap();
    }
    applier.flush(txn).unwrap();
    applier
}

fn entries() -> impl Strategy<Value = Vec<Vec<Command>>> {
    prop::collection::vec(prop::collection::vec(command(), 1..4), 1..12)
}

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn the_history_leads_to_what_is_there_from_anywhere(
        entries in entries(),
        filter in some_paths().prop_flat_map(filter),
        keep in 0..3000u64,
    ) {
        in_transaction(|txn| {
            let mut applier = carry_out(txn, &entries);
            let (found, end) = behind(txn, ResumeToken::default(), &all(), usize::MAX).unwrap();
            prop_assert_eq!(end, ResumeToken::behind(1000));
            let mut model = Content::new();
            found.iter().for_each(|FeedChange { change, .. }| follow(&mut model, change));
            prop_assert_eq!(&model, &content(txn));
            prop_assert!(found.is_sorted_by(|a, b| a.change.token < b.change.token));
            let stored = |txn: &WriteTxn<'_>| rows(txn, Table::Changes, &[0], &[0xff]).collect::<Vec<_>>();
            let bytes = |txn: &WriteTxn<'_>| stored(txn).iter().map(|(_, row)| row.len() as u64).sum::<u64>();
            prop_assert_eq!(totals(txn).unwrap().bytes, bytes(txn));
            // From any change on, and in small pages, as one.
            for (at, FeedChange { change, .. }) in found.iter().enumerate() {
                let text = change.token.to_string();
                prop_assert_eq!(text.parse::<ResumeToken>().unwrap(), change.token);
                let (rest, _) = behind(txn, change.token, &all(), usize::MAX).unwrap();
                prop_assert_eq!(&rest[..], &found[at + 1..]);
            }
            let (mut paged, mut token) = (Vec::new(), ResumeToken::default());
            while token < end {
                let (mut page, next) = behind(txn, token, &all(), 1).unwrap();
                paged.append(&mut page);
                token = next;
            }
            prop_assert_eq!(&paged, &found);
            // A filter is about the document before or after.
            let filter = Filter::parse(&filter, At::root("filter")).unwrap();
            let interrupt = || Ok(());
            let ctx = Context::new(0, usize::MAX, &interrupt);
            let matches = |text: &Option<String>| {
                text.as_ref().is_some_and(|text| filter.matches(&parse_stored(text.as_bytes()).unwrap(), &ctx).unwrap())
            };
            let expected = found.iter().filter_map(|FeedChange { change, .. }| match &change.id {
                _ if change.collection != "c" && change.renamed_to.as_deref() != Some("c") => None,
                None => Some((change.token, None)),
                Some(_) => {
                    let after = matches(&change.after);
                    (after || matches(&change.before)).then_some((change.token, Some(after)))
                }
            });
            let expected: Vec<_> = expected.collect();
            let interest = Interest { collection: Some("c".into()), filter: Some(filter.clone()), ..all() };
            let filtered = behind(txn, ResumeToken::default(), &interest, usize::MAX).unwrap().0;
            let filtered: Vec<_> = filtered.into_iter().map(|one| (one.change.token, one.matches)).collect();
            prop_assert_eq!(filtered, expected);
            // What is removed is too old, and nothing else.
            let trim = Command::TrimChanges { bytes_max: keep, rows: 100 };
            applier.apply(txn, 900, trim.into()).unwrap().result.unwrap();
            applier.end_entry(txn).unwrap();
            applier.flush(txn).unwrap();
            let HistoryTotals { bytes: left, forgotten } = totals(txn).unwrap();
            prop_assert_eq!(left, bytes(txn));
            prop_assert!(left <= keep);
            for (at, FeedChange { change, .. }) in found.iter().enumerate() {
                match behind(txn, change.token, &all(), usize::MAX) {
                    Ok((rest, _)) => {
                        prop_assert!(change.token >= forgotten);
                        prop_assert_eq!(&rest[..], &found[at + 1..]);
                    }
                    Err(error) => {
                        prop_assert_eq!(error.kind, Kind::TooOld);
                        prop_assert!(change.token < forgotten);
                    }
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }

    #[test]
    fn a_delta_leads_from_one_form_to_the_other(
        mut before in document(2),
        mut after in document(2),
        palette in prop::collection::vec(crate::history_tests::scalar(), 0..3),
    ) {
        paint(&mut before, &palette);
        paint(&mut after, &palette);
        let json = |value: &Value| serde_json::from_str::<serde_json::Value>(&value.to_json()).unwrap();
        let delta = delta(&before, &after);
        let mut made = json(&before);
        for path in &delta.removed {
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            let parent = parent.split('.').filter(|name| !name.is_empty());
            let object = parent.fold(&mut made, |object, name| &mut object[name]);
            prop_assert!(object.as_object_mut().unwrap().remove(name).is_some(), "{path}");
        }
        for (path, value) in &delta.updated {
            *path.split('.').fold(&mut made, |object, name| &mut object[name]) = value.clone();
        }
        prop_assert_eq!(made, json(&after));
    }
}

#[test]
fn long_rows_are_cut() {
    in_transaction(|txn| {
        let body = |number: i64| format!("{{\"a\":\"{}\"}}", "x".repeat(50_000 + number as usize));
        let commands = (0..20i64)
            .map(|number| put("c", number.into(), body(number), crate::PutMode::Upsert, None));
        carry_out(txn, &[commands.collect()]);
        let sizes: Vec<usize> =
            rows(txn, Table::Changes, &[0], &[0xff]).map(|(_, row)| row.len()).collect();
        assert!(sizes.len() >= 3, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size < ROW_BYTES + 60_000), "{sizes:?}");
        let (found, _) = behind(txn, ResumeToken::default(), &all(), usize::MAX).unwrap();
        assert_eq!(found.len(), 20);
    });
}

/// Symptom: who watches a database still sees its collections after it was renamed.
#[test]
fn a_renamed_database_is_empty_for_its_feed() {
    in_transaction(|txn| {
        let put = put("c", 1.into(), "{}".into(), crate::PutMode::Upsert, None);
        let rename = Command::RenameDatabase { from: "d".into(), to: "f".into() };
        carry_out(txn, &[vec![put], vec![rename]]);
        let (found, _) = behind(txn, ResumeToken::default(), &all(), usize::MAX).unwrap();
        let kinds: Vec<_> = found.iter().map(|FeedChange { change, .. }| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Insert, ChangeKind::Drop]);
    });
}
