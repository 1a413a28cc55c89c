//! The stored form of an error: its code and its details. Its wording is made from them when it is
//! read, so that a version may word an error otherwise. An error whose wording says more than
//! code and details, such as why an operator cannot be applied, is stored with it.

use super::violation::{Violation, violation_error};
use super::{Error, Kind, duplicate, key_reused, unique_violation};
use crate::id::DocumentId;
use minicbor::encode::{self, Write};
use minicbor::{CborLen, Decode, Decoder, Encode, Encoder, decode};
use serde::Deserialize;
use serde_json::Value;

#[derive(Encode, Decode, CborLen)]
struct StoredError {
    #[n(0)]
    code: String,
    /// As JSON text.
    #[n(1)]
    details: Option<String>,
    /// None if it is made from code and details.
    #[n(2)]
    wording: Option<Wording>,
}

#[derive(Encode, Decode, CborLen)]
struct Wording {
    #[n(0)]
    message: String,
    #[n(1)]
    hint: Option<String>,
}

impl From<&Error> for StoredError {
    fn from(error: &Error) -> Self {
        let details = error.details.as_deref();
        let made = worded(error.kind, details)
            .is_some_and(|made| (&made.message, &made.hint) == (&error.message, &error.hint));
        StoredError {
            code: error.kind.code().into(),
            details: details.map(Value::to_string),
            wording: (!made)
                .then(|| Wording { message: error.message.clone(), hint: error.hint.clone() }),
        }
    }
}

impl StoredError {
    fn read(self) -> Option<Error> {
        let kind = Kind::ALL.iter().find(|kind| kind.code() == self.code).copied()?;
        let details = self.details.map(|text| serde_json::from_str::<Value>(&text)).transpose();
        let details = details.ok()?;
        let error = match self.wording {
            Some(Wording { message, hint }) => Error { hint, ..Error::new(kind, message) },
            None => {
                worded(kind, details.as_ref()).unwrap_or_else(|| Error::new(kind, kind.meaning()))
            }
        };
        Some(Error { details: details.map(Box::new), ..error })
    }
}

/// An error whose wording follows from its code and details.
fn worded(kind: Kind, details: Option<&Value>) -> Option<Error> {
    #[derive(Deserialize)]
    struct Duplicate {
        id: DocumentId,
    }
    #[derive(Deserialize)]
    struct Unique {
        index: String,
        value: Value,
        document: DocumentId,
    }
    #[derive(Deserialize)]
    struct Broken {
        violations: Vec<Violation>,
    }
    Some(match (kind, details) {
        (Kind::IdempotencyKeyReused, None) => key_reused(),
        (Kind::DuplicateId, Some(details)) => duplicate(&Duplicate::deserialize(details).ok()?.id),
        (Kind::UniqueViolation, Some(details)) => {
            let Unique { index, value, document } = Unique::deserialize(details).ok()?;
            unique_violation(&index, &value, &document)
        }
        (Kind::ValidationFailed, Some(details)) => {
            violation_error(Broken::deserialize(details).ok()?.violations)
        }
        _ => return None,
    })
}

impl<C> Encode<C> for Error {
    fn encode<W: Write>(
        &self,
        to: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        StoredError::from(self).encode(to, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Error {
    fn decode(from: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let stored = StoredError::decode(from, ctx)?;
        stored.read().ok_or_else(|| decode::Error::message("a stored error cannot be read"))
    }
}

impl<C> CborLen<C> for Error {
    fn cbor_len(&self, ctx: &mut C) -> usize {
        StoredError::from(self).cbor_len(ctx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;
    use serde_json::json;

    #[test]
    fn an_error_is_read_as_it_was_stored_and_common_ones_without_their_wording() {
        let violation = Violation::new("age", "min_value", "at least 0".into(), Some("-1".into()));
        let plain = [
            duplicate(&7.into()),
            duplicate(&"seven".into()),
            unique_violation("name_1", &json!({"name": "Ada"}), &7.into()),
            violation_error(vec![violation]),
            key_reused(),
        ];
        for error in plain {
            assert!(StoredError::from(&error).wording.is_none(), "{error}");
            let bytes = cbor::encode(&error).unwrap();
            assert_eq!(bytes.len(), cbor::len(&error));
            assert_eq!(cbor::decode::<Error>(&bytes).unwrap(), error);
        }
        let own = Error::new(Kind::NotApplicable, "$inc of a text").details(json!({"path": "a"}));
        assert_eq!(cbor::decode::<Error>(&cbor::encode(&own).unwrap()).unwrap(), own);
    }

    #[test]
    fn an_error_of_an_unknown_code_cannot_be_read() {
        let stored = StoredError { code: "from_the_future".into(), details: None, wording: None };
        assert!(cbor::decode::<Error>(&cbor::encode(&stored).unwrap()).is_err());
    }
}
