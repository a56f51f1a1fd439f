//! What a bug in a handler costs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fairlead_model::plan::Plan;
use serde_json::{json, Value};

use crate::Engine;

/// Plays a bug in a handler, if the bytes ask for one.
pub(super) fn panic_if_asked(bytes: &[u8]) {
    assert!(!bytes.starts_with(b"panic, please"), "asked for by a test");
}

fn plan(backend: SocketAddr) -> Plan {
    let (address, long) = (backend.to_string(), 60_000);
    let listener = json!({
        "name": "web", "bind": [{"tcp": "127.0.0.1:0"}], "protocol": "tcp", "pool": 0,
        "routes": [], "trusted_proxies": [],
        "timeouts": {"head": long, "body": long, "idle": long, "tunnel": long},
        "limits": {
            "head": 65_536, "headers": 128, "body": null, "connections": 100,
            "trailers": 32, "trailer_bytes": 8_192, "chunk_line": 256, "chunk_excess": 16_384,
        },
    });
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
    let plan = json!({"listeners": [listener], "pools": [pool], "shutdown_timeout": 1000});
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
    let stream = TcpStream::connect(&engine.addresses()[0].1).expect("connect");
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
