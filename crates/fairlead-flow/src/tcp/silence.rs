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
//!    of the pool has answered what was asked later, and it happened [`SILENT`] times in a row
//!    without a single answer in between. Long queries of one client don't make a backend suspect
//!    while it answers others.
//!    Where nobody else was sent anything, since it is alone in its group, its own past is what it is
//!    compared with: one that used to answer and is silent [`ALONE`] times in a row, for longer than
//!    people notice, is suspect. So the next connection goes to somebody else, and tells.
//! 3. Bytes of the client that the backend's host doesn't acknowledge are another matter, at any
//!    time of a connection: that is its host's doing (`path`), and needs no others to compare with.
//! 4. A backend that ends a connection without having said anything, while others answer, is as
//!    silent: one that accepts and closes at once is well to every connect check. Where nobody
//!    ever answers (a log, say) an end without a word is the way of the protocol.
//! 5. It makes suspect: others are asked first, for a second that doubles with each relapse. Then one
//!    connection tries it, and not the connect but the first bytes of the backend show that it is
//!    well again; one more silence is enough to show that it is not.
//! 6. The connection itself is left alone; what was sent may not be sent again. When an answer comes on
//!    it after all, even to a client that has left, the suspicion was of a silence that is over.

use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{Count, Kind};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::answers::Silence;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::hedge::NOTICED;
use crate::http::wait::UNACKNOWLEDGED;
use crate::local::{LocalBackend, LocalPool};
use crate::path::{self, Verdict};
use crate::seek::millis;
use crate::slab::Key;
use crate::wheel::Alarm;

/// So many questions in a row without an answer.
const SILENT: u32 = 2;

/// So many, where nobody else was sent anything to compare with.
const ALONE: u32 = 3;

/// Between two looks at a silence, at least. Later ones are a quarter of its length apart.
const AGAIN: Duration = Duration::from_millis(50);

/// Others that have answered in this time count as answering now.
const LATELY: Duration = Duration::from_secs(10);

