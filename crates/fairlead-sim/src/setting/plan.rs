//! The configuration of a world.

use std::net::{Ipv4Addr, SocketAddr};

use fairlead_balance::Random;
use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::plan::{
    BackendPlan, Bind, CheckKind, CheckPlan, HashOn, HashTable, ListenerLimits, ListenerPlan,
    ListenerTimeouts, Millis, OutlierPlan, PathMatch, Plan, Policy, PoolPlan, PoolTimeouts,
    Protocol, RetryPlan, RoutePlan,
};

use super::{between, one_in, Theme};
use crate::wire::{socket_of, PORT};

fn millis(random: &mut Random, least: u64, most: u64) -> Millis {
    Millis(between(random, least, most).as_millis() as u64)
}

/// The configuration of a world with these pools.
pub(super) fn draw(
    theme: Theme,
    pools: &[Vec<usize>],
    anchors: &[Vec<usize>],
    random: &mut Random,
) -> Plan {
    let pools: Vec<_> = pools
        .iter()
        .enumerate()
        .map(|(index, hosts)| draw_pool(theme, index, hosts, &anchors[index], random))
        .collect();
    let protocol = if theme.is_tcp() { Protocol::Tcp } else { Protocol::Http };
    let routes = match protocol {
        Protocol::Http => (0..pools.len()).map(route).collect(),
        Protocol::Tcp => Vec::new(),
    };
    Plan {
        listeners: vec![draw_listener(protocol, routes, random)],
        pools,
        shutdown_timeout: Millis(30_000),
        ..Plan::default()
    }
}

fn route(pool: usize) -> RoutePlan {
    RoutePlan {
        host: None,
        path: Some(PathMatch::Prefix(format!("/{pool}/"))),
        methods: Vec::new(),
        headers: Vec::new(),
        pool,
    }
}

fn draw_listener(protocol: Protocol, routes: Vec<RoutePlan>, random: &mut Random) -> ListenerPlan {
    ListenerPlan {
        name: "web".into(),
        bind: vec![Bind::Any(8080)],
        protocol,
        pool: Some(0),
        routes,
        timeouts: ListenerTimeouts {
            head: millis(random, 2_000, 10_000),
            body: millis(random, 2_000, 5_000),
            idle: millis(random, 5_000, 30_000),
            tunnel: Millis(60_000),
        },
        limits: ListenerLimits {
            head: 64 * 1024,
            headers: 100,
            body: None,
            connections: 10_000,
            target: None,
            pipelined: 65_536,
            connections_per_client: None,
            requests: None,
            min_rate: None,
            trailers: 32,
            trailer_bytes: 8 * 1024,
            chunk_line: 256,
            chunk_excess: 16 * 1024,
        },
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        keepalive: None,
        via: None,
    }
}

fn draw_pool(
    theme: Theme,
    index: usize,
    hosts: &[usize],
    anchors: &[usize],
    random: &mut Random,
) -> PoolPlan {
    let backends: Vec<_> =
        hosts.iter().map(|host| draw_backend(*host, anchors.contains(host), random)).collect();
    let all = backends.len() as u32;
    PoolPlan {
        name: format!("pool-{index}"),
        policy: draw_policy(random),
        python: None,
        hash_on: if one_in(random, 2) { HashOn::SourceIp } else { HashOn::Path },
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
        backends,
        check: draw_check(theme, random),
        timeouts: PoolTimeouts {
            connect: millis(random, 100, 2_000),
            response: millis(random, 1_000, 6_000),
            idle: millis(random, 1_000, 5_000),
            keepalive: Millis([0, 500, 5_000, 60_000][random.below(4)]),
        },
        retry: RetryPlan {
            attempts: if one_in(random, 6) {
                1 + random.below(3) as u32
            } else {
                all + random.below(3) as u32
            },
            same_backend: if one_in(random, 3) { 3 } else { 1 },
            delay: Millis(10),
            hedge: theme == Theme::Errors || one_in(random, 2),
            budget: 200,
            hold: Millis(0),
        },
        outlier: OutlierPlan {
            max_ejected: [0, 1_000, 5_000, 5_000, 10_000][random.below(5)],
            latency: !one_in(random, 4),
        },
        slow_start: Millis([0, 2_000, 10_000][random.below(3)]),
        source: None,
        keepalive: None,
        proxy_protocol: None,
    }
}

fn draw_policy(random: &mut Random) -> Policy {
    [
        Policy::RoundRobin,
        Policy::Random,
        Policy::LeastConnections,
        Policy::P2c,
        Policy::PeakEwma,
        Policy::Hash,
        Policy::First,
    ][random.below(7)]
}

