//! Documents as JSON text: strict parsing of what clients send.

mod rewrite;

pub use rewrite::Rewritten;

use super::query::context::{At, Fields};
use super::value::{self, Object, Value};
use crate::error::{Error, Kind, Result};
use crate::id::{DocumentId, ID_BYTES_MOST};
use crate::limits::{DOCUMENT_BYTES_MOST, Limits};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use std::fmt;

/// Number of a write inside its group; grows with every written document.
pub type Revision = u64;

/// Parses a JSON text, refusing duplicate keys and nesting deeper than `limits` allow.
///
/// # Errors
/// `too_large`, `invalid_json` (with line and column), `duplicate_key`, `too_deep`.
pub fn parse_json(text: &[u8], limits: &Limits) -> Result<Json> {
    if text.len() > limits.document_bytes_max {
        return Err(too_large(text.len(), limits.document_bytes_max));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let strict = Strict { depth: 0, depth_max: limits.depth_max };
    let value = strict.deserialize(&mut reader).map_err(|error| json_error(&error, limits))?;
    reader.end().map_err(|error| json_error(&error, limits))?;
    Ok(value)
}

/// The error for a body of `size` bytes where `max` are allowed.
pub fn too_large(size: usize, max: usize) -> Error {
    Error::new(Kind::TooLarge, format!("the body has {size} bytes, {max} are allowed"))
        .hint("split the data over several documents")
}

const DUPLICATE: &str = "duplicate key";
const TOO_DEEP: &str = "nested too deep";

fn json_error(error: &serde_json::Error, limits: &Limits) -> Error {
    let text = error.to_string();
    if text.contains(DUPLICATE) {
        return Error::new(Kind::DuplicateKey, text).hint("give each key of an object once");
    }
    if text.contains(TOO_DEEP) || text.contains("recursion limit") {
        let message = format!("the document is nested deeper than {} levels", limits.depth_max);
        return Error::new(Kind::TooDeep, message).hint("flatten the document");
    }
    Error::new(Kind::InvalidJson, format!("the body is not JSON: {text}"))
        .hint("send one JSON object in UTF-8")
}

/// Builds a [`Json`] like serde_json does, but counts levels and refuses duplicate keys.
/// serde_json keeps the last duplicate silently (CVE-2017-12635 in CouchDB came of such a
/// difference between two readers).
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    depth_max: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> std::result::Result<Self, E> {
        if self.depth >= self.depth_max {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Strict { depth: self.depth + 1, ..self })
    }

    /// The fields of an object, of which the first name may be read already.
    fn fields<'de, A: MapAccess<'de>>(
        self,
        first: Option<String>,
        mut map: A,
    ) -> std::result::Result<Map<String, Json>, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        let mut next = if first.is_some() { first } else { map.next_key()? };
        while let Some(key) = next {
            let value = map.next_value_seed(inner)?;
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("{DUPLICATE} {key:?}")));
            }
            object.insert(key, value);
            next = map.next_key()?;
        }
        Ok(object)
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> std::result::Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Json, A::Error> {
        self.fields(None, map).map(Json::Object)
    }
}

/// A client's document, taken apart: its `_id` if it has one, and the rest as compact JSON.
#[derive(Debug, PartialEq)]
pub struct NewDocument {
    /// The `_id` of the document.
    pub id: Option<DocumentId>,
    /// The document without `_id`.
    pub body: String,
}

/// Parses and checks a document that a client wants to store.
///
/// # Errors
/// Those of [`parse_json`] and [`check_document`].
pub fn parse_document(text: &[u8], limits: &Limits) -> Result<NewDocument> {
    if text.len() <= limits.document_bytes_max
        && let Ok(rewritten) = serde_json::from_slice::<Rewritten>(text)
        && let Some(new) = rewritten.within(limits, 0)
    {
        return Ok(new);
    }
    let value = value::from_json(parse_json(text, limits)?, At::root("document"))?;
    check_document(value, limits)
}

/// Checks a document that a client wants to store.
///
/// # Errors
/// `invalid_body` when it is no object, `invalid_id`, `too_large`, `too_deep`.
pub fn check_document(document: Value, limits: &Limits) -> Result<NewDocument> {
    let Value::Object(mut object) = document else {
        return Err(Error::new(Kind::InvalidBody, "a document must be a JSON object")
            .hint("wrap the value: {\"value\": …}"));
    };
    let id = object.shift_remove("_id").map(|id| check_id(id, limits)).transpose()?;
    let rest = Value::Object(object);
    check_names(&rest)?;
    // Not every document came as text: statements and pipelines make some.
    value::check_depth(&rest, limits.depth_max, "the document")?;
    let body = rest.to_json();
    // Written out, a number such as 1e15 is longer than it came.
    check_bytes(body.len(), limits.document_bytes_max)?;
    Ok(NewDocument { id, body })
}

