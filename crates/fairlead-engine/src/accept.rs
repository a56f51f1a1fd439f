//! Which sockets a worker accepts from, and when it has to pause.
//!
//! Rules of this file
//! 1. An error of `accept` never leads to a loop that spins. Without a descriptor something that
//!    is kept goes first (`worker` asks the flow); when there is no such, what can't be accepted
//!    now is thrown away with the reserve descriptor, and all listeners rest for a moment.
//! 2. A listener that leaves is emptied before it is closed: who is in its queue has connected.
//!
//! Not here: what becomes of an accepted connection (`worker`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use fairlead_flow::driver::Peer;
use fairlead_model::limits::ACCEPTS_PER_TURN;
use fairlead_model::moment::Moment;
use rustix::io::Errno;

use crate::mailbox::Open;
use crate::sys::descriptors::Reserve;
use crate::sys::poll::Poller;

/// How long nothing is accepted after a failure. Long enough to cost nothing, short enough that a
/// client which waits in the queue hardly notices.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections accepted in a row when there are other workers, so that a burst spreads over them.
const ACCEPTS_SHARED: usize = 8;

/// What came of an attempt to accept.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A client.
    Client(OwnedFd, Peer),
    /// One that was gone before it could be accepted, or couldn't be; try again.
    Nobody,
    /// The queue is empty.
    Empty,
    /// There is no descriptor for it.
    NoDescriptor,
    /// Not now: accepting rests.
    Exhausted(&'static str),
}

/// The sockets that one worker accepts from.
#[derive(Debug)]
pub(crate) struct Listening {
    open: BTreeMap<u32, Open>,
    /// The number of the next socket; numbers are not used again.
    next: u32,
    accepting: bool,
    resume: Option<Moment>,
    reserve: Reserve,
    batch: usize,
}

impl Listening {
    pub(crate) fn new(workers: usize) -> Self {
        Listening {
            open: BTreeMap::new(),
            next: 0,
            accepting: false,
            resume: None,
            reserve: Reserve::new(),
            batch: if workers > 1 { ACCEPTS_SHARED } else { ACCEPTS_PER_TURN },
        }
    }

    /// How many connections to accept in a row.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// The socket of this number, if it still is one.
    pub(crate) fn open(&self, number: u32) -> Option<Open> {
        self.open.get(&number).cloned()
    }

    /// Whether this worker accepts at all.
    pub(crate) fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// The sockets that are not in `next`.
    pub(crate) fn leaving(&self, next: &[Open]) -> Vec<Open> {
        let stays: BTreeSet<_> = next.iter().map(|open| Arc::as_ptr(&open.socket)).collect();
        let leaves = |old: &&Open| !stays.contains(&Arc::as_ptr(&old.socket));
        self.open.values().filter(leaves).cloned().collect()
    }

    /// Accepts from `next` and nothing else from now on. Sockets that stay keep their
    /// registration, though they may belong to another listener of the plan now.
    pub(crate) fn replace(&mut self, poller: &Poller, next: &[Open], now: Moment) {
        let old = std::mem::take(&mut self.open);
        let known: BTreeMap<_, _> =
            old.iter().map(|(number, open)| (Arc::as_ptr(&open.socket), *number)).collect();
        for open in next {
            let number = known.get(&Arc::as_ptr(&open.socket)).copied();
            let number = number.unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            self.open.insert(number, open.clone());
        }
        for (number, gone) in &old {
            if !self.open.contains_key(number) {
                poller.remove(&*gone.socket);
            }
        }
        self.register_all_but(&old, poller, now);
    }

    /// Begins to accept.
    pub(crate) fn start(&mut self, poller: &Poller, now: Moment) {
        self.accepting = true;
        self.register(poller, now);
    }

    /// Rests until a moment from now.
    pub(crate) fn pause(&mut self, poller: &Poller, now: Moment) {
        self.resume = Some(now + PAUSE);
        for open in self.open.values() {
            poller.remove(&*open.socket);
        }
    }

    /// When [`Listening::resume`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.resume
    }

    /// Goes on after a rest whose time is over.
    pub(crate) fn resume(&mut self, poller: &Poller, now: Moment) {
        if self.resume.is_some_and(|resume| resume <= now) {
            self.resume = None;
            self.reserve.renew();
            self.register(poller, now);
        }
    }

    /// Takes out a connection for which there is no descriptor, so that its client learns of it
    /// and the queue moves.
    pub(crate) fn turn_one_away(&mut self, open: &Open) {
        if self.reserve.release() {
            drop(open.socket.accept());
            self.reserve.renew();
        }
    }

    /// Has the poller watch all sockets. If it can't (for lack of kernel memory), tries again
    /// after a rest.
    fn register(&mut self, poller: &Poller, now: Moment) {
        self.register_all_but(&BTreeMap::new(), poller, now);
    }

    /// The same, but for those that are watched already.
    fn register_all_but(&mut self, known: &BTreeMap<u32, Open>, poller: &Poller, now: Moment) {
        if !self.accepting || self.resume.is_some() {
            return;
        }
        for (number, open) in self.open.iter().filter(|(number, _)| !known.contains_key(number)) {
            match poller.add_listener(&*open.socket, *number) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(_) => self.resume = Some(now + PAUSE),
            }
        }
    }
}

/// Takes one connection out of the queue of `open`.
pub(crate) fn accept(open: &Open) -> Accepted {
    match open.socket.accept() {
        Ok((socket, peer)) => Accepted::Client(socket, peer),
        Err(Errno::AGAIN) => Accepted::Empty,
        Err(Errno::MFILE | Errno::NFILE) => Accepted::NoDescriptor,
        Err(Errno::NOBUFS | Errno::NOMEM) => Accepted::Exhausted("out of memory for sockets"),
        Err(error) if is_the_connections(error) => Accepted::Nobody,
        Err(_) => Accepted::Exhausted("the system refuses to accept"),
    }
}

/// Errors of the connection that would have been accepted: Linux hands them on from its queue.
fn is_the_connections(error: Errno) -> bool {
    const PASSING: [Errno; 11] = [
        Errno::INTR,
        Errno::CONNABORTED,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NONET,
    ];
    PASSING.contains(&error)
}
