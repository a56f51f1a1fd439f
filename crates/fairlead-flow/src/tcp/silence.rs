//! A backend that takes connections and bytes, and never says anything.
//!
//! For a frozen process the kernel goes on completing connects, so a connect check passes for as
//! long as it lasts (measured: all rivals in tcp mode sent a frozen host its whole share for 16 s).
//! Only its silence tells. A tcp relay doesn't know what is spoken on it; but on most connections
//! the client asks something, and the backend answers within a time that can be learned.
//!
//! Rules of this file
//! 1. Only the first question of a connection counts: from the client's first bytes to the
//!    backend's first bytes. Where the backend speaks first, nothing is asked.
//! 2. Silence is evidence only if it is longer than what was learned of this backend, another one
//!    of the pool has answered meanwhile, and it happened [`SILENT`] times in a row without a
//!    single answer in between. Long queries of one client don't make a backend suspect while it
//!    answers others.
//! 3. It makes suspect: others are asked first, for a second that doubles with each relapse. The
//!    connection itself is left alone; what was sent may not be sent again.

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::flow::Flow;
use crate::seek::millis;
use crate::slab::Key;
use crate::wheel::Alarm;

/// So many questions in a row without an answer.
const SILENT: u32 = 2;

/// What is known of a connection's first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Nobody has said anything yet.
    None,
    /// The client has asked, and the answer is late at some time.
    Asked {
        /// When it asked.
        at: Moment,
        /// When the answer is late; the end of time once that was noted.
        late: Moment,
    },
    /// The backend has said something.
    Answered,
}

impl Question {
    /// Whether the answer is late by now.
    pub(crate) fn is_late(self, now: Moment) -> bool {
        matches!(self, Question::Asked { late, .. } if now >= late)
    }
}

impl Flow {
    /// The client of a relay has sent its first bytes.
    pub(crate) fn relay_asks(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(link) = relay.link.and_then(|link| self.ctx.links.get(link)) else { return };
        let late = now + link.backend.state.response_late_after();
        relay.question = Question::Asked { at: now, late };
        self.relay_watch(key);
    }

    /// The backend of a relay has sent its first bytes.
    pub(crate) fn relay_answers(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let before = std::mem::replace(&mut relay.question, Question::Answered);
        let Some(link) = relay.link.and_then(|link| self.ctx.links.get(link)) else { return };
        link.backend.note_answer(now);
        if let Question::Asked { at, .. } = before {
            let (pool, slot) = (std::rc::Rc::clone(&link.pool), link.slot);
            self.ctx.answer_took(&pool, slot, now.since(at), now);
        }
    }

    /// Makes sure that a late answer is noticed.
    pub(crate) fn relay_watch(&mut self, key: Key) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        if let Question::Asked { late, .. } = relay.question {
            if late < Moment(u64::MAX) {
                self.ctx.timers.arm(Alarm::Relay(key), late, &mut relay.filed);
            }
        }
    }

    /// The answer to a relay's first question is late.
    pub(crate) fn relay_is_silent(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Question::Asked { at, .. } = relay.question else { return };
        relay.question = Question::Asked { at, late: Moment(u64::MAX) };
        let Some((pool, slot)) = self.link_place(self.relays.get(key).and_then(|relay| relay.link))
        else {
            return;
        };
        let others_answer = pool
            .backends
            .iter()
            .enumerate()
            .any(|(index, backend)| index != slot.index() && backend.answered.get() >= at);
        if others_answer && pool.backend(slot).note_silence() >= SILENT {
            let detail = format!("for {}, while others answered", millis(now.since(at)));
            let (reason, what) = (Reason::ResponseTimeout, "no answer to the client's bytes");
            self.ctx.silent(&pool, slot, reason, what, detail, now);
        }
    }
}
