//! The configuration in force, as one worker sees it: reference-counted without atomics, with the
//! worker's own view of each pool and its own kept connections.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::{BackendState, Budget, Count, Kind, Pool, Rules, View};
use fairlead_model::backend::{Endpoint, Slot, Wish};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, ListenerPlan, PoolPlan, ProxyVersion};

use crate::answers::Answers;
use crate::driver::ListenerId;
use crate::idle::Idle;
use crate::listener::ListenerState;
use crate::path;
use crate::route::Routes;
use crate::slab::Key;
use crate::snapshot::Snapshot;

/// What all backends of a pool have shown is looked up so often: not at each request.
const MOMENT: Duration = Duration::from_millis(100);

/// One worker's form of a snapshot.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) pools: Rc<[Rc<LocalPool>]>,
    pub(crate) listeners: BTreeMap<ListenerId, Rc<LocalListener>>,
}

impl Local {
    pub(crate) fn empty() -> Self {
        Local { pools: Rc::new([]), listeners: BTreeMap::new() }
    }

    /// The local form of `snapshot`. Backends that stay keep their local state. Connections kept
    /// to places where a backend no longer is, and the backends that are gone, are left in
    /// `retired` for the caller to close.
    pub(crate) fn of(
        snapshot: &Arc<Snapshot>,
        before: &Local,
        now: Moment,
    ) -> (Local, Vec<Rc<LocalBackend>>) {
        let known: BTreeMap<&str, &LocalPool> =
            before.pools.iter().map(|pool| (pool.plan().name.as_str(), &**pool)).collect();
        // Who is taken over is not.
        before.backends().for_each(|backend| backend.retired.set(true));
        let pools: Rc<[Rc<LocalPool>]> = snapshot
            .pools()
            .iter()
            .map(|pool| Rc::new(LocalPool::of(pool, known.get(&*pool.plan.name).copied(), now)))
            .collect();
        let listeners = snapshot
            .listeners()
            .iter()
            .enumerate()
            .map(|(index, state)| {
                let listener = LocalListener {
                    state: Arc::clone(state),
                    snapshot: Arc::clone(snapshot),
                    index,
                    pools: Rc::clone(&pools),
                    retired: Cell::new(false),
                };
                (state.id(), Rc::new(listener))
            })
            .collect();
        for old in before.listeners.values() {
            old.retired.set(true);
        }
        let retired = before.backends().filter(|backend| backend.retired.get()).cloned().collect();
        (Local { pools, listeners }, retired)
    }

    pub(crate) fn backends(&self) -> impl Iterator<Item = &Rc<LocalBackend>> {
        self.pools.iter().flat_map(|pool| &pool.backends)
    }
}

/// A listener in one worker.
#[derive(Debug)]
pub(crate) struct LocalListener {
    pub(crate) state: Arc<ListenerState>,
    snapshot: Arc<Snapshot>,
    index: usize,
    pub(crate) pools: Rc<[Rc<LocalPool>]>,
    /// A newer snapshot is in force.
    pub(crate) retired: Cell<bool>,
}

impl LocalListener {
    pub(crate) fn plan(&self) -> &ListenerPlan {
        self.state.plan()
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.snapshot.routes()[self.index]
    }
}

/// A pool in one worker.
#[derive(Debug)]
pub(crate) struct LocalPool {
    pub(crate) pool: Arc<Pool>,
    pub(crate) view: RefCell<View>,
    pub(crate) backends: Vec<Rc<LocalBackend>>,
    pub(crate) rules: Rules,
    /// What may be sent twice; `None` if nothing may.
    pub(crate) budget: Option<RefCell<Budget>>,
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
    pub(crate) idle: Duration,
    pub(crate) keepalive: Duration,
    pub(crate) hold: Duration,
    /// The shortest time after which an answer of one of its backends is late, and when that is to
    /// be looked up again.
    quickest: Cell<(Moment, Duration)>,
    /// How backends are told who the client is, if they are.
    pub(crate) proxy: Option<ProxyVersion>,
}

