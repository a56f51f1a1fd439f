//! What a run was like: both sides' half of each request's story, what the flow told, what was
//! counted.
//!
//! Nothing is judged here (see `claims`), except by those who take part: what can't be right in
//! any run is noted as a fault when it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::backend::StreamEnd;
use crate::network::SocketId;
use crate::wire;

/// What a backend did about a request. In order; each is noted at most once per delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Its head came.
    Began,
    /// All of it came.
    Executed,
    /// An interim answer was given: from then on there is no way back, for what was passed on
    /// can't be taken back.
    Hinted,
    /// An answer with this number was begun.
    Answering(u64),
    /// All of that was handed to the network.
    Answered(u64),
}

/// One delivery of a request to a backend.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which backend.
    pub host: usize,
    /// On which connection.
    pub(crate) socket: SocketId,
    /// What it did, in order.
    pub services: Vec<(Moment, Service)>,
}

impl Delivery {
    /// Whether an answer was at least begun.
    pub fn was_answering(&self) -> bool {
        self.services.iter().any(|(_, service)| matches!(service, Service::Answering(_)))
    }

    /// Whether at least an interim answer was given.
    pub fn was_hinting(&self) -> bool {
        self.services.iter().any(|(_, service)| *service == Service::Hinted)
    }
}

/// How a request ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A backend's answer came whole.
    Answered {
        /// Its status.
        status: u16,
        /// Its number.
        number: u64,
    },
    /// fairlead answered itself.
    Refused {
        /// The status.
        status: u16,
        /// The code in `X-Fairlead-Reason`.
        code: String,
    },
    /// The connection ended before the answer was whole.
    Broken {
        /// The answer's head had come.
        after_head: bool,
        /// It ended by a reset.
        by_reset: bool,
    },
    /// The client itself left.
    Left,
    /// The connection had been kept and was closed as the request was on its way: nothing wrong
    /// with that if it was idle for long.
    Stale,
}

/// A request as its client saw it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its id.
    pub id: u64,
    /// Its method.
    pub method: &'static str,
    /// The pool that it was for.
    pub pool: usize,
    /// Bytes of its body.
    pub body: usize,
    /// Bytes of its body as it goes over the wire.
    pub wire: usize,
    /// When its first byte was sent.
    pub began: Moment,
    /// When it was over.
    pub ended: Moment,
    /// How long the client itself took, at least: in sending, in reading.
    pub own_time: Duration,
    /// How many requests its connection had carried before.
    pub nth: u32,
    /// How long its connection had been idle before.
    pub idle: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// A tcp connection as its client saw it.
#[derive(Debug, Clone)]
pub struct StreamStory {
    /// Its id.
    pub id: u64,
    /// When it connected.
    pub began: Moment,
    /// When it was over.
    pub ended: Moment,
    /// Bytes that the client sent.
    pub sent: u64,
    /// Bytes that it was going to send.
    pub wanted: u64,
    /// Bytes that came back.
    pub came_back: u64,
    /// The client left before the end.
    pub left: bool,
    /// It left by closing, so that its FIN came early.
    pub closed: bool,
    /// How it ended for the client.
    pub end: StreamEnd,
}

/// A tcp connection as a backend saw it.
#[derive(Debug, Clone, Copy)]
pub struct StreamAtBackend {
    /// Which backend.
    pub host: usize,
    /// Bytes that came.
    pub taken: u64,
    /// How it ended there.
    pub end: StreamEnd,
}

/// What became of the late requests of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hedges {
    /// The pool's name.
    pub pool: String,
    /// Second requests that did not answer first.
    pub vain: u64,
    /// Requests that were answered.
    pub requests: u64,
}

/// Everything that was noted in a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests, in the order in which they ended.
    pub requests: Vec<Request>,
    /// Deliveries by request.
    pub deliveries: BTreeMap<u64, Vec<Delivery>>,
    /// For each request whose head the flow handed to connections of backends: to whose. For each
    /// stream a byte of which it did.
    pub sends: BTreeMap<u64, Vec<usize>>,
    /// When which request went out that had been out before.
    pub sent_again: Vec<(Moment, u64)>,
    /// Tcp connections.
    pub streams: Vec<StreamStory>,
    /// The same at backends.
    pub streams_at_backends: BTreeMap<u64, StreamAtBackend>,
    /// What the flow told, with the worker that told it.
    pub events: Vec<(Moment, usize, Event)>,
    /// Health of each backend as the clients had done all that they wanted: pool, address, health.
    pub healths: Vec<(String, String, Health)>,
    /// For each pool, at the end.
    pub hedges: Vec<Hedges>,
    /// What can't be right in any run.
    pub faults: Vec<String>,
    /// Most bytes queued for one connection.
    pub queued_most: usize,
    /// How often a connect failed for lack of descriptors.
    pub exhausted: usize,
    /// When a stop was asked for.
    pub stopped: Option<Moment>,
    /// Everything was cut off when the time for the stop was over.
    pub abandoned: bool,
    /// When the run was over.
    pub ended: Moment,
    /// Happenings in all.
    pub steps: u64,
    /// What all calls of the flow, with times and bytes, come to.
    pub digest: u64,
}

