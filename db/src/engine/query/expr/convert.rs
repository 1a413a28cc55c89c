//! Types: what they are called, and the conversion between them.

use super::Answer;
use super::call::{Args, ONE, Operator, Shape, null, operator, owned, shown};
use crate::engine::value::{Value, date, iso_date, number, parse_date};
use crate::error::Result;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$type", ONE, |args| owned(args.get(0)?.map_or("missing", |value| value.type_name()))),
    operator("$isNumber", ONE, |args| owned(args.get(0)?.is_some_and(|value| value.is_number()))),
    operator("$toInt", ONE, |args| convert_to(args, "int")),
    operator("$toLong", ONE, |args| convert_to(args, "long")),
    operator("$toDouble", ONE, |args| convert_to(args, "double")),
    operator("$toDecimal", ONE, |args| convert_to(args, "decimal")),
    operator("$toString", ONE, |args| convert_to(args, "string")),
    operator("$toBool", ONE, |args| convert_to(args, "bool")),
    operator("$toObjectId", ONE, |args| convert_to(args, "objectId")),
    operator("$toDate", ONE, |args| convert_to(args, "date")),
    operator("$convert", Shape::Named(&["input", "to", "onError", "onNull"], 2), convert),
];

/// The types that can be converted to, with their numbers in BSON.
const TYPES: &[(&str, i64)] = &[
    ("double", 1),
    ("string", 2),
    ("objectId", 7),
    ("bool", 8),
    ("date", 9),
    ("int", 16),
    ("long", 18),
    ("decimal", 19),
];

fn convert_to<'v>(args: &Args<'_, 'v>, to: &str) -> Answer<'v> {
    let Some(value) = args.present(0)? else { return null() };
    hold_text(args, &value)?;
    match converted(&value, to) {
        Some(value) => owned(value),
        None => Err(args.error(format_args!("cannot convert {}", shown(&value)))),
    }
}

fn convert<'v>(args: &Args<'_, 'v>) -> Answer<'v> {
    let Some(to) = args.present(1)? else { return null() };
    let Some((name, _)) = TYPES.iter().find(|(name, number)| match &*to {
        Value::String(text) => text == name,
        other => other.as_int() == Some(*number),
    }) else {
        return Err(args.wrong("the name of a type such as \"int\" in to", &to));
    };
    let Some(value) = args.present(0)? else {
        return if args.given(3) { args.get(3) } else { null() };
    };
    hold_text(args, &value)?;
    match converted(&value, name) {
        Some(value) => owned(value),
        None if args.given(2) => args.get(2),
        None => Err(args.error(format_args!("cannot convert {} to {name}", shown(&value)))),
    }
}

/// Counts a text, which may be copied or read as a number.
fn hold_text(args: &Args<'_, '_>, value: &Value) -> Result<()> {
    args.hold(value.as_str().map_or(0, str::len))
}

/// The value in another type, if it has one there.
fn converted(value: &Value, to: &str) -> Option<Value> {
    match to {
        "int" => match to_long(value)? {
            int if i32::try_from(int).is_ok() && !matches!(value, Value::Date(_)) => {
                Some(Value::Int(int))
            }
            _ => None,
        },
        "long" => to_long(value).map(Value::Int),
        "double" => to_double(value).map(Value::Double),
        "decimal" => to_decimal(value),
        "string" => to_text(value).map(Value::String),
        "bool" => match value {
            Value::Array(_) | Value::Object(_) => None,
            value => Some(Value::Bool(super::truthy(Some(value)))),
        },
        "objectId" => match value {
            Value::ObjectId(_) => Some(value.clone()),
            Value::String(text) if text.len() == 24 && text.is_ascii() => {
                let mut bytes = [0; 12];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    let digits = text.get(2 * index..2 * index + 2)?;
                    // A sign would pass as a part of a number.
                    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    *byte = hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()?;
                }
                Some(Value::ObjectId(bytes))
            }
            _ => None,
        },
        "date" => to_date(value).map(Value::Date),
        _ => None,
    }
}

fn to_long(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Date(ms) => Some(*ms),
        Value::String(text) => text.parse().ok(),
        other => number::truncated(other),
    }
}

fn to_double(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Date(ms) => Some(*ms as f64),
        Value::String(text) => text.parse().ok(),
        number if number.is_number() => Some(number::nearest(number)),
        _ => None,
    }
}

fn to_decimal(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => to_decimal(&Value::Int(i64::from(*truth))),
        Value::Date(ms) => to_decimal(&Value::Int(*ms)),
        Value::Int(int) => Some(number::decimal((*int).into())),
        // As people would write it, not with all the digits of its binary form.
        Value::Double(double) => number::parse_decimal(&format!("{double:?}")),
        Value::Decimal(_) => Some(value.clone()),
        Value::String(text) => number::parse_decimal(text),
        _ => None,
    }
}

fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::ObjectId(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Value::Date(ms) => date_text(*ms),
        number if number.is_number() => Some(number_text(number)),
        _ => None,
    }
}

/// A number as a text, in as few digits as tell it from others.
pub(super) fn number_text(value: &Value) -> String {
    match value {
        Value::Double(number) if number.is_infinite() => {
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Double(number) if number.abs() < 1e16 && number.abs() >= 1e-5 || *number == 0.0 => {
            number.to_string()
        }
        Value::Double(number) => format!("{number:?}"),
        Value::Decimal(number) => number::decimal_text(number),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

fn date_text(ms: i64) -> Option<String> {
    match iso_date(ms) {
        Some(text) if ms % 1000 == 0 => Some(text.replace('Z', ".000Z")),
        Some(text) => Some(text),
        None => date::civil_of_ms(ms).map(|civil| format!("{civil:.3}Z")),
    }
}

/// A date as a text in UTC, with milliseconds.
pub(super) fn iso_text(args: &Args<'_, '_>, ms: i64) -> Result<String> {
    date_text(ms)
        .ok_or_else(|| args.wrong("a date between the years -9999 and 9999", &Value::Date(ms)))
}

fn to_date(value: &Value) -> Option<i64> {
    match value {
        Value::Date(ms) => Some(*ms),
        Value::ObjectId(bytes) => Some(object_id_ms(bytes)),
        Value::String(text) => parse_date(text),
        number if number.is_number() => to_long(number),
        _ => None,
    }
}

/// The time that an object id begins with, in milliseconds.
pub(super) fn object_id_ms(id: &[u8; 12]) -> i64 {
    let seconds = id.iter().take(4).fold(0, |seconds: i64, byte| seconds << 8 | i64::from(*byte));
    seconds * 1000
}
