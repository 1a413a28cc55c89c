//! Cursors: the position at which the next page begins. They hold all that is needed to go on, so
//! no node keeps them.

use crate::engine::DocumentId;
use crate::engine::query::context::At;
use crate::engine::query::position::Position;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(json: serde_json::Value) -> Value {
        from_json(json, At::root("value")).unwrap()
    }

    #[test]
    fn a_cursor_keeps_the_type_of_every_value() {
        let values = [
            json!({"$minKey": 1}),
            json!(null),
            json!(5),
            json!({"$numberLong": "5"}),
            json!(5.0),
            json!(-0.0),
            json!({"$numberDouble": "NaN"}),
            json!({"$numberDecimal": "-0.00"}),
            json!({"$numberDecimal": "NaN"}),
            json!({"$numberDecimal": "Infinity"}),
            json!({"$numberDecimal": "9.999999999999999999999999999999999E+6144"}),
            json!("a\u{0}"),
            json!({"b": 1, "a": {"$numberLong": "1"}}),
            json!([1, {"$numberLong": "1"}, []]),
            json!({"$binary": {"base64": "AQI=", "subType": "80"}}),
            json!({"$oid": "0123456789abcdef01234567"}),
            json!(true),
            json!({"$date": {"$numberLong": "-62135596800001"}}),
            json!({"$timestamp": {"t": 4_294_967_295_u32, "i": 1}}),
            json!({"$regularExpression": {"pattern": "^a", "options": "i"}}),
            json!({"$code": "x"}),
            json!({"$code": "x", "$scope": {"n": {"$numberLong": "1"}}}),
            json!({"$maxKey": 1}),
        ]
        .map(value);
        let text = |values: &[Value]| values.iter().map(Value::to_json).collect::<Vec<_>>();
        for id in values.iter().filter_map(|value| DocumentId::new(value.clone())) {
            let before = Position { values: values.to_vec(), id: id.clone() };
            let cursor = cursor_text(7, before, Some(3)).unwrap();
            let (after, left) = parse_cursor(&cursor, 7).unwrap();
            assert_eq!(text(&after.values), text(&values));
            assert_eq!((after.id.to_json(), left), (id.to_json(), Some(3)));
            assert!(parse_cursor(&cursor, 8).is_err());
        }
    }
}
