//! Letting the bytes of a fast sender gather, instead of moving each few of them as they come.
//!
//! The kernel tells of them only from so many on (`SO_RCVLOWAT`), which is what comes in a
//! millisecond. Fewer are looked for after a rest, so that the last of a burst isn't kept: whoever
//! stops below it is told of from the first byte on again.
//!
//! Not here: who is fast (`moving`), the list of those that rest (`drive/forwarding`).

use std::time::Duration;

use fairlead_model::limits::{FORWARD_FASTEST_BYTES, GATHER_MS};
use fairlead_model::moment::Moment;

use super::{Connection, Forward};
use crate::sys::socket;

/// How long bytes may gather.
pub(crate) const REST: Duration = Duration::from_millis(GATHER_MS);

/// What is known of one sender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gather {
    /// So many come in [`REST`], where they come fast.
    usual: u32,
    /// From so many on the kernel tells of them; 0: from the first.
    told: u32,
    /// There were none then.
    since: Moment,
    /// It is in the list of those that are looked at after a rest.
    listed: bool,
    /// It has rested: what is there now is moved, however little.
    over: bool,
    /// It is paused, and the poller tells nothing of what arrives meanwhile.
    muted: bool,
}

/// What to do about a sender of whom nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing: the poller tells.
    Wait,
    /// To look again after a rest.
    Rest,
    /// To be told of the first byte again: it had its rest.
    Tell,
}

/// What became of a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rested {
    /// Long enough: it is to be looked at.
    Enough,
    /// Something came meanwhile, and it has rested again since.
    NotYet,
    /// It isn't resting.
    NoMore,
}

impl Gather {
    /// Learns how fast bytes come.
    pub(crate) fn learn(&mut self, bytes: u64, took: Duration) {
        let nanos = took.as_nanos().max(1);
        let share = u128::from(bytes).saturating_mul(REST.as_nanos()) / nanos;
        self.usual = share.min(u128::from(FORWARD_FASTEST_BYTES)) as u32;
    }

    /// They don't come fast any more.
    pub(crate) fn forget(&mut self) {
        self.usual = 0;
    }

    /// Something came, and so many bytes are still to come. From how many on the kernel is to tell
    /// of them (0: from the first), if that has to be said anew.
    pub(crate) fn go_on(&mut self, left: u64) -> Option<u32> {
        self.over = false;
        let wanted = u64::from(self.usual).min(left) as u32;
        (std::mem::replace(&mut self.told, wanted) != wanted).then_some(wanted)
    }

    /// Nothing is there now.
    pub(crate) fn miss(&mut self, now: Moment) -> Nothing {
        if self.told == 0 {
            return Nothing::Wait;
        }
        if std::mem::take(&mut self.over) {
            self.told = 0;
            return Nothing::Tell;
        }
        if self.begins_rest(now) {
            Nothing::Rest
        } else {
            Nothing::Wait
        }
    }

    /// So many came: whether they were fewer than are waited for, so that no more are there.
    pub(crate) fn is_few(self, moved: usize) -> bool {
        moved < self.told as usize
    }

    /// Lets bytes gather from now on. True: it is to be put into the list.
    pub(crate) fn begins_rest(&mut self, now: Moment) -> bool {
        self.since = now;
        !std::mem::replace(&mut self.listed, true)
    }

    /// Its turn in the list has come; `readable`: there is something to read as it is.
    pub(crate) fn look(&mut self, readable: bool, now: Moment) -> Rested {
        if !self.listed || readable {
            self.listed = false;
            return Rested::NoMore;
        }
        if self.since + REST > now {
            return Rested::NotYet;
        }
        self.listed = false;
        self.over = true;
        Rested::Enough
    }

    /// Whether the kernel has been asked not to tell of few bytes.
    pub(crate) fn is_told(self) -> bool {
        self.told > 0
    }
}

impl Connection {
    /// Has its bytes go on to there without being told; `None`: each is told of from now on.
    pub(crate) fn forward_to(&mut self, forward: Option<Box<Forward>>) {
        if forward.is_some() {
            self.grows();
        }
        let old = std::mem::replace(&mut self.forward, forward);
        if old.is_some_and(|old| old.gather.is_told()) {
            socket::tell_from(&self.socket, 0);
        }
    }

    /// So many bytes have gone on: has the poller tell of no fewer than come in a short while. True:
    /// it is to be looked at after a rest.
    pub(crate) fn rests_after(&mut self, moved: usize, now: Moment) -> bool {
        let Some(forward) = &mut self.forward else { return false };
        if let Some(least) = forward.gathers_from() {
            socket::tell_from(&self.socket, least);
        }
        let few = forward.gather.is_few(moved) && !self.ending;
        // The sender is at it: to follow it piece by piece is what is to be avoided.
        self.readable &= !few;
        few && forward.gather.begins_rest(now)
    }

