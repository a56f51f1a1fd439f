//! A model beside the flow: who asked for what, and who must have got it.
//!
//! Whatever happens in whatever order, each byte that a client gets is of an answer to its own
//! requests, in their order; each connection to a backend carries one client's request at a time,
//! whole, and says whose it is where the pool wants that; what may not be sent twice is begun once;
//! and when everybody has gone, nobody is counted any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::Registry;
use fairlead_flow::{ConnId, Flow, IoFailure, ListenerId, Peer, Snapshot};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{Network as Trusted, Plan, ProxyVersion};
use fairlead_proto::proxy::{read, write_v2, Origin, Preface};

use crate::network::Network;
use crate::setup::{http, pool, tcp};

/// How much of a world one run may build: more shows nothing new, and takes longer.
const CLIENTS: usize = 24;
const STEPS: usize = 400;

/// Where proxies come from whose headers are believed.
const PROXY: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

/// A client, and what it has to say.
#[derive(Debug)]
struct Client {
    id: ConnId,
    /// It speaks tcp: its own byte, again and again.
    plain: bool,
    number: u8,
    /// What of its bytes has not been told.
    unsaid: Vec<u8>,
    requests: u32,
    /// How much of what it got was looked at, and answers seen in it.
    read: usize,
    answers: u32,
    gone: bool,
}

/// A connection to a backend, as the backend sees it.
#[derive(Debug)]
struct Line {
    id: ConnId,
    /// How much of what came was looked at.
    read: usize,
    /// Whose connection it is, if a header or the first byte has said so.
    owner: Option<u8>,
    introduced: bool,
    /// What of its answer has not been told.
    unsaid: Vec<u8>,
    gone: bool,
}

/// Everything.
pub(crate) struct World {
    flow: Flow,
    network: Network,
    now: Moment,
    registry: Registry,
    snapshot: Arc<Snapshot>,
    clients: Vec<Client>,
    lines: Vec<Line>,
    /// Requests that may not be sent twice, and where each was seen.
    posts: Vec<((u8, u32), ConnId)>,
    proxied: bool,
}

/// The configuration: an http listener, one of http behind a proxy, one of tcp.
fn plan(proxied: bool) -> Plan {
    let mut whole = http().hedged().plan;
    let trusted = Trusted { address: PROXY.into(), prefix: 32 };
    let mut behind = whole.listeners[0].clone();
    behind.name = "behind".into();
    behind.trusted_proxies = vec![trusted];
    behind.proxy_protocol = true;
    let mut stream = tcp().plan.listeners.remove(0);
    stream.name = "stream".into();
    stream.pool = Some(1);
    whole.listeners.extend([behind, stream]);
    whole.pools.push(pool("stream", 2..4));
    for pool in &mut whole.pools {
        pool.proxy_protocol = proxied.then_some(ProxyVersion::V2);
    }
    whole
}

/// Plays what `input` says, and checks after each step.
pub(crate) fn play(input: &[u8]) {
    let mut world = World::new();
    for step in input.chunks_exact(3).take(STEPS) {
        world.step(step[0] % 16, step[1], step[2]);
        world.look();
    }
    world.end();
}

impl World {
    fn new() -> Self {
        let mut registry = Registry::new();
        let snapshot = build(plan(false), &mut registry, None);
        let mut flow = Flow::new(0, 1, 1);
        let mut network = Network::default();
        let now = Moment(1_000_000_000);
        flow.publish(&mut network, &snapshot, now);
        World {
            flow,
            network,
            now,
            registry,
            snapshot,
            clients: Vec::new(),
            lines: Vec::new(),
            posts: Vec::new(),
            proxied: false,
        }
    }

    /// One happening. What can't happen to this one now doesn't.
    fn step(&mut self, what: u8, who: u8, how: u8) {
        match what {
            0 | 1 => self.accept(how % 3),
            2..=4 => self.client_speaks(who, how),
            5 | 6 => self.connect_ends(who, how),
            7..=9 => self.backend_speaks(who, how),
            10 => self.backend_leaves(who, how),
            11 => self.client_leaves(who, how),
            12 => self.time_passes(how),
            13 => self.stuff(who, how),
            14 => {
                self.network.refuses = how & 1 == 1;
                self.flow.set_memory_full(how % 8 == 7);
            }
            _ => self.reload(how),
        }
    }

