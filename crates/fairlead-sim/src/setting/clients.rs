//! The clients of a world.

use std::time::Duration;

use fairlead_balance::Random;
use fairlead_model::moment::Moment;
use fairlead_model::plan::Plan;

use super::{between, one_in, Theme, TCP, WEB};
use crate::client::{Client, HttpClient, Job, Leave, StreamClient, StreamJob};
use crate::scenario::POLL;

/// How long a steady client goes on: troubles are over after 64 s at most, the longest hold of a
/// flapping backend is 30 s, that of one on trial 60 s.
const STEADY_FOR: Duration = Duration::from_secs(180);

/// Between two requests of a steady client.
const STEADY_PAUSE: Duration = Duration::from_millis(400);

/// Clients with the moments at which they begin. `crossings` are the pauses, from and to, that make
/// a request cross an idle close of each host.
pub(super) fn draw(
    theme: Theme,
    plan: &Plan,
    crossings: &[(Duration, Duration)],
    random: &mut Random,
) -> Vec<(Moment, Client)> {
    if theme == Theme::Recovery {
        let one = |pool| Client::Http(steady((pool, "GET"), pool, STEADY_FOR, plan));
        return (0..plan.pools.len()).map(|pool| (Moment::ZERO, one(pool))).collect();
    }
    let count = 2 + random.below(10);
    (0..count)
        .map(|index| {
            let begins = Moment::ZERO + between(random, 0, 6_000);
            let client = if theme.is_tcp() {
                let jobs = (0..=random.below(4)).map(|_| draw_stream(random)).collect();
                Client::Stream(StreamClient::new(index, TCP, jobs))
            } else if theme == Theme::Crossings {
                Client::Http(draw_crosser(index, plan, crossings, random))
            } else {
                Client::Http(draw_http(theme, index, plan, random))
            };
            (begins, client)
        })
        .collect()
}

