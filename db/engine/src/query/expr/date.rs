//! Dates: their parts, and their text.

use super::EvalResult;
use super::call::{Args, Operator, Shape, null, operator, owned};
use super::convert::NO_TEXT;
use super::zone::{Local, date, instant, local, out_of_range, zone};
use crate::error::Result;
use crate::value::date::{ms_of_civil, offset_ms, parse_text};
use crate::value::{Object, Value};
use jiff::Span;
use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday};
use jiff::fmt::strtime::BrokenDownTime;
use std::borrow::Cow;
use std::fmt::Write;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$year", DATE, |args| part(args, |date| date.year(date.civil.year()))),
    operator("$month", DATE, |args| part(args, |date| date.civil.month().into())),
    operator("$dayOfMonth", DATE, |args| part(args, |date| date.civil.day().into())),
    operator("$hour", DATE, |args| part(args, |date| date.civil.hour().into())),
    operator("$minute", DATE, |args| part(args, |date| date.civil.minute().into())),
    operator("$second", DATE, |args| part(args, |date| date.civil.second().into())),
    operator("$millisecond", DATE, |args| part(args, |date| date.civil.millisecond().into())),
    operator("$dayOfYear", DATE, |args| part(args, |date| date.civil.day_of_year().into())),
    operator("$dayOfWeek", DATE, |args| part(args, day_of_week)),
    operator("$week", DATE, |args| part(args, week)),
    operator("$isoWeek", DATE, |args| part(args, |date| iso(date).week().into())),
    operator("$isoWeekYear", DATE, |args| part(args, |date| date.year(iso(date).year()))),
    operator("$isoDayOfWeek", DATE, |args| part(args, |date| iso_day(iso(date)))),
    operator("$dateToParts", Shape::Named(&["date", "timezone", "iso8601"], 1), to_parts),
    operator("$dateFromParts", Shape::Named(PARTS, 0), from_parts),
    operator(
        "$dateToString",
        Shape::Named(&["date", "format", "timezone", "onNull"], 1),
        to_string,
    ),
    operator("$dateFromString", Shape::Named(FROM_STRING, 1), from_string),
];

const DATE: Shape = Shape::Either(&["date", "timezone"], 1);
const FROM_STRING: &[&str] = &["dateString", "format", "timezone", "onError", "onNull"];
const PARTS: &[&str] = &[
    "year",
    "month",
    "day",
    "isoWeekYear",
    "isoWeek",
    "isoDayOfWeek",
    "hour",
    "minute",
    "second",
    "millisecond",
    "timezone",
];

fn iso(date: &Local) -> ISOWeekDate {
    date.civil.date().iso_week_date()
}

fn iso_day(date: ISOWeekDate) -> i64 {
    date.weekday().to_monday_one_offset().into()
}

/// 1 is Sunday.
fn day_of_week(date: &Local) -> i64 {
    date.civil.weekday().to_sunday_one_offset().into()
}

/// Weeks begin on Sunday; days before the first Sunday of the year are in week 0.
fn week(date: &Local) -> i64 {
    (i64::from(date.civil.day_of_year()) + 7 - day_of_week(date)) / 7
}

fn part<'v>(args: &Args<'_, 'v>, part: fn(&Local) -> i64) -> EvalResult<'v> {
    let (Some(ms), Some(zone)) = (date(args, 0)?, zone(args, 1)?) else { return null() };
    owned(part(&local(args, ms, &zone)?))
}

fn to_parts<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(ms), Some(zone)) = (date(args, 0)?, zone(args, 1)?) else { return null() };
    let date = local(args, ms, &zone)?;
    let week = iso(&date);
    let days: [(&str, i64); 3] = match args.get(2)?.as_deref() {
        Some(Value::Bool(true)) => [
            ("isoWeekYear", date.year(week.year())),
            ("isoWeek", week.week().into()),
            ("isoDayOfWeek", iso_day(week)),
        ],
        None | Some(Value::Bool(false)) => [
            ("year", date.year(date.civil.year())),
            ("month", date.civil.month().into()),
            ("day", date.civil.day().into()),
        ],
        Some(Value::Null) => return null(),
        Some(other) => return Err(args.wrong("iso8601 to be true or false", other)),
    };
    let times: [(&str, i64); 4] = [
        ("hour", date.civil.hour().into()),
        ("minute", date.civil.minute().into()),
        ("second", date.civil.second().into()),
        ("millisecond", date.civil.millisecond().into()),
    ];
    let parts = days.into_iter().chain(times);
    let parts = parts.map(|(name, number)| (name.to_owned(), Value::from(number)));
    owned(Value::Object(parts.collect::<Object>()))
}

