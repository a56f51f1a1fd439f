//! How long a backend takes to answer, as far as that tells it from another one.
//!
//! Rules of this file
//! 1. What is known of a backend are its last [`KEPT`] answers, and of these two numbers: the
//!    third quickest (`low`) and the third slowest (`high`).
//! 2. It is worse than another one only if its `low` is above the other's `high`, by a quarter
//!    and by a millisecond. Anything less is noise, and then the two are equal. So a hiccup, or
//!    two in a row, moves nothing, however long it was; six slow answers of eight do.
//! 3. An answer that was waited for already when the last one was noted, less than [`EVERY`] ago,
//!    tells nothing new: a pause of a backend ends for all that wait at once, and was still one
//!    pause. After a silence, in which nothing was asked, an answer
//!    counts for several, up to half of all: so a good one after a silence ends a bad name, and a
//!    bad one alone doesn't make it.
//! 4. Being worse fades while nothing is heard. It loses half its weight in half the time that it
//!    had been seen for, from [`FADES_FIRST`] to [`FADES_AT_MOST`]: what lasted for a moment is
//!    held against a backend for a moment. An old number may stop being a deterrent, it never
//!    becomes an attraction.
//! 5. Of whom fewer than six answers are known, nothing is known: it is equal to everybody.
//!
//! The peak EWMA of Finagle, where the policy's name comes from, believes a single late answer at
//! once and forgets it with 10 s. On real machines every backend has one now and then: of five
//! equal ones, asked by one client in turn, whichever had it last went without work for seconds.
//! What a peak is good for, to step back before the next hundred requests are stuck, the count
//! in flight does already: it rises with the first answer that doesn't come.
//!
//! Rule 4 is what Traefik's issue 12306 is about: a backend that was slow for a while and is
//! not asked any more can't show that it is well again. One that takes
//! a second where others take 10 ms is asked again after 4 s at the latest.
//!
//! Not here: who is picked (`policies/peak_ewma.rs`).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fairlead_model::moment::Moment;

/// In what silence being worse loses half its weight, if it has just begun. A busy machine gives
/// its processor to others for some tens of milliseconds; that should cost no more than that.
pub const FADES_FIRST: Duration = Duration::from_millis(32);

/// In what silence it does so however long it has lasted.
pub const FADES_AT_MOST: Duration = Duration::from_millis(500);

/// So many answers are kept: one byte each, in one word.
const KEPT: u32 = 8;

/// So many of them may be out of the ordinary on either side.
const ODD: usize = 2;

/// Answers that were waited for together, and came within such a time, are one. Above the time
/// slice of a scheduler (3 to 4 ms).
const EVERY: Duration = Duration::from_millis(4);

/// Each such silence makes the next answer count for one more.
const SILENCE: Duration = Duration::from_millis(32);

/// A difference that is none, in nanoseconds. Nobody's client can tell.
const NOISE: u64 = 1_000_000;

/// What all workers learn of one backend's answers. Its words may belong to two different answers
/// for an instant; each is then still true.
#[derive(Debug, Default)]
pub struct Latency {
    /// A byte for each answer, the latest lowest; 0 where there was none yet.
    answers: AtomicU64,
    /// Third quickest and third slowest.
    bounds: AtomicU64,
    /// When the last one was noted.
    at: AtomicU64,
    /// When the third quickest was first what it is now, give or take a factor of two.
    since: AtomicU64,
}

/// What a [`Latency`] said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Nanoseconds; 0 if nothing is known.
    low: u64,
    /// Nanoseconds; `u64::MAX` if nothing is known.
    high: u64,
    /// When the last answer was noted.
    at: Moment,
    /// Since when it has been like that.
    since: Moment,
}

impl Latency {
    /// Takes note of one answer.
    #[inline]
    pub fn record(&self, took: Duration, now: Moment) {
        let known = self.answers.load(Relaxed);
        let last = now.since(Moment(self.at.load(Relaxed)));
        if known == 0 || last >= EVERY || last >= took {
            // While this answer was waited for, something was asked: that was no silence.
            self.note(known, coded(took), last.saturating_sub(took), now);
        }
    }

