//! How a relay ends, and what each side is told of it.

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::{Driver, IoFailure};
use crate::flow::Flow;
use crate::slab::Key;
use crate::tcp::Relay;

impl Flow {
    /// One side is gone: the other is told in the same way.
    pub(crate) fn relay_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        of_client: bool,
        failure: IoFailure,
        now: Moment,
    ) {
        if of_client {
            return self.relay_drop(d, key, Reason::ClientGone, now);
        }
        if self.relay_again(d, key, failure, now) {
            return;
        }
        let Some(relay) = self.relays.get(key) else { return };
        let reason = match failure {
            IoFailure::TimedOut => Reason::ResponseStalled,
            _ => Reason::ResponseTruncated,
        };
        if failure == IoFailure::TimedOut {
            // The kernel gave up on a backend that no longer acknowledges: a dead host.
            let link = relay.link;
            if let Some((pool, slot)) = self.link_speaks_of(link) {
                let what = failure.text();
                self.ctx.failed(&pool, slot, reason, what, String::new(), now);
            }
        } else {
            self.relay_ended(key, now);
        }
        self.relay_drop(d, key, reason, now);
    }

    /// Neither side sent for the idle time. The client's connection is closed. A backend whose
    /// client had not finished gets a reset, so that half a message doesn't look like a whole one.
    pub(super) fn relay_expire<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(relay) = self.relays.get(key) else { return };
        let half = !relay.client_finished;
        self.relay_close(d, key, Reason::ClientIdle, half, now);
    }

    /// Ends a relay in order: what is queued is still sent.
    pub(crate) fn relay_end<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        now: Moment,
    ) {
        self.relay_close(d, key, reason, false, now);
    }

    fn relay_close<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        reset_backend: bool,
        now: Moment,
    ) {
        let Some(mut relay) = self.relays.remove(key) else { return };
        if let Some(mut seek) = relay.take_seek() {
            seek.cancel(&mut self.ctx, d, now);
        }
        let link = relay.link;
        self.relay_count(&relay, reason, now);
        self.ctx.roles.clear(relay.client);
        // The search failed before a byte of the client was read: a plain close would look like
        // an empty answer, a reset says that there was none.
        if relay.backend.is_none() {
            d.abort(relay.client);
        } else {
            d.close(relay.client);
        }
        match link {
            Some(link) if reset_backend => self.ctx.abort_link(d, link),
            Some(link) => self.ctx.close_link(d, link),
            None => {}
        }
    }

    /// Ends a relay by resets on both sides.
    pub(crate) fn relay_drop<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        now: Moment,
    ) {
        let Some(mut relay) = self.relays.remove(key) else { return };
        if let Some(mut seek) = relay.take_seek() {
            seek.cancel(&mut self.ctx, d, now);
        }
        self.relay_count(&relay, reason, now);
        self.ctx.roles.clear(relay.client);
        d.abort(relay.client);
        if let Some(link) = relay.link {
            self.ctx.abort_link(d, link);
        }
    }

    fn relay_count(&mut self, relay: &Relay, reason: Reason, now: Moment) {
        self.log_relay(relay, reason, now);
        let listener = &relay.listener.state;
        listener.leave(relay.place);
        listener.count_bytes(self.ctx.worker, relay.received, relay.sent);
        listener.count(self.ctx.worker, 0, reason);
        if let Some(link) = relay.link.and_then(|link| self.ctx.links.get(link)) {
            link.backend.state.end();
        }
    }
}
