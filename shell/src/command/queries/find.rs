//! `find`: lists the documents that match, page by page.

use super::get;
use crate::command::Argument::{Optional, Required, Valued};
use crate::command::arguments::{
    A_FILTER, ANALYZE, AS_OF, AT, EXPLAIN, FIELDS, HINT, Moment, SORT, collection, explain_flag,
    moment_flag,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::plan;
use crate::session::{Results, Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::Find;

pub(super) static COMMAND: Command = Command {
    names: &["find"],
    arguments: &[
        Required(Kind::Collection),
        Optional(Kind::Other("id|filter")),
        SORT,
        FIELDS,
        Valued("--skip", "N", Kind::Other("N")),
        Valued("--limit", "N", Kind::Other("N")),
        HINT,
        EXPLAIN,
        ANALYZE,
        AT,
        AS_OF,
    ],
    help: "List the documents that match, page by page, or read one",
    examples: &[
        "find users {age: {$gt: 90}}",
        r#"find users {"age": {"$gte": 18}} --sort -age,name --fields name,age --limit 20"#,
        "find users 7",
        r#"find users {"city": "Lima"} --explain"#,
        r#"find users {"city": "Lima"} --as-of 2026-03-01T12:00:00Z"#,
    ],
    driver: &["find", "find_pages", "list", "count_matching", "get", "explain", "at", "as_of"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct FindDocuments {
    collection: String,
    moment: Option<Moment>,
    find: Box<Find>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let (mut find, mut moment) = (Find::all(), None);
    flags(words, &mut find, &mut moment)?;
    if words.keyword("where") || words.keyword("donde") {
        let rest = words.rest();
        return Err(format!(
            "a filter stands in braces, such as {{age: {{$gt: 30}}}}. With WHERE it is JQL:\n  \
             FIND IN <collection> WHERE {rest}"
        ));
    }
    if words.at_object() {
        find.body.filter = Some(words.object(A_FILTER)?);
        flags(words, &mut find, &mut moment)?;
    } else if !words.rest().is_empty() && find == Find::all() {
        return get::read(collection, moment, words);
    }
    action(FindDocuments { collection, moment, find: Box::new(find) })
}

fn flags(words: &mut Words<'_>, find: &mut Find, moment: &mut Option<Moment>) -> ParseResult<()> {
    let body = &mut find.body;
    words.flags(|name, words| {
        match name {
            "--sort" => body.sort = Some(words.json_or_word(name)?),
            "--fields" => body.projection = Some(words.json_or_word(name)?),
            "--skip" => body.skip = Some(words.number(name)?),
            "--limit" => body.limit = Some(words.number(name)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            _ => {
                return Ok(
                    explain_flag(name, &mut body.explain) || moment_flag(name, words, moment)?
                );
            }
        }
        Ok(true)
    })
}

impl Action for FindDocuments {
    async fn run(self, session: &mut Session) -> StatementResult {
        let FindDocuments { collection, moment, find } = self;
        let collection = Moment::of(moment, session.collection(&collection).await?);
        if let Some(level) = find.body.explain {
            return Ok(plan(collection.explain(*find, level).await?));
        }
        let results = match *find == Find::all() {
            true => Results::of_collection(collection, session.rows_of_call()),
            false => Results::of_query(collection.find_pages(*find)),
        };
        session.list(results).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::get::Get;
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::ExplainLevel;
    use serde_json::json;

    #[test]
    fn flags_stand_on_either_side_of_the_filter() {
        let filter = || Find::new(json!({"a": 1}));
        let explained = |level| {
            let mut find = filter();
            find.body.explain = Some(level);
            find
        };
        let table = [
            ("find u", Find::all()),
            (r#"find u {"a": 1}"#, filter()),
            (
                r#"find u {"a": 1} --sort -a,b --fields a,b --skip 2 --limit 3 --hint by_a"#,
                filter().sort("-a,b").projection("a,b").skip(2).limit(3).hint("by_a"),
            ),
            (
                r#"find u --limit 3 {"a": 1} --sort {"a": -1}"#,
                filter().limit(3).sort(json!({"a": -1})),
            ),
            ("find u --sort -age", Find::all().sort("-age")),
            (r#"find u {"a": 1} --explain"#, explained(ExplainLevel::QueryPlanner)),
            (r#"find u {"a": 1} --analyze"#, explained(ExplainLevel::ExecutionStats)),
        ];
        for (text, find) in table {
            assert_eq!(*parsed::<FindDocuments>(text).find, find, "{text}");
        }
        let error = parse("find u where age > 3").unwrap_err();
        assert!(error.contains("\n  FIND IN <collection> WHERE age > 3"), "{error}");
    }

    #[test]
    fn an_id_reads_one_document() {
        let expected = |moment| Get { collection: "u".into(), moment, id: 7.into() };
        assert_eq!(parsed::<Get>("find u 7"), expected(None));
        let at = || Some(Moment::Index(12));
        assert_eq!(parsed::<Get>("find u 7 --at 12"), expected(at()));
        assert_eq!(parsed::<Get>("find u --at 12 7"), expected(at()));
    }

    #[test]
    fn the_moment_that_is_read_stands_among_the_flags() {
        let time = Moment::Time("2026-03-01T12:00:00Z".into());
        let table = [
            ("find u", None),
            ("find u --at 12", Some(Moment::Index(12))),
            (r#"find u --limit 3 {"a": 1} --as-of 2026-03-01T12:00:00Z --sort a"#, Some(time)),
        ];
        for (text, expected) in table {
            assert_eq!(parsed::<FindDocuments>(text).moment, expected, "{text}");
        }
        assert!(parse("find u --at 1 --as-of 2").unwrap_err().contains("only one of"));
    }
}
