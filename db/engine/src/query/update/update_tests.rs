use super::*;
use crate::value::parse_stored;
use proptest::prelude::*;

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).unwrap_or_else(|| panic!("not JSON: {json}"))
}

/// What became of a document: its JSON, "same" when nothing changed, or the error's code and
/// message.
struct Case<'a> {
    document: &'a str,
    filter: Option<&'a str>,
    array_filters: Option<&'a str>,
    inserting: bool,
}

impl Case<'_> {
    fn run(&self, update: &str) -> String {
        let interrupt = || Ok(());
        let ctx = Context::new(86_400_000, 1 << 20, &interrupt);
        let filter =
            self.filter.map(|filter| Filter::parse(&value(filter), At::root("filter")).unwrap());
        let array_filters = self.array_filters.map(value);
        let mut document = value(self.document);
        let result = Update::parse(&value(update), array_filters.as_ref(), At::root("update"))
            .and_then(|update| update.apply(&mut document, filter.as_ref(), self.inserting, &ctx));
        match result {
            Ok(true) => document.to_json(),
            Ok(false) => {
                assert_eq!(document.to_json(), value(self.document).to_json());
                "same".to_owned()
            }
            Err(error) => format!("{} {}", error.kind.code(), error.message),
        }
    }
}

/// A table of document, update and outcome; an error's outcome may end with `…`.
fn check(table: &[(&str, &str, &str)]) {
    for (document, update, expected) in table {
        let case = Case { document, filter: None, array_filters: None, inserting: false };
        assert_outcome(&case.run(update), expected, update);
    }
}

fn assert_outcome(found: &str, expected: &str, update: &str) {
    match expected.strip_suffix('…') {
        Some(start) => assert!(found.starts_with(start), "{update}: {found}, not {expected}"),
        None => assert_eq!(found, expected, "{update}"),
    }
}

