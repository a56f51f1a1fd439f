//! One client connection of an HTTP listener: which bytes are a head, a body, the next request.
//!
//! Rules of this file
//! 1. One exchange at a time; what comes behind it waits in `input` and is answered in order.
//!    When much waits, reading stops.
//! 2. An idle connection owns no buffer.
//! 3. A FIN is not an abort: the client may be waiting for its answer. A reset is.
//! 4. The next request is not begun while the last answer waits for a slow client: what we owe
//!    one client is bounded by what one answer may queue.
//! 5. After an error in framing nothing more is read as a request: answer, close.

use std::rc::Rc;
use std::time::Duration;

use fairlead_model::limits::{
    DRAIN_BYTES, DRAIN_MS, EMPTY_LINES, PLACES_PER_TURNED_AWAY, TURNED_AWAY, TURNED_AWAY_LEAST,
};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{request, Limits, Parsed, Progress, RequestHead};

use crate::context::Role;
use crate::driver::{ConnId, Driver, Peer};
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Next, Phase, LONG};
use crate::http::pace::Pace;
use crate::link::Owner;
use crate::local::LocalListener;
use crate::places::Place;
use crate::slab::Key;
use crate::unread::Unread;
use crate::wheel::{Alarm, Filed};

// The page of limits tells the one, the reader of heads keeps to the other.
const _: () = assert!(EMPTY_LINES == request::EMPTY_LINES);

/// Whether a request's target is longer than it may be.
#[inline]
fn is_long(head: &RequestHead, bytes: &[u8], most: Option<u64>) -> bool {
    most.is_some_and(|most| head.target(bytes).len() as u64 > most)
}

/// How long kept connections may still bring a request after a stop was asked for.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);

/// What an HTTP client's connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Reads requests.
    Open,
    /// The last answer is on its way; what still comes is thrown away, up to so many bytes.
    Draining(usize),
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) conn: ConnId,
    pub(crate) peer: Peer,
    /// Somebody whose address nobody knows stands behind the one in `peer`: nothing it says about
    /// itself is believed.
    pub(crate) behind: bool,
    pub(crate) listener: Rc<LocalListener>,
    pub(crate) state: State,
    pub(crate) exchange: Option<Box<Exchange>>,
    /// A head that has not come whole, or requests that wait for their turn.
    pub(crate) input: Unread,
    /// How far the head in `input` was looked at.
    pub(crate) progress: Progress,
    /// Part of a head has come, and its time runs.
    pub(crate) in_head: bool,
    pub(crate) paused: bool,
    /// The client has finished sending.
    pub(crate) finished: bool,
    pub(crate) requests: u32,
    pub(crate) pace: Pace,
    /// Its place at its listener; one that is turned away has none.
    pub(crate) place: Option<Place>,
    pub(crate) deadline: Moment,
    pub(crate) filed: Filed,
}

impl Client {
    /// Whether so much waits that nothing more is read. A head that is still coming may be as large
    /// as its limit.
    fn holds_much(&self) -> bool {
        let limits = &self.listener.plan().limits;
        let head = if self.in_head { limits.head } else { 0 };
        self.input.len() as u64 > limits.pipelined.max(head)
    }
}

impl Flow {
    /// A client has connected to an HTTP listener, and has a place there.
    pub(crate) fn client_accepted(
        &mut self,
        conn: ConnId,
        listener: Rc<LocalListener>,
        (peer, place): (Peer, Place),
        now: Moment,
    ) {
        let key = self.client_enter(conn, listener, peer, now);
        if let Some(client) = self.clients.get_mut(key) {
            client.place = Some(place);
        }
    }

