//! `peak-ewma`: the one that is expected to answer sooner, of two drawn by chance.
//!
//! The cost of a backend is its latency estimate × (what is in flight + this request) / weight.
//! Two draws instead of a scan keep one fast backend from getting everything at once, before its
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
    let cost = |nanos: u64, row: &Row, weight: u16| {
        u128::from(nanos) * (u128::from(row.state.active()) + 1) * u128::from(weight)
    };
    cost(mine, one, other.weight) < cost(theirs, other, one.weight)
}
