//! What must be true in every world, whatever goes wrong in it.
//!
//! Rules of this file
//! 1. A claim is about what people outside can see: answers, deliveries, health as told, memory,
//!    time. How the flow got there is its own business.
//! 2. What excuses a breach stands with the claim, and is as narrow as can be.
//!
//! The claims:
//! (a) no repeatable request fails while one backend of its pool can answer;
//! (b) nothing that may not be made twice is sent twice, not even a byte of it;
//! (c) no byte of one client reaches another, and answers come in order (noted by those who take
//!     part, as faults);
//! (d) nothing shortened is presented as whole (likewise);
//! (e) nothing is left at the end (likewise);
//! (f) what is queued for one connection is bounded, however slow its reader is;
//! (g) health changes by evidence alone, and nobody stays down who is well again;
//! (h) nothing hangs: each request ends within the time that its time-outs explain;
//! (i) second requests for late ones that were in vain stay within the budget;
//! (j) no request goes out more often than its pool's attempts allow.
//!
//! Which mutation of the code each of them notices: docs/design/006-claims.md.

mod health;
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_balance::budget::BURST;
use fairlead_balance::deadline::QUICK;
use fairlead_balance::outlier::SLOW;
use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::limits::{RECEIVE_BYTES, REPLAY_BYTES};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Plan;

use crate::backend::BadManners;
use crate::report::{Delivery, Hedges, Outcome, Report, Request, Service};
use crate::setting::{Episode, Setting, Theme};
use crate::wire;

/// Bytes that may be queued for one connection: what one read brought (a receive buffer), behind
/// what was queued when reading stopped (another), with a head before each.
pub const QUEUED_MOST: usize = 2 * (RECEIVE_BYTES + 16 * 1024);

/// What is promised in one world.
#[derive(Debug, Clone)]
pub struct Promises {
    theme: Theme,
    workers: usize,
    plan: Plan,
    anchors: Vec<Vec<usize>>,
    /// Hosts that may lose what can't be sent twice.
    sudden: Vec<bool>,
    /// Hosts that never do anything wrong.
    blameless: Vec<bool>,
    /// Hosts that answer badly now and then.
    rude: Vec<bool>,
    /// Hosts that are slow beside another of their pool: they may be ejected for it.
    uneven: Vec<bool>,
    /// Hosts whose answers take anything up to a time that is slow.
    wavering: Vec<bool>,
    /// Hosts whose check page may take longer than a suspect's hurried checks wait. If it was quick
    /// the few times that it was asked, that can't be known.
    unsteady: Vec<bool>,
    troubles: Vec<Episode>,
    /// Connects may fail for lack of descriptors.
    exhausts: bool,
    /// The slowest good answer.
    slowest: Duration,
    /// The longest that anybody waits for a backend.
    longest: Duration,
}

impl Promises {
    /// What is promised in the world of this setting.
    pub fn of(setting: &Setting) -> Promises {
        let hosts = setting.characters.len();
        let is_blameless = |host: usize| {
            let troubled = setting.troubles.iter().any(|episode| episode.host == host);
            let moves = matches!(setting.theme, Theme::Changes | Theme::Mixed)
                && !setting.characters[host].is_anchor;
            !troubled && !moves && setting.characters[host].manners == BadManners::default()
        };
        let slowest =
            setting.characters.iter().map(|character| character.delay + character.pause * 8);
        Promises {
            theme: setting.theme,
            workers: setting.workers,
            plan: setting.plan.clone(),
            anchors: setting.anchors.clone(),
            sudden: (0..hosts).map(|host| setting.closes_suddenly(host)).collect(),
            blameless: (0..hosts).map(is_blameless).collect(),
            rude: setting
                .characters
                .iter()
                .map(|host| host.manners != BadManners::default())
                .collect(),
            uneven: (0..hosts).map(|host| is_uneven(setting, host)).collect(),
            wavering: setting.characters.iter().map(|host| host.delay >= SLOW).collect(),
            unsteady: setting.characters.iter().map(|host| host.delay > QUICK).collect(),
            troubles: setting.troubles.clone(),
            exhausts: setting.exhaustion > 0,
            slowest: slowest.max().unwrap_or_default() * 30,
            longest: longest_wait(&setting.plan),
        }
    }

    /// Whether there is somebody who can answer, whatever happens, and the configuration lets a
    /// request get there.
    fn can_answer(&self, pool: usize) -> bool {
        let plan = &self.plan.pools[pool];
        let enough = plan.retry.attempts as usize >= plan.backends.len();
        let panics = self.theme.has_panics();
        !self.anchors[pool].is_empty() && enough && !self.exhausts && !panics
    }

    /// Whether a 500 is wrong for this request: somebody answers it well, and would be asked.
    fn errs(&self, request: &Request) -> bool {
        self.theme == Theme::Errors
            && self.can_answer(request.pool)
            && matches!(request.method, "GET" | "HEAD")
    }

