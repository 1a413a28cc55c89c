//! Values as bytes whose order is the order of the values.
//!
//! One byte for the class, then the content, such that no encoding is a prefix of another: texts
//! end with a zero byte (inside them 0 is `01 01` and 1 is `01 02`), lists with a zero byte in the
//! position of a class. A number is the largest double that is not above it, followed by its
//! decimal digits if it lies between two doubles. The idea is FoundationDB's tuple layer; no crate
//! on crates.io orders all of these types, and numbers across types, as MongoDB does.

use crate::value::{Class, Code, Decimal, LEVELS_MAX, Object, Regex, Value, number};
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
    let below = match value {
        // Every one of them is a double.
        Value::Int(number) => f64::from(*number),
        other => floor(other),
    };
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

/// Whether the encoding of NaN stands at the beginning.
pub fn begins_with_nan(bytes: &[u8], descending: bool) -> bool {
    const NAN: [u8; 9] = [Class::Number as u8, 0, 0, 0, 0, 0, 0, 0, 0];
    match descending {
        false => bytes.starts_with(&NAN),
        true => bytes.starts_with(&NAN.map(|byte| !byte)),
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
    let (value, rest) = decode_scalar(bytes, kept)?;
    rest.is_empty().then_some(value)
}

/// The value that some bytes begin with, and what follows it. A number comes back in the type that
/// needs the fewest bits.
pub fn decode_first(bytes: &[u8]) -> Option<(Value, &[u8])> {
    decode_nested(bytes, LEVELS_MAX)
}

fn decode_nested(bytes: &[u8], levels: usize) -> Option<(Value, &[u8])> {
    let (class, content) = bytes.split_first()?;
    let inner = levels.checked_sub(1)?;
    let is = |other: Class| *class == other as u8;
    if is(Class::Object) {
        let (fields, rest) = decode_object(content, inner)?;
        Some((Value::Object(fields), rest))
    } else if is(Class::Array) {
        let (mut items, mut rest) = (Vec::new(), content);
        while *rest.first()? != LIST_END {
            let (item, after) = decode_nested(rest, inner)?;
            items.push(item);
            rest = after;
        }
        Some((Value::Array(items), rest.get(1..)?))
    } else if is(Class::CodeWithScope) {
        let (text, rest) = decode_text(content)?;
        let (scope, rest) = decode_object(rest, inner)?;
        Some((Value::Code(Box::new(Code { text, scope: Some(scope) })), rest))
    } else {
        decode_scalar(bytes, FieldEncoding::Int)
    }
}

fn decode_object(content: &[u8], levels: usize) -> Option<(Object, &[u8])> {
    let (mut fields, mut rest) = (Object::new(), content);
    while *rest.first()? != LIST_END {
        // The class stands before the name too, for the order.
        let (name, after) = decode_text(rest.get(1..)?)?;
        let (value, after) = decode_nested(after, levels)?;
        fields.insert(name, value);
        rest = after;
    }
    Some((fields, rest.get(1..)?))
}

fn decode_scalar(bytes: &[u8], kept: FieldEncoding) -> Option<(Value, &[u8])> {
    let (class, content) = bytes.split_first()?;
    let class = *class;
    let is = |other: Class| class == other as u8;
    if is(Class::Null) {
        Some((Value::Null, content))
    } else if is(Class::Bool) {
        let (truth, rest) = content.split_first()?;
        Some((Value::Bool(*truth != 0), rest))
    } else if is(Class::Number) {
        decode_number(content, kept)
    } else if is(Class::String) {
        decode_text(content).map(|(text, rest)| (Value::String(text), rest))
    } else if is(Class::Date) {
        let (number, rest) = content.split_first_chunk::<8>()?;
        Some((Value::Date((u64::from_be_bytes(*number) ^ SIGN) as i64), rest))
    } else if is(Class::ObjectId) {
        let (id, rest) = content.split_first_chunk::<12>()?;
        Some((Value::ObjectId(*id), rest))
    } else if is(Class::Binary) {
        let (length, rest) = content.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some((Value::Binary(*kind, bytes.to_vec()), rest))
    } else if is(Class::Timestamp) {
        let (seconds, rest) = content.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let [seconds, number] = [*seconds, *number].map(u32::from_be_bytes);
        Some((Value::Timestamp(seconds, number), rest))
    } else if is(Class::Regex) {
        let (pattern, rest) = decode_text(content)?;
        let (options, rest) = decode_text(rest)?;
        Some((Value::Regex(Box::new(Regex { pattern, options })), rest))
    } else if is(Class::Code) {
        let (text, rest) = decode_text(content)?;
        Some((Value::Code(Box::new(Code { text, scope: None })), rest))
    } else if is(Class::MinKey) {
        Some((Value::MinKey, content))
    } else if is(Class::MaxKey) {
        Some((Value::MaxKey, content))
    } else {
        None
    }
}

/// A text, and what follows it.
fn decode_text(content: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut bytes = content.iter();
    loop {
        text.push(match *bytes.next()? {
            0 => break,
            ESCAPE => bytes.next()?.checked_sub(1)?,
            other => other,
        });
    }
    Some((String::from_utf8(text).ok()?, bytes.as_slice()))
}

fn decode_number(content: &[u8], kept: FieldEncoding) -> Option<(Value, &[u8])> {
    let (bits, rest) = content.split_first_chunk::<8>()?;
    let bits = u64::from_be_bytes(*bits);
    let below = f64::from_bits(if bits & SIGN != 0 { bits & !SIGN } else { !bits });
    let (between, rest) = rest.split_first()?;
    if *between == EXACT {
        let whole = number::to_int(&Value::Double(below));
        return Some(match (kept, whole) {
            // Zero bits are those of NaN.
            _ if bits == 0 => (Value::Double(f64::NAN), rest),
            (FieldEncoding::Int, Some(whole)) => (Value::from(whole), rest),
            (FieldEncoding::Long, Some(whole)) => (Value::Long(whole), rest),
            _ => (Value::Double(below), rest),
        });
    }
    let turn = |byte: u8| if below < 0.0 { !byte } else { byte };
    let (exponent, rest) = rest.split_first_chunk::<2>()?;
    let exponent = exponent.map(turn);
    let exponent = i64::from((u16::from_be_bytes(exponent) ^ (1 << 15)) as i16);
    let length = rest.iter().position(|byte| turn(*byte) == 0)?;
    let (digits, rest) = rest.split_at_checked(length)?;
    let digits: Vec<u8> = digits.iter().map(|byte| turn(*byte)).collect();
    let digits = std::str::from_utf8(&digits).ok()?;
    // Only integers of 64 bits and decimals lie between two doubles.
    let scale = digits.len() as i64 - exponent;
    let number = BigDecimal::new(digits.parse().ok()?, scale);
    let number = if below < 0.0 { -number } else { number };
    let whole = if scale <= 0 && exponent <= 19 { number.to_i64() } else { None };
    let value = match whole {
        Some(whole) => Value::Long(whole),
        None => number::decimal(Decimal::round(number, false)),
    };
    Some((value, rest.get(1..)?))
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
