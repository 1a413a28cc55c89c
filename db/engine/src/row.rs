//! The stored form of a document.
//!
//! ```text
//! row = revision (8 bytes, big endian), fields (2 bytes, big endian), place …, document
//! place = where the name of a field begins in the document, where its value begins
//!         (2 bytes each, big endian; 4 bytes each if the document has more than 64 KiB)
//! ```
//!
//! The document is compact JSON with `_id` first, so a read by `_id` copies it as it is. The places
//! of the outermost fields spare queries the parsing of fields that they do not look at. A
//! document has none, and is parsed from its beginning, if it has more than 1,000 fields,
//! if a name is escaped, or if the text is not compact.

use crate::document::{Revision, parse_wanted};
use crate::query::context::Fields;
use crate::value::{Object, Value, parse_stored, string_end};
use memchr::memchr2;

/// Most fields of which the places are stored.
const FIELDS_MAX: usize = 1000;
/// Documents up to this length have places of 2 bytes.
const NARROW_MAX: usize = u16::MAX as usize;
/// Bytes before the places.
const HEAD_BYTES: usize = 10;

/// A stored document, taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Its revision.
    pub revision: Revision,
    /// The document as compact JSON, `_id` first.
    pub json: &'a [u8],
    places: &'a [u8],
}

impl<'a> Row<'a> {
    /// Reads a row; `None` when it is damaged.
    pub fn decode(stored: &'a [u8]) -> Option<Self> {
        let (revision, rest) = stored.split_first_chunk::<8>()?;
        let (fields, rest) = rest.split_first_chunk::<2>()?;
        let fields = usize::from(u16::from_be_bytes(*fields));
        let narrow = rest.len().checked_sub(fields * 4)? <= NARROW_MAX;
        let (places, json) = rest.split_at_checked(fields * if narrow { 4 } else { 8 })?;
        Some(Row { revision: u64::from_be_bytes(*revision), json, places })
    }

    /// The fields that are wanted; `None` when the document is damaged.
    pub fn fields(&self, wanted: &Fields) -> Option<Value> {
        let Fields::Some(names) = wanted else { return parse_stored(self.json) };
        if self.places.is_empty() {
            return parse_wanted(self.json, wanted);
        }
        let mut object = Object::with_capacity(names.len());
        let mut places = self.places().peekable();
        while object.len() < names.len()
            && let Some((name, value)) = places.next()
        {
            let name = self.json.get(name + 1..value.checked_sub(2)?)?;
            let name = std::str::from_utf8(name).ok()?;
            if names.contains(name) {
                let end =
                    places.peek().map_or(self.json.len(), |(next, _)| *next).checked_sub(1)?;
                object.insert(name.to_owned(), parse_stored(self.json.get(value..end)?)?);
            }
        }
        Some(Value::Object(object))
    }

    /// Where each name and its value begin.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + 'a {
        let narrow = self.json.len() <= NARROW_MAX;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        self.places.chunks_exact(if narrow { 4 } else { 8 }).map(move |place| {
            let (name, value) = place.split_at(place.len() / 2);
            (number(name), number(value))
        })
    }
}

/// The row of a document, which is compact JSON with `_id` first.
pub fn encode(revision: Revision, document: &[u8]) -> Vec<u8> {
    let places = places(document).unwrap_or_default();
    let narrow = document.len() <= NARROW_MAX;
    let mut row = Vec::with_capacity(HEAD_BYTES + places.len() * 8 + document.len());
    row.extend_from_slice(&revision.to_be_bytes());
    row.extend_from_slice(&(places.len() as u16).to_be_bytes());
    for (name, value) in places {
        for place in [name, value] {
            match narrow {
                true => row.extend_from_slice(&(place as u16).to_be_bytes()),
                false => row.extend_from_slice(&(place as u32).to_be_bytes()),
            }
        }
    }
    row.extend_from_slice(document);
    row
}

