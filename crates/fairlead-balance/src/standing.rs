//! Where a backend stands among those of its pool: who is asked before whom, by health.
//!
//! Not here: what that follows from (`tracker`), and what else decides (`groups`).

/// Which of its group's tiers a backend belongs to: the first are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Standing {
    /// Healthy or unknown.
    Well,
    /// Suspect, for the first time in a while.
    Suspect,
    /// Suspect again, having come back a moment ago: others are asked first, of whatever group.
    Relapsing,
    /// Suspect for a misdeed: the same, and it has to prove itself.
    Distrusted,
    /// Down only because others answer better.
    Ejected,
    /// Down.
    Down,
}

impl Standing {
    const ALL: [Standing; 6] = [
        Standing::Well,
        Standing::Suspect,
        Standing::Relapsing,
        Standing::Distrusted,
        Standing::Ejected,
        Standing::Down,
    ];

    pub(crate) fn from_u8(number: u8) -> Standing {
        Standing::ALL.get(usize::from(number)).copied().unwrap_or(Standing::Down)
    }
}
