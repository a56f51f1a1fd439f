//! What a request costs the deciding code, without any I/O: for counting instructions and
//! allocations under callgrind (`make perf-check`), which repeat exactly where times don't.
//!
//! | work | what each turn is |
//! |---|---|
//! | `http_kept` | a GET and its answer, on kept connections, with all that is on by default |
//! | `http_plain` | the same without hedging and without looking out for outliers |
//! | `http_post` | a POST of 17 bytes |
//! | `http_new` | a GET of a client that comes for it and leaves |
//! | `http_least` | a GET, by `least-connections` |
//! | `routes_1`, `routes_10000` | a GET whose pool a route says, of so many by host and path |
//! | `tcp_kept` | a message and its answer on a kept tcp connection |
//! | `tcp_new` | the same of a client that comes for it and leaves |
//!
//! `cargo run --release -p fairlead-flow --example request_cost -- http_kept 10000`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a program for measuring: it reads its arguments and says what it did"
)]

#[expect(dead_code, reason = "the dialogues' set-up; not all of it is wanted here")]
#[path = "../tests/dialogues/setup.rs"]
mod setup;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::ExitCode;

use fairlead_balance::Registry;
use fairlead_flow::{
    ConnId, Driver, Flow, IoFailure, ListenerId, Outgoing, PathState, Peer, Sent, Snapshot,
};
use fairlead_model::backend::Endpoint;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{HostMatch, OutlierPlan, PathMatch, Policy, RoutePlan};

use setup::{http, tcp, Setup};

/// Time between two things that happen, in nanoseconds.
const STEP: u64 = 20_000;

const GET: &[u8] = b"GET /api/items/1234?page=2 HTTP/1.1\r\nHost: app.example.com\r\n\
User-Agent: curl/8.5.0 (x86_64)\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n\r\n";

const POST: &[u8] = b"POST /api/items HTTP/1.1\r\nHost: app.example.com\r\n\
User-Agent: curl/8.5.0 (x86_64)\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n\
{\"name\": \"paper\"}";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"ok\": true}\r\n";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let round_robin =
        |setup: Setup| setup.backends(4).hedged().pool(|pool| pool.policy = Policy::RoundRobin);
    let answers = match name.as_str() {
        "http_kept" => Rig::new(round_robin(http())).kept(GET, count),
        "http_plain" => Rig::new(plain(round_robin(http()))).kept(GET, count),
        "http_post" => Rig::new(round_robin(http())).kept(POST, count),
        "http_new" => Rig::new(round_robin(http())).each_new(GET, count),
        "http_least" => {
            let least = |setup: Setup| setup.pool(|pool| pool.policy = Policy::LeastConnections);
            Rig::new(least(round_robin(http()))).kept(GET, count)
        }
        "routes_1" => {
            let (host, path) = PLACES[0];
            routed(round_robin(http()), vec![route(host, path)], &PLACES[..1], count)
        }
        "routes_10000" => {
            let all = (0..100).flat_map(|host| (0..100).map(move |path| route(host, path)));
            routed(round_robin(http()), all.collect(), &PLACES, count)
        }
        "tcp_kept" => Rig::new(round_robin(tcp())).kept(GET, count),
        "tcp_new" => Rig::new(round_robin(tcp())).each_new(GET, count),
        _ => {
            eprintln!("which: http_kept, http_plain, http_post, http_new, http_least, routes_1,");
            eprintln!("routes_10000, tcp_kept or tcp_new");
            return ExitCode::from(2);
        }
    };
    println!("{name}: {answers} answers");
    if answers == count {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Without the steps against sick hosts that a configuration can switch off.
fn plain(setup: Setup) -> Setup {
    setup.pool(|pool| {
        pool.retry.hedge = false;
        pool.outlier = OutlierPlan { max_ejected: 0, latency: false };
    })
}

/// Host and path that are asked for by turns: the first, the last, and some between.
const PLACES: [(usize, usize); 8] =
    [(50, 50), (0, 0), (99, 99), (0, 99), (99, 0), (25, 75), (37, 62), (12, 48)];

/// One of ten thousand routes: its host, and a beginning of its path.
fn route(host: usize, path: usize) -> RoutePlan {
    RoutePlan {
        host: Some(HostMatch::Exact(format!("a{host:02}.example.com"))),
        path: Some(PathMatch::Prefix(format!("/a{path:02}/items/"))),
        methods: Vec::new(),
        headers: Vec::new(),
        pool: 0,
    }
}

/// So many requests, which only these routes say a pool for. They are as long as [`GET`].
fn routed(setup: Setup, routes: Vec<RoutePlan>, places: &[(usize, usize)], count: usize) -> usize {
    let get = std::str::from_utf8(GET).expect("it is ASCII");
    let place = |(host, path): &(usize, usize)| {
        let request = get.replace("/api/items/", &format!("/a{path:02}/items/"));
        request.replace("Host: app.", &format!("Host: a{host:02}.")).into_bytes()
    };
    let requests: Vec<_> = places.iter().map(place).collect();
    let setup = setup.listener(|listener| (listener.routes, listener.pool) = (routes, None));
    let mut rig = Rig::new(setup);
    let client = rig.client();
    let turns = requests.iter().cycle().take(count);
    turns.filter(|request| rig.ask(client, request)).count()
}

/// A driver that does nothing: connects succeed, bytes vanish.
#[derive(Default)]
struct Hand {
    lives: u32,
    places: u32,
    /// Indices that are used again, as the engine does it.
    free: Vec<u32>,
    connecting: VecDeque<ConnId>,
    /// Who was last sent something, and how much.
    sent: Option<(ConnId, usize)>,
    /// Who was last sent FIN.
    finished: Option<ConnId>,
}

impl Hand {
    fn seat(&mut self) -> ConnId {
        let index = self.free.pop().unwrap_or(self.places);
        self.places = self.places.max(index + 1);
        self.lives += 1;
        ConnId { index, generation: self.lives }
    }

    fn leave(&mut self, id: ConnId) {
        self.free.push(id.index);
    }
}

impl Driver for Hand {
    fn connect(&mut self, _to: &Endpoint, _how: Outgoing) -> Result<ConnId, IoFailure> {
        let id = self.seat();
        self.connecting.push_back(id);
        Ok(id)
    }

    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        self.sent = Some((id, first.len() + then.len()));
        Sent::All
    }

    fn queued(&self, _id: ConnId) -> usize {
        0
    }

    fn finish(&mut self, id: ConnId) {
        self.finished = Some(id);
    }

    fn pause(&mut self, _id: ConnId) {}

    fn resume(&mut self, _id: ConnId) {}

    fn close(&mut self, id: ConnId) {
        self.leave(id);
    }

    fn abort(&mut self, id: ConnId) {
        self.leave(id);
    }

    fn is_quiet(&mut self, _id: ConnId) -> bool {
        true
    }

    fn has_news(&mut self, _id: ConnId) -> bool {
        false
    }

    fn ask_path(&mut self, _id: ConnId) -> Option<PathState> {
        None
    }
}

