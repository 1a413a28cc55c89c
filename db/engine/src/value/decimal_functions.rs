//! Roots, powers and logarithms of decimals, with all 34 digits.
//!
//! They are calculated with whole numbers, as fractions of ten to the power of `PLACES`, so every
//! machine gets the same digits. `bigdecimal` has no logarithm, and its exponential function takes
//! time that grows with its argument.

use super::decimal::{DIGITS_MAX, Decimal, EXPONENT_MAX, EXPONENT_MIN};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};
use std::sync::LazyLock;

/// Digits after the point. A result has 34, an argument of `exp` some five before the point, and an
/// argument of `ln` may begin to differ from 1 in its 34th.
const PLACES: u32 = 90;
static ONE: LazyLock<BigInt> = LazyLock::new(|| BigInt::from(10u8).pow(PLACES));
static LN_2: LazyLock<BigInt> = LazyLock::new(|| inverse_tanh(1, 3) * 2);
static LN_10: LazyLock<BigInt> = LazyLock::new(|| &*LN_2 * 3 + inverse_tanh(1, 9) * 2);

/// Steps of work that one of these functions takes, where adding two numbers is one.
pub const STEPS: u64 = 100;

/// The area hyperbolic tangent of a fraction below one.
fn inverse_tanh(numerator: u8, denominator: u8) -> BigInt {
    inverse_tanh_of(&*ONE * numerator / denominator)
}

fn inverse_tanh_of(x: BigInt) -> BigInt {
    let square = &x * &x / &*ONE;
    let (mut power, mut sum, mut n) = (x.clone(), x, 1u32);
    while !power.is_zero() {
        power = power * &square / &*ONE;
        n += 2;
        sum += &power / n;
    }
    sum
}

/// The natural logarithm of a finite number above zero, as a fraction.
fn ln_of(digits: u128, exponent: i16) -> BigInt {
    let places = digits.to_string().len() as u32;
    // From 1 to below 10, then from 0.75 to 1.5.
    let mut rest = BigInt::from(digits) * BigInt::from(10u8).pow(PLACES + 1 - places);
    let mut sum = &*LN_10 * (i64::from(exponent) + i64::from(places) - 1);
    while &rest * 2 > &*ONE * 3 {
        rest /= 2;
        sum += &*LN_2;
    }
    sum + inverse_tanh_of((&rest - &*ONE) * &*ONE / (rest + &*ONE)) * 2
}

/// The exponential function of a fraction, rounded.
fn exp_of(x: &BigInt) -> Decimal {
    let (ten, one) = (&*LN_10, &*ONE);
    // The nearest multiple of the logarithm of ten.
    let power: BigInt = (x * 2 + ten * x.signum()) / (ten * 2);
    let rest = x - &power * ten;
    let (mut term, mut sum, mut n) = (one.clone(), one.clone(), 1u32);
    while !term.is_zero() {
        term = term * &rest / one / n;
        sum += &term;
        n += 1;
    }
    match power.to_i64().filter(|power| power.abs() < 2 * EXPONENT_MAX) {
        Some(power) => Decimal::round(BigDecimal::new(sum, i64::from(PLACES) - power), false),
        None if power.is_negative() => zero(false),
        None => Decimal::Infinity { negative: false },
    }
}

fn zero(negative: bool) -> Decimal {
    Decimal::Finite { negative, digits: 0, exponent: EXPONENT_MIN as i16 }
}

const ONE_DECIMAL: Decimal = Decimal::Finite { negative: false, digits: 1, exponent: 0 };

fn rounded(fraction: BigInt) -> Decimal {
    Decimal::round(BigDecimal::new(fraction, i64::from(PLACES)), false)
}

/// A number as a fraction; one that has too many digits before the point is cut to an enormous one.
fn fraction(negative: bool, digits: u128, exponent: i16) -> BigInt {
    let places = i32::from(exponent).min(40) + PLACES as i32;
    let size = match u32::try_from(places) {
        Ok(places) => BigInt::from(digits) * BigInt::from(10u8).pow(places),
        Err(_) => BigInt::from(digits) / BigInt::from(10u8).pow(places.unsigned_abs().min(60)),
    };
    if negative { -size } else { size }
}