    fn client_enter(
        &mut self,
        conn: ConnId,
        listener: Rc<LocalListener>,
        peer: Peer,
        now: Moment,
    ) -> Key {
        let idle = listener.plan().timeouts.idle.duration();
        let key = self.clients.insert(Client {
            conn,
            peer,
            behind: false,
            listener,
            state: State::Open,
            exchange: None,
            input: Unread::default(),
            progress: Progress::default(),
            in_head: false,
            paused: false,
            finished: false,
            requests: 0,
            pace: Pace::NOTHING,
            place: None,
            deadline: Moment(u64::MAX),
            filed: Filed::NOTHING,
        });
        self.ctx.roles.set(conn, Role::Client(key));
        self.client_arm(key, now + idle);
        key
    }

    /// A client has connected for whom there is no place: it is told so, and let go. When many are
    /// being told, or descriptors are short, nobody waits until this one has read it.
    pub(crate) fn client_turned_away<D: Driver>(
        &mut self,
        d: &mut D,
        conn: ConnId,
        listener: Rc<LocalListener>,
        (peer, full): (Peer, Reason),
        now: Moment,
    ) {
        let places = (listener.state.limit_in_all() / PLACES_PER_TURNED_AWAY) as usize;
        let most = (places / self.workers).clamp(TURNED_AWAY_LEAST, TURNED_AWAY);
        let key = self.client_enter(conn, listener, peer, now);
        self.turned_away += 1;
        self.answer(d, key, full, "", now);
        if self.turned_away > most || self.ctx.shortage.lasts(now) {
            return self.client_close(d, key);
        }
        self.ctx.linger(conn);
    }

    /// Sets a client's deadline.
    #[inline]
    pub(crate) fn client_arm(&mut self, key: Key, deadline: Moment) {
        if let Some(client) = self.clients.get_mut(key) {
            client.deadline = deadline;
            self.ctx.timers.arm(Alarm::Client(key), deadline, &mut client.filed);
        }
    }

    /// Brings a client's deadline forward to `deadline`, if it is later.
    pub(crate) fn client_arm_no_later(&mut self, key: Key, deadline: Moment) {
        if self.clients.get(key).is_some_and(|client| deadline < client.deadline) {
            self.client_arm(key, deadline);
        }
    }

    /// Bytes of a client.
    pub(crate) fn client_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if let State::Draining(left) = client.state {
            client.state = State::Draining(left.saturating_sub(bytes.len()));
            // Held back, not closed: that would be a reset, and take the end of the answer with it.
            if bytes.len() > left && !client.paused {
                client.paused = true;
                d.pause(client.conn);
            }
            return;
        }
        let mut rest = bytes;
        if let Some(exchange) = &client.exchange {
            if !exchange.request_done {
                let used = self.body_data(d, key, bytes, now);
                rest = &bytes[used..];
            }
        } else if client.input.is_empty() {
            let used = self.client_requests(d, key, bytes, now);
            rest = &bytes[used..];
            if let Some(client) = self.clients.get_mut(key) {
                if !rest.is_empty() && client.state == State::Open {
                    client.input.push(rest);
                }
            }
            self.client_hold(d, key);
            return self.client_after_input(d, key, now);
        }
        if rest.is_empty() {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.state != State::Open {
            return;
        }
        client.input.push(rest);
        if client.exchange.is_none() {
            return self.client_proceed(d, key, now);
        }
        self.client_hold(d, key);
    }