/// Refuses a document of more than `max` bytes.
pub fn check_bytes(size: usize, max: usize) -> Result<()> {
    if size <= max {
        return Ok(());
    }
    let message = format!("the document has {size} bytes, {max} are allowed");
    Err(Error::new(Kind::TooLarge, message).hint("split the data over several documents"))
}

/// Refuses a text that nobody could read again as a document, and one that is larger than any
/// configuration allows. Apply asks this of everything that it stores.
pub fn check_body(body: &str) -> Result<()> {
    check_bytes(body.len(), DOCUMENT_BYTES_MOST)?;
    if value::text_levels(body) > value::LEVELS_MAX {
        let message = format!("the document is nested deeper than {} levels", value::LEVELS_MAX);
        return Err(Error::new(Kind::TooDeep, message).hint("flatten the document"));
    }
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    match is_json && body.starts_with('{') {
        true => Ok(()),
        false => Err(Error::new(Kind::InvalidJson, "the document is not a JSON object")),
    }
}

/// Refuses names of fields that would be read back as Extended JSON, and those with a NUL.
pub fn check_names(document: &Value) -> Result<()> {
    match value::reserved_name(document) {
        None => Ok(()),
        Some(name) if name.contains('\0') => {
            let message = format!("the name {name:?} of a field has the character NUL");
            Err(Error::new(Kind::InvalidBody, message).hint("leave the character out"))
        }
        Some(name) => {
            let message = format!("a field cannot have the name {name:?}: Extended JSON has it");
            Err(Error::new(Kind::InvalidBody, message).hint(
                "use a name without the dollar sign; the types of values are JSON's and $date, \
                 $numberDecimal, $oid, $binary",
            ))
        }
    }
}

/// The value as an `_id`.
///
/// # Errors
/// `invalid_id` if it cannot be one, `id_too_long`.
pub fn check_id(id: Value, limits: &Limits) -> Result<DocumentId> {
    let id = DocumentId::new(id).ok_or_else(no_id)?;
    check_id_size(&id, limits)?;
    Ok(id)
}

/// The error for a value that cannot be an `_id`.
pub fn no_id() -> Error {
    let message = "_id must not be null, an array or a regular expression";
    Error::new(Kind::InvalidId, message).hint("give another _id, or leave it out to get one made")
}

/// Refuses an overlong `_id`.
pub fn check_id_size(id: &DocumentId, limits: &Limits) -> Result<()> {
    check_id_bytes(id, limits.id_bytes_max.min(ID_BYTES_MOST))
}

/// Refuses an `_id` of more than `max` bytes in a key.
pub fn check_id_bytes(id: &DocumentId, max: usize) -> Result<()> {
    match id.key().len() {
        size if size <= max => Ok(()),
        size => {
            let message = format!("_id takes {size} bytes in a key, {max} are allowed");
            Err(Error::new(Kind::IdTooLong, message).hint("use a shorter identifier"))
        }
    }
}

/// The text of a document that is given without its `_id`.
pub fn with_id(id: &DocumentId, body: &str) -> String {
    let id = serde_json::to_string(id).unwrap_or_default();
    let rest = body.strip_prefix('{').unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    let mut document = String::with_capacity(8 + id.len() + body.len());
    for part in ["{\"_id\":", &id, comma, rest] {
        document.push_str(part);
    }
    document
}

const ID_FIRST: &[u8] = b"{\"_id\":";

/// The `_id` of a stored document, which stands first, as it was given.
pub fn id_of(json: &[u8]) -> Option<DocumentId> {
    DocumentId::new(value::parse_first(json.strip_prefix(ID_FIRST)?)?.0)
}

/// The text of a stored document without its `_id`, which stands first, and that.
pub fn without_id(json: &[u8]) -> Option<(DocumentId, String)> {
    let rest = json.strip_prefix(ID_FIRST)?;
    let (id, length) = value::parse_first(rest)?;
    let rest = std::str::from_utf8(rest.get(length..)?).ok()?;
    Some((DocumentId::new(id)?, format!("{{{}", rest.strip_prefix(',').unwrap_or(rest))))
}

