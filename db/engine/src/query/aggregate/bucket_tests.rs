use super::super::tests::run;

#[test]
fn buckets_hold_ranges() {
    let input = r#"[{"a":5},{"a":0},{"a":10},{"a":19.5},{"a":5,"b":2},{"a":"x"},{}]"#;
    for (spec, expected) in [
        (
            r#"{"groupBy":"$a","boundaries":[0,5,20],"default":"other"}"#,
            r#"{"_id":0,"count":1} {"_id":5,"count":4} {"_id":"other","count":2}"#,
        ),
        (
            r#"{"groupBy":"$a","boundaries":[0,5,20],"default":-1,"output":{"sum":{"$sum":"$b"}}}"#,
            r#"{"_id":-1,"sum":0} {"_id":0,"sum":0} {"_id":5,"sum":2}"#,
        ),
        (
            r#"{"groupBy":"$a","boundaries":[0,5,20],"default":20}"#,
            r#"{"_id":0,"count":1} {"_id":5,"count":4} {"_id":20,"count":2}"#,
        ),
        (
            r#"{"groupBy":"$a","boundaries":["a","z"],"default":null}"#,
            r#"{"_id":null,"count":6} {"_id":"a","count":1}"#,
        ),
        (
            r#"{"groupBy":"$a","boundaries":[0,5]}"#,
            "not_applicable: $bucket has no bucket for a value of type int",
        ),
    ] {
        let output = run(input, &format!(r#"[{{"$bucket":{spec}}}]"#), &[]);
        assert_eq!(output.replace('\n', " "), expected, "{spec}");
    }
}

#[test]
fn even_buckets_keep_equal_values_together() {
    for (input, buckets, expected) in [
        ("[]", 3, ""),
        (
            r#"[{"a":3},{"a":1},{"a":2},{"a":4}]"#,
            2,
            r#"{"_id":{"min":1,"max":3},"count":2} {"_id":{"min":3,"max":4},"count":2}"#,
        ),
        (
            r#"[{"a":1},{"a":1},{"a":1},{"a":2}]"#,
            2,
            r#"{"_id":{"min":1,"max":2},"count":3} {"_id":{"min":2,"max":2},"count":1}"#,
        ),
        (
            r#"[{"a":1},{"a":2}]"#,
            9,
            r#"{"_id":{"min":1,"max":2},"count":1} {"_id":{"min":2,"max":2},"count":1}"#,
        ),
        (r#"[{"a":1},{"a":2},{"a":3}]"#, 1, r#"{"_id":{"min":1,"max":3},"count":3}"#),
    ] {
        let output = run(
            input,
            &format!(r#"[{{"$bucketAuto":{{"groupBy":"$a","buckets":{buckets}}}}}]"#),
            &[],
        );
        assert_eq!(output.replace('\n', " "), expected, "{input} {buckets}");
    }
}

#[test]
fn bad_buckets_are_refused() {
    for (stage, expected) in [
        (r#"{"$bucket":{"groupBy":"$a"}}"#, "$bucket must have \"boundaries\""),
        (r#"{"$bucket":{"boundaries":[0,1]}}"#, "$bucket must have \"groupBy\""),
        (
            r#"{"$bucket":{"groupBy":"a","boundaries":[0,1]}}"#,
            "$bucket.groupBy must be an expression, such as \"$field\"",
        ),
        (r#"{"$bucketAuto":{"groupBy":5,"buckets":2}}"#, "$bucketAuto.groupBy must be an"),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0]}}"#,
            "$bucket.boundaries must have at least two",
        ),
        (r#"{"$bucket":{"groupBy":"$a","boundaries":5}}"#, "$bucket.boundaries must be an array"),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":["$b",2]}}"#,
            "$bucket.boundaries must be a constant",
        ),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0,2,1]}}"#,
            "$bucket.boundaries[2] must be more than",
        ),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0,0]}}"#,
            "$bucket.boundaries[1] must be more than",
        ),
        (r#"{"$bucket":{"groupBy":"$a","boundaries":[0,"a"]}}"#, "$bucket.boundaries[1] must be"),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0,2],"default":1}}"#,
            "$bucket.default must be outside",
        ),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0,2],"output":1}}"#,
            "$bucket.output must be an object",
        ),
        (
            r#"{"$bucket":{"groupBy":"$a","boundaries":[0,2],"output":{"x":{"$foo":1}}}}"#,
            "$bucket.output.x.$foo is not",
        ),
        (
            r#"{"$bucketAuto":{"groupBy":"$a","buckets":0}}"#,
            "$bucketAuto.buckets must be a whole number",
        ),
        (
            r#"{"$bucketAuto":{"groupBy":"$a","buckets":1,"granularity":"R5"}}"#,
            "$bucketAuto has the unknown option",
        ),
    ] {
        let output = run("[]", &format!("[{stage}]"), &[]);
        assert!(
            output.starts_with(&format!("invalid_query: pipeline[0].{expected}")),
            "{stage}: {output}"
        );
    }
}
