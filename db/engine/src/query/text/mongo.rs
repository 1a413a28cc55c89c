//! Statements in the notation of MongoDB's shell: `db.c.find({…}).sort({…})`.

use super::call::MethodCall;
use super::lexer::Lexer;
use super::literal;
use super::{Modification, Statement};
use crate::error::Result;
use crate::value::{Object, Value};

/// Operations of a collection.
const OPERATIONS: [&str; 26] = [
    "find",
    "findOne",
    "insertOne",
    "insertMany",
    "insert",
    "updateOne",
    "updateMany",
    "update",
    "replaceOne",
    "deleteOne",
    "deleteMany",
    "remove",
    "findOneAndUpdate",
    "findOneAndReplace",
    "findOneAndDelete",
    "findAndModify",
    "aggregate",
    "countDocuments",
    "estimatedDocumentCount",
    "count",
    "distinct",
    "createIndex",
    "dropIndex",
    "getIndexes",
    "drop",
    "renameCollection",
];
/// Operations of a database.
const DATABASE: [&str; 3] = ["getCollection", "createCollection", "getCollectionNames"];
/// What can follow `find(…)`.
const CURSOR: [&str; 9] =
    ["sort", "skip", "limit", "hint", "projection", "count", "explain", "pretty", "toArray"];
/// What can follow `aggregate(…)`.
const RESULT: [&str; 3] = ["explain", "pretty", "toArray"];

/// Whether a text is in this language.
pub(super) fn begins(mut scan: Lexer<'_>) -> bool {
    scan.word() == Some("db") && (scan.eat(".") || scan.eat("["))
}

/// Parses a statement that [`begins`] here.
pub(super) fn parse(mut scan: Lexer<'_>) -> Result<Statement> {
    scan.word();
    let (collection, mut operation) = match target(&mut scan)? {
        Beginning::Statement(statement) => {
            scan.end(&[])?;
            return Ok(*statement);
        }
        Beginning::Collection(collection, operation) => (collection, operation),
    };
    let mut explain = None;
    if operation.name == "explain" {
        explain = Some(verbosity(&mut operation)?);
        scan.expect(".")?;
        operation = MethodCall::parse(&mut scan)?;
    }
    let start = operation.place;
    let mut statement = operate(collection, operation)?;
    while scan.eat(".") {
        follow(&mut statement, MethodCall::parse(&mut scan)?, &mut explain)?;
    }
    scan.end(if is_cursor(&statement) { &["\".\""] } else { &[] })?;
    match explain {
        None => Ok(statement),
        Some(execute) if statement.is_explainable() => {
            Ok(Statement::Explain { statement: Box::new(statement), execute })
        }
        Some(_) => Err(start.expected(&[super::EXPLAINED])),
    }
}

enum Beginning<'t> {
    Collection(String, MethodCall<'t>),
    Statement(Box<Statement>),
}

/// Reads the collection and the first call: `.a.b.find(…)`, `["a"].find(…)`,
/// `.getCollection("a").find(…)`.
fn target<'t>(scan: &mut Lexer<'t>) -> Result<Beginning<'t>> {
    let mut names: Vec<String> = Vec::new();
    loop {
        if scan.eat("[") {
            scan.skip();
            names.push(name(scan)?);
            scan.expect("]")?;
            continue;
        }
        scan.expect(".")?;
        scan.skip();
        let (start, mut ahead) = (*scan, *scan);
        let word = ahead.word().ok_or_else(|| scan.expected(&["a name"]))?;
        if !ahead.eat("(") {
            names.push(word.to_owned());
            *scan = ahead;
            continue;
        }
        let mut call = MethodCall::parse(scan)?;
        if !names.is_empty() {
            return Ok(Beginning::Collection(names.join("."), call));
        }
        match word {
            "getCollection" => {
                names.push(call.text("the name of a collection")?);
                call.done()?;
            }
            "createCollection" => {
                let collection = call.text("the name of a collection")?;
                call.done()?;
                let statement = Statement::CreateCollection { collection };
                return Ok(Beginning::Statement(Box::new(statement)));
            }
            "getCollectionNames" => {
                call.done()?;
                return Ok(Beginning::Statement(Box::new(Statement::ShowCollections)));
            }
            _ => return Err(start.unknown("operation of a database", word, &DATABASE)),
        }
    }
}

fn name(scan: &mut Lexer<'_>) -> Result<String> {
    match scan.peek() {
        Some('"' | '\'') => literal::string(scan),
        _ => Err(scan.expected(&["the name of a collection in quotes"])),
    }
}

