//! Extended JSON (MongoDB's specification, version 2): reads both of its forms, writes the relaxed
//! one.

use super::date::{iso_date, parse_date};
use super::number::{decimal_text, parse_decimal};
use super::{Decimal, LEVELS_MAX, Object, Value};
use crate::error::{Error, Kind};
use crate::query::context::At;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bigdecimal::ToPrimitive;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::fmt;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Converts parsed JSON to a value; `at` is its location for errors.
///
/// # Errors
/// `invalid_query` for invalid Extended JSON, such as `{"$date": "soon"}`.
/// `too_deep` for more than [`LEVELS_MAX`] levels: what is written as text must be readable again.
pub fn from_json(json: serde_json::Value, at: At<'_>) -> Result<Value> {
    build(json, at, LEVELS_MAX)
}

fn build(json: serde_json::Value, at: At<'_>, levels: usize) -> Result<Value> {
    if levels == 0 && (json.is_array() || json.is_object()) {
        // The location itself would be a hundred names long.
        let message = format!("{} is nested deeper than {LEVELS_MAX} levels", at.outermost());
        return Err(Error::new(Kind::TooDeep, message).hint("flatten it"));
    }
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => match number.as_u64() {
                Some(large) => Value::Decimal(Box::new(Decimal::from(large))),
                None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
        },
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => {
            let items = items.into_iter().enumerate();
            let items = items.map(|(index, item)| build(item, at.index(index), levels - 1));
            Value::Array(items.collect::<Result<_>>()?)
        }
        serde_json::Value::Object(fields) => {
            let mut object = Object::with_capacity(fields.len());
            for (name, value) in fields {
                let value = build(value, at.key(&name), levels - 1)?;
                object.insert(name, value);
            }
            special(object, at)?
        }
    })
}

/// The value that an object of Extended JSON represents; other objects stay as they are.
fn special(object: Object, at: At<'_>) -> Result<Value> {
    let Some((name, _)) = object.first().filter(|(name, _)| name.starts_with('$')) else {
        return Ok(Value::Object(object));
    };
    let rule = match name.as_str() {
        "$date" => "an ISO 8601 text with a time zone, or milliseconds since 1970",
        "$numberInt" | "$numberLong" => "a whole number as a text",
        "$numberDouble" => "a number as a text",
        "$numberDecimal" => {
            "a decimal number as a text, of at most 34 digits and with an exponent between -6176 \
             and 6111"
        }
        "$oid" => "24 hexadecimal digits",
        "$uuid" => "a UUID as a text",
        "$binary" => "{\"base64\": …, \"subType\": …}",
        _ => return Ok(Value::Object(object)),
    };
    match parse_special(&object) {
        Some(value) => Ok(value),
        None => Err(at.key(name).invalid(format!("must be {rule}"))),
    }
}

fn parse_special(object: &Object) -> Option<Value> {
    let (name, value) = object.first()?;
    // The old form of binary data has its two keys side by side.
    if object.len() != 1 && !(name == "$binary" && object.len() == 2) {
        return None;
    }
    match (name.as_str(), value) {
        ("$date", Value::Int(ms)) => Some(Value::Date(*ms)),
        ("$date", Value::String(text)) => parse_date(text).map(Value::Date),
        ("$numberInt" | "$numberLong", Value::String(text)) => text.parse().ok().map(Value::Int),
        ("$numberInt" | "$numberLong", Value::Int(number)) => Some(Value::Int(*number)),
        ("$numberDouble", Value::String(text)) => match text.as_str() {
            "Infinity" => Some(Value::Double(f64::INFINITY)),
            "-Infinity" => Some(Value::Double(f64::NEG_INFINITY)),
            "NaN" => Some(Value::Double(f64::NAN)),
            _ => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Double),
        },
        ("$numberDouble", number) if number.is_number() => {
            Some(Value::Double(super::number::to_double(number)))
        }
        ("$numberDecimal", Value::String(text)) => parse_decimal(text),
        ("$oid", Value::String(text)) => hex(text)?.try_into().ok().map(Value::ObjectId),
        ("$uuid", Value::String(text)) => {
            let bytes = hex(&text.replace('-', "")).filter(|bytes| bytes.len() == 16)?;
            Some(Value::Binary(4, bytes))
        }
        ("$binary", Value::Object(parts)) if parts.len() == 2 => {
            binary(parts.get("base64")?, parts.get("subType")?)
        }
        ("$binary", text) => binary(text, object.get("$type")?),
        _ => None,
    }
}

