//! Statements about documents.

use super::{Ran, Session, done};
use crate::failure::Failure;
use crate::print::{Mode, Output, bulk_summary, plan, update_summary};
use crate::statement::{DocumentAction, Moment};
use jettra_driver::wire::{AggregateBody, BulkReply, FindAndModifyBody, UpdateReply};
use jettra_driver::{Collection, Document, DocumentId};
use serde_json::{Value, json};

impl Session {
    pub(super) async fn documents(
        &self,
        name: &str,
        moment: Option<Moment>,
        action: DocumentAction,
    ) -> Ran {
        let collection = match moment {
            None => self.collection(name)?,
            Some(Moment::Index(index)) => self.collection(name)?.at(index),
            Some(Moment::Time(time)) => self.collection(name)?.as_of(&time),
        };
        match action {
            DocumentAction::Insert(document) => {
                let written = collection.insert(&document).await?;
                Ok(write_output("Inserted", written))
            }
            DocumentAction::InsertMany(documents) => {
                Ok(bulk_output(&collection.insert_many(&documents).await?))
            }
            DocumentAction::Save { id, document } => {
                let written = collection.save(&id, &document).await?;
                Ok(write_output("Saved", written))
            }
            DocumentAction::Update { id, document, revision } => {
                update(&collection, &id, &document, revision).await
            }
            DocumentAction::UpdateMatching(body) => Ok(update_output(&match body.multi {
                true => collection.update_many(*body).await?,
                false => collection.update_one(*body).await?,
            })),
            DocumentAction::Replace(body) => {
                Ok(update_output(&collection.replace_one(*body).await?))
            }
            DocumentAction::Patch { id, patch, revision } => {
                Ok(self.show(collection.patch(&id, &patch, revision).await?))
            }
            DocumentAction::Modify(body) => modify(&collection, &body).await,
            DocumentAction::Delete { id, revision } => delete(&collection, &id, revision).await,
            DocumentAction::DeleteMatching(body) => Ok(delete_output(match body.multi {
                true => collection.delete_many(*body).await?,
                false => collection.delete_one(*body).await?,
            })),
            DocumentAction::Bulk(body) => Ok(bulk_output(&collection.bulk(body).await?)),
            DocumentAction::Get(id) => {
                let document = collection.get(&id).await?.ok_or_else(|| missing(&id))?;
                Ok(self.show(document))
            }
            DocumentAction::Count(body) => Ok(Output::Count(match body.filter.is_some() {
                true => collection.count_matching(body).await?,
                false => collection.count().await?,
            })),
            DocumentAction::Find(find) => self.find(&collection, *find).await,
            DocumentAction::Distinct { field, filter } => {
                Ok(Output::Rows(collection.distinct(&field, filter).await?))
            }
            DocumentAction::Aggregate(body) => aggregate(&collection, body).await,
        }
    }

    /// A document; at a terminal its revision stands above it.
    pub(super) fn show(&self, document: Document<Value>) -> Output {
        if self.settings.interactive && self.settings.mode != Mode::Ndjson {
            eprintln!("Revision {}", document.revision);
        }
        Output::Record(document.value)
    }
}

async fn aggregate(collection: &Collection<Value>, body: AggregateBody) -> Ran {
    if let Some(level) = body.explain {
        return Ok(plan(collection.explain_aggregate(body, level).await?));
    }
    if body.writes() {
        return Ok(written_output(collection.aggregate_into(body).await?));
    }
    Ok(Output::Rows(collection.aggregate(body).await?))
}

/// A pipeline put its result into a collection.
pub(super) fn written_output(written: u64) -> Output {
    Output::Changed { text: format!("{written} written."), answer: json!({"written": written}) }
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
        true => done(format!("Deleted {id}.")),
        false => Err(missing(id)),
    }
}

/// Shows the document that was changed; the answer to programs is the document or `null`.
async fn modify(collection: &Collection<Value>, body: &FindAndModifyBody) -> Ran {
    let reply = collection.find_and_modify(body).await?;
    let text = match (&reply.document, &reply.upserted_id) {
        (Some(_), _) => return Ok(Output::Record(reply.document.unwrap_or_default())),
        (None, Some(id)) => format!("Inserted {id}."),
        (None, None) => "No document matched.".to_owned(),
    };
    Ok(Output::Changed { text, answer: Value::Null })
}

pub(super) fn write_output(verb: &'static str, written: jettra_driver::Written) -> Output {
    Output::Written { verb, written }
}

fn update_output(reply: &UpdateReply) -> Output {
    Output::Changed { text: update_summary(reply), answer: json!(reply) }
}

fn delete_output(deleted: u64) -> Output {
    Output::Changed { text: format!("{deleted} deleted."), answer: json!({"deleted": deleted}) }
}

fn bulk_output(reply: &BulkReply) -> Output {
    Output::Changed { text: bulk_summary(reply), answer: json!(reply) }
}

pub(super) fn missing(id: &DocumentId) -> Failure {
    Failure::Refused(format!("there is no document with _id {}", json!(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_document_shows_the_kind_of_its_id() {
        assert!(missing(&DocumentId::Int(7)).to_string().ends_with("_id 7"));
        assert!(missing(&"7".into()).to_string().ends_with("_id \"7\""));
    }
}
