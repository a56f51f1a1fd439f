//! How long a connect to this backend, or its answer, is waited for before another backend is
//! tried beside it.
//!
//! Rules of this file
//! 1. What is learned is a high quantile (about the 93rd percentile) of the times that connects
//!    took which came about. Connects that never come about teach nothing here: they are evidence.
//! 2. "Late" is [`TIMES`] that quantile, never less than [`FLOOR`], and [`START`] before anything
//!    was seen.
//! 3. One connect moves it by a factor of two at most, so that a single lost SYN (1 s) doesn't
//!    spoil the next hundred.
//!
//! A quantile is tracked without keeping samples: each one above raises it by a step, each one
//! below lowers it by a smaller one, and it comes to rest where the steps cancel out. While little
//! has been seen it sinks by halves: four connects bring it from 50 ms to the floor.
//!
//! Answers are learned in the same way, with times of their own: [`RESPONSE_START`] and
//! [`RESPONSE_FLOOR`].
//!
//! Of checks only this is told: whether they are quick, which is nearly always a third of [`QUICK`].
//!
//! Not here: `timeouts.connect` and `timeouts.response`, the hard ends, which the caller applies
//! too.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Late before anything was learned. Above any round trip within a continent, and about what a
/// person doesn't notice.
pub const START: Duration = Duration::from_millis(50);

/// Never late before. A local network answers in well under a millisecond; a busy machine's
/// scheduler can take this long to tell.
pub const FLOOR: Duration = Duration::from_millis(3);

/// Late is this many times what a connect seldom exceeds.
pub const TIMES: u32 = 3;

/// An answer is late before anything was learned. A second try for a request costs more than one
/// for a connect, so it waits longer; it is what a person begins to notice.
pub const RESPONSE_START: Duration = Duration::from_millis(200);

/// An answer is never late before. A busy machine's scheduler, or a garbage collector, can hold up
/// any answer for tens of milliseconds, and no person notices.
pub const RESPONSE_FLOOR: Duration = Duration::from_millis(50);

/// A quick check is late after this time. Three of them in a row are twice what a garbage
/// collector takes.
pub const QUICK: Duration = Duration::from_millis(200);

/// So many checks have to have passed before they are quick.
const CHECKS_KNOWN: u32 = 3;

/// Until so many are known, they have to have been [`LUCK`] times quicker. Three quick ones in a
/// row may be luck: a page that takes anything up to 400 ms would be taken for quick at some time,
/// and misjudged three times in a row then, on one backend in 19. So on none of 20,000.
const CHECKS_SETTLED: u32 = 16;
const LUCK: u32 = 8;

/// So many connects are learned from in big steps.
const YOUNG: u32 = 8;

/// A learned time of one backend, written by all workers without order: a lost update is a lost
/// sample.
#[derive(Debug)]
pub struct LearnedTime {
    floor: Duration,
    start: Duration,
    quantile: AtomicU64,
    seen: AtomicU32,
}

/// No connect takes longer; keeps the steps within 64 bits.
const LONGEST: Duration = Duration::from_secs(3_600);

impl LearnedTime {
    /// For connects.
    pub fn of_connects() -> LearnedTime {
        LearnedTime::new(START, FLOOR)
    }

    /// For answers, from the request's last byte to the head.
    pub fn of_responses() -> LearnedTime {
        LearnedTime::new(RESPONSE_START, RESPONSE_FLOOR)
    }

    /// For checks, from their connect to their verdict.
    pub fn of_checks() -> LearnedTime {
        LearnedTime::new(QUICK, QUICK)
    }

    fn new(start: Duration, floor: Duration) -> LearnedTime {
        let quantile = AtomicU64::new(nanos(start / TIMES));
        LearnedTime { floor, start, quantile, seen: AtomicU32::new(0) }
    }

    /// Learns from one that came about.
    pub fn record(&self, took: Duration) {
        let (known, took) = (self.quantile.load(Relaxed), nanos(took.min(LONGEST)));
        let seen = self.seen.load(Relaxed);
        self.seen.store(seen.saturating_add(1), Relaxed);
        let learned = if took > known * 2 {
            known * 2
        } else if took > known {
            known + known / 4
        } else if took > known / 2 {
            known - known / 64
        } else if seen < YOUNG {
            known / 2
        } else {
            known - known / 8
        };
        // Below 16 ns the steps would vanish in rounding.
        self.quantile.store(learned.max(16), Relaxed);
    }

