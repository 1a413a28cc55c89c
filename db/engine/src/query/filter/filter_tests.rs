use super::*;
use crate::error::{Kind, Result};
use crate::query::context::{At, Context};
use crate::value::{from_json, parse_stored};

fn value(json: &str) -> Value {
    from_json(serde_json::from_str(json).expect(json), At::root("test")).expect(json)
}

fn parse(json: &str) -> Result<Filter> {
    Filter::parse(&value(json), At::root("filter"))
}

fn with_context<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    run(&Context::new(0, 1 << 20, &|| Ok(())))
}

pub(super) fn matches(filter: &Filter, document: &Value) -> bool {
    with_context(|ctx| filter.matches(document, ctx)).unwrap()
}

/// For each filter the documents that match and those that do not.
fn check(table: &[(&str, &[&str], &[&str])]) {
    for (filter, matching, others) in table {
        let parsed = parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        for (documents, expected) in [(matching, true), (others, false)] {
            for document in *documents {
                let found = matches(&parsed, &parse_stored(document.as_bytes()).expect(document));
                assert_eq!(found, expected, "{filter} on {document}");
            }
        }
        let written = parsed.to_value();
        let again = Filter::parse(&written, At::root("filter"));
        assert_eq!(again.as_ref(), Ok(&parsed), "{filter} written as {}", written.to_json());
    }
}

