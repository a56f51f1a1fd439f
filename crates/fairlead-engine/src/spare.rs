//! Sockets of connections that are over, for those that come next.
//!
//! To make a socket, set it up, register and free it is a tenth of what a connection costs that is
//! made for one message. TCP lets one that is over be connected anew (connect(2), `AF_UNSPEC`).
//!
//! Rules of this file
//! 1. Only of connections that have ended in order on both sides, so that the kernel has no part in
//!    them any more: whatever else may be under way is left to an ordinary close.
//! 2. Only of those that are as new ones would be: nothing was set but what all of their kind have.
//! 3. Few, and those that weren't needed between two looks are given back.
//!
//! docs/design/012-short-connections.md has the measurements.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use crate::sys::socket;

/// A worker keeps no more of them,
const MOST: u64 = 256;
/// and all workers no more than this part of the descriptors.
const PART: u64 = 128;

/// Whether the kernel forgets all of a connection whose socket is to be connected anew. Before 5.6
/// it went on counting what was sent, and sent again, of which silences are judged.
static FORGETS: OnceLock<bool> = OnceLock::new();

/// Who can have a socket of whom: both speak the same protocol, and both stay on this machine or
/// neither does (`sys::congestion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(u8);

impl Kind {
    const COUNT: usize = 4;

    pub(crate) fn of(to: SocketAddr) -> Kind {
        Kind(u8::from(to.is_ipv6()) | u8::from(to.ip().to_canonical().is_loopback()) << 1)
    }

    /// It as two bits, for who has no room for more.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Kind {
        Kind(bits & 3)
    }
}

/// Sockets that are connected to nobody. The poller knows each by an id that is nobody's any more.
#[derive(Debug)]
pub(crate) struct Spares {
    of: [Kept; Kind::COUNT],
    most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    sockets: Vec<OwnedFd>,
    /// There were never fewer since the last look.
    least: usize,
}

impl Spares {
    /// Of one of so many workers of a process that may have so many descriptors.
    pub(crate) fn new(limit: u64, workers: usize) -> Self {
        let share = limit / PART / workers.max(1) as u64;
        Spares { of: Default::default(), most: share.min(MOST) as usize }
    }

    /// One for a connection of this kind.
    pub(crate) fn take(&mut self, kind: Kind) -> Option<OwnedFd> {
        let kept = &mut self.of[usize::from(kind.0)];
        let socket = kept.sockets.pop()?;
        kept.least = kept.least.min(kept.sockets.len());
        Some(socket)
    }

    /// Keeps the socket of a connection of which nothing is to be sent or heard any more; closes it
    /// if that isn't quite so, or if there are enough.
    pub(crate) fn keep(&mut self, socket: OwnedFd, kind: Kind) {
        let over = self.len() < self.most && socket::is_over(&socket);
        if over
            && rustix::net::connect_unspec(&socket).is_ok()
            && *FORGETS.get_or_init(|| socket::has_forgotten(&socket))
        {
            self.of[usize::from(kind.0)].sockets.push(socket);
        }
    }

    /// Gives those back that nobody needed since the last look.
    pub(crate) fn look(&mut self) {
        for kept in &mut self.of {
            kept.sockets.drain(..kept.least);
            kept.sockets.shrink_to_fit();
            kept.least = kept.sockets.len();
        }
    }

    /// Gives all back; false if there were none.
    pub(crate) fn give_up(&mut self) -> bool {
        let any = self.len() > 0;
        self.of = Default::default();
        any
    }

