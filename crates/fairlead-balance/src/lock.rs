//! A lock, which in debug builds counts how often this thread has taken one.
//!
//! Rules of this file
//! 1. Every lock that a worker can come to is one of these (tests/rules holds it). So a test can
//!    show that a request in steady state takes none: the engine's `worker/tests/steady.rs`.
//! 2. What it holds is plain data, or is left whole by whoever changes it: a panic while it was held
//!    can't have left it half changed, and nobody has to care about one.
//! 3. In release builds it is the standard library's, and nothing is counted.
//!
//! Where workers take which, and why: docs/design/007-budget.md.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Something that one thread at a time may have.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// Puts something behind a lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    /// Takes it, after whoever has it.
    #[inline]
    pub fn hold(&self) -> MutexGuard<'_, T> {
        note();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it, unless somebody has it.
    #[inline]
    pub fn try_hold(&self) -> Option<MutexGuard<'_, T>> {
        note();
        match self.0.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(debug_assertions)]
std::thread_local! {
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many locks this thread has taken so far. In debug builds only.
#[cfg(debug_assertions)]
pub fn taken() -> u64 {
    TAKEN.get()
}

#[cfg(debug_assertions)]
fn note() {
    TAKEN.set(TAKEN.get() + 1);
}

#[cfg(not(debug_assertions))]
#[inline]
fn note() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_had_by_one_and_outlives_a_panic() {
        let lock = Lock::new(1);
        let held = lock.hold();
        assert!(lock.try_hold().is_none());
        drop(held);
        let panicked = std::panic::catch_unwind(|| {
            let mut held = lock.hold();
            *held += 1;
            panic!("while it is held");
        });
        assert!(panicked.is_err());
        assert_eq!(*lock.hold(), 2);
        assert_eq!(lock.try_hold().map(|held| *held), Some(2));
    }

    #[cfg(debug_assertions)]
    #[test]
    fn each_thread_counts_what_it_takes_itself() {
        let (lock, before) = (Lock::new(()), taken());
        drop(lock.hold());
        drop(lock.try_hold());
        assert_eq!(taken() - before, 2);
    }
}
