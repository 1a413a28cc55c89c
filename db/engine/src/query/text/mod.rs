//! The query languages as text: MongoDB's shell, SQL, and JQL, the language of Jettra's
//! ancestor. Each is parsed into the one [`Statement`]; nothing is executed here.
//!
//! | Begins with | Language |
//! |---|---|
//! | `db.` | MongoDB |
//! | `SELECT`, `UPDATE c SET`, `DELETE FROM`, `INSERT INTO c (…)` | SQL |
//! | everything else, and indexes and collections for SQL too | JQL |
//!
//! `EXPLAIN [ANALYZE]` stands before a statement of any language.

mod call;
mod jql;
mod lexer;
mod literal;
mod mongo;
mod print;
mod sql;
mod where_clause;

use crate::error::Result;
use crate::value::{Object, Value, check_depth};
use lexer::Lexer;

/// What a text asks for. Filters, updates, pipelines, keys and options are as their own
/// parsers take them; they are not checked here.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Documents of a collection.
    Find {
        /// The collection.
        collection: String,
        /// Which documents.
        filter: Value,
        /// Which fields.
        projection: Option<Value>,
        /// In which order.
        sort: Option<Value>,
        /// How many are passed first.
        skip: u64,
        /// How many are given, at least 1; `None` is all.
        limit: Option<u64>,
        /// The index to use, by name or keys.
        hint: Option<Value>,
        /// The document itself rather than a list; `limit` is 1 then.
        one: bool,
    },
    /// The result of a pipeline.
    Aggregate {
        /// The collection.
        collection: String,
        /// An array of stages.
        pipeline: Value,
    },
    /// The number of documents.
    Count {
        /// The collection.
        collection: String,
        /// Which documents.
        filter: Value,
    },
    /// The different values of a field.
    Distinct {
        /// The collection.
        collection: String,
        /// Path of the field.
        field: String,
        /// In which documents.
        filter: Value,
    },
    /// Adds documents.
    Insert {
        /// The collection.
        collection: String,
        /// The documents.
        documents: Vec<Value>,
        /// Whether the answer is for a list of documents.
        many: bool,
    },
    /// Changes documents.
    Update {
        /// The collection.
        collection: String,
        /// Which documents.
        filter: Value,
        /// Update operators, or an array of stages.
        update: Value,
        /// All documents that match, not just the first.
        multi: bool,
        /// Adds a document when none matches.
        upsert: bool,
        /// Filters for items of arrays.
        array_filters: Option<Value>,
    },
    /// Puts another document in the place of one.
    Replace {
        /// The collection.
        collection: String,
        /// Which document.
        filter: Value,
        /// What comes in its place.
        replacement: Value,
        /// Adds the document when none matches.
        upsert: bool,
    },
    /// Changes one document and gives it.
    FindAndModify {
        /// The collection.
        collection: String,
        /// Which document.
        filter: Value,
        /// What happens to it.
        change: Modification,
        /// Which one is the first.
        sort: Option<Value>,
        /// Which fields are given.
        projection: Option<Value>,
        /// Gives the document after the change, not before.
        return_new: bool,
        /// Adds a document when none matches.
        upsert: bool,
        /// Filters for items of arrays.
        array_filters: Option<Value>,
    },
    /// Removes documents.
    Delete {
        /// The collection.
        collection: String,
        /// Which documents.
        filter: Value,
        /// All documents that match, not just the first.
        multi: bool,
    },
    /// Adds an index.
    CreateIndex {
        /// The collection.
        collection: String,
        /// Fields and directions.
        keys: Value,
        /// `name`, `unique`, `sparse` and so on.
        options: Object,
    },
    /// Removes an index.
    DropIndex {
        /// The collection.
        collection: String,
        /// Its name, or its fields and directions.
        name_or_keys: Value,
    },
    /// The indexes of a collection.
    ShowIndexes {
        /// The collection.
        collection: String,
    },
    /// Adds an empty collection.
    CreateCollection {
        /// The collection.
        collection: String,
    },
    /// Removes a collection.
    DropCollection {
        /// The collection.
        collection: String,
    },
    /// Gives a collection another name.
    RenameCollection {
        /// The collection.
        collection: String,
        /// Its new name.
        to: String,
    },
    /// The collections of the database.
    ShowCollections,
    /// The databases.
    ShowDatabases,
    /// How a statement would be, or was, executed.
    Explain {
        /// The statement.
        statement: Box<Statement>,
        /// Executes it and gives what that took.
        execute: bool,
    },
}

/// What happens to the document of a [`Statement::FindAndModify`].
#[derive(Debug, Clone, PartialEq)]
pub enum Modification {
    /// Update operators, or an array of stages.
    Update(Value),
    /// Another document in its place.
    Replace(Value),
    /// It is removed.
    Delete,
}

