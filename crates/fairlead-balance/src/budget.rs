//! How many requests may be sent twice because they are late.
//!
//! A token bucket: each request earns its share of a token, each hedge costs one. A full bucket
//! covers what is stuck when a host freezes under load, until others are asked first: some tens, and
//! under heavy traffic the requests of [`COVER`]. All of it has been earned before. An overloaded
//! pool, where everything is late, soon gets no hedges at all and isn't made worse by them.
//!
//! The right to hedge is earned. A hedge that doesn't win was sent for nothing: what the bucket
//! takes in and holds is halved, down to a sixty-fourth; one whose second answer was late, too, shows
//! a request that takes long everywhere, and halves it twice. One that wins doubles it. So legitimate
//! long polls are executed twice a few times, and then hardly ever. But a bucket has always room for
//! one: who could never hedge again could never win the right back.
//!
//! What was waited for until its time was over has a bucket of its own, of the same size and share,
//! for its second try: there the alternative is an error for certain, so it doesn't matter how
//! hedges fared. It is bounded all the same, as backends that are all too slow must not get
//! everything several times.
//!
//! Not here: whether a request may be sent twice at all, and when it is late.

use std::time::Duration;

use fairlead_model::moment::Moment;

/// Tokens of a full bucket, at least.
pub const BURST: f64 = 32.0;

/// So long one backend of two may swallow its share before that is noticed: an answer is late after
/// 50 ms where it is quick, and a busy machine takes its time.
pub const COVER: Duration = Duration::from_millis(100);

/// The rate of requests is looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// The smallest part of the right that is left.
const LEAST: f64 = 1.0 / 64.0;

/// The hedges of one pool, as one worker counts them.
#[derive(Debug, Clone)]
pub struct Budget {
    tokens: f64,
    /// Tokens of the other bucket, for what was waited for until its time was over.
    overdue: f64,
    /// Tokens that a request earns.
    share: f64,
    /// What part of the right is left: 1 at best.
    right: f64,
    /// Tokens of a full bucket at the rate of requests that was last seen.
    burst: f64,
    /// Requests since then.
    seen: u32,
    since: Moment,
}

impl Budget {
    /// A full bucket; `hundredths` is the budget in hundredths of a percent of requests.
    pub fn new(hundredths: u32) -> Budget {
        Budget {
            tokens: BURST,
            overdue: BURST,
            share: f64::from(hundredths) / 10_000.0,
            right: 1.0,
            burst: BURST,
            seen: 0,
            since: Moment::ZERO,
        }
    }

    /// What is left, in tokens.
    #[inline]
    pub fn left(&self) -> f64 {
        self.tokens
    }

    /// A request came. False if the bucket was full already.
    #[inline]
    pub fn earn(&mut self, now: Moment) -> bool {
        self.seen = self.seen.saturating_add(1);
        if now.since(self.since) >= LOOK {
            self.follow(now);
        }
        self.overdue = (self.overdue + self.share).min(BURST);
        let room = self.room();
        let more = self.tokens < room;
        if more {
            self.tokens = (self.tokens + self.share * self.right).min(room);
        }
        more
    }

    /// Tokens that the bucket holds.
    #[inline]
    fn room(&self) -> f64 {
        (self.burst * self.right).max(1.0)
    }

    /// The bucket becomes as large as the rate of requests asks for.
    #[cold]
    fn follow(&mut self, now: Moment) {
        let rate = f64::from(self.seen) / now.since(self.since).as_secs_f64();
        self.burst = (rate * COVER.as_secs_f64()).max(BURST);
        self.seen = 0;
        self.since = now;
    }

    /// Takes a token for a hedge, if there is one.
    pub fn spend(&mut self) -> bool {
        let may = self.share > 0.0 && self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// The same; for a trial there always is one, as a backend has one at a time, and after one
    /// that went badly none for a second. What the pool learns so of a backend that may be well
    /// again is worth it.
    pub fn pay(&mut self, trial: bool) -> bool {
        let may = trial && self.share > 0.0;
        if may {
            self.tokens = (self.tokens - 1.0).max(0.0);
        }
        may || self.spend()
    }

    /// Takes a token for the second try of what was waited for until its time was over.
    pub fn spend_overdue(&mut self) -> bool {
        let may = self.share > 0.0 && self.overdue >= 1.0;
        if may {
            self.overdue -= 1.0;
        }
        may
    }

    /// The token that was taken wasn't used.
    /// It goes back as far as there is room.
    pub fn refund(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.room().max(self.tokens));
    }

