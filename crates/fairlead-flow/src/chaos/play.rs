//! How a fault is played: which news a machine hears, hears later, or never hears.
//!
//! The machines are not told that it is a game: they get the calls that the real failure would
//! lead to, at the same moments, and do what they would do.
//!
//! A run that ends leaves nobody in limbo. A connect that was kept back is told then, as a host
//! that is back answers a SYN sent again; bytes that vanished arrive, as what is sent again does, or
//! what a process finds when it wakes up. So an end costs nobody who still waits anything.

use std::sync::Arc;

use fairlead_model::chaos::Fault;
use fairlead_model::event::Event;
use fairlead_model::moment::Moment;

use super::{ChaosRun, Held, Holding};
use crate::driver::{Driver, IoFailure, Sent};
use crate::flow::Flow;
use crate::link::LinkUse;
use crate::probe::Probe;
use crate::slab::Key;
use crate::wheel::Alarm;

/// What a suffering backend answers.
const UNWELL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// Bytes of a check's page that are held back: more than is looked at of one.
const HELD_BYTES: usize = 64 * 1024;

/// What the driver has to tell of a connection to a backend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News<'a> {
    Connected,
    Data(&'a [u8]),
    Finished,
    Failed(IoFailure),
}

impl Flow {
    /// Plays these faults from now on; `None` ends what is played. One worker of all tells it.
    pub fn play_chaos<D: Driver>(&mut self, d: &mut D, run: Option<Arc<ChaosRun>>, now: Moment) {
        self.chaos_end(d, "ended early", now);
        if let Some(run) = run {
            let (plan, until) = (&run.plan, run.plan.until);
            let long = until.since(plan.from).as_secs_f64();
            self.chaos_tell(&run, format!("{} for {long} s begins", plan.text()));
            self.ctx.chaos.run = Some(run);
            self.ctx.chaos.note();
            self.ctx.chaos.aim(&self.local);
            self.chaos_arm(until);
        }
        self.settle(d, now);
    }

    fn chaos_tell(&mut self, run: &ChaosRun, what: String) {
        if self.ctx.worker == 0 {
            let (pool, backend) = (run.plan.pool.clone(), run.plan.backend.clone());
            self.ctx.events.push_back(Event::Chaos { pool, backend, what });
        }
    }

    pub(crate) fn chaos_arm(&mut self, deadline: Moment) {
        let mut filed = self.ctx.chaos.filed;
        self.ctx.timers.arm(Alarm::Chaos, deadline, &mut filed);
        self.ctx.chaos.filed = filed;
    }

    /// Something is due: the end, or an answer that was held back.
    pub(crate) fn chaos_timer<D: Driver>(&mut self, d: &mut D, now: Moment) {
        if !self.ctx.chaos.filed.fired(now) {
            return;
        }
        if self.ctx.chaos.run.as_ref().is_some_and(|run| run.plan.until <= now) {
            self.chaos_end(d, "ended", now);
        }
        while let Some(index) = self.ctx.chaos.holding.iter().position(|held| held.due <= now) {
            let held = self.ctx.chaos.holding.remove(index);
            self.ctx.chaos.note();
            self.chaos_release(d, &held, now);
        }
        let until = self.ctx.chaos.run.as_ref().map(|run| run.plan.until);
        let next = self.ctx.chaos.holding.iter().map(|held| held.due).chain(until).min();
        if let Some(next) = next {
            self.chaos_arm(next);
        }
    }

    /// Ends the run, if there is one.
    pub(crate) fn chaos_end<D: Driver>(&mut self, d: &mut D, how: &str, now: Moment) {
        let Some(run) = self.ctx.chaos.run.take() else { return };
        self.ctx.chaos.target = None;
        self.ctx.chaos.note();
        self.chaos_tell(&run, format!("{} {how}", run.plan.text()));
        for key in self.ctx.links.keys() {
            let Some(link) = self.ctx.links.get_mut(key) else { continue };
            let Some(affliction) = &link.affliction else { continue };
            match affliction.fault {
                Fault::Drop | Fault::Freeze => self.chaos_let_go(d, key, now),
                // It was struck: what was begun without the backend ends without it.
                Fault::Reset | Fault::Error if affliction.vanished.is_some() => {}
                Fault::Reset | Fault::Error => link.affliction = None,
                // What is held back comes when it is due.
                Fault::Delay => {}
            }
        }
    }