    fn is_anchor(&self, host: usize) -> bool {
        self.anchors.iter().flatten().any(|anchor| *anchor == host)
    }
}

fn is_uneven(setting: &Setting, host: usize) -> bool {
    let pool = setting.pools.iter().find(|pool| pool.contains(&host));
    let delay = |host: usize| setting.characters[host].delay;
    let faster = |other: &usize| delay(*other) * 2 <= delay(host);
    delay(host) >= SLOW && pool.is_some_and(|pool| pool.iter().any(faster))
}

fn longest_wait(plan: &Plan) -> Duration {
    let waits = plan.pools.iter().map(|pool| {
        let timeouts = &pool.timeouts;
        let traffic = timeouts.connect.0 + timeouts.response.0 + timeouts.idle.0;
        Duration::from_millis(traffic.max(pool.check.timeout.0) + 1_000)
    });
    waits.max().unwrap_or_default()
}

/// The claims that a run broke, in words. Empty if all of them hold.
pub fn check(promises: &Promises, report: &Report) -> Vec<String> {
    let mut broken: Vec<String> = report.faults.clone();
    for request in &report.requests {
        broken.extend(answered(promises, report, request));
        broken.extend(in_time(promises, request));
        broken.extend(sent_once(report, request));
        broken.extend(sent_seldom(promises, report, request));
    }
    if report.queued_most > QUEUED_MOST {
        broken.push(format!("(f) {} bytes were queued for one connection", report.queued_most));
    }
    broken
        .extend(report.hedges.iter().filter_map(|hedges| within_budget(promises, report, hedges)));
    broken.extend(health::check(promises, report));
    broken.extend(streams::check(promises, report));
    broken
}

/// (a), and that an answer was really given.
fn answered(promises: &Promises, report: &Report, request: &Request) -> Option<String> {
    let deliveries = report.deliveries.get(&request.id).map_or(&[][..], Vec::as_slice);
    match &request.outcome {
        Outcome::Answered { status: 500, .. }
            if promises.errs(request) && !was_undecided(report, request, deliveries) =>
        {
            Some(format!("(a) {} {} was answered wrongly", request.method, request.id))
        }
        Outcome::Answered { number, .. } => {
            let given = deliveries.iter().flat_map(|delivery| &delivery.services).any(
                |(_, service)| matches!(service, Service::Answering(given) if given == number),
            );
            (!given).then(|| format!("(c) request {} got an answer that nobody gave", request.id))
        }
        Outcome::Left | Outcome::Stale => None,
        failed => {
            if is_excused(promises, report, request) {
                return None;
            }
            let story: Vec<_> = deliveries
                .iter()
                .map(|delivery| format!("{}: {:?}", delivery.host, delivery.services))
                .collect();
            Some(format!(
                "(a) {} {} ({} bytes, nth {} on its connection, {:?} to {:?}) ended as {failed:?}; sent to {:?}; {story:?}; anchors {:?}",
                request.method,
                request.id,
                request.body,
                request.nth,
                request.began,
                request.ended,
                report.sends.get(&request.id),
                promises.anchors[request.pool],
            ))
        }
    }
}

/// Whether an error could not be given a second opinion: something of the answer had been passed
/// on already, or the second one was asked over a connection that was just being closed.
fn was_undecided(report: &Report, request: &Request, deliveries: &[Delivery]) -> bool {
    let sends = report.sends.get(&request.id).map_or(0, Vec::len);
    deliveries.iter().any(Delivery::was_hinting) || sends > deliveries.len()
}

/// Whether its last backend said nothing until the time for answers was over, after so many others
/// of its pool had gone again for that that the budget for them may have been used up: one bucket
/// of [`BURST`] a worker, which requests earn. Where backends are all too slow, more would give them
/// everything several times. Before that it is no excuse.
fn was_overdue_beyond_the_budget(promises: &Promises, report: &Report, request: &Request) -> bool {
    let late =
        matches!(&request.outcome, Outcome::Refused { code, .. } if code == "response_timeout");
    let response = promises.plan.pools[request.pool].timeouts.response.duration();
    let overdue = |(when, id): &&(Moment, u64)| {
        let one = report.requests.iter().find(|one| one.id == *id);
        one.is_none_or(|one| one.pool == request.pool && when.since(one.began) >= response)
    };
    late && report.sent_again.iter().filter(overdue).count() >= BURST as usize
}

