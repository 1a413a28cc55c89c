//! Numbers of three kinds that compare and calculate with each other exactly where they can.

use super::Value;
use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A decimal number. Every one in a [`Value`] is a decimal128 of IEEE 754: at most [`DIGITS_MAX`]
/// digits, and an exponent between [`EXPONENT_MIN`] and [`EXPONENT_MAX`]. Nothing here takes time
/// or memory that grows with an exponent.
pub type Decimal = BigDecimal;

/// Significant digits of a decimal.
pub const DIGITS_MAX: u64 = 34;
/// Least power of ten that the digits of a decimal, as a whole number, are multiplied by.
pub const EXPONENT_MIN: i64 = -6176;
/// Largest such power.
pub const EXPONENT_MAX: i64 = 6111;
/// Longest text that is parsed as a decimal, in bytes.
const TEXT_MAX: usize = 64;
/// Difference between the exponents of two decimals from which on their digits do not overlap.
const FAR: i64 = 100;
const FAR_BELOW: i64 = -FAR;

/// 2^63, the first whole number after `i64`.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

/// Parses a decimal; `None` if it is not one, or a decimal128 cannot hold it exactly. The exponent
/// of a zero is clamped, as in BSON's specification.
pub fn parse_decimal(text: &str) -> Option<Value> {
    match text {
        "NaN" => return Some(Value::Double(f64::NAN)),
        "Infinity" | "+Infinity" => return Some(Value::Double(f64::INFINITY)),
        "-Infinity" => return Some(Value::Double(f64::NEG_INFINITY)),
        _ => {}
    }
    let known = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if text.len() > TEXT_MAX || !text.bytes().all(known) {
        return None;
    }
    // Arithmetic on the number is possible only with a small exponent.
    let exponent = text.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    exponent.parse::<i32>().ok()?;
    let number = BigDecimal::from_str(text).ok()?;
    let fitted = fitted(number.clone())?;
    let exact = compare_exact(&fitted, &number) == Ordering::Equal;
    exact.then(|| Value::Decimal(Box::new(fitted)))
}

/// The decimal128 nearest to a number, ties to even, as a value. A number beyond the largest
/// becomes an infinite double; one nearer to zero than to the smallest becomes zero.
pub fn decimal(number: BigDecimal) -> Value {
    let negative = number.is_negative();
    match fitted(number) {
        Some(number) => Value::Decimal(Box::new(number)),
        None if negative => Value::Double(f64::NEG_INFINITY),
        None => Value::Double(f64::INFINITY),
    }
}

/// As [`decimal`]; `None` for a number beyond the largest.
fn fitted(number: BigDecimal) -> Option<BigDecimal> {
    let scale_of = |exponent: i64| -exponent;
    let exponent = -scale(&number);
    if number.is_zero() {
        let exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
        return Some(BigDecimal::new(BigInt::ZERO, scale_of(exponent)));
    }
    let surplus = number.digits() as i64 - DIGITS_MAX as i64;
    let dropped = surplus.max(EXPONENT_MIN - exponent).max(0);
    let mut number = match dropped {
        0 => number,
        _ => number.with_scale_round(scale_of(exponent + dropped), RoundingMode::HalfEven),
    };
    // 9…9.5 has become 10…0.
    if number.digits() > DIGITS_MAX {
        number = number.with_scale(scale(&number) - 1);
    }
    let above = -scale(&number) - EXPONENT_MAX;
    if above <= 0 {
        return Some(number);
    }
    let fits = number.digits() as i64 + above <= DIGITS_MAX as i64;
    fits.then(|| number.with_scale(scale_of(EXPONENT_MAX)))
}

/// Digits after the point; negative for trailing zeros that are not written.
fn scale(number: &BigDecimal) -> i64 {
    number.fractional_digit_count()
}

/// A decimal as text, as IEEE 754 and MongoDB write it: with an exponent if it has zeros that are
/// not among its digits, or more than five after the point.
pub fn decimal_text(number: &Decimal) -> String {
    let (digits, scale) = number.as_bigint_and_scale();
    let sign = if digits.is_negative() { "-" } else { "" };
    let digits = digits.magnitude().to_string();
    let leading = digits.len() as i64 - scale;
    if scale < 0 || leading < -5 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}E{:+}", leading - 1);
    }
    match usize::try_from(leading) {
        Ok(whole) if whole == digits.len() => format!("{sign}{digits}"),
        Ok(whole) if whole > 0 => {
            let (whole, fraction) = digits.split_at(whole);
            format!("{sign}{whole}.{fraction}")
        }
        _ => format!("{sign}0.{digits:0>width$}", width = scale.unsigned_abs() as usize),
    }
}