    fn accept(&mut self, listener: u8) {
        if self.clients.len() >= CLIENTS {
            return;
        }
        let number = self.clients.len() as u8 + 1;
        let id = self.network.add(false);
        let source = if listener == 1 { PROXY } else { Ipv4Addr::new(192, 0, 2, number) };
        let address = SocketAddr::from((source, 4000 + u16::from(number)));
        let peer = Peer { address: Some(address), local: Some(([10, 0, 0, 1], 80).into()) };
        let mut unsaid = Vec::new();
        if listener == 1 {
            let source = SocketAddr::from(([192, 0, 2, number], 4000 + u16::from(number)));
            let destination = SocketAddr::from(([10, 0, 0, 1], 80));
            write_v2(&mut unsaid, &Origin::Client { source, destination });
        }
        let plain = listener == 2;
        self.clients.push(Client {
            id,
            plain,
            number,
            unsaid,
            requests: 0,
            read: 0,
            answers: 0,
            gone: false,
        });
        let listener = ListenerId(u32::from(listener));
        self.flow.handle_accepted(&mut self.network, id, listener, peer, self.now);
    }

    fn client_speaks(&mut self, who: u8, how: u8) {
        let Some(client) = pick(&mut self.clients, who) else { return };
        let Some(conn) = self.network.open(client.id).filter(|conn| !conn.paused) else { return };
        let _ = conn;
        if client.gone {
            return;
        }
        if client.unsaid.len() < 3 {
            if client.plain {
                client.unsaid.extend([client.number; 40]);
            } else {
                client.requests += 1;
                client.unsaid.extend(request(client.number, client.requests, how));
            }
        }
        let most = [1, 7, 60, usize::MAX][usize::from(how >> 6)].min(client.unsaid.len());
        let said: Vec<u8> = client.unsaid.drain(..most).collect();
        let id = client.id;
        self.flow.handle_data(&mut self.network, id, &said, self.now);
    }

    fn connect_ends(&mut self, who: u8, how: u8) {
        for id in std::mem::take(&mut self.network.begun) {
            self.lines.push(Line {
                id,
                read: 0,
                owner: None,
                introduced: false,
                unsaid: Vec::new(),
                gone: false,
            });
        }
        let network = &mut self.network;
        let mut waiting: Vec<_> = self
            .lines
            .iter_mut()
            .filter(|line| network.open(line.id).is_some_and(|conn| conn.connecting))
            .collect();
        let Some(line) = pick(&mut waiting, who) else { return };
        let id = line.id;
        if how % 4 == 0 {
            line.gone = true;
            self.network.end(id);
            let failure = [IoFailure::Refused, IoFailure::TimedOut, IoFailure::Exhausted]
                [usize::from(how >> 4) % 3];
            return self.flow.handle_connect_failed(&mut self.network, id, failure, self.now);
        }
        if let Some(conn) = self.network.open(id) {
            conn.connecting = false;
        }
        self.flow.handle_connected(&mut self.network, id, self.now);
    }

    fn backend_speaks(&mut self, who: u8, how: u8) {
        let network = &mut self.network;
        let mut ready: Vec<_> = self
            .lines
            .iter_mut()
            .filter(|line| !line.unsaid.is_empty() && !line.gone)
            .filter(|line| network.open(line.id).is_some_and(|conn| !conn.paused))
            .collect();
        let Some(line) = pick(&mut ready, who) else { return };
        let most = [1, 20, 90, usize::MAX][usize::from(how & 3)].min(line.unsaid.len());
        let said: Vec<u8> = line.unsaid.drain(..most).collect();
        let id = line.id;
        self.flow.handle_data(&mut self.network, id, &said, self.now);
    }

    fn backend_leaves(&mut self, who: u8, how: u8) {
        let network = &mut self.network;
        let mut there: Vec<_> = self
            .lines
            .iter_mut()
            .filter(|line| !line.gone)
            .filter(|line| network.open(line.id).is_some_and(|conn| !conn.connecting))
            .collect();
        let Some(line) = pick(&mut there, who) else { return };
        let id = line.id;
        let paused = self.network.open(id).is_some_and(|conn| conn.paused);
        match how % 3 {
            0 if !paused => {
                line.gone = true;
                self.flow.handle_eof(&mut self.network, id, self.now);
            }
            1 if paused => self.flow.handle_hangup(&mut self.network, id, self.now),
            _ => {
                line.gone = true;
                self.network.end(id);
                self.flow.handle_failed(&mut self.network, id, IoFailure::Reset, self.now);
            }
        }
    }

