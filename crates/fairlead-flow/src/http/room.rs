//! Room for newcomers: who has to go when all places are taken.
//!
//! Rules of this file
//! 1. Whoever has been without a request for a second may have to go, in favour of a newcomer; one
//!    in the middle of a request never. A client may lose a kept connection at any time and knows
//!    it (RFC 9112 §9.5), a newcomer has nothing else.
//! 2. Of some idle ones found, whoever has been idle for longest goes. Nobody is looked for beyond a
//!    bound: a flood of newcomers must not cost more than refusing them would. The search goes on
//!    where the last one ended.
//! 3. Where the limit is one address's, one of that address goes.
//! 4. It is this worker's clients that are looked at. When all places are taken the engine gives
//!    newcomers to the worker that has the most, and when memory is full to each in turn.
//! 5. Where it is memory that is full, whoever is refused for it (a newcomer, or a request on a kept
//!    connection) sheds a few that idle, on both sides, and stays refused: one place more is not
//!    what is missing, and what was freed shows when memory is looked at next, within a tenth of a
//!    second. So nothing swings: newcomers are let in when there is a tenth less, and not before.

use std::time::Duration;

use fairlead_model::limits::{ROOM_AFTER_MS, ROOM_CHOICE, ROOM_LOOKS, SHED_AT_ONCE};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::{Driver, ListenerId, Peer};
use crate::flow::Flow;
use crate::http::client::{Client, State};
use crate::local::LocalListener;
use crate::places::{counted, Source};
use crate::slab::Key;

/// Whose place would help.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Anybodys,
    Of(ListenerId),
    From(ListenerId, Source),
}

impl Flow {
    /// Closes an idle client's connection, so that a newcomer can have its place. `full` is the
    /// limit that stands against that one. False if there was nobody, or if that doesn't help.
    pub(crate) fn make_room<D: Driver>(
        &mut self,
        d: &mut D,
        full: Reason,
        listener: &LocalListener,
        peer: Peer,
        now: Moment,
    ) -> bool {
        let id = listener.state.id();
        let whose = match full {
            Reason::ListenerFull => Whose::Of(id),
            Reason::MemoryFull => {
                self.shed_idle(d, now);
                return false;
            }
            Reason::ClientFull => {
                let Some(source) = counted(peer, &listener.plan().trusted_proxies) else {
                    return false;
                };
                Whose::From(id, source)
            }
            _ => Whose::Anybodys,
        };
        self.close_longest_idle(d, whose, now)
    }

    /// Closes a few connections that idle, because somebody is refused for want of memory: clients'
    /// that have idled for longest, and as many that are kept for backends.
    #[cold]
    pub(crate) fn shed_idle<D: Driver>(&mut self, d: &mut D, now: Moment) {
        for _ in 0..SHED_AT_ONCE {
            if !self.give_up_idle(d, now) {
                break;
            }
        }
        for _ in 0..SHED_AT_ONCE {
            if !self.ctx.give_up_kept(d) {
                break;
            }
        }
    }

    /// Closes an idle client's connection for its descriptor. False if there is none.
    pub(crate) fn give_up_idle<D: Driver>(&mut self, d: &mut D, now: Moment) -> bool {
        self.close_longest_idle(d, Whose::Anybodys, now)
    }

    /// Closes whoever has been idle for longest, among some. False if there is nobody.
    fn close_longest_idle<D: Driver>(&mut self, d: &mut D, whose: Whose, now: Moment) -> bool {
        let Some(key) = self.longest_idle(d, whose, now) else { return false };
        if let Some(client) = self.clients.get(key) {
            client.listener.state.count(self.ctx.worker, 0, Reason::MadeRoom);
        }
        self.client_close(d, key);
        true
    }

    /// Whoever has been idle for longest, among some.
    fn longest_idle<D: Driver>(&mut self, d: &D, whose: Whose, now: Moment) -> Option<Key> {
        let places = self.clients.places();
        let mut found: Option<(Moment, Key)> = None;
        let mut seen = 0;
        for _ in 0..ROOM_LOOKS.min(places) {
            self.hand = if self.hand + 1 < places { self.hand + 1 } else { 0 };
            let Some((key, client)) = self.clients.at(self.hand) else { continue };
            let Some(since) = client.idle_since(now).filter(|_| client.is_one_of(whose)) else {
                continue;
            };
            // It has yet to take the end of its last answer.
            if d.queued(client.conn) > 0 {
                continue;
            }
            if found.is_none_or(|(longest, _)| since < longest) {
                found = Some((since, key));
            }
            seen += 1;
            if seen == ROOM_CHOICE {
                break;
            }
        }
        found.map(|(_, key)| key)
    }
}

impl Client {
    /// Since when it has been idle, if it is and has been for long enough to go.
    fn idle_since(&self, now: Moment) -> Option<Moment> {
        let at_rest = self.state == State::Open
            && self.exchange.is_none()
            && self.input.is_empty()
            && !self.in_head
            && self.place.is_some();
        // Its deadline was set when it became idle, to the end of its idle time.
        let idle = self.listener.plan().timeouts.idle.duration();
        let since = Moment(self.deadline.0.saturating_sub(idle.as_nanos() as u64));
        (at_rest && now.since(since) >= Duration::from_millis(ROOM_AFTER_MS)).then_some(since)
    }

    fn is_one_of(&self, whose: Whose) -> bool {
        let of = |listener| self.listener.state.id() == listener;
        match whose {
            Whose::Anybodys => true,
            Whose::Of(listener) => of(listener),
            Whose::From(listener, source) => {
                let trusted = &self.listener.plan().trusted_proxies;
                of(listener) && counted(self.peer, trusted) == Some(source)
            }
        }
    }
}
