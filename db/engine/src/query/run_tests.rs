use super::*;
use crate::catalog::{self, Collection};
use crate::command::Command;
use crate::history_tests::apply;
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::query::context::At;
use crate::query::exec::Counters;
use crate::query::plan::{self, QuerySpec};
use crate::query::position::Position;
use crate::storage::{ReadTxn, Store};
use crate::value::{Value, parse_stored};
use crate::{Applier, Put, PutMode};

/// Enough documents that a scan of them is shared.
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

/// The number of documents that match, counted with this many helpers, and how many were read.
fn count(
    (read, collection): (&ReadTxn<'_>, &Collection),
    filter: &Filter,
    after: Option<&Position>,
    helpers: usize,
) -> (u64, u64) {
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt).helped_by(helpers);
    let (fields, counters, ctx) = (&Fields::All, &Counters::default(), &ctx);
    let wanted = QuerySpec::all(filter);
    let (plan, _) = plan::choose(read, collection, wanted, None).unwrap();
    let execution = || Execution { read, collection, wanted, fields, after, ctx, counters };
    let shared = execution().parallel_rows(&plan).unwrap().is_some();
    assert_eq!(shared, helpers > 0 && !filter.has_expressions(), "{filter:?}");
    let counted = execution().count(&plan).unwrap();
    assert_eq!(ctx.helpers(), helpers, "they are given back");
    let read_documents = counters.documents.get();
    let found = execution().run(&plan).unwrap().map(|found| found.map(drop));
    assert_eq!(counted as usize, found.collect::<Result<Vec<_>>>().unwrap().len(), "{filter:?}");
    (counted, read_documents)
}

#[test]
fn a_shared_count_is_that_of_one_thread() {
    let (_dir, store) = filled();
    let read = store.read().unwrap();
    let id = catalog::collection(&read, "d", "c").unwrap().unwrap();
    let collection = Collection::load(&read, id).unwrap();
    let view = (&read, &collection);
    let id = DocumentId::new(Value::from(1_300)).unwrap();
    let position = Position { values: Vec::new(), id };
    for filter in [
        "{}",
        r#"{"a": {"$gte": 50}}"#,
        r#"{"b": "x", "c": null, "a": {"$not": {"$lt": 30}}}"#,
        r#"{"b": {"$regex": "^y"}}"#,
        r#"{"$expr": {"$eq": ["$a", 3]}}"#,
    ] {
        let parsed = parse_stored(filter.as_bytes()).unwrap();
        let parsed = Filter::parse(&parsed, At::root("filter")).unwrap();
        for after in [None, Some(&position)] {
            let alone = count(view, &parsed, after, 0);
            for helpers in [1, 3] {
                assert_eq!(count(view, &parsed, after, helpers), alone, "{filter}, {helpers}");
            }
        }
    }
    let all = count(view, &Filter::And(Vec::new()), None, 2);
    assert_eq!(all, (DOCUMENTS as u64, DOCUMENTS as u64));
}
