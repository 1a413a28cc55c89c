//! `bulk`: carries out many writes in one step.

use crate::command::Argument::{Flag, Required};
use crate::command::arguments::collection;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::bulk_output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::Collection;
use jettra_driver::wire::{BulkBody, BulkOperation};
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["bulk"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("operations")),
        Flag("--unordered"),
    ],
    help: "Carry out many writes in one step",
    examples: &[
        r#"bulk users [{"insertOne": {"document": {"_id": 8}}}, {"deleteOne": {"filter": {"_id": 9}}}]"#,
    ],
    driver: &["bulk"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct Bulk {
    collection: String,
    body: BulkBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let before = words.flag("--unordered");
    let operations = words.array("the operations")?.into_iter().enumerate();
    let operations = operations.map(|(at, operation)| {
        serde_json::from_value::<BulkOperation>(operation).map_err(|error| {
            format!(
                "operation {at} cannot be understood: {error}; an operation is, for example, \
                 {{\"deleteOne\": {{\"filter\": {{\"_id\": 7}}}}}}"
            )
        })
    });
    let operations = operations.collect::<ParseResult<_>>()?;
    let ordered = !(words.flag("--unordered") || before);
    action(Bulk { collection, body: BulkBody { operations, ordered } })
}

impl Action for Bulk {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Bulk { collection, body } = self;
        let bulk = async |collection: Collection<Value>| collection.bulk(body.clone()).await;
        Ok(bulk_output(&session.change_collection(&collection, bulk).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::DeleteBody;
    use serde_json::json;

    #[test]
    fn operations_are_checked_one_by_one() {
        let text =
            r#"bulk u [{"insertOne": {"document": {"a": 1}}}, {"deleteMany": {"filter": {}}}]"#;
        let operations = vec![
            BulkOperation::InsertOne { document: json!({"a": 1}) },
            BulkOperation::DeleteMany(DeleteBody::from(json!({}))),
        ];
        assert_eq!(parsed::<Bulk>(text).body, BulkBody::from(operations.clone()));
        let unordered = BulkBody { operations, ordered: false };
        assert_eq!(parsed::<Bulk>(&format!("{text} --unordered")).body, unordered);
        let error = parse(r#"bulk u [{"deleteOne": {"filter": {}}}, {"insert": {}}]"#).unwrap_err();
        assert!(error.contains("operation 1"), "{error}");
    }
}
