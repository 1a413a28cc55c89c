//! Which documents have expired.

use crate::index::{Entry, Index, encode};
use crate::storage::keys::CollectionId;
use crate::storage::{Read, Result, Table};
use crate::value::Value;

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
    let latest = time_ms.saturating_sub_unsigned(seconds.saturating_mul(1000));
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
    let mut found = Vec::new();
    for row in read.range(Table::Indexes, &start, &end)?.take(documents) {
        let (key, value) = row?;
        found.push(Entry::new(key, value).document_key(collection, index.id_descending()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