/// What is noted while a run is under way.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) report: Report,
    pub(crate) digest: Digest,
    /// Thousandths of connects that fail for lack of descriptors.
    pub(crate) exhaustion: usize,
    /// It is a world of tcp.
    streams: bool,
    /// The connections to tcp backends on which a byte has gone.
    begun: BTreeSet<SocketId>,
    next_id: u64,
}

impl Notes {
    pub(crate) fn new(exhaustion: usize, streams: bool) -> Self {
        Notes {
            report: Report::default(),
            digest: Digest::new(),
            exhaustion,
            streams,
            begun: BTreeSet::new(),
            next_id: 1,
        }
    }

    /// An id for the next request.
    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Notes what can't be right. A few are enough to know.
    pub(crate) fn fault(&mut self, what: String) {
        if self.report.faults.len() < 20 {
            self.report.faults.push(what);
        }
    }

    /// Notes that the flow hands `bytes` to a connection of a backend.
    pub(crate) fn sends(&mut self, host: usize, socket: SocketId, bytes: &[u8], now: Moment) {
        if let Some(id) = self.begins(socket, bytes) {
            let to = self.report.sends.entry(id).or_default();
            to.push(host);
            if to.len() > 1 {
                self.report.sent_again.push((now, id));
            }
        }
    }

    /// The id of the request or stream that begins with `bytes`, if one does.
    fn begins(&mut self, socket: SocketId, bytes: &[u8]) -> Option<u64> {
        if !self.streams {
            return wire::request_of(bytes).map(|(_, id)| id);
        }
        // A stream begins with its id, the low byte first, and a world has at most 44. So one byte
        // tells whose it is; eight may never come where the backend closes at once.
        let first = bytes.first().filter(|_| self.begun.insert(socket))?;
        Some(u64::from(*first))
    }

    pub(crate) fn queued(&mut self, bytes: usize) {
        self.report.queued_most = self.report.queued_most.max(bytes);
    }

    /// Whether this connect (drawn: 0 to 999) fails for lack of descriptors.
    pub(crate) fn exhausts(&mut self, drawn: usize) -> bool {
        let fails = drawn < self.exhaustion;
        self.report.exhausted += usize::from(fails);
        fails
    }

    /// Notes what a backend did about a request.
    pub(crate) fn serve(
        &mut self,
        id: u64,
        host: usize,
        socket: SocketId,
        when: Moment,
        service: Service,
    ) {
        let all = self.report.deliveries.entry(id).or_default();
        let known = all.iter_mut().find(|delivery| delivery.socket == socket);
        match known {
            Some(_) if service == Service::Began => {
                self.fault(format!("request {id} came twice on one connection of {host}"));
            }
            Some(delivery) => delivery.services.push((when, service)),
            None => all.push(Delivery { host, socket, services: vec![(when, service)] }),
        }
    }

    /// Notes how a stream ended at a backend.
    pub(crate) fn stream_at_backend(&mut self, id: u64, host: usize, taken: u64, end: StreamEnd) {
        let story = StreamAtBackend { host, taken, end };
        if self.report.streams_at_backends.insert(id, story).is_some() {
            self.fault(format!("stream {id} came to two backends"));
        }
    }
}

/// A number that two runs share only if they were the same: FNV-1a over all that happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    fn new() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.0 = (self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Eight bytes at a time: bodies are long.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(&[bytes.len() as u64]);
        for eight in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.add(&[u64::from_le_bytes(word)]);
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_a_stream_is_enough_to_have_been_sent() {
        let (mut notes, id) = (Notes::new(0, true), 14_u64.to_le_bytes());
        notes.sends(2, SocketId(60), &[], Moment(1));
        assert!(notes.report.sends.is_empty());
        notes.sends(2, SocketId(60), &id[..3], Moment(2));
        notes.sends(2, SocketId(60), &id[3..], Moment(3));
        assert_eq!(notes.report.sends[&14], [2]);
        notes.sends(1, SocketId(61), &id[..1], Moment(4));
        assert_eq!(notes.report.sends[&14], [2, 1]);
    }
}
