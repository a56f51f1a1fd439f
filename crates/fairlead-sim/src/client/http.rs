//! A client that speaks HTTP, over one connection at a time.

use std::collections::VecDeque;
use std::time::Duration;

use fairlead_flow::ListenerId;
use fairlead_model::moment::Moment;

use super::{Job, Leave, BREATH};
use crate::network::{Network, Owner, Place, SocketId, Wake};
use crate::report::{Notes, Outcome, Request};
use crate::wire::{Body, Framing, Head, Pattern};

/// How often a request is made again that stood behind one that broke.
const TRIES: u32 = 5;

/// What a client can want to do later. A wish is one of these and the id of a request.
const START: u64 = 0;
const PIECE: u64 = 1;
const READ: u64 = 2;
const LEAVE: u64 = 3;
const CONTINUE: u64 = 4;
const KINDS: u64 = 8;

/// A request under way.
#[derive(Debug)]
struct Out {
    job: Job,
    id: u64,
    began: Moment,
    /// What of its body was not sent yet.
    rest: Vec<u8>,
    /// Its body waits for `100 Continue`.
    waits: bool,
    own_time: Duration,
    nth: u32,
    /// How long the connection had been idle before it.
    idle: Duration,
}

/// An answer that is being read.
#[derive(Debug)]
struct Reading {
    head: Head,
    body: Body,
    /// Number and length, if a backend made it.
    answer: Option<(u64, u64)>,
}

/// A connection.
#[derive(Debug)]
struct Line {
    socket: SocketId,
    open: bool,
    input: Vec<u8>,
    outs: VecDeque<Out>,
    reading: Option<Reading>,
    /// Requests sent on it.
    carried: u32,
    /// Nothing more is sent on it.
    last: bool,
    idle_since: Moment,
    read_due: bool,
}

/// The client.
#[derive(Debug)]
pub(crate) struct HttpClient {
    index: usize,
    listener: ListenerId,
    jobs: VecDeque<Job>,
    /// Requests under way at once.
    depth: usize,
    /// It reads so many bytes at a time, with a pause between.
    pace: Option<(usize, Duration)>,
    /// From this idle time on the listener may close a connection.
    patience: Duration,
    line: Option<Line>,
    start_due: bool,
}

