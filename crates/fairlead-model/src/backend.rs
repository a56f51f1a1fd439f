//! What a backend is called, where it is, and what the operator wants of it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which backend of a pool: its index in the pool's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a connection can go: `{"tcp": "10.0.0.1:80"}` or `{"unix": "/run/app.sock"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(String),
}

/// What the operator wants of a backend. Health never changes it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Wish {
    /// Takes traffic when it is well.
    #[default]
    Enabled = 0,
    /// Finishes what it has; gets nothing new.
    Draining = 1,
    /// Gets nothing new (connections under way are not cut).
    Disabled = 2,
}

impl Wish {
    /// The wish of this number, `Enabled` for any that is none.
    pub fn from_u8(number: u8) -> Wish {
        match number {
            1 => Wish::Draining,
            2 => Wish::Disabled,
            _ => Wish::Enabled,
        }
    }

    /// The interface's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Wish::Enabled => "enabled",
            Wish::Draining => "draining",
            Wish::Disabled => "disabled",
        }
    }
}
