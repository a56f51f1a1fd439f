//! `round-robin`: in turn, smoothly by weight.
//!
//! Rules of this file
//! 1. One turn of the wheel holds each row exactly as often as its weight says (divided by the
//!    weights' common factor), spread as evenly as it goes: weights 5, 1, 1 don't send five
//!    requests in a row to the first.
//! 2. All workers take turns from one cursor, so the shares are exact over the whole process, not
//!    only within each worker.
//! 3. Whoever can't be used loses its turn; the next turn is taken from the cursor, too. So its
//!    share goes to all others alike. (Going on from where the wheel stands without moving the
//!    cursor gives the right neighbour of a full backend twice its share.)
//!
//! The wheel is made as stride scheduling does it [1]: the kth turn of a row of weight w lies at
//! (k + phase) / w, and all turns are sorted. The phases of the rows are spread over the interval
//! from 0 to 1; with equal ones all rows of weight 1 would stand side by side.
//!
//! # Source
//!
//! [1] Waldspurger, Weihl: Stride Scheduling. MIT/LCS/TM-528, 1995.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Candidates;
use crate::Random;

/// Turns of a wheel at most. Weights that would need more are rounded, to no less than 1.
const TURNS: u64 = 65_536;

/// Turns taken in search of somebody usable before all rows are read.
const TRIES: usize = 32;

/// One turn of each row per unit of weight, in order.
#[derive(Debug)]
pub(crate) struct Wheel {
    turns: Vec<u32>,
}

impl Wheel {
    /// Makes the wheel. There must be a weight, and none of 0.
    pub(super) fn of(weights: &[u16]) -> Wheel {
        let parts = parts(weights);
        if parts.iter().all(|part| *part == 1) {
            return Wheel { turns: (0..parts.len() as u32).collect() };
        }
        let count = parts.len() as u64;
        // (k + phase) / w with phase = (2i + 1) / 2n, times 2n · 2³² so that it is whole.
        let position =
            |row: usize, turn: u64| ((2 * count * turn + 2 * row as u64 + 1) << 32) / parts[row];
        let first = (0..parts.len()).map(|row| Reverse((position(row, 0), row, 0)));
        let mut heap: BinaryHeap<_> = first.collect();
        let mut turns = Vec::with_capacity(parts.iter().sum::<u64>() as usize);
        while let Some(mut next) = heap.peek_mut() {
            let Reverse((_, row, turn)) = *next;
            turns.push(row as u32);
            if turn + 1 < parts[row] {
                *next = Reverse((position(row, turn + 1), row, turn + 1));
            } else {
                std::collections::binary_heap::PeekMut::pop(next);
            }
        }
        Wheel { turns }
    }

    /// Takes the next turn; says whose it is.
    #[inline]
    pub(super) fn turn(&self, cursor: &AtomicUsize) -> usize {
        self.turns[cursor.fetch_add(1, Relaxed) % self.turns.len()] as usize
    }

    /// Takes the next turn whose row may be used.
    #[inline]
    pub(super) fn pick(
        &self,
        candidates: &Candidates,
        cursor: &AtomicUsize,
        random: &mut Random,
    ) -> Option<usize> {
        for _ in 0..TRIES.min(self.turns.len()) {
            let row = self.turn(cursor);
            if candidates.usable(row) {
                return Some(row);
            }
        }
        candidates.draw(random)
    }
}

/// How many turns each row gets in one turn of the wheel.
fn parts(weights: &[u16]) -> Vec<u64> {
    let common = weights.iter().fold(0, |common, weight| divisor(common, u64::from(*weight)));
    let sum = weights.iter().map(|weight| u64::from(*weight)).sum::<u64>() / common;
    let part = |weight: &u16| {
        let weight = u64::from(*weight) / common;
        if sum <= TURNS {
            weight
        } else {
            ((weight * TURNS + sum / 2) / sum).max(1)
        }
    };
    weights.iter().map(part).collect()
}

/// The greatest common divisor.
fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 {
        one
    } else {
        divisor(other, one % other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_weights_take_turns_in_order() {
        assert_eq!(Wheel::of(&[7, 7, 7]).turns, [0, 1, 2]);
    }

    #[test]
    fn a_heavy_row_is_interrupted() {
        assert_eq!(Wheel::of(&[5, 1, 1]).turns, [0, 0, 0, 1, 0, 0, 2]);
        assert_eq!(Wheel::of(&[4, 2, 2]).turns, [0, 1, 0, 2]);
    }

    #[test]
    fn light_rows_do_not_stand_side_by_side() {
        let weights: Vec<u16> = std::iter::once(256).chain([1; 100]).collect();
        let turns = Wheel::of(&weights).turns;
        let longest = turns.split(|row| *row == 0).map(<[u32]>::len).max();
        assert_eq!(longest, Some(1), "two light rows in a row");
    }

    #[test]
    fn weights_without_common_factor_are_bounded_and_nearly_kept() {
        let weights: Vec<u16> = (0..1_000).map(|row| 255 + row % 2).collect();
        let turns = Wheel::of(&weights).turns;
        assert!(turns.len() <= 66_536, "{}", turns.len());
        let first = turns.iter().filter(|row| **row == 0).count() as f64;
        assert!((first / turns.len() as f64 * 1_000.0 - 1.0).abs() < 0.02);
    }

    proptest! {
        #[test]
        fn each_row_gets_exactly_its_weight_and_never_early_or_late(
            weights in proptest::collection::vec(1_u16..40, 1..12),
        ) {
            let turns = Wheel::of(&weights).turns;
            let parts = parts(&weights);
            let mut seen = vec![0_u64; weights.len()];
            for (taken, row) in turns.iter().enumerate() {
                seen[*row as usize] += 1;
                for (count, part) in seen.iter().zip(&parts) {
                    let due = *part as f64 * (taken + 1) as f64 / turns.len() as f64;
                    prop_assert!((*count as f64 - due).abs() < 2.5, "{turns:?}");
                }
            }
            prop_assert_eq!(seen, parts);
        }
    }
}
