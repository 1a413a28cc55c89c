//! What must hold for any text at all. The fuzz targets run it on what they invent,
//! `db/engine/src/query/corpus_tests.rs` on the texts kept in `corpus/`.
#![allow(dead_code, unreachable_pub)] // each target uses one function, from its own crate

use super::engine::index::{Index, IndexEntry, IndexSpec, IndexState};
use super::engine::query::bounds::{index_bounds, index_is_complete};
use super::engine::query::context::{At, Context};
use super::engine::query::filter::Filter;
use super::engine::query::text::{Statement, parse};
use super::engine::value::{Object, Value, from_json, parse_stored};

/// A filter in JSON: parsed, written and parsed again, matched, and turned into bounds.
pub fn filter_json(text: &str) {
    let Ok(json) = serde_json::from_str(text) else { return };
    let at = || At::root("filter");
    let Ok(value) = from_json(json, at()) else { return };
    let Ok(filter) = Filter::parse(&value, at()) else { return };
    let written = filter.to_value();
    let again = Filter::parse(&written, at());
    assert_eq!(again.ok().as_ref(), Some(&filter), "written as {}", written.to_json());
    let stored = parse_stored(written.to_json().as_bytes());
    assert_eq!(stored.as_ref(), Some(&written), "written as {}", written.to_json());
    let interrupt = || Ok(());
    let ctx = Context::new(0, 1 << 24, &interrupt);
    // Two forms of one filter must agree, whatever they say; an expression may fail.
    let plain = filter.matches(&value, &ctx);
    let twice = Filter::parse(&written, at()).and_then(|again| again.matches(&value, &ctx));
    assert_eq!(plain.as_ref().ok(), twice.as_ref().ok());
    for multikey in [false, true] {
        for keys in ["a", "a,b", "a.b,a.c", "_id,a", "tags"] {
            let index = index(keys, multikey);
            let bounds = index_bounds(&index, &filter);
            assert!(bounds.ranges.is_sorted(), "{bounds:?}");
            assert!(bounds.ranges.iter().all(|(start, end)| start <= end), "{bounds:?}");
            assert!(bounds.equal_fields <= bounds.bounded_fields, "{bounds:?}");
            index_is_complete(&index, &filter);
        }
    }
}

fn index(keys: &str, multikey: bool) -> Index {
    let options = Object::from([
        ("sparse".to_owned(), Value::Bool(multikey)),
        (
            "partialFilterExpression".to_owned(),
            Value::Object(Object::from([("a".to_owned(), Value::Int(1))])),
        ),
    ]);
    let spec = IndexSpec::parse(&Value::from(keys), &options).expect("an index");
    let entry = IndexEntry { id: 1, spec, state: IndexState::Ready, multikey };
    Index::new(entry).expect("an index")
}

/// A statement in JQL, or whatever else the text is.
pub fn jql(text: &str) {
    statement(text);
    statement(&format!("FIND IN c WHERE {text}"));
}

/// A statement in SQL, or whatever else the text is.
pub fn sql(text: &str) {
    statement(text);
    statement(&format!("SELECT {text}"));
    statement(&format!("SELECT * FROM c WHERE {text}"));
}

/// A statement as in MongoDB's shell, or whatever else the text is.
pub fn mongo(text: &str) {
    statement(text);
    statement(&format!("db.c.{text}"));
    statement(&format!("db.c.find({text})"));
}

/// Parses a statement; printed it is the same again.
fn statement(text: &str) {
    let Ok(parsed) = parse(text) else { return };
    let mongo = parsed.to_mongo();
    let again = parse(&mongo).unwrap_or_else(|error| panic!("{text}\n{mongo}\n{error}"));
    assert_eq!(shown(&again), shown(&parsed), "{text}\n{mongo}");
    if let Some(jql) = parsed.to_jql() {
        let again = parse(&jql).unwrap_or_else(|error| panic!("{text}\n{jql}\n{error}"));
        match (meaning(&parsed), meaning(&again)) {
            (Some(one), other) => assert_eq!(Some(one), other, "{text}\n{mongo}\n{jql}"),
            (None, _) => assert_eq!(again.to_jql(), Some(jql), "{text}\n{mongo}"),
        }
    }
}

/// The filter of a statement: a filter can be written in several ways.
fn meaning(statement: &Statement) -> Option<Filter> {
    let filter = match statement {
        Statement::Find { filter, .. }
        | Statement::Count { filter, .. }
        | Statement::Update { filter, .. }
        | Statement::Delete { filter, .. } => filter,
        _ => return None,
    };
    Filter::parse(filter, At::root("filter")).ok()
}

/// Equal values may be of different types; shown they are not.
fn shown(statement: &Statement) -> String {
    format!("{statement:?}")
}
