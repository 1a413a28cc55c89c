//! Reads what follows the names of commands that change documents which are there.

use super::documents::{A_DOCUMENT, A_FILTER, explain_flag, projection, sort};
use crate::statement::{DocumentAction, Statement};
use crate::words::{Parsed, Words};
use jettra_driver::DocumentId;
use jettra_driver::wire::{DeleteBody, FindAndModifyBody, ReplaceBody, ReturnForm, UpdateBody};
use serde_json::{Value, json};

const AN_UPDATE: &str = "the update, such as {\"$set\": {\"age\": 36}},";

/// `<collection> <id|filter> <update>`. A document in place of the update is refused, because it
/// could mean either of two things.
pub(super) fn update(words: &mut Words<'_>) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    let filter = words.at_object().then(|| words.object(A_FILTER)).transpose()?;
    let id = if filter.is_none() { Some(id(words)?) } else { None };
    let mut flags = UpdateFlags::default();
    flags.take(words)?;
    let update = words.json(AN_UPDATE)?;
    if is_document(&update) {
        let target = id.map_or_else(|| json!(filter), |id| json!(id));
        return Err(format!(
            "{update} could mean the whole document or some of its fields. To replace the document:\n  \
             replace {collection} {target} {update}\nTo change these fields only:\n  \
             update {collection} {target} {{\"$set\": {update}}}"
        ));
    }
    flags.take(words)?;
    let action = match (filter, id) {
        (None, Some(id)) => flags.of_one(id, update)?,
        (filter, _) => flags.of_matching(filter.unwrap_or_default(), update)?,
    };
    Ok(Statement::Documents { collection, moment: None, action })
}

/// An id where a filter could stand too.
fn id(words: &mut Words<'_>) -> Parsed<DocumentId> {
    match words.rest() {
        "" => Err("the id, or a filter such as {age: {$gt: 30}}, is missing".into()),
        _ => words.id(),
    }
}

/// What flags say about an update.
#[derive(Default)]
struct UpdateFlags {
    /// `multi` is decided in the end.
    body: UpdateBody,
    one: bool,
    revision: Option<u64>,
    any: bool,
}

impl UpdateFlags {
    fn take(&mut self, words: &mut Words<'_>) -> Parsed<()> {
        let UpdateFlags { body, one, revision, any } = self;
        words.flags(|name, words| {
            match name {
                "--revision" => {
                    *revision = Some(words.number(name)?);
                    return Ok(true);
                }
                "--multi" => *one = false,
                "--one" => *one = true,
                "--upsert" => body.upsert = true,
                "--sort" => body.sort = Some(sort(words)?),
                "--hint" => body.hint = Some(words.json_or_word(name)?),
                "--array-filters" => body.array_filters = Some(words.array(name)?.into()),
                _ if explain_flag(name, &mut body.explain) => {}
                _ => return Ok(false),
            }
            *any = true;
            Ok(true)
        })
    }

    fn of_one(self, id: DocumentId, update: Value) -> Parsed<DocumentAction> {
        match update.is_object() && !self.any {
            true => Ok(DocumentAction::Patch { id, patch: update, revision: self.revision }),
            false if self.revision.is_some() => {
                Err("--revision goes with an object of operators and with no other flag".into())
            }
            false => Ok(DocumentAction::UpdateOne {
                id,
                body: Box::new(UpdateBody { update, ..self.body }),
            }),
        }
    }

    fn of_matching(self, filter: Value, update: Value) -> Parsed<DocumentAction> {
        if self.revision.is_some() {
            return Err("--revision goes with an id, not with a filter".into());
        }
        // An order only says which document is the first.
        let multi = !self.one && self.body.sort.is_none();
        let body = UpdateBody { filter, update, multi, ..self.body };
        Ok(DocumentAction::UpdateMatching(Box::new(body)))
    }
}

/// `<id|filter> <document>`
pub(super) fn replace(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    if !words.at_object() {
        let id = id(words)?;
        let before = words.revision()?;
        let document = words.object(A_DOCUMENT)?;
        let revision = before.or(words.revision()?);
        return Ok(DocumentAction::ReplaceOne { id, document, revision });
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
    Ok(DocumentAction::Replace(Box::new(body)))
}

pub(super) fn patch(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let id = words.id()?;
    let before = words.revision()?;
    let patch = words.object("the patch, such as {\"age\": 36},")?;
    let revision = before.or(words.revision()?);
    Ok(DocumentAction::Patch { id, patch, revision })
}

/// `<filter> <update|document>`, or `<filter> --remove`.
pub(super) fn modify(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let mut body = FindAndModifyBody { filter: words.object(A_FILTER)?, ..Default::default() };
    modify_flags(words, &mut body)?;
    if !words.rest().is_empty() {
        let change = words.json(AN_UPDATE)?;
        match is_document(&change) {
            true => body.replacement = Some(change),
            false => body.update = Some(change),
        }
        modify_flags(words, &mut body)?;
    }
    match (body.update.is_some() || body.replacement.is_some(), body.remove) {
        (false, false) => Err("the update, or --remove, is missing".into()),
        (true, true) => Err("an update and --remove exclude each other".into()),
        _ => Ok(DocumentAction::Modify(Box::new(body))),
    }
}

fn modify_flags(words: &mut Words<'_>, body: &mut FindAndModifyBody) -> Parsed<()> {
    words.flags(|name, words| {
        match name {
            "--remove" => body.remove = true,
            "--upsert" => body.upsert = true,
            "--return" => {
                body.returning = match words.required("before or after")?.as_str() {
                    "before" => ReturnForm::Before,
                    "after" => ReturnForm::After,
                    other => return Err(format!("{other:?} is not one of before, after")),
                };
            }
            "--sort" => body.sort = Some(sort(words)?),
            "--fields" => body.projection = Some(projection(words)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            "--array-filters" => body.array_filters = Some(words.array(name)?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// Whether it is a document and not update operators or a pipeline.
fn is_document(change: &Value) -> bool {
    change.as_object().is_some_and(|fields| !fields.keys().any(|name| name.starts_with('$')))
}

pub(super) fn delete(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    if !words.at_object() {
        return Ok(DocumentAction::Delete { id: id(words)?, revision: words.revision()? });
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
    Ok(DocumentAction::DeleteMatching(Box::new(body)))
}