/// Parts may be beyond their range: month 14 is February of the next year.
fn from_parts<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let number = |index: usize, default: i64| match args.given(index) {
        false => Ok(Some(default)),
        true => match args.int(index)? {
            Some(number) if number.unsigned_abs() >= 1 << 40 => Err(out_of_range(args)),
            number => Ok(number),
        },
    };
    let is_iso = args.given(3);
    if is_iso == args.given(0) {
        return Err(args.error("needs either year or isoWeekYear"));
    }
    let others = if is_iso { 1..3 } else { 4..6 };
    if others.into_iter().any(|index| args.given(index)) {
        return Err(args.error("has parts of both calendars, that of months and that of ISO weeks"));
    }
    let first = if is_iso { 3 } else { 0 };
    let (Some(year), Some(middle), Some(day)) =
        (number(first, 0)?, number(first + 1, 1)?, number(first + 2, 1)?)
    else {
        return null();
    };
    if !(1..=9999).contains(&year) {
        return Err(args.wrong("a year from 1 to 9999", &Value::from(year)));
    }
    let (Some(hour), Some(minute), Some(second), Some(ms), Some(zone)) =
        (number(6, 0)?, number(7, 0)?, number(8, 0)?, number(9, 0)?, zone(args, 10)?)
    else {
        return null();
    };
    let start = if is_iso {
        let monday = i16::try_from(year).ok();
        let monday = monday.and_then(|year| ISOWeekDate::new(year, 1, Weekday::Monday).ok());
        monday.map(|monday| (monday.date(), (middle - 1) * 7))
    } else {
        let months = year * 12 + middle - 1;
        let year = i16::try_from(months.div_euclid(12)).ok();
        let month = i8::try_from(months.rem_euclid(12) + 1).ok();
        year.zip(month)
            .and_then(|(year, month)| Date::new(year, month, 1).ok())
            .map(|date| (date, 0))
    };
    let civil = start.and_then(|(date, days)| {
        let days = Span::new().try_days(days + day - 1).ok()?;
        let ms = hour * 3_600_000 + minute * 60_000 + second * 1000 + ms;
        let date = date.checked_add(days).ok()?.to_datetime(jiff::civil::Time::midnight());
        date.checked_add(jiff::SignedDuration::from_millis(ms)).ok()
    });
    let civil = civil.ok_or_else(|| out_of_range(args))?;
    owned(Value::Date(instant(ms_of_civil(civil), &zone)))
}

fn to_string<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(ms) = date(args, 0)? else {
        return if args.given(3) { args.get(3) } else { null() };
    };
    let Some(zone) = zone(args, 2)? else { return null() };
    let format = match (args.given(1), zone.is_utc()) {
        (true, _) => args.text(1)?,
        (false, true) => Some(Cow::Borrowed("%Y-%m-%dT%H:%M:%S.%LZ")),
        (false, false) => Some(Cow::Borrowed("%Y-%m-%dT%H:%M:%S.%L")),
    };
    let Some(format) = format else { return null() };
    // The two bytes of %B become September.
    args.hold(5 * format.len())?;
    owned(formatted(args, &local(args, ms, &zone)?, &format)?)
}

fn formatted(args: &Args<'_, '_>, date: &Local, format: &str) -> Result<String> {
    let civil = &date.civil;
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        let minutes = date.offset / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        let written = match chars.next() {
            Some('Y') => write!(text, "{:04}", written_year(args, date.year(civil.year()))?),
            Some('m') => write!(text, "{:02}", civil.month()),
            Some('d') => write!(text, "{:02}", civil.day()),
            Some('H') => write!(text, "{:02}", civil.hour()),
            Some('M') => write!(text, "{:02}", civil.minute()),
            Some('S') => write!(text, "{:02}", civil.second()),
            Some('L') => write!(text, "{:03}", civil.millisecond()),
            Some('j') => write!(text, "{:03}", civil.day_of_year()),
            Some('w') => write!(text, "{}", day_of_week(date)),
            Some('u') => write!(text, "{}", iso_day(iso(date))),
            Some('U') => write!(text, "{:02}", week(date)),
            Some('V') => write!(text, "{:02}", iso(date).week()),
            Some('G') => write!(text, "{:04}", written_year(args, date.year(iso(date).year()))?),
            Some('b') => write!(text, "{}", civil.strftime("%b")),
            Some('B') => write!(text, "{}", civil.strftime("%B")),
            Some('z') => write!(text, "{sign}{:02}{:02}", minutes / 60, minutes % 60),
            Some('Z') => write!(text, "{}", date.offset / 60),
            Some('%') => write!(text, "%"),
            Some(other) => return Err(unknown(args, other)),
            None => return Err(args.error("has a format that ends with a single %")),
        };
        // Writing to memory does not fail.
        debug_assert!(written.is_ok());
        args.check_text(text.len())?;
    }
    Ok(text)
}

