//! The encoding of log entries and stored rows: CBOR with numbered fields and variants.
//!
//! A number is never given to another field or variant. A field that comes later is an `Option` or
//! has a default, stands at the end, and is skipped by a reader that does not know it; what an older
//! writer has left out is none. So that a replica does not skip what another one acts on, a new
//! field or variant is written only at the feature level that brings it.

use crate::storage::{Result, StorageError};
use minicbor::{CborLen, Decode, Decoder, Encode};
use std::fmt::Display;

fn failed(error: impl Display) -> StorageError {
    StorageError::Failed(error.to_string())
}

/// The bytes of a value.
pub fn encode(value: &impl Encode<()>) -> Result<Vec<u8>> {
    minicbor::to_vec(value).map_err(failed)
}

/// Appends the bytes of a value.
pub fn append(value: &impl Encode<()>, to: &mut Vec<u8>) -> Result<()> {
    minicbor::encode(value, to).map_err(failed)
}

/// What can be read from bytes that do not outlive it.
pub trait DecodeOwned: for<'b> Decode<'b, ()> {}

impl<T: for<'b> Decode<'b, ()>> DecodeOwned for T {}

/// The number of bytes of a value.
pub fn len(value: &impl CborLen<()>) -> usize {
    minicbor::len(value)
}

/// The value that has these bytes, all of them.
pub fn decode<T: DecodeOwned>(bytes: &[u8]) -> Result<T> {
    match take(bytes)? {
        (value, []) => Ok(value),
        (_, rest) => Err(failed(format!("{} bytes are left over", rest.len()))),
    }
}

/// The value that begins with these bytes, and the rest of them.
pub fn take<T: DecodeOwned>(bytes: &[u8]) -> Result<(T, &[u8])> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode().map_err(failed)?;
    Ok((value, bytes.get(decoder.position()..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Older {
        #[n(0)]
        name: String,
        #[n(1)]
        limit: Option<u64>,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Newer {
        #[n(0)]
        name: String,
        #[n(1)]
        limit: Option<u64>,
        #[n(2)]
        added: Option<Vec<String>>,
        #[n(3)]
        #[cbor(default)]
        on: bool,
    }

    #[test]
    fn an_older_reader_skips_an_added_field_and_a_newer_one_does_without_it() {
        let added = Some(vec!["a".to_owned(), "b".to_owned()]);
        let newer = Newer { name: "n".into(), limit: None, added, on: true };
        let older = Older { name: "n".into(), limit: None };
        assert_eq!(decode::<Older>(&encode(&newer).unwrap()).unwrap(), older);
        let without = Newer { added: None, on: false, ..newer };
        assert_eq!(decode::<Newer>(&encode(&older).unwrap()).unwrap(), without);
    }

    #[test]
    fn what_is_left_over_or_missing_is_an_error() {
        let bytes = encode(&Older { name: "n".into(), limit: Some(1) }).unwrap();
        assert!(decode::<Older>(&[&bytes[..], &[0]].concat()).is_err());
        assert!(decode::<Older>(&bytes[..bytes.len() - 1]).is_err());
    }
}
