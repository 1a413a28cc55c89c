//! Numbers of four kinds that compare and calculate with each other exactly where they can.

use super::Value;
use super::decimal::{DIGITS_MAX, Decimal};
use super::decimal_functions::shortened;
use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Difference between the exponents of two decimals from which on their digits do not overlap.
const FAR: i64 = 100;
const FAR_BELOW: i64 = -FAR;

/// 2^63, the first whole number after `i64`.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

/// A decimal as a value.
pub fn decimal(number: Decimal) -> Value {
    Value::Decimal(Box::new(number))
}

/// Digits after the point; negative for trailing zeros that are not written.
fn scale(number: &BigDecimal) -> i64 {
    number.fractional_digit_count()
}

/// The number of an [`Value::Int`] or a [`Value::Long`].
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(i64::from(*number)),
        Value::Long(number) => Some(*number),
        _ => None,
    }
}

/// Whether a value is the number zero, of any type.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Int(number) => *number == 0,
        Value::Long(number) => *number == 0,
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
        Value::Long(number) => Some(BigDecimal::from(*number)),
        Value::Double(number) => exact_double(*number),
        Value::Decimal(number) => number.exact(),
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
        Value::Int(number) => f64::from(*number),
        Value::Long(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Decimal(number) => number.to_double(),
        _ => 0.0,
    };
    // The bits of NaN differ from machine to machine.
    if number.is_nan() { f64::NAN } else { number }
}

/// A number as a whole number; `None` if it has a fraction or does not fit.
pub fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(_) | Value::Long(_) => whole(value),
        Value::Double(number) => {
            let fits = number.fract() == 0.0 && (-INT_END..INT_END).contains(number);
            fits.then_some(*number as i64)
        }
        Value::Decimal(number) => {
            let size = i128::try_from(number.whole()?).ok()?;
            i64::try_from(if number.is_negative() { -size } else { size }).ok()
        }
        _ => None,
    }
}

/// A number without its fraction; `None` if it is not a number or does not fit.
pub fn truncated(value: &Value) -> Option<i64> {
    match value {
        Value::Double(number) => to_int(&Value::Double(number.trunc())),
        Value::Decimal(number) => {
            let number = number.exact()?;
            match leading(&number) {
                ..=0 => Some(0),
                1..=19 => number.with_scale(0).into_bigint_and_scale().0.to_i64(),
                _ if number.is_zero() => Some(0),
                _ => None,
            }
        }
        other => to_int(other),
    }
}

/// Whether it is the number NaN.
pub fn is_nan(value: &Value) -> bool {
    match value {
        Value::Double(number) => number.is_nan(),
        Value::Decimal(number) => number.is_nan(),
        _ => false,
    }
}

/// Whether it is a number that is neither NaN nor infinite.
pub fn is_finite(value: &Value) -> bool {
    match value {
        Value::Double(number) => number.is_finite(),
        Value::Decimal(number) => matches!(**number, Decimal::Finite { .. }),
        other => other.is_number(),
    }
}

/// A number as a decimal; a double gets 15 digits, as in MongoDB. NaN for other values.
pub fn to_decimal(value: &Value) -> Decimal {
    match value {
        Value::Double(number) => Decimal::from_double(*number),
        Value::Decimal(number) => **number,
        other => whole(other).map_or(Decimal::Nan, |number| i128::from(number).into()),
    }
}