    /// Whether enough was seen for others to be measured by it.
    pub fn is_settled(&self) -> bool {
        self.seen.load(Relaxed) >= YOUNG
    }

    /// When an attempt is late, counted from its start.
    #[inline]
    pub fn late_after(&self) -> Duration {
        self.learned().unwrap_or(self.start)
    }

    /// The same; `None` while nothing has been learned.
    #[inline]
    pub fn learned(&self) -> Option<Duration> {
        if self.seen.load(Relaxed) == 0 {
            return None;
        }
        let quantile = Duration::from_nanos(self.quantile.load(Relaxed));
        Some((quantile * TIMES).max(self.floor))
    }

    /// Whether they are known and were quick, and not by luck; of checks.
    pub fn are_quick(&self) -> bool {
        let late = Duration::from_nanos(self.quantile.load(Relaxed)) * TIMES;
        let seen = self.seen.load(Relaxed);
        seen >= CHECKS_SETTLED && late <= QUICK || seen >= CHECKS_KNOWN && late <= QUICK / LUCK
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn learned(times: impl IntoIterator<Item = Duration>) -> Duration {
        let connects = LearnedTime::of_connects();
        times.into_iter().for_each(|took| connects.record(took));
        connects.late_after()
    }

    #[test]
    fn starts_at_fifty_milliseconds() {
        assert_eq!(learned([]), START);
    }

    #[test]
    fn a_local_backend_is_at_the_floor_after_five_connects() {
        assert_eq!(learned([Duration::from_micros(80); 5]), FLOOR);
    }

    #[test]
    fn a_distant_backend_is_given_three_times_its_round_trip() {
        let late = learned([Duration::from_millis(90); 40]);
        assert!(
            late >= Duration::from_millis(270) && late <= Duration::from_millis(400),
            "{late:?}"
        );
    }

    #[test]
    fn a_single_lost_packet_does_not_spoil_what_was_learned() {
        let usual = [Duration::from_millis(10); 100];
        let late = learned(usual.into_iter().chain([Duration::from_secs(1)]));
        assert!(late < Duration::from_millis(80), "{late:?}");
    }

    #[test]
    fn a_backend_that_moved_away_is_followed_within_ten_connects() {
        let near = [Duration::from_millis(1); 100];
        let late = learned(near.into_iter().chain([Duration::from_millis(200); 10]));
        assert!(late > Duration::from_millis(200), "{late:?}");
    }

    #[test]
    fn one_connect_in_twenty_may_be_slower_than_the_quantile() {
        let mut random = Random::new(3);
        let connects = LearnedTime::of_connects();
        let mut above = 0;
        for turn in 0..20_000 {
            let took = random.spread(Duration::from_millis(20), 0.5);
            connects.record(took);
            if turn >= 1_000 && took * TIMES > connects.late_after() {
                above += 1;
            }
        }
        assert!((400..2_500).contains(&above), "{above}");
    }

    #[test]
    fn checks_are_quick_once_some_are_known_and_took_little() {
        let checks = LearnedTime::of_checks();
        for _ in 0..CHECKS_KNOWN {
            assert!(!checks.are_quick());
            checks.record(Duration::from_millis(1));
        }
        assert!(checks.are_quick());
        (0..8).for_each(|_| checks.record(Duration::from_millis(100)));
        assert!(!checks.are_quick());
    }

    #[test]
    fn a_page_that_was_quick_by_chance_is_hardly_ever_taken_for_quick() {
        // Of backends whose page takes anything up to `most`: how many are down some time within
        // their first hundred checks because three hurried ones were late, were they always
        // suspected.
        let mut random = Random::new(11);
        for most in [250, 400, 800] {
            let mut misjudged = 0;
            for _ in 0..20_000 {
                let checks = LearnedTime::of_checks();
                let mut late = 0;
                for _ in 0..100 {
                    let took = Duration::from_micros(random.next() % (most * 1_000));
                    late = if checks.are_quick() && took > QUICK { late + 1 } else { 0 };
                    if late == 3 {
                        misjudged += 1;
                        break;
                    }
                    // What is given up teaches nothing.
                    if late == 0 {
                        checks.record(took);
                    }
                }
            }
            assert!(misjudged <= 2, "{misjudged} of 20,000 at {most} ms");
        }
    }

    #[test]
    fn extreme_times_do_no_harm() {
        assert!(learned([Duration::MAX; 200]) > START);
        assert_eq!(learned([Duration::ZERO; 200]), FLOOR);
    }
}
