//! `distinct`: lists the different values of a field.

use crate::command::Argument::{Optional, Required};
use crate::command::arguments::{A_FILTER, ANALYZE, EXPLAIN, collection, explain_flag};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, plan};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::ExplainLevel;
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["distinct"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Field),
        Optional(Kind::Other("filter")),
        EXPLAIN,
        ANALYZE,
    ],
    help: "List the different values of a field",
    examples: &[r#"distinct users city {"age": {"$gt": 30}}"#],
    driver: &["distinct", "explain_distinct"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Distinct {
    collection: String,
    field: String,
    filter: Option<Value>,
    explain: Option<ExplainLevel>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let (mut filter, mut explain) = (None, None);
    let mut flags =
        |words: &mut Words<'_>| words.flags(|name, _| Ok(explain_flag(name, &mut explain)));
    flags(words)?;
    let field = words.required("the field")?;
    flags(words)?;
    if !words.rest().is_empty() {
        filter = Some(words.object(A_FILTER)?);
        flags(words)?;
    }
    action(Distinct { collection, field, filter, explain })
}

impl Action for Distinct {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Distinct { collection, field, filter, explain } = self;
        let collection = session.collection(&collection).await?;
        if let Some(level) = explain {
            return Ok(plan(collection.explain_distinct(&field, filter, level).await?));
        }
        Ok(Output::Rows(collection.distinct(&field, filter).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use serde_json::json;

    #[test]
    fn a_filter_may_be_given() {
        let distinct = |filter, explain| Distinct {
            collection: "u".into(),
            field: "city".into(),
            filter,
            explain,
        };
        let filter = Some(json!({"a": 1}));
        assert_eq!(parsed::<Distinct>(r#"distinct u city {"a": 1}"#), distinct(filter, None));
        let planner = Some(ExplainLevel::QueryPlanner);
        assert_eq!(parsed::<Distinct>("distinct u city --explain"), distinct(None, planner));
    }
}