    /// What is known now.
    #[inline]
    pub fn read(&self) -> Estimate {
        let bounds = self.bounds.load(Relaxed);
        let high = nanos((bounds >> 8) as u8);
        Estimate {
            low: nanos(bounds as u8),
            high: if high == 0 { u64::MAX } else { high },
            at: Moment(self.at.load(Relaxed)),
            since: Moment(self.since.load(Relaxed)),
        }
    }

    fn note(&self, known: u64, code: u8, silence: Duration, now: Moment) {
        let silences = (silence.as_nanos() / SILENCE.as_nanos()).min(u128::from(KEPT)) as u32;
        // The first of all is no return from a silence.
        let counts = if known == 0 { 1 } else { (1 + silences).min(KEPT / 2) };
        let answers = (0..counts).fold(known, |answers, _| (answers << 8) | u64::from(code));
        let (before, after) = (self.bounds.load(Relaxed) as u8, bounds(answers));
        if before.abs_diff(after as u8) >= OCTAVE {
            self.since.store(now.0, Relaxed);
        }
        self.answers.store(answers, Relaxed);
        self.bounds.store(after, Relaxed);
        self.at.store(now.0, Relaxed);
    }
}

/// The third quickest in the lowest byte, the third slowest in the next; 0 for either if fewer
/// than six are known.
fn bounds(answers: u64) -> u64 {
    let mut codes = answers.to_le_bytes();
    codes.sort_unstable();
    // Unknown ones are the lowest: as long as one of them is the third quickest, fewer than six
    // are known.
    match codes[ODD] {
        0 => 0,
        low => (u64::from(codes[codes.len() - 1 - ODD]) << 8) | u64::from(low),
    }
}

/// How much larger the code of twice the time is.
const OCTAVE: u8 = 8;

/// A time in one byte, never 0: its octave, and an eighth of that, in units of 1,024 ns. At most
/// 12 % below the truth, and a half hour at most.
fn coded(took: Duration) -> u8 {
    let units = (took.as_nanos() >> 10).clamp(1, (1 << 31) - 1) as u64;
    let octave = units.ilog2();
    (octave as u8) * 8 + (((units << 3) >> octave) & 7) as u8 + 1
}

/// The nanoseconds of a code; 0 for 0.
#[inline]
fn nanos(code: u8) -> u64 {
    let Some(code) = code.checked_sub(1) else { return 0 };
    ((u64::from(8 + code % 8) << (code / 8)) << 10) >> 3
}

/// What two backends cost per piece of work, as they may be compared at `now`: see the rules at
/// the top. 1 and 1 if nothing tells them apart.
#[inline]
pub fn compared(one: Estimate, other: Estimate, now: Moment) -> (u64, u64) {
    if one.low > other.high {
        (other.high + excess(one, other.high, now), other.high)
    } else if other.low > one.high {
        (one.high, one.high + excess(other, one.high, now))
    } else {
        (1, 1)
    }
}

/// What is left at `now` of being `worse` than `best`.
#[inline]
fn excess(worse: Estimate, best: u64, now: Moment) -> u64 {
    let half_life = (worse.at.since(worse.since) / 2).clamp(FADES_FIRST, FADES_AT_MOST);
    let left = halved(worse.low - best, now.since(worse.at), half_life);
    if left < (best / 4).max(NOISE) {
        0
    } else {
        left
    }
}

