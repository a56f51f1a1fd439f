//! `peak-ewma`: the one that is expected to answer sooner, of two: one whose turn it is, and one
//! drawn by chance.
//!
//! The cost of a backend is its latency × (what is in flight per unit of weight + what this
//! request will be per unit of the mean weight of the two). The second term is the same for both:
//! so two idle ones that are equally fast cost the same whatever their weights, and the turn
//! decides, which is by weight and shared by all workers. Equal backends that one client asks in
//! sequence are so used exactly alike, which chance would only do in the long run.
//!
//! Two instead of a scan keep one fast backend from getting everything at once, before its first
//! answer can tell that it is not so fast any more.
//!
//! Not here: when two latencies differ at all, and how that fades ([`latency`](crate::latency)).

use std::sync::atomic::AtomicUsize;

use fairlead_model::moment::Moment;

use super::random::Aliases;
use super::round_robin::Wheel;
use super::two_choices::better;
use super::Candidates;
use crate::groups::Row;
use crate::latency::compared;
use crate::Random;

/// Whose turn it is, and who may challenge.
#[derive(Debug)]
pub(crate) struct Turns {
    wheel: Wheel,
    aliases: Aliases,
}

impl Turns {
    /// Makes the tables. There must be a weight, and none of 0.
    pub(super) fn of(weights: &[u16]) -> Turns {
        Turns { wheel: Wheel::of(weights), aliases: Aliases::of(weights) }
    }

    /// Chooses the cheaper of two.
    #[inline]
    pub(super) fn pick(
        &self,
        candidates: &Candidates,
        cursor: &AtomicUsize,
        now: Moment,
        random: &mut Random,
    ) -> Option<usize> {
        let one = self.wheel.turn(cursor);
        let two = self.aliases.draw_but(one, random);
        better(candidates, one, two, |one, other| cheaper(one, other, now))
            .or_else(|| candidates.draw(random))
    }
}

fn cheaper(one: &Row, other: &Row, now: Moment) -> bool {
    let (mine, theirs) = compared(one.state.latency(), other.state.latency(), now);
    let weights = u64::from(one.weight) + u64::from(other.weight);
    // latency × (active / weight + 2 / weights), times everything that is divided by.
    let cost = |nanos: u64, row: &Row, others: u16| {
        let work = u64::from(row.state.active()) * weights + 2 * u64::from(row.weight);
        u128::from(nanos) * u128::from(work) * u128::from(others)
    };
    cost(mine, one, other.weight) < cost(theirs, other, one.weight)
}
