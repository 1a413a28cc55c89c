//! Keys whose byte order is the order of what they stand for.
//!
//! A document's key is `collection id (4 bytes, big endian) ++ encoded _id`. An integer
//! `_id` is `0x10` and eight bytes, big endian with the sign bit flipped; a string `_id` is
//! `0x20` and its UTF-8 bytes. So integers come before strings, numbers in numeric order and
//! strings in code point order. The idea is FoundationDB's tuple layer, cut down to what an
//! `_id` may be.

use crate::id::DocumentId;

/// Longest key that LMDB takes, in bytes.
pub const KEY_BYTES_MAX: usize = 511;
/// Number of a collection inside its group; never used twice.
pub type CollectionId = u32;

const INT: u8 = 0x10;
const STRING: u8 = 0x20;
const SIGN: u64 = 1 << 63;

/// The key of a document.
pub fn document_key(collection: CollectionId, id: &DocumentId) -> Vec<u8> {
    let mut key = collection.to_be_bytes().to_vec();
    push_id(&mut key, id);
    key
}

/// Appends an encoded `_id`.
pub fn push_id(key: &mut Vec<u8>, id: &DocumentId) {
    match id {
        DocumentId::Int(number) => {
            key.push(INT);
            key.extend_from_slice(&((*number as u64) ^ SIGN).to_be_bytes());
        }
        DocumentId::String(text) => {
            key.push(STRING);
            key.extend_from_slice(text.as_bytes());
        }
    }
}

/// Keys of the documents whose `_id` is an integer between two, both included.
pub fn int_id_range(collection: CollectionId, low: i64, high: i64) -> (Vec<u8>, Vec<u8>) {
    let key = |id| document_key(collection, &DocumentId::Int(id));
    (key(low), successor(key(high)))
}

/// Keys of the documents whose `_id` is a text between two, both included; without `high` up
/// to the last.
pub fn string_id_range(
    collection: CollectionId,
    low: &str,
    high: Option<&str>,
) -> (Vec<u8>, Vec<u8>) {
    let key = |id: &str| document_key(collection, &DocumentId::String(id.to_owned()));
    let end = || [&collection.to_be_bytes()[..], &[STRING + 1]].concat();
    (key(low), high.map_or_else(end, |high| successor(key(high))))
}

/// Keys of the documents whose `_id` is a text with this prefix.
pub fn string_id_beginnings(collection: CollectionId, beginning: &str) -> (Vec<u8>, Vec<u8>) {
    let key = document_key(collection, &DocumentId::String(beginning.to_owned()));
    // No text has this byte.
    let end = [&key[..], &[0xff]].concat();
    (key, end)
}

/// The `_id` in a document's key; `None` when the bytes are not such a key.
pub fn document_id(key: &[u8]) -> Option<DocumentId> {
    match key.get(4..)?.split_first()? {
        (&INT, rest) => {
            Some(DocumentId::Int((u64::from_be_bytes(rest.try_into().ok()?) ^ SIGN) as i64))
        }
        (&STRING, rest) => Some(DocumentId::String(String::from_utf8(rest.to_vec()).ok()?)),
        _ => None,
    }
}

/// What the keys of a document's versions begin with, in a history that has a number of its
/// own. Zero bytes behind the tag are followed by a one and the whole ends in two zeros, so
/// that the order is that of the documents' keys, whatever follows.
pub fn version_prefix(space: CollectionId, document_key: &[u8]) -> Vec<u8> {
    let mut key = version_bound(space, document_key);
    key.extend_from_slice(&[0, 0]);
    key
}

/// The place in a history that belongs to a place among the keys of documents.
pub fn version_bound(space: CollectionId, document_key: &[u8]) -> Vec<u8> {
    let mut key = space.to_be_bytes().to_vec();
    let mut rest = document_key.get(4..).unwrap_or_default().iter();
    key.extend(rest.next());
    for byte in rest {
        key.push(*byte);
        if *byte == 0 {
            key.push(1);
        }
    }
    key
}

/// First key at or after every key of the collection's predecessor.
pub fn collection_start(collection: CollectionId) -> Vec<u8> {
    collection.to_be_bytes().to_vec()
}

/// First key after every key of the collection.
pub fn collection_end(collection: CollectionId) -> Vec<u8> {
    (collection + 1).to_be_bytes().to_vec()
}

/// The smallest key that sorts after `key`.
pub fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = DocumentId> {
        prop_oneof![any::<i64>().prop_map(DocumentId::Int), ".{0,40}".prop_map(DocumentId::String),]
    }

    proptest! {
        #[test]
        fn a_key_gives_its_id_back(collection in 0..u32::MAX, id in any_id()) {
            prop_assert_eq!(document_id(&document_key(collection, &id)), Some(id));
        }

        #[test]
        fn key_order_is_id_order(a in any_id(), b in any_id()) {
            prop_assert_eq!(document_key(7, &a).cmp(&document_key(7, &b)), a.cmp(&b));
        }

        #[test]
        fn a_key_stays_inside_its_collection(collection in 0..u32::MAX - 1, id in any_id()) {
            let key = document_key(collection, &id);
            prop_assert!(collection_start(collection) <= key && key < collection_end(collection));
            prop_assert!(successor(key.clone()) > key);
        }

        #[test]
        fn versions_lie_in_the_order_of_their_documents(a in any_id(), b in any_id(), tail: u64, other: u64) {
            let key = |id: &DocumentId, tail: u64| {
                [version_prefix(7, &document_key(3, id)), tail.to_be_bytes().to_vec()].concat()
            };
            if a != b {
                prop_assert_eq!(key(&a, tail).cmp(&key(&b, other)), a.cmp(&b));
            }
            let (start, row) = (document_key(3, &a), key(&b, tail));
            prop_assert_eq!(row >= version_bound(7, &start), b >= a);
            prop_assert_eq!(row >= version_bound(7, &successor(start)), b > a);
        }

        #[test]
        fn foreign_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Some(id) = document_id(&bytes) {
                prop_assert_eq!(&document_key(0, &id)[4..], &bytes[4..]);
            }
        }
    }
}
