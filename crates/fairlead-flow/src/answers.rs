//! Since when a backend says nothing, and how often in a row: one worker's book of it.
//!
//! Whether a request that waits is on a backend that has fallen silent, or simply takes long, can't
//! be told from that request. What was asked *later* tells: if that is answered there, the backend
//! is at work; if only others answer it, it isn't.
//!
//! Rules of this file
//! 1. What counts of an answer is when its request was asked. The answer to an old one says nothing
//!    about those that were asked since. Whichever worker it came to: one of them may have nothing
//!    to compare its own request with (`fairlead_balance::state`).
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
    /// Silences in a row, and when the oldest two and the newest of those were asked.
    times: Cell<u32>,
    oldest: Cell<(Moment, Moment)>,
    newest: Cell<Moment>,
    /// When its check first passed in the midst of them; the end of time before.
    well: Cell<Moment>,
    /// Answers in a row that stalled until their clients left.
    stalls: Cell<u32>,
}

impl Answers {
    /// An answer begins.
    #[inline]
    pub(crate) fn end_silence(&self) {
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

    /// An answer was whole.
    #[inline]
    pub(crate) fn end_stalls(&self) {
        self.stalls.set(0);
    }

    /// An answer stalled until its client left. How often in a row now.
    pub(crate) fn note_stall(&self) -> u32 {
        self.stalls.set(self.stalls.get().saturating_add(1));
        self.stalls.get()
    }

    /// How often in a row it was silent; its last check that passed did so at `passed`.
    pub(crate) fn silence(&self, passed: Moment) -> Silence {
        let (times, since) = (self.times.get(), self.oldest.get().1);
        if times > 0 && passed >= since {
            self.well.set(self.well.get().min(passed));
        }
        Silence { times, since, well: self.well.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(1_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn silences_count_in_a_row_from_the_second_oldest_on() {
        let (answers, never) = (Answers::default(), Moment(u64::MAX));
        let note = |asked| (answers.note_silence(at(asked)), answers.silence(Moment::ZERO).since);
        assert_eq!(note(20), (1, never));
        assert_eq!(note(0), (2, at(20)));
        assert_eq!(note(10), (3, at(10)));
        answers.end_silence();
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
        answers.end_silence();
        assert_eq!(well(110, 99), never);
        assert_eq!(well(120, 99), never);
        // So does time.
        assert_eq!(well(130, 200), at(200));
        assert_eq!(well(60_000, 200), never);
    }
}
