//! Positions in the order of the results of a query.

use super::exec::FoundDocument;
use super::plan::Order;
use super::sort::Sort;
use crate::id::DocumentId;
use crate::value::Value;
use std::cmp::Ordering;

/// A position in the order of the results: after the document with these sort values and `_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Values of the fields of the sort before `_id`.
    pub values: Vec<Value>,
    /// The `_id`.
    pub id: DocumentId,
}

/// The position of a document in the order of a sort.
pub fn position(found: &FoundDocument<'_>, sort: Option<&Sort>) -> Option<Position> {
    let values = match sort {
        Some(sort) => {
            let mut values = sort.key(&found.fields);
            values.truncate(Order::of(Some(sort)).fields.len());
            values
        }
        None => Vec::new(),
    };
    Some(Position { values, id: found.id()? })
}

/// Compares a document with a position in the order of a sort.
pub(super) fn compare_position(
    found: &FoundDocument<'_>,
    after: &Position,
    sort: Option<&Sort>,
) -> Ordering {
    match position(found, sort) {
        Some(position) => compare_positions(&position, after, sort),
        None => Ordering::Less,
    }
}

/// Compares two positions in the order of a sort.
pub(super) fn compare_positions(a: &Position, b: &Position, sort: Option<&Sort>) -> Ordering {
    let values = sort.map_or(Ordering::Equal, |sort| sort.compare_keys(&a.values, &b.values));
    values.then_with(|| match Order::of(sort).id_descending {
        true => b.id.cmp(&a.id),
        false => a.id.cmp(&b.id),
    })
}
