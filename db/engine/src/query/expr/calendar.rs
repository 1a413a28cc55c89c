//! Arithmetic with dates on a calendar.

use super::EvalResult;
use super::call::{Args, Operator, Shape, null, operator, owned};
use super::zone::{
    Local, MS_MAX, Unit, date, instant, local, out_of_range, start_of_week, unit, zone,
};
use crate::value::Value;
use jiff::Span;
use jiff::civil::{DateTime, Time, Weekday};

pub(super) const OPERATORS: &[Operator] = &[
    operator("$dateAdd", ADD, |args| add(args, 1)),
    operator("$dateSubtract", ADD, |args| add(args, -1)),
    operator(
        "$dateDiff",
        Shape::Named(&["startDate", "endDate", "unit", "timezone", "startOfWeek"], 3),
        difference,
    ),
    operator(
        "$dateTrunc",
        Shape::Named(&["date", "unit", "binSize", "timezone", "startOfWeek"], 2),
        truncate,
    ),
];

const ADD: Shape = Shape::Named(&["startDate", "unit", "amount", "timezone"], 3);

const DAY_MS: i64 = 86_400_000;

/// The first day of the bins of `$dateTrunc`, 2000-01-01: a Saturday, in days since 1970 and in
/// months since the year 0.
const REFERENCE_DAYS: i64 = 10_957;
const REFERENCE_MONTHS: i64 = 24_000;

fn add<'v>(args: &Args<'_, 'v>, sign: i64) -> EvalResult<'v> {
    let (Some(ms), Some(unit), Some(amount), Some(zone)) =
        (date(args, 0)?, unit(args, 1)?, args.int(2)?, zone(args, 3)?)
    else {
        return null();
    };
    let start = local(args, ms, &zone)?;
    let at = |shown_ms: i64| match shown_ms == start.shown_ms {
        true => ms,
        false => instant(shown_ms, &zone),
    };
    let moved = amount.checked_mul(sign).and_then(|amount| match unit {
        Unit::Months(months) => later(&start, start.civil, amount.checked_mul(months)?).map(at),
        Unit::Days(days) => {
            let ms = amount.checked_mul(days)?.checked_mul(DAY_MS)?;
            start.shown_ms.checked_add(ms).map(at)
        }
        Unit::Ms(unit) => ms.checked_add(amount.checked_mul(unit)?),
    });
    match moved.filter(|ms| ms.unsigned_abs() < MS_MAX) {
        Some(ms) => owned(Value::Date(ms)),
        None => Err(out_of_range(args)),
    }
}

/// The local time some months after `civil`, which is near `date`.
fn later(date: &Local, civil: DateTime, months: i64) -> Option<i64> {
    let span = Span::new().try_months(months).ok()?;
    Some(date.turned_to(civil.checked_add(span).ok()?))
}

/// Months since the year 0.
fn months(date: &Local) -> i64 {
    date.year(date.civil.year()) * 12 + i64::from(date.civil.month()) - 1
}

/// Days since 1970.
fn days(date: &Local) -> i64 {
    date.shown_ms.div_euclid(DAY_MS)
}

/// Days from 1970 to the first such weekday after it, so that weeks can be counted from there.
fn weekday_offset(first: Weekday) -> i64 {
    // The first day of 1970 was a Thursday.
    i64::from(Weekday::Thursday.until(first))
}

/// The number of boundaries of the unit between two dates.
fn difference<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(start), Some(end), Some(unit), Some(zone), Some(first)) =
        (date(args, 0)?, date(args, 1)?, unit(args, 2)?, zone(args, 3)?, start_of_week(args, 4)?)
    else {
        return null();
    };
    let (start, end) = (local(args, start, &zone)?, local(args, end, &zone)?);
    let number = |date: &Local| match unit {
        Unit::Months(size) => months(date).div_euclid(size),
        Unit::Days(1) => days(date),
        Unit::Days(size) => (days(date) - weekday_offset(first)).div_euclid(size),
        Unit::Ms(size) => {
            // Boundaries are in local time, distances in real time.
            date.ms - date.shown_ms.rem_euclid(size)
        }
    };
    let borders = number(&end) - number(&start);
    owned(match unit {
        Unit::Ms(size) => borders.div_euclid(size),
        _ => borders,
    })
}

fn truncate<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let size = if args.given(2) { args.int(2)? } else { Some(1) };
    let (Some(ms), Some(unit), Some(size), Some(zone), Some(first)) =
        (date(args, 0)?, unit(args, 1)?, size, zone(args, 3)?, start_of_week(args, 4)?)
    else {
        return null();
    };
    if !(1..1 << 40).contains(&size) {
        return Err(args.wrong("a binSize of 1 or more", &Value::from(size)));
    }
    let date = local(args, ms, &zone)?;
    // How far `number` lies after the last boundary.
    let past = |number: i64, from: i64, step: Option<i64>| {
        step.map(|step| (number - from).rem_euclid(step))
    };
    let cut = match unit {
        Unit::Ms(unit) => past(date.shown_ms, REFERENCE_DAYS * DAY_MS, unit.checked_mul(size))
            .map(|past| ms - past),
        Unit::Days(unit) => {
            // Weeks are counted from the first such weekday of 2000.
            let after = if unit == 1 { 0 } else { Weekday::Saturday.until(first).into() };
            let past = past(days(&date), REFERENCE_DAYS + after, unit.checked_mul(size));
            let start = past.and_then(|past| (days(&date) - past).checked_mul(DAY_MS));
            start.map(|shown_ms| instant(shown_ms, &zone))
        }
        Unit::Months(unit) => {
            let past = past(months(&date), REFERENCE_MONTHS, unit.checked_mul(size));
            let month = date.civil.date().first_of_month().to_datetime(Time::midnight());
            let start = past.and_then(|past| later(&date, month, -past));
            start.map(|shown_ms| instant(shown_ms, &zone))
        }
    };
    match cut.filter(|ms| ms.unsigned_abs() < MS_MAX) {
        Some(ms) => owned(Value::Date(ms)),
        None => Err(out_of_range(args)),
    }
}
