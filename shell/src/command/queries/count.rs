//! `count`: counts the documents, or those that match.

use crate::command::Argument::{Optional, Required};
use crate::command::arguments::{
    A_FILTER, ANALYZE, AS_OF, AT, EXPLAIN, HINT, Moment, collection, explain_flag, moment_flag,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, plan};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::CountBody;

pub(super) static COMMAND: Command = Command {
    names: &["count"],
    arguments: &[
        Required(Kind::Collection),
        Optional(Kind::Other("filter")),
        HINT,
        EXPLAIN,
        ANALYZE,
        AT,
        AS_OF,
    ],
    help: "Count the documents, or those that match",
    examples: &[r#"count users {"city": "Lima"}"#],
    driver: &["count", "count_matching", "explain_count", "at", "as_of"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Count {
    collection: String,
    moment: Option<Moment>,
    body: CountBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let (mut body, mut moment) = (CountBody::default(), None);
    let mut flags = |words: &mut Words<'_>, body: &mut CountBody| {
        words.flags(|name, words| {
            if name == "--hint" {
                body.hint = Some(words.json_or_word(name)?);
                return Ok(true);
            }
            Ok(explain_flag(name, &mut body.explain) || moment_flag(name, words, &mut moment)?)
        })
    };
    flags(words, &mut body)?;
    if words.at_object() {
        body.filter = Some(words.object(A_FILTER)?);
        flags(words, &mut body)?;
    }
    action(Count { collection, moment, body })
}

impl Action for Count {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Count { collection, moment, body } = self;
        let collection = Moment::of(moment, session.collection(&collection).await?);
        if let Some(level) = body.explain {
            return Ok(plan(collection.explain_count(body, level).await?));
        }
        Ok(Output::Count(match body.filter.is_some() {
            true => collection.count_matching(body).await?,
            false => collection.count().await?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use jettra_driver::wire::ExplainLevel;
    use serde_json::json;

    #[test]
    fn a_filter_may_have_flags() {
        let filter = || Some(json!({"a": 1}));
        let count = parsed::<Count>(r#"count u {"a": 1} --at 12 --hint by_a"#);
        assert_eq!(count.moment, Some(Moment::Index(12)));
        let hint = Some(json!("by_a"));
        assert_eq!(count.body, CountBody { filter: filter(), hint, explain: None });
        let explain = Some(ExplainLevel::QueryPlanner);
        assert_eq!(
            parsed::<Count>(r#"count u {"a": 1} --explain"#).body,
            CountBody { filter: filter(), explain, ..CountBody::default() }
        );
    }
}
