//! A relay whose backend resets it before either side has said anything: another one is sought.
//!
//! A kernel completes connects for a process that has just ended, and then resets them. Not a byte
//! of the client has gone there, so nothing can happen twice; and a client that has only connected
//! (or keeps a connection for later) needn't notice that its backend was replaced.
//!
//! Rules of this file
//! 1. Nothing was said means: not a byte of either side, and no end. An orderly end without a word
//!    is an answer on tcp, and is passed on.
//! 2. It counts as one more attempt of the same search, which goes on where it was: whom it has
//!    tried it doesn't try again before the others, and it waits no longer in all. And it counts as
//!    silence of its backend.
//! 3. It may come after days. The search goes on in the pool as it is configured now; where its
//!    listener has another pool, or none, or is gone, the reset is passed on.
//! 4. Where a PROXY header was sent, it is passed on, too: something was said then. A backend that
//!    turns the client away for it closes with the header unread, which its kernel makes a reset;
//!    others would be asked to take whom the first one has refused.

use std::rc::Rc;

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use super::silence::Question;
use super::Relay;
use crate::driver::{Driver, IoFailure, Peer};
use crate::flow::Flow;
use crate::hash_key::key_of;
use crate::link::Owner;
use crate::local::{LocalListener, LocalPool};
use crate::slab::Key;

impl Flow {
    /// True if the relay goes on with a search for another backend.
    pub(super) fn relay_again<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        failure: IoFailure,
        now: Moment,
    ) -> bool {
        let Some(relay) = self.relays.get(key) else { return false };
        let reset = failure == IoFailure::Reset;
        let Some((listener, pool)) = self.pool_now(relay).filter(|_| reset) else { return false };
        let Some((old, slot)) = self.link_place(relay.link) else { return false };
        self.relay_ended(key, now);
        let Some(relay) = self.relays.get_mut(key) else { return false };
        let Some(mut seek) = relay.found.take() else { return false };
        let peer = Peer { address: relay.address, local: relay.local };
        seek.key = key_of(pool.plan(), peer);
        seek.goes_on(pool, Reason::ResponseTruncated);
        relay.listener = listener;
        relay.seek = Some(seek);
        relay.sought = now;
        relay.question = Question::None;
        relay.backend = None;
        d.pause(relay.client);
        if let Some(link) = relay.link.take() {
            old.backend(slot).state.end();
            self.ctx.abort_link(d, link);
        }
        self.relay_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, Owner::Relay(key), now));
        true
    }

    /// What has become of the listener and the pool of a relay that may go on.
    fn pool_now(&self, relay: &Relay) -> Option<(Rc<LocalListener>, Rc<LocalPool>)> {
        let before = &relay.found.as_ref()?.pool;
        let listener = self.local.listeners.get(&relay.listener.state.id())?;
        let pool = listener.pools.get(listener.plan().pool?)?;
        let stays = pool.plan().name == before.plan().name;
        stays.then(|| (Rc::clone(listener), Rc::clone(pool)))
    }
}
