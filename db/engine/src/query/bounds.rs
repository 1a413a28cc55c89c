//! From tests on fields to ranges of index keys.
//!
//! A range holds every document that can match, and perhaps more: its reader applies the whole
//! filter again.

use super::filter::{Filter, Pattern, Test};
use super::path::Path;
use crate::index::encode::{self, FieldEncoding};
use crate::index::{Index, is_exact_range, widened};
use crate::storage::keys::{self, CollectionId};
use crate::value::{Value, number};

/// Ranges that one scan may be split into; beyond that, further fields are not used.
const RANGES_MAX: usize = 2_000;

/// Comparisons of a filter with that of a partial index; beyond that, the index is not used.
const COMPARISONS_MAX: usize = 100_000;

/// One side of an interval of encoded values.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edge {
    /// Before the values of a class.
    ClassStart(u8),
    /// After the values of a class.
    ClassEnd(u8),
    /// Before a value, or before all texts with a prefix.
    Before(Vec<u8>),
    /// After a value.
    After(Vec<u8>),
    /// After all texts with a prefix.
    AfterTexts(Vec<u8>),
}

impl Edge {
    /// The first key at or after the edge, in an ascending field.
    fn ascending(&self) -> Vec<u8> {
        match self {
            Edge::ClassStart(class) => vec![*class],
            Edge::ClassEnd(class) => vec![class + 1],
            Edge::Before(value) => value.clone(),
            Edge::After(value) | Edge::AfterTexts(value) => [value, &[0xff][..]].concat(),
        }
    }

    /// The same edge seen from the other side, in a descending field.
    fn descending(&self) -> Vec<u8> {
        let turned = |value: &[u8]| value.iter().map(|byte| !byte).collect::<Vec<_>>();
        match self {
            Edge::ClassStart(class) => vec![!class + 1],
            Edge::ClassEnd(class) => vec![!class],
            // The end of a text, inverted, is 0xff too.
            Edge::Before(value) => [&turned(value)[..], &[0xff, 0xff]].concat(),
            Edge::After(value) | Edge::AfterTexts(value) => turned(value),
        }
    }
}

/// Values between two edges.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interval {
    low: Edge,
    high: Edge,
}

impl Interval {
    fn point(value: &Value) -> Self {
        let encoded = encoded(value);
        Interval { low: Edge::Before(encoded.clone()), high: Edge::After(encoded) }
    }

    fn is_point(&self) -> bool {
        matches!((&self.low, &self.high), (Edge::Before(low), Edge::After(high)) if low == high)
    }

    fn intersect(&self, other: &Interval) -> Interval {
        let low = [&self.low, &other.low].into_iter().max_by_key(|edge| edge.ascending());
        let high = [&self.high, &other.high].into_iter().min_by_key(|edge| edge.ascending());
        Interval { low: low.unwrap_or(&self.low).clone(), high: high.unwrap_or(&self.high).clone() }
    }

    /// The form in `explain`: `[1, 5)`.
    fn text(&self) -> String {
        let value = |bytes: &[u8]| {
            // A prefix of texts lacks the end of a text.
            encode::decode(bytes, FieldEncoding::Int)
                .or_else(|| encode::decode(&[bytes, &[0]].concat(), FieldEncoding::Int))
                .map_or_else(|| "…".to_owned(), |value| value.to_json())
        };
        let low = match &self.low {
            Edge::ClassStart(_) | Edge::ClassEnd(_) => "[first".into(),
            Edge::Before(bytes) => format!("[{}", value(bytes)),
            Edge::After(bytes) | Edge::AfterTexts(bytes) => format!("({}", value(bytes)),
        };
        let high = match &self.high {
            Edge::ClassStart(_) | Edge::ClassEnd(_) => "last]".into(),
            Edge::Before(bytes) => format!("{})", value(bytes)),
            Edge::After(bytes) => format!("{}]", value(bytes)),
            Edge::AfterTexts(bytes) => format!("{}…)", value(bytes)),
        };
        format!("{low}, {high}")
    }

