//! Reads what follows the names of commands about documents, indexes and schemas.

use super::changes::moment_flag;
use crate::statement::{DocumentAction, Moment, Statement, StructureAction};
use crate::words::{Parsed, Words};
use jettra_driver::wire::{
    AggregateBody, BulkBody, BulkOperation, CountBody, DeleteBody, ExplainLevel, FindAndModifyBody,
    ReplaceBody, ReturnForm, SchemaBody, SchemaMode, UpdateBody, ValidateBody,
};
use jettra_driver::{DocumentId, Find, IndexOptions};
use serde_json::{Map, Value, json};

pub(super) const A_FILTER: &str = "the filter, such as {\"age\": {\"$gt\": 30}},";
const AN_UPDATE: &str = "the update, such as {\"$set\": {\"age\": 36}},";
const A_DOCUMENT: &str = "the document, such as {\"name\": \"Ada\"},";

/// Reads the collection, then what is wanted of its documents.
pub(super) fn documents(
    words: &mut Words<'_>,
    action: fn(&mut Words<'_>) -> Parsed<DocumentAction>,
) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    Ok(Statement::Documents { collection, moment: None, action: action(words)? })
}

/// As [`documents`], for what can also be read as it was.
pub(super) fn reading(
    words: &mut Words<'_>,
    action: fn(&mut Words<'_>, &mut Option<Moment>) -> Parsed<DocumentAction>,
) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    let mut moment = None;
    let action = action(words, &mut moment)?;
    Ok(Statement::Documents { collection, moment, action })
}

fn moment_flags(words: &mut Words<'_>, moment: &mut Option<Moment>) -> Parsed<()> {
    words.flags(|name, words| moment_flag(name, words, moment))
}

pub(super) fn get(words: &mut Words<'_>, moment: &mut Option<Moment>) -> Parsed<DocumentAction> {
    moment_flags(words, moment)?;
    let id = words.id()?;
    moment_flags(words, moment)?;
    Ok(DocumentAction::Get(id))
}

/// Reads the collection, then what is wanted of its indexes or its schema.
pub(super) fn structure(
    words: &mut Words<'_>,
    action: fn(&mut Words<'_>) -> Parsed<StructureAction>,
) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    Ok(Statement::Structure { collection, action: action(words)? })
}

pub(super) fn insert(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    if !words.rest().starts_with('[') {
        return Ok(DocumentAction::Insert(words.object(A_DOCUMENT)?));
    }
    Ok(DocumentAction::InsertMany(words.array("the documents")?))
}

pub(super) fn save(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    Ok(DocumentAction::Save { id: words.id()?, document: words.object(A_DOCUMENT)? })
}

pub(super) fn find(words: &mut Words<'_>, moment: &mut Option<Moment>) -> Parsed<DocumentAction> {
    let mut find = Find::all();
    find_flags(words, &mut find, moment)?;
    if words.at_object() {
        find.body.filter = Some(words.object(A_FILTER)?);
        find_flags(words, &mut find, moment)?;
    } else if !words.rest().is_empty() && find == Find::all() {
        return get(words, moment);
    }
    Ok(DocumentAction::Find(Box::new(find)))
}

fn find_flags(words: &mut Words<'_>, find: &mut Find, moment: &mut Option<Moment>) -> Parsed<()> {
    let body = &mut find.body;
    words.flags(|name, words| {
        match name {
            "--sort" => body.sort = Some(words.json_or_word(name)?),
            "--fields" => body.projection = Some(words.json_or_word(name)?),
            "--skip" => body.skip = Some(words.number(name)?),
            "--limit" => body.limit = Some(words.number(name)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            _ => {
                return Ok(
                    explain_flag(name, &mut body.explain) || moment_flag(name, words, moment)?
                );
            }
        }
        Ok(true)
    })
}

fn explain_flag(name: &str, explain: &mut Option<ExplainLevel>) -> bool {
    *explain = match name {
        "--explain" => Some(ExplainLevel::QueryPlanner),
        "--analyze" => Some(ExplainLevel::ExecutionStats),
        _ => return false,
    };
    true
}

pub(super) fn count(words: &mut Words<'_>, moment: &mut Option<Moment>) -> Parsed<DocumentAction> {
    let mut body = CountBody::default();
    let mut flags = |words: &mut Words<'_>, hint: &mut Option<Value>| {
        words.flags(|name, words| {
            if name == "--hint" {
                *hint = Some(words.json_or_word(name)?);
                return Ok(true);
            }
            moment_flag(name, words, moment)
        })
    };
    flags(words, &mut body.hint)?;
    if words.at_object() {
        body.filter = Some(words.object(A_FILTER)?);
        flags(words, &mut body.hint)?;
    }
    Ok(DocumentAction::Count(body))
}

pub(super) fn distinct(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let field = words.required("the field")?;
    let filter = (!words.rest().is_empty()).then(|| words.object(A_FILTER)).transpose()?;
    Ok(DocumentAction::Distinct { field, filter })
}

