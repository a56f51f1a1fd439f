//! Which probes there are, whose they are, and when each is made for the first time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::hash;
use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::moment::Moment;
use fairlead_model::plan::CheckKind;

use super::{Probe, Question, Watcher};
use crate::context::place;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::hosts::Claim;
use crate::local::LocalPool;
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
    /// Makes the regular probes those of the configuration in force.
    pub(crate) fn probes_publish<D: Driver>(&mut self, d: &mut D, now: Moment) {
        let mut wanted: BTreeMap<Question, Vec<Watcher>> = BTreeMap::new();
        for pool in &*self.local.pools {
            for slot in (0..pool.backends.len()).map(|index| Slot(index as u32)) {
                let Some(question) = question(pool, slot) else { continue };
                if owner(&question, self.workers) == self.ctx.worker {
                    let watcher =
                        Watcher { backend: Rc::clone(pool.backend(slot)), rules: pool.rules };
                    wanted.entry(question).or_default().push(watcher);
                }
            }
        }
        let gone: Vec<_> = self
            .probes
            .regular
            .iter()
            .filter(|(question, _)| !wanted.contains_key(&***question))
            .map(|(question, key)| (Rc::clone(question), *key))
            .collect();
        for (question, key) in gone {
            self.probes.regular.remove(&question);
            self.probe_forget(d, key);
        }
        let mut fresh = 0;
        for (question, watchers) in wanted {
            let known = self.probes.regular.get(&question).copied();
            if let Some(probe) = known.and_then(|key| self.probes.all.get_mut(key)) {
                probe.watchers = watchers;
                continue;
            }
            let question = Rc::new(question);
            let key = self.probes.all.insert(Probe::new(Rc::clone(&question), watchers, None));
            self.probes.regular.insert(question, key);
            self.probe_arm(key, now + Duration::from_millis((fresh / FIRST_AT_ONCE) as u64));
            fresh += 1;
        }
        self.probes.all_had_results = self.probes.regular.is_empty();
    }

    /// Probes at once those that traffic has doubts about.
    pub(crate) fn probes_doubt<D: Driver>(&mut self, d: &mut D, now: Moment) {
        for (pool, slot) in std::mem::take(&mut self.ctx.doubts) {
            let backend = pool.backend(slot);
            if self.stopping || backend.retired.get() {
                continue;
            }
            let Some(question) = question(&pool, slot) else { continue };
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

/// Which worker makes a probe.
fn owner(question: &Question, workers: usize) -> usize {
    let place = question.endpoints.first().map_or_else(String::new, place);
    (hash::of(place.as_bytes()) % workers as u64) as usize
}

/// The question that a pool's check puts to a backend; `None` if the engine doesn't ask any.
fn question(pool: &LocalPool, slot: Slot) -> Option<Question> {
    let check = &pool.plan().check;
    let plan = pool.backend_plan(slot);
    let host = match &check.kind {
        CheckKind::None | CheckKind::External => return None,
        CheckKind::Tcp => String::new(),
        CheckKind::Http { host: Some(host), .. } => host.clone(),
        CheckKind::Http { .. } => match plan.endpoints.first() {
            Some(Endpoint::Unix(_)) | None => "localhost".into(),
            Some(Endpoint::Tcp(_)) => plan.address.clone(),
        },
    };
    Some(Question {
        endpoints: plan.endpoints.clone(),
        kind: check.kind.clone(),
        host,
        source: pool.plan().source,
        interval: check.interval.duration(),
        fast_interval: check.fast_interval.duration(),
        timeout: check.timeout.duration(),
        proxy: pool.proxy,
    })
}