/// A client that asks one pool for something small again and again, long enough for everybody to
/// be tried and to come back.
pub(super) fn steady(
    (index, method): (usize, &'static str),
    pool: usize,
    time: Duration,
    plan: &Plan,
) -> HttpClient {
    let body = if method == "GET" { 0 } else { 200 };
    let job = Job { method, pool, body, pause: STEADY_PAUSE, ..plain() };
    let count = time.as_millis() / STEADY_PAUSE.as_millis();
    let patience = plan.listeners[0].timeouts.idle.duration().mul_f64(0.9);
    HttpClient::new(index, WEB, vec![job; count as usize], 1, None, patience)
}

/// A small GET at once.
fn plain() -> Job {
    Job {
        method: "GET",
        pool: 0,
        body: 0,
        chunk: None,
        old: false,
        closes: false,
        polls: false,
        expects: false,
        pause: Duration::ZERO,
        pace: None,
        leaves: None,
        finishes: false,
        tries: 0,
    }
}

/// A client that asks at a steady rate, with these methods in turn.
pub(super) fn visitor(
    index: usize,
    pause: Duration,
    time: Duration,
    (plan, methods): (&Plan, &[&'static str]),
) -> HttpClient {
    let count = (time.as_nanos() / pause.as_nanos().max(1)) as usize;
    let job = |nth: usize| {
        let method = methods.get(nth % methods.len().max(1)).copied().unwrap_or("GET");
        Job { method, body: if method == "GET" { 0 } else { 200 }, pause, ..plain() }
    };
    let patience = plan.listeners[0].timeouts.idle.duration().mul_f64(0.9);
    HttpClient::new(index, WEB, (0..count).map(job).collect(), 1, None, patience)
}

/// A client that makes one long poll after the other.
pub(super) fn poller(index: usize, time: Duration, plan: &Plan) -> HttpClient {
    let count = (time.as_nanos() / POLL.as_nanos()) as usize;
    let patience = plan.listeners[0].timeouts.idle.duration().mul_f64(0.9);
    let job = Job { polls: true, ..plain() };
    HttpClient::new(index, WEB, vec![job; count], 1, None, patience)
}

fn draw_http(theme: Theme, index: usize, plan: &Plan, random: &mut Random) -> HttpClient {
    let heavy = theme == Theme::Weight;
    let jobs = (0..=random.below(12)).map(|_| draw_job(theme, plan.pools.len(), random)).collect();
    let depth = if one_in(random, 4) { 2 + random.below(8) } else { 1 };
    let pace = (heavy && one_in(random, 2)).then(|| {
        let pause = between(random, 1, 40);
        // 100 KB a second at least: slower ones are cut off, as they should be.
        let least = pause.as_millis() as usize * 100;
        (least + random.below(8_000), pause)
    });
    let patience = plan.listeners[0].timeouts.idle.duration().mul_f64(0.9);
    HttpClient::new(index, WEB, jobs, depth, pace, patience)
}

/// A client that asks again just as the connection that its last request went over is closed. Half
/// of its pauses are drawn from the few microseconds or milliseconds in which that happens.
fn draw_crosser(
    index: usize,
    plan: &Plan,
    crossings: &[(Duration, Duration)],
    random: &mut Random,
) -> HttpClient {
    // Longer than that, and it crosses the listener's own idle close.
    let patience = plan.listeners[0].timeouts.idle.duration().mul_f64(0.9);
    let mut job = || {
        let (from, to) = crossings[random.below(crossings.len())];
        let spread = to.saturating_sub(from).as_nanos() as u64 + 1;
        let pause = if one_in(random, 2) {
            from + Duration::from_nanos(random.next() % spread)
        } else {
            Duration::from_nanos(random.next() % (2 * to.as_nanos() as u64 + 1))
        };
        let method = ["POST", "POST", "POST", "GET", "PUT"][random.below(5)];
        let (body, pause) = (random.below(4_000), pause.min(patience));
        Job { method, pool: random.below(plan.pools.len()), body, pause, ..plain() }
    };
    let jobs = (0..20).map(|_| job()).collect();
    HttpClient::new(index, WEB, jobs, 1, None, patience)
}

fn draw_job(theme: Theme, pools: usize, random: &mut Random) -> Job {
    let heavy = theme == Theme::Weight;
    let method = ["GET", "GET", "GET", "HEAD", "PUT", "POST", "POST", "DELETE"][random.below(8)];
    let body = match random.below(8) {
        0 => 0,
        1 if heavy || theme == Theme::Mixed => random.below(300_000),
        2 if heavy => 50_000 + random.below(30_000),
        _ => random.below(4_000),
    };
    let leaving = match theme {
        Theme::Leaving => one_in(random, 2),
        Theme::Mixed => one_in(random, 8),
        _ => false,
    };
    let old = one_in(random, 10);
    let chunk = (one_in(random, 3) && !old).then(|| 1 + random.below(body.max(1)).max(body / 64));
    Job {
        method,
        pool: random.below(pools),
        body,
        chunk,
        old,
        closes: one_in(random, 8),
        polls: false,
        expects: one_in(random, 6) && !old,
        pause: if one_in(random, 2) { Duration::ZERO } else { between(random, 0, 3_000) },
        pace: one_in(random, 6).then(|| (1 + body / 8, between(random, 0, 300))),
        leaves: leaving.then(|| (draw_patience(random), draw_leave(random))),
        finishes: one_in(random, 12),
        tries: 0,
    }
}

fn draw_patience(random: &mut Random) -> Duration {
    match random.below(3) {
        0 => Duration::from_micros(random.next() % 5_000),
        1 => between(random, 0, 200),
        _ => between(random, 0, 4_000),
    }
}

fn draw_leave(random: &mut Random) -> Leave {
    [Leave::Close, Leave::Reset, Leave::Vanish][random.below(3)]
}

fn draw_stream(random: &mut Random) -> StreamJob {
    let length = match random.below(4) {
        0 => 0,
        1 => random.next() % 500_000,
        _ => random.next() % 5_000,
    };
    let pause = between(random, 1, 200);
    let pieces = 1 + random.below(12) as u64;
    StreamJob {
        length,
        piece: 1 + (length / pieces) as usize,
        pause,
        pace: one_in(random, 3).then(|| (2_000 + random.below(20_000), between(random, 1, 20))),
        leaves: one_in(random, 4).then(|| (draw_patience(random), draw_leave(random))),
    }
}
