//! The ways in of evidence, and what picks and requests read of what follows from it.
//!
//! Rules of this file
//! 1. Evidence goes to the [`Tracker`] behind its lock; what it comes to is copied into atomics
//!    before that is released, so that copies are never older than what they overwrite.
//! 2. A request that went well costs one relaxed load, unless there is something to forgive.
//! 3. The pool's epoch moves when a backend stands elsewhere than before, and after everything
//!    else that a new table reads.
//!
//! Not here: what which evidence means (tracker).

use std::sync::atomic::Ordering::Relaxed;
use std::sync::MutexGuard;

use fairlead_model::backend::Wish;
use fairlead_model::health::{Evidence, Health, Misdeed, Origin, Transition};
use fairlead_model::moment::Moment;

use super::{BackendState, COLD};
use crate::standing::Standing;
use crate::tracker::{Rules, Tracker};
use crate::trial::Trial;
use crate::trust::Asker;

impl BackendState {
    /// What fairlead believes of it.
    #[inline]
    pub fn health(&self) -> Health {
        Health::from_u8(self.health.load(Relaxed))
    }

    /// When that began, the start of time if it never changed. Takes a lock.
    pub fn since(&self) -> Moment {
        self.tracker().since().unwrap_or(Moment::ZERO)
    }

    /// Whether silence on what was sent then is an old story: it has come back from that outage
    /// since, or another trial has begun, which is to tell. Takes a lock.
    #[cold]
    pub fn is_old_news(&self, sent: Moment) -> bool {
        self.tracker().is_old_news(sent)
    }

    /// Where it stands among the others.
    pub(crate) fn standing(&self) -> Standing {
        Standing::from_u8(self.standing.load(Relaxed))
    }

    /// Whether it answers as far as is known: not down, or only ejected.
    pub fn is_there(&self) -> bool {
        self.standing() != Standing::Down
    }

    /// Whether it takes traffic, and nothing speaks against it. Where nothing is checked nobody is
    /// known to be healthy before the first traffic.
    pub fn is_well(&self) -> bool {
        let well = matches!(self.health(), Health::Healthy | Health::Unknown);
        well && self.wish() == Wish::Enabled && self.weight() > 0
    }

    /// Whether it has to prove itself: what is sent there now is a trial, or has no choice.
    #[inline]
    pub fn is_on_probation(&self) -> bool {
        self.standing() >= Standing::Distrusted
    }

    /// Whether a connect that comes about is a success; see [`Tracker::is_shown_by_connects`].
    #[inline]
    pub fn is_shown_by_connects(&self) -> bool {
        !self.is_on_probation() || self.tracker().is_shown_by_connects()
    }

    /// Takes one piece of evidence; says what changed, if anything did.
    pub fn observe(&self, evidence: &Evidence, rules: &Rules, now: Moment) -> Option<Transition> {
        if evidence.origin == Origin::Check && evidence.passed {
            self.passed.store(now.0, Relaxed);
        }
        self.tell(Some(rules), now, |tracker| tracker.observe(evidence, rules, now))
    }

    /// Takes note of a request that went well: one relaxed load if there is nothing to forgive.
    #[inline]
    pub fn succeeded(&self, rules: &Rules, now: Moment) -> Option<Transition> {
        if self.forgivable.load(Relaxed) {
            self.forgive(rules, now)
        } else {
            None
        }
    }

    /// Makes a backend suspect that is late but hasn't failed: no failure is counted. `what` is
    /// what is late, `detail` by how much, or empty.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it for this, as for Evidence")]
    pub fn doubt(&self, what: &'static str, detail: String, now: Moment) -> Option<Transition> {
        self.tell(None, now, |tracker| tracker.doubt(what, &detail, now))
    }

    /// The same, and it has to prove itself; see [`Tracker::overdue`].
    #[expect(clippy::needless_pass_by_value, reason = "callers make it for this, as for Evidence")]
    pub fn overdue(&self, what: &'static str, detail: String, now: Moment) -> Option<Transition> {
        self.tell(None, now, |tracker| tracker.overdue(what, &detail, now))
    }

