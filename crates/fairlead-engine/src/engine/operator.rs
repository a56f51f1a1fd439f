//! What is asked of a running engine: wishes, weights, results of checks that run elsewhere, seats for
//! policies, faults.
//!
//! Each is told to the workers, and to people as an event. Not here: configurations, and what can be
//! read of an engine (`engine`).

use std::sync::{Arc, MutexGuard};

use fairlead_balance::BackendState;
use fairlead_flow::{ChaosRun, Snapshot};
use fairlead_model::backend::Wish;
use fairlead_model::event::Event;
use fairlead_model::health::{Evidence, Origin, Transition};

use super::{Engine, Inner, Unknown, TURN};
use crate::chaos::{Chaos, ChaosRefused, ChaosWanted};
use crate::mailbox::Command;
use crate::policy::Seat;

impl Engine {
    /// Follows an operator's wish. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// If there is no such backend.
    pub fn set_state(&self, pool: &str, backend: &str, wish: Wish) -> Result<bool, Unknown> {
        let state = self.lock().find(pool, backend)?;
        let before = state.wish();
        let changed = state.set_wish(wish);
        if changed {
            state.note_wish(before, wish, self.clock.now());
            let what = format!("state {} -> {}", before.name(), wish.name());
            self.tell_wish(&state, what);
        }
        Ok(changed)
    }

    /// Follows an operator's weight. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// If there is no such backend.
    pub fn set_weight(&self, pool: &str, backend: &str, weight: u16) -> Result<bool, Unknown> {
        let state = self.lock().find(pool, backend)?;
        let before = state.weight();
        let changed = state.set_weight(weight);
        if changed {
            self.tell_wish(&state, format!("weight {before} -> {}", state.weight()));
        }
        Ok(changed)
    }

    fn tell_wish(&self, state: &BackendState, what: String) {
        let (pool, backend) = (state.pool().to_owned(), state.address().to_owned());
        self.events.tell(Event::Wish { pool, backend, what });
        self.wake();
    }

    /// Forgets what was seen of a backend's health: it is used again until there is new evidence.
    /// Says whether there was anything to forget.
    ///
    /// # Errors
    ///
    /// If there is no such backend.
    pub fn forget_health(&self, pool: &str, backend: &str) -> Result<bool, Unknown> {
        let inner = self.lock();
        let state = inner.find(pool, backend)?;
        let Some(rules) = inner.rules(pool) else { return Ok(false) };
        drop(inner);
        let change = state.forget_health(&rules, self.clock.now());
        let changed = change.is_some();
        self.tell_health(pool, backend, change);
        Ok(changed)
    }

    fn tell_health(&self, pool: &str, backend: &str, change: Option<Transition>) {
        let Some(Transition { from, to, why }) = change else { return };
        let (pool, backend) = (pool.to_owned(), backend.to_owned());
        self.events.tell(Event::Health { pool, backend, from, to, why });
        self.wake();
    }

    /// Takes the result of a check that ran elsewhere. `what` is what was seen, for people.
    ///
    /// # Errors
    ///
    /// If there is no such backend.
    pub fn report_check(
        &self,
        pool: &str,
        backend: &str,
        passed: bool,
        what: &str,
    ) -> Result<(), Unknown> {
        let inner = self.lock();
        let state = inner.find(pool, backend)?;
        let rules = inner.rules(pool);
        drop(inner);
        let Some(rules) = rules else { return Ok(()) };
        // No worker counts checks of a pool whose checks run elsewhere, so this shard's are ours.
        state.shard(0).add_check(passed);
        let evidence = Evidence {
            origin: Origin::Check,
            passed,
            what: if passed { "passed" } else { "failed" },
            detail: what.to_owned(),
        };
        let change = state.observe(&evidence, &rules, self.clock.now());
        self.tell_health(pool, backend, change);
        Ok(())
    }

    /// Sits down at the desk of a pool's policy in Python, in the place of whoever sat there.
    /// `picks` says whether it is to be asked about each request.
    ///
    /// # Errors
    ///
    /// If there is no such pool, or none with a policy in Python.
    pub fn sit_down(&self, pool: &str, picks: bool) -> Result<Seat, Unknown> {
        let inner = self.lock();
        let pools = inner.snapshot.as_deref().map_or(&[][..], Snapshot::pools);
        let found = pools.iter().find(|known| known.plan.name == pool).map(Arc::clone);
        drop(inner);
        let python = found.as_ref().and_then(|pool| pool.plan.python.as_ref());
        let (Some(found), Some(python)) = (&found, python) else {
            return Err(Unknown { pool: pool.to_owned(), backend: String::new() });
        };
        let seat = self.desks.sit_down(found, &python.name, picks);
        // Worker 0 looks after desks, and may be asleep without a deadline.
        self.wake();
        Ok(seat)
    }

    /// Plays faults at one backend. When it returns, every worker does.
    ///
    /// # Errors
    ///
    /// Why they are not played.
    pub fn play_chaos(&self, wanted: ChaosWanted) -> Result<(), ChaosRefused> {
        let mut inner = self.lock();
        let now = self.clock.now();
        if let Some(running) = inner.chaos.as_ref().filter(|chaos| chaos.is_running(now)) {
            let plan = &running.run.plan;
            return Err(ChaosRefused::Running(plan.pool.clone(), plan.backend.clone()));
        }
        let snapshot = inner.snapshot.clone().filter(|_| !inner.stopped);
        let snapshot = snapshot.ok_or(ChaosRefused::Stopped)?;
        let chaos = Chaos::begin(wanted, &snapshot, now)?;
        let run = Arc::clone(&chaos.run);
        inner.chaos = Some(chaos);
        self.tell_chaos(inner, Some(&run));
        Ok(())
    }

    /// Ends what is played. False if nothing is.
    pub fn end_chaos(&self) -> bool {
        let mut inner = self.lock();
        let now = self.clock.now();
        let Some(chaos) = inner.chaos.as_mut().filter(|chaos| chaos.is_running(now)) else {
            return false;
        };
        chaos.end(now);
        self.tell_chaos(inner, None);
        true
    }

    fn tell_chaos(&self, mut inner: MutexGuard<'_, Inner>, run: Option<&Arc<ChaosRun>>) {
        if let Some(crew) = &inner.crew {
            crew.tell(|| Command::Chaos(run.cloned()));
        }
        let number = inner.ask_for_report();
        drop(inner);
        self.board.wait_reported(number, TURN);
    }

    /// The last run of faults and what came of it, as JSON; `None` if there was none.
    pub fn chaos(&self) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let snapshot = inner.snapshot.clone()?;
        let status = inner.chaos.as_mut()?.status(&snapshot, self.clock);
        drop(inner);
        Some(serde_json::to_vec(&status).expect("strings and numbers can always be written"))
    }
}
