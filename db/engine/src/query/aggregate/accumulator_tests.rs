use super::super::tests::{run, run_in, value};
use super::super::{At, Pipeline};
use crate::value::{Object, Value};
use proptest::prelude::*;

/// What an accumulator of `$a` gives for one group.
fn accumulated(accumulator: &str, input: &str) -> String {
    let pipeline =
        format!(r#"[{{"$group":{{"_id":null,"r":{accumulator}}}}},{{"$project":{{"_id":0}}}}]"#);
    let output = run(input, &pipeline, &[]);
    let result = output.strip_prefix("{\"r\":").and_then(|rest| rest.strip_suffix('}'));
    result.map_or(output.clone(), str::to_owned)
}

#[test]
fn accumulators_compute_over_a_group() {
    let mixed = r#"[{"a":3},{"a":null},{"a":"x"},{},{"a":1}]"#;
    for (accumulator, input, expected) in [
        (r#"{"$sum":"$a"}"#, mixed, "4"),
        (r#"{"$sum":"$a"}"#, r#"[{"a":"x"}]"#, "0"),
        (r#"{"$sum":"$a"}"#, r#"[{"a":[1,2]}]"#, "0"),
        (r#"{"$sum":"$a"}"#, r#"[{"a":1},{"a":0.5}]"#, "1.5"),
        (r#"{"$sum":"$a"}"#, r#"[{"a":9223372036854775807},{"a":1}]"#, "9.223372036854776e+18"),
        (
            r#"{"$sum":"$a"}"#,
            r#"[{"a":9223372036854775807},{"a":1},{"a":-2}]"#,
            "9223372036854775806",
        ),
        (r#"{"$sum":"$a"}"#, r#"[{"a":1e100},{"a":1.0},{"a":-1e100}]"#, "1.0"),
        (
            r#"{"$sum":"$a"}"#,
            r#"[{"a":9007199254740993},{"a":0.0},{"a":-9007199254740992}]"#,
            "1.0",
        ),
        (
            r#"{"$sum":"$a"}"#,
            r#"[{"a":{"$numberDecimal":"0.1"}},{"a":{"$numberDecimal":"0.2"}},{"a":1}]"#,
            r#"{"$numberDecimal":"1.3"}"#,
        ),
        (
            r#"{"$sum":"$a"}"#,
            r#"[{"a":{"$numberDecimal":"0.1"}},{"a":0.25}]"#,
            r#"{"$numberDecimal":"0.35"}"#,
        ),
        (r#"{"$avg":"$a"}"#, mixed, "2.0"),
        (r#"{"$avg":"$a"}"#, r#"[{"a":"x"}]"#, "null"),
        (
            r#"{"$avg":"$a"}"#,
            r#"[{"a":{"$numberDecimal":"1"}},{"a":2}]"#,
            r#"{"$numberDecimal":"1.5"}"#,
        ),
        (r#"{"$min":"$a"}"#, mixed, "1"),
        (r#"{"$max":"$a"}"#, mixed, "\"x\""),
        (r#"{"$min":"$a"}"#, r#"[{},{"a":null}]"#, "null"),
        (r#"{"$first":"$a"}"#, mixed, "3"),
        (r#"{"$first":"$a"}"#, r#"[{},{"a":1}]"#, "null"),
        (r#"{"$last":"$a"}"#, mixed, "1"),
        (r#"{"$last":"$a"}"#, r#"[{"a":1},{}]"#, "null"),
        (r#"{"$push":"$a"}"#, mixed, r#"[3,null,"x",1]"#),
        (r#"{"$push":{"v":"$a"}}"#, r#"[{"a":1},{}]"#, r#"[{"v":1},{}]"#),
        (
            r#"{"$addToSet":"$a"}"#,
            r#"[{"a":2},{"a":1},{"a":2.0},{},{"a":null},{"a":[1]},{"a":[1]}]"#,
            "[2,1,null,[1]]",
        ),
        (r#"{"$count":{}}"#, mixed, "5"),
        (
            r#"{"$stdDevPop":"$a"}"#,
            r#"[{"a":2},{"a":4},{"a":4},{"a":4},{"a":5},{"a":5},{"a":7},{"a":9},{"a":"x"}]"#,
            "2.0",
        ),
        (r#"{"$stdDevSamp":"$a"}"#, r#"[{"a":1},{"a":3}]"#, "1.4142135623730951"),
        (r#"{"$stdDevSamp":"$a"}"#, r#"[{"a":1}]"#, "null"),
        (r#"{"$stdDevPop":"$a"}"#, r#"[{"a":1}]"#, "0.0"),
        (r#"{"$stdDevPop":"$a"}"#, r#"[{}]"#, "null"),
        (
            r#"{"$mergeObjects":"$a"}"#,
            r#"[{"a":{"x":1,"y":2}},{},{"a":null},{"a":{"y":3,"z":4}}]"#,
            r#"{"x":1,"y":3,"z":4}"#,
        ),
        (
            r#"{"$mergeObjects":"$a"}"#,
            r#"[{"a":1}]"#,
            "not_applicable: \"r\": $mergeObjects takes objects, not a value of type int",
        ),
        (r#"{"$firstN":{"input":"$a","n":2}}"#, r#"[{},{"a":1},{"a":2}]"#, "[null,1]"),
        (r#"{"$lastN":{"input":"$a","n":2}}"#, r#"[{},{"a":1},{"a":2}]"#, "[1,2]"),
        (r#"{"$lastN":{"input":"$a","n":9}}"#, r#"[{"a":1},{"a":2}]"#, "[1,2]"),
    ] {
        assert_eq!(accumulated(accumulator, input), expected, "{accumulator} {input}");
    }
}

#[test]
fn infinities_stay_infinite() {
    let group = value(r#"[{"$group":{"_id":null,"r":{"$sum":"$a"}}}]"#);
    let pipeline = Pipeline::parse(&group, At::root("pipeline")).unwrap();
    let sum = |numbers: &[f64]| {
        let document =
            |number: &f64| Value::Object(Object::from([("a".to_owned(), Value::Double(*number))]));
        let output =
            run_in(&pipeline, numbers.iter().map(document).collect(), &[], 1 << 20).unwrap();
        output[0].as_object().unwrap()["r"].clone()
    };
    let (infinite, big) = (f64::INFINITY, f64::MAX);
    assert_eq!(sum(&[infinite, 1.0]), Value::Double(infinite));
    assert_eq!(sum(&[big, big]), Value::Double(infinite));
    assert_eq!(sum(&[infinite, -infinite]), Value::Double(f64::NAN));
}

proptest! {
    #[test]
    fn sums_and_averages_agree_with_exact_ones(numbers in prop::collection::vec(-1_000_000i64..1_000_000, 1..50)) {
        let input: Vec<_> = numbers.iter().map(|n| format!(r#"{{"a":{n}}}"#)).collect();
        let input = format!("[{}]", input.join(","));
        let sum: i64 = numbers.iter().sum();
        prop_assert_eq!(accumulated(r#"{"$sum":"$a"}"#, &input), sum.to_string());
        let average = Value::Double(sum as f64 / numbers.len() as f64).to_json();
        prop_assert_eq!(accumulated(r#"{"$avg":"$a"}"#, &input), average);
    }
}
