//! Who answers worse than the others of its pool, and how many may be out for that.
//!
//! A backend whose every third answer is an error, breaks off or takes forever looks well to its
//! check, and to most requests. What tells is the comparison: the same requests go well elsewhere.
//!
//! Rules of this file
//! 1. Only bad and slow answers are looked at here; good ones are taken from counters that exist
//!    anyway. The way of a request that goes well has nothing of this in it.
//! 2. Each backend is judged by its last [`WINDOW`] answers, those of half a minute ago hardly
//!    ([`HALF_LIFE`]): it is an outlier if at least [`LEAST`]
//!    of them were bad, that is a tenth or more, and if so many would come by chance less than once
//!    in a million times ([`SURE`]) were it like the others. In the others' answers one more bad
//!    one is supposed than there was. So the less is known of them, the worse it must be; and what
//!    happens to everybody is nobody's fault.
//! 3. An answer is slow if it took [`SLOW`] at least, and longer than what is late at the median of
//!    the others (`deadline`). A slow outlier is one by rule 2 of whose last answers half were
//!    slow, for [`SUSTAINED`] at least: no pause for garbage lasts so long.
//! 4. An outlier is *ejected*: down by traffic, so that it comes back by trial requests. It does
//!    answer, though: what waits there goes on waiting, and if there is nobody else it is used.
//! 5. **The floor.** Passive evidence takes nobody out while as much of its group is out as
//!    `max_ejected` allows, whatever took them out; while somebody of another group is well, of the
//!    whole pool: a group of one has its understudies. Who answers wrongly beyond that stays as it
//!    is; who doesn't answer at all is suspect, which means used last, and no more.
//!
//! Pools that hash are not judged by time: a key's backend may have the slow ones.
//!
//! # Source
//!
//! The idea and the names are Envoy's (outlier detection); there it needs five hosts and a hundred
//! requests each, and a mean and a standard deviation instead of rule 2.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::{Evidence, Health, Misdeed, Origin, Transition};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;

use crate::pool::Pool;
use crate::tracker::Rules;

/// So many of its last answers are looked at.
pub const WINDOW: u64 = 64;

/// So many are left when there are more: what is new weighs more than what was.
const KEPT: u64 = WINDOW / 4;

/// So few bad ones say nothing.
pub const LEAST: f64 = 5.0;

/// The logarithm of the odds against chance: a million to one.
pub const SURE: f64 = 14.0;

/// Nothing faster is slow, whatever the others take: a person hardly notices.
pub const SLOW: Duration = Duration::from_millis(100);

/// So long slow answers have to go on.
pub const SUSTAINED: Duration = Duration::from_secs(1);

/// In so long half of what was seen is forgotten: where traffic is thin, the window reaches back to
/// troubles that are over, and one ordinary error would be one too many for whoever had them.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// Others looked at for what is usual, at most.
const OTHERS: usize = 64;

/// What is known of the last answers of one backend.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    /// The counter of its answers where the window begins.
    base: u64,
    bad: f64,
    slow: f64,
    /// Since when half of them and more were slow.
    slow_since: Moment,
    /// Until when it has aged.
    aged: Moment,
}

/// The last answers of all backends of a pool.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<Vec<Recent>>);

/// What kind of bad an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bad(Misdeed),
    Slow,
}

impl Recent {
    /// Forgets what lies before the window. Answers since.
    fn answers(&mut self, total: u64, now: Moment) -> f64 {
        if self.aged == Moment::ZERO || total < self.base {
            *self = Recent { base: total, aged: now, ..Recent::default() };
        }
        let half_lives = now.since(self.aged).as_nanos() / HALF_LIFE.as_nanos();
        if half_lives > 0 {
            self.keep(0.5_f64.powi(half_lives.min(64) as i32), total);
            // What is left of the last half-life counts towards the next.
            self.aged = self.aged + HALF_LIFE * half_lives as u32;
        }
        let all = total - self.base;
        if all > WINDOW {
            self.keep(KEPT as f64 / all as f64, total);
        }
        // Bad ones are counted when they begin, or instead of an answer.
        ((total - self.base) as f64).max(self.bad).max(self.slow)
    }

    /// Keeps this part of the answers, as if the bad ones had come evenly.
    fn keep(&mut self, part: f64, total: u64) {
        let answers = (total - self.base) as f64 * part;
        self.bad *= part;
        self.slow *= part;
        self.base = total - answers.round() as u64;
    }

    fn count(&mut self, kind: Kind) -> &mut f64 {
        match kind {
            Kind::Bad(_) => &mut self.bad,
            Kind::Slow => &mut self.slow,
        }
    }
}

