//! What the operators on dates share: instants, time zones and units.

use super::call::Args;
use super::convert::{object_id_ms, timestamp_ms};
use crate::error::Result;
use crate::value::Value;
use crate::value::date::{civil_of_ms, ms_of_civil, offset_ms, parse_offset};
use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

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
        Some(Value::Timestamp(seconds, _)) => Ok(Some(timestamp_ms(*seconds))),
        Some(other) => Err(args.wrong("a date", other)),
    }
}

/// A time zone.
pub(super) enum Zone {
    /// A fixed number of seconds ahead of UTC, which may be days.
    Fixed(i64),
    /// One of the IANA database.
    Named(TimeZone),
}

impl Zone {
    const UTC: Zone = Zone::Fixed(0);

    /// Whether it is UTC under one of its plain names.
    pub(super) fn is_utc(&self) -> bool {
        matches!(self, Zone::Fixed(0))
    }
}

/// An argument that names a time zone; UTC if it was omitted, `None` for null.
pub(super) fn zone(args: &Args<'_, '_>, index: usize) -> Result<Option<Zone>> {
    if !args.given(index) {
        return Ok(Some(Zone::UTC));
    }
    let Some(name) = args.text(index)? else { return Ok(None) };
    if ["UTC", "GMT"].contains(&&*name) {
        return Ok(Some(Zone::UTC));
    }
    if let Some(seconds) = parse_offset(&name) {
        return Ok(Some(Zone::Fixed(seconds)));
    }
    // The system's database may differ from node to node; the one in this program does not.
    let rule = match TimeZoneDatabase::bundled().get(&name) {
        // The library ignores case, MongoDB does not.
        Ok(zone) => match zone.iana_name() {
            Some(right) if right != name => format!("the time zone {right:?}"),
            _ => return Ok(Some(Zone::Named(zone))),
        },
        Err(_) => "a time zone such as \"Europe/Berlin\" or \"+02:00\"".to_owned(),
    };
    Err(args.wrong(&rule, &Value::from(&*name)))
}

/// Milliseconds after which the calendar repeats itself: 400 years.
const CYCLE_MS: i64 = 146_097 * 86_400_000;

/// Dates farther from 1970 than this, 73 million years, are not computed with; so a sum or a
/// difference of two fits into 64 bits.
pub(super) const MS_MAX: u64 = 1 << 61;

/// The local time of a zone at an instant.
pub(super) struct Local {
    /// The instant, in milliseconds since 1970.
    pub(super) ms: i64,
    /// Seconds that local time is ahead of UTC.
    pub(super) offset: i64,
    /// Milliseconds from 1970, 0:00 to the local time.
    pub(super) shown_ms: i64,
    /// The local time as date and time; outside the years -9999 to 9999, where the library's
    /// calendar ends, that of a year with the same calendar. So only [`Local::year`] has the year.
    pub(super) civil: DateTime,
    cycles: i64,
}

impl Local {
    /// The year, given that of [`Local::civil`], which may be that of its week.
    pub(super) fn year(&self, civil: i16) -> i64 {
        i64::from(civil) + 400 * self.cycles
    }

    /// The local time that differs from [`Local::civil`] as `civil` does.
    pub(super) fn turned_to(&self, civil: DateTime) -> i64 {
        self.shown_ms + ms_of_civil(civil) - ms_of_civil(self.civil)
    }
}

/// The local time of a zone at an instant.
pub(super) fn local(args: &Args<'_, '_>, ms: i64, zone: &Zone) -> Result<Local> {
    if ms.unsigned_abs() > MS_MAX {
        return Err(out_of_range(args));
    }
    let offset = match zone {
        Zone::Fixed(seconds) => *seconds,
        Zone::Named(zone) => {
            // The library's instants end a little before its calendar.
            let known = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
            let nearest = Timestamp::from_millisecond(ms.clamp(*known.start(), *known.end()));
            zone.to_offset(nearest.unwrap_or_default()).seconds().into()
        }
    };
    let shown_ms = ms + offset * 1000;
    let (civil, cycles) = on_calendar(shown_ms);
    Ok(Local { ms, offset, shown_ms, civil, cycles })
}

/// Date and time, and the number of 400-year periods to add.
fn on_calendar(shown_ms: i64) -> (DateTime, i64) {
    match civil_of_ms(shown_ms) {
        Some(civil) => (civil, 0),
        None => {
            let civil = civil_of_ms(shown_ms.rem_euclid(CYCLE_MS));
            (civil.unwrap_or_default(), shown_ms.div_euclid(CYCLE_MS))
        }
    }
}

/// The instant of a local time, given as the milliseconds from 1970, 0:00. A skipped local time is
/// as late as if it had not been skipped; of two instants the first is returned.
pub(super) fn instant(shown_ms: i64, zone: &Zone) -> i64 {
    let zone = match zone {
        Zone::Fixed(seconds) => return shown_ms.saturating_sub(seconds * 1000),
        Zone::Named(zone) => zone,
    };
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

/// The error for a date outside the calendar.
pub(super) fn out_of_range(args: &Args<'_, '_>) -> crate::error::Error {
    args.error("has or gives a date outside the years -9999 to 9999")
}
