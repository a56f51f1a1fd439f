//! What a panic takes with it: the connection that it was about, or the timer, and all tied to that.

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Role;
use crate::driver::{ConnId, Driver};
use crate::flow::Flow;
use crate::link::{LinkUse, Owner};
use crate::wheel::Alarm;

impl Flow {
    /// A timer's handler panicked: forgets whose timer it was, and all that is tied to it. It has no
    /// deadline any more, and would wait for ever.
    pub fn handle_timer_panic<D: Driver>(&mut self, d: &mut D, now: Moment) {
        self.ready.clear();
        self.ctx.doubts.clear();
        match self.firing.take() {
            Some(Alarm::Client(key)) => self.client_gone(d, key, now),
            Some(Alarm::Relay(key)) => self.relay_drop(d, key, Reason::Internal, now),
            Some(Alarm::Link(key)) => self.ctx.abort_link(d, key),
            Some(Alarm::Probe(key)) => self.probe_give_up(d, key, now),
            Some(Alarm::Arrival(key)) => self.arrival_drop(d, key, Reason::Internal, now),
            Some(Alarm::Holds) => self.holds_arm(now),
            // What is still to come of it is seen then.
            Some(Alarm::Chaos) => self.chaos_arm(now),
            None => {}
        }
    }

    /// Notes whose turn it is, should its handler panic.
    pub(crate) fn watch(&mut self, alarm: Alarm) {
        self.firing = Some(alarm);
    }

    /// Its handler has ended.
    pub(crate) fn unwatch(&mut self) {
        self.firing = None;
    }

    /// A handler for `id` panicked: forgets it and all that is tied to it.
    pub fn handle_panic<D: Driver>(&mut self, d: &mut D, id: ConnId, now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_gone(d, key, now),
            Role::RelayClient(key) => self.relay_drop(d, key, Reason::Internal, now),
            Role::Probe(key) => self.probe_give_up(d, key, now),
            Role::Arrival(key) => self.arrival_drop(d, key, Reason::Internal, now),
            Role::Link(key) => match self.ctx.links.get(key).map(|link| link.used) {
                Some(LinkUse::Busy(client) | LinkUse::Connecting(Owner::Client(client))) => {
                    self.client_gone(d, client, now);
                }
                Some(LinkUse::Relay(relay) | LinkUse::Connecting(Owner::Relay(relay))) => {
                    self.relay_drop(d, relay, Reason::Internal, now);
                }
                Some(LinkUse::Lost { since }) => self.lost_answered(d, key, since, now),
                _ => self.ctx.abort_link(d, key),
            },
            Role::None => d.abort(id),
        }
        self.ctx.roles.clear(id);
        self.ready.clear();
        self.ctx.doubts.clear();
    }
}
