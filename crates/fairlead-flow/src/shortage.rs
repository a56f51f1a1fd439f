//! Descriptors run short: who gives way to whom.
//!
//! Rules of this file
//! 1. Whoever was let in gets a connection to a backend, and others go for it. First those who were
//!    turned away, oldest first: they have their answer and are only waited for until they have read
//!    it, which nobody is owed (RFC 9112 §9.6). Then a connection that is kept for a backend, then
//!    an idle client's.
//! 2. Where nobody of this worker can go, the other workers are asked, and the request waits
//!    (`seek::scarce`). Only when that has been in vain for long is it refused.
//! 3. While they are short nobody else who is turned away is waited for.
//!
//! Not here: who is idle (`http::room`), how many are waited for (`http::client`).

use std::collections::VecDeque;
use std::time::Duration;

use fairlead_model::limits::{DRAIN_MS, TURNED_AWAY};
use fairlead_model::moment::Moment;

use crate::context::{Context, Role};
use crate::driver::{ConnId, Driver};
use crate::flow::Flow;
use crate::slab::Key;

/// The other workers are asked so often at most, however many wait here.
const ASKING: Duration = Duration::from_millis(5);

/// What one worker knows of it.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// Clients that were turned away and are waited for, oldest first. Some may be gone already.
    turned_away: VecDeque<ConnId>,
    /// Those of them that were closed, and are still in the books.
    dismissed: Vec<Key>,
    /// Something is left to be done.
    unsettled: bool,
    /// It lasts until then.
    until: Moment,
    /// A request waits for a descriptor since the last time that this was settled.
    met: bool,
    /// The others are to be asked; when they were last.
    asks: bool,
    asked: Moment,
}

impl Shortage {
    /// Whether something is left to be done.
    #[inline]
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Whether descriptors were short a moment ago.
    pub(crate) fn lasts(&self, now: Moment) -> bool {
        now < self.until
    }

    /// A request waits for a descriptor.
    #[cold]
    pub(crate) fn meet(&mut self, now: Moment) {
        self.met = true;
        self.unsettled = true;
        self.last(now);
    }

    fn last(&mut self, now: Moment) {
        self.until = now + Duration::from_millis(DRAIN_MS);
    }
}

impl Context {
    /// One that was turned away is waited for.
    pub(crate) fn linger(&mut self, conn: ConnId) {
        // Most go by themselves, and leave their numbers here: they are swept out now and then.
        let Shortage { turned_away, .. } = &mut self.shortage;
        if turned_away.len() >= 2 * TURNED_AWAY {
            let roles = &self.roles;
            turned_away.retain(|conn| matches!(roles.get(*conn), Role::Client(_)));
        }
        turned_away.push_back(conn);
    }

    /// Lets the oldest one go that was turned away and is waited for. False if there is none.
    #[cold]
    pub(crate) fn dismiss<D: Driver>(&mut self, d: &mut D) -> bool {
        while let Some(conn) = self.shortage.turned_away.pop_front() {
            let Role::Client(key) = self.roles.get(conn) else { continue };
            self.roles.clear(conn);
            // A close in order would keep the descriptor until all is sent.
            if d.queued(conn) > 0 {
                d.abort(conn);
            } else {
                d.close(conn);
            }
            self.shortage.dismissed.push(key);
            self.shortage.unsettled = true;
            return true;
        }
        false
    }
}

impl Flow {
    /// Gives up a descriptor, because there are none left: that of one who was turned away, of a
    /// connection that is kept for a backend, or else an idle client's. False if there is no such.
    pub fn give_up_descriptor<D: Driver>(&mut self, d: &mut D, now: Moment) -> bool {
        let given = self.ctx.dismiss(d) || self.ctx.give_up_kept(d) || self.give_up_idle(d, now);
        self.settle(d, now);
        given
    }

    /// Another worker's requests are short of descriptors: all go that are only waited for, or what
    /// else can be given up.
    pub fn give_way<D: Driver>(&mut self, d: &mut D, now: Moment) {
        self.ctx.shortage.last(now);
        if !self.give_up_descriptor(d, now) {
            return;
        }
        while self.ctx.dismiss(d) {}
        self.settle(d, now);
    }

    /// Whether the other workers are to give way, since it was last asked.
    pub fn take_shortage(&mut self) -> bool {
        std::mem::take(&mut self.ctx.shortage.asks)
    }

    /// Does what a shortage has left to be done.
    #[cold]
    pub(crate) fn settle_shortage<D: Driver>(&mut self, d: &mut D, now: Moment) {
        self.ctx.shortage.unsettled = false;
        for key in std::mem::take(&mut self.ctx.shortage.dismissed) {
            self.client_forget(key);
        }
        if !std::mem::take(&mut self.ctx.shortage.met) || self.give_up_idle(d, now) {
            return;
        }
        let shortage = &mut self.ctx.shortage;
        if now.since(shortage.asked) >= ASKING {
            shortage.asked = now;
            shortage.asks = true;
        }
    }
}
