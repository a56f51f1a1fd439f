//! A connection whose receives and sends are made with others', in one call of the kernel.
//!
//! Rules of this file
//! 1. What was received ahead of the connection's turn is told as if it were read then: not while
//!    paused, and before anything that is read later.
//! 2. What goes out with a batch went out, as far as the flow is told. What the socket didn't take
//!    is queued, and a failure is told, once the batch has been submitted.
//!
//! Not here: who goes with whom, and where the bytes are meanwhile (`drive`).

use rustix::io::Errno;

use super::{Connection, Phase, Told};
use crate::sys::ring::Outcome;
use crate::sys::socket;

impl Connection {
    /// Whether its next turn begins with a read.
    #[inline]
    pub(crate) fn may_receive_ahead(&self) -> bool {
        self.phase == Phase::Open
            && self.has_more()
            && !self.ahead
            && self.forward.is_none()
            && self.failure.is_none()
    }

    /// Notes what a receive into `room` bytes has come to.
    #[inline]
    pub(crate) fn note_received(&mut self, outcome: Outcome, room: usize) {
        match outcome {
            // The end stays in the socket.
            Ok(count) => {
                self.ahead = true;
                self.readable = count == 0 || count == room || self.ending;
            }
            Err(Errno::AGAIN) => self.readable = false,
            Err(Errno::INTR) => {}
            Err(error) => {
                self.readable = false;
                self.failure.get_or_insert(socket::failure(error));
            }
        }
    }

    /// Tells what was received ahead: so many bytes.
    #[inline]
    pub(crate) fn tell_ahead(&mut self, count: usize) -> Option<Told> {
        self.ahead = false;
        if count > 0 {
            self.unheard = false;
            // The flow asked for it without knowing of these: its count is without them.
            self.forward_to(None);
            return Some(Told::Data(count));
        }
        self.readable = false;
        if self.failure.is_some() {
            return None;
        }
        self.eof_told = true;
        Some(Told::Eof)
    }

    /// Whether what is sent on it may go with a batch.
    #[inline]
    pub(crate) fn may_batch(&self) -> bool {
        self.phase == Phase::Open && self.queue.is_empty() && self.failure.is_none()
    }

    /// Something will be sent with the next batch.
    #[inline]
    pub(crate) fn note_batched(&mut self) {
        self.batched = true;
        self.unheard = true;
        self.before_send();
    }

    /// Notes what the send of `bytes` has come to.
    #[inline]
    pub(crate) fn note_sent(&mut self, outcome: Outcome, bytes: &[u8]) {
        self.batched = false;
        match outcome {
            Ok(sent) if sent == bytes.len() => {}
            Ok(sent) => self.keep_rest(bytes, sent),
            Err(Errno::AGAIN | Errno::INTR) => self.keep_rest(bytes, 0),
            Err(error) => self.fail(socket::failure(error)),
        }
    }

    fn keep_rest(&mut self, bytes: &[u8], sent: usize) {
        self.writable = false;
        self.queue.push(bytes, b"", sent);
    }
}
