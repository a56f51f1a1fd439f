//! What follows from signals, and from what Python made of them. No clock, no threads.

use std::time::{Duration, Instant};

/// The signals that this is about, as the kernel numbers them.
const HUP: u8 = libc::SIGHUP as u8;
const INT: u8 = libc::SIGINT as u8;
const TERM: u8 = libc::SIGTERM as u8;

/// The exit code of a stop, and of one that was interrupted.
const STOPPED: i32 = 0;
const INTERRUPTED: i32 = 130;

/// What is to be done without Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin to stop, because of this signal.
    Stop(&'static str),
    /// Say that a reload will have to wait.
    ReloadWaits,
    /// End the process with this code.
    Leave(i32),
}

impl Step {
    /// Whether it ends a process that was interrupted again.
    pub(super) fn is_interrupted(self) -> bool {
        self == Step::Leave(INTERRUPTED)
    }
}

/// What Python owes, and since when.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// To begin a stop.
    stop: Option<(Instant, &'static str)>,
    /// To reload, or at least to begin with it.
    reload: Option<Instant>,
    /// To end at once.
    cut: Option<Instant>,
    /// To come back from a stop that is over.
    back: Option<Instant>,
    /// A signal has asked for a stop.
    is_stopping: bool,
    /// The stop under way is ours alone.
    is_alone: bool,
    /// Python is back from a stop: the rest is its own.
    is_over: bool,
}

impl Judge {
    /// A signal has come.
    pub(super) fn signal(&mut self, number: u8, now: Instant) {
        match number {
            INT if self.is_stopping => self.cut = self.cut.or(Some(now)),
            INT | TERM if !self.is_stopping => {
                self.is_stopping = true;
                let name = if number == INT { "SIGINT" } else { "SIGTERM" };
                self.stop = (!self.is_over).then_some((now, name));
            }
            HUP => self.reload = self.reload.or(Some(now)),
            _ => {}
        }
    }

    /// Python has begun with the signals that came.
    pub(super) fn heard(&mut self) {
        self.reload = None;
    }

    /// Python has begun a stop.
    pub(super) fn begun(&mut self) {
        self.stop = None;
        self.is_alone = false;
    }

    /// A stop is over, whoever began it.
    pub(super) fn stopped(&mut self, now: Instant) {
        if !self.is_over {
            self.back = self.back.or(Some(now));
        }
    }

    /// Python is back from a stop.
    pub(super) fn back(&mut self) {
        self.is_over = true;
        self.back = None;
    }

    /// What is due, if Python may take this long for anything; else when something will be.
    pub(super) fn next(
        &mut self,
        now: Instant,
        patience: Duration,
    ) -> Result<Step, Option<Instant>> {
        let is_due = |since: Instant| now >= since + patience;
        if self.cut.is_some_and(|since| self.is_alone || is_due(since)) {
            return Ok(Step::Leave(INTERRUPTED));
        }
        if self.back.is_some_and(is_due) {
            return Ok(Step::Leave(STOPPED));
        }
        if let Some((_, name)) = self.stop.take_if(|(since, _)| is_due(*since)) {
            self.is_alone = true;
            return Ok(Step::Stop(name));
        }
        if self.reload.take_if(|since| is_due(*since)).is_some() {
            return Ok(Step::ReloadWaits);
        }
        let stop = self.stop.map(|(since, _)| since);
        let first = [stop, self.reload, self.cut, self.back].into_iter().flatten().min();
        Err(first.map(|since| since + patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    /// What becomes due in this time, in order.
    fn follow(judge: &mut Judge, from: Instant, millis: u64) -> Vec<Step> {
        let (mut steps, end) = (Vec::new(), from + Duration::from_millis(millis));
        let mut now = from;
        loop {
            match judge.next(now, PATIENCE) {
                Ok(step) => steps.push(step),
                Err(Some(next)) if next <= end => now = next,
                Err(_) => return steps,
            }
            if matches!(steps.last(), Some(Step::Leave(_))) {
                return steps;
            }
        }
    }

    #[test]
    fn python_has_its_time_for_everything() {
        let (now, mut judge) = (Instant::now(), Judge::default());
        judge.signal(TERM, now);
        judge.signal(HUP, now);
        assert_eq!(follow(&mut judge, now, 999), []);
        judge.heard();
        judge.begun();
        assert_eq!(follow(&mut judge, now, 60_000), [], "however long the stop takes");
        judge.stopped(now);
        assert_eq!(follow(&mut judge, now, 999), []);
        judge.back();
        assert_eq!(follow(&mut judge, now, 60_000), []);
    }

    #[test]
    fn without_python_the_engine_stops_and_leaves() {
        for (number, name) in [(TERM, "SIGTERM"), (INT, "SIGINT")] {
            let (now, mut judge) = (Instant::now(), Judge::default());
            judge.signal(number, now);
            assert_eq!(follow(&mut judge, now, 60_000), [Step::Stop(name)]);
            judge.signal(TERM, now);
            assert_eq!(follow(&mut judge, now, 60_000), [], "TERM again is nothing new");
            judge.stopped(now);
            assert_eq!(follow(&mut judge, now, 1_000), [Step::Leave(0)]);
        }
    }

    #[test]
    fn who_is_interrupted_again_waits_no_longer_than_python_is_there() {
        let (now, mut judge) = (Instant::now(), Judge::default());
        judge.signal(TERM, now);
        judge.signal(INT, now);
        assert_eq!(follow(&mut judge, now, 999), []);
        assert_eq!(follow(&mut judge, now, 1_000), [Step::Leave(130)]);

        let mut judge = Judge::default();
        judge.signal(INT, now);
        assert_eq!(follow(&mut judge, now, 1_000), [Step::Stop("SIGINT")]);
        judge.signal(INT, now);
        assert_eq!(follow(&mut judge, now, 0), [Step::Leave(130)], "it is known to be stuck");
        judge.begun();
        assert_eq!(follow(&mut judge, now, 999), [], "it is there again");
    }

    #[test]
    fn a_stop_that_nobody_signalled_ends_without_python_too() {
        let (now, mut judge) = (Instant::now(), Judge::default());
        judge.begun();
        judge.stopped(now);
        assert_eq!(follow(&mut judge, now, 1_000), [Step::Leave(0)]);
    }

    #[test]
    fn what_ends_behind_python_does_not_end_python() {
        let (now, mut judge) = (Instant::now(), Judge::default());
        judge.back();
        judge.stopped(now);
        assert_eq!(follow(&mut judge, now, 60_000), []);
        judge.signal(TERM, now);
        judge.signal(INT, now);
        assert_eq!(follow(&mut judge, now, 60_000), [Step::Leave(130)], "but for who insists");
    }

    #[test]
    fn a_reload_that_waits_is_told_once() {
        let (now, mut judge) = (Instant::now(), Judge::default());
        judge.signal(HUP, now);
        judge.signal(HUP, now);
        assert_eq!(follow(&mut judge, now, 60_000), [Step::ReloadWaits]);
        judge.heard();
        assert_eq!(follow(&mut judge, now, 60_000), []);
    }
}
