//! `$out` and `$merge`: where the result of a pipeline is written.

use super::super::context::At;
use super::super::path::Path;
use super::read;
use crate::error::Result;
use crate::value::Value;

/// Where the result is written, instead of being returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// It replaces a collection.
    Out {
        /// The collection.
        collection: String,
    },
    /// It goes into a collection, document by document.
    Merge {
        /// The collection.
        into: String,
        /// Paths that identify the document of the collection.
        on: Vec<String>,
        /// What to do if it exists.
        when_matched: WhenMatched,
        /// What to do if it does not exist.
        when_not_matched: WhenNotMatched,
    },
}

/// What `$merge` does with an existing document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMatched {
    /// Replace it.
    Replace,
    /// Leave it unchanged.
    KeepExisting,
    /// Set the fields of the new one in it.
    Merge,
    /// End with an error.
    Fail,
}

/// What `$merge` does if the document does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenNotMatched {
    /// Insert it.
    Insert,
    /// Discard the new one.
    Discard,
    /// End with an error.
    Fail,
}

const WHEN_MATCHED: &[(&str, WhenMatched)] = &[
    ("merge", WhenMatched::Merge),
    ("replace", WhenMatched::Replace),
    ("keepExisting", WhenMatched::KeepExisting),
    ("fail", WhenMatched::Fail),
];

const WHEN_NOT_MATCHED: &[(&str, WhenNotMatched)] = &[
    ("insert", WhenNotMatched::Insert),
    ("discard", WhenNotMatched::Discard),
    ("fail", WhenNotMatched::Fail),
];

impl Output {
    /// Parses the name of a collection.
    ///
    /// # Errors
    /// `invalid_query` for anything else.
    pub(super) fn parse_out(value: &Value, at: At<'_>) -> Result<Output> {
        let collection = read::text(value, at)
            .map_err(|_| at.invalid("must be the name of a collection of this database"))?;
        Ok(Output::Out { collection: collection.to_owned() })
    }

    /// Parses the name of a collection, or `{"into", "on", "whenMatched", "whenNotMatched"}`.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape.
    pub(super) fn parse_merge(value: &Value, at: At<'_>) -> Result<Output> {
        let name_only;
        let fields = match value {
            Value::String(_) => {
                name_only = [("into".to_owned(), value.clone())].into();
                &name_only
            }
            _ => read::object(value, &["into", "on", "whenMatched", "whenNotMatched"], at)?,
        };
        let into = read::text(read::required(fields, "into", at)?, at.key("into"))?.to_owned();
        let on_at = at.key("on");
        let path = |value: &Value, at: At<'_>| {
            Ok(Path::parse(read::text(value, at)?, at)?.as_str().to_owned())
        };
        let on = match fields.get("on") {
            None => vec!["_id".to_owned()],
            Some(Value::Array(paths)) if !paths.is_empty() => {
                let paths = paths.iter().enumerate();
                paths.map(|(index, item)| path(item, on_at.index(index))).collect::<Result<_>>()?
            }
            Some(one) => vec![path(one, on_at)?],
        };
        let when_matched = fields.get("whenMatched").map_or(Ok(WhenMatched::Merge), |value| {
            read::choice(value, WHEN_MATCHED, at.key("whenMatched"))
        })?;
        let when_not_matched =
            fields.get("whenNotMatched").map_or(Ok(WhenNotMatched::Insert), |value| {
                read::choice(value, WHEN_NOT_MATCHED, at.key("whenNotMatched"))
            })?;
        Ok(Output::Merge { into, on, when_matched, when_not_matched })
    }
}