impl LocalPool {
    fn of(pool: &Arc<Pool>, before: Option<&LocalPool>, now: Moment) -> Self {
        let backends = pool
            .backends()
            .iter()
            .zip(&pool.plan.backends)
            .enumerate()
            .map(|(index, (state, plan))| {
                let kept = before.and_then(|before| before.backend_of(state, index)).cloned();
                let backend = kept.unwrap_or_else(|| Rc::new(LocalBackend::new(state)));
                backend.retired.set(false);
                backend.move_to(&plan.endpoints);
                backend
            })
            .collect();
        let timeouts = &pool.plan.timeouts;
        let hedges = pool.plan.retry.hedge && pool.plan.backends.len() > 1;
        LocalPool {
            view: RefCell::new(View::new(Arc::clone(pool), now)),
            backends,
            rules: pool.rules(),
            budget: hedges.then(|| RefCell::new(Budget::new(pool.plan.retry.budget))),
            connect: timeouts.connect.duration(),
            response: timeouts.response.duration(),
            idle: timeouts.idle.duration(),
            keepalive: timeouts.keepalive.duration(),
            hold: pool.plan.retry.hold.duration(),
            quickest: Cell::new((Moment::ZERO, Duration::ZERO)),
            proxy: pool.plan.proxy_protocol,
            pool: Arc::clone(pool),
        }
    }

    /// The backend of this state: the same state, not only the same name, since a backend that
    /// was gone for a while begins anew. Nearly always in the same place as before.
    fn backend_of(&self, state: &Arc<BackendState>, place: usize) -> Option<&Rc<LocalBackend>> {
        let is = |backend: &&Rc<LocalBackend>| Arc::ptr_eq(&backend.state, state);
        self.backends.get(place).filter(is).or_else(|| self.backends.iter().find(is))
    }

    pub(crate) fn plan(&self) -> &PoolPlan {
        &self.pool.plan
    }

    /// Counts a step of one of its requests.
    pub(crate) fn count(&self, worker: usize, step: Count) {
        self.pool.tally(worker).count(step);
    }

    /// Says what is left of its budget, for whoever watches.
    pub(crate) fn note_budget(&self, worker: usize) {
        let left = self.budget.as_ref().map_or(0.0, |budget| budget.borrow().left());
        self.pool.tally(worker).note_tokens(left);
    }

    pub(crate) fn backend(&self, slot: Slot) -> &Rc<LocalBackend> {
        &self.backends[slot.index()]
    }

    /// The shortest time after which an answer of one of its backends is late, as of a moment ago.
    pub(crate) fn quickest(&self, now: Moment) -> Duration {
        let (until, known) = self.quickest.get();
        if now < until {
            return known;
        }
        let late = self.backends.iter().map(|backend| backend.state.response_late_after());
        let quickest = late.min().unwrap_or_default();
        self.quickest.set((now + MOMENT, quickest));
        quickest
    }

    /// Whether anybody may be used now.
    pub(crate) fn has_anybody(&self) -> bool {
        self.has_another(Slot(u32::MAX))
    }

    /// Whether anybody but this backend may be used now.
    pub(crate) fn has_another(&self, slot: Slot) -> bool {
        self.backends.iter().enumerate().any(|(index, backend)| {
            let state = &backend.state;
            let usable = state.wish() == Wish::Enabled && state.is_there();
            index != slot.index() && usable && state.weight() > 0
        })
    }

    /// Whether anybody but this backend may be used now, and nothing speaks against it.
    pub(crate) fn has_well_other(&self, slot: Slot) -> bool {
        self.has_well(|other| other != slot)
    }

    /// Whether any of these backends may be used now, and nothing speaks against it.
    pub(crate) fn has_well(&self, these: impl Fn(Slot) -> bool) -> bool {
        let mut all = self.backends.iter().zip(0..);
        all.any(|(backend, index)| backend.state.is_well() && these(Slot(index)))
    }

    /// Whether anybody but this backend has answered something that was asked at `moment` or
    /// later. `kind`: only the like of it counts.
    pub(crate) fn others_answered(&self, slot: Slot, kind: Option<Kind>, moment: Moment) -> bool {
        let mut others = self.backends.iter().enumerate();
        others.any(|(index, backend)| {
            index != slot.index() && backend.state.has_answered(kind, moment)
        })
    }

