//! The history of changes that feeds are served from.
//!
//! Apply writes down what it changes, with the document before and after, in the order of the
//! log: one row for the changes of one entry, or several when they are large. The leader
//! proposes to remove the oldest rows when they take more than they may, so the history is the
//! same on every node and a feed goes on at another node where it stopped.

use crate::catalog;
use crate::cbor;
use crate::document::Revision;
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::query::context::Context;
use crate::query::filter::Filter;
use crate::storage::{Read, Result, Table};
use crate::system::ASIDE;
use crate::value::{Value, parse_stored};
use minicbor::{CborLen, Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What was done to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode, CborLen)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum ChangeKind {
    /// It was added.
    #[n(0)]
    Insert,
    /// It was changed or replaced.
    #[n(1)]
    Update,
    /// It was deleted.
    #[n(2)]
    Delete,
    /// Its collection was dropped; the event names no document.
    #[n(3)]
    Drop,
    /// Its collection was renamed; the event names no document.
    #[n(4)]
    Rename,
}

/// What differs between two forms of a document, as in MongoDB's change streams.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Fields with another value, by their dotted path. Arrays are replaced as a whole.
    pub updated: serde_json::Map<String, serde_json::Value>,
    /// Fields that no longer exist.
    pub removed: Vec<String>,
}

pub(crate) const TOTALS_KEY: &[u8] = b"changes";

/// A place in the history: behind a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, CborLen)]
pub struct ResumeToken {
    /// Log index.
    #[n(0)]
    pub index: u64,
    /// Number of the change in its log entry.
    #[n(1)]
    pub number: u32,
}

impl ResumeToken {
    /// Behind everything that a log entry has changed.
    pub fn behind(index: u64) -> Self {
        ResumeToken { index, number: u32::MAX }
    }

    pub(crate) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.index.to_be_bytes());
        key[8..].copy_from_slice(&self.number.to_be_bytes());
        key
    }

    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        let (index, number) = key.split_first_chunk::<8>()?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        Some(ResumeToken { index: u64::from_be_bytes(*index), number })
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            u32::MAX => self.index.fmt(f),
            number => write!(f, "{}.{number}", self.index),
        }
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    fn from_str(text: &str) -> std::result::Result<Self, Error> {
        let parsed = match text.split_once('.') {
            None => text.parse().map(ResumeToken::behind),
            Some((index, number)) => index
                .parse()
                .and_then(|index| number.parse().map(|number| ResumeToken { index, number })),
        };
        parsed.map_err(|_| {
            Error::new(Kind::InvalidParameter, format!("{text:?} is not the token of a change"))
                .hint("pass the token of the last event that was received, or none")
        })
    }
}

/// One change, as it is stored.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct Change {
    /// Where it stands.
    #[n(0)]
    pub token: ResumeToken,
    /// What was done.
    #[n(1)]
    pub kind: ChangeKind,
    /// The database.
    #[n(2)]
    pub database: String,
    /// The collection.
    #[n(3)]
    pub collection: String,
    /// The document; none when the collection itself was changed.
    #[n(4)]
    pub id: Option<DocumentId>,
    /// Its revision after the change.
    #[n(5)]
    pub revision: Option<Revision>,
    /// When, in milliseconds since 1970.
    #[n(6)]
    pub time_ms: u64,
    /// By whom; none when the database did it itself.
    #[n(7)]
    pub user: Option<String>,
    /// JSON text of the document before; none when there was none.
    #[n(8)]
    pub before: Option<String>,
    /// JSON text of the document after; none when there is none.
    #[n(9)]
    pub after: Option<String>,
    /// The new name of a collection.
    #[n(10)]
    pub renamed_to: Option<String>,
}

/// How much history there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct HistoryTotals {
    /// Bytes of its rows.
    #[n(0)]
    pub bytes: u64,
    /// The newest change that is kept no longer.
    #[n(1)]
    pub forgotten: ResumeToken,
}

/// How much history there is.
pub fn totals(read: &impl Read) -> Result<HistoryTotals> {
    catalog::stored(read, Table::Meta, TOTALS_KEY).map(Option::unwrap_or_default)
}

/// The change at a place in the history, if it is kept.
pub(super) fn find(read: &impl Read, token: ResumeToken) -> Result<Option<Change>> {
    let mut rows = read.range(Table::Changes, &token.key(), &[0xff])?;
    let Some(row) = rows.next() else { return Ok(None) };
    let mut rest = row?.1;
    while !rest.is_empty() {
        let (change, behind) = cbor::take::<Change>(rest)?;
        if change.token >= token {
            return Ok((change.token == token).then_some(change));
        }
        rest = behind;
    }
    Ok(None)
}

