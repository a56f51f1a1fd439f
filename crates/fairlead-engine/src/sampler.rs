//! Reads all counters once a second, so that there are rates, and ten times a second how much memory
//! the process has.
//!
//! A thread of its own, because a worker has better things to do and Python may be away for long.
//! It reads what workers write anyway; they don't notice. 4,000 backends take it about a
//! millisecond.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use fairlead_flow::Snapshot;

use crate::clock::Clock;
use crate::events::Events;
use crate::memory::Memory;
use crate::thread::{OwnThread, STACK};

/// Between two looks at the memory. In such a time all that a fast network brings fits into what is
/// left between a limit of half of the memory and the end of it.
const EVERY: Duration = Duration::from_millis(100);

/// So many of them are the shortest window that a rate is told over: a second.
const ROUNDS: u32 = 10;

/// What is read, and whether to go on.
#[derive(Debug, Default)]
struct Told {
    snapshot: Option<Arc<Snapshot>>,
    ended: bool,
}

/// The thread that reads. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Sampler {
    told: Arc<(Mutex<Told>, Condvar)>,
    thread: OwnThread,
}

impl Sampler {
    /// Starts the thread. Without one there are no rates and no limit of memory, and everything else
    /// goes on.
    ///
    /// # Errors
    ///
    /// If the system has no more threads.
    pub(crate) fn start(
        clock: Clock,
        memory: Arc<Memory>,
        events: Arc<Events>,
    ) -> std::io::Result<Sampler> {
        let told = Arc::new((Mutex::new(Told::default()), Condvar::new()));
        let heard = Arc::clone(&told);
        let live = move || live(&heard, clock, &memory, &events);
        let thread = OwnThread::start("fairlead-rates", STACK, live)?;
        Ok(Sampler { told, thread })
    }

    /// Reads this snapshot from now on.
    pub(crate) fn follow(&self, snapshot: &Arc<Snapshot>) {
        let mut told = self.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.snapshot = Some(Arc::clone(snapshot));
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.told.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.told.1.notify_all();
        self.thread.join();
    }
}

fn live((told, ended): &(Mutex<Told>, Condvar), clock: Clock, memory: &Memory, events: &Events) {
    let mut held = told.lock().unwrap_or_else(PoisonError::into_inner);
    for round in 1_u32.. {
        let waiting = ended.wait_timeout_while(held, EVERY, |told| !told.ended);
        held = waiting.unwrap_or_else(PoisonError::into_inner).0;
        if held.ended {
            return;
        }
        let snapshot = held.snapshot.clone().filter(|_| round % ROUNDS == 0);
        drop(held);
        if let Some(event) = memory.look() {
            events.tell(event);
        }
        if let Some(snapshot) = snapshot {
            sample(&snapshot, clock);
        }
        held = told.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

fn sample(snapshot: &Snapshot, clock: Clock) {
    let now = clock.now();
    for listener in snapshot.listeners() {
        listener.sample(now);
    }
    for backend in snapshot.pools().iter().flat_map(|pool| pool.backends()) {
        backend.sample(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_once_when_it_is_dropped() {
        let start = std::time::Instant::now();
        let events = Arc::new(Events::new().expect("events"));
        drop(Sampler::start(Clock::new(), Arc::default(), events).expect("a thread"));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
