//! Who answers worse than the others of its pool, and how many may be out for that.
//!
//! A backend whose every third answer is an error, breaks off or takes forever looks well to its
//! check, and to most requests. What tells is the comparison: the same requests go well elsewhere.
//!
//! Rules of this file
//! 1. Only bad and slow answers are looked at here; good ones are taken from counters that exist
//!    anyway. The way of a request that goes well has nothing of this in it.
//! 2. Each backend is judged by its last [`WINDOW`] answers, those of half a minute ago hardly
//!    (`window`): it is an outlier if at least [`LEAST`] of them were bad, that is a tenth or more,
//!    and if so many would come by chance less than once in a million times ([`SURE`]) were it like
//!    the others. In the others' answers one more bad one is supposed than there was. So the less
//!    is known of them, the worse it must be; and what happens to everybody is nobody's fault.
//!    One that has been well for long need not fill its window with bad ones first: its *run* of
//!    them, from the first on, is judged by the same odds. Who has begun to answer badly does so
//!    beside others that were well before, and go on to be: the worse of the two counts, and for
//!    the time of the run, which is short, half a bad one more than there was. It takes seven or
//!    eight of every other one.
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

mod window;

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::{Evidence, Health, Misdeed, Origin, Transition};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;

use self::window::{Flaw, Sum, Window, SLOW_SHARE};
use crate::lock::Lock;
use crate::pool::Pool;
use crate::state::BackendState;
use crate::tracker::Rules;

pub use self::window::WINDOW;

/// So few bad ones say nothing.
pub const LEAST: f64 = 5.0;

/// The same of a run. Where one answer in twenty is an error anyway, five in a row come by chance
/// once in some hours.
const RUN_LEAST: f64 = 7.0;

/// The logarithm of the odds against chance: a million to one.
pub const SURE: f64 = 14.0;

/// Nothing faster is slow, whatever the others take: a person hardly notices.
pub const SLOW: Duration = Duration::from_millis(100);

/// So long slow answers have to go on.
pub const SUSTAINED: Duration = Duration::from_secs(1);

/// Others looked at for what is usual, at most.
const OTHERS: usize = 64;

/// The last answers of all backends of a pool.
#[derive(Debug)]
pub(crate) struct Watch(Lock<Vec<Window>>);

impl Flaw {
    /// Whether so many bad ones, of so many answers, since then may make an outlier at all.
    fn is_worth_a_look(self, (bad, answers): (f64, f64), since: Moment, now: Moment) -> bool {
        let (least, lasts) = match self {
            Flaw::Wrong => (0.1, true),
            Flaw::Slow => (SLOW_SHARE, now.since(since) >= SUSTAINED),
        };
        bad >= LEAST && bad >= answers * least && lasts
    }

    fn name(self) -> &'static str {
        match self {
            Flaw::Wrong => "bad",
            Flaw::Slow => "slow",
        }
    }
}

impl Watch {
    pub(crate) fn new(backends: &[Arc<BackendState>]) -> Watch {
        let recent = backends.iter().map(|state| Window::since_ever(state.answered()));
        Watch(Lock::new(recent.collect()))
    }

    /// Says when it is: what is answered from now on is known to be from after that. The first who
    /// looks at a pool says so; whoever has been looked at since knows better.
    pub(crate) fn begins(&self, now: Moment) {
        self.lock().iter_mut().for_each(|recent| recent.begins(now));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Window>> {
        self.0.hold()
    }
}

impl Pool {
    /// Takes evidence of traffic against a backend that doesn't answer, or whose connections fail.
    pub fn failed(&self, slot: Slot, evidence: &Evidence, now: Moment) -> Option<Transition> {
        let mut recent = self.watch().lock();
        let rules = self.rules_for(slot);
        let change = self.backend(slot).observe(evidence, &rules, now);
        let found = (Flaw::Wrong, Misdeed::Error);
        change.or_else(|| self.judge(&mut recent, slot, found, evidence.what, now))
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
        change.or_else(|| self.judge(&mut recent, slot, (Flaw::Wrong, Misdeed::Silence), what, now))
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
        change.or_else(|| self.judge(&mut recent, slot, (Flaw::Wrong, misdeed), seen.0, now))
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
        let state = self.backend(slot);
        if misdeed == Misdeed::Error && state.is_on_probation() {
            state.shows_nothing(false);
        }
        self.judge(&mut recent, slot, (Flaw::Wrong, misdeed), what, now)
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
        self.judge(&mut recent, slot, (Flaw::Slow, Misdeed::Silence), "slow answer", now)
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
        recent: &mut [Window],
        slot: Slot,
        (flaw, misdeed): (Flaw, Misdeed),
        what: &'static str,
        now: Moment,
    ) -> Option<Transition> {
        let state = self.backend(slot);
        if state.health() == Health::Down {
            recent[slot.index()].note_while_down(flaw);
            return None;
        }
        let total = state.answered();
        let mut own = recent[slot.index()];
        let before = own.answers(total, now);
        if flaw == Flaw::Slow && own.bad(flaw) <= before * SLOW_SHARE {
            own.slow_since = now;
        }
        own.count(flaw, total, || self.others_ever(recent, slot, flaw), now);
        recent[slot.index()] = own;
        // Late answers to what was sent before it was distrusted are old news: trials judge it now.
        let is_news = flaw != Flaw::Slow || !state.is_on_probation();
        let why = self.why_outlier(recent, slot, (flaw, is_news), now)?;
        if !self.may_eject(slot) {
            return None;
        }
        recent[slot.index()].reset(total, now);
        state.eject(misdeed, &format!("{why}: {what}"), &self.rules(), now)
    }

