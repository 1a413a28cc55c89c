//! Statements of the query languages: SQL, JQL and MongoDB's shell language.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{ReadLevel, StatementBody, StatementReply};
use reqwest::Method;
use serde_json::Value;

impl Client {
    /// Carries out a statement in JQL, SQL or MongoDB's shell language, and returns the answer as
    /// it came: an array of documents or values, one document or `null`, `{"count": n}`,
    /// `{"explain": …}` or `{"message": "…", …}`. A list of documents without `LIMIT` ends after
    /// 100; [`Client::statement_pages`] returns them all.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// let people = client.statement("shop", "SELECT * FROM people WHERE age > 30").await?;
    /// let same = client.statement("shop", "db.people.find({age: {$gt: 30}})").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `syntax_error` (400): the message has line and column, the hint is the line of the text and
    /// below it a caret under the column. Otherwise those of the method with the same effect.
    pub async fn statement(&self, database: &str, text: &str) -> Result<Value> {
        self.statement_at_level(database, text, ReadLevel::default()).await
    }

    /// As [`Client::statement`], reading at another level.
    ///
    /// # Errors
    /// Those of [`Client::statement`].
    pub async fn statement_at_level(
        &self,
        database: &str,
        text: &str,
        level: ReadLevel,
    ) -> Result<Value> {
        let body = StatementBody { command: text.to_owned(), ..StatementBody::default() };
        self.send(statement_call(database, &body, level)).await?.json()
    }

    /// Carries out a statement page by page, so that a list of documents may have any length.
    /// `LIMIT` bounds all pages together.
    ///
    /// Outside of a transaction and of the past the pages are read one by one: a document that
    /// changes its place in the order meanwhile may be seen twice or not at all.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::wire::StatementReply;
    /// let mut pages = client.statement_pages("shop", "SELECT * FROM people").page(500);
    /// while let Some(reply) = pages.next().await? {
    ///     match reply {
    ///         StatementReply::Documents { documents, .. } => println!("{} more", documents.len()),
    ///         StatementReply::Answer { answer } => println!("{answer}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn statement_pages(&self, database: &str, text: &str) -> StatementPages {
        StatementPages {
            client: self.clone(),
            database: database.to_owned(),
            body: StatementBody {
                command: text.to_owned(),
                page: Some(PAGE_DOCUMENTS),
                cursor: None,
            },
            level: ReadLevel::default(),
            done: false,
        }
    }
}

/// Documents of one page by default.
const PAGE_DOCUMENTS: u64 = 500;

/// The answers to one statement, one after the other; created by [`Client::statement_pages`].
pub struct StatementPages {
    client: Client,
    database: String,
    body: StatementBody,
    level: ReadLevel,
    done: bool,
}

impl StatementPages {
    /// Limits the documents of a page, 500 by default.
    pub fn page(mut self, documents: u64) -> Self {
        self.body.page = Some(documents);
        self
    }

    /// Reading at another level.
    pub fn level(mut self, level: ReadLevel) -> Self {
        self.level = level;
        self
    }

    /// The next page, or the one answer of a statement that has no list as its result; `None` after
    /// the last.
    ///
    /// # Errors
    /// Those of [`Client::statement`]; the same page can be asked for again.
    pub async fn next(&mut self) -> Result<Option<StatementReply>> {
        if self.done {
            return Ok(None);
        }
        let call = statement_call(&self.database, &self.body, self.level);
        let reply: StatementReply = self.client.send(call).await?.json()?;
        self.body.cursor = match &reply {
            StatementReply::Documents { cursor, .. } => cursor.clone(),
            StatementReply::Answer { .. } => None,
        };
        self.done = self.body.cursor.is_none();
        Ok(Some(reply))
    }

    /// Whether the last page was returned. A statement that changes something is done with its
    /// first answer.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

fn statement_call(database: &str, body: &StatementBody, level: ReadLevel) -> Call {
    let call = Call::new(Method::POST, &["api", "command"]);
    let call = call.query("db", database).level(level).body(body).long().confirms();
    if only_reads(&body.command) { call.reads() } else { call }
}

/// Statements that change nothing, by their first word.
const READING_WORDS: [&str; 5] = ["SELECT", "FIND", "COUNT", "SHOW", "EXPLAIN"];
/// Operations of MongoDB's language that change nothing, whatever follows them.
const READING_OPERATIONS: [&str; 7] = [
    "find",
    "findOne",
    "countDocuments",
    "estimatedDocumentCount",
    "count",
    "distinct",
    "getIndexes",
];

/// Whether the beginning of a text proves that it changes nothing, so that it may be sent
/// again. A text without this proof, such as a pipeline with `$out`, counts as a change.
pub fn only_reads(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with("db.") {
        let first_call = text.split('(').next().unwrap_or_default().trim_end();
        let operation = first_call.rsplit('.').next().unwrap_or_default();
        return READING_OPERATIONS.contains(&operation.trim());
    }
    let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    READING_WORDS.iter().any(|word| first.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_again_only_when_its_beginning_proves_that_it_reads() {
        let table = [
            ("SELECT * FROM a", true),
            ("  find in a", true),
            ("explain delete from a", true),
            ("db.a.find({}).sort({a: 1})", true),
            ("db.a.b . countDocuments ()", true),
            ("db.a.aggregate([{$out: 'b'}])", false),
            ("db.a.findOneAndUpdate({}, {$inc: {a: 1}})", false),
            ("db.getCollection('a').find()", false),
            ("AGGREGATE IN a PIPELINE []", false),
            ("UPDATE a SET b = 1", false),
            ("-- a comment\nSELECT * FROM a", false),
            ("", false),
        ];
        for (text, expected) in table {
            assert_eq!(only_reads(text), expected, "{text}");
        }
    }
}
