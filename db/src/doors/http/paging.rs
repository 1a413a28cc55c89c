//! Statements page by page: a list of documents is as long as it is, and an answer is not.

use super::query::{Find, Page};
use super::reply::Reply;
use crate::config::CURSOR_HEADER_BYTES_MAX;
use crate::error::{Error, Kind, Result};
use jettra_driver::wire::{CURSOR_HEADER, MORE_HEADER, StatementBody};

/// How a client wants the list of documents that a statement gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// As an array: of what the statement's `LIMIT` says, else a first page.
    Plain,
    /// So many documents at a time.
    Pages {
        /// Documents of one page at most; the default of a query when not given.
        size: Option<u64>,
        /// The cursor of the page before.
        cursor: Option<String>,
    },
}

/// What a statement answers.
pub enum Answered {
    /// A list of documents, or its plan, at a log index.
    List(Page, u64),
    /// Anything else.
    Other(Reply),
}

impl Paging {
    /// How the body of a call wants lists.
    ///
    /// # Errors
    /// `invalid_parameter` for a page of a size that cannot be.
    pub fn of(body: &StatementBody, page_max: u64) -> Result<Paging> {
        if body.page.is_none() && body.cursor.is_none() {
            return Ok(Paging::Plain);
        }
        if body.page.is_some_and(|size| size == 0 || size > page_max) {
            let message = format!("page={} is out of range", body.page.unwrap_or_default());
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint(format!("use 1 to {page_max} documents for one page, and its cursor")));
        }
        Ok(Paging::Pages { size: body.page, cursor: body.cursor.clone() })
    }

    /// The documents of one answer at most, when the statement gives `limit` of them.
    pub fn limit(&self, limit: Option<u64>) -> Option<u64> {
        match self {
            Paging::Plain => limit,
            Paging::Pages { size, .. } => *size,
        }
    }

    /// Where the page begins.
    pub fn cursor(&self) -> Option<String> {
        match self {
            Paging::Plain => None,
            Paging::Pages { cursor, .. } => cursor.clone(),
        }
    }

    /// A query of a statement with this `LIMIT`, as these pages have it.
    pub fn bound(&self, find: Find, limit: Option<u64>) -> Find {
        let whole = *self == Paging::Plain;
        Find { whole, ..find.bounded(limit) }
    }

    /// Refuses a cursor with a statement that has no pages, before it does anything.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn check_no_cursor(&self) -> Result<()> {
        if self.cursor().is_none() {
            return Ok(());
        }
        Err(Error::new(Kind::InvalidParameter, "the answer to this statement has no pages")
            .hint("leave the cursor out; only lists of documents have one"))
    }

    /// The answer to the client.
    pub fn reply(&self, answered: Answered) -> Reply {
        match (self, answered) {
            (Paging::Plain, Answered::List(page, index)) => plain(page).at(index),
            (Paging::Plain, Answered::Other(reply)) => reply,
            (Paging::Pages { .. }, Answered::List(page, index)) if page.explained.is_none() => {
                page.reply().at(index)
            }
            (Paging::Pages { .. }, Answered::List(page, index)) => wrapped(plain(page)).at(index),
            (Paging::Pages { .. }, Answered::Other(reply)) => wrapped(reply),
        }
    }
}

/// An array of documents, with headers that say whether there are more.
fn plain(page: Page) -> Reply {
    if let Some(explained) = page.explained {
        return Reply::json(&serde_json::json!({"explain": explained}));
    }
    let reply = Reply::bytes(page.documents);
    let Some(cursor) = page.cursor else { return reply };
    let reply = reply.header(MORE_HEADER, "true");
    match cursor.len() <= CURSOR_HEADER_BYTES_MAX {
        true => reply.header(CURSOR_HEADER, cursor),
        false => reply,
    }
}

/// An answer that is no list, so that it cannot be mistaken for one.
fn wrapped(reply: Reply) -> Reply {
    let mut body = b"{\"answer\":".to_vec();
    body.extend_from_slice(&reply.body);
    body.push(b'}');
    Reply { body: body.into(), ..reply }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::StatementReply;

    fn body(page: Option<u64>, cursor: Option<&str>) -> StatementBody {
        StatementBody { command: String::new(), page, cursor: cursor.map(str::to_owned) }
    }

    #[test]
    fn a_page_is_between_one_document_and_the_most_that_a_page_has() {
        assert_eq!(Paging::of(&body(None, None), 10), Ok(Paging::Plain));
        let first = Paging::Pages { size: Some(10), cursor: None };
        assert_eq!(Paging::of(&body(Some(10), None), 10), Ok(first));
        let next = Paging::Pages { size: None, cursor: Some("c".into()) };
        assert_eq!(Paging::of(&body(None, Some("c")), 10), Ok(next));
        for wrong in [0, 11] {
            let refused = Paging::of(&body(Some(wrong), None), 10).map_err(|error| error.kind);
            assert_eq!(refused, Err(Kind::InvalidParameter), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_list_cannot_be_mistaken_for_a_page() {
        let document = || Answered::Other(Reply::bytes("{\"documents\":[]}"));
        let reply = |paging: &Paging| paging.reply(document()).body;
        assert_eq!(reply(&Paging::Plain), "{\"documents\":[]}");
        let pages = Paging::Pages { size: Some(1), cursor: None };
        let body = reply(&pages);
        let read: StatementReply = serde_json::from_slice(&body).unwrap();
        assert_eq!(read, StatementReply::Answer { answer: serde_json::json!({"documents": []}) });
    }

    #[test]
    fn a_cursor_that_is_too_long_for_a_header_does_not_hide_that_there_is_more() {
        for (length, cursor) in
            [(CURSOR_HEADER_BYTES_MAX, true), (CURSOR_HEADER_BYTES_MAX + 1, false)]
        {
            let page =
                Page { documents: b"[]".into(), cursor: Some("c".repeat(length)), explained: None };
            let names: Vec<_> = plain(page).headers.into_iter().map(|(name, _)| name).collect();
            let expected = [MORE_HEADER, CURSOR_HEADER];
            assert_eq!(names, expected[..if cursor { 2 } else { 1 }], "{length}");
        }
    }
}
