//! `hash`: the same key, the same backend, and few keys move when the backends change.
//!
//! Maglev's table [1]: every row has its own order of all 65,537 places; the rows take turns at
//! claiming the next free place of their order, until none is left. A key's place is its backend.
//! With n rows, places differ in number by one per row at most, and one row's leaving moves its
//! own keys and, of the others, about one in a hundred.
//!
//! Weights: in each round a row claims as many places as its weight is of the largest, carried
//! over from round to round. With weights whose sum is above 65,537, the lightest may get none.
//!
//! A row's order comes from its address alone. So all workers, and all balancers in front of the
//! same backends, agree; and it doesn't matter in which order a configuration names them.
//!
//! In its slow start a row takes only some of its keys; the table is that of full weights, so that
//! no other key moves.
//!
//! Whoever can't be used now (tried or full) keeps its places: its keys go on to a second place
//! that is computed from the key, so that they spread over all others instead of over one.
//!
//! # Source
//!
//! [1] Eisenbud et al.: Maglev: A Fast and Reliable Software Network Load Balancer. NSDI 2016,
//! section 3.4.

use super::Candidates;
use crate::groups::Row;
use crate::hash;
use crate::random::mix;
use crate::warm::FULL;

/// A prime, so that every step through the places comes by all of them.
const PLACES: usize = 65_537;

/// Places that a key is sent on to before all rows are read.
const PLACES_PER_KEY: u64 = 8;

/// Whether a row takes this key (or the number that stands for it at a later place). In its slow
/// start it takes a part of them, and always the same: a key comes back to it once, and stays.
#[inline]
fn takes(candidates: &Candidates, row: usize, key: u64) -> bool {
    let row = &candidates.rows[row];
    !row.is_thin() || mix(!key) % u64::from(FULL) < u64::from(row.share)
}

/// Which row has which place.
#[derive(Debug)]
pub(crate) struct Maglev {
    places: Vec<u32>,
}

/// One row's way through the places.
struct Order {
    row: u32,
    next: usize,
    step: usize,
    weight: usize,
    credit: usize,
}

impl Order {
    fn of(row: usize, address: &str, weight: u16) -> Order {
        let offset = hash::keyed([0, 0], address.as_bytes());
        let step = hash::keyed([0, 1], address.as_bytes());
        Order {
            row: row as u32,
            next: (offset % PLACES as u64) as usize,
            step: (step % (PLACES as u64 - 1)) as usize + 1,
            weight: usize::from(weight),
            credit: 0,
        }
    }

    /// Claims the next place of its order that is free.
    fn claim(&mut self, places: &mut [u32]) {
        while places[self.next] != FREE {
            self.advance();
        }
        places[self.next] = self.row;
        self.advance();
    }

    fn advance(&mut self) {
        self.next += self.step;
        if self.next >= PLACES {
            self.next -= PLACES;
        }
    }
}

const FREE: u32 = u32::MAX;

impl Maglev {
    /// Fills the table. There must be a row.
    pub(super) fn of(rows: &[Row]) -> Maglev {
        let orders = rows.iter().enumerate();
        Maglev::fill(
            orders.map(|(row, it)| Order::of(row, it.state.address(), it.weight)).collect(),
        )
    }

    fn fill(mut orders: Vec<Order>) -> Maglev {
        let largest = orders.iter().map(|order| order.weight).max().unwrap_or(1);
        let mut places = vec![FREE; PLACES];
        let mut free = PLACES;
        // By hash, not by configuration: who claims first has an advantage.
        orders.sort_by_key(|order| (order.next, order.step));
        while free > 0 {
            for order in &mut orders {
                order.credit += order.weight;
                if order.credit < largest {
                    continue;
                }
                order.credit -= largest;
                order.claim(&mut places);
                free -= 1;
                if free == 0 {
                    break;
                }
            }
        }
        Maglev { places }
    }