fn binary(base64: &Value, kind: &Value) -> Option<Value> {
    let bytes = BASE64.decode(base64.as_str()?).ok()?;
    let kind = kind.as_str().filter(|text| !text.is_empty() && text.len() <= 2)?;
    Some(Value::Binary(u8::from_str_radix(kind, 16).ok()?, bytes))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Names that Extended JSON uses for values. As the name of a field they would be read back as
/// something else, here or by another program.
const RESERVED: [&str; 17] = [
    "$date",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$oid",
    "$uuid",
    "$binary",
    // Types that this database does not have.
    "$timestamp",
    "$regularExpression",
    "$minKey",
    "$maxKey",
    "$code",
    "$scope",
    "$symbol",
    "$undefined",
    "$dbPointer",
];

/// A field inside `value` whose name is reserved by Extended JSON, or that contains the character
/// NUL, which MongoDB does not allow, if there is one.
pub fn reserved_name(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let taken = RESERVED.contains(&name.as_str()) || name.contains('\0');
            if taken { Some(name.as_str()) } else { reserved_name(value) }
        }),
        Value::Array(items) => items.iter().find_map(reserved_name),
        _ => None,
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Double(number) => {
                let name = match number {
                    number if number.is_nan() => "NaN",
                    number if *number > 0.0 => "Infinity",
                    _ => "-Infinity",
                };
                single(serializer, "$numberDouble", name)
            }
            Value::Decimal(number) => match number.as_bigint_and_scale() {
                // A whole number between i64 and u64 was plain JSON and stays so.
                (digits, 0) if digits.to_u64().is_some_and(|large| large > i64::MAX as u64) => {
                    serializer.serialize_u64(digits.to_u64().unwrap_or_default())
                }
                _ => single(serializer, "$numberDecimal", &decimal_text(number)),
            },
            Value::String(text) => serializer.serialize_str(text),
            Value::Object(fields) => serializer.collect_map(fields),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Binary(kind, bytes) => {
                let parts = [("base64", BASE64.encode(bytes)), ("subType", format!("{kind:02x}"))];
                single(serializer, "$binary", &Parts(parts))
            }
            Value::ObjectId(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                single(serializer, "$oid", &digits)
            }
            Value::Date(ms) => match iso_date(*ms) {
                Some(text) => single(serializer, "$date", &text),
                None => single(serializer, "$date", &Parts([("$numberLong", ms.to_string())])),
            },
        }
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

struct Parts<const N: usize>([(&'static str, String); N]);

impl<const N: usize> Serialize for Parts<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Reads text that was checked when it was stored; `None` if it is not JSON after all.
pub fn parse_stored(json: &[u8]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    ValueVisitor.deserialize(&mut reader).ok()
}

/// As [`parse_stored`], for the fields of the outermost object that `wanted` accepts; the others
/// are skipped without being built.
pub fn parse_fields(json: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.deserialize_map(FieldsVisitor(wanted)).map(Value::Object).ok()
}

/// Builds values from stored text.
struct ValueVisitor;

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(match i64::try_from(number) {
            Ok(int) => Value::Int(int),
            Err(_) => Value::Decimal(Box::new(Decimal::from(number))),
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(ValueVisitor)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some(name) = map.next_key::<String>()? {
            object.insert(name, map.next_value_seed(ValueVisitor)?);
        }
        if object.first().is_some_and(|(name, _)| name.starts_with('$'))
            && let Some(value) = parse_special(&object)
        {
            return Ok(value);
        }
        Ok(Value::Object(object))
    }
}

/// Builds the accepted fields of an object.
struct FieldsVisitor<F>(F);

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for FieldsVisitor<F> {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if (self.0)(&name.0) {
                object.insert(name.0.into_owned(), map.next_value_seed(ValueVisitor)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// A key that is copied only if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
