//! Lists of documents: page by page for a person, all of them for a pipe or a file.

use super::{Session, StatementResult};
use crate::failure::Failure;
use crate::print::{Mode, Output, RowStream, say};
use jettra_driver::wire::StatementReply;
use jettra_driver::{Collection, Error, Pages, StatementPages};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// Documents of a page at the terminal, if it has lines for them.
const PAGE_ROWS: usize = 20;
const PAGE_ROWS_MIN: usize = 5;
/// Lines of a page's screen that are not rows of its table: its frame, what follows it, the prompt.
const FRAME_LINES: usize = 7;
/// Documents of one call while a person reads.
const CALL_ROWS: usize = 100;
/// Documents of one call when everything is listed.
const BATCH_ROWS: usize = 500;

/// The rows that a listing has left.
pub(crate) struct Results {
    source: RowSource,
    /// Rows that are read and not shown yet.
    read: VecDeque<Value>,
    ended: bool,
}

/// Where the rows come from.
enum RowSource {
    /// All of a collection.
    Collection { collection: Collection<Value>, cursor: Option<String>, batch: usize },
    /// A query.
    Query(Box<Pages<Value>>),
    /// A statement of a query language.
    Statement(Box<StatementPages>),
}

impl Results {
    fn new(source: RowSource) -> Results {
        Results { source, read: VecDeque::new(), ended: false }
    }

    /// All documents of a collection, `batch` of them with each call.
    pub(crate) fn of_collection(collection: Collection<Value>, batch: usize) -> Results {
        Results::new(RowSource::Collection { collection, cursor: None, batch })
    }

    /// The documents that a query finds.
    pub(crate) fn of_query(pages: Pages<Value>) -> Results {
        Results::new(RowSource::Query(Box::new(pages)))
    }

    /// The rows of a statement whose first page is there already.
    pub(crate) fn of_statement(pages: StatementPages, first: Vec<Value>) -> Results {
        let ended = pages.is_done();
        Results { source: RowSource::Statement(Box::new(pages)), read: first.into(), ended }
    }

    /// The rows of the next call; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Value>>, Error> {
        if !self.read.is_empty() {
            return Ok(Some(std::mem::take(&mut self.read).into()));
        }
        if self.ended {
            return Ok(None);
        }
        let next = match &mut self.source {
            RowSource::Query(pages) => pages.next().await?,
            RowSource::Statement(pages) => match pages.next().await? {
                Some(StatementReply::Documents { documents, .. }) => Some(documents),
                Some(StatementReply::Answer { .. }) | None => None,
            },
            RowSource::Collection { collection, cursor, batch } => {
                let page = collection.list(*batch, cursor.as_deref()).await?;
                self.ended = page.cursor.is_none();
                *cursor = page.cursor;
                Some(page.documents)
            }
        };
        self.ended |= next.is_none();
        Ok(next)
    }

    /// A page of rows, and whether there are more: that is certain, since one more row is read.
    async fn page(&mut self, rows: usize) -> Result<(Vec<Value>, bool), Error> {
        let mut read = std::mem::take(&mut self.read);
        while read.len() <= rows
            && let Some(more) = self.next().await?
        {
            read.extend(more);
        }
        self.read = read.split_off(rows.min(read.len()));
        Ok((read.into(), !self.read.is_empty()))
    }
}

impl Session {
    /// Documents of one call of a listing.
    pub(crate) fn rows_of_call(&self) -> usize {
        if self.settings.interactive { CALL_ROWS } else { BATCH_ROWS }
    }

    /// The first page for a person, everything for a program.
    pub(crate) async fn list(&mut self, mut results: Results) -> StatementResult {
        if self.settings.interactive {
            let lines = self.settings.height.unwrap_or(usize::MAX);
            let fitting = lines.saturating_sub(FRAME_LINES).clamp(PAGE_ROWS_MIN, PAGE_ROWS);
            let (rows, more) = results.page(fitting).await?;
            self.left = more.then_some(results);
            return Ok(if more { Output::Page(rows) } else { Output::Rows(rows) });
        }
        self.list_all(results).await
    }

    /// The next page of the last listing, or all that is left of it.
    pub(crate) async fn list_more(&mut self, all: bool) -> StatementResult {
        let Some(results) = self.left.take() else {
            return Err(Failure::Refused("there is no more of the last listing".into()));
        };
        match all {
            true => self.list_all(results).await,
            false => self.list(results).await,
        }
    }

    /// Prints rows as they arrive; for tables, whose columns depend on all rows, they are collected
    /// first.
    async fn list_all(&mut self, mut results: Results) -> StatementResult {
        let streams = matches!(self.settings.mode, Mode::Json | Mode::Ndjson | Mode::Line);
        let (mut gathered, mut stream) = (Vec::new(), RowStream::new(self.format()));
        loop {
            let rows = match results.next().await {
                Ok(Some(rows)) => rows,
                Ok(None) => break,
                Err(error) => {
                    say(stream.broken());
                    return Err(error.into());
                }
            };
            match streams {
                true => {
                    self.printing.store(true, Ordering::Relaxed);
                    say(&stream.push(&rows));
                }
                false => gathered.extend(rows),
            }
        }
        if streams {
            say(stream.end());
            return Ok(Output::Nothing);
        }
        Ok(Output::Rows(gathered))
    }
}