    fn client_leaves(&mut self, who: u8, how: u8) {
        let Some(client) = pick(&mut self.clients, who).filter(|client| !client.gone) else {
            return;
        };
        let id = client.id;
        let Some(conn) = self.network.open(id) else { return };
        client.gone = true;
        if how % 3 == 0 && !conn.paused {
            return self.flow.handle_eof(&mut self.network, id, self.now);
        }
        self.network.end(id);
        self.flow.handle_failed(&mut self.network, id, IoFailure::Reset, self.now);
    }

    fn time_passes(&mut self, how: u8) {
        let millis = [1, 30, 200, 1_100, 4_000, 12_000, 70_000, 700_000][usize::from(how % 8)];
        self.now = self.now + Duration::from_millis(millis);
        if self.flow.deadline().is_some_and(|at| at <= self.now) {
            self.flow.handle_timers(&mut self.network, self.now);
        }
    }

    /// A socket takes nothing for a while, or takes all that waits.
    fn stuff(&mut self, who: u8, how: u8) {
        let ids: Vec<_> = self
            .clients
            .iter()
            .map(|client| client.id)
            .chain(self.lines.iter().map(|line| line.id))
            .collect();
        let Some(id) = ids.get(usize::from(who) % ids.len().max(1)).copied() else { return };
        let Some(conn) = self.network.open(id).filter(|conn| !conn.connecting) else { return };
        conn.stuffed = how & 1 == 1;
        if !conn.stuffed && std::mem::take(&mut conn.queued) > 0 {
            self.flow.handle_writable(&mut self.network, id, self.now);
        }
    }

    fn reload(&mut self, how: u8) {
        self.proxied = how & 1 == 1;
        let before = Arc::clone(&self.snapshot);
        self.snapshot = build(plan(self.proxied), &mut self.registry, Some(&before));
        self.flow.publish(&mut self.network, &self.snapshot, self.now);
    }

    // What must be so.

    fn look(&mut self) {
        while self.flow.take_event().is_some() {}
        for at in 0..self.lines.len() {
            self.look_at_line(at);
        }
        for client in &mut self.clients {
            let Some(sent) = self.network.sent(client.id) else { continue };
            if client.plain {
                let strange = sent.iter().find(|byte| **byte != client.number);
                assert_eq!(strange, None, "client {} got another's byte", client.number);
            } else {
                look_at_answers(client, sent);
            }
        }
        // The places of those that have ended are taken by others from now on.
        let clients = self.clients.iter().map(|client| client.id);
        for id in clients.chain(self.lines.iter().map(|line| line.id)) {
            self.network.free(id);
        }
    }

    fn look_at_line(&mut self, at: usize) {
        let line = &mut self.lines[at];
        let Some(sent) = self.network.sent(line.id).filter(|sent| sent.len() > line.read) else {
            return;
        };
        let mut rest = &sent[line.read..];
        if line.read == 0 && !line.introduced {
            line.introduced = true;
            match read(rest) {
                Preface::Whole { length, origin: Origin::Client { source, .. } } => {
                    line.owner = Some((source.port() - 4000) as u8);
                    line.read = length;
                    rest = &rest[length..];
                }
                Preface::Whole { .. } => panic!("a client's connection is said to be our own"),
                _ => {}
            }
        }
        if rest.is_empty() {
            return;
        }
        if rest[0] <= CLIENTS as u8 && line.owner.is_none_or(|owner| owner == rest[0]) {
            // tcp: one client's bytes and nobody else's. The backend answers in kind.
            let owner = *line.owner.get_or_insert(rest[0]);
            assert!(rest.iter().all(|byte| *byte == owner), "two clients on one connection");
            line.read = sent.len();
            line.unsaid = vec![owner; 30];
            return;
        }
        let text = String::from_utf8_lossy(rest);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { return };
        let (number, nth) = tag(head.split(' ').nth(1).expect("a target"));
        let said = header(head, "x-mine: ").expect("whose request it is");
        assert_eq!(said, format!("{number}"), "a head of two clients");
        if let Some(owner) = line.owner {
            assert_eq!(owner, number, "another client's header stands before the request");
        }
        let length: usize =
            header(head, "content-length: ").map_or(0, |text| text.parse().expect("a length"));
        if head.starts_with("POST") {
            let before = self.posts.iter().find(|(post, _)| *post == (number, nth));
            assert!(before.is_none_or(|(_, id)| *id == line.id), "a POST was sent twice");
            self.posts.push(((number, nth), line.id));
        }
        let whole = head.len() + 4 + length;
        if rest.len() < whole {
            return;
        }
        let body = &rest[head.len() + 4..whole];
        assert!(body.iter().all(|byte| *byte == number), "a body of two clients");
        assert_eq!(rest.len(), whole, "two requests before an answer");
        line.read += whole;
        line.unsaid = answer(number, nth, head.starts_with("HEAD"));
    }

