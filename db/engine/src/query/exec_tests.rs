//! Whatever plan is chosen or forced, the answer is that of a look at every document.

use super::*;
use crate::command::{Command, Put, PutMode};
use crate::history_tests::{
    self as history, apply, document, filter, index_definition, object, scalar,
};
use crate::index::IndexSpec;
use crate::namespace::Namespace;
use crate::query::context::At;
use crate::query::filter::Filter;
use crate::query::plan::{self, Hint};
use crate::query::project::Projection;
use crate::storage::WriteTxn;
use crate::value::parse_stored;
use crate::{Applier, catalog};
use proptest::prelude::*;
use std::sync::Arc;

/// A collection, and what is asked of it; JSON throughout, so that a failure can be read.
#[derive(Debug, Clone)]
struct Case {
    documents: Vec<String>,
    /// Keys and options, and whether the index is made before the documents.
    indexes: Vec<(String, String, bool)>,
    queries: Vec<Query>,
}

#[derive(Debug, Clone)]
struct Query {
    filter: String,
    sort: String,
    skip: u64,
    limit: u64,
    page: u64,
    projection: String,
}

fn case() -> impl Strategy<Value = Case> {
    // Without arrays the indexes give orders and cover queries, with them they are multikey.
    let arrays = prop_oneof![4 => Just(0u32), 3 => Just(1), 3 => Just(2)];
    let palette = prop_oneof![
        2 => Just(Vec::new()),
        5 => prop::collection::vec(scalar(), 1..4),
        3 => prop::collection::vec(history::text(), 1..4),
    ];
    let kind = (arrays, prop::bool::weighted(0.3), history::some_paths(), palette);
    kind.prop_flat_map(|(arrays, texts, paths, palette)| {
        let document = if texts { history::text_document() } else { document(arrays) };
        let painted = move |mut value: Value| {
            history::paint(&mut value, &palette);
            value.to_json()
        };
        let index = index_definition(paths.clone()).prop_map({
            let painted = painted.clone();
            move |(keys, options)| {
                let mut options = options.as_object().cloned().unwrap_or_default();
                if let Some(filter) = options.get_mut(PARTIAL) {
                    *filter = value(&painted(filter.clone()));
                }
                (keys, Value::Object(options))
            }
        });
        let document = document.prop_map(painted.clone());
        prop::collection::vec((index, any::<bool>()), 0..5).prop_flat_map(move |indexes| {
            let keys = indexes.iter().map(|((keys, _), _)| keys.as_object().cloned().unwrap());
            let query = query(paths.clone(), texts, keys.collect(), painted.clone());
            let indexes: Vec<_> = indexes
                .iter()
                .map(|((keys, options), before)| (keys.to_json(), options.to_json(), *before))
                .collect();
            (
                prop::collection::vec(document.clone(), 0..24),
                Just(indexes),
                prop::collection::vec(query, 1..6),
            )
                .prop_map(|(documents, indexes, queries)| Case {
                    documents,
                    indexes,
                    queries,
                })
        })
    })
}

const PARTIAL: &str = "partialFilterExpression";

/// Filter and sort: any, or such as one of the indexes is made for.
fn query(
    paths: Vec<&'static str>,
    texts: bool,
    indexes: Vec<Object>,
    painted: impl Fn(Value) -> String,
) -> impl Strategy<Value = Query> {
    let key = (prop::sample::select(paths.clone()), prop::sample::select(&[1, -1][..]));
    let sort = prop_oneof![
        2 => Just(Vec::new()),
        6 => prop::collection::vec(key, 1..4),
    ];
    let sort = sort.prop_map(|keys| keys.into_iter().map(|(name, one)| (name.into(), one.into())));
    let any_filter = if texts { history::text_filter(paths) } else { filter(paths) };
    let asked = (any_filter, sort.prop_map(|keys| keys.collect::<Object>()));
    let asked = match indexes.is_empty() {
        true => asked.boxed(),
        false => {
            let fitting = prop::sample::select(indexes).prop_flat_map(fitting);
            prop_oneof![asked, fitting].boxed()
        }
    };
    let projected = prop::collection::vec(prop::sample::select(&["_id", "a", "b", "c"][..]), 1..4);
    (asked, 0u64..4, 0u64..8, 1u64..5, projected).prop_map(
        move |((filter, sort), skip, limit, page, projected)| {
            let projected = projected.iter().map(|name| ((*name).to_owned(), Value::Int(1)));
            Query {
                filter: painted(filter),
                sort: Value::Object(sort).to_json(),
                skip,
                limit,
                page,
                projection: object(projected).to_json(),
            }
        },
    )
}