    /// Looks up a key; if its row can't be used, sends it on.
    #[inline]
    pub(super) fn pick(&self, candidates: &Candidates, key: u64) -> Option<usize> {
        let row = self.row(key);
        if candidates.usable(row) && takes(candidates, row, key) {
            return Some(row);
        }
        self.send_on(candidates, key)
    }

    #[cold]
    fn send_on(&self, candidates: &Candidates, key: u64) -> Option<usize> {
        let another = |turn: u64| mix(key ^ turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let sent_on = (1..PLACES_PER_KEY).map(another);
        let count = candidates.rows.len();
        let start = (another(PLACES_PER_KEY) % count as u64) as usize;
        let walk = (start..start + count).map(|row| row % count);
        let found = sent_on.clone().find_map(|key| {
            let row = self.row(key);
            (candidates.usable(row) && takes(candidates, row, key)).then_some(row)
        });
        // Those in their slow start only if there is nobody else.
        found.or_else(|| {
            let mut rest = sent_on.map(|key| self.row(key)).chain(walk.clone());
            let warm = |row: &usize| candidates.usable(*row) && !candidates.rows[*row].is_thin();
            let any = |row: &usize| candidates.usable(*row);
            rest.find(warm).or_else(|| walk.clone().find(any))
        })
    }

    #[inline]
    fn row(&self, key: u64) -> usize {
        // The key's share of 2⁶⁴ is its share of the table: no division.
        self.places[((u128::from(key) * PLACES as u128) >> 64) as usize] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(addresses: &[String], weight: impl Fn(usize) -> u16) -> Maglev {
        let orders = addresses.iter().enumerate();
        Maglev::fill(orders.map(|(row, address)| Order::of(row, address, weight(row))).collect())
    }

    fn addresses(count: usize) -> Vec<String> {
        (0..count).map(|row| format!("10.0.{}.{}:8080", row / 250, row % 250)).collect()
    }

    fn shares(table: &Maglev, count: usize) -> Vec<usize> {
        let mut shares = vec![0; count];
        table.places.iter().for_each(|row| shares[*row as usize] += 1);
        shares
    }

    #[test]
    fn a_thousand_rows_share_alike_within_one_percent() {
        let shares = shares(&table(&addresses(1_000), |_| 1), 1_000);
        let mean = PLACES as f64 / 1_000.0;
        assert!(
            shares.iter().all(|share| (*share as f64 / mean - 1.0).abs() <= 0.01),
            "{shares:?}"
        );
    }

    #[test]
    fn shares_follow_weights() {
        let weight = |row: usize| [1, 2, 5, 40][row % 4];
        let shares = shares(&table(&addresses(100), weight), 100);
        let unit = PLACES as f64 / (25.0 * 48.0);
        for (row, share) in shares.iter().enumerate() {
            let due = unit * f64::from(weight(row));
            assert!((*share as f64 - due).abs() <= 1.5, "{row}: {share} of {due}");
        }
    }

    #[test]
    fn one_leaving_moves_at_most_two_percent_of_the_others_keys() {
        for count in [3, 10, 100, 1_000] {
            let before = addresses(count);
            let gone = count / 2;
            let mut after = before.clone();
            after.remove(gone);
            let (old, new) = (table(&before, |_| 1), table(&after, |_| 1));
            let moved = old.places.iter().zip(&new.places).filter(|(old, new)| {
                **old as usize != gone && before[**old as usize] != after[**new as usize]
            });
            let share = moved.count() as f64 / PLACES as f64;
            assert!(share <= 0.02, "{count} rows: {share}");
        }
    }

    #[test]
    fn the_order_of_the_configuration_does_not_matter() {
        let before = addresses(50);
        let mut turned = before.clone();
        turned.rotate_left(17);
        let (old, new) = (table(&before, |_| 1), table(&turned, |_| 1));
        let same = |(old, new): (&u32, &u32)| before[*old as usize] == turned[*new as usize];
        assert!(old.places.iter().zip(&new.places).all(same));
    }
}
