//! One socket of a worker: what the kernel said about it, and what of that was told to the flow.
//!
//! Rules of this file
//! 1. The poller speaks once per change (it is edge-triggered), so each of its signs is kept
//!    until a system call has shown that it no longer holds.
//! 2. A read that does not fill the buffer has emptied the socket; no second one is made to hear
//!    `EAGAIN`. Once the other end has finished, though, reads go on until the end itself is
//!    seen, because no further sign will come.
//! 3. What arrived before a failure is told before the failure.
//!
//! Not here: calls that are made for many at once (`batched`), moving bytes without a look at them
//! (`moving`, `gather`), what the kernel is asked (`options`), which connection it is and when it
//! gets its turn (`drive`), opening (`connect`).

use std::os::fd::OwnedFd;

use fairlead_flow::driver::{IoFailure, Sent};
use rustix::io::Errno;
use rustix::net::{sockopt, Shutdown};

use crate::queue::Queue;
use crate::sys::poll::Signs;
use crate::sys::socket::{self, Delivery};

pub(crate) use gather::{Rested, REST};
pub(crate) use moving::{Drawn, Forward, Width};
pub(crate) use options::Owed;

mod batched;
mod gather;
mod moving;
mod options;

/// Where a connection stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The connect is under way; to this port, if it may be to itself (0: it can't).
    Connecting(u16),
    /// Connected at once; that is still to be told.
    Connected,
    /// In use.
    Open,
    /// The flow has closed it; what is queued is still being sent.
    Closing,
}

/// The end of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fin {
    NotYet,
    /// It is to follow what is queued.
    Wanted,
    Sent,
}

