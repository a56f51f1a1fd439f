//! Calls on many sockets in one call of the kernel, by way of an `io_uring`.
//!
//! Nothing is ever under way in it between two calls: each receive and each send is tried once, as
//! `recv` and `send` with `MSG_DONTWAIT` would, and answered before the call returns.
//!
//! Invariants that make this sound
//! 1. Descriptors and memory are lent for the length of one call: its lifetimes say so.
//! 2. An entry that names them is made in `entries`, and given to the kernel only by `run`. Should
//!    whoever lends them panic before that, the next batch begins with none.
//! 3. `run` returns only when the kernel has answered each entry that it was given. Whatever the
//!    kernel thinks of `MSG_DONTWAIT`, it has none of our memory after that.
//!
//! Miri knows no `io_uring`: what it can't run is tested below against the kernel itself.
#![expect(unsafe_code, reason = "entries of an io_uring are addresses of memory")]

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue, IoUring};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// So many at once. What a call of the kernel costs is shared by so many that more would save
/// nothing, and the first of them waits for the last.
pub(crate) const BATCH: usize = 16;

/// What a socket said, as `recv` and `send` do.
pub(crate) type Outcome = Result<usize, Errno>;

/// One `io_uring`.
pub(crate) struct Ring {
    uring: IoUring,
    /// The batch that is being made.
    entries: Vec<squeue::Entry>,
    /// What came of each entry of the last one.
    outcomes: [Outcome; BATCH],
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ring")
    }
}

impl Ring {
    /// A ring that has shown that it does what is asked of it here.
    ///
    /// # Errors
    ///
    /// Why there is none: the kernel has none, forbids it, or does something else.
    pub(crate) fn new() -> Result<Ring, String> {
        let uring = IoUring::new(BATCH as u32).map_err(|error| {
            let why = match Errno::from_io_error(&error) {
                Some(Errno::NOSYS) => "the kernel has none, or a container's rules hide it",
                Some(Errno::PERM) => "forbidden here: by kernel.io_uring_disabled, or a container",
                _ => return format!("no io_uring: {error}"),
            };
            format!("no io_uring: {why}")
        })?;
        let outcomes = [Err(Errno::CANCELED); BATCH];
        let mut ring = Ring { uring, entries: Vec::with_capacity(BATCH), outcomes };
        ring.try_out().map_err(|what| format!("the kernel's io_uring is another one: {what}"))?;
        Ok(ring)
    }

    /// Receives once from each socket into the memory beside it, without waiting; of the first
    /// [`BATCH`] of them. What came of it, in their order: how many bytes (0 is the end), or why
    /// none.
    pub(crate) fn receive<'a>(
        &mut self,
        sockets: impl Iterator<Item = (BorrowedFd<'a>, &'a mut [u8])>,
    ) -> &[Outcome] {
        self.entries.clear();
        for (socket, memory) in sockets.take(BATCH) {
            self.entries.push(receive_entry(socket, memory));
        }
        self.run()
    }

    /// Sends once to each socket what stands beside it, without waiting; of the first [`BATCH`] of
    /// them. What came of it, in their order: how many bytes it took, or why none.
    pub(crate) fn send<'a>(
        &mut self,
        sockets: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
    ) -> &[Outcome] {
        self.entries.clear();
        for (socket, bytes) in sockets.take(BATCH) {
            self.entries.push(send_entry(socket, bytes));
        }
        self.run()
    }

    /// Has the kernel do all entries.
    fn run(&mut self) -> &[Outcome] {
        for (number, entry) in self.entries.iter_mut().enumerate() {
            entry.set_user_data(number as u64);
        }
        let mut missing = self.entries.len();
        // SAFETY: the callers borrow what the entries name for as long as they live, which is
        // longer than this call; and it returns only when none is missing (invariants 1 to 3).
        let pushed = unsafe { self.uring.submission().push_multiple(&self.entries) };
        pushed.expect("the queue has room for a batch, and is empty after each");
        while missing > 0 {
            // It fails only for a moment, of a signal or of memory; what isn't done yet is asked
            // for again.
            let entered = self.uring.submit_and_wait(missing);
            for entry in self.uring.completion() {
                if let Some(outcome) = self.outcomes.get_mut(entry.user_data() as usize) {
                    *outcome = usize::try_from(entry.result())
                        .map_err(|_| Errno::from_raw_os_error(-entry.result()));
                    missing -= 1;
                }
            }
            if entered.is_err() {
                std::thread::yield_now();
            }
        }
        &self.outcomes[..self.entries.len()]
    }

    /// Everything that is relied on, on a pair of sockets. Should the kernel let something wait
    /// that is not to wait, a later entry of the same batch ends the waiting.
    fn try_out(&mut self) -> Result<(), &'static str> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (one, other) = pair.map_err(|_| "there is no pair of sockets to try it with")?;
        self.try_small(one.as_fd(), other.as_fd())?;
        self.try_full(one.as_fd(), other.as_fd())?;
        drop(other);
        self.entries.clear();
        self.entries.push(send_entry(one.as_fd(), b"to nobody"));
        let heard = self.run() == [Err(Errno::PIPE)];
        heard.then_some(()).ok_or("a send to nobody")
    }

    fn try_small(
        &mut self,
        one: BorrowedFd<'_>,
        other: BorrowedFd<'_>,
    ) -> Result<(), &'static str> {
        let (mut nothing, mut first, mut second) = ([0; 8], [0; 8], [0; 8]);
        self.entries.clear();
        self.entries.push(receive_entry(one, &mut nothing));
        self.entries.push(send_entry(one, b"there"));
        self.entries.push(send_entry(other, b"and back"));
        if self.run() != [Err(Errno::AGAIN), Ok(5), Ok(8)] {
            return Err("a receive where nothing has come, and two sends");
        }
        let both = [(one, &mut first[..]), (other, &mut second[..])];
        if self.receive(both.into_iter()) != [Ok(8), Ok(5)] {
            return Err("two receives");
        }
        let right = &first == b"and back" && second.starts_with(b"there");
        right.then_some(()).ok_or("the bytes received")
    }

    fn try_full(&mut self, one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<(), &'static str> {
        // A smaller bound serves as well, with less memory; the kernel has a least one of its own.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(one, 4096);
        let much = vec![7; 512 << 10];
        let mut room = vec![0; 512 << 10];
        self.entries.clear();
        self.entries.push(send_entry(one, &much));
        self.entries.push(send_entry(one, &much));
        self.entries.push(receive_entry(other, &mut room));
        match *self.run() {
            [Ok(taken), Err(Errno::AGAIN), Ok(_)] if 0 < taken && taken < much.len() => Ok(()),
            _ => Err("a short send, and one without any room"),
        }
    }
}

/// To be run while both live.
fn receive_entry(socket: BorrowedFd<'_>, memory: &mut [u8]) -> squeue::Entry {
    let length = u32::try_from(memory.len()).unwrap_or(u32::MAX);
    let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), memory.as_mut_ptr(), length);
    entry.flags(libc::MSG_DONTWAIT).build()
}

/// To be run while both live.
fn send_entry(socket: BorrowedFd<'_>, bytes: &[u8]) -> squeue::Entry {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let entry = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length);
    entry.flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL).build()
}

#[cfg(test)]
mod tests;