    /// What was on its way arrives: there, and here.
    fn chaos_let_go<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let holding = &mut self.ctx.chaos.holding;
        let held = holding.iter().position(|held| held.whose == Held::Link(key));
        let held = held.map(|index| holding.remove(index));
        self.ctx.chaos.note();
        let Some(link) = self.ctx.links.get_mut(key) else { return };
        let Some(affliction) = link.affliction.take() else { return };
        let broke = held.as_ref().is_some_and(|held| held.failure.is_some());
        if affliction.arrived && !broke {
            // How long that took is nothing to learn from.
            link.started = now;
            self.link_connected(d, key, now);
        } else if !broke {
            let (conn, way) = (link.conn, &affliction.on_its_way);
            let sent = if way.bytes.is_empty() { Sent::All } else { d.send(conn, &way.bytes, &[]) };
            if way.finished {
                d.finish(conn);
            }
            if way.full && sent == Sent::All {
                self.link_writable(d, key, now);
            }
        }
        if let Some(held) = held {
            self.chaos_deliver(d, key, &held, now);
        }
    }

    /// Whether these news of a connection are not for its machine, or not yet.
    #[inline]
    pub(crate) fn chaos_keeps<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        news: News<'_>,
        now: Moment,
    ) -> bool {
        self.ctx.chaos.is_on() && self.chaos_catches(d, key, news, now)
    }

    #[cold]
    fn chaos_catches<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        news: News<'_>,
        now: Moment,
    ) -> bool {
        let Some(link) = self.ctx.links.get_mut(key) else { return false };
        let Some(affliction) = &mut link.affliction else { return false };
        match (affliction.fault, news) {
            (Fault::Drop, News::Connected) => {
                affliction.arrived = true;
                true
            }
            // The kernel of a frozen process connects, or refuses.
            (Fault::Freeze, News::Failed(_)) if affliction.vanished.is_none() => false,
            // The backend spoke first.
            (Fault::Reset, News::Data(_)) => affliction.takes(&[], &[], now).is_some(),
            (
                Fault::Drop | Fault::Freeze | Fault::Delay,
                News::Data(_) | News::Finished | News::Failed(_),
            ) => {
                let conn = link.conn;
                let first = self.chaos_hold(Held::Link(key), news, now);
                if first && matches!(news, News::Data(_)) {
                    d.pause(conn);
                }
                self.ctx.chaos.holds(Held::Link(key))
            }
            _ => false,
        }
    }

    /// A relay's client has sent something, on a connection that suffers.
    #[cold]
    pub(crate) fn relay_suffers<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) -> Sent {
        let link = self.relays.get(key).and_then(|relay| relay.link);
        let link = link.and_then(|link| self.ctx.links.get_mut(link));
        link.map_or(Sent::All, |link| link.send(d, bytes, &[], now))
    }

    /// A relay's client has finished, while faults are played.
    #[cold]
    pub(crate) fn relay_finishes<D: Driver>(&mut self, d: &mut D, key: Key) {
        let link = self.relays.get(key).and_then(|relay| relay.link);
        if let Some(link) = link.and_then(|link| self.ctx.links.get_mut(link)) {
            link.finish(d);
        }
    }

    /// Holds back what came. True if that is the first of it.
    fn chaos_hold(&mut self, whose: Held, news: News<'_>, now: Moment) -> bool {
        let chaos = &mut self.ctx.chaos;
        let known = chaos.holding.iter().position(|held| held.whose == whose);
        let begins = known.is_none();
        if begins {
            let Some(plan) = chaos.run.as_ref().map(|run| &run.plan) else { return false };
            let late = plan.fault == Fault::Delay;
            // An end without an answer is no answer that could be held back.
            if late && !matches!(news, News::Data(_)) {
                return false;
            }
            let due = if late { now + plan.delay } else { plan.until };
            chaos.holding.push(Holding::new(whose, due));
            chaos.note();
        }
        let index = known.unwrap_or(chaos.holding.len() - 1);
        let held = &mut chaos.holding[index];
        match news {
            // A connection is not read meanwhile, and a check's page is looked at no further.
            News::Data(bytes) => {
                let room = HELD_BYTES.saturating_sub(held.bytes.len());
                held.bytes.extend_from_slice(match whose {
                    Held::Link(_) => bytes,
                    Held::Probe(..) => &bytes[..bytes.len().min(room)],
                });
            }
            News::Finished => held.finished = true,
            News::Failed(failure) => held.failure = Some(failure),
            News::Connected => {}
        }
        let due = held.due;
        if begins {
            self.chaos_arm(due);
        }
        begins
    }

    fn chaos_release<D: Driver>(&mut self, d: &mut D, held: &Holding, now: Moment) {
        let key = match held.whose {
            Held::Link(key) => key,
            Held::Probe(key, round) => {
                let probe = self.probes.get_mut(key);
                // A round that didn't wait so long has had its verdict.
                let waits = |probe: &&mut Probe| probe.started == round && probe.fault.is_some();
                if let Some(probe) = probe.filter(waits) {
                    probe.fault = None;
                    self.probe_data(d, key, &held.bytes, now);
                }
                return;
            }
        };
        let Some(link) = self.ctx.links.get_mut(key) else { return };
        link.affliction = None;
        self.chaos_deliver(d, key, held, now);
    }

    /// Tells what was held back of a connection.
    fn chaos_deliver<D: Driver>(&mut self, d: &mut D, key: Key, held: &Holding, now: Moment) {
        let Some(link) = self.ctx.links.get_mut(key) else { return };
        let connecting = matches!(link.used, LinkUse::Connecting(_) | LinkUse::Late { .. });
        if held.failure.is_none() {
            d.resume(link.conn);
        }
        if !held.bytes.is_empty() {
            self.link_data(d, key, &held.bytes, now);
        }
        match held.failure {
            Some(failure) if connecting => self.link_connect_failed(d, key, failure, now),
            Some(failure) => self.link_failed(d, key, failure, now),
            None if held.finished => self.link_eof(d, key, now),
            None => {}
        }
    }

    /// Tells those that were struck, now that nobody is in the middle of anything.
    #[cold]
    pub(crate) fn chaos_strike<D: Driver>(&mut self, d: &mut D, now: Moment) {
        while let Some(key) = self.ctx.chaos.take_struck() {
            let Some(link) = self.ctx.links.get(key) else { continue };
            match link.affliction.as_ref().map(|affliction| affliction.fault) {
                Some(Fault::Error) if matches!(link.used, LinkUse::Busy(_)) => {
                    self.link_data(d, key, UNWELL, now);
                }
                Some(Fault::Reset) => self.link_failed(d, key, IoFailure::Reset, now),
                _ => {}
            }
        }
    }

    /// Begins a round of a check: whether it suffers.
    pub(crate) fn chaos_of_probe(&mut self, key: Key, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        let ctx = &mut self.ctx;
        let watchers = probe.watchers.iter().map(|watcher| &watcher.backend);
        probe.fault = ctx.chaos.draw_check(watchers, &mut ctx.random, now);
    }

    /// A probe's connect succeeded. True if its machine hears something else, or nothing.
    pub(crate) fn chaos_probe_connected<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        now: Moment,
    ) -> bool {
        let Some(probe) = self.probes.get_mut(key) else { return false };
        match probe.fault {
            Some(Fault::Drop) => {}
            Some(Fault::Reset) => {
                let what = IoFailure::Reset.text();
                self.probe_result(d, key, false, what, String::new(), now);
            }
            Some(Fault::Freeze) if probe.asks() => probe.note_asked(),
            Some(Fault::Error) if probe.asks() => {
                probe.note_asked();
                self.probe_data(d, key, UNWELL, now);
            }
            _ => return false,
        }
        true
    }

    /// Whether these news of a probe's connection are not for it, or not yet.
    pub(crate) fn chaos_keeps_probe(&mut self, key: Key, news: News<'_>, now: Moment) -> bool {
        let Some(probe) = self.probes.get_mut(key) else { return false };
        match probe.fault {
            Some(Fault::Drop) => true,
            Some(Fault::Freeze) => probe.is_asking(),
            Some(Fault::Delay) => {
                let whose = Held::Probe(key, probe.started);
                self.chaos_hold(whose, news, now);
                self.ctx.chaos.holds(whose)
            }
            _ => false,
        }
    }
}
