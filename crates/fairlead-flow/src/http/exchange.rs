//! One request and its answer, whatever carried them.
//!
//! The whole vocabulary is: head, pieces of a body, trailers (inside the framing of the pieces),
//! end, reset. docs/design/001-exchange.md says why, and how HTTP/2 is to come under it.

use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{Count, Kind};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{BodyReader, Delivery, Method, Version};

use crate::driver::{ConnId, Driver, Sent};
use crate::http::blame::Blame;
use crate::idle::Reuse;
use crate::local::LocalPool;
use crate::seek::Seek;
use crate::slab::Key;

/// From here on whoever waits for a client may lose patience, and isn't ill for that.
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// What comes from a client behind a request that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Its next request, if it has one.
    Request,
    /// Its connection ends with the answer, and it may not know that yet.
    Unknown,
    /// Nothing: it has said so, and the connection ends with the answer.
    Nothing,
}

impl Next {
    /// Sends the end of the answer.
    #[inline]
    pub(crate) fn send<D: Driver>(self, d: &mut D, to: ConnId, one: &[u8], then: &[u8]) -> Sent {
        match self {
            Next::Request => d.send(to, one, then),
            Next::Unknown | Next::Nothing => d.send_last(to, one, then),
        }
    }
}

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has the request yet.
    Seeking,
    /// Sent, at least in part; nothing of the final answer has come.
    Sent,
    /// The answer's head has been passed on.
    Relaying,
}

/// What of the request has been kept, to be sent or sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All that has come so far.
    Whole,
    /// Too much came, or it must not be sent again anyway.
    Dropped,
}

/// What was noted of its being late, without a second backend beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It isn't, or nothing speaks against its backend.
    Nothing,
    /// Its backend is silent where others are not.
    Silence,
    /// And its check is asked about that.
    Asked,
    /// And no pause explains it: it has to prove itself.
    Overdue,
    /// Its answer stalled, and its client has left.
    Stalled,
}

/// Whether it was cut off a silent backend, which happens once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It wasn't.
    No,
    /// It was, after so long, and another has it now.
    Off(Duration),
    /// It was, and it is known whether that was any use.
    Settled,
}

/// What the request's head said, as far as it matters later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) method: Method,
    /// What the client speaks.
    pub(crate) version: Version,
    /// The client's connection can carry another request.
    pub(crate) keep_alive: bool,
    /// The client has said itself that it sends no further one.
    pub(crate) last: bool,
    /// It asked for a WebSocket.
    pub(crate) upgrade: bool,
    /// Its body comes in chunks.
    pub(crate) chunked: bool,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) seek: Seek,
    pub(crate) facts: Facts,
    pub(crate) phase: Phase,
    /// The request's head as it is sent to backends.
    pub(crate) head: Vec<u8>,
    /// The request's body as far as it is kept.
    pub(crate) body: Vec<u8>,
    pub(crate) kept: Kept,
    pub(crate) request: BodyReader,
    /// The whole request has come.
    pub(crate) request_done: bool,
    /// Whoever has the request.
    pub(crate) link: Option<Key>,
    /// Whoever else has it, because the first was late.
    pub(crate) second: Option<Key>,
    /// When the second was asked.
    pub(crate) second_at: Moment,
    /// The second is late, too: asking it was for nothing.
    pub(crate) vain: bool,
    /// The second goes out once more: its connection was dead.
    pub(crate) again: bool,
    /// The budget had no token for it, and that was counted.
    denied: bool,
    /// It was given longer already, because we were late ourselves.
    pub(crate) excused: bool,
    /// When a second is to be asked.
    pub(crate) late: Moment,
    pub(crate) noted: Noted,
    pub(crate) cut: Cut,
    /// When it is to be looked at whether the request is acknowledged.
    pub(crate) look: Moment,
    /// Whoever has the request has answered with an error, and the answer waits for a second
    /// opinion, until then at most.
    pub(crate) held: Option<Moment>,
    /// It went to a backend that has to prove itself, while others are well: its second try is on
    /// us.
    pub(crate) trial: bool,
    /// A second opinion was asked for; once is enough.
    pub(crate) doubted: bool,
    /// The connection to the backend takes no more: the client isn't read.
    pub(crate) held_back: bool,
    /// The client has let its answer wait for long: what became of the backend then is no evidence.
    pub(crate) slow_client: bool,
    /// When the connection to the backend was last paused, because the client is slower.
    pub(crate) paused_at: Moment,
    /// An interim answer other than 100 went to the client, so an answer has begun. (A 100 only
    /// says that the body may come, to whomever.)
    pub(crate) begun: bool,
    /// A byte of it went out, on any connection.
    pub(crate) sent_anything: bool,
    /// When the last byte of the request was sent.
    pub(crate) sent_at: Moment,
    pub(crate) response: BodyReader,
    /// When a piece of the answer's body last went on.
    pub(crate) moved_at: Moment,
    /// The answer speaks for its backend once it is whole.
    pub(crate) promising: bool,
    /// The connection to the backend can carry another request after this answer.
    pub(crate) link_keeps: bool,
    /// What happens to the answer's framing on its way.
    pub(crate) delivery: Delivery,
    pub(crate) status: u16,
    pub(crate) started: Moment,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// How much of that was sent before the answer's body.
    pub(crate) head_sent: u64,
    /// Attempts that failed, until it is known what others make of the request.
    pub(crate) blamed: Vec<Blame>,
    /// What went wrong last.
    pub(crate) reason: Reason,
}