/// A flow, and what happens to it.
struct Rig {
    flow: Flow,
    hand: Hand,
    now: Moment,
    _registry: Registry,
}

impl Rig {
    fn new(setup: Setup) -> Rig {
        let mut registry = Registry::new();
        let ids = vec![ListenerId(0)];
        let mut plan = setup.plan;
        // On by default, and off in dialogues.
        plan.listeners.iter_mut().for_each(|listener| listener.via = Some("fairlead".into()));
        let snapshot = Snapshot::build(plan, ids, &mut registry, 1, None).expect("a plan");
        let mut rig = Rig {
            flow: Flow::new(0, 1, 1),
            hand: Hand::default(),
            now: Moment(1_000_000_000),
            _registry: registry,
        };
        rig.flow.publish(&mut rig.hand, &snapshot, rig.now);
        rig
    }

    fn step(&mut self) -> Moment {
        self.now = Moment(self.now.0 + STEP);
        if self.flow.deadline().is_some_and(|at| at <= self.now) {
            self.flow.handle_timers(&mut self.hand, self.now);
        }
        while self.flow.take_event().is_some() {}
        self.now
    }

    fn client(&mut self) -> ConnId {
        let id = self.hand.seat();
        let from = SocketAddr::from(([192, 0, 2, 1], 40_000));
        let peer = Peer { address: Some(from), local: Some(SocketAddr::from(([10, 9, 9, 9], 80))) };
        let now = self.step();
        self.flow.handle_accepted(&mut self.hand, id, ListenerId(0), peer, now);
        self.connect();
        id
    }

    fn connect(&mut self) {
        while let Some(id) = self.hand.connecting.pop_front() {
            let now = self.step();
            self.flow.handle_connected(&mut self.hand, id, now);
        }
    }

    /// One request and its answer; whether the client got something.
    fn ask(&mut self, client: ConnId, request: &[u8]) -> bool {
        let now = self.step();
        self.flow.handle_data(&mut self.hand, client, request, now);
        self.connect();
        // Nobody but a backend gets a request: an error would go to the client.
        let went = self.hand.sent.take().filter(|(to, _)| *to != client);
        let Some((backend, _)) = went else { return false };
        let now = self.step();
        self.flow.handle_data(&mut self.hand, backend, ANSWER, now);
        self.hand.sent.take().is_some_and(|(to, _)| to == client)
    }

    /// A tcp backend answers FIN with FIN.
    fn backend_ends(&mut self) {
        if let Some(id) = self.hand.finished.take() {
            let now = self.step();
            self.flow.handle_eof(&mut self.hand, id, now);
        }
    }

    /// So many requests on one connection.
    fn kept(mut self, request: &[u8], count: usize) -> usize {
        let client = self.client();
        (0..count).filter(|_| self.ask(client, request)).count()
    }

    /// So many clients with one request each.
    fn each_new(mut self, request: &[u8], count: usize) -> usize {
        let mut answered = 0;
        for _ in 0..count {
            let client = self.client();
            answered += usize::from(self.ask(client, request));
            let now = self.step();
            self.flow.handle_eof(&mut self.hand, client, now);
            self.backend_ends();
        }
        answered
    }
}
