//! Times for people.

use jiff::Timestamp;

/// A moment in UTC, to the second: `2026-03-01 12:00:00Z`; the number itself where no calendar
/// has such a day.
pub(crate) fn time(since_1970_ms: u64) -> String {
    let ms = i64::try_from(since_1970_ms).ok();
    match ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        None => format!("{since_1970_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        let table = [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400_999, "2000-02-29 00:00:00Z"),
            (1_772_366_400_000, "2026-03-01 12:00:00Z"),
            (u64::MAX, "18446744073709551615 ms"),
        ];
        for (ms, expected) in table {
            assert_eq!(time(ms), expected, "{ms}");
        }
    }
}
