//! One host's silence, told to everything that is on it.
//!
//! Rules of this file
//! 1. A host is an IP address at which the configuration has backends under two ports or more.
//!    This machine's own (loopback) isn't one: it can't be dead while we ask.
//! 2. A backend is on a host if all its endpoints are.
//! 3. An answer on a kept connection is a sign of life, too; it is looked for only when there is
//!    something to refute.
//! 4. What is suspect for its host's sake is probed at once, [`PROBES`] at a time; the others wait
//!    for their turn, or for the verdict. While a host is silent only as many of its regular
//!    probes are made at the fast pace.
//! 5. At the first sign of life all of a host's regular probes that are this worker's are made at
//!    once. Other workers' follow with their next one.
//!
//! Not here: what silence means (`fairlead_balance::host`).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::host::{HostState, Silence, PROBES};
use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::context::Context;
use crate::driver::IoFailure;
use crate::flow::Flow;
use crate::link::Link;
use crate::local::LocalPool;
use crate::seek::millis;
use crate::slab::Key;
use crate::snapshot::Snapshot;

/// So many of a host's probes begin together when it is back; the next as many a millisecond later.
const AT_ONCE: usize = 64;

/// A host in one worker.
#[derive(Debug)]
pub(crate) struct LocalHost {
    address: IpAddr,
    state: Arc<HostState>,
    /// How many ports of it are in use.
    ports: usize,
    backends: Vec<(Rc<LocalPool>, Slot)>,
    /// Those that wait to be probed.
    waiting: RefCell<VecDeque<usize>>,
    /// This worker has seen that it was silent.
    was_silent: Cell<bool>,
}

/// Whether an extra probe may be made.
#[derive(Debug)]
pub(crate) enum Claim {
    /// As many as one likes.
    Free,
    /// It is one of those that this silent host gets.
    Of(Rc<LocalHost>),
    /// Not now.
    Wait,
}

/// The hosts of a configuration, by address.
pub(crate) type Hosts = BTreeMap<IpAddr, Rc<LocalHost>>;

