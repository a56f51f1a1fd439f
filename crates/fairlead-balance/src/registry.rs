//! What survives a reload: the states of backends, found by pool and address.
//!
//! Rules of this file
//! 1. A backend is the same backend if its pool has the same name and it has the same address as
//!    configured. It keeps health, streaks, latency, counters and what is in flight.
//! 2. A wish or weight that *the plan* changed is followed; one that the plan left alone leaves
//!    alone what an operator has set since.
//! 3. Who is new in a pool that was there before, or is at another place than before, begins with
//!    a slow start (`warm`).
//! 4. Whoever left the plan is forgotten by [`Registry::retain`], not before: until then the old
//!    plan may still be in force.
//!
//! Not here: publishing (flow's snapshot), which wishes an operator has (Python keeps those that
//! must survive a restart).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::plan::{BackendPlan, PoolPlan};

use crate::host::HostState;
use crate::pool::{Pool, Shared};
use crate::state::BackendState;

/// All pools and backends of one engine.
#[derive(Debug, Default)]
pub struct Registry {
    pools: BTreeMap<String, PoolEntry>,
    hosts: BTreeMap<IpAddr, Arc<HostState>>,
}

#[derive(Debug)]
struct PoolEntry {
    shared: Arc<Shared>,
    /// It has been in a plan before: who is new in it has a slow start.
    known: bool,
    backends: BTreeMap<String, BackendEntry>,
}

/// A backend and what the last plan said of it.
#[derive(Debug)]
struct BackendEntry {
    state: Arc<BackendState>,
    wish: Wish,
    weight: u16,
    endpoints: Vec<Endpoint>,
}

impl Registry {
    /// Makes an empty one.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Makes the pool of a plan, with the states of all backends that are known already.
    /// `workers` is the number of counter shards that new states get; it is the same in every call.
    pub fn pool(&mut self, plan: &PoolPlan, workers: usize) -> Arc<Pool> {
        if !self.pools.contains_key(&plan.name) {
            let shared = Arc::new(Shared::new(workers));
            let entry = PoolEntry { shared, known: false, backends: BTreeMap::new() };
            self.pools.insert(plan.name.clone(), entry);
        }
        let entry = self.pools.get_mut(&plan.name).expect("inserted above");
        let backends =
            plan.backends.iter().map(|backend| entry.state(&plan.name, backend, workers)).collect();
        entry.known = true;
        Arc::new(Pool::new(plan.clone(), backends, Arc::clone(&entry.shared)))
    }

    /// The record of a host, kept over reloads as long as a pool has a backend there.
    pub fn host(&mut self, address: IpAddr) -> Arc<HostState> {
        Arc::clone(self.hosts.entry(address).or_default())
    }

    /// Forgets all that is in none of `pools`.
    pub fn retain(&mut self, pools: &[Arc<Pool>]) {
        let all = pools.iter().flat_map(|pool| &pool.plan.backends);
        let used: BTreeSet<IpAddr> = all
            .flat_map(|backend| &backend.endpoints)
            .filter_map(|endpoint| match endpoint {
                Endpoint::Tcp(address) => Some(address.ip()),
                Endpoint::Unix(_) => None,
            })
            .collect();
        self.hosts.retain(|address, _| used.contains(address));
        let by_name: BTreeMap<&str, &Arc<Pool>> =
            pools.iter().map(|pool| (pool.plan.name.as_str(), pool)).collect();
        self.pools.retain(|name, entry| {
            let Some(pool) = by_name.get(name.as_str()) else { return false };
            let mut kept: Vec<_> = pool.backends().iter().map(|state| state.address()).collect();
            kept.sort_unstable();
            entry.backends.retain(|address, _| kept.binary_search(&address.as_str()).is_ok());
            true
        });
    }

    /// Finds a backend by its pool's name and its address as configured.
    pub fn find(&self, pool: &str, address: &str) -> Option<Arc<BackendState>> {
        Some(Arc::clone(&self.pools.get(pool)?.backends.get(address)?.state))
    }
}

impl PoolEntry {
    fn state(&mut self, pool: &str, plan: &BackendPlan, workers: usize) -> Arc<BackendState> {
        let Some(known) = self.backends.get_mut(&plan.address) else {
            return self.add(pool, plan, workers);
        };
        if known.wish != plan.state {
            known.wish = plan.state;
            known.state.set_wish(plan.state);
        }
        if known.weight != plan.weight {
            known.weight = plan.weight;
            known.state.set_weight(plan.weight);
        }
        if known.state.endpoint() >= plan.endpoints.len() {
            known.state.set_endpoint(0);
        }
        if known.endpoints != plan.endpoints {
            let stays = |endpoint: &Endpoint| known.endpoints.contains(endpoint);
            if !plan.endpoints.iter().any(stays) {
                known.state.chill();
            }
            known.endpoints.clone_from(&plan.endpoints);
        }
        Arc::clone(&known.state)
    }

    fn add(&mut self, pool: &str, plan: &BackendPlan, workers: usize) -> Arc<BackendState> {
        let (shared, wish, weight) = (Arc::clone(&self.shared), plan.state, plan.weight);
        let state = Arc::new(BackendState::new(pool, &plan.address, shared, wish, weight, workers));
        if self.known {
            state.chill();
        }
        let endpoints = plan.endpoints.clone();
        let entry = BackendEntry { state: Arc::clone(&state), wish, weight, endpoints };
        self.backends.insert(plan.address.clone(), entry);
        state
    }
}