    /// The hedge answered first: it was needed.
    pub fn won(&mut self) {
        self.right = (self.right * 2.0).min(1.0);
        // Half of it back: a pool with a frozen member needs one hedge after another.
        self.tokens += 0.5;
    }

    /// The second backend answered well where the first had answered with an error: that cost
    /// nothing. It burdens nobody who is slow, and without it a client would have had the error.
    pub fn right(&mut self) {
        self.right = (self.right * 2.0).min(1.0);
        self.tokens += 1.0;
    }

    /// The first try answered first: the hedge was for nothing.
    pub fn lost(&mut self) {
        self.right = (self.right / 2.0).max(LEAST);
        self.tokens = self.tokens.min(self.room());
    }

    /// The second backend is late, too.
    pub fn vain(&mut self) {
        self.lost();
        self.lost();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request each millisecond.
    fn at(nth: u64) -> Moment {
        Moment(1_000_000_000 + nth * 1_000_000)
    }

    #[test]
    fn hedges_stay_within_their_share_of_requests() {
        let mut budget = Budget::new(200);
        let spent = (0..100_000).filter(|nth| {
            budget.earn(at(*nth));
            budget.spend()
        });
        let spent = spent.count();
        assert!((2_000..=2_000 + BURST as usize).contains(&spent), "{spent}");
    }

    #[test]
    fn a_full_bucket_covers_a_burst() {
        let mut budget = Budget::new(200);
        assert_eq!((0..100).filter(|_| budget.spend()).count(), BURST as usize);
    }

    #[test]
    fn hedges_for_nothing_cost_the_right_and_wins_bring_it_back() {
        let mut budget = Budget::new(200);
        let mut spent = 0;
        for nth in 0..10_000 {
            budget.earn(at(nth));
            if budget.spend() {
                spent += 1;
                budget.lost();
            }
        }
        assert!(spent <= 12, "{spent}");
        for _ in 0..8 {
            budget.won();
        }
        assert!(
            (10_000..110_000)
                .filter(|nth| {
                    budget.earn(at(*nth));
                    budget.spend()
                })
                .count()
                > 1_900
        );
    }

    #[test]
    fn who_has_lost_the_right_tries_again_now_and_then() {
        let mut budget = Budget::new(200);
        for _ in 0..20 {
            budget.spend();
            budget.vain();
        }
        let tries = (0..100_000).filter(|nth| {
            budget.earn(at(*nth));
            budget.spend()
        });
        // A fiftieth of a sixty-fourth.
        assert!((30..=32).contains(&tries.count()));
    }

    #[test]
    fn requests_that_take_long_everywhere_are_learnt_in_four() {
        let mut budget = Budget::new(200);
        let mut spent = 0;
        while budget.spend() {
            spent += 1;
            budget.vain();
        }
        assert!(spent <= 4, "{spent}");
    }

    #[test]
    fn second_opinions_that_are_right_never_run_out() {
        let mut budget = Budget::new(200);
        for _ in 0..10_000 {
            assert!(budget.spend());
            budget.right();
        }
        assert!((0..100).filter(|_| budget.spend()).count() <= BURST as usize);
    }

    #[test]
    fn a_bucket_is_as_large_as_what_is_stuck_at_once() {
        for (gap, stuck) in [(1, 100), (10, BURST as usize)] {
            let mut budget = Budget::new(200);
            for nth in 0..10_000 {
                budget.earn(at(nth * gap));
            }
            assert_eq!((0..1_000).filter(|_| budget.spend()).count(), stuck);
        }
    }

    #[test]
    fn what_comes_back_unused_makes_nobody_richer() {
        let mut budget = Budget::new(200);
        assert!(budget.pay(true));
        budget.refund();
        assert!((budget.left() - BURST).abs() < 1e-9, "{}", budget.left());
        // The right was lost between the two, and the bucket is smaller now.
        assert!(budget.pay(true));
        (0..10).for_each(|_| budget.vain());
        budget.refund();
        assert!((budget.left() - 1.0).abs() < 1e-9, "{}", budget.left());
    }

    #[test]
    fn no_budget_no_hedge() {
        assert!(!Budget::new(0).spend());
        assert!(!Budget::new(0).spend_overdue());
    }

    #[test]
    fn what_was_waited_for_in_vain_is_tried_again_however_hedges_fared() {
        let mut budget = Budget::new(200);
        while budget.spend() {
            budget.vain();
        }
        assert_eq!((0..100).filter(|_| budget.spend_overdue()).count(), BURST as usize);
        for nth in 0..1_000 {
            budget.earn(at(nth));
        }
        assert!((19..=20).contains(&(0..100).filter(|_| budget.spend_overdue()).count()));
    }
}
