//! One world from its beginning to its end: happening by happening, in virtual time.
//!
//! Rules of this file
//! 1. The flow is told what its driver's contract says, in an order and in pieces that the seed
//!    decides.
//! 2. What has arrived at a worker is told before its timers: a balancer that is late itself
//!    doesn't blame others.
//! 3. A world ends when its clients have done all that they wanted. Then the balancer is stopped,
//!    and must be empty once its timers have run out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::tally::Count;
use fairlead_balance::{Pool, Registry};
use fairlead_flow::{Driver, Flow, ListenerId, Peer, Snapshot};
use fairlead_model::backend::Endpoint;
use fairlead_model::event::Event;
use fairlead_model::health::{Evidence, Origin, Transition};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, Plan};

use crate::backend::Backend;
use crate::client::Client;
use crate::driver::{Hand, Lines, News};
use crate::network::{Network, Owner, SocketId, Told, Wake};
use crate::policy::Questions;
use crate::report::{Hedges, Notes, Report};
use crate::setting::{Change, Setting, Trouble, TCP, WEB};
use crate::wire;

/// How long a stopped balancer may keep anything: longer than any of its time-outs.
const EMPTY_WITHIN: Duration = Duration::from_secs(300);

/// Reads of one connection in a row before others get their turn.
const READS: usize = 4;

/// Between two checks that Python makes.
const CHECKS: Duration = Duration::from_millis(700);

const NEVER: (Moment, Moment) = (Moment(u64::MAX), Moment(u64::MAX));

/// Runs the world of a setting.
pub fn run(setting: Setting) -> Report {
    let mut world = World::new(setting);
    world.begin();
    world.live();
    world.end();
    let mut report = world.notes.report;
    report.digest = world.notes.digest.value();
    report.ended = world.network.now();
    report
}

/// What became of a pool's late requests.
fn hedges(pool: &Pool) -> Hedges {
    let tallies = pool.tallies();
    let count = |step: Count| tallies.counts[step as usize];
    let vain = count(Count::HedgeSent).saturating_sub(count(Count::HedgeWon));
    let answered = pool.backends().iter().map(|state| state.stats(Moment::ZERO).requests);
    Hedges { pool: pool.plan.name.clone(), vain, requests: answered.sum() }
}

struct World {
    network: Network,
    flows: Vec<Flow>,
    lines: Vec<Lines>,
    questions: Vec<Questions>,
    /// For each worker: for which deadline it is woken next, and when. Wakes for others are old.
    woken: Vec<(Moment, Moment)>,
    backends: Vec<Backend>,
    clients: Vec<Client>,
    notes: Notes,
    registry: Registry,
    snapshot: Option<Arc<Snapshot>>,
    setting: Setting,
    stopped: Option<Moment>,
}

impl World {
    fn new(mut setting: Setting) -> Self {
        let workers = setting.workers;
        let characters = std::mem::take(&mut setting.characters);
        let network = Network::new(setting.seed, characters.len(), workers, setting.weather);
        let backends = characters
            .into_iter()
            .enumerate()
            .map(|(index, character)| Backend::new(index, character))
            .collect();
        World {
            network,
            flows: (0..workers)
                .map(|nth| Flow::new(nth, workers, setting.seed + nth as u64))
                .collect(),
            lines: (0..workers).map(|_| Lines::default()).collect(),
            questions: (0..workers).map(|_| Questions::default()).collect(),
            woken: vec![NEVER; workers],
            backends,
            clients: Vec::new(),
            notes: Notes::new(setting.exhaustion, setting.theme.is_tcp()),
            registry: Registry::new(),
            snapshot: None,
            setting,
            stopped: None,
        }
    }

    fn begin(&mut self) {
        self.publish(self.setting.plan.clone());
        for (nth, (begins, client)) in
            std::mem::take(&mut self.setting.clients).into_iter().enumerate()
        {
            self.clients.push(client);
            self.network.wake(begins, Wake::Client(nth, 0));
        }
        for (nth, episode) in self.setting.troubles.iter().enumerate() {
            self.network.wake(episode.from, Wake::Trouble(2 * nth));
            self.network.wake(episode.until, Wake::Trouble(2 * nth + 1));
        }
        for (nth, (when, _)) in self.setting.changes.iter().enumerate() {
            self.network.wake(*when, Wake::Change(nth));
        }
        self.network.wake(Moment::ZERO, Wake::Checks);
    }

