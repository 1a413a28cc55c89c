//! Statements about documents.

use super::{Ran, Session};
use crate::ask;
use crate::failure::Failure;
use crate::print::{Mode, Output, render, say};
use crate::statement::DocumentAction;
use jettra_driver::{Collection, DocumentId};
use serde_json::{Value, json};

/// Documents on a page of the pager.
const PAGE_DOCUMENTS: u64 = 10;
/// Documents of one call when everything is listed.
const BATCH_DOCUMENTS: usize = 500;

impl Session {
    pub(super) async fn documents(&self, name: &str, action: DocumentAction) -> Ran {
        let collection = self.collection(name)?;
        match action {
            DocumentAction::Insert(document) => {
                let written = collection.insert(&document).await?;
                Ok(write_output("Inserted", written))
            }
            DocumentAction::Save { id, document } => {
                let written = collection.save(&id, &document).await?;
                Ok(write_output("Saved", written))
            }
            DocumentAction::Update { id, document, revision } => {
                update(&collection, &id, &document, revision).await
            }
            DocumentAction::Delete { id, revision } => delete(&collection, &id, revision).await,
            DocumentAction::Get(id) => self.get(&collection, &id).await,
            DocumentAction::Count => Ok(Output::Count(collection.count().await?)),
            DocumentAction::Find => self.find(&collection).await,
        }
    }

    async fn get(&self, collection: &Collection<Value>, id: &DocumentId) -> Ran {
        let document = collection.get(id).await?.ok_or_else(|| missing(id))?;
        if self.settings.interactive && self.settings.mode != Mode::Ndjson {
            eprintln!("Revision {}", document.revision);
        }
        Ok(Output::Record(document.value))
    }

    async fn find(&self, collection: &Collection<Value>) -> Ran {
        if self.settings.interactive {
            let total = collection.count().await?;
            if total > PAGE_DOCUMENTS {
                return self.browse(collection, total).await;
            }
        }
        self.list_all(collection).await
    }

    /// Lists everything; the modes that need no look ahead print while they read.
    async fn list_all(&self, collection: &Collection<Value>) -> Ran {
        let streams = matches!(self.settings.mode, Mode::Ndjson | Mode::Line);
        let (mut gathered, mut cursor, mut first) = (Vec::new(), None::<String>, true);
        loop {
            let page = collection.list(BATCH_DOCUMENTS, cursor.as_deref()).await?;
            gathered.extend(page.documents);
            if page.cursor.is_none() {
                break;
            }
            cursor = page.cursor;
            if streams {
                self.say_batch(std::mem::take(&mut gathered), &mut first);
            }
        }
        if streams {
            self.say_batch(gathered, &mut first);
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
    async fn browse(&self, collection: &Collection<Value>, mut total: u64) -> Ran {
        let mut page = 0;
        loop {
            let offset = page * PAGE_DOCUMENTS;
            let listed = collection.list_from(PAGE_DOCUMENTS as usize, offset).await?;
            say(&render(&Output::Rows(listed.documents), self.format()));
            let pages = total.div_ceil(PAGE_DOCUMENTS).max(1);
            say(&format!(
                "--- Page {} of {pages} (Offset {offset}, Total {total}) ---\n",
                page + 1
            ));
            match ask_page(page, pages) {
                Some(next) => page = next,
                None => return Ok(Output::Nothing),
            }
            total = collection.count().await?;
        }
    }
}

async fn update(
    collection: &Collection<Value>,
    id: &DocumentId,
    document: &Value,
    revision: Option<u64>,
) -> Ran {
    let revision = match revision {
        Some(revision) => revision,
        None => collection.get(id).await?.ok_or_else(|| missing(id))?.revision,
    };
    let written = collection.replace(id, document, revision).await?;
    Ok(write_output("Updated", written))
}

async fn delete(collection: &Collection<Value>, id: &DocumentId, revision: Option<u64>) -> Ran {
    let deleted = match revision {
        Some(revision) => collection.delete_revision(id, revision).await?,
        None => collection.delete(id).await?,
    };
    match deleted {
        true => Ok(Output::Done(format!("Deleted {id}."))),
        false => Err(missing(id)),
    }
}

fn write_output(verb: &'static str, written: jettra_driver::Written) -> Output {
    Output::Written { verb, written }
}

fn missing(id: &DocumentId) -> Failure {
    Failure::Refused(format!("there is no document with _id {}", json!(id)))
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

    #[test]
    fn a_missing_document_shows_the_kind_of_its_id() {
        assert!(missing(&DocumentId::Int(7)).to_string().ends_with("_id 7"));
        assert!(missing(&"7".into()).to_string().ends_with("_id \"7\""));
    }
}