impl Exchange {
    pub(crate) fn new(pool: Rc<LocalPool>, facts: Facts, now: Moment) -> Self {
        Exchange {
            seek: Seek::new(pool, None, Reuse::Any),
            facts,
            phase: Phase::Seeking,
            head: Vec::new(),
            body: Vec::new(),
            kept: Kept::Whole,
            request: BodyReader::default(),
            request_done: false,
            link: None,
            second: None,
            second_at: now,
            vain: false,
            again: false,
            denied: false,
            excused: false,
            late: Moment(u64::MAX),
            noted: Noted::Nothing,
            cut: Cut::No,
            look: Moment(u64::MAX),
            held: None,
            trial: false,
            doubted: false,
            held_back: false,
            slow_client: false,
            paused_at: now,
            begun: false,
            sent_anything: false,
            sent_at: now,
            response: BodyReader::default(),
            moved_at: now,
            promising: false,
            link_keeps: false,
            delivery: Delivery::AsIs,
            status: 0,
            started: now,
            received: 0,
            sent: 0,
            head_sent: 0,
            blamed: Vec::new(),
            reason: Reason::Ok,
        }
    }

    /// Makes a used exchange ready for another request; its buffers stay. (Field by field: in place of
    /// the old one, a new one that takes over the buffers costs 216 instructions more.)
    pub(crate) fn renew(&mut self, pool: Rc<LocalPool>, facts: Facts, now: Moment) {
        self.seek.renew(pool);
        self.facts = facts;
        self.phase = Phase::Seeking;
        self.head.clear();
        self.body.clear();
        self.kept = Kept::Whole;
        self.request = BodyReader::default();
        self.request_done = false;
        self.link = None;
        self.second = None;
        self.second_at = now;
        self.vain = false;
        self.again = false;
        self.denied = false;
        self.excused = false;
        self.late = Moment(u64::MAX);
        self.noted = Noted::Nothing;
        self.cut = Cut::No;
        self.look = Moment(u64::MAX);
        self.held = None;
        self.trial = false;
        self.doubted = false;
        self.held_back = false;
        self.slow_client = false;
        self.paused_at = now;
        self.begun = false;
        self.sent_anything = false;
        self.sent_at = now;
        self.response = BodyReader::default();
        self.moved_at = now;
        self.promising = false;
        self.link_keeps = false;
        self.delivery = Delivery::AsIs;
        self.status = 0;
        self.started = now;
        self.received = 0;
        self.sent = 0;
        self.head_sent = 0;
        self.blamed.clear();
        self.reason = Reason::Ok;
    }

    /// What comes from its client when it is answered.
    pub(crate) fn next(&self) -> Next {
        match (self.facts.keep_alive && self.request_done, self.facts.last) {
            (true, _) => Next::Request,
            (false, true) if self.request_done => Next::Nothing,
            (false, _) => Next::Unknown,
        }
    }

    /// What it is compared with.
    pub(crate) fn kind(&self) -> Kind {
        if self.facts.method.is_safe() {
            Kind::Safe
        } else {
            Kind::Other
        }
    }

    /// The pool's budget has no token for it. However often it is looked at, that is one request.
    pub(crate) fn note_denied(&mut self, worker: usize) {
        if !std::mem::replace(&mut self.denied, true) {
            self.seek.pool.count(worker, Count::HedgeDenied);
        }
    }

    /// Whether its backend has been waiting for long for the rest of the request.
    pub(crate) fn keeps_waiting(&self, now: Moment) -> bool {
        !self.request_done && !self.held_back && now.since(self.sent_at) >= LONG
    }

    /// Whether the client is to be read: not while there is nobody to take what it sends.
    pub(crate) fn wants_body(&self) -> bool {
        let full = self.body.len() >= fairlead_model::limits::REPLAY_BYTES;
        !(self.held_back || self.phase == Phase::Seeking && full)
    }
}

#[cfg(test)]
mod tests;
