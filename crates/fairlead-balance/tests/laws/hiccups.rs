//! `peak-ewma` as real machines are: answers are late now and then, whole backends pause, and
//! nobody starves for it; one that is slow each time is noticed nonetheless.

use std::time::Duration;

use fairlead_balance::{Pick, Random, Tried};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;

use crate::pools::{plan, World};

const STEP: Duration = Duration::from_micros(100);

/// What a client does between two requests, the interpreter's own time included.
const THINKING: Duration = Duration::from_millis(1);

/// Clients that each ask again when they were answered, in steps of a tenth of a millisecond.
struct Load {
    world: World,
    chance: Random,
    /// How long each backend takes on average.
    latency: Vec<Duration>,
    /// So many answers of a thousand take 1 to 50 ms longer.
    late: u64,
    /// Until when each backend does nothing at all.
    paused: Vec<Moment>,
    /// So many pauses of each backend in ten seconds, of 5 to 100 ms.
    pauses: u64,
    /// Until when each backend takes 5 to 30 ms longer for all it does.
    spells: Vec<(Moment, Duration)>,
    /// So many such spells of each backend in ten seconds, of 20 to 100 ms.
    busy: u64,
    clients: Vec<Client>,
}

#[derive(Clone, Copy)]
enum Client {
    Thinks { until: Moment },
    Waits { backend: usize, begun: Moment, until: Moment },
}

impl Load {
    fn new(seed: u64, clients: usize, weights: &[u16], latency: Duration) -> Load {
        let world = World::of(&plan(Policy::PeakEwma, weights));
        Load {
            chance: Random::new(seed),
            latency: vec![latency; weights.len()],
            late: 0,
            paused: vec![Moment::ZERO; weights.len()],
            pauses: 0,
            spells: vec![(Moment::ZERO, Duration::ZERO); weights.len()],
            busy: 0,
            clients: vec![Client::Thinks { until: world.now }; clients],
            world,
        }
    }

    /// Runs for `time`; says how many requests each backend got.
    fn run(&mut self, time: Duration) -> Vec<u32> {
        let mut counts = vec![0; self.latency.len()];
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.wait(STEP);
            self.pause();
            for client in 0..self.clients.len() {
                self.step(client, &mut counts);
            }
        }
        counts
    }

    fn step(&mut self, client: usize, counts: &mut [u32]) {
        let now = self.world.now;
        match self.clients[client] {
            Client::Thinks { until } if until <= now => {
                let (backend, begun) = (self.begin(), now);
                counts[backend] += 1;
                let until = now + self.takes(backend);
                self.clients[client] = Client::Waits { backend, begun, until };
            }
            Client::Waits { backend, begun, until } if until.max(self.paused[backend]) <= now => {
                self.world.state(backend).latency_took(now.since(begun), now);
                self.world.state(backend).end();
                self.clients[client] = Client::Thinks { until: now + THINKING };
            }
            _ => {}
        }
    }

    fn begin(&mut self) -> usize {
        let Pick::Backend(slot) = self.world.pick(&Tried::new()) else { panic!("all are well") };
        slot.index()
    }

    fn takes(&mut self, backend: usize) -> Duration {
        let takes = self.chance.spread(self.latency[backend], 0.5);
        let late = self.chance.below(1_000) < self.late as usize;
        let (until, longer) = self.spells[backend];
        let spell = if self.world.now < until { longer } else { Duration::ZERO };
        takes + spell + if late { self.between(1, 50) } else { Duration::ZERO }
    }

    fn pause(&mut self) {
        for backend in 0..self.paused.len() {
            if self.chance.below(100_000) < self.pauses as usize {
                self.paused[backend] = self.world.now + self.between(5, 100);
            }
            if self.chance.below(100_000) < self.busy as usize {
                let until = self.world.now + self.between(20, 100);
                self.spells[backend] = (until, self.between(5, 30));
            }
        }
    }

    fn between(&mut self, low: usize, high: usize) -> Duration {
        Duration::from_millis((low + self.chance.below(high - low + 1)) as u64)
    }
}

fn most_over_least(counts: &[u32]) -> f64 {
    let (most, least) = (counts.iter().max(), counts.iter().min());
    f64::from(*most.expect("some")) / f64::from(*least.expect("some")).max(0.1)
}

fn share(counts: &[u32], backend: usize) -> f64 {
    f64::from(counts[backend]) / f64::from(counts.iter().sum::<u32>())
}

const SECOND: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_micros(400);

#[test]
fn late_answers_now_and_then_starve_nobody() {
    for clients in [1, 2, 16] {
        for late in [1, 10, 50, 150] {
            let mut world = Load::new(late, clients, &[1; 5], QUICK);
            world.late = late;
            let counts = world.run(SECOND * 5);
            assert!(most_over_least(&counts) <= 1.3, "{clients} {late} in 1,000: {counts:?}");
        }
    }
}

#[test]
fn pauses_of_whole_backends_starve_nobody() {
    for clients in [1, 16, 64] {
        for seed in 0..3 {
            let mut world = Load::new(seed, clients, &[1; 5], QUICK);
            world.pauses = 10;
            let counts = world.run(SECOND * 10);
            assert!(most_over_least(&counts) <= 1.3, "{clients} clients, {seed}: {counts:?}");
        }
    }
}

#[test]
fn a_processor_that_is_busy_with_something_else_for_a_moment_starves_nobody() {
    for clients in [1, 16, 64] {
        for seed in 0..3 {
            let mut world = Load::new(seed, clients, &[1; 5], QUICK);
            world.busy = 10;
            let counts = world.run(SECOND * 5);
            assert!(most_over_least(&counts) <= 1.3, "{clients} clients, {seed}: {counts:?}");
        }
    }
}

#[test]
fn late_answers_now_and_then_do_not_turn_weights_round() {
    for clients in [1, 16] {
        let mut world = Load::new(3, clients, &[3, 1], QUICK);
        world.late = 10;
        let counts = world.run(SECOND * 5);
        assert!((0.7..0.8).contains(&share(&counts, 0)), "{clients} clients: {counts:?}");
    }
}

#[test]
fn one_client_in_sequence_uses_equal_backends_exactly_alike() {
    let mut world = Load::new(1, 1, &[1; 5], QUICK);
    let counts = world.run(SECOND);
    assert!(
        counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(),
        "{counts:?}"
    );
}

#[test]
fn one_that_becomes_ten_times_slower_is_noticed_among_hiccups_and_forgiven_when_it_is_well() {
    for clients in [1, 16] {
        for late in [0, 10] {
            let mut world = Load::new(7, clients, &[1; 5], Duration::from_millis(5));
            world.late = late;
            world.run(SECOND);
            world.latency[2] = Duration::from_millis(50);
            // Six slow answers, and what is asked of it while they are under way.
            let counts = world.run(SECOND);
            let most = if clients == 1 { 12 } else { 40 };
            assert!(counts[2] <= most, "{clients} clients, {late}: {counts:?}");
            let counts = world.run(SECOND * 10);
            assert!(share(&counts, 2) < 0.04, "{clients} clients, {late}: {counts:?}");
            world.latency[2] = Duration::from_millis(5);
            world.run(SECOND * 4);
            let counts = world.run(SECOND * 5);
            assert!(most_over_least(&counts) <= 1.3, "{clients} clients, {late}: {counts:?}");
        }
    }
}
