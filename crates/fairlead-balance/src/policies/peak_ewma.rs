//! `peak-ewma`: the one that is expected to answer sooner, of two drawn by chance.
//!
//! The cost of a backend is its latency estimate × (what is in flight per unit of weight + what
//! this request will be per unit of the mean weight of the two). The second term is the same for
//! both: so two idle ones that are equally fast cost the same whatever their weights, and the
//! draw, which is by weight, decides. Two draws instead of a scan keep one fast backend from getting everything at once, before its
//! first answer can tell that it is not so fast any more.
//!
//! Not here: how estimates rise, sink and age ([`ewma`](crate::ewma)).

use fairlead_model::moment::Moment;

use super::random::Aliases;
use super::two_choices::better;
use super::Candidates;
use crate::ewma::compared;
use crate::groups::Row;
use crate::Random;

/// Chooses the cheaper of two.
#[inline]
pub(super) fn pick(
    aliases: &Aliases,
    candidates: &Candidates,
    now: Moment,
    random: &mut Random,
) -> Option<usize> {
    let (one, two) = aliases.draw_two(random);
    better(candidates, one, two, |one, other| cheaper(one, other, now))
        .or_else(|| candidates.draw(random))
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
