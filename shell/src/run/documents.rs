//! Statements about documents.

use super::{Ran, Session, done};
use crate::failure::Failure;
use crate::print::{Mode, Output, bulk_summary, plan, update_summary};
use crate::statement::{DocumentAction, Moment};
use jettra_driver::wire::{AggregateBody, BulkReply, FindAndModifyBody, UpdateBody, UpdateReply};
use jettra_driver::{Collection, Document, DocumentId, Find};
use serde_json::{Value, json};

impl Session {
    pub(super) async fn documents(
        &mut self,
        name: &str,
        moment: Option<Moment>,
        action: DocumentAction,
    ) -> Ran {
        let collection = match moment {
            None => self.collection(name).await?,
            Some(Moment::Index(index)) => self.collection(name).await?.at(index),
            Some(Moment::Time(time)) => self.collection(name).await?.as_of(&time),
        };
        if let Some(plan) = explained(&collection, &action).await? {
            return Ok(plan);
        }
        match action {
            DocumentAction::Get(id) => Ok(self.show(get(&collection, &id).await?)),
            DocumentAction::Count(body) => Ok(Output::Count(match body.filter.is_some() {
                true => collection.count_matching(body).await?,
                false => collection.count().await?,
            })),
            DocumentAction::Find(find) => self.find(&collection, *find).await,
            DocumentAction::Distinct { field, filter, .. } => {
                Ok(Output::Rows(collection.distinct(&field, filter).await?))
            }
            DocumentAction::Aggregate(body) => self.aggregate(name, &collection, body).await,
            DocumentAction::Insert(document) => {
                let written = collection.insert(&document).await?;
                Ok(write_output("Inserted", written))
            }
            DocumentAction::InsertMany(documents) => {
                Ok(bulk_output(&collection.insert_many(&documents).await?))
            }
            DocumentAction::UpdateMatching(_)
            | DocumentAction::DeleteMatching(_)
            | DocumentAction::Replace(_)
            | DocumentAction::Modify(_)
            | DocumentAction::Bulk(_) => self.change_matching(name, action).await,
            action => self.change_one(&collection, action).await,
        }
    }

    /// Changes what a filter finds, which may be many documents.
    async fn change_matching(&self, name: &str, action: DocumentAction) -> Ran {
        match action {
            DocumentAction::UpdateMatching(body) => {
                let update = async |collection: Collection<Value>| match body.multi {
                    true => collection.update_many((*body).clone()).await,
                    false => collection.update_one((*body).clone()).await,
                };
                Ok(update_output(&self.change(name, update).await?))
            }
            DocumentAction::DeleteMatching(body) => {
                let delete = async |collection: Collection<Value>| match body.multi {
                    true => collection.delete_many((*body).clone()).await,
                    false => collection.delete_one((*body).clone()).await,
                };
                Ok(delete_output(self.change(name, delete).await?))
            }
            DocumentAction::Replace(body) => {
                let replace = async |collection: Collection<Value>| {
                    collection.replace_one((*body).clone()).await
                };
                Ok(update_output(&self.change(name, replace).await?))
            }
            DocumentAction::Bulk(body) => {
                let bulk =
                    async |collection: Collection<Value>| collection.bulk(body.clone()).await;
                Ok(bulk_output(&self.change(name, bulk).await?))
            }
            DocumentAction::Modify(body) => modify(&self.collection(name).await?, &body).await,
            _ => Ok(Output::Nothing),
        }
    }

    /// Changes the document with an id.
    async fn change_one(&self, collection: &Collection<Value>, action: DocumentAction) -> Ran {
        match action {
            DocumentAction::Save { id, document } => {
                let id = existing(collection, id).await?;
                Ok(write_output("Saved", collection.save(&id, &document).await?))
            }
            DocumentAction::ReplaceOne { id, document, revision } => {
                let id = existing(collection, id).await?;
                replace(collection, &id, &document, revision).await
            }
            DocumentAction::UpdateOne { id, body } => {
                let id = existing(collection, id).await?;
                let body = UpdateBody { filter: json!({"_id": id}), ..*body };
                Ok(update_output(&collection.update_one(body).await?))
            }
            DocumentAction::Patch { id, patch, revision } => {
                let id = existing(collection, id).await?;
                Ok(self.show(collection.patch(&id, &patch, revision).await?))
            }
            DocumentAction::Delete { id, revision } => {
                let id = existing(collection, id).await?;
                delete(collection, &id, revision).await
            }
            _ => Ok(Output::Nothing),
        }
    }

