use super::super::tests::run;

#[test]
fn groups_come_in_the_order_of_their_first_documents() {
    for (input, group, expected) in [
        (
            r#"[{"a":"y"},{"a":"x"},{"a":"y"}]"#,
            r#"{"_id":"$a","n":{"$sum":1},"c":{"$count":{}}}"#,
            r#"{"_id":"y","n":2,"c":2} {"_id":"x","n":1,"c":1}"#,
        ),
        (r#"[{"a":5},{"a":5.0},{"a":6}]"#, r#"{"_id":"$a"}"#, r#"{"_id":5} {"_id":6}"#),
        (
            r#"[{"a":1},{},{"a":null}]"#,
            r#"{"_id":"$a","n":{"$sum":1}}"#,
            r#"{"_id":1,"n":1} {"_id":null,"n":2}"#,
        ),
        (
            r#"[{"a":1,"b":2},{"a":1,"b":3},{"b":2,"a":1},{"a":1}]"#,
            r#"{"_id":{"x":"$a","y":"$b"},"n":{"$sum":1}}"#,
            r#"{"_id":{"x":1,"y":2},"n":2} {"_id":{"x":1,"y":3},"n":1} {"_id":{"x":1},"n":1}"#,
        ),
        (r#"[{"a":1},{"a":2}]"#, r#"{"n":{"$sum":"$a"},"_id":null}"#, r#"{"_id":null,"n":3}"#),
        ("[]", r#"{"_id":null,"n":{"$sum":1}}"#, ""),
    ] {
        let output = run(input, &format!(r#"[{{"$group":{group}}}]"#), &[]);
        assert_eq!(output.replace('\n', " "), expected, "{group}");
    }
}

#[test]
fn bad_groups_are_refused() {
    for (group, expected) in [
        (r#"1"#, "$group must be an object with \"_id\""),
        (r#"{"n":{"$sum":1}}"#, "$group must be an object with \"_id\""),
        (r#"{"_id":"$$x"}"#, "$group._id uses the variable"),
        (r#"{"_id":null,"a.b":{"$sum":1}}"#, "$group.a.b has \"a.b\" where"),
        (r#"{"_id":null,"$a":{"$sum":1}}"#, "$group.$a has \"$a\" where"),
        (r#"{"_id":null,"a":1}"#, "$group.a must be an object with one accumulator"),
        (
            r#"{"_id":null,"a":{"$sum":1,"$avg":1}}"#,
            "$group.a must be an object with one accumulator",
        ),
        (r#"{"_id":null,"a":{"$median":1}}"#, "$group.a.$median is not a known accumulator"),
        (r#"{"_id":null,"a":{"$sum":["$a","$b"]}}"#, "$group.a.$sum must be one expression"),
        (r#"{"_id":null,"a":{"$push":["$a"]}}"#, "$group.a.$push must be one expression"),
        (r#"{"_id":null,"a":{"$count":1}}"#, "$group.a.$count must be an empty object"),
        (r#"{"_id":null,"a":{"$firstN":{"input":"$a"}}}"#, "$group.a.$firstN must have \"n\""),
        (
            r#"{"_id":null,"a":{"$lastN":{"input":"$a","n":0}}}"#,
            "$group.a.$lastN.n must be a whole number of at least 1",
        ),
        (
            r#"{"_id":null,"a":{"$firstN":{"input":"$a","n":100001}}}"#,
            "$group.a.$firstN.n must be 100000 at most",
        ),
    ] {
        let output = run("[]", &format!(r#"[{{"$group":{group}}}]"#), &[]);
        assert!(
            output.starts_with(&format!("invalid_query: pipeline[0].{expected}")),
            "{group}: {output}"
        );
    }
}
