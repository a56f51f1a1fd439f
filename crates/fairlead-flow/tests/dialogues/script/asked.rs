//! What can be asked of a dialogue besides what is wanted.

use super::*;

impl Dialogue {
    /// Whether the other workers are to give way.
    pub(crate) fn asks_others_to_give_way(&mut self) -> bool {
        self.flow.take_shortage()
    }

    /// So often was this step counted in the first pool.
    #[track_caller]
    pub(crate) fn steps(&mut self, family: &str, result: &str, times: u64) -> &mut Self {
        let families = self.snapshot.pools()[0].tallies().families();
        let count = families[family][result];
        if count != times {
            self.fail(&format!("{family} {result} was counted {count} times"));
        }
        self
    }

    /// So often was an attempt in the first pool followed by another for this reason.
    #[track_caller]
    pub(crate) fn retried(&mut self, code: &str, times: u64) -> &mut Self {
        let retries = self.snapshot.pools()[0].tallies().retries;
        let count = retries.get(code).copied().unwrap_or(0);
        if count != times {
            self.fail(&format!("{count} retries for {code} were counted"));
        }
        self
    }

    /// A check of the backend in this place passes.
    pub(crate) fn check_passes(&mut self, nth: usize) -> &mut Self {
        self.check_says(nth, true)
    }

    /// A check of the backend in this place passes or fails.
    pub(crate) fn check_says(&mut self, nth: usize, passed: bool) -> &mut Self {
        let (origin, what) = (Origin::Check, if passed { "answered" } else { "no answer" });
        let evidence = Evidence { origin, passed, what, detail: String::new() };
        let rules = Rules { rise: 2, fall: 3, has_check: true, ejects: true };
        let now = self.now;
        let _ = self.state(nth).observe(&evidence, &rules, now);
        self
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// The state of the nth backend of the first pool.
    pub(crate) fn state(&self, nth: usize) -> &Arc<BackendState> {
        &self.snapshot.pools()[0].backends()[nth]
    }

    /// The nth backend is believed to be in this health.
    #[track_caller]
    pub(crate) fn is(&mut self, nth: usize, health: Health) -> &mut Self {
        if self.state(nth).health() != health {
            let problem =
                format!("backend {nth} is {:?}, not {health:?}", self.state(nth).health());
            self.fail(&format!("{problem}; {:?}", self.events));
        }
        self
    }

    /// So many requests or connections are in flight to the nth backend.
    #[track_caller]
    pub(crate) fn active(&mut self, nth: usize, count: u32) -> &mut Self {
        if self.state(nth).active() != count {
            self.fail(&format!("backend {nth} has {} in flight", self.state(nth).active()));
        }
        self
    }

    /// So many failures of the nth backend were counted.
    #[track_caller]
    pub(crate) fn failures(&mut self, nth: usize, count: u64) -> &mut Self {
        let failures = self.state(nth).stats(self.now).failures;
        if failures != count {
            self.fail(&format!("{failures} failures of backend {nth} were counted"));
        }
        self
    }

    /// So many attempts at the nth backend were counted, and so many of them as retries.
    #[track_caller]
    pub(crate) fn attempts(&mut self, nth: usize, attempts: u64, retries: u64) -> &mut Self {
        let stats = self.state(nth).stats(self.now);
        let counted = (stats.attempts, stats.retries);
        if counted != (attempts, retries) {
            self.fail(&format!("attempts and retries of backend {nth}: {counted:?}"));
        }
        self
    }

    /// Why the nth backend's health last changed.
    pub(crate) fn why(&self, nth: usize) -> String {
        let address = self.state(nth).address();
        let of = |event: &Event| match event {
            Event::Health { backend, why, .. } if backend == address => Some(why.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(of).unwrap_or_default()
    }

    /// No health has changed but to healthy.
    #[track_caller]
    pub(crate) fn nobody_is_blamed(&mut self) -> &mut Self {
        let bad = |event: &&Event| {
            matches!(event, Event::Health { to: Health::Suspect | Health::Down, .. })
        };
        if let Some(event) = self.events.iter().find(bad) {
            self.fail(&format!("somebody is blamed: {event:?}"));
        }
        self
    }

    /// How often a reason's code was counted at the first listener.
    #[track_caller]
    pub(crate) fn counted(&mut self, code: &str, times: u64) -> &mut Self {
        let stats = self.snapshot.listeners()[0].stats();
        let count = stats.reasons.iter().find(|(name, _)| *name == code).map_or(0, |row| row.1);
        if count != times {
            self.fail(&format!("{code} was counted {count} times: {:?}", stats.reasons));
        }
        self
    }

    /// All that was ever written to somebody, behind the first head.
    pub(crate) fn body_to(&self, who: Who) -> Vec<u8> {
        let written = self.desk.written.get(&who).map_or(&[][..], Vec::as_slice);
        let head = written.windows(4).position(|four| four == b"\r\n\r\n");
        head.map_or_else(Vec::new, |end| written[end + 4..].to_vec())
    }

    /// All that was ever written to somebody, as text.
    pub(crate) fn written_to(&self, who: Who) -> String {
        let written = self.desk.written.get(&who).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(written).into_owned()
    }

    /// The lines of the access log that nobody has taken yet.
    pub(crate) fn logged(&mut self) -> String {
        let mut lines = Vec::new();
        self.flow.take_log(&mut lines);
        String::from_utf8(lines).expect("text")
    }

    /// Connects to a backend that nobody has answered or given up yet.
    pub(crate) fn connecting(&self, backend: usize) -> Vec<Who> {
        let open = self.desk.connecting.iter().filter(|(who, _)| self.desk.is_open(*who));
        open.filter(|(_, to)| *to == backend).map(|(who, _)| *who).collect()
    }

    /// The port that a connect went to.
    pub(crate) fn port(&self, who: Who) -> u16 {
        self.desk.ports[&who]
    }

    /// Whether this is among what is wanted now.
    pub(crate) fn wanted_last(&self, want: &Want) -> bool {
        self.desk.wishes.iter().any(|wish| want.is(wish))
    }

    /// The health of a backend of any pool.
    pub(crate) fn health_in(&self, pool: usize, nth: usize) -> Health {
        self.snapshot.pools()[pool].backends()[nth].health()
    }

    /// Clients that the flow still has.
    pub(crate) fn open_clients(&self) -> usize {
        self.flow.open_clients()
    }

    /// Whether every probe has had a result.
    pub(crate) fn first_checks_done(&self) -> bool {
        self.flow.first_checks_done()
    }

    /// The end: nothing more is wanted, nobody is left, nothing is in flight.
    #[track_caller]
    pub(crate) fn ends(&mut self) {
        self.must_be_answered();
        let open = self.desk.open();
        let in_flight: u32 =
            self.snapshot.pools()[0].backends().iter().map(|one| one.active()).sum();
        if self.flow.open_clients() > 0 || in_flight > 0 {
            self.fail(&format!("{in_flight} still in flight; still open: {open:?}"));
        }
        if !open.is_empty() {
            let names: Vec<_> = open.iter().map(ToString::to_string).collect();
            self.fail(&format!("still open: {}", names.join(", ")));
        }
    }

    /// The end, but for connections that are kept for others.
    #[track_caller]
    pub(crate) fn ends_with_kept(&mut self, kept: &[Who]) {
        self.must_be_answered();
        if self.desk.open() != kept {
            self.fail(&format!("still open: {:?}", self.desk.open()));
        }
    }
}