    fn keys(&self, descending: bool) -> (Vec<u8>, Vec<u8>) {
        match descending {
            false => (self.low.ascending(), self.high.ascending()),
            true => (self.high.descending(), self.low.descending()),
        }
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::encode(value, &mut bytes);
    bytes
}

/// The intervals that a test allows; `None` if it does not restrict the value.
fn intervals(test: &Test) -> Option<Vec<Interval>> {
    let of_class = |value: &Value| {
        let class = value.class() as u8;
        (Edge::ClassStart(class), Edge::ClassEnd(class))
    };
    // The ends of the order are compared with values of all classes.
    let comparable =
        |value: &Value| !matches!(value, Value::Array(_) | Value::MinKey | Value::MaxKey);
    let is_point = |value: &Value| !matches!(value, Value::Array(_));
    let one = |low, high| Some(vec![Interval { low, high }]);
    match test {
        Test::Eq(value) if is_point(value) => Some(vec![Interval::point(value)]),
        Test::Gt(value) if comparable(value) => one(Edge::After(encoded(value)), of_class(value).1),
        Test::Gte(value) if comparable(value) => {
            one(Edge::Before(encoded(value)), of_class(value).1)
        }
        Test::Lt(value) if comparable(value) => {
            one(of_class(value).0, Edge::Before(encoded(value)))
        }
        Test::Lte(value) if comparable(value) => {
            one(of_class(value).0, Edge::After(encoded(value)))
        }
        Test::In(values, patterns) => {
            let points = values.iter().map(|v| is_point(v).then(|| vec![Interval::point(v)]));
            let texts = patterns.iter().map(pattern_intervals);
            normalized(points.chain(texts).collect::<Option<Vec<_>>>()?.concat())
        }
        Test::Exists(false) => Some(vec![Interval::point(&Value::Null)]),
        Test::Regex(pattern) => pattern_intervals(pattern),
        Test::All(tests) => tests.iter().find_map(intervals),
        Test::ElemMatchValue(tests) => all_of(tests.iter()),
        _ => None,
    }
}

/// The texts that a pattern can match, and the value that is this regular expression itself.
fn pattern_intervals(pattern: &Pattern) -> Option<Vec<Interval>> {
    let prefix = pattern.literal_prefix()?;
    let mut start = encoded(&Value::String(prefix));
    start.pop(); // the end of the text
    let texts = Interval { low: Edge::Before(start.clone()), high: Edge::AfterTexts(start) };
    Some(vec![texts, Interval::point(&pattern.to_value())])
}

/// Sorts them and removes duplicates. The intervals are points and texts, which may be nested.
fn normalized(mut all: Vec<Interval>) -> Option<Vec<Interval>> {
    all.sort_by_key(|interval| interval.low.ascending());
    let mut kept: Vec<Interval> = Vec::with_capacity(all.len());
    for interval in all {
        match kept.last_mut() {
            Some(last) if interval.low.ascending() < last.high.ascending() => {
                if interval.high.ascending() > last.high.ascending() {
                    last.high = interval.high;
                }
            }
            _ => kept.push(interval),
        }
    }
    Some(kept)
}

/// The intersection of what some tests allow.
fn all_of<'t>(tests: impl Iterator<Item = &'t Test>) -> Option<Vec<Interval>> {
    tests.filter_map(intervals).reduce(|a, b| common(&a, &b))
}

/// The intersection of two lists of intervals.
fn common(a: &[Interval], b: &[Interval]) -> Vec<Interval> {
    overlaps(a, b, Interval::intersect, |interval| {
        (interval.low.ascending(), interval.high.ascending())
    })
}

