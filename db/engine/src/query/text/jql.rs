//! JQL: the language of JettraDBVM as its guides describe it, and the statements about collections
//! and indexes that are the same in SQL.

use super::lexer::{Lexer, is_word};
use super::where_clause::{self, field, value};
use super::{Statement, literal, one};
use crate::error::Result;
use crate::value::{Object, Value};

/// Statements by their first words.
const STATEMENTS: [(&str, Parse); 22] = [
    ("FIND IN", find),
    ("INSERT INTO", insert),
    ("UPDATE IN", update),
    ("DELETE FROM", delete),
    ("DELETE IN", delete),
    ("COUNT IN", count),
    ("AGGREGATE IN", aggregate),
    ("CREATE INDEX", |scan| create_index(scan, false)),
    ("CREATE UNIQUE INDEX", |scan| create_index(scan, true)),
    ("DROP INDEX", drop_index),
    ("SHOW INDEXES", show_indexes),
    ("SHOW COLLECTIONS", |_| Ok(Statement::ShowCollections)),
    ("SHOW TABLES", |_| Ok(Statement::ShowCollections)),
    ("SHOW DATABASES", |_| Ok(Statement::ShowDatabases)),
    ("SHOW DBS", |_| Ok(Statement::ShowDatabases)),
    ("CREATE COLLECTION", create_collection),
    ("CREATE TABLE", create_collection),
    ("DROP COLLECTION", drop_collection),
    ("DROP TABLE", drop_collection),
    ("RENAME COLLECTION", |scan| rename(scan, "TO")),
    ("RENAME TABLE", |scan| rename(scan, "TO")),
    ("ALTER TABLE", |scan| rename(scan, "RENAME TO")),
];

/// Most joins of one statement.
const JOINS_MAX: usize = 100;

