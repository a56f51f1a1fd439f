//! The time of day as `Date` has it, for answers of our own and for those of backends that don't
//! say when they were made (RFC 9110 §6.6.1).
//!
//! The text is made once a second. Whoever drives the flow says what time it is; until then nobody
//! knows, and nothing is said.

use fairlead_model::moment::Moment;
use fairlead_model::time_of_day::TimeOfDay;

/// The date of one worker's answers.
#[derive(Debug, Default)]
pub(crate) struct Date {
    /// Nanoseconds since 1970 at [`Moment::ZERO`]; 0 if nobody has said.
    zero: u64,
    /// From when to when `text` is right, in nanoseconds since 1970.
    from: u64,
    until: u64,
    text: String,
}

impl Date {
    /// Says what the time of day is at [`Moment::ZERO`], in nanoseconds since 1970.
    pub(crate) fn set(&mut self, nanos_at_zero: u64) {
        self.zero = nanos_at_zero;
    }

    /// Makes [`Self::text`] that of this moment.
    #[inline]
    pub(crate) fn turn_to(&mut self, now: Moment) {
        let nanos = self.zero.saturating_add(now.0);
        if self.zero != 0 && !(self.from..self.until).contains(&nanos) {
            self.write(nanos);
        }
    }

    /// The text of the moment that it was turned to last; empty if nobody knows the time.
    #[inline]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    #[cold]
    fn write(&mut self, nanos: u64) {
        const SECOND: u64 = 1_000_000_000;
        self.from = nanos - nanos % SECOND;
        self.until = self.from + SECOND;
        self.text.clear();
        // A string takes whatever is written to it.
        let _ = TimeOfDay(nanos / 1_000_000).write_http(&mut self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_the_time_until_it_is_said() {
        let mut date = Date::default();
        date.turn_to(Moment(5));
        assert_eq!(date.text(), "");
        // 2026-11-21T09:08:07.006Z, less a second and a half.
        date.set(1_795_252_085_506_000_000);
        for (moment, second) in [(1_500_000_000, 7), (2_493_999_999, 7), (2_494_000_000, 8)] {
            date.turn_to(Moment(moment));
            assert_eq!(date.text(), format!("Sat, 21 Nov 2026 09:08:0{second} GMT"));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let mut date = Date::default();
        for (zero, text) in [(2_000_000_000, "02"), (1_000_000_000, "01"), (9_000_000_000, "09")] {
            date.set(zero);
            date.turn_to(Moment::ZERO);
            assert_eq!(date.text(), format!("Thu, 01 Jan 1970 00:00:{text} GMT"));
        }
    }
}
