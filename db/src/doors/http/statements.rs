//! Statements over HTTP.

use super::call::Call;
use super::catalog::database_info;
use super::describe::{Any, CHANGE_ERRORS, QUERIES, QUERY_ERRORS, SELECTION_ERRORS, describe};
use super::endpoint::Endpoint;
use super::endpoint::Prepared;
use super::find::page_reply;
use super::indexes::index_info;
use super::pipelines::written_reply;
use super::reply::{IDS, Reply, Values, warnings};
use super::writes::{bulk_reply, update_reply};
use crate::config::CURSOR_HEADER_BYTES_MAX;
use crate::error::{Error, Kind, Result};
use crate::service::Response;
use crate::service::find::Page;
use crate::service::pipelines::PageRequest;
use crate::service::statements::{self, Statement, StatementResult};
use jettra_driver::wire::{CURSOR_HEADER, DeleteReply, MORE_HEADER, StatementBody, StatementReply};
use serde_json::{Value, json};
use std::rc::Rc;

/// `POST /api/command`: a statement that changes something is carried out on the leader.
pub const COMMAND: Endpoint = Endpoint::by_body(command, || {
    describe(QUERIES, "Run a statement of JQL, SQL or Mongo's shell language")
        .query("db! confirm")
        .fails(&[Kind::NeedsConfirmation])
        .body::<StatementBody>()
        .gives::<Any>(200)
        .gives::<StatementReply>(200)
        .reads_or_writes()
        .fails(&[Kind::SyntaxError])
        .fails(QUERY_ERRORS)
        .fails(CHANGE_ERRORS)
        .fails(SELECTION_ERRORS)
        .fails(&[Kind::NameTaken, Kind::IndexConflict, Kind::IndexNotFound, Kind::DocumentNotFound])
});

fn command(call: &Call) -> Result<Prepared> {
    let body: StatementBody = call.json()?;
    let page = page_request(&body, call.session.config().page_max as u64)?;
    let statement = statements::parse(&body.command, call.session.config().depth_max)?;
    let place = statement.place();
    Ok(Prepared::new(place, move |call| run(call, statement.clone(), page.clone())))
}

/// How a client wants the list of documents that a statement gives; none: as an array.
fn page_request(body: &StatementBody, page_max: u64) -> Result<Option<PageRequest>> {
    if body.page.is_none() && body.cursor.is_none() {
        return Ok(None);
    }
    if body.page.is_some_and(|size| size == 0 || size > page_max) {
        let message = format!("page={} is out of range", body.page.unwrap_or_default());
        return Err(Error::new(Kind::InvalidParameter, message)
            .hint(format!("use 1 to {page_max} documents for one page, and its cursor")));
    }
    Ok(Some(PageRequest { size: body.page, cursor: body.cursor.clone() }))
}

async fn run(call: Rc<Call>, statement: Statement, page: Option<PageRequest>) -> Result<Reply> {
    let paged = page.is_some();
    let database = match statement.is_about_database() {
        true => call.required(&["db", "database"])?,
        false => call.parameter(&["db", "database"]).unwrap_or_default(),
    };
    let done = statements::run(&call.session, database, statement, page).await?;
    let Response { value, index, repeated, forgotten, pending } = done;
    if let StatementResult::InsertedMany(result) = value {
        let done =
            bulk_reply(&call, Response { value: result, index, repeated, forgotten, pending })?;
        return Ok(Reply::of(done.map(|reply| {
            let ids: Vec<_> = reply.inserted_ids.values().collect();
            in_answer(paged, message(format!("{} inserted", reply.inserted), json!({"ids": ids})))
        })));
    }
    let value = reply(value, paged);
    Ok(Reply::of(Response { value, index, repeated, forgotten, pending }))
}

/// A sentence for an answer, with the values that belong to it.
fn message(text: String, values: Value) -> Reply {
    let mut answer = json!({"message": text});
    if let (Some(answer), Value::Object(values)) = (answer.as_object_mut(), values) {
        answer.extend(values);
    }
    Reply::json(&answer).values(IDS)
}

fn reply(result: StatementResult, paged: bool) -> Reply {
    match result {
        StatementResult::List(page) if paged && page.explained.is_none() => page_reply(page),
        StatementResult::List(page) => in_answer(paged, plain(page)),
        other => in_answer(paged, other_reply(other)),
    }
}

