//! How many descriptors this process may have, and which are kept in reserve.
//!
//! The highest are for what must go on whatever clients do: probes, the control socket, the log,
//! files of Python. The kernel always gives the lowest that is free, so a number that high says
//! that all others are taken, and nothing has to be counted. And one is held, for the queue:
//!
//! Soft limits of 1,024 are a relic of `select`. Nothing here uses it, so the soft limit is
//! raised to the hard one. When even that is used up, `accept` fails while the connection stays
//! in the queue and the listener stays readable: without a descriptor to spare there would be no
//! way to take it out, and a loop would spin (Envoy and others do, LESSONS of the project).

#![expect(unsafe_code, reason = "a descriptor's number comes from the environment")]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// Raises the soft limit to the hard one; says what it is now.
pub(crate) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Lowering is always allowed and raising up to the hard limit too; where a sandbox forbids
        // the call, the old limit is what there is.
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    self::limit()
}

/// How many descriptors this process may have.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// So many of all are kept for probes and the control plane, within bounds.
const PART: u64 = 16;
const LEAST: u64 = 8;
const MOST: u64 = 1_024;

/// How many accepted connections may wait at a time for another worker to take them, of a process
/// that may have so many descriptors: as many as are kept in reserve. Without a bound a worker that
/// gets no processor would be left with all of a burst, and those let in without a backend.
pub(crate) fn most_handed_over(limit: u64) -> usize {
    part_of(limit) as usize
}

/// How many are kept in reserve, of so many.
fn part_of(limit: u64) -> u64 {
    (limit / PART).clamp(LEAST, MOST)
}

/// The descriptors that clients and their requests don't get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved {
    from: u64,
}

impl Reserved {
    /// Those of a process that may have so many.
    pub(crate) fn of(limit: u64) -> Self {
        Reserved { from: limit.saturating_sub(part_of(limit)) }
    }

    /// Whether this is one of them.
    #[inline]
    pub(crate) fn has(self, descriptor: &OwnedFd) -> bool {
        u64::from(descriptor.as_raw_fd().unsigned_abs()) >= self.from
    }
}

/// A descriptor of our own for what this number stands for, which no child process inherits.
pub(crate) fn duplicate(number: RawFd) -> Result<OwnedFd, Errno> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: it is borrowed for one call, which only asks the kernel to duplicate it. A number that
    // stands for nothing is answered EBADF, and nothing is read or written through it here.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3)
}

/// One descriptor kept for the moment when there are no others.
#[derive(Debug)]
pub(crate) struct Reserve(Option<OwnedFd>);

impl Reserve {
    pub(crate) fn new() -> Self {
        let mut reserve = Reserve(None);
        reserve.renew();
        reserve
    }

    /// Gives the descriptor free; false if there was none.
    pub(crate) fn release(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Takes one again, if possible.
    pub(crate) fn renew(&mut self) {
        if self.0.is_none() {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            self.0 = rustix::fs::open("/dev/null", flags, Mode::empty()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_limit();
        assert_eq!(Some(limit), getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX)));
    }

    #[test]
    fn the_highest_are_reserved() {
        let descriptor = OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
        let number = u64::from(descriptor.as_raw_fd().unsigned_abs());
        assert!(Reserved::of(number + LEAST).has(&descriptor));
        assert!(!Reserved::of(number + LEAST + 1).has(&descriptor));
        assert_eq!(Reserved::of(256), Reserved { from: 240 });
        assert_eq!(Reserved::of(1 << 20), Reserved { from: (1 << 20) - MOST });
        assert_eq!(Reserved::of(4), Reserved { from: 0 });
    }

    #[test]
    fn only_what_is_open_is_duplicated() {
        let file = std::fs::File::open("/dev/null").expect("open");
        let ours = duplicate(file.as_raw_fd()).expect("duplicate");
        assert_ne!(ours.as_raw_fd(), file.as_raw_fd());
        assert_eq!(duplicate(-1).expect_err("none"), Errno::BADF);
        assert_eq!(duplicate(1_000_000).expect_err("none"), Errno::BADF);
    }

    #[test]
    fn a_reserve_can_be_used_and_renewed() {
        let mut reserve = Reserve::new();
        assert!(reserve.release());
        assert!(!reserve.release());
        reserve.renew();
        assert!(reserve.release());
    }
}
