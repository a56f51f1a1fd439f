//! How often this thread has asked for memory: the allocator of this crate's own tests.
//!
//! No product has it. With it a test shows that a request in steady state asks for none
//! (`worker/tests/steady.rs`).
#![expect(unsafe_code, reason = "an allocator can't be written otherwise")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, counted.
struct Counting;

/// How often this thread has asked for memory so far, or for more of what it had.
pub(crate) fn asked() -> u64 {
    ASKED.get()
}

fn note() {
    ASKED.set(ASKED.get() + 1);
}

// SAFETY: each call goes on to the system's allocator with what it came with, so that one's keeping
// the contract is ours. Counting asks for no memory itself: the number is a constant at first and
// has no destructor, so a thread has it from its first moment to its last.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller has promised us what is to be promised here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above; all that we gave out is the system's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_thread_asks_for_is_counted_and_nobody_elses() {
        let before = asked();
        let mut some = std::hint::black_box(Vec::<u8>::with_capacity(10));
        some.reserve_exact(100_000);
        assert_eq!(std::hint::black_box(some).capacity(), 100_000);
        assert_eq!(std::hint::black_box(vec![0_u8; 10]).len(), 10);
        assert_eq!(asked() - before, 3);
        let others = std::thread::spawn(|| {
            drop(std::hint::black_box(vec![1_u8; 10]));
            asked()
        });
        let between = asked();
        assert!(others.join().is_ok_and(|others| others > 0));
        assert_eq!(asked(), between);
    }
}
