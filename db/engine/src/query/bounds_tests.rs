use super::*;
use crate::index::{IndexEntry, IndexSpec, IndexState};
use crate::query::context::At;
use crate::value::parse_stored;

fn index(keys: &str, multikey: bool) -> Index {
    let keys = parse_stored(keys.as_bytes()).unwrap();
    let spec = IndexSpec::parse(&keys, &Default::default()).unwrap();
    Index::new(IndexEntry { id: 1, spec, state: IndexState::Ready, multikey }).unwrap()
}

/// The fields whose NaN do not count; none when entries do not tell which documents match.
fn exact(index: &Index, filter: &str) -> Option<Vec<usize>> {
    let filter = parse_stored(filter.as_bytes()).unwrap();
    let filter = Filter::parse(&filter, At::root("filter")).unwrap();
    exact_but_for_nan(index, &index_bounds(index, &filter), &filter)
}

#[test]
fn entries_tell_which_documents_match_where_a_filter_is_its_ranges() {
    let index = index(r#"{"a": 1, "b": -1}"#, false);
    let long = "k".repeat(600);
    for (filter, expected) in [
        (r#"{"a": 1}"#, Some(vec![])),
        (r#"{"a": {"$in": [1, "x"]}, "b": {"$gte": 2}}"#, Some(vec![])),
        (r#"{"a": {"$lt": 1}}"#, Some(vec![0])),
        (r#"{"a": {"$lt": "x"}}"#, Some(vec![])),
        (r#"{"a": 1, "b": {"$gt": 1, "$lte": 2}}"#, Some(vec![1])),
        ("{}", Some(vec![])),
        // Missing fields have the keys of null, and NaN is compared in its own way.
        (r#"{"a": null}"#, None),
        (r#"{"a": {"$lt": {"$numberDouble": "NaN"}}}"#, None),
        // The range of the second field is not among the bounds.
        (r#"{"a": {"$gt": 1}, "b": 1}"#, None),
        (r#"{"a": 1, "c": 1}"#, None),
        (r#"{"b": 1}"#, None),
        (r#"{"a": {"$ne": 1}}"#, None),
        (r#"{"a": {"$regex": "^x"}}"#, None),
        (r#"{"$or": [{"a": 1}, {"a": 2}]}"#, None),
        (r#"{"a": [1]}"#, None),
        (&format!(r#"{{"a": "{long}"}}"#), None),
    ] {
        assert_eq!(exact(&index, filter), expected, "{filter}");
    }
}

#[test]
fn entries_of_arrays_do_not_tell_how_many_documents_match() {
    assert_eq!(exact(&index(r#"{"a": 1}"#, true), r#"{"a": 1}"#), None);
}