/// The exponential function.
pub fn exp(x: Decimal) -> Decimal {
    match x {
        Decimal::Nan => Decimal::Nan,
        Decimal::Infinity { negative: true } => zero(false),
        Decimal::Infinity { negative: false } => x,
        Decimal::Finite { negative, digits, exponent } => {
            let x = fraction(negative, digits, exponent);
            // So close to one that no other decimal is closer.
            if x.abs() < BigInt::from(10u8).pow(PLACES - 35) {
                return ONE_DECIMAL;
            }
            exp_of(&x)
        }
    }
}

/// The natural logarithm; NaN for numbers below zero.
pub fn ln(x: Decimal) -> Decimal {
    logarithm(x, |fraction| fraction)
}

/// The logarithm to the base ten; NaN for numbers below zero.
pub fn log10(x: Decimal) -> Decimal {
    logarithm(x, |fraction| fraction * &*ONE / &*LN_10)
}

fn logarithm(x: Decimal, scaled: impl Fn(BigInt) -> BigInt) -> Decimal {
    match x {
        _ if x.is_zero() => Decimal::Infinity { negative: true },
        _ if x.is_nan() || x.is_negative() => Decimal::Nan,
        Decimal::Finite { digits, exponent, .. } => whole(rounded(scaled(ln_of(digits, exponent)))),
        other => other,
    }
}

/// The logarithm to a base.
pub fn log(x: Decimal, base: Decimal) -> Decimal {
    match (x, base) {
        (
            Decimal::Finite { negative: false, digits: digits @ 1.., exponent },
            Decimal::Finite { negative: false, digits: base @ 1.., exponent: base_exponent },
        ) => {
            let base = ln_of(base, base_exponent);
            match base.is_zero() {
                true => Decimal::Nan,
                false => whole(rounded(ln_of(digits, exponent) * &*ONE / base)),
            }
        }
        _ => super::number::divide_decimals(ln(x), ln(base)),
    }
}

/// A result that is a whole number but for the error of its last places, without zeros after the
/// point.
fn whole(number: Decimal) -> Decimal {
    match number {
        Decimal::Finite { negative, mut digits, mut exponent } => {
            while exponent < 0 && digits > 0 && digits.is_multiple_of(10) {
                (digits, exponent) = (digits / 10, exponent + 1);
            }
            if exponent == 0 || digits == 0 {
                return Decimal::Finite { negative: negative && digits > 0, digits, exponent: 0 };
            }
            number
        }
        other => other,
    }
}

/// The square root; NaN for numbers below zero.
pub fn sqrt(x: Decimal) -> Decimal {
    match x {
        Decimal::Finite { negative, digits: 0, exponent } => {
            Decimal::Finite { negative, digits: 0, exponent: exponent.div_euclid(2) }
        }
        Decimal::Finite { negative: false, digits, exponent } => {
            // Twice the digits, so that the root has some more than are kept; an even exponent.
            let more = 2 * (DIGITS_MAX as u32 + 4) + u32::from(exponent.rem_euclid(2) == 1);
            let square = BigInt::from(digits) * BigInt::from(10u8).pow(more);
            let root = square.sqrt();
            let scale = (i64::from(more) - i64::from(exponent)) / 2;
            if &root * &root == square {
                // Exact: as few places as the argument has pairs of them.
                let ideal = i64::from(exponent.div_euclid(2));
                return shortened(root, -scale, ideal);
            }
            // One more digit, which makes half of a place more than half.
            Decimal::round(BigDecimal::new(root * 10 + 1, scale + 1), false)
        }
        Decimal::Infinity { negative: false } => x,
        _ => Decimal::Nan,
    }
}

