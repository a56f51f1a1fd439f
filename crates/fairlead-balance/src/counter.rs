//! A number that one thread writes and any thread reads.
//!
//! A worker counts in a place of its own, with a plain load and store: no locked addition, and no
//! cache line that two workers fight for. Whoever wants the sum adds the workers' places up, and
//! may be a request behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;

/// A count with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only one thread may do so, or counts get lost.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Puts another number in its place.
    #[inline]
    pub fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    /// The number now.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What is made when it is first written to. Of a thousand listeners most have never had a request,
/// and their counters would take more memory than all the rest of them.
#[derive(Debug)]
pub struct Late<T>(OnceLock<Box<T>>);

impl<T> Default for Late<T> {
    fn default() -> Late<T> {
        Late(OnceLock::new())
    }
}

impl<T: Default> Late<T> {
    /// The value, made now if it wasn't before.
    #[inline]
    pub fn made(&self) -> &T {
        self.0.get_or_init(Box::default)
    }

    /// The value, if there is one: nothing was written otherwise.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.0.get().map(|value| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_adds_up_and_can_be_set() {
        let counter = Counter::default();
        counter.add(3);
        counter.add(4);
        assert_eq!(counter.read(), 7);
        counter.set(1);
        assert_eq!(counter.read(), 1);
    }

    #[test]
    fn what_is_made_late_is_made_once() {
        let late: Late<Counter> = Late::default();
        assert!(late.get().is_none());
        late.made().add(2);
        late.made().add(3);
        assert_eq!(late.get().map(Counter::read), Some(5));
    }
}