/// The fields of a stored document that are wanted; `None` when the text is damaged.
pub fn parse_wanted(json: &[u8], wanted: &Fields) -> Option<Value> {
    match wanted {
        Fields::All => value::parse_stored(json),
        Fields::Some(names) if names.is_empty() => Some(Value::Object(Object::new())),
        some => value::parse_fields(json, |name| some.contains(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { document_bytes_max: 1000, depth_max: 4, id_bytes_max: 10 };

    fn kind(text: &str) -> Kind {
        parse_document(text.as_bytes(), &LIMITS).unwrap_err().kind
    }

    #[test]
    fn bad_documents_are_refused_each_for_its_reason() {
        for (text, expected) in [
            ("{", Kind::InvalidJson),
            ("", Kind::InvalidJson),
            ("{} x", Kind::InvalidJson),
            ("[1]", Kind::InvalidBody),
            ("{\"a\":1,\"a\":2}", Kind::DuplicateKey),
            ("{\"a\":{\"b\":1,\"b\":1}}", Kind::DuplicateKey),
            ("{\"a\":[[[1]]]}", Kind::InvalidBody),
            ("{\"a\":[[[[1]]]]}", Kind::TooDeep),
            ("{\"_id\":[1]}", Kind::InvalidId),
            ("{\"_id\":null}", Kind::InvalidId),
            (r#"{"_id":{"$regularExpression":{"pattern":"a","options":""}}}"#, Kind::InvalidId),
            ("{\"_id\":{\"$undefined\":true}}", Kind::InvalidQuery),
            ("{\"_id\":\"123456789\"}", Kind::IdTooLong),
        ] {
            if expected == Kind::InvalidBody && text.starts_with('{') {
                assert!(parse_document(text.as_bytes(), &LIMITS).is_ok(), "{text}");
            } else {
                assert_eq!(kind(text), expected, "{text}");
            }
        }
        assert_eq!(kind(&format!("{{\"a\":\"{}\"}}", "x".repeat(1000))), Kind::TooLarge);
        let growing = format!("{{\"a\":[{}1e15]}}", "1e15,".repeat(100));
        assert!(growing.len() < 1000);
        assert_eq!(kind(&growing), Kind::TooLarge);
    }

    /// Some were refused, others were stored as objects that only looked like values of the type.
    #[test]
    fn names_of_the_types_of_extended_json_are_refused_alike() {
        for name in [
            "$date",
            "$numberInt",
            "$numberLong",
            "$numberDouble",
            "$numberDecimal",
            "$oid",
            "$uuid",
            "$binary",
            "$timestamp",
            "$regularExpression",
            "$minKey",
            "$maxKey",
            "$code",
            "$scope",
            "$symbol",
            "$undefined",
            "$dbPointer",
        ] {
            for text in [
                format!("{{\"a\":{{\"x\":1,{name:?}:1}}}}"),
                format!("{{\"a\":[{{\"x\":1,{name:?}:{{}}}}]}}"),
            ] {
                assert_eq!(kind(&text), Kind::InvalidBody, "{text}");
            }
        }
        for name in ["$timestamp", "$symbol", "$undefined", "$dbPointer"] {
            assert_eq!(kind(&format!("{{\"a\":{{{name:?}:1}}}}")), Kind::InvalidQuery, "{name}");
        }
        assert_eq!(kind(r#"{"a":{"b\u0000":1}}"#), Kind::InvalidBody);
        assert!(parse_document(br#"{"a":{"$x":1,"$ref":"c"}}"#, &LIMITS).is_ok());
    }

    #[test]
    fn the_id_comes_first_and_numbers_keep_their_value() {
        let text = br#"{"n":9007199254740993,"_id":"x","f":0.1}"#;
        let document = parse_document(text, &LIMITS).unwrap();
        let json = with_id(document.id.as_ref().unwrap(), &document.body);
        assert_eq!(json, r#"{"_id":"x","n":9007199254740993,"f":0.1}"#);
        assert_eq!(with_id(&DocumentId::from(-1), "{}"), r#"{"_id":-1}"#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused_like_serde_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ours = parse_json(&bytes, &LIMITS).is_ok();
            let theirs = serde_json::from_slice::<Json>(&bytes).is_ok();
            prop_assert!(!ours || theirs);
        }
    }
}