/// Leading fields of an index equal to something, the next one in a range, and a sort by those
/// behind, along the index or against it.
fn fitting(keys: Object) -> impl Strategy<Value = (Value, Object)> {
    let compare = || prop::sample::select(&["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"][..]);
    let range = prop::collection::vec((compare(), scalar()), 0..3);
    let equal = prop::collection::vec(scalar(), 0..=keys.len());
    let last = prop::sample::select(&[0i64, 1, -1][..]);
    (equal, range, 0..=keys.len(), any::<bool>(), last).prop_map(
        move |(equal, range, sorted, turned, last)| {
            let equal_tests = keys.keys().cloned().zip(equal.iter().cloned());
            let mut filter: Object = equal_tests.collect();
            if let Some((path, _)) = keys.get_index(equal.len()).filter(|_| !range.is_empty()) {
                let tests = range.iter().map(|(name, bound)| ((*name).to_owned(), bound.clone()));
                filter.insert(path.clone(), object(tests));
            }
            let turn =
                |one: &Value| Value::from(one.as_int().unwrap_or(1) * if turned { -1 } else { 1 });
            let behind = keys.iter().skip(equal.len()).take(sorted);
            let mut sort: Object = behind.map(|(path, one)| (path.clone(), turn(one))).collect();
            if last != 0 {
                sort.entry("_id".to_owned()).or_insert(Value::from(last));
            }
            (Value::Object(filter), sort)
        },
    )
}

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap()
}

/// Fills a collection; documents and indexes that cannot be are left out.
fn fill(txn: &mut WriteTxn<'_>, case: &Case) -> Collection {
    let mut applier = Applier::default();
    applier.begin(txn).unwrap();
    let place = || Namespace::new("d", "c");
    apply(&mut applier, txn, Command::CreateCollection { namespace: place() }).unwrap();
    for before in [true, false] {
        for (keys, options, when) in &case.indexes {
            if *when == before {
                let options = value(options).as_object().cloned().unwrap_or_default();
                let spec = IndexSpec::parse(&value(keys), &options).unwrap();
                let create = Command::CreateIndex { namespace: place(), spec };
                let _ = apply(&mut applier, txn, create);
            }
        }
        for (at, body) in case.documents.iter().enumerate().filter(|_| before) {
            let namespace = place();
            let put = Command::Put(Put {
                namespace,
                target: history::id(at as i64).into(),
                body: body.clone(),
                mode: PutMode::Insert,
                if_match: None,
                create_database: true,
            });
            let _ = apply(&mut applier, txn, put);
        }
    }
    applier.flush(txn).unwrap();
    let id = catalog::collection(txn, "d", "c").unwrap().unwrap();
    Collection::load(txn, id).unwrap()
}

/// A document with its fields sorted: an index gives them in its own order.
fn by_name(document: Value) -> String {
    let mut fields = document.as_object().cloned().unwrap_or_default();
    fields.sort_keys();
    Value::Object(fields).to_json()
}

/// One document of an answer.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: DocumentId,
    text: String,
}

/// What is asked, parsed.
struct Asked<'t> {
    read: &'t WriteTxn<'t>,
    collection: &'t Collection,
    filter: Filter,
    sort: Option<Sort>,
    projection: Projection,
    names: Option<Vec<String>>,
}