    /// Whether anybody but this backend has given a whole answer to something that was asked at
    /// `moment` or later.
    pub(crate) fn others_were_whole(&self, slot: Slot, moment: Moment) -> bool {
        let mut others = self.backends.iter().enumerate();
        others.any(|(index, backend)| index != slot.index() && backend.state.was_whole(moment))
    }

    pub(crate) fn backend_plan(&self, slot: Slot) -> &BackendPlan {
        &self.pool.plan.backends[slot.index()]
    }
}

/// A backend in one worker; lives over reloads.
#[derive(Debug)]
pub(crate) struct LocalBackend {
    pub(crate) state: Arc<BackendState>,
    pub(crate) endpoints: RefCell<Vec<Rc<Endpoint>>>,
    pub(crate) idle: RefCell<Idle>,
    /// Since when it has answered nothing.
    pub(crate) answers: Answers,
    /// How long its host may take to acknowledge before that is suspicious.
    ack_patience: Cell<Duration>,
    /// Its regular probe, if this worker makes it.
    pub(crate) probe: Cell<Option<Key>>,
    /// Not in the configuration any more.
    pub(crate) retired: Cell<bool>,
}

impl LocalBackend {
    fn new(state: &Arc<BackendState>) -> Self {
        LocalBackend {
            state: Arc::clone(state),
            endpoints: RefCell::new(Vec::new()),
            idle: RefCell::new(Idle::new()),
            answers: Answers::default(),
            ack_patience: Cell::new(path::PATIENCE),
            probe: Cell::new(None),
            retired: Cell::new(false),
        }
    }

    fn move_to(&self, endpoints: &[Endpoint]) {
        let mut ours = self.endpoints.borrow_mut();
        if ours.iter().map(|ours| &**ours).eq(endpoints) {
            return;
        }
        let kept = |endpoint: &Endpoint| {
            ours.iter()
                .find(|old| ***old == *endpoint)
                .cloned()
                .unwrap_or_else(|| Rc::new(endpoint.clone()))
        };
        let now: Vec<_> = endpoints.iter().map(kept).collect();
        *ours = now;
    }

    /// Whether connections to `endpoint` may still be used.
    pub(crate) fn is_at(&self, endpoint: &Rc<Endpoint>) -> bool {
        !self.retired.get() && self.has(endpoint)
    }

    /// Whether what a connection to `endpoint` shows is about this backend: with another host its
    /// name means something else, which has nothing to do with what the old one does.
    #[inline]
    pub(crate) fn has(&self, endpoint: &Rc<Endpoint>) -> bool {
        let endpoints = self.endpoints.borrow();
        endpoints.iter().any(|ours| Rc::ptr_eq(ours, endpoint) || ours == endpoint)
    }

    /// The `nth` endpoint, counted in a ring.
    pub(crate) fn endpoint(&self, nth: usize) -> Option<Rc<Endpoint>> {
        let endpoints = self.endpoints.borrow();
        endpoints.get(nth % endpoints.len().max(1)).map(Rc::clone)
    }

    /// An answer begins, to what was asked of this worker at `asked`.
    #[inline]
    pub(crate) fn note_answer(&self, worker: usize, kind: Kind, asked: Moment, now: Moment) {
        self.state.shard(worker).note_answer(kind, asked, now);
        self.answers.end_silence();
    }

    /// An answer to what was asked of this worker at `asked` was whole.
    #[inline]
    pub(crate) fn note_whole(&self, worker: usize, asked: Moment) {
        self.state.shard(worker).note_whole(asked);
        self.answers.end_stalls();
    }

    /// How long its host may take to acknowledge before that is suspicious.
    pub(crate) fn ack_patience(&self) -> Duration {
        self.ack_patience.get()
    }

    /// Notes that its host acknowledged only after `took`, with nothing lost.
    pub(crate) fn acknowledges_after(&self, took: Duration) {
        self.ack_patience.set(self.ack_patience.get().max(path::patience_after(took)));
    }

    /// Notes that `endpoint` answered.
    pub(crate) fn reached(&self, endpoint: &Rc<Endpoint>) {
        let endpoints = self.endpoints.borrow();
        if endpoints.len() > 1 {
            if let Some(index) = endpoints.iter().position(|ours| ours == endpoint) {
                self.state.set_endpoint(index);
            }
        }
    }
}
