//! A time of day, and its text: the calendar of those crates that have no clock.

use std::fmt;

/// A time of day: milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub u64);

/// The months as the Common Log Format has them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The days of a week as HTTP has them, from 1970-01-01 on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl TimeOfDay {
    /// As RFC 3339 has it: `2026-11-21T09:08:07.006Z`.
    pub fn rfc3339(self) -> String {
        let mut text = String::with_capacity(24);
        // A string takes whatever is written to it.
        let _ = self.write_rfc3339_seconds(&mut text);
        let _ = fmt::Write::write_fmt(&mut text, format_args!(".{:03}Z", self.0 % 1000));
        text
    }

    /// Writes it as RFC 3339 has it, down to the second and without the zone: `2026-11-21T09:08:07`.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write_rfc3339_seconds(self, to: &mut impl fmt::Write) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = self.parts();
        write!(to, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// Writes it as the Common Log Format has it: `21/Nov/2026:09:08:07 +0000`.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write_common_log(self, to: &mut impl fmt::Write) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = self.parts();
        let month = MONTHS[(month - 1) as usize];
        write!(to, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }

    /// Writes it as HTTP has it (RFC 9110 §5.6.7): `Sat, 21 Nov 2026 09:08:07 GMT`.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write_http(self, to: &mut impl fmt::Write) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = self.parts();
        let month = MONTHS[(month - 1) as usize];
        let weekday = WEEKDAYS[(self.0 / 86_400_000 % 7) as usize];
        write!(to, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// Year, month, day; hour, minute, second.
    fn parts(self) -> ((u64, u64, u64), (u64, u64, u64)) {
        let seconds = self.0 / 1000;
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        (civil(days), (second / 3600, second / 60 % 60, second % 60))
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// The year is taken to begin in March, so that the leap day is its last; then the months' lengths
/// (31, 30, 31, 30, 31, twice and a half) follow from one linear formula. 719,468 is the day count
/// of 1970-01-01 from 0000-03-01; 146,097 days are 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_252_087_006, "2026-11-21T09:08:07.006Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(TimeOfDay(millis).rfc3339(), text);
        }
    }

    #[test]
    fn known_times_are_written_as_the_common_log_format_has_them() {
        let cases = [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400_000, "29/Feb/2000:00:00:00 +0000"),
            (1_795_252_087_006, "21/Nov/2026:09:08:07 +0000"),
            (4_102_444_799_999, "31/Dec/2099:23:59:59 +0000"),
        ];
        for (millis, expected) in cases {
            let mut text = String::new();
            TimeOfDay(millis).write_common_log(&mut text).expect("a string takes it");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn known_times_are_written_as_http_has_them() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_252_087_006, "Sat, 21 Nov 2026 09:08:07 GMT"),
        ];
        for (millis, expected) in cases {
            let mut text = String::new();
            TimeOfDay(millis).write_http(&mut text).expect("a string takes it");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: u64, month: u64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..160_000 {
            assert_eq!(civil(days), (year, month, day));
            day += 1;
            if day > length(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