fn operate(collection: String, mut call: MethodCall<'_>) -> Result<Statement> {
    let statement = match call.name {
        "find" | "findOne" => find(collection, &mut call)?,
        "insertOne" => {
            let documents = vec![call.object("a document")?];
            Statement::Insert { collection, documents, many: false }
        }
        "insertMany" | "insert" => insert(collection, &mut call)?,
        "updateOne" | "updateMany" | "update" => update(collection, &mut call)?,
        "replaceOne" => {
            let (filter, replacement) = (call.object("a filter")?, call.object("a document")?);
            let upsert = call.options(&["upsert"])?.flag("upsert")?;
            Statement::Replace { collection, filter, replacement, upsert }
        }
        "deleteOne" | "deleteMany" => {
            let multi = call.name == "deleteMany";
            Statement::Delete { collection, filter: call.object("a filter")?, multi }
        }
        "remove" => {
            let filter = call.object("a filter")?;
            let just_one = match call.arguments.front() {
                Some((_, Value::Bool(just_one))) => {
                    let just_one = *just_one;
                    call.arguments.pop_front();
                    just_one
                }
                _ => call.options(&["justOne"])?.flag("justOne")?,
            };
            Statement::Delete { collection, filter, multi: !just_one }
        }
        "findOneAndUpdate" | "findOneAndReplace" | "findOneAndDelete" => {
            find_one_and(collection, &mut call)?
        }
        "findAndModify" => find_and_modify(collection, &mut call)?,
        "aggregate" => {
            let what = "an array of stages";
            let (place, pipeline) = call.take(what)?;
            if pipeline.as_array().is_none() {
                return Err(place.expected(&[what]));
            }
            Statement::Aggregate { collection, pipeline }
        }
        "countDocuments" | "count" => {
            Statement::Count { collection, filter: call.object_or_empty("a filter")? }
        }
        "estimatedDocumentCount" => Statement::Count { collection, filter: empty() },
        "distinct" => {
            let field = call.text("the path of a field")?;
            Statement::Distinct { collection, field, filter: call.object_or_empty("a filter")? }
        }
        "createIndex" => {
            let keys = call.object("the keys of an index")?;
            let options = match call.object_or_empty("options of an index")? {
                Value::Object(options) => options,
                _ => Object::new(),
            };
            Statement::CreateIndex { collection, keys, options }
        }
        "dropIndex" => {
            let what = "the name or the keys of an index";
            let (place, name_or_keys) = call.take(what)?;
            if !matches!(name_or_keys, Value::String(_) | Value::Object(_)) {
                return Err(place.expected(&[what]));
            }
            Statement::DropIndex { collection, name_or_keys }
        }
        "getIndexes" => Statement::ShowIndexes { collection },
        "drop" => Statement::DropCollection { collection },
        "renameCollection" => {
            Statement::RenameCollection { collection, to: call.text("the new name")? }
        }
        name => {
            return Err(call.place.unknown("operation of a collection", name, &OPERATIONS));
        }
    };
    call.done()?;
    Ok(statement)
}

fn find(collection: String, call: &mut MethodCall<'_>) -> Result<Statement> {
    let filter = call.object_or_empty("a filter")?;
    let mut projection = call.some_object("a projection")?;
    let one = call.name == "findOne";
    let known = ["projection", "sort", "skip", "hint", "limit"];
    let mut options = call.options(if one { &known[..4] } else { &known })?;
    projection = projection.or(options.object("projection")?);
    // An empty projection leaves nothing out.
    projection = projection.filter(|projection| *projection != empty());
    let (skip, limit) = (options.number("skip")?, options.number("limit")?);
    Ok(Statement::Find {
        collection,
        filter,
        projection,
        sort: options.object("sort")?,
        skip: skip.unwrap_or(0),
        // MongoDB's 0 is no limit.
        limit: if one { Some(1) } else { limit.filter(|limit| *limit > 0) },
        hint: options.hint()?,
        one,
    })
}

fn insert(collection: String, call: &mut MethodCall<'_>) -> Result<Statement> {
    let many_only = call.name == "insertMany";
    let what = if many_only { "an array of documents" } else { "a document or an array of them" };
    match call.take(what)? {
        (_, Value::Array(documents)) if documents.iter().all(|one| one.as_object().is_some()) => {
            Ok(Statement::Insert { collection, documents, many: true })
        }
        (_, document @ Value::Object(_)) if !many_only => {
            Ok(Statement::Insert { collection, documents: vec![document], many: false })
        }
        (place, _) => Err(place.expected(&[what])),
    }
}

fn update(collection: String, call: &mut MethodCall<'_>) -> Result<Statement> {
    let filter = call.object("a filter")?;
    let (place, update) = call.change()?;
    let either = call.name == "update";
    let known: &[&str] =
        if either { &["upsert", "arrayFilters", "multi"] } else { &["upsert", "arrayFilters"] };
    let mut options = call.options(known)?;
    let (upsert, array_filters) = (options.flag("upsert")?, options.array("arrayFilters")?);
    let multi = call.name == "updateMany" || options.flag("multi")?;
    if either && is_document(&update) {
        if multi || array_filters.is_some() {
            return Err(place.error("a whole document can only replace one document", &["$set"]));
        }
        return Ok(Statement::Replace { collection, filter, replacement: update, upsert });
    }
    Ok(Statement::Update { collection, filter, update, multi, upsert, array_filters })
}

