//! What a request takes of its worker in steady state: no memory, and no lock.
//!
//! A worker as it runs in an engine, with its poller and real sockets, takes its turns on the
//! test's thread, so that what this thread has asked for is what the worker has. Clients and
//! backends have threads of their own. All is on that is on by default: checks, hedging, a look out
//! for outliers, all counters, `Via`. Once each call is made by itself, once all are made in batches
//! (if the kernel has an `io_uring`; otherwise that is the same test twice).
//!
//! A machine that is busy makes an answer late, and then it is hedged, over a new connection. So
//! rounds of [`ROUND`] requests are asked for until one of them took nothing; if each request took
//! something, or one in a thousand did, there would be none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::Registry;
use fairlead_flow::Snapshot;
use fairlead_model::plan::Plan;
use serde_json::json;

use crate::board::Board;
use crate::clock::Clock;
use crate::events::Events;
use crate::log::AccessLog;
use crate::mailbox::{Command, Mailbox, Open};
use crate::policy::Desks;
use crate::publish::{open_all, Ids};
use crate::sys::allocations;
use crate::sys::poll::Poller;
use crate::sys::ring::Ring;
use crate::worker::{Common, Way, Worker};

/// Requests until all is made that is made once: kept connections, learned times.
const WARM: usize = 1_000;
/// Requests of one round.
const ROUND: usize = 2_000;
/// For so long rounds are asked for.
const ROUNDS: Duration = Duration::from_secs(20);
/// How long a round may take before the test fails; it takes less than a second.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clients that ask at once.
const CLIENTS: usize = 4;

const GET: &[u8] = b"GET /api/items/1234?page=2 HTTP/1.1\r\nHost: app.example.com\r\n\
User-Agent: curl/8.5.0 (x86_64)\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"ok\": true}\r\n";
const ANSWER_ENDS: &[u8] = b"{\"ok\": true}\r\n";

#[test]
fn a_kept_request_asks_for_no_memory_and_takes_no_lock() {
    let backends = [backend(ANSWER), backend(ANSWER)];
    hold_steady("http", backends, (GET, ANSWER_ENDS));
}

#[test]
fn a_message_on_a_kept_tcp_connection_asks_for_no_memory_and_takes_no_lock() {
    let backends = [backend(GET), backend(GET)];
    hold_steady("tcp", backends, (GET, b"\r\n\r\n"));
}

/// What a worker's thread has taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    memory: u64,
    locks: u64,
}

impl Taken {
    fn now() -> Taken {
        #[cfg(debug_assertions)]
        let locks = fairlead_balance::lock::taken();
        // They aren't counted in release builds: there this test shows the half of it.
        #[cfg(not(debug_assertions))]
        let locks = 0;
        Taken { memory: allocations::asked(), locks }
    }

    fn since(self, before: Taken) -> Taken {
        Taken { memory: self.memory - before.memory, locks: self.locks - before.locks }
    }
}

fn hold_steady(protocol: &str, backends: [SocketAddr; 2], talk: (&'static [u8], &'static [u8])) {
    for batching in [None, Ring::new().ok().map(|ring| (ring, 0))] {
        hold_steady_with(batching, plan(protocol, backends), talk);
    }
}

fn hold_steady_with(
    batching: Option<(Ring, usize)>,
    plan: Plan,
    talk: (&'static [u8], &'static [u8]),
) {
    let (mut worker, address, _registry) = worker(plan, batching);
    let answered = Arc::new(AtomicUsize::new(0));
    for _ in 0..CLIENTS {
        client(address, talk, &answered);
    }
    let before = Taken::now();
    serve(&mut worker, &answered, WARM);
    // Connections come, and are made: if that is for nothing, nothing is counted at all.
    let first = Taken::now().since(before);
    assert!(first.memory > 0 && (first.locks > 0) == cfg!(debug_assertions), "{first:?}");
    let (start, mut seen) = (Instant::now(), Vec::new());
    while start.elapsed() < ROUNDS {
        let before = Taken::now();
        serve(&mut worker, &answered, ROUND);
        let round = Taken::now().since(before);
        if round == (Taken { memory: 0, locks: 0 }) {
            return;
        }
        seen.push((round.memory, round.locks));
    }
    panic!("memory and locks taken in rounds of {ROUND}: {seen:?}");
}

/// Turns until so many more are answered. There is always one under way, so no turn waits for ever.
fn serve(worker: &mut Worker, answered: &AtomicUsize, count: usize) {
    let (start, end) = (Instant::now(), answered.load(Ordering::Acquire) + count);
    while answered.load(Ordering::Acquire) < end {
        assert!(start.elapsed() < PATIENCE, "{count} more answers were waited for in vain");
        worker.turn();
    }
}

