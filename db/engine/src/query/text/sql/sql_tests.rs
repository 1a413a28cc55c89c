use crate::query::text::parse;

/// The statement as MongoDB's shell has it.
fn mongo(text: &str) -> String {
    match parse(text) {
        Ok(statement) => statement.to_mongo(),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[test]
fn plain_selects_are_finds_that_indexes_can_serve() {
    for (text, expected) in [
        ("SELECT * FROM users", "db.users.find({})"),
        (
            "select name, address.city from users where age = 25 and active order by age desc, name limit 10 offset 5;",
            r#"db.users.find({"age":25,"active":true}, {"name":1,"address.city":1,"_id":0}).sort({"age":-1,"name":1}).skip(5).limit(10)"#,
        ),
        (
            "SELECT u.name, _id FROM users AS u WHERE u.age >= 18 AND u.city IN ('Madrid', \"Lima\")",
            r#"db.users.find({"age":{"$gte":18},"city":{"$in":["Madrid","Lima"]}}, {"name":1,"_id":1})"#,
        ),
        ("SELECT * FROM c WHERE 5 < a AND a <= 9", r#"db.c.find({"a":{"$gt":5,"$lte":9}})"#),
        (
            "SELECT * FROM c WHERE a = 1 OR a = 2 OR b = 3",
            r#"db.c.find({"$or":[{"a":1},{"a":2},{"b":3}]})"#,
        ),
        ("SELECT * FROM c WHERE a BETWEEN 1 AND 2.50", r#"db.c.find({"a":{"$gte":1,"$lte":2.5}})"#),
        (
            "SELECT * FROM c WHERE d >= DATE '2026-01-31'",
            r#"db.c.find({"d":{"$gte":{"$date":"2026-01-31T00:00:00Z"}}})"#,
        ),
        (
            "SELECT * FROM c WHERE tags = ['a', -1] AND pos = {'x': 1}",
            r#"db.c.find({"tags":["a",-1],"pos":{"$eq":{"x":1}}})"#,
        ),
        (
            "SELECT * FROM c WHERE n LIKE 'A.%' AND m ILIKE '%a_b' AND l LIKE '50!%' ESCAPE '!'",
            r#"db.c.find({"n":{"$regex":"^A\\."},"m":{"$regex":"a.b$","$options":"is"},"l":{"$regex":"^50%$"}})"#,
        ),
        (
            "SELECT x.a FROM \"my table\" x donde x.a = 1 LIMIT 5, 10",
            r#"db.getCollection("my table").find({"a":1}, {"a":1,"_id":0}).skip(5).limit(10)"#,
        ),
        ("SELECT * FROM c WHERE TRUE AND 1 < 2", "db.c.find({})"),
        ("SELECT * FROM c WHERE 1 = 2", r#"db.c.find({"$expr":false})"#),
    ] {
        assert_eq!(mongo(text), expected, "{text}");
    }
}

#[test]
fn null_is_neither_equal_nor_unequal() {
    for (condition, expected) in [
        ("a <> 5", r#"{"a":{"$nin":[5,null]}}"#),
        ("NOT a = 5", r#"{"a":{"$nin":[5,null]}}"#),
        ("NOT (a = 5 OR b < 3)", r#"{"a":{"$nin":[5,null]},"b":{"$gte":3}}"#),
        ("NOT (a = 5 AND b IS NULL)", r#"{"$or":[{"a":{"$nin":[5,null]}},{"b":{"$ne":null}}]}"#),
        ("a NOT IN (1, 2)", r#"{"a":{"$nin":[1,2,null]}}"#),
        ("a NOT BETWEEN 1 AND 3", r#"{"$or":[{"a":{"$lt":1}},{"a":{"$gt":3}}]}"#),
        ("a NOT LIKE 'x%'", r#"{"a":{"$not":{"$regex":"^x"},"$ne":null}}"#),
        ("a IS NULL", r#"{"a":null}"#),
        ("NOT a", r#"{"a":false}"#),
        ("a IS NOT TRUE", r#"{"a":{"$ne":true}}"#),
        ("(a < 1) IS FALSE", r#"{"a":{"$gte":1}}"#),
        ("(a < 1) IS NOT FALSE", r#"{"$nor":[{"a":{"$gte":1}}]}"#),
        (
            "(a < 1) IS NULL",
            r#"{"$expr":{"$not":[{"$or":[{"$and":[{"$gt":["$a",null]},{"$lt":["$a",1]}]},{"$gte":["$a",1]}]}]}}"#,
        ),
        (
            "a NOT IN (1, b)",
            r#"{"$expr":{"$and":[{"$gt":["$a",null]},{"$gt":["$b",null]},{"$not":[{"$in":["$a",[1,"$b"]]}]}]}}"#,
        ),
        ("a = b", r#"{"$expr":{"$and":[{"$gt":["$a",null]},{"$eq":["$a","$b"]}]}}"#),
        (
            "a + 1 > b",
            r#"{"$expr":{"$and":[{"$gt":["$b",null]},{"$gt":[{"$add":["$a",1]},"$b"]}]}}"#,
        ),
        (
            "a + 1 <= 3",
            r#"{"$expr":{"$and":[{"$gt":[{"$add":["$a",1]},null]},{"$lte":[{"$add":["$a",1]},3]}]}}"#,
        ),
        ("a % 2 = 1", r#"{"$expr":{"$eq":[{"$mod":["$a",2]},1]}}"#),
    ] {
        let expected = format!("db.c.find({expected})");
        assert_eq!(mongo(&format!("SELECT * FROM c WHERE {condition}")), expected, "{condition}");
    }
}

#[test]
fn other_selects_are_pipelines() {
    for (text, expected) in [
        ("SELECT a AS b FROM c", r#"[{"$project":{"b":"$a","_id":0}}]"#),
        (
            "SELECT 1 AS one, '$x' AS s, a || '-' || b AS t FROM c",
            r#"[{"$project":{"one":{"$literal":1},"s":{"$literal":"$x"},"t":{"$concat":[{"$toString":"$a"},"-",{"$toString":"$b"}]},"_id":0}}]"#,
        ),
        (
            "SELECT ROUND(p * 2 + 1 + q, 1), COALESCE(a, 0) AS x, LENGTH(n) AS l FROM c",
            r#"[{"$project":{"round":{"$round":[{"$add":[{"$multiply":["$p",2]},1,"$q"]},1]},"x":{"$ifNull":["$a",0]},"l":{"$cond":[{"$gt":["$n",null]},{"$strLenCP":"$n"},null]},"_id":0}}]"#,
        ),
        (
            "SELECT CASE WHEN age < 18 THEN 'child' ELSE 'adult' END AS kind FROM c",
            r#"[{"$project":{"kind":{"$switch":{"branches":[{"case":{"$and":[{"$gt":["$age",null]},{"$lt":["$age",18]}]},"then":"child"}],"default":"adult"}},"_id":0}}]"#,
        ),
        (
            "SELECT a < 1 AS x FROM c",
            r#"[{"$project":{"x":{"$cond":[{"$and":[{"$gt":["$a",null]},{"$lt":["$a",1]}]},true,{"$cond":[{"$gte":["$a",1]},false,null]}]},"_id":0}}]"#,
        ),
        (
            "SELECT a IS NULL AS x, CASE a WHEN b THEN 1 END AS y FROM c",
            r#"[{"$project":{"x":{"$lte":["$a",null]},"y":{"$switch":{"branches":[{"case":{"$and":[{"$gt":["$a",null]},{"$eq":["$a","$b"]}]},"then":1}],"default":null}},"_id":0}}]"#,
        ),
        (
            "SELECT DISTINCT city FROM c WHERE a = 1 ORDER BY city DESC LIMIT 2",
            r#"[{"$match":{"a":1}},{"$group":{"_id":"$city"}},{"$project":{"city":"$_id","_id":0}},{"$sort":{"city":-1}},{"$limit":2}]"#,
        ),
        (
            "SELECT DISTINCT a, b.c FROM c",
            r#"[{"$group":{"_id":{"k0":{"$ifNull":["$a",null]},"k1":{"$ifNull":["$b.c",null]}}}},{"$project":{"a":"$_id.k0","b.c":"$_id.k1","_id":0}}]"#,
        ),
        (
            "SELECT DISTINCT * FROM c",
            r#"[{"$group":{"_id":"$$ROOT"}},{"$replaceRoot":{"newRoot":"$_id"}}]"#,
        ),
        (
            "SELECT *, a + 1 AS b FROM c ORDER BY ABS(a)",
            r#"[{"$set":{"_sort0":{"$abs":"$a"}}},{"$sort":{"_sort0":1}},{"$unset":["_sort0"]},{"$set":{"b":{"$add":["$a",1]}}}]"#,
        ),
        (
            "SELECT city, COUNT(*) AS n, SUM(total) AS t FROM c GROUP BY city HAVING COUNT(*) > 2 AND t > 5 ORDER BY t DESC, 1 LIMIT 3",
            r#"[{"$group":{"_id":"$city","a0":{"$sum":1},"a1":{"$sum":{"$cond":[{"$gt":["$total",null]},1,0]}},"a2":{"$sum":"$total"}}},{"$set":{"a2":{"$cond":[{"$gt":["$a1",0]},"$a2",null]}}},{"$match":{"a0":{"$gt":2},"a2":{"$gt":5}}},{"$sort":{"a2":-1,"_id":1}},{"$project":{"city":"$_id","n":"$a0","t":"$a2","_id":0}},{"$limit":3}]"#,
        ),
        (
            "SELECT a, b, COUNT(DISTINCT x) AS n FROM c GROUP BY a, b",
            r#"[{"$group":{"_id":{"k0":{"$ifNull":["$a",null]},"k1":{"$ifNull":["$b",null]}},"a0":{"$addToSet":"$x"}}},{"$project":{"a":"$_id.k0","b":"$_id.k1","n":{"$size":{"$setDifference":["$a0",[null]]}},"_id":0}}]"#,
        ),
        (
            "SELECT AVG(p * q) / 2 AS x, MIN(a), COUNT(d) FROM c GROUP BY YEAR(d)",
            r#"[{"$group":{"_id":{"$year":"$d"},"a0":{"$avg":{"$multiply":["$p","$q"]}},"a1":{"$min":"$a"},"a2":{"$sum":{"$cond":[{"$gt":["$d",null]},1,0]}}}},{"$project":{"x":{"$divide":["$a0",2]},"min":"$a1","count":"$a2","_id":0}}]"#,
        ),
        (
            "SELECT COUNT(*) AS n FROM c WHERE a = 1",
            r#"[{"$match":{"a":1}},{"$facet":{"rows":[{"$group":{"_id":null,"a0":{"$sum":1}}}]}},{"$replaceRoot":{"newRoot":{"$ifNull":[{"$arrayElemAt":["$rows",0]},{"$literal":{"a0":0}}]}}},{"$project":{"n":"$a0","_id":0}}]"#,
        ),
        (
            "SELECT c.total, k.name FROM c JOIN customers k ON c.customer = k._id WHERE c.total > 5 AND k.city = 'Lima' ORDER BY k.name",
            r#"[{"$match":{"total":{"$gt":5}}},{"$lookup":{"from":"customers","localField":"customer","foreignField":"_id","pipeline":[{"$match":{"_id":{"$ne":null}}}],"as":"k"}},{"$unwind":"$k"},{"$match":{"k.city":"Lima"}},{"$sort":{"k.name":1}},{"$project":{"total":1,"name":"$k.name","_id":0}}]"#,
        ),
        (
            "SELECT * FROM c LEFT JOIN d ON d._id = c.x",
            r#"[{"$lookup":{"from":"d","localField":"x","foreignField":"_id","pipeline":[{"$match":{"_id":{"$ne":null}}}],"as":"d"}},{"$unwind":{"path":"$d","preserveNullAndEmptyArrays":true}}]"#,
        ),
        (
            "SELECT *, d.a FROM c JOIN d ON c.x = d.y ORDER BY a",
            r#"[{"$lookup":{"from":"d","localField":"x","foreignField":"y","pipeline":[{"$match":{"y":{"$ne":null}}}],"as":"d"}},{"$unwind":"$d"},{"$sort":{"d.a":1}}]"#,
        ),
        (
            "SELECT c._id, d._id AS other, d.a.b FROM c JOIN d ON c.x = d.y",
            r#"[{"$lookup":{"from":"d","localField":"x","foreignField":"y","pipeline":[{"$match":{"y":{"$ne":null}}}],"as":"d"}},{"$unwind":"$d"},{"$project":{"_id":1,"other":"$d._id","a.b":"$d.a.b"}}]"#,
        ),
    ] {
        assert_eq!(mongo(text), format!("db.c.aggregate({expected})"), "{text}");
    }
}

#[test]
fn changes() {
    for (text, expected) in [
        (
            "INSERT INTO c (a, b.c, d) VALUES (1, 'x', NULL), (-2.5, \"y\", true)",
            r#"db.c.insertMany([{"a":1,"b":{"c":"x"},"d":null},{"a":-2.5,"b":{"c":"y"},"d":true}])"#,
        ),
        ("INSERT INTO c (a) VALUES (1)", r#"db.c.insertOne({"a":1})"#),
        (
            "INSERT INTO c (a, b, c) VALUES (-9223372036854775808, - 0, -007.50)",
            r#"db.c.insertOne({"a":-9223372036854775808,"b":0,"c":-7.5})"#,
        ),
        (
            "UPDATE c SET a = 1, b.c = \"x\" WHERE id = 3",
            r#"db.c.updateMany({"id":3}, {"$set":{"a":1,"b.c":"x"}})"#,
        ),
        (
            "UPDATE c SET a = a + 1, b = 'x'",
            r#"db.c.updateMany({}, [{"$set":{"a":{"$add":["$a",1]},"b":{"$literal":"x"}}}])"#,
        ),
        ("DELETE FROM c WHERE a <> 3", r#"db.c.deleteMany({"a":{"$nin":[3,null]}})"#),
        // In double quotes a text, not a field that every document lacks.
        ("DELETE FROM c WHERE name = \"x\"", r#"db.c.deleteMany({"name":"x"})"#),
        (
            "DELETE FROM c WHERE tags CONTAINS 3",
            r#"db.c.deleteMany({"tags":{"$elemMatch":{"$eq":3}}})"#,
        ),
        (
            "EXPLAIN ANALYZE SELECT * FROM c WHERE a = 1",
            r#"db.c.explain("executionStats").find({"a":1})"#,
        ),
    ] {
        assert_eq!(mongo(text), expected, "{text}");
    }
}

const ERRORS: &[(&str, &str)] = &[
    (
        "SELECT * FROM c WHERE a = NULL",
        "line 1, column 27: nothing is equal or unequal to NULL; write IS NULL or IS NOT NULL",
    ),
    (
        "SELECT * FROM c WHERE a NOT IN (1, NULL)",
        "line 1, column 36: nothing is equal or unequal to NULL; write IS NULL or IS NOT NULL",
    ),
    (
        "EXPLAIN SELECT *\nFROM c\nWHERE ñ = = 3",
        "line 3, column 11: expected an expression, found \"=\"",
    ),
    (
        "SELECT * FROM c WHERE",
        "line 1, column 22: expected an expression, found the end of the text",
    ),
    ("SELECT * FORM c", "line 1, column 10: expected the end of the statement, found \"FORM\""),
    ("SELECT FROM c", "line 1, column 1: the columns after SELECT are missing"),
    ("SELECT * FROM c WHERE a = 'x", "line 1, column 27: unterminated string literal"),
    (
        "SELECT * FROM c WHERE a IN (SELECT b FROM d)",
        "line 1, column 23: a subquery is not supported",
    ),
    ("SELECT a FROM c\n UNION SELECT b FROM d", "line 2, column 2: UNION is not supported"),
    (
        "SELECT ROW_NUMBER() OVER (ORDER BY a) FROM c",
        "line 1, column 8: a window function (OVER) is not supported",
    ),
    (
        "SELECT lenght(a) FROM c",
        "line 1, column 8: unknown function \"LENGHT\"; did you mean \"LENGTH\"?",
    ),
    (
        "SELECT a, COUNT(*) FROM c",
        "line 1, column 8: \"a\" must be in GROUP BY, or inside COUNT, SUM, AVG, MIN, MAX",
    ),
    ("SELECT * FROM c WHERE SUM(a) > 1", "line 1, column 23: SUM cannot stand here"),
    (
        "SELECT a, x AS a FROM c",
        "line 1, column 11: two columns are named \"a\"; give one another name",
    ),
    (
        "SELECT c.a, d.a FROM c JOIN d ON c.x = d.y",
        "line 1, column 13: two columns are named \"a\"; give one another name",
    ),
    (
        "SELECT x AS y, SUM(z) AS s FROM c GROUP BY y",
        "line 1, column 8: y in GROUP BY is a field; write GROUP BY x",
    ),
    (
        "SELECT * FROM c WHERE d > CURRENT_DATE",
        "line 1, column 27: CURRENT_DATE is not supported; a field of that name \
         stands in backticks: `CURRENT_DATE`",
    ),
    (
        "SELECT * FROM c, d",
        "line 1, column 1: a list of tables is not supported; write JOIN … ON …",
    ),
    (
        "SELECT * FROM c RIGHT JOIN d ON c.a = d.b",
        "line 1, column 1: this kind of join with \"d\" is not supported; use JOIN or LEFT JOIN",
    ),
    ("SELECT * FROM c LIMIT 0", "line 1, column 23: expected a whole number from 1, found \"0\""),
    (
        "SELECT a FROM c ORDER BY 2",
        "line 1, column 26: expected a field or the number of a column, found \"2\"",
    ),
    ("WITH x AS (SELECT 1) SELECT * FROM x", "line 1, column 1: WITH is not supported"),
    ("INSERT INTO c (a) VALUES (1, 2)", "line 1, column 27: 2 values for 1 columns"),
    ("INSERT INTO c (a) VALUES (b)", "line 1, column 27: expected a constant, found \"b\""),
    (
        "INSERT INTO c VALUES (1)",
        "line 1, column 1: the columns are missing; write INSERT INTO c (a, b) VALUES …",
    ),
    ("UPDATE c SET a = 1, a = 2", "line 1, column 25: the column \"a\" is set twice"),
    ("DELETE FROM c WHERE a = = 3", "line 1, column 25: expected an expression, found \"=\""),
    (
        "DELETE FROM c WHERE a = NULL",
        "line 1, column 25: nothing is equal or unequal to NULL; write IS NULL or IS NOT NULL",
    ),
    (
        "SELECT * FROM c; SELECT * FROM d",
        "line 1, column 18: expected the end of the statement, found \"SELECT\"",
    ),
];

#[test]
fn errors_name_the_place() {
    for &(text, expected) in ERRORS {
        match parse(text) {
            Ok(statement) => panic!("{text}: {}", statement.to_mongo()),
            Err(error) => assert_eq!(error.message, expected, "{text}"),
        }
    }
}

#[test]
fn long_chains_and_deep_nests_end_in_errors_not_in_the_stack() {
    let chain = |operator: &str, count: usize| vec!["a"; count].join(operator);
    assert!(parse(&format!("SELECT * FROM c WHERE {}", chain(" = 1 OR ", 400))).is_ok());
    assert!(parse(&format!("SELECT {} AS s FROM c", chain(" + ", 900))).is_ok());
    let grouped = format!("SELECT {} AS s FROM c GROUP BY s", chain(" + ", 900));
    assert!(parse(&grouped).is_ok());
    assert!(parse(&format!("SELECT foo({}) FROM c", chain(" & ", 900))).is_err());
    assert!(parse(&format!("SELECT * FROM c JOIN d ON {}", chain(" & ", 900))).is_err());
    for operator in [" OR ", " + ", " = ", " & ", " || ", " - ", " COLLATE ", "::int::"] {
        for count in [150, 900, 100_000] {
            let _ = parse(&format!("SELECT * FROM c WHERE {}", chain(operator, count)));
        }
    }
    for (open, close) in
        [("(", ")"), ("NOT ", ""), ("-", ""), ("ABS(", ")"), ("[", "]"), ("{'a': ", "}")]
    {
        let deep = format!("{}a{}", open.repeat(5_000), close.repeat(5_000));
        assert!(parse(&format!("SELECT * FROM c WHERE a = {deep}")).is_err(), "{open}");
    }
    assert!(parse(&format!("SELECT * FROM c WHERE a {}", "IS NULL ".repeat(900))).is_err());
}

/// Each of these has a few hundred bytes and became gigabytes, or took minutes.
#[test]
fn short_statements_do_not_become_large() {
    let nested = |name: &str, rest: &str| {
        let open = format!("{name}(").repeat(45);
        format!("SELECT {open}a{} AS x FROM t", format!("{rest})").repeat(45))
    };
    let between = (0..40).fold("a".to_owned(), |inner, _| format!("({inner} BETWEEN 1 AND 2)"));
    let doubled: Vec<String> = (1..60).map(|n| format!("a{}+a{} AS a{n}", n - 1, n - 1)).collect();
    let doubled = doubled.join(", ");
    for text in [
        nested("LOWER", ""),
        nested("NULLIF", ", 1"),
        format!("SELECT x FROM t WHERE {between}"),
        format!("SELECT SUM(n) AS a0, {doubled} FROM t"),
        "SELECT SUM(n) AS s, b+b AS b FROM t".to_owned(),
        format!("SELECT {}a FROM t", "a, ".repeat(2000)),
        format!("INSERT INTO t ({}) VALUES (1)", vec!["a"; 5000].join(".")),
        format!("INSERT INTO t (a) VALUES ({})", " ".repeat(2 << 20)),
        format!("INSERT INTO t ({}) VALUES {}", "n".repeat(10_000), vec!["(1)"; 10_000].join(",")),
    ] {
        let error = parse(&text).expect_err(text.get(..60).unwrap_or(&text));
        assert!(["syntax_error", "too_large"].contains(&error.kind.code()), "{error}");
    }
}

/// The alias of a column was taken for the key, although the documents had a field of that name.
#[test]
fn group_by_a_name_takes_the_field_before_the_column() {
    for (text, expected) in [
        (
            "SELECT MAX(x) AS y, COUNT(*) AS n FROM c GROUP BY y",
            r#"[{"$group":{"_id":"$y","a0":{"$max":"$x"},"a1":{"$sum":1}}},{"$project":{"y":"$a0","n":"$a1","_id":0}}]"#,
        ),
        (
            "SELECT a + 1 AS a, COUNT(*) AS n FROM c GROUP BY a",
            r#"[{"$group":{"_id":"$a","a0":{"$sum":1}}},{"$project":{"a":{"$add":["$_id",1]},"n":"$a0","_id":0}}]"#,
        ),
        // The column is meant where it could not be made of the groups otherwise.
        (
            "SELECT YEAR(d) AS y, COUNT(*) AS n FROM c GROUP BY y",
            r#"[{"$group":{"_id":{"$year":"$d"},"a0":{"$sum":1}}},{"$project":{"y":"$_id","n":"$a0","_id":0}}]"#,
        ),
        (
            "SELECT x AS y, COUNT(*) AS n FROM c GROUP BY 1",
            r#"[{"$group":{"_id":"$x","a0":{"$sum":1}}},{"$project":{"y":"$_id","n":"$a0","_id":0}}]"#,
        ),
    ] {
        assert_eq!(mongo(text), format!("db.c.aggregate({expected})"), "{text}");
    }
}

/// Such words were calls without parentheses for the parser.
#[test]
fn fields_may_have_the_names_of_calls() {
    for (text, expected) in [
        (
            "SELECT user, interval FROM c WHERE user = 1 AND interval < 2 ORDER BY interval",
            r#"db.c.find({"user":1,"interval":{"$lt":2}}, {"user":1,"interval":1,"_id":0}).sort({"interval":1})"#,
        ),
        (
            "SELECT exists, struct FROM c WHERE trim = TRIM(trim)",
            r#"db.c.find({"$expr":{"$and":[{"$gt":["$trim",null]},{"$eq":["$trim",{"$trim":{"input":"$trim"}}]}]}}, {"exists":1,"struct":1,"_id":0})"#,
        ),
        ("SELECT user.name FROM c", r#"db.c.find({}, {"user.name":1,"_id":0})"#),
        ("SELECT `current_date` FROM c", r#"db.c.find({}, {"current_date":1,"_id":0})"#),
        (
            "SELECT * FROM c WHERE d < CURRENT_TIMESTAMP",
            r#"db.c.find({"$expr":{"$and":[{"$gt":["$d",null]},{"$lt":["$d","$$NOW"]}]}})"#,
        ),
    ] {
        assert_eq!(mongo(text), expected, "{text}");
    }
}
