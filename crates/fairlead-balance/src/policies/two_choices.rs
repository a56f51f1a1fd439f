//! `p2c`: the one with less work per unit of weight, of two drawn by chance.
//!
//! Put n requests on n backends at random and the busiest gets about ln n / ln ln n of them; let
//! each take the better of two and it gets about ln ln n / ln 2 [1]. That is most of what a full
//! scan buys, for two reads.
//!
//! Both are drawn by weight, so that shares follow the weights when nobody has work and nothing
//! is to be compared.
//!
//! # Source
//!
//! [1] Azar, Broder, Karlin, Upfal: Balanced Allocations. SIAM J. Comput. 29(1), 1999, 180–200.

use super::random::Aliases;
use super::Candidates;
use crate::groups::Row;
use crate::Random;

/// Chooses the less busy of two.
#[inline]
pub(super) fn pick(
    aliases: &Aliases,
    candidates: &Candidates,
    random: &mut Random,
) -> Option<usize> {
    let (one, two) = aliases.draw_two(random);
    better(candidates, one, two, less_busy).or_else(|| candidates.draw(random))
}

/// The second of two that may both be used if it is `better`, else the first; whichever may be
/// used if only one may.
#[inline]
pub(super) fn better(
    candidates: &Candidates,
    one: usize,
    two: usize,
    better: impl FnOnce(&Row, &Row) -> bool,
) -> Option<usize> {
    match (candidates.usable(one), candidates.usable(two)) {
        // A tie keeps the first draw, which is by weight; slot order would fill slot 0 first.
        (true, true) if better(&candidates.rows[two], &candidates.rows[one]) => Some(two),
        (true, _) => Some(one),
        (false, true) => Some(two),
        (false, false) => None,
    }
}

/// Whether `one` has less in flight per unit of weight than `other`.
#[inline]
pub(super) fn less_busy(one: &Row, other: &Row) -> bool {
    // a/wa < b/wb, cross-multiplied: no division, and 32 bits times 16 can't overflow 64.
    u64::from(one.state.active()) * u64::from(other.weight)
        < u64::from(other.state.active()) * u64::from(one.weight)
}
