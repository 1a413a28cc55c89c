use super::*;
use proptest::prelude::*;

/// Any value at all, numbers close to each other among them.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::Long),
        (-5i32..5).prop_map(Value::Int),
        (-5i64..5).prop_map(Value::Long),
        any::<f64>().prop_map(Value::Double),
        (-10i64..10).prop_map(|half| Value::Double(half as f64 / 2.0)),
        (1u64 << 53..(1 << 53) + 4).prop_map(|n| Value::Long(n as i64)),
        (1u64 << 53..(1 << 53) + 4).prop_map(|n| Value::Double(n as f64)),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(i64::MAX as f64)]
            .prop_map(Value::Double),
        (any::<i64>(), -40i64..40).prop_map(|(digits, power)| decimal(digits, power)),
        (-9i64..9, prop_oneof![6070i64..6111, -6176i64..-6140])
            .prop_map(|(digits, power)| decimal(digits, power)),
        proptest::sample::select(&["-0", "0E+3", "NaN", "Infinity", "-Infinity", "5.00"][..])
            .prop_map(number),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers,
        bson_only(),
        regex(),
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

fn decimal(digits: i64, power: i64) -> Value {
    let number = bigdecimal::BigDecimal::new(digits.into(), -power);
    number::decimal(Decimal::round(number, false))
}

/// Regular expressions as values, which a filter takes for patterns.
pub(crate) fn regex() -> impl Strategy<Value = Value> {
    let pattern = prop::sample::select(&["", "a", "^a", "a\u{1}", "b$"][..]);
    let options = prop::sample::select(&["", "i", "ms", "si"][..]);
    (pattern, options).prop_map(|(pattern, options)| {
        Value::Regex(Box::new(Regex::new(pattern, options).unwrap()))
    })
}

/// Values of further types that JSON does not have.
pub(crate) fn bson_only() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::MinKey),
        Just(Value::MaxKey),
        prop::sample::select(&[(0, 0), (0, 1), (1, 0), (u32::MAX, 2)][..])
            .prop_map(|(seconds, number)| Value::Timestamp(seconds, number)),
        (
            prop::sample::select(&["", "a", "a\0"][..]),
            prop::option::of(prop::sample::select(&[0, 1][..]))
        )
            .prop_map(|(text, scope)| {
                let scope = scope.map(|one| Object::from([("x".to_owned(), Value::Int(one))]));
                Value::Code(Box::new(Code { text: text.to_owned(), scope }))
            }),
    ]
}

fn parse(text: &str) -> Value {
    let json = serde_json::from_str(text).unwrap();
    from_json(json, crate::query::context::At::root("value")).unwrap()
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
        "{\"$minKey\":1}",
        "null",
        "{\"$numberDouble\":\"NaN\"}",
        "{\"$numberDecimal\":\"-Infinity\"}",
        "-1",
        "{\"$numberLong\":\"0\"}",
        "{\"$numberDecimal\":\"1E-6176\"}",
        "{\"$numberDouble\":\"Infinity\"}",
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
        "{\"$timestamp\":{\"t\":0,\"i\":1}}",
        "{\"$timestamp\":{\"t\":1,\"i\":0}}",
        "{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"x\"}}",
        "{\"$regularExpression\":{\"pattern\":\"b\",\"options\":\"i\"}}",
        "{\"$regularExpression\":{\"pattern\":\"b\",\"options\":\"im\"}}",
        "{\"$code\":\"a\"}",
        "{\"$code\":\"b\"}",
        "{\"$code\":\"a\",\"$scope\":{}}",
        "{\"$code\":\"a\",\"$scope\":{\"x\":1}}",
        "{\"$maxKey\":1}",
    ];
    // Through the keys of an index too.
    for pair in ordered.windows(2) {
        let key = |text: &str| {
            let mut key = Vec::new();
            crate::index::encode::encode(&parse(text), &mut key);
            key
        };
        assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
    }
    for pair in ordered.windows(2) {
        assert_eq!(compare(&parse(pair[0]), &parse(pair[1])), Ordering::Less, "{pair:?}");
    }
}

