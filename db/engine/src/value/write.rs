//! Writes Extended JSON. [`Value::to_json`] keeps every type and is what is stored and what stands in
//! commands; clients get it relaxed, or in canonical form.

use super::date::iso_date;
use super::{Decimal, Object, Value, parse_stored};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self, false, serializer)
    }
}

/// A value in one of the two forms: canonical, where every number says its type, or not.
struct Formed<'v>(&'v Value, bool);

impl Serialize for Formed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, self.1, serializer)
    }
}

fn write<S: Serializer>(value: &Value, canonical: bool, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Value::Null => to.serialize_unit(),
        Value::Bool(truth) => to.serialize_bool(*truth),
        Value::Int(number) if canonical => single(to, "$numberInt", &number.to_string()),
        Value::Int(number) => to.serialize_i32(*number),
        // In the shorter form it would be read back as one of 32 bits.
        Value::Long(number) if canonical || i32::try_from(*number).is_ok() => {
            single(to, "$numberLong", &number.to_string())
        }
        Value::Long(number) => to.serialize_i64(*number),
        Value::Double(number) if number.is_nan() => single(to, "$numberDouble", "NaN"),
        Value::Double(number) if number.is_infinite() => {
            single(to, "$numberDouble", if *number > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Value::Double(number) if canonical => single(to, "$numberDouble", &format!("{number:?}")),
        Value::Double(number) => to.serialize_f64(*number),
        Value::Decimal(number) => match (plain(number), canonical) {
            (Some(number), false) => to.serialize_u64(number),
            _ => single(to, "$numberDecimal", &number.to_string()),
        },
        Value::String(text) => to.serialize_str(text),
        Value::Object(fields) => write_object(fields, canonical, to),
        Value::Array(items) => to.collect_seq(items.iter().map(|item| Formed(item, canonical))),
        Value::Binary(kind, bytes) => {
            let parts = [("base64", BASE64.encode(bytes)), ("subType", format!("{kind:02x}"))];
            single(to, "$binary", &Parts(parts))
        }
        Value::ObjectId(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            single(to, "$oid", &digits)
        }
        Value::Date(ms) => match iso_date(*ms).filter(|_| !canonical) {
            Some(text) => single(to, "$date", &text),
            None => single(to, "$date", &Parts([("$numberLong", ms.to_string())])),
        },
        Value::Timestamp(seconds, number) => {
            single(to, "$timestamp", &Parts([("t", *seconds), ("i", *number)]))
        }
        Value::Regex(regex) => {
            let parts = [("pattern", &regex.pattern), ("options", &regex.options)];
            single(to, "$regularExpression", &Parts(parts))
        }
        Value::Code(code) => {
            let mut map = to.serialize_map(None)?;
            map.serialize_entry("$code", &code.text)?;
            if let Some(scope) = &code.scope {
                map.serialize_entry("$scope", &Scope(scope, canonical))?;
            }
            map.end()
        }
        Value::MinKey => single(to, "$minKey", &1),
        Value::MaxKey => single(to, "$maxKey", &1),
    }
}

/// A whole number between `i64` and `u64` was plain JSON and stays so.
fn plain(number: &Decimal) -> Option<u64> {
    match *number {
        Decimal::Finite { negative: false, digits, exponent: 0 } => {
            u64::try_from(digits).ok().filter(|large| i64::try_from(*large).is_err())
        }
        _ => None,
    }
}

fn write_object<S: Serializer>(fields: &Object, canonical: bool, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(name, value)| (name, Formed(value, canonical))))
}

struct Scope<'v>(&'v Object, bool);

impl Serialize for Scope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_object(self.0, self.1, serializer)
    }
}

fn single<S: Serializer>(
    serializer: S,
    name: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

struct Parts<T, const N: usize>([(&'static str, T); N]);

impl<T: Serialize, const N: usize> Serialize for Parts<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A 64-bit integer in the form that keeps types. Inside a string the quotes have backslashes
/// before them, so this is found only where it is meant.
const LONG: &[u8] = br#"{"$numberLong":""#;
const LONG_END: &[u8] = b"\"}";
const DATE: &[u8] = br#"{"$date":"#;

/// A text of [`Value::to_json`], or one that has such texts in it, in relaxed form: what stands in
/// `$numberLong` becomes a plain number, but for the milliseconds of a `$date`.
pub fn relaxed(json: &[u8]) -> Cow<'_, [u8]> {
    let mut written: Vec<u8> = Vec::new();
    let mut copied = 0;
    for at in memmem::find_iter(json, LONG) {
        let digits = json.get(at + LONG.len()..).unwrap_or_default();
        let end = digits.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-');
        let Some(end) =
            end.filter(|end| digits.get(*end..).is_some_and(|rest| rest.starts_with(LONG_END)))
        else {
            continue;
        };
        if json.get(..at).is_some_and(|before| before.ends_with(DATE)) {
            continue;
        }
        written.extend_from_slice(&json[copied..at]);
        written.extend_from_slice(&digits[..end]);
        copied = at + LONG.len() + end + LONG_END.len();
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    written.extend_from_slice(&json[copied..]);
    Cow::Owned(written)
}

/// A text of [`Value::to_json`] in canonical form; unchanged if it is no such text.
pub fn canonical(json: &[u8]) -> Cow<'_, [u8]> {
    written(json, |value| serde_json::to_vec(&Formed(value, true)))
}

/// As [`canonical`], only for what the fields of these names hold, at whatever depth; the rest is
/// relaxed.
pub fn canonical_in<'j>(json: &'j [u8], names: &[&str]) -> Cow<'j, [u8]> {
    written(json, |value| serde_json::to_vec(&Around(value, names)))
}

fn written(json: &[u8], write: impl Fn(&Value) -> serde_json::Result<Vec<u8>>) -> Cow<'_, [u8]> {
    match parse_stored(json).map(|value| write(&value)) {
        Some(Ok(text)) => Cow::Owned(text),
        _ => Cow::Borrowed(json),
    }
}

/// What stands around values: objects and lists, down to the fields of these names.
struct Around<'v>(&'v Value, &'v [&'v str]);

/// A field of what stands around values.
enum Field<'v> {
    Value(Formed<'v>),
    Around(Around<'v>),
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Value(value) => value.serialize(serializer),
            Field::Around(around) => around.serialize(serializer),
        }
    }
}

impl Serialize for Around<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Around(value, names) = *self;
        match value {
            Value::Object(fields) => to.collect_map(fields.iter().map(|(name, value)| {
                let field = match names.contains(&name.as_str()) {
                    true => Field::Value(Formed(value, true)),
                    false => Field::Around(Around(value, names)),
                };
                (name, field)
            })),
            Value::Array(items) => to.collect_seq(items.iter().map(|item| Around(item, names))),
            Value::Long(number) => to.serialize_i64(*number),
            other => write(other, false, to),
        }
    }
}
