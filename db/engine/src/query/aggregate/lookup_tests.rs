use super::super::tests::run;

const FOREIGN: &str =
    r#"[{"_id":1,"f":1},{"_id":2,"f":[1,2]},{"_id":3,"f":null},{"_id":4},{"_id":5,"f":"x"}]"#;

/// `_id`s that a lookup finds for each document.
fn found(input: &str, options: &str) -> String {
    let pipeline = format!(
        r#"[{{"$lookup":{{"from":"c",{options},"as":"r"}}}},{{"$project":{{"_id":0,"r":"$r._id"}}}}]"#
    );
    run(input, &pipeline, &[("c", FOREIGN)])
        .replace("{\"r\":", "")
        .replace('}', "")
        .replace('\n', " ")
}

#[test]
fn lookups_follow_arrays_and_match_null_with_missing() {
    let by_fields = r#""localField":"l","foreignField":"f""#;
    for (input, options, expected) in [
        (r#"[{"l":1},{"l":2},{"l":9},{"l":1.0}]"#, by_fields, "[1,2] [2] [] [1,2]"),
        (
            r#"[{"l":[1,"x"]},{"l":[]},{"l":[null]},{"l":[[1,2]]}]"#,
            by_fields,
            "[1,2,5] [3,4] [3,4] [2]",
        ),
        (r#"[{"l":null},{}]"#, by_fields, "[3,4] [3,4]"),
        (
            r#"[{"l":{"m":[{"n":2},{"n":"x"},{}]}}]"#,
            r#""localField":"l.m.n","foreignField":"f""#,
            "[2,5]",
        ),
        (r#"[{"l":1},{"l":2}]"#, r#""pipeline":[{"$match":{"_id":{"$lt":3}}}]"#, "[1,2] [1,2]"),
        (
            r#"[{"l":1},{"l":"x"}]"#,
            r#""localField":"l","foreignField":"f","pipeline":[{"$match":{"_id":{"$gt":1}}}]"#,
            "[2] [5]",
        ),
        (
            r#"[{"l":1},{"l":4},{}]"#,
            r#""let":{"v":"$l"},"pipeline":[{"$match":{"$expr":{"$eq":["$_id","$$v"]}}}]"#,
            "[1] [4] []",
        ),
        (
            r#"[{"l":{"m":2}}]"#,
            r#""let":{"v":"$l"},"pipeline":[{"$match":{"$expr":{"$eq":["$_id","$$v.m"]}}}]"#,
            "[2]",
        ),
        (
            r#"[{"l":1}]"#,
            r#""localField":"l","foreignField":"f","let":{"v":"$l"},"pipeline":[{"$match":{"$expr":{"$gt":["$_id","$$v"]}}}]"#,
            "[2]",
        ),
        (
            r#"[{"l":3}]"#,
            r#""let":{"v":"$l"},"pipeline":[{"$lookup":{"from":"c","let":{"w":"$_id"},"pipeline":[{"$match":{"$expr":{"$eq":["$_id","$$v"]}}},{"$match":{"$expr":{"$eq":["$$w","$$v"]}}}],"as":"x"}},{"$match":{"x":{"$ne":[]}}}]"#,
            "[3]",
        ),
        (
            r#"[{"l":3}]"#,
            r#""let":{"v":"$l"},"pipeline":[{"$lookup":{"from":"c","let":{"v":"$_id"},"pipeline":[{"$match":{"$expr":{"$eq":["$_id","$$v"]}}}],"as":"x"}},{"$match":{"x._id":2}}]"#,
            "[2]",
        ),
        (
            r#"[{"l":"$f"}]"#,
            r#""let":{"v":"$l"},"pipeline":[{"$match":{"$expr":{"$eq":["$f","$$v"]}}}]"#,
            "[]",
        ),
    ] {
        assert_eq!(found(input, options), expected, "{input} {options}");
    }
}

#[test]
fn variables_are_bound_where_expressions_stand() {
    let stages = r#"[{"$match":{"f":"$$v","_id":5}}]"#;
    let options = format!(r#""let":{{"v":"$l"}},"pipeline":{stages}"#);
    assert_eq!(found(r#"[{"l":"x"}]"#, &options), "[]", "texts in a filter are values");
    let stages = r#"[{"$limit":1},{"$project":{"_id":{"a":"$$v","b":{"$literal":"$$v"}}}}]"#;
    let options = format!(r#""let":{{"v":"$l"}},"pipeline":{stages}"#);
    assert_eq!(found(r#"[{"l":"$x"}]"#, &options), r#"[{"a":"$x","b":"$$v"]"#);
}

#[test]
fn the_result_goes_to_its_path() {
    let pipeline = r#"[{"$lookup":{"from":"c","localField":"l","foreignField":"_id","as":"a.b"}}]"#;
    assert_eq!(
        run(r#"[{"l":5,"a":{"c":1}},{"l":9}]"#, pipeline, &[("c", FOREIGN)]),
        "{\"l\":5,\"a\":{\"c\":1,\"b\":[{\"_id\":5,\"f\":\"x\"}]}}\n{\"l\":9,\"a\":{\"b\":[]}}"
    );
}

#[test]
fn bad_lookups_are_refused() {
    for (spec, expected) in [
        (r#"1"#, "$lookup must be an object"),
        (r#"{"from":"c","as":"r"}"#, "$lookup must have \"localField\" and \"foreignField\", or"),
        (r#"{"from":"c","localField":"l","as":"r"}"#, "$lookup must have \"foreignField\""),
        (r#"{"localField":"l","foreignField":"f","as":"r"}"#, "$lookup must have \"from\""),
        (r#"{"from":"c","localField":"l","foreignField":"f"}"#, "$lookup must have \"as\""),
        (
            r#"{"from":"","localField":"l","foreignField":"f","as":"r"}"#,
            "$lookup.from must be a text",
        ),
        (
            r#"{"from":"c","localField":"$l","foreignField":"f","as":"r"}"#,
            "$lookup.localField has \"$l\"",
        ),
        (r#"{"from":"c","pipeline":[{"$foo":1}],"as":"r"}"#, "$lookup.pipeline[0].$foo is not"),
        (r#"{"from":"c","pipeline":{},"as":"r"}"#, "$lookup.pipeline must be an array"),
        (r#"{"from":"c","let":{"V":1},"pipeline":[],"as":"r"}"#, "$lookup.let has \"V\""),
        (r#"{"from":"c","let":[],"pipeline":[],"as":"r"}"#, "$lookup.let must be an object"),
        (
            r#"{"from":"c","let":{"v":"$a"},"pipeline":[{"$set":{"x":"$$w"}}],"as":"r"}"#,
            "$lookup.pipeline[0].$set.x uses the variable $$w",
        ),
    ] {
        let output = run("[]", &format!(r#"[{{"$lookup":{spec}}}]"#), &[]);
        assert!(
            output.starts_with(&format!("invalid_query: pipeline[0].{expected}")),
            "{spec}: {output}"
        );
    }
}
