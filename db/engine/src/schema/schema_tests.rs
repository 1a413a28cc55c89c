use super::*;
use crate::error::Kind;
use crate::value::parse_stored;
use proptest::prelude::*;
use serde_json::json;
use std::time::{Duration, Instant};

fn compile(schema: &str) -> Schema {
    Schema::compile(&serde_json::from_str(schema).unwrap())
        .unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn refusal(schema: &Value) -> String {
    let error = Schema::compile(schema).unwrap_err();
    assert_eq!(error.kind, Kind::InvalidQuery);
    error.message
}

fn broken(schema: &str, document: &str) -> String {
    let violations = compile(schema).check(&serde_json::from_str(document).unwrap());
    let all = violations
        .iter()
        .map(|it| format!("{} {} {}: {}", it.path, it.rule, it.expected, it.found));
    all.collect::<Vec<_>>().join("; ")
}

const VIOLATIONS: &[(&str, &str, &str)] = &[
    (r#"{"type": "object"}"#, r#"{}"#, ""),
    (r#"true"#, r#"{}"#, ""),
    (r#"{"required": ["a"]}"#, r#"{}"#, "a required present: nothing"),
    (
        r#"{"properties": {"o": {"required": ["a"]}}}"#,
        r#"{"o": {}}"#,
        "o.a required present: nothing",
    ),
    (
        r#"{"properties": {"l": {"items": {"properties": {"p": {"minimum": 0}}}}}}"#,
        r#"{"l": [{"p": 1}, {"p": -1}]}"#,
        "l.1.p minimum at least 0: -1",
    ),
    (
        r#"{"properties": {"a": {"type": "string"}, "b": {"type": ["null", "integer"]}}}"#,
        r#"{"a": 1, "b": "x"}"#,
        "a type of type string: 1; b type of type null or integer: \"x\"",
    ),
    (
        r#"{"properties": {"a": {}}, "additionalProperties": false}"#,
        r#"{"a": 1, "b": 2, "c": 3}"#,
        "b additionalProperties absent, as the schema does not list it: 2; \
         c additionalProperties absent, as the schema does not list it: 3",
    ),
    (
        r#"{"properties": {"a": false}}"#,
        r#"{"a": 1}"#,
        "a falseSchema absent, as the schema allows no value here: 1",
    ),
    (
        r#"{"properties": {"a": {"enum": ["x", "y"]}}}"#,
        r#"{"a": 1}"#,
        r#"a enum one of ["x","y"]: 1"#,
    ),
    (r#"{"properties": {"a": {"const": 5}}}"#, r#"{"a": 1}"#, "a const 5: 1"),
    (
        r#"{"properties": {"a": {"pattern": "^[a-z]+$"}}}"#,
        r#"{"a": "A"}"#,
        r#"a pattern a text that matches ^[a-z]+$: "A""#,
    ),
    (
        r#"{"properties": {"a": {"format": "email"}}}"#,
        r#"{"a": "A"}"#,
        r#"a format of the format email: "A""#,
    ),
    (
        r#"{"properties": {"a": {"maxLength": 1}}}"#,
        r#"{"a": "éé"}"#,
        r#"a maxLength a text of at most 1 characters: "éé""#,
    ),
    (
        r#"{"properties": {"a": {"uniqueItems": true}}}"#,
        r#"{"a": [1, 1]}"#,
        "a uniqueItems a list without duplicates: [1,1]",
    ),
    (
        r#"{"properties": {"a": {"exclusiveMaximum": 3}}}"#,
        r#"{"a": 3}"#,
        "a exclusiveMaximum less than 3: 3",
    ),
    (r#"{"properties": {"a": {"multipleOf": 0.1}}}"#, r#"{"a": 0.3}"#, ""),
    (
        r#"{"minProperties": 2}"#,
        r#"{"a": 3}"#,
        r#" minProperties an object of at least 2 fields: {"a":3}"#,
    ),
    (
        r#"{"propertyNames": {"maxLength": 1}}"#,
        r#"{"ab": 3}"#,
        r#" propertyNames an object whose every name is a text of at most 1 characters: {"ab":3}"#,
    ),
    (
        r#"{"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}"#,
        r#"{}"#,
        " anyOf valid under one of the schemas of anyOf: {}",
    ),
    (
        r#"{"not": {"required": ["a"]}}"#,
        r#"{"a": 1}"#,
        r#" not other than {"required":["a"]}: {"a":1}"#,
    ),
    (
        r##"{"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}"##,
        r#"{"a": "x"}"#,
        r#"a type of type number: "x""#,
    ),
    // Extended JSON as it is stored.
    (
        r#"{"properties": {"at": {"properties": {"$date": {"format": "date-time"}}, "required": ["$date"]}}}"#,
        r#"{"at": {"$date": "2024-05-01T00:00:00Z"}}"#,
        "",
    ),
    // Drafts.
    (
        r#"{"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true}"#,
        "1",
        " exclusiveMinimum greater than 1: 1",
    ),
    (
        r##"{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"n": {"type": "null"}}, "items": [{"$ref": "#/definitions/n"}]}"##,
        "[1]",
        "0 type of type null: 1",
    ),
];

#[test]
fn violations_say_where_and_what() {
    for &(schema, document, expected) in VIOLATIONS {
        assert_eq!(broken(schema, document), expected, "{schema} of {document}");
    }
}

#[test]
fn mongodbs_types_are_known() {
    let wrap = |inner: &str| format!(r#"{{"$jsonSchema": {inner}}}"#);
    let field =
        |inner: &str| wrap(&format!(r#"{{"bsonType": "object", "properties": {{"a": {inner}}}}}"#));
    for (schema, document, fits) in [
        (wrap(r#"{"bsonType": "object", "required": ["a"]}"#), r#"{}"#, false),
        (
            field(r#"{"bsonType": "int", "minimum": 0, "exclusiveMinimum": true}"#),
            r#"{"a": 0}"#,
            false,
        ),
        (field(r#"{"bsonType": "int"}"#), r#"{"a": 5}"#, true),
        (field(r#"{"bsonType": "int"}"#), r#"{"a": 5.5}"#, false),
        (field(r#"{"bsonType": "bool"}"#), r#"{"a": true}"#, true),
        (field(r#"{"bsonType": "date"}"#), r#"{"a": {"$date": "2024-05-01T00:00:00Z"}}"#, true),
        (field(r#"{"bsonType": "date"}"#), r#"{"a": "2024-05-01"}"#, false),
        (field(r#"{"bsonType": ["date", "null"]}"#), r#"{"a": null}"#, true),
        (field(r#"{"bsonType": ["date", "null"]}"#), r#"{"a": 1}"#, false),
        (field(r#"{"bsonType": ["string", "double"]}"#), r#"{"a": 1.5}"#, true),
        (field(r#"{"bsonType": ["string", "double"]}"#), r#"{"a": []}"#, false),
        (
            field(r#"{"bsonType": "array", "items": {"bsonType": "objectId"}}"#),
            r#"{"a": [{"$oid": "0123456789abcdef01234567"}]}"#,
            true,
        ),
        (
            field(r#"{"bsonType": "array", "items": {"bsonType": "objectId"}}"#),
            r#"{"a": ["x"]}"#,
            false,
        ),
        (
            r#"{"properties": {"a": {"bsonType": "decimal"}}}"#.to_owned(),
            r#"{"a": {"$numberDecimal": "1.5"}}"#,
            true,
        ),
        (r#"{"properties": {"a": {"bsonType": "decimal"}}}"#.to_owned(), r#"{"a": 1.5}"#, false),
        // A field may be called as a keyword.
        (
            r#"{"properties": {"bsonType": {"type": "string"}}, "enum": [{"bsonType": "x"}]}"#
                .to_owned(),
            r#"{"bsonType": "x"}"#,
            true,
        ),
    ] {
        assert_eq!(broken(&schema, document).is_empty(), fits, "{schema} of {document}");
    }
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (schema, expected) in [
        (json!(5), "schema must be of type boolean or object, not 5"),
        (
            json!({"type": "strng"}),
            "schema.type must be string, number, integer, boolean, object, array or null, or a list of these, not \"strng\"",
        ),
        (
            json!({"properties": {"a": {"minimum": "x"}}}),
            "schema.properties.a.minimum must be of type number, not \"x\"",
        ),
        (
            json!({"properties": {"a": {"pattern": "(?=x)"}}}),
            "schema.properties.a.pattern must be a regular expression of at most 1048576 bytes when compiled, without look-around and back-references, not \"(?=x)\"",
        ),
        (
            json!({"pattern": "("}),
            "schema.pattern must be a regular expression of at most 1048576 bytes when compiled, without look-around and back-references, not \"(\"",
        ),
        (
            json!({"pattern": "((\\w{100}){100}){100}"}),
            "schema.pattern must be a regular expression of at most 1048576 bytes when compiled, without look-around and back-references, not \"((\\\\w{100}){100}){100}\"",
        ),
        (
            json!({"properties": {"a": {"format": "int32"}}}),
            "schema.properties.a.format must be a format of JSON Schema, such as date-time, email or uuid, not \"int32\"",
        ),
        (
            json!({"$schema": "http://example.com/mine"}),
            "schema.$schema must name a draft of JSON Schema, such as https://json-schema.org/draft/2020-12/schema",
        ),
        (
            json!({"properties": {"a": {"$ref": "http://example.com/s.json"}}}),
            "schema.properties.a.$ref refers to \"http://example.com/s.json\", which is outside of the schema",
        ),
        (
            json!({"$defs": {"a": {"$ref": "file:///etc/passwd"}}}),
            "schema.$defs.a.$ref refers to \"file:///etc/passwd\", which is outside of the schema",
        ),
        (
            json!({"items": {"$ref": "other.json#/a"}}),
            "schema.items.$ref refers to \"other.json#/a\", which is outside of the schema",
        ),
        (
            json!({"items": {"$ref": "#/$defs/a"}}),
            "schema.items.$ref refers to \"#/$defs/a\", where the schema has no schema",
        ),
        (
            json!({"items": {"$ref": "#here"}}),
            "schema.items.$ref refers to \"#here\", where the schema has no schema",
        ),
        (json!({"$dynamicRef": "#a"}), "schema.$dynamicRef is not supported"),
        (
            json!({"$defs": {"a": {"$id": "http://example.com"}}}),
            "schema.$defs.a.$id may only stand in the outermost schema",
        ),
        (
            json!({"allOf": [{"$ref": "#"}]}),
            "schema.allOf[0].$ref refers to \"#\", which is already being checked for the same value",
        ),
    ] {
        assert_eq!(refusal(&schema), expected, "{schema}");
    }
}

#[test]
fn what_is_no_schema_of_mongodb_is_refused_with_its_place() {
    for (schema, expected) in [
        (
            json!({"$jsonSchema": {"const": 5}}),
            "schema.$jsonSchema.const is no keyword of MongoDB's $jsonSchema",
        ),
        (json!({"$jsonSchema": 5}), "schema.$jsonSchema must be an object"),
        (json!({"$jsonSchema": {}, "a": 1}), "schema must have nothing beside $jsonSchema"),
        (
            json!({"$jsonSchema": {"properties": {"a": {"minimum": "x"}}}}),
            "schema.$jsonSchema.properties.a.minimum must be of type number, not \"x\"",
        ),
        (
            json!({"items": {"bsonType": "symbol"}}),
            "schema.items.bsonType must be one of string, object, array, bool, boolean, null, int, long, integer, double, number, date, decimal, objectId, binData, timestamp, regex, javascript, minKey, maxKey, not \"symbol\"",
        ),
        (json!({"bsonType": []}), "schema.bsonType must name a type"),
        (
            json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}),
            "schema must be at most 65536 bytes of JSON",
        ),
    ] {
        assert_eq!(refusal(&schema), expected, "{schema}");
    }
}

#[test]
fn a_catastrophic_pattern_is_harmless() {
    let schema = compile(r#"{"properties": {"a": {"pattern": "^(a+)+$"}}}"#);
    let start = Instant::now();
    let text = format!("{}!", "a".repeat(100_000));
    assert_eq!(schema.check(&json!({"a": text})).len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn references_that_multiply_are_refused() {
    // Each definition holds the next one twice, at the same value or one level deeper.
    let chain = |wrap: &dyn Fn(Value) -> Value| {
        let next = |index: usize| json!({"$ref": format!("#/$defs/d{}", index + 1)});
        let definition = |index| (format!("d{index}"), wrap(json!([next(index), next(index)])));
        let mut definitions: serde_json::Map<_, _> = (0..30).map(definition).collect();
        definitions.insert("d30".to_owned(), json!({}));
        json!({"$defs": definitions, "$ref": "#/$defs/d0"})
    };
    let expected =
        "schema must not grow to more than 20000 schemas when its references are followed";
    assert_eq!(refusal(&chain(&|both| json!({"anyOf": both}))), expected);
    assert_eq!(refusal(&chain(&|both| json!({"items": {"anyOf": both}}))), expected);
    let nested = (0..40).fold(json!({}), |inner, _| json!({"not": inner}));
    let message = refusal(&nested);
    assert!(
        message.ends_with("is one of more than 32 schemas inside each other for the same value"),
        "{message}"
    );
}

#[test]
fn trees_of_documents_are_checked_in_time_and_named_where_they_can_be() {
    let nested =
        |levels: usize, leaf: Value| (0..levels).fold(leaf, |inner, _| json!({"a": inner}));
    let path = vec!["a"; 80].join(".");
    let bad = nested(80, json!(5));

    let tree =
        compile(r##"{"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}"##);
    assert_eq!(tree.extent.branching, 1);
    assert!(tree.check(&nested(80, json!({}))).is_empty());
    let violations = tree.check(&bad);
    assert_eq!((violations.len(), violations[0].path.as_str()), (1, path.as_str()));

    // Two ways lead to the same field, so that the ways to a leaf are 2^80.
    let grammar = compile(
        r##"{"type": "object", "anyOf": [
            {"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}, "c": {}}}]}"##,
    );
    assert_eq!(grammar.extent.branching, 2);
    let start = Instant::now();
    assert!(grammar.check(&nested(80, json!({}))).is_empty());
    let violations = grammar.check(&bad);
    assert_eq!((violations.len(), violations[0].rule.as_str()), (1, "schema"));
    assert_eq!(grammar.check(&nested(3, json!(5)))[0].rule, "anyOf");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn many_violations_are_cut_short() {
    let schema = compile(r#"{"items": {"type": "string"}}"#);
    assert_eq!(schema.check(&json!(vec![1; 100])).len(), VIOLATIONS_MAX);
    let violations = schema.check(&json!(vec![1; VALUES_MAX + 1]));
    assert_eq!((violations.len(), violations[0].path.as_str()), (1, "0"));
    let either =
        compile(r#"{"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "null"}}]}"#);
    assert_eq!(either.check(&json!(vec![1; VALUES_MAX + 1]))[0].rule, "schema");
}

#[test]
fn deep_documents_and_schemas_fit_on_a_small_stack() {
    let work = || {
        let nest = |levels: usize, wrap: &dyn Fn(Value) -> Value, leaf: Value| {
            (0..levels).fold(leaf, |inner, _| wrap(inner))
        };
        // As many schemas for one value as there may be, at each of a hundred levels.
        let items = json!({"type": "array", "items": {"$ref": "#"}});
        let same = |levels| nest(levels, &|inner| json!({"anyOf": [inner]}), items.clone());
        let deeper = |levels, leaf| nest(levels, &|inner| json!([inner]), leaf);
        let document = |leaf| deeper(98, leaf);
        // The outermost schema, those inside it, and one more that only refers.
        for (schemas, levels) in [(6, 98), (28, 25)] {
            let schema = Schema::compile(&same(schemas)).unwrap();
            assert_eq!(schema.extent.nested, schemas + 2);
            assert!(schema.check(&deeper(levels, json!([]))).is_empty());
            assert_eq!(schema.check(&deeper(levels, json!(1)))[0].rule, "anyOf");
        }
        let violations = Schema::compile(&same(28)).unwrap().check(&document(json!([])));
        assert_eq!(violations[0].expected, "at most 26 levels deep, for its schema");

        let long: serde_json::Map<_, _> = (0..60)
            .map(|index| {
                let next = json!({"$ref": format!("#/$defs/d{}", (index + 1) % 60)});
                (format!("d{index}"), json!({"items": next, "type": "array"}))
            })
            .collect();
        let schema = json!({"$defs": long, "$ref": "#/$defs/d0"});
        let schema = Schema::compile(&schema).unwrap();
        assert_eq!(schema.check(&document(json!(1))).len(), 1);

        let deep = |levels| nest(levels, &|inner| json!({"items": inner}), json!({"type": "null"}));
        assert_eq!(Schema::compile(&deep(98)).unwrap().check(&document(json!(1))).len(), 1);
        assert_eq!(refusal(&deep(100)), "schema must be nested at most 100 levels deep");
        let long_chain: serde_json::Map<_, _> = (0..1000)
            .map(|index| {
                (
                    format!("d{index}"),
                    json!({"items": {"$ref": format!("#/$defs/d{}", (index + 1) % 1000)}}),
                )
            })
            .collect();
        let message = refusal(&json!({"$defs": long_chain, "$ref": "#/$defs/d0"}));
        assert!(message.ends_with("levels deep when its references are followed"), "{message}");
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_definition_becomes_a_schema() {
    let definition = parse_stored(
        br#"{"_id": "people", "name": "string", "age": "int", "born": "date", "tags": "array", "address": {"city": "string"}}"#,
    )
    .unwrap();
    let schema = Schema::compile(&definition_to_schema(&definition).unwrap()).unwrap();
    for (document, path) in [
        (json!({}), None),
        (
            json!({"name": "x", "age": 5, "born": {"$date": "2024-05-01T00:00:00Z"}, "tags": [], "more": 1}),
            None,
        ),
        (json!({"name": 5}), Some("name")),
        (json!({"age": 5.5}), Some("age")),
        (json!({"born": "2024-05-01"}), Some("born")),
        (json!({"address": {"city": 1}}), Some("address.city")),
    ] {
        let violations = schema.check(&document);
        assert_eq!(violations.first().map(|it| it.path.as_str()), path, "{document}");
    }
    let error =
        definition_to_schema(&parse_stored(br#"{"a": {"b": "text"}}"#).unwrap()).unwrap_err();
    assert!(error.message.starts_with("definition.a.b must be one of string, "), "{error}");
    assert!(definition_to_schema(&parse_stored(b"[]").unwrap()).is_err());
}

#[test]
fn modes_are_lowercase_and_schemas_are_shared() {
    fn shared<T: Clone + Send + Sync>() {}
    shared::<Schema>();
    assert_eq!(serde_json::to_string(&[Mode::Error, Mode::Warn]).unwrap(), r#"["error","warn"]"#);
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = "type|items|allOf|anyOf|\\$ref|#|pattern|properties|required|bsonType|object|a|\\$jsonSchema|not|enum|minimum|#/a|\\$id";
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3i64..5).prop_map(Value::from),
        words.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn nothing_panics(schema in any_json(), document in any_json()) {
        if let Ok(schema) = Schema::compile(&schema) {
            schema.check(&document);
        }
    }
}