    /// Stops reading while much waits.
    fn client_hold<D: Driver>(&mut self, d: &mut D, key: Key) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.holds_much() && !client.paused {
            client.paused = true;
            d.pause(client.conn);
        }
    }

    /// Reads on from what waits in `input`.
    pub(crate) fn client_proceed<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.exchange.is_some() || client.state != State::Open {
            return;
        }
        let mut waiting = std::mem::take(&mut client.input);
        let used = self.client_requests(d, key, waiting.bytes(), now);
        if let Some(client) = self.clients.get_mut(key) {
            if client.state == State::Open {
                waiting.advance(used);
                client.input = waiting;
            }
        }
        self.client_hold(d, key);
        self.client_after_input(d, key, now);
    }

    /// Reads requests from `bytes`, which are all that is unread, until one is under way or no
    /// whole head is left. Answers how many bytes are done with; the others are the caller's to
    /// keep.
    fn client_requests<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) -> usize {
        let mut used = 0;
        let mut head = self.request_head.take().unwrap_or_default();
        while used < bytes.len() {
            let Some(client) = self.clients.get_mut(key) else { break };
            if client.exchange.is_some() || client.state != State::Open || d.queued(client.conn) > 0
            {
                break;
            }
            let plan = client.listener.plan();
            let limits =
                Limits { head: plan.limits.head as usize, headers: plan.limits.headers as usize };
            match head.parse(&bytes[used..], &limits, &mut client.progress) {
                Parsed::Complete if is_long(&head, &bytes[used..], plan.limits.target) => {
                    self.log.note_refused(&bytes[used..]);
                    self.answer(d, key, Reason::TargetTooLong, "", now);
                    break;
                }
                Parsed::Complete => {
                    client.in_head = false;
                    client.requests = client.requests.saturating_add(1);
                    let (head_bytes, behind) = bytes[used..].split_at(head.len());
                    used +=
                        head.len() + self.exchange_begin(d, key, head_bytes, &head, behind, now);
                }
                Parsed::Partial => {
                    // The time for a head runs from its first byte; one in pieces gets no more. An
                    // empty line behind a body, as some clients send it, is none.
                    let begun = bytes[used..].iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
                    if begun && !client.in_head {
                        client.in_head = true;
                        let deadline = now + plan.timeouts.head.duration();
                        self.client_arm(key, deadline);
                    }
                    break;
                }
                Parsed::Refused(refusal) => {
                    self.log.note_refused(&bytes[used..]);
                    self.client_refuse(d, key, (refusal, head.method()), now);
                    break;
                }
            }
        }
        self.request_head = Some(head);
        used
    }

    fn client_after_input<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.state != State::Open {
            return;
        }
        let wants = client.exchange.as_ref().is_none_or(|exchange| exchange.wants_body());
        if client.paused && !client.holds_much() && wants {
            client.paused = false;
            d.resume(client.conn);
        }
        if !client.finished {
            return;
        }
        match &client.exchange {
            // Half a request behind whole ones: nobody can answer that. Closed, not reset: the
            // answers before it are still on their way.
            Some(exchange) if !exchange.request_done => {
                self.exchange_abandon(d, key, Reason::ClientGone, now);
                self.client_close(d, key);
            }
            Some(_) => {}
            // What it has not taken yet is sent, and what still waits for its turn (rule 4) is
            // answered, before the end.
            None if d.queued(client.conn) > 0 => {}
            None => self.client_close(d, key),
        }
    }

    /// The client has finished sending.
    pub(crate) fn client_eof<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.finished = true;
        match &client.exchange {
            // Half a request: nobody can answer that.
            Some(exchange) if !exchange.request_done && client.state == State::Open => {
                self.client_gone(d, key, now);
            }
            // As good as gone, most of them; and then nobody else will tell.
            Some(_) => self.left_in_the_middle(d, key, now),
            // All that was to be thrown away has come.
            None if client.state != State::Open => {
                if d.queued(client.conn) == 0 {
                    self.client_close(d, key);
                }
            }
            None => self.client_after_input(d, key, now),
        }
    }

    /// The client is gone, or as good as gone. What it was waiting for ends.
    pub(crate) fn client_gone<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        self.left_in_the_middle(d, key, now);
        self.exchange_abandon(d, key, Reason::ClientGone, now);
        if let Some(client) = self.client_forget(key) {
            d.abort(client.conn);
        }
    }

    /// What was queued for the client is gone: its backend is read again.
    pub(crate) fn client_writable<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.pace = Pace::NOTHING;
        if client.state != State::Open {
            // The last answer is with the kernel now.
            if client.finished {
                return self.client_close(d, key);
            }
            return self.client_arm(key, now + Duration::from_millis(DRAIN_MS));
        }
        let Some(exchange) = &mut client.exchange else {
            // The end of an answer: the idle time begins now. Who leaves has what it was given.
            if !client.in_head && !self.stopping && !client.listener.retired.get() {
                let idle = client.listener.plan().timeouts.idle.duration();
                self.client_arm(key, now + idle);
            }
            return self.ready.push(key);
        };
        if exchange.phase != Phase::Relaying {
            return; // that was an interim answer; whoever isn't read has another reason
        }
        let Some(link) = exchange.link.and_then(|link| self.ctx.links.get_mut(link)) else {
            return;
        };
        if link.paused {
            link.paused = false;
            exchange.moved_at = now;
            exchange.slow_client |= now.since(exchange.paused_at) >= LONG;
            let deadline = now + link.pool.idle;
            d.resume(link.conn);
            self.client_arm(key, deadline);
        }
    }

    /// Time is up for a client, in whatever it is doing.
    pub(crate) fn client_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if !client.filed.fired(now) {
            return;
        }
        if now < client.deadline {
            let deadline = client.deadline;
            return self.client_arm(key, deadline);
        }
        let phase = client.exchange.as_ref().map(|exchange| exchange.phase);
        let open = client.state == State::Open;
        if phase.is_none() && !client.in_head && d.queued(client.conn) > 0 {
            // It has yet to take the end of an answer.
            if self.takes_too_little(d, key, now) {
                self.client_close(d, key);
            }
            return;
        }
        if !open {
            return self.client_close(d, key);
        }
        match phase {
            Some(Phase::Seeking) => {
                let owner = Owner::Client(key);
                self.exchange_seek(d, key, now, |seek, ctx, d| seek.timer(ctx, d, owner, now));
            }
            Some(Phase::Sent) => self.sent_timer(d, key, now),
            Some(Phase::Relaying) => self.relaying_timer(d, key, now),
            None if !client.in_head => self.client_close(d, key),
            None => self.answer(d, key, Reason::RequestTimeout, "", now),
        }
    }

    /// Stops reading requests: sends FIN behind the last answer, and throws away what still comes
    /// for a while, in bounds of bytes (then the client is held back) and of time (then all ends).
    /// Closing at once with unread bytes would make the kernel send a reset, which can destroy the
    /// answer before the client has read it.
    ///
    /// Who has said that nothing more comes, and has kept to it so far, isn't waited for.
    pub(crate) fn client_drain<D: Driver>(&mut self, d: &mut D, key: Key, next: Next, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let conn = client.conn;
        // A client that is slow to take the end of its answer has as much time for it as for the
        // rest; the time for draining begins when it has.
        let owed = d.queued(conn) > 0;
        if client.finished && !owed {
            return self.client_close(d, key);
        }
        client.state = State::Draining(DRAIN_BYTES);
        let silent = client.input.is_empty() && !client.paused;
        client.input = Unread::default();
        client.in_head = false;
        if client.paused {
            client.paused = false;
            d.resume(conn);
        }
        d.finish(conn);
        if next == Next::Nothing && !owed && silent && !d.has_news(conn) {
            return self.client_close(d, key);
        }
        let until = if owed {
            client.pace.begin_taking(client.listener.plan().timeouts.idle.duration(), now)
        } else {
            now + Duration::from_millis(DRAIN_MS)
        };
        self.client_arm(key, until);
    }

    /// Closes a client's connection in order.
    pub(crate) fn client_close<D: Driver>(&mut self, d: &mut D, key: Key) {
        if let Some(client) = self.client_forget(key) {
            d.close(client.conn);
        }
    }

    /// Takes a client out of the books; its exchange must have ended.
    pub(crate) fn client_forget(&mut self, key: Key) -> Option<Client> {
        let client = self.clients.remove(key)?;
        match client.place {
            Some(place) => client.listener.state.leave(place),
            None => self.turned_away -= 1,
        }
        self.ctx.roles.clear(client.conn);
        Some(client)
    }
}
