//! Evidence → health: the only place that changes what fairlead believes of a backend.
//!
//! Rules of this file
//! 1. No change without evidence, and every change says which: origin, what, how many in a row.
//! 2. Checks and traffic are two witnesses with a streak each. Neither's word ends the other's
//!    streak of failures, so that a check page that is well doesn't hide a broken application.
//! 3. What the check took down comes back by `rise` passes of the check, never by waiting and
//!    never by a client's request: a host that swallows packets must not get one as its probe.
//! 4. "Late" is no failure. It makes a backend suspect (so that it is probed at once and used
//!    last) and counts towards no streak.
//! 5. A *misdeed* is what others did better at the same time: an answer where this one said
//!    nothing, a good one where its was wrong. Neither a check nor another request refutes it: both
//!    may be well while every other answer is wrong. It costs the backend its *trust*.
//! 6. What traffic took out comes back by *trial requests* that go well, one at a time: one after
//!    silence, [`GOOD`] in a row after wrong answers, of which every other may be right.
//! 7. Who flaps has to do so for a time that grows (`trust`). Meanwhile it is suspect and
//!    distrusted, not down: it does answer, and is used if nobody else is left.
//!
//! | believed | because | what ends it |
//! |---|---|---|
//! | unknown | nothing was seen yet | the first evidence |
//! | healthy | it answered, or its check passed | any evidence against it |
//! | suspect | something was late, or failed | a pass of the check or an answer; if the check's last word was a failure, its pass alone |
//! | suspect, *distrusted* | a misdeed | trial requests; any pass or answer, as above, once nothing has tried it for long |
//! | down | the check failed `fall` times; its host is dead | `rise` passes of the check, which make one that flaps suspect only |
//! | suspect, *distrusted* | it flaps, and its check passes again | the same once its hold is over; trial requests |
//! | down | traffic: `fall` failures or misdeeds in a row | trial requests, which make one that flaps suspect first; if the check fails too, its passes |
//! | down, *ejected* | traffic: others answer better | the same; while nobody else is left it is used |
//!
//! How long each of these has to wait is in `trust`.
//!
//! Not here: what counts as evidence (`Reason`'s table), who probes when (flow), who may be picked
//! (`groups`).

use fairlead_model::health::{Evidence, Health, Misdeed, Origin, Transition};
use fairlead_model::moment::Moment;

use crate::trial::{Trial, Trials};
use crate::trust::{Asker, Trust};

/// Trials in a row that have to go well after wrong answers. One whose every other answer is wrong
/// passes one in 32 times, and then is held back as one that flaps; at 20 requests a second they
/// take a quarter of one.
pub const GOOD: u32 = 5;

/// What a pool's plan says about health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Check passes in a row before a down backend is used again.
    pub rise: u32,
    /// Failures in a row before one is down.
    pub fall: u32,
    /// Whether there is an active check at all.
    pub has_check: bool,
    /// Whether traffic's word alone may take one down now (see [`outlier`](crate::outlier)).
    pub ejects: bool,
}

/// The health of one backend and what is needed to change it. A value: the same evidence at the
/// same moments gives the same transitions.
#[derive(Debug, Clone)]
pub struct Tracker {
    health: Health,
    /// Who took it down. Means nothing unless it is down.
    cause: Origin,
    /// It is down because others answer better, and for nothing else.
    ejected: bool,
    /// It was down in this outage.
    fell: bool,
    /// The worst that it did in this outage.
    misdeed: Option<Misdeed>,
    /// The last check passed; `None` before the first.
    check_passed: Option<bool>,
    /// How many checks in a row said the same.
    checks: u32,
    /// How many requests in a row failed.
    traffic_failures: u32,
    /// The last transition.
    since: Option<Moment>,
    why: String,
    trust: Trust,
    trials: Trials,
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker {
            health: Health::Unknown,
            cause: Origin::Check,
            ejected: false,
            fell: false,
            misdeed: None,
            check_passed: None,
            checks: 0,
            traffic_failures: 0,
            since: None,
            why: String::new(),
            trust: Trust::default(),
            trials: Trials::default(),
        }
    }
}

