use super::*;
use crate::value::parse_stored;

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap()
}

/// The table of RFC 7396, appendix A.
const RFC_7396: &[(&str, &str, &str)] = &[
    (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
    (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
    (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
    (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
    (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
    (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
    (r#"{"a":"foo"}"#, "null", "null"),
    (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
    (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
    (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
    (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
];

#[test]
fn the_examples_of_the_rfc_hold() {
    for (target, patch, expected) in RFC_7396 {
        let mut found = value(target);
        assert!(merge(&mut found, &value(patch)), "{patch} changes {target}");
        assert_eq!(found.to_json(), *expected, "{patch} on {target}");
    }
}

#[test]
fn patches_tell_whether_they_changed_anything_and_keep_the_id() {
    for (target, patch, expected) in [
        (r#"{"_id":1,"a":{"b":[1]}}"#, r#"{"_id":1,"a":{"b":[1],"c":null}}"#, "false"),
        (r#"{"_id":1,"a":1}"#, r#"{"a":1.0}"#, "true"),
        (r#"{"_id":1,"a":{}}"#, r#"{"a":{}}"#, "false"),
        (r#"{"_id":1,"a":null}"#, r#"{"a":null}"#, "true"),
        (r#"{"_id":1}"#, r#"{}"#, "false"),
        (r#"{"a":1}"#, r#"{"_id":2}"#, "true"),
        (r#"{"_id":1}"#, r#"{"_id":2}"#, "the _id 1 of a document cannot change"),
        (r#"{"_id":1}"#, r#"{"_id":null}"#, "the _id 1 of a document cannot change"),
    ] {
        let (Value::Object(mut fields), Value::Object(patch)) = (value(target), value(patch))
        else {
            panic!("not objects");
        };
        let outcome = merge_patch(&mut fields, &patch);
        let outcome = outcome.map_or_else(|error| error.message, |changed| changed.to_string());
        assert_eq!(outcome, expected, "{patch:?} on {target}");
    }
}
