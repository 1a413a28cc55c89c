//! Listing documents: all of them, or page by page as the person asks.

use super::{Ran, Session};
use crate::ask;
use crate::print::{Mode, Output, plan, render, say};
use jettra_driver::wire::CountBody;
use jettra_driver::{Collection, Error, Find, Pages};
use serde_json::Value;

/// Documents on a page of the pager.
const PAGE_DOCUMENTS: u64 = 10;
/// Documents of one call when everything is listed.
const BATCH_DOCUMENTS: usize = 500;

impl Session {
    pub(super) async fn find(&self, collection: &Collection<Value>, find: Find) -> Ran {
        if let Some(level) = find.body.explain {
            return Ok(plan(collection.explain(find, level).await?));
        }
        if self.settings.interactive {
            let total = total(collection, &find).await?;
            if total > PAGE_DOCUMENTS {
                return self.browse(collection, &find, total).await;
            }
        }
        self.list_all(Listing::new(collection, find)).await
    }

    /// Lists everything; the modes that need no look ahead print while they read.
    async fn list_all(&self, mut listing: Listing) -> Ran {
        let streams = matches!(self.settings.mode, Mode::Ndjson | Mode::Line);
        let (mut gathered, mut first) = (Vec::new(), true);
        while let Some(documents) = listing.next().await? {
            match streams {
                true => self.say_batch(documents, &mut first),
                false => gathered.extend(documents),
            }
        }
        if streams {
            return Ok(Output::Nothing);
        }
        Ok(Output::Rows(gathered))
    }

    /// Prints a part of a listing; an empty line stands between records in lines.
    fn say_batch(&self, documents: Vec<Value>, first: &mut bool) {
        if !*first && self.settings.mode == Mode::Line && !documents.is_empty() {
            say("\n");
        }
        *first = false;
        say(&render(&Output::Rows(documents), self.format()));
    }

    /// Shows page after page as the person asks for them.
    async fn browse(&self, collection: &Collection<Value>, find: &Find, mut total: u64) -> Ran {
        let skipped = find.body.skip.unwrap_or(0);
        let mut page = 0;
        loop {
            let offset = page * PAGE_DOCUMENTS;
            let limit = PAGE_DOCUMENTS.min(total.saturating_sub(offset));
            let shown = collection.find(find.clone().skip(skipped + offset).limit(limit)).await?;
            say(&render(&Output::Rows(shown.documents), self.format()));
            let pages = total.div_ceil(PAGE_DOCUMENTS).max(1);
            say(&format!(
                "--- Page {} of {pages} (Offset {offset}, Total {total}) ---\n",
                page + 1
            ));
            match ask_page(page, pages) {
                Some(next) => page = next,
                None => return Ok(Output::Nothing),
            }
            total = self::total(collection, find).await?;
        }
    }
}

/// Documents that a listing has in the end.
async fn total(collection: &Collection<Value>, find: &Find) -> Result<u64, Error> {
    let count = match &find.body.filter {
        None => collection.count().await?,
        Some(filter) => {
            let (filter, hint) = (Some(filter.clone()), find.body.hint.clone());
            collection.count_matching(CountBody { filter, hint }).await?
        }
    };
    let left = count.saturating_sub(find.body.skip.unwrap_or(0));
    Ok(find.body.limit.map_or(left, |limit| left.min(limit)))
}

/// The documents of a listing, batch after batch.
enum Listing {
    /// All of a collection.
    Plain { collection: Collection<Value>, cursor: Option<String>, ended: bool },
    /// Those of a query.
    Query(Box<Pages<Value>>),
}

impl Listing {
    fn new(collection: &Collection<Value>, find: Find) -> Listing {
        match find == Find::all() {
            true => Listing::Plain { collection: collection.clone(), cursor: None, ended: false },
            false => Listing::Query(Box::new(collection.find_pages(find))),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Value>>, Error> {
        match self {
            Listing::Query(pages) => pages.next().await,
            Listing::Plain { ended: true, .. } => Ok(None),
            Listing::Plain { collection, cursor, ended } => {
                let page = collection.list(BATCH_DOCUMENTS, cursor.as_deref()).await?;
                *ended = page.cursor.is_none();
                *cursor = page.cursor;
                Ok(Some(page.documents))
            }
        }
    }
}

/// Asks until the answer is a page or the wish to leave.
fn ask_page(page: u64, pages: u64) -> Option<u64> {
    loop {
        let answer = ask::line("[N]ext [B]ack [F]irst [L]ast [Q]uit > ")?;
        match turn(&answer, page, pages) {
            Turn::To(page) => return Some(page),
            Turn::Quit => return None,
            Turn::Unknown => {}
        }
    }
}

/// Where an answer to the pager leads.
#[derive(Debug, PartialEq)]
enum Turn {
    To(u64),
    Quit,
    Unknown,
}

fn turn(answer: &str, page: u64, pages: u64) -> Turn {
    match answer.trim().to_lowercase().as_str() {
        "" | "n" | "next" => Turn::To((page + 1).min(pages - 1)),
        "b" | "back" => Turn::To(page.saturating_sub(1)),
        "f" | "first" => Turn::To(0),
        "l" | "last" => Turn::To(pages - 1),
        "q" | "quit" => Turn::Quit,
        _ => Turn::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_at_both_ends() {
        let table = [
            ("n", 0, Turn::To(1)),
            ("", 2, Turn::To(2)),
            ("B", 0, Turn::To(0)),
            ("b", 2, Turn::To(1)),
            ("F", 2, Turn::To(0)),
            (" L ", 0, Turn::To(2)),
            ("quit", 1, Turn::Quit),
            ("x", 1, Turn::Unknown),
        ];
        for (answer, page, expected) in table {
            assert_eq!(turn(answer, page, 3), expected, "{answer:?} on {page}");
        }
    }
}
