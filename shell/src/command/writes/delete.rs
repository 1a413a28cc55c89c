//! `delete`: deletes one document, or all that match.

use crate::command::Argument::Required;
use crate::command::arguments::{
    A_FILTER, ANALYZE, EXPLAIN, HINT, ONE, REVISION, SORT, collection, existing_in, explain_flag,
    id, missing, sort,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, plan};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::DeleteBody;
use jettra_driver::{Collection, DocumentId};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["delete"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id|filter")),
        REVISION,
        ONE,
        SORT,
        HINT,
        EXPLAIN,
        ANALYZE,
    ],
    help: "Delete one document, or all that match (--one: the first)",
    examples: &[
        "delete users 7",
        r#"delete users {city: "Lima"}"#,
        "delete jobs {} --sort created",
    ],
    driver: &["delete", "delete_revision", "delete_one", "delete_many", "explain_delete"],
    parse: read,
    ..Command::WRITE
};

/// The document with an id, if it still has the revision given.
#[derive(Debug, PartialEq)]
struct DeleteOne {
    collection: String,
    id: DocumentId,
    revision: Option<u64>,
}

/// The documents that match, or the first.
#[derive(Debug, PartialEq)]
struct DeleteMatching {
    collection: String,
    body: Box<DeleteBody>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    if !words.at_object() {
        let id = id(words)?;
        return action(DeleteOne { collection, id, revision: words.revision()? });
    }
    let mut body = DeleteBody::from(words.object(A_FILTER)?);
    let mut one = false;
    words.flags(|name, words| {
        match name {
            "--multi" => one = false,
            "--one" => one = true,
            "--sort" => body.sort = Some(sort(words)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            _ => return Ok(explain_flag(name, &mut body.explain)),
        }
        Ok(true)
    })?;
    body.multi = !one && body.sort.is_none();
    action(DeleteMatching { collection, body: Box::new(body) })
}

impl Action for DeleteOne {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = existing_in(session, &self.collection, self.id).await?;
        let deleted = match self.revision {
            Some(revision) => collection.delete_revision(&id, revision).await?,
            None => collection.delete(&id).await?,
        };
        match deleted {
            true => done(format!("Deleted {id}.")),
            false => Err(missing(&id)),
        }
    }
}

impl Action for DeleteMatching {
    async fn run(self, session: &mut Session) -> StatementResult {
        let DeleteMatching { collection, body } = self;
        if let Some(level) = body.explain {
            let collection = session.collection(&collection).await?;
            return Ok(plan(collection.explain_delete(*body, level).await?));
        }
        let delete = async |collection: Collection<Value>| match body.multi {
            true => collection.delete_many((*body).clone()).await,
            false => collection.delete_one((*body).clone()).await,
        };
        let deleted = session.change_collection(&collection, delete).await?;
        let answer = json!({"deleted": deleted});
        Ok(Output::Changed { text: format!("{deleted} deleted."), answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::ExplainLevel;

    #[test]
    fn an_id_means_one_document_and_a_filter_all_that_match() {
        let (collection, id) = ("users".to_owned(), "x".into());
        assert_eq!(
            parsed::<DeleteOne>("delete users x --revision 3"),
            DeleteOne { collection, id, revision: Some(3) }
        );
        let matching = |multi, explain| {
            let body = DeleteBody::from(json!({"a": 1}));
            DeleteBody { multi, explain, ..body }
        };
        let planner = Some(ExplainLevel::QueryPlanner);
        let table = [
            ("", matching(true, None)),
            (" --multi", matching(true, None)),
            (" --one", matching(false, None)),
            (" --explain", matching(true, planner)),
        ];
        for (flags, expected) in table {
            let text = format!("delete u {{a: 1}}{flags}");
            assert_eq!(*parsed::<DeleteMatching>(&text).body, expected, "{text}");
        }
        let expected = "the id, or a filter such as {age: {$gt: 30}}, is missing";
        assert!(parse("delete u").unwrap_err().contains(expected));
    }
}
