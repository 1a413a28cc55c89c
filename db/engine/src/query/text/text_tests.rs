use super::*;
use crate::value::parse_stored;
use proptest::prelude::*;

/// The statement as MongoDB's shell has it.
fn mongo(text: &str) -> String {
    match parse(text) {
        Ok(statement) => statement.to_mongo(),
        Err(error) => panic!("{text}: {error}"),
    }
}

const JQL: &[(&str, &str)] = &[
    (
        "find in users donde city = Madrid and age = 25 order by name desc, age limit 10 skip 5;",
        r#"db.users.find({"city":"Madrid","age":25}).sort({"name":-1,"age":1}).skip(5).limit(10)"#,
    ),
    (
        "FIND IN c WHERE age = 25 AND name = \"Ana\" OR NOT (x IS NULL AND y IS NOT NULL)",
        r#"db.c.find({"$or":[{"age":25,"name":"Ana"},{"$nor":[{"x":null,"y":{"$ne":null}}]}]})"#,
    ),
    (
        "FIND IN c WHERE a > 1 AND a <= 5 AND b BETWEEN 1 AND 2 AND d NOT BETWEEN 3 AND 4",
        r#"db.c.find({"a":{"$gt":1,"$lte":5},"b":{"$gte":1,"$lte":2},"d":{"$not":{"$gte":3,"$lte":4}}})"#,
    ),
    (
        "FIND IN c WHERE a = 1 AND a <> 2 AND b IN (1, two, 'three') AND d NOT IN (null)",
        r#"db.c.find({"$and":[{"a":1},{"a":{"$ne":2}},{"b":{"$in":[1,"two","three"]}},{"d":{"$nin":[null]}}]})"#,
    ),
    (
        "FIND IN c WHERE n LIKE 'A.%' OR n NOT LIKE '%x_y%' OR n ILIKE 'a' OR t CONTAINS 'a+' OR t CONTAINS 5",
        r#"db.c.find({"$or":[{"n":{"$regex":"^A\\."}},{"n":{"$not":{"$regex":"x.y","$options":"s"}}},{"n":{"$regex":"^a$","$options":"i"}},{"t":{"$regex":"a\\+"}},{"t":{"$elemMatch":{"$eq":5}}}]})"#,
    ),
    (
        "FIND IN c WHERE pos = {x: 1} AND d > ISODate(\"2026-01-31\") AND `first name` = 'x' AND \"a b\" != TRUE",
        r#"db.c.find({"pos":{"$eq":{"x":1}},"d":{"$gt":{"$date":"2026-01-31T00:00:00Z"}},"first name":"x","a b":{"$ne":true}})"#,
    ),
    (
        "FIND IN orders JOIN customers ON customer = _id WHERE total > 5 AND customers.city = Lima ORDER BY total LIMIT 3",
        r#"db.orders.aggregate([{"$match":{"total":{"$gt":5}}},{"$lookup":{"from":"customers","localField":"customer","foreignField":"_id","pipeline":[{"$match":{"_id":{"$ne":null}}}],"as":"customers"}},{"$unwind":"$customers"},{"$match":{"customers.city":"Lima"}},{"$sort":{"total":1}},{"$limit":3}])"#,
    ),
    (
        "FIND IN c {age: {$gt: 90}} ORDER BY age LIMIT 2",
        r#"db.c.find({"age":{"$gt":90}}).sort({"age":1}).limit(2)"#,
    ),
    (
        "FIND IN c WHERE {name: /^a/i, 'b.c': [1,],}",
        r#"db.c.find({"name":{"$regularExpression":{"pattern":"^a","options":"i"}},"b.c":[1]})"#,
    ),
    ("COUNT IN c {a: 1}", r#"db.c.countDocuments({"a":1})"#),
    ("DELETE IN c {a: 1}", r#"db.c.deleteMany({"a":1})"#),
    (
        "UPDATE IN c SET b = 1 WHERE {a: {$in: [1, 2]}}",
        r#"db.c.updateMany({"a":{"$in":[1,2]}}, {"$set":{"b":1}})"#,
    ),
    (
        "FIND IN o LEFT JOIN c ON c._id = o.x",
        r#"db.o.aggregate([{"$lookup":{"from":"c","localField":"x","foreignField":"_id","pipeline":[{"$match":{"_id":{"$ne":null}}}],"as":"c"}},{"$unwind":{"path":"$c","preserveNullAndEmptyArrays":true}}])"#,
    ),
    (
        "FIND IN c WHERE n = 'O''Neil' AND m IN (\"a\"\"b\", '''', '') AND \"x\"\"y\" LIKE '''%'",
        r#"db.c.find({"n":"O'Neil","m":{"$in":["a\"b","'",""]},"x\"y":{"$regex":"^'"}})"#,
    ),
    ("UPDATE IN c SET n = 'O''Neil'", r#"db.c.updateMany({}, {"$set":{"n":"O'Neil"}})"#),
    ("COUNT IN 'a''b'", r#"db.getCollection("a'b").countDocuments({})"#),
    ("INSERT INTO c DOC {\"a\": 1}", r#"db.c.insertOne({"a":1})"#),
    ("INSERT INTO c DOC [{a: 1}, {a: 2},]", r#"db.c.insertMany([{"a":1},{"a":2}])"#),
    ("insert into _rules {field: 'x'}", r#"db._rules.insertOne({"field":"x"})"#),
    ("insert into productos values {nombre: 'ñ'}", r#"db.productos.insertOne({"nombre":"ñ"})"#),
    (
        "UPDATE IN c SET a = 1, b.c = Madrid, d = {x: [1]} WHERE _id = 5",
        r#"db.c.updateMany({"_id":5}, {"$set":{"a":1,"b.c":"Madrid","d":{"x":[1]}}})"#,
    ),
    ("DELETE IN c WHERE a != 5", r#"db.c.deleteMany({"a":{"$ne":5}})"#),
    ("COUNT IN c WHERE a == 1.0", r#"db.c.countDocuments({"a":1.0})"#),
    ("AGGREGATE IN c PIPELINE [{$match: {a: 1}}]", r#"db.c.aggregate([{"$match":{"a":1}}])"#),
    (
        "CREATE INDEX by_f ON c (f DESC, g.h) UNIQUE SPARSE EXPIRE AFTER 60 WHERE a > 1",
        r#"db.c.createIndex({"f":-1,"g.h":1}, {"name":"by_f","unique":true,"sparse":true,"expireAfterSeconds":60,"partialFilterExpression":{"a":{"$gt":1}}})"#,
    ),
    ("CREATE UNIQUE INDEX x ON c (f)", r#"db.c.createIndex({"f":1}, {"name":"x","unique":true})"#),
    ("CREATE INDEX ON c (f) SEQUENTIAL", r#"db.c.createIndex({"f":1}, {"sequential":true})"#),
    ("DROP INDEX ON c (f)", r#"db.c.dropIndex({"f":1})"#),
    ("DROP INDEX by_f ON c", r#"db.c.dropIndex("by_f")"#),
    ("SHOW INDEXES ON c", "db.c.getIndexes()"),
    ("SHOW TABLES", "db.getCollectionNames()"),
    ("show dbs", "show dbs"),
    ("CREATE TABLE t", r#"db.createCollection("t")"#),
    ("DROP TABLE t", "db.t.drop()"),
    ("ALTER TABLE a RENAME TO b", r#"db.a.renameCollection("b")"#),
    ("EXPLAIN -- a comment\nFIND IN c", r#"db.c.explain("queryPlanner").find({})"#),
    ("EXPLAIN ANALYZE db.c.find()", r#"db.c.explain("executionStats").find({})"#),
];

#[test]
fn jql() {
    for &(text, expected) in JQL {
        assert_eq!(mongo(text), expected, "{text}");
    }
}

#[test]
fn mongodb() {
    for (text, expected) in [
        (
            "db.c.find({age: {$gt: 5,},}, {name: 1}).sort({age: -1}).skip(5).limit(10).hint('x').pretty()",
            r#"db.c.find({"age":{"$gt":5}}, {"name":1}).sort({"age":-1}).skip(5).limit(10).hint("x")"#,
        ),
        (
            "db.c.find({a: 1}, {}, {sort: {a: 1}, limit: 0}).toArray();",
            r#"db.c.find({"a":1}).sort({"a":1})"#,
        ),
        ("db . c . find ( ) . count ( )", "db.c.countDocuments({})"),
        (
            "db.c.find({a: /^x[/]\\/y\\d/i, /* all */ b: {$in: [/z/]}}).explain('executionStats')",
            r#"db.c.explain("executionStats").find({"a":{"$regularExpression":{"pattern":"^x[/]/y\\d","options":"i"}},"b":{"$in":[{"$regularExpression":{"pattern":"z","options":""}}]}})"#,
        ),
        ("db.c.explain().find()", r#"db.c.explain("queryPlanner").find({})"#),
        (
            "db.c.findOne({_id: ObjectId('0123456789abcdef01234567')}, {a: 1}, {sort: {a: 1}})",
            r#"db.c.findOne({"_id":{"$oid":"0123456789abcdef01234567"}}, {"a":1}, {"sort":{"a":1}})"#,
        ),
        (
            "db.a.b.insertOne({d: ISODate('2026-01-31'), n: NumberLong('5'), l: NumberLong(5), i: NumberInt(5), t: Timestamp(1, 2), k: [MinKey, MaxKey(), Code('f()', {a: 1})], r: /a\\/b/i, m: new Date(5), x: NumberDecimal('1.5'), b: BinData(0, 'AAEC')})",
            r#"db.a.b.insertOne({"d":{"$date":"2026-01-31T00:00:00Z"},"n":{"$numberLong":"5"},"l":{"$numberLong":"5"},"i":5,"t":{"$timestamp":{"t":1,"i":2}},"k":[{"$minKey":1},{"$maxKey":1},{"$code":"f()","$scope":{"a":1}}],"r":{"$regularExpression":{"pattern":"a/b","options":"i"}},"m":{"$date":"1970-01-01T00:00:00.005Z"},"x":{"$numberDecimal":"1.5"},"b":{"$binary":{"base64":"AAEC","subType":"00"}}})"#,
        ),
        (
            "db['my coll'].insertMany([{}, {a: 0x1F, b: .5, c: 5., d: -1e3, e: -Infinity, f: 18446744073709551615, g: 1.5E+2}])",
            r#"db.getCollection("my coll").insertMany([{},{"a":31,"b":0.5,"c":5.0,"d":-1000.0,"e":{"$numberDouble":"-Infinity"},"f":18446744073709551615,"g":150.0}])"#,
        ),
        (
            r"db.c.insert({s: 'it\'s \x41\u0042\u{43}\ud83d\ude00\n', 'a b': null, 1: true})",
            r#"db.c.insertOne({"s":"it's ABC😀\n","a b":null,"1":true})"#,
        ),
        (
            "db.getCollection(\"x-y\").updateOne({a: 1}, {$set: {b: 2}}, {upsert: true})",
            r#"db.getCollection("x-y").updateOne({"a":1}, {"$set":{"b":2}}, {"upsert":true})"#,
        ),
        (
            "db.c.updateMany({}, [{$set: {a: 1}}], {arrayFilters: [{x: 1}]})",
            r#"db.c.updateMany({}, [{"$set":{"a":1}}], {"arrayFilters":[{"x":1}]})"#,
        ),
        (
            "db.c.update({a: 1}, {$inc: {b: 1}}, {multi: true})",
            r#"db.c.updateMany({"a":1}, {"$inc":{"b":1}})"#,
        ),
        ("db.c.update({a: 1}, {b: 1})", r#"db.c.replaceOne({"a":1}, {"b":1})"#),
        ("db.c.remove({a: 1}, true)", r#"db.c.deleteOne({"a":1})"#),
        ("db.c.remove({a: 1}, {justOne: false})", r#"db.c.deleteMany({"a":1})"#),
        (
            "db.c.findOneAndUpdate({a: 1}, {$set: {b: 1}}, {returnDocument: 'after', sort: {a: 1}, upsert: true})",
            r#"db.c.findOneAndUpdate({"a":1}, {"$set":{"b":1}}, {"sort":{"a":1},"upsert":true,"returnDocument":"after"})"#,
        ),
        (
            "db.c.findAndModify({query: {a: 1}, update: {b: 1}, new: true})",
            r#"db.c.findOneAndReplace({"a":1}, {"b":1}, {"returnDocument":"after"})"#,
        ),
        ("db.c.findAndModify({remove: true})", "db.c.findOneAndDelete({})"),
        ("db.c.aggregate([{$match: {}}]).toArray()", r#"db.c.aggregate([{"$match":{}}])"#),
        ("db.c.estimatedDocumentCount()", "db.c.countDocuments({})"),
        ("db.c.distinct('a.b', {c: 1})", r#"db.c.distinct("a.b", {"c":1})"#),
        (
            "db.c.createIndex({a: 1, b: -1}, {unique: true})",
            r#"db.c.createIndex({"a":1,"b":-1}, {"unique":true})"#,
        ),
        ("db.c.getIndexes()", "db.c.getIndexes()"),
        ("db.c.renameCollection('d')", r#"db.c.renameCollection("d")"#),
    ] {
        assert_eq!(mongo(text), expected, "{text}");
    }
}

const ERRORS: &[(&str, &str)] = &[
    ("", "line 1, column 1: expected a statement, found the end of the text"),
    ("FND IN c", "line 1, column 1: unknown statement \"FND\"; did you mean \"FIND\"?"),
    ("FIND c", "line 1, column 6: expected IN, found \"c\""),
    (
        "FIND IN c WHERE age = ORDER BY name",
        "line 1, column 23: expected a value after \"=\", found \"ORDER\"",
    ),
    ("FIND IN c WHERE (a = 1", "line 1, column 23: expected \")\", found the end of the text"),
    (
        "FIND IN c WHERE a = 1 b = 2",
        "line 1, column 23: expected AND, OR, ORDER BY, LIMIT, OFFSET or the end of the statement, found \"b\"",
    ),
    (
        "FIND IN c WHERE d = 2024-01-01",
        "line 1, column 21: expected a value after \"=\", found \"2024-01-01\"",
    ),
    (
        "\tFIND IN c\r\n\tWHERE ñ = 1 AND é >",
        "line 2, column 21: expected a value after \">\", found the end of the text",
    ),
    (
        "FIND IN c WHERE t CONTAINS a+b",
        "line 1, column 29: expected AND, OR, ORDER BY, LIMIT, OFFSET or the end of the statement, found \"+\"",
    ),
    ("FIND IN c LIMIT 0", "line 1, column 17: expected a whole number from 1, found \"0\""),
    ("INSERT INTO c DOC {a: }", "line 1, column 23: expected a value for \"a\", found \"}\""),
    ("INSERT INTO c DOC {a: 1 b: 2}", "line 1, column 25: expected \",\" or \"}\", found \"b\""),
    ("INSERT INTO c DOC {a: 'x}", "line 1, column 23: the text has no closing quote on its line"),
    ("UPDATE IN c SET a = 1, a = 2", "line 1, column 24: the field \"a\" is set twice"),
    (
        "EXPLAIN INSERT INTO c DOC {}",
        "line 1, column 9: expected a statement that finds, counts, changes or removes documents, found \"INSERT\"",
    ),
    (
        "CREATE TABLE t (a INT)",
        "line 1, column 15: a collection has no columns; leave the list out",
    ),
    (
        "db.c.fnd({})",
        "line 1, column 6: unknown operation of a collection \"fnd\"; did you mean \"find\"?",
    ),
    ("db.c.find({a: 1}", "line 1, column 17: expected \",\" or \")\", found the end of the text"),
    (
        "db.c.find({a: 1}).srt({})",
        "line 1, column 19: unknown operation of a cursor \"srt\"; did you mean \"sort\"?",
    ),
    (
        "db.c.find({}).limit(-1)",
        "line 1, column 21: expected a whole number that is not negative, found \"-\"",
    ),
    (
        "db.c.updateOne({a: 1})",
        "line 1, column 22: expected an update or an array of stages, found \")\"",
    ),
    (
        "db.c.updateOne({}, {}, {upsrt: true})",
        "line 1, column 24: unknown option of updateOne \"upsrt\"; did you mean \"upsert\"?",
    ),
    (
        "db.c.updateOne({}, {}, {upsert: 1})",
        "line 1, column 24: the option \"upsert\" must be true or false",
    ),
    (
        "db.c.find({a: ISODate('soon')})",
        "line 1, column 15: $date must be an ISO 8601 text with a time zone, or milliseconds since 1970",
    ),
    (
        "db.c.find({a: new Date()})",
        "line 1, column 15: Date() without a value is not possible; give a date, or write \"$$NOW\" in an expression",
    ),
    ("db.c.find({a: 1, a: 2})", "line 1, column 18: the key \"a\" is there twice"),
    (
        "db.c.find({a: undefined})",
        "line 1, column 15: expected a value for \"a\", found \"undefined\"",
    ),
    ("db.c.find({a: /x})", "line 1, column 15: the regular expression has no closing \"/\""),
    (
        "db.c.find({a: /x/g})",
        "line 1, column 18: the flag 'g' of a regular expression is not i, m, s or x",
    ),
    ("db.c.find({a: 01})", "line 1, column 15: expected a value for \"a\", found \"01\""),
    ("db.c.find() x", "line 1, column 13: expected \".\" or the end of the statement, found \"x\""),
    (
        "db.c.findOne({}).limit(1)",
        "line 1, column 18: expected the end of the statement, found \"limit\"",
    ),
    ("db.c", "line 1, column 5: expected \".\", found the end of the text"),
];

#[test]
fn errors_name_the_place_and_what_was_expected() {
    for &(text, expected) in ERRORS {
        match parse(text) {
            Ok(statement) => panic!("{text}: {}", statement.to_mongo()),
            Err(error) => assert_eq!(error.message, expected, "{text}"),
        }
    }
}

#[test]
fn the_hint_shows_the_line_and_a_caret() {
    let error = parse("FIND IN c\n\tWHERE ñ = ]").unwrap_err();
    assert_eq!(error.hint.as_deref(), Some(" WHERE ñ = ]\n           ^"));
    let details = error.details.unwrap();
    assert_eq!((&details["line"], &details["column"]), (&2.into(), &12.into()));
    assert_eq!(details["expected"], serde_json::json!(["a value after \"=\""]));

    let long =
        format!("db.c.find({{a: '{}', b: }}, {{c: '{}'}})", "x".repeat(300), "y".repeat(300));
    let hint = parse(&long).unwrap_err().hint.unwrap();
    let (line, caret) = hint.split_once('\n').unwrap();
    assert_eq!(line.chars().nth(caret.chars().count() - 1), Some('}'), "{hint}");
    assert!(line.starts_with('…') && line.ends_with('…') && line.chars().count() < 130, "{hint}");
}

#[test]
fn values_nest_a_hundred_levels_deep() {
    let deep = |levels| format!("db.c.find({{a: {}1{}}})", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&deep(99)).is_ok());
    for text in [
        deep(100),
        deep(100_000),
        format!("FIND IN c WHERE {}a = 1", "(".repeat(100_000)),
        format!("FIND IN c WHERE {}a = 1", "NOT ".repeat(100_000)),
    ] {
        let message = parse(&text).unwrap_err().message;
        assert!(message.ends_with("nested more than 100 levels"), "{message}");
    }
}

#[test]
fn other_regular_expressions_are_not_like() {
    for regex in ["a|b", "^a+$", "[ab]", "a\\d", "^a.*", "(?i)a", "a\\", "x{2}"] {
        let filter = one("a", one("$regex", regex));
        let find = Statement::Count { collection: "c".into(), filter };
        assert_eq!(find.to_jql(), None, "{regex}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,4}",
        "[a-z]{1,3}\\.[a-z0-9]{1,3}",
        Just("order".to_owned()),
        "[a-zñ '\"`-]{1,6}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Value::Double(if number.is_nan() {
            f64::NAN
        } else {
            number
        })),
        "\\PC{0,8}".prop_map(Value::String),
        any::<String>().prop_map(Value::String),
        any::<i64>().prop_map(Value::Date),
        any::<[u8; 12]>().prop_map(Value::ObjectId),
        any::<u64>()
            .prop_map(|number| { crate::value::number::decimal(i128::from(number).into()) }),
        crate::value::tests::bson_only(),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(kind, bytes)| Value::Binary(kind, bytes)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec(("[a-z $.\"]{0,4}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::vec((name(), value()), 1..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// A statement in words of JQL, so that its filter is one that JQL can express.
fn jql_condition() -> impl Strategy<Value = String> {
    let field = || name().prop_map(|name| Value::String(name).to_json());
    let text = || "[a-c%_.*^$\\\\|+]{0,6}".prop_map(|text| Value::String(text).to_json());
    let test = prop_oneof![
        (field(), "(=|!=|<|<=|>|>=)", value()).prop_map(|(field, operator, value)| {
            format!("{field} {operator} {}", value.to_json())
        }),
        (field(), "(LIKE|ILIKE|NOT LIKE|NOT ILIKE|CONTAINS)", text())
            .prop_map(|(field, operator, text)| format!("{field} {operator} {text}")),
        (field(), "(BETWEEN|NOT BETWEEN)", -9i64..9, -9i64..9)
            .prop_map(|(field, word, low, high)| format!("{field} {word} {low} AND {high}")),
        (field(), "(IS NULL|IS NOT NULL|IN \\(1, a\\)|NOT IN \\(null\\)|CONTAINS 5)")
            .prop_map(|(field, test)| format!("{field} {test}")),
    ];
    test.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), "(AND|OR)", inner.clone())
                .prop_map(|(a, word, b)| format!("{a} {word} {b}")),
            (inner.clone(), "(AND|OR)", inner.clone())
                .prop_map(|(a, word, b)| format!("({a}) {word} ({b})")),
            inner.prop_map(|inner| format!("NOT ({inner})")),
        ]
    })
}

fn statement() -> impl Strategy<Value = Statement> {
    use proptest::option::of;
    let some = || of(object());
    let bool = any::<bool>;
    prop_oneof![
        (name(), object(), some(), some(), 0u64..3, of(1u64..3), some(), bool()).prop_map(
            |(collection, filter, projection, sort, skip, limit, hint, one)| {
                let limit = if one { Some(1) } else { limit };
                Statement::Find { collection, filter, projection, sort, skip, limit, hint, one }
            }
        ),
        (name(), object()).prop_map(|(collection, stage)| {
            Statement::Aggregate { collection, pipeline: Value::Array(vec![stage]) }
        }),
        (name(), name(), object()).prop_map(|(collection, field, filter)| Statement::Distinct {
            collection,
            field,
            filter
        }),
        (name(), object(), bool()).prop_map(|(collection, document, many)| {
            Statement::Insert { collection, documents: vec![document], many }
        }),
        (name(), object(), object(), bool(), bool(), of(object())).prop_map(
            |(collection, filter, update, multi, upsert, item)| {
                let array_filters = item.map(|item| Value::Array(vec![item]));
                Statement::Update { collection, filter, update, multi, upsert, array_filters }
            }
        ),
        (name(), object(), object(), some(), some(), bool(), bool()).prop_map(
            |(collection, filter, update, sort, projection, return_new, upsert)| {
                let change = Modification::Update(update);
                let array_filters = None;
                Statement::FindAndModify {
                    collection,
                    filter,
                    change,
                    sort,
                    projection,
                    return_new,
                    upsert,
                    array_filters,
                }
            }
        ),
        (name(), object(), bool()).prop_map(|(collection, filter, multi)| Statement::Delete {
            collection,
            filter,
            multi
        }),
        (name(), name())
            .prop_map(|(collection, to)| Statement::RenameCollection { collection, to }),
        (name(), object(), bool()).prop_map(|(collection, filter, execute)| {
            let statement = Box::new(Statement::Count { collection, filter });
            Statement::Explain { statement, execute }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_an_answer(text in "\\PC{0,60}") {
        let _ = parse(&text);
        for start in ["db.", "SELECT ", "FIND IN ", "DELETE FROM c WHERE ", "db.c.find({a: "] {
            let _ = parse(&format!("{start}{text}"));
        }
    }

    #[test]
    fn mutated_statements_give_an_answer(
        which in 0..MUTATED.len(), cut in any::<prop::sample::Index>(), length in 0usize..8,
        inserted in "([\\[\\](){}'\"`.,;=<>$/*-]|SELECT|ñ|AND|NULL| ){0,3}",
    ) {
        let mut text: Vec<char> = MUTATED[which].chars().collect();
        let start = cut.index(text.len());
        let end = (start + length).min(text.len());
        text.splice(start..end, inserted.chars());
        if let Err(error) = parse(&text.into_iter().collect::<String>()) {
            prop_assert_eq!(error.kind, crate::error::Kind::SyntaxError);
            prop_assert!(error.message.starts_with("line 1, column "), "{}", error);
            prop_assert!(error.hint.is_some_and(|hint| hint.lines().count() == 2));
        }
    }

    #[test]
    fn printed_for_mongodb_it_is_the_same(statement in statement()) {
        let text = statement.to_mongo();
        let again = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(format!("{:?}", again), format!("{:?}", statement), "{}", text);
    }

    #[test]
    fn printed_in_jql_it_is_the_same(condition in jql_condition(), verb in 0..4usize) {
        let verbs = ["FIND IN", "COUNT IN", "DELETE IN", "UPDATE IN"];
        let set = if verb == 3 { "SET \"a b\" = {x: 1}" } else { "" };
        let text = format!("{} c {set} WHERE {condition}", verbs[verb]);
        let statement = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let printed = statement.to_jql().ok_or_else(|| TestCaseError::fail(text.clone()))?;
        let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
        prop_assert_eq!(again.to_mongo(), statement.to_mongo(), "{}", printed);
    }
}

const MUTATED: [&str; 8] = [
    "FIND IN c JOIN d ON a = b WHERE a = 1 AND (b LIKE 'x%' OR c IN (1, 2)) ORDER BY a LIMIT 5",
    "UPDATE IN c SET a = 1, b = {x: [1, 'y']} WHERE NOT a IS NULL",
    "CREATE INDEX i ON c (a DESC, b) UNIQUE EXPIRE AFTER 60",
    "db.c.find({a: /x[/]/i, b: {$gt: ISODate('2026-01-01')}}).sort({a: 1}).limit(5)",
    "db['c'].updateOne({a: NumberLong('5')}, [{$set: {a: -1.5e3}}], {upsert: true})",
    "SELECT a.b, COUNT(*) AS n FROM c a JOIN d ON a.x = d.y WHERE a.z LIKE 'x%' GROUP BY a.b HAVING n > 1 ORDER BY 2 DESC LIMIT 5",
    "INSERT INTO c (a, b) VALUES (1, 'x'), (-2, NULL)",
    "UPDATE c SET a = a + 1, b = CASE WHEN x THEN LOWER(y) ELSE 'z' END WHERE a BETWEEN 1 AND 2",
];

#[test]
fn parsed_values_are_what_stored_text_gives() {
    let json = r#"{"a":{"$date":"2026-01-31T00:00:00Z"},"b":[1,2.0,{"$numberDecimal":"1.50"}]}"#;
    let Ok(Statement::Count { filter, .. }) = parse(&format!("db.c.count({json})")) else {
        panic!("no count");
    };
    let stored = parse_stored(json.as_bytes());
    assert_eq!(format!("{:?}", Some(filter)), format!("{stored:?}"));
}
