//! What happens on a connection to a backend, told to whoever uses it at the moment.

use std::rc::Rc;

use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;

use crate::driver::{Driver, IoFailure};
use crate::flow::Flow;
use crate::link::{LinkUse, Owner};
use crate::local::LocalPool;
use crate::seek::{connect_speaks_against, note_connected};
use crate::slab::Key;

impl Flow {
    pub(crate) fn link_connected<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Connecting(Owner::Client(client))) => {
                self.exchange_seek(d, client, now, |seek, ctx, d| seek.connected(ctx, d, key, now));
            }
            Some(LinkUse::Connecting(Owner::Relay(relay))) => {
                self.relay_seek(d, relay, now, |seek, ctx, d| seek.connected(ctx, d, key, now));
            }
            Some(LinkUse::Late { keep }) => {
                note_connected(&mut self.ctx, key, now);
                if keep {
                    self.ctx.park(d, key, now);
                } else {
                    self.ctx.close_link(d, key);
                }
            }
            _ => self.ctx.close_link(d, key),
        }
    }

    pub(crate) fn link_connect_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        failure: IoFailure,
        now: Moment,
    ) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Connecting(owner @ Owner::Client(client))) => {
                self.exchange_seek(d, client, now, |seek, ctx, d| {
                    seek.connect_failed(ctx, d, owner, key, failure, now)
                });
            }
            Some(LinkUse::Connecting(owner @ Owner::Relay(relay))) => {
                self.relay_seek(d, relay, now, |seek, ctx, d| {
                    seek.connect_failed(ctx, d, owner, key, failure, now)
                });
            }
            _ => {
                let timed_out = failure == IoFailure::TimedOut;
                if let Some(link) = self.ctx.forget_link(key) {
                    self.ctx.host_heard(&link, failure, now);
                    if timed_out {
                        d.abort(link.conn);
                    }
                    // One of several endpoints proves nothing against a backend, and nobody waits
                    // for a try at the others.
                    let alone = link.backend.endpoints.borrow().len() <= 1;
                    if !failure.is_ours() && alone && link.speaks() {
                        let begun = (link.slot, link.started);
                        connect_speaks_against(&mut self.ctx, &link.pool, begun, failure, now);
                    }
                }
            }
        }
    }

    pub(crate) fn link_writable<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Busy(client)) => self.request_writable(d, client, key, now),
            Some(LinkUse::Relay(relay)) => self.relay_writable(d, relay, false, now),
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn link_data<D: Driver>(&mut self, d: &mut D, key: Key, bytes: &[u8], now: Moment) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Busy(client)) => self.response_data(d, client, key, bytes, now),
            Some(LinkUse::Relay(relay)) => self.relay_backend_data(d, relay, bytes, now),
            Some(LinkUse::Lost { since }) => self.lost_answered(d, key, since, now),
            // Bytes that nobody asked for: the next answer could be read wrongly.
            Some(_) => self.ctx.close_link(d, key),
            None => {}
        }
    }

    pub(crate) fn link_eof<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Busy(client)) => self.response_eof(d, client, key, now),
            Some(LinkUse::Relay(relay)) => self.relay_eof(d, relay, false, now),
            Some(LinkUse::Idle) => self.idle_closed(d, key, now),
            Some(LinkUse::Lost { since }) => {
                self.lost_failed(d, key, since, Some("closed before its answer"), now);
            }
            Some(_) => self.ctx.close_link(d, key),
            None => {}
        }
    }

    fn idle_closed<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        if let Some(link) = self.ctx.links.get(key) {
            link.backend.idle.borrow_mut().closed(key, link.rest, now);
        }
        self.ctx.close_link(d, key);
    }

    pub(crate) fn link_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        failure: IoFailure,
        now: Moment,
    ) {
        match self.ctx.links.get(key).map(|link| link.used) {
            Some(LinkUse::Busy(client)) => self.response_failed(d, client, key, failure, now),
            Some(LinkUse::Relay(relay)) => self.relay_failed(d, relay, false, failure, now),
            Some(LinkUse::Idle) => self.idle_closed(d, key, now),
            Some(LinkUse::Lost { since }) => {
                self.lost_failed(d, key, since, Some(failure.text()), now);
            }
            Some(_) => self.ctx.abort_link(d, key),
            None => {}
        }
    }

    pub(crate) fn link_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(link) = self.ctx.links.get_mut(key) else { return };
        if !link.filed.fired(now) {
            return;
        }
        match link.used {
            LinkUse::Idle | LinkUse::Late { .. } | LinkUse::Lost { .. } if now < link.deadline => {
                let deadline = link.deadline;
                self.ctx.arm_link(key, deadline);
            }
            LinkUse::Idle => self.ctx.close_link(d, key),
            LinkUse::Lost { since } => self.lost_failed(d, key, since, None, now),
            LinkUse::Late { .. } => {
                self.link_connect_failed(d, key, IoFailure::TimedOut, now);
            }
            _ => {}
        }
    }

    /// Where a link leads.
    pub(crate) fn link_place(&self, link: Option<Key>) -> Option<(Rc<LocalPool>, Slot)> {
        let link = self.ctx.links.get(link?)?;
        Some((Rc::clone(&link.pool), link.slot))
    }

    /// The same, if what happens there says something about that backend.
    pub(crate) fn link_speaks_of(&self, link: Option<Key>) -> Option<(Rc<LocalPool>, Slot)> {
        self.link_place(link).filter(|_| self.ctx.speaks(link))
    }
}