/// A double as a decimal with all its digits, as far as there is place for them.
pub fn exact_decimal(number: f64) -> Decimal {
    match exact_double(number).filter(|exact| !exact.is_zero()) {
        Some(exact) => {
            let (digits, scale) = exact.into_bigint_and_scale();
            shortened(digits, -scale, 0)
        }
        None => Decimal::from_double(number),
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
    match (whole(a), whole(b), a, b) {
        (Some(a), Some(b), ..) => a.cmp(&b),
        (_, _, Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
        (Some(a), _, _, Value::Double(b)) => compare_int(a, *b),
        (_, Some(b), Value::Double(a), _) => compare_int(b, *a).reverse(),
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
/// decimal, everything else is double. Two 32-bit integers give one of 64 bits where 32 are too few.
fn calculate(
    a: &Value,
    b: &Value,
    ints: impl Fn(i64, i64) -> Option<i64>,
    doubles: impl Fn(f64, f64) -> f64,
    decimals: impl Fn(Decimal, Decimal) -> Decimal,
) -> Value {
    if let (Some(left), Some(right)) = (whole(a), whole(b))
        && let Some(result) = ints(left, right)
    {
        let short = matches!((a, b), (Value::Int(_), Value::Int(_)));
        return if short { Value::from(result) } else { Value::Long(result) };
    }
    if matches!(a, Value::Decimal(_)) || matches!(b, Value::Decimal(_)) {
        return decimal(decimals(to_decimal(a), to_decimal(b)));
    }
    Value::Double(doubles(to_double(a), to_double(b)))
}

/// Arithmetic on two decimals: by `exact` if both are finite, else by `doubles`, which know the same
/// rules of infinities and NaN. `negative` is the sign of a zero.
fn on_decimals(
    a: Decimal,
    b: Decimal,
    exact: impl Fn(BigDecimal, BigDecimal) -> BigDecimal,
    doubles: impl Fn(f64, f64) -> f64,
    negative: bool,
) -> Decimal {
    match (a.exact(), b.exact()) {
        (Some(a), Some(b)) => Decimal::round(exact(a, b), negative),
        _ => by_signs(a, b, doubles),
    }
}

/// Arithmetic of which only the signs of finite numbers matter, and whether they are zero.
fn by_signs(a: Decimal, b: Decimal, doubles: impl Fn(f64, f64) -> f64) -> Decimal {
    let sign = |number: Decimal| match number {
        Decimal::Finite { negative, digits, .. } => {
            let size = if digits == 0 { 0.0 } else { 1.0 };
            if negative { -size } else { size }
        }
        other => other.to_double(),
    };
    Decimal::from_double(doubles(sign(a), sign(b)))
}

/// The quotient of two decimals, with as few zeros at its end as IEEE 754 says.
pub fn divide_decimals(a: Decimal, b: Decimal) -> Decimal {
    let negative = a.is_negative() != b.is_negative();
    let (
        Decimal::Finite { digits, exponent, .. },
        Decimal::Finite { digits: divisor @ 1.., exponent: divisor_exponent, .. },
    ) = (a, b)
    else {
        return by_signs(a, b, |a, b| a / b);
    };
    let ideal = i64::from(exponent) - i64::from(divisor_exponent);
    if digits == 0 {
        return Decimal::round(BigDecimal::new(BigInt::ZERO, -ideal), negative);
    }
    // Zeros enough that the quotient has all its digits and some more.
    let more = 2 * DIGITS_MAX as u32 + 4;
    let long = BigInt::from(digits) * BigInt::from(10u8).pow(more);
    let (quotient, rest) = (&long / divisor, long % divisor);
    let exponent = ideal - i64::from(more);
    let size = match rest.is_zero() {
        true => shortened(quotient, exponent, ideal),
        // One more digit, which makes half of a place more than half.
        false => Decimal::round(BigDecimal::new(quotient * 10 + 1, 1 - exponent), false),
    };
    if negative { size.negated() } else { size }
}

/// The sum of two decimals, exact as far as a decimal128 shows it.
fn sum(a: BigDecimal, b: BigDecimal) -> BigDecimal {
    let (high, low) = if scale(&a) < scale(&b) { (a, b) } else { (b, a) };
    let more = scale(&low) - scale(&high);
    if more <= FAR {
        // Of zeros, too, the longer one decides how many digits there are after the point.
        let (high, low) = (high.into_bigint_and_scale(), low.into_bigint_and_scale());
        let zeros = BigInt::from(10u8).pow(more.unsigned_abs() as u32);
        return BigDecimal::new(high.0 * zeros + low.0, low.1);
    }
    if high.is_zero() {
        return low;
    }
    // Only on which side of a half the low one lies is visible.
    let end = scale(&high) + (DIGITS_MAX + 3) as i64 - high.digits() as i64;
    high.with_scale(end) + BigDecimal::new(BigInt::from(low.sign() as i8 - 1), end + 1)
}

/// The product of two decimals; that of a zero has all places after the point too.
fn product(a: BigDecimal, b: BigDecimal) -> BigDecimal {
    let ((a, a_scale), (b, b_scale)) = (a.into_bigint_and_scale(), b.into_bigint_and_scale());
    BigDecimal::new(a * b, a_scale + b_scale)
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

/// The sum of two decimals.
fn add_decimals(a: Decimal, b: Decimal) -> Decimal {
    on_decimals(a, b, sum, |a, b| a + b, a.is_negative() && b.is_negative())
}

/// The sum of two numbers.
pub fn add(a: &Value, b: &Value) -> Value {
    calculate(a, b, i64::checked_add, |a, b| a + b, add_decimals)
}

/// The difference of two numbers.
pub fn subtract(a: &Value, b: &Value) -> Value {
    let decimals = |a, b: Decimal| add_decimals(a, b.negated());
    calculate(a, b, i64::checked_sub, |a, b| a - b, decimals)
}

/// The product of two numbers.
pub fn multiply(a: &Value, b: &Value) -> Value {
    let decimals = |a: Decimal, b: Decimal| {
        on_decimals(a, b, product, |a, b| a * b, a.is_negative() != b.is_negative())
    };
    calculate(a, b, i64::checked_mul, |a, b| a * b, decimals)
}

/// The quotient of two numbers; a double, or a decimal if one of them is. `None` if `b` is zero.
pub fn divide(a: &Value, b: &Value) -> Option<Value> {
    if is_zero(b) {
        return None;
    }
    Some(calculate(a, b, |_, _| None, |a, b| a / b, divide_decimals))
}

/// The remainder of a division, with the sign of `a`; `None` if `b` is zero.
pub fn remainder(a: &Value, b: &Value) -> Option<Value> {
    if is_zero(b) {
        return None;
    }
    let decimals = |a: Decimal, b: Decimal| match b {
        // Everything is less than an infinity.
        Decimal::Infinity { .. } if a.exact().is_some() => a,
        _ => on_decimals(a, b, rest, |a, b| a % b, a.is_negative()),
    };
    Some(calculate(a, b, i64::checked_rem, |a, b| a % b, decimals))
}
