//! Dates as texts and on the calendar. The library's instants end a day before its calendar does,
//! at 9999-12-30T22:00Z, so a date is a time in UTC here.

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Last millisecond of the year 9999; a later date is written as a number.
const ISO_DATE_MAX: i64 = 253_402_300_799_999;

/// Date and time of so many milliseconds after 1970; `None` outside the years -9999 to 9999.
pub fn civil_of_ms(ms: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_millis(ms)).ok()
}

/// Milliseconds from 1970 to a date and time.
pub fn ms_of_civil(civil: DateTime) -> i64 {
    // All years of the calendar are 2^50 milliseconds.
    i64::try_from(civil.duration_since(EPOCH).as_millis()).unwrap_or_default()
}

/// Date and time of an ISO 8601 text, midnight when it has no time, and its offset from UTC.
pub fn parse_iso(text: &str) -> Option<(DateTime, Option<Offset>)> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.time().unwrap_or_else(Time::midnight);
    Some((pieces.date().to_datetime(time), pieces.to_numeric_offset()))
}

/// Milliseconds since 1970 of an ISO 8601 text; without an offset it is a time in UTC.
pub fn parse_date(text: &str) -> Option<i64> {
    let (civil, offset) = parse_iso(text)?;
    Some(ms_of_civil(civil) - offset.map_or(0, offset_ms))
}

/// By how many milliseconds clocks are ahead of UTC.
pub fn offset_ms(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

/// An ISO 8601 text of a date between 1970 and 9999.
pub fn iso_date(ms: i64) -> Option<String> {
    let civil = civil_of_ms(ms).filter(|_| (0..=ISO_DATE_MAX).contains(&ms))?;
    Some(if ms % 1000 == 0 { format!("{civil}Z") } else { format!("{civil:.3}Z") })
}
