use super::*;
use crate::document::{check_document, parse_document, parse_json};
use crate::value::from_json;
use crate::value::tests::any_value;
use proptest::prelude::*;

const LIMITS: Limits = Limits { document_bytes_max: 4000, depth_max: 6, id_bytes_max: 20 };

/// What the tree of values gives.
fn by_tree(text: &str) -> Option<NewDocument> {
    let json = parse_json(text.as_bytes(), &LIMITS).ok()?;
    check_document(from_json(json, At::root("document")).ok()?, &LIMITS).ok()
}

fn rewritten(text: &str) -> Option<NewDocument> {
    serde_json::from_str::<Rewritten>(text).ok()?.within(&LIMITS, 0)
}

fn wide(fields: usize) -> String {
    let fields: Vec<_> = (0..fields).map(|at| format!("\"f{at}\":{at}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn documents_are_rewritten_as_the_tree_of_values_writes_them() {
    for text in [
        "{}",
        r#" { "a" : 1 , "b" : [ ] , "c" : { } } "#,
        r#"{"a":[1,[2,{}],{"b":null}],"_id":7,"c":true}"#,
        r#"{"_id":{"$oid":"0123456789abcdef01234567"},"a":{"$date":"2020-01-01T00:00:00Z"}}"#,
        r#"{"a":{"$numberLong":"5"},"b":[{"$numberDecimal":"1.50"},{"$numberInt":"1"}]}"#,
        r#"{"a":-0,"b":1.0,"c":1e5,"d":9007199254740993,"e":18446744073709551615,"f":1e-7}"#,
        r#"{"\u00e4\n":"\ud83d\ude00 \\ \" \u0001 /","x":"é"}"#,
        r#"{"a":{"$x":1,"$ref":"c"},"$y":2}"#,
        r#"{"a":{"b":{"c":{"d":[]}}}}"#,
        r#"{"_id":{"a":1}}"#,
        &wide(100),
    ] {
        assert_eq!(rewritten(text), by_tree(text), "{text}");
        assert!(rewritten(text).is_some(), "{text}");
    }
}

#[test]
fn what_is_refused_is_left_to_the_tree_of_values() {
    let twice = wide(100).replace("\"f99\"", "\"f98\"");
    let early = wide(100).replace("\"f99\"", "\"f3\"");
    for text in [
        "",
        "[]",
        "{} {}",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"_id":1,"_id":2}"#,
        r#"{"_id":{"a":1,"a":2}}"#,
        r#"{"_id":null}"#,
        r#"{"_id":[1]}"#,
        r#"{"_id":"123456789 123456789"}"#,
        r#"{"a":{"$date":"soon"}}"#,
        r#"{"a":{"$oid":"0123456789abcdef01234567","$oid":"0123456789abcdef01234567"}}"#,
        r#"{"a":{"x":1,"$date":1}}"#,
        r#"{"$date":1}"#,
        r#"{"a":{"$code":"f","$scope":{"x":1,"$oid":1}}}"#,
        r#"{"a\u0000":1}"#,
        r#"{"a":{"b":{"c":{"d":{"e":[[]]}}}}}"#,
        r#"{"a":{"b":{"c":{"d":[{"$date":{"$numberLong":"1"}}]}}}}"#,
        &format!("{{\"a\":[{}1e15]}}", "1e15,".repeat(400)),
        &twice,
        &early,
    ] {
        assert_eq!(rewritten(text), None, "{text}");
        assert_eq!(by_tree(text), None, "{text}");
        assert!(parse_document(text.as_bytes(), &LIMITS).is_err(), "{text}");
    }
}

#[test]
fn levels_around_a_document_count() {
    let document = || serde_json::from_str::<Rewritten>(r#"{"a":[{}]}"#).unwrap();
    assert!(document().within(&LIMITS, 3).is_some());
    assert_eq!(document().within(&LIMITS, 4), None);
}

proptest! {
    #[test]
    fn any_document_is_rewritten_as_the_tree_of_values_writes_it(
        fields in proptest::collection::vec(("[a-c$\\\\\"]{0,3}|_id", any_value()), 0..6),
    ) {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name:?}:{}", value.to_json())).collect();
        let text = format!("{{{}}}", fields.join(" , "));
        prop_assert_eq!(rewritten(&text), by_tree(&text), "{}", text);
    }

    #[test]
    fn any_text_is_rewritten_only_as_the_tree_of_values_writes_it(
        text in "[{}\\[\\]\",:a$\\\\0.e_id -]{0,40}"
    ) {
        let text = format!("{{\"a\":{text}}}");
        if let Some(new) = rewritten(&text) {
            prop_assert_eq!(Some(new), by_tree(&text));
        }
    }
}
