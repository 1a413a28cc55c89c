//! Which documents have expired.

use crate::index::{Entry, Index, encode};
use crate::storage::keys::CollectionId;
use crate::storage::{Read, Result, Table};
use crate::value::Value;

/// When the first document of a TTL index expires, in milliseconds since 1970; none when no
/// document ever does.
pub fn first_expiry(read: &impl Read, index: &Index) -> Result<Option<i64>> {
    let Some(seconds) = index.entry.spec.expire_after else { return Ok(None) };
    let (start, end) = dates_until(index, i64::MAX);
    let first = match index.descending[0] {
        false => read.range(Table::Indexes, &start, &end)?.next(),
        true => read.range_back(Table::Indexes, &start, &end)?.next(),
    };
    let Some((key, value)) = first.transpose()? else { return Ok(None) };
    match Entry::new(key, value).field(0, index.descending[0]).flatten() {
        Some(Value::Date(date)) => {
            Ok(Some(date.saturating_add_unsigned(seconds.saturating_mul(1000))))
        }
        _ => Ok(None),
    }
}

/// Keys of documents whose date in a TTL index lies at least its seconds before `time_ms`.
pub fn expired(
    read: &impl Read,
    collection: CollectionId,
    index: &Index,
    time_ms: i64,
    documents: usize,
) -> Result<Vec<Vec<u8>>> {
    let Some(seconds) = index.entry.spec.expire_after else {
        return Ok(Vec::new());
    };
    let (start, end) =
        dates_until(index, time_ms.saturating_sub_unsigned(seconds.saturating_mul(1000)));
    let mut found = Vec::new();
    for row in read.range(Table::Indexes, &start, &end)?.take(documents) {
        let (key, value) = row?;
        found.push(Entry::new(key, value).document_key(collection, index.id_descending()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The range of the entries of an index with a date up to and including `latest`.
fn dates_until(index: &Index, latest: i64) -> (Vec<u8>, Vec<u8>) {
    let encoded = |date: i64| {
        let mut bytes = Vec::new();
        encode::encode(&Value::Date(date), &mut bytes);
        bytes
    };
    let (first, last) = (encoded(i64::MIN), [&encoded(latest)[..], &[0xff]].concat());
    let (mut start, mut end) = match index.descending[0] {
        false => (first, last),
        true => {
            let (mut from, mut to) = (encoded(latest), encoded(i64::MIN));
            encode::reverse(&mut from);
            encode::reverse(&mut to);
            to.push(0xff);
            (from, to)
        }
    };
    start.splice(0..0, index.start());
    end.splice(0..0, index.start());
    (start, end)
}