type Parse = fn(&mut Lexer<'_>) -> Result<Statement>;

/// Whether an `INSERT` is that of JQL: documents follow, not a list of columns.
pub(super) fn is_insert(mut scan: Lexer<'_>) -> bool {
    scan.keywords("INSERT INTO") && name(&mut scan).is_ok() && {
        let _ = scan.keywords("DOC") || scan.keywords("VALUES");
        scan.eat("{") || scan.eat("[") || !scan.eat("(") && !is_columns(scan)
    }
}

/// Whether words follow that only SQL's `INSERT` has.
fn is_columns(mut scan: Lexer<'_>) -> bool {
    scan.keywords("SELECT") || scan.keywords("DEFAULT") || scan.keywords("AS")
}

/// Parses a statement.
pub(super) fn parse(mut scan: Lexer<'_>) -> Result<Statement> {
    for (words, parse) in STATEMENTS {
        if scan.keywords(words) {
            let statement = parse(&mut scan)?;
            scan.end(&[])?;
            return Ok(statement);
        }
    }
    Err(unknown(scan))
}

/// The error for an unknown beginning of a statement, at the first wrong word.
fn unknown(mut scan: Lexer<'_>) -> crate::error::Error {
    scan.skip();
    let mut known: Vec<&str> = STATEMENTS.iter().map(|(words, _)| *words).collect();
    known.extend(["SELECT", "UPDATE", "EXPLAIN", "db."]);
    let mut ahead = scan;
    let first = ahead.word();
    let seconds: Vec<&str> = known
        .iter()
        .filter_map(|words| words.split_once(' '))
        .filter(|(word, _)| first.is_some_and(|first| first.eq_ignore_ascii_case(word)))
        .map(|(_, rest)| rest)
        .collect();
    match first {
        None => scan.expected(&["a statement"]),
        Some(_) if !seconds.is_empty() => ahead.expected(&seconds),
        Some(first) => {
            let mut firsts: Vec<&str> =
                known.iter().map(|words| words.split(' ').next().unwrap_or_default()).collect();
            firsts.sort_unstable();
            firsts.dedup();
            scan.unknown("statement", first, &firsts)
        }
    }
}

/// Reads the name of a collection.
fn name(scan: &mut Lexer<'_>) -> Result<String> {
    if let Some(quoted) = where_clause::quoted(scan)? {
        return Ok(quoted);
    }
    let start = *scan;
    if let Some(quoted) = where_clause::backticks(scan) {
        return Ok(quoted.to_owned());
    }
    let name = scan.take_while(|next| is_word(next) || matches!(next, '.' | '-'));
    if name.is_empty() || where_clause::is_reserved(name) {
        return Err(start.expected(&["the name of a collection"]));
    }
    Ok(name.to_owned())
}

/// Reads `WHERE …`, if it comes: a condition, or a filter in the notation of MongoDB's shell, which
/// may be written without the word too.
fn filter(scan: &mut Lexer<'_>) -> Result<Option<Value>> {
    let named = scan.keywords("WHERE") || scan.keywords("DONDE");
    scan.skip();
    if scan.peek() == Some('{') {
        return literal::value(scan, "a filter", 1).map(Some);
    }
    named.then(|| where_clause::expression(scan)).transpose()
}

/// Reads the end after `WHERE …`; `more` could have followed too.
fn end(scan: &mut Lexer<'_>, filter: &Option<Value>, more: &[&str]) -> Result<()> {
    let mut expected = if filter.is_some() { vec!["AND", "OR"] } else { vec!["WHERE"] };
    expected.extend(more);
    scan.end(&expected)
}

fn or_empty(filter: Option<Value>) -> Value {
    filter.unwrap_or_else(|| Value::Object(Object::new()))
}

fn find(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    let mut joined = Vec::new();
    let mut joins = Vec::new();
    loop {
        let outer = scan.keywords("LEFT OUTER") || scan.keywords("LEFT");
        if !outer {
            scan.keywords("INNER");
        }
        if !scan.keywords("JOIN") {
            break;
        }
        if joined.len() >= JOINS_MAX {
            return Err(scan.error(format!("more than {JOINS_MAX} joins"), &[]));
        }
        let other = name(scan)?;
        let (local, foreign) = join_fields(scan, &collection, &other)?;
        joins.extend(where_clause::join(&other, &local, &foreign, &other, outer));
        joined.push(other);
    }
    let filter = filter(scan)?;
    let sort = if scan.keywords("ORDER BY") { Some(order(scan)?) } else { None };
    let (mut limit, mut skip) = (None, None);
    loop {
        if limit.is_none() && scan.keywords("LIMIT") {
            limit = Some(number(scan, 1)?);
        } else if skip.is_none() && (scan.keywords("OFFSET") || scan.keywords("SKIP")) {
            skip = Some(number(scan, 0)?);
        } else {
            break;
        }
    }
    let mut more = Vec::new();
    let open = limit.is_none() && skip.is_none();
    more.extend((sort.is_none() && open).then_some("ORDER BY"));
    more.extend(limit.is_none().then_some("LIMIT"));
    more.extend(skip.is_none().then_some("OFFSET"));
    match (open && sort.is_none(), joins.is_empty()) {
        (true, _) => end(scan, &filter, &more)?,
        (false, _) => scan.end(&more)?,
    }
    let filter = or_empty(filter);
    if joins.is_empty() {
        let skip = skip.unwrap_or(0);
        return Ok(Statement::Find {
            collection,
            filter,
            projection: None,
            sort,
            skip,
            limit,
            hint: None,
            one: false,
        });
    }
    let (before, after) = where_clause::split(filter, &joined);
    let stage =
        |name: &str, fields: Object| (!fields.is_empty()).then(|| one(name, Value::Object(fields)));
    let mut pipeline: Vec<Value> = stage("$match", before).into_iter().collect();
    pipeline.extend(joins);
    pipeline.extend(stage("$match", after));
    pipeline.extend(sort.map(|sort| one("$sort", sort)));
    pipeline.extend(skip.map(|skip| one("$skip", skip as i64)));
    pipeline.extend(limit.map(|limit| one("$limit", limit as i64)));
    Ok(Statement::Aggregate { collection, pipeline: Value::Array(pipeline) })
}

/// Reads `ON f = g`: the field of the documents so far, and that of the joined collection. Fields
/// may be qualified by their collections, in either order.
fn join_fields(scan: &mut Lexer<'_>, collection: &str, other: &str) -> Result<(String, String)> {
    scan.expect_keywords("ON")?;
    let left = field(scan, "a field")?;
    scan.expect("=")?;
    let right = field(scan, "a field")?;
    let of = |name: &str, path: &str| {
        path.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned)
    };
    let (local, foreign) = match of(other, &left) {
        Some(foreign) => (right, foreign),
        None => {
            let foreign = of(other, &right).unwrap_or(right);
            (left, foreign)
        }
    };
    Ok((of(collection, &local).unwrap_or(local), foreign))
}

/// Reads `a [ASC|DESC], …` as MongoDB's order.
fn order(scan: &mut Lexer<'_>) -> Result<Value> {
    let mut keys = Object::new();
    loop {
        scan.skip();
        let start = *scan;
        let path = field(scan, "a field")?;
        let descending = scan.keywords("DESC");
        if !descending {
            scan.keywords("ASC");
        }
        let direction = if descending { -1 } else { 1 };
        if keys.insert(path.clone(), Value::from(direction)).is_some() {
            return Err(start.error(format!("the field {path:?} is there twice"), &[]));
        }
        if !scan.eat(",") {
            return Ok(Value::Object(keys));
        }
    }
}

fn number(scan: &mut Lexer<'_>, least: u64) -> Result<u64> {
    scan.skip();
    let start = *scan;
    let digits = scan.take_while(char::is_alphanumeric);
    let number =
        digits.parse().ok().filter(|number| *number >= least && *number <= i64::MAX as u64);
    number.ok_or_else(|| start.expected(&[&format!("a whole number from {least}")]))
}