impl Watch {
    pub(crate) fn new(backends: usize) -> Watch {
        Watch(Mutex::new(vec![Recent::default(); backends]))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recent>> {
        // Plain data: a panic while it was held can't have left it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Takes evidence of traffic against a backend that doesn't answer, or whose connections fail.
    pub fn failed(&self, slot: Slot, evidence: &Evidence, now: Moment) -> Option<Transition> {
        let mut recent = self.watch().lock();
        let rules = self.rules_for(slot);
        let change = self.backend(slot).observe(evidence, &rules, now);
        change.or_else(|| {
            self.judge(&mut recent, slot, Kind::Bad(Misdeed::Error), evidence.what, now)
        })
    }

    /// Takes note that a backend said nothing where others answered; see
    /// [`Tracker::misbehaves`](crate::tracker::Tracker::misbehaves).
    #[expect(clippy::needless_pass_by_value, reason = "callers make it for this, as for Evidence")]
    pub fn silent(
        &self,
        slot: Slot,
        what: &'static str,
        detail: String,
        now: Moment,
    ) -> Option<Transition> {
        let mut recent = self.watch().lock();
        let rules = self.rules_for(slot);
        let seen = (what, detail.as_str());
        let change = self.backend(slot).misbehaves(Misdeed::Silence, seen, &rules, now);
        change.or_else(|| self.judge(&mut recent, slot, Kind::Bad(Misdeed::Silence), what, now))
    }

    /// Takes note of an answer that was wrong where another backend's was right: `seen` is what and
    /// its particulars.
    pub fn wrong(
        &self,
        slot: Slot,
        misdeed: Misdeed,
        seen: (&'static str, &str),
        now: Moment,
    ) -> Option<Transition> {
        let mut recent = self.watch().lock();
        let rules = self.rules_for(slot);
        let state = self.backend(slot);
        let change = rules.ejects.then(|| state.misbehaves(misdeed, seen, &rules, now)).flatten();
        change.or_else(|| self.judge(&mut recent, slot, Kind::Bad(misdeed), seen.0, now))
    }

    /// Takes note of an answer that was an error, or broke off. That alone is no evidence: it may
    /// be the request's doing.
    pub fn bad(
        &self,
        slot: Slot,
        misdeed: Misdeed,
        what: &'static str,
        now: Moment,
    ) -> Option<Transition> {
        let mut recent = self.watch().lock();
        self.judge(&mut recent, slot, Kind::Bad(misdeed), what, now)
    }

    /// Takes note of an answer whose head took [`SLOW`] or longer.
    #[cold]
    pub fn slow(&self, slot: Slot, took: Duration, now: Moment) -> Option<Transition> {
        let group = self.plan.backends[slot.index()].group;
        if self.plan.policy_of(group) == Policy::Hash || !self.plan.outlier.latency {
            return None;
        }
        if took < SLOW || took <= self.usual(slot)? {
            return None;
        }
        let mut recent = self.watch().lock();
        let state = self.backend(slot);
        if state.is_on_probation() {
            // Perhaps a trial's. What was slow before it went down says nothing about now.
            state.answers_late(now - took, now);
        }
        self.judge(&mut recent, slot, Kind::Slow, "slow answer", now)
    }

    /// What is late at the median of the other backends; `None` if too little is known of them.
    fn usual(&self, slot: Slot) -> Option<Duration> {
        let all = self.backends().iter().enumerate();
        let others = all.filter(|(index, state)| *index != slot.index() && state.is_measure());
        let mut late: Vec<Duration> =
            others.take(OTHERS).map(|(_, state)| state.response_late_after()).collect();
        late.sort_unstable();
        late.get(late.len() / 2).copied()
    }

    /// Counts one, and ejects the backend if it is an outlier now.
    fn judge(
        &self,
        recent: &mut [Recent],
        slot: Slot,
        kind: Kind,
        what: &'static str,
        now: Moment,
    ) -> Option<Transition> {
        let state = self.backend(slot);
        if state.health() == Health::Down {
            return None;
        }
        let own = &mut recent[slot.index()];
        let before = own.answers(state.answered(), now);
        if kind == Kind::Slow && own.slow <= before / 2.0 {
            own.slow_since = now;
        }
        *own.count(kind) += 1.0;
        let answers = own.answers(state.answered(), now);
        let (count, since) = (*own.count(kind), own.slow_since);
        let share = count / answers;
        let least = if kind == Kind::Slow { 0.5 } else { 0.1 };
        let lasts = kind != Kind::Slow || now.since(since) >= SUSTAINED;
        if count < LEAST || share < least || !lasts {
            return None;
        }
        let (mut others, mut of) = (1.0, 2.0);
        for (index, state) in self.backends().iter().enumerate() {
            if index != slot.index() && state.health() != Health::Down {
                let other = &mut recent[index];
                of += other.answers(state.answered(), now);
                others += *other.count(kind);
            }
        }
        let known = of >= 2.0 + LEAST;
        if !known || surprise(share, others / of) * answers < SURE || !self.may_eject(slot) {
            return None;
        }
        recent[slot.index()] = Recent::default();
        let detail = format!(
            "{count:.0} of its last {answers:.0} answers were {}, {:.0} of {:.0} of the others': {what}",
            if kind == Kind::Slow { "slow" } else { "bad" },
            others - 1.0,
            of - 2.0,
        );
        let misdeed = match kind {
            Kind::Bad(misdeed) => misdeed,
            Kind::Slow => Misdeed::Silence,
        };
        state.eject(misdeed, &detail, &self.rules(), now)
    }

    /// The rules, with what the floor says about this backend.
    fn rules_for(&self, slot: Slot) -> Rules {
        Rules { ejects: self.may_eject(slot), ..self.rules() }
    }

    /// Rule 5.
    fn may_eject(&self, slot: Slot) -> bool {
        let group = self.plan.backends[slot.index()].group;
        let (mut ours, mut all, mut spare) = (Share::default(), Share::default(), false);
        for (index, (plan, state)) in self.plan.backends.iter().zip(self.backends()).enumerate() {
            if state.wish() != Wish::Enabled || state.weight() == 0 {
                continue;
            }
            let is_out = state.is_on_probation();
            let out = index != slot.index() && is_out;
            all.add(out);
            if plan.group == group {
                ours.add(out);
            } else {
                spare |= state.is_well();
            }
        }
        let most = self.plan.outlier.max_ejected;
        ours.allows(most) || spare && all.allows(most)
    }
}

/// How many of some backends are out.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    size: u64,
    out: u64,
}

impl Share {
    fn add(&mut self, is_out: bool) {
        self.size += 1;
        self.out += u64::from(is_out);
    }

    /// Whether one more may be, if so many hundredths of a percent may.
    fn allows(self, most: u32) -> bool {
        (self.out + 1) * 10_000 <= self.size * u64::from(most)
    }
}

/// How much one answer of a backend says against its being like the others, if `share` of its own
/// are bad and `usual` of theirs: the relative entropy, by which Chernoff bounds the chance.
fn surprise(share: f64, usual: f64) -> f64 {
    if share <= usual {
        return 0.0;
    }
    let part = |own: f64, other: f64| if own > 0.0 { own * (own / other).ln() } else { 0.0 };
    part(share, usual) + part(1.0 - share, 1.0 - usual)
}

/// Evidence of traffic against a backend.
pub fn against(what: &'static str, detail: String) -> Evidence {
    Evidence { origin: Origin::Traffic, passed: false, what, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    /// What is left of four bad ones after a minute in which somebody looked so often.
    fn left_after(looks: &[u64], answers: u64) -> (f64, f64) {
        let mut recent = Recent::default();
        recent.answers(0, at(1_000));
        recent.bad = 4.0;
        let mut left = 0.0;
        for seconds in looks {
            left = recent.answers(answers, at(1_000 + seconds));
        }
        (recent.bad, left)
    }

    #[test]
    fn it_ages_by_the_clock_however_often_somebody_looks() {
        let whole = left_after(&[60], 48);
        assert!((whole.0 - 4.0 / 64.0).abs() < 1e-9, "{whole:?}");
        for looks in [&[19, 38, 57, 60][..], &[11, 22, 33, 44, 55, 60], &[9, 18, 27, 60]] {
            let left = left_after(looks, 48);
            assert!((left.0 - whole.0).abs() < 1e-9, "{looks:?}: {left:?}, not {whole:?}");
        }
    }

    #[test]
    fn bad_answers_before_any_whole_one_are_not_forgotten_at_once() {
        let (bad, left) = left_after(&[10], 0);
        assert!((bad - 2.0).abs() < 1e-9 && (left - bad).abs() < 1e-9, "{bad} of {left}");
    }

    #[test]
    fn a_window_that_is_full_keeps_its_share_of_bad_ones() {
        let mut recent = Recent::default();
        recent.answers(0, at(1));
        recent.bad = 8.0;
        let (left, bad) = (recent.answers(80, at(2)), recent.bad);
        assert!((left - KEPT as f64).abs() < 1e-9, "{left}");
        assert!((bad / left - 0.1).abs() < 1e-9, "{bad} of {left}");
    }
}