/// The intersection of two lists of intervals. Both are sorted and disjoint, so one walk along them
/// is enough.
fn overlaps<T>(
    a: &[T],
    b: &[T],
    intersect: impl Fn(&T, &T) -> T,
    edges: impl Fn(&T) -> (Vec<u8>, Vec<u8>),
) -> Vec<T> {
    let (mut found, mut a, mut b) = (Vec::new(), a.iter().peekable(), b.iter().peekable());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let both = intersect(left, right);
        let (start, end) = edges(&both);
        if start < end {
            found.push(both);
        }
        match edges(left).1 <= edges(right).1 {
            true => a.next(),
            false => b.next(),
        };
    }
    found
}

/// A test that every matching document passes, and its path.
struct Condition<'f> {
    path: String,
    test: &'f Test,
}

fn conditions(filter: &Filter) -> Vec<Condition<'_>> {
    fn collect<'f>(filter: &'f Filter, prefix: &str, found: &mut Vec<Condition<'f>>) {
        match filter {
            Filter::And(all) => all.iter().for_each(|part| collect(part, prefix, found)),
            // In an $elemMatch a number may mean an item of the item, as in [[5]]; after the
            // array's name it means an item of the array itself, and so do the keys of an index.
            Filter::Field(path, _) if !prefix.is_empty() && path.steps()[0].index.is_some() => {}
            Filter::Field(path, Test::ElemMatch(inner)) => {
                collect(inner, &format!("{prefix}{}.", path.as_str()), found);
            }
            Filter::Field(path, test) => {
                found.push(Condition { path: format!("{prefix}{}", path.as_str()), test });
            }
            Filter::Or(_) | Filter::Nor(_) | Filter::Expr(_) => {}
        }
    }
    let mut found = Vec::new();
    collect(filter, "", &mut found);
    found
}

/// The ranges of the keys of an index that a filter needs.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexBounds {
    /// Start (inclusive) and end (exclusive); sorted and disjoint.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Leading fields that have one value in all ranges.
    pub equal_fields: usize,
    /// Leading fields that are bounded at all.
    pub bounded_fields: usize,
    /// Whether every range is one value of all bounded fields.
    pub points: bool,
    /// For each bounded field its intervals, for `explain`.
    pub text: Vec<(String, Vec<String>)>,
}

/// The ranges of `index` for a filter.
pub fn index_bounds(index: &Index, filter: &Filter) -> IndexBounds {
    let conditions = conditions(filter);
    let mut bounds = IndexBounds {
        ranges: vec![(index.start(), index.start())],
        equal_fields: 0,
        bounded_fields: 0,
        points: true,
        text: Vec::new(),
    };
    let mut used: Vec<&str> = Vec::new();
    for (path, descending) in index.paths.iter().zip(&index.descending) {
        let found = field_intervals(index, path, &conditions, &used);
        let Some(found) = found.filter(|found| found.len() * bounds.ranges.len() <= RANGES_MAX)
        else {
            break;
        };
        used.push(path.first());
        let points = found.iter().all(Interval::is_point);
        if points && found.len() == 1 && bounds.equal_fields == bounds.bounded_fields {
            bounds.equal_fields += 1;
        }
        bounds.bounded_fields += 1;
        let text = found.iter().take(20).map(Interval::text).collect();
        bounds.text.push((path.as_str().to_owned(), text));
        extend(&mut bounds.ranges, &found, *descending);
        if !points {
            bounds.points = false;
            break;
        }
    }
    if bounds.bounded_fields == 0 {
        bounds.points = false;
        bounds.ranges = vec![(index.start(), index.end())];
    } else if bounds.points {
        bounds.ranges.iter_mut().for_each(|(_, end)| end.push(0xff));
    }
    bounds.ranges = joined(bounds.ranges.into_iter().map(widened));
    bounds
}

