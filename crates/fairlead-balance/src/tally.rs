//! What is counted per pool: the steps of the ladder that keeps failures from clients.
//!
//! One table, [`COUNTS`]: a new step is one line there and one call of [`Tally::count`] where it
//! happens. The status, the metrics and the library show it without knowing of it.
//!
//! Not here: what is counted per backend (`stats`) or per listener (flow).

use std::collections::BTreeMap;

use fairlead_model::reason::{Reason, ALL};

use crate::counter::Counter;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $family:literal, $result:literal;)*) => {
        /// A step that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Count { $($(#[$doc])* $name),* }

        /// All of them, in order: family and result. A family's results stand side by side, and
        /// become `fairlead_FAMILY_total{pool=,result=}`.
        pub const COUNTS: &[(&str, &str)] = &[$(($family, $result)),*];
    };
}

counts! {
    /// A second connect was begun beside a late one.
    RaceBegun = "races", "begun";
    /// A connect that was late came about before its company did.
    RaceLost = "races", "lost";
    /// The company of a late connect came about first.
    RaceWon = "races", "won";
    /// A late request was sent to a second backend.
    HedgeSent = "hedges", "sent";
    /// The second backend answered first.
    HedgeWon = "hedges", "won";
    /// The first backend answered first.
    HedgeLost = "hedges", "lost";
    /// A late request was not sent twice: the budget was spent.
    HedgeDenied = "hedges", "denied";
    /// A second backend was asked about a request that the first answered with an error.
    OpinionAsked = "second_opinions", "asked";
    /// It gave a better answer.
    OpinionBetter = "second_opinions", "better";
    /// It had none.
    OpinionSame = "second_opinions", "same";
    /// Of a request or connection something was unacknowledged for too long.
    PathSuspected = "unacknowledged", "suspected";
    /// Such a request was put to another backend, since it had been sent again in vain.
    MovedUnacknowledged = "moved", "unacknowledged";
    /// A request that waited on a backend which went down was put to another.
    MovedFromDown = "moved", "down";
    /// One was cut off a backend that said nothing while others answered, and put to another.
    MovedFromSilent = "moved", "silent";
    /// A policy in Python chose, and its choice was used.
    PolicyChosen = "policy_decisions", "chosen";
    /// It had no preference.
    PolicyAbstained = "policy_decisions", "abstained";
    /// It raised, or answered what is no backend.
    PolicyFailed = "policy_decisions", "failed";
    /// It chose a backend that can't be used any more.
    PolicyUnavailable = "policy_decisions", "unavailable";
    /// It did not answer in time.
    PolicyLate = "policy_decisions", "late";
    /// It was not asked: too many wait for it, or it is stuck in an earlier question.
    PolicyUnasked = "policy_decisions", "unasked";
    /// A request or connection began to wait for a backend.
    HoldBegun = "holds", "begun";
    /// One that had waited was taken by a backend.
    HoldServed = "holds", "served";
    /// One waited in vain for all the time that the plan gives.
    HoldExpired = "holds", "expired";
    /// One was left by its client.
    HoldLeft = "holds", "left";
    /// Too many waited already.
    HoldRefused = "holds", "refused";
}

/// What each family is, for people.
pub const FAMILIES: &[(&str, &str)] = &[
    ("races", "Connects begun beside a late one, and who came first"),
    ("hedges", "Late requests that were sent to a second backend, and who answered first"),
    ("second_opinions", "Error answers that were put to a second backend, and what it said"),
    (
        "unacknowledged",
        "Requests and connections whose bytes the backend's host did not acknowledge",
    ),
    (
        "moved",
        "Requests that waited for an answer and were put to another backend, by what was wrong",
    ),
    ("policy_decisions", "Picks that were put to a policy in Python, and what came of it"),
    ("holds", "Requests and connections that waited for a backend while there was none"),
];

/// One worker's counts of one pool.
#[derive(Debug)]
pub struct Tally {
    counts: [Counter; COUNTS.len()],
    retries: [Counter; ALL.len()],
    /// Thousandths of a token that are left for hedges.
    tokens: Counter,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            counts: std::array::from_fn(|_| Counter::default()),
            retries: std::array::from_fn(|_| Counter::default()),
            tokens: Counter::default(),
        }
    }
}

impl Tally {
    /// Counts a step. Only one thread may do so.
    #[inline]
    pub fn count(&self, step: Count) {
        self.counts[step as usize].add(1);
    }

    /// Counts a request that is put to another backend, or again to the same, because an attempt
    /// failed for this reason.
    #[inline]
    pub fn count_retry(&self, reason: Reason) {
        self.retries[reason.index()].add(1);
    }

    /// Notes how many tokens are left for hedges.
    #[inline]
    pub fn note_tokens(&self, tokens: f64) {
        self.tokens.set((tokens * 1_000.0) as u64);
    }
}

/// What all workers have counted of a pool.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    /// In the order of [`COUNTS`].
    pub counts: [u64; COUNTS.len()],
    /// By reason; only those that occurred.
    pub retries: BTreeMap<&'static str, u64>,
    /// Tokens left for hedges, over all workers.
    pub tokens: f64,
}

impl Tallies {
    /// Adds up.
    pub(crate) fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tallies {
        let mut sum = Tallies::default();
        for tally in tallies {
            for (sum, count) in sum.counts.iter_mut().zip(&tally.counts) {
                *sum += count.read();
            }
            for (reason, count) in ALL.iter().zip(&tally.retries) {
                let count = count.read();
                if count > 0 {
                    *sum.retries.entry(reason.code()).or_default() += count;
                }
            }
            sum.tokens += tally.tokens.read() as f64 / 1_000.0;
        }
        sum
    }

    /// The counts by family and result, those that are 0 too.
    pub fn families(&self) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
        let mut families: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for ((family, result), count) in COUNTS.iter().zip(self.counts) {
            families.entry(*family).or_default().insert(*result, count);
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_by_family_and_by_reason() {
        let tallies = [Tally::default(), Tally::default()];
        for tally in &tallies {
            tally.count(Count::HedgeSent);
            tally.count_retry(Reason::ConnectRefused);
            tally.note_tokens(31.5);
        }
        let sum = Tallies::sum(tallies.iter());
        assert_eq!(sum.families()["hedges"]["sent"], 2);
        assert_eq!(sum.families()["races"]["won"], 0);
        assert_eq!(sum.retries, BTreeMap::from([("connect_refused", 2)]));
        assert!((sum.tokens - 63.0).abs() < 1e-9);
    }

    #[test]
    fn every_family_is_explained_and_stands_in_one_piece() {
        let mut families: Vec<_> = COUNTS.iter().map(|(family, _)| *family).collect();
        families.dedup();
        assert_eq!(families, FAMILIES.iter().map(|(family, _)| *family).collect::<Vec<_>>());
    }
}