    /// Everybody leaves, and what was taken has been given back.
    fn end(&mut self) {
        for at in 0..self.clients.len() {
            let id = self.clients[at].id;
            if self.network.open(id).is_some() {
                self.network.end(id);
                self.flow.handle_failed(&mut self.network, id, IoFailure::Reset, self.now);
            }
        }
        self.look();
        self.flow.abandon(&mut self.network, self.now);
        assert_eq!(self.flow.open_clients(), 0);
        assert_eq!(self.network.all_open(), 0, "connections are left open");
        for listener in self.snapshot.listeners() {
            assert_eq!(listener.stats().connections_active, 0, "places are not given back");
        }
        for pool in self.snapshot.pools() {
            for backend in pool.backends() {
                assert_eq!(backend.active(), 0, "work in flight is not given back");
            }
        }
    }
}

fn build(plan: Plan, registry: &mut Registry, before: Option<&Snapshot>) -> Arc<Snapshot> {
    let ids = (0..plan.listeners.len() as u32).map(ListenerId).collect();
    Snapshot::build(plan, ids, registry, 1, before).expect("a plan that can be used")
}

fn pick<T>(all: &mut [T], who: u8) -> Option<&mut T> {
    let count = all.len().max(1);
    all.get_mut(usize::from(who) % count)
}

/// The nth request of a client.
fn request(number: u8, nth: u32, how: u8) -> Vec<u8> {
    let method = ["GET", "GET", "POST", "PUT", "HEAD"][usize::from(how % 5)];
    let length = if matches!(method, "POST" | "PUT") { usize::from(how) * 3 } else { 0 };
    let framing = if length > 0 || method == "POST" {
        format!("Content-Length: {length}\r\n")
    } else {
        String::new()
    };
    let head = format!(
        "{method} /{number}/{nth} HTTP/1.1\r\nHost: h\r\nX-Mine: {number}\r\n{framing}\r\n"
    );
    [head.as_bytes(), &vec![number; length]].concat()
}

/// The answer to it.
fn answer(number: u8, nth: u32, to_head: bool) -> Vec<u8> {
    let body = vec![number; if to_head { 0 } else { 50 }];
    let head = format!(
        "HTTP/1.1 {} OK\r\nX-Tag: /{number}/{nth}\r\nContent-Length: 50\r\n\r\n",
        if nth % 7 == 6 { 503 } else { 200 }
    );
    [head.as_bytes(), &body].concat()
}

fn tag(target: &str) -> (u8, u32) {
    let (number, nth) = target[1..].split_once('/').expect("a tag");
    (number.parse().expect("a client"), nth.parse().expect("a request"))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find(|line| line.to_ascii_lowercase().starts_with(name))
        .map(|line| &line[name.len()..])
}

/// Answers that a client has got: its own, each to a later request than the one before.
fn look_at_answers(client: &mut Client, sent: &[u8]) {
    loop {
        let rest = &sent[client.read..];
        let text = String::from_utf8_lossy(rest);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { return };
        let start = head.len() + 4;
        if head.starts_with("HTTP/1.1 1") {
            client.read += start;
            continue;
        }
        if header(head, "x-fairlead-reason: ").is_some() {
            // Our own: one for each request, or the last word.
            client.answers += 1;
            let length: usize =
                header(head, "content-length: ").map_or(0, |text| text.parse().expect("a length"));
            client.read += (start + length).min(rest.len());
            continue;
        }
        let (number, nth) = tag(header(head, "x-tag: ").expect("a backend's answer"));
        assert_eq!(number, client.number, "another client's answer");
        assert!(nth > client.answers && nth <= client.requests, "an answer to no request");
        let shown = &rest[start..rest.len().min(start + 50)];
        let until = shown.iter().position(|byte| *byte != number).unwrap_or(shown.len());
        // Of an answer to HEAD there is only the head; the next answer may follow at once.
        assert!(until == shown.len() || shown[until..].starts_with(b"H"), "another's body");
        if until < 50 && until == shown.len() {
            return;
        }
        client.answers = nth;
        client.read += start + until;
    }
}
