//! Waiting for a backend: what comes while a pool has nobody, and its plan says to wait
//! (`retry.hold`).
//!
//! Rules of this file
//! 1. Who waits is what has found nobody, or only connects that failed; and what was taken off a
//!    backend found down, if it may be sent again. A request that its backend failed after it was
//!    sent has had its answer. What was sent counts towards the attempts over all of its waits, so
//!    that a request that kills whoever touches it doesn't kill for long.
//! 2. Nobody waits longer than the plan says, all waits of one request together, and no more than
//!    [`HELD`] of a pool wait in one worker. Those beyond are answered at once.
//! 3. When it changes who may be picked, all go on, oldest first, [`AT_ONCE`] at a time: a process
//!    that has just started isn't met by all of them together. Meanwhile the oldest tries every so
//!    often: a backend that is not probed comes back by nothing else.
//! 4. Who has no descriptor for a backend's connection waits for one first, whatever the plan says of
//!    backends (`seek::scarce`).
//! 5. Who waits under a configuration that was replaced waits on under it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::Count;
use fairlead_model::event::Event;
use fairlead_model::limits::HELD;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::link::Owner;
use crate::local::LocalPool;
use crate::seek::millis;
use crate::slab::Key;
use crate::wheel::{Alarm, Filed};

/// How often it is looked whether anybody has come back: nobody notices that.
const TICK: Duration = Duration::from_millis(10);

/// Between two tries of the oldest that waits.
const SCOUT: Duration = Duration::from_millis(100);

/// So many go on together, and the next as many a [`TICK`] later. Fewer than any listen queue.
const AT_ONCE: usize = 64;

/// Those that wait for one pool.
#[derive(Debug)]
struct Holding {
    pool: Rc<LocalPool>,
    queue: VecDeque<Owner>,
    /// What could be picked when it was last looked.
    epoch: u64,
    /// Somebody was reached: all may go.
    open: bool,
    /// When the oldest tries next.
    scout: Moment,
    since: Moment,
    /// When anybody last waited. Who went on may be back in a moment.
    last: Moment,
    went_on: u32,
}

/// All that wait in one worker.
#[derive(Debug)]
pub(crate) struct Holds {
    pools: Vec<Holding>,
    filed: Filed,
}

impl Holds {
    pub(crate) fn new() -> Self {
        Holds { pools: Vec::new(), filed: Filed::NOTHING }
    }

    fn of(&mut self, pool: &Rc<LocalPool>) -> Option<&mut Holding> {
        self.pools.iter_mut().find(|holding| Rc::ptr_eq(&holding.pool, pool))
    }
}

impl Holding {
    fn new(pool: &Rc<LocalPool>, now: Moment) -> Self {
        Holding {
            pool: Rc::clone(pool),
            queue: VecDeque::new(),
            epoch: pool.pool.epoch(),
            open: false,
            scout: now + SCOUT,
            since: now,
            last: now,
            went_on: 0,
        }
    }

    /// Who may go on now.
    fn release(&mut self, now: Moment) -> Vec<Owner> {
        let epoch = self.pool.pool.epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.open |= self.pool.has_anybody();
        }
        let mut count = if self.open { AT_ONCE } else { 0 };
        if now >= self.scout {
            self.scout = now + SCOUT;
            count = count.max(1);
        }
        let count = count.min(self.queue.len());
        self.queue.drain(..count).collect()
    }
}

