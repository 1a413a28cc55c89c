//! Keys whose byte order is the order of what they stand for.
//!
//! A document's key is `collection id (4 bytes, big endian) ++ encoded _id`, in the encoding of
//! indexes: MinKey, numbers, strings and so on, equal numbers alike, and none begins another.

use crate::id::DocumentId;
use crate::index::encode;

/// Longest key that LMDB takes, in bytes.
pub const KEY_BYTES_MAX: usize = 511;
/// Number of a collection inside its group; never used twice.
pub type CollectionId = u32;

/// The key of a document.
pub fn document_key(collection: CollectionId, id: &DocumentId) -> Vec<u8> {
    let mut key = collection.to_be_bytes().to_vec();
    push_id(&mut key, id);
    key
}

/// Appends an encoded `_id`.
pub fn push_id(key: &mut Vec<u8>, id: &DocumentId) {
    id.push_key(key);
}

/// The `_id` in a document's key, a number in the type that needs the fewest bits; `None` when the
/// bytes are not such a key.
pub fn document_id(key: &[u8]) -> Option<DocumentId> {
    DocumentId::from_key(key.get(4..)?)
}

/// What the keys of a document's versions begin with, in a history that has a number of its
/// own. No encoded `_id` begins another, so the order is that of the documents' keys, whatever
/// follows.
pub fn version_prefix(space: CollectionId, document_key: &[u8]) -> Vec<u8> {
    [&space.to_be_bytes()[..], document_key.get(4..).unwrap_or_default()].concat()
}

/// The place in a history that belongs to a place among the keys of documents.
pub fn version_bound(space: CollectionId, place: &[u8]) -> Vec<u8> {
    let id = place.get(4..).unwrap_or_default();
    match encode::decode_first(id) {
        // After a document is after all its versions: no log index begins with this byte.
        Some((_, rest)) if !rest.is_empty() => {
            let id = id.get(..id.len() - rest.len()).unwrap_or_default();
            [&space.to_be_bytes()[..], id, &[0xff]].concat()
        }
        _ => version_prefix(space, place),
    }
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
    use crate::value::tests::any_value;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = DocumentId> {
        any_value().prop_filter_map("a value that no _id is", DocumentId::new)
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
        fn versions_lie_in_the_order_of_their_documents(
            a in any_id(),
            b in any_id(),
            // No log index is so large that it begins with the byte of the bound.
            tail in 0..u64::MAX >> 8,
            other in 0..u64::MAX >> 8,
        ) {
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
            document_id(&bytes);
        }
    }
}