#[test]
fn extended_json_comes_out_relaxed() {
    for (given, written) in [
        ("{\"$numberLong\":\"5\"}", "5"),
        ("{\"$numberLong\":\"5000000000\"}", "5000000000"),
        ("{\"$numberInt\":\"5\"}", "5"),
        (
            "{\"a\":[{\"$numberLong\":\"-7\"},\"{\\\"$numberLong\\\":\\\"5\\\"}\"]}",
            "{\"a\":[-7,\"{\\\"$numberLong\\\":\\\"5\\\"}\"]}",
        ),
        ("{\"$minKey\":1}", "{\"$minKey\":1}"),
        ("{\"$maxKey\":{\"$numberInt\":\"1\"}}", "{\"$maxKey\":1}"),
        (
            "{\"$timestamp\":{\"t\":4294967295,\"i\":2}}",
            "{\"$timestamp\":{\"t\":4294967295,\"i\":2}}",
        ),
        (
            "{\"$regularExpression\":{\"options\":\"xi\",\"pattern\":\"^a\"}}",
            "{\"$regularExpression\":{\"pattern\":\"^a\",\"options\":\"ix\"}}",
        ),
        ("{\"$code\":\"f()\"}", "{\"$code\":\"f()\"}"),
        (
            "{\"$scope\":{\"a\":{\"$numberLong\":\"1\"}},\"$code\":\"f()\"}",
            "{\"$code\":\"f()\",\"$scope\":{\"a\":1}}",
        ),
        ("{\"$numberDouble\":\"5\"}", "5.0"),
        ("{\"$numberDouble\":\"-Infinity\"}", "{\"$numberDouble\":\"-Infinity\"}"),
        ("{\"$numberDecimal\":\"1.50\"}", "{\"$numberDecimal\":\"1.50\"}"),
        ("{\"$date\":{\"$numberLong\":\"0\"}}", "{\"$date\":\"1970-01-01T00:00:00Z\"}"),
        ("{\"$date\":\"2024-02-29T12:00:00.5+02:00\"}", "{\"$date\":\"2024-02-29T10:00:00.500Z\"}"),
        ("{\"$date\":-1}", "{\"$date\":{\"$numberLong\":\"-1\"}}"),
        ("{\"$date\":\"9999-12-31T23:59:59.999Z\"}", "{\"$date\":\"9999-12-31T23:59:59.999Z\"}"),
        ("{\"$date\":253402300799999}", "{\"$date\":\"9999-12-31T23:59:59.999Z\"}"),
        (
            "{\"$date\":\"9999-12-31T23:00-02:00\"}",
            "{\"$date\":{\"$numberLong\":\"253402304400000\"}}",
        ),
        (
            "{\"$binary\":\"AQI=\",\"$type\":\"80\"}",
            "{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"80\"}}",
        ),
        ("18446744073709551615", "18446744073709551615"),
        ("{\"$ref\":\"x\",\"a\":1}", "{\"$ref\":\"x\",\"a\":1}"),
    ] {
        let shown = |value: Value| {
            String::from_utf8(relaxed(value.to_json().as_bytes()).into_owned()).unwrap()
        };
        assert_eq!(shown(parse(given)), written);
        assert_eq!(shown(parse_stored(given.as_bytes()).unwrap()), written);
    }
}

#[test]
fn in_canonical_form_every_number_says_its_type() {
    let stored = r#"{"_id":1,"l":{"$numberLong":"5"},"d":[1.0,-0.0,1e300],"u":18446744073709551615,
        "t":{"$date":"2024-02-29T10:00:00Z"},"s":{"$code":"x","$scope":{"n":1}},"b":true}"#;
    let written = canonical(stored.as_bytes()).into_owned();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        concat!(
            r#"{"_id":{"$numberInt":"1"},"l":{"$numberLong":"5"},"d":[{"$numberDouble":"1.0"},"#,
            r#"{"$numberDouble":"-0.0"},{"$numberDouble":"1e300"}],"#,
            r#""u":{"$numberDecimal":"18446744073709551615"},"#,
            r#""t":{"$date":{"$numberLong":"1709200800000"}},"#,
            r#""s":{"$code":"x","$scope":{"n":{"$numberInt":"1"}}},"b":true}"#,
        )
    );
    let around = br#"{"n":{"$numberLong":"5"},"results":[{"matched":1,"document":{"n":1}}]}"#;
    let written = canonical_in(around, &["document"]).into_owned();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        r#"{"n":5,"results":[{"matched":1,"document":{"n":{"$numberInt":"1"}}}]}"#
    );
}

