//! What a pick costs: nanoseconds per pick and end, for each policy, at several pool sizes.
//!
//! `cargo run --release -p fairlead-balance --example pick_cost`

#![expect(clippy::print_stdout, reason = "this program is for a person who wants to see numbers")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures the pure crate from outside, so it needs a clock"
)]

use std::time::{Duration, Instant};

use fairlead_balance::{hash, Pick, Random, Registry, Tried, View};
use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{
    BackendPlan, CheckKind, CheckPlan, HashOn, Millis, Policy, PoolPlan, PoolTimeouts, RetryPlan,
};

const POLICIES: [Policy; 7] = [
    Policy::RoundRobin,
    Policy::Random,
    Policy::LeastConnections,
    Policy::P2c,
    Policy::PeakEwma,
    Policy::Hash,
    Policy::First,
];
const PICKS: u32 = 1_000_000;
const REPETITIONS: usize = 5;

fn main() {
    println!("{:<36}{:>10}{:>10}{:>14}", "policy, work, weights", "4", "1,000", "table, 1,000");
    for policy in POLICIES {
        for (work, busy) in [("idle", 0), ("busy", 3)] {
            for (kind, varied) in [("equal", false), ("varied", true)] {
                let name = format!("{policy:?}, {work}, {kind}");
                let cost = |count| cost(policy, count, busy, varied);
                let (few, many) = (cost(4), cost(1_000));
                println!("{name:<36}{:>7.0} ns{:>7.0} ns{:>11.0} µs", few.0, many.0, many.1);
            }
        }
    }
    println!("hash of a path of 20 bytes: {:.0} ns", hash_cost());
}

/// Nanoseconds for a pick and its end, and microseconds for making the table; the best of several
/// runs, as others are on this machine too.
fn cost(policy: Policy, count: usize, busy: u32, varied: bool) -> (f64, f64) {
    let mut best = (f64::MAX, f64::MAX);
    for seed in 0..REPETITIONS {
        let pool = Registry::new().pool(&plan(policy, count, varied), 1);
        for state in pool.backends() {
            (0..busy).for_each(|_| assert!(state.try_begin(None)));
            state.latency_took(Duration::from_micros(500), Moment::ZERO);
        }
        let (tried, mut random) = (Tried::new(), Random::new(seed as u64));
        let begun = Instant::now();
        let mut view = View::new(pool);
        pick(&mut view, &tried, Moment(1), &mut random);
        best.1 = best.1.min(begun.elapsed().as_secs_f64() * 1e6);
        let begun = Instant::now();
        for turn in 0..PICKS {
            pick(&mut view, &tried, Moment(u64::from(turn) * 1_000), &mut random);
        }
        best.0 = best.0.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(PICKS));
    }
    best
}

fn pick(view: &mut View, tried: &Tried, now: Moment, random: &mut Random) {
    let key = Some(random.next());
    if let Pick::Backend(slot) = view.pick(key, tried, now, random) {
        view.pool().backend(slot).end();
    }
}

fn hash_cost() -> f64 {
    let mut path = *b"/articles/0000000001";
    let begun = Instant::now();
    let mut sum = 0_u64;
    for turn in 0..PICKS {
        path[12] = (turn % 10) as u8 + b'0';
        sum = sum.wrapping_add(hash::of(&path));
    }
    assert_ne!(std::hint::black_box(sum), 1);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(PICKS)
}

fn plan(policy: Policy, count: usize, varied: bool) -> PoolPlan {
    let none = Millis(0);
    let backend = |index: usize| {
        let address = format!("10.0.{}.{}:80", index / 250, index % 250);
        BackendPlan {
            endpoints: vec![Endpoint::Unix(address.clone())],
            address,
            weight: if varied { 1 + (index % 7) as u16 } else { 1 },
            group: 0,
            max_connections: None,
            state: Wish::Enabled,
        }
    };
    PoolPlan {
        name: "app".to_owned(),
        policy,
        hash_on: HashOn::SourceIp,
        backends: (0..count).map(backend).collect(),
        check: CheckPlan {
            kind: CheckKind::Tcp,
            interval: none,
            fast_interval: none,
            timeout: none,
            rise: 2,
            fall: 3,
        },
        timeouts: PoolTimeouts { connect: none, response: none, idle: none, keepalive: none },
        retry: RetryPlan { attempts: 3, same_backend: 1, delay: none, hedge: false, budget: 0 },
        source: None,
    }
}
