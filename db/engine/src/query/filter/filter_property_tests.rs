use super::tests::matches;
use super::*;
use crate::query::context::At;
use crate::value::Regex;
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2..3i32).prop_map(Value::Int),
        prop_oneof![Just(0.5), Just(1.0), Just(f64::NAN)].prop_map(Value::Double),
        "[ab]{0,2}".prop_map(Value::String),
        crate::value::tests::bson_only(),
    ]
}

fn object(pairs: Vec<(String, Value)>) -> Value {
    Value::Object(pairs.into_iter().collect())
}

fn one(name: &str, value: Value) -> Value {
    object(vec![(name.to_owned(), value)])
}

fn array(items: impl Strategy<Value = Value>, at_least: usize) -> impl Strategy<Value = Value> {
    prop::collection::vec(items, at_least..4).prop_map(Value::Array)
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            array(inner.clone(), 0),
            prop::collection::vec(("[abc]", inner), 0..3).prop_map(object),
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    let value = prop_oneof![8 => any_value().boxed(), 1 => pattern().boxed()];
    prop::collection::vec(("[abc]", value), 0..4).prop_map(object)
}

fn pattern() -> impl Strategy<Value = Value> {
    let sources = prop_oneof![Just("^a"), Just("b$"), Just("A.")];
    (sources, prop_oneof![Just(""), Just("i"), Just("sm")])
        .prop_map(|(source, options)| Value::Regex(Box::new(Regex::new(source, options).unwrap())))
}

/// An object of operators.
fn operators() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (
            prop_oneof![
                Just("$eq"),
                Just("$ne"),
                Just("$gt"),
                Just("$gte"),
                Just("$lt"),
                Just("$lte")
            ],
            any_value()
        )
            .prop_map(|(name, value)| (name.to_owned(), value)),
        (
            prop_oneof![Just("$in"), Just("$nin"), Just("$all")],
            array(prop_oneof![any_value(), pattern()], 0)
        )
            .prop_map(|(name, value)| (name.to_owned(), value)),
        any::<bool>().prop_map(|wanted| ("$exists".to_owned(), Value::Bool(wanted))),
        array(prop_oneof![Just("string"), Just("number"), Just("array")].prop_map(Value::from), 1)
            .prop_map(|names| ("$type".to_owned(), names)),
        pattern().prop_map(|pattern| ("$regex".to_owned(), pattern)),
        (1..4i64, 0..3i64)
            .prop_map(|(a, b)| ("$mod".to_owned(), Value::Array(vec![a.into(), b.into()]))),
        (0..3i32).prop_map(|size| ("$size".to_owned(), Value::Int(size))),
    ];
    prop::collection::vec(leaf, 1..4).prop_map(object).prop_recursive(3, 12, 2, |inner| {
        let pair = |name: &'static str| move |inner: Value| (name.to_owned(), inner);
        let nested = prop_oneof![
            inner.clone().prop_map(pair("$not")),
            inner.clone().prop_map(pair("$elemMatch")),
            inner.clone().prop_map(|inner| ("$elemMatch".to_owned(), one("a", inner))),
        ];
        (nested, inner).prop_map(|(nested, inner)| {
            let mut fields = inner.as_object().cloned().unwrap_or_default();
            fields.insert(nested.0, nested.1);
            Value::Object(fields)
        })
    })
}

fn query() -> impl Strategy<Value = Value> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("a.b"), Just("a.0"), Just("c.a.b")];
    let condition = prop_oneof![any_value(), operators()];
    let field = (name(), condition).prop_map(|(name, value)| (name.to_owned(), value));
    prop::collection::vec(field, 0..3).prop_map(object).prop_recursive(3, 16, 3, |inner| {
        let lists = prop::collection::vec(
            (prop_oneof![Just("$and"), Just("$or"), Just("$nor")], array(inner.clone(), 1)),
            1..3,
        );
        (inner, lists).prop_map(|(inner, lists)| {
            let mut fields = inner.as_object().cloned().unwrap_or_default();
            fields.extend(lists.into_iter().map(|(name, list)| (name.to_owned(), list)));
            Value::Object(fields)
        })
    })
}

fn matches_text(pattern: &Pattern, text: &str) -> bool {
    let ctx = crate::query::context::Context::new(0, 0, &|| Ok(()));
    pattern.is_match(text, &ctx).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_parses_to_the_same(query in query()) {
        let filter = Filter::parse(&query, At::root("filter")).unwrap();
        let written = filter.to_value();
        prop_assert_eq!(Filter::parse(&written, At::root("filter")).unwrap(), filter);
    }

    #[test]
    fn two_negations_are_none(query in query(), documents in prop::collection::vec(document(), 8)) {
        let nor = |query| one("$nor", Value::Array(vec![query]));
        let parse = |query| Filter::parse(&query, At::root("filter")).unwrap();
        let (filter, once, twice) = (parse(query.clone()), parse(nor(query.clone())), parse(nor(nor(query))));
        for document in documents {
            let found = matches(&filter, &document);
            prop_assert_eq!(matches(&once, &document), !found);
            prop_assert_eq!(matches(&twice, &document), found);
        }
    }

    #[test]
    fn a_negated_operator_says_the_opposite(operators in operators(), document in document()) {
        let parse = |operators| Filter::parse(&one("a", operators), At::root("filter")).unwrap();
        let negated = parse(one("$not", operators.clone()));
        prop_assert_eq!(matches(&negated, &document), !matches(&parse(operators), &document));
    }

    #[test]
    fn a_pattern_matches_nothing_without_its_beginning(source in "\\^[ab]{0,3}[*?+.]?[ab]?", text in "[ab]{0,5}") {
        let pattern = Pattern::new(&source, "", At::root("filter")).unwrap();
        if let Some(prefix) = pattern.literal_prefix() && matches_text(&pattern, &text) {
            prop_assert!(text.starts_with(&prefix));
        }
    }
}
