//! The order of documents.

use super::context::{At, Context, Fields};
use super::path::Path;
use crate::budget::steps_of;
use crate::error::Result;
use crate::value::{Object, Value, compare};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Keys of one order.
const KEYS_MAX: usize = 32;

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending; written 1.
    Ascending,
    /// Descending; written -1.
    Descending,
}

impl Direction {
    /// The order in this direction.
    pub fn apply(self, order: Ordering) -> Ordering {
        match self {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        }
    }
}

/// An order of documents: by the first key, then by the second, and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sort {
    /// Paths with their directions; none keeps the order of the input.
    pub keys: Vec<(Path, Direction)>,
}

impl Sort {
    /// Parses MongoDB's form: `{"age": -1, "name": 1}`.
    ///
    /// # Errors
    /// `invalid_query` below `at` for a direction other than 1 and -1, a bad path, and more than
    /// 32 keys.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Sort> {
        let Value::Object(fields) = value else {
            return Err(at.invalid("must be an object, such as {\"age\": -1, \"name\": 1}"));
        };
        if fields.len() > KEYS_MAX {
            return Err(at.invalid(format!("must have {KEYS_MAX} keys at most")));
        }
        let key = |(name, direction): (&String, &Value)| {
            let direction = match direction.as_int() {
                Some(1) => Direction::Ascending,
                Some(-1) => Direction::Descending,
                _ => return Err(at.key(name).invalid("must be 1 (ascending) or -1 (descending)")),
            };
            Ok((Path::parse(name, at)?, direction))
        };
        Ok(Sort { keys: fields.iter().map(key).collect::<Result<_>>()? })
    }

    /// Parses the short form of an HTTP parameter: `age,-name`.
    ///
    /// # Errors
    /// As [`Sort::parse`], and for a duplicate name.
    pub fn from_names(text: &str, at: At<'_>) -> Result<Sort> {
        Sort::parse(&Value::Object(signed_names(text, -1, at)?), at)
    }

    /// The order in MongoDB's form.
    pub fn to_value(&self) -> Value {
        let keys = self.keys.iter().map(|(path, direction)| {
            let direction = direction.apply(Ordering::Greater) as i64;
            (path.as_str().to_owned(), Value::from(direction))
        });
        Value::Object(keys.collect())
    }

    /// Adds the fields that it reads.
    pub fn fields(&self, fields: &mut Fields) {
        self.keys.iter().for_each(|(path, _)| fields.add(path.as_str()));
    }

    /// The sort key of a document, a value for each path. A missing value counts as null. Of an
    /// array the smallest item counts ascending, the largest descending; an empty array stays one,
    /// which [`Sort::compare_keys`] orders before null.
    pub fn key(&self, document: &Value) -> Vec<Value> {
        self.keys.iter().map(|(path, direction)| key(path, *direction, document)).collect()
    }

    /// Compares the keys of two documents.
    pub fn compare_keys(&self, a: &[Value], b: &[Value]) -> Ordering {
        let keys = self.keys.iter().zip(a.iter().zip(b));
        keys.map(|((_, direction), (a, b))| direction.apply(compare_key(a, b)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Compares two values of sort keys: as values, but empty arrays come first.
fn compare_key(a: &Value, b: &Value) -> Ordering {
    let full = |value: &Value| value.as_array().is_none_or(|items| !items.is_empty());
    full(a).cmp(&full(b)).then_with(|| compare(a, b))
}

fn key(path: &Path, direction: Direction, document: &Value) -> Value {
    let mut best: Option<&Value> = None;
    let mut offer = |value| {
        if best.is_none_or(|best| direction.apply(compare_key(value, best)).is_lt()) {
            best = Some(value);
        }
    };
    path.any(document, |value| {
        match value {
            Some(Value::Array(items)) if !items.is_empty() => items.iter().for_each(&mut offer),
            found => offer(found.unwrap_or(&Value::Null)),
        }
        false
    });
    best.cloned().unwrap_or_default()
}

/// The names of a comma-separated list, each with 1, or with `minus` if it has a leading minus.
pub(super) fn signed_names(text: &str, minus: i64, at: At<'_>) -> Result<Object> {
    let mut names = Object::new();
    for name in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let (name, sign) = match name.strip_prefix('-') {
            Some(name) => (name, minus),
            None => (name, 1),
        };
        if names.insert(name.to_owned(), Value::from(sign)).is_some() {
            return Err(at.invalid(format!("has the name {name:?} twice")));
        }
    }
    Ok(names)
}

/// A document with its key and its position in the input.
struct SortItem<'s, T> {
    sort: &'s Sort,
    key: Vec<Value>,
    place: usize,
    item: T,
}

impl<T: Borrow<Value>> SortItem<'_, T> {
    fn key_bytes(&self) -> usize {
        size_of::<Self>() + self.key.iter().map(Value::bytes).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        self.key_bytes() + self.item.borrow().bytes()
    }
}

impl<T> Ord for SortItem<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort.compare_keys(&self.key, &other.key).then(self.place.cmp(&other.place))
    }
}

impl<T> PartialOrd for SortItem<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for SortItem<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for SortItem<'_, T> {}

/// Sorts documents; the sort is stable. With a limit it keeps only the first ones. The
/// [`Value::bytes`] of the returned documents stay charged to `ctx`; the caller releases them with
/// the documents.
///
/// # Errors
/// The first error among the items, the end of the time, and `query_too_large` if the documents
/// need more memory than the query may use.
pub fn sort_documents<T: Borrow<Value>>(
    items: impl IntoIterator<Item = Result<T>>,
    sort: &Sort,
    limit: Option<usize>,
    ctx: &Context<'_>,
) -> Result<Vec<T>> {
    let limit = limit.unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    // The last of the kept documents is on top, to be replaced by an earlier one.
    let mut kept: BinaryHeap<SortItem<'_, T>> = BinaryHeap::new();
    for (place, item) in items.into_iter().enumerate() {
        ctx.step()?;
        let item = item?;
        let ranked = SortItem { sort, key: sort.key(item.borrow()), place, item };
        if kept.len() >= limit {
            if kept.peek().is_some_and(|worst| *worst < ranked) {
                continue;
            }
            if let Some(worst) = kept.pop() {
                ctx.release(worst.bytes());
            }
        }
        ctx.charge(ranked.bytes(), "the sort")?;
        // It is compared with some of the others.
        ctx.work(4 * steps_of(ranked.key_bytes()))?;
        kept.push(ranked);
    }
    let sorted = kept.into_sorted_vec().into_iter().map(|ranked| {
        ctx.release(ranked.key_bytes());
        ranked.item
    });
    Ok(sorted.collect())
}

#[cfg(test)]
#[path = "sort_tests.rs"]
mod tests;
