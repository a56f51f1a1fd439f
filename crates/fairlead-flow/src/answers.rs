//! What a backend has answered lately, and since when it says nothing: one worker's book of it.
//!
//! Whether a request that waits is on a backend that has fallen silent, or simply takes long, can't
//! be told from that request. What was asked *later* tells: if that is answered there, the backend
//! is at work; if only others answer it, it isn't.
//!
//! Rules of this file
//! 1. What counts of an answer is when its request was asked. The answer to an old one says nothing
//!    about those that were asked since.
//! 2. Requests are alike if they may be made twice at once, or if they may not: pages answer in a
//!    millisecond where uploads take seconds.
//! 3. Silences in a row, and answers that stalled, are counted until an answer begins, or
//!    is whole; silences long ago don't count.
//! 4. A garbage collector holds up everything, the check page too, and when it has done what waited
//!    is answered. So one that passes its check in the midst of its silence and still says nothing
//!    is at work, and its check speaks for the check page alone.
//!
//! Not here: what follows for a request (`http::cut`, `http::hedge`) or a connection
//! (`tcp::silence`).

use std::cell::Cell;
use std::time::Duration;

use fairlead_model::moment::Moment;

/// Silences further apart have nothing to do with each other.
const APART: Duration = Duration::from_secs(10);

/// What kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It may be made twice at once: GET, HEAD, OPTIONS.
    Safe,
    /// It may not. All that tcp carries is of this kind.
    Other,
}

/// How often in a row it was silent, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) times: u32,
    /// When the second oldest of those was asked; the end of time if there is but one. One may take
    /// long by its nature.
    pub(crate) since: Moment,
    /// When its check passed although it had been silent; the end of time if it hasn't.
    pub(crate) well: Moment,
}

/// The book of one backend.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// When its last answer began.
    began: Cell<Moment>,
    /// When the latest was asked of those that it has answered, by kind.
    asked: [Cell<Moment>; 2],
    /// Silences in a row, and when the oldest two and the newest of those were asked.
    times: Cell<u32>,
    oldest: Cell<(Moment, Moment)>,
    newest: Cell<Moment>,
    /// When its check first passed in the midst of them; the end of time before.
    well: Cell<Moment>,
    /// When the latest was asked of those whose answers were whole.
    whole: Cell<Moment>,
    /// Answers in a row that stalled until their clients left.
    stalls: Cell<u32>,
}

impl Answers {
    /// An answer begins, to what was asked at `asked`.
    #[inline]
    pub(crate) fn note(&self, kind: Kind, asked: Moment, now: Moment) {
        let latest = &self.asked[kind as usize];
        latest.set(latest.get().max(asked));
        self.began.set(now);
        self.times.set(0);
    }

    /// It has not answered what was asked at `asked`, where others were not silent. How often in a
    /// row now.
    pub(crate) fn note_silence(&self, asked: Moment) -> u32 {
        let anew = self.times.get() == 0 || asked.since(self.newest.get()) > APART;
        let never = Moment(u64::MAX);
        let known = (self.times.get(), self.oldest.get());
        let (times, (first, second)) = if anew { (0, (never, never)) } else { known };
        self.times.set(times.saturating_add(1));
        self.oldest.set((first.min(asked), second.min(first.max(asked))));
        self.newest.set(self.newest.get().max(asked));
        if anew {
            self.well.set(never);
        }
        self.times.get()
    }

    /// An answer to what was asked at `asked` was whole.
    #[inline]
    pub(crate) fn note_whole(&self, asked: Moment) {
        self.whole.set(self.whole.get().max(asked));
        self.stalls.set(0);
    }

    /// An answer stalled until its client left. How often in a row now.
    pub(crate) fn note_stall(&self) -> u32 {
        self.stalls.set(self.stalls.get().saturating_add(1));
        self.stalls.get()
    }

    /// Whether it has given a whole answer to something that was asked at `moment` or later.
    pub(crate) fn was_whole(&self, moment: Moment) -> bool {
        self.whole.get() >= moment
    }

    /// How often in a row it was silent; its last check that passed did so at `passed`.
    pub(crate) fn silence(&self, passed: Moment) -> Silence {
        let (times, since) = (self.times.get(), self.oldest.get().1);
        if times > 0 && passed >= since {
            self.well.set(self.well.get().min(passed));
        }
        Silence { times, since, well: self.well.get() }
    }

    /// When its last answer began; the start of time if it has given none.
    pub(crate) fn began(&self) -> Moment {
        self.began.get()
    }

    /// Whether it has answered something that was asked at `moment` or later, of this kind or
    /// (`None`) of any.
    pub(crate) fn reach(&self, kind: Option<Kind>, moment: Moment) -> bool {
        match kind {
            Some(kind) => self.asked[kind as usize].get() >= moment,
            None => self.asked.iter().any(|asked| asked.get() >= moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(1_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn an_old_answer_says_nothing_of_what_was_asked_since() {
        let answers = Answers::default();
        answers.note(Kind::Other, at(0), at(2_000));
        assert!(answers.reach(None, at(0)) && !answers.reach(None, at(1)));
        // Not even if it comes after one that was asked later.
        answers.note(Kind::Other, at(5), at(2_001));
        answers.note(Kind::Other, at(1), at(2_002));
        assert!(answers.reach(None, at(5)));
        assert_eq!(answers.began(), at(2_002));
    }

    #[test]
    fn only_the_like_is_compared() {
        let answers = Answers::default();
        answers.note(Kind::Safe, at(7), at(8));
        assert!(answers.reach(None, at(7)) && answers.reach(Some(Kind::Safe), at(7)));
        assert!(!answers.reach(Some(Kind::Other), at(7)));
    }

    #[test]
    fn silences_count_in_a_row_from_the_second_oldest_on() {
        let (answers, never) = (Answers::default(), Moment(u64::MAX));
        let note = |asked| (answers.note_silence(at(asked)), answers.silence(Moment::ZERO).since);
        assert_eq!(note(20), (1, never));
        assert_eq!(note(0), (2, at(20)));
        assert_eq!(note(10), (3, at(10)));
        answers.note(Kind::Safe, at(0), at(300));
        assert_eq!(answers.silence(Moment::ZERO).times, 0);
        assert_eq!(note(40), (1, never));
        // A minute later that is forgotten.
        assert_eq!(note(60_000), (1, never));
    }

    #[test]
    fn a_check_that_passes_in_the_midst_of_silence_is_remembered_from_the_first_on() {
        let (answers, never) = (Answers::default(), Moment(u64::MAX));
        let well = |asked, passed| {
            answers.note_silence(at(asked));
            answers.silence(at(passed)).well
        };
        assert_eq!(well(10, 5), never);
        assert_eq!(well(20, 5), never, "that was before");
        assert_eq!(answers.silence(at(71)).well, at(71));
        assert_eq!(well(40, 72), at(71));
        // An answer ends the silence, and what is known of it.
        answers.note(Kind::Safe, at(90), at(100));
        assert_eq!(well(110, 99), never);
        assert_eq!(well(120, 99), never);
        // So does time.
        assert_eq!(well(130, 200), at(200));
        assert_eq!(well(60_000, 200), never);
    }
}
