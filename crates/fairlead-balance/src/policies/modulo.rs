//! `hash` with `hash_table = "modulo"` or `"fixed"`: a key's backend is its remainder.
//!
//! The key modulo the number of places is its place; each backend of the group has one place for
//! each unit of its configured weight (divided by the weights' common factor), in the
//! configuration's order. Whoever is away (disabled, down, full, tried) keeps its places, so no
//! key but its own moves when it goes and when it comes back. What the table is without: little
//! movement when backends are added or removed, for which there is Maglev.
//!
//! `modulo` sends the keys of whoever is away to the next in order, `fixed` to nobody here: the
//! next group is asked. Inlab's balance has both, as its hash groups with and without `-H`.

use fairlead_model::backend::Slot;

use super::Candidates;
use crate::groups::Row;

/// All places of a group, with the rows of one tier in them.
#[derive(Debug)]
pub(crate) struct Modulo {
    /// `None`: its backend is in none or another tier.
    places: Vec<Option<u32>>,
    fixed: bool,
}

/// Which keys are a backend's own: those whose remainder lies in its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keys {
    first: u64,
    end: u64,
    count: u64,
}

impl Keys {
    /// Whether `key` is one of them. No key is nobody's own.
    pub(crate) fn contain(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| (self.first..self.end).contains(&(key % self.count)))
    }

    /// The keys of one of the group's backends.
    pub(crate) fn of(members: &[(Slot, u16)], slot: Slot) -> Keys {
        let before = members.iter().take_while(|(other, _)| *other != slot);
        let first = before.map(|(_, width)| u64::from(*width)).sum();
        let own = members.iter().find(|(other, _)| *other == slot);
        let end = first + own.map_or(0, |(_, width)| u64::from(*width));
        let count = members.iter().map(|(_, width)| u64::from(*width)).sum::<u64>().max(1);
        Keys { first, end, count }
    }
}

impl Modulo {
    /// Puts `rows` in their places. `members` are all backends of the group, with how many places
    /// each has.
    pub(super) fn of(members: &[(Slot, u16)], rows: &[Row], fixed: bool) -> Modulo {
        let places = members
            .iter()
            .flat_map(|(slot, width)| {
                let row = rows.iter().position(|row| row.slot == *slot).map(|row| row as u32);
                std::iter::repeat_n(row, usize::from(*width))
            })
            .collect();
        Modulo { places, fixed }
    }

    /// Whether nobody stands in for a key's own backend.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// The row of a key, or who stands in for it.
    #[inline]
    pub(super) fn pick(&self, candidates: &Candidates, key: u64) -> Option<usize> {
        let count = self.places.len();
        let first = (key % count.max(1) as u64) as usize;
        let looked_at = if self.fixed { count.min(1) } else { count };
        (first..first + looked_at)
            .filter_map(|place| self.places[place % count])
            .map(|row| row as usize)
            .find(|row| candidates.usable(*row))
    }
}
