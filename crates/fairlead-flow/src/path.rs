//! Sent and not acknowledged: what the kernel knows of the way to a backend.
//!
//! A host that is gone takes nothing, a process that is frozen takes everything: to the flow both
//! look alike, as silence. The kernel can tell them apart, because a live host acknowledges what it
//! gets whatever its processes do. Measured (Linux 6.18): a frozen process's host acknowledges
//! within 40 ms; of what goes to a black hole nothing is ever acknowledged, and the first
//! retransmission follows after 208 ms. Nobody's time-out is that short.
//!
//! Rules of this file
//! 1. The driver is asked only about connections whose answer is late. What is answered in time
//!    costs nothing here.
//! 2. Unacknowledged for longer than three round trips, [`PATIENCE`] at least, is suspicion; a
//!    retransmission since then is proof.
//! 3. The kernel sends again later where its round trips had delayed acknowledgements in them (240 ms
//!    after, as measured). Unacknowledged for longer than any live host takes is not proof, but
//!    enough for whoever can't be hedged to wait no longer. So is it if only part of what was sent
//!    got through by then, though sent again.
//! 4. Some systems delay acknowledgements for up to 200 ms. One that turns out to have done so (it
//!    acknowledged after all, with nothing sent again) is given that long from then on.
//! 5. Only what we sent is looked at. Of the way back nothing can be seen but silence, which is
//!    `http::hedge`'s and `tcp::silence`'s.
//!
//! Not here: what follows for a request (`http::wait`) or a connection (`tcp::silence`).

use std::time::Duration;

use fairlead_balance::BackendState;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::driver::PathState;
use crate::local::LocalBackend;
use crate::seek::millis;

/// The least that a host has to acknowledge: a live Linux host needs 40 ms at most.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// The most that a host is given, once it has shown that it is slow to acknowledge: others delay
/// by 200 ms at most, and a timer of theirs may be late.
const LONGEST_PATIENCE: Duration = Duration::from_millis(300);

/// No live host is that late: the longest delay of an acknowledgement is 200 ms.
const OVERDUE: Duration = Duration::from_millis(210);

/// Between two looks while something is unacknowledged.
const AGAIN: Duration = Duration::from_millis(20);

/// How often a connection that is not suspicious is looked at while its answer doesn't come.
pub(crate) const WATCH: Duration = Duration::from_millis(250);

/// The latest first look: the first retransmission follows after 208 ms, so that the second look
/// sees it, and whoever waits is sent on before he notices.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// No first retransmission takes longer on a local network: what was sent again by then was sent
/// again since, even if the connection's life before isn't known.
const SURELY_RESENT: Duration = Duration::from_millis(250);

/// What is remembered of one connection between looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Watch {
    /// What is on its way now was unacknowledged for too long.
    pub(crate) suspected: bool,
    /// And was sent again in vain, or only part of it got through so.
    pub(crate) lost: bool,
    /// Segments sent again in its life, when it was last looked at; `None` if it never was.
    known: Option<u32>,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is acknowledged, or nothing is known.
    Fine,
    /// Something isn't, but not for long.
    Early,
    /// Something hasn't been for too long; in words.
    Suspect(String),
    /// For longer than live hosts take, though it wasn't sent again yet.
    Overdue(String),
    /// And was sent again.
    Lost(String),
    /// Part of it has been, lately, after it was sent again, and for the rest no live host takes so
    /// long.
    Halting(String),
}

impl Verdict {
    /// What isn't acknowledged and for how long, if nothing was for too long.
    pub(crate) fn unacknowledged(&self) -> Option<&String> {
        match self {
            Self::Suspect(text) | Self::Overdue(text) | Self::Lost(text) => Some(text),
            Self::Fine | Self::Early | Self::Halting(_) => None,
        }
    }
}

impl Watch {
    /// What was sent before doesn't matter any more: a new request begins.
    #[inline]
    pub(crate) fn renew(&mut self) {
        self.suspected = false;
        self.lost = false;
    }

    /// Judges what the kernel says of a connection on which the last bytes were sent at `sent_at`.
    /// `fresh`: nothing was sent on it before those.
    pub(crate) fn judge(
        &mut self,
        state: Option<PathState>,
        backend: &LocalBackend,
        (sent_at, fresh): (Moment, bool),
        now: Moment,
    ) -> Verdict {
        let Some(state) = state else { return Verdict::Fine };
        // What is still being sent counts from the last sign of life.
        let waited = now.since(sent_at).min(state.quiet);
        let known = match self.known {
            Some(known) => known,
            None if fresh || waited >= SURELY_RESENT => 0,
            None => state.retransmitted,
        };
        if state.unacknowledged == 0 {
            if std::mem::take(&mut self.suspected) && !is_resent(&state, known) {
                backend.acknowledges_after(now.since(sent_at));
            }
            self.known = Some(state.retransmitted);
            return Verdict::Fine;
        }
        self.known = Some(known);
        let again = state.retransmitted.saturating_sub(known).max(state.timeouts);
        let tell = |waited: Duration| {
            let text = format!("{} unacknowledged for {}", state.unacknowledged, millis(waited));
            match again {
                0 => text,
                1 => format!("{text}, 1 retransmit"),
                more => format!("{text}, {more} retransmits"),
            }
        };
        let overdue = OVERDUE.max(state.round_trip * 3);
        if waited < backend.ack_patience().max(state.round_trip * 3) {
            let since = now.since(sent_at);
            self.lost = again > 0 && since >= overdue;
            return if self.lost { Verdict::Halting(tell(since)) } else { Verdict::Early };
        }
        self.suspected = true;
        self.lost = again > 0;
        match again {
            0 if waited >= overdue => Verdict::Overdue(tell(waited)),
            0 => Verdict::Suspect(tell(waited)),
            _ => Verdict::Lost(tell(waited)),
        }
    }

    /// An answer has come on a suspected connection: learns from it how slow its host is to
    /// acknowledge, if nothing had to be sent again.
    pub(crate) fn answered(
        &mut self,
        state: Option<PathState>,
        backend: &LocalBackend,
        sent_at: Moment,
        now: Moment,
    ) {
        self.suspected = false;
        let Some(state) = state else { return };
        let known = self.known.replace(state.retransmitted).unwrap_or(0);
        if !is_resent(&state, known) {
            backend.acknowledges_after(now.since(sent_at));
        }
    }
}

/// How long an answer of this backend is waited for before its connection is looked at. What was
/// learned is no excuse for one that is in doubt already: where packets are lost, it is learned from
/// answers that were waiting for them.
#[inline]
pub(crate) fn first_look(backend: &BackendState) -> Duration {
    if matches!(backend.health(), Health::Suspect | Health::Down) {
        return PATIENCE;
    }
    backend.response_late_learned().map_or(PATIENCE, |late| late.min(FIRST_LOOK))
}

/// When a connection is looked at again after this verdict.
pub(crate) fn next_look(verdict: &Verdict, now: Moment) -> Moment {
    match verdict {
        Verdict::Fine | Verdict::Lost(_) => now + WATCH,
        Verdict::Early | Verdict::Suspect(_) | Verdict::Overdue(_) | Verdict::Halting(_) => {
            now + AGAIN
        }
    }
}

fn is_resent(state: &PathState, known: u32) -> bool {
    state.retransmitted > known || state.timeouts > 0
}

/// The patience that follows from an acknowledgement which came only after `took`.
pub(crate) fn patience_after(took: Duration) -> Duration {
    (took + took / 4).clamp(PATIENCE, LONGEST_PATIENCE)
}
