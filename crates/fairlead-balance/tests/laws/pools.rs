//! Pools to test on, and short sentences about them.

use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::{BackendState, Pick, Pool, Random, Registry, Tried, View};
use fairlead_model::backend::{Endpoint, Slot, Wish};
use fairlead_model::health::{Evidence, Origin, Transition};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{
    BackendPlan, CheckKind, CheckPlan, HashOn, HashTable, Millis, OutlierPlan, Policy, PoolPlan,
    PoolTimeouts, RetryPlan,
};

pub(crate) const POLICIES: [Policy; 7] = [
    Policy::RoundRobin,
    Policy::Random,
    Policy::LeastConnections,
    Policy::P2c,
    Policy::PeakEwma,
    Policy::Hash,
    Policy::First,
];

/// All but `first`, whose shares don't follow weights.
pub(crate) const SHARING: &[Policy] = POLICIES.split_at(6).0;

/// A pool with one view, a generator and a time.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) pool: Arc<Pool>,
    pub(crate) view: View,
    pub(crate) random: Random,
    pub(crate) now: Moment,
}

/// A plan with a backend of group 0 for each weight, and with a check.
pub(crate) fn plan(policy: Policy, weights: &[u16]) -> PoolPlan {
    let none = Millis(0);
    PoolPlan {
        name: "app".to_owned(),
        policy,
        python: None,
        hash_on: HashOn::SourceIp,
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
        backends: weights
            .iter()
            .enumerate()
            .map(|(index, weight)| backend(index, *weight))
            .collect(),
        check: CheckPlan {
            kind: CheckKind::Tcp,
            interval: none,
            fast_interval: none,
            timeout: none,
            rise: 2,
            fall: 3,
        },
        timeouts: PoolTimeouts { connect: none, response: none, idle: none, keepalive: none },
        retry: RetryPlan {
            attempts: 3,
            same_backend: 1,
            delay: none,
            hedge: false,
            budget: 0,
            hold: none,
        },
        outlier: OutlierPlan { max_ejected: 5_000, latency: true },
        slow_start: Millis(0),
        source: None,
        keepalive: None,
        proxy_protocol: None,
    }
}

fn backend(index: usize, weight: u16) -> BackendPlan {
    let address = format!("10.0.{}.{}:80", index / 250, index % 250);
    BackendPlan {
        endpoints: vec![Endpoint::Unix(address.clone())],
        address,
        weight,
        group: 0,
        max_connections: None,
        state: Wish::Enabled,
    }
}

impl World {
    pub(crate) fn of(plan: &PoolPlan) -> World {
        let mut registry = Registry::new();
        let pool = registry.pool(plan, 2);
        let now = Moment::ZERO + Duration::from_secs(1_000);
        let view = View::new(Arc::clone(&pool), now);
        World { registry, pool, view, random: Random::new(11), now }
    }

    /// A new pool of the same backends, as a reload makes it.
    pub(crate) fn reload(&mut self, plan: &PoolPlan) {
        self.pool = self.registry.pool(plan, 2);
        self.view = View::new(Arc::clone(&self.pool), self.now);
    }

    pub(crate) fn state(&self, index: usize) -> &BackendState {
        &self.pool.backends()[index]
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Picks by a random key.
    pub(crate) fn pick(&mut self, tried: &Tried) -> Pick {
        let key = Some(self.random.next());
        self.view.pick(key, tried, self.now, &mut self.random)
    }

    /// Picks a first attempt and goes on holding it.
    pub(crate) fn begin(&mut self) -> Option<usize> {
        match self.pick(&Tried::new()) {
            Pick::Backend(slot) => Some(slot.index()),
            Pick::Saturated | Pick::Nobody => None,
        }
    }

    /// Picks a first attempt that ends at once.
    pub(crate) fn touch(&mut self) -> Option<usize> {
        let index = self.begin()?;
        self.state(index).end();
        Some(index)
    }

    /// How often each is picked.
    pub(crate) fn counts(&mut self, picks: usize) -> Vec<usize> {
        let mut counts = vec![0; self.pool.backends().len()];
        for _ in 0..picks {
            counts[self.touch().expect("somebody is well")] += 1;
        }
        counts
    }

    pub(crate) fn say(&self, index: usize, origin: Origin, passed: bool) -> Option<Transition> {
        let what = if passed { "passed" } else { "failed" };
        let evidence = Evidence { origin, passed, what, detail: String::new() };
        self.state(index).observe(&evidence, &self.pool.rules(), self.now)
    }

    /// Takes one down, for this witness.
    pub(crate) fn take_down(&self, index: usize, origin: Origin) {
        (0..3).for_each(|_| drop(self.say(index, origin, false)));
    }
}

pub(crate) fn tried(indices: &[usize]) -> Tried {
    let mut tried = Tried::new();
    for index in indices {
        tried.add(Slot(*index as u32));
    }
    tried
}