#[test]
fn fields_are_set_and_removed() {
    check(&[
        (r#"{"a":1}"#, r#"{"$set":{"a":2}}"#, r#"{"a":2}"#),
        (r#"{"a":1}"#, r#"{"$set":{"a":1}}"#, "same"),
        (r#"{"a":1}"#, r#"{"$set":{"a":1.0}}"#, r#"{"a":1.0}"#),
        (r#"{"a":{"x":1,"y":2}}"#, r#"{"$set":{"a":{"y":2,"x":1}}}"#, r#"{"a":{"y":2,"x":1}}"#),
        (r#"{}"#, r#"{"$set":{"b.c.d":1,"a":2}}"#, r#"{"a":2,"b":{"c":{"d":1}}}"#),
        (r#"{}"#, r#"{"$set":{"a.10":1,"a.9":2}}"#, r#"{"a":{"9":2,"10":1}}"#),
        (r#"{}"#, r#"{"$set":{"a":null}}"#, r#"{"a":null}"#),
        (r#"{"a":1}"#, r#"{"$set":{}}"#, "same"),
        (r#"{"a":[1]}"#, r#"{"$set":{"a.3":4}}"#, r#"{"a":[1,null,null,4]}"#),
        (r#"{"a":[{"b":1}]}"#, r#"{"$set":{"a.0.b":2}}"#, r#"{"a":[{"b":2}]}"#),
        (r#"{"a":[]}"#, r#"{"$set":{"a.0.b":2}}"#, r#"{"a":[{"b":2}]}"#),
        (
            r#"{"a":[]}"#,
            r#"{"$set":{"a.100001":2}}"#,
            "not_applicable $set of \"a.100001\" is not…",
        ),
        (r#"{"a":[]}"#, r#"{"$set":{"a.18446744073709551615":2}}"#, "not_applicable…"),
        (r#"{"a":[]}"#, r#"{"$set":{"a.b":2}}"#, "not_applicable $set of \"a.b\" is not possible…"),
        (r#"{"a":[]}"#, r#"{"$set":{"a.00":2}}"#, "not_applicable…"),
        (
            r#"{"a":5}"#,
            r#"{"$set":{"a.b":2}}"#,
            "not_applicable $set of \"a.b\" is not possible: a value of type int on the way \
             cannot have fields",
        ),
        (r#"{"a":null}"#, r#"{"$set":{"a.b":2}}"#, "not_applicable…"),
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"$unset":{"b":""}}"#, r#"{"a":1,"c":3}"#),
        (r#"{"a":{"b":1}}"#, r#"{"$unset":{"a.b":1}}"#, r#"{"a":{}}"#),
        (r#"{"a":1}"#, r#"{"$unset":{"b":1}}"#, "same"),
        (r#"{"a":1}"#, r#"{"$unset":{"a.b":1}}"#, "same"),
        (r#"{"a":[1,2]}"#, r#"{"$unset":{"a.0":1}}"#, r#"{"a":[null,2]}"#),
        (r#"{"a":[null,2]}"#, r#"{"$unset":{"a.0":1}}"#, "same"),
        (r#"{"a":[1,2]}"#, r#"{"$unset":{"a.2":1}}"#, "same"),
        (r#"{"a":null}"#, r#"{"$unset":{"a":1}}"#, r#"{}"#),
        (r#"{"a":1}"#, r#"{"$setOnInsert":{"a":2}}"#, "same"),
    ]);
}

#[test]
fn numbers_are_calculated() {
    check(&[
        (r#"{"a":1}"#, r#"{"$inc":{"a":2}}"#, r#"{"a":3}"#),
        (r#"{"a":1}"#, r#"{"$inc":{"a":0}}"#, "same"),
        (r#"{"a":1}"#, r#"{"$inc":{"a":0.5}}"#, r#"{"a":1.5}"#),
        (r#"{}"#, r#"{"$inc":{"a.b":2}}"#, r#"{"a":{"b":2}}"#),
        (
            r#"{"a":"x"}"#,
            r#"{"$inc":{"a":1}}"#,
            "not_applicable $inc of \"a\" is not possible: the value there is of type string, \
             not a number",
        ),
        (r#"{"a":null}"#, r#"{"$inc":{"a":1}}"#, "not_applicable…"),
        (
            r#"{"a":9223372036854775807}"#,
            r#"{"$inc":{"a":1}}"#,
            "not_applicable $inc of \"a\" is not possible: the result of 9223372036854775807 \
             and 1 …",
        ),
        (r#"{"a":9223372036854775807}"#, r#"{"$mul":{"a":2}}"#, "not_applicable…"),
        (r#"{"a":1}"#, r#"{"$inc":{"a":"1"}}"#, "invalid_query update.$inc.a must be a number…"),
        (
            r#"{"a":{"$numberDecimal":"1.1"}}"#,
            r#"{"$inc":{"a":1}}"#,
            r#"{"a":{"$numberDecimal":"2.1"}}"#,
        ),
        (r#"{"a":4}"#, r#"{"$mul":{"a":2.5}}"#, r#"{"a":10.0}"#),
        (r#"{"a":4}"#, r#"{"$mul":{"a":1}}"#, "same"),
        (r#"{}"#, r#"{"$mul":{"a":2.5}}"#, r#"{"a":0.0}"#),
        (r#"{}"#, r#"{"$mul":{"a":7}}"#, r#"{"a":0}"#),
        (r#"{}"#, r#"{"$mul":{"a":{"$numberDecimal":"7.5"}}}"#, r#"{"a":{"$numberDecimal":"0"}}"#),
        (r#"{"a":[]}"#, r#"{"$mul":{"a":2}}"#, "not_applicable…"),
        (r#"{"a":5}"#, r#"{"$min":{"a":3}}"#, r#"{"a":3}"#),
        (r#"{"a":5}"#, r#"{"$min":{"a":7}}"#, "same"),
        (r#"{"a":5}"#, r#"{"$min":{"a":5.0}}"#, "same"),
        (r#"{"a":5}"#, r#"{"$min":{"a":null}}"#, r#"{"a":null}"#),
        (r#"{}"#, r#"{"$min":{"a":7}}"#, r#"{"a":7}"#),
        (r#"{"a":5}"#, r#"{"$max":{"a":7}}"#, r#"{"a":7}"#),
        (r#"{"a":5}"#, r#"{"$max":{"a":"x"}}"#, r#"{"a":"x"}"#),
        (r#"{"a":5}"#, r#"{"$max":{"a":3}}"#, "same"),
        (r#"{}"#, r#"{"$max":{"a":3}}"#, r#"{"a":3}"#),
        (r#"{"a":13}"#, r#"{"$bit":{"a":{"and":10}}}"#, r#"{"a":8}"#),
        (r#"{"a":3}"#, r#"{"$bit":{"a":{"or":5}}}"#, r#"{"a":7}"#),
        (r#"{"a":1}"#, r#"{"$bit":{"a":{"xor":5}}}"#, r#"{"a":4}"#),
        (r#"{"a":1}"#, r#"{"$bit":{"a":{"or":6,"and":3}}}"#, r#"{"a":3}"#),
        (r#"{"a":1}"#, r#"{"$bit":{"a":{"or":1}}}"#, "same"),
        (r#"{}"#, r#"{"$bit":{"a":{"or":5}}}"#, r#"{"a":5}"#),
        (r#"{"a":1.5}"#, r#"{"$bit":{"a":{"or":5}}}"#, "not_applicable…"),
        (r#"{}"#, r#"{"$bit":{"a":{"or":1.5}}}"#, "invalid_query update.$bit.a must be an object…"),
        (r#"{}"#, r#"{"$bit":{"a":{"nand":1}}}"#, "invalid_query update.$bit.a must be…"),
        (r#"{}"#, r#"{"$bit":{"a":{}}}"#, "invalid_query update.$bit.a must be…"),
    ]);
}

/// Names inside objects may begin with a dollar, as since MongoDB 5; `$`, `$[]` and `$[x]` are
/// places of arrays.
#[test]
fn names_inside_objects_may_begin_with_a_dollar() {
    check(&[
        ("{}", r#"{"$set":{"a.$b":1}}"#, r#"{"a":{"$b":1}}"#),
        (r#"{"a":{"$b":1}}"#, r#"{"$inc":{"a.$b":1}}"#, r#"{"a":{"$b":2}}"#),
        (r#"{"a":{"$b":1,"c":2}}"#, r#"{"$unset":{"a.$b":1}}"#, r#"{"a":{"c":2}}"#),
        (r#"{"a":{"$b":[1]}}"#, r#"{"$set":{"a.$b.$[]":2}}"#, r#"{"a":{"$b":[2]}}"#),
        (r#"{"x":1}"#, r#"{"$rename":{"x":"a.$b"}}"#, r#"{"a":{"$b":1}}"#),
    ]);
}

#[test]
fn the_time_of_the_command_is_set() {
    let day = r#"{"a":{"$date":"1970-01-02T00:00:00Z"}}"#;
    check(&[
        (r#"{}"#, r#"{"$currentDate":{"a":true}}"#, day),
        (r#"{"a":1}"#, r#"{"$currentDate":{"a":{"$type":"date"}}}"#, day),
        (day, r#"{"$currentDate":{"a":true}}"#, "same"),
        // MongoDB takes any truth value.
        (r#"{}"#, r#"{"$currentDate":{"a":false}}"#, day),
        (r#"{}"#, r#"{"$currentDate":{"a":1}}"#, "invalid_query update.$currentDate.a must…"),
        (
            r#"{}"#,
            r#"{"$currentDate":{"a":{"$type":"timestamp"}}}"#,
            r#"{"a":{"$timestamp":{"t":86400,"i":1}}}"#,
        ),
    ]);
}

#[test]
fn fields_are_renamed() {
    check(&[
        (r#"{"a":1,"c":2}"#, r#"{"$rename":{"a":"b"}}"#, r#"{"c":2,"b":1}"#),
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"$rename":{"c":"a"}}"#, r#"{"a":3,"b":2}"#),
        (r#"{"a":{"x":1}}"#, r#"{"$rename":{"a.x":"b.y"}}"#, r#"{"a":{},"b":{"y":1}}"#),
        (r#"{"a":null}"#, r#"{"$rename":{"a":"b"}}"#, r#"{"b":null}"#),
        (r#"{"c":1}"#, r#"{"$rename":{"a":"b"}}"#, "same"),
        (r#"{"a":[{"b":1}]}"#, r#"{"$rename":{"a.0.b":"c"}}"#, "not_applicable $rename of \"c\"…"),
        (r#"{"a":[],"b":1}"#, r#"{"$rename":{"b":"a.0"}}"#, "not_applicable $rename…"),
        (r#"{"a":1,"b":1}"#, r#"{"$rename":{"b":"a.c"}}"#, "not_applicable $rename of \"a.c\"…"),
        (r#"{}"#, r#"{"$rename":{"a":"a"}}"#, "invalid_query update has a conflict…"),
        (r#"{}"#, r#"{"$rename":{"a":"a.b"}}"#, "invalid_query update has a conflict…"),
        (r#"{}"#, r#"{"$rename":{"a":1}}"#, "invalid_query update.$rename.a must be…"),
        (r#"{}"#, r#"{"$rename":{"a.$[]":"b"}}"#, "invalid_query update.$rename.a.$[] cannot…"),
        (
            r#"{}"#,
            r#"{"$rename":{"a":"b"},"$set":{"a":1}}"#,
            "invalid_query update has a conflict…",
        ),
        (r#"{}"#, r#"{"$rename":{"a":"b"},"$set":{"b.c":1}}"#, "invalid_query update has a conf…"),
    ]);
}

#[test]
fn arrays_grow() {
    check(&[
        (r#"{"a":[1]}"#, r#"{"$push":{"a":2}}"#, r#"{"a":[1,2]}"#),
        (r#"{"a":[1]}"#, r#"{"$push":{"a":[2]}}"#, r#"{"a":[1,[2]]}"#),
        (r#"{}"#, r#"{"$push":{"a.b":2}}"#, r#"{"a":{"b":[2]}}"#),
        (r#"{}"#, r#"{"$push":{"a":{"$each":[]}}}"#, r#"{"a":[]}"#),
        (r#"{"a":[]}"#, r#"{"$push":{"a":{"$each":[]}}}"#, "same"),
        (
            r#"{"a":1}"#,
            r#"{"$push":{"a":2}}"#,
            "not_applicable $push of \"a\" is not possible: the…",
        ),
        (r#"{"a":[1]}"#, r#"{"$push":{"a":{"$each":[2,3]}}}"#, r#"{"a":[1,2,3]}"#),
        (
            r#"{"a":[1,2]}"#,
            r#"{"$push":{"a":{"$each":[8,9],"$position":1}}}"#,
            r#"{"a":[1,8,9,2]}"#,
        ),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":-1}}}"#, r#"{"a":[1,9,2]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":-7}}}"#, r#"{"a":[9,1,2]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":7}}}"#, r#"{"a":[1,2,9]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[3],"$slice":-2}}}"#, r#"{"a":[2,3]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[3],"$slice":2}}}"#, "same"),
        (r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[3],"$slice":0}}}"#, r#"{"a":[]}"#),
        (
            r#"{"a":[1,2]}"#,
            r#"{"$push":{"a":{"$each":[3],"$slice":-9223372036854775808}}}"#,
            r#"{"a":[1,2,3]}"#,
        ),
        (r#"{"a":[3,1]}"#, r#"{"$push":{"a":{"$each":[2],"$sort":1}}}"#, r#"{"a":[1,2,3]}"#),
        (r#"{"a":[3,1]}"#, r#"{"$push":{"a":{"$each":[],"$sort":-1}}}"#, "same"),
        (
            r#"{"a":[{"s":5},{"s":1}]}"#,
            r#"{"$push":{"a":{"$each":[{"s":3},{"s":4}],"$sort":{"s":-1},"$slice":3}}}"#,
            r#"{"a":[{"s":5},{"s":4},{"s":3}]}"#,
        ),
        (r#"{}"#, r#"{"$push":{"a":{"$each":1}}}"#, "invalid_query update.$push.a.$each must be…"),
        (
            r#"{}"#,
            r#"{"$push":{"a":{"$each":[],"$sort":2}}}"#,
            "invalid_query update.$push.a.$sort…",
        ),
        (
            r#"{}"#,
            r#"{"$push":{"a":{"$each":[],"$sort":{}}}}"#,
            "invalid_query update.$push.a.$sort must be 1, -1…",
        ),
        (r#"{"a":[1]}"#, r#"{"$pull":{"a":{"$not":{"$gte":3}}}}"#, "invalid_query update.$pull.a…"),
        (
            r#"{}"#,
            r#"{"$push":{"a":{"$each":[],"$slice":1.5}}}"#,
            "invalid_query update.$push.a.$sl…",
        ),
        (
            r#"{}"#,
            r#"{"$push":{"a":{"$each":[],"$slise":1}}}"#,
            "invalid_query update.$push.a.$slise…",
        ),
        (r#"{"a":[1]}"#, r#"{"$addToSet":{"a":1.0}}"#, "same"),
        (r#"{"a":[1]}"#, r#"{"$addToSet":{"a":{"$each":[2,2,1]}}}"#, r#"{"a":[1,2]}"#),
        (r#"{"a":[1,1]}"#, r#"{"$addToSet":{"a":[1]}}"#, r#"{"a":[1,1,[1]]}"#),
        (r#"{}"#, r#"{"$addToSet":{"a":1}}"#, r#"{"a":[1]}"#),
        (r#"{"a":1}"#, r#"{"$addToSet":{"a":1}}"#, "not_applicable…"),
        (
            r#"{}"#,
            r#"{"$addToSet":{"a":{"$each":[],"$slice":1}}}"#,
            "invalid_query update.$addToSet…",
        ),
    ]);
}

#[test]
fn arrays_shrink() {
    check(&[
        (r#"{"a":[1,2,1.0]}"#, r#"{"$pull":{"a":1}}"#, r#"{"a":[2]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$pull":{"a":3}}"#, "same"),
        (r#"{"a":[1,6,8,"x"]}"#, r#"{"$pull":{"a":{"$gte":6}}}"#, r#"{"a":[1,"x"]}"#),
        (r#"{"a":[1,6,8]}"#, r#"{"$pull":{"a":{"$in":[1,8]}}}"#, r#"{"a":[6]}"#),
        (r#"{"a":["ab","b"]}"#, r#"{"$pull":{"a":{"$regex":"^a"}}}"#, r#"{"a":["b"]}"#),
        (r#"{"a":[{"b":1,"c":2},{"b":1},5]}"#, r#"{"$pull":{"a":{"b":1}}}"#, r#"{"a":[5]}"#),
        (
            r#"{"a":[{"b":1},{"b":2},{"c":3}]}"#,
            r#"{"$pull":{"a":{"$or":[{"b":2},{"c":3}]}}}"#,
            r#"{"a":[{"b":1}]}"#,
        ),
        (
            r#"{"a":[{"b":[{"q":1}]},{"b":[{"q":9}]}]}"#,
            r#"{"$pull":{"a":{"b":{"$elemMatch":{"q":{"$gt":5}}}}}}"#,
            r#"{"a":[{"b":[{"q":1}]}]}"#,
        ),
        (r#"{"a":[[1,2],[2,1]]}"#, r#"{"$pull":{"a":[1,2]}}"#, r#"{"a":[[2,1]]}"#),
        (r#"{}"#, r#"{"$pull":{"a":1}}"#, "same"),
        (r#"{"a":5}"#, r#"{"$pull":{"a.b":1}}"#, "same"),
        (r#"{"a":5}"#, r#"{"$pull":{"a":1}}"#, "not_applicable $pull of \"a\"…"),
        (r#"{}"#, r#"{"$pull":{"a":{"$more":1}}}"#, "invalid_query update.$pull.a…"),
        (r#"{"a":[1,2,3]}"#, r#"{"$pullAll":{"a":[1,3.0]}}"#, r#"{"a":[2]}"#),
        (r#"{"a":[{"b":1,"c":2}]}"#, r#"{"$pullAll":{"a":[{"b":1}]}}"#, "same"),
        (r#"{}"#, r#"{"$pullAll":{"a":[1]}}"#, "same"),
        (r#"{"a":"x"}"#, r#"{"$pullAll":{"a":[1]}}"#, "not_applicable…"),
        (r#"{}"#, r#"{"$pullAll":{"a":1}}"#, "invalid_query update.$pullAll.a must be an array"),
        (r#"{"a":[1,2]}"#, r#"{"$pop":{"a":1}}"#, r#"{"a":[1]}"#),
        (r#"{"a":[1,2]}"#, r#"{"$pop":{"a":-1}}"#, r#"{"a":[2]}"#),
        (r#"{"a":[]}"#, r#"{"$pop":{"a":1}}"#, "same"),
        (r#"{"a":[]}"#, r#"{"$pop":{"a":-1}}"#, "same"),
        (r#"{}"#, r#"{"$pop":{"a":1}}"#, "same"),
        (r#"{"a":{}}"#, r#"{"$pop":{"a":1}}"#, "not_applicable…"),
        (r#"{}"#, r#"{"$pop":{"a":2}}"#, "invalid_query update.$pop.a must be 1…"),
    ]);
}

#[test]
fn items_that_the_filter_matched_change() {
    for (document, filter, update, expected) in [
        (r#"{"a":[1,5,7]}"#, r#"{"a":{"$gt":3}}"#, r#"{"$set":{"a.$":0}}"#, r#"{"a":[1,0,7]}"#),
        (
            r#"{"a":[{"k":1},{"k":2,"v":3}]}"#,
            r#"{"a.k":2}"#,
            r#"{"$inc":{"a.$.v":1,"a.$.w":2}}"#,
            r#"{"a":[{"k":1},{"k":2,"v":4,"w":2}]}"#,
        ),
        (
            r#"{"a":[{"k":1,"b":[1,2]}]}"#,
            r#"{"a":{"$elemMatch":{"k":1}}}"#,
            r#"{"$mul":{"a.$.b.$[]":10}}"#,
            r#"{"a":[{"k":1,"b":[10,20]}]}"#,
        ),
        (r#"{"a":[1,5]}"#, r#"{"a":5}"#, r#"{"$unset":{"a.$":1}}"#, r#"{"a":[1,null]}"#),
        (
            r#"{"a":[1,2]}"#,
            r#"{"b":null}"#,
            r#"{"$set":{"a.$":0}}"#,
            "not_applicable $set of \"a.$\"…",
        ),
        (r#"{}"#, r#"{}"#, r#"{"$set":{"a.$.b.$":0}}"#, "invalid_query update.$set.a.$.b.$ has $…"),
        (r#"{}"#, r#"{}"#, r#"{"$set":{"$":0}}"#, "invalid_query update.$set.$ begins with $…"),
        (
            r#"{"a":[1,5]}"#,
            r#"{"a":5}"#,
            r#"{"$set":{"a.$":0,"a.1":7}}"#,
            "not_applicable the changes of…",
        ),
    ] {
        let case = Case { document, filter: Some(filter), array_filters: None, inserting: false };
        assert_outcome(&case.run(update), expected, update);
    }
    check(&[(r#"{"a":[1]}"#, r#"{"$set":{"a.$":0}}"#, "not_applicable $set of \"a.$\"…")]);
}

#[test]
fn items_that_array_filters_accept_change() {
    let orders = r#"{"o":[{"n":1,"p":[{"q":1},{"q":9}]},{"n":2,"p":[{"q":8}]}]}"#;
    for (document, filters, update, expected) in [
        (r#"{"a":[1,2]}"#, "[]", r#"{"$inc":{"a.$[]":1}}"#, r#"{"a":[2,3]}"#),
        (r#"{"a":[]}"#, "[]", r#"{"$inc":{"a.$[]":1}}"#, "same"),
        (r#"{}"#, "[]", r#"{"$inc":{"a.$[]":1}}"#, "not_applicable $inc of \"a.$[]\" is not…"),
        (r#"{"a":3}"#, "[]", r#"{"$unset":{"a.$[]":1}}"#, "not_applicable…"),
        (r#"{"a":[1,9]}"#, r#"[{"x":{"$gt":5}}]"#, r#"{"$set":{"a.$[x]":5}}"#, r#"{"a":[1,5]}"#),
        (r#"{"a":[1]}"#, r#"[{"x":{"$gt":5}}]"#, r#"{"$set":{"a.$[x]":5}}"#, "same"),
        (
            r#"{"a":[{"b":1},{"b":2}]}"#,
            r#"[{"x.b":1}]"#,
            // The first change does not hide the item from the second.
            r#"{"$set":{"a.$[x].b":5,"a.$[x].c":6}}"#,
            r#"{"a":[{"b":5,"c":6},{"b":2}]}"#,
        ),
        (
            orders,
            r#"[{"o.n":1},{"$or":[{"p.q":9},{"p.q":8}]}]"#,
            r#"{"$inc":{"o.$[o].p.$[p].q":10}}"#,
            r#"{"o":[{"n":1,"p":[{"q":1},{"q":19}]},{"n":2,"p":[{"q":8}]}]}"#,
        ),
        (
            r#"{"a":[1,9]}"#,
            r#"[{"x":{"$gt":5}},{"y":{"$lt":5}}]"#,
            r#"{"$set":{"a.$[x]":5},"$inc":{"a.$[y]":1}}"#,
            r#"{"a":[2,5]}"#,
        ),
        (
            r#"{"a":[1,9]}"#,
            r#"[{"x":{"$gt":5}},{"y":{"$gt":7}}]"#,
            r#"{"$set":{"a.$[x]":5,"a.$[y]":6}}"#,
            "not_applicable the changes of \"a.$[x]\" and \"a.$[y]\" meet in one place",
        ),
        (r#"{}"#, "[]", r#"{"$set":{"a.$[x]":5}}"#, "invalid_query update.$set.a.$[x] names the…"),
        (
            r#"{}"#,
            r#"[{"x":1}]"#,
            r#"{"$set":{"a":5}}"#,
            "invalid_query arrayFilters[0] is not used…",
        ),
        (
            r#"{}"#,
            r#"[{"X":1}]"#,
            r#"{"$set":{"a.$[X]":5}}"#,
            "invalid_query arrayFilters[0] has the…",
        ),
        (
            r#"{}"#,
            r#"[{"x":1,"y":2}]"#,
            r#"{"$set":{"a":5}}"#,
            "invalid_query arrayFilters[0] must…",
        ),
        (r#"{}"#, r#"[{}]"#, r#"{"$set":{"a":5}}"#, "invalid_query arrayFilters[0] must have…"),
        (
            r#"{}"#,
            r#"[5]"#,
            r#"{"$set":{"a":5}}"#,
            "invalid_query arrayFilters[0] must be an object",
        ),
        (r#"{}"#, r#"{}"#, r#"{"$set":{"a":5}}"#, "invalid_query arrayFilters must be an array…"),
        (
            r#"{}"#,
            r#"[{"x":1},{"x":2}]"#,
            r#"{"$set":{"a.$[x]":5}}"#,
            "invalid_query arrayFilters[1] is a second filter for \"x\"",
        ),
    ] {
        let array_filters = Some(filters);
        let case = Case { document, filter: None, array_filters, inserting: false };
        assert_outcome(&case.run(update), expected, update);
    }
}

#[test]
fn what_cannot_be_an_update_is_refused() {
    check(&[
        ("{}", "5", "invalid_query update must be an object of operators…"),
        ("{}", "{}", "invalid_query update must be an object of operators…"),
        ("{}", r#"{"a":1}"#, "invalid_query update has the field \"a\" where an operator belongs"),
        ("{}", r#"{"$sett":{"a":1}}"#, "invalid_query update.$sett is not an operator of updates"),
        ("{}", r#"{"$set":1}"#, "invalid_query update.$set must be an object of paths"),
        (
            "{}",
            r#"{"$set":{"":1}}"#,
            "invalid_query update.$set. has the path \"\" with an empty part",
        ),
        ("{}", r#"{"$set":{"a..b":1}}"#, "invalid_query update.$set.a..b has the path…"),
        ("{}", r#"{"$set":{"$b":1}}"#, "invalid_query update.$set.$b has \"$b\" where the name…"),
        ("{}", r#"{"$set":{"a..b":1}}"#, "invalid_query update.$set.a..b has the path…"),
        ("{}", r#"{"$set":{"a.\u0000":1}}"#, "invalid_query update.$set.a.\0 has the path…"),
        (
            "{}",
            r#"{"$set":{"a.b":1},"$inc":{"a":1}}"#,
            "invalid_query update has a conflict: it changes both \"a\" and \"a.b\"",
        ),
        ("{}", r#"{"$set":{"a":1},"$max":{"a":1}}"#, "invalid_query update has a conflict…"),
        ("{}", r#"{"$set":{"a.$[]":1,"a.$[].b":1}}"#, "invalid_query update has a conflict…"),
        (
            "{}",
            r#"{"$set":{"a":1},"$setOnInsert":{"a.b":1}}"#,
            "invalid_query update has a conflict…",
        ),
        ("{}", r#"{"$set":{"a.b":1,"ab":2,"a.c":3}}"#, r#"{"a":{"b":1,"c":3},"ab":2}"#),
    ]);
}

#[test]
fn the_id_stays() {
    let refused = "invalid_id the _id 1 of a document cannot change";
    check(&[
        (r#"{"_id":1}"#, r#"{"$set":{"_id":1,"a":2}}"#, r#"{"_id":1,"a":2}"#),
        (r#"{"_id":1}"#, r#"{"$set":{"_id":1}}"#, "same"),
        (r#"{"_id":1}"#, r#"{"$set":{"_id":2}}"#, refused),
        (r#"{"_id":1}"#, r#"{"$unset":{"_id":1}}"#, refused),
        (r#"{"_id":1}"#, r#"{"$inc":{"_id":1}}"#, refused),
        (r#"{"_id":1}"#, r#"{"$rename":{"_id":"a"}}"#, refused),
        (r#"{"_id":1,"a":2}"#, r#"{"$rename":{"a":"_id"}}"#, refused),
    ]);
    for (document, update, expected) in [
        (r#"{"a":1}"#, r#"{"$setOnInsert":{"_id":7,"b":2}}"#, r#"{"a":1,"_id":7,"b":2}"#),
        (r#"{}"#, r#"{"$set":{"_id":7}}"#, r#"{"_id":7}"#),
        (r#"{"_id":1}"#, r#"{"$setOnInsert":{"_id":7}}"#, refused),
    ] {
        let case = Case { document, filter: None, array_filters: None, inserting: true };
        assert_eq!(case.run(update), expected, "{update}");
    }
}

#[test]
fn upserts_begin_with_the_equalities_of_the_filter() {
    for (filter, expected) in [
        (r#"{}"#, "{}"),
        (r#"{"b":1,"a":{"$eq":2},"c":{"$gt":1}}"#, r#"{"b":1,"a":2}"#),
        (r#"{"a.b":1,"a.c":{"x":2}}"#, r#"{"a":{"b":1,"c":{"x":2}}}"#),
        (r#"{"a.0":1}"#, r#"{"a":{"0":1}}"#),
        (r#"{"$and":[{"a":1},{"$and":[{"b":2},{"c":{"$lt":5,"$gt":1}}]}]}"#, r#"{"a":1,"b":2}"#),
        (r#"{"$or":[{"a":1}]}"#, r#"{"a":1}"#),
        (r#"{"$or":[{"a":1},{"b":1}]}"#, "{}"),
        (
            r#"{"a":{"$in":[1]},"b":{"$in":[1,2]},"c":{"$all":[3]},"d":{"$all":[3,4]}}"#,
            r#"{"a":1,"c":3}"#,
        ),
        (r#"{"a":{"$ne":1},"$nor":[{"b":1}]}"#, "{}"),
        (r#"{"a":[1,2]}"#, r#"{"a":[1,2]}"#),
        (r#"{"a":1,"a.b":2}"#, "filter wants \"a\" and \"a.b\" equal to something"),
        (r#"{"$and":[{"a":1},{"a":2}]}"#, "filter wants \"a\" and \"a\" equal to something"),
    ] {
        let parsed = Filter::parse(&value(filter), At::root("filter")).unwrap();
        let base = upsert_base(&parsed, At::root("filter"));
        let found = base.map_or_else(|error| error.message, |base| base.to_json());
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn pipelines_compute_the_document() {
    check(&[
        (
            r#"{"_id":1,"a":1,"b":2}"#,
            r#"[{"$set":{"a":{"$add":["$a","$b"]}}},{"$unset":"b"}]"#,
            r#"{"_id":1,"a":3}"#,
        ),
        (r#"{"_id":1,"a":1}"#, r#"[{"$set":{"a":"$a"}}]"#, "same"),
        (r#"{"_id":1,"a":1}"#, "[]", "same"),
        (r#"{"_id":1,"a":1,"b":2}"#, r#"[{"$project":{"b":1,"_id":0}}]"#, r#"{"_id":1,"b":2}"#),
        (r#"{"_id":1,"a":{"x":1}}"#, r#"[{"$replaceWith":"$a"}]"#, r#"{"_id":1,"x":1}"#),
        (r#"{"_id":1,"a":1}"#, r#"[{"$replaceRoot":{"newRoot":{"a":"$a","_id":"$_id"}}}]"#, "same"),
        (r#"{"_id":1,"a":1}"#, r#"[{"$replaceWith":"$a"}]"#, "not_applicable the new document…"),
        (r#"{"_id":1}"#, r#"[{"$replaceWith":"$a"}]"#, "not_applicable the new document…"),
        (r#"{"_id":1}"#, r#"[{"$set":{"_id":2}}]"#, "invalid_id the _id 1 of a document…"),
        (r#"{"_id":1}"#, r#"[{"$unset":["_id"]}]"#, "same"),
        ("{}", r#"[{"$match":{}}]"#, "invalid_query update[0] has the stage \"$match\", which…"),
        ("{}", r#"[{"$set":{},"$unset":"a"}]"#, "invalid_query update[0] must be an object with…"),
        ("{}", r#"[{"$unset":[]}]"#, "invalid_query update[0].$unset must be a path…"),
        ("{}", r#"[{"$replaceRoot":{}}]"#, "invalid_query update[0].$replaceRoot must be…"),
    ]);
    let double = r#"{"$set":{"a":"$$ROOT","b":"$$ROOT"}},"#.repeat(60);
    let deep = r#"{"$set":{"a":"$$ROOT"}},"#.repeat(1000);
    check(&[
        (r#"{"x":1}"#, &format!("[{}]", double.trim_end_matches(',')), "query_too_large…"),
        (r#"{"x":1}"#, &format!("[{}]", deep.trim_end_matches(',')), "too_deep…"),
    ]);
}

/// Six kilobytes took gigabytes: nothing was counted before the document was written.
#[test]
fn padding_and_pushing_through_many_places_is_counted_before_it_is_done() {
    let empty = format!(r#"{{"a":[{}[]]}}"#, "[],".repeat(1999));
    let large = "x".repeat(1000);
    let each: Vec<String> = (0..1000).map(|item| item.to_string()).collect();
    let each = each.join(",");
    let fields: Vec<String> = (0..3000).map(|field| format!(r#""f{field}":1"#)).collect();
    let fields = fields.join(",");
    for update in [
        r#"{"$set":{"a.$[].100000":1}}"#.to_owned(),
        format!(r#"{{"$push":{{"a.$[]":{{"$each":[{each}]}}}}}}"#),
        format!(r#"{{"$push":{{"a.$[]":{{"$each":[{each}],"$sort":-1,"$slice":1}}}}}}"#),
        format!(r#"{{"$addToSet":{{"a.$[]":{{"$each":[{each}]}}}}}}"#),
        format!(r#"{{"$set":{{"a.$[]":"{large}"}}}}"#),
        format!(r#"{{"$min":{{"a.$[]":"{large}"}}}}"#),
    ] {
        let case = Case { document: &empty, filter: None, array_filters: None, inserting: false };
        assert_outcome(&case.run(&update), "query_too_large…", &update);
    }
    // Each removal moves what follows it.
    let document = value(&format!("{{{fields}}}"));
    let update = value(&format!(r#"{{"$unset":{{{fields}}}}}"#));
    let update = Update::parse(&update, None, At::root("update")).unwrap();
    let interrupt = || Ok(());
    let ctx = Context::new(0, 16 << 20, &interrupt);
    update.apply(&mut document.clone(), None, false, &ctx).unwrap();
    assert!(ctx.steps() > 2_000_000, "{}", ctx.steps());
}

#[test]
fn pipelines_take_no_array_filters() {
    let (update, filters) = (value(r#"[{"$set":{"a.b":1}}]"#), value(r#"[{"x":1}]"#));
    let error = Update::parse(&update, Some(&filters), At::root("update")).unwrap_err();
    assert!(error.message.starts_with("arrayFilters cannot go with a pipeline"), "{error}");
    for (update, touched) in [
        (
            r#"[{"$set":{"a.b":1}},{"$unset":["c.d"]}]"#,
            Fields::Some(["a", "c"].map(str::to_owned).into()),
        ),
        (r#"[{"$set":{"a.b":1}},{"$replaceWith":{"x":1}}]"#, Fields::All),
    ] {
        let update = Update::parse(&value(update), None, At::root("update")).unwrap();
        assert_eq!(update.touches(), touched);
    }
}

#[test]
fn updates_say_what_they_touch_and_what_they_were() {
    let source = value(r#"{"$set":{"a.b":1,"c.$[x]":2},"$rename":{"d.e":"f"}}"#);
    let filters = value(r#"[{"x":1}]"#);
    let update = Update::parse(&source, Some(&filters), At::root("update")).unwrap();
    let names = ["a", "c", "d", "f"].map(str::to_owned);
    assert_eq!(update.touches(), Fields::Some(names.into()));
    let again = Update::parse(&update.to_value(), update.array_filters(), At::root("update"));
    assert_eq!(again.unwrap(), update);
}

fn small_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::json!(null)),
        (-2..4i64).prop_map(|number| serde_json::json!(number)),
        Just(serde_json::json!(1.5)),
        "[ab]".prop_map(|text| serde_json::json!(text)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::Array),
            prop::collection::vec(("[abc0]", inner), 0..3)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_changes_the_second_time(
        fields in prop::collection::vec(("[abc]", small_value()), 0..4),
        operator in prop::sample::select(vec![
            "$set", "$unset", "$min", "$max", "$addToSet", "$pull", "$pullAll", "$currentDate",
            "$setOnInsert",
        ]),
        path in "[abc](\\.([abc0]|\\$\\[\\]))?",
        operand in small_value(),
    ) {
        let operand = match operator {
            "$currentDate" => serde_json::json!(true),
            "$pullAll" => serde_json::json!([operand]),
            _ => operand,
        };
        let fields = serde_json::Value::Object(fields.into_iter().collect());
        let mut document = value(&fields.to_string());
        let update = value(&serde_json::json!({ operator: { path: operand } }).to_string());
        let update = Update::parse(&update, None, At::root("update")).unwrap();
        let interrupt = || Ok(());
        let ctx = Context::new(5, 1 << 20, &interrupt);
        let before = document.clone();
        if let Ok(changed) = update.apply(&mut document, None, false, &ctx) {
            prop_assert_eq!(changed, !identical(&before, &document));
            let once = document.clone();
            prop_assert!(!update.apply(&mut document, None, false, &ctx).unwrap());
            prop_assert!(identical(&once, &document));
        }
    }

    #[test]
    fn no_update_panics(
        document in small_value(),
        operators in prop::collection::vec((
            prop::sample::select(vec![
                "$set", "$unset", "$inc", "$mul", "$min", "$max", "$rename", "$push", "$pull",
                "$pullAll", "$addToSet", "$pop", "$bit", "$currentDate", "$setOnInsert",
            ]),
            prop_oneof!["[abc](\\.([abc0-3]|\\$|\\$\\[\\]|\\$\\[x\\])){0,3}", "[a.$\\[\\]x]{0,6}"],
            small_value(),
        ), 1..4),
        inserting: bool,
    ) {
        let mut update = serde_json::Map::new();
        for (name, path, operand) in operators {
            update.insert(name.to_owned(), serde_json::json!({ path: operand }));
        }
        let update = value(&serde_json::Value::Object(update).to_string());
        let filters = value(r#"[{"x":{"$gte":1}}]"#);
        let filter = Filter::parse(&value(r#"{"a":1}"#), At::root("filter")).unwrap();
        let mut document = value(&document.to_string());
        let interrupt = || Ok(());
        let ctx = Context::new(5, 1 << 20, &interrupt);
        for filters in [None, Some(&filters)] {
            if let Ok(update) = Update::parse(&update, filters, At::root("update")) {
                let _ = update.apply(&mut document, Some(&filter), inserting, &ctx);
            }
        }
    }
}
