//! How much a backend is believed that has disappointed: what its holds are, and from when on.
//!
//! Rules of this file
//! 1. An *outage* is the time from the loss of trust to its return. One that begins within
//!    [`FLAPPING`] of the last one's end is a *relapse*. Each `FLAPPING` of health forgets one.
//! 2. The hold is [`FIRST_HOLD`], doubled for each relapse: who flaps is held back on purpose.
//!    So long nothing may have gone wrong before it is believed again.
//! 3. Within an outage each trial that failed doubles it once more, but only for those who would
//!    pay for the next one. A request that is *protected* costs its client nothing, and so one may
//!    begin each second for as long as the outage lasts, flapping or not, however long the one
//!    before took to fail. One that goes well is followed by the next after [`PROVING`], until the
//!    hold is over: so one that only came back is in use again at once, and one that flaps gets a
//!    trickle.
//! 4. A trial that shows nothing is followed by the next after the same hold, since its client may
//!    have paid for it. But one that cost nobody makes those who would pay wait no longer than
//!    before it, and after one that was answered, by an error, they wait for a quarter of the hold:
//!    somebody is there.
//! 5. A check page that is well doesn't overrule what traffic showed. While a backend is only
//!    suspect its passes count again if nothing has tried it for [`UNTRIED`]: then there is no
//!    traffic that would.
//!
//! | whose word | counts after | at most |
//! |---|---|---|
//! | a protected request's | 1 s, from the beginning of the last trial | |
//! | of protected ones that all went well | 1 s × 2^relapses | 30 s |
//! | a repeatable one's | 1 s × 2^(relapses + failed trials), from the last that would pay | 60 s |
//! | any other's | [`TRIAL_RESERVED`] more, or 1 s after a trial that went well | 63 s |
//! | any, if nobody else is left | 1 s | |
//! | of a check that took it down | nothing, or 1 s × 2^(relapses - 1) | 30 s |
//! | of a check, or requests that are no trials, while it is suspect | [`UNTRIED`] | |
//!
//! Not here: what costs trust and what brings it back (`tracker`).

use std::time::Duration;

use fairlead_model::moment::Moment;

/// The hold before the first trial request.
pub const FIRST_HOLD: Duration = Duration::from_secs(1);
/// The longest hold of requests that pay for it if it goes wrong.
pub const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// The longest hold for flapping.
pub const LONGEST_FLAP_HOLD: Duration = Duration::from_secs(30);
/// An outage within this time of the last one's end is a relapse.
pub const FLAPPING: Duration = Duration::from_secs(30);
/// A trial that is due waits so long for a request that can be sent again if it fails.
pub const TRIAL_RESERVED: Duration = Duration::from_secs(3);
/// Between trials that go well, while nothing but time is lacking.
pub const PROVING: Duration = Duration::from_millis(100);
/// So many times shorter is a hold after a trial that was answered by an error, which may be the
/// request's doing. Where one request in twenty is to blame, two such trials in a row are one in
/// 400, and would keep a backend out for two minutes more; at a quarter that takes eight.
const ANSWERED: u32 = 4;
/// Any trial was due long before.
pub const UNTRIED: Duration = Duration::from_secs(90);

/// More of them make no difference: the longest hold is reached.
const MOST: u32 = 6;

/// Who asks for a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A request that can be sent again if the trial fails.
    Repeatable,
    /// One that can't.
    Unrepeatable,
    /// One that another backend answers if this one is late or answers with an error, so that its
    /// client doesn't notice.
    Protected,
    /// Any, if nobody else is left: the alternative is an error for certain.
    Last,
}

/// What is known of a backend's disappointments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    lost: bool,
    relapses: u32,
    /// Trials that failed in this outage.
    failed: u32,
    /// When the last outage ended.
    back: Option<Moment>,
    /// What the holds count from of those to whom a trial costs nothing: the beginning of the
    /// outage or of the last trial.
    from: Moment,
    /// What those count from that would pay for one.
    paid: Moment,
    /// The last trial was answered, and has shown nothing.
    answered: bool,
    /// When it did the last thing that speaks against it, or was sent what it failed at.
    bad: Moment,
    /// It needn't wait to be believed: it was taken for silent and has answered, or nobody else is
    /// left.
    waived: bool,
}

