//! What one worker picks from.
//!
//! Rules of this file
//! 1. A pick begins (counts one in flight) or it is none: between choosing a backend with room
//!    and taking it, another worker may have filled it, and then the choice is made again.
//! 2. The tiers of the pool are asked in order; all of one tried or full, the next.
//! 3. A backend that must prove itself gets a *trial*: one request at a time, only a first
//!    attempt (a request that has failed once is not experimented with), and one that can't be
//!    sent again only if none that can came along for a while, or if there is nobody else.
//! 4. A pick takes no lock and allocates nothing, but for three rare cases: the epoch has moved, a
//!    trial may be due, or the share of one in its slow start has grown.
//!
//! Not here: how a policy chooses (policies), whom it may choose from (`groups`).

use std::sync::Arc;
use std::time::Duration;

use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;

use crate::groups::{Candidate, Groups, Row, Tier};
use crate::policies::{Ask, Candidates};
use crate::pool::Pool;
use crate::trial::Trial;
use crate::trust::Asker;
use crate::Random;

/// While anybody is on trial or may come to be, this often is asked anew.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// While a trial is under way, this often: others may follow it at once.
const VERDICT: Duration = Duration::from_millis(10);

/// Choosing again after others were faster: so often, then the tier counts as full.
const RACES: usize = 16;

/// What came of a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This one; it counts one more in flight, and whoever picked ends that once.
    Backend(Slot),
    /// Somebody is well and untried, but all such are at their limit.
    Saturated,
    /// Nobody is left.
    Nobody,
}

/// Who has been tried for one request, in order. At most 64 by the configuration (`retry.attempts`).
#[derive(Debug, Clone, Default)]
pub struct Tried(Vec<Slot>);

impl Tried {
    /// Makes an empty set.
    pub const fn new() -> Tried {
        Tried(Vec::new())
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one, if it isn't there.
    pub fn add(&mut self, slot: Slot) {
        if !self.contains(slot) {
            self.0.push(slot);
        }
    }

    /// Whether this one has been tried.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        self.0.contains(&slot)
    }

    /// How many have been tried.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody has been tried.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those tried, in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.0.iter().copied()
    }
}

/// One worker's sight of a pool.
#[derive(Debug)]
pub struct View {
    pool: Arc<Pool>,
    groups: Arc<Groups>,
    /// Until then no trial is due and no share grows, for each [`Asker`] but `Last`, who never
    /// waits.
    look_at: [Moment; 3],
}

impl View {
    /// Looks at a pool.
    pub fn new(pool: Arc<Pool>, now: Moment) -> View {
        let groups = pool.groups(now);
        pool.watch().begins(now);
        View { pool, groups, look_at: [Moment::ZERO; 3] }
    }

    /// The pool that it looks at.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Picks a backend for a request that can be sent again; see [`pick_for`](View::pick_for).
    pub fn pick(
        &mut self,
        key: Option<u64>,
        tried: &Tried,
        now: Moment,
        random: &mut Random,
    ) -> Pick {
        self.pick_for(Asker::Repeatable, key, tried, now, random)
    }

    /// Picks a backend and begins: the caller calls
    /// [`end`](crate::state::BackendState::end) on it once.
    ///
    /// Who asks decides when it may be sent to one on trial. Not for [`Asker::Last`]: that is asked
    /// here, when nobody is left. `key` is what `Policy::Hash` goes by (without one it picks by
    /// chance); `tried` are those that are not to be picked again. The picked one may be on trial:
    /// then its health is still `Down`, or `Suspect` beside others that are well.
    #[inline]
    pub fn pick_for(
        &mut self,
        asker: Asker,
        key: Option<u64>,
        tried: &Tried,
        now: Moment,
        random: &mut Random,
    ) -> Pick {
        if self.groups.epoch != self.pool.epoch() {
            self.refresh(now);
        }
        if now >= self.look_at[asker as usize] && tried.is_empty() {
            if now >= self.groups.until {
                self.refresh(now);
            }
            if let Some(slot) = self.pick_trial(asker, key, now) {
                return Pick::Backend(slot);
            }
        }
        for (index, tier) in self.groups.tiers.iter().enumerate() {
            let cursor = self.pool.shared().cursor(index);
            let mut ask = Ask { key, now, random, cursor };
            if let Some(slot) = pick_in(tier, tried, &mut ask) {
                return Pick::Backend(slot);
            }
        }
        self.pick_otherwise(key, tried, now)
    }