fn insert(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    let _ = scan.keywords("DOC") || scan.keywords("VALUES");
    let what = "a document or an array of documents";
    scan.skip();
    let start = *scan;
    if !matches!(scan.peek(), Some('{' | '[')) {
        return Err(start.expected(&[what]));
    }
    match literal::value(scan, what, 1)? {
        Value::Array(documents) if documents.iter().all(|item| item.as_object().is_some()) => {
            Ok(Statement::Insert { collection, documents, many: true })
        }
        document @ Value::Object(_) => {
            Ok(Statement::Insert { collection, documents: vec![document], many: false })
        }
        _ => Err(start.expected(&[what])),
    }
}

fn update(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    scan.expect_keywords("SET")?;
    let mut set = Object::new();
    loop {
        scan.skip();
        let start = *scan;
        let path = field(scan, "a field")?;
        scan.expect("=")?;
        let value = value(scan, "a value after \"=\"")?;
        if set.contains_key(&path) {
            return Err(start.error(format!("the field {path:?} is set twice"), &[]));
        }
        set.insert(path, value);
        if !scan.eat(",") {
            break;
        }
    }
    let filter = filter(scan)?;
    end(scan, &filter, if filter.is_none() { &["\",\""] } else { &[] })?;
    Ok(Statement::Update {
        collection,
        filter: or_empty(filter),
        update: one("$set", Value::Object(set)),
        multi: true,
        upsert: false,
        array_filters: None,
    })
}

fn delete(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    let filter = filter(scan)?;
    end(scan, &filter, &[])?;
    Ok(Statement::Delete { collection, filter: or_empty(filter), multi: true })
}

fn count(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    let filter = filter(scan)?;
    end(scan, &filter, &[])?;
    Ok(Statement::Count { collection, filter: or_empty(filter) })
}

fn aggregate(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    scan.expect_keywords("PIPELINE")?;
    scan.skip();
    if scan.peek() != Some('[') {
        return Err(scan.expected(&["an array of stages"]));
    }
    Ok(Statement::Aggregate { collection, pipeline: literal::value(scan, "an array", 1)? })
}

fn create_index(scan: &mut Lexer<'_>, unique: bool) -> Result<Statement> {
    let mut options = Object::new();
    if !scan.keywords("ON") {
        options.insert("name".to_owned(), name(scan)?.into());
        scan.expect_keywords("ON")?;
    }
    let collection = name(scan)?;
    let keys = keys(scan)?;
    if unique {
        options.insert("unique".to_owned(), true.into());
    }
    loop {
        let flags = [("UNIQUE", "unique"), ("SPARSE", "sparse"), ("SEQUENTIAL", "sequential")];
        if let Some((_, option)) = flags.iter().find(|(word, _)| scan.keywords(word)) {
            options.insert((*option).to_owned(), true.into());
        } else if scan.keywords("EXPIRE AFTER") {
            let seconds = number(scan, 0)? as i64;
            options.insert("expireAfterSeconds".to_owned(), seconds.into());
        } else {
            break;
        }
    }
    if let Some(filter) = filter(scan)? {
        options.insert("partialFilterExpression".to_owned(), filter);
    } else {
        scan.end(&["UNIQUE", "SPARSE", "SEQUENTIAL", "EXPIRE AFTER", "WHERE"])?;
    }
    Ok(Statement::CreateIndex { collection, keys, options })
}

/// Reads the fields of an index in parentheses.
fn keys(scan: &mut Lexer<'_>) -> Result<Value> {
    scan.expect("(")?;
    let keys = order(scan)?;
    if !scan.eat(")") {
        return Err(scan.expected(&["\",\"", "\")\""]));
    }
    Ok(keys)
}

fn drop_index(scan: &mut Lexer<'_>) -> Result<Statement> {
    if scan.keywords("ON") {
        let collection = name(scan)?;
        return Ok(Statement::DropIndex { collection, name_or_keys: keys(scan)? });
    }
    let index = name(scan)?;
    scan.expect_keywords("ON")?;
    Ok(Statement::DropIndex { collection: name(scan)?, name_or_keys: index.into() })
}

fn show_indexes(scan: &mut Lexer<'_>) -> Result<Statement> {
    if !["ON", "FROM", "IN"].iter().any(|word| scan.keywords(word)) {
        return Err(scan.expected(&["ON"]));
    }
    Ok(Statement::ShowIndexes { collection: name(scan)? })
}

fn create_collection(scan: &mut Lexer<'_>) -> Result<Statement> {
    let collection = name(scan)?;
    let mut ahead = *scan;
    if ahead.eat("(") {
        return Err(scan.error("a collection has no columns; leave the list out", &[]));
    }
    Ok(Statement::CreateCollection { collection })
}

fn drop_collection(scan: &mut Lexer<'_>) -> Result<Statement> {
    Ok(Statement::DropCollection { collection: name(scan)? })
}

fn rename(scan: &mut Lexer<'_>, words: &str) -> Result<Statement> {
    let collection = name(scan)?;
    scan.expect_keywords(words)?;
    Ok(Statement::RenameCollection { collection, to: name(scan)? })
}
