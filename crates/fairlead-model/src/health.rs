//! What fairlead believes of a backend, and what makes it change its mind.

use serde::{Deserialize, Serialize};

/// What fairlead believes of a backend.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Health {
    /// Nothing seen yet.
    #[default]
    Unknown = 0,
    /// The last evidence was good.
    Healthy = 1,
    /// Something went wrong, not often enough to be sure. Used only when nobody better is there.
    Suspect = 2,
    /// Not used.
    Down = 3,
}

impl Health {
    /// The health of this number, `Unknown` for any that is none.
    pub fn from_u8(number: u8) -> Health {
        match number {
            1 => Health::Healthy,
            2 => Health::Suspect,
            3 => Health::Down,
            _ => Health::Unknown,
        }
    }

    /// The interface's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Healthy => "healthy",
            Health::Suspect => "suspect",
            Health::Down => "down",
        }
    }
}

/// Who saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An active check.
    Check,
    /// Real traffic.
    Traffic,
}

/// What a backend did wrong, by what it costs the next one who asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misdeed {
    /// It said nothing, or nothing in time. One answer in time shows that this is over.
    Silence,
    /// It answered with an error, or hung up. Another one can be asked before its client sees that.
    Error,
    /// It broke off in the middle of its answer, which the client has seen by then.
    Truncation,
}

/// One observation of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Who saw it.
    pub origin: Origin,
    /// Good or bad.
    pub passed: bool,
    /// What was seen, in a few words, lower case: `connect refused`, `status 500`.
    pub what: &'static str,
    /// A detail that only this observation has, or empty: `got 503, expected 200-399`.
    pub detail: String,
}

/// A change of health, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Before.
    pub from: Health,
    /// After.
    pub to: Health,
    /// Why, for people: `check: connect refused, 3 in a row`.
    pub why: String,
}
