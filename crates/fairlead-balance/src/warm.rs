//! Slow start: how much of its weight a backend gets that has just come back.
//!
//! A process that has just begun compiles, fills its caches and opens its connections; at its full
//! share of the traffic it would be slow for everybody, and some would fall over again.
//!
//! Rules of this file
//! 1. Who comes back from down, is new in a pool that was in use, or was put back by the operator,
//!    begins with [`START`] of [`FULL`] parts of its weight and gets one more with each step, so
//!    that it has all of them after the pool's `slow_start`.
//! 2. It is about shares, not about limits: if there is nobody else, or all others are full, it
//!    gets whatever comes.
//! 3. Whoever is warm never gets more than twice its usual share for the sake of those who aren't:
//!    when most of a pool comes back at once, they begin with more.
//! 4. Shares change in steps, at moments that are known beforehand: a pick compares one number.
//!
//! Not here: how policies use the shares (`groups` scales weights; `maglev` and `first`, which
//! have none to scale, pass over it), the default of `slow_start` (Python).

use std::time::Duration;

use fairlead_model::moment::Moment;

/// Parts of a whole share.
pub(crate) const FULL: u16 = 20;

/// Parts that everybody begins with. A fifth is enough to be used at once after a fault (of two
/// backends it gets every sixth request), and little enough for caches to fill; Envoy begins with
/// a tenth, `HAProxy` near nothing.
pub(crate) const START: u16 = 4;

/// The share of one that came back `since` some moment, and when it grows next.
pub(crate) fn share(since: Moment, slow_start: Duration, now: Moment) -> Option<(u16, Moment)> {
    let passed = now.since(since);
    if passed >= slow_start {
        return None;
    }
    let steps = u128::from(FULL - START);
    let step = slow_start.as_nanos() / steps;
    let taken = (passed.as_nanos() / step.max(1)).min(steps - 1);
    let next = (taken + 1) * slow_start.as_nanos() / steps;
    let next = Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX));
    Some((START + taken as u16, since + next))
}

/// The least share, given the weights of those who are warm and those who aren't: the warm ones'
/// load is doubled at most.
pub(crate) fn least(warm: u64, cold: u64) -> u16 {
    if warm == 0 {
        return FULL;
    }
    // warm / (warm + cold × share) ≤ 2 × warm / (warm + cold)
    let full = u64::from(FULL);
    (cold.saturating_sub(warm) * full).div_ceil(2 * cold.max(1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Moment {
        Moment(5_000_000_000) + Duration::from_millis(millis)
    }

    #[test]
    fn it_grows_in_steps_from_a_fifth_to_all() {
        let mut now = at(0);
        let mut shares = Vec::new();
        while let Some((parts, next)) = share(at(0), TEN, now) {
            assert!(next > now, "{next:?}");
            assert_eq!(share(at(0), TEN, next - Duration::from_nanos(1)), Some((parts, next)));
            shares.push(parts);
            now = next;
        }
        assert_eq!(shares, (START..FULL).collect::<Vec<_>>());
        assert_eq!(now, at(10_000));
    }

    #[test]
    fn short_odd_and_no_slow_starts_end_in_time() {
        for nanos in [0, 1, 7, 17, 1_000_003] {
            let slow_start = Duration::from_nanos(nanos);
            assert_eq!(share(at(0), slow_start, at(0) + slow_start), None, "{nanos}");
            if nanos > 0 {
                let (_, next) = share(at(0), slow_start, at(0)).expect("not over yet");
                assert!(next > at(0) || nanos < 16, "{nanos}");
            }
        }
    }

    #[test]
    fn nobody_warm_gets_more_than_twice_its_share() {
        for (warm, cold) in [(1, 1), (1, 2), (1, 9), (5, 5), (3, 1), (1, 10_000), (256, 3)] {
            let parts = f64::from(least(warm, cold).max(START)) / f64::from(FULL);
            let (warm, cold) = (warm as f64, cold as f64);
            let (share, usual) = (warm / (warm + cold * parts), warm / (warm + cold));
            assert!(share <= 2.0 * usual + 1e-9, "{warm} {cold}");
        }
        assert_eq!(least(1, 1), 0);
        assert_eq!(least(0, 4), FULL, "all alike");
    }
}
