//! What a pick costs: nanoseconds per pick and end, for each policy, with 4 and with 1,000
//! backends; and what a change costs the first pick after it, with 1,000.
//!
//! `cargo run --release -p fairlead-balance --example pick_cost`
//!
//! With a policy and a number it only picks so often among 1,000 backends that all have work, for
//! callgrind to count (`make perf-check`): `-- least-connections 10000`.

#![expect(clippy::print_stdout, reason = "this program is for a person who wants to see numbers")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures the pure crate from outside, so it needs a clock"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fairlead_balance::{hash, Pick, Pool, Random, Registry, Tried, View};
use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{
    BackendPlan, CheckKind, CheckPlan, HashOn, HashTable, Millis, OutlierPlan, Policy, PoolPlan,
    PoolTimeouts, RetryPlan,
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

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        print_all();
        return ExitCode::SUCCESS;
    };
    let policy = POLICIES.into_iter().find(|policy| policy.name() == name);
    let count = arguments.next().and_then(|count| count.parse().ok());
    let (Some(policy), Some(count)) = (policy, count) else {
        println!("which: a policy, and how many picks");
        return ExitCode::from(2);
    };
    let mut view = View::new(made(policy, 1_000, 3, false), Moment::ZERO);
    let (tried, mut random) = (Tried::new(), Random::new(0));
    for turn in 0..count {
        pick(&mut view, &tried, Moment(turn * 1_000), &mut random);
    }
    ExitCode::SUCCESS
}

fn print_all() {
    println!("{:<36}{:>10}{:>10}{:>10}", "policy, work, weights", "4", "1,000", "table");
    for policy in POLICIES {
        for (work, busy) in [("idle", 0), ("busy", 3)] {
            for (kind, varied) in [("equal", false), ("varied", true)] {
                let name = format!("{policy:?}, {work}, {kind}");
                let few = pick_cost(&made(policy, 4, busy, varied), 1);
                let many = pick_cost(&made(policy, 1_000, busy, varied), 1);
                let table = table_cost(policy, varied);
                println!("{name:<36}{few:>7.0} ns{many:>7.0} ns{table:>7.0} µs");
            }
        }
    }
    for policy in POLICIES {
        let name = format!("{policy:?}, two workers at once");
        let few = pick_cost(&made(policy, 4, 1, false), 2);
        let many = pick_cost(&made(policy, 1_000, 1, false), 2);
        println!("{name:<36}{few:>7.0} ns{many:>7.0} ns");
    }
    println!("hash of a path of 20 bytes: {:.0} ns", hash_cost());
}

/// A pool with so much under way on each backend.
fn made(policy: Policy, count: usize, busy: u32, varied: bool) -> Arc<Pool> {
    let pool = Registry::new().pool(&plan(policy, count, varied), 1);
    for state in pool.backends() {
        (0..busy).for_each(|_| assert!(state.try_begin(None)));
        state.latency_took(Duration::from_micros(500), Moment::ZERO);
    }
    pool
}

/// Nanoseconds for a pick and its end in each worker; the best of several runs, as others are on
/// this machine too.
fn pick_cost(pool: &Arc<Pool>, workers: u64) -> f64 {
    let run = |worker: u64| {
        let (tried, mut random) = (Tried::new(), Random::new(worker));
        let mut view = View::new(Arc::clone(pool), Moment::ZERO);
        pick(&mut view, &tried, Moment(1), &mut random);
        let begun = Instant::now();
        for turn in 0..PICKS {
            pick(&mut view, &tried, Moment(u64::from(turn) * 1_000), &mut random);
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(PICKS)
    };
    let once = || {
        thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|it| scope.spawn(move || run(it))).collect();
            let own = run(0);
            others.into_iter().map(|it| it.join().expect("it only counts")).fold(own, f64::max)
        })
    };
    (0..REPETITIONS).map(|_| once()).fold(f64::MAX, f64::min)
}

/// Microseconds from a change to the first pick after it, with 1,000 backends.
fn table_cost(policy: Policy, varied: bool) -> f64 {
    let pool = made(policy, 1_000, 0, varied);
    let (tried, mut random) = (Tried::new(), Random::new(0));
    let mut view = View::new(Arc::clone(&pool), Moment::ZERO);
    let mut best = f64::MAX;
    for turn in 0..40_u16 {
        pool.backends()[7].set_weight(2 + turn % 2);
        let begun = Instant::now();
        pick(&mut view, &tried, Moment(1), &mut random);
        best = best.min(begun.elapsed().as_secs_f64() * 1e6);
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
        python: None,
        hash_on: HashOn::SourceIp,
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
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
