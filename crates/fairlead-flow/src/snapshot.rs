//! The configuration in force, as all workers share it.
//!
//! A snapshot never changes; a reload makes a new one. What lives longer than a snapshot (health,
//! counters, wishes) hangs on it by reference and is carried over by name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairlead_balance::host::HostState;
use fairlead_balance::{Pool, Registry};
use fairlead_model::backend::Endpoint;
use fairlead_model::plan::{AccessLogPlan, ListenerPlan, PathMatch, Plan, PlanLimits};

use crate::driver::ListenerId;
use crate::listener::ListenerState;
use crate::places::House;
use crate::route::Routes;

/// The configuration in force.
#[derive(Debug)]
pub struct Snapshot {
    access_log: Option<AccessLogPlan>,
    limits: PlanLimits,
    pools: Vec<Arc<Pool>>,
    listeners: Vec<Arc<ListenerState>>,
    house: Arc<House>,
    routes: Vec<Routes>,
    hosts: BTreeMap<IpAddr, Arc<HostState>>,
}

impl Snapshot {
    /// Makes a snapshot of `plan`. `ids` are the listeners' ids, in the plan's order; `before` is
    /// the snapshot in force, whose listeners' counters are carried over.
    ///
    /// # Errors
    ///
    /// A text, if a regular expression doesn't compile.
    pub fn build(
        plan: Plan,
        ids: Vec<ListenerId>,
        registry: &mut Registry,
        workers: usize,
        before: Option<&Snapshot>,
    ) -> Result<Arc<Snapshot>, String> {
        // What can fail comes first, so that a failure leaves the registry as it was.
        let routes = plan.listeners.iter().map(routes_of).collect::<Result<Vec<_>, _>>()?;
        let house = before.map_or_else(Arc::default, |before| Arc::clone(&before.house));
        let places = (plan.limits.connections, &house);
        let known: BTreeMap<ListenerId, &ListenerState> = before
            .into_iter()
            .flat_map(|before| &before.listeners)
            .map(|listener| (listener.id(), &**listener))
            .collect();
        let listeners = ids
            .into_iter()
            .zip(plan.listeners)
            .map(|(id, listener)| {
                let old = known.get(&id).copied();
                Arc::new(ListenerState::new(id, listener, places, workers, old))
            })
            .collect();
        let pools: Vec<_> = plan.pools.iter().map(|pool| registry.pool(pool, workers)).collect();
        registry.retain(&pools);
        let addresses = pools.iter().flat_map(|pool| &pool.plan.backends);
        let hosts = addresses
            .flat_map(|backend| &backend.endpoints)
            .filter_map(|endpoint| match endpoint {
                Endpoint::Tcp(address) => Some((address.ip(), registry.host(address.ip()))),
                Endpoint::Unix(_) => None,
            })
            .collect();
        let (access_log, limits) = (plan.access_log, plan.limits);
        Ok(Arc::new(Snapshot { access_log, limits, pools, listeners, house, routes, hosts }))
    }

    /// Where a line about each request and each connection goes.
    pub fn access_log(&self) -> Option<&AccessLogPlan> {
        self.access_log.as_ref()
    }

    /// The limits of the instance as a whole.
    pub fn limits(&self) -> &PlanLimits {
        &self.limits
    }

    /// The pools, in the plan's order.
    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    /// The listeners, in the plan's order.
    pub fn listeners(&self) -> &[Arc<ListenerState>] {
        &self.listeners
    }

    /// The record of a host.
    pub(crate) fn host(&self, address: IpAddr) -> Option<Arc<HostState>> {
        self.hosts.get(&address).map(Arc::clone)
    }

    /// The routes of each listener, in the plan's order.
    pub(crate) fn routes(&self) -> &[Routes] {
        &self.routes
    }
}

fn routes_of(listener: &ListenerPlan) -> Result<Routes, String> {
    Routes::compile(&listener.routes, listener.pool).map_err(|(index, error)| {
        let pattern = match &listener.routes[index].path {
            Some(PathMatch::Regex(pattern)) => pattern.as_str(),
            _ => "",
        };
        format!("listener `{}`, route {}: `{pattern}`: {error}", listener.name, index + 1)
    })
}