    pub(crate) fn len(&self) -> usize {
        self.of.iter().map(|kept| kept.sockets.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    /// A connection's socket, and its other end.
    fn pair() -> (OwnedFd, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let ours = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        (ours.into(), listener.accept().expect("accept").0)
    }

    /// One that has ended in order, on this side first.
    fn over() -> OwnedFd {
        let (ours, theirs) = pair();
        let ours = TcpStream::from(ours);
        ours.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!((&theirs).read(&mut [0]).expect("the end"), 0);
        drop(theirs);
        assert_eq!((&ours).read(&mut [0]).expect("the end"), 0);
        ours.into()
    }

    fn kind(of: &str) -> Kind {
        Kind::of(of.parse().expect("address"))
    }

    #[test]
    fn kinds_are_told_apart() {
        let here = kind("127.0.0.1:80");
        assert_eq!(here, kind("127.3.2.1:81"));
        let all = [here, kind("192.0.2.1:80"), kind("[::1]:80"), kind("[2001:db8::1]:80")];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(Kind::from_bits(one.bits()), *one);
            assert!(all[..index].iter().all(|other| other != one));
        }
        assert_eq!(kind("[::ffff:127.0.0.1]:80"), kind("[::1]:80"));
    }

    #[test]
    fn one_that_is_over_is_taken_by_its_kind() {
        let mut spares = Spares::new(10_000, 1);
        let socket = over();
        let number = socket.as_raw_fd();
        spares.keep(socket, kind("127.0.0.1:80"));
        assert!(spares.take(kind("192.0.2.1:80")).is_none());
        let again = spares.take(kind("127.0.0.1:81")).expect("it");
        assert_eq!(again.as_raw_fd(), number);
        assert!(spares.take(kind("127.0.0.1:81")).is_none());
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        rustix::net::connect(&again, &listener.local_addr().expect("address")).expect("connect");
    }

    #[test]
    fn what_is_not_over_is_closed() {
        let mut spares = Spares::new(10_000, 1);
        // Open; finished by us alone; by the other end alone.
        let (open, theirs) = pair();
        spares.keep(open, kind("127.0.0.1:80"));
        assert_eq!((&theirs).read(&mut [0]).expect("an orderly end"), 0);

        let (ours, theirs) = pair();
        rustix::net::shutdown(&ours, rustix::net::Shutdown::Write).expect("shutdown");
        spares.keep(ours, kind("127.0.0.1:80"));
        assert_eq!((&theirs).read(&mut [0]).expect("an orderly end"), 0);

        let (ours, theirs) = pair();
        theirs.shutdown(Shutdown::Write).expect("shutdown");
        spares.keep(ours, kind("127.0.0.1:80"));
        assert_eq!((&theirs).read(&mut [0]).expect("an orderly end"), 0);
        assert_eq!(spares.len(), 0);
    }

    #[test]
    fn one_that_broke_at_the_end_is_closed() {
        let mut spares = Spares::new(10_000, 1);
        let (ours, theirs) = pair();
        socket::reset(theirs.into());
        let ours = TcpStream::from(ours);
        while ours.peer_addr().is_ok() {
            std::thread::yield_now();
        }
        spares.keep(ours.into(), kind("127.0.0.1:80"));
        assert_eq!(spares.len(), 0);
    }

    #[test]
    fn few_are_kept_and_none_where_descriptors_are_few() {
        let mut spares = Spares::new(3 * PART, 1);
        for _ in 0..5 {
            spares.keep(over(), kind("127.0.0.1:80"));
        }
        assert_eq!(spares.len(), 3);
        assert!(spares.give_up() && !spares.give_up());
        assert_eq!(Spares::new(PART, 2).most, 0);
        assert_eq!(Spares::new(u64::MAX, 1).most, 256);
    }

    #[test]
    fn those_that_nobody_needed_are_given_back() {
        let mut spares = Spares::new(10_000, 1);
        let kind = kind("127.0.0.1:80");
        for _ in 0..5 {
            spares.keep(over(), kind);
        }
        spares.look();
        assert_eq!(spares.len(), 5, "they came since the last look");
        let taken: Vec<_> = (0..2).map(|_| spares.take(kind).expect("one")).collect();
        for _ in taken {
            spares.keep(over(), kind);
        }
        spares.look();
        assert_eq!(spares.len(), 2, "three were never needed");
        spares.look();
        assert_eq!(spares.len(), 0);
    }
}