    /// There are no bytes that could go on. True: it is to be looked at after a rest.
    pub(crate) fn rests_without(&mut self, now: Moment) -> bool {
        let Some(forward) = &mut self.forward else { return false };
        let nothing = forward.gather.miss(now);
        if nothing == Nothing::Tell {
            socket::tell_from(&self.socket, 0);
        }
        nothing == Nothing::Rest
    }

    /// Its turn in the list of those that rest has come.
    pub(crate) fn look_after_rest(&mut self, now: Moment) -> Rested {
        let Some(forward) = &mut self.forward else { return Rested::NoMore };
        let rested = forward.gather.look(self.readable, now);
        self.readable |= rested == Rested::Enough;
        rested
    }

    /// While it is paused, whatever arrives from a fast sender would wake us for nothing. True: the
    /// poller isn't to tell of that.
    pub(crate) fn mutes(&mut self) -> bool {
        let Some(forward) = &mut self.forward else { return false };
        forward.gather.is_told() && !std::mem::replace(&mut forward.gather.muted, true)
    }

    /// What arrives matters again. True: the poller is to tell of it again.
    pub(crate) fn unmutes(&mut self) -> bool {
        let Some(forward) = &mut self.forward else { return false };
        let muted = std::mem::take(&mut forward.gather.muted);
        // Should the poller not: what it hasn't told of is looked for.
        self.readable |= muted;
        muted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A sender of 300 MB/s of whom nothing is there at 10 ms.
    fn resting() -> Gather {
        let mut gather = Gather::default();
        gather.learn(30_000_000, Duration::from_millis(100));
        assert_eq!(gather.go_on(1 << 40), Some(300_000));
        assert_eq!(gather.miss(Moment(10 * MS)), Nothing::Rest);
        gather
    }

    #[test]
    fn as_much_gathers_as_comes_in_a_millisecond() {
        let mut gather = Gather::default();
        assert_eq!(gather.go_on(1 << 40), None, "who isn't known to be fast");
        assert_eq!(gather.miss(Moment(MS)), Nothing::Wait);
        for (bytes, milliseconds, each) in
            [(16 << 20, 250, 67_108), (16 << 20, 20, 838_860), (16 << 20, 0, 1 << 20)]
        {
            gather.learn(bytes, Duration::from_millis(milliseconds));
            assert_eq!(gather.go_on(1 << 40), Some(each));
            assert_eq!(gather.go_on(1 << 40), None, "it has been said");
        }
        assert_eq!(gather.go_on(5), Some(5), "the last of a message");
        assert_eq!(gather.go_on(0), Some(0));
        gather.learn(16 << 20, Duration::from_millis(20));
        assert_eq!(gather.go_on(1 << 40), Some(838_860));
        gather.forget();
        assert_eq!(gather.go_on(1 << 40), Some(0), "who isn't fast any more");
    }

    #[test]
    fn who_stops_below_it_is_looked_at_and_then_told_of() {
        let mut gather = resting();
        assert_eq!(gather.look(false, Moment(11 * MS)), Rested::Enough);
        assert_eq!(gather.miss(Moment(11 * MS)), Nothing::Tell);
        assert_eq!(gather.miss(Moment(12 * MS)), Nothing::Wait);
        assert_eq!(gather.look(false, Moment(13 * MS)), Rested::NoMore);
        assert_eq!(gather.go_on(1 << 40), Some(300_000), "it goes on");
    }

    #[test]
    fn who_goes_on_rests_anew_and_stands_in_the_list_once() {
        let mut gather = resting();
        assert_eq!(gather.go_on(1 << 40), None);
        assert_eq!(gather.miss(Moment(10 * MS + 500_000)), Nothing::Wait);
        assert_eq!(gather.look(false, Moment(11 * MS)), Rested::NotYet);
        assert_eq!(gather.look(false, Moment(12 * MS)), Rested::Enough);
        assert_eq!(gather.go_on(1 << 40), None, "there was something");
        assert_eq!(gather.miss(Moment(12 * MS)), Nothing::Rest);
    }

    #[test]
    fn what_is_less_than_is_waited_for_was_all() {
        let gather = resting();
        assert!(gather.is_few(299_999) && !gather.is_few(300_000));
        assert!(!Gather::default().is_few(0), "who doesn't gather is told of each");
    }

    #[test]
    fn who_has_something_to_read_does_not_rest() {
        let mut gather = resting();
        assert_eq!(gather.look(true, Moment(12 * MS)), Rested::NoMore);
        assert_eq!(gather.miss(Moment(12 * MS)), Nothing::Rest);
    }
}