    /// Finds out whom a policy outside may choose from: into `candidates`, in the plan's order.
    ///
    /// Answers a pick instead where there is nothing to choose: a trial is due (and begun), or
    /// nobody is left.
    pub fn consult(
        &mut self,
        asker: Asker,
        key: Option<u64>,
        tried: &Tried,
        now: Moment,
        candidates: &mut Vec<Slot>,
    ) -> Option<Pick> {
        candidates.clear();
        if self.groups.epoch != self.pool.epoch() || now >= self.groups.until {
            self.refresh(now);
        }
        if now >= self.look_at[asker as usize] && tried.is_empty() {
            if let Some(slot) = self.pick_trial(asker, key, now) {
                return Some(Pick::Backend(slot));
            }
        }
        for tier in &self.groups.tiers {
            let usable = tier.rows.iter().filter(|row| row.is_usable(tried));
            candidates.extend(usable.map(|row| row.slot));
            if !candidates.is_empty() {
                return None;
            }
        }
        Some(self.pick_otherwise(key, tried, now))
    }

    /// Begins what a policy outside has chosen, if it is still among those whom it may choose from.
    pub fn begin(&mut self, slot: Slot, tried: &Tried, now: Moment) -> bool {
        if self.groups.epoch != self.pool.epoch() {
            self.refresh(now);
        }
        let first = |tier: &&Tier| tier.rows.iter().any(|row| row.is_usable(tried));
        let tier = self.groups.tiers.iter().find(first);
        let row = tier.and_then(|tier| tier.rows.iter().find(|row| row.slot == slot));
        row.is_some_and(|row| row.is_usable(tried) && row.try_begin())
    }

    #[cold]
    fn refresh(&mut self, now: Moment) {
        self.groups = self.pool.groups(now);
        self.look_at = [Moment::ZERO; 3];
    }

    /// Picks one whose trial is due, or finds out when to look again.
    #[cold]
    fn pick_trial(&mut self, asker: Asker, key: Option<u64>, now: Moment) -> Option<Slot> {
        let groups = &*self.groups;
        // A check may allow tomorrow what it forbids today, without moving the epoch.
        let never = if groups.candidates.is_empty() { Moment(u64::MAX) } else { now + LOOK_AGAIN };
        let mut next = never.min(groups.until);
        for Candidate { row, keys, .. } in &groups.candidates {
            if keys.is_some_and(|keys| !keys.contain(key)) {
                // Another's connection may be the one that may try it.
                next = now;
                continue;
            }
            match claim(row, groups, asker, now) {
                Trial::Claimed => return Some(row.slot),
                Trial::NotBefore(due) => next = next.min(due),
                Trial::UnderWay => next = next.min(now + VERDICT),
                Trial::Never => {}
            }
        }
        self.look_at[asker as usize] = next;
        None
    }

    /// Nobody could be picked: says why, unless a trial is better than an error.
    #[cold]
    fn pick_otherwise(&mut self, key: Option<u64>, tried: &Tried, now: Moment) -> Pick {
        let groups = &*self.groups;
        // In a fixed table somebody may be free, and not for this key.
        let full = |tier: &Tier| {
            let fixed = tier.table.is_fixed();
            tier.rows.iter().any(|row| !(tried.contains(row.slot) || fixed && row.has_room()))
        };
        if groups.tiers.iter().any(full) {
            return Pick::Saturated;
        }
        let alone = groups.candidates.iter().find(|Candidate { row, keys, fixed }| {
            let may = !fixed || keys.is_some_and(|keys| keys.contain(key));
            let may = may && !tried.contains(row.slot);
            may && claim(row, groups, Asker::Last, now) == Trial::Claimed
        });
        alone.map_or(Pick::Nobody, |candidate| Pick::Backend(candidate.row.slot))
    }
}

/// Chooses in one tier until a choice can be begun.
#[inline]
fn pick_in(tier: &Tier, tried: &Tried, ask: &mut Ask) -> Option<Slot> {
    let candidates = Candidates { rows: &tier.rows, tried };
    for _ in 0..RACES {
        let row = &tier.rows[tier.table.pick(&candidates, ask)?];
        if row.try_begin() {
            return Some(row.slot);
        }
    }
    None
}

/// Begins a trial. It counts as in flight before it is claimed, so that the end of another
/// request can't be taken for its own.
fn claim(row: &Row, groups: &Groups, asker: Asker, now: Moment) -> Trial {
    if !row.try_begin() {
        return Trial::NotBefore(now + LOOK_AGAIN);
    }
    let trial = row.state.claim_trial(&groups.rules, asker, now);
    if trial != Trial::Claimed {
        row.state.end();
    }
    trial
}
