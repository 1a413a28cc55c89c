//! Dates as text and on the calendar. The library's instants end a day before its calendar does, at
//! 9999-12-30T22:00Z, so a date is a civil time in UTC here.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Last millisecond of the year 9999; a later date is written as a number.
const ISO_DATE_MAX: i64 = 253_402_300_799_999;

/// Date and time of a number of milliseconds since 1970; `None` outside the years -9999 to 9999.
pub fn civil_of_ms(ms: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_millis(ms)).ok()
}

/// Milliseconds from 1970 to a date and time.
pub fn ms_of_civil(civil: DateTime) -> i64 {
    // All years of the calendar are 2^50 milliseconds.
    i64::try_from(civil.duration_since(EPOCH).as_millis()).unwrap_or_default()
}

/// Date and time of an ISO 8601 text, midnight if it has no time, and its offset from UTC.
pub fn parse_iso(text: &str) -> Option<(DateTime, Option<Offset>)> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.time().unwrap_or_else(Time::midnight);
    Some((pieces.date().to_datetime(time), pieces.to_numeric_offset()))
}

/// Milliseconds since 1970 of an ISO 8601 text; without an offset the time is in UTC.
pub fn parse_date(text: &str) -> Option<i64> {
    let (civil, offset) = parse_iso(text)?;
    Some(ms_of_civil(civil) - offset.map_or(0, offset_ms))
}

/// Characters allowed around and between the parts of a date.
const BLANK: [char; 6] = ['\0', '\t', '\n', '\r', ' ', '\u{a0}'];
/// Longest text that is parsed as a date, in bytes.
const TEXT_MAX: usize = 100;

/// Date and time of a text in one of the usual notations, and the offset in milliseconds if it has
/// one: ISO 8601, also with blanks between its parts (`2018-03-20 11:00:06 +0500`), and dates with
/// the name of the month (`July 4, 2018`, `Wed, 31 Jan 1996 12:05:28 +0330`).
pub fn parse_text(text: &str) -> Option<(DateTime, Option<i64>)> {
    let text = text.trim_matches(BLANK);
    if text.len() > TEXT_MAX {
        return None;
    }
    let parts: Vec<&str> = text.split(BLANK).filter(|part| !part.is_empty()).collect();
    let (iso, zone) = match parts.as_slice() {
        [date] => ((*date).to_owned(), None),
        [date, time] if time.contains(':') && !is_zone(time) => (format!("{date}T{time}"), None),
        [date, zone] => ((*date).to_owned(), Some(*zone)),
        [date, time, zone] => (format!("{date}T{time}"), Some(*zone)),
        _ => return parse_words(text),
    };
    // The library wants six digits in a year before Christ, and accepts names of zones in brackets.
    let iso = match iso.strip_prefix('-') {
        Some(rest) if rest.find('-') == Some(4) => format!("-00{rest}"),
        _ => iso,
    };
    match parse_iso(&iso).filter(|_| !iso.contains('[')) {
        Some((civil, None)) => match zone {
            Some(zone) => Some((civil, Some(parse_zone(zone)?))),
            None => Some((civil, None)),
        },
        Some((civil, Some(offset))) if zone.is_none() => Some((civil, Some(offset_ms(offset)))),
        _ => parse_words(text),
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A date with the name of its month; the day, the year, the time and the offset may be in any
/// order.
fn parse_words(text: &str) -> Option<(DateTime, Option<i64>)> {
    let (mut month, mut day, mut year) = (None, None, None);
    let (mut time, mut offset) = (None, None);
    let separators = |next: char| next == ',' || BLANK.contains(&next);
    for part in text.split(separators).filter(|part| !part.is_empty()) {
        let word = part.trim_end_matches('.').to_ascii_lowercase();
        let named = |names: &[&str]| {
            names
                .iter()
                .position(|name| *name == word || word.len() == 3 && name.starts_with(&word))
        };
        let digits = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end));
        let digits = digits.unwrap_or(&word);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let again = if let Some(index) = named(&MONTHS) {
            month.replace(index + 1).is_some()
        } else if named(&WEEKDAYS).is_some() {
            false
        } else if is_zone(part) {
            offset.replace(parse_zone(part)?).is_some()
        } else if part.contains(':') {
            time.replace(part.parse::<Time>().ok()?).is_some()
        } else if is_number && digits.len() <= 2 {
            day.replace(digits.parse::<i8>().ok()?).is_some()
        } else if is_number && word.len() == 4 {
            year.replace(word.parse::<i16>().ok()?).is_some()
        } else {
            return None;
        };
        if again {
            return None;
        }
    }
    let month = i8::try_from(month?).ok()?;
    let date = Date::new(year?, month, day?).ok()?;
    Some((date.to_datetime(time.unwrap_or_else(Time::midnight)), offset))
}

fn is_zone(text: &str) -> bool {
    text.starts_with(['+', '-']) || ["Z", "UTC", "GMT"].iter().any(|z| z.eq_ignore_ascii_case(text))
}

fn parse_zone(text: &str) -> Option<i64> {
    let is_offset = text.starts_with(['+', '-']);
    if is_offset { parse_offset(text).map(|s| s * 1000) } else { is_zone(text).then_some(0) }
}

/// Seconds of an offset from UTC written as `+hh`, `+hhmm` or `+hh:mm`, to 99:99.
pub fn parse_offset(text: &str) -> Option<i64> {
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
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok() };
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
}

/// Milliseconds that an offset is ahead of UTC.
pub fn offset_ms(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

/// An ISO 8601 text of a date between 1970 and 9999.
pub fn iso_date(ms: i64) -> Option<String> {
    let civil = civil_of_ms(ms).filter(|_| (0..=ISO_DATE_MAX).contains(&ms))?;
    Some(if ms % 1000 == 0 { format!("{civil}Z") } else { format!("{civil:.3}Z") })
}