    /// Takes an answer that came too late to what was sent then; see [`Tracker::answers_late`].
    pub(crate) fn answers_late(&self, sent: Moment, now: Moment) {
        let _ = self.tell(None, now, |tracker| {
            tracker.answers_late(sent, now);
            None
        });
    }

    /// Takes an answer that is an error, which may be the request's doing; see
    /// [`Tracker::shows_nothing`].
    pub fn shows_nothing(&self, others: bool) {
        self.tracker().shows_nothing(others);
    }

    /// Takes a misdeed: `seen` is what and its particulars; see [`Tracker::misbehaves`].
    pub fn misbehaves(
        &self,
        misdeed: Misdeed,
        seen: (&'static str, &str),
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.tell(Some(rules), now, |tracker| tracker.misbehaves(misdeed, seen, rules, now))
    }

    /// Takes an answer where silence was the evidence; see [`Tracker::refute`].
    #[cold]
    pub fn refute(&self, rules: &Rules, now: Moment) -> Option<Transition> {
        self.tell(Some(rules), now, |tracker| tracker.refute(rules, now))
    }

    /// Takes it out, because others answer better; see [`outlier`](crate::outlier).
    pub(crate) fn eject(
        &self,
        misdeed: Misdeed,
        detail: &str,
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.tell(Some(rules), now, |tracker| tracker.eject(misdeed, detail, now))
    }

    /// Forgets what was seen of it; see [`Tracker::forget`].
    pub fn forget_health(&self, rules: &Rules, now: Moment) -> Option<Transition> {
        self.tell(Some(rules), now, |tracker| tracker.forget(now))
    }

    /// Its host is dead: down, if there is a check that can bring it back.
    pub fn host_is_dead(&self, why: &str, rules: &Rules, now: Moment) -> Option<Transition> {
        self.tell(Some(rules), now, |tracker| tracker.host_is_dead(why, rules, now))
    }

    /// Asks for a trial request; see [`Tracker::claim_trial`].
    pub(crate) fn claim_trial(&self, rules: &Rules, asker: Asker, now: Moment) -> Trial {
        let mut tracker = self.tracker();
        let trial = tracker.claim_trial(rules, asker, now);
        self.publish(&tracker, Some(rules));
        trial
    }

    #[cold]
    fn forgive(&self, rules: &Rules, now: Moment) -> Option<Transition> {
        let (origin, what) = (Origin::Traffic, "answered");
        self.observe(&Evidence { origin, passed: true, what, detail: String::new() }, rules, now)
    }

    /// The last request in flight to it has ended, and one of them was a trial.
    #[cold]
    pub(super) fn end_without_verdict(&self) {
        let mut tracker = self.tracker();
        tracker.release_trial();
        self.on_trial.store(false, Relaxed);
    }

    pub(super) fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.hold()
    }

    /// The one way in. Without rules it isn't known whether there is anything to forgive; the next
    /// request that goes well finds out.
    fn tell(
        &self,
        rules: Option<&Rules>,
        now: Moment,
        say: impl FnOnce(&mut Tracker) -> Option<Transition>,
    ) -> Option<Transition> {
        let mut tracker = self.tracker();
        let was_out = tracker.has_fallen();
        let change = say(&mut tracker);
        let moved = self.publish(&tracker, rules);
        drop(tracker);
        if let Some(Transition { from, to, why }) = &change {
            self.history.hold().health(now, *from, *to, why);
            if was_out && *to == Health::Healthy {
                self.back.store(now.0.clamp(1, COLD - 1), Relaxed);
            }
        }
        if moved {
            self.shared.bump();
        }
        change
    }

    /// Copies what picks and `succeeded` read; says whether the backend stands elsewhere now.
    fn publish(&self, tracker: &Tracker, rules: Option<&Rules>) -> bool {
        self.health.store(tracker.health() as u8, Relaxed);
        let forgivable = rules.is_none_or(|rules| tracker.forgivable(rules));
        self.forgivable.store(forgivable, Relaxed);
        self.on_trial.store(tracker.on_trial(), Relaxed);
        let standing = tracker.standing() as u8;
        self.standing.swap(standing, Relaxed) != standing
    }
}