/// `digits` times ten to the power of `exponent`, without zeros at the end as far as that brings
/// the exponent nearer to `ideal`.
pub(super) fn shortened(mut digits: BigInt, mut exponent: i64, ideal: i64) -> Decimal {
    let ten = BigInt::from(10u8);
    while exponent < ideal && (&digits % &ten).is_zero() {
        digits /= &ten;
        exponent += 1;
    }
    Decimal::round(BigDecimal::new(digits, -exponent), false)
}

/// A power, with all its digits; NaN for what is no real number.
pub fn pow(base: Decimal, exponent: Decimal) -> Decimal {
    if exponent.is_zero() || !base.is_negative() && base.whole() == Some(1) {
        return ONE_DECIMAL.padded();
    }
    if base.is_nan() || exponent.is_nan() {
        return Decimal::Nan;
    }
    let odd = match exponent {
        // A multiple of ten.
        Decimal::Finite { exponent: 1.., .. } => Some(false),
        _ => exponent.whole().map(|times| times % 2 == 1),
    };
    let negative = base.is_negative() && odd == Some(true);
    let sized = |large: bool| match large {
        true => Decimal::Infinity { negative },
        false => zero(negative),
    };
    match (base, exponent) {
        (_, Decimal::Infinity { negative: below }) => {
            if base.whole() == Some(1) {
                return ONE_DECIMAL.padded();
            }
            let small = match base {
                Decimal::Finite { digits, exponent, .. } => {
                    digits.to_string().len() as i64 + i64::from(exponent) <= 0 || digits == 0
                }
                _ => false,
            };
            sized(small == below)
        }
        (Decimal::Infinity { .. }, _) => sized(!exponent.is_negative()),
        _ if base.is_zero() => sized(exponent.is_negative()),
        (
            Decimal::Finite { negative: below, digits, exponent: power },
            Decimal::Finite { negative: turned, digits: times, exponent: times_power },
        ) => {
            if below && odd.is_none() {
                return Decimal::Nan;
            }
            let x = ln_of(digits, power) * fraction(turned, times, times_power) / &*ONE;
            let size = exp_of(&x).padded();
            if negative { size.negated() } else { size }
        }
        _ => Decimal::Nan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn functions_have_34_digits() {
        for (found, expected) in [
            (exp(decimal("1")), "2.718281828459045235360287471352662"),
            (exp(decimal("0")), "1"),
            (exp(decimal("1E-6143")), "1"),
            (exp(decimal("-9E+6144")), "0E-6176"),
            (exp(decimal("9E+6144")), "Infinity"),
            (exp(decimal("-1")), "0.3678794411714423215955237701614609"),
            (ln(decimal("10")), "2.302585092994045684017991454684364"),
            (ln(decimal("2.718281828459045")), "0.9999999999999999134157889710887612"),
            (ln(decimal("1")), "0"),
            (ln(decimal("0")), "-Infinity"),
            (ln(decimal("-1")), "NaN"),
            (log10(decimal("1E-6176")), "-6176"),
            (log(decimal("8"), decimal("2")), "3"),
            (sqrt(decimal("2")), "1.414213562373095048801688724209698"),
            (sqrt(decimal("0.25")), "0.5"),
            (sqrt(decimal("4")), "2"),
            (sqrt(decimal("-0")), "-0"),
            (sqrt(decimal("1E+3")), "31.62277660168379331998893544432719"),
            (pow(decimal("2"), decimal("3")), "8.000000000000000000000000000000000"),
            (pow(decimal("2"), decimal("100")), "1267650600228229401496703205376.000"),
            (pow(decimal("10"), decimal("20")), "100000000000000000000.0000000000000"),
            (pow(decimal("1.5"), decimal("2")), "2.250000000000000000000000000000000"),
            (pow(decimal("-2"), decimal("3")), "-8.000000000000000000000000000000000"),
            (pow(decimal("-2"), decimal("0.5")), "NaN"),
            (pow(decimal("0"), decimal("-1")), "Infinity"),
            (pow(decimal("9E+6000"), decimal("2")), "Infinity"),
            (pow(decimal("Infinity"), decimal("-1")), "0E-6176"),
        ] {
            assert_eq!(found.to_string(), expected);
        }
    }
}
