//! `replace`: replaces a document.

use crate::command::Argument::Required;
use crate::command::arguments::{
    A_DOCUMENT, A_FILTER, HINT, REVISION, SORT, UPSERT, collection, existing_in, id, missing, sort,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, update_output};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::ReplaceBody;
use jettra_driver::{Collection, DocumentId};
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["replace"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id|filter")),
        Required(Kind::Other("json")),
        REVISION,
        UPSERT,
        SORT,
        HINT,
    ],
    help: "Replace a document that exists, or the first that matches",
    examples: &[
        r#"replace users 7 {"name": "Ada", "age": 36} --revision 12"#,
        r#"replace users {"name": "Ada"} {"name": "Ada King"} --upsert"#,
    ],
    driver: &["get", "replace", "replace_one"],
    parse: read,
    ..Command::WRITE
};

/// The document with an id, if it still has the revision given.
#[derive(Debug, PartialEq)]
struct ReplaceOne {
    collection: String,
    id: DocumentId,
    document: Value,
    revision: Option<u64>,
}

/// The first document that matches.
#[derive(Debug, PartialEq)]
struct ReplaceMatching {
    collection: String,
    body: Box<ReplaceBody>,
}

/// `<id|filter> <document>`
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    if !words.at_object() {
        let id = id(words)?;
        let before = words.revision()?;
        let document = words.object(A_DOCUMENT)?;
        let revision = before.or(words.revision()?);
        return action(ReplaceOne { collection, id, document, revision });
    }
    let filter = words.object(A_FILTER)?;
    let document = words.object(A_DOCUMENT)?;
    let mut body = ReplaceBody::from((filter, document));
    words.flags(|name, words| {
        match name {
            "--upsert" => body.upsert = true,
            "--sort" => body.sort = Some(sort(words)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(ReplaceMatching { collection, body: Box::new(body) })
}

impl Action for ReplaceOne {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = existing_in(session, &self.collection, self.id).await?;
        let revision = match self.revision {
            Some(revision) => revision,
            None => collection.get(&id).await?.ok_or_else(|| missing(&id))?.revision,
        };
        let written = collection.replace(&id, &self.document, revision).await?;
        Ok(Output::Written { verb: "Replaced", written })
    }
}

impl Action for ReplaceMatching {
    async fn run(self, session: &mut Session) -> StatementResult {
        let ReplaceMatching { collection, body } = self;
        let replace =
            async |collection: Collection<Value>| collection.replace_one((*body).clone()).await;
        Ok(update_output(&session.change_collection(&collection, replace).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use serde_json::json;

    #[test]
    fn the_revision_stands_on_either_side_of_the_document() {
        for text in ["replace u 7 --revision 2 {}", "replace u 7 {} --revision 2"] {
            let (collection, id) = ("u".to_owned(), 7.into());
            let expected = ReplaceOne { collection, id, document: json!({}), revision: Some(2) };
            assert_eq!(parsed::<ReplaceOne>(text), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_means_the_first_that_matches() {
        let body = ReplaceBody::from((json!({"a": 1}), json!({"b": 2})));
        let text = r#"replace u {"a": 1} {"b": 2} --upsert"#;
        let expected = ReplaceBody { upsert: true, ..body };
        assert_eq!(*parsed::<ReplaceMatching>(text).body, expected);
    }
}