impl<'t> Asked<'t> {
    fn new(read: &'t WriteTxn<'t>, collection: &'t Collection, query: &Query) -> Asked<'t> {
        let filter = Filter::parse(&value(&query.filter), At::root("filter")).unwrap();
        let sort = Sort::parse(&value(&query.sort), At::root("sort")).unwrap();
        let sort = Some(sort).filter(|sort| !sort.keys.is_empty());
        let projection =
            Projection::parse(&value(&query.projection), At::root("projection")).unwrap();
        let mut fields = Fields::default();
        projection.plain_names().unwrap().iter().for_each(|name| fields.add(name));
        filter.fields(&mut fields);
        sort.iter().for_each(|sort| sort.fields(&mut fields));
        let names = match fields {
            Fields::All => None,
            Fields::Some(names) => Some(names.into_iter().collect()),
        };
        Asked { read, collection, filter, sort, projection, names }
    }

    fn wanted(&self, limit: Option<u64>) -> QuerySpec<'_> {
        let sort = self.sort.as_ref();
        QuerySpec { filter: &self.filter, sort, ordered: true, limit, fields: None }
    }

    /// Every plan that there is for something, with what it is.
    fn plans(&self, wanted: QuerySpec<'_>) -> Vec<(String, Plan)> {
        let (best, others) = plan::choose(self.read, self.collection, wanted, None).unwrap();
        let mut plans = vec![("chosen".to_owned(), best)];
        plans.extend(others.into_iter().map(|plan| ("not chosen".to_owned(), plan)));
        for index in &self.collection.indexes {
            if bounds::index_is_complete(index, &self.filter) {
                plans.extend(self.hinted(index, wanted));
            }
        }
        for hint in [Hint::Natural, Hint::Id] {
            let chosen = plan::choose(self.read, self.collection, wanted, Some(&hint));
            plans.push((hint.to_string(), chosen.unwrap().0));
        }
        plans
    }

    /// The plans of hints that mean an index.
    fn hinted(&self, index: &Index, wanted: QuerySpec<'_>) -> Vec<(String, Plan)> {
        let spec = &index.entry.spec;
        let same = |other: &&Arc<Index>| other.entry.spec.fields == spec.fields;
        let only = self.collection.indexes.iter().filter(same).count() == 1;
        let mut plans = Vec::new();
        for hint in [Hint::Name(spec.name.clone()), Hint::Keys(spec.fields.clone())] {
            match plan::choose(self.read, self.collection, wanted, Some(&hint)) {
                Ok((plan, none)) => {
                    assert_eq!(none, []);
                    plans.push((hint.to_string(), plan));
                }
                Err(error) => {
                    assert_eq!(error.kind, Kind::InvalidQuery, "{error}");
                    assert!(!only && matches!(hint, Hint::Keys(_)), "{error}");
                }
            }
        }
        plans
    }

    /// Carries a plan out; `projected` is what the caller makes of the documents.
    fn run(
        &self,
        plan: &Plan,
        wanted: QuerySpec<'_>,
        after: Option<&Position>,
        projected: bool,
    ) -> Vec<(Row, Position)> {
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let counters = Counters::default();
        let mut fields = Fields::default();
        if projected {
            self.projection.fields(&mut fields);
        }
        let execution = Execution {
            read: self.read,
            collection: self.collection,
            wanted,
            fields: &fields,
            after,
            ctx: &ctx,
            counters: &counters,
        };
        let rows = execution.run(plan).unwrap().map(|found| {
            let found = found.unwrap();
            let text = match (projected, found.stored) {
                (true, _) => by_name(self.projection.apply(&found.fields, &ctx).unwrap()),
                (false, Some((_, json))) => String::from_utf8(json.to_vec()).unwrap(),
                (false, None) => String::new(),
            };
            let position = position(&found, self.sort.as_ref()).unwrap();
            (Row { id: found.id().unwrap(), text }, position)
        });
        rows.collect()
    }

    /// Counts by a plan.
    fn count(&self, plan: &Plan, wanted: QuerySpec<'_>) -> u64 {
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let (fields, counters) = (Fields::default(), Counters::default());
        let (read, collection, counters) = (self.read, self.collection, &counters);
        let fields = &fields;
        let execution =
            Execution { read, collection, wanted, fields, after: None, ctx: &ctx, counters };
        execution.count(plan).unwrap()
    }

