//! `aggregate`: runs a pipeline, whose result is shown or written into a collection.

use crate::command::Argument::Required;
use crate::command::arguments::{ANALYZE, EXPLAIN, HINT, collection, explain_flag};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, plan, written_output};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::Collection;
use jettra_driver::wire::AggregateBody;
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["aggregate"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("pipeline")),
        HINT,
        EXPLAIN,
        ANALYZE,
    ],
    help: "Run a pipeline of stages",
    examples: &[
        r#"aggregate users [{"$group": {"_id": "$city", "n": {"$sum": 1}}}, {"$sort": {"n": -1}}]"#,
    ],
    driver: &["aggregate", "aggregate_into", "explain_aggregate"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Aggregate {
    collection: String,
    body: AggregateBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let mut body = AggregateBody { pipeline: Value::Null, hint: None, explain: None };
    flags(words, &mut body)?;
    body.pipeline = words.array("the pipeline, such as [{\"$match\": {\"age\": 36}}],")?.into();
    flags(words, &mut body)?;
    action(Aggregate { collection, body })
}

fn flags(words: &mut Words<'_>, body: &mut AggregateBody) -> ParseResult<()> {
    words.flags(|name, words| {
        if name == "--hint" {
            body.hint = Some(words.json_or_word(name)?);
            return Ok(true);
        }
        Ok(explain_flag(name, &mut body.explain))
    })
}

impl Action for Aggregate {
    fn only_reads(&self, _usually: bool) -> bool {
        !self.body.writes()
    }

    async fn run(self, session: &mut Session) -> StatementResult {
        let Aggregate { collection: name, body } = self;
        let collection = session.collection(&name).await?;
        if let Some(level) = body.explain {
            return Ok(plan(collection.explain_aggregate(body, level).await?));
        }
        if body.writes() {
            let into =
                async |collection: Collection<Value>| collection.aggregate_into(body.clone()).await;
            return Ok(written_output(session.change_collection(&name, into).await?));
        }
        Ok(Output::Rows(collection.aggregate(body).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::ExplainLevel;
    use serde_json::json;

    #[test]
    fn a_pipeline_is_an_array() {
        let body = AggregateBody {
            pipeline: json!([{"$match": {"a": 1}}]),
            hint: Some(json!("by_a")),
            explain: Some(ExplainLevel::QueryPlanner),
        };
        let text = r#"aggregate u [{"$match": {"a": 1}}] --hint by_a --explain"#;
        assert_eq!(parsed::<Aggregate>(text), Aggregate { collection: "u".into(), body });
        let error = parse("aggregate u {}").unwrap_err();
        let expected = "the pipeline, such as [{\"$match\": {\"age\": 36}}] must be a list";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_pipeline_with_out_changes_something() {
        assert!(parse("aggregate u [{$match: {}}]").unwrap().only_reads());
        assert!(!parse("aggregate u [{$out: 'b'}]").unwrap().only_reads());
    }
}
