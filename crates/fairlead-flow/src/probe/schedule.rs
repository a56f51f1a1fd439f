//! Which probes there are, whose they are, and when each is made for the first time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::hash;
use fairlead_model::backend::Endpoint;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, CheckKind};

use super::{Probe, Question, Watcher};
use crate::context::place;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::hosts::Claim;
use crate::local::{LocalBackend, LocalPool};
use crate::slab::{Key, Slab};

/// First probes that start together; the next as many start a millisecond later. 4,000 backends
/// are under way within 63 ms, and no listen queue sees a burst.
const FIRST_AT_ONCE: usize = 64;

/// All probes of one worker.
#[derive(Debug)]
pub(crate) struct Probes {
    all: Slab<Probe>,
    regular: BTreeMap<Rc<Question>, Key>,
    /// Regular probes that have had no result yet are looked for only until all have had one.
    all_had_results: bool,
}

impl Probes {
    pub(crate) fn new() -> Self {
        Probes { all: Slab::new(), regular: BTreeMap::new(), all_had_results: false }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Probe> {
        self.all.get_mut(key)
    }

    /// The regular probes of a host.
    pub(crate) fn of_host(&self, address: IpAddr) -> Vec<Key> {
        let there =
            |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(to) if to.ip() == address);
        let regular = self.regular.iter();
        let of = regular.filter(|(question, _)| question.endpoints.iter().any(there));
        of.map(|(_, key)| *key).collect()
    }

    pub(crate) fn all_had_results(&self) -> bool {
        let had = |key: &Key| self.all.get(*key).is_none_or(|probe| probe.had_result);
        self.all_had_results || self.regular.values().all(had)
    }
}

impl Flow {
    /// Makes the regular probes those of the configuration in force. A backend about which nothing
    /// has changed goes on with its probe; that is found by a look, without making its question
    /// anew.
    pub(crate) fn probes_publish<D: Driver>(&mut self, d: &mut D, now: Moment) {
        for key in self.probes.regular.values() {
            if let Some(probe) = self.probes.all.get_mut(*key) {
                probe.watchers.clear();
            }
        }
        let mut fresh: BTreeMap<Question, Vec<Watcher>> = BTreeMap::new();
        for pool in &*self.local.pools {
            for (backend, plan) in pool.backends.iter().zip(&pool.plan().backends) {
                let watcher = Watcher { backend: Rc::clone(backend), rules: pool.rules };
                let known = backend.probe.get().and_then(|key| self.probes.all.get_mut(key));
                if let Some(probe) = known.filter(|probe| probe.question.is_about(pool, plan)) {
                    probe.watchers.push(watcher);
                    continue;
                }
                backend.probe.set(None);
                if owner(&plan.endpoints, self.workers) != self.ctx.worker {
                    continue;
                }
                let Some(question) = question(pool, plan) else { continue };
                let key = self.probes.regular.get(&question).copied();
                match key.and_then(|key| self.probes.all.get_mut(key)) {
                    Some(probe) => {
                        probe.watchers.push(watcher);
                        backend.probe.set(key);
                    }
                    None => fresh.entry(question).or_default().push(watcher),
                }
            }
        }
        self.probes_drop(d);
        self.probes_drop_doubts(d);
        for (nth, (question, watchers)) in fresh.into_iter().enumerate() {
            let question = Rc::new(question);
            let probe = Probe::new(Rc::clone(&question), watchers.clone(), None);
            let key = self.probes.all.insert(probe);
            for watcher in &watchers {
                watcher.backend.probe.set(Some(key));
            }
            self.probes.regular.insert(question, key);
            self.probe_arm(key, now + Duration::from_millis((nth / FIRST_AT_ONCE) as u64));
        }
        self.probes.all_had_results = self.probes.regular.is_empty();
    }

    /// Ends the regular probes whose result nobody wants to know.
    fn probes_drop<D: Driver>(&mut self, d: &mut D) {
        let is_idle = |probe: &Probe| probe.watchers.is_empty();
        let of = |key: &Key| self.probes.all.get(*key).is_none_or(is_idle);
        let gone: Vec<_> = self.probes.regular.iter().filter(|(_, key)| of(key)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(it, key)| (Rc::clone(it), *key)).collect();
        for (question, key) in gone {
            self.probes.regular.remove(&question);
            self.probe_forget(d, key);
        }
    }

    /// Ends the extra probes that ask what nobody asks any more: their backend is somewhere else
    /// now, or its check is another one. What they found out would be held against it for ever.
    fn probes_drop_doubts<D: Driver>(&mut self, d: &mut D) {
        let local = Rc::clone(&self.local.pools);
        for key in self.probes.all.keys() {
            let probe = self.probes.all.get(key).filter(|probe| probe.doubted.is_some());
            let Some(probe) = probe else { continue };
            if !probe.watchers.iter().all(|of| is_asked(&local, &probe.question, &of.backend)) {
                self.probe_forget(d, key);
            }
        }
    }