#[test]
fn what_only_looks_like_extended_json_is_refused_with_its_place() {
    for text in [
        "{\"$date\":\"soon\"}",
        "{\"$oid\":\"12\"}",
        "{\"$numberLong\":\"1.5\"}",
        "{\"$numberDecimal\":\"1E+99999999999\"}",
        "{\"$numberDecimal\":\"1E-6177\"}",
        "{\"$date\":1,\"b\":2}",
        "{\"$numberInt\":\"2147483648\"}",
        "{\"$timestamp\":{\"t\":-1,\"i\":0}}",
        "{\"$timestamp\":{\"t\":1}}",
        "{\"$regularExpression\":{\"pattern\":\"a\\u0000\",\"options\":\"\"}}",
        "{\"$minKey\":2}",
        "{\"$code\":1}",
        "{\"$code\":\"\",\"$scope\":1}",
        "{\"$scope\":{}}",
        "{\"$symbol\":\"a\"}",
        "{\"$undefined\":true}",
        "{\"$binary\":{\"base64\":\"*\",\"subType\":\"00\"}}",
    ] {
        let json =
            serde_json::json!({"a": [serde_json::from_str::<serde_json::Value>(text).unwrap()]});
        let error = from_json(json, crate::query::context::At::root("filter")).unwrap_err();
        assert!(error.message.starts_with("filter.a[0].$"), "{error}");
    }
}

