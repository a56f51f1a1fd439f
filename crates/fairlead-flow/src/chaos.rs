//! Faults played on purpose: does this attempt suffer, and what is left of it then?
//!
//! Rules of this file
//! 1. One backend of one pool at a time. Whether an attempt at it suffers is drawn when the attempt
//!    begins (a connect, or a kept connection taken for a request) and stays so until it ends.
//! 2. Nobody suffers while no other backend of the pool may be used: what is played must stay
//!    something that can be survived.
//! 3. The time of its end is part of a run. From then on nothing more is drawn, whether or not
//!    anybody says so.
//! 4. What vanished was on its way (`drop`, `freeze`): it is kept, as much as the buffers of two
//!    kernels would, and arrives when the run ends, if somebody still waits for the answer. So does
//!    what the backend said meanwhile. No byte of a connection is left out.
//! 5. It is about one backend: whoever else is at the same place, or on the same host, hears of no
//!    evidence that was played.
//!
//! What is off costs a look at a field or two, and no draw.
//!
//! Not here: what the machines do about it (that is the point), and how it is played to them
//! (`play`).

mod play;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::Random;
use fairlead_model::backend::Slot;
use fairlead_model::chaos::{ChaosPlan, Fault, WHOLE};
use fairlead_model::moment::Moment;
use fairlead_model::plan::BackendPlan;

use crate::driver::{IoFailure, PathState, Sent};
use crate::local::{Local, LocalBackend, LocalPool};
use crate::slab::Key;
use crate::wheel::Filed;

pub(crate) use play::News;

/// Linux's first retransmission on a local network (measured); each later one waits twice as long.
const RESEND: Duration = Duration::from_millis(208);

/// Bytes on their way to a host that doesn't take them, from which on the sender waits: a socket's
/// buffers on a local network hold somewhat more.
const ON_ITS_WAY: usize = 64 * 1024;

/// A run, shared by all workers.
#[derive(Debug)]
pub struct ChaosRun {
    /// What is played.
    pub plan: ChaosPlan,
    /// How often it was.
    pub played: Played,
}

impl ChaosRun {
    /// A run that has not begun.
    pub fn new(plan: ChaosPlan) -> ChaosRun {
        ChaosRun { plan, played: Played::default() }
    }
}

/// How often a run's fault was played.
#[derive(Debug, Default)]
pub struct Played {
    attempts: AtomicU64,
    suffered: AtomicU64,
    checks: AtomicU64,
    checks_suffered: AtomicU64,
}

impl Played {
    /// Attempts at the backend, and how many of them suffered; then the same of checks.
    pub fn counts(&self) -> [u64; 4] {
        [&self.attempts, &self.suffered, &self.checks, &self.checks_suffered]
            .map(|count| count.load(Relaxed))
    }
}

/// What one connection suffers.
#[derive(Debug)]
pub(crate) struct Affliction {
    fault: Fault,
    link: Key,
    /// Since when something that was sent on it is gone.
    vanished: Option<Moment>,
    /// Its connect succeeded, and nobody was told.
    arrived: bool,
    on_its_way: OnItsWay,
    struck: Rc<RefCell<Vec<Key>>>,
}

/// What was sent and is kept back until the run ends.
#[derive(Debug, Default)]
struct OnItsWay {
    bytes: Vec<u8>,
    finished: bool,
    /// The sender waits until there is room.
    full: bool,
}

impl Affliction {
    fn new(fault: Fault, link: Key, struck: Rc<RefCell<Vec<Key>>>) -> Affliction {
        let on_its_way = OnItsWay::default();
        Affliction { fault, link, vanished: None, arrived: false, on_its_way, struck }
    }

    /// Something is sent. What the sender sees, if it vanishes.
    pub(crate) fn takes(&mut self, first: &[u8], then: &[u8], now: Moment) -> Option<Sent> {
        if self.fault == Fault::Delay {
            return None;
        }
        let strikes = matches!(self.fault, Fault::Reset | Fault::Error);
        if self.vanished.is_none() && strikes {
            self.struck.borrow_mut().push(self.link);
        }
        self.vanished.get_or_insert(now);
        if strikes {
            return Some(Sent::All);
        }
        let way = &mut self.on_its_way;
        way.bytes.extend_from_slice(first);
        way.bytes.extend_from_slice(then);
        way.full = way.bytes.len() > ON_ITS_WAY;
        Some(if way.full { Sent::Queued } else { Sent::All })
    }

