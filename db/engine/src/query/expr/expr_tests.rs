use super::*;
use crate::error::{Error, Kind};
use crate::value::parse_stored;
use std::collections::BTreeSet;

const DOCUMENT: &str = r#"{
    "n": 5, "f": 2.5, "s": "Grüße", "nil": null, "yes": true, "zero": 0,
    "o": {"a": 1, "b": {"c": [1, 2]}}, "items": [{"q": 1}, {"q": 2}, {"r": 3}, 4, [{"q": 9}]],
    "list": [3, 1, 2], "dec": {"$numberDecimal": "2.50"}, "d": {"$date": "2024-03-10T05:06:07.008Z"},
    "id": {"$oid": "507f1f77bcf86cd799439011"}, "words": ["b", "a"], "a.b": 7
}"#;

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap_or_else(|| panic!("not JSON: {json}"))
}

fn parsed(json: &str) -> Result<Expr> {
    Expr::parse(&value(json), At::root("expr"))
}

fn eval_bounded(expr: &Expr, memory_max: usize) -> Result<Option<Value>> {
    let interrupt = || Ok(());
    let ctx = Context::new(1_700_000_000_000, memory_max, &interrupt);
    let document = value(DOCUMENT);
    let result = expr.eval(&Vars::root(&document), &ctx);
    // What was counted must have been given back, whatever the outcome.
    ctx.charge(memory_max, "the rest").unwrap();
    result
}

fn eval(json: &str) -> Result<Option<Value>> {
    eval_bounded(&parsed(json)?, 100 << 20)
}

/// The result as text: JSON, `missing`, or `!` and the message of the error.
fn shown(result: Result<Option<Value>>) -> String {
    match result {
        Ok(Some(value)) => value.to_json(),
        Ok(None) => "missing".to_owned(),
        Err(Error { message, .. }) => format!("!{message}"),
    }
}

