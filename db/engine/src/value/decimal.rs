//! Decimal numbers: the decimal128 of IEEE 754, with the sign of its zero, its trailing zeros, NaN
//! and infinities.

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use std::fmt;

/// Significant digits of a decimal.
pub const DIGITS_MAX: u64 = 34;
/// Least power of ten that the digits of a decimal, as a whole number, are multiplied by.
pub const EXPONENT_MIN: i64 = -6176;
/// Largest such power.
pub const EXPONENT_MAX: i64 = 6111;
/// The first whole number that has too many digits.
const DIGITS_END: u128 = 10u128.pow(DIGITS_MAX as u32);

/// A decimal number. Two are equal here when they are written alike, so `5` and `5.0` are not;
/// [`super::number::compare`] compares the numbers. Nothing here takes time or memory that grows
/// with an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// Not a number.
    Nan,
    /// Beyond every number.
    Infinity {
        /// Whether it is the one below them.
        negative: bool,
    },
    /// `digits` times ten to the power of `exponent`; `5`, `5.0` and `5.00` have different digits.
    Finite {
        /// Whether it has a minus sign; zero may have one.
        negative: bool,
        /// At most [`DIGITS_MAX`] digits.
        digits: u128,
        /// Between [`EXPONENT_MIN`] and [`EXPONENT_MAX`].
        exponent: i16,
    },
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal::Finite { negative: false, digits: 0, exponent: 0 };

    /// Reads a text; `None` if it is no number, or a decimal cannot hold it exactly. The exponent
    /// of a zero is clamped, as in BSON's specification.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let is = |name: &str| rest.eq_ignore_ascii_case(name);
        if is("nan") {
            return Some(Decimal::Nan);
        }
        if is("infinity") || is("inf") {
            return Some(Decimal::Infinity { negative });
        }
        let (mantissa, mut exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (mut digits, mut count, mut point, mut any) = (0u128, 0, false, false);
        for byte in mantissa.bytes() {
            match byte {
                b'.' if !point => point = true,
                b'0'..=b'9' if count < DIGITS_MAX => {
                    any = true;
                    digits = digits * 10 + u128::from(byte - b'0');
                    count += u64::from(digits > 0);
                    exponent = exponent.saturating_sub(i64::from(point));
                }
                // Only zeros can be left out.
                b'0' => exponent = exponent.saturating_add(i64::from(!point)),
                _ => return None,
            }
        }
        if any { Decimal::exactly(negative, digits, exponent) } else { None }
    }

    /// `digits` times ten to the power of `exponent`; `None` if a decimal cannot hold that exactly.
    fn exactly(negative: bool, mut digits: u128, mut exponent: i64) -> Option<Decimal> {
        if digits == 0 {
            exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
        }
        while exponent > EXPONENT_MAX && digits * 10 < DIGITS_END {
            (digits, exponent) = (digits * 10, exponent - 1);
        }
        while exponent < EXPONENT_MIN && digits.is_multiple_of(10) {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        let fits = digits < DIGITS_END && (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent);
        fits.then_some(Decimal::Finite { negative, digits, exponent: exponent as i16 })
    }

    /// The decimal nearest to a number, ties to even. A number beyond the largest becomes infinite,
    /// one nearer to zero than to the smallest becomes zero. `negative` is the sign of a zero.
    pub fn round(number: BigDecimal, negative: bool) -> Decimal {
        let exponent = -number.fractional_digit_count();
        let (sign, surplus) = (number.sign(), number.digits() as i64 - DIGITS_MAX as i64);
        let negative = sign == Sign::Minus || sign == Sign::NoSign && negative;
        let dropped = surplus.max(EXPONENT_MIN - exponent).max(0);
        let mut rounded = match dropped {
            _ if sign == Sign::NoSign => BigDecimal::new(BigInt::ZERO, -exponent),
            0 => number,
            // Not even the first digit is left.
            _ if dropped > number.digits() as i64 => BigDecimal::new(BigInt::ZERO, -EXPONENT_MIN),
            _ => number.with_scale_round(-(exponent + dropped), RoundingMode::HalfEven),
        };
        // 9…9.5 has become 10…0.
        if rounded.digits() > DIGITS_MAX {
            rounded = rounded.with_scale(rounded.fractional_digit_count() - 1);
        }
        let (digits, scale) = rounded.into_bigint_and_scale();
        let digits = digits.magnitude().to_u128().unwrap_or(DIGITS_END);
        Decimal::exactly(negative, digits, -scale).unwrap_or(Decimal::Infinity { negative })
    }

    /// The same number with all the digits that fit, as MongoDB's powers have them.
    pub fn padded(self) -> Decimal {
        match self {
            Decimal::Finite { negative, mut digits, mut exponent } if digits > 0 => {
                while digits * 10 < DIGITS_END && i64::from(exponent) > EXPONENT_MIN {
                    (digits, exponent) = (digits * 10, exponent - 1);
                }
                Decimal::Finite { negative, digits, exponent }
            }
            Decimal::Finite { negative, .. } => {
                Decimal::Finite { negative, digits: 0, exponent: EXPONENT_MIN as i16 }
            }
            other => other,
        }
    }

    /// The number; `None` for NaN and infinities.
    pub fn exact(&self) -> Option<BigDecimal> {
        let Decimal::Finite { negative, digits, exponent } = *self else { return None };
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        let digits = BigInt::from_biguint(sign, digits.into());
        Some(BigDecimal::new(digits, -i64::from(exponent)))
    }

    /// The digits of its size without the point, if it is a whole number of at most 38 digits.
    pub fn whole(&self) -> Option<u128> {
        let Decimal::Finite { digits, exponent, .. } = *self else { return None };
        let unit = 10u128.checked_pow(u32::from(exponent.unsigned_abs()))?;
        match exponent {
            0.. => digits.checked_mul(unit),
            _ => digits.is_multiple_of(unit).then_some(digits / unit),
        }
    }

    /// Whether it is not a number.
    pub fn is_nan(&self) -> bool {
        matches!(self, Decimal::Nan)
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        matches!(self, Decimal::Finite { digits: 0, .. })
    }

    /// Whether it has a minus sign.
    pub fn is_negative(&self) -> bool {
        matches!(
            self,
            Decimal::Infinity { negative: true } | Decimal::Finite { negative: true, .. }
        )
    }

    /// The same number with the other sign.
    pub fn negated(self) -> Decimal {
        match self {
            Decimal::Nan => Decimal::Nan,
            Decimal::Infinity { negative } => Decimal::Infinity { negative: !negative },
            Decimal::Finite { negative, digits, exponent } => {
                Decimal::Finite { negative: !negative, digits, exponent }
            }
        }
    }

    /// The nearest double.
    pub fn to_double(&self) -> f64 {
        match *self {
            Decimal::Nan => f64::NAN,
            Decimal::Infinity { negative: false } => f64::INFINITY,
            Decimal::Infinity { negative: true } => f64::NEG_INFINITY,
            Decimal::Finite { negative, digits, exponent } => {
                // The standard library rounds correctly, whatever the exponent.
                let size: f64 = format!("{digits}e{exponent}").parse().unwrap_or(f64::NAN);
                if negative { -size } else { size }
            }
        }
    }

    /// A double in decimal with 15 digits, as MongoDB converts one.
    pub fn from_double(number: f64) -> Decimal {
        if number.is_nan() {
            return Decimal::Nan;
        }
        let negative = number.is_sign_negative();
        match number.is_infinite() {
            true => Decimal::Infinity { negative },
            false if number == 0.0 => Decimal::Finite { negative, digits: 0, exponent: 0 },
            // All doubles are far from the ends of a decimal's range.
            false => Decimal::parse(&format!("{number:.14e}")).unwrap_or(Decimal::Nan),
        }
    }
}

impl From<i128> for Decimal {
    /// Rounds a number of more than [`DIGITS_MAX`] digits.
    fn from(number: i128) -> Decimal {
        Decimal::round(BigDecimal::from(number), false)
    }
}

/// As IEEE 754 and MongoDB write it: with an exponent if it has zeros that are not among its
/// digits, or more than five after the point.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        let Decimal::Finite { digits, exponent, .. } = *self else {
            return f.write_str(if self.is_nan() { "NaN" } else { "Infinity" });
        };
        let digits = digits.to_string();
        let whole = digits.len() as i64 + i64::from(exponent);
        if exponent > 0 || whole < -5 {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{rest}E{:+}", whole - 1);
        }
        match usize::try_from(whole) {
            Ok(whole) if whole == digits.len() => f.write_str(&digits),
            Ok(whole) if whole > 0 => {
                let (whole, fraction) = digits.split_at(whole);
                write!(f, "{whole}.{fraction}")
            }
            _ => write!(f, "0.{digits:0>width$}", width = usize::from(exponent.unsigned_abs())),
        }
    }
}
