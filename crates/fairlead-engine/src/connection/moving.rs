//! Bytes of one socket that go to another through a pipe, without a look at them.
//!
//! Not here: whose bytes go where, and how many at a time (`drive`).

use std::time::Duration;

use fairlead_flow::driver::{ConnId, Sent};
use fairlead_model::limits::{
    FASTEST_BYTES, FASTEST_MS, FAST_BYTES, FORWARD_BYTES, FORWARD_FASTEST_BYTES, FORWARD_LEAST,
    FORWARD_SMALL, UNSENT_BYTES, UNSENT_FASTEST_BYTES, UNSENT_FAST_BYTES,
};
use fairlead_model::moment::Moment;
use rustix::io::Errno;

use super::gather::Gather;
use super::{Connection, Phase};
use crate::sys::pipe::Pipe;
use crate::sys::socket;

/// What came of moving bytes into a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// So many.
    Bytes(usize),
    /// There are none yet.
    NothingNow,
    /// There will be none in this way.
    NotSo,
}

/// How much the kernel may take for a connection beyond the other end's window, by how fast it has
/// been given bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    Narrow,
    Wide,
    Widest,
}

impl Width {
    fn bytes(self) -> u32 {
        match self {
            Width::Narrow => UNSENT_BYTES,
            Width::Wide => UNSENT_FAST_BYTES,
            Width::Widest => UNSENT_FASTEST_BYTES,
        }
    }
}

/// Where the bytes of a connection go.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) to: ConnId,
    /// So many may still go.
    left: u64,
    /// So many have gone.
    gone: u64,
    /// When so many of them had gone, its speed was looked at for the last time.
    looked: (Moment, u64),
    width: Width,
    /// So many small pieces have gone in a row.
    small: u8,
    pub(super) gather: Gather,
}

impl Forward {
    pub(crate) fn new(to: ConnId, most: u64, now: Moment) -> Self {
        let (looked, width) = ((now, 0), Width::Narrow);
        Forward { to, left: most, gone: 0, looked, width, small: 0, gather: Gather::default() }
    }

    /// How many may be moved at once.
    fn at_once(&self) -> u64 {
        let most = if self.width == Width::Widest { FORWARD_FASTEST_BYTES } else { FORWARD_BYTES };
        self.left.min(most)
    }

    /// Whether there is more to be moved, and moving it is worth it: one small piece is what a
    /// sender's write ended with, several in a row are small messages.
    fn goes_on(&self) -> bool {
        self.left > 0 && self.small < FORWARD_SMALL
    }

    /// Notes that so many have gone; how much whoever gets them may have waiting.
    pub(crate) fn note(&mut self, moved: usize, now: Moment) -> Width {
        self.left -= moved as u64;
        self.gone += moved as u64;
        self.small = if moved < FORWARD_LEAST { self.small + 1 } else { 0 };
        let (since, before) = self.looked;
        let lately = self.gone - before;
        if lately >= FASTEST_BYTES {
            let took = now.since(since);
            if took <= Duration::from_millis(FASTEST_MS) {
                self.width = Width::Widest;
                self.gather.learn(lately, took);
            } else {
                self.width = Width::Wide;
                self.gather.forget();
            }
            self.looked = (now, self.gone);
        } else if self.width == Width::Narrow && self.gone >= FAST_BYTES {
            self.width = Width::Wide;
        }
        self.width
    }

    /// From how many bytes on the kernel is to tell of them, if that has to be said anew.
    pub(super) fn gathers_from(&mut self) -> Option<u32> {
        self.gather.go_on(self.left)
    }
}

impl Connection {
    /// Whether there may be something to move on right now, instead of telling it.
    #[inline]
    pub(crate) fn may_forward(&self) -> bool {
        self.forward.is_some()
            && self.phase == Phase::Open
            && self.readable
            && !self.ahead
            && !self.paused
            && !self.eof_told
            && self.failure.is_none()
    }

    /// Whether bytes can be poured into it: it is open, and nothing waits before them.
    pub(crate) fn takes(&self) -> bool {
        self.phase == Phase::Open && self.queue.is_empty() && self.failure.is_none()
    }

    /// Moves bytes of this socket into an empty pipe.
    pub(crate) fn draw(&mut self, pipe: &mut Pipe) -> Drawn {
        let Some(forward) = &self.forward else { return Drawn::NotSo };
        match pipe.fill(&self.socket, forward.at_once() as usize) {
            Ok(count) if count > 0 => {
                self.unheard = false;
                Drawn::Bytes(count)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Drawn::NothingNow
            }
            // The end, or nothing that can be moved in this way: whoever reads is told which.
            Ok(_) | Err(Errno::INTR | Errno::INVAL | Errno::NOMEM) => Drawn::NotSo,
            // The kernel says it once: to whoever reads next, a reset would look like an end.
            Err(error) => {
                self.failure.get_or_insert(socket::failure(error));
                Drawn::NotSo
            }
        }
    }

    /// Notes that so many of its bytes have gone on; how much whoever gets them may have waiting.
    pub(crate) fn note_moved(&mut self, moved: usize, now: Moment) -> Width {
        let Some(forward) = &mut self.forward else { return Width::Narrow };
        let width = forward.note(moved, now);
        if !forward.goes_on() {
            self.forward_to(None);
        }
        width
    }

    /// Lets the kernel take more for it from now on, if it has shown that it goes so fast.
    pub(crate) fn widen(&mut self, width: Width) {
        if width > self.width {
            self.set_width(width);
        }
    }

    pub(super) fn set_width(&mut self, width: Width) {
        self.width = width;
        self.grows();
        socket::bound_unsent(&self.socket, width.bytes());
    }

    /// How much the kernel may take for it.
    #[cfg(test)]
    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// Sends what is in a pipe, and keeps what the socket doesn't take.
    pub(crate) fn pour(&mut self, mut pipe: Pipe) -> Sent {
        self.unheard = true;
        self.before_send();
        while pipe.held() > 0 {
            match pipe.pour(&self.socket) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.writable = false;
                    self.queue.keep(pipe);
                    return Sent::Queued;
                }
                Err(error) => {
                    self.fail(socket::failure(error));
                    break;
                }
            }
        }
        Sent::All
    }

    /// Empties the pipe in the queue; false while there is something in it.
    pub(super) fn flush_pipe(&mut self) -> bool {
        while let Some(pipe) = self.queue.pipe() {
            if pipe.held() == 0 {
                self.queue.end_pipe();
                break;
            }
            match pipe.pour(&self.socket) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(error) => {
                    self.fail(socket::failure(error));
                    return false;
                }
            }
        }
        true
    }
}