/// Where each outermost name of compact JSON, and its value, begin; `None` if they cannot be found
/// by looking at quotes and brackets only.
fn places(json: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut places = Vec::with_capacity(16);
    let mut at = 1;
    while json.get(at) == Some(&b'"') {
        let after_name = at + 1 + memchr2(b'"', b'\\', json.get(at + 1..)?)? + 1;
        if json[after_name - 1] != b'"' || json.get(after_name) != Some(&b':') {
            return None;
        }
        if places.len() == FIELDS_MAX {
            return None;
        }
        let value = after_name + 1;
        places.push((at, value));
        let end = value_end(json, value)?;
        match json.get(end)? {
            b',' => at = end + 1,
            b'}' if end + 1 == json.len() => return Some(places),
            _ => return None,
        }
    }
    None
}

/// The position after the value that begins at `at`.
fn value_end(json: &[u8], mut at: usize) -> Option<usize> {
    let mut levels = 0usize;
    loop {
        match json.get(at)? {
            b'"' => {
                at = string_end(json, at)?;
                if levels == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => levels += 1,
            b'}' | b']' if levels == 1 => return Some(at + 1),
            b'}' | b']' if levels > 1 => levels -= 1,
            b',' | b'}' | b']' if levels == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::with_id;
    use crate::id::DocumentId;
    use crate::value::tests::any_value;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn row(body: &str) -> Vec<u8> {
        encode(7, with_id(&DocumentId::from("x"), body).as_bytes())
    }

    fn names(names: &[&str]) -> Fields {
        Fields::Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Format of a stored row: a change of these bytes needs another format of the state.
    #[test]
    fn golden_row() {
        let expected =
            b"\0\0\0\0\0\0\0\x07\0\x02\0\x01\0\x07\0\x0b\0\x0f{\"_id\":\"x\",\"a\":[1,\"}\"]}";
        assert_eq!(row(r#"{"a":[1,"}"]}"#), expected);
    }

    #[test]
    fn documents_whose_fields_have_no_places_are_parsed() {
        let many = (0..FIELDS_MAX).map(|at| format!("\"f{at}\":{at}")).collect::<Vec<_>>();
        for (body, field, value) in [
            (r#"{"a\"b":1,"c":2}"#.to_owned(), "c", 2),
            (r#"{"a": 1, "c" : 2 }"#.to_owned(), "c", 2),
            (format!("{{{}}}", many.join(",")), "f999", 999),
        ] {
            let row = row(&body);
            let row = Row::decode(&row).unwrap();
            assert!(row.places.is_empty(), "{body}");
            let fields = row.fields(&names(&[field])).unwrap();
            assert_eq!(fields.as_object().unwrap()[field], Value::Int(value));
        }
    }

    #[test]
    fn places_of_long_documents_are_wide() {
        let body = format!("{{\"a\":\"{}\",\"b\":5}}", "x".repeat(70_000));
        let row = row(&body);
        let row = Row::decode(&row).unwrap();
        assert_eq!(row.places.len(), 3 * 8);
        assert_eq!(row.fields(&names(&["b"])).unwrap().to_json(), r#"{"b":5}"#);
    }

    #[test]
    fn damaged_places_are_no_document() {
        let mut row = row(r#"{"a":1}"#);
        row[14..16].fill(0);
        assert_eq!(Row::decode(&row).unwrap().fields(&names(&["_id"])), None);
    }

    proptest! {
        #[test]
        fn places_give_what_parsing_gives(
            fields in proptest::collection::vec(("[a-c\\\\\"]{0,2}", any_value()), 0..6),
            wanted in proptest::collection::btree_set("[a-c\\\\\"]{0,2}", 0..3),
        ) {
            let object: Object = fields.into_iter().filter(|(name, _)| name != "_id").collect();
            let row = row(&Value::Object(object).to_json());
            let row = Row::decode(&row).unwrap();
            let wanted: BTreeSet<String> = wanted;
            let wanted = Fields::Some(wanted);
            let expected = parse_wanted(row.json, &wanted).map(|value| value.to_json());
            prop_assert_eq!(row.fields(&wanted).map(|value| value.to_json()), expected);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(row) = Row::decode(&bytes) {
                row.fields(&names(&["a"]));
            }
        }

        #[test]
        fn any_text_has_places_within_it(body in "[{}\\[\\]\",:a\\\\0 ]{0,40}") {
            let row = row(&format!("{{{body}"));
            let row = Row::decode(&row).unwrap();
            row.fields(&names(&["a"]));
        }
    }
}
