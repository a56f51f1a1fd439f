//! What is remembered of the answers of one backend: its last ones, and the run of bad ones that
//! it is in.
//!
//! Rules of this file
//! 1. Nothing happens here when an answer is good. How many there were is read from counters when
//!    a bad one comes; those between two looks are taken as if they had come evenly.
//! 2. A *run* begins with a bad answer. It remembers where the others stood then, so that what has
//!    happened to them in the same time can be told from what was usual before. It ends when it is
//!    old, or when its share of bad ones is no longer worth a run.
//!
//! Not here: what is concluded from it (`outlier`).

use std::time::Duration;

use fairlead_model::moment::Moment;

/// So many of its last answers are looked at.
pub const WINDOW: u64 = 64;

/// So many are left when there are more: what is new weighs more than what was.
const KEPT: u64 = WINDOW / 4;

/// In so long half of what was seen is forgotten: where traffic is thin, the window reaches back to
/// troubles that are over, and one ordinary error would be one too many for whoever had them.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// A run with a smaller share of bad ones than this is none: the window is there for what goes on
/// for long.
const WORTH: [f64; 2] = [0.25, SLOW_SHARE];

/// So many of the last answers of one that is slow are.
pub(super) const SLOW_SHARE: f64 = 0.5;

/// Which kind of bad: by what it said, or by the time that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Wrong,
    Slow,
}

/// Answers, and bad ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) answers: u64,
    pub(super) bad: u64,
}

impl Sum {
    /// Bad ones, and answers.
    pub(super) fn parts(self) -> (f64, f64) {
        (self.bad as f64, self.answers as f64)
    }
}

/// Bad answers that came close together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) began: Moment,
    /// What it had answered before.
    before: Sum,
    /// What the others had.
    others: Sum,
}

/// What is known of the last answers of one backend.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// The counter of its answers where the window begins.
    base: u64,
    /// The same when it last aged or was cut.
    seen: u64,
    /// Those that were bad, of each flaw.
    bad: [f64; 2],
    /// Since when half of them and more were slow.
    pub(super) slow_since: Moment,
    /// Until when it has aged; nobody has looked before the first bad one.
    aged: Moment,
    /// All bad ones ever.
    bads: [u64; 2],
    runs: [Option<Run>; 2],
}

impl Window {
    /// Of one that has given so many answers, which say nothing any more.
    pub(super) fn anew(total: u64, now: Moment) -> Window {
        Window { base: total, seen: total, aged: now, ..Window::default() }
    }

    /// The same, if it isn't known when: time counts from its beginning, unless it [`begins`].
    ///
    /// [`begins`]: Window::begins
    pub(super) fn since_ever(total: u64) -> Window {
        Window::anew(total, Moment::ZERO)
    }

    /// Learns when it is, if it doesn't know yet. Without that all answers until the first look
    /// would count as spread over the whole life of the process: next to none of them as new.
    pub(super) fn begins(&mut self, now: Moment) {
        if self.aged == Moment::ZERO {
            self.aged = now;
        }
    }

    /// Forgets what lies before the window. Answers since.
    pub(super) fn answers(&mut self, total: u64, now: Moment) -> f64 {
        debug_assert!(total >= self.base, "counters only grow");
        let half_lives = now.since(self.aged).as_nanos() / HALF_LIFE.as_nanos();
        if half_lives > 0 {
            self.age(half_lives as f64, total);
            // What is left of the last half-life counts towards the next.
            self.aged = self.aged + HALF_LIFE * half_lives as u32;
        }
        let all = total.saturating_sub(self.base);
        if all > WINDOW {
            let part = KEPT as f64 / all as f64;
            self.keep(part, all as f64 * part, total);
        }
        // Bad ones are counted when they begin, or instead of an answer.
        (total.saturating_sub(self.base) as f64).max(self.bad[0]).max(self.bad[1])
    }

    /// Forgets by the clock: what came since the last time came evenly, so it is younger.
    fn age(&mut self, half_lives: f64, total: u64) {
        let part = 0.5_f64.powf(half_lives.min(64.0));
        let new_part = (1.0 - part) / (half_lives * std::f64::consts::LN_2);
        let old = self.seen.saturating_sub(self.base) as f64;
        let new = total.saturating_sub(self.seen) as f64;
        self.keep(part, old * part + new * new_part, total);
    }

    /// Keeps so many answers, and this part of the bad ones.
    fn keep(&mut self, part: f64, answers: f64, total: u64) {
        self.bad = self.bad.map(|bad| bad * part);
        self.base = total - (answers.round() as u64).min(total);
        self.seen = total;
    }

    /// Bad ones among the last answers.
    pub(super) fn bad(&self, flaw: Flaw) -> f64 {
        self.bad[flaw as usize]
    }

