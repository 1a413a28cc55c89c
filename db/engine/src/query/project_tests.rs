use super::*;
use crate::error::Kind;
use crate::value::from_json;

fn value(json: &str) -> Value {
    from_json(serde_json::from_str(json).expect(json), At::root("test")).expect(json)
}

type Parse = fn(&Value, At<'_>) -> Result<Projection>;

fn projected(parse: Parse, projection: &str, document: &str) -> String {
    let ctx = Context::new(0, 1 << 20, &|| Ok(()));
    let projection = parse(&value(projection), At::root("projection"))
        .unwrap_or_else(|error| panic!("{projection}: {error}"));
    projection.apply(&value(document), &ctx).unwrap().to_json()
}

fn check(parse: Parse, table: &[(&str, &str, &str)]) {
    for (projection, document, expected) in table {
        assert_eq!(projected(parse, projection, document), *expected, "{projection} of {document}");
    }
}

#[test]
fn inclusion_and_exclusion() {
    let flat = r#"{"_id":1,"a":2,"b":{"c":3,"d":4},"e":5}"#;
    let list = r#"{"_id":1,"a":[{"b":1,"c":2},3,[{"b":4,"c":5}],{"c":6}]}"#;
    check(
        Projection::parse,
        &[
            ("{}", flat, flat),
            (r#"{"e":1,"a":true}"#, flat, r#"{"_id":1,"a":2,"e":5}"#),
            (r#"{"a":1,"_id":0}"#, flat, r#"{"a":2}"#),
            (r#"{"_id":1}"#, flat, r#"{"_id":1}"#),
            (r#"{"_id":0}"#, flat, r#"{"a":2,"b":{"c":3,"d":4},"e":5}"#),
            (r#"{"b":0,"_id":1}"#, flat, r#"{"_id":1,"a":2,"e":5}"#),
            (r#"{"b":0.0,"_id":0}"#, flat, r#"{"a":2,"e":5}"#),
            (r#"{"b.c":1}"#, flat, r#"{"_id":1,"b":{"c":3}}"#),
            (r#"{"b":{"c":1}}"#, flat, r#"{"_id":1,"b":{"c":3}}"#),
            (r#"{"b.c":0}"#, flat, r#"{"_id":1,"a":2,"b":{"d":4},"e":5}"#),
            (r#"{"a.x":1}"#, flat, r#"{"_id":1}"#),
            (r#"{"a.x":0,"b":0}"#, flat, r#"{"_id":1,"a":2,"e":5}"#),
            (r#"{"b.x":1}"#, flat, r#"{"_id":1,"b":{}}"#),
            (r#"{"a.b":1}"#, list, r#"{"_id":1,"a":[{"b":1},[{"b":4}],{}]}"#),
            (r#"{"a.b":0}"#, list, r#"{"_id":1,"a":[{"c":2},3,[{"c":5}],{"c":6}]}"#),
            (r#"{"a.0":1}"#, list, r#"{"_id":1,"a":[{},[{}],{}]}"#),
        ],
    );
}

#[test]
fn computed_fields() {
    let document = r#"{"_id":1,"a":2,"b":{"c":3},"l":[{"x":1},5]}"#;
    check(
        Projection::parse,
        &[
            (r#"{"n":"$a","b":1}"#, document, r#"{"_id":1,"b":{"c":3},"n":2}"#),
            (r#"{"n":{"$add":["$a","$b.c"]},"_id":0}"#, document, r#"{"n":5}"#),
            (r#"{"a":"$b.c"}"#, document, r#"{"_id":1,"a":3}"#),
            (r#"{"n":"$missing","t":"text"}"#, document, r#"{"_id":1,"t":"text"}"#),
            (r#"{"b.n":"$a"}"#, document, r#"{"_id":1,"b":{"n":2}}"#),
            (r#"{"b":{"c":1,"n":"$a"}}"#, document, r#"{"_id":1,"b":{"c":3,"n":2}}"#),
            (r#"{"z.n":"$a"}"#, document, r#"{"_id":1,"z":{"n":2}}"#),
            (r#"{"a.n":"$a"}"#, document, r#"{"_id":1,"a":{"n":2}}"#),
            (r#"{"l.n":"$a","l.x":1}"#, document, r#"{"_id":1,"l":[{"x":1,"n":2},{"n":2}]}"#),
            (r#"{"_id":"$a"}"#, document, r#"{"_id":2}"#),
            (r#"{"n":["$a",7]}"#, document, r#"{"_id":1,"n":[2,7]}"#),
        ],
    );
    check(
        Projection::parse_add_fields,
        &[
            (
                r#"{"n":1,"a":"$b.c"}"#,
                document,
                r#"{"_id":1,"a":3,"b":{"c":3},"l":[{"x":1},5],"n":1}"#,
            ),
            (r#"{"b.n":true,"l":[]}"#, document, r#"{"_id":1,"a":2,"b":{"c":3,"n":true},"l":[]}"#),
            (
                r#"{"l.n":0}"#,
                document,
                r#"{"_id":1,"a":2,"b":{"c":3},"l":[{"x":1,"n":0},{"n":0}]}"#,
            ),
            (r#"{"a":"$missing","_id":{"x":5}}"#, r#"{"_id":1,"a":2}"#, r#"{"_id":{"x":5}}"#),
        ],
    );
    check(Projection::parse_stage, &[(r#"{"n":"$a","_id":0}"#, document, r#"{"n":2}"#)]);
}

#[test]
fn slices_and_first_items() {
    let document = r#"{"_id":1,"a":[1,2,3,4],"b":2,"c":[{"x":1,"y":1},{"x":1,"y":2}]}"#;
    let rest = r#""b":2,"c":[{"x":1,"y":1},{"x":1,"y":2}]}"#;
    for (slice, expected) in [
        ("2", "[1,2]"),
        ("0", "[]"),
        ("-3", "[2,3,4]"),
        ("-9", "[1,2,3,4]"),
        ("[1,2]", "[2,3]"),
        ("[-2,1]", "[3]"),
        ("[-9,1]", "[1]"),
        ("[9,1]", "[]"),
        ("-9223372036854775808", "[1,2,3,4]"),
    ] {
        let projection = format!(r#"{{"a":{{"$slice":{slice}}}}}"#);
        let expected = format!(r#"{{"_id":1,"a":{expected},{rest}"#);
        assert_eq!(projected(Projection::parse, &projection, document), expected, "{slice}");
    }
    check(
        Projection::parse,
        &[
            (r#"{"a":{"$slice":1},"_id":1}"#, document, r#"{"_id":1,"a":[1]}"#),
            (r#"{"a":{"$slice":1},"b":1}"#, document, r#"{"_id":1,"a":[1],"b":2}"#),
            (r#"{"b":{"$slice":1},"a":0,"c":0}"#, document, r#"{"_id":1,"b":2}"#),
            (
                r#"{"p.q":{"$slice":1}}"#,
                r#"{"p":[{"q":[1,2],"r":3}]}"#,
                r#"{"p":[{"q":[1],"r":3}]}"#,
            ),
            (r#"{"c":{"$elemMatch":{"y":2}}}"#, document, r#"{"_id":1,"c":[{"x":1,"y":2}]}"#),
            (r#"{"a":{"$elemMatch":{"$gt":2}},"_id":0}"#, document, r#"{"a":[3]}"#),
            (r#"{"c":{"$elemMatch":{"y":9}},"b":1}"#, document, r#"{"_id":1,"b":2}"#),
            (r#"{"b":{"$elemMatch":{"y":9}}}"#, document, r#"{"_id":1}"#),
            (
                r#"{"c":{"$elemMatch":{"x":1}},"a":{"$slice":1}}"#,
                document,
                r#"{"_id":1,"a":[1],"b":2,"c":[{"x":1,"y":1}]}"#,
            ),
        ],
    );
}

#[test]
fn short_forms() {
    let short = |text| Projection::from_names(text, At::root("fields"));
    let long = |json| Projection::parse(&value(json), At::root("fields"));
    assert_eq!(short("a,b.c,-_id"), long(r#"{"a":1,"b.c":1,"_id":0}"#));
    assert_eq!(short("-a, -b"), long(r#"{"a":0,"b":0}"#));
    assert_eq!(short(""), long("{}"));
    assert!(short("a,-b").unwrap_err().message.starts_with("fields.b excludes"));
    assert!(short("a,-a").unwrap_err().message.contains("twice"));
}

#[test]
fn what_is_read_and_what_is_plain() {
    for (projection, plain, read) in [
        (r#"{"a":1,"b":1}"#, Some("_id a b"), Some("_id a b")),
        (r#"{"a":1,"_id":0}"#, Some("a"), Some("a")),
        (r#"{"a.b":1}"#, None, Some("_id a")),
        (r#"{"n":"$x.y"}"#, None, Some("_id x")),
        (r#"{"n.m":"$x"}"#, None, Some("_id n x")),
        (r#"{"c":{"$elemMatch":{"x":1}}}"#, None, Some("_id c")),
        (r#"{"a":0}"#, None, None),
        ("{}", None, None),
    ] {
        let parsed = Projection::parse(&value(projection), At::root("projection")).unwrap();
        let names = parsed.plain_names().map(|names| names.join(" "));
        assert_eq!(names.as_deref(), plain, "{projection}");
        let mut fields = Fields::default();
        parsed.fields(&mut fields);
        let names = match fields {
            Fields::All => None,
            Fields::Some(names) => Some(names.into_iter().collect::<Vec<_>>().join(" ")),
        };
        assert_eq!(names.as_deref(), read, "{projection}");
    }
}

#[test]
fn refusals_name_the_place() {
    let find: Parse = Projection::parse;
    let stage: Parse = Projection::parse_stage;
    for (parse, text, expected) in [
        (find, "5", "projection must be an object"),
        (stage, "{}", "projection must be an object that names fields"),
        (Projection::parse_add_fields, "5", "projection must be an object"),
        (find, r#"{"a":1,"b":0}"#, "projection.b excludes a field"),
        (find, r#"{"a":0,"b":1}"#, "projection.b includes a field"),
        (find, r#"{"a":0,"b":"$c"}"#, "projection.b includes a field"),
        (find, r#"{"a":{"b":0},"c":1}"#, "projection.c includes a field"),
        (find, r#"{"a":1,"a.b":1}"#, "projection.a.b has \"a.b\" beside"),
        (find, r#"{"a.b":1,"a":1}"#, "projection.a has \"a\" beside"),
        (find, r#"{"a.b":1,"a":{"b":1}}"#, "projection.a.b has \"a.b\" beside"),
        (find, r#"{"_id":1,"_id.x":1}"#, "projection has \"_id\" beside"),
        (find, r#"{"a":{}}"#, "projection.a must not be an empty object"),
        (find, r#"{"a.$":1}"#, "projection has \"a.$\""),
        (find, r#"{"a..b":1}"#, "projection has the path"),
        (find, r#"{"a":{"$slice":"x"}}"#, "projection.a.$slice must be a whole number"),
        (find, r#"{"a":{"$slice":[1,0]}}"#, "projection.a.$slice[1] must be more than 0"),
        (find, r#"{"a":{"$slice":[1.5,1]}}"#, "projection.a.$slice[0] must be a whole number"),
        (find, r#"{"a":{"$elemMatch":5}}"#, "projection.a.$elemMatch must be an object"),
        (find, r#"{"a":{"$elemMatch":{"$expr":1}}}"#, "projection.a.$elemMatch.$expr cannot stand"),
        (
            find,
            r#"{"a.b":{"$elemMatch":{"x":1}}}"#,
            "projection.a.b can use $elemMatch on an outermost",
        ),
    ] {
        let error = parse(&value(text), At::root("projection")).expect_err(text);
        assert_eq!(error.kind, Kind::InvalidQuery, "{text}");
        assert!(error.message.starts_with(expected), "{text}: {error}");
    }
}
