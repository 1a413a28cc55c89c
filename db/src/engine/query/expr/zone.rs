//! What the operators on dates share: instants, time zones and units.

use super::call::Args;
use super::convert::object_id_ms;
use crate::engine::value::Value;
use crate::error::Result;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

/// A unit of time that dates are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Months: 1, a quarter's 3 or a year's 12.
    Months(i64),
    /// Days: 1, or a week's 7.
    Days(i64),
    /// Milliseconds.
    Ms(i64),
}

const UNITS: &[(&str, Unit)] = &[
    ("year", Unit::Months(12)),
    ("quarter", Unit::Months(3)),
    ("month", Unit::Months(1)),
    ("week", Unit::Days(7)),
    ("day", Unit::Days(1)),
    ("hour", Unit::Ms(3_600_000)),
    ("minute", Unit::Ms(60_000)),
    ("second", Unit::Ms(1000)),
    ("millisecond", Unit::Ms(1)),
];

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// An argument that must be a unit, unless it is null.
pub(super) fn unit(args: &Args<'_, '_>, index: usize) -> Result<Option<Unit>> {
    let Some(name) = args.text(index)? else { return Ok(None) };
    match UNITS.iter().find(|(known, _)| *known == name) {
        Some((_, unit)) => Ok(Some(*unit)),
        None => Err(args.wrong("a unit such as \"day\"", &Value::from(&*name))),
    }
}

/// An argument that names the first day of a week; Sunday when it was left out.
pub(super) fn start_of_week(args: &Args<'_, '_>, index: usize) -> Result<Option<Weekday>> {
    if !args.given(index) {
        return Ok(Some(Weekday::Sunday));
    }
    let Some(name) = args.text(index)? else { return Ok(None) };
    let lower = name.to_ascii_lowercase();
    match WEEKDAYS.iter().find(|(day, _)| *day == lower || day.get(..3) == Some(&lower)) {
        Some((_, day)) => Ok(Some(*day)),
        None => Err(args.wrong("a day such as \"monday\"", &Value::from(&*name))),
    }
}

/// An argument that must be a date, unless it is null.
pub(super) fn date(args: &Args<'_, '_>, index: usize) -> Result<Option<i64>> {
    match args.present(index)?.as_deref() {
        None => Ok(None),
        Some(Value::Date(ms)) => Ok(Some(*ms)),
        Some(Value::ObjectId(id)) => Ok(Some(object_id_ms(id))),
        Some(other) => Err(args.wrong("a date", other)),
    }
}

/// An argument that names a time zone; UTC when it was left out, `None` for null.
pub(super) fn zone(args: &Args<'_, '_>, index: usize) -> Result<Option<TimeZone>> {
    if !args.given(index) {
        return Ok(Some(TimeZone::UTC));
    }
    let Some(name) = args.text(index)? else { return Ok(None) };
    // The system's database may differ from node to node; the one in this program does not.
    match offset(&name).or_else(|| TimeZoneDatabase::bundled().get(&name).ok()) {
        Some(zone) => Ok(Some(zone)),
        None => {
            let rule = "a time zone such as \"Europe/Berlin\" or \"+02:00\"";
            Err(args.wrong(rule, &Value::from(&*name)))
        }
    }
}

/// A zone written as `+hh`, `+hhmm` or `+hh:mm`.
fn offset(text: &str) -> Option<TimeZone> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits = match rest.len() {
        2 | 4 => rest.to_owned(),
        5 if rest.get(2..3) == Some(":") => rest.replacen(':', "", 1),
        _ => return None,
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits
        .get(2..)
        .filter(|text| !text.is_empty())
        .map_or(Some(0), |text| text.parse().ok())?;
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(offset.to_time_zone())
}

/// An instant on the calendar of a zone.
pub(super) fn zoned(args: &Args<'_, '_>, ms: i64, zone: &TimeZone) -> Result<Zoned> {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => Ok(time.to_zoned(zone.clone())),
        Err(_) => Err(out_of_range(args)),
    }
}

/// The instant at which the clocks of a zone show something.
pub(super) fn instant(args: &Args<'_, '_>, civil: DateTime, zone: &TimeZone) -> Result<i64> {
    match zone.to_zoned(civil) {
        Ok(zoned) => Ok(zoned.timestamp().as_millisecond()),
        Err(_) => Err(out_of_range(args)),
    }
}

/// The error for a date that no calendar has.
pub(super) fn out_of_range(args: &Args<'_, '_>) -> crate::error::Error {
    args.error("has or gives a date outside the years -9999 to 9999")
}
