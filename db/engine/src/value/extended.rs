//! Reads Extended JSON (MongoDB's specification, version 2) in both of its forms.
//!
//! The crate `bson` reads it too, by way of its own values; here a text becomes values of the engine
//! in one pass, of the wanted fields only, and errors name their place.

use super::date::parse_date;
use super::number::{self, decimal};
use super::{Code, Decimal, LEVELS_MAX, Object, Regex, Value};
use crate::error::{Error, Kind};
use crate::query::context::At;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
            Some(int) => Value::from(int),
            None => match number.as_u64() {
                Some(large) => decimal(Decimal::from(i128::from(large))),
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
        "$numberInt" => "a whole number of 32 bits as a text",
        "$numberLong" => "a whole number of 64 bits as a text",
        "$numberDouble" => "a number as a text",
        "$numberDecimal" => {
            "a decimal number as a text, of at most 34 digits and with an exponent between -6176 \
             and 6111"
        }
        "$oid" => "24 hexadecimal digits",
        "$uuid" => "a UUID as a text",
        "$binary" => "{\"base64\": …, \"subType\": …}",
        "$timestamp" => "{\"t\": …, \"i\": …}, both whole numbers of 32 bits without a sign",
        "$regularExpression" => {
            "{\"pattern\": …, \"options\": …}, both texts without the character NUL"
        }
        "$minKey" | "$maxKey" => "1",
        "$code" | "$scope" => "the text of a program, alone or with an object as $scope beside it",
        "$symbol" | "$undefined" | "$dbPointer" => {
            return Err(at
                .key(name)
                .invalid("is a type that BSON gave up, and does not exist here")
                .hint("use a text in the place of a symbol, and null in that of undefined"));
        }
        _ => return Ok(Value::Object(object)),
    };
    match parse_special(&object) {
        Some(value) => Ok(value),
        None => Err(at.key(name).invalid(format!("must be {rule}"))),
    }
}

fn parse_special(object: &Object) -> Option<Value> {
    let (name, value) = object.first()?;
    if object.len() == 2 {
        return match name.as_str() {
            // The old form of binary data has its two keys side by side.
            "$binary" => binary(value, object.get("$type")?),
            "$code" | "$scope" => code(object.get("$code")?, Some(object.get("$scope")?)),
            _ => None,
        };
    }
    if object.len() != 1 {
        return None;
    }
    match (name.as_str(), value) {
        ("$date", Value::String(text)) => parse_date(text).map(Value::Date),
        ("$date", number) => number::whole(number).map(Value::Date),
        ("$numberInt", Value::String(text)) => text.parse().ok().map(Value::Int),
        ("$numberInt", Value::Int(number)) => Some(Value::Int(*number)),
        ("$numberLong", Value::String(text)) => text.parse().ok().map(Value::Long),
        ("$numberLong", number) => number::whole(number).map(Value::Long),
        ("$numberDouble", Value::String(text)) => match text.as_str() {
            "Infinity" => Some(Value::Double(f64::INFINITY)),
            "-Infinity" => Some(Value::Double(f64::NEG_INFINITY)),
            "NaN" => Some(Value::Double(f64::NAN)),
            _ => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Double),
        },
        ("$numberDouble", number) if number.is_number() => {
            Some(Value::Double(number::to_double(number)))
        }
        ("$numberDecimal", Value::String(text)) => Decimal::parse(text).map(decimal),
        ("$oid", Value::String(text)) => hex(text)?.try_into().ok().map(Value::ObjectId),
        ("$uuid", Value::String(text)) => {
            let bytes = hex(&text.replace('-', "")).filter(|bytes| bytes.len() == 16)?;
            Some(Value::Binary(4, bytes))
        }
        ("$binary", Value::Object(parts)) if parts.len() == 2 => {
            binary(parts.get("base64")?, parts.get("subType")?)
        }
        ("$timestamp", Value::Object(parts)) if parts.len() == 2 => {
            let part = |name| u32::try_from(number::whole(parts.get(name)?)?).ok();
            Some(Value::Timestamp(part("t")?, part("i")?))
        }
        ("$regularExpression", Value::Object(parts)) if parts.len() == 2 => {
            let text = |name| parts.get(name).and_then(Value::as_str);
            Some(Value::Regex(Box::new(Regex::new(text("pattern")?, text("options")?)?)))
        }
        ("$minKey", Value::Int(1)) => Some(Value::MinKey),
        ("$maxKey", Value::Int(1)) => Some(Value::MaxKey),
        ("$code", text) => code(text, None),
        _ => None,
    }
}

fn code(text: &Value, scope: Option<&Value>) -> Option<Value> {
    let scope = match scope {
        Some(scope) => Some(scope.as_object()?.clone()),
        None => None,
    };
    Some(Value::Code(Box::new(Code { text: text.as_str()?.to_owned(), scope })))
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
    "$timestamp",
    "$regularExpression",
    "$minKey",
    "$maxKey",
    "$code",
    "$scope",
    // Types that this database does not have.
    "$symbol",
    "$undefined",
    "$dbPointer",
];

/// Whether Extended JSON uses the name for a value.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A field inside `value` whose name is reserved by Extended JSON, or that contains the character
/// NUL, which MongoDB does not allow, if there is one.
pub fn reserved_name(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => reserved_in(fields),
        Value::Array(items) => items.iter().find_map(reserved_name),
        Value::Code(code) => code.scope.as_ref().and_then(reserved_in),
        _ => None,
    }
}

fn reserved_in(fields: &Object) -> Option<&str> {
    fields.iter().find_map(|(name, value)| {
        let taken = is_reserved(name) || name.contains('\0');
        if taken { Some(name.as_str()) } else { reserved_name(value) }
    })
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

/// The value that a text begins with, and its length. For texts that were checked when they were
/// stored.
pub fn parse_first(json: &[u8]) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(ValueVisitor)
    }
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
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(match i64::try_from(number) {
            Ok(int) => Value::from(int),
            Err(_) => decimal(Decimal::from(i128::from(number))),
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
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);