/// Sorted ranges without those that begin before the end of another.
fn joined(ranges: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut joined: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(ranges.size_hint().0);
    for (start, end) in ranges {
        match joined.last_mut() {
            Some((_, last)) if start < *last => {
                if end > *last {
                    *last = end;
                }
            }
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Appends the intervals of a field to ranges that are points so far; points stay without their
/// last byte, so that the next field can be appended.
fn extend(ranges: &mut Vec<(Vec<u8>, Vec<u8>)>, found: &[Interval], descending: bool) {
    let points = found.iter().all(Interval::is_point);
    let mut extended = Vec::with_capacity(ranges.len() * found.len());
    for (start, _) in ranges.iter() {
        let each = found.iter().map(|interval| {
            let (low, high) = interval.keys(descending);
            let high = if points { low.clone() } else { high };
            ([&start[..], &low].concat(), [&start[..], &high].concat())
        });
        extended.extend(each);
    }
    extended.sort();
    *ranges = extended;
}

/// The best intervals for one field.
fn field_intervals(
    index: &Index,
    path: &Path,
    conditions: &[Condition<'_>],
    used: &[&str],
) -> Option<Vec<Interval>> {
    let here = conditions.iter().filter(|condition| condition.path == path.as_str());
    if !index.entry.multikey {
        return all_of(here.map(|condition| condition.test));
    }
    // In a multikey index two conditions may be met by two different items, even those of one
    // $elemMatch, whose item may hold arrays itself. So only one of them counts, and only one of
    // several fields below the same array.
    if used.contains(&path.first()) {
        return None;
    }
    // An item without the field passes as null, and a sparse index has no key for that item.
    let without_key = |found: &Vec<Interval>| {
        index.entry.spec.sparse && !common(found, &[Interval::point(&Value::Null)]).is_empty()
    };
    let candidates = here.filter_map(|condition| intervals(condition.test));
    let candidates = candidates.filter(|found| !without_key(found));
    candidates.min_by_key(|found| (!found.iter().all(Interval::is_point), found.len()))
}

/// Whether every document that matches `filter` is in the index, although it is sparse or partial.
pub fn index_is_complete(index: &Index, filter: &Filter) -> bool {
    let conditions = conditions(filter);
    // The document surely has the field if a missing value cannot pass a test.
    let surely_has = |path: &str| {
        conditions.iter().filter(|condition| condition.path == path).any(
            |condition| match condition.test {
                Test::Exists(exists) => *exists,
                Test::Eq(value) => *value != Value::Null,
                Test::In(values, _) => !values.contains(&Value::Null),
                // A missing value is above MinKey and below MaxKey, as null is.
                Test::Gt(value) => *value != Value::MinKey,
                Test::Gte(value) => !matches!(value, Value::Null | Value::MinKey),
                Test::Lt(value) => *value != Value::MaxKey,
                Test::Lte(value) => !matches!(value, Value::Null | Value::MaxKey),
                Test::Regex(_) | Test::Mod(..) | Test::Size(_) => true,
                _ => false,
            },
        )
    };
    let sparse =
        index.entry.spec.sparse && !index.paths.iter().any(|path| surely_has(path.as_str()));
    let partial = index.partial.as_ref().is_some_and(|partial| {
        let wanted = parts(partial);
        let many = wanted.len().saturating_mul(parts(filter).len()) > COMPARISONS_MAX;
        many || !wanted.iter().all(|part| implied(part, filter, &conditions, &surely_has))
    });
    !sparse && !partial
}

fn parts(filter: &Filter) -> Vec<&Filter> {
    match filter {
        Filter::And(all) => all.iter().flat_map(parts).collect(),
        one => vec![one],
    }
}

/// Whether a filter implies `part`.
fn implied(
    part: &Filter,
    filter: &Filter,
    conditions: &[Condition<'_>],
    surely_has: &dyn Fn(&str) -> bool,
) -> bool {
    if parts(filter).contains(&part) {
        return true;
    }
    let Filter::Field(path, test) = part else { return false };
    if *test == Test::Exists(true) {
        return surely_has(path.as_str());
    }
    let Some(wanted) = intervals(test).filter(|_| exact(test)) else { return false };
    let mut here = conditions.iter().filter(|condition| condition.path == path.as_str());
    here.any(|condition| {
        exact(condition.test)
            && intervals(condition.test).is_some_and(|found| {
                if found.len().saturating_mul(wanted.len()) > COMPARISONS_MAX {
                    return false;
                }
                let inside =
                    |narrow: &Interval| wanted.iter().any(|wide| wide.intersect(narrow) == *narrow);
                found.iter().all(inside)
            })
    })
}

/// Whether the intervals of a test hold exactly the values that pass it. Null is excluded: it
/// stands for missing fields too.
fn exact(test: &Test) -> bool {
    let plain = |value: &Value| {
        let special =
            matches!(value, Value::Null | Value::Array(_) | Value::MinKey | Value::MaxKey);
        !special && !number::is_nan(value)
    };
    match test {
        Test::Eq(value) | Test::Gt(value) | Test::Gte(value) => plain(value),
        // NaN lies below every number in the order and passes none of these two.
        Test::Lt(value) | Test::Lte(value) => plain(value) && !value.is_number(),
        Test::In(values, patterns) => patterns.is_empty() && values.iter().all(plain),
        _ => false,
    }
}

/// Whether the entries in the bounds of an index for a filter are exactly those of the matching
/// documents, one for each, but for entries that have NaN in some fields: the positions of these
/// fields. NaN lies below every number in the order, and is not less than any.
pub fn exact_but_for_nan(
    index: &Index,
    bounds: &IndexBounds,
    filter: &Filter,
) -> Option<Vec<usize>> {
    if index.entry.multikey || !bounds.ranges.iter().all(is_exact_range) {
        return None;
    }
    let bounded = &index.paths[..bounds.bounded_fields];
    let mut without_nan = Vec::new();
    for part in parts(filter) {
        let Filter::Field(path, test) = part else { return None };
        let at = bounded.iter().position(|bounded| bounded == path)?;
        match test {
            Test::Lt(value) | Test::Lte(value) if value.is_number() && !number::is_nan(value) => {
                without_nan.push(at);
            }
            test if exact(test) => {}
            _ => return None,
        }
    }
    Some(without_nan)
}

/// The range of the keys of all documents.
pub fn all_ids(collection: CollectionId) -> (Vec<u8>, Vec<u8>) {
    (keys::collection_start(collection), keys::collection_end(collection))
}

/// Ranges of document keys that the tests on `_id` allow; `None` when there are none. That of one
/// `_id` ends with its successor.
pub fn id_ranges(collection: CollectionId, filter: &Filter) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let conditions = conditions(filter);
    let tests = conditions.iter().filter(|condition| condition.path == "_id");
    let found = all_of(tests.map(|condition| condition.test))?;
    let key = |place: &[u8]| [&collection.to_be_bytes()[..], place].concat();
    let ranges = found.iter().map(|interval| {
        let start = key(&interval.low.ascending());
        let end = match interval.is_point() {
            true => keys::successor(start.clone()),
            false => key(&interval.high.ascending()),
        };
        (start, end)
    });
    Some(ranges.collect())
}

/// Whether a range that [`id_ranges`] gives is that of one `_id`.
pub fn is_one_id((start, end): &(Vec<u8>, Vec<u8>)) -> bool {
    end.strip_prefix(start.as_slice()) == Some(&[0])
}

/// The beginning of the keys that have `values` in the fields after the first `from` ones, which
/// `prefix` holds already.
pub fn position_key(index: &Index, mut prefix: Vec<u8>, from: usize, values: &[Value]) -> Vec<u8> {
    for (value, descending) in values.iter().zip(index.descending.iter().skip(from)) {
        let start = prefix.len();
        encode::encode(value, &mut prefix);
        if *descending {
            encode::reverse(&mut prefix[start..]);
        }
    }
    prefix
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