pub(super) fn aggregate(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let (mut hint, mut explain) = (None, None);
    let flags = |words: &mut Words<'_>, hint: &mut Option<Value>, explain: &mut _| {
        words.flags(|name, words| {
            if name == "--hint" {
                *hint = Some(words.json_or_word(name)?);
                return Ok(true);
            }
            Ok(explain_flag(name, explain))
        })
    };
    flags(words, &mut hint, &mut explain)?;
    let pipeline = words.array("the pipeline, such as [{\"$match\": {\"age\": 36}}],")?.into();
    flags(words, &mut hint, &mut explain)?;
    Ok(DocumentAction::Aggregate(AggregateBody { pipeline, hint, explain }))
}

/// `<collection> <id|filter> <update>`. A document in place of the update is refused, because it
/// could mean either of two things.
pub(super) fn update(words: &mut Words<'_>) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    let filter = words.at_object().then(|| words.object(A_FILTER)).transpose()?;
    let id = if filter.is_none() { Some(words.id()?) } else { None };
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
        let id = words.id()?;
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
        return Ok(DocumentAction::Delete { id: words.id()?, revision: words.revision()? });
    }
    let mut body = DeleteBody::from(words.object(A_FILTER)?);
    let mut one = false;
    words.flags(|name, words| {
        match name {
            "--multi" => one = false,
            "--one" => one = true,
            "--sort" => body.sort = Some(sort(words)?),
            "--hint" => body.hint = Some(words.json_or_word(name)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    body.multi = !one && body.sort.is_none();
    Ok(DocumentAction::DeleteMatching(Box::new(body)))
}

pub(super) fn bulk(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let before = words.flag("--unordered");
    let operations = words.array("the operations")?.into_iter().enumerate();
    let operations = operations.map(|(at, operation)| {
        serde_json::from_value::<BulkOperation>(operation).map_err(|error| {
            format!(
                "operation {at} cannot be understood: {error}; an operation is, for example, \
                 {{\"deleteOne\": {{\"filter\": {{\"_id\": 7}}}}}}"
            )
        })
    });
    let operations = operations.collect::<Parsed<_>>()?;
    let ordered = !(words.flag("--unordered") || before);
    Ok(DocumentAction::Bulk(BulkBody { operations, ordered }))
}

/// Fields with commas between them, `-` before those that are descending, as an object; or the
/// object itself.
fn sort(words: &mut Words<'_>) -> Parsed<Value> {
    Ok(match words.json_or_word("--sort")? {
        Value::String(names) => keys(&names, -1)?,
        other => other,
    })
}

/// As [`sort`]; `-` means that the field is left out.
fn projection(words: &mut Words<'_>) -> Parsed<Value> {
    Ok(match words.json_or_word("--fields")? {
        Value::String(names) => keys(&names, 0)?,
        other => other,
    })
}

fn keys(names: &str, minus: i64) -> Parsed<Value> {
    let mut keys = Map::new();
    for name in names.split(',') {
        let (path, value) = match name.strip_prefix('-') {
            Some(path) => (path, minus),
            None => (name, 1),
        };
        if path.is_empty() {
            return Err(format!("{names:?} names an empty field; write a,-b without spaces"));
        }
        keys.insert(path.to_owned(), value.into());
    }
    Ok(Value::Object(keys))
}

pub(super) fn create_index(words: &mut Words<'_>) -> Parsed<StructureAction> {
    let fields = match words.at_object() {
        true => words.object("the fields")?,
        false => keys(&words.required("the fields, such as city,-age,")?, -1)?,
    };
    let mut options = IndexOptions::default();
    words.flags(|name, words| {
        match name {
            "--unique" => options.unique = true,
            "--sparse" => options.sparse = true,
            "--sequential" => options.sequential = true,
            "--background" => options.background = true,
            "--expire" => options.expire_after_seconds = Some(words.number(name)?),
            "--partial" => {
                options.partial_filter_expression = Some(words.object(A_FILTER)?);
            }
            "--name" => options.name = Some(words.required("the name")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(StructureAction::CreateIndex { keys: fields, options: Box::new(options) })
}

pub(super) fn set_schema(words: &mut Words<'_>) -> Parsed<StructureAction> {
    let schema = words.object("the schema, such as {\"required\": [\"name\"]},")?;
    let (mut mode, mut short) = (SchemaMode::Error, false);
    words.flags(|name, _| {
        match name {
            "--warn" => mode = SchemaMode::Warn,
            "--definition" => short = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (schema, definition) = if short { (None, Some(schema)) } else { (Some(schema), None) };
    Ok(StructureAction::SetSchema(SchemaBody { schema, definition, mode }))
}

pub(super) fn validate(words: &mut Words<'_>) -> Parsed<StructureAction> {
    let mut body = ValidateBody::default();
    if words.at_object() {
        body.documents = Some(vec![words.object(A_DOCUMENT)?]);
    } else if words.rest().starts_with('[') {
        body.documents = Some(words.array("the documents")?);
    }
    words.flags(|name, words| {
        let known = name == "--schema";
        if known {
            body.schema = Some(words.object("the schema")?);
        }
        Ok(known)
    })?;
    Ok(StructureAction::Validate(body))
}