/// What a feed is about.
#[derive(Debug, Clone)]
pub struct Interest {
    /// The database.
    pub database: String,
    /// The collection; none: all of the database.
    pub collection: Option<String>,
    /// What a document must match, before or after its change.
    pub filter: Option<Filter>,
}

/// A change of interest to a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedChange {
    /// The change.
    pub change: Change,
    /// Whether the document matches the feed's filter after it; none if there is no filter.
    pub matches: Option<bool>,
}

/// The next changes of interest behind a token, until they have `bytes_max` or 16 times as many
/// were looked through, and where to go on.
/// `upto` is the log index that the view shows.
///
/// # Errors
/// `too_old` when changes behind the token are kept no longer; `time_limit` of the context.
pub fn changes_behind(
    read: &impl Read,
    token: ResumeToken,
    upto: u64,
    interest: &Interest,
    bytes_max: usize,
    ctx: &Context<'_>,
) -> error::Result<(Vec<FeedChange>, ResumeToken)> {
    let HistoryTotals { forgotten, .. } = totals(read)?;
    if token < forgotten {
        let message = format!("the changes after {token} are not kept any more");
        return Err(Error::new(Kind::TooOld, message)
            .hint("read the collection anew, and watch from the log index of that answer")
            .details(serde_json::json!({"oldest": forgotten.to_string()})));
    }
    let (mut found, mut bytes, mut seen) = (Vec::new(), 0, 0);
    let start = crate::storage::keys::successor(token.key().to_vec());
    for row in read.range(Table::Changes, &start, &[0xff])? {
        let (key, mut rest) = row?;
        seen += rest.len();
        while !rest.is_empty() {
            ctx.step()?;
            let (change, behind) = cbor::take::<Change>(rest)?;
            rest = behind;
            if change.token <= token {
                continue;
            }
            if let Some(matches) = interest.in_change(&change, ctx)? {
                let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                bytes += 256 + size(&change.before) + size(&change.after);
                found.push(FeedChange { change, matches });
            }
        }
        // Only whole rows: a row is bounded, and its key is where to go on.
        if (bytes >= bytes_max || seen / 16 >= bytes_max)
            && let Some(token) = ResumeToken::from_key(key)
        {
            return Ok((found, token));
        }
    }
    Ok((found, ResumeToken::behind(upto).max(token)))
}

impl Interest {
    /// None when the change is of no interest; else whether the document matches after it.
    fn in_change(&self, change: &Change, ctx: &Context<'_>) -> error::Result<Option<Option<bool>>> {
        let named =
            |name: &String| *name == change.collection || Some(name) == change.renamed_to.as_ref();
        // A collection that is being filled to take another one's place is nobody's business.
        let aside = change.collection.starts_with(ASIDE) && change.kind != ChangeKind::Rename;
        if aside || self.database != change.database || !self.collection.as_ref().is_none_or(named)
        {
            return Ok(None);
        }
        let (Some(filter), Some(_)) = (&self.filter, &change.id) else { return Ok(Some(None)) };
        let matches = |text: &Option<String>| match text {
            None => Ok(false),
            Some(text) => match parse_stored(text.as_bytes()) {
                None => Err(Error::new(Kind::Internal, "a stored change cannot be read")),
                Some(document) => filter.matches(&document, ctx),
            },
        };
        let after = matches(&change.after)?;
        Ok((after || matches(&change.before)?).then_some(Some(after)))
    }
}

/// What leads from one form of a document to another. Objects are compared field by field,
/// everything else as a whole.
pub fn delta(before: &Value, after: &Value) -> Delta {
    let mut delta = Delta::default();
    compare("", before, after, &mut delta);
    delta
}

fn compare(path: &str, before: &Value, after: &Value, delta: &mut Delta) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return };
    let join = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    delta.removed.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| join(name)));
    for (name, value) in new {
        match old.get(name) {
            Some(known @ Value::Object(_)) if matches!(value, Value::Object(_)) => {
                compare(&join(name), known, value, delta);
            }
            // Values that are equal may have different texts: 1 and 1.0.
            Some(known) if known.to_json() == value.to_json() => {}
            _ => {
                let json = serde_json::from_str(&value.to_json()).unwrap_or_default();
                delta.updated.insert(join(name), json);
            }
        }
    }
}