impl Tracker {
    /// Takes one piece of evidence; says what changed, if anything did.
    ///
    /// What a **check** says:
    ///
    /// | from            | fail, fewer than `fall` | fail, `fall`th  | pass, fewer than `rise` | pass, `rise`th |
    /// |-----------------|---------|-----------------|---------|---------|
    /// | Unknown         | Suspect | Down (check)    | Healthy | Healthy |
    /// | Healthy         | Suspect | Down (check)    | –       | –       |
    /// | Suspect         | –       | Down (check)    | Healthy, but not within a misdeed's hold | the same |
    /// | Down (check)    | –       | –               | –       | Healthy; within the hold of a flapping one Suspect |
    /// | Down (traffic)  | is Down (check) | is Down (check) | –       | –       |
    ///
    /// What **traffic** says, or a trial request (T):
    ///
    /// | from            | fail, fewer than `fall` | fail, `fall`th | pass |
    /// |-----------------|---------|----------------|---------|
    /// | Unknown         | Suspect | Down (traffic) | Healthy |
    /// | Healthy         | Suspect | Down (traffic) | –       |
    /// | Suspect         | – (T: the hold grows) | Down (traffic) | Healthy, unless the last check failed, or within a misdeed's hold (T: Healthy) |
    /// | Down (check)    | –       | –              | –       |
    /// | Down (traffic)  | – (T: the hold grows) | – | – (T: Healthy; within the hold of a flapping one Suspect) |
    ///
    /// A pool that has no check (any more) treats Down (check) like Down (traffic), and no check
    /// failure keeps it suspect.
    ///
    /// ```
    /// # use fairlead_balance::tracker::{Rules, Tracker};
    /// # use fairlead_model::{health::{Evidence, Health, Origin}, moment::Moment};
    /// let rules = Rules { rise: 2, fall: 3, has_check: true, ejects: true };
    /// let check = |passed, what| Evidence {
    ///     origin: Origin::Check, passed, what, detail: String::new(),
    /// };
    /// let mut tracker = Tracker::default();
    /// let seen = [(false, "connect refused"); 3].into_iter().chain([(true, "connected"); 2]);
    /// let changes: Vec<_> = seen
    ///     .filter_map(|(passed, what)| tracker.observe(&check(passed, what), &rules, Moment(1)))
    ///     .map(|change| (change.to, change.why))
    ///     .collect();
    /// assert_eq!(changes, [
    ///     (Health::Suspect, "check: connect refused, 1 in a row".to_string()),
    ///     (Health::Down, "check: connect refused, 3 in a row".to_string()),
    ///     (Health::Healthy, "check: connected, 2 in a row".to_string()),
    /// ]);
    /// ```
    pub fn observe(
        &mut self,
        evidence: &Evidence,
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        let Evidence { origin, passed, what, ref detail } = *evidence;
        let (to, in_a_row) = match origin {
            Origin::Check => self.check_says(passed, rules, now),
            Origin::Traffic => self.traffic_says(passed, rules, now),
        };
        self.turn(to, origin, now, || in_a_row_of(origin, what, detail, in_a_row))
    }

    /// Makes a backend suspect that is late but hasn't failed. A trial has failed with that.
    pub fn doubt(&mut self, what: &str, detail: &str, now: Moment) -> Option<Transition> {
        if self.trials.end() {
            self.disappoint(now);
        }
        let to = match self.health {
            Health::Unknown | Health::Healthy => Health::Suspect,
            same => same,
        };
        self.turn(to, Origin::Traffic, now, || {
            format!("traffic: {}, not counted as a failure", told(what, detail))
        })
    }

    /// Takes an answer that came too late to what was sent then: a trial has failed, if it is its.
    pub fn answers_late(&mut self, sent: Moment, now: Moment) {
        if self.trials.has_one_since(sent) && self.trials.end() {
            self.disappoint(now);
        }
    }

    /// Takes an answer that is an error, which may be the request's doing: if it is a trial's, it
    /// shows nothing but that somebody is there. Where errors are what it did, it may be another,
    /// unless `others` answered the same request so.
    pub fn shows_nothing(&mut self, others: bool) {
        if self.trials.has_one() && (others || self.wanted() == 1) {
            self.trust.is_answered();
        }
    }

    /// Whether a connect that comes about shows that it is well. It doesn't where others did better
    /// at something else: a frozen process's kernel goes on completing connects.
    pub fn is_shown_by_connects(&self) -> bool {
        self.misdeed.is_none()
    }

    /// Takes lateness that is a misdeed, where no failure is counted: the request is still waiting,
    /// and others of its kind were answered meanwhile.
    pub fn overdue(&mut self, what: &str, detail: &str, now: Moment) -> Option<Transition> {
        self.note(Misdeed::Silence, now);
        self.doubt(what, detail, now)
    }

    /// Takes a misdeed, which is a failure of traffic, too.
    pub fn misbehaves(
        &mut self,
        misdeed: Misdeed,
        (what, detail): (&str, &str),
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.note(misdeed, now);
        let (to, in_a_row) = self.traffic_says(false, rules, now);
        self.turn(to, Origin::Traffic, now, || in_a_row_of(Origin::Traffic, what, detail, in_a_row))
    }

