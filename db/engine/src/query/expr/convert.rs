//! Types: their names, and conversion between them.

use super::EvalResult;
use super::call::{Args, ONE, Operator, Shape, null, operator, owned, shown};
use crate::error::Result;
use crate::query::context::At;
use crate::query::filter::TypeName;
use crate::value::{Decimal, Value, date, iso_date, number};

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

fn convert_to<'v>(args: &Args<'_, 'v>, to: &str) -> EvalResult<'v> {
    let Some(value) = args.present(0)? else { return null() };
    hold_text(args, &value)?;
    match converted(&value, to) {
        Some(value) => owned(value),
        None => Err(args.error(format_args!("cannot convert {}", shown(&value)))),
    }
}

fn convert<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(value) = args.present(0)? else {
        return if args.given(3) { args.get(3) } else { null() };
    };
    let Some(to) = args.present(1)? else { return null() };
    let name = match TypeName::parse(&to, At::root("to")) {
        Ok(name) if name != TypeName::NUMBER => name.as_str(),
        _ => return Err(args.wrong("the name of a type such as \"int\" in to", &to)),
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

/// The value converted to another type, if that is possible.
fn converted(value: &Value, to: &str) -> Option<Value> {
    match to {
        "int" => match to_long(value)? {
            _ if matches!(value, Value::Date(_)) => None,
            int => i32::try_from(int).ok().map(Value::Int),
        },
        "long" => to_long(value).map(Value::Long),
        "double" => to_double(value).map(Value::Double),
        "decimal" => to_decimal(value),
        "string" => to_text(value).map(Value::String),
        "bool" => Some(Value::Bool(super::truthy(Some(value)))),
        "objectId" => match value {
            Value::ObjectId(_) => Some(value.clone()),
            Value::String(text) if text.len() == 24 && text.is_ascii() => {
                let mut bytes = [0; 12];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    let digits = text.get(2 * index..2 * index + 2)?;
                    // A sign would be accepted as a part of a number.
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
        Value::String(text) => parse_double(text),
        Value::Decimal(number) => {
            let double = number.to_double();
            (double.is_finite() || number.exact().is_none()).then_some(double)
        }
        number if number.is_number() => Some(number::to_double(number)),
        _ => None,
    }
}

/// A double from text, decimal or hexadecimal. A text that would be rounded to infinity or to zero
/// is refused.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // MongoDB does not accept this one of C's forms of hexadecimal numbers.
    if text.starts_with("0x") {
        return None;
    }
    let (number, is_zero) = match unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
        Some(digits) => {
            let (number, is_zero) = parse_hexadecimal(digits)?;
            (if text.starts_with('-') { -number } else { number }, is_zero)
        }
        None => {
            let digits = unsigned.split(['e', 'E']).next().unwrap_or_default();
            (text.parse::<f64>().ok()?, digits.bytes().all(|byte| matches!(byte, b'0' | b'.')))
        }
    };
    let named = unsigned.starts_with(['i', 'I', 'n', 'N']);
    (named || number.is_finite() && (number != 0.0 || is_zero)).then_some(number)
}

/// A number such as `1.8p3`, 1.5 times 2^3, and whether it is written as zero.
fn parse_hexadecimal(text: &str) -> Option<(f64, bool)> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let places = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some((libm::scalbn(number, exponent.saturating_sub(places)), number == 0.0))
}

fn to_decimal(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => to_decimal(&Value::Int(i32::from(*truth))),
        Value::Date(ms) => to_decimal(&Value::Long(*ms)),
        Value::String(text) => Decimal::parse(text).map(number::decimal),
        other => other.is_number().then(|| number::decimal(number::to_decimal(other))),
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

/// A number as text, in as few digits as identify it.
fn number_text(value: &Value) -> String {
    match value {
        Value::Double(number) if number.is_infinite() => {
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Double(number) if number.is_nan() => "NaN".to_owned(),
        Value::Double(number) => {
            let text = format!("{number:e}");
            match exponent_of(&text) {
                -4..16 => number.to_string(),
                _ => with_exponent(&text),
            }
        }
        Value::Decimal(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Digits of a double where a text was expected: those of C's `%g`, as in MongoDB.
const DIGITS: i32 = 6;

/// A number where a text is expected.
pub(super) fn coerced_text(value: &Value) -> String {
    let Value::Double(number) = value else { return number_text(value) };
    if !number.is_finite() {
        return number.to_string().to_lowercase();
    }
    let text = format!("{number:.*e}", DIGITS as usize - 1);
    let shorter = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match exponent_of(&text) {
        exponent @ -4..DIGITS => shorter(&format!("{number:.*}", (DIGITS - 1 - exponent) as usize)),
        _ => {
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            with_exponent(&format!("{}e{exponent}", shorter(digits)))
        }
    }
}

/// The power of ten in a text such as `1.5e-7`.
fn exponent_of(text: &str) -> i32 {
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or_default()
}

/// The same number with a sign and two digits at least in its exponent: `1.5e-07`.
fn with_exponent(text: &str) -> String {
    let digits = text.split_once('e').map_or(text, |(digits, _)| digits);
    format!("{digits}e{:+03}", exponent_of(text))
}

fn date_text(ms: i64) -> Option<String> {
    match iso_date(ms) {
        Some(text) if ms % 1000 == 0 => Some(text.replace('Z', ".000Z")),
        Some(text) => Some(text),
        None => date::civil_of_ms(ms)
            .filter(|civil| civil.year() >= 0)
            .map(|civil| format!("{civil:.3}Z")),
    }
}

/// The error for a date that has no text.
pub(super) const NO_TEXT: &str = "needs a date between the years 0 and 9999 to write it as a text";

/// A date as a text in UTC, with milliseconds.
pub(super) fn iso_text(args: &Args<'_, '_>, ms: i64) -> Result<String> {
    date_text(ms).ok_or_else(|| args.error(NO_TEXT))
}

fn to_date(value: &Value) -> Option<i64> {
    match value {
        Value::Date(ms) => Some(*ms),
        Value::ObjectId(bytes) => Some(object_id_ms(bytes)),
        Value::Timestamp(seconds, _) => Some(timestamp_ms(*seconds)),
        Value::String(text) => date::parse_text(text)
            .map(|(civil, offset_ms)| date::ms_of_civil(civil) - offset_ms.unwrap_or_default()),
        number if number.is_number() => to_long(number),
        _ => None,
    }
}

/// The time of a timestamp, in milliseconds.
pub(super) fn timestamp_ms(seconds: u32) -> i64 {
    i64::from(seconds) * 1000
}

/// The time at the beginning of an object id, in milliseconds. Its seconds are a signed number, as
/// in MongoDB: in 2038 they start over at 1901.
pub(super) fn object_id_ms(id: &[u8; 12]) -> i64 {
    let [a, b, c, d, ..] = *id;
    i64::from(i32::from_be_bytes([a, b, c, d])) * 1000
}
