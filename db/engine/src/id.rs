//! The `_id` of a document.

use minicbor::data::Type;
use minicbor::encode::{self, Write};
use minicbor::{CborLen, Decode, Decoder, Encode, Encoder, decode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The value of `_id`: unique in its collection. Integers come before strings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DocumentId {
    /// An integer `_id`.
    Int(i64),
    /// A string `_id`.
    String(String),
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentId::Int(number) => number.fmt(f),
            DocumentId::String(text) => text.fmt(f),
        }
    }
}

/// In the log and in stored rows it is the number or the text.
impl<C> Encode<C> for DocumentId {
    fn encode<W: Write>(
        &self,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match self {
            DocumentId::Int(number) => to.i64(*number)?.ok(),
            DocumentId::String(text) => to.str(text)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for DocumentId {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match from.datatype()? {
            Type::String => Ok(DocumentId::String(from.str()?.to_owned())),
            _ => from.i64().map(DocumentId::Int),
        }
    }
}

impl<C> CborLen<C> for DocumentId {
    fn cbor_len(&self, ctx: &mut C) -> usize {
        match self {
            DocumentId::Int(number) => number.cbor_len(ctx),
            DocumentId::String(text) => text.cbor_len(ctx),
        }
    }
}

impl From<&str> for DocumentId {
    fn from(text: &str) -> Self {
        DocumentId::String(text.to_owned())
    }
}

impl From<String> for DocumentId {
    fn from(text: String) -> Self {
        DocumentId::String(text)
    }
}

impl From<i64> for DocumentId {
    fn from(number: i64) -> Self {
        DocumentId::Int(number)
    }
}
