//! What all machines of one worker share: connections to backends, timers, chance, what happened.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::outlier::{against, SLOW};
use fairlead_balance::Random;
use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::event::Event;
use fairlead_model::health::{Misdeed, Transition};
use fairlead_model::limits::ROOM_LOOKS;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use fairlead_proto::http1::Progress;

use crate::chaos::Chaos;
use crate::driver::{ConnId, Driver, IoFailure};
use crate::hosts::{Hosts, LocalHost};
use crate::idle::{Rest, Reuse};
use crate::lag::Lag;
use crate::link::{Link, LinkUse};
use crate::local::{LocalBackend, LocalPool};
use crate::shortage::Shortage;
use crate::slab::{Key, Slab};
use crate::wheel::{Alarm, Wheel};

/// What a connection of the driver is to the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing (any more).
    None,
    /// An HTTP client.
    Client(Key),
    /// The client of a tcp relay or tunnel.
    RelayClient(Key),
    /// A connection to a backend.
    Link(Key),
    /// A probe's.
    Probe(Key),
    /// One that has yet to say whose it is.
    Arrival(Key),
}

/// Roles by connection.
#[derive(Debug)]
pub(crate) struct Roles(Vec<(u32, Role)>);

impl Roles {
    pub(crate) fn set(&mut self, id: ConnId, role: Role) {
        let index = id.index as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, (0, Role::None));
        }
        self.0[index] = (id.generation, role);
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Role {
        match self.0.get(id.index as usize) {
            Some((generation, role)) if *generation == id.generation => *role,
            _ => Role::None,
        }
    }

    pub(crate) fn clear(&mut self, id: ConnId) {
        if self.get(id) != Role::None {
            self.0[id.index as usize].1 = Role::None;
        }
    }

    /// Gives back the places behind the last one that has a role.
    pub(crate) fn give_back(&mut self) {
        let last = self.0.iter().rposition(|(_, role)| *role != Role::None);
        self.0.truncate(last.map_or(0, |last| last + 1));
        if self.0.len() <= self.0.capacity() / 4 {
            self.0.shrink_to_fit();
        }
    }
}

/// Shared by all machines of one worker.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) worker: usize,
    pub(crate) roles: Roles,
    pub(crate) links: Slab<Link>,
    pub(crate) timers: Wheel,
    pub(crate) random: Random,
    pub(crate) events: VecDeque<Event>,
    /// Backends that gave reason to be probed at once.
    pub(crate) doubts: Vec<(Rc<LocalPool>, Slot)>,
    pub(crate) hosts: Hosts,
    /// Hosts that have just given a sign of life.
    pub(crate) revived: Vec<Rc<LocalHost>>,
    /// Whom the policy may choose that is about to be asked.
    pub(crate) candidates: Vec<Slot>,
    /// The number of the last question to a policy.
    asked: u32,
    /// The place in `links` that was last looked at for one that is kept.
    hand: usize,
    /// Whether descriptors are short, and who is to go then.
    pub(crate) shortage: Shortage,
    /// Faults that are played.
    pub(crate) chaos: Chaos,
    /// How late this worker itself is.
    pub(crate) lag: Lag,
}

impl Context {
    pub(crate) fn new(worker: usize, seed: u64) -> Self {
        Context {
            worker,
            roles: Roles(Vec::new()),
            links: Slab::new(),
            timers: Wheel::new(),
            random: Random::new(seed),
            events: VecDeque::new(),
            doubts: Vec::new(),
            hosts: Hosts::new(),
            revived: Vec::new(),
            candidates: Vec::new(),
            asked: 0,
            hand: 0,
            shortage: Shortage::default(),
            chaos: Chaos::new(),
            lag: Lag::default(),
        }
    }