/// A year that can be written: one of four digits.
fn written_year(args: &Args<'_, '_>, year: i64) -> Result<i64> {
    if (0..=9999).contains(&year) { Ok(year) } else { Err(args.error(NO_TEXT)) }
}

fn unknown(args: &Args<'_, '_>, specifier: char) -> crate::error::Error {
    args.error(format_args!("does not know %{specifier} in a format"))
}

fn from_string<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(value) = args.present(0)? else {
        return if args.given(4) { args.get(4) } else { null() };
    };
    let Some(zone) = zone(args, 2)? else { return null() };
    let format = args.text(1)?;
    if args.given(1) && format.is_none() {
        return null();
    }
    let format = match format.as_deref().map(without_minutes) {
        Some((format, minutes)) => Some((jiff_format(args, format)?, minutes)),
        None => None,
    };
    let parsed = value.as_str().and_then(|text| match &format {
        Some((format, false)) => parse_format(text, format),
        Some((format, true)) => parse_minutes(text, format),
        None => parse_text(text),
    });
    let ms = parsed.and_then(|(civil, offset)| match offset {
        None => Some(instant(ms_of_civil(civil), &zone)),
        // A text with an offset of its own and a time zone contradict each other; UTC does not
        // count.
        Some(_) if !zone.is_utc() => None,
        Some(offset_ms) => Some(ms_of_civil(civil) - offset_ms),
    });
    match ms {
        Some(ms) => owned(Value::Date(ms)),
        None if args.given(3) => args.get(3),
        None => Err(args.wrong("a text with a date in the expected format", &value)),
    }
}

/// MongoDB's format in the notation of the library.
fn jiff_format(args: &Args<'_, '_>, format: &str) -> Result<String> {
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        text.push(char);
        if char == '%' {
            match chars.next() {
                Some('L') => text.push('f'),
                Some(
                    known @ ('Y' | 'm' | 'd' | 'H' | 'M' | 'S' | 'j' | 'z' | 'b' | 'B' | 'G' | 'V'
                    | 'u' | '%'),
                ) => text.push(known),
                Some(other) => return Err(unknown(args, other)),
                None => return Err(args.error("has a format that ends with a single %")),
            }
        }
    }
    Ok(text)
}

/// A format without a final `%Z`, an offset in minutes, which the library does not support; and
/// whether it had one.
fn without_minutes(format: &str) -> (&str, bool) {
    let percents = |rest: &str| rest.len() - rest.trim_end_matches('%').len();
    match format.strip_suffix("%Z") {
        Some(rest) if percents(rest) % 2 == 0 => (rest, true),
        _ => (format, false),
    }
}

/// Parses a text that ends with an offset in minutes, such as `+330`.
fn parse_minutes(text: &str, format: &str) -> Option<(DateTime, Option<i64>)> {
    let (date, minutes) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let minutes: i64 = minutes.parse::<i16>().ok()?.into();
    let (civil, _) = parse_format(date, format)?;
    Some((civil, Some(minutes * 60_000)))
}

fn parse_format(text: &str, format: &str) -> Option<(DateTime, Option<i64>)> {
    let parsed = BrokenDownTime::parse(format, text).ok()?;
    let date = match parsed.iso_week_year() {
        // The first day of the first week, unless the text names another.
        Some(year) => {
            let week = parsed.iso_week().unwrap_or(1);
            let day = parsed.weekday().unwrap_or(Weekday::Monday);
            ISOWeekDate::new(year, week, day).ok()?.date()
        }
        None => parsed.to_date().ok()?,
    };
    let time = match parsed.hour() {
        Some(_) => parsed.to_time().ok()?,
        None => jiff::civil::Time::midnight(),
    };
    Some((date.to_datetime(time), parsed.offset().map(offset_ms)))
}
