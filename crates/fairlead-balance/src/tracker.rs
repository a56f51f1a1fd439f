//! Evidence → health: the only place that changes what fairlead believes of a backend.
//!
//! Rules of this file
//! 1. No change without evidence, and every change says which: origin, what, how many in a row.
//! 2. Checks and traffic are two witnesses with a streak each. Neither's word ends the other's
//!    streak of failures, so that a check page that is well doesn't hide a broken application.
//! 3. What the check took down comes back by `rise` passes of the check, never by waiting and
//!    never by a client's request: a host that swallows packets must not get one as its probe.
//! 4. What traffic took down while the check was well comes back by *trial requests*: one at a
//!    time, the first after a hold of 1 s, which doubles to 60 s with each that fails or is late.
//! 5. A backend that goes down soon after it came back is believed less each time: passes begin
//!    to count after a hold of 1 s that doubles to 30 s. Both holds decay with time in health.
//! 6. A *wrong* answer (one that another backend gave right, or none at all for a second) can't be
//!    refuted by a check, nor by another request: both may be well while every other answer is
//!    wrong. For 1 s, which doubles to 30 s with each relapse, nothing lifts the suspicion.
//! 7. "Late" is no failure. It makes a backend suspect (so that it is probed at once and used
//!    last) and counts towards no streak.
//!
//! Not here: what counts as evidence (`Reason`'s table), who probes when (flow), who may be picked
//! (`groups`).

use std::time::Duration;

use fairlead_model::health::{Evidence, Health, Origin, Transition};
use fairlead_model::moment::Moment;

/// The first hold before a trial request or, after flapping, before passes count.
pub const FIRST_HOLD: Duration = Duration::from_secs(1);
/// The longest hold before a trial request.
pub const LONGEST_TRIAL_HOLD: Duration = Duration::from_secs(60);
/// The longest hold before passes count.
pub const LONGEST_FLAP_HOLD: Duration = Duration::from_secs(30);
/// Going down again within this time of coming back is flapping.
pub const FLAPPING: Duration = Duration::from_secs(30);
/// So much health halves the hold before trial requests.
pub const HEALED: Duration = Duration::from_secs(60);
/// A trial that is due waits so long for a request that can be sent again if it fails.
pub const TRIAL_RESERVED: Duration = Duration::from_secs(10);
/// A trial request without a verdict is forgotten after this time.
pub const TRIAL_PATIENCE: Duration = Duration::from_secs(30);

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
    /// The last wrong thing was silence or slowness: one answer in time refutes it.
    silent: bool,
    /// The last check passed; `None` before the first.
    check_passed: Option<bool>,
    /// How many checks in a row said the same.
    checks: u32,
    /// How many requests in a row failed.
    traffic_failures: u32,
    /// The last transition.
    since: Option<Moment>,
    why: String,
    /// When it last came back from down.
    back: Option<Moment>,
    /// Down: check passes before this moment don't count.
    counts_from: Moment,
    flap_hold: Duration,
    /// Suspect or down: the hold before a trial runs from here.
    held_from: Moment,
    trial_hold: Duration,
    trial: Progress,
    /// When the last wrong answer came.
    wrong_at: Option<Moment>,
    /// Passes before this moment don't lift the suspicion.
    wrong_until: Moment,
    wrong_hold: Duration,
}

/// How far a trial has come. It began at `held_from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is none.
    None,
    /// The request is under way.
    Out,
    /// The request has ended without a verdict so far. One that still comes counts, so that it
    /// doesn't matter whether a caller reports first or ends first.
    Ended,
}

/// Who asks for a trial, and so from when on it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A request that can be sent again if the trial fails: when the hold is over.
    Repeatable,
    /// One that can't: [`TRIAL_RESERVED`] later, if none that can came along until then.
    Unrepeatable,
    /// One that another backend answers if the trial is late: after [`FIRST_HOLD`] at most, if
    /// silence or slowness is all that is to be tried. An error that one in two requests gets would
    /// pass every other trial, so for that the hold is everybody's.
    Protected,
    /// Any, if nobody else is left: after [`FIRST_HOLD`] at most, as the alternative is an error
    /// for certain.
    Last,
}