/// Whether a value is the number zero, of any type.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Int(number) => *number == 0,
        Value::Double(number) => *number == 0.0,
        Value::Decimal(number) => number.is_zero(),
        _ => false,
    }
}

/// The exact decimal of a finite number; `None` for NaN, infinities and values that are not
/// numbers.
pub fn exact(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Int(number) => Some(BigDecimal::from(*number)),
        Value::Double(number) => exact_double(*number),
        Value::Decimal(number) => Some((**number).clone()),
        _ => None,
    }
}

/// Every finite double is a whole number times a power of two, so it has an exact decimal.
fn exact_double(number: f64) -> Option<BigDecimal> {
    if !number.is_finite() {
        return None;
    }
    let bits = number.to_bits();
    let raw_exponent = (bits >> 52 & 0x7ff) as i64;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match raw_exponent {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, raw_exponent - 1075),
    };
    let mut digits = BigInt::from(mantissa);
    if number.is_sign_negative() {
        digits = -digits;
    }
    Some(if exponent >= 0 {
        BigDecimal::new(digits << exponent as usize, 0)
    } else {
        // m / 2^k = m * 5^k / 10^k
        BigDecimal::new(digits * BigInt::from(5u8).pow(-exponent as u32), -exponent)
    })
}

/// The nearest double of a number, the same for equal ones; 0 for other values.
pub fn nearest(value: &Value) -> f64 {
    let number = to_double(value);
    if number == 0.0 { 0.0 } else { number }
}

/// As [`nearest`], but a zero keeps its sign.
pub fn to_double(value: &Value) -> f64 {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Decimal(number) => {
            let (digits, scale) = number.as_bigint_and_scale();
            // The standard library rounds correctly, whatever the exponent.
            format!("{digits}e{}", -scale).parse().unwrap_or(f64::NAN)
        }
        _ => 0.0,
    };
    // The bits of NaN differ from machine to machine.
    if number.is_nan() { f64::NAN } else { number }
}

/// A number as a whole number; `None` if it has a fraction or does not fit.
pub fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Double(number) => {
            let fits = number.fract() == 0.0 && (-INT_END..INT_END).contains(number);
            fits.then_some(*number as i64)
        }
        Value::Decimal(_) => {
            truncated(value).filter(|whole| compare(value, &Value::Int(*whole)).is_eq())
        }
        _ => None,
    }
}

/// A number without its fraction; `None` if it is not a number or does not fit.
pub fn truncated(value: &Value) -> Option<i64> {
    match value {
        Value::Double(number) => to_int(&Value::Double(number.trunc())),
        Value::Decimal(number) => match leading(number) {
            ..=0 => Some(0),
            1..=19 => number.with_scale(0).into_bigint_and_scale().0.to_i64(),
            _ if number.is_zero() => Some(0),
            _ => None,
        },
        other => to_int(other),
    }
}

/// The power of ten of the first digit of a decimal: 3 for 123, -1 for 0.0123.
fn leading(number: &BigDecimal) -> i64 {
    number.digits() as i64 - scale(number)
}

/// Compares two decimals without extending one by the other's zeros.
fn compare_exact(a: &BigDecimal, b: &BigDecimal) -> Ordering {
    let signs = a.sign().cmp(&b.sign());
    if signs.is_ne() || a.sign() == Sign::NoSign {
        return signs;
    }
    let sizes = leading(a).cmp(&leading(b));
    if sizes.is_ne() {
        return if a.sign() == Sign::Minus { sizes.reverse() } else { sizes };
    }
    // Both begin at the same digit, so neither becomes longer than the other.
    let (a_digits, a_scale) = a.as_bigint_and_scale();
    let (b_digits, b_scale) = b.as_bigint_and_scale();
    let zeros = |count: i64| BigInt::from(10u8).pow(count.unsigned_abs() as u32);
    match a_scale.cmp(&b_scale) {
        Ordering::Equal => a_digits.cmp(&b_digits),
        Ordering::Less => (&*a_digits * zeros(b_scale - a_scale)).cmp(&b_digits),
        Ordering::Greater => (*a_digits).cmp(&(&*b_digits * zeros(a_scale - b_scale))),
    }
}

/// Hashes a number: equal ones of all types alike, different ones differently, also where many of
/// them have the same nearest double.
pub fn hash<H: Hasher>(value: &Value, state: &mut H) {
    let near = nearest(value);
    if near.is_nan() || compare(value, &Value::Double(near)).is_eq() {
        return near.to_bits().hash(state);
    }
    if let Some(exact) = exact(value) {
        exact.normalized().into_bigint_and_scale().hash(state);
    }
}

