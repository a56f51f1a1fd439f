//! How many descriptors this process may have, and one kept in reserve.
//!
//! Soft limits of 1,024 are a relic of `select`. Nothing here uses it, so the soft limit is
//! raised to the hard one. When even that is used up, `accept` fails while the connection stays
//! in the queue and the listener stays readable: without a descriptor to spare there would be no
//! way to take it out, and a loop would spin (Envoy and others do, LESSONS of the project).

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
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
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
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
    fn a_reserve_can_be_used_and_renewed() {
        let mut reserve = Reserve::new();
        assert!(reserve.release());
        assert!(!reserve.release());
        reserve.renew();
        assert!(reserve.release());
    }
}