/// A worker as its thread has it, with this plan in force.
fn worker(plan: Plan, batching: Option<(Ring, usize)>) -> (Worker, SocketAddr, Registry) {
    let events = Arc::new(Events::new().expect("events"));
    let clock = Clock::new();
    let mailbox = Arc::new(Mailbox::new().expect("mailbox"));
    let common = Common {
        clock,
        board: Arc::new(Board::new(1)),
        log: Arc::new(AccessLog::new(Arc::clone(&events))),
        desks: Arc::new(Desks::new(clock, Arc::clone(&events))),
        memory: Arc::default(),
        events,
        boxes: [Arc::clone(&mailbox)].into(),
    };
    let poller = Poller::new().expect("poller");
    poller.add_wake(&*mailbox).expect("wake");
    let mut worker = Worker::new(0, 1, Way { poller, batching }, common);
    let ids = Ids::default().of(&plan.listeners);
    let bound = open_all(&plan.listeners, &ids, &[], &[]).expect("open");
    let listeners = plan.listeners.iter().map(|listener| ids.get(&listener.name)).collect();
    let mut registry = Registry::new();
    let snapshot = Snapshot::build(plan, listeners, &mut registry, 1, None).expect("a plan");
    let address = bound[0].open.socket.address().to_string().parse().expect("an address");
    let open: Arc<[Open]> = bound.iter().map(|bound| bound.open.clone()).collect();
    mailbox.put(Command::Publish(snapshot, open));
    mailbox.put(Command::Accept);
    worker.turn();
    (worker, address, registry)
}

/// Two backends with all defaults; their checks come once, and then not while a test runs.
fn plan(protocol: &str, backends: [SocketAddr; 2]) -> Plan {
    let long = 600_000;
    let listener = json!({
        "name": "web", "bind": [{"tcp": "127.0.0.1:0"}], "protocol": protocol, "pool": 0,
        "routes": [], "trusted_proxies": [], "via": "fairlead",
        "timeouts": {"head": 10_000, "body": 30_000, "idle": 60_000, "tunnel": 3_600_000},
        "limits": {
            "head": 65_536, "headers": 128, "body": null, "connections": 10_000,
            "trailers": 32, "trailer_bytes": 8_192, "chunk_line": 256, "chunk_excess": 16_384,
        },
    });
    let backend = |address: SocketAddr| {
        let address = address.to_string();
        json!({
            "address": address, "endpoints": [{"tcp": address}], "weight": 1, "group": 0,
            "max_connections": null, "state": "enabled",
        })
    };
    let pool = json!({
        "name": "app", "policy": "round-robin", "hash_on": "source_ip", "source": null,
        "backends": backends.map(backend),
        "check": {
            "kind": "tcp", "interval": long, "fast_interval": 500, "timeout": 1_000,
            "rise": 2, "fall": 3,
        },
        "timeouts": {"connect": 1_000, "response": 30_000, "idle": 60_000, "keepalive": 60_000},
        "retry": {
            "attempts": 3, "same_backend": 1, "delay": 0, "hedge": true, "budget": 200, "hold": 0,
        },
        "outlier": {"max_ejected": 5_000, "latency": true}, "slow_start": 0,
    });
    let plan = json!({"listeners": [listener], "pools": [pool], "shutdown_timeout": 1_000});
    serde_json::from_value(plan).expect("a plan")
}

/// Asks one after the other on one connection, until that is closed.
fn client(address: SocketAddr, talk: (&'static [u8], &'static [u8]), answered: &Arc<AtomicUsize>) {
    let (request, ends) = talk;
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    let answered = Arc::clone(answered);
    std::thread::spawn(move || {
        while stream.write_all(request).is_ok() && reads_until(&mut stream, ends) {
            answered.fetch_add(1, Ordering::Release);
        }
    });
}

/// A backend that says the same to all that ends in an empty line.
fn backend(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                stream.set_nodelay(true).expect("no delay");
                while reads_until(&mut stream, b"\r\n\r\n") && stream.write_all(answer).is_ok() {}
            });
        }
    });
    address
}

/// Whether this comes before the end of the stream.
fn reads_until(stream: &mut TcpStream, ends: &[u8]) -> bool {
    let (mut buffer, mut have) = ([0; 4_096], 0);
    loop {
        match stream.read(&mut buffer[have..]) {
            Ok(0) | Err(_) => return false,
            Ok(count) => have += count,
        }
        if buffer[..have].ends_with(ends) {
            return true;
        }
    }
}
