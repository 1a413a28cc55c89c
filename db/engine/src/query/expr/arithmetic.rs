//! Arithmetic on numbers, and on dates where `$add` and `$subtract` accept them.
//!
//! Functions whose last digit depends on the system come from `libm`: updates compute on every
//! replica.

use super::EvalResult;
use super::call::{ANY, Args, ONE, Operator, Shape, TWO, null, operator, owned};
use crate::error::Result;
use crate::value::{Value, number};
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
    operator("$exp", ONE, |args| match args.number(0)? {
        Some(value) => owned(libm::exp(number::nearest(&value))),
        None => null(),
    }),
    operator("$ln", ONE, |args| logarithm(args, libm::log)),
    operator("$log10", ONE, |args| logarithm(args, libm::log10)),
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
        (Value::Date(a), Value::Date(b)) => owned(a.saturating_sub(*b)),
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
            _ if number::compare(&value, &Value::Int(0)).is_lt() => {
                owned(number::multiply(&value, &Value::Int(-1)))
            }
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
        Value::Int(_) if places >= 0 => return Ok(Some(value)),
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
    let exact = number::exact(&value).unwrap_or_default();
    if exact.fractional_digit_count() <= places {
        return Ok(Some(value));
    }
    let rounded = exact.with_scale_round(places, mode);
    match &*value {
        Value::Int(_) => match rounded.to_i64() {
            Some(int) => owned(int),
            None => owned(number::decimal(rounded.with_scale(0))),
        },
        Value::Double(number) => owned(rounded.to_f64().unwrap_or(f64::NAN).copysign(*number)),
        _ => owned(number::decimal(rounded)),
    }
}

fn square_root<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(value) = args.number(0)? else { return null() };
    if number::nearest(&value) < 0.0 {
        return Err(args.wrong("a number of 0 or more", &value));
    }
    match &*value {
        Value::Decimal(number) => match number.sqrt() {
            Some(root) => owned(number::decimal(root)),
            None => Err(args.wrong("a number of 0 or more", &value)),
        },
        value => owned(number::to_double(value).sqrt()),
    }
}

fn power<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(base), Some(exponent)) = (args.number(0)?, args.number(1)?) else { return null() };
    let times = exponent.as_int().and_then(|times| u64::try_from(times).ok());
    match (&*base, times) {
        (Value::Int(_) | Value::Decimal(_), Some(times))
            if !matches!(*exponent, Value::Double(_)) =>
        {
            owned(repeat(&base, times))
        }
        _ if number::is_zero(&base) && number::nearest(&exponent) < 0.0 => {
            Err(args.error("cannot raise 0 to a negative power"))
        }
        _ => owned(libm::pow(number::nearest(&base), number::nearest(&exponent))),
    }
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

fn logarithm<'v>(args: &Args<'_, 'v>, function: fn(f64) -> f64) -> EvalResult<'v> {
    match args.number(0)? {
        None => null(),
        Some(value) if number::nearest(&value) <= 0.0 => {
            Err(args.wrong("a number above 0", &value))
        }
        Some(value) => owned(function(number::nearest(&value))),
    }
}

fn log<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(value), Some(base)) = (args.number(0)?, args.number(1)?) else { return null() };
    let (number, base_number) = (number::nearest(&value), number::nearest(&base));
    if number <= 0.0 {
        return Err(args.wrong("a number above 0", &value));
    }
    if base_number <= 0.0 || base_number == 1.0 {
        return Err(args.wrong("a base above 0 other than 1", &base));
    }
    owned(libm::log(number) / libm::log(base_number))
}