fn other_reply(result: StatementResult) -> Reply {
    match result {
        StatementResult::List(page) => plain(page),
        StatementResult::Document(text) => Reply::value(text.unwrap_or_else(|| b"null".to_vec())),
        StatementResult::Count(count) => Reply::json(&json!({"count": count})),
        StatementResult::Values(values) => Reply::json(&values).values(Values::Whole),
        StatementResult::Explained(explained) => Reply::json(&json!({"explain": explained})),
        StatementResult::InsertedOne { id, warnings: texts } => {
            let id = id.map(|id| json!(id)).unwrap_or_default();
            // JettraDBVM answers with the new _id as the message.
            let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            let warnings = warnings(texts);
            message(
                text,
                match warnings.is_empty() {
                    true => json!({"id": id}),
                    false => json!({"id": id, "warnings": warnings}),
                },
            )
        }
        StatementResult::InsertedMany(result) => {
            message(format!("{} inserted", result.inserted), json!({}))
        }
        StatementResult::Updated(updated) => {
            let reply = update_reply(updated);
            let text = format!("{} matched, {} changed", reply.matched, reply.modified);
            message(text, json!(reply))
        }
        StatementResult::Modified(modified) => {
            Reply::json(&modified.document).values(Values::Whole)
        }
        StatementResult::Deleted(deleted) => {
            message(format!("{deleted} deleted"), json!(DeleteReply { deleted }))
        }
        StatementResult::Written(written) => written_reply(written),
        StatementResult::IndexCreated { name, created } => {
            let text = match created {
                true => format!("index {name} created"),
                false => format!("index {name} exists"),
            };
            message(text, json!({"name": name}))
        }
        StatementResult::IndexDropped(name) => message(format!("index {name} dropped"), json!({})),
        StatementResult::Indexes(indexes) => {
            Reply::json(&indexes.into_iter().map(index_info).collect::<Vec<_>>())
        }
        StatementResult::CollectionCreated(name) => {
            message(format!("collection {name} created"), json!({}))
        }
        StatementResult::CollectionDropped(name) => {
            message(format!("collection {name} dropped"), json!({}))
        }
        StatementResult::CollectionRenamed(name) => {
            message(format!("collection {name} renamed"), json!({}))
        }
        StatementResult::Collections(names) => Reply::json(&names),
        StatementResult::Databases(databases) => {
            Reply::json(&databases.into_iter().map(database_info).collect::<Vec<_>>())
        }
    }
}

/// An array of documents, with headers that say whether there are more.
fn plain(page: Page) -> Reply {
    if let Some(explained) = page.explained {
        return Reply::json(&json!({"explain": explained}));
    }
    let reply = Reply::value(page.documents.into_array());
    let Some(cursor) = page.cursor else { return reply };
    let reply = reply.header(MORE_HEADER, "true");
    match cursor.len() <= CURSOR_HEADER_BYTES_MAX {
        true => reply.header(CURSOR_HEADER, cursor),
        false => reply,
    }
}

/// An answer that is no list, so that a caller that wants pages cannot mistake it for one.
fn in_answer(paged: bool, reply: Reply) -> Reply {
    if !paged {
        return reply;
    }
    let mut body = b"{\"answer\":".to_vec();
    body.extend_from_slice(&reply.body);
    body.push(b'}');
    let values = match reply.values {
        Values::Whole => Values::In(&["answer"]),
        other => other,
    };
    Reply { body: body.into(), values, ..reply }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::find::Documents;
    use jettra_driver::wire::StatementReply;

    fn body(page: Option<u64>, cursor: Option<&str>) -> StatementBody {
        StatementBody { command: String::new(), page, cursor: cursor.map(str::to_owned) }
    }

    #[test]
    fn a_page_is_between_one_document_and_the_most_that_a_page_has() {
        assert_eq!(page_request(&body(None, None), 10), Ok(None));
        let first = PageRequest { size: Some(10), cursor: None };
        assert_eq!(page_request(&body(Some(10), None), 10), Ok(Some(first)));
        let next = PageRequest { size: None, cursor: Some("c".into()) };
        assert_eq!(page_request(&body(None, Some("c")), 10), Ok(Some(next)));
        for wrong in [0, 11] {
            let refused = page_request(&body(Some(wrong), None), 10).map_err(|error| error.kind);
            assert_eq!(refused, Err(Kind::InvalidParameter), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_list_cannot_be_mistaken_for_a_page() {
        let text = b"{\"documents\":[]}".to_vec();
        let reply = |paged| reply(StatementResult::Document(Some(text.clone())), paged).body;
        assert_eq!(reply(false), text);
        let read: StatementReply = serde_json::from_slice(&reply(true)).unwrap();
        assert_eq!(read, StatementReply::Answer { answer: json!({"documents": []}) });
    }

    #[test]
    fn a_cursor_that_is_too_long_for_a_header_does_not_hide_that_there_is_more() {
        for (length, cursor) in
            [(CURSOR_HEADER_BYTES_MAX, true), (CURSOR_HEADER_BYTES_MAX + 1, false)]
        {
            let documents = Documents::default();
            let page = Page { documents, cursor: Some("c".repeat(length)), explained: None };
            let names: Vec<_> = plain(page).headers.into_iter().map(|(name, _)| name).collect();
            let expected = [MORE_HEADER, CURSOR_HEADER];
            assert_eq!(names, expected[..if cursor { 2 } else { 1 }], "{length}");
        }
    }
}