    /// The answer without plan and execution.
    fn expected(&self, projected: bool) -> Vec<Row> {
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let mut found: Vec<(Vec<Value>, DocumentId, String)> = Vec::new();
        for (id, json) in history::documents(self.read, self.collection.id) {
            let document = value(&json);
            if self.filter.matches(&document, &ctx).unwrap() {
                let text = match projected {
                    true => by_name(self.projection.apply(&document, &ctx).unwrap()),
                    false => json,
                };
                found.push((self.sort.iter().flat_map(|it| it.key(&document)).collect(), id, text));
            }
        }
        let backwards = Order::of(self.sort.as_ref()).id_descending;
        found.sort_by(|a, b| {
            let keys = self.sort.as_ref().map_or(Ordering::Equal, |it| it.compare_keys(&a.0, &b.0));
            keys.then_with(|| if backwards { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) })
        });
        found.into_iter().map(|(_, id, text)| Row { id, text }).collect()
    }
}

fn rows(found: Vec<(Row, Position)>) -> Vec<Row> {
    found.into_iter().map(|(row, _)| row).collect()
}

/// A position as a cursor brings it back.
fn through_json(position: &Position) -> Position {
    let values = position.values.iter().map(|it| value(&it.to_json()));
    Position { values: values.collect(), id: position.id.clone() }
}

fn check_answers(asked: &Asked<'_>, query: &Query) -> std::result::Result<(), TestCaseError> {
    let expected = asked.expected(false);
    for (name, plan) in asked.plans(asked.wanted(None)) {
        let found = rows(asked.run(&plan, asked.wanted(None), None, false));
        prop_assert_eq!(found, expected.clone(), "{} {:?}", name, plan);
    }
    let (skip, limit) = (query.skip as usize, query.limit as usize);
    let part: Vec<_> = expected.iter().skip(skip).take(limit).cloned().collect();
    let wanted = asked.wanted(Some(query.skip + query.limit + 1));
    for (name, plan) in asked.plans(wanted) {
        let found = asked.run(&plan, wanted, None, false);
        let found: Vec<_> = rows(found).into_iter().skip(skip).take(limit).collect();
        prop_assert_eq!(found, part.clone(), "limited {} {:?}", name, plan);
    }
    let projected = asked.expected(true);
    let wanted = QuerySpec { fields: asked.names.as_deref(), ..asked.wanted(None) };
    for (name, plan) in asked.plans(wanted) {
        let found = rows(asked.run(&plan, wanted, None, true));
        prop_assert_eq!(found, projected.clone(), "projected {} {:?}", name, plan);
    }
    let mut names = Fields::default();
    asked.filter.fields(&mut names);
    let names: Option<Vec<String>> = match names {
        Fields::All => None,
        Fields::Some(names) => Some(names.into_iter().collect()),
    };
    let fields = names.as_deref();
    let wanted = QuerySpec { sort: None, ordered: false, fields, ..asked.wanted(None) };
    for (name, plan) in asked.plans(wanted) {
        let mut found: Vec<_> =
            asked.run(&plan, wanted, None, false).into_iter().map(|(row, _)| row.id).collect();
        found.sort();
        let mut ids: Vec<_> = expected.iter().map(|row| row.id.clone()).collect();
        ids.sort();
        prop_assert_eq!(found, ids, "unordered {} {:?}", name, plan);
        let counted = asked.count(&plan, wanted);
        prop_assert_eq!(counted, expected.len() as u64, "counted {} {:?}", name, plan);
    }
    Ok(())
}

/// The hint of an index gives what the index holds of the answer.
fn check_hints(asked: &Asked<'_>) -> std::result::Result<(), TestCaseError> {
    let interrupt = || Ok(());
    let ctx = Context::new(0, usize::MAX, &interrupt);
    for index in &asked.collection.indexes {
        let holds = |row: &Row| {
            let keys = index.document_keys(&value(&row.text), &ctx).unwrap();
            !keys.entries.is_empty()
        };
        let expected: Vec<_> = asked.expected(false).into_iter().filter(holds).collect();
        for (name, plan) in asked.hinted(index, asked.wanted(None)) {
            let found = rows(asked.run(&plan, asked.wanted(None), None, false));
            prop_assert_eq!(found, expected.clone(), "hint {} {:?}", name, plan);
        }
    }
    Ok(())
}