    /// The number of the next question to a policy.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.asked = self.asked.wrapping_add(1);
        self.asked
    }

    /// Starts a connection to the `nth` endpoint of a backend, counted in a ring.
    pub(crate) fn connect<D: Driver>(
        &mut self,
        d: &mut D,
        pool: &Rc<LocalPool>,
        slot: Slot,
        nth: usize,
        now: Moment,
    ) -> Result<Key, IoFailure> {
        let backend = Rc::clone(pool.backend(slot));
        let endpoint = backend.endpoint(nth).ok_or(IoFailure::Unreachable)?;
        let mut conn = d.connect(&endpoint, pool.plan().into());
        // Whoever is turned away, and a kept connection, is worth less than a request that has none.
        while conn == Err(IoFailure::NoDescriptor) && self.dismiss(d) {
            conn = d.connect(&endpoint, pool.plan().into());
        }
        if conn == Err(IoFailure::NoDescriptor) && self.give_up_kept(d) {
            conn = d.connect(&endpoint, pool.plan().into());
        }
        let conn = conn?;
        let key = self.links.insert(Link::new(conn, Rc::clone(pool), slot, backend, endpoint, now));
        self.roles.set(conn, Role::Link(key));
        if self.chaos.is_on() {
            self.afflict(key, now);
        }
        Ok(key)
    }

    /// Ends a connection that is kept for the next request, whichever backend's it is: its
    /// descriptor is needed. False if there is none among those looked at: where all descriptors
    /// are at work, each newcomer must not cost a look at all of them. The next search goes on
    /// where this one ended.
    #[cold]
    pub(crate) fn give_up_kept<D: Driver>(&mut self, d: &mut D) -> bool {
        let places = self.links.places();
        for _ in 0..ROOM_LOOKS.min(places) {
            self.hand = if self.hand + 1 < places { self.hand + 1 } else { 0 };
            let Some((key, link)) = self.links.at(self.hand) else { continue };
            if link.used == LinkUse::Idle {
                // A close in order could keep the descriptor until the other end has closed, too.
                self.abort_link(d, key);
                return true;
            }
        }
        false
    }

    /// Takes a kept connection to a backend, if one serves.
    pub(crate) fn take_kept<D: Driver>(
        &mut self,
        d: &mut D,
        pool: &Rc<LocalPool>,
        slot: Slot,
        reuse: Reuse,
        now: Moment,
    ) -> Option<Key> {
        let backend = pool.backend(slot);
        loop {
            let key = backend.idle.borrow_mut().take(reuse, pool.keepalive, now)?;
            let Some(link) = self.links.get_mut(key) else { continue };
            // Bytes that came while it idled would be read as the next answer: another client's.
            if d.has_news(link.conn) || (reuse == Reuse::Sure && !d.is_quiet(link.conn)) {
                self.close_link(d, key);
                continue;
            }
            // It serves this request under this request's configuration.
            if !Rc::ptr_eq(&link.pool, pool) {
                link.pool = Rc::clone(pool);
                link.slot = slot;
            }
            if self.chaos.is_on() {
                self.afflict(key, now);
            }
            return Some(key);
        }
    }

    /// Draws whether an attempt over this connection suffers.
    #[cold]
    fn afflict(&mut self, key: Key, now: Moment) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.affliction = self.chaos.draw(&link.backend, key, &mut self.random, now);
    }

    /// Whether a fault is played on this connection.
    #[cold]
    pub(crate) fn suffers(&self, link: Option<Key>) -> bool {
        let link = link.and_then(|link| self.links.get(link));
        link.is_some_and(|link| link.affliction.is_some())
    }

    /// Keeps a connection for the next request, or closes it if it can't serve one.
    pub(crate) fn park<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(link) = self.links.get_mut(key) else { return };
        let keepalive = link.pool.keepalive;
        let played = link.affliction.take().is_some_and(|played| !played.leaves_clean());
        let one_client = link.pool.proxy.is_some();
        if keepalive.is_zero() || one_client || played || !link.backend.is_at(&link.endpoint) {
            return self.close_link(d, key);
        }
        link.used = LinkUse::Idle;
        link.was_kept = true;
        link.rest = Rest { earliest: link.heard, latest: now };
        link.input = Vec::new();
        link.progress = Progress::default();
        if std::mem::take(&mut link.paused) {
            d.resume(link.conn);
        }
        link.deadline = now + keepalive;
        let mut filed = link.filed;
        let (deadline, backend, rest) = (link.deadline, Rc::clone(&link.backend), link.rest);
        self.timers.arm(Alarm::Link(key), deadline, &mut filed);
        link.filed = filed;
        let surplus = backend.idle.borrow_mut().keep(key, rest);
        if let Some(surplus) = surplus {
            self.close_link(d, surplus);
        }
    }

    /// Closes a connection to a backend that nobody uses any more.
    pub(crate) fn close_link<D: Driver>(&mut self, d: &mut D, key: Key) {
        if let Some(link) = self.forget_link(key) {
            d.close(link.conn);
        }
    }

    /// Resets a connection to a backend.
    pub(crate) fn abort_link<D: Driver>(&mut self, d: &mut D, key: Key) {
        if let Some(link) = self.forget_link(key) {
            d.abort(link.conn);
        }
    }

    /// Ends an attempt that nobody waits for any more: it is no longer in flight, and its connection
    /// is reset.
    pub(crate) fn drop_attempt<D: Driver>(&mut self, d: &mut D, key: Key) {
        if let Some(link) = self.links.get(key) {
            link.backend.state.end();
        }
        self.abort_link(d, key);
    }

    /// Takes a connection out of the books; the driver's side of it is the caller's to end.
    pub(crate) fn forget_link(&mut self, key: Key) -> Option<Link> {
        let link = self.links.remove(key)?;
        self.roles.clear(link.conn);
        if link.used == LinkUse::Idle {
            link.backend.idle.borrow_mut().forget(key);
        }
        Some(link)
    }

    /// Arms a link's timer for its deadline.
    pub(crate) fn arm_link(&mut self, key: Key, deadline: Moment) {
        if let Some(link) = self.links.get_mut(key) {
            link.deadline = deadline;
            let mut filed = link.filed;
            self.timers.arm(Alarm::Link(key), deadline, &mut filed);
            link.filed = filed;
        }
    }

    /// Whether what happens on a connection says something about the backend that it was made to.
    /// Who calls any of the following because of a connection has asked this, and who notes what
    /// the backend has answered.
    pub(crate) fn speaks(&self, link: Option<Key>) -> bool {
        link.and_then(|link| self.links.get(link)).is_some_and(Link::speaks)
    }

    /// Real traffic failed at a backend.
    pub(crate) fn failed(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        reason: Reason,
        what: &'static str,
        detail: String,
        now: Moment,
    ) {
        pool.backend(slot).state.shard(self.worker).add_failure(reason);
        let change = pool.pool.failed(slot, &against(what, detail), now);
        self.changed(pool.backend(slot), change);
        self.doubts.push((Rc::clone(pool), slot));
    }

    /// A backend didn't answer where another did.
    pub(crate) fn silent(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        reason: Reason,
        what: &'static str,
        detail: String,
        now: Moment,
    ) {
        pool.backend(slot).state.shard(self.worker).add_failure(reason);
        let change = pool.pool.silent(slot, what, detail, now);
        self.changed(pool.backend(slot), change);
        self.doubts.push((Rc::clone(pool), slot));
    }

    /// A backend's answer was an error, or broke off. Whose fault that is others' answers show.
    #[cold]
    pub(crate) fn bad(
        &mut self,
        pool: &LocalPool,
        slot: Slot,
        reason: Reason,
        what: &'static str,
        now: Moment,
    ) {
        let change = pool.pool.bad(slot, misdeed(reason), what, now);
        self.changed(pool.backend(slot), change);
    }

    /// A backend's answer began, so long after its request.
    #[inline]
    pub(crate) fn answer_took(
        &mut self,
        pool: &LocalPool,
        slot: Slot,
        took: Duration,
        now: Moment,
    ) {
        pool.backend(slot).state.latency_took(took, now);
        if took >= SLOW {
            let change = pool.pool.slow(slot, took, now);
            self.changed(pool.backend(slot), change);
        }
    }

    /// A backend's answer was wrong where another's was right.
    pub(crate) fn wrong(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        reason: Reason,
        seen: (&'static str, &str),
        now: Moment,
    ) {
        pool.backend(slot).state.shard(self.worker).add_failure(reason);
        self.turned_out_wrong(pool, slot, reason, seen, now);
    }

    /// A failure that is in the statistics already turns out to be the backend's.
    pub(crate) fn turned_out_wrong(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        reason: Reason,
        seen: (&'static str, &str),
        now: Moment,
    ) {
        let change = pool.pool.wrong(slot, misdeed(reason), seen, now);
        self.changed(pool.backend(slot), change);
        self.doubts.push((Rc::clone(pool), slot));
    }

    /// Counts relayed bytes as they pass, as received from the backend or sent to it: a connection
    /// that lasts for days shows in its backend's counters meanwhile.
    #[inline]
    pub(crate) fn count_relayed(&self, link: Option<Key>, of_client: bool, count: u64) {
        if let Some(link) = link.and_then(|link| self.links.get(link)) {
            let (received, sent) = if of_client { (0, count) } else { (count, 0) };
            link.backend.state.shard(self.worker).add_bytes(received, sent);
        }
    }

    /// Real traffic went well at a backend.
    #[inline]
    pub(crate) fn succeeded(&mut self, pool: &LocalPool, slot: Slot, now: Moment) {
        let backend = pool.backend(slot);
        let change = backend.state.succeeded(&pool.rules, now);
        if change.is_some() {
            self.changed(backend, change);
        }
    }

    /// A backend is late with something; nothing failed yet.
    pub(crate) fn doubt(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        what: &'static str,
        detail: String,
        now: Moment,
    ) {
        let change = pool.backend(slot).state.doubt(what, detail, now);
        self.changed(pool.backend(slot), change);
        self.doubts.push((Rc::clone(pool), slot));
    }

    /// An answer came on a connection that was suspected of being dead.
    #[cold]
    pub(crate) fn path_answered<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        sent_at: Moment,
        now: Moment,
    ) {
        let Some(link) = self.links.get_mut(key) else { return };
        let path = link.path(d, now);
        link.watch.answered(path, &link.backend, sent_at, now);
    }

    /// A backend is late where others answered, and its check may well not show it; nothing failed
    /// yet.
    pub(crate) fn overdue(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        what: &'static str,
        detail: String,
        now: Moment,
    ) {
        let change = pool.backend(slot).state.overdue(what, detail, now);
        self.changed(pool.backend(slot), change);
        self.doubts.push((Rc::clone(pool), slot));
    }

    /// Tells a change of health.
    pub(crate) fn changed(&mut self, backend: &LocalBackend, change: Option<Transition>) {
        if let Some(Transition { from, to, why }) = change {
            let (pool, backend) = (backend.state.pool().into(), backend.state.address().into());
            self.events.push_back(Event::Health { pool, backend, from, to, why });
        }
    }

    /// Whether a backend is known to be down, so that nothing more is to be had from it. One that
    /// is down only because others answer better does answer.
    pub(crate) fn is_down(pool: &LocalPool, slot: Slot) -> bool {
        !pool.backend(slot).state.is_there()
    }
}

/// What a failure says of who made it.
fn misdeed(reason: Reason) -> Misdeed {
    match reason {
        Reason::ResponseTruncated | Reason::ResponseStalled => Misdeed::Truncation,
        Reason::ResponseTimeout | Reason::Unacknowledged => Misdeed::Silence,
        _ => Misdeed::Error,
    }
}

/// The text of a place, for events.
pub(crate) fn place(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => format!("unix:{path}"),
    }
}
