//! What a bug in a handler costs, and what becomes of those who come while a worker is busy; in
//! `steady`, what a request costs where nothing happens but requests.

mod steady;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fairlead_model::limits::ACCEPTS_PER_TURN;
use fairlead_model::plan::Plan;
use serde_json::{json, Value};

use crate::Engine;

/// Plays a bug in a handler, or one that takes its time, if the bytes ask for it.
pub(super) fn do_as_asked(bytes: &[u8]) {
    assert!(!bytes.starts_with(b"panic, please"), "asked for by a test");
    if let Some(port) = bytes.strip_prefix(b"wait for ") {
        let port: u16 = std::str::from_utf8(port).expect("text").parse().expect("a port");
        // Who comes a second time (a backend sends it back) finds no gate any more.
        if let Ok(mut gate) = TcpStream::connect(("127.0.0.1", port)) {
            let _ = gate.read(&mut [0]);
        }
    }
}

/// A place in a handler where a worker stands still until it is let go.
struct Gate(TcpListener);

impl Gate {
    fn new() -> Self {
        Gate(TcpListener::bind("127.0.0.1:0").expect("bind"))
    }

    /// Asks the worker of this client to stop there; it needn't have got so far.
    fn close(&self, client: &mut TcpStream) {
        let port = self.0.local_addr().expect("address").port();
        client.write_all(format!("wait for {port}").as_bytes()).expect("write");
    }

    /// Waits until the worker stands there; it goes on when what is returned is dropped.
    fn holds(self) -> TcpStream {
        self.0.accept().expect("the worker comes").0
    }
}

fn plan(backend: SocketAddr) -> Plan {
    plan_of(&["web"], backend)
}

fn plan_of(listeners: &[&str], backend: SocketAddr) -> Plan {
    let (address, long) = (backend.to_string(), 60_000);
    let listener = |name: &&str| {
        json!({
            "name": name, "bind": [{"tcp": "127.0.0.1:0"}], "protocol": "tcp", "pool": 0,
            "routes": [], "trusted_proxies": [],
            "timeouts": {"head": long, "body": long, "idle": long, "tunnel": long},
            "limits": {
                "head": 65_536, "headers": 128, "body": null, "connections": 1_000,
                "trailers": 32, "trailer_bytes": 8_192, "chunk_line": 256, "chunk_excess": 16_384,
            },
        })
    };
    let pool = json!({
        "name": "app", "policy": "round-robin", "hash_on": "source_ip", "source": null,
        "backends": [{
            "address": address, "endpoints": [{"tcp": address}], "weight": 1, "group": 0,
            "max_connections": null, "state": "enabled",
        }],
        "check": {
            "kind": "none", "interval": long, "fast_interval": long, "timeout": long,
            "rise": 2, "fall": 3,
        },
        "timeouts": {"connect": 1000, "response": long, "idle": long, "keepalive": long},
        "retry": {"attempts": 3, "same_backend": 1, "delay": 0, "hedge": true, "budget": 200, "hold": 0},
        "outlier": {"max_ejected": 5_000, "latency": true}, "slow_start": 0,
    });
    let listeners: Vec<_> = listeners.iter().map(listener).collect();
    let plan = json!({"listeners": listeners, "pools": [pool], "shutdown_timeout": 1000});
    serde_json::from_value(plan).expect("a plan")
}

fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut other = stream.try_clone().expect("clone");
                let _ = std::io::copy(&mut &stream, &mut other);
            });
        }
    });
    address
}

fn client(engine: &Engine) -> TcpStream {
    client_of(engine, 0)
}

fn client_of(engine: &Engine, listener: usize) -> TcpStream {
    let stream = TcpStream::connect(&engine.addresses()[listener].1).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    stream
}

fn is_served(client: &mut TcpStream) -> bool {
    let mut answer = [0; 2];
    client.write_all(b"hi").is_ok() && client.read_exact(&mut answer).is_ok() && answer == *b"hi"
}

