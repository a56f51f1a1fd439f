//! Who may be picked, in which order: a pool's backends at one epoch, sorted into tiers.
//!
//! Rules of this file
//! 1. A row is a backend that is enabled, of a weight above 0, and not down (or only ejected).
//!    Nobody else becomes one, so a policy can't pick wrongly.
//! 2. A tier is all rows of one group that are well (healthy or unknown), or all that are suspect.
//!    Order: group 0 well, group 0 suspect, group 1 well, … A policy sees one tier at a time;
//!    the next one is looked at only if nobody in it may be used. Behind all of them, in the same
//!    order, come those that are suspect with reason (distrusted, or suspect again although they
//!    have just come back), then those that a policy scores 0, and then those that are down only
//!    because others answer better.
//! 3. Among backends of which some are in their slow start (`warm`) all weights are multiplied, so
//!    that these can get a part of theirs. Tables hold until the first of them gets more.
//! 4. Backends that may come back by a trial request are kept apart too, and only those of groups
//!    that take traffic now: a backup is not woken to be tried.
//!
//! Not here: who of a tier is picked (policies), who has been tried or is full (asked at the pick).

use std::sync::Arc;

use fairlead_model::backend::{Slot, Wish};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{HashTable, Policy};

use crate::policies::modulo::Keys;
use crate::policies::{Recipe, Table};
use crate::pool::Pool;
use crate::standing::Standing;
use crate::state::BackendState;
use crate::tracker::Rules;
use crate::view::Tried;
use crate::warm::{self, FULL};

/// Turns of a wheel for whose sake weights are multiplied during slow start: made in a tenth of a
/// millisecond.
const TURNS: u64 = 4_096;

/// A backend as a policy sees it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Which backend of the pool.
    pub(crate) slot: Slot,
    /// 1 to 256; more, for all rows of a tier, while some are in their slow start.
    pub(crate) weight: u16,
    /// Of policies that don't look at weights at each pick: so many parts of [`FULL`].
    pub(crate) share: u16,
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

    /// Whether it may be used for a request that has tried these.
    pub(crate) fn is_usable(&self, tried: &Tried) -> bool {
        self.has_room() && !tried.contains(self.slot)
    }

    /// Counts one more in flight, if there is room.
    #[inline]
    pub(crate) fn try_begin(&self) -> bool {
        self.state.try_begin((self.max != u32::MAX).then_some(self.max))
    }

    /// Whether it is in its slow start, and its share has to be thinned out.
    #[inline]
    pub(crate) fn is_thin(&self) -> bool {
        self.share != FULL
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
    /// When somebody's slow start gets a step further.
    pub(crate) until: Moment,
    /// In the order in which they are looked at; none is empty.
    pub(crate) tiers: Vec<Tier>,
    /// Who may be asked for a trial.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) rules: Rules,
}

impl Groups {
    /// Sorts the backends of a pool as they are now; `before` may have tables that still serve.
    pub(crate) fn of(pool: &Pool, epoch: u64, now: Moment, before: Option<&Groups>) -> Groups {
        let rules = pool.rules();
        let mut until = Moment(u64::MAX);
        let mut sorted: Vec<(Place, Row)> = rows(pool, now, &mut until).collect();
        // Stable, so that rows keep the plan's order: `first` means it.
        sorted.sort_by_key(|(place, _)| *place);
        let used = sorted.iter().find(|(place, _)| !place.is_out).map(|(place, _)| place.group);
        let candidates = sorted
            .iter()
            .filter(|(place, _)| {
                let suspect = matches!(place.standing, Standing::Suspect | Standing::Relapsing);
                // A suspect's check decides, where there is one.
                let ill = place.standing >= Standing::Distrusted || suspect && !rules.has_check;
                ill && used.is_none_or(|used| place.group <= used)
            })
            .map(|(place, row)| candidate(pool, place.group, row))
            .collect();
        let tiers = sorted
            .chunk_by(|one, next| one.0 == next.0)
            .filter(|tier| tier[0].0.standing != Standing::Down)
            .map(|tier| {
                let mut rows: Vec<Row> = tier.iter().map(|(_, row)| row.clone()).collect();
                let group = tier[0].0.group;
                share_out(&mut rows, pool.plan.policy_of(group));
                let same = before.and_then(|before| {
                    let mut tiers = before.tiers.iter();
                    tiers.find(|tier| is_like(&tier.rows, &rows))?.table.again()
                });
                Tier { table: same.unwrap_or_else(|| table(pool, group, &rows)), rows }
            })
            .collect();
        Groups { epoch, until, tiers, candidates, rules }
    }
}

/// Whether a table of rows of these weights serves the others, too.
fn is_like(rows: &[Row], others: &[Row]) -> bool {
    let what = |row: &Row| (row.slot, row.weight);
    rows.len() == others.len() && rows.iter().map(what).eq(others.iter().map(what))
}

/// Gives those in their slow start less than the others of their tier.
fn share_out(rows: &mut [Row], policy: Policy) {
    let of = |thin: bool| -> u64 {
        let those = rows.iter().filter(|row| row.is_thin() == thin);
        those.map(|row| u64::from(row.weight)).sum()
    };
    let (warm, cold) = (of(false), of(true));
    if cold == 0 {
        return;
    }
    let least = warm::least(warm, cold);
    let by_weight = !matches!(policy, Policy::Hash | Policy::First);
    // A wheel has a place for each unit of weight, and is made anew with each step.
    let times = match policy {
        Policy::RoundRobin => (TURNS / (warm + cold)).clamp(1, u64::from(FULL)) as u16,
        _ => FULL,
    };
    for row in rows {
        row.share = row.share.max(least);
        if by_weight {
            let parts = u32::from(row.weight) * u32::from(times) * u32::from(row.share);
            row.weight = (parts / u32::from(FULL)).max(1) as u16;
            row.share = FULL;
        }
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
fn rows<'a>(
    pool: &'a Pool,
    now: Moment,
    until: &'a mut Moment,
) -> impl Iterator<Item = (Place, Row)> + 'a {
    let slow_start = pool.plan.slow_start.duration();
    pool.plan.backends.iter().zip(pool.backends()).enumerate().filter_map(
        move |(index, (plan, state))| {
            let weight = state.weight();
            (state.wish() == Wish::Enabled && weight > 0).then(|| {
                let slot = Slot(index as u32);
                let score = state.score();
                let weight = score.map_or(weight, |score| score.max(1));
                let max = plan.max_connections.unwrap_or(u32::MAX);
                let mut share = FULL;
                if let Some((parts, next)) = state.warming(slow_start, now) {
                    share = parts;
                    *until = next.min(*until);
                }
                let place = Place::of(plan.group, score, state.standing());
                (place, Row { slot, weight, share, max, state: Arc::clone(state) })
            })
        },
    )
}

/// Where a tier stands in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Ejected or down: behind all groups.
    is_out: bool,
    /// A policy scores it 0: behind all others that are not out.
    is_unwanted: bool,
    /// Suspect with reason: behind all others that are neither out nor unwanted.
    is_last: bool,
    group: u16,
    standing: Standing,
}

impl Place {
    fn of(group: u16, score: Option<u16>, standing: Standing) -> Place {
        let is_out = standing >= Standing::Ejected;
        let is_last = !is_out && standing >= Standing::Relapsing;
        Place { is_out, is_unwanted: !is_out && score == Some(0), is_last, group, standing }
    }
}
