//! Who should get it, and who is well?
//!
//! Rules of this crate
//! 1. It decides and never does: no socket, no clock, no thread, no randomness of its own. Time
//!    is a [`Moment`](fairlead_model::moment::Moment), chance is a [`Random`] that is passed in.
//! 2. Facts about a backend live in one [`BackendState`], shared by all workers and kept over
//!    reloads. Each has one writer: health the [`tracker`], wishes the operator.
//! 3. What a pick looks at is a table made once per change ([`View`]), so that a pick itself
//!    allocates nothing and takes no lock.
//!
//! | Question | Where |
//! |---|---|
//! | who may be picked, of which group | [`view`], `groups` |
//! | who of them is picked | `policies` |
//! | what makes a backend suspect, down, healthy | [`tracker`] |
//! | who answers worse than others, and how many may be out | [`outlier`] |
//! | what do backends on one host have in common | [`host`] |
//! | may a request be sent again | [`retry`] |
//! | how long is a connect waited for | [`deadline`] |
//! | how long is one held back that has disappointed | [`trust`] |
//! | how much does one get that just came back | `warm` |
//! | what survives a reload | [`registry`] |
//! | what is counted of a backend, of a pool | [`stats`], [`tally`] |
//! | who waits for whom, and how often | [`lock`] |
//!
//! Not here: what HTTP is. A request reaches this crate as a hash key and as the four facts of
//! [`Sendable`].

#![forbid(unsafe_code)]

mod answered;
pub mod budget;
pub mod counter;
pub mod deadline;
mod groups;
pub mod hash;
pub mod histogram;
pub mod history;
pub mod host;
pub mod latency;
pub mod lock;
pub mod outlier;
mod policies;
pub mod pool;
pub mod random;
pub mod recent;
pub mod registry;
pub mod retry;
mod standing;
pub mod state;
pub mod stats;
pub mod tally;
pub mod timing;
pub mod tracker;
pub mod trial;
pub mod trust;
pub mod view;
mod warm;

pub use answered::Kind;
pub use budget::Budget;
pub use lock::Lock;
pub use pool::Pool;
pub use random::Random;
pub use registry::Registry;
pub use retry::{may_resend, Sendable};
pub use state::BackendState;
pub use stats::{BackendStats, Shard};
pub use tally::{Count, Tally};
pub use tracker::Rules;
pub use trust::Asker;
pub use view::{Pick, Tried, View};