    fn publish(&mut self, plan: Plan) {
        let ids = if self.setting.theme.is_tcp() { vec![TCP] } else { vec![WEB] };
        let before = self.snapshot.as_deref();
        let built = Snapshot::build(plan, ids, &mut self.registry, self.flows.len(), before);
        match built {
            Ok(snapshot) => {
                for worker in 0..self.flows.len() {
                    self.tell(worker, |flow, hand, now| flow.publish(hand, &snapshot, now));
                }
                for pool in snapshot.pools() {
                    pool.set_asking(pool.plan.python.is_some());
                }
                self.snapshot = Some(snapshot);
            }
            Err(problem) => self.notes.fault(format!("the plan was not accepted: {problem}")),
        }
    }

    /// Goes on until the clients have done what they wanted.
    fn live(&mut self) {
        let end = Moment::ZERO + self.setting.longest;
        while !self.clients.iter().all(Client::is_done) {
            if !self.step(end) {
                break;
            }
        }
        for client in &self.clients {
            if !client.is_done() {
                self.notes.fault(format!("a client waits for ever: {}", client.state()));
            }
        }
    }

    /// Stops the balancer, and waits until nothing is left of it.
    fn end(&mut self) {
        let pools = self.snapshot.iter().flat_map(|snapshot| snapshot.pools());
        let backends = pools.flat_map(|pool| pool.backends());
        self.notes.report.healths = backends
            .map(|backend| (backend.pool().into(), backend.address().into(), backend.health()))
            .collect();
        let pools = self.snapshot.iter().flat_map(|snapshot| snapshot.pools());
        self.notes.report.hedges = pools.map(|pool| hedges(pool)).collect();
        self.stop();
        let end = self.network.now() + EMPTY_WITHIN;
        while self.lines.iter().any(|lines| lines.open() > 0) && self.step(end) {}
        for (worker, flow) in self.flows.iter().enumerate() {
            let (clients, lines) = (flow.open_clients(), self.lines[worker].open());
            if clients > 0 || lines > 0 {
                self.notes
                    .fault(format!("worker {worker} keeps {clients} clients, {lines} connections"));
            }
        }
        let Some(snapshot) = &self.snapshot else { return };
        for backend in snapshot.pools().iter().flat_map(|pool| pool.backends()) {
            if backend.active() > 0 {
                let (address, active) = (backend.address(), backend.active());
                self.notes.fault(format!("{address} still counts {active} in flight"));
            }
        }
        for listener in snapshot.listeners() {
            let open = listener.stats().connections_active;
            if open > 0 {
                self.notes.fault(format!("the listener still counts {open} connections"));
            }
        }
    }

    fn stop(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(self.network.now());
        self.notes.report.stopped = self.stopped;
        self.network.stop_listening();
        for worker in 0..self.flows.len() {
            self.tell(worker, |flow, hand, now| flow.stop(hand, now));
        }
    }

    /// Lets the next thing happen; false if there is none before `end`.
    fn step(&mut self, end: Moment) -> bool {
        let Some(told) = self.network.next(end) else { return false };
        self.notes.report.steps += 1;
        match told {
            Told::Accepted(socket) => self.accepted(socket),
            Told::Connected(socket) => match self.network.socket(socket).owner {
                Owner::Worker(worker) => {
                    if let Some(id) = self.lines[worker].id(socket) {
                        self.tell(worker, |flow, hand, now| flow.handle_connected(hand, id, now));
                    }
                }
                Owner::Client(nth) => {
                    self.clients[nth].connected(&mut self.network, &mut self.notes, socket);
                }
                Owner::Backend(_) => {}
            },
            Told::ConnectFailed(socket, failure) => match self.network.socket(socket).owner {
                Owner::Worker(worker) => {
                    if let Some(id) = self.lines[worker].id(socket) {
                        self.lines[worker].forget(id);
                        self.tell(worker, |flow, hand, now| {
                            flow.handle_connect_failed(hand, id, failure, now);
                        });
                    }
                }
                Owner::Client(nth) => {
                    let stopped = self.stopped.is_some();
                    self.clients[nth].connect_failed(&mut self.notes, failure, stopped);
                }
                Owner::Backend(_) => {}
            },
            Told::Look(socket) => self.look(socket),
            Told::Wake(who) => self.wake(who),
        }
        true
    }