    /// Rule 2, of its last answers and, if they are news, of the run that it is in; in words, if
    /// either says that it is an outlier.
    fn why_outlier(
        &self,
        recent: &mut [Window],
        slot: Slot,
        (flaw, is_news): (Flaw, bool),
        now: Moment,
    ) -> Option<String> {
        let total = self.backend(slot).answered();
        let own = &mut recent[slot.index()];
        let answers = own.answers(total, now);
        let window = (own.bad(flaw), answers);
        let window = Some(window).filter(|it| flaw.is_worth_a_look(*it, own.slow_since, now));
        let run = own.run(flaw, total).filter(|(run, sum)| {
            let enough = is_news && sum.bad as f64 >= RUN_LEAST;
            enough && flaw.is_worth_a_look(sum.parts(), run.began, now)
        });
        let run = run.map(|(run, own)| {
            let meanwhile = run.meanwhile(self.others_ever(recent, slot, flaw));
            (own.parts(), meanwhile.parts())
        });
        let run = run.filter(|(_, (_, of))| *of >= LEAST);
        if window.is_none() && run.is_none() {
            return None;
        }
        let (others, of) = self.others_lately(recent, slot, flaw, now);
        let usual = (others + 1.0) / (of + 2.0);
        let by_window = window.filter(|own| of >= LEAST && is_sure(*own, usual));
        if let Some(own) = by_window {
            return Some(in_words(flaw, own, (others, of), "the others'"));
        }
        let by_run =
            run.filter(|(own, (others, of))| is_sure(*own, usual.max((others + 0.5) / (of + 1.0))));
        by_run.map(|(own, others)| in_words(flaw, own, others, "the others' meanwhile"))
    }

    /// Bad answers, and answers, in the windows of the next [`OTHERS`] after it that are not down.
    fn others_lately(
        &self,
        recent: &mut [Window],
        slot: Slot,
        flaw: Flaw,
        now: Moment,
    ) -> (f64, f64) {
        let up = nearest(slot, recent.len()).filter(|it| self.is_up(*it));
        up.take(OTHERS).fold((0.0, 0.0), |(bad, of), index| {
            let other = &mut recent[index];
            let answers = other.answers(self.backends()[index].answered(), now);
            (bad + other.bad(flaw), of + answers)
        })
    }

    fn is_up(&self, index: usize) -> bool {
        self.backends()[index].health() != Health::Down
    }

    /// All answers ever of the next [`OTHERS`] after it.
    fn others_ever(&self, recent: &[Window], slot: Slot, flaw: Flaw) -> Sum {
        nearest(slot, recent.len()).take(OTHERS).fold(Sum::default(), |sum, index| {
            let other = recent[index].ever(flaw, self.backends()[index].answered());
            Sum { answers: sum.answers + other.answers, bad: sum.bad + other.bad }
        })
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

/// The others of so many backends, from the one after it on.
fn nearest(slot: Slot, count: usize) -> impl Iterator<Item = usize> {
    (1..count).map(move |step| (slot.index() + step) % count)
}

/// Whether so many bad ones of so many answers are against chance where that share is usual.
fn is_sure((bad, answers): (f64, f64), usual: f64) -> bool {
    surprise(bad / answers, usual) * answers >= SURE
}

/// What speaks against a backend: its bad ones of its answers, beside others'.
fn in_words(flaw: Flaw, own: (f64, f64), (others, of): (f64, f64), whose: &str) -> String {
    let (bad, answers) = own;
    let flaw = flaw.name();
    format!(
        "{bad:.0} of its last {answers:.0} answers were {flaw}, {others:.0} of {of:.0} of {whose}"
    )
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