impl Trust {
    /// Whether it is lost, and has not come back.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the last outage has ended since then.
    pub(crate) fn is_back_since(&self, then: Moment) -> bool {
        !self.lost && self.back.is_some_and(|back| back > then)
    }

    /// Whether the last outage had ended so shortly before.
    pub(crate) fn was_just_back(&self, then: Moment) -> bool {
        self.back.is_some_and(|back| then.since(back) < FLAPPING)
    }

    /// It did what costs it. During an outage that is old news.
    pub(crate) fn lose(&mut self, now: Moment) {
        if !self.lost {
            self.lost = true;
            self.failed = 0;
            self.restart(now);
            if let Some(back) = self.back {
                let health = now.since(back);
                let forgotten = (health.as_millis() / FLAPPING.as_millis()).min(MOST.into()) as u32;
                let again = u32::from(health < FLAPPING);
                self.relapses = (self.relapses + again).min(MOST).saturating_sub(forgotten);
            }
        }
    }

    /// A trial failed. What that speaks of is when it was sent, however long it took to fail.
    pub(crate) fn disappoint(&mut self, now: Moment) {
        let bad = self.bad.max(self.from);
        self.failed = (self.failed + 1).min(MOST);
        self.worsen(now);
        self.bad = bad;
    }

    /// Holds count from now on.
    pub(crate) fn restart(&mut self, now: Moment) {
        self.from = now;
        self.worsen(now);
    }

    /// Something more speaks against it. Those who pay for nothing don't wait longer for that.
    pub(crate) fn worsen(&mut self, now: Moment) {
        self.paid = now;
        self.answered = false;
        self.bad = now;
        self.waived = false;
    }

    /// A trial begins: the next one is due that much later.
    pub(crate) fn tries(&mut self, asker: Asker, now: Moment) {
        self.from = now;
        if matches!(asker, Asker::Repeatable | Asker::Unrepeatable) {
            self.paid = now;
            self.answered = false;
        }
    }

    /// A trial has shown nothing but that somebody answers.
    pub(crate) fn is_answered(&mut self) {
        self.answered = true;
    }

    /// It needn't wait to be believed, unless something more speaks against it.
    pub(crate) fn waive(&mut self) {
        self.waived = true;
    }

    /// It is believed again.
    pub(crate) fn regain(&mut self, now: Moment) {
        self.failed = 0;
        if std::mem::take(&mut self.lost) {
            self.back = Some(now);
        }
    }

    /// From when on a request may try it.
    pub(crate) fn trial_from(&self, asker: Asker) -> Moment {
        let soonest = self.from + FIRST_HOLD;
        let whole = doubled(self.relapses + self.failed).min(LONGEST_HOLD);
        let own = self.paid + if self.answered { whole / ANSWERED } else { whole };
        match asker {
            Asker::Repeatable => own.max(soonest),
            Asker::Unrepeatable => own.max(soonest) + TRIAL_RESERVED,
            Asker::Protected | Asker::Last => soonest,
        }
    }

    /// From when on a request may try it that another went well before, of so many as are wanted
    /// (`enough`) or fewer.
    pub(crate) fn next_trial_from(&self, asker: Asker, enough: bool) -> Moment {
        match asker {
            Asker::Repeatable | Asker::Unrepeatable if enough => self.trial_from(asker),
            Asker::Unrepeatable => self.from + FIRST_HOLD,
            Asker::Protected if enough => self.from + PROVING,
            Asker::Repeatable | Asker::Protected | Asker::Last => self.from,
        }
    }

    /// Whether nothing has gone wrong for so long that trials which went well are believed.
    pub(crate) fn is_believable(&self, now: Moment) -> bool {
        // Who was never distrusted has no outage, and so no relapse.
        let held = self.bad + doubled(self.relapses).min(LONGEST_FLAP_HOLD);
        self.waived || !self.lost || now >= held
    }

    /// From when on the passes of the check that took it down count.
    pub(crate) fn passes_from(&self) -> Moment {
        match self.relapses.checked_sub(1) {
            None => self.bad,
            Some(relapses) => self.bad + doubled(relapses).min(LONGEST_FLAP_HOLD),
        }
    }

    /// From when on passes and requests count that are no trials.
    pub(crate) fn hearsay_from(&self) -> Moment {
        self.from + UNTRIED
    }
}

/// The first hold, doubled so often.
fn doubled(times: u32) -> Duration {
    FIRST_HOLD * (1 << times.min(MOST))
}
