//! What a dialogue starts from: a listener, a pool, and what is set of them.

use std::net::SocketAddr;
use std::time::Duration;

use fairlead_model::backend::{Endpoint, Wish as Operator};
use fairlead_model::plan::{
    BackendPlan, Bind, CheckKind, CheckPlan, HashOn, HashTable, ListenerLimits, ListenerPlan,
    ListenerTimeouts, Millis, OutlierPlan, Plan, Policy, PoolPlan, PoolTimeouts, Protocol,
    PythonPlan, RetryPlan,
};

/// A duration.
pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A configuration in the making. Two backends, asked in order (`first`); nothing is probed,
/// nothing is hedged.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) plan: Plan,
}

/// An HTTP listener.
pub(crate) fn http() -> Setup {
    setup(Protocol::Http)
}

/// A tcp listener.
pub(crate) fn tcp() -> Setup {
    setup(Protocol::Tcp)
}

/// The address of the nth backend.
pub(crate) fn address(nth: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, nth as u8], 80))
}

/// The nth backend.
pub(crate) fn backend(nth: usize) -> BackendPlan {
    BackendPlan {
        address: address(nth).to_string(),
        endpoints: vec![Endpoint::Tcp(address(nth))],
        weight: 1,
        group: 0,
        max_connections: None,
        state: Operator::Enabled,
    }
}

fn setup(protocol: Protocol) -> Setup {
    let timeouts = ListenerTimeouts {
        head: Millis(10_000),
        body: Millis(20_000),
        idle: Millis(60_000),
        tunnel: Millis(600_000),
    };
    let limits = ListenerLimits {
        head: 16_384,
        headers: 100,
        body: None,
        connections: 1_000,
        target: None,
        pipelined: 65_536,
        connections_per_client: None,
        requests: None,
        min_rate: None,
        trailers: 32,
        trailer_bytes: 8 * 1024,
        chunk_line: 256,
        chunk_excess: 16 * 1024,
    };
    let listener = ListenerPlan {
        name: "web".into(),
        bind: vec![Bind::Any(8080)],
        protocol,
        pool: Some(0),
        routes: Vec::new(),
        timeouts,
        limits,
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        keepalive: None,
        via: None,
    };
    Setup {
        plan: Plan { listeners: vec![listener], pools: vec![pool("app", 0..2)], ..Plan::default() },
    }
}

/// A pool of backends with these numbers.
pub(crate) fn pool(name: &str, backends: std::ops::Range<usize>) -> PoolPlan {
    PoolPlan {
        name: name.into(),
        policy: Policy::First,
        python: None,
        hash_on: HashOn::SourceIp,
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
        backends: backends.map(backend).collect(),
        check: CheckPlan {
            kind: CheckKind::None,
            interval: Millis(2_000),
            fast_interval: Millis(500),
            timeout: Millis(1_000),
            rise: 2,
            fall: 3,
        },
        timeouts: PoolTimeouts {
            connect: Millis(1_000),
            response: Millis(5_000),
            idle: Millis(3_000),
            keepalive: Millis(60_000),
        },
        retry: RetryPlan {
            attempts: 3,
            same_backend: 1,
            delay: Millis(10),
            hedge: false,
            budget: 200,
            hold: Millis(0),
        },
        outlier: OutlierPlan { max_ejected: 5_000, latency: true },
        slow_start: Millis(0),
        source: None,
        keepalive: None,
        proxy_protocol: None,
    }
}

impl Setup {
    /// With a policy outside, that is waited for 20 ms and shown so much of a body.
    pub(crate) fn asking(self, body_prefix: u64) -> Setup {
        let (name, timeout) = ("mine:Mine".into(), Millis(20));
        self.pool(|pool| pool.python = Some(PythonPlan { name, timeout, body_prefix }))
    }

    /// With so many backends.
    pub(crate) fn backends(mut self, count: usize) -> Setup {
        self.plan.pools[0].backends = (0..count).map(backend).collect();
        self
    }

    /// With something set of its pool.
    pub(crate) fn pool(mut self, set: impl FnOnce(&mut PoolPlan)) -> Setup {
        set(&mut self.plan.pools[0]);
        self
    }

    /// With something set of its listener.
    pub(crate) fn listener(mut self, set: impl FnOnce(&mut ListenerPlan)) -> Setup {
        set(&mut self.plan.listeners[0]);
        self
    }

    /// With something set of anything.
    pub(crate) fn plan(mut self, set: impl FnOnce(&mut Plan)) -> Setup {
        set(&mut self.plan);
        self
    }

    /// With a tcp check.
    pub(crate) fn checked(self) -> Setup {
        self.pool(|pool| pool.check.kind = CheckKind::Tcp)
    }

    /// With hedging.
    pub(crate) fn hedged(self) -> Setup {
        self.pool(|pool| pool.retry.hedge = true)
    }
}
