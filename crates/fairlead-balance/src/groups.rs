//! Who may be picked, in which order: a pool's backends at one epoch, sorted into tiers.
//!
//! Rules of this file
//! 1. A row is a backend that is enabled, not down and of a weight above 0. Nobody else becomes
//!    one, so a policy can't pick wrongly.
//! 2. A tier is all rows of one group that are well (healthy or unknown), or all that are suspect.
//!    Order: group 0 well, group 0 suspect, group 1 well, … A policy sees one tier at a time;
//!    the next one is looked at only if nobody in it may be used.
//! 3. Backends that may come back by a trial request are kept apart too, and only those of groups
//!    that take traffic now: a backup is not woken to be tried.
//!
//! Not here: who of a tier is picked (policies), who has been tried or is full (asked at the pick).

use std::sync::Arc;

use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::Health;
use fairlead_model::plan::{HashTable, Policy};

use crate::policies::modulo::Keys;
use crate::policies::{Recipe, Table};
use crate::pool::Pool;
use crate::state::BackendState;
use crate::tracker::Rules;

/// A backend as a policy sees it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Which backend of the pool.
    pub(crate) slot: Slot,
    /// 1 to 256.
    pub(crate) weight: u16,
    /// Most in flight; `u32::MAX` for no limit.
    pub(crate) max: u32,
    /// For what changes between two picks.
    pub(crate) state: Arc<BackendState>,
}

impl Row {
    /// Whether it is below its limit.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.max == u32::MAX || self.state.active() < self.max
    }

    /// Counts one more in flight, if there is room.
    #[inline]
    pub(crate) fn try_begin(&self) -> bool {
        self.state.try_begin((self.max != u32::MAX).then_some(self.max))
    }
}

/// A backend that may come back by a trial.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) row: Row,
    /// Where each key has its own backend, the keys that may try this one.
    pub(crate) keys: Option<Keys>,
    /// Nobody else's keys are ever sent here.
    pub(crate) fixed: bool,
}

/// Rows between which a policy chooses, and the policy's table for them.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) rows: Vec<Row>,
    pub(crate) table: Table,
}

/// A pool's rows at one epoch. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) epoch: u64,
    /// In the order in which they are looked at; none is empty.
    pub(crate) tiers: Vec<Tier>,
    /// Who may be asked for a trial.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) rules: Rules,
}

impl Groups {
    /// Sorts the backends of a pool as they are now.
    pub(crate) fn of(pool: &Pool, epoch: u64) -> Groups {
        let rules = pool.rules();
        let mut sorted: Vec<(u16, Health, Row)> = rows(pool).collect();
        // Stable, so that rows keep the plan's order: `first` means it.
        sorted.sort_by_key(|(group, health, _)| (*group, rank(*health)));
        let used = sorted.iter().find(|(_, health, _)| *health != Health::Down).map(|row| row.0);
        let candidates = sorted
            .iter()
            .filter(|(group, health, _)| {
                // A suspect's check decides, where there is one.
                let ill =
                    *health == Health::Down || (*health == Health::Suspect && !rules.has_check);
                ill && used.is_none_or(|used| *group <= used)
            })
            .map(|(group, _, row)| candidate(pool, *group, row))
            .collect();
        let tiers = sorted
            .chunk_by(|one, next| (one.0, rank(one.1)) == (next.0, rank(next.1)))
            .filter(|tier| tier[0].1 != Health::Down)
            .map(|tier| {
                let rows: Vec<Row> = tier.iter().map(|(_, _, row)| row.clone()).collect();
                Tier { table: table(pool, tier[0].0, &rows), rows }
            })
            .collect();
        Groups { epoch, tiers, candidates, rules }
    }
}

/// The table of a group's policy for some of its rows.
fn table(pool: &Pool, group: u16, rows: &[Row]) -> Table {
    let (policy, hash_table) = (pool.plan.policy_of(group), pool.plan.hash_table);
    // Only one kind of table looks at them.
    let looked_at = policy == Policy::Hash && hash_table != HashTable::Maglev;
    let members = if looked_at { members(pool, group) } else { Vec::new() };
    Table::of(Recipe { policy, hash_table, members: &members }, rows)
}

fn candidate(pool: &Pool, group: u16, row: &Row) -> Candidate {
    let hash_table = pool.plan.hash_table;
    let placed = pool.plan.policy_of(group) == Policy::Hash && hash_table != HashTable::Maglev;
    let keys = placed.then(|| Keys::of(&members(pool, group), row.slot));
    Candidate { row: row.clone(), keys, fixed: placed && hash_table == HashTable::Fixed }
}

/// All backends of a group in the plan's order, each with its weight there, as small as weights
/// of the same proportions can be.
fn members(pool: &Pool, group: u16) -> Vec<(Slot, u16)> {
    let ours = pool.plan.backends.iter().enumerate().filter(|(_, plan)| plan.group == group);
    let ours: Vec<_> = ours.map(|(index, plan)| (Slot(index as u32), plan.weight)).collect();
    let common = ours.iter().fold(0, |common, (_, weight)| divisor(common, *weight)).max(1);
    ours.into_iter().map(|(slot, weight)| (slot, weight / common)).collect()
}

/// The greatest common divisor.
fn divisor(one: u16, other: u16) -> u16 {
    if other == 0 {
        one
    } else {
        divisor(other, one % other)
    }
}

/// All whom the operator wants, with group and health, down ones too.
fn rows(pool: &Pool) -> impl Iterator<Item = (u16, Health, Row)> + '_ {
    pool.plan.backends.iter().zip(pool.backends()).enumerate().filter_map(
        |(index, (plan, state))| {
            let weight = state.weight();
            (state.wish() == Wish::Enabled && weight > 0).then(|| {
                let slot = Slot(index as u32);
                let max = plan.max_connections.unwrap_or(u32::MAX);
                (plan.group, state.health(), Row { slot, weight, max, state: Arc::clone(state) })
            })
        },
    )
}

/// Which of a group's tiers a health belongs to.
fn rank(health: Health) -> u8 {
    match health {
        Health::Unknown | Health::Healthy => 0,
        Health::Suspect => 1,
        Health::Down => 2,
    }
}