/// Page by page, as a caller with a cursor reads.
fn check_pages(asked: &Asked<'_>, query: &Query) -> std::result::Result<(), TestCaseError> {
    let page = query.page as usize;
    let wanted = QuerySpec { fields: asked.names.as_deref(), ..asked.wanted(Some(query.page + 1)) };
    let plans = asked.plans(wanted);
    for projected in [false, true] {
        let expected = asked.expected(projected);
        // Each plan alone, then another one for each page.
        for only in (0..plans.len()).map(Some).chain([None]) {
            let (mut all, mut after) = (Vec::new(), None);
            for turn in 0.. {
                let (name, plan) = &plans[only.unwrap_or(turn) % plans.len()];
                if plan.covered && !projected {
                    break; // it gives fields, not the text
                }
                let found = asked.run(plan, wanted, after.as_ref(), projected);
                let more = found.len() > page;
                let kept: Vec<_> = found.into_iter().take(page).collect();
                after = kept.last().map(|(_, position)| through_json(position));
                all.extend(rows(kept));
                prop_assert!(all.len() <= expected.len(), "{} {:?} {:?}", name, plan, all);
                if !more {
                    prop_assert_eq!(&all, &expected, "pages {} {:?}", name, plan);
                    break;
                }
            }
        }
    }
    Ok(())
}

/// A query over a collection with one index, each plan compared with a full scan.
fn check(documents: &[&str], index: &str, filter: &str, sort: &str) {
    check_with(documents, index, "{}", filter, sort);
}

fn check_with(documents: &[&str], index: &str, options: &str, filter: &str, sort: &str) {
    let query = Query {
        filter: filter.to_owned(),
        sort: sort.to_owned(),
        skip: 0,
        limit: 5,
        page: 1,
        projection: "{\"a\":1}".to_owned(),
    };
    let case = Case {
        documents: documents.iter().map(|&text| text.to_owned()).collect(),
        indexes: vec![(index.to_owned(), options.to_owned(), true)],
        queries: vec![query.clone()],
    };
    history::in_transaction(|txn| {
        let collection = fill(txn, &case);
        assert_eq!(collection.indexes.len(), 1);
        let asked = Asked::new(txn, &collection, &query);
        assert_ne!(asked.expected(false), [], "nothing matches");
        let checked = check_answers(&asked, &query)
            .and_then(|()| check_hints(&asked))
            .and_then(|()| check_pages(&asked, &query));
        assert_eq!(checked.map_err(|error| error.to_string()), Ok(()), "{filter}");
    });
}