/// What is known of a connection's first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Nobody has said anything yet.
    None,
    /// The client has asked, and the answer is late at some time.
    Asked {
        /// When it asked.
        at: Moment,
        /// When the answer is late, or is next looked after; the end of time once that was judged.
        late: Moment,
        /// It was late, and counted.
        counted: bool,
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
        relay.question = Question::Asked { at: now, late, counted: false };
        self.relay_watch(key);
    }

    /// The backend of a relay has sent its first bytes.
    pub(crate) fn relay_answers(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let before = std::mem::replace(&mut relay.question, Question::Answered);
        let Some(link) = relay.link.and_then(|link| self.ctx.links.get(link)) else { return };
        let asked = if let Question::Asked { at, .. } = before { at } else { relay.sought };
        if !link.speaks() {
            return;
        }
        link.backend.note_answer(self.ctx.worker, Kind::Other, asked, now);
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        if let Question::Asked { at, counted, .. } = before {
            self.ctx.answer_took(&pool, slot, now.since(at), now);
            // It was taken for silent, and has thawed.
            if counted {
                let backend = pool.backend(slot);
                let change = backend.state.refute(&pool.rules, now);
                return self.ctx.changed(backend, change);
            }
        }
        if pool.backend(slot).state.is_on_probation() {
            self.ctx.succeeded(&pool, slot, now);
        }
    }

    /// The client's bytes have gone on, and no look at them is due.
    pub(crate) fn relay_speaks(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(link) = relay.link.and_then(|link| self.ctx.links.get_mut(link)) else { return };
        link.watch.renew();
        relay.look = now + path::first_look(&link.backend.state);
        self.relay_watch(key);
    }

    /// The backend of a suspected relay has said something after all.
    #[cold]
    pub(crate) fn relay_acknowledged<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        spoke: Moment,
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        relay.suspected = false;
        if let Some(link) = relay.link {
            self.ctx.path_answered(d, link, spoke, now);
        }
    }

    /// Makes sure that a late answer is noticed.
    pub(crate) fn relay_watch(&mut self, key: Key) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let late = match relay.question {
            Question::Asked { late, .. } => late,
            Question::None | Question::Answered => Moment(u64::MAX),
        };
        let next = late.min(relay.look);
        if next < Moment(u64::MAX) {
            self.ctx.timers.arm(Alarm::Relay(key), next, &mut relay.filed);
        }
    }

    /// Looks whether the client's bytes were acknowledged, if it is time to.
    pub(crate) fn relay_look<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        if now < relay.look {
            return;
        }
        relay.look = Moment(u64::MAX);
        // Answered meanwhile: the next bytes begin anew.
        let Some(spoke) = relay.spoke else { return };
        let Some(link_key) = relay.link else { return };
        let Some(link) = self.ctx.links.get_mut(link_key) else { return };
        let due = spoke + path::first_look(&link.backend.state);
        if now < due {
            relay.look = due;
            return self.relay_watch(key);
        }
        let before = std::mem::replace(&mut relay.suspected, true);
        let fresh = relay.sent == 0;
        let path = link.path(d, now);
        let verdict = link.watch.judge(path, &link.backend, (spoke, fresh), now);
        relay.look = path::next_look(&verdict, now);
        let (pool, slot, speaks) = (Rc::clone(&link.pool), link.slot, link.speaks());
        self.relay_watch(key);
        let Some(text) = verdict.unacknowledged() else {
            if let Some(relay) = self.relays.get_mut(key) {
                relay.suspected = false;
            }
            return;
        };
        if !before {
            pool.count(self.ctx.worker, Count::PathSuspected);
            self.ctx.host_silent_on(link_key, spoke, now);
        }
        let news = !pool.backend(slot).state.is_old_news(spoke);
        if speaks && news && (!before || matches!(verdict, Verdict::Lost(_))) {
            self.ctx.doubt(&pool, slot, UNACKNOWLEDGED, text.clone(), now);
        }
    }

    /// The answer to a relay's first question is late, or still isn't there.
    pub(crate) fn relay_is_silent(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Question::Asked { at, counted, .. } = relay.question else { return };
        relay.question = Question::Asked { at, late: Moment(u64::MAX), counted };
        let link = relay.link;
        let Some((pool, slot)) = self.link_speaks_of(link) else { return };
        let others_answer = pool.others_answered(slot, None, at);
        let counts = others_answer || is_comparable(&pool, slot);
        if counts && !counted {
            pool.backend(slot).answers.note_silence(at);
        }
        let (reason, what) = (Reason::ResponseTimeout, "no answer to the client's bytes");
        if others_answer {
            if let Some(relay) = self.relays.get_mut(key) {
                relay.question = Question::Asked { at, late: Moment(u64::MAX), counted: true };
            }
            if is_enough(&pool, slot, at) {
                let detail = format!("for {}, while others answered", millis(now.since(at)));
                self.ctx.silent(&pool, slot, reason, what, detail, now);
            }
            return;
        }
        let waited = now.since(at);
        if let Some(relay) = self.relays.get_mut(key) {
            let late = now + (waited / 4).max(AGAIN);
            relay.question = Question::Asked { at, late, counted: counts || counted };
        }
        let Silence { times, since, .. } = silence(pool.backend(slot));
        if counts && times >= ALONE && now.since(since) >= NOTICED {
            let detail = format!("for {}, {times} in a row", millis(waited));
            self.ctx.overdue(&pool, slot, what, detail, now);
        }
    }

    /// The backend of a relay has ended it, and perhaps has never said anything.
    pub(crate) fn relay_ended(&mut self, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let before = relay.question;
        if before == Question::Answered || relay.client_finished {
            return;
        }
        relay.question = Question::Answered;
        let (link, asked) = (relay.link, relay.spoke.unwrap_or(relay.sought));
        let Some((pool, slot)) = self.link_speaks_of(link) else { return };
        let what = "closed without an answer";
        let others_answer = pool.backends.iter().enumerate().any(|(index, backend)| {
            let at = backend.state.answer_began();
            index != slot.index() && at > Moment::ZERO && now.since(at) < LATELY
        });
        if !others_answer && !is_comparable(&pool, slot) {
            return;
        }
        if !matches!(before, Question::Asked { counted: true, .. }) {
            pool.backend(slot).answers.note_silence(asked);
        }
        if others_answer {
            if is_enough(&pool, slot, asked) {
                let (reason, detail) = (Reason::ResponseTruncated, "while others answered".into());
                self.ctx.silent(&pool, slot, reason, what, detail, now);
            }
            return;
        }
        let times = silence(pool.backend(slot)).times;
        if times >= ALONE {
            self.ctx.overdue(&pool, slot, what, format!("{times} in a row"), now);
        }
    }
}

/// Its silences in a row so far.
fn silence(backend: &LocalBackend) -> Silence {
    backend.answers.silence(backend.state.check_passed())
}

/// Whether the silences that were counted, the last of them on what was asked then, are evidence
/// where others answer. One that is on trial has been silent before; but it is the trial that tells.
fn is_enough(pool: &LocalPool, slot: Slot, asked: Moment) -> bool {
    let backend = pool.backend(slot);
    let times = silence(backend).times;
    (times >= SILENT || backend.state.is_on_probation()) && !backend.state.is_old_news(asked)
}

/// Whether a backend that has answered before is to be compared with another one, which nobody was
/// sent to: a backup, say. (Whoever wants no request sent elsewhere for being late wants no
/// connection sent there either.)
fn is_comparable(pool: &LocalPool, slot: Slot) -> bool {
    let backend = pool.backend(slot);
    let known = backend.state.answer_began() > Moment::ZERO;
    known && pool.budget.is_some() && !backend.state.is_on_probation() && pool.has_well_other(slot)
}
