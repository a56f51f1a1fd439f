//! Out of the workers: numbers that anybody may read at any time.
//!
//! Each worker writes its own place, on its own cache lines; others read it to hand connections
//! to whoever has fewest, and the engine to see how far a stop has come. Whoever waits for a
//! change sleeps on the bell.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use fairlead_balance::Lock;

/// What one worker says of itself.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Client connections open.
    clients: AtomicUsize,
    /// Connections of any kind that a stop waits for.
    busy: AtomicUsize,
    /// The last report that was asked for and done.
    reported: AtomicU64,
    /// The last sign of life that was asked for and given.
    beat: AtomicU64,
    /// Every probe that it owns has had one result.
    checked: AtomicBool,
    /// Its thread is about to end.
    ended: AtomicBool,
}

/// All workers' places.
#[derive(Debug)]
pub(crate) struct Board {
    places: Box<[CachePadded<Place>]>,
    bell: Lock<()>,
    rung: Condvar,
}

impl Board {
    pub(crate) fn new(workers: usize) -> Self {
        let places = (0..workers).map(|_| CachePadded::default()).collect();
        Board { places, bell: Lock::new(()), rung: Condvar::new() }
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.places.len()
    }

    /// How many clients each of them has.
    pub(crate) fn clients(&self) -> Vec<usize> {
        self.places.iter().map(|place| place.clients.load(Ordering::Relaxed)).collect()
    }

    /// Says how many clients a worker has, and how many connections a stop would wait for.
    pub(crate) fn set_open(&self, worker: usize, clients: usize, busy: usize) {
        let place = &self.places[worker];
        place.clients.store(clients, Ordering::Relaxed);
        if place.busy.swap(busy, Ordering::Relaxed) != 0 && busy == 0 {
            self.ring();
        }
    }

    /// Counts a connection for a worker that it is being handed over to, so that not all are
    /// handed to the same one before it has had time to say so itself.
    pub(crate) fn expect_client(&self, worker: usize) {
        self.places[worker].clients.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker with the fewest clients, and their number.
    pub(crate) fn least_loaded(&self) -> (usize, usize) {
        let clients = |place: &CachePadded<Place>| place.clients.load(Ordering::Relaxed);
        let counts = self.places.iter().map(clients).enumerate();
        counts.min_by_key(|(_, clients)| *clients).unwrap_or((0, 0))
    }

    /// The worker with the most clients, and their number.
    pub(crate) fn most_loaded(&self) -> (usize, usize) {
        let clients = |place: &CachePadded<Place>| place.clients.load(Ordering::Relaxed);
        let counts = self.places.iter().map(clients).enumerate();
        counts.max_by_key(|(_, clients)| *clients).unwrap_or((0, 0))
    }

    /// Notes that a worker's probes have all had a result (or not yet, after a new plan).
    pub(crate) fn set_checked(&self, worker: usize, checked: bool) {
        if self.places[worker].checked.swap(checked, Ordering::Relaxed) != checked {
            self.ring();
        }
    }

    /// Notes that a worker did everything up to this report.
    pub(crate) fn report(&self, worker: usize, number: u64) {
        self.places[worker].reported.store(number, Ordering::Release);
        self.ring();
    }

    /// Notes that a worker is about to be started.
    pub(crate) fn begin(&self, worker: usize) {
        self.places[worker].ended.store(false, Ordering::Release);
    }

    /// Notes that a worker ends.
    pub(crate) fn end(&self, worker: usize) {
        let place = &self.places[worker];
        place.clients.store(0, Ordering::Relaxed);
        place.busy.store(0, Ordering::Relaxed);
        place.ended.store(true, Ordering::Release);
        self.ring();
    }

    /// Waits until every worker has reported `number` (or has ended); false if that takes longer
    /// than `timeout`.
    pub(crate) fn wait_reported(&self, number: u64, timeout: Duration) -> bool {
        self.wait(timeout, |place| {
            place.reported.load(Ordering::Acquire) >= number || place.ended.load(Ordering::Acquire)
        })
    }

    /// Notes that a worker has given this sign of life.
    pub(crate) fn beat(&self, worker: usize, number: u64) {
        self.places[worker].beat.store(number, Ordering::Release);
        self.ring();
    }

    /// Waits until every worker has given this sign of life (or has ended, as it was told to).
    pub(crate) fn wait_beat(&self, number: u64, timeout: Duration) -> bool {
        self.wait(timeout, |place| {
            place.beat.load(Ordering::Acquire) >= number || place.ended.load(Ordering::Acquire)
        })
    }

    /// Waits until no worker has anything open.
    pub(crate) fn wait_idle(&self, timeout: Duration) -> bool {
        self.wait(timeout, |place| place.busy.load(Ordering::Relaxed) == 0)
    }

    /// Waits until all probes have had a result.
    pub(crate) fn wait_checked(&self, timeout: Duration) -> bool {
        self.wait(timeout, |place| place.checked.load(Ordering::Relaxed))
    }

    /// Waits until all workers have ended.
    pub(crate) fn wait_ended(&self, timeout: Duration) -> bool {
        self.wait(timeout, |place| place.ended.load(Ordering::Acquire))
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&Place) -> bool) -> bool {
        let start = Instant::now();
        let mut held = self.bell.hold();
        loop {
            if self.places.iter().all(|place| done(place)) {
                return true;
            }
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
            else {
                return false;
            };
            let waited = self.rung.wait_timeout(held, left);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn ring(&self) {
        // Taken and let go: whoever has looked and not found what he waits for is asleep by then.
        drop(self.bell.hold());
        self.rung.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn who_waits_is_woken_by_the_last_one() {
        let board = Arc::new(Board::new(2));
        let other = Arc::clone(&board);
        let waiting = std::thread::spawn(move || other.wait_reported(3, Duration::from_secs(5)));
        board.report(0, 3);
        board.report(1, 2);
        assert!(!board.wait_reported(3, Duration::from_millis(5)));
        board.report(1, 3);
        assert!(waiting.join().expect("waiter"));
    }

    #[test]
    fn the_least_loaded_includes_what_is_on_its_way() {
        let board = Board::new(3);
        board.set_open(0, 5, 5);
        board.set_open(1, 2, 2);
        board.set_open(2, 3, 3);
        assert_eq!(board.least_loaded(), (1, 2));
        assert_eq!(board.most_loaded(), (0, 5));
        board.expect_client(1);
        board.expect_client(1);
        assert_eq!(board.least_loaded(), (2, 3));
        assert!(!board.wait_idle(Duration::ZERO));
        for worker in 0..3 {
            board.end(worker);
        }
        assert!(board.wait_idle(Duration::ZERO) && board.wait_ended(Duration::ZERO));
    }
}