    async fn aggregate(
        &self,
        name: &str,
        collection: &Collection<Value>,
        body: AggregateBody,
    ) -> Ran {
        if let Some(level) = body.explain {
            return Ok(plan(collection.explain_aggregate(body, level).await?));
        }
        if body.writes() {
            let into =
                async |collection: Collection<Value>| collection.aggregate_into(body.clone()).await;
            return Ok(written_output(self.change(name, into).await?));
        }
        Ok(Output::Rows(collection.aggregate(body).await?))
    }

    /// A document; at a terminal its revision stands above it.
    pub(super) fn show(&self, document: Document<Value>) -> Output {
        if self.settings.interactive && self.settings.mode != Mode::Ndjson {
            eprintln!("Revision {}", document.revision);
        }
        Output::Record(document.value)
    }
}

/// The plan of what is only to be explained; queries and pipelines ask for theirs themselves.
async fn explained(
    collection: &Collection<Value>,
    action: &DocumentAction,
) -> Result<Option<Output>, Failure> {
    let answer = match action {
        DocumentAction::Count(body) => match body.explain {
            Some(level) => collection.explain_count(body.clone(), level).await?,
            None => return Ok(None),
        },
        DocumentAction::Distinct { field, filter, explain: Some(level) } => {
            collection.explain_distinct(field, filter.clone(), *level).await?
        }
        DocumentAction::UpdateMatching(body) => match body.explain {
            Some(level) => collection.explain_update((**body).clone(), level).await?,
            None => return Ok(None),
        },
        DocumentAction::UpdateOne { id, body } => match body.explain {
            Some(level) => {
                let body = UpdateBody { filter: json!({"_id": id}), ..(**body).clone() };
                collection.explain_update(body, level).await?
            }
            None => return Ok(None),
        },
        DocumentAction::DeleteMatching(body) => match body.explain {
            Some(level) => collection.explain_delete((**body).clone(), level).await?,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(plan(answer)))
}

/// The number that stands as an id in a statement may be meant as a text, when only the text
/// names a document.
pub(super) fn as_text(id: &DocumentId) -> Option<DocumentId> {
    match id {
        DocumentId::Int(number) => Some(DocumentId::String(number.to_string())),
        DocumentId::String(_) => None,
    }
}

/// The id of the document that exists: `1`, else `"1"` where that one does.
async fn existing(collection: &Collection<Value>, id: DocumentId) -> Result<DocumentId, Failure> {
    let Some(text) = as_text(&id) else {
        return Ok(id);
    };
    let either = Find::new(json!({"_id": {"$in": [id, text]}})).projection("_id").limit(2);
    let found = collection.find(either).await?.documents;
    Ok(match found.as_slice() {
        [only] if only["_id"] == json!(text) => text,
        _ => id,
    })
}

async fn get(collection: &Collection<Value>, id: &DocumentId) -> Result<Document<Value>, Failure> {
    let found = match (collection.get(id).await?, as_text(id)) {
        (None, Some(text)) => collection.get(&text).await?,
        (found, _) => found,
    };
    found.ok_or_else(|| missing(id))
}

/// A pipeline put its result into a collection.
pub(super) fn written_output(written: u64) -> Output {
    Output::Changed { text: format!("{written} written."), answer: json!({"written": written}) }
}

async fn replace(
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
    Ok(write_output("Replaced", written))
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

pub(super) fn write_output(verb: &'static str, written: jettra_driver::WriteResult) -> Output {
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
    let text = format!("there is no document with _id {}", json!(id));
    match id {
        DocumentId::String(id) if id.contains(['=', '<', '>']) => {
            Failure::Refused(format!("{text}; a filter stands in braces: {{age: {{$gt: 30}}}}"))
        }
        _ => Failure::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_document_shows_the_kind_of_its_id() {
        assert!(missing(&DocumentId::Int(7)).to_string().ends_with("_id 7"));
        assert!(missing(&"7".into()).to_string().ends_with("_id \"7\""));
        assert!(missing(&"age=7".into()).to_string().ends_with("in braces: {age: {$gt: 30}}"));
    }
}
