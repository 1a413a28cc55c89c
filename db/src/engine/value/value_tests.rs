use super::*;
use proptest::prelude::*;

/// Any value at all, numbers close to each other among them.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-5i64..5).prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        (-10i64..10).prop_map(|half| Value::Double(half as f64 / 2.0)),
        (1u64 << 53..(1 << 53) + 4).prop_map(|n| Value::Int(n as i64)),
        (1u64 << 53..(1 << 53) + 4).prop_map(|n| Value::Double(n as f64)),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(i64::MAX as f64)]
            .prop_map(Value::Double),
        (any::<i64>(), -40i64..40).prop_map(|(digits, scale)| Value::Decimal(Box::new(
            Decimal::new(digits.into(), scale)
        ))),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        "[\\x00-\\x02a-c]{0,4}".prop_map(Value::String),
        any::<(u8, [u8; 2])>().prop_map(|(kind, bytes)| Value::Binary(kind, bytes.to_vec())),
        any::<[u8; 12]>().prop_map(Value::ObjectId),
        any::<i32>().prop_map(|ms| Value::Date(i64::from(ms) * 1001)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec(("[a-c]{1,2}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn parse(text: &str) -> Value {
    let json = serde_json::from_str(text).unwrap();
    from_json(json, crate::engine::query::context::At::root("value")).unwrap()
}

#[test]
fn numbers_compare_exactly_over_all_types() {
    for (small, large) in [
        ("9007199254740992", "9007199254740993"),
        ("9007199254740992.0", "9007199254740993"),
        ("9223372036854775807", "9223372036854775808.0"),
        ("9223372036854775807", "18446744073709551615"),
        ("0.1", "{\"$numberDecimal\":\"0.1000000000000000056\"}"),
        ("{\"$numberDecimal\":\"0.1\"}", "0.1"),
        ("{\"$numberDouble\":\"NaN\"}", "{\"$numberDouble\":\"-Infinity\"}"),
        ("{\"$numberDouble\":\"-Infinity\"}", "{\"$numberDecimal\":\"-1E+6000\"}"),
        ("{\"$numberDecimal\":\"1E+6000\"}", "{\"$numberDouble\":\"Infinity\"}"),
        ("-1.5", "-1"),
    ] {
        assert_eq!(compare(&parse(small), &parse(large)), Ordering::Less, "{small} {large}");
        assert_eq!(compare(&parse(large), &parse(small)), Ordering::Greater, "{large} {small}");
    }
    assert_eq!(parse("5"), parse("5.0"));
    assert_eq!(parse("0"), parse("-0.0"));
    assert_eq!(parse("{\"$numberDecimal\":\"5.00\"}"), parse("5"));
}

#[test]
fn types_have_mongodbs_order() {
    let ordered = [
        "null",
        "{\"$numberDouble\":\"NaN\"}",
        "-1",
        "\"\"",
        "\"a\"",
        "{}",
        "{\"a\":1}",
        "[]",
        "[null]",
        "{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}",
        "{\"$oid\":\"0123456789abcdef01234567\"}",
        "false",
        "true",
        "{\"$date\":\"1969-12-31T00:00:00Z\"}",
        "{\"$date\":1}",
    ];
    for pair in ordered.windows(2) {
        assert_eq!(compare(&parse(pair[0]), &parse(pair[1])), Ordering::Less, "{pair:?}");
    }
}

#[test]
fn extended_json_comes_out_relaxed() {
    for (given, written) in [
        ("{\"$numberLong\":\"5\"}", "5"),
        ("{\"$numberDouble\":\"5\"}", "5.0"),
        ("{\"$numberDouble\":\"-Infinity\"}", "{\"$numberDouble\":\"-Infinity\"}"),
        ("{\"$numberDecimal\":\"1.50\"}", "{\"$numberDecimal\":\"1.50\"}"),
        ("{\"$date\":{\"$numberLong\":\"0\"}}", "{\"$date\":\"1970-01-01T00:00:00Z\"}"),
        ("{\"$date\":\"2024-02-29T12:00:00.5+02:00\"}", "{\"$date\":\"2024-02-29T10:00:00.500Z\"}"),
        ("{\"$date\":-1}", "{\"$date\":{\"$numberLong\":\"-1\"}}"),
        (
            "{\"$binary\":\"AQI=\",\"$type\":\"80\"}",
            "{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"80\"}}",
        ),
        ("18446744073709551615", "18446744073709551615"),
        ("{\"$ref\":\"x\",\"a\":1}", "{\"$ref\":\"x\",\"a\":1}"),
    ] {
        assert_eq!(parse(given).to_json(), written);
        assert_eq!(parse_stored(given.as_bytes()).unwrap().to_json(), written);
    }
}

#[test]
fn what_only_looks_like_extended_json_is_refused_with_its_place() {
    for text in [
        "{\"$date\":\"soon\"}",
        "{\"$oid\":\"12\"}",
        "{\"$numberLong\":\"1.5\"}",
        "{\"$numberDecimal\":\"1E+99999999999\"}",
        "{\"$date\":1,\"b\":2}",
        "{\"$binary\":{\"base64\":\"*\",\"subType\":\"00\"}}",
    ] {
        let json =
            serde_json::json!({"a": [serde_json::from_str::<serde_json::Value>(text).unwrap()]});
        let error = from_json(json, crate::engine::query::context::At::root("filter")).unwrap_err();
        assert!(error.message.starts_with("filter.a[0].$"), "{error}");
    }
}

#[test]
fn only_wanted_fields_are_built() {
    let json = br#"{"_id":1,"a":{"b":[1,2]},"c\"":"x","d":{"$date":0}}"#;
    let some = parse_fields(json, |name| name == "d" || name == "c\"").unwrap();
    assert_eq!(some.to_json(), r#"{"c\"":"x","d":{"$date":"1970-01-01T00:00:00Z"}}"#);
}

proptest! {
    #[test]
    fn order_is_total_and_equality_and_hash_agree(a in any_value(), b in any_value(), c in any_value()) {
        use std::hash::{BuildHasher, RandomState};
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b) != Ordering::Greater && compare(&b, &c) != Ordering::Greater {
            prop_assert_ne!(compare(&a, &c), Ordering::Greater);
        }
        let hasher = RandomState::new();
        if a == b {
            prop_assert_eq!(hasher.hash_one(&a), hasher.hash_one(&b));
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same(value in any_value()) {
        let text = value.to_json();
        let back = parse_stored(text.as_bytes()).unwrap();
        prop_assert_eq!(back.to_json(), text);
        prop_assert_eq!(back, value);
    }
}