#[test]
fn equality() {
    check(&[
        ("{}", &["{}", r#"{"a":1}"#], &[]),
        (
            r#"{"a":1}"#,
            &[r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"a":{"$numberDecimal":"1.0"}}"#, r#"{"a":[2,1]}"#],
            &["{}", r#"{"a":2}"#, r#"{"a":"1"}"#, r#"{"a":[[1]]}"#, r#"{"a":{"a":1}}"#],
        ),
        (
            r#"{"a":null}"#,
            &["{}", r#"{"a":null}"#, r#"{"a":[1,null]}"#],
            &[r#"{"a":0}"#, r#"{"a":[]}"#],
        ),
        (
            r#"{"a.b":null}"#,
            &["{}", r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":[{"b":1},{}]}"#],
            &[r#"{"a":{"b":1}}"#, r#"{"a":[]}"#, r#"{"a":[1]}"#, r#"{"a":[{"b":1}]}"#],
        ),
        (
            r#"{"a.0.x":null}"#,
            &["{}", r#"{"a":[{}]}"#, r#"{"a":[{"x":null}]}"#, r#"{"a":1}"#],
            &[r#"{"a":[1]}"#, r#"{"a":[null]}"#, r#"{"a":[]}"#, r#"{"a":[[]]}"#],
        ),
        (r#"{"a":{"$ne":null}}"#, &[r#"{"a":1}"#, r#"{"a":[]}"#], &["{}", r#"{"a":[null,1]}"#]),
        (r#"{"a":{"$ne":1}}"#, &["{}", r#"{"a":[2]}"#], &[r#"{"a":1}"#, r#"{"a":[2,1]}"#]),
        (
            r#"{"a":{"x":1,"y":2}}"#,
            &[r#"{"a":{"x":1,"y":2}}"#, r#"{"a":[{"x":1,"y":2}]}"#],
            &[r#"{"a":{"y":2,"x":1}}"#, r#"{"a":{"x":1,"y":2,"z":3}}"#],
        ),
        (
            r#"{"a":[1,2]}"#,
            &[r#"{"a":[1,2]}"#, r#"{"a":[0,[1,2]]}"#],
            &[r#"{"a":[2,1]}"#, r#"{"a":1}"#],
        ),
        (r#"{"a":[]}"#, &[r#"{"a":[]}"#, r#"{"a":[[]]}"#], &["{}", r#"{"a":[1]}"#]),
        (r#"{"a":{}}"#, &[r#"{"a":{}}"#], &["{}", r#"{"a":{"b":1}}"#]),
        (
            r#"{"a.1":5}"#,
            &[r#"{"a":[0,5]}"#, r#"{"a":{"1":5}}"#, r#"{"a":[{"1":5}]}"#],
            &[r#"{"a":[5]}"#],
        ),
        (
            r#"{"a.b.c":5}"#,
            &[r#"{"a":[{"b":[{"c":4},{"c":[5]}]}]}"#],
            &[r#"{"a":[[{"b":{"c":5}}]]}"#],
        ),
        (r#"{"a":{"$eq":{"$gt":1}}}"#, &[r#"{"a":{"$gt":1}}"#], &[r#"{"a":2}"#]),
        (r#"{"a":{"$ref":"c","$id":7}}"#, &[r#"{"a":{"$ref":"c","$id":7}}"#], &[r#"{"a":7}"#]),
        (
            r#"{"a":{"$numberDouble":"NaN"}}"#,
            &[r#"{"a":{"$numberDouble":"NaN"}}"#],
            &[r#"{"a":0}"#, "{}"],
        ),
        (r#"{"a":1,"b":2}"#, &[r#"{"a":1,"b":2}"#], &[r#"{"a":1}"#, r#"{"b":2}"#]),
        (r#"{"_id":7,"$comment":"x"}"#, &[r#"{"_id":7}"#], &[r#"{"_id":8}"#]),
    ]);
}

#[test]
fn comparison_stays_in_a_class() {
    check(&[
        (
            r#"{"a":{"$gt":5}}"#,
            &[
                r#"{"a":6}"#,
                r#"{"a":5.5}"#,
                r#"{"a":[1,6]}"#,
                r#"{"a":{"$numberDouble":"Infinity"}}"#,
            ],
            &[
                "{}",
                r#"{"a":5}"#,
                r#"{"a":"6"}"#,
                r#"{"a":[]}"#,
                r#"{"a":true}"#,
                r#"{"a":{"$date":9}}"#,
            ],
        ),
        (
            r#"{"a":{"$lt":5}}"#,
            &[r#"{"a":4}"#],
            &[r#"{"a":null}"#, "{}", r#"{"a":{"$numberDouble":"NaN"}}"#],
        ),
        (
            r#"{"a":{"$lte":{"$numberDouble":"NaN"}}}"#,
            &[r#"{"a":{"$numberDouble":"NaN"}}"#],
            &[r#"{"a":1}"#],
        ),
        (
            r#"{"a":{"$gt":{"$numberDouble":"NaN"}}}"#,
            &[],
            &[r#"{"a":1}"#, r#"{"a":{"$numberDouble":"NaN"}}"#],
        ),
        (r#"{"a":{"$gte":null}}"#, &["{}", r#"{"a":null}"#], &[r#"{"a":0}"#, r#"{"a":[]}"#]),
        (r#"{"a":{"$lte":null}}"#, &["{}", r#"{"a":null}"#, r#"{"a":[null]}"#], &[r#"{"a":0}"#]),
        (r#"{"a":{"$gt":null}}"#, &[], &["{}", r#"{"a":null}"#, r#"{"a":0}"#]),
        (
            r#"{"a":{"$gte":"b"}}"#,
            &[r#"{"a":"b"}"#, r#"{"a":"ba"}"#],
            &[r#"{"a":"a"}"#, r#"{"a":5}"#],
        ),
        (
            r#"{"a":{"$gt":[1,2]}}"#,
            &[r#"{"a":[1,3]}"#, r#"{"a":[[2]]}"#],
            &[r#"{"a":[1]}"#, r#"{"a":9}"#],
        ),
        (r#"{"a":{"$lt":true}}"#, &[r#"{"a":false}"#], &[r#"{"a":0}"#, r#"{"a":true}"#]),
        // Each side may be met by another item.
        (r#"{"a":{"$gt":5,"$lt":3}}"#, &[r#"{"a":[1,9]}"#], &[r#"{"a":4}"#, r#"{"a":[9]}"#]),
        (
            r#"{"a":{"$gte":{"$date":"2020-01-01T00:00:00Z"}}}"#,
            &[r#"{"a":{"$date":"2020-01-01T00:00:00Z"}}"#],
            &[r#"{"a":{"$date":"2019-12-31T00:00:00Z"}}"#, r#"{"a":"2021"}"#],
        ),
    ]);
}

#[test]
fn lists() {
    check(&[
        (
            r#"{"a":{"$in":[3,"x",1,1.0,null]}}"#,
            &["{}", r#"{"a":1}"#, r#"{"a":[9,"x"]}"#],
            &[r#"{"a":2}"#, r#"{"a":[]}"#],
        ),
        (r#"{"a":{"$in":[]}}"#, &[], &["{}", r#"{"a":1}"#]),
        (r#"{"a":{"$in":[[1]]}}"#, &[r#"{"a":[1]}"#, r#"{"a":[[1]]}"#], &[r#"{"a":1}"#]),
        (
            r#"{"a":{"$in":[5,{"$regularExpression":{"pattern":"^x","options":"i"}},{"$regex":"y$"}]}}"#,
            &[r#"{"a":5}"#, r#"{"a":"Xa"}"#, r#"{"a":["zy"]}"#],
            &[r#"{"a":"y "}"#, "{}"],
        ),
        (r#"{"a":{"$nin":[1,null]}}"#, &[r#"{"a":2}"#, r#"{"a":[]}"#], &["{}", r#"{"a":[2,1]}"#]),
        (
            r#"{"a":{"$all":[1,2]}}"#,
            &[r#"{"a":[2,1,0]}"#],
            &["{}", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":[[1,2]]}"#],
        ),
        (r#"{"a":{"$all":[1]}}"#, &[r#"{"a":1}"#, r#"{"a":[1]}"#], &[r#"{"a":2}"#]),
        (
            r#"{"a":{"$all":[[1,2]]}}"#,
            &[r#"{"a":[1,2]}"#, r#"{"a":[[1,2],3]}"#],
            &[r#"{"a":[1,3]}"#],
        ),
        (r#"{"a":{"$all":[]}}"#, &[], &["{}", r#"{"a":[]}"#]),
        (r#"{"a":{"$all":[null]}}"#, &["{}", r#"{"a":[null]}"#], &[r#"{"a":[1]}"#]),
        (
            r#"{"a":{"$all":[{"$elemMatch":{"x":1,"y":1}},{"$elemMatch":{"x":2}}]}}"#,
            &[r#"{"a":[{"x":2},{"x":1,"y":1}]}"#],
            &[r#"{"a":[{"x":2},{"x":1}]}"#],
        ),
        (r#"{"a":{"$all":[{"$regex":"^a"},"b"]}}"#, &[r#"{"a":["b","ab"]}"#], &[r#"{"a":["b"]}"#]),
        (r#"{"a":{"$size":2}}"#, &[r#"{"a":[1,2]}"#], &["{}", r#"{"a":[[1,2]]}"#, r#"{"a":2}"#]),
        (r#"{"a":{"$size":0.0}}"#, &[r#"{"a":[]}"#], &["{}", r#"{"a":null}"#]),
        (r#"{"a.b":{"$size":1}}"#, &[r#"{"a":[{"b":[]},{"b":[1]}]}"#], &[r#"{"a":[{"b":1}]}"#]),
    ]);
}

#[test]
fn items() {
    check(&[
        (
            r#"{"a":{"$elemMatch":{"x":1,"y":{"$gt":1}}}}"#,
            &[r#"{"a":[{"x":1,"y":2}]}"#],
            &[
                r#"{"a":[{"x":1},{"y":2}]}"#,
                r#"{"a":{"x":1,"y":2}}"#,
                "{}",
                r#"{"a":[[{"x":1,"y":2}]]}"#,
            ],
        ),
        (
            r#"{"a":{"$elemMatch":{"0":5}}}"#,
            &[r#"{"a":[[5]]}"#, r#"{"a":[{"0":5}]}"#],
            &[r#"{"a":[5]}"#],
        ),
        (
            r#"{"a":{"$elemMatch":{}}}"#,
            &[r#"{"a":[{}]}"#, r#"{"a":[[]]}"#],
            &[r#"{"a":[1]}"#, r#"{"a":[]}"#],
        ),
        (
            r#"{"a":{"$elemMatch":{"$or":[{"x":1},{"y":1}]}}}"#,
            &[r#"{"a":[{"y":1}]}"#],
            &[r#"{"a":[{"z":1}]}"#],
        ),
        (
            r#"{"a":{"$elemMatch":{"$gt":3,"$lt":5}}}"#,
            &[r#"{"a":[9,4]}"#],
            &[r#"{"a":[9,1]}"#, r#"{"a":4}"#, r#"{"a":[[4]]}"#],
        ),
        (
            r#"{"a":{"$elemMatch":{"$ne":1}}}"#,
            &[r#"{"a":[1,2]}"#],
            &[r#"{"a":[1]}"#, r#"{"a":[]}"#, "{}"],
        ),
        (
            r#"{"a":{"$elemMatch":{"$elemMatch":{"$eq":1}}}}"#,
            &[r#"{"a":[[1]]}"#],
            &[r#"{"a":[1]}"#],
        ),
        (
            r#"{"a":{"$not":{"$elemMatch":{"x":1}}}}"#,
            &["{}", r#"{"a":[{"x":2}]}"#],
            &[r#"{"a":[{"x":1}]}"#],
        ),
    ]);
}

#[test]
fn presence_and_types() {
    check(&[
        (r#"{"a":{"$exists":true}}"#, &[r#"{"a":null}"#, r#"{"a":[]}"#], &["{}"]),
        (r#"{"a":{"$exists":0}}"#, &["{}"], &[r#"{"a":null}"#]),
        // As MongoDB does, whatever is not false, zero or null means true.
        (r#"{"a":{"$exists":null}}"#, &["{}"], &[r#"{"a":null}"#]),
        (r#"{"a":{"$exists":-0.0}}"#, &["{}"], &[r#"{"a":null}"#]),
        (r#"{"a":{"$exists":"false"}}"#, &[r#"{"a":null}"#], &["{}"]),
        (r#"{"a":{"$exists":[]}}"#, &[r#"{"a":null}"#], &["{}"]),
        (r#"{"a.$b":1}"#, &[r#"{"a":{"$b":1}}"#], &["{}", r#"{"a":{"b":1}}"#]),
        (r#"{"a..b":1}"#, &[r#"{"a":{"":{"b":1}}}"#], &["{}", r#"{"a":{"b":1}}"#]),
        (r#"{"":1}"#, &[r#"{"":1}"#], &["{}"]),
        (
            r#"{"a.b":{"$exists":false}}"#,
            &["{}", r#"{"a":[]}"#, r#"{"a":[1]}"#, r#"{"a":[{}]}"#],
            &[r#"{"a":[{},{"b":1}]}"#],
        ),
        (r#"{"a.b":{"$exists":true}}"#, &[r#"{"a":[{},{"b":1}]}"#], &[r#"{"a":[{}]}"#]),
        (
            r#"{"a":{"$type":"number"}}"#,
            &[r#"{"a":1}"#, r#"{"a":1.5}"#, r#"{"a":["x",1]}"#],
            &["{}", r#"{"a":"1"}"#],
        ),
        (r#"{"a":{"$type":"array"}}"#, &[r#"{"a":[]}"#, r#"{"a":[[1]]}"#], &[r#"{"a":1}"#]),
        (r#"{"a":{"$type":[2,"bool"]}}"#, &[r#"{"a":"x"}"#, r#"{"a":true}"#], &[r#"{"a":1}"#]),
        (r#"{"a":{"$type":10}}"#, &[r#"{"a":null}"#], &["{}"]),
        (r#"{"a":{"$type":"long"}}"#, &[r#"{"a":5000000000}"#], &[r#"{"a":5}"#]),
        (r#"{"a":{"$type":"regex"}}"#, &[], &[r#"{"a":"x"}"#]),
    ]);
}

#[test]
fn patterns() {
    check(&[
        (
            r#"{"a":{"$regex":"^b.d$"}}"#,
            &[r#"{"a":"bad"}"#, r#"{"a":["x","bed"]}"#],
            &[r#"{"a":"Bad"}"#, "{}", r#"{"a":5}"#],
        ),
        (r#"{"a":{"$options":"i","$regex":"^b"}}"#, &[r#"{"a":"Bad"}"#], &[r#"{"a":"a"}"#]),
        (r#"{"a":{"$regex":"^b","$options":"mm"}}"#, &[r#"{"a":"a\nb"}"#], &[r#"{"a":"a b"}"#]),
        (r#"{"a":{"$regex":"a.b","$options":"s"}}"#, &[r#"{"a":"a\nb"}"#], &[r#"{"a":"ab"}"#]),
        (r#"{"a":{"$regex":"a b # c","$options":"x"}}"#, &[r#"{"a":"ab"}"#], &[r#"{"a":"a b"}"#]),
        (
            r#"{"a":{"$regularExpression":{"pattern":"B","options":"i"}}}"#,
            &[r#"{"a":"abc"}"#],
            &[r#"{"a":"c"}"#],
        ),
        (
            r#"{"a":{"$regex":{"$regularExpression":{"pattern":"B","options":""}},"$options":"i"}}"#,
            &[r#"{"a":"abc"}"#],
            &[],
        ),
        (
            r#"{"a":{"$not":{"$regex":"^b"}}}"#,
            &["{}", r#"{"a":5}"#, r#"{"a":"a"}"#],
            &[r#"{"a":["a","b"]}"#],
        ),
        (
            r#"{"a":{"$not":{"$regularExpression":{"pattern":"b","options":""}}}}"#,
            &["{}"],
            &[r#"{"a":"b"}"#],
        ),
        (
            r#"{"a":{"$regex":"a","$regularExpression":{"pattern":"b","options":""},"$ne":"ab"}}"#,
            &[r#"{"a":"ba"}"#],
            &[r#"{"a":"ab"}"#, r#"{"a":"a"}"#],
        ),
    ]);
}

#[test]
fn the_beginning_of_a_pattern_is_known_where_it_is_certain() {
    for (source, options, expected) in [
        ("^abc", "", Some("abc")),
        ("^abc.*d", "s", Some("abc")),
        (r"^a\.b\d", "", Some("a.b")),
        ("^ab*", "", Some("a")),
        ("^ab+", "", Some("ab")),
        ("^a?", "", None),
        ("^a{0,1}", "", None),
        ("^(a)", "", None),
        ("abc", "", None),
        ("^abc|d", "", None),
        ("^abc", "i", None),
        ("^abc", "m", None),
        ("^a c", "x", None),
    ] {
        let pattern = Pattern::new(source, options, At::root("filter")).unwrap();
        assert_eq!(pattern.literal_prefix().as_deref(), expected, "{source} {options}");
    }
}

#[test]
fn remainders() {
    check(&[
        (
            r#"{"a":{"$mod":[4,1]}}"#,
            &[r#"{"a":5}"#, r#"{"a":5.9}"#, r#"{"a":{"$numberDecimal":"9.5"}}"#, r#"{"a":[2,1]}"#],
            &[
                "{}",
                r#"{"a":4}"#,
                r#"{"a":"5"}"#,
                r#"{"a":1e300}"#,
                r#"{"a":{"$numberDouble":"NaN"}}"#,
            ],
        ),
        (r#"{"a":{"$mod":[4,-1]}}"#, &[r#"{"a":-5}"#], &[r#"{"a":3}"#]),
        (r#"{"a":{"$mod":[4.7,1.2]}}"#, &[r#"{"a":5}"#], &[r#"{"a":4}"#]),
        (r#"{"a":{"$mod":[-1,0]}}"#, &[r#"{"a":-9223372036854775808}"#], &[r#"{"a":"x"}"#]),
        (r#"{"a":{"$mod":[2,0]}}"#, &[], &[r#"{"a":{"$numberDecimal":"9E6000"}}"#]),
    ]);
}

#[test]
fn logic() {
    check(&[
        (r#"{"$and":[{"a":1},{"b":2}],"c":3}"#, &[r#"{"a":1,"b":2,"c":3}"#], &[r#"{"a":1,"b":2}"#]),
        (
            r#"{"$and":[{"a":{"$gt":1}},{"b":2},{"a":{"$gt":3}}]}"#,
            &[r#"{"a":4,"b":2}"#],
            &[r#"{"a":2,"b":2}"#],
        ),
        (
            r#"{"$or":[{"a":1},{"b":2,"c":3}]}"#,
            &[r#"{"a":1}"#, r#"{"b":2,"c":3}"#],
            &["{}", r#"{"b":2}"#],
        ),
        (
            r#"{"$or":[{"a":1},{"b":1}],"$and":[{"$or":[{"c":1},{"d":1}]}]}"#,
            &[r#"{"a":1,"d":1}"#],
            &[r#"{"a":1}"#],
        ),
        (r#"{"$nor":[{"a":1},{"b":2}]}"#, &["{}"], &[r#"{"a":1}"#, r#"{"b":2}"#]),
        (r#"{"$or":[{},{"a":1}]}"#, &["{}"], &[]),
        (
            r#"{"a":{"$not":{"$gt":1,"$lt":5}}}"#,
            &["{}", r#"{"a":7}"#, r#"{"a":"x"}"#],
            &[r#"{"a":3}"#],
        ),
        (
            r#"{"a":{"$not":{"$not":{"$eq":1},"$ne":2}}}"#,
            &[r#"{"a":1}"#, r#"{"a":2}"#],
            &["{}", r#"{"a":3}"#],
        ),
        (
            r#"{"a":{"$not":{"$nin":[1]},"$nin":[2],"$ne":3}}"#,
            &[r#"{"a":1}"#],
            &["{}", r#"{"a":[1,2]}"#],
        ),
        (r#"{"$expr":{"$gt":["$a","$b"]}}"#, &[r#"{"a":2,"b":1}"#], &[r#"{"a":1,"b":2}"#]),
        (r#"{"$expr":"$a","b":1}"#, &[r#"{"a":true,"b":1}"#], &[r#"{"a":0,"b":1}"#]),
    ]);
}

#[test]
fn the_error_of_an_expression_ends_the_match() {
    let filter = parse(r#"{"$nor":[{"$expr":{"$add":["$a",1]}}]}"#).unwrap();
    let error = with_context(|ctx| filter.matches(&value(r#"{"a":"x"}"#), ctx)).unwrap_err();
    assert_ne!(error.kind, Kind::Internal);
    assert!(matches(&filter, &value(r#"{"a":-1}"#)));
}

#[test]
fn refusals_name_the_place() {
    for (filter, expected) in [
        ("5", "filter must be an object"),
        ("[]", "filter must be an object"),
        (r#"{"$and":[]}"#, "filter.$and must be an array of at least one"),
        (r#"{"$or":{"a":1}}"#, "filter.$or must be an array"),
        (r#"{"$nor":[5]}"#, "filter.$nor[0] must be an object"),
        (r#"{"$and":[{"a":{"$foo":1}}]}"#, "filter.$and[0].a has the unknown operator $foo"),
        (r#"{"$where":"x"}"#, "filter has the unknown operator $where"),
        (r#"{"a":{"$gt":1,"b":2}}"#, "filter.a has the name \"b\" among operators"),
        (r#"{"a\u0000b":1}"#, "filter has the path"),
        (r#"{"a":{"$in":5}}"#, "filter.a.$in must be an array"),
        (r#"{"a":{"$in":[{"$gt":1}]}}"#, "filter.a.$in[0] cannot hold operators such as $gt"),
        (r#"{"a":{"$all":[{"$gt":1}]}}"#, "filter.a.$all[0] cannot hold operators"),
        (r#"{"a":{"$gt":{"$regex":"x"}}}"#, "filter.a.$gt cannot hold a regular expression"),
        (
            r#"{"a":{"$ne":{"$regularExpression":{"pattern":"x","options":""}}}}"#,
            "filter.a.$ne cannot hold",
        ),
        (r#"{"a":{"$not":{}}}"#, "filter.a.$not must be an object of operators"),
        (r#"{"a":{"$not":"x"}}"#, "filter.a.$not must be an object of operators"),
        (r#"{"a":{"$size":-1}}"#, "filter.a.$size must be a whole number"),
        (r#"{"a":{"$size":1.5}}"#, "filter.a.$size must be a whole number"),
        (r#"{"a":{"$size":2147483648}}"#, "filter.a.$size must be a whole number"),
        (r#"{"a":{"$mod":[0,1]}}"#, "filter.a.$mod[0] must not be 0"),
        (r#"{"a":{"$mod":[1]}}"#, "filter.a.$mod must be [divisor, remainder]"),
        (r#"{"a":{"$mod":[2,"x"]}}"#, "filter.a.$mod[1] must be a whole number"),
        (r#"{"a":{"$type":"strange"}}"#, "filter.a.$type must be a type, not \"strange\""),
        (r#"{"a":{"$type":[]}}"#, "filter.a.$type must name a type"),
        (r#"{"a":{"$type":[99]}}"#, "filter.a.$type[0] must be a type"),
        (r#"{"a":{"$elemMatch":[]}}"#, "filter.a.$elemMatch must be an object"),
        (
            r#"{"a":{"$elemMatch":{"$expr":1}}}"#,
            "filter.a.$elemMatch.$expr cannot stand in $elemMatch",
        ),
        (
            r#"{"a":{"$elemMatch":{"$and":[{"$expr":1}]}}}"#,
            "filter.a.$elemMatch.$and[0].$expr cannot",
        ),
        (r#"{"a":{"$options":"i"}}"#, "filter.a.$options must stand beside $regex"),
        (r#"{"a":{"$regex":"x","$options":"g"}}"#, "filter.a.$regex has the option 'g'"),
        (r#"{"a":{"$regex":5}}"#, "filter.a.$regex must be a text"),
        (r#"{"a":{"$regex":"("}}"#, "filter.a.$regex is not a pattern: unclosed group"),
        (r#"{"a":{"$regex":"(a)\\1"}}"#, "filter.a.$regex is not a pattern: backreferences"),
        (r#"{"a":{"$regex":"(?=a)"}}"#, "filter.a.$regex is not a pattern: look-around"),
        (r#"{"a":{"$regex":"(\\w{900}){900}"}}"#, "filter.a.$regex is too large a pattern"),
    ] {
        let error = parse(filter).expect_err(filter);
        assert_eq!(error.kind, Kind::InvalidQuery, "{filter}");
        assert!(error.message.starts_with(expected), "{filter}: {error}");
    }
    let look = parse(r#"{"a":{"$regex":"a(?!b)"}}"#).unwrap_err();
    assert!(look.hint.unwrap().contains("linear-time"));
}

#[test]
fn a_filter_has_a_bounded_number_of_patterns() {
    let patterns = |count: usize| {
        let list = vec![r#"{"$regex":"x"}"#; count].join(",");
        parse(&format!(r#"{{"$or":[{{"a":{{"$in":[{list}]}}}},{{"b":{{"$regex":"y"}}}}]}}"#))
    };
    assert!(patterns(99).is_ok());
    let error = patterns(100).unwrap_err();
    assert!(error.message.starts_with("filter.$or[1].b.$regex is one regular"), "{error}");
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |levels| {
        let mut filter = value(r#"{"a":1}"#);
        for _ in 0..levels {
            filter = Value::Object([("$nor".to_owned(), Value::Array(vec![filter]))].into());
        }
        Filter::parse(&filter, At::root("filter"))
    };
    assert!(nested(90).is_ok());
    assert!(nested(120).unwrap_err().message.ends_with("levels deep"));
}

#[test]
fn the_parts_of_a_filter_are_in_one_form() {
    let field = |name: &str| Filter::Field(Path::field(name), Test::Eq(Value::Int(1)));
    for (text, expected) in [
        (r#"{"$and":[{"a":1}]}"#, field("a")),
        (
            r#"{"$and":[{"a":1,"b":1},{}],"c":1}"#,
            Filter::And(vec![field("a"), field("b"), field("c")]),
        ),
        (
            r#"{"$or":[{"a":1},{"$or":[{"b":1},{"c":1}]}]}"#,
            Filter::Or(vec![field("a"), field("b"), field("c")]),
        ),
    ] {
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }
    let set = ValueSet::from(vec![value("3"), value("1"), value("1.0")]);
    assert_eq!(&*set, [value("1"), value("3")]);
}

#[test]
fn filters_are_written_as_people_write_them() {
    for text in [
        r#"{"a":{"$gt":1,"$lt":5},"b":2}"#,
        r#"{"a":{"$regex":"^x","$options":"i"},"$or":[{"b":1},{"c":{"$ne":2}}]}"#,
        r#"{"a":{"$elemMatch":{"$gte":1,"$not":{"$mod":[2,1]}}},"b":{"$type":["int","null"]}}"#,
        r#"{"$and":[{"a":1},{"a":{"$gt":0}}]}"#,
    ] {
        assert_eq!(parse(text).unwrap().to_value().to_json(), text);
    }
    let nothing = Filter::Or(vec![]);
    let again = Filter::parse(&nothing.to_value(), At::root("filter")).unwrap();
    assert!(!matches(&nothing, &value("{}")) && !matches(&again, &value("{}")));
}

#[test]
fn always_and_fields() {
    for (text, always, names) in [
        ("{}", true, ""),
        (r#"{"$and":[{},{"$or":[{},{"a":1}]}]}"#, true, "a"),
        (r#"{"a.b":1,"$nor":[{"c":1}]}"#, false, "a c"),
        (r#"{"$expr":{"$eq":["$x.y",1]}}"#, false, "x"),
    ] {
        let filter = parse(text).unwrap();
        assert_eq!(filter.always(), always, "{text}");
        let mut fields = Fields::default();
        filter.fields(&mut fields);
        let Fields::Some(found) = fields else { panic!("{text}") };
        assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), names, "{text}");
    }
}

#[test]
fn the_matched_item() {
    for (filter, document, array, expected) in [
        (r#"{"_id":1,"g":80}"#, r#"{"g":[70,80,80]}"#, "g", Some(1)),
        (r#"{"g":{"$gt":75}}"#, r#"{"g":[70,80]}"#, "g", Some(1)),
        (r#"{"g":{"$gt":1,"$lt":3}}"#, r#"{"g":[5,0,2]}"#, "g", Some(2)),
        // No item passes both; the first that passes one.
        (r#"{"g":{"$gt":4,"$lt":3}}"#, r#"{"g":[4,5,0]}"#, "g", Some(1)),
        (r#"{"g.x":1,"g.y":2}"#, r#"{"g":[{"x":1},{"x":1,"y":2}]}"#, "g", Some(1)),
        (r#"{"g":{"$elemMatch":{"x":1,"y":2}}}"#, r#"{"g":[{"x":1},{"x":1,"y":2}]}"#, "g", Some(1)),
        (r#"{"g":{"$elemMatch":{"$gt":1,"$ne":2}}}"#, r#"{"g":[2,3]}"#, "g", Some(1)),
        (r#"{"g":{"$all":[3,2]}}"#, r#"{"g":[1,2,3]}"#, "g", Some(1)),
        (r#"{"g":{"$in":[9,2]}}"#, r#"{"g":[1,2,3]}"#, "g", Some(1)),
        (r#"{"$or":[{"x":1},{"g":3}]}"#, r#"{"g":[1,2,3]}"#, "g", Some(2)),
        (r#"{"a.g.x":3}"#, r#"{"a":{"g":[{"x":1},{"x":3}]}}"#, "a.g", Some(1)),
        (r#"{"a.0.g":3}"#, r#"{"a":[{"g":[1,3]}]}"#, "a.0.g", Some(1)),
        (r#"{"g":{"$ne":1}}"#, r#"{"g":[2]}"#, "g", None),
        (r#"{"$nor":[{"g":1}]}"#, r#"{"g":[2]}"#, "g", None),
        (r#"{"g.x":{"$ne":1}}"#, r#"{"g":[{"x":2}]}"#, "g", None),
        (r#"{"g":{"$size":1}}"#, r#"{"g":[2]}"#, "g", None),
        (r#"{"gx":2}"#, r#"{"g":[2]}"#, "g", None),
        (r#"{"h":2}"#, r#"{"g":[2]}"#, "g", None),
        (r#"{"g":2}"#, r#"{"g":2}"#, "g", None),
    ] {
        let array = Path::parse(array, At::root("update")).unwrap();
        let (filter, document) = (parse(filter).unwrap(), value(document));
        let found = with_context(|ctx| filter.matched_item(&document, &array, ctx)).unwrap();
        assert_eq!(found, expected, "{filter:?} on {document:?}");
    }
}

/// The steps that a filter takes on a document.
fn steps(filter: &str, document: &Value) -> u64 {
    let filter = parse(filter).unwrap();
    with_context(|ctx| {
        filter.matches(document, ctx).unwrap();
        ctx.steps()
    })
}

/// Many tests of a large document took minutes that nobody counted and no time-out ended.
#[test]
fn every_look_at_a_value_is_a_step_of_work() {
    let items: Vec<String> = (0..1000).map(|item| item.to_string()).collect();
    let document = value(&format!(r#"{{"a":[{}],"t":"{}"}}"#, items.join(","), "ab".repeat(5000)));
    assert!((1..10).contains(&steps(r#"{"a.0":0}"#, &document)));
    for (filter, least) in [
        (r#"{"a":-1}"#, 1000),
        (r#"{"a":{"$gt":1000}}"#, 1000),
        (r#"{"$nor":[{"a":-1},{"a":-2}]}"#, 2000),
        (r#"{"a":{"$elemMatch":{"$lt":0}}}"#, 1000),
        (r#"{"a.b":1}"#, 1000),
        (r#"{"t":{"$regex":"c"}}"#, 300),
        (r#"{"t":{"$regex":"[ab]*a[ab]{200}c"}}"#, 30_000),
    ] {
        assert!(steps(filter, &document) >= least, "{filter}: {}", steps(filter, &document));
    }
    let ctx = Context::new(0, 1 << 20, &|| Err(crate::error::Error::new(Kind::TimeLimit, "end")));
    let error = parse(r#"{"a":-1}"#).unwrap().matches(&document, &ctx).unwrap_err();
    assert_eq!(error.kind, Kind::TimeLimit);
}

/// A number in a path means an item of an array as well as a field of its items, so each doubled
/// the ways through `[{"0":[{"0":[…]}]}]`.
#[test]
fn the_ways_of_a_path_through_nested_arrays_are_few() {
    let nested = (0..30).fold("1".to_owned(), |inner, _| format!(r#"[{{"0":{inner}}}]"#));
    let document = value(&format!(r#"{{"a":{nested}}}"#));
    let path = |numbers: usize| format!(r#"{{"a{}":5}}"#, ".0".repeat(numbers));
    assert!(steps(&path(8), &document) < 2000);
    let error = parse(&path(9)).unwrap_err();
    assert!(error.message.contains("more than 8 numbers"), "{error}");
}
