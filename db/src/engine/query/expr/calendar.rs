//! Calculation with dates on a calendar.

use super::Answer;
use super::call::{Args, Operator, Shape, null, operator, owned};
use super::zone::{Unit, date, instant, out_of_range, start_of_week, unit, zone, zoned};
use crate::engine::value::Value;
use crate::error::Result;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

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

/// The first day of the bins of `$dateTrunc`.
const REFERENCE: Date = Date::constant(2000, 1, 1);

fn add<'v>(args: &Args<'_, 'v>, sign: i64) -> Answer<'v> {
    let (Some(ms), Some(unit), Some(amount), Some(zone)) =
        (date(args, 0)?, unit(args, 1)?, args.int(2)?, zone(args, 3)?)
    else {
        return null();
    };
    let start = zoned(args, ms, &zone)?;
    let moved = amount.checked_mul(sign).and_then(|amount| match unit {
        Unit::Months(months) => {
            let span = Span::new().try_months(amount.checked_mul(months)?).ok()?;
            Some(start.checked_add(span).ok()?.timestamp().as_millisecond())
        }
        Unit::Days(days) => {
            let span = Span::new().try_days(amount.checked_mul(days)?).ok()?;
            Some(start.checked_add(span).ok()?.timestamp().as_millisecond())
        }
        Unit::Ms(unit) => ms.checked_add(amount.checked_mul(unit)?),
    });
    match moved {
        Some(ms) => owned(Value::Date(ms)),
        None => Err(out_of_range(args)),
    }
}

/// Months since the year 0.
fn months(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

/// Days since 1970.
fn days(date: Date) -> i64 {
    // A difference of days between two dates that exist is always there.
    date.since((jiff::Unit::Day, Date::constant(1970, 1, 1)))
        .map_or(0, |span| span.get_days().into())
}

/// Days from 1970 to the first such weekday after it, so that weeks can be counted from there.
fn weekday_offset(first: Weekday) -> i64 {
    // The first day of 1970 was a Thursday.
    i64::from(Weekday::Thursday.until(first))
}

/// The milliseconds that the clocks of the zone show.
fn local_ms(date: &Zoned) -> i64 {
    date.timestamp().as_millisecond() + i64::from(date.offset().seconds()) * 1000
}

/// How many borders of the unit lie between two dates.
fn difference<'v>(args: &Args<'_, 'v>) -> Answer<'v> {
    let (Some(start), Some(end), Some(unit), Some(zone), Some(first)) =
        (date(args, 0)?, date(args, 1)?, unit(args, 2)?, zone(args, 3)?, start_of_week(args, 4)?)
    else {
        return null();
    };
    let (start, end) = (zoned(args, start, &zone)?, zoned(args, end, &zone)?);
    let number = |date: &Zoned| match unit {
        Unit::Months(size) => months(date.date()).div_euclid(size),
        Unit::Days(1) => days(date.date()),
        Unit::Days(size) => (days(date.date()) - weekday_offset(first)).div_euclid(size),
        Unit::Ms(size) => {
            // Borders are where the clocks show them, distances are real time.
            let local = local_ms(date);
            date.timestamp().as_millisecond() - local.rem_euclid(size)
        }
    };
    let borders = number(&end) - number(&start);
    owned(match unit {
        Unit::Ms(size) => borders.div_euclid(size),
        _ => borders,
    })
}

fn truncate<'v>(args: &Args<'_, 'v>) -> Answer<'v> {
    let size = if args.given(2) { args.int(2)? } else { Some(1) };
    let (Some(ms), Some(unit), Some(size), Some(zone), Some(first)) =
        (date(args, 0)?, unit(args, 1)?, size, zone(args, 3)?, start_of_week(args, 4)?)
    else {
        return null();
    };
    if !(1..1 << 40).contains(&size) {
        return Err(args.wrong("a binSize of 1 or more", &Value::Int(size)));
    }
    let date = zoned(args, ms, &zone)?;
    let floor = |number: i64, from: i64, step: i64| {
        Some(from + (number - from).div_euclid(step).checked_mul(step)?)
    };
    owned(Value::Date(match unit {
        Unit::Ms(unit) => {
            let Some(step) = unit.checked_mul(size) else { return Err(out_of_range(args)) };
            let local = local_ms(&date);
            let cut = floor(local, days(REFERENCE) * 86_400_000, step);
            ms - (local - cut.ok_or_else(|| out_of_range(args))?)
        }
        Unit::Days(unit) => {
            // Weeks are counted from the first such weekday of 2000.
            let after = if unit == 1 { 0 } else { REFERENCE.weekday().until(first).into() };
            let cut = floor(days(date.date()), days(REFERENCE) + after, unit * size);
            let start = cut.and_then(|days| Span::new().try_days(days).ok());
            let start = start.and_then(|span| Date::constant(1970, 1, 1).checked_add(span).ok());
            midnight(args, start, &zone)?
        }
        Unit::Months(unit) => {
            let cut = floor(months(date.date()), months(REFERENCE), unit * size);
            let start = cut.and_then(|months| {
                let year = i16::try_from(months.div_euclid(12)).ok()?;
                Date::new(year, i8::try_from(months.rem_euclid(12) + 1).ok()?, 1).ok()
            });
            midnight(args, start, &zone)?
        }
    }))
}

fn midnight(args: &Args<'_, '_>, date: Option<Date>, zone: &TimeZone) -> Result<i64> {
    match date {
        Some(date) => instant(args, date.to_datetime(Time::midnight()), zone),
        None => Err(out_of_range(args)),
    }
}
