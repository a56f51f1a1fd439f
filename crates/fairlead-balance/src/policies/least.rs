//! `least-connections`: fewest in flight per unit of weight.
//!
//! Ties are broken by chance, by weight: slot order would send the first request of every quiet
//! moment to slot 0.
//!
//! Before anything is scanned, one row is drawn by weight and taken if it is idle: nobody can have
//! less, and among all idle ones it had its share of the chance. So a pool with slack costs one
//! draw. Of more than [`EXACT`] rows, [`WINDOW`] in a row from a random place are compared: each
//! pick takes one of the least busy eighth, so that nobody stays ahead. (Two at random are enough
//! to keep all within a few of each other; eight keep a thousand backends with twenty requests
//! each within four, and sixteen within three, for half as much again.) A row that is compared is
//! a line of memory to fetch, and a thousand of them are not in the cache.

use super::random::Aliases;
use super::Candidates;
use crate::Random;

/// So many rows are all compared.
const EXACT: usize = 64;

/// Of more, so many are, as long as one of them may be used.
const WINDOW: usize = 8;

/// Chooses the least busy.
#[inline]
pub(super) fn pick(
    aliases: &Aliases,
    candidates: &Candidates,
    random: &mut Random,
) -> Option<usize> {
    let drawn = aliases.draw(random);
    if candidates.usable(drawn) && candidates.rows[drawn].state.active() == 0 {
        return Some(drawn);
    }
    let count = candidates.rows.len();
    if count <= EXACT {
        return least(candidates, 0..count, random);
    }
    let start = random.below(count);
    let end = start + WINDOW;
    let (behind, over) = (start..end.min(count), end.saturating_sub(count));
    least(candidates, behind.chain(0..over), random)
        .or_else(|| least(candidates, (over..start).chain(end.min(count)..count), random))
}

fn least(
    candidates: &Candidates,
    indices: impl Iterator<Item = usize>,
    random: &mut Random,
) -> Option<usize> {
    let mut best: Option<(usize, u64, u64)> = None;
    let mut equals = 0;
    for index in indices.filter(|&index| candidates.usable(index)) {
        let row = &candidates.rows[index];
        let (active, weight) = (u64::from(row.state.active()), u64::from(row.weight));
        let (mine, theirs) = best.map_or((0, 1), |(_, best_active, best_weight)| {
            (active * best_weight, best_active * weight)
        });
        if mine > theirs {
            continue;
        }
        equals = if mine < theirs { 0 } else { equals } + usize::from(row.weight);
        // The first of its kind always; each further one by its share of those seen.
        if mine < theirs || random.below(equals) < usize::from(row.weight) {
            best = Some((index, active, weight));
        }
    }
    best.map(|(index, ..)| index)
}
