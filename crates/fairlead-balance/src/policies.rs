//! The table of policies: which file answers for which name.
//!
//! Rules of this folder
//! 1. A policy is a function of rows, and of a table that was made of them once per epoch. It
//!    chooses a row that may be used, or says that there is none.
//! 2. What may be used is not its business: [`Candidates::usable`] knows.
//! 3. Shares follow the weights among all that may be used. One that may not be used now (tried
//!    or full) leaves its share to all others alike, not to its neighbour.
//!
//! | Policy | File | Cost of a pick | Table |
//! |---|---|---|---|
//! | `round-robin` | `round_robin.rs` | constant | one turn of the wheel |
//! | `random` | `random.rs` | constant | aliases |
//! | `least-connections` | `least.rs` | constant while somebody is idle; then up to 64 rows, 8 of more | aliases |
//! | `p2c` | `two_choices.rs` | constant | aliases |
//! | `peak-ewma` | `peak_ewma.rs` | constant | one turn of the wheel, aliases |
//! | `hash` | `maglev.rs` | constant | 65,537 entries, made when first needed |
//! | `hash`, modulo or fixed | `modulo.rs` | constant while the key's own is there | one entry per weight |
//! | `first` | `first.rs` | up to the first that may be used | none |
//!
//! Not here: groups and health (`groups`), counting what is in flight (view).

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{HashTable, Policy};

use crate::groups::Row;
use crate::view::Tried;
use crate::Random;

mod first;
mod least;
mod maglev;
pub(crate) mod modulo;
mod peak_ewma;
mod random;
mod round_robin;
mod two_choices;

use maglev::Maglev;
use modulo::Modulo;
use peak_ewma::Turns;
use random::Aliases;
use round_robin::Wheel;

/// The rows of one tier, and who of them has been tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) tried: &'a Tried,
}

impl Candidates<'_> {
    /// Whether the row of this index may be used now.
    #[inline]
    pub(crate) fn usable(&self, index: usize) -> bool {
        let row = &self.rows[index];
        row.has_room() && (self.tried.is_empty() || !self.tried.contains(row.slot))
    }

    /// Draws one of all that may be used, by weight: what policies with a table fall back on when
    /// the table's answers can't be used. Reads every row.
    #[cold]
    pub(crate) fn draw(&self, random: &mut Random) -> Option<usize> {
        let mut total = 0;
        let mut drawn = None;
        for index in (0..self.rows.len()).filter(|&index| self.usable(index)) {
            // The nth of them replaces the choice so far with its share of the sum up to it,
            // which gives each its share of the whole.
            let weight = usize::from(self.rows[index].weight);
            total += weight;
            if random.below(total) < weight {
                drawn = Some(index);
            }
        }
        drawn
    }
}

/// What one pick goes by besides the rows.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) key: Option<u64>,
    pub(crate) now: Moment,
    pub(crate) random: &'a mut Random,
    pub(crate) cursor: &'a AtomicUsize,
}

/// A policy with what it made of the rows of one tier.
#[derive(Debug)]
pub(crate) enum Table {
    RoundRobin(Wheel),
    Random(Aliases),
    Least(Aliases),
    TwoChoices(Aliases),
    PeakEwma(Turns),
    /// Most tiers of a pool (its backups, its suspects) never need theirs.
    Hash(Arc<OnceLock<Maglev>>),
    Modulo(Modulo),
    First,
}

/// What a table is made of, besides the rows of its tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) policy: Policy,
    pub(crate) hash_table: HashTable,
    /// All backends of the group, whatever their state, each with its configured weight.
    pub(crate) members: &'a [(Slot, u16)],
}

impl Table {
    pub(crate) fn of(recipe: Recipe, rows: &[Row]) -> Table {
        match recipe.policy {
            Policy::RoundRobin => Table::RoundRobin(Wheel::of(&weights(rows))),
            Policy::Random => Table::Random(Aliases::of(&weights(rows))),
            Policy::LeastConnections => Table::Least(Aliases::of(&weights(rows))),
            Policy::P2c => Table::TwoChoices(Aliases::of(&weights(rows))),
            Policy::PeakEwma => Table::PeakEwma(Turns::of(&weights(rows))),
            Policy::Hash => match recipe.hash_table {
                HashTable::Maglev => Table::Hash(Arc::default()),
                HashTable::Modulo => Table::Modulo(Modulo::of(recipe.members, rows, false)),
                HashTable::Fixed => Table::Modulo(Modulo::of(recipe.members, rows, true)),
            },
            Policy::First => Table::First,
        }
    }

    /// Whether a key has one row here, and nobody stands in for it.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Table::Modulo(table) if table.is_fixed())
    }

    /// Chooses a row that may be used; `None` if and only if there is none, or none for this key
    /// in a table that is fixed.
    #[inline]
    pub(crate) fn pick(&self, candidates: &Candidates, ask: &mut Ask) -> Option<usize> {
        match self {
            Table::RoundRobin(wheel) => wheel.pick(candidates, ask.cursor, ask.random),
            Table::Random(aliases) => random::pick(aliases, candidates, ask.random),
            Table::Least(aliases) => least::pick(aliases, candidates, ask.random),
            Table::TwoChoices(aliases) => two_choices::pick(aliases, candidates, ask.random),
            Table::PeakEwma(turns) => turns.pick(candidates, ask.cursor, ask.now, ask.random),
            Table::Hash(table) => {
                let key = ask.key.unwrap_or_else(|| ask.random.next());
                table.get_or_init(|| Maglev::of(candidates.rows)).pick(candidates, key)
            }
            Table::Modulo(table) => {
                table.pick(candidates, ask.key.unwrap_or_else(|| ask.random.next()))
            }
            Table::First => first::pick(candidates, ask.random),
        }
    }

    /// The same table once more, for rows of the same weights; `None` if it isn't worth keeping.
    pub(crate) fn again(&self) -> Option<Table> {
        match self {
            Table::Hash(table) => Some(Table::Hash(Arc::clone(table))),
            _ => None,
        }
    }
}

fn weights(rows: &[Row]) -> Vec<u16> {
    rows.iter().map(|row| row.weight).collect()
}