    /// Takes it down at once: others answer better.
    pub fn eject(&mut self, misdeed: Misdeed, detail: &str, now: Moment) -> Option<Transition> {
        self.misdeed = self.misdeed.max(Some(misdeed));
        let change = self
            .turn(Health::Down, Origin::Traffic, now, || format!("traffic: ejected ({detail})"))?;
        self.ejected = self.cause == Origin::Traffic;
        Some(change)
    }

    /// Takes an answer where silence was the evidence: that is refuted, hold or not. What the check
    /// has to say stands, and so do wrong answers, failures, and what others do better.
    pub fn refute(&mut self, rules: &Rules, now: Moment) -> Option<Transition> {
        if self.misdeed != Some(Misdeed::Silence) || self.ejected {
            return None;
        }
        if self.health == Health::Suspect || self.is_down_by_traffic(rules) {
            self.trials.count_as_passed(self.wanted(), now);
            self.trust.waive();
        }
        let (to, _) = self.traffic_says(true, rules, now);
        self.turn(to, Origin::Traffic, now, || "traffic: answered after all".into())
    }

    /// Forgets what was seen, because the operator says that it is over: an unknown backend,
    /// which is used like a healthy one until there is evidence again.
    pub fn forget(&mut self, now: Moment) -> Option<Transition> {
        let from = self.health;
        *self = Tracker::default();
        if from == Health::Unknown {
            return None;
        }
        self.since = Some(now);
        "operator: what was seen is forgotten".clone_into(&mut self.why);
        Some(Transition { from, to: Health::Unknown, why: self.why.clone() })
    }

    /// Takes it down with its host, if there is a check that can bring it back; makes it suspect
    /// otherwise.
    pub fn host_is_dead(&mut self, why: &str, rules: &Rules, now: Moment) -> Option<Transition> {
        let to = match self.health {
            Health::Down => Health::Down,
            _ if rules.has_check => Health::Down,
            _ => Health::Suspect,
        };
        if rules.has_check {
            // As if the check had failed: what it has seen of a living host counts no more.
            self.check_passed = Some(false);
            self.checks = 0;
            if self.health == Health::Down {
                // Whoever took it down: it doesn't answer, and passes bring it back.
                self.cause = Origin::Check;
                self.ejected = false;
            }
        }
        self.turn(to, Origin::Check, now, || format!("host: {why}"))
    }

    /// Asks to send a trial request.
    pub fn claim_trial(&mut self, rules: &Rules, asker: Asker, now: Moment) -> Trial {
        let tried = match self.health {
            Health::Suspect => !rules.has_check || self.trust.is_lost(),
            Health::Down => self.is_down_by_traffic(rules),
            Health::Unknown | Health::Healthy => false,
        };
        if !tried || self.check_objects(rules) {
            return Trial::Never;
        }
        // Nobody is spared an answer that breaks off.
        let asker = match asker {
            Asker::Protected if self.misdeed == Some(Misdeed::Truncation) => Asker::Repeatable,
            asker => asker,
        };
        let due = if self.trials.good() > 0 {
            self.trust.next_trial_from(asker, self.trials.good() >= self.wanted())
        } else {
            self.trust.trial_from(asker)
        };
        let trial = self.trials.claim(due, now);
        if trial == Trial::Claimed {
            self.trust.tries(asker, now);
            if asker == Asker::Last {
                // All that come need it at once.
                self.trust.waive();
            }
        }
        trial
    }

    /// Takes note that the trial request has ended. If it has shown nothing, and nothing comes
    /// after all, the next one is due as rule 4 of `trust` says.
    pub fn release_trial(&mut self) {
        self.trials.release();
    }

    fn check_says(&mut self, passed: bool, rules: &Rules, now: Moment) -> (Health, u32) {
        let same = self.check_passed == Some(passed);
        self.checks = if same { self.checks.saturating_add(1) } else { 1 };
        self.check_passed = Some(passed);
        let down = self.health == Health::Down;
        let to = match passed {
            true if self.is_held(now) => Health::Suspect,
            true if !down => Health::Healthy,
            true if self.is_down_by_traffic(rules) => Health::Down,
            true if self.checks < rules.rise => Health::Down,
            true if now < self.trust.passes_from() => {
                // But for its hold it would be well: what it did before it fell is over.
                self.misdeed = None;
                Health::Suspect
            }
            true => Health::Healthy,
            false if self.checks < rules.fall && !down => Health::Suspect,
            // What traffic took out, the check sees too: from now on the check's word counts.
            false => {
                self.cause = Origin::Check;
                self.ejected = false;
                Health::Down
            }
        };
        (to, self.checks)
    }

