//! What the kernel is asked about a connection to a backend, each when it begins to matter.
//!
//! A connection that is made for one question and one answer needs little of it:
//! - While it is opened: not to answer the backend's part of the handshake with a segment of its
//!   own. What is sent first says as much, and the backend wakes once for both. If nothing is sent
//!   in the turn that it is told in, the segment follows at the turn's end.
//! - Before its second send: no waiting of small pieces for each other (Nagle), which concerns only
//!   what follows others; and a bound on what waits, which one send doesn't reach.
//! - Once it has lasted for a while: that silence be looked after (`drive`'s rounds).
//!
//! While nothing else was asked, its socket can be another connection's when it is over (`spare`).
//! Accepted connections have all of it from their listener.

use super::{Connection, Fin};
use crate::spare::Kind;
use crate::sys::socket;

/// What is still to be asked, and what was never asked: of the bits below. (One byte: many
/// connections idle.)
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Owed(u8);

/// How what is sent goes out; nothing was sent yet.
const SENDS: u8 = 1;
/// The same; something was sent once.
const SENDS_NOW: u8 = 2;
/// That silence be looked after.
const KEEPALIVE: u8 = 4;
/// That what comes be acknowledged.
const ACKNOWLEDGE: u8 = 8;
/// Nothing was asked but what all sockets of its kind have.
const LIKE_NEW: u8 = 16;
/// From here on its kind stands, in two bits.
const KIND: u32 = 5;

impl Owed {
    /// All of it, but perhaps the keepalive; and of which kind its socket is, if it is as all of
    /// that kind.
    pub(crate) fn new(keepalive: bool, kind: Option<Kind>) -> Owed {
        let kind = kind.map_or(0, |kind| LIKE_NEW | kind.bits() << KIND);
        Owed(SENDS | ACKNOWLEDGE | if keepalive { KEEPALIVE } else { 0 } | kind)
    }

    /// Whether silence is still to be looked after; that is to be done now.
    pub(super) fn take_keepalive(&mut self) -> bool {
        let owed = self.take(KEEPALIVE);
        if owed {
            self.take(LIKE_NEW);
        }
        owed
    }

    fn take(&mut self, what: u8) -> bool {
        let owed = self.0 & what != 0;
        self.0 &= !what;
        owed
    }

    fn owes_sends(self) -> bool {
        self.0 & (SENDS | SENDS_NOW) != 0
    }

    /// Goes on by one send. True: how it goes out is to be asked for now.
    fn takes_sends(&mut self) -> bool {
        if self.take(SENDS) {
            self.0 |= SENDS_NOW;
            return false;
        }
        self.take(SENDS_NOW)
    }
}

impl Connection {
    /// With so much still to be asked.
    pub(crate) fn owing(self, owed: Owed) -> Self {
        Connection { owed, ..self }
    }

    /// Its socket is not like a new one any more.
    pub(super) fn grows(&mut self) {
        self.owed.take(LIKE_NEW);
    }

    /// Of which kind its socket is, if it can be another connection's: both ends have finished, and
    /// nothing was asked but what all of the kind have.
    pub(crate) fn spare_kind(&self) -> Option<Kind> {
        let over = self.fin == Fin::Sent && self.eof_told && self.failure.is_none();
        let like_new = self.owed.0 & LIKE_NEW != 0;
        (over && like_new).then(|| Kind::from_bits(self.owed.0 >> KIND))
    }

    /// To be called before anything is sent on it.
    #[inline]
    pub(super) fn before_send(&mut self) {
        if self.owed.owes_sends() && self.owed.takes_sends() {
            // Who can't be told so is broken, which the send shows.
            let _ = socket::set_up_sends(&self.socket);
        }
    }

    /// The turn is over in which it was told that it has connected: its handshake is acknowledged,
    /// if nothing that was sent has done so. What comes is acknowledged as ever from now on: the
    /// kernel would take its time otherwise, and a backend that writes an answer in small pieces
    /// (and has Nagle wait for each) 40 ms for each of them.
    pub(crate) fn acknowledge(&mut self) {
        if self.owed.take(ACKNOWLEDGE) {
            socket::acknowledge(&self.socket);
        }
    }
}
