//! Arguments that several commands have: documents and filters, sort orders and projections, the
//! moment that is read, and flags.

use super::Argument::{self, Flag, Valued};
use super::Kind;
use crate::failure::Failure;
use crate::session::Session;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::ExplainLevel;
use jettra_driver::{Collection, DocumentId, Find};
use serde_json::{Map, Value, json};

pub(super) const REVISION: Argument = Valued("--revision", "N", Kind::Other("N"));
pub(super) const FORCE: Argument = Flag("--force");
pub(super) const ONE: Argument = Flag("--one");
pub(super) const UPSERT: Argument = Flag("--upsert");
pub(super) const SORT: Argument = Valued("--sort", "a,-b", Kind::Fields);
pub(super) const FIELDS: Argument = Valued("--fields", "a,b", Kind::Fields);
pub(super) const HINT: Argument = Valued("--hint", "index", Kind::Index);
pub(super) const ARRAY_FILTERS: Argument = Valued("--array-filters", "json", Kind::Other("json"));
pub(super) const EXPLAIN: Argument = Flag("--explain");
pub(super) const ANALYZE: Argument = Flag("--analyze");
pub(super) const AT: Argument = Valued("--at", "index", Kind::Other("index"));
pub(super) const AS_OF: Argument = Valued("--as-of", "time", Kind::Other("time"));

pub(super) const A_FILTER: &str = "the filter, such as {\"age\": {\"$gt\": 30}},";
pub(super) const A_DOCUMENT: &str = "the document, such as {\"name\": \"Ada\"},";
pub(super) const AN_UPDATE: &str = "the update, such as {\"$set\": {\"age\": 36}},";

/// Takes the collection.
pub(super) fn collection(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the collection")
}

/// Takes an id where a filter could stand too.
pub(super) fn id(words: &mut Words<'_>) -> ParseResult<DocumentId> {
    match words.rest() {
        "" => Err("the id, or a filter such as {age: {$gt: 30}}, is missing".into()),
        _ => words.id(),
    }
}

/// Whether it is a document and not update operators or a pipeline.
pub(super) fn is_document(change: &Value) -> bool {
    change.as_object().is_some_and(|fields| !fields.keys().any(|name| name.starts_with('$')))
}

/// Takes `--explain` and `--analyze`; returns whether it was one of them.
pub(super) fn explain_flag(name: &str, explain: &mut Option<ExplainLevel>) -> bool {
    *explain = match name {
        "--explain" => Some(ExplainLevel::QueryPlanner),
        "--analyze" => Some(ExplainLevel::ExecutionStats),
        _ => return false,
    };
    true
}

/// Fields with commas between them, `-` before those that are descending, as an object; or the
/// object itself.
pub(super) fn sort(words: &mut Words<'_>) -> ParseResult<Value> {
    Ok(match words.json_or_word("--sort")? {
        Value::String(names) => field_object(&names, -1)?,
        other => other,
    })
}

/// As [`sort`]; `-` means that the field is left out.
pub(super) fn projection(words: &mut Words<'_>) -> ParseResult<Value> {
    Ok(match words.json_or_word("--fields")? {
        Value::String(names) => field_object(&names, 0)?,
        other => other,
    })
}

/// `{"a": 1, "b": -1}` for `a,-b` when `minus` is -1.
pub(super) fn field_object(names: &str, minus: i64) -> ParseResult<Value> {
    let mut fields = Map::new();
    for name in names.split(',') {
        let (path, value) = match name.strip_prefix('-') {
            Some(path) => (path, minus),
            None => (name, 1),
        };
        if path.is_empty() {
            return Err(format!("{names:?} names an empty field; write a,-b without spaces"));
        }
        fields.insert(path.to_owned(), value.into());
    }
    Ok(Value::Object(fields))
}

/// The moment at which a collection is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    /// After this log index.
    Index(u64),
    /// At this time.
    Time(String),
}

impl Moment {
    /// The collection as it was at this moment, or as it is.
    pub(super) fn of(moment: Option<Moment>, collection: Collection<Value>) -> Collection<Value> {
        match moment {
            None => collection,
            Some(Moment::Index(index)) => collection.at(index),
            Some(Moment::Time(time)) => collection.as_of(&time),
        }
    }
}

/// Takes `--at` and `--as-of`; returns whether it was one of them.
pub(super) fn moment_flag(
    name: &str,
    words: &mut Words<'_>,
    moment: &mut Option<Moment>,
) -> ParseResult<bool> {
    let next = match name {
        "--at" => Moment::Index(words.number(name)?),
        "--as-of" => Moment::Time(words.required("the time, such as 2026-03-01T12:00:00Z,")?),
        _ => return Ok(false),
    };
    match moment.replace(next) {
        Some(_) => Err("only one of --at and --as-of says what is read".into()),
        None => Ok(true),
    }
}

/// The number that stands as an id in a statement may be meant as a text, when only the text
/// names a document.
pub(super) fn as_text(id: &DocumentId) -> Option<DocumentId> {
    match id {
        DocumentId::Int(number) => Some(DocumentId::String(number.to_string())),
        DocumentId::String(_) | DocumentId::Json(_) => None,
    }
}

/// The id of the document that exists: `1`, else `"1"` where that one does.
pub(super) async fn existing(
    collection: &Collection<Value>,
    id: DocumentId,
) -> Result<DocumentId, Failure> {
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

/// A collection, and the id of its document that exists.
pub(super) async fn existing_in(
    session: &Session,
    collection: &str,
    id: DocumentId,
) -> Result<(Collection<Value>, DocumentId), Failure> {
    let collection = session.collection(collection).await?;
    let id = existing(&collection, id).await?;
    Ok((collection, id))
}

/// The failure of a statement about a document that does not exist.
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
