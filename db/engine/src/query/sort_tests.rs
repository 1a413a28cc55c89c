use super::*;
use crate::error::Kind;
use crate::value::parse_stored;
use proptest::prelude::*;

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).expect(json)
}

fn sort(json: &str) -> Sort {
    Sort::parse(&value(json), At::root("sort")).unwrap()
}

fn sorted(documents: Vec<Value>, sort: &Sort, limit: Option<usize>) -> Vec<Value> {
    let ctx = Context::new(0, 1 << 20, &|| Ok(()));
    sort_documents(documents.into_iter().map(Ok), sort, limit, &ctx).unwrap()
}

#[test]
fn orders_of_values() {
    let documents = [
        r#"{"_id":1,"a":3}"#,
        r#"{"_id":2}"#,
        r#"{"_id":3,"a":[]}"#,
        r#"{"_id":4,"a":[1,9]}"#,
        r#"{"_id":5,"a":null}"#,
        r#"{"_id":6,"a":"x"}"#,
        r#"{"_id":7,"a":[[]]}"#,
        r#"{"_id":8,"a":3.0}"#,
        r#"{"_id":9,"a":{"b":1}}"#,
    ];
    for (order, expected) in [
        (r#"{"a":1}"#, "3 7 2 5 4 1 8 6 9"),
        (r#"{"a":-1}"#, "9 6 4 1 8 2 5 3 7"),
        (r#"{"a":1,"_id":-1}"#, "7 3 5 2 4 8 1 6 9"),
        (r#"{"a.b":-1}"#, "9 1 2 3 4 5 6 7 8"),
        ("{}", "1 2 3 4 5 6 7 8 9"),
    ] {
        let documents = documents.map(value).to_vec();
        let ids = sorted(documents, &sort(order), None)
            .iter()
            .map(|document| document.as_object().unwrap()["_id"].to_json())
            .collect::<Vec<_>>();
        assert_eq!(ids.join(" "), expected, "{order}");
    }
}

#[test]
fn an_array_of_objects_counts_by_its_best_one() {
    let document = value(r#"{"a":[{"b":5},{"b":[2,7]},{}]}"#);
    assert_eq!(sort(r#"{"a.b":1}"#).key(&document), [Value::Null]);
    assert_eq!(sort(r#"{"a.b":-1,"c":1}"#).key(&document), [Value::Int(7), Value::Null]);
}

#[test]
fn forms() {
    let order = sort(r#"{"a":1,"b.c":-1.0}"#);
    assert_eq!(order.to_value().to_json(), r#"{"a":1,"b.c":-1}"#);
    assert_eq!(Sort::from_names("a, -b.c", At::root("sort")).unwrap(), order);
    assert_eq!(Sort::from_names("", At::root("sort")).unwrap(), Sort::default());
    let mut fields = Fields::default();
    order.fields(&mut fields);
    assert!(fields.contains("b") && !fields.contains("c"));
}

#[test]
fn refusals_name_the_key() {
    let many: Vec<String> = (0..33).map(|key| format!("\"k{key}\":1")).collect();
    for (text, expected) in [
        ("[]", "sort must be an object"),
        (r#"{"a":0}"#, "sort.a must be 1 (ascending) or -1"),
        (r#"{"a":1,"b":2}"#, "sort.b must be 1"),
        (r#"{"b":"x"}"#, "sort.b must be 1"),
        (r#"{"b":true}"#, "sort.b must be 1"),
        (r#"{"a..b":1}"#, "sort has the path"),
        (&format!("{{{}}}", many.join(",")), "sort must have 32 keys at most"),
    ] {
        let error = Sort::parse(&value(text), At::root("sort")).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidQuery, "{text}");
        assert!(error.message.starts_with(expected), "{text}: {error}");
    }
    for (text, expected) in
        [("a,-a", "sort has the name \"a\" twice"), ("a,,b", "sort has the path")]
    {
        let error = Sort::from_names(text, At::root("sort")).unwrap_err();
        assert!(error.message.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn memory_is_bounded_by_what_is_kept() {
    let documents = || (0..1000).map(|number| Ok(value(&format!(r#"{{"a":{number}}}"#))));
    let ctx = Context::new(0, 8000, &|| Ok(()));
    let error = sort_documents(documents(), &sort(r#"{"a":-1}"#), None, &ctx).unwrap_err();
    assert_eq!(error.kind, Kind::QueryTooLarge);

    let ctx = Context::new(0, 8000, &|| Ok(()));
    let best = sort_documents(documents(), &sort(r#"{"a":-1}"#), Some(3), &ctx).unwrap();
    assert_eq!(best, [999, 998, 997].map(|number| value(&format!(r#"{{"a":{number}}}"#))));
    // What the documents take stays charged, and nothing more.
    let kept: usize = best.iter().map(Value::bytes).sum();
    assert!(ctx.charge(8000 - kept, "the rest").is_ok() && ctx.charge(1, "more").is_err());
}

#[test]
fn errors_among_the_items_end_the_sort() {
    let ctx = Context::new(0, 8000, &|| Ok(()));
    let items = [Ok(value("{}")), Err(At::root("item").invalid("is bad"))];
    assert!(sort_documents(items, &sort("{}"), None, &ctx).is_err());
}

fn documents() -> impl Strategy<Value = Vec<Value>> {
    let part =
        prop_oneof![Just("null"), Just("1"), Just("2.5"), Just("[]"), Just("[0,3]"), Just("\"x\"")];
    let document = (part.clone(), part).prop_map(|(a, b)| format!(r#""a":{a},"b":{b}"#));
    prop::collection::vec(document, 0..30).prop_map(|documents| {
        let numbered = documents.into_iter().enumerate();
        numbered.map(|(id, fields)| value(&format!(r#"{{"_id":{id},{fields}}}"#))).collect()
    })
}

proptest! {
    #[test]
    fn the_best_are_the_first_of_all(
        documents in documents(),
        limit in 0usize..35,
        order in prop_oneof![Just("a"), Just("-a"), Just("a,-b"), Just("-b,a")],
    ) {
        let order = Sort::from_names(order, At::root("sort")).unwrap();
        let mut all = documents.clone();
        all.sort_by(|a, b| order.compare_keys(&order.key(a), &order.key(b)));
        prop_assert_eq!(&sorted(documents.clone(), &order, None), &all);
        all.truncate(limit);
        prop_assert_eq!(sorted(documents, &order, Some(limit)), all);
    }
}
