//! `random`: by chance, by weight; and the drawing by weight that other policies use.
//!
//! Aliases [1]: n columns of equal height are filled so that each holds the share of one row, and
//! of at most one other. A draw is then a column and a height: two numbers, one line of memory,
//! whatever n is.
//!
//! # Source
//!
//! [1] Walker: An Efficient Method for Generating Discrete Random Variables with General
//! Distributions. ACM Trans. Math. Softw. 3(3), 1977, 253–256; filled in linear time as by Vose,
//! IEEE Trans. Softw. Eng. 17(9), 1991, 972–975.

use super::Candidates;
use crate::Random;

/// Draws that hit somebody who can't be used are repeated so often before all rows are read.
const DRAWS: usize = 8;

/// Chooses by chance, by weight.
#[inline]
pub(super) fn pick(
    aliases: &Aliases,
    candidates: &Candidates,
    random: &mut Random,
) -> Option<usize> {
    for _ in 0..DRAWS {
        let drawn = aliases.draw(random);
        if candidates.usable(drawn) {
            return Some(drawn);
        }
    }
    candidates.draw(random)
}

/// Draws indices by weight in constant time.
#[derive(Debug)]
pub(crate) struct Aliases {
    count: usize,
    /// Empty if all weights are equal: then any column will do.
    columns: Vec<Column>,
}

/// A column's own row up to `below` of 2³², its alias above.
#[derive(Debug, Clone, Copy)]
struct Column {
    below: u32,
    alias: u32,
}

impl Aliases {
    /// Fills the columns. There must be a weight, and none of 0.
    pub(super) fn of(weights: &[u16]) -> Aliases {
        let count = weights.len();
        if weights.iter().all(|weight| *weight == weights[0]) {
            return Aliases { count, columns: Vec::new() };
        }
        Aliases { count, columns: columns(weights) }
    }

    /// Draws one index.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.below(self.count);
        match self.columns.get(drawn) {
            Some(column) if (random.next() >> 32) as u32 >= column.below => column.alias as usize,
            _ => drawn,
        }
    }

    /// Draws two indices that differ, unless there is but one. The first is exactly by weight.
    #[inline]
    pub(super) fn draw_two(&self, random: &mut Random) -> (usize, usize) {
        let one = self.draw(random);
        (one, self.draw_but(one, random))
    }

    /// Draws an index that differs from this one, unless there is but one.
    #[inline]
    pub(super) fn draw_but(&self, one: usize, random: &mut Random) -> usize {
        if self.columns.is_empty() {
            return self.other(one, random);
        }
        for _ in 0..3 {
            let two = self.draw(random);
            if two != one {
                return two;
            }
        }
        self.other(one, random)
    }

    /// Any but this one, each with the same chance.
    #[inline]
    fn other(&self, one: usize, random: &mut Random) -> usize {
        if self.count == 1 {
            return one;
        }
        let other = one + 1 + random.below(self.count - 1);
        if other < self.count {
            other
        } else {
            other - self.count
        }
    }
}

fn columns(weights: &[u16]) -> Vec<Column> {
    let count = weights.len() as u64;
    // In whole numbers: a row has weight × count to give, a column holds the sum of the weights.
    let height: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * count).collect();
    let mut columns: Vec<Column> =
        (0..weights.len()).map(|own| Column { below: u32::MAX, alias: own as u32 }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|&index| left[index] < height);
    while let (Some(&over), Some(under)) = (large.last(), small.pop()) {
        columns[under] =
            Column { below: ((left[under] << 32) / height) as u32, alias: over as u32 };
        left[over] -= height - left[under];
        if left[over] < height {
            large.pop();
            small.push(over);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each is drawn, in `draws` draws.
    fn drawn(weights: &[u16], draws: usize) -> Vec<usize> {
        let (aliases, mut random) = (Aliases::of(weights), Random::new(5));
        let mut counts = vec![0; weights.len()];
        (0..draws).for_each(|_| counts[aliases.draw(&mut random)] += 1);
        counts
    }

    #[test]
    fn draws_follow_weights() {
        let weights = [1, 2, 3, 10, 256];
        let counts = drawn(&weights, 272_000);
        for (count, weight) in counts.iter().zip(weights) {
            let expected = 1_000.0 * f64::from(weight);
            let off = (*count as f64 - expected).abs() / expected.sqrt();
            assert!(off < 5.0, "{counts:?}");
        }
    }

    #[test]
    fn equal_weights_need_no_columns() {
        assert!(Aliases::of(&[7; 9]).columns.is_empty());
        assert!(drawn(&[7; 4], 40_000).iter().all(|&count| (9_500..10_500).contains(&count)));
    }

    #[test]
    fn two_differ_even_where_one_is_nearly_certain() {
        let (aliases, mut random) = (Aliases::of(&[256, 1, 1]), Random::new(6));
        for _ in 0..10_000 {
            let (one, two) = aliases.draw_two(&mut random);
            assert_ne!(one, two);
        }
        assert_eq!(Aliases::of(&[3]).draw_two(&mut random), (0, 0));
    }
}