    /// Whether it can be played to requests alone.
    pub(crate) fn is_of_requests(&self) -> bool {
        self.fault == Fault::Error
    }

    /// A FIN is sent. True if it vanishes, too.
    pub(crate) fn takes_fin(&mut self) -> bool {
        self.on_its_way.finished = true;
        self.fault != Fault::Delay
    }

    /// Whether the connection can serve somebody else: nobody lost anything on it. An error was
    /// played to the machines alone; to the backend nothing was ever sent.
    pub(crate) fn leaves_clean(&self) -> bool {
        self.vanished.is_none() || self.fault == Fault::Error
    }

    /// What a kernel would say of a way on which everything vanishes.
    pub(crate) fn path(&self, now: Moment) -> Option<PathState> {
        let quiet = now.since(self.vanished.filter(|_| self.fault == Fault::Drop)?);
        let sent_again =
            (0..16).take_while(|nth| quiet >= RESEND * ((2 << nth) - 1)).count() as u32;
        Some(PathState {
            unacknowledged: 1,
            retransmitted: sent_again,
            timeouts: sent_again.saturating_sub(1),
            round_trip: Duration::ZERO,
            quiet,
        })
    }
}

/// Somebody whose answer is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Link(Key),
    /// Of the round that began then.
    Probe(Key, Moment),
}

/// What came for them meanwhile.
#[derive(Debug)]
struct Holding {
    whose: Held,
    due: Moment,
    bytes: Vec<u8>,
    finished: bool,
    failure: Option<IoFailure>,
}

impl Holding {
    fn new(whose: Held, due: Moment) -> Holding {
        Holding { whose, due, bytes: Vec::new(), finished: false, failure: None }
    }
}

/// The faults of one worker.
#[derive(Debug)]
pub(crate) struct Chaos {
    /// Something is played or held back: all that is looked at while nothing is.
    on: bool,
    run: Option<Arc<ChaosRun>>,
    target: Option<(Rc<LocalPool>, Slot)>,
    /// Connections that have to hear now of what was done to them.
    struck: Rc<RefCell<Vec<Key>>>,
    holding: Vec<Holding>,
    filed: Filed,
}

impl Chaos {
    pub(crate) fn new() -> Chaos {
        Chaos {
            on: false,
            run: None,
            target: None,
            struck: Rc::default(),
            holding: Vec::new(),
            filed: Filed::NOTHING,
        }
    }

