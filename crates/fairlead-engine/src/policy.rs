//! Policies in Python: a desk for each pool that has one, and whoever sits at it.
//!
//! Rules of this folder
//! 1. No worker waits for Python. What a worker leaves at a desk it never comes back for: an answer
//!    is brought to it, or it goes on without one.
//! 2. A desk belongs to a pool's name and lives over reloads; who sits at it may change. Whoever
//!    sat there before is told that the seat is gone, and what it still says counts for nothing.
//! 3. Whether Python does its part is seen from here, without the interpreter: one that hangs
//!    can't tell.
//!
//! Not here: the interpreter (`fairlead-python`), what is done without an answer (flow).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use fairlead_balance::{Lock, Pool};
use fairlead_model::moment::Moment;

use crate::clock::Clock;
use crate::events::Events;

mod complaint;
mod desk;
mod question;
mod seat;

pub(crate) use desk::{Desk, DeskStatus};
pub(crate) use question::Asking;
pub use question::{Answer, Asked};
pub use seat::Seat;

/// How often desks are looked at for somebody who hangs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// All desks of an engine.
#[derive(Debug)]
pub(crate) struct Desks {
    clock: Clock,
    events: Arc<Events>,
    by_pool: Lock<BTreeMap<String, Arc<Desk>>>,
    any: AtomicBool,
}

impl Desks {
    pub(crate) fn new(clock: Clock, events: Arc<Events>) -> Desks {
        Desks { clock, events, by_pool: Lock::default(), any: AtomicBool::new(false) }
    }

    /// Sits down at the desk of a pool, in the place of whoever sat there. `policy` is its name;
    /// `picks` says whether it is to be asked about each request.
    pub(crate) fn sit_down(&self, pool: &Arc<Pool>, policy: &str, picks: bool) -> Seat {
        let mut desks = self.lock();
        let name = &pool.plan.name;
        let new = || Arc::new(Desk::new(self.clock, Arc::clone(&self.events), Arc::clone(pool)));
        let desk = Arc::clone(desks.entry(name.clone()).or_insert_with(new));
        self.any.store(true, Ordering::Relaxed);
        drop(desks);
        Seat::at(desk, policy, picks)
    }

    /// The desk of a pool.
    pub(crate) fn find(&self, pool: &str) -> Option<Arc<Desk>> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().get(pool).cloned()
    }

    /// Another configuration is in force: desks follow their pools, and go with them.
    pub(crate) fn follow(&self, pools: &[Arc<Pool>]) {
        self.lock().retain(|name, desk| {
            let pool = pools.iter().find(|pool| pool.plan.name == *name);
            match pool {
                Some(pool) => desk.follow(pool),
                None => desk.close(),
            }
            pool.is_some()
        });
    }

    /// Nobody is asked any more.
    pub(crate) fn close(&self) {
        self.follow(&[]);
    }

    /// When [`Desks::look`] wants to be called next, if it was called at `last`.
    pub(crate) fn deadline(&self, last: Moment) -> Option<Moment> {
        self.any.load(Ordering::Relaxed).then(|| last + LOOK_EVERY)
    }

    /// Sees who hangs.
    pub(crate) fn look(&self, now: Moment) {
        let known = self.lock();
        let desks: Vec<_> = known.values().cloned().collect();
        self.any.store(!desks.is_empty(), Ordering::Relaxed);
        drop(known);
        for desk in desks {
            desk.look(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Desk>>> {
        self.by_pool.hold()
    }
}
