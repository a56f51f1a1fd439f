//! Chance, by number: the same seed gives the same numbers on every machine.
//!
//! Every worker owns one generator. A simulation that is given the same seeds makes the same
//! picks, which is why nothing in this crate asks the system for randomness.
//!
//! Not here: secrets. Whoever sees a few numbers can compute the rest.

use std::time::Duration;

/// A generator of numbers: `SplitMix64` [1], 8 bytes of state, about a nanosecond a number.
///
/// ```
/// # use fairlead_balance::Random;
/// let (mut one, mut same) = (Random::new(7), Random::new(7));
/// assert_eq!(one.next(), same.next());
/// assert!(one.below(3) < 3);
/// ```
///
/// # Source
///
/// [1] Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators. OOPSLA 2014, 453–472.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Makes a generator. Seeds that differ give streams that have nothing to do with each other.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Draws the next number; all 64 bits are equally good.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number from 0 to `n` − 1 (0 if `n` is 0), without division.
    ///
    /// Some numbers are likelier than others by n in 2⁶⁴, which no count will ever show.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Draws a duration that differs from `duration` by at most `share` of it, up or down.
    ///
    /// Probes that began together drift apart with it, instead of striking together for ever.
    pub fn spread(&mut self, duration: Duration, share: f64) -> Duration {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let factor = 1.0 + share.clamp(0.0, 1.0) * (2.0 * unit - 1.0);
        Duration::from_nanos((duration.as_nanos() as f64 * factor) as u64)
    }
}

/// Scrambles 64 bits so that each bit of the result depends on each bit of the number.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let drawn = [(); 5].map(|()| random.next());
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; 7];
        for _ in 0..7_000 {
            seen[random.below(7)] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn spread_keeps_within_its_share_and_uses_both_sides() {
        let mut random = Random::new(2);
        let second = Duration::from_secs(1);
        let drawn: Vec<_> = (0..1_000).map(|_| random.spread(second, 0.1)).collect();
        let (low, high) = (Duration::from_millis(900), Duration::from_millis(1_100));
        assert!(drawn.iter().all(|one| (low..=high).contains(one)));
        assert!(drawn.iter().any(|one| *one < Duration::from_millis(920)));
        assert!(drawn.iter().any(|one| *one > Duration::from_millis(1_080)));
        assert_eq!(random.spread(second, 0.0), second);
    }
}
