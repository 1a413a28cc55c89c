//! Arithmetic on numbers, and on dates where `$add` and `$subtract` accept them.
//!
//! Functions whose last digit depends on the system come from `libm`: updates compute on every
//! replica.

use super::EvalResult;
use super::call::{ANY, Args, ONE, Operator, Shape, TWO, null, operator, owned};
use crate::error::Result;
use crate::value::{Decimal, Value, decimal_functions, number};
use bigdecimal::{RoundingMode, ToPrimitive};
use std::borrow::Cow;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$add", ANY, add),
    operator("$subtract", TWO, subtract),
    operator("$multiply", ANY, multiply),
    operator("$divide", TWO, |args| binary(args, number::divide)),
    operator("$mod", TWO, |args| binary(args, number::remainder)),
    operator("$abs", ONE, absolute),
    operator("$ceil", ONE, |args| round(args, RoundingMode::Ceiling, f64::ceil)),
    operator("$floor", ONE, |args| round(args, RoundingMode::Floor, f64::floor)),
    operator("$round", PLACES, |args| round(args, RoundingMode::HalfEven, f64::round_ties_even)),
    operator("$trunc", PLACES, |args| round(args, RoundingMode::Down, f64::trunc)),
    operator("$sqrt", ONE, square_root),
    operator("$pow", TWO, power),
    operator("$exp", ONE, |args| function(args, libm::exp, decimal_functions::exp)),
    operator("$ln", ONE, |args| logarithm(args, libm::log, decimal_functions::ln)),
    operator("$log10", ONE, |args| logarithm(args, libm::log10, decimal_functions::log10)),
    operator("$log", TWO, log),
];

const PLACES: Shape = Shape::List(1, 2);

/// Milliseconds of a number that is added to a date.
fn milliseconds(args: &Args<'_, '_>, value: &Value) -> Result<i64> {
    let ms = number::nearest(value).round();
    // Far beyond every date that can be written, and far from an overflow.
    match ms.abs() < 9e15 {
        true => Ok(value.as_int().unwrap_or(ms as i64)),
        false => Err(args.wrong("a number of milliseconds that a date can move", value)),
    }
}

fn move_date<'v>(args: &Args<'_, '_>, date: i64, ms: i64) -> EvalResult<'v> {
    match date.checked_add(ms) {
        Some(date) => Ok(Some(Cow::Owned(Value::Date(date)))),
        None => Err(args.error("gives a date that is out of range")),
    }
}

fn add<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut sum = Value::Int(0);
    let mut date = None;
    for index in 0..args.len() {
        match args.present(index)?.as_deref() {
            None => return null(),
            Some(Value::Date(_)) if date.is_some() => {
                return Err(args.error("cannot add two dates"));
            }
            Some(Value::Date(ms)) => date = Some(*ms),
            Some(term) if term.is_number() => sum = number::add(&sum, term),
            Some(other) => return Err(args.wrong("numbers and at most one date", other)),
        }
    }
    match date {
        Some(date) => move_date(args, date, milliseconds(args, &sum)?),
        None => owned(sum),
    }
}

fn subtract<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(a), Some(b)) = (args.present(0)?, args.present(1)?) else { return null() };
    match (&*a, &*b) {
        (Value::Date(a), Value::Date(b)) => owned(Value::Long(a.saturating_sub(*b))),
        (Value::Date(date), ms) if ms.is_number() => {
            move_date(args, *date, -milliseconds(args, ms)?)
        }
        (a, b) if a.is_number() && b.is_number() => owned(number::subtract(a, b)),
        (Value::Date(_), other) | (other, _) if !other.is_number() => {
            Err(args.wrong("numbers or dates", other))
        }
        (_, other) => Err(args.wrong("a number beside a number", other)),
    }
}

fn multiply<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut product = Value::Int(1);
    for index in 0..args.len() {
        match args.number(index)? {
            None => return null(),
            Some(factor) => product = number::multiply(&product, &factor),
        }
    }
    owned(product)
}

fn binary<'v>(
    args: &Args<'_, 'v>,
    calculate: impl Fn(&Value, &Value) -> Option<Value>,
) -> EvalResult<'v> {
    let (Some(a), Some(b)) = (args.number(0)?, args.number(1)?) else { return null() };
    match calculate(&a, &b) {
        Some(result) => owned(result),
        None => Err(args.error("by zero")),
    }
}

fn absolute<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    match args.number(0)? {
        None => null(),
        Some(value) => match &*value {
            Value::Double(number) => owned(number.abs()),
            Value::Decimal(number) if number.is_negative() => {
                owned(number::decimal(number.negated()))
            }
            Value::Int(..0) | Value::Long(..0) => owned(number::multiply(&value, &Value::Int(-1))),
            _ => Ok(Some(value)),
        },
    }
}

