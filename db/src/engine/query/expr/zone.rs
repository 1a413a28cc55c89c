//! What the operators on dates share: instants, time zones and units.

use super::call::Args;
use super::convert::object_id_ms;
use crate::engine::value::Value;
use crate::engine::value::date::{civil_of_ms, ms_of_civil, offset_ms};
use crate::error::Result;
use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

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

/// Milliseconds after which the calendar repeats itself: 400 years.
const CYCLE_MS: i64 = 146_097 * 86_400_000;

/// Dates farther from 1970 than this, 73 million years, are not computed with; so a sum or a
/// difference of two fits into 64 bits.
pub(super) const MS_MAX: u64 = 1 << 61;

/// What the clocks of a zone show at an instant.
pub(super) struct Local {
    /// The instant, in milliseconds since 1970.
    pub(super) ms: i64,
    /// By how much the clocks are ahead of UTC.
    pub(super) offset: Offset,
    /// Milliseconds from 1970, 0:00 to what they show.
    pub(super) shown_ms: i64,
    /// The same as date and time; outside the years -9999 to 9999, where the library's calendar
    /// ends, that of a year with the same calendar. So only [`Local::year`] has the year.
    pub(super) civil: DateTime,
    cycles: i64,
}

impl Local {
    /// The year, given that of [`Local::civil`], which may be that of its week.
    pub(super) fn year(&self, civil: i16) -> i64 {
        i64::from(civil) + 400 * self.cycles
    }

    /// What clocks show that are turned from [`Local::civil`] to `civil`.
    pub(super) fn turned_to(&self, civil: DateTime) -> i64 {
        self.shown_ms + ms_of_civil(civil) - ms_of_civil(self.civil)
    }
}

/// What the clocks of a zone show at an instant.
pub(super) fn local(args: &Args<'_, '_>, ms: i64, zone: &TimeZone) -> Result<Local> {
    if ms.unsigned_abs() > MS_MAX {
        return Err(out_of_range(args));
    }
    // The library's instants end a little before its calendar.
    let known = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
    let nearest = Timestamp::from_millisecond(ms.clamp(*known.start(), *known.end()));
    let offset = zone.to_offset(nearest.unwrap_or_default());
    let shown_ms = ms + offset_ms(offset);
    let (civil, cycles) = on_calendar(shown_ms);
    Ok(Local { ms, offset, shown_ms, civil, cycles })
}

/// Date and time, and how often 400 years later it is.
fn on_calendar(shown_ms: i64) -> (DateTime, i64) {
    match civil_of_ms(shown_ms) {
        Some(civil) => (civil, 0),
        None => {
            let civil = civil_of_ms(shown_ms.rem_euclid(CYCLE_MS));
            (civil.unwrap_or_default(), shown_ms.div_euclid(CYCLE_MS))
        }
    }
}

/// The instant at which the clocks of a zone show something, given as the milliseconds from 1970,
/// 0:00 to it. What they skip is as late as if they had not; of two instants it is the first.
pub(super) fn instant(shown_ms: i64, zone: &TimeZone) -> i64 {
    let civil = civil_of_ms(shown_ms).unwrap_or(match shown_ms < 0 {
        true => DateTime::MIN,
        false => DateTime::MAX,
    });
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    shown_ms.saturating_sub(offset_ms(offset))
}

/// The error for a date that no calendar has.
pub(super) fn out_of_range(args: &Args<'_, '_>) -> crate::error::Error {
    args.error("has or gives a date outside the years -9999 to 9999")
}
