//! What the kernel offers, in our words: the poller, socket options, limits, signals, memory.
//!
//! Nothing here knows what a connection is for. The few calls that are not wrapped safely by
//! rustix or socket2 are in the modules that allow unsafe code, each with the invariant that
//! makes it sound.

pub(crate) mod alarm;
#[cfg(test)]
pub(crate) mod allocations;
pub(crate) mod congestion;
pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod memory;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod ports;
pub(crate) mod ring;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod turn;
