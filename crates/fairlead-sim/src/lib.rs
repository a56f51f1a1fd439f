//! What if? A seeded network, clock and backends around `fairlead-flow`.
//!
//! A [`Setting`] is a world before it begins, drawn from a seed: a configuration, backends with
//! their manners and troubles, clients with their wishes. [`run`] lets it happen, in virtual time
//! and on one thread; the [`Report`] is what both sides saw. [`claims`] judges that: what must be
//! true in every world whatever goes wrong in it.
//!
//! ```
//! use fairlead_sim::{claims, run, Setting, Theme};
//!
//! let setting = Setting::of(Theme::Outages, 7);
//! let promises = claims::Promises::of(&setting);
//! let report = run(setting);
//! assert_eq!(claims::check(&promises, &report), Vec::<String>::new());
//! ```
//!
//! Absent on purpose: sockets, threads, the clock, chance that doesn't come from the seed.

#![forbid(unsafe_code)]

mod backend;
pub mod claims;
mod client;
mod driver;
mod network;
mod policy;
mod report;
mod run;
pub mod scenario;
mod setting;
pub mod story;
mod wire;

pub use backend::{BadManners, End, StreamEnd};
pub use report::{Delivery, Outcome, Report, Request, Service, StreamAtBackend, StreamStory};
pub use run::run;
pub use setting::{Episode, Setting, Theme, Trouble};