impl HttpClient {
    pub(crate) fn new(
        index: usize,
        listener: ListenerId,
        jobs: Vec<Job>,
        depth: usize,
        pace: Option<(usize, Duration)>,
        patience: Duration,
    ) -> Self {
        HttpClient {
            index,
            listener,
            jobs: jobs.into(),
            depth,
            pace,
            patience,
            line: None,
            start_due: true,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.jobs.is_empty() && self.line.is_none()
    }

    pub(super) fn give_up(&mut self) {
        self.jobs.clear();
        self.line = None;
    }

    pub(super) fn state(&self) -> String {
        let ids = self.line.iter().flat_map(|line| line.outs.iter().map(|out| out.id));
        let waits: Vec<_> = ids.collect();
        format!(
            "{} requests left, waits for {waits:?} over {:?}",
            self.jobs.len(),
            self.line.as_ref().map(|line| line.socket)
        )
    }

    fn want(&self, network: &mut Network, after: Duration, kind: u64, id: u64) {
        network.wake(network.now() + after, Wake::Client(self.index, id * KINDS + kind));
    }

    fn start_after(&mut self, network: &mut Network, pause: Duration) {
        if !std::mem::replace(&mut self.start_due, true) {
            self.want(network, pause, START, 0);
        }
    }

    pub(super) fn wake(&mut self, network: &mut Network, notes: &mut Notes, wish: u64) {
        let (kind, id) = (wish % KINDS, wish / KINDS);
        match kind {
            START => {
                self.start_due = false;
                self.advance(network, notes);
            }
            PIECE => self.send_piece(network, notes, id),
            CONTINUE => self.go_on_with_body(network, notes, Some(id)),
            LEAVE => self.leave(network, notes, id),
            _ => {
                if let Some(line) = &mut self.line {
                    line.read_due = false;
                    let socket = line.socket;
                    self.read(network, notes, socket);
                }
            }
        }
    }

    pub(super) fn connected(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        match &mut self.line {
            Some(line) if line.socket == socket => {
                line.open = true;
                line.idle_since = network.now();
                self.advance(network, notes);
            }
            _ => network.abort(socket),
        }
    }

    // Sending.

    /// Does what can be done now: connects, sends, or says good-bye.
    fn advance(&mut self, network: &mut Network, notes: &mut Notes) {
        let Some(line) = &mut self.line else {
            if !self.jobs.is_empty() {
                let socket =
                    network.connect(Owner::Client(self.index), Place::Listener(self.listener));
                self.line = Some(Line::new(socket, network.now()));
            }
            return;
        };
        if !line.open {
            return;
        }
        let busy = line.outs.iter().any(|out| !out.rest.is_empty());
        if line.last || busy || line.outs.len() >= self.depth {
            return;
        }
        let Some(job) = self.jobs.front_mut() else {
            if line.outs.is_empty() {
                let socket = line.socket;
                self.line = None;
                network.close(socket);
            }
            return;
        };
        let pause = std::mem::take(&mut job.pause);
        if line.outs.is_empty() && !pause.is_zero() {
            return self.start_after(network, pause);
        }
        if let Some(job) = self.jobs.pop_front() {
            self.send(network, notes, job);
            self.advance(network, notes);
        }
    }

    fn send(&mut self, network: &mut Network, notes: &mut Notes, job: Job) {
        let Some(line) = &mut self.line else { return };
        let (id, now) = (notes.id(), network.now());
        let mut bytes = job.head(id);
        let mut rest = job.body_bytes(id);
        let waits = job.expects && !rest.is_empty();
        if !waits && job.pace.is_none() {
            bytes.append(&mut rest);
        }
        line.last |= job.closes || job.finishes;
        line.carried += 1;
        let idle = if line.outs.is_empty() { now.since(line.idle_since) } else { Duration::ZERO };
        let (leaves, paced) = (job.leaves, job.pace.is_some() && !waits && !rest.is_empty());
        let finishes = job.finishes && rest.is_empty();
        let nth = line.carried - 1;
        let own_time = Duration::ZERO;
        let socket = line.socket;
        line.outs.push_back(Out { job, id, began: now, rest, waits, own_time, nth, idle });
        network.send(socket, &bytes);
        if finishes {
            network.finish(socket);
        }
        if let Some((after, _)) = leaves {
            self.want(network, after, LEAVE, id);
        }
        if waits {
            self.want(network, Duration::from_secs(1), CONTINUE, id);
        } else if paced {
            self.want(network, Duration::from_micros(100), PIECE, id);
        }
    }

    /// Sends the body that waited for `100 Continue`.
    fn go_on_with_body(&mut self, network: &mut Network, notes: &mut Notes, id: Option<u64>) {
        let Some(line) = &mut self.line else { return };
        let of = |out: &&mut Out| out.waits && id.is_none_or(|id| out.id == id);
        let Some(out) = line.outs.iter_mut().find(of) else { return };
        out.waits = false;
        if id.is_some() {
            out.own_time += Duration::from_secs(1);
        }
        let id = out.id;
        self.send_piece(network, notes, id);
    }

    fn send_piece(&mut self, network: &mut Network, notes: &mut Notes, id: u64) {
        let Some(line) = &mut self.line else { return };
        let Some(out) = line.outs.iter_mut().find(|out| out.id == id) else { return };
        if out.rest.is_empty() {
            return;
        }
        let (size, pause) = out.job.pace.unwrap_or((usize::MAX, Duration::ZERO));
        let rest = out.rest.split_off(size.min(out.rest.len()));
        let piece = std::mem::replace(&mut out.rest, rest);
        network.send(line.socket, &piece);
        if !out.rest.is_empty() {
            out.own_time += pause;
            return self.want(network, pause, PIECE, id);
        }
        if out.job.finishes {
            network.finish(line.socket);
        }
        self.advance(network, notes);
    }

    /// Leaves before the answer has come.
    fn leave(&mut self, network: &mut Network, notes: &mut Notes, id: u64) {
        let Some(line) = &self.line else { return };
        let Some(out) = line.outs.iter().find(|out| out.id == id) else { return };
        let (how, socket) = (out.job.leaves.map(|(_, how)| how), line.socket);
        match how {
            Some(Leave::Close) => network.close(socket),
            Some(Leave::Vanish) => network.vanish(socket),
            Some(Leave::Reset) | None => network.abort(socket),
        }
        let Some(line) = self.line.take() else { return };
        for out in line.outs {
            note(notes, network.now(), &out, Outcome::Left);
        }
        self.start_after(network, BREATH);
    }

    // Reading.

    pub(super) fn look(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        let Some(line) = self.line.as_mut().filter(|line| line.socket == socket) else { return };
        match self.pace {
            Some((_, pause)) if !network.socket(socket).inbox.is_empty() => {
                if !std::mem::replace(&mut line.read_due, true) {
                    for out in &mut line.outs {
                        out.own_time += pause;
                    }
                    self.want(network, pause, READ, 0);
                }
            }
            _ => self.read(network, notes, socket),
        }
    }

    fn read(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        let most = self.pace.map_or(usize::MAX, |(most, _)| most);
        let bytes = network.read(socket, most);
        if let Some(line) = self.line.as_mut() {
            line.input.extend_from_slice(&bytes);
        }
        self.parse(network, notes);
        let Some(line) = self.line.as_ref().filter(|line| line.socket == socket) else { return };
        let _ = line;
        let it = network.socket(socket);
        if !it.inbox.is_empty() {
            self.look(network, notes, socket);
        } else if it.failure.is_some() || it.fin_came {
            let by_reset = it.failure.is_some();
            self.ended(network, notes, by_reset);
        }
    }

    /// Reads as many answers as have come.
    fn parse(&mut self, network: &mut Network, notes: &mut Notes) {
        while let Some(line) = &mut self.line {
            let Some(reading) = &mut line.reading else {
                match Head::read(&line.input) {
                    Ok(None) => return,
                    Ok(Some(head)) => {
                        line.input.drain(..head.length);
                        self.parse_head(network, notes, head);
                        continue;
                    }
                    Err(problem) => return self.fail(network, notes, &problem),
                }
            };
            let taken = match reading.answer {
                Some((number, _)) => reading.body.take(&line.input, Pattern::of(number)),
                None => Ok(skip(&mut reading.body, &line.input)),
            };
            match taken {
                Ok(count) => line.input.drain(..count),
                Err(problem) => return self.fail(network, notes, &problem),
            };
            if !reading.body.done {
                return;
            }
            self.answered(network, notes);
        }
    }

    fn parse_head(&mut self, network: &mut Network, notes: &mut Notes, head: Head) {
        let Some(line) = &mut self.line else { return };
        let Some(status) = head.status() else {
            return self.fail(network, notes, "an answer without a status");
        };
        if (100..200).contains(&status) {
            return match status {
                100 => self.go_on_with_body(network, notes, None),
                101 => self.fail(network, notes, "a switch that nobody asked for"),
                _ => {}
            };
        }
        let own = head.value("x-fairlead-reason").is_some();
        let Some(out) = line.outs.front() else {
            // fairlead may say why it closes; nobody else may say anything.
            if !own {
                return self.fail(network, notes, "an answer to nothing");
            }
            let socket = line.socket;
            network.close(socket);
            return self.gone(network);
        };
        if !own && head.id() != Some(out.id) {
            let problem = format!("the answer to {:?} instead of {}", head.id(), out.id);
            return self.fail(network, notes, &problem);
        }
        let framing = head.answer_framing(out.job.method);
        if out.job.old && framing == Framing::Chunked {
            return self.fail(network, notes, "chunks, in HTTP/1.0");
        }
        let answer = if own { None } else { head.answer() };
        if !own && answer.is_none() {
            return self.fail(network, notes, "an answer without its lines");
        }
        line.reading = Some(Reading { head, body: Body::new(framing), answer });
    }

    /// An answer came whole, or the connection's end says that it did.
    fn answered(&mut self, network: &mut Network, notes: &mut Notes) {
        let Some(line) = &mut self.line else { return };
        let (Some(reading), Some(out)) = (line.reading.take(), line.outs.pop_front()) else {
            return;
        };
        let status = reading.head.status().unwrap_or(0);
        let outcome = if let Some((number, length)) = reading.answer {
            let bodyless = reading.head.answer_framing(out.job.method) == Framing::Length(0);
            if reading.body.data != length && !bodyless {
                let (id, came) = (out.id, reading.body.data);
                notes.fault(format!("(d) request {id}: {came} bytes of {length} as if whole"));
            }
            Outcome::Answered { status, number }
        } else {
            let code = reading.head.value("x-fairlead-reason").unwrap_or_default();
            Outcome::Refused { status, code: code.to_owned() }
        };
        note(notes, network.now(), &out, outcome);
        line.idle_since = network.now();
        if let Some(next) = line.outs.front_mut() {
            next.began = network.now();
        }
        if reading.head.closes() || !out.rest.is_empty() {
            network.close(line.socket);
            return self.gone(network);
        }
        if line.last && line.outs.is_empty() {
            network.close(line.socket);
            return self.gone(network);
        }
        self.advance(network, notes);
    }

    /// The other side has ended the connection.
    fn ended(&mut self, network: &mut Network, notes: &mut Notes, by_reset: bool) {
        let Some(line) = &mut self.line else { return };
        network.close(line.socket);
        let whole =
            line.reading.as_ref().is_some_and(|reading| !by_reset && reading.body.ends_at_close());
        if whole {
            self.answered(network, notes);
            return self.gone(network);
        }
        let after_head = line.reading.is_some();
        let nothing = !after_head && line.input.is_empty();
        if let Some(mut out) = line.outs.pop_front() {
            let stale = nothing && out.nth > 0 && out.idle >= self.patience;
            let outcome =
                if stale { Outcome::Stale } else { Outcome::Broken { after_head, by_reset } };
            note(notes, network.now(), &out, outcome);
            if stale && out.job.tries < TRIES {
                out.job.tries += 1;
                line.outs.push_front(out);
            }
        }
        self.gone(network);
    }

    /// What fairlead sent is wrong in any case.
    fn fail(&mut self, network: &mut Network, notes: &mut Notes, problem: &str) {
        let Some(line) = self.line.take() else { return };
        let ids: Vec<_> = line.outs.iter().map(|out| out.id).collect();
        notes.fault(format!("client {} was sent {problem} (requests {ids:?})", self.index));
        network.abort(line.socket);
        self.start_after(network, BREATH);
    }

    /// The connection is over; what was behind the last answer is asked anew.
    fn gone(&mut self, network: &mut Network) {
        if let Some(line) = self.line.take() {
            for mut out in line.outs.into_iter().rev() {
                if out.job.tries < TRIES {
                    out.job.tries += 1;
                    self.jobs.push_front(out.job);
                }
            }
        }
        self.start_after(network, BREATH);
    }
}

impl Line {
    fn new(socket: SocketId, now: Moment) -> Self {
        Line {
            socket,
            open: false,
            input: Vec::new(),
            outs: VecDeque::new(),
            reading: None,
            carried: 0,
            last: false,
            idle_since: now,
            read_due: false,
        }
    }
}

/// Passes over a body that fairlead made itself.
fn skip(body: &mut Body, input: &[u8]) -> usize {
    let Framing::Length(length) = body.framing else {
        body.done = true;
        return 0;
    };
    let count = (input.len() as u64).min(length - body.data);
    body.data += count;
    body.done = body.data == length;
    count as usize
}

fn note(notes: &mut Notes, now: Moment, out: &Out, outcome: Outcome) {
    notes.report.requests.push(Request {
        id: out.id,
        method: out.job.method,
        pool: out.job.pool,
        body: out.job.body,
        wire: out.job.wire(),
        began: out.began,
        ended: now,
        own_time: out.own_time,
        nth: out.nth,
        idle: out.idle,
        outcome,
    });
}