fn status(engine: &Engine) -> Value {
    serde_json::from_slice(&engine.status()).expect("JSON")
}

#[test]
fn a_panic_costs_one_connection() {
    let engine = Engine::new(1).expect("engine");
    engine.apply(plan(echo())).expect("apply");
    engine.start_accepting();
    let (mut one, mut other) = (client(&engine), client(&engine));
    assert!(is_served(&mut one) && is_served(&mut other));
    one.write_all(b"panic, please").expect("write");
    assert!(matches!(one.read(&mut [0]), Ok(0) | Err(_)));
    assert!(is_served(&mut other));
    assert!(is_served(&mut client(&engine)));
    let events = engine.take_events();
    let events: Vec<Value> =
        events.iter().map(|event| serde_json::from_slice(event).expect("JSON")).collect();
    let panic = events.iter().find(|event| event["event"] == "panic").expect("it is told");
    let what = panic["what"].as_str().expect("text");
    assert!(what.starts_with("asked for by a test (") && what.contains("tests.rs:"), "{what}");
    // Nothing is left of it: neither a client nor something in flight.
    let left = |status: &Value| {
        let active = &status["pools"][0]["backends"][0]["active"];
        (status["listeners"][0]["connections_active"].as_u64(), active.as_u64())
    };
    drop(other);
    let gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        left(&status(&engine)) == (Some(0), Some(0))
    });
    assert!(gone, "{:?}", left(&status(&engine)));
    assert!(engine.stop(Duration::from_secs(5)));
}

#[test]
fn who_waits_in_the_queue_of_a_listener_that_leaves_is_served() {
    let backend = echo();
    let engine = Engine::new(1).expect("engine");
    engine.apply(plan(backend)).expect("apply");
    engine.start_accepting();
    let (address, gate) = (engine.addresses()[0].1.clone(), Gate::new());
    gate.close(&mut client(&engine));
    let held = gate.holds();
    // More than are accepted in one turn: when the worker hears of the new plan some are left.
    let waiting: Vec<_> = (0..ACCEPTS_PER_TURN + 16).map(|_| client(&engine)).collect();
    engine.apply(plan_of(&[], backend)).expect("apply");
    drop(held);
    for mut client in waiting {
        assert!(is_served(&mut client));
    }
    assert!(TcpStream::connect(address).is_err(), "it has left");
    assert!(engine.stop(Duration::from_secs(5)));
}

#[test]
fn a_burst_is_accepted_in_batches_and_no_listener_waits_for_the_end_of_anothers() {
    // Nobody serves them: who has been accepted is counted.
    let backend = TcpListener::bind("127.0.0.1:0").expect("bind");
    let engine = Engine::new(1).expect("engine");
    let plan = plan_of(&["one", "other"], backend.local_addr().expect("address"));
    engine.apply(plan).expect("apply");
    engine.start_accepting();
    let total = |listener: usize| {
        let status = status(&engine);
        status["listeners"][listener]["connections_total"].as_u64().expect("a count")
    };
    let (first, second) = (Gate::new(), Gate::new());
    let (mut busy, mut open) = (client(&engine), client(&engine));
    assert!((0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        total(0) == 2
    }));
    first.close(&mut busy);
    let held = first.holds();
    let more = ACCEPTS_PER_TURN + 16;
    let burst: Vec<_> = (0..2 * more).map(|nth| client_of(&engine, nth / more)).collect();
    // Ready after them, and so served after them in the one turn that follows.
    second.close(&mut open);
    drop(held);
    let held = second.holds();
    let batch = ACCEPTS_PER_TURN as u64;
    assert_eq!(
        (total(0), total(1)),
        (2 + batch, batch),
        "then those that are open have their turn"
    );
    drop(held);
    assert!((0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        (total(0), total(1)) == (2 + more as u64, more as u64)
    }));
    // Those of whom their backend has not heard stay, until it resets them.
    drop((busy, open, burst, backend));
    assert!(engine.stop(Duration::from_secs(5)));
}
