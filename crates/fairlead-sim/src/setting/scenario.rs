//! The world of a scenario: a pool as configured, and backends that are well but for one fault.

use std::time::Duration;

use fairlead_balance::Random;
use fairlead_model::backend::Endpoint;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, Plan};

use super::{between, clients, plan, Episode, Setting, Theme};
use crate::backend::{BadManners, Character};
use crate::client::Client;
use crate::network::Weather;
use crate::scenario::{Scenario, AFTER, BACKENDS_MOST, BEFORE, POLL};

/// Clients at most; each makes its share of the requests.
const CLIENTS: u32 = 50;

impl Setting {
    /// The world of a scenario.
    ///
    /// # Errors
    ///
    /// A text, if there is no such pool or backend, or too many backends.
    pub(crate) fn scenario(scenario: &Scenario) -> Result<Setting, String> {
        let mut random = Random::new(scenario.seed);
        let count = scenario.plan.pools.get(scenario.pool).ok_or("no such pool")?.backends.len();
        if count > BACKENDS_MOST {
            return Err(format!("{count} backends, and a world has room for {BACKENDS_MOST}"));
        }
        if scenario.backend.is_some_and(|backend| backend >= count) {
            return Err("no such backend".to_owned());
        }
        let plan = configured(scenario, &mut random);
        let time = BEFORE + scenario.lasts + AFTER;
        let hosts: Vec<usize> = (0..count).collect();
        let clients = visitors(scenario, time, &plan, &mut random);
        Ok(Setting {
            seed: scenario.seed,
            theme: Theme::Outages,
            workers: 2,
            pools: vec![hosts.clone()],
            anchors: vec![hosts.clone()],
            troubles: hosts.iter().flat_map(|host| episodes(scenario, *host)).collect(),
            weather: Weather {
                delay: Duration::from_micros(200),
                capacity: 256 * 1024,
                patience: Duration::from_secs(15),
                backlog: 128,
                resets_destroy: false,
            },
            characters: hosts.iter().map(|_| character(scenario)).collect(),
            clients,
            changes: Vec::new(),
            exhaustion: 0,
            longest: time + Duration::from_secs(600),
            plan,
        })
    }
}

/// The pool alone, at places of this world, and asked only for what its backends here understand:
/// they read no PROXY header, their check page answers 200, and nobody is there who runs Python.
fn configured(scenario: &Scenario, random: &mut Random) -> Plan {
    let mut pool = scenario.plan.pools[scenario.pool].clone();
    pool.proxy_protocol = None;
    pool.python = None;
    if let CheckKind::Http { expect_status, .. } = &mut pool.check.kind {
        *expect_status = vec![(200, 399)];
    }
    for (host, backend) in pool.backends.iter_mut().enumerate() {
        backend.endpoints = vec![Endpoint::Tcp(plan::place(host))];
    }
    let mut plan = plan::draw(Theme::Fair, &[vec![0]], &[vec![0]], random);
    plan.pools = vec![pool];
    plan.listeners[0].timeouts.idle = fairlead_model::plan::Millis(60_000);
    plan
}

fn visitors(
    scenario: &Scenario,
    time: Duration,
    plan: &Plan,
    random: &mut Random,
) -> Vec<(Moment, Client)> {
    let count = scenario.rate.clamp(1, CLIENTS);
    let pause = Duration::from_secs(1) * count / scenario.rate.max(1);
    let mut one = |nth: u32| {
        let begins = Moment::ZERO + between(random, 0, pause.as_millis() as u64);
        (
            begins,
            Client::Http(clients::visitor(nth as usize, pause, time, (plan, scenario.methods))),
        )
    };
    let visitors: Vec<_> = (0..count).map(&mut one).collect();
    let poller = |nth: u32| {
        let begins = Moment::ZERO + between(random, 0, POLL.as_millis() as u64);
        (begins, Client::Http(clients::poller((count + nth) as usize, time, plan)))
    };
    visitors.into_iter().chain((0..scenario.polls).map(poller)).collect()
}

fn episodes(scenario: &Scenario, host: usize) -> Vec<Episode> {
    let Some(what) = scenario.fault else { return Vec::new() };
    if scenario.backend.is_some_and(|backend| backend != host) {
        return Vec::new();
    }
    let mut from = Moment::ZERO + BEFORE;
    let end = from + scenario.lasts;
    let Some(half) = scenario.flaps.filter(|half| !half.is_zero()) else {
        return vec![Episode { host, from, until: end, what }];
    };
    let mut episodes = Vec::new();
    while from < end {
        episodes.push(Episode { host, from, until: (from + half).min(end), what });
        from = from + half * 2;
    }
    episodes
}

fn character(scenario: &Scenario) -> Character {
    Character {
        manners: BadManners::default(),
        streams: false,
        delay: scenario.usual * 2,
        tail: scenario.tail,
        idle: Duration::from_secs(75),
        requests_most: u32::MAX,
        announces: true,
        tells_idle: false,
        continues: true,
        body_most: 2_000,
        pause: Duration::ZERO,
        hints: false,
        may_err: false,
        is_anchor: true,
    }
}
