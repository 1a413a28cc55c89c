//! Values as bytes whose order is the order of the values.
//!
//! One byte for the class, then the content, such that no encoding is a prefix of another: texts
//! end with a zero byte (inside them 0 is `01 01` and 1 is `01 02`), lists with a zero byte in the
//! position of a class. A number is the largest double that is not above it, followed by its
//! decimal digits if it lies between two doubles. The idea is FoundationDB's tuple layer; no crate
//! on crates.io orders all of these types, and numbers across types, as MongoDB does.

use crate::value::{Class, Code, Object, Regex, Value, number};
use bigdecimal::{BigDecimal, ToPrimitive};
use std::cmp::Ordering;

/// The encoding of an empty array: below everything, as MongoDB sorts it.
pub const EMPTY_ARRAY: u8 = 0x08;
/// After every encoded value.
pub const END: u8 = 0xf8;
const SIGN: u64 = 1 << 63;
const EXACT: u8 = 0;
const BETWEEN: u8 = 1;
const LIST_END: u8 = 0;
/// Escape in texts before the bytes 0 and 1, each raised by one, so that 0 is only the end.
const ESCAPE: u8 = 1;

/// Appends the encoding of `value`.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    out.push(value.class() as u8);
    match value {
        Value::Null | Value::MinKey | Value::MaxKey => {}
        Value::Bool(truth) => out.push(u8::from(*truth)),
        Value::Int(_) | Value::Long(_) | Value::Double(_) | Value::Decimal(_) => {
            encode_number(value, out);
        }
        Value::String(text) => encode_text(text.as_bytes(), out),
        Value::Object(fields) => encode_object(fields, out),
        Value::Array(items) => {
            items.iter().for_each(|item| encode(item, out));
            out.push(LIST_END);
        }
        Value::Binary(kind, bytes) => {
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.push(*kind);
            out.extend_from_slice(bytes);
        }
        Value::ObjectId(bytes) => out.extend_from_slice(bytes),
        Value::Date(ms) => out.extend_from_slice(&((*ms as u64) ^ SIGN).to_be_bytes()),
        Value::Timestamp(seconds, number) => {
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Regex(regex) => {
            encode_text(regex.pattern.as_bytes(), out);
            encode_text(regex.options.as_bytes(), out);
        }
        Value::Code(code) => {
            encode_text(code.text.as_bytes(), out);
            if let Some(scope) = &code.scope {
                encode_object(scope, out);
            }
        }
    }
}

fn encode_object(fields: &Object, out: &mut Vec<u8>) {
    for (name, value) in fields {
        out.push(value.class() as u8);
        encode_text(name.as_bytes(), out);
        encode(value, out);
    }
    out.push(LIST_END);
}

/// Inverts the order of the bytes from `start` on.
pub fn reverse(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

fn encode_text(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match *byte {
            small @ ..=ESCAPE => out.extend([ESCAPE, small + 1]),
            other => out.push(other),
        }
    }
    out.push(0);
}

fn encode_number(value: &Value, out: &mut Vec<u8>) {
    let below = floor(value);
    let bits = match below.to_bits() {
        _ if below.is_nan() => 0,
        bits if bits & SIGN != 0 => !bits,
        bits => bits | SIGN,
    };
    out.extend_from_slice(&bits.to_be_bytes());
    if below.is_nan() || number::compare(value, &Value::Double(below)) == Ordering::Equal {
        out.push(EXACT);
        return;
    }
    out.push(BETWEEN);
    // Only whole numbers and decimals lie between two doubles, and these have digits.
    let Some(exact) = number::exact(value) else { return };
    let start = out.len();
    let (digits, scale) = exact.normalized().into_bigint_and_exponent();
    let digits = digits.magnitude().to_string();
    let exponent = (digits.len() as i64 - scale) as i16;
    out.extend_from_slice(&((exponent as u16) ^ (1 << 15)).to_be_bytes());
    out.extend_from_slice(digits.as_bytes());
    out.push(0);
    if below < 0.0 {
        reverse(&mut out[start..]);
    }
}

/// The largest double that is not above a number.
fn floor(value: &Value) -> f64 {
    let near = number::nearest(value);
    if near.is_nan() || number::compare(&Value::Double(near), value) != Ordering::Greater {
        return near;
    }
    near.next_down()
}

/// How an encoded value is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FieldEncoding {
    /// By decoding.
    Value = 0,
    /// By decoding; it is an integer of 32 bits, where the encoding has only numbers.
    Int = 1,
    /// There was no value.
    Missing = 2,
    /// It cannot be decoded: the document must be read.
    Lost = 3,
    /// By decoding; it is an integer of 64 bits.
    Long = 4,
}

impl FieldEncoding {
    /// How a value can be decoded.
    pub fn of(value: Option<&Value>) -> FieldEncoding {
        match value {
            None => FieldEncoding::Missing,
            Some(Value::Int(_)) => FieldEncoding::Int,
            Some(Value::Long(_)) => FieldEncoding::Long,
            Some(Value::Code(code)) if code.scope.is_some() => FieldEncoding::Lost,
            Some(Value::Double(number)) if number.is_nan() || is_negative_zero(*number) => {
                FieldEncoding::Lost
            }
            Some(Value::Decimal(_) | Value::Object(_) | Value::Array(_)) => FieldEncoding::Lost,
            Some(_) => FieldEncoding::Value,
        }
    }