/// Cause: in a descending field the end of a range of texts lay before the text that is the
/// beginning itself, because its last byte, turned around, is the largest there is.
#[test]
fn a_text_that_is_only_the_beginning_is_found_in_a_descending_index() {
    let documents = [r#"{"a":"a"}"#, r#"{"a":"ab"}"#, r#"{"a":"a\u0000b"}"#, r#"{"a":"b"}"#];
    check(&documents, r#"{"a":-1}"#, r#"{"a":{"$regex":"^a"}}"#, "{}");
    check(&documents, r#"{"a":-1,"b":1}"#, r#"{"a":{"$regex":"^a"}}"#, r#"{"a":1}"#);
    check(&documents, r#"{"a":-1}"#, r#"{"a":{"$in":["b",{"$regex":"^a"}]}}"#, r#"{"a":-1}"#);
}

#[test]
fn nan_is_not_counted_among_smaller_numbers() {
    let nan = r#"{"a":{"$numberDouble":"NaN"},"b":1}"#;
    let documents = [r#"{"a":1,"b":1}"#, nan, r#"{"b":1}"#, r#"{"a":"x"}"#];
    for index in [r#"{"a":1}"#, r#"{"a":-1}"#, r#"{"b":1,"a":-1}"#] {
        for filter in
            [r#"{"a":{"$lt":2},"b":1}"#, r#"{"b":1,"a":{"$lte":1}}"#, r#"{"a":{"$lt":2}}"#]
        {
            check(&documents, index, filter, "{}");
        }
    }
}

/// Cause: the encoding of a text was the beginning of that of the same text with a zero byte
/// behind it; turned around, a range for the one then held the other too, or left it out.
#[test]
fn texts_with_zero_bytes_are_apart_in_a_descending_index() {
    let documents = [r#"{"a":"a"}"#, r#"{"a":"a\u0000"}"#, r#"{"a":"a\u0001"}"#, r#"{"a":"ab"}"#];
    for filter in [
        r#"{"a":{"$gt":"a"}}"#,
        r#"{"a":{"$lte":"a\u0000"}}"#,
        r#"{"a":{"$in":["a","a\u0000"]}}"#,
        r#"{"a":{"$regex":"^a\u0001"}}"#,
    ] {
        check(&documents, r#"{"a":-1}"#, filter, r#"{"a":-1}"#);
        check(&documents, r#"{"a":1}"#, filter, r#"{"a":-1}"#);
    }
}

/// Cause: a beginning of texts was taken for one value, so that what followed it in the index
/// was taken to be in order.
#[test]
fn a_beginning_of_texts_is_not_one_value() {
    let documents = [r#"{"a":"ab","b":1}"#, r#"{"a":"aa","b":2}"#, r#"{"a":"a","b":3}"#];
    for index in [r#"{"a":1,"b":1}"#, r#"{"a":-1,"b":-1}"#, r#"{"a":-1,"b":1}"#] {
        check(&documents, index, r#"{"a":{"$regex":"^a"}}"#, r#"{"b":1}"#);
        check(&documents, index, r#"{"a":{"$regex":"^a"},"b":{"$gt":1}}"#, r#"{"a":1}"#);
    }
}

/// Cause: an item that an `$elemMatch` finds may hold arrays itself, and then two of its
/// conditions may be met by two items of that.
#[test]
fn an_item_with_an_array_in_it_meets_conditions_in_several_places() {
    let one = [r#"{"a":[{"x":[10,1]}]}"#];
    let between = r#"{"a":{"$elemMatch":{"x":{"$gt":5,"$lt":3}}}}"#;
    check(&one, r#"{"a.x":1}"#, between, "{}");
    let two = [r#"{"a":[{"x":[{"b":1,"c":9},{"b":9,"c":2}]}]}"#];
    let both = r#"{"a":{"$elemMatch":{"x.b":1,"x.c":2}}}"#;
    check(&two, r#"{"a.x.b":1,"a.x.c":1}"#, both, "{}");
}

/// Cause: the condition on the first item of an item was taken for one on the first item of the
/// outer array, which is what the keys of an index on `a.0` are of.
#[test]
fn a_number_in_an_elem_match_is_no_bound_of_an_index() {
    let documents = [
        r#"{"a":[7,[5]]}"#,
        r#"{"a":[[5]]}"#,
        r#"{"a":[[7,5],[{"b":5}]]}"#,
        r#"{"a":[7,[{"b":5}]]}"#,
        r#"{"a":[7,[[{"b":5}]]]}"#,
    ];
    for index in [r#"{"a.0":1}"#, r#"{"a.1":1}"#, r#"{"a.0.b":1}"#, r#"{"a.0":-1,"a.1":1}"#] {
        for filter in [
            r#"{"a":{"$elemMatch":{"0":5}}}"#,
            r#"{"a":{"$elemMatch":{"1":5}}}"#,
            r#"{"a":{"$elemMatch":{"0.b":5}}}"#,
            r#"{"a":{"$elemMatch":{"0":{"$elemMatch":{"b":5}}}}}"#,
        ] {
            check(&documents, index, filter, "{}");
        }
    }
}

/// Cause: a sparse index has no key for an item without the field, by which a document passes as
/// null, though it has keys for the other items.
#[test]
fn an_item_without_the_field_passes_as_null_in_a_sparse_index() {
    let documents = [r#"{"a":[{"b":1},{}]}"#, r#"{"a":[{}]}"#, r#"{"a":[{"b":null}]}"#];
    for filter in [r#"{"a.b":{"$exists":true,"$eq":null}}"#, r#"{"a.b":{"$in":[null,1]}}"#] {
        check_with(&documents, r#"{"a.b":1}"#, r#"{"sparse":true}"#, filter, "{}");
    }
    check_with(&documents[1..2], r#"{"a.0":1}"#, r#"{"sparse":true}"#, r#"{"a.0":null}"#, "{}");
}

/// Symptom: a query with `$gt: MinKey` by a sparse or partial index did not find documents without
/// the field, which pass it.
#[test]
fn a_missing_field_lies_between_min_key_and_max_key() {
    for (operator, bound) in
        [("$gt", "$minKey"), ("$gte", "$minKey"), ("$lt", "$maxKey"), ("$lte", "$maxKey")]
    {
        let filter = format!(r#"{{"a":{{"{operator}":{{"{bound}":1}}}}}}"#);
        for options in
            [r#"{"sparse":true}"#, r#"{"partialFilterExpression":{"a":{"$exists":true}}}"#]
        {
            check_with(&[r#"{"b":1}"#], r#"{"a":1}"#, options, &filter, "{}");
        }
    }
}

/// Symptom: documents that are equal for a descending sort came by descending `_id`.
#[test]
fn ties_go_by_ascending_id_whatever_the_direction_and_the_index() {
    let documents = [1, 1, 2, 1, 2, 3, 1].map(|v| format!(r#"{{"v":{v},"w":1}}"#));
    let mut documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    documents.extend([r#"{"w":1}"#, r#"{"w":2}"#]);
    for index in [r#"{"v":1}"#, r#"{"v":-1}"#, r#"{"w":1,"v":-1}"#, r#"{"v":-1,"w":1}"#] {
        for sort in [r#"{"v":-1}"#, r#"{"v":1}"#, r#"{"v":-1,"_id":-1}"#, r#"{"v":-1,"w":-1}"#] {
            for filter in ["{}", r#"{"w":1}"#, r#"{"v":{"$in":[1,3]}}"#, r#"{"v":{"$lt":3}}"#] {
                check(&documents, index, filter, sort);
            }
        }
    }
    let query = Query {
        filter: r#"{"v":1}"#.to_owned(),
        sort: r#"{"v":-1}"#.to_owned(),
        skip: 0,
        limit: 5,
        page: 1,
        projection: r#"{"v":1}"#.to_owned(),
    };
    let documents = documents.iter().map(|&text| text.to_owned()).collect();
    let case = Case { documents, indexes: Vec::new(), queries: vec![query.clone()] };
    history::in_transaction(|txn| {
        let collection = fill(txn, &case);
        let found = Asked::new(txn, &collection, &query).expected(false);
        assert!(found.len() > 2 && found.is_sorted_by(|a, b| a.id < b.id), "{found:?}");
    });
}

/// Symptom: a pattern with a beginning read all of the collection.
#[test]
fn a_beginning_of_the_id_reads_only_what_begins_so() {
    let documents: Vec<_> = (0..12).map(|at| format!(r#"{{"a":{at}}}"#)).collect();
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    for filter in [
        r#"{"_id":{"$regex":"^k"}}"#,
        r#"{"_id":{"$regex":"^kk"}}"#,
        r#"{"_id":{"$regex":"^k1*"}}"#,
    ] {
        check(&documents, r#"{"a":1}"#, filter, "{}");
        check(&documents, r#"{"a":1}"#, filter, r#"{"_id":-1}"#);
    }
    let filter = Filter::parse(&value(r#"{"_id":{"$regex":"^kk"}}"#), At::root("filter")).unwrap();
    let ranges = bounds::id_ranges(7, &filter).unwrap();
    let inside = |id: &str| {
        let key = keys::document_key(7, &DocumentId::from(id.to_owned()));
        ranges.iter().any(|(start, end)| (start..end).contains(&&key))
    };
    assert!(inside("kk") && inside("kk\u{10ffff}") && !inside("k") && !inside("kl"));
}

proptest! {
    #![proptest_config(history::cases(600))]

    #[test]
    fn every_plan_gives_the_answer_of_a_full_scan(case in case()) {
        history::in_transaction(|txn| {
            let collection = fill(txn, &case);
            for query in &case.queries {
                let asked = Asked::new(txn, &collection, query);
                check_answers(&asked, query)?;
                check_hints(&asked)?;
                check_pages(&asked, query)?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
