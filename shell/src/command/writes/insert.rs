//! `insert`: inserts a document, or several.

use crate::command::Argument::Required;
use crate::command::arguments::{A_DOCUMENT, collection};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, bulk_output};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["insert"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("json"))],
    help: "Insert a document, or an array of them, and show its _id",
    examples: &[r#"insert users {"name": "Ada"}"#, r#"insert users [{"_id": 1}, {"_id": 2}]"#],
    driver: &["insert", "insert_many"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct Insert {
    collection: String,
    document: Value,
}

#[derive(Debug, PartialEq)]
struct InsertMany {
    collection: String,
    documents: Vec<Value>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    match words.rest().starts_with('[') {
        true => action(InsertMany { collection, documents: words.array("the documents")? }),
        false => action(Insert { collection, document: words.object(A_DOCUMENT)? }),
    }
}

impl Action for Insert {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection(&self.collection).await?;
        let written = collection.insert(&self.document).await?;
        Ok(Output::Written { verb: "Inserted", written })
    }
}

impl Action for InsertMany {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection(&self.collection).await?;
        Ok(bulk_output(&collection.insert_many(&self.documents).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use serde_json::json;

    #[test]
    fn one_document_is_an_object_and_many_are_an_array() {
        let one = parsed::<Insert>(r#"insert users {"a": [1, {"b": 2}]}"#);
        assert_eq!(one.document, json!({"a": [1, {"b": 2}]}));
        let many = parsed::<InsertMany>(r#"insert users [{"a": 1}, {}]"#);
        assert_eq!(many.documents, [json!({"a": 1}), json!({})]);
        let error = parse("insert users {\"a\": }").unwrap_err();
        assert!(error.contains("expected a value, found \"}\" at character 7"), "{error}");
    }
}
