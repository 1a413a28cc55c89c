use super::*;
use crate::error::ErrorClass;
use crate::error::violation::violation_error;
use crate::value::parse_stored;
use proptest::prelude::*;

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap()
}

fn parse(json: &str) -> Result<Rules> {
    Rules::parse(&value(json), At::root("_rules"))
}

/// Has the value 1 in `teams._id` and nothing else.
struct Teams;

impl References for Teams {
    fn exists(&self, collection: &str, field: &Path, value: &Value) -> Result<bool> {
        Ok(collection == "teams" && field.as_str() == "_id" && *value == Value::Int(1))
    }

    fn in_force(&self, _: &Reference) -> bool {
        true
    }
}

fn broken(rule: &str, document: &str) -> String {
    let rules = parse(&format!(r#"{{"_id": "r", "people": [{rule}]}}"#)).unwrap();
    let violations = rules.check("people", &value(document), &Teams).unwrap();
    let all = violations
        .iter()
        .map(|it| format!("{} {} {}: {}", it.path, it.rule, it.expected, it.found));
    all.collect::<Vec<_>>().join("; ")
}

#[test]
fn rules_follow_a_collection_to_its_new_name() {
    let reference = |target: &str, inside: bool| {
        let names = format!(r#""collectionreferenced":"{target}","externalfield":"_id""#);
        match inside {
            false => format!(r#"{{"a":{{"type":"referenced",{names}}}}}"#),
            true => format!(r#"{{"a":{{"type":"referenced","value":{{{names}}}}}}}"#),
        }
    };
    let min = r#"{"b":{"type":"min_value","value":1}}"#;
    for (document, renamed) in [
        (format!(r#"{{"o":[{min}]}}"#), None),
        (format!(r#"{{"t":[{min}],"o":[]}}"#), Some(format!(r#"{{"u":[{min}],"o":[]}}"#))),
        (
            format!(r#"{{"o":[{}],"u":[{min}],"t":[{min}]}}"#, reference("t", false)),
            Some(format!(r#"{{"o":[{}],"u":[{min},{min}]}}"#, reference("u", false))),
        ),
        (
            format!(r#"{{"t":[{}]}}"#, reference("t", true)),
            Some(format!(r#"{{"u":[{}]}}"#, reference("u", true))),
        ),
        (format!(r#"{{"_note":[{}]}}"#, reference("t", false)), None),
        (r#"{"o":[{"b":{"type":"min_value","collectionreferenced":"t"}}]}"#.to_owned(), None),
        (r#"{"o":"t","x":[["t"]]}"#.to_owned(), None),
    ] {
        let mut fields = value(&document).as_object().cloned().unwrap();
        assert_eq!(rename(&mut fields, "t", "u"), renamed.is_some(), "{document}");
        assert_eq!(Value::Object(fields).to_json(), renamed.unwrap_or(document));
    }
}

#[test]
fn rules_pass_and_refuse() {
    let not_null = r#"{"a": {"type": "validation", "value": "notnull"}}"#;
    let not_empty = r#"{"a": {"type": "not_empty"}}"#;
    let min = r#"{"a": {"type": "min_value", "value": 2.5}}"#;
    let max = r#"{"a": {"type": "max_value", "value": "7"}}"#;
    let range = r#"{"a": {"type": "range", "value": "1, 9.5"}}"#;
    let list_range = r#"{"a": {"type": "range", "value": [1, 9]}}"#;
    let team =
        r#"{"a": {"type": "referenced", "collectionreferenced": "teams", "externalfield": "_id"}}"#;
    let inside = r#"{"a": {"type": "referenced", "value": {"collectionreferenced": "teams", "externalfield": "_id"}}}"#;
    let own = r#"{"a": {"type": "referenced", "collectionreferenced": "people", "externalfield": "_id"}}"#;
    let deep = r#"{"l.p": {"type": "non_negative"}}"#;
    for (rule, document, expected) in [
        (not_null, r#"{"a": 0}"#, ""),
        (not_null, r#"{"a": ""}"#, ""),
        (not_null, r#"{"a": null}"#, "a not_null present and not null: null"),
        (not_null, r#"{}"#, "a not_null present and not null: nothing"),
        (not_empty, r#"{"a": 0}"#, ""),
        (not_empty, r#"{"a": false}"#, ""),
        (not_empty, r#"{"a": ""}"#, r#"a not_empty present and not empty: """#),
        (not_empty, r#"{"a": []}"#, "a not_empty present and not empty: []"),
        (not_empty, r#"{"a": {}}"#, "a not_empty present and not empty: {}"),
        (not_empty, r#"{"a": null}"#, "a not_empty present and not empty: null"),
        (not_empty, r#"{}"#, "a not_empty present and not empty: nothing"),
        (min, r#"{"a": 2.5}"#, ""),
        (min, r#"{"a": "0"}"#, ""),
        (min, r#"{}"#, ""),
        (min, r#"{"a": null}"#, ""),
        (min, r#"{"a": 2}"#, "a min_value at least 2.5: 2"),
        (
            min,
            r#"{"a": {"$numberDecimal": "2.49"}}"#,
            r#"a min_value at least 2.5: {"$numberDecimal":"2.49"}"#,
        ),
        (max, r#"{"a": 7}"#, ""),
        (max, r#"{"a": 7.1}"#, "a max_value at most 7: 7.1"),
        (range, r#"{"a": 1}"#, ""),
        (range, r#"{"a": 9.5}"#, ""),
        (range, r#"{"a": 9.6}"#, "a range from 1 to 9.5: 9.6"),
        (list_range, r#"{"a": 0}"#, "a range from 1 to 9: 0"),
        (team, r#"{"a": 1}"#, ""),
        (team, r#"{"a": 1.0}"#, ""),
        (team, r#"{"a": null}"#, ""),
        (team, r#"{}"#, ""),
        (team, r#"{"a": {"_id": 1, "name": "x"}}"#, ""),
        (team, r#"{"a": {"name": "x"}}"#, ""),
        (team, r#"{"a": [1, {"_id": 1}, null]}"#, ""),
        (team, r#"{"a": 2}"#, "a referenced the _id of a document in teams: 2"),
        (team, r#"{"a": {"_id": 2}}"#, "a referenced the _id of a document in teams: 2"),
        (team, r#"{"a": [1, 3, 4]}"#, "a referenced the _id of a document in teams: 3"),
        (inside, r#"{"a": 2}"#, "a referenced the _id of a document in teams: 2"),
        (own, r#"{"_id": 5, "a": 5}"#, ""),
        (own, r#"{"_id": 5, "a": 6}"#, "a referenced the _id of a document in people: 6"),
        (deep, r#"{"l": [{"p": 1}, {"p": 0}]}"#, ""),
        (deep, r#"{"l": [{"p": 1}, {"p": -2}]}"#, "l.p non_negative at least 0: -2"),
        (deep, r#"{"l": {"p": -2}}"#, "l.p non_negative at least 0: -2"),
        (deep, r#"{"l": []}"#, ""),
        (
            r#"{"l.p": {"type": "not_null"}}"#,
            r#"{"l": [{"p": 1}, {}]}"#,
            "l.p not_null present and not null: nothing",
        ),
    ] {
        assert_eq!(broken(rule, document), expected, "{rule} of {document}");
    }
}

#[test]
fn what_is_no_rule_is_refused_with_its_place() {
    let types = format!("must be {TYPES}");
    for (rule, expected) in [
        (r#"[]"#, "_rules must be an object".to_owned()),
        (r#"{"c": 1}"#, r#"_rules.c must be a list of rules such as [{"age": {"type": "not_null"}}]"#.to_owned()),
        (r#"{"c": [1]}"#, r#"_rules.c[0] must be an object such as {"age": {"type": "not_null"}}"#.to_owned()),
        (r#"{"c": [{"a": 1}]}"#, r#"_rules.c[0].a must be an object such as {"type": "not_null"}"#.to_owned()),
        (r#"{"c": [{"a": {}}]}"#, format!("_rules.c[0].a.type {types}")),
        (r#"{"c": [{"a": {"type": "unique"}}]}"#, format!("_rules.c[0].a.type {types}, not \"unique\"")),
        (r#"{"c": [{"a": {"type": "validation", "value": "x"}}]}"#, "_rules.c[0].a.value must be one of notnull, not_null, notempty, not_empty, non_negative".to_owned()),
        (r#"{"c": [{"a": {"type": "min_value", "value": "x"}}]}"#, "_rules.c[0].a.value must be a number".to_owned()),
        (r#"{"c": [{"a": {"type": "min_value", "value": "NaN"}}]}"#, "_rules.c[0].a.value must be a number".to_owned()),
        (r#"{"c": [{"a": {"type": "max_value"}}]}"#, "_rules.c[0].a.value must be a number".to_owned()),
        (r#"{"c": [{"a": {"type": "range", "value": "1"}}]}"#, r#"_rules.c[0].a.value must be two numbers, "min,max" or [min, max]"#.to_owned()),
        (r#"{"c": [{"a": {"type": "range", "value": "1,x"}}]}"#, "_rules.c[0].a.value[1] must be a number".to_owned()),
        (r#"{"c": [{"a": {"type": "range", "value": [2, 1]}}]}"#, "_rules.c[0].a.value must have the smaller number first".to_owned()),
        (r#"{"c": [{"a": {"type": "referenced", "externalfield": "_id"}}]}"#, "_rules.c[0].a.collectionreferenced must be a name; a reference has collectionreferenced and externalfield".to_owned()),
        (r#"{"c": [{"a": {"type": "referenced", "collectionreferenced": "b", "externalfield": "x."}}]}"#, r#"_rules.c[0].a.externalfield has the path "x." with an empty part"#.to_owned()),
        (r#"{"c": [{"a..b": {"type": "not_null"}}]}"#, r#"_rules.c[0] has the path "a..b" with an empty part"#.to_owned()),
    ] {
        let error = parse(rule).unwrap_err();
        assert_eq!((error.kind, error.message), (Kind::InvalidQuery, expected), "{rule}");
    }
}

#[test]
fn stored_rules_that_are_none_are_passed_over() {
    let first = value(
        r#"{"c": [{"a": {"type": "unique"}, "b": {"type": "not_null"}}, 7], "d": 1, "_c": [{"a": {"type": "not_null"}}]}"#,
    );
    let second = value(r#"{"c": [{"b": {"type": "not_null"}}, {"x": {"type": "non_negative"}}]}"#);
    let rules = Rules::stored([&first, &second, &Value::Null]);
    let fields = rules.fields("c").map(Path::as_str).collect::<Vec<_>>();
    assert_eq!(fields, ["b", "x"]);
    assert_eq!(rules.fields("_c").count(), 0);
}

#[test]
fn merged_rules_hold_once() {
    let mut rules = parse(r#"{"c": [{"a": {"type": "not_null"}}]}"#).unwrap();
    rules.merge(
        parse(r#"{"c": [{"a": {"type": "notnull"}}], "d": [{"b": {"type": "notempty"}}]}"#)
            .unwrap(),
    );
    assert_eq!((rules.fields("c").count(), rules.fields("d").count()), (1, 1));
}

#[test]
fn references_are_known_from_both_sides() {
    let rules = parse(
        r#"{"people": [{"team.lead": {"type": "referenced", "collectionreferenced": "teams", "externalfield": "lead.id"}}],
            "rooms": [{"t": {"type": "referenced", "collectionreferenced": "teams", "externalfield": "_id"}}]}"#,
    )
    .unwrap();
    let names = |reference: &std::sync::Arc<Reference>| {
        let Reference { collection, field, inner_field, target, target_field } = &**reference;
        let paths = [field, inner_field, target_field].map(Path::as_str).join(" ");
        format!("{collection} {target} {paths}")
    };
    let expected = ["people teams team.lead team.lead.lead.id lead.id", "rooms teams t t._id _id"];
    assert_eq!(rules.referenced().map(names).collect::<Vec<_>>(), expected);
    assert_eq!(rules.referencing("teams").map(names).collect::<Vec<_>>(), expected);
    assert_eq!(rules.referencing("people").count(), 0);
    let error = referenced_error(rules.referencing("teams").next().unwrap(), &Value::Int(4));
    assert_eq!(error.kind, Kind::Referenced);
    let message = "the document of teams with lead.id 4 is referenced by team.lead of people";
    assert_eq!(error.message, message);
}

#[test]
fn the_error_names_the_first_violation() {
    let rules =
        parse(r#"{"c": [{"age": {"type": "non_negative"}}, {"name": {"type": "not_null"}}]}"#);
    let found = rules.unwrap().check("c", &value(r#"{"age": -1}"#), &Teams).unwrap();
    let error = violation_error(found);
    assert_eq!(error.kind.class(), ErrorClass::Unprocessable);
    assert_eq!(error.message, "age must be at least 0, found -1");
    assert_eq!(
        *error.details.unwrap(),
        json!({"violations": [
            {"path": "age", "rule": "non_negative", "expected": "at least 0", "found": "-1"},
            {"path": "name", "rule": "not_null", "expected": "present and not null", "found": "nothing"},
        ]})
    );
}

#[test]
fn a_failed_look_up_is_no_violation() {
    struct Broken;
    impl References for Broken {
        fn exists(&self, _: &str, _: &Path, _: &Value) -> Result<bool> {
            Err(Error::new(Kind::Internal, "damaged"))
        }

        fn in_force(&self, _: &Reference) -> bool {
            true
        }
    }
    let rule = r#"{"c": [{"a": {"type": "referenced", "collectionreferenced": "b", "externalfield": "_id"}}]}"#;
    let error = parse(rule).unwrap().check("c", &value(r#"{"a": 1}"#), &Broken).unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
}

#[test]
fn long_values_are_shown_in_part() {
    let document = format!(r#"{{"a": ["{}"]}}"#, "é".repeat(1000));
    let rule = r#"{"c": [{"a": {"type": "referenced", "collectionreferenced": "b", "externalfield": "_id"}}]}"#;
    let found = parse(rule).unwrap().check("c", &value(&document), &Teams).unwrap();
    assert_eq!(found[0].found.chars().count(), 120 + 1);
}

proptest! {
    #[test]
    fn bounds_agree_with_arithmetic(min in -50i64..50, span in 0i64..50, number in -200i64..200) {
        let max = min + span;
        let rule = format!(r#"{{"a": {{"type": "range", "value": "{min},{max}"}}}}"#);
        let passes = broken(&rule, &format!(r#"{{"a": {number}}}"#)).is_empty();
        prop_assert_eq!(passes, (min..=max).contains(&number));
    }

    #[test]
    fn no_document_makes_parsing_panic(text in "[{}\\[\\]\":,a-c0-9 ]{0,40}") {
        if let Some(document) = parse_stored(text.as_bytes()) {
            let _ = parse(&document.to_json());
            Rules::stored([&document]);
        }
    }
}
