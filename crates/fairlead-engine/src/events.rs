//! Out of the engine: events, in order, for Python.
//!
//! The queue is bounded: if nobody takes events out, the oldest go, and how many went is told in
//! their place.
//! An eventfd is readable exactly while there are any, so that an asyncio loop can wait for it.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::MutexGuard;

use fairlead_balance::Lock;
use fairlead_model::event::Event;
use rustix::event::EventfdFlags;
use rustix::io::Errno;
use serde::Serialize;

use fairlead_model::time_of_day::TimeOfDay;

use crate::clock::time_of_day;

/// Events kept for a reader that is late. A flapping pool of a hundred backends makes some
/// hundred a minute.
const KEPT: usize = 4096;

/// An event and when it happened.
#[derive(Debug, Serialize)]
struct Stamped<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Stands for events that went because nobody took them.
#[derive(Debug, Serialize)]
struct Lost {
    time: String,
    event: &'static str,
    count: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(TimeOfDay, Event)>,
    lost: u64,
}

/// The events that Python has not taken yet.
#[derive(Debug)]
pub(crate) struct Events {
    waiting: Lock<Waiting>,
    readable: OwnedFd,
    panics: AtomicU64,
    pauses: AtomicU64,
}

impl Events {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let readable = rustix::event::eventfd(0, flags)?;
        let (panics, pauses) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Events { waiting: Lock::default(), readable, panics, pauses })
    }

    /// How many panics were caught.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// How often a listener stopped accepting because descriptors had run out.
    pub(crate) fn pauses(&self) -> u64 {
        self.pauses.load(Relaxed)
    }

    /// Adds one.
    pub(crate) fn tell(&self, event: Event) {
        match event {
            Event::Panic { .. } => self.panics.fetch_add(1, Relaxed),
            Event::Accepting { accepting: false, .. } => self.pauses.fetch_add(1, Relaxed),
            _ => 0,
        };
        let mut waiting = self.lock();
        if waiting.events.len() >= KEPT {
            waiting.events.pop_front();
            waiting.lost += 1;
        }
        waiting.events.push_back((time_of_day(), event));
        if waiting.events.len() == 1 {
            // It fails only when the counter is full, and then it is readable.
            let _ = rustix::io::write(&self.readable, &1_u64.to_ne_bytes());
        }
    }

    /// Takes all out, each as a JSON object.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        let mut waiting = self.lock();
        // It fails if nothing was there to read.
        let _ = rustix::io::read(&self.readable, &mut [0_u8; 8]);
        let events = std::mem::take(&mut waiting.events);
        let lost = std::mem::take(&mut waiting.lost);
        drop(waiting);
        let first = events
            .front()
            .filter(|_| lost > 0)
            .map(|(time, _)| to_json(&Lost { time: time.rfc3339(), event: "lost", count: lost }));
        let stamped =
            |(time, event): &(TimeOfDay, Event)| to_json(&Stamped { time: time.rfc3339(), event });
        first.into_iter().chain(events.iter().map(stamped)).collect()
    }

    /// The descriptor that is readable while there are events.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.readable.as_raw_fd()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.hold()
    }
}

fn to_json(event: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(event).expect("strings and numbers can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(worker: usize) -> Event {
        Event::Panic { worker, what: "text".to_owned() }
    }

    fn is_readable(events: &Events) -> bool {
        use rustix::event::{poll, PollFd, PollFlags, Timespec};
        let mut fds = [PollFd::new(&events.readable, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll") == 1
    }

    #[test]
    fn events_are_json_with_their_time_and_make_the_descriptor_readable() {
        let events = Events::new().expect("events");
        assert!(!is_readable(&events));
        events.tell(event(1));
        events.tell(event(2));
        assert!(is_readable(&events));
        let taken = events.take();
        let json: serde_json::Value = serde_json::from_slice(&taken[0]).expect("JSON");
        assert_eq!((json["event"].as_str(), json["worker"].as_u64()), (Some("panic"), Some(1)));
        assert!(json["time"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!((taken.len(), events.panics(), events.pauses()), (2, 2, 0));
        assert!(!is_readable(&events) && events.take().is_empty());
    }

    #[test]
    fn the_oldest_go_when_nobody_takes_them() {
        let events = Events::new().expect("events");
        for worker in 0..KEPT + 3 {
            events.tell(event(worker));
        }
        let taken = events.take();
        assert_eq!(taken.len(), KEPT + 1);
        let text = |index: usize| String::from_utf8_lossy(&taken[index]).into_owned();
        assert!(text(0).contains("\"event\":\"lost\",\"count\":3"), "{}", text(0));
        assert!(text(1).contains("\"worker\":3"), "{}", text(1));
    }
}