    /// Probes at once those that traffic has doubts about.
    pub(crate) fn probes_doubt<D: Driver>(&mut self, d: &mut D, now: Moment) {
        for (pool, slot) in std::mem::take(&mut self.ctx.doubts) {
            let backend = pool.backend(slot);
            if self.stopping || backend.retired.get() {
                continue;
            }
            let Some(question) = question(&pool, pool.backend_plan(slot)) else { continue };
            // Whoever has moved is asked where it is now, by those who find it wanting there.
            let pools = &self.local.pools;
            let is_in_force = pools.iter().any(|now| Rc::ptr_eq(now, &pool));
            if !is_in_force && !is_asked(pools, &question, backend) {
                continue;
            }
            let host = match self.ctx.host_claim(&question.endpoints[0]) {
                Claim::Free => None,
                Claim::Of(host) => Some(host),
                Claim::Wait => {
                    self.ctx.host_wait(&pool, slot);
                    continue;
                }
            };
            if !backend.state.claim_probe() {
                if let Some(host) = host {
                    host.unclaim();
                }
                continue;
            }
            let watchers = vec![Watcher { backend: Rc::clone(backend), rules: pool.rules }];
            let doubted = Some((Rc::clone(&pool), slot));
            let mut probe = Probe::new(Rc::new(question), watchers, doubted);
            probe.host = host;
            let key = self.probes.all.insert(probe);
            self.probe_arm(key, now);
            let _ = &d;
        }
    }

    /// Takes a probe out of the books.
    pub(crate) fn probe_forget<D: Driver>(&mut self, d: &mut D, key: Key) {
        let Some(probe) = self.probes.all.remove(key) else { return };
        if let Some(conn) = probe.conn {
            self.ctx.roles.clear(conn);
            d.abort(conn);
        }
        if probe.doubted.is_some() {
            for watcher in &probe.watchers {
                watcher.backend.state.release_probe();
            }
            if let Some(host) = &probe.host {
                self.ctx.host_release(host);
            }
        }
    }

    /// Ends all probes.
    pub(crate) fn probes_stop<D: Driver>(&mut self, d: &mut D) {
        for key in self.probes.all.keys() {
            self.probe_forget(d, key);
        }
        self.probes.regular.clear();
    }
}

/// Which worker probes a place.
fn owner(endpoints: &[Endpoint], workers: usize) -> usize {
    let place = endpoints.first().map_or_else(String::new, place);
    (hash::of(place.as_bytes()) % workers as u64) as usize
}

/// The question that a pool's check puts to a backend; `None` if the engine doesn't ask any.
fn question(pool: &LocalPool, plan: &BackendPlan) -> Option<Question> {
    let check = &pool.plan().check;
    let host = host(&check.kind, plan)?;
    Some(Question {
        endpoints: plan.endpoints.clone(),
        kind: check.kind.clone(),
        host: host.to_owned(),
        source: pool.plan().source,
        interval: check.interval.duration(),
        fast_interval: check.fast_interval.duration(),
        timeout: check.timeout.duration(),
        proxy: pool.proxy,
    })
}

/// The `Host` of a probe; empty if it sends none, `None` if there is no probe.
fn host<'a>(kind: &'a CheckKind, plan: &'a BackendPlan) -> Option<&'a str> {
    match kind {
        CheckKind::None | CheckKind::External => None,
        CheckKind::Tcp => Some(""),
        CheckKind::Http { host: Some(host), .. } => Some(host),
        CheckKind::Http { .. } => match plan.endpoints.first() {
            Some(Endpoint::Unix(_)) | None => Some("localhost"),
            Some(Endpoint::Tcp(_)) => Some(&plan.address),
        },
    }
}

impl Question {
    /// Whether it is what this pool's check asks this backend.
    fn is_about(&self, pool: &LocalPool, plan: &BackendPlan) -> bool {
        let check = &pool.plan().check;
        self.endpoints == plan.endpoints
            && self.kind == check.kind
            && host(&check.kind, plan) == Some(&*self.host)
            && self.source == pool.plan().source
            && self.interval == check.interval.duration()
            && self.fast_interval == check.fast_interval.duration()
            && self.timeout == check.timeout.duration()
            && self.proxy == pool.proxy
    }
}

/// Whether one of these pools asks this about a backend.
fn is_asked(pools: &[Rc<LocalPool>], question: &Question, of: &Rc<LocalBackend>) -> bool {
    pools.iter().any(|pool| {
        let mut both = pool.backends.iter().zip(&pool.plan().backends);
        both.any(|(one, plan)| Rc::ptr_eq(one, of) && question.is_about(pool, plan))
    })
}