    fn accepted(&mut self, socket: SocketId) {
        match self.network.socket(socket).owner {
            Owner::Backend(nth) => self.backends[nth].accepted(&mut self.network, socket),
            Owner::Worker(worker) => {
                let listener = self.network.socket(socket).listener.unwrap_or(ListenerId(0));
                let client = self.network.client_of(socket).unwrap_or(0);
                let address = std::net::Ipv4Addr::new(192, 0, 2, client as u8);
                let peer = Peer { address: Some((address, 4000).into()), local: None };
                let id = self.lines[worker].adopt(socket);
                self.tell(worker, |flow, hand, now| {
                    flow.handle_accepted(hand, id, listener, peer, now);
                });
                self.network.look(socket);
            }
            Owner::Client(_) => {}
        }
    }

    fn look(&mut self, socket: SocketId) {
        match self.network.socket(socket).owner {
            Owner::Worker(worker) => self.turn(worker, socket),
            Owner::Client(nth) => {
                self.clients[nth].look(&mut self.network, &mut self.notes, socket);
            }
            Owner::Backend(nth) => {
                self.backends[nth].look(&mut self.network, &mut self.notes, socket);
            }
        }
    }

    /// Tells a worker what there is to tell of a connection.
    fn turn(&mut self, worker: usize, socket: SocketId) {
        let Some(id) = self.lines[worker].id(socket) else { return };
        for _ in 0..READS {
            let mut news = None;
            self.tell(worker, |_, hand, _| news = hand.news(id));
            let Some(news) = news else { return };
            self.tell(worker, |flow, hand, now| match news {
                News::Data(bytes) => flow.handle_data(hand, id, &bytes, now),
                News::Eof => flow.handle_eof(hand, id, now),
                News::Failed(failure) => flow.handle_failed(hand, id, failure, now),
                News::Hangup => flow.handle_hangup(hand, id, now),
                News::Writable => flow.handle_writable(hand, id, now),
            });
        }
        self.network.look(socket);
    }

    fn wake(&mut self, who: Wake) {
        match who {
            Wake::Worker(worker) if self.woken[worker].1 != self.network.now() => {}
            Wake::Worker(worker) => {
                self.woken[worker] = NEVER;
                for socket in self.lines[worker].sockets() {
                    if self.network.is_open(socket) {
                        self.turn(worker, socket);
                    }
                }
                self.tell(worker, |flow, hand, now| flow.handle_timers(hand, now));
            }
            Wake::Client(nth, wish) => {
                self.clients[nth].wake(&mut self.network, &mut self.notes, wish);
            }
            Wake::Backend(nth, socket) => {
                self.backends[nth].wake(&mut self.network, &mut self.notes, socket);
            }
            Wake::BackendIdle(nth, socket) => {
                self.backends[nth].close_if_idle(&mut self.network, socket);
            }
            Wake::Trouble(nth) => self.trouble(nth / 2, nth % 2 == 0),
            Wake::Change(nth) => self.change(nth),
            Wake::Verdict(worker, number) => {
                if let Some((ticket, verdict)) = self.questions[worker].answer(number) {
                    self.tell(worker, |flow, hand, now| {
                        flow.handle_verdict(hand, ticket, verdict, now);
                    });
                }
            }
            Wake::Checks => self.checks(),
        }
    }