impl Flow {
    /// The search of a request or connection came to nothing. True if it waits now, until the
    /// deadline of its search.
    pub(crate) fn hold(&mut self, owner: Owner, reason: Reason, now: Moment) -> bool {
        let worker = self.ctx.worker;
        let seek = match owner {
            Owner::Client(key) => {
                let exchange = self.clients.get_mut(key).and_then(|it| it.exchange.as_mut());
                exchange.map(|exchange| &mut exchange.seek)
            }
            Owner::Relay(key) => self.relays.get_mut(key).and_then(|it| it.seek.as_deref_mut()),
        };
        let Some(seek) = seek else { return false };
        if seek.wait_for_descriptor(now) {
            self.ctx.shortage.meet(now);
            return true;
        }
        let again = seek.tries();
        if !seek.may_wait(reason, now) {
            if seek.wait_is_over() {
                seek.pool.count(worker, Count::HoldExpired);
            }
            return false;
        }
        let pool = Rc::clone(&seek.pool);
        if self.holds.of(&pool).is_none() {
            self.holds.pools.push(Holding::new(&pool, now));
            let (name, why) = (pool.plan().name.clone(), reason.row().text.to_owned());
            self.ctx.events.push_back(Event::Holding { pool: name, holding: true, why });
        }
        let Some(holding) = self.holds.of(&pool) else { return false };
        if holding.queue.len() >= HELD && !again {
            pool.count(worker, Count::HoldRefused);
            return false;
        }
        seek.wait(reason, now);
        if again {
            // It went on for nothing: whoever looked well isn't.
            holding.open = false;
            holding.queue.push_front(owner);
        } else {
            pool.count(worker, Count::HoldBegun);
            holding.queue.push_back(owner);
        }
        self.ctx.timers.arm(Alarm::Holds, now + TICK, &mut self.holds.filed);
        true
    }

    /// Somebody who had waited was taken by a backend.
    #[cold]
    pub(crate) fn hold_served(&mut self, pool: &Rc<LocalPool>) {
        pool.count(self.ctx.worker, Count::HoldServed);
        if let Some(holding) = self.holds.of(pool) {
            holding.open = true;
            holding.went_on += 1;
        }
    }

    /// It is time to look whether anybody may go on.
    pub(crate) fn holds_timer<D: Driver>(&mut self, d: &mut D, now: Moment) {
        if !self.holds.filed.fired(now) {
            return;
        }
        let mut released = Vec::new();
        for holding in &mut self.holds.pools {
            released.extend(holding.release(now));
        }
        for owner in released {
            self.hold_release(d, owner, now);
        }
        self.holds_tidy(now);
        self.holds_arm(now);
    }

    /// Makes sure that it is looked again while anybody waits.
    pub(crate) fn holds_arm(&mut self, now: Moment) {
        if !self.holds.pools.is_empty() {
            self.ctx.timers.arm(Alarm::Holds, now + TICK, &mut self.holds.filed);
        }
    }

    fn hold_release<D: Driver>(&mut self, d: &mut D, owner: Owner, now: Moment) {
        if !self.is_waiting(owner) {
            return;
        }
        match owner {
            Owner::Client(key) => {
                self.exchange_seek(d, key, now, |seek, ctx, d| seek.resume(ctx, d, owner, now));
            }
            Owner::Relay(key) => {
                self.relay_seek(d, key, now, |seek, ctx, d| seek.resume(ctx, d, owner, now));
            }
        }
    }

    fn is_waiting(&self, owner: Owner) -> bool {
        let of_client = |key: Key| Some(self.clients.get(key)?.exchange.as_ref()?.seek.waits());
        let of_relay = |key: Key| Some(self.relays.get(key)?.seek.as_ref()?.waits());
        let waits = match owner {
            Owner::Client(key) => of_client(key),
            Owner::Relay(key) => of_relay(key),
        };
        waits.unwrap_or(false)
    }

    /// Forgets those that have gone or given up, and pools for which nobody waits.
    fn holds_tidy(&mut self, now: Moment) {
        let mut pools = std::mem::take(&mut self.holds.pools);
        pools.retain_mut(|holding| {
            if holding.scout == now + SCOUT || holding.queue.len() < AT_ONCE {
                holding.queue.retain(|owner| self.is_waiting(*owner));
            }
            if !holding.queue.is_empty() {
                holding.last = now;
            }
            let over = now >= holding.last + holding.pool.connect + SCOUT;
            if over {
                let (pool, waited) =
                    (holding.pool.plan().name.clone(), holding.last.since(holding.since));
                let why = format!("{} went on, after {}", holding.went_on, millis(waited));
                self.ctx.events.push_back(Event::Holding { pool, holding: false, why });
            }
            !over
        });
        self.holds.pools = pools;
    }
}
