//! Faults that are played on purpose at one backend: which, how often, until when.
//!
//! Plain data. Whether a single attempt suffers is drawn in `fairlead-flow`; who may ask for it,
//! and what is told afterwards, is the Python side's.

use std::time::Duration;

use crate::moment::Moment;

/// Parts that a share is counted in: one is a hundredth of a percent.
pub const WHOLE: u32 = 10_000;

/// What happens to an attempt that suffers. Each is what a real failure looks like from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connects and sent bytes vanish; nothing answers. As a host without power.
    Drop,
    /// The answer is held back.
    Delay,
    /// The connection is reset as soon as anything is sent on it.
    Reset,
    /// A 503 in the place of the backend's answer; the request never gets there.
    Error,
    /// Connects succeed, bytes are acknowledged, nothing comes back. As a process that hangs.
    Freeze,
}

impl Fault {
    /// All faults.
    pub const ALL: [Fault; 5] =
        [Fault::Drop, Fault::Delay, Fault::Reset, Fault::Error, Fault::Freeze];

    /// Its name in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Drop => "drop",
            Fault::Delay => "delay",
            Fault::Reset => "reset",
            Fault::Error => "error",
            Fault::Freeze => "freeze",
        }
    }
}

/// One run of faults against one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChaosPlan {
    /// The backend's pool.
    pub pool: String,
    /// Its address as configured.
    pub backend: String,
    /// What happens.
    pub fault: Fault,
    /// To how many attempts of [`WHOLE`].
    pub share: u32,
    /// When it began.
    pub from: Moment,
    /// When it ends by itself, whoever is still there to end it.
    pub until: Moment,
    /// How long answers are held back (`Fault::Delay`).
    pub delay: Duration,
    /// Whether a check's request gets the 503, too (`Fault::Error`). The other faults hit checks
    /// always, as the real ones do.
    pub checks: bool,
}

impl ChaosPlan {
    /// The fault and its share, for people: `freeze of 12.5 %`.
    pub fn text(&self) -> String {
        let percent = f64::from(self.share) * 100.0 / f64::from(WHOLE);
        format!("{} of {percent} %", self.fault.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_its_fault_and_share() {
        let plan = ChaosPlan {
            pool: "app".into(),
            backend: "a:1".into(),
            fault: Fault::Freeze,
            share: 1_250,
            from: Moment::ZERO,
            until: Moment::ZERO + Duration::from_secs(1),
            delay: Duration::ZERO,
            checks: false,
        };
        assert_eq!(plan.text(), "freeze of 12.5 %");
        let names = Fault::ALL.map(Fault::name);
        assert_eq!(names, ["drop", "delay", "reset", "error", "freeze"]);
    }
}
