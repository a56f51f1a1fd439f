//! A search that waits for a descriptor of our own.
//!
//! What is out of descriptors here says nothing of a backend, and passes: others give way
//! (`shortage`). So who found nobody for want of one looks again, at those backends that it had none
//! for, for as long as whoever is turned away may take to go; only then is it refused.

use std::time::Duration;

use fairlead_balance::Tried;
use fairlead_model::backend::Slot;
use fairlead_model::limits::DRAIN_MS;
use fairlead_model::moment::Moment;

use super::{Pause, Seek};

/// The pause before the second look; each one later is twice as long, up to [`LONGEST`]. Others give
/// way within a turn of their worker, where the machine is not busy.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(80);

/// For want of what a search came to nothing.
#[derive(Debug, Default)]
pub(super) struct Scarcity {
    /// Backends that there was no descriptor for.
    short: Tried,
    /// The last moment of all waits of one request together, and the next pause.
    wait: Option<(Moment, Duration)>,
}

impl Scarcity {
    /// There was no descriptor for this one.
    #[cold]
    pub(super) fn note(&mut self, slot: Slot) {
        self.short.add(slot);
    }

    /// Whether there was no descriptor for this one.
    pub(super) fn is_of(&self, slot: Slot) -> bool {
        self.short.contains(slot)
    }

    /// For another request.
    pub(super) fn clear(&mut self) {
        self.short.clear();
        self.wait = None;
    }

    #[cfg(test)]
    pub(super) fn used() -> Self {
        let mut short = Tried::default();
        short.add(Slot(1));
        Scarcity { short, wait: Some((Moment(9), FIRST)) }
    }
}

impl Seek {
    /// Whether a search that came to nothing waits for descriptors; then it has a deadline.
    #[cold]
    pub(crate) fn wait_for_descriptor(&mut self, now: Moment) -> bool {
        if self.scarcity.short.is_empty() {
            return false;
        }
        let most = Duration::from_millis(DRAIN_MS).min(self.pool.connect);
        let (until, pause) = self.scarcity.wait.unwrap_or((now + most, FIRST));
        let left = self.losses < self.pool.plan().retry.attempts;
        if now >= until || !left {
            return false;
        }
        self.scarcity.wait = Some((until, (pause * 2).min(LONGEST)));
        self.pause = Some(Pause { slot: None, tries: 0, until: (now + pause).min(until) });
        self.ask_the_short();
        true
    }

    /// The search has come to somebody, or is given up: whom there was no descriptor for has not
    /// been asked. So it is asked in its turn should there be another search; nobody waits for it.
    #[inline]
    pub(crate) fn scarcity_is_over(&mut self) {
        if !self.scarcity.short.is_empty() {
            self.ask_the_short();
        }
    }

    #[cold]
    fn ask_the_short(&mut self) {
        let short = std::mem::take(&mut self.scarcity.short);
        self.attempts = self.attempts.saturating_sub(short.len() as u32).max(self.losses);
        let tried = std::mem::take(&mut self.tried);
        tried.iter().filter(|slot| !short.contains(*slot)).for_each(|slot| self.tried.add(slot));
    }
}
