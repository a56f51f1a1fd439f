//! `first`: the first that may be used, in the configuration's order.
//!
//! For a main backend and its understudies, without groups. One in its slow start is passed over
//! by those requests that are not yet its share, if there is anybody behind it.

use super::Candidates;
use crate::warm::FULL;
use crate::Random;

/// Chooses the first row that may be used.
#[inline]
pub(super) fn pick(candidates: &Candidates, random: &mut Random) -> Option<usize> {
    let first = (0..candidates.rows.len()).find(|&index| candidates.usable(index))?;
    if candidates.rows[first].is_thin() {
        return Some(pass_over(candidates, first, random));
    }
    Some(first)
}

#[cold]
fn pass_over(candidates: &Candidates, first: usize, random: &mut Random) -> usize {
    let mut takes = |index: &usize| {
        let share = usize::from(candidates.rows[*index].share);
        candidates.usable(*index) && random.below(usize::from(FULL)) < share
    };
    (first..candidates.rows.len()).find(|index| takes(index)).unwrap_or(first)
}
