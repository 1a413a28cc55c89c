use super::*;
use crate::catalog::{self, Collection};
use crate::command::Command;
use crate::document::with_id;
use crate::history_tests::apply;
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::query::context::At;
use crate::query::exec::Counters;
use crate::query::plan::{self, QuerySpec};
use crate::query::position::Position;
use crate::query::sort::Sort;
use crate::storage::{ReadTxn, Store};
use crate::value::{Value, parse_stored};
use crate::{Applier, Put, PutMode};

/// So many documents that a scan of them is shared.
const DOCUMENTS: i64 = 2_500;

fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1 << 28).unwrap();
    let mut txn = store.write().unwrap();
    let mut applier = Applier::default();
    applier.begin(&txn).unwrap();
    let namespace = || Namespace::new("d", "c");
    apply(&mut applier, &mut txn, Command::CreateCollection { namespace: namespace() }).unwrap();
    for number in 0..DOCUMENTS {
        let put = Put {
            namespace: namespace(),
            target: DocumentId::new(Value::from(number)).unwrap().into(),
            body: format!(r#"{{"a":{},"b":[{number},"x"],"c":null}}"#, number * 7 % 100),
            mode: PutMode::Insert,
            if_match: None,
            create_database: true,
        };
        apply(&mut applier, &mut txn, Command::Put(put)).unwrap();
    }
    applier.flush(&mut txn).unwrap();
    txn.commit().unwrap();
    (dir, store)
}

/// Key, text and parsed fields of a document.
type FoundTexts = (Vec<u8>, String, String);

/// What is found with this many helpers: the documents, how many were read, and their number when
/// they are only counted.
fn found(
    (read, collection): (&ReadTxn<'_>, &Collection),
    (filter, sort): (&Filter, Option<&Sort>),
    after: Option<&Position>,
    helpers: usize,
) -> (Vec<FoundTexts>, u64, u64) {
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt).helped_by(helpers);
    let (fields, counters) = (Fields::All, Counters::default());
    let wanted = QuerySpec { sort, ..QuerySpec::all(filter) };
    let (plan, _) = plan::choose(read, collection, wanted, None).unwrap();
    let (fields, ctx) = (&fields, &ctx);
    let execution = |counters| Execution { read, collection, wanted, fields, after, ctx, counters };
    let shared = execution(&counters).parallel_rows(&plan).unwrap().is_some();
    assert_eq!(shared, helpers > 0 && !filter.has_expressions(), "{filter:?}");
    let documents = execution(&counters).pass(&plan, |found| {
        let texts = found.map(|found| {
            let found = found?;
            let json = found.stored.map_or(&b""[..], |(_, json)| json);
            let json = String::from_utf8_lossy(json).into_owned();
            Ok((found.key, json, found.fields.to_json()))
        });
        texts.collect::<Result<Vec<_>>>()
    });
    assert_eq!(ctx.helpers(), helpers, "they are given back");
    let counted = execution(&Counters::default()).count(&plan).unwrap();
    (documents.unwrap(), counters.documents.get(), counted)
}

#[test]
fn a_shared_scan_gives_what_one_thread_gives() {
    let (_dir, store) = filled();
    let read = store.read().unwrap();
    let id = catalog::collection(&read, "d", "c").unwrap().unwrap();
    let collection = Collection::load(&read, id).unwrap();
    let value = |json: &str| parse_stored(json.as_bytes()).unwrap();
    let sort = Sort::parse(&value(r#"{"a": -1, "b": 1}"#), At::root("sort")).unwrap();
    let id = |number: i64| DocumentId::new(Value::from(number)).unwrap();
    let after = [
        (None, Position { values: Vec::new(), id: id(1_300) }),
        (Some(&sort), Position { values: vec![value("50"), value("[1,2]")], id: id(7) }),
    ];
    for filter in [
        "{}",
        r#"{"a": {"$gte": 50}}"#,
        r#"{"b": "x", "c": null, "a": {"$not": {"$lt": 30}}}"#,
        r#"{"b": {"$regex": "^y"}}"#,
        r#"{"$expr": {"$eq": ["$a", 3]}}"#,
    ] {
        let parsed = Filter::parse(&value(filter), At::root("filter")).unwrap();
        for (sort, position) in &after {
            for after in [None, Some(position)] {
                let view = (&read, &collection);
                let alone = found(view, (&parsed, *sort), after, 0);
                for helpers in [1, 3] {
                    let shared = found(view, (&parsed, *sort), after, helpers);
                    assert_eq!(shared, alone, "{filter}, {helpers} helpers");
                }
            }
        }
    }
    let text = with_id(&id(0), r#"{"a":0,"b":[0,"x"],"c":null}"#);
    let everything = Filter::And(Vec::new());
    let (all, read_documents, counted) = found((&read, &collection), (&everything, None), None, 2);
    assert_eq!((all.len() as i64, read_documents as i64), (DOCUMENTS, DOCUMENTS));
    assert_eq!((counted as i64, &all[0].1), (DOCUMENTS, &text));
}
