//! A pool in force: its plan, its backends, and the counter that tells views to look again.
//!
//! Rules of this file
//! 1. A [`Pool`] belongs to one plan and never changes; a reload makes a new one.
//! 2. What must outlive a reload (the epoch, the cursors of round robin, the counts) lies in
//!    `Shared`, which all pools of one name and all their backends hold.
//! 3. The table that picks look at is made once per change for all workers, by the first that
//!    needs it; the others wait for it for microseconds instead of making it again.
//!
//! Not here: which backends a pool gets (registry), what the table looks like (`groups`).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, PoolPlan};

use crate::counter::Late;
use crate::groups::Groups;
use crate::lock::Lock;
use crate::outlier::Watch;
use crate::state::BackendState;
use crate::tally::{Tallies, Tally};
use crate::tracker::Rules;

/// Cursors of round robin: one for each tier, so that a tier that is passed over doesn't shift
/// the turns of the one that is used. Tiers beyond share.
const CURSORS: usize = 8;

/// What all pools of one name share, over reloads too.
#[derive(Debug)]
pub(crate) struct Shared {
    epoch: CachePadded<AtomicU64>,
    /// On one cache line: of most pools one tier is used at a time.
    cursors: CachePadded<[AtomicUsize; CURSORS]>,
    tallies: Box<[Late<Tally>]>,
    /// Somebody answers for the policy in Python.
    asking: AtomicBool,
}

impl Shared {
    /// For so many workers.
    pub(crate) fn new(workers: usize) -> Shared {
        Shared {
            epoch: CachePadded::default(),
            cursors: CachePadded::default(),
            asking: AtomicBool::new(false),
            tallies: (0..workers.max(1)).map(|_| Late::default()).collect(),
        }
    }

    /// Tells all views that what may be picked has changed.
    pub(crate) fn bump(&self) {
        // Release: whoever sees the new epoch sees the change that it stands for.
        self.epoch.fetch_add(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn cursor(&self, tier: usize) -> &AtomicUsize {
        &self.cursors[tier % CURSORS]
    }
}

/// A pool of the plan in force. Shared by all workers.
#[derive(Debug)]
pub struct Pool {
    /// What the configuration says of it.
    pub plan: PoolPlan,
    backends: Vec<Arc<BackendState>>,
    shared: Arc<Shared>,
    groups: Lock<Option<Arc<Groups>>>,
    watch: Watch,
}

impl Pool {
    pub(crate) fn new(
        plan: PoolPlan,
        backends: Vec<Arc<BackendState>>,
        shared: Arc<Shared>,
    ) -> Pool {
        assert_eq!(plan.backends.len(), backends.len(), "one state for each backend of the plan");
        let watch = Watch::new(&backends);
        Pool { plan, backends, shared, groups: Lock::new(None), watch }
    }

    /// The backends in the plan's order: `Slot(n)` is the nth.
    pub fn backends(&self) -> &[Arc<BackendState>] {
        &self.backends
    }

    /// The backend of a slot of this pool.
    #[inline]
    pub fn backend(&self, slot: Slot) -> &Arc<BackendState> {
        &self.backends[slot.index()]
    }

    /// A number that grows whenever it changes who may be picked.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch()
    }

    /// Takes the scores of a policy, in the plan's order: each counts in the place of a weight, and
    /// one of 0 leaves its backend to the last. `None` gives the weights their place back. Says
    /// whether that changed anything.
    pub fn set_scores(&self, scores: Option<&[u16]>) -> bool {
        let mut changed = false;
        for (index, state) in self.backends.iter().enumerate() {
            changed |= state.set_score(scores.and_then(|scores| scores.get(index).copied()));
        }
        if changed {
            self.shared.bump();
        }
        changed
    }

    /// Whether somebody answers for this pool's policy in Python.
    #[inline]
    pub fn is_asking(&self) -> bool {
        self.plan.python.is_some() && self.shared.asking.load(Ordering::Relaxed)
    }

    /// Says whether somebody answers for this pool's policy in Python.
    pub fn set_asking(&self, asking: bool) {
        self.shared.asking.store(asking, Ordering::Relaxed);
    }

    /// What the plan says about health.
    pub fn rules(&self) -> Rules {
        let check = &self.plan.check;
        Rules {
            rise: check.rise,
            fall: check.fall,
            has_check: !matches!(check.kind, CheckKind::None),
            ejects: true,
        }
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The counts of one worker. Only that worker may write them.
    #[inline]
    pub fn tally(&self, worker: usize) -> &Tally {
        self.shared.tallies[worker % self.shared.tallies.len()].made()
    }

    /// What all workers have counted.
    pub fn tallies(&self) -> Tallies {
        Tallies::sum(self.shared.tallies.iter().filter_map(Late::get))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The table for picks, made anew if the epoch has moved or a share has grown.
    pub(crate) fn groups(&self, now: Moment) -> Arc<Groups> {
        let mut cached = self.groups.hold();
        // Read before the states are: a change in between makes the next reader look again.
        let epoch = self.epoch();
        match &*cached {
            Some(groups) if groups.epoch == epoch && now < groups.until => Arc::clone(groups),
            before => {
                let groups = Groups::of(self, epoch, now, before.as_deref());
                Arc::clone(cached.insert(Arc::new(groups)))
            }
        }
    }
}
