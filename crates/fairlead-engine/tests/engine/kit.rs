//! Plans, clients and backends for the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_engine::{Engine, Io};
use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::plan::{
    BackendPlan, Bind, CheckKind, CheckPlan, HashOn, HashTable, ListenerLimits, ListenerPlan,
    ListenerTimeouts, Millis, OutlierPlan, Plan, Policy, PoolPlan, PoolTimeouts, Protocol,
    RetryPlan,
};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn local(port: u16) -> Bind {
    Bind::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

pub(crate) fn listener(name: &str, protocol: Protocol, bind: Bind) -> ListenerPlan {
    ListenerPlan {
        name: name.to_owned(),
        bind: vec![bind],
        protocol,
        pool: Some(0),
        routes: Vec::new(),
        timeouts: ListenerTimeouts {
            head: Millis(10_000),
            body: Millis(30_000),
            idle: Millis(60_000),
            tunnel: Millis(3_600_000),
        },
        limits: ListenerLimits {
            head: 65_536,
            headers: 128,
            body: None,
            connections: 10_000,
            target: None,
            pipelined: 65_536,
            connections_per_client: None,
            requests: None,
            min_rate: None,
            trailers: 32,
            trailer_bytes: 8 * 1024,
            chunk_line: 256,
            chunk_excess: 16 * 1024,
        },
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        keepalive: None,
        via: None,
    }
}

pub(crate) fn pool(backends: &[SocketAddr]) -> PoolPlan {
    let backend = |address: &SocketAddr| BackendPlan {
        address: address.to_string(),
        endpoints: vec![Endpoint::Tcp(*address)],
        weight: 1,
        group: 0,
        max_connections: None,
        state: Wish::Enabled,
    };
    PoolPlan {
        name: "app".to_owned(),
        policy: Policy::RoundRobin,
        python: None,
        hash_on: HashOn::SourceIp,
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
        backends: backends.iter().map(backend).collect(),
        check: CheckPlan {
            kind: CheckKind::None,
            interval: Millis(2_000),
            fast_interval: Millis(200),
            timeout: Millis(1_000),
            rise: 2,
            fall: 3,
        },
        timeouts: PoolTimeouts {
            connect: Millis(1_000),
            response: Millis(30_000),
            idle: Millis(30_000),
            keepalive: Millis(60_000),
        },
        retry: RetryPlan {
            attempts: 3,
            same_backend: 1,
            delay: Millis(0),
            // Requests are counted, and a busy machine is late enough for one more.
            hedge: false,
            budget: 200,
            hold: Millis(0),
        },
        outlier: OutlierPlan { max_ejected: 5_000, latency: true },
        slow_start: Millis(0),
        source: None,
        keepalive: None,
        proxy_protocol: None,
    }
}

pub(crate) fn plan(listeners: Vec<ListenerPlan>, backends: &[SocketAddr]) -> Plan {
    Plan {
        listeners,
        pools: vec![pool(backends)],
        shutdown_timeout: Millis(10_000),
        ..Plan::default()
    }
}

/// One that does nothing yet. These tests are built twice, for each way of calling the kernel.
pub(crate) fn engine(workers: usize) -> Engine {
    let engine = Engine::new(workers).expect("engine");
    if env!("CARGO_CRATE_NAME").ends_with("on_ring") {
        // Where the kernel forbids it, these are the same tests twice.
        return engine.with_io(Io::Auto, Some(0));
    }
    engine
}

/// An engine with one listener in front of `backends`, accepting.
pub(crate) fn start(workers: usize, protocol: Protocol, backends: &[SocketAddr]) -> Engine {
    let engine = engine(workers);
    let plan = plan(vec![listener("web", protocol, local(0))], backends);
    engine.apply(plan).expect("apply");
    engine.start_accepting();
    engine
}

/// The address of the engine's first listener.
pub(crate) fn address(engine: &Engine) -> SocketAddr {
    engine.addresses()[0].1.parse().expect("an IP address")
}

pub(crate) fn port(engine: &Engine) -> u16 {
    address(engine).port()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream
}

pub(crate) fn status(engine: &Engine) -> serde_json::Value {
    serde_json::from_slice(&engine.status()).expect("JSON")
}

/// Waits until `done` answers true.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Events of this kind, waited for until there is one.
pub(crate) fn event(engine: &Engine, kind: &str) -> serde_json::Value {
    let mut found = None;
    until(kind, || {
        let events = engine.take_events();
        let events = events.iter().map(|event| serde_json::from_slice(event).expect("JSON"));
        found = events.into_iter().find(|event: &serde_json::Value| event["event"] == kind);
        found.is_some()
    });
    found.expect("found")
}

/// A backend: a thread per connection that runs `serve`.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Backend { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Sends back what comes, and FIN after FIN.
pub(crate) fn echo() -> Backend {
    Backend::new(|mut stream| {
        let mut other = stream.try_clone().expect("clone");
        let _ = std::io::copy(&mut stream, &mut other);
        let _ = other.shutdown(Shutdown::Write);
    })
}

/// Answers every request on a kept connection with `text`.
pub(crate) fn web(text: &'static str) -> Backend {
    Backend::new(move |stream| {
        let mut reader = BufReader::new(stream);
        while let Some(head) = read_head(&mut reader) {
            let length = header(&head, "content-length").and_then(|value| value.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let slow = head.starts_with("GET /slow");
            std::thread::sleep(Duration::from_millis(if slow { 1_000 } else { 0 }));
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A head up to and with its empty line; `None` at the end.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
}

/// A client that keeps its connection.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client(BufReader::new(connect(address)))
    }

    pub(crate) fn send(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("send");
    }

    /// Status line and headers, and the body.
    pub(crate) fn receive(&mut self) -> Option<(String, String)> {
        let head = read_head(&mut self.0)?;
        let length = header(&head, "content-length")?.parse().expect("a number");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((head, String::from_utf8(body).expect("text")))
    }

    pub(crate) fn ask(&mut self, path: &str) -> (String, String) {
        self.send(path);
        self.receive().expect("an answer")
    }
}