impl Statement {
    /// Refuses a statement with a part that is nested deeper than `max` levels, as JSON in a body
    /// would be. Short texts become deep ones: a `NOT` is two levels, a `CASE` four.
    ///
    /// # Errors
    /// `too_deep`.
    pub fn check_depth(&self, max: usize) -> Result<()> {
        let part = |name: &str, value: &Value| {
            check_depth(value, max, format_args!("the {name} of the statement"))
        };
        let some = |name: &str, value: &Option<Value>| {
            value.as_ref().map_or(Ok(()), |value| part(name, value))
        };
        match self {
            Statement::Find { filter, projection, sort, hint, .. } => {
                part("filter", filter)?;
                some("projection", projection)?;
                some("sort", sort)?;
                some("hint", hint)
            }
            Statement::Aggregate { pipeline, .. } => part("pipeline", pipeline),
            Statement::Count { filter, .. }
            | Statement::Distinct { filter, .. }
            | Statement::Delete { filter, .. } => part("filter", filter),
            Statement::Insert { documents, .. } => {
                documents.iter().try_for_each(|document| part("document", document))
            }
            Statement::Update { filter, update, array_filters, .. } => {
                part("filter", filter)?;
                part("update", update)?;
                some("arrayFilters", array_filters)
            }
            Statement::Replace { filter, replacement, .. } => {
                part("filter", filter)?;
                part("replacement", replacement)
            }
            Statement::FindAndModify {
                filter, change, sort, projection, array_filters, ..
            } => {
                part("filter", filter)?;
                match change {
                    Modification::Update(change) | Modification::Replace(change) => {
                        part("update", change)?
                    }
                    Modification::Delete => {}
                }
                some("sort", sort)?;
                some("projection", projection)?;
                some("arrayFilters", array_filters)
            }
            Statement::CreateIndex { keys, options, .. } => {
                part("keys", keys)?;
                options.iter().try_for_each(|(name, value)| part(name, value))
            }
            Statement::DropIndex { name_or_keys, .. } => part("keys", name_or_keys),
            Statement::Explain { statement, .. } => statement.check_depth(max),
            Statement::ShowIndexes { .. }
            | Statement::CreateCollection { .. }
            | Statement::DropCollection { .. }
            | Statement::RenameCollection { .. }
            | Statement::ShowCollections
            | Statement::ShowDatabases => Ok(()),
        }
    }

    /// Whether `EXPLAIN` can say something about it.
    fn is_explainable(&self) -> bool {
        use Statement::*;
        matches!(
            self,
            Find { .. }
                | Aggregate { .. }
                | Count { .. }
                | Distinct { .. }
                | Update { .. }
                | Replace { .. }
                | FindAndModify { .. }
                | Delete { .. }
        )
    }
}

/// Parses a statement of any of the languages.
///
/// # Errors
/// `syntax_error`, with the line, the column and what was expected there.
pub fn parse(text: &str) -> Result<Statement> {
    parse_at(Lexer::new(text))
}

fn parse_at(mut scan: Lexer<'_>) -> Result<Statement> {
    scan.skip();
    if scan.keywords("EXPLAIN") {
        let execute = scan.keywords("ANALYZE");
        scan.skip();
        let start = scan;
        if scan.keywords("EXPLAIN") {
            return Err(start.expected(&[EXPLAINED]));
        }
        let statement = Box::new(parse_at(start)?);
        if !statement.is_explainable() {
            return Err(start.expected(&[EXPLAINED]));
        }
        return Ok(Statement::Explain { statement, execute });
    }
    if mongo::begins(scan) {
        return mongo::parse(scan);
    }
    let is_sql = starts(scan, "SELECT")
        || starts(scan, "WITH")
        || starts(scan, "UPDATE") && !starts(scan, "UPDATE IN")
        || starts(scan, "INSERT") && !jql::is_insert(scan);
    if is_sql {
        return sql::parse(scan);
    }
    if starts(scan, "DELETE FROM") {
        // Both languages have it. SQL comes first: its `<>` passes documents without the field.
        return sql::parse_or(scan, jql::parse);
    }
    jql::parse(scan)
}

/// What may follow `EXPLAIN`.
const EXPLAINED: &str = "a statement that finds, counts, changes or removes documents";

fn starts(mut scan: Lexer<'_>, words: &str) -> bool {
    scan.keywords(words)
}

/// An object with one field.
fn one(name: impl Into<String>, value: impl Into<Value>) -> Value {
    Value::Object(Object::from([(name.into(), value.into())]))
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