/// The hosts of `pools`.
pub(crate) fn hosts(snapshot: &Snapshot, pools: &[Rc<LocalPool>]) -> Hosts {
    let mut found: BTreeMap<IpAddr, Vec<(u16, Rc<LocalPool>, Slot)>> = BTreeMap::new();
    for pool in pools {
        for (index, backend) in pool.plan().backends.iter().enumerate() {
            let Some((address, port)) = only_address(&backend.endpoints) else { continue };
            let slot = Slot(index as u32);
            found.entry(address).or_default().push((port, Rc::clone(pool), slot));
        }
    }
    let several = found.into_iter().filter_map(|(address, backends)| {
        let mut ports: Vec<u16> = backends.iter().map(|(port, ..)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        let host = LocalHost {
            address,
            state: snapshot.host(address)?,
            ports: ports.len(),
            backends: backends.into_iter().map(|(_, pool, slot)| (pool, slot)).collect(),
            waiting: RefCell::default(),
            was_silent: Cell::new(false),
        };
        (host.ports > 1).then(|| (address, Rc::new(host)))
    });
    several.collect()
}

/// The address that all endpoints share, and the port of the first.
fn only_address(endpoints: &[Endpoint]) -> Option<(IpAddr, u16)> {
    let Some(Endpoint::Tcp(first)) = endpoints.first() else { return None };
    let ip = first.ip();
    let alike = |one: &Endpoint| matches!(one, Endpoint::Tcp(address) if address.ip() == ip);
    let here = ip.to_canonical().is_loopback();
    (!here && endpoints.iter().all(alike)).then(|| (ip, first.port()))
}

impl LocalHost {
    /// Gives back a claim that isn't used.
    pub(crate) fn unclaim(&self) {
        self.state.release_probe();
    }

    /// Whether any of its backends has answered since then.
    fn answered_since(&self, moment: Moment) -> bool {
        self.backends.iter().any(|(pool, slot)| pool.backend(*slot).state.answer_began() >= moment)
    }
}

impl Context {
    fn host(&self, endpoint: &Endpoint) -> Option<&Rc<LocalHost>> {
        match endpoint {
            Endpoint::Tcp(address) if !self.hosts.is_empty() => self.hosts.get(&address.ip()),
            _ => None,
        }
    }

    /// What was asked on this connection at `began`, its connect or more, is late. A fault that is
    /// played on it says nothing about the host.
    pub(crate) fn host_silent_on(&mut self, link: Key, began: Moment, now: Moment) {
        if self.suffers(Some(link)) {
            return;
        }
        if let Some(endpoint) = self.links.get(link).map(|link| Rc::clone(&link.endpoint)) {
            self.host_silent(&endpoint, false, began, now);
        }
    }

    /// What was asked of this place at `began` is late, or was given up.
    pub(crate) fn host_silent(
        &mut self,
        endpoint: &Endpoint,
        given_up: bool,
        began: Moment,
        now: Moment,
    ) {
        let (Some(host), Endpoint::Tcp(to)) = (self.host(endpoint).cloned(), endpoint) else {
            return;
        };
        if host.answered_since(began) {
            return;
        }
        let silence = host.state.silence(to.port(), host.ports, given_up, began, now);
        host.was_silent.set(host.state.is_silent());
        let waited = millis(now.since(began));
        let why = match silence {
            Silence::Known => return,
            Silence::Suspect => format!("{} says nothing, {to} for {waited}", host.address),
            Silence::Dead => format!("{} says nothing on any port asked", host.address),
        };
        for (index, (pool, slot)) in host.backends.iter().enumerate() {
            let backend = pool.backend(*slot);
            let change = if silence == Silence::Dead {
                backend.state.host_is_dead(&why, &pool.rules, now)
            } else {
                backend.state.doubt("its host is silent", why.clone(), now)
            };
            self.changed(backend, change);
            if backend.state.health() == Health::Suspect {
                host.waiting.borrow_mut().push_back(index);
            }
        }
        self.host_probe(&host);
    }

    /// A connection came about, or was refused: somebody is there.
    #[inline]
    pub(crate) fn host_answered(&mut self, endpoint: &Endpoint, now: Moment) {
        if let Some(host) = self.host(endpoint) {
            host.state.answered(now);
            if host.was_silent.take() {
                let host = Rc::clone(host);
                host.waiting.borrow_mut().clear();
                self.revived.push(host);
            }
        }
    }

    /// A connect failed: what that says about the host.
    pub(crate) fn host_heard(&mut self, link: &Link, failure: IoFailure, now: Moment) {
        match failure {
            IoFailure::Refused => self.host_answered(&link.endpoint, now),
            IoFailure::TimedOut if link.affliction.is_none() => {
                self.host_silent(&link.endpoint, true, link.started, now);
            }
            _ => {}
        }
    }

    /// Whether a probe of this place is to be spared the fast pace: its host is silent, and others
    /// ask.
    pub(crate) fn is_spared(&self, endpoint: &Endpoint) -> bool {
        let (Some(host), Endpoint::Tcp(to)) = (self.host(endpoint), endpoint) else { return false };
        if !host.state.is_silent() {
            return false;
        }
        host.was_silent.set(true);
        let of = |(pool, slot): &(Rc<LocalPool>, Slot)| {
            pool.backend_plan(*slot).endpoints.first() == Some(&Endpoint::Tcp(*to))
        };
        !host.backends.iter().take(PROBES as usize).any(of)
    }

    /// Claims an extra probe, if it is one of a silent host.
    pub(crate) fn host_claim(&self, endpoint: &Endpoint) -> Claim {
        match self.host(endpoint) {
            Some(host) if host.state.is_silent() && host.state.claim_probe() => {
                Claim::Of(Rc::clone(host))
            }
            Some(host) if host.state.is_silent() => Claim::Wait,
            _ => Claim::Free,
        }
    }

    /// An extra probe of a host has ended.
    pub(crate) fn host_release(&mut self, host: &Rc<LocalHost>) {
        host.state.release_probe();
        self.host_probe(host);
    }

    /// Lets the next ones that wait be probed, as many as may.
    fn host_probe(&mut self, host: &Rc<LocalHost>) {
        let mut waiting = host.waiting.borrow_mut();
        let mut most = PROBES;
        while let Some(index) = waiting.pop_front() {
            let (pool, slot) = &host.backends[index];
            if pool.backend(*slot).state.health() == Health::Suspect {
                self.doubts.push((Rc::clone(pool), *slot));
                most -= 1;
                if most == 0 {
                    return;
                }
            }
        }
    }

    /// Puts one back that may not be probed yet.
    pub(crate) fn host_wait(&self, pool: &Rc<LocalPool>, slot: Slot) {
        let endpoint = pool.backend_plan(slot).endpoints.first();
        let Some(host) = endpoint.and_then(|endpoint| self.host(endpoint)) else { return };
        let of = |one: &(Rc<LocalPool>, Slot)| Rc::ptr_eq(&one.0, pool) && one.1 == slot;
        if let Some(index) = host.backends.iter().position(of) {
            host.waiting.borrow_mut().push_front(index);
        }
    }
}

impl Flow {
    /// Probes everything on hosts that have just given a sign of life.
    pub(crate) fn hosts_revive(&mut self, now: Moment) {
        for host in std::mem::take(&mut self.ctx.revived) {
            let keys: Vec<Key> = self.probes.of_host(host.address);
            for (nth, key) in keys.into_iter().enumerate() {
                self.probe_hurry(key, now + Duration::from_millis((nth / AT_ONCE) as u64));
            }
        }
    }
}
