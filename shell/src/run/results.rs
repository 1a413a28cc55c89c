//! Lists of documents: page by page for a person, all of them for a pipe or a file.

use super::{Ran, Session};
use crate::failure::Failure;
use crate::print::{Mode, Output, RowStream, say};
use jettra_driver::wire::StatementReply;
use jettra_driver::{Collection, Error, Find, Pages, StatementPages};
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

/// What a listing has left.
pub(crate) struct Results {
    source: Source,
    /// Rows that are read and not shown yet.
    read: VecDeque<Value>,
    ended: bool,
}

/// Where the rows come from.
enum Source {
    /// All of a collection.
    Plain { collection: Collection<Value>, cursor: Option<String>, batch: usize },
    /// A query.
    Query(Box<Pages<Value>>),
    /// A statement of a query language.
    Statement(Box<StatementPages>),
}

impl Results {
    fn new(source: Source) -> Results {
        Results { source, read: VecDeque::new(), ended: false }
    }

    /// What a statement gives, whose first page is there already.
    pub(super) fn of_statement(pages: StatementPages, first: Vec<Value>) -> Results {
        let ended = pages.is_done();
        Results { source: Source::Statement(Box::new(pages)), read: first.into(), ended }
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
            Source::Query(pages) => pages.next().await?,
            Source::Statement(pages) => match pages.next().await? {
                Some(StatementReply::Documents { documents, .. }) => Some(documents),
                Some(StatementReply::Answer { .. }) | None => None,
            },
            Source::Plain { collection, cursor, batch } => {
                let page = collection.list(*batch, cursor.as_deref()).await?;
                self.ended = page.cursor.is_none();
                *cursor = page.cursor;
                Some(page.documents)
            }
        };
        self.ended |= next.is_none();
        Ok(next)
    }

    /// At most so many rows, and whether there are more: that is certain, since one more is read.
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
    /// Lists what a query finds, or shows its plan.
    pub(super) async fn find(&mut self, collection: &Collection<Value>, find: Find) -> Ran {
        if let Some(level) = find.body.explain {
            return Ok(crate::print::plan(collection.explain(find, level).await?));
        }
        let batch = self.rows_of_call();
        let source = match find == Find::all() {
            true => Source::Plain { collection: collection.clone(), cursor: None, batch },
            false => Source::Query(Box::new(collection.find_pages(find))),
        };
        self.list(Results::new(source)).await
    }

    /// Documents of one call of a listing.
    pub(super) fn rows_of_call(&self) -> usize {
        if self.settings.interactive { CALL_ROWS } else { BATCH_ROWS }
    }

    /// The first page for a person, everything for a program.
    pub(super) async fn list(&mut self, mut results: Results) -> Ran {
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
    pub(super) async fn more(&mut self, all: bool) -> Ran {
        let Some(results) = self.left.take() else {
            return Err(Failure::Refused("there is no more of the last listing".into()));
        };
        match all {
            true => self.list_all(results).await,
            false => self.list(results).await,
        }
    }

    /// Prints everything as it comes; tables, whose columns all rows decide, are gathered first.
    async fn list_all(&mut self, mut results: Results) -> Ran {
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
