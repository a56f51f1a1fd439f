//! A relay whose backend resets it before either side has said anything: another one is sought.
//!
//! A kernel completes connects for a process that has just ended, and then resets them. Not a byte
//! of the client has gone there, so nothing can happen twice; and a client that has only connected
//! (or keeps a connection for later) needn't notice that its backend was replaced.
//!
//! Rules of this file
//! 1. Nothing was said means: not a byte of either side but our own introduction, and no end. An
//!    orderly end without a word is an answer on tcp, and is passed on.
//! 2. It counts as one more attempt of the same search, and as silence of its backend.

use std::rc::Rc;

use fairlead_model::moment::Moment;
use fairlead_model::plan::{HashOn, Policy};
use fairlead_model::reason::Reason;

use super::silence::Question;
use super::source_key;
use crate::driver::{Driver, IoFailure, Peer};
use crate::flow::Flow;
use crate::idle::Reuse;
use crate::link::Owner;
use crate::seek::Seek;
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
        let said = relay.received > 0 || relay.sent > 0 || relay.question != Question::None;
        let ended = relay.client_finished || relay.backend_finished;
        if said || ended || failure != IoFailure::Reset {
            return false;
        }
        let Some((pool, slot)) = self.link_place(relay.link) else { return false };
        self.relay_ended(key, now);
        let Some(relay) = self.relays.get_mut(key) else { return false };
        let plan = pool.plan();
        let hashed = plan.has_policy(Policy::Hash) && plan.hash_on == HashOn::SourceIp;
        let peer = Peer { address: relay.address, local: relay.local };
        let hash = hashed.then(|| source_key(plan, peer));
        let mut seek = Seek::new(Rc::clone(&pool), hash, Reuse::Never);
        seek.goes_on(slot, relay.attempts, Reason::ResponseTruncated);
        relay.seek = Some(Box::new(seek));
        relay.question = Question::None;
        relay.backend = None;
        d.pause(relay.client);
        if let Some(link) = relay.link.take() {
            pool.backend(slot).state.end();
            self.ctx.abort_link(d, link);
        }
        self.relay_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, Owner::Relay(key), now));
        true
    }
}
