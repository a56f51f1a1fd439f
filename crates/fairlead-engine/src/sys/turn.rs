//! How much processor time a thread has had, and whether it gets more before others do.
//!
//! A thread that computes for long shares its processor with whoever else is to run there, in
//! turns of some milliseconds (Linux 6.18: 3 to 4), and a worker that wakes up has to wait for the
//! end of such a turn. One of the class `SCHED_IDLE` gives way at once.
#![expect(unsafe_code, reason = "neither rustix nor socket2 has scheduling classes of threads")]

use std::mem::MaybeUninit;
use std::time::Duration;

/// A thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(libc::pid_t);

impl Thread {
    /// The thread that calls.
    pub(crate) fn current() -> Thread {
        Thread(rustix::thread::gettid().as_raw_nonzero().get())
    }

    /// What the kernel calls it: above 0.
    pub(crate) fn number(self) -> i32 {
        self.0
    }

    /// Processor time that it has had; `None` if there is no such thread in this process.
    pub(crate) fn processor_time(self) -> Option<Duration> {
        // As the kernel makes the number of a thread's clock (include/linux/posix-timers.h):
        // 4 for a thread, 2 for the time that the scheduler has counted.
        let clock = (!self.0 << 3) | 4 | 2;
        let mut time = MaybeUninit::<libc::timespec>::zeroed();
        // SAFETY: the pointer is to `time`, which outlives the call, and all zeros are a timespec.
        // A number that is no clock's is refused.
        let time = unsafe {
            let refused = libc::clock_gettime(clock, time.as_mut_ptr()) != 0;
            if refused {
                return None;
            }
            time.assume_init()
        };
        Some(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).ok()?))
    }

    /// Lets it run only where nobody else wants to; false if that was refused.
    pub(crate) fn give_way(self) -> bool {
        self.schedule(libc::SCHED_IDLE)
    }

    /// Lets it take its turn like any other; false if that was refused. Without `CAP_SYS_NICE` it
    /// is: the kernel lets nobody out of that class.
    pub(crate) fn take_turns(self) -> bool {
        self.schedule(libc::SCHED_OTHER)
    }

    fn schedule(self, class: libc::c_int) -> bool {
        // SAFETY: all zeros are a parameter, the only one that these classes take; the pointer is
        // to it, and it outlives the call, in which the kernel only reads it.
        unsafe {
            let parameter = MaybeUninit::<libc::sched_param>::zeroed();
            libc::sched_setscheduler(self.0, class, parameter.as_ptr()) == 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_for_a_thread_that_computes() {
        let thread = Thread::current();
        let before = thread.processor_time().expect("it is there");
        let computed = (0..2_000_000_u64).fold(1, |sum: u64, number| sum.rotate_left(3) ^ number);
        assert!(computed != 0);
        assert!(thread.processor_time().expect("it is there") > before);
    }

    #[test]
    fn of_a_thread_that_has_ended_nothing_is_known() {
        let thread = std::thread::spawn(Thread::current).join().expect("thread");
        assert_eq!(thread.processor_time(), None);
    }

    #[test]
    fn a_thread_may_always_give_way() {
        let gave = std::thread::spawn(|| Thread::current().give_way()).join().expect("thread");
        assert!(gave);
    }
}
