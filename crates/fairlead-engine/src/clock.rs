//! What time it is: a monotonic clock for the machines, the time of day for people.
//!
//! Moments count from the engine's start and never jump; only when one is shown to people is it
//! turned into a time of day, by its distance from now.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fairlead_model::moment::Moment;

/// The monotonic clock of one engine. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock { start: Instant::now() }
    }

    #[inline]
    pub(crate) fn now(self) -> Moment {
        Moment::ZERO + self.start.elapsed()
    }

    /// `moment` as a time of day.
    pub(crate) fn time_of_day(self, moment: Moment) -> Timestamp {
        let ago = self.now().since(moment);
        Timestamp::of(SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH))
    }
}

/// A time of day: milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    pub(crate) fn now() -> Self {
        Timestamp::of(SystemTime::now())
    }

    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(since.as_millis() as u64)
    }

    /// As RFC 3339 has it: `2026-11-21T09:08:07.006Z`.
    pub(crate) fn rfc3339(self) -> String {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
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
            assert_eq!(Timestamp(millis).rfc3339(), text);
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

    #[test]
    fn moments_are_as_long_ago_as_they_are() {
        let clock = Clock::new();
        let then = clock.time_of_day(Moment::ZERO);
        assert!(Timestamp::now().0.abs_diff(then.0) < 1000);
    }
}
