//! One epoll instance, and what its event words mean.
//!
//! Connections are registered once, edge-triggered, for everything; listeners level-triggered and
//! exclusively, so that one waiting worker is woken per new connection and not all of them. The
//! event word carries what it is about, for connections with the generation: an event for an
//! earlier life of an index is recognised without any bookkeeping.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use fairlead_flow::driver::ConnId;
use fairlead_model::moment::Moment;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::Timespec;
use rustix::io::Errno;

use crate::sys::alarm::Alarm;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// The longest wait. Waking up for nothing once an hour costs nothing, and whoever is waited for
/// longer is not forgotten in a 32-bit number of milliseconds.
const LONGEST_SECONDS: i64 = 3600;

/// The index half of the word of a listener. Connections never get there: the slab would need
/// 32 GiB first.
const LISTENER: u32 = u32::MAX - 1;
/// The index half of the word of the timer.
const ALARM: u32 = u32::MAX - 2;
/// The index half of the word of the mailbox.
const WAKE: u32 = u32::MAX;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody put something into the worker's mailbox.
    Wake,
    /// The time is over for which was waited.
    Alarm,
    /// Connections wait on the listening socket of this number.
    Listener(u32),
    /// Something happened on this connection.
    Connection(ConnId),
}

impl Source {
    fn word(self) -> EventData {
        let (high, low) = match self {
            Source::Wake => (0, WAKE),
            Source::Alarm => (0, ALARM),
            Source::Listener(number) => (number, LISTENER),
            Source::Connection(id) => (id.generation, id.index),
        };
        EventData::new_u64(u64::from(high) << 32 | u64::from(low))
    }

    fn of(word: EventData) -> Self {
        let word = word.u64();
        let (high, low) = ((word >> 32) as u32, word as u32);
        match low {
            WAKE => Source::Wake,
            ALARM => Source::Alarm,
            LISTENER => Source::Listener(high),
            index => Source::Connection(ConnId { index, generation: high }),
        }
    }
}

/// What happened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Signs {
    /// There may be something to read.
    pub(crate) readable: bool,
    /// There may be room to write.
    pub(crate) writable: bool,
    /// The other end will send no more.
    pub(crate) ending: bool,
    /// Neither direction works any more.
    pub(crate) hung: bool,
    /// The socket holds an error.
    pub(crate) error: bool,
}

impl Signs {
    fn of(flags: EventFlags) -> Self {
        let hung = flags.contains(EventFlags::HUP);
        let error = flags.contains(EventFlags::ERR);
        let ending = flags.contains(EventFlags::RDHUP) || hung || error;
        Signs {
            readable: flags.contains(EventFlags::IN) || ending,
            writable: flags.contains(EventFlags::OUT) || hung || error,
            ending,
            hung,
            error,
        }
    }
}

/// The events of one turn.
pub(crate) struct Events(Vec<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Events(Vec::with_capacity(EVENTS))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn at(&self, index: usize) -> (Source, Signs) {
        let event = self.0[index];
        (Source::of(event.data), Signs::of(event.flags))
    }
}

/// What is told of a connection.
const ALL: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// One epoll instance, and the timer that wakes it.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    alarm: Alarm,
}

impl Poller {
    pub(crate) fn new() -> Result<Self, Errno> {
        let poller = Poller { epoll: epoll::create(CreateFlags::CLOEXEC)?, alarm: Alarm::new()? };
        // Told once each time that it goes off, and never read.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poller.epoll, &poller.alarm, Source::Alarm.word(), flags)?;
        Ok(poller)
    }

    /// Registers a connection, for good: the kernel forgets it when it is closed.
    pub(crate) fn add_connection(&self, socket: impl AsFd, id: ConnId) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, Source::Connection(id).word(), ALL)
    }

    /// No longer tells of each arrival on a connection; of its end, and of room, as before.
    pub(crate) fn mute(&self, socket: impl AsFd, id: ConnId) -> Result<(), Errno> {
        let flags = ALL.difference(EventFlags::IN);
        epoll::modify(&self.epoll, socket, Source::Connection(id).word(), flags)
    }

    /// Tells of all on a connection that it has already, by this id from now on; of what is there
    /// at once.
    pub(crate) fn tell_all(&self, socket: impl AsFd, id: ConnId) -> Result<(), Errno> {
        epoll::modify(&self.epoll, socket, Source::Connection(id).word(), ALL)
    }

    pub(crate) fn add_listener(&self, socket: impl AsFd, number: u32) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        epoll::add(&self.epoll, socket, Source::Listener(number).word(), flags)
    }

    pub(crate) fn add_wake(&self, eventfd: impl AsFd) -> Result<(), Errno> {
        epoll::add(&self.epoll, eventfd, Source::Wake.word(), EventFlags::IN)
    }

    /// Takes a listener out again. (Nothing can be changed on an exclusive registration, only
    /// removed.)
    pub(crate) fn remove(&self, socket: impl AsFd) {
        // It fails only for what isn't registered, which is what was wanted.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Waits for events, at most `timeout` from `now`, and replaces `events` by them. An
    /// interruption is an empty answer; so is one that only says that time is over.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>, now: Moment) {
        // Without a timer the wait itself has to end.
        let timeout = timeout.filter(|time| time.is_zero() || !self.alarm.arm(now + *time, now));
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX).min(LONGEST_SECONDS),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        events.0.clear();
        let into = rustix::buffer::spare_capacity(&mut events.0);
        // Apart from an interruption it fails only for a descriptor that isn't epoll's.
        let _ = epoll::wait(&self.epoll, into, timeout.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_word_says_what_it_is_about() {
        let id = ConnId { index: 7, generation: u32::MAX };
        for source in [Source::Wake, Source::Alarm, Source::Listener(3), Source::Connection(id)] {
            assert_eq!(Source::of(source.word()), source);
        }
    }

    #[test]
    fn who_waits_wakes_up_in_time_and_each_time() {
        let poller = Poller::new().expect("epoll");
        let mut events = Events::new();
        let start = Instant::now();
        for round in 1..=20_u64 {
            let now = || Moment::ZERO + start.elapsed();
            let until = Moment(round * 2_000_000);
            while now() < until {
                poller.wait(&mut events, Some(until.since(now())), now());
            }
            // A timer that is still set wakes earlier than is asked for now, and that is all.
            poller.wait(&mut events, Some(Duration::ZERO), now());
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "40 ms took {took:?}");
    }

    #[test]
    fn an_alarm_that_was_overtaken_does_not_keep_others_from_waking() {
        let poller = Poller::new().expect("epoll");
        let (mut events, start) = (Events::new(), Instant::now());
        poller.wait(&mut events, Some(Duration::from_millis(5)), Moment::ZERO);
        let first = start.elapsed();
        let now = Moment::ZERO + first;
        poller.wait(&mut events, Some(Duration::from_millis(20)), now);
        let second = start.elapsed().saturating_sub(first);
        assert!(first >= Duration::from_millis(5) && second >= Duration::from_millis(20));
        assert!(events.len() == 1 && events.at(0).0 == Source::Alarm);
    }
}
