use super::*;
use crate::error::{Error, Kind};
use crate::value::parse_stored;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Collections in memory.
pub(super) struct Collections(BTreeMap<&'static str, Vec<Value>>);

impl DocumentSource for Collections {
    fn find<'s>(
        &'s self,
        collection: &str,
        filter: Filter,
        ctx: &'s Context<'s>,
    ) -> Result<Documents<'s>> {
        let Some(documents) = self.0.get(collection) else {
            return Err(Error::new(
                Kind::CollectionNotFound,
                format!("no collection {collection}"),
            ));
        };
        let documents = documents.iter().cloned().map(Ok);
        Ok(each(Box::new(documents), ctx, move |document| {
            Ok(filter.matches(&document, ctx)?.then_some(document))
        }))
    }
}

pub(super) fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap_or_else(|| panic!("not JSON: {json}"))
}

fn documents(json: &str) -> Vec<Value> {
    value(json).as_array().unwrap().to_vec()
}

fn parse(pipeline: &str) -> Result<Pipeline> {
    Pipeline::parse(&value(pipeline), At::root("pipeline"))
}

/// Runs a pipeline over documents, beside other collections, with so much memory.
pub(super) fn run_in(
    pipeline: &Pipeline,
    input: Vec<Value>,
    others: &[(&'static str, &str)],
    memory: usize,
) -> Result<Vec<Value>> {
    let others = others.iter().map(|(name, json)| (*name, documents(json)));
    let source = Collections(others.collect());
    let ctx = Context::new(0, memory, &|| Ok(()));
    let output = pipeline.run(Box::new(input.into_iter().map(Ok)), &source, &ctx);
    let output: Result<Vec<_>> = output.collect();
    // An error ends the query, and its context with it.
    let released = output.is_err() || ctx.charge(memory, "the rest").is_ok();
    assert!(released, "everything that was kept is given back");
    output
}

/// The output as JSON, one document a line; or the error.
pub(super) fn run(input: &str, pipeline: &str, others: &[(&'static str, &str)]) -> String {
    let output = parse(pipeline).and_then(|p| run_in(&p, documents(input), others, 1 << 20));
    match output {
        Ok(output) => output.iter().map(Value::to_json).collect::<Vec<_>>().join("\n"),
        Err(error) => format!("{}: {}", error.kind.code(), error.message),
    }
}

#[test]
fn stages_change_documents() {
    let input =
        r#"[{"_id":1,"a":3,"b":{"c":[{"d":1},{"d":2}]}},{"_id":2,"a":1},{"_id":3,"a":2,"b":5}]"#;
    for (pipeline, expected) in [
        (
            r#"[]"#,
            "{\"_id\":1,\"a\":3,\"b\":{\"c\":[{\"d\":1},{\"d\":2}]}}\n{\"_id\":2,\"a\":1}\n{\"_id\":3,\"a\":2,\"b\":5}",
        ),
        (r#"[{"$match":{"a":{"$gte":3}}},{"$project":{"a":1}}]"#, r#"{"_id":1,"a":3}"#),
        (r#"[{"$sort":{"a":1}},{"$limit":2},{"$project":{"_id":1}}]"#, "{\"_id\":2}\n{\"_id\":3}"),
        (r#"[{"$sort":{"a":1}},{"$skip":1},{"$limit":1},{"$project":{"_id":1}}]"#, r#"{"_id":3}"#),
        (r#"[{"$skip":2},{"$unset":["b","a"]}]"#, r#"{"_id":3}"#),
        (r#"[{"$limit":1},{"$unset":"b.c.d"}]"#, r#"{"_id":1,"a":3,"b":{"c":[{},{}]}}"#),
        (
            r#"[{"$skip":2},{"$addFields":{"b":"$missing","e":{"f":"$a"}}}]"#,
            r#"{"_id":3,"a":2,"e":{"f":2}}"#,
        ),
        (
            r#"[{"$limit":1},{"$set":{"b.c.d":"$a"}},{"$project":{"b":1,"_id":0}}]"#,
            r#"{"b":{"c":[{"d":3},{"d":3}]}}"#,
        ),
        (r#"[{"$limit":1},{"$replaceRoot":{"newRoot":"$b"}}]"#, r#"{"c":[{"d":1},{"d":2}]}"#),
        (r#"[{"$limit":1},{"$replaceWith":{"x":"$a"}}]"#, r#"{"x":3}"#),
        (
            r#"[{"$match":{"b":5}},{"$replaceWith":"$b"}]"#,
            "not_applicable: the new root must be an object, not of type int",
        ),
        (
            r#"[{"$match":{"_id":2}},{"$replaceWith":"$b"}]"#,
            "not_applicable: the new root must be an object, not of type missing",
        ),
        (r#"[{"$count":"n"}]"#, r#"{"n":3}"#),
        (r#"[{"$match":{"a":9}},{"$count":"n"}]"#, ""),
        (
            r#"[{"$facet":{"n":[{"$count":"n"}],"top":[{"$sort":{"a":-1}},{"$limit":1},{"$project":{"_id":1}}],"none":[{"$match":{"a":9}}]}}]"#,
            r#"{"n":[{"n":3}],"top":[{"_id":1}],"none":[]}"#,
        ),
        (r#"[{"$match":{"a":9}},{"$facet":{"n":[{"$count":"n"}]}}]"#, r#"{"n":[]}"#),
        (
            r#"[{"$project":{"k":{"$literal":"x"},"_id":0}},{"$sortByCount":"$k"}]"#,
            r#"{"_id":"x","count":3}"#,
        ),
        (
            r#"[{"$project":{"_id":1}},{"$unionWith":"other"},{"$sort":{"_id":-1}}]"#,
            "{\"_id\":9}\n{\"_id\":8}\n{\"_id\":3}\n{\"_id\":2}\n{\"_id\":1}",
        ),
        (
            r#"[{"$limit":1},{"$project":{"_id":1}},{"$unionWith":{"coll":"other","pipeline":[{"$match":{"_id":9}},{"$set":{"x":1}}]}}]"#,
            "{\"_id\":1}\n{\"_id\":9,\"x\":1}",
        ),
        (r#"[{"$unionWith":"nowhere"}]"#, "collection_not_found: no collection nowhere"),
    ] {
        assert_eq!(
            run(input, pipeline, &[("other", r#"[{"_id":9},{"_id":8}]"#)]),
            expected,
            "{pipeline}"
        );
    }
}

const BAD_PIPELINES: &[(&str, &str)] = &[
    (r#"{"$match":{}}"#, "pipeline must be an array of stages"),
    (r#"[1]"#, "pipeline[0] must be an object with one stage"),
    (r#"[{"$match":{},"$limit":1}]"#, "pipeline[0] must be an object with one stage"),
    (r#"[{"$limit":1},{"$skip":1},{"$foo":{}}]"#, "pipeline[2].$foo is not a known stage"),
    (r#"[{"$match":{"a":{"$foo":1}}}]"#, "pipeline[0].$match.a"),
    (r#"[{"$match":1}]"#, "pipeline[0].$match must be an object"),
    (r#"[{"$limit":0}]"#, "pipeline[0].$limit must be a whole number of at least 1"),
    (r#"[{"$limit":1.5}]"#, "pipeline[0].$limit must be a whole number"),
    (r#"[{"$skip":-1}]"#, "pipeline[0].$skip must be a whole number of at least 0"),
    (r#"[{"$sort":{}}]"#, "pipeline[0].$sort must be an object of paths"),
    (r#"[{"$sort":{"a":2}}]"#, "pipeline[0].$sort.a "),
    (r#"[{"$project":{}}]"#, "pipeline[0].$project must "),
    (r#"[{"$unset":[]}]"#, "pipeline[0].$unset must name at least one field"),
    (r#"[{"$unset":[1]}]"#, "pipeline[0].$unset must be a text"),
    (r#"[{"$count":"a.b"}]"#, "pipeline[0].$count has \"a.b\""),
    (r#"[{"$count":"$a"}]"#, "pipeline[0].$count has \"$a\""),
    (r#"[{"$count":""}]"#, "pipeline[0].$count must be a text"),
    (r#"[{"$sortByCount":"a"}]"#, "pipeline[0].$sortByCount must be an expression"),
    (r#"[{"$facet":{}}]"#, "pipeline[0].$facet must be an object of pipelines"),
    (
        r#"[{"$facet":{"a":[{"$facet":{"b":[]}}]}}]"#,
        "pipeline[0].$facet.a[0].$facet cannot stand inside another $facet",
    ),
    (
        r#"[{"$facet":{"a":[{"$lookup":{"from":"c","as":"x","pipeline":[{"$facet":{"b":[]}}]}}]}}]"#,
        "pipeline[0].$facet.a[0].$lookup.pipeline[0].$facet cannot",
    ),
    (
        r#"[{"$facet":{"a":[{"$out":"b"}]}}]"#,
        "pipeline[0].$facet.a[0].$out cannot stand in a pipeline inside",
    ),
    (
        r#"[{"$unionWith":{"coll":"c","pipeline":[{"$merge":"b"}]}}]"#,
        "pipeline[0].$unionWith.pipeline[0].$merge cannot",
    ),
    (r#"[{"$out":"b"},{"$limit":1}]"#, "pipeline[0].$out must be the last stage"),
    (r#"[{"$out":{"db":"x","coll":"b"}}]"#, "pipeline[0].$out must be the name of a collection"),
    (r#"[{"$merge":{"on":"a"}}]"#, "pipeline[0].$merge must have \"into\""),
    (r#"[{"$merge":{"into":"c","on":[]}}]"#, "pipeline[0].$merge.on must be a text"),
    (
        r#"[{"$merge":{"into":"c","whenMatched":[]}}]"#,
        "pipeline[0].$merge.whenMatched must be one of \"merge\"",
    ),
    (
        r#"[{"$merge":{"into":"c","whenNotMatched":"x"}}]"#,
        "pipeline[0].$merge.whenNotMatched must be one of \"insert\"",
    ),
    (r#"[{"$merge":{"into":"c","x":1}}]"#, "pipeline[0].$merge has the unknown option \"x\""),
    (r#"[{"$count":"_id"}]"#, "pipeline[0].$count must not be"),
    (r#"[{"$sample":{}}]"#, "pipeline[0].$sample must have \"size\""),
    (
        r#"[{"$sample":{"size":0}}]"#,
        "pipeline[0].$sample.size must be a whole number of at least 1",
    ),
    (r#"[{"$sample":{"size":1,"seed":-1}}]"#, "pipeline[0].$sample.seed must be"),
    (r#"[{"$replaceRoot":"$a"}]"#, "pipeline[0].$replaceRoot must be an object with newRoot"),
    (r#"[{"$unwind":"a"}]"#, "pipeline[0].$unwind must be a field with a leading '$'"),
    (r#"[{"$unwind":{"path":"$a","x":1}}]"#, "pipeline[0].$unwind has the unknown option \"x\""),
    (
        r#"[{"$unwind":{"path":"$a","includeArrayIndex":"$i"}}]"#,
        "pipeline[0].$unwind.includeArrayIndex has",
    ),
    (
        r#"[{"$unwind":{"path":"$a","preserveNullAndEmptyArrays":1}}]"#,
        "pipeline[0].$unwind.preserveNullAndEmptyArrays must be true or false",
    ),
    (r#"[{"$unionWith":{"pipeline":[]}}]"#, "pipeline[0].$unionWith must have \"coll\""),
];

#[test]
fn bad_pipelines_are_refused_with_their_place() {
    for &(pipeline, expected) in BAD_PIPELINES {
        let error = parse(pipeline).expect_err(pipeline);
        assert_eq!(error.kind, Kind::InvalidQuery, "{pipeline}");
        assert!(error.message.starts_with(expected), "{pipeline}: {error}");
    }
}

#[test]
fn pipelines_are_bounded() {
    let stages = |count: usize| format!("[{}]", vec![r#"{"$limit":1}"#; count].join(","));
    assert!(parse(&stages(200)).is_ok());
    assert!(parse(&stages(201)).unwrap_err().message.contains("more than 200 stages"));
    let two = format!(r#"[{{"$facet":{{"a":{},"b":{}}}}}]"#, stages(100), stages(100));
    assert!(parse(&two).unwrap_err().message.contains("inner ones included"));
    let nested = |depth: usize| {
        (0..depth).fold("[]".to_owned(), |inner, _| {
            format!(r#"[{{"$unionWith":{{"coll":"c","pipeline":{inner}}}}}]"#)
        })
    };
    assert!(parse(&nested(20)).is_ok());
    assert!(parse(&nested(21)).unwrap_err().message.contains("nested in more than 20"));
}

#[test]
fn the_longest_pipeline_fits_on_the_stack() {
    for stage in [
        r#"{"$set":{"a":{"$add":["$a",1]}}}"#,
        r#"{"$match":{"a":{"$gte":0}}}"#,
        r#"{"$unwind":"$a"}"#,
        r#"{"$group":{"_id":"$_id","a":{"$first":"$a"}}}"#,
        r#"{"$sort":{"a":1}}"#,
        r#"{"$unionWith":"c"}"#,
        r#"{"$lookup":{"from":"c","localField":"a","foreignField":"x","as":"l"}}"#,
    ] {
        let output = run(
            r#"[{"_id":1,"a":0}]"#,
            &format!("[{}]", vec![stage; STAGES_MAX].join(",")),
            &[("c", "[]")],
        );
        assert!(output.starts_with(r#"{"_id":1,"a":"#), "{stage}: {output}");
    }
}

#[test]
fn documents_do_not_grow_deeper_without_end() {
    let stage = r#"{"$replaceWith":{"a":"$$ROOT"}}"#;
    let output = run("[{}]", &format!("[{}]", vec![stage; STAGES_MAX].join(",")), &[]);
    assert!(output.starts_with("too_deep: a document of the pipeline would be"), "{output}");
}

#[test]
fn the_first_stages_go_to_the_planner() {
    for (pipeline, filter, sort, window, left) in [
        (r#"[]"#, None, None, (0, None), 0),
        (
            r#"[{"$match":{"a":1}},{"$match":{"b":2}},{"$count":"n"}]"#,
            Some(r#"{"$and":[{"a":1},{"b":2}]}"#),
            None,
            (0, None),
            1,
        ),
        (
            r#"[{"$match":{"a":1}},{"$sort":{"b":1}},{"$match":{"c":1}},{"$sort":{"c":1}}]"#,
            Some(r#"{"$and":[{"a":1},{"c":1}]}"#),
            Some(r#"{"b":1}"#),
            (0, None),
            1,
        ),
        (
            r#"[{"$sort":{"b":1}},{"$skip":2},{"$limit":5},{"$skip":1},{"$match":{"a":1}}]"#,
            None,
            Some(r#"{"b":1}"#),
            (3, Some(4)),
            1,
        ),
        (r#"[{"$limit":5},{"$skip":9}]"#, None, None, (9, Some(0)), 0),
        (r#"[{"$limit":5},{"$sort":{"b":1}}]"#, None, None, (0, Some(5)), 1),
        (r#"[{"$project":{"a":1}},{"$match":{"a":1}}]"#, None, None, (0, None), 2),
        (r#"[{"$project":{"a":1}},{"$skip":1},{"$limit":5}]"#, None, None, (1, Some(5)), 1),
        (r#"[{"$set":{"a":1}},{"$unwind":"$a"},{"$limit":5}]"#, None, None, (0, None), 3),
        (r#"[{"$set":{"a":1}},{"$sort":{"a":1}},{"$limit":5}]"#, None, None, (0, None), 3),
    ] {
        let mut parsed = parse(pipeline).unwrap();
        let down = parsed.pushdown();
        let filter = filter.map(|json| Filter::parse(&value(json), At::root("f")).unwrap());
        let sort = sort.map(|json| Sort::parse(&value(json), At::root("s")).unwrap());
        let expected = Pushdown { filter, sort, skip: window.0, limit: window.1 };
        assert_eq!(down, expected, "{pipeline}");
        assert_eq!(parsed.stages.len(), left, "{pipeline}");
    }
}

#[test]
fn pipelines_tell_which_fields_they_read() {
    for (pipeline, expected) in [
        (r#"[]"#, None),
        (r#"[{"$match":{"a":1}}]"#, None),
        (r#"[{"$count":"n"}]"#, Some("")),
        (r#"[{"$match":{"a.b":1}},{"$sort":{"c":1}},{"$count":"n"}]"#, Some("a c")),
        (r#"[{"$project":{"a":1,"b":"$c.d"}}]"#, Some("_id a c")),
        (r#"[{"$project":{"a":0}},{"$count":"n"}]"#, None),
        (
            r#"[{"$set":{"a":"$b"}},{"$unset":"c"},{"$group":{"_id":"$a","s":{"$sum":"$d"}}}]"#,
            Some("a b d"),
        ),
        (r#"[{"$set":{"a":{"b.c":"$d"}}},{"$count":"n"}]"#, None),
        (r#"[{"$group":{"_id":"$a","all":{"$push":"$$ROOT"}}}]"#, None),
        (
            r#"[{"$unwind":{"path":"$a.b","includeArrayIndex":"i"}},{"$sortByCount":"$c"}]"#,
            Some("a c i"),
        ),
        (
            r#"[{"$lookup":{"from":"c","localField":"l.m","foreignField":"f","let":{"x":"$y"},"pipeline":[],"as":"z"}},{"$count":"n"}]"#,
            Some("l y z"),
        ),
        (
            r#"[{"$bucket":{"groupBy":"$a","boundaries":[0,1],"output":{"s":{"$max":"$b"}}}}]"#,
            Some("a b"),
        ),
        (r#"[{"$facet":{"x":[{"$count":"n"}],"y":[{"$sortByCount":"$a"}]}}]"#, Some("a")),
        (r#"[{"$facet":{"x":[{"$count":"n"}],"y":[{"$sort":{"a":1}}]}}]"#, None),
        (r#"[{"$facet":{"x":[{"$sort":{"a":1}}]}},{"$project":{"x":1}}]"#, None),
        (
            r#"[{"$facet":{"x":[{"$limit":1}],"y":[{"$count":"n"}]}},{"$replaceRoot":{"newRoot":{"y":"$y"}}}]"#,
            None,
        ),
        (r#"[{"$facet":{"x":[{"$match":{"a":1}}]}},{"$group":{"_id":"$x"}}]"#, None),
        (r#"[{"$facet":{"x":[]}},{"$unwind":"$x"},{"$project":{"x.a":1}}]"#, None),
        (r#"[{"$facet":{"x":[{"$project":{"a":1}}]}},{"$project":{"y":"$z"}}]"#, Some("_id a")),
        (r#"[{"$replaceWith":"$a"}]"#, Some("a")),
    ] {
        let expected = expected.map_or(Fields::All, |names| {
            Fields::Some(names.split_whitespace().map(str::to_owned).collect())
        });
        assert_eq!(parse(pipeline).unwrap().fields(), expected, "{pipeline}");
    }
}

#[test]
fn outputs_are_parsed() {
    let pipeline = parse(r#"[{"$limit":1},{"$out":"b"}]"#).unwrap();
    assert_eq!(pipeline.output(), Some(&Output::Out { collection: "b".into() }));
    assert!(!pipeline.is_empty() && !parse(r#"[{"$out":"b"}]"#).unwrap().is_empty());
    assert!(parse("[]").unwrap().is_empty());
    let merge = |on: &[&str], when_matched, when_not_matched| Output::Merge {
        into: "c".into(),
        on: on.iter().map(|path| (*path).to_owned()).collect(),
        when_matched,
        when_not_matched,
    };
    for (pipeline, expected) in [
        (r#"[{"$merge":"c"}]"#, merge(&["_id"], WhenMatched::Merge, WhenNotMatched::Insert)),
        (
            r#"[{"$merge":{"into":"c","on":["a","b.c"],"whenMatched":"keepExisting","whenNotMatched":"discard"}}]"#,
            merge(&["a", "b.c"], WhenMatched::KeepExisting, WhenNotMatched::Discard),
        ),
        (
            r#"[{"$merge":{"into":"c","on":"a","whenMatched":"replace","whenNotMatched":"fail"}}]"#,
            merge(&["a"], WhenMatched::Replace, WhenNotMatched::Fail),
        ),
    ] {
        assert_eq!(parse(pipeline).unwrap().output(), Some(&expected), "{pipeline}");
    }
}

#[test]
fn unwind_takes_arrays_apart() {
    let input = r#"[{"_id":1,"a":[5,null]},{"_id":2,"a":[]},{"_id":3,"a":null},{"_id":4},{"_id":5,"a":7},{"_id":6,"a":[[1]]}]"#;
    for (spec, expected) in [
        (r#""$a""#, r#"{"_id":1,"a":5} {"_id":1,"a":null} {"_id":5,"a":7} {"_id":6,"a":[1]}"#),
        (
            r#"{"path":"$a","includeArrayIndex":"i"}"#,
            r#"{"_id":1,"a":5,"i":{"$numberLong":"0"}} {"_id":1,"a":null,"i":{"$numberLong":"1"}} {"_id":5,"a":7,"i":null} {"_id":6,"a":[1],"i":{"$numberLong":"0"}}"#,
        ),
        (
            r#"{"path":"$a","preserveNullAndEmptyArrays":true,"includeArrayIndex":"i"}"#,
            r#"{"_id":1,"a":5,"i":{"$numberLong":"0"}} {"_id":1,"a":null,"i":{"$numberLong":"1"}} {"_id":2,"i":null} {"_id":3,"a":null,"i":null} {"_id":4,"i":null} {"_id":5,"a":7,"i":null} {"_id":6,"a":[1],"i":{"$numberLong":"0"}}"#,
        ),
    ] {
        let output = run(input, &format!(r#"[{{"$unwind":{spec}}}]"#), &[]);
        assert_eq!(output.replace('\n', " "), expected, "{spec}");
    }
    let nested = r#"[{"a":{"b":[1,2],"c":3}},{"a":[{"b":[1]}]}]"#;
    let output = run(nested, r#"[{"$unwind":{"path":"$a.b","includeArrayIndex":"a.i"}}]"#, &[]);
    assert_eq!(
        output,
        "{\"a\":{\"b\":1,\"c\":3,\"i\":{\"$numberLong\":\"0\"}}}\n{\"a\":{\"b\":2,\"c\":3,\"i\":{\"$numberLong\":\"1\"}}}"
    );
}

#[test]
fn samples_are_repeatable_and_even() {
    let input: Vec<Value> = (0..20).map(|id| value(&format!(r#"{{"_id":{id}}}"#))).collect();
    let sample = |seed: i64| {
        let pipeline = parse(&format!(r#"[{{"$sample":{{"size":5,"seed":{seed}}}}}]"#)).unwrap();
        run_in(&pipeline, input.clone(), &[], 1 << 20).unwrap()
    };
    assert_eq!(sample(0), sample(0));
    assert_ne!(sample(0), sample(1));
    let drawn = |seed| {
        let two = r#"[{"$facet":{"x":[{"$sample":{"size":5}}],"y":[{"$sample":{"size":5}}]}}]"#;
        let (pipeline, source) = (parse(two).unwrap(), Collections(BTreeMap::new()));
        let ctx = Context::new(0, 1 << 20, &|| Ok(())).seeded(seed);
        let output = pipeline.run(Box::new(input.clone().into_iter().map(Ok)), &source, &ctx);
        output.collect::<Result<Vec<_>>>().unwrap().remove(0).as_object().unwrap().clone()
    };
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(70), "always the same without a seed");
    assert_ne!(drawn(7)["x"], drawn(7)["y"]);
    let mut chosen = BTreeMap::new();
    for seed in 0..4000 {
        let documents = sample(seed);
        assert_eq!(documents.len(), 5);
        documents.into_iter().for_each(|document| *chosen.entry(document).or_insert(0) += 1);
    }
    assert!(
        chosen.len() == 20 && chosen.values().all(|count| (850..1150).contains(count)),
        "{chosen:?}"
    );
    assert_eq!(run(r#"[{"_id":1}]"#, r#"[{"$sample":{"size":5}}]"#, &[]), r#"{"_id":1}"#);
}

#[test]
fn what_is_kept_is_bounded_and_given_back() {
    let input: Vec<Value> = (0..1000)
        .map(|id| value(&format!(r#"{{"_id":{id},"t":"{}"}}"#, "x".repeat(100))))
        .collect();
    let others = [(
        "c",
        r#"[{"_id":1,"t":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]"#,
    )];
    for stage in [
        r#"{"$group":{"_id":"$_id"}}"#,
        r#"{"$group":{"_id":null,"all":{"$push":"$t"}}}"#,
        r#"{"$group":{"_id":null,"all":{"$addToSet":"$_id"}}}"#,
        r#"{"$group":{"_id":null,"all":{"$firstN":{"input":"$t","n":900}}}}"#,
        r#"{"$group":{"_id":null,"all":{"$lastN":{"input":"$t","n":900}}}}"#,
        r#"{"$sort":{"t":1}}"#,
        r#"{"$facet":{"a":[{"$count":"n"}]}}"#,
        r#"{"$bucketAuto":{"groupBy":"$_id","buckets":2}}"#,
        r#"{"$bucket":{"groupBy":"$_id","boundaries":[0,1000],"output":{"all":{"$push":"$t"}}}}"#,
        r#"{"$sample":{"size":900}}"#,
    ] {
        let pipeline = parse(&format!("[{stage}]")).unwrap();
        let error = run_in(&pipeline, input.clone(), &[], 20_000).expect_err(stage);
        assert_eq!(error.kind, Kind::QueryTooLarge, "{stage}");
    }
    for stage in [
        r#"{"$group":{"_id":null,"last":{"$last":"$t"},"max":{"$max":"$t"},"n":{"$lastN":{"input":"$t","n":3}}}}"#,
        r#"{"$sort":{"_id":-1}},{"$limit":5}"#,
        r#"{"$lookup":{"from":"c","localField":"_id","foreignField":"_id","as":"c"}}"#,
        r#"{"$sample":{"size":5}}"#,
        r#"{"$unionWith":"c"}"#,
    ] {
        let pipeline = parse(&format!("[{stage}]")).unwrap();
        assert!(run_in(&pipeline, input.clone(), &others, 5_000).is_ok(), "{stage}");
    }
}

/// Documents multiplied their size on the way while only what was kept was counted.
#[test]
fn what_a_stage_builds_of_one_document_is_bounded() {
    let input = vec![value(&format!(
        r#"{{"_id":1,"t":"{}","n":[{}1]}}"#,
        "x".repeat(20_000),
        r#"{"a":1},"#.repeat(50)
    ))];
    let others = [("c", r#"[{"_id":1,"t":"y"},{"_id":2,"t":"y"}]"#)];
    let copies: Vec<String> = (0..100).map(|copy| format!(r#""f{copy}":"$$ROOT""#)).collect();
    let copies = copies.join(",");
    let uses = r#"{"$eq":["$t","$$t"]},"#.repeat(100);
    for stage in [
        format!(r#"{{"$project":{{{copies}}}}}"#),
        format!(r#"{{"$set":{{{copies}}}}}"#),
        r#"{"$set":{"n.a":"$t"}}"#.to_owned(),
        format!(r#"{{"$replaceWith":{{{copies}}}}}"#),
        format!(
            r#"{{"$lookup":{{"from":"c","let":{{"t":"$t"}},"as":"c",
                "pipeline":[{{"$match":{{"$expr":{{"$or":[{uses}false]}}}}}}]}}}}"#
        ),
        format!(
            r#"{{"$set":{{"t":"{}"}}}},{{"$lookup":{{"from":"c","pipeline":[],"as":"n.c"}}}}"#,
            "y"
        ),
    ] {
        let pipeline = parse(&format!("[{stage}]")).unwrap();
        let memory = if stage.contains("n.c") { 10_000 } else { 200_000 };
        let error = run_in(&pipeline, input.clone(), &others, memory).expect_err(&stage);
        assert_eq!(error.kind, Kind::QueryTooLarge, "{stage:.60}");
    }
    // The rest of the document is copied for every item.
    let pipeline = parse(r#"[{"$unwind":"$n"},{"$count":"n"}]"#).unwrap();
    let ctx = Context::new(0, 1 << 20, &|| Ok(()));
    let source = Collections(BTreeMap::new());
    let output = pipeline.run(Box::new(input.into_iter().map(Ok)), &source, &ctx);
    assert_eq!(output.count(), 1);
    assert!(ctx.steps() > 50 * 20_000 / 64, "{}", ctx.steps());
}

/// Deeper documents were stored, and the next update that read them ended every node.
#[test]
fn pipelines_do_not_nest_documents_deeper_than_they_can_be_read() {
    let stages = |count: usize| {
        let stage = r#"{"$replaceWith":{"_id":1,"a":"$$ROOT"}}"#;
        format!("[{}]", vec![stage; count].join(","))
    };
    assert!(run(r#"[{"_id":1}]"#, &stages(119), &[]).starts_with('{'));
    assert!(run(r#"[{"_id":1}]"#, &stages(126), &[]).starts_with("too_deep: "));
}

#[test]
fn memory_is_held_while_a_stage_gives_documents() {
    let pipeline = parse(r#"[{"$sort":{"a":1}}]"#).unwrap();
    let ctx = Context::new(0, 10_000, &|| Ok(()));
    let source = Collections(BTreeMap::new());
    let input = documents(r#"[{"a":1},{"a":2}]"#);
    let mut output = pipeline.run(Box::new(input.into_iter().map(Ok)), &source, &ctx);
    assert!(output.next().is_some());
    assert!(ctx.charge(10_000, "the rest").is_err());
    drop(output);
    assert!(ctx.charge(10_000, "the rest").is_ok());
}

#[test]
fn the_interrupt_ends_every_stage() {
    let interrupt = || Err(Error::new(Kind::TimeLimit, "too long"));
    for stage in [
        r#"{"$match":{"a":1}}"#,
        r#"{"$skip":1000000}"#,
        r#"{"$unwind":"$none"}"#,
        r#"{"$count":"n"}"#,
        r#"{"$group":{"_id":"$a"}}"#,
        r#"{"$sort":{"a":1}}"#,
        r#"{"$bucket":{"groupBy":"$a","boundaries":[0,1],"default":9}}"#,
        r#"{"$sample":{"size":1}}"#,
        r#"{"$facet":{"x":[]}}"#,
    ] {
        let pipeline = parse(&format!("[{stage}]")).unwrap();
        let ctx = Context::new(0, 1 << 20, &interrupt);
        let source = Collections(BTreeMap::new());
        let endless = std::iter::repeat_with(|| Ok(value(r#"{"a":0}"#)));
        let mut output = pipeline.run(Box::new(endless), &source, &ctx);
        let error = output.find_map(Result::err).unwrap();
        assert_eq!(error.kind, Kind::TimeLimit, "{stage}");
    }
}

fn any_stage() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..3i64).prop_map(|n| format!(r#"{{"$match":{{"a":{{"$gte":{n}}}}}}}"#)),
        (0..3i64).prop_map(|n| format!(r#"{{"$match":{{"b":{n}}}}}"#)),
        Just(r#"{"$sort":{"a":1}}"#.to_owned()),
        Just(r#"{"$sort":{"b":-1,"a":1}}"#.to_owned()),
        (1..8u64).prop_map(|n| format!(r#"{{"$limit":{n}}}"#)),
        (0..4u64).prop_map(|n| format!(r#"{{"$skip":{n}}}"#)),
        Just(r#"{"$set":{"a":{"$add":["$b",1]}}}"#.to_owned()),
        Just(r#"{"$group":{"_id":"$a","b":{"$sum":"$b"}}}"#.to_owned()),
    ]
}

proptest! {
    #[test]
    fn pushing_down_does_not_change_the_result(
        stages in prop::collection::vec(any_stage(), 0..7),
        rows in prop::collection::vec((0..4i64, 0..4i64), 0..20),
    ) {
        let input: Vec<Value> = rows.iter().enumerate()
            .map(|(id, (a, b))| value(&format!(r#"{{"_id":{id},"a":{a},"b":{b}}}"#)))
            .collect();
        let mut pipeline = parse(&format!("[{}]", stages.join(","))).unwrap();
        let whole = run_in(&pipeline, input.clone(), &[], 1 << 20).unwrap();
        // Sorting everything first: the top of a sort must be the beginning of it.
        let ctx = Context::new(0, 1 << 20, &|| Ok(()));
        let down = pipeline.pushdown();
        let matches = |document: &Value| down.filter.as_ref().is_none_or(|f| f.matches(document, &ctx).unwrap());
        let mut planned: Vec<Value> = input.into_iter().filter(matches).collect();
        if let Some(sort) = &down.sort {
            planned.sort_by(|a, b| sort.compare_keys(&sort.key(a), &sort.key(b)));
        }
        let limit = down.limit.unwrap_or(u64::MAX) as usize;
        let planned = planned.into_iter().skip(down.skip as usize).take(limit).collect();
        prop_assert_eq!(run_in(&pipeline, planned, &[], 1 << 20).unwrap(), whole);
    }
}
