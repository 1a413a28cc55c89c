//! Numbers of three kinds that compare and calculate with each other exactly where they can.

use super::Value;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A decimal number of arbitrary size; kept within [`DIGITS_MAX`] digits.
pub type Decimal = BigDecimal;

/// Significant digits of a decimal, as in IEEE 754 decimal128.
pub const DIGITS_MAX: u64 = 34;
/// Largest power of ten of a decimal, as in IEEE 754 decimal128.
const EXPONENT_MAX: i64 = 6144;

/// 2^63, the first whole number behind `i64`.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

/// Parses a decimal; `None` when it is none, or has more digits than a decimal128.
pub fn parse_decimal(text: &str) -> Option<Value> {
    match text {
        "NaN" => return Some(Value::Double(f64::NAN)),
        "Infinity" | "+Infinity" => return Some(Value::Double(f64::INFINITY)),
        "-Infinity" => return Some(Value::Double(f64::NEG_INFINITY)),
        _ => {}
    }
    // A limit on the text first: an exponent of a billion must not become a number.
    if text.len() > 64 {
        return None;
    }
    let number = BigDecimal::from_str(text).ok()?;
    let fits = number.digits() <= DIGITS_MAX && within_range(&number);
    fits.then(|| Value::Decimal(Box::new(number)))
}

fn within_range(number: &BigDecimal) -> bool {
    let (digits, scale) = number.as_bigint_and_exponent();
    digits.is_zero() || (number.digits() as i64 - scale - 1).abs() <= EXPONENT_MAX
}

/// A decimal rounded to [`DIGITS_MAX`] digits, as a value.
pub fn decimal(number: BigDecimal) -> Value {
    let digits = NonZeroU64::new(DIGITS_MAX).unwrap_or(NonZeroU64::MIN);
    let rounded = if number.digits() > DIGITS_MAX {
        number.with_precision_round(digits, bigdecimal::RoundingMode::HalfEven)
    } else {
        number
    };
    if within_range(&rounded) {
        Value::Decimal(Box::new(rounded))
    } else {
        Value::Double(if rounded.is_negative() { f64::NEG_INFINITY } else { f64::INFINITY })
    }
}

/// The exact decimal of a finite number; `None` for NaN, infinities and what is no number.
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

/// The nearest double of any number; 0 for what is none.
pub fn nearest(value: &Value) -> f64 {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Decimal(number) => number.to_f64().unwrap_or(f64::INFINITY),
        _ => 0.0,
    };
    if number.is_nan() {
        f64::NAN
    } else if number == 0.0 {
        0.0
    } else {
        number
    }
}

/// The whole number that a number is; `None` when it is none or does not fit.
pub fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Double(number) => {
            let fits = number.fract() == 0.0 && (-INT_END..INT_END).contains(number);
            fits.then_some(*number as i64)
        }
        Value::Decimal(number) => number.is_integer().then(|| number.to_i64()).flatten(),
        _ => None,
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
            (Some(a), Some(b)) => a.cmp(&b),
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

/// A calculation on two numbers: whole numbers stay whole while they fit, a decimal makes the
/// result decimal, everything else is double.
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
        // A double becomes the shortest decimal that names it, as people would write it.
        let plain = |value: &Value| match value {
            Value::Double(number) if number.is_finite() => number.to_string().parse().ok(),
            other => exact(other),
        };
        if let (Some(a), Some(b)) = (plain(a), plain(b)) {
            return decimal(decimals(a, b));
        }
    }
    Value::Double(doubles(nearest(a), nearest(b)))
}

/// The sum of two numbers.
pub fn add(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_add, |a, b| a + b, |a, b| a + b)
}

/// The difference of two numbers.
pub fn subtract(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_sub, |a, b| a - b, |a, b| a - b)
}

/// The product of two numbers.
pub fn multiply(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_mul, |a, b| a * b, |a, b| a * b)
}

/// The quotient of two numbers; a double, or a decimal when one of them is. `None` when `b`
/// is zero.
pub fn divide(a: &Value, b: &Value) -> Option<Value> {
    if nearest(b) == 0.0 {
        return None;
    }
    Some(calculate(a, b, |_, _| None, |a, b| a / b, |a, b| a / b))
}

/// The remainder of a division, with the sign of `a`; `None` when `b` is zero.
pub fn remainder(a: &Value, b: &Value) -> Option<Value> {
    if nearest(b) == 0.0 {
        return None;
    }
    Some(calculate(a, b, i64::checked_rem, |a, b| a % b, |a, b| a % b))
}
