//! Trial requests: one at a time, and how many in a row went well.
//!
//! Not here: when one is due (`trust`), and how many are wanted (`tracker`).

use std::time::Duration;

use fairlead_model::moment::Moment;

/// A trial request without a verdict is forgotten after this time.
pub const TRIAL_PATIENCE: Duration = Duration::from_secs(30);

/// Whether a trial request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Yes, and it counts as sent.
    Claimed,
    /// Not before this moment.
    NotBefore(Moment),
    /// One is under way, whose verdict may come at any time.
    UnderWay,
    /// Not at all, as things are: the check decides.
    Never,
}

/// The trials of one backend.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trials {
    progress: Progress,
    /// How many in a row went well.
    good: u32,
}

/// How far one has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    /// There is none.
    #[default]
    None,
    /// The request is under way, since then.
    Out(Moment),
    /// The request, begun then, has ended without a verdict so far. One that still comes counts, so
    /// that it doesn't matter whether a caller reports first or ends first.
    Ended(Moment),
}

impl Trials {
    /// Begins one, if none is under way and it is due.
    pub(crate) fn claim(&mut self, due: Moment, now: Moment) -> Trial {
        match self.progress {
            Progress::Out(began) if now < began + TRIAL_PATIENCE => return Trial::UnderWay,
            _ if now < due => return Trial::NotBefore(due),
            _ => {}
        }
        self.progress = Progress::Out(now);
        Trial::Claimed
    }

    /// Its request has ended.
    pub(crate) fn release(&mut self) {
        if let Progress::Out(began) = self.progress {
            self.progress = Progress::Ended(began);
        }
    }

    /// Says whether there is one, which is over with that.
    pub(crate) fn end(&mut self) -> bool {
        std::mem::take(&mut self.progress) != Progress::None
    }

    /// One went well; how many in a row now.
    pub(crate) fn pass(&mut self) -> u32 {
        self.good += 1;
        self.good
    }

    /// The next request that goes well is the last one wanted.
    pub(crate) fn count_as_passed(&mut self, wanted: u32, now: Moment) {
        self.progress = Progress::Ended(now);
        self.good = wanted;
    }

    /// One went badly.
    pub(crate) fn begin_anew(&mut self) {
        self.good = 0;
    }

    /// How many in a row went well.
    pub(crate) fn good(&self) -> u32 {
        self.good
    }

    /// Whether there is one that has no verdict yet, and what was sent then may be it.
    pub(crate) fn has_one_since(&self, sent: Moment) -> bool {
        match self.progress {
            Progress::None => false,
            Progress::Out(began) | Progress::Ended(began) => sent >= began,
        }
    }

    /// Whether there is one that has no verdict yet, begun after that.
    pub(crate) fn has_one_begun_after(&self, sent: Moment) -> bool {
        self.has_one() && !self.has_one_since(sent)
    }

    /// Whether there is one that has no verdict yet.
    pub(crate) fn has_one(&self) -> bool {
        self.progress != Progress::None
    }

    /// Whether its request is under way.
    pub(crate) fn is_out(&self) -> bool {
        matches!(self.progress, Progress::Out(_))
    }
}