    /// Calls a worker's flow, and sees to what follows from that for the world.
    fn tell(&mut self, worker: usize, call: impl FnOnce(&mut Flow, &mut Hand<'_>, Moment)) {
        let now = self.network.now();
        let flow = &mut self.flows[worker];
        let mut hand = Hand {
            worker,
            network: &mut self.network,
            lines: &mut self.lines[worker],
            notes: &mut self.notes,
            questions: &mut self.questions[worker],
        };
        call(flow, &mut hand, now);
        while let Some(event) = flow.take_event() {
            self.notes.report.events.push((now, worker, event));
        }
        if let Some(deadline) = flow.deadline() {
            if deadline < self.woken[worker].0 {
                // A worker is never early, and sometimes late.
                let most = if self.network.random.below(64) == 0 { 20_000 } else { 500 };
                let late = self.network.up_to(Duration::from_micros(most));
                let when = deadline.max(now) + late;
                self.woken[worker] = (deadline, when);
                self.network.wake(when, Wake::Worker(worker));
            }
        }
    }

    /// What Python checks, every so often: whether somebody answers there.
    fn checks(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        let now = self.network.now();
        self.network.wake(now + CHECKS, Wake::Checks);
        let Some(snapshot) = self.snapshot.clone() else { return };
        let pools = snapshot.pools().iter();
        for pool in pools.filter(|pool| pool.plan.check.kind == CheckKind::External) {
            for (plan, state) in pool.plan.backends.iter().zip(pool.backends()) {
                let passed = self.is_well(&plan.endpoints);
                let what = if passed { "exit code 0" } else { "exit code 1" };
                let evidence =
                    Evidence { origin: Origin::Check, passed, what, detail: String::new() };
                let Some(Transition { from, to, why }) =
                    state.observe(&evidence, &pool.rules(), now)
                else {
                    continue;
                };
                let (pool, backend) = (state.pool().into(), state.address().into());
                let event = Event::Health { pool, backend, from, to, why };
                self.notes.report.events.push((now, 0, event));
            }
        }
    }

    fn is_well(&self, endpoints: &[Endpoint]) -> bool {
        let host = endpoints.iter().find_map(|endpoint| match endpoint {
            Endpoint::Unix(path) => wire::host_of_socket(path),
            Endpoint::Tcp(address) => match address.ip() {
                IpAddr::V4(four) if four.octets()[2] == 0 => Some(usize::from(four.octets()[3])),
                _ => None,
            },
        });
        let Some(index) = host.filter(|host| *host < self.backends.len()) else { return false };
        !self.backends[index].sick
            && !self.backends[index].closes
            && self.network.hosts[index].is_well()
    }

    fn trouble(&mut self, nth: usize, begins: bool) {
        let episode = self.setting.troubles[nth];
        let (index, network) = (episode.host, &mut self.network);
        let backend = &mut self.backends[index];
        match episode.what {
            Trouble::Killed { by_reset } => {
                network.hosts[index].refusing = begins;
                if begins {
                    backend.kill(network, by_reset);
                }
            }
            Trouble::Swallows => {
                network.hosts[index].lost_in = begins;
                network.hosts[index].lost_out = begins;
            }
            Trouble::SwallowsIn => network.hosts[index].lost_in = begins,
            Trouble::SwallowsOut => network.hosts[index].lost_out = begins,
            Trouble::PowerLoss => {
                network.hosts[index].lost_in = begins;
                network.hosts[index].lost_out = begins;
                backend.lose_power(network);
            }
            Trouble::Frozen if begins => network.hosts[index].frozen = true,
            Trouble::Frozen => network.thaw(index),
            Trouble::Unreachable => network.hosts[index].unreachable = begins,
            Trouble::Slow(times) => backend.slowness = if begins { times } else { 1 },
            Trouble::Sick => backend.sick = begins,
            Trouble::Loses(loss) => network.hosts[index].loss = if begins { loss } else { 0 },
            Trouble::LosesLarge => network.hosts[index].loses_large = begins,
            Trouble::LosesWays => network.hosts[index].loses_ways = begins,
            Trouble::Closes => backend.closes = begins,
            Trouble::Errs => backend.errs = begins,
            Trouble::Cuts => backend.cuts = begins,
            Trouble::Lags(millis) => backend.lag = if begins { millis } else { 0 },
        }
        if !begins {
            self.network.host_is_back(index);
        }
    }

    fn change(&mut self, nth: usize) {
        let (_, change) = &self.setting.changes[nth];
        match change.clone() {
            Change::Reload(plan) if self.stopped.is_none() => self.publish(plan),
            Change::Reload(_) => {}
            Change::Wish(pool, nth, wish) => {
                if let Some(backend) = self.backend_state(pool, nth) {
                    backend.set_wish(wish);
                }
            }
            Change::Weight(pool, nth, weight) => {
                if let Some(backend) = self.backend_state(pool, nth) {
                    backend.set_weight(weight);
                }
            }
            Change::Stop => self.stop(),
            Change::Abandon => {
                self.notes.report.abandoned = true;
                for worker in 0..self.flows.len() {
                    self.tell(worker, |flow, hand, now| flow.abandon(hand, now));
                }
            }
            Change::Panic(worker, nth) => self.panic(worker % self.flows.len(), nth),
        }
    }

    /// A handler panicked; the driver closes what the flow doesn't know any more, as the engine's
    /// does.
    fn panic(&mut self, worker: usize, nth: usize) {
        let sockets = self.lines[worker].sockets();
        let Some(socket) = sockets.get(nth % sockets.len().max(1)) else { return };
        let Some(id) = self.lines[worker].id(*socket) else { return };
        self.tell(worker, |flow, hand, now| {
            flow.handle_panic(hand, id, now);
            hand.abort(id);
        });
    }

    fn backend_state(
        &self,
        pool: usize,
        nth: usize,
    ) -> Option<Arc<fairlead_balance::BackendState>> {
        let plan = &self.setting.plan.pools[pool];
        self.registry.find(&plan.name, &plan.backends[nth].address)
    }
}
