//! A timer of the kernel that wakes whoever waits for events, and stays set while it is early enough.
//!
//! A time-out of `epoll_wait` sets such a timer and takes it back again at each wait, though at some
//! thousand requests a second hardly one of them ever comes to its end. Where setting the clock is
//! dear, as on virtual machines, that is much: a relay at 8,000 requests a second costs 1.15 times as
//! much with a time-out of 1 ms as without any. This one is set only when somebody is to be woken
//! earlier than it would, or when its time has come: for one request of forty at that rate.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fairlead_model::moment::Moment;
use rustix::io::Errno;
use rustix::time::{
    timerfd_create, timerfd_settime, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags,
    Timespec,
};

/// One timer.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    /// When it goes off, if that is not over yet.
    at: Cell<Moment>,
}

impl Alarm {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Alarm { timer, at: Cell::new(Moment::ZERO) })
    }

    /// Makes sure that it goes off at `deadline`, or earlier (for nothing, then). False if it couldn't
    /// be set.
    #[inline]
    pub(crate) fn arm(&self, deadline: Moment, now: Moment) -> bool {
        let at = self.at.get();
        now < at && at <= deadline || self.set(deadline, now)
    }

    fn set(&self, deadline: Moment, now: Moment) -> bool {
        // No time at all would take it back.
        let left = deadline.since(now).max(Duration::from_nanos(1));
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: left };
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok();
        self.at.set(if set { deadline } else { Moment::ZERO });
        set
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn it_stays_while_it_is_early_enough() {
        let alarm = Alarm::new().expect("a timer");
        assert!(alarm.arm(Moment(50 * MS), Moment(MS)));
        for later in [50, 51, 5000] {
            assert!(alarm.arm(Moment(later * MS), Moment(49 * MS)));
            assert_eq!(alarm.at.get(), Moment(50 * MS));
        }
    }

    #[test]
    fn it_is_set_anew_for_an_earlier_moment_and_when_its_own_is_over() {
        let alarm = Alarm::new().expect("a timer");
        assert!(alarm.arm(Moment(50 * MS), Moment(MS)));
        assert!(alarm.arm(Moment(20 * MS), Moment(2 * MS)));
        assert_eq!(alarm.at.get(), Moment(20 * MS));
        assert!(alarm.arm(Moment(50 * MS), Moment(20 * MS)));
        assert_eq!(alarm.at.get(), Moment(50 * MS));
    }
}