/// What is told about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The connect succeeded.
    Connected,
    /// The connect failed; the id is dead.
    ConnectFailed(IoFailure),
    /// That many bytes are in the buffer.
    Data(usize),
    /// The other end has finished.
    Eof,
    /// The connection broke; the id is dead.
    Failed(IoFailure),
    /// That many bytes have gone on to another connection, which took all or keeps some.
    Forwarded(usize, Sent),
    /// It broke while paused.
    Hangup,
    /// All that was queued is gone.
    Writable,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) queue: Queue,
    pub(crate) phase: Phase,
    failure: Option<IoFailure>,
    /// There may be something to read.
    readable: bool,
    /// There may be room to write.
    writable: bool,
    /// The other end sends no more: read until the end shows.
    ending: bool,
    hung: bool,
    error: bool,
    pub(crate) paused: bool,
    eof_told: bool,
    hangup_told: bool,
    fin: Fin,
    /// Something was sent since anything was heard: perhaps nobody is there any more.
    unheard: bool,
    /// What the kernel is still to be asked.
    owed: Owed,
    /// How much the kernel may take for it: more for one that goes fast.
    width: Width,
    /// It stands in the list of those that have something to do.
    pub(crate) listed: bool,
    /// What was received for it ahead of its turn is still to be told (`ahead`).
    pub(crate) ahead: bool,
    /// What was sent on it is still to be submitted, with others' (`batch`).
    pub(crate) batched: bool,
    /// Where its bytes go without being told.
    pub(crate) forward: Option<Box<Forward>>,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, phase: Phase) -> Self {
        Connection {
            socket,
            queue: Queue::default(),
            phase,
            failure: None,
            readable: false,
            writable: false,
            ending: false,
            hung: false,
            error: false,
            paused: false,
            eof_told: false,
            hangup_told: false,
            fin: Fin::NotYet,
            unheard: false,
            owed: Owed::default(),
            width: Width::Narrow,
            listed: false,
            ahead: false,
            batched: false,
            forward: None,
        }
    }

    /// Keeps what the poller said.
    #[inline]
    pub(crate) fn note(&mut self, signs: Signs) {
        self.readable |= signs.readable;
        self.writable |= signs.writable;
        self.ending |= signs.ending;
        self.hung |= signs.hung;
        self.error |= signs.error;
    }

    /// Whether there may be something to read that nobody has asked for yet.
    pub(crate) fn has_more(&self) -> bool {
        (self.readable || self.ahead) && !self.paused && !self.eof_told
    }

    /// Whether [`Connection::next`] may tell something without a new sign.
    pub(crate) fn has_news(&self) -> bool {
        self.has_more() || self.error || self.failure.is_some()
    }

    /// What is to be told next, if anything; `read` is asked if that may be bytes, or their end.
    /// [`Told::Failed`] and [`Told::ConnectFailed`] are the last words.
    #[inline]
    pub(crate) fn next(&mut self, read: impl FnOnce(&mut Self) -> Option<Told>) -> Option<Told> {
        match self.phase {
            Phase::Open => {}
            Phase::Connecting(port) => return self.connected(port),
            Phase::Connected => {
                self.phase = Phase::Open;
                return Some(Told::Connected);
            }
            Phase::Closing => return None,
        }
        if self.has_gone_on() {
            return Some(Told::Writable);
        }
        if self.paused {
            return self.hangup();
        }
        if self.has_more() {
            if let Some(told) = read(self) {
                return Some(told);
            }
        }
        self.broken().map(Told::Failed)
    }

    /// Sends `first` and `then`, or keeps what the socket doesn't take; true if all of it went.
    #[inline]
    pub(crate) fn send(&mut self, first: &[u8], then: &[u8]) -> bool {
        self.send_by(first, then, |socket| socket::send(socket, first, then))
    }

    /// The same, where `finish` follows: the last of it may wait for that.
    #[inline]
    pub(crate) fn send_last(&mut self, first: &[u8], then: &[u8]) -> bool {
        self.send_by(first, then, |socket| socket::send_last(socket, first, then))
    }

    #[inline]
    fn send_by(
        &mut self,
        first: &[u8],
        then: &[u8],
        send: impl FnOnce(&OwnedFd) -> Result<usize, Errno>,
    ) -> bool {
        if self.failure.is_some() {
            return true;
        }
        let total = first.len() + then.len();
        if total == 0 {
            return true;
        }
        if !self.queue.is_empty() || matches!(self.phase, Phase::Connecting(_)) {
            self.queue.push(first, then, 0);
            return false;
        }
        self.unheard = true;
        self.before_send();
        match send(&self.socket) {
            Ok(sent) if sent == total => true,
            Ok(sent) => {
                self.writable = false;
                self.queue.push(first, then, sent);
                false
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                self.writable = false;
                self.queue.push(first, then, 0);
                false
            }
            Err(error) => {
                self.fail(socket::failure(error));
                true
            }
        }
    }

    /// Sends FIN after what is queued.
    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::NotYet {
            self.fin = Fin::Wanted;
        }
        if self.queue.is_empty() && !matches!(self.phase, Phase::Connecting(_)) {
            self.end_if_wanted();
        }
    }

    /// Whether it is known to be broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether the poller has said that something arrived, the end included, which has not been
    /// read yet.
    #[inline]
    pub(crate) fn has_signs(&self) -> bool {
        let signs = self.readable || self.ending || self.error || self.hung;
        signs || self.ahead || self.failure.is_some()
    }

    /// Whether nothing at all has arrived, the end included.
    pub(crate) fn is_quiet(&self) -> bool {
        let silent = self.failure.is_none() && !self.error && !self.ending && !self.ahead;
        silent && socket::peek(&self.socket) == Err(Errno::AGAIN)
    }

    /// Begins a close in the background: what is queued, then FIN, then nothing.
    pub(crate) fn begin_closing(&mut self) {
        self.phase = Phase::Closing;
        self.paused = false;
        self.ahead = false;
        self.forward_to(None);
        self.finish();
    }

    /// Goes on with that; true when it is done. What comes in is thrown away: closing with unread
    /// bytes would reset the connection, and the reset can overtake what was sent.
    pub(crate) fn wind_up(&mut self, buffer: &mut [u8], reads: usize) -> bool {
        self.has_gone_on();
        for _ in 0..reads {
            if !self.has_more() || self.failure.is_some() {
                break;
            }
            match socket::receive(&self.socket, buffer) {
                Ok(0) => self.eof_told = true,
                Ok(count) => self.readable = count == buffer.len() || self.ending,
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => self.fail(socket::failure(error)),
            }
        }
        self.failure.is_some() || (self.eof_told && self.queue.is_empty())
    }

    /// Looks whether the other end still takes note of what is sent; if not for long enough, the
    /// connection has failed. True if so.
    pub(crate) fn is_found_dead(&mut self) -> bool {
        if self.phase == Phase::Open && self.owed.take_keepalive() {
            // Without it a dead end is noticed later, when something is sent.
            let _ = socket::look_after(&self.socket, None);
        }
        if self.width > Width::Narrow && !self.queue.is_empty() {
            self.set_width(Width::Narrow);
        }
        if !self.unheard || self.failure.is_some() || matches!(self.phase, Phase::Connecting(_)) {
            return false;
        }
        match socket::delivery(&self.socket) {
            Delivery::Acknowledged => self.unheard = false,
            Delivery::UnderWay => {}
            Delivery::Unanswered => self.fail(IoFailure::TimedOut),
        }
        self.failure.is_some()
    }

    /// Goes on with what is queued, if there may be room by now; true if the last of it has gone.
    #[inline]
    pub(crate) fn has_gone_on(&mut self) -> bool {
        self.writable && !self.queue.is_empty() && self.flush()
    }

    /// Sends what is queued; true if that was the last of it.
    fn flush(&mut self) -> bool {
        self.writable = false;
        self.unheard = true;
        self.before_send();
        if !self.flush_pipe() {
            return false;
        }
        if self.queue.is_empty() {
            self.end_if_wanted();
            return true;
        }
        let (one, other) = self.queue.pieces();
        let total = one.len() + other.len();
        match socket::send(&self.socket, one, other) {
            Ok(sent) => {
                self.queue.advance(sent);
                if sent == total {
                    self.end_if_wanted();
                }
                sent == total
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(error) => {
                self.fail(socket::failure(error));
                false
            }
        }
    }

    /// Reads from the socket.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<Told> {
        match socket::receive(&self.socket, buffer) {
            // After a failed send the kernel has nothing more to say than "no more": what happened
            // is known already.
            Ok(0) if self.failure.is_some() => {
                self.readable = false;
                None
            }
            Ok(0) => {
                self.readable = false;
                self.eof_told = true;
                Some(Told::Eof)
            }
            Ok(count) => {
                self.unheard = false;
                self.readable = count == buffer.len() || self.ending;
                Some(Told::Data(count))
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                None
            }
            // Signals are blocked; should one get through, the next turn tries again.
            Err(Errno::INTR) => None,
            Err(error) => {
                self.readable = false;
                self.failure.get_or_insert(socket::failure(error));
                None
            }
        }
    }

    /// The failure, once everything before it was told.
    fn broken(&mut self) -> Option<IoFailure> {
        if self.error && self.failure.is_none() && !self.has_more() {
            self.error = false;
            if let Ok(Err(error)) = sockopt::socket_error(&self.socket) {
                self.failure = Some(socket::failure(error));
            }
        }
        if self.has_more() {
            return None;
        }
        self.failure
    }

    fn hangup(&mut self) -> Option<Told> {
        // Both directions closed without an error is an orderly end, whose bytes are still to be
        // read.
        let gone = self.failure.is_some() || self.error;
        if !gone || self.hangup_told {
            return None;
        }
        self.hangup_told = true;
        Some(Told::Hangup)
    }

    fn connected(&mut self, port: u16) -> Option<Told> {
        if !self.writable && !self.hung && !self.error {
            return None;
        }
        if self.hung || self.error {
            self.error = false;
            if let Ok(Err(error)) = sockopt::socket_error(&self.socket) {
                let failure = socket::failure(error);
                let said_something = socket::peek(&self.socket).is_ok_and(|count| count > 0);
                if failure != IoFailure::Reset || !said_something {
                    return Some(Told::ConnectFailed(failure));
                }
                // It did connect, the other end said something and reset.
                self.fail(failure);
            }
        }
        if port != 0 && socket::is_self_connected(&self.socket, port) {
            return Some(Told::ConnectFailed(IoFailure::Refused));
        }
        self.phase = Phase::Open;
        if self.queue.is_empty() {
            self.end_if_wanted();
        }
        Some(Told::Connected)
    }

    fn end_if_wanted(&mut self) {
        if self.fin == Fin::Wanted {
            self.fin = Fin::Sent;
            // It fails only on a connection that is broken, which is told by itself.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
    }

    fn fail(&mut self, failure: IoFailure) {
        self.failure.get_or_insert(failure);
        self.queue.clear();
        // There may be bytes that arrived before.
        self.readable = true;
        self.ending = true;
    }
}