/// Expressions and what they give; an error is checked for the words after the `!`.
fn check(table: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (json, expected) in table {
        let found = shown(eval(json));
        let right = match (expected.strip_prefix('!'), found.strip_prefix('!')) {
            (Some(expected), Some(found)) => found.contains(expected),
            _ => found == *expected,
        };
        if !right {
            wrong.push(format!("{json}\n    gives    {found}\n    expected {expected}"));
        }
        if let Ok(expr) = parsed(json) {
            let again = Expr::parse(&expr.to_value(), At::root("expr"));
            assert_eq!(again.as_ref(), Ok(&expr), "{json} as {}", expr.to_value().to_json());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rows of all tables: `expression => result`, one a line.
fn rows(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(" => ").unwrap_or_else(|| panic!("no row: {line}"))).collect()
}

const TABLES: &[&str] = &[
    include_str!("tests/basics.txt"),
    include_str!("tests/numbers.txt"),
    include_str!("tests/texts.txt"),
    include_str!("tests/dates.txt"),
    include_str!("tests/arrays.txt"),
    include_str!("tests/objects.txt"),
];

#[test]
fn expressions_give_what_mongodb_gives() {
    for table in TABLES {
        check(&rows(table));
    }
}

#[test]
fn every_operator_has_a_result_and_an_error_or_null_in_the_tables() {
    let all: Vec<_> = TABLES.iter().flat_map(|table| rows(table)).collect();
    for operator in call::FAMILIES.iter().copied().flatten() {
        let key = format!("{{\"{}\":", operator.name);
        let results: BTreeSet<bool> = all
            .iter()
            .filter(|(json, _)| json.starts_with(&key))
            .map(|(_, result)| result.starts_with('!') || ["null", "missing"].contains(result))
            .collect();
        assert!(results.contains(&false), "{} has no plain result", operator.name);
        let lenient =
            ["$and", "$or", "$not", "$isArray", "$isNumber", "$type", "$eq", "$ne", "$cmp"];
        let lenient = lenient.contains(&operator.name) || operator.name.starts_with("$gt");
        let never = lenient || operator.name.starts_with("$lt") || operator.name == "$sum";
        assert!(never || results.contains(&true), "{} has no error or null", operator.name);
    }
}

#[test]
fn names_of_operators_are_used_once() {
    let names: Vec<_> = call::FAMILIES.iter().copied().flatten().map(|one| one.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn errors_of_the_query_name_their_place() {
    for (json, message, hint) in [
        (r#"{"$ad":[1,2]}"#, "expr.$ad is not an operator", "did you mean $add?"),
        (r#"{"a":{"$tolower":"x"}}"#, "expr.a.$tolower is not an operator", "$toLower"),
        (r#"{"$sinusoidal":1}"#, "is not an operator", "$literal"),
        (r#"{"$rand":{}}"#, "the same result on every node", ""),
        (r#"{"$add":[1,{"$abs":[1,2]}]}"#, "expr.$add[1].$abs must have one argument, has 2", ""),
        (r#"{"$cond":{"if":1,"then":2}}"#, r#"expr.$cond must have the field "else""#, ""),
        (r#"{"$cond":[1,2]}"#, "expr.$cond must have 3 arguments", ""),
        (r#"{"$map":{"input":[],"in":1,"ass":"x"}}"#, r#"an unknown field "ass""#, "as"),
        (r#"{"$map":{"input":[],"in":1,"as":"X"}}"#, "expr.$map.as names the variable", ""),
        (r#"{"$let":{"vars":[],"in":1}}"#, "expr.$let.vars must be an object", ""),
        (
            r#"{"$let":{"vars":{"a":1,"b":"$$a"},"in":1}}"#,
            "expr.$let.vars.b uses the variable $$a",
            "",
        ),
        (r#""$$x""#, "uses the variable $$x", "$$ROOT"),
        (r#""$$this""#, "uses the variable $$this", ""),
        (r#""$a..b""#, "empty part", ""),
        (r#""$""#, "empty part", ""),
        (r#"{"a.b":1}"#, "contains a dot", ""),
        (r#"{"a":1,"$add":[1]}"#, "has an operator beside other fields", ""),
        (r#"{"$add":[1],"a":1}"#, "must have $add as its only field", ""),
        (r#"{"$regexMatch":{"input":"$s","regex":"("}}"#, "not a regular expression", ""),
        (r#"{"$regexMatch":{"input":"$s","regex":"a","options":"g"}}"#, "has the option 'g'", ""),
        (r#"{"$sortArray":{"input":"$list","sortBy":2}}"#, "sortBy must be 1", ""),
        (r#"{"$sortArray":{"input":"$list","sortBy":{}}}"#, "at least one field", ""),
        (r#"{"$switch":{"branches":[]}}"#, "expr.$switch.branches must be an array", ""),
        (
            r#"{"$switch":{"branches":[{"case":1}]}}"#,
            r#"branches[0] must have the field "then""#,
            "",
        ),
    ] {
        let error = parsed(json).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidQuery, "{json}");
        assert!(error.message.contains(message), "{json}: {error}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{json}: {error}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let nested = |levels: usize| {
        (0..levels).fold(Value::from("$n"), |inner, _| single("$abs", Value::Array(vec![inner])))
    };
    let at = At::root("expr");
    let deep = Expr::parse(&nested(99), at).unwrap();
    assert_eq!(shown(eval_bounded(&deep, 1 << 20)), "5");
    let error = Expr::parse(&nested(100), at).unwrap_err();
    assert!(error.message.contains("more than 100 levels"), "{error}");
}

#[test]
fn small_expressions_cannot_build_large_values() {
    let doubled = |levels: usize, step: &str| {
        (0..levels).fold(r#""$$x""#.to_owned(), |inner, _| {
            format!(r#"{{"$let":{{"vars":{{"x":{step}}},"in":{inner}}}}}"#)
        })
    };
    let start = |inner: String| {
        format!(r#"{{"$let":{{"vars":{{"x":{{"$range":[0,100]}}}},"in":{inner}}}}}"#)
    };
    let many = (0..2000).map(|_| r#"{"$range":[0,1000000]}"#).collect::<Vec<_>>().join(",");
    let held = (0..30).fold("1".to_owned(), |inner, _| {
        format!(r#"{{"$in":[{{"$range":[0,500000]}},[{inner}]]}}"#)
    });
    let text = (0..30).fold(r#""$$x""#.to_owned(), |inner, _| {
        format!(r#"{{"$let":{{"vars":{{"x":{{"$concat":["$$x","$$x"]}}}},"in":{inner}}}}}"#)
    });
    for json in [
        r#"{"$range":[0,1000001]}"#.to_owned(),
        r#"{"$range":[-2147483648,2147483647]}"#.to_owned(),
        start(doubled(30, r#"["$$x","$$x"]"#)),
        start(doubled(30, r#"{"a":"$$x","b":"$$x"}"#)),
        start(doubled(30, r#"{"$concatArrays":["$$x","$$x"]}"#)),
        start(doubled(30, r#"{"$zip":{"inputs":["$$x","$$x"]}}"#)),
        start(doubled(30, r#"{"$map":{"input":[1,2],"in":"$$x"}}"#)),
        format!(r#"{{"$let":{{"vars":{{"x":"abcdefgh"}},"in":{text}}}}}"#),
        format!(r#"[{many}]"#),
        format!(r#"{{"$concatArrays":[{many}]}}"#),
        held,
        r#"{"$reduce":{"input":{"$range":[0,40]},"initialValue":"0123456789",
            "in":{"$replaceAll":{"input":"$$value","find":"0","replacement":"$$value"}}}}"#
            .to_owned(),
    ] {
        let error = eval(&json).unwrap_err();
        assert_eq!(error.kind, Kind::QueryTooLarge, "{error}");
    }
}

#[test]
fn values_that_grow_by_one_level_each_round_do_not_overflow_the_stack() {
    let json = r#"{"$reduce":{"input":{"$range":[0,100000]},"initialValue":0,"in":["$$value"]}}"#;
    assert!(shown(eval(json)).contains("$reduce would nest more than 120 levels"));
}

/// Each level of a variable may be wrapped a few dozen times more, far deeper than the expression.
#[test]
fn variables_that_nest_into_each_other_do_not_overflow_the_stack() {
    let wrapped = format!("{}\"$$x\"{}", "[".repeat(50), "]".repeat(50));
    let deep = (0..20).fold(r#""$$x""#.to_owned(), |inner, _| {
        format!(r#"{{"$let":{{"vars":{{"x":{wrapped}}},"in":{inner}}}}}"#)
    });
    let json = format!(r#"{{"$let":{{"vars":{{"x":1}},"in":{deep}}}}}"#);
    assert!(shown(eval(&json)).contains("$let would nest more than 120 levels"));
}

/// The document of the symptom: an array and a text, both as large as a few memories.
fn large() -> Value {
    let items: Vec<Value> = (0..20_000).map(|item| Value::Int(item % 1000)).collect();
    let text = "abcdefgh".repeat(100_000);
    Value::Object(Object::from_iter([
        ("a".to_owned(), Value::Array(items)),
        ("t".to_owned(), Value::String(text)),
    ]))
}

/// What was borrowed from a document was copied before anybody counted it.
#[test]
fn copies_of_parts_of_a_document_are_counted_before_they_are_made() {
    let document = large();
    for json in [
        r#"{"$reverseArray":"$a"}"#,
        r#"{"$sortArray":{"input":"$a","sortBy":1}}"#,
        r#"{"$slice":["$a",15000]}"#,
        r#"{"$concatArrays":["$a",[1]]}"#,
        r#"{"$map":{"input":"$a","in":"$$this"}}"#,
        r#"{"$zip":{"inputs":["$a","$a"]}}"#,
        r#"{"$firstN":{"n":15000,"input":"$a"}}"#,
        r#"{"$maxN":{"n":15000,"input":"$a"}}"#,
        r#"{"$setUnion":["$a",[1]]}"#,
        r#"{"$mergeObjects":["$$ROOT"]}"#,
        r#"{"$setField":{"field":"x","input":"$$ROOT","value":1}}"#,
        r#"{"$let":{"vars":{},"in":"$a"}}"#,
        r#"{"$toUpper":"$t"}"#,
        r#"{"$substrCP":["$t",1,700000]}"#,
        r#"{"$split":["$t","a"]}"#,
        r#"{"$trim":{"input":"$t","chars":"x"}}"#,
        r#"{"$toString":"$t"}"#,
        r#"{"$replaceAll":{"input":"$t","find":"a","replacement":"b"}}"#,
        r#"{"$regexFindAll":{"input":"$t","regex":"[a-h]"}}"#,
        r#"{"a":"$t","b":"$t"}"#,
    ] {
        let interrupt = || Ok(());
        let ctx = Context::new(0, 300_000, &interrupt);
        let error = parsed(json).unwrap().eval(&Vars::root(&document), &ctx).expect_err(json);
        assert_eq!(error.kind, Kind::QueryTooLarge, "{json}");
        assert_eq!(ctx.memory_used(), 0, "{json}");
    }
}

/// Loops inside operators were one step, or none.
#[test]
fn long_operators_count_their_work_and_end_by_the_interrupt() {
    let document = large();
    for (json, least) in [
        (r#"{"$in":[-1,"$a"]}"#, 20_000),
        (r#"{"$indexOfArray":["$a",-1]}"#, 20_000),
        (r#"{"$sum":"$a"}"#, 20_000),
        (r#"{"$max":"$a"}"#, 20_000),
        (r#"{"$eq":["$a",{"$reverseArray":"$a"}]}"#, 20_000),
        (r#"{"$eq":["$$ROOT","$$ROOT"]}"#, 30_000),
        (r#"{"$sortArray":{"input":"$a","sortBy":{"x":1}}}"#, 200_000),
        (r#"{"$setIsSubset":["$a","$a"]}"#, 40_000),
        (r#"{"$allElementsTrue":"$a"}"#, 20_000),
        (r#""$a.x""#, 20_000),
        (r#"{"$strLenCP":"$t"}"#, 20_000),
        (r#"{"$indexOfCP":["$t","x"]}"#, 20_000),
        (r#"{"$regexMatch":{"input":"$t","regex":"x"}}"#, 20_000),
        (r#"{"$regexMatch":{"input":"$t","regex":"[a-h]*a[a-h]{99}x"}}"#, 1_000_000),
        (r#"{"$trim":{"input":"$t","chars":"abcdefgh"}}"#, 800_000),
    ] {
        let expr = parsed(json).unwrap();
        let interrupt = || Ok(());
        let ctx = Context::new(0, 1 << 30, &interrupt);
        expr.eval(&Vars::root(&document), &ctx).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert!(ctx.steps() >= least, "{json}: {}", ctx.steps());
        let interrupt = || Err(Error::new(Kind::TimeLimit, "time is up"));
        let ctx = Context::new(0, 1 << 30, &interrupt);
        let error = expr.eval(&Vars::root(&document), &ctx).expect_err(json);
        assert_eq!(error.kind, Kind::TimeLimit, "{json}");
    }
}

/// Each match looked through the rest of the text: quadratic, as the library documents.
#[test]
fn matches_that_look_far_ahead_are_counted_each() {
    let text = Value::String("A".repeat(10_000));
    let json = r#"{"$regexFindAll":{"input":"$$ROOT","regex":".*[^A-Z]|[A-Z]"}}"#;
    let interrupt = || Ok(());
    let ctx = Context::new(0, 1 << 30, &interrupt).steps_max(1_000_000);
    let error = parsed(json).unwrap().eval(&Vars::root(&text), &ctx).unwrap_err();
    assert_eq!(error.kind, Kind::QueryTooLarge);
}

/// This never ended: exponents doubled with each squaring.
#[test]
fn powers_of_a_zero_with_an_exponent_end() {
    let document = value(r#"{"n":{"$numberDecimal":"3E-6000"}}"#);
    let json = r#"{"$pow":[{"$subtract":["$n","$n"]},1000000]}"#;
    let interrupt = || Ok(());
    let ctx = Context::new(0, 1 << 20, &interrupt);
    let found = parsed(json).unwrap().eval(&Vars::root(&document), &ctx);
    assert_eq!(shown(found), r#"{"$numberDecimal":"0E-6176"}"#);
}

/// The functions of the system differ in their last digits; these are those of `libm`.
#[test]
fn functions_give_the_same_digits_on_every_machine() {
    for (json, bits) in [
        (r#"{"$exp":0.7}"#, libm::exp(0.7)),
        (r#"{"$ln":0.7}"#, libm::log(0.7)),
        (r#"{"$log10":0.7}"#, libm::log10(0.7)),
        (r#"{"$pow":[0.7,0.3]}"#, libm::pow(0.7, 0.3)),
    ] {
        let Ok(Some(Value::Double(found))) = eval(json) else { panic!("{json} gives no double") };
        assert_eq!(found.to_bits(), bits.to_bits(), "{json}");
    }
}

#[test]
fn the_interrupt_ends_long_loops() {
    let interrupt = || Err(Error::new(Kind::TimeLimit, "time is up"));
    let ctx = Context::new(0, 1 << 30, &interrupt);
    let json = r#"{"$map":{"input":{"$range":[0,1000]},"in":1}}"#;
    let error = parsed(json).unwrap().eval(&Vars::root(&Value::Null), &ctx).unwrap_err();
    assert_eq!(error.kind, Kind::TimeLimit);
}

#[test]
fn fields_that_are_read_are_known() {
    for (json, expected) in [
        (r#""$a.b.c""#, Some("a")),
        (r#"{"x":["$a","$$ROOT.b","$$CURRENT.c"]}"#, Some("a b c")),
        (r#"{"$add":["$n",{"$let":{"vars":{"x":"$o.p"},"in":"$$x.q"}}]}"#, Some("n o")),
        (r#"{"$map":{"input":"$i","in":{"$add":["$$this.z","$y"]}}}"#, Some("i y")),
        (r#"{"$getField":"a"}"#, Some("a")),
        (r#"{"$getField":{"field":"a","input":"$b"}}"#, Some("b")),
        (r#"{"$getField":"a.b"}"#, None),
        (r#"{"$getField":{"$concat":["a","b"]}}"#, None),
        (r#""$$ROOT""#, None),
        (r#"{"$literal":"$a"}"#, Some("")),
        (r#"{"$mergeObjects":["$a","$$CURRENT"]}"#, None),
    ] {
        let mut fields = Fields::default();
        parsed(json).unwrap().fields(&mut fields);
        let found = match fields {
            Fields::All => None,
            Fields::Some(names) => Some(names.into_iter().collect::<Vec<_>>().join(" ")),
        };
        assert_eq!(found.as_deref(), expected, "{json}");
    }
}

#[test]
fn paths_and_literals_are_recognized() {
    assert_eq!(parsed(r#""$a.b""#).unwrap().as_path().map(Path::as_str), Some("a.b"));
    assert_eq!(parsed(r#""$$ROOT.a""#).unwrap().as_path().map(Path::as_str), Some("a"));
    assert_eq!(parsed(r#"{"$abs":"$a"}"#).unwrap().as_path(), None);
    assert_eq!(parsed(r#"[1,{"a":"x"}]"#).unwrap().as_literal(), Some(&value(r#"[1,{"a":"x"}]"#)));
    assert_eq!(parsed(r#"[1,"$a"]"#).unwrap().as_literal(), None);
}

#[test]
fn fields_are_borrowed_from_the_document() {
    let document = value(DOCUMENT);
    let interrupt = || Ok(());
    let ctx = Context::new(0, 0, &interrupt);
    for json in [r#""$o.b""#, r#"{"$ifNull":["$nil","$o"]}"#, r#"{"$arrayElemAt":["$items",1]}"#] {
        let expr = parsed(json).unwrap();
        let found = expr.eval_ref(&Vars::root(&document), &ctx).unwrap();
        assert!(matches!(found, Some(Cow::Borrowed(_))), "{json}");
    }
}

#[test]
fn variables_of_callers_are_bound() {
    let expr =
        Expr::parse_with(&value(r#"["$$new.a","$$gone","$a"]"#), At::root("let"), &["new", "gone"]);
    let (document, new) = (value(r#"{"a":1}"#), value(r#"{"a":2}"#));
    let interrupt = || Ok(());
    let ctx = Context::new(0, 1 << 20, &interrupt);
    let root = Vars::root(&document);
    let vars = root.with("new", &new);
    let vars = vars.with("gone", None);
    assert_eq!(shown(expr.clone().unwrap().eval(&vars, &ctx)), "[2,null,1]");
    assert_eq!(shown(expr.unwrap().eval(&vars.over(&new), &ctx)), "[2,null,2]");
}

#[test]
fn literals_that_look_like_operators_are_written_as_literals() {
    for json in [r#"{"$literal":{"$add":[1]}}"#, r#"{"$literal":{"a.b":"$x"}}"#, r#""$$NOW""#] {
        let expr = parsed(json).unwrap();
        assert_eq!(Expr::parse(&expr.to_value(), At::root("expr")).as_ref(), Ok(&expr), "{json}");
    }
}

/// Arguments at the edges of what operators take.
const EDGES: &[&str] = &[
    "null",
    "true",
    "0",
    "1",
    "-1",
    "3",
    "9223372036854775807",
    "-9223372036854775808",
    "0.5",
    "-0.0",
    "1e308",
    r#"{"$numberDouble":"NaN"}"#,
    r#"{"$numberDouble":"-Infinity"}"#,
    r#"{"$numberDecimal":"9.999999999999999999999999999999999E+6144"}"#,
    r#"{"$numberDecimal":"-1E-6143"}"#,
    r#"{"$numberDecimal":"NaN"}"#,
    r#"{"$numberDecimal":"-Infinity"}"#,
    r#"{"$numberDecimal":"-0.00"}"#,
    r#"{"$numberLong":"-7"}"#,
    r#"{"$timestamp":{"t":4294967295,"i":0}}"#,
    r#"{"$regularExpression":{"pattern":"^x(","options":"i"}}"#,
    r#"{"$code":"f()","$scope":{"a":1}}"#,
    r#"{"$minKey":1}"#,
    r#"{"$maxKey":1}"#,
    r#""""#,
    r#""x""#,
    r#""ßü€😀""#,
    r#""%Y-%j""#,
    r#""+14:00""#,
    r#""Europe/Berlin""#,
    r#""week""#,
    r#""month""#,
    r#""millisecond""#,
    r#""string""#,
    r#""k""#,
    r#"{"$date":-62135596800000}"#,
    r#"{"$date":9223372036854775807}"#,
    r#"{"$date":{"$numberLong":"-9223372036854775808"}}"#,
    r#"{"$date":"2024-02-29T12:00:00Z"}"#,
    r#"{"$oid":"507f1f77bcf86cd799439011"}"#,
    "[]",
    "[[1,2],[null]]",
    r#"["a",1,null]"#,
    "{}",
    r#"{"k":"a","v":1}"#,
    r#""$gone""#,
    r#""$items""#,
    r#""$$ROOT""#,
    r#""$list""#,
    r#""$d""#,
];

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 20_000,
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn no_arguments_make_an_operator_panic(
        operator in 0..1000_usize,
        args in proptest::collection::vec(proptest::option::weighted(0.9, 0..EDGES.len()), 11),
        count in 0..5_usize,
    ) {
        let all: Vec<_> = call::FAMILIES.iter().copied().flatten().collect();
        let operator = all[operator % all.len()];
        let edges = args.iter().map(|edge| edge.map(|edge| value(EDGES[edge])));
        let list = |count: usize| Value::Array(edges.clone().flatten().take(count).collect());
        let argument = match operator.shape {
            call::Shape::List(min, max) => list(count.clamp(min, max)),
            call::Shape::Named(names, _) | call::Shape::Either(names, _) => {
                let pairs = names.iter().zip(edges.clone());
                let given = pairs.filter_map(|(name, edge)| Some(((*name).to_owned(), edge?)));
                Value::Object(given.collect())
            }
            call::Shape::Special(_) => {
                let names = ["input", "in", "cond", "initialValue", "limit"];
                let pairs = names.iter().map(|name| (*name).to_owned());
                Value::Object(pairs.zip(edges.clone().flatten()).take(count).collect())
            }
        };
        if let Ok(expr) = Expr::parse(&single(operator.name, argument), At::root("expr")) {
            let again = Expr::parse(&expr.to_value(), At::root("expr"));
            proptest::prop_assert_eq!(again, Ok(expr.clone()));
            if let Err(error) = eval_bounded(&expr, 100 << 20) {
                let expected = [Kind::NotApplicable, Kind::QueryTooLarge].contains(&error.kind);
                proptest::prop_assert!(expected, "{}", error);
                proptest::prop_assert!(error.message.starts_with('$'), "{}", error);
            }
        }
    }
}
