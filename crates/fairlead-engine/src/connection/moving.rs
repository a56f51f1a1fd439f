//! Bytes of one socket that go to another through a pipe, without a look at them.
//!
//! Not here: whose bytes go where, and how many at a time (`drive`).

use fairlead_flow::driver::{ConnId, Sent};
use fairlead_model::limits::UNSENT_FAST_BYTES;
use rustix::io::Errno;

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

/// Where the bytes of a connection go.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) to: ConnId,
    /// So many may still go.
    pub(crate) left: u64,
    /// So many have gone.
    pub(crate) gone: u64,
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
    pub(crate) fn draw(&mut self, pipe: &mut Pipe, most: usize) -> Drawn {
        match pipe.fill(&self.socket, most) {
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

    /// Lets the kernel take more for it from now on: it has shown that it goes fast.
    pub(crate) fn widen(&mut self) {
        if !std::mem::replace(&mut self.wide, true) {
            socket::bound_unsent(&self.socket, UNSENT_FAST_BYTES);
        }
    }

    /// Whether the kernel may take more for it than for others.
    #[cfg(test)]
    pub(crate) fn is_wide(&self) -> bool {
        self.wide
    }

    /// Sends what is in a pipe, and keeps what the socket doesn't take.
    pub(crate) fn pour(&mut self, mut pipe: Pipe) -> Sent {
        self.unheard = true;
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
