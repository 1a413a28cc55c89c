//! Reads what follows the names of commands about documents, indexes and schemas.

use super::changes::moment_flag;
use crate::statement::{DocumentAction, Moment, Statement, StructureAction};
use crate::words::{Parsed, Words};
use jettra_driver::wire::{
    AggregateBody, BulkBody, BulkOperation, CountBody, ExplainLevel, SchemaBody, SchemaMode,
    ValidateBody,
};
use jettra_driver::{Find, IndexOptions};
use serde_json::{Map, Value};

pub(super) const A_FILTER: &str = "the filter, such as {\"age\": {\"$gt\": 30}},";
pub(super) const A_DOCUMENT: &str = "the document, such as {\"name\": \"Ada\"},";

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
    if words.keyword("where") || words.keyword("donde") {
        let rest = words.rest();
        return Err(format!(
            "a filter stands in braces, such as {{age: {{$gt: 30}}}}. With WHERE it is JQL:\n  \
             FIND IN <collection> WHERE {rest}"
        ));
    }
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

pub(super) fn explain_flag(name: &str, explain: &mut Option<ExplainLevel>) -> bool {
    *explain = match name {
        "--explain" => Some(ExplainLevel::QueryPlanner),
        "--analyze" => Some(ExplainLevel::ExecutionStats),
        _ => return false,
    };
    true
}

pub(super) fn count(words: &mut Words<'_>, moment: &mut Option<Moment>) -> Parsed<DocumentAction> {
    let mut body = CountBody::default();
    let mut flags = |words: &mut Words<'_>, body: &mut CountBody| {
        words.flags(|name, words| {
            if name == "--hint" {
                body.hint = Some(words.json_or_word(name)?);
                return Ok(true);
            }
            Ok(explain_flag(name, &mut body.explain) || moment_flag(name, words, moment)?)
        })
    };
    flags(words, &mut body)?;
    if words.at_object() {
        body.filter = Some(words.object(A_FILTER)?);
        flags(words, &mut body)?;
    }
    Ok(DocumentAction::Count(body))
}

pub(super) fn distinct(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let (mut filter, mut explain) = (None, None);
    let mut flags =
        |words: &mut Words<'_>| words.flags(|name, _| Ok(explain_flag(name, &mut explain)));
    flags(words)?;
    let field = words.required("the field")?;
    flags(words)?;
    if !words.rest().is_empty() {
        filter = Some(words.object(A_FILTER)?);
        flags(words)?;
    }
    Ok(DocumentAction::Distinct { field, filter, explain })
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
pub(super) fn sort(words: &mut Words<'_>) -> Parsed<Value> {
    Ok(match words.json_or_word("--sort")? {
        Value::String(names) => keys(&names, -1)?,
        other => other,
    })
}

/// As [`sort`]; `-` means that the field is left out.
pub(super) fn projection(words: &mut Words<'_>) -> Parsed<Value> {
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