    fn traffic_says(&mut self, passed: bool, rules: &Rules, now: Moment) -> (Health, u32) {
        let trial = self.trials.end();
        if self.health == Health::Down && !(trial && self.is_down_by_traffic(rules)) {
            // What was under way when it went down; the verdict stands without it.
            return (Health::Down, 0);
        }
        if passed {
            if trial && self.trials.pass() < self.wanted() {
                return (self.health, 1);
            }
            self.traffic_failures = 0;
            if trial && !self.trust.is_believable(now) {
                return (Health::Suspect, 1);
            }
            let held = self.is_held(now) && !trial;
            let objects = held || self.health == Health::Suspect && self.check_objects(rules);
            return (if objects { Health::Suspect } else { Health::Healthy }, 1);
        }
        self.trials.begin_anew();
        if trial {
            self.disappoint(now);
        }
        if self.health == Health::Down {
            return (Health::Down, 0);
        }
        if !self.trust.is_lost() {
            self.trust.restart(now);
        }
        self.traffic_failures = self.traffic_failures.saturating_add(1);
        let fell = self.traffic_failures >= rules.fall && rules.ejects;
        (if fell { Health::Down } else { Health::Suspect }, self.traffic_failures)
    }

    /// Takes note of a misdeed. What was asked before it went down has its verdict already.
    fn note(&mut self, misdeed: Misdeed, now: Moment) {
        let trial = self.trials.has_one();
        if self.health == Health::Down && !trial {
            return;
        }
        self.misdeed = self.misdeed.max(Some(misdeed));
        if !(trial && self.trust.is_lost()) {
            self.trust.lose(now);
        }
    }

    /// A trial went badly.
    fn disappoint(&mut self, now: Moment) {
        self.trials.begin_anew();
        self.trust.disappoint(now);
    }

    /// Trials in a row that have to go well.
    fn wanted(&self) -> u32 {
        match self.misdeed {
            None | Some(Misdeed::Silence) => 1,
            Some(Misdeed::Error | Misdeed::Truncation) => GOOD,
        }
    }

    /// Whether it is distrusted, and nothing but a trial lifts that yet.
    fn is_held(&self, now: Moment) -> bool {
        let distrusted = self.health == Health::Suspect && self.trust.is_lost();
        // If it was the check's word alone, its passes end that.
        let check_alone = self.fell && self.cause == Origin::Check && self.misdeed.is_none();
        let until = if check_alone { self.trust.passes_from() } else { self.trust.hearsay_from() };
        distrusted && now < until
    }

    /// Whether it is down and trial requests, not check passes, bring it back.
    fn is_down_by_traffic(&self, rules: &Rules) -> bool {
        self.health == Health::Down && (self.cause == Origin::Traffic || !rules.has_check)
    }

    /// Whether the last word of a check that still exists was a failure.
    fn check_objects(&self, rules: &Rules) -> bool {
        rules.has_check && self.check_passed == Some(false)
    }

    /// The only way health changes.
    fn turn(
        &mut self,
        to: Health,
        origin: Origin,
        now: Moment,
        why: impl FnOnce() -> String,
    ) -> Option<Transition> {
        if to == self.health {
            return None;
        }
        let from = std::mem::replace(&mut self.health, to);
        if from == Health::Down {
            // Those failures belong to the outage that is over.
            self.traffic_failures = 0;
        }
        match to {
            Health::Down => self.go_down(origin, now),
            Health::Suspect if !self.trust.is_lost() => self.trust.restart(now),
            Health::Healthy => self.come_back(now),
            Health::Suspect | Health::Unknown => {}
        }
        if (from, to) != (Health::Down, Health::Suspect) {
            self.trials = Trials::default();
        }
        self.ejected = false;
        self.since = Some(now);
        self.why = why();
        Some(Transition { from, to, why: self.why.clone() })
    }

    fn come_back(&mut self, now: Moment) {
        self.misdeed = None;
        self.fell = false;
        self.trust.regain(now);
    }

    fn go_down(&mut self, origin: Origin, now: Moment) {
        // If the check fails as well, its passes are what shows that it is over; with no traffic
        // there would be no trial to show it.
        let check_too = self.check_passed == Some(false);
        self.cause = if check_too { Origin::Check } else { origin };
        self.fell = true;
        self.trust.lose(now);
        if origin == Origin::Check {
            self.trust.worsen(now);
        }
    }
}

/// What was seen, with its detail if it has one.
fn told(what: &str, detail: &str) -> String {
    if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({detail})")
    }
}

fn in_a_row_of(origin: Origin, what: &str, detail: &str, in_a_row: u32) -> String {
    let origin = match origin {
        Origin::Check => "check",
        Origin::Traffic => "traffic",
    };
    format!("{origin}: {}, {in_a_row} in a row", told(what, detail))
}

mod seen;
#[cfg(test)]
mod tests;