/// Whether a trial request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Yes, and it counts as sent.
    Claimed,
    /// Not before this moment.
    NotBefore(Moment),
    /// Not at all, as things are: the check decides.
    Never,
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker {
            health: Health::Unknown,
            cause: Origin::Check,
            ejected: false,
            silent: false,
            check_passed: None,
            checks: 0,
            traffic_failures: 0,
            since: None,
            why: String::new(),
            back: None,
            counts_from: Moment::ZERO,
            flap_hold: Duration::ZERO,
            held_from: Moment::ZERO,
            trial_hold: FIRST_HOLD,
            trial: Progress::None,
            wrong_at: None,
            wrong_until: Moment::ZERO,
            wrong_hold: FIRST_HOLD,
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
    /// | Suspect         | –       | Down (check)    | Healthy | Healthy |
    /// | Down (check)    | –       | –               | –       | Healthy, but not within the hold of a flapping one |
    /// | Down (traffic)  | is Down (check) | is Down (check) | –       | –       |
    ///
    /// What **traffic** says, or a trial request (T):
    ///
    /// | from            | fail, fewer than `fall` | fail, `fall`th | pass |
    /// |-----------------|---------|----------------|---------|
    /// | Unknown         | Suspect | Down (traffic) | Healthy |
    /// | Healthy         | Suspect | Down (traffic) | –       |
    /// | Suspect         | – (T: the hold doubles) | Down (traffic) | Healthy, unless the last check failed |
    /// | Down (check)    | –       | –              | –       |
    /// | Down (traffic)  | – (T: the hold doubles) | – | – (T: Healthy) |
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
        let (to, in_a_row) = match evidence.origin {
            Origin::Check => self.check_says(evidence.passed, rules, now),
            Origin::Traffic => self.traffic_says(evidence.passed, rules, now),
        };
        self.turn(to, evidence.origin, now, || {
            let origin = match evidence.origin {
                Origin::Check => "check",
                Origin::Traffic => "traffic",
            };
            format!("{origin}: {}, {in_a_row} in a row", told(evidence.what, &evidence.detail))
        })
    }

    /// Makes a backend suspect that is late but hasn't failed.
    ///
    /// | from    | doubt   |
    /// |---------|---------|
    /// | Unknown | Suspect |
    /// | Healthy | Suspect |
    /// | Suspect | – (T: the hold doubles) |
    /// | Down    | – (T: the hold doubles) |
    pub fn doubt(&mut self, what: &str, detail: &str, now: Moment) -> Option<Transition> {
        if self.end_trial() {
            self.prolong_hold(now);
        }
        let to = match self.health {
            Health::Unknown | Health::Healthy => Health::Suspect,
            same => same,
        };
        self.turn(to, Origin::Traffic, now, || {
            format!("traffic: {}, not counted as a failure", told(what, detail))
        })
    }

    /// Makes a backend suspect that is late but hasn't failed, where passes can't refute it: a check
    /// page is quick while all else waits. Held as after a wrong answer, and no failure is counted.
    pub fn overdue(&mut self, what: &str, detail: &str, now: Moment) -> Option<Transition> {
        self.hold_suspicion(now);
        self.doubt(what, detail, now)
    }

    /// Takes an answer where silence was the evidence: it is refuted, hold or not. What the check
    /// has to say stands.
    pub fn refute(&mut self, rules: &Rules, now: Moment) -> Option<Transition> {
        self.wrong_until = self.wrong_until.min(now);
        if self.down_by_traffic(rules) {
            self.trial = Progress::Ended;
        }
        let (to, _) = self.traffic_says(true, rules, now);
        self.turn(to, Origin::Traffic, now, || "traffic: answered after all".into())
    }

    /// Takes a wrong answer: a failure of traffic, which passes can't refute for a while.
    ///
    /// The hold doubles when it happens again within a minute of its end; wrong answers during a
    /// hold are those that were under way when it began.
    pub fn wrong(
        &mut self,
        what: &str,
        detail: &str,
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.silent = false;
        self.misbehaves(what, detail, rules, now)
    }

    /// Takes silence where others answered, in the same way.
    pub fn silent(
        &mut self,
        what: &str,
        detail: &str,
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.silent = true;
        self.misbehaves(what, detail, rules, now)
    }

    fn misbehaves(
        &mut self,
        what: &str,
        detail: &str,
        rules: &Rules,
        now: Moment,
    ) -> Option<Transition> {
        self.hold_suspicion(now);
        let (to, in_a_row) = self.traffic_says(false, rules, now);
        self.turn(to, Origin::Traffic, now, || {
            format!("traffic: {}, {in_a_row} in a row", told(what, detail))
        })
    }

    /// For a while nothing lifts a suspicion.
    fn hold_suspicion(&mut self, now: Moment) {
        if now >= self.wrong_until {
            let again = self.wrong_at.is_some() && now.since(self.wrong_until) < HEALED;
            let doubled = (self.wrong_hold * 2).min(LONGEST_FLAP_HOLD);
            self.wrong_hold = if again { doubled } else { FIRST_HOLD };
            self.wrong_until = now + self.wrong_hold;
        }
        self.wrong_at = Some(now);
    }

    /// Takes it down at once: others answer better.
    pub fn eject(&mut self, detail: &str, slow: bool, now: Moment) -> Option<Transition> {
        self.silent = slow;
        let change = self
            .turn(Health::Down, Origin::Traffic, now, || format!("traffic: ejected ({detail})"))?;
        self.ejected = self.cause == Origin::Traffic;
        Some(change)
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
        }
        self.turn(to, Origin::Check, now, || format!("host: {why}"))
    }

    /// Asks to send a trial request.
    pub fn claim_trial(&mut self, rules: &Rules, asker: Asker, now: Moment) -> Trial {
        let tried = match self.health {
            Health::Suspect => !rules.has_check,
            Health::Down => self.down_by_traffic(rules),
            Health::Unknown | Health::Healthy => false,
        };
        if !tried || self.check_objects(rules) {
            return Trial::Never;
        }
        let hold = match asker {
            Asker::Unrepeatable => self.trial_hold + TRIAL_RESERVED,
            Asker::Protected if self.silent => self.trial_hold.min(FIRST_HOLD),
            Asker::Repeatable | Asker::Protected => self.trial_hold,
            Asker::Last => self.trial_hold.min(FIRST_HOLD),
        };
        let hold = if self.trial == Progress::Out { hold.max(TRIAL_PATIENCE) } else { hold };
        let due = self.held_from + hold;
        if now < due {
            return Trial::NotBefore(due);
        }
        self.held_from = now;
        self.trial = Progress::Out;
        Trial::Claimed
    }

    /// Takes note that the trial request has ended. If it has shown nothing, and nothing comes
    /// after all, the next one is due when the same hold has passed since this one began.
    pub fn release_trial(&mut self) {
        if self.trial == Progress::Out {
            self.trial = Progress::Ended;
        }
    }

    /// What is believed now.
    pub fn health(&self) -> Health {
        self.health
    }

    /// When that began; `None` if nothing has changed yet.
    pub fn since(&self) -> Option<Moment> {
        self.since
    }

    /// Why; empty if nothing has changed yet.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether it is down only because others answer better.
    pub fn is_ejected(&self) -> bool {
        self.health == Health::Down && self.ejected
    }

    /// Whether it is suspect for wrong answers (or none).
    pub fn is_wrong(&self) -> bool {
        self.health == Health::Suspect && self.wrong_at >= self.since
    }

    /// Whether a trial request is under way.
    pub fn on_trial(&self) -> bool {
        self.trial == Progress::Out
    }

    /// Whether a request that went well would change anything here.
    pub fn forgivable(&self, rules: &Rules) -> bool {
        match self.health {
            Health::Unknown => true,
            Health::Healthy => self.traffic_failures > 0,
            Health::Suspect => self.traffic_failures > 0 || !self.check_objects(rules),
            Health::Down => self.trial != Progress::None,
        }
    }

    fn check_says(&mut self, passed: bool, rules: &Rules, now: Moment) -> (Health, u32) {
        let same = self.check_passed == Some(passed);
        self.checks = if same { self.checks.saturating_add(1) } else { 1 };
        self.check_passed = Some(passed);
        let down = self.health == Health::Down;
        let to = match passed {
            true if self.is_held(now) => Health::Suspect,
            true if !down => Health::Healthy,
            true if self.down_by_traffic(rules) => Health::Down,
            true if now < self.counts_from => {
                self.checks = 0;
                Health::Down
            }
            true if self.checks < rules.rise => Health::Down,
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
        let trial = self.end_trial();
        if self.health == Health::Down && !(trial && self.down_by_traffic(rules)) {
            // What was under way when it went down; the verdict stands without it.
            return (Health::Down, 0);
        }
        if passed {
            self.traffic_failures = 0;
            let objects =
                self.is_held(now) || self.health == Health::Suspect && self.check_objects(rules);
            return (if objects { Health::Suspect } else { Health::Healthy }, 1);
        }
        if trial {
            self.prolong_hold(now);
        }
        if self.health == Health::Down {
            return (Health::Down, 0);
        }
        self.held_from = now;
        self.traffic_failures = self.traffic_failures.saturating_add(1);
        let fell = self.traffic_failures >= rules.fall && rules.ejects;
        (if fell { Health::Down } else { Health::Suspect }, self.traffic_failures)
    }

    /// Whether it is suspect for wrong answers, and nothing lifts that yet.
    fn is_held(&self, now: Moment) -> bool {
        self.health == Health::Suspect && now < self.wrong_until
    }

    /// Says whether there is a trial, which is over with that.
    fn end_trial(&mut self) -> bool {
        std::mem::replace(&mut self.trial, Progress::None) != Progress::None
    }

    /// Twice the hold from now on: a trial went badly.
    fn prolong_hold(&mut self, now: Moment) {
        self.trial_hold = (self.trial_hold * 2).min(LONGEST_TRIAL_HOLD);
        self.held_from = now;
    }

    /// Whether it is down and trial requests, not check passes, bring it back.
    fn down_by_traffic(&self, rules: &Rules) -> bool {
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
        match (from, to) {
            (Health::Down, _) => self.come_back(now),
            (_, Health::Down) => self.go_down(origin, from, now),
            (_, Health::Suspect) => self.lose_health(now),
            _ => {}
        }
        self.trial = Progress::None;
        self.ejected = false;
        self.since = Some(now);
        self.why = why();
        Some(Transition { from, to, why: self.why.clone() })
    }

    fn come_back(&mut self, now: Moment) {
        self.back = Some(now);
        // Those failures belong to the outage that is over.
        self.traffic_failures = 0;
    }

    fn lose_health(&mut self, now: Moment) {
        self.held_from = now;
        if let Some(since) = self.since {
            self.trial_hold = decayed(self.trial_hold, now.since(since), HEALED).max(FIRST_HOLD);
        }
    }

    fn go_down(&mut self, origin: Origin, from: Health, now: Moment) {
        // If the check fails as well, its passes are what shows that it is over; with no traffic
        // there would be no trial to show it.
        let check_too = self.check_passed == Some(false);
        self.cause = if check_too { Origin::Check } else { origin };
        if from != Health::Suspect {
            self.lose_health(now);
        }
        self.held_from = now;
        if let Some(back) = self.back {
            let well = now.since(back);
            if well < FLAPPING {
                self.flap_hold = (self.flap_hold * 2).clamp(FIRST_HOLD, LONGEST_FLAP_HOLD);
            } else {
                let left = decayed(self.flap_hold, well, FLAPPING);
                self.flap_hold = if left < FIRST_HOLD { Duration::ZERO } else { left };
            }
            if well < HEALED {
                self.trial_hold = (self.trial_hold * 2).min(LONGEST_TRIAL_HOLD);
            }
        }
        self.counts_from = now + self.flap_hold;
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

/// A hold halved once for each whole `step` of `time`.
fn decayed(hold: Duration, time: Duration, step: Duration) -> Duration {
    let halvings = (time.as_millis() / step.as_millis()).min(31) as u32;
    hold / (1 << halvings)
}

#[cfg(test)]
mod tests;