/// A document, as opposed to update operators or stages.
fn is_document(update: &Value) -> bool {
    update.as_object().is_some_and(|fields| !fields.keys().any(|key| key.starts_with('$')))
}

fn find_one_and(collection: String, call: &mut MethodCall<'_>) -> Result<Statement> {
    let filter = call.object("a filter")?;
    let change = match call.name {
        "findOneAndUpdate" => Modification::Update(call.change()?.1),
        "findOneAndReplace" => Modification::Replace(call.object("a document")?),
        _ => Modification::Delete,
    };
    let known =
        ["sort", "projection", "upsert", "returnDocument", "returnNewDocument", "arrayFilters"];
    let count = match change {
        Modification::Update(_) => 6,
        Modification::Replace(_) => 5,
        Modification::Delete => 2,
    };
    let mut options = call.options(&known[..count])?;
    let returned = options.take("returnDocument", "\"before\" or \"after\"", |value| {
        value.as_str().filter(|text| ["before", "after"].contains(text)).map(|text| text == "after")
    })?;
    let return_new = options.flag("returnNewDocument")? || returned == Some(true);
    Ok(Statement::FindAndModify {
        collection,
        filter,
        change,
        sort: options.object("sort")?,
        projection: options.object("projection")?,
        return_new,
        upsert: options.flag("upsert")?,
        array_filters: options.array("arrayFilters")?,
    })
}

fn find_and_modify(collection: String, call: &mut MethodCall<'_>) -> Result<Statement> {
    let known = ["query", "update", "remove", "new", "upsert", "sort", "fields", "arrayFilters"];
    let mut options = call.options(&known)?;
    let update = options.take("update", "an object or an array of stages", |update| {
        matches!(update, Value::Object(_) | Value::Array(_)).then(|| update.clone())
    })?;
    let (remove, return_new) = (options.flag("remove")?, options.flag("new")?);
    let upsert = options.flag("upsert")?;
    let change = match update {
        Some(update) if !remove => match is_document(&update) {
            true => Modification::Replace(update),
            false => Modification::Update(update),
        },
        None if remove && !return_new && !upsert => Modification::Delete,
        _ => return Err(options.place.error("either update, or remove alone, must be given", &[])),
    };
    Ok(Statement::FindAndModify {
        collection,
        filter: options.object("query")?.unwrap_or_else(empty),
        change,
        sort: options.object("sort")?,
        projection: options.object("fields")?,
        return_new,
        upsert,
        array_filters: options.array("arrayFilters")?,
    })
}

fn is_cursor(statement: &Statement) -> bool {
    matches!(statement, Statement::Find { one: false, .. } | Statement::Aggregate { .. })
}

/// Applies the calls after the first one: `.sort(…)`, `.limit(…)`, `.explain()`.
fn follow(
    statement: &mut Statement,
    mut call: MethodCall<'_>,
    explain: &mut Option<bool>,
) -> Result<()> {
    let known: &[&str] = match statement {
        _ if !is_cursor(statement) => {
            return Err(call.place.expected(&["the end of the statement"]));
        }
        Statement::Aggregate { .. } => &RESULT,
        _ => &CURSOR,
    };
    if !known.contains(&call.name) {
        return Err(call.place.unknown("operation of a cursor", call.name, known));
    }
    if let Statement::Find { collection, filter, projection, sort, skip, limit, hint, .. } =
        statement
    {
        match call.name {
            "sort" => *sort = Some(call.object("the order of fields")?),
            "projection" => *projection = Some(call.object("a projection")?),
            "hint" => *hint = Some(call.hint()?),
            "skip" => *skip = call.number()?,
            "limit" => *limit = Some(call.number()?).filter(|limit| *limit > 0),
            // As in MongoDB, all matching documents are counted.
            "count" => {
                let (collection, filter) = (collection.clone(), filter.clone());
                *statement = Statement::Count { collection, filter };
            }
            _ => {}
        }
    }
    if call.name == "explain" {
        *explain = Some(verbosity(&mut call)?);
    }
    call.done()
}

/// Whether `explain` executes the statement.
fn verbosity(call: &mut MethodCall<'_>) -> Result<bool> {
    let execute = match call.arguments.pop_front() {
        None => false,
        Some((_, Value::Bool(execute))) => execute,
        Some((at, value)) => match value.as_str() {
            Some("queryPlanner") => false,
            Some("executionStats" | "allPlansExecution") => true,
            _ => {
                let known = ["\"queryPlanner\"", "\"executionStats\"", "\"allPlansExecution\""];
                return Err(call.place.to(at).expected(&known));
            }
        },
    };
    call.done()?;
    Ok(execute)
}

/// A filter that matches all documents.
pub(super) fn empty() -> Value {
    Value::Object(Object::new())
}