/// Rounds to a number of decimal places; a negative number counts places before the point.
fn round<'v>(args: &Args<'_, 'v>, mode: RoundingMode, whole: fn(f64) -> f64) -> EvalResult<'v> {
    let Some(value) = args.number(0)? else { return null() };
    let places = match args.given(1) {
        false => 0,
        true => match args.int(1)? {
            None => return null(),
            Some(places @ -20..=100) => places,
            Some(_) => return Err(args.error("needs a number of places between -20 and 100")),
        },
    };
    match &*value {
        Value::Int(_) | Value::Long(_) if places >= 0 => return Ok(Some(value)),
        Value::Double(number) if places == 0 || !number.is_finite() => {
            return owned(whole(*number));
        }
        // Writing a double rounds its exact value half to even, in a fraction of the time.
        Value::Double(number) if mode == RoundingMode::HalfEven && (1..=20).contains(&places) => {
            let text = format!("{number:.*}", usize::try_from(places).unwrap_or(0));
            return owned(text.parse::<f64>().unwrap_or(*number));
        }
        _ => {}
    }
    let Some(exact) = number::exact(&value) else { return Ok(Some(value)) };
    if exact.fractional_digit_count() <= places {
        return Ok(Some(value));
    }
    let rounded = exact.with_scale_round(places, mode);
    match &*value {
        Value::Double(number) => owned(rounded.to_f64().unwrap_or(f64::NAN).copysign(*number)),
        Value::Decimal(number) => {
            owned(number::decimal(Decimal::round(rounded, number.is_negative())))
        }
        whole => match (rounded.to_i64(), whole) {
            (Some(rounded), Value::Long(_)) => owned(Value::Long(rounded)),
            (Some(rounded), _) => owned(rounded),
            (None, _) => owned(number::decimal(Decimal::round(rounded.with_scale(0), false))),
        },
    }
}

/// A function of one number: of a decimal with all its digits, else of a double.
fn function<'v>(
    args: &Args<'_, 'v>,
    doubles: fn(f64) -> f64,
    decimals: fn(Decimal) -> Decimal,
) -> EvalResult<'v> {
    let Some(value) = args.number(0)? else { return null() };
    match &*value {
        Value::Decimal(number) => {
            args.ctx.work(decimal_functions::STEPS)?;
            owned(number::decimal(decimals(**number)))
        }
        value => owned(doubles(number::to_double(value))),
    }
}

fn is_negative(value: &Value) -> bool {
    !number::is_nan(value) && number::compare(value, &Value::Int(0)).is_lt()
}

fn square_root<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    match args.number(0)? {
        Some(value) if is_negative(&value) => Err(args.wrong("a number of 0 or more", &value)),
        _ => function(args, f64::sqrt, decimal_functions::sqrt),
    }
}

fn power<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(base), Some(exponent)) = (args.number(0)?, args.number(1)?) else { return null() };
    if number::is_zero(&base) && is_negative(&exponent) {
        return Err(args.error("cannot raise 0 to a negative power"));
    }
    if let (Some(whole), Some(times)) = (number::whole(&base), number::whole(&exponent))
        && (times >= 0 || whole.unsigned_abs() == 1)
    {
        let result = repeat(&base, times.unsigned_abs());
        let long = matches!((&*base, &*exponent), (Value::Long(_), _) | (_, Value::Long(_)));
        return owned(match number::whole(&result).filter(|_| long) {
            Some(whole) => Value::Long(whole),
            None => result,
        });
    }
    if matches!((&*base, &*exponent), (Value::Decimal(_), _) | (_, Value::Decimal(_))) {
        args.ctx.work(decimal_functions::STEPS)?;
        let power =
            decimal_functions::pow(number::to_decimal(&base), number::to_decimal(&exponent));
        return owned(number::decimal(power));
    }
    owned(libm::pow(number::to_double(&base), number::to_double(&exponent)))
}

/// A power by squaring: exact while the result fits.
fn repeat(base: &Value, mut times: u64) -> Value {
    let (mut result, mut square) = (Value::Int(1), base.clone());
    while times > 0 {
        if times % 2 == 1 {
            result = number::multiply(&result, &square);
        }
        times /= 2;
        if times > 0 {
            square = number::multiply(&square, &square);
        }
    }
    result
}

/// Whether a number has no logarithm.
fn is_not_above_zero(value: &Value) -> bool {
    is_negative(value) || number::is_zero(value)
}

fn logarithm<'v>(
    args: &Args<'_, 'v>,
    doubles: fn(f64) -> f64,
    decimals: fn(Decimal) -> Decimal,
) -> EvalResult<'v> {
    match args.number(0)? {
        Some(value) if is_not_above_zero(&value) => Err(args.wrong("a number above 0", &value)),
        _ => function(args, doubles, decimals),
    }
}

fn log<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(value), Some(base)) = (args.number(0)?, args.number(1)?) else { return null() };
    if is_not_above_zero(&value) {
        return Err(args.wrong("a number above 0", &value));
    }
    if is_not_above_zero(&base) || *base == Value::Int(1) {
        return Err(args.wrong("a base above 0 other than 1", &base));
    }
    if matches!((&*value, &*base), (Value::Decimal(_), _) | (_, Value::Decimal(_))) {
        args.ctx.work(2 * decimal_functions::STEPS)?;
        let log = decimal_functions::log(number::to_decimal(&value), number::to_decimal(&base));
        return owned(number::decimal(log));
    }
    owned(libm::log(number::to_double(&value)) / libm::log(number::to_double(&base)))
}
