//! The query languages as text: MongoDB's shell, SQL, and JQL, the language of JettraDBVM. Each is
//! parsed into the one [`Statement`]; nothing is executed here.
//!
//! | Begins with | Language |
//! |---|---|
//! | `db.` | MongoDB |
//! | `SELECT`, `UPDATE c SET`, `DELETE FROM`, `INSERT INTO c (…)` | SQL |
//! | everything else, and indexes and collections for SQL too | JQL |
//!
//! `EXPLAIN [ANALYZE]` may precede a statement of any language.

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

/// A parsed statement. Filters, updates, pipelines, keys and options are in the form that their own
/// parsers take; they are not checked here.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Finds documents of a collection.
    Find {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
        /// The projection.
        projection: Option<Value>,
        /// The sort.
        sort: Option<Value>,
        /// How many documents are skipped.
        skip: u64,
        /// The maximum number of documents, at least 1; `None` is all.
        limit: Option<u64>,
        /// The index to use, by name or keys.
        hint: Option<Value>,
        /// Returns the document itself rather than a list; `limit` is 1 then.
        one: bool,
    },
    /// Runs a pipeline.
    Aggregate {
        /// The collection.
        collection: String,
        /// An array of stages.
        pipeline: Value,
    },
    /// Counts documents.
    Count {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
    },
    /// Returns the distinct values of a field.
    Distinct {
        /// The collection.
        collection: String,
        /// Path of the field.
        field: String,
        /// The filter.
        filter: Value,
    },
    /// Inserts documents.
    Insert {
        /// The collection.
        collection: String,
        /// The documents.
        documents: Vec<Value>,
        /// Whether the response is that of several documents.
        many: bool,
    },
    /// Updates documents.
    Update {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
        /// Update operators, or an array of stages.
        update: Value,
        /// All documents that match, not just the first.
        multi: bool,
        /// Inserts a document if none matches.
        upsert: bool,
        /// Filters for items of arrays.
        array_filters: Option<Value>,
    },
    /// Replaces one document.
    Replace {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
        /// The new document.
        replacement: Value,
        /// Inserts the document if none matches.
        upsert: bool,
    },
    /// Changes one document and returns it.
    FindAndModify {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
        /// The change.
        change: Modification,
        /// The sort that decides which document is the first.
        sort: Option<Value>,
        /// The projection of the returned document.
        projection: Option<Value>,
        /// Returns the document after the change, not before.
        return_new: bool,
        /// Inserts a document if none matches.
        upsert: bool,
        /// Filters for items of arrays.
        array_filters: Option<Value>,
    },
    /// Deletes documents.
    Delete {
        /// The collection.
        collection: String,
        /// The filter.
        filter: Value,
        /// All documents that match, not just the first.
        multi: bool,
    },
    /// Creates an index.
    CreateIndex {
        /// The collection.
        collection: String,
        /// Fields and directions.
        keys: Value,
        /// `name`, `unique`, `sparse` and so on.
        options: Object,
    },
    /// Drops an index.
    DropIndex {
        /// The collection.
        collection: String,
        /// Its name, or its fields and directions.
        name_or_keys: Value,
    },
    /// Lists the indexes of a collection.
    ShowIndexes {
        /// The collection.
        collection: String,
    },
    /// Creates an empty collection.
    CreateCollection {
        /// The collection.
        collection: String,
    },
    /// Drops a collection.
    DropCollection {
        /// The collection.
        collection: String,
    },
    /// Renames a collection.
    RenameCollection {
        /// The collection.
        collection: String,
        /// Its new name.
        to: String,
    },
    /// Lists the collections of the database.
    ShowCollections,
    /// Lists the databases.
    ShowDatabases,
    /// Explains how a statement would be, or was, executed.
    Explain {
        /// The statement.
        statement: Box<Statement>,
        /// Executes it and reports what that took.
        execute: bool,
    },
}

/// The change of a [`Statement::FindAndModify`].
#[derive(Debug, Clone, PartialEq)]
pub enum Modification {
    /// Update operators, or an array of stages.
    Update(Value),
    /// Another document in its place.
    Replace(Value),
    /// The document is deleted.
    Delete,
}

impl Statement {
    /// Refuses a statement with a part that is nested deeper than `max` levels, as JSON in a body
    /// is. Short texts become deep: a `NOT` is two levels, a `CASE` four.
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

    /// Whether `EXPLAIN` is possible for it.
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
        // Both languages have it. SQL comes first: its `<>` does not match documents without the
        // field.
        return sql::parse_or(scan, jql::parse);
    }
    jql::parse(scan)
}

/// The statements that may follow `EXPLAIN`.
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