/// `value` after `time`: halved for each half-life, on a straight line between two of them (at
/// most 6 % off the curve, and the same on every machine).
#[inline]
fn halved(value: u64, time: Duration, half_life: Duration) -> u64 {
    let life = half_life.as_nanos() as u64;
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (whole, rest) = (nanos / life, nanos % life);
    if whole >= 64 {
        return 0;
    }
    let part = rest * 1_024 / life;
    let value = u128::from(value >> whole) * u128::from(2_048 - part) / 2_048;
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// What is known after answers that took so many milliseconds, one every 10 ms.
    fn after(answers: &[u64]) -> Estimate {
        let latency = Latency::default();
        for (turn, took) in answers.iter().enumerate() {
            latency.record(millis(*took), at(10 * turn as u64));
        }
        latency.read()
    }

    /// Whether one that answered like this is worse than one that always took a millisecond.
    fn is_worse(answers: &[u64]) -> bool {
        let known = after(answers);
        let (mine, theirs) = compared(known, after(&[1; 8]), known.at);
        mine > theirs
    }

    #[test]
    fn six_slow_answers_of_eight_make_a_slow_one_and_two_do_not() {
        assert!(is_worse(&[1, 1, 1, 1, 1, 1, 1, 1, 10, 10, 10, 10, 10, 10]));
        assert!(is_worse(&[10, 10, 1, 10, 10, 10, 1, 10]));
        assert!(!is_worse(&[1, 1, 1, 1, 1, 1, 900, 900]));
        assert!(!is_worse(&[10, 10, 10, 10, 10, 1, 1, 1]), "three good ones end it");
    }

    #[test]
    fn of_five_answers_nothing_is_known() {
        assert!(!is_worse(&[10; 5]));
        assert!(is_worse(&[10; 6]));
        assert_eq!(compared(after(&[10; 6]), after(&[1; 5]), at(50)), (1, 1));
        assert_eq!(compared(after(&[]), after(&[]), at(50)), (1, 1));
    }

    #[test]
    fn one_pause_that_many_waited_for_is_one_answer() {
        let latency = Latency::default();
        (0..8).for_each(|turn| latency.record(millis(1), at(10 * turn)));
        (0..100).for_each(|_| latency.record(millis(50), at(120)));
        assert_eq!(latency.read().low, after(&[1; 8]).low);
    }

    #[test]
    fn a_long_answer_is_no_silence() {
        // One in three takes 60 ms, which is nearly all of the time.
        let latency = Latency::default();
        let mut now = at(0);
        for _ in 0..100 {
            for _ in 0..2 {
                now = now + millis(5);
                latency.record(millis(1), now);
            }
            now = now + millis(60);
            latency.record(millis(60), now);
            assert!(latency.read().low <= after(&[1; 8]).low);
        }
    }

    #[test]
    fn quick_answers_in_sequence_all_count() {
        // One stall of the machine after the other, and four quick answers between two of them.
        let latency = Latency::default();
        let mut now = at(0);
        for turn in 0..500 {
            let took = Duration::from_micros(if turn % 5 == 0 { 8_000 } else { 50 });
            now = now + took;
            latency.record(took, now);
        }
        assert!(latency.read().high < 1_000_000, "{:?}", latency.read());
    }

    #[test]
    fn after_a_silence_one_good_answer_ends_a_bad_name_and_one_bad_one_does_not_make_it() {
        let (slow, fast) = (Latency::default(), Latency::default());
        for turn in 0..8 {
            slow.record(millis(100), at(10 * turn));
            fast.record(millis(1), at(10 * turn));
        }
        slow.record(millis(1), at(3_000));
        fast.record(millis(100), at(3_000));
        assert_eq!(compared(slow.read(), fast.read(), at(3_000)), (1, 1));
        slow.record(millis(100), at(6_000));
        fast.record(millis(1), at(6_000));
        assert_eq!(compared(slow.read(), fast.read(), at(6_000)), (1, 1));
        slow.record(millis(100), at(9_000));
        let (mine, theirs) = compared(slow.read(), after(&[1; 8]), at(9_000));
        assert!(mine > 50 * theirs, "two in a row do: {mine} {theirs}");
    }

    #[test]
    fn being_worse_fades_with_silence_and_never_turns_round() {
        let (slow, fast) = (after(&[100; 80]), after(&[1; 8]));
        let (then, best) = compared(slow, fast, slow.at);
        assert!(then > 80 * best);
        let half_life = slow.at.since(slow.since) / 2;
        let (later, _) = compared(slow, fast, slow.at + half_life);
        assert!(later > 40 * best && later < 60 * best, "{later} {best}");
        for wait in [5_000, 600_000] {
            let (mine, theirs) = compared(slow, fast, slow.at + millis(wait));
            assert_eq!(mine, theirs);
        }
    }

    #[test]
    fn less_than_a_millisecond_or_a_quarter_is_no_difference() {
        let steady = |micros: u64| {
            let latency = Latency::default();
            (0..8).for_each(|turn| latency.record(Duration::from_micros(micros), at(10 * turn)));
            latency.read()
        };
        let equal = |one, other| {
            let (mine, theirs) = compared(steady(one), steady(other), at(70));
            mine == theirs
        };
        assert!(equal(100, 1_000) && equal(1_000, 100));
        assert!(equal(20_000, 23_000) && equal(23_000, 20_000));
        assert!(!equal(100, 1_500) && !equal(20_000, 30_000));
    }

    #[test]
    fn it_is_held_against_a_backend_for_as_long_as_it_was_seen_and_a_few_seconds_at_most() {
        let forgotten = |answers: usize| {
            let (slow, fast) = (after(&vec![100; answers]), after(&[1; 8]));
            let worse = |wait: &u64| {
                let (mine, theirs) = compared(slow, fast, slow.at + millis(*wait));
                mine > theirs
            };
            (0..10_000).find(|wait| !worse(wait)).expect("it fades")
        };
        assert!(forgotten(6) < 250, "{}", forgotten(6));
        assert!((500..1_500).contains(&forgotten(36)), "{}", forgotten(36));
        assert!((2_500..4_000).contains(&forgotten(600)), "{}", forgotten(600));
    }

    #[test]
    fn how_long_it_has_been_seen_begins_anew_where_it_doubles() {
        let grown = after(&[[2; 100], [20; 100]].concat());
        assert_eq!(grown.since, at(1_050), "the sixth slow one");
        let wavering = after(&[[20; 100], [30; 100]].concat());
        assert_eq!(wavering.since, at(50));
    }

    #[test]
    fn halves_once_per_half_life() {
        let life = FADES_FIRST;
        assert_eq!(halved(1_000, Duration::ZERO, life), 1_000);
        assert_eq!(halved(1_000, life, life), 500);
        assert_eq!(halved(1_000, life / 2, life), 750);
        assert_eq!(halved(1_000, life * 3, life), 125);
        assert_eq!(halved(u64::MAX, Duration::MAX, life), 0);
    }

    proptest! {
        #[test]
        fn a_byte_holds_a_time_within_an_eighth(nanoseconds in 8_192_u64..1_000_000_000_000) {
            let back = nanos(coded(Duration::from_nanos(nanoseconds)));
            prop_assert!(back <= nanoseconds && back >= nanoseconds - nanoseconds / 8 - 1_024);
        }

        #[test]
        fn longer_is_never_less(one in any::<u64>(), other in any::<u64>()) {
            let (one, other) = (one.min(other), one.max(other));
            let code = |nanoseconds| coded(Duration::from_nanos(nanoseconds));
            prop_assert!(code(one) <= code(other));
            prop_assert!(nanos(code(one)) <= nanos(code(other)));
            prop_assert!(code(one) > 0);
        }

        #[test]
        fn of_two_one_is_worse_at_most(
            one in proptest::collection::vec(0_u64..50, 0..12),
            other in proptest::collection::vec(0_u64..50, 0..12),
            later in 0_u64..10_000,
        ) {
            let (one, other, now) = (after(&one), after(&other), at(later));
            let (mine, theirs) = compared(one, other, now);
            prop_assert_eq!(compared(other, one, now), (theirs, mine));
            prop_assert!(mine > 0 && theirs > 0);
        }
    }
}