    /// Converts from its number.
    pub fn from_byte(byte: u8) -> FieldEncoding {
        match byte {
            0 => FieldEncoding::Value,
            1 => FieldEncoding::Int,
            2 => FieldEncoding::Missing,
            4 => FieldEncoding::Long,
            _ => FieldEncoding::Lost,
        }
    }
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

/// The value of an encoded scalar; `None` if it cannot be decoded.
pub fn decode(bytes: &[u8], kept: FieldEncoding) -> Option<Value> {
    let (class, content) = bytes.split_first()?;
    let class = *class;
    let is = |other: Class| class == other as u8;
    if is(Class::Null) {
        Some(Value::Null)
    } else if is(Class::Bool) {
        Some(Value::Bool(*content.first()? != 0))
    } else if is(Class::Number) {
        decode_number(content, kept)
    } else if is(Class::String) {
        decode_text(content).map(|(text, _)| Value::String(text))
    } else if is(Class::Date) {
        let number = u64::from_be_bytes(content.try_into().ok()?);
        Some(Value::Date((number ^ SIGN) as i64))
    } else if is(Class::ObjectId) {
        content.try_into().ok().map(Value::ObjectId)
    } else if is(Class::Binary) {
        Some(Value::Binary(*content.get(4)?, content.get(5..)?.to_vec()))
    } else if is(Class::Timestamp) {
        let (seconds, number) = content.split_first_chunk::<4>()?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        Some(Value::Timestamp(u32::from_be_bytes(*seconds), number))
    } else if is(Class::Regex) {
        let (pattern, rest) = decode_text(content)?;
        let (options, _) = decode_text(rest)?;
        Some(Value::Regex(Box::new(Regex { pattern, options })))
    } else if is(Class::Code) {
        let (text, _) = decode_text(content)?;
        Some(Value::Code(Box::new(Code { text, scope: None })))
    } else if is(Class::MinKey) {
        Some(Value::MinKey)
    } else if is(Class::MaxKey) {
        Some(Value::MaxKey)
    } else {
        None
    }
}

/// A text, and what follows it.
fn decode_text(content: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::with_capacity(content.len());
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        text.push(match *byte {
            0 => break,
            ESCAPE => bytes.next()?.checked_sub(1)?,
            other => other,
        });
    }
    Some((String::from_utf8(text).ok()?, bytes.as_slice()))
}

fn decode_number(content: &[u8], kept: FieldEncoding) -> Option<Value> {
    let (bits, rest) = content.split_first_chunk::<8>()?;
    let bits = u64::from_be_bytes(*bits);
    let below = f64::from_bits(if bits & SIGN != 0 { bits & !SIGN } else { !bits });
    let (between, digits) = rest.split_first()?;
    if *between == EXACT {
        return Some(match kept {
            FieldEncoding::Int => Value::Int(below as i32),
            FieldEncoding::Long => Value::Long(below as i64),
            _ => Value::Double(below),
        });
    }
    let mut digits = digits.to_vec();
    if below < 0.0 {
        reverse(&mut digits);
    }
    let (exponent, digits) = digits.split_first_chunk::<2>()?;
    let exponent = i64::from((u16::from_be_bytes(*exponent) ^ (1 << 15)) as i16);
    let digits = std::str::from_utf8(digits.strip_suffix(&[0])?).ok()?;
    let scale = digits.len() as i64 - exponent;
    // Only integers of 64 bits lie between two doubles and are kept.
    let number = BigDecimal::new(digits.parse().ok()?, scale);
    let number = if below < 0.0 { -number } else { number };
    number.to_i64().map(Value::Long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::any_value;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn byte_order_is_value_order(a in any_value(), b in any_value()) {
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), a.cmp(&b), "{:?} {:?}", a, b);
        }

        #[test]
        fn no_encoding_begins_another(a in any_value(), b in any_value()) {
            prop_assert!(a == b || !encoded(&a).starts_with(&encoded(&b)));
        }

        #[test]
        fn no_text_begins_another(a in "[\\x00-\\x02a]{0,3}", b in "[\\x00-\\x02a]{0,3}") {
            let (a, b) = (Value::String(a), Value::String(b));
            prop_assert!(a == b || !encoded(&a).starts_with(&encoded(&b)));
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), a.cmp(&b));
            prop_assert_eq!(decode(&encoded(&a), FieldEncoding::Value), Some(a));
        }

        #[test]
        fn reversed_byte_order_is_reversed_value_order(a in any_value(), b in any_value()) {
            let turned = |value| {
                let mut bytes = encoded(value);
                reverse(&mut bytes);
                bytes.push(0x10);
                bytes
            };
            prop_assert_eq!(turned(&a).cmp(&turned(&b)), b.cmp(&a));
        }

        #[test]
        fn what_is_kept_comes_back_exactly(value in any_value()) {
            let kept = FieldEncoding::of(Some(&value));
            prop_assert_eq!(FieldEncoding::from_byte(kept as u8), kept);
            if kept != FieldEncoding::Lost {
                let back = decode(&encoded(&value), kept).unwrap();
                prop_assert_eq!(back.to_json(), value.to_json());
            }
        }
    }
}