/// Compares two numbers exactly. NaN is below every other number and equal to itself.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
        (Value::Int(a), Value::Double(b)) => compare_int(*a, *b),
        (Value::Double(a), Value::Int(b)) => compare_int(*b, *a).reverse(),
        _ => match (exact(a), exact(b)) {
            (Some(a), Some(b)) => compare_exact(&a, &b),
            // One is NaN or infinite, the other may be a decimal beyond every double.
            (a_exact, b_exact) => {
                let place = |value: &Value, exact: Option<_>| match exact {
                    Some(_) => 0.0,
                    None => nearest(value),
                };
                compare_doubles(place(a, a_exact), place(b, b_exact))
            }
        },
    }
}

fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

fn compare_int(a: i64, b: f64) -> Ordering {
    if b.is_nan() || b < -INT_END {
        return Ordering::Greater;
    }
    if b >= INT_END {
        return Ordering::Less;
    }
    // `b` without its fraction fits into an i64 exactly.
    a.cmp(&(b as i64)).then_with(|| 0.0.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal))
}

/// Arithmetic on two numbers: whole numbers stay whole while they fit, a decimal makes the result
/// decimal, everything else is double.
fn calculate(
    a: &Value,
    b: &Value,
    ints: impl Fn(i64, i64) -> Option<i64>,
    doubles: impl Fn(f64, f64) -> f64,
    decimals: impl Fn(BigDecimal, BigDecimal) -> BigDecimal,
) -> Value {
    if let (Value::Int(a), Value::Int(b)) = (a, b)
        && let Some(result) = ints(*a, *b)
    {
        return Value::Int(result);
    }
    if matches!(a, Value::Decimal(_)) || matches!(b, Value::Decimal(_)) {
        // A double becomes the shortest decimal that identifies it, as people would write it.
        let plain = |value: &Value| match value {
            Value::Double(number) if number.is_finite() => format!("{number:e}").parse().ok(),
            other => exact(other),
        };
        if let (Some(a), Some(b)) = (plain(a), plain(b)) {
            return decimal(decimals(a, b));
        }
    }
    Value::Double(doubles(to_double(a), to_double(b)))
}

/// The sum of two decimals, exact as far as a decimal128 shows it.
fn sum(a: BigDecimal, b: BigDecimal) -> BigDecimal {
    let (high, low) = if scale(&a) < scale(&b) { (a, b) } else { (b, a) };
    if scale(&low) - scale(&high) <= FAR {
        return high + low;
    }
    if high.is_zero() {
        return low;
    }
    // Only on which side of a half the low one lies is visible.
    let end = scale(&high) + (DIGITS_MAX + 3) as i64 - high.digits() as i64;
    high.with_scale(end) + BigDecimal::new(BigInt::from(low.sign() as i8 - 1), end + 1)
}

/// The remainder of two decimals, with the sign of the first; the second is not zero.
fn rest(a: BigDecimal, b: BigDecimal) -> BigDecimal {
    match scale(&b) - scale(&a) {
        // The first one is less.
        ..FAR_BELOW => a,
        finer @ FAR.. => {
            let ((digits, _), (modulus, end)) =
                (a.into_bigint_and_scale(), b.into_bigint_and_scale());
            let modulus = modulus.abs();
            let power = BigInt::from(10u8).modpow(&BigInt::from(finer), &modulus);
            BigDecimal::new(digits * power % modulus, end)
        }
        _ => a % b,
    }
}

/// The sum of two numbers.
pub fn add(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_add, |a, b| a + b, sum)
}

/// The difference of two numbers.
pub fn subtract(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_sub, |a, b| a - b, |a, b| sum(a, -b))
}

/// The product of two numbers.
pub fn multiply(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_mul, |a, b| a * b, |a, b| a * b)
}

/// The quotient of two numbers; a double, or a decimal if one of them is. `None` if `b` is zero.
pub fn divide(a: &Value, b: &Value) -> Option<Value> {
    if is_zero(b) {
        return None;
    }
    Some(calculate(a, b, |_, _| None, |a, b| a / b, |a, b| a / b))
}

/// The remainder of a division, with the sign of `a`; `None` if `b` is zero.
pub fn remainder(a: &Value, b: &Value) -> Option<Value> {
    if is_zero(b) {
        return None;
    }
    Some(calculate(a, b, i64::checked_rem, |a, b| a % b, rest))
}
