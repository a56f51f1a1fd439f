//! A number that one thread writes and any thread reads.
//!
//! A worker counts in a place of its own, with a plain load and store: no locked addition, and no
//! cache line that two workers fight for. Whoever wants the sum adds the workers' places up, and
//! may be a request behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
}