    /// Counts a bad one, in the window and in its run; it may begin one, given the answers until
    /// now and how to look at the others' state.
    pub(super) fn count(
        &mut self,
        flaw: Flaw,
        total: u64,
        others: impl FnOnce() -> Sum,
        now: Moment,
    ) {
        self.bad[flaw as usize] += 1.0;
        let goes_on = self.run(flaw, total).is_some_and(|(run, sum)| {
            let young = now.since(run.began) < HALF_LIFE;
            young && (sum.bad + 1) as f64 >= WORTH[flaw as usize] * sum.answers as f64
        });
        if !goes_on {
            let before = self.ever(flaw, total);
            self.runs[flaw as usize] = Some(Run { began: now, before, others: others() });
        }
        self.note(flaw);
    }

    /// Counts a bad one of one that is out, for those who compare themselves with it. It was asked
    /// for that before, and has had its verdict: when it is back nothing of it is left.
    pub(super) fn note_while_down(&mut self, flaw: Flaw) {
        self.runs = [None; 2];
        self.note(flaw);
    }

    fn note(&mut self, flaw: Flaw) {
        self.bads[flaw as usize] += 1;
    }

    /// The run it is in and its answers there. The one that is judged is added: an answer that is
    /// bad or slow is counted later. A failure is counted before, and twice then: one answer more.
    pub(super) fn run(&self, flaw: Flaw, total: u64) -> Option<(Run, Sum)> {
        let run = self.runs[flaw as usize]?;
        let bad = self.bads[flaw as usize] - run.before.bad;
        let answers = (total.saturating_sub(run.before.answers) + 1).max(bad);
        Some((run, Sum { answers, bad }))
    }

    /// What it has answered in all.
    pub(super) fn ever(&self, flaw: Flaw, total: u64) -> Sum {
        Sum { answers: total, bad: self.bads[flaw as usize] }
    }

    /// Begins anew after a verdict. What others remember of its counters goes on.
    pub(super) fn reset(&mut self, total: u64, now: Moment) {
        *self = Window { bads: self.bads, ..Window::anew(total, now) };
    }
}

impl Run {
    /// The others' answers since it began, of what they are now.
    pub(super) fn meanwhile(self, others: Sum) -> Sum {
        Sum {
            answers: others.answers.saturating_sub(self.others.answers),
            bad: others.bad.saturating_sub(self.others.bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    /// What is left of four bad ones after a minute in which somebody looked so often.
    fn left_after(looks: &[u64], answers: u64) -> (f64, f64) {
        let mut recent = Window::anew(0, at(1_000));
        recent.bad[0] = 4.0;
        let mut left = 0.0;
        for seconds in looks {
            left = recent.answers(answers, at(1_000 + seconds));
        }
        (recent.bad[0], left)
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
        let mut recent = Window::anew(0, at(1));
        recent.bad[0] = 8.0;
        let (left, bad) = (recent.answers(80, at(2)), recent.bad[0]);
        assert!((left - KEPT as f64).abs() < 1e-9, "{left}");
        assert!((bad / left - 0.1).abs() < 1e-9, "{bad} of {left}");
    }

    #[test]
    fn what_went_well_lately_is_known_however_long_nobody_has_looked() {
        for (answers, hours, known) in [(360_000, 1, true), (8_640_000, 24, true), (300, 1, false)]
        {
            let mut recent = Window::since_ever(0);
            let left = recent.answers(answers, at(hours * 3_600));
            assert_eq!(left >= KEPT as f64, known, "{answers} in {hours} h: {left}");
        }
    }

    #[test]
    fn a_run_ends_when_it_is_old_or_thin() {
        let sum = |answers, bad| Sum { answers, bad };
        let mut recent = Window::since_ever(0);
        let seen = |recent: &Window, total| recent.run(Flaw::Wrong, total).map(|(_, sum)| sum);
        recent.count(Flaw::Wrong, 100, || sum(50, 1), at(1));
        assert_eq!(seen(&recent, 100), Some(sum(1, 1)));
        recent.count(Flaw::Wrong, 102, || sum(90, 9), at(2));
        assert_eq!(seen(&recent, 102), Some(sum(3, 2)));
        let run = recent.run(Flaw::Wrong, 102).expect("it is in one").0;
        assert_eq!(run.meanwhile(sum(60, 2)), sum(10, 1), "since its first");
        recent.count(Flaw::Slow, 102, || sum(90, 9), at(2));
        assert_eq!(seen(&recent, 102), Some(sum(3, 2)), "a slow one is another matter");
        recent.count(Flaw::Wrong, 120, || sum(91, 9), at(3));
        assert_eq!(seen(&recent, 120), Some(sum(1, 1)), "three of 21 are none");
        recent.count(Flaw::Wrong, 122, || sum(92, 9), at(13));
        assert_eq!(seen(&recent, 122), Some(sum(1, 1)), "ten seconds later");
    }
}
