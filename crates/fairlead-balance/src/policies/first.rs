//! `first`: the first that may be used, in the configuration's order.
//!
//! For a main backend and its understudies, without groups.

use super::Candidates;

/// Chooses the first row that may be used.
#[inline]
pub(super) fn pick(candidates: &Candidates) -> Option<usize> {
    (0..candidates.rows.len()).find(|&index| candidates.usable(index))
}