#[test]
fn only_wanted_fields_are_built() {
    let json = br#"{"_id":1,"a":{"b":[1,2]},"c\"":"x","d":{"$date":0}}"#;
    let some = parse_fields(json, |name| name == "d" || name == "c\"").unwrap();
    assert_eq!(some.to_json(), r#"{"c\"":"x","d":{"$date":"1970-01-01T00:00:00Z"}}"#);
}

fn number(text: &str) -> Value {
    number::decimal(Decimal::parse(text).unwrap())
}

#[test]
fn decimals_are_those_of_decimal128_and_are_written_as_it_writes_them() {
    for (given, written) in [
        ("0", "0"),
        ("-0.00", "-0.00"),
        ("0.00", "0.00"),
        ("1.50E+3", "1.50E+3"),
        ("-0E-7", "-0E-7"),
        ("nan", "NaN"),
        ("-inf", "-Infinity"),
        ("1.50", "1.50"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("1e20", "1E+20"),
        ("12.5e3", "1.25E+4"),
        ("1E6144", "1.000000000000000000000000000000000E+6144"),
        ("1E-6176", "1E-6176"),
        ("0e-999999999", "0E-6176"),
        ("0e999999999", "0E+6111"),
        ("9.999999999999999999999999999999999E6144", "9.999999999999999999999999999999999E+6144"),
        ("1234567890123456789012345678901234.000", "1234567890123456789012345678901234"),
    ] {
        let value = number(given);
        let json = format!("{{\"$numberDecimal\":\"{written}\"}}");
        assert_eq!(value.to_json(), json, "{given}");
        assert_eq!(parse_stored(json.as_bytes()).unwrap().to_json(), json);
    }
    for text in [
        "1E6145",
        "1E-6177",
        "1e-999999999",
        "1E99999999999999999999",
        "1e",
        "1_0",
        "12345678901234567890123456789012345",
        "0.00000000000000000000000000000000012345678901234567890123456789012345",
    ] {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }
}

/// Counting zeros up to an exponent took minutes of one core and gigabytes.
#[test]
fn no_calculation_takes_longer_for_a_larger_exponent() {
    let (huge, tiny) = (number("7E6111"), number("-3E-6176"));
    let (one, zero) = (Value::Int(1), number("0E-6176"));
    for _ in 0..10_000 {
        assert_eq!(compare(&huge, &tiny), Ordering::Greater);
        assert_eq!(compare(&huge, &one), Ordering::Greater);
        assert_eq!(compare(&tiny, &zero), Ordering::Less);
        assert_eq!(number::add(&huge, &tiny), huge);
        assert_eq!(number::subtract(&tiny, &zero), tiny);
        assert_eq!(number::multiply(&tiny, &tiny), zero);
        assert_eq!(number::divide(&huge, &number("7E6111")), Some(one.clone()));
        assert_eq!(number::remainder(&huge, &number("3E-6000")), Some(number("1E-6000")));
        assert_eq!(number::remainder(&number("1E-6176"), &huge), Some(number("1E-6176")));
        assert_eq!(number::truncated(&huge), None);
        assert_eq!(number::truncated(&tiny), Some(0));
        assert_eq!(number::nearest(&huge), f64::INFINITY);
    }
    let infinite = number::multiply(&huge, &huge);
    assert_eq!(infinite.to_json(), r#"{"$numberDecimal":"Infinity"}"#);
    assert_eq!(number::divide(&one, &number("0E-6000")), None);
    assert!(number::divide(&one, &number("1E-400")).is_some());
}

#[test]
fn sums_of_distant_decimals_are_rounded_as_if_they_were_exact() {
    let nines = "9.999999999999999999999999999999999E+300";
    for (a, b, sum) in [
        ("1E+300", "1E-300", "1.000000000000000000000000000000000E+300"),
        ("1E+300", "-1E-300", "1.000000000000000000000000000000000E+300"),
        ("1E+300", "0E-300", "1.000000000000000000000000000000000E+300"),
        ("0E+300", "1.5", "1.5"),
        (nines, "5E+266", "1.000000000000000000000000000000000E+301"),
        (nines, "4.9E+266", nines),
        (nines, "1E-6000", nines),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            let Value::Decimal(found) = number::add(&number(a), &number(b)) else {
                panic!("{a} + {b} is no decimal")
            };
            assert_eq!(found.to_string(), sum, "{a} + {b}");
        }
    }
}

/// Sets and groups became slow by numbers that have the same nearest double.
#[test]
fn numbers_between_two_doubles_have_different_hashes() {
    use std::hash::{BuildHasher, RandomState};
    let hasher = RandomState::new();
    let tiny = (0..1000).map(|digits| hasher.hash_one(number(&format!("{digits}E-5000"))));
    assert_eq!(tiny.collect::<std::collections::BTreeSet<_>>().len(), 1000);
    assert_eq!(hasher.hash_one(number("5.0")), hasher.hash_one(Value::Int(5)));
    let large = i64::MAX - 1;
    assert_eq!(hasher.hash_one(number(&large.to_string())), hasher.hash_one(Value::Long(large)));
}

#[test]
fn what_is_too_deep_for_readers_of_text_is_refused() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let at = crate::query::context::At::root("filter");
    let read = |text: &str| {
        // Without the limit of that reader.
        let mut json = serde_json::json!(1);
        (0..text_levels(text)).for_each(|_| json = serde_json::json!([json.take()]));
        from_json(json, at)
    };
    let deepest = read(&nested(LEVELS_MAX)).unwrap();
    assert_eq!(deepest.depth(), LEVELS_MAX);
    assert_eq!(parse_stored(deepest.to_json().as_bytes()), Some(deepest));
    let error = read(&nested(LEVELS_MAX + 1)).unwrap_err();
    assert_eq!((error.kind.code(), &error.message[..6]), ("too_deep", "filter"));
    assert_eq!(text_levels(r#"{"a[[[\"[[":[{"b":"]"},2]}"#), 3);
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
        prop_assert_eq!(back.to_json(), text.clone());
        prop_assert_eq!(&back, &value);
        // In canonical form nothing is lost; the relaxed one loses which integers had 64 bits.
        let canonical = canonical(text.as_bytes());
        prop_assert_eq!(parse_stored(&canonical).unwrap().to_json(), text.clone());
        let relaxed = parse_stored(&relaxed(text.as_bytes())).unwrap();
        prop_assert_eq!(&relaxed, &value);
    }
}
