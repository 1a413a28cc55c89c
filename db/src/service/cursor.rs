//! Cursors: the position at which the next page begins. They hold all that is needed to go on, so
//! no node keeps them.

use crate::engine::DocumentId;
use crate::engine::query::context::At;
use crate::engine::query::exec::Position;
use crate::engine::value::{Value, from_json};
use crate::error::{Error, Kind, Result};
use base64::Engine;
use serde::{Deserialize, Serialize};

const CURSOR: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a cursor holds.
#[derive(Serialize)]
struct Content {
    query: u64,
    id: DocumentId,
    values: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

#[derive(Deserialize)]
struct ContentText {
    query: u64,
    id: DocumentId,
    values: Vec<serde_json::Value>,
    left: Option<u64>,
}

/// The cursor of a query for what comes after a position, `left` documents at most.
pub(super) fn cursor_text(query: u64, after: Position, left: Option<u64>) -> Option<String> {
    let Position { values, id } = after;
    Some(CURSOR.encode(serde_json::to_vec(&Content { query, id, values, left }).ok()?))
}

/// Where a page begins, and how many documents are left for it and those after it.
pub(super) fn parse_cursor(text: &str, query: u64) -> Result<(Position, Option<u64>)> {
    let decoded = CURSOR.decode(text).ok();
    let content: Option<ContentText> =
        decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(content) = content else {
        let message = format!("cursor={text} was not made by this database");
        return Err(Error::new(Kind::InvalidParameter, message)
            .hint("pass the cursor of the page before, or none for the first page"));
    };
    if content.query != query {
        return Err(Error::new(Kind::InvalidParameter, "the cursor belongs to another query")
            .hint("pass the filter and sort of the page before, or no cursor"));
    }
    let values = content.values.into_iter().map(|json| from_json(json, At::root("cursor")));
    Ok((Position { values: values.collect::<Result<_>>()?, id: content.id }, content.left))
}
