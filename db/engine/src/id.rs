//! The `_id` of a document.

use crate::index::encode;
use crate::value::{Value, parse_stored};
use minicbor::data::Type;
use minicbor::encode::Write;
use minicbor::{CborLen, Decode, Decoder, Encode, Encoder, decode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most bytes of an encoded `_id`, so that the keys of versions and indexes have place for it.
pub const ID_BYTES_MOST: usize = 480;

/// The value of `_id`: unique in its collection. It is any value but an array, a regular expression
/// and null; numbers that are equal are one `_id`, whatever their types. Each keeps the type that it
/// was given with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(Value);

impl DocumentId {
    /// The value as an `_id`; `None` if it cannot be one.
    pub fn new(value: Value) -> Option<DocumentId> {
        match value {
            Value::Null | Value::Array(_) | Value::Regex(_) => None,
            value => Some(DocumentId(value)),
        }
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// As Extended JSON that keeps its type.
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// Reads what [`DocumentId::to_json`] has written.
    pub fn from_json(json: &[u8]) -> Option<DocumentId> {
        DocumentId::new(parse_stored(json)?)
    }

    /// Bytes whose order is that of the ids, the same for equal ones. None begins another.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(16);
        self.push_key(&mut key);
        key
    }

    /// Appends what [`DocumentId::key`] gives.
    pub fn push_key(&self, key: &mut Vec<u8>) {
        encode::encode(&self.0, key);
    }

    /// The `_id` with this key; a number in the type that needs the fewest bits.
    pub fn from_key(key: &[u8]) -> Option<DocumentId> {
        let (value, rest) = encode::decode_first(key)?;
        if rest.is_empty() { DocumentId::new(value) } else { None }
    }
}

/// A text as it is, else as JSON.
impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(text) => f.write_str(text),
            Value::Long(number) => number.fmt(f),
            other => f.write_str(&other.to_json()),
        }
    }
}

/// As a value of JSON.
impl Serialize for DocumentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = DocumentId::new(Value::deserialize(deserializer)?);
        id.ok_or_else(|| serde::de::Error::custom("a value that cannot be an _id"))
    }
}

/// What stands in the log and in stored rows.
enum Encoded {
    /// An integer, of 32 bits where it fits.
    Int(i64),
    /// A text.
    Text(String),
    /// Any other value: its JSON, as bytes.
    Json(String),
}

impl DocumentId {
    fn encoded(&self) -> Encoded {
        match &self.0 {
            Value::String(text) => Encoded::Text(text.clone()),
            Value::Int(number) => Encoded::Int(i64::from(*number)),
            Value::Long(number) if i32::try_from(*number).is_err() => Encoded::Int(*number),
            _ => Encoded::Json(self.to_json()),
        }
    }
}

impl<C> Encode<C> for DocumentId {
    fn encode<W: Write>(
        &self,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self.encoded() {
            Encoded::Int(number) => to.i64(number)?.ok(),
            Encoded::Text(text) => to.str(&text)?.ok(),
            Encoded::Json(json) => to.bytes(json.as_bytes())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for DocumentId {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match from.datatype()? {
            Type::String => Ok(DocumentId::from(from.str()?)),
            Type::Bytes => DocumentId::from_json(from.bytes()?)
                .ok_or_else(|| decode::Error::message("a value that cannot be an _id")),
            _ => from.i64().map(DocumentId::from),
        }
    }
}

impl<C> CborLen<C> for DocumentId {
    fn cbor_len(&self, ctx: &mut C) -> usize {
        match self.encoded() {
            Encoded::Int(number) => number.cbor_len(ctx),
            Encoded::Text(text) | Encoded::Json(text) => text.cbor_len(ctx),
        }
    }
}

impl From<&str> for DocumentId {
    fn from(text: &str) -> Self {
        DocumentId(text.into())
    }
}

impl From<String> for DocumentId {
    fn from(text: String) -> Self {
        DocumentId(text.into())
    }
}

impl From<i64> for DocumentId {
    fn from(number: i64) -> Self {
        DocumentId(number.into())
    }
}