    /// Whether anything is to be looked at.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    fn note(&mut self) {
        self.on = self.run.is_some() || !self.holding.is_empty();
    }

    /// Whether somebody waits to hear what was done to its connection.
    #[inline]
    pub(crate) fn has_struck(&self) -> bool {
        self.is_on() && !self.struck.borrow().is_empty()
    }

    fn take_struck(&self) -> Option<Key> {
        self.struck.borrow_mut().pop()
    }

    fn holds(&self, whose: Held) -> bool {
        self.holding.iter().any(|held| held.whose == whose)
    }

    /// Finds the backend in the configuration in force; a run whose backend is gone plays nothing.
    pub(crate) fn aim(&mut self, local: &Local) {
        self.target = self.run.as_ref().and_then(|run| {
            let pool = local.pools.iter().find(|pool| pool.plan().name == run.plan.pool)?;
            let of_name = |plan: &BackendPlan| plan.address == run.plan.backend;
            let index = pool.plan().backends.iter().position(of_name)?;
            Some((Rc::clone(pool), Slot(index as u32)))
        });
    }

    /// Whether this is the backend that it is about.
    pub(crate) fn is_target(&self, backend: &Rc<LocalBackend>) -> bool {
        let is = |(pool, slot): &(Rc<LocalPool>, Slot)| Rc::ptr_eq(pool.backend(*slot), backend);
        self.target.as_ref().is_some_and(is)
    }

    /// Draws whether an attempt at this backend suffers, over the connection `link`.
    pub(crate) fn draw(
        &self,
        backend: &Rc<LocalBackend>,
        link: Key,
        random: &mut Random,
        now: Moment,
    ) -> Option<Box<Affliction>> {
        let run = self.run.as_ref().filter(|_| self.is_target(backend))?;
        run.played.attempts.fetch_add(1, Relaxed);
        let fault = self.drawn(run, random, now)?;
        run.played.suffered.fetch_add(1, Relaxed);
        let struck = Rc::clone(&self.struck);
        Some(Box::new(Affliction::new(fault, link, struck)))
    }

    /// Draws whether a round of a check at this backend suffers.
    pub(crate) fn draw_check<'a>(
        &self,
        mut watchers: impl Iterator<Item = &'a Rc<LocalBackend>>,
        random: &mut Random,
        now: Moment,
    ) -> Option<Fault> {
        let run = self.run.as_ref().filter(|_| watchers.any(|backend| self.is_target(backend)))?;
        run.played.checks.fetch_add(1, Relaxed);
        if run.plan.fault == Fault::Error && !run.plan.checks {
            return None;
        }
        let fault = self.drawn(run, random, now)?;
        run.played.checks_suffered.fetch_add(1, Relaxed);
        Some(fault)
    }

    fn drawn(&self, run: &ChaosRun, random: &mut Random, now: Moment) -> Option<Fault> {
        let others = self.target.as_ref().is_some_and(|(pool, slot)| pool.has_another(*slot));
        let suffers = others && now < run.plan.until;
        (suffers && (random.below(WHOLE as usize) as u32) < run.plan.share)
            .then_some(run.plan.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affliction(fault: Fault) -> Affliction {
        let mut links = crate::slab::Slab::new();
        let (link, struck) = (links.insert(()), Rc::default());
        Affliction::new(fault, link, struck)
    }

    fn at(ms: u64) -> Moment {
        Moment(1_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn what_vanishes_looks_to_the_kernel_as_on_a_dead_host() {
        let mut host = affliction(Fault::Drop);
        assert_eq!(host.path(at(0)), None);
        assert_eq!(host.takes(b"a", b"b", at(0)), Some(Sent::All));
        let seen = |ms| {
            let path = host.path(at(ms)).expect("something vanished");
            (path.unacknowledged, path.retransmitted, path.timeouts)
        };
        assert_eq!(seen(200), (1, 0, 0));
        assert_eq!(seen(210), (1, 1, 0));
        assert_eq!(seen(630), (1, 2, 1));
        assert_eq!(seen(1_500), (1, 3, 2));
    }

    #[test]
    fn a_frozen_process_has_its_bytes_acknowledged() {
        let mut frozen = affliction(Fault::Freeze);
        assert_eq!(frozen.takes(b"a", b"b", at(0)), Some(Sent::All));
        assert!(frozen.takes_fin() && !frozen.leaves_clean());
        assert_eq!(frozen.path(at(500)), None);
    }

    #[test]
    fn no_more_is_on_its_way_than_buffers_hold() {
        let mut frozen = affliction(Fault::Freeze);
        let piece = vec![0; ON_ITS_WAY / 2];
        assert_eq!(frozen.takes(&piece, &piece, at(0)), Some(Sent::All));
        assert_eq!(frozen.takes(b"x", b"", at(1)), Some(Sent::Queued));
        assert_eq!(frozen.on_its_way.bytes.len(), ON_ITS_WAY + 1);
    }

    #[test]
    fn who_is_delayed_gets_everything() {
        let mut late = affliction(Fault::Delay);
        assert_eq!(late.takes(b"a", b"", at(0)), None);
        assert!(!late.takes_fin() && late.leaves_clean());
    }

    #[test]
    fn resets_and_errors_strike_once() {
        for fault in [Fault::Reset, Fault::Error] {
            let mut struck = affliction(fault);
            assert_eq!(struck.takes(b"a", b"", at(0)), Some(Sent::All));
            assert_eq!(struck.takes(b"b", b"", at(1)), Some(Sent::All));
            assert_eq!(struck.struck.borrow().len(), 1);
            assert_eq!(struck.leaves_clean(), fault == Fault::Error);
        }
    }
}
