//! The keys of a document in an index.

use super::encode::{self, EMPTY_ARRAY, FieldEncoding};
use super::{is_long, shortened};
use crate::budget::steps_of;
use crate::error::{Error, Kind, Result};
use crate::query::context::Context;
use crate::query::path::{Path, PathStep};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Approximate size of a key in memory beside its bytes.
const KEY_MEMORY: usize = 128;

/// Keys that one document may have in one index.
const KEYS_MAX: usize = 10_000;

/// The encoded values of one index entry, and what is needed to take them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryInfo {
    /// Where the encoding of each value ends.
    pub ends: Vec<u16>,
    /// How each value is decoded.
    pub kept: Vec<FieldEncoding>,
}

/// All keys of a document.
#[derive(Debug, Default)]
pub struct DocumentKeys {
    /// The keys in order, without duplicates.
    pub entries: BTreeMap<Vec<u8>, EntryInfo>,
    /// Whether a path led through an array, or values were too long for a key.
    pub multikey: bool,
    /// The whole of those values of which a key may have only a hash.
    pub long: BTreeSet<Vec<u8>>,
}

/// One field of an index while its value is looked up.
#[derive(Clone, Copy)]
struct Cursor<'v> {
    value: Option<&'v Value>,
    steps: &'v [PathStep],
    /// Items of an array are not entered again.
    item: bool,
}

/// Finds the keys of `document` for the fields `paths`; `descending` holds the direction of each.
/// With `sparse`, a document that has none of the fields has no key.
///
/// An array on a path gives one key for each item, as in MongoDB's multikey indexes.
///
/// # Errors
/// `not_indexable` if two different arrays meet or a document has too many keys; `query_too_large`.
pub fn document_keys(
    document: &Value,
    paths: &[Path],
    descending: &[bool],
    sparse: bool,
    ctx: &Context<'_>,
) -> Result<DocumentKeys> {
    let keys = DocumentKeys::default();
    let mut found = KeyCollector { keys, paths, descending, sparse, ctx };
    let cursors = paths
        .iter()
        .map(|path| Cursor { value: Some(document), steps: path.steps(), item: false })
        .collect();
    expand(cursors, &mut found)?;
    Ok(found.keys)
}

/// The keys found so far, and the parameters of the search.
struct KeyCollector<'f> {
    keys: DocumentKeys,
    paths: &'f [Path],
    descending: &'f [bool],
    sparse: bool,
    ctx: &'f Context<'f>,
}

fn expand<'v>(mut cursors: Vec<Cursor<'v>>, found: &mut KeyCollector<'_>) -> Result<()> {
    // `a.0` is followed in two ways, so there may be far more ways than values.
    found.ctx.work(1 + cursors.len() as u64)?;
    for cursor in &mut cursors {
        while let ([step, rest @ ..], Some(value @ (Value::Object(_) | Value::Null))) =
            (cursor.steps, cursor.value)
        {
            cursor.value = value.as_object().and_then(|fields| fields.get(&step.name));
            (cursor.steps, cursor.item) = (rest, false);
        }
    }
    let arrays = cursors.iter().enumerate().filter_map(|(at, cursor)| match cursor.value {
        Some(Value::Array(items)) if !(cursor.item && cursor.steps.is_empty()) => Some((at, items)),
        _ => None,
    });
    let mut arrays = arrays.collect::<Vec<_>>().into_iter();
    let Some((first, items)) = arrays.next() else {
        return add(&cursors, found);
    };
    if let Some((other, _)) = arrays.find(|(_, other)| !std::ptr::eq(*other, items)) {
        let message = format!(
            "{} and {} are both arrays; one document may have one array in a compound index",
            found.paths[first].as_str(),
            found.paths[other].as_str()
        );
        return Err(Error::new(Kind::NotIndexable, message)
            .hint("index the two fields separately, or keep one of them as a plain value"));
    }
    found.keys.multikey = true;
    let inside = |cursor: &Cursor<'v>| match cursor.value {
        Some(Value::Array(other)) => {
            std::ptr::eq(other, items) && !(cursor.item && cursor.steps.is_empty())
        }
        _ => false,
    };
    if items.is_empty() {
        let empty = |cursor: &Cursor<'v>| match inside(cursor) {
            true if cursor.steps.is_empty() => Cursor { item: true, ..*cursor },
            true => Cursor { value: None, steps: &[], item: false },
            false => *cursor,
        };
        return expand(cursors.iter().map(empty).collect(), found);
    }
    for (index, item) in items.iter().enumerate() {
        let enter = |cursor: &Cursor<'v>| match inside(cursor) {
            // A plain item has no fields.
            true if !cursor.steps.is_empty() && !matches!(item, Value::Object(_)) => {
                Cursor { value: None, steps: &[], item: false }
            }
            true => Cursor { value: Some(item), item: true, ..*cursor },
            false => *cursor,
        };
        let positional = |cursor: &Cursor<'v>| match cursor.steps.split_first() {
            Some((step, rest)) if inside(cursor) && step.index == Some(index) => {
                Some(Cursor { value: Some(item), steps: rest, item: false })
            }
            _ => None,
        };
        let entered = |positions: bool| {
            let each = cursors.iter().map(|cursor| match positions {
                true => positional(cursor).unwrap_or_else(|| enter(cursor)),
                false => enter(cursor),
            });
            each.collect::<Vec<_>>()
        };
        expand(entered(false), found)?;
        // `a.0` means the first item as well as the field "0" of the items.
        if cursors.iter().any(|cursor| positional(cursor).is_some()) {
            expand(entered(true), found)?;
        }
    }
    Ok(())
}

fn add(cursors: &[Cursor<'_>], found: &mut KeyCollector<'_>) -> Result<()> {
    let KeyCollector { keys, descending, sparse, ctx, .. } = found;
    // A path that ends at a plain value before its last step has no value.
    let values = cursors.iter().map(|cursor| cursor.value.filter(|_| cursor.steps.is_empty()));
    let values: Vec<_> = values.collect();
    if *sparse && values.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut key = Vec::with_capacity(16 * values.len());
    let mut ends = Vec::with_capacity(values.len());
    for ((value, cursor), descending) in values.iter().zip(cursors).zip(*descending) {
        let start = key.len();
        match value {
            Some(Value::Array(items)) if items.is_empty() && cursor.item => key.push(EMPTY_ARRAY),
            Some(value) => encode::encode(value, &mut key),
            None => encode::encode(&Value::Null, &mut key),
        }
        if *descending {
            encode::reverse(&mut key[start..]);
        }
        ends.push(u16::try_from(key.len()).unwrap_or(u16::MAX));
    }
    ctx.work(steps_of(key.len()))?;
    ctx.charge(KEY_MEMORY + key.len(), "the keys of documents in an index")?;
    let mut kept: Vec<_> = values.iter().map(|value| FieldEncoding::of(*value)).collect();
    if is_long(&key) {
        ctx.charge(KEY_MEMORY + key.len(), "the keys of documents in an index")?;
        keys.long.insert(key.clone());
    }
    if let Some(short) = shortened(&key) {
        key = short;
        keys.multikey = true;
        kept.fill(FieldEncoding::Lost);
        ends.iter_mut().for_each(|end| *end = usize::from(*end).min(key.len()) as u16);
    }
    keys.entries.entry(key).or_insert(EntryInfo { ends, kept });
    if keys.entries.len() > KEYS_MAX {
        let message =
            format!("a document may have {KEYS_MAX} keys in an index; an array is longer");
        return Err(Error::new(Kind::NotIndexable, message)
            .hint("keep long lists in documents of their own"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