fn is_excused(promises: &Promises, report: &Report, request: &Request) -> bool {
    if !promises.can_answer(request.pool) || report.abandoned {
        return true;
    }
    if was_overdue_beyond_the_budget(promises, report, request) {
        return true;
    }
    let nothing = Vec::new();
    let sends = report.sends.get(&request.id).unwrap_or(&nothing);
    let deliveries = report.deliveries.get(&request.id).map_or(&[][..], Vec::as_slice);
    let risky = |host: &usize| !promises.is_anchor(*host) || promises.sudden[*host];
    let repeatable = wire::is_idempotent(request.method) && request.wire <= REPLAY_BYTES;
    if !repeatable && sends.iter().any(risky) {
        return true;
    }
    // A kept connection that is closed after the grace of a stop, as a request is on its way.
    let idle = request.idle >= Duration::from_millis(900);
    let stopping = report.stopped.is_some_and(|stopped| stopped <= request.ended);
    let others = || deliveries.iter().filter(|delivery| !promises.is_anchor(delivery.host));
    if others().any(Delivery::was_hinting) {
        return true;
    }
    match request.outcome {
        Outcome::Broken { after_head: false, .. } if stopping && idle => true,
        // What was begun can't be taken back.
        Outcome::Broken { .. } => others().any(Delivery::was_answering),
        _ => false,
    }
}

/// (b).
fn sent_once(report: &Report, request: &Request) -> Option<String> {
    if wire::is_idempotent(request.method) {
        return None;
    }
    let sends = report.sends.get(&request.id)?;
    (sends.len() > 1)
        .then(|| format!("(b) {} {} was sent to {sends:?}", request.method, request.id))
}

/// (j): a connection that turns out to be dead costs no attempt.
fn sent_seldom(promises: &Promises, report: &Report, request: &Request) -> Option<String> {
    let retry = &promises.plan.pools[request.pool].retry;
    let sends = report.sends.get(&request.id)?.len();
    let most = 2 * (retry.attempts * retry.same_backend) as usize;
    (sends > most).then(|| {
        format!("(j) {} {} was sent {sends} times, {most} at most", request.method, request.id)
    })
}

/// (h): a bound that no chain of time-outs exceeds.
fn in_time(promises: &Promises, request: &Request) -> Option<String> {
    let pool = &promises.plan.pools[request.pool];
    let listener = &promises.plan.listeners[0];
    let (timeouts, retry) = (&pool.timeouts, &pool.retry);
    let connects = (timeouts.connect.duration() * 2 + retry.delay.duration()) * retry.same_backend;
    let attempt = connects + timeouts.response.duration() + Duration::from_millis(500);
    let client = listener.timeouts.body.duration() + listener.timeouts.idle.duration();
    let bound = attempt * retry.attempts
        + timeouts.idle.duration()
        + client
        + request.own_time * 2
        + promises.slowest
        + Duration::from_secs(10);
    let took = request.ended.since(request.began);
    (took > bound).then(|| {
        format!("(h) {} {} took {took:?}, more than {bound:?}", request.method, request.id)
    })
}

/// (i): a bucket for each worker, what requests earn, and trials, which always have a token: one a
/// second for a backend that is not trusted.
fn within_budget(
    promises: &Promises,
    report: &Report,
    Hedges { pool, vain, requests, .. }: &Hedges,
) -> Option<String> {
    let plan = promises.plan.pools.iter().find(|plan| plan.name == *pool)?;
    let earned = *requests as f64 * f64::from(plan.retry.budget) / 10_000.0;
    let bound = BURST * promises.workers as f64 + earned + trials_most(report, pool);
    (*vain as f64 > bound)
        .then(|| format!("(i) {pool}: {vain} hedges in vain at {requests} requests"))
}

/// How many trials there may have been in a pool: one a second, from the loss of trust on.
fn trials_most(report: &Report, of: &str) -> f64 {
    let last = report.requests.iter().map(|request| request.ended).max().unwrap_or(Moment::ZERO);
    let mut lost: BTreeMap<&str, Moment> = BTreeMap::new();
    let mut most = 0.0;
    for (when, _, event) in &report.events {
        let Event::Health { pool, backend, to, .. } = event else { continue };
        if pool != of {
            continue;
        }
        if matches!(to, Health::Suspect | Health::Down) {
            lost.entry(backend).or_insert(*when);
        } else if let Some(since) = lost.remove(backend.as_str()) {
            most += 1.0 + when.since(since).as_secs_f64();
        }
    }
    most + lost.values().map(|since| 1.0 + last.since(*since).as_secs_f64()).sum::<f64>()
}

/// How often each outcome came, for people.
pub fn summary(report: &Report) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for stream in &report.streams {
        let name = if stream.left { "left".into() } else { format!("{:?}", stream.end) };
        *counts.entry(name).or_default() += 1;
    }
    for request in &report.requests {
        let name = match &request.outcome {
            Outcome::Answered { .. } => "answered".to_owned(),
            Outcome::Refused { status, code } => format!("{status} {code}"),
            Outcome::Broken { after_head: true, .. } => "broken after its head".to_owned(),
            Outcome::Broken { .. } => "broken".to_owned(),
            Outcome::Left => "left".to_owned(),
            Outcome::Stale => "stale".to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}
