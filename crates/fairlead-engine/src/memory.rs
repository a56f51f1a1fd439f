//! Memory in all: whether the process has as much as it may have.
//!
//! Rules of this file
//! 1. What counts is what the system counts: resident memory, whoever in the process has it. What
//!    the kernel keeps for sockets is not in it; that is bounded for each of them.
//! 2. Enough is told at the limit, and less only a tenth below: memory comes back in pieces.
//! 3. Looking costs a system call, ten times a second; the workers read one number.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use fairlead_model::event::Event;

/// What the process has, and may have.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    used: AtomicU64,
    /// 0: no limit.
    limit: AtomicU64,
    full: AtomicBool,
}

impl Memory {
    /// So much it may have from now on.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(0), Relaxed);
    }

    /// Whether it has as much as it may have.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// How much it had when it was last looked, and may have (0: no limit).
    pub(crate) fn used_and_limit(&self) -> (u64, u64) {
        (self.used.load(Relaxed), self.limit.load(Relaxed))
    }

    /// Looks. An event, if that changes anything.
    pub(crate) fn look(&self) -> Option<Event> {
        let used = resident()?;
        self.note(used)
    }

    fn note(&self, used: u64) -> Option<Event> {
        self.used.store(used, Relaxed);
        let limit = self.limit.load(Relaxed);
        let was = self.is_full();
        let enough = if was { limit / 10 * 9 } else { limit };
        let full = limit > 0 && used >= enough;
        if full == was {
            return None;
        }
        self.full.store(full, Relaxed);
        let why = format!("{} MiB in use, {} MiB allowed", used >> 20, limit >> 20);
        Some(Event::Memory { full, why })
    }
}

/// Resident bytes of this process; `None` where the system doesn't say.
fn resident() -> Option<u64> {
    let mut text = [0; 128];
    let count = std::fs::File::open("/proc/self/statm").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..count]).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_is_full_at_the_limit_and_no_more_a_tenth_below() {
        let memory = Memory::default();
        memory.set_limit(Some(100 * MIB));
        assert_eq!(memory.note(100 * MIB - 1), None);
        let told = memory.note(100 * MIB).expect("news");
        let why = "100 MiB in use, 100 MiB allowed".to_owned();
        assert_eq!(told, Event::Memory { full: true, why });
        assert!(memory.is_full());
        assert_eq!(memory.note(95 * MIB), None);
        assert!(matches!(memory.note(90 * MIB - 1), Some(Event::Memory { full: false, .. })));
        assert!(!memory.is_full());
    }

    #[test]
    fn without_a_limit_it_is_never_full() {
        let memory = Memory::default();
        assert_eq!(memory.note(u64::MAX), None);
        memory.set_limit(Some(1));
        assert!(memory.note(2).is_some());
        memory.set_limit(None);
        assert!(matches!(memory.note(2), Some(Event::Memory { full: false, .. })));
    }

    #[test]
    fn the_system_says_how_much_it_is() {
        let before = resident().expect("Linux");
        let more = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(resident().expect("Linux") >= before + 48 * MIB);
        drop(more);
    }
}
