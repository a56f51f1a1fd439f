//! A world in which all is well, with what well backends do: answers that take longer now and then,
//! and pauses of 300 ms in which a process collects its garbage. Options are those of
//! `plan::usual`.

use std::time::Duration;

use fairlead_balance::Random;
use fairlead_model::moment::Moment;

use super::{between, clients, plan, Episode, Setting, Theme, Trouble, SILENCE};
use crate::backend::{BadManners, Character};
use crate::client::Client;
use crate::network::Weather;

/// Backends of the pool.
const BACKENDS: usize = 3;

/// How long a process stands still.
const COLLECTS: Duration = Duration::from_millis(300);

impl Setting {
    /// A quiet world that lasts for `time`. Answers take `usual` on average, one in a hundred ten
    /// times as long, if that isn't more than what counts as silence. Each of the clients asks five
    /// times in two seconds, by this method.
    pub fn quiet(
        usual: Duration,
        time: Duration,
        (clients, method): (usize, &'static str),
        seed: u64,
    ) -> Setting {
        let mut random = Random::new(seed);
        let hosts: Vec<usize> = (0..BACKENDS).collect();
        let plan = plan::usual(&hosts);
        let clients = (0..clients).map(|nth| {
            let begins = Moment::ZERO + between(&mut random, 0, 400);
            (begins, Client::Http(clients::steady((nth, method), 0, time, &plan)))
        });
        let clients = clients.collect();
        let troubles = hosts.iter().flat_map(|host| pauses(*host, time, &mut random)).collect();
        Setting {
            seed,
            theme: Theme::Fair,
            workers: 2,
            pools: vec![hosts.clone()],
            anchors: vec![hosts],
            troubles,
            weather: Weather {
                delay: Duration::from_micros(200),
                capacity: 256 * 1024,
                patience: Duration::from_secs(15),
                backlog: 4_096,
                resets_destroy: false,
            },
            characters: (0..BACKENDS).map(|_| character(usual)).collect(),
            clients,
            changes: Vec::new(),
            exhaustion: 0,
            longest: time * 3 + Duration::from_secs(60),
            plan,
        }
    }
}

fn pauses(host: usize, time: Duration, random: &mut Random) -> Vec<Episode> {
    let mut from = Moment::ZERO;
    let mut episodes = Vec::new();
    loop {
        from = from + between(random, 5_000, 40_000);
        if from.since(Moment::ZERO) > time {
            return episodes;
        }
        let until = from + COLLECTS;
        episodes.push(Episode { host, from, until, what: Trouble::Frozen });
    }
}

fn character(usual: Duration) -> Character {
    let most = SILENCE.as_micros() / (usual * 2).as_micros().max(1);
    let tail = most.clamp(1, 10) as u32;
    Character {
        manners: BadManners::default(),
        streams: false,
        delay: usual * 2,
        tail,
        idle: Duration::from_secs(75),
        requests_most: u32::MAX,
        announces: true,
        tells_idle: false,
        continues: true,
        body_most: 2_000,
        pause: Duration::ZERO,
        hints: true,
        may_err: true,
        is_anchor: true,
    }
}