fn draw_check(theme: Theme, random: &mut Random) -> CheckPlan {
    let kind = match random.below(5) {
        0 => CheckKind::None,
        4 => CheckKind::External,
        1 => CheckKind::Tcp,
        _ if theme.is_tcp() => CheckKind::Tcp,
        _ => CheckKind::Http {
            method: "GET".into(),
            path: "/health".into(),
            host: None,
            expect_status: vec![(200, 399)],
        },
    };
    CheckPlan {
        kind,
        interval: millis(random, 500, 5_000),
        fast_interval: millis(random, 100, 500),
        // More than the slowest good answer takes.
        timeout: millis(random, 1_600, 3_000),
        rise: 1 + random.below(3) as u32,
        fall: 1 + random.below(3) as u32,
    }
}

/// A host's address.
pub(super) fn place(host: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, host as u8), PORT))
}

fn draw_backend(host: usize, is_anchor: bool, random: &mut Random) -> BackendPlan {
    let mut endpoints = vec![Endpoint::Tcp(place(host))];
    if one_in(random, 6) {
        // As `localhost` does: an address where nobody listens comes first.
        let nowhere = SocketAddr::from((Ipv4Addr::new(10, 0, 1, 250), PORT));
        endpoints.insert(0, Endpoint::Tcp(nowhere));
    }
    if one_in(random, 8) {
        endpoints = vec![Endpoint::Unix(socket_of(host))];
    }
    let limited = !is_anchor && one_in(random, 5);
    BackendPlan {
        address: place(host).to_string(),
        endpoints,
        weight: 1 + random.below(3) as u16,
        group: u16::from(one_in(random, 4)),
        max_connections: limited.then(|| 1 + random.below(4) as u32),
        state: Wish::Enabled,
    }
}

/// The same configuration with something changed. Anchors stay as they are.
pub(super) fn changed(plan: &Plan, anchors: &[Vec<usize>], random: &mut Random) -> Plan {
    let mut plan = plan.clone();
    for (pool, anchors) in plan.pools.iter_mut().zip(anchors) {
        if one_in(random, 3) {
            pool.policy = draw_policy(random);
        }
        if one_in(random, 4) {
            pool.check.interval = millis(random, 500, 5_000);
        }
        if one_in(random, 4) {
            pool.timeouts.keepalive = Millis([0, 500, 60_000][random.below(3)]);
        }
        let is_anchor = |backend: &BackendPlan| {
            anchors.iter().any(|anchor| place(*anchor).to_string() == backend.address)
        };
        let fallback = pool.backends[0].clone();
        pool.backends.retain_mut(|backend| {
            if is_anchor(backend) {
                return true;
            }
            backend.weight = random.below(4) as u16;
            if one_in(random, 6) {
                // It moved, to nowhere or to another's place; connections to the old one are not
                // to be used any more.
                let to = if one_in(random, 2) { 200 } else { random.below(4) };
                backend.endpoints = vec![Endpoint::Tcp(place(to))];
            }
            !one_in(random, 4)
        });
        if pool.backends.is_empty() {
            pool.backends.push(fallback);
        }
        if one_in(random, 3) {
            pool.backends.reverse();
        }
    }
    plan
}

/// A configuration of one pool of these hosts with an http check; all other options of the pool and
/// its time-outs have their defaults.
pub(super) fn usual(hosts: &[usize]) -> Plan {
    let backends = hosts.iter().map(|host| BackendPlan {
        address: place(*host).to_string(),
        endpoints: vec![Endpoint::Tcp(place(*host))],
        weight: 1,
        group: 0,
        max_connections: None,
        state: Wish::Enabled,
    });
    let kind = CheckKind::Http {
        method: "GET".into(),
        path: "/health".into(),
        host: None,
        expect_status: vec![(200, 399)],
    };
    let (interval, fast_interval, timeout) = (Millis(2_000), Millis(500), Millis(1_000));
    let mut random = Random::new(0);
    let mut plan = draw(Theme::Fair, &[hosts.to_vec()], &[hosts.to_vec()], &mut random);
    let drawn = &plan.pools[0];
    plan.pools[0] = PoolPlan {
        policy: Policy::RoundRobin,
        hash_on: HashOn::SourceIp,
        backends: backends.collect(),
        check: CheckPlan { kind, interval, fast_interval, timeout, rise: 2, fall: 3 },
        timeouts: PoolTimeouts {
            connect: Millis(1_000),
            response: Millis(30_000),
            idle: Millis(30_000),
            keepalive: Millis(60_000),
        },
        retry: RetryPlan {
            attempts: 3,
            same_backend: 1,
            delay: Millis(0),
            hedge: true,
            budget: 200,
            hold: Millis(0),
        },
        outlier: OutlierPlan { max_ejected: 5_000, latency: true },
        slow_start: Millis(10_000),
        ..drawn.clone()
    };
    plan.listeners[0].timeouts = ListenerTimeouts {
        head: Millis(10_000),
        body: Millis(30_000),
        idle: Millis(60_000),
        tunnel: Millis(3_600_000),
    };
    plan
}
